"""A source's limits: time, rows, the breaker, and `sources.yaml` read again as it changes."""

from __future__ import annotations

import asyncio
import contextlib
import os
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import structlog
import yaml
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.domain.errors import Invalid, Unavailable
from orchestrator.gateway.adapter import read_adapters
from orchestrator.gateway.connectors.connector import Keys, Row, SourceFault
from orchestrator.gateway.connectors.guarded import Connections, Guarded
from orchestrator.gateway.layout import Table
from orchestrator.gateway.records import Ask, ClaimAsk, Party, Records
from orchestrator.gateway.sources import FileSource, load_sources, secret
from tests.support.https_system import private_file
from tests.unit.gateway.test_adapter import DEPARTMENT

TABLE = Table.model_validate({"columns": {"zh": {"type": "text", "comment": "-"}}, "look_up": {"zh": "s.id"}})


class Source:
    """A connector that gives what it is told to."""

    def __init__(self) -> None:
        self.rows: list[Row] = [{"zh": "A"}]
        self.fault: Exception | None = None
        self.pause = 0.0
        self.asked: list[Keys] = []

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    async def fetch(self, name: str, table: Table, keys: Keys, most: int) -> list[Row]:
        self.asked.append(keys)
        await asyncio.sleep(self.pause)
        if self.fault is not None:
            raise self.fault
        return self.rows


def guarded(source: Source, **limits: Any) -> Guarded:
    settings = {"kind": "files", "folder": "/none", "timeout": 0.2, "failures": 2, "pause": 0.3, **limits}
    return Guarded("own", source, FileSource.model_validate(settings))


def fetch(source: Guarded, keys: Keys = None) -> list[Row]:
    return asyncio.run(source.fetch("t", TABLE, keys))


def test_fetch__more_rows_than_allowed__fault_and_nothing_cut_off() -> None:
    source = Source()
    source.rows = [{"zh": str(n)} for n in range(6)]
    with pytest.raises(SourceFault, match="more than 5 rows") as caught:
        fetch(guarded(source, max_rows=5))

    assert caught.value.field == "sources.yaml.own.max_rows"
    assert caught.value.code == "records-unavailable"
    assert len(fetch(guarded(source, max_rows=6))) == 6


def test_fetch__too_slow__fault_names_the_limit() -> None:
    source = Source()
    source.pause = 5
    with pytest.raises(SourceFault, match=r"within 0\.2 seconds") as caught:
        fetch(guarded(source))

    assert caught.value.field == "sources.yaml.own.timeout"


def test_fetch__failures_in_a_row__left_alone_then_tried_by_one() -> None:
    source = Source()
    source.fault = SourceFault("f", "坏", "broken", "")
    own = guarded(source)

    async def run() -> None:
        for _ in range(2):
            with pytest.raises(SourceFault, match="broken"):
                await own.fetch("t", TABLE, None)
        with structlog.testing.capture_logs() as logged:
            with pytest.raises(SourceFault, match="left alone"):
                await own.fetch("t", TABLE, None)
            assert len(source.asked) == 2
            await asyncio.sleep(0.35)
            source.fault, source.pause = None, 0.05
            results = await asyncio.gather(*(own.fetch("t", TABLE, None) for _ in range(5)), return_exceptions=True)
            assert len(source.asked) == 3  # one tries, the others are told
            assert sum(isinstance(result, SourceFault) for result in results) == 4
            assert await own.fetch("t", TABLE, None) == source.rows
        assert "source-back" in [line["event"] for line in logged]

    asyncio.run(run())


def test_fetch__no_keys__nobody_is_asked() -> None:
    source = Source()

    assert fetch(guarded(source), {"zh": []}) == []
    assert source.asked == []


WATER = yaml.safe_load(DEPARTMENT)
WATER["records"]["R90"] |= {"source": "drops"}
WATER["records"]["R90"]["tables"]["sw_zh"] |= {"look_up": {"zh": "s.id"}, "file": {"pattern": "zh.csv"}}


def test_read__source_fails__asker_sees_unavailable_and_no_more(pg_admin_dsn: str, tmp_path: Path) -> None:
    """A header may be somebody's row when the adapter names the wrong line: what it says stays in the department."""
    (tmp_path / "zh.csv").write_text("zh,张三\nA,1\n", "utf-8")
    os.utime(tmp_path / "zh.csv", (1, 1))
    (tmp_path / "sources.yaml").write_text(f"drops: {{kind: files, folder: {tmp_path}}}", "utf-8")
    adapter = read_adapters([yaml.safe_dump(WATER, allow_unicode=True)])["haidian-water"]
    asks = [
        Ask(
            evidence="E90",
            claims=(ClaimAsk(key="x", claim="no_debt"),),
            subject=Party(type="contract", id="A", name=""),
        )
    ]

    async def run() -> list[dict[str, Any]]:
        async with Records(pg_admin_dsn, adapter, Connections(tmp_path)) as records:
            for _ in range(2):
                with structlog.testing.capture_logs() as logged, pytest.raises(Unavailable) as caught:
                    await records.read(asks, date(2026, 3, 2))
                assert not isinstance(caught.value, SourceFault)
                assert caught.value.code == "records-unavailable"
                assert "张三" not in f"{caught.value} {caught.value.remedy} {logged}"
            assert [line["field"] for line in logged] == ["sw_zh.columns.qf.source"]
            (tmp_path / "zh.csv").write_text("zh,qf\nA,0\n", "utf-8")
            os.utime(tmp_path / "zh.csv", (2, 2))
            return await records.read(asks, date(2026, 3, 2))

    assert asyncio.run(run()) == [{"x": True}]


