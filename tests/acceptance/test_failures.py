"""What goes wrong around a case: faulty input, double submission, and parts of the system that are down.

Every error is a problem document in both languages that names nobody, and no failure loses or doubles a case.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import httpx
import psycopg
import pytest
from psycopg import sql

from orchestrator.demo.applicant import ApplicantClient, ProblemError
from orchestrator.devnet.cluster import Cluster
from orchestrator.domain.case import Status
from orchestrator.domain.errors import Invalid
from orchestrator.identity.client import Applicant
from orchestrator.seeding.databases import database_of
from tests.support.line import Line
from tests.support.world import LONGEST, World, check_problem, check_words, named

pytestmark = pytest.mark.anyio

POLICE, PARK = "beijing-public-security", "zgc-haidian-park"
GALLERY = {
    "decoration_area_m2": "280.00",
    "handler_household": "beijing",
    "handled_by": "self",
    "premises_tenure": "owned",
}


# Faulty input


async def test_identity__number_with_a_wrong_check_digit__field_and_remedy(world: World) -> None:
    applicant = world.demo["gallery-leased-passes"]
    subjects = applicant.walk.subjects
    for role, wrong in (("company", "91110108MBXYE0017D"), ("landlord", "110199196509150556")):
        faulty = subjects | {role: [{**subjects[role][0], "id": wrong}]}
        async with world.person(applicant.person) as client:
            with pytest.raises(Invalid) as said:
                await client.apply(replace(applicant.walk, subjects=faulty), list(applicant.plan.materials_after))
        assert said.value.field == f"{role}.0.id"
        assert said.value.remedy
        assert wrong not in str(said.value)
        assert named(str(said.value)) == []
    # Who signs in with a wrong number learns no more than that number and passcode do not go together.
    with pytest.raises(Invalid) as person:
        async with world.person(applicant.person[:-1] + "0"):
            pass
    assert person.value.field == "passcode"
    assert named(str(person.value)) == []


async def test_api__unknown_scenario__not_found(world: World) -> None:
    async with world.person(world.demo["gallery-passes"].person) as client:
        answers = [
            await world.http.get(f"{world.cluster.portal}/api/v1/scenarios/open-casino"),
            await world.http.post(f"{world.cluster.portal}/api/v1/scenarios/open-casino/plan", json={"answers": {}}),
            await post(client, "/api/v1/applications", {**content(client), "scenario": "open-casino"}),
        ]
    for answer in answers:
        body = check_problem(answer, 404, "unknown-scenario")
        assert body["errors"][0]["field"] == "scenario"
        assert body["errors"][0]["remedy"]


async def test_api__ten_megabytes__too_large(world: World) -> None:
    async with world.person(world.demo["gallery-passes"].person) as client:
        body = b'{"scenario": "' + b"a" * 10_000_000 + b'"}'
        check_problem(await post(client, "/api/v1/applications", body), 413, "too-large")

        async def chunks() -> Any:
            for _ in range(10):
                yield b" " * 1_000_000

        check_problem(await post(client, "/api/v1/applications", chunks()), 413, "too-large")
    gateway = (await world.runtime.context.view.seat(3)).keyset.endpoint
    check_problem(await world.http.post(f"{gateway}/questions", content=body), 413, "too-large")


async def test_api__broken_json_unknown_field_wrong_type__named(world: World) -> None:
    async with world.person(world.demo["gallery-passes"].person) as client:
        good = content(client)
        check_problem(await post(client, "/api/v1/applications", b'{"scenario": "open-'), 400, "broken-json")
        body = check_problem(await post(client, "/api/v1/applications", {**good, "colour": "red"}), 422, "invalid")
        assert [each["field"] for each in body["errors"]] == ["colour"]
        body = check_problem(await post(client, "/api/v1/applications", {**good, "materials": "none"}), 422, "invalid")
        assert [each["field"] for each in body["errors"]] == ["materials"]
        without = {key: value for key, value in good.items() if key != "form"}
        body = check_problem(await post(client, "/api/v1/applications", without), 422, "invalid")
        assert [each["field"] for each in body["errors"]] == ["form"]
        answers = {**GALLERY, "decoration_area_m2": "plenty"}
        refused = await post(client, "/api/v1/applications", {**good, "answers": answers})
        assert refused.status_code == 422
        check_words(refused.json())
        assert "decoration_area_m2" in refused.json()["errors"][0]["field"]
        refused = await post(client, "/api/v1/applications", {**good, "delivery": {"kty": "OKP", "crv": "X25519"}})
        assert refused.status_code == 422
        check_words(refused.json())
    check_problem(await world.http.get(f"{world.cluster.portal}/api/v1/nothing-here"), 404, "404")
    check_problem(await world.http.delete(f"{world.cluster.portal}/api/v1/scenarios"), 405, "405")


# Twice the same


async def test_apply__same_idempotency_key__same_answer_or_refused(world: World) -> None:
    async with world.person(world.demo["gallery-passes"].person) as client:
        good = content(client)
        key = {"Idempotency-Key": f"key-{time.time_ns()}"}
        first = await post(client, "/api/v1/applications", good, key)
        assert first.status_code == 201
        second = await post(client, "/api/v1/applications", good, key)
        assert (second.status_code, second.json()) == (201, first.json())
        other = {**good, "answers": {**GALLERY, "decoration_area_m2": "281.00"}}
        check_problem(await post(client, "/api/v1/applications", other, key), 422, "idempotency-key-reused")
        # Somebody else's key is another key; a new key is a new application.
        fresh = await post(client, "/api/v1/applications", good, {"Idempotency-Key": f"key-{time.time_ns()}"})
        assert fresh.json()["application"] != first.json()["application"]
        async with world.person(world.demo["benefit-resigned"].person) as stranger:
            theirs = await post(stranger, "/api/v1/applications", good, key)
            assert theirs.json()["application"] != first.json()["application"]
        # All at once: one application, and whoever comes while it is being made is told so.
        key = {"Idempotency-Key": f"key-{time.time_ns()}"}
        together = await asyncio.gather(*(post(client, "/api/v1/applications", good, key) for _ in range(5)))
        made = {each.json()["application"] for each in together if each.status_code == 201}
        assert len(made) == 1
        for each in together:
            if each.status_code != 201:
                check_problem(each, 409, "request-in-progress")


async def test_callback__twice__one_case(world: World) -> None:
    applicant = world.demo["gallery-passes"]
    async with Applicant(applicant.person, timeout=60) as browser:
        client = _Remembering(world.http, world.cluster.portal, browser)
        await client.sign_in()
        case = await client.apply(applicant.walk, list(applicant.plan.materials_after))
        again = await world.http.get(client.redirects[-1], headers={"accept": "application/json"})
        check_problem(again, 400, "unknown-state")
        await client.settled(case, timeout=LONGEST)
        mine = [each["id"] for each in (await client.request("GET", "/api/v1/cases"))["cases"]]
        assert mine.count(case) == 1
        await settled_once(world, case)


# Parts that are down


async def test_node__unreachable__503_and_the_case_goes_on_afterwards(world: World, node_line: Line) -> None:
    async with world.applied("gallery-passes") as (client, case, _):
        with node_line.cut():
            await asyncio.sleep(2.5)
            health = await world.http.get(f"{world.cluster.portal}/api/v1/health")
            assert health.headers["retry-after"]
            assert health.status_code == 503
            check_words(health.json())
            plan = await post(client, "/api/v1/scenarios/open-gallery/plan", {"answers": GALLERY})
            assert plan.status_code == 503
            check_words(plan.json())
            application = await post(client, "/api/v1/applications", content(client))
            assert application.status_code == 503
            check_words(application.json())
            listed = await client.request("GET", "/api/v1/cases")
            assert case in [each["id"] for each in listed["cases"]]
            with pytest.raises(ProblemError) as gone:
                await client.request("GET", "/api/v1/scenarios")
            assert gone.value.status == 503
        assert (await client.settled(case, timeout=LONGEST))["status"] == Status.APPROVED
        await settled_once(world, case)
    health = await world.http.get(f"{world.cluster.portal}/api/v1/health")
    assert health.status_code == 200
    assert world.cluster.supervisor.ended() == []


async def test_approvers_gateway__unreachable__case_waits_and_goes_on(world: World, cluster: Cluster) -> None:
    with cluster.supervisor.outage(cluster.own_process[PARK]):
        async with world.applied("hitech-holder-passes") as (client, case, applicant):
            error = await stands_still(client, case)
            assert (error["code"], error["seat"]) == ("gateway-unreachable", 13)
            assert await world.on_chain(case) == (0, 0, 0)
    async with world.person(applicant.person) as client:
        assert (await client.settled(case, timeout=LONGEST))["status"] == Status.APPROVED
    await settled_once(world, case)


async def test_provider__unreachable__material_offered_then_asked_deadline_unchanged(
    world: World, cluster: Cluster
) -> None:
    wanted = "handler-identity-and-household"
    with cluster.supervisor.outage(cluster.own_process[POLICE]):
        async with (
            world.applied("gallery-passes") as (patient, waiting, applicant),
            world.applied("gallery-moved-recently") as (prompt, bringing, agent),
        ):
            plan = (await patient.plan(applicant.walk))["decide_by"]["day"]
            offered = await until_offered(patient, waiting)
            assert (offered["status"], [each["id"] for each in offered["materials_offered"]]) == (0, [wanted])
            assert offered["deadline"]["day"] == plan
            # Who has the paper at hand need not wait for the department.
            await until_offered(prompt, bringing)
            walk = replace(agent.walk, materials={**agent.walk.materials, wanted: {}})
            await prompt.amend(bringing, walk, [*agent.plan.materials_after, wanted])
            brought, returned = await asyncio.gather(
                prompt.settled(bringing, timeout=LONGEST), patient.settled(waiting, timeout=LONGEST)
            )
            assert (brought["status"], brought["materials_wanted"]) == (Status.ACCEPTED, [])
            assert returned["status"] == Status.RETURNED
            assert wanted in [each["id"] for each in returned["materials_wanted"]]
            assert returned["deadline"]["day"] == plan
            states = {each["item"]: each["state"] for each in returned["evidence"]}
            assert (states["E01.handler"], states["E05.company"]) == ("unavailable", "answered")


async def test_records__database_down_while_the_gateway_is_up__asked_again(world: World) -> None:
    with unplugged(world, POLICE):
        health = await world.http.get((await world.runtime.context.view.seat(2)).keyset.endpoint + "/health")
        assert health.status_code == 200
        async with world.applied("gallery-passes") as (client, case, _):  # people still sign in
            offered = await until_offered(client, case)
            assert [each["id"] for each in offered["materials_offered"]] == ["handler-identity-and-household"]
    async with world.person(world.demo["gallery-passes"].person) as client:
        assert (await client.settled(case, timeout=LONGEST))["status"] == Status.APPROVED
    await settled_once(world, case)


async def test_portal__killed_in_mid_pipeline__every_case_settles_exactly_once(world: World, cluster: Cluster) -> None:
    names = ["gallery-passes", "gallery-leased-passes", "registration-passes", "benefit-resigned", "gallery-abnormal"]
    async with asyncio.TaskGroup() as group:
        started = [group.create_task(submitted(world, name)) for name in names * 2]
    people = [task.result() for task in started]
    for pause in (0.0, 0.7):
        await asyncio.sleep(pause)
        cluster.supervisor.kill("portal")
        cluster.supervisor.restart("portal")
    for person, case in people:
        async with world.person(person) as client:
            shown = await client.settled(case, timeout=LONGEST)
            assert shown["sequence"] == 1
        await settled_once(world, case)


class _Remembering(ApplicantClient):
    """A client that keeps the addresses on which it came back to the portal."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.redirects: list[str] = []

    async def _return(self, redirect: str) -> dict[str, Any]:
        self.redirects.append(redirect)
        return await super()._return(redirect)


