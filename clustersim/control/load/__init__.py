"""Load on services: advances requests and messages through each metric period and samples them.

It must not know scaling, placement or result files. Start with `traffic`; `exact_requests` simulates each request, and
`oom_kills` applies memory limits.
"""
