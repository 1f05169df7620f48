"""A changed scenario and a new one, put to work by the command line while everything runs."""

from __future__ import annotations

import asyncio
import csv
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from orchestrator.demo.applicant import ApplicantClient, Walk
from orchestrator.demo.applicants import DemoApplicant
from orchestrator.devnet.cluster import today
from orchestrator.domain.case import Status
from orchestrator.scenarios import FOLDER
from orchestrator.seeding.cast import Cast, read_cast
from tests.support.commands import lianban
from tests.support.world import LONGEST, World

pytestmark = pytest.mark.anyio

CULTURE = "haidian-culture-tourism"
DONOR_CARD = Path(__file__).parent / "data" / "donor-card"
GALLERY = (FOLDER / "open-gallery.yaml").read_text("utf-8")
AREA = "250.00"
"""Below the limit that ships and above the one that the test sets."""


@pytest.fixture(scope="module")
def cast() -> Cast:
    return read_cast((FOLDER / "cast.yaml").read_text("utf-8"))


def processes(world: World) -> dict[str, int]:
    """Process ids of everything that runs: the same before and after means that nothing was restarted."""
    names = ("identity", "gateways", "portal", *world.cluster.own_process.values())
    return {name: world.cluster.supervisor.pid(name) for name in names}


async def shown(world: World, scenario: str) -> dict[str, Any]:
    """A scenario as the portal shows it to anybody."""
    response = await world.http.get(f"{world.cluster.portal}/api/v1/scenarios/{scenario}")
    response.raise_for_status()
    found: dict[str, Any] = response.json()
    return found


async def planned(world: World, scenario: str, answers: dict[str, Any]) -> dict[str, Any]:
    response = await world.http.post(
        f"{world.cluster.portal}/api/v1/scenarios/{scenario}/plan", json={"answers": answers}
    )
    response.raise_for_status()
    found: dict[str, Any] = response.json()
    return found


def figures(plan: dict[str, Any]) -> tuple[int, int, int, int, int]:
    """Materials before and after, days before and after, trips."""
    return (
        len(plan["materials_before"]),
        len(plan["materials_after"]),
        plan["before"]["value"],
        plan["after"]["value"],
        plan["trips_after"]["most"],
    )


def rows(case: dict[str, Any]) -> list[str]:
    return [each["row"] for each in case["reasons"]]


def wanted(case: dict[str, Any]) -> list[str]:
    return [each["id"] for each in case["materials_wanted"]]


async def offered(world: World, scenario: str, number: int) -> None:
    """Waits until the portal, which looks at the chain every other second, offers a scenario under this binding."""
    for _ in range(100):
        listed = await world.http.get(f"{world.cluster.portal}/api/v1/scenarios")
        if (scenario, number) in {(each["id"], each["binding"]) for each in listed.json()["scenarios"]}:
            return
        await asyncio.sleep(0.1)
    raise AssertionError(f"{scenario} is not offered under binding {number}")


@asynccontextmanager
async def bound(world: World, data_dir: Path, file: Path, lead: str) -> AsyncIterator[int]:
    """Publishes and binds a scenario file by the command line; afterwards the binding takes no new cases."""
    published = await lianban(data_dir, "scenario", "publish", file)
    assert published.code == 0, published.text
    done = await lianban(data_dir, "scenario", "bind", file)
    assert done.code == 0, done.text
    found = re.search(r"binding (\d+)", done.text)
    assert found is not None, done.text
    number = int(found[1])
    await offered(world, file.stem, number)
    try:
        yield number
    finally:
        ended = await lianban(data_dir, "scenario", "retire", number, lead)
        assert ended.code == 0, ended.text


