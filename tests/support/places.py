"""Everything that a running cluster leaves anywhere: databases, logs, files, the chain, what went over the wire."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import psycopg
from psycopg import sql

from orchestrator.database import with_database

_BLOCKS = 200
"""Blocks in one request to the node."""


def databases(admin_dsn: str) -> Iterator[tuple[str, bytes]]:
    """Each database of the server with all rows of all its tables, every column, as PostgreSQL writes them (bytea in hex)."""
    with psycopg.connect(admin_dsn) as connection:
        names = [row[0] for row in connection.execute("select datname from pg_database where datallowconn order by 1")]
    for name in names:
        yield name, dump(with_database(admin_dsn, name))


def dump(dsn: str) -> bytes:
    """All rows of all tables of one database, and its large objects."""
    parts: list[bytes] = []
    with psycopg.connect(dsn) as connection:
        tables = connection.execute(
            "select schemaname, tablename from pg_tables where schemaname not in ('pg_catalog', 'information_schema')"
        ).fetchall()
        for place in [*tables, ("pg_catalog", "pg_largeobject")]:
            with connection.cursor().copy(sql.SQL("copy {} to stdout").format(sql.Identifier(*place))) as copy:
                parts += [bytes(each) for each in copy]
    return b"".join(parts)


def files(data_dir: Path) -> Iterator[tuple[str, bytes]]:
    """Every file of the data folder but the database server's own, whose content `databases` tells: logs, settings, state."""
    for path in sorted(data_dir.rglob("*")):
        inside = path.relative_to(data_dir)
        if path.is_file() and not {"data", "traffic"} & set(inside.parts):
            yield str(inside), path.read_bytes()


def chain(node_url: str) -> bytes:
    """All blocks with their transactions, all events, and the node's whole state with code and storage."""
    with httpx.Client(timeout=60, trust_env=False) as client:

        def ask(calls: list[tuple[str, list[object]]]) -> bytes:
            batch = [
                {"jsonrpc": "2.0", "id": number, "method": method, "params": parameters}
                for number, (method, parameters) in enumerate(calls)
            ]
            response = client.post(node_url, json=batch)
            response.raise_for_status()
            wrong = [each["error"] for each in response.json() if "error" in each]
            assert not wrong, wrong
            return response.content

        latest = int(json.loads(ask([("eth_blockNumber", [])]))[0]["result"], 16)
        parts = [
            ask(
                [
                    ("eth_getBlockByNumber", [hex(number), True])
                    for number in range(first, min(first + _BLOCKS, latest + 1))
                ]
            )
            for first in range(0, latest + 1, _BLOCKS)
        ]
        everything: list[object] = [{"fromBlock": "0x0", "toBlock": hex(latest)}]
        return b"\n".join([*parts, ask([("eth_getLogs", everything)]), ask([("anvil_dumpState", [])])])
