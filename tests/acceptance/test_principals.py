"""Who may do what: applicants, operators, auditors, officers, and those who are nobody here."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Mapping
from typing import Any

import httpx
import pytest

from orchestrator.demo.applicant import ProblemError
from orchestrator.domain.canonical import canonical, to_hex
from orchestrator.domain.suite import hash_of
from orchestrator.protocol.jose import SigningKey, sign_jws
from orchestrator.protocol.keyfolder import load_seat_keys
from orchestrator.protocol.question import sign_request
from tests.support.world import LONGEST, World, check_problem

pytestmark = pytest.mark.anyio

CULTURE = 3
PUBLIC = {
    ("get", "/api/v1/health"),
    ("get", "/api/v1/deployment"),
    ("get", "/api/v1/scenarios"),
    ("get", "/api/v1/scenarios/{scenario}"),
    ("post", "/api/v1/scenarios/{scenario}/plan"),
    ("post", "/api/v1/login"),
    ("get", "/api/v1/credential-types/{vct}"),
}
"""What anybody may ask: what can be applied for, and what whoever verifies needs."""


async def test_operations__anonymous__all_but_the_public_ones_want_a_sign_in(world: World) -> None:
    tried = 0
    for method, path in await operations(world):
        if (method, path) in PUBLIC:
            continue
        answer = await call(world, method, path, {})
        body = check_problem(answer, 401, "not-signed-in")
        assert body["errors"][0]["remedy"]
        tried += 1
    assert tried >= 12


async def test_operations__officers_signatures__are_nothing_at_the_portal(world: World) -> None:
    officer = world.officers["haidian-culture-tourism"]
    request = sign_jws(
        {"certificate": officer._certificate, "aud": "seat:3", "iat": int(time.time()), "exp": int(time.time()) + 60},
        typ="lianban-desk+jwt",
        key=officer._key,
    )
    for token in (request, officer._certificate):
        answer = await call(world, "get", "/api/v1/cases", {"authorization": f"Bearer {token}"})
        check_problem(answer, 401, "not-signed-in")


async def test_cases__somebody_elses__do_not_exist(world: World) -> None:
    async with (
        world.applied("gallery-passes") as (client, case, applicant),
        world.person(world.demo["benefit-resigned"].person) as other,
    ):
        await client.settled(case, timeout=LONGEST)
        assert case in [each["id"] for each in (await client.request("GET", "/api/v1/cases"))["cases"]]
        assert case not in [each["id"] for each in (await other.request("GET", "/api/v1/cases"))["cases"]]
        for method, path in (
            ("GET", f"/api/v1/cases/{case}"),
            ("GET", f"/api/v1/cases/{case}/dossier"),
            ("GET", f"/api/v1/cases/{case}/documents"),
            ("GET", f"/api/v1/cases/{case}/credential"),
            ("GET", f"/api/v1/cases/{case}/events"),
            ("POST", f"/api/v1/cases/{case}/withdrawals"),
        ):
            with pytest.raises(ProblemError) as refused:
                await other.request(method, path)
            assert (refused.value.status, refused.value.code) == (404, "not-found")
        with pytest.raises(ProblemError) as refused:
            await other.amend(case, applicant.walk, [])
        assert (refused.value.status, refused.value.code) == (404, "not-found")
        # The same words as for a case that nobody has.
        with pytest.raises(ProblemError) as none:
            await other.case("0x" + "00" * 32)
        assert none.value.body == refused.value.body | {"errors": none.value.body["errors"]}


async def test_operator_and_auditor__see_cases_but_cannot_apply_or_take_credentials(world: World) -> None:
    case = (await world.settled("gallery-leased-passes"))["id"]
    content = {"scenario": "open-gallery", "answers": {}, "delivery": {}}
    for headers in (world.operator, world.auditor):
        for path in ("", f"/{case}", f"/{case}/dossier", f"/{case}/documents"):
            assert (await call(world, "get", f"/api/v1/cases{path}", headers)).status_code == 200
        for method, path in (
            ("post", "/api/v1/applications"),
            ("post", f"/api/v1/cases/{case}/amendments"),
            ("post", f"/api/v1/cases/{case}/withdrawals"),
            ("get", f"/api/v1/cases/{case}/credential"),
        ):
            answer = await call(world, method, path, headers, content)
            check_problem(answer, 403, "wrong-principal")
        for path in ("stages", "batches", "heads"):
            assert (await call(world, "get", f"/api/v1/operations/{path}", headers)).status_code == 200


async def test_cases__page_by_page__every_case_once_newest_first(world: World) -> None:
    await world.settled("gallery-leased-passes")
    await world.settled("gallery-passes")
    whole = (await call(world, "get", "/api/v1/cases?limit=200", world.auditor)).json()
    wanted = [each["id"] for each in whole["cases"]]
    assert len(wanted) >= 2
    assert whole["next"] is None

    seen: list[str] = []
    cursor = ""
    while cursor is not None:
        page = (
            await call(world, "get", f"/api/v1/cases?limit=1{cursor and f'&cursor={cursor}'}", world.auditor)
        ).json()
        seen += [each["id"] for each in page["cases"]]
        cursor = page["next"]
    assert [each for each in seen if each in wanted] == wanted
    assert len(seen) == len(set(seen))
    faulty = await call(world, "get", "/api/v1/cases?cursor=nonsense", world.auditor)
    assert check_problem(faulty, 422, "invalid")["errors"][0]["field"] == "cursor"


async def test_resend__operator_alone(world: World) -> None:
    assert (await call(world, "post", "/api/v1/operations/resend", world.operator)).status_code == 202
    check_problem(await call(world, "post", "/api/v1/operations/resend", world.auditor), 403, "wrong-principal")
    async with world.person(world.demo["gallery-passes"].person) as client:
        for method, path in (
            ("POST", "/api/v1/operations/resend"),
            ("GET", "/api/v1/operations/stages"),
            ("GET", "/api/v1/operations/batches"),
            ("GET", "/api/v1/operations/heads"),
        ):
            with pytest.raises(ProblemError) as refused:
                await client.request(method, path)
            assert (refused.value.status, refused.value.code) == (403, "wrong-principal")


async def test_logout__session_ends(world: World) -> None:
    async with world.person(world.demo["gallery-passes"].person) as client:
        assert (await client.request("GET", "/api/v1/me"))["role"] == "applicant"
        await client.request("POST", "/api/v1/logout")
        with pytest.raises(ProblemError) as refused:
            await client.request("GET", "/api/v1/me")
        assert refused.value.status == 401


async def test_sign_in__two_portals_know_one_person_by_different_names(world: World) -> None:
    async with world.person(world.demo["gallery-passes"].person) as client:
        me = await client.request("GET", "/api/v1/me")
    assert world.demo["gallery-passes"].person not in str(me)
    assert len(me["subject"]) >= 32


async def test_gateway__other_seats_and_strangers__sign_nothing(world: World) -> None:
    settings = world.cluster.settings
    culture = await world.runtime.context.view.seat(CULTURE)
    body: dict[str, Any] = {"cases": []}

    async def asked(iss: int, key: SigningKey) -> httpx.Response:
        request = sign_request({"body": to_hex(hash_of(canonical(body)))}, "verdicts", key=key, iss=iss, aud=CULTURE)
        return await world.http.post(f"{culture.keyset.endpoint}/verdicts", json={"request": request, "body": body})

    operator = load_seat_keys(settings.keys_dir / settings.operator, settings.passphrase(), {"request"}).request
    assert (await asked(0, operator)).status_code == 200
    check_problem(await asked(CULTURE, operator), 403, "bad-signature")  # the operator as somebody else
    check_problem(await asked(0, SigningKey.generate()), 403, "bad-signature")
    check_problem(await asked(200, operator), 403, "unknown-asker")


async def test_desk__nobody_but_its_own_officers(world: World) -> None:
    culture, tax = world.officers["haidian-culture-tourism"], world.officers["beijing-tax"]
    endpoint = (await world.runtime.context.view.seat(CULTURE)).keyset.endpoint

    async def queue(certificate: str, key: SigningKey, aud: str = "seat:3") -> httpx.Response:
        now = int(time.time())
        request = {
            "certificate": certificate,
            "aud": aud,
            "jti": secrets.token_urlsafe(16),
            "iat": now,
            "exp": now + 60,
        }
        signed = sign_jws(request, typ="lianban-desk+jwt", key=key)
        return await world.http.post(f"{endpoint}/desk/queue", json={"request": signed})

    assert (await queue(culture._certificate, culture._key)).status_code == 200
    assert (await queue(tax._certificate, tax._key)).status_code == 403
    check_problem(await queue(culture._certificate, SigningKey.generate()), 403, "bad-signature")
    check_problem(await queue(culture._certificate, culture._key, aud="seat:6"), 403, "wrong-audience")


async def operations(world: World) -> list[tuple[str, str]]:
    """Every operation of the API, from its own description."""
    described = (await world.http.get(f"{world.cluster.portal}/api/v1/openapi.json")).json()
    assert described["openapi"].startswith("3.1")
    return [
        (method, path)
        for path, methods in described["paths"].items()
        if path.startswith("/api/v1/")
        for method in methods
    ]


async def call(world: World, method: str, path: str, headers: Mapping[str, str], body: Any = None) -> httpx.Response:
    filled = re.sub(r"\{[a-z_]+\}", "0x" + "00" * 32, path)
    content = None if method == "get" else body or {}
    return await world.http.request(method, world.cluster.portal + filled, headers=dict(headers), json=content)
