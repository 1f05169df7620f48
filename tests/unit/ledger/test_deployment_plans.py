"""Plans: the addresses that they lead to, what they say of one another, and their file."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import rlp
from eth_abi.abi import decode
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.domain.canonical import keccak
from orchestrator.domain.errors import Invalid
from orchestrator.ledger.artifacts import load_artifact
from orchestrator.ledger.plans import Plan, read_plan, write_plan

PLAN = Plan(
    chain_id=7,
    sender="0x" + "aa" * 20,
    council="0x" + "bb" * 20,
    veto_blocks=20,
    release="00" * 8,
    block=3,
    nonces=(0, 1, 200),
)


def test_addresses__nonces__those_that_the_account_creates() -> None:
    expected = ["0x" + keccak(rlp.encode([b"\xaa" * 20, nonce]))[12:].hex() for nonce in PLAN.nonces]
    assert [address.lower() for address in PLAN.addresses()] == expected


@pytest.mark.parametrize(
    ("contract", "types", "arguments"),
    [
        ("Consortium", ["address", "uint32"], (PLAN.council, 20)),
        ("Catalog", ["address"], PLAN.addresses()[:1]),
        ("CaseLedger", ["address", "address"], PLAN.addresses()[:2]),
    ],
)
def test_creation_code__each_contract__its_code_and_what_it_is_wired_to(
    contract: str, types: list[str], arguments: tuple[Any, ...]
) -> None:
    code = load_artifact(contract).bytecode
    made = PLAN.creation_code(contract)
    assert made.startswith(code)
    given_to = decode(types, made[len(code) :])
    assert [str(one).lower() for one in given_to] == [str(one).lower() for one in arguments]


def test_moved__from_the_second__the_first_stays() -> None:
    assert PLAN.moved(1, 9).nonces == (0, 9, 10)
    assert PLAN.moved(0, 9).nonces == (9, 10, 11)
    assert PLAN.moved(2, 300).nonces == (0, 1, 300)


@pytest.mark.parametrize("field", ["chain_id", "sender", "council", "veto_blocks", "release"])
def test_differs_from__one_field__named_with_both_values(field: str) -> None:
    value: Any = 8 if isinstance(getattr(PLAN, field), int) else "other"
    said = PLAN.differs_from(replace(PLAN, **{field: value}))
    assert len(said) == 1
    assert str(getattr(PLAN, field)) in said[0]
    assert str(value) in said[0]


def test_differs_from__only_nonces_and_block__the_same_plan() -> None:
    assert PLAN.differs_from(replace(PLAN, nonces=(7, 8, 9), block=99)) == []


def test_read_plan__written__the_same(tmp_path: Path) -> None:
    write_plan(tmp_path / "plan.json", PLAN)
    assert read_plan(tmp_path / "plan.json") == PLAN
    assert read_plan(tmp_path / "none.json") is None


@pytest.mark.parametrize(
    "change",
    [
        {"chain_id": "7"},
        {"veto_blocks": True},
        {"sender": 5},
        {"nonces": [0, 1]},
        {"nonces": [0, 1, -1]},
        {"nonces": "012"},
        {"more": 1},
    ],
)
def test_read_plan__field_wrong__invalid_and_says_what_to_do(tmp_path: Path, change: dict[str, Any]) -> None:
    file = tmp_path / "plan.json"
    file.write_text(json.dumps(asdict(PLAN) | change))
    with pytest.raises(Invalid) as caught:
        read_plan(file)
    assert "remove that file" in caught.value.remedy


@given(st.dictionaries(st.sampled_from([*asdict(PLAN), "else"]), st.none() | st.integers() | st.text()))
def test_read_plan__any_other_object__invalid(
    tmp_path_factory: pytest.TempPathFactory, content: dict[str, Any]
) -> None:
    file = tmp_path_factory.getbasetemp() / "any-plan.json"
    file.write_text(json.dumps(content))
    with pytest.raises(Invalid):
        read_plan(file)
