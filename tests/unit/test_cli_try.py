"""`lianban gateway try`: record, claims and readers of one subject; what is wrong is named by its place in the file."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml
from typer.testing import CliRunner

from orchestrator.cli_gateway import app
from orchestrator.domain.errors import Invalid
from orchestrator.scenarios import FOLDER
from tests.support.consortium import GALLERY_SUBJECTS
from tests.support.departments import SeededDepartments
from tests.support.sources import document

COMPANY = GALLERY_SUBJECTS["company"][0][1]
SCENARIOS = ("--scenario", str(FOLDER / "open-gallery.yaml"))


@pytest.fixture
def keys(departments: SeededDepartments, tmp_path: Path) -> Path:
    """A key folder without any key: a connection file and a folder of drops."""
    folder = tmp_path / "keys"
    folder.mkdir()
    (folder / "records.dsn").write_text(departments.databases["haidian-health"].reader)
    (folder / "sources.yaml").write_text(f"own: {{kind: files, folder: {tmp_path}, settle: 0}}", "utf-8")
    (tmp_path / "wl_sxmd_20260302.csv").write_text(f"uscc,lryy,lrrq,ycrq\n{COMPANY},拖欠,2026-01-05,\n", "utf-8")
    return folder


def bureau(tmp_path: Path, change: tuple[str, str] = ("", "")) -> Path:
    parsed = document("haidian-culture-tourism", "csv")
    parsed["evidence"] = {"E30": parsed["evidence"]["E30"]}
    del parsed["records"]["R32"]
    file = tmp_path / "bureau.yaml"
    text = yaml.safe_dump(parsed, allow_unicode=True, sort_keys=False)
    assert change[0] in text
    file.write_text(text.replace(*change) if change[0] else text, "utf-8")
    return file


def run(file: Path, keys: Path, *arguments: str, subject: str = f"uscc:{COMPANY}") -> Any:
    given = ["try", "--adapter", str(file), "--keys", str(keys), "--subject", subject, *SCENARIOS, *arguments]
    return CliRunner().invoke(app, given, env={"COLUMNS": "200"})


def test_try__one_subject__record_claims_and_readers(tmp_path: Path, keys: Path, pg_admin_dsn: str) -> None:
    with psycopg.connect(pg_admin_dsn) as connection:
        databases = "select array_agg(datname order by 1) from pg_database"
        before = connection.execute(databases).fetchone()
    result = run(bureau(tmp_path), keys)

    assert result.exit_code == 0, result.exception
    lines = [line.replace("│", " ").split() for line in result.output.splitlines()]
    assert ["listed", "true"] in lines
    assert ["not_on_culture_list", "false"] in lines
    [seen] = [line for line in result.output.splitlines() if "open-gallery" in line]
    assert "明文" in seen
    assert "culture-tourism" in seen
    # Nothing was made or written: no store, no log, no key.
    with psycopg.connect(pg_admin_dsn) as connection:
        assert connection.execute(databases).fetchone() == before
    assert sorted(path.name for path in keys.iterdir()) == ["records.dsn", "sources.yaml"]


def test_try__sealed_and_unasked_claims__who_reads_them(
    departments: SeededDepartments, tmp_path: Path, keys: Path
) -> None:
    (keys / "records.dsn").write_text(departments.databases["haidian-market-supervision"].reader)
    file = FOLDER / "departments" / "haidian-market-supervision.yaml"

    result = run(file, keys, "--evidence", "E05")

    assert result.exit_code == 0, result.exception
    lines = result.output.splitlines()
    [name] = [line for line in lines if "open-gallery" in line and "E05.company entity_name " in line]
    assert "密文" in name
    assert "海淀墨白画廊有限公司" in name
    assert any("无人可见" in line for line in lines)


def test_try__no_record__said_and_every_answer_unknown(tmp_path: Path, keys: Path) -> None:
    result = run(bureau(tmp_path, ("where s.type = 'uscc'", "where s.type = 'uscc' and false")), keys)

    assert "no record" in result.output
    assert '"unknown"' in result.output


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (("ycrq:\n", "ycrq:\n            source: 移出\n"), "records.R33.tables.wl_sxmd.columns.ycrq.source"),
        (("type: varchar(300)", "type: integer"), "records.R33.tables.wl_sxmd.columns.lryy"),
        (("wl_sxmd_{date}", "list_{date}"), "records.R33.tables.wl_sxmd.file.pattern"),
        (("source: own", "source: other"), "records.R33.source"),
        (("sql: not r.listed", "sql: not r.liste"), "evidence.E30.claims.not_on_culture_list.sql"),
        (("t.ycrq > s.today", "t.yrq > s.today"), "evidence.E30.record"),
        (("exists (select 1", "1 / (select 0) = exists (select 1"), "evidence.E30"),
        (("sql: not r.listed", "sql: pg_sleep(1) is null"), "evidence.E30"),
        (("sql: not r.listed", "sql: r.listed::int"), "evidence.E30.claims.not_on_culture_list.sql"),
    ],
)
def test_try__something_is_wrong__place_in_the_file_and_remedy(
    tmp_path: Path, keys: Path, change: tuple[str, str], field: str
) -> None:
    result = run(bureau(tmp_path, change), keys)

    assert isinstance(result.exception, Invalid)
    assert field in result.exception.field
    assert result.exception.field.startswith("bureau.yaml:")
    assert result.exception.remedy
    assert "拖欠" not in str(result.exception)


def test_try__claim_without_such_a_column__those_of_the_record_named(tmp_path: Path, keys: Path) -> None:
    result = run(bureau(tmp_path, ("sql: not r.listed", "sql: not r.liste")), keys)

    assert isinstance(result.exception, Invalid)
    assert "r has: listed" in result.exception.remedy


def test_try__value_of_another_type__said_and_exit_code_2(tmp_path: Path, keys: Path) -> None:
    result = run(bureau(tmp_path, ("type: predicate", "type: integer")), keys)

    assert result.exit_code == 2
    assert "类型不符:sql 应得 integer" in result.output


def test_try__claim_fails_on_this_record__said_and_exit_code_2(tmp_path: Path, keys: Path) -> None:
    result = run(bureau(tmp_path, ("sql: not r.listed", "sql: 1 / (r.n - r.n) > 0")), keys)

    assert result.exit_code == 2
    assert "division by zero" in result.output


def test_try__number_that_cannot_be_one__said(tmp_path: Path, keys: Path) -> None:
    assert "校验位" not in run(bureau(tmp_path), keys).output
    assert "check character" in run(bureau(tmp_path), keys, subject=f"uscc:{COMPANY[:-1]}A").output


def test_try__narrow_terminal__names_are_folded_and_not_cut(tmp_path: Path, keys: Path) -> None:
    given = ["try", "--adapter", str(bureau(tmp_path)), "--keys", str(keys), "--subject", f"uscc:{COMPANY}", *SCENARIOS]
    result = CliRunner().invoke(app, given, env={"COLUMNS": "60"})

    assert result.exit_code == 0, result.exception
    assert "…" not in result.output


@pytest.mark.parametrize(
    ("text", "field"),
    [
        (b"department:\n\tid: x\n", "own.yaml:2"),
        ("# 水务局\n".encode("gb18030"), "own.yaml"),
        (b"records: {}", "own.yaml department"),
        (b"department: {seat: 3}", "own.yaml department.id"),
    ],
    ids=["tab", "encoding", "nobody's", "no id"],
)
def test_try__file_that_is_none__named(tmp_path: Path, keys: Path, text: bytes, field: str) -> None:
    (tmp_path / "own.yaml").write_bytes(text)

    result = run(tmp_path / "own.yaml", keys)

    assert isinstance(result.exception, Invalid)
    assert result.exception.field == field


def test_try__new_department_with_a_number_that_ships__said(tmp_path: Path, keys: Path) -> None:
    result = run(bureau(tmp_path, ("id: haidian-culture-tourism\n", "id: haidian-water\n")), keys)

    assert isinstance(result.exception, Invalid)
    assert "twice" in result.exception.detail_en


def test_try__no_sources_file__says_which_option_names_the_folder(tmp_path: Path, keys: Path) -> None:
    (keys / "sources.yaml").unlink()

    result = run(bureau(tmp_path), keys)

    assert isinstance(result.exception, Invalid)
    assert result.exception.field == "--keys"


@pytest.mark.parametrize(
    ("arguments", "subject", "field"),
    [
        ((), "uscc", "--subject"),
        ((), "tax:1", "--subject"),
        ((), "citizen:1", "--subject"),
        (("--evidence", "E99"), "uscc:1", "--evidence"),
        (("--param", "n"), "uscc:1", "--param"),
        (("--other", "x=1"), "uscc:1", "--other"),
    ],
)
def test_try__wrong_argument__named(
    tmp_path: Path, keys: Path, arguments: tuple[str, ...], subject: str, field: str
) -> None:
    result = run(bureau(tmp_path), keys, *arguments, subject=subject)

    assert isinstance(result.exception, Invalid)
    assert result.exception.field == field


def test_try__no_connection_file__a_server_of_its_own_that_ends(tmp_path: Path, keys: Path) -> None:
    """From the package alone: no chain, no database, no setting."""
    (keys / "records.dsn").unlink()
    command: list[str | Path] = [
        sys.executable,
        "-m",
        "orchestrator.cli",
        "gateway",
        "try",
        "--adapter",
        bureau(tmp_path),
    ]
    command += ["--keys", keys, "--subject", "uscc:-", *SCENARIOS]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("LIANBAN_")}
    environment |= {"LIANBAN_DATA_DIR": str(tmp_path / "var"), "COLUMNS": "200"}

    done = subprocess.run(
        command, input=f"{COMPANY}\n", capture_output=True, text=True, env=environment, timeout=240, check=False
    )

    assert done.returncode == 0, done.stderr
    assert "not_on_culture_list" in done.stdout
    assert COMPANY not in done.stdout + done.stderr
    assert not (tmp_path / "var").exists()
    assert sorted(path.name for path in keys.iterdir()) == ["sources.yaml"]
