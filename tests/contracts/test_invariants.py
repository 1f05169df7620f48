"""The invariants I1 to I8 by number, each attacked. Single refusals are in test_settle.py and test_heads.py; here the
invariants are held against a model, over random batches with everything bad mixed in, and against what lies between calls.
"""

from __future__ import annotations

import copy
import random
from dataclasses import dataclass, field
from typing import Any

import pytest
from eth_utils import keccak
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from logs import GrowingLog
from world import (
    ACCEPTED,
    APPROVED,
    FAR,
    REFUSED,
    RETURNED,
    REVOKED,
    Move,
    World,
    move,
    random_bytes32,
    seat_key,
    step,
)

FUZZ = settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True
)


MODEL_MOVES = {0: {1, 2, 3, 4, 5}, 1: {2, 3, 4, 5}, 2: {1, 3, 4, 5}, 3: {6, 7}, 4: set(), 5: set(), 6: set(), 7: {3, 6}}


@dataclass
class Model:
    """The ledger in a few lines of Python: what should settle, and why the rest should not."""

    approvers: dict[int, tuple[int, ...]]
    retired: set[int] = field(default_factory=set)
    cases: dict[bytes, tuple[int, int, int, int]] = field(default_factory=dict)
    """status, sequence, binding, commitment"""

    def settle(self, one: Move, signers: set[int]) -> str:
        status, sequence, binding = one.step >> 56, one.step >> 40 & 0xFFFF, one.step & 0xFFFFFFFFFF
        now, last, bound, commitment = self.cases.get(one.case, (0, 0, 0, 0))
        if one.root == bytes(32):
            return "ZeroRoot"
        if not 1 <= status <= 7:
            return "UnknownStatus"
        if binding not in self.approvers:
            return "UnknownBinding"
        if now and binding != bound:
            return "OtherBinding"
        if not now and binding in self.retired:
            return "RetiredBinding"
        if sequence != last + 1:
            return "WrongSequence"
        if status not in MODEL_MOVES[now]:
            return "ForbiddenMove"
        approvers = self.approvers[binding]
        if status == APPROVED:
            signed = set(approvers) <= signers
        elif status in (RETURNED, REFUSED):
            signed = bool(set(approvers) & signers)
        else:
            signed = approvers[0] in signers
        if not signed:
            return "NotSigned"
        packed = commitment.to_bytes(32, "big") + one.step.to_bytes(32, "big") + one.root
        self.cases[one.case] = (status, sequence, binding, int.from_bytes(keccak(packed)[8:], "big"))
        return ""


def check(world: World, model: Model, batch: list[Move], sheets: list[Any], bad: set[int], heads: Any = ()) -> Any:
    """Settles a batch and compares every event and every slot with the model; `bad` are the sheets not to count."""
    signers: list[set[int]] = [set() for _ in batch]
    for index, (seat, _, covers, _) in enumerate(sheets):
        if index not in bad:
            for place in range(len(batch)):
                if covers >> place & 1:
                    signers[place].add(seat)
    expected = [model.settle(one, signed) for one, signed in zip(batch, signers, strict=True)]
    outcome = world.settle(batch, sheets, heads)
    assert outcome.settled == [one.tuple for one, reason in zip(batch, expected, strict=True) if not reason]
    assert outcome.refused == [
        (one.case, one.step, reason) for one, reason in zip(batch, expected, strict=True) if reason
    ]
    assert [index for index, _, _ in outcome.sheets] == sorted(bad)
    for case in {one.case for one in batch}:
        assert tuple(world.ledger.caseOf(case)) == model.cases.get(case, (0, 0, 0, 0))
    return outcome


