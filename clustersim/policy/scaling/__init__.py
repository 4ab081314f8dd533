"""Scaling decisions: metrics, alarms, target tracking, step scaling, and the reservation of a capacity provider.

This package must not know services or groups beyond the rows passed to it. Start with `service_scaling`;
`target_tracking_kernel` is its compiled form for the common case.
"""
