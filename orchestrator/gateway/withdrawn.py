"""Cases that nobody decides on any more, since the identity seat told this approver that the applicant has withdrawn."""

from __future__ import annotations

from orchestrator.domain.canonical import from_hex
from orchestrator.domain.errors import LianbanError, Refused
from orchestrator.gateway.casefile import OpenCase
from orchestrator.gateway.seat import Seat


async def bar_withdrawn(opened: dict[str, OpenCase | LianbanError], seat: Seat) -> None:
    """Turns withdrawn cases into Refused("withdrawn"), whatever mandates the operator brought them with."""
    under = {
        name: (from_hex(name), case.binding.identity) for name, case in opened.items() if isinstance(case, OpenCase)
    }
    ended = await seat.store.withdrawn(under.values())
    for name, place in under.items():
        if place in ended:
            opened[name] = Refused("办件已撤回", detail_en="the applicant has withdrawn", code="withdrawn")
