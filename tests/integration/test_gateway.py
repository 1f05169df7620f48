"""A gateway over real databases and keys: the gallery's questions answered end to end."""

from __future__ import annotations

import asyncio
import secrets
from typing import Any

import httpx
import orjson
import psycopg
import pytest
import uvicorn

from orchestrator.devnet.ports import free_port
from orchestrator.domain.canonical import canonical, from_hex, to_hex
from orchestrator.domain.errors import Invalid, Refused, Unavailable
from orchestrator.domain.suite import hash_of
from orchestrator.gateway.client import GatewayClient
from orchestrator.gateway.server import create_app
from orchestrator.protocol.answer import read_answer
from orchestrator.protocol.jose import jws_hash
from orchestrator.protocol.querylog import verify_consistency
from orchestrator.protocol.question import sign_request
from orchestrator.protocol.sheet import Binding, binding_digest, publication_digest, recover, retirement_digest
from tests.support.consortium import GALLERY_ITEMS, Consortium, make_consortium
from tests.support.departments import SeededDepartments
from tests.support.gateway import (
    CULTURE,
    MARKET,
    OPERATOR,
    POLICE,
    SEATED,
    TAX,
    Gateway,
    ask,
    documents,
    make_seats,
    post,
    read,
    reasons,
    terms,
)

pytestmark = pytest.mark.anyio


async def test_ask__gallery__answered_by_every_provider(consortium: Consortium, operator: GatewayClient) -> None:
    jws = consortium.mandate()
    claims: dict[str, dict[str, Any]] = {}
    opened: dict[str, dict[str, Any]] = {}
    for seat in sorted({consortium.provider(item) for item in GALLERY_ITEMS}):
        items = [item for item in GALLERY_ITEMS if consortium.provider(item) == seat]
        answers = await ask(consortium, operator, jws, *items)
        for item, answer in read(consortium, answers, seat).items():
            assert (answer.result, answer.attempt, answer.mandate) == ("answered", 1, jws_hash(jws))
            claims[item] = answer.claims
        opened |= {i: a.claims for i, a in read(consortium, answers, seat, approver=CULTURE).items()}
    assert claims.keys() == set(GALLERY_ITEMS)
    assert claims["E05.company"]["entity_in_operation"] is True
    assert claims["E05.company"]["entity_in"] is True
    assert claims["E05.company"]["scope_covers"] is True
    assert claims["E05.company.representative"] == {"legal_representative_is": True}
    assert claims["E06.company"] == {"not_on_abnormal_list": True, "not_on_serious_list": True}
    assert claims["E01.handler"]["identity_matches"] is True
    assert claims["E02.handler"]["household_in"] is True
    assert claims["E09.premises"] == {"title_in_force": True, "use_is_non_residential": True, "no_seizure": True}
    assert claims["E14.premises"] == {"no_permit_above": True}
    # What is sealed to the approver, the orchestrator does not see.
    assert opened["E05.company"]["entity_name"] == "海淀墨白画廊有限公司"
    assert opened["E01.handler"]["full_name"] == "陈画"
    assert opened["E09.premises"]["building_area"] == "280.00"
    assert "entity_name" not in claims["E05.company"]


async def test_ask__sealed_claims__no_other_key_opens_them(consortium: Consortium, operator: GatewayClient) -> None:
    jws = consortium.mandate()
    answers = await ask(consortium, operator, jws, "E05.company")
    key = consortium.seat(MARKET).keyset.key("evidence")
    for number in (OPERATOR, MARKET, TAX):
        with pytest.raises(Refused, match="open"):
            read_answer(answers.answers[0], key, private=consortium.keys[number].sealing, seat=CULTURE)


async def test_ask__again__next_attempt_with_fresh_data(
    consortium: Consortium, operator: GatewayClient, departments: SeededDepartments
) -> None:
    jws = consortium.mandate()
    first = await ask(consortium, operator, jws, "E05.company")
    owner = departments.databases["haidian-market-supervision"].owner
    company = "91110108MBXYE0016D"
    with psycopg.connect(owner, autocommit=True) as connection:
        connection.execute("update scjg_ztjbxx set regstate = '2' where uniscid = %s", [company])
        try:
            second = await ask(consortium, operator, jws, "E05.company")
        finally:
            connection.execute("update scjg_ztjbxx set regstate = '1' where uniscid = %s", [company])
    before, after = read(consortium, first, MARKET)["E05.company"], read(consortium, second, MARKET)["E05.company"]
    assert (before.attempt, before.claims["entity_in_operation"]) == (1, True)
    assert (after.attempt, after.claims["entity_in_operation"]) == (2, False)
    assert before.question == after.question


