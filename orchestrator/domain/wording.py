"""A scenario in words: what its conditions, rules and other values say, for a person who reads no definition document.

Everything is said in Chinese and in English. Names come from the scenario's own texts, from the catalogue for evidence and
claims, and from a `Seating` for departments; where a name is not known, the id stands in its place.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any, NamedTuple

import orjson
from pydantic import BaseModel

from orchestrator.domain.catalogue import Catalogue
from orchestrator.domain.cells import Compare, Input, Reference
from orchestrator.domain.errors import Invalid
from orchestrator.domain.jdm import number_text
from orchestrator.domain.scenario import Scenario
from orchestrator.domain.scenario_parts import (
    Act,
    Attribute,
    Basis,
    Claim,
    CredentialField,
    DatedValue,
    Derived,
    Entry,
    EvidenceItem,
    Material,
    Option,
    Parameter,
    Push,
    Question,
    Rule,
    Step,
    Subject,
    Term,
)
from orchestrator.domain.texts import Text
from orchestrator.domain.vocabulary import BOUNDS, NONE, NOUNS, STATES, UNITS, VOCABULARY, Words, label_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Seating:
    """Who plays which role: departments by their names."""

    region: str
    """GB/T 2260, six digits."""
    identity: Words
    operator: Words
    approvers: Mapping[str, Words] = field(default_factory=dict)
    """By the scenario's role."""
    providers: Mapping[str, Words] = field(default_factory=dict)

    def named(self, role: str) -> Words | None:
        """Who plays a role of the scenario; None when nobody does."""
        return self.providers.get(role) or self.approvers.get(role)

    def places(self) -> dict[Words, Words]:
        """Every place and who or what is in it."""
        return {
            Words("地区", "region"): Words(self.region, self.region),
            Words("身份席位", "identity seat"): self.identity,
            Words("经办方", "operator"): self.operator,
            **{Words(f"审批〔{role}〕", f"approver [{role}]"): seat for role, seat in self.approvers.items()},
            **{Words(f"数据提供〔{role}〕", f"provider [{role}]"): seat for role, seat in self.providers.items()},
        }