async def test_changed_scenario__published_and_bound_while_running__decides_new_cases_only(
    world: World, data_dir: Path, tmp_path: Path
) -> None:
    """The limit of the gallery's decoration area goes from 300 to 200 m², for somebody with 250 m²."""
    file = tmp_path / "open-gallery.yaml"
    file.write_text(GALLERY.replace("&area_limit 300", "&area_limit 200"), "utf-8")
    running, before = processes(world), await shown(world, "open-gallery")
    applicant: DemoApplicant = world.demo["gallery-identity-brought"]
    answers = {**applicant.walk.answers, "decoration_area_m2": AREA}
    assert figures(await planned(world, "open-gallery", answers)) == (4, 2, 6, 2, 0)

    async with world.applied("gallery-identity-brought", answers=answers) as (client, old, _):
        returned = await client.settled(old, timeout=LONGEST)
        assert (returned["status"], wanted(returned)) == (Status.RETURNED, ["handler-identity-and-household"])

        text = ",".join(f"{name}={value}" for name, value in answers.items())
        plan = await lianban(data_dir, "scenario", "plan", file, "--answers", text)
        assert plan.code == 0, plan.text
        assert "materials 5 → 2" in plan.text
        assert "6 working days → " in plan.text
        assert "4 working days" in plan.text

        async with bound(world, data_dir, file, CULTURE) as number:
            after = await shown(world, "open-gallery")
            assert after["binding"] == number > before["binding"]
            assert after["version"] != before["version"]
            assert figures(await planned(world, "open-gallery", answers)) == (5, 2, 6, 4, 1)

            new, supplemented = await asyncio.gather(
                new_case(world, answers), supplement(world, client, old, applicant, answers)
            )
            assert (new["status"], new["version"], new["binding"]) == (Status.RETURNED, after["version"], number)
            assert (rows(new), wanted(new)) == (["GAL-09", "COM-07"], ["fire-acceptance-document"])

            # The case of before keeps its binding and its rules: nobody asks it for a fire acceptance.
            assert (supplemented["version"], supplemented["binding"]) == (before["version"], before["binding"])
            assert supplemented["status"] == Status.APPROVED
            assert "GAL-09" not in rows(supplemented)
            assert not [each for each in supplemented["evidence"] if each["type"] == "E13"]

            # Binding what was there before changes nothing while the newer one is live, and the command says so.
            again = await lianban(data_dir, "scenario", "bind", FOLDER / "open-gallery.yaml")
            assert (again.code, f"binding {before['binding']}" in again.text) == (0, True), again.text
            assert f"newer binding {number}: retire it first" in again.text

            await amended_texts(world, data_dir, tmp_path, after)

    assert processes(world) == running
    await offered(world, "open-gallery", before["binding"])
    assert await shown(world, "open-gallery") == before


async def new_case(world: World, answers: dict[str, Any]) -> dict[str, Any]:
    """Somebody who passes with 250 m² under the rules that ship, applies under the new ones."""
    return await world.settled("gallery-passes", answers={**answers, "handler_household": "beijing"})


async def supplement(
    world: World, client: ApplicantClient, case: str, applicant: DemoApplicant, answers: dict[str, Any]
) -> dict[str, Any]:
    """Brings what the old case was returned for; an officer decides it."""
    walk = Walk(scenario="open-gallery", answers=answers, form=applicant.walk.form, subjects=applicant.walk.subjects)
    await client.amend(case, walk, [*applicant.plan.materials_after, *applicant.brings])
    accepted = await client.settled(case, after=1, timeout=LONGEST)
    assert accepted["status"] == Status.ACCEPTED, accepted["reasons"]
    return await world.officers_decide(client, accepted, "approve")


async def amended_texts(world: World, data_dir: Path, folder: Path, before: dict[str, Any]) -> None:
    """A corrected typo is no new version, needs no new binding, and is what people read from then on."""
    file = folder / "texts.yaml"
    file.write_text(
        GALLERY.replace("&area_limit 300", "&area_limit 200").replace(
            "300平方米以下含300平方米, en: 300 m² or less includes 300.00",
            "200平方米以下含200平方米, en: 200 m² or less includes 200.00",
        ),
        "utf-8",
    )
    done = await lianban(data_dir, "scenario", "publish", file)
    assert done.code == 0, done.text
    assert before["version"] in done.text
    after = await shown(world, "open-gallery")
    assert (after["version"], after["binding"]) == (before["version"], before["binding"])
    area = next(each for each in after["questions"] if each["id"] == "decoration_area_m2")
    assert area["help"] == {"zh": "200平方米以下含200平方米", "en": "200 m² or less includes 200.00"}
    assert await world.runtime.context.view.texts_revision(after["version"]) == 1
    # Whoever signs from now on is shown the amended texts, and the mandate names them.
    answers = {**world.demo["gallery-passes"].walk.answers, "decoration_area_m2": "200.00"}
    case = await world.settled("gallery-passes", answers=answers)
    assert (case["status"], case["version"]) == (Status.APPROVED, after["version"])


# A scenario outside the seven, with a record and an evidence that no department had before.


def donors(cast: Cast, file: Path) -> None:
    """The new table's rows, dated relative to today: who gave blood how often."""
    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["xxbh", "gmsfhm", "xxrq", "xxl", "zt"])
        for person, times in (("chen-hua", 22), ("tang-huashang", 20), ("li-jingqian", 3)):
            for n in range(times):
                day = today() - timedelta(days=30 + 90 * n)
                writer.writerow([f"{person}-{n}"[:20], cast.people[person].number, day.isoformat(), 200, "1"])


@pytest.fixture(scope="module")
async def donor_card(world: World, data_dir: Path, cast: Cast) -> AsyncIterator[int]:
    """The scenario at work; its binding's number."""
    running = processes(world)
    file, department = DONOR_CARD / "donor-card.yaml", DONOR_CARD / "department.yaml"
    table = data_dir / "donors.csv"
    donors(cast, table)
    checked = await lianban(data_dir, "scenario", "check", file, "--department", department)
    assert checked.code == 0, checked.text
    seeded = await lianban(data_dir, "seed", "--department", department, "--rows", f"wj_xxjl={table}")
    assert seeded.code == 0, seeded.text
    assert "wj_xxjl: 45" in seeded.text
    async with bound(world, data_dir, file, "haidian-health") as number:
        yield number
    assert processes(world) == running


