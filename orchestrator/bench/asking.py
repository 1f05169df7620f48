"""Asking one gateway as fast as it answers, as the pipeline asks: signed batches over HTTP, every answer checked.

Each question is new and stands under the mandate of a case that the gateway has not seen; so nothing is answered from
memory. Batches are signed before the clock starts and answers are checked when it has stopped, so that what is measured is
the gateway and not the asker.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

import httpx
import orjson
import psutil

from orchestrator.bench.casework import Casework
from orchestrator.devnet.progress import Steps
from orchestrator.domain.errors import Refused, Unavailable
from orchestrator.gateway.client import GatewayClient, understood
from orchestrator.pipeline.gather import BATCH
from orchestrator.protocol.answer import read_answer
from orchestrator.protocol.ports import SeatView
from orchestrator.protocol.question import LONGEST_REQUEST, Question

MB: Final = 1_000_000
_TIMEOUT: Final = 60.0
_SPARE: Final = 1.5
"""Cases made for a run, as a multiple of what the warm-up's speed asks for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """How much is asked of each gateway."""

    batch: int = BATCH
    """Questions in a request: the pipeline's size."""
    in_flight: int = 2
    """Requests under way at once, so that the core has work while one of them waits for the database."""
    warm_up: int = 8
    """Batches asked before the measurement, by which it is also reckoned how many cases that takes."""
    seconds: float = 10.0
    """Measured, at least."""
    single: int = 100
    """Questions asked one by one afterwards."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What one gateway did."""

    department: str
    questions_per_case: int
    questions: int
    """Asked and answered in the measured time."""
    seconds: float
    cpu_seconds: float
    """User and system, of the gateway's process alone."""
    batch: int
    """Questions in a batch."""
    batch_ms: Sequence[float]
    """From sending a batch to having read its answers."""
    single_ms: Sequence[float]
    """The same for questions asked one by one, while nothing else was asked."""
    resident_mb: float
    """Most that the process held, 1 MB = 1,000,000 bytes."""
    verified: int
    """Answers whose signature, disclosures and place in the log were checked, of all that were asked."""


