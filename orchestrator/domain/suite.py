"""The suite: by which algorithms everything here is hashed, signed and sealed. The one place that names them.

Everybody else says `hash_of`, `sign`, `seal` and passes bytes and public JWKs along, so that a second suite can come here and
nowhere else. `tests/unit/test_suite.py` holds that no other module names an algorithm. The Keccak hash is no choice of ours:
it is the EVM's, and stays with the chain whatever the suite (`domain/canonical.py`).
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Final, Protocol

import coincurve
from cryptography.exceptions import InvalidSignature, InvalidTag, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, hpke, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from orchestrator.domain.canonical import b64, unb64

# Hashing

HASH_NAME: Final = "sha-256"
"""As SD-JWTs say it (IANA Named Information Hash Algorithm Registry)."""

INTEGRITY: Final = "sha256"
"""As W3C Subresource Integrity says it."""

HASH_WORD: Final = "SHA-256"
"""As people read it."""


class Hasher(Protocol):
    """A hash that takes its data piece by piece."""

    def update(self, data: bytes, /) -> None:
        """Takes more data."""
        ...

    def copy(self) -> Hasher:
        """One that goes on from here by itself."""
        ...

    def hexdigest(self) -> str:
        """The hash so far, as 64 hex digits."""
        ...


def hash_of(data: bytes) -> bytes:
    """The suite's hash, 32 bytes: SHA-256."""
    return hashlib.sha256(data).digest()


def hasher(data: bytes = b"") -> Hasher:
    """The same hash, piece by piece."""
    return hashlib.sha256(data)


def mac(key: bytes, message: bytes) -> bytes:
    """A message authentication code by the suite's hash, 32 bytes: HMAC."""
    return hmac.new(key, message, hashlib.sha256).digest()


# Signing off the chain: answers, verdicts, credentials, mandates, requests

SIGNING_ALG: Final = "ES256"
"""`alg` of every JWS (RFC 7518)."""

SIGNING_KEY: Final = "P-256"
"""`crv` of the keys that sign, and what people call them."""

SIGNING_MECHANISM: Final = "ECDSA"
"""PKCS#11: signs a hash."""

SIGNING_PARAMETERS: Final = bytes.fromhex("06082a8648ce3d030107")
"""PKCS#11 `CKA_EC_PARAMS` of such a key: the curve's object identifier in DER."""

SIGNING_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_HALF: Final = SIGNING_ORDER // 2
_ECDSA: Final = ec.ECDSA(hashes.SHA256())

SigningPrivate = ec.EllipticCurvePrivateKey
"""A private signing key in memory."""


def read_pem(pem: bytes, passphrase: str) -> Any:
    """The private key of an encrypted PKCS#8 file, whatever its kind. Raises ValueError when it does not open."""
    try:
        return serialization.load_pem_private_key(pem, passphrase.encode())
    except (TypeError, UnsupportedAlgorithm):
        raise ValueError("does not open") from None


def generate_signing() -> SigningPrivate:
    """A new random private key."""
    return ec.generate_private_key(ec.SECP256R1())


def is_signing(private: object) -> bool:
    """Whether a private key can make the suite's signatures."""
    return isinstance(private, ec.EllipticCurvePrivateKey) and isinstance(private.curve, ec.SECP256R1)


def sign(private: SigningPrivate, data: bytes) -> bytes:
    """64 bytes `r ‖ s`, `s` in the lower half."""
    r, s = decode_dss_signature(private.sign(data, _ECDSA))
    return lower(r.to_bytes(32, "big") + s.to_bytes(32, "big"))


def lower(signature: bytes) -> bytes:
    """The same signature with `s` in the lower half; one that is none stays as it is."""
    s = int.from_bytes(signature[32:], "big")
    if len(signature) != 64 or not _HALF < s < SIGNING_ORDER:
        return signature
    return signature[:32] + (SIGNING_ORDER - s).to_bytes(32, "big")


def is_signature(jwk: Mapping[str, Any], data: bytes, signature: bytes) -> bool:
    """Whether `signature` (64 bytes, `s` in the lower half) over `data` is by the key of a public JWK. Raises ValueError when
    that is no such key."""
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    if len(signature) != 64 or not 0 < r < SIGNING_ORDER or not 0 < s <= _HALF:
        return False
    try:
        _point(jwk["x"], jwk["y"]).verify(encode_dss_signature(r, s), data, _ECDSA)
    except InvalidSignature:
        return False
    return True


