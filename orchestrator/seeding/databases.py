"""One PostgreSQL database for each department, with an owner that seeds it and a reader that can only read it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from orchestrator.domain.errors import Unavailable
from orchestrator.gateway.adapter import Adapter
from orchestrator.gateway.layout import Table


@dataclass(frozen=True, slots=True, kw_only=True)
class DepartmentDatabase:
    """How to reach a department's database. Both carry passwords: keep them out of logs."""

    department: str
    owner: str
    """DSN of the role that owns the tables."""
    reader: str
    """DSN of the role that can only read: what the gateway gets."""

    def __repr__(self) -> str:
        return f"DepartmentDatabase({self.department})"


def database_of(department: str) -> str:
    """The name of a department's database; its owner role has the same name."""
    return "dept_" + department.replace("-", "_")


def create_department_databases(
    admin_dsn: str, adapters: Iterable[Adapter], passwords: Mapping[str, str]
) -> list[DepartmentDatabase]:
    """Creates databases, roles and tables for all departments; what exists already is kept and brought up to the adapter.

    `passwords` has one for each role: `dept_…` and `dept_…_reader`. New tables and columns of an adapter are added,
    nothing is ever dropped. Raises Unavailable when the server cannot be reached.
    """
    adapters = list(adapters)
    names = [database_of(adapter.department.id) for adapter in adapters]
    roles = [role for name in names for role in (name, f"{name}_reader")]
    try:
        with psycopg.connect(admin_dsn, autocommit=True) as connection:
            _create_roles(connection, roles, passwords)
            _create_databases(connection, names)
        databases = []
        for adapter, name in zip(adapters, names, strict=True):
            reader = f"{name}_reader"
            database = DepartmentDatabase(
                department=adapter.department.id,
                owner=make_conninfo(admin_dsn, dbname=name, user=name, password=passwords[name]),
                reader=make_conninfo(admin_dsn, dbname=name, user=reader, password=passwords[reader]),
            )
            # As the administrator, who alone may take rights away from everybody on the schema.
            with psycopg.connect(make_conninfo(admin_dsn, dbname=name)) as connection:
                connection.execute("revoke all on schema public from public")
                connection.execute(sql.SQL("grant all on schema public to {}").format(sql.Identifier(name)))
                connection.execute(sql.SQL("grant usage on schema public to {}").format(sql.Identifier(reader)))
            with psycopg.connect(database.owner) as connection:
                create_tables(connection, adapter, reader)
            databases.append(database)
        return databases
    except psycopg.OperationalError as error:
        raise Unavailable(
            "数据库无法连接",
            code="database-down",
            detail_en="PostgreSQL cannot be reached",
            remedy="运行 lianban doctor / run lianban doctor",
        ) from error


def create_tables(connection: psycopg.Connection[tuple[object, ...]], adapter: Adapter, reader: str) -> None:
    """Creates an adapter's tables and columns where they are missing, and lets the reader select from them."""
    for name, table in adapter.tables().items():
        columns = [(sql.Identifier(column), sql.SQL(spec.type)) for column, spec in table.columns.items()]
        definition = sql.SQL(", ").join(sql.SQL("{} {}").format(*column) for column in columns)
        connection.execute(sql.SQL("create table if not exists {} ({})").format(sql.Identifier(name), definition))
        for column in columns:
            connection.execute(
                sql.SQL("alter table {} add column if not exists {} {}").format(sql.Identifier(name), *column)
            )
        for column_name, spec in table.columns.items():
            connection.execute(
                sql.SQL("comment on column {}.{} is {}").format(
                    sql.Identifier(name), sql.Identifier(column_name), sql.Literal(spec.comment)
                )
            )
        connection.execute(sql.SQL("grant select on {} to {}").format(sql.Identifier(name), sql.Identifier(reader)))


def create_indexes(connection: psycopg.Connection[tuple[object, ...]], tables: Mapping[str, Table]) -> None:
    """Creates the indexes of tables where they are missing: after loading, since that is faster."""
    for name, table in tables.items():
        for unique, columns in [(True, table.key), *((False, index) for index in table.indexes)]:
            if columns:
                connection.execute(
                    sql.SQL("create {} if not exists {} on {} ({})").format(
                        sql.SQL("unique index" if unique else "index"),
                        sql.Identifier("_".join((name, *columns, "idx"))),
                        sql.Identifier(name),
                        sql.SQL(", ").join(map(sql.Identifier, columns)),
                    )
                )


def _create_roles(
    connection: psycopg.Connection[tuple[object, ...]], roles: Iterable[str], passwords: Mapping[str, str]
) -> None:
    there = {row[0] for row in connection.execute("select rolname from pg_roles").fetchall()}
    for role in roles:
        verb = sql.SQL("alter role" if role in there else "create role")
        connection.execute(
            sql.SQL("{} {} login nosuperuser nocreatedb nocreaterole password {}").format(
                verb, sql.Identifier(role), sql.Literal(passwords[role])
            )
        )
        if role.endswith("_reader"):
            connection.execute(
                sql.SQL("alter role {} set default_transaction_read_only = on").format(sql.Identifier(role))
            )


def _create_databases(connection: psycopg.Connection[tuple[object, ...]], names: Iterable[str]) -> None:
    there = {row[0] for row in connection.execute("select datname from pg_database").fetchall()}
    for name in names:
        identifier = sql.Identifier(name)
        if name not in there:
            connection.execute(sql.SQL("create database {} encoding 'UTF8' template template0").format(identifier))
        # Nobody may enter a department's database but its own two roles, and the reader may not even make a temporary table.
        connection.execute(sql.SQL("revoke all on database {} from public").format(identifier))
        connection.execute(sql.SQL("grant all on database {0} to {0}").format(identifier))
        reader = sql.Identifier(f"{name}_reader")
        connection.execute(sql.SQL("grant connect on database {} to {}").format(identifier, reader))