async def test_ask__nobody_on_record__unknown(consortium: Consortium, operator: GatewayClient) -> None:
    nobody = {
        "handler": [("citizen", "110199199001010010", "无名氏", {})],
        "company": [("uscc", "91110108MBXYE9999X", "查无此司", {})],
        "premises": [("title", "无此证", "", {})],
    }
    jws = consortium.mandate(nobody)
    answers = await ask(consortium, operator, jws, "E05.company")
    claims = read(consortium, answers, MARKET, approver=CULTURE)["E05.company"].claims
    assert claims["entity_in_operation"] == "unknown"
    assert claims["entity_name"] is None


async def test_ask__mandate_known_from_before__need_not_be_sent(
    consortium: Consortium, operator: GatewayClient
) -> None:
    jws = consortium.mandate()
    await ask(consortium, operator, jws, "E05.company")
    answers = await operator.ask(consortium.seat(MARKET), consortium.questions(jws, ["E06.company"]), [])
    assert read(consortium, answers, MARKET)["E06.company"].result == "answered"


# ---- latest answers


async def test_latest__approver__same_answers_and_sealed_parts(
    consortium: Consortium, gateway: Gateway, operator: GatewayClient
) -> None:
    jws = consortium.mandate()
    await ask(consortium, operator, jws, "E05.company", "E06.company")
    second = await ask(consortium, operator, jws, "E05.company")
    ids = [question.id for question in consortium.questions(jws, ["E05.company", "E06.company"])]
    async with gateway.client(consortium, CULTURE) as approver:
        found = (await approver.latest(consortium.seat(MARKET), [*ids, to_hex(secrets.token_bytes(32))])).answers
    assert {each.question for each in found} == set(ids)
    newest = next(each for each in found if each.question == ids[0])
    assert (newest.attempt, newest.answer, newest.sealed) == (2, second.answers[0].answer, second.answers[0].sealed)
    assert len((await operator.latest(consortium.seat(MARKET), ids)).answers) == 2


async def test_latest__seat_without_part_in_the_binding__nothing(
    consortium: Consortium, gateway: Gateway, operator: GatewayClient
) -> None:
    jws = consortium.mandate()
    await ask(consortium, operator, jws, "E05.company")
    ids = [question.id for question in consortium.questions(jws, ["E05.company"])]
    for number in (TAX, POLICE):
        async with gateway.client(consortium, number) as other:
            assert (await other.latest(consortium.seat(MARKET), ids)).answers == ()


async def test_latest__refused_later__the_answer_stays(
    consortium: Consortium, gateway: Gateway, operator: GatewayClient
) -> None:
    """Whoever may not ask cannot push an answer out by asking."""
    jws = consortium.mandate()
    await ask(consortium, operator, jws, "E05.company")
    async with gateway.client(consortium, TAX) as tax:
        assert await reasons(consortium, tax, jws, "E05.company") == {"asker-not-named"}
    ids = [question.id for question in consortium.questions(jws, ["E05.company"])]
    found = (await operator.latest(consortium.seat(MARKET), ids)).answers
    assert [each.attempt for each in found] == [1]


async def test_latest__faulty_requests__problem(consortium: Consortium, gateway: Gateway) -> None:
    key = consortium.keys[CULTURE].request
    for payload, code in (
        ({"questions": "x"}, 422),
        ({"questions": [1]}, 422),
        ({"questions": ["0x12"]}, 422),
        ({"questions": ["0x" + "00" * 32] * 513}, 413),
    ):
        request = sign_request(payload, "request", key=key, iss=CULTURE, aud=MARKET)
        assert (await post(gateway, "answers/latest", {"request": request})).status_code == code
    request = sign_request({"questions": []}, "request", key=key, iss=CULTURE, aud=MARKET)
    assert (await post(gateway, "answers/latest", {"request": request})).status_code == 200
    assert (await post(gateway, "answers/latest", {"request": request})).json()["code"] == "replayed"


# ---- the log over HTTP


