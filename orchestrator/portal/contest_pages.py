"""The page on which an applicant contests what a department said."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response

from orchestrator.api import cases as api_cases
from orchestrator.api import contests as api_contests
from orchestrator.api.principals import Applicant, Current
from orchestrator.domain.case import Status
from orchestrator.portal import words
from orchestrator.portal.plans import seat_names
from orchestrator.portal.render import page

router = APIRouter(prefix="/cases", include_in_schema=False)


@router.get("/{case}/contest")
async def contest(case: str, request: Request, state: Current, who: Applicant) -> Response:
    """What departments answered in a case, claim by claim, each to be contested with a reason that only its department reads."""
    row, scenario = await api_cases.visible(state, case, who)
    listed = await api_contests.list_contests(case, state, who)
    return page(
        request,
        "contest.html",
        who,
        case=case,
        scenario=scenario,
        contestable=listed["contestable"],
        closed=Status(row.status) in (Status.APPROVED, Status.REFUSED, Status.REVOKED, Status.SUSPENDED),
        seats=await seat_names(state),
        words=words,
    )
