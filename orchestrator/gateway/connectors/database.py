"""Any SQL database, through SQLAlchemy: rows of a table or view by the values of a column.

Statements are written by this module alone, as `select … where column in (…)`: nothing of an adapter's SQL goes to the
database. Each runs in a session that the database itself holds to reading, as far as it can (SQLite is opened for reading,
PostgreSQL, MySQL, MariaDB and Oracle get a read-only transaction), and a check before the driver lets nothing but a select
pass.
"""

from __future__ import annotations

import asyncio
import re
import sqlite3
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from sqlalchemy import Connection, Engine, Select, column, create_engine, event, literal_column, select
from sqlalchemy import table as table_of
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from orchestrator.domain.errors import Invalid
from orchestrator.gateway.connectors.cells import cell
from orchestrator.gateway.connectors.connector import Keys, Row, SourceFault, missing_columns, typed, wrong_cell
from orchestrator.gateway.layout import Table
from orchestrator.gateway.reads import what_writes
from orchestrator.gateway.sources import SOURCES_FILE, SqlSource, secret

_CHUNK: Final = 500
"""Keys in one statement: Oracle takes 1,000 in a list, SQLite 999 parameters."""
_READ_ONLY: Final = "set transaction read only"
_READ_ONLY_SESSION: Final = "set session transaction read only"
_TIME_LIMIT: Final = "set local statement_timeout = "
_AT_BEGIN: Final = frozenset({"postgresql", "oracle"})
_AT_CONNECT: Final = frozenset({"mysql", "mariadb"})


class SqlConnector:
    """One database, entered for reading. Blocking work runs in threads of its own, as many as there are connections."""

    def __init__(self, name: str, source: SqlSource, folder: Path) -> None:
        """`folder` holds the password's file. Raises Invalid for an address that SQLAlchemy cannot use."""
        self._name = name
        self._source = source
        self._engine = _engine(name, source, folder)
        url = self._engine.url
        self._file = Path(url.database) if url.get_backend_name() == "sqlite" and url.database else None
        self._threads = ThreadPoolExecutor(source.connections, thread_name_prefix=f"source-{name}")

    async def open(self) -> None:
        """Nothing to do: connections are made when they are needed."""

    async def close(self) -> None:
        """Ends all connections; a look-up under way finishes by itself."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._engine.dispose()

    async def fetch(self, name: str, table: Table, keys: Keys, most: int) -> list[Row]:
        """Rows of the table or view; see `Connector`."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self._fetch, name, table, keys, most)

    def _fetch(self, name: str, table: Table, keys: Keys, most: int) -> list[Row]:
        rows: list[Row] = []
        try:
            with self._engine.connect() as connection:
                _end_at(connection, self._source.timeout)
                for query, earlier in _queries(name, table, keys):
                    for found in connection.execute(query.limit(most + 1 - len(rows))):
                        row = _row(name, table, found)
                        if not any(row[each] in values for each, values in earlier.items()):
                            rows.append(row)
                    if len(rows) > most:
                        break
        except SQLAlchemyError as error:
            raise self._fault(name, table, error) from None
        return rows

    def _fault(self, name: str, table: Table, error: SQLAlchemyError) -> SourceFault:
        """What to tell of a failed statement: what is missing, or its kind. Its message may quote values."""
        kind = type(getattr(error, "orig", None) or error).__name__
        if isinstance(error, DBAPIError) and (missing := self._missing(name, table)) is not None:
            return missing
        if self._file is not None and not self._file.exists():
            return SourceFault(
                f"{SOURCES_FILE}.{self._name}.url",
                f"没有文件 {self._file}",
                f"there is no file {self._file}",
                "核对路径 / check the path",
            )
        return SourceFault(
            f"{SOURCES_FILE}.{self._name}",
            f"数据库无法读取({kind})",
            f"the database {self._name} cannot be read ({kind})",
            "核对地址、口令与授权,或是否超时 / check address, password and grants, or the time it takes",
        )

    def _missing(self, name: str, table: Table) -> SourceFault | None:
        """The table, or the columns of the adapter, that the database does not have, as far as it says."""
        query: Select[Any] = select(literal_column("*")).select_from(_table(name, table)).limit(0)
        try:
            connection = self._engine.connect()
        except SQLAlchemyError:
            return None
        try:
            with connection:
                there = list(connection.execute(query).keys())
        except SQLAlchemyError:
            view = table.view or name
            return SourceFault(
                f"{name}.view" if table.view else name,
                f"来源中没有表或视图 {view},或无权读取",
                f"the source has no table or view {view}, or the account may not read it",
                "核对 view 的拼写、大小写与模式名,以及授权 / check the spelling, case and schema of view, and the grants",
            )
        known = {title.lower() for title in there}
        missing = {each: spec.source or each for each, spec in table.columns.items()}
        missing = {each: title for each, title in missing.items() if title.lower() not in known}
        return missing_columns(name, missing, there) if missing else None


