"""The catalogue: which evidence types there are, who gives them, and which claims each can make.

It is read from the department documents (`scenarios/departments/*.yaml`, described in `docs/adapter.md`). The parts
that only a department's own gateway needs (tables, SQL) are left aside here and read by `gateway/adapter.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from orchestrator.domain.errors import Invalid
from orchestrator.domain.shape import explain, yaml_remedy
from orchestrator.domain.texts import Text

SubjectType = Literal["citizen", "uscc", "title", "unit", "contract", "laboratory", "name"]
"""What identifies a subject: a citizen number (GB 11643), a unified social credit code (GB 32100), the number of a
title to real estate, a unit code (GB/T 37346), an online contract's number, a laboratory's number."""

ClaimKind = Literal["predicate", "text", "date", "code", "integer", "decimal"]
"""A predicate is answered `true`, `false` or `"unknown"`; any other kind with a JSON value or null. Dates are ISO 8601
strings, decimals strings that keep their digits."""

ParameterKind = Literal["text", "texts", "integer", "decimal"]

_Model = TypeVar("_Model", bound=BaseModel)


class DepartmentProfile(BaseModel):
    """Who a department is: what goes into its seat's keyset document."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(pattern=r"^[a-z][a-z0-9-]{1,40}$")
    seat: int = Field(ge=0, le=255)
    name: Text
    former_name: Text | None = None
    """The name before the last reform: credentials of that time carry it."""
    level: Literal["national", "city", "district", "street"]
    parent: str | None
    """Id of the body above; it need not be a member itself."""
    vertical: bool
    """Led by its ministry, not by the government of its region."""
    uscc: str = Field(min_length=18, max_length=18)
    region: str = Field(pattern=r"^\d{6}$")
    """GB/T 2260."""
    hosted_by: str
    """Id of the department that runs its gateway."""


class ClaimType(BaseModel):
    """One fact or predicate that an evidence type can tell."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    id: str
    name: Text
    type: ClaimKind
    params: Mapping[str, ParameterKind] = Field(default_factory=dict)
    """Parameters that a scenario must give."""
    optional: Mapping[str, ParameterKind] = Field(default_factory=dict)
    """Parameters that a scenario may give."""
    slots: Mapping[str, tuple[SubjectType, ...]] = Field(default_factory=dict, alias="with")
    """Other subjects the claim compares with, by slot, and the id types that fit. A slot takes one or several."""
    values: tuple[str, ...] = ()
    """For a code: its possible values, when they are few and fixed."""


class EvidenceType(BaseModel):
    """A kind of signed answer: one department, one kind of look-up, several claims."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: str = Field(pattern=r"^E\d{2,3}$")
    slug: str = Field(pattern=r"^[a-z][a-z0-9-]*$")
    name: Text
    department: str
    """Id of the department that answers."""
    source: Literal["record", "mandate"] = "record"
    """`mandate`: nobody is asked, the identity seat writes the result into the mandate (face check)."""
    records: tuple[str, ...] = ()
    subjects: tuple[SubjectType, ...] = Field(min_length=1)
    attributes: Mapping[str, Text] = Field(default_factory=dict)
    """Attributes of the subject that the look-up reads, as declared in the mandate."""
    absence: Literal["unknown", "answer"]
    """What no row means: `unknown` (the material is asked for), or itself the answer (not on a list, never married)."""
    claims: Mapping[str, ClaimType] = Field(min_length=1)

    def claim(self, claim_id: str) -> ClaimType:
        """The claim of that id; `Invalid` names the claims there are."""
        try:
            return self.claims[claim_id]
        except KeyError:
            known = "、".join(self.claims)
            raise Invalid(
                field=f"{self.id}.{claim_id}",
                code="unknown-claim",
                detail=f"{self.id} 没有核验项 {claim_id}",
                detail_en=f"{self.id} has no claim {claim_id}",
                remedy=f"可用 / available: {known}",
            ) from None


