"""Files dropped into a folder: the newest whole one of a table's pattern is taken, opened for reading alone.

A file counts once it has lain unchanged for a while and ends where it should; until then the one before it stays. Its rows
are kept in memory, with an index for each column that rows are looked up by, until a newer file comes.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

import structlog

from orchestrator.gateway.connectors.connector import Keys, Row, SourceFault, typed
from orchestrator.gateway.connectors.tabular import HalfWritten, read_table
from orchestrator.gateway.layout import FileLayout, Table
from orchestrator.gateway.sources import SOURCES_FILE, FileSource

_log = structlog.get_logger(__name__)
_BEIJING: Final = ZoneInfo("Asia/Shanghai")
_CHUNK: Final = 500
_NAMED: Final = 8
"""Files that a fault names at most."""

_Version = tuple[str, int, int, int]
"""Name, inode, size and time of change: another one means another content."""


@dataclass(frozen=True, slots=True)
class _Drop:
    """One file of a table."""

    path: Path
    stamp: tuple[int, ...]
    """What `{date}` and `{number}` stand for: the larger, the newer."""
    version: _Version
    day: date
    """Of `{date}`, or on which it was changed."""


@dataclass(slots=True)
class _Loaded:
    """The rows of a file, in memory."""

    drop: _Drop
    layout: Table
    rows: sqlite3.Connection
    lock: threading.Lock


class FileConnector:
    """A folder of dropped files."""

    def __init__(self, name: str, source: FileSource) -> None:
        self._name = name
        self._source = source
        self._loaded: dict[str, _Loaded] = {}
        self._loading: dict[str, tuple[_Version, Table, Future[_Loaded]]] = {}
        self._half: set[_Version] = set()
        self._lock = threading.Lock()
        self._reader = ThreadPoolExecutor(1, thread_name_prefix=f"source-{name}")

    async def open(self) -> None:
        """Nothing to do: files are read when they are asked for."""

    async def close(self) -> None:
        """Forgets all rows."""
        self._reader.shutdown(cancel_futures=True)
        for loaded in self._loaded.values():
            loaded.rows.close()
        self._loaded.clear()

    async def fetch(self, name: str, table: Table, keys: Keys, most: int) -> list[Row]:
        """Rows of the newest whole file; see `Connector`."""
        return await asyncio.to_thread(self._fetch, name, table, keys, most)

    def _fetch(self, name: str, table: Table, keys: Keys, most: int) -> list[Row]:
        layout = table.file
        if layout is None:
            raise SourceFault(
                f"{name}.file",
                "来源为文件夹的表须写 file",
                "a table in a folder of files says which file it is",
                'file: {pattern: "list_{date}.csv"}',
            )
        with self._lock:
            loaded = self._newest(name, table, layout)
        if layout.max_age_days is not None:
            age = (datetime.now(_BEIJING).date() - loaded.drop.day).days
            if age > layout.max_age_days:
                raise SourceFault(
                    f"{name}.file.max_age_days",
                    f"最新文件已有 {age} 天",
                    f"the newest file is {age} days old",
                    f"放入新文件 / drop a new one: {layout.pattern}",
                )
        with loaded.lock:
            return list(_select(loaded.rows, table, keys, most))

    def _newest(self, name: str, table: Table, layout: FileLayout) -> _Loaded:
        """The rows of the newest file that can be taken. The one taken before stays while nothing newer can."""
        loaded = self._loaded.get(name)
        if loaded is not None and loaded.layout != table:
            loaded = None
        found = self._drops(name, layout)
        for drop in found:
            if loaded is not None and drop.version == loaded.drop.version:
                return loaded
            if loaded is not None and drop.stamp < loaded.drop.stamp:
                return loaded  # whatever is newer is not whole yet
            if drop.version in self._half or time.time() - drop.version[3] / 1e9 < self._source.settle:
                continue
            try:
                taken = self._taken(drop, name, table, layout, loaded)
            except HalfWritten:
                self._half.add(drop.version)
                _log.error("file-half-written", source=self._name, table=name, file=drop.path.name)
                continue
            if taken is not loaded:
                self._loaded[name] = taken
                _log.info("file-taken", source=self._name, table=name, file=drop.path.name)
            return taken
        if loaded is not None:
            return loaded
        raise self._nothing(name, layout, found)

    def _nothing(self, name: str, layout: FileLayout, found: Sequence[_Drop]) -> SourceFault:
        """Why no file can be taken: none has such a name, or those that have are not whole."""
        field, there = f"{name}.file.pattern", list[str]()
        if found:
            names = " / ".join(drop.path.name for drop in found[:_NAMED])
            return SourceFault(
                field,
                f"文件不完整、刚有改动或不是所称的格式:{names}",
                f"not whole, changed just now, or not of the format that its name says: {names}",
                f"静置 {self._source.settle:g} 秒后再试;先以别名写入,写完再改名为 {layout.pattern}"
                f" / try again {self._source.settle:g} seconds later; write it under another name, then rename it",
            )
        with contextlib.suppress(OSError):  # gone since it was looked through
            there = sorted(os.listdir(self._source.folder))[:_NAMED]
        return SourceFault(
            field,
            f"目录中没有名为 {layout.pattern} 的文件",
            f"no file in the folder is called {layout.pattern}",
            f"{self._source.folder} 中有 / holds: {', '.join(there) or '—'}",
        )

    def _taken(self, drop: _Drop, name: str, table: Table, layout: FileLayout, loaded: _Loaded | None) -> _Loaded:
        """The rows of a file that is not in memory yet; those of the one before while a long file is still being read.

        A file that is wrong is read once: what is wrong with it is said again until it changes.
        """
        under_way = self._loading.get(name)
        if under_way is None or under_way[:2] != (drop.version, table):
            future = self._reader.submit(_load, drop, name, table, layout, self._source.rows_in_file)
            under_way = self._loading[name] = (drop.version, table, future)
        try:
            return under_way[2].result(timeout=self._source.timeout / 2)
        except TimeoutError:
            if loaded is not None:
                return loaded
            raise SourceFault(
                f"{name}.file",
                "文件尚在读入",
                "the file is still being read",
                "稍后再试;大文件可改用数据库来源 / try again later; for large files a database is better",
            ) from None

    def _drops(self, name: str, layout: FileLayout) -> list[_Drop]:
        """The table's files, the newest first. Links are not followed."""
        pattern, found = layout.name(), []
        try:
            with os.scandir(self._source.folder) as entries:
                for entry in entries:
                    match = pattern.fullmatch(entry.name)
                    if match is None or not entry.is_file(follow_symlinks=False):
                        continue
                    drop = _drop(Path(entry.path), match.groups(), layout)
                    if drop is not None:
                        found.append(drop)
        except OSError as error:
            raise SourceFault(
                f"{SOURCES_FILE}.{self._name}.folder",
                f"目录无法读取({error.strerror})",
                f"the folder cannot be read ({error.strerror})",
                "核对路径与权限 / check the path, and who may read it",
            ) from None
        found.sort(key=lambda drop: (drop.stamp, drop.version[0]), reverse=True)
        if len(found) > 1 and found[0].stamp == found[1].stamp:
            raise SourceFault(
                f"{name}.file.pattern",
                "有两个同样新的文件",
                "two files are the newest",
                "只留一个 / leave one: " + " / ".join(drop.path.name for drop in found[:2]),
            )
        return found


