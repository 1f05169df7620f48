"""A seeded city: databases of all departments, filled on one day, with what each gateway and the identity seat need to enter.

A gateway gets its department's connection string, for the role that can only read, in a file of its own beside its keys.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path

from psycopg.conninfo import conninfo_to_dict, make_conninfo

from orchestrator.gateway.adapter import Adapter, load_adapters
from orchestrator.identity.setup import prepare_identity, seed_accounts
from orchestrator.scenarios import FOLDER, department_files
from orchestrator.seeding.cast import read_cast
from orchestrator.seeding.databases import DepartmentDatabase, create_department_databases, database_of
from orchestrator.seeding.seed import accounts, make_world, seed_databases

RECORDS_FILE = "records.dsn"
"""In a department's key folder: how its gateway reaches the records. Holds a password."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Population:
    """How many there are besides the cast. The same numbers, seed and day give the same rows."""

    residents: int = 20_000
    enterprises: int = 5_000
    seed: int = 1


def seed_city(
    admin_dsn: str,
    keys_dir: Path,
    marker: Path,
    population: Population,
    *,
    day: date,
    profile: str,
    more: Sequence[Path] = (),
) -> str:
    """Creates and fills the databases, unless `marker` says that it was done for this population and day.

    `more` are further department files. Returns what was done in a few words. Raises Unavailable without a server, Refused
    in profile production: a real department's records are its own.
    """
    adapters = load_adapters([*department_files(), *more])
    wanted = json.dumps({**asdict(population), "day": day.isoformat(), "files": sorted(path.name for path in more)})
    if marker.exists() and marker.read_text() == wanted:
        for department in adapters:
            _relocate(admin_dsn, keys_dir / department / RECORDS_FILE)
        return "沿用今日数据 / today's data kept"
    cast = read_cast((FOLDER / "cast.yaml").read_text("utf-8"))
    world = make_world(
        cast, day=day, residents=population.residents, enterprises=population.enterprises, seed=population.seed
    )
    identity = prepare_identity(admin_dsn)
    people = accounts(cast, world)
    seed_accounts(identity, people, profile=profile)
    seeded = seed_databases(open_databases(admin_dsn, keys_dir, adapters), adapters, world)
    marker.write_text(wanted)
    return f"{sum(seeded.rows.values()):,} 行 / rows, {len(people)} 个账户 / accounts"


def open_databases(
    admin_dsn: str, keys_dir: Path, adapters: dict[str, Adapter], *, keep: bool = False
) -> list[DepartmentDatabase]:
    """Creates what is missing and gives every role a new password; the reader's goes to its department's gateway.

    With `keep`, readers keep the password that their running gateways know.
    """
    names = {database_of(department): department for department in adapters}
    passwords = {role: secrets.token_urlsafe(24) for name in names for role in (name, f"{name}_reader")}
    if keep:
        for name, department in names.items():
            known = conninfo_to_dict((keys_dir / department / RECORDS_FILE).read_text().strip())
            passwords[f"{name}_reader"] = str(known["password"])
    databases = create_department_databases(admin_dsn, adapters.values(), passwords)
    for database in databases:
        _write(keys_dir / database.department / RECORDS_FILE, database.reader)
    return databases


def _relocate(admin_dsn: str, file: Path) -> None:
    """Lets a connection file point to where the server is now: an embedded one takes another port at each start."""
    place = conninfo_to_dict(admin_dsn)
    _write(file, make_conninfo(file.read_text().strip(), host=place.get("host"), port=place.get("port")))


def _write(file: Path, dsn: str) -> None:
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        stream.write(dsn + "\n")
