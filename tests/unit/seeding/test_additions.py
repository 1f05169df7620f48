"""A further department file: put to work whole, or not at all."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from orchestrator.database import with_database
from orchestrator.devnet.postgres import EmbeddedPostgres
from orchestrator.domain.errors import Invalid
from orchestrator.gateway.adapter import load_adapters
from orchestrator.scenarios import department_files
from orchestrator.seeding.additions import add_department_file
from orchestrator.seeding.city import open_databases

DEPARTMENT = Path(__file__).parents[2] / "acceptance" / "data" / "donor-card" / "department.yaml"
TEXT = DEPARTMENT.read_text("utf-8")
HEADER = "xxbh,gmsfhm,xxrq,xxl,zt\n"
ROW = "{},110199198806120116,2026-01-01,200,1\n"
HEALTH = "haidian-health"


@pytest.fixture(scope="module")
def pg_admin_dsn() -> Iterator[str]:
    """A server of these tests' own: they drop a department's database and give its roles new passwords."""
    with tempfile.TemporaryDirectory(prefix="lianban-postgres-") as name:
        server = EmbeddedPostgres(Path(name))
        try:
            yield server.start()
        finally:
            server.stop()


@pytest.fixture
def folder(pg_admin_dsn: str, tmp_path: Path) -> Iterator[Path]:
    """The folder of an installation whose health commission has an empty database."""
    with psycopg.connect(pg_admin_dsn, autocommit=True) as connection:
        connection.execute("drop database if exists dept_haidian_health")
    adapters = load_adapters(department_files())
    open_databases(pg_admin_dsn, tmp_path / "keys", {HEALTH: adapters[HEALTH]})
    yield tmp_path
    with psycopg.connect(pg_admin_dsn, autocommit=True) as connection:
        connection.execute("drop database dept_haidian_health")


def add(dsn: str, folder: Path, text: str = TEXT, rows: str | None = None, table: str = "wj_xxjl") -> dict[str, int]:
    file, table_file = folder / "blood.yaml", folder / "rows.csv"
    file.write_text(text, "utf-8")
    table_file.write_text(rows or HEADER, "utf-8")
    given = [(table, table_file)] if rows is not None else []
    return add_department_file(dsn, folder / "keys", folder / "adapters", file, given)


def stored(dsn: str) -> list[tuple[object, ...]]:
    with psycopg.connect(with_database(dsn, "dept_haidian_health")) as connection:
        return connection.execute("select trim(xxbh) from wj_xxjl order by 1").fetchall()


def test_add_department_file__good__tables_indexes_rows_and_file(pg_admin_dsn: str, folder: Path) -> None:
    assert add(pg_admin_dsn, folder, rows=HEADER + ROW.format(1) + ROW.format(2)) == {"wj_xxjl": 2}
    assert stored(pg_admin_dsn) == [("1",), ("2",)]
    assert (folder / "adapters" / "blood.yaml").read_text("utf-8") == TEXT
    with psycopg.connect(with_database(pg_admin_dsn, "dept_haidian_health")) as connection:
        indexes = {row[0] for row in connection.execute("select indexname from pg_indexes where tablename = 'wj_xxjl'")}
    assert indexes == {"wj_xxjl_xxbh_idx", "wj_xxjl_gmsfhm_idx"}


def test_add_department_file__again_with_a_new_column_and_more_rows__added(pg_admin_dsn: str, folder: Path) -> None:
    add(pg_admin_dsn, folder, rows=HEADER + ROW.format(1))
    wider = TEXT.replace("          zt:", "          xx: {type: varchar(4), comment: 血型}\n          zt:")
    rows = "xxbh,gmsfhm,xx\n2,110199198806120116,AB\n"
    assert add(pg_admin_dsn, folder, wider, rows) == {"wj_xxjl": 1}
    assert stored(pg_admin_dsn) == [("1",), ("2",)]


@pytest.mark.parametrize(
    ("rows", "field", "said"),
    [
        (HEADER + ROW.format(1) + "2,110199198806120116,soon,200,1\n", "rows.csv:3 xxrq", "InvalidDatetimeFormat"),
        (HEADER + ROW.format(1) + ROW.format(1), "rows.csv:3", "UniqueViolation"),
        (HEADER + "1,110199198806120116\n", "rows.csv:2", "BadCopyFileFormat"),
        ("xxbh,sfz\n", "rows.csv:1", "no column sfz"),
        ("\n", "rows.csv:1", "first line"),
    ],
)
def test_add_department_file__row_that_does_not_fit__place_named_nothing_copied_nobody_named(
    pg_admin_dsn: str, folder: Path, rows: str, field: str, said: str
) -> None:
    with pytest.raises(Invalid) as error:
        add(pg_admin_dsn, folder, rows=rows)
    assert error.value.field == field
    assert said in error.value.detail_en
    assert "110199198806120116" not in f"{error.value} {error.value.field} {error.value.remedy}"
    assert stored(pg_admin_dsn) == []
    assert not (folder / "adapters").exists()


@pytest.mark.parametrize(
    ("old", "new", "field"),
    [
        ("r.times >=", "r.tmies >=", "E40.donations_at_least"),
        ("t.zt = '1'", "t.status = '1'", "E40.donations_at_least"),
        ("sql: r.times\n", "sql: r.times;\n", "blood.yaml:18 haidian-health.evidence.E40"),
        ("indexes: [[gmsfhm]]", "indexes: [[sfz]]", "blood.yaml:8 haidian-health.records.R40.tables.wj_xxjl"),
        ("extends: haidian-health", "extends: haidian-nobody", "extends"),
        ("extends: haidian-health", "extends: haidian-fire-rescue", "extends"),
    ],
)
def test_add_department_file__faulty__named_and_no_gateway_sees_it(
    pg_admin_dsn: str, folder: Path, old: str, new: str, field: str
) -> None:
    assert old in TEXT
    with pytest.raises(Invalid) as error:
        add(pg_admin_dsn, folder, TEXT.replace(old, new))
    assert error.value.field == field
    assert not (folder / "adapters").exists()


def test_add_department_file__table_of_nobody__those_there_are(pg_admin_dsn: str, folder: Path) -> None:
    with pytest.raises(Invalid) as error:
        add(pg_admin_dsn, folder, rows=HEADER, table="wj_xxl")
    assert error.value.remedy == "wj_xxjl"


def test_add_department_file__evidence_of_another_addition__defined_twice(pg_admin_dsn: str, folder: Path) -> None:
    add(pg_admin_dsn, folder)
    (folder / "adapters" / "blood.yaml").rename(folder / "adapters" / "other.yaml")
    with pytest.raises(Invalid) as error:
        add(pg_admin_dsn, folder)
    assert "defined twice" in error.value.detail_en
