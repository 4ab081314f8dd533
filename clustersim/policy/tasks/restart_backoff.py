"""When a supervisor starts an application again that has ended on its machine.

Pure arithmetic; `control.services.virtual_machines` calls it. Source: Docker documentation, docker container run,
restart policies: the delay begins at 100 ms, doubles up to a minute, and begins again once the application has run
for 10 s.
"""

from __future__ import annotations

from clustersim.vocabulary import MS_PER_MINUTE, MS_PER_SECOND

FIRST_MS, LONGEST_MS = 100, MS_PER_MINUTE
RAN_WELL_MS = 10 * MS_PER_SECOND


def restart_delay_ms(before: int, ran_ms: int) -> int:
    """The delay after an application ended that ran `ran_ms`, where the one before was `before` (0: none)."""
    if before <= 0 or ran_ms >= RAN_WELL_MS:
        return FIRST_MS
    return min(2 * before, LONGEST_MS)
