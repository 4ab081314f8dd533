"""AWS blocks in a scenario: validates them against the API models of botocore and against rules that span fields.

It must not know how a block is simulated. Start with `block_validation`.
"""
