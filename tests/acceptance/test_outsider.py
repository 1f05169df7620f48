"""What only departments that are up can show, checked from outside: a credential at its holder, the logs of the providers.

Nothing here uses the project's own reading of chain, trees or signatures (`tests/support/outsider.py`).
"""

from __future__ import annotations

import asyncio
import hashlib
import json

import pytest
from cryptography.exceptions import InvalidSignature

from tests.support.outsider import STATUSES, Node, issuer, root_of, signed, unbase64, unhex
from tests.support.world import LONGEST, World

pytestmark = pytest.mark.anyio


async def test_credential__as_its_holder_shows_it__signed_by_the_seat_and_counting_on_chain(world: World) -> None:
    view = world.runtime.context.view
    node = Node(str(world.cluster.settings.node_url))
    async with world.applied("gallery-passes") as (client, case, _):
        await client.settled(case, timeout=LONGEST)
        jwt, disclosures = await client.credential(case)
        dossier = await client.request("GET", f"/api/v1/cases/{case}/dossier")

    seat = issuer(jwt)
    payload = signed(jwt, node.keyset(view.address("Consortium"), seat), "evidence")
    standing = payload["status"]["lianban_case"]
    assert standing["case"] == case
    assert standing["chain_id"] == int(node.ask("eth_chainId"), 16)
    assert STATUSES[node.status_of(standing["ledger"], case)] == "approved"
    # What is shown is what was signed, and the signed part is in the dossier.
    digests = [hashlib.sha256(each.encode()).digest() for each in disclosures]
    assert disclosures
    assert set(digests) <= {unbase64(each) for each in payload["_sd"]}
    assert "陈画" in [json.loads(unbase64(each))[2] for each in disclosures]
    assert ["credential", "0x" + hashlib.sha256(jwt.encode()).hexdigest()] in [
        [kind, content] for kind, _, content in (leaf["value"] for leaf in dossier["leaves"])
    ]
    header, body, signature = jwt.split(".")
    with pytest.raises(InvalidSignature):
        signed(f"{header}.{body[:-3]}AAA.{signature}", node.keyset(view.address("Consortium"), seat), "evidence")


async def test_answers__query_log_of_each_provider__holds_them_under_the_anchored_head(world: World) -> None:
    view = world.runtime.context.view
    node = Node(str(world.cluster.settings.node_url))
    async with world.applied("gallery-passes") as (client, case, _):
        await client.settled(case, timeout=LONGEST)
        answers = (await client.request("GET", f"/api/v1/cases/{case}/documents"))["answers"]
    assert len(answers) >= 6
    asked_by: set[int] = set()
    for envelope in answers:
        seat = issuer(envelope["answer"])
        endpoint = node.keyset(view.address("Consortium"), seat)["endpoint"]
        size, root = await anchored_beyond(node, view.address("CaseLedger"), seat, envelope["log"]["index"])
        proof = await world.http.get(
            f"{endpoint}/log/inclusion", params={"index": envelope["log"]["index"], "size": size}
        )
        found = proof.json()
        entry = json.loads(found["entry"])
        assert (entry["question"], entry["attempt"]) == (envelope["question"], envelope["attempt"])
        path = [unhex(each) for each in found["path"]]
        assert root_of(found["entry"].encode(), found["index"], size, path) == root
        other = json.dumps({**entry, "attempt": entry["attempt"] + 1}, sort_keys=True, separators=(",", ":"))
        assert root_of(other.encode(), found["index"], size, path) != root
        asked_by.add(seat)
    assert len(asked_by) >= 4


async def anchored_beyond(node: Node, ledger: str, seat: int, index: int) -> tuple[int, bytes]:
    """The anchored head, once it covers an entry: it goes on chain with the next batch."""
    for _ in range(100):
        size, root = node.anchored(ledger, seat)
        if size > index:
            return size, root
        await asyncio.sleep(0.1)
    raise AssertionError(f"seat {seat}: the entry {index} was never anchored")
