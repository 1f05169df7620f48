"""Canonical bytes, tagged hashes, strict text forms of bytes."""

from __future__ import annotations

import base64
import hashlib
import json

import pytest
import rfc8785
from eth_utils.crypto import keccak as reference_keccak
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.domain.canonical import b64, canonical, from_hex, keccak, tagged, to_hex, unb64
from orchestrator.domain.suite import hash_of

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(-1e15, 1e15, allow_nan=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(JSON)
def test_canonical__any_json__stable_when_read_again(value: object) -> None:
    once = canonical(value)
    assert canonical(json.loads(once)) == once


def test_canonical__members_in_any_order__same_bytes() -> None:
    assert canonical({"b": 1, "a": [True, None, "链"]}) == '{"a":[true,null,"链"],"b":1}'.encode()
    assert canonical({"a": [True, None, "链"], "b": 1}) == canonical({"b": 1, "a": [True, None, "链"]})


@pytest.mark.parametrize("value", [2**53 + 1, float("nan"), float("inf"), {1: "a"}])
def test_canonical__what_json_cannot_say_exactly__refused(value: object) -> None:
    with pytest.raises(rfc8785.CanonicalizationError):
        canonical(value)


@given(st.binary())
def test_keccak_and_sha256__any_bytes__as_reference(data: bytes) -> None:
    assert keccak(data) == reference_keccak(data)
    assert hash_of(data) == hashlib.sha256(data).digest()


def test_tagged__other_tag_or_order__other_hash() -> None:
    one, two = bytes(32), b"\1" * 32
    assert tagged("a", one, two) == reference_keccak(reference_keccak(b"a") + one + two)
    assert len({tagged("a", one, two), tagged("a", two, one), tagged("b", one, two), tagged("a", one)}) == 4


@pytest.mark.parametrize("length", [0, 31, 33])
def test_tagged__part_of_another_length__refused(length: int) -> None:
    with pytest.raises(ValueError):
        tagged("a", bytes(length))


@given(st.binary())
def test_hex_and_b64__any_bytes__come_back(data: bytes) -> None:
    assert from_hex(to_hex(data), length=None) == data
    assert unb64(b64(data)) == data
    assert base64.urlsafe_b64decode(b64(data) + "==") == data


@pytest.mark.parametrize("text", ["00" * 32, "0x" + "00" * 31, "0x" + "0g" * 32, "", "0x"])
def test_from_hex__not_32_bytes_of_hex__refused(text: str) -> None:
    with pytest.raises(ValueError):
        from_hex(text)


@given(st.text(alphabet="ABCabc019-_+/=\n ", max_size=9))
def test_unb64__any_text__refused_or_the_only_spelling(text: str) -> None:
    try:
        data = unb64(text)
    except ValueError:
        return
    assert b64(data) == text


@pytest.mark.parametrize("text", ["QR", "QQ==", "+/+/", "Q Q", "QQ\n", "链"])
def test_unb64__second_spelling_of_the_same_bytes__refused(text: str) -> None:
    with pytest.raises(ValueError):
        unb64(text)
