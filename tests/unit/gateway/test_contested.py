"""Contests at an approver: nothing is decided while a department is asked; no rule alone decides against who contested."""

from __future__ import annotations

import asyncio

import pytest

from orchestrator.domain.case import Status
from orchestrator.domain.errors import Refused
from orchestrator.gateway.mandates import MandateReader
from orchestrator.gateway.replay import replay
from orchestrator.gateway.verdicts import RulesByVersion
from orchestrator.protocol.contest import Carried
from orchestrator.protocol.jose import jws_hash
from tests.support.approver import Approvers, Filed, root_of
from tests.support.contests import contest_of, replied, statement_to

pytestmark = pytest.mark.anyio

ITEM, MARKET = "E05.company", 1
RETURNS = {"scope_covers": False}
"""With this claim the rules send a case back by themselves."""


def contested(approvers: Approvers, filed: Filed, *, days: int = 14, **changes: object) -> str:
    """The case's applicant contests the market supervision's answer; the contest's JWS."""
    envelope = approvers.book.answers[approvers.question(filed, ITEM).id]
    statement = statement_to(approvers.consortium, MARKET)
    return contest_of(approvers.consortium, filed.newest, envelope, statement, days=days, **changes)


def hand_out(approvers: Approvers, case: Filed, carried: Carried) -> None:
    """The provider hands the contest out with its answers."""
    approvers.book.contests[approvers.question(case, ITEM).id] = [carried]


async def test_verdicts__contest_open__none_given_whether_operator_or_provider_brings_it(gallery: Approvers) -> None:
    case = gallery.file()
    carried = Carried(contest=contested(gallery, case))

    brought = await gallery.refused(case.body(contests=[carried.model_dump()]))
    assert brought == ("contested", [])
    # An operator that says nothing of it changes nothing.
    hand_out(gallery, case, carried)
    assert await gallery.refused(case) == ("contested", [])


async def test_verdicts__contest_open__the_case_leaves_the_officers_desk(gallery: Approvers) -> None:
    officer, case = await gallery.officer(), gallery.file()
    gallery.say(case, "E06.company", not_on_abnormal_list=False)
    assert (await gallery.verdict(case))[0].outcome == "manual"
    (item,) = [each for each in await officer.client.queue() if each["case"] == case.id]

    hand_out(gallery, case, Carried(contest=contested(gallery, case)))
    await gallery.refused(case)

    assert case.id not in {each["case"] for each in await officer.client.queue()}
    with pytest.raises(Refused) as gone:
        await officer.client.decide(item, "refuse", "…")
    assert gone.value.code == "not-found"


@pytest.mark.parametrize("days", [-1, 14])
async def test_verdicts__claim_stands__rules_alone_do_not_decide_against_the_applicant(
    gallery: Approvers, days: int
) -> None:
    """Rejected within the term, or the term over without a reply."""
    case = gallery.file(answered=False)
    gallery.answer(case, **RETURNS)
    assert (await gallery.verdict(case))[0].outcome == "return"
    contest = contested(gallery, case, days=days)
    carried = Carried(contest=contest) if days < 0 else replied(gallery.consortium, contest, "rejected")
    hand_out(gallery, case, carried)

    verdict, _ = await gallery.verdict(case)

    assert (verdict.outcome, verdict.rows) == ("manual", ("GAL-04",))
    (named,) = verdict.contests
    assert named.contest == jws_hash(contest)
    assert named.reply == (None if days < 0 else jws_hash(carried.reply or ""))
    officer = await gallery.officer()
    (item,) = [each for each in await officer.client.queue() if each["case"] == case.id]
    (shown,) = (await officer.client.look(case.id))["contests"]
    assert shown["outcome"] == ("unanswered" if days < 0 else "rejected")
    assert shown["reason"] == (None if days < 0 else "登记簿无误")
    case.sequence = 2
    await asyncio.sleep(1)  # the officer's second is not that of the contest
    await officer.client.decide(item, "refuse", "经营范围确不含艺术品经营")
    assert (await gallery.verdict(case))[0].outcome == "refuse"


async def test_verdicts__claim_stands_but_rules_approve__approved_with_the_contest_on_record(
    gallery: Approvers,
) -> None:
    case = gallery.file()
    hand_out(gallery, case, replied(gallery.consortium, contested(gallery, case), "rejected"))

    verdict, _ = await gallery.verdict(case)

    assert (verdict.outcome, len(verdict.contests)) == ("approve", 1)


