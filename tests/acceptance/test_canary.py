"""The canary: residents whose every field is a marker go through all scenarios; then everything is searched for the markers.

Departments hold their own; approvers read what the scenario seals to them, and the identity seat whom it signs in. Everybody and
everything else (the orchestrator's database, logs, files and traffic, the chain, other departments' databases and stores) must hold
no marker in any encoding and no unsalted digest of an identifier.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, LiteralString
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg import sql

from orchestrator.database import with_database
from orchestrator.demo.applicants import DemoApplicant
from orchestrator.devnet.cluster import today
from orchestrator.domain.case import Status
from orchestrator.domain.errors import Refused
from orchestrator.gateway.adapter import Adapter, load_adapters
from orchestrator.gateway.store import store_name
from orchestrator.identity.accounts import DEVELOPMENT_PASSCODE
from orchestrator.identity.mydata_client import MyDataClient
from orchestrator.identity.setup import DATABASE, seed_accounts
from orchestrator.protocol.answer import AnswerEnvelope, read_answer
from orchestrator.protocol.keyfolder import load_seat_keys
from orchestrator.protocol.material import Material, SealedMaterial, seal_material
from orchestrator.protocol.sealing import answer_info, unseal
from orchestrator.runtime import DATABASE as ORCHESTRATOR
from orchestrator.scenarios import department_files, load_catalogue, shipped
from orchestrator.seeding.city import RECORDS_FILE
from orchestrator.seeding.databases import database_of
from tests.support import places
from tests.support.canary import Canary, Marking, marked_applicant, marked_residents, seed_records
from tests.support.recording import Recording
from tests.support.search import Finding, Searcher
from tests.support.world import LONGEST, World

pytestmark = pytest.mark.anyio

FIRST, SECOND = 20261123, 20261124
"""Seeds: the residents of the canary, and those for whom the sealing is broken."""


PARK = "zgc-haidian-park"
"""Approves, and has a process of its own."""
PROVIDER = "beijing-public-security"
"""Seals values, and has a process of its own."""
OFFICERS, CONTESTED = "hitech-general", "gallery-abnormal"
"""Waits for an officer of the park; is contested by its applicant, and withdrawn."""
TRIES = 3
AT_ONCE = 5
"""Applicants who are at it together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Flight:
    """What the marked residents did, and what everybody held afterwards."""

    canary: Canary
    cases: Mapping[str, Mapping[str, Any]]
    """Applicant's id -> the case as the portal showed it in the end."""
    subjects: frozenset[str]
    """Texts of the markers that applicants themselves entered at the identity seat."""
    dossier: bytes
    """What the park's officer saw of the one case that needs an officer."""
    traffic: Mapping[str, bytes]
    """By process."""


async def settle_in(world: World, adapters: Mapping[str, Adapter], seed: int) -> tuple[Canary, Marking]:
    """Marked residents in the departments' records, with accounts at the identity seat."""
    admin = world.cluster.settings.require_database_url()
    canary = marked_residents(adapters, today(), seed=seed)
    await asyncio.to_thread(seed_records, admin, canary, adapters)
    await asyncio.to_thread(seed_accounts, with_database(admin, DATABASE), canary.people, profile="devnet")
    return canary, Marking(canary, seed="forms")


async def approved(world: World, applicant: DemoApplicant, at_once: asyncio.Semaphore) -> Mapping[str, Any]:
    """The applicant's case in the end. On a machine that is busy with other things a department may answer too late, the case is
    returned for a material, and the applicant applies again."""
    async with at_once, world.person(applicant.person) as client:
        for _ in range(TRIES):
            case = await client.apply(applicant.walk, list(applicant.plan.materials_after))
            shown = await client.settled(case, timeout=LONGEST)
            if shown["status"] == Status.APPROVED:
                break
        return shown


async def decided_by_officer(world: World, applicant: DemoApplicant) -> bytes:
    """An officer of the park opens a dossier and approves; what the officer saw, as JSON."""
    async with world.person(applicant.person) as client:
        case = await client.apply(applicant.walk, list(applicant.plan.materials_after))
        accepted = await client.settled(case, timeout=LONGEST)
        seen = await world.officers[PARK].look(case)
        await world.officers_decide(client, accepted, "approve")
    return json.dumps(seen).encode()


