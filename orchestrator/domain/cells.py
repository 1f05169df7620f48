"""Cells: what a rule may say about one input, and the inputs themselves.

A cell is a literal, a list of literals (any of) or a comparison. Values are texts, exact numbers and days; a predicate
is "true" or "false"; a value of any type may instead be *unknown* or *not asked*, which no comparison ever matches.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, field_validator, model_validator

InputType = Literal["tri", "string", "number", "boolean", "date"]
Operator = Literal["gt", "gte", "lt", "lte", "ne"]

UNKNOWN = "unknown"
"""The provider has no record, or an applicant's document has no such value. Never the same as no."""
NOT_ASKED = "not_asked"
"""The plan did not ask for this input in this situation."""
STATES = (UNKNOWN, NOT_ASKED)
"""What an input of any type may be instead of a value; no text value may be one of these words."""
MAX_DIGITS = 15
"""Significant digits of a number that the rules engine compares exactly."""
MAX_NUMBER = Decimal(2**53)
YEAR = 12 * 31
"""Length of a year in `calendar_number`."""

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*(\.[A-Za-z0-9][A-Za-z0-9_-]*)+")
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")
TEXT = re.compile(r'[^"\\\x00-\x1f\x7f-\x9f\u2028\u2029]*')

Scalar = str | Decimal


class Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Reference(Frozen):
    """The value of another input of the same type as an operand, moved by a constant."""

    input: str
    plus: int = 0
    """Added to the other value: days for a date, units for a number; 0 for texts."""
    years: int = 0
    """Calendar years added to a date, instead of days; 29 February then lies between 28 February and 1 March."""

    @model_validator(mode="after")
    def _one_unit(self) -> Self:
        if self.plus and self.years:
            raise ValueError("a reference is moved by days or by years, not by both")
        return self


class Compare(Frozen):
    """Comparisons that must all hold. Never true of a value that is unknown or was not asked."""

    gt: Scalar | Reference | None = None
    gte: Scalar | Reference | None = None
    lt: Scalar | Reference | None = None
    lte: Scalar | Reference | None = None
    ne: Scalar | Reference | None = None

    @field_validator("*", mode="before")
    @classmethod
    def _operand(cls, value: Any) -> Any:
        return value if value is None or isinstance(value, (Mapping, Reference)) else plain(value)

    @model_validator(mode="after")
    def _not_empty(self) -> Self:
        if not any(True for _ in self.operands()):
            raise ValueError("a comparison names at least one of gt, gte, lt, lte, ne")
        return self

    def operands(self) -> Iterator[tuple[Operator, Scalar | Reference]]:
        """The operators used, in a fixed order, each with its operand."""
        operators: tuple[Operator, ...] = ("gt", "gte", "lt", "lte", "ne")
        for operator in operators:
            operand = getattr(self, operator)
            if operand is not None:
                yield operator, operand


Cell = Scalar | tuple[Scalar, ...] | Compare


def plain(value: Any) -> Scalar:
    """A literal as rows hold it: booleans as "true"/"false", days as ISO text, numbers as exact decimals."""
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


def cell_of(value: Any) -> Cell:
    """A cell as files write it. Raises ValueError for anything else."""
    if isinstance(value, Compare):
        return value
    if isinstance(value, Mapping):
        return Compare.model_validate(value)
    if isinstance(value, (list, tuple)):
        if not value:
            raise ValueError("an empty list never matches")
        literals = tuple(plain(item) for item in value)
        return literals[0] if len(literals) == 1 else literals
    return plain(value)


class Input(Frozen):
    """One named value that rows read: part of the definition, so that nothing is guessed when deciding."""

    name: str
    """`<subject role>.<claim>`, `q.<question>`, `form.<question>`, `material.<id>[.<field>]`, `param.<name>` or
    `case.day` (the day on which the mandate was signed)."""
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


def brought(material: str) -> str:
    """Name of the input that says whether the applicant brought this material ("true" or "false")."""
    return f"material.{material}"


def names_in(alternative: Mapping[str, Cell]) -> Iterator[str]:
    """Names of the inputs that one alternative reads: its columns and what its cells refer to."""
    for name, cell in alternative.items():
        yield name
        if isinstance(cell, Compare):
            yield from (operand.input for _, operand in cell.operands() if isinstance(operand, Reference))


def is_text(value: str) -> bool:
    """Whether a text can stand in a cell as it is: JDM's texts know no escapes."""
    return TEXT.fullmatch(value) is not None


def is_day(value: str) -> bool:
    """Whether this is a day as `YYYY-MM-DD`."""
    try:
        return date.fromisoformat(value).isoformat() == value
    except ValueError:
        return False


def exact(value: Decimal) -> bool:
    """Whether the rules engine compares this number exactly."""
    return (
        value.is_finite()
        and abs(value) <= MAX_NUMBER
        and len(value.normalize().as_tuple().digits) <= MAX_DIGITS + (value == value.to_integral_value())
    )


_KINDS: Mapping[InputType, tuple[str, str]] = {
    "tri": ("是否类核验项的取值", "a state of a predicate"),
    "boolean": ("是或否", "true or false"),
    "number": ("数字", "a number"),
    "date": ("日期", "a day"),
    "string": ("文字", "a text"),
}


