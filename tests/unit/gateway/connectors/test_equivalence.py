"""One adapter, whatever holds the records: every claim about the cast is the same through each connector."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import structlog

from orchestrator.domain.errors import Unavailable
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
    if system is not None:  # 50 subjects a request; ac02 belongs to the same record
        assert sorted(system.asked) == ["POST /api/ac01/search"] * 6 + ["POST /api/ac02/search"] * 6
        assert not any(number in line for line in system.asked for number in people)


@pytest.mark.parametrize("enough", [True, False])
def test_read__more_rows_than_a_look_up_may_give__halves_until_it_may(
    enough: bool, departments: SeededDepartments, rows: dict[str, list[dict[str, Any]]], tmp_path: Path
) -> None:
    """Contributions are many for each person; for one person alone too many are a fault."""
    paid = Counter(row["aac001"] for row in rows["ac43"])
    people = [row["aac002"] for row in rows["ac01"] if row["aac001"] in paid][:12]
    mine = [paid[row["aac001"]] for row in rows["ac01"] if row["aac002"] in people]
    most = max(mine) if enough else max(mine) - 1
    assert sum(mine) > most
    asks = [
        Ask(
            evidence="E24",
            claims=(ClaimAsk(key="x", claim="last_insured_month"),),
            subject=Party(type="citizen", id=number, name=""),
        )
        for number in people
    ]

    async def run() -> list[dict[str, Any]]:
        async with Records(departments.databases[FUND].reader, departments.adapters[FUND]) as directly:
            expected = await directly.read(asks, departments.day)
        async with Records(departments.databases[FUND].reader, adapter(FUND, "csv"), Connections(tmp_path)) as through:
            assert await through.read(asks, departments.day) == expected
        return expected

    with source("csv", tmp_path, departments.databases[FUND].reader, rows):
        settings = tmp_path / "sources.yaml"
        settings.write_text(settings.read_text("utf-8") + f"  max_rows: {most}\n", "utf-8")
        if not enough:
            with pytest.raises(Unavailable), structlog.testing.capture_logs() as logged:
                asyncio.run(run())
            assert {line["field"] for line in logged if line["event"] == "source-failed"} == {
                "sources.yaml.own.max_rows"
            }
        else:
            assert any(asyncio.run(run()))
