"""A connector within the limits of its source: time, rows, and a circuit breaker around both."""

from __future__ import annotations

import asyncio
from pathlib import Path

import structlog

from orchestrator.domain.errors import Invalid
from orchestrator.gateway.connectors.breaker import Breaker, BreakerOpen
from orchestrator.gateway.connectors.connector import Connector, Keys, Row, SourceFault, TooManyRows
from orchestrator.gateway.layout import Table
from orchestrator.gateway.sources import SOURCES_FILE, FileSource, HttpSource, SqlSource, load_sources

_log = structlog.get_logger(__name__)

AnySource = FileSource | SqlSource | HttpSource


class Guarded:
    """One source by name with its limits."""

    def __init__(self, name: str, connector: Connector, limits: AnySource) -> None:
        self._name = name
        self._connector = connector
        self._limits = limits
        self._breaker = Breaker(limits.failures, limits.pause)

    async def open(self) -> None:
        """Makes the connector ready."""
        await self._connector.open()

    async def close(self) -> None:
        """Ends the connector's connections."""
        await self._connector.close()

    async def fetch(self, name: str, table: Table, keys: Keys) -> list[Row]:
        """The rows of a table that have one of the keys. Raises SourceFault, also when the source is too slow or left alone,
        and TooManyRows, which is for the caller to log."""
        if keys is not None and not any(keys.values()):
            return []
        was_open = self._breaker.is_open
        try:
            with self._breaker.call((SourceFault,)):
                rows = await self._within_time(name, table, keys)
        except BreakerOpen:
            raise SourceFault(
                f"{SOURCES_FILE}.{self._name}",
                "来源屡次失败,暂停访问",
                f"the source {self._name} failed again and again and is left alone for now",
                f"{self._limits.pause:g} 秒后自动再试 / it is tried again after {self._limits.pause:g} seconds",
            ) from None
        except SourceFault as error:
            _log.error("source-failed", source=self._name, field=error.field, detail=error.detail_en)
            if self._breaker.is_open and not was_open:
                _log.error("source-left-alone", source=self._name, seconds=self._limits.pause)
            raise
        if was_open:
            _log.info("source-back", source=self._name)
        if len(rows) > self._limits.max_rows:  # the source works, so the breaker does not count it
            raise TooManyRows(
                f"{SOURCES_FILE}.{self._name}.max_rows",
                f"{name} 的一次查找超过 {self._limits.max_rows} 行",
                f"a look-up in {name} gives more than {self._limits.max_rows} rows",
                "收窄 look_up,或提高 max_rows / narrow the look_up, or raise max_rows",
            )
        return rows

    async def _within_time(self, name: str, table: Table, keys: Keys) -> list[Row]:
        limits = self._limits
        try:
            async with asyncio.timeout(limits.timeout):
                rows = await self._connector.fetch(name, table, keys, limits.max_rows)
        except TimeoutError:
            raise SourceFault(
                f"{SOURCES_FILE}.{self._name}.timeout",
                f"来源在 {limits.timeout:g} 秒内未答复",
                f"the source {self._name} did not answer within {limits.timeout:g} seconds",
                "为查找列建索引,或提高 timeout / index the columns of the look-up, or raise timeout",
            ) from None
        return rows


class Connections:
    """The sources of one department, made anew when its `sources.yaml` changes. A faulty change is logged, and the sources
    before it stay in use."""

    def __init__(self, folder: Path) -> None:
        """`folder` is the department's key folder. Raises Invalid for what is wrong in `sources.yaml`."""
        self._folder = folder
        self._lock = asyncio.Lock()
        self._seen = self._state()
        self._sources = self._made()
        self._opened = False

    def names(self) -> set[str]:
        """The sources that there are."""
        return set(self._sources)

    async def of(self, name: str) -> Guarded | None:
        """The source of that name, or None."""
        async with self._lock:
            state = self._state()
            if state != self._seen:
                self._seen = state
                await self._renew()
        return self._sources.get(name)

    async def open(self) -> None:
        """Makes all of them ready."""
        self._opened = True
        for source in self._sources.values():
            await source.open()

    async def close(self) -> None:
        """Ends all connections."""
        self._opened = False
        for source in self._sources.values():
            await source.close()

    async def _renew(self) -> None:
        try:
            made = self._made()
        except Invalid as error:
            _log.error("sources-faulty", field=error.field, detail=error.detail_en)
            return
        old, self._sources = self._sources, made
        for source in old.values():
            await source.close()
        if self._opened:
            await self.open()
        _log.info("sources-reloaded", sources=sorted(made))

    def _state(self) -> int:
        file = self._folder / SOURCES_FILE
        return file.stat().st_mtime_ns if file.exists() else 0

    def _made(self) -> dict[str, Guarded]:
        sources = load_sources(self._folder)
        return {name: Guarded(name, _connector(name, source, self._folder), source) for name, source in sources.items()}


def _connector(name: str, source: AnySource, folder: Path) -> Connector:
    # Imported when a source of the kind is there: SQLAlchemy and openpyxl cost a gateway without them a second.
    match source:
        case FileSource():
            from orchestrator.gateway.connectors.files import FileConnector

            return FileConnector(name, source)
        case SqlSource():
            from orchestrator.gateway.connectors.database import SqlConnector

            return SqlConnector(name, source, folder)
        case HttpSource():
            from orchestrator.gateway.connectors.http import HttpConnector

            return HttpConnector(name, source, folder)