def _literal_fault(literal: Scalar, kind: InputType) -> tuple[str, str] | None:
    """Why a literal cannot be compared with an input of this type, (zh, en); None when it can."""
    if isinstance(literal, str) and literal in STATES:
        return None
    zh, en = _KINDS[kind]
    wrong = (f"“{literal}”不是{zh}", f"{str(literal)!r} is not {en}")
    match kind:
        case "tri" | "boolean":
            return None if literal in ("true", "false") else wrong
        case "number":
            if not isinstance(literal, Decimal):
                return wrong
            return None if exact(literal) else ("数值超出精确比较范围", "the number cannot be compared exactly")
        case "date":
            return None if isinstance(literal, str) and is_day(literal) else wrong
        case "string":
            if not isinstance(literal, str):
                return wrong
            return (
                None
                if is_text(literal)
                else ("文本含有引号、反斜杠或控制字符", "no quote, backslash or control character")
            )


def cell_faults(cell: Cell, of: Input, inputs: Mapping[str, Input]) -> Iterator[tuple[str, str]]:
    """Why a cell does not fit its input, as (zh, en)."""
    literals: Iterable[Scalar] = ()
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
                    elif (
                        other.type != of.type
                        or (operand.plus and of.type not in ("number", "date"))
                        or (operand.years and of.type != "date")
                    ):
                        yield "引用项的类型不符", f"{operand.input} is of another type"
                    elif abs(operand.plus) > MAX_NUMBER or abs(operand.years) > 9999:
                        yield "数值超出精确比较范围", "the number cannot be compared exactly"
                elif operand in STATES:
                    yield (
                        "未知或未核验的值不能比较",
                        "a comparison is never true of unknown or not_asked: list them instead",
                    )
                else:
                    literals = (*literals, operand)
        case _:
            literals = (cell,)
    for literal in literals:
        if (fault := _literal_fault(literal, of.type)) is not None:
            yield fault


def field_of(name: str) -> str:
    """The flat identifier that stands for an input in a table's expressions."""
    return name.replace(".", "__").replace("-", "_")


def calendar_number(ordinal: Decimal) -> Decimal:
    """A day, given as its proleptic ordinal, as a number in which a year is always `YEAR` and the order is the same."""
    day = date.fromordinal(int(ordinal))
    return Decimal(day.year * YEAR + (day.month - 1) * 31 + day.day - 1)


def number(value: Any) -> Decimal:
    """An exact number from an int, a decimal, its text, or a float whose shortest text is meant. Raises ValueError."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str, Decimal)):
        raise ValueError("not a number")
    if isinstance(value, str) and not _NUMBER.fullmatch(value):
        raise ValueError("not a number")
    result = Decimal(repr(value) if isinstance(value, float) else value)
    if not exact(result):
        raise ValueError("the number cannot be compared exactly")
    return result


def scalar(value: Any, kind: InputType) -> Scalar:
    """A value of an input as cells compare it: null is unknown, a day its proleptic ordinal. Raises ValueError.

    Strict: nothing is guessed from a value of another type.
    """
    if value is None:
        return UNKNOWN
    if isinstance(value, str) and value in STATES:
        return value
    match kind:
        case "tri" | "boolean":
            if isinstance(value, bool):
                return "true" if value else "false"
            if value in ("true", "false"):
                return str(value)
        case "string":
            if isinstance(value, str):
                return value
        case "number":
            return number(value)
        case "date":
            if isinstance(value, date) and not isinstance(value, datetime):
                return Decimal(value.toordinal())
            if isinstance(value, str) and is_day(value):
                return Decimal(date.fromisoformat(value).toordinal())
    raise ValueError(f"not a value of type {kind}")


def matches(cell: Cell, name: str, values: Mapping[str, Scalar]) -> bool:
    """Whether the value of this input, as `scalar` gives it, matches a cell; `values` has what the cell refers to."""
    value = values[name]
    match cell:
        case tuple():
            return any(value == _comparable(item, value) for item in cell)
        case Compare():
            return value not in STATES and all(
                _holds(operator, value, operand, values) for operator, operand in cell.operands()
            )
    return value == _comparable(cell, value)


def _comparable(literal: Scalar, value: Scalar) -> Scalar:
    """A day in a cell as its ordinal, when the value beside it is one."""
    if isinstance(literal, str) and isinstance(value, Decimal) and is_day(literal):
        return Decimal(date.fromisoformat(literal).toordinal())
    return literal


def _holds(operator: Operator, value: Scalar, operand: Scalar | Reference, values: Mapping[str, Scalar]) -> bool:
    if isinstance(operand, Reference):
        other = values[operand.input]
        if other in STATES:
            return False
        if operand.years and isinstance(value, Decimal) and isinstance(other, Decimal):
            value, other = calendar_number(value), calendar_number(other) + operand.years * YEAR
        elif isinstance(other, Decimal):
            other += operand.plus
    else:
        other = _comparable(operand, value)
    if operator == "ne":
        return value != other
    if not isinstance(value, Decimal) or not isinstance(other, Decimal):
        return False
    return {"gt": value > other, "gte": value >= other, "lt": value < other, "lte": value <= other}[operator]
