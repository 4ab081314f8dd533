"""A Dask preload: local worker processes ignore SIGINT, so that only the parent process handles Ctrl-C.

Decides nothing else. Dask imports the module by name before a worker starts.
"""

from __future__ import annotations

import signal


def dask_setup(worker: object) -> None:
    """Ignore SIGINT. Dask calls this in the worker's main thread."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
