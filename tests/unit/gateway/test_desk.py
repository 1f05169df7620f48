"""The officers' desk: who may enter, that every look is on record, and what a decision does."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from orchestrator.domain.case import Status
from orchestrator.domain.errors import Invalid, LianbanError, Refused
from orchestrator.gateway.acts import TYP as ACT_TYP
from orchestrator.gateway.acts import read_act
from orchestrator.gateway.desk import LONGEST_REQUEST, REQUEST_TYP, certify_officer, revoke_officer
from orchestrator.gateway.officer import OfficerClient
from orchestrator.gateway.sheets import REVOCATION_TYP
from orchestrator.protocol.jose import SigningKey, jws_hash, sign_jws, verify_jws
from orchestrator.protocol.officer import certify, sign_decision
from orchestrator.protocol.wire import new_jti, seat_ref
from tests.support.approver import Approvers, Filed, Officer
from tests.support.services import paper

pytestmark = pytest.mark.anyio

FIRE, HEALTH, TAX = 4, 11, 6


@pytest.fixture
async def waiting(gallery: Approvers) -> Filed:
    """A case that waits for an officer: the company is on the abnormal list."""
    case = gallery.file(materials=[paper("premises-proof")])
    gallery.answer(case, not_on_abnormal_list=False)
    verdict, _ = await gallery.verdict(case)
    assert verdict.outcome == "manual"
    return case


async def item_of(officer: Officer, case: Filed) -> dict[str, Any]:
    (item,) = [item for item in await officer.client.queue() if item["case"] == case.id]
    return item


async def code_of(action: Awaitable[Any]) -> str:
    with pytest.raises(LianbanError) as error:
        await action
    return error.value.code


async def post(
    officer: Officer,
    path: str,
    *,
    key: SigningKey | None = None,
    typ: str = REQUEST_TYP,
    period: tuple[int, int] = (0, 60),
    **changes: Any,
) -> tuple[int, str]:
    """Status and code of a request whose signed content a test has bent; `period` in seconds from now."""
    now = int(time.time())
    payload = {
        "certificate": officer.certificate,
        "aud": seat_ref(3),
        "jti": new_jti(),
        "iat": now + period[0],
        "exp": now + period[1],
    } | changes
    request = sign_jws(payload, typ=typ, key=key or officer.key)
    response = await officer.http.post(f"{officer.endpoint}/desk/{path}", json={"request": request})
    return response.status_code, response.json().get("code", "")


# ---- who may enter


async def test_desk__certified_officer__sees_the_queue_without_anything_sealed(
    gallery: Approvers, waiting: Filed
) -> None:
    officer = await gallery.officer()
    item = await item_of(officer, waiting)
    assert item["sequence"] == 2
    assert (item["proposed"], item["rows"]) == ("manual", ["GAL-06"])
    assert (item["scenario"], item["mandate"]) == ("open-gallery", jws_hash(waiting.newest))
    assert "陈画" not in str(item)


async def test_desk__certificate_of_another_seat__refused(hall: Approvers) -> None:
    officer = await hall.officer(HEALTH)
    fire = hall.consortium.seat(FIRE)
    there = OfficerClient(
        officer.http, endpoint=fire.keyset.endpoint, seat=FIRE, key=officer.key, certificate=officer.certificate
    )
    assert await code_of(there.queue()) == "bad-signature"


async def test_desk__certificate_that_the_seat_does_not_know__refused(gallery: Approvers) -> None:
    # Signed by the seat's key and never entered in its store: not certified by the department.
    officer, key, now = await gallery.officer(), SigningKey.generate(), int(time.time())
    evidence = gallery.consortium.keys[gallery.lead].evidence
    unknown = certify(key.jwk, seat=gallery.lead, pseudonym="nobody", iat=now, exp=now + 60, key=evidence)
    assert await post(officer, "queue", key=key, certificate=unknown) == (403, "officer-revoked")


async def test_desk__certificate_expired__refused(gallery: Approvers) -> None:
    officer, now = await gallery.officer(), int(time.time())
    evidence = gallery.consortium.keys[gallery.lead].evidence
    old = certify(officer.key.jwk, seat=gallery.lead, pseudonym="x", iat=now - 9, exp=now - 1, key=evidence)
    store = gallery.seats[gallery.lead].store
    await store.rows("update officer set certificate = %s where kid = %s", [old, officer.key.kid])
    assert await post(officer, "queue", certificate=old) == (403, "expired")


async def test_desk__certificate_ended__refused_at_once(gallery: Approvers) -> None:
    officer, seat = await gallery.officer(), gallery.seats[gallery.lead]
    await officer.client.queue()
    assert await revoke_officer(seat, officer.key.kid)
    assert await code_of(officer.client.queue()) == "officer-revoked"
    assert not await revoke_officer(seat, officer.key.kid)


async def test_desk__certificate_renewed__only_the_new_one_counts(gallery: Approvers) -> None:
    officer = await gallery.officer(days=1)
    renewed = await certify_officer(gallery.seats[gallery.lead], officer.key.jwk, "officer-17", days=2)
    assert await code_of(officer.client.queue()) == "officer-revoked"
    assert await post(officer, "queue", certificate=renewed) == (200, "")


async def test_desk__officers_key_that_is_none__not_certified(gallery: Approvers) -> None:
    with pytest.raises(Invalid):
        await certify_officer(gallery.seats[gallery.lead], {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}, "x")


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"key": SigningKey.generate()}, "bad-signature"),
        ({"typ": "lianban-decision+jwt"}, "bad-signature"),
        ({"aud": "seat:4"}, "wrong-audience"),
        ({"period": (-90, -30)}, "expired"),
        ({"period": (0, LONGEST_REQUEST + 1)}, "bad-period"),
        ({"period": (600, 660)}, "not-yet-valid"),
        ({"jti": "x"}, "bad-request"),
        ({"surplus": 1}, "bad-request"),
        ({"certificate": "a.b.c"}, "bad-signature"),
    ],
)
async def test_desk__request_not_as_it_must_be__refused(gallery: Approvers, changes: dict[str, Any], code: str) -> None:
    officer = await gallery.officer()
    status, said = await post(officer, "queue", **changes)
    assert (said, status in (403, 422)) == (code, True)


async def test_desk__request_replayed__refused(gallery: Approvers) -> None:
    officer = await gallery.officer()
    jti = new_jti()
    assert await post(officer, "queue", jti=jti) == (200, "")
    assert await post(officer, "queue", jti=jti) == (409, "replayed")
    other = await gallery.officer()
    assert await post(other, "queue", jti=jti) == (200, "")


async def test_desk__operators_key__no_officer(gallery: Approvers) -> None:
    officer, key = await gallery.officer(), gallery.consortium.keys[0].request
    assert await post(officer, "queue", key=key) == (403, "bad-signature")


# ---- looking


async def test_look__case_that_waits__opened_and_written_down(gallery: Approvers, waiting: Filed) -> None:
    officer = await gallery.officer()
    seen = await officer.client.look(waiting.id)
    assert seen["subjects"]["handler"][0]["name"] == "陈画"
    assert seen["form"] == gallery.service.form
    assert seen["situation"] == waiting.values
    assert {material["id"] for material in seen["materials"]} == {"premises-proof", "art-business-filing-form"}
    claims = {entry["item"]: entry["claims"] for entry in seen["claims"]}
    assert claims["E06.company"]["not_on_abnormal_list"] is False
    assert claims["E05.company"]["entity_name"] == "海淀墨白画廊有限公司"  # sealed to this seat
    assert [(row["row"], bool(row["zh"] and row["en"])) for row in seen["rows"]] == [("GAL-06", True)]
    looks = await gallery.seats[gallery.lead].store.rows(
        "select officer, act, signed from desk_act where case_id = %s", [waiting.id]
    )
    assert looks == [{"officer": officer.key.kid, "act": "look", "signed": seen["act"]}]


async def test_look__case_that_does_not_wait__refused(gallery: Approvers) -> None:
    officer, case = await gallery.officer(), gallery.file()
    await gallery.verdict(case)
    assert await code_of(officer.client.look(case.id)) == "not-found"
    assert await post(officer, "case") == (404, "not-found")


async def test_look__answer_too_old_by_now__shown_all_the_same(gallery: Approvers, waiting: Filed) -> None:
    gallery.say(waiting, "E09.premises", age=90_000, lasts=100_000, no_seizure=False)
    seen = await (await gallery.officer()).client.look(waiting.id)
    claims = {entry["item"]: entry["claims"] for entry in seen["claims"]}
    assert claims["E09.premises"]["no_seizure"] is False


async def test_queue__store__keeps_what_is_sealed_sealed(gallery: Approvers, waiting: Filed) -> None:
    rows = await gallery.seats[gallery.lead].store.rows(
        "select q::text as row from queue_item q where case_id = %s", [waiting.id]
    )
    assert rows
    assert "陈画" not in str(rows)
    assert "海淀墨白" not in str(rows)


@pytest.mark.parametrize("status", [Status.APPROVED, Status.REFUSED, Status.WITHDRAWN, Status.REVOKED])
async def test_queue__case_has_ended__leaves_the_desk(gallery: Approvers, waiting: Filed, status: Status) -> None:
    officer = await gallery.officer()
    gallery.consortium.chain.settle(waiting.id, status, 1, 1)
    assert waiting.id not in {item["case"] for item in await officer.client.queue()}
    assert await code_of(officer.client.look(waiting.id)) == "not-found"


async def test_queue__case_returned_or_accepted__stays(gallery: Approvers, waiting: Filed) -> None:
    officer = await gallery.officer()
    for status in (Status.ACCEPTED, Status.RETURNED):
        gallery.consortium.chain.settle(waiting.id, status, 1, 1)
        assert (await item_of(officer, waiting))["case"] == waiting.id


# ---- deciding


async def test_decide__case_that_waits__leaves_the_desk_and_is_told(gallery: Approvers, waiting: Filed) -> None:
    officer = await gallery.officer()
    decided = await officer.client.decide(await item_of(officer, waiting), "approve", "已移出")
    act = decided.pop("act")
    assert decided == {"case": waiting.id, "sequence": 2, "outcome": "approve", "awaits_countersign": False}
    # Signed by the department, over what the officer signed, in the officer's login.
    seat = gallery.seats[gallery.lead]
    signed = verify_jws(act, typ=ACT_TYP, jwk=seat.keyset.key("evidence"))
    (kept,) = await seat.store.rows("select officer, login, act, request from desk_act where signed = %s", [act])
    assert (signed["act"], signed["case"], signed["request"]) == ("decide", waiting.id, jws_hash(str(kept["request"])))
    assert signed["officer"] == {"login": "officer-17", "kid": officer.key.kid}
    assert (kept["officer"], kept["login"], kept["act"]) == (officer.key.kid, "officer-17", "decide")
    assert verify_jws(str(kept["request"]), typ=REQUEST_TYP, jwk=officer.key.jwk)["mandate"] == jws_hash(waiting.newest)
    assert waiting.id not in {item["case"] for item in await officer.client.queue()}
    assert await code_of(officer.client.look(waiting.id)) == "not-found"


@pytest.mark.parametrize("changes", [{"sequence": 1}, {"sequence": 3}, {"mandate": "0x" + "11" * 32}])
async def test_decide__not_the_case_as_it_stands__conflict(
    gallery: Approvers, waiting: Filed, changes: dict[str, Any]
) -> None:
    officer = await gallery.officer()
    item = await item_of(officer, waiting)
    assert await code_of(officer.client.decide(item | changes, "approve", "…")) == "conflict"
    assert (await item_of(officer, waiting)) == item


async def test_decide__amended_after_the_look__conflict(gallery: Approvers, waiting: Filed) -> None:
    # What the officer has not seen is not decided by what the officer has seen.
    officer = await gallery.officer()
    item = await item_of(officer, waiting)
    amended = gallery.amend(waiting)
    gallery.answer(amended, not_on_abnormal_list=False)
    await gallery.verdict(amended)
    assert await code_of(officer.client.decide(item, "approve", "…")) == "conflict"
    await officer.client.decide(await item_of(officer, waiting), "approve", "…")


async def test_decide__for_another_officer__refused(gallery: Approvers, waiting: Filed) -> None:
    one, other = await gallery.officer(), await gallery.officer(name="officer-18")
    item = await item_of(one, waiting)
    theirs = sign_decision(
        case=waiting.id, sequence=2, outcome="approve", rows=[], reason="…", iat=int(time.time()), key=other.key
    )
    assert await post(one, "decisions", decision=theirs, mandate=item["mandate"]) == (403, "bad-signature")


async def test_decide__decision_backdated_before_the_certificate__refused(gallery: Approvers, waiting: Filed) -> None:
    officer = await gallery.officer()
    item = await item_of(officer, waiting)
    early = sign_decision(
        case=waiting.id, sequence=2, outcome="approve", rows=[], reason="…", iat=1_600_000_000, key=officer.key
    )
    assert await post(officer, "decisions", decision=early, mandate=item["mandate"]) == (403, "expired")


async def test_decide__return_without_saying_what__refused(gallery: Approvers, waiting: Filed) -> None:
    officer = await gallery.officer()
    item = await item_of(officer, waiting)
    with pytest.raises(Refused):
        await officer.client.decide(item, "return", "…", rows=[])
    with pytest.raises(Refused):  # and not a material that nobody can bring
        await officer.client.decide(item, "return", "…", rows=[], materials_wanted=["horoscope"])
    assert await post(officer, "decisions", materials_wanted=["two words"]) == (422, "bad-request")
    assert await post(officer, "decisions") == (422, "invalid")
    await officer.client.decide(item, "return", "…", rows=[], materials_wanted=["owners-consent"])
    waiting.sequence = 2
    gallery.consortium.chain.settle(waiting.id, Status.ACCEPTED, 1, 1)
    verdict, _ = await gallery.verdict(waiting)
    assert (verdict.outcome, verdict.materials_wanted) == ("return", ("owners-consent",))


async def test_decide__refusal_confirmed__verdict_refuses(gallery: Approvers) -> None:
    case, officer = gallery.file(), await gallery.officer()
    gallery.answer(case, entity_in_operation=False)
    assert (await gallery.verdict(case))[0].outcome == "manual"
    item = await item_of(officer, case)
    assert (item["proposed"], item["rows"]) == ("refuse", ["GAL-01"])
    await officer.client.decide(item, "refuse", "已吊销")
    case.sequence = 2
    gallery.consortium.chain.settle(case.id, Status.ACCEPTED, 1, 1)
    verdict, _ = await gallery.verdict(case)
    assert (verdict.outcome, verdict.rows) == ("refuse", ("GAL-01",))


async def test_decide__officer_ended_since__the_decision_stands(gallery: Approvers, waiting: Filed) -> None:
    officer = await gallery.officer()
    await officer.client.decide(await item_of(officer, waiting), "approve", "…")
    await revoke_officer(gallery.seats[gallery.lead], officer.key.kid)
    waiting.sequence = 2
    gallery.consortium.chain.settle(waiting.id, Status.ACCEPTED, 1, 1)
    assert (await gallery.verdict(waiting))[0].outcome == "approve"


async def test_read_act__changed_anywhere__refused(gallery: Approvers, waiting: Filed) -> None:
    officer, other = await gallery.officer(), await gallery.officer(name="officer-18")
    seat = gallery.consortium.seat(gallery.lead)
    for each in (officer, other):
        await each.client.look(waiting.id)
    store = gallery.seats[gallery.lead].store
    one, two = await store.rows("select * from desk_act where case_id = %s order by id", [waiting.id])
    assert read_act(str(one["signed"]), str(one["request"]), seat)["officer"]["login"] == "officer-17"
    payload = verify_jws(str(one["signed"]), typ=ACT_TYP, jwk=seat.keyset.key("evidence"))
    evidence, stranger = gallery.consortium.keys[gallery.lead].evidence, SigningKey.generate()
    theirs = payload | {"officer": {"login": "officer-18", "kid": other.key.kid}}
    for signed, request, code in (
        (str(one["signed"]), str(two["request"]), "other-act"),
        (sign_jws(theirs, typ=ACT_TYP, key=evidence), str(one["request"]), "other-act"),
        (sign_jws(payload | {"iss": "seat:4"}, typ=ACT_TYP, key=evidence), str(one["request"]), "other-act"),
        (sign_jws(payload, typ=ACT_TYP, key=stranger), str(one["request"]), "bad-signature"),
        (str(one["signed"]), flipped(str(one["request"])), "bad-signature"),
    ):
        with pytest.raises(Refused) as error:
            read_act(signed, request, seat)
        assert error.value.code == code


def flipped(jws: str) -> str:
    """The same token with a character of its signature changed."""
    return jws[:-10] + ("A" if jws[-10] != "A" else "B") + jws[-9:]


# ---- revoking


async def revocable(approvers: Approvers) -> Filed:
    case = approvers.file(answered=False)
    approvers.consortium.chain.settle(case.id, Status.APPROVED, 1, 1)
    return case


async def test_revoke__approved_case_of_the_lead__order_told_and_good_for_a_sheet(hall: Approvers) -> None:
    seat, case = hall.consortium.seat(FIRE), await revocable(hall)
    officer = await hall.officer(FIRE)
    start = (await hall.operator.updates(seat, 0))["next"]
    made = await officer.client.revoke(case.id, "以欺骗手段取得")
    (told,) = (await hall.operator.updates(seat, start))["updates"]
    assert (told["case"], told["sequence"], jws_hash(told["order"])) == (case.id, 2, made["order"])
    order = verify_jws(told["order"], typ=REVOCATION_TYP, jwk=seat.keyset.key("evidence"))
    assert (order["case"], order["sequence"], order["reason"]) == (case.id, 2, "以欺骗手段取得")
    assert order["officer"]["certificate"] == officer.certificate
    async with hall.client(TAX) as tax:
        assert (await tax.updates(seat, start))["updates"] == []


async def test_revoke__not_approved_or_not_the_leads__refused(hall: Approvers) -> None:
    case = await revocable(hall)
    assert await code_of((await hall.officer(HEALTH)).client.revoke(case.id, "…")) == "not-revocable"
    officer: Callable[[str, str], Awaitable[Any]] = (await hall.officer(FIRE)).client.revoke
    for status in (Status.NONE, Status.ACCEPTED, Status.RETURNED, Status.REFUSED, Status.WITHDRAWN, Status.REVOKED):
        hall.consortium.chain.settle(case.id, status, 1, 1)
        assert await code_of(officer(case.id, "…")) == "not-revocable"
    assert await code_of(officer(case.id, "")) == "no-reason"
