"""Scaling decisions: metrics, alarms, target tracking, step scaling, and the reservation of a capacity provider.

This package must not know services or groups beyond the rows passed to it. Start with `service_scaling`, which chooses
among proposals; `target_tracking` and `step_scaling` compute them, `target_tracking_kernel` does all of it in compiled
code for the common case.
"""
