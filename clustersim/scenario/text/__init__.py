"""The text of a scenario: YAML nodes with line and column, units, overrides, and diagnostics with their location.

It must not know any key of a scenario. Start with `document`.
"""
