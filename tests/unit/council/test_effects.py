from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.council.acts import NOBODY, Act, CancelChange, ChangeStanding, HandOver, TakeOver
from orchestrator.council.effects import Effect, duration, foresee
from orchestrator.council.registry import Announced, Origin, Registry, Standing
from orchestrator.domain.canonical import keccak
from orchestrator.domain.errors import Invalid, Refused
from orchestrator.ledger.rpc import Reverted
from tests.unit.council.material import ACCOUNTS, a_keyset, a_naming, a_registry, a_seat, give_keys

pytestmark = pytest.mark.anyio

HEIR = ACCOUNTS[2].address


class Node:
    """A node that would let every call through, or none."""

    def __init__(self, refusal: str | None = None) -> None:
        self.calls: list[dict[str, Any]] = []
        self._refusal = refusal

    async def call(self, method: str, params: list[Any]) -> str:
        assert method == "eth_call"
        self.calls.append(params[0])
        if self._refusal is not None:
            raise Reverted(self._refusal, "execution reverted")
        return "0x"


async def foreseen(act: Act, registry: Registry | None = None, node: Node | None = None) -> Effect:
    return await foresee(act, registry or a_registry(), node or Node(), ACCOUNTS[0].address)  # type: ignore[arg-type]


def words(effect: Effect, kind: str | None = None) -> str:
    return "\n".join(f"{each.zh}\n{each.en}" for each in effect.points if kind in (None, each.kind))


async def test_foresee__suspend__standing_bindings_and_what_stops() -> None:
    effect = await foreseen(ChangeStanding(kind="suspend", seat=3))
    assert (effect.zh, effect.en) == ("暂停席位 3", "suspend seat 3")
    assert "在用 → 暂停" in words(effect, "change")
    assert "部门3" in words(effect, "who")
    stops = words(effect, "stops")
    assert "2 个落地(1 个在用)、1 个场景" in stops
    assert "open-gallery;落地号 1, 2" in stops
    assert "牵头审批(2 个落地)" in stops
    assert "数据提供(2 个落地)" in stops
    assert "身份认证" not in stops
    assert "仍然有效" in words(effect, "stays")


@pytest.mark.parametrize(("seat", "role"), [(0, "受理运行"), (1, "数据提供"), (2, "身份认证"), (4, "审批(2")])
async def test_foresee__suspend__says_the_role_that_stops(seat: int, role: str) -> None:
    assert role in words(await foreseen(ChangeStanding(kind="suspend", seat=seat)), "stops")


async def test_foresee__suspend_a_seat_that_no_binding_names__says_that_nothing_stops() -> None:
    assert "没有落地写有该席位" in words(await foreseen(ChangeStanding(kind="suspend", seat=9)), "stops")


async def test_foresee__remove_a_suspended_seat__final_and_stops_nothing_more() -> None:
    seats = {3: a_seat(3, standing=Standing.SUSPENDED)}
    effect = await foreseen(ChangeStanding(kind="remove", seat=3), a_registry(seats=seats))
    assert "暂停 → 注销" in words(effect, "change")
    assert "不可恢复" in words(effect, "mind")
    assert "牵头审批" not in words(effect, "stops")


async def test_foresee__reinstate__nothing_stops() -> None:
    seats = {3: a_seat(3, standing=Standing.SUSPENDED)}
    effect = await foreseen(ChangeStanding(kind="reinstate", seat=3), a_registry(seats=seats))
    assert "暂停 → 在用" in words(effect, "change")
    assert "牵头审批" not in words(effect)


async def test_foresee__suspend_with_a_change_announced__says_that_it_stays_announced() -> None:
    announced = Announced(change=1, origin=Origin.RECOVERY, from_block=1234, signer=HEIR, keyset=a_keyset(3))
    effect = await foreseen(
        ChangeStanding(kind="suspend", seat=3), a_registry(seats={3: a_seat(3, announced=announced, changes=1)})
    )
    assert "补发" in words(effect, "mind")
    assert "1234" in words(effect, "mind")


async def test_foresee__admit__department_key_and_gateway() -> None:
    effect = await foreseen(give_keys("admit", 12))
    assert "部门12" in words(effect, "who")
    assert ACCOUNTS[1].address in words(effect, "change")
    assert "http://127.0.0.1:9000" in words(effect, "change")


async def test_foresee__succeed__both_departments_the_block_the_time_and_the_veto() -> None:
    effect = await foreseen(give_keys("succeed", 3, keyset=a_keyset(3, id="heir", name={"zh": "承接局", "en": "Heir"})))
    assert "部门3(department-3" in words(effect, "change")
    assert "承接局(heir" in words(effect, "change")
    when = words(effect, "when")
    assert "第 1800 块" in when
    assert "约 60 分钟" in when
    assert "2801" in when
    assert "lianban seat veto 3" in words(effect, "stops")
    assert "在办件由承接部门继续办结" in words(effect, "stays")
    assert "旧解封密钥" in words(effect, "mind")


