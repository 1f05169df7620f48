"""Mandates from the identity seat over real HTTP and PostgreSQL: amendments, face check, co-consent, declined items."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from orchestrator.domain.errors import Invalid, Refused
from orchestrator.identity.accounts import DEVELOPMENT_PASSCODE
from orchestrator.identity.client import Applicant
from orchestrator.protocol.jose import jws_hash
from orchestrator.protocol.mandate import check_chain, open_subject
from tests.support.identity_world import (
    CAST,
    CHEN,
    GALLERY,
    GALLERY_SUBJECTS,
    IDENTITY,
    KEYS,
    PEOPLE,
    SUN,
    WANG,
    Application,
    Browser,
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


async def test_amendment_and_withdrawal__same_person__chained_others_refused(world: World) -> None:
    application = await gallery(world)
    first = await world.granted(CHEN, application.details(), subjects=GALLERY_SUBJECTS)
    grant = world.parse(first.mandate)
    case = check_chain([(first.mandate or "", grant)])

    application.values = {**GALLERY, "decoration_area_m2": "350.00"}
    amendment = application.details("amendment", case, jws_hash(first.mandate or ""))
    with pytest.raises(Refused) as stranger:
        await world.authorise(WANG, amendment, subjects=GALLERY_SUBJECTS)
    assert stranger.value.code == "not-your-case"
    second = await world.granted(CHEN, amendment, subjects=GALLERY_SUBJECTS)
    amended = world.parse(second.mandate)
    assert amended.covers("E13.premises", 10) is not None

    with pytest.raises(Refused, match="newer mandate"):
        await world.portal.push(application.details("withdrawal", case, jws_hash(first.mandate or "")))
    world.chain.retire(application.binding)
    withdrawal = application.details("withdrawal", case, jws_hash(second.mandate or ""))
    third = await world.granted(CHEN, withdrawal)
    withdrawn = world.parse(third.mandate)

    assert (
        check_chain([(g.mandate or "", m) for g, m in ((first, grant), (second, amended), (third, withdrawn))]) == case
    )
    assert withdrawn.subjects == {}
    assert withdrawn.evidence == ()
    with pytest.raises(Refused, match="newer mandate"):
        await world.portal.push(application.details("amendment", case, jws_hash(third.mandate or "")))


async def test_amendment__two_flows_at_once__second_signature_refused(world: World) -> None:
    application = await gallery(world)
    first = await world.granted(CHEN, application.details(), subjects=GALLERY_SUBJECTS)
    case = check_chain([(first.mandate or "", world.parse(first.mandate))])
    details = application.details("withdrawal", case, jws_hash(first.mandate or ""))
    one, two = await world.portal.push(details), await world.portal.push(details)
    async with Applicant(CHEN) as left, Applicant(CHEN) as right:
        page, view = await left.open(one.authorize_url)
        view = await post(left, page, view, action="sign-in", number=CHEN, passcode=DEVELOPMENT_PASSCODE)
        assert (await right.authorise(two.authorize_url)).code
        with pytest.raises(Refused) as error:
            await post(left, page, view, action="confirm")
        assert error.value.code == "mandate-superseded"


async def test_face_check__passed__in_mandate_with_method(world: World) -> None:
    application = Application(binding=(await world.bind("unemployment-benefit-claim")).number, values={})

    mandate = world.parse((await world.granted(CHEN, application.details())).mandate)

    assert mandate.face is not None
    assert (mandate.face.matches, mandate.face.liveness, mandate.face.method) == (True, True, "development")
    assert mandate.covers("E04.claimant", IDENTITY) is not None


async def test_face_check__failed_three_times__failure_in_mandate(world: World) -> None:
    application = Application(binding=(await world.bind("unemployment-benefit-claim")).number, values={})

    mandate = world.parse((await world.granted(SUN, application.details())).mandate)

    assert mandate.face is not None
    assert (mandate.face.matches, mandate.face.liveness) == (False, True)


async def test_face_check__other_way_or_declined__not_in_mandate(world: World) -> None:
    application = Application(binding=(await world.bind("unemployment-benefit-claim")).number, values={})

    skipped = world.parse((await world.granted(SUN, application.details(), face=False)).mandate)
    declined = world.parse((await world.granted(SUN, application.details(), decline=["E04.claimant"])).mandate)

    for mandate in (skipped, declined):
        assert mandate.face is None
        assert mandate.covers("E04.claimant", IDENTITY) is None
        assert mandate.covers("E01.claimant", IDENTITY) is not None


SALE: dict[str, Any] = {"buyer_household": "beijing", "marital_status": "20", "handled_by": "self"}
JIANG, LI, ZHOU = (CAST[name]["number"] for name in ("jiang-cengming", "li-jingqian", "zhou-chayi"))


def _sale_subjects() -> dict[str, Any]:
    return {
        "seller": [{"id": JIANG, "name": "蒋旧名"}, {"id": WANG, "name": PEOPLE[WANG]}],
        "spouse": [{"id": LI, "name": PEOPLE[LI]}],
        "property": [{"id": "京(2018)海不动产权第0000101号"}],
        "contract": [{"id": "C0001"}],
    }


async def test_co_consent__all_agree__consents_in_mandate(world: World) -> None:
    application = Application(binding=(await world.bind("real-estate-registration")).number, values=SALE)

    mandate = world.parse((await world.granted(CHEN, application.details(), subjects=_sale_subjects())).mandate)

    assert [(each.role, each.index) for each in mandate.consents] == [("seller", 0), ("seller", 1), ("spouse", 0)]
    assert all(mandate.iat - 60 <= each.at <= mandate.iat for each in mandate.consents)
    seller = open_subject(mandate, "seller", 0, seat=IDENTITY, key=KEYS[IDENTITY].sealing)
    assert (seller.id, seller.name) == (JIANG, "蒋旧名")
    buyer = open_subject(mandate, "buyer", 0, seat=LAND, key=KEYS[LAND].sealing)
    assert buyer.attributes == {"marital_status": "20"}


async def test_co_consent__one_missing_or_other_person__no_mandate(world: World) -> None:
    application = Application(binding=(await world.bind("real-estate-registration")).number, values=SALE)
    pushed = await world.portal.push(application.details())
    async with Applicant(CHEN) as buyer, Applicant(JIANG) as seller, Applicant(ZHOU) as stranger:
        page, view = await buyer.open(pushed.authorize_url)
        view = await post(buyer, page, view, action="sign-in", number=CHEN, passcode=DEVELOPMENT_PASSCODE)
        view = await post(buyer, page, view, action="subjects", **form_fields(_sale_subjects()))
        assert view["step"] == "co-consent"
        link = view["consents"][0]["url"]
        with pytest.raises(Invalid) as other:
            await stranger.consent(link)
        assert other.value.code == "other-person"
        with pytest.raises(Refused) as guessed:
            await stranger.consent(link[:-1] + ("A" if link[-1] != "A" else "B"))
        assert guessed.value.code == "not-found"

        assert (await seller.consent(link))["step"] == "consented"
        view = await post(buyer, page, view, action="refresh")
        assert [each["state"] for each in view["consents"]] == ["agreed", "waiting", "waiting"]
        for action in ("agree", "confirm"):
            with pytest.raises(Refused) as early:
                await post(buyer, page, view, action=action)
            assert early.value.code == "out-of-step"

        view = await post(buyer, page, view, action="back")
        assert view["step"] == "subjects"
        shown = {field["name"]: field["value"] for group in view["groups"] for field in group["fields"]}
        assert shown["seller.0.id"] == JIANG
        view = await post(buyer, page, view, action="subjects", **form_fields(_sale_subjects()))
        assert [each["state"] for each in view["consents"]] == ["waiting"] * 3
        with pytest.raises(Refused):
            await seller.consent(link)


async def test_co_consent__refused__shown_to_the_applicant(world: World) -> None:
    application = Application(binding=(await world.bind("real-estate-registration")).number, values=SALE)
    pushed = await world.portal.push(application.details())
    async with Applicant(CHEN) as buyer, Applicant(JIANG) as seller:
        page, view = await buyer.open(pushed.authorize_url)
        view = await post(buyer, page, view, action="sign-in", number=CHEN, passcode=DEVELOPMENT_PASSCODE)
        view = await post(buyer, page, view, action="subjects", **form_fields(_sale_subjects()))

        assert (await seller.consent(view["consents"][0]["url"], agree=False))["step"] == "declined"

        view = await buyer.view(page)
        assert (view["step"], view["consents"][0]["state"]) == ("co-consent", "refused")


async def test_notice__consent_item_declined__left_out_and_its_provider_learns_nothing(world: World) -> None:
    application = Application(
        binding=(await world.bind("zgc-high-tech-certification")).number,
        values={"holds_national_certificate": True, "accounting_year": 2025, "handled_by": "self"},
    )
    subjects = {"company": [{"id": "91110108MBXYE0067M", "name": "海淀星图科技有限公司"}]}
    scenario = await world.seat.scenario(*(await _version(world, application.binding)))
    on_consent = [item.id for item in scenario.evidence if item.basis.kind == "consent"]

    whole = world.parse((await world.granted(CHEN, application.details(), subjects=subjects)).mandate)
    on_consent = [grant.item for grant in whole.evidence if grant.item in on_consent]
    assert {"E21.company", "E22.company"} <= set(on_consent)
    assert str(TAX) in whole.subjects["company"][0].sealed
    assert [grant.basis for grant in whole.evidence if grant.item in on_consent] == ["consent"] * len(on_consent)
    company = open_subject(whole, "company", 0, seat=TAX, key=KEYS[TAX].sealing)
    assert company.attributes == {"accounting_year": 2025}

    declined = await world.granted(CHEN, application.details(), subjects=subjects, decline=on_consent)
    mandate = world.parse(declined.mandate)
    assert not {grant.item for grant in mandate.evidence} & set(on_consent)
    assert str(TAX) not in mandate.subjects["company"][0].sealed


async def _version(world: World, number: int) -> tuple[str, str]:
    binding = await world.chain.binding(number)
    return binding.version, (await world.chain.version(binding.version))[1]


async def test_notice__declining_what_the_law_asks__refused(world: World) -> None:
    application = await gallery(world)

    with pytest.raises(Invalid) as error:
        await world.authorise(CHEN, application.details(), subjects=GALLERY_SUBJECTS, decline=["E05.company"])
    assert error.value.field == "decline"


async def test_notice__refused__back_to_portal_without_code(world: World) -> None:
    application = await gallery(world)

    pushed, returned = await world.authorise(CHEN, application.details(), subjects=GALLERY_SUBJECTS, agree=False)

    assert (returned.error, returned.code, returned.state) == ("access_denied", "", pushed.state)


async def test_pages__whole_way_in_html__every_step_rendered(world: World) -> None:
    sale = Application(binding=(await world.bind("real-estate-registration")).number, values=SALE)
    claim = Application(binding=(await world.bind("unemployment-benefit-claim")).number, values={})
    async with Browser(world) as browser:
        await browser.open((await world.portal.push(sale.details())).authorize_url)
        wrong = await browser.submit(action="sign-in", number=CHEN, passcode="<b>wrong</b>")
        assert (wrong.status_code, "公民身份号码或密码不正确" in wrong.text) == (422, True)
        assert "wrong</b>" not in wrong.text
        assert "出卖人" in (await browser.submit(action="sign-in", number=CHEN, passcode=DEVELOPMENT_PASSCODE)).text
        more = await browser.submit(action="more", **{"seller.0.id": JIANG, "seller.0.name": "<i>蒋"})
        assert 'name="seller.1.id"' in more.text
        assert "&lt;i&gt;蒋" in more.text
        waiting = await browser.submit(action="subjects", **form_fields(_sale_subjects()))
        assert waiting.text.count("等待中") == 3
        cancelled = await browser.submit(action="refuse")
        assert cancelled.headers["location"].startswith("http://portal.test/callback?error=access_denied")

    async with Browser(world) as browser:
        await browser.open((await world.portal.push(claim.details())).authorize_url)
        assert "申领人" in (await browser.submit(action="sign-in", number=SUN, passcode=DEVELOPMENT_PASSCODE)).text
        noticed = await browser.submit(action="subjects")
        assert "可拒绝" in noticed.text
        assert "失业保险条例" in noticed.text
        faced = await browser.submit(action="agree")
        assert "开发环境" in faced.text
        assert "改用其他核验方式" in faced.text
        assert "还可尝试 2 次" in (await browser.submit(action="face")).text
        await browser.submit(action="face")
        failed = await browser.submit(action="face")
        assert "人脸识别未通过(方式:development)" in failed.text
        assert "改用其他核验方式" in failed.text
        signed = await browser.submit(action="confirm")
        assert (signed.status_code, "code=" in signed.headers["location"]) == (303, True)
