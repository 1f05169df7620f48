"""Records: every claim of every department against the cast, and what reading promises besides."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.domain.errors import Invalid, Unavailable
from orchestrator.domain.names import plain_name
from orchestrator.gateway.adapter import Adapter, expand
from orchestrator.gateway.records import Ask, ClaimAsk, Party, Records, _statement
from orchestrator.seeding.cast import Cast
from orchestrator.seeding.databases import database_of
from tests.support.departments import SeededDepartments

CASES: dict[str, list[dict[str, Any]]] = yaml.safe_load(
    (Path(__file__).parents[2] / "vectors/departments/claims.yaml").read_text("utf-8")
)
FLAT = [(evidence, number) for evidence, cases in CASES.items() for number in range(len(cases))]


def party(cast: Cast, key: str, case: Mapping[str, Any] | None = None) -> Party:
    """A fixture of the cast as a party; `case` may change its type, name or attributes."""
    case = case or {}
    attributes: dict[str, Any] = {}
    if key == "nobody" and case["type"] == "name":
        kind, number, name = "name", case["id"], case["id"]
    elif key == "nobody":
        kind, number, name = case["type"], "000000000000000000", "无"
    elif key in cast.people:
        kind, number, name = "citizen", cast.people[key].number, cast.people[key].name
    elif key in cast.companies:
        kind, number, name = "uscc", cast.companies[key].uscc, cast.companies[key].name
    elif key in cast.premises:
        premises = cast.premises[key]
        kind, number, name = "title", premises.title, ""
        attributes = {"unit": premises.unit}
        if case.get("as") == "unit":
            kind, number, attributes = "unit", premises.unit, {}
    elif key in cast.contracts:
        kind, number, name = "contract", cast.contracts[key].number, ""
    else:
        kind, number, name = "laboratory", cast.laboratories[key].number, cast.laboratories[key].name
    return Party(type=kind, id=number, name=case.get("name", name), attributes=case.get("attributes", attributes))


def provider(departments: SeededDepartments, evidence: str) -> Adapter:
    return next(adapter for adapter in departments.adapters.values() if evidence in adapter.evidence)


def read(
    departments: SeededDepartments, asks: Sequence[Ask], day: date, adapter: Adapter | None = None
) -> list[dict[str, Any]]:
    adapter = adapter or provider(departments, asks[0].evidence)

    async def run() -> list[dict[str, Any]]:
        async with Records(departments.databases[adapter.department.id].reader, adapter) as records:
            return list(await records.read(asks, day))

    return asyncio.run(run())


def ask_of(departments: SeededDepartments, evidence: str, case: Mapping[str, Any]) -> Ask:
    others = {slot: [party(departments.cast, key) for key in keys] for slot, keys in case.get("others", {}).items()}
    claims = tuple(
        ClaimAsk(key=str(number), claim=claim, params=params) for number, (claim, params, _) in enumerate(case["ask"])
    )
    return Ask(evidence=evidence, claims=claims, subject=party(departments.cast, case["subject"], case), others=others)


@pytest.mark.parametrize(("evidence", "number"), FLAT, ids=[f"{evidence}-{number}" for evidence, number in FLAT])
def test_read__cast__as_expected(departments: SeededDepartments, evidence: str, number: int) -> None:
    case = CASES[evidence][number]
    ask = ask_of(departments, evidence, case)

    [values] = read(departments, [ask], case.get("day", departments.day))

    expected = {str(n): "unknown" if value == "u" else value for n, (_, _, value) in enumerate(case["ask"])}
    assert values == expected


def test_cases__every_predicate__seen_true_false_and_unknown(departments: SeededDepartments) -> None:
    seen: dict[tuple[str, str], set[str]] = {}
    for evidence, cases in CASES.items():
        for case in cases:
            for claim, _, value in case["ask"]:
                seen.setdefault((evidence, claim), set()).add(str(value))
    missing = []
    for adapter in departments.adapters.values():
        for evidence_id, evidence in adapter.evidence.items():
            for claim in evidence.claims.values() if evidence.source == "record" else ():
                if claim.type == "predicate" and seen.get((evidence_id, claim.id)) != {"True", "False", "u"}:
                    missing.append((evidence_id, claim.id, seen.get((evidence_id, claim.id))))
                if (evidence_id, claim.id) not in seen:
                    missing.append((evidence_id, claim.id, None))
    assert missing == []


def test_check__shipped_adapters__every_statement_runs(departments: SeededDepartments) -> None:
    async def run() -> None:
        for department, adapter in departments.adapters.items():
            async with Records(departments.databases[department].reader, adapter) as records:
                await records.check()

    asyncio.run(run())


def nodes(plan: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from nodes(child)


def reads_all(node: Mapping[str, Any]) -> bool:
    """Whether a scan goes through a whole table or index."""
    return node["Node Type"] in ("Seq Scan", "Index Scan", "Index Only Scan") and "Index Cond" not in node


def test_shipped_adapters__every_look_up__by_an_index(departments: SeededDepartments, pg_admin_dsn: str) -> None:
    # A CHAR column compared with text cannot use its index: at 20 000 residents that is a second for each batch, at a
    # city's millions an outage. So `s.id::bpchar` against CHAR columns. The planner is told that tables are large.
    scans = set()
    for department, adapter in departments.adapters.items():
        with psycopg.connect(pg_admin_dsn, dbname=database_of(department)) as connection:
            connection.execute(
                "update pg_class set reltuples = 10000000, relpages = 1"
                " where relnamespace = 'public'::regnamespace and relkind = 'r'"
            )
            connection.execute("set enable_seqscan = off; set enable_hashjoin = off; set enable_mergejoin = off")
            for evidence in adapter.evidence.values():
                if evidence.source != "record":
                    continue
                subjects = [{"n": 1, "type": each, "id": "1", "others": {}} for each in evidence.subjects]
                claims = list(evidence.claims.values())
                values = {"subjects": json.dumps(subjects), "today": departments.day, "limit": 9}
                values |= {f"p{number}": "{}" for number in range(len(claims))}
                query = "explain (format json) " + _statement(evidence, claims)
                [(plan,)] = connection.execute(query, values).fetchall()
                scans |= {evidence.id for node in nodes(plan[0]["Plan"]) if reads_all(node)}
            connection.rollback()

    assert scans == {"E32"}  # whether a name is free asks for all names, once for each batch


def test_check__column_missing__names_evidence_and_claim(departments: SeededDepartments) -> None:
    adapter = departments.adapters["beijing-public-security"]
    evidence = adapter.evidence["E03"]
    claim = evidence.claims["endorsed_until"].model_copy(update={"sql": "r.no_such_column"})
    broken = evidence.model_copy(update={"claims": {**evidence.claims, "endorsed_until": claim}})
    adapter = adapter.model_copy(update={"evidence": {"E03": broken}})

    async def run() -> None:
        async with Records(departments.databases["beijing-public-security"].reader, adapter) as records:
            await records.check()

    with pytest.raises(Invalid) as caught:
        asyncio.run(run())

    assert caught.value.field == "E03.endorsed_until"


def test_read__mixed_groups__answers_in_order_of_the_asks(departments: SeededDepartments) -> None:
    people = [person for person in departments.world.people if person.in_register][:120]
    asks = []
    for number, person in enumerate(people):
        claims = [("full_name", {}), ("age_at_least", {"n": 18 + number % 3})][: 1 + number % 2]
        asks.append(
            Ask(
                evidence="E01",
                claims=tuple(ClaimAsk(key=claim, claim=claim, params=params) for claim, params in claims),
                subject=Party(type="citizen", id=person.number, name=person.name),
            )
        )

    values = read(departments, asks, departments.day)

    assert [value["full_name"] for value in values] == [person.registered_name or person.name for person in people]
    assert [sorted(value) for value in values] == [sorted(c.key for c in ask.claims) for ask in asks]


def test_read__two_rows_where_one_is_meant__unknown(departments: SeededDepartments) -> None:
    person = departments.cast.people["shen-daiban"]
    ask = Ask(
        evidence="E01",
        claims=(ClaimAsk(key="alive", claim="alive"), ClaimAsk(key="full_name", claim="full_name")),
        subject=Party(type="citizen", id=person.number, name=person.name),
    )
    adapter = departments.adapters["beijing-public-security"]
    doubled = adapter.evidence["E01"].model_copy(
        update={
            "record": adapter.evidence["E01"].record.replace(
                "join rk_czrk t", "join (select * from rk_czrk union all select * from rk_czrk) t"
            )
        }
    )

    [values] = read(departments, [ask], departments.day, adapter.model_copy(update={"evidence": {"E01": doubled}}))

    assert values == {"alive": "unknown", "full_name": None}


def test_read__broken_row_in_the_batch__others_answered(departments: SeededDepartments) -> None:
    people = [departments.cast.people[key] for key in ("chen-hua", "song-zhanlan")]
    owner = departments.databases["beijing-public-security"].owner
    asks = [
        Ask(
            evidence="E01",
            claims=(ClaimAsk(key="v", claim="id_card_valid"), ClaimAsk(key="b", claim="birth_date")),
            subject=Party(type="citizen", id=person.number, name=person.name),
        )
        for person in people
    ]
    columns = "update rk_czrk set yxqxjzrq = %s, csrq = %s where gmsfhm = %s"
    with psycopg.connect(owner, autocommit=True) as connection:
        [before] = connection.execute(
            "select yxqxjzrq, csrq from rk_czrk where gmsfhm = %s", (people[1].number,)
        ).fetchall()
        connection.execute(columns, ("20269999", "19810231", people[1].number))
        try:
            values = read(departments, asks, departments.day)
        finally:
            connection.execute(columns, (*before, people[1].number))

    assert values == [{"v": True, "b": "1988-06-12"}, {"v": "unknown", "b": None}]


@pytest.mark.parametrize(
    ("evidence", "claim", "params"),
    [
        ("E99", "identity_matches", {}),
        ("E04", "face_matches", {}),
        ("E01", "iris_matches", {}),
        ("E01", "age_at_least", {}),
        ("E01", "age_at_least", {"n": 18, "m": 1}),
    ],
)
def test_read__not_in_the_adapter__invalid(
    departments: SeededDepartments, evidence: str, claim: str, params: dict[str, Any]
) -> None:
    ask = Ask(
        evidence=evidence,
        claims=(ClaimAsk(key="x", claim=claim, params=params),),
        subject=Party(type="citizen", id="1", name="x"),
    )

    with pytest.raises(Invalid):
        read(departments, [ask], departments.day, departments.adapters["beijing-public-security"])


def test_read__statement_fails__unavailable_without_personal_data(departments: SeededDepartments) -> None:
    person = departments.cast.people["chen-hua"]
    adapter = departments.adapters["beijing-public-security"]
    evidence = adapter.evidence["E01"]
    broken = evidence.claims["full_name"].model_copy(update={"sql": "(r.full_name || s.id)::int::text"})
    evidence = evidence.model_copy(update={"claims": {**evidence.claims, "full_name": broken}})
    ask = Ask(
        evidence="E01",
        claims=(ClaimAsk(key="x", claim="full_name"),),
        subject=Party(type="citizen", id=person.number, name=person.name),
    )

    with pytest.raises(Unavailable) as caught:
        read(departments, [ask], departments.day, adapter.model_copy(update={"evidence": {"E01": evidence}}))

    assert person.number not in str(caught.value)
    assert person.name not in str(caught.value)
    assert caught.value.__suppress_context__
    assert person.number not in repr(ask)


def test_read__database_gone__unavailable(departments: SeededDepartments) -> None:
    adapter = departments.adapters["beijing-public-security"]
    ask = Ask(
        evidence="E01",
        claims=(ClaimAsk(key="x", claim="alive"),),
        subject=Party(type="citizen", id="1", name="x"),
    )

    async def run() -> None:
        dsn = "postgresql://nobody:x@127.0.0.1:9/none"
        async with Records(dsn, adapter, statement_timeout_ms=400) as records:
            await records.read([ask], departments.day)

    with pytest.raises(Unavailable):
        asyncio.run(run())


def test_read__slow_statement__unavailable(departments: SeededDepartments) -> None:
    adapter = departments.adapters["beijing-public-security"]
    evidence = adapter.evidence["E01"]
    slow = evidence.claims["alive"].model_copy(update={"sql": "(select true from pg_sleep(3))"})
    evidence = evidence.model_copy(update={"claims": {**evidence.claims, "alive": slow}})
    ask = Ask(
        evidence="E01",
        claims=(ClaimAsk(key="x", claim="alive"),),
        subject=Party(type="citizen", id=departments.cast.people["chen-hua"].number, name="陈画"),
    )

    async def run() -> None:
        dsn = departments.databases["beijing-public-security"].reader
        changed = adapter.model_copy(update={"evidence": {"E01": evidence}})
        async with Records(dsn, changed, statement_timeout_ms=300) as records:
            await records.read([ask], departments.day)

    with pytest.raises(Unavailable, match="57014"):
        asyncio.run(run())


def test_read__claim_not_asked__not_computed(departments: SeededDepartments) -> None:
    adapter = departments.adapters["beijing-public-security"]
    evidence = adapter.evidence["E01"]
    trap = evidence.claims["full_name"].model_copy(update={"sql": "(1 / 0)::text"})
    evidence = evidence.model_copy(update={"claims": {**evidence.claims, "full_name": trap}})
    changed = adapter.model_copy(update={"evidence": {"E01": evidence}})
    subject = Party(type="citizen", id=departments.cast.people["chen-hua"].number, name="陈画")

    [values] = read(
        departments,
        [Ask(evidence="E01", claims=(ClaimAsk(key="x", claim="alive"),), subject=subject)],
        departments.day,
        changed,
    )

    assert values == {"x": True}
    with pytest.raises(Unavailable):
        read(
            departments,
            [Ask(evidence="E01", claims=(ClaimAsk(key="x", claim="full_name"),), subject=subject)],
            departments.day,
            changed,
        )


def test_use__adapter_read_again__new_claim_answers(departments: SeededDepartments) -> None:
    adapter = departments.adapters["beijing-public-security"]
    evidence = adapter.evidence["E01"]
    added = evidence.claims["full_name"].model_copy(update={"id": "surname", "sql": "left(r.full_name, 1)"})
    evidence = evidence.model_copy(update={"claims": {**evidence.claims, "surname": added}})
    ask = Ask(
        evidence="E01",
        claims=(ClaimAsk(key="x", claim="surname"),),
        subject=Party(type="citizen", id=departments.cast.people["chen-hua"].number, name="陈画"),
    )

    async def run() -> list[dict[str, Any]]:
        async with Records(departments.databases["beijing-public-security"].reader, adapter) as records:
            with pytest.raises(Invalid):
                await records.read([ask], departments.day)
            records.use(adapter.model_copy(update={"evidence": {"E01": evidence}}))
            return list(await records.read([ask], departments.day))

    assert asyncio.run(run()) == [{"x": "陈"}]


@pytest.mark.parametrize(
    "statement",
    [
        "update rk_czrk set xm = 'x'",
        "delete from rk_czrk",
        "create table t (a int)",
        "create temporary table t (a int)",
        "truncate rk_czrk",
        "set default_transaction_read_only = off; update rk_czrk set xm = 'x'",
    ],
)
def test_reader_role__any_write__refused(departments: SeededDepartments, statement: str) -> None:
    with psycopg.connect(departments.databases["beijing-public-security"].reader, autocommit=True) as connection:
        for part in statement.split("; ")[:-1]:
            connection.execute(part)
        with pytest.raises((psycopg.errors.InsufficientPrivilege, psycopg.errors.ReadOnlySqlTransaction)):
            connection.execute(statement.split("; ")[-1])


def test_reader_role__read_only_switched_off__still_no_rights(departments: SeededDepartments) -> None:
    with psycopg.connect(departments.databases["beijing-public-security"].reader, autocommit=True) as connection:
        connection.execute("set default_transaction_read_only = off")
        for statement in (
            "update rk_czrk set xm = 'x'",
            "create table t (a int)",
            "create temporary table t (a int)",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement)


def test_reader_role__another_department__may_not_enter(departments: SeededDepartments) -> None:
    mine = departments.databases["beijing-tax"].reader
    with pytest.raises(psycopg.OperationalError, match="permission denied"):
        psycopg.connect(mine, dbname="dept_beijing_public_security")


@pytest.fixture(scope="module")
def plain_in_sql(departments: SeededDepartments) -> Any:
    query = "select " + expand("$name(t.x)").replace("%%", "%") + " from (select %s::text as x) t"
    with psycopg.connect(departments.databases["beijing-public-security"].reader, autocommit=True) as connection:
        yield lambda text: connection.execute(query, (text,)).fetchone()[0]  # type: ignore[index]


NAMES = st.text(st.sampled_from("陈画龑䶮㛃阿·•・‧∙⋅．.･ 　（）()ＡＢab1２\u00a0\u200b\t"), max_size=12)


@settings(max_examples=300, deadline=None)
@given(name=NAMES)
def test_plain_name__any_name__sql_and_python_agree(plain_in_sql: Any, name: str) -> None:
    assert plain_in_sql(name) == plain_name(name)


def test_plain_name__kinds_of_dot_width_and_space__same_name() -> None:
    names = ["阿依古丽·买买提", "阿依古丽•买买提", "阿依古丽．买买提", " 阿依古丽 ･ 买买提", "阿依古丽　・买买提"]
    assert {plain_name(name) for name in names} == {"阿依古丽·买买提"}
    assert plain_name("龑") != plain_name("䶮")


@settings(max_examples=60, deadline=None)
@given(
    revenue=st.decimals(min_value=1, max_value=10**9, places=2),
    share=st.integers(min_value=0, max_value=2000),
    percent=st.decimals(min_value=0, max_value=20, places=2),
)
def test_rd_ratio__any_amounts__exact(
    departments: SeededDepartments, revenue: Decimal, share: int, percent: Decimal
) -> None:
    rd = (revenue * share / 10000).quantize(Decimal("0.01"))
    company = departments.cast.companies["E009"]
    ask = Ask(
        evidence="E21",
        claims=(ClaimAsk(key="x", claim="rd_ratio_at_least", params={"percent": str(percent)}),),
        subject=Party(type="uscc", id=company.uscc, name=company.name),
    )
    with psycopg.connect(departments.databases["beijing-tax"].owner) as connection:
        set_to = "update sw_qysds set yysr = %s, yffy = %s where nsrsbh = %s"
        connection.execute(set_to, (revenue, rd, company.uscc))
        connection.commit()
        try:
            [values] = read(departments, [ask], departments.day)
        finally:
            connection.execute(set_to, (Decimal("10000000.00"), Decimal("600000.00"), company.uscc))
            connection.commit()

    assert values["x"] is (rd / revenue * 100 >= percent)
