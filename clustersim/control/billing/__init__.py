"""Cost rows: turns usage and billed time into rows of `costs`.

It must not know why an instance or a task ran, only when and at which price. Start with `cost_ledger`, which closes
each cost period.
"""
