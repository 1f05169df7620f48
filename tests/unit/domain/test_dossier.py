"""Dossiers: what they hold, that they only grow, and their JSON."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.domain.canonical import sha256
from orchestrator.domain.dossier import Dossier, entry, entry_of_hash
from orchestrator.domain.errors import Invalid
from orchestrator.domain.merkle import verify

KIND = st.sampled_from(["mandate", "situation", "form", "material:lease", "answer", "verdict", "credential"])
ENTRIES = st.lists(st.builds(entry, KIND, st.binary(max_size=40)), min_size=1, max_size=20)


def test_entry__same_content_twice__different_leaves() -> None:
    one, two = entry("answer", b"x"), entry("answer", b"x")
    assert one.content == two.content == sha256(b"x")
    assert one.salt != two.salt


@pytest.mark.parametrize(
    "kind", ["", "material", "material:", "material:a b", "note", "answer ", "material:" + "a" * 129]
)
def test_entry__unknown_kind__refused(kind: str) -> None:
    with pytest.raises(Invalid):
        entry(kind, b"")


@given(ENTRIES, ENTRIES)
def test_with_entries__more_came__earlier_is_contained_and_root_moves(first: list, more: list) -> None:
    earlier = Dossier(tuple(first))
    later = earlier.with_entries(more)
    assert later.contains(earlier)
    assert not earlier.contains(later)
    assert later.tree().root != earlier.tree().root
    assert all(verify(later.tree().root, leaf, later.tree().proof(leaf)) for leaf in first)


@given(ENTRIES)
def test_parse__payload_through_json__same_dossier(entries: list) -> None:
    dossier = Dossier(tuple(entries))
    assert Dossier.parse(json.loads(json.dumps(dossier.payload()))) == dossier


@pytest.mark.parametrize(
    "value",
    [[{}], ["x"], [1], [{"kind": "form", "salt": "0x00", "content": "0x" + "00" * 32}],
     [{"kind": "note", "salt": "0x" + "00" * 32, "content": "0x" + "00" * 32}],
     [{"kind": None, "salt": "0x" + "00" * 32, "content": "0x" + "00" * 32}]],
)  # fmt: skip
def test_parse__malformed__refused(value: list) -> None:
    with pytest.raises(Invalid):
        Dossier.parse(value)


def test_dossier__entry_twice__refused() -> None:
    leaf = entry("form", b"1")
    with pytest.raises(Invalid):
        Dossier((leaf, leaf))


def test_find__by_kind_and_content__the_entry_or_none() -> None:
    leaf = entry_of_hash("material:lease", sha256(b"pdf"))
    dossier = Dossier((entry("form", b"pdf"), leaf))
    assert dossier.find("material:lease", b"pdf") == leaf
    assert dossier.find("answer", b"pdf") is None
