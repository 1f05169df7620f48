"""What acceptance tests do with a running cluster: let people apply, let officers decide, look into the orchestrator."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, LiteralString

import httpx
from psycopg import sql

from orchestrator.cli_demo import certified_officers
from orchestrator.demo.applicant import ApplicantClient
from orchestrator.demo.applicants import DemoApplicant, demo_applicants
from orchestrator.demo.walk import handle
from orchestrator.devnet.cluster import Cluster, today
from orchestrator.domain.canonical import to_hex
from orchestrator.gateway.officer import OfficerClient
from orchestrator.identity.client import Applicant
from orchestrator.ledger.abi import ContractAbi
from orchestrator.ledger.artifacts import load_artifact
from orchestrator.ledger.rpc import Rpc
from orchestrator.protocol.sheet import unpack_step
from orchestrator.protocol.verdict import Outcome
from orchestrator.runtime import Runtime, open_runtime
from orchestrator.scenarios import read_data

ALONE = ("beijing-public-security", "zgc-haidian-park")
"""Departments whose gateway is a process of its own: a provider, and an approver that provides nothing, can be down alone."""

PACE: dict[str, Any] = {"retry_first": 0.2, "retry_most": 1.0, "outage_window": 4.0, "lease": 5.0}
"""Seconds."""

LONGEST = 90.0
"""Seconds until a step must have settled; most take two."""


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """A running cluster and its people."""

    cluster: Cluster
    runtime: Runtime
    """The orchestrator's own keys, database and clients: what a thief inside it would have."""
    http: httpx.AsyncClient
    officers: Mapping[str, OfficerClient]
    """By department id."""
    seconds: Mapping[str, OfficerClient]
    """Who countersigns, by department id."""
    demo: Mapping[str, DemoApplicant]
    """The demo's applicants by id."""
    operator: Mapping[str, str]
    """Headers of the operator."""
    auditor: Mapping[str, str]
    """Headers of an auditor."""

    @asynccontextmanager
    async def person(self, number: str, *, sign_in: bool = True) -> AsyncIterator[ApplicantClient]:
        """Somebody's client, signed in unless told otherwise."""
        async with Applicant(number, timeout=60) as browser:
            client = ApplicantClient(self.http, self.cluster.portal, browser)
            if sign_in:
                await client.sign_in()
            yield client

    @asynccontextmanager
    async def applied(
        self, name: str, *, materials: Sequence[str] | None = None, **changes: Any
    ) -> AsyncIterator[tuple[ApplicantClient, str, DemoApplicant]]:
        """A demo applicant who has just submitted: (client, case, applicant). `changes` replace fields of the walk."""
        applicant = self.demo[name]
        applicant = replace(applicant, walk=replace(applicant.walk, **changes))
        async with self.person(applicant.person) as client:
            held = list(applicant.plan.materials_after) if materials is None else list(materials)
            yield client, await client.apply(applicant.walk, held), applicant

    async def settled(self, name: str, **changes: Any) -> dict[str, Any]:
        """A demo applicant's case after its first outcome on chain, as the portal shows it."""
        async with self.applied(name, **changes) as (client, case, _):
            return await client.settled(case, timeout=LONGEST)

    async def officers_decide(
        self, client: ApplicantClient, shown: Mapping[str, Any], outcome: Outcome
    ) -> dict[str, Any]:
        """Every department with the case on its desk decides it; the case once that has settled."""
        case, end = str(shown["id"]), time.monotonic() + LONGEST
        while time.monotonic() < end:
            for department, officer in self.officers.items():
                for item in await officer.queue():
                    if item["case"] == case:
                        await handle(item, officer, self.seconds[department], outcome)
            found = await client.case(case)
            if found["sequence"] > shown["sequence"] and found["stage"] in ("waiting", "done"):
                return found
            await asyncio.sleep(0.2)
        raise AssertionError(f"the officers' decision on {case} did not settle")

    async def rows(self, query: LiteralString | sql.Composed, parameters: Sequence[Any] = ()) -> list[dict[str, Any]]:
        """Rows of the orchestrator's own database; also takes statements that change them."""
        async with self.runtime.context.pool.connection() as connection:
            cursor = await connection.execute(query, parameters)
            return [dict(row) for row in await cursor.fetchall()] if cursor.description else []

    async def hold(self, case: str, seconds: float = 60.0) -> None:
        """Keeps the pipeline's hands off a case, as a worker that stands still with a lease on it does."""
        await self.rows(
            "update case_file set lease_owner = 'a test', lease_until = now() + make_interval(secs => %s) where id = %s",
            [seconds, case],
        )

    async def release(self, case: str) -> None:
        """Lets the pipeline go on with a case that was held."""
        await self.rows("update case_file set lease_owner = null, lease_until = null where id = %s", [case])

    async def dump(self) -> str:
        """Everything that the orchestrator's database holds, as text."""
        found = []
        for row in await self.rows("select tablename from pg_tables where schemaname = 'public' order by 1"):
            statement = sql.SQL("select t::text as line from {} t").format(sql.Identifier(row["tablename"]))
            found += [each["line"] for each in await self.rows(statement)]
        return "\n".join(found)

    async def on_chain(self, case: str) -> tuple[int, int, int]:
        """(status, sequence, binding) of a case as the contract has it now."""
        status, sequence, binding = await self.runtime.context.view.status_of(case)
        return int(status), sequence, binding

    async def events(self, case: str) -> list[tuple[int, int, str]]:
        """(sequence, status, dossier root) of every `CaseSettled` event of a case, oldest first."""
        abi, view = ContractAbi(load_artifact("CaseLedger").abi), self.runtime.context.view
        asked = {
            "fromBlock": hex(view.deployment.block),
            "toBlock": "latest",
            "address": view.address("CaseLedger"),
            "topics": [abi.topic("CaseSettled"), case],
        }
        async with Rpc(self.cluster.settings.require_node_url()) as rpc:
            found = [abi.log(raw) for raw in await rpc.call("eth_getLogs", [asked])]
        steps = [(unpack_step(log.args["step"]), log.args["dossierRoot"]) for log in found if log is not None]
        return [(sequence, int(status), to_hex(root)) for (status, sequence, _), root in steps]


