"""People at the door: sessions, logins under way, prepared applications, definitions, notices, idempotency keys."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from psycopg.types.json import Jsonb

from orchestrator.database import Row
from orchestrator.domain.errors import Refused
from orchestrator.domain.suite import hash_of
from orchestrator.store.cases import Connection

SESSION_HOURS = 12


def token_hash(token: str) -> bytes:
    """What is stored of a bearer token."""
    return hash_of(token.encode())


async def open_session(connection: Connection, subject: str, *, now: datetime) -> str:
    """A new bearer token for a signed-in person, valid for twelve hours."""
    token = secrets.token_urlsafe(32)
    await connection.execute(
        "insert into session (token_hash, subject, expires_at) values (%s, %s, %s)",
        [token_hash(token), subject, now + timedelta(hours=SESSION_HOURS)],
    )
    return token


async def close_session(connection: Connection, token: str) -> None:
    """Signs a person out."""
    await connection.execute("delete from session where token_hash = %s", [token_hash(token)])


async def session_subject(connection: Connection, token: str) -> str | None:
    """The pairwise subject behind a token, or None."""
    cursor = await connection.execute(
        "select subject from session where token_hash = %s and expires_at > now()", [token_hash(token)]
    )
    row = await cursor.fetchone()
    return str(row["subject"]) if row else None


async def add_principal(connection: Connection, role: str, label: str, token: str) -> None:
    """Registers an operator's or auditor's bearer token."""
    await connection.execute(
        "insert into principal (token_hash, role, label) values (%s, %s, %s) on conflict do nothing",
        [token_hash(token), role, label],
    )


async def principal_of(connection: Connection, token: str) -> Row | None:
    """{role, label} of an operator's or auditor's token."""
    cursor = await connection.execute("select role, label from principal where token_hash = %s", [token_hash(token)])
    return await cursor.fetchone()


async def begin_login(
    connection: Connection, *, state: str, nonce: str, code_verifier: str, application: str | None
) -> None:
    """Remembers an authorization request until the identity seat sends the person back."""
    await connection.execute(
        "insert into login (state, nonce, code_verifier, application) values (%s, %s, %s, %s)",
        [state, nonce, code_verifier, application],
    )


async def end_login(connection: Connection, state: str) -> Row | None:
    """Takes an authorization request out: a state counts once, for an hour."""
    cursor = await connection.execute(
        "delete from login where state = %s returning nonce, code_verifier, application, created_at > now() - interval '1 hour' as fresh",
        [state],
    )
    row = await cursor.fetchone()
    return row if row and row["fresh"] else None


async def add_application(connection: Connection, row: dict[str, Any]) -> None:
    """Keeps a prepared application."""
    await connection.execute(
        """
        insert into application (id, subject, scenario, version, binding, kind, case_id, situation, situation_salt, form,
                                 delivery, holder, materials, contest)
        values (%(id)s, %(subject)s, %(scenario)s, %(version)s, %(binding)s, %(kind)s, %(case_id)s, %(situation)s,
                %(situation_salt)s, %(form)s, %(delivery)s, %(holder)s, %(materials)s, %(contest)s)
        """,
        {
            **row,
            "situation": Jsonb(row["situation"]),
            "form": Jsonb(row["form"]) if row["form"] is not None else None,
            "delivery": Jsonb(row["delivery"]),
            "holder": Jsonb(row["holder"]) if row["holder"] is not None else None,
            "materials": Jsonb(row["materials"]),
            "contest": Jsonb(row["contest"]) if row.get("contest") is not None else None,
        },
    )


async def application(connection: Connection, application_id: str) -> Row | None:
    """A prepared application, or None."""
    cursor = await connection.execute("select * from application where id = %s", [application_id])
    return await cursor.fetchone()


async def forget_application(connection: Connection, application_id: str) -> None:
    """Drops a prepared application that has become part of a case."""
    await connection.execute("delete from application where id = %s", [application_id])


async def purge(connection: Connection) -> int:
    """Drops what nobody comes back for: ended sessions, and sign-ins, prepared applications and idempotency keys older than a
    day. Returns how many."""
    purged = 0
    for statement in (
        "delete from session where expires_at <= now()",
        "delete from login where created_at < now() - interval '1 day'",
        "delete from application where created_at < now() - interval '1 day'",
        "delete from idempotency where created_at < now() - interval '1 day'",
    ):
        purged += (await connection.execute(statement)).rowcount
    return purged


async def keep_definition(
    connection: Connection,
    *,
    version: str,
    scenario: str,
    definition: dict[str, Any],
    texts: dict[str, Any],
    texts_hash: str,
) -> None:
    """Keeps a scenario version's two documents, content-addressed; newer texts replace older ones."""
    await connection.execute(
        """
        insert into definition (version, scenario, definition, texts, texts_hash) values (%s, %s, %s, %s, %s)
        on conflict (version) do update set texts = excluded.texts, texts_hash = excluded.texts_hash
        """,
        [version, scenario, Jsonb(definition), Jsonb(texts), texts_hash],
    )


