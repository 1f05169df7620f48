"""Statuses and where they may go (I2)."""

from __future__ import annotations

from itertools import product

import pytest

from orchestrator.domain.case import MOVES, Stage, Status, may_move

N, A, T, P, R, W, V, S = Status
ALLOWED = {
    *((N, s) for s in (A, T, P, R, W)),
    *((A, s) for s in (T, P, R, W)),
    *((T, s) for s in (A, P, R, W)),
    *((P, s) for s in (V, S)),
    *((S, s) for s in (P, V)),
}


@pytest.mark.parametrize(("before", "after"), list(product(Status, Status)))
def test_may_move__every_pair__only_what_i2_names(before: Status, after: Status) -> None:
    assert may_move(before, after) == ((before, after) in ALLOWED)


def test_status__numbers__those_of_the_ledger() -> None:
    names = ["NONE", "ACCEPTED", "RETURNED", "APPROVED", "REFUSED", "WITHDRAWN", "REVOKED", "SUSPENDED"]
    assert [(status.name, int(status)) for status in Status] == [(name, i) for i, name in enumerate(names)]
    assert set(MOVES) == set(Status)


def test_final__refused_withdrawn_revoked__nothing_follows() -> None:
    assert {status for status in Status if status.final} == {R, W, V}


def test_stage__names__those_of_the_pipeline() -> None:
    assert [stage.value for stage in Stage] == [
        "intake", "gather", "decide", "seal", "post", "confirm", "push", "waiting", "done",
    ]  # fmt: skip


def test_decided__every_status__what_the_applicant_can_change_no_more() -> None:
    still_open = {Status.NONE, Status.ACCEPTED, Status.RETURNED}
    assert {each for each in Status if not each.decided} == still_open
