"""Invariants: recounts everything from single records and compares it with the counts that the world keeps.

This package shares no code with what it checks. Start with `all_rules`; `invariants` is the interface for Python
code.
"""
