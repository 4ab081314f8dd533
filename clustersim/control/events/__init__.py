"""The event log: collects events in order and turns them into rows of `events` and `scaling_activities`.

It must not change the world. Start with `service_events`, the interface that controllers use.
"""
