"""The GoRules JDM form of a decision table: how rows are written into it and read back.

A table is one input node, one decision table node (hit policy *collect*) and one output node. Only a small part of JDM is
written and only that part is read: literals, lists of literals, guarded comparisons and literal outputs. Whatever else a
document holds (functions, expressions, `now`, other hit policies, unknown settings) is refused, because the engine that
evaluates JDM skips what it cannot parse.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from orchestrator.domain.decision_table import (
    SEVERITY,
    Cell,
    Compare,
    Input,
    InputType,
    Literal_,
    Reference,
    Row,
    cell_faults,
    exact,
    field_of,
)
from orchestrator.domain.errors import Invalid

CONTENT_TYPE = "application/vnd.gorules.decision"
OUTPUTS = ("row", "outcome", "confirm", "material", "otherwise")
_SYMBOLS = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<=", "ne": "!="}
_OPERATORS = {symbol: operator for operator, symbol in _SYMBOLS.items()}
_GUARD = '$ != "unknown" and $ != "not_asked"'
_NUMBER = r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?"
_STRING = r'"[^"\\\x00-\x1f\x7f-\x9f\u2028\u2029]*"'
_LITERAL = re.compile(rf"{_STRING}|{_NUMBER}")
_COMPARISON = re.compile(
    rf' and (?:(?P<guard>[a-zA-Z0-9_]+) != "unknown" and (?P=guard) != "not_asked" and )?'
    rf"\$ (?P<symbol>>=|<=|!=|>|<) (?:(?P<literal>{_STRING}|{_NUMBER})|(?P<field>[a-zA-Z0-9_]+)(?: \+ (?P<plus>-?[0-9]+))?)"
)


def number_text(value: Decimal) -> str:
    """The one decimal form of a number: no exponent, no trailing zeros, no minus zero."""
    text = format(value, "f")
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text in ("-0", "") else text


def _write_literal(value: Literal_, kind: InputType) -> str:
    if isinstance(value, Decimal):
        return number_text(value)
    if kind == "date" and value[:1].isdigit():
        return str(date.fromisoformat(value).toordinal())
    return f'"{value}"'


def _read_literal(text: str, kind: InputType) -> Literal_:
    if text.startswith('"'):
        return text[1:-1]
    if kind == "date":
        return date.fromordinal(int(text)).isoformat()
    return Decimal(text)


def write_cell(cell: Cell, kind: InputType) -> str:
    """The unary expression of a cell of an input of this type; a day is written as its proleptic Gregorian ordinal."""
    match cell:
        case tuple():
            return ", ".join(_write_literal(item, kind) for item in cell)
        case Compare():
            parts = [_GUARD]
            for operator, operand in cell.operands():
                if isinstance(operand, Reference):
                    other = field_of(operand.input)
                    moved = f"{other} + {operand.plus}" if operand.plus else other
                    parts.append(f'{other} != "unknown" and {other} != "not_asked" and $ {_SYMBOLS[operator]} {moved}')
                else:
                    parts.append(f"$ {_SYMBOLS[operator]} {_write_literal(operand, kind)}")
            return " and ".join(parts)
    return _write_literal(cell, kind)


def read_cell(text: str, of: Input, inputs: Mapping[str, Input]) -> Cell:
    """The cell that `write_cell` wrote. Raises ValueError for every other expression."""
    cell: Cell
    if text.startswith(_GUARD):
        cell = _read_comparison(text[len(_GUARD) :], of.type, {field_of(name): name for name in inputs})
    else:
        literals: list[Literal_] = []
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


def _read_comparison(rest: str, kind: InputType, names: Mapping[str, str]) -> Compare:
    operands: dict[str, Any] = {}
    while rest:
        match = _COMPARISON.match(rest)
        if match is None or _OPERATORS[match["symbol"]] in operands:
            raise ValueError("not a comparison")
        rest = rest[match.end() :]
        if match["literal"] is not None:
            operands[_OPERATORS[match["symbol"]]] = _read_literal(match["literal"], kind)
        elif match["field"] != match["guard"] or match["field"] not in names:
            raise ValueError("refers to an input that the table does not have")
        else:
            operands[_OPERATORS[match["symbol"]]] = Reference(input=names[match["field"]], plus=int(match["plus"] or 0))
    return Compare.model_validate(operands)


def table(role: str, rows: Sequence[Row], inputs: Mapping[str, Input]) -> dict[str, Any]:
    """The JDM document of one approver's rows, which `check_rows` has found faultless."""
    columns = sorted({name for row in rows for alternative in row.when for name in alternative})
    rules = []
    for row in rows:
        for number, alternative in enumerate(row.when, start=1):
            cells = {field_of(name): write_cell(alternative[name], inputs[name].type) for name in alternative}
            rules.append(
                {"_id": f"{row.id}.{number}"}
                | {field_of(name): cells.get(field_of(name), "") for name in columns}
                | {f"out_{key}": value for key, value in _outputs(row).items()}
            )
    names = [f"{role}.{part}" for part in ("input", "table", "output")]
    return {
        "contentType": CONTENT_TYPE,
        "nodes": [
            {"id": names[0], "type": "inputNode", "name": "input", "position": {"x": 0, "y": 0}},
            {
                "id": names[1],
                "type": "decisionTableNode",
                "name": role,
                "position": {"x": 300, "y": 0},
                "content": {
                    "hitPolicy": "collect",
                    "inputs": [{"id": field_of(name), "name": name, "field": field_of(name)} for name in columns],
                    "outputs": [{"id": f"out_{key}", "name": key, "field": key} for key in OUTPUTS],
                    "rules": rules,
                },
            },
            {"id": names[2], "type": "outputNode", "name": "output", "position": {"x": 600, "y": 0}},
        ],
        "edges": [
            {"id": f"{role}.edge.1", "type": "edge", "sourceId": names[0], "targetId": names[1]},
            {"id": f"{role}.edge.2", "type": "edge", "sourceId": names[1], "targetId": names[2]},
        ],
    }


