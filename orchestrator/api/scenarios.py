"""Scenarios as the portal shows them: what can be applied for, what is asked, what a situation means."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict

from orchestrator.api.principals import Current
from orchestrator.api.state import State
from orchestrator.domain.plan import Plan, plan
from orchestrator.domain.scenario import Scenario
from orchestrator.protocol.ports import BindingView

router = APIRouter(prefix="/api/v1/scenarios")

BEIJING = ZoneInfo("Asia/Shanghai")


class Answers(BaseModel):
    """A situation."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    answers: dict[str, Any]


@router.get("")
async def list_scenarios(state: Current) -> dict[str, Any]:
    """Every scenario that can be applied for."""
    return {
        "scenarios": [
            {
                "id": each.id,
                "name": each.name,
                "matter": each.matter,
                "version": each.version,
                "binding": binding.number,
            }
            for each, binding in await state.offered()
        ]
    }


@router.get("/{scenario}")
async def show_scenario(scenario: str, state: Current) -> dict[str, Any]:
    """A scenario's questions, subjects and materials, and to whom form and materials are sealed."""
    found, binding = await state.current(scenario)
    return {
        "id": found.id,
        "version": found.version,
        "binding": binding.number,
        "name": found.name,
        "matter": found.matter,
        "law": found.law,
        "agent": found.agent,
        "questions": found.questions,
        "subjects": found.subjects,
        "materials": found.materials,
        "recipients": await recipients(state, binding),
    }


@router.post("/{scenario}/plan")
async def make_plan(scenario: str, body: Answers, state: Current) -> dict[str, Any]:
    """What a situation means: materials before and after, who is asked what, until when, how many trips."""
    found, _ = await state.current(scenario)
    today = datetime.now(BEIJING).date()
    return render_plan(found, plan(found, body.answers, day=today, calendar=state.context.calendar))


async def recipients(state: State, binding: BindingView) -> dict[str, Any]:
    """Seat number to sealing key (JWK) of every approver: what form and materials are sealed to."""
    seats = [await state.context.view.seat(number) for number in binding.approvers]
    return {str(seat.number): seat.keyset.key("sealing") for seat in seats}


def render_plan(scenario: Scenario, made: Plan) -> dict[str, Any]:
    """A plan with the names of its materials in both languages."""

    def material(name: str) -> dict[str, str]:
        text = scenario.material(name).name
        return {"id": name, "zh": text.zh, "en": text.en}

    return {
        **asdict(made),
        "materials_before": [material(name) for name in made.materials_before],
        "materials_after": [material(name) for name in made.materials_after],
    }
