"""The scenarios, departments, bindings and calendar that ship, and how to find them.

Every function reads the files anew: a changed file counts from the next call on.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import yaml

from orchestrator.domain.calendar import Calendar
from orchestrator.domain.catalogue import Catalogue, located
from orchestrator.domain.errors import Invalid
from orchestrator.domain.scenario import Scenario
from orchestrator.domain.scenario_file import load_scenario

FOLDER = Path(__file__).parent
NOT_SCENARIOS = frozenset({"situations", "cast", "demo"})
"""Data files beside the scenarios that are none."""


def scenario_files() -> list[Path]:
    """The scenario files that ship, by name."""
    return sorted(path for path in FOLDER.glob("*.yaml") if path.stem not in NOT_SCENARIOS)


def department_files() -> list[Path]:
    """The department files that ship, by name."""
    return sorted((FOLDER / "departments").glob("*.yaml"))


def load_catalogue(*more: Path) -> Catalogue:
    """The catalogue of the departments that ship, with further department files added. Raises Invalid."""
    texts = {path: path.read_text("utf-8") for path in (*department_files(), *more)}
    try:
        return Catalogue.from_texts(texts.values())
    except Invalid as error:
        raise located(error, {path.name: texts[path] for path in reversed(texts)}) from error


def shipped(scenario: str, catalogue: Catalogue | None = None) -> Scenario:
    """One of the scenarios that ship, by id. Raises FileNotFoundError or ScenarioFaults."""
    text = (FOLDER / f"{scenario}.yaml").read_text("utf-8")
    return load_scenario(text, catalogue=catalogue or load_catalogue())


def load_calendar() -> Calendar:
    """The working-day calendar that ships."""
    return Calendar.from_document(read_data("calendar/mainland-china.yaml"))


def read_data(name: str) -> Any:
    """A data file beside the scenarios (`situations.yaml`, `cast.yaml`, …), parsed."""
    return yaml.safe_load((FOLDER / name).read_text("utf-8"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """A named situation of a scenario."""

    scenario: str
    id: str
    """E.g. `area<=300+beijing-handler`."""
    answers: dict[str, Any]
    february: bool
    """One of the five whose mean reduction of materials is published."""


def situations(day: date) -> tuple[Situation, ...]:
    """The named situations of the scenarios that ship, on a day (which settles what `last-year` is)."""
    last_year = day.year - 1
    return tuple(
        Situation(
            scenario=scenario,
            id=name,
            answers={key: last_year if value == "last-year" else value for key, value in entry["answers"].items()},
            february=entry.get("february", False),
        )
        for scenario, entries in read_data("situations.yaml").items()
        for name, entry in entries.items()
    )
