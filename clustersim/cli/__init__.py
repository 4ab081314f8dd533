"""The command line: verbs, their options, the output of each, and exit codes.

It must not know how runs are simulated or distributed. Start with `application`.
"""

from clustersim.cli.application import app, main

__all__ = ["app", "main"]