@dataclass(slots=True)
class Cases:
    """Mandates, made when they are needed and kept: another department is asked about the same cases."""

    casework: Casework
    made: list[tuple[str, str]] = field(default_factory=list)

    def ensure(self, count: int, steps: Steps) -> None:
        """Has at least so many."""
        missing = count - len(self.made)
        if missing > 0:
            with steps.counted("签发授权书", "signing mandates", missing) as done:
                for _ in range(missing):
                    self.made.append(self.casework.mandate())
                    done(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Batch:
    """A signed batch with the bytes that are sent."""

    jws: str
    questions: Sequence[Question]
    body: bytes


@dataclass(slots=True)
class _Run:
    """What was sent and what came back, to be checked when the clock has stopped."""

    batches: list[_Batch] = field(default_factory=list)
    responses: list[httpx.Response] = field(default_factory=list)
    milliseconds: list[float] = field(default_factory=list)
    """From sending a batch to having read its answers."""
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    resident_mb: float = 0.0

    @property
    def questions(self) -> int:
        return sum(len(batch.questions) for batch in self.batches)

    def add(self, more: _Run) -> None:
        self.batches += more.batches
        self.responses += more.responses
        self.milliseconds += more.milliseconds
        self.seconds += more.seconds
        self.cpu_seconds += more.cpu_seconds
        self.resident_mb = max(self.resident_mb, more.resident_mb)


@dataclass(slots=True, kw_only=True)
class Asker:
    """The operator, asking one department's gateway."""

    client: GatewayClient
    """Signs what is asked and checks what is answered."""
    seat: SeatView
    """The department's."""
    process: psutil.Process
    """Its gateway."""
    cases: Cases
    asked: int = 0
    """Questions so far, in the order of the cases."""

    async def measure(self, sizes: Sizes, steps: Steps) -> Measured:
        """Warms up, asks in batches for the time that `sizes` say, then one by one.

        Raises Refused when a question was refused or an answer does not hold, Unavailable when the gateway does not answer.
        """
        name = self.seat.keyset.id
        with steps.counted(f"预热 {name}", "warming up", sizes.warm_up) as done:
            warm = await self._ask(self._deal(sizes.warm_up, sizes.batch, steps), sizes.in_flight, done)
        run = _Run()
        while (
            left := sizes.seconds - run.seconds
        ) > 0:  # more than once only if it answers faster than while it warmed up
            count = sizes.in_flight + math.ceil(_SPARE * left * len(warm.batches) / warm.seconds)
            batches = self._deal(count, sizes.batch, steps)
            with steps.step(f"测量 {name}", "measuring") as step:
                run.add(await self._ask(batches, sizes.in_flight, seconds=left))
                step.note(f"{run.questions / run.seconds:.0f}/s")
        single = await self._ask(self._deal(sizes.single, 1, steps), 1)
        runs = (warm, run, single)
        with steps.counted("核对应答", "checking the answers", sum(each.questions for each in runs)) as done:
            self._check(runs, done)
        return Measured(
            department=name,
            questions_per_case=len(self.cases.casework.providers[self.seat.number]),
            questions=run.questions,
            seconds=run.seconds,
            cpu_seconds=run.cpu_seconds,
            batch=sizes.batch,
            batch_ms=run.milliseconds,
            single_ms=single.milliseconds,
            resident_mb=max(each.resident_mb for each in runs),
            verified=sum(each.questions for each in runs),
        )

    def _deal(self, count: int, size: int, steps: Steps) -> list[_Batch]:
        """The next `count` batches of `size` questions that were not asked before, signed."""
        casework, seat = self.cases.casework, self.seat.number
        per_case = len(casework.providers[seat])
        self.cases.ensure(-(-(self.asked + count * size) // per_case), steps)
        batches = []
        for _ in range(count):
            first, last = self.asked // per_case, -(-(self.asked + size) // per_case)
            some = self.cases.made[first:last]
            questions = [one for mandate, _ in some for one in casework.questions(mandate, seat)]
            questions = questions[self.asked - first * per_case :][:size]
            jws, body = self.client.signed(self.seat, questions, [jws for _, jws in some], ttl=LONGEST_REQUEST)
            batches.append(_Batch(jws=jws, questions=questions, body=orjson.dumps(body)))
            self.asked += size
        return batches

    async def _ask(
        self,
        batches: Sequence[_Batch],
        in_flight: int,
        done: Callable[[int], None] = lambda _: None,
        *,
        seconds: float = math.inf,
    ) -> _Run:
        """Asks batches, `in_flight` at a time, until there are no more or the time is over; one that was begun is waited for."""
        run = _Run()
        waiting = iter(batches)
        url = f"{self.seat.keyset.endpoint}/questions"

        async def keep_asking(http: httpx.AsyncClient) -> None:
            while time.perf_counter() - began < seconds and (batch := next(waiting, None)) is not None:
                sent = time.perf_counter()
                try:
                    response = await http.post(url, content=batch.body, headers={"content-type": "application/json"})
                except httpx.HTTPError as error:
                    raise _silent(type(error).__name__) from error
                if not response.is_success:
                    understood(response, self.seat)
                run.milliseconds.append((time.perf_counter() - sent) * 1000)
                run.batches.append(batch)
                run.responses.append(response)
                run.resident_mb = max(run.resident_mb, self.process.memory_info().rss / MB)
                done(1)

        async with httpx.AsyncClient(timeout=_TIMEOUT, trust_env=False) as http:
            began, cpu = time.perf_counter(), self._cpu_seconds()
            await asyncio.gather(*(keep_asking(http) for _ in range(in_flight)))
            run.seconds = time.perf_counter() - began
            run.cpu_seconds = self._cpu_seconds() - cpu
        return run

    def _check(self, runs: Iterable[_Run], done: Callable[[int], None]) -> None:
        """Everything that an asker checks: each question is answered, signed, in the log under the signed head."""
        for run in runs:
            for batch, response in zip(run.batches, run.responses, strict=True):
                value = understood(response, self.seat)
                for envelope in self.client.read(self.seat, batch.jws, batch.questions, value).answers:
                    answer = read_answer(envelope, self.seat.key_of("evidence", envelope.answer))
                    if answer.result != "answered":
                        raise _refused(str(answer.reason))
                done(len(batch.questions))

    def _cpu_seconds(self) -> float:
        times = self.process.cpu_times()
        return times.user + times.system


def _silent(why: str) -> Unavailable:
    return Unavailable(
        "测量中的网关没有响应",
        detail_en=f"the gateway that is measured does not answer ({why})",
        code="gateway-unreachable",
        remedy="再运行一次;若仍如此,减小 --seconds / run it again; if that does not help, with fewer --seconds",
    )


def _refused(reason: str) -> Refused:
    return Refused(
        "测量的请求被网关拒答",
        detail_en=f"the gateway refused a question of the bench: {reason}",
        code="bench-refused",
        remedy="核对该部门的 policy.yaml 与目录 / check the department's policy.yaml and department file",
    )
