"""Credentials: what stands in them, who may have one, and that only its holder reads it."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest
from stdnum.iso7064 import mod_37_36

from orchestrator.domain.credential_type import HEADER, CredentialType, integrity, type_document
from orchestrator.domain.errors import Refused
from orchestrator.protocol.credential import Credential, CredentialView, open_credential, read_credential
from orchestrator.protocol.jose import SigningKey
from orchestrator.protocol.mandate import FaceCheck
from orchestrator.protocol.sealing import SealingKey
from orchestrator.protocol.wire import CLOCK_SKEW
from tests.support.approver import Approvers, Filed
from tests.support.services import CARD, paper

pytestmark = pytest.mark.anyio

FIRE, HEALTH, TAX = 4, 11, 6
TODAY = datetime.now(ZoneInfo("Asia/Shanghai")).date()


@pytest.fixture(autouse=True)
def _all_up(gallery: Approvers) -> None:
    gallery.book.down.clear()


async def issued(approvers: Approvers, case: Filed, *verdicts: str, seat: int | None = None) -> dict[str, Any]:
    """The lead's answer for one case."""
    number = approvers.lead if seat is None else seat
    body = case.body(verdicts=list(verdicts))
    return await approvers.operator.credentials(approvers.consortium.seat(number), [body])


async def credential(approvers: Approvers, case: Filed) -> Credential:
    """The credential of a case that every approver approves."""
    verdicts = [await approvers.verdict(case, seat=seat) for seat in approvers.consortium.binding.approvers]
    assert {verdict.outcome for verdict, _ in verdicts} == {"approve"}
    answer = await issued(approvers, case, *(jws for _, jws in verdicts))
    assert answer["refused"] == []
    (entry,) = answer["credentials"]
    assert entry["case"] == case.id
    return Credential(jwt=entry["credential"], sealed=entry["sealed"])


def opened(approvers: Approvers, case: Filed, found: Credential) -> CredentialView:
    """The credential as its holder reads it."""
    key = approvers.consortium.seat(approvers.lead).keyset.key("evidence")
    return read_credential(found.jwt, open_credential(found, case.id, approvers.consortium.delivery), key)


async def refused(approvers: Approvers, case: Filed, *verdicts: str, seat: int | None = None) -> str:
    answer = await issued(approvers, case, *verdicts, seat=seat)
    assert answer["credentials"] == []
    (entry,) = answer["refused"]
    assert entry["case"] == case.id
    return str(entry["code"])


async def test_credentials__gallery__header_fields_and_identifier(gallery: Approvers) -> None:
    case = gallery.file()
    view = opened(gallery, case, await credential(gallery, case))
    lead, ledger = gallery.consortium.seat(gallery.lead).keyset, gallery.consortium.chain.domain("CaseLedger")
    assert (view.iss, view.vct) == (f"seat:{gallery.lead}", gallery.consortium.scenario.result.vct)
    assert (view.status.case, view.status.ledger, view.status.chain_id) == (case.id, ledger.contract, ledger.chain_id)
    claims = view.claims
    assert claims["entity_name"] == "海淀墨白画廊有限公司"
    assert (claims["holder_name"], claims["holder_code"]) == ("海淀墨白画廊有限公司", "91110108MBXYE0016D")
    assert claims["holder_code_kind"] == "统一社会信用代码"
    assert (claims["legal_representative"], claims["issuer"]) == ("陈画", lead.name["zh"])
    assert claims["issue_date"] == claims["filed_on"] == claims["valid_from"] == TODAY.isoformat()
    assert claims["valid_to"] == "长期"
    assert claims["scope"] == gallery.consortium.binding.region
    assert set(HEADER) <= set(claims)
    assert claims["number"] == claims["licence_number"] == f"京海艺备{TODAY.year}{int(claims['number'][-6:]):06}"
    # GB/T 36904: 1.2.156.3005.2.<type code 21>.<issuer 18>.<serial>.<version 3>.<check by ISO 7064 MOD 37,36>
    root, parts = "1.2.156.3005.2", claims["licence_identifier"].removeprefix("1.2.156.3005.2.").split(".")
    assert claims["licence_identifier"].startswith(root)
    assert [len(part) for part in parts] == [21, 18, 10, 3, 1]
    assert parts[0] == claims["licence_type_code"] == f"{lead.uscc}001"
    assert parts[2] == claims["licence_number"][-10:]
    mod_37_36.validate("".join(parts))


