"""Decisions about single tasks and deployments: health, restarts, permissions, addresses, and the limits of a
deployment.

This package must not know the world or the clock. Start with `deployment` and `health`.
"""
