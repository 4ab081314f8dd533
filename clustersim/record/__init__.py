"""Result tables: their columns, how rows become Arrow or Parquet files, and how a result directory is published
whole.

It must not know the simulation that fills them. Start with `schema`.
"""
