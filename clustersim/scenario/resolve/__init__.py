"""Resolution: connects the sections of a scenario, checks that what they name exists, and builds the resolved models.

It must not read files other than those that a section names, or know how a scenario is simulated. Start with
`scenario`, which calls the others in order.
"""
