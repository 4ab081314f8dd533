"""The sections of a scenario: for each, its written form (keys, units, defaults) and its resolved form side by side.

A class `WrittenX` holds a part of the file as users write it; `X` holds the same part as the simulator reads it.
Parts that are AWS blocks have only a resolved form here: botocore describes the written one. A section must not know
other sections beyond the types it contains; what needs two sections is in `resolve`. Start with `scenario_file` for
the written top level and `scenario` for the resolved one.
"""
