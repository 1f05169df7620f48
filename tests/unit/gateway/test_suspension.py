"""Suspension: only a genuine recall of what an approval rests on suspends it, and only officers' words end that."""

from __future__ import annotations

import time
from typing import Any

import pytest

from orchestrator.domain.case import Status
from orchestrator.domain.errors import Refused
from orchestrator.gateway.desk import REQUEST_TYP
from orchestrator.gateway.sheets import REVOCATION_TYP
from orchestrator.protocol.jose import SigningKey, jws_hash, peek_jws, sign_jws, verify_jws
from orchestrator.protocol.recall import Recall, sign_recall
from orchestrator.protocol.upholding import SignedAct, read_upholding, sign_upholding
from orchestrator.protocol.verdict import AnswerRef
from orchestrator.protocol.wire import seat_ref
from tests.support.approver import Approvers, Filed, leaf, root_of
from tests.unit.gateway.test_credentials import face

pytestmark = pytest.mark.anyio

FIRE, HEALTH, SOCIAL = 4, 11, 7
LEAVES: dict[str, list[dict[str, str]]] = {}
"""The dossier that a case was last signed with."""


def recall_of(world: Approvers, case: Filed, item: str, *, key: SigningKey | None = None, iat: int = 0) -> str:
    """The provider's recall of the answer to one item of a case."""
    provider = world.consortium.provider(item)
    envelope = world.book.answers[world.question(case, item).id]
    answer = AnswerRef(question=envelope.question, attempt=envelope.attempt, hash=jws_hash(envelope.answer))
    recall = Recall(iss=seat_ref(provider), answers=(answer,), reason="登记有误", iat=int(time.time()) + iat)
    return sign_recall(recall, key or world.consortium.keys[provider].evidence)


async def approved(world: Approvers, **changes: Any) -> Filed:
    """A case that every approver has approved, on the memory chain."""
    case = world.file(**changes)
    approvers = world.consortium.binding.approvers
    verdicts = [(await world.verdict(case, seat=seat))[1] for seat in approvers]
    transition = await world.transition(case, Status.APPROVED, verdicts)
    for seat in approvers:
        assert (await world.sheets(transition, seat=seat))["signed"] == [case.id]
    settle(world, case, transition)
    return case


def settle(world: Approvers, case: Filed, transition: dict[str, Any]) -> None:
    number = world.consortium.binding.number
    world.consortium.chain.settle(case.id, Status(transition["status"]), transition["sequence"], number)
    LEAVES[case.id] = transition["leaves"]
    case.sequence = transition["sequence"] + 1


def step(case: Filed, world: Approvers, status: Status, **papers: Any) -> dict[str, Any]:
    """The next transition of a case with its papers closed into its dossier."""
    leaves = list(LEAVES[case.id])
    known = {(each["kind"], each["content"]) for each in leaves}
    papers = {"recalls": [], "upholdings": [], "order": None} | papers
    wanted = [("recall", jws) for jws in papers["recalls"]] + [("upholding", jws) for jws in papers["upholdings"]]
    wanted += [("revocation", papers["order"])] if papers["order"] else []
    leaves += [leaf(kind, jws_hash(jws)) for kind, jws in wanted if (kind, jws_hash(jws)) not in known]
    return {
        "case": case.id,
        "sequence": case.sequence,
        "status": int(status),
        "binding": world.consortium.binding.number,
        "leaves": leaves,
        "root": root_of(leaves),
        "verdicts": [],
        "mandates": list(case.mandates),
        **papers,
    }


async def bring(world: Approvers, case: Filed, recall: str) -> None:
    """The operator brings a recall to every approver."""
    for number in world.consortium.binding.approvers:
        body = {"reviews": [{"case": case.id, "recall": recall}]}
        found = await world.operator.send(world.consortium.seat(number), "reviews", "reviews", body)
        assert found["opened"] == [case.id]


async def suspended(world: Approvers, item: str, **changes: Any) -> tuple[Filed, str]:
    """A case that is suspended for the recall of one item."""
    case = await approved(world, **changes)
    recall = recall_of(world, case, item)
    await bring(world, case, recall)
    transition = step(case, world, Status.SUSPENDED, recalls=[recall])
    assert (await world.sheets(transition))["signed"] == [case.id]
    settle(world, case, transition)
    return case, recall


async def upheld(world: Approvers, case: Filed, seat: int, name: str = "officer-17") -> str:
    """An officer of a seat lets the decision stand; what the operator is told."""
    officer = await world.officer(seat, name=name)
    await officer.client.uphold(case.id, "另有证据足以证明")
    told = (await world.operator.updates(world.consortium.seat(seat), 0))["updates"]
    return str([each["upheld"] for each in told if each["case"] == case.id][-1])


