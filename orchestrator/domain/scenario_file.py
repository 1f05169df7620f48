"""Scenario files: YAML in which every fault has a line.

`load_scenario` reads a file's text into a `Scenario` or raises `ScenarioFaults` with everything that is wrong with it, each
fault with line, column, field and remedy. The form of a file is described in `docs/scenario.md`.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import yaml
from pydantic import ValidationError

from orchestrator.domain.catalogue import Catalogue
from orchestrator.domain.errors import Invalid
from orchestrator.domain.scenario import Draft, Scenario
from orchestrator.domain.scenario_check import problems
from orchestrator.domain.scenario_problem import Path
from orchestrator.domain.scenario_rules import rule_inputs, with_common
from orchestrator.domain.shape import explain, yaml_remedy

MAX_LENGTH = 1_000_000
MAX_NODES = 50_000
_INTEGER = re.compile(r"-?(0|[1-9][0-9]*)")
_DECIMAL = re.compile(r"-?(0|[1-9][0-9]*)\.[0-9]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing that is wrong with a file."""

    line: int
    """From 1."""
    column: int
    """From 1."""
    field: str
    """Dotted path of the field, e.g. `evidence.0.claims.2`."""
    zh: str
    en: str
    remedy: str


class ScenarioFaults(Invalid):
    """A scenario file with everything that is wrong with it."""

    def __init__(self, faults: list[Fault]) -> None:
        self.faults = tuple(sorted(faults, key=lambda fault: (fault.line, fault.column, fault.field)))
        first = self.faults[0]
        super().__init__(
            field=first.field,
            detail=f"场景文件有 {len(faults)} 处错误;第 {first.line} 行:{first.zh}",
            detail_en=f"The scenario file has {len(faults)} faults; line {first.line}: {first.en}",
            remedy=first.remedy,
            code="scenario-faults",
        )


class _Places:
    """Where each part of the file begins, by path."""

    def __init__(self) -> None:
        self._marks: dict[Path, tuple[int, int]] = {(): (1, 1)}
        self.rules: list[Path] = []
        """Path in the file of each rule in the flat order of a `Draft`."""

    def put(self, path: Path, mark: yaml.Mark) -> None:
        """Remembers where a part begins."""
        self._marks[path] = (mark.line + 1, mark.column + 1)

    def fault(self, path: Path, zh: str, en: str, remedy: str) -> Fault:
        """A fault at the nearest place that the file has for a path of the model."""
        steps = list(path)
        at: Path = ()
        if len(steps) > 1 and steps[0] == "rules" and isinstance(steps[1], int):
            at, steps = (self.rules[steps[1]] if steps[1] < len(self.rules) else ("rules",)), steps[2:]
        field: list[str] = [str(step) for step in at]
        for n, step in enumerate(steps):
            # Steps that the file does not have are names of the model's variants, or a list's place for a single entry.
            if (*at, step) in self._marks:
                at = (*at, step)
                field.append(str(step))
            elif n == len(steps) - 1:
                field.append(str(step))
        line, column = self._marks.get(at, (1, 1))
        return Fault(line=line, column=column, field=".".join(field), zh=zh, en=en, remedy=remedy)


class _Reader:
    """Builds plain values from YAML nodes, noting places; only what JSON has, and decimals kept exact."""

    def __init__(self) -> None:
        self.places = _Places()
        self.faults: list[Fault] = []
        self._nodes = 0

    def read(self, node: yaml.Node, path: Path) -> Any:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise Invalid(field="file", detail="文件过大", detail_en="The file is too large", remedy=f"< {MAX_NODES}")
        self.places._marks.setdefault(path, (node.start_mark.line + 1, node.start_mark.column + 1))
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.read(item, (*path, n)) for n, item in enumerate(node.value)]
        return _scalar(node)

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = str(key_node.value)
            if key in values:
                self.faults.append(
                    Fault(
                        line=key_node.start_mark.line + 1,
                        column=key_node.start_mark.column + 1,
                        field=".".join(str(step) for step in (*path, key)),
                        zh=f"字段 {key} 重复",
                        en=f"The field {key} is given twice",
                        remedy="删除一处 / remove one",
                    )
                )
            self.places.put((*path, key), key_node.start_mark)
            values[key] = self.read(value_node, (*path, key))
        return values


def _scalar(node: yaml.Node) -> Any:
    text: str = node.value
    if getattr(node, "style", None) in ("'", '"', "|", ">"):
        return text
    if text in ("true", "false"):
        return text == "true"
    if text in ("", "~", "null"):
        return None
    if _INTEGER.fullmatch(text):
        return int(text)
    return Decimal(text) if _DECIMAL.fullmatch(text) else text


