"""The departments' databases for tests: the cast and a small population, on whatever server the tests use."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date

import psycopg

from orchestrator.gateway.adapter import Adapter, load_adapters
from orchestrator.scenarios import FOLDER, department_files
from orchestrator.seeding.cast import Cast, read_cast
from orchestrator.seeding.databases import DepartmentDatabase, create_department_databases, database_of
from orchestrator.seeding.seed import Seeded, make_world, seed_databases
from orchestrator.seeding.world import World

SEEDING_DAY = date(2026, 3, 2)
"""The day that test databases are seeded for: a Monday."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeededDepartments:
    """All departments' databases and what is in them."""

    day: date
    cast: Cast
    world: World
    adapters: dict[str, Adapter]
    databases: dict[str, DepartmentDatabase]
    seeded: Seeded


@contextmanager
def seeded_departments(admin_dsn: str) -> Iterator[SeededDepartments]:
    """The departments of the scenarios that ship, seeded for `SEEDING_DAY`; on a lasting server they are gone after the block."""
    adapters = load_adapters(department_files())
    cast = read_cast((FOLDER / "cast.yaml").read_text("utf-8"))
    world = make_world(cast, day=SEEDING_DAY, residents=600, enterprises=200)
    names = [database_of(department) for department in adapters]
    roles = [role for name in names for role in (name, f"{name}_reader")]
    made = create_department_databases(
        admin_dsn, adapters.values(), {role: secrets.token_urlsafe(12) for role in roles}
    )
    databases = {database.department: database for database in made}
    try:
        seeded = seed_databases(made, adapters, world)
        yield SeededDepartments(
            day=SEEDING_DAY, cast=cast, world=world, adapters=adapters, databases=databases, seeded=seeded
        )
    finally:
        if os.environ.get("LIANBAN_TEST_DATABASE"):  # a server of our own is thrown away whole
            with psycopg.connect(admin_dsn, autocommit=True) as connection:
                for name in names:
                    connection.execute(f"drop database if exists {name} with (force)")
                for role in roles:
                    connection.execute(f"drop role if exists {role}")
