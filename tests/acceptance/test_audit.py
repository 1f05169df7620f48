"""`lianban audit`: anybody with a node follows a running department's log; what came with an answer can be held against it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from orchestrator.protocol.jose import peek_jws
from tests.support.commands import lianban
from tests.support.world import World

pytestmark = pytest.mark.anyio

MARKET = "haidian-market-supervision"


async def test_audit__after_a_case__log_in_order_with_every_answer_and_evidence_of_nothing_refused(
    world: World, tmp_path: Path
) -> None:
    async with world.applied("gallery-leased-passes") as (client, case, _):
        await client.settled(case, timeout=60)
        documents = await client.request("GET", f"/api/v1/cases/{case}/documents")
    file = tmp_path / "documents.json"
    file.write_text(json.dumps(documents))
    chosen = ["audit", "log", "--department", MARKET, "--folder", tmp_path]

    said = await lianban(world.cluster.settings.data_dir, *chosen, "--promise", file, "--store", "--json")

    assert said.code == 0, said.text
    found = json.loads(said.text)
    assert (found["conclusion"], found["lies"], found["earlier_evidence"]) == ("proven", [], [])
    assert found["read"] == found["size"] > 0
    assert found["promises_kept"] > 0

    # Evidence that is none stays in the folder, where the next run tells of it, and convinces nobody.
    evidence = tmp_path / MARKET / "promise-of-nothing.json"
    evidence.write_text(json.dumps(overdue(world, documents)))
    said = await lianban(world.cluster.settings.data_dir, *chosen)
    assert said.code == 0, said.text
    assert "结论:属实 · it holds" in said.text
    assert "提供部门与询问方串通" in said.text
    assert f"it extends the {found['size']} entries" in said.text
    assert evidence.name in said.text
    said = await lianban(world.cluster.settings.data_dir, "audit", "evidence", evidence)
    assert (said.code, "is anchored by now" in said.text) == (1, True), said.text


def overdue(world: World, documents: dict[str, Any]) -> dict[str, Any]:
    """An answer of the department held against it as if its head had never been anchored."""
    envelope = next(each for each in documents["answers"] if peek_jws(each["answer"])[1]["iss"] == "seat:1")
    place = envelope["log"]
    head = {name: place["head"][name] for name in ("size", "root", "signature")}
    deployment = world.runtime.context.view.deployment
    return {
        "format": "lianban-log-evidence-1",
        "kind": "promise",
        "zh": "…",
        "en": "…",
        "chain": {"id": deployment.chain_id, "ledger": deployment.ledger},
        "seat": 1,
        "statements": [{**head, "source": "promised", "answer": envelope["answer"], "place": place}],
        "nodes": [],
        "within": 0,
    }
