"""Contests at an approver: what the applicant holds to be wrong, and what the department replied, as this seat may read it.

They come with the case's file and, so that nobody can drop them, with the answers that this seat fetches itself. While the
department's term runs nothing is decided. A claim that the department lets stand, or does not reply about, still counts; but
then no rule alone decides against the applicant: an officer does, who sees the contest and the reply.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import structlog

from orchestrator.domain.errors import LianbanError, Refused
from orchestrator.gateway.contests import BEIJING, verified
from orchestrator.gateway.seat import Seat
from orchestrator.protocol.contest import Carried, Contest, Reply, open_reason, read_reply
from orchestrator.protocol.jose import jws_hash
from orchestrator.protocol.ports import ChainView, provider_of, seat_knowing
from orchestrator.protocol.verdict import ContestRef
from orchestrator.protocol.wire import seat_number

if TYPE_CHECKING:
    from orchestrator.gateway.casefile import OpenCase

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Contested:
    """A verified contest of a case, with the department's verified reply if there is one."""

    carried: Carried
    contest: Contest
    reply: Reply | None

    @property
    def ref(self) -> ContestRef:
        """What a verdict says of it."""
        return ContestRef(
            contest=jws_hash(self.carried.contest),
            reply=None if self.carried.reply is None else jws_hash(self.carried.reply),
        )

    @property
    def stands(self) -> bool:
        """Whether the contested claim counts still: there is no reply that it was corrected."""
        return self.reply is None or self.reply.outcome == "rejected"

    @property
    def since(self) -> int:
        """When it last changed, in seconds since 1970: an officer who decided before did not know it so."""
        return self.contest.iat if self.reply is None else max(self.contest.iat, self.reply.iat)

    def waits(self, now: int) -> bool:
        """Whether the department's term for a reply runs still."""
        return self.reply is None and not self.contest.lapsed(_day(now))

    def shown(self, seat: Seat, now: int) -> dict[str, Any]:
        """For an officer: what is contested and what came of it, with the department's reason."""
        reason = None
        if self.reply is not None:
            reason = open_reason(self.reply.reason, self.carried.sealed, reader=seat.number, key=seat.keys.sealing)
        outcome = "unanswered" if self.reply is None else self.reply.outcome
        return {
            "contest": self.ref.contest,
            "item": self.contest.item,
            "index": self.contest.index,
            "claims": list(self.contest.claims),
            "seat": self.contest.aud,
            "day": self.contest.day,
            "reply_by": self.contest.reply_by,
            "outcome": "waiting" if self.waits(now) else outcome,
            "reason": reason,
        }


async def read_contests(case: OpenCase, more: Iterable[Carried], chain: ChainView) -> None:
    """Puts the contests of a case into it: those in its file and those that providers handed out, each once, with the reply
    if either knows it. What is not signed, or not of this case, does not count."""
    found: dict[str, Contested] = {}
    for carried in (*case.file.contests, *more):
        try:
            each = await _read(carried, case, chain)
        except LianbanError as error:
            log.warning("contest-not-verified", case=case.file.case, code=error.code)
            continue
        before = found.get(each.ref.contest)
        if before is None or before.reply is None:
            found[each.ref.contest] = each
    case.contests = sorted(found.values(), key=lambda each: (each.contest.iat, each.ref.contest))


async def _read(carried: Carried, case: OpenCase, chain: ChainView) -> Contested:
    contest, _ = await verified(carried.contest, chain)
    mandates = {jws_hash(jws) for jws in case.file.mandates}
    item = next((each for each in case.scenario.evidence if each.id == contest.item), None)
    provider = seat_number(contest.aud)
    if (
        contest.case != case.file.case
        or contest.mandate not in mandates
        or contest.binding != case.binding.number
        or item is None
        or provider_of(item, case.scenario, case.binding) != provider
    ):
        raise _foreign()
    if carried.reply is None:
        return Contested(carried=carried, contest=contest, reply=None)
    reply = read_reply(
        carried.reply, await seat_knowing(chain, await chain.seat(provider), "evidence", [carried.reply])
    )
    if reply.contest != jws_hash(carried.contest):
        raise _foreign()
    return Contested(carried=carried, contest=contest, reply=reply)


def waiting(cases: Sequence[OpenCase], now: int) -> list[OpenCase]:
    """Those of the cases of which a claim is contested and the department's term for a reply still runs."""
    return [case for case in cases if any(each.waits(now) for each in case.contests)]


def against(outcome: str, case: OpenCase) -> bool:
    """Whether the rules' outcome is against an applicant who contested a claim that still counts: an officer decides then."""
    return outcome in ("refuse", "return") and any(each.stands for each in case.contests)


def _day(now: int) -> date:
    return datetime.fromtimestamp(now, UTC).astimezone(BEIJING).date()


def _foreign() -> Refused:
    return Refused("异议不属于本办件", detail_en="the contest is not of this case", code="wrong-case")