async def test_foresee__recover_a_suspended_seat__says_that_it_stays_suspended() -> None:
    seats = {3: a_seat(3, standing=Standing.SUSPENDED)}
    effect = await foreseen(give_keys("recover", 3), a_registry(seats=seats))
    assert "仍处于暂停" in words(effect, "mind")
    assert "同一部门" in words(effect, "change")


async def test_foresee__cancel__says_what_is_dropped() -> None:
    announced = Announced(change=4, origin=Origin.SUCCESSION, from_block=1234, signer=HEIR, keyset=a_keyset(3))
    registry = a_registry(seats={3: a_seat(3, announced=announced, changes=4)})
    effect = await foreseen(CancelChange(seat=3, change=4), registry)
    assert "承接(第 4 次,原定区块 1234 生效)作废" in words(effect, "change")


async def test_foresee__hand_over_take_over_and_withdraw__who_decides_from_when() -> None:
    given = words(await foreseen(HandOver(to=HEIR)))
    assert HEIR in given
    assert "take-over 之后才生效" in given
    offered = a_registry(offered_to=HEIR)
    assert f"{ACCOUNTS[0].address} → {HEIR}" in words(await foreseen(TakeOver(), offered))
    assert HEIR in words(await foreseen(HandOver(to=NOBODY), offered), "change")


async def test_foresee__any_act__simulated_from_the_council_with_its_calldata() -> None:
    node = Node()
    await foreseen(ChangeStanding(kind="suspend", seat=3), node=node)
    (call,) = node.calls
    assert call["from"] == ACCOUNTS[0].address
    assert call["to"] == a_registry().consortium
    assert call["data"].endswith("03")


async def test_foresee__contract_would_revert__refused_in_words() -> None:
    data = "0x" + (keccak(b"Consortium_WrongStanding(uint8,uint8)")[:4] + bytes(31) + b"\3" + bytes(31) + b"\2").hex()
    with pytest.raises(Refused) as caught:
        await foreseen(ChangeStanding(kind="suspend", seat=3), node=Node(data))
    assert caught.value.code == "Consortium_WrongStanding"
    assert "席位 3 现为暂停" in caught.value.detail
    assert "suspended" in caught.value.detail_en
    assert caught.value.remedy


@pytest.mark.parametrize("data", ["0x", "0x12345678", "0x" + "ff" * 40])
async def test_foresee__revert_of_another_kind__still_refused(data: str) -> None:
    with pytest.raises(Refused):
        await foreseen(ChangeStanding(kind="suspend", seat=3), node=Node(data))


@pytest.mark.parametrize(
    "act",
    [
        replace(give_keys("admit", 12), document=b"{}"),
        replace(give_keys("admit", 12), seat=13),
        give_keys("admit", 12, keyset=a_keyset(12, id="department-3")),
        give_keys("recover", 3, keyset=a_keyset(3, id="other")),
        give_keys("succeed", 3, keyset=a_keyset(3, id="department-4")),
    ],
)
async def test_foresee__keys_that_no_reader_accepts__refused_though_the_contract_would_not(act: Act) -> None:
    with pytest.raises(Refused) as caught:
        await foreseen(act)
    assert caught.value.code == "no-usable-keys"


async def test_foresee__unknown_seat__invalid() -> None:
    with pytest.raises(Invalid):
        await foreseen(ChangeStanding(kind="suspend", seat=200))


async def test_foresee__many_scenarios__a_few_are_named() -> None:
    namings = tuple(a_naming(number, scenario=f"scenario-{number}") for number in range(1, 10))
    effect = await foreseen(ChangeStanding(kind="suspend", seat=3), a_registry(namings=namings))
    assert "9 个落地(9 个在用)、9 个场景" in words(effect, "stops")
    assert "…" in words(effect, "stops")


@given(st.integers(0, 10**7), st.floats(0, 60))
def test_duration__any__one_number_in_both_languages(blocks: int, seconds: float) -> None:
    zh, en = duration(blocks, seconds)
    assert re.findall(r"\d+", zh) == re.findall(r"\d+", en)
    assert len(re.findall(r"\d+", zh)) == 1


@pytest.mark.parametrize(
    ("blocks", "seconds", "zh"),
    [
        (10, 1.0, "约 10 秒"),
        (119, 1.0, "约 119 秒"),
        (120, 1.0, "约 2 分钟"),
        (43200, 2.0, "约 24 小时"),
        (86400, 3.0, "约 3 天"),
    ],
)
def test_duration__by_size__the_unit_that_fits(blocks: int, seconds: float, zh: str) -> None:
    assert duration(blocks, seconds)[0] == zh
