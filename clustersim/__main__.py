"""Runs the command line as `python -m clustersim`."""

from clustersim.cli import main

main()
