from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account
from eth_account.messages import encode_typed_data
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.council.acts import Act, ChangeStanding
from orchestrator.council.proposals import Proposal, parse_proposal, propose, read_proposal, write_proposal
from orchestrator.domain.errors import Invalid
from orchestrator.protocol.sheet import recover
from tests.unit.council.material import ACCOUNTS, CONSORTIUM, acts, addresses

SUSPEND = ChangeStanding(kind="suspend", seat=7)


def a_proposal(act: Act = SUSPEND, **changes: Any) -> Proposal:
    fields: dict[str, Any] = {
        "chain_id": 31337,
        "safe": ACCOUNTS[3].address,
        "version": "1.4.1",
        "nonce": 0,
        "consortium": CONSORTIUM,
        "act": act,
    }
    return propose(**(fields | changes))


def document(tmp_path: Path, proposal: Proposal) -> dict[str, Any]:
    write_proposal(tmp_path / "p.json", proposal)
    found: dict[str, Any] = json.loads((tmp_path / "p.json").read_text())
    return found


def independent_hash(proposal: Proposal) -> bytes:
    """The SafeTx hash by eth-account's own EIP-712 encoder."""
    zero = "0x" + "00" * 20
    message = encode_typed_data(
        domain_data={"chainId": proposal.chain_id, "verifyingContract": proposal.safe},
        message_types={
            "SafeTx": [
                {"name": "to", "type": "address"},
                {"name": "value", "type": "uint256"},
                {"name": "data", "type": "bytes"},
                {"name": "operation", "type": "uint8"},
                {"name": "safeTxGas", "type": "uint256"},
                {"name": "baseGas", "type": "uint256"},
                {"name": "gasPrice", "type": "uint256"},
                {"name": "gasToken", "type": "address"},
                {"name": "refundReceiver", "type": "address"},
                {"name": "nonce", "type": "uint256"},
            ]
        },
        message_data={
            "to": proposal.to,
            "value": 0,
            "data": proposal.data,
            "operation": 0,
            "safeTxGas": 0,
            "baseGas": 0,
            "gasPrice": 0,
            "gasToken": zero,
            "refundReceiver": zero,
            "nonce": proposal.nonce,
        },
    )
    key = Account.create()
    # eth-account tells the digest only inside a signature.
    return bytes(key.sign_message(message).message_hash)


@given(act=acts, chain=st.integers(1, 2**63), safe=addresses, nonce=st.integers(0, 2**255))
def test_hash__any_act__as_an_independent_encoder_has_it(act: Act, chain: int, safe: str, nonce: int) -> None:
    proposal = a_proposal(act, chain_id=chain, safe=safe, nonce=nonce)
    assert proposal.hash == independent_hash(proposal)


