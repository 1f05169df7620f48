"""Adapters: the shape of department files, how they merge, their shorthands, and a new one at work."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.domain.catalogue import Catalogue
from orchestrator.domain.errors import Invalid
from orchestrator.domain.identifiers import uscc_problem
from orchestrator.gateway.adapter import expand, load_adapters, read_adapters
from orchestrator.gateway.records import Ask, ClaimAsk, Party, Records
from orchestrator.scenarios import department_files
from orchestrator.seeding.databases import create_indexes, create_tables
from tests.support.departments import SeededDepartments

DEPARTMENT = """
department:
  id: haidian-water
  seat: 40
  name: {zh: 海淀区水务局, en: Haidian Water Bureau}
  level: district
  parent: null
  vertical: false
  uscc: 11110108MBXY0001XG
  region: "110108"
  hosted_by: haidian-water
records:
  R90:
    name: {zh: 用水账户, en: Water accounts}
    tables:
      sw_zh:
        columns:
          zh: {type: varchar(20), comment: 账号}
          qf: {type: "numeric(10,2)", comment: 欠费}
        key: [zh]
evidence:
  E90:
    slug: water-account
    name: {zh: 用水账户, en: Water account}
    records: [R90]
    subjects: [contract]
    absence: unknown
    record: select s.n, t.qf from subject s join sw_zh t on t.zh = s.id
    claims:
      no_debt: {name: {zh: 无欠费, en: No debt}, type: predicate, sql: r.qf = 0}
"""


def changed(path: str, value: Any) -> str:
    """The document with one field set, or removed when the value is `...`."""
    document = yaml.safe_load(DEPARTMENT)
    *steps, last = path.split("/")
    place = document
    for step in steps:
        place = place[step]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return yaml.safe_dump(document, allow_unicode=True)


def test_read_adapters__one_document__tables_and_claims() -> None:
    adapter = read_adapters([DEPARTMENT])["haidian-water"]

    assert list(adapter.tables()) == ["sw_zh"]
    assert adapter.evidence["E90"].claims["no_debt"].sql == "r.qf = 0"
    assert adapter.evidence["E90"].department == "haidian-water"


CLAIM = "evidence/E90/claims/no_debt"


@pytest.mark.parametrize(
    ("path", "value", "field"),
    [
        ("records/R90/tables/sw_zh/columns/zh/type", "serial", "records.R90.tables.sw_zh.columns.zh.type"),
        ("records/R90/tables/sw_zh/columns", {"a; drop": {"type": "date", "comment": ""}}, "records.R90.tables.sw_zh"),
        ("records/R90/tables/sw_zh/key", ["nothing"], "records.R90.tables.sw_zh"),
        ("records/R90/tables", {}, "records.R90.tables"),
        ("evidence/E90/records", ["R91"], ""),
        ("evidence/E90/record", "", "evidence.E90"),
        ("evidence/E90/record", "select 1; drop table x", "evidence.E90"),
        ("evidence/E90/limit", 1, "evidence.E90.limit"),
        (f"{CLAIM}/sql", ..., "evidence.E90"),
        (f"{CLAIM}/sql", "true; delete from sw_zh", "evidence.E90"),
        (f"{CLAIM}/sqll", "true", "evidence.E90.claims.no_debt.sqll"),
        ("evidence/E90/source", "mandate", "evidence.E90"),
        ("notes", "x", "notes"),
    ],
)
def test_read_adapters__malformed__invalid_names_the_field(path: str, value: Any, field: str) -> None:
    with pytest.raises(Invalid) as caught:
        read_adapters([changed(path, value)])

    assert caught.value.field.startswith(f"haidian-water.{field}".rstrip("."))


def test_read_adapters__semicolon_inside_a_text__allowed() -> None:
    read_adapters([changed(f"{CLAIM}/sql", "r.qf::text <> 'a;b'")])


@pytest.mark.parametrize(
    "texts",
    [
        [DEPARTMENT, changed("department/seat", 41)],
        [DEPARTMENT, "extends: haidian-water\nevidence: {E90: {slug: x}}"],
        [DEPARTMENT, "extends: haidian-water\nrecords: {R90: {}}"],
        ["extends: haidian-water"],
        [DEPARTMENT, changed("department/id", "haidian-wind")],
    ],
    ids=["department", "evidence", "record", "extends nobody", "evidence of two departments"],
)
def test_read_adapters__given_twice_or_of_nobody__invalid(texts: list[str]) -> None:
    with pytest.raises(Invalid):
        read_adapters(texts)


def test_read_adapters__own_document_again_as_it_is__counts_once() -> None:
    assert read_adapters([DEPARTMENT, f"# a copy\n{DEPARTMENT}"]) == read_adapters([DEPARTMENT])


def test_read_adapters__table_in_two_records__invalid() -> None:
    document = yaml.safe_load(DEPARTMENT)
    document["records"]["R91"] = document["records"]["R90"]

    with pytest.raises(Invalid, match="one record"):
        read_adapters([yaml.safe_dump(document)])


def test_load_adapters__shipped__every_department_once() -> None:
    adapters = load_adapters(department_files())

    assert len(adapters) == 17
    assert adapters == load_adapters([department_files()[0].parent])


def test_shipped_adapters__sql__never_reads_into_a_citizen_number() -> None:
    # The first six digits say where a number was issued, not where a person lives; birth and sex have their own columns.
    for file in department_files():
        text = file.read_text("utf-8")
        for forbidden in ("left(s.id", "substr(s.id", "substring(s.id", "starts_with(s.id", "left(t.gmsfhm"):
            assert forbidden not in text, file.name


@given(text=st.text(st.sampled_from("ab_.%()$ "), max_size=20))
def test_expand__no_shorthand_in_it__only_percent_signs_doubled(text: str) -> None:
    if "$name(" not in text and "$date(" not in text:
        assert expand(text) == text.replace("%", "%%")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("20260302", "2026-03-02"),
        ("20260230", None),
        ("20261301", None),
        ("2026030", None),
        ("2026-03-02", None),
        ("长期", None),
        ("", None),
        ("tomorrow", None),
        ("00000000", None),
        (None, None),
    ],
)
def test_date_shorthand__any_text__a_day_or_null(
    departments: SeededDepartments, given: str | None, expected: str | None
) -> None:
    query = f"select ({expand('$date(t.x)')})::text from (select %s::text as x) t".replace("%%", "%")
    with psycopg.connect(departments.databases["beijing-tax"].reader) as connection:
        assert connection.execute(query, (given,)).fetchone() == (expected,)


EXTENSION = """
extends: haidian-culture-tourism
records:
  R95:
    name: {zh: 营业性演出许可, en: Performance permits}
    tables:
      wl_ycxk:
        columns:
          xkzh: {type: varchar(30), comment: 许可证号}
          uscc: {type: char(18), comment: 统一社会信用代码}
          yxqz: {type: date, comment: 有效期止}
        key: [xkzh]
        indexes: [[uscc]]
