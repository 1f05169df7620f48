"""A further department file put to work: tables made, SQL checked by the database, rows copied, and only then the file
placed where the department's gateway reads additions.
"""

from __future__ import annotations

import asyncio
import csv
import re
from collections.abc import Sequence
from pathlib import Path

import psycopg
from psycopg import sql

from orchestrator.database import with_database
from orchestrator.domain.catalogue import owner_of, parse_document
from orchestrator.domain.errors import Invalid
from orchestrator.gateway.adapter import Adapter, load_adapters
from orchestrator.gateway.records import Records
from orchestrator.scenarios import department_files
from orchestrator.seeding.city import RECORDS_FILE, open_databases
from orchestrator.seeding.databases import create_indexes, database_of

_PLACE = re.compile(r"line (\d+)(?:, column ([a-z_0-9]+))?")


def add_department_file(
    admin_dsn: str, keys_dir: Path, adapters_dir: Path, file: Path, rows: Sequence[tuple[str, Path]]
) -> dict[str, int]:
    """Puts an addition to work; returns the rows copied by table. `rows` are tables with their CSV files.

    Safe to repeat. Raises Invalid for a faulty file, SQL that does not run and rows that do not fit, before any gateway sees
    the file; Unavailable without a server.
    """
    text = _read(file)
    others = [path for path in sorted(adapters_dir.glob("*.yaml")) if path.name != file.name]
    adapters = load_adapters([*department_files(), *others, file])
    department = owner_of(parse_document(text))
    adapter = adapters[department]
    if not (keys_dir / department / RECORDS_FILE).exists():
        raise Invalid(
            field="extends",
            detail=f"{department} 在本机没有网关",
            detail_en=f"{department} has no gateway on this installation",
            remedy="补充文件以 extends 指明已有部门 / extend a department that has a gateway",
        )
    (database,) = open_databases(admin_dsn, keys_dir, {department: adapter}, keep=True)
    _make_indexes(admin_dsn, department, adapter)
    asyncio.run(_check(database.reader, adapter))
    copied = _copy(admin_dsn, department, adapter, rows)
    adapters_dir.mkdir(parents=True, exist_ok=True)
    placed = adapters_dir / f".{file.name}.new"
    placed.write_text(text, "utf-8")
    placed.rename(adapters_dir / file.name)
    return copied


def _read(file: Path) -> str:
    try:
        return file.read_text("utf-8")
    except UnicodeDecodeError as error:
        raise Invalid(
            field=file.name, detail="文件不是 UTF-8 编码", detail_en="the file is not UTF-8", remedy="另存为 UTF-8"
        ) from error


def _make_indexes(admin_dsn: str, department: str, adapter: Adapter) -> None:
    try:
        with psycopg.connect(with_database(admin_dsn, database_of(department))) as connection:
            create_indexes(connection, adapter.tables())
    except psycopg.errors.UniqueViolation as error:
        raise Invalid(
            field=f"tables.{error.diag.table_name}.key",
            detail="已有数据在 key 列上重复",
            detail_en="rows that are there already repeat in the columns of this key",
            remedy="改正 key,或清理数据 / correct the key, or the rows",
        ) from error


async def _check(reader_dsn: str, adapter: Adapter) -> None:
    async with Records(reader_dsn, adapter) as records:
        await records.check()


def _copy(admin_dsn: str, department: str, adapter: Adapter, rows: Sequence[tuple[str, Path]]) -> dict[str, int]:
    """Copies all files in one transaction."""
    copied: dict[str, int] = {}
    tables = adapter.tables()
    with psycopg.connect(with_database(admin_dsn, database_of(department))) as connection:
        for table, file in rows:
            if table not in tables:
                raise Invalid(
                    field=f"--rows {table}",
                    detail=f"{department} 没有这张表",
                    detail_en=f"{department} has no such table",
                    remedy=" / ".join(tables),
                )
            columns = _columns(table, file, list(tables[table].columns))
            statement = sql.SQL("copy {} ({}) from stdin with (format csv, header true, encoding 'UTF8')").format(
                sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, columns))
            )
            try:
                with connection.cursor() as cursor:
                    with cursor.copy(statement) as copy:
                        copy.write(file.read_bytes())
                    copied[table] = copied.get(table, 0) + cursor.rowcount
            except psycopg.Error as error:
                raise _does_not_fit(table, file, error) from None
    return copied


def _columns(table: str, file: Path, known: list[str]) -> list[str]:
    """The header of a CSV file. Raises Invalid unless it names columns of the table."""
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            header = [name.strip() for name in next(csv.reader(stream), [])]
    except (OSError, UnicodeDecodeError) as error:
        raise Invalid(
            field=f"--rows {table}",
            detail=f"无法读取 {file.name}",
            detail_en=f"{file.name} cannot be read as UTF-8 text",
            remedy="--rows 表=文件.csv / --rows table=file.csv",
        ) from error
    wrong = [name for name in header if name not in known]
    if wrong or not header:
        raise Invalid(
            field=f"{file.name}:1",
            detail=f"{table} 没有列 {'、'.join(wrong) or '(首行为空)'}",
            detail_en=f"{table} has no column {', '.join(wrong) or '(the first line is empty)'}",
            remedy=f"首行写列名 / the first line names columns: {', '.join(known)}",
        )
    return header


def _does_not_fit(table: str, file: Path, error: psycopg.Error) -> Invalid:
    """Where rows do not fit. The server's own message quotes values, which may be somebody's: only place and kind go on."""
    place = _PLACE.search(error.diag.context or "")
    line = f":{place[1]}" if place else ""
    column = f" {place[2]}" if place and place[2] else ""
    kind = type(error).__name__
    return Invalid(
        field=f"{file.name}{line}{column}",
        detail=f"数据与表 {table} 不符({kind}),未导入任何行",
        detail_en=f"a row does not fit the table {table} ({kind}); none was copied",
        remedy="核对列的类型与 key / compare it with the column's type and the key",
    )
