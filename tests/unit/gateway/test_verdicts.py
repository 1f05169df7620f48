"""Verdicts: the same on the same inputs, another on others; two approvers; officers' decisions; what the operator is told."""

from __future__ import annotations

import pytest

from orchestrator.domain.case import Status
from orchestrator.domain.errors import Invalid, Refused
from orchestrator.protocol.jose import jws_hash, peek_jws
from orchestrator.protocol.officer import read_decision
from orchestrator.protocol.verdict import read_verdict
from orchestrator.rules.engine import ENGINE
from tests.support.approver import Approvers
from tests.support.services import paper

pytestmark = pytest.mark.anyio

FIRE, HEALTH, TAX = 4, 11, 6


async def test_verdicts__all_known_and_good__signed_with_its_why(gallery: Approvers) -> None:
    case = gallery.file()
    verdict, jws = await gallery.verdict(case)
    binding = gallery.consortium.binding
    assert peek_jws(jws)[0]["kid"] == gallery.consortium.seat(gallery.lead).keyset.key("evidence")["kid"]
    assert (verdict.case, verdict.sequence, verdict.binding) == (case.id, 1, binding.number)
    assert (verdict.version, verdict.role, verdict.engine) == (binding.version, "culture-tourism", ENGINE)
    assert verdict.mandates == (jws_hash(case.newest),)
    assert [(ref.id, ref.hash) for ref in verdict.materials] == [(each.id, each.hash) for each in case.materials]
    asked = {gallery.question(case, item.id).id for item in gallery.planned(case)}
    assert {answer.question for answer in verdict.answers} == asked
    hashes = {jws_hash(gallery.book.answers[question].answer) for question in asked}
    assert {answer.hash for answer in verdict.answers} == hashes
    assert (verdict.outcome, verdict.officer) == ("approve", None)


async def test_verdicts__same_inputs__same_verdict(gallery: Approvers) -> None:
    case = gallery.file()
    _, first = await gallery.verdict(case)
    _, again = await gallery.verdict(case)
    assert again == first


async def test_verdicts__new_attempt_of_an_answer__new_verdict_replaces_it(gallery: Approvers) -> None:
    case = gallery.file()
    first, jws = await gallery.verdict(case)
    gallery.say(case, "E06.company", attempt=2, not_on_serious_list=False)
    second, other = await gallery.verdict(case)
    assert other != jws
    assert (first.outcome, second.outcome, second.rows) == ("approve", "manual", ("GAL-05",))
    assert [answer.attempt for answer in second.answers if answer not in first.answers] == [2]
    assert (await gallery.verdict(case))[1] == other


async def test_verdicts__another_sequence__another_verdict(gallery: Approvers) -> None:
    case = gallery.file()
    _, first = await gallery.verdict(case)
    case.sequence = 2
    second, other = await gallery.verdict(case)
    assert (second.sequence, other == first) == (2, False)


@pytest.mark.parametrize(
    ("claim", "value", "outcome", "row"),
    [
        ("entity_in_operation", False, "manual", "GAL-01"),  # a refusal that an officer confirms
        ("scope_covers", False, "return", "GAL-04"),
        ("not_on_abnormal_list", False, "manual", "GAL-06"),
        ("household_older_than", False, "approve", "GAL-15"),
        ("no_seizure", "unknown", "manual", "COM-08"),
        ("household_in", "unknown", "return", "COM-07"),
    ],
)
async def test_verdicts__one_claim_otherwise__outcome_of_its_row(
    gallery: Approvers, claim: str, value: object, outcome: str, row: str
) -> None:
    case = gallery.file()
    gallery.answer(case, **{claim: value})
    verdict, _ = await gallery.verdict(case)
    assert (verdict.outcome, row in verdict.rows) == (outcome, True)


async def test_verdicts__mandate_replaced_since__not_judged_on_the_old_one(gallery: Approvers) -> None:
    first = gallery.file()
    await gallery.verdict(first)
    amended = gallery.amend(first, form={**gallery.service.form, "sells_relics": True})
    gallery.answer(amended)
    verdict, _ = await gallery.verdict(amended)
    assert (verdict.outcome, verdict.rows) == ("return", ("GAL-07",))
    # What the applicant has changed cannot be taken back by leaving it out.
    assert await gallery.refused(first) == ("superseded", [])
    first.sequence = 2
    assert await gallery.refused(first) == ("superseded", [])
    assert (await gallery.verdict(amended))[0] == verdict