def _drop(path: Path, groups: Sequence[str], layout: FileLayout) -> _Drop | None:
    """A file by what its name says; None when that is no date, or the file is gone by now."""
    kinds = [kind for kind in ("date", "number") if f"{{{kind}}}" in layout.pattern]
    kinds.sort(key=lambda kind: layout.pattern.index(f"{{{kind}}}"))
    stamp, day = [], None
    for kind, text in zip(kinds, groups, strict=True):
        stamp.append(int(text.replace("-", "")))
        if kind == "date":
            try:
                day = date.fromisoformat(text)
            except ValueError:
                return None
    try:
        version = _version(path.stat(follow_symlinks=False), path.name)
    except OSError:
        return None
    changed = datetime.fromtimestamp(version[3] / 1e9, _BEIJING).date()
    return _Drop(path, tuple(stamp), version, day or changed)


def _version(stat: os.stat_result, name: str) -> _Version:
    return name, stat.st_ino, stat.st_size, stat.st_mtime_ns


def _load(drop: _Drop, name: str, table: Table, layout: FileLayout, most: int) -> _Loaded:
    """Reads a file into memory. Raises HalfWritten when it changes meanwhile."""
    rows = sqlite3.connect(":memory:", check_same_thread=False)
    try:
        columns = list(table.columns)
        rows.execute(f"create table t ({', '.join(_quoted(column) for column in columns)})")
        marks = ", ".join("?" * len(columns))
        rows.executemany(f"insert into t values ({marks})", read_table(drop.path, name, table, layout, most))
        for column in table.look_up if not isinstance(table.look_up, str) and table.look_up else ():
            rows.execute(f"create index {_quoted('by_' + column)} on t ({_quoted(column)})")
        rows.commit()
        rows.execute("pragma query_only = on")
        if _version(drop.path.stat(follow_symlinks=False), drop.path.name) != drop.version:
            raise HalfWritten
    except OSError:
        rows.close()
        raise HalfWritten from None
    except BaseException:
        rows.close()
        raise
    return _Loaded(drop, table, rows, threading.Lock())


def _select(rows: sqlite3.Connection, table: Table, keys: Keys, most: int) -> Iterator[Row]:
    """Rows that have one of the keys, each once."""
    columns = list(table.columns)
    truths = [at for at, column in enumerate(columns) if table.columns[column].type == "boolean"]
    seen: set[int] = set()
    for condition, values in _conditions(table, keys):
        query = f"select rowid, * from t where {condition} limit {most + 1 - len(seen)}"
        for number, *cells in rows.execute(query, values):
            if number in seen:
                continue
            seen.add(number)
            for at in truths:
                cells[at] = None if cells[at] is None else bool(cells[at])
            yield dict(zip(columns, cells, strict=True))


def _conditions(table: Table, keys: Keys) -> Iterator[tuple[str, list[str | int]]]:
    if keys is None:
        yield "true", []
        return
    for column, wanted in keys.items():
        values = typed(table.columns[column].type, wanted)
        for start in range(0, len(values), _CHUNK):
            chunk = values[start : start + _CHUNK]
            yield f"{_quoted(column)} in ({', '.join('?' * len(chunk))})", chunk


def _quoted(name: str) -> str:
    return f'"{name}"'
