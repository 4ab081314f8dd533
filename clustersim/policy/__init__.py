"""Decisions as functions of plain arrays and records: placement, load, scaling, capacity, images, prices.

A policy must not know the clock, the world or files. Start with the package of the decision in question;
`placement.placement` is the one that most tasks pass through.
"""
