"""A department's adapter: its tables, and how each claim of its evidence types is computed from them, all as data.

The files are described in `docs/adapter.md`. SQL in them runs under a role that can only read; this module checks the
shape, refuses words that do more than read, and writes out the two shorthands (`$name(…)`, `$date(…)`). `Records.check`
has the database itself check every statement.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from orchestrator.domain.catalogue import (
    ClaimType,
    DepartmentProfile,
    EvidenceType,
    located,
    owner_of,
    parse_document,
    with_ids,
)
from orchestrator.domain.errors import Invalid
from orchestrator.domain.names import DOTS, SPACES
from orchestrator.domain.shape import explain
from orchestrator.gateway.layout import Record, Table, check_references
from orchestrator.gateway.reads import what_writes

_GUIDE = "docs/adapter.md"
_SHORTHAND = re.compile(r"\$(name|date)\(([a-z_][a-z0-9_]*(?:\.[a-z_][a-z0-9_]*)?)\)")


class SqlClaim(ClaimType):
    """A claim with the SQL expression that computes it; no SQL when the identity seat states it in the mandate."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    sql: str = ""


class SqlEvidence(EvidenceType):
    """An evidence type with the query that finds at most one record row for each subject."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    record: str = ""
    claims: Mapping[str, SqlClaim] = Field(min_length=1)

    @model_validator(mode="after")
    def _has_its_sql(self) -> Self:
        asked = self.source == "record"
        parts = {"record": self.record, **{f"claims.{name}": claim.sql for name, claim in self.claims.items()}}
        for place, text in parts.items():
            if asked != bool(text.strip()):
                raise ValueError(
                    f"{place}:缺少 SQL / {place}: SQL is missing"
                    if asked
                    else f"{place}:不向部门询问,不得有 SQL / {place}: SQL is given, but nobody is asked"
                )
            if wrong := what_writes(text):
                raise ValueError(
                    f"{place}:只能是一个查询表达式,不能有 {wrong} / {place}: one expression that reads, without {wrong}"
                )
        return self


class Adapter(BaseModel):
    """One department with all its records and evidence types."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    department: DepartmentProfile
    records: Mapping[str, Record] = Field(default_factory=dict)
    evidence: Mapping[str, SqlEvidence] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _records_exist(self) -> Self:
        tables = [table for record in self.records.values() for table in record.tables]
        if len(tables) != len(set(tables)):
            raise ValueError("一张表只属于一个记录 / a table belongs to one record")
        for evidence in self.evidence.values():
            for record in evidence.records:
                if record not in self.records:
                    raise ValueError(f"{evidence.id}:没有记录 {record} / {evidence.id}: there is no record {record}")
            check_references({name: table for name, (_, table) in self.fetched(evidence).items()})
        return self

    def tables(self) -> dict[str, Table]:
        """The tables in the department's own PostgreSQL, by name."""
        return {
            name: table
            for record in self.records.values()
            if record.source is None
            for name, table in record.tables.items()
        }

    def fetched(self, evidence: EvidenceType) -> dict[str, tuple[str, Table]]:
        """The tables that an evidence type has in other sources: name of the source and table, by name of the table."""
        records = [self.records[name] for name in dict.fromkeys(evidence.records)]
        return {
            name: (record.source, table)
            for record in records
            if record.source is not None
            for name, table in record.tables.items()
        }

    def sources(self) -> set[str]:
        """Names of the sources that some record needs."""
        return {record.source for record in self.records.values() if record.source is not None}


