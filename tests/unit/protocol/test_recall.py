"""Recalls: signed by the seat, each answer once, nothing else in them."""

from __future__ import annotations

import pytest

from orchestrator.domain.errors import Invalid, Refused
from orchestrator.protocol.jose import SigningKey, sign_jws
from orchestrator.protocol.recall import TYP, Recall, read_recall, sign_recall
from orchestrator.protocol.verdict import AnswerRef

KEY = SigningKey.generate()
ANSWER = AnswerRef(question="0x" + "11" * 32, attempt=1, hash="0x" + "22" * 32)
RECALL = Recall(iss="seat:1", answers=(ANSWER,), reason="数据有误", iat=1_770_000_000)


def test_recall__signed_and_read__the_same() -> None:
    assert read_recall(sign_recall(RECALL, KEY), KEY.jwk) == RECALL


def test_read_recall__another_key__refused() -> None:
    with pytest.raises(Refused):
        read_recall(sign_recall(RECALL, KEY), SigningKey.generate().jwk)


@pytest.mark.parametrize(
    "change",
    [{"answers": []}, {"answers": [ANSWER.model_dump()] * 2}, {"reason": ""}, {"iss": "market"}, {"more": 1}],
)
def test_read_recall__not_as_specified__invalid(change: dict[str, object]) -> None:
    with pytest.raises(Invalid):
        read_recall(sign_jws(RECALL.model_dump(mode="json") | change, typ=TYP, key=KEY), KEY.jwk)
