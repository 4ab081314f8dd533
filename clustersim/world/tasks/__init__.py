"""The lifecycle of a task from placement to its end: addresses, permissions, image pulls, containers and health.

This package must not know services beyond the task set. Start with `startup`, then `lifecycle`.
"""