async def contested(world: World, applicant: DemoApplicant, why: str) -> None:
    """The applicant contests what market supervision said, until that has been told; then withdraws."""
    async with world.person(applicant.person) as client:
        case = await client.apply(applicant.walk, list(applicant.plan.materials_after))
        await client.settled(case, timeout=LONGEST)
        contest = await client.contest(case, "E06.company", ["not_on_abnormal_list"], why)
        await until(world, "select 1 from contest where hash = %s and state = 'open'", contest)
        await client.withdraw(case)


async def asked_who_looked(world: World, number: str) -> None:
    """Somebody asks every department, through the identity seat, who asked about them."""
    async with MyDataClient(world.cluster.identity) as person:
        await person.sign_in(number, DEVELOPMENT_PASSCODE)
        await person.act("look")


async def until(world: World, query: LiteralString, *parameters: str) -> None:
    """Waits until the orchestrator's database has such a row."""
    for _ in range(int(LONGEST / 0.1)):
        if await world.rows(query, parameters):
            return
        await asyncio.sleep(0.1)
    raise AssertionError(f"nothing came of: {query}")


async def looked_at_by_staff(world: World, cases: Sequence[str]) -> None:
    """Operator and auditor look at everything that is shown to them, and somebody at the services' metrics."""
    origins = (world.cluster.portal, world.cluster.identity)
    gateways = {urlsplit(seat.keyset.endpoint).netloc for seat in await world.runtime.context.view.seats()}
    for origin in (*origins, *(f"http://{place}" for place in sorted(gateways))):
        await world.http.get(f"{origin}/metrics")
    for headers in (world.operator, world.auditor):
        for path in ("operations/stages", "operations/batches", "cases", *(f"cases/{case}" for case in cases)):
            response = await world.http.get(f"{world.cluster.portal}/api/v1/{path}", headers=headers)
            assert response.status_code in (200, 403), (path, response.status_code)


@pytest.fixture(scope="module")
def adapters() -> Mapping[str, Adapter]:
    return load_adapters(department_files())


@pytest.fixture(scope="module")
async def flight(world: World, recording: Recording, adapters: Mapping[str, Adapter], data_dir: Path) -> Flight:
    """All scenarios, by everybody for whom they end in an approval."""
    canary, marking = await settle_in(world, adapters, FIRST)
    catalogue = load_catalogue()
    marked = {
        each.id: marked_applicant(each, shipped(each.walk.scenario, catalogue), canary, marking)
        for each in world.demo.values()
        if each.kind == "passes" or each.id in (OFFICERS, CONTESTED)
    }
    officers_case, contested_case = marked.pop(OFFICERS), marked.pop(CONTESTED)
    passing = list(marked.values())

    def seal_marked(material: Material, recipients: Mapping[int, Mapping[str, Any]]) -> SealedMaterial:
        content = marking.keep(marking.word(12), "text").encode()
        return seal_material(replace(material, content=content), recipients)

    at_once = asyncio.Semaphore(AT_ONCE)
    with pytest.MonkeyPatch.context() as patch, recording.on():
        patch.setattr("orchestrator.demo.applicant.seal_material", seal_marked)
        shown = await asyncio.gather(*(approved(world, each, at_once) for each in passing))
        dossier = await decided_by_officer(world, officers_case)
        await contested(world, contested_case, marking.keep(marking.word(12), "text"))
        await asked_who_looked(world, passing[0].person)
        await looked_at_by_staff(world, [case["id"] for case in shown])
    entered = {
        text
        for each in [*passing, officers_case, contested_case]
        for subjects in each.walk.subjects.values()
        for subject in subjects
        for text in (subject["id"], subject["name"], *subject["attributes"].values())
    }
    return Flight(
        canary=canary,
        cases={each.id: case for each, case in zip(passing, shown, strict=True)},
        subjects=frozenset(entered & canary.markers.keys()),
        dossier=dossier,
        traffic=recording.streams(),
    )


async def test_all_scenarios__by_marked_residents__approved(flight: Flight) -> None:
    came = {
        name: [row["row"] for row in case["reasons"]]
        for name, case in flight.cases.items()
        if case["status"] != Status.APPROVED
    }
    assert came == {}
    assert len({case["scenario"] for case in flight.cases.values()}) == 7


@pytest.fixture(scope="module")
def searcher(flight: Flight) -> Searcher:
    return Searcher(flight.canary.needles())