evidence:
  E95:
    slug: performance-permit
    name: {zh: 营业性演出许可, en: Performance permit}
    records: [R95]
    subjects: [uscc]
    absence: unknown
    record: |
      select distinct on (s.n) s.n, t.yxqz from subject s join wl_ycxk t on t.uscc = s.id::bpchar
      where s.type = 'uscc' order by s.n, t.yxqz desc
    claims:
      permit_in_force:
        name: {zh: 许可有效, en: Permit in force}
        type: predicate
        sql: r.yxqz >= today
      permit_valid_for_days:
        name: {zh: 剩余有效期, en: Valid for at least the given days}
        type: predicate
        params: {n: integer}
        sql: r.yxqz - today >= (p->>'n')::int
"""


def test_extension__new_record_and_evidence__answers_beside_the_old_ones(
    departments: SeededDepartments, tmp_path: Path
) -> None:
    (tmp_path / "performances.yaml").write_text(EXTENSION, "utf-8")
    adapter = load_adapters([*department_files(), tmp_path])["haidian-culture-tourism"]
    database = departments.databases["haidian-culture-tourism"]
    company = departments.cast.companies["E001"]
    subject = Party(type="uscc", id=company.uscc, name=company.name)
    claims = (
        ClaimAsk(key="in_force", claim="permit_in_force"),
        ClaimAsk(key="long", claim="permit_valid_for_days", params={"n": 60}),
    )
    asks = [
        Ask(evidence="E95", claims=claims, subject=subject),
        Ask(evidence="E30", claims=(ClaimAsk(key="x", claim="not_on_culture_list"),), subject=subject),
        Ask(evidence="E95", claims=claims, subject=Party(type="uscc", id="0" * 18, name="无")),
    ]
    with psycopg.connect(database.owner) as connection:
        create_tables(connection, adapter, "dept_haidian_culture_tourism_reader")
        create_indexes(connection, adapter.tables())
        connection.execute("insert into wl_ycxk values ('Y1', %s, date '2026-04-01')", (company.uscc,))

    async def run() -> list[dict[str, Any]]:
        async with Records(database.reader, departments.adapters["haidian-culture-tourism"]) as records:
            with pytest.raises(Invalid):
                await records.read(asks, departments.day)
            records.use(adapter)
            await records.check()
            return list(await records.read(asks, departments.day))

    try:
        values = asyncio.run(run())
    finally:
        with psycopg.connect(database.owner) as connection:
            connection.execute("drop table wl_ycxk")

    assert values == [
        {"in_force": True, "long": False},
        {"x": True},
        {"in_force": "unknown", "long": "unknown"},
    ]


def test_read_adapters__new_department_of_the_docs__fits_beside_those_that_ship() -> None:
    text = (Path(__file__).parents[3] / "docs" / "department.md").read_text("utf-8")
    (example,) = [block.removeprefix("yaml") for block in text.split("```") if block.startswith("yaml\ndepartment:")]

    adapters = read_adapters([*(file.read_text("utf-8") for file in department_files()), example])
    catalogue = Catalogue.from_texts([*(file.read_text("utf-8") for file in department_files()), example])

    assert adapters["haidian-water"].sources() == {"billing"}
    assert uscc_problem(catalogue.departments["haidian-water"].uscc) is None