async def test_log__grows__consistent_and_included(consortium: Consortium, operator: GatewayClient) -> None:
    seat = consortium.seat(MARKET)
    jws = consortium.mandate()
    first = (await ask(consortium, operator, jws, "E05.company", "E06.company")).head
    await asyncio.gather(*(ask(consortium, operator, jws, "E05.company") for _ in range(5)))
    last = await operator.head(seat)
    proof = await operator.consistency(seat, first.size, last.size)
    assert last.size >= first.size + 5
    assert verify_consistency(first.size, from_hex(first.root), last.size, from_hex(last.root), proof)
    assert await operator.inclusion(seat, first.size - 1, last.size)
    for wrong in ((0, 1), (2, 1), (1, last.size + 1)):
        with pytest.raises(Invalid):
            await operator.consistency(seat, *wrong)
    with pytest.raises(Invalid):
        await operator.inclusion(seat, last.size, last.size)


async def test_client__head_of_another_key__refused(
    consortium: Consortium, gateway: Gateway, operator: GatewayClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateway.seats["haidian-market-supervision"].keys, "_chain", consortium.keys[TAX].chain)
    with pytest.raises(Refused) as error:
        await operator.head(consortium.seat(MARKET))
    assert error.value.code == "bad-head"


async def test_log__no_personal_data(consortium: Consortium, gateway: Gateway, operator: GatewayClient) -> None:
    await ask(consortium, operator, consortium.mandate(), "E05.company")
    await ask(consortium, operator, consortium.mandate(), "E01.handler")
    for name in ("haidian-market-supervision", "beijing-public-security"):
        with psycopg.connect(gateway.seats[name].store.pool.conninfo) as connection:
            tables = connection.execute(
                "select table_name from information_schema.tables where table_schema = 'public'"
            ).fetchall()
            for (table,) in tables:
                for row in connection.execute(f"select * from {table}").fetchall():
                    text = b" ".join(cell if isinstance(cell, bytes) else str(cell).encode() for cell in row)
                    for secret in ("110199198806120116", "陈画", "91110108MBXYE0016D", "海淀墨白画廊有限公司"):
                        assert secret.encode() not in text


# ---- documents and signatures


