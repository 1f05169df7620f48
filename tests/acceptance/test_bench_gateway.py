"""The gateway bench, small, at a gateway of the running cluster: every question is new, counted once, answered and checked."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from io import StringIO

import psutil
import pytest
from rich.console import Console

from orchestrator.bench.asking import Asker, Cases, Sizes
from orchestrator.bench.casework import SCENARIO, SITUATION, Casework, open_casework
from orchestrator.bench.cores import Cores, machine
from orchestrator.bench.throughput_report import Throughput, Workload
from orchestrator.devnet.cluster import FLEET, today
from orchestrator.devnet.progress import Steps
from orchestrator.domain.errors import Refused
from orchestrator.gateway.client import GatewayClient
from orchestrator.protocol.keyfolder import load_seat_keys
from orchestrator.scenarios import shipped
from orchestrator.seeding.city import Population
from tests.support.world import World

pytestmark = pytest.mark.anyio

MARKET = "haidian-market-supervision"
PEOPLE = Population(residents=300, enterprises=60)
SMALL = Sizes(batch=8, in_flight=2, warm_up=1, seconds=0.3, single=2)
STEPS = Steps(Console(file=StringIO()))


async def casework_of(world: World) -> Casework:
    settings, view = world.cluster.settings, world.runtime.context.view
    scenario = shipped(SCENARIO)
    binding = next(each.number for each in await view.bindings() if each.live and each.version == scenario.version)
    keys = load_seat_keys(settings.keys_dir / settings.identity, settings.passphrase(), {"identity"})
    return await open_casework(view, scenario, binding, keys.identity, PEOPLE, today())


@asynccontextmanager
async def asker_of(world: World, casework: Casework) -> AsyncIterator[Asker]:
    settings, view = world.cluster.settings, world.runtime.context.view
    key = load_seat_keys(settings.keys_dir / settings.operator, settings.passphrase(), {"request"}).request
    async with GatewayClient(casework.place.binding.operator, key, view) as client:
        yield Asker(
            client=client,
            seat=await view.seat_by_id(MARKET),
            process=psutil.Process(world.cluster.supervisor.pid(FLEET)),
            cases=Cases(casework=casework),
        )


async def test_measure__small__every_question_logged_once_and_counted(world: World) -> None:
    casework = await casework_of(world)
    async with asker_of(world, casework) as asker:
        before = await asker.client.head(asker.seat)
        found = await asker.measure(SMALL, STEPS)
        after = await asker.client.head(asker.seat)
    assert found.questions_per_case == 3
    assert found.questions == len(found.batch_ms) * SMALL.batch > 0
    assert found.verified == SMALL.batch * SMALL.warm_up + found.questions + SMALL.single
    assert after.size - before.size >= found.verified
    assert len(found.single_ms) == SMALL.single
    assert found.seconds >= SMALL.seconds
    assert found.seconds * SMALL.in_flight * 1000 >= sum(found.batch_ms), "two under way at once, never more"
    assert found.cpu_seconds > 0
    assert 50 < found.resident_mb < 2_000

    workload = Workload(
        scenario=SCENARIO, situation=SITUATION, sizes=SMALL, population=PEOPLE, cases=len(asker.cases.made)
    )
    cores = Cores(measured=None, others=frozenset())
    document = Throughput(
        measured=[found], workload=workload, machine=machine(), cores=cores, at=datetime.now(UTC)
    ).document()
    assert document["answers_per_second"] == document["departments"][MARKET]["answers_per_second"]
    assert document["answers_per_second"] == pytest.approx(found.questions / found.seconds, abs=0.1)
    assert document["workload"]["cases"] * found.questions_per_case >= found.verified
    for name in ("latency_ms_per_batch", "latency_ms_per_question", "latency_ms_single_question"):
        assert 0 < document[name]["p50"] <= document[name]["p95"] <= document[name]["p99"]


async def test_measure__a_question_is_refused__no_figure(world: World) -> None:
    """Refusals are quick and would flatter us."""
    casework = await casework_of(world)
    [market] = [number for number, seat in casework.place.seats.items() if seat.keyset.id == MARKET]
    casework = replace(casework, providers={market: ("E01.handler",)})
    async with asker_of(world, casework) as asker:
        with pytest.raises(Refused, match="not-this-provider"):
            await asker.measure(SMALL, STEPS)