@FUZZ
@given(seed=st.integers(0, 2**32))
def test_i1_i2_i3_i8__random_batches__as_the_model_says(world: World, seed: int) -> None:
    rng = random.Random(seed)
    first = int(world.catalog.bindingCount()) + 1
    approvers = {1: (3, 4), first: (5,), first + 1: (6, 3, 4), first + 2: (5,)}
    for number, seats in [*approvers.items()][1:]:
        assert world.bind(approvers=list(seats), region=rng.getrandbits(32)) == number
    world.retire(first + 2, 5)
    model = Model(approvers, {first + 2})
    cases = [random_bytes32((seed, i)) for i in range(8)]

    for _ in range(2):
        size = rng.randint(0, 30)
        plans = []
        for seat in [*rng.sample(range(7), rng.randint(2, 7)), rng.randrange(7)]:
            share = rng.choice([0.5, 0.9, 1])
            fault = rng.choice([""] * 15 + ["key", "flip", "short", "beyond", "absent", "seat"])
            plans.append((seat, [place for place in range(size) if rng.random() < share], fault))
        # The model runs along on a copy, so that most transitions continue what the ones before them did.
        batch, ahead = [], copy.deepcopy(model)
        for place in range(size):
            batch.append(random_move(rng, ahead, rng.choice(cases)))
            ahead.settle(batch[-1], {seat for seat, places, fault in plans if place in places and not fault})
        sheets = [spoilt(rng, world, batch, *plan) for plan in plans]
        check(world, model, batch, sheets, {index for index, plan in enumerate(plans) if plan[2]})


def random_move(rng: random.Random, model: Model, case: bytes) -> Move:
    """A transition that mostly continues where the case stands, sometimes wrong in one way."""
    status, sequence, binding, _ = model.cases.get(case, (0, 0, rng.choice([*model.approvers]), 0))
    wanted = rng.choice([*MODEL_MOVES[status], *range(1, 8)]) if rng.random() < 0.95 else rng.randrange(256)
    sequence += 1 if rng.random() < 0.9 else rng.choice([0, 2])
    if rng.random() < 0.1:
        binding = rng.choice([*model.approvers, 0, 2**40 - 1])
    root = bytes(32) if rng.random() < 0.03 else rng.randbytes(32)
    return Move(case, root, step(wanted, sequence, binding))


def spoilt(rng: random.Random, world: World, batch: list[Move], seat: int, places: list[int], fault: str) -> Any:
    """A seat's sheet with a fault, or a good one when there is none."""
    seat, until, covers, signature = world.sheet(seat, batch, places, key=seat_key(99) if fault == "key" else None)
    if fault == "flip":
        signature = bytes([signature[0] ^ 1]) + signature[1:]
    elif fault == "short":
        signature = signature[: rng.randrange(65)]
    elif fault == "beyond":
        covers |= 1 << rng.randrange(len(batch), 256)
    elif fault == "absent":
        seat = rng.randrange(7, 200)
    elif fault == "seat":
        seat = (seat + 1) % 7
    return seat, until, covers, signature


def test_i1__lead_is_not_the_lowest_seat__only_the_first_named_leads(world: World) -> None:
    binding = world.bind(approvers=[6, 3, 4], region=2)
    one = move("a", ACCEPTED, binding=binding)
    assert world.settle([one], [world.sheet(seat, [one]) for seat in (3, 4)]).reasons == ["NotSigned"]
    assert len(world.settle([one], [world.sheet(6, [one])]).settled) == 1


def test_i1__key_rotated_out__its_sheets_no_longer_count(world: World) -> None:
    one = move("a", APPROVED)
    sheets = [world.sheet(3, [one]), world.sheet(4, [one])]
    world.rotate(4, seat_key(4, 1))
    outcome = world.settle([one], sheets)
    assert (outcome.sheets, outcome.reasons) == ([(1, 4, "WrongSignature")], ["NotSigned"])
    assert len(world.settle([one], [sheets[0], world.sheet(4, [one])]).settled) == 1


def test_i1__lead_rotated_within_the_validity__old_signature_dies_with_the_key(world: World) -> None:
    one = move("a", ACCEPTED)
    old = world.sheet(3, [one])
    world.rotate(3, seat_key(3, 1))
    assert world.settle([one], [old]).settled == []


