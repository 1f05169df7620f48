"""Reviews: a decision is put before the officers only when the answer it rests on was recalled by the seat that gave it."""

from __future__ import annotations

import time
from typing import Any

import pytest

from orchestrator.domain.case import Status
from orchestrator.domain.errors import Refused
from orchestrator.protocol.jose import SigningKey, jws_hash
from orchestrator.protocol.recall import Recall, sign_recall
from orchestrator.protocol.upholding import read_upholding
from orchestrator.protocol.verdict import AnswerRef
from orchestrator.protocol.wire import seat_ref
from tests.support.approver import Approvers, Filed

pytestmark = pytest.mark.anyio

ITEM = "E06.company"


def taken_back(gallery: Approvers, case: Filed, *, iss: int | None = None, key: SigningKey | None = None) -> str:
    """The provider's recall of one answer of a case, unless another seat or key is given."""
    provider = gallery.consortium.provider(ITEM)
    envelope = gallery.book.answers[gallery.question(case, ITEM).id]
    answer = AnswerRef(question=envelope.question, attempt=envelope.attempt, hash=jws_hash(envelope.answer))
    number = provider if iss is None else iss
    recall = Recall(iss=seat_ref(number), answers=(answer,), reason="名录有误", iat=int(time.time()))
    return sign_recall(recall, key or gallery.consortium.keys[number].evidence)


async def reviews(gallery: Approvers, case: Filed, recall: str) -> dict[str, Any]:
    """What the approver answers when the operator brings a recall."""
    lead = gallery.consortium.seat(gallery.lead)
    return await gallery.operator.send(lead, "reviews", "reviews", {"reviews": [{"case": case.id, "recall": recall}]})


async def approved(gallery: Approvers) -> Filed:
    case = gallery.file()
    await gallery.verdict(case)
    gallery.consortium.chain.settle(case.id, Status.APPROVED, 1, gallery.consortium.binding.number)
    return case


async def test_reviews__answer_under_the_verdict_recalled__on_the_desk_until_upheld(gallery: Approvers) -> None:
    case, officer = await approved(gallery), await gallery.officer()
    recall = taken_back(gallery, case)

    assert await reviews(gallery, case, recall) == {"opened": [case.id], "refused": []}
    assert await reviews(gallery, case, recall) == {"opened": [case.id], "refused": []}

    (found,) = [each for each in await officer.client.reviews() if each["case"] == case.id]
    assert (found["status"], found["sequence"], found["reason"]) == (Status.APPROVED, 1, "名录有误")
    assert found["seat"] == seat_ref(gallery.consortium.provider(ITEM))
    upheld = await officer.client.uphold(case.id, "其他材料足以证明")
    assert (upheld["case"], upheld["closed"]) == (case.id, 1)
    assert case.id not in [each["case"] for each in await officer.client.reviews()]
    lead = gallery.consortium.seat(gallery.lead)
    told = (await gallery.operator.updates(lead, 0))["updates"]
    (signed,) = [each["upheld"] for each in told if each["case"] == case.id]
    read = read_upholding(signed, lead)
    assert (read.case, read.recalls, read.reason) == (case.id, (jws_hash(recall),), "其他材料足以证明")
    await reviews(gallery, case, recall)  # brought again: it was looked at
    assert case.id not in [each["case"] for each in await officer.client.reviews()]


async def test_reviews__revoked__closed_with_it(gallery: Approvers) -> None:
    case, officer = await approved(gallery), await gallery.officer()
    await reviews(gallery, case, taken_back(gallery, case))

    await officer.client.revoke(case.id, "所依据的数据有误")

    assert case.id not in [each["case"] for each in await officer.client.reviews()]


async def test_reviews__signed_by_another_than_the_provider__refused(gallery: Approvers) -> None:
    case, officer = await approved(gallery), await gallery.officer()

    stranger = await reviews(gallery, case, taken_back(gallery, case, key=SigningKey.generate()))

    assert stranger == {"opened": [], "refused": [{"case": case.id, "code": "bad-signature"}]}
    assert case.id not in [each["case"] for each in await officer.client.reviews()]


async def test_reviews__another_seat_recalls_what_it_never_said__refused(gallery: Approvers) -> None:
    case = await approved(gallery)
    other = next(seat for seat in gallery.consortium.keys if seat != gallery.consortium.provider(ITEM) and seat != 0)

    found = await reviews(gallery, case, taken_back(gallery, case, iss=other))

    assert found == {"opened": [], "refused": [{"case": case.id, "code": "not-resting"}]}


async def test_reviews__verdict_rests_on_another_attempt__refused(gallery: Approvers) -> None:
    case = gallery.file()
    gallery.say(case, ITEM, attempt=1)
    recall = taken_back(gallery, case)
    gallery.say(case, ITEM, attempt=2)
    await gallery.verdict(case)

    assert (await reviews(gallery, case, recall))["refused"] == [{"case": case.id, "code": "not-resting"}]


async def test_uphold__nothing_to_review_or_no_reason__refused(gallery: Approvers) -> None:
    case, officer = await approved(gallery), await gallery.officer()
    with pytest.raises(Refused) as error:
        await officer.client.uphold(case.id, "无")
    assert error.value.code == "not-found"
    await reviews(gallery, case, taken_back(gallery, case))
    with pytest.raises(Refused) as error:
        await officer.client.uphold(case.id, "")
    assert error.value.code == "no-reason"
