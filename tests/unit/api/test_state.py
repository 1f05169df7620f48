"""Which binding of a scenario a portal offers: its own, in its region, live, the newest."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from orchestrator.api.state import State
from orchestrator.domain.errors import Invalid
from orchestrator.protocol.ports import BindingView
from orchestrator.scenarios import load_catalogue, shipped

pytestmark = pytest.mark.anyio

SCENARIO = shipped("open-gallery", load_catalogue())


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def binding(number: int, *, region: str = "110108", operator: int = 0, live: bool = True) -> BindingView:
    return BindingView(
        number=number,
        version=SCENARIO.version,
        region=region,
        identity=2,
        operator=operator,
        approvers=(4,),
        providers=(),
        live=live,
    )


def state(*bindings: BindingView) -> State:
    async def refresh() -> dict[str, Any]:
        return {SCENARIO.version: SCENARIO}

    async def all_bindings() -> tuple[BindingView, ...]:
        return bindings

    context = SimpleNamespace(definitions=SimpleNamespace(refresh=refresh), view=SimpleNamespace(bindings=all_bindings))
    return State(context=cast(Any, context), identity=cast(Any, None), operator=0, region="110108")


OTHERS = (binding(2, region="110105"), binding(3, operator=9), binding(4, live=False))


async def test_current__other_regions_operators_and_retired_ones__passed_over() -> None:
    found = state(binding(1), *OTHERS)
    assert (await found.current("open-gallery"))[1].number == 1
    assert [each.number for _, each in await found.offered()] == [1]


async def test_current__only_of_others__unknown() -> None:
    found = state(*OTHERS)
    assert await found.offered() == []
    with pytest.raises(Invalid, match="not bound here"):
        await found.current("open-gallery")
