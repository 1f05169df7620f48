from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import rlp
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.domain.canonical import keccak
from orchestrator.domain.errors import Diverged, Invalid, Refused, Unavailable
from orchestrator.ledger import deploy as module
from orchestrator.ledger.abi import ContractAbi
from orchestrator.ledger.accounts import chain_account
from orchestrator.ledger.artifacts import CONTRACTS, load_artifact
from orchestrator.ledger.deploy import admit_seats, fund, runtime_matches
from orchestrator.ledger.deployments import read_deployment, write_deployment
from orchestrator.ledger.rpc import Rpc
from orchestrator.protocol.keyset import Keyset, SeatKeys, SigningAccount, generate_seat_keys

deploy = partial(module.deploy, veto_blocks=20)


def ask(node_url: str, contract: str, to: str, name: str, *args: object) -> tuple[object, ...]:
    abi = ContractAbi(load_artifact(contract).abi)

    async def go() -> str:
        async with Rpc(node_url) as rpc:
            return str(await rpc.call("eth_call", [{"to": to, "data": abi.call(name, *args)}, "latest"]))

    return abi.result(name, asyncio.run(go()))


def a_seat(number: int, keys: SeatKeys | None = None) -> tuple[int, SeatKeys, Keyset]:
    keys = keys or generate_seat_keys()
    keyset = Keyset(
        seat=number,
        id=f"department-{number}",
        name={"zh": "部门", "en": "department"},
        uscc="11110108000000000X",
        region="110108",
        parent=None,
        vertical=False,
        hosted_by=f"department-{number}",
        endpoint="http://127.0.0.1:9000",
        keys=tuple(keys.public_jwks()),
    )
    return number, keys, keyset


def test_deploy__fresh_chain__contracts_know_one_another(node_url: str, tmp_path: Path) -> None:
    owner = SigningAccount.generate()
    deployment = deploy(node_url, owner, tmp_path / "deployment.json")
    assert ask(node_url, "Consortium", deployment.consortium, "owner") == (owner.address.lower(),)
    assert ask(node_url, "Catalog", deployment.catalog, "consortium") == (deployment.consortium.lower(),)
    assert ask(node_url, "CaseLedger", deployment.ledger, "catalog") == (deployment.catalog.lower(),)
    assert read_deployment(tmp_path / "deployment.json") == deployment
    assert [path.name for path in tmp_path.iterdir()] == ["deployment.json"]


