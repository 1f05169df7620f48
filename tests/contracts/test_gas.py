"""What a case costs. Gas is exact, so the snapshot beside this file is compared to the unit on the built-in provider.

`UPDATE_GAS=1` writes the snapshot anew; look at the difference before you commit it.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import deploy
from logs import GrowingLog
from world import ACCEPTED, APPROVED, KEYSET, Move, World, random_bytes32, seat_key, step

SNAPSHOT = Path(__file__).parent / "gas.json"
BATCH = 256
SEATS = range(3, 9)
PAIRS = ((3, 4), (5, 6), (7, 8))
"""Three bindings, each with two approvers of the six seats, so that each case stands on two sheets."""
MILLION = 1_000_003
NEW_LEAVES = BATCH * 4 // len(SEATS)
"""Four answers a case, spread over the six logs."""


class Ledger:
    """A ledger with three bindings and six logs of a million leaves, whose heads are anchored."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.random = random.Random(256)
        world.admit(7, 8)
        self.bindings = [
            world.bind(approvers=list(pair), providers=[seat for seat in SEATS if seat not in pair]) for pair in PAIRS
        ]
        self.logs = {seat: GrowingLog(seat, MILLION + 1000 * seat) for seat in SEATS}
        nothing = (0, bytes(32))
        first = [world.head(seat, nothing, log.head(), []) for seat, log in self.logs.items()]
        assert len(world.settle(heads=first).anchored) == len(SEATS)

    def transitions(self, count: int, status: int, sequence: int, cases: list[bytes] | None = None) -> list[Move]:
        """Transitions sorted by binding, with ids and roots as expensive as real ones."""
        ids = cases or [self.random.randbytes(32) for _ in range(count)]
        return [
            Move(case, self.random.randbytes(32), step(status, sequence, self.bindings[i * 3 // count]))
            for i, case in enumerate(ids)
        ]

    def settle(self, batch: list[Move], signs: Callable[[tuple[int, int]], tuple[int, ...]], heads: bool = True) -> int:
        """Settles with the sheets of those of a binding's pair that `signs` picks; the gas of the transaction."""
        places: dict[int, list[int]] = {}
        for i in range(len(batch)):
            for seat in signs(PAIRS[i * 3 // len(batch)]):
                places.setdefault(seat, []).append(i)
        sheets = [self.world.sheet(seat, batch, covered) for seat, covered in places.items()]
        grown = [self._grown(seat) for seat in SEATS] if heads else []
        outcome = self.world.settle(batch, sheets, grown)
        assert (len(outcome.settled), len(outcome.anchored)) == (len(batch), len(grown))
        return outcome.gas

    def _grown(self, seat: int) -> Any:
        log = self.logs[seat]
        old = log.head()
        log.append(NEW_LEAVES)
        return self.world.head(seat, old, log.head(), log.consistency(old[0]))


def measure(world: World) -> dict[str, int]:
    """Every figure of the snapshot, in gas."""
    key = seat_key(9)
    figures = {
        "admit": world.consortium.admit(9, key.address, KEYSET, world.admission(9, key), sender=world.council).gas_used,
        "rotate": world.rotate(6, seat_key(6, 1)).gas_used,
        "publish": world.publish(5, version=random_bytes32("gas")).gas_used,
    }
    ledger = Ledger(world)

    def both(pair: tuple[int, int]) -> tuple[int, ...]:
        return pair

    def lead(pair: tuple[int, int]) -> tuple[int, ...]:
        return pair[:1]

    for count in (1, 3, 64, BATCH):
        gas = ledger.settle(ledger.transitions(count, APPROVED, 1), both)
        figures[f"decided at once, batch of {count}, a case"] = gas // count
    accepted = ledger.transitions(BATCH, ACCEPTED, 1)
    first = ledger.settle(accepted, lead)
    decided = ledger.transitions(BATCH, APPROVED, 2, [one.case for one in accepted])
    second = ledger.settle(decided, both, heads=False)
    figures["accepted, a case"] = first // BATCH
    figures["decided later, without heads, a case"] = second // BATCH
    figures["accepted and decided later, a case"] = (first + second) // BATCH
    again = ledger.transitions(BATCH, ACCEPTED, 1)
    first = ledger.settle(again, lead)
    second = ledger.settle(ledger.transitions(BATCH, APPROVED, 2, [one.case for one in again]), both)
    figures["accepted and decided later, heads in both batches, a case"] = (first + second) // BATCH
    figures["six heads alone"] = ledger.settle([], both)
    return figures


@pytest.fixture(scope="module")
def measured(compiled: dict[str, Any], accounts: Any, chain: Any) -> dict[str, int]:
    """Measured on contracts of an account that nobody else uses: their addresses, and so the signatures in the calldata
    and what each byte of it costs, are then the same whatever tests ran before."""
    world = deploy(compiled, accounts[7], accounts[8], chain)
    world.admit(*range(7))
    world.publish(0)
    return measure(world)


def test_gas__against_the_budget__within(measured: dict[str, int]) -> None:
    assert measured["decided at once, batch of 256, a case"] <= 29_000
    assert measured["accepted and decided later, a case"] <= 38_500
    assert measured["decided at once, batch of 256, a case"] * BATCH <= 16_777_216, "EIP-7825"


def test_gas__against_the_snapshot__to_the_unit(measured: dict[str, int], networks: Any) -> None:
    if os.environ.get("UPDATE_GAS"):
        SNAPSHOT.write_text(json.dumps(measured, indent=1) + "\n", encoding="utf-8")
    snapshot = json.loads(SNAPSHOT.read_text(encoding="utf-8"))
    if networks.provider.name == "test":
        assert measured == snapshot
    else:
        # Another chain id makes other signatures, whose zero bytes cost less.
        assert measured == pytest.approx(snapshot, rel=0.001)
