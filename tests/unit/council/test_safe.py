"""Safe on a real node: its published contracts, deploying them, and that our hash is the contract's own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safe_eth.eth import EthereumClient
from safe_eth.eth.contracts import get_safe_V1_4_1_contract, load_contract_interface

from orchestrator.council import safe as module
from orchestrator.council.acts import NOBODY, Act
from orchestrator.council.node import open_client
from orchestrator.council.proposals import propose
from orchestrator.council.safe import SafeState, checked_address, create_safe, read_safe, safe_parts
from orchestrator.domain.errors import Invalid, Unavailable
from orchestrator.ledger.transactions import fund
from orchestrator.protocol.keyset import SigningAccount
from tests.support.onchain import ask, automining_node
from tests.unit.council.material import ACCOUNTS, CONSORTIUM, acts

NPM = Path(__file__).parents[3] / "node_modules/@safe-global/safe-contracts/build/artifacts/contracts"
PUBLISHED = {
    "singleton": NPM / "SafeL2.sol/SafeL2.json",
    "factory": NPM / "proxies/SafeProxyFactory.sol/SafeProxyFactory.json",
    "handler": NPM / "handler/CompatibilityFallbackHandler.sol/CompatibilityFallbackHandler.json",
}


@pytest.fixture(scope="module")
def client() -> Iterator[EthereumClient]:
    with automining_node() as url, open_client(url) as client:
        yield client


@pytest.fixture
def payer(client: EthereumClient) -> SigningAccount:
    account = SigningAccount.generate()
    fund(client.ethereum_node_url, account.address)
    return account


@pytest.fixture(scope="module")
def made(client: EthereumClient, tmp_path_factory: pytest.TempPathFactory) -> SafeState:
    payer = SigningAccount.generate()
    fund(client.ethereum_node_url, payer.address)
    owners = [account.address for account in ACCOUNTS[:3]]
    return create_safe(client, payer, owners, 2, file=tmp_path_factory.mktemp("safe") / "safe.json")


@pytest.mark.parametrize("part", ["singleton", "factory", "handler"])
def test_artifacts__what_we_deploy__is_the_published_package_s(part: str) -> None:
    published = json.loads(PUBLISHED[part].read_text())
    ours = load_contract_interface(module._ARTIFACTS[part])
    assert ours["bytecode"] == published["bytecode"]
    assert ours["deployedBytecode"] == published["deployedBytecode"]


def test_create_safe__new__owners_threshold_and_nothing_else(made: SafeState, client: EthereumClient) -> None:
    assert set(made.owners) == {account.address for account in ACCOUNTS[:3]}
    assert (made.version, made.threshold, made.nonce, made.modules, made.guard) == ("1.4.1", 2, 0, (), None)
    assert read_safe(client, made.address) == made


@settings(max_examples=30)
@given(act=acts, nonce=st.integers(0, 2**256 - 1))
def test_hash__any_act__is_the_safe_s_own(client: EthereumClient, made: SafeState, act: Act, nonce: int) -> None:
    proposal = propose(
        chain_id=client.get_chain_id(),
        safe=made.address,
        version=made.version,
        nonce=nonce,
        consortium=CONSORTIUM,
        act=act,
    )
    contract = get_safe_V1_4_1_contract(client.w3, made.address)  # type: ignore[arg-type]
    asked = (CONSORTIUM, 0, proposal.data, 0, 0, 0, 0, NOBODY, NOBODY, nonce)
    assert proposal.hash == contract.functions.getTransactionHash(*asked).call()


def test_safe_parts__interrupted_between_two__goes_on_without_deploying_again(
    client: EthereumClient, payer: SigningAccount, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deploy, deployed = module._deploy_part, []

    def some(client: EthereumClient, payer: SigningAccount, part: str) -> str:
        if len(deployed) == 2:
            raise KeyboardInterrupt
        deployed.append(part)
        return deploy(client, payer, part)

    file = tmp_path / "safe.json"
    with monkeypatch.context() as patch:
        patch.setattr(module, "_deploy_part", some)
        with pytest.raises(KeyboardInterrupt):
            safe_parts(client, payer, file)
    before = client.w3.eth.get_transaction_count(payer.address)  # type: ignore[arg-type]
    parts = safe_parts(client, payer, file)
    assert client.w3.eth.get_transaction_count(payer.address) == before + 1  # type: ignore[arg-type]
    assert safe_parts(client, payer, file) == parts
    assert client.w3.eth.get_transaction_count(payer.address) == before + 1  # type: ignore[arg-type]


def test_safe_parts__usual_addresses_hold_them__used(
    client: EthereumClient, payer: SigningAccount, tmp_path: Path
) -> None:
    snapshot = ask(client.ethereum_node_url, "evm_snapshot")
    for part, address in module._CANONICAL.items():
        code = load_contract_interface(module._ARTIFACTS[part])["deployedBytecode"]
        ask(client.ethereum_node_url, "anvil_setCode", address, code)
    parts = safe_parts(client, payer, tmp_path / "safe.json")
    assert {"singleton": parts.singleton, "factory": parts.factory, "handler": parts.handler} == module._CANONICAL
    assert not (tmp_path / "safe.json").exists()
    ask(client.ethereum_node_url, "evm_revert", snapshot)


def test_safe_parts__file_of_another_chain_or_other_code_there__deployed_anew(
    client: EthereumClient, payer: SigningAccount, tmp_path: Path
) -> None:
    file = tmp_path / "safe.json"
    first = safe_parts(client, payer, file)
    content = json.loads(file.read_text())
    file.write_text(json.dumps(content | {"chain_id": 1}))
    second = safe_parts(client, payer, file)
    assert second != first
    content["addresses"]["factory"] = second.handler
    content["chain_id"] = client.get_chain_id()
    file.write_text(json.dumps(content))
    third = safe_parts(client, payer, file)
    assert third.factory not in (first.factory, second.handler)
    assert (third.singleton, third.handler) == (first.singleton, first.handler)


def test_read_safe__no_safe_there__none(client: EthereumClient, made: SafeState, payer: SigningAccount) -> None:
    assert read_safe(client, payer.address) is None
    handler = load_contract_interface("CompatibilityFallbackHandler_V1_4_1.json")["deployedBytecode"]
    place = SigningAccount.generate().address
    ask(client.ethereum_node_url, "anvil_setCode", place, handler)
    assert read_safe(client, place) is None


def test_read_safe__release_that_hashes_otherwise__invalid(
    client: EthereumClient, made: SafeState, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_VERSIONS", ("9.9.9",))
    with pytest.raises(Invalid) as caught:
        read_safe(client, made.address)
    assert caught.value.code == "wrong-safe-version"


def test_read_safe__a_module_enabled__told(client: EthereumClient, made: SafeState) -> None:
    snapshot = ask(client.ethereum_node_url, "evm_snapshot")
    contract = get_safe_V1_4_1_contract(client.w3, made.address)  # type: ignore[arg-type]
    data = contract.encode_abi("enableModule", args=[ACCOUNTS[3].address])
    ask(client.ethereum_node_url, "anvil_impersonateAccount", made.address)
    ask(
        client.ethereum_node_url,
        "eth_sendTransaction",
        {"from": made.address, "to": made.address, "data": data, "gasPrice": "0x0"},
    )
    found = read_safe(client, made.address)
    assert found is not None
    assert found.modules == (ACCOUNTS[3].address,)
    ask(client.ethereum_node_url, "evm_revert", snapshot)


@pytest.mark.parametrize(
    "text",
    ["", "0x", "0x12", "11" * 20, "0x" + "zz" * 20, "0X" + "11" * 20, "0x5AAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"],
)
def test_checked_address__not_one_or_a_wrong_checksum__invalid(text: str) -> None:
    with pytest.raises(Invalid) as caught:
        checked_address(text, "to")
    assert caught.value.field == "to"


@given(st.binary(min_size=20, max_size=20))
def test_checked_address__any_case__eip55(raw: bytes) -> None:
    lower = "0x" + raw.hex()
    address = checked_address(lower, "to")
    assert address.lower() == lower
    assert checked_address(address, "to") == address
    assert checked_address("0x" + raw.hex().upper(), "to") == address


def test_open_client__no_node__unavailable() -> None:
    def reach(url: str) -> Any:
        with open_client(url, timeout=1) as client:
            return client.get_chain_id()

    with pytest.raises(Unavailable):
        reach("http://127.0.0.1:9")
