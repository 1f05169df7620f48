"""An approver that the identity seat itself told of a withdrawal: no outcome of the case is judged or signed any more."""

from __future__ import annotations

import httpx
import pytest

from orchestrator.domain.case import Status
from orchestrator.protocol.notice import Acknowledgement
from tests.support.approver import Approvers, Filed

pytestmark = pytest.mark.anyio


async def delivered(approvers: Approvers, withdrawn: Filed) -> Acknowledgement:
    """Delivers a case's newest mandate to the lead."""
    path = f"/{approvers.consortium.seat(approvers.lead).keyset.id}/mandates"
    transport = httpx.ASGITransport(app=approvers.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway.test") as http:
        answer = await http.post(path, json={"mandate": withdrawn.mandates[-1]})
    assert answer.status_code == 200, answer.text
    return Acknowledgement.model_validate_json(answer.content)


async def test_sheets__withdrawal_held_back_by_the_operator__no_outcome_but_withdrawn(gallery: Approvers) -> None:
    case = gallery.file()
    _, jws = await gallery.verdict(case)
    withdrawn = gallery.amend(case, kind="withdrawal")
    await delivered(gallery, withdrawn)
    assert await gallery.sheet_refused(await gallery.transition(case, Status.APPROVED, [jws])) == "withdrawn"
    assert (await gallery.refused(case))[0] == "withdrawn"
    assert (await gallery.sheets(await gallery.transition(withdrawn, Status.WITHDRAWN, [])))["signed"] == [case.id]


async def test_sheets__one_of_two_withdrawn__the_other_is_signed(gallery: Approvers) -> None:
    case, other = gallery.file(), gallery.file()
    verdicts = {each.id: (await gallery.verdict(each))[1] for each in (case, other)}
    await delivered(gallery, gallery.amend(case, kind="withdrawal"))
    both = [await gallery.transition(each, Status.APPROVED, [verdicts[each.id]]) for each in (case, other)]
    sheet = await gallery.sheets(*both)
    assert sheet["signed"] == [other.id]
    assert [(entry["case"], entry["code"]) for entry in sheet["refused"]] == [(case.id, "withdrawn")]


async def test_updates__withdrawal_delivered__told_to_the_operator_with_its_signature(gallery: Approvers) -> None:
    case = gallery.file()
    since = (await _updates(gallery, 0))["next"]
    withdrawn = gallery.amend(case, kind="withdrawal")
    await delivered(gallery, withdrawn)
    await delivered(gallery, withdrawn)
    told = (await _updates(gallery, since))["updates"]
    assert told == [{"case": case.id, "sequence": None, "withdrawal": withdrawn.mandates[-1]}]


async def test_delivered__case_on_the_desk__leaves_it(gallery: Approvers) -> None:
    case = gallery.file()
    gallery.answer(case, not_on_abnormal_list=False)
    await gallery.verdict(case)
    officer = await gallery.officer()
    assert case.id in [item["case"] for item in await officer.client.queue()]
    await delivered(gallery, gallery.amend(case, kind="withdrawal"))
    assert case.id not in [item["case"] for item in await officer.client.queue()]


async def _updates(approvers: Approvers, since: int) -> dict:  # type: ignore[type-arg]
    async with approvers.client(0) as client:
        return await client.updates(approvers.consortium.seat(approvers.lead), since)