async def test_definitions__put__kept_under_their_hash(consortium: Consortium, gateway: Gateway) -> None:
    definition, texts = documents(consortium)
    version = consortium.scenario.version
    transport = httpx.ASGITransport(app=gateway.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway.test") as http:
        url = "/haidian-culture-tourism/definitions/"
        body = {"definition": definition, "texts": texts}
        response = await http.put(url + version, json=body)
        assert response.json() == {"version": version, "texts": consortium.scenario.texts_hash}
        assert (await http.put(url + "0x" + "11" * 32, json=body)).json()["code"] == "wrong-version"
        faulty = {"definition": {"id": "x"}, "texts": texts}
        wrong = to_hex(hash_of(canonical(faulty["definition"])))
        assert (await http.put(url + wrong, json=faulty)).status_code == 422


async def test_sign_binding__every_named_seat__signature_of_its_chain_key(
    consortium: Consortium, operator: GatewayClient
) -> None:
    proposal = terms(consortium)
    digest = binding_digest(
        consortium.chain.domain("Catalog"),
        Binding(
            version=from_hex(consortium.scenario.version),
            region=110108,
            identity=proposal["identity"],
            operator=proposal["operator"],
            approvers=tuple(proposal["approvers"]),
            providers=tuple(proposal["providers"]),
            valid_until=proposal["valid_until"],
        ),
    )
    for name in SEATED:
        seat = consortium.seats[name]
        signature = await operator.sign_binding(seat, *documents(consortium), proposal)
        assert recover(digest, signature) == seat.signer


async def test_sign_binding__does_not_fit__refused(
    consortium: Consortium, gateway: Gateway, operator: GatewayClient
) -> None:
    binding = consortium.binding
    seat = consortium.seat(MARKET)
    for changes, code in (
        ({"approvers": []}, "invalid"),
        ({"providers": list(binding.providers[:-1])}, "invalid"),
        ({"operator": POLICE}, "invalid"),
        ({"valid_until": 1000}, "invalid"),
        ({"region": "11"}, "invalid"),
        ({"version": "0x" + "00" * 32}, "wrong-version"),
        ({"operator": TAX}, "asker-not-named"),
        # The market seat would play the police's role, and its adapter has none of those claims.
        ({"providers": [MARKET] * len(binding.providers)}, "unknown-claim"),
        ({"providers": [TAX] * len(binding.providers)}, "not-named"),
    ):
        with pytest.raises((Invalid, Refused)) as error:
            await operator.sign_binding(seat, *documents(consortium), terms(consortium, **changes))
        assert error.value.code == code, changes
    async with gateway.client(consortium, TAX) as tax:
        with pytest.raises(Refused):
            await tax.sign_binding(seat, *documents(consortium), terms(consortium))


async def test_sign_publication_and_retirement__signatures_of_the_chain_key(
    consortium: Consortium, gateway: Gateway, operator: GatewayClient
) -> None:
    culture, domain = consortium.seat(CULTURE), consortium.chain.domain("Catalog")
    scenario = consortium.scenario
    signature = await operator.sign_publication(culture, *documents(consortium))
    digest = publication_digest(domain, scenario.id, from_hex(scenario.version), from_hex(scenario.texts_hash), CULTURE)
    assert recover(digest, signature) == culture.signer
    signature = await operator.sign_retirement(culture, 1)
    assert recover(retirement_digest(domain, 1, CULTURE), signature) == culture.signer
    async with gateway.client(consortium, TAX) as tax:
        with pytest.raises(Refused):
            await tax.sign_retirement(culture, 1)


async def test_signed_body__body_swapped__refused(consortium: Consortium, gateway: Gateway) -> None:
    body = {"binding": 1}
    request = sign_request(
        {"body": to_hex(hash_of(canonical(body)))},
        "retirement",
        key=consortium.keys[OPERATOR].request,
        iss=OPERATOR,
        aud=MARKET,
    )
    response = await post(gateway, "retirements/signature", {"request": request, "body": {"binding": 2}})
    assert (response.status_code, response.json()["code"]) == (403, "bad-signature")


# ---- over real sockets, and with many at once


async def test_gateway__over_http__answers_and_tells_its_keyset(
    consortium: Consortium, departments: SeededDepartments, pg_admin_dsn: str
) -> None:
    port = free_port()
    there = make_consortium(endpoint=f"http://127.0.0.1:{port}")
    seats = make_seats(there, departments, pg_admin_dsn, SEATED[:2])
    server = uvicorn.Server(uvicorn.Config(create_app(list(seats.values()), there.chain), port=port, log_level="error"))
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.02)
    try:
        async with GatewayClient(OPERATOR, there.keys[OPERATOR].request, there.chain) as operator:
            await operator.sign_binding(there.seat(MARKET), *documents(there), terms(there))
            answers = await ask(there, operator, there.mandate(), "E05.company", "E06.company")
            assert {each.result for each in read(there, answers, MARKET).values()} == {"answered"}
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http:
            keyset = await http.get("/haidian-market-supervision/keyset")
            assert keyset.content == there.seat(MARKET).keyset.document()
            assert (await http.get("/health")).json()["departments"] == list(SEATED[:2])
            assert (await http.get("/beijing-public-security/health")).json()["seat"] == POLICE
            assert (await http.get("/nowhere")).headers["content-type"] == "application/problem+json"
    finally:
        server.should_exit = True
        await serving
    async with GatewayClient(OPERATOR, there.keys[OPERATOR].request, there.chain) as operator:
        with pytest.raises(Unavailable) as error:
            await operator.head(there.seat(MARKET))
        assert error.value.code == "gateway-unreachable"


async def test_ask__batches_at_once__one_linear_log(consortium: Consortium, operator: GatewayClient) -> None:
    seat = consortium.seat(POLICE)
    jws = consortium.mandate()
    results = await asyncio.gather(*(ask(consortium, operator, jws, "E01.handler", "E02.handler") for _ in range(12)))
    attempts = sorted(envelope.attempt for each in results for envelope in each.answers)
    assert attempts == sorted([*range(1, 13), *range(1, 13)])
    last = await operator.head(seat)
    for each in results:
        proof = await operator.consistency(seat, each.head.size, last.size)
        assert verify_consistency(each.head.size, from_hex(each.head.root), last.size, from_hex(last.root), proof)


async def test_answers__to_json_and_back__unchanged(consortium: Consortium, operator: GatewayClient) -> None:
    answers = await ask(consortium, operator, consortium.mandate(), "E05.company")
    envelope = answers.answers[0]
    assert type(envelope).parse(orjson.loads(orjson.dumps(envelope.payload()))) == envelope
