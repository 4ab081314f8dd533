"""The ECS service scheduler: desired counts, deployments, traffic shifting and zone rebalancing.

It must not choose instances (placement does). Controllers decide in plans, and `plan_applier` alone carries them out.
Start with `scheduler`, which reconciles each service that is due.
"""
