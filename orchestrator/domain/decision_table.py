"""A decision table: the rows by which one approver decides, and the inputs that they read.

A `Row` says *when* (alternatives, each a mapping from an input's name to a cell) and *what* (approve, return, refuse or
manual). Its reasons in Chinese and English are texts and live beside it, not in it. `compile_tables` turns rows into one
GoRules JDM decision table per approver role (`jdm.py` knows that form); `orchestrator/rules` evaluates them.

Nothing here treats *unknown* as *no*: a row that means "no or unknown" lists both.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from orchestrator.domain.errors import Invalid

Outcome = Literal["approve", "return", "refuse", "manual"]
InputType = Literal["tri", "string", "number", "boolean", "date"]
Operator = Literal["gt", "gte", "lt", "lte", "ne"]

SEVERITY: tuple[Outcome, ...] = ("approve", "manual", "return", "refuse")
"""From mildest to most severe: of all rows that hit, the most severe outcome wins."""
UNKNOWN = "unknown"
"""The provider has no record, or an applicant's document has no such value. Never the same as no."""
NOT_ASKED = "not_asked"
"""The plan did not ask for this input in this situation."""
STATES = (UNKNOWN, NOT_ASKED)
"""What an input of any type may be instead of a value; no text value may be one of these words."""
MAX_DIGITS = 15
"""Significant digits of a number that the rules engine compares exactly."""
MAX_NUMBER = Decimal(2**53)

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*(\.[A-Za-z0-9][A-Za-z0-9_-]*)+")
ROW_ID = re.compile(r"[A-Z][A-Z0-9]*-[A-Za-z0-9][A-Za-z0-9-]*")
_TEXT = re.compile(r'[^"\\\x00-\x1f\x7f-\x9f\u2028\u2029]*')

Literal_ = str | Decimal


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Reference(_Frozen):
    """The value of another input of the same type as an operand, moved by a constant."""

    input: str
    plus: int = 0
    """Added to the other value: days for a date, units for a number; 0 for texts."""


class Compare(_Frozen):
    """Comparisons that must all hold. Never true of a value that is unknown or was not asked."""

    gt: Literal_ | Reference | None = None
    gte: Literal_ | Reference | None = None
    lt: Literal_ | Reference | None = None
    lte: Literal_ | Reference | None = None
    ne: Literal_ | Reference | None = None

    @field_validator("*", mode="before")
    @classmethod
    def _operand(cls, value: Any) -> Any:
        return value if value is None or isinstance(value, (Mapping, Reference)) else plain(value)

    @model_validator(mode="after")
    def _not_empty(self) -> Self:
        if not any(True for _ in self.operands()):
            raise ValueError("a comparison names at least one of gt, gte, lt, lte, ne")
        return self

    def operands(self) -> Iterator[tuple[Operator, Literal_ | Reference]]:
        """The operators used, in a fixed order, each with its operand."""
        operators: tuple[Operator, ...] = ("gt", "gte", "lt", "lte", "ne")
        for operator in operators:
            operand = getattr(self, operator)
            if operand is not None:
                yield operator, operand


Cell = Literal_ | tuple[Literal_, ...] | Compare


def plain(value: Any) -> Literal_:
    """A literal as rows hold it: YAML's booleans as "true"/"false", its dates as ISO text, numbers as exact decimals."""
    match value:
        case bool():
            return "true" if value else "false"
        case str() | Decimal():
            return value
        case int():
            return Decimal(value)
        case float():
            return Decimal(repr(value))
        case datetime():
            raise ValueError("a cell holds a day, not a moment")
        case date():
            return value.isoformat()
    raise ValueError("a cell is a text, a number, a boolean, a day, a list of them or a comparison")


def _cell(value: Any) -> Cell:
    if isinstance(value, Compare):
        return value
    if isinstance(value, Mapping):
        return Compare.model_validate(value)
    if isinstance(value, (list, tuple)):
        if not value:
            raise ValueError("an empty list never matches")
        return tuple(plain(item) for item in value)
    return plain(value)


