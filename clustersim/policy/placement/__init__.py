"""Task placement: which container instance a task runs on, and which tasks stop on scale-in.

This package must not know services, queues or time. Start with `placement`; `hosts` keeps the free resources, and
`member_of` evaluates constraints.
"""