class Catalogue(BaseModel):
    """All departments and evidence types together."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    departments: Mapping[str, DepartmentProfile]
    evidence_types: Mapping[str, EvidenceType]

    @classmethod
    def from_documents(cls, documents: Iterable[Mapping[str, Any]]) -> Catalogue:
        """Build from parsed department documents; a document with `extends` adds to another one's department.

        Raises `Invalid` for a malformed document, a department, seat or evidence id given twice, `extends` of nobody.
        """
        documents = list(documents)
        departments: dict[str, DepartmentProfile] = {}
        for document in documents:
            if "department" in document:
                profile = _parse(DepartmentProfile, document["department"], "department")
                if profile.id in departments or any(profile.seat == d.seat for d in departments.values()):
                    raise _twice("department", f"{profile.id} ({profile.seat})")
                departments[profile.id] = profile
        evidence_types: dict[str, EvidenceType] = {}
        for document in documents:
            owner = owner_of(document)
            if owner not in departments:
                raise Invalid(
                    field="extends",
                    code="unknown-department",
                    detail=f"没有部门 {owner}",
                    detail_en=f"There is no department {owner}",
                    remedy="/ ".join(sorted(departments)),
                )
            for evidence_id, raw in (document.get("evidence") or {}).items():
                if evidence_id in evidence_types:
                    raise _twice("evidence", evidence_id)
                evidence_types[evidence_id] = _parse(
                    EvidenceType, with_ids(evidence_id, owner, raw), f"{owner}.evidence.{evidence_id}"
                )
        return cls(departments=departments, evidence_types=evidence_types)

    @classmethod
    def from_texts(cls, texts: Iterable[str]) -> Catalogue:
        """Build from the YAML texts of department documents."""
        return cls.from_documents(parse_document(text) for text in texts)

    def evidence(self, evidence_id: str) -> EvidenceType:
        """The evidence type of that id; `Invalid` if there is none."""
        try:
            return self.evidence_types[evidence_id]
        except KeyError:
            raise Invalid(
                field=evidence_id,
                code="unknown-evidence",
                detail=f"目录中没有核验数据 {evidence_id}",
                detail_en=f"The catalogue has no evidence {evidence_id}",
                remedy="check、plan 以 --department 补充部门文件,publish、bind 之前先 lianban seed --department,见 docs/adapter.md"
                " / give check and plan a further --department file; before publish, lianban seed --department",
            ) from None

    def department(self, department_id: str) -> DepartmentProfile:
        """The department of that id; `Invalid` if there is none."""
        try:
            return self.departments[department_id]
        except KeyError:
            raise Invalid(
                field=department_id,
                code="unknown-department",
                detail=f"没有部门 {department_id}",
                detail_en=f"There is no department {department_id}",
                remedy="/ ".join(sorted(self.departments)),
            ) from None


def parse_document(text: str) -> dict[str, Any]:
    """Read one department document; `Invalid` names the line of a YAML fault."""
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f"line {mark.line + 1}" if mark is not None else "document"
        raise Invalid(
            field=line,
            code="not-yaml",
            detail="部门文件不是有效的 YAML",
            detail_en=f"The department document is not valid YAML: {getattr(error, 'problem', error)}",
            remedy=yaml_remedy(str(getattr(error, "problem", error))),
        ) from error
    if not isinstance(document, dict) or ("department" in document) == ("extends" in document):
        raise Invalid(
            field="department",
            code="no-department",
            detail="部门文件须有 department 或 extends 之一",
            detail_en="A department document has either `department` or `extends`",
            remedy="见 docs/adapter.md / see docs/adapter.md",
        )
    return document


def owner_of(document: Mapping[str, Any]) -> str:
    """Id of the department that a document describes or extends. Raises Invalid when it says neither."""
    department = document.get("department")
    owner = department.get("id") if isinstance(department, Mapping) else document.get("extends")
    if not owner:
        raise Invalid(
            field="department.id",
            detail="没有写明是哪个部门",
            detail_en="the document names no department",
            remedy="写 department.id,或以 extends 写明补充哪个部门 / give department.id, or extends with the department's id",
        )
    return str(owner)


def with_ids(evidence_id: str, department: str, raw: Mapping[str, Any]) -> dict[str, Any]:
    """An evidence entry of a document with the ids that its keys stand for."""
    claims = {name: {"id": name, **claim} for name, claim in (raw.get("claims") or {}).items()}
    return {**raw, "id": evidence_id, "department": department, "claims": claims}


def located(error: Invalid, files: Mapping[str, str]) -> Invalid:
    """The same fault with file and line before its field, as far as one of the files (name to text) has the field."""
    steps = error.field.split(".")[1:]
    found: tuple[int, str] | None = None
    for name, text in files.items():
        depth, line = _depth(text, steps)
        if depth > 1 and (found is None or depth > found[0]):
            found = (depth, f"{name}:{line} ")
    return Invalid(
        field=(found[1] if found else "") + error.field,
        code=error.code,
        detail=error.detail,
        detail_en=error.detail_en,
        remedy=error.remedy,
    )


def _depth(text: str, steps: Sequence[str]) -> tuple[int, int]:
    """How many of the steps a YAML document has, and the line of the last of them."""
    try:
        node: Any = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError:
        return 0, 0
    line = 1
    for depth, step in enumerate(steps):
        pairs = node.value if isinstance(node, yaml.MappingNode) else ()
        following = next(((key, value) for key, value in pairs if key.value == step), None)
        if following is None:
            return depth, line
        line, node = following[0].start_mark.line + 1, following[1]
    return len(steps), line


def _parse(model: type[_Model], raw: Any, where: str) -> _Model:
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        first = error.errors()[0]
        zh, en, remedy = explain(first, guide="docs/adapter.md")
        raise Invalid(
            field=".".join((where, *(str(part) for part in first["loc"]))),
            code="bad-department",
            detail=f"部门文件有误:{zh}",
            detail_en=f"The department file is wrong here: {en}",
            remedy=remedy,
        ) from error


def _twice(kind: str, what: str) -> Invalid:
    return Invalid(
        field=kind,
        code="given-twice",
        detail=f"{what} 重复定义",
        detail_en=f"{what} is defined twice",
        remedy="改用别的编号 / choose another id",
    )
