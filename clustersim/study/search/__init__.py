"""Optimisation: proposes points, keeps the state of the search, and confirms the best with fresh replications.

It must not know how runs are distributed. Start with `search`.
"""
