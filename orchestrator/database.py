"""PostgreSQL as every part of Lianban uses it: async pools, migrations by Alembic, databases created from a template.

Stores write SQL themselves (set-based, one statement for many rows); this module only opens doors.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool

from orchestrator.domain.errors import Unavailable

Row = dict[str, Any]
Pool = AsyncConnectionPool[psycopg.AsyncConnection[Row]]


def open_pool(dsn: str, *, size: int = 4, options: str = "") -> Pool:
    """A pool of at most `size` connections whose rows are dicts. Open it with `async with` or `await pool.open()`."""
    kwargs = {"row_factory": dict_row, "autocommit": False, "options": options}
    return AsyncConnectionPool(dsn, min_size=0, max_size=size, open=False, timeout=15, kwargs=kwargs)


def with_database(dsn: str, name: str, **changes: str) -> str:
    """The same server, another database (and other connection parameters)."""
    return make_conninfo(dsn, dbname=name, **changes)


def database_name(dsn: str) -> str:
    """The name of the database that a connection string names."""
    return str(conninfo_to_dict(dsn).get("dbname", ""))


def ensure_databases(admin_dsn: str, names: Sequence[str], *, template: str | None = None) -> list[str]:
    """Creates the databases that are not there yet and returns the new ones. Raises Unavailable without a server."""
    try:
        with psycopg.connect(admin_dsn, autocommit=True) as connection:
            rows = connection.execute("select datname from pg_database").fetchall()
            there = {row[0] for row in rows}
            created = [name for name in names if name not in there]
            for name in created:
                statement = sql.SQL("create database {}").format(sql.Identifier(name))
                if template:
                    statement += sql.SQL(" template {}").format(sql.Identifier(template))
                connection.execute(statement)
    except psycopg.OperationalError as error:
        raise Unavailable("数据库无法连接", detail_en="PostgreSQL cannot be reached", code="database-down") from error
    return created


def migrate(dsn: str, migrations: Path) -> None:
    """Brings a database to the newest revision of the Alembic scripts in `migrations` (a folder).

    A folder holds only its revisions; the environment is shared: `orchestrator/migrations/env.py`.
    """
    # Imported here: Alembic and SQLAlchemy cost a service a second and 40 MB that only migrations need.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("version_locations", str(migrations))
    config.set_main_option("path_separator", "os")
    config.attributes["dsn"] = dsn
    command.upgrade(config, "head")
