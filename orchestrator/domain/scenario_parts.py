"""The parts that a scenario is made of: subjects, questions, materials, evidence, parameters, terms, steps, result, pushes.

Each is a frozen value as written in a scenario file. `Text` fields are for people and do not count for the version.
Conditions (`when`) read the answers to questions that the orchestrator may see.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, StrictBool, StrictInt, field_validator

from orchestrator.domain.calendar import Unit
from orchestrator.domain.conditions import ALWAYS, Condition
from orchestrator.domain.decision_table import Row
from orchestrator.domain.texts import Part, Text

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=60)]
"""Of a subject role, question, field, claim or parameter: snake_case, since rules read it."""
Slug = Annotated[str, Field(pattern=r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$", max_length=60)]
"""Of a scenario, material, department role, step or push: kebab-case."""


def _json(value: Any) -> Any:
    """A value as canonical JSON holds it: decimals as their text."""
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): _json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_json(item) for item in value]
    return value


Json = Annotated[Any, BeforeValidator(_json)]
Number = Annotated[StrictInt | Annotated[str, Field(pattern=r"^-?[0-9]+(\.[0-9]+)?$")], BeforeValidator(_json)]
"""A whole number, or an exact decimal as a string."""

FieldType = Literal["boolean", "enum", "decimal", "integer", "date", "text", "money"]
_DURATION = re.compile(r"([1-9][0-9]*)(s|m|h|d)")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


class Act(Part):
    """The act that a lawful basis rests on. It decides what may be asked, so it is no mere text."""

    zh: str = Field(min_length=1)
    en: str = Field(min_length=1)


class Option(Part):
    """One choice of an enum."""

    id: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$", max_length=60)
    label: Text


class Entry(Part):
    """A value that a person gives: of a list, a material or a subject."""

    id: Name
    type: FieldType
    label: Text
    required: StrictBool = True
    options: tuple[Option, ...] = ()
    min: Number | None = None
    max: Number | None = None


class Attribute(Entry):
    """What is declared about a subject and sealed to the providers with it."""

    from_question: Name | None = None
    """The question whose answer this is, so that nobody is asked twice."""


class Question(Part):
    """A question to the applicant."""

    id: Name
    type: Literal["boolean", "enum", "decimal", "integer", "date", "text", "money", "list", "bank_account"]
    label: Text
    help: Text | None = None
    sees: Literal["orchestrator", "approver"] = "orchestrator"
    """`orchestrator`: part of the situation, steers the case. `approver`: part of the form, sealed to the approvers."""
    when: Condition = ALWAYS
    required: StrictBool = True
    options: tuple[Option, ...] = ()
    min: Number | None = None
    max: Number | None = None
    fields: tuple[Entry, ...] = ()
    """Of a list: what each of its records holds; a list without fields is one of texts."""


class Subject(Part):
    """Whom or what questions are about, by role."""

    id: Name
    kind: Literal["person", "entity", "premises", "contract", "laboratory", "other"]
    id_type: Annotated[
        tuple[str, ...],
        BeforeValidator(lambda value: [value] if isinstance(value, str) else value),
        Field(min_length=1),
    ]
    """Kinds of identifier that it may have, as the catalogue names them: citizen, uscc, title, unit, contract, …"""
    label: Text
    when: Condition = ALWAYS
    many: StrictBool = False
    principal: Annotated[Condition | None, BeforeValidator(lambda value: {} if value is True else value)] = None
    """When this role is the person who signed in; exactly one role is, in every situation."""
    consents: StrictBool = False
    """Everybody in this role signs in and consents before the mandate is issued."""
    attributes: tuple[Attribute, ...] = ()


class Material(Part):
    """A document that the applicant would have to bring."""

    id: Slug
    name: Text
    when: Condition = ALWAYS
    replaced_by: tuple[str, ...] = ()
    """Evidence items that stand in for it: all of those that are asked in the situation."""
    given_by_request: StrictBool = False
    """Comes up only when a rule returns the case for it."""
    answered_by: Name | None = None
    """The question of the form whose answer this is; no document is handed in."""
    fields: tuple[Entry, ...] = ()
    """What is declared with it; rules read it as `material.<id>.<field>`."""


class Basis(Part):
    """The lawful basis for asking."""

    kind: Literal["statute", "consent", "public"]
    act: Act


class Claim(Part):
    """One fact that is asked."""

    claim: Name
    params: dict[str, Json] = Field(default_factory=dict)
    """Literals, `{parameter: id}` (the value of that day) or `{attribute: id}` (declared of the subject)."""
    name: Annotated[Name | None, Field(alias="as")] = None
    """The name under which rules read it, when it is not the claim's own."""
    sealed_to: tuple[Slug, ...] = ()
    """Approver roles that alone may read it; empty: disclosed to the orchestrator because it steers the case."""

    @property
    def key(self) -> str:
        """The name under which rules and answers know it."""
        return self.name or self.claim


def _claim(value: Any) -> Any:
    return {"claim": value} if isinstance(value, str) else value


def _seconds(value: Any) -> Any:
    if isinstance(value, str):
        match = _DURATION.fullmatch(value)
        if match is None:
            raise ValueError("时长写作 10m、24h、30d / write it as 10m, 24h or 30d")
        return int(match[1]) * _SECONDS[match[2]]
    return value


