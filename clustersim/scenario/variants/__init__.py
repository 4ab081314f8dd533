"""Variants of a scenario for comparisons: the same workload on EC2, on ECS with EC2 or Fargate, at another load.

A variant edits the written document and must not change resolved models. Start with `launch_options`.
"""
