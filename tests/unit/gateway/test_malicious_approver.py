"""One of two approvers is malicious: what its key and its gateway can do against the other one's honest gateway."""

from __future__ import annotations

import secrets
from typing import Any

import pytest

from orchestrator.domain.canonical import to_hex
from orchestrator.domain.case import Status
from orchestrator.domain.errors import Refused
from orchestrator.protocol.answer import read_answer
from orchestrator.protocol.jose import peek_jws, sign_jws
from orchestrator.protocol.mandate import Mandate, open_subject
from orchestrator.protocol.sealing import answer_info, unseal
from orchestrator.protocol.verdict import TYP, read_verdict
from tests.support.approver import Approvers, Filed, leaf, root_of

pytestmark = pytest.mark.anyio

FIRE, HEALTH = 4, 11
"""The lead, honest here, and the other one."""


async def judged(hall: Approvers, case: Filed) -> list[str]:
    return [(await hall.verdict(case, seat=seat))[1] for seat in (FIRE, HEALTH)]


def signed(hall: Approvers, seat: int, verdict: str, **changes: Any) -> str:
    """A verdict with these changes, by a seat's own evidence key."""
    return sign_jws(peek_jws(verdict)[1] | changes, typ=TYP, key=hall.consortium.keys[seat].evidence)


async def test_approver__writes_the_other_ones_verdict__no_sheet(hall: Approvers) -> None:
    case = hall.file()
    honest, own = await judged(hall, case)
    for other in (own, signed(hall, HEALTH, honest), signed(hall, HEALTH, honest, iss=f"seat:{HEALTH}")):
        transition = await hall.transition(case, Status.APPROVED, [honest, own]) | {"verdicts": [other, own]}
        assert await hall.sheet_refused(transition, seat=FIRE) == "verdict-missing"


async def test_approver__values_sealed_to_another_approver__do_not_open(hall: Approvers) -> None:
    case = hall.file()
    item = "E16.premises"
    envelope = hall.say(case, item)
    key = hall.consortium.seat(hall.consortium.provider(item)).keyset.key("evidence")
    keys = hall.consortium.keys
    lead = read_answer(envelope, key, private=keys[FIRE].sealing, seat=FIRE).claims
    other = read_answer(envelope, key, private=keys[HEALTH].sealing, seat=HEALTH).claims
    assert {"works_no", "works_level", "works_area", "works_valid_until"} <= lead.keys() - other.keys()
    info = answer_info(envelope.question, envelope.attempt, FIRE)
    with pytest.raises(Refused) as refused:
        unseal(keys[HEALTH].sealing, envelope.sealed[str(FIRE)], info=info)
    assert refused.value.code == "cannot-open"
    mandate = Mandate.model_validate(peek_jws(case.newest)[1])
    with pytest.raises(Refused):  # nor a subject in the place of the other one
        open_subject(mandate, "company", 0, seat=FIRE, key=keys[HEALTH].sealing)


async def test_approver__drops_an_answer_that_it_dislikes__the_other_one_has_it_and_the_omission_shows(
    hall: Approvers,
) -> None:
    """The other gateway fetches every answer itself, so its verdict stands against the approval; and the two signed lists of
    answers, the provider's log between them, show who left one out."""
    case = hall.file()
    hall.answer(case, not_on_abnormal_list=False)
    honest, own = await judged(hall, case)
    verdict = read_verdict(honest, hall.consortium.seat(FIRE).keyset.key("evidence"))
    assert verdict.outcome == "manual"
    disliked = hall.question(case, "E06.company").id
    kept = [each for each in peek_jws(own)[1]["answers"] if each["question"] != disliked]
    dropping = signed(hall, HEALTH, own, answers=kept, outcome="approve", rows=["EXH-29"], changes=[])
    approved = await hall.transition(case, Status.APPROVED, [honest, dropping])
    assert await hall.sheet_refused(approved, seat=FIRE) == "wrong-status"
    without_the_honest = approved | {"verdicts": [dropping, dropping]}
    assert await hall.sheet_refused(without_the_honest, seat=FIRE) == "verdict-missing"
    accepted = await hall.transition(case, Status.ACCEPTED, [honest, dropping])
    assert (await hall.sheets(accepted, seat=FIRE))["signed"] == [case.id]
    named = {each.question for each in verdict.answers}
    assert named - {each["question"] for each in peek_jws(dropping)[1]["answers"]} == {disliked}
    answer = next(each.hash for each in verdict.answers if each.question == disliked)
    assert ("answer", answer) in {(each["kind"], each["content"]) for each in accepted["leaves"]}


async def test_approver__swaps_the_dossier__the_other_one_does_not_sign(hall: Approvers) -> None:
    case = hall.file()
    verdicts = await judged(hall, case)
    transition = await hall.transition(case, Status.APPROVED, verdicts)
    foreign = to_hex(secrets.token_bytes(32))
    assert await hall.sheet_refused(transition | {"root": foreign}, seat=FIRE) == "wrong-root"
    swapped = [each if each["kind"] != "answer" else leaf("answer", foreign) for each in transition["leaves"]]
    body = transition | {"leaves": swapped, "root": root_of(swapped)}
    assert await hall.sheet_refused(body, seat=FIRE) == "dossier-incomplete"


async def test_approver__asks_the_other_one_for_a_second_outcome__no_second_sheet(hall: Approvers) -> None:
    case = hall.file()
    verdicts = await judged(hall, case)
    transition = await hall.transition(case, Status.APPROVED, verdicts)
    assert (await hall.sheets(transition, seat=FIRE))["signed"] == [case.id]
    more = [*transition["leaves"], leaf("answer", to_hex(secrets.token_bytes(32)))]
    other = transition | {"leaves": more, "root": root_of(more)}
    assert await hall.sheet_refused(other, seat=FIRE) == "other-outcome"
    # Its own verdict is another one now: what it said before is not what it would sign.
    changed = signed(hall, HEALTH, verdicts[1], outcome="refuse", rows=["EXH-20"])
    refusing = await hall.transition(case, Status.REFUSED, [verdicts[0], changed])
    assert await hall.sheet_refused(refusing, seat=FIRE) == "other-outcome"
