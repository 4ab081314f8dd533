"""Decisions: placement, load, scaling, capacity, images and prices, as functions of plain arrays and records.

A policy must not know a clock, the world or a file. Start with the room of a decision; `placement.placement` is the
one that most tasks pass.
"""
