"""What a case costs. Gas is exact on the built-in provider, so the snapshot is compared to the unit."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from logs import GrowingLog
from world import ACCEPTED, APPROVED, Move, World, random_bytes32, step

SNAPSHOT = Path(__file__).parent / "gas.json"
BATCH = 256
SEATS = range(3, 9)
MILLION = 1_000_003


@pytest.fixture(scope="module")
def measured() -> dict[str, Any]:
    return {}


def test_gas(world: World) -> None:
    rng = random.Random(256)
    world.admit(7, 8)
    pairs = [(3, 4), (5, 6), (7, 8)]
    others = [world.bind(approvers=list(pair), providers=[p for p in SEATS if p not in pair]) for pair in pairs]
    heads = first_heads(world, rng)
    batch = [Move(rng.randbytes(32), rng.randbytes(32), step(APPROVED, 1, others[i * 3 // BATCH])) for i in range(BATCH)]
    sheets = [
        world.sheet(seat, batch, [i for i in range(BATCH) if seat in pairs[i * 3 // BATCH]]) for seat in SEATS
    ]
    heads, grown = grow(world, rng, heads)
    o = world.settle(batch, sheets, grown)
    assert len(o.settled) == BATCH and len(o.anchored) == 6
    print("direct", o.gas / BATCH)
    batch = [Move(rng.randbytes(32), rng.randbytes(32), step(ACCEPTED, 1, others[i * 3 // BATCH])) for i in range(BATCH)]
    sheets = [world.sheet(seat, batch, [i for i in range(BATCH) if seat == pairs[i * 3 // BATCH][0]]) for seat in (3,5,7)]
    heads, grown = grow(world, rng, heads)
    o = world.settle(batch, sheets, grown)
    assert len(o.settled) == BATCH and len(o.anchored) == 6
    a = o.gas
    batch = [Move(b.case, rng.randbytes(32), step(APPROVED, 2, others[i * 3 // BATCH])) for i, b in enumerate(batch)]
    sheets = [
        world.sheet(seat, batch, [i for i in range(BATCH) if seat in pairs[i * 3 // BATCH]]) for seat in SEATS
    ]
    heads, grown = grow(world, rng, heads)
    o = world.settle(batch, sheets, grown)
    assert len(o.settled) == BATCH and len(o.anchored) == 6
    print("accepted", a / BATCH, "decided", o.gas/BATCH, (a+o.gas)/BATCH)
    heads, grown = grow(world, rng, heads)
    print("heads", world.settle([], [], grown).gas / BATCH)


def first_heads(world, rng):
    logs = {seat: GrowingLog(seat, MILLION + seat * 1000) for seat in SEATS}
    o = world.settle([], [], [world.head(seat, (0, bytes(32)), log.head(), []) for seat, log in logs.items()])
    assert len(o.anchored) == 6
    return logs


def grow(world, rng, logs):
    out = []
    for seat, log in logs.items():
        old = log.head()
        log.append(1000)
        out.append(world.head(seat, old, log.head(), log.consistency(old[0])))
    return logs, out
