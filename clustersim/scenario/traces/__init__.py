"""Traces: CSV files of load and of tasks, read into columns.

It must not know the use of the columns. Start with `csv_columns`.
"""
