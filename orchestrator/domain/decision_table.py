"""A decision table: the rows by which one approver decides, in the form that is hashed, published and evaluated.

A `Row` says *when* (alternatives, each a mapping from an input's name to a cell) and *what* (approve, return, refuse
or manual). Its reasons in Chinese and English are texts and live beside it, not in it. `compile_tables` turns rows into
one GoRules JDM document per approver role, `read_table` reads one back, `orchestrator/rules` evaluates it.

A document is one input node, one decision table (hit policy *collect*) and one output node. Whatever else it holds
(functions, expressions, `now`, other hit policies, unknown settings) is refused, because the engine that evaluates JDM
skips what it cannot parse.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from orchestrator.domain.canonical import canonical
from orchestrator.domain.cells import (
    Cell,
    Compare,
    Frozen,
    Input,
    InputType,
    Reference,
    brought,
    cell_faults,
    cell_of,
    field_of,
    names_in,
)
from orchestrator.domain.errors import Invalid
from orchestrator.domain.jdm import STRING, read_cell, write_cell
from orchestrator.domain.shape import nearest

__all__ = [
    "OUTPUTS",
    "SEVERITY",
    "Compare",
    "Fault",
    "Input",
    "Outcome",
    "Reference",
    "Row",
    "brought",
    "check_rows",
    "compile_tables",
    "read_table",
]

Outcome = Literal["approve", "return", "refuse", "manual"]

SEVERITY: tuple[Outcome, ...] = ("approve", "manual", "return", "refuse")
"""From mildest to most severe: of all rows that hit, the most severe outcome wins."""
ROW_ID = re.compile(r"[A-Z][A-Z0-9]*-[A-Za-z0-9][A-Za-z0-9-]*")
CONTENT_TYPE = "application/vnd.gorules.decision"
OUTPUTS = ("row", "alternative", "outcome", "confirm", "material", "otherwise")


class Row(Frozen):
    """One rule of one approver: when any alternative matches, this outcome is collected."""

    id: str
    """As published in reasons and verdicts, e.g. `GAL-09`."""
    approver: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")
    """The approver role that decides by this row."""
    when: tuple[dict[str, Any], ...] = ({},)
    """Alternatives (any of); each maps an input's name to a `Cell`, all of which must match. Empty: always matches."""
    outcome: Outcome
    confirm: bool = False
    """An officer must confirm before an outcome on this row is signed."""
    material: str | None = Field(default=None, pattern=r"^[a-z0-9][a-z0-9-]*$")
    """The material that a return row asks for; once it is brought the row turns into manual."""
    otherwise: bool = False
    """Counts only when no other row asks for anything worse than approval ("none of the above")."""

    @model_validator(mode="before")
    @classmethod
    def _default_row(cls, data: Any) -> Any:
        if isinstance(data, Mapping) and "otherwise" not in data:
            when = data.get("when") or {}
            always = not any(when) if isinstance(when, (list, tuple)) else not when
            return {**data, "otherwise": always or str(data.get("id", "")).endswith("-99")}
        return data

    @field_validator("id")
    @classmethod
    def _id(cls, value: str) -> str:
        if not ROW_ID.fullmatch(value):
            raise ValueError("a row's id looks like GAL-09 or COM-02-seller")
        return value

    @field_validator("when", mode="before")
    @classmethod
    def _alternatives(cls, value: Any) -> Any:
        alternatives = [value] if isinstance(value, Mapping) else list(value or [{}])
        return tuple(
            {str(name): cell_of(cell) for name, cell in sorted(dict(alternative).items())}
            for alternative in alternatives
        )

    @model_validator(mode="after")
    def _coherent(self) -> Self:
        if self.material is not None and self.outcome != "return":
            raise ValueError("only a row that returns names a material")
        return self

    def reads(self) -> frozenset[str]:
        """Names of every input that this row looks at, the material that it asks for among them."""
        names = {name for alternative in self.when for name in names_in(alternative)}
        return frozenset(names | ({brought(self.material)} if self.material else set()))


class Fault(Frozen):
    """What is wrong with one row, in both languages, with what to do."""

    row: str
    input: str | None = None
    zh: str
    en: str
    remedy: str = ""


_FITTING: Mapping[InputType, str] = {
    "tri": "true / false / unknown",
    "boolean": "true / false",
    "number": "300 / {gt: 300} / [1, 2]",
    "date": "2026-01-01 / {lt: {input: case.day}}",
    "string": "text / [text, other] / {ne: text}",
}
"""Cells that fit an input of a type, as examples."""


def check_rows(rows: Sequence[Row], inputs: Sequence[Input]) -> list[Fault]:
    """Every fault of these rows against these inputs, all at once; empty when they compile."""
    return [*_input_faults(inputs), *_row_faults(rows, {each.name: each for each in inputs})]