# ---- suspending


async def test_sheets__recalled_answer_that_suspends__lead_signs_once_it_is_on_its_desk(hall: Approvers) -> None:
    case = await approved(hall)
    recall = recall_of(hall, case, "E17.premises")
    transition = step(case, hall, Status.SUSPENDED, recalls=[recall])
    assert await hall.sheet_refused(transition) == "not-under-review"
    await bring(hall, case, recall)
    assert await hall.sheet_refused(transition, seat=HEALTH) == "not-lead"
    assert (await hall.sheets(transition))["signed"] == [case.id]


async def test_sheets__scenario_says_review__not_suspended(gallery: Approvers) -> None:
    case = await approved(gallery)
    recall = recall_of(gallery, case, "E06.company")
    await bring(gallery, case, recall)
    assert await gallery.sheet_refused(step(case, gallery, Status.SUSPENDED, recalls=[recall])) == "not-suspending"


async def test_sheets__recall_that_its_department_did_not_sign__not_suspended(gallery: Approvers) -> None:
    case = await approved(gallery)
    forged = recall_of(gallery, case, "E05.company", key=SigningKey.generate())
    body = {"reviews": [{"case": case.id, "recall": forged}]}
    found = await gallery.operator.send(gallery.consortium.seat(gallery.lead), "reviews", "reviews", body)
    assert found["refused"] == [{"case": case.id, "code": "bad-signature"}]
    for recalls in ([forged], []):
        transition = step(case, gallery, Status.SUSPENDED, recalls=recalls)
        assert await gallery.sheet_refused(transition) == "not-under-review"


async def test_sheets__genuine_recall_of_another_cases_answer__not_suspended(gallery: Approvers) -> None:
    case, other = await approved(gallery), await approved(gallery)
    recall = recall_of(gallery, other, "E05.company")
    await bring(gallery, other, recall)
    assert await gallery.sheet_refused(step(case, gallery, Status.SUSPENDED, recalls=[recall])) == "not-under-review"


async def test_sheets__recall_of_an_answer_that_the_approval_does_not_rest_on__not_suspended(
    gallery: Approvers,
) -> None:
    # Returned on the first answer, approved on the corrected one: the first one's recall touches no credential.
    case = gallery.file()
    gallery.answer(case, entity_name_matches=False)
    first = recall_of(gallery, case, "E05.company")
    verdict, returned = await gallery.verdict(case)
    assert verdict.outcome == "return"
    transition = await gallery.transition(case, Status.RETURNED, [returned])
    assert (await gallery.sheets(transition))["signed"] == [case.id]
    settle(gallery, case, transition)
    gallery.say(case, "E05.company", attempt=2)
    _, given = await gallery.verdict(case)
    transition = await gallery.transition(case, Status.APPROVED, [given], before=LEAVES[case.id])
    assert (await gallery.sheets(transition))["signed"] == [case.id]
    settle(gallery, case, transition)
    await bring(gallery, case, first)
    assert await gallery.sheet_refused(step(case, gallery, Status.SUSPENDED, recalls=[first])) == "not-suspending"


async def test_sheets__upheld_before_it_was_suspended__not_suspended(gallery: Approvers) -> None:
    case = await approved(gallery)
    recall = recall_of(gallery, case, "E05.company")
    await bring(gallery, case, recall)
    await upheld(gallery, case, gallery.lead)
    assert await gallery.sheet_refused(step(case, gallery, Status.SUSPENDED, recalls=[recall])) == "not-under-review"


async def test_sheets__dossier_lacks_the_recall_or_has_one_that_nobody_checked__refused(gallery: Approvers) -> None:
    case = await approved(gallery)
    recall = recall_of(gallery, case, "E05.company")
    await bring(gallery, case, recall)
    good = step(case, gallery, Status.SUSPENDED, recalls=[recall])
    for leaves in (LEAVES[case.id], [*good["leaves"], leaf("recall", "0x" + "11" * 32)]):
        bent = good | {"leaves": leaves, "root": root_of(leaves)}
        assert await gallery.sheet_refused(bent) == "dossier-incomplete"


# ---- counting again


