"""Time, random numbers and compilation: what a simulation needs whatever it simulates.

It must not know ECS, files of results or scenarios. Start with `agenda` and `heap` for time, `random_streams` for
draws, and `compiled` for kernels.
"""
