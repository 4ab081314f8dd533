"""Distributed execution: sends batches of runs to Dask workers, which publish the results into a result store.

It must not know what a study computes from the rows. Start with `dispatcher` for the client side and `worker` for
the other side.
"""
