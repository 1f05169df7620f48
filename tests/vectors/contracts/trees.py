"""Dossier trees from their leaves, log trees by the recursive definitions of RFC 9162, and proofs that must be refused. Part of
generate.py; uses none of our code."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

from eth_abi.abi import encode
from eth_utils.crypto import keccak

KINDS = (
    "mandate", "situation", "form", "material:lease", "material:房屋安全鉴定", "answer", "verdict", "credential",
    "revocation", "material:" + "i" * 22, "material:" + "j" * 23, "material:" + "k" * 24, "material:" + "证" * 128,
)  # fmt: skip
"""Three of them have 31, 32 and 33 bytes, where the encoding begins another word."""
SMALL = 33
BORDERS = ((1, 70), (32, 64), (32, 70), (33, 64), (33, 65), (47, 70), (63, 64), (63, 65), (64, 65), (64, 70), (69, 70))
BASES = (2**20, 2**32 + 7, 2**40 - 1, 2**48 - 5, 2**53 + 1, 2**63, 2**64 - 5)
Node = Callable[[int, int], bytes]


def hexed(data: bytes) -> str:
    return "0x" + data.hex()


def hexes(nodes: list[bytes]) -> list[str]:
    return [hexed(node) for node in nodes]


def large(value: int) -> int | str:
    return value if value < 2**53 else str(value)


# Dossiers


def entry_hash(entry: tuple[str, bytes, bytes]) -> bytes:
    return keccak(keccak(encode(["string", "bytes32", "bytes32"], entry)))


def pair(one: bytes, other: bytes) -> bytes:
    return keccak(min(one, other) + max(one, other))


def dossier_tree(hashes: list[bytes]) -> tuple[bytes, list[list[str]]]:
    """Root, and the proof of each leaf: a complete binary tree as an array, root first, the sorted leaves from its end."""
    tree = [b""] * (len(hashes) - 1) + sorted(hashes, reverse=True)
    for place in range(len(hashes) - 2, -1, -1):
        tree[place] = pair(tree[2 * place + 1], tree[2 * place + 2])

    def proof(place: int) -> list[bytes]:
        return [tree[place + 1 if place % 2 else place - 1], *proof((place - 1) // 2)] if place else []

    return tree[0], [hexes(proof(tree.index(each))) for each in hashes]


def entries_of(rng: random.Random, size: int, kinds: tuple[str, ...]) -> list[tuple[str, bytes, bytes]]:
    return [(kinds[i % len(kinds)], rng.randbytes(32), rng.randbytes(32)) for i in range(size)]


def shown(entry: tuple[str, bytes, bytes]) -> dict[str, str]:
    return {"kind": entry[0], "salt": hexed(entry[1]), "content": hexed(entry[2])}


def dossiers() -> list[dict[str, Any]]:
    """The few that most tests take."""
    rng, found = random.Random(9999), []
    for size in (1, 2, 3, 7, 20):
        entries = entries_of(rng, size, KINDS[:8])
        hashes = [entry_hash(entry) for entry in entries]
        root, proofs = dossier_tree(hashes)
        leaves = [
            shown(entry) | {"hash": hexed(one), "proof": proof}
            for entry, one, proof in zip(entries, hashes, proofs, strict=True)
        ]
        found.append({"leaves": leaves, "root": hexed(root)})
    return found


def merkle() -> dict[str, Any]:
    """Trees of every size over the first of these entries, and what is not in a tree."""
    rng = random.Random(33)
    entries = [("", bytes(32), bytes(32)), ("", b"\xff" * 32, b"\xff" * 32), ("\0", bytes(32), bytes(32))]
    entries += [("mandate", bytes(32), b"\xff" * 32), ("mandate", b"\xff" * 32, bytes(32)), ("🖼", bytes(32), bytes(32))]
    entries += entries_of(rng, 94, KINDS)
    hashes = [entry_hash(entry) for entry in entries]
    trees = {size: dossier_tree(hashes[:size]) for size in (*range(1, SMALL + 2), 64, 65, 100)}
    refused = []
    other = hexed(rng.randbytes(32))
    for size in (1, 2, 3, 8, 20, 33):
        (tree_root, proofs), place = trees[size], size - 1
        leaf, root, proof = shown(entries[place]), hexed(tree_root), proofs[place]
        swapped = {"salt": leaf["content"], "content": leaf["salt"]}
        wrong = {
            "another kind": (leaf | {"kind": leaf["kind"] + "x"}, root, proof),
            "another salt": (leaf | {"salt": other}, root, proof),
            "another content": (leaf | {"content": other}, root, proof),
            "another root": (leaf, other, proof),
            "the root of a larger tree": (leaf, hexed(trees[size + 1][0]), proof),
            "a node too many": (leaf, root, [*proof, other]),
            "the root as one more node": (leaf, root, [*proof, root]),
        }
        if swapped["salt"] != leaf["salt"]:
            wrong["salt and content swapped"] = (leaf | swapped, root, proof)
        if proof:
            wrong["no proof"] = (leaf, root, [])
            wrong["the first node missing"] = (leaf, root, proof[1:])
            wrong["the last node missing"] = (leaf, root, proof[:-1])
            wrong["a node changed"] = (leaf, root, [other, *proof[1:]])
            wrong["another leaf's proof"] = (leaf, root, proofs[0])
        if len(proof) > 1:
            wrong["nodes in another order"] = (leaf, root, proof[::-1])
        for why, (entry, said, nodes) in wrong.items():
            refused.append({"why": why, "size": size, "entry": entry, "root": said, "proof": nodes})
    return {
        "entries": [shown(entry) | {"hash": hexed(one)} for entry, one in zip(entries, hashes, strict=True)],
        "trees": [
            {
                "size": size,
                "root": hexed(root),
                "proofs": [{"at": at, "proof": proofs[at]} for at in range(0, size, 1 if size <= SMALL else 9)],
            }
            for size, (root, proofs) in trees.items()
        ],
        "refused": refused,
    }


# Logs


def split(n: int) -> int:
    """The largest power of two below n."""
    return 1 << (n - 1).bit_length() - 1


def inner(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


class Log:
    """RFC 9162, 2.1: roots, paths and proofs over leaves from `start` to `end`, by their recursive definitions."""

    def __init__(self, known: Node) -> None:
        self._known = known

    def root(self, start: int, end: int) -> bytes:
        return self._known(start, end) or inner(*self._halves(start, end))

    def _halves(self, start: int, end: int) -> tuple[bytes, bytes]:
        middle = start + split(end - start)
        return self.root(start, middle), self.root(middle, end)

    def path(self, index: int, start: int, end: int) -> list[bytes]:
        if end - start == 1:
            return []
        middle = start + split(end - start)
        if index < middle:
            return [*self.path(index, start, middle), self.root(middle, end)]
        return [*self.path(index, middle, end), self.root(start, middle)]

    def proof(self, old: int, start: int, end: int, whole: bool = True) -> list[bytes]:
        if old == end:
            return [] if whole else [self.root(start, end)]
        middle = start + split(end - start)
        if old <= middle:
            return [*self.proof(old, start, middle, whole), self.root(middle, end)]
        return [*self.proof(old, middle, end, False), self.root(start, middle)]


@cache
def small_node(start: int, end: int) -> bytes:
    if end - start == 1:
        return hashlib.sha256(b"\x00" + start.to_bytes(4, "big")).digest()
    return inner(*LOG._halves(start, end))


LOG = Log(small_node)


def root_of(size: int) -> str:
    """The root of the log of consistency.json."""
    return hexed(LOG.root(0, size)) if size else hexed(hashlib.sha256(b"").digest())


def proof_between(old: int, new: int) -> list[str]:
    return hexes(LOG.proof(old, 0, new))


def large_log(base: int) -> dict[str, Any]:
    """A log of which nobody knows the first `base` leaves, only the roots of their complete subtrees, and four leaves more."""
    known: dict[tuple[int, int], bytes] = {}
    subtrees, start = [], 0
    for level in reversed(range(base.bit_length())):
        if base >> level & 1:
            found = hashlib.sha256(f"lianban vectors/subtree {base} {start}".encode()).digest()
            known[start, start + (1 << level)] = found
            subtrees.append({"level": level, "index": large(start >> level), "hash": hexed(found)})
            start += 1 << level
    for index in range(base, base + 4):
        known[index, index + 1] = hashlib.sha256(b"\x00" + index.to_bytes(8, "big")).digest()
    log = Log(lambda start, end: known.get((start, end), b""))
    sizes = range(base, base + 5)
    return {
        "base": large(base),
        "subtrees": subtrees,
        "roots": [{"size": large(size), "root": hexed(log.root(0, size))} for size in sizes],
        "proofs": [
            {"old": large(base + old), "new": large(base + new), "proof": hexes(log.proof(base + old, 0, base + new))}
            for old, new in ((0, 1), (0, 4), (1, 3), (3, 4))
        ],
        "inclusion": [
            {"index": large(base + at), "size": large(base + size), "proof": hexes(log.path(base + at, 0, base + size))}
            for at, size in ((0, 1), (0, 4), (2, 4), (3, 4))
        ],
    }


def refused_proofs() -> Iterator[dict[str, Any]]:
    """What shows no extension."""
    other = hexed(hashlib.sha256(b"other").digest())
    for old, new in (
        (1, 2),
        (1, 3),
        (2, 3),
        (3, 4),
        (4, 8),
        (3, 7),
        (6, 8),
        (7, 8),
        (8, 9),
        (21, 32),
        (32, 33),
        (47, 70),
    ):
        proof, before, after = proof_between(old, new), root_of(old), root_of(new)
        wrong: dict[str, tuple[int, str, int, str, list[str]]] = {
            "another old root": (old, other, new, after, proof),
            "another new root": (old, before, new, other, proof),
            "roots swapped": (old, after, new, before, proof),
            "sizes and roots swapped": (new, after, old, before, proof),
            "no proof": (old, before, new, after, []),
            "the first node missing": (old, before, new, after, proof[1:]),
            "the last node missing": (old, before, new, after, proof[:-1]),
            "a node too many at the end": (old, before, new, after, [*proof, other]),
            "a node too many at the start": (old, before, new, after, [other, *proof]),
            "the old root as first node": (old, before, new, after, [before, *proof]),
            "the new root as the whole proof": (old, before, new, after, [after]),
            "both roots raised by one more node": (
                old,
                raised(other, before),
                new,
                raised(other, after),
                [*proof, other],
            ),
            "a longer log of the same root": (old, before, 2 * new + 1, after, proof),
            "the same size": (new, after, new, after, proof),
        }
        for place in range(len(proof)):
            changed = [other if i == place else node for i, node in enumerate(proof)]
            wrong[f"node {place} changed"] = (old, before, new, after, changed)
        if len(proof) > 1 and proof[::-1] != proof:
            wrong["nodes in another order"] = (old, before, new, after, proof[::-1])
        for why, (first, first_root, second, second_root, nodes) in wrong.items():
            yield {
                "why": why, "old": first, "oldRoot": first_root, "new": second, "newRoot": second_root, "proof": nodes,
            }  # fmt: skip


def raised(left: str, right: str) -> str:
    return hexed(inner(bytes.fromhex(left[2:]), bytes.fromhex(right[2:])))


def refused_paths() -> Iterator[dict[str, Any]]:
    """What shows no leaf at a place."""
    other = hexed(hashlib.sha256(b"other").digest())
    for index, size in (
        (0, 1),
        (0, 2),
        (1, 2),
        (2, 3),
        (0, 7),
        (4, 7),
        (6, 7),
        (3, 8),
        (12, 13),
        (32, 33),
        (31, 33),
        (69, 70),
    ):
        leaf, path, root = hexed(LOG.root(index, index + 1)), hexes(LOG.path(index, 0, size)), root_of(size)
        wrong: dict[str, tuple[str, int, int, str, list[str]]] = {
            "another leaf": (other, index, size, root, path),
            "another root": (leaf, index, size, other, path),
            "the root as its own leaf": (root, index, size, other, path),
            "beyond the log": (leaf, size, size, root, path),
            "far beyond the log": (leaf, index + 2 ** (size - 1).bit_length(), size, root, path),
            "an empty log": (leaf, 0, 0, root, path),
            "a node too many": (leaf, index, size, root, [*path, other]),
            "raised by one more node": (leaf, index, size, raised(other, root), [*path, other]),
            "a log twice as long": (leaf, index, 2 * size, root, path),
        }
        if size > 1:
            beside = index ^ 1 if index ^ 1 < size else index - 1
            wrong["the leaf beside"] = (hexed(LOG.root(beside, beside + 1)), index, size, root, path)
            wrong["another place"] = (leaf, beside, size, root, path)
            wrong["no path"] = (leaf, index, size, root, [])
            wrong["the root as a leaf without a path"] = (root, index, size, root, [])
            wrong["the first node missing"] = (leaf, index, size, root, path[1:])
            wrong["the last node missing"] = (leaf, index, size, root, path[:-1])
            # An inner node has no place among the leaves, though the rest of the path leads from it to the root.
            node = raised(leaf, path[0]) if index % 2 == 0 and index + 1 < size else raised(path[0], leaf)
            wrong["an inner node as a leaf"] = (node, index >> 1, size, root, path[1:])
        for place in range(len(path)):
            changed = [other if i == place else node for i, node in enumerate(path)]
            wrong[f"node {place} changed"] = (leaf, index, size, root, changed)
        if len(path) > 1:
            wrong["nodes in another order"] = (leaf, index, size, root, path[::-1])
        for why, (given, place, leaves, said, nodes) in wrong.items():
            yield {"why": why, "leaf": given, "index": place, "size": leaves, "root": said, "proof": nodes}


def consistency() -> dict[str, Any]:
    pairs = [(old, new) for new in range(2, SMALL + 1) for old in range(1, new)]
    places = [(index, size) for size in (*range(1, SMALL + 1), 63, 64, 65, 70) for index in range(size)]
    return {
        "roots": [root_of(size) for size in range(71)],
        "proofs": [{"old": old, "new": new, "proof": proof_between(old, new)} for old, new in (*pairs, *BORDERS)],
        "inclusion": [
            {"index": index, "size": size, "proof": hexes(LOG.path(index, 0, size))}
            for index, size in places
            if size <= SMALL or index in (0, 1, 31, 32, 33, 62, 63, 64, size - 1)
        ],
        "large": [large_log(base) for base in BASES],
        "refused": {"proofs": [*refused_proofs()], "inclusion": [*refused_paths()]},
    }
