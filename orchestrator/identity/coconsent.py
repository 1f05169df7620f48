"""Co-consent: somebody else whom the mandate names signs in by a link of their own, reads the same notice and answers.

The citizen number of the account that signs in must be the one that the applicant entered for this role. A co-consenter sees the
notice, not what was entered about others.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Sequence

from orchestrator.domain.errors import Invalid, LianbanError, Refused
from orchestrator.identity import pages
from orchestrator.identity.authorize import Posted, locked_flow, read_flow
from orchestrator.identity.flow import Flow
from orchestrator.identity.seat import IdentitySeat, out_of_step, unknown_flow


async def show(seat: IdentitySeat, flow_id: str, number: int, token: str, cookie: str) -> tuple[pages.View, str | None]:
    """The co-consenter's page, and a new cookie for a browser that comes for the first time."""
    flow = await _linked_flow(seat, flow_id, number, token)
    session = await seat.store.session(cookie) if cookie else None
    if session is None or session.flow != flow_id or session.consent != number:
        new = secrets.token_urlsafe(32)
        await seat.store.add_session(new, flow_id, number)
        return await _page(seat, flow, number, None), new
    return await _page(seat, flow, number, session.account), None


async def act(seat: IdentitySeat, flow_id: str, number: int, token: str, cookie: str, posted: Posted) -> pages.View:
    """One action of a co-consenter: sign in, agree or refuse."""
    flow = await _linked_flow(seat, flow_id, number, token)
    session = await seat.store.session(cookie) if cookie else None
    if session is None or session.flow != flow_id or session.consent != number:
        raise unknown_flow()
    seat.check_form_token(cookie, posted.fields.get("csrf", ""))
    account = session.account
    try:
        if posted.action == "sign-in":
            number_given = posted.fields.get("number", "").strip().upper()[:40]
            signed_in = await seat.store.sign_in(
                number_given, posted.fields.get("passcode", "")[:200], now=seat.now(), profile=seat.profile
            )
            _check_person(flow, number, signed_in.number)
            account = signed_in.number
            await seat.store.sign_session_in(cookie, account)
        elif posted.action in ("agree", "refuse") and account is not None:
            flow = await _answer(seat, flow, number, token, account, agreed=posted.action == "agree")
        elif posted.action == "refuse":
            return pages.answered_view(agreed=False)
        else:
            raise out_of_step()
    except (Invalid, Refused) as error:
        return await _page(seat, flow, number, account, [error])
    return await _page(seat, flow, number, account)


async def _answer(seat: IdentitySeat, flow: Flow, number: int, token: str, account: str, *, agreed: bool) -> Flow:
    async with seat.store.flow_update(flow.id, seat.now()) as found:
        update, flow = locked_flow(found)
        _check_link(seat, flow, number, token)
        _check_person(flow, number, account)
        if flow.consents[number].at is not None:
            raise out_of_step()
        flow = flow.with_consent(number, at=seat.now() if agreed else None, refused=not agreed)
        await update.save(flow.model_dump_json())
    return flow


async def _linked_flow(seat: IdentitySeat, flow_id: str, number: int, token: str) -> Flow:
    flow = await read_flow(seat, flow_id)
    if flow is None:
        raise unknown_flow()
    _check_link(seat, flow, number, token)
    return flow


def _check_link(seat: IdentitySeat, flow: Flow, number: int, token: str) -> None:
    """Raises Refused unless the link is one of the flow's present round."""
    known = 0 <= number < len(flow.consents)
    if not known or not hmac.compare_digest(seat.link_token(flow, number).encode(), token.encode()):
        raise unknown_flow()


def _check_person(flow: Flow, number: int, account: str) -> None:
    """Raises Invalid unless the account is the person that the applicant named."""
    consent = flow.consents[number]
    entered = (flow.subjects or {})[consent.role][consent.index]
    if entered.type != "citizen" or entered.id != account:
        raise Invalid(
            field="number",
            detail="登录人与申请人填写的当事人不一致",
            detail_en="You are not the person that the applicant named here",
            remedy="请由被邀请的本人登录,或请申请人更正 / the person invited signs in, or the applicant corrects the entry",
            code="other-person",
        )


async def _page(
    seat: IdentitySeat, flow: Flow, number: int, account: str | None, errors: Sequence[LianbanError] = ()
) -> pages.View:
    consent = flow.consents[number]
    if account is None:
        view = pages.sign_in_view(development=seat.profile != "production")
    elif consent.at is not None or consent.refused:
        view = pages.answered_view(agreed=consent.at is not None)
    else:
        context = await seat.context(flow)
        view = pages.consenter_view(
            context.needs, seat.notice(context), consent.role, context.operator(), context.approvers()
        )
    return pages.with_errors(view, errors)