class Row(_Frozen):
    """One rule of one approver: when any alternative matches, this outcome is collected."""

    id: str
    """As published in reasons and verdicts, e.g. `GAL-09`."""
    approver: str
    """The approver role that decides by this row."""
    when: tuple[dict[str, Any], ...] = ({},)
    """Alternatives (any of); each maps an input's name to a `Cell`, all of which must match. Empty: always matches."""
    outcome: Outcome
    confirm: bool = False
    """An officer must confirm before an outcome on this row is signed."""
    material: str | None = None
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
            {str(name): _cell(cell) for name, cell in sorted(dict(alternative).items())} for alternative in alternatives
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


class Input(_Frozen):
    """One named value that rows read: part of the definition, so that nothing is guessed when deciding."""

    name: str
    """`<subject role>.<claim>`, `q.<question>`, `form.<question>`, `material.<id>[.<field>]`, `param.<name>`, `case.day`."""
    type: InputType
    evidence: str | None = None
    """Evidence item that answers it; None when it is not a claim."""
    material: str | None = None
    """Material which that evidence replaces, wanted from the applicant when the claim is unknown."""

    @field_validator("name")
    @classmethod
    def _name(cls, value: str) -> str:
        if not NAME.fullmatch(value):
            raise ValueError("an input's name is dotted words, e.g. company.entity_in_operation")
        return value

    @property
    def situational(self) -> bool:
        """Known before anything is asked of a department: situation, form, parameter, day."""
        return self.name.split(".", 1)[0] in ("q", "form", "param", "case")


class Fault(_Frozen):
    """What is wrong with one row, in both languages, with what to do."""

    row: str
    input: str | None = None
    zh: str
    en: str
    remedy: str = Field(default="")


def brought(material: str) -> str:
    """Name of the input that says whether the applicant brought this material ("true" or "false")."""
    return f"material.{material}"


def names_in(alternative: Mapping[str, Cell]) -> Iterator[str]:
    """Names of the inputs that one alternative reads: its columns and what its cells refer to."""
    for name, cell in alternative.items():
        yield name
        if isinstance(cell, Compare):
            yield from (operand.input for _, operand in cell.operands() if isinstance(operand, Reference))


def exact(value: Decimal) -> bool:
    """Whether the rules engine compares this number exactly."""
    return (
        value.is_finite()
        and abs(value) <= MAX_NUMBER
        and len(value.normalize().as_tuple().digits) <= MAX_DIGITS + (value == value.to_integral_value())
    )


def _literal_fault(literal: Literal_, kind: InputType) -> tuple[str, str] | None:
    """Why a literal cannot be compared with an input of this type, (zh, en); None when it can."""
    if isinstance(literal, str) and literal in STATES:
        return None
    wrong = ("取值与该项的类型不符", f"{str(literal)!r} is not a value of type {kind}")
    match kind:
        case "tri" | "boolean":
            return None if literal in ("true", "false") else wrong
        case "number":
            if not isinstance(literal, Decimal):
                return wrong
            return None if exact(literal) else ("数值超出精确比较范围", "the number cannot be compared exactly")
        case "date":
            try:
                return None if isinstance(literal, str) and date.fromisoformat(literal).isoformat() == literal else wrong
            except ValueError:
                return wrong
        case "string":
            if not isinstance(literal, str):
                return wrong
            return None if _TEXT.fullmatch(literal) else ("文本含有不允许的字符", "quotes, backslashes and control characters")


