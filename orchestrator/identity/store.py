"""The identity seat's own store: accounts, definitions, running flows, codes, and whose case is whose.

Every row here is on the identity seat's side. What a person enters lies in `flow` until it is signed, refused or
expired, then it is gone; `mandate` remembers only who may amend or withdraw which case.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast

import orjson
from psycopg.types.json import Jsonb

from orchestrator.database import Pool
from orchestrator.domain.errors import Refused
from orchestrator.domain.suite import hash_of
from orchestrator.identity.accounts import (
    DEVELOPMENT_PASSCODE,
    LOCK_SECONDS,
    MAX_FAILURES,
    NOBODY,
    Account,
    hash_secret,
    locked,
    refuse_development,
    secret_matches,
    wrong_secret,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One browser in one flow."""

    flow: str
    consent: int | None
    """Which co-consent this browser answers; None for the applicant's own."""
    account: str | None
    """Who signed in, for a co-consenter; the applicant is part of the flow itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """What an authorisation code stands for."""

    client: str
    redirect_uri: str
    challenge: str
    grants: dict[str, Any]
    """Subject, nonce, times and, where one was signed, the mandate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedMandate:
    """That an account signed a mandate of a case."""

    hash: str
    case_id: str
    previous: str | None
    account: str
    kind: str
    binding: int
    signed_at: int
    seats: tuple[int, ...] = ()
    """Departments that it names: they are told what follows it."""
    terms: str = "{}"
    """What a withdrawal repeats of it (`mandates.terms_of`), as JSON."""


