"""Decisions about container instances: where to launch, which to terminate, which types to buy, how often they are
interrupted.

This package must not know when these decisions are due. Start with `instance_allocation` and `termination_policies`.
"""
