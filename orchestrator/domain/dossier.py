"""A case's dossier (案卷): everything that the case rests on, as salted leaves of one Merkle tree.

The ledger keeps a commitment to the root, so every document can later be shown to have been in it, one by one, without
showing the others. A dossier only grows: that of a later transition contains everything of the earlier one.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

from orchestrator.domain.canonical import from_hex, to_hex
from orchestrator.domain.errors import Invalid
from orchestrator.domain.merkle import DossierTree, Leaf

KINDS: Final = (
    "mandate",
    "situation",
    "form",
    "material",
    "answer",
    "verdict",
    "credential",
    "revocation",
    "contest",
    "reply",
    "recall",
    "upholding",
)
"""What a dossier holds; a material is written `material:<id>`."""
RECEIPT: Final = "lianban-receipt-1"
"""The format of a case's receipt: its steps, and some leaves with their paths."""
_KIND: Final = re.compile(
    r"mandate|situation|form|material:[^\x00-\x20\x7f]{1,128}|answer|verdict|credential|revocation|contest|reply"
    r"|recall|upholding"
)


def new_leaf(kind: str, content_hash: str) -> Leaf:
    """A new leaf for what has this SHA-256 (`0x…`), with a fresh salt. Raises Invalid for a kind that dossiers do not hold."""
    check_kind(kind)
    return Leaf(kind=kind, salt=secrets.token_bytes(32), content=from_hex(content_hash))


def leaf_payload(leaf: Leaf) -> dict[str, str]:
    """An entry as JSON."""
    return {"kind": leaf.kind, "salt": to_hex(leaf.salt), "content": to_hex(leaf.content)}


@dataclass(frozen=True, slots=True)
class Dossier:
    """The entries of a case, in the order in which they came.

    Raises Invalid for an unknown kind or a repeated entry.
    """

    entries: tuple[Leaf, ...] = ()

    def __post_init__(self) -> None:
        for leaf in self.entries:
            check_kind(leaf.kind)
        if len(set(self.entries)) != len(self.entries):
            raise Invalid(field="dossier", detail="案卷内容重复", detail_en="an entry comes twice", code="bad-dossier")

    def contains(self, earlier: Dossier) -> bool:
        """Whether everything of `earlier` is here too."""
        return set(earlier.entries) <= set(self.entries)

    def holds(self, contents: Iterable[tuple[str, str]]) -> bool:
        """Whether there is an entry for each (kind, SHA-256 as `0x…`)."""
        return set(contents) <= {(leaf.kind, to_hex(leaf.content)) for leaf in self.entries}

    def contents(self, kind: str) -> list[str]:
        """The hashes (`0x…`) of what it holds of a kind."""
        return [to_hex(leaf.content) for leaf in self.entries if leaf.kind == kind]

    def tree(self) -> DossierTree:
        """The Merkle tree over the entries, whatever their order. Raises ValueError when there is none."""
        return DossierTree(self.entries)

    def payload(self) -> list[dict[str, str]]:
        """The dossier as JSON: kind, salt and content hash of every entry. The salts make it confidential."""
        return [leaf_payload(leaf) for leaf in self.entries]

    @classmethod
    def parse(cls, value: Iterable[Mapping[str, Any]]) -> Self:
        """The dossier in JSON made by `payload`. Raises Invalid."""
        try:
            entries = tuple(
                Leaf(kind=row["kind"], salt=from_hex(row["salt"]), content=from_hex(row["content"])) for row in value
            )
        except (KeyError, TypeError, ValueError, AttributeError):
            raise Invalid(
                field="dossier", detail="案卷格式不正确", detail_en="not a dossier", code="bad-dossier"
            ) from None
        return cls(entries)


def check_kind(kind: str) -> None:
    """Raises Invalid for a kind that dossiers do not hold."""
    if not isinstance(kind, str) or not _KIND.fullmatch(kind):
        raise Invalid(
            field="dossier.kind",
            detail="案卷不包含此类内容",
            detail_en="a dossier holds no such kind",
            code="bad-dossier",
        )
