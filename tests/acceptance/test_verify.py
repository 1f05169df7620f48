"""`lianban verify`: an outsider with a node checks what an applicant hands over, and is told what it does not prove."""

from __future__ import annotations

import copy
import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from orchestrator.demo.applicant import ApplicantClient
from orchestrator.domain.credential_type import integrity
from orchestrator.ledger.proofs import Proofs
from orchestrator.ledger.rpc import Rpc
from orchestrator.protocol.credential import Presentation
from orchestrator.protocol.jose import peek_jws
from orchestrator.protocol.keybinding import bind
from orchestrator.verify.papers import Receipt
from orchestrator.verify.receipts import check_receipt
from orchestrator.verify.report import Mark
from orchestrator.verify.trust import Trust
from tests.support.commands import Said, lianban
from tests.support.world import LONGEST, World

pytestmark = pytest.mark.anyio


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What an applicant holds after the case."""

    case: str
    client: ApplicantClient
    whole: Presentation
    receipt: dict[str, Any]
    answer: dict[str, Any]


@pytest.fixture(scope="module")
async def held(world: World) -> AsyncIterator[Held]:
    async with world.applied("gallery-leased-passes") as (client, case, _):
        await client.settled(case, timeout=LONGEST)
        jwt, disclosures = await client.credential(case)
        documents = await client.request("GET", f"/api/v1/cases/{case}/documents")
        yield Held(
            case=case,
            client=client,
            whole=Presentation(jwt=jwt, disclosures=tuple(disclosures)),
            receipt=await client.request("GET", f"/api/v1/cases/{case}/receipt"),
            answer=documents["answers"][0],
        )


async def outside(world: World, folder: Path, *arguments: Any) -> Said:
    """The command in an empty data folder: only the node and the contracts' addresses are told."""
    settings = world.cluster.settings
    where = ("--node", settings.require_node_url(), "--deployment", settings.deployment_file)
    return await lianban(folder, "verify", *arguments, *where)


async def test_verify__credential_bound_for_the_reader__proven_by_a_node_alone(
    world: World, tmp_path: Path, held: Held
) -> None:
    chosen = held.whole.choose(["holder_name", "licence_name", "licence_identifier", "valid_to"])
    bound = bind(chosen, held.client.holder, audience="bank", nonce="n-1")
    file, receipt, keys = (tmp_path / name for name in ("shown.sd-jwt", "receipt.json", "keys.json"))
    file.write_text(bound.text())
    receipt.write_text(json.dumps(held.receipt))
    reader = ("--audience", "bank", "--nonce", "n-1")
    said = await outside(world, tmp_path, file, *reader, "--receipt", receipt, "--save-keys", keys)
    assert said.code == 0, said.text
    for words in (
        "by its key of that day",
        "GB/T 36904",
        "shown by its holder",
        "on chain: approved",
        "leads the approvers of that case",
        "signed by",
        "the ledger confirms that all 1 are in the case's dossier",
        "not proven:",
        "结论:属实 · it holds",
    ):
        assert words in said.text, (words, said.text)
    assert "电子证照 艺术品经营单位备案证明" in said.text

    # The same without a node, by the keys that were kept; and the claims that were not shown are nowhere.
    said = await lianban(tmp_path, "verify", file, *reader, "--offline", "--keys", keys)
    assert (said.code, "一字未改" in said.text, "no node" in said.text) == (3, True, True), said.text
    assert peek_jws(held.whole.jwt)[1]["cnf"]["jwk"]["x"] == held.client.holder.jwk["x"]
    assert "legal_representative" not in said.text
    assert not (tmp_path / "keys").exists()


async def test_verify__pdf_receipt_and_answer__each_says_what_it_proves(
    world: World, tmp_path: Path, held: Held
) -> None:
    files = {name: tmp_path / name for name in ("whole.sd-jwt", "receipt.json", "answer.json")}
    files["whole.sd-jwt"].write_text(held.whole.text())
    files["receipt.json"].write_text(json.dumps(held.receipt))
    files["answer.json"].write_text(json.dumps(held.answer))
    made = await lianban(tmp_path, "credential", "pdf", files["whole.sd-jwt"], "--portal", world.cluster.portal)
    assert made.code == 0, made.text
    said = await outside(world, tmp_path, tmp_path / "whole.pdf")
    assert (said.code, "who shows it need not be its holder" in said.text) == (0, True), said.text
    said = await outside(world, tmp_path, files["receipt.json"])
    assert said.code == 0, said.text
    for words in ("case's id comes from a mandate", "steps, roots and transactions are those on chain", "confirms"):
        assert words in said.text, (words, said.text)
    said = await outside(world, tmp_path, files["answer.json"])
    assert said.code == 0, said.text
    for words in ("signed by seat", "of the anchored query log of", "whom it is about"):
        assert words in said.text, (words, said.text)


async def test_type_metadata__named_by_the_credential__served_to_anybody_by_its_hash(world: World, held: Held) -> None:
    payload = peek_jws(held.whole.jwt)[1]
    issuer = await world.runtime.context.view.seat(int(payload["iss"].removeprefix("seat:")))
    query = {"integrity": payload["vct#integrity"]}
    urls = (f"{world.cluster.portal}/api/v1", issuer.keyset.endpoint)
    for url in urls:
        answer = await world.http.get(f"{url}/credential-types/{payload['vct']}", params=query)
        assert integrity(answer.content) == payload["vct#integrity"]
        assert answer.json()["vct"] == payload["vct"]


@pytest.mark.parametrize("place", ["case", "step", "root", "transaction", "salt", "content", "path", "kind"])
async def test_receipt__changed_anywhere__the_chain_does_not_confirm_it(world: World, held: Held, place: str) -> None:
    changed = copy.deepcopy(held.receipt)
    step, leaf = changed["steps"][0], changed["leaves"][0]
    match place:
        case "case":
            changed["case"] = other(changed["case"])
        case "step":
            step["step"] = str(int(step["step"]) + 1)
        case "root" | "transaction":
            step[place] = other(step[place])
        case "salt" | "content" | "kind":
            number = {"kind": 0, "salt": 1, "content": 2}[place]
            leaf["value"][number] = "verdict" if number == 0 else other(leaf["value"][number])
        case _:
            leaf["proof"][0] = other(leaf["proof"][0])
    view = world.runtime.context.view
    async with Rpc(world.cluster.settings.require_node_url()) as rpc:
        trust = Trust(now=int(time.time()), chain=view, proofs=Proofs(rpc, view))
        assert (await check_receipt(Receipt.parse(held.receipt), trust)).conclusion is Mark.PROVEN
        report = await check_receipt(Receipt.parse(changed), trust)
    assert report.conclusion is Mark.WRONG, list(report.lines())


def other(text: str) -> str:
    """The same with another last digit."""
    return text[:-1] + ("0" if text[-1] != "0" else "1")