async def test_verdicts__two_approvers__each_by_its_own_table_and_key(hall: Approvers) -> None:
    case = hall.file()
    fire, _ = await hall.verdict(case, seat=FIRE)
    health, jws = await hall.verdict(case, seat=HEALTH)
    assert (fire.role, fire.rows, fire.outcome) == ("fire-rescue", ("EXH-14",), "approve")
    assert (health.role, health.rows, health.outcome) == ("health", ("EXH-29",), "approve")
    with pytest.raises(Refused):
        read_verdict(jws, hall.consortium.seat(FIRE).keyset.key("evidence"))


async def test_verdicts__one_of_two_returns__only_that_one(hall: Approvers) -> None:
    case = hall.file(materials=[paper("hygiene-test-report", issued_on="2020-01-01", result="pass")])
    assert (await hall.verdict(case, seat=FIRE))[0].outcome == "approve"
    health, _ = await hall.verdict(case, seat=HEALTH)
    assert (health.outcome, health.rows) == ("return", ("EXH-21a",))


async def test_verdicts__officer_decided__the_decision_is_the_verdict(gallery: Approvers) -> None:
    case, officer = gallery.file(), await gallery.officer()
    gallery.answer(case, not_on_abnormal_list=False)
    assert (await gallery.verdict(case))[0].outcome == "manual"
    (item,) = [item for item in await officer.client.queue() if item["case"] == case.id]
    assert item["sequence"] == 2  # accepted under the first number, decided under the second
    await officer.client.decide(item, "approve", "已移出名录")
    gallery.consortium.chain.settle(case.id, Status.ACCEPTED, 1, 1)
    case.sequence = 2
    verdict, jws = await gallery.verdict(case)
    assert (verdict.outcome, verdict.rows) == ("approve", ("GAL-06",))
    assert verdict.officer is not None
    key = gallery.consortium.seat(gallery.lead).keyset.key("evidence")
    said, certificate = read_decision(verdict.officer.decision, verdict.officer.certificate, seat=gallery.lead, jwk=key)
    assert (said.case, said.sequence, said.outcome, said.reason) == (case.id, 2, "approve", "已移出名录")
    assert certificate.kid == officer.key.kid
    assert (await gallery.verdict(case))[1] == jws
    # The decision is of this number and these mandates only.
    case.sequence = 3
    assert (await gallery.verdict(case))[0].outcome == "manual"
    amended = gallery.amend(case)
    amended.sequence = 2
    gallery.answer(amended, not_on_abnormal_list=False)
    assert (await gallery.verdict(amended))[0].outcome == "manual"


async def test_verdicts__rules_decide_after_all__case_leaves_the_desk(gallery: Approvers) -> None:
    case, officer = gallery.file(), await gallery.officer()
    gallery.answer(case, not_on_abnormal_list=False)
    await gallery.verdict(case)
    assert case.id in {item["case"] for item in await officer.client.queue()}
    gallery.answer(case)
    await gallery.verdict(case)
    assert case.id not in {item["case"] for item in await officer.client.queue()}


async def test_verdicts__same_case_twice_in_one_request__one_verdict(gallery: Approvers) -> None:
    case = gallery.file()
    answer = await gallery.verdicts(case, case)
    assert len(answer["verdicts"]) == 1


# ---- what the operator is told


async def test_updates__decided__told_once_to_the_operator_alone(gallery: Approvers) -> None:
    seat = gallery.consortium.seat(gallery.lead)
    start = (await gallery.operator.updates(seat, 0))["next"]
    case, officer = gallery.file(), await gallery.officer()
    gallery.answer(case, not_on_abnormal_list=False)
    await gallery.verdict(case)
    (item,) = [item for item in await officer.client.queue() if item["case"] == case.id]
    await officer.client.decide(item, "approve", "可以")
    told = await gallery.operator.updates(seat, start)
    assert told["updates"] == [{"case": case.id, "sequence": 2, "decided": True}]
    assert told["next"] > start
    assert await gallery.operator.updates(seat, told["next"]) == {"updates": [], "next": told["next"]}
    async with gallery.client(TAX) as tax:
        assert await tax.updates(seat, 0) == {"updates": [], "next": 0}


async def test_updates__cursor_that_is_no_number__refused(gallery: Approvers) -> None:
    with pytest.raises(Invalid) as error:
        await gallery.operator.updates(gallery.consortium.seat(gallery.lead), "0")
    assert error.value.field == "since"


async def test_verdicts__asker_suspended__refused(gallery: Approvers) -> None:
    chain = gallery.consortium.chain
    chain.suspend(0)
    try:
        with pytest.raises(Refused) as error:
            await gallery.verdicts(gallery.file())
        assert error.value.code == "asker-suspended"
    finally:
        chain.suspend(0, active=True)
