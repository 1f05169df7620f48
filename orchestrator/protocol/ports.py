"""The chain as the protocol's readers see it. `ledger/view.py` implements it; gateways and the identity seat use it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from orchestrator.domain.case import Status
from orchestrator.domain.errors import Invalid, Refused
from orchestrator.domain.scenario import Scenario
from orchestrator.domain.scenario_parts import EvidenceItem
from orchestrator.protocol.jose import kid_of, peek_jws
from orchestrator.protocol.keyset import Keyset
from orchestrator.protocol.querylog import Head
from orchestrator.protocol.sheet import Domain
from orchestrator.protocol.wire import CLOCK_SKEW, is_int


@dataclass(frozen=True, slots=True, kw_only=True)
class PastKeyset:
    """A keyset that a rotation replaced."""

    keyset: Keyset
    until: int
    """When the rotation's block was made, seconds since 1970 (UTC)."""
    signer: str = ""
    """The chain key's address, EIP-55."""

    @property
    def counts_until(self) -> int:
        """The last `iat` at which its keys count: clocks differ, and a process learns of a block a moment after it."""
        return self.until + CLOCK_SKEW


@dataclass(frozen=True, slots=True, kw_only=True)
class SeatView:
    """A seat as the chain has it now."""

    number: int
    keyset: Keyset
    signer: str
    """Address that signs for the seat on chain, EIP-55."""
    active: bool
    """False while suspended and once removed: what it signs does not count."""
    past: tuple[PastKeyset, ...] = ()
    """What it held before, oldest first."""

    def key_of(self, use_for: str, token: str) -> dict[str, Any]:
        """The public JWK by which `token`, a compact JWS with an `iat`, must verify: the one that its `kid` names, of now or
        of the token's day. A rotation ends what the replaced key signs, not what it signed.

        Who holds the old key can still date back: a seat whose key was stolen is suspended, not only rotated. Raises
        Refused("bad-signature") when the seat never had that key for `use_for`, or had replaced it before
        `iat` (`PastKeyset.counts_until`); Invalid
        when the seat has no key for `use_for`.
        """
        kid, current = kid_of(token), self.keyset.key(use_for)
        if current["kid"] == kid:
            return current
        for past in reversed(self.past):
            for jwk in past.keyset.keys:
                if (jwk["use_for"], jwk["kid"]) == (use_for, kid):
                    issued = peek_jws(token)[1].get("iat")
                    if is_int(issued) and issued <= past.counts_until:
                        return jwk
                    raise _not_in_force("the key was replaced before the token was signed")
        raise _not_in_force("the seat never had this key")

    def knows(self, use_for: str, token: str) -> bool:
        """Whether the key that `token` names is or was one of this seat's; what is no token names none that could be missing."""
        try:
            kid = kid_of(token)
        except Refused:
            return True
        keysets = (self.keyset, *(past.keyset for past in self.past))
        return any((jwk["use_for"], jwk["kid"]) == (use_for, kid) for keyset in keysets for jwk in keyset.keys)

    def signed_by(self, address: str, now: int) -> bool:
        """Whether an address is the seat's chain key at `now`, or was it a moment ago."""
        return address == self.signer or any(address == past.signer and now <= past.counts_until for past in self.past)


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


class Places(Protocol):
    """Who plays which role: a binding, or one that is proposed."""

    @property
    def identity(self) -> int:
        """The identity seat."""
        ...

    @property
    def providers(self) -> Sequence[int]:
        """Seats in the order of the definition's provider roles."""
        ...


def provider_of(item: EvidenceItem, scenario: Scenario, places: Places) -> int:
    """The seat that answers an item. Raises Invalid when nobody plays its provider role."""
    if item.source == "mandate":
        return places.identity
    for role, seat in zip(scenario.providers, places.providers, strict=False):
        if role == item.provider:
            return seat
    raise Invalid(
        field="binding.providers",
        detail="落地没有该数据提供部门",
        detail_en="nobody plays the item's provider role in this binding",
        remedy="请重新落地 / bind the scenario again",
        code="no-provider",
    )


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

    async def seats(self) -> Sequence[SeatView]:
        """Every seat, by number."""
        ...

    async def seat_by_id(self, department: str) -> SeatView:
        """The seat of a department. Raises Invalid when it has none."""
        ...

    async def look_again(self) -> None:
        """Reads up to the newest block, unless that was done a moment ago."""
        ...

    async def binding(self, number: int) -> BindingView:
        """A binding. Raises Invalid when there is none."""
        ...

    async def bindings(self) -> Sequence[BindingView]:
        """Every binding there ever was, by number."""
        ...

    async def version(self, version: str) -> tuple[str, str, int]:
        """Scenario id, newest texts hash and publisher's seat of a published version; an empty id when there is none."""
        ...

    async def status_of(self, case_id: str) -> tuple[Status, int, int]:
        """Status, sequence and binding of a case (`0x…`); NONE, 0, 0 for one that the ledger does not know."""
        ...

    async def statuses(self, case_ids: Sequence[str]) -> list[tuple[Status, int, int]]:
        """The same for many cases, in order, in one request."""
        ...


class Heads(Protocol):
    """What the chain has of the seats' query logs; `ledger/proofs.py` implements it."""

    async def anchored(self, seat: int) -> Head | None:
        """A seat's newest anchored log head; None while it has none. Raises Unavailable and Diverged."""
        ...


async def seat_knowing(chain: ChainView, seat: SeatView, use_for: str, tokens: Iterable[str]) -> SeatView:
    """The seat, seen anew when it does not know the key of one of these tokens: its keys may have changed just now."""
    if all(seat.knows(use_for, token) for token in tokens):
        return seat
    await chain.look_again()
    return await chain.seat(seat.number)


def _not_in_force(detail_en: str) -> Refused:
    return Refused("签署所用密钥当时并非该席位所有", detail_en=detail_en, code="bad-signature")
