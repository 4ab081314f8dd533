"""The sections of a scenario: for each, its written form (keys, units, defaults) and its resolved form side by side.

A section must not know other sections beyond the types it contains; what needs two sections is in `resolve`. Start
with `scenario_file` for what is written and `scenario` for what is resolved.
"""
