"""The portal's pages for anybody: scenarios, plan, apply, sign in and out, verify, and how errors look."""

from __future__ import annotations

import json

import httpx
import pytest

from orchestrator.domain.case import Status
from orchestrator.identity.client import Applicant, Returned
from orchestrator.ledger.abi import ContractAbi
from orchestrator.ledger.artifacts import load_artifact
from orchestrator.portal.site_pages import STATUS_OF
from orchestrator.protocol.material import SealedForm, SealedMaterial, open_form, open_material
from orchestrator.store import evidence
from tests.support.identity_world import CHEN, KEYS, WANG
from tests.support.portal_walk import APPLY, CULTURE, FORM, QUERY, settle, stored, submit
from tests.support.portal_world import ORIGIN, Page, PortalWorld, Visitor

pytestmark = pytest.mark.anyio


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
    assert keys[str(CULTURE)][0]["x"] == KEYS[CULTURE].evidence.jwk["x"]
    assert "链上没有这个办件" in Page(await visitor.get(f"/verify?case={unknown}")).text
    wrong = await visitor.get("/verify?case=0x12<b>")
    assert (wrong.status_code, "<b>" in wrong.text) == (422, False)


async def test_status_of__selector__as_the_contracts_artifact_has_it() -> None:
    assert ContractAbi(load_artifact("CaseLedger").abi).call("statusOf", b"\x11" * 32) == STATUS_OF + "11" * 32


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
