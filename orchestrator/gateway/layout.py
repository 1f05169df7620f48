"""The layout of a department's records: tables and columns, and for tables that do not lie in the department's own
PostgreSQL, how their rows are found in the source that holds them.

Which system a source is, where it is and how one gets in stands in the department's own `sources.yaml`
(`gateway/sources.py`), never here: an adapter may be shown to everybody.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, StringConstraints, field_validator, model_validator

from orchestrator.domain.texts import Text

Identifier = Annotated[str, StringConstraints(pattern=r"^[a-z_][a-z0-9_]{0,62}$")]
SqlType = Annotated[
    str, StringConstraints(pattern=r"^((char|varchar)\(\d+\)|numeric\(\d+,\d+\)|integer|bigint|date|text|boolean)$")
]
SourceName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,40}$")]

ALL: Final = "all"
_REFERENCE: Final = re.compile(
    r"^s\.(id|attributes\.[a-z_][a-z0-9_]*|others\.[a-z_][a-z0-9_]*\.id)$|^(?!s\.)[a-z_][a-z0-9_]*\.[a-z_][a-z0-9_]*$"
)
_TAKEN: Final = frozenset({"subject", "s", "r", "p", "params"})
_VALUE: Final = re.compile(r"\{(value|values)\}")
_STAMP: Final = re.compile(r"\{(date|number)\}")


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Column(_Part):
    """One column of a department's table."""

    type: SqlType
    comment: str
    source: str | None = None
    """What the source calls it: a header, a column, a path of fields as `owner.name`. None: as it is called here."""
    optional: bool = False
    """The source may leave it out, which counts as null. Otherwise that it is missing is a fault."""


class FileLayout(_Part):
    """How a table lies in a folder of dropped files."""

    pattern: str = Field(min_length=1)
    """Name of the file; `{date}` stands for YYYYMMDD or YYYY-MM-DD, `{number}` for digits, and the newest by them counts."""
    encoding: Literal["utf-8", "gb18030"] = "utf-8"
    delimiter: Literal[",", ";", "\t", "|"] = ","
    sheet: str | None = None
    """Of a workbook; None: its first sheet."""
    header_row: int = Field(default=1, ge=1, le=50)
    max_age_days: int | None = Field(default=None, ge=0)
    """Days after which the newest file is too old to answer from."""

    @field_validator("pattern")
    @classmethod
    def _is_a_name(cls, pattern: str) -> str:
        suffix = PurePath(pattern).suffix.lower()
        if pattern != PurePath(pattern).name or pattern.startswith("."):
            raise ValueError("只写文件名,不带目录 / the name of a file, without folders")
        if suffix not in (".csv", ".txt", ".tsv", ".xlsx"):
            raise ValueError("文件应为 .csv、.txt、.tsv 或 .xlsx / a file ends with .csv, .txt, .tsv or .xlsx")
        if re.search(r"[{}*?\[\]]", _STAMP.sub("", pattern)):
            raise ValueError("只可用 {date} 与 {number} / only {date} and {number} stand for something")
        return pattern

    def name(self) -> re.Pattern[str]:
        """Matches the names of the table's files; the groups are what `{date}` and `{number}` stand for, in order."""
        parts = {"date": r"(\d{8}|\d{4}-\d{2}-\d{2})", "number": r"(\d{1,18})"}
        pieces = _STAMP.split(self.pattern)
        return re.compile("".join(parts[each] if at % 2 else re.escape(each) for at, each in enumerate(pieces)))


class RequestLayout(_Part):
    """How rows of a table are asked of an HTTP/JSON system. `{value}` stands for one key, `{values}` for several."""

    path: str = Field(pattern=r"^/[^?#\s]*$")
    method: Literal["GET", "POST"] = "GET"
    """POST only for calls that the department's `sources.yaml` lists under `read_calls`."""
    query: Mapping[str, str] = Field(default_factory=dict)
    body: JsonValue = None
    batch: int = Field(default=100, ge=1, le=1000)
    """Most keys in one request with `{values}`."""
    rows: str = ""
    """Path of fields to the list of rows, or to the one row; empty: the whole body."""
    total: str | None = None
    """Path to the number of all rows, when the system tells it: more than were given is a fault."""
    absent: tuple[Literal[404, 204], ...] = ()
    """Statuses that mean: no such record."""

    @model_validator(mode="after")
    def _one_placeholder(self) -> Self:
        if self.method == "GET" and self.body is not None:
            raise ValueError("GET 请求没有 body / a GET request has no body")
        if len(self.placeholders()) > 1:
            raise ValueError("{value} 与 {values} 只用其一 / either {value} or {values}, not both")
        if "{values}" in self.path:
            raise ValueError("路径只可用 {value} / a path takes {value}, not {values}")
        return self

    def placeholders(self) -> set[str]:
        """`value`, `values` or nothing, wherever they stand."""
        texts = [self.path, *self.query.values(), *_texts(self.body)]
        return {found[1] for text in texts for found in _VALUE.finditer(text)}


