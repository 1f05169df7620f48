"""An officer's reading of what the seat is asked to sign: hashed on the officer's own side, then compared in words.

The gateway hands out documents, not a summary: what the officer reads is worked out from documents whose hashes stand in
the proposal that the officer's word names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from orchestrator.domain.catalogue import Catalogue
from orchestrator.domain.difference import Change, compare
from orchestrator.domain.errors import Refused
from orchestrator.domain.scenario import Scenario
from orchestrator.domain.vocabulary import Words
from orchestrator.domain.wording import Seating
from orchestrator.protocol.ports import ChainView
from orchestrator.protocol.proposal import Proposal, Seats
from orchestrator.protocol.wire import read_model


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """A proposal with the scenario that it is about, and what it is compared with."""

    proposal: Proposal
    scenario: Scenario | None
    """None for a retirement, which says all in the proposal."""
    before: Scenario | None
    """What the seat signed before, or the version that the officer asked for; None when there is nothing."""
    signed: Proposal | None
    """How `before` was signed; None when the officer asked for a version."""
    decisions: tuple[Mapping[str, Any], ...]
    """What officers said to this proposal: {outcome, reason, officer, at, …}."""

    @classmethod
    def of(cls, answer: Mapping[str, Any], wanted: str, seat: int, chain: ChainView) -> Self:
        """What a gateway answered to a look at the proposal `wanted`. Raises Refused (code `not-as-hashed`) unless
        everything is what its hash says, for this seat and chain; Invalid for documents that are no scenario."""
        proposal = read_model(Proposal, answer.get("proposal"), code="bad-gateway")
        place = (proposal.seat, proposal.chain, proposal.catalog)
        _require(proposal.hash == wanted and place == (seat, chain.chain_id, chain.domain("Catalog").contract))
        scenario, before, signed = None, None, None
        if proposal.kind != "retirement":
            scenario = Scenario.from_documents(answer["definition"], answer["texts"])
            _require(_names(scenario) == (proposal.scenario, proposal.version, proposal.texts))
        if (there := answer.get("before")) is not None:
            before = Scenario.from_documents(there["definition"], there["texts"])
            if there["proposal"] is not None:
                signed = read_model(Proposal, there["proposal"], code="bad-gateway")
                _require(_names(before) == (signed.scenario, signed.version, signed.texts))
        return cls(
            proposal=proposal,
            scenario=scenario,
            before=before,
            signed=signed,
            decisions=tuple(answer.get("decisions", ())),
        )

    def changes(self, names: Mapping[int, Words], catalogue: Catalogue | None = None) -> tuple[Change, ...]:
        """What changes, in words; `names` are the seats'. Of a retirement nothing does."""
        if self.scenario is None:
            return ()
        now = seating_of(self.scenario, self.proposal.seats, names)
        then = seating_of(self.before, self.signed.seats, names) if self.before and self.signed else None
        return compare(self.before, self.scenario, catalogue=catalogue, seated_before=then, seated=now)


def seating_of(scenario: Scenario, seats: Seats | None, names: Mapping[int, Words]) -> Seating | None:
    """Who plays which role of a scenario, by name."""
    if seats is None:
        return None

    def named(seat: int) -> Words:
        known = names.get(seat)
        return (
            Words(f"{known.zh}(席位 {seat})", f"{known.en} (seat {seat})")
            if known
            else Words(f"席位 {seat}", f"seat {seat}")
        )

    return Seating(
        region=seats.region,
        identity=named(seats.identity),
        operator=named(seats.operator),
        approvers=dict(zip(scenario.approvers, map(named, seats.approvers), strict=False)),
        providers=dict(zip(scenario.providers, map(named, seats.providers), strict=False)),
    )


def _names(scenario: Scenario) -> tuple[str, str, str]:
    return scenario.id, scenario.version, scenario.texts_hash


def _require(right: bool) -> None:
    if not right:
        raise Refused(
            "网关给出的文件与签署请求的哈希不符",
            detail_en="the gateway's documents are not those that the proposal's hashes name",
            code="not-as-hashed",
            remedy="不要同意;联系网关管理员 / do not approve; call whoever runs the gateway",
        )
