"""Safe: the multisig that owns a consortium. Its contracts are Safe 1.4.1 as published, its calls safe-eth-py's.

Nothing here can decide anything: a Safe acts on the signatures of `threshold` of its owners and on nothing else, unless it
has modules, of which whoever reads it is told.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from eth_account import Account
from eth_typing import ChecksumAddress
from eth_utils.address import is_address, to_checksum_address
from hexbytes import HexBytes
from safe_eth.eth import EthereumClient
from safe_eth.eth.contracts import get_safe_V1_4_1_contract, load_contract_interface
from safe_eth.eth.exceptions import ContractAlreadyDeployed
from safe_eth.safe import Safe
from safe_eth.safe.exceptions import CannotRetrieveSafeInfoException
from safe_eth.safe.proxy_factory import ProxyFactoryV141
from web3.exceptions import Web3Exception

from orchestrator.council.acts import NOBODY
from orchestrator.council.node import wait_mined
from orchestrator.domain.errors import Invalid, Refused
from orchestrator.ledger.deployments import read_json, write_json
from orchestrator.protocol.keyset import SigningAccount

VERSION: Final = "1.4.1"
"""The release that we deploy."""

_VERSIONS: Final = ("1.3.0", "1.4.1", "1.5.0")
"""Releases whose signed hash names the chain, and that `execTransaction` alike."""

_ARTIFACTS: Final = {
    "singleton": "Safe_V1_4_1.json",
    "factory": "ProxyFactory_V1_4_1.json",
    "handler": "CompatibilityFallbackHandler_V1_4_1.json",
}
"""Shipped with safe-eth-py; a test compares them with `@safe-global/safe-contracts`. The singleton is SafeL2, which tells
every execution with its signatures in an event, so that anybody can read who decided what."""

_CANONICAL: Final = {
    "singleton": "0x29fcB43b46531BcA003ddC8FCB67FFE91900C762",
    "factory": "0x4e1DCf7AD4e460CfD30791CCC4F9c8a4f820ec67",
    "handler": "0xfd0732Dc9E303f09fCEf3a7388Ad10A83459Ec99",
}
"""Where these contracts are on chains that have Safe's deterministic deployment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SafeState:
    """A Safe as the newest block has it. Addresses are EIP-55."""

    address: str
    version: str
    owners: tuple[str, ...]
    threshold: int
    """How many owners must sign."""
    nonce: int
    """The number that the next executed proposal has."""
    modules: tuple[str, ...]
    """Contracts that act for the Safe without its owners' signatures; none, unless somebody enabled one."""
    guard: str | None
    """A contract that can refuse executions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SafeParts:
    """The contracts that Safes are made of on one chain."""

    singleton: str
    factory: str
    handler: str


def checked_address(text: str, field: str) -> ChecksumAddress:
    """The EIP-55 spelling of an address. Raises Invalid naming `field`, also for a wrong checksum."""
    mixed = text[2:] not in (text[2:].lower(), text[2:].upper())
    if not is_address(text) or not text.startswith("0x") or (mixed and to_checksum_address(text) != text):
        raise Invalid(
            field=field,
            detail="不是正确的账户地址",
            detail_en="not a correct account address",
            remedy="写作 0x 加 40 位十六进制数字,核对大小写校验 / 0x and 40 hex digits; mind the EIP-55 checksum",
            code="wrong-address",
        )
    return to_checksum_address(text)


def read_safe(client: EthereumClient, address: str) -> SafeState | None:
    """The Safe at an address; None when an account without code, or a contract of another kind, is there.

    Raises Invalid for a Safe of a release that we do not drive.
    """
    place = to_checksum_address(address)
    if not client.w3.eth.get_code(place):
        return None
    try:
        version = get_safe_V1_4_1_contract(client.w3, place).functions.VERSION().call()
    except (Web3Exception, ValueError):
        return None
    if version not in _VERSIONS:
        raise Invalid(
            field="safe",
            detail=f"不支持 Safe {version}",
            detail_en=f"Safe {version} is not supported",
            remedy=f"换用 {VERSION} / use one of {', '.join(_VERSIONS)}",
            code="wrong-safe-version",
        )
    try:
        info = Safe(place, client, version).retrieve_all_info()  # type: ignore[abstract]  # picks the release's class
    except CannotRetrieveSafeInfoException:
        return None
    if not info.owners or not info.threshold:
        return None
    return SafeState(
        address=place,
        version=version,
        owners=tuple(info.owners),
        threshold=info.threshold,
        nonce=info.nonce,
        modules=tuple(info.modules),
        guard=None if info.guard == NOBODY else info.guard,
    )


def create_safe(
    client: EthereumClient, payer: SigningAccount, owners: Sequence[str], threshold: int, *, file: Path, salt: int = 0
) -> SafeState:
    """A Safe of these owners, deployed by `payer`, who has no rights in it; taken up when it is there already.

    Its address follows from owners, threshold and `salt`: who is interrupted runs it again. The chain's Safe contracts are
    used where they are, else deployed and remembered in `file`. Raises Invalid for owners or a threshold that no Safe takes.
    """
    council = _checked_owners(owners, threshold)
    parts = safe_parts(client, payer, file)
    setup = [council, threshold, NOBODY, b"", to_checksum_address(parts.handler), NOBODY, 0, NOBODY]
    initializer = HexBytes(get_safe_V1_4_1_contract(client.w3).encode_abi("setup", args=setup))
    factory = ProxyFactoryV141(to_checksum_address(parts.factory), client)
    singleton = to_checksum_address(parts.singleton)
    address = factory.calculate_proxy_address(singleton, initializer, salt)
    if not client.is_contract(address):
        sent = factory.deploy_proxy_contract_with_nonce(
            Account.from_key(payer.secret), singleton, initializer, salt, gas_price=client.w3.eth.gas_price * 2
        )
        wait_mined(client, sent.tx_hash)
    made = read_safe(client, address)
    if made is None:
        raise Refused("Safe 未建成", detail_en="no Safe came of it", code="no-safe", remedy="检查节点 / check the node")
    return made


def safe_parts(client: EthereumClient, payer: SigningAccount, file: Path) -> SafeParts:
    """The Safe contracts of this chain: at their usual addresses, as `file` says, or deployed now and written there."""
    chain_id = client.get_chain_id()
    stored = read_json(file) or {}
    known: dict[str, str] = stored.get("addresses", {}) if stored.get("chain_id") == chain_id else {}
    addresses = dict(known)
    for part in _ARTIFACTS:
        for candidate in (_CANONICAL[part], known.get(part)):
            if candidate is not None and _is_there(client, part, candidate):
                addresses[part] = candidate
                break
        else:
            addresses[part] = _deploy_part(client, payer, part)
            # Written after each, so that an interruption costs no second deployment.
            write_json(file, {"chain_id": chain_id, "addresses": addresses})
    return SafeParts(**addresses)


def _is_there(client: EthereumClient, part: str, address: str) -> bool:
    expected = bytes.fromhex(_artifact(part)["deployedBytecode"][2:])
    return bytes(client.w3.eth.get_code(to_checksum_address(address))) == expected


def _deploy_part(client: EthereumClient, payer: SigningAccount, part: str) -> str:
    """Deploys one of Safe's contracts, through Safe's singleton factory where the chain has it."""
    try:
        sent = client.deploy_and_initialize_contract(
            Account.from_key(payer.secret), HexBytes(_artifact(part)["bytecode"]), check_receipt=False
        )
    except ContractAlreadyDeployed as there:
        return str(there.address)
    wait_mined(client, sent.tx_hash)
    return str(sent.contract_address)


def _artifact(part: str) -> dict[str, Any]:
    artifact: dict[str, Any] = load_contract_interface(_ARTIFACTS[part])
    return artifact


def _checked_owners(owners: Sequence[str], threshold: int) -> list[ChecksumAddress]:
    council = [checked_address(owner, "owner") for owner in owners]
    if not council or len(set(council)) != len(council) or NOBODY in council:
        raise Invalid(
            field="owner",
            detail="成员为空、重复,或为零地址",
            detail_en="no owner, one of them twice, or the zero address",
            remedy="每位成员给出一次 --owner / give --owner once for each member",
            code="wrong-owners",
        )
    if not 1 <= threshold <= len(council):
        raise Invalid(
            field="threshold",
            detail=f"签署人数须为 1 至 {len(council)}",
            detail_en=f"the threshold is from 1 to {len(council)}, the number of owners",
            remedy="改 --threshold / change --threshold",
            code="wrong-threshold",
        )
    return council