class Table(_Part):
    """One table of a department, as far as it is read."""

    columns: Mapping[Identifier, Column] = Field(min_length=1)
    key: tuple[Identifier, ...] = ()
    """Columns that are unique together."""
    indexes: tuple[tuple[Identifier, ...], ...] = ()
    """Other columns that rows are looked up by."""
    look_up: Mapping[Identifier, str] | Literal["all"] | None = None
    """For a table in a source: which rows to fetch for a set of subjects, as column and what it equals: `s.id`,
    `s.attributes.x`, `s.others.slot.id`, or `table.column` of a table fetched before. Several: rows that fit one of them."""
    file: FileLayout | None = None
    request: RequestLayout | None = None
    view: str | None = Field(default=None, pattern=r"^[^\s;\"'`.]+(\.[^\s;\"'`.]+)?$")
    """What an SQL source calls the table or view, with its schema. None: as it is called here."""

    @model_validator(mode="after")
    def _columns_exist(self) -> Self:
        looked_up = self.look_up if isinstance(self.look_up, Mapping) else {}
        for column in {*self.key, *(name for index in self.indexes for name in index), *looked_up}:
            if column not in self.columns:
                raise ValueError(f"没有列 {column} / there is no column {column}")
        for reference in looked_up.values():
            if not _REFERENCE.match(reference):
                raise ValueError(
                    f"look_up 不能取 {reference} / look_up takes s.id, s.attributes.x, s.others.slot.id or table.column"
                )
        if self.request is not None:
            self._fits_its_request(self.request)
        return self

    def _fits_its_request(self, request: RequestLayout) -> None:
        if self.look_up == ALL and request.placeholders():
            raise ValueError("look_up: all 的请求不带 {value} / a request for all rows has no {value}")
        if isinstance(self.look_up, Mapping) and (len(self.look_up) != 1 or not request.placeholders()):
            raise ValueError(
                "HTTP 表的 look_up 只有一列,请求须带 {value} 或 {values} / one column, and {value} or {values}"
            )

    def after(self) -> set[str]:
        """Names of the tables whose rows say which rows of this one are fetched."""
        references = self.look_up.values() if isinstance(self.look_up, Mapping) else ()
        return {reference.split(".")[0] for reference in references if not reference.startswith("s.")}


class Record(_Part):
    """A kind of record that a department keeps, in one table or several."""

    name: Text
    quality: Text | None = None
    """What is known to be missing or late in it."""
    source: SourceName | None = None
    """The source in the department's `sources.yaml` that holds the tables. None: the PostgreSQL of `records.dsn`."""
    tables: Mapping[Identifier, Table] = Field(min_length=1)

    @model_validator(mode="after")
    def _says_where_rows_are(self) -> Self:
        for name, table in self.tables.items():
            if self.source is None and (table.look_up, table.file, table.request, table.view) != (None,) * 4:
                raise ValueError(
                    f"{name}:look_up、file、request、view 只用于有 source 的记录"
                    f" / {name}: look_up, file, request and view belong to a record with a source"
                )
            if self.source is not None and name in _TAKEN:
                raise ValueError(f"表名 {name} 另有用处 / a table cannot be called {name} here: the statement uses it")
            if self.source is not None and table.look_up is None:
                raise ValueError(f"{name}:缺少 look_up / {name}: look_up is missing, e.g. look_up: {{zh: s.id}}")
            if sum(part is not None for part in (table.file, table.request, table.view)) > 1:
                raise ValueError(f"{name}:file、request、view 只用其一 / {name}: one of file, request and view")
        return self


def in_order(tables: Mapping[str, Table]) -> list[str]:
    """Names of the tables, each after those it is looked up by. Raises ValueError when that cannot be."""
    ordered: list[str] = []
    while len(ordered) < len(tables):
        ready = [name for name, table in tables.items() if name not in ordered and table.after() <= {*ordered}]
        if not ready:
            left = min(set(tables) - {*ordered})
            raise ValueError(
                f"{left}.look_up 所引的表不在本核验数据的记录中,或互相引用"
                f" / {left}.look_up: its table is not among the records of this evidence, or they refer to each other"
            )
        ordered += ready
    return ordered


def check_references(tables: Mapping[str, Table]) -> None:
    """Raises ValueError when a look-up refers to a column that there is not, or tables refer to each other."""
    in_order(tables)
    for name, table in tables.items():
        for reference in table.look_up.values() if isinstance(table.look_up, Mapping) else ():
            other, _, column = reference.partition(".")
            if other != "s" and column not in tables[other].columns:
                raise ValueError(f"{name}.look_up:没有列 {reference} / {name}.look_up: there is no column {reference}")


def _texts(value: Any) -> Sequence[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, Mapping):
        return [text for each in value.values() for text in _texts(each)]
    if isinstance(value, list):
        return [text for each in value for text in _texts(each)]
    return []
