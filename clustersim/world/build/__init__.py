"""Construction of the world: writes the scenario into tables before the clock starts, and new task sets later.

This package must not know what happens to them afterwards. Start with `build_world`, then `task_set_tables`.
"""