async def test_sheets__every_approver_upheld__approved_again_on_all_their_sheets(hall: Approvers) -> None:
    case, recall = await suspended(hall, "E17.premises")
    again = step(case, hall, Status.APPROVED, recalls=[recall])
    for seat in (FIRE, HEALTH):
        assert await hall.sheet_refused(again, seat=seat) == "under-review"
    papers = [await upheld(hall, case, FIRE)]
    half = step(case, hall, Status.APPROVED, recalls=[recall], upholdings=papers)
    assert await hall.sheet_refused(half, seat=HEALTH) == "under-review"
    papers.append(await upheld(hall, case, HEALTH))
    whole = step(case, hall, Status.APPROVED, recalls=[recall], upholdings=papers)
    for seat in (FIRE, HEALTH):
        assert (await hall.sheets(whole, seat=seat))["signed"] == [case.id]


@pytest.mark.parametrize("bent", ["none", "of-the-other", "of-another-case", "forged", "hidden-recall", "verdicts"])
async def test_sheets__not_upheld_as_it_must_be__not_approved_again(hall: Approvers, bent: str) -> None:
    case, recall = await suspended(hall, "E13.premises")
    papers = [await upheld(hall, case, FIRE), await upheld(hall, case, HEALTH)]
    changes: dict[str, Any] = {"recalls": [recall], "upholdings": papers}
    code = "under-review"
    match bent:
        case "none":
            changes["upholdings"] = []
        case "of-the-other":
            changes["upholdings"] = papers[1:]
        case "of-another-case":
            other, _ = await suspended(hall, "E13.premises")
            changes["upholdings"] = [await upheld(hall, other, FIRE), papers[1]]
        case "forged":
            said = read_upholding(papers[0], hall.consortium.seat(FIRE))
            theirs = sign_upholding(
                seat=FIRE, case=case.id, recalls=said.recalls, reason="…", officers=said.officers, iat=said.iat,
                key=hall.consortium.keys[0].evidence,
            )  # fmt: skip
            changes["upholdings"], code = [theirs, papers[1]], "bad-signature"
        case "hidden-recall":
            changes["recalls"] = []
        case "verdicts":
            # The verdict that approved it once does not do so a second time.
            changes = {"verdicts": [str((await hall.verdict(case, seat=FIRE))[1])]}
    assert await hall.sheet_refused(step(case, hall, Status.APPROVED, **changes)) == code


async def test_sheets__recalled_once_more_while_suspended__upheld_for_both(gallery: Approvers) -> None:
    case, first = await suspended(gallery, "E05.company")
    papers = [await upheld(gallery, case, gallery.lead)]
    second = recall_of(gallery, case, "E09.premises")
    await bring(gallery, case, second)
    recalls = [first, second]
    assert await gallery.sheet_refused(step(case, gallery, Status.APPROVED, recalls=[first], upholdings=papers)) == (
        "under-review"
    )
    papers.append(await upheld(gallery, case, gallery.lead))
    again = step(case, gallery, Status.APPROVED, recalls=recalls, upholdings=papers)
    assert (await gallery.sheets(again))["signed"] == [case.id]


async def test_sheets__suspended_a_second_time__only_for_a_new_recall(gallery: Approvers) -> None:
    case, first = await suspended(gallery, "E05.company")
    papers = [await upheld(gallery, case, gallery.lead)]
    again = step(case, gallery, Status.APPROVED, recalls=[first], upholdings=papers)
    assert (await gallery.sheets(again))["signed"] == [case.id]
    settle(gallery, case, again)
    assert await gallery.sheet_refused(step(case, gallery, Status.SUSPENDED, recalls=[first])) == "not-under-review"
    second = recall_of(gallery, case, "E05.company", iat=1)
    await bring(gallery, case, second)
    once_more = step(case, gallery, Status.SUSPENDED, recalls=[first, second])
    assert (await gallery.sheets(once_more))["signed"] == [case.id]


# ---- revoking


async def test_revoke__suspended_case__order_good_for_a_sheet(gallery: Approvers) -> None:
    case, _ = await suspended(gallery, "E05.company")
    officer = await gallery.officer()
    made = await officer.client.revoke(case.id, "登记确有错误")
    told = (await gallery.operator.updates(gallery.consortium.seat(gallery.lead), 0))["updates"]
    (order,) = [each["order"] for each in told if each["case"] == case.id]
    assert jws_hash(order) == made["order"]
    transition = step(case, gallery, Status.REVOKED, order=order)
    assert (await gallery.sheets(transition))["signed"] == [case.id]
    assert case.id not in [each["case"] for each in await officer.client.reviews()]


async def test_revoke__suspension_on_its_way__told_to_wait(gallery: Approvers) -> None:
    case = await approved(gallery)
    recall = recall_of(gallery, case, "E05.company")
    await bring(gallery, case, recall)
    await gallery.sheets(step(case, gallery, Status.SUSPENDED, recalls=[recall]))
    with pytest.raises(Refused) as error:
        await (await gallery.officer()).client.revoke(case.id, "登记确有错误")
    assert error.value.code == "suspending"


