"""Load models: how the tasks of a service share its requests or messages, and the resulting response times.

This package must not know deployments or scaling. Start with `fluid_model` for the default model and
`exact_requests` for the model that simulates each request.
"""
