"""Decisions about container instances: where to launch, which to terminate, which types to buy, how often they are
interrupted.

It must not know when these questions are asked. Start with `instance_allocation` and `termination_policies`.
"""
