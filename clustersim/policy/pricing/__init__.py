"""Prices in time: minimum billed durations and commitments.

It must not know who used what. Start with `billed_time`.
"""
