"""What all tests share: `tests` is importable however pytest is started."""

from __future__ import annotations

import sys
from pathlib import Path

from hypothesis import settings

ROOT = Path(__file__).parent.parent
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

# The same examples in every run: a suite that fails must fail again for whoever looks. `--hypothesis-profile=default`
# draws new ones.
settings.register_profile("suite", derandomize=True, deadline=None)
settings.load_profile("suite")