async def definitions(connection: Connection, *, known: Mapping[str, str]) -> list[Row]:
    """Scenario versions that are not among `known` (version to texts hash), or have other texts now."""
    cursor = await connection.execute(
        """
        select d.* from definition d
        where not exists (
            select from unnest(%s::text[], %s::text[]) as k(version, texts_hash)
            where k.version = d.version and k.texts_hash = d.texts_hash
        )
        """,
        [list(known), list(known.values())],
    )
    return await cursor.fetchall()


async def add_notice(
    connection: Connection,
    *,
    subject: str,
    case_id: str,
    push: str,
    target: str | None,
    texts: dict[str, str],
    prefill: dict[str, Any],
) -> bool:
    """Tells a person something, or pushes the next service, once per case and push. False when it was told before."""
    cursor = await connection.execute(
        """
        insert into notice (subject, case_id, push, target, texts, prefill) values (%s, %s, %s, %s, %s, %s)
        on conflict (case_id, push) do nothing returning id
        """,
        [subject, case_id, push, target, Jsonb(texts), Jsonb(prefill)],
    )
    return await cursor.fetchone() is not None


async def notices(connection: Connection, subject: str) -> list[Row]:
    """A person's notices, newest first."""
    cursor = await connection.execute(
        "select id, case_id, push, target, texts, prefill, created_at from notice where subject = %s order by id desc",
        [subject],
    )
    return await cursor.fetchall()


async def begin_idempotent(connection: Connection, principal: str, key: str, request_hash: bytes) -> Row | None:
    """Reserves an Idempotency-Key. Returns the kept response of an earlier, equal request, or None when this is the
    first. Raises Refused when the key was used for another request or the first one is still at work."""
    cursor = await connection.execute(
        """
        insert into idempotency (principal, key, request_hash) values (%s, %s, %s)
        on conflict (principal, key) do nothing returning key
        """,
        [principal, key, request_hash],
    )
    if await cursor.fetchone():
        return None
    cursor = await connection.execute(
        "select request_hash, status, body from idempotency where principal = %s and key = %s", [principal, key]
    )
    row = await cursor.fetchone()
    if row is None:
        return None
    if bytes(row["request_hash"]) != request_hash:
        raise Refused(
            "同一幂等键已用于另一请求",
            detail_en="This Idempotency-Key was used for a different request",
            code="idempotency-key-reused",
            remedy="换一个新的 Idempotency-Key / use a new Idempotency-Key",
        )
    if row["status"] is None:
        raise Refused(
            "相同的请求正在处理",
            detail_en="The same request is being handled",
            code="request-in-progress",
            remedy="稍后用同一键重试 / retry later with the same key",
        )
    return row


async def end_idempotent(connection: Connection, principal: str, key: str, status: int, body: dict[str, Any]) -> None:
    """Keeps the response for repeats of the request."""
    await connection.execute(
        "update idempotency set status = %s, body = %s where principal = %s and key = %s",
        [status, Jsonb(body), principal, key],
    )


async def forget_idempotent(connection: Connection, principal: str, key: str) -> None:
    """Frees a key whose request failed, so that it can be tried again."""
    await connection.execute(
        "delete from idempotency where principal = %s and key = %s and status is null", [principal, key]
    )
