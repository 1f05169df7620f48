"""The applicant's way through a flow: sign in, subjects, notice, face check, signature. One step per request.

Every change of a flow happens under its row lock and is checked against the step that the flow is in, so that steps cannot be
skipped, repeated or raced. What stays the same for a flow is looked up before the lock is taken.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from pydantic import TypeAdapter

from orchestrator.domain.errors import Invalid, LianbanError, Refused
from orchestrator.identity import oidc, pages
from orchestrator.identity.contests import contest_words, due, make_contest, signed_contest
from orchestrator.identity.face import MAX_TRIES
from orchestrator.identity.flow import Face, Flow, Person, Step
from orchestrator.identity.mandates import Signed, beijing_day, make_mandate, named_seats, sign
from orchestrator.identity.provider import previous_mandate, retired
from orchestrator.identity.seat import Context, IdentitySeat, out_of_step, unknown_flow
from orchestrator.identity.store import Code, FlowUpdate, SignedMandate
from orchestrator.identity.subjects import co_consents, read_entries

_FLOW: Final = TypeAdapter(Flow)


@dataclass(frozen=True, slots=True, kw_only=True)
class Redirect:
    """The flow is over: back to the client."""

    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Posted:
    """What a browser sent."""

    action: str
    fields: Mapping[str, str]
    declined: tuple[str, ...] = ()
    """Evidence items that were ticked as declined."""


Answer = pages.View | Redirect


async def open_flow(seat: IdentitySeat, client_id: str, request_uri: str) -> tuple[str, str]:
    """A browser opens a pushed request, the first and only one: flow id, and the cookie that makes it the applicant's."""
    now = seat.now()
    flow_id = await seat.store.find_flow(request_uri, now)
    flow = await read_flow(seat, flow_id) if flow_id else None
    if flow is None or flow.request.client != client_id:
        raise unknown_flow()
    if not await seat.store.open_flow(flow.id, now + oidc.FLOW_SECONDS):
        raise unknown_flow()
    cookie = secrets.token_urlsafe(32)
    await seat.store.add_session(cookie, flow.id, None)
    return flow.id, cookie


async def show(seat: IdentitySeat, flow_id: str, cookie: str) -> pages.View:
    """The page of the applicant's present step."""
    return await _page(seat, await _own_flow(seat, flow_id, cookie))


async def act(seat: IdentitySeat, flow_id: str, cookie: str, posted: Posted) -> Answer:
    """One action of the applicant. What was wrong is on the page that comes back, field by field."""
    flow = await _own_flow(seat, flow_id, cookie)
    seat.check_form_token(cookie, posted.fields.get("csrf", ""))
    try:
        match posted.action:
            case "sign-in":
                return await _sign_in(seat, flow, posted.fields)
            case "refuse":
                return await _refuse(seat, flow)
            case "face":
                return await _check_face(seat, flow)
            case "subjects" | "more":
                return await _take_subjects(seat, flow, posted)
            case _:
                answer = await _advance(seat, flow, posted)
                if isinstance(answer, Redirect):
                    seat.signed.set()
                return answer
    except (Invalid, Refused) as error:
        now_flow = await read_flow(seat, flow_id)
        if now_flow is None:
            raise unknown_flow() from None
        return await _page(seat, now_flow, [error], posted.fields)


async def read_flow(seat: IdentitySeat, flow_id: str) -> Flow | None:
    """A flow that has not expired."""
    state = await seat.store.flow(flow_id, seat.now())
    return _FLOW.validate_json(state) if state is not None else None


def locked_flow(update: FlowUpdate | None) -> tuple[FlowUpdate, Flow]:
    """The flow under lock. Raises Refused when it is gone."""
    if update is None:
        raise unknown_flow()
    return update, _FLOW.validate_json(update.state)


def consent_links(seat: IdentitySeat, flow: Flow) -> list[str]:
    """The address at which each co-consenter answers."""
    return [
        f"{seat.issuer}/flows/{flow.id}/consents/{number}/{seat.link_token(flow, number)}"
        for number in range(len(flow.consents))
    ]


async def _own_flow(seat: IdentitySeat, flow_id: str, cookie: str) -> Flow:
    session = await seat.store.session(cookie) if cookie else None
    flow = await read_flow(seat, flow_id)
    if session is None or session.flow != flow_id or session.consent is not None or flow is None:
        raise unknown_flow()
    return flow


