"""Countersigning at the desk: what one officer decides counts only once another one has signed it too."""

from __future__ import annotations

import time
from collections.abc import Awaitable
from typing import Any

import pytest

from orchestrator.domain.case import Status
from orchestrator.domain.errors import LianbanError
from orchestrator.gateway.acts import TYP as ACT_TYP
from orchestrator.gateway.desk import revoke_officer
from orchestrator.gateway.replay import replay
from orchestrator.protocol.countersign import check_officers, sign_countersign
from orchestrator.protocol.jose import jws_hash, verify_jws
from orchestrator.protocol.verdict import Verdict, sign_verdict
from tests.support.approver import Approvers, Filed, Officer
from tests.unit.gateway.test_credentials import face
from tests.unit.gateway.test_desk import post

pytestmark = pytest.mark.anyio

SOCIAL = 7


@pytest.fixture
async def waiting(benefit: Approvers) -> Filed:
    """An accepted claim that waits for an officer: the employer has unpaid months."""
    case = benefit.file(face=face())
    benefit.answer(case, no_employer_arrears=False)
    assert (await benefit.verdict(case))[0].outcome == "manual"
    benefit.consortium.chain.settle(case.id, Status.ACCEPTED, 1, 1)
    case.sequence = 2
    return case


async def officers(benefit: Approvers) -> tuple[Officer, Officer]:
    return await benefit.officer(name="officer-17"), await benefit.officer(name="officer-18")


async def item_of(officer: Officer, case: Filed) -> dict[str, Any]:
    (item,) = [item for item in await officer.client.queue() if item["case"] == case.id]
    return item


async def code_of(action: Awaitable[Any]) -> str:
    with pytest.raises(LianbanError) as error:
        await action
    return error.value.code


async def told(benefit: Approvers, case: Filed) -> list[dict[str, Any]]:
    found = await benefit.operator.updates(benefit.consortium.seat(SOCIAL), 0)
    return [each for each in found["updates"] if each["case"] == case.id]


async def decided(benefit: Approvers, case: Filed, outcome: Any = "approve") -> tuple[Officer, Officer]:
    """Two officers, of whom the first has decided the case."""
    first, second = await officers(benefit)
    done = await first.client.decide(await item_of(first, case), outcome, "欠费已补缴")
    assert done["awaits_countersign"] is True
    return first, second


async def test_decide__second_officer_wanted__no_verdict_until_countersigned(
    benefit: Approvers, waiting: Filed
) -> None:
    _, second = await decided(benefit, waiting)

    item = await item_of(second, waiting)
    assert (item["awaits"]["officer"], item["awaits"]["outcome"], item["awaits"]["reason"]) == (
        "officer-17",
        "approve",
        "欠费已补缴",
    )
    assert (await benefit.verdict(waiting))[0].outcome == "manual"
    assert await told(benefit, waiting) == []
    assert (await second.client.look(waiting.id))["case"] == waiting.id

    done = await second.client.countersign(item, "countersign", "经复核,同意")

    seat = benefit.consortium.seat(SOCIAL)
    signed = verify_jws(done["act"], typ=ACT_TYP, jwk=seat.keyset.key("evidence"))
    assert (signed["act"], signed["officer"]) == ("countersign", {"login": "officer-18", "kid": second.key.kid})
    assert waiting.id not in {item["case"] for item in await second.client.queue()}
    assert [each["decided"] for each in await told(benefit, waiting)] == [True]
    verdict, jws = await benefit.verdict(waiting)
    found = check_officers(verdict, seat, two=True)
    assert found is not None
    assert found.second is not None
    assert (verdict.outcome, found.first.sub, found.second.sub) == ("approve", "officer-17", "officer-18")
    assert (await benefit.verdict(waiting))[1] == jws
    state = benefit.app.state
    again = await replay(
        waiting.id, seat=benefit.seats[SOCIAL], chain=benefit.consortium.chain, reader=state.mandates, rules=state.rules
    )
    assert (again.outcome, again.differences) == ("approve", ())


async def test_countersign__sent_back__on_record_and_decided_anew(benefit: Approvers, waiting: Filed) -> None:
    first, second = await decided(benefit, waiting)

    await second.client.countersign(await item_of(second, waiting), "send-back", "缺少补缴凭证")

    item = await item_of(first, waiting)
    assert item["awaits"] is None
    assert (item["sent_back"]["officer"], item["sent_back"]["reason"]) == ("officer-18", "缺少补缴凭证")
    assert await told(benefit, waiting) == []
    assert (await benefit.verdict(waiting))[0].outcome == "manual"
    kept = await benefit.seats[SOCIAL].store.rows("select 1 as one from sent_back where case_id = %s", [waiting.id])
    assert kept == [{"one": 1}]
    await first.client.decide(item, "refuse", "未补缴")
    again = await item_of(second, waiting)
    assert (again["awaits"]["outcome"], again["sent_back"]) == ("refuse", None)
    await second.client.countersign(again, "countersign", "同意")
    assert (await benefit.verdict(waiting))[0].outcome == "refuse"