def load_scenario(text: str, *, catalogue: Catalogue) -> Scenario:
    """The scenario of a file. Raises ScenarioFaults with all that is wrong with it."""
    reader = _Reader()
    tree = _compose(text, reader)
    if not isinstance(tree, dict):
        raise ScenarioFaults([reader.places.fault((), "文件应为映射", "A file is a map of fields", "docs/scenario.md")])
    tree = _flatten_rules(tree, reader)
    try:
        draft = Draft.model_validate(tree)
    except ValidationError as error:
        reader.faults += _shape_faults(error, reader.places)
        try:
            # Unknown fields and missing texts do not hide what else is wrong.
            draft = Draft.model_validate(_mended(tree, error))
        except ValidationError:
            raise ScenarioFaults(reader.faults) from None
    draft = with_common(draft)
    common = len(draft.rules) - len(reader.places.rules)
    reader.places.rules[:0] = [("rules",)] * common
    inputs = rule_inputs(draft, catalogue)
    found = [reader.places.fault(p.path, p.zh, p.en, p.remedy) for p in problems(draft, inputs, catalogue)]
    if faults := reader.faults + found:
        raise ScenarioFaults(faults)
    # Rows are kept in the order of the approvers, as the published tables are.
    rules = tuple(rule for role in draft.approvers for rule in draft.rules if rule.approver == role)
    parts = {name: getattr(draft, name) for name in Draft.model_fields}
    return Scenario.model_validate({**parts, "rules": rules, "inputs": inputs})


def _compose(text: str, reader: _Reader) -> Any:
    if len(text) > MAX_LENGTH:
        raise ScenarioFaults([reader.places.fault((), "文件过大", "The file is too large", f"< {MAX_LENGTH}")])
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        return None if node is None else reader.read(node, ())
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line, column = (mark.line + 1, mark.column + 1) if mark is not None else (1, 1)
        problem = str(getattr(error, "problem", None) or error)
        fault = Fault(
            line=line,
            column=column,
            field="YAML",
            zh="不是有效的 YAML",
            en=f"Not valid YAML: {problem}",
            remedy=yaml_remedy(problem),
        )
        raise ScenarioFaults([fault]) from None
    except Invalid as error:
        raise ScenarioFaults([reader.places.fault((), error.detail, error.detail_en, error.remedy)]) from None
    except RecursionError:
        raise ScenarioFaults([reader.places.fault((), "嵌套过深", "Nested too deeply", "docs/scenario.md")]) from None


def _flatten_rules(tree: dict[str, Any], reader: _Reader) -> dict[str, Any]:
    """Rules are written by approver; the model holds them in one sequence, each with its approver."""
    rules = tree.get("rules")
    if not isinstance(rules, Mapping):
        return tree
    flat: list[Any] = []
    for approver, rows in rules.items():
        for n, row in enumerate(rows if isinstance(rows, list) else [rows]):
            reader.places.rules.append(("rules", approver, n))
            flat.append({"approver": approver, **row} if isinstance(row, Mapping) else row)
    return {**tree, "rules": flat}


_TEXTS = frozenset({"name", "matter", "label", "reason", "message", "note"})


def _mended(tree: dict[str, Any], error: ValidationError) -> dict[str, Any]:
    """The tree without its unknown fields and with its missing texts filled in, so that the checks can go on."""
    mended: dict[str, Any] = copy.deepcopy(tree)
    for each in error.errors(include_url=False):
        *path, last = each["loc"]
        place: Any = mended
        for step in path:
            inside = isinstance(place, Mapping) and step in place
            inside = inside or (isinstance(place, list) and isinstance(step, int) and step < len(place))
            place = place[step] if inside else place
        if not isinstance(place, dict):
            continue
        if each["type"] == "extra_forbidden":
            place.pop(str(last), None)
        elif each["type"] == "missing" and last in ("zh", "en"):
            place[str(last)] = "?"
        elif each["type"] == "missing" and last in _TEXTS:
            place[str(last)] = {"zh": "?", "en": "?"}
    return mended


def _shape_faults(error: ValidationError, places: _Places) -> list[Fault]:
    found = error.errors(include_url=False)
    faults = []
    for each in found:
        path = tuple(each["loc"])
        if each["type"] == "too_short" and any(other["loc"][: len(path)] == path for other in found if other != each):
            continue  # its entries are there, but faulty
        name = str(path[-1]) if path else ""
        zh, en, remedy = explain(each, guide="docs/scenario.md")
        faults.append(places.fault(path, f"{name}:{zh}", f"{name}: {en}", remedy))
    return faults
