"""A scenario: one service that a person asks for, as data.

Its *definition* is everything that decides (subjects, questions, materials, evidence with claims and lawful bases, rules as
decision tables, roles, terms, steps, result, pushes); its *texts* are what people read. The definition's hash is the
scenario's version. Both documents are stored and published; the file that they came from is not needed again.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from functools import cached_property
from typing import Any, Literal, Protocol, TypeVar

from pydantic import Field, model_validator

from orchestrator.domain.canonical import canonical, to_hex
from orchestrator.domain.cells import Input
from orchestrator.domain.decision_table import compile_tables, read_table
from orchestrator.domain.errors import Invalid
from orchestrator.domain.scenario_parts import (
    Agent,
    Claim,
    Deadlines,
    Derived,
    EvidenceItem,
    Material,
    Parameter,
    Push,
    Question,
    Result,
    Rule,
    Slug,
    Step,
    Subject,
)
from orchestrator.domain.suite import hash_of
from orchestrator.domain.texts import Part, Text, join, split


class Draft(Part):
    """A scenario as its file says it, before the types of its rules' inputs are known."""

    format: Literal[1]
    """Of the definition document."""
    id: Slug
    name: Text
    matter: Text
    law: Text | None = None
    """What the law says of it, for people."""
    approvers: tuple[Slug, ...] = Field(min_length=1)
    """Department roles that decide; the first leads. They do not vary with the situation."""
    countersign: tuple[Slug, ...] = ()
    """Approvers at which an officer's decision counts only once a second officer has countersigned it."""
    providers: tuple[Slug, ...]
    """Department roles that answer."""
    subjects: tuple[Subject, ...] = Field(min_length=1)
    questions: tuple[Question, ...] = ()
    materials: tuple[Material, ...] = ()
    evidence: tuple[EvidenceItem, ...] = Field(min_length=1)
    parameters: tuple[Parameter, ...] = ()
    derived: tuple[Derived, ...] = ()
    rules: tuple[Rule, ...]
    """Rows of all approvers, in the order of the approvers."""
    deadline: Deadlines
    steps: tuple[Step, ...] = ()
    agent: Agent
    result: Result
    pushes: tuple[Push, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _default_format(cls, data: Any) -> Any:
        return {"format": 1, **data} if isinstance(data, Mapping) else data

    def question(self, name: str) -> Question:
        """The question of that id. Raises KeyError."""
        return _by_id(self.questions, name)

    def subject(self, role: str) -> Subject:
        """The subject role of that id. Raises KeyError."""
        return _by_id(self.subjects, role)

    def material(self, name: str) -> Material:
        """The material of that id. Raises KeyError."""
        return _by_id(self.materials, name)

    def item(self, name: str) -> EvidenceItem:
        """The evidence item of that id. Raises KeyError."""
        return _by_id(self.evidence, name)

    def rule(self, row: str) -> Rule:
        """The rule of that row id. Raises KeyError."""
        return _by_id(self.rules, row)

    def claims(self) -> dict[str, tuple[EvidenceItem, Claim]]:
        """Every claim by the name of its input, `<role>.<claim>`."""
        return {f"{item.subject}.{claim.key}": (item, claim) for item in self.evidence for claim in item.claims}


class Scenario(Draft):
    """A scenario with everything that deciding needs: complete, immutable, named by its version."""

    inputs: tuple[Input, ...]
    """What rules may read, with types."""

    def definition(self) -> dict[str, Any]:
        """The document that decides, with rules as one GoRules JDM decision table per approver role (`decisions`)."""
        document = dict(self._documents[0])
        document.pop("rules")
        document["decisions"] = compile_tables(self.rules, self.inputs)
        return document

    def texts(self) -> dict[str, Any]:
        """The document of what people read: `{id, texts: {path: {zh, en}}}`."""
        return {"id": self.id, "texts": {path: dict(text) for path, text in self._documents[1].items()}}

    @cached_property
    def _documents(self) -> tuple[dict[str, Any], dict[str, dict[str, str]]]:
        return split(self)

    @cached_property
    def version(self) -> str:
        """`0x…` SHA-256 of the canonical definition."""
        return to_hex(hash_of(canonical(self.definition())))

    @cached_property
    def texts_hash(self) -> str:
        """`0x…` SHA-256 of the canonical texts."""
        return to_hex(hash_of(canonical(self.texts())))

    def parameter(self, name: str, day: date) -> Any:
        """The value that a parameter has on a day. Raises Invalid when it has none yet."""
        values = [each for each in _by_id(self.parameters, name).values if each.from_ <= day]
        if not values:
            raise Invalid(
                field=f"parameters.{name}",
                detail="该参数在当日尚未生效",
                detail_en="This parameter has no value on that day",
                remedy="请补充更早的取值 / add an earlier value",
            )
        return max(values, key=lambda each: each.from_).value

    @classmethod
    def from_documents(cls, definition: Mapping[str, Any], texts: Mapping[str, Any]) -> Scenario:
        """The scenario that two published documents describe. Raises Invalid unless it describes exactly them."""
        try:
            inputs = tuple(Input.model_validate(each) for each in definition["inputs"])
            by_name = {each.name: each for each in inputs}
            rows = [
                row.model_dump(exclude_none=True)
                for role in definition["approvers"]
                for row in read_table(role, definition["decisions"][role], by_name)
            ]
            parts = {key: value for key, value in definition.items() if key not in ("decisions", "inputs")}
            scenario = cls.model_validate({**join({**parts, "rules": rows}, texts["texts"]), "inputs": inputs})
            faithful = canonical(scenario.definition()) == canonical(definition) and scenario.texts() == texts
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise _unreadable() from error
        if not faithful:
            raise _unreadable()
        return scenario


class _Named(Protocol):
    @property
    def id(self) -> str: ...


_Part = TypeVar("_Part", bound=_Named)


def _by_id(parts: tuple[_Part, ...], name: str) -> _Part:
    for part in parts:
        if part.id == name:
            return part
    raise KeyError(name)


def _unreadable() -> Invalid:
    return Invalid(
        field="definition",
        detail="场景定义文件无法还原",
        detail_en="These documents do not describe a scenario of format 1 exactly",
        remedy="请使用 lianban scenario publish 生成的文件 / use the documents that lianban scenario publish made",
    )