class IdentityStore:
    """All SQL of the identity seat. Times are seconds UTC."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool

    async def secret(self, name: str) -> bytes:
        """32 random bytes under `name`, made on first use; every process of the seat gets the same."""
        async with self.pool.connection() as connection:
            await connection.execute(
                "insert into secret values (%s, %s) on conflict do nothing", (name, os.urandom(32))
            )
            cursor = await connection.execute("select value from secret where name = %s", (name,))
            row = await cursor.fetchone()
        return cast(bytes, row["value"] if row else b"")

    # accounts

    async def seed_development_accounts(
        self,
        people: Iterable[tuple[str, str]],
        *,
        profile: str,
        attributes: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> int:
        """Makes or renews accounts [(citizen number, name)] with the public passcode; returns how many.

        They share one record: a salt of their own would hide nothing. `attributes` by number are for test persons. An
        account that is not a development account is never touched. Raises Refused in profile production.
        """
        refuse_development(profile)
        record = await asyncio.to_thread(hash_secret, DEVELOPMENT_PASSCODE)
        known = attributes or {}
        rows = [(number, name, record, Jsonb(dict(known.get(number, {})))) for number, name in people]
        async with self.pool.connection() as connection, connection.cursor() as cursor:
            await cursor.executemany(
                """insert into account (number, name, secret, attributes, development) values (%s, %s, %s, %s, true)
                   on conflict (number) do update set name = excluded.name, secret = excluded.secret,
                       attributes = excluded.attributes, failures = 0, locked_until = null
                   where account.development""",
                rows,
            )
        return len(rows)

    async def add_account(self, number: str, name: str, secret: str) -> None:
        """Makes an account with a secret of its own, or renews one; it is no development account any more."""
        record = await asyncio.to_thread(hash_secret, secret)
        async with self.pool.connection() as connection:
            await connection.execute(
                """insert into account (number, name, secret) values (%s, %s, %s) on conflict (number) do update
                   set name = excluded.name, secret = excluded.secret, development = false, attributes = '{}'""",
                (number, name, record),
            )

    async def sign_in(self, number: str, secret: str, *, now: int, profile: str) -> Account:
        """The account whose number and secret these are.

        A try is counted before the secret is looked at, so that parallel guesses cannot outrun the lock. Raises Invalid
        (wrong-secret) and, while locked, Refused (account-locked).
        """
        async with self.pool.connection() as connection:
            cursor = await connection.execute(
                """update account set
                       failures = case when locked_until is null then failures + 1 else 1 end,
                       locked_until = case when locked_until is null and failures + 1 >= %(most)s
                                           then %(now)s + make_interval(secs => %(lock)s) end
                   where number = %(number)s and not (development and %(production)s)
                     and (locked_until is null or locked_until <= %(now)s)
                   returning number, name, secret, development, attributes""",
                {
                    "most": MAX_FAILURES,
                    "lock": LOCK_SECONDS,
                    "number": number,
                    "now": moment(now),
                    "production": profile == "production",
                },
            )
            row = await cursor.fetchone()
            cursor = await connection.execute(
                "select 1 as locked from account where number = %s and locked_until > %s", (number, moment(now))
            )
            is_locked = await cursor.fetchone() is not None
        record = cast(str, row["secret"]) if row else NOBODY
        good = await asyncio.to_thread(secret_matches, secret, record)
        if row is None or not good:
            raise locked() if is_locked else wrong_secret()
        async with self.pool.connection() as connection:
            await connection.execute(
                "update account set failures = 0, locked_until = null where number = %s", (number,)
            )
        return _account(row)

    async def account(self, number: str) -> Account | None:
        """The account with this number."""
        async with self.pool.connection() as connection:
            cursor = await connection.execute("select * from account where number = %s", (number,))
            row = await cursor.fetchone()
        return _account(row) if row else None

    # definitions and texts, by their own hashes

    async def put_definition(self, version: str, definition: str, texts_hash: str, texts: str) -> None:
        """Keeps a definition and its texts, both already checked against their hashes."""
        async with self.pool.connection() as connection:
            await connection.execute(
                "insert into definition values (%s, %s) on conflict do nothing", (version, definition)
            )
            await connection.execute("insert into texts values (%s, %s) on conflict do nothing", (texts_hash, texts))

    async def definition(self, version: str) -> Any:
        """The definition document of a version, or None."""
        return await self._document("select document from definition where version = %s", version)

    async def texts(self, texts_hash: str) -> Any:
        """The texts document of a hash, or None."""
        return await self._document("select document from texts where hash = %s", texts_hash)

    async def _document(self, query: str, key: str) -> Any:
        async with self.pool.connection() as connection:
            cursor = await connection.execute(query, (key,))
            row = await cursor.fetchone()
        return orjson.loads(cast(str, row["document"])) if row else None

    # client assertions

    async def use_assertion(self, client: str, jti: str, expires_at: int) -> bool:
        """Notes a client assertion; False when it was seen before."""
        async with self.pool.connection() as connection:
            cursor = await connection.execute(
                "insert into assertion values (%s, %s, %s) on conflict do nothing", (client, jti, moment(expires_at))
            )
            return cursor.rowcount == 1

    # flows

    async def add_flow(self, flow: str, request_uri: str, state: str, expires_at: int) -> None:
        """Keeps a new flow under the hash of its request_uri."""
        async with self.pool.connection() as connection:
            await connection.execute(
                "insert into flow (id, request, state, expires_at) values (%s, %s, %s, %s)",
                (flow, digest(request_uri), state, moment(expires_at)),
            )

    async def find_flow(self, request_uri: str, now: int) -> str | None:
        """The flow of a request_uri that has not expired."""
        async with self.pool.connection() as connection:
            cursor = await connection.execute(
                "select id from flow where request = %s and expires_at > %s", (digest(request_uri), moment(now))
            )
            row = await cursor.fetchone()
        return cast(str, row["id"]) if row else None

    async def open_flow(self, flow: str, expires_at: int) -> bool:
        """Marks a flow as opened by a browser, which then has until `expires_at`; False when it was opened before."""
        async with self.pool.connection() as connection:
            cursor = await connection.execute(
                "update flow set opened = true, expires_at = %s where id = %s and not opened",
                (moment(expires_at), flow),
            )
            return cursor.rowcount == 1

    async def flow(self, flow: str, now: int) -> str | None:
        """The state of a flow that has not expired."""
        async with self.pool.connection() as connection:
            cursor = await connection.execute(
                "select state from flow where id = %s and expires_at > %s", (flow, moment(now))
            )
            row = await cursor.fetchone()
        return cast(str, row["state"]) if row else None

    @asynccontextmanager
    async def flow_update(self, flow: str, now: int) -> AsyncIterator[FlowUpdate | None]:
        """One change of a flow under its row lock; None when there is no such flow. An exception undoes it."""
        async with self.pool.connection() as connection:
            cursor = await connection.execute(
                "select state from flow where id = %s and expires_at > %s for update", (flow, moment(now))
            )
            row = await cursor.fetchone()
            yield FlowUpdate(connection, flow, cast(str, row["state"])) if row else None

    # sessions

    async def add_session(self, cookie: str, flow: str, consent: int | None) -> None:
        """Lets the browser with this cookie into a flow."""
        async with self.pool.connection() as connection:
            await connection.execute(
                "insert into session (id, flow, consent) values (%s, %s, %s)", (digest(cookie), flow, consent)
            )

    async def session(self, cookie: str) -> Session | None:
        """What the browser with this cookie is part of."""
        async with self.pool.connection() as connection:
            cursor = await connection.execute(
                "select flow, consent, account from session where id = %s", (digest(cookie),)
            )
            row = await cursor.fetchone()
        return Session(**cast(Any, row)) if row else None

    async def sign_session_in(self, cookie: str, account: str) -> None:
        """Notes who a co-consenter's browser belongs to."""
        async with self.pool.connection() as connection:
            await connection.execute("update session set account = %s where id = %s", (account, digest(cookie)))

    # codes and mandates

    async def use_code(self, code: str, now: int) -> Code | None:
        """What a code stands for, once: the second time, and after it expired, None."""
        async with self.pool.connection() as connection:
            cursor = await connection.execute(
                """update code set used = true where id = %s and not used and expires_at > %s
                   returning client, redirect_uri, challenge, content""",
                (digest(code), moment(now)),
            )
            row = cast(Any, await cursor.fetchone())
        if row is None:
            return None
        return Code(
            client=row["client"],
            redirect_uri=row["redirect_uri"],
            challenge=row["challenge"],
            grants=orjson.loads(row["content"]),
        )

    async def mandate(self, mandate_hash: str) -> SignedMandate | None:
        """Who signed the mandate with this hash."""
        return await self._mandate("hash = %s", mandate_hash)

    async def newest_mandate(self, case_id: str) -> SignedMandate | None:
        """The mandate of a case that none follows."""
        query = "case_id = %s and not exists (select from mandate n where n.previous = mandate.hash)"
        return await self._mandate(query, case_id)

    async def _mandate(self, where: str, key: str) -> SignedMandate | None:
        async with self.pool.connection() as connection:
            cursor = await connection.execute(
                f"""select hash, case_id, previous, account, kind, binding, seats, terms,
                       extract(epoch from signed_at)::bigint as signed_at from mandate where {where}""",
                (key,),
            )
            row = await cursor.fetchone()
        return SignedMandate(**cast(Any, row)) if row else None

    async def mandates_of(self, account: str) -> list[SignedMandate]:
        """Every mandate that an account signed, oldest first."""
        async with self.pool.connection() as connection:
            cursor = await connection.execute(
                """select hash, case_id, previous, account, kind, binding, seats, terms,
                       extract(epoch from signed_at)::bigint as signed_at from mandate where account = %s
                   order by signed_at, previous nulls first""",
                (account,),
            )
            return [SignedMandate(**cast(Any, row)) for row in await cursor.fetchall()]

    async def add_mandate(self, mandate: SignedMandate, jws: str) -> None:
        """Keeps a mandate that was signed without a client; one that follows another is put on its way.

        Raises Refused (mandate-superseded) when another mandate of the case was signed meanwhile.
        """
        async with self.pool.connection() as connection:
            await _keep_mandate(connection, mandate, jws)

    async def purge(self, now: int) -> int:
        """Deletes flows, codes and assertions that have expired; returns how many flows."""
        async with self.pool.connection() as connection:
            await connection.execute("delete from assertion where expires_at <= %s", (moment(now),))
            await connection.execute("delete from code where expires_at <= %s", (moment(now),))
            await connection.execute("delete from visit where expires_at <= %s", (moment(now),))
            cursor = await connection.execute("delete from flow where expires_at <= %s", (moment(now),))
            return cursor.rowcount


