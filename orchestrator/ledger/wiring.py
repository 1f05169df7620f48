"""Code on chain against the artifacts: every byte, and every value that the constructors have wired into it.

The same code with another consortium, another chain or another delay in it is another contract.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from orchestrator.domain.canonical import keccak
from orchestrator.ledger.artifacts import Artifact
from orchestrator.protocol.sheet import Domain

_NAME: Final = b"Lianban"
_VERSION: Final = b"1"
_ADDRESSES: Final = frozenset(
    {"EIP712._cachedThis", "Catalog.consortium", "CaseLedger.consortium", "CaseLedger.catalog"}
)
_NUMBERS: Final = frozenset({"EIP712._cachedChainId", "Consortium.vetoBlocks"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Wiring:
    """What the three contracts are wired to."""

    chain_id: int
    consortium: str
    catalog: str
    ledger: str
    veto_blocks: int

    def address(self, contract: str) -> str:
        """Where a contract of `CONTRACTS` is."""
        return {"Consortium": self.consortium, "Catalog": self.catalog, "CaseLedger": self.ledger}[contract]

    def immutables(self, contract: str) -> dict[str, bytes]:
        """The immutables of a contract: `Contract.variable` to the 32 bytes in its runtime code."""
        own = self.address(contract)
        values = {
            # EIP712.sol of OpenZeppelin: short strings carry their length in the last byte.
            "EIP712._cachedDomainSeparator": Domain(chain_id=self.chain_id, contract=own).separator,
            "EIP712._cachedChainId": self.chain_id.to_bytes(32, "big"),
            "EIP712._cachedThis": _word(own),
            "EIP712._hashedName": keccak(_NAME),
            "EIP712._hashedVersion": keccak(_VERSION),
            "EIP712._name": _NAME.ljust(31, b"\0") + bytes([len(_NAME)]),
            "EIP712._version": _VERSION.ljust(31, b"\0") + bytes([len(_VERSION)]),
        }
        if contract == "Consortium":
            values["Consortium.vetoBlocks"] = self.veto_blocks.to_bytes(32, "big")
        else:
            values[f"{contract}.consortium"] = _word(self.consortium)
        if contract == "CaseLedger":
            values["CaseLedger.catalog"] = _word(self.catalog)
        return values


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Why what is at an address is not the contract that belongs there."""

    kind: Literal["absent", "foreign", "wired"]
    """Nothing is there; other code is there; the code is there with another value in it."""
    immutable: str = ""
    """For `wired`: the immutable that differs."""
    found: str = ""
    expected: str = ""


def fault_of(artifact: Artifact, code: bytes, immutables: Mapping[str, bytes]) -> Fault | None:
    """What is wrong with the code at a contract's address, or None. Raises KeyError for an immutable with no value given."""
    if not code:
        return Fault(kind="absent")
    blank = bytearray(code)
    if len(code) == len(artifact.deployed_bytecode):
        for places in artifact.immutables.values():
            for place in places:
                blank[place : place + 32] = bytes(32)
    if bytes(blank) != artifact.deployed_bytecode:
        return Fault(kind="foreign")
    for name, places in artifact.immutables.items():
        for place in places:
            if (found := code[place : place + 32]) != immutables[name]:
                return Fault(
                    kind="wired", immutable=name, found=_shown(name, found), expected=_shown(name, immutables[name])
                )
    return None


def _word(address: str) -> bytes:
    return bytes.fromhex(address[2:]).rjust(32, b"\0")


def _shown(name: str, value: bytes) -> str:
    if name in _NUMBERS:
        return str(int.from_bytes(value, "big"))
    return "0x" + (value[12:] if name in _ADDRESSES else value).hex()
