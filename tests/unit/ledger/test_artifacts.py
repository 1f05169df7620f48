"""Artifacts: what ships with the package."""

from __future__ import annotations

import pytest

from orchestrator.domain.errors import Invalid
from orchestrator.ledger.artifacts import CONTRACTS, load_artifact


@pytest.mark.parametrize("name", CONTRACTS)
def test_load_artifact__each_contract__abi_and_code(name: str) -> None:
    artifact = load_artifact(name)
    assert artifact.name == name
    assert artifact.bytecode.endswith(artifact.deployed_bytecode[-32:])
    assert 0 < len(artifact.deployed_bytecode) < 24_576
    assert {entry["type"] for entry in artifact.abi} == {"constructor", "function", "event", "error"}


@pytest.mark.parametrize("name", CONTRACTS)
def test_load_artifact__immutables__each_place_pushes_32_zero_bytes(name: str) -> None:
    artifact = load_artifact(name)
    places = [place for places in artifact.immutables.values() for place in places]
    assert len(places) == len(set(places)) > 0
    for place in places:
        assert artifact.deployed_bytecode[place - 1 : place + 32] == b"\x7f" + bytes(32)


def test_load_artifact__no_such_contract__says_which_there_are() -> None:
    with pytest.raises(Invalid) as caught:
        load_artifact("../secrets")
    assert caught.value.field == "contract"
    assert "CaseLedger" in caught.value.remedy


def test_entry__by_kind_and_name__found() -> None:
    ledger = load_artifact("CaseLedger")
    assert [one["name"] for one in ledger.entry("function", "settle")["inputs"]] == ["transitions", "sheets", "heads"]
    assert ledger.entry("event", "CaseSettled")["inputs"][0]["indexed"]


def test_entry__wrong_kind__raises() -> None:
    with pytest.raises(KeyError):
        load_artifact("CaseLedger").entry("event", "settle")