async def test_verdicts__corrected__the_new_answer_counts_like_any_other(gallery: Approvers) -> None:
    case = gallery.file(answered=False)
    gallery.answer(case, **RETURNS)
    hand_out(gallery, case, replied(gallery.consortium, contested(gallery, case), "corrected"))
    assert (await gallery.verdict(case))[0].outcome == "return"
    gallery.say(case, ITEM, attempt=2)

    assert (await gallery.verdict(case))[0].outcome == "approve"


async def test_verdicts__officer_decided_before_the_reply__decides_once_more(gallery: Approvers) -> None:
    officer, case = await gallery.officer(), gallery.file()
    gallery.say(case, "E06.company", not_on_abnormal_list=False)
    await gallery.verdict(case)
    (item,) = [each for each in await officer.client.queue() if each["case"] == case.id]
    await officer.client.decide(item, "refuse", "…")
    case.sequence = 2
    assert (await gallery.verdict(case))[0].outcome == "refuse"

    hand_out(gallery, case, replied(gallery.consortium, contested(gallery, case), "rejected", age=-5))
    verdict, _ = await gallery.verdict(case)

    assert (verdict.outcome, verdict.officer) == ("manual", None)
    assert case.id in {each["case"] for each in await officer.client.queue()}


async def test_verdicts__contest_made_up_or_of_another_case__does_not_count(gallery: Approvers) -> None:
    case, other = gallery.file(), gallery.file()
    operator = gallery.consortium.keys[0].request
    for faulty in (
        contested(gallery, case, key=operator),
        contested(gallery, other),
        contested(gallery, case, case=other.id),
        contested(gallery, case, aud="seat:6"),
    ):
        hand_out(gallery, case, Carried(contest=faulty))
        verdict, _ = await gallery.verdict(case)
        assert (verdict.outcome, verdict.contests) == ("approve", ())


async def test_verdicts__reply_that_the_department_did_not_sign__still_waits(gallery: Approvers) -> None:
    case = gallery.file()
    contest = contested(gallery, case)
    forged = replied(gallery.consortium, contest, "rejected", key=gallery.consortium.keys[0].request)
    hand_out(gallery, case, Carried(contest=contest))

    assert await gallery.refused(case.body(contests=[forged.model_dump()])) == ("contested", [])


async def test_verdicts__amended_since__a_contest_under_the_earlier_mandate_still_counts(gallery: Approvers) -> None:
    case = gallery.file()
    hand_out(gallery, case, Carried(contest=contested(gallery, case)))
    amended = gallery.amend(case)
    gallery.answer(amended)

    assert await gallery.refused(amended) == ("contested", [])


async def test_sheets__dossier_without_contest_or_reply__not_signed(gallery: Approvers) -> None:
    case = gallery.file(answered=False)
    gallery.answer(case, **RETURNS)
    carried = replied(gallery.consortium, contested(gallery, case), "rejected")
    hand_out(gallery, case, carried)
    verdict, jws = await gallery.verdict(case)
    assert verdict.outcome == "manual"

    whole = await gallery.transition(case, Status.ACCEPTED, [jws])
    assert (await gallery.sheets(whole))["signed"] == [case.id]
    for kind in ("contest", "reply"):
        leaves = [leaf for leaf in whole["leaves"] if leaf["kind"] != kind]
        assert len(leaves) == len(whole["leaves"]) - 1
        lacking = whole | {"leaves": leaves, "root": root_of(leaves)}
        assert await gallery.sheet_refused(lacking) == "dossier-incomplete"


async def test_replay__contest_handed_out_by_the_provider__same_decision(gallery: Approvers) -> None:
    case = gallery.file(answered=False)
    gallery.answer(case, **RETURNS)
    hand_out(gallery, case, replied(gallery.consortium, contested(gallery, case), "rejected"))
    assert (await gallery.verdict(case))[0].outcome == "manual"

    found = await replay(
        case.id,
        seat=gallery.seats[gallery.lead],
        chain=gallery.consortium.chain,
        reader=MandateReader(),
        rules=RulesByVersion(),
    )

    assert (found.outcome, found.differences) == ("manual", ())
