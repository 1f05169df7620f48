"""Compact JWS: what verifies, and everything that must not."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jws as reference
from joserfc.jwk import ECKey

from orchestrator.domain.canonical import b64, unb64
from orchestrator.domain.errors import Invalid, Refused
from orchestrator.domain.suite import SIGNING_ORDER
from orchestrator.protocol.jose import (
    SigningKey,
    check_signing_jwk,
    jws_hash,
    lowered,
    peek_jws,
    sign_jws,
    thumbprint,
    verify_jws,
)

KEY, OTHER = SigningKey.generate(), SigningKey.generate()
TYP = "lianban-test+jwt"


def assembled(header: object, payload: bytes = b"{}", key: SigningKey = KEY) -> str:
    """A token with any header, truly signed."""
    signing_input = f"{b64(json.dumps(header).encode())}.{b64(payload)}"
    return f"{signing_input}.{b64(key.sign(signing_input.encode()))}"


def good_header(**changes: object) -> dict[str, object]:
    return {"alg": "ES256", "typ": TYP, "kid": KEY.kid, **changes}


payloads = st.dictionaries(st.text(), st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(), max_size=5)


@given(payloads)
def test_sign_jws__any_payload__verifies_and_joserfc_agrees(payload: dict) -> None:
    token = sign_jws(payload, typ=TYP, key=KEY)
    assert verify_jws(token, typ=TYP, jwk=KEY.jwk) == payload
    read = reference.deserialize_compact(token, ECKey.import_key(KEY.jwk), algorithms=["ES256"])
    assert json.loads(read.payload) == payload
    assert read.headers() == good_header()


@given(payloads)
def test_verify_jws__made_by_joserfc_in_any_header_order__verifies_once_lowered(payload: dict) -> None:
    key = ECKey.generate_key("P-256")
    public = key.as_dict(private=False)
    header = {"kid": thumbprint(public), "typ": TYP, "alg": "ES256"}
    token = lowered(reference.serialize_compact(header, json.dumps(payload).encode(), key))
    assert verify_jws(token, typ=TYP, jwk=public) == payload


@pytest.mark.parametrize(
    "header",
    [
        good_header(alg="none"), good_header(alg="ES384"), good_header(alg="HS256"), good_header(typ="other"),
        good_header(typ=TYP.upper()), good_header(kid=OTHER.kid), good_header(crit=["exp"]), good_header(b64=False),
        good_header(jwk=OTHER.jwk), {"alg": "ES256", "typ": TYP}, {"alg": "ES256", "kid": KEY.kid}, [], "x", None,
        good_header(kid=None), good_header(typ=1), good_header(pad="x" * 600),
    ],
)  # fmt: skip
def test_verify_jws__any_other_header__refused(header: object) -> None:
    assert verify_jws(assembled(good_header()), typ=TYP, jwk=KEY.jwk) == {}
    with pytest.raises(Refused) as caught:
        verify_jws(assembled(header), typ=TYP, jwk=KEY.jwk)
    assert caught.value.code == "bad-signature"


def test_verify_jws__high_s_of_the_same_signature__refused_until_lowered() -> None:
    token = sign_jws({"a": 1}, typ=TYP, key=KEY)
    head, _, tail = token.rpartition(".")
    signature = unb64(tail)
    high = (SIGNING_ORDER - int.from_bytes(signature[32:], "big")).to_bytes(32, "big")
    twin = f"{head}.{b64(signature[:32] + high)}"
    assert reference.deserialize_compact(twin, ECKey.import_key(KEY.jwk), algorithms=["ES256"])  # mathematically good
    with pytest.raises(Refused):
        verify_jws(twin, typ=TYP, jwk=KEY.jwk)
    assert lowered(twin) == token
    assert lowered(token) == token


@given(st.integers(0, 10_000), st.sampled_from("ABCxyz019-_.= +/"))
def test_verify_jws__one_character_changed__refused(place: int, other: str) -> None:
    token = TOKEN[: place % len(TOKEN)] + other + TOKEN[place % len(TOKEN) + 1 :]
    if token == TOKEN:
        return
    with pytest.raises(Refused):
        verify_jws(token, typ=TYP, jwk=KEY.jwk)


TOKEN = sign_jws({"a": "链办", "n": 7}, typ=TYP, key=KEY)


@given(st.text(max_size=60) | st.lists(st.text("AQab_-=", max_size=9), max_size=5).map(".".join))
def test_verify_and_peek__any_text__refused_never_another_error(text: str) -> None:
    with pytest.raises(Refused):
        verify_jws(text, typ=TYP, jwk=KEY.jwk)
    with pytest.raises(Refused):
        peek_jws(text)


@pytest.mark.parametrize("payload", [b"", b"[]", b"1", b"null", b"{", b'{"a":NaN}', b"\xff"])
def test_verify_jws__signed_but_no_json_object__refused(payload: bytes) -> None:
    with pytest.raises(Refused):
        verify_jws(assembled(good_header(), payload), typ=TYP, jwk=KEY.jwk)


@pytest.mark.parametrize("signature", [bytes(64), b"\0" * 32 + b"\1" * 32, b"\xff" * 64, b"\1" * 63, b"\1" * 65, b""])
def test_verify_jws__numbers_out_of_range__refused(signature: bytes) -> None:
    with pytest.raises(Refused):
        verify_jws(f"{TOKEN.rpartition('.')[0]}.{b64(signature)}", typ=TYP, jwk=KEY.jwk)


def test_verify_jws__longer_than_the_limit__refused_before_anything_else() -> None:
    with pytest.raises(Refused) as caught:
        verify_jws(TOKEN, typ=TYP, jwk=KEY.jwk, limit=len(TOKEN) - 1)
    assert "large" in caught.value.detail_en
    with pytest.raises(Refused):
        peek_jws(TOKEN, limit=len(TOKEN) - 1)
    assert peek_jws(TOKEN, limit=len(TOKEN))[1] == {"a": "链办", "n": 7}


def test_thumbprint__example_of_rfc_8037__as_stated() -> None:
    jwk = {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", "kid": "ignored"}
    assert thumbprint(jwk) == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"


@pytest.mark.parametrize(
    "jwk",
    [{}, {"kty": "RSA"}, {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}, {**KEY.jwk, "d": "AA"},
     {**KEY.jwk, "crv": "P-384"}, {**KEY.jwk, "y": KEY.jwk["x"]}, {**KEY.jwk, "x": KEY.jwk["x"] + "="},
     {**KEY.jwk, "x": 7}],
)  # fmt: skip
def test_check_signing_jwk__not_a_public_p256_key__refused(jwk: dict) -> None:
    check_signing_jwk(KEY.jwk)
    with pytest.raises(Invalid):
        check_signing_jwk(jwk)


def test_jws_hash__a_token__sha256_of_its_characters() -> None:
    assert jws_hash("abc") == "0xba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_repr__a_private_key__shows_only_the_kid() -> None:
    assert repr(KEY) == f"SigningKey(kid={KEY.kid})"
