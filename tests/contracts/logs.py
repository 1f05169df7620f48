"""Logs: RFC 9162 trees by the recursive definition, of any size, since what lies under the oldest leaves may stay unknown."""

from __future__ import annotations

import hashlib


class GrowingLog:
    """A log that has `base` leaves nobody knows (only the roots of their complete subtrees, made up) and then real ones."""

    def __init__(self, label: object, base: int = 0) -> None:
        self.size = base
        self._label = label
        self._known: dict[tuple[int, int], bytes] = {}
        start = 0
        for bit in reversed(range(base.bit_length())):
            if base >> bit & 1:
                self._known[start, start + (1 << bit)] = self._made_up(start)
                start += 1 << bit

    def append(self, leaves: int = 1) -> None:
        """Adds made-up leaves."""
        for index in range(self.size, self.size + leaves):
            self._known[index, index + 1] = self._made_up(index)
        self.size += leaves

    def head(self, size: int | None = None) -> tuple[int, bytes]:
        """Size and root, of an earlier size (not below the base) if one is given."""
        whole = self.size if size is None else size
        return whole, self._root(0, whole) if whole else bytes(32)

    def consistency(self, old: int, new: int | None = None) -> list[bytes]:
        """The proof of RFC 9162, section 2.1.4.1, from an earlier size."""
        return self._subproof(old, 0, self.size if new is None else new, True) if old else []

    def leaf(self, index: int) -> bytes:
        """Hash of a leaf that was appended."""
        return self._known[index, index + 1]

    def inclusion(self, index: int, size: int | None = None) -> list[bytes]:
        """The proof of RFC 9162, section 2.1.3.1, for a leaf under the head of a size."""
        return self._path(index, 0, self.size if size is None else size)

    def _path(self, index: int, start: int, end: int) -> list[bytes]:
        if end - start == 1:
            return []
        middle = start + _split(end - start)
        if index < middle:
            return [*self._path(index, start, middle), self._root(middle, end)]
        return [*self._path(index, middle, end), self._root(start, middle)]

    def _made_up(self, index: int) -> bytes:
        return hashlib.sha256(f"{self._label}/{index}".encode()).digest()

    def _root(self, start: int, end: int) -> bytes:
        if (start, end) not in self._known:
            middle = start + _split(end - start)
            node = hashlib.sha256(b"\x01" + self._root(start, middle) + self._root(middle, end)).digest()
            self._known[start, end] = node
        return self._known[start, end]

    def _subproof(self, old: int, start: int, end: int, whole: bool) -> list[bytes]:
        if old == end:
            return [] if whole else [self._root(start, end)]
        middle = start + _split(end - start)
        if old <= middle:
            return [*self._subproof(old, start, middle, whole), self._root(middle, end)]
        return [*self._subproof(old, middle, end, False), self._root(start, middle)]


def _split(leaves: int) -> int:
    """The largest power of two below a number of leaves."""
    return 1 << (leaves - 1).bit_length() - 1
