"""A seat's own database: query log, questions and answers, mandates, scenario documents, signatures given.

Apart from the department's records and from every other seat. SQL lives here and in `querylog.py`; statements are
set-based: a batch of 256 questions is a handful of them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, LiteralString

import psycopg

from orchestrator.database import Pool, Row, database_name, ensure_databases, migrate, open_pool, with_database
from orchestrator.domain.errors import Refused, Unavailable

MIGRATIONS: Final = Path(__file__).parent / "versions"
TEMPLATE: Final = "gateway_template"
"""The migrated, empty database that new stores are copied from."""

_PATIENCE: Final = "-c lock_timeout=10s -c idle_in_transaction_session_timeout=30s"
"""A process that stands still with the log's lock must not stop the others of its seat for good."""

_PREPARE_LOCK: Final = 0x6C69616E62616E


def store_name(department: str) -> str:
    """The database of a department's store."""
    return "gateway_" + department.replace("-", "_")


def prepare_stores(admin_dsn: str, departments: Sequence[str]) -> dict[str, str]:
    """Creates or migrates the stores of `departments`; department -> connection string.

    New ones are copied from a migrated template. Several processes may do this at once. Raises Unavailable without a
    server.
    """
    names = {department: store_name(department) for department in departments}
    try:
        with psycopg.connect(admin_dsn, autocommit=True) as connection:
            connection.execute("select pg_advisory_lock(%s)", [_PREPARE_LOCK])
            ensure_databases(admin_dsn, [TEMPLATE])
            template = with_database(admin_dsn, TEMPLATE)
            if _revision(template) != _newest():
                migrate(template, MIGRATIONS)
            created = set(ensure_databases(admin_dsn, list(names.values()), template=TEMPLATE))
            for name in names.values():
                dsn = with_database(admin_dsn, name)
                if name not in created and _revision(dsn) != _newest():
                    migrate(dsn, MIGRATIONS)
    except psycopg.OperationalError as error:
        raise store_down() from error
    return {department: with_database(admin_dsn, name) for department, name in names.items()}


def _newest() -> str:
    """The newest revision in `versions/`: files are numbered in order."""
    return max(path.name for path in MIGRATIONS.glob("[0-9]*.py"))[:4]


def _revision(dsn: str) -> str | None:
    with psycopg.connect(dsn) as connection:
        there = connection.execute("select to_regclass('alembic_version') is not null").fetchone()
        if there is None or not there[0]:
            return None
        row = connection.execute("select version_num from alembic_version").fetchone()
        return str(row[0]) if row else None


