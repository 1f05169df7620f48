"""Pages before a case: what can be applied for, the questions, the plan, and the application itself."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from orchestrator.api.principals import Current, Principal
from orchestrator.api.state import State
from orchestrator.domain.errors import Invalid
from orchestrator.domain.scenario import Scenario
from orchestrator.domain.scenario_parts import Material
from orchestrator.portal.answers import Answered, query_of, read_answers
from orchestrator.portal.plans import PlanView, cards, view_plan
from orchestrator.portal.render import NEXT_COOKIE, Visitor, own_path, page
from orchestrator.protocol.ports import BindingView
from orchestrator.store import applications

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """A place for a material on the application's page."""

    material: Material
    kind: Literal["due", "offered", "other"]
    """`due`: the application is incomplete without it; `offered`: its department does not answer at the moment."""


@router.get("/")
async def home(request: Request, state: Current, who: Visitor) -> Response:
    """What there is to apply for; for somebody who has just signed in, back to where they were."""
    if who is not None and (onward := own_path(request.cookies.get(NEXT_COOKIE, "/"))) != "/":
        response: Response = RedirectResponse(onward, status_code=303)
        response.delete_cookie(NEXT_COOKIE)
        return response
    offers = [notice for notice in await notices_of(state, who) if notice["name"]]
    return page(request, "home.html", who, cards=await cards(state), notices=offers[:3])


async def notices_of(state: State, who: Principal | None) -> list[dict[str, Any]]:
    """A person's notices, each with the link that opens what it offers, prefilled, and the roles there that stay the same."""
    if who is None or who.role != "applicant":
        return []
    async with state.context.pool.connection() as connection:
        rows = await applications.notices(connection, who.subject)
    offered = {scenario.id: scenario for scenario, _ in await state.offered()}
    return [
        {
            **row,
            "name": offered[str(row["target"])].name if row["target"] in offered else None,
            "link": f"/scenarios/{row['target']}?{query_of(row['prefill']['answers'])}".removesuffix("?"),
            "same": [
                subject.label
                for subject in (offered[str(row["target"])].subjects if row["target"] in offered else ())
                if subject.id in row["prefill"]["subjects"]
            ],
        }
        for row in rows
    ]


@router.get("/scenarios/{scenario}")
async def questions(scenario: str, request: Request, state: Current, who: Visitor) -> Response:
    """The questions that decide what is needed."""
    found, _ = await state.current(scenario)
    answered = read_answers(found, request.query_params.multi_items())
    return _questions(request, who, found, answered, told=False)


@router.get("/scenarios/{scenario}/plan")
async def show_plan(scenario: str, request: Request, state: Current, who: Visitor) -> Response:
    """What a situation means; the questions again when something is missing."""
    found, binding = await state.current(scenario)
    made, answered = await _planned(state, found, binding, request)
    if made is None:
        return _questions(request, who, found, answered, told=True)
    return page(request, "plan.html", who, view=made, query=query_of(answered.values))


@router.get("/scenarios/{scenario}/apply")
async def apply(scenario: str, request: Request, state: Current, who: Visitor) -> Response:
    """The form and the materials, sealed on the visitor's own device."""
    found, binding = await state.current(scenario)
    made, answered = await _planned(state, found, binding, request)
    if made is None:
        return _questions(request, who, found, answered, told=True)
    query = query_of(answered.values)
    if who is None:
        onward = urlencode({"next": f"/scenarios/{found.id}/apply?{query}"})
        return RedirectResponse(f"/signin?{onward}", status_code=303)
    return page(
        request,
        "apply.html",
        who,
        view=made,
        query=query,
        answers=answered.values,
        slots=slots(made),
        post_to="/api/v1/applications",
        case=None,
    )


async def _planned(
    state: State, scenario: Scenario, binding: BindingView, request: Request
) -> tuple[PlanView | None, Answered]:
    answered = read_answers(scenario, request.query_params.multi_items())
    return await planned(state, scenario, binding, answered), answered


async def planned(state: State, scenario: Scenario, binding: BindingView, answered: Answered) -> PlanView | None:
    """The plan for complete answers; None, with the error noted, when they are not good enough for one."""
    if not answered.complete:
        return None
    try:
        return await view_plan(state, scenario, binding, answered.values)
    except Invalid as error:
        answered.errors[error.field.partition(".")[0]] = error
        return None


def slots(made: PlanView, *, wanted: Iterable[str] = (), offered: Iterable[str] = ()) -> list[Slot]:
    """The materials of an application's page: those due, with those that a notice asks for; those that may be brought
    because a department does not answer; then all others that departments supply."""
    due = {material.id for material in made.uploads} | set(wanted)
    found: dict[Literal["due", "offered", "other"], set[str]] = {
        "due": due,
        "offered": set(offered) - due,
        "other": {line.material.id for line in made.materials if line.supplied_by} - due - set(offered),
    }
    return [
        Slot(material=material, kind=kind)
        for kind, names in found.items()
        for material in made.scenario.materials
        if material.id in names and material.answered_by is None
    ]


def questions_page(
    request: Request,
    who: Principal | None,
    scenario: Scenario,
    answered: Answered,
    *,
    told: bool,
    action: str,
    onward: str,
) -> Response:
    """The open questions. `action` shows them anew as answers change, `onward` takes them; `told`: say what is missing or
    wrong."""
    return page(
        request,
        "questions.html",
        who,
        status=422 if told and answered.errors else 200,
        scenario=scenario,
        answered=answered,
        told=told,
        action=action,
        onward=onward,
    )


def _questions(
    request: Request, who: Principal | None, scenario: Scenario, answered: Answered, *, told: bool
) -> Response:
    action = f"/scenarios/{scenario.id}"
    return questions_page(request, who, scenario, answered, told=told, action=action, onward=f"{action}/plan")
