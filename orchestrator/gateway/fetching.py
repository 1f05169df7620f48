"""Which rows are fetched from sources for a set of subjects: one look-up for each table, however many subjects there are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from orchestrator.domain.errors import Invalid
from orchestrator.gateway.adapter import Adapter
from orchestrator.gateway.connectors.connector import Keys, Row, SourceFault
from orchestrator.gateway.connectors.guarded import Connections
from orchestrator.gateway.layout import Table, in_order
from orchestrator.gateway.sources import SOURCES_FILE

Subjects = Sequence[Mapping[str, Any]]
"""Subjects as the statement gets them: id, attributes, others by slot."""


async def fetch_tables(
    tables: Mapping[str, tuple[str, Table]], sources: Connections | None, subjects: Subjects
) -> dict[str, tuple[Table, list[Row]]]:
    """The rows of each table (given with the name of its source) that the subjects may need. Raises SourceFault."""
    fetched: dict[str, tuple[Table, list[Row]]] = {}
    for name in in_order({name: table for name, (_, table) in tables.items()}):
        source, table = tables[name]
        connector = await sources.of(source) if sources is not None else None
        if connector is None:
            raise SourceFault(
                f"records.*.source: {source}",
                f"{SOURCES_FILE} 中没有来源 {source}",
                f"there is no source {source} in {SOURCES_FILE}",
                f"在密钥目录的 {SOURCES_FILE} 中写入 / write it into {SOURCES_FILE} in the key folder",
            )
        rows = await connector.fetch(name, table, _keys(table, subjects, fetched))
        fetched[name] = (table, rows)
    return fetched


def require_sources(adapter: Adapter, sources: Connections) -> None:
    """Raises Invalid when a record of the adapter lies in a source that the department has not written down."""
    for name, record in adapter.records.items():
        if record.source is not None and record.source not in sources.names():
            raise Invalid(
                field=f"{adapter.department.id}.records.{name}.source",
                code="bad-adapter",
                detail=f"{SOURCES_FILE} 中没有来源 {record.source}",
                detail_en=f"there is no source {record.source} in {SOURCES_FILE}",
                remedy=f"在密钥目录的 {SOURCES_FILE} 中写入,见 docs/department.md / write it into {SOURCES_FILE} in the key folder",
            )


def _keys(table: Table, subjects: Subjects, fetched: Mapping[str, tuple[Table, list[Row]]]) -> Keys:
    """The values by which rows of a table are looked up; None for all rows."""
    if not isinstance(table.look_up, Mapping):
        return None
    return {
        column: list(dict.fromkeys(value for value in _values(reference, subjects, fetched) if value))
        for column, reference in table.look_up.items()
    }


def _values(reference: str, subjects: Subjects, fetched: Mapping[str, tuple[Table, list[Row]]]) -> Iterator[str]:
    place, *path = reference.split(".")
    if place != "s":
        for row in fetched[place][1]:
            if row[path[0]] is not None:
                yield str(row[path[0]])
        return
    for subject in subjects:
        match path:
            case ["id"]:
                yield str(subject["id"])
            case ["attributes", name]:
                value = subject["attributes"].get(name)
                if isinstance(value, (str, int)):
                    yield str(value)
            case ["others", slot, _]:
                yield from (str(party["id"]) for party in subject["others"].get(slot, ()))
