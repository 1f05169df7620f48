"""Applying: sign in, prepare, authorise at the identity seat, come back, and the case is submitted.

The person prepares an application here and authorises it at the identity seat, which sends them back with a code; the
mandate that the code buys is what submits the case. A supplement or a change of situation is an amendment, a withdrawal
is one too: each signed by the identity seat and chained to the first mandate.
"""

from __future__ import annotations

import secrets
from datetime import date
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.responses import RedirectResponse
from pydantic import BaseModel, ConfigDict, Field

from orchestrator.api.authorising import Authorising, begin, once
from orchestrator.api.contests import take_contest
from orchestrator.api.identity import Granted
from orchestrator.api.principals import COOKIE, Applicant, Current, find_principal
from orchestrator.api.state import State
from orchestrator.database import Row
from orchestrator.domain.canonical import b64, unb64
from orchestrator.domain.errors import Invalid, Refused
from orchestrator.domain.plan import materials_due, plan
from orchestrator.domain.situations import form_questions, plain_situation, read_situation
from orchestrator.protocol.jose import jws_hash, peek_jws
from orchestrator.protocol.mandate import Mandate, case_id, check_chain, salted_hash
from orchestrator.protocol.material import SealedForm, SealedMaterial
from orchestrator.protocol.ports import seat_knowing
from orchestrator.protocol.sealing import check_sealing_jwk
from orchestrator.protocol.wire import HolderJwk
from orchestrator.store import applications, cases, evidence
from orchestrator.store.cases import CaseRow

router = APIRouter()

LOGIN_COOKIE = "lianban_login"
"""Ties a sign-in to the browser that began it: the hash of its state."""


class Content(BaseModel):
    """What a person applies with. Everything personal is sealed to the approvers already."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    answers: dict[str, Any]
    """The situation: answers to the scenario's open questions."""
    form: SealedForm | None = None
    materials: list[SealedMaterial] = Field(default_factory=list, max_length=64)
    delivery: dict[str, str]
    """Public X25519 JWK of whoever gets the credential."""
    holder: HolderJwk | None = None
    """Public P-256 JWK of the holder, so that only its owner can show the credential."""


class NewApplication(Content):
    """A first application."""

    scenario: str


class SignIn(BaseModel):
    """Where the person signs in."""

    authorize_url: str


class SignedIn(BaseModel):
    """What a programmatic client gets when it comes back from the identity seat."""

    token: str
    case: str | None = None
    kind: Literal["grant", "amendment", "withdrawal", "contest"] | None = None


@router.post("/api/v1/login")
async def login(request: Request, response: Response, state: Current) -> SignIn:
    """Begins a sign-in at the identity seat."""
    pushed = await state.identity.push(None)
    async with state.context.pool.connection() as connection:
        await applications.begin_login(
            connection, state=pushed.state, nonce=pushed.nonce, code_verifier=pushed.code_verifier, application=None
        )
    response.set_cookie(
        LOGIN_COOKIE,
        applications.token_hash(pushed.state).hex(),
        path="/callback",
        httponly=True,
        samesite="lax",
        secure=request.url.scheme == "https",
        max_age=3600,
    )
    return SignIn(authorize_url=pushed.authorize_url)


@router.post("/api/v1/logout", status_code=204)
async def logout(state: Current, principal: Applicant) -> Response:
    """Ends a session."""
    async with state.context.pool.connection() as connection:
        await applications.close_session(connection, principal.token)
    response = Response(status_code=204)
    response.delete_cookie(COOKIE)
    return response


@router.post("/api/v1/applications", status_code=201)
async def apply(
    body: NewApplication,
    state: Current,
    principal: Applicant,
    idempotency_key: Annotated[str | None, Header(min_length=8, max_length=200)] = None,
) -> Authorising:
    """Prepares an application and says where to authorise it."""
    scenario, binding = await state.current(body.scenario)
    row = {
        "scenario": scenario.id,
        "version": scenario.version,
        "binding": binding.number,
        "kind": "grant",
        "case_id": None,
    }
    return await _once(state, principal.subject, idempotency_key, body, row, previous=None)


@router.post("/api/v1/cases/{case}/amendments", status_code=201)
async def amend(
    case: str,
    body: Content,
    state: Current,
    principal: Applicant,
    idempotency_key: Annotated[str | None, Header(min_length=8, max_length=200)] = None,
) -> Authorising:
    """Prepares a supplement or a change of situation of one's own case."""
    found, previous = await _open_case(state, case, principal.subject)
    row = _follow_up(found, "amendment")
    return await _once(state, principal.subject, idempotency_key, body, row, previous=previous)


@router.post("/api/v1/cases/{case}/withdrawals", status_code=201)
async def withdraw(
    case: str,
    state: Current,
    principal: Applicant,
    idempotency_key: Annotated[str | None, Header(min_length=8, max_length=200)] = None,
) -> Authorising:
    """Prepares the withdrawal of one's own case; the identity seat signs it."""
    found, previous = await _open_case(state, case, principal.subject)
    row = _follow_up(found, "withdrawal")
    body = Content(answers=found.situation, delivery=found.delivery)
    return await _once(state, principal.subject, idempotency_key, body, row, previous=previous)