def store_down() -> Unavailable:
    """The seat's own database does not answer."""
    return Unavailable("网关存储暂不可用", detail_en="the gateway's store is down", code="store-down")


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredMandate:
    """A mandate whose signature was good, as the store keeps it."""

    hash: bytes
    case_id: bytes
    kind: str
    previous: bytes | None
    jws: str
    issuer: int
    """Number of the identity seat that signed it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredLook:
    """Whom a question of a batch is about, as the store keeps it: without the identifier."""

    token: bytes
    """`gateway/lookindex.py`."""
    position: int
    """Of the question in its batch."""
    part: str
    """`subject`, or `compared` where the question compares something else with them."""
    role: str
    mandate: bytes
    item: str
    place: int
    purpose: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredAnswer:
    """One attempt at one question with the envelope that left."""

    question: bytes
    attempt: int
    binding: int
    log_index: int
    envelope: bytes
    """JSON of the answer envelope."""
    case: bytes
    issuer: int
    """Number of the identity seat that issued the mandate."""
    kinds: bytes
    """What was answered in kind, encrypted: `gateway/lookindex.py`."""


class Store:
    """The database of one seat. Every method raises Unavailable (code `store-down`) when PostgreSQL does not answer."""

    def __init__(self, dsn: str, *, connections: int = 4) -> None:
        self.name = database_name(dsn)
        self.pool: Pool = open_pool(dsn, size=connections, options=_PATIENCE)

    async def open(self) -> None:
        """Opens the pool; connections are made when needed."""
        await self.pool.open()

    async def close(self) -> None:
        """Closes every connection."""
        await self.pool.close()

    async def rows(
        self, statement: LiteralString, parameters: Sequence[object] | Mapping[str, object] = ()
    ) -> list[Row]:
        """The rows of one statement in a transaction of its own."""
        try:
            async with self.pool.connection() as connection, connection.cursor(binary=True) as cursor:
                await cursor.execute(statement, parameters)
                return await cursor.fetchall() if cursor.description else []
        except (psycopg.OperationalError, psycopg.errors.InterfaceError) as error:
            raise store_down() from error

    async def mandates(self, hashes: Sequence[bytes]) -> dict[bytes, str]:
        """The mandates that are known, as compact JWS, by hash."""
        rows = await self.rows("select hash, jws from mandate where hash = any(%s)", [list(hashes)])
        return {_bytes(row["hash"]): str(row["jws"]) for row in rows}

    async def followers(self, hashes: Sequence[bytes]) -> list[tuple[bytes, str, str]]:
        """The known mandates that follow these: hash of the one followed, kind (`amendment`, `withdrawal`) and JWS."""
        rows = await self.rows("select previous, kind, jws from mandate where previous = any(%s)", [list(hashes)])
        return [(_bytes(row["previous"]), str(row["kind"]), str(row["jws"])) for row in rows]

    async def withdrawn(self, cases: Iterable[tuple[bytes, int]]) -> set[tuple[bytes, int]]:
        """Those of the cases (id, identity seat) whose withdrawal this seat knows."""
        wanted = set(cases)
        rows = await self.rows(WITHDRAWALS, [list({case for case, _ in wanted})]) if wanted else []
        return wanted & {(_bytes(row["case_id"]), _int(row["issuer"])) for row in rows}

    @asynccontextmanager
    async def between_withdrawals(self) -> AsyncIterator[psycopg.AsyncCursor[Row]]:
        """A transaction during which no withdrawal comes in: those that have come are seen in it, others wait for its end."""
        try:
            async with self.pool.connection() as connection, connection.cursor(binary=True) as cursor:
                await cursor.execute("select pg_advisory_xact_lock_shared(%s)", [WITHDRAWAL_LOCK])
                yield cursor
        except (psycopg.OperationalError, psycopg.errors.InterfaceError) as error:
            raise store_down() from error

    async def keep_answers(self, answers: Sequence[StoredAnswer]) -> frozenset[int]:
        """Keeps what is about to leave: every attempt once. The log indices of those that must not leave, since their case
        was withdrawn meanwhile: they are not kept, and the log says so."""
        async with self.between_withdrawals() as cursor:
            await cursor.execute(
                "insert into answer (question, attempt, binding, log_index, envelope, case_id, issuer, kinds)"
                " select * from unnest(%b::bytea[], %b::int[], %b::bigint[], %b::bigint[], %b::bytea[], %b::bytea[],"
                " %b::smallint[], %b::bytea[]) as a(question, attempt, binding, log_index, envelope, case_id, issuer, kinds)"
                " where not exists (select from mandate w where w.kind = 'withdrawal'"
                " and (w.case_id, w.issuer) = (a.case_id, a.issuer)) returning log_index",
                [
                    [answer.question for answer in answers],
                    [answer.attempt for answer in answers],
                    [answer.binding for answer in answers],
                    [answer.log_index for answer in answers],
                    [answer.envelope for answer in answers],
                    [answer.case for answer in answers],
                    [answer.issuer for answer in answers],
                    [answer.kinds for answer in answers],
                ],
            )
            kept = {_int(row["log_index"]) for row in await cursor.fetchall()}
            barred = frozenset(answer.log_index for answer in answers) - kept
            if barred:
                await cursor.execute(
                    "update log_entry set outcome = 'withdrawn' where index = any(%s)", [sorted(barred)]
                )
        return barred

    async def latest_answers(self, questions: Sequence[bytes]) -> list[StoredAnswer]:
        """The newest answered attempt of each question that has one; none where that one was recalled, or the case withdrawn."""
        rows = await self.rows(
            "select * from (select distinct on (question) * from answer"
            " where question = any(%s) order by question, attempt desc) newest"
            " where not exists"
            " (select from recalled r where (r.question, r.attempt) = (newest.question, newest.attempt))"
            " and not exists (select from mandate w where w.kind = 'withdrawal'"
            " and (w.case_id, w.issuer) = (newest.case_id, newest.issuer))",
            [list(questions)],
        )
        return [
            StoredAnswer(
                question=_bytes(row["question"]),
                attempt=_int(row["attempt"]),
                binding=_int(row["binding"]),
                log_index=_int(row["log_index"]),
                envelope=_bytes(row["envelope"]),
                case=_bytes(row["case_id"]),
                issuer=_int(row["issuer"]),
                kinds=_bytes(row["kinds"]),
            )
            for row in rows
        ]

    async def use_nonce(self, asker: int, jti: str, expires_at: int) -> None:
        """Marks a signed request as used. Raises Refused (code `replayed`) when it was used before.

        `expires_at` is in seconds since 1970. What expired an hour ago is forgotten: its expiry refuses it by then.
        """
        rows = await self.rows(NONCE, [asker, jti, expires_at])
        if not rows:
            raise replayed()
        await self.rows("delete from nonce where expires_at < now() - interval '1 hour'")

    async def keep_definition(
        self, version: bytes, document: bytes, texts_hash: bytes, texts: bytes, *, room: int | None = None
    ) -> None:
        """Keeps the two documents of a scenario version.

        Raises Refused (code `too-many`) when the version is new and the store holds `room` already.
        """
        kept = await self.rows(
            "insert into definition (version, document) select %s, %s"
            " where %s::int is null or (select count(*) from definition) < %s"
            " or exists (select from definition where version = %s)"
            " on conflict (version) do update set version = excluded.version returning version",
            [version, document, room, room, version],
        )
        if not kept:
            raise Refused("场景版本存储已满", detail_en="the store holds no more scenario versions", code="too-many")
        await self.rows(
            "insert into texts (version, hash, document) values (%s, %s, %s) on conflict do nothing",
            [version, texts_hash, texts],
        )

    async def definitions(self, versions: Sequence[bytes]) -> dict[bytes, tuple[bytes, bytes]]:
        """Definition and texts documents by version; the texts kept last where a version has several."""
        rows = await self.rows(
            "select distinct on (version) version, definition.document, texts.document as texts"
            " from definition join texts using (version) where version = any(%s) order by version, texts.stored_at desc",
            [list(versions)],
        )
        return {_bytes(row["version"]): (_bytes(row["document"]), _bytes(row["texts"])) for row in rows}

    async def documents(self, version: bytes, texts: bytes | None) -> tuple[bytes, bytes] | None:
        """Definition and those texts of a version (None: the ones kept last); None when the store does not hold both."""
        rows = await self.rows(
            "select definition.document, texts.document as texts from definition join texts using (version)"
            " where version = %s and (%s::bytea is null or hash = %s) order by texts.stored_at desc limit 1",
            [version, texts, texts],
        )
        return (_bytes(rows[0]["document"]), _bytes(rows[0]["texts"])) if rows else None

    async def keep_signing(self, kind: str, digest: bytes, asker: int, request: str, proposal: bytes) -> None:
        """Keeps the request on which the chain key signs `digest`, and the hash of the proposal that it stands for."""
        await self.rows(
            "insert into signing (digest, kind, asker, request, proposal) values (%s, %s, %s, %s, %s)"
            " on conflict do nothing",
            [digest, kind, asker, request, proposal],
        )


WITHDRAWALS: Final[LiteralString] = (
    "select case_id, issuer from mandate where kind = 'withdrawal' and case_id = any(%b::bytea[])"
)
"""Case and identity seat of each of the cases that was withdrawn."""

WITHDRAWAL_LOCK: Final = 0x77697468
"""PostgreSQL advisory lock: shared by whoever lets something out under a mandate, exclusive for a withdrawal that comes in."""

NONCE: Final[LiteralString] = (
    "insert into nonce (asker, jti, expires_at) values (%s, %s, to_timestamp(%s)) on conflict do nothing returning jti"
)


def replayed() -> Refused:
    """A signed request came a second time."""
    return Refused("该签名请求已使用过", detail_en="this signed request was used before", code="replayed")


def _bytes(value: object) -> bytes:
    if not isinstance(value, bytes):
        raise TypeError("expected bytea")
    return value


def _int(value: object) -> int:
    if not isinstance(value, int):
        raise TypeError("expected an integer")
    return value