async def submitted(world: World, name: str) -> tuple[str, str]:
    """A demo applicant who submits and goes away: citizen number and case."""
    async with world.applied(name) as (_, case, applicant):
        return applicant.person, case


async def post(client: ApplicantClient, path: str, body: Any, headers: dict[str, str] | None = None) -> httpx.Response:
    """A request of a signed-in person, whatever comes of it."""
    given = {"authorization": f"Bearer {client._token}", **(headers or {})}
    url = client._portal + path
    if isinstance(body, dict):
        return await client._http.post(url, json=body, headers=given)
    return await client._http.post(url, content=body, headers=given | {"content-type": "application/json"})


def content(client: ApplicantClient) -> dict[str, Any]:
    """The body of a good application."""
    form = {"hash": "0x" + "ab" * 32, "sealed": {}}
    return {"scenario": "open-gallery", "answers": GALLERY, "form": form, "delivery": client.delivery.jwk}


async def stands_still(client: ApplicantClient, case: str) -> dict[str, Any]:
    """The error that keeps a case from going on."""
    end = time.monotonic() + LONGEST
    while time.monotonic() < end:
        shown = await client.case(case)
        if shown["error"] is not None and shown["stage"] == "decide":
            return dict(shown["error"])
        await asyncio.sleep(0.1)
    raise AssertionError("nothing keeps the case from going on")


