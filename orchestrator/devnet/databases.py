"""Databases and roles on a PostgreSQL server: each department has its own, and nobody else may enter."""

from __future__ import annotations

from urllib.parse import quote, urlsplit, urlunsplit

import psycopg
from psycopg import sql


def dsn_for(admin_dsn: str, *, database: str, user: str | None = None, password: str | None = None) -> str:
    """The DSN of another database of the same server, as another user when one is given."""
    parts = urlsplit(admin_dsn)
    location = parts.netloc
    if user is not None:
        location = f"{quote(user, safe='')}:{quote(password or '', safe='')}@{location.rpartition('@')[2]}"
    return urlunsplit(parts._replace(netloc=location, path=f"/{quote(database, safe='')}"))


def create_role(admin_dsn: str, role: str, password: str) -> None:
    """Makes a login role, or gives the existing one this password."""
    with psycopg.connect(admin_dsn, autocommit=True) as connection:
        exists = connection.execute("select 1 from pg_roles where rolname = %s", (role,)).fetchone()
        verb = sql.SQL("alter role" if exists else "create role")
        connection.execute(
            sql.SQL("{} {} with login password {}").format(verb, sql.Identifier(role), sql.Literal(password))
        )


def create_database(admin_dsn: str, name: str, *, owner: str | None = None) -> bool:
    """Makes a database that nobody but its owner may enter. False when it is there already."""
    with psycopg.connect(admin_dsn, autocommit=True) as connection:
        if connection.execute("select 1 from pg_database where datname = %s", (name,)).fetchone():
            return False
        connection.execute(
            sql.SQL("create database {} encoding 'UTF8' template template0").format(sql.Identifier(name))
        )
        if owner is not None:
            connection.execute(
                sql.SQL("alter database {} owner to {}").format(sql.Identifier(name), sql.Identifier(owner))
            )
        connection.execute(sql.SQL("revoke all on database {} from public").format(sql.Identifier(name)))
        return True


def drop_database(admin_dsn: str, name: str) -> None:
    """Removes a database and cuts its connections. Harmless when it is not there."""
    with psycopg.connect(admin_dsn, autocommit=True) as connection:
        connection.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name)))
