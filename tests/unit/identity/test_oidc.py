from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.domain.errors import Refused
from orchestrator.identity import oidc
from orchestrator.identity.oidc import Client, OAuthError
from orchestrator.protocol.jose import SigningKey, verify_jws

KEY = SigningKey.generate()
CLIENT = Client(id="operator", seat=0, redirect_uris=("http://portal.test/callback",))
GOOD = {
    "response_type": "code",
    "scope": "openid",
    "redirect_uri": "http://portal.test/callback",
    "state": "state-state",
    "nonce": "nonce-nonce",
    "code_challenge": "c" * 43,
    "code_challenge_method": "S256",
}


def test_challenge_of__rfc_7636_appendix_b__its_challenge() -> None:
    verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"

    assert oidc.challenge_of(verifier) == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
    assert oidc.verifier_fits(verifier, "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM")
    assert not oidc.verifier_fits(verifier[:-1] + "l", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM")


@given(st.text(max_size=42))
def test_verifier_fits__short_verifier__never(verifier: str) -> None:
    assert not oidc.verifier_fits(verifier, oidc.challenge_of(verifier))


@given(st.tuples(st.binary(min_size=32, max_size=32), st.text(max_size=20), st.text(max_size=20)), st.data())
def test_pairwise_subject__other_secret_client_or_account__other_subject(
    one: tuple[bytes, str, str], data: st.DataObject
) -> None:
    other = data.draw(st.tuples(st.binary(min_size=32, max_size=32), st.text(max_size=20), st.text(max_size=20)))
    ambiguous = "\0" in one[1] + one[2] + other[1] + other[2]

    if not ambiguous:
        assert (oidc.pairwise_subject(*one) == oidc.pairwise_subject(*other)) == (one == other)


def test_check_request__complete__taken() -> None:
    assert oidc.check_request(GOOD, CLIENT).nonce == "nonce-nonce"


@pytest.mark.parametrize("name", sorted(GOOD))
def test_check_request__parameter_missing__refused(name: str) -> None:
    with pytest.raises(OAuthError):
        oidc.check_request({key: value for key, value in GOOD.items() if key != name}, CLIENT)


@pytest.mark.parametrize(
    "changes",
    [
        {"redirect_uri": "http://portal.test/callback?x=1"},
        {"redirect_uri": "http://portal.test/Callback"},
        {"redirect_uri": "https://portal.test/callback"},
        {"scope": "openid offline_access"},
        {"response_type": "code id_token"},
        {"code_challenge_method": "plain"},
        {"code_challenge": "c" * 42},
        {"state": "short"},
        {"nonce": "has space here"},
        {"request_uri": "urn:x"},
        {"request": "a.b.c"},
    ],
)
def test_check_request__anything_else__refused(changes: dict[str, str]) -> None:
    with pytest.raises(OAuthError):
        oidc.check_request({**GOOD, **changes}, CLIENT)


def test_id_token__verified__names_client_nonce_and_times() -> None:
    token = oidc.id_token(issuer="http://i", subject="s", client="operator", nonce="n", auth_time=90, now=100, key=KEY)

    payload = verify_jws(token, typ="JWT", jwk=KEY.jwk)

    assert payload == {
        "iss": "http://i",
        "sub": "s",
        "aud": "operator",
        "nonce": "n",
        "auth_time": 90,
        "iat": 100,
        "exp": 100 + oidc.TOKEN_SECONDS,
    }


def test_userinfo_subject__id_token_or_expired_or_foreign__refused() -> None:
    token = oidc.access_token(issuer="http://i", subject="s", client="operator", now=100, key=KEY)
    identity = oidc.id_token(
        issuer="http://i", subject="s", client="http://i", nonce="n", auth_time=1, now=100, key=KEY
    )
    foreign = oidc.access_token(issuer="http://i", subject="s", client="operator", now=100, key=SigningKey.generate())

    assert oidc.userinfo_subject(f"Bearer {token}", issuer="http://i", key=KEY, now=101) == "s"
    for header, now in (
        (f"Bearer {token}", 100 + oidc.TOKEN_SECONDS),
        (f"Basic {token}", 101),
        (f"Bearer {identity}", 101),
        (f"Bearer {foreign}", 101),
        ("", 101),
    ):
        with pytest.raises(Refused):
            oidc.userinfo_subject(header, issuer="http://i", key=KEY, now=now)
    with pytest.raises(Refused):
        oidc.userinfo_subject(f"Bearer {token}", issuer="http://other", key=KEY, now=101)


@given(st.dictionaries(st.sampled_from(["code", "state", "iss"]), st.text(min_size=1, max_size=50), min_size=1))
def test_response_url__any_values__come_back_beside_the_own_query(parameters: dict[str, str]) -> None:
    url = oidc.response_url("http://portal.test/callback?tab=1", parameters)

    parts = urlsplit(url)
    assert (parts.netloc, parts.path) == ("portal.test", "/callback")
    assert parse_qs(parts.query) == {"tab": ["1"], **{name: [value] for name, value in parameters.items()}}
