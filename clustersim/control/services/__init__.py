"""The ECS service scheduler: desired counts, deployments, traffic shifting and zone rebalancing.

It must not choose instances (placement does) or stop and start tasks other than through `task_starter` and
`task_stopper`. Start with `scheduler`, which looks at each service that was marked dirty.
"""
