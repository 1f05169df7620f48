"""Who is asking: applicants and agents by session, operators and auditors by bearer token.

Officers are no principals here: they decide at their own department's desk, with keys that the department certified.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import Depends, Request, Security
from fastapi.security import APIKeyCookie, HTTPAuthorizationCredentials, HTTPBearer

from orchestrator.api.state import State, state_of
from orchestrator.domain.errors import Refused
from orchestrator.store import applications

COOKIE = "lianban_session"

BEARER = HTTPBearer(
    auto_error=False, scheme_name="bearer", description="A session's token, or an operator's or auditor's."
)
SESSION = APIKeyCookie(name=COOKIE, auto_error=False, scheme_name="session", description="A browser's session.")

Role = Literal["applicant", "operator", "auditor"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """A signed-in party and what it is here."""

    role: Role
    subject: str
    """Pairwise subject of a person, label of an operator or auditor."""
    token: str


async def find_principal(request: Request) -> Principal | None:
    """The party behind a request's bearer token or session cookie, or None."""
    header = request.headers.get("authorization", "")
    token = header[7:] if header.lower().startswith("bearer ") else request.cookies.get(COOKIE, "")
    if not token:
        return None
    async with state_of(request).context.pool.connection() as connection:
        subject = await applications.session_subject(connection, token)
        if subject is not None:
            return Principal(role="applicant", subject=subject, token=token)
        row = await applications.principal_of(connection, token)
    if row is None:
        return None
    return Principal(role=row["role"], subject=str(row["label"]), token=token)


async def require_principal(
    request: Request,
    _bearer: Annotated[HTTPAuthorizationCredentials | None, Security(BEARER)],
    _session: Annotated[str | None, Security(SESSION)],
) -> Principal:
    """The party behind a request, by either of the two ways, which are declared here for the API's description. Raises
    Refused (401) when there is none."""
    principal = await find_principal(request)
    if principal is None:
        raise Refused(
            "请先登录",
            detail_en="Sign in first",
            code="not-signed-in",
            remedy="从 /api/v1/login 经身份席位登录 / sign in through /api/v1/login",
        )
    return principal


async def require_applicant(principal: Annotated[Principal, Depends(require_principal)]) -> Principal:
    """A signed-in person. Raises Refused (403) for operators and auditors: they cannot apply."""
    return _require(principal, "applicant")


async def require_operator(principal: Annotated[Principal, Depends(require_principal)]) -> Principal:
    """The portal's operator. Raises Refused (403) for anybody else."""
    return _require(principal, "operator")


async def require_overseer(principal: Annotated[Principal, Depends(require_principal)]) -> Principal:
    """An operator or auditor: whoever may see that cases exist. Raises Refused (403) for applicants."""
    return _require(principal, "operator", "auditor")


def _require(principal: Principal, *roles: Role) -> Principal:
    if principal.role not in roles:
        raise Refused(
            "当前身份无权进行此操作",
            detail_en="This is not for your kind of account",
            code="wrong-principal",
            remedy=f"需要身份 / needs: {', '.join(roles)}",
        )
    return principal


Applicant = Annotated[Principal, Depends(require_applicant)]
Operator = Annotated[Principal, Depends(require_operator)]
Overseer = Annotated[Principal, Depends(require_overseer)]
Anybody = Annotated[Principal, Depends(require_principal)]
Current = Annotated[State, Depends(state_of)]
