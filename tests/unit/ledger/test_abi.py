"""Encoding by the ABI alone, against web3 and the Solidity specification's own examples."""

from __future__ import annotations

from typing import Any

import pytest
from eth_abi.abi import decode, encode
from hypothesis import given
from hypothesis import strategies as st
from web3 import Web3

from orchestrator.domain.canonical import keccak
from orchestrator.ledger.abi import ContractAbi, abi_type
from orchestrator.ledger.artifacts import load_artifact

LEDGER = load_artifact("CaseLedger").abi
ABI = ContractAbi(LEDGER)
WEB3: Any = Web3().eth.contract(abi=LEDGER)

bytes32 = st.binary(min_size=32, max_size=32)
transitions = st.lists(st.tuples(bytes32, bytes32, st.integers(0, 2**64 - 1)), max_size=3)
sheets = st.lists(
    st.tuples(
        st.integers(0, 255), st.integers(0, 2**64 - 1), st.integers(0, 2**256 - 1), st.binary(min_size=65, max_size=65)
    ),
    max_size=2,
)
heads = st.lists(
    st.tuples(
        st.integers(0, 255),
        st.integers(0, 2**64 - 1),
        bytes32,
        st.integers(0, 2**64 - 1),
        bytes32,
        st.lists(bytes32, max_size=3),
        st.binary(max_size=70),
    ),
    max_size=2,
)


@given(transitions, sheets, heads)
def test_call__settle__bytes_of_web3(some: Any, signed: Any, logs: Any) -> None:
    assert ABI.call("settle", some, signed, logs) == WEB3.encode_abi("settle", [some, signed, logs])


def test_call__example_of_the_specification__selector_and_arguments() -> None:
    # Solidity ABI specification, "Examples": baz(uint32,bool) with 69 and true.
    entry = {
        "type": "function",
        "name": "baz",
        "inputs": [{"type": "uint32", "name": "x"}, {"type": "bool", "name": "y"}],
        "outputs": [{"type": "bool", "name": "r"}],
    }
    data = ContractAbi([entry]).call("baz", 69, True)
    assert data == "0xcdcd77c0" + f"{69:064x}" + f"{1:064x}"
    assert ContractAbi([entry]).result("baz", "0x" + f"{1:064x}") == (True,)


def test_abi_type__structs_and_arrays__tuples() -> None:
    struct = {
        "type": "tuple[2][]",
        "components": [{"type": "uint8"}, {"type": "tuple", "components": [{"type": "bytes"}]}],
    }
    assert abi_type(struct) == "(uint8,(bytes))[2][]"


@given(bytes32, bytes32, st.integers(0, 2**64 - 1), st.integers(0, 10**6))
def test_log__case_settled__arguments_from_topics_and_data(case: bytes, root: bytes, step: int, block: int) -> None:
    log = ABI.log(
        {
            "topics": ["0x" + keccak(b"CaseSettled(bytes32,uint64,bytes32)").hex(), "0x" + case.hex()],
            "data": "0x" + encode(["uint64", "bytes32"], [step, root]).hex(),
            "blockNumber": hex(block),
            "transactionHash": "0x" + "ab" * 32,
            "logIndex": "0x2",
        }
    )
    assert log is not None
    assert (log.name, log.args) == ("CaseSettled", {"caseId": case, "step": step, "dossierRoot": root})
    assert (log.block, log.index) == (block, 2)


def test_log__event_of_another_contract__none() -> None:
    assert ABI.log({"topics": ["0x" + "00" * 32], "data": "0x"}) is None
    assert ABI.topic("CaseSettled") == "0x" + keccak(b"CaseSettled(bytes32,uint64,bytes32)").hex()
    with pytest.raises(StopIteration):
        ABI.topic("Nothing")


def test_error__custom_or_unknown__named_or_as_it_came() -> None:
    data = "0x" + keccak(b"CaseLedger_BatchTooLarge(uint256)")[:4].hex() + f"{257:064x}"
    assert ABI.error(data) == "CaseLedger_BatchTooLarge"
    assert ABI.error("0xdeadbeef") == "0xdeadbeef"
    assert ABI.error("0x") == "0x"


def test_result__struct__decoded_as_the_contract_returns_it() -> None:
    data = "0x" + encode(["uint8", "uint16", "uint40", "uint192"], [3, 2, 7, 99]).hex()
    assert ABI.result("caseOf", data) == decode(["uint8", "uint16", "uint40", "uint192"], bytes.fromhex(data[2:]))
