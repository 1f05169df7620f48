"""One adapter, whatever holds the records: every claim about the cast is the same through each connector."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from orchestrator.gateway.connectors.guarded import Connections
from orchestrator.gateway.records import Ask, ClaimAsk, Party, Records
from tests.support.departments import SeededDepartments
from tests.support.sources import KINDS, adapter, copy_of, source
from tests.unit.gateway.test_records import CASES, ask_of

FUND = "beijing-social-insurance"
TABLES = ("ac01", "ac02", "ac43", "jc_syjff")
EVIDENCE = ("E24", "E25", "E26")


@pytest.fixture(scope="module")
def rows(departments: SeededDepartments) -> dict[str, list[dict[str, Any]]]:
    return copy_of(departments.databases[FUND].owner, TABLES)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "http-certificate"])
def test_read__cast_through_a_source__as_from_the_database(
    kind: str, departments: SeededDepartments, rows: dict[str, list[dict[str, Any]]], tmp_path: Path
) -> None:
    """Records is given the reader of another department, whose tables do not exist there: all rows come from the source."""
    elsewhere = departments.databases["haidian-health"].reader
    cases = [case for evidence in EVIDENCE for case in CASES[evidence]]
    asks = [ask_of(departments, evidence, case) for evidence in EVIDENCE for case in CASES[evidence]]
    days = {case.get("day", departments.day) for case in cases}

    async def run() -> list[dict[str, Any]]:
        async with Records(elsewhere, adapter(FUND, kind), Connections(tmp_path)) as records:
            await records.check()
            by_day = {day: await records.read(asks, day) for day in days}
        return [by_day[case.get("day", departments.day)][at] for at, case in enumerate(cases)]

    with source(kind, tmp_path, departments.databases[FUND].reader, rows):
        values = asyncio.run(run())

    expected = [{str(n): "unknown" if value == "u" else value for n, (*_, value) in enumerate(c["ask"])} for c in cases]
    assert values == expected


@pytest.mark.parametrize("kind", ["sqlite", "http-oauth2"])
def test_read__hundreds_of_subjects__few_look_ups(
    kind: str, departments: SeededDepartments, rows: dict[str, list[dict[str, Any]]], tmp_path: Path
) -> None:
    people = [row["aac002"] for row in rows["ac01"]][:300]
    asks = [
        Ask(
            evidence="E26",
            claims=(ClaimAsk(key="x", claim="not_receiving_pension"),),
            subject=Party(type="citizen", id=number, name=""),
        )
        for number in people
    ]

    async def run() -> list[dict[str, Any]]:
        async with Records(departments.databases[FUND].reader, adapter(FUND, kind), Connections(tmp_path)) as through:
            values = await through.read(asks, departments.day)
        async with Records(departments.databases[FUND].reader, departments.adapters[FUND]) as directly:
            assert values == await directly.read(asks, departments.day)
        return values

    with source(kind, tmp_path, departments.databases[FUND].reader, rows) as system:
        values = asyncio.run(run())

    assert {value["x"] for value in values} == {True, False}
    if system is not None:  # 200 keys a request; ac02 belongs to the same record
        assert sorted(system.asked) == ["POST /api/ac01/search"] * 2 + ["POST /api/ac02/search"] * 2
        assert not any(number in line for line in system.asked for number in people)
