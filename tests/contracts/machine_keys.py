"""Keys: everybody's chain keys in one ring, and EIP-712 signatures by the vectors' types, written down in the model's table.

Hashing is the standard's own recursion over the types (a test compares it with `eth_account`), fast enough for thousands of
signatures a second.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import coincurve
from machine_chain import CHAIN_ID
from model import Signatures

from orchestrator.domain.canonical import keccak

TYPES: dict[str, list[dict[str, str]]] = json.loads(
    (Path(__file__).parents[1] / "vectors" / "contracts" / "eip712.json").read_text(encoding="utf-8")
)["types"]
_DOMAIN = keccak(b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)")
_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


def _encoded_type(struct: str) -> str:
    found: list[str] = []

    def visit(name: str) -> None:
        if name in TYPES and name not in found:
            found.append(name)
            for member in TYPES[name]:
                visit(member["type"].removesuffix("[]"))

    visit(struct)
    first, *others = found
    members = {name: ",".join(f"{one['type']} {one['name']}" for one in TYPES[name]) for name in found}
    return "".join(f"{name}({members[name]})" for name in [first, *sorted(others)])


_TYPE_HASHES: dict[str, bytes] = {name: keccak(_encoded_type(name).encode()) for name in TYPES}


def struct_hash(struct: str, values: Sequence[Any]) -> bytes:
    """EIP-712 `hashStruct` of a struct of the vectors, whose values come in the order of its members."""
    members = zip(TYPES[struct], values, strict=True)
    return keccak(_TYPE_HASHES[struct] + b"".join(_word(member["type"], value) for member, value in members))


def _word(kind: str, value: Any) -> bytes:
    if kind.endswith("[]"):
        return keccak(b"".join(_word(kind[:-2], one) for one in value))
    if kind in TYPES:
        return struct_hash(kind, value)
    if kind == "string":
        return keccak(value.encode())
    if kind == "address":
        return bytes(value).rjust(32, b"\0")
    return value if kind == "bytes32" else int(value).to_bytes(32, "big")


def digest(contract: bytes, struct: str, values: Sequence[Any], chain_id: int = CHAIN_ID) -> bytes:
    """What is signed for a contract."""
    words = keccak(b"Lianban") + keccak(b"1") + chain_id.to_bytes(32, "big") + contract.rjust(32, b"\0")
    return keccak(b"\x19\x01" + keccak(_DOMAIN + words) + struct_hash(struct, values))


class Ring:
    """All keys that there are, by address. Whoever asks for a signature holds the key."""

    def __init__(self, label: object, signatures: Signatures) -> None:
        self._label = label
        self._keys: dict[bytes, coincurve.PrivateKey] = {}
        self.signatures = signatures

    def new(self) -> bytes:
        """The address of a fresh key."""
        key = coincurve.PrivateKey(keccak(f"{self._label}/{len(self._keys)}".encode()))
        address = keccak(key.public_key.format(compressed=False)[1:])[12:]
        self._keys[address] = key
        return address

    def sign(self, signer: bytes, contract: bytes, struct: str, *values: Any, chain_id: int = CHAIN_ID) -> bytes:
        """A signature of 65 bytes, and its line in the table of who said what."""
        made = self._keys[signer].sign_recoverable(digest(contract, struct, values, chain_id), hasher=None)
        signature = made[:64] + bytes([made[64] + 27])
        where = contract if chain_id == CHAIN_ID else contract + b"elsewhere"
        self.signatures.said[signature] = (signer, where, struct, values)
        return signature


def malleated(signature: bytes) -> bytes:
    """The other signature that the curve accepts for the same key and digest, with the high `s`."""
    high = _ORDER - int.from_bytes(signature[32:64], "big")
    return signature[:32] + high.to_bytes(32, "big") + bytes([signature[64] ^ 7])
