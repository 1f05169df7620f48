"""What comes after a decision: recalls of what it rests on, what the approvers said to them, suspension and its end."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from psycopg.types.json import Jsonb

from orchestrator.domain.case import Status
from orchestrator.protocol.jose import peek_jws
from orchestrator.store.cases import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class Paper:
    """A signed paper about a decision."""

    kind: Literal["recall", "upholding"]
    hash: str
    seat: int
    """Who signed it: the provider that recalls, the approver that upholds."""
    jws: str
    suspends: bool
    """For a recall: the credential does not count until it is upheld."""
    at: datetime

    @property
    def said(self) -> Mapping[str, Any]:
        """What it says; its signature was checked when it came."""
        return peek_jws(self.jws)[1]


@dataclass(frozen=True, slots=True)
class Papers:
    """The papers of one case, oldest first."""

    all: tuple[Paper, ...] = ()

    def of(self, kind: Literal["recall", "upholding"]) -> list[Paper]:
        """Those of a kind."""
        return [each for each in self.all if each.kind == kind]

    def upheld_by(self, recall: str) -> list[int]:
        """The seats that let the decision stand against a recall, by its hash."""
        return sorted({each.seat for each in self.of("upholding") if recall in each.said["recalls"]})

    def suspending(self, lead: int) -> list[Paper]:
        """The recalls that suspend and that the lead has not upheld the decision against."""
        return [each for each in self.of("recall") if each.suspends and lead not in self.upheld_by(each.hash)]


async def add_papers(connection: Connection, rows: Iterable[dict[str, Any]]) -> None:
    """Keeps papers {case_id, kind, hash, seat, jws, suspends}; the same one twice is one."""
    papers = list(rows)
    if papers:
        await connection.execute(
            """
            insert into paper (case_id, kind, hash, seat, jws, suspends)
            select p.case_id, p.kind, p.hash, p.seat, p.jws, p.suspends
            from jsonb_to_recordset(%s) as p(case_id text, kind text, hash text, seat int, jws text, suspends boolean)
            on conflict do nothing
            """,
            [Jsonb(papers)],
        )


async def papers(connection: Connection, case_ids: Sequence[str]) -> dict[str, Papers]:
    """The papers of each case."""
    cursor = await connection.execute(
        "select case_id, kind, hash, seat, jws, suspends, at from paper where case_id = any(%s) order by at, hash",
        [list(case_ids)],
    )
    found: dict[str, list[Paper]] = {case_id: [] for case_id in case_ids}
    for row in await cursor.fetchall():
        found[str(row.pop("case_id"))].append(Paper(**row))
    return {case_id: Papers(tuple(each)) for case_id, each in found.items()}


async def suspend(connection: Connection, case_ids: Sequence[str]) -> list[str]:
    """Sends approved cases to be sealed as suspended; returns those that go. One that is on its way elsewhere is not held up."""
    cursor = await connection.execute(
        """
        update case_file set target = %s, stage = 'seal', due_at = now(), attempts = 0, error = null,
            lease_owner = null, lease_until = null
        where id = any(%s) and status = %s and stage in ('push', 'done') returning id
        """,
        [int(Status.SUSPENDED), list(case_ids), int(Status.APPROVED)],
    )
    return [str(row["id"]) for row in await cursor.fetchall()]


async def reinstate(connection: Connection, case_ids: Sequence[str]) -> list[str]:
    """Sends suspended cases to be sealed as approved again, unless their revocation is under way; returns those that go."""
    cursor = await connection.execute(
        """
        update case_file set target = %s, stage = 'seal', due_at = now(), attempts = 0, error = null,
            lease_owner = null, lease_until = null
        where id = any(%s) and status = %s and (target is distinct from %s or stage = 'waiting') returning id
        """,
        [int(Status.APPROVED), list(case_ids), int(Status.SUSPENDED), int(Status.REVOKED)],
    )
    return [str(row["id"]) for row in await cursor.fetchall()]
