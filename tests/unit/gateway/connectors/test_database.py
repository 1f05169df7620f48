"""SQL sources: rows by keys through SQLAlchemy, and every attempt to make one write."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from orchestrator.domain.errors import Invalid
from orchestrator.gateway.connectors.connector import Keys, Row, SourceFault
from orchestrator.gateway.connectors.database import SqlConnector
from orchestrator.gateway.layout import Table
from orchestrator.gateway.sources import SqlSource
from tests.support.https_system import private_file

COLUMNS = {
    "zh": {"type": "varchar(20)", "comment": "-", "source": "编号"},
    "qf": {"type": "numeric(10,2)", "comment": "-"},
    "kh": {"type": "date", "comment": "-"},
    "n": {"type": "integer", "comment": "-"},
}


def table(**given: Any) -> Table:
    return Table.model_validate({"columns": COLUMNS, "look_up": {"zh": "s.id"}, **given})


@pytest.fixture
def file(tmp_path: Path) -> Path:
    with sqlite3.connect(tmp_path / "own.db") as connection:
        connection.execute('create table accounts ("编号" text, qf real, kh text, n integer, extra text)')
        rows = [(f"A{n}", n / 10, "2026/3/2", n, "x") for n in range(1200)]
        connection.executemany("insert into accounts values (?, ?, ?, ?, ?)", rows)
    connection.close()
    return tmp_path / "own.db"


def sqlite(file: Path, **given: Any) -> SqlConnector:
    source = SqlSource.model_validate({"kind": "sql", "url": f"sqlite:///{file}", **given})
    return SqlConnector("own", source, file.parent)


def fetch(connector: SqlConnector, table: Table, keys: Keys = None, most: int = 2000) -> list[Row]:
    return asyncio.run(connector.fetch("accounts", table, keys, most))


def test_fetch__keys__their_rows_in_the_types_of_the_columns(file: Path) -> None:
    assert fetch(sqlite(file), table(), {"zh": ["A3", "A3", "none"]}) == [
        {"zh": "A3", "qf": "0.30", "kh": "2026-03-02", "n": 3}
    ]
    assert len(fetch(sqlite(file), table(), {"zh": [f"A{n}" for n in range(2000)]})) == 1200
    assert len(fetch(sqlite(file), table())) == 1200
    assert len(fetch(sqlite(file), table(), None, 10)) == 11


def test_fetch__several_columns__each_row_once(file: Path) -> None:
    rows = fetch(sqlite(file), table(), {"zh": ["A1", "A2"], "n": ["2", "3", "no number"]})

    assert [row["n"] for row in rows] == [1, 2, 3]


@pytest.mark.parametrize(
    ("given", "field"),
    [
        (
            {"columns": {**COLUMNS, "kh": {"type": "date", "comment": "-", "source": "开户"}}},
            "accounts.columns.kh.source",
        ),
        ({"columns": {**COLUMNS, "kh": {"type": "integer", "comment": "-"}}}, "accounts.columns.kh"),
        ({"view": "nothing"}, "accounts.view"),
    ],
)
def test_fetch__not_as_the_adapter_says__fault_names_the_field(file: Path, given: dict[str, Any], field: str) -> None:
    with pytest.raises(SourceFault) as caught:
        fetch(sqlite(file), table(**given))

    assert caught.value.field == field
    assert "2026" not in str(caught.value)


def test_fetch__no_such_file__fault_and_none_is_made(tmp_path: Path) -> None:
    with pytest.raises(SourceFault) as caught:
        fetch(sqlite(tmp_path / "none.db"), table())

    assert caught.value.field == "sources.yaml.own.url"
    assert "none.db" in caught.value.detail_en
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("view", ["accounts; drop table accounts", 'a"; drop table accounts; --', "a b", "a.b.c"])
def test_table__view_that_is_no_name__invalid(view: str) -> None:
    with pytest.raises(ValueError):
        table(view=view)


HOSTILE = 'x" ; delete from accounts --'


def test_fetch__hostile_names_and_keys__quoted_and_bound(file: Path) -> None:
    with pytest.raises(SourceFault):
        fetch(sqlite(file), table(columns={**COLUMNS, "kh": {"type": "date", "comment": "-", "source": HOSTILE}}))
    assert fetch(sqlite(file), table(), {"zh": ["' or 1=1 --", 'A1"; drop table accounts; --']}) == []

    assert len(fetch(sqlite(file), table())) == 1200


WRITES = [
    "delete from accounts",
    "update accounts set n = 0",
    "insert into accounts (n) values (1)",
    "drop table accounts",
    "create table other (n integer)",
    "with gone as (select 1) delete from accounts",
    "pragma query_only = off",
    "attach database '/tmp/other.db' as other",
    "select 1; delete from accounts",
]


@pytest.mark.parametrize("statement", WRITES)
def test_connection__a_statement_that_writes__refused_before_the_driver(file: Path, statement: str) -> None:
    connector = sqlite(file)
    with pytest.raises(PermissionError), connector._engine.connect() as connection:
        connection.execute(text(statement))


@pytest.mark.parametrize("statement", WRITES[:5])
def test_sqlite__past_the_check__the_database_refuses(file: Path, statement: str) -> None:
    """The second line: even with the check taken away the file is open for reading alone."""
    with sqlite(file)._engine.connect() as connection:
        raw: Any = connection.connection.driver_connection
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            raw.execute(statement)
        raw.execute("pragma query_only = off")
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            raw.execute(statement)


def test_sqlite__endless_statement__ended_in_time(file: Path) -> None:
    with sqlite3.connect(file) as connection:
        connection.execute("create view endless as with recursive c(n) as (select 1 union all select n + 1 from c)"
                           " select '' as \"编号\", 0 as qf, null as kh, n from c where n < 0")  # fmt: skip
    started = time.monotonic()

    with pytest.raises(SourceFault, match="OperationalError"):
        fetch(sqlite(file, timeout=0.3), table(view="endless"))

    assert time.monotonic() - started < 20


@pytest.fixture(scope="module")
def owner(pg_admin_dsn: str) -> Iterator[str]:
    """A role that may do anything in its database: only the connector stands between it and a write."""
    with psycopg.connect(pg_admin_dsn, autocommit=True) as connection:
        connection.execute("create role water_owner login password 'w:@/ %'")
        connection.execute("create database water_own owner water_owner")
    dsn = psycopg.conninfo.make_conninfo(pg_admin_dsn, dbname="water_own", user="water_owner", password="w:@/ %")
    with psycopg.connect(dsn) as connection:
        connection.execute("create schema water")
        connection.execute('create table water."Accounts" ("编号" char(6), qf numeric(10,2), kh date, n bigint)')
        connection.execute(
            "insert into water.\"Accounts\" values ('A1', 12.30, '2026-03-02', 1), ('B1', null, null, 2)"
        )
        connection.execute(
            'create view slow as select "编号", qf, kh, n from water."Accounts" where pg_sleep(3) is not null'
        )
    yield dsn
    with psycopg.connect(pg_admin_dsn, autocommit=True) as connection:
        connection.execute("drop database water_own with (force)")
        connection.execute("drop role water_owner")


def postgresql(owner: str, folder: Path, **given: Any) -> SqlConnector:
    parts = conninfo_to_dict(owner)
    private_file(folder / "own.password", str(parts["password"]) + "\n")
    url = f"postgresql+psycopg://{parts['user']}@{parts['host']}:{parts['port']}/{parts['dbname']}"
    source = {"kind": "sql", "url": url, "password_file": "own.password", **given}
    return SqlConnector("own", SqlSource.model_validate(source), folder)


def test_fetch__postgresql__rows_of_a_schema(owner: str, tmp_path: Path) -> None:
    rows = fetch(postgresql(owner, tmp_path), table(view="water.Accounts"), {"zh": ["A1"], "n": ["2"]})

    assert rows == [
        {"zh": "A1", "qf": "12.30", "kh": "2026-03-02", "n": 1},
        {"zh": "B1", "qf": None, "kh": None, "n": 2},
    ]


def test_postgresql__past_the_check__the_transaction_refuses(owner: str, tmp_path: Path) -> None:
    connector = postgresql(owner, tmp_path)
    for statement in ('delete from water."Accounts"', "create table other (n int)", "set transaction read write"):
        with connector._engine.connect() as connection:
            connection.execute(text("select 1"))
            raw: Any = connection.connection.driver_connection
            with pytest.raises(psycopg.Error, match=r"read-only|read-write"):
                raw.execute(statement)
    for statement in ('update water."Accounts" set n = 0', "set transaction read write", "select pg_sleep(1)"):
        with pytest.raises(PermissionError), connector._engine.connect() as connection:
            connection.execute(text(statement))


def test_postgresql__slow_view__ended_by_the_server(owner: str, tmp_path: Path) -> None:
    started = time.monotonic()
    with pytest.raises(SourceFault, match="QueryCanceled"):
        fetch(postgresql(owner, tmp_path, timeout=0.3), table(view="slow"))

    assert time.monotonic() - started < 2.9


def test_postgresql__wrong_password__fault_without_it(owner: str, tmp_path: Path) -> None:
    connector = postgresql(owner, tmp_path)
    private_file(tmp_path / "own.password", "wrong")
    connector = SqlConnector("own", connector._source, tmp_path)

    with pytest.raises(SourceFault) as caught:
        fetch(connector, table())

    assert "wrong" not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["mysql+nosuchdriver://u@h/d", "nosuchdialect://u@h/d", "sqlite:///relative.db", "sqlite://"]
)
def test_connector__address_without_driver_or_file__invalid(url: str, tmp_path: Path) -> None:
    with pytest.raises(Invalid) as caught:
        SqlConnector("own", SqlSource.model_validate({"kind": "sql", "url": url}), tmp_path)

    assert caught.value.field == "sources.yaml.own.url"
    assert caught.value.remedy


def test_engine__error__holds_no_values(file: Path) -> None:
    with pytest.raises(SQLAlchemyError) as caught, sqlite(file)._engine.connect() as connection:
        connection.execute(text("select nothing from accounts where n = :n"), {"n": "secret-value"})

    assert "secret-value" not in str(caught.value)
