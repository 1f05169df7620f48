"""Query logs (RFC 9162, SHA-256): append-only, so that a question once logged stays logged.

Pure: the hashes of complete subtrees live in somebody's store, keyed `(level, index)`: node `(l, i)` covers the leaves
`i·2^l … (i+1)·2^l − 1` and, being complete, never changes. Each operation has a companion `nodes_for_…` that names the
stored nodes it needs, so a caller reads them in one go, and an append returns the nodes to write in one go. Both are
O(log n) for each leaf.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import orjson

from orchestrator.domain.suite import hash_of

Place = tuple[int, int]
"""Level (0 = leaves) and index of a complete subtree."""
Nodes = Mapping[Place, bytes]

EMPTY_ROOT: Final = hash_of(b"")
"""Root of the empty log."""
MAX_SIZE: Final = 1 << 48
"""The ledger takes no head of this size or beyond."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """Size and root of a seat's log."""

    seat: int
    size: int
    root: bytes


def entry(batch: str, question: str, attempt: int) -> bytes:
    """What is logged for one question: the hash of the signed batch it came in, its id, and the attempt that it got.

    The asker knows all three and so can compute the leaf and check its inclusion; the provider keeps the batch, which
    proves who asked.
    """
    # Canonical, since the members stand in order; the writer for everything takes ten times as long.
    return orjson.dumps({"attempt": attempt, "batch": batch, "question": question})


def leaf_hash(data: bytes) -> bytes:
    """SHA-256 of 00 and the entry."""
    return hash_of(b"\x00" + data)


def node_hash(left: bytes, right: bytes) -> bytes:
    """SHA-256 of 01 and both children."""
    return hash_of(b"\x01" + left + right)


class LogTree:
    """A log of `size` leaves, over those of its nodes that the caller has read.

    Methods raise LookupError when a node that they need was not read, ValueError for sizes and places that do not
    exist.
    """

    __slots__ = ("_nodes", "_ranges", "size")

    def __init__(self, size: int = 0, nodes: Nodes | None = None) -> None:
        if not 0 <= size < MAX_SIZE:
            raise ValueError("no log has this size")
        self.size = size
        self._nodes = dict(nodes or {})
        self._ranges: dict[tuple[int, int], bytes] = {}  # leaves and nodes never change, so neither do these

    def append(self, leaves: Sequence[bytes]) -> dict[Place, bytes]:
        """Adds leaf hashes; returns the new complete nodes, to be stored. Needs `nodes_for_append(size)`."""
        if self.size + len(leaves) >= MAX_SIZE:
            raise ValueError("the log is full")
        new: dict[Place, bytes] = {}
        for leaf in leaves:
            level, index, value = 0, self.size, leaf
            new[level, index] = value
            while index & 1:
                left = new.get((level, index - 1))
                value = node_hash(self._node(level, index - 1) if left is None else left, value)
                level, index = level + 1, index >> 1
                new[level, index] = value
            self.size += 1
        self._nodes.update(new)
        return new

    def root(self) -> bytes:
        """The root over all leaves. Needs `nodes_for_root(size)`."""
        return self._range(0, self.size) if self.size else EMPTY_ROOT

    def inclusion_proof(self, index: int) -> list[bytes]:
        """The path (RFC 9162, 2.1.3) of leaf `index`. Needs `nodes_for_inclusion`, or that the leaf was just appended."""
        return [self._range(start, end) for start, end in _inclusion_ranges(index, self.size)]

    def consistency_proof(self, old_size: int) -> list[bytes]:
        """That this log extends its first `old_size` leaves (RFC 9162, 2.1.4). Needs `nodes_for_consistency`."""
        return [self._range(start, end) for start, end in _consistency_ranges(old_size, self.size)]

    def frontier(self) -> dict[Place, bytes]:
        """The nodes of `nodes_for_append`: all that an append needs of a log, however long it is."""
        return {place: self._node(*place) for place in nodes_for_append(self.size)}

    def _range(self, start: int, end: int) -> bytes:
        """The hash of the (sub)tree over the leaves `start … end − 1`."""
        value = self._ranges.get((start, end))
        if value is None:
            for level, index in reversed(_places(start, end)):
                node = self._node(level, index)
                value = node if value is None else node_hash(node, value)
            assert value is not None
            self._ranges[start, end] = value
        return value

    def _node(self, level: int, index: int) -> bytes:
        try:
            return self._nodes[level, index]
        except KeyError:
            raise LookupError(f"node ({level}, {index}) was not read") from None


def nodes_for_append(size: int) -> list[Place]:
    """The stored nodes that an append to a log of `size` leaves needs.

    Together with what the append returns they also make the new root, the inclusion paths of the new leaves and the
    consistency proof from `size`.
    """
    return _places(0, size)


def nodes_for_root(size: int) -> list[Place]:
    """The stored nodes that make the root."""
    return _places(0, size)


