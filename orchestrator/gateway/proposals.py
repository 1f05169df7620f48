"""Whether the seat signs what it is asked to: by its policy at once, after an officer has approved exactly this, or never.

What needs a person waits here; whoever asked is told so and asks again later. An approval counts for the proposal that
it names by hash, for `APPROVAL_DAYS`, and not past the day on which the department ends such a binding by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal, LiteralString

import orjson

from orchestrator.database import Row
from orchestrator.domain.canonical import canonical, from_hex, to_hex
from orchestrator.domain.errors import Refused
from orchestrator.gateway.policy import never
from orchestrator.gateway.seat import Seat
from orchestrator.gateway.store import Store
from orchestrator.protocol.proposal import Proposal

APPROVAL_DAYS: Final = 30
"""For how long an officer's approval lets the seat sign."""

LONGEST_PROPOSAL: Final = 7_200
"""Seconds for which a binding's signature may be used at most: one that is left over brings nothing back later."""

MOST_WAITING: Final = 200
"""Proposals that may wait for officers; more are refused until some are decided."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A proposal that waits for an officer."""

    proposal: Proposal
    asker: int
    since: datetime


async def clear(proposal: Proposal, seat: Seat, *, asker: int, request: str) -> bool:
    """Returns when the seat may sign a proposal: True when an officer has approved it, False when nobody had to.

    Raises Refused: `policy` (never), `awaiting-officer` (it waits now), `declined` (with the officer's reason),
    `too-many`; Unavailable (`policy-faulty`).
    """
    word = seat.policy.for_signing().word(proposal.scenario, proposal.roles, proposal.region)
    if word == "never":
        raise never(proposal.scenario)
    await _keep(proposal, seat.store, asker, request)
    (row,) = await seat.store.rows(_STANDING, {"hash": from_hex(proposal.hash), "days": APPROVAL_DAYS})
    if word == "auto" and not row["ended"]:
        return False
    if row["outcome"] == "approve" and row["counts"]:
        return True
    if row["outcome"] == "decline":
        raise Refused(
            f"该部门经办人未同意签署:{row['reason']}",
            detail_en=f"an officer of the department declined: {row['reason']}",
            code="declined",
            remedy="按理由修改后重新提交,或请该部门重新审阅 / change it as the reason says, or ask the department to look again",
        )
    await _wait(proposal, seat)
    raise Refused(
        "待该部门经办人审阅后签署",
        detail_en="an officer of the department reads it before the seat signs",
        code="awaiting-officer",
        remedy="该部门同意后重新运行同一命令 / run the same command again once the department has approved",
    )


async def _keep(proposal: Proposal, store: Store, asker: int, request: str) -> None:
    await store.rows(
        "insert into proposal (hash, document, kind, scenario, version, texts, region, asker, request)"
        " values (%s, %s, %s, %s, %s, %s, %s, %s, %s) on conflict do nothing",
        [
            from_hex(proposal.hash),
            canonical(proposal.document()),
            proposal.kind,
            proposal.scenario,
            from_hex(proposal.version),
            from_hex(proposal.texts),
            proposal.region,
            asker,
            request,
        ],
    )


async def _wait(proposal: Proposal, seat: Seat) -> None:
    """Puts a proposal before the officers. Raises Refused (code `too-many`) when too many wait."""
    rows = await seat.store.rows(
        "update proposal set waiting_since = coalesce(waiting_since, now()) where hash = %s and (waiting_since is not null"
        " or (select count(*) from proposal where waiting_since is not null) < %s) returning hash",
        [from_hex(proposal.hash), MOST_WAITING],
    )
    if not rows:
        raise Refused(
            "待该部门审阅的签署请求过多",
            detail_en="too many proposals wait for the department's officers",
            code="too-many",
            remedy="稍后重试 / try again later",
        )


async def waiting(seat: Seat) -> list[Waiting]:
    """What waits for an officer, oldest first."""
    rows = await seat.store.rows(
        "select document, asker, waiting_since from proposal where waiting_since is not null order by waiting_since"
    )
    return [Waiting(proposal=_proposal(row), asker=int(row["asker"]), since=row["waiting_since"]) for row in rows]


async def known(seat: Seat, proposal: str) -> Proposal:
    """A proposal by its hash. Raises Refused (code `not-found`)."""
    rows = await seat.store.rows("select document from proposal where hash = %s", [from_hex(proposal)])
    if not rows:
        raise Refused("没有这个签署请求", detail_en="there is no such proposal", code="not-found")
    return _proposal(rows[0])


