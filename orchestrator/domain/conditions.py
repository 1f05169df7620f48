"""Conditions: a small, total language in which a scenario says when something applies.

A condition is a tuple of alternatives, any of which suffices. An alternative maps names to cells, all of which must hold.
A cell is a literal (equality), a list of literals (one of them) or bounds such as `{gt: 300}` (all of them). The
condition that always holds is one empty alternative.

Numbers are compared exactly, as decimals; a number that is not whole is written as a string in canonical documents. An
input that a condition needs and does not get is an error, never false by accident.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any

from pydantic import BeforeValidator

from orchestrator.domain.errors import Invalid

BOUNDS = frozenset({"gt", "gte", "lt", "lte", "ne"})
"""The words that bounds are written with."""

Scalar = bool | int | str
Cell = Scalar | list[Scalar] | dict[str, Scalar]

ALWAYS: tuple[dict[str, Any], ...] = ({},)
"""The condition that always holds."""


def parse_condition(value: Any) -> tuple[dict[str, Cell], ...]:
    """The normal form of a condition as written: a map, or a list of maps (any of them). Raises ValueError."""
    alternatives = [value] if isinstance(value, Mapping) else value
    if not isinstance(alternatives, list | tuple) or not alternatives:
        raise ValueError("a condition is a map, or a list of maps that is not empty")
    return tuple(_parse_alternative(alternative) for alternative in alternatives)


def _parse_alternative(value: Any) -> dict[str, Cell]:
    if not isinstance(value, Mapping):
        raise ValueError("an alternative of a condition is a map from names to cells")
    return {str(name): _parse_cell(name, cell) for name, cell in value.items()}


def _parse_cell(name: str, cell: Any) -> Cell:
    if _is_scalar(cell):
        return _scalar(cell)
    if isinstance(cell, list | tuple) and cell and all(_is_scalar(item) for item in cell):
        return [_scalar(item) for item in cell]
    if isinstance(cell, Mapping) and cell and set(cell) <= BOUNDS and all(_is_scalar(item) for item in cell.values()):
        return {str(bound): _scalar(limit) for bound, limit in cell.items()}
    raise ValueError(f"the cell of {name} is neither a literal, nor a list of literals, nor bounds of {sorted(BOUNDS)}")


def _is_scalar(value: Any) -> bool:
    return isinstance(value, bool | int | str | Decimal | date)


def _scalar(value: Any) -> Scalar:
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, date):
        return value.isoformat()
    return value  # type: ignore[no-any-return]


Condition = Annotated[tuple[dict[str, Any], ...], BeforeValidator(parse_condition)]
"""A condition as a field of a model; `ALWAYS` is its usual default."""


def holds(condition: tuple[Mapping[str, Any], ...], inputs: Mapping[str, Any]) -> bool:
    """Whether any alternative holds for the inputs (bool, int, Decimal, date or str by name).

    An alternative is given up at its first cell that does not match, so what a later cell needs may be missing then.
    Raises Invalid when a needed input is missing or is of another kind than its cell.
    """
    return any(_alternative_holds(alternative, inputs) for alternative in condition)


def _alternative_holds(alternative: Mapping[str, Any], inputs: Mapping[str, Any]) -> bool:
    for name, cell in alternative.items():
        if inputs.get(name) is None:
            raise Invalid(
                field=name,
                detail=f"条件需要“{name}”,但没有给出",
                detail_en=f"A condition needs {name}, which was not given",
                remedy="请回答该问题 / answer this question",
                code="input-missing",
            )
        if not cell_matches(name, cell, inputs[name]):
            return False
    return True


def cell_matches(name: str, cell: Any, value: Any) -> bool:
    """Whether one value satisfies one cell. Raises Invalid when they are of different kinds."""
    if isinstance(cell, Mapping):
        return all(_within(name, bound, limit, value) for bound, limit in cell.items())
    if isinstance(cell, list | tuple):
        return any(_same(name, item, value) for item in cell)
    return _same(name, cell, value)


def _within(name: str, bound: str, limit: Any, value: Any) -> bool:
    if bound == "ne":
        return not _same(name, limit, value)
    if isinstance(value, bool | str):
        raise _mismatch(name)
    # `value` is a number or a date, and `_like` makes of the limit what the value is.
    other: Any = _like(name, limit, value)
    mine: Any = Decimal(value) if isinstance(value, int) else value
    if bound == "gt":
        return bool(mine > other)
    if bound == "gte":
        return bool(mine >= other)
    if bound == "lt":
        return bool(mine < other)
    return bool(mine <= other)


def _same(name: str, literal: Any, value: Any) -> bool:
    if isinstance(value, list | tuple):
        raise _mismatch(name)
    if isinstance(value, bool) or isinstance(literal, bool):
        if not (isinstance(value, bool) and isinstance(literal, bool)):
            raise _mismatch(name)
        return value is literal
    if isinstance(value, str):
        if not isinstance(literal, str):
            raise _mismatch(name)
        return value == literal
    return bool(_like(name, literal, value) == value)


def _like(name: str, literal: Any, value: Any) -> Decimal | date:
    """The literal as the kind of value that `value` is: a decimal for numbers, a date for dates."""
    try:
        if isinstance(value, date):
            return date.fromisoformat(literal)
        if isinstance(literal, bool):
            raise _mismatch(name)
        number = Decimal(literal)
    except (TypeError, ValueError, InvalidOperation) as error:
        raise _mismatch(name) from error
    if not number.is_finite():
        raise _mismatch(name)
    return number


def _mismatch(name: str) -> Invalid:
    return Invalid(
        field=name,
        detail=f"“{name}”的值与条件的类型不一致",
        detail_en=f"The value of {name} and the condition on it are of different kinds",
        remedy="请按问题的类型书写条件 / write the condition in the kind of the question",
        code="kind-mismatch",
    )


def names(condition: tuple[Mapping[str, Any], ...]) -> frozenset[str]:
    """The names of all inputs that a condition may need."""
    return frozenset(name for alternative in condition for name in alternative)


def literals(condition: tuple[Mapping[str, Any], ...], name: str) -> Iterator[Scalar]:
    """Every literal that a condition compares the named input with: where its truth can change."""
    for alternative in condition:
        if name in alternative:
            cell = alternative[name]
            if isinstance(cell, Mapping):
                yield from cell.values()
            elif isinstance(cell, list | tuple):
                yield from cell
            else:
                yield cell
