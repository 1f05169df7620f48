"""SD-JWT against the reference package `sd-jwt`, and what RFC 9901 says to reject."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jwcrypto.jwk import JWK
from sd_jwt.common import SDObj
from sd_jwt.issuer import SDJWTIssuer
from sd_jwt.verifier import SDJWTVerifier

from orchestrator.domain.canonical import b64
from orchestrator.domain.errors import Refused
from orchestrator.domain.suite import hash_of
from orchestrator.protocol import sdjwt
from orchestrator.protocol.jose import SigningKey, lowered, sign_jws, thumbprint

KEY = SigningKey.generate()
TYP = "lianban-answer+sd-jwt"
NAMES = st.text(min_size=1, max_size=12).filter(lambda name: name not in sdjwt.RESERVED | {"iss"})
VALUES = (
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=20) | st.lists(st.text(), max_size=3)
)
CLAIMS = st.dictionaries(NAMES, VALUES, max_size=6)


def refused(jwt: str, disclosures: list[str]) -> bool:
    try:
        sdjwt.read(jwt, disclosures, typ=TYP, jwk=KEY.jwk)
    except Refused:
        return True
    return False


@given(CLAIMS, st.randoms())
def test_read__any_subset_disclosed__those_claims_and_no_others(claims: dict, random) -> None:
    jwt, disclosures = sdjwt.issue({"iss": "seat:1"}, claims, typ=TYP, key=KEY)
    shown = {name: value for name, value in claims.items() if random.random() < 0.5}
    payload, read = sdjwt.read(jwt, [disclosures[name] for name in shown], typ=TYP, jwk=KEY.jwk)
    assert payload == {"iss": "seat:1"}
    assert read == shown


@settings(max_examples=40)
@given(CLAIMS)
def test_issue__any_claims__reference_verifier_reads_the_same(claims: dict) -> None:
    jwt, disclosures = sdjwt.issue({"iss": "seat:1"}, claims, typ=TYP, key=KEY)
    presented = "~".join([jwt, *disclosures.values(), ""])
    verifier = SDJWTVerifier(
        presented, lambda _issuer, _header: JWK(**{k: v for k, v in KEY.jwk.items() if k != "kid"})
    )
    assert verifier.get_verified_payload() == {"iss": "seat:1", **claims}


@settings(max_examples=40)
@given(CLAIMS)
def test_read__issued_by_the_reference_package__same_claims(claims: dict) -> None:
    key = JWK.generate(kty="EC", crv="P-256")
    public = json.loads(key.export_public())
    public = {name: public[name] for name in ("kty", "crv", "x", "y")}
    issuer = SDJWTIssuer(
        {"iss": "seat:1", SDObj("always"): 1, **{SDObj(name): value for name, value in claims.items()}},
        key,
        sign_alg="ES256",
        extra_header_parameters={"typ": TYP, "kid": thumbprint(public)},
    )
    jwt, *disclosures, _ = issuer.sd_jwt_issuance.split("~")
    payload, read = sdjwt.read(lowered(jwt), disclosures, typ=TYP, jwk=public)
    assert payload == {"iss": "seat:1"}
    assert read == {"always": 1, **claims}


def test_issue__same_claims_twice__nothing_in_common() -> None:
    one = sdjwt.issue({}, {"a": True}, typ=TYP, key=KEY)[1]["a"]
    two = sdjwt.issue({}, {"a": True}, typ=TYP, key=KEY)[1]["a"]
    assert one != two


def test_digest__example_of_rfc_9901__as_stated() -> None:
    disclosure = "WyJfMjZiYzRMVC1hYzZxMktJNmNCVzVlcyIsICJmYW1pbHlfbmFtZSIsICJNw7ZiaXVzIl0"
    assert sdjwt.digest(disclosure) == "X9yH0Ajrdm1Oij4tWso9UzzKJvPoDxwmuEcO3XAdRC0"
    assert sdjwt.open_disclosure(disclosure) == ("family_name", "Möbius")


def test_read__disclosure_foreign_repeated_or_changed__refused() -> None:
    jwt, mine = sdjwt.issue({}, {"a": 1, "b": 2}, typ=TYP, key=KEY)
    _, foreign = sdjwt.issue({}, {"a": 1}, typ=TYP, key=KEY)
    assert not refused(jwt, [mine["a"], mine["b"]])
    assert refused(jwt, [foreign["a"]])
    assert refused(jwt, [mine["a"], mine["a"]])
    assert refused(jwt, [mine["a"] + "="])
    assert refused(jwt, [mine["a"][:-1]])
    assert refused(jwt, [""])


def signed(disclosures: list[str], **payload: object) -> str:
    digests = [b64(hash_of(d.encode())) for d in disclosures]
    return sign_jws({"_sd_alg": "sha-256", "_sd": digests, **payload}, typ=TYP, key=KEY)


@pytest.mark.parametrize(
    "content",
    [["salt", "a"], ["salt", "a", 1, 2], {"salt": 1}, [1, "a", 1], ["salt", 1, 1], ["salt", "_sd", []],
     ["salt", "...", 1], ["salt", "_sd_alg", "x"], ["salt", "a", {"_sd": []}], ["salt", "a", [{"...": "x"}]]],
)  # fmt: skip
def test_read__signed_disclosure_of_another_form__refused(content: object) -> None:
    disclosure = b64(json.dumps(content).encode())
    assert refused(signed([disclosure]), [disclosure])
    assert not refused(signed([b64(b'["salt","a",1]')]), [b64(b'["salt","a",1]')])


def test_read__two_disclosures_of_one_name_or_of_an_open_claim__refused() -> None:
    one, two = b64(b'["s1","a",1]'), b64(b'["s2","a",2]')
    jwt = signed([one, two])
    assert not refused(jwt, [one])
    assert refused(jwt, [one, two])
    assert refused(signed([one], a=3), [one])


@pytest.mark.parametrize(
    "payload",
    [{}, {"_sd": []}, {"_sd": [], "_sd_alg": "sha-384"}, {"_sd": {}, "_sd_alg": "sha-256"}, {"_sd_alg": "sha-256"},
     {"_sd": [1], "_sd_alg": "sha-256"}, {"_sd": ["x", "x"], "_sd_alg": "sha-256"},
     {"_sd": [], "_sd_alg": "sha-256", "a": {"_sd": []}}, {"_sd": [], "_sd_alg": "sha-256", "a": [{"...": "x"}]},
     {"_sd": [str(i) for i in range(sdjwt.MAX_DISCLOSURES + 1)], "_sd_alg": "sha-256"}],
)  # fmt: skip
def test_read__digests_missing_repeated_or_nested__refused(payload: dict) -> None:
    assert refused(sign_jws(payload, typ=TYP, key=KEY), [])
    assert not refused(sign_jws({"_sd": [], "_sd_alg": "sha-256"}, typ=TYP, key=KEY), [])


@pytest.mark.parametrize(
    ("payload", "claims"),
    [({"a": 1}, {"a": 2}), ({}, {"_sd": 1}), ({}, {"...": 1}), ({"_sd": []}, {}), ({}, {"a": {"_sd_alg": 1}})],
)
def test_issue__name_twice_or_reserved__refused(payload: dict, claims: dict) -> None:
    with pytest.raises(ValueError):
        sdjwt.issue(payload, claims, typ=TYP, key=KEY)