async def _sign_in(seat: IdentitySeat, flow: Flow, fields: Mapping[str, str]) -> Answer:
    now = seat.now()
    number, passcode = fields.get("number", "").strip().upper()[:40], fields.get("passcode", "")[:200]
    account = await seat.store.sign_in(number, passcode, now=now, profile=seat.profile)
    if flow.mandate is not None and flow.mandate.previous is not None:
        before = await previous_mandate(seat, flow.mandate)
        if before.account != account.number:
            raise Refused(
                "该办件不是您本人提交的",
                code="not-your-case",
                detail_en="Somebody else signed this case's mandate",
                remedy="请由原申请人登录 / the person who applied signs in",
            )
    async with seat.store.flow_update(flow.id, now) as found:
        update, flow = locked_flow(found)
        if flow.person is not None:
            raise out_of_step()
        flow = flow.having(person=Person(number=account.number, name=account.name, auth_time=now))
        if flow.mandate is None:
            return await _finish(seat, update, flow, None)
        await update.save(flow.model_dump_json())
    return await _page(seat, flow)


async def _take_subjects(seat: IdentitySeat, flow: Flow, posted: Posted) -> Answer:
    context = await seat.context(flow)
    async with seat.store.flow_update(flow.id, seat.now()) as found:
        update, flow = locked_flow(found)
        if flow.person is None or context.step(flow, seat.now()) is not Step.SUBJECTS:
            raise out_of_step()
        entries = read_entries(context.needs.roles, posted.fields, flow.person)
        taken = posted.action == "subjects" and not entries.faults
        if taken:
            consents = co_consents(context.needs.roles, entries.subjects, flow.person)
            flow = flow.with_subjects(entries.subjects, consents)
            await update.save(flow.model_dump_json())
    if taken:
        return await _page(seat, flow)
    return await _page(seat, flow, entries.faults if posted.action == "subjects" else (), posted.fields)


async def _advance(seat: IdentitySeat, flow: Flow, posted: Posted) -> Answer:
    """The steps that only change the flow, and the last one, which signs."""
    now = seat.now()
    context = await seat.context(flow)
    async with seat.store.flow_update(flow.id, now) as found:
        update, flow = locked_flow(found)
        match context.step(flow, now), posted.action:
            case _, "refresh":
                # The last co-consenter may just have answered, so this belongs to every step.
                pass
            case Step.NOTICE, "agree":
                flow = flow.having(agreed_at=now, declined=_declined(context, posted.declined))
            case ((Step.FACE | Step.CONFIRM), "other-way") if flow.face is None or not flow.face.passed:
                flow = flow.having(face=None, face_skipped=True)
            case ((Step.CO_CONSENT | Step.NOTICE | Step.CONFIRM), "back") if flow.subjects is not None:
                flow = flow.to_correct()
            case Step.CONFIRM, "confirm":
                return await _finish(seat, update, flow, _sign(seat, flow, context, now))
            case _:
                raise out_of_step()
        await update.save(flow.model_dump_json())
    return await _page(seat, flow)


async def _check_face(seat: IdentitySeat, flow: Flow) -> Answer:
    """One try. It is counted before the check, so that parallel tries cannot outrun the limit."""
    context = await seat.context(flow)
    async with seat.store.flow_update(flow.id, seat.now()) as found:
        update, flow = locked_flow(found)
        if context.step(flow, seat.now()) is not Step.FACE or flow.face_tries >= MAX_TRIES:
            raise out_of_step()
        await update.save(flow.having(face=None, face_tries=flow.face_tries + 1).model_dump_json())
    account = await seat.store.account(flow.person.number) if flow.person else None
    if account is None:
        raise unknown_flow()
    result = await seat.face.check(account, flow.jti)
    face = Face(
        matches=result.matches,
        liveness=result.liveness,
        assurance=result.assurance,
        method=seat.face.method,
        checked_at=seat.now(),
    )
    async with seat.store.flow_update(flow.id, seat.now()) as found:
        update, flow = locked_flow(found)
        if context.step(flow, seat.now()) is not Step.FACE:
            raise out_of_step()
        flow = flow.having(face=face)
        await update.save(flow.model_dump_json())
    return await _page(seat, flow)


