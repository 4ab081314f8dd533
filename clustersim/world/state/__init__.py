"""The tables of the world and their primitive operations: states, queues, calendar entries, events, usage.

This package must not know why a state changes. Start with `tables`; `task_states` holds the only function that
changes the state of a task.
"""
