"""Container instances: launches and terminates them for Auto Scaling groups, managed scaling and Managed Instances.

It must not know services or deployments, only demand, groups and instances. Start with `capacity`, which calls the
other modules in order.
"""
