"""Auto scaling in each metric period: metrics, alarms, and the desired counts of services and groups.

It must not know tasks or placement: it reads metrics and changes desired counts. Start with `cloudwatch_metrics`, then
`cloudwatch_alarms` and `service_autoscaler`.
"""
