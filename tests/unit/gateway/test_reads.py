"""The statement check: adapters that ship pass it, whatever writes does not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.gateway.adapter import load_adapters
from orchestrator.gateway.reads import what_writes
from orchestrator.scenarios import department_files

WRITES = [
    "with gone as (delete from t returning 1) select n from subject",
    "with x as (INSERT into t values (1) returning 1) select 1",
    "select n from subject for update",
    "select n from subject for no key update",
    "select 1 into copy",
    "select 1; drop table t",
    "select set_config('transaction_read_only', 'off', false)",
    "select pg_read_file('/etc/passwd')",
    "select pg_catalog.pg_sleep (9)",
    'select "pg_sleep"(9)',
    "select nextval('s')",
    "select lo_import('/etc/passwd')",
    "select dblink_exec('…', '…')",
    "select query_to_xml('delete from t', true, true, '')",
    "select ts_stat('select 1')",
    "select 1 -- hidden\n",
    "select 1 /* hidden */",
    "select $$quoted$$",
    "select e'\\' || delete from t --'",
    "select 'open",
    "call something()",
]


@pytest.mark.parametrize("sql", WRITES)
def test_what_writes__more_than_a_query__named(sql: str) -> None:
    assert what_writes(sql)


@pytest.mark.parametrize(
    "sql",
    [
        'select n, t.update, t."delete" from subject s join t on t.id = s.id',
        "case when r.remark = 'please delete; -- or drop' then 'it''s' end",
        "r.updated_at, r.deleted, r.created",
        "replace($name(t.xm), '·', '') = s.name and $date(t.rq) < s.today",
    ],
)
def test_what_writes__a_query__none(sql: str) -> None:
    assert what_writes(sql) is None


def test_what_writes__adapters_that_ship__none() -> None:
    for adapter in load_adapters(department_files()).values():
        for evidence in adapter.evidence.values():
            assert [what_writes(sql) for sql in (evidence.record, *(c.sql for c in evidence.claims.values()))] == [
                None
            ] * (1 + len(evidence.claims))


@given(st.text(), st.sampled_from(WRITES), st.text())
def test_what_writes__a_string_around_it__never_hides_what_follows(before: str, write: str, after: str) -> None:
    """However a string ends, what stands behind it is looked at, and what stands inside is not."""
    quoted = "'" + before.replace("'", "''") + "'"

    assert what_writes(f"{quoted} {write}")
    assert what_writes(quoted) is None


@given(st.text())
def test_what_writes__any_text__does_not_fail(sql: str) -> None:
    what_writes(sql)
