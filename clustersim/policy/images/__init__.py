"""Decisions about container images: what is cached, what must be pulled, how long a pull takes, what a registry
permits.

It must not know tasks or hosts beyond the numbers it is given. Start with `image_pulls`.
"""
