"""Dossiers: what they hold, that they only grow, and their JSON."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.domain.canonical import to_hex
from orchestrator.domain.dossier import Dossier, new_leaf
from orchestrator.domain.errors import Invalid
from orchestrator.domain.merkle import verify
from orchestrator.domain.suite import hash_of

ONE, TWO = to_hex(hash_of(b"1")), to_hex(hash_of(b"2"))
KIND = st.sampled_from(["mandate", "situation", "form", "material:lease", "answer", "verdict", "credential"])
ENTRIES = st.lists(st.builds(new_leaf, KIND, st.binary(min_size=32, max_size=32).map(to_hex)), min_size=1, max_size=20)


def test_new_leaf__same_content_twice__different_leaves() -> None:
    one, two = new_leaf("answer", ONE), new_leaf("answer", ONE)
    assert to_hex(one.content) == to_hex(two.content) == ONE
    assert one.salt != two.salt


@pytest.mark.parametrize(
    "kind", ["", "material", "material:", "material:a b", "note", "answer ", "material:" + "a" * 129]
)
def test_new_leaf__unknown_kind__refused(kind: str) -> None:
    with pytest.raises(Invalid):
        new_leaf(kind, ONE)


@given(ENTRIES, ENTRIES)
def test_contains__more_came__earlier_is_contained_and_root_moves(first: list, more: list) -> None:
    earlier = Dossier(tuple(first))
    later = Dossier((*first, *more))
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
    leaf = new_leaf("form", ONE)
    with pytest.raises(Invalid):
        Dossier((leaf, leaf))


def test_holds__by_kind_and_hash__all_or_not() -> None:
    dossier = Dossier((new_leaf("form", ONE), new_leaf("material:lease", ONE), new_leaf("material:lease", TWO)))
    assert dossier.holds([("form", ONE), ("material:lease", TWO)])
    assert dossier.holds([])
    for missing in (("form", TWO), ("answer", ONE)):
        assert not dossier.holds([("form", ONE), missing])
    assert (dossier.contents("material:lease"), dossier.contents("answer")) == ([ONE, TWO], [])
