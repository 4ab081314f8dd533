"""Invariants: counts everything again from single records and compares it with the sums that are kept.

It shares no code with what it checks. Start with `all_rules`; `invariants` is the interface for Python.
"""