def subject(cast: Cast, key: str) -> dict[str, Any]:
    person = cast.people[key]
    return {"type": "citizen", "id": person.number, "name": person.name, "attributes": {}}


def card(cast: Cast, donor: str, *, child: str | None = None, delivery: str = "electronic", **more: Any) -> Walk:
    """An application for a donor's card, by a child when one is given."""
    subjects = {"donor": [subject(cast, donor)]} | ({"child": [subject(cast, child)]} if child else {})
    return Walk(
        scenario="donor-card",
        answers={"applies_for": "parent" if child else "self", "delivery": delivery},
        form={"donations": 22},
        subjects=subjects,
        **more,
    )


@asynccontextmanager
async def applied(
    world: World, walk: Walk, materials: Sequence[str] = ("card-application",)
) -> AsyncIterator[tuple[ApplicantClient, str]]:
    principal = walk.subjects.get("child", walk.subjects["donor"])[0]
    async with world.person(principal["id"]) as client:
        yield client, await client.apply(walk, materials)


async def test_new_scenario__plan__materials_replaced_by_the_new_evidence(donor_card: int, world: World) -> None:
    plan = await planned(world, "donor-card", {"applies_for": "self", "delivery": "electronic"})
    assert figures(plan) == (3, 1, 10, 0, 0)
    assert [each["item"] for each in plan["evidence"]] == ["E01.donor", "E40.donor"]
    assert (await shown(world, "donor-card"))["binding"] == donor_card


async def test_new_scenario__new_record_says_yes__approved_with_credential(
    donor_card: int, world: World, cast: Cast
) -> None:
    async with applied(world, card(cast, "chen-hua")) as (client, case):
        found = await client.settled(case, timeout=LONGEST)
        assert (found["status"], found["binding"], rows(found)) == (Status.APPROVED, donor_card, ["DON-99"])
        answered = {(each["department"], each["type"], each["state"]) for each in found["evidence"]}
        assert ("haidian-health", "E40", "answered") in answered
        assert (await world.on_chain(case))[0] == Status.APPROVED
        _, disclosed = await client.credential(case)
        assert credential_values(disclosed) >= {"陈画", 22}


async def test_new_scenario__by_a_child__donor_consents_and_power_of_attorney_is_read(
    donor_card: int, world: World, cast: Cast
) -> None:
    power = {"states_matter": True, "states_powers": True, "signed": True}
    later = {**power, "valid_until": (today() + timedelta(days=90)).isoformat()}
    walk = card(cast, "tang-huashang", child="han-keji", delivery="window", materials={"power-of-attorney": later})
    async with applied(world, walk, ["card-application", "power-of-attorney"]) as (client, case):
        found = await client.settled(case, timeout=LONGEST)
        assert (found["status"], rows(found)) == (Status.APPROVED, ["DON-99"])


async def test_new_scenario__no_record__material_brought_and_officer_decides(
    donor_card: int, world: World, cast: Cast
) -> None:
    walk = card(cast, "wang-waibu", materials={"donation-certificate": {"donations": 21}})
    async with applied(world, walk) as (client, case):
        returned = await client.settled(case, timeout=LONGEST)
        assert (returned["status"], wanted(returned)) == (Status.RETURNED, ["donation-certificate"])
        assert "DON-02" in rows(returned)
        await client.amend(case, walk, ["card-application", "donation-certificate"])
        accepted = await client.settled(case, after=1, timeout=LONGEST)
        assert accepted["status"] == Status.ACCEPTED
        decided = await world.officers_decide(client, accepted, "approve")
        assert (decided["status"], decided["sequence"]) == (Status.APPROVED, 3)


async def test_new_scenario__too_few_donations__refused_once_an_officer_confirms(
    donor_card: int, world: World, cast: Cast
) -> None:
    async with applied(world, card(cast, "li-jingqian")) as (client, case):
        waiting = await client.settled(case, timeout=LONGEST)
        assert (waiting["status"], rows(waiting)) == (Status.ACCEPTED, ["DON-01"])
        refused = await world.officers_decide(client, waiting, "refuse")
        assert refused["status"] == Status.REFUSED
        assert (await world.on_chain(case))[0] == Status.REFUSED


async def test_new_scenario__bound_again__same_binding(donor_card: int, data_dir: Path) -> None:
    again = await lianban(data_dir, "scenario", "bind", DONOR_CARD / "donor-card.yaml")
    assert f"binding {donor_card}" in again.text


def credential_values(disclosed: Sequence[str]) -> set[Any]:
    from orchestrator.protocol.sdjwt import open_disclosure

    return {value for _, value in map(open_disclosure, disclosed) if isinstance(value, str | int)}
