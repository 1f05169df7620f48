"""Subjects as a person enters them: one field per identifier, name and declared attribute, each fault naming its field.

Fields are called `<role>.<index>.id`, `….name` and `….attributes.<attribute>`. The principal's own role is
filled from the account, and an attribute that repeats an answer is filled from the situation; neither can be overwritten.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from orchestrator.domain.errors import Invalid
from orchestrator.domain.identifiers import citizen_number_problem, uscc_problem
from orchestrator.domain.scenario_parts import Attribute
from orchestrator.domain.situations import plain_situation, read_value
from orchestrator.identity.flow import CoConsent, Entered, Person
from orchestrator.identity.needs import Role

MAX_SUBJECTS: Final = 20
"""Subjects of one role that a person may enter."""

ID_LABELS: Final[dict[str, dict[str, str]]] = {
    "citizen": {"zh": "公民身份号码", "en": "citizen number"},
    "uscc": {"zh": "统一社会信用代码", "en": "unified social credit code"},
    "title": {"zh": "不动产权证书号", "en": "number of the title certificate"},
    "unit": {"zh": "不动产单元号", "en": "real-estate unit number"},
    "contract": {"zh": "合同编号", "en": "contract number"},
    "name": {"zh": "名称", "en": "name"},
    "laboratory": {"zh": "检测机构资质证书编号", "en": "number of the laboratory's certificate"},
}
"""The identifier types of the catalogue, as the form calls them."""

NAMED: Final = frozenset({"citizen", "uscc"})
"""Identifier types whose subjects have a name that departments compare."""

_DOCUMENTS: Final = {"citizen": "居民身份证 / the id card", "uscc": "营业执照 / the business licence"}
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_OTHER_ID: Final = re.compile(r"[^\s\x00-\x1f\x7f](.{0,98}[^\s\x00-\x1f\x7f])?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entries:
    """What was entered: the subjects if all of it is right, and every fault if not."""

    subjects: dict[str, tuple[Entered, ...]]
    faults: tuple[Invalid, ...]


def read_entries(roles: tuple[Role, ...], form: Mapping[str, str], person: Person) -> Entries:
    """The subjects of `roles` in a form. Faults carry field and remedy; `subjects` is complete only without faults."""
    subjects: dict[str, tuple[Entered, ...]] = {}
    faults: list[Invalid] = []
    for role in roles:
        entered = []
        for index in _rows(role, form):
            try:
                entered.append(_read(role, index, form, person, faults))
            except Invalid as fault:
                faults.append(fault)
        ids = [each.id for each in entered]
        for index, identifier in enumerate(ids):
            if identifier in ids[:index]:
                faults.append(_fault(f"{role.subject.id}.{index}.id", "重复填写", "entered twice", "请删除重复项"))
        subjects[role.subject.id] = tuple(entered)
    return Entries(subjects=subjects, faults=tuple(faults))


def co_consents(
    roles: tuple[Role, ...], subjects: Mapping[str, tuple[Entered, ...]], person: Person
) -> tuple[CoConsent, ...]:
    """Who else has to consent: everybody in a consenting role except the person who signs."""
    return tuple(
        CoConsent(role=role.subject.id, index=index)
        for role in roles
        if role.subject.consents
        for index, each in enumerate(subjects[role.subject.id])
        if each.id != person.number
    )


def rows_shown(role: Role, form: Mapping[str, str]) -> int:
    """How many rows the form of a role shows: what was entered, and for a role of many one more that is empty."""
    if not role.subject.many:
        return 1
    return min(MAX_SUBJECTS, max(_rows(role, form)) + 2)


def _rows(role: Role, form: Mapping[str, str]) -> list[int]:
    """The rows that count: the principal's own, and every one in which anything is entered; at least the first."""
    if not role.subject.many:
        return [0]
    filled = [index for index in range(MAX_SUBJECTS) if _filled(role, index, form)]
    return sorted({0, *filled}) if role.principal else filled or [0]


def _filled(role: Role, index: int, form: Mapping[str, str]) -> bool:
    prefix = f"{role.subject.id}.{index}."
    return any(form.get(prefix + name, "").strip() for name in ("id", "name"))