def test_of__file_changes__taken_up_and_a_faulty_one_is_not(tmp_path: Path) -> None:
    file = tmp_path / "sources.yaml"

    async def run() -> None:
        connections = Connections(tmp_path)
        await connections.open()
        assert await connections.of("own") is None
        file.write_text("own: {kind: files, folder: /srv/a}", "utf-8")
        first = await connections.of("own")
        assert first is not None
        file.write_text("own: {kind: nothing}", "utf-8")
        os.utime(file, (5, 5))
        with structlog.testing.capture_logs() as logged:
            assert await connections.of("own") is first
        assert logged[0]["field"] == "sources.yaml.own.kind"
        await connections.close()

    asyncio.run(run())


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("own: {kind: ftp}", "own.kind"),
        ("own: {folder: /srv}", "own.kind"),
        ("own: {kind: files, folder: drops}", "own.folder"),
        ("own: {kind: files, folder: /srv, patience: 3}", "own.patience"),
        ("own: {kind: files, folder: /srv, timeout: 0}", "own.timeout"),
        ("own: {kind: sql, url: 'postgresql://u:secret@h/d'}", "own.url"),
        ("own: {kind: sql, url: 'mysql://h/d?password=secret'}", "own.url"),
        ("own: {kind: sql, url: 'sqlite:////a.db', password_file: ../secret}", "own.password_file"),
        ("own: {kind: sql, url: secret}", "own.url"),
        ("own: {kind: http, url: 'https://h', certificate_file: c.pem}", "own"),
        ("own: {kind: http, url: 'https://u:secret@h'}", "own.url"),
        ("Own: {kind: files, folder: /srv}", "Own"),
        ("own: [secret", ""),
    ],
)
def test_load_sources__faulty__invalid_names_the_field_not_the_value(tmp_path: Path, text: str, field: str) -> None:
    (tmp_path / "sources.yaml").write_text(text, "utf-8")
    with pytest.raises(Invalid) as caught:
        load_sources(tmp_path)

    assert caught.value.field.startswith(f"sources.yaml.{field}" if field else "sources.yaml:1")
    assert caught.value.remedy
    assert "secret" not in str(caught.value)


@given(st.text(max_size=60))
def test_load_sources__any_text__sources_or_invalid(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    folder = tmp_path_factory.getbasetemp()
    (folder / "sources.yaml").write_bytes(text.encode("utf-8", "replace"))
    with contextlib.suppress(Invalid):
        assert isinstance(load_sources(folder), dict)


def test_secret__open_to_others_empty_or_missing__invalid(tmp_path: Path) -> None:
    private_file(tmp_path / "good", " word \n")
    assert secret(tmp_path, "good", "f") == "word"
    (tmp_path / "good").chmod(0o640)
    private_file(tmp_path / "empty", "\n")
    for name in ("good", "empty", "missing"):
        with pytest.raises(Invalid) as caught:
            secret(tmp_path, name, "sources.yaml.own.password_file")
        assert caught.value.field == "sources.yaml.own.password_file"
        assert "word" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"look_up": None}, "look_up is missing"),
        ({"look_up": {"nr": "s.id"}}, "no column nr"),
        ({"look_up": {"zh": "s.name"}}, "look_up takes"),
        ({"look_up": {"zh": "other.id"}}, "not among the records"),
        ({"look_up": {"zh": "sw_zh.zh"}}, "refer to each other"),
        ({"request": {"path": "/a/{value}"}}, "one of file, request and view"),
        ({"file": None, "request": {"path": "/a"}}, "one column, and"),
        ({"file": None, "request": {"path": "/a/{value}?x=1"}}, ""),
        ({"file": None, "request": {"path": "/a/{value}", "body": {}}}, "no body"),
        ({"file": None, "look_up": "all", "request": {"path": "/a/{value}"}}, "has no {value}"),
    ],
)
def test_adapter__layout_that_cannot_be__invalid(change: dict[str, Any], words: str) -> None:
    document = yaml.safe_load(yaml.safe_dump(WATER, allow_unicode=True))
    document["records"]["R90"]["tables"]["sw_zh"] |= change
    with pytest.raises(Invalid) as caught:
        read_adapters([yaml.safe_dump(document, allow_unicode=True)])

    assert words in str(caught.value)


def test_adapter__table_of_its_own_postgresql__takes_no_layout() -> None:
    document = yaml.safe_load(DEPARTMENT)
    document["records"]["R90"]["tables"]["sw_zh"]["look_up"] = {"zh": "s.id"}
    with pytest.raises(Invalid, match="belong to a record with a source"):
        read_adapters([yaml.safe_dump(document, allow_unicode=True)])