class Wording(NamedTuple):
    """How one scenario says things."""

    scenario: Scenario
    catalogue: Catalogue | None = None
    seating: Seating | None = None

    def title(self, part: BaseModel) -> Words:
        """What a part of the scenario is called."""
        noun = NOUNS[type(part).__name__]
        match part:
            case Question() | Subject() | Parameter() | Step() | CredentialField() | Entry() | Attribute() | Option():
                return _called(noun, part.label, part.id)
            case Material():
                return _called(noun, part.name, part.id)
            case EvidenceItem():
                return self._item(part)
            case Claim():
                return _called(noun, None, part.key)
            case Rule():
                return _called(noun, None, part.id)
            case DatedValue():
                return Words(f"自 {part.from_.isoformat()} 起的取值", f"value from {part.from_.isoformat()}")
            case Input():
                return self.input(part.name)
            case Derived() | Push():
                return _called(noun, None, part.id)
        return noun

    def _item(self, item: EvidenceItem) -> Words:
        provider = self.role(item.provider)
        subject = self.subject(item.subject)
        name = self._type_name(item)
        return Words(
            f"核验数据 {item.id}{f'“{name.zh}”' if name else ''}({subject.zh},由{provider.zh}提供)",
            f"evidence {item.id}{f' “{name.en}”' if name else ''} ({subject.en}; answered by {provider.en})",
        )

    def _type_name(self, item: EvidenceItem) -> Text | None:
        try:
            return self.catalogue.evidence(item.type).name if self.catalogue else None
        except Invalid:
            return None

    def claim(self, item: EvidenceItem, claim: Claim) -> Words:
        """A claim of an item, with the name that the department's adapter gives it."""
        noun, said = NOUNS["Claim"], self._claim_name(item, claim)
        return Words(f"{noun.zh}{said.zh}", f"{noun.en} {said.en}")

    def _claim_name(self, item: EvidenceItem, claim: Claim) -> Words:
        try:
            name = self.catalogue.evidence(item.type).claim(claim.claim).name if self.catalogue else None
        except Invalid:
            name = None
        return _named(name, claim.key)

    def _claim_in_full(self, item: Any, claim: Claim) -> Words:
        return _with(self._claim_name(item, claim), self.described(claim, but=("claim", "name")))

    def role(self, role: str) -> Words:
        """A department role, with the department that plays it when that is known."""
        named = self.seating.named(role) if self.seating else None
        return Words(f"{named.zh}〔{role}〕", f"{named.en} [{role}]") if named else Words(f"〔{role}〕", f"[{role}]")

    def subject(self, role: str) -> Words:
        """A subject role."""
        return _label(role, (each for each in self.scenario.subjects if each.id == role))

    def question(self, name: str) -> Words:
        """A question, or one part of its answer."""
        question, _, part = name.partition(".")
        for each in self.scenario.questions:
            if each.id == question and part:
                said = (
                    VOCABULARY["part", part] if ("part", part) in VOCABULARY else _label(part, _at(each.fields, part))
                )
                return Words(f"{each.label.zh}:{said.zh}", f"{each.label.en}: {said.en}")
        return _label(name, _at(self.scenario.questions, name))

    def material(self, name: str) -> Words:
        """A material, by its name and id."""
        for each in self.scenario.materials:
            if each.id == name:
                return Words(f"{each.name.zh}〔{name}〕", f"{each.name.en} [{name}]")
        return Words(name, name)

    def input(self, name: str) -> Words:
        """What a rule reads, e.g. `company.entity_in_operation`, by its name and id."""
        said = self.input_name(name)
        return Words(f"“{said.zh}”〔{name}〕", f"“{said.en}” [{name}]") if said else Words(name, name)

    def input_name(self, name: str) -> Words | None:
        """What an input of rules is called; None for one without a name of its own."""
        kind, _, rest = name.partition(".")
        said = None
        if kind in ("q", "form"):
            said = self.question(rest)
        elif kind == "material":
            said = self._declared(rest)
        elif kind == "param":
            said = _label(rest, (each for each in self.scenario.parameters if each.id == rest))
        elif name == "case.day":
            said = Words("授权日", "day of the mandate")
        elif name == "case.evidence_verified":
            said = Words("核验数据通过校验", "evidence verified")
        elif kind == "derived":
            said = next((self._derived(each) for each in self.scenario.derived if each.id == rest), None)
        elif kind != "case":
            said = self._claimed(kind, rest)
        return said

    def _derived(self, derived: Derived) -> Words:
        """What is worked out, by what from."""
        named = [self.input_name(name) or Words(name, name) for name in derived.of]
        of, last = named[0], named[-1]
        table = self.input_name(f"param.{derived.parameter}") or of
        match derived.op:
            case "any_in":
                return Words(f"{of.zh}有列入{table.zh}的", f"{of.en}: anything on {table.en}")
            case "same_name":
                return Words(f"{of.zh}与{last.zh}相同", f"{of.en} is the same as {last.en}")
            case "valid_bank_account":
                return Words(f"{of.zh}:账号有效", f"{of.en}: valid number")
            case "step":
                return Words(f"按{of.zh}所得{table.zh}", f"{table.en}, by {of.en}")
            case "latest":
                return Words(f"最晚的{of.zh}", f"the latest {of.en}")

    def _declared(self, rest: str) -> Words:
        material, _, name = rest.partition(".")
        for each in self.scenario.materials:
            if each.id == material:
                entry = next((entry for entry in each.fields if entry.id == name), None)
                if entry is None:
                    return Words(f"已提交{each.name.zh}", f"{each.name.en} was brought")
                return Words(f"{each.name.zh}:{entry.label.zh}", f"{each.name.en}: {entry.label.en}")
        return Words(rest, rest)

    def _claimed(self, role: str, key: str) -> Words:
        subject = self.subject(role)
        found = next((each for each in self.scenario.evidence if each.subject == role and _claims(each, key)), None)
        if found is None or self.catalogue is None:
            return Words(f"{subject.zh}:{key}", f"{subject.en}: {key}")
        try:
            name = self.catalogue.evidence(found.type).claim(_claims(found, key)[0].claim).name
        except Invalid:
            return Words(f"{subject.zh}:{key}", f"{subject.en}: {key}")
        return Words(f"{subject.zh}:{name.zh}", f"{subject.en}: {name.en}")

    def alternatives(self, when: Sequence[Mapping[str, Any]], prefix: str = "") -> Words:
        """A condition, or when a row counts. `prefix` is what makes an input's name of a question's: `q.`."""
        said = [self._all_of(alternative, prefix) for alternative in when]
        if any(not alternative for alternative in when):
            return Words("任何情况", "always") if len(said) == 1 else _joined(said, Words(";或 ", "; or "))
        return _joined(said, Words(";或 ", "; or "))

    def _all_of(self, alternative: Mapping[str, Any], prefix: str) -> Words:
        parts = []
        for name, cell in alternative.items():
            of = self.input(f"{prefix}{name}")
            said = self._cell(f"{prefix}{name}", cell)
            parts.append(Words(f"{of.zh}{said.zh}", f"{of.en} {said.en}"))
        return _joined(parts, Words(" 且 ", " and ")) if parts else Words("任何情况", "always")

    def _cell(self, name: str, cell: Any) -> Words:
        if isinstance(cell, Compare):
            return _joined(
                [self._bound(name, operator, operand) for operator, operand in cell.operands()], Words("且", " and ")
            )
        if isinstance(cell, Mapping):
            return _joined(
                [self._bound(name, str(bound), limit) for bound, limit in cell.items()], Words("且", " and ")
            )
        if isinstance(cell, list | tuple):
            said = _joined([self.literal(name, item) for item in cell], Words("或", " or "))
            return Words(f"为{said.zh}", f"is {said.en}")
        said = self.literal(name, cell)
        return Words(f"为{said.zh}", f"is {said.en}")

    def _bound(self, name: str, bound: str, operand: Any) -> Words:
        if isinstance(operand, Reference):
            limit = self.input(operand.input)
            if operand.years:
                limit = Words(f"{limit.zh}{operand.years:+d}年", f"{limit.en} {operand.years:+d} years")
            elif operand.plus:
                limit = Words(f"{limit.zh}{operand.plus:+d}", f"{limit.en} {operand.plus:+d}")
        else:
            limit = self.literal(name, operand)
        return Words(f"{BOUNDS[bound].zh}{limit.zh}", f"{BOUNDS[bound].en} {limit.en}")

    def literal(self, name: str, value: Any) -> Words:
        """A value of an input, or what a cell compares it with."""
        if isinstance(value, bool):
            return STATES["true" if value else "false"]
        if isinstance(value, Decimal):
            return Words(number_text(value), number_text(value))
        if str(value) in STATES:
            return STATES[str(value)]
        kind, _, rest = name.partition(".")
        if kind in ("q", "form"):
            for question in self.scenario.questions:
                for option in question.options if question.id == rest else ():
                    if option.id == value:
                        return Words(f"“{option.label.zh}”", f"“{option.label.en}”")
        elif kind == "material":
            material, _, entry = rest.partition(".")
            for option in (
                option
                for each in _at(self.scenario.materials, material)
                for one in _at(each.fields, entry)
                for option in _at(one.options, value)
            ):
                return Words(f"“{option.label.zh}”", f"“{option.label.en}”")
        return Words(str(value), str(value))

    def value(self, part: BaseModel, name: str, value: Any) -> Words:
        """The value of a part's field."""
        if value is None or value == ():
            return NONE
        match type(part).__name__, name:
            case "Rule", "when":
                return self.alternatives(value)
            case "Push", "given":
                return self.alternatives(value)
            case _, "when" | "principal":
                return self.alternatives(value, "q.")
            case "EvidenceItem", "max_age":
                return duration(value)
            case _, "provider" | "approver":
                return self.role(value)
            case _, "approvers" | "countersign" | "providers" | "sealed_to":
                return _listed(self.role(each) for each in value)
            case _, "material" | "power_of_attorney":
                return self.material(value)
            case _, "holder":
                return self.subject(value)
            case "Material", "replaced_by":
                return _listed(self._by_item(each) for each in value)
            case "Claim", "params":
                return _listed(self._parameter(key, each) for key, each in value.items())
            case "EvidenceItem", "with_":
                return _listed(
                    Words(f"{k}={self.subject(v).zh}", f"{k}={self.subject(v).en}") for k, v in value.items()
                )
            case _, ("source" | "until") if not isinstance(part, EvidenceItem):
                return self.input(value)
            case "Derived", "of":
                return _listed(self.input(each) for each in value)
            case "EvidenceItem", "claims":
                return _listed(self._claim_in_full(part, each) for each in value)
            case _, known if isinstance(value, str) and (known, value) in VOCABULARY:
                return VOCABULARY[known, value]
        return self._plain(value)

    def _by_item(self, name: str) -> Words:
        return next((self._item(each) for each in self.scenario.evidence if each.id == name), Words(name, name))

    def _parameter(self, name: str, value: Any) -> Words:
        if isinstance(value, Mapping) and set(value) == {"parameter"}:
            said = self.input(f"param.{value['parameter']}")
            return Words(f"{name}=参数{said.zh}", f"{name} = the parameter {said.en}")
        if isinstance(value, Mapping) and set(value) == {"attribute"}:
            return Words(f"{name}=填报的 {value['attribute']}", f"{name} = as declared, {value['attribute']}")
        return Words(f"{name}={_json(value)}", f"{name} = {_json(value)}")

    def _plain(self, value: Any) -> Words:
        match value:
            case Text() | Act():
                return Words(f"“{value.zh}”", f"“{value.en}”")
            case Basis():
                kind, act = VOCABULARY["kind", value.kind], self._plain(value.act)
                return Words(f"{kind.zh}:{act.zh}", f"{kind.en}: {act.en}")
            case Term():
                return self._term(value)
            case DatedValue():
                return Words(f"{value.from_}起 {_json(value.value)}", f"{_json(value.value)} from {value.from_}")
            case Claim():
                return Words(value.key, value.key)
            case Option() | Entry() | CredentialField():
                return _with(_named(value.label, value.id), self.described(value))
            case BaseModel():
                return self.described(value)
            case tuple() if value and isinstance(value[0], BaseModel):
                return _joined([self._plain(each) for each in value], Words("; ", "; "))
            case bool():
                return STATES["true" if value else "false"]
            case date():
                return Words(value.isoformat(), value.isoformat())
        said = value if isinstance(value, str) else _json(value)
        return Words(said, said)

    def _term(self, term: Term) -> Words:
        unit = UNITS[term.unit]
        said = Words(f"{term.value} {unit.zh}", f"{term.value} {unit.en}")
        if term.value == 0:
            said = Words("即审即办", "at once")
        if any(term.when):
            when = self.alternatives(term.when, "q.")
            said = Words(f"{when.zh}时 {said.zh}", f"{said.en} when {when.en}")
        if term.note is not None:
            said = Words(f"{said.zh}({term.note.zh})", f"{said.en} ({term.note.en})")
        return said

    def described(self, part: BaseModel, *, but: Sequence[str] = ()) -> Words:
        """Everything that a part says, field by field; its name, what is as usual, and the fields `but` are left out."""
        parts = []
        for name, info in type(part).model_fields.items():
            value = getattr(part, name)
            usual = not info.is_required() and value == info.get_default(call_default_factory=True)
            if usual or name in ("id", "label", "format", *but):
                continue
            label, said = label_of(type(part).__name__, name), self.value(part, name, value)
            parts.append(Words(f"{label.zh} {said.zh}", f"{label.en} {said.en}"))
        return _joined(parts, Words(";", "; "))


