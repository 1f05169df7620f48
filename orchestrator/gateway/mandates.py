"""Mandates as they are presented to a seat: whose key must have signed them, and whether it did.

A mandate is verified once per process and kept, parsed, under its hash and the key that verified it.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from orchestrator.domain.canonical import from_hex, to_hex
from orchestrator.domain.errors import Invalid, Refused
from orchestrator.gateway.gate import Presented, Reason
from orchestrator.gateway.store import StoredMandate
from orchestrator.protocol.jose import jws_hash, peek_jws
from orchestrator.protocol.mandate import MAX_MANDATE, Mandate, case_id
from orchestrator.protocol.ports import BindingView, ChainView, SeatView, seat_knowing
from orchestrator.protocol.wire import is_int, seat_number

_MOST_KEPT: Final = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class MandatesRead:
    """What came of the mandates of one batch."""

    verdicts: Mapping[str, Presented | Reason]
    """By mandate hash."""
    signed: Mapping[str, str]
    """The good ones as they were signed, by hash."""
    bindings: Mapping[int, BindingView]
    identities: Mapping[int, SeatView]
    """The bindings' identity seats by number."""

    def stored(self) -> list[StoredMandate]:
        """The good ones as the store keeps them."""
        rows = []
        for mandate_hash, jws in self.signed.items():
            presented = self.verdicts[mandate_hash]
            assert isinstance(presented, Presented)
            previous = presented.mandate.previous
            rows.append(
                StoredMandate(
                    hash=from_hex(mandate_hash),
                    case_id=from_hex(presented.case),
                    kind=presented.mandate.kind,
                    previous=None if previous is None else from_hex(previous),
                    jws=jws,
                    issuer=seat_number(presented.mandate.iss),
                )
            )
        return rows

    def cases(self) -> set[tuple[bytes, int]]:
        """Id and identity seat of every case that a good mandate here belongs to."""
        return {each.under for each in self.verdicts.values() if isinstance(each, Presented)}

    def withdrawn(self, known: Iterable[tuple[bytes, int]]) -> frozenset[tuple[bytes, int]]:
        """The cases that were withdrawn, each with its identity seat: those `known` to be (`Store.withdrawn`), and those whose
        withdrawal is among these mandates. Only the seat that issued a case's mandates can withdraw it."""
        good = (each for each in self.verdicts.values() if isinstance(each, Presented))
        return frozenset(known) | {each.under for each in good if each.mandate.kind == "withdrawal"}

    def replaced(self, known: Iterable[tuple[bytes, str, str]]) -> dict[str, str]:
        """Which of these mandates a later one replaced, and its kind.

        `known` are followers from the store (`Store.followers`). Only the seat that issued a mandate can replace it.
        """
        followers = [(to_hex(previous), kind, peek_jws(jws)[1].get("iss")) for previous, kind, jws in known]
        for presented in self.verdicts.values():
            if isinstance(presented, Presented) and presented.mandate.previous is not None:
                followers.append((presented.mandate.previous, presented.mandate.kind, presented.mandate.iss))
        kinds: dict[str, str] = {}
        for previous, kind, issuer in followers:
            replaced = self.verdicts.get(previous)
            if isinstance(replaced, Presented) and replaced.mandate.iss == issuer:
                kinds[previous] = max(kind, kinds.get(previous, ""))  # a withdrawal outweighs an amendment
        return kinds


@dataclass(frozen=True, slots=True, kw_only=True)
class MandateReader:
    """Verifies mandates against the chain; shared by the seats of a process."""

    kept: OrderedDict[tuple[str, str], Presented] = field(default_factory=OrderedDict)

    async def read(self, presented: Iterable[str], chain: ChainView) -> MandatesRead:
        """Reads compact JWSs. A token that is no mandate at all counts as forged. Raises Unavailable without a chain."""
        tokens = {jws_hash(jws): jws for jws in presented if jws.isascii()}
        numbers = {mandate_hash: _binding_number(jws) for mandate_hash, jws in tokens.items()}
        bindings = await _bindings({number for number in numbers.values() if number is not None}, chain)
        by_identity: dict[int, list[str]] = {binding.identity: [] for binding in bindings.values()}
        for mandate_hash, number in numbers.items():
            if number in bindings:
                by_identity[bindings[number].identity].append(tokens[mandate_hash])
        identities = {
            number: await seat_knowing(chain, await chain.seat(number), "identity", theirs)
            for number, theirs in by_identity.items()
        }
        verdicts: dict[str, Presented | Reason] = {}
        for position, (mandate_hash, jws) in enumerate(tokens.items()):
            number = numbers[mandate_hash]
            if number is None:
                verdicts[mandate_hash] = Reason.FORGED_MANDATE
            elif number not in bindings:
                verdicts[mandate_hash] = Reason.UNKNOWN_BINDING
            else:
                verdicts[mandate_hash] = self._verified(mandate_hash, jws, identities[bindings[number].identity])
            if position % 32 == 31:
                await asyncio.sleep(0)  # others of this process get their turn between slices of a large batch
        return MandatesRead(
            verdicts=verdicts,
            signed={
                mandate_hash: jws
                for mandate_hash, jws in tokens.items()
                if isinstance(verdicts[mandate_hash], Presented)
            },
            bindings=bindings,
            identities=identities,
        )

    def _verified(self, mandate_hash: str, jws: str, identity: SeatView) -> Presented | Reason:
        try:
            jwk = identity.key_of("identity", jws)
            place = (mandate_hash, str(jwk["kid"]))
            if place not in self.kept:
                mandate = Mandate.parse(jws, jwk, issuer=identity.number)
                case = case_id(jws) if mandate.case is None else mandate.case
                self.kept[place] = Presented(mandate=mandate, case=case)
                if len(self.kept) > _MOST_KEPT:
                    self.kept.popitem(last=False)
            return self.kept[place]
        except (Refused, Invalid):
            return Reason.FORGED_MANDATE


def _binding_number(jws: str) -> int | None:
    """The binding that a token says it is under, unverified."""
    try:
        number = peek_jws(jws, MAX_MANDATE)[1].get("binding")
    except Refused:
        return None
    return number if is_int(number) else None


async def _bindings(numbers: Iterable[int], chain: ChainView) -> dict[int, BindingView]:
    found = {}
    for number in numbers:
        try:
            found[number] = await chain.binding(number)
        except Invalid:
            continue
    return found
