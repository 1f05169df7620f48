"""Canonical bytes and tagged hashes: one form for everything that is hashed or signed.

Canonical JSON follows RFC 8785. Tagged hashes keep values of different kinds apart, so that no hash of one kind can be
presented as another.
"""

from __future__ import annotations

import base64
from typing import Any

import rfc8785
import sha3


def canonical(value: Any) -> bytes:
    """The RFC 8785 form of a JSON value. Raises `rfc8785.CanonicalizationError` for what JSON cannot say exactly."""
    return rfc8785.dumps(value)


def keccak(data: bytes) -> bytes:
    """Keccak-256 as the EVM computes it, 32 bytes."""
    return sha3.keccak_256(data).digest()  # type: ignore[no-any-return]


def tagged(tag: str, *parts: bytes) -> bytes:
    """`keccak256(keccak256(tag) ‖ parts…)`. Every part is 32 bytes; raises ValueError otherwise."""
    for part in parts:
        if len(part) != 32:
            raise ValueError("a part of a tagged hash is 32 bytes long")
    return keccak(keccak(tag.encode()) + b"".join(parts))


def to_hex(data: bytes) -> str:
    """`0x` and lower-case hex digits."""
    return "0x" + data.hex()


def from_hex(text: str, length: int | None = 32) -> bytes:
    """The bytes of a `0x…` string of `length` bytes. Raises ValueError when it is anything else."""
    if not text.startswith("0x"):
        raise ValueError("a hex value begins with 0x")
    data = bytes.fromhex(text[2:])
    if length is not None and len(data) != length:
        raise ValueError(f"expected {length} bytes, got {len(data)}")
    return data


def b64(data: bytes) -> str:
    """base64url without padding (RFC 7515)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text: str) -> bytes:
    """The bytes of an unpadded base64url string. Raises ValueError when it is anything else.

    Strict: exactly one text stands for any bytes, so that nobody can make a second text (and so a second hash) of what
    was signed.
    """
    data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    if b64(data) != text:
        raise ValueError("not canonical base64url")
    return data
