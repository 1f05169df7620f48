"""The strict face of the rules engine: decides for one approver by the published tables of one scenario version.

ZEN evaluates the tables, but by itself it fails open: a missing or mistyped input falls to the fallback row, and a cell
that does not parse silently drops its rule. So everything is checked before it is asked (`Rules` reads every cell at
load, `decide` every input), and what an unknown means is settled here, not in the tables.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from importlib.metadata import version
from typing import Any

import orjson
import zen

from orchestrator.domain.cells import (
    NOT_ASKED,
    UNKNOWN,
    Input,
    InputType,
    Scalar,
    brought,
    calendar_number,
    field_of,
    matches,
    names_in,
    scalar,
)
from orchestrator.domain.decision_table import OUTPUTS, SEVERITY, Outcome, Row, check_rows, read_table
from orchestrator.domain.errors import Invalid
from orchestrator.domain.jdm import calendar_field, number_text

ENGINE = f"zen-engine {version('zen-engine')}"
"""Written into every verdict: the same version decides the same."""
NO_RECORD = "COM-07"
"""A claim that replaces a material is unknown: the material is wanted, or read by an officer once it is there."""
INCOMPLETE = "COM-08"
"""Any other input that matters is unknown and no row says what follows: an officer decides."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """A row that counts in a decision."""

    id: str
    outcome: Outcome
    """What the row says in this case: a return becomes manual once its material is brought."""
    confirm: bool
    material: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What the tables say about one case for one approver, before an officer has said anything."""

    outcome: Outcome
    """What may be done automatically; manual: an officer decides."""
    proposed: Outcome
    """What the rows amount to; differs from `outcome` only while an officer must confirm it."""
    hits: tuple[Hit, ...]
    """Every row that counts, in the table's order, so that one notice can tell all that is missing."""
    materials_wanted: tuple[str, ...]
    """Materials that a return asks for; empty for every other outcome."""
    confirm_required: bool
    """True when `proposed` is signed only after an officer's confirmation."""
    inputs: Mapping[str, str]
    """Every input that this approver's table reads, in its one canonical text. Personal: never logged."""


@dataclass(frozen=True, slots=True)
class _Table:
    rows: dict[str, Row]
    inputs: tuple[Input, ...]
    situational: frozenset[str]