def _input_faults(inputs: Sequence[Input]) -> Iterator[Fault]:
    fields: set[str] = set()
    for each in inputs:
        if field_of(each.name) in fields:
            yield Fault(
                row="",
                input=each.name,
                zh="输入项名称重复",
                en="two inputs share this name",
                remedy="换一个名称 / rename one",
            )
        fields.add(field_of(each.name))
        if each.material is not None and each.evidence is None:
            zh, en = "未注明替代该材料的核验数据", "names no evidence item that replaces the material"
            yield Fault(row="", input=each.name, zh=zh, en=en, remedy="set evidence")
        if each.material is not None and brought(each.material) not in {other.name for other in inputs}:
            zh, en = "缺少材料是否已提交的输入项", f"the input {brought(each.material)} is missing"
            yield Fault(row="", input=each.name, zh=zh, en=en, remedy="add it with type boolean")


def _row_faults(rows: Sequence[Row], inputs: Mapping[str, Input]) -> Iterator[Fault]:
    seen: set[tuple[str, str]] = set()
    for row in rows:
        if (row.approver, row.id) in seen:
            yield Fault(
                row=row.id,
                zh="规则编号重复",
                en="two rows of an approver share this id",
                remedy="换一个编号 / rename one",
            )
        seen.add((row.approver, row.id))
        for name in sorted(row.reads() - inputs.keys()):
            zh, en = "引用了不存在的输入项", "no such input"
            yield Fault(row=row.id, input=name, zh=zh, en=en, remedy=nearest(name, inputs.keys()))
        cells = ((name, cell) for alternative in row.when for name, cell in alternative.items() if name in inputs)
        for name, cell in cells:
            for zh, en in cell_faults(cell, inputs[name], inputs):
                yield Fault(row=row.id, input=name, zh=zh, en=en, remedy=_FITTING[inputs[name].type])
    for role in sorted({row.approver for row in rows}):
        if all(row.outcome not in ("approve", "manual") for row in rows if row.approver == role):
            yield Fault(
                row="", input=role, zh="该审批部门没有准予的规则", en="no row of this approver can ever approve"
            )


def table(role: str, rows: Sequence[Row], inputs: Mapping[str, Input]) -> dict[str, Any]:
    """The JDM document of one approver's rows, which `check_rows` has found faultless."""
    columns = sorted({name for row in rows for alternative in row.when for name in alternative})
    rules = []
    for row in rows:
        for number, alternative in enumerate(row.when, start=1):
            cells = {field_of(name): write_cell(alternative[name], inputs[name]) for name in alternative}
            rules.append(
                {"_id": f"{row.id}.{number}"}
                | {field_of(name): cells.get(field_of(name), "") for name in columns}
                | {f"out_{key}": value for key, value in _outputs(row, number).items()}
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


def _outputs(row: Row, alternative: int) -> dict[str, str]:
    return {
        "row": f'"{row.id}"',
        "alternative": f'"{alternative}"',
        "outcome": f'"{row.outcome}"',
        "confirm": "true" if row.confirm else "false",
        "material": "null" if row.material is None else f'"{row.material}"',
        "otherwise": "true" if row.otherwise else "false",
    }


def compile_tables(rows: Sequence[Row], inputs: Sequence[Input]) -> dict[str, dict[str, Any]]:
    """One JDM decision table per approver role, the same for the same rows. Raises Invalid at the first fault."""
    for fault in check_rows(rows, inputs):
        field = ".".join(part for part in (fault.row, fault.input) if part)
        raise Invalid(field=field, code="decision-table", detail=fault.zh, detail_en=fault.en, remedy=fault.remedy)
    by_name = {each.name: each for each in inputs}
    roles = dict.fromkeys(row.approver for row in rows)
    return {role: table(role, [row for row in rows if row.approver == role], by_name) for role in roles}


def read_table(role: str, document: Any, inputs: Mapping[str, Input]) -> list[Row]:
    """The rows of a table. Raises Invalid, naming rule and column, for anything that `table` would not have written."""

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
    except (KeyError, IndexError, TypeError, ValueError) as error:
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
        del row["alternative"]
        rows.setdefault(str(row["id"]), {**row, "approver": role, "when": []})["when"].append(alternative)
    try:
        result = [Row.model_validate(row) for row in rows.values()]
    except ValueError as error:
        raise refuse("", f"not a row: {error}") from error
    if canonical(table(role, result, inputs)) != canonical(document):
        raise refuse("", "holds nodes, settings or outputs outside the plain form")
    return result


def _read_output(text: Any, refuse: Any, where: str) -> Any:
    if text in ("true", "false"):
        return text == "true"
    if text == "null":
        return None
    if isinstance(text, str) and re.fullmatch(STRING, text):
        return text[1:-1]
    raise refuse(where, "an output is not a literal")
