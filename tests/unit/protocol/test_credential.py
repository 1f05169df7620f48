"""Credentials: issued, delivered, presented, checked."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.domain.errors import Invalid, LianbanError, Refused
from orchestrator.protocol import sdjwt
from orchestrator.protocol.credential import (
    TYP,
    Credential,
    issue_credential,
    open_credential,
    parse_presentation,
    present,
    read_credential,
)
from orchestrator.protocol.jose import SigningKey, jws_hash
from orchestrator.protocol.sealing import SealingKey

NOW = 1_800_000_000
LEAD, OTHER, HOLDER = SigningKey.generate(), SigningKey.generate(), SealingKey.generate()
CASE, LEDGER = "0x" + "ca" * 32, "0x" + "1a" * 20
CLAIMS = {"holder_name": "王小明画廊", "identifier": "1.2.156.3005.2.x", "scope": ["艺术品"]}


def issued(**changes: Any) -> Credential:
    fields = {"seat": 3, "vct": "urn:lianban:open-gallery", "case": CASE, "ledger": LEDGER, "chain_id": 31337,
              "claims": CLAIMS, "delivery": HOLDER.jwk, "iat": NOW, "exp": None, "key": LEAD, **changes}  # fmt: skip
    return issue_credential(**fields)


def test_credential__opened_and_presented__verifier_sees_what_was_shown() -> None:
    credential = issued(exp=NOW + 9)
    disclosures = open_credential(credential, CASE, HOLDER)
    jwt, shown = parse_presentation(present(credential.jwt, disclosures[:1]))
    view = read_credential(jwt, shown, LEAD.jwk)
    assert view.claims == {"holder_name": "王小明画廊"}
    assert (view.iss, view.vct, view.iat, view.exp) == ("seat:3", "urn:lianban:open-gallery", NOW, NOW + 9)
    assert (view.status.case, view.status.ledger, view.status.chain_id) == (CASE, LEDGER, 31337)
    assert view.hash == credential.hash == jws_hash(credential.jwt)
    assert read_credential(jwt, disclosures, LEAD.jwk).claims == CLAIMS
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


@pytest.mark.parametrize("changes", [{"status": None}, {"iss": "3"}, {"more": 1}, {"status": {"case": CASE}}])
def test_read__signed_but_faulty__refused(changes: dict) -> None:
    payload = {"iss": "seat:3", "vct": "u", "iat": NOW, "status": {"case": CASE, "ledger": LEDGER, "chain_id": 1}}
    good, _ = sdjwt.issue(payload, {}, typ=TYP, key=LEAD)
    assert read_credential(good, [], LEAD.jwk).vct == "u"
    bad, _ = sdjwt.issue({**payload, **changes}, {}, typ=TYP, key=LEAD)
    with pytest.raises(LianbanError):
        read_credential(bad, [], LEAD.jwk)


@pytest.mark.parametrize("text", ["", "a.b.c", "a.b.c~d", "a.b.c~d~e.f.g"])
def test_parse_presentation__not_closed_by_a_tilde__refused(text: str) -> None:
    with pytest.raises(Refused):
        parse_presentation(text)


@given(st.lists(st.from_regex(r"[A-Za-z0-9_-]{1,9}", fullmatch=True), max_size=4))
def test_present__any_disclosures__parse_back(disclosures: list) -> None:
    assert parse_presentation(present("a.b.c", disclosures)) == ("a.b.c", disclosures)
