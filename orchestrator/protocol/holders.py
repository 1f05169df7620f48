"""Holders: who has a private key and works with it.

The keystore's holders have the key in this process's memory. Those of `protocol/signers/` ask somebody else, a hardware module or
a signing service, and the key is nowhere in this process. What they have in common is all that the rest may use.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, Self

from cryptography.hazmat.primitives import serialization
from eth_utils.address import to_checksum_address

from orchestrator.domain import suite
from orchestrator.domain.canonical import keccak
from orchestrator.domain.errors import Invalid


class SigningHolder(Protocol):
    """Has a key that signs off the chain."""

    @property
    def jwk(self) -> Mapping[str, str]:
        """The public JWK without `kid`."""
        ...

    def sign(self, data: bytes) -> bytes:
        """64 bytes `r ‖ s`. Raises Unavailable when the holder cannot be reached or does not sign."""
        ...


class OpeningHolder(Protocol):
    """Has a key that opens what was sealed to it."""

    @property
    def jwk(self) -> Mapping[str, str]:
        """The public JWK without `kid`."""
        ...

    def open(self, sealed: bytes, info: bytes) -> bytes:
        """The plaintext. Raises ValueError when it was sealed to another key or for something else, Unavailable when the holder
        cannot be reached."""
        ...


class ChainHolder(Protocol):
    """Has a key that signs for the chain."""

    @property
    def address(self) -> str:
        """EIP-55."""
        ...

    def sign_hash(self, digest: bytes) -> bytes:
        """65 bytes `r ‖ s ‖ v` over a 32-byte digest, which is best a `Statement`: who hashes for themselves sign nothing else.

        Raises Unavailable when the holder cannot be reached or does not sign, Invalid when it cannot sign that.
        """
        ...


class KeptSigning:
    """A signing key in this process's memory."""

    __slots__ = ("jwk", "private")

    def __init__(self, private: suite.SigningPrivate) -> None:
        """Raises Invalid for a key of another kind."""
        if not suite.is_signing(private):
            raise wrong_kind(suite.SIGNING_KEY)
        self.private = private
        self.jwk = suite.signing_jwk(suite.signing_point(private))

    @classmethod
    def generate(cls) -> Self:
        """A new random key."""
        return cls(suite.generate_signing())

    def sign(self, data: bytes) -> bytes:
        """64 bytes `r ‖ s`, `s` in the lower half."""
        return suite.sign(self.private, data)


class KeptOpening:
    """A sealing key in this process's memory."""

    __slots__ = ("jwk", "private")

    def __init__(self, private: suite.SealingPrivate) -> None:
        """Raises Invalid for a key of another kind."""
        if not suite.is_sealing(private):
            raise wrong_kind(suite.SEALING_KEY)
        self.private = private
        self.jwk = suite.sealing_jwk(suite.sealing_point(private))

    @classmethod
    def generate(cls) -> Self:
        """A new random key."""
        return cls(suite.generate_sealing())

    def open(self, sealed: bytes, info: bytes) -> bytes:
        """The plaintext. Raises ValueError when it does not open."""
        return suite.unseal(self.private, sealed, info)


def pem_of(holder: SigningHolder | OpeningHolder, passphrase: str) -> bytes:
    """The key as encrypted PKCS#8. Raises Invalid unless it is here: nobody else hands theirs out."""
    if not isinstance(holder, KeptSigning | KeptOpening):
        raise Invalid(
            field="keys",
            detail="密钥在外部签名器中,不可导出",
            detail_en="the key is with an external signer and cannot be exported",
            code="key-elsewhere",
        )
    return holder.private.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(passphrase.encode()),
    )


def address_of(point: bytes) -> str:
    """The address (EIP-55) of a chain key's public point, 64 bytes."""
    return to_checksum_address(keccak(point)[12:])


def wrong_kind(wanted: str) -> Invalid:
    """That a key is not of the kind that its use needs."""
    return Invalid(
        field="jwk",
        detail="密钥类型不正确",
        detail_en="not a key of the kind needed",
        remedy=f"提供 {wanted} 密钥 / provide a {wanted} key",
    )
