"""The portal's pages over the real application, store and identity seat; what a browser does besides is done here by hand.

Sealing is done by `seal.js` itself, run by Node on what the page gives it.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest

from orchestrator.domain.case import Status
from orchestrator.identity.client import Applicant, Returned
from orchestrator.ledger.abi import ContractAbi
from orchestrator.ledger.artifacts import load_artifact
from orchestrator.portal.site_pages import STATUS_OF
from orchestrator.protocol.material import SealedForm, SealedMaterial, open_form, open_material
from orchestrator.scenarios import shipped
from orchestrator.store import applications, evidence
from tests.support.identity_world import CATALOGUE, CHEN, GALLERY, GALLERY_SUBJECTS, KEYS, WANG
from tests.support.node import node
from tests.support.portal_world import ORIGIN, Page, PortalWorld, Visitor, running

pytestmark = pytest.mark.anyio

CULTURE = 3
QUERY = urlencode({f"q.{name}": value for name, value in GALLERY.items()})
APPLY = f"/scenarios/open-gallery/apply?{QUERY}"
FORM = {"legal_representative": "陈画", "sells_relics": False, "imports_exports": False}
SEAL = """
const seal = async (id) => s.sealMaterial(
  { id, filename: `${id}.pdf`, media_type: "application/pdf", content: new Uint8Array([1, 2, 3]), fields: {} }, given.recipients);
const materials = await Promise.all(given.materials.map(seal));
say({
  materials,
  form: await s.sealForm(given.values, materials, given.recipients),
  delivery: await s.publicJwk(await s.newDeliveryKey()),
});
"""


@pytest.fixture(scope="module")
async def world(pg_admin_dsn: str) -> AsyncIterator[PortalWorld]:
    async with running(pg_admin_dsn, "open-gallery", "open-exhibition-hall") as opened:
        yield opened


@pytest.fixture
async def visitor(world: PortalWorld) -> AsyncIterator[Visitor]:
    async with world.visitor() as opened:
        yield opened


async def submit(visitor: Visitor, path: str, number: str = CHEN) -> str:
    """What a person and their browser do on an application's page, every material due brought; the path of the case."""
    page = Page(await visitor.get(path))
    form = page.one("form", "data-apply")
    due = [each["name"].removeprefix("file.") for each in page.all("input", "required", type="file")]
    given = {"recipients": json.loads(form["data-recipients"]), "values": FORM, "materials": due}
    sealed = node(SEAL, given)
    body = {"answers": json.loads(form["data-answers"]), **sealed}
    if "data-delivery" not in form:
        body["scenario"] = form["data-scenario"]
    begun = await visitor.post(form["data-post"], json=body, headers={"accept": "application/json"})
    assert begun.status_code == 201, begun.text
    async with Applicant(number) as person:
        returned = await person.authorise(begun.json()["authorize_url"], subjects=GALLERY_SUBJECTS)
    back = await visitor.get(returned.url.removeprefix(ORIGIN))
    assert back.status_code == 303, back.text
    return str(back.headers["location"])


async def stored(world: PortalWorld, case: str) -> dict[str, Any]:
    """A case's row."""
    async with world.pool.connection() as connection:
        cursor = await connection.execute("select * from case_file where id = %s", [case.removeprefix("/cases/")])
        row = await cursor.fetchone()
    assert row is not None
    return row


async def settle(world: PortalWorld, case: str, status: Status, **columns: Any) -> None:
    """Puts a case where the chain would have put it."""
    await world.put(case, status=int(status), sequence=1, settled_at="2026-03-02T10:00:00+08:00", **columns)
    await world.run(
        """
        insert into transition (case_id, sequence, status, binding, root, block, tx_hash, settled_at)
        values (%s, 1, %s, 1, %s, 7, %s, now())
        """,
        [case, int(status), "0x" + "5a" * 32, "0x" + "7b" * 32],
    )


