"""What the stages decide by themselves: who signs, what is asked, what is pushed, in which order a batch goes."""

from __future__ import annotations

import secrets
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.domain.canonical import to_hex
from orchestrator.domain.case import Status
from orchestrator.domain.scenario import Scenario
from orchestrator.pipeline.gather import open_claims
from orchestrator.pipeline.intake import questions_of
from orchestrator.pipeline.post import _batch
from orchestrator.pipeline.push import due, prefill
from orchestrator.pipeline.seal import signers_of
from orchestrator.protocol.jose import jws_hash
from orchestrator.protocol.ports import BindingView
from orchestrator.protocol.question import question_id
from orchestrator.protocol.sdjwt import make_disclosures
from orchestrator.scenarios import load_catalogue, shipped
from orchestrator.store.cases import CaseRow
from orchestrator.store.evidence import QuestionRow
from tests.support.consortium import GALLERY_ITEMS, GALLERY_SUBJECTS, make_consortium

BINDING = BindingView(
    number=7,
    version="0x" + "22" * 32,
    region="110108",
    identity=2,
    operator=0,
    approvers=(9, 4, 6),
    providers=(1,),
    live=True,
)


def verdicts(**outcomes: str) -> list[dict[str, Any]]:
    """Verdict rows by seat (`s9="approve"`), in the order of the store."""
    return [{"seat": int(name[1:]), "outcome": outcome} for name, outcome in sorted(outcomes.items())]


@pytest.mark.parametrize(
    ("status", "signers"),
    [
        (Status.APPROVED, (9, 4, 6)),
        (Status.ACCEPTED, (9,)),
        (Status.WITHDRAWN, (9,)),
        (Status.REVOKED, (9,)),
        (Status.RETURNED, (4,)),
        (Status.REFUSED, (9,)),
    ],
)
def test_signers_of__each_status__no_more_than_it_takes(status: Status, signers: tuple[int, ...]) -> None:
    # Seats 4 and 6 return, 9 refuses: what is returned or refused takes one of those that said so.
    said = verdicts(s4="return", s6="return", s9="refuse")
    assert signers_of(status, BINDING, said) == signers


def test_signers_of__nobody_said_so__nobody() -> None:
    assert signers_of(Status.REFUSED, BINDING, verdicts(s9="approve")) == ()


def test_questions_of__mandate__one_for_each_item_and_subject() -> None:
    consortium = make_consortium()
    two = {
        **GALLERY_SUBJECTS,
        "handler": [*GALLERY_SUBJECTS["handler"], ("citizen", "110199197905060257", "唐画商", {})],
    }
    jws = consortium.mandate(two)
    found = questions_of(consortium.scenario, "0xcase", jws, purpose="decide")
    assert {(row["item"], row["idx"]) for row in found} == {(item, 0) for item in GALLERY_ITEMS} | {
        ("E01.handler", 1),
        ("E02.handler", 1),
    }
    for row in found:
        assert row["id"] == question_id(jws_hash(jws), row["item"], row["idx"], "decide")
        assert row["seat"] == consortium.provider(row["item"])
    assert questions_of(consortium.scenario, "0xcase", jws, purpose="push") == []


# ---- open claims and pushes


def answered(item: str, index: int = 0, state: str = "answered", **claims: Any) -> QuestionRow:
    """A question with an answer that shows some claims."""
    return QuestionRow(
        id="0x1",
        case_id="0xcase",
        mandate="0xm",
        item=item,
        idx=index,
        seat=1,
        purpose="decide",
        state=state,
        tries=1,
        asked_at=None,
        attempt=1,
        envelope={"disclosures": list(make_disclosures(claims).values())},
        answer_hash=None,
        answered_at=None,
        reason=None,
    )


def test_open_claims__several_subjects__false_before_unknown_before_true() -> None:
    gallery = shipped("open-gallery", load_catalogue())
    for values, worst in (((True, False), False), ((True, "unknown"), "unknown"), ((True, True), True)):
        rows = [answered("E02.handler", n, household_in=value) for n, value in enumerate(values)]
        assert open_claims(rows, gallery) == {"handler.household_in": worst}


def test_open_claims__not_answered_or_not_declared__nothing() -> None:
    gallery = shipped("open-gallery", load_catalogue())
    rows = [answered("E02.handler", state="due", household_in=True), answered("E01.handler", surplus=True)]
    assert open_claims(rows, gallery) == {}