async def until_offered(client: ApplicantClient, case: str) -> dict[str, Any]:
    """The case once it offers to bring a material instead of waiting."""
    end = time.monotonic() + LONGEST
    while time.monotonic() < end:
        shown = await client.case(case)
        if shown["materials_offered"]:
            return shown
        await asyncio.sleep(0.05)
    raise AssertionError("no material was offered")


async def settled_once(world: World, case: str) -> None:
    """That the ledger settled the case by one event for each number, and that our records say the same."""
    events = await world.events(case)
    rows = await world.rows(
        "select sequence, status, root from transition where case_id = %s and settled_at is not null order by 1", [case]
    )
    assert events == [(row["sequence"], row["status"], row["root"]) for row in rows]
    status, sequence, _ = await world.on_chain(case)
    assert [number for number, _, _ in events] == list(range(1, sequence + 1))
    assert events[-1][1] == status


@contextmanager
def unplugged(world: World, department: str) -> Iterator[None]:
    """The block runs while nobody can connect to a department's records."""
    admin = world.cluster.settings.require_database_url()
    name = database_of(department)
    with psycopg.connect(admin, autocommit=True) as connection:

        def let_in(allowed: bool) -> None:
            connection.execute(
                sql.SQL("alter database {} allow_connections {}").format(sql.Identifier(name), sql.Literal(allowed))
            )

        let_in(False)
        connection.execute("select pg_terminate_backend(pid) from pg_stat_activity where datname = %s", [name])
        try:
            yield
        finally:
            let_in(True)
