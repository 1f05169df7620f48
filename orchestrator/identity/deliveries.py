"""Deliveries in the store: what is on its way to which department, and visits to a person's own pages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

from orchestrator.database import Pool
from orchestrator.identity.store import digest, moment
from orchestrator.protocol.notice import Acknowledgement

LEASE_SECONDS: Final = 30
"""For so long one process has a delivery to itself; then another one tries."""
LONGEST_WAIT: Final = 600
"""Seconds between two tries, at most. It is tried until the department has acknowledged."""
VISIT_SECONDS: Final = 900


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One mandate on its way to one department."""

    mandate: str
    seat: int
    jws: str
    attempts: int
    """Tries that failed so far."""
    error: str | None = None
    """Code of what the last try failed on."""
    acknowledgement: Acknowledgement | None = None


class Deliveries:
    """SQL of deliveries and visits, over the identity seat's pool."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def claim(self, most: int) -> list[Delivery]:
        """Due deliveries, which no other process has, for `LEASE_SECONDS`."""
        async with self._pool.connection() as connection:
            cursor = await connection.execute(
                """update delivery set due_at = now() + make_interval(secs => %s)
                   where (mandate, seat) in (
                       select mandate, seat from delivery where acknowledgement is null and due_at <= now()
                       order by due_at limit %s for update skip locked)
                   returning mandate, seat, jws, attempts""",
                (LEASE_SECONDS, most),
            )
            return [Delivery(**cast(Any, row)) for row in await cursor.fetchall()]

    async def acknowledged(self, delivery: Delivery, said: Acknowledgement) -> None:
        """Ends a delivery."""
        await self._update(
            "acknowledgement = %s, error = null where mandate = %s and seat = %s",
            (said.model_dump_json(), delivery.mandate, delivery.seat),
        )

    async def failed(self, delivery: Delivery, code: str) -> None:
        """Notes why a try failed, and when the next one is due."""
        wait = min(2**delivery.attempts, LONGEST_WAIT)
        await self._update(
            """attempts = attempts + 1, error = %s, due_at = now() + make_interval(secs => %s)
               where mandate = %s and seat = %s""",
            (code, wait, delivery.mandate, delivery.seat),
        )

    async def of(self, mandates: Sequence[str]) -> dict[str, list[Delivery]]:
        """Deliveries by the hash of their mandate, by seat."""
        async with self._pool.connection() as connection:
            cursor = await connection.execute(
                """select mandate, seat, jws, attempts, error, acknowledgement from delivery
                   where mandate = any(%s) order by seat""",
                (list(mandates),),
            )
            rows = cast(Any, await cursor.fetchall())
        found: dict[str, list[Delivery]] = {}
        for row in rows:
            said = row.pop("acknowledgement")
            read = Acknowledgement.model_validate_json(said) if said else None
            found.setdefault(row["mandate"], []).append(Delivery(**row, acknowledgement=read))
        return found

    async def begin_visit(self, cookie: str, account: str, now: int) -> None:
        """Lets the browser with this cookie in, for `VISIT_SECONDS`."""
        async with self._pool.connection() as connection:
            await connection.execute(
                "insert into visit (id, account, expires_at) values (%s, %s, %s)",
                (digest(cookie), account, moment(now + VISIT_SECONDS)),
            )

    async def visitor(self, cookie: str, now: int) -> str | None:
        """Whose browser has this cookie."""
        async with self._pool.connection() as connection:
            cursor = await connection.execute(
                "select account from visit where id = %s and expires_at > %s", (digest(cookie), moment(now))
            )
            row = await cursor.fetchone()
        return cast(str, row["account"]) if row else None

    async def end_visit(self, cookie: str) -> None:
        """Lets the browser out."""
        async with self._pool.connection() as connection:
            await connection.execute("delete from visit where id = %s", (digest(cookie),))

    async def _update(self, change: Any, parameters: Sequence[Any]) -> None:
        async with self._pool.connection() as connection:
            await connection.execute(f"update delivery set {change}", parameters)
