"""Refused batches (退回的请求): altered, replayed, out of their time, for another seat, or from nobody.

Their questions are not judged and do not stand in the query log: that is for what a seat has signed, and anybody could fill it
otherwise. They are written down here instead, with the reason and, where the asker's signature is good, the batch itself: a
seat that replays or whose clock is wrong is shown by its own signature. Nothing in a batch is personal.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import structlog

from orchestrator.domain.canonical import from_hex
from orchestrator.domain.errors import Invalid, Refused, Unavailable
from orchestrator.gateway.seat import Seat
from orchestrator.protocol.jose import jws_hash
from orchestrator.protocol.question import issuer_of

KEPT: Final = 10_000
"""Newest entries that are kept, of signed batches and of others apart: noise pushes no evidence out."""

_UNSIGNED: Final = frozenset({"bad-signature", "unknown-asker", "too-many"})
"""Reasons for which the asker's signature was found wrong, or was not looked at."""
_TIDY: Final = 256
"""Every so many entries, older ones than are kept go."""

_log = structlog.get_logger(__name__)


@asynccontextmanager
async def written_down(batch: str, seat: Seat) -> AsyncIterator[None]:
    """Whatever refuses the batch (a JWS) in the block is written down, then raised as it was."""
    try:
        yield
    except (Refused, Invalid) as error:
        signed = error.code not in _UNSIGNED
        asker = _claimed(batch)
        _log.warning("batch-refused", seat=seat.number, asker=asker, signed=signed, code=error.code)
        with contextlib.suppress(Unavailable):  # the refusal stands, and the line above has been written
            await _keep(batch, error.code, asker, signed, seat)
        raise


async def _keep(batch: str, code: str, asker: int | None, signed: bool, seat: Seat) -> None:
    (row,) = await seat.store.rows(
        "insert into refused_batch (code, asker, signed, hash, jws) values (%s, %s, %s, %s, %s) returning id",
        [code, asker, signed, from_hex(jws_hash(batch)), batch if signed else None],
    )
    if int(str(row["id"])) % _TIDY == 0:
        await seat.store.rows(
            "delete from refused_batch where signed = %(signed)s and id <="
            " (select id from refused_batch where signed = %(signed)s order by id desc offset %(kept)s limit 1)",
            {"signed": signed, "kept": KEPT},
        )


def _claimed(batch: str) -> int | None:
    """The seat that a batch says it is from; None where it says nothing."""
    try:
        return issuer_of(batch)
    except (Invalid, Refused):
        return None