def everything(world: World, traffic: Mapping[str, bytes], data_dir: Path) -> dict[str, bytes]:
    """All places by name, as they are now."""
    settings = world.cluster.settings
    found = {f"database {name}": data for name, data in places.databases(settings.require_database_url())}
    found |= {f"file {name}": data for name, data in places.files(data_dir)}
    found |= {f"traffic of {name}": data for name, data in traffic.items()}
    return found | {"chain": places.chain(settings.require_node_url())}


def may_hold(flight: Flight, place: str, dossier: frozenset[str]) -> frozenset[str]:
    """Texts of the markers that may be in a place; everywhere else there may be none."""
    for department, held in flight.canary.holders.items():
        if place == f"database {database_of(department)}":
            return frozenset(held)
    if place == f"database {DATABASE}":
        return frozenset(text for account in flight.canary.people for text in account)
    seen = {"traffic of identity": flight.subjects, f"traffic of gateway---departments-{PARK}": dossier}
    return seen.get(place, frozenset())


async def test_canary__everything_that_is_not_the_owner_or_reader__holds_no_marker(
    world: World, flight: Flight, searcher: Searcher, data_dir: Path
) -> None:
    dossier = frozenset(each.marker for each in searcher.search("dossier", flight.dossier))
    assert len(dossier) > 5
    wrong: list[Finding] = []
    for place, data in everything(world, flight.traffic, data_dir).items():
        allowed, found = may_hold(flight, place, dossier), searcher.search(place, data)
        wrong += [each for each in found if each.marker not in allowed or each.digest]
        if place.startswith("database dept_"):  # the same search finds all that the owner holds, so it does find
            assert allowed == {each.marker for each in found}
    assert wrong == []


async def test_canary__answers__open_to_their_readers_alone_and_say_what_the_scenario_lets_them(
    world: World, flight: Flight
) -> None:
    settings, read = world.cluster.settings, set()
    catalogue = load_catalogue()
    keys = {
        profile.seat: load_seat_keys(settings.keys_dir / profile.id, settings.passphrase(), ["sealing"]).sealing
        for profile in catalogue.departments.values()
    }
    departments = {profile.seat: profile.id for profile in catalogue.departments.values()}
    for shown in flight.cases.values():
        scenario = shipped(shown["scenario"], catalogue)
        binding = await world.runtime.context.view.binding(shown["binding"])
        readers = dict(zip(scenario.approvers, binding.approvers, strict=True))
        for row in await world.rows(
            "select item, seat, envelope from question where case_id = %s and state = 'answered'", [shown["id"]]
        ):
            envelope, item = AnswerEnvelope.parse(row["envelope"]), scenario.item(row["item"])
            jwk = (await world.runtime.context.view.seat(row["seat"])).keyset.key("evidence")
            open_claims = read_answer(envelope, jwk).claims
            assert open_claims.keys() == {each.key for each in item.claims if not each.sealed_to}
            for claim in item.claims:
                if not claim.sealed_to and catalogue.evidence(item.type).claim(claim.claim).type == "predicate":
                    assert open_claims[claim.key] in (True, False, "unknown")
            for seat, key in keys.items():
                opened = read_answer(envelope, jwk, private=key, seat=seat).claims
                mine = {claim.key for claim in item.claims if seat in {readers[role] for role in claim.sealed_to}}
                assert opened.keys() - open_claims.keys() == mine
                read |= {(seat, row["seat"], text) for text in map(str, opened.values())}
                for reader, blob in envelope.sealed.items():
                    if int(reader) != seat:
                        with pytest.raises(Refused):
                            unseal(key, blob, info=answer_info(envelope.question, envelope.attempt, int(reader)))
    markers = {(seat, provider, text) for seat, provider, text in read if text in flight.canary.markers}
    assert len({text for _, _, text in markers}) > 30
    # What is opened is the provider's own record, or what the applicant asked about.
    assert [
        (provider, text)
        for _, provider, text in markers
        if text not in flight.canary.holders[departments[provider]] | flight.subjects
    ] == []


# A curious database administrator, at each place: everything that the place's database holds, and nothing else.


async def test_administrator__of_the_orchestrator__reads_nothing_of_a_record(
    world: World, flight: Flight, searcher: Searcher
) -> None:
    held = places.dump(with_database(world.cluster.settings.require_database_url(), ORCHESTRATOR))
    assert all(case["id"].encode() in held for case in flight.cases.values())
    assert searcher.search(ORCHESTRATOR, held) == []


