"""Scheduling inside the world: commands of controllers, the provisioning queues, and steady services.

This package must not know deployments. Start with `commands`, then `provisioning`.
"""
