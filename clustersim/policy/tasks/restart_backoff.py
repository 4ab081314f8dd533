"""Restart delay of a supervised application on a virtual machine.

Pure arithmetic; `control.services.virtual_machines` calls it. Source: Docker documentation, docker container run,
restart policies: the delay starts at 100 ms, doubles up to a minute, and is reset once the application has run for
10 s.
"""

from __future__ import annotations

from clustersim.vocabulary import MS_PER_MINUTE, MS_PER_SECOND

MIN_DELAY_MS, MAX_DELAY_MS = 100, MS_PER_MINUTE
RESET_AFTER_MS = 10 * MS_PER_SECOND


def restart_delay_ms(previous_ms: int, ran_ms: int) -> int:
    """Return the delay after an application ran for `ran_ms`; `previous_ms` is the previous delay (0: none)."""
    if previous_ms <= 0 or ran_ms >= RESET_AFTER_MS:
        return MIN_DELAY_MS
    return min(2 * previous_ms, MAX_DELAY_MS)