async def test_countersign__by_the_first_officer_or_under_the_same_login__refused(
    benefit: Approvers, waiting: Filed
) -> None:
    first, _ = await decided(benefit, waiting)
    item = await item_of(first, waiting)
    assert await code_of(first.client.countersign(item, "countersign", "…")) == "same-officer"
    other_key = await benefit.officer(name="officer-17")
    assert await code_of(other_key.client.countersign(item, "countersign", "…")) == "same-officer"
    assert (await benefit.verdict(waiting))[0].outcome == "manual"


async def test_countersign__decision_is_another_by_now__refused(benefit: Approvers, waiting: Filed) -> None:
    first, second = await decided(benefit, waiting)
    seen = await item_of(second, waiting)
    await first.client.decide(await item_of(first, waiting), "refuse", "改正:未补缴")
    assert await code_of(second.client.countersign(seen, "countersign", "…")) == "other-decision"
    assert (await item_of(second, waiting))["awaits"]["outcome"] == "refuse"


async def test_countersign__amended_after_the_decision__nothing_to_countersign(
    benefit: Approvers, waiting: Filed
) -> None:
    _, second = await decided(benefit, waiting)
    seen = await item_of(second, waiting)
    amended = benefit.amend(waiting, face=face())
    benefit.answer(amended, no_employer_arrears=False)
    await benefit.verdict(amended)
    assert (await item_of(second, waiting))["awaits"] is None
    assert await code_of(second.client.countersign(seen, "countersign", "…")) == "not-awaited"
    assert (await benefit.verdict(amended))[0].outcome == "manual"


async def test_countersign__nothing_waits_or_no_word__refused(benefit: Approvers, waiting: Filed) -> None:
    first, second = await officers(benefit)
    item = await item_of(first, waiting) | {"awaits": {"decision": waiting.newest}}
    assert await code_of(second.client.countersign(item, "countersign", "…")) == "not-awaited"
    assert await post(second, "countersigns", aud="seat:7", case=waiting.id) == (422, "invalid")
    assert await post(second, "countersigns", aud="seat:7", case="0x" + "11" * 32, countersign="a.b.c") == (
        404,
        "not-found",
    )


async def test_countersign__in_the_name_of_another_officer_or_case__refused(benefit: Approvers, waiting: Filed) -> None:
    first, second = await decided(benefit, waiting)
    item = await item_of(second, waiting)
    fields: dict[str, Any] = {
        "case": waiting.id,
        "sequence": 2,
        "decision": item["awaits"]["decision"],
        "outcome": "countersign",
        "reason": "…",
        "iat": int(time.time()),
    }
    # The request is the second officer's, the word in it the first one's.
    theirs = sign_countersign(**fields, key=first.key)
    assert (await post(second, "countersigns", aud="seat:7", case=waiting.id, countersign=theirs))[1] == "bad-signature"
    for changes in ({"case": "0x" + "11" * 32}, {"sequence": 1}):
        word = sign_countersign(**(fields | changes), key=second.key)
        assert (await post(second, "countersigns", aud="seat:7", case=waiting.id, countersign=word))[1] == "conflict"
    assert (await benefit.verdict(waiting))[0].outcome == "manual"


async def test_countersign__officers_ended_since__the_decision_stands(benefit: Approvers, waiting: Filed) -> None:
    first, second = await decided(benefit, waiting)
    await second.client.countersign(await item_of(second, waiting), "countersign", "同意")
    for each in (first, second):
        await revoke_officer(benefit.seats[SOCIAL], each.key.kid)
    assert (await benefit.verdict(waiting))[0].outcome == "approve"


async def test_sheets__verdict_without_its_second_officer__no_sheet_and_no_credential(
    benefit: Approvers, waiting: Filed
) -> None:
    _, second = await decided(benefit, waiting)
    await second.client.countersign(await item_of(second, waiting), "countersign", "同意")
    whole, signed = await benefit.verdict(waiting)
    good = await benefit.transition(waiting, Status.APPROVED, [signed])
    evidence = benefit.consortium.keys[SOCIAL].evidence
    alone: Verdict = whole.model_copy(update={"second": None})
    stripped = sign_verdict(alone, evidence)

    transition = await benefit.transition(waiting, Status.REFUSED, [stripped])
    assert await benefit.sheet_refused(transition | {"status": int(Status.APPROVED)}) == "not-countersigned"
    refused = await benefit.operator.credentials(benefit.consortium.seat(SOCIAL), [waiting.body(verdicts=[stripped])])
    assert [each["code"] for each in refused["refused"]] == ["not-countersigned"]
    assert (await benefit.sheets(good))["signed"] == [waiting.id]


async def test_verdicts__store_says_countersigned_and_nobody_did__no_verdict(
    benefit: Approvers, waiting: Filed
) -> None:
    # A database administrator at the approver cannot do without the second officer.
    await decided(benefit, waiting)
    store = benefit.seats[SOCIAL].store
    await store.rows("update decision set awaits = false where case_id = %s", [waiting.id])
    assert await benefit.refused(waiting) == ("not-countersigned", [])
    await store.rows(
        "update decision set second = %s::jsonb where case_id = %s",
        [f'{{"certificate": "{jws_hash("x")}", "countersign": "a.b.c"}}', waiting.id],
    )
    assert (await benefit.refused(waiting))[0] == "bad-signature"
