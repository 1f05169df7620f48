"""The necessity gate, one promise a test: what it refuses gets a signed reason, and an entry that stays.

A question that is refused stands in the query log like an answered one, with the gate's word beside it. A batch that is refused as a
whole is in `refused_batch`, with the batch itself where a seat signed it.
"""

from __future__ import annotations

import time
from typing import Any

import httpx
import pytest

from orchestrator.domain.canonical import b64, from_hex, unb64
from orchestrator.domain.errors import Refused
from orchestrator.gateway import refused
from orchestrator.gateway.client import GatewayClient
from orchestrator.protocol.answer import AnswerEnvelope, read_answer
from orchestrator.protocol.jose import SigningKey, jws_hash
from orchestrator.protocol.mandate import Mandate, Subject, open_subject, seal_subject, sign_mandate
from orchestrator.protocol.question import Question, sign_batch, sign_request
from orchestrator.protocol.sealing import SealingKey
from tests.support.consortium import Consortium
from tests.support.gateway import CULTURE, MARKET, OPERATOR, POLICE, TAX, Gateway, ask, post

pytestmark = pytest.mark.anyio

DEPARTMENT = "haidian-market-supervision"
ITEM = "E05.company"


async def refused_and_logged(
    consortium: Consortium, gateway: Gateway, client: GatewayClient, question: Question, *mandates: str
) -> str:
    """The signed reason why a question was refused. The same word stands in the log beside the entry of the question, which the
    client has seen in the log under the seat's signed head."""
    answers = await client.ask(consortium.seat(MARKET), [question], list(mandates))
    (envelope,) = answers.answers
    answer = read_answer(envelope, consortium.seat(MARKET).keyset.key("evidence"))
    assert (answer.result, answer.claims, envelope.sealed) == ("refused", {}, {})
    assert envelope.log is not None
    (row,) = await gateway.seats[DEPARTMENT].store.rows(
        "select entry, outcome from log_entry where index = %s", [envelope.log.index]
    )
    assert question.id in bytes(row["entry"]).decode()
    assert row["outcome"] == answer.reason
    return str(answer.reason)


def question(mandate: str, item: str = ITEM, *, index: int = 0, purpose: Any = "decide") -> Question:
    return Question(mandate=jws_hash(mandate), item=item, index=index, purpose=purpose)


async def turned_away(gateway: Gateway, body: dict[str, Any]) -> tuple[int, str, dict[str, Any]]:
    """Status and code of a refused batch, and the entry that it left; the query log did not grow."""
    store = gateway.seats[DEPARTMENT].store
    (before,) = await store.rows("select count(*) as entries from log_entry")
    response = await post(gateway, "questions", body)
    (entry,) = await store.rows("select * from refused_batch order by id desc limit 1")
    (after,) = await store.rows("select count(*) as entries from log_entry")
    assert before == after
    assert bytes(entry["hash"]) == from_hex(jws_hash(body["batch"]))
    assert entry["code"] == response.json()["code"]
    assert "answers" not in response.json()
    return response.status_code, str(entry["code"]), entry


def body_of(consortium: Consortium, mandate: str, **changes: Any) -> dict[str, Any]:
    """A request for one item, its batch signed with these changes."""
    asked = question(mandate)
    options: dict[str, Any] = {"key": consortium.keys[OPERATOR].request, "iss": OPERATOR, "aud": MARKET} | changes
    return {"batch": sign_batch([asked], **options), "questions": [asked.payload()], "mandates": [mandate]}


# ---- questions


async def test_gate__claim_that_the_binding_does_not_ask_of_this_seat__refused_and_logged(
    consortium: Consortium, gateway: Gateway, operator: GatewayClient
) -> None:
    jws = consortium.mandate()
    for item, reason in (("E01.handler", "not-this-provider"), ("E18.laboratory", "unknown-item")):
        assert await refused_and_logged(consortium, gateway, operator, question(jws, item), jws) == reason
    pushed = question(jws, purpose="push")
    assert await refused_and_logged(consortium, gateway, operator, pushed, jws) == "wrong-purpose"


async def test_gate__mandate_missing__refused_and_logged(
    consortium: Consortium, gateway: Gateway, operator: GatewayClient
) -> None:
    asked = question(consortium.mandate())
    assert await refused_and_logged(consortium, gateway, operator, asked) == "unknown-mandate"


@pytest.mark.parametrize("signer", ["the operator", "nobody known"])
async def test_gate__mandate_forged__refused_and_logged(
    consortium: Consortium, gateway: Gateway, operator: GatewayClient, signer: str
) -> None:
    key = consortium.keys[OPERATOR].request if signer == "the operator" else SigningKey.generate()
    jws = consortium.mandate(key=key)
    assert await refused_and_logged(consortium, gateway, operator, question(jws), jws) == "forged-mandate"


