"""Traces and rates: CSV files of load and of tasks, read into columns, and the shapes of a rate, added to one series.

It must not know the use of the columns or of a rate. Start with `csv_columns` and `load_shapes`.
"""