async def test_home__two_scenarios__cards_with_the_figures_of_the_usual_situation(visitor: Visitor) -> None:
    page = Page(await visitor.get("/"))

    assert "我要开画廊 美术品(艺术品)经营单位备案 材料 4 → 2 时限 6 个工作日 → 2 个工作日" in page.text
    assert "0 次（全程网办）" in page.text
    assert "材料 6 → 4 时限 10 个工作日 → 4 个工作日" in page.text


async def test_pages__any__nothing_inline_and_nothing_from_elsewhere(world: PortalWorld, visitor: Visitor) -> None:
    await visitor.sign_in(CHEN)
    case = await submit(visitor, APPLY)
    await settle(world, case.removeprefix("/cases/"), Status.APPROVED, stage="done")
    paths = ["/", "/scenarios/open-gallery", f"/scenarios/open-gallery/plan?{QUERY}", APPLY, "/cases", case, "/verify"]

    for path in [*paths, "/api/v1/docs", "/signin", "/nowhere"]:
        response = await visitor.get(path)
        if response.status_code == 303:
            continue
        page = Page(response)
        policy = response.headers["content-security-policy"]
        assert "default-src 'none'; script-src 'self'; style-src 'self'" in policy
        assert world.identity.seat.issuer in policy.split("form-action ")[1].split(";")[0]
        assert response.headers["referrer-policy"] == "same-origin"
        assert all(link.startswith(ORIGIN + "/") for link in page.links()), path
        assert all(each.get("src") for each in page.all("script"))
        assert not page.all("style")
        assert not [name for _, each in page.elements for name in each if name == "style" or name.startswith("on")]
        assert CHEN not in response.text
    for script in (
        "seal.js",
        "keys.js",
        "form.js",
        "questions.js",
        "apply.js",
        "case.js",
        "presentation.js",
        "verify.js",
    ):
        assert "javascript" in (await visitor.get(f"/static/{script}")).headers["content-type"]


async def test_questions__not_all_answered__asked_to_go_on(visitor: Visitor) -> None:
    page = Page(await visitor.get("/scenarios/open-gallery/plan?q.handled_by=agent"))

    assert "请继续回答以下问题" in page.text
    assert "checked" in page.one("input", name="q.handled_by", value="agent")


@pytest.mark.parametrize(("area", "said"), [("300.001", "最多两位小数"), ("many", "应为数字"), ("-1", "超出范围")])
async def test_plan__wrong_answer__question_again_with_the_fault(visitor: Visitor, area: str, said: str) -> None:
    response = await visitor.get("/scenarios/open-gallery/plan?" + QUERY.replace("280.00", area))
    page = Page(response)

    assert response.status_code == 422
    assert said in page.text
    assert page.one("input", name="q.decoration_area_m2")["aria-invalid"] == "true"


async def test_plan__gallery__materials_struck_through_with_who_supplies_them(visitor: Visitor) -> None:
    page = Page(await visitor.get(f"/scenarios/open-gallery/plan?{QUERY}"))

    assert "营业执照副本 不用交，由海淀区市场监督管理局核验" in page.text
    assert len(page.all("del")) == 2
    assert "现在要交 2" in page.text
    assert "居民身份证法第十四条" in page.text
    assert "谁来审批 海淀区文化和旅游局" in page.text


async def test_apply__not_signed_in__back_on_the_page_after_signing_in(visitor: Visitor) -> None:
    sent = await visitor.get(APPLY)
    assert sent.headers["location"].startswith("/signin?next=%2Fscenarios%2Fopen-gallery%2Fapply")
    onward = Page(await visitor.get(sent.headers["location"])).one("input", name="next")["value"]
    assert onward == APPLY

    home = await visitor.sign_in(CHEN, onward)

    assert (home.status_code, home.headers["location"]) == (303, "/")
    assert (await visitor.get("/")).headers["location"] == APPLY
    assert "退出" in Page(await visitor.get(APPLY)).text
    assert (await visitor.get("/")).status_code == 200