async def test_gate__mandate_altered_by_one_bit__refused_and_logged(
    consortium: Consortium, gateway: Gateway, operator: GatewayClient
) -> None:
    head, payload, signature = consortium.mandate().split(".")
    content = bytearray(unb64(payload))
    content[len(content) // 2] ^= 1
    jws = f"{head}.{b64(bytes(content))}.{signature}"
    assert await refused_and_logged(consortium, gateway, operator, question(jws), jws) == "forged-mandate"


async def test_gate__mandate_expired_or_not_yet_valid__refused_and_logged(
    consortium: Consortium, gateway: Gateway, operator: GatewayClient
) -> None:
    now = int(time.time())
    for iat, exp, reason in ((now - 200, now - 100, "expired"), (now + 300, now + 900, "not-yet-valid")):
        jws = consortium.mandate(iat=iat, exp=exp)
        assert await refused_and_logged(consortium, gateway, operator, question(jws), jws) == reason


async def test_gate__mandate_withdrawn__refused_and_logged(
    consortium: Consortium, gateway: Gateway, operator: GatewayClient
) -> None:
    jws = consortium.mandate()
    withdrawal = consortium.following(jws, "withdrawal")
    assert await refused_and_logged(consortium, gateway, operator, question(jws), jws, withdrawal) == "withdrawn"
    again = question(jws, "E06.company")
    assert await refused_and_logged(consortium, gateway, operator, again) == "withdrawn"  # the seat knows by now


async def test_gate__mandate_silent_about_this_evidence__refused_and_logged(
    consortium: Consortium, gateway: Gateway, operator: GatewayClient
) -> None:
    jws = consortium.mandate(items=[ITEM])
    silent = question(jws, "E06.company")
    assert await refused_and_logged(consortium, gateway, operator, silent, jws) == "not-authorised"


def resealed(consortium: Consortium, **changes: Any) -> str:
    """A mandate signed by the identity seat whose company's slot has these fields."""
    mandate = Mandate.parse(consortium.mandate(), consortium.seat(POLICE).keyset.key("identity"))
    slot = mandate.subjects["company"][0].model_copy(update=changes)
    subjects = {**mandate.subjects, "company": (slot,)}
    return sign_mandate(mandate.model_copy(update={"subjects": subjects}), consortium.keys[POLICE].identity)


async def test_gate__subject_who_is_not_the_mandates__refused_and_logged(
    consortium: Consortium, gateway: Gateway, operator: GatewayClient
) -> None:
    """Somebody is sealed into the slot of somebody else; what was sealed for another mandate; a place in which nobody is."""
    swapped = resealed(consortium, commitment=Subject.new(type="uscc", id="911101080000000011", name="某").commitment)
    assert await refused_and_logged(consortium, gateway, operator, question(swapped), swapped) == "wrong-subject"
    other = Mandate.parse(consortium.mandate(), consortium.seat(POLICE).keyset.key("identity"))
    copied = resealed(consortium, sealed=other.subjects["company"][0].sealed)
    assert await refused_and_logged(consortium, gateway, operator, question(copied), copied) == "cannot-open"
    good = consortium.mandate()
    nobody = question(good, index=3)
    assert await refused_and_logged(consortium, gateway, operator, nobody, good) == "no-such-subject"


async def test_gate__asker_not_in_good_standing__refused_and_logged(
    consortium: Consortium, gateway: Gateway, operator: GatewayClient
) -> None:
    jws = consortium.mandate()
    consortium.chain.suspend(OPERATOR)
    try:
        assert await refused_and_logged(consortium, gateway, operator, question(jws), jws) == "asker-suspended"
    finally:
        consortium.chain.suspend(OPERATOR, active=True)
    async with gateway.client(consortium, TAX) as tax:
        assert await refused_and_logged(consortium, gateway, tax, question(jws), jws) == "asker-not-named"


async def test_gate__subject_sealed_to_a_key_that_is_not_this_seats_on_chain__refused_and_logged(
    consortium: Consortium, gateway: Gateway, operator: GatewayClient
) -> None:
    foreign = SealingKey.generate()
    mandate = Mandate.parse(consortium.mandate(), consortium.seat(POLICE).keyset.key("identity"))
    subject = open_subject(mandate, "company", 0, seat=MARKET, key=consortium.keys[MARKET].sealing)
    blob = seal_subject(subject, foreign.jwk, jti=mandate.jti, role="company", index=0, seat=MARKET)
    slot = mandate.subjects["company"][0].model_copy(update={"sealed": {str(MARKET): blob}})
    subjects = {**mandate.subjects, "company": (slot,)}
    jws = sign_mandate(mandate.model_copy(update={"subjects": subjects}), consortium.keys[POLICE].identity)
    assert await refused_and_logged(consortium, gateway, operator, question(jws), jws) == "cannot-open"


# ---- batches


async def test_gate__request_that_names_a_sealing_key_of_its_own__refused_and_logged(
    consortium: Consortium, gateway: Gateway, operator: GatewayClient
) -> None:
    """Answers are sealed to the keys that stand for the approvers on chain. A request cannot bring others along."""
    jws, thief = consortium.mandate(), SealingKey.generate()
    asked = question(jws)
    payload = {"questions": [asked.id], "recipients": {str(CULTURE): {n: thief.jwk[n] for n in ("kty", "crv", "x")}}}
    batch = sign_request(payload, "questions", key=consortium.keys[OPERATOR].request, iss=OPERATOR, aud=MARKET)
    status, code, entry = await turned_away(
        gateway, {"batch": batch, "questions": [asked.payload()], "mandates": [jws]}
    )
    assert (status, code, entry["signed"], entry["asker"]) == (422, "bad-question", True, OPERATOR)
    answers = await ask(consortium, operator, jws, ITEM)
    for private, opens in ((consortium.keys[CULTURE].sealing, True), (thief, False)):
        assert readable(consortium, answers.answers[0], private) == opens


def readable(consortium: Consortium, envelope: AnswerEnvelope, private: SealingKey) -> bool:
    key = consortium.seat(MARKET).keyset.key("evidence")
    try:
        return "entity_name" in read_answer(envelope, key, private=private, seat=CULTURE).claims
    except Refused:
        return False


async def test_gate__request_replayed__refused_and_logged(consortium: Consortium, gateway: Gateway) -> None:
    body = body_of(consortium, consortium.mandate())
    assert (await post(gateway, "questions", body)).status_code == 200
    status, code, entry = await turned_away(gateway, body)
    assert (status, code, entry["signed"], entry["asker"]) == (409, "replayed", True, OPERATOR)
    assert entry["jws"] == body["batch"]


async def test_gate__request_altered__refused_and_logged(consortium: Consortium, gateway: Gateway) -> None:
    jws = consortium.mandate()
    body = body_of(consortium, jws)
    head, payload, signature = body["batch"].split(".")
    changed = b64(unb64(payload).replace(b"seat:1", b"seat:3"))
    status, code, entry = await turned_away(gateway, body | {"batch": f"{head}.{changed}.{signature}"})
    assert (status, code, entry["signed"], entry["jws"]) == (403, "bad-signature", False, None)
    swapped = body | {"questions": [question(jws, "E06.company").payload()]}
    status, code, entry = await turned_away(gateway, swapped)
    assert (status, code, entry["signed"]) == (422, "bad-question", True)


async def test_gate__stale_clock__refused_and_logged(consortium: Consortium, gateway: Gateway) -> None:
    jws, now = consortium.mandate(), int(time.time())
    for then, expected in ((now - 300, "expired"), (now + 300, "not-yet-valid")):
        status, code, entry = await turned_away(gateway, body_of(consortium, jws, now=then))
        assert (status, code, entry["signed"], entry["asker"]) == (403, expected, True, OPERATOR)


async def test_gate__request_for_another_seat_or_from_nobody__refused_and_logged(
    consortium: Consortium, gateway: Gateway
) -> None:
    jws = consortium.mandate()
    for changes, expected, signed in (
        ({"aud": TAX}, "wrong-audience", True),
        ({"iss": 200}, "unknown-asker", False),
        ({"key": consortium.keys[TAX].request}, "bad-signature", False),
    ):
        status, code, entry = await turned_away(gateway, body_of(consortium, jws, **changes))
        assert (status, code, entry["signed"]) == (403, expected, signed)
    status, code, entry = await turned_away(gateway, body_of(consortium, jws) | {"batch": "x.y.z"})
    assert (code, entry["asker"], entry["signed"]) == ("bad-signature", None, False)


async def test_refused_batches__very_many_unsigned__signed_ones_stay(
    consortium: Consortium, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refused, "KEPT", 3)
    monkeypatch.setattr(refused, "_TIDY", 1)
    store = gateway.seats[DEPARTMENT].store
    await store.rows("delete from refused_batch")
    body = body_of(consortium, consortium.mandate(), aud=TAX)
    await turned_away(gateway, body)
    for number in range(6):
        await turned_away(gateway, body | {"batch": f"x.y.{number}"})
    rows = await store.rows("select signed, count(*) as entries from refused_batch group by signed order by signed")
    assert [(row["signed"], row["entries"]) for row in rows] == [(False, 3), (True, 1)]


async def test_refused_batch__store_down__still_refused(consortium: Consortium, gateway: Gateway) -> None:
    seat = gateway.seats[DEPARTMENT]
    body = body_of(consortium, consortium.mandate(), aud=TAX)
    working, seat.store.pool = (
        seat.store.pool,
        type(seat.store.pool)("postgresql://nobody@127.0.0.1:1/none", open=False),
    )
    try:
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app=gateway.app), base_url="http://gateway.test"
        ) as http:
            response = await http.post(f"/{DEPARTMENT}/questions", json=body)
    finally:
        seat.store.pool = working
    assert (response.status_code, response.json()["code"]) == (403, "wrong-audience")
