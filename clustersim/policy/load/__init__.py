"""Load models: how requests and messages share the tasks of a service, and what response times follow.

It must not know deployments or scaling. Start with `fluid_model` for the default model and `exact_requests` for the
one that simulates each request.
"""
