"""The portal's pages of one's own cases: what is shown, supplemented, changed, withdrawn, and what comes next."""

from __future__ import annotations

import json
import re

import pytest

from orchestrator.domain.case import Status
from orchestrator.identity.client import Applicant
from orchestrator.scenarios import shipped
from orchestrator.store import applications
from tests.support.identity_world import CATALOGUE, CHEN, WANG
from tests.support.portal_walk import APPLY, QUERY, session_subject, settle, stored, submit
from tests.support.portal_world import ORIGIN, Page, PortalWorld, Visitor

pytestmark = pytest.mark.anyio


async def test_case__somebody_elses__page_says_there_is_none(world: PortalWorld, visitor: Visitor) -> None:
    await visitor.sign_in(CHEN)
    case = await submit(visitor, APPLY)

    async with world.visitor() as other:
        assert (await other.get(case)).headers["location"].startswith("/signin?next=%2Fcases%2F0x")
        await other.sign_in(WANG)
        for path in (case, f"{case}/supplement", f"{case}/answers"):
            response = await other.get(path)
            assert (response.status_code, "没有这个办件" in Page(response).text) == (404, True)
        assert (await other.post(f"{case}/withdraw")).status_code == 404
        assert "还没有办件" in Page(await other.get("/cases")).text


async def test_supplement__returned_for_a_material__wanted_shown_and_the_amendment_carries_it(
    world: PortalWorld, visitor: Visitor
) -> None:
    await visitor.sign_in(CHEN)
    case = await submit(visitor, APPLY)
    number = case.removeprefix("/cases/")
    await settle(world, number, Status.RETURNED, stage="waiting", verdict_outcome="return")
    await world.run(
        """
        insert into verdict (case_id, sequence, seat, jws, hash, outcome, rows, materials_wanted)
        values (%s, 1, 3, 'e30.e30.x', 'x', 'return', '["COM-07"]', '["business-licence-copy"]')
        """,
        [number],
    )

    page = Page(await visitor.get(case))
    assert "需补正" in page.text
    assert "未查询到相关记录" in page.text
    assert "请补充 营业执照副本" in page.text
    assert not page.all("meta", http_equiv="refresh")
    supplement = Page(await visitor.get(f"{case}/supplement"))
    form = supplement.one("form", "data-apply")
    row = await stored(world, case)
    assert (form["data-form"], form["data-delivery"]) == (row["form"]["hash"], row["delivery"]["x"])
    required = [each["name"] for each in supplement.all("input", "required", type="file")]
    assert required == ["file.art-business-filing-form", "file.business-licence-copy", "file.premises-proof"]

    assert await submit(visitor, f"{case}/supplement") == case

    after = await stored(world, case)
    assert after["stage"] == "intake"
    assert after["form"]["hash"] != row["form"]["hash"]
    assert "已补正或变更" in Page(await visitor.get(case)).text


async def test_case__form_that_nobody_can_read__person_told_to_hand_it_in_again(
    world: PortalWorld, visitor: Visitor
) -> None:
    await visitor.sign_in(CHEN)
    case = await submit(visitor, APPLY)
    await world.put(case.removeprefix("/cases/"), stage="waiting", error={"code": "form-incomplete", "seat": 3})

    page = Page(await visitor.get(case))

    assert "请重新填写并提交" in page.text
    assert page.all("a", href=f"{case}/supplement")
    assert not page.all("meta", http_equiv="refresh")


async def test_cases__more_than_a_page__earlier_ones_behind_a_link(world: PortalWorld, visitor: Visitor) -> None:
    await visitor.sign_in(WANG)
    subject = await session_subject(world, visitor)
    await visitor.sign_in(CHEN)
    case = await submit(visitor, APPLY)
    await world.run(
        """
        insert into case_file (id, subject, scenario, version, binding, situation, situation_salt, delivery, day, deadline,
                               stage, submitted_at)
        select '0x' || lpad(to_hex(n), 64, '0'), %s, scenario, version, binding, situation, situation_salt, delivery, day,
               deadline, 'done', submitted_at - make_interval(secs => n)
        from case_file, generate_series(1, 60) n where id = %s
        """,
        [subject, case.removeprefix("/cases/")],
    )
    await visitor.sign_in(WANG)

    first = Page(await visitor.get("/cases"))
    further = next(each["href"] for each in first.all("a", "href") if each["href"].startswith("/cases?cursor="))
    second = Page(await visitor.get(further))

    shown = [
        {each["href"] for each in page.all("a", "href") if "/cases/0x" in each["href"]} for page in (first, second)
    ]
    assert (len(shown[0]), len(shown[1]), shown[0] & shown[1]) == (50, 10, set())
    await world.run("delete from case_file where subject = %s", [subject])


