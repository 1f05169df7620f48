"""Contests from the identity seat over real HTTP and PostgreSQL: by whom, of what, and what the person reads before signing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import date
from typing import Any

import pytest

from orchestrator.domain.canonical import to_hex
from orchestrator.domain.errors import Refused
from orchestrator.identity.accounts import DEVELOPMENT_PASSCODE
from orchestrator.identity.client import Applicant
from orchestrator.protocol.contest import read_contest, seal_statement
from orchestrator.protocol.jose import jws_hash
from orchestrator.protocol.mandate import case_id
from orchestrator.protocol.question import question_id
from orchestrator.protocol.sealing import SealingKey
from orchestrator.scenarios import load_calendar
from tests.support.identity_world import (
    CHEN,
    GALLERY_SUBJECTS,
    KEYS,
    PEOPLE,
    WANG,
    Application,
    World,
    gallery,
    running,
)

pytestmark = pytest.mark.anyio

MARKET = 1
STATEMENT = seal_statement("已于上月移出", [], {MARKET: SealingKey.generate().jwk})


@pytest.fixture
async def world(pg_admin_dsn: str) -> AsyncIterator[World]:
    async with running(pg_admin_dsn, PEOPLE) as running_world:
        yield running_world


async def granted(world: World) -> tuple[Application, str, str]:
    """A gallery's application, its mandate's JWS and its case."""
    application = await gallery(world)
    first = await world.granted(CHEN, application.details(), subjects=GALLERY_SUBJECTS)
    assert first.mandate is not None
    assert first.contest is None
    return application, first.mandate, case_id(first.mandate)


def contested(application: Application, mandate: str, case: str, **changes: Any) -> dict[str, Any]:
    """The details of a request to contest that the company is on the list of abnormal operations."""
    contest = {
        "item": "E06.company",
        "index": 0,
        "claims": ["not_on_abnormal_list"],
        "answer": {
            "question": question_id(jws_hash(mandate), "E06.company", 0, "decide"),
            "attempt": 1,
            "hash": to_hex(b"\1" * 32),
        },
        "statement": STATEMENT.hash,
    } | changes
    return application.details("contest", case, jws_hash(mandate)) | {"contest": contest}


async def test_contest__the_applicant__signed_under_the_mandate_with_the_day_of_the_reply(world: World) -> None:
    application, mandate, case = await granted(world)
    details = contested(application, mandate, case)

    signed = await world.granted(CHEN, details)

    assert signed.mandate is None
    contest = read_contest(signed.contest or "", KEYS[2].identity.jwk)
    assert (contest.case, contest.mandate, contest.aud) == (case, jws_hash(mandate), f"seat:{MARKET}")
    assert (contest.item, contest.claims) == ("E06.company", ("not_on_abnormal_list",))
    assert (contest.statement, contest.sub) == (STATEMENT.hash, world.parse(mandate).sub)
    day = load_calendar().deadline(date.fromisoformat(contest.day), 10, "working_day").day
    assert contest.reply_by == day.isoformat()
    # It takes no mandate's place: another contest, and an amendment, still follow the same one.
    again = await world.granted(CHEN, details)
    assert again.contest != signed.contest


async def test_contest__somebody_else_or_something_never_asked__refused(world: World) -> None:
    application, mandate, case = await granted(world)

    with pytest.raises(Refused) as stranger:
        await world.authorise(WANG, contested(application, mandate, case))
    assert stranger.value.code == "not-your-case"
    for changes, said in (
        ({"claims": ["debtor"]}, "no such claim"),
        ({"claims": ["not_on_abnormal_list"] * 2}, "named twice"),
        ({"item": "E13.premises"}, "no department is asked this"),
        ({"index": 1}, "another question"),
    ):
        with pytest.raises(Refused) as faulty:
            await world.portal.push(contested(application, mandate, case, **changes))
        assert said in faulty.value.detail_en
    withdrawn = await world.granted(CHEN, application.details("withdrawal", case, jws_hash(mandate)))
    assert withdrawn.mandate is not None
    with pytest.raises(Refused):
        await world.portal.push(contested(application, mandate, case))


async def test_contest__before_signing__the_person_reads_claim_department_and_check_code(world: World) -> None:
    application, mandate, case = await granted(world)
    pushed = await world.portal.push(contested(application, mandate, case))

    async with Applicant(CHEN) as person:
        page, view = await person.open(pushed.authorize_url)
        view = await person.post(page, view, {"action": "sign-in", "number": CHEN, "passcode": DEVELOPMENT_PASSCODE})

    assert isinstance(view, dict)
    assert view["step"] == "confirm"
    text = str(view["paragraphs"])
    assert "异常" in text
    assert "市场监督" in text
    assert STATEMENT.hash[2:14] in text
    assert view["binds"]["contest"]["statement"] == STATEMENT.hash
    assert "back" not in [action["name"] for action in view["actions"]]
