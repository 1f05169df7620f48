"""Deploying the contracts and admitting seats, so that doing it again changes nothing.

The plan (who deploys, from which nonce, hence which addresses) is stored before the first transaction is sent. Whoever
is interrupted goes on with the same plan; once all code is on chain and equals the artifacts, the deployment file takes
the plan's place.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests.exceptions
from eth_abi.abi import encode
from eth_account import Account
from eth_typing import ChecksumAddress
from eth_utils.address import to_checksum_address
from hexbytes import HexBytes
from web3 import HTTPProvider, Web3
from web3.exceptions import ContractLogicError, Web3Exception
from web3.types import Nonce, RPCEndpoint, TxParams, Wei

from orchestrator.domain.canonical import keccak
from orchestrator.domain.errors import Diverged, Refused, Unavailable
from orchestrator.ledger.abi import ContractAbi
from orchestrator.ledger.artifacts import CONTRACTS, Artifact, load_artifact
from orchestrator.ledger.deployments import Deployment, read_deployment, read_json, write_deployment, write_json
from orchestrator.protocol.keyset import Keyset, SeatKeys, SigningAccount
from orchestrator.protocol.sheet import Domain, admission_digest

DEVNET_VETO_BLOCKS = 60
_WAIT_SECONDS = 120
_IMMUTABLE = re.compile(rb"\x7f\x00{32}", re.DOTALL)
"""PUSH32 of zeros: where the constructor writes an immutable into the runtime code."""

_CREATION_GAS = 5_000_000
_TIP = 10**9
_RICH = 10**24
"""What an account of a devnet is given, in wei: never to be thought about again."""


def deploy(
    node_url: str,
    owner: SigningAccount,
    file: Path,
    *,
    veto_blocks: int,
    council: str | None = None,
    chain_id: int | None = None,
    timeout: float = 10.0,
) -> Deployment:
    """Deploys `Consortium`, `Catalog` and `CaseLedger` from `owner`'s account, or takes up what `file` names.

    `council` owns the consortium (default: `owner`), and `veto_blocks` is for how many blocks a seat can veto a change of
    its key by the council. Raises Refused when the node's chain is not `chain_id`, Diverged
    when the file's chain or code is not what the node has, Unavailable when the node does not answer or mine.
    """
    with _node(node_url, timeout) as web3:
        actual = web3.eth.chain_id
        if chain_id is not None and actual != chain_id:
            raise Refused(
                f"链号应为 {chain_id}，节点为 {actual}",
                detail_en=f"expected chain {chain_id}, the node is on {actual}",
                code="wrong-chain",
                remedy="核对 LIANBAN_NODE_URL 与 LIANBAN_CHAIN_ID / check LIANBAN_NODE_URL and LIANBAN_CHAIN_ID",
            )
        there = read_deployment(file)
        if there is not None:
            _check(web3, actual, there)
            return there
        plan_file = file.with_name(file.stem + "-plan.json")
        plan = _plan(web3, actual, owner, council or owner.address, veto_blocks, read_json(plan_file))
        write_json(plan_file, plan)
        addresses = _carry_out(web3, owner, plan)
        deployment = Deployment(
            chain_id=actual,
            consortium=addresses[0],
            catalog=addresses[1],
            ledger=addresses[2],
            block=plan["block"],
        )
        _check(web3, actual, deployment)
        write_deployment(file, deployment)
        plan_file.unlink()
        return deployment


def admit_seats(
    deployment: Deployment,
    node_url: str,
    owner: SigningAccount,
    seats: Sequence[tuple[int, SeatKeys, Keyset]],
    *,
    timeout: float = 10.0,
) -> list[int]:
    """Admits the seats that are not there yet, in one go, and returns their numbers.

    A seat that is there with the same signer and keyset is left alone. Raises Diverged when it is there with others
    (that is a rotation, not an admission), Refused when a contract says no, Unavailable when the node does not answer.
    """
    abi = ContractAbi(load_artifact("Consortium").abi)
    domain = Domain(chain_id=deployment.chain_id, contract=deployment.consortium)
    with _node(node_url, timeout) as web3:
        new = [(number, keys, keyset) for number, keys, keyset in seats if _is_new(web3, abi, deployment, keys, keyset)]
        if not new:
            return []
        fund(node_url, owner.address, timeout=timeout)
        nonce = web3.eth.get_transaction_count(_address(owner.address))
        for offset, (number, keys, keyset) in enumerate(new):
            signature = keys.chain.sign_hash(admission_digest(domain, number, keys.chain.address, keyset.hash))
            data = abi.call("admit", number, keys.chain.address, keyset.document(), signature)
            try:
                _send(web3, owner, nonce + offset, deployment.consortium, bytes.fromhex(data[2:]))
            except ContractLogicError as error:
                raise Refused(
                    f"席位 {number} 未获接纳",
                    detail_en=f"seat {number} was not admitted: {abi.error(str(error.data or '0x'))}",
                    code="admission-refused",
                ) from None
        _wait_mined(web3, owner, nonce + len(new))
        for number, keys, keyset in new:
            if _is_new(web3, abi, deployment, keys, keyset):
                raise Refused(
                    f"席位 {number} 未获接纳", detail_en=f"seat {number} was not admitted", code="admission-refused"
                )
        return [number for number, _, _ in new]


def fund(node_url: str, address: str, *, timeout: float = 10.0) -> None:
    """Sees to it that an account can pay for gas: where gas is free nothing is needed, Anvil gives it a balance.

    Raises Refused on any other node while the account has nothing: somebody has to send it some.
    """
    with _node(node_url, timeout) as web3:
        account = _address(address)
        if web3.eth.get_balance(account) > 0:
            return
        given = web3.provider.make_request(RPCEndpoint("anvil_setBalance"), [account, hex(_RICH)])
        if "error" in given and web3.eth.gas_price > 0:
            raise Refused(
                f"账户 {address} 没有余额支付燃料费",
                detail_en=f"account {address} has nothing to pay gas with",
                code="no-funds",
                remedy="向该账户转入余额，或把节点设为免燃料费 / send it some, or run the node with free gas",
            )


def runtime_matches(artifact: Artifact, code: bytes) -> bool:
    """Whether code on chain is the artifact's: equal everywhere but in the immutables that the constructor wrote."""
    expected = artifact.deployed_bytecode
    if len(code) != len(expected):
        return False
    masked = bytearray(code)
    for place in _IMMUTABLE.finditer(expected):
        masked[place.start() + 1 : place.end()] = bytes(32)
    return bytes(masked) == expected


