"""What a signer elsewhere has in common: errors that name what to do, and a pause after a failure.

Signing is synchronous, and the process waits for it. A signer that does not answer would so hold up everybody else's requests; after
a failure it is therefore left alone for `PAUSE` seconds, in which signing fails at once.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import structlog

from orchestrator.domain.errors import Unavailable

PAUSE: Final = 5.0
"""Seconds."""

_log = structlog.get_logger(__name__)


class SignerFailed(Exception):
    """An external signer did not do what it was asked. The text is for people: no secret, nothing of what was signed."""


@dataclass(slots=True)
class Reaching:
    """One external signer as this process has met it."""

    name: str
    """What the operator calls it: a key's use and place, no secret."""
    remedy: str
    failed_at: float | None = None

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """Around one use. Raises Unavailable (code `signer-down`) for SignerFailed inside it, and for some seconds after it without
        another try."""
        if self.failed_at is not None and time.monotonic() - self.failed_at < PAUSE:
            raise self._unavailable("left alone after a failure")
        try:
            yield
        except SignerFailed as error:
            self.failed_at = time.monotonic()
            _log.error("signer-failed", signer=self.name, reason=str(error))
            raise self._unavailable(str(error)) from None
        self.failed_at = None

    def _unavailable(self, reason: str) -> Unavailable:
        return Unavailable(
            f"外部签名器 {self.name} 不可用",
            detail_en=f"the external signer {self.name} is not available: {reason}",
            code="signer-down",
            remedy=self.remedy,
        )
