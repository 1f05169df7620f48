"""`MemoryChain`: the chain port in memory, for unit tests and for tests of one part over real HTTP.

A named stand-in behind the same interface as `ledger.view.LedgerView`: it knows seats, bindings and case status as a test
sets them and checks no signature. What the contracts enforce is tested against the contracts.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

from orchestrator.domain.canonical import keccak
from orchestrator.domain.case import Status
from orchestrator.domain.errors import Invalid
from orchestrator.protocol.keyset import Keyset, SeatKeys
from orchestrator.protocol.ports import BindingView, PastKeyset, SeatView
from orchestrator.protocol.sheet import Domain


class MemoryChain:
    """Seats, bindings and case status as a test sets them."""

    def __init__(self, *, chain_id: int = 31337) -> None:
        self._chain_id = chain_id
        self._seats: dict[int, SeatView] = {}
        self._bindings: dict[int, BindingView] = {}
        self._statuses: dict[str, tuple[Status, int, int]] = {}
        self._versions: dict[str, tuple[str, str, int]] = {}

    @property
    def chain_id(self) -> int:
        return self._chain_id

    def domain(self, contract: str) -> Domain:
        return Domain(chain_id=self._chain_id, contract="0x" + keccak(contract.encode())[12:].hex())

    async def seat(self, number: int) -> SeatView:
        if number not in self._seats:
            raise Invalid(field="seat", detail="没有这个席位", detail_en="no such seat", code="unknown-seat")
        return self._seats[number]

    async def seats(self) -> list[SeatView]:
        return [seat for _, seat in sorted(self._seats.items())]

    async def seat_by_id(self, department: str) -> SeatView:
        for seat in self._seats.values():
            if seat.keyset.id == department:
                return seat
        raise Invalid(field="seat", detail="没有这个席位", detail_en="no such seat", code="unknown-seat")

    async def look_again(self) -> None:
        pass

    async def binding(self, number: int) -> BindingView:
        if number not in self._bindings:
            raise Invalid(field="binding", detail="没有这个落地", detail_en="no such binding", code="unknown-binding")
        return self._bindings[number]

    async def bindings(self) -> list[BindingView]:
        return [binding for _, binding in sorted(self._bindings.items())]

    async def version(self, version: str) -> tuple[str, str, int]:
        return self._versions.get(version, ("", "0x" + "00" * 32, 0))

    async def status_of(self, case_id: str) -> tuple[Status, int, int]:
        return self._statuses.get(case_id, (Status.NONE, 0, 0))

    async def statuses(self, case_ids: Sequence[str]) -> list[tuple[Status, int, int]]:
        return [await self.status_of(case_id) for case_id in case_ids]

    def admit(self, keyset: Keyset, keys: SeatKeys, *, at: int | None = None) -> SeatView:
        """Adds a seat, or rotates its keys and endpoint, now or `at` (seconds since 1970)."""
        before = self._seats.get(keyset.seat)
        until = int(time.time()) if at is None else at
        past = (*before.past, PastKeyset(keyset=before.keyset, until=until, signer=before.signer)) if before else ()
        view = SeatView(number=keyset.seat, keyset=keyset, signer=keys.chain.address, active=True, past=past)
        self._seats[keyset.seat] = view
        return view

    def suspend(self, number: int, *, active: bool = False) -> None:
        """Suspends a seat, or takes it back with `active`."""
        self._seats[number] = replace(self._seats[number], active=active)

    def publish(self, version: str, scenario: str, texts: str, publisher: int) -> None:
        """Sets a version's scenario, newest texts hash and publisher."""
        self._versions[version] = (scenario, texts, publisher)

    def bind(
        self,
        version: str,
        *,
        identity: int,
        operator: int,
        approvers: Sequence[int],
        providers: Sequence[int],
        region: str = "110108",
    ) -> BindingView:
        """Adds a live binding under the next number."""
        view = BindingView(
            number=len(self._bindings) + 1,
            version=version,
            region=region,
            identity=identity,
            operator=operator,
            approvers=tuple(approvers),
            providers=tuple(providers),
            live=True,
        )
        self._bindings[view.number] = view
        return view

    def retire(self, number: int) -> None:
        """Closes a binding to new cases."""
        self._bindings[number] = replace(self._bindings[number], live=False)

    def settle(self, case_id: str, status: Status, sequence: int, binding: int) -> None:
        """Sets a case's status."""
        self._statuses[case_id] = (status, sequence, binding)
