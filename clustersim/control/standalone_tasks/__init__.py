"""Tasks without a service: RunTask calls and traces of tasks.

It must not know services; a failed standalone task is retried only as the scenario says. Start with `run_tasks`;
`task_arrivals` passes them to the calendar in blocks.
"""