def duration(seconds: int) -> Words:
    """A number of seconds in the largest unit that says it exactly."""
    units = ((86_400, "天", "day"), (3_600, "小时", "hour"), (60, "分钟", "minute"), (1, "秒", "second"))
    size, zh, en = next(unit for unit in units if seconds % unit[0] == 0)
    return Words(f"{seconds // size} {zh}", f"{seconds // size} {en}{'' if seconds == size else 's'}")


def _claims(item: EvidenceItem, key: str) -> list[Claim]:
    return [claim for claim in item.claims if claim.key == key]


def _called(noun: Words, name: Text | None, key: str) -> Words:
    said = _named(name, key)
    return Words(f"{noun.zh}{said.zh}", f"{noun.en} {said.en}")


def _named(name: Text | None, key: str) -> Words:
    return Words(f"“{name.zh}”〔{key}〕", f"“{name.en}” [{key}]") if name is not None else Words(f" {key}", key)


def _with(said: Words, more: Words) -> Words:
    return Words(f"{said.zh}({more.zh})", f"{said.en} ({more.en})") if more.zh else said


def _at(parts: Iterable[Any], name: str) -> Iterable[Any]:
    return (each for each in parts if each.id == name)


def _label(name: str, found: Iterable[Any]) -> Words:
    for each in found:
        return Words(each.label.zh, each.label.en)
    return Words(name, name)


def _joined(said: Sequence[Words], by: Words) -> Words:
    return Words(by.zh.join(each.zh for each in said), by.en.join(each.en for each in said))


def _listed(said: Iterable[Words]) -> Words:
    return _joined(list(said), Words("、", ", "))


def _json(value: Any) -> str:
    return orjson.dumps(value, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
