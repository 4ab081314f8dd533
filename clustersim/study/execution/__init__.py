"""Distributed execution: sends batches of runs to Dask workers and stores what they publish.

It must not know what a study makes of the rows. Start with `dispatcher` for the client side and `worker` for the
other.
"""