def test_i3__anybody_calling_the_catalog__cannot_change_what_is_live(world: World) -> None:
    """There is no function that changes a version or a binding; the whole of the interface says so."""
    names = {entry.name for entry in world.catalog.contract_type.mutable_methods}
    assert names == {"publish", "amendTexts", "bind", "retire"}
    before = world.catalog.bindingOf(1), world.catalog.termsOf(1)
    world.bind(region=2)
    world.publish(5, version=random_bytes32("other"))
    message = {"version": world.version, "texts": bytes(32), "revision": 1, "publisher": 0}
    signature = world.sign(world.keys[0], world.catalog, "Texts", message)
    world.catalog.amendTexts(world.version, bytes(32), 1, signature, sender=world.stranger)
    assert (world.catalog.bindingOf(1), world.catalog.termsOf(1)) == before


def test_i4__the_same_batch_again__nothing_settles_twice(world: World) -> None:
    batch = [move(i, APPROVED) for i in range(3)]
    sheets = [world.sheet(seat, batch) for seat in (3, 4)]
    assert len(world.settle(batch, sheets).settled) == 3
    again = world.settle(batch, sheets)
    assert (again.settled, again.sheets, again.reasons) == ([], [], ["WrongSequence"] * 3)


def test_i4__signature_for_another_chain_or_contract__does_not_count(world: World) -> None:
    one = move("a", ACCEPTED)
    elsewhere = [
        world.sheet(3, [one], chainId=1),
        world.sheet(3, [one], verifyingContract="0x" + "11" * 20),
    ]
    outcome = world.settle([one], elsewhere)
    assert [reason for _, _, reason in outcome.sheets] == ["WrongSignature"] * 2
    assert outcome.settled == []


def test_i4__domain_of_each_contract__as_the_architecture_states(world: World) -> None:
    for contract in (world.consortium, world.catalog, world.ledger):
        [fields, name, version, chain_id, address, salt, extensions] = contract.eip712Domain()
        assert (bytes(fields), name, version, chain_id) == (b"\x0f", "Lianban", "1", world.chain_id)
        assert (address, bytes(salt), list(extensions or [])) == (contract.address, bytes(32), [])


def test_i5__everything_the_ledger_takes_and_tells__hashes_numbers_and_signatures_only(world: World) -> None:
    """No field of a case can hold text: of free bytes there are signatures, and of these none is stored or told."""

    def kinds(parameters: Any) -> set[str]:
        found: set[str] = set()
        for one in parameters:
            kind = str(one.type)
            found |= kinds(one.components) if one.components else {kind.removesuffix("[]")}
        return found

    [settle] = [entry for entry in world.ledger.contract_type.mutable_methods if entry.name == "settle"]
    assert kinds(settle.inputs) == {"bytes32", "uint64", "uint8", "uint256", "bytes"}
    told = kinds(parameter for event in world.ledger.contract_type.events for parameter in event.inputs)
    assert told <= {"bytes32", "uint64", "uint8", "uint256", "string"}
    [textual] = [event.name for event in world.ledger.contract_type.events if "string" in kinds(event.inputs)] or [""]
    assert textual in ("", "EIP712DomainChanged")


@pytest.mark.parametrize("how", ["suspend", "remove"])
def test_i6__seat_loses_its_voice__from_that_block_on_and_not_before(world: World, how: str) -> None:
    settled = world.approve("before")
    log = GrowingLog("log")
    log.append(3)
    assert len(world.settle(heads=[world.head(4, (0, bytes(32)), log.head(), [])]).anchored) == 1
    before, anchored = tuple(world.ledger.caseOf(settled.case)), tuple(world.ledger.headOf(4))
    one = move("after", APPROVED)
    sheets = [world.sheet(3, [one]), world.sheet(4, [one])]
    getattr(world.consortium, how)(4, sender=world.council)

    old = log.head()
    log.append(1)
    outcome = world.settle([one], sheets, [world.head(4, old, log.head(), log.consistency(3))])
    assert (outcome.sheets, outcome.reasons) == ([(1, 4, "SeatNotActive")], ["NotSigned"])
    assert outcome.heads == [(4, 4, "SeatNotActive")]
    assert tuple(world.ledger.caseOf(settled.case)) == before
    assert tuple(world.ledger.headOf(4)) == anchored
    revoked = move("before", REVOKED, 2)
    assert len(world.settle([revoked], [world.sheet(3, [revoked])]).settled) == 1


