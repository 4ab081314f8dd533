"""The lifecycle of container instances: registration, draining, termination, interruptions and agent disconnects.

This package must not decide which instances are launched or terminated. Start with `lifecycle`.
"""
