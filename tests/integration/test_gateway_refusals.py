"""Every way in which a gateway over real databases says no: to one question, and to a batch as a whole."""

from __future__ import annotations

import dataclasses
import secrets
import time
from typing import Any

import httpx
import pytest

from orchestrator.domain.canonical import to_hex
from orchestrator.domain.case import Status
from orchestrator.domain.errors import Unavailable
from orchestrator.gateway.client import GatewayClient
from orchestrator.gateway.records import Records
from orchestrator.protocol.answer import read_answer
from orchestrator.protocol.jose import SigningKey, jws_hash
from orchestrator.protocol.keyset import generate_seat_keys
from orchestrator.protocol.mandate import case_id
from orchestrator.protocol.question import Question, sign_batch
from orchestrator.protocol.wire import seat_ref
from tests.support.consortium import Consortium
from tests.support.departments import SeededDepartments
from tests.support.gateway import (
    CULTURE,
    MARKET,
    OPERATOR,
    POLICE,
    TAX,
    Gateway,
    ask,
    post,
    read,
    reasons,
)

pytestmark = pytest.mark.anyio


# ---- refusals of single questions: signed, logged, never kept as the latest answer


async def test_ask__forged_mandate__refused(consortium: Consortium, operator: GatewayClient) -> None:
    forged = consortium.mandate(key=consortium.keys[OPERATOR].request)
    assert await reasons(consortium, operator, forged, "E05.company") == {"forged-mandate"}
    own = consortium.mandate(key=SigningKey.generate())
    assert await reasons(consortium, operator, own, "E05.company") == {"forged-mandate"}


async def test_ask__mandate_unknown_to_all__refused(consortium: Consortium, operator: GatewayClient) -> None:
    question = Question(mandate=to_hex(secrets.token_bytes(32)), item="E05.company", index=0, purpose="decide")
    answers = await operator.ask(consortium.seat(MARKET), [question], [])
    assert read(consortium, answers, MARKET)["E05.company"].reason == "unknown-mandate"


async def test_ask__token_that_is_no_mandate__refused_others_answered(
    consortium: Consortium, operator: GatewayClient
) -> None:
    jws = consortium.mandate()
    questions = [
        Question(mandate=jws_hash("rubbish"), item="E05.company", index=0, purpose="decide"),
        *consortium.questions(jws, ["E06.company"]),
    ]
    answers = read(consortium, await operator.ask(consortium.seat(MARKET), questions, [jws, "rubbish"]), MARKET)
    assert answers["E05.company"].reason == "forged-mandate"
    assert answers["E06.company"].result == "answered"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"binding": 77}, "unknown-binding"),
        ({"version": "0x" + "12" * 32}, "wrong-version"),
        ({"iat": 1_000, "exp": 2_000}, "expired"),
        ({"iat": 9_000_000_000, "exp": 9_100_000_000}, "not-yet-valid"),
        ({"askers": (CULTURE,)}, "asker-not-listed"),
        ({"iss": "seat:6"}, "forged-mandate"),
    ],
)
async def test_ask__mandate_not_good__refused(
    consortium: Consortium, operator: GatewayClient, changes: dict[str, Any], reason: str
) -> None:
    assert await reasons(consortium, operator, consortium.mandate(**changes), "E05.company") == {reason}


async def test_ask__beyond_the_need__refused(consortium: Consortium, operator: GatewayClient) -> None:
    jws = consortium.mandate(items=["E05.company"])
    assert await reasons(consortium, operator, jws, "E06.company") == {"not-authorised"}
    assert await reasons(consortium, operator, jws, "E01.handler") == {"not-this-provider"}
    assert await reasons(consortium, operator, jws, "E18.laboratory") == {"unknown-item"}
    answers = await operator.ask(
        consortium.seat(MARKET),
        [
            Question(mandate=jws_hash(jws), item="E05.company", index=3, purpose="decide"),
            Question(mandate=jws_hash(jws), item="E05.company", index=0, purpose="push"),
        ],
        [jws],
    )
    key = consortium.seat(MARKET).keyset.key("evidence")
    assert [read_answer(each, key).reason for each in answers.answers] == ["no-such-subject", "wrong-purpose"]


