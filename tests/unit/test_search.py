"""The searcher that the canary relies on: it finds a marker and a digest in every encoding, and nothing where there is nothing."""

from __future__ import annotations

import base64
import gzip
import hashlib
import html
import json
import os
import urllib.parse
import zlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.domain.canonical import keccak
from orchestrator.protocol.jose import SigningKey, sign_jws
from tests.support.search import Needle, Searcher, digests_of, needles_of

NAME = "鹂黻畲榘"
NUMBER = "110199198806120116"
TITLE = "京(2015)海不动产权第9000061号"
DAY = "19710317"
MARKERS = (NAME, NUMBER, TITLE)
SEARCHER = Searcher(
    [
        *(each for marker in MARKERS for each in needles_of(marker)),
        *needles_of(DAY, alone=True),
        *digests_of("citizen", NUMBER, NAME),
    ]
)

ENCODINGS: dict[str, Callable[[str], bytes]] = {
    "utf-8": lambda text: text.encode(),
    "utf-16": lambda text: text.encode("utf-16-le"),
    "utf-16-be": lambda text: text.encode("utf-16-be"),
    "gb18030": lambda text: text.encode("gb18030"),
    "hex": lambda text: text.encode().hex().encode(),
    "hex, upper case": lambda text: text.encode().hex().upper().encode(),
    "hex of utf-16": lambda text: text.encode("utf-16-be").hex().encode(),
    "bytea": lambda text: ("\\\\x" + text.encode().hex()).encode(),
    "base64": lambda text: base64.b64encode(text.encode()),
    "base64url": lambda text: base64.urlsafe_b64encode(text.encode()).rstrip(b"="),
    "url": lambda text: urllib.parse.quote(text, safe="").encode(),
    "form": lambda text: urllib.parse.urlencode({"name": text}).encode(),
    "json": lambda text: json.dumps({"name": text}).encode(),
    "json in json": lambda text: json.dumps({"body": json.dumps({"name": text})}).encode(),
    "python bytes": lambda text: repr(text.encode()).encode(),
    "html": lambda text: f"<p>{''.join(f'&#{ord(sign)};' for sign in text)}</p>".encode(),
    "html, hex": lambda text: f"<p>{html.escape(''.join(f'&#x{ord(sign):x};' for sign in text), quote=False)}</p>".replace("&amp;", "&").encode(),
    "gzip": lambda text: gzip.compress(text.encode()),
    "zlib": lambda text: zlib.compress(text.encode()),
    "base64 of gzip": lambda text: base64.b64encode(gzip.compress(text.encode())),
    "hex of base64 of json": lambda text: base64.b64encode(json.dumps([text]).encode()).hex().encode(),
    "base64 in lines": lambda text: base64.encodebytes(b"x" * 50 + text.encode() + b"y" * 40),
    "jws": lambda text: sign_jws({"name": text}, typ="test+jwt", key=SigningKey.generate()).encode(),
    "disclosure in a jws": lambda text: sign_jws(
        {"_": base64.urlsafe_b64encode(json.dumps(["salt", "name", text]).encode()).decode().rstrip("=")},
        typ="test+jwt",
        key=SigningKey.generate(),
    ).encode(),
}  # fmt: skip


def found(data: bytes, searcher: Searcher = SEARCHER) -> set[str]:
    return {finding.marker for finding in searcher.search("here", data)}


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("marker", MARKERS)
def test_search__marker_in_any_encoding__found(marker: str, encoding: str) -> None:
    assert found(b'{"a": "' + ENCODINGS[encoding](marker) + b'", "b": 1}') == {marker}


@given(before=st.binary(max_size=70), after=st.binary(max_size=70), encoding=st.sampled_from(sorted(ENCODINGS)))
def test_search__anything_around_it__found(before: bytes, after: bytes, encoding: str) -> None:
    planted = ENCODINGS[encoding](NUMBER)
    assert NUMBER in found(before + b"\n" + planted + b"\n" + after)


@given(before=st.binary(max_size=40), after=st.binary(max_size=40), stuck=st.text("abcXYZ019", max_size=9))
def test_search__inside_a_longer_base64__found_at_every_alignment(before: bytes, after: bytes, stuck: str) -> None:
    data = before + NAME.encode() + after
    assert found(b"." + base64.urlsafe_b64encode(data) + b".") == {NAME}
    assert NAME in found(stuck.encode() + base64.b64encode(data))


@pytest.mark.parametrize(
    "algorithm", ["md5", "sha1", "sha224", "sha256", "sha384", "sha512", "sha3_256", "sha3_512", "sm3"]
)
@pytest.mark.parametrize("text", [NUMBER, f"citizen:{NUMBER}", f"{NAME}{NUMBER}", NAME])
def test_search__unsalted_digest__found_however_it_is_written(algorithm: str, text: str) -> None:
    digest = hashlib.new(algorithm, text.encode()).digest()
    for written in (
        digest, digest[:20], digest.hex().encode(), b"0x" + digest.hex().upper().encode(), base64.b64encode(digest),
        base64.urlsafe_b64encode(digest).rstrip(b"="), json.dumps({"id": "0x" + digest.hex()}).encode(),
    ):  # fmt: skip
        assert found(b'["' + written + b'"]') == {NUMBER}


def test_search__keccak_of_a_number__found() -> None:
    assert found(b"0x" + keccak(NUMBER.encode()).hex().encode()) == {NUMBER}


def test_search__digest_with_a_salt_or_of_something_else__nothing() -> None:
    salt = os.urandom(32)
    for text in (salt + NUMBER.encode(), NUMBER.encode() + salt, b"110199198806120117"):
        assert found(hashlib.sha256(text).hexdigest().encode()) == set()


@given(data=st.binary(max_size=400))
def test_search__random_bytes__nothing(data: bytes) -> None:
    for encoded in (data, data.hex().encode(), base64.b64encode(data), gzip.compress(data)):
        assert found(encoded) == set()


@pytest.mark.parametrize("text", ["19710317", '"19710317"', "x=19710317,", "  19710317"])
def test_search__short_number_alone__found(text: str) -> None:
    assert found(text.encode()) == {DAY}


@pytest.mark.parametrize("text", ["1971031", "a19710317", "197103172", "0x19710317ab", "119710317"])
def test_search__short_number_inside_a_longer_one__nothing(text: str) -> None:
    assert found(text.encode()) == set()


def test_search__megabytes__found_at_the_end_and_across_chunks() -> None:
    filler = b"one of many plain words\n" * (1 << 18)
    for size in ((1 << 22) - 40, (1 << 22) - 4, (1 << 22) - 1):
        assert found(filler[:size] + b"\n" + NUMBER.encode() + b"\n" + filler[:1000]) == {NUMBER}


def test_searcher__needle_too_short__refused() -> None:
    with pytest.raises(ValueError):
        Searcher([Needle(marker="x", form="utf-8", data=b"1234567")])
