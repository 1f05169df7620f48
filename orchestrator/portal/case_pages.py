"""Pages of one's own cases: the list, a case with its story, the supplement, the withdrawal."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import RedirectResponse, Response

from orchestrator.api import applications as api_applications
from orchestrator.api import cases as api_cases
from orchestrator.api import contests as api_contests
from orchestrator.api.principals import Applicant, Current, Principal
from orchestrator.api.reasons import catalogue
from orchestrator.domain.case import Status
from orchestrator.domain.errors import Refused
from orchestrator.domain.scenario import Scenario
from orchestrator.domain.scenario_parts import CredentialField
from orchestrator.portal import words
from orchestrator.portal.answers import Answered, check_answers, query_of, read_answers
from orchestrator.portal.plans import seat_names
from orchestrator.portal.render import page
from orchestrator.portal.scenario_pages import notices_of, planned, questions_page, slots
from orchestrator.store import cases
from orchestrator.store.cases import CaseRow

router = APIRouter(prefix="/cases", include_in_schema=False)


@router.get("")
async def mine(
    request: Request, state: Current, who: Applicant, cursor: Annotated[str | None, Query(max_length=200)] = None
) -> Response:
    """One's own cases, newest first, and what was offered to one."""
    shown = await api_cases.list_cases(state, who, cursor=cursor)
    notices = await notices_of(state, who) if cursor is None else []
    return page(request, "cases.html", who, cases=shown["cases"], more=shown["next"], notices=notices)


@router.get("/{case}")
async def show(case: str, request: Request, state: Current, who: Applicant) -> Response:
    """A case: status, story, reasons, what is wanted, what was asked of whom, transactions, credential."""
    row, scenario = await api_cases.visible(state, case, who)
    shown = await api_cases.show_case(case, state, who)
    async with state.context.pool.connection() as connection:
        story = await cases.story(connection, case)
    status = Status(row.status)
    listed = await api_contests.list_contests(case, state, who)
    corrected = any(each["state"] == "corrected" for each in listed["contests"])
    return page(
        request,
        "case.html",
        who,
        case=shown,
        scenario=scenario,
        story=[{**each, "name": words.event(str(each["kind"])), "more": _more(each, scenario)} for each in story],
        stage=_stage(row),
        mend=row.stage == "waiting" and row.error is not None and row.error["code"] != "contested",
        contests=listed["contests"],
        can_contest=bool(listed["contestable"]),
        anew=query_of(check_answers(scenario, row.situation).values) if status is Status.REFUSED and corrected else "",
        moving=row.stage not in ("waiting", "done"),
        open=not status.decided,
        asked=[{**each, "name": _evidence_name(str(each["type"]))} for each in shown["evidence"]],
        seats=await seat_names(state),
        settled=any(each["settled_at"] is not None for each in shown["transitions"]),
        submitted=[scenario.material(name).name for name in shown["materials_submitted"]],
        credential=status in (Status.APPROVED, Status.SUSPENDED, Status.REVOKED),
        labels=credential_labels(scenario),
        delivery=row.delivery["x"],
        form=row.form["hash"] if row.form else "",
        events=" ".join(words.EVENTS),
        words=words,
    )


@router.get("/{case}/supplement")
async def supplement(case: str, request: Request, state: Current, who: Applicant) -> Response:
    """The form once more with what is wanted, and other answers if the situation is another one now."""
    row, scenario = await api_cases.visible(state, case, who)
    if Status(row.status).decided:
        raise Refused("办件已办结,不能补正", detail_en="the case is closed", code="case-closed")
    binding = await state.context.view.binding(row.binding)
    fields = request.query_params.multi_items()
    answered = read_answers(scenario, fields) if fields else check_answers(scenario, row.situation)
    made = await planned(state, scenario, binding, answered)
    if made is None:
        return _questions(request, who, scenario, answered, case, told=True)
    shown = await api_cases.show_case(case, state, who)
    wanted = {each["id"] for each in shown["materials_wanted"]} | set(shown["materials_submitted"])
    offered = {each["id"] for each in shown["materials_offered"]}
    return page(
        request,
        "apply.html",
        who,
        view=made,
        query=query_of(answered.values),
        answers=answered.values,
        slots=slots(made, wanted=wanted, offered=offered),
        post_to=f"/api/v1/cases/{case}/amendments",
        case={"id": case, "delivery": row.delivery["x"], "form": row.form["hash"] if row.form else ""},
    )


@router.get("/{case}/answers")
async def answers(case: str, request: Request, state: Current, who: Applicant) -> Response:
    """The answers of a case, to be changed when the situation is another one now."""
    row, scenario = await api_cases.visible(state, case, who)
    fields = request.query_params.multi_items()
    answered = read_answers(scenario, fields) if fields else check_answers(scenario, row.situation)
    return _questions(request, who, scenario, answered, case, told=False)


@router.post("/{case}/withdraw")
async def withdraw(case: str, state: Current, who: Applicant) -> Response:
    """Sends the person to the identity seat, which signs the withdrawal."""
    begun = await api_applications.withdraw(case, state, who)
    return RedirectResponse(begun.authorize_url, status_code=303)


def _questions(
    request: Request, who: Principal, scenario: Scenario, answered: Answered, case: str, *, told: bool
) -> Response:
    action, onward = f"/cases/{case}/answers", f"/cases/{case}/supplement"
    return questions_page(request, who, scenario, answered, told=told, action=action, onward=onward)


def credential_labels(scenario: Scenario) -> dict[str, dict[str, str]]:
    """Claim of the scenario's credential to its label; what every credential has comes first."""
    own: tuple[CredentialField, ...] = scenario.result.fields
    return words.CREDENTIAL | {each.id: {"zh": each.label.zh, "en": each.label.en} for each in own}


def _stage(row: CaseRow) -> dict[str, str]:
    """Where a case is, in words."""
    if row.stage != "waiting":
        return words.STAGES[row.stage]
    if row.error is not None:
        return words.CONTESTED if row.error["code"] == "contested" else words.MEND
    return words.WAITING_FOR.get(Status(row.status), words.STAGES["waiting"])


def _more(event: Any, scenario: Scenario) -> Any:
    """What an event adds to its name."""
    if event["kind"] == "pushed":
        return next((push.message for push in scenario.pushes if push.id == event["detail"]["push"]), None)
    return words.event_detail(str(event["kind"]), event["detail"])


def _evidence_name(kind: str) -> Any:
    known = catalogue().evidence_types
    return known[kind].name if kind in known else {"zh": kind, "en": kind}
