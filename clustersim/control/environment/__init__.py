"""Influences from outside: outages, capacity shortages, scripted operations and service quotas.

It decides nothing about a response: the controllers react as they would to any other change. Start with
`failure_timetable` for what breaks and `scripted_operations` for `actions`.
"""
