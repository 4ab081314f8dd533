"""Loaded by each worker process of a local sweep: Ctrl-C is not for it, but for the process that started it.

Decides nothing else. Dask imports it by name, before the worker begins.
"""

from __future__ import annotations

import signal


def dask_setup(worker: object) -> None:
    """What Dask calls, in the worker's main thread."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
