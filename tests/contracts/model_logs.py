"""Model of a query log: the proofs of RFC 9162 by its recursive definitions, not by its algorithms."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence


class _NoProof(Exception):
    pass


def extends(old_size: int, old_root: bytes, new_size: int, new_root: bytes, proof: Sequence[bytes]) -> bool:
    """Whether a consistency proof leads from one tree to a larger one: RFC 9162, section 2.1.4.1, read backwards."""
    if not old_size < new_size:
        return False
    if old_size == 0:
        return not proof
    left = list(proof)
    try:
        roots = _roots(old_size, new_size, True, old_root, left)
    except _NoProof:
        return False
    return not left and roots == (old_root, new_root)


def _roots(old: int, new: int, whole: bool, old_root: bytes, proof: list[bytes]) -> tuple[bytes, bytes]:
    """Roots of the old and the new tree, taking from the proof what SUBPROOF(old, D[0:new], whole) puts there, last first."""
    if old == new:
        node = old_root if whole else _taken(proof)
        return node, node
    split = 1 << (new - 1).bit_length() - 1
    other = _taken(proof)
    if old <= split:
        inner_old, inner_new = _roots(old, split, whole, old_root, proof)
        return inner_old, _node(inner_new, other)
    inner_old, inner_new = _roots(old - split, new - split, False, old_root, proof)
    return _node(other, inner_old), _node(other, inner_new)


def log_root(leaf: bytes, index: int, size: int, proof: Sequence[bytes]) -> bytes | None:
    """The root that an inclusion proof leads to (RFC 9162, section 2.1.3.1, read backwards); None when it is no proof."""
    if not index < size:
        return None
    left = list(proof)
    try:
        root = _root(leaf, index, size, left)
    except _NoProof:
        return None
    return None if left else root


def _root(leaf: bytes, index: int, size: int, proof: list[bytes]) -> bytes:
    if size == 1:
        return leaf
    split = 1 << (size - 1).bit_length() - 1
    other = _taken(proof)
    if index < split:
        return _node(_root(leaf, index, split, proof), other)
    return _node(other, _root(leaf, index - split, size - split, proof))


def _taken(proof: list[bytes]) -> bytes:
    if not proof:
        raise _NoProof
    return proof.pop()


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()
