"""Logged before answered: whatever dies in between leaves an entry without an answer, never an answer without an entry."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from orchestrator.domain.canonical import from_hex
from orchestrator.domain.errors import LianbanError
from orchestrator.gateway import questions
from orchestrator.gateway.records import Records
from orchestrator.gateway.seat import Seat
from orchestrator.gateway.store import Store
from tests.support.auditing import ITEMS, Audited
from tests.support.cheater import entries_of

pytestmark = pytest.mark.anyio


class Died(BaseException):
    """The process is gone at this instruction: nothing in it goes on."""


async def dies(*_: Any, **__: Any) -> Any:
    raise Died


def answers_of(seat: Seat, ids: list[str]) -> list[Any]:
    with psycopg.connect(seat.store.pool.conninfo) as connection:
        found = connection.execute("select attempt from answer where question = any(%s)", [[from_hex(i) for i in ids]])
        return found.fetchall()


@pytest.mark.parametrize(
    ("place", "name"),
    [(Records, "read"), (questions, "recipients_of"), (Store, "keep_answers"), (questions.querylog, "signed_head")],
)
async def test_ask__gateway_dies_after_logging__entry_and_no_answer(
    department: Audited, monkeypatch: pytest.MonkeyPatch, place: Any, name: str
) -> None:
    asked = [each.id for each in department.chain.consortium.questions(department.mandate, ITEMS)]
    before, answered = len(entries_of(department.seat)), answers_of(department.seat, asked)
    with monkeypatch.context() as patch:
        patch.setattr(place, name, dies if name != "signed_head" else _dies)
        with pytest.raises((Died, LianbanError)):
            await department.ask()
    assert len(entries_of(department.seat)) == before + 2
    # Only when it dies after the last thing that it does can the answer be there, and then it is in the log.
    kept = 2 if name == "signed_head" else 0
    assert len(answers_of(department.seat, asked)) == len(answered) + kept
    await department.ask()
    await department.in_order(promises=department.promises)


async def test_ask__gateway_dies_before_it_has_logged__nothing_of_either(
    department: Audited, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[Any] = []

    async def reads(*arguments: Any, **_: Any) -> Any:
        read.append(arguments)
        raise Died

    with monkeypatch.context() as patch:
        patch.setattr(questions.querylog, "append", dies)
        patch.setattr(Records, "read", reads)
        with pytest.raises((Died, LianbanError)):
            await department.ask()
    assert (entries_of(department.seat), read) == ([], [])  # nothing logged, and the records were not even asked


async def test_store__every_answer_kept__points_at_its_entry(department: Audited) -> None:
    with psycopg.connect(department.seat.store.pool.conninfo) as connection:
        found = connection.execute(
            "select confrelid::regclass::text, pg_get_constraintdef(oid) from pg_constraint"
            " where conrelid = 'answer'::regclass and contype = 'f'"
        ).fetchall()
        (nullable,) = connection.execute(
            "select is_nullable from information_schema.columns where table_name = 'answer' and column_name = 'log_index'"
        ).fetchall()
    assert ("log_entry", "FOREIGN KEY (log_index) REFERENCES log_entry(index)") in found
    assert nullable == ("NO",)


def _dies(*_: Any, **__: Any) -> Any:
    raise Died
