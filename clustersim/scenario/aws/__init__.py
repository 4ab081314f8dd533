"""AWS blocks in a scenario: validates them against the API models of botocore and against rules that span fields.

It must not know which section a block stands in or what becomes of it. Start with `block_validation`.
"""
