"""The Merkle tree of a dossier: byte for byte the `StandardMerkleTree` of npm `@openzeppelin/merkle-tree`.

Leaves are of the Solidity types `(string, bytes32, bytes32)`: kind, salt, SHA-256 of the content. A leaf's hash is
`keccak256(keccak256(abi.encode(kind, salt, content)))`, a node's `keccak256` of its two children in ascending order, so
a proof needs no positions and OpenZeppelin's `MerkleProof` verifies it on chain.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from orchestrator.domain.canonical import keccak


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaf:
    """One thing that a case rests on, hidden behind 256 bits of salt.

    Raises ValueError when a part has the wrong length.
    """

    kind: str
    """What it is: `mandate`, `answer`, `material:<id>`… (`domain/dossier.py`)."""
    salt: bytes
    """32 random bytes."""
    content: bytes
    """SHA-256 of the content, 32 bytes."""

    def __post_init__(self) -> None:
        if len(self.salt) != 32 or len(self.content) != 32:
            raise ValueError("salt and content of a leaf are 32 bytes each")


def leaf_hash(leaf: Leaf) -> bytes:
    """32 bytes; twice hashed, so that no leaf can be taken for a node."""
    kind = leaf.kind.encode()
    encoded = b"".join(
        (
            (96).to_bytes(32, "big"),  # where the string begins
            leaf.salt,
            leaf.content,
            len(kind).to_bytes(32, "big"),
            kind,
            b"\0" * (-len(kind) % 32),
        )
    )
    return keccak(keccak(encoded))


class DossierTree:
    """The tree over a set of distinct leaves, in whatever order they come.

    Raises ValueError for no leaf or a repeated one.
    """

    __slots__ = ("_nodes", "_places")

    def __init__(self, leaves: Iterable[Leaf]) -> None:
        hashes = sorted(leaf_hash(leaf) for leaf in leaves)
        if not hashes or len(set(hashes)) != len(hashes):
            raise ValueError("a dossier tree needs leaves, each of them once")
        last = 2 * len(hashes) - 2
        nodes = [b""] * (last + 1)
        for place, value in enumerate(hashes):
            nodes[last - place] = value
        for place in range(len(hashes) - 2, -1, -1):
            nodes[place] = _node(nodes[2 * place + 1], nodes[2 * place + 2])
        self._nodes = nodes
        self._places = {value: last - place for place, value in enumerate(hashes)}

    @property
    def root(self) -> bytes:
        """32 bytes: `dossierRoot` on chain."""
        return self._nodes[0]

    def proof(self, leaf: Leaf) -> list[bytes]:
        """The siblings from `leaf` up to the root. Raises ValueError when the leaf is not in the tree."""
        place = self._places.get(leaf_hash(leaf))
        if place is None:
            raise ValueError("the leaf is not in this tree")
        siblings = []
        while place:
            siblings.append(self._nodes[place + 1 if place % 2 else place - 1])
            place = (place - 1) // 2
        return siblings


def verify(root: bytes, leaf: Leaf, proof: Sequence[bytes]) -> bool:
    """Whether `proof` leads from `leaf` to `root`."""
    value = leaf_hash(leaf)
    for sibling in proof:
        value = _node(value, sibling)
    return value == root


def _node(one: bytes, other: bytes) -> bytes:
    return keccak(one + other) if one < other else keccak(other + one)
