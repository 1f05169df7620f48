"""Who looked: a gateway tells a person, through the identity seat, every question that it logged about them, with proofs."""

from __future__ import annotations

import time
from typing import Any

import pytest

from orchestrator.domain.canonical import from_hex, to_hex
from orchestrator.gateway.client import GatewayClient
from orchestrator.gateway.lookindex import day_of, token
from orchestrator.protocol.access import Statement, Told, access_entry, by_place, read_past_access
from orchestrator.protocol.jose import SigningKey, jws_hash
from orchestrator.protocol.mandate import case_id
from orchestrator.protocol.querylog import entry, leaf_hash, verify_inclusion
from orchestrator.protocol.question import question_id, read_asked
from tests.support.consortium import GALLERY_SUBJECTS, Consortium
from tests.support.gateway import CULTURE, MARKET, OPERATOR, POLICE, TAX, Gateway, ask
from tests.support.looks import access, call, deliver, told

pytestmark = pytest.mark.anyio

CHEN = "110199198806120116"
COMPANY = "91110108MBXYE0016D"
MARKET_ID = "haidian-market-supervision"


def check(consortium: Consortium, seat: int, statement: Statement, found: Told) -> None:
    """Every entry is under the seat's signed head, and came in a batch that its asker signed."""
    held, paths = found.by_hash(), by_place(found.paths)
    assert found.head.signer(consortium.chain.domain("CaseLedger")) == consortium.seat(seat).signer
    for look in statement.looks:
        assert question_id(look.mandate, look.item, look.place, look.purpose) == look.question
        asker, asked, ids = read_asked(held[look.batch], consortium.seat(look.asker).keyset.key("request"))
        assert (asker, asked) == (look.asker, seat)
        assert look.question in ids
        leaf, path = leaf_hash(entry(look.batch, look.question, look.attempt)), paths[look.index]
        assert path.size == found.head.size
        nodes = [from_hex(node) for node in path.path]
        assert verify_inclusion(leaf, look.index, path.size, nodes, from_hex(found.head.root))
    for one in statement.accesses:
        read_past_access(held[one.request], consortium.seat(one.asker).keyset.key("identity"))
        nodes = [from_hex(node) for node in paths[one.index].path]
        leaf = leaf_hash(access_entry(one.request, one.at))
        assert verify_inclusion(leaf, one.index, found.head.size, nodes, from_hex(found.head.root))


async def test_looks__questions_asked_and_refused__told_with_proofs_and_no_value(
    consortium: Consortium, gateway: Gateway, operator: GatewayClient
) -> None:
    person = "110199199001010013"
    subjects = {**GALLERY_SUBJECTS, "handler": [("citizen", person, "陈画", {})]}
    jws = consortium.mandate(subjects)
    await ask(consortium, operator, jws, "E05.company", "E05.company.representative")
    await ask(consortium, operator, jws, "E01.handler")
    async with gateway.client(consortium, TAX) as stranger:
        await ask(consortium, stranger, jws, "E01.handler", seat=POLICE)

    police, proof = await told(consortium, gateway, POLICE, person)
    market, _ = await told(consortium, gateway, MARKET, person)

    check(consortium, POLICE, police, proof)
    assert [(look.item, look.asker, look.outcome) for look in police.looks] == [
        ("E01.handler", TAX, "asker-not-named"),
        ("E01.handler", OPERATOR, "answered"),
    ]
    refused, answered = police.looks
    assert (answered.case, answered.role, answered.part) == (case_id(jws), "handler", "subject")
    assert answered.basis == consortium.scenario.item("E01.handler").basis.act.zh
    assert abs(answered.at - time.time()) < 60
    kinds = {each.claim: (each.kind, each.sealed_to) for each in answered.claims}
    assert kinds["identity_matches"] == ("answered", ()) or kinds["identity_matches"][0] == "unknown"
    assert all(each.sealed_to in ((), (CULTURE,)) for each in answered.claims)
    assert any(each.sealed_to for each in answered.claims)
    assert (refused.claims, refused.answer) == ((), None)
    # Compared with, in a question about the company.
    assert [(look.item, look.part) for look in market.looks] == [("E05.company.representative", "compared")]
    assert "陈画" not in police.model_dump_json()


