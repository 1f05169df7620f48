"""The chain as the protocol's readers see it. `ledger/view.py` implements it; gateways and the identity seat use it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from orchestrator.domain.case import Status
from orchestrator.protocol.keyset import Keyset
from orchestrator.protocol.sheet import Domain


@dataclass(frozen=True, slots=True, kw_only=True)
class SeatView:
    """A seat as the chain has it now."""

    number: int
    keyset: Keyset
    signer: str
    """Address that signs for the seat on chain, EIP-55."""
    active: bool
    """False while suspended and once removed: what it signs does not count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BindingView:
    """A binding as the chain has it now."""

    number: int
    version: str
    """Scenario version, `0x…`."""
    region: str
    """GB/T 2260, six digits."""
    identity: int
    operator: int
    approvers: tuple[int, ...]
    """In the order of the definition's approver roles; the first leads."""
    providers: tuple[int, ...]
    """In the order of the definition's provider roles."""
    live: bool
    """False once retired: no new cases, running ones go on."""

    @property
    def named(self) -> frozenset[int]:
        """Every seat that the binding names."""
        return frozenset({self.identity, self.operator, *self.approvers, *self.providers})


class ChainView(Protocol):
    """Reads the consortium chain. All methods raise Unavailable when no node answers."""

    @property
    def chain_id(self) -> int:
        """The chain's id."""
        ...

    def domain(self, contract: str) -> Domain:
        """The EIP-712 domain of `Consortium`, `Catalog` or `CaseLedger`."""
        ...

    async def seat(self, number: int) -> SeatView:
        """A seat. Raises Invalid when there is none."""
        ...

    async def seat_by_id(self, department: str) -> SeatView:
        """The seat of a department. Raises Invalid when it has none."""
        ...

    async def binding(self, number: int) -> BindingView:
        """A binding. Raises Invalid when there is none."""
        ...

    async def version(self, version: str) -> tuple[str, str, int]:
        """Scenario id, newest texts hash and publisher's seat of a published version; an empty id when there is none."""
        ...

    async def status_of(self, case_id: str) -> tuple[Status, int, int]:
        """Status, sequence and binding of a case (`0x…`); NONE, 0, 0 for one that the ledger does not know."""
        ...
