"""Heads: query logs that grow, fork and lie, and the proof views over them."""

from __future__ import annotations

import hashlib
import random
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from logs import GrowingLog
from machine import View

if TYPE_CHECKING:
    from machine_hands import Hands

HEAD_FAULTS = (
    *("stale", "again", "conflict", "conflict", "fork", "fork", "fork of before", "from before", "from elsewhere"),
    *(
        "proof cut",
        "proof longer",
        "proof node",
        "proof empty",
        "root",
        "size",
        "huge",
        "zero",
        "signature",
        "signature",
    ),
    "from nothing",
)


class Log(GrowingLog):
    """A log that can be forked. Its first leaves may be unknown, but never all of them."""

    def __init__(self, label: object, base: int = 0) -> None:
        super().__init__(label, base)
        self.first = base
        """The first leaf that is known."""

    def fork(self, label: object, size: int) -> Log:
        """Another log with the same first leaves, at least the unknown ones."""
        size = max(size, self.first)
        other = Log(label)
        other._known = {span: node for span, node in self._known.items() if span[1] <= size}
        other.size, other.first = size, self.first
        return other

    def has_head(self, size: int, root: bytes) -> bool:
        """Whether this was its head, by the first 26 bytes."""
        return max(self.first, 1) <= size <= self.size and self.head(size)[1][:26] == root


def new_log(rng: random.Random, label: object) -> Log:
    """A log with a few leaves, perhaps after a past that nobody knows."""
    base = rng.choice([0] * 6 + [1, 2, 7, 8, rng.randrange(3000), 2**40 - 1, 2**47 + rng.randrange(2**30)])
    log = Log(label, base)
    log.append(rng.choice([1, 2, 3, rng.randrange(1, 20)]))
    return log


def heads_of(hands: Hands, seat: int, times: int) -> list[tuple[Any, ...]]:
    """Heads of a seat for one batch, one building on the other where nothing is wrong."""
    size, root = hands.machine.ledger.headOf(seat)
    heads = []
    for _ in range(times):
        head, good = _head(hands, seat, size, root)
        if good:
            size, root = head[3], head[4][:26]
        heads.append(head)
    return heads


def log_of(hands: Hands, seat: int, size: int, root: bytes) -> Log | None:
    """The log of the seat whose head is anchored."""
    logs = hands.logs.setdefault(seat, [])
    if not size:
        logs.append(new_log(hands.rng, (seat, hands.rng.random())))
        return logs[-1]
    return next((log for log in logs if log.has_head(size, root)), None)


