"""Credentials: issued, delivered, presented, checked."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.domain.errors import Invalid, LianbanError, Refused
from orchestrator.protocol import sdjwt
from orchestrator.protocol.credential import (
    OPEN,
    TYP,
    Credential,
    Presentation,
    issue_credential,
    open_credential,
    present,
    read_credential,
)
from orchestrator.protocol.jose import SigningKey, jws_hash
from orchestrator.protocol.sealing import SealingKey

NOW = 1_800_000_000
LEAD, OTHER, HOLDER = SigningKey.generate(), SigningKey.generate(), SealingKey.generate()
TYPE = "sha256-" + "A" * 43 + "="
CASE, LEDGER = "0x" + "ca" * 32, "0x" + "1a" * 20
CLAIMS = {"holder_name": "王小明画廊", "identifier": "1.2.156.3005.2.x", "scope": ["艺术品"]}


def issued(**changes: Any) -> Credential:
    fields = {"seat": 3, "vct": "urn:lianban:open-gallery", "integrity": TYPE, "holder": None, "case": CASE, "ledger": LEDGER, "chain_id": 31337,
              "claims": CLAIMS, "delivery": HOLDER.jwk, "iat": NOW, "exp": None, "key": LEAD, **changes}  # fmt: skip
    return issue_credential(**fields)


def test_credential__opened_and_presented__verifier_sees_what_was_shown() -> None:
    credential = issued(exp=NOW + 9)
    disclosures = open_credential(credential, CASE, HOLDER)
    shown = Presentation.parse(present(credential.jwt, disclosures[:1]))
    view = read_credential(shown.jwt, shown.disclosures, LEAD.jwk)
    assert view.claims == {"holder_name": "王小明画廊"}
    assert (view.iss, view.vct, view.iat, view.exp) == ("seat:3", "urn:lianban:open-gallery", NOW, NOW + 9)
    assert (view.status.case, view.status.ledger, view.status.chain_id) == (CASE, LEDGER, 31337)
    assert view.hash == credential.hash == jws_hash(credential.jwt)
    assert read_credential(shown.jwt, disclosures, LEAD.jwk).claims == CLAIMS
    assert read_credential(issued().jwt, [], LEAD.jwk).exp is None


@settings(max_examples=25)
@given(st.dictionaries(st.from_regex(r"[a-z_]{3,9}x", fullmatch=True), st.text(max_size=30), max_size=6))
def test_credential__through_json__same_claims(claims: dict) -> None:
    credential = issued(claims=claims)
    again = Credential.parse(credential.model_dump(mode="json"))
    assert read_credential(again.jwt, open_credential(again, CASE, HOLDER), LEAD.jwk).claims == claims


def test_carrier__without_the_delivery_key__reads_nothing() -> None:
    credential = issued()
    assert "王小明" not in str(credential.model_dump())
    assert read_credential(credential.jwt, [], LEAD.jwk).claims == {}
    for case, key in ((CASE, SealingKey.generate()), ("0x" + "cb" * 32, HOLDER)):
        with pytest.raises(Refused) as caught:
            open_credential(credential, case, key)
        assert caught.value.code == "cannot-open"


def test_read__another_issuer_or_another_credentials_disclosure__refused() -> None:
    one, two = issued(), issued()
    with pytest.raises(Refused):
        read_credential(one.jwt, [], OTHER.jwk)
    with pytest.raises(Refused):
        read_credential(one.jwt, open_credential(two, CASE, HOLDER), LEAD.jwk)


@pytest.mark.parametrize(
    "changes",
    [{"case": "x"}, {"ledger": "0x"}, {"chain_id": 0}, {"vct": ""}, {"iat": -1}, {"exp": 1.5}, {"seat": 256},
     {"claims": {"iss": "x"}}, {"claims": {"_sd": 1}}, {"delivery": {}}],
)  # fmt: skip
def test_issue__faulty_field__refused(changes: dict) -> None:
    with pytest.raises((Invalid, ValueError)):
        issued(**changes)


@pytest.mark.parametrize(
    "changes",
    [{"status": None}, {"iss": "3"}, {"more": 1}, {"status": {"lianban_case": {"case": CASE}}},
     {"vct#integrity": "sha256-x"}, {"vct#integrity": None}, {"cnf": {"kid": "x"}}, {"cnf": {"jwk": {"kty": "EC"}}}],
)  # fmt: skip
def test_read__signed_but_faulty__refused(changes: dict) -> None:
    standing = {"lianban_case": {"case": CASE, "ledger": LEDGER, "chain_id": 1}}
    payload = {"iss": "seat:3", "vct": "u", "vct#integrity": TYPE, "iat": NOW, "status": standing}
    good, _ = sdjwt.issue(payload, {}, typ=TYP, key=LEAD)
    assert read_credential(good, [], LEAD.jwk).vct == "u"
    bad, _ = sdjwt.issue({**payload, **changes}, {}, typ=TYP, key=LEAD)
    with pytest.raises(LianbanError):
        read_credential(bad, [], LEAD.jwk)


@pytest.mark.parametrize("text", ["", "a.b.c", "~", "~a~", "a.b.c~~", "a.b.c~d~~e.f.g"])
def test_presentation__without_a_tilde_or_with_a_gap__refused(text: str) -> None:
    with pytest.raises(Refused):
        Presentation.parse(text)


@given(st.lists(st.from_regex(r"[A-Za-z0-9_-]{1,9}", fullmatch=True), max_size=4), st.sampled_from([None, "d.e.f"]))
def test_presentation__any_disclosures__parse_back(disclosures: list[str], binding: str | None) -> None:
    shown = Presentation(jwt="a.b.c", disclosures=tuple(disclosures), binding=binding)
    assert Presentation.parse(shown.text()) == shown
    assert Presentation.parse(f" {present('a.b.c', disclosures)}\n").disclosures == tuple(disclosures)


def test_presentation__claims_chosen__these_and_no_others() -> None:
    credential = issued()
    whole = Presentation(jwt=credential.jwt, disclosures=tuple(open_credential(credential, CASE, HOLDER)))
    some = whole.choose(["scope", "identifier", "scope"])
    view = read_credential(some.jwt, some.disclosures, LEAD.jwk)
    assert view.claims == {"identifier": CLAIMS["identifier"], "scope": CLAIMS["scope"]}
    assert view.claims_in_all == len(CLAIMS)
    assert whole.choose([]).text() == f"{credential.jwt}~"
    with pytest.raises(Invalid, match="licence"):
        whole.choose(["licence"])


@pytest.mark.parametrize("name", sorted(OPEN))
def test_read__signed_credential_discloses_what_is_never_disclosed__refused(name: str) -> None:
    with pytest.raises(ValueError):
        issued(claims={name: "x"})
    payload = {"iss": "seat:3", "vct": "u", "vct#integrity": TYPE, "iat": NOW,
               "status": {"lianban_case": {"case": CASE, "ledger": LEDGER, "chain_id": 1}}}  # fmt: skip
    if name in payload:
        return
    jwt, disclosures = sdjwt.issue(payload, {name: 1}, typ=TYP, key=LEAD)
    with pytest.raises(Refused):
        read_credential(jwt, disclosures.values(), LEAD.jwk)
