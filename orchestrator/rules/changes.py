"""What would have changed a decision: for a row that hit, the smallest change of one input with which it would not have.

Two readers ask. Whoever may read every input (the approver: `smallest_changes`) gets the change nearest to the values at
hand, tried with the engine. Everybody else (`open_changes`) gets what follows from the published table, the rows that hit
and the values that are open anyway: a cell about a sealed value counts as one that may match, so the answer is the same
whatever the sealed values are, as long as the same rows hit. It says less where saying more would tell a sealed value.

A change is of one input as rules read it; that another situation would ask other departments is not followed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_FLOOR, Decimal
from typing import Any, Final

from orchestrator.domain.cells import (
    NOT_ASKED,
    STATES,
    UNKNOWN,
    Cell,
    Compare,
    InputType,
    Reference,
    Scalar,
    exact,
    is_day,
    matches,
    names_in,
)
from orchestrator.domain.decision_table import Row
from orchestrator.domain.jdm import number_text
from orchestrator.rules.engine import INCOMPLETE, NO_RECORD, Rules
from orchestrator.rules.traits import Trait

_LAST_DAY: Final = date.max.toordinal()
_OTHER: Final = "\ue000"
"""Stands for any text that no cell names: a private-use character, which no published text holds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One input with another value, and a row no longer hits."""

    row: str
    input: str
    to: tuple[str, ...]
    """Values with any of which the row would not have hit, as texts: `true`, `300.01`, `2026-02-14`, a choice's id."""
    but: tuple[str, ...] = ()
    """When `to` is empty: any known value would do but these."""


@dataclass(frozen=True, slots=True)
class _Tried:
    change: Change
    values: tuple[Scalar, ...]
    """The change's values as cells compare them; one that stands for all when `to` is empty."""
    size: tuple[int, Decimal, str]
    """Whose input it is first: no department's fact is weighed against the applicant's plans."""


def smallest_changes(
    rules: Rules, role: str, inputs: Mapping[str, Any], traits: Mapping[str, Trait]
) -> dict[str, Change | None]:
    """Each row that decided and the smallest change of one input, tried with the engine; None where no single one does.

    `inputs` are those of `Rules.decide`. An `otherwise` row is undone by making another row hit. For want of a record
    (COM-07, COM-08) the change is that the one unknown input becomes known.
    """
    values, decision = rules.read(role, inputs), rules.decide(role, inputs)
    rows = rules.rows(role)
    found: dict[str, Change | None] = {}
    for hit in decision.hits:
        if hit.outcome != decision.proposed or hit.id in found:
            continue
        if hit.id in (NO_RECORD, INCOMPLETE):
            tried = _known(hit.id, rules, role, values, traits)
        else:
            tried = _changes(rows[hit.id], rows, values, values.keys(), rules.types(role), traits)
        found[hit.id] = next((each.change for each in tried if _undone(each, rules, role, inputs)), None)
    return found


def open_changes(
    rules: Rules, role: str, hit: Iterable[str], inputs: Mapping[str, Any], traits: Mapping[str, Trait]
) -> list[Change]:
    """The smallest change for each of the rows `hit` that speaks against approving, from what is open; those rows are left
    out for which nothing can be said without what is sealed."""
    rows = rules.rows(role)
    # From here on the sealed values are not there: nothing below can tell them.
    values = {name: value for name, value in rules.read(role, inputs).items() if traits[name].open}
    found = []
    for name in dict.fromkeys(hit):
        if name in rows and rows[name].outcome != "approve" and not rows[name].otherwise:
            tried = _changes(rows[name], rows, values, rules.types(role).keys(), rules.types(role), traits)
            found += [each.change for each in tried[:1]]
    return found


def _undone(tried: _Tried, rules: Rules, role: str, inputs: Mapping[str, Any]) -> bool:
    """Whether the engine, asked with each of the values, no longer finds the row."""
    for value in tried.values:
        given = _text(value, rules.types(role)[tried.change.input])
        decision = rules.decide(role, {**inputs, tried.change.input: given})
        if tried.change.row in {hit.id for hit in decision.hits}:
            return False
    return True


