"""The life of a task from placement to its end: addresses, permissions, image pulls, containers and health.

It must not know services beyond the task set. Start with `startup`, then `lifecycle`.
"""
