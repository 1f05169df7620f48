"""An applicant contests a claim: the department corrects its own record, its officer says so, and the case is approved."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from orchestrator.domain.case import Status
from orchestrator.protocol.contest import open_reason, read_reply
from orchestrator.protocol.jose import peek_jws
from orchestrator.seeding.databases import database_of
from tests.support.commands import lianban
from tests.support.waiting import until
from tests.support.world import LONGEST, World, check_problem

pytestmark = pytest.mark.anyio

MARKET, CULTURE = "haidian-market-supervision", "haidian-culture-tourism"
ITEM, CLAIM = "E06.company", "not_on_abnormal_list"
WHY = "已补报年报并重新登记住所,应移出异常名录"


class Officer:
    """An officer of the department at a terminal, certified for corrections."""

    def __init__(self, data_dir: Path, folder: Path) -> None:
        self._data_dir = data_dir
        self._key, self._certificate = folder / "officer.pem", folder / "officer.jwt"

    async def certified(self) -> Officer:
        made = await self._run("keygen", "--key", self._key)
        done = await self._run(
            "certify",
            MARKET,
            "gao-zheng-3",
            made.strip().splitlines()[-1],
            "--out",
            self._certificate,
            "--duty",
            "corrections",
        )
        assert self._certificate.exists(), done
        return self

    async def at_desk(self, *arguments: str) -> str:
        return await self._run(*arguments, "--key", self._key, "--certificate", self._certificate)

    async def _run(self, *arguments: Any) -> str:
        said = await lianban(self._data_dir, "officer", *arguments, LIANBAN_OFFICER_PASSPHRASE="its own")
        assert said.code == 0, said.text
        return said.text


async def test_contest__department_corrects_its_record__the_case_goes_on_by_itself_to_approval(
    world: World, tmp_path: Path
) -> None:
    officer = await Officer(world.cluster.settings.data_dir, tmp_path).certified()
    async with world.applied("gallery-abnormal") as (client, case, _):
        shown = await client.settled(case, timeout=LONGEST)
        assert shown["status"] == Status.ACCEPTED

        contest = await client.contest(case, ITEM, [CLAIM], WHY)

        async def waits() -> Any:
            found = await client.case(case)
            return found if (found["error"] or {}).get("code") == "contested" else None

        found = await until(waits)
        assert found["deadline"]["paused"]
        queued = [item["case"] for item in await world.officers[CULTURE].queue()]
        assert case not in queued, "nobody decides while the department is asked"
        response = await world.http.post(
            f"{world.cluster.portal}/api/v1/cases/{case}/contests",
            json={"item": ITEM, "claims": [CLAIM], "statement": {"hash": "0x" + "00" * 32, "sealed": {"1": "AA"}}},
            headers={"authorization": f"Bearer {client._token}"},
        )
        check_problem(response, 409, "contested-before")

        async def brought() -> Any:
            return await world.rows("select 1 as one from contest where hash = %s and state = 'open'", [contest])

        await until(brought)
        listed = await officer.at_desk("corrections")
        assert contest in listed
        assert ITEM in listed
        opened = json.loads(await officer.at_desk("correction", contest))
        assert (opened["why"], opened["answered"]) == (WHY, {CLAIM: False})
        with corrected_in_the_departments_own_system(world, opened["subject"]["id"]):
            await officer.at_desk("correct", contest, "已核实并移出异常名录")

            approved = await client.settled(case, after=shown["sequence"], timeout=LONGEST)

        assert approved["status"] == Status.APPROVED
        assert (await world.on_chain(case))[0] == Status.APPROVED
        (asked,) = [each for each in approved["evidence"] if each["item"] == ITEM]
        assert asked["attempt"] >= 2
        (mine,) = (await client.request("GET", f"/api/v1/cases/{case}/contests"))["contests"]
        assert mine["state"] == "corrected"
        reply = read_reply(mine["reply"], await world.runtime.context.view.seat(mine["seat"]))
        assert open_reason(reply.reason, {"applicant": mine["reason"]}, reader="applicant", key=client.delivery) == (
            "已核实并移出异常名录"
        )
        dossier = await client.request("GET", f"/api/v1/cases/{case}/dossier")
        kinds = [leaf["value"][0] for leaf in dossier["leaves"]]
        assert (kinds.count("contest"), kinds.count("reply")) == (1, 1)
        documents = await client.request("GET", f"/api/v1/cases/{case}/documents")
        assert [peek_jws(jws)[1]["item"] for jws in documents["contests"]] == [ITEM]
        assert documents["replies"] == [mine["reply"]]
        story = [
            row["kind"] for row in await world.rows("select kind from event where case_id = %s order by id", [case])
        ]
        assert [kind for kind in story if kind.startswith("contest")] == ["contested", "contest-corrected"]
        # What was taken back is not what the approval rests on: nobody looks at it again.
        assert story.index("recalled") < story.index("settled", story.index("recalled"))
        assert case not in [review["case"] for review in await world.officers[CULTURE].reviews()]
        # Why, and the department's reason, are not the orchestrator's to read.
        dump = await world.dump()
        assert WHY not in dump
        assert "移出异常名录" not in re.sub("未列入经营异常名录", "", dump)


@contextmanager
def corrected_in_the_departments_own_system(world: World, uscc: str) -> Iterator[None]:
    """The block runs on a record that the department's people have corrected in their own system; the gateway could not."""
    dsn = make_conninfo(world.cluster.settings.require_database_url(), dbname=database_of(MARKET))
    with psycopg.connect(dsn, autocommit=True) as connection:
        done = connection.execute("update scjg_jyycml set remdate = current_date - 1 where uniscid = %s", [uscc])
        assert done.rowcount == 1
        try:
            yield
        finally:
            connection.execute("update scjg_jyycml set remdate = null where uniscid = %s", [uscc])
