"""Seeding: the same again, consistent in itself, and what readers see meanwhile."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections import Counter
from datetime import date, timedelta

import psycopg
import pytest

from orchestrator.domain.errors import Invalid, Unavailable
from orchestrator.domain.identifiers import citizen_number_problem, uscc_problem
from orchestrator.gateway.records import Ask, ClaimAsk, Party, Records
from orchestrator.scenarios import FOLDER
from orchestrator.seeding.cast import Cast, read_cast
from orchestrator.seeding.cast_world import cast_world
from orchestrator.seeding.databases import create_department_databases
from orchestrator.seeding.population import populate
from orchestrator.seeding.rows import TABLES
from orchestrator.seeding.seed import accounts, make_world, seed_databases
from orchestrator.seeding.world import World, months_before
from tests.support.departments import SEEDING_DAY, SeededDepartments


@pytest.fixture(scope="module")
def cast() -> Cast:
    return read_cast((FOLDER / "cast.yaml").read_text("utf-8"))


@pytest.fixture(scope="module")
def world(cast: Cast) -> World:
    return make_world(cast, day=SEEDING_DAY, residents=3000, enterprises=800)


def digest(world: World) -> str:
    rows = (f"{name}{row}" for name in sorted(TABLES) for row in TABLES[name].rows(world))
    return hashlib.sha256("\n".join(rows).encode()).hexdigest()


def test_make_world__same_seed_and_day__same_rows(cast: Cast) -> None:
    first, again = (make_world(cast, day=SEEDING_DAY, residents=500, enterprises=100) for _ in range(2))
    other_seed = make_world(cast, day=SEEDING_DAY, residents=500, enterprises=100, seed=2)
    other_day = make_world(cast, day=SEEDING_DAY + timedelta(days=1), residents=500, enterprises=100)

    assert digest(first) == digest(again)
    assert len({digest(first), digest(other_seed), digest(other_day)}) == 3


def test_populate__any_process_and_machine__the_pinned_rows() -> None:
    # Nothing may depend on a process's hash seed, on a dict's order or on the clock.
    world = populate(day=SEEDING_DAY, residents=50, enterprises=20, seed=1)

    assert digest(world) == "b46de1223a090bc7b7ae7db274650aaf300205cfeb2a9dbe69a52d9cbf68356b"


def test_make_world__population__numbers_are_valid_and_nobody_twice(world: World) -> None:
    numbers = Counter(person.number for person in world.people)
    codes = Counter(company.uscc for company in world.companies)

    assert {problem for number in numbers if (problem := citizen_number_problem(number))} == set()
    assert {problem for code in codes if (problem := uscc_problem(code))} == set()
    assert max(numbers.values()) == max(codes.values()) == 1
    assert all(number.startswith("110199") for number in numbers)
    assert all(code[8:12] == "MBXY" for code in codes)
    assert {shop for person in world.people if (shop := person.shop) and uscc_problem(shop)} == set()
    assert len({company.name for company in world.companies}) == len(world.companies)
    assert len({premises.unit for premises in world.premises}) == len(world.premises)
    titles = [premises.title for premises in world.premises if premises.title]
    assert len(set(titles)) == len(titles)


def test_make_world__population__departments_agree_on_the_same_person(world: World) -> None:
    people = {person.number: person for person in world.people}
    population = [person for person in world.people if int(person.number[14:17]) >= 100]
    for person in population:
        if person.marriage is not None and not person.marriage.divorced and person.marriage.spouse_number in people:
            other = people[person.marriage.spouse_number]
            assert other.marriage is not None
            assert other.marriage.spouse_number == person.number
            assert other.sex != person.sex
            assert person.marital == other.marital == "20"
        if person.termination is not None:
            assert person.insurance is not None
            assert not person.insurance.insured
            assert max(person.insurance.months) <= f"{person.termination.ended:%Y%m}"
            assert person.termination.reported <= world.day
        if person.insurance is not None:
            months = person.insurance.months + person.insurance.arrears
            assert len(set(months)) == len(months)
            assert max(months) < f"{world.day:%Y%m}"
        if person.died is not None:
            assert person.insurance is None
    for premises in world.premises:
        assert premises.owners or not premises.title


def test_make_world__population__has_every_kind_of_case(world: World) -> None:
    counts = Counter[str]()
    for name, dealt in TABLES.items():
        counts[name] = sum(1 for _ in dealt.rows(world))

    assert min(counts.values()) > 0, counts
    assert counts["zj_zlba"] < sum(1 for premises in world.premises if premises.use != "住宅") / 2
    bare = [p for c in world.companies for p in c.patents if not p.uscc]
    old = [p for c in world.companies for p in c.patents if p.granted.year < 2019]
    assert 0.3 < len(bare) / len(old) < 0.7
    assert any(c.abnormal and c.abnormal.until for c in world.companies)
    assert {person.marital for person in world.people} >= {"10", "20", "40"}


@pytest.mark.parametrize(
    ("day", "count", "skip", "expected"),
    [
        (date(2026, 3, 2), 2, 0, ("202601", "202602")),
        (date(2026, 1, 31), 2, 0, ("202511", "202512")),
        (date(2026, 3, 31), 1, 2, ("202512",)),
        (date(2026, 3, 31), 0, 0, ()),
    ],
)
def test_months_before__turn_of_the_year__right_months(
    day: date, count: int, skip: int, expected: tuple[str, ...]
) -> None:
    assert months_before(day, count, skip=skip) == expected


@pytest.mark.parametrize("day", [date(2024, 2, 29), date(2026, 1, 1), date(2026, 12, 31), date(2027, 8, 31)])
def test_cast_world__any_day__can_be_dealt_out(cast: Cast, day: date) -> None:
    world = make_world(cast, day=day, residents=200, enterprises=50)

    assert all(len(row) == len(dealt.columns) for dealt in TABLES.values() for row in dealt.rows(world))


def test_cast__numbers__valid_and_as_the_fixtures_need(cast: Cast) -> None:
    for key, person in cast.people.items():
        assert citizen_number_problem(person.number) is None, key
        assert int(person.number[14:17]) < 100, key
    assert {problem for company in cast.companies.values() if (problem := uscc_problem(company.uscc))} == set()
    assert all(len(premises.unit) == 28 for premises in cast.premises.values())
    assert all(re.fullmatch(r"GR\d{4}11\d{6}", c.hitech["number"]) for c in cast.companies.values() if c.hitech)


def test_read_cast__unknown_field__invalid_names_it(cast: Cast) -> None:
    text = (FOLDER / "cast.yaml").read_text("utf-8").replace("    moved: -12\n", "    mooved: -12\n")

    with pytest.raises(Invalid) as caught:
        read_cast(text)

    assert caught.value.field == "cast.people.li-jingqian.mooved"


def test_cast_world__representative_unknown__invalid(cast: Cast) -> None:
    company = cast.companies["E001"].model_copy(update={"representative": "nobody"})

    with pytest.raises(Invalid):
        cast_world(cast.model_copy(update={"companies": {"E001": company}}), SEEDING_DAY)


def test_rows__every_table__has_the_columns_of_its_adapter(departments: SeededDepartments) -> None:
    tables = {name: table for adapter in departments.adapters.values() for name, table in adapter.tables().items()}

    assert {name: set(dealt.columns) for name, dealt in TABLES.items()} == {
        name: set(table.columns) for name, table in tables.items()
    }


def test_seed_databases__databases__hold_exactly_the_rows(departments: SeededDepartments) -> None:
    for department, adapter in departments.adapters.items():
        with psycopg.connect(departments.databases[department].reader) as connection:
            for name in adapter.tables():
                columns = ", ".join(TABLES[name].columns)
                found = connection.execute(f"select {columns} from {name}").fetchall()
                expected = list(TABLES[name].rows(departments.world))
                assert departments.seeded.rows[name] == len(expected) == len(found)
                assert Counter(map(plain, found)) == Counter(map(plain, expected))


def plain(row: tuple[object, ...]) -> tuple[str, ...]:
    """Values as text; CHAR columns come back padded with spaces."""
    return tuple("" if value is None else str(value).strip() for value in row)


def test_seed_databases__again__same_digest_and_rows(departments: SeededDepartments) -> None:
    again = seed_databases(departments.databases.values(), departments.adapters, departments.world)

    assert again == departments.seeded


def test_seed_databases__while_a_reader_asks__old_rows_or_new_ones(departments: SeededDepartments) -> None:
    person = departments.cast.people["chen-hua"]
    ask = Ask(
        evidence="E01",
        claims=(ClaimAsk(key="x", claim="identity_matches"),),
        subject=Party(type="citizen", id=person.number, name=person.name),
    )
    department = "beijing-public-security"

    async def run() -> set[object]:
        seen: set[object] = set()
        async with Records(departments.databases[department].reader, departments.adapters[department]) as records:
            task = asyncio.create_task(
                asyncio.to_thread(
                    seed_databases, [departments.databases[department]], departments.adapters, departments.world
                )
            )
            while not task.done():
                seen.add((await records.read([ask], departments.day))[0]["x"])
            await task
        return seen

    assert asyncio.run(run()) == {True}


def test_create_department_databases__adapter_has_grown__rows_kept_and_column_added(
    departments: SeededDepartments, pg_admin_dsn: str
) -> None:
    adapter = departments.adapters["zgc-haidian-park"]
    record = adapter.records["R34"]
    table = record.tables["zg_gxqy"]
    added = next(iter(table.columns.values())).model_copy(update={"type": "date", "comment": "复审日期"})
    grown = table.model_copy(update={"columns": {**table.columns, "fsrq": added}})
    record = record.model_copy(update={"tables": {"zg_gxqy": grown, "zg_new": table}})
    adapter = adapter.model_copy(update={"records": {"R34": record}})
    passwords = {"dept_zgc_haidian_park": "a-new-one", "dept_zgc_haidian_park_reader": "another"}

    [database] = create_department_databases(pg_admin_dsn, [adapter], passwords)

    try:
        with psycopg.connect(database.reader) as connection:
            [(count, filled)] = connection.execute("select count(*), count(fsrq) from zg_gxqy").fetchall()
            assert (count, filled) == (departments.seeded.rows["zg_gxqy"], 0)
            assert connection.execute("select count(*) from zg_new").fetchall() == [(0,)]
    finally:
        with psycopg.connect(database.owner) as connection:
            connection.execute("alter table zg_gxqy drop column fsrq")
            connection.execute("drop table zg_new")
        with psycopg.connect(pg_admin_dsn, autocommit=True) as connection:
            for made in ("owner", "reader"):
                info = psycopg.conninfo.conninfo_to_dict(getattr(departments.databases["zgc-haidian-park"], made))
                connection.execute(f"alter role {info['user']} password '{info['password']}'")


def test_create_department_databases__no_server__unavailable(departments: SeededDepartments) -> None:
    with pytest.raises(Unavailable):
        create_department_databases("postgresql://x:y@127.0.0.1:9/postgres", departments.adapters.values(), {})


def test_department_database__printed__without_password(departments: SeededDepartments) -> None:
    database = departments.databases["beijing-tax"]

    assert psycopg.conninfo.conninfo_to_dict(database.owner)["password"] not in repr(database)


def test_accounts__cast_and_residents__living_and_nobody_twice(cast: Cast, world: World) -> None:
    found = accounts(cast, world)

    numbers = [number for number, _ in found]
    assert len(set(numbers)) == len(numbers) == len(cast.people) - 1 + 200
    assert ("110199198806120116", "陈画") in found
    assert "11019919491001047X" not in numbers
    people = {person.number: person for person in world.people}
    for number in numbers[len(cast.people) :]:
        assert people[number].died is None
        assert people[number].born <= date(2008, 3, 2)