async def test_ask__other_department_asks__refused(consortium: Consortium, gateway: Gateway) -> None:
    async with gateway.client(consortium, TAX) as tax:
        assert await reasons(consortium, tax, consortium.mandate(), "E05.company") == {"asker-not-named"}


async def test_ask__withdrawn_or_amended__old_mandate_refused(consortium: Consortium, operator: GatewayClient) -> None:
    first = consortium.mandate()
    assert await reasons(consortium, operator, first, "E05.company") == {None}
    amended = consortium.following(first, "amendment")
    assert await reasons(consortium, operator, amended, "E05.company") == {None}
    assert await reasons(consortium, operator, first, "E05.company") == {"superseded"}
    withdrawn = consortium.following(first, "withdrawal", previous=jws_hash(amended))
    questions = consortium.questions(amended, ["E05.company"])
    answers = await operator.ask(consortium.seat(MARKET), questions, [first, amended, withdrawn])
    assert read(consortium, answers, MARKET)["E05.company"].reason == "withdrawn"
    assert await reasons(consortium, operator, amended, "E05.company") == {"withdrawn"}


async def test_ask__withdrawal_by_another_identity_seat__changes_nothing(
    consortium: Consortium, operator: GatewayClient
) -> None:
    """A second binding with an identity seat of its own must not end the cases of the first."""
    jws = consortium.mandate()
    foreign = generate_seat_keys(identity=True)
    view = consortium.seat(TAX)
    keyset = dataclasses.replace(view.keyset, keys=tuple(foreign.public_jwks()))
    before = consortium.chain._seats[TAX]
    consortium.chain.admit(keyset, foreign)
    other = consortium.chain.bind(
        consortium.scenario.version, identity=TAX, operator=OPERATOR, approvers=[CULTURE], providers=[MARKET] * 5
    )
    try:
        withdrawal = consortium.following(
            jws, "withdrawal", iss=seat_ref(TAX), binding=other.number, key=foreign.identity
        )
        questions = consortium.questions(jws, ["E05.company"])
        answers = await operator.ask(consortium.seat(MARKET), questions, [jws, withdrawal])
        assert read(consortium, answers, MARKET)["E05.company"].result == "answered"
        assert await reasons(consortium, operator, jws, "E05.company") == {None}
    finally:
        consortium.chain._seats[TAX] = before
        del consortium.chain._bindings[other.number]


async def test_ask__suspended_seats__refused(consortium: Consortium, operator: GatewayClient) -> None:
    jws = consortium.mandate()
    for number, reason in (
        (OPERATOR, "asker-suspended"),
        (POLICE, "identity-suspended"),
        (MARKET, "seat-suspended"),
    ):
        consortium.chain.suspend(number)
        try:
            assert await reasons(consortium, operator, jws, "E05.company") == {reason}
        finally:
            consortium.chain.suspend(number, active=True)


async def test_ask__binding_retired__running_cases_go_on(consortium: Consortium, operator: GatewayClient) -> None:
    old, new = consortium.mandate(), consortium.mandate()
    consortium.chain.settle(case_id(old), Status.ACCEPTED, 1, 1)
    consortium.chain.retire(1)
    try:
        assert await reasons(consortium, operator, old, "E05.company") == {None}
        assert await reasons(consortium, operator, new, "E05.company") == {"binding-retired"}
    finally:
        consortium.chain._bindings[1] = consortium.binding


async def test_ask__claim_gone_from_adapter__refused(
    consortium: Consortium, operator: GatewayClient, gateway: Gateway
) -> None:
    seat = gateway.seats["haidian-market-supervision"]
    adapter = seat.adapters.adapter
    evidence = {name: each for name, each in adapter.evidence.items() if name != "E06"}
    seat.adapters._adapter = adapter.model_copy(update={"evidence": evidence})
    try:
        assert await reasons(consortium, operator, consortium.mandate(), "E06.company") == {"unknown-claim"}
    finally:
        seat.adapters._adapter = adapter


# ---- whole batches refused


def batch(consortium: Consortium, jws: str, **changes: Any) -> str:
    options: dict[str, Any] = {"key": consortium.keys[OPERATOR].request, "iss": OPERATOR, "aud": MARKET} | changes
    return sign_batch(consortium.questions(jws, ["E05.company"]), **options)