async def test_revoke__ordered_before_the_recall__not_suspended_on_top(gallery: Approvers) -> None:
    case = await approved(gallery)
    recall = recall_of(gallery, case, "E05.company")
    await (await gallery.officer()).client.revoke(case.id, "另有原因")
    await bring(gallery, case, recall)
    transition = step(case, gallery, Status.SUSPENDED, recalls=[recall])
    assert await gallery.sheet_refused(transition) == "revocation-ordered"


# ---- two officers


async def test_uphold__second_officer_wanted__both_have_signed(benefit: Approvers) -> None:
    case, recall = await suspended(benefit, "E24.claimant", face=face())
    first, second = await benefit.officer(name="officer-17"), await benefit.officer(name="officer-18")
    assert (await first.client.uphold(case.id, "已核实"))["awaits_second"] is True
    (found,) = [each for each in await second.client.reviews() if each["case"] == case.id]
    assert found["awaits"] == {"officer": "officer-17", "act": "uphold", "reason": "已核实"}
    with pytest.raises(Refused) as error:
        await first.client.uphold(case.id, "已核实")
    assert error.value.code == "same-officer"
    paper = await upheld(benefit, case, SOCIAL, name="officer-18")
    seat = benefit.consortium.seat(SOCIAL)
    read = read_upholding(paper, seat, two=True)
    assert [peek_jws(each.certificate)[1]["sub"] for each in read.officers] == ["officer-17", "officer-18"]
    for officers in (read.officers[:1], (read.officers[0], read.officers[0])):
        alone = sign_upholding(
            seat=SOCIAL, case=case.id, recalls=read.recalls, reason="…", officers=officers, iat=read.iat,
            key=benefit.consortium.keys[SOCIAL].evidence,
        )  # fmt: skip
        transition = step(case, benefit, Status.APPROVED, recalls=[recall], upholdings=[alone])
        assert await benefit.sheet_refused(transition) == "not-countersigned"
    transition = step(case, benefit, Status.APPROVED, recalls=[recall], upholdings=[paper])
    assert (await benefit.sheets(transition))["signed"] == [case.id]


async def test_revoke__second_officer_wanted__no_order_of_one(benefit: Approvers) -> None:
    case, _ = await suspended(benefit, "E26.claimant", face=face())
    first, second = await benefit.officer(name="officer-17"), await benefit.officer(name="officer-18")
    await first.client.uphold(case.id, "已核实")
    # They do not agree: the second one's word begins anew.
    assert (await second.client.revoke(case.id, "已领取养老金"))["order"] is None
    made = await first.client.revoke(case.id, "已领取养老金")
    told = (await benefit.operator.updates(benefit.consortium.seat(SOCIAL), 0))["updates"]
    (order,) = [each["order"] for each in told if each["case"] == case.id]
    assert jws_hash(order) == made["order"]
    read = verify_jws(order, typ=REVOCATION_TYP, jwk=benefit.consortium.seat(SOCIAL).keyset.key("evidence"))
    names = [peek_jws(read[name]["certificate"])[1]["sub"] for name in ("officer", "second")]
    assert names == ["officer-18", "officer-17"]


@pytest.mark.parametrize("changes", [{"act": "revoke"}, {"case": "0x" + "11" * 32}, {"recalls": []}])
async def test_read_upholding__officer_signed_something_else__refused(
    gallery: Approvers, changes: dict[str, Any]
) -> None:
    # An order to revoke, or a word on another case, is no upholding.
    case, _ = await suspended(gallery, "E05.company")
    paper, seat = await upheld(gallery, case, gallery.lead), gallery.consortium.seat(gallery.lead)
    read = read_upholding(paper, seat)
    officer = await gallery.officer()
    bends = {"certificate": officer.certificate, "iat": int(time.time())} | changes
    payload = peek_jws(read.officers[0].request)[1] | bends
    act = SignedAct(certificate=officer.certificate, request=sign_jws(payload, typ=REQUEST_TYP, key=officer.key))
    bent = sign_upholding(
        seat=gallery.lead, case=case.id, recalls=read.recalls, reason="…", officers=[act], iat=read.iat,
        key=gallery.consortium.keys[gallery.lead].evidence,
    )  # fmt: skip
    with pytest.raises(Refused) as error:
        read_upholding(bent, seat)
    assert error.value.code == "wrong-officer"
