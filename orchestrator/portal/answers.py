"""Answers as form fields: what a person's browser sends, typed as the API takes it.

A question's field is `q.<id>`, a record's `q.<list>.<n>.<field>`, a bank account's `q.<id>.holder` and so on: the same
names in the query of a link, in a form, and in what `apply.js` collects.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlencode

from orchestrator.domain.conditions import holds
from orchestrator.domain.errors import Invalid
from orchestrator.domain.scenario import Scenario
from orchestrator.domain.scenario_parts import Entry, Question
from orchestrator.domain.situations import read_value

PREFIX: Final = "q."
BOOLEANS: Final = {"true": True, "false": False}


@dataclass(slots=True, kw_only=True)
class Answered:
    """How far a person has answered a scenario's open questions."""

    asked: list[Question] = field(default_factory=list)
    """What is asked, given the answers so far. A question that waits for another's answer is not among them."""
    values: dict[str, Any] = field(default_factory=dict)
    """Answers as the API takes them; answers to what is not asked are left out."""
    missing: list[str] = field(default_factory=list)
    """Required questions without an answer."""
    errors: dict[str, Invalid] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """Whether there is a plan for these answers."""
        return not self.missing and not self.errors


def read_answers(scenario: Scenario, fields: Iterable[tuple[str, str]]) -> Answered:
    """The answers in form fields. What is wrong stands in `errors`, by question."""
    tree = _tree((name.removeprefix(PREFIX), value) for name, value in fields if name.startswith(PREFIX))
    given = {
        question.id: value
        for question in scenario.questions
        if question.id in tree and (value := _plain(question, tree[question.id])) not in (None, "", [], {})
    }
    return check_answers(scenario, given)


def check_answers(scenario: Scenario, given: Mapping[str, Any]) -> Answered:
    """The same for answers that are typed already, as a case keeps them."""
    found = Answered()
    typed: dict[str, Any] = {}
    for question in scenario.questions:
        if question.sees != "orchestrator" or not _asked(question, typed):
            continue
        found.asked.append(question)
        value = given.get(question.id)
        if value is None:
            if question.required:
                found.missing.append(question.id)
            continue
        found.values[question.id] = value
        try:
            typed[question.id] = value if isinstance(value, list | dict) else read_value(question.id, question, value)
        except Invalid as error:
            found.errors[question.id] = error
    return found


def query_of(values: Mapping[str, Any]) -> str:
    """Answers as the query of a link, without the question mark."""
    return urlencode([(name, text) for key, value in values.items() for name, text in _fields(PREFIX + key, value)])


def _asked(question: Question, typed: Mapping[str, Any]) -> bool:
    try:
        return holds(question.when, typed)
    except Invalid:  # what it depends on is not answered yet, or wrongly
        return False


def _tree(fields: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Fields by the dots in their names. A name that is both a value and a branch counts as the branch."""
    tree: dict[str, Any] = {}
    for name, value in fields:
        place = tree
        *steps, last = name.split(".")
        for step in steps:
            inner = place.get(step)
            if not isinstance(inner, dict):
                inner = place[step] = {}
            place = inner
        if not isinstance(place.get(last), dict):
            place[last] = value
    return tree


def _plain(entry: Question | Entry, given: Any) -> Any:
    """One field, or one branch of fields, as JSON. What does not fit stays as it is: the reader names it then."""
    if isinstance(given, dict):
        entries = {each.id: each for each in getattr(entry, "fields", ())}
        if entry.type != "list":
            return {name: text.strip() for name, text in given.items() if isinstance(text, str)}
        rows = [given[n] for n in sorted(given, key=_number) if isinstance(given[n], dict)]
        records = [
            {
                name: _plain(entries[name], text)
                for name, text in row.items()
                if name in entries and isinstance(text, str) and text.strip()
            }
            for row in rows
        ]
        return [record for record in records if record]
    text = given.strip()
    if entry.type == "boolean":
        return BOOLEANS.get(text, text)
    if entry.type == "integer" and text.removeprefix("-").isdecimal() and len(text) < 20:
        return int(text)
    if entry.type == "list":
        return [line.strip() for line in text.splitlines() if line.strip()]
    return text


def _number(text: str) -> int:
    return int(text) if text.isdecimal() and len(text) < 6 else 0


def _fields(name: str, value: Any) -> list[tuple[str, str]]:
    if isinstance(value, bool):
        return [(name, "true" if value else "false")]
    if isinstance(value, Mapping):
        return [pair for key, inner in value.items() for pair in _fields(f"{name}.{key}", inner)]
    if isinstance(value, list):
        if all(isinstance(each, str) for each in value):
            return [(name, "\n".join(value))]
        return [pair for n, inner in enumerate(value) for pair in _fields(f"{name}.{n}", inner)]
    return [(name, str(value))]
