"""Comparisons of launch options: plans the runs, decides which option is best by each criterion, and reports it.

It must not know how runs are distributed. Start with `compare`.
"""
