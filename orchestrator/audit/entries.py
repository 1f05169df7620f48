"""Reading a log's entries and making its roots anew from them: what a gateway shows must be what it signed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from orchestrator.domain.errors import Refused, Unavailable
from orchestrator.ledger.publiclog import MOST_ENTRIES, PublicLog
from orchestrator.protocol.querylog import LogTree, leaf_hash, verify_inclusion

MOST_ASKED = 256
"""Entries whose own proof is asked for to say which one was changed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How far the entries make the roots that they must."""

    tree: LogTree
    """Over the entries that were read up to `agreed`."""
    agreed: int
    """The largest size at which the root came out as it must, or that of the log which was read on from."""
    roots: Mapping[int, bytes]
    """What the entries up to `agreed` make, at each size that was asked for."""
    failed: int | None = None
    """The first size at which the root did not come out, or entries were not given."""


async def read_entries(log: PublicLog, start: LogTree, must: Mapping[int, bytes], also: Iterable[int] = ()) -> Reading:
    """Reads on from `start`, up to the first of the sizes in `must` whose root is another, and makes the roots at the sizes in
    `also` on the way. Raises Unavailable when the gateway is silent."""
    tree, agreed = start, start
    roots: dict[int, bytes] = {}
    for size in sorted(size for size in {*must, *also} if size > start.size):
        while tree.size < size:
            texts = await _page(log, tree.size, min(size - tree.size, MOST_ENTRIES))
            if not texts:
                return Reading(tree=agreed, agreed=agreed.size, roots=roots, failed=size)
            tree = grown(tree, [leaf_hash(text.encode()) for text in texts])
        root = tree.root()
        if size in must and root != must[size]:
            return Reading(tree=agreed, agreed=agreed.size, roots=roots, failed=size)
        roots[size] = root
        agreed = tree if size in must else agreed
    return Reading(tree=agreed, agreed=agreed.size, roots=roots)


async def changed_entry(log: PublicLog, first: int, size: int, root: bytes) -> int | None:
    """The first entry from `first` on that is not, as the gateway gives it, under the head (`size`, `root`); None when none of
    them is looked at, or each proves itself. Raises Unavailable when the gateway is silent."""
    for index in range(first, min(size, first + MOST_ASKED)):
        texts = await _page(log, index, 1)
        try:
            _, path = await log.inclusion(index, size)
        except Refused:
            return index
        except Unavailable as error:
            if error.code == "gateway-down":
                raise
            return index
        if not texts or not verify_inclusion(leaf_hash(texts[0].encode()), index, size, path, root):
            return index
    return None


def grown(tree: LogTree, leaves: list[bytes]) -> LogTree:
    """A log with more leaves, over no more nodes than the next append needs: a log may be long."""
    larger = LogTree(tree.size, tree.frontier())
    larger.append(leaves)
    return LogTree(larger.size, larger.frontier())


async def _page(log: PublicLog, first: int, count: int) -> list[str]:
    try:
        return await log.entries(first, count)
    except Refused:
        return []
    except Unavailable as error:
        if error.code == "gateway-down":
            raise
        return []