def nodes_for_inclusion(index: int, size: int) -> list[Place]:
    """The stored nodes that prove a leaf's inclusion. Raises ValueError when there is no such leaf."""
    return _all_places(_inclusion_ranges(index, size))


def nodes_for_consistency(old_size: int, size: int) -> list[Place]:
    """The stored nodes that prove that a log of `size` extends one of `old_size`. Raises ValueError when it cannot."""
    return _all_places(_consistency_ranges(old_size, size))


def verify_inclusion(leaf: bytes, index: int, size: int, path: Sequence[bytes], root: bytes) -> bool:
    """Whether `path` puts leaf hash `leaf` at `index` of the log with `size` leaves and `root` (RFC 9162, 2.1.3.2)."""
    if not 0 <= index < size:
        return False
    place, last, value = index, size - 1, leaf
    for sibling in path:
        if last == 0:
            return False
        if place & 1 or place == last:
            value = node_hash(sibling, value)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            value = node_hash(value, sibling)
        place, last = place >> 1, last >> 1
    return last == 0 and value == root


def verify_consistency(old_size: int, old_root: bytes, size: int, root: bytes, proof: Sequence[bytes]) -> bool:
    """Whether `proof` shows that the log (`size`, `root`) extends (`old_size`, `old_root`) (RFC 9162, 2.1.4.2).

    Everything extends the empty log, by an empty proof; a log extends itself by an empty proof.
    """
    if not 0 <= old_size <= size:
        return False
    if old_size == 0:
        return not proof and old_root == EMPTY_ROOT
    if old_size == size:
        return not proof and old_root == root
    nodes = list(proof)
    if not old_size & (old_size - 1):
        nodes.insert(0, old_root)  # a full old tree is its own first node
    return prefix_root(old_size, size, root, nodes) == old_root


def prefix_root(old_size: int, size: int, root: bytes, nodes: Sequence[bytes]) -> bytes | None:
    """The root of the first `old_size` leaves of the log (`size`, `root`), as `nodes` show it; None when they do not lead to
    `root`. For 0 < `old_size` < `size`.

    The nodes are those of a consistency proof, where it leaves out a full old tree with that tree's root first. They bind
    to `root` whatever they show: a seat that signed another root for `old_size` is so proven to have changed its log.
    """
    if not 0 < old_size < size or not nodes:
        return None
    place, last = old_size - 1, size - 1
    while place & 1:
        place, last = place >> 1, last >> 1
    old_value = new_value = nodes[0]
    for sibling in nodes[1:]:
        if last == 0:
            return None
        if place & 1 or place == last:
            old_value, new_value = node_hash(sibling, old_value), node_hash(sibling, new_value)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            new_value = node_hash(new_value, sibling)
        place, last = place >> 1, last >> 1
    return old_value if last == 0 and new_value == root else None


def full_tree(leaf: bytes, index: int, path: Sequence[bytes]) -> bytes:
    """The root of the first `index + 1` leaves, a power of two of them, out of the inclusion path of the last one."""
    value = leaf
    for sibling in path[: (index + 1).bit_length() - 1]:
        value = node_hash(sibling, value)
    return value


def _places(start: int, end: int) -> list[Place]:
    """The complete subtrees, from left to right, that a (sub)tree over `start … end − 1` is made of.

    `start` is a multiple of the smallest power of two that is not below `end − start`, as it is for every subtree of a
    log.
    """
    places = []
    while start < end:
        level = (end - start).bit_length() - 1
        places.append((level, start >> level))
        start += 1 << level
    return places


def _all_places(ranges: Iterable[tuple[int, int]]) -> list[Place]:
    return [place for start, end in ranges for place in _places(start, end)]


def _split(size: int) -> int:
    """The largest power of two below `size` (RFC 9162, 2.1.1)."""
    return 1 << (size - 1).bit_length() - 1


def _inclusion_ranges(index: int, size: int) -> list[tuple[int, int]]:
    """The leaf ranges whose hashes are the path, from the leaf up."""
    if not 0 <= index < size:
        raise ValueError("the log has no such leaf")
    ranges, start, end = [], 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            ranges.append((middle, end))
            end = middle
        else:
            ranges.append((start, middle))
            start = middle
    return ranges[::-1]


def _consistency_ranges(old_size: int, size: int) -> list[tuple[int, int]]:
    """The leaf ranges whose hashes are the proof, in its order."""
    if not 0 <= old_size <= size:
        raise ValueError("a log extends only what was smaller")
    if old_size in (0, size):
        return []
    ranges, start, end = [], 0, size
    while end != old_size:
        middle = start + _split(end - start)
        if old_size <= middle:
            ranges.append((middle, end))
            end = middle
        else:
            ranges.append((start, middle))
            start = middle
    if start:  # otherwise the old root itself, which the verifier has
        ranges.append((start, end))
    return ranges[::-1]
