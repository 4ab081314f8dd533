"""A single run: simulates a scenario into a directory, opens the result, and prints its report.

It must not know sweeps. Start with `run`.
"""
