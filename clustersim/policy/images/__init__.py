"""Decisions about container images: what is cached, what must be pulled, how long a pull takes, which pulls a
registry permits.

This package must not know tasks or hosts beyond the numbers passed to it. Start with `image_pulls`.
"""