def _plan(
    web3: Web3, chain_id: int, owner: SigningAccount, council: str, veto_blocks: int, stored: dict[str, Any] | None
) -> dict[str, Any]:
    """The stored plan if it is this one and can still be carried out, else one from the owner's next nonce."""
    nonce = web3.eth.get_transaction_count(_address(owner.address))
    wanted = {"chain_id": chain_id, "owner": owner.address, "council": council, "veto_blocks": veto_blocks}
    if stored is not None and wanted.items() <= stored.items():
        addresses = [_created(owner.address, stored["nonce"] + index) for index in range(len(CONTRACTS))]
        done = [
            runtime_matches(load_artifact(name), bytes(web3.eth.get_code(address)))
            for name, address in zip(CONTRACTS, addresses, strict=True)
        ]
        if nonce >= stored["nonce"] and all(done[: nonce - stored["nonce"]]):
            return stored
    return {**wanted, "nonce": nonce, "block": web3.eth.block_number + 1}


def _carry_out(web3: Web3, owner: SigningAccount, plan: dict[str, Any]) -> list[ChecksumAddress]:
    """Sends the plan's creations that are not on chain yet and waits for them."""
    nonce: int = plan["nonce"]
    addresses = [_created(owner.address, nonce + index) for index in range(len(CONTRACTS))]
    next_nonce = web3.eth.get_transaction_count(_address(owner.address))
    if next_nonce < nonce + len(CONTRACTS):
        fund(str(web3.provider.endpoint_uri), owner.address)  # type: ignore[attr-defined]
    for index, name in enumerate(CONTRACTS):
        if nonce + index >= next_nonce:
            artifact = load_artifact(name)
            types = [entry["type"] for entry in artifact.abi[0]["inputs"]]
            arguments = [plan["council"], plan["veto_blocks"]][: len(types)] if index == 0 else addresses[:index]
            code = artifact.bytecode + encode(types, arguments)
            _send(web3, owner, nonce + index, None, code)
    _wait_mined(web3, owner, nonce + len(CONTRACTS))
    return addresses


