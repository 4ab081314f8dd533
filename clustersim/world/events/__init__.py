"""Messages of routine events, formatted many at once in compiled code.

It must not decide what is reported. Start with `service_messages`.
"""
