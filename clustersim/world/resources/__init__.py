"""Resources of placed tasks: allocation, capacity provider strategies, and the choice of tasks to stop.

It must not change the state of a task. Start with `allocation`.
"""