async def signed_before(seat: Seat, proposal: Proposal) -> Proposal | None:
    """What the seat signed last of the same kind for the same scenario: where it can, in the same region."""
    kinds: Sequence[str] = ("publication", "texts") if proposal.seats is None else ("binding",)
    rows = await seat.store.rows(
        "select document from proposal join (select proposal, max(signed_at) as signed_at from signing group by proposal)"
        " as last on last.proposal = proposal.hash where scenario = %s and kind = any(%s) and hash <> %s"
        " order by (region is not distinct from %s) desc, last.signed_at desc limit 1",
        [proposal.scenario, list(kinds), from_hex(proposal.hash), proposal.region],
    )
    return _proposal(rows[0]) if rows else None


async def decisions(seat: Seat, proposal: Proposal) -> list[dict[str, Any]]:
    """What officers said to a proposal, oldest first."""
    rows = await seat.store.rows(
        "select outcome, reason, officer, certificate, decision, at from proposal_decision where proposal = %s order by id",
        [from_hex(proposal.hash)],
    )
    return [{**row, "at": row["at"].isoformat()} for row in rows]


async def decide(
    proposal: Proposal,
    seat: Seat,
    *,
    outcome: Literal["approve", "decline"],
    reason: str,
    officer: str,
    certificate: str,
    decision: str,
) -> None:
    """Keeps an officer's word on a proposal; it waits no longer."""
    await seat.store.rows(
        "with said as (insert into proposal_decision (proposal, outcome, reason, officer, certificate, decision)"
        " values (%s, %s, %s, %s, %s, %s) returning proposal)"
        " update proposal set waiting_since = null from said where hash = said.proposal",
        [from_hex(proposal.hash), outcome, reason, officer, certificate, decision],
    )


async def sign(
    proposal: Proposal, digest: bytes, seat: Seat, *, asker: int, request: str, by_person: bool
) -> dict[str, Any]:
    """The chain key's signature of what a proposal stands for, with the request on record."""
    await seat.store.keep_signing(proposal.kind, digest, asker, request, from_hex(proposal.hash))
    if proposal.kind == "retirement" and by_person:
        await _ended(proposal, seat.store)
    return {"seat": seat.number, "digest": to_hex(digest), "signature": to_hex(seat.keys.chain.sign_hash(digest))}


async def record_retirement(proposal: Proposal, digest: bytes, store: Store) -> datetime | None:
    """Keeps that the department ends a binding by itself, so that its gateway does not sign the same again unasked.

    Returns until when signatures of the same that were given before may still be used; None when there are none.
    """
    request = "lianban gateway retire"
    await _keep(proposal, store, proposal.seat, request)
    await store.keep_signing(proposal.kind, digest, proposal.seat, request, from_hex(proposal.hash))
    await _ended(proposal, store)
    (row,) = await store.rows(
        "select max(signed_at) + make_interval(secs => %s) as until from signing join proposal on proposal.hash = proposal"
        " where proposal.kind = 'binding' and version = %s and region = %s"
        " and signed_at > now() - make_interval(secs => %s)",
        [LONGEST_PROPOSAL, from_hex(proposal.version), proposal.region, LONGEST_PROPOSAL],
    )
    until: datetime | None = row["until"]
    return until


async def _ended(proposal: Proposal, store: Store) -> None:
    await store.rows(
        "insert into retirement (binding, version, region) values (%s, %s, %s) on conflict do nothing",
        [proposal.binding, from_hex(proposal.version), proposal.region],
    )


_STANDING: Final[LiteralString] = """
with ended as (
    select max(retirement.at) as at from retirement join proposal using (version, region)
    where proposal.hash = %(hash)s and proposal.kind = 'binding'
), last as (
    select outcome, reason, at from proposal_decision where proposal = %(hash)s order by id desc limit 1
)
select ended.at is not null as ended, last.outcome, last.reason,
       last.at > now() - make_interval(days => %(days)s) and (ended.at is null or last.at > ended.at) as counts
from ended left join last on true
"""
"""Whether the department itself has ended what a proposal would begin, the last word on it and whether it still counts."""


def _proposal(row: Row) -> Proposal:
    return Proposal.model_validate(orjson.loads(row["document"]))
