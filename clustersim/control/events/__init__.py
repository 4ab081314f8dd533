"""The event log: collects what happened in order and turns it into rows of `events` and `scaling_activities`.

It must not change the world. Start with `service_events`, the interface that controllers use.
"""
