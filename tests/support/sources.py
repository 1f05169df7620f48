"""One department's records through every connector: the same rows as files, in SQL databases and in an HTTP system.

The social insurance centre is it: four tables, of which two are looked up by what a third gave.
"""

from __future__ import annotations

import csv
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import openpyxl
import psycopg
import yaml
from psycopg.conninfo import conninfo_to_dict

from orchestrator.gateway.adapter import Adapter, read_adapters
from orchestrator.scenarios import FOLDER
from tests.support.https_system import SECRET, HttpsSystem, https_system, private_file

KINDS = ("csv", "xlsx", "sqlite", "postgresql", "http-oauth2", "http-certificate")
LOOK_UPS = {
    "ac01": {"aac002": "s.id"},
    "ac02": {"aac001": "ac01.aac001"},
    "ac43": {"aac001": "ac01.aac001"},
    "jc_syjff": {"aac002": "s.id"},
    "wl_sxmd": {"uscc": "s.id"},
}


def document(department: str, kind: str, source: str = "own") -> dict[str, Any]:
    """A department's document that ships, with its records in a source."""
    text = (FOLDER / "departments" / f"{department}.yaml").read_text("utf-8")
    parsed: dict[str, Any] = yaml.safe_load(text)
    for record in parsed["records"].values():
        if not set(record["tables"]) <= LOOK_UPS.keys():
            continue
        record["source"] = source
        for name, table in record["tables"].items():
            table["look_up"] = LOOK_UPS[name]
            [column] = LOOK_UPS[name]
            if kind in ("csv", "xlsx"):
                table["file"] = {"pattern": f"{name}_{{date}}.{kind}"}
            if kind == "http-oauth2":  # many keys at once
                body = {"by": column, "keys": "{values}"}
                search = {"path": f"/api/{name}/search", "method": "POST", "body": body, "batch": 200}
                table["request"] = {**search, "rows": "data.items", "total": "data.total"}
            if kind == "http-certificate":  # one by one; only for tables with a row for each key
                table["request"] = {"path": f"/api/{name}/{{value}}", "absent": [404]}
    return parsed


def adapter(department: str, kind: str) -> Adapter:
    """The same as an adapter."""
    return read_adapters([yaml.safe_dump(document(department, kind), allow_unicode=True)])[department]


def copy_of(owner_dsn: str, tables: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
    """The rows of a department's tables as text."""
    rows: dict[str, list[dict[str, Any]]] = {}
    with psycopg.connect(owner_dsn) as connection:
        for table in tables:
            found = connection.execute(f"select * from {table}")
            names = [column.name for column in found.description or ()]
            rows[table] = [
                {name: None if value is None else str(value) for name, value in zip(names, row, strict=True)}
                for row in found
            ]
    return rows


@contextmanager
def source(
    kind: str, folder: Path, reader_dsn: str, rows: dict[str, list[dict[str, Any]]]
) -> Iterator[HttpsSystem | None]:
    """The rows in a source of that kind, which `folder/sources.yaml` names `own`; the HTTP system where there is one."""
    folder.mkdir(exist_ok=True)
    if kind in ("csv", "xlsx"):
        settings = _files(kind, folder / "drops", rows)
    elif kind == "sqlite":
        settings = _sqlite(folder / "own.db", rows)
    elif kind == "postgresql":
        parts = conninfo_to_dict(reader_dsn)
        private_file(folder / "own.password", str(parts["password"]))
        place = f"{parts['user']}@{parts['host']}:{parts['port']}/{parts['dbname']}"
        settings = {"kind": "sql", "url": f"postgresql+psycopg://{place}", "password_file": "own.password"}
    else:
        with _system(kind, folder, rows) as (settings, system):
            _write(folder, settings)
            yield system
        return
    _write(folder, settings)
    yield None


def _write(folder: Path, settings: dict[str, Any]) -> None:
    (folder / "sources.yaml").write_text(yaml.safe_dump({"own": {"timeout": 30, **settings}}), "utf-8")


def _files(kind: str, folder: Path, rows: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    folder.mkdir()
    for table, held in rows.items():
        file = folder / f"{table}_20260302.{kind}"
        header = list(held[0])
        if kind == "csv":
            with file.open("w", encoding="utf-8", newline="") as stream:
                writer = csv.DictWriter(stream, header)
                writer.writeheader()
                writer.writerows(held)
        else:
            book = openpyxl.Workbook(write_only=True)
            sheet = book.create_sheet()
            sheet.append(header)
            for row in held:
                sheet.append(list(row.values()))
            book.save(file)
        os.utime(file, (1, 1))
    return {"kind": "files", "folder": str(folder)}


def _sqlite(file: Path, rows: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    with sqlite3.connect(file) as connection:
        for table, held in rows.items():
            connection.execute(f"create table {table} ({', '.join(held[0])})")
            marks = ", ".join("?" * len(held[0]))
            connection.executemany(f"insert into {table} values ({marks})", [list(row.values()) for row in held])
    connection.close()
    return {"kind": "sql", "url": f"sqlite:///{file}"}


@contextmanager
def _system(
    kind: str, folder: Path, rows: dict[str, list[dict[str, Any]]]
) -> Iterator[tuple[dict[str, Any], HttpsSystem]]:
    from tests.support.https_system import Authority

    settings: dict[str, Any] = {"kind": "http", "ca_file": "ca.pem"}
    clients = None
    if kind == "http-certificate":
        clients = Authority(folder, "clients")
        clients.issue("gateway", server=False, passphrase="open")
        private_file(folder / "gateway.passphrase", "open\n")
        settings |= {
            "certificate_file": "gateway.pem",
            "key_file": "gateway.key",
            "key_passphrase_file": "gateway.passphrase",
        }
    with https_system(
        folder, client_ca=clients.file if clients else None, tables=rows, tokens_needed=clients is None
    ) as system:
        settings["url"] = system.url
        if clients is None:
            private_file(folder / "client.secret", SECRET + "\n")
            settings["oauth2"] = {
                "token_url": f"{system.url}/token",
                "client_id": "gateway",
                "client_secret_file": "client.secret",
            }
            settings["read_calls"] = [f"POST /api/{table}/search" for table in rows]
        yield settings, system