def test_i6__reinstated_seat__its_signature_counts_again(world: World) -> None:
    one = move("a", ACCEPTED)
    sheet = world.sheet(3, [one])
    world.consortium.suspend(3, sender=world.council)
    assert world.settle([one], [sheet]).settled == []
    world.consortium.reinstate(3, sender=world.council)
    assert len(world.settle([one], [sheet]).settled) == 1


@FUZZ
@given(data=st.data())
def test_i7__any_sequence_of_heads__the_anchored_log_only_grows(world: World, chain: Any, data: st.DataObject) -> None:
    honest, forked = GrowingLog("honest"), GrowingLog("forked")
    size, root = 0, bytes(26)
    with chain.isolate():
        for _ in range(data.draw(st.integers(1, 6))):
            log = data.draw(st.sampled_from([honest, honest, forked]))
            log.append(data.draw(st.integers(0 if log.size else 1, 9)))
            new = log.head(data.draw(st.one_of(st.just(log.size), st.integers(1, log.size))))
            starts = [0, *([size] if size <= new[0] else [])]
            old = log.head(data.draw(st.one_of(st.sampled_from(starts), st.integers(0, new[0]))))
            proof = log.consistency(old[0], new[0])
            outcome = world.settle(heads=[world.head(3, old, new, proof)])
            if new[0] > size and old[0] == size and (size == 0 or old[1][:26] == root):
                size, root = new[0], new[1][:26]
                assert outcome.anchored == [(3, *new)]
            else:
                assert outcome.anchored == []
            assert tuple(world.ledger.headOf(3)) == (size, root)


def test_i8__everything_bad_at_once__the_good_settles_and_each_bad_one_is_told_why(world: World) -> None:
    good = [move("good", APPROVED), move("also good", ACCEPTED)]
    bad = [
        move("zero root", APPROVED, root=bytes(32)),
        move("status 0", 0),
        move("status 255", 255),
        move("no binding", APPROVED, binding=2**40 - 1),
        move("binding 0", APPROVED, binding=0),
        move("sequence", APPROVED, 2),
        move("move", REVOKED),
        Move(bytes(32), bytes(32), 2**64 - 1),
        Move(b"\xff" * 32, b"\xff" * 32, 2**64 - 1),
        Move(bytes(32), bytes(32), 0),
    ]
    batch = [bad[0], good[0], *bad[1:6], good[1], *bad[6:], move("unsigned", REFUSED)]
    covered = range(len(batch) - 1)
    sheets = [
        (250, FAR, 1, bytes(65)),
        world.sheet(3, batch, covered),
        (4, 0, 1, b""),
        (4, FAR, 1 << 255, b"\x01" * 65),
        (4, FAR, 2**256 - 1, b"\xff" * 200),
        world.sheet(4, batch, covered),
        (255, 2**64 - 1, 0, b""),
    ]
    log = GrowingLog("log")
    log.append(2)
    heads = [
        (0, 2**64 - 1, b"\xff" * 32, 2**64 - 1, b"\xff" * 32, [b"\xff" * 32] * 70, b"\xff" * 65),
        (255, 0, bytes(32), 0, bytes(32), [], b""),
        world.head(5, (2**63, bytes(32)), (7, random_bytes32("r")), [bytes(32)]),
        world.head(6, (0, bytes(32)), log.head(), []),
    ]
    outcome = world.settle(batch, sheets, heads)
    assert outcome.settled == [one.tuple for one in good]
    assert outcome.reasons == [
        "ZeroRoot",
        "UnknownStatus",
        "UnknownStatus",
        "UnknownBinding",
        "UnknownBinding",
        "WrongSequence",
        "ForbiddenMove",
        "ZeroRoot",
        "UnknownStatus",
        "ZeroRoot",
        "NotSigned",
    ]
    assert outcome.sheets == [
        (0, 250, "SeatNotActive"),
        (2, 4, "Expired"),
        (3, 4, "BeyondBatch"),
        (4, 4, "BeyondBatch"),
        (6, 255, "SeatNotActive"),
    ]
    assert outcome.heads == [(0, 2**64 - 1, "SizeTooLarge"), (255, 0, "SeatNotActive"), (5, 7, "NotFromAnchored")]
    assert outcome.anchored == [(6, *log.head())]