def _outputs(row: Row) -> dict[str, str]:
    return {
        "row": f'"{row.id}"',
        "outcome": f'"{row.outcome}"',
        "confirm": "true" if row.confirm else "false",
        "material": "null" if row.material is None else f'"{row.material}"',
        "otherwise": "true" if row.otherwise else "false",
    }


def read_table(role: str, document: Any, inputs: Mapping[str, Input]) -> list[Row]:
    """The rows of a table. Raises Invalid naming the rule and column for anything that `table` would not have written."""

    def refuse(where: str, en: str) -> Invalid:
        return Invalid(
            field=f"decisions.{role}{where}",
            code="decision-table",
            detail="决策表含有不允许的内容",
            detail_en=en,
            remedy="只使用字面值、列表和比较 / use literals, lists and comparisons only",
        )

    try:
        content = document["nodes"][1]["content"]
        columns = [column["name"] for column in content["inputs"]]
        rules = [dict(rule) for rule in content["rules"]]
    except (KeyError, IndexError, TypeError) as error:
        raise refuse("", "not a single decision table between an input and an output node") from error
    rows: dict[str, dict[str, Any]] = {}
    for rule in rules:
        where = f".{rule.get('_id')}"
        alternative: dict[str, Cell] = {}
        for name in columns:
            if name not in inputs:
                raise refuse(where, f"unknown input {name}")
            text = rule.get(field_of(name), "")
            try:
                if text != "":
                    alternative[name] = read_cell(text, inputs[name], inputs)
            except (ValueError, TypeError, AttributeError, OverflowError) as error:
                raise refuse(f"{where}.{name}", f"cell does not parse: {error}") from error
        row = {key: _read_output(rule.get(f"out_{key}"), refuse, where) for key in OUTPUTS}
        row["id"] = row.pop("row")
        rows.setdefault(str(row["id"]), {**row, "approver": role, "when": []})["when"].append(alternative)
    try:
        result = [Row.model_validate(row) for row in rows.values()]
    except ValueError as error:
        raise refuse("", f"not a row: {error}") from error
    if table(role, result, inputs) != document:
        raise refuse("", "holds nodes, settings or outputs outside the plain form")
    return result


def _read_output(text: Any, refuse: Any, where: str) -> Any:
    if text in ("true", "false"):
        return text == "true"
    if text == "null":
        return None
    if isinstance(text, str) and re.fullmatch(_STRING, text):
        return text[1:-1]
    raise refuse(where, "an output is not a literal")


__all__ = ["CONTENT_TYPE", "OUTPUTS", "SEVERITY", "exact", "number_text", "read_cell", "read_table", "table", "write_cell"]
