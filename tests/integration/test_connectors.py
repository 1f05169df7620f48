"""One question answered through each connector: a signed batch to a gateway whose department keeps its list elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml

from orchestrator.domain.errors import Unavailable
from orchestrator.gateway.connectors.guarded import Connections
from orchestrator.gateway.policy import Policy, PolicyFile
from orchestrator.gateway.records import Records
from orchestrator.gateway.seat import AdapterFiles, Seat
from orchestrator.gateway.server import create_app
from orchestrator.gateway.store import Store, prepare_stores
from tests.support.consortium import GALLERY_SUBJECTS, Consortium
from tests.support.departments import SeededDepartments
from tests.support.gateway import CULTURE, OPERATOR, Gateway, ask, documents, read, terms
from tests.support.sources import KINDS, document, source

pytestmark = pytest.mark.anyio

BUREAU = "haidian-culture-tourism"
COMPANY = GALLERY_SUBJECTS["company"][0][1]
LISTED = {"uscc": COMPANY, "lryy": "…", "lrrq": "2026-01-05", "ycrq": None}
ANOTHER = {"uscc": "91110108MBXYE9999X", "lryy": "…", "lrrq": "2026-01-05", "ycrq": None}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("listed", [True, False])
async def test_question__records_elsewhere__answered_signed_and_logged(
    kind: str, listed: bool, consortium: Consortium, departments: SeededDepartments, pg_admin_dsn: str, tmp_path: Path
) -> None:
    file = tmp_path / "department.yaml"
    file.write_text(yaml.safe_dump(document(BUREAU, kind), allow_unicode=True), "utf-8")
    rows: dict[str, list[dict[str, Any]]] = {"wl_sxmd": [ANOTHER, LISTED] if listed else [ANOTHER]}
    alias = f"connectors-{kind}-{listed}".lower()
    view = consortium.seats[BUREAU]
    adapters = AdapterFiles(BUREAU, file)
    database = departments.databases[BUREAU]
    _set_list(database.owner, rows["wl_sxmd"] if kind == "postgresql" else [])
    try:
        with source(kind, tmp_path / "keys", database.reader, rows):
            seat = Seat(
                keyset=view.keyset,
                keys=consortium.keys[view.number],
                adapters=adapters,
                # Another department's database: no row can come from there.
                records=Records(
                    departments.databases["haidian-health"].reader, adapters.adapter, Connections(tmp_path / "keys")
                ),
                store=Store(prepare_stores(pg_admin_dsn, [alias])[alias]),
                policy=PolicyFile(absent=Policy(sign="auto")),
            )
            app = create_app([seat], consortium.chain)
            async with app.router.lifespan_context(app):
                gateway = Gateway(app=app, seats={BUREAU: seat})
                async with gateway.client(consortium, OPERATOR) as client:
                    await client.sign_binding(view, *documents(consortium), terms(consortium))
                    answers = await ask(consortium, client, consortium.mandate(), "E30.company")
                    assert answers.head.size == 1
        [answer] = read(consortium, answers, CULTURE).values()
    finally:
        _set_list(database.owner, [])

    assert (answer.result, answer.claims) == ("answered", {"not_on_culture_list": not listed})


async def test_question__source_is_gone__logged_and_unavailable(
    consortium: Consortium, departments: SeededDepartments, pg_admin_dsn: str, tmp_path: Path
) -> None:
    file = tmp_path / "department.yaml"
    file.write_text(yaml.safe_dump(document(BUREAU, "csv"), allow_unicode=True), "utf-8")
    (tmp_path / "sources.yaml").write_text(f"own: {{kind: files, folder: {tmp_path / 'nowhere'}}}", "utf-8")
    view = consortium.seats[BUREAU]
    adapters = AdapterFiles(BUREAU, file)
    seat = Seat(
        keyset=view.keyset,
        keys=consortium.keys[view.number],
        adapters=adapters,
        records=Records(departments.databases[BUREAU].reader, adapters.adapter, Connections(tmp_path)),
        store=Store(prepare_stores(pg_admin_dsn, ["connectors-gone"])["connectors-gone"]),
        policy=PolicyFile(absent=Policy(sign="auto")),
    )
    app = create_app([seat], consortium.chain)
    gateway = Gateway(app=app, seats={BUREAU: seat})
    async with app.router.lifespan_context(app), gateway.client(consortium, OPERATOR) as client:
        await client.sign_binding(view, *documents(consortium), terms(consortium))
        with pytest.raises(Unavailable) as caught:
            await ask(consortium, client, consortium.mandate(), "E30.company")
        assert (await client.head(view)).size == 1

    assert caught.value.code == "records-unavailable"
    assert str(tmp_path) not in f"{caught.value} {caught.value.remedy}"


def _set_list(owner_dsn: str, rows: list[dict[str, Any]]) -> None:
    """The bureau's list in its database, for the one connector that reads it there; the seeded rows are kept."""
    with psycopg.connect(owner_dsn) as connection:
        connection.execute("delete from wl_sxmd where lryy = '…'")
        for row in rows:
            connection.execute("insert into wl_sxmd values (%(uscc)s, %(lryy)s, %(lrrq)s, %(ycrq)s)", row)
