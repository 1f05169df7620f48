"""Cells in GoRules' expression language: one text for each cell, and only those texts are read back.

Literals, lists of literals, and comparisons guarded against values that are unknown or were not asked; a day is its
proleptic Gregorian ordinal. Nothing else of the language is written, so nothing else is understood.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any

from orchestrator.domain.cells import (
    YEAR,
    Cell,
    Compare,
    Input,
    InputType,
    Reference,
    Scalar,
    cell_faults,
    field_of,
)

_SYMBOLS = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<=", "ne": "!="}
_OPERATORS = {symbol: operator for operator, symbol in _SYMBOLS.items()}
_GUARD = '$ != "unknown" and $ != "not_asked"'
_NUMBER = r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?"
STRING = r'"[^"\\\x00-\x1f\x7f-\x9f\u2028\u2029]*"'
_LITERAL = re.compile(rf"{STRING}|{_NUMBER}")
_WITH_LITERAL = re.compile(rf" and \$ (?P<symbol>>=|<=|!=|>|<) (?P<literal>{STRING}|{_NUMBER})")
_WITH_REFERENCE = re.compile(
    r' and (?P<field>[a-zA-Z0-9_]+) != "unknown" and (?P=field) != "not_asked" and '
    r"(?P<mine>\$|_calendar__[a-zA-Z0-9_]+) (?P<symbol>>=|<=|!=|>|<) "
    r"(?P<calendar>_calendar__)?(?P=field)(?: \+ (?P<moved>-?[0-9]+))?"
)


def number_text(value: Decimal) -> str:
    """The one decimal form of a number: no exponent, no trailing zeros, no minus zero."""
    text = format(value, "f")
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text in ("-0", "") else text


def _write_literal(value: Scalar, kind: InputType) -> str:
    if isinstance(value, Decimal):
        return number_text(value)
    if kind == "date" and value[:1].isdigit():
        return str(date.fromisoformat(value).toordinal())
    return f'"{value}"'


def _read_literal(text: str, kind: InputType) -> Scalar:
    if text.startswith('"'):
        return text[1:-1]
    if kind == "date":
        return date.fromordinal(int(text)).isoformat()
    return Decimal(text)


def calendar_field(name: str) -> str:
    """The identifier of a date input's `calendar_number`; no input's own identifier begins with an underscore."""
    return f"_calendar__{field_of(name)}"


def write_cell(cell: Cell, of: Input) -> str:
    """The unary expression of a cell of an input; a day is written as its proleptic Gregorian ordinal."""
    match cell:
        case tuple():
            return ", ".join(_write_literal(item, of.type) for item in cell)
        case Compare():
            parts = [_GUARD]
            for operator, operand in cell.operands():
                if isinstance(operand, Reference):
                    parts.append(_write_reference(operator, operand, of))
                else:
                    parts.append(f"$ {_SYMBOLS[operator]} {_write_literal(operand, of.type)}")
            return " and ".join(parts)
    return _write_literal(cell, of.type)


def _write_reference(operator: str, operand: Reference, of: Input) -> str:
    other = field_of(operand.input)
    mine, theirs, moved = "$", other, operand.plus
    if operand.years:
        mine, theirs, moved = calendar_field(of.name), calendar_field(operand.input), operand.years * YEAR
    sum_ = f"{theirs} + {moved}" if moved else theirs
    return f'{other} != "unknown" and {other} != "not_asked" and {mine} {_SYMBOLS[operator]} {sum_}'


def read_cell(text: str, of: Input, inputs: Mapping[str, Input]) -> Cell:
    """The cell that `write_cell` wrote. Raises ValueError for every other expression."""
    cell: Cell
    if text.startswith(_GUARD):
        cell = _read_comparison(text[len(_GUARD) :], of, {field_of(name): name for name in inputs})
    else:
        literals: list[Scalar] = []
        rest = text
        while match := _LITERAL.match(rest):
            literals.append(_read_literal(match[0], of.type))
            rest = rest[match.end() :]
            if not rest:
                break
            if not rest.startswith(", "):
                raise ValueError("not a list of literals")
            rest = rest[2:]
        else:
            raise ValueError("not a literal, a list of literals or a comparison")
        cell = literals[0] if len(literals) == 1 else tuple(literals)
    for _, en in cell_faults(cell, of, inputs):
        raise ValueError(en)
    return cell


def _read_comparison(text: str, of: Input, names: Mapping[str, str]) -> Compare:
    operands: dict[str, Any] = {}
    rest = text
    while rest:
        match = _WITH_LITERAL.match(rest) or _WITH_REFERENCE.match(rest)
        if match is None or _OPERATORS[match["symbol"]] in operands:
            raise ValueError("not a comparison")
        rest = rest[match.end() :]
        found = match.groupdict()
        if "literal" in found:
            operands[_OPERATORS[found["symbol"]]] = _read_literal(found["literal"], of.type)
            continue
        if found["field"] not in names:
            raise ValueError("refers to an input that the table does not have")
        moved, unit = int(found["moved"] or 0), "plus"
        if found["calendar"]:
            moved, unit = moved // YEAR, "years"
        operands[_OPERATORS[found["symbol"]]] = Reference(input=names[found["field"]], **{unit: moved})
    comparison = Compare.model_validate(operands)
    if write_cell(comparison, of) != _GUARD + text:
        raise ValueError("not a comparison as it is written")
    return comparison
