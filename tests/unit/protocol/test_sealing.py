"""Sealing: the committed RFC 9180 vector, who can open what, and lengths."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.domain.canonical import b64, from_hex, unb64
from orchestrator.domain.errors import Invalid, Refused
from orchestrator.protocol.holders import KeptOpening
from orchestrator.protocol.sealing import (
    SealingKey,
    answer_info,
    check_sealing_jwk,
    credential_info,
    material_info,
    seal,
    subject_info,
    unseal,
)

KEY, OTHER = SealingKey.generate(), SealingKey.generate()
VECTOR = json.loads((Path(__file__).parents[2] / "vectors/protocol/hpke.json").read_text())


def test_unseal__rfc_9180_by_hand__opens() -> None:
    key = SealingKey(KeptOpening(X25519PrivateKey.from_private_bytes(from_hex(VECTOR["private"]))))
    info = answer_info(VECTOR["question"], VECTOR["attempt"], VECTOR["seat"])
    assert info == from_hex(VECTOR["info"], length=None)
    assert unseal(key, VECTOR["blob"], info=info).decode() == VECTOR["plaintext"]


@given(st.binary(max_size=1500), st.binary(max_size=60), st.sampled_from([1, 512, 4096]))
def test_seal__any_plaintext__opens_again_and_tells_only_blocks(plaintext: bytes, info: bytes, pad_to: int) -> None:
    blob = seal(KEY.jwk, plaintext, info=info, pad_to=pad_to)
    assert unseal(KEY, blob, info=info) == plaintext
    assert (len(unb64(blob)) - 32 - 16) % pad_to == 0


def test_seal__lengths_in_one_block__same_length_of_blob() -> None:
    lengths = {len(seal(KEY.jwk, b"x" * n, info=b"", pad_to=512)) for n in (0, 1, 200, 511)}
    assert len(lengths) == 1
    assert len(seal(KEY.jwk, b"x" * 512, info=b"", pad_to=512)) not in lengths


def test_seal__twice__different_blobs() -> None:
    assert seal(KEY.jwk, b"x", info=b"", pad_to=512) != seal(KEY.jwk, b"x", info=b"", pad_to=512)


@given(st.integers(0, 3000), st.integers(1, 255))
def test_unseal__one_byte_changed__cannot_open(place: int, change: int) -> None:
    blob = bytearray(unb64(SEALED))
    blob[place % len(blob)] ^= change
    with pytest.raises(Refused) as caught:
        unseal(KEY, b64(bytes(blob)), info=b"i")
    assert caught.value.code == "cannot-open"


SEALED = seal(KEY.jwk, b"secret", info=b"i", pad_to=512)


@given(st.text(max_size=80))
def test_unseal__any_text__cannot_open(text: str) -> None:
    with pytest.raises(Refused):
        unseal(KEY, text, info=b"i")


def test_unseal__other_key_or_purpose__cannot_open() -> None:
    assert unseal(KEY, SEALED, info=b"i") == b"secret"
    for key, info in ((OTHER, b"i"), (KEY, b"j"), (KEY, b"")):
        with pytest.raises(Refused):
            unseal(key, SEALED, info=info)


def test_unseal__sealed_to_a_key_that_was_replaced__opens_for_its_purpose_only() -> None:
    present = SealingKey(SealingKey.generate().holder, past=(OTHER, KEY))
    assert unseal(present, SEALED, info=b"i") == unseal(KEY, SEALED, info=b"i")
    with pytest.raises(Refused):
        unseal(present, SEALED, info=b"x")
    with pytest.raises(Refused):
        unseal(SealingKey(present.holder, past=(OTHER,)), SEALED, info=b"i")


@pytest.mark.parametrize(
    "jwk",
    [{}, {**KEY.jwk, "crv": "Ed25519"}, {**KEY.jwk, "d": "AA"}, {**KEY.jwk, "x": "AA"}, {**KEY.jwk, "x": None},
     {"kty": "EC", "crv": "X25519", "x": KEY.jwk["x"]}],
)  # fmt: skip
def test_check_sealing_jwk__not_a_public_x25519_key__refused(jwk: dict) -> None:
    check_sealing_jwk(KEY.jwk)
    with pytest.raises(Invalid):
        check_sealing_jwk(jwk)


def test_seal__point_of_small_order__refused() -> None:
    with pytest.raises(Invalid):
        seal({"kty": "OKP", "crv": "X25519", "x": b64(bytes(32))}, b"x", info=b"", pad_to=512)


def test_infos__different_purposes_and_parts__all_different() -> None:
    infos = [
        subject_info("a", "b", 1, 2), subject_info("a", "b", 12, 2), subject_info("a", "b", 1, 22),
        subject_info("ab", "", 1, 2), subject_info("", "ab", 1, 2), material_info("a", "b", 1), answer_info("a", 1, 2),
        answer_info("a1", 1, 2), credential_info("a"), material_info("a", "b1", 1),
    ]  # fmt: skip
    assert len(set(infos)) == len(infos)
    with pytest.raises(ValueError):
        subject_info("a\0b", "c", 1, 2)