async def test_looks__the_company__told_under_its_own_code_alone(
    consortium: Consortium, gateway: Gateway, operator: GatewayClient
) -> None:
    code = "91110108MBXYE0024T"
    jws = consortium.mandate({**GALLERY_SUBJECTS, "company": [("uscc", code, "某公司", {})]})
    await ask(consortium, operator, jws, "E05.company")
    found, proof = await told(consortium, gateway, MARKET, code, kind="uscc")
    check(consortium, MARKET, found, proof)
    assert [look.role for look in found.looks] == ["company"]
    assert {each.kind for each in found.looks[0].claims} <= {"answered", "unknown"}
    nobody, _ = await told(consortium, gateway, MARKET, code, kind="citizen")
    assert nobody.looks == ()


async def test_looks__asked_again__the_accesses_are_told_too(consortium: Consortium, gateway: Gateway) -> None:
    person = "110199199001010021"
    await ask_once(consortium, gateway)
    first, _ = await told(consortium, gateway, MARKET, person)
    second, proof = await told(consortium, gateway, MARKET, person)
    check(consortium, MARKET, second, proof)
    assert [len(first.accesses), len(second.accesses)] == [1, 2]
    assert {each.asker for each in second.accesses} == {consortium.binding.identity}


async def test_looks__anchored_size_given__proven_under_it(
    consortium: Consortium, gateway: Gateway, operator: GatewayClient
) -> None:
    person = "11019919900101003X"
    jws = consortium.mandate({**GALLERY_SUBJECTS, "handler": [("citizen", person, "某", {})]})
    await ask(consortium, operator, jws, "E01.handler")
    head = await operator.head(consortium.seat(POLICE))
    await ask(consortium, operator, jws, "E02.handler")
    found, proof = await told(consortium, gateway, POLICE, person, anchored=head.size)
    paths = by_place(proof.paths)
    newest, oldest = found.looks
    leaf = leaf_hash(entry(oldest.batch, oldest.question, oldest.attempt))
    nodes = [from_hex(node) for node in paths[oldest.index].path]
    assert verify_inclusion(leaf, oldest.index, head.size, nodes, from_hex(head.root))
    assert (paths[oldest.index].size, paths[newest.index].size) == (head.size, proof.head.size)
    too_much, _ = access(consortium, POLICE, "citizen", person, anchored=1 << 40)
    answer = await call(gateway, "/beijing-public-security/looks", {"request": too_much})
    assert (answer.status_code, answer.json()["code"]) == (422, "no-such-place")


