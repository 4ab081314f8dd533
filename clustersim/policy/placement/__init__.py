"""Task placement: which container instance a task runs on, and which task stops when there are too many.

It must not know services, queues or time. Start with `placement`; `hosts` keeps free resources, and `member_of`
evaluates constraints.
"""
