"""Verdicts and officers' decisions."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from joserfc import jws as reference
from joserfc.jwk import ECKey

from orchestrator.domain.case import Status
from orchestrator.domain.errors import Invalid, LianbanError, Refused
from orchestrator.protocol.jose import SigningKey, lowered, sign_jws, thumbprint
from orchestrator.protocol.officer import (
    CERTIFICATE_TYP,
    DECISION_TYP,
    certify,
    read_certificate,
    read_decision,
    sign_decision,
)
from orchestrator.protocol.verdict import OUTCOMES, STATUSES, TYP, Verdict, combine, read_verdict, sign_verdict

NOW = 1_800_000_000
SEAT_KEY, OTHER_SEAT, OFFICER = SigningKey.generate(), SigningKey.generate(), SigningKey.generate()
CASE = "0x" + "ca" * 32
FIELDS: dict[str, Any] = {
    "iss": "seat:3", "case": CASE, "sequence": 1, "binding": 7, "version": "0x" + "11" * 32, "role": "culture",
    "mandates": ["0x" + "aa" * 32], "situation": "0x" + "55" * 32,
    "answers": [{"question": "0x" + "01" * 32, "attempt": 2, "hash": "0x" + "02" * 32}],
    "materials": [{"id": "lease", "hash": "0x" + "03" * 32}], "outcome": "return", "rows": ["GAL-03"],
    "materials_wanted": ["lease"], "inputs": "0x" + "04" * 32, "engine": "zen 2.1.3", "officer": None, "iat": NOW,
}  # fmt: skip


def test_verdict__signed__reads_the_same() -> None:
    verdict = Verdict.model_validate(FIELDS)
    assert read_verdict(sign_verdict(verdict, SEAT_KEY), SEAT_KEY.jwk) == verdict


@pytest.mark.parametrize(
    "changes",
    [{"outcome": "maybe"}, {"outcome": None}, {"sequence": 0}, {"sequence": 65536}, {"binding": 0}, {"case": "x"},
     {"iss": 3}, {"mandates": []}, {"mandates": ["0x" + "aa" * 32] * 2}, {"answers": FIELDS["answers"] * 2},
     {"answers": [{"question": "0x" + "01" * 32, "attempt": 0, "hash": "0x" + "02" * 32}]}, {"rows": ["a b"]},
     {"materials": [{"id": "lease"}]}, {"inputs": None}, {"engine": ""}, {"officer": {"certificate": "x"}}, {"x": 1}],
)  # fmt: skip
def test_read_verdict__faulty_field__refused(changes: dict) -> None:
    with pytest.raises(Invalid):
        read_verdict(sign_jws({**FIELDS, **changes}, typ=TYP, key=SEAT_KEY), SEAT_KEY.jwk)


def test_read_verdict__another_seats_key_or_kind__refused() -> None:
    jws = sign_verdict(Verdict.model_validate(FIELDS), SEAT_KEY)
    for token, key in ((jws, OTHER_SEAT), (sign_jws(FIELDS, typ="lianban-answer+sd-jwt", key=SEAT_KEY), SEAT_KEY)):
        with pytest.raises(Refused):
            read_verdict(token, key.jwk)


@pytest.mark.parametrize("outcomes", list(product(OUTCOMES, repeat=2)))
def test_combine__two_outcomes__the_harder(outcomes: tuple) -> None:
    hardness = {"refuse": 0, "return": 1, "manual": 2, "approve": 3}
    assert combine(outcomes) == min(outcomes, key=hardness.__getitem__)


@pytest.mark.parametrize("outcomes", [[], ["approve", "other"]])
def test_combine__none_or_unknown__refused(outcomes: list) -> None:
    with pytest.raises(ValueError):
        combine(outcomes)


def test_statuses__every_outcome__a_status() -> None:
    assert dict(STATUSES) == {
        "refuse": Status.REFUSED,
        "return": Status.RETURNED,
        "manual": Status.ACCEPTED,
        "approve": Status.APPROVED,
    }
    assert set(STATUSES) == set(OUTCOMES)


def a_certificate(**changes: Any) -> str:
    fields = {"seat": 3, "pseudonym": "officer-7", "iat": NOW - 100, "exp": NOW + 100, "key": SEAT_KEY, **changes}
    return certify(fields.pop("jwk", OFFICER.jwk), **fields)


def a_decision(**changes: Any) -> str:
    fields = {"case": CASE, "sequence": 2, "outcome": "approve", "rows": ["GAL-09"], "reason": "租赁合同已核对",
              "iat": NOW, "key": OFFICER, **changes}  # fmt: skip
    return sign_decision(**fields)


def test_decision__certified_officer__read_with_the_pseudonym() -> None:
    decision, certificate = read_decision(a_decision(), a_certificate(), seat=3, jwk=SEAT_KEY.jwk)
    assert (decision.case, decision.sequence, decision.outcome, decision.rows) == (CASE, 2, "approve", ("GAL-09",))
    assert certificate.sub == "officer-7"
    assert certificate.kid == OFFICER.kid
    assert read_certificate(a_certificate(), seat=3, jwk=SEAT_KEY.jwk, now=NOW) == certificate


def test_decision__signed_in_a_browser_with_a_high_s__taken() -> None:
    officer = ec.generate_private_key(ec.SECP256R1())
    key = ECKey.import_key(officer)
    public = key.as_dict(private=False)
    header = {"alg": "ES256", "typ": DECISION_TYP, "kid": thumbprint(public)}
    body = b'{"case":"%s","sequence":1,"outcome":"refuse","rows":[],"reason":"x","iat":%d}' % (CASE.encode(), NOW)
    seen = set()
    while len(seen) < 2:  # both halves come up within a few tries
        token = reference.serialize_compact(header, body, key)
        seen.add(lowered(token) == token)
        assert read_decision(token, a_certificate(jwk=public), seat=3, jwk=SEAT_KEY.jwk)[0].outcome == "refuse"


@pytest.mark.parametrize(
    ("decision", "certificate", "code"),
    [
        ({"key": SEAT_KEY}, {}, "bad-signature"), ({"key": SigningKey.generate()}, {}, "bad-signature"),
        ({}, {"key": OTHER_SEAT}, "bad-signature"), ({}, {"key": OFFICER}, "bad-signature"),
        ({}, {"seat": 4}, "wrong-issuer"), ({"iat": NOW + 100}, {}, "expired"), ({"iat": NOW - 101}, {}, "expired"),
    ],
)  # fmt: skip
def test_decision__not_by_a_certified_officer__refused(decision: dict, certificate: dict, code: str) -> None:
    with pytest.raises(Refused) as caught:
        read_decision(a_decision(**decision), a_certificate(**certificate), seat=3, jwk=SEAT_KEY.jwk)
    assert caught.value.code == code


@pytest.mark.parametrize(
    "changes",
    [{"outcome": "manual"}, {"outcome": "x"}, {"sequence": 0}, {"case": "x"}, {"reason": ""}, {"rows": ["a b"]}],
)
def test_sign_decision__faulty_field__refused(changes: dict) -> None:
    with pytest.raises(Invalid):
        a_decision(**changes)


@pytest.mark.parametrize("changes", [{"jwk": {}}, {"pseudonym": ""}, {"exp": NOW - 100}, {"jwk": {"kty": "OKP"}}])
def test_certify__faulty_field__refused(changes: dict) -> None:
    with pytest.raises(Invalid):
        a_certificate(**changes)


def test_certificate__private_key_given__only_its_public_part_is_certified() -> None:
    private = ECKey.generate_key("P-256").as_dict(private=True)
    assert "d" in private
    certificate = read_certificate(a_certificate(jwk=private), seat=3, jwk=SEAT_KEY.jwk, now=NOW)
    assert set(certificate.cnf.jwk) == {"kty", "crv", "x", "y"}


def test_certificate__truly_signed_with_a_private_key_inside__refused() -> None:
    payload = {"iss": "seat:3", "sub": "o", "cnf": {"jwk": {**OFFICER.jwk, "d": "AA"}}, "iat": NOW, "exp": NOW + 1}
    with pytest.raises(LianbanError):
        read_certificate(sign_jws(payload, typ=CERTIFICATE_TYP, key=SEAT_KEY), seat=3, jwk=SEAT_KEY.jwk, now=NOW)