async def test_looks__more_than_fit__told_in_parts_without_gap(
    consortium: Consortium, gateway: Gateway, operator: GatewayClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestrator.gateway.looks.MOST_LOOKS", 4)
    person = "110199199001010048"
    jws = consortium.mandate({**GALLERY_SUBJECTS, "handler": [("citizen", person, "某", {})]})
    for _ in range(5):
        await ask(consortium, operator, jws, "E01.handler")
    places, before = [], None
    for _ in range(10):
        found, _ = await told(consortium, gateway, POLICE, person, before=before)
        places += [look.index for look in found.looks]
        assert len(found.looks) <= 2
        if not found.more:
            break
        before = min([*(look.index for look in found.looks), *(each.index for each in found.accesses)])
    assert len(places) == len(set(places)) == 5


async def test_looks__not_an_identity_seat_forged_or_replayed__refused(
    consortium: Consortium, gateway: Gateway
) -> None:
    await ask_once(consortium, gateway)
    good, _ = access(consortium, MARKET, "citizen", CHEN)
    now = int(time.time())
    operator = {"key": consortium.keys[OPERATOR].request, "iss": OPERATOR}
    for changes, code in (
        (operator, "not-identity-seat"),
        ({"key": consortium.keys[OPERATOR].request}, "bad-signature"),
        ({"key": SigningKey.generate()}, "bad-signature"),
        ({"aud": TAX}, "wrong-audience"),
        ({"iss": 200}, "unknown-asker"),
        ({"now": now - 120}, "expired"),
    ):
        request, _ = access(consortium, MARKET, "citizen", CHEN, **changes)
        answer = await call(gateway, f"/{MARKET_ID}/looks", {"request": request})
        assert (answer.status_code, answer.json()["code"]) == (403, code), changes
    assert (await call(gateway, f"/{MARKET_ID}/looks", {"request": good})).status_code == 200
    again = await call(gateway, f"/{MARKET_ID}/looks", {"request": good})
    assert (again.status_code, again.json()["code"]) == (409, "replayed")
    consortium.chain.suspend(consortium.binding.identity)
    try:
        late, _ = access(consortium, MARKET, "citizen", CHEN)
        assert (await call(gateway, f"/{MARKET_ID}/looks", {"request": late})).json()["code"] == "asker-suspended"
    finally:
        consortium.chain.suspend(consortium.binding.identity, active=True)


async def test_looks__identity_seat_whose_mandates_never_came__refused(
    consortium: Consortium, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    seat = gateway.seats["beijing-natural-resources"]
    rows = seat.store.rows

    async def none_of_it(statement: Any, parameters: Any = ()) -> Any:
        return [] if "from mandate where issuer" in statement else await rows(statement, parameters)

    monkeypatch.setattr(seat.store, "rows", none_of_it)
    request, _ = access(consortium, seat.number, "citizen", CHEN)
    answer = await call(gateway, f"/{seat.id}/looks", {"request": request})
    assert answer.json()["code"] == "not-identity-seat"


async def test_store__index_of_looks__cannot_be_searched_without_the_seats_key(
    consortium: Consortium, gateway: Gateway, operator: GatewayClient
) -> None:
    await ask(consortium, operator, consortium.mandate(), "E01.handler")
    seat = gateway.seats["beijing-public-security"]
    today = day_of(int(time.time()))
    tokens = {bytes(row["token"]) for row in await seat.store.rows("select token from look")}
    secret = await seat.index.secret(seat.store, seat.keys.sealing, seat.number)
    assert token(secret, today, "citizen", CHEN) in tokens
    assert token(b"\0" * 32, today, "citizen", CHEN) not in tokens
    assert token(secret, today - 1, "citizen", CHEN) not in tokens
    (sealed,) = await seat.store.rows("select sealed from index_secret")
    assert secret.hex() not in str(sealed)
    hidden = await seat.store.rows("select kinds from answer limit 5")
    assert not any(b"identity_matches" in bytes(row["kinds"]) for row in hidden)


async def test_looks__refused_after_withdrawal__told_as_withdrawn(
    consortium: Consortium, gateway: Gateway, operator: GatewayClient
) -> None:
    person = "110199199001010056"
    jws = consortium.mandate({**GALLERY_SUBJECTS, "handler": [("citizen", person, "某", {})]})
    await ask(consortium, operator, jws, "E01.handler")
    await deliver(consortium, gateway, POLICE, consortium.following(jws, "withdrawal", items=(), consents=()))
    await ask(consortium, operator, jws, "E01.handler")
    found, _ = await told(consortium, gateway, POLICE, person)
    assert [look.outcome for look in found.looks] == ["withdrawn", "answered"]
    assert to_hex(from_hex(found.looks[0].mandate)) == jws_hash(jws)


async def ask_once(consortium: Consortium, gateway: Gateway) -> None:
    """Lets a mandate of the identity seat come to the market supervision."""
    async with gateway.client(consortium, OPERATOR) as client:
        await ask(consortium, client, consortium.mandate(), "E05.company")
