"""Runs the program as `python -m clustersim.cli`."""

from clustersim.cli.application import main

main()
