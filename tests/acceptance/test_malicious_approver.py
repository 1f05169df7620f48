"""An approver with its own keys, on the real chain: alone, in two minds, or over another dossier, it moves nothing that others decide.

What an approver can do is approve what it alone decides; the sheet with its signature stays on chain and says so.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace

import pytest

from orchestrator.domain.canonical import to_hex
from orchestrator.domain.case import Status
from orchestrator.ledger.poster import SheetPart
from orchestrator.protocol.keyfolder import load_seat_keys
from orchestrator.protocol.keyset import SeatKeys
from orchestrator.protocol.sheet import Transition, sheet_digest
from orchestrator.scenarios import load_catalogue
from tests.support.thief import Thief, open_thief
from tests.support.world import World

pytestmark = pytest.mark.anyio


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """The approvers of a binding, each with its chain key, and anybody's way to the ledger."""

    world: World
    anybody: Thief
    keys: Mapping[int, SeatKeys]

    async def approvers(self, scenario: str) -> tuple[int, tuple[int, ...]]:
        """Number and approvers of the binding under which a scenario is offered."""
        shown = await self.world.http.get(f"{self.world.cluster.portal}/api/v1/scenarios/{scenario}")
        number = int(shown.json()["binding"])
        return number, tuple((await self.world.runtime.context.view.binding(number)).approvers)

    def sheet(self, seat: int, covers: int, *signed: Transition) -> SheetPart:
        """A seat's signature over transitions, said to cover the first so many of a batch."""
        until = int(time.time()) + 100
        digest = sheet_digest(self.world.runtime.context.view.domain("CaseLedger"), seat, until, list(signed))
        return SheetPart(
            seat=seat,
            valid_until=until,
            covers=frozenset(range(covers)),
            signature=self.keys[seat].chain.sign_hash(digest),
        )


@pytest.fixture(scope="module")
async def bench(world: World) -> AsyncIterator[Bench]:
    settings = world.cluster.settings
    keys = {
        profile.seat: load_seat_keys(settings.keys_dir / profile.id, settings.passphrase(), ["chain"])
        for profile in load_catalogue().departments.values()
    }
    async with open_thief(world) as anybody:
        yield Bench(world=world, anybody=anybody, keys=keys)


def approval(binding: int) -> Transition:
    """Of a case that nobody has applied for."""
    return Transition(
        case_id=secrets.token_bytes(32),
        root=secrets.token_bytes(32),
        status=Status.APPROVED,
        sequence=1,
        binding=binding,
    )


async def test_approver__approves_alone__case_does_not_move(bench: Bench) -> None:
    number, approvers = await bench.approvers("real-estate-registration")
    assert len(approvers) == 3
    for without in range(3):
        wanted = approval(number)
        willing = [seat for place, seat in enumerate(approvers) if place != without]
        for some in ([willing[0]], willing):
            events = await bench.anybody.settle([wanted], [bench.sheet(seat, 1, wanted) for seat in some])
            assert events == [("CaseRefused", "not-signed")]
        assert (await bench.world.on_chain(to_hex(wanted.case_id)))[0] == Status.NONE


async def test_approver__signs_another_dossier_than_the_others__case_does_not_move(bench: Bench) -> None:
    number, approvers = await bench.approvers("real-estate-registration")
    wanted = approval(number)
    swapped = replace(wanted, root=secrets.token_bytes(32))
    honest = [bench.sheet(seat, 1, wanted) for seat in approvers[1:]]
    for batch in (wanted, swapped):  # whichever of the two is sent, somebody has not signed it
        events = await bench.anybody.settle([batch], [bench.sheet(approvers[0], 1, swapped), *honest])
        assert events[-1] == ("CaseRefused", "not-signed")
        assert ("SheetRefused", "wrong-signature") in events
    assert (await bench.world.on_chain(to_hex(wanted.case_id)))[0] == Status.NONE


async def test_approver__two_outcomes_for_one_number__one_counts_and_the_other_tells(bench: Bench) -> None:
    number, approvers = await bench.approvers("open-gallery")
    (alone,) = approvers
    yes = approval(number)
    no = replace(yes, status=Status.REFUSED, root=secrets.token_bytes(32))
    assert await bench.anybody.settle([yes, no], [bench.sheet(alone, 2, yes, no)]) == [
        ("CaseSettled", ""),
        ("CaseRefused", "wrong-sequence"),
    ]
    assert await bench.anybody.settle([no], [bench.sheet(alone, 1, no)]) == [("CaseRefused", "wrong-sequence")]
    case = to_hex(yes.case_id)
    assert await bench.world.on_chain(case) == (Status.APPROVED, 1, number)
    assert await bench.world.events(case) == [(1, int(Status.APPROVED), to_hex(yes.root))]


async def test_approver__speaks_for_another_one__signature_does_not_count(bench: Bench) -> None:
    number, approvers = await bench.approvers("real-estate-registration")
    wanted = approval(number)
    own = bench.sheet(approvers[0], 1, wanted)
    events = await bench.anybody.settle([wanted], [own, *(replace(own, seat=seat) for seat in approvers[1:])])
    assert events == [("SheetRefused", "wrong-signature")] * 2 + [("CaseRefused", "not-signed")]