def _changes(
    row: Row,
    rows: Mapping[str, Row],
    values: Mapping[str, Scalar],
    names: Iterable[str],
    types: Mapping[str, InputType],
    traits: Mapping[str, Trait],
) -> list[_Tried]:
    """Every input's smallest change, the smallest first. `values` lacks what its reader may not know."""
    if not _may_hit(row, values):
        return []
    read = {name for alternative in row.when for name in names_in(alternative)}
    tried = [each for name in names if name in read for each in _away(row, name, values, types[name], traits[name])]
    if row.otherwise:
        tried += _towards(row.id, rows, values, types, traits)
    return sorted(tried, key=lambda each: each.size)


def _away(row: Row, name: str, values: Mapping[str, Scalar], kind: InputType, trait: Trait) -> Iterator[_Tried]:
    """How the row no longer hits by another value of this input."""
    candidates = _candidates(row.when, name, values, kind, trait)
    miss = [value for value in candidates if not _may_hit(row, {**values, name: value})]
    yield from _smallest(row.id, name, candidates, miss, values.get(name), kind, trait)


def _towards(
    row: str,
    rows: Mapping[str, Row],
    values: Mapping[str, Scalar],
    types: Mapping[str, InputType],
    traits: Mapping[str, Trait],
) -> Iterator[_Tried]:
    """How a row that speaks against approving would hit, and with it the rows that count only when none does not."""
    for other in rows.values():
        if other.otherwise or other.outcome == "approve":
            continue
        for alternative in other.when:
            if any(name not in values for name in names_in(alternative)):
                continue
            failing = {name: cell for name, cell in alternative.items() if not matches(cell, name, values)}
            if len(failing) != 1:
                continue
            for name in names_in(failing):
                if values[name] == NOT_ASKED:
                    continue
                candidates = _candidates([alternative], name, values, types[name], traits[name])
                hits = [value for value in candidates if _may_match(alternative, {**values, name: value})]
                yield from _smallest(row, name, candidates, hits, values[name], types[name], traits[name])


def _known(
    row: str, rules: Rules, role: str, values: Mapping[str, Scalar], traits: Mapping[str, Trait]
) -> list[_Tried]:
    """That an input which is unknown becomes known; which one alone would do, the engine tells."""
    tried = []
    for each in rules.inputs(role):
        if values[each.name] == UNKNOWN:
            sample: Scalar = {"tri": "true", "boolean": "true", "string": _OTHER}.get(each.type, Decimal(1))
            change = Change(row=row, input=each.name, to=(), but=(UNKNOWN,))
            tried.append(_Tried(change, (sample,), (traits[each.name].whose, Decimal(1), each.name)))
    return tried


def _smallest(
    row: str,
    name: str,
    candidates: Sequence[Scalar],
    good: Sequence[Scalar],
    present: Scalar | None,
    kind: InputType,
    trait: Trait,
) -> Iterator[_Tried]:
    """The change to the nearest of the good values; nothing when there is none. `present` is None where it is sealed."""
    good = [value for value in good if value != present]
    if not good:
        return
    size = Decimal(1)
    to: Sequence[Scalar] = good
    if kind in ("number", "date") and isinstance(present, Decimal):
        numbers = [value for value in good if isinstance(value, Decimal)]
        nearest = min(numbers, key=lambda value: (abs(value - present), value))
        whole = Decimal(3660) if kind == "date" else max(abs(present), abs(nearest), Decimal(1))
        to, size = [nearest], min(abs(nearest - present) / whole, Decimal(1))
    elif kind in ("number", "date"):
        to = _at_the_edge(candidates, good)
    elif kind == "string":
        if _OTHER in good and not trait.options:
            refused = tuple(sorted(str(value) for value in candidates if value not in good)) or (UNKNOWN,)
            yield _Tried(Change(row=row, input=name, to=(), but=refused), (_OTHER,), (trait.whose, size, name))
            return
        to = [value for value in good if value in trait.options or (not trait.options and value != _OTHER)]
        if not to:
            return
    change = Change(row=row, input=name, to=tuple(_text(value, kind) for value in to))
    yield _Tried(change, tuple(to), (trait.whose, size, name))


