"""A sheet is signed only for a transition that the ledger takes."""

from __future__ import annotations

from itertools import product

import pytest

from orchestrator.domain.case import MOVES, Status
from orchestrator.domain.errors import Refused
from orchestrator.gateway.sheets import SheetCase, _check_move

CASE = "0x" + "ab" * 32


@pytest.mark.parametrize(("before", "after"), product(Status, [status for status in Status if status]))
def test_check_move__each_pair__as_the_ledger(before: Status, after: Status) -> None:
    case = SheetCase.model_validate(
        {
            "case": CASE,
            "sequence": 2,
            "status": int(after),
            "binding": 1,
            "leaves": [{"kind": "mandate", "salt": CASE, "content": CASE}],
            "root": CASE,
            "verdicts": [],
            "mandates": [],
            "order": None,
        }
    )
    if after in MOVES[before]:
        _check_move(case, {CASE: before})
    else:
        with pytest.raises(Refused) as error:
            _check_move(case, {CASE: before})
        assert error.value.code == "no-such-move"