class Rules:
    """The tables of one scenario version, built from its definition document alone."""

    def __init__(self, definition: Mapping[str, Any]) -> None:
        """Reads `decisions` ({role: JDM}) and `inputs` ([Input]). Raises Invalid for what cannot be read exactly."""
        try:
            inputs = {each.name: each for each in map(Input.model_validate, definition["inputs"])}
            decisions = dict(definition["decisions"])
        except (KeyError, TypeError, ValueError) as error:
            raise _bad_table("inputs", f"no readable input schema: {type(error).__name__}") from error
        if not decisions:
            raise _bad_table("decisions", "no decision table")
        self._inputs = inputs
        self._tables = {role: self._load(role, document) for role, document in decisions.items()}
        # A static loader compiles each table once; `create_decision` would compile it anew at every evaluation.
        self._engine = zen.ZenEngine({"loader": {"type": "static", "content": decisions}})

    def _load(self, role: str, document: Any) -> _Table:
        rows = read_table(role, document, self._inputs)
        for fault in check_rows(rows, list(self._inputs.values())):
            raise _bad_table(f"decisions.{role}.{fault.row}.{fault.input or ''}", fault.en)
        _compile_with_engine(role, document)
        read = {name for row in rows for name in row.reads()}
        read |= {brought(material) for name in read if (material := self._inputs[name].material)}
        needed = tuple(self._inputs[name] for name in sorted(read))
        return _Table(
            {row.id: row for row in rows}, needed, frozenset(each.name for each in needed if each.situational)
        )

    @property
    def roles(self) -> tuple[str, ...]:
        """The approver roles that have a table."""
        return tuple(self._tables)

    def inputs(self, role: str) -> tuple[Input, ...]:
        """Every input that a decision of this approver needs, by name. Raises Invalid for an unknown role."""
        return self._table(role).inputs

    def rows(self, role: str) -> Mapping[str, Row]:
        """The rows of an approver's table by id. Raises Invalid for an unknown role."""
        return self._table(role).rows

    def types(self, role: str) -> Mapping[str, InputType]:
        """The type of every input that a decision of this approver needs, by name. Raises Invalid for an unknown role."""
        return {each.name: each.type for each in self._table(role).inputs}

    def read(self, role: str, inputs: Mapping[str, Any]) -> dict[str, Scalar]:
        """The inputs of one case as cells compare them. Raises Invalid as `decide` does."""
        return self._values(self._table(role), inputs)

    def decide(self, role: str, inputs: Mapping[str, Any]) -> Decision:
        """Decides one case. Raises Invalid, naming the input, when one is missing, mistyped or not the scenario's."""
        table = self._table(role)
        values = self._values(table, inputs)
        return _conclude(role, table, values, _found(role, self._engine.evaluate(role, _context(table, values))))

    async def decide_many(self, role: str, cases: Sequence[Mapping[str, Any]]) -> list[Decision | Invalid]:
        """Decides many cases beside other work; a case whose inputs are invalid yields its error and stops no other."""
        self._table(role)

        def one(inputs: Mapping[str, Any]) -> Decision | Invalid:
            try:
                return self.decide(role, inputs)
            except Invalid as error:
                return error

        return await asyncio.to_thread(lambda: [one(inputs) for inputs in cases])

    def _table(self, role: str) -> _Table:
        if role not in self._tables:
            raise Invalid(
                field="role", detail="该场景没有此审批部门的规则", detail_en="no rules for this approver role"
            )
        return self._tables[role]

    def _values(self, table: _Table, inputs: Mapping[str, Any]) -> dict[str, Scalar]:
        for name in inputs.keys() - self._inputs.keys():
            raise _bad_input(name, "场景中没有该输入项", "the scenario has no such input")
        values: dict[str, Scalar] = {}
        for each in table.inputs:
            if each.name not in inputs:
                raise _bad_input(each.name, "缺少输入项", "missing input")
            try:
                values[each.name] = scalar(inputs[each.name], each.type)
            except ValueError as error:
                raise _bad_input(each.name, "输入项的类型不符", str(error)) from error
        return values


def aggregate(values: Iterable[Any]) -> str:
    """One predicate for several subjects of a role: false before unknown before true; those not asked do not count."""
    known = {scalar(value, "tri") for value in values} - {NOT_ASKED}
    return next((state for state in ("false", UNKNOWN, "true") if state in known), NOT_ASKED)


def _compile_with_engine(role: str, document: Mapping[str, Any]) -> None:
    """Compiles every cell with the engine too, so that it cannot skip at run time what we could read."""
    content = document["nodes"][1]["content"]
    for rule in content["rules"]:
        for column in content["inputs"]:
            if text := rule[column["id"]]:
                _compiles(f"decisions.{role}.{rule['_id']}.{column['name']}", zen.compile_unary_expression, text)
        for column in content["outputs"]:
            _compiles(f"decisions.{role}.{rule['_id']}.{column['name']}", zen.compile_expression, rule[column["id"]])


def _compiles(where: str, compiler: Any, text: str) -> None:
    try:
        compiler(text)
    except Exception as error:  # the engine raises bare exceptions with its own stack trace in the text
        raise _bad_table(where, "the engine cannot compile this cell") from error


def _context(table: _Table, values: Mapping[str, Scalar]) -> str:
    """The engine's input as JSON text, with numbers in their exact decimal form and days in both of theirs."""
    parts = []
    for each in table.inputs:
        value = values[each.name]
        if isinstance(value, Decimal):
            parts.append(f'"{field_of(each.name)}":{number_text(value)}')
            if each.type == "date":
                parts.append(f'"{calendar_field(each.name)}":{number_text(calendar_number(value))}')
        else:
            parts.append(f'"{field_of(each.name)}":{orjson.dumps(value).decode()}')
    return "{" + ",".join(parts) + "}"


def _found(role: str, response: Mapping[str, Any]) -> list[tuple[str, int]]:
    """Row and alternative of everything that matched. Raises Invalid when nothing did or the answer is malformed."""
    result = response.get("result")
    if not isinstance(result, list) or not result:
        raise _bad_table(f"decisions.{role}", "no row answers this case")
    if any(not isinstance(each, dict) or set(each) != set(OUTPUTS) for each in result):
        raise _bad_table(f"decisions.{role}", "the engine's answer lacks an output")
    return [(each["row"], int(each["alternative"]) - 1) for each in result]