def _at_the_edge(candidates: Sequence[Scalar], good: Sequence[Scalar]) -> list[Scalar]:
    """Of the good values those beside one that is not good: the nearest, wherever the sealed one lies."""
    ordered = sorted(value for value in candidates if isinstance(value, Decimal))
    edge = [
        value
        for at, value in enumerate(ordered)
        if value in good and any(beside not in good for beside in ordered[max(at - 1, 0) : at + 2])
    ]
    return [*edge] or list(good[:1])


def _may_hit(row: Row, values: Mapping[str, Scalar]) -> bool:
    return any(_may_match(alternative, values) for alternative in row.when)


def _may_match(alternative: Mapping[str, Cell], values: Mapping[str, Scalar]) -> bool:
    """Whether every cell matches, where one that reads a value which is not there counts as matching."""
    return all(
        matches(cell, name, values)
        for name, cell in alternative.items()
        if all(each in values for each in names_in({name: cell}))
    )


def _candidates(
    when: Sequence[Mapping[str, Cell]], name: str, values: Mapping[str, Scalar], kind: InputType, trait: Trait
) -> list[Scalar]:
    """The values of an input at which a cell may begin or end to match, each side of every limit among them."""
    if kind in ("tri", "boolean"):
        return ["true", "false"]
    limits = [limit for alternative in when for limit in _limits(alternative, name, values)]
    if kind == "string":
        texts = [limit for limit in limits if isinstance(limit, str) and limit not in STATES]
        known: list[Scalar] = [*dict.fromkeys([*trait.options, *texts])]
        return [*known, _OTHER]
    found: set[Decimal] = set()
    for limit in limits:
        if isinstance(limit, Decimal):
            step = Decimal(1) if kind == "date" else trait.step
            below = (limit / step).to_integral_value(ROUND_FLOOR) * step
            found |= {below + step * k for k in ((-2, -1, 0, 1, 2) if kind == "date" else (-1, 0, 1, 2))}
    if kind == "date":
        return sorted(value for value in found if 1 <= value <= _LAST_DAY)
    return sorted(value for value in found if exact(value))


def _limits(alternative: Mapping[str, Cell], name: str, values: Mapping[str, Scalar]) -> Iterator[Scalar]:
    """What an alternative's cells compare an input with; an input that is not in `values` is no limit."""
    for column, cell in alternative.items():
        for operand in _operands(cell):
            if column == name:
                limit = _moved(values.get(operand.input), operand, 1) if isinstance(operand, Reference) else operand
            elif isinstance(operand, Reference) and operand.input == name:
                limit = _moved(values.get(column), operand, -1)
            else:
                continue
            if isinstance(limit, str) and is_day(limit):
                yield Decimal(date.fromisoformat(limit).toordinal())
            if limit is not None:
                yield limit


def _operands(cell: Cell) -> Iterator[Scalar | Reference]:
    match cell:
        case tuple():
            yield from cell
        case Compare():
            yield from (operand for _, operand in cell.operands())
        case _:
            yield cell


def _moved(value: Scalar | None, by: Reference, sign: int) -> Scalar | None:
    if not isinstance(value, Decimal):
        return value
    if not by.years:
        return value + sign * by.plus
    day = date.fromordinal(int(value))
    year = day.year + sign * by.years
    if not 1 <= year <= 9999:
        return None
    try:
        return Decimal(day.replace(year=year).toordinal())
    except ValueError:  # 29 February of a year that has none
        return Decimal(date(year, 3, 1).toordinal())


def _text(value: Scalar, kind: InputType) -> str:
    if isinstance(value, Decimal):
        return date.fromordinal(int(value)).isoformat() if kind == "date" else number_text(value)
    return value
