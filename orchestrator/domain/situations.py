"""Situations: the answers that steer a case, read strictly, and the finitely many that can differ.

An answer is typed by its question: boolean, enum and text as they are, decimal and money as exact `Decimal`, integer as
int, date as date, list and bank account as JSON. A question whose `when` does not hold is not asked, and answering it is
an error.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from orchestrator.domain.conditions import holds, literals, names
from orchestrator.domain.errors import Invalid
from orchestrator.domain.scenario import Draft
from orchestrator.domain.scenario_parts import Entry, Question

MOST_SITUATIONS = 20_000
"""A scenario with more situations that could differ is too entangled to be checked, or to be understood."""
MAX_TEXT = 2000
MAX_RECORDS = 200


def read_situation(scenario: Draft, answers: Mapping[str, Any]) -> dict[str, Any]:
    """The typed answers to the questions that the orchestrator may see.

    Raises Invalid, naming the field, for an answer that is missing, unknown, not asked here or malformed.
    """
    return _read(scenario, answers, sees="orchestrator", situation={})


def read_form(scenario: Draft, situation: Mapping[str, Any], form: Mapping[str, Any]) -> dict[str, Any]:
    """The typed answers that go sealed to the approvers, for a situation as `read_situation` gives it. Raises Invalid."""
    return _read(scenario, form, sees="approver", situation=situation)


def form_questions(scenario: Draft, situation: Mapping[str, Any]) -> tuple[Question, ...]:
    """The questions of the form that are asked in a situation."""
    return tuple(
        question for question in scenario.questions if question.sees == "approver" and holds(question.when, situation)
    )


def plain_situation(situation: Mapping[str, Any]) -> dict[str, Any]:
    """A typed situation as the JSON that is hashed into the mandate: decimals and dates as text, nothing left out."""
    return {name: _plain(value) for name, value in situation.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list) else value


def _read(scenario: Draft, answers: Mapping[str, Any], *, sees: str, situation: Mapping[str, Any]) -> dict[str, Any]:
    typed: dict[str, Any] = {}
    known = {question.id for question in scenario.questions if question.sees == sees}
    for name in answers:
        if name not in known:
            raise _invalid(name, "没有这个问题", "There is no such question", " / ".join(sorted(known)))
    for question in scenario.questions:
        if question.sees != sees:
            continue
        asked = holds(question.when, {**situation, **typed})
        given = answers.get(question.id)
        if not asked and given is not None:
            raise _invalid(
                question.id, "此情形下不需要回答", "This is not asked in this situation", "请不要填写 / leave it out"
            )
        if asked and given is None and question.required:
            choices = "true / false" if question.type == "boolean" else " / ".join(each.id for each in question.options)
            raise _invalid(
                question.id, "缺少回答", "The answer is missing", choices or f"{question.label.zh} {question.label.en}"
            )
        if asked and given is not None:
            typed[question.id] = _typed(question.id, question, given)
    return typed


def _typed(field: str, entry: Question | Entry, value: Any) -> Any:
    match entry.type:
        case "list":
            return _list(field, entry, value)
        case "bank_account":
            return _bank_account(field, value)
        case _:
            return read_value(field, entry, value)


def _list(field: str, entry: Question | Entry, value: Any) -> list[Any]:
    fields = entry.fields if isinstance(entry, Question) else ()
    if not isinstance(value, list) or not value or len(value) > MAX_RECORDS:
        raise _invalid(field, "应为列表", "A list with at least one entry is expected", f"1–{MAX_RECORDS}")
    if not fields:
        choices = [option.id for option in entry.options]
        for item in value:
            if not _is_text(item) or (choices and item not in choices):
                raise _invalid(field, "列表项不正确", "An entry of the list is wrong", " / ".join(choices))
        return list(value)
    return [_record(f"{field}.{n}", fields, item) for n, item in enumerate(value)]


def _record(field: str, fields: Sequence[Entry], value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping) or not set(value) <= {each.id for each in fields}:
        raise _invalid(
            field, "列表项的字段不正确", "The fields of this entry are wrong", " / ".join(f.id for f in fields)
        )
    record: dict[str, Any] = {}
    for each in fields:
        if value.get(each.id) is not None:
            record[each.id] = read_value(f"{field}.{each.id}", each, value[each.id])
        elif each.required:
            raise _invalid(f"{field}.{each.id}", "缺少内容", "This is missing", each.label.zh)
    return record


def _bank_account(field: str, value: Any) -> dict[str, str]:
    parts = ("holder", "bank", "number")
    if not isinstance(value, Mapping) or set(value) != set(parts) or not all(_is_text(value[part]) for part in parts):
        raise _invalid(field, "请填写户名、开户行和账号", "Give holder, bank and number", " / ".join(parts))
    return {part: value[part] for part in parts}


def read_value(field: str, entry: Question | Entry, value: Any) -> Any:
    """One scalar answer, typed and within its range. Raises Invalid."""
    match entry.type:
        case "boolean":
            if not isinstance(value, bool):
                raise _invalid(field, "请回答是或否", "Answer true or false", "true / false")
            return value
        case "enum":
            choices = [option.id for option in entry.options]
            if not isinstance(value, str) or value not in choices:
                raise _invalid(field, "不是可选项", "This is none of the choices", " / ".join(choices))
            return value
        case "integer":
            if isinstance(value, bool) or not isinstance(value, int):
                raise _invalid(field, "应为整数", "A whole number is expected", "1")
            return _ranged(field, entry, value)
        case "decimal" | "money":
            return _ranged(field, entry, _decimal(field, value))
        case "date":
            try:
                return date.fromisoformat(value)
            except (TypeError, ValueError) as error:
                raise _invalid(field, "应为日期", "A date is expected", "YYYY-MM-DD") from error
        case _:
            if not _is_text(value):
                raise _invalid(field, "应为文字", "A text is expected", f"1–{MAX_TEXT}")
            return value


def _decimal(field: str, value: Any) -> Decimal:
    try:
        # A float has already lost what was typed, so only text, whole numbers and decimals count.
        number = Decimal(value) if isinstance(value, int | str | Decimal) and not isinstance(value, bool) else None
    except InvalidOperation:
        number = None
    if number is None or not number.is_finite() or abs(number) >= Decimal(10) ** 13:
        raise _invalid(field, "应为数字", "A number is expected", '"300.00"')
    exact = number.quantize(Decimal("0.01"))
    if exact != number:
        raise _invalid(field, "最多两位小数", "At most two decimal places", '"300.01"')
    return exact


def _ranged(field: str, entry: Question | Entry, value: Any) -> Any:
    low = Decimal(entry.min) if entry.min is not None else None
    high = Decimal(entry.max) if entry.max is not None else None
    if (low is not None and value < low) or (high is not None and value > high):
        raise _invalid(field, "超出范围", "Out of range", f"{entry.min} – {entry.max}")
    return value


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and len(value.strip()) > 0 and len(value) <= MAX_TEXT


def _invalid(field: str, zh: str, en: str, remedy: str) -> Invalid:
    return Invalid(field=field, detail=zh, detail_en=en, remedy=remedy, code="bad-answer")


def all_conditions(scenario: Draft) -> Iterator[tuple[tuple[str | int, ...], tuple[Mapping[str, Any], ...]]]:
    """Every condition over the situation, with its place in the scenario."""
    for collection in ("subjects", "questions", "materials", "evidence", "steps", "pushes"):
        for n, part in enumerate(getattr(scenario, collection)):
            yield (collection, n, "when"), part.when
    for n, subject in enumerate(scenario.subjects):
        if subject.principal is not None:
            yield ("subjects", n, "principal"), subject.principal
    if scenario.agent.when is not None:
        yield ("agent", "when"), scenario.agent.when
    for kind in ("statutory", "before", "after", "correction"):
        for n, term in enumerate(getattr(scenario.deadline, kind)):
            yield ("deadline", kind, n, "when"), term.when


def representative_situations(scenario: Draft) -> list[dict[str, Any]]:
    """Typed situations such that every condition and every rule on the situation comes out each way that it can.

    A question that nothing depends on takes one value. Raises Invalid when there are more than `MOST_SITUATIONS`.
    """
    conditions = [condition for _, condition in all_conditions(scenario)]
    rows = [
        tuple(
            {name[2:]: _bounds(cell) for name, cell in alternative.items() if name.startswith("q.")}
            for alternative in rule.when
        )
        for rule in scenario.rules
    ]
    used = frozenset().union(*(names(condition) for condition in (*conditions, *rows)))
    situations: list[dict[str, Any]] = [{}]
    for question in scenario.questions:
        if question.sees != "orchestrator":
            continue
        found = [literal for condition in (*conditions, *rows) for literal in literals(condition, question.id)]
        values = _values(question, found) if question.id in used else _values(question, [])[:1]
        situations = [
            {**situation, **({question.id: value} if value is not None else {})}
            for situation in situations
            for value in (values if holds(question.when, situation) else [None])
        ]
        if len(situations) > MOST_SITUATIONS:
            raise _invalid(
                "questions",
                "情形组合过多,无法逐一检查",
                "Too many combinations of situations to check each",
                f"< {MOST_SITUATIONS}",
            )
    return situations


def _bounds(cell: Any) -> Any:
    """A cell of a rule in the form that conditions have, as far as its literals go."""
    operands = getattr(cell, "operands", None)
    if operands is None:
        return list(cell) if isinstance(cell, tuple) else cell
    return {name: operand for name, operand in operands() if isinstance(operand, str | Decimal)}


def _values(question: Question, found: list[Any]) -> list[Any]:
    """Values of a question between and at which comparisons with the literals found can change."""
    match question.type:
        case "boolean":
            return [True, False]
        case "enum":
            return [option.id for option in question.options]
        case "integer" | "decimal" | "money":
            step = Decimal(1) if question.type == "integer" else Decimal("0.01")
            near = {Decimal(str(t)) + d for t in found if _is_number(t) for d in (-step, Decimal(0), step)}
            low = Decimal(question.min) if question.min is not None else None
            high = Decimal(question.max) if question.max is not None else None
            within = [v for v in sorted(near) if (low is None or v >= low) and (high is None or v <= high)]
            values = within or [low if low is not None else Decimal(0)]
            return [int(v) if question.type == "integer" else v for v in values]
        case "date":
            days = {date.fromisoformat(str(t)) + timedelta(days=d) for t in found for d in (-1, 0, 1)}
            return sorted(days) or [date(2020, 1, 1)]
        case "list":
            return [[{}]]
        case _:
            return [*(str(t) for t in found), "…"]


def _is_number(value: Any) -> bool:
    try:
        return not isinstance(value, bool) and Decimal(str(value)).is_finite()
    except InvalidOperation:
        return False
