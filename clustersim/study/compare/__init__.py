"""Comparisons of launch options: plans the runs, judges which option is cheapest within the bounds, and reports it.

It must not know how runs are distributed. Start with `compare`.
"""
