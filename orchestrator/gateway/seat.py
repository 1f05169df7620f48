"""A seat as its gateway holds it: number, keys, adapter, records, store and policy of one department.

One process may hold several seats; they share nothing but the process, the view of the chain and the scenarios, which are
content-addressed. Routers get their seat by `CurrentSeat` (from the path's first segment) and the chain by `Chain`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Final

import orjson
import structlog
from fastapi import Depends, Request

from orchestrator.domain.canonical import from_hex, to_hex
from orchestrator.domain.catalogue import owner_of, parse_document
from orchestrator.domain.errors import Invalid, Refused, Unavailable
from orchestrator.domain.scenario import Scenario
from orchestrator.gateway.adapter import Adapter, read_adapters
from orchestrator.gateway.lookindex import LookIndex
from orchestrator.gateway.policy import PolicyFile
from orchestrator.gateway.records import Records
from orchestrator.gateway.store import Store
from orchestrator.protocol.keyset import Keyset, SeatKeys
from orchestrator.protocol.ports import ChainView

_log = structlog.get_logger(__name__)
_MOST_SCENARIOS: Final = 256


class AdapterFiles:
    """The adapter of one department, read again when one of its files changes, comes or goes."""

    def __init__(self, department: str, document: Path, additions: Path | None = None) -> None:
        """`document` is the department's file; `additions` a folder whose files may extend it (and other departments).

        Raises Invalid when they do not make an adapter of `department`.
        """
        self.department = department
        self._document = document
        self._additions = additions
        self._seen = self._state()
        self._adapter = self._read()

    @property
    def adapter(self) -> Adapter:
        """The last good adapter."""
        return self._adapter

    def changed(self) -> bool:
        """Looks at the files; True when there is another adapter now. A faulty change is logged, the good one stays."""
        state = self._state()
        if state == self._seen:
            return False
        self._seen = state
        try:
            self._adapter = self._read()
        except Invalid as error:
            _log.error("adapter-faulty", department=self.department, field=error.field, detail=error.detail_en)
            return False
        _log.info("adapter-reloaded", department=self.department)
        return True

    def _state(self) -> list[tuple[Path, int]]:
        files = [self._document, *(sorted(self._additions.glob("*.yaml")) if self._additions else [])]
        return [(path, path.stat().st_mtime_ns) for path in files if path.exists()]

    def _read(self) -> Adapter:
        texts = [path.read_text(encoding="utf-8") for path, _ in self._seen]
        own = [text for text in texts if owner_of(parse_document(text)) == self.department]
        return read_adapters(own)[self.department]


@dataclass(slots=True, kw_only=True)
class Scenarios:
    """Scenarios that were parsed in this process, by version; the oldest go first."""

    known: dict[str, Scenario] = field(default_factory=dict)

    async def of(self, versions: Iterable[str], store: Store) -> Mapping[str, Scenario]:
        """Those of `versions` that this process or the seat's store holds."""
        wanted = set(versions)
        missing = [from_hex(version) for version in wanted if version not in self.known]
        if missing:
            for version, (definition, texts) in (await store.definitions(missing)).items():
                self.add(Scenario.from_documents(orjson.loads(definition), orjson.loads(texts)), to_hex(version))
        return {version: self.known[version] for version in wanted if version in self.known}

    def add(self, scenario: Scenario, version: str) -> None:
        """Keeps a parsed scenario."""
        while len(self.known) >= _MOST_SCENARIOS:
            self.known.pop(next(iter(self.known)))
        self.known[version] = scenario


@dataclass(frozen=True, slots=True, kw_only=True)
class Seat:
    """One department's side of the consortium."""

    keyset: Keyset
    keys: SeatKeys
    """Private keys: chain, evidence, request, sealing."""
    adapters: AdapterFiles
    records: Records
    """The department's database, entered by a role that can only read."""
    store: Store
    production: bool = False
    """Whether what only a development environment may do counts for nothing here."""
    policy: PolicyFile = field(default_factory=PolicyFile)
    scenarios: Scenarios = field(default_factory=Scenarios)
    index: LookIndex = field(default_factory=LookIndex)

    @property
    def number(self) -> int:
        """The seat's number on its ledger."""
        return self.keyset.seat

    @property
    def id(self) -> str:
        """The department's id: the first segment of every path."""
        return self.keyset.id

    def adapter(self) -> Adapter:
        """The adapter as its files are now; the records are read through it from now on."""
        if self.adapters.changed():
            self.records.use(self.adapters.adapter)
        return self.adapters.adapter

    async def open(self) -> None:
        """Opens the pools; connections are made when they are needed."""
        await self.store.open()
        await self.records.open()

    async def close(self) -> None:
        """Closes every connection."""
        await self.store.close()
        await self.records.close()


async def current_seat(request: Request, department: str) -> Seat:
    """The seat that a path names, with the keys that the chain has for it now. Raises Refused (code `unknown-seat`) when this
    gateway does not hold it."""
    seats: Mapping[str, Seat] = request.app.state.seats
    if department not in seats:
        raise Refused("本网关没有该部门", detail_en="this gateway does not seat that department", code="unknown-seat")
    seat = seats[department]
    with suppress(Unavailable):  # while no node answers, the keys stay as they are: not everything here needs the chain
        seat.keys.follow(await current_chain(request).seat(seat.number))
    return seat


def current_chain(request: Request) -> ChainView:
    """The process's view of the chain."""
    chain: ChainView = request.app.state.chain
    return chain


CurrentSeat = Annotated[Seat, Depends(current_seat)]
Chain = Annotated[ChainView, Depends(current_chain)]