def test_deploy__again__nothing_is_sent(node_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    owner = SigningAccount.generate()
    deployment = deploy(node_url, owner, tmp_path / "deployment.json")
    monkeypatch.setattr(module, "_send", lambda *_: pytest.fail("sent"))
    assert deploy(node_url, owner, tmp_path / "deployment.json") == deployment


def test_deploy__council_given__it_owns_the_consortium(node_url: str, tmp_path: Path) -> None:
    council = SigningAccount.generate().address
    deployment = deploy(node_url, SigningAccount.generate(), tmp_path / "deployment.json", council=council)
    assert ask(node_url, "Consortium", deployment.consortium, "owner") == (council.lower(),)


@pytest.mark.parametrize("sent_before", [0, 1, 2, 3])
def test_deploy__interrupted_after_some__goes_on_with_the_same_plan(
    node_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sent_before: int
) -> None:
    owner, file = SigningAccount.generate(), tmp_path / "deployment.json"
    send, sent = module._send, []

    def send_some(*args: object) -> None:
        if len(sent) == sent_before:
            raise KeyboardInterrupt
        sent.append(args)
        send(*args)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(module, "_send", send_some)
        patch.setattr(module, "_wait_mined", lambda *_: pytest.fail("waited") if sent_before < 3 else _interrupt())
        with pytest.raises(KeyboardInterrupt):
            deploy(node_url, owner, file)
    assert not file.exists()
    nonce = json.loads((tmp_path / "deployment-plan.json").read_text())["nonce"]
    deployment = deploy(node_url, owner, file)
    assert deployment.consortium == module._created(owner.address, nonce)
    assert deployment.ledger == module._created(owner.address, nonce + 2)


def _interrupt() -> None:
    raise KeyboardInterrupt


def test_deploy__plan_overtaken_by_other_transactions__new_plan(node_url: str, tmp_path: Path) -> None:
    owner, plan_file = SigningAccount.generate(), tmp_path / "second-plan.json"
    first = deploy(node_url, owner, tmp_path / "first.json")
    plan = {
        "chain_id": first.chain_id,
        "owner": owner.address,
        "council": owner.address,
        "veto_blocks": 20,
        "nonce": 2,
        "block": 1,
    }
    plan_file.write_text(json.dumps(plan))
    second = deploy(node_url, owner, tmp_path / "second.json")
    assert second.consortium == module._created(owner.address, 3)


def test_deploy__unexpected_chain_id__refused_and_nothing_planned(node_url: str, tmp_path: Path) -> None:
    with pytest.raises(Refused) as caught:
        deploy(node_url, SigningAccount.generate(), tmp_path / "deployment.json", chain_id=1)
    assert caught.value.code == "wrong-chain"
    assert list(tmp_path.iterdir()) == []


def test_deploy__file_of_another_chain__diverged(node_url: str, tmp_path: Path) -> None:
    owner, file = SigningAccount.generate(), tmp_path / "deployment.json"
    deployment = deploy(node_url, owner, file)
    write_deployment(file, replace(deployment, chain_id=deployment.chain_id + 1))
    with pytest.raises(Diverged) as caught:
        deploy(node_url, owner, file)
    assert caught.value.code == "wrong-chain"


def test_deploy__other_code_at_the_address__diverged(node_url: str, tmp_path: Path) -> None:
    owner, file = SigningAccount.generate(), tmp_path / "deployment.json"
    deployment = deploy(node_url, owner, file)
    for wrong in (deployment.catalog, owner.address):
        write_deployment(file, replace(deployment, ledger=wrong))
        with pytest.raises(Diverged) as caught:
            deploy(node_url, owner, file)
        assert caught.value.code == "other-code"


def test_deploy__node_down__unavailable(tmp_path: Path) -> None:
    with pytest.raises(Unavailable):
        deploy("http://127.0.0.1:9", SigningAccount.generate(), tmp_path / "deployment.json")


def test_admit_seats__several__all_on_chain_and_again_none(node_url: str, tmp_path: Path) -> None:
    owner = SigningAccount.generate()
    deployment = deploy(node_url, owner, tmp_path / "deployment.json")
    seats = [a_seat(number) for number in (0, 7, 255)]
    assert admit_seats(deployment, node_url, owner, seats) == [0, 7, 255]
    for number, keys, keyset in seats:
        signer = ask(node_url, "Consortium", deployment.consortium, "signerOf", number)
        assert signer == (keys.chain.address.lower(),)
        assert ask(node_url, "Consortium", deployment.consortium, "keysetHashOf", number) == (keyset.hash,)
    assert admit_seats(deployment, node_url, owner, [*seats, a_seat(8)]) == [8]


def test_admit_seats__seat_held_with_other_keys__diverged(node_url: str, tmp_path: Path) -> None:
    owner = SigningAccount.generate()
    deployment = deploy(node_url, owner, tmp_path / "deployment.json")
    admit_seats(deployment, node_url, owner, [a_seat(3)])
    with pytest.raises(Diverged) as caught:
        admit_seats(deployment, node_url, owner, [a_seat(3)])
    assert caught.value.code == "other-seat"


def test_admit_seats__not_the_council__refused_with_the_contract_error(node_url: str, tmp_path: Path) -> None:
    deployment = deploy(node_url, SigningAccount.generate(), tmp_path / "deployment.json")
    with pytest.raises(Refused, match="OwnableUnauthorizedAccount"):
        admit_seats(deployment, node_url, SigningAccount.generate(), [a_seat(3)])


def test_admit_seats__signer_of_another_seat__refused_with_the_contract_error(node_url: str, tmp_path: Path) -> None:
    owner, keys = SigningAccount.generate(), generate_seat_keys()
    deployment = deploy(node_url, owner, tmp_path / "deployment.json")
    admit_seats(deployment, node_url, owner, [a_seat(1, keys)])
    with pytest.raises(Refused, match="Consortium_SignerUsed"):
        admit_seats(deployment, node_url, owner, [a_seat(2, keys)])


def test_fund__empty_account_on_anvil__has_a_balance(node_url: str) -> None:
    address = SigningAccount.generate().address
    fund(node_url, address)

    async def balance() -> int:
        async with Rpc(node_url) as rpc:
            return int(await rpc.call("eth_getBalance", [address, "latest"]), 16)

    assert asyncio.run(balance()) > 10**18


@given(st.binary(min_size=20, max_size=20), st.integers(0, 2**64 - 2))
def test_created__any_sender_and_nonce__as_rlp_has_it(sender: bytes, nonce: int) -> None:
    expected = keccak(rlp.encode([sender, nonce]))[12:]
    assert module._created("0x" + sender.hex(), nonce).lower() == "0x" + expected.hex()


@given(st.sampled_from(CONTRACTS), st.binary(min_size=32, max_size=32))
def test_runtime_matches__only_immutables_written__true(name: str, value: bytes) -> None:
    code = module._IMMUTABLE.sub(lambda _: b"\x7f" + value, load_artifact(name).deployed_bytecode)
    assert runtime_matches(load_artifact(name), code)


@given(st.sampled_from(CONTRACTS), st.integers(0), st.integers(1, 255))
def test_runtime_matches__any_other_byte_changed__false(name: str, place: int, change: int) -> None:
    code = bytearray(load_artifact(name).deployed_bytecode)
    free = {i for found in module._IMMUTABLE.finditer(bytes(code)) for i in range(found.start() + 1, found.end())}
    place = sorted(set(range(len(code))) - free)[place % (len(code) - len(free))]
    code[place] ^= change
    assert not runtime_matches(load_artifact(name), bytes(code))


@pytest.mark.parametrize("name", CONTRACTS)
def test_runtime_matches__byte_beside_an_immutable_changed__false(name: str) -> None:
    artifact = load_artifact(name)
    for found in module._IMMUTABLE.finditer(artifact.deployed_bytecode):
        for place in (found.start(), found.end()):
            code = bytearray(artifact.deployed_bytecode)
            code[place] ^= 1
            assert not runtime_matches(artifact, bytes(code))


def test_runtime_matches__cut_or_empty__false() -> None:
    artifact = load_artifact("Catalog")
    assert not runtime_matches(artifact, b"")
    assert not runtime_matches(artifact, artifact.deployed_bytecode[:-1])


def test_chain_account__asked_again__same_account_under_its_passphrase(tmp_path: Path) -> None:
    made = chain_account(tmp_path / "council", "correct horse")
    assert chain_account(tmp_path / "council", "correct horse").address == made.address
    assert (tmp_path / "council" / "chain.json").stat().st_mode & 0o077 == 0
    assert made.secret.hex() not in (tmp_path / "council" / "chain.json").read_text()
    with pytest.raises(Invalid):
        chain_account(tmp_path / "council", "wrong")
