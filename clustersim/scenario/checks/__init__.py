"""Checks of a whole scenario that is valid: findings about what will become of its run.

It must not know how a scenario is read or simulated. Start with `capacity_findings`; the reader calls it when all
sections are resolved.
"""