async def test_apply__sealed_by_the_pages_script__approver_opens_it_and_the_portal_cannot(
    world: PortalWorld, visitor: Visitor
) -> None:
    await visitor.sign_in(CHEN)

    case = await submit(visitor, APPLY)

    page = Page(await visitor.get(case))
    assert "办理中" in page.text
    assert "已提交，授权书已签署" in page.text
    assert page.one("meta", http_equiv="refresh")
    row = await stored(world, case)
    async with world.pool.connection() as connection:
        materials = (await evidence.materials(connection, [row["id"]]))[row["id"]]
    assert page.one("section", "data-device")["data-delivery"] == row["delivery"]["x"]
    form = open_form(SealedForm.model_validate(row["form"]), seat=CULTURE, key=KEYS[CULTURE].sealing)
    assert form.values == FORM
    assert [each.id for each in form.materials] == ["art-business-filing-form", "premises-proof"]
    assert {each.hash for each in form.materials} == {each["hash"] for each in materials}
    opened = open_material(SealedMaterial.model_validate(materials[0]), seat=CULTURE, key=KEYS[CULTURE].sealing)
    assert opened.content == bytes([1, 2, 3])
    assert "陈画" not in json.dumps([row["form"], row["situation"]], ensure_ascii=False)


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
        values (%s, 1, 3, 'x', 'x', 'return', '["COM-07"]', '["business-licence-copy"]')
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


async def session_subject(world: PortalWorld, visitor: Visitor) -> str:
    """Whom the portal takes a visitor for."""
    async with world.pool.connection() as connection:
        subject = await applications.session_subject(connection, visitor.http.cookies["lianban_session"])
    assert subject is not None
    return subject


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


@pytest.mark.parametrize("origin", ["http://evil.test", "http://portal.test:81", "null", None])
async def test_post__from_a_foreign_page__refused(visitor: Visitor, origin: str | None) -> None:
    await visitor.sign_in(CHEN)
    headers = {"origin": origin} if origin else {}

    for path in ("/signout", "/api/v1/logout", "/api/v1/applications", "/cases/0x00/withdraw"):
        response = await visitor.http.post(path, headers=headers, json={})
        assert (response.status_code, response.json()["code"]) == (403, "foreign-origin")

    assert "退出" in Page(await visitor.get("/")).text


async def test_post__bearer_token_and_no_cookie__needs_no_origin(world: PortalWorld, visitor: Visitor) -> None:
    await visitor.sign_in(CHEN)
    token = visitor.http.cookies["lianban_session"]

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=world.app), base_url=ORIGIN) as program:
        answer = await program.post("/api/v1/logout", headers={"authorization": f"Bearer {token}"})

    assert answer.status_code == 204


async def test_sign_out__session_ended__token_counts_no_more(visitor: Visitor) -> None:
    await visitor.sign_in(CHEN)
    token = visitor.http.cookies["lianban_session"]

    assert (await visitor.post("/signout")).headers["location"] == "/"

    assert "登录" in Page(await visitor.get("/")).text
    me = await visitor.http.get("/api/v1/me", headers={"authorization": f"Bearer {token}"})
    assert me.status_code == 401


async def test_callback__begun_in_another_browser__nobody_is_signed_in(world: PortalWorld, visitor: Visitor) -> None:
    async with world.visitor() as attacker:
        begun = await attacker.post("/signin", data={"next": "/"})
    async with Applicant(WANG) as person:
        returned = await person.sign_in(begun.headers["location"])

    response = await visitor.get(returned.url.removeprefix(ORIGIN))

    assert (response.status_code, "不是从本浏览器发起" in Page(response).text) == (400, True)
    assert "lianban_session" not in visitor.http.cookies


