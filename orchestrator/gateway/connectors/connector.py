"""The one interface of all connectors, and what a failing one says.

A connector gets a table and values of some of its columns and returns the rows that have them; it cannot be told anything
else, so it has no way to be told to write. `guarded.py` puts the limits of its source around it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from orchestrator.domain.errors import Unavailable
from orchestrator.gateway.connectors.cells import Cell, cell
from orchestrator.gateway.layout import Table

Row = dict[str, Cell]
"""One row by the adapter's names of the columns."""
Keys = Mapping[str, Sequence[str]] | None
"""Columns with values: rows that have one of them are wanted. None: all rows."""


class SourceFault(Unavailable):
    """A source does not give what the adapter says. For the asker the records are unavailable; `field` and `remedy` are for
    the department's IT. Says nothing of any row's content."""

    def __init__(self, field: str, zh: str, en: str, remedy: str) -> None:
        super().__init__(zh, code="records-unavailable", detail_en=en, remedy=remedy)
        self.field = field
        """Of the adapter or of `sources.yaml`."""


def typed(kind: str, wanted: Sequence[str]) -> list[str | int]:
    """Keys as values of a column's type, each once; what cannot be one is left out, since no row has it."""
    values: dict[str | int, None] = {}
    for each in wanted:
        try:
            value = cell(kind, each)
        except ValueError:
            continue
        if value is not None:
            values[value] = None
    return list(values)


class TooManyRows(SourceFault):
    """A look-up gives more rows than its source allows: for fewer subjects at once it may do."""


class Connector(Protocol):
    """One source, entered for reading."""

    async def open(self) -> None:
        """Makes ready; connections are made when they are needed."""

    async def close(self) -> None:
        """Ends every connection."""

    async def fetch(self, name: str, table: Table, keys: Keys, most: int) -> list[Row]:
        """The rows of the table `name` that have one of the keys, `most` + 1 at most. Raises SourceFault."""


def wrong_cell(name: str, column: str, expected: str, place: str = "") -> SourceFault:
    """A value that is not of its column's type. `place` says where, never what."""
    return SourceFault(
        f"{name}.columns.{column}",
        f"{place}数据不符合列类型({expected})",
        f"{place}a value does not fit the column's type ({expected})",
        "更正数据,或将该列改为 text 并以 $date() 等读取 / correct the data, or make the column text and read it with $date(…)",
    )


def missing_columns(name: str, missing: Mapping[str, str], there: Sequence[str]) -> SourceFault:
    """The source does not have columns that the adapter reads: `missing` says what it should call each of them."""
    return SourceFault(
        f"{name}.columns.{next(iter(missing))}.source",
        f"来源中没有:{'、'.join(missing.values())}",
        f"the source does not have: {', '.join(missing.values())}",
        f"来源中有 / it has: {', '.join(there[:30]) or '—'}",
    )
