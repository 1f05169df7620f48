"""The same case recorded with the Ethereum Attestation Service: its own contracts, as published on npm, on our node.

Every evidence and every approval of a case is one attestation whose recipient, by which EAS indexes, is the case (the first
160 bits of its id) and whose data is one hash: no expiration, no reference. With the whole id in the data, 100 would not
fit into a transaction (EIP-7825). One account attests everything with `multiAttest`, which is cheaper than
`multiAttestByDelegation`, where each department would sign as it does with us.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eth_abi.abi import encode

from orchestrator.bench.ours import APPROVALS, EVIDENCES
from orchestrator.bench.wallet import Wallet
from orchestrator.domain.errors import Refused, Unavailable
from orchestrator.ledger.abi import ContractAbi

PACKAGE = Path(__file__).resolve().parents[2] / "node_modules" / "@ethereum-attestation-service" / "eas-contracts"
SCHEMAS = ("bytes32 evidence", "bytes32 approval")
_NOBODY = "0x" + "00" * 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """What the npm package holds of one contract."""

    abi: ContractAbi
    code: bytes
    """Creation code."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """The EAS contracts of the installed npm package."""

    version: str
    """Of the package."""
    registry: Published
    eas: Published


@dataclass(frozen=True, slots=True, kw_only=True)
class Attestation:
    """One attestation, before it is made."""

    schema: int
    """Index in `SCHEMAS`."""
    recipient: str
    """The case, as an address."""
    data: bytes
    """The hash of the evidence or of the approval, 32 bytes, which is its own ABI encoding."""


def load_package(folder: Path = PACKAGE) -> Package:
    """The installed package. Raises Unavailable when it is not there: an installation of the Python package alone has none."""
    try:
        version = json.loads((folder / "package.json").read_text("utf-8"))["version"]
        return Package(version=version, registry=_contract(folder, "SchemaRegistry"), eas=_contract(folder, "EAS"))
    except FileNotFoundError:
        raise Unavailable(
            "没有 EAS 合约可供比较",
            detail_en="the EAS contracts to compare with are not installed",
            code="eas-missing",
            remedy="在源码目录运行 make setup(会安装 npm 包 @ethereum-attestation-service/eas-contracts)"
            " / run make setup in the source folder, which installs that npm package",
        ) from None


class Eas:
    """EAS on a chain with a schema for evidences and one for approvals. Made by `open_eas`."""

    def __init__(self, wallet: Wallet, abi: ContractAbi, address: str, schemas: Sequence[bytes]) -> None:
        self._wallet = wallet
        self._abi = abi
        self._address = address
        self._schemas = schemas

    async def attest(self, attestations: Sequence[Attestation]) -> int:
        """One `multiAttest`; the gas it took.

        Raises Refused when not every one is on chain afterwards.
        """
        requests = [
            (uid, [(each.recipient, 0, True, bytes(32), each.data, 0) for each in attestations if each.schema == place])
            for place, uid in enumerate(self._schemas)
        ]
        call = self._abi.call("multiAttest", [request for request in requests if request[1]])
        mined = await self._wallet.send(self._address, bytes.fromhex(call[2:]))
        done = mined.count(self._abi.topic("Attested"))
        if done != len(attestations):
            raise Refused(
                "EAS 没有记录全部证明",
                detail_en=f"EAS took {done} of {len(attestations)} attestations",
                code="attestations-refused",
            )
        return mined.gas


async def open_eas(wallet: Wallet, package: Package) -> Eas:
    """Deploys SchemaRegistry and EAS and registers both schemas."""
    registry = await wallet.create(package.registry.code)
    address = await wallet.create(package.eas.code + encode(["address"], [registry]))
    uids = []
    for schema in SCHEMAS:
        call = package.registry.abi.call("register", schema, _NOBODY, True)
        mined = await wallet.send(registry, bytes.fromhex(call[2:]))
        uids.append(bytes.fromhex(mined.logs[0]["topics"][1][2:]))
    return Eas(wallet, package.eas.abi, address, uids)


def attestations(cases: int) -> Iterator[Attestation]:
    """What is attested of so many cases, case by case, with random ids and hashes."""
    for _ in range(cases):
        case = "0x" + secrets.token_hex(20)
        for schema in (0,) * EVIDENCES + (1,) * APPROVALS:
            yield Attestation(schema=schema, recipient=case, data=secrets.token_bytes(32))


def _contract(folder: Path, name: str) -> Published:
    file = folder / "artifacts" / "contracts" / f"{name}.sol" / f"{name}.json"
    artifact: dict[str, Any] = json.loads(file.read_text("utf-8"))
    return Published(abi=ContractAbi(artifact["abi"]), code=bytes.fromhex(artifact["bytecode"][2:]))