@router.get("/callback", response_model=None)
async def callback(
    request: Request,
    state: Current,
    code: Annotated[str | None, Query(max_length=500)] = None,
    login_state: Annotated[str, Query(alias="state", max_length=200)] = "",
    error: Annotated[str | None, Query(max_length=100)] = None,
) -> SignedIn | RedirectResponse:
    """Where the identity seat sends people back: opens a session and submits what was authorised."""
    async with state.context.pool.connection() as connection:
        begun = await applications.end_login(connection, login_state)
    if begun is None:
        raise Refused(
            "登录请求不存在或已使用",
            detail_en="this sign-in is unknown, used or too old",
            code="unknown-state",
            remedy="重新登录 / sign in again",
        )
    if error is not None or code is None:
        raise Refused(
            "您在身份席位取消了授权",
            detail_en="the authorisation was declined at the identity seat",
            code="access-denied",
            remedy="需要时重新申请 / apply again when you wish",
        )
    granted = await state.identity.exchange(code, code_verifier=str(begun["code_verifier"]), nonce=str(begun["nonce"]))
    for_person = "text/html" in request.headers.get("accept", "")
    if for_person and not await _began_here(request, login_state, granted.subject):
        raise Refused(
            "登录不是从本浏览器发起的",
            detail_en="this sign-in was begun in another browser",
            code="unknown-state",
            remedy="重新登录 / sign in again",
        )
    case: str | None = None
    kind: Any = None
    if begun["application"] is not None:
        case, kind = await _submit(state, str(begun["application"]), granted)
    async with state.context.pool.connection() as connection:
        token = await applications.open_session(connection, granted.subject, now=state.context.now())
    if not for_person:
        return SignedIn(token=token, case=case, kind=kind)
    response = RedirectResponse(f"/cases/{case}" if case else "/", status_code=303)
    secure = request.url.scheme == "https"
    response.set_cookie(COOKIE, token, httponly=True, samesite="lax", secure=secure, max_age=12 * 3600)
    return response


async def _began_here(request: Request, login_state: str, subject: str) -> bool:
    """Whether this browser began the sign-in, or the same person is signed in here already.

    Otherwise a link with somebody else's code would sign people in as that person, and what they do next would be in that
    person's name.
    """
    if request.cookies.get(LOGIN_COOKIE) == applications.token_hash(login_state).hex():
        return True
    principal = await find_principal(request)
    return principal is not None and principal.subject == subject


def _follow_up(case: CaseRow, kind: Literal["amendment", "withdrawal"]) -> dict[str, Any]:
    """What an application that follows a case is under: the case's own version and binding."""
    return {
        "scenario": case.scenario,
        "version": case.version,
        "binding": case.binding,
        "kind": kind,
        "case_id": case.id,
    }


async def _open_case(state: State, case: str, subject: str) -> tuple[CaseRow, str]:
    """One's own case that can still change, and the hash of its newest mandate."""
    async with state.context.pool.connection() as connection:
        found = await cases.get(connection, case)
        if found is None or found.subject != subject:
            raise Refused("没有这个办件", detail_en="there is no such case", code="not-found")
        if found.status not in (0, 1, 2):
            raise Refused(
                "办件已办结,不能补正或撤回",
                detail_en="the case is closed",
                code="case-closed",
                remedy="可重新申请 / apply anew",
            )
        mandates = await cases.mandates(connection, [case])
    return found, jws_hash(mandates[case][-1])


async def _once(
    state: State, subject: str, key: str | None, body: Content, row: dict[str, Any], *, previous: str | None
) -> Authorising:
    """Prepares an application once for each Idempotency-Key."""
    asked = [row, body.model_dump(mode="json")]
    return await once(state, subject, key, asked, lambda: _prepare(state, subject, body, row, previous=previous))


async def _prepare(
    state: State, subject: str, body: Content, row: dict[str, Any], *, previous: str | None
) -> Authorising:
    scenario = await state.context.definitions.get(row["version"])
    typed = read_situation(scenario, body.answers)
    situation = plain_situation(typed)
    check_sealing_jwk(body.delivery)
    known = {material.id for material in scenario.materials}
    for material in body.materials:
        if material.id not in known:
            raise Invalid(
                field="materials",
                detail="本场景没有这种材料",
                detail_en="this scenario has no such material",
                remedy=", ".join(sorted(known)),
            )
    due = materials_due(scenario, body.answers, ())
    if body.form is None and row["kind"] != "withdrawal" and (form_questions(scenario, typed) or due):
        raise Invalid(
            field="form",
            detail="缺少表单:本情形有须填写的内容或须提交的材料",
            detail_en="the sealed form is missing: this situation has questions to answer or materials to bring",
            remedy="按 docs/api.md 填写并加密表单 / seal a form as docs/api.md says",
        )
    if body.materials and body.form is None:
        raise Invalid(
            field="form",
            detail="材料须列入表单",
            detail_en="materials are listed in the sealed form",
            remedy="按 docs/api.md 将材料摘要写入表单 / list their hashes in the form",
        )
    salt = b64(secrets.token_bytes(32))
    application = {
        "id": secrets.token_urlsafe(18),
        "subject": subject,
        "situation": situation,
        "situation_salt": salt,
        "form": body.form.model_dump(mode="json") if body.form else None,
        "delivery": body.delivery,
        "holder": body.holder,
        "materials": [material.model_dump(mode="json") for material in body.materials],
        **row,
    }
    details = {
        "kind": row["kind"],
        "binding": row["binding"],
        "situation": {"values": situation, "salt": salt},
        "form": {"hash": body.form.hash} if body.form else None,
        "delivery": body.delivery,
        "holder": body.holder,
        "case": row["case_id"],
        "previous": previous,
    }
    return await begin(state, application, details)


