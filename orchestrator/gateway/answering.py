"""From an admitted question to its signed answer: what is asked of the records, who may read which claim."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import date
from typing import Any

from orchestrator.domain.errors import Invalid
from orchestrator.gateway.adapter import Adapter
from orchestrator.gateway.definitions import fits
from orchestrator.gateway.gate import Admitted, Reason
from orchestrator.gateway.records import Ask, ClaimAsk, Party, Value
from orchestrator.gateway.seat import Seat
from orchestrator.protocol.answer import AnswerEnvelope, build_answer
from orchestrator.protocol.mandate import Subject
from orchestrator.protocol.ports import ChainView
from orchestrator.protocol.question import Question

REFUSAL_LASTS = 3600
"""Seconds for which a signed refusal is in force."""

Recipients = Mapping[int, Mapping[str, Any]]
"""Approvers' sealing keys by seat."""


class Asks:
    """Makes the questions to the records of one batch; what items have in common is worked out once."""

    def __init__(self, adapter: Adapter) -> None:
        self._adapter = adapter
        self._claims: dict[tuple[str, str, str], tuple[ClaimAsk, ...] | None] = {}

    def of(self, admitted: Admitted) -> Ask | None:
        """What to read from the records; None when the adapter cannot make a claim of the item."""
        place = (admitted.binding.version, admitted.item.id, admitted.mandate.day)
        if place not in self._claims:
            self._claims[place] = self._common(admitted)
        claims = self._claims[place]
        if claims is None:
            return None
        if any(_is_reference(value, "attribute") for claim in claims for value in claim.params.values()):
            claims = tuple(replace(claim, params=_declared(claim.params, admitted.subject)) for claim in claims)
        return Ask(
            evidence=admitted.item.type,
            claims=claims,
            subject=_party(admitted.subject),
            others={slot: [_party(subject) for subject in subjects] for slot, subjects in admitted.others.items()},
        )

    def _common(self, admitted: Admitted) -> tuple[ClaimAsk, ...] | None:
        """The item's claims with the values that parameters of the scenario have on the day of the mandate."""
        item, scenario = admitted.item, admitted.scenario
        evidence = self._adapter.evidence.get(item.type)
        if evidence is None or not all(fits(claim.claim, claim.params, evidence) for claim in item.claims):
            return None
        day = date.fromisoformat(admitted.mandate.day)
        try:
            return tuple(
                ClaimAsk(
                    key=claim.key,
                    claim=claim.claim,
                    params={
                        name: scenario.parameter(value["parameter"], day)
                        if _is_reference(value, "parameter")
                        else value
                        for name, value in claim.params.items()
                    },
                )
                for claim in item.claims
            )
        except Invalid:  # a parameter without a value on that day
            return None


async def recipients_of(admitted: Iterable[Admitted], chain: ChainView) -> Recipients:
    """The sealing keys, from the keysets on chain, of all seats that some claim is sealed to."""
    seats = {
        seat
        for each in admitted
        for claim in each.item.claims
        for role in claim.sealed_to
        if (seat := _approver(role, each)) is not None
    }
    return {seat: (await chain.seat(seat)).keyset.key("sealing") for seat in seats}


def answer(
    admitted: Admitted,
    values: Mapping[str, Value],
    recipients: Recipients,
    *,
    attempt: int,
    seat: Seat,
    now: int,
) -> AnswerEnvelope:
    """The signed answer: open claims disclosed, the others sealed to the approvers that may read them."""
    open_claims: dict[str, Value] = {}
    sealed: dict[int, dict[str, Value]] = {}
    for claim in admitted.item.claims:
        if not claim.sealed_to:
            open_claims[claim.key] = values[claim.key]
        for role in claim.sealed_to:
            reader = _approver(role, admitted)
            if reader is not None:
                sealed.setdefault(reader, {})[claim.key] = values[claim.key]
    return build_answer(
        admitted.question,
        attempt=attempt,
        iss=seat.number,
        subject=admitted.commitment,
        iat=now,
        exp=now + admitted.item.max_age,
        key=seat.keys.evidence,
        open_claims=open_claims,
        sealed_claims=sealed,
        recipients=recipients,
    )


def sealed_to(admitted: Admitted) -> dict[str, list[int]]:
    """The seats that alone can read a claim, for each claim that is sealed."""
    return {
        claim.key: [seat for role in claim.sealed_to if (seat := _approver(role, admitted)) is not None]
        for claim in admitted.item.claims
        if claim.sealed_to
    }


def refusal(
    question: Question, reason: Reason, commitment: str, *, attempt: int, seat: Seat, now: int
) -> AnswerEnvelope:
    """The signed refusal of a question."""
    return build_answer(
        question,
        attempt=attempt,
        iss=seat.number,
        subject=commitment,
        iat=now,
        exp=now + REFUSAL_LASTS,
        key=seat.keys.evidence,
        result="refused",
        reason=str(reason),
    )


def _approver(role: str, admitted: Admitted) -> int | None:
    roles = admitted.scenario.approvers
    return admitted.binding.approvers[roles.index(role)] if role in roles else None


def _is_reference(value: Any, kind: str) -> bool:
    """Whether a claim's parameter is `{parameter: …}` or `{attribute: …}` rather than a literal."""
    return isinstance(value, dict) and value.keys() == {kind}


def _declared(params: Mapping[str, Any], subject: Subject) -> dict[str, Any]:
    """Parameters with what was declared about the subject; null where nothing was."""
    return {
        name: subject.attributes.get(value["attribute"]) if _is_reference(value, "attribute") else value
        for name, value in params.items()
    }


def _party(subject: Subject) -> Party:
    return Party(type=subject.type, id=subject.id, name=subject.name, attributes=subject.attributes)