async def _refuse(seat: IdentitySeat, flow: Flow) -> Redirect:
    async with seat.store.flow_update(flow.id, seat.now()) as found:
        update, flow = locked_flow(found)
        await update.drop()
    parameters = {"error": "access_denied", "state": flow.request.state, "iss": seat.issuer}
    return Redirect(url=oidc.response_url(flow.request.redirect_uri, parameters))


def _sign(seat: IdentitySeat, flow: Flow, context: Context, now: int) -> Signed:
    if flow.person is None:
        raise out_of_step()
    if context.request.kind == "grant" and not context.place.binding.live:
        raise retired()
    sub = seat.subject(flow.request.client, flow.person.number)
    if context.request.contest is not None:
        contest = make_contest(flow, context, sub=sub, now=now, calendar=seat.calendar)
        return signed_contest(contest, seat.key)
    mandate = make_mandate(flow, context.request, context.needs, context.place, sub=sub, now=now)
    return sign(mandate, seat.key, seats=named_seats(flow, context.request, context.needs, context.place))


async def _finish(seat: IdentitySeat, update: FlowUpdate, flow: Flow, signed: Signed | None) -> Redirect:
    """Ends the flow with a code; what was entered is deleted."""
    now, person, details = seat.now(), flow.person, flow.mandate
    contested = details is not None and details.contest is not None
    if person is None:
        raise out_of_step()
    code = secrets.token_urlsafe(32)
    content = Code(
        client=flow.request.client,
        redirect_uri=flow.request.redirect_uri,
        challenge=flow.request.code_challenge,
        grants={
            "sub": seat.subject(flow.request.client, person.number),
            "nonce": flow.request.nonce,
            "auth_time": person.auth_time,
            "mandate": signed.jws if signed and not contested else None,
            "contest": signed.jws if signed and contested else None,
            "case": signed.case if signed else None,
        },
    )
    mandate = None
    if signed is not None and details is not None and details.kind != "contest":
        mandate = SignedMandate(
            hash=signed.hash,
            case_id=signed.case,
            previous=details.previous,
            account=person.number,
            kind=details.kind,
            binding=details.binding,
            signed_at=now,
            seats=signed.seats,
            terms=signed.terms,
        )
    await update.finish(code, content, now + oidc.CODE_SECONDS, mandate)
    parameters = {"code": code, "state": flow.request.state, "iss": seat.issuer}
    return Redirect(url=oidc.response_url(flow.request.redirect_uri, parameters))


async def _page(
    seat: IdentitySeat,
    flow: Flow,
    errors: Sequence[LianbanError] = (),
    fields: Mapping[str, str] | None = None,
) -> pages.View:
    return pages.with_errors(await _step_page(seat, flow, fields), errors)


async def _step_page(seat: IdentitySeat, flow: Flow, fields: Mapping[str, str] | None) -> pages.View:
    if flow.person is None:
        return pages.sign_in_view(development=seat.profile != "production", number=(fields or {}).get("number", ""))
    context = await seat.context(flow)
    match context.step(flow, seat.now()):
        case Step.SUBJECTS:
            entered = pages.entered_form(flow.earlier) if fields is None else fields
            return pages.subjects_view(context.needs, flow.person, entered)
        case Step.CO_CONSENT:
            return pages.co_consent_view(flow, context.needs, consent_links(seat, flow))
        case Step.NOTICE:
            return pages.notice_view(context.needs, seat.notice(context), context.operator(), context.approvers())
        case Step.FACE:
            return pages.face_view(flow, seat.face)
        case _:
            contested = contest_words(context, seat.catalogue, _due(seat, context))
            return pages.confirm_view(flow, context.needs, context.request, contested)


def _due(seat: IdentitySeat, context: Context) -> date:
    return due(context, date.fromisoformat(beijing_day(seat.now())), seat.calendar)


def _declined(context: Context, items: tuple[str, ...]) -> tuple[str, ...]:
    """The declined items. Raises Invalid for one that does not rest on consent."""
    may = {need.item.id for need in context.needs.items if need.item.basis.kind == "consent"}
    for item in items:
        if item not in may:
            raise Invalid(
                field="decline",
                detail="该事项依法核验,不以同意为依据,不能单独拒绝",
                detail_en="This is asked by law, not by consent, and cannot be declined alone",
                remedy="可整体不同意并退出 / you may refuse as a whole",
            )
    return tuple(sorted(set(items)))