async def _submit(state: State, application_id: str, granted: Granted) -> tuple[str, str]:
    """Takes the mandate, or the contest, for a prepared application; the same mandate twice is one case."""
    async with state.context.pool.connection() as connection:
        row = await applications.application(connection, application_id)
    contested = row is not None and row["kind"] == "contest"
    jws = granted.contest if contested else granted.mandate
    if row is None or jws is None:
        raise Refused(
            "未取得授权书", detail_en="there is no mandate", code="no-mandate", remedy="重新申请 / apply again"
        )
    if row["subject"] != granted.subject:
        raise Refused(
            "授权人与申请人不是同一人",
            detail_en="another person authorised than the one who applied",
            code="other-person",
            remedy="由申请人本人授权 / the applicant authorises",
        )
    if contested:
        return await take_contest(state, row, jws), "contest"
    mandate = await _verified(state, jws, row)
    if row["kind"] == "grant":
        return await _open(state, row, mandate, jws), "grant"
    case = str(row["case_id"])
    async with state.context.pool.connection() as connection:
        earlier = (await cases.mandates(connection, [case]))[case]
        check_chain([*((each, _parsed(each)) for each in earlier), (jws, mandate)])
        await cases.add_mandate(connection, case, jws_hash(jws), jws)
        if row["kind"] == "withdrawal":
            await cases.withdraw(connection, case)
        else:
            first = date.fromisoformat(_parsed(earlier[0]).day)
            await cases.amend(connection, case, row, deadline=await _promise(state, row, first))
            await _keep_materials(connection, case, row)
        await cases.note(connection, [(case, str(row["kind"]), {"mandate": jws_hash(jws)})])
        await applications.forget_application(connection, application_id)
    return case, str(row["kind"])


def _parsed(jws: str) -> Mandate:
    """A mandate that was verified when it came in."""
    return Mandate.model_validate(peek_jws(jws)[1])


async def _verified(state: State, jws: str, row: Row) -> Mandate:
    """The mandate, checked against what was asked for: a faulty one never becomes a case."""
    binding = await state.context.view.binding(int(str(row["binding"])))
    view = state.context.view
    key = (await seat_knowing(view, await view.seat(binding.identity), "identity", [jws])).key_of("identity", jws)
    mandate = Mandate.parse(jws, key, issuer=binding.identity)
    situation = salted_hash(unb64(str(row["situation_salt"])), row["situation"])
    form: Any = row["form"]
    wanted = (row["kind"], binding.number, row["version"], row["case_id"], form["hash"] if form else None)
    given = (mandate.kind, mandate.binding, mandate.version, mandate.case, mandate.form)
    keys = (mandate.delivery, mandate.holder) == (row["delivery"], row["holder"])
    if wanted != given or mandate.situation != situation or not keys:
        raise Refused("授权书与申请不符", detail_en="the mandate is not the one asked for", code="wrong-mandate")
    return mandate


async def _open(state: State, row: Row, mandate: Mandate, jws: str) -> str:
    case = case_id(jws)
    day = date.fromisoformat(mandate.day)
    async with state.context.pool.connection() as connection:
        new = await cases.insert(
            connection,
            case_id=case,
            application=row,
            mandate_hash=jws_hash(jws),
            mandate=jws,
            day=day,
            deadline=await _promise(state, row, day),
        )
        if new:
            await _keep_materials(connection, case, row)
            await cases.note(connection, [(case, "submitted", {"mandate": jws_hash(jws)})])
        await applications.forget_application(connection, str(row["id"]))
    return case


async def _promise(state: State, row: Row, day: date) -> dict[str, Any]:
    """The term that the situation has and the day on which it ends, counted from the day of the first mandate."""
    scenario = await state.context.definitions.get(str(row["version"]))
    situation: Any = row["situation"]
    made = plan(scenario, situation, day=day, calendar=state.context.calendar)
    return {
        "value": made.after.value,
        "unit": made.after.unit,
        "day": made.decide_by.day.isoformat(),
        "provisional": made.decide_by.provisional,
    }


async def _keep_materials(connection: cases.Connection, case: str, row: Row) -> None:
    materials: Any = row["materials"]
    for material in materials:
        await evidence.add_material(connection, case, material["id"], material["hash"], material["sealed"])