def read_adapters(texts: Iterable[str]) -> dict[str, Adapter]:
    """The adapters of all departments that the documents describe, by department id.

    A document with `extends: <department id>` adds records and evidence to that department's own document. A department's
    own document may come again as it is: where operator and department share an installation, it lies in the key folder
    for the gateway and in the `adapters` folder for the catalogue. Raises `Invalid` for whatever is malformed, given twice
    with differences, or extends nobody.
    """
    documents: list[dict[str, Any]] = []
    for text in texts:
        document = parse_document(text)
        if "extends" in document or document not in documents:
            documents.append(document)
    merged: dict[str, dict[str, Any]] = {}
    for document in sorted(documents, key=lambda d: "extends" in d):
        owner = owner_of(document)
        if "department" in document:
            if owner in merged:
                raise _wrong(
                    f"departments.{owner}",
                    "两份部门文件描述同一部门且内容不同 / two files describe this department, differently",
                    "密钥目录与 adapters 中的两份须一致;增补的一份以 extends 开头"
                    " / keep those in the key folder and in adapters alike; an addition begins with extends",
                )
            merged[owner] = {"department": document["department"], "records": {}, "evidence": {}}
        if owner not in merged:
            raise Invalid(
                field="extends",
                code="unknown-department",
                detail=f"没有部门 {owner}",
                detail_en=f"There is no department {owner}",
                remedy="先给出该部门的文件 / give that department's own document too",
            )
        for part in ("records", "evidence"):
            for name, value in (document.get(part) or {}).items():
                entry = with_ids(name, owner, value) if part == "evidence" else value
                _add(merged[owner][part], name, entry, f"{owner}.{part}")
        unknown = set(document) - {"department", "extends", "records", "evidence"}
        if unknown:
            raise _wrong(f"{owner}.{min(unknown)}", "未知字段 / there is no such field")
    evidence_ids = [name for entry in merged.values() for name in entry["evidence"]]
    for name in evidence_ids:
        if evidence_ids.count(name) > 1:
            raise _wrong(f"evidence.{name}", "两个部门使用同一编号 / two departments give this evidence")
    return {owner: _validated(entry, owner) for owner, entry in merged.items()}


def load_adapters(paths: Sequence[Path]) -> dict[str, Adapter]:
    """The adapters of the YAML files given, and of those in the folders given. To reload, read again."""
    files = [file for path in paths for file in (sorted(path.glob("*.yaml")) if path.is_dir() else [path])]
    texts = {file: file.read_text(encoding="utf-8") for file in files}
    try:
        return read_adapters(texts.values())
    except Invalid as error:
        # The last first: an addition is the likelier one to be wrong.
        raise located(error, {file.name: texts[file] for file in reversed(files)}) from error


def expand(sql: str) -> str:
    """Adapter SQL with its shorthands written out, ready for psycopg.

    `$name(column)` is the column's text as `plain_name` has it; `$date(column)` reads YYYYMMDD and is null for
    whatever is no date, so that one broken row cannot fail a batch.
    """
    return _SHORTHAND.sub(_write_out, sql).replace("%", "%%")


def _write_out(match: re.Match[str]) -> str:
    kind: str = match[1]
    column = match[2]
    if kind == "date":
        # One CASE inside the other: a cast is only tried on what cannot fail it, and February ends when it ends.
        return (
            f"(case when {column} ~ '^[12][0-9]{{3}}(0[1-9]|1[0-2])(0[1-9]|[12][0-9]|3[01])$' then"
            f" case when substr({column}, 7, 2)::int <= extract(day from"
            f" (substr({column}, 1, 6) || '01')::date + interval '1 month - 1 day') then {column}::date end end)"
        )
    spaces = "".join(f"\\{ord(c):04X}" for c in SPACES)
    return f"translate(normalize({column}, NFKC), U&'{DOTS}{spaces}', '{'·' * len(DOTS)}')"


def _add(into: dict[str, Any], name: str, value: Any, where: str) -> None:
    if name in into:
        raise _wrong(f"{where}.{name}", "重复定义 / defined twice")
    into[name] = value


def _validated(entry: Mapping[str, Any], owner: str) -> Adapter:
    try:
        return Adapter.model_validate(entry)
    except ValidationError as error:
        first = error.errors()[0]
        zh, en, remedy = explain(first, guide=_GUIDE)
        raise _wrong(".".join((owner, *(str(part) for part in first["loc"]))), f"{zh} / {en}", remedy) from error


def _wrong(field: str, message: str, remedy: str = _GUIDE) -> Invalid:
    zh, _, en = message.partition(" / ")
    return Invalid(
        field=field,
        code="bad-adapter",
        detail=f"部门文件有误:{zh}",
        detail_en=f"The department file is wrong here: {en}",
        remedy=remedy,
    )