def _engine(name: str, source: SqlSource, folder: Path) -> Engine:
    field = f"{SOURCES_FILE}.{name}"
    try:
        url = make_url(source.url)
        if source.password_file:
            url = url.set(password=secret(folder, source.password_file, f"{field}.password_file"))
        options: dict[str, Any] = {"hide_parameters": True, "pool_pre_ping": True, "pool_timeout": source.timeout}
        options |= {"pool_size": source.connections, "max_overflow": 0}
        if url.get_backend_name() == "sqlite":
            file = _sqlite_file(url, f"{field}.url")
            options["creator"] = lambda: sqlite3.connect(
                file, uri=True, check_same_thread=False, timeout=source.timeout
            )
        engine = create_engine(url, **options)
    except (SQLAlchemyError, ImportError) as error:
        raise Invalid(
            field=f"{field}.url",
            code="bad-source",
            detail="SQLAlchemy 无法使用该地址",
            detail_en=f"SQLAlchemy cannot use this address: {type(error).__name__}",
            remedy="安装数据库驱动(如 pip install pymysql / oracledb),或更正地址 / install the driver, or correct the address",
        ) from None
    backend = engine.dialect.name
    event.listen(engine, "before_cursor_execute", _let_reads_pass)
    if backend == "sqlite":
        event.listen(engine, "connect", lambda raw, _: raw.execute("pragma query_only = on"))
    if backend in _AT_CONNECT:
        event.listen(engine, "connect", _hold_session_to_reading)
    if backend in _AT_BEGIN:
        event.listen(engine, "begin", lambda connection: connection.exec_driver_sql(_READ_ONLY))
    return engine


def _sqlite_file(url: URL, field: str) -> str:
    if not url.database or not Path(url.database).is_absolute():
        raise Invalid(
            field=field,
            code="bad-source",
            detail="SQLite 文件写绝对路径",
            detail_en="an SQLite file is named by its absolute path",
            remedy="sqlite:////srv/records.db",
        )
    return f"file:{quote(url.database)}?mode=ro"


def _hold_session_to_reading(raw: Any, _record: Any) -> None:
    cursor = raw.cursor()
    cursor.execute(_READ_ONLY_SESSION)
    cursor.close()


def _let_reads_pass(
    _connection: Connection, _cursor: Any, statement: str, _values: Any, _context: Any, _many: bool
) -> None:
    """The last look at a statement before the driver gets it. Raises PermissionError for any but a select."""
    if statement == _READ_ONLY or re.fullmatch(re.escape(_TIME_LIMIT) + "[0-9]+", statement):
        return
    if not statement.lstrip().lower().startswith("select") or what_writes(statement.replace("`", '"')):
        raise PermissionError("a source is only read")


def _end_at(connection: Connection, seconds: float) -> None:
    """Has the database end a statement that takes too long, where it can be told: threads cannot be ended from outside."""
    if connection.dialect.name == "sqlite":
        raw: Any = connection.connection.driver_connection
        deadline = time.monotonic() + seconds
        raw.set_progress_handler(lambda: time.monotonic() > deadline, 10_000)
    elif connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"{_TIME_LIMIT}{int(seconds * 1000)}")


def _table(name: str, table: Table) -> Any:
    schema, _, bare = (table.view or name).rpartition(".")
    columns: list[Any] = [column(spec.source or each) for each, spec in table.columns.items()]
    return table_of(bare, *columns, schema=schema or None)


def _queries(name: str, table: Table, keys: Keys) -> Iterator[tuple[Select[Any], dict[str, set[str | int]]]]:
    """Statements, and for each the keys of columns asked before it: rows that have one of those came already."""
    source = _table(name, table)
    titles = {each: spec.source or each for each, spec in table.columns.items()}
    query = select(*(source.c[title] for title in titles.values()))
    if keys is None:
        yield query, {}
        return
    earlier: dict[str, set[str | int]] = {}
    for each, wanted in keys.items():
        values = typed(table.columns[each].type, wanted)
        for start in range(0, len(values), _CHUNK):
            yield query.where(source.c[titles[each]].in_(values[start : start + _CHUNK])), dict(earlier)
        earlier[each] = set(values)


def _row(name: str, table: Table, found: Any) -> Row:
    row: Row = {}
    for (each, spec), raw in zip(table.columns.items(), found, strict=True):
        try:
            row[each] = cell(spec.type, bytes(raw).decode() if isinstance(raw, (bytes, memoryview)) else raw)
        except ValueError:
            raise wrong_cell(name, each, spec.type) from None
    return row
