"""The identity seat over real HTTP and PostgreSQL: signing in, OAuth, pages, and every way in which it says no."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from orchestrator.domain.canonical import unb64
from orchestrator.domain.errors import Invalid, Refused
from orchestrator.identity.accounts import DEVELOPMENT_PASSCODE, LOCK_SECONDS, MAX_FAILURES
from orchestrator.identity.client import Applicant
from orchestrator.identity.oidc import CODE_SECONDS, client_assertion
from orchestrator.protocol.mandate import open_subject, salted_hash
from orchestrator.scenarios import shipped
from tests.support.identity_world import (
    CHEN,
    GALLERY,
    GALLERY_SUBJECTS,
    IDENTITY,
    KEYS,
    OPERATOR,
    PEOPLE,
    SUN,
    WANG,
    World,
    form_fields,
    gallery,
    post,
    running,
)

pytestmark = pytest.mark.anyio

CULTURE, MARKET, LAND, TAX = 3, 1, 5, 6


@pytest.fixture
async def world(pg_admin_dsn: str) -> AsyncIterator[World]:
    attributes = {SUN: {"face_check": "fails"}}
    async with running(pg_admin_dsn, PEOPLE, attributes=attributes) as running_world:
        yield running_world


async def test_sign_in__right_passcode__pairwise_subject_without_number(world: World) -> None:
    first = await world.granted(CHEN, None)
    again = await world.granted(CHEN, None)
    other = await world.granted(WANG, None)

    assert first.mandate is None
    assert first.subject == again.subject != other.subject
    assert CHEN not in first.subject


async def test_authorise__gallery__mandate_opens_for_the_seats_that_need_it_alone(world: World) -> None:
    application = await gallery(world)

    granted = await world.granted(CHEN, application.details(), subjects=GALLERY_SUBJECTS)
    mandate = world.parse(granted.mandate)

    assert mandate.sub == granted.subject
    assert mandate.situation == salted_hash(unb64(application.salt), GALLERY)
    assert mandate.askers == (OPERATOR, CULTURE)
    assert mandate.delivery == application.delivery.jwk
    assert mandate.face is None
    asked = {grant.item: grant.seat for grant in mandate.evidence}
    assert asked["E05.company"] == MARKET
    assert asked["E01.handler"] == IDENTITY
    assert not any(item.startswith(("E03", "E13")) for item in asked)
    handler = open_subject(mandate, "handler", 0, seat=IDENTITY, key=KEYS[IDENTITY].sealing)
    assert (handler.type, handler.id, handler.name) == ("citizen", CHEN, PEOPLE[CHEN])
    company = open_subject(mandate, "company", 0, seat=CULTURE, key=KEYS[CULTURE].sealing)
    assert company.id == "91110108MBXYE0016D"
    premises = open_subject(mandate, "premises", 0, seat=LAND, key=KEYS[LAND].sealing)
    assert premises.attributes == {"unit": "110108001001GB00001F00010001"}
    with pytest.raises(Refused, match="not sealed"):
        open_subject(mandate, "premises", 0, seat=MARKET, key=KEYS[MARKET].sealing)
    assert str(OPERATOR) not in mandate.subjects["handler"][0].sealed
    assert CHEN not in (granted.mandate or "")


async def test_authorise__number_with_wrong_check_digit__field_named_and_correctable(world: World) -> None:
    application = await gallery(world)
    wrong = {**GALLERY_SUBJECTS, "company": [{"id": "91110108MBXYE0016X", "name": "海淀墨白画廊有限公司"}]}
    pushed = await world.portal.push(application.details())

    async with Applicant(CHEN) as person:
        page, view = await person.open(pushed.authorize_url)
        view = await post(person, page, view, action="sign-in", number=CHEN, passcode=DEVELOPMENT_PASSCODE)
        assert view["step"] == "subjects"
        with pytest.raises(Invalid) as error:
            await post(person, page, view, action="subjects", **form_fields(wrong))
        assert error.value.field == "company.0.id"
        assert "91110108MBXYE0016X" not in str(error.value)
        view = await post(person, page, await person.view(page), action="subjects", **form_fields(GALLERY_SUBJECTS))
        assert view["step"] == "notice"


async def test_authorise__principals_number_overwritten_in_form__account_stands(world: World) -> None:
    application = await gallery(world)
    forged = {**GALLERY_SUBJECTS, "handler": [{"id": WANG, "name": PEOPLE[WANG]}]}

    mandate = world.parse((await world.granted(CHEN, application.details(), subjects=forged)).mandate)

    assert open_subject(mandate, "handler", 0, seat=CULTURE, key=KEYS[CULTURE].sealing).id == CHEN


async def test_sign_in__wrong_passcode_repeatedly__locked_then_open_again(world: World) -> None:
    for _ in range(MAX_FAILURES - 1):
        with pytest.raises(Invalid) as error:
            await _sign_in_with(world, CHEN, "wrong")
        assert error.value.code == "wrong-secret"
    with pytest.raises(Refused) as locked:
        await _sign_in_with(world, CHEN, "wrong")
    assert locked.value.code == "account-locked"
    with pytest.raises(Refused) as still:
        await _sign_in_with(world, CHEN, DEVELOPMENT_PASSCODE)
    assert still.value.code == "account-locked"

    async with world.seat.store.pool.connection() as connection:
        await connection.execute(
            "update account set locked_until = locked_until - make_interval(secs => %s)", (LOCK_SECONDS + 1,)
        )

    assert (await _sign_in_with(world, CHEN, DEVELOPMENT_PASSCODE)).code


async def test_sign_in__unknown_number__same_answer_as_wrong_passcode(world: World) -> None:
    with pytest.raises(Invalid) as unknown:
        await _sign_in_with(world, "110199200001010018", "wrong")
    with pytest.raises(Invalid) as wrong:
        await _sign_in_with(world, CHEN, "wrong")

    assert (unknown.value.code, unknown.value.detail) == (wrong.value.code, wrong.value.detail)


async def test_exchange__code_reused_or_wrong_verifier_or_late__refused(world: World) -> None:
    pushed, returned = await world.authorise(CHEN, None)
    await world.portal.exchange(returned.code, code_verifier=pushed.code_verifier, nonce=pushed.nonce)
    with pytest.raises(Refused, match="unknown, used"):
        await world.portal.exchange(returned.code, code_verifier=pushed.code_verifier, nonce=pushed.nonce)

    pushed, returned = await world.authorise(CHEN, None)
    with pytest.raises(Refused, match="code_verifier"):
        await world.portal.exchange(returned.code, code_verifier="a" * 43, nonce=pushed.nonce)
    with pytest.raises(Refused, match="unknown, used"):
        await world.portal.exchange(returned.code, code_verifier=pushed.code_verifier, nonce=pushed.nonce)

    pushed, returned = await world.authorise(CHEN, None)
    world.clock.offset += CODE_SECONDS
    with pytest.raises(Refused, match="unknown, used"):
        await world.portal.exchange(returned.code, code_verifier=pushed.code_verifier, nonce=pushed.nonce)


async def test_authorize__request_uri_opened_twice_or_by_other_client__refused(world: World) -> None:
    pushed = await world.portal.push(None)
    async with Applicant(CHEN) as person, Applicant(WANG) as other:
        page, _ = await person.open(pushed.authorize_url)
        with pytest.raises(Refused) as error:
            await other.open(pushed.authorize_url)
        assert error.value.code == "not-found"
        with pytest.raises(Refused) as foreign:
            await other.view(page)
        assert foreign.value.code == "not-found"


async def test_par__faulty_requests__named_oauth_errors(world: World) -> None:
    good = {
        "response_type": "code",
        "redirect_uri": "http://portal.test/callback",
        "scope": "openid",
        "state": "s" * 20,
        "nonce": "n" * 20,
        "code_challenge": "c" * 43,
        "code_challenge_method": "S256",
    }
    assert (await _par(world, good)).status_code == 201
    for changes, error in (
        ({"redirect_uri": "http://portal.test/callback/"}, "invalid_request"),
        ({"redirect_uri": "http://evil.test/"}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"nonce": ""}, "invalid_request"),
        ({"scope": "openid profile"}, "invalid_scope"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"authorization_details": "[1"}, "invalid_authorization_details"),
        ({"authorization_details": '[{"type":"other"}]'}, "invalid_authorization_details"),
    ):
        answer = await _par(world, {**good, **changes})
        assert (answer.status_code, answer.json()["error"]) == (400, error), changes


async def test_par__forged_replayed_or_foreign_assertion__invalid_client(world: World) -> None:
    client, issuer, now = world.portal._client, world.seat.issuer, int(time.time())
    key = KEYS[OPERATOR].request
    used = client_assertion(client, key, issuer, now)
    assert (await _par(world, {}, used)).json()["error"] == "unsupported_response_type"
    for assertion in (
        used,
        client_assertion(client, KEYS[CULTURE].request, issuer, now),
        client_assertion(client, KEYS[OPERATOR].evidence, issuer, now),
        client_assertion(client, key, "http://other.test", now),
        client_assertion(client, key, issuer, now - 3600),
        client_assertion("haidian-culture-tourism", KEYS[CULTURE].request, issuer, now),
        {"client_id": client, "client_secret": "x"},
    ):
        answer = await _par(world, {}, assertion)
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
    world.chain.suspend(OPERATOR)
    answer = await _par(world, {}, client_assertion(client, key, issuer, now))
    assert answer.json()["error"] == "invalid_client"


async def test_par__binding_that_does_not_fit__detail_named(world: World) -> None:
    application = await gallery(world)
    faults = {
        "situation.values": {**application.details(), "situation": {"values": {"x": 1}, "salt": application.salt}},
        "binding": {**application.details(), "binding": 99},
        "delivery": {**application.details(), "delivery": {"kty": "OKP", "crv": "X25519", "x": "AA"}},
    }
    for details in faults.values():
        with pytest.raises(Refused) as error:
            await world.portal.push(details)
        assert error.value.code == "invalid-authorization-details"
    version = (await world.chain.binding(application.binding)).version
    for identity, operator in ((CULTURE, OPERATOR), (IDENTITY, CULTURE)):
        foreign = world.chain.bind(
            version, identity=identity, operator=operator, approvers=[CULTURE], providers=[1, 2, 5, 10, 3]
        )
        with pytest.raises(Refused, match="another seat"):
            await world.portal.push({**application.details(), "binding": foreign.number})
    world.chain.retire(application.binding)
    with pytest.raises(Refused, match="retired"):
        await world.portal.push(application.details())


async def test_par__texts_on_chain_newer_than_ours__asked_for(world: World) -> None:
    application = await gallery(world)
    binding = await world.chain.binding(application.binding)
    world.chain.publish(binding.version, "open-gallery", "0x" + "11" * 32, CULTURE)

    with pytest.raises(Refused, match="definition or texts"):
        await world.portal.push(application.details())


async def test_put_definition__other_version_or_unpublished__refused(world: World) -> None:
    scenario = shipped("open-gallery")
    with pytest.raises(Refused) as unpublished:
        await world.portal.put_definition(scenario.version, scenario.definition(), scenario.texts())
    assert unpublished.value.code == "definition-refused"
    other = "0x" + "00" * 32
    world.chain.publish(other, "open-gallery", scenario.texts_hash, CULTURE)
    with pytest.raises(Refused):
        await world.portal.put_definition(other, scenario.definition(), scenario.texts())


async def test_steps__out_of_order_or_without_form_token__refused(world: World) -> None:
    application = await gallery(world)
    pushed = await world.portal.push(application.details())
    async with Applicant(CHEN) as person:
        page, view = await person.open(pushed.authorize_url)
        for action in ("confirm", "agree", "face", "subjects"):
            with pytest.raises(Refused) as error:
                await post(person, page, view, action=action)
            assert error.value.code == "out-of-step"
        with pytest.raises(Refused) as forged:
            await person.post(page, {**view, "csrf": "x"}, {"action": "refuse"})
        assert forged.value.code == "forged-form"


async def test_pages__browser__chinese_html_with_safe_headers_and_cookies(world: World) -> None:
    application = await gallery(world)
    pushed = await world.portal.push(application.details())

    opened = await world.http.get(pushed.authorize_url)
    page = await world.http.get(world.seat.issuer + opened.headers["location"])

    assert "HttpOnly" in opened.headers["set-cookie"]
    assert "SameSite=lax" in opened.headers["set-cookie"]
    assert "登录" in page.text
    assert "Sign in" in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert page.headers["cache-control"] == "no-store"
    assert "http://" not in page.text.replace(world.seat.issuer, "")
    foreign = await world.http.post(
        world.seat.issuer + opened.headers["location"],
        data={"action": "refuse"},
        headers={"Origin": "http://evil.test"},
    )
    assert foreign.status_code == 403
    gone = await world.http.get(world.seat.issuer + "/authorize?client_id=x&request_uri=y")
    assert (gone.status_code, "无法继续" in gone.text) == (404, True)


async def test_flow__finished__what_was_entered_is_gone(world: World) -> None:
    application = await gallery(world)
    await world.granted(CHEN, application.details(), subjects=GALLERY_SUBJECTS)

    async with world.seat.store.pool.connection() as connection:
        for table in ("flow", "session"):
            row = await (await connection.execute(f"select count(*) as n from {table}")).fetchone()
            assert row == {"n": 0}


async def _sign_in_with(world: World, number: str, passcode: str) -> Any:
    pushed = await world.portal.push(None)
    async with Applicant(number, passcode) as person:
        return await person.sign_in(pushed.authorize_url)


async def _par(world: World, form: dict[str, str], assertion: dict[str, str] | None = None) -> Any:
    signed = assertion or client_assertion(
        world.portal._client, KEYS[OPERATOR].request, world.seat.issuer, int(time.time())
    )
    return await world.http.post(f"{world.seat.issuer}/par", data={**form, **signed})
