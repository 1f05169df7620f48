"""A circuit breaker: what fails again and again is left alone for a while, then tried by one look-up."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class BreakerOpen(Exception):
    """What the breaker guards is left alone for now."""


class Breaker:
    """Closed until `failures` calls in a row have failed, then open for `pause` seconds, then half open: one call is let
    through, and closes it when it succeeds or opens it anew.
    """

    def __init__(self, failures: int, pause: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = failures
        self._pause = pause
        self._clock = clock
        self._failed = 0
        self._opened: float | None = None
        self._probing = False

    @property
    def is_open(self) -> bool:
        """Whether calls are refused, but for the one that tries."""
        return self._opened is not None

    @contextmanager
    def call(self, counts: tuple[type[BaseException], ...]) -> Iterator[None]:
        """Around one call. Raises BreakerOpen instead of making it; of its errors those of `counts` are failures."""
        tries = self._opened is not None
        if self._opened is not None:
            if self._probing or self._clock() - self._opened < self._pause:
                raise BreakerOpen
            self._probing = True
        try:
            yield
        except counts:
            self._failed += 1
            if self._failed >= self._most:
                self._opened = self._clock()
            raise
        else:
            self._failed, self._opened = 0, None
        finally:
            if tries:
                self._probing = False
