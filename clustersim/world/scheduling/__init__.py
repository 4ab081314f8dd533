"""Scheduling inside the world: commands of controllers, the provisioning queues, and services that are steady.

It must not know deployments. Start with `commands`, then `provisioning`.
"""
