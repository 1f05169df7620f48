"""The identity seat's database, made ready: created, migrated and, on a devnet, filled with development accounts."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from orchestrator.database import ensure_databases, migrate, open_pool, with_database
from orchestrator.identity.store import IdentityStore

DATABASE: Final = "identity"
MIGRATIONS: Final = Path(__file__).parent / "versions"


def prepare_identity(admin_dsn: str, name: str = DATABASE) -> str:
    """Creates and migrates the identity seat's database; returns its connection string."""
    ensure_databases(admin_dsn, [name])
    dsn = with_database(admin_dsn, name)
    migrate(dsn, MIGRATIONS)
    return dsn


def seed_accounts(
    dsn: str,
    people: Iterable[tuple[str, str]],
    *,
    profile: str,
    attributes: Mapping[str, Mapping[str, Any]] | None = None,
) -> int:
    """Makes development accounts of [(citizen number, name)]; returns how many.

    `attributes` by number make test persons behave: `{"face_check": "fails"}`. Raises Refused in profile production.
    """
    listed = list(people)

    async def seed() -> int:
        async with open_pool(dsn, size=1) as pool:
            return await IdentityStore(pool).seed_development_accounts(listed, profile=profile, attributes=attributes)

    return asyncio.run(seed())