class EvidenceItem(Part):
    """One question to one department about one subject role: an evidence type with the claims that this scenario needs."""

    id: str = Field(pattern=r"^E[0-9]{2,3}\.[a-z][a-z0-9_]*(\.[a-z][a-z0-9-]*)?$")
    """`<evidence type>.<subject role>[.variant]`."""
    provider: Slug
    """Department role that answers, or `identity` for what the identity seat states in the mandate itself."""
    purpose: Literal["decide", "push"] = "decide"
    basis: Basis
    max_age: Annotated[StrictInt, BeforeValidator(_seconds), Field(gt=0)]
    """Seconds that an answer may be old when the case is sealed; written `24h`, `30d`, `10m` or as a number."""
    recheck: StrictBool = False
    """Ask again just before deciding."""
    on_recall: Literal["review", "suspend"] = "review"
    """What happens to the credential when the provider takes back an answer that its approval rests on. The approvers look
    at it again in any case; `suspend`: it does not count meanwhile."""
    when: Condition = ALWAYS
    with_: dict[str, Name] = Field(default_factory=dict, alias="with")
    """Other subject roles that a predicate needs, by slot."""
    source: Literal["gateway", "mandate"] = "gateway"
    claims: tuple[Annotated[Claim, BeforeValidator(_claim)], ...] = Field(min_length=1)

    @property
    def type(self) -> str:
        """Evidence type, e.g. `E05`."""
        return self.id.split(".")[0]

    @property
    def subject(self) -> str:
        """Subject role that it is about."""
        return self.id.split(".")[1]


class DatedValue(Part):
    """A parameter's value from a day on."""

    from_: date = Field(alias="from")
    value: Json
    """A number, a text, a list of texts, or a table of [from, value] rows."""


class Parameter(Part):
    """A number, list or table that changes with time: never a constant in a rule."""

    id: Name
    label: Text
    mark: Literal["source", "law", "unsure", "ours"]
    """Where it comes from; `unsure` is never shown to people as fact."""
    values: tuple[DatedValue, ...] = Field(min_length=1)


class Derived(Part):
    """An input that an approver's gateway computes from others, by a fixed operation (see `rule_inputs`)."""

    id: Name
    op: Literal["latest", "any_in", "same_name", "step", "valid_bank_account"]
    of: tuple[str, ...] = Field(min_length=1, max_length=2)
    parameter: Name | None = None


class Rule(Row):
    """A row of a decision table with its reason."""

    reason: Text


class Term(Part):
    """A number of days, where a condition holds. 0: decided at once, while the applicant waits."""

    when: Condition = ALWAYS
    value: Annotated[StrictInt, Field(ge=0, le=3660)]
    unit: Unit
    note: Text | None = None


class Deadlines(Part):
    """How long a decision may take: by statute, before the chain, and as promised now. The first term that holds counts."""

    statutory: tuple[Term, ...] = ()
    before: tuple[Term, ...] = Field(min_length=1)
    after: tuple[Term, ...] = Field(min_length=1)
    correction: tuple[Term, ...] = Field(default=(Term(value=10, unit="working_day"),), min_length=1)
    """How long a department has for its reply when an applicant contests a claim of its answer."""


class Step(Part):
    """Something that is done in person, before the chain and now. Trips are counted from these."""

    id: Slug
    label: Text
    when: Condition = ALWAYS
    before: Literal["always", "sometimes", "never"]
    after: Literal["always", "sometimes", "never"]


class Agent(Part):
    """Whether somebody else may act for the applicant, and who."""

    allowed: StrictBool
    note: Text
    power_of_attorney: Slug | None = None
    """The material by which an agent proves the authority."""
    when: Condition | None = None
    """When an agent acts, where no power of attorney is asked for; else it is when that material is due."""


class CredentialField(Part):
    """One field of the result, and where its value comes from."""

    id: Name
    label: Text
    source: str
    """`<role>.<claim>`, `form.…`, `q.…`, `param.…`, `derived.…`, `case.day`, `issue.number`, `issue.date` or `issue.issuer`."""


class Validity(Part):
    """Until when a result holds. Nothing given: without term."""

    years: StrictInt | None = None
    until: str | None = None
    """A date input, e.g. `works.valid_until`."""
    note: Text | None = None


class Result(Part):
    """The credential that an approved case ends in (GB/T 36903)."""

    vct: str = Field(pattern=r"^urn:lianban:credential:[a-z0-9:-]+$")
    name: Text
    type_code: str = Field(pattern=r"^[0-9]{3}$")
    """Last three digits of the licence type code; the first eighteen are the issuer's unified social credit code."""
    holder: Name
    """Subject role that holds it."""
    number: str = Field(min_length=1)
    """Format of its number: `{year}` and `{serial:0n}` are filled in."""
    fields: tuple[CredentialField, ...] = Field(min_length=1)
    validity: Validity = Validity()

    @field_validator("number")
    @classmethod
    def _number(cls, value: str) -> str:
        try:
            value.format(year=2020, serial=1)
        except (KeyError, IndexError, ValueError):
            raise ValueError(
                "编号格式只能含 {year} 和 {serial:06} / a number is text with {year} and {serial:06}"
            ) from None
        return value


def _tri(value: Any) -> Any:
    """A condition over claims, in which predicates are written as booleans and compared as texts."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return {key: _tri(item) for key, item in value.items()}
    return [_tri(item) for item in value] if isinstance(value, list | tuple) else value


class Push(Part):
    """What an approved case opens for its applicant, or tells them, next."""

    id: Slug
    when: Condition = ALWAYS
    given: Annotated[Condition, BeforeValidator(_tri), Field(alias="if")] = ALWAYS
    """Over claims as `<role>.<claim>`: "true", "false" or "unknown"; asked under purpose `push`, or open when deciding."""
    target: Slug | None = None
    """Scenario that it opens."""
    message: Text
    prefill: dict[Name, Annotated[str, Field(pattern=r"^(q\.)?[a-z][a-z0-9_]*$")]] = Field(default_factory=dict)
    """What the target starts with. `question: q.<question>`: the answer to a question of this case about the situation.
    `role: <role>`: the target's role is the same person or thing as that role of this case; who it is stays sealed."""
