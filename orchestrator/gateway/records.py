"""Records: what a department knows, read set by set through a role that can only read.

Questions of one evidence type with the same claims are answered by one statement, however many subjects they are about.
Tables that lie elsewhere than in the department's PostgreSQL are fetched for those subjects and handed to the same statement,
which never stores them. A claim that is not asked is not computed, and no record ever leaves this module: only the values
of the claims.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from types import TracebackType
from typing import Any, Self

import orjson
import psycopg
import structlog
from psycopg import sql
from psycopg.rows import tuple_row
from psycopg.types.json import Jsonb
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from orchestrator.domain.canonical import canonical
from orchestrator.domain.errors import Invalid, Unavailable
from orchestrator.domain.names import plain_name
from orchestrator.gateway.adapter import Adapter, SqlClaim, SqlEvidence, expand
from orchestrator.gateway.connectors.breaker import Breaker, BreakerOpen
from orchestrator.gateway.connectors.connector import Row, SourceFault, TooManyRows
from orchestrator.gateway.connectors.guarded import Connections
from orchestrator.gateway.fetching import fetch_tables
from orchestrator.gateway.layout import Table

_log = structlog.get_logger(__name__)

Value = bool | str | int | None
"""True, False or `"unknown"` for predicates; else JSON: dates as ISO 8601, decimals as strings with all digits."""

_BATCH = 500
_BATCH_FETCHED = 50
"""Subjects at once where tables come from sources: those have no index in the statement, so its cost grows with the square."""
_FAILURES = 5
"""Times in a row that the database may fail on an evidence type before that is left alone."""
_PAUSE = 10.0
"""Seconds for which it is left alone."""

Fetched = Mapping[str, tuple[Table, Sequence[Row]]]
"""Tables with rows that a source gave, by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Party:
    """Somebody or something that a question is about or compares with. Personal data: never logged."""

    type: str
    """Kind of identifier, one of `domain.catalogue.SubjectType`."""
    id: str
    name: str
    attributes: Mapping[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:  # keeps identifiers out of logs and tracebacks
        return f"Party(type={self.type!r})"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimAsk:
    """One claim with its parameters, and the key under which the value is wanted."""

    key: str
    claim: str
    params: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One question to the records."""

    evidence: str
    """Id of the evidence type."""
    claims: tuple[ClaimAsk, ...]
    subject: Party
    others: Mapping[str, Sequence[Party]] = field(default_factory=dict)
    """Other parties by slot, for claims that compare."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """What the records hold about one subject, as far as one evidence type reads them."""

    fetched: Mapping[str, Sequence[Row]]
    """Rows that sources gave, by table."""
    rows: Sequence[Mapping[str, str | None]]
    """Rows of the record query, every value as PostgreSQL writes it: one is meant; none or two are no answer."""


class Records:
    """The records of one department, behind an adapter. Use as an async context manager, or call `open` and `close`."""

    def __init__(
        self,
        dsn: str,
        adapter: Adapter,
        sources: Connections | None = None,
        *,
        statement_timeout_ms: int = 5000,
        connections: int = 4,
    ) -> None:
        """`dsn` names the department's database and its reading role, `sources` the other systems with records of it."""
        options = f"-c default_transaction_read_only=on -c statement_timeout={statement_timeout_ms}"
        self._adapter = adapter
        self._sources = sources
        self._breakers: dict[str, Breaker] = {}
        self._pool: AsyncConnectionPool[psycopg.AsyncConnection[tuple[Any, ...]]] = AsyncConnectionPool(
            dsn,
            min_size=0,
            max_size=connections,
            timeout=statement_timeout_ms / 1000,
            open=False,
            kwargs={"autocommit": True, "options": options, "row_factory": tuple_row, "connect_timeout": 5},
        )

    async def open(self) -> None:
        """Opens pool and sources; connections are made when they are needed."""
        await self._pool.open()
        if self._sources is not None:
            await self._sources.open()

    async def close(self) -> None:
        """Closes all connections."""
        await self._pool.close()
        if self._sources is not None:
            await self._sources.close()

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def adapter(self) -> Adapter:
        """The adapter in use."""
        return self._adapter

    def use(self, adapter: Adapter) -> None:
        """Takes up an adapter that was read again; questions under way finish by the old one."""
        self._adapter = adapter

    async def read(self, asks: Sequence[Ask], today: date) -> list[dict[str, Value]]:
        """The values of the asked claims, one dict for each ask in order.

        A subject without a record, or with more than one where one is meant, gets `"unknown"` for predicates and null
        for the rest. Raises Invalid for evidence, claims or parameters that the adapter does not have, and Unavailable
        when the database, or a source, does not answer in time.
        """
        groups: dict[bytes, list[int]] = {}
        shapes: dict[tuple[str, int], bytes] = {}  # asks of one item share their claims, which are spelt out once
        for position, ask in enumerate(asks):
            shape = (ask.evidence, id(ask.claims))
            if shape not in shapes:
                claims = [[claim.key, claim.claim, dict(claim.params)] for claim in ask.claims]
                shapes[shape] = canonical([ask.evidence, claims])
            groups.setdefault(shapes[shape], []).append(position)
        adapter = self._adapter
        work: list[list[int]] = []
        for positions in groups.values():
            evidence = adapter.evidence.get(asks[positions[0]].evidence)
            size = _BATCH_FETCHED if evidence is not None and adapter.fetched(evidence) else _BATCH
            work += [positions[start : start + size] for start in range(0, len(positions), size)]
        parts = await asyncio.gather(
            *(self._read_group(adapter, [asks[position] for position in positions], today) for positions in work)
        )
        values: list[dict[str, Value]] = [{} for _ in asks]
        for positions, part in zip(work, parts, strict=True):
            for position, value in zip(positions, part, strict=True):
                values[position] = value
        return values

    async def look(self, ask: Ask, today: date) -> Looked:
        """What lies behind the answers to `ask`, for the department's own eyes: a dry run shows it, nothing else may.

        Raises SourceFault, or psycopg.Error with the database's own words.
        """
        evidence, _ = _resolve(self._adapter, ask)
        subject = _subject(0, ask)
        fetched = await fetch_tables(self._adapter.fetched(evidence), self._sources, [subject])
        rows = await self._execute(evidence, (), [subject], today, fetched, whole=True)
        return Looked(
            fetched={name: list(found) for name, (_, found) in fetched.items()},
            rows=[{name: value for name, value in row[2].items() if name != "n"} for row in rows if row[1]],
        )

    async def compute(self, ask: Ask, today: date) -> Value:
        """The value of the one claim of `ask`, with the database's own words when it fails: for dry runs.

        Raises as `look`, and Invalid as `read`.
        """
        [values] = await self._compute(self._adapter, [ask], today)
        return values[ask.claims[0].key]

    async def check(self, *only: str) -> None:
        """Has the database check every claim of the adapter, or of the evidence types named. Raises Invalid with evidence
        and claim, or Unavailable."""
        for evidence in self._adapter.evidence.values():
            if evidence.source != "record" or (only and evidence.id not in only):
                continue
            for claim in evidence.claims.values():
                params = {name: _SAMPLE[kind] for name, kind in {**claim.params, **claim.optional}.items()}
                ask = ClaimAsk(key="value", claim=claim.id, params=params)
                try:
                    fetched = {name: (table, ()) for name, (_, table) in self._adapter.fetched(evidence).items()}
                    await self._execute(evidence, (ask,), [], date(2020, 2, 29), fetched, explain=True)
                except (psycopg.ProgrammingError, psycopg.DataError) as error:
                    raise Invalid(
                        field=f"{evidence.id}.{claim.id}",
                        code="bad-adapter",
                        detail="核验项的 SQL 无法执行",
                        detail_en=f"The claim's SQL does not run: {error.diag.message_primary}",
                        remedy="见 docs/adapter.md / see docs/adapter.md",
                    ) from error
                except (psycopg.Error, PoolTimeout) as error:
                    raise _unavailable(evidence, error) from None

    async def _read_group(self, adapter: Adapter, asks: Sequence[Ask], today: date) -> list[dict[str, Value]]:
        evidence, _ = _resolve(adapter, asks[0])
        breaker = self._breakers.setdefault(evidence.id, Breaker(_FAILURES, _PAUSE))
        try:
            with breaker.call((psycopg.OperationalError, PoolTimeout)):
                return await self._compute(adapter, asks, today)
        except TooManyRows as error:
            if len(asks) > 1:
                half = len(asks) // 2
                return [
                    values
                    for part in (asks[:half], asks[half:])
                    for values in await self._read_group(adapter, part, today)
                ]
            _log.error("source-failed", field=error.field, detail=error.detail_en)
            raise _unavailable(evidence, error) from None
        except (psycopg.Error, PoolTimeout, BreakerOpen, SourceFault) as error:
            raise _unavailable(evidence, error) from None

    async def _compute(self, adapter: Adapter, asks: Sequence[Ask], today: date) -> list[dict[str, Value]]:
        evidence, claims = _resolve(adapter, asks[0])
        subjects = [_subject(number, ask) for number, ask in enumerate(asks)]
        fetched = await fetch_tables(adapter.fetched(evidence), self._sources, subjects)
        rows = await self._execute(evidence, asks[0].claims, subjects, today, fetched)
        found: dict[int, list[tuple[Any, ...]]] = {}
        for row in rows:
            found.setdefault(row[0], []).append(row)
        values = []
        for number in range(len(asks)):
            mine = found.get(number, [])
            cells = mine[0][2:] if len(mine) == 1 and mine[0][1] else (None,) * len(claims)
            values.append(
                {ask.key: _value(claim, cell) for ask, claim, cell in zip(asks[0].claims, claims, cells, strict=True)}
            )
        return values

    async def _execute(
        self,
        evidence: SqlEvidence,
        asks: Sequence[ClaimAsk],
        subjects: list[dict[str, Any]],
        today: date,
        fetched: Fetched,
        *,
        explain: bool = False,
        whole: bool = False,
    ) -> list[tuple[Any, ...]]:
        tables = {name: table for name, (table, _) in fetched.items()}
        text = _statement(evidence, [evidence.claims[ask.claim] for ask in asks], tables, whole=whole)
        values: dict[str, Any] = {"subjects": Jsonb(subjects), "today": today, "limit": 2 * len(subjects)}
        values |= {f"p{position}": Jsonb(dict(ask.params)) for position, ask in enumerate(asks)}
        values |= {f"t_{name}": Jsonb(rows, dumps=orjson.dumps) for name, (_, rows) in fetched.items()}
        async with self._pool.connection() as connection:
            query = sql.SQL(("explain " if explain else "") + text)
            cursor = await connection.execute(query, values)
            return await cursor.fetchall()


_SAMPLE: dict[str, Any] = {"text": "1", "texts": ["1"], "integer": 1, "decimal": "1"}


def _statement(
    evidence: SqlEvidence,
    claims: Sequence[SqlClaim],
    fetched: Mapping[str, Table] | None = None,
    *,
    whole: bool = False,
) -> str:
    """The one statement for a set of subjects.

    `subject s` has n, type, id, name (plain), attributes, others and today; `r` is the record query's row. Each claim
    sees them and its own parameters as `p`. Tables that were fetched from a source stand under their names.
    With `whole` the record itself comes before the claims, as jsonb of texts.
    """
    tables = "".join(
        f"{name} as materialized (select * from jsonb_to_recordset(%(t_{name})s::jsonb) as x("
        + ", ".join(f"{column} {spec.type}" for column, spec in table.columns.items())
        + ")),\n"
        for name, table in (fetched or {}).items()
    )
    columns = "".join(
        f",\n  (select {_expression(claim)} from (select %(p{position})s::jsonb as p) as params) as c{position}"
        for position, claim in enumerate(claims)
    )
    if whole:
        columns = ",\n  (select jsonb_object_agg(key, value) from jsonb_each_text(to_jsonb(r))) as record" + columns
    return (
        "with subject as (select x.*, %(today)s::date as today from jsonb_to_recordset(%(subjects)s::jsonb)"
        " as x(n int, type text, id text, name text, attributes jsonb, others jsonb)),\n"
        f"{tables}r as ({expand(evidence.record)})\n"
        f"select s.n, (r.n is not null) as found{columns}\n"
        "from subject s left join r on r.n = s.n limit %(limit)s"
    )


def _expression(claim: SqlClaim) -> str:
    """A claim's SQL. The database refuses a predicate that is no condition, before the first subject is asked about."""
    return f"(({expand(claim.sql)}) and true)" if claim.type == "predicate" else f"({expand(claim.sql)})"


def _unavailable(evidence: SqlEvidence, error: Exception) -> Unavailable:
    # The server's message may quote values, so only its code goes on. What a source lacks was logged for the department.
    if isinstance(error, SourceFault):
        code = "source"
    else:
        code = "left alone" if isinstance(error, BreakerOpen) else getattr(error, "sqlstate", None) or "no connection"
    return Unavailable(
        "部门数据库暂时无法读取",
        code="records-unavailable",
        detail_en=f"The department's records cannot be read now ({evidence.id}, {code})",
        remedy="稍后重试 / try again later",
    )


def _resolve(adapter: Adapter, ask: Ask) -> tuple[SqlEvidence, list[SqlClaim]]:
    evidence = adapter.evidence.get(ask.evidence)
    if evidence is None or evidence.source != "record":
        raise Invalid(
            field=ask.evidence,
            code="unknown-evidence",
            detail=f"本部门不提供 {ask.evidence}",
            detail_en=f"This department does not give {ask.evidence}",
            remedy="核对落地和目录 / check binding and catalogue",
        )
    claims = []
    for asked in ask.claims:
        claim = evidence.claims.get(asked.claim)
        if claim is None:
            evidence.claim(asked.claim)  # raises Invalid, naming the claims there are
            raise AssertionError
        given = set(asked.params)
        if not set(claim.params) <= given <= {*claim.params, *claim.optional}:
            raise Invalid(
                field=f"{evidence.id}.{claim.id}",
                code="wrong-parameters",
                detail="核验项参数不符",
                detail_en="The claim's parameters do not fit",
                remedy=f"需要 / needs: {', '.join(claim.params) or '—'}",
            )
        claims.append(claim)
    return evidence, claims


def _subject(number: int, ask: Ask) -> dict[str, Any]:
    return {
        "n": number,
        **_party(ask.subject),
        "others": {slot: [_party(party) for party in parties] for slot, parties in ask.others.items()},
    }


def _party(party: Party) -> dict[str, Any]:
    """A party as SQL sees it: names plain, in attributes too, since they are compared with plain names."""
    attributes = {
        name: plain_name(value) if name.endswith("name") and isinstance(value, str) else value
        for name, value in party.attributes.items()
    }
    return {"type": party.type, "id": party.id, "name": plain_name(party.name), "attributes": attributes}


def _value(claim: SqlClaim, cell: Any) -> Value:
    if cell is None:
        return "unknown" if claim.type == "predicate" else None
    if isinstance(cell, bool):
        return cell
    if isinstance(cell, date):
        return cell.isoformat()
    if isinstance(cell, Decimal):
        return format(cell, "f")
    if isinstance(cell, int):
        return cell
    return str(cell).strip()
