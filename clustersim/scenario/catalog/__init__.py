"""The catalogue: instance types, Fargate sizes and their prices, bundled or declared in the scenario.

It must not know which of them a scenario uses. Start with `instance_types`.
"""