def signing_point(private: SigningPrivate) -> bytes:
    """The public point of a private key: 64 bytes `x ‖ y`."""
    return private.public_key().public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)[
        1:
    ]


def signing_jwk(point: bytes) -> dict[str, str]:
    """The public JWK `{kty, crv, x, y}` of a point. Raises ValueError for what is no 64 bytes on the curve."""
    if len(point) != 64:
        raise ValueError("a public key has 64 bytes")
    jwk = {"kty": "EC", "crv": SIGNING_KEY, "x": b64(point[:32]), "y": b64(point[32:])}
    _point(jwk["x"], jwk["y"])
    return jwk


def check_signing(jwk: Mapping[str, Any]) -> None:
    """Raises ValueError unless a JWK is a public key that can verify the suite's signatures."""
    if jwk.get("kty") != "EC" or jwk.get("crv") != SIGNING_KEY or "d" in jwk:
        raise ValueError("not a signing key")
    if not isinstance(jwk.get("x"), str) or not isinstance(jwk.get("y"), str):
        raise ValueError("a coordinate is missing")
    _point(jwk["x"], jwk["y"])


@lru_cache(maxsize=4096)
def _point(x: str, y: str) -> ec.EllipticCurvePublicKey:
    left, right = unb64(x), unb64(y)
    if len(left) != 32 or len(right) != 32:
        raise ValueError("a coordinate has 32 bytes")
    numbers = ec.EllipticCurvePublicNumbers(int.from_bytes(left, "big"), int.from_bytes(right, "big"), ec.SECP256R1())
    return numbers.public_key()


# Sealing: subjects, answers, forms, materials, credentials

SEALING_KEY: Final = "X25519"
"""`crv` of the keys that open, and what people call them."""

SEALING_MECHANISM: Final = "ECDH1_DERIVE"
"""PKCS#11: agrees on a secret with the other side's public key."""

_HPKE: Final = hpke.Suite(hpke.KEM.X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_256_GCM)
_KEM_ID: Final = b"KEM\x00\x20"
_HPKE_ID: Final = b"HPKE\x00\x20\x00\x01\x00\x02"
_ENCAPSULATED: Final = 32

SealingPrivate = X25519PrivateKey
"""A private key that opens, in memory."""


def generate_sealing() -> SealingPrivate:
    """A new random private key."""
    return X25519PrivateKey.generate()


def is_sealing(private: object) -> bool:
    """Whether a private key can open what the suite seals."""
    return isinstance(private, X25519PrivateKey)


def sealing_point(private: SealingPrivate) -> bytes:
    """The public key of a private one, 32 bytes."""
    return private.public_key().public_bytes_raw()


def sealing_jwk(point: bytes) -> dict[str, str]:
    """The public JWK `{kty, crv, x}` of a public key. Raises ValueError for what is none."""
    X25519PublicKey.from_public_bytes(point)
    return {"kty": "OKP", "crv": SEALING_KEY, "x": b64(point)}


def check_sealing(jwk: Mapping[str, Any]) -> None:
    """Raises ValueError unless a JWK is a public key that the suite seals to."""
    if jwk.get("kty") != "OKP" or jwk.get("crv") != SEALING_KEY or "d" in jwk or not isinstance(jwk.get("x"), str):
        raise ValueError("not a sealing key")
    _recipient(jwk["x"])


def seal(jwk: Mapping[str, Any], plaintext: bytes, info: bytes) -> bytes:
    """`enc ‖ ciphertext` for the holder of a public JWK, bound to `info`: HPKE base mode (RFC 9180). Raises ValueError when the
    key is not usable."""
    return _HPKE.encrypt(plaintext, _recipient(jwk["x"]), info)


def unseal(private: SealingPrivate, sealed: bytes, info: bytes) -> bytes:
    """The plaintext. Raises ValueError when it was sealed to another key or for something else."""
    try:
        return _HPKE.decrypt(sealed, private, info)
    except InvalidTag:
        raise ValueError("does not open") from None


