"""Walking the demo's applicants through their cases over HTTP, officers included."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx

from orchestrator.demo.applicant import ApplicantClient
from orchestrator.demo.applicants import DemoApplicant, Expected
from orchestrator.devnet.cluster import Cluster
from orchestrator.domain.case import Status
from orchestrator.domain.errors import Unavailable
from orchestrator.gateway.officer import OfficerClient
from orchestrator.identity.client import Applicant
from orchestrator.protocol.verdict import Outcome

AT_ONCE = 8
"""Applicants who are on their way at the same time."""

OUTCOMES = {"approve": Status.APPROVED, "return": Status.RETURNED, "refuse": Status.REFUSED, "manual": Status.ACCEPTED}


@dataclass(slots=True, kw_only=True)
class Walked:
    """What came of one applicant's case."""

    applicant: DemoApplicant
    case: str = ""
    shown: dict[str, Any] = field(default_factory=dict)
    """The case as the portal shows it at the end."""
    seconds: float = 0.0
    """From the first submission to the first outcome on chain."""
    submitted: tuple[str, ...] = ()
    """Materials that the applicant handed in, all told."""
    steps: list[str] = field(default_factory=list)
    """Statuses that it went through."""
    pushed: tuple[str, ...] = ()
    """Scenarios that were pushed to the applicant afterwards."""
    faults: list[str] = field(default_factory=list)
    """Where it did not come out as expected."""


def surplus(applicant: DemoApplicant, submitted: Sequence[str]) -> list[str]:
    """What somebody who passes handed in beyond, or short of, what the plan left over; empty for everybody else."""
    if applicant.kind != "passes":
        return []
    differ = set(applicant.plan.materials_after) ^ set(submitted)
    return [f"材料与方案不符 materials differ from the plan: {name}" for name in sorted(differ)]


def kinds_missing(walked: Sequence[Walked]) -> list[str]:
    """Kinds of applicant that some scenario was not walked with."""
    seen = {(each.applicant.walk.scenario, each.applicant.kind) for each in walked}
    return [
        f"{scenario}: 没有走通的情形 not walked: {kind}"
        for scenario in dict.fromkeys(each.applicant.walk.scenario for each in walked)
        for kind in ("passes", "material", "stopped")
        if (scenario, kind) not in seen
    ]


