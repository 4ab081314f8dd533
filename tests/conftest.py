"""Shared configuration of all tests: the import path and the hypothesis profile."""

from __future__ import annotations

import sys
from pathlib import Path

from hypothesis import settings

ROOT = Path(__file__).parent.parent
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

# The same examples in every run, so that a failure is reproducible. `--hypothesis-profile=default` draws new ones.
settings.register_profile("suite", derandomize=True, deadline=None)
settings.load_profile("suite")