@given(act=acts, signers=st.sets(st.integers(0, 3)), nonce=st.integers(0, 2**255))
def test_parse__what_was_written__the_same_proposal(
    tmp_path_factory: pytest.TempPathFactory, act: Act, signers: set[int], nonce: int
) -> None:
    proposal = a_proposal(act, nonce=nonce)
    for number in signers:
        proposal = proposal.signed(ACCOUNTS[number])
    file = tmp_path_factory.mktemp("p") / "p.json"
    write_proposal(file, proposal)
    read = read_proposal(file)
    assert read == proposal
    assert {recover(read.hash, signature) for signature in read.signatures.values()} == {
        ACCOUNTS[number].address for number in signers
    }


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("effect.zh", lambda d: d["effect"].update(zh="恢复席位 7")),
        ("effect.en", lambda d: d["effect"].update(en="reinstate seat 7")),
        ("hash", lambda d: d.update(nonce=1)),
        ("hash", lambda d: d.update(chain_id=1)),
        ("hash", lambda d: d.update(safe=ACCOUNTS[2].address)),
        ("hash", lambda d: d.update(to=ACCOUNTS[2].address)),
        ("effect", lambda d: d.update(data=d["data"][:-1] + "8")),
        ("data", lambda d: d.update(data="0xdeadbeef")),
        ("safe", lambda d: d.update(safe=d["safe"].lower())),
        ("version", lambda d: d.update(version="1.1.1")),
        ("nonce", lambda d: d.update(nonce=-1)),
        ("nonce", lambda d: d.update(nonce="0")),
        ("chain_id", lambda d: d.update(chain_id=0)),
        ("format", lambda d: d.update(format="other")),
        ("extra", lambda d: d.update(extra=1)),
        ("signatures.0.owner", lambda d: d["signatures"][0].update(owner="0x1")),
        ("signatures.0.signature", lambda d: d["signatures"][0].update(owner=ACCOUNTS[1].address)),
        ("signatures.0.signature", lambda d: d["signatures"][0].update(signature="0x" + "11" * 65)),
        ("signatures.1.owner", lambda d: d["signatures"].append(dict(d["signatures"][0]))),
        ("hash", lambda d: d.update(hash="0x" + "00" * 32)),
        ("data", lambda d: d.pop("data")),
    ],
)
def test_parse__changed_file__refused_naming_the_field(
    tmp_path: Path, field: str, change: Callable[[dict[str, Any]], object]
) -> None:
    content = document(tmp_path, a_proposal().signed(ACCOUNTS[0]))
    change(content)
    with pytest.raises(Invalid) as caught:
        parse_proposal(json.dumps(content).encode())
    assert field.startswith(caught.value.field)
    assert caught.value.remedy


def test_parse__a_field_twice__refused(tmp_path: Path) -> None:
    text = json.dumps(document(tmp_path, a_proposal()))
    with pytest.raises(Invalid):
        parse_proposal(text.replace('"nonce": 0', '"nonce": 5, "nonce": 0').encode())


@given(st.one_of(st.binary(max_size=64), st.text(max_size=64).map(lambda text: json.dumps(text).encode())))
def test_parse__any_bytes__refused(content: bytes) -> None:
    with pytest.raises(Invalid):
        parse_proposal(content)


def test_parse__too_large__refused() -> None:
    with pytest.raises(Invalid):
        parse_proposal(b" " * ((1 << 20) + 1))


def test_read__no_such_file__refused(tmp_path: Path) -> None:
    with pytest.raises(Invalid) as caught:
        read_proposal(tmp_path / "none.json")
    assert caught.value.field == "none.json"


@given(st.permutations(range(4)), st.permutations(range(4)))
def test_merged__copies_signed_apart__all_signatures_whatever_the_order(one: list[int], other: list[int]) -> None:
    left, right = a_proposal(), a_proposal()
    for number in one[:2]:
        left = left.signed(ACCOUNTS[number])
    for number in other[:2]:
        right = right.signed(ACCOUNTS[number])
    merged = left.merged(right)
    assert set(merged.signatures) == set(left.signatures) | set(right.signatures)
    assert right.merged(left) == merged
    assert merged.merged(merged) == merged


def test_merged__another_proposal__refused() -> None:
    with pytest.raises(Invalid) as caught:
        a_proposal().merged(a_proposal(nonce=1))
    assert caught.value.code == "other-proposal"


@given(st.sets(st.integers(0, 3), min_size=1))
def test_transaction__signatures__of_those_wanted_ascending_by_owner(signers: set[int]) -> None:
    proposal = a_proposal()
    for account in ACCOUNTS:
        proposal = proposal.signed(account)
    wanted = frozenset(ACCOUNTS[number].address for number in signers)
    joined = bytes(proposal.transaction(_NO_CLIENT, wanted).signatures)
    owners = [recover(proposal.hash, joined[start : start + 65]) for start in range(0, len(joined), 65)]
    assert set(owners) == wanted
    assert owners == sorted(owners, key=lambda owner: int(owner, 16))


_NO_CLIENT: Any = None
