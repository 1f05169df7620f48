"""Transactions of one account: created addresses, sending once, and paying for gas."""

from __future__ import annotations

from pathlib import Path

import pytest
import rlp
from eth_account import Account
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.domain.canonical import keccak
from orchestrator.domain.errors import Invalid, Unavailable
from orchestrator.ledger import transactions
from orchestrator.ledger.accounts import chain_account
from orchestrator.ledger.transactions import KeySigner, created_address, fund, open_chain, send, wait_mined
from orchestrator.protocol.keyset import SigningAccount
from tests.support.onchain import ask


@given(st.binary(min_size=20, max_size=20), st.integers(0, 2**64 - 2))
def test_created_address__any_sender_and_nonce__as_rlp_has_it(sender: bytes, nonce: int) -> None:
    expected = keccak(rlp.encode([sender, nonce]))[12:]
    assert created_address("0x" + sender.hex(), nonce).lower() == "0x" + expected.hex()


def test_sign__a_transaction__recovers_to_the_address() -> None:
    signer = KeySigner(SigningAccount.generate())
    raw = signer.sign(
        {"chainId": 7, "nonce": 0, "value": 0, "gas": 21000, "maxFeePerGas": 0, "maxPriorityFeePerGas": 0, "data": b""}  # type: ignore[typeddict-item]
    )
    assert Account.recover_transaction(raw) == signer.address


def test_send__nonce_on_chain_already__none_and_nothing_new(node_url: str) -> None:
    account = SigningAccount.generate()
    with open_chain(node_url) as web3:
        assert send(web3, KeySigner(account), 0, account.address, b"") is not None
        wait_mined(web3, account.address, 1)
        assert send(web3, KeySigner(account), 0, account.address, b"") is None
    assert ask(node_url, "eth_getTransactionCount", account.address, "latest") == "0x1"


def test_wait_mined__nothing_sent__unavailable(node_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transactions, "WAIT_SECONDS", 0.2)
    with open_chain(node_url) as web3, pytest.raises(Unavailable) as caught:
        wait_mined(web3, SigningAccount.generate().address, 1)
    assert caught.value.code == "not-mined"


def test_fund__empty_account_on_anvil__has_a_balance_that_then_stays(node_url: str) -> None:
    address = SigningAccount.generate().address
    fund(node_url, address)
    assert int(ask(node_url, "eth_getBalance", address, "latest"), 16) > 10**18
    ask(node_url, "anvil_setBalance", address, "0x5")
    fund(node_url, address)
    assert ask(node_url, "eth_getBalance", address, "latest") == "0x5"


def test_chain_account__asked_again__same_account_under_its_passphrase(tmp_path: Path) -> None:
    made = chain_account(tmp_path / "council", "correct horse")
    assert chain_account(tmp_path / "council", "correct horse").address == made.address
    assert (tmp_path / "council" / "chain.json").stat().st_mode & 0o077 == 0
    assert made.secret.hex() not in (tmp_path / "council" / "chain.json").read_text()
    with pytest.raises(Invalid):
        chain_account(tmp_path / "council", "wrong")
