"""A person's own pages at the identity seat, over real gateways: who looked, withdrawing, and what proves either."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from orchestrator.domain.canonical import from_hex
from orchestrator.domain.errors import Invalid, Refused
from orchestrator.gateway.client import GatewayClient
from orchestrator.identity.accounts import DEVELOPMENT_PASSCODE
from orchestrator.identity.mydata_client import MyDataClient
from orchestrator.protocol.jose import peek_jws
from orchestrator.protocol.mandate import Mandate, check_chain
from orchestrator.protocol.querylog import Head
from tests.support.consortium import GALLERY_ITEMS, GALLERY_SUBJECTS, Consortium
from tests.support.gateway import CULTURE, MARKET, OPERATOR, POLICE, Gateway, ask, reasons
from tests.support.mydata import ISSUER, Identity, identity_over

pytestmark = pytest.mark.anyio

CHEN, WANG = "110199198806120116", "110199199203040027"


@pytest.fixture
async def identity(consortium: Consortium, gateway: Gateway, pg_admin_dsn: str) -> AsyncIterator[Identity]:
    async with identity_over(consortium, gateway, pg_admin_dsn, {CHEN: "陈画", WANG: "王外埠"}) as opened:
        yield opened


async def test_look__questions_about_me__told_in_plain_words_with_what_is_on_chain(
    consortium: Consortium, gateway: Gateway, operator: GatewayClient, identity: Identity
) -> None:
    jws = consortium.mandate({**GALLERY_SUBJECTS, "handler": [("citizen", WANG, "王外埠", {})]})
    await ask(consortium, operator, jws, "E01.handler")
    head = await operator.head(consortium.seat(POLICE))
    identity.heads.heads[POLICE] = Head(seat=POLICE, size=head.size, root=from_hex(head.root))
    await ask(consortium, operator, jws, "E02.handler")
    await ask(consortium, operator, jws, "E05.company.representative")

    async with identity.person(WANG) as person:
        view = await person.act("look")

    assert view["looks"]
    questions = {line["item"]: line for line in view["looks"] if line["kind"] == "question"}
    first = questions["E01.handler"]
    assert first["asked_of"] == consortium.seat(POLICE).keyset.name
    assert first["asker"] == consortium.seat(OPERATOR).keyset.name
    assert first["scenario"]["zh"] == consortium.scenario.name.zh
    assert first["role"]["zh"] == consortium.scenario.subject("handler").label.zh
    assert first["act"]["zh"] == consortium.scenario.item("E01.handler").basis.act.zh
    assert first["outcome"]["zh"] == "已答复"
    assert first["claims"]
    sealed = [each for each in first["claims"] if consortium.seat(CULTURE).keyset.name["zh"] in each["readers"]["zh"]]
    assert sealed
    assert (first["anchored"], questions["E02.handler"]["anchored"]) == (True, False)
    assert questions["E05.company.representative"]["part"] == "compared"
    accesses = [line for line in view["looks"] if line["kind"] == "access"]
    assert {line["asker"]["zh"] for line in accesses} == {consortium.seat(2).keyset.name["zh"]}
    silent = {each["error"] for each in view["silent"]}
    assert silent <= {"unknown-seat"}  # departments that the test's gateway does not seat
    operators = consortium.seat(OPERATOR).keyset.name
    assert operators not in [each["department"] for each in view["silent"]]  # it has nothing that it could answer


async def test_look__a_department_suspended__named_as_not_told(
    consortium: Consortium, operator: GatewayClient, identity: Identity
) -> None:
    await ask(consortium, operator, consortium.mandate(), "E01.handler")
    consortium.chain.suspend(MARKET)
    try:
        async with identity.person(CHEN) as person:
            view = await person.act("look")
    finally:
        consortium.chain.suspend(MARKET, active=True)
    silent = {each["department"]["zh"]: each["error"] for each in view["silent"]}
    assert silent[consortium.seat(MARKET).keyset.name["zh"]] == "seat-suspended"
    assert any(line["seat"] == POLICE for line in view["looks"])


async def test_look__a_department_away__named_and_the_others_told(
    consortium: Consortium, operator: GatewayClient, identity: Identity
) -> None:
    await ask(consortium, operator, consortium.mandate(), "E01.handler")
    identity.lines.cut.add("haidian-market-supervision")
    async with identity.person(CHEN) as person:
        view = await person.act("look")
    silent = {each["department"]["zh"]: each["error"] for each in view["silent"]}
    assert silent[consortium.seat(MARKET).keyset.name["zh"]] == "gateway-unreachable"
    assert any(line["seat"] == POLICE for line in view["looks"])


async def test_page__html__shows_the_table_and_no_number(
    consortium: Consortium, operator: GatewayClient, identity: Identity
) -> None:
    await ask(consortium, operator, consortium.mandate(), "E01.handler")
    transport = httpx.ASGITransport(app=identity.app)
    async with httpx.AsyncClient(base_url=ISSUER, transport=transport) as browser:
        front = await browser.get("/mydata")
        form: dict[str, str] = {"csrf": _csrf(front.text), "action": "sign-in"}
        entered = await browser.post("/mydata", data={**form, "number": CHEN, "passcode": DEVELOPMENT_PASSCODE})
        looked = await browser.post("/mydata", data={"csrf": _csrf(entered.text), "action": "look"})
        out = await browser.post("/mydata", data={"csrf": _csrf(looked.text), "action": "sign-out"})
        again = await browser.get("/mydata")
    assert "谁查过我的数据" in entered.text
    assert "尚未上链" in looked.text
    assert "本表被查看的记录" in looked.text  # apart from the questions, which are what is asked for
    assert CHEN not in looked.text
    assert 'name="passcode"' in out.text
    assert 'name="passcode"' in again.text
    assert looked.headers["cache-control"] == "no-store"


async def test_pages__not_signed_in_forged_or_wrong__refused(identity: Identity) -> None:
    transport = httpx.ASGITransport(app=identity.app)
    async with MyDataClient(ISSUER, transport=transport) as stranger:
        with pytest.raises(Refused) as forged:
            await stranger.act("look")
        assert forged.value.code == "forged-form"
        with pytest.raises(Invalid):
            await stranger.sign_in(CHEN, "wrong")
        assert (await stranger.act("look"))["step"] == "sign-in"
    async with httpx.AsyncClient(base_url=ISSUER, transport=transport) as browser:
        answer = await browser.post("/mydata", data={"action": "look"}, headers={"origin": "http://portal.test"})
    assert answer.status_code == 403


async def test_withdraw__without_the_portal__delivered_to_all_and_every_question_refused(
    consortium: Consortium, operator: GatewayClient, identity: Identity
) -> None:
    jws = consortium.mandate()
    case = await identity.signed(jws, CHEN)
    assert await reasons(consortium, operator, jws, "E05.company") == {None}
    identity.lines.cut.add("beijing-public-security")
    async with identity.person(CHEN) as person:
        await person.act("withdraw", case=case)
        await identity.courier.deliver_due()

        # The orchestrator never sees the withdrawal; it asks under the mandate that it has.
        assert await reasons(consortium, operator, jws, "E05.company") == {"withdrawn"}
        assert await reasons(consortium, operator, jws, "E01.handler", seat=POLICE) == {None}
        shown = (await person.act("refresh"))["cases"][0]
        by_seat = {each["seat"]: each for each in shown["deliveries"]}
        assert by_seat.keys() == {consortium.provider(item) for item in GALLERY_ITEMS} | {CULTURE}
        assert by_seat[MARKET]["at"] >= shown["withdrawn_at"] - 1
        assert (by_seat[POLICE]["at"], by_seat[POLICE]["error"]) == (None, "gateway-unreachable")

        identity.lines.cut.clear()
        await _due(identity)
        await identity.courier.deliver_due()
        assert await reasons(consortium, operator, jws, "E01.handler", seat=POLICE) == {"withdrawn"}
        receipt = await person.act("receipt", case=case)
    assert {each["seat"] for each in receipt["acknowledgements"]} == set(receipt["named"]) == set(by_seat)
    ended = receipt["mandate"]
    parsed = [(each, Mandate.model_validate(peek_jws(each)[1])) for each in (jws, ended)]
    assert check_chain(parsed) == case
    assert (parsed[1][1].subjects, parsed[1][1].evidence) == ({}, ())


async def test_withdraw__somebody_elses_case_or_twice__refused(consortium: Consortium, identity: Identity) -> None:
    case = await identity.signed(consortium.mandate(), CHEN)
    async with identity.person(WANG) as other:
        for action in ("withdraw", "receipt"):
            with pytest.raises(Refused) as foreign:
                await other.act(action, case=case)
            assert (foreign.value.code, foreign.value.detail) == ("not-found", "您没有这一办件,或它不是由您授权的")
        assert (await other.act("refresh"))["cases"] == []
    async with identity.person(CHEN) as person:
        with pytest.raises(Refused) as nothing:
            await person.act("receipt", case=case)
        assert nothing.value.code == "not-withdrawn"
        await person.act("withdraw", case=case)
        with pytest.raises(Refused) as twice:
            await person.act("withdraw", case=case)
        assert (twice.value.code, twice.value.detail) == ("mandate-superseded", "该办件的授权此前已撤回")
        shown = (await person.act("refresh"))["cases"][0]
        assert shown["title"]["zh"] == consortium.scenario.name.zh


async def test_courier__acknowledgement_that_does_not_hold__tried_again(
    consortium: Consortium, gateway: Gateway, identity: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    jws = consortium.mandate()
    case = await identity.signed(jws, CHEN)
    handle = identity.lines.handle

    async def lying(request: httpx.Request) -> httpx.Response:
        answer = await handle(request)
        body: dict[str, Any] = httpx.Response(200, content=await answer.aread()).json()
        return httpx.Response(200, json={**body, "at": body["at"] - 5})

    async with identity.person(CHEN) as person:
        await person.act("withdraw", case=case)
        http = httpx.AsyncClient(transport=httpx.MockTransport(lying))
        await type(identity.courier)(identity.seat, http).deliver_due()
        shown = (await person.act("refresh"))["cases"][0]
        assert {each["error"] for each in shown["deliveries"]} == {"not-logged"}
        await _due(identity)
        await identity.courier.deliver_due()
        shown = (await person.act("refresh"))["cases"][0]
        assert all(each["at"] for each in shown["deliveries"])


async def _due(identity: Identity) -> None:
    """As if the time until the next try had passed."""
    async with identity.seat.store.pool.connection() as connection:
        await connection.execute("update delivery set due_at = now()")


def _csrf(page: str) -> str:
    return page.split('name="csrf" value="')[1].split('"')[0]