class Walker:
    """Walks applicants; officers decide what the demo says is theirs."""

    def __init__(
        self,
        cluster: Cluster,
        officers: Mapping[str, OfficerClient],
        seconds: Mapping[str, OfficerClient],
        approvers: Mapping[int, Sequence[str]],
    ) -> None:
        """`officers`, and the `seconds` who countersign, by department id; `approvers` are the departments that decide under a binding, by its number."""
        self._cluster = cluster
        self._officers = officers
        self._seconds = seconds
        self._approvers = approvers

    async def all(self, applicants: Sequence[DemoApplicant], done: Callable[[int], None]) -> list[Walked]:
        """Everybody, some at the same time; those who meet an outage come last, one by one."""
        turn = asyncio.Semaphore(AT_ONCE)

        async def one(applicant: DemoApplicant) -> Walked:
            async with turn:
                walked = await self.one(applicant)
                done(1)
                return walked

        found = list(await asyncio.gather(*(one(each) for each in applicants if each.outage is None)))
        for applicant in applicants:
            if applicant.outage is not None:
                with self._cluster.supervisor.outage(self._cluster.own_process[applicant.outage]):
                    found.append(await one(applicant))
        order = {applicant.id: index for index, applicant in enumerate(applicants)}
        return sorted(found, key=lambda walked: order[walked.applicant.id])

    async def one(self, applicant: DemoApplicant) -> Walked:
        """One applicant: sign in, apply, bring what is asked, let the officers decide, look for pushes."""
        walked = Walked(applicant=applicant)
        timeout = httpx.Timeout(60)
        async with (
            httpx.AsyncClient(timeout=timeout, trust_env=False) as http,
            Applicant(applicant.person, timeout=60) as person,
        ):
            client = ApplicantClient(http, self._cluster.portal, person)
            await client.sign_in()
            held = list(applicant.plan.materials_after)
            began = time.monotonic()
            walked.case = await client.apply(applicant.walk, held)
            shown = await client.settled(walked.case)
            walked.seconds = time.monotonic() - began
            self._note(walked, shown, applicant.first)
            if applicant.first.outcome == "refuse" and shown["status"] == Status.ACCEPTED:
                shown = await self._officers_decide(walked, client, shown, "refuse")
            if applicant.brings:
                held += [name for name in applicant.brings if name not in held]
                await client.amend(walked.case, applicant.walk, held)
                shown = await client.settled(walked.case, after=shown["sequence"])
                self._note(walked, shown, applicant.then)
                if shown["status"] == Status.ACCEPTED:
                    shown = await self._officers_decide(walked, client, shown, "approve")
            walked.shown = await client.case(walked.case)
            walked.submitted = tuple(walked.shown["materials_submitted"])
            walked.pushed = await self._pushes(walked, client)
            walked.faults += surplus(applicant, walked.submitted)
        return walked

    def _note(self, walked: Walked, shown: Mapping[str, Any], expected: Expected | None) -> None:
        """Holds a settled step against what was expected."""
        status = Status(shown["status"])
        walked.steps.append(status.name.lower())
        if expected is None:
            return
        wanted = {OUTCOMES[expected.outcome]}
        if expected.outcome == "refuse":
            wanted.add(Status.ACCEPTED)  # until an officer has confirmed it
        if status not in wanted:
            walked.faults.append(f"{status.name} ≠ {expected.outcome}")
        reasons = [str(each["row"]) for each in shown["reasons"] if each["row"]]
        walked.faults += [row for row in expected.rows if not any(each.startswith(row) for each in reasons)]
        asked = {each["id"] for each in shown["materials_wanted"]}
        walked.faults += [name for name in expected.materials if name not in asked]

    async def _officers_decide(
        self, walked: Walked, client: ApplicantClient, shown: Mapping[str, Any], outcome: Any
    ) -> dict[str, Any]:
        """Every department with the case on its desk decides it. Raises Unavailable when nothing comes of it."""
        end = time.monotonic() + 30
        while time.monotonic() < end:
            for department in self._approvers[shown["binding"]]:
                officer, second = self._officers[department], self._seconds[department]
                for item in await officer.queue():
                    if item["case"] == walked.case:
                        await handle(item, officer, second, outcome)
            found = await client.case(walked.case)
            if found["sequence"] > shown["sequence"] and found["stage"] in ("waiting", "done"):
                walked.steps.append(Status(found["status"]).name.lower())
                return found
            await asyncio.sleep(0.5)
        raise Unavailable("审批人员的决定未上链", detail_en="the officers' decision did not settle", code="too-slow")

    async def _pushes(self, walked: Walked, client: ApplicantClient) -> tuple[str, ...]:
        """Scenarios pushed for this case; waits a little for those that are expected."""
        end = time.monotonic() + (10 if walked.applicant.pushes else 0)
        while True:
            notices = (await client.request("GET", "/api/v1/me"))["notices"]
            found = tuple(
                each["target"] for each in notices if each["case_id"] == walked.case and each["target"] is not None
            )
            if set(walked.applicant.pushes) <= set(found) or time.monotonic() >= end:
                break
            await asyncio.sleep(0.2)
        walked.faults += [f"no push: {name}" for name in walked.applicant.pushes if name not in found]
        return found


async def handle(item: Mapping[str, Any], officer: OfficerClient, second: OfficerClient, outcome: Outcome) -> None:
    """One officer looks at a case of the queue and decides it, or a second one countersigns what waits for that."""
    if item["awaits"] is None:
        await officer.look(item["case"])
        await officer.decide(item, outcome, "经核对,同意按所列依据办理")
    else:
        await second.look(item["case"])
        await second.countersign(item, "countersign", "经复核,同意")