def _read(role: Role, index: int, form: Mapping[str, str], person: Person, faults: list[Invalid]) -> Entered:
    prefix = f"{role.subject.id}.{index}."
    if role.principal and index == 0:
        id_type, identifier, name = "citizen", person.number, person.name
    else:
        id_type, identifier = _identifier(role.subject.id_type, form, prefix)
        name = _name(id_type, form.get(prefix + "name", ""), prefix + "name")
    attributes: dict[str, Any] = {}
    for attribute in role.subject.attributes:
        if attribute.id in role.given:
            attributes[attribute.id] = role.given[attribute.id]
            continue
        field = f"{prefix}attributes.{attribute.id}"
        try:
            value = _attribute(attribute, form.get(field, ""), field)
        except Invalid as fault:
            faults.append(fault)
        else:
            if value is not None:
                attributes[attribute.id] = value
    return Entered(type=id_type, id=identifier, name=name, attributes=attributes)


def _identifier(id_types: tuple[str, ...], form: Mapping[str, str], prefix: str) -> tuple[str, str]:
    """Kind and normal form of an identifier: of the kind that was chosen, else of the first that it fits."""
    field = prefix + "id"
    value = unicodedata.normalize("NFKC", form.get(field, "")).strip()
    label = id_label(id_types)
    if not value:
        raise _fault(field, f"请填写{label['zh']}", f"Enter the {label['en']}", "必填 / required")
    chosen = form.get(prefix + "type", "")
    if chosen and chosen not in id_types:
        raise _fault(prefix + "type", "证件类型不可选", "This kind is no choice here", " / ".join(id_types))
    problems: list[tuple[str, str]] = []
    for id_type in (chosen,) if chosen else id_types:
        normal = value.upper() if id_type in NAMED else value
        problem = _problem(id_type, normal)
        if problem is None:
            return id_type, normal
        problems.append((id_type, problem))
    id_type, problem = problems[0]
    detail, _, detail_en = problem.partition(" / ")
    raise _fault(field, detail, detail_en, f"请对照{_DOCUMENTS.get(id_type, '证件 / the document')}")


def _problem(id_type: str, value: str) -> str | None:
    match id_type:
        case "citizen":
            return citizen_number_problem(value)
        case "uscc":
            return uscc_problem(value)
        case _:
            label = id_label((id_type,))
            fits = _OTHER_ID.fullmatch(value)
            return None if fits else f"{label['zh']}格式不正确 / This is not a valid {label['en']}"


def id_label(id_types: tuple[str, ...]) -> dict[str, str]:
    """What the form calls an identifier of these kinds."""
    labels = [ID_LABELS.get(id_type, {"zh": "编号", "en": "identifier"}) for id_type in id_types]
    return {language: " / ".join(label[language] for label in labels) for language in ("zh", "en")}


def _name(id_type: str, text: str, field: str) -> str:
    value = text.strip()
    if (not value and id_type in NAMED) or len(value) > 100 or _CONTROL.search(value):
        raise _fault(
            field,
            "请填写姓名或名称",
            "Enter the name",
            "与证件一致,1–100 个字符 / as in the document, 1 to 100 characters",
        )
    return value


def _attribute(attribute: Attribute, text: str, field: str) -> Any:
    """The value of a declared attribute as JSON; None when it is empty and need not be given. Raises Invalid."""
    value: Any = text.strip()
    if not value:
        if attribute.required:
            raise _fault(field, f"请填写{attribute.label.zh}", f"Enter: {attribute.label.en}", "必填 / required")
        return None
    if attribute.type == "boolean":
        value = {"true": True, "false": False}.get(value, value)
    elif attribute.type == "integer" and re.fullmatch(r"-?[0-9]{1,15}", value):
        value = int(value)
    elif attribute.type == "text" and _CONTROL.search(value):
        raise _fault(
            field, f"{attribute.label.zh}填写不正确", f"Not accepted: {attribute.label.en}", "一行文字 / one line"
        )
    return plain_situation({field: read_value(field, attribute, value)})[field]


def _fault(field: str, detail: str, detail_en: str, remedy: str) -> Invalid:
    return Invalid(field=field, detail=detail, detail_en=detail_en, remedy=remedy)
