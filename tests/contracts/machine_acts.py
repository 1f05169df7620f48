"""Acts: what departments, a council and strangers do to seats, versions and bindings, right and nearly right."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from machine import Act
from model_consortium import ACTIVE, REMOVED, ROTATION, SUSPENDED

from orchestrator.domain.canonical import keccak

if TYPE_CHECKING:
    from machine_hands import Hands

MOST_SEATS = 9


# Seats


def admission(hands: Hands) -> Act:
    consortium = hands.machine.consortium
    fault = hands.fault("council", "taken", "used", "keyset", "signature", "zero")
    free = [one for one in (0, 255, 1, 128, hands.rng.randrange(256)) if one not in consortium.seats]
    seat = hands.pick(free or [hands.rng.randrange(256)])
    if fault == "taken" and consortium.seats:
        seat = hands.pick([*consortium.seats])
    signer = _new_signer(hands, fault)
    keyset = b"" if fault == "keyset" else hands.rng.randbytes(hands.rng.randrange(1, 80))
    statement = ("Consortium", "Admission", seat, signer, keccak(keyset))
    signature = _new_signature(hands, fault, signer, *statement)
    return Act(hands.council(fault == "council"), "Consortium", "admit", (seat, signer, keyset, signature))


def rotation(hands: Hands) -> Act:
    machine, rng = hands.machine, hands.rng
    kinds = ("standing", "pending", "used", "keyset", "early", "late", "old", "new", "zero", "change", "swapped")
    fault = hands.fault(*kinds)
    seat = _seat_for_change(hands, fault, ACTIVE)
    present = hands.signer(seat)
    signer = present if not fault and hands.chance(0.2) else _new_signer(hands, fault)
    keyset = b"" if fault == "keyset" else rng.randbytes(rng.randrange(1, 80))
    now, [veto] = machine.clock.block + 1, machine.consortium.vetoBlocks()
    at = {"early": rng.choice([now, now, now - 1, 0]), "late": rng.choice([now + veto + 1, 2**64 - 1])}.get(
        fault, rng.choice([now + 1, now + veto, rng.randrange(now + 1, now + veto + 1)])
    )
    change = machine.consortium.changeCount(seat)[0] + 1 + (rng.choice([-1, 1]) if fault == "change" else 0)
    statement = ("Consortium", "Rotation", seat, signer, keccak(keyset), at, change)
    old = (hands.wrong if fault == "old" else hands.sign)(present, *statement)
    new = _new_signature(hands, "signature" if fault == "new" else fault, signer, *statement)
    if fault == "swapped":
        old, new = new, old
    return Act(hands.actor(), "Consortium", "rotate", (seat, signer, keyset, at, old, new))


def replacement(hands: Hands) -> Act:
    """A recovery or a succession."""
    rng = hands.rng
    fault = hands.fault(
        "council", "removed", "pending", "keyset", "used", "signature", "zero", "other", "change", "present"
    )
    function, struct, other = rng.choice([("recover", "Recovery", "Succession"), ("succeed", "Succession", "Recovery")])
    seat = _seat_for_change(hands, fault, ACTIVE, SUSPENDED)
    signer = hands.signer(seat) if fault == "present" else _new_signer(hands, fault)
    keyset = b"" if fault == "keyset" else rng.randbytes(rng.randrange(1, 80))
    change = hands.machine.consortium.changeCount(seat)[0] + 1 + (rng.choice([-1, 1]) if fault == "change" else 0)
    statement = ("Consortium", other if fault == "other" else struct, seat, signer, keccak(keyset), change)
    signature = _new_signature(hands, fault, signer, *statement)
    return Act(hands.council(fault == "council"), "Consortium", function, (seat, signer, keyset, signature))


def veto(hands: Hands) -> Act:
    fault = hands.fault("change", "signature", "announced key", "removed", "nothing", "statement")
    seat, change = _announced(hands, fault)
    record = hands.machine.consortium.seats.get(seat)
    signer = record.keys[-1].signer if record and fault == "announced key" else hands.signer(seat)
    said = change if fault != "statement" else change + 1
    signature = (hands.wrong if fault == "signature" else hands.sign)(signer, "Consortium", "Veto", seat, said)
    return Act(hands.actor(), "Consortium", "veto", (seat, change, signature))


def cancellation(hands: Hands) -> Act:
    fault = hands.fault("council", "change", "rotation", "nothing")
    seat, change = _announced(hands, fault)
    return Act(hands.council(fault == "council"), "Consortium", "cancel", (seat, change))


def standing(hands: Hands) -> Act:
    """A suspension, the end of one, or the end of a seat."""
    fault = hands.fault("council", "standing", "unknown")
    function, of = hands.pick(
        [("suspend", (ACTIVE,))] * 3 + [("reinstate", (SUSPENDED,))] * 6 + [("remove", (ACTIVE, SUSPENDED))]
    )
    enough = sum(hands.machine.consortium.signerOf(one)[0] != bytes(20) for one in hands.machine.consortium.seats) > 4
    if not fault and function != "reinstate" and not enough:
        function, of = "reinstate", (SUSPENDED,)
    seat = hands.seat(*({ACTIVE, SUSPENDED, REMOVED} - {*of} if fault == "standing" else of))
    if seat is None or fault == "unknown":
        seat = hands.any_seat() if fault != "unknown" else hands.rng.randrange(256)
    return Act(hands.council(fault == "council"), "Consortium", function, (seat,))


def ownership(hands: Hands) -> Act:
    """The council hands over, or somebody tries to take its place."""
    consortium = hands.machine.consortium
    [owner], [pending] = consortium.owner(), consortium.pendingOwner()
    fault = hands.chance(0.4)
    by = hands.council(fault)
    match hands.pick(
        ["transferOwnership", "transferOwnership", "acceptOwnership", "acceptOwnership", "renounceOwnership"]
    ):
        case "transferOwnership":
            return Act(by, "Consortium", "transferOwnership", (hands.pick([*hands.machine.actors, owner, bytes(20)]),))
        case "acceptOwnership":
            taker = hands.actor() if fault or pending == bytes(20) else pending
            return Act(taker, "Consortium", "acceptOwnership", ())
        case _:
            return Act(by, "Consortium", "renounceOwnership", ())


def _new_signer(hands: Hands, fault: str) -> bytes:
    used = [*hands.machine.consortium.used]
    if fault == "used" and used:
        return hands.pick(used)
    return bytes(20) if fault == "zero" else hands.new()


def _new_signature(hands: Hands, fault: str, signer: bytes, *statement: Any) -> bytes:
    """What the new key says. The zero address has no key: whoever claims it can only send rubbish."""
    if signer == bytes(20):
        return hands.pick([b"", bytes(65), hands.rng.randbytes(65), hands.rng.randbytes(64) + b"\x1b"])
    return (hands.wrong if fault == "signature" else hands.sign)(signer, *statement)


def _seat_for_change(hands: Hands, fault: str, *standings: int) -> int:
    """A seat without an announced change, or as the fault has it."""
    consortium, soon = hands.machine.consortium, hands.machine.clock.block + 1
    pending = {seat for seat, one in consortium.seats.items() if one.keys[-1].fromBlock > soon}
    by_standing = {seat: one.standing_at(soon) for seat, one in consortium.seats.items()}
    wrong = fault in ("standing", "removed")
    choices = [
        seat
        for seat, now in by_standing.items()
        if (now not in standings) == wrong and (seat in pending) == (fault == "pending")
    ]
    return hands.pick(choices) if choices else hands.any_seat()


def _announced(hands: Hands, fault: str) -> tuple[int, int]:
    """A seat and the number of the change that is announced for it, or as the fault has it."""
    consortium, soon = hands.machine.consortium, hands.machine.clock.block + 1
    pending = [seat for seat, one in consortium.seats.items() if one.keys[-1].fromBlock > soon]
    if fault == "nothing":
        pending = [seat for seat in consortium.seats if seat not in pending]
    elif fault == "removed":
        pending = [seat for seat in pending if consortium.seats[seat].standing_at(soon) == REMOVED] or pending
    elif fault == "rotation":
        pending = [seat for seat in pending if consortium.seats[seat].keys[-1].origin == ROTATION] or pending
    seat = hands.pick(pending) if pending else hands.any_seat()
    [count] = consortium.changeCount(seat)
    if fault == "change":
        return seat, hands.pick([count + 1, max(count - 1, 0), 0, hands.rng.randrange(2**32)])
    return seat, count


# Versions and bindings


def publication(hands: Hands) -> Act:
    fault = hands.fault("again", "empty", "seat", "signature")
    versions = [*hands.machine.catalog.versions]
    version = hands.pick(versions) if fault == "again" and versions else hands.bytes32()
    publisher = _speaker(hands, fault)
    scenario = "" if fault == "empty" else hands.pick(["gallery", "营业性演出", "x" * hands.rng.randrange(1, 70)])
    values = (scenario, version, hands.bytes32(), publisher)
    signature = _statement(hands, fault, publisher, "Publication", *values)
    return Act(hands.actor(), "Catalog", "publish", (*values, signature))


def amendment(hands: Hands) -> Act:
    fault = hands.fault("unknown", "revision", "signature", "other seat")
    versions = [*hands.machine.catalog.versions]
    version = hands.bytes32() if fault == "unknown" or not versions else hands.pick(versions)
    _, _, last, publisher = hands.machine.catalog.versions.get(version, ("", b"", 0, hands.any_seat()))
    revision = hands.pick([last, last + 2, 0, 2**32 - 1]) if fault == "revision" else last + 1
    values = (version, hands.bytes32(), revision)
    if fault == "other seat":
        other = hands.any_seat()
        said = hands.pick([publisher, other])
        signature = hands.sign_for(other, "Catalog", "Texts", *values, said)
    else:
        signature = _statement(hands, fault, publisher, "Texts", *values, publisher)
    return Act(hands.actor(), "Catalog", "amendTexts", (*values, signature))


def binding(hands: Hands) -> Act:
    rng, machine = hands.rng, hands.machine
    kinds = ("expired", "again", "version", "identity", "nobody", "twice", "count", "count", "signature", "signature")
    fault = hands.fault(*kinds, "seat", "order", "swapped")
    [*seats] = machine.consortium.seats
    active = [seat for seat in seats if machine.consortium.signerOf(seat)[0] != bytes(20)]
    pool = seats if fault == "seat" or not active else active
    identity, operator = rng.choice(pool), rng.choice(pool)
    if len(pool) > 1 and fault != "identity":
        operator = rng.choice([one for one in pool if one != identity])
    if fault == "identity":
        operator = identity
    approvers = rng.sample(pool, min(len(pool), rng.choice([1, 1, 2, 2, 3, 4])))
    if fault == "nobody":
        approvers = []
    elif fault == "twice":
        approvers.insert(rng.randrange(len(approvers) + 1), rng.choice(approvers))
    providers = [rng.choice(pool) for _ in range(rng.randrange(4))]
    versions = [*machine.catalog.versions]
    version = rng.choice(versions) if versions and fault != "version" else hands.bytes32()
    soon = machine.clock.time + 1
    until = soon - 1 if fault == "expired" else rng.choice([soon, soon + 500, 2**40, 2**64 - 1])
    terms: tuple[Any, ...] = (
        version, rng.getrandbits(32), identity, operator, tuple(approvers), tuple(providers), until
    )  # fmt: skip
    made = [one.terms for one in machine.catalog.bindings.values()]
    if fault == "again" and made:
        terms = rng.choice([one for one in made if one[6] >= soon] or made)
    named = sorted({terms[2], terms[3], *terms[4], *terms[5]})
    signatures = [hands.sign_for(seat, "Catalog", "Binding", *terms) for seat in named]
    place = rng.randrange(len(named))
    if fault == "count":
        signatures = signatures[:-1] if hands.chance(0.6) else [*signatures, signatures[-1]]
    elif fault == "signature":
        signatures[place] = hands.wrong(hands.signer(named[place]), "Catalog", "Binding", *terms)
    elif fault == "order":
        signatures.reverse()
    elif fault == "swapped":
        # Another's signature in the place of the seat's own: somebody signs twice for two.
        signatures[place] = signatures[rng.randrange(len(named))]
    return Act(hands.actor(), "Catalog", "bind", (terms, tuple(signatures)))


def retirement(hands: Hands) -> Act:
    bindings = hands.machine.catalog.bindings
    fault = hands.fault("unknown", "retired", "not named", "signature", "seat")
    wanted = [number for number, one in bindings.items() if one.live != (fault == "retired")] or [*bindings]
    number = hands.pick(wanted) if wanted else 1
    named: Sequence[int] = bindings[number].named if number in bindings else [hands.any_seat()]
    seat = hands.pick(named)
    if fault == "unknown":
        number = hands.pick([0, len(bindings) + 1, 2**40 - 1])
    elif fault == "not named":
        seat = hands.pick([one for one in hands.machine.consortium.seats if one not in named] or [hands.any_seat()])
    signature = _statement(hands, fault, seat, "Retirement", number, seat)
    return Act(hands.actor(), "Catalog", "retire", (number, seat, signature))


def _speaker(hands: Hands, fault: str) -> int:
    """An active seat, or with a fault one that is not."""
    seat = hands.seat(SUSPENDED, REMOVED) if fault == "seat" else hands.seat(ACTIVE)
    return hands.any_seat() if seat is None else seat


def _statement(hands: Hands, fault: str, seat: int, struct: str, *values: Any) -> bytes:
    by = hands.wrong if fault == "signature" else hands.sign
    return by(hands.signer(seat), "Catalog", struct, *values)
