"""Result rows: tasks, container instances, sampled series and the summary.

It reads the settled instant and must not change the world. Start with `task_table_writer` for tasks and instances,
`series_sampler` for series and `run_summary` for the closing figures.
"""