def _send(web3: Web3, owner: SigningAccount, nonce: int, to: str | None, data: bytes) -> None:
    """Signs and sends one transaction of the owner, unless the node has one of this nonce in its pool already."""
    price = web3.eth.gas_price * 2
    transaction: TxParams = {
        "chainId": web3.eth.chain_id,
        "nonce": Nonce(nonce),
        "value": Wei(0),
        "data": HexBytes(data),
        "maxFeePerGas": Wei(price),
        "maxPriorityFeePerGas": Wei(min(price, _TIP)),
    }
    if to is not None:
        transaction["to"] = _address(to)
        estimate = web3.eth.estimate_gas({"from": _address(owner.address), "to": _address(to), "data": HexBytes(data)})
        transaction["gas"] = estimate * 5 // 4
    else:
        # Creations follow one another within a block: the later ones cannot be estimated before the first is there.
        transaction["gas"] = _CREATION_GAS
    signed = Account.from_key(owner.secret).sign_transaction(transaction)
    try:
        web3.eth.send_raw_transaction(signed.raw_transaction)
    except Web3Exception as error:
        if not any(known in str(error).lower() for known in ("already known", "already imported", "underpriced")):
            raise Unavailable(
                "链节点没有接受交易",
                detail_en=f"the node did not take the transaction: {error}",
                code="node-error",
                remedy="检查节点日志后重新运行 / read the node's log, then run this again",
            ) from None


def _wait_mined(web3: Web3, owner: SigningAccount, nonce: int) -> None:
    """Waits until the owner's transactions below `nonce` are on chain."""
    deadline = time.monotonic() + _WAIT_SECONDS
    while web3.eth.get_transaction_count(_address(owner.address)) < nonce:
        if time.monotonic() > deadline:
            raise Unavailable(
                "交易迟迟没有出块",
                detail_en="the transactions were not mined in time",
                code="not-mined",
                remedy="检查节点是否出块，然后重新运行 / see that the node makes blocks, then run this again",
            )
        time.sleep(0.1)


def _check(web3: Web3, chain_id: int, deployment: Deployment) -> None:
    """Raises Diverged unless the node's chain has exactly our contracts at the deployment's addresses."""
    fresh = "换一个数据目录重新开始，或恢复该链的数据 / begin in a new data folder, or restore that chain's data"
    if chain_id != deployment.chain_id:
        raise Diverged(
            f"部署文件属于链 {deployment.chain_id}，节点在链 {chain_id}",
            detail_en=f"the deployment file is of chain {deployment.chain_id}, the node is on {chain_id}",
            code="wrong-chain",
            remedy=fresh,
        )
    for name, address in zip(CONTRACTS, (deployment.consortium, deployment.catalog, deployment.ledger), strict=True):
        if not runtime_matches(load_artifact(name), bytes(web3.eth.get_code(_address(address)))):
            raise Diverged(
                f"链上 {name} 的代码与本版本不符",
                detail_en=f"the code of {name} on chain is not this release's",
                code="other-code",
                remedy=fresh,
            )


def _is_new(web3: Web3, abi: ContractAbi, deployment: Deployment, keys: SeatKeys, keyset: Keyset) -> bool:
    """Whether nobody has the seat yet. Raises Diverged when somebody has it with another signer or keyset."""
    to = _address(deployment.consortium)

    def ask(name: str) -> Any:
        answer = web3.eth.call({"to": to, "data": HexBytes(abi.call(name, keyset.seat))})
        return abi.result(name, "0x" + bytes(answer).hex())[0]

    stored = ask("keysetHashOf")
    if stored == bytes(32):
        return True
    if stored == keyset.hash and to_checksum_address(ask("signerOf")) == keys.chain.address:
        return False
    raise Diverged(
        f"席位 {keyset.seat} 已由其他密钥占用，或已停用",
        detail_en=f"seat {keyset.seat} is there with other keys, or not active",
        code="other-seat",
        remedy="更换密钥请走轮换，不是接纳 / to change keys rotate them, do not admit",
    )


def _created(sender: str, nonce: int) -> ChecksumAddress:
    """The address of the contract that an account creates with this nonce (Yellow Paper §7)."""
    number = nonce.to_bytes((nonce.bit_length() + 7) // 8, "big")
    item = number if len(number) == 1 and number[0] < 0x80 else bytes([0x80 + len(number)]) + number
    body = b"\x94" + bytes.fromhex(sender[2:]) + item
    return to_checksum_address(keccak(bytes([0xC0 + len(body)]) + body)[12:])


def _address(text: str) -> ChecksumAddress:
    return to_checksum_address(text)


@contextmanager
def _node(url: str, timeout: float) -> Iterator[Web3]:
    """A web3 client whose failures to reach the node are Unavailable."""
    web3 = Web3(HTTPProvider(url, request_kwargs={"timeout": timeout}))
    try:
        yield web3
    except requests.exceptions.RequestException as error:
        raise Unavailable(
            "链节点没有应答",
            detail_en=f"the node did not answer: {type(error).__name__}",
            code="node-down",
            remedy="检查 LIANBAN_NODE_URL 与该节点 / check LIANBAN_NODE_URL and that node",
        ) from None