def _conclude(role: str, table: _Table, values: dict[str, Scalar], found: list[tuple[str, int]]) -> Decision:
    rows = [table.rows[row] for row in dict.fromkeys(row for row, _ in found)]
    consumed = {name for row, alternative in found for name in _consumes(table.rows[row].when[alternative], values)}
    unknown = _unknown(table, values) - consumed
    hits = [_hit(row.id, row.outcome, row.confirm, row.material, values) for row in rows if not row.otherwise]
    materials = {table_input.material for table_input in table.inputs if table_input.name in unknown}
    hits += [_hit(NO_RECORD, "return", False, material, values) for material in sorted(filter(None, materials))]
    if any(each.material is None for each in table.inputs if each.name in unknown):
        hits.append(Hit(id=INCOMPLETE, outcome="manual", confirm=False, material=None))
    if all(hit.outcome == "approve" for hit in hits):
        hits += [_hit(row.id, row.outcome, row.confirm, row.material, values) for row in rows if row.otherwise]
    if not hits:
        raise _bad_table(f"decisions.{role}", "no row answers this case")
    proposed = max((hit.outcome for hit in hits), key=SEVERITY.index)
    decisive = [hit.confirm for hit in hits if hit.outcome == proposed]
    # One row that needs no confirmation carries an adverse outcome; any row that needs it holds an approval back.
    confirm = proposed != "manual" and (any(decisive) if proposed == "approve" else all(decisive))
    outcome: Outcome = "manual" if confirm else proposed
    wanted = dict.fromkeys(hit.material for hit in hits if hit.outcome == "return" and hit.material)
    return Decision(
        outcome=outcome,
        proposed=proposed,
        hits=tuple(hits),
        materials_wanted=tuple(wanted) if outcome == "return" else (),
        confirm_required=confirm,
        inputs=_texts(table, values),
    )


def _hit(row: str, outcome: Outcome, confirm: bool, material: str | None, values: Mapping[str, Scalar]) -> Hit:
    if material is not None and values[brought(material)] == "true":
        outcome = "manual"
    return Hit(id=row, outcome=outcome, confirm=confirm, material=material)


def _consumes(alternative: Mapping[str, Any], values: Mapping[str, Scalar]) -> Iterable[str]:
    """Inputs whose unknown this alternative, which matched, names explicitly."""
    for name, cell in alternative.items():
        if values[name] == UNKNOWN and (cell == UNKNOWN or (isinstance(cell, tuple) and UNKNOWN in cell)):
            yield name


def _unknown(table: _Table, values: Mapping[str, Scalar]) -> set[str]:
    """Unknown inputs that matter.

    What replaces a material matters wherever it was asked: without it the material is missing. Anything else matters when
    an alternative reads it which the situation, form and parameters leave open.
    """
    if UNKNOWN not in values.values():
        return set()
    relevant = {each.name for each in table.inputs if each.material is not None}
    for row in table.rows.values():
        for alternative in row.when:
            if all(
                matches(cell, name, values)
                for name, cell in alternative.items()
                if all(other in table.situational and values[other] != UNKNOWN for other in names_in({name: cell}))
            ):
                relevant.update(names_in(alternative))
    return {name for name in relevant if values[name] == UNKNOWN}


def _texts(table: _Table, values: Mapping[str, Scalar]) -> dict[str, str]:
    texts: dict[str, str] = {}
    for each in table.inputs:
        value = values[each.name]
        if isinstance(value, Decimal):
            value = date.fromordinal(int(value)).isoformat() if each.type == "date" else number_text(value)
        texts[each.name] = value
    return texts


def _bad_table(field: str, en: str) -> Invalid:
    return Invalid(
        field=field,
        code="decision-table",
        detail="规则文件不能使用",
        detail_en=en,
        remedy="请更正规则并重新发布版本 / correct the rules and publish a new version",
    )


def _bad_input(name: str, zh: str, en: str) -> Invalid:
    return Invalid(
        field=name,
        code="rule-input",
        detail=zh,
        detail_en=en,
        remedy="按场景的输入项定义提供该值 / supply it as declared",
    )
