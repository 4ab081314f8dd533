"""Studies: results opened again, single runs, sweeps, searches and comparisons.

A study must not know how a run is simulated, only its scenario and its results. Start with `open_result` and
`single_run.run`.
"""