def asking(consortium: Consortium, jws: str, signed: str) -> dict[str, Any]:
    """The body of a request whose batch is `signed`."""
    rows = [question.payload() for question in consortium.questions(jws, ["E05.company"])]
    return {"batch": signed, "questions": rows, "mandates": [jws]}


async def test_questions__batch_not_good__problem_and_nothing_logged(
    consortium: Consortium, gateway: Gateway, operator: GatewayClient
) -> None:
    jws = consortium.mandate()
    now = int(time.time())
    before = (await operator.head(consortium.seat(MARKET))).size
    for changes, status, code in (
        ({"key": SigningKey.generate()}, 403, "bad-signature"),
        ({"key": consortium.keys[TAX].request}, 403, "bad-signature"),
        ({"aud": TAX}, 403, "wrong-audience"),
        ({"iss": 200}, 403, "unknown-asker"),
        ({"now": now - 120}, 403, "expired"),
        ({"now": now + 120}, 403, "not-yet-valid"),
    ):
        response = await post(gateway, "questions", asking(consortium, jws, batch(consortium, jws, **changes)))
        assert (response.status_code, response.json()["code"]) == (status, code)
        assert response.headers["content-type"] == "application/problem+json"
    many = [Question(mandate=jws_hash(jws), item=f"E05.{n}", index=0, purpose="decide") for n in range(513)]
    signed = sign_batch(many, key=consortium.keys[OPERATOR].request, iss=OPERATOR, aud=MARKET)
    rows = [question.payload() for question in many]
    response = await post(gateway, "questions", {"batch": signed, "questions": rows, "mandates": [jws]})
    assert (response.status_code, response.json()["code"]) == (413, "too-many")
    other = asking(consortium, consortium.mandate(), batch(consortium, jws))
    for body in (
        {},
        {"batch": 3},
        {"batch": "x", "mandates": "y"},
        {"batch": "x", "questions": [], "more": 1},
        [],
        other,
    ):
        assert (await post(gateway, "questions", body)).status_code == 422
    assert (await post(gateway, "questions", {"batch": "x.y.z", "questions": []})).json()["code"] == "bad-signature"
    assert (await operator.head(consortium.seat(MARKET))).size == before


async def test_questions__batch_replayed__conflict(consortium: Consortium, gateway: Gateway) -> None:
    jws = consortium.mandate()
    body = asking(consortium, jws, batch(consortium, jws))
    assert (await post(gateway, "questions", body)).status_code == 200
    again = await post(gateway, "questions", body)
    assert (again.status_code, again.json()["code"]) == (409, "replayed")


async def test_questions__ten_megabytes__413(gateway: Gateway) -> None:
    response = await post(gateway, "questions", {"batch": "x" * 10_000_000})
    assert (response.status_code, response.json()["code"]) == (413, "too-large")


async def test_questions__department_not_seated__404(gateway: Gateway) -> None:
    transport = httpx.ASGITransport(app=gateway.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway.test") as http:
        response = await http.post("/beijing-tax/questions", json={"batch": "x", "questions": []})
    assert (response.status_code, response.json()["code"]) == (404, "unknown-seat")


async def test_ask__records_down__unavailable_after_the_log_entry(
    consortium: Consortium, operator: GatewayClient, gateway: Gateway, departments: SeededDepartments, pg_admin_dsn: str
) -> None:
    jws = consortium.mandate()
    seat = gateway.seats["haidian-market-supervision"]
    working = seat.records._pool
    down = Records("postgresql://nobody@127.0.0.1:1/none", seat.adapters.adapter, statement_timeout_ms=300)
    await down.open()
    before = (await operator.head(consortium.seat(MARKET))).size
    seat.records._pool = down._pool
    try:
        with pytest.raises(Unavailable) as error:
            await ask(consortium, operator, jws, "E05.company")
    finally:
        seat.records._pool = working
        await down.close()
    assert error.value.code == "records-unavailable"
    assert (await operator.head(consortium.seat(MARKET))).size == before + 1
    answers = await ask(consortium, operator, jws, "E05.company")
    assert read(consortium, answers, MARKET)["E05.company"].attempt == 2