@pytest.fixture(scope="module")
def registration() -> Scenario:
    return shipped("employment-unemployment-registration", load_catalogue())


def case(**changes: Any) -> CaseRow:
    """A registered unemployed person's case."""
    row = CaseRow(
        id="0xcase",
        subject="somebody",
        scenario="employment-unemployment-registration",
        version="0x",
        binding=1,
        situation={"direction": "unemployment", "holds_registration_certificate": False, "household": "beijing"},
        situation_salt="",
        form=None,
        delivery={},
        status=3,
        sequence=1,
        target=None,
        verdict_outcome="approve",
        revocation=None,
        day=date(2026, 3, 2),
        deadline={},
        submitted_at=datetime.now(UTC),
        settled_at=None,
        stage="push",
        attempts=1,
        error=None,
    )
    return replace(row, **changes)


def pushed(registration: Scenario, row: CaseRow, **claims: Any) -> set[str]:
    """Ids of the pushes that go out."""
    given = {f"applicant.{name}": value for name, value in claims.items()}
    return {each.id for each in registration.pushes if due(each, registration, row, given)}


@pytest.mark.parametrize(
    ("claims", "expected"),
    [
        ({"contribution_months_at_least": True, "involuntary": True, "termination_recorded": True}, {"benefit-claim"}),
        ({"contribution_months_at_least": True, "involuntary": False, "termination_recorded": True}, set()),
        ({"contribution_months_at_least": False, "involuntary": True}, set()),
        ({"contribution_months_at_least": "unknown", "involuntary": True}, set()),
        ({"contribution_months_at_least": True, "termination_recorded": False}, {"benefit-perhaps"}),
        ({"contribution_months_at_least": True}, {"benefit-perhaps"}),
        ({}, set()),
    ],
)
def test_due__registered_unemployed__by_what_departments_said(
    registration: Scenario, claims: dict[str, Any], expected: set[str]
) -> None:
    assert pushed(registration, case(), **claims) & {"benefit-claim", "benefit-perhaps"} == expected


def test_due__another_situation__not_told(registration: Scenario) -> None:
    employed = case(situation={**case().situation, "direction": "employment-flexible"})
    everything = {"contribution_months_at_least": True, "involuntary": True, "termination_recorded": True}
    assert "benefit-claim" not in pushed(registration, employed, **everything)


def test_prefill__roles__named_without_saying_who(registration: Scenario) -> None:
    claim = next(each for each in registration.pushes if each.id == "benefit-claim")
    assert prefill(claim, case()) == {"answers": {}, "subjects": {"claimant": "applicant"}}


def test_prefill__questions__answers_of_this_situation() -> None:
    gallery = next(
        each for each in shipped("enterprise-establishment", load_catalogue()).pushes if each.id == "gallery"
    )
    expected = {"answers": {"handled_by": "agent"}, "subjects": {"handler": "handler"}}
    assert prefill(gallery, case(situation={"handled_by": "agent"})) == expected
    assert prefill(gallery, case(situation={}))["answers"] == {}


# ---- batches


@given(
    st.lists(st.tuples(st.integers(1, 3), st.integers(0, 5)), min_size=1, max_size=12, unique=True),
    st.data(),
)
def test_batch__any_sheets__canonical_order_and_each_covers_its_own(
    places: list[tuple[int, int]], data: st.DataObject
) -> None:
    rows = [
        (to_hex(bytes([case]) * 32), to_hex(secrets.token_bytes(32)), 3 << 56 | 1 << 40 | binding)
        for binding, case in places
    ]
    chosen = [data.draw(st.lists(st.sampled_from(rows), min_size=1, unique=True)) for _ in range(2)]
    sheets: dict[int, Any] = {
        number: {
            "seat": number,
            "valid_until": 9,
            "signature": "0x" + "11" * 65,
            "transitions": [list(r) for r in some],
        }
        for number, some in enumerate(chosen)
    }
    batch = {row for some in chosen for row in some}
    transitions, parts = _batch(batch, sheets)
    order = [(each.binding, each.case_id) for each in transitions]
    assert order == sorted(order)
    assert {(to_hex(each.case_id), to_hex(each.root), each.step) for each in transitions} == batch
    for part, some in zip(parts, chosen, strict=True):
        covered = {transitions[place] for place in part.covers}
        assert {(to_hex(each.case_id), to_hex(each.root), each.step) for each in covered} == set(some)
