"""What a person and their browser do at the portal besides looking at pages; sealing is done by `seal.js` itself, in Node."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

from orchestrator.domain.case import Status
from orchestrator.identity.client import Applicant
from orchestrator.store import applications
from tests.support.identity_world import CHEN, GALLERY, GALLERY_SUBJECTS
from tests.support.node import node
from tests.support.portal_world import ORIGIN, Page, PortalWorld, Visitor

CULTURE = 3
QUERY = urlencode({f"q.{name}": value for name, value in GALLERY.items()})
APPLY = f"/scenarios/open-gallery/apply?{QUERY}"
FORM = {"legal_representative": "陈画", "sells_relics": False, "imports_exports": False}
SEAL = """
const seal = async (id) => s.sealMaterial(
  { id, filename: `${id}.pdf`, media_type: "application/pdf", content: new Uint8Array([1, 2, 3]), fields: {} }, given.recipients);
const materials = await Promise.all(given.materials.map(seal));
say({
  materials,
  form: await s.sealForm(given.values, materials, given.recipients),
  delivery: await s.publicJwk(await s.newDeliveryKey()),
});
"""


async def submit(visitor: Visitor, path: str, number: str = CHEN) -> str:
    """What a person and their browser do on an application's page, every material due brought; the path of the case."""
    page = Page(await visitor.get(path))
    form = page.one("form", "data-apply")
    due = [each["name"].removeprefix("file.") for each in page.all("input", "required", type="file")]
    given = {"recipients": json.loads(form["data-recipients"]), "values": FORM, "materials": due}
    sealed = node(SEAL, given)
    body = {"answers": json.loads(form["data-answers"]), **sealed}
    if "data-delivery" not in form:
        body["scenario"] = form["data-scenario"]
    begun = await visitor.post(form["data-post"], json=body, headers={"accept": "application/json"})
    assert begun.status_code == 201, begun.text
    async with Applicant(number) as person:
        returned = await person.authorise(begun.json()["authorize_url"], subjects=GALLERY_SUBJECTS)
    back = await visitor.get(returned.url.removeprefix(ORIGIN))
    assert back.status_code == 303, back.text
    return str(back.headers["location"])


async def stored(world: PortalWorld, case: str) -> dict[str, Any]:
    """A case's row."""
    async with world.pool.connection() as connection:
        cursor = await connection.execute("select * from case_file where id = %s", [case.removeprefix("/cases/")])
        row = await cursor.fetchone()
    assert row is not None
    return row


async def settle(world: PortalWorld, case: str, status: Status, **columns: Any) -> None:
    """Puts a case where the chain would have put it."""
    await world.put(case, status=int(status), sequence=1, settled_at="2026-03-02T10:00:00+08:00", **columns)
    await world.run(
        """
        insert into transition (case_id, sequence, status, binding, root, block, tx_hash, settled_at)
        values (%s, 1, %s, 1, %s, 7, %s, now())
        """,
        [case, int(status), "0x" + "5a" * 32, "0x" + "7b" * 32],
    )


async def session_subject(world: PortalWorld, visitor: Visitor) -> str:
    """Whom the portal takes a visitor for."""
    async with world.pool.connection() as connection:
        subject = await applications.session_subject(connection, visitor.http.cookies["lianban_session"])
    assert subject is not None
    return subject