async def test_supplement__department_down__its_material_offered_and_not_required(
    world: PortalWorld, visitor: Visitor
) -> None:
    await visitor.sign_in(CHEN)
    case = await submit(visitor, APPLY)
    await world.run(
        """
        insert into question (id, case_id, mandate, item, idx, seat, purpose, tries)
        select 'q1', m.case_id, m.hash, 'E05.company', 0, 1, 'decide', 2 from mandate m where m.case_id = %s
        """,
        [case.removeprefix("/cases/")],
    )

    page = Page(await visitor.get(case))
    assert "不想等待，可以自己提交" in page.text
    assert "海淀区市场监督管理局 经营主体登记 E05.company 等待应答" in page.text
    supplement = Page(await visitor.get(f"{case}/supplement"))

    assert "required" not in supplement.one("input", name="file.business-licence-copy")
    names = [each["name"] for each in supplement.all("input", type="file")]
    assert names.index("file.business-licence-copy") < names.index("file.handler-identity-and-household")
    assert "营业执照副本 选交" in supplement.text


async def test_answers__situation_changed__materials_of_the_new_one(visitor: Visitor) -> None:
    await visitor.sign_in(CHEN)
    case = await submit(visitor, APPLY)

    shown = Page(await visitor.get(f"{case}/answers"))
    assert "checked" in shown.one("input", name="q.handled_by", value="self")
    assert shown.one("button", "formaction")["formaction"] == f"{case}/supplement"
    changed = Page(await visitor.get(f"{case}/supplement?{QUERY.replace('by=self', 'by=agent')}"))

    assert "required" in changed.one("input", name="file.power-of-attorney")
    assert json.loads(changed.one("form", "data-apply")["data-answers"])["handled_by"] == "agent"


async def test_withdraw__own_case__leads_to_the_identity_seat_and_back(world: PortalWorld, visitor: Visitor) -> None:
    await visitor.sign_in(CHEN)
    case = await submit(visitor, APPLY)

    begun = await visitor.post(f"{case}/withdraw")
    assert begun.headers["location"].startswith(f"{world.identity.seat.issuer}/authorize")
    async with Applicant(CHEN) as person:
        returned = await person.authorise(begun.headers["location"])
    back = await visitor.get(returned.url.removeprefix(ORIGIN))

    assert back.headers["location"] == case
    row = await stored(world, case)
    assert (row["stage"], row["target"]) == ("seal", Status.WITHDRAWN)


async def test_case__approved__credential_dossier_and_no_way_to_change_it(world: PortalWorld, visitor: Visitor) -> None:
    await visitor.sign_in(CHEN)
    case = await submit(visitor, APPLY)
    number = case.removeprefix("/cases/")
    await settle(world, number, Status.APPROVED, stage="done", verdict_outcome="approve")

    page = Page(await visitor.get(case))

    labels = json.loads(page.one("section", id="credential")["data-labels"])
    fields = {each.id for each in shipped("open-gallery", CATALOGUE).result.fields}
    assert fields <= labels.keys()
    assert labels["licence_number"] == {"zh": "证照编号", "en": "Number"}
    assert page.one("a", href=f"/api/v1/cases/{number}/dossier")
    assert page.one("a", href=f"/verify?case={number}")
    assert "撤回申请" not in page.text
    assert (await visitor.get(f"{case}/supplement")).status_code == 409


async def test_notice__next_service__opens_it_prefilled(world: PortalWorld, visitor: Visitor) -> None:
    await visitor.sign_in(CHEN)
    case = await submit(visitor, APPLY)
    row = await stored(world, case)
    async with world.pool.connection() as connection:
        await applications.add_notice(
            connection,
            subject=row["subject"],
            case_id=row["id"],
            push="exhibition",
            target="open-exhibition-hall",
            texts={"zh": "如举办公开展览", "en": "for exhibitions"},
            prefill={"answers": {"handled_by": "agent"}, "subjects": {"company": "company"}},
        )

    for path in ("/", "/cases"):
        page = Page(await visitor.get(path))
        assert "如举办公开展览" in page.text
        assert re.search(r"沿用该办件的: *\S+", page.text)
        link = page.one("a", href="/scenarios/open-exhibition-hall?q.handled_by=agent")
    target = Page(await visitor.get(link["href"]))

    assert "checked" in target.one("input", name="q.handled_by", value="agent")
    async with world.visitor() as other:
        await other.sign_in(WANG)
        assert "如举办公开展览" not in Page(await other.get("/")).text


async def test_api_cases__agent_or_applicant__says_who_acts(world: PortalWorld, visitor: Visitor) -> None:
    await visitor.sign_in(CHEN)
    case = (await submit(visitor, APPLY)).removeprefix("/cases/")

    async def acts() -> set[str]:
        one = (await visitor.get(f"/api/v1/cases/{case}")).json()
        (listed,) = [each for each in (await visitor.get("/api/v1/cases")).json()["cases"] if each["id"] == case]
        return {one["handled_by"], listed["handled_by"]}

    assert await acts() == {"applicant"}
    await world.put(case, situation={**(await stored(world, case))["situation"], "handled_by": "agent"})
    assert await acts() == {"agent"}


async def test_withdraw__same_idempotency_key__same_answer(visitor: Visitor) -> None:
    await visitor.sign_in(CHEN)
    path = f"/api/v1{await submit(visitor, APPLY)}/withdrawals"
    answers = [
        await visitor.post(path, headers={"idempotency-key": key}) for key in ("the first", "the first", "the second")
    ]
    first, again, other = [each.json()["application"] for each in answers]
    assert first == again != other
