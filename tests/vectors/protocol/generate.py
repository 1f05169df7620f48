"""Makes the vectors beside this file without any of our code: what contracts and Python share is in `tests/vectors/contracts`.

Run from the project folder: `.venv/bin/python tests/vectors/protocol/generate.py`. HPKE is RFC 9180 spelled out over X25519,
HMAC and AES-GCM; the hashes follow the text of docs/architecture.md.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from eth_utils.crypto import keccak

HERE = Path(__file__).parent
SUITE = b"HPKE" + bytes.fromhex("002000010002")
KEM = b"KEM" + bytes.fromhex("0020")


def digest(label: str) -> bytes:
    return hashlib.sha256(label.encode()).digest()


def hex32(label: str) -> str:
    return "0x" + digest(label).hex()


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
    for make in (hashes, hpke):
        text = json.dumps(make(), ensure_ascii=False, indent=1)
        (HERE / f"{make.__name__}.json").write_text(text + "\n")
