"""Traces: CSV and Parquet files of load and of tasks, read into columns.

It must not know what the columns are used for. Start with `csv_columns`.
"""
