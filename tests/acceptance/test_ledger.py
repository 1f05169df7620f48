"""`lianban ledger`: somebody outside asks a node what is proven, and gets the contracts' own answer in words."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from orchestrator.ledger.accounts import chain_account
from orchestrator.ledger.rpc import Rpc
from orchestrator.ledger.sender import Sender
from orchestrator.protocol.jose import jws_hash, peek_jws
from orchestrator.protocol.question import Question
from tests.support.commands import Said, lianban
from tests.support.world import World

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
async def case(world: World) -> str:
    """A case that two departments have approved."""
    return str((await world.settled("gallery-leased-passes"))["id"])


async def outside(world: World, folder: Path, *arguments: Any) -> Said:
    """The command in an empty data folder: only the node and the contracts' addresses are told."""
    settings = world.cluster.settings
    return await lianban(
        folder,
        "ledger",
        *arguments,
        "--node",
        settings.require_node_url(),
        "--deployment",
        settings.deployment_file,
    )


async def test_ledger_case__approved_by_two__history_and_signers_confirmed_without_a_key(
    world: World, tmp_path: Path, case: str
) -> None:
    said = await outside(world, tmp_path, "case", case)
    assert said.code == 0, said.text
    assert "已批准 approved" in said.text
    seats = set(map(int, re.findall(r"✓ 当日密钥签署.*seat (\d+)", said.text)))
    [(_, _, number)] = [await world.on_chain(case)]
    assert seats == set((await world.runtime.context.view.binding(number)).approvers)
    assert "the ledger confirms that this is all" in said.text
    assert not (tmp_path / "keys").exists()


async def test_ledger_case__signer_suspended_since__still_by_the_key_of_its_day(
    world: World, tmp_path: Path, case: str
) -> None:
    settings, context = world.cluster.settings, world.runtime.context
    _, _, number = await world.on_chain(case)
    lead = (await context.view.binding(number)).approvers[0]
    async with Rpc(settings.require_node_url()) as rpc:
        council = Sender(rpc, context.view, chain_account(settings.keys_dir / "council", settings.passphrase()))
        await council.send("Consortium", "suspend", lead)
        try:
            now = await outside(world, tmp_path, "seat", lead)
            said = await outside(world, tmp_path, "case", case)
            block = re.findall(r"block (\d+)", said.text)[-1]
            then = await outside(world, tmp_path, "seat", lead, "--block", block)
        finally:
            await council.send("Consortium", "reinstate", lead)
    assert "suspended" in now.text
    assert "active" in then.text
    assert re.search(rf"✓ 当日密钥签署.*seat {lead} ", said.text), said.text


async def test_ledger_case__nobody_has_it__said_so(world: World, tmp_path: Path) -> None:
    said = await outside(world, tmp_path, "case", "0x" + "77" * 32)
    assert (said.code, "the chain has no such case" in said.text) == (1, True)
    said = await outside(world, tmp_path, "case", "gallery")
    assert (said.code, "case:" in said.text) == (2, True)


async def test_ledger_dossier__mandate_answer_verdict_credential__each_found_and_nothing_else(
    world: World, tmp_path: Path, case: str
) -> None:
    portal = f"{world.cluster.portal}/api/v1/cases/{case}"
    dossier = (await world.http.get(f"{portal}/dossier", headers=world.auditor)).json()
    documents = (await world.http.get(f"{portal}/documents", headers=world.auditor)).json()
    file = tmp_path / "dossier.json"
    file.write_text(json.dumps(dossier), "utf-8")
    said = await outside(world, tmp_path, "dossier", file)
    assert said.code == 0, said.text
    for kind in ("mandate", "answer", "verdict", "credential"):
        assert f"✓ {kind}" in said.text

    signed = {
        "mandate": documents["mandates"][0],
        "verdict": documents["verdicts"][0],
        "answer": documents["answers"][0]["answer"],
    }
    for kind, text in signed.items():
        document = tmp_path / f"{kind}.jwt"
        document.write_text(str(text) + "\n", "utf-8")
        said = await outside(world, tmp_path, "dossier", file, "--document", document)
        assert (said.code, said.text.count("✓ ")) == (0, 2), said.text
        assert f"✓ {kind}" in said.text
    document.write_text("another", "utf-8")
    said = await outside(world, tmp_path, "dossier", file, "--document", document)
    assert (said.code, "no entry for this document" in said.text) == (1, True)

    dossier["leaves"][1]["value"][2] = "0x" + "12" * 32
    file.write_text(json.dumps(dossier), "utf-8")
    said = await outside(world, tmp_path, "dossier", file)
    assert (said.code, said.text.count("✗ ")) == (1, 2), said.text
    file.write_text("[]", "utf-8")
    said = await outside(world, tmp_path, "dossier", file)
    assert (said.code, "dossier.json:" in said.text) == (2, True)


async def test_ledger_head__anybody_anchors_what_the_seat_has_signed__and_proves_entries_under_it(
    world: World, tmp_path: Path, data_dir: Path, case: str
) -> None:
    context = world.runtime.context
    police = await context.view.seat_by_id("beijing-public-security")
    seat = police.number
    said = await outside(world, tmp_path, "entry", seat, 0)
    assert said.code == 0, said.text
    assert re.search(r'"question":"0x[0-9a-f]{64}"', said.text)

    # A question that no batch follows stands in the log, and in no anchored head.
    documents = await world.http.get(f"{world.cluster.portal}/api/v1/cases/{case}/documents", headers=world.auditor)
    mandate = documents.json()["mandates"][0]
    item = next(each["item"] for each in peek_jws(mandate)[1]["evidence"] if each["seat"] == seat)
    asked = Question(mandate=jws_hash(mandate), item=item, index=0, purpose="decide")
    await context.gateways.ask(police, [asked], [mandate])
    ahead = await outside(world, tmp_path, "head", seat)
    assert (ahead.code, "extends the other" in ahead.text) == (0, True), ahead.text
    size = int(re.findall(r"present (\d+)", ahead.text)[0])
    assert (await outside(world, tmp_path, "entry", seat, size - 1)).code == 1
    anchored = await lianban(data_dir, "ledger", "head", seat, "--anchor")
    assert (anchored.code, "已锚定 · anchored" in anchored.text) == (0, True), anchored.text
    assert (await outside(world, tmp_path, "entry", seat, size - 1)).code == 0
    again = await lianban(data_dir, "ledger", "head", seat, "--anchor")
    assert (again.code, "the same" in again.text) == (0, True), again.text


async def test_ledger_entry__gateway_of_another_department__not_in_this_log(world: World, tmp_path: Path) -> None:
    view = world.runtime.context.view
    police = await view.seat_by_id("beijing-public-security")
    other = await view.seat_by_id("haidian-market-supervision")
    said = await outside(world, tmp_path, "entry", police.number, 0, "--gateway", other.keyset.endpoint)
    assert said.code == 1, said.text
    said = await outside(world, tmp_path, "entry", police.number, 0, "--gateway", "http://127.0.0.1:9")
    assert (said.code, "--gateway" in said.text) == (1, True)
