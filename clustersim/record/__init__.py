"""Result tables: their columns, the writing of Arrow or Parquet files, and the atomic publication of a result
directory.

It must not know the simulation that fills the tables. Start with `schema`.
"""
