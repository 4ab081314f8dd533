"""Prices over time: minimum billed durations and commitments.

This package must not know which task or team used what. Start with `billed_time`.
"""
