"""What the orchestrator keeps of an answer, and what it refuses to keep."""

from __future__ import annotations

import time
from typing import Any

import pytest

from orchestrator.domain.errors import Refused
from orchestrator.pipeline.gather import answer_row
from orchestrator.protocol.answer import AnswerEnvelope, build_answer
from orchestrator.protocol.question import Question
from tests.support.consortium import Consortium, make_consortium

ITEM = "E01.handler"


@pytest.fixture(scope="module")
def consortium() -> Consortium:
    return make_consortium()


def answered(consortium: Consortium, **open_claims: Any) -> AnswerEnvelope:
    """An answer about somebody's identity, by the department that gives it, with these claims in the open."""
    provider, approver = consortium.provider(ITEM), consortium.binding.approvers[0]
    now = int(time.time())
    return build_answer(
        Question(mandate="0x" + "11" * 32, item=ITEM, index=0, purpose="decide"),
        attempt=1,
        iss=provider,
        subject="0x" + "22" * 32,
        iat=now,
        exp=now + 60,
        key=consortium.keys[provider].evidence,
        open_claims=open_claims,
        sealed_claims={approver: {"full_name": "某人"}},
        recipients={approver: consortium.seat(approver).keyset.key("sealing")},
    )


def stored(consortium: Consortium, envelope: AnswerEnvelope) -> dict[str, Any]:
    key = consortium.seat(consortium.provider(ITEM)).keyset.key("evidence")
    return answer_row(envelope, key, consortium.scenario.item(ITEM))


def test_answer_row__predicates_in_the_open__kept_as_it_came(consortium: Consortium) -> None:
    envelope = answered(consortium, identity_matches=True, alive=False)
    row = stored(consortium, envelope)
    assert (row["state"], row["envelope"]) == ("answered", envelope.payload())


@pytest.mark.parametrize("claim", ["full_name", "birth_date", "anything"])
def test_answer_row__value_disclosed_that_is_not_for_the_orchestrator__not_kept(
    consortium: Consortium, claim: str
) -> None:
    with pytest.raises(Refused) as refused:
        stored(consortium, answered(consortium, identity_matches=True, **{claim: "某人"}))
    assert refused.value.code == "discloses-too-much"
    assert "某人" not in str(refused.value)


def test_answer_row__signed_by_another_department__not_kept(consortium: Consortium) -> None:
    other = consortium.seat(consortium.binding.approvers[0]).keyset.key("evidence")
    with pytest.raises(Refused) as refused:
        answer_row(answered(consortium, alive=True), other, consortium.scenario.item(ITEM))
    assert refused.value.code == "bad-signature"
