"""External influences: outages, capacity shortages, scripted operations and service quotas.

It does not decide how the cluster responds: the controllers react as to any other change. Start with
`failure_timetable` for failures and `scripted_operations` for `actions`.
"""
