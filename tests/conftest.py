"""What tests share: a PostgreSQL server for those that need one, and asyncio for those that are coroutines."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from orchestrator.devnet.postgres import EmbeddedPostgres

if TYPE_CHECKING:
    from tests.support.departments import SeededDepartments


settings.register_profile("lianban", deadline=None)  # a busy machine is no failure
settings.load_profile("lianban")


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Coroutines run on asyncio."""
    return "asyncio"


@pytest.fixture(scope="session")
def pg_admin_dsn() -> Iterator[str]:
    """DSN of a superuser on a real PostgreSQL server: `LIANBAN_TEST_DATABASE`, or the embedded server in a new folder."""
    given = os.environ.get("LIANBAN_TEST_DATABASE")
    if given:
        yield given
        return
    # Not in pytest's own temporary folder: another session closes that to the account that the server runs under.
    with tempfile.TemporaryDirectory(prefix="lianban-postgres-") as folder:
        server = EmbeddedPostgres(Path(folder))
        try:
            yield server.start()
        finally:
            server.stop()


@pytest.fixture(scope="session")
def departments(pg_admin_dsn: str) -> Iterator[SeededDepartments]:
    """All departments' databases, seeded. A test that changes rows puts them back."""
    from tests.support.departments import seeded_departments

    with seeded_departments(pg_admin_dsn) as seeded:
        yield seeded
