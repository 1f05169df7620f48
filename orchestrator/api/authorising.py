"""Sending a person to the identity seat with something to sign, once for each Idempotency-Key."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from pydantic import BaseModel

from orchestrator.api.state import State
from orchestrator.domain.canonical import canonical
from orchestrator.domain.suite import hash_of
from orchestrator.store import applications


class Authorising(BaseModel):
    """Where the person goes next."""

    application: str
    authorize_url: str


async def once(
    state: State, subject: str, key: str | None, asked: Any, prepare: Callable[[], Awaitable[Authorising]]
) -> Authorising:
    """What `prepare` gives, the same for every repeat of a request (`asked`) under one key.

    Raises Refused ("idempotency-key-reused", "request-in-progress").
    """
    if key is None:
        return await prepare()
    digest = hash_of(canonical(asked))
    async with state.context.pool.connection() as connection:
        kept = await applications.begin_idempotent(connection, subject, key, digest)
    if kept is not None:
        return Authorising.model_validate(kept["body"])
    try:
        answer = await prepare()
    except Exception:
        async with state.context.pool.connection() as connection:
            await applications.forget_idempotent(connection, subject, key)
        raise
    async with state.context.pool.connection() as connection:
        await applications.end_idempotent(connection, subject, key, 201, answer.model_dump())
    return answer


async def begin(state: State, application: dict[str, Any], details: dict[str, Any]) -> Authorising:
    """Pushes the authorisation `details` to the identity seat and keeps what the person has prepared until they come back."""
    pushed = await state.identity.push(details)
    async with state.context.pool.connection() as connection:
        await applications.add_application(connection, application)
        await applications.begin_login(
            connection,
            state=pushed.state,
            nonce=pushed.nonce,
            code_verifier=pushed.code_verifier,
            application=application["id"],
        )
    return Authorising(application=str(application["id"]), authorize_url=pushed.authorize_url)
