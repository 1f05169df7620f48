"""A sheet is signed only for a transition that the ledger takes."""

from __future__ import annotations

from itertools import product

import pytest

from orchestrator.domain.case import MOVES, Status
from orchestrator.domain.errors import Refused
from orchestrator.gateway.sheets import SheetCase, _check_move
from tests.support.chain import MemoryChain

pytestmark = pytest.mark.anyio

CASE = "0x" + "ab" * 32


@pytest.mark.parametrize(("before", "after"), product(Status, [status for status in Status if status]))
async def test_check_move__each_pair__as_the_ledger(before: Status, after: Status) -> None:
    chain = MemoryChain()
    chain.settle(CASE, before, 1, 1)
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
        await _check_move(case, chain)
    else:
        with pytest.raises(Refused) as error:
            await _check_move(case, chain)
        assert error.value.code == "no-such-move"
