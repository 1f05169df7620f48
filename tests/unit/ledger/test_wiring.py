"""Code on chain against the artifacts: any byte and any immutable that differs is found, and named."""

from __future__ import annotations

from dataclasses import replace

import pytest
from eth_account.messages import _hash_eip191_message, encode_typed_data
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.domain.canonical import keccak
from orchestrator.ledger.artifacts import CONTRACTS, load_artifact
from orchestrator.ledger.wiring import Fault, Wiring, fault_of

WIRING = Wiring(
    chain_id=20_251_108,
    consortium="0x" + "c1" * 20,
    catalog="0x" + "c2" * 20,
    ledger="0x" + "c3" * 20,
    veto_blocks=201_600,
)
names = st.sampled_from(CONTRACTS)


def code_of(name: str, wiring: Wiring = WIRING) -> bytes:
    """The runtime code as the constructor leaves it."""
    artifact = load_artifact(name)
    code = bytearray(artifact.deployed_bytecode)
    for immutable, value in wiring.immutables(name).items():
        for place in artifact.immutables[immutable]:
            code[place : place + 32] = value
    return bytes(code)


def fault(name: str, code: bytes) -> Fault | None:
    return fault_of(load_artifact(name), code, WIRING.immutables(name))


@pytest.mark.parametrize("name", CONTRACTS)
def test_immutables__each_contract__a_value_for_each_and_no_other(name: str) -> None:
    values = WIRING.immutables(name)
    assert values.keys() == load_artifact(name).immutables.keys()
    assert {len(value) for value in values.values()} == {32}


def test_immutables__domain_separator__as_eth_account_has_it() -> None:
    message = encode_typed_data(
        {"name": "Lianban", "version": "1", "chainId": WIRING.chain_id, "verifyingContract": WIRING.catalog},
        {"Nothing": [{"name": "of", "type": "uint8"}]},
        {"of": 0},
    )
    assert WIRING.immutables("Catalog")["EIP712._cachedDomainSeparator"] == message.header
    assert _hash_eip191_message(message) == keccak(b"\x19\x01" + message.header + message.body)


@pytest.mark.parametrize("name", CONTRACTS)
def test_fault_of__as_wired__none(name: str) -> None:
    assert fault(name, code_of(name)) is None


@pytest.mark.parametrize(
    ("name", "change", "immutable", "found", "expected"),
    [
        ("Consortium", {"veto_blocks": 1}, "Consortium.vetoBlocks", "1", "201600"),
        ("Catalog", {"consortium": "0x" + "dd" * 20}, "Catalog.consortium", "0x" + "dd" * 20, WIRING.consortium),
        ("CaseLedger", {"consortium": "0x" + "dd" * 20}, "CaseLedger.consortium", "0x" + "dd" * 20, WIRING.consortium),
        ("CaseLedger", {"catalog": "0x" + "dd" * 20}, "CaseLedger.catalog", "0x" + "dd" * 20, WIRING.catalog),
    ],
)
def test_fault_of__wired_otherwise__named_with_both_values(
    name: str, change: dict[str, object], immutable: str, found: str, expected: str
) -> None:
    code = code_of(name, replace(WIRING, **change))  # type: ignore[arg-type]
    assert fault(name, code) == Fault(kind="wired", immutable=immutable, found=found, expected=expected)


@pytest.mark.parametrize("name", CONTRACTS)
def test_fault_of__of_another_chain__found_in_the_domain(name: str) -> None:
    seen = fault(name, code_of(name, replace(WIRING, chain_id=1)))
    assert seen is not None
    assert seen.immutable in {"EIP712._cachedChainId", "EIP712._cachedDomainSeparator"}


@given(names, st.data())
def test_fault_of__one_place_of_one_immutable_differs__found(name: str, data: st.DataObject) -> None:
    artifact = load_artifact(name)
    immutable = data.draw(st.sampled_from(sorted(artifact.immutables)))
    place = data.draw(st.sampled_from(artifact.immutables[immutable])) + data.draw(st.integers(0, 31))
    code = bytearray(code_of(name))
    code[place] ^= data.draw(st.integers(1, 255))
    seen = fault(name, bytes(code))
    assert seen is not None
    assert (seen.kind, seen.immutable) == ("wired", immutable)


@given(names, st.integers(0), st.integers(1, 255))
def test_fault_of__any_other_byte_differs__foreign(name: str, place: int, change: int) -> None:
    code = bytearray(code_of(name))
    inside = {start + i for starts in load_artifact(name).immutables.values() for start in starts for i in range(32)}
    free = sorted(set(range(len(code))) - inside)
    code[free[place % len(free)]] ^= change
    assert fault(name, bytes(code)) == Fault(kind="foreign")


@given(names, st.integers(1))
def test_fault_of__cut_or_longer__foreign(name: str, size: int) -> None:
    code = code_of(name)
    assert fault(name, code[: 1 + size % (len(code) - 1)]) == Fault(kind="foreign")
    assert fault(name, code + b"\0") == Fault(kind="foreign")


def test_fault_of__no_code__absent() -> None:
    assert fault("Catalog", b"") == Fault(kind="absent")
