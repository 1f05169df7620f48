"""Pages around the cases: signing in and out, the language, how anybody checks a case, and what the API offers."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import RedirectResponse, Response

from orchestrator.api import applications as api_applications
from orchestrator.api import operations as api_operations
from orchestrator.api.cases import STATUS_NAMES
from orchestrator.api.principals import COOKIE, Current
from orchestrator.domain.canonical import from_hex, keccak
from orchestrator.domain.errors import Invalid
from orchestrator.portal import words
from orchestrator.portal.render import LANG_COOKIE, NEXT_COOKIE, Lang, Visitor, own_path, page
from orchestrator.protocol.ports import SeatView
from orchestrator.store import applications

router = APIRouter(include_in_schema=False)

SIGN_IN_SECONDS = 900
"""How long the way through the identity seat may take before the portal forgets where to go on."""
STATUS_OF = "0x" + keccak(b"statusOf(bytes32)")[:4].hex()
"""The selector of `statusOf`: four bytes and the case id make the call."""


@router.get("/signin")
async def sign_in(
    request: Request, state: Current, who: Visitor, onward: Annotated[str, Query(alias="next")] = "/"
) -> Response:
    """Says where one signs in, and with whom."""
    if who is not None:
        return RedirectResponse(own_path(onward), status_code=303)
    seat = await state.context.view.seat(state.identity.seat)
    return page(request, "sign_in.html", who, onward=own_path(onward), department=seat.keyset.name)


@router.post("/signin")
async def begin_sign_in(
    request: Request, state: Current, onward: Annotated[str, Form(alias="next", max_length=2000)] = "/"
) -> Response:
    """Sends the person to the identity seat and remembers where they wanted to go."""
    secure = request.url.scheme == "https"
    response = Response(status_code=303)
    begun = await api_applications.login(request, response, state)
    response.headers["location"] = begun.authorize_url
    response.set_cookie(
        NEXT_COOKIE, own_path(onward), max_age=SIGN_IN_SECONDS, httponly=True, samesite="lax", secure=secure
    )
    return response


@router.post("/signout")
async def sign_out(state: Current, who: Visitor) -> Response:
    """Ends the session."""
    if who is not None:
        async with state.context.pool.connection() as connection:
            await applications.close_session(connection, who.token)
    response = RedirectResponse("/", status_code=303)
    response.delete_cookie(COOKIE)
    return response


@router.get("/lang/{lang}")
async def choose_language(lang: Lang, request: Request, onward: Annotated[str, Query(alias="next")] = "/") -> Response:
    """Remembers the language and goes back."""
    response = RedirectResponse(own_path(onward), status_code=303)
    secure = request.url.scheme == "https"
    response.set_cookie(LANG_COOKIE, lang, max_age=365 * 86400, samesite="lax", secure=secure)
    return response


@router.get("/verify")
async def verify(request: Request, state: Current, who: Visitor, case: str = "") -> Response:
    """How anybody checks a case on chain, and what the chain says of one now."""
    case = case.strip().lower()
    found: dict[str, Any] | None = None
    problem: Invalid | None = None
    if case:
        try:
            from_hex(case)
        except ValueError:
            problem = Invalid(
                field="case",
                detail="办件编号应为 0x 加 64 位十六进制数字",
                detail_en="A case id is 0x and 64 hex digits",
            )
        else:
            status, sequence, binding = await state.context.view.status_of(case)
            found = {"status": status, "name": STATUS_NAMES[status], "sequence": sequence, "binding": binding}
    seats = await state.context.view.seats()
    return page(
        request,
        "verify.html",
        who,
        status=422 if problem else 200,
        deployment=await api_operations.deployment(state),
        keys={str(seat.number): _evidence_keys(seat) for seat in seats},
        names={str(seat.number): seat.keyset.name for seat in seats},
        labels=words.CREDENTIAL,
        case=case,
        found=found,
        problem=problem,
        selector=STATUS_OF,
    )


def _evidence_keys(seat: SeatView) -> list[dict[str, Any]]:
    """A seat's evidence keys of all times, each with the second until which what it signed counts; None: still in force."""
    held = [(seat.keyset, None), *((past.keyset, past.counts_until) for past in reversed(seat.past))]
    return [{**keyset.key("evidence"), "until": until} for keyset, until in held]


@router.get("/api/v1/docs")
async def api_docs(request: Request, who: Visitor) -> Response:
    """The API's operations, from its own OpenAPI document; nothing is loaded from elsewhere."""
    document = request.app.openapi()
    operations = [
        {"method": method.upper(), "path": path, "text": operation.get("description", "")}
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    return page(request, "api.html", who, operations=operations, info=document["info"])
