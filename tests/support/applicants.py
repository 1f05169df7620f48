"""Applicants as data: who asks for what, about whom, and how it must come out; in the format of `demo.yaml`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from orchestrator.domain.errors import Invalid
from orchestrator.domain.texts import Text
from orchestrator.scenarios import Situation
from orchestrator.seeding.cast import Cast

_DAYS = frozenset({"issued_on", "valid_until", "pay_by", "last_job_end", "report_date"})
"""Fields whose whole numbers count days from today."""


class Expected(BaseModel):
    """How a case must come out."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    outcome: Literal["approve", "return", "refuse", "manual"]
    """The most severe; a refusal is confirmed by an officer before it is signed."""
    rows: tuple[str, ...]
    """Rows that must be among those that hit."""
    materials: tuple[str, ...] = ()
    """Materials that the notice asks for."""


class Expectation(BaseModel):
    """How a case must come out on its evidence, then with what the applicant brings."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    first: Expected
    then: Expected | None = None
    pushes: tuple[str, ...] = ()
    """Scenarios that the approved case opens."""


class DemoSubject(BaseModel):
    """Whom or what a case is about."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: str
    id: str
    name: str
    attributes: dict[str, Any] = Field(default_factory=dict)

    def __repr__(self) -> str:
        return f"DemoSubject(type={self.type!r})"


class Applicant(BaseModel):
    """One applicant of the demo, with days as dates and subjects by name and number."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    scenario: str
    kind: Literal["passes", "material", "stopped"]
    situation: str
    """One of the scenario's named situations."""
    answers: dict[str, Any]
    """The answers of that situation, with what this applicant changes."""
    form: dict[str, Any] = Field(default_factory=dict)
    subjects: dict[str, tuple[DemoSubject, ...]]
    """By role."""
    materials: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """What is declared with materials that are due anyway."""
    brings: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """Materials brought after the first notice."""
    outage: str | None = None
    """Department that does not answer meanwhile."""
    expected: Expectation
    why: Text


def read_applicants(text: str, cast: Cast, situations: Iterable[Situation], day: date) -> list[Applicant]:
    """The applicants of a YAML text, in the named situations of that day. Raises Invalid naming the applicant."""
    answers_of = {(situation.scenario, situation.id): situation.answers for situation in situations}
    applicants = []
    for entry in yaml.safe_load(text)["applicants"]:
        try:
            named = answers_of[entry["scenario"], entry["situation"]]
            attributes = entry.get("attributes", {})
            subjects = {
                role: tuple(_subject(cast, each, attributes.get(role, {}), day) for each in members)
                for role, members in entry["subjects"].items()
            }
            fields = {name: value for name, value in entry.items() if name != "attributes"}
            answers = {**named, **entry.get("answers", {})}
            dated = {name: _dated(entry.get(name, {}), day) for name in ("form", "materials", "brings")}
            applicants.append(Applicant.model_validate({**fields, **dated, "answers": answers, "subjects": subjects}))
        except (KeyError, ValidationError) as error:
            raise Invalid(
                field=f"demo.{entry.get('id', '?')}",
                code="bad-demo",
                detail="演示申请人文件有误",
                detail_en=f"The demo's applicant is wrong: {error}",
                remedy="见 demo.yaml 开头的说明 / see the head of demo.yaml",
            ) from error
    return applicants


def cast_subject(cast: Cast, key: str, *, by_unit: bool = False) -> DemoSubject:
    """A fixture of the cast as a subject; premises by their title unless they have none or `by_unit`. Raises KeyError."""
    if key in cast.people:
        return DemoSubject(type="citizen", id=cast.people[key].number, name=cast.people[key].name)
    if key in cast.companies:
        return DemoSubject(type="uscc", id=cast.companies[key].uscc, name=cast.companies[key].name)
    if key in cast.premises:
        premises = cast.premises[key]
        if by_unit or not premises.title:
            return DemoSubject(type="unit", id=premises.unit, name=premises.unit)
        return DemoSubject(type="title", id=premises.title, name=premises.title, attributes={"unit": premises.unit})
    if key in cast.contracts:
        return DemoSubject(type="contract", id=cast.contracts[key].number, name=cast.contracts[key].number)
    laboratory = cast.laboratories[key]
    return DemoSubject(type="laboratory", id=laboratory.number, name=laboratory.name)


def _subject(cast: Cast, entry: str | Mapping[str, Any], attributes: Mapping[str, Any], day: date) -> DemoSubject:
    if isinstance(entry, str):
        subject = cast_subject(cast, entry)
    elif "unit" in entry:
        subject = cast_subject(cast, entry["unit"], by_unit=True)
    else:
        subject = DemoSubject.model_validate(entry)
    return subject.model_copy(update={"attributes": {**subject.attributes, **_dated(attributes, day)}})


def _dated(value: Any, day: date) -> Any:
    """The value with the whole numbers of its day fields as ISO dates."""
    if isinstance(value, Mapping):
        return {
            name: (day + timedelta(days=each)).isoformat()
            if name in _DAYS and isinstance(each, int)
            else _dated(each, day)
            for name, each in value.items()
        }
    return [_dated(each, day) for each in value] if isinstance(value, list) else value