async def test_callback__declined__page_for_people_and_problem_for_programs(visitor: Visitor) -> None:
    for accept, kind in (("text/html", "text/html"), ("application/json", "application/problem+json")):
        begun = await visitor.post("/signin", data={"next": "/"})
        async with Applicant(CHEN) as person:
            address, view = await person.open(begun.headers["location"])
            returned = await person.post(address, view, {"action": "refuse"})
        assert isinstance(returned, Returned)
        response = await visitor.http.get(returned.url.removeprefix(ORIGIN), headers={"accept": accept})
        assert response.status_code == 403
        assert response.headers["content-type"].startswith(kind)
        assert "您在身份席位取消了授权" in response.text


@pytest.mark.parametrize("onward", ["//evil.test", "https://evil.test", "/\\evil.test", "evil", "/\r\nx: y"])
async def test_next__foreign_or_odd__first_page(visitor: Visitor, onward: str) -> None:
    response = await visitor.http.get("/lang/en", params={"next": onward})

    assert response.headers["location"] == "/"
    assert Page(await visitor.http.get("/signin", params={"next": onward})).one("input", name="next")["value"] == "/"


async def test_language__english_chosen__pages_and_problems_in_english(visitor: Visitor) -> None:
    await visitor.get("/lang/en?next=/")

    home = Page(await visitor.get("/"))
    assert home.one("html")["lang"] == "en"
    assert "Open a gallery Filing of an art business Materials 4 → 2 Time 6 working days → 2 working days" in home.text
    assert "supplied by Haidian" in Page(await visitor.get(f"/scenarios/open-gallery/plan?{QUERY}")).text
    assert "There is no such scenario" in Page(await visitor.get("/scenarios/none")).text
    assert (await visitor.get("/lang/fr?next=/")).status_code == 422


async def test_verify__case_ids__what_the_chain_says(world: PortalWorld, visitor: Visitor) -> None:
    known, unknown = "0x" + "1d" * 32, "0x" + "2e" * 32
    world.chain.settle(known, Status.REVOKED, 2, 1)

    page = Page(await visitor.get(f"/verify?case={known.upper().replace('0X', '0x')}"))
    assert "已撤销 链上状态 6 · 序号 2 · 落地编号 1" in page.text
    assert f'"data":"{STATUS_OF}{known[2:]}"' in page.text
    assert world.chain.domain("CaseLedger").contract in page.text
    keys = json.loads(page.one("form", "data-credential")["data-keys"])
    assert keys[str(CULTURE)]["x"] == KEYS[CULTURE].evidence.jwk["x"]
    assert "链上没有这个办件" in Page(await visitor.get(f"/verify?case={unknown}")).text
    wrong = await visitor.get("/verify?case=0x12<b>")
    assert (wrong.status_code, "<b>" in wrong.text) == (422, False)


async def test_status_of__selector__as_the_contracts_artifact_has_it() -> None:
    assert ContractAbi(load_artifact("CaseLedger").abi).call("statusOf", b"\x11" * 32) == STATUS_OF + "11" * 32


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


async def test_api_docs__rendered_here__every_operation(world: PortalWorld, visitor: Visitor) -> None:
    page = Page(await visitor.get("/api/v1/docs"))

    paths = world.app.openapi()["paths"]
    assert "/api/v1/applications" in paths
    assert all(path in page.text for path in paths)
    assert not any(path.startswith(("/cases", "/scenarios", "/signin")) for path in paths)


async def test_unknown_path__person_or_program__page_or_problem(visitor: Visitor) -> None:
    page = await visitor.get("/nowhere")
    problem = await visitor.get("/api/v1/nowhere")

    assert (page.status_code, "未找到" in Page(page).text) == (404, True)
    assert (problem.status_code, problem.headers["content-type"]) == (404, "application/problem+json")


async def test_unexpected_error__page__says_nothing_of_our_inside(world: PortalWorld, visitor: Visitor) -> None:
    await world.run("alter table definition rename to gone")

    try:
        response = await visitor.get("/")
    finally:
        await world.run("alter table gone rename to definition")

    assert (response.status_code, "内部错误" in Page(response).text) == (500, True)
    assert "definition" not in response.text
    assert "default-src 'none'" in response.headers["content-security-policy"]
