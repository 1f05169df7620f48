"""Fills the department databases: the cast and a population, the same for the same day and seed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from itertools import islice

import psycopg
from psycopg import sql

from orchestrator.domain.errors import Unavailable
from orchestrator.domain.suite import Hasher, hasher
from orchestrator.gateway.adapter import Adapter
from orchestrator.seeding.cast import Cast
from orchestrator.seeding.cast_world import cast_world
from orchestrator.seeding.databases import DepartmentDatabase, create_indexes
from orchestrator.seeding.population import populate
from orchestrator.seeding.rows import TABLES, Row
from orchestrator.seeding.world import World

_BLOCK = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Seeded:
    """What a seeding wrote."""

    day: date
    rows: Mapping[str, int]
    """Rows by table."""
    digest: str
    """SHA-256 over all rows, so that two seedings can be compared."""


def make_world(cast: Cast, *, day: date, residents: int = 20_000, enterprises: int = 5_000, seed: int = 1) -> World:
    """The cast, then the population. The same arguments give the same world, to the last digit."""
    world = cast_world(cast, day)
    world.add(populate(day=day, residents=residents, enterprises=enterprises, seed=seed))
    return world


def seed_databases(databases: Iterable[DepartmentDatabase], adapters: Mapping[str, Adapter], world: World) -> Seeded:
    """Writes a world into the departments' databases in place of what they held. Raises Unavailable without a server.

    Each database changes in one transaction: a reader sees the old rows or the new ones.
    """
    databases = list(databases)
    try:
        with ThreadPoolExecutor(max_workers=4) as threads:
            parts = list(threads.map(lambda one: _seed_one(one, adapters[one.department], world), databases))
    except psycopg.OperationalError as error:
        raise Unavailable(
            "数据库无法连接",
            code="database-down",
            detail_en="PostgreSQL cannot be reached",
            remedy="运行 lianban doctor / run lianban doctor",
        ) from error
    tables = {name: result for part in parts for name, result in part.items()}
    digest = hasher()
    for name in sorted(tables):
        digest.update(f"{name} {tables[name][1]}\n".encode())
    return Seeded(day=world.day, rows={name: tables[name][0] for name in sorted(tables)}, digest=digest.hexdigest())


def accounts(cast: Cast, world: World, *, residents: int = 200) -> list[tuple[str, str]]:
    """Citizen number and name of everybody who can sign in: the living cast, and some living adult residents."""
    known = {person.number for person in cast.people.values()}
    grown = world.day.replace(year=world.day.year - 18, day=min(world.day.day, 28))
    others = (
        (person.number, person.name)
        for person in world.people
        if person.number not in known and person.died is None and person.born <= grown
    )
    living = [(person.number, person.name) for person in cast.people.values() if person.died is None]
    return [*living, *islice(others, residents)]


def _seed_one(database: DepartmentDatabase, adapter: Adapter, world: World) -> dict[str, tuple[int, str]]:
    result: dict[str, tuple[int, str]] = {}
    tables = {name: table for name, table in adapter.tables().items() if name in TABLES}
    if not tables:
        return result
    with psycopg.connect(database.owner) as connection:
        for name in tables:
            dealt = TABLES[name]
            identifier = sql.Identifier(name)
            connection.execute(sql.SQL("truncate {}").format(identifier))
            count, digest = 0, hasher()
            columns = sql.SQL(", ").join(map(sql.Identifier, dealt.columns))
            with connection.cursor().copy(sql.SQL("copy {} ({}) from stdin").format(identifier, columns)) as copy:
                block: list[str] = []
                for row in dealt.rows(world):
                    block.append(_line(row))
                    if len(block) == _BLOCK:
                        count += _flush(block, copy, digest)
                count += _flush(block, copy, digest)
            result[name] = (count, digest.hexdigest())
        create_indexes(connection, tables)
    with psycopg.connect(database.owner, autocommit=True) as connection:
        # Without statistics the first questions would be planned for empty tables.
        connection.execute("analyze")
    return result


def _flush(block: list[str], copy: psycopg.Copy, digest: Hasher) -> int:
    data = "".join(block).encode()
    digest.update(data)
    copy.write(data)
    count = len(block)
    block.clear()
    return count


def _line(row: Row) -> str:
    """A row in the text format of COPY. What is seeded holds no tabs, line ends or backslashes."""
    return "\t".join(["\\N" if value is None else str(value) for value in row]) + "\n"
