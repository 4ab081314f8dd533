"""The world: all records of tasks, container instances, services and queues, and the only code that changes them.

This package must not decide: placement and other choices come from `policy`, intentions from `control`. Start with
`state.tables`; `calendar` is the compiled event loop.
"""