def _head(hands: Hands, seat: int, size: int, root: bytes) -> tuple[tuple[Any, ...], bool]:
    """A head and whether it should be anchored."""
    rng = hands.rng
    fault = hands.fault(*HEAD_FAULTS)
    if not size and hands.chance(0.25):
        fault = rng.choice(["huge", "lie"])
    log = log_of(hands, seat, size, root)
    if log is None:
        # What was anchored is the head of no tree: the seat lied about its size. Nothing can extend it.
        log = new_log(rng, rng.random())
        fault = "conflict" if fault == "conflict" else "from elsewhere"
    elif fault not in ("stale", "again", "conflict", "from before"):
        log.append(rng.choice([1, 1, 2, 3, rng.randrange(1, 40)]))
    at = size if size <= log.size else 0
    earlier = rng.randrange(max(log.first, 1), log.size + 1)
    old = log.head(at) if at == 0 or at >= max(log.first, 1) else (at, root + bytes(6))
    new = log.head()
    proof = log.consistency(at) if at >= log.first else []
    match fault:
        case "stale":
            new = log.head(earlier)
            proof = log.consistency(at, new[0]) if 0 < at < new[0] else []
        case "again":
            new, proof = log.head(at or log.size), []
        case "conflict":
            new, proof = (size or log.size, rng.randbytes(32)), []
        case "fork" | "fork of before":
            source = log.fork(rng.random(), rng.randrange(log.first, max(at, log.first + 1)))
            source.append(max(at - source.size, 0) + rng.randrange(1, 9))
            hands.logs[seat].append(source)
            start = at if fault == "fork" else rng.randrange(max(log.first, 1), source.size + 1)
            old, new, proof = source.head(start), source.head(), source.consistency(start)
        case "from before":
            old, proof = log.head(earlier), log.consistency(earlier)
        case "from elsewhere":
            source = Log(rng.random())
            source.append(size if 0 < size < 70 else 3)
            old = source.head()
            source.append(rng.randrange(1, 9))
            new, proof = source.head(), source.consistency(old[0])
        case "from nothing":
            old, proof = (0, rng.randbytes(32)), []
        case "proof cut":
            proof = proof[:-1]
        case "proof longer":
            proof = [*proof, rng.randbytes(32)]
        case "proof node":
            proof = [rng.randbytes(32) if i == len(proof) // 2 else node for i, node in enumerate(proof)]
        case "proof empty":
            proof = []
        case "root":
            new = (new[0], rng.randbytes(32))
        case "size":
            new = (max(new[0] + rng.choice([-2, -1, 1, 2, 8, 64]), 1), new[1])
        case "huge":
            # The largest that is allowed is anchored when it is the first; after it there is nothing more to anchor.
            new = (rng.choice([2**48 - 1, 2**48 - 1, 2**48, 2**48 + new[0] % 2**48, 2**64 - 1]), new[1])
        case "lie":
            # The root of a tree of twice the size: its entries are deeper than the size that is claimed allows.
            source = Log(rng.random())
            source.append(rng.choice([2, 4, 8, 16]))
            hands.logs[seat].append(source)
            old, new, proof = (0, bytes(32)), (source.size // 2, source.head()[1]), []
        case "zero":
            new, proof = (0, rng.randbytes(32)), []
    signer = hands.signer(seat)
    unsigned = fault == "signature" or (fault and hands.chance(0.15))
    signature = (hands.wrong if unsigned else hands.sign)(signer, "CaseLedger", "Head", seat, *new)
    old_root = old[1] if hands.chance(0.97) else old[1][:26] + rng.randbytes(6)
    return (seat, old[0], old_root, *new, tuple(proof), signature), not fault


def log_views(hands: Hands) -> list[View]:
    """Questions about logs, true and false: entries under anchored heads, extensions, and nearly so."""
    rng, model = hands.rng, hands.machine.ledger
    views: list[View] = []
    seats = [*hands.machine.consortium.seats]
    for seat in rng.sample(seats, min(2, len(seats))):
        size, root = model.headOf(seat)
        index = rng.choice([0, 1, size])
        asked = [(seat, given, root.ljust(32, b"\0"), index, root.ljust(32, b"\0"), ()) for given in (0, 1, size)]
        for log in hands.logs.get(seat, ()):
            if log.has_head(size, root):
                asked += _entries(hands, seat, log, size)
            elif size and size < 200 and log.size < 200:
                asked += _entries_of_a_lie(seat, log, size, root)
        views += [("CaseLedger", "verifyLogEntry", one) for one in asked]
    log = Log(rng.random())
    log.append(rng.randrange(2, 34))
    views += [("CaseLedger", "verifyExtension", one) for one in _extensions(rng, log)]
    return views


def _entries(hands: Hands, seat: int, log: Log, size: int) -> list[tuple[Any, ...]]:
    rng, base = hands.rng, log.first
    if base >= size:
        return []
    index = rng.choice([base, size - 1, rng.randrange(base, size)])
    root, leaf, proof = log.head(size)[1], log.leaf(index), tuple(log.inclusion(index, size))
    other = log.fork(rng.random(), base)
    other.append(size - base)
    return [
        (seat, size, root, index, leaf, proof),
        (seat, size, other.head()[1], index, other.leaf(index), tuple(other.inclusion(index))),
        (seat, size + 1, root, index, leaf, proof),
        (seat, size - 1, root, index, leaf, proof),
        (seat, size, root, rng.choice([size, size + 1, index ^ 1, 2**64 - 1]), leaf, proof),
        (seat, size, root, index, rng.randbytes(32), proof),
        (seat, size, root, index, leaf, (*proof, rng.randbytes(32))),
        (seat, size, root, index, leaf, proof[:-1]),
        (seat, size, root[:26] + rng.randbytes(6), index, leaf, proof),
        (rng.choice([*hands.machine.consortium.seats]), size, root, index, leaf, proof),
        (seat, size, root, 0, root, ()),
    ]


def _entries_of_a_lie(seat: int, log: Log, size: int, root: bytes) -> list[tuple[Any, ...]]:
    """A seat may anchor the root of another size than it says: what is under the root is not under the head."""
    sizes = range(max(log.first, 1), min(log.size, 80) + 1)
    true = next((one for one in sizes if log.head(one)[1][:26] == root), None)
    if true is None:
        return []
    leaves = {one for one in (0, 1, true // 2, min(size, true) - 1, true - 1) if log.first <= one < true}
    return [
        (seat, size, log.head(true)[1], place, log.leaf(leaf), tuple(log.inclusion(leaf, true)))
        for leaf in leaves
        for place in {leaf, leaf >> 1, leaf >> 2, size - 1, 0}
    ]


def _extensions(rng: random.Random, log: Log) -> list[tuple[Any, ...]]:
    new = rng.randrange(2, log.size + 1)
    old = rng.choice([rng.randrange(1, new), 1 << rng.randrange((new - 1).bit_length())])
    (_, old_root), (_, new_root) = log.head(old), log.head(new)
    proof = tuple(log.consistency(old, new))
    stray = rng.randbytes(32)
    asked: list[tuple[Any, ...]] = [
        (old, old_root, new, new_root, proof),
        (old, old_root, new, stray, proof),
        (old, stray, new, new_root, proof),
        (old, old_root, new, new_root, proof[:-1]),
        (old, old_root, new, new_root, ()),
        (old, old_root, new, new_root, (*proof, stray)),
        # One node more on the left of both trees, as if they were larger.
        (old, _node(stray, old_root), new, _node(stray, new_root), (*proof, stray)),
        (old, old_root, new, _node(new_root, stray), (*proof, stray)),
        (old, old_root, new + rng.choice([1, 2, 4, 8, 16, 32]), new_root, proof),
        (old, old_root, rng.randrange(new + 1), new_root, proof),
        (max(old - 1, 1), old_root, new, new_root, proof),
        (old + 1, old_root, new, new_root, proof),
        (old * 2, old_root, new * 2, new_root, proof),
        (new, new_root, new, new_root, ()),
        (new, new_root, old, old_root, proof),
        (0, stray, new, new_root, ()),
        (0, stray, new, new_root, proof),
        (0, stray, 0, stray, ()),
        (2**64 - 1, old_root, 2**64 - 1, old_root, ()),
        (2**63, old_root, 2**64 - 1, new_root, proof),
    ]
    # A tree does not extend itself, whatever leads from its complete subtrees to its root.
    edges = [0]
    for bit in reversed(range(new.bit_length())):
        if new >> bit & 1:
            edges.append(edges[-1] + (1 << bit))
    subtrees = [log._root(start, end) for start, end in pairwise(edges)][::-1]
    asked.append((new, new_root, new, new_root, tuple(subtrees)))
    swapped = list(proof)
    rng.shuffle(swapped)
    asked.append((old, old_root, new, new_root, tuple(swapped)))
    return asked


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()
