"""The ECS service scheduler: desired counts, deployments, traffic shifting and zone rebalancing.

It must not choose instances (placement does), and starts and stops tasks only through `task_starter` and
`task_stopper`. Start with `scheduler`, which reconciles each service that was marked dirty.
"""
