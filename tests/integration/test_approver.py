"""One gallery case through real gateways on a real port: asked, judged, decided, sealed, signed; nothing replaced but the chain."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator

import httpx
import psycopg
import pytest
import uvicorn

from orchestrator.devnet.ports import free_port
from orchestrator.domain.canonical import from_hex
from orchestrator.domain.case import Status
from orchestrator.domain.errors import Refused
from orchestrator.gateway.client import GatewayClient
from orchestrator.gateway.desk import certify_officer
from orchestrator.gateway.officer import OfficerClient
from orchestrator.gateway.server import create_app
from orchestrator.protocol.answer import AnswerEnvelope, read_answer
from orchestrator.protocol.credential import Credential, open_credential, read_credential
from orchestrator.protocol.jose import SigningKey
from orchestrator.protocol.sheet import Transition, recover, sheet_digest
from tests.support.approver import OPERATOR, Approvers, Book, Filed
from tests.support.consortium import make_consortium
from tests.support.departments import SeededDepartments
from tests.support.gateway import make_seats
from tests.support.services import GALLERY

pytestmark = pytest.mark.anyio

MARKET, CULTURE = 1, 3
NAMES = (
    "haidian-market-supervision",
    "beijing-public-security",
    "haidian-culture-tourism",
    "beijing-natural-resources",
    "haidian-housing-construction",
)
COMPANY = "91110108MBXYE0016D"


@pytest.fixture(scope="module")
async def gallery(departments: SeededDepartments, pg_admin_dsn: str) -> AsyncIterator[Approvers]:
    port = free_port()
    consortium = make_consortium(endpoint=f"http://127.0.0.1:{port}")
    seats = make_seats(consortium, departments, pg_admin_dsn, NAMES)
    app = create_app(list(seats.values()), consortium.chain)
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="error"))
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.02)
    binding = consortium.binding
    terms = {
        "version": binding.version,
        "region": binding.region,
        "identity": binding.identity,
        "operator": binding.operator,
        "approvers": list(binding.approvers),
        "providers": list(binding.providers),
        "valid_until": int(time.time()) + 3600,
    }
    documents = consortium.scenario.definition(), consortium.scenario.texts()
    async with GatewayClient(OPERATOR, consortium.keys[OPERATOR].request, consortium.chain, timeout=30) as operator:
        for name in NAMES:
            await operator.sign_binding(consortium.seats[name], *documents, terms)
        yield Approvers(
            consortium=consortium,
            app=app,
            seats={CULTURE: seats["haidian-culture-tourism"]},
            book=Book(consortium),
            operator=operator,
            service=GALLERY,
        )
    server.should_exit = True
    await serving


async def gather(gallery: Approvers, case: Filed, *items: str) -> dict[str, AnswerEnvelope]:
    """What the orchestrator gets when it asks the providers: item to answer."""
    by_seat: dict[int, list[str]] = defaultdict(list)
    for item in items or [each.id for each in gallery.planned(case)]:
        by_seat[gallery.consortium.provider(item)].append(item)
    found: dict[str, AnswerEnvelope] = {}
    for seat, names in by_seat.items():
        questions = gallery.consortium.questions(case.newest, names)
        answers = await gallery.operator.ask(gallery.consortium.seat(seat), questions, case.mandates)
        found |= dict(zip(names, answers.answers, strict=True))
    return found


async def test_case__gallery__from_mandate_to_sheet_and_credential(gallery: Approvers) -> None:
    case = gallery.file(answered=False)
    answers = await gather(gallery, case)
    verdict, jws = await gallery.verdict(case)
    assert (verdict.outcome, verdict.rows[-1]) == ("approve", "GAL-99")
    # It rests on the providers' answers, which this seat fetched itself.
    envelopes = {envelope.question: envelope for envelope in answers.values()}
    assert {(ref.question, ref.attempt) for ref in verdict.answers} == {(each, 1) for each in envelopes}

    lead = gallery.consortium.seat(CULTURE)
    issued = await gallery.operator.credentials(lead, [case.body(verdicts=[jws])])
    credential = Credential(jwt=issued["credentials"][0]["credential"], sealed=issued["credentials"][0]["sealed"])
    disclosures = open_credential(credential, case.id, gallery.consortium.delivery)
    claims = read_credential(credential.jwt, disclosures, lead.keyset.key("evidence")).claims
    # What was sealed to the approver came by way of its own key alone.
    assert (claims["entity_name"], claims["uscc"]) == ("海淀墨白画廊有限公司", COMPANY)

    transition = await gallery.transition(case, Status.APPROVED, [jws])
    sheet = await gallery.sheets(transition)
    signed = Transition(
        case_id=from_hex(case.id),
        root=from_hex(transition["root"]),
        status=Status.APPROVED,
        sequence=1,
        binding=gallery.consortium.binding.number,
    )
    digest = sheet_digest(gallery.consortium.chain.domain("CaseLedger"), CULTURE, sheet["valid_until"], [signed])
    assert recover(digest, from_hex(sheet["signature"], 65)) == lead.signer


async def test_case__sealed_claims__read_by_the_approver_alone(gallery: Approvers) -> None:
    case = gallery.file(answered=False)
    envelope = (await gather(gallery, case, "E05.company"))["E05.company"]
    key = gallery.consortium.seat(MARKET).keyset.key("evidence")
    seen = read_answer(envelope, key, private=gallery.consortium.keys[CULTURE].sealing, seat=CULTURE)
    assert seen.claims["entity_name"] == "海淀墨白画廊有限公司"
    assert "entity_name" not in read_answer(envelope, key).claims
    for number in (OPERATOR, MARKET):
        with pytest.raises(Refused):
            read_answer(envelope, key, private=gallery.consortium.keys[number].sealing, seat=CULTURE)


async def test_case__unwelcome_answer_dropped_on_the_way__noticed(
    gallery: Approvers, departments: SeededDepartments
) -> None:
    case = gallery.file(answered=False)
    await gather(gallery, case)
    assert (await gallery.verdict(case))[0].outcome == "approve"
    # The company is deregistered; the orchestrator asks again, sees that it is, and keeps quiet about it.
    with psycopg.connect(departments.databases["haidian-market-supervision"].owner, autocommit=True) as connection:
        connection.execute("update scjg_ztjbxx set regstate = '2' where uniscid = %s", [COMPANY])
        try:
            unwelcome = (await gather(gallery, case, "E05.company"))["E05.company"]
        finally:
            connection.execute("update scjg_ztjbxx set regstate = '1' where uniscid = %s", [COMPANY])
    assert unwelcome.attempt == 2
    verdict, jws = await gallery.verdict(case)
    assert (verdict.outcome, "GAL-01" in verdict.rows) == ("manual", True)
    assert await gallery.sheet_refused(await gallery.transition(case, Status.APPROVED, [jws])) == "wrong-status"


async def test_case__never_asked__nothing_known(gallery: Approvers) -> None:
    verdict, _ = await gallery.verdict(gallery.file(answered=False))
    assert (verdict.outcome, verdict.answers) == ("return", ())


async def test_case__manual__officer_looks_and_decides_and_the_seat_signs(gallery: Approvers) -> None:
    case = gallery.file(form={**GALLERY.form, "imports_exports": True}, answered=False)
    await gather(gallery, case)
    first, jws = await gallery.verdict(case)
    assert (first.outcome, first.rows[0]) == ("manual", "GAL-08")
    accepted = await gallery.transition(case, Status.ACCEPTED, [jws])
    assert (await gallery.sheets(accepted))["signed"] == [case.id]
    gallery.consortium.chain.settle(case.id, Status.ACCEPTED, 1, gallery.consortium.binding.number)

    key = SigningKey.generate()
    certificate = await certify_officer(gallery.seats[CULTURE], key.jwk, "officer-1")
    endpoint = gallery.consortium.seat(CULTURE).keyset.endpoint
    async with httpx.AsyncClient(trust_env=False) as http:
        officer = OfficerClient(http, endpoint=endpoint, seat=CULTURE, key=key, certificate=certificate)
        (item,) = [item for item in await officer.queue() if item["case"] == case.id]
        seen = await officer.look(case.id)
        assert seen["subjects"]["handler"][0]["name"] == "陈画"
        await officer.decide(item, "approve", "市文旅局已批准")

    case.sequence = 2
    second, decided = await gallery.verdict(case)
    assert (second.outcome, second.officer is not None) == ("approve", True)
    grown = await gallery.transition(case, Status.APPROVED, [decided], before=accepted["leaves"])
    assert (await gallery.sheets(grown))["signed"] == [case.id]
    other = await gallery.transition(case, Status.APPROVED, [decided], before=accepted["leaves"])
    assert await gallery.sheet_refused(other) == "other-outcome"
