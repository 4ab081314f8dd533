"""Construction of the world: writes what a scenario says into tables before the clock starts, and new task sets
later.

It must not know what happens to them afterwards. Start with `build_world`, then `task_set_tables`.
"""
