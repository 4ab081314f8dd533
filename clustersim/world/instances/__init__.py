"""The life of container instances: registration, draining, termination, interruptions and agent disconnects.

It must not decide which instances are launched or terminated. Start with `lifecycle`.
"""