@asynccontextmanager
async def open_world(cluster: Cluster) -> AsyncIterator[World]:
    """Opens the orchestrator's runtime beside the running one, certifies officers and registers staff."""
    async with (
        open_runtime(cluster.settings) as runtime,
        httpx.AsyncClient(timeout=60, trust_env=False) as http,
    ):
        staff = {role: await runtime.add_principal(role, f"test-{role}") for role in ("operator", "auditor")}
        yield World(
            cluster=cluster,
            runtime=runtime,
            http=http,
            officers=await certified_officers(cluster.settings, runtime, http, login="test"),
            seconds=await certified_officers(cluster.settings, runtime, http, login="test-second"),
            demo={each.id: each for each in demo_applicants(today())},
            operator={"authorization": f"Bearer {staff['operator']}"},
            auditor={"authorization": f"Bearer {staff['auditor']}"},
        )


def check_problem(response: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The problem document of a response: of this status and code, in both languages, about nobody."""
    body: dict[str, Any] = response.json()
    assert response.headers["content-type"] == "application/problem+json", response.headers
    assert (response.status_code, body["status"], body["code"]) == (status, status, code), body
    check_words(body)
    return body


def check_words(body: Mapping[str, Any]) -> None:
    """That a problem speaks Chinese and English and names nobody of the cast."""
    for zh, en in (("title", "title_en"), ("detail", "detail_en")):
        assert re.search("[\u4e00-\u9fff]", body[zh]), body
        assert re.search("[A-Za-z]{3}", body[en]), body
    assert named(str(body)) == []


def named(text: str) -> list[str]:
    """People of the cast whose name or number stands in a text."""
    return [part for part in _people() if part in text]


@cache
def _people() -> tuple[str, ...]:
    people = read_data("cast.yaml")["people"].values()
    return tuple(str(each[part]) for each in people for part in ("name", "number"))
