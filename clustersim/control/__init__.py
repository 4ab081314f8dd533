"""Controllers: one per concern, each reconciling what is with what should be at an instant.

They apply what `policy` decides through the commands of `world` and must not decide by themselves or write files.
Start with `services.scheduler`; `simulation` constructs the controllers and orders them, and `calendar_driver` runs
compiled events in between.
"""
