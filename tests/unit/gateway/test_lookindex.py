"""The index by person: tokens and hidden kinds say nothing without the secret, and are the same with it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.domain.errors import Refused
from orchestrator.gateway.lookindex import day_of, hide_kinds, open_kinds, token
from orchestrator.protocol.access import ToldClaim

SECRETS = st.binary(min_size=32, max_size=32)
QUESTION = "0x" + "ab" * 32


@given(SECRETS, SECRETS, st.integers(0, 30_000), st.text(max_size=20), st.text(max_size=20))
def test_token__secret_day_kind_or_identifier_differs__another(
    one: bytes, two: bytes, day: int, left: str, right: str
) -> None:
    known = token(one, day, "citizen", left)
    assert known == token(one, day, "citizen", left)
    assert (token(two, day, "citizen", left) == known) == (one == two)
    assert (token(one, day, "citizen", right) == known) == (left == right)
    assert token(one, day + 1, "citizen", left) != known
    assert token(one, day, "uscc", left) != known


@given(
    SECRETS,
    st.lists(
        st.builds(
            ToldClaim,
            claim=st.text(min_size=1, max_size=30),
            kind=st.sampled_from(["answered", "unknown"]),
            sealed_to=st.lists(st.integers(0, 255), max_size=3).map(tuple),
        ),
        max_size=6,
    ),
)
def test_kinds__hidden_and_opened__the_same_at_their_question_alone(secret: bytes, told: list[ToldClaim]) -> None:
    hidden = hide_kinds(secret, QUESTION, 1, told)
    assert open_kinds([b"\0" * 32, secret], QUESTION, 1, hidden) == tuple(told)
    for question, attempt, opened in ((QUESTION, 2, secret), ("0x" + "ac" * 32, 1, secret)):
        with pytest.raises(Refused):
            open_kinds([opened], question, attempt, hidden)
    with pytest.raises(Refused):
        open_kinds([bytes(32 - len(secret)) + secret[::-1]] if secret != secret[::-1] else [], QUESTION, 1, hidden)


def test_day_of__moments_of_one_day__one_day() -> None:
    assert [day_of(moment) for moment in (0, 86_399, 86_400)] == [0, 0, 1]