def unseal_by(agree: Callable[[bytes], bytes], public: bytes, sealed: bytes, info: bytes) -> bytes:
    """The same where the private key is with somebody else: `agree` gives the 32 bytes that it and the other side's public key
    have in common, `public` is its own public key. Raises ValueError as `unseal`."""
    enc, ciphertext = sealed[:_ENCAPSULATED], sealed[_ENCAPSULATED:]
    if len(enc) != _ENCAPSULATED:
        raise ValueError("does not open")
    # ValueError for a point of small order (RFC 9180, 7.1.4), before anybody else is asked about it.
    generate_sealing().exchange(X25519PublicKey.from_public_bytes(enc))
    common = agree(enc)
    secret = _expand(_extract(b"", _KEM_ID, b"eae_prk", common), _KEM_ID, b"shared_secret", enc + public, 32)
    context = b"\0" + _extract(b"", _HPKE_ID, b"psk_id_hash", b"") + _extract(b"", _HPKE_ID, b"info_hash", info)
    root = _extract(secret, _HPKE_ID, b"secret", b"")
    key = _expand(root, _HPKE_ID, b"key", context, 32)
    nonce = _expand(root, _HPKE_ID, b"base_nonce", context, 12)
    try:
        return AESGCM(key).decrypt(nonce, ciphertext, None)
    except InvalidTag:
        raise ValueError("does not open") from None


Cipher = AESGCM
"""Encrypts and authenticates under one symmetric key: `encrypt(nonce, data, associated)`, `decrypt(…)`, nonces of 12 bytes."""


def cipher_of(key: bytes) -> Cipher:
    """The suite's symmetric cipher under 32 bytes."""
    return AESGCM(key)


def _extract(salt: bytes, suite: bytes, label: bytes, material: bytes) -> bytes:
    return mac(salt, b"HPKE-v1" + suite + label + material)


def _expand(root: bytes, suite: bytes, label: bytes, info: bytes, length: int) -> bytes:
    labelled = length.to_bytes(2, "big") + b"HPKE-v1" + suite + label + info
    return HKDFExpand(hashes.SHA256(), length, labelled).derive(root)


@lru_cache(maxsize=4096)
def _recipient(x: str) -> X25519PublicKey:
    return X25519PublicKey.from_public_bytes(unb64(x))


# Signing for the chain: sheets, heads and the other EIP-712 statements

CHAIN_KEY: Final = "secp256k1"
"""What people call the keys that sign for the chain."""

CHAIN_MECHANISM: Final = SIGNING_MECHANISM
"""PKCS#11: signs a hash."""

CHAIN_PARAMETERS: Final = bytes.fromhex("06052b8104000a")
"""PKCS#11 `CKA_EC_PARAMS` of such a key."""

CHAIN_ORDER: Final = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141

ChainPrivate = coincurve.PrivateKey
"""A private chain key in memory."""


def chain_private(secret: bytes | None = None) -> ChainPrivate:
    """The private key of 32 secret bytes, or a new random one."""
    return coincurve.PrivateKey(secret) if secret is not None else coincurve.PrivateKey()


def chain_point(private: ChainPrivate) -> bytes:
    """The public point of a private key: 64 bytes `x ‖ y`."""
    return bytes(private.public_key.format(compressed=False)[1:])


def chain_sign(private: ChainPrivate, digest: bytes) -> bytes:
    """65 bytes `r ‖ s ‖ v` over 32 bytes as they are; v 27 or 28, s in the lower half."""
    signature = private.sign_recoverable(digest, hasher=None)
    return bytes(signature[:64]) + bytes((27 + signature[64],))


def chain_recover(digest: bytes, signature: bytes) -> bytes:
    """The point whose key signed 32 bytes. Raises ValueError for what the EVM does not take either: not 65 bytes, v other than
    27 or 28, a high s, no such point."""
    s = int.from_bytes(signature[32:64], "big")
    if len(signature) != 65 or signature[64] not in (27, 28) or s > CHAIN_ORDER // 2:
        raise ValueError("not a chain signature")
    try:
        public = coincurve.PublicKey.from_signature_and_message(
            signature[:64] + bytes((signature[64] - 27,)), digest, hasher=None
        )
    except Exception:  # coincurve raises bare Exception when no point fits
        raise ValueError("not a chain signature") from None
    return bytes(public.format(compressed=False)[1:])


def chain_signature(point: bytes, digest: bytes, signature: bytes) -> bytes:
    """The 65 bytes for a signature of 64 (`r ‖ s`, any `s`) or 65 that the key of `point` made elsewhere. Raises ValueError when
    it did not make it."""
    s = int.from_bytes(signature[32:64], "big")
    if len(signature) not in (64, 65) or not 0 < s < CHAIN_ORDER:
        raise ValueError("not a chain signature")
    body = signature[:32] + min(s, CHAIN_ORDER - s).to_bytes(32, "big")
    for v in (27, 28):
        whole = body + bytes((v,))
        try:
            if chain_recover(digest, whole) == point:
                return whole
        except ValueError:
            continue
    raise ValueError("not by this key")