async def test_administrator__of_a_gateway_s_store__reads_nothing_of_a_record(
    world: World, flight: Flight, searcher: Searcher
) -> None:
    """Not even of the department's own: answers with their values sealed, mandates with their subjects sealed."""
    admin, found = world.cluster.settings.require_database_url(), {}
    for department in flight.canary.holders:
        held = places.dump(with_database(admin, store_name(department)))
        found[department] = searcher.search(department, held)
    assert {department: each for department, each in found.items() if each} == {}


async def test_administrator__of_the_identity_seat__reads_accounts_and_no_more(
    world: World, flight: Flight, searcher: Searcher
) -> None:
    held = places.dump(with_database(world.cluster.settings.require_database_url(), DATABASE))
    found = searcher.search(DATABASE, held)
    assert [each for each in found if each.digest] == []
    assert {each.marker for each in found} == {text for account in flight.canary.people for text in account}
    # Companies, premises and other people were entered as subjects, and are gone.
    assert flight.subjects - {each.marker for each in found}


async def test_administrator__of_one_department__cannot_enter_another_s_records(
    world: World, flight: Flight, adapters: Mapping[str, Adapter]
) -> None:
    """The role that a gateway reads records with: no other department's database lets it in, no other table lets it read."""
    settings = world.cluster.settings
    admin = settings.require_database_url()
    with psycopg.connect(admin) as connection:
        names = [row[0] for row in connection.execute("select datname from pg_database where datallowconn")]
    own = database_of(PROVIDER)
    reader = (settings.keys_dir / PROVIDER / RECORDS_FILE).read_text().strip()
    refused = []
    for name in names:
        dsn = with_database(admin, name)
        with psycopg.connect(dsn) as connection:
            tables = connection.execute("select tablename from pg_tables where schemaname = 'public'").fetchall()
        try:
            with psycopg.connect(with_database(reader, name), autocommit=True) as connection:
                for (table,) in tables if name != own else ():
                    with pytest.raises(psycopg.errors.InsufficientPrivilege):
                        connection.execute(sql.SQL("select * from {} limit 1").format(sql.Identifier(table)))
        except psycopg.OperationalError:
            refused.append(name)
    assert set(refused) >= {database_of(each) for each in adapters if each != PROVIDER}
    assert own not in refused
    with psycopg.connect(with_database(reader, own), autocommit=True) as connection:
        assert connection.execute("select count(*) from rk_czrk").fetchone()
        for statement in ("update rk_czrk set xm = ''", "create temporary table copied (n int)"):
            with pytest.raises(psycopg.Error):
                connection.execute(sql.SQL(statement))


async def test_canary__sealing_broken_on_purpose__found(
    world: World, recording: Recording, adapters: Mapping[str, Adapter], data_dir: Path
) -> None:
    """The gateway of public security, with the one function that seals only encoding: the search says so."""
    canary, marking = await settle_in(world, adapters, SECOND)
    applicant = marked_applicant(
        world.demo["gallery-passes"], shipped("open-gallery", load_catalogue()), canary, marking
    )
    recording.clear()
    with restarted(world, PROVIDER, CANARY_BREAK="sealing"), recording.on():
        async with world.person(applicant.person) as client:
            case = await client.apply(applicant.walk, list(applicant.plan.materials_after))
            await until(
                world, "select 1 from question where case_id = %s and item = 'E01.handler' and state = 'answered'", case
            )
            await client.withdraw(case)
    name = dict(canary.people)[applicant.person]
    searcher = Searcher(canary.markers[name].needles())
    admin = world.cluster.settings.require_database_url()
    held = {f"traffic of {process}": data for process, data in recording.streams().items()}
    held |= {each: places.dump(with_database(admin, each)) for each in (ORCHESTRATOR, store_name(PROVIDER))}
    leaks = {place for place, data in held.items() if any(not each.digest for each in searcher.search(place, data))}
    assert leaks >= {ORCHESTRATOR, store_name(PROVIDER), "traffic of portal"}


@contextmanager
def restarted(world: World, department: str, **environment: str) -> Iterator[None]:
    """The block runs while a department's gateway process runs with these variables in its environment."""
    supervisor, process = world.cluster.supervisor, world.cluster.own_process[department]
    try:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in environment.items():
                patch.setenv(name, value)
            supervisor.stop(process)
            supervisor.restart(process)
        yield
    finally:
        supervisor.stop(process)
        supervisor.restart(process)
