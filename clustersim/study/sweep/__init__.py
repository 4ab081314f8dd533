"""Sweeps: lays out the points of a design, runs replications until they are precise enough, and reports the table.

It must not know how runs are distributed, or what a measure means. Start with `sweep`, then `plan`.
"""
