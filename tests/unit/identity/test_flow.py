from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from orchestrator.identity.face import FRESH_SECONDS, MAX_TRIES
from orchestrator.identity.flow import CoConsent, Entered, Face, Flow, MandateRequest, Person, Step
from orchestrator.identity.oidc import AuthorizationRequest

HASH = "0x" + "ab" * 32
REQUEST = AuthorizationRequest(
    client="operator", redirect_uri="http://p/cb", state="s" * 8, nonce="n" * 8, code_challenge="c" * 43
)
PERSON = Person(number="110199198806120116", name="陈画", auth_time=1)
SUBJECTS: dict[str, tuple[Entered, ...]] = {"company": (Entered(type="uscc", id="91110108MBXYE0016D", name="x"),)}
NOW = 10_000


def mandate(**changes: Any) -> MandateRequest:
    given_fields = {
        "type": "lianban-mandate",
        "kind": "grant",
        "binding": 1,
        "situation": {"values": {}, "salt": "A" * 43},
        "delivery": {},
    }
    return MandateRequest.model_validate({**given_fields, **changes})


def face(*, passed: bool, at: int = NOW) -> Face:
    return Face(matches=passed, liveness=True, assurance="none", method="development", checked_at=at)


flows = st.builds(
    Flow,
    id=st.just("f"),
    request=st.just(REQUEST),
    mandate=st.sampled_from([None, mandate(), mandate(kind="withdrawal", case=HASH, previous=HASH)]),
    person=st.sampled_from([None, PERSON]),
    subjects=st.sampled_from([None, SUBJECTS]),
    consents=st.sampled_from([(), (CoConsent(role="x", index=0),), (CoConsent(role="x", index=0, at=5),)]),
    agreed_at=st.sampled_from([None, 7]),
    face=st.sampled_from([None, face(passed=True), face(passed=False), face(passed=True, at=NOW - FRESH_SECONDS - 1)]),
    face_tries=st.integers(0, MAX_TRIES),
    face_skipped=st.booleans(),
)


@given(flows, st.booleans())
def test_step__confirm_of_a_grant__only_with_everything_before(flow: Flow, asks_face: bool) -> None:
    step = flow.step(asks_face=asks_face, now=NOW)

    if step is Step.CONFIRM and flow.mandate is not None and flow.mandate.kind == "grant":
        assert flow.person is not None
        assert flow.subjects is not None
        assert all(consent.at is not None for consent in flow.consents)
        assert flow.agreed_at is not None
        fresh = flow.face is not None and flow.face.checked_at >= NOW - FRESH_SECONDS
        settled = flow.face is not None and (flow.face.passed or flow.face_tries == MAX_TRIES)
        assert not asks_face or flow.face_skipped or (fresh and settled)
    if flow.person is None:
        assert step is Step.SIGN_IN
    elif flow.mandate is None:
        assert step is None


@given(flows)
def test_flow__stored_and_read__same(flow: Flow) -> None:
    assert Flow.model_validate_json(flow.model_dump_json()) == flow


def test_with_subjects__entered_again__earlier_agreement_gone() -> None:
    flow = Flow(
        id="f",
        request=REQUEST,
        mandate=mandate(),
        person=PERSON,
        subjects=SUBJECTS,
        agreed_at=5,
        declined=("E21.company",),
        face=face(passed=True),
    )

    after = flow.to_correct().with_subjects(SUBJECTS, (CoConsent(role="x", index=0),))

    assert (after.agreed_at, after.declined, after.face, after.round) == (None, (), None, 1)
    assert after.step(asks_face=False, now=NOW) is Step.CO_CONSENT


@pytest.mark.parametrize(
    "changes",
    [
        {"case": HASH},
        {"kind": "amendment"},
        {"kind": "amendment", "case": HASH},
        {"kind": "withdrawal", "previous": HASH},
        {"kind": "other"},
        {"binding": 0},
        {"form": {"hash": "0x12"}},
        {"situation": {"values": {}, "salt": "A" * 42}},
        {"unknown": 1},
    ],
)
def test_mandate_request__not_as_specified__refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        mandate(**changes)