def cell_faults(cell: Cell, of: Input, inputs: Mapping[str, Input]) -> Iterator[tuple[str, str]]:
    """Why a cell does not fit its input, as (zh, en)."""
    literals: Iterable[Literal_] = ()
    match cell:
        case tuple():
            literals = cell
        case Compare():
            for operator, operand in cell.operands():
                if operator != "ne" and of.type not in ("number", "date"):
                    yield "只有数值和日期可以比较大小", f"{operator} compares numbers and days only"
                if isinstance(operand, Reference):
                    other = inputs.get(operand.input)
                    if other is None:
                        yield "引用了不存在的输入项", f"refers to the unknown input {operand.input}"
                    elif other.type != of.type or (operand.plus and of.type not in ("number", "date")):
                        yield "引用项的类型不符", f"{operand.input} is of another type"
                    elif abs(operand.plus) > MAX_NUMBER:
                        yield "数值超出精确比较范围", "the number cannot be compared exactly"
                elif operand in STATES:
                    yield "请直接列出 unknown 或 not_asked", "list unknown and not_asked as literals, not in a comparison"
                else:
                    literals = (*literals, operand)
        case _:
            literals = (cell,)
    for literal in literals:
        if (fault := _literal_fault(literal, of.type)) is not None:
            yield fault


def check_rows(rows: Sequence[Row], inputs: Sequence[Input]) -> list[Fault]:
    """Every fault of these rows against these inputs, all at once; empty when they compile."""
    faults: list[Fault] = []
    by_name: dict[str, Input] = {}
    fields: dict[str, str] = {}
    for each in inputs:
        if by_name.setdefault(each.name, each) is not each or fields.setdefault(field_of(each.name), each.name) != each.name:
            faults.append(Fault(row="", input=each.name, zh="输入项名称重复", en="two inputs share this name"))
        if each.material is not None and each.evidence is None:
            faults.append(Fault(row="", input=each.name, zh="未注明核验数据", en="a material is replaced by an evidence item"))
    seen: set[str] = set()
    for row in rows:
        if row.id in seen:
            faults.append(Fault(row=row.id, zh="规则编号重复", en="two rows share this id", remedy="rename one"))
        seen.add(row.id)
        for name in sorted(row.reads() - by_name.keys()):
            faults.append(
                Fault(row=row.id, input=name, zh="引用了不存在的输入项", en="no such input", remedy="declare it or correct the name")
            )
        for alternative in row.when:
            for name, cell in alternative.items():
                if name in by_name:
                    faults += [
                        Fault(row=row.id, input=name, zh=zh, en=en) for zh, en in cell_faults(cell, by_name[name], by_name)
                    ]
    for role in sorted({row.approver for row in rows}):
        if all(row.outcome not in ("approve", "manual") for row in rows if row.approver == role):
            faults.append(Fault(row="", input=role, zh="缺少准予或转人工的规则", en="no row of this approver can approve"))
    return faults


def field_of(name: str) -> str:
    """The flat identifier that stands for an input in a table's expressions."""
    return name.replace(".", "__").replace("-", "_")


def number(value: Any) -> Decimal:
    """An exact number from an int, a decimal, its text, or a float whose shortest text is meant. Raises ValueError."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str, Decimal)):
        raise ValueError("not a number")
    try:
        result = Decimal(repr(value) if isinstance(value, float) else value)
    except InvalidOperation as error:
        raise ValueError("not a number") from error
    if not exact(result):
        raise ValueError("the number cannot be compared exactly")
    return result


def compile_tables(rows: Sequence[Row], inputs: Sequence[Input]) -> dict[str, dict[str, Any]]:
    """One GoRules JDM decision table per approver role, the same bytes for the same rows. Raises Invalid at the first fault."""
    from orchestrator.domain.jdm import table

    if faults := check_rows(rows, inputs):
        first = faults[0]
        raise Invalid(
            field=".".join(filter(None, (first.row, first.input))), detail=first.zh, detail_en=first.en, remedy=first.remedy
        )
    by_name = {each.name: each for each in inputs}
    roles = dict.fromkeys(row.approver for row in rows)
    return {role: table(role, [row for row in rows if row.approver == role], by_name) for role in roles}
