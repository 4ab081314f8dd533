"""Scenario files: reads YAML with positions, validates it, resolves names, and returns one frozen `Scenario`.

It must not know how a scenario is simulated. Start with `reader`; `sections` declares each section, `resolve`
resolves the references between them.
"""