async def test_credentials__type_metadata__travels_with_it_and_is_served_by_its_hash(gallery: Approvers) -> None:
    case = gallery.file()
    view = opened(gallery, case, await credential(gallery, case))
    document = type_document(gallery.consortium.scenario)
    assert view.integrity == integrity(document)
    _, jws = await gallery.verdict(case)
    assert (await issued(gallery, case, jws))["types"] == [document.decode()]
    labels = CredentialType.checked(document, vct=view.vct, hashed=view.integrity).labels()
    assert set(view.claims) <= set(labels)
    lead = gallery.consortium.seat(gallery.lead).keyset.id
    transport = httpx.ASGITransport(app=gallery.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://lead.test") as http:
        url = f"/{lead}/credential-types/{view.vct}"
        for query in ({}, {"integrity": view.integrity}):
            assert (await http.get(url, params=query)).content == document
        assert (await http.get(url, params={"integrity": integrity(b"")})).status_code == 404
        assert (await http.get(f"/{lead}/credential-types/urn:x")).status_code == 404


async def test_credentials__mandate_names_a_holders_key__bound_to_it(gallery: Approvers) -> None:
    key = SigningKey.generate()
    holder = {name: key.jwk[name] for name in ("kty", "crv", "x", "y")}
    case = gallery.file()
    assert opened(gallery, case, await credential(gallery, case)).holder is None
    case = gallery.file(holder=holder)
    assert opened(gallery, case, await credential(gallery, case)).holder == holder


async def test_credentials__other_keys__do_not_open_it(gallery: Approvers) -> None:
    case = gallery.file()
    found = await credential(gallery, case)
    for key in (
        gallery.consortium.keys[0].sealing,
        gallery.consortium.keys[gallery.lead].sealing,
        SealingKey.generate(),
    ):
        with pytest.raises(Refused, match="open"):
            open_credential(found, case.id, key)
    # What the orchestrator carries says nothing of what is in it.
    assert "墨白" not in found.jwt
    assert read_credential(found.jwt, [], gallery.consortium.seat(gallery.lead).keyset.key("evidence")).claims == {}


async def test_credentials__asked_again__the_same_one(gallery: Approvers) -> None:
    case = gallery.file()
    first = await credential(gallery, case)
    assert await credential(gallery, case) == first
    _, jws = await gallery.verdict(case)
    again = await asyncio.gather(*(issued(gallery, case, jws) for _ in range(4)))
    assert {answer["credentials"][0]["credential"] for answer in again} == {first.jwt}


async def test_credentials__asked_at_once__one_counts(gallery: Approvers) -> None:
    case = gallery.file()
    _, jws = await gallery.verdict(case)
    answers = await asyncio.gather(*(issued(gallery, case, jws) for _ in range(5)))
    assert len({answer["credentials"][0]["credential"] for answer in answers}) == 1


async def test_credentials__on_another_verdict__issued_anew_under_its_number(gallery: Approvers) -> None:
    case = gallery.file()
    first = await credential(gallery, case)
    gallery.say(case, "E05.company", attempt=2, entity_name="海淀墨黑画廊有限公司")
    second = await credential(gallery, case)
    before, after = opened(gallery, case, first).claims, opened(gallery, case, second).claims
    assert (before["entity_name"], after["entity_name"]) == ("海淀墨白画廊有限公司", "海淀墨黑画廊有限公司")
    assert before["number"] == after["number"]


async def test_credentials__numbers__follow_one_another(gallery: Approvers) -> None:
    cases = [gallery.file() for _ in range(3)]
    numbers = []
    for case in cases:
        claims = opened(gallery, case, await credential(gallery, case)).claims
        numbers.append(int(claims["number"][-6:]))
    assert numbers == [numbers[0], numbers[0] + 1, numbers[0] + 2]


async def test_credentials__not_approved_by_all__refused(hall: Approvers) -> None:
    case = hall.file(materials=[paper("hygiene-test-report", issued_on="2020-01-01", result="pass")])
    verdicts = [(await hall.verdict(case, seat=seat))[1] for seat in (FIRE, HEALTH)]
    assert await refused(hall, case, *verdicts) == "not-approved"
    assert await refused(hall, case, verdicts[0]) == "verdict-missing"
    good = hall.file()
    verdicts = [(await hall.verdict(good, seat=seat))[1] for seat in (FIRE, HEALTH)]
    assert await refused(hall, good, *verdicts, seat=HEALTH) == "not-lead"
    assert await refused(hall, good, verdicts[0], verdicts[0]) == "verdict-missing"
    assert (await issued(hall, good, *verdicts))["refused"] == []


async def test_credentials__mandate_amended_after_the_verdict__refused(gallery: Approvers) -> None:
    # The credential says what the newest mandate says: an approval of the one before is none of it.
    case = gallery.file()
    _, jws = await gallery.verdict(case)
    amended = gallery.amend(case)
    gallery.answer(amended)
    assert await refused(gallery, amended, jws) == "verdict-missing"


async def test_credentials__own_verdict_replaced__refused(gallery: Approvers) -> None:
    case = gallery.file()
    _, jws = await gallery.verdict(case)
    gallery.say(case, "E06.company", attempt=2, not_on_serious_list=False)
    assert await refused(gallery, case, jws) == "verdict-changed"  # what it would rest on is another already
    await gallery.verdict(case)
    gallery.say(case, "E06.company", attempt=3)
    assert await refused(gallery, case, jws) == "verdict-changed"


async def test_credentials__provider_down__waited_for_rather_than_left_out(gallery: Approvers) -> None:
    case = gallery.file()
    _, jws = await gallery.verdict(case)
    gallery.book.down.add("haidian-market-supervision")
    assert await refused(gallery, case, jws) == "provider-down"
    gallery.book.down.clear()
    assert (await issued(gallery, case, jws))["refused"] == []


async def test_credentials__asker_is_not_the_operator__refused(gallery: Approvers) -> None:
    case = gallery.file()
    await credential(gallery, case)  # there is one: it is not handed out to others
    _, jws = await gallery.verdict(case)
    async with gallery.client(TAX) as tax:
        answer = await tax.credentials(gallery.consortium.seat(gallery.lead), [case.body(verdicts=[jws])])
    assert (answer["credentials"], answer["refused"][0]["code"]) == ([], "asker-not-named")


async def test_credentials__benefit__months_and_rate_by_the_dated_tables(benefit: Approvers) -> None:
    case = benefit.file(face=face())
    claims = opened(benefit, case, await credential(benefit, case)).claims
    assert (claims["contribution_months"], claims["months_granted"], claims["monthly_rate"]) == (26, 6, 2034)
    assert (claims["bank"], claims["account_last_four"]) == ("某银行海淀支行", CARD[-4:])
    assert claims["holder_code_kind"] == "公民身份号码"
    # The account itself never leaves the payer.
    assert not any(CARD in str(value) for value in claims.values())


@pytest.mark.parametrize(
    "account",
    [
        {"holder": "别人", "bank": "某银行", "number": CARD},
        {"holder": "孙足月", "bank": "某银行", "number": CARD[:-1] + str((int(CARD[-1]) + 1) % 10)},
        {"holder": "孙足月", "bank": "某银行", "number": "1234"},
    ],
)
async def test_verdicts__benefit_account_not_good__returned(benefit: Approvers, account: dict[str, str]) -> None:
    case = benefit.file(face=face(), form={**benefit.service.form, "bank_account": account})
    verdict, _ = await benefit.verdict(case)
    assert (verdict.outcome, verdict.rows) == ("return", ("UBC-09",))


@pytest.mark.parametrize(
    ("changes", "outcome", "row"),
    [
        ({"matches": False}, "return", "UBC-01"),
        ({"liveness": "unknown"}, "return", "COM-07"),
        ({}, "approve", "UBC-99"),
    ],
)
async def test_verdicts__face_check_of_the_mandate__counts(
    benefit: Approvers, changes: dict[str, Any], outcome: str, row: str
) -> None:
    verdict, _ = await benefit.verdict(benefit.file(face=face(**changes)))
    assert (verdict.outcome, row in verdict.rows) == (outcome, True)


@pytest.mark.parametrize("age", [601, -CLOCK_SKEW - 60])
async def test_verdicts__face_check_too_old_at_signing__refused(benefit: Approvers, age: int) -> None:
    case = benefit.file(face=face(checked_at=int(time.time()) - age))
    assert await benefit.refused(case) == ("stale-face-check", [])


async def test_verdicts__development_face_check_in_production__refused(benefit: Approvers) -> None:
    real, development = benefit.file(face=face(method="national-network-identity")), benefit.file(face=face())
    seats = benefit.app.state.seats
    name = benefit.consortium.seat(benefit.lead).keyset.id
    seats[name] = replace(seats[name], production=True)
    try:
        assert (await benefit.verdict(real))[0].outcome == "approve"
        assert await benefit.refused(development) == ("development-face-check", [])
    finally:
        seats[name] = replace(seats[name], production=False)
    assert (await benefit.verdict(development))[0].outcome == "approve"


async def test_verdicts__no_face_check__material_wanted(benefit: Approvers) -> None:
    verdict, _ = await benefit.verdict(benefit.file(face=None))
    assert verdict.materials_wanted == ("claimant-identity",)


def face(**changes: Any) -> FaceCheck:
    """A face check that passed, with changes."""
    passed: dict[str, Any] = {
        "matches": True,
        "liveness": True,
        "assurance": "substantial",
        "checked_at": int(time.time()),
        "method": "development",
    }
    return FaceCheck(**(passed | changes))
