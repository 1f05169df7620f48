"""How many examples property tests draw: `quick` in the inner loop (`make check`), hypothesis' own number otherwise.

No deadline: a busy machine is slow, not wrong.
"""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("full", deadline=None)
settings.register_profile("quick", deadline=None, max_examples=15)
settings.load_profile("full")