class FlowUpdate:
    """A flow under lock: `state` as it was, and the ways to go on. Commits when the context of `flow_update` ends."""

    def __init__(self, connection: Any, flow: str, state: str) -> None:
        self._connection = connection
        self._flow = flow
        self.state = state

    async def save(self, state: str) -> None:
        """Keeps a new state."""
        await self._connection.execute("update flow set state = %s where id = %s", (state, self._flow))

    async def finish(self, code: str, content: Code, expires_at: int, mandate: SignedMandate | None) -> None:
        """Ends the flow with a code: what was entered is deleted in the same transaction. A mandate that follows another is
        put on its way to every department that the chain names.

        Raises Refused (mandate-superseded) when another mandate of the case was signed meanwhile.
        """
        if mandate is not None:
            await _keep_mandate(self._connection, mandate, content.grants["mandate"])
        await self._connection.execute(
            "insert into code (id, client, redirect_uri, challenge, content, expires_at) "
            "values (%s, %s, %s, %s, %s, %s)",
            (
                digest(code),
                content.client,
                content.redirect_uri,
                content.challenge,
                orjson.dumps(content.grants).decode(),
                moment(expires_at),
            ),
        )
        await self.drop()

    async def drop(self) -> None:
        """Deletes the flow and what was entered."""
        await self._connection.execute("delete from flow where id = %s", (self._flow,))


async def _keep_mandate(connection: Any, mandate: SignedMandate, jws: str) -> None:
    cursor = await connection.execute(
        """insert into mandate (hash, case_id, previous, account, kind, binding, signed_at, seats, terms)
           values (%s, %s, %s, %s, %s, %s, %s, %s, %s) on conflict do nothing""",
        (
            mandate.hash,
            mandate.case_id,
            mandate.previous,
            mandate.account,
            mandate.kind,
            mandate.binding,
            moment(mandate.signed_at),
            list(mandate.seats),
            mandate.terms,
        ),
    )
    if cursor.rowcount != 1:
        raise superseded()
    if mandate.previous is not None:
        await connection.execute(
            """insert into delivery (mandate, seat, jws)
               select distinct %s::text, named.seat, %s::text from mandate m, unnest(m.seats) as named(seat)
               where m.case_id = %s""",
            (mandate.hash, jws, mandate.case_id),
        )


def superseded() -> Refused:
    """That a case's chain of mandates has gone on."""
    return Refused(
        "该办件已有更新的授权书,请按最新授权书办理",
        code="mandate-superseded",
        detail_en="A newer mandate of this case exists",
        remedy="请刷新办件后重试 / reload the case and begin again",
    )


def digest(token: str) -> bytes:
    """What is kept of a bearer token: a reader of the database cannot use it."""
    return hash_of(token.encode())


def moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _account(row: Any) -> Account:
    return Account(number=row["number"], name=row["name"], development=row["development"], attributes=row["attributes"])
