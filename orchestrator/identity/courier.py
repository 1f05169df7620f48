"""The courier (送达): takes amendments and withdrawals from the identity seat to the departments, past everybody else.

Whoever operates the portal cannot hold a withdrawal back: every department that the chain of mandates names gets it from here,
at the address in its keyset on chain, again and again until its acknowledgement holds.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Final

import httpx
import structlog
from pydantic import ValidationError

from orchestrator.domain.errors import LianbanError, Unavailable
from orchestrator.identity.deliveries import Deliveries, Delivery
from orchestrator.identity.gateways import post
from orchestrator.identity.seat import IdentitySeat
from orchestrator.protocol.notice import Acknowledgement

_log = structlog.get_logger(__name__)

AT_ONCE: Final = 32
"""Deliveries under way at once."""
PAUSE: Final = 1.0
"""Seconds between looks for what is due."""


class Courier:
    """Delivers what is due. Several processes of a seat may each have one."""

    def __init__(self, seat: IdentitySeat, http: httpx.AsyncClient) -> None:
        self._seat = seat
        self._deliveries = Deliveries(seat.store.pool)
        self._http = http

    async def run(self) -> None:
        """Delivers until it is cancelled: at once when something was signed, otherwise once a second."""
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._seat.signed.wait(), PAUSE)
            self._seat.signed.clear()
            try:
                while await self.deliver_due():
                    pass
            except Exception as error:  # the courier must outlive a database that is away
                _log.warning("courier-stumbled", kind=type(error).__name__)

    async def deliver_due(self) -> int:
        """One try for everything that is due; how many tries."""
        due = await self._deliveries.claim(AT_ONCE)
        await asyncio.gather(*(self._try(each) for each in due))
        return len(due)

    async def _try(self, delivery: Delivery) -> None:
        try:
            said = await self._deliver(delivery)
        except LianbanError as error:
            _log.info("not-delivered", seat=delivery.seat, attempts=delivery.attempts + 1, code=error.code)
            await self._deliveries.failed(delivery, error.code)
        else:
            await self._deliveries.acknowledged(delivery, said)

    async def _deliver(self, delivery: Delivery) -> Acknowledgement:
        """Raises Unavailable or Refused, also for an acknowledgement that does not hold."""
        seat = await self._seat.chain.seat(delivery.seat)
        content = await post(self._http, seat, "mandates", {"mandate": delivery.jws})
        try:
            said = Acknowledgement.model_validate_json(content)
        except ValidationError:
            raise Unavailable(
                "网关的回执格式不正确", detail_en="the acknowledgement is malformed", code="bad-gateway"
            ) from None
        ledger = self._seat.chain.domain("CaseLedger")
        said.check(seat=seat.number, mandate=delivery.mandate, ledger=ledger, signer=seat.signer)
        return said
