"""What the portal says, checked from outside: by a bare JSON-RPC client, the npm package of OpenZeppelin, and published keys.

Nothing here uses the project's own reading of chain, trees or signatures (`tests/support/outsider.py`).
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from cryptography.exceptions import InvalidSignature

from tests.support.demonstration import PATIENCE, Demonstration
from tests.support.outsider import STATUSES, Node, merkle_tree, root_of, signed, unbase64, unhex, word
from tests.support.world import LONGEST, World

pytestmark = pytest.mark.timeout(PATIENCE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """A case of the demo as the portal shows it to an auditor."""

    demo: dict[str, Any]
    shown: dict[str, Any]
    dossier: dict[str, Any]
    documents: dict[str, Any]


@pytest.fixture(scope="module")
def node(finished_demo: Demonstration) -> Node:
    return Node(finished_demo.node)


@pytest.fixture(scope="module")
def contracts(finished_demo: Demonstration) -> dict[str, str]:
    found: dict[str, str] = finished_demo.document["chain"]["contracts"]
    return found


@pytest.fixture(scope="module")
def cases(finished_demo: Demonstration) -> list[Looked]:
    """Every case of the demo, from a portal that was started again on server and node alone."""
    with httpx.Client(
        base_url=finished_demo.portal, headers=finished_demo.auditor, timeout=30, trust_env=False
    ) as http:

        def read(case: str, part: str = "") -> dict[str, Any]:
            response = http.get(f"/api/v1/cases/{case}{part}")
            response.raise_for_status()
            found: dict[str, Any] = response.json()
            return found

        return [
            Looked(
                demo=each,
                shown=read(each["id"]),
                dossier=read(each["id"], "/dossier"),
                documents=read(each["id"], "/documents"),
            )
            for each in finished_demo.cases
        ]


def test_status_of__every_demo_case__chain_api_and_demo_agree(
    node: Node, contracts: dict[str, str], cases: list[Looked], finished_demo: Demonstration
) -> None:
    ledger = contracts["CaseLedger"]
    assert int(node.ask("eth_chainId"), 16) == finished_demo.document["chain"]["chain_id"]
    assert len(cases) >= 3 * 7
    for each in cases:
        status = node.status_of(ledger, each.demo["id"])
        assert status == each.demo["status_on_chain"] == each.shown["status"]
        assert STATUSES[status] == each.demo["outcome"]
        assert node.case_of(ledger, each.demo["id"]) == (status, each.shown["sequence"], each.shown["binding"])
    assert node.status_of(ledger, "0x" + "11" * 32) == 0


def test_transaction__every_demo_case__settled_what_the_api_says(
    node: Node, contracts: dict[str, str], cases: list[Looked]
) -> None:
    for each in cases:
        events = node.logs(contracts["CaseLedger"], "CaseSettled(bytes32,uint64,bytes32)", word(each.demo["id"]))
        settled = [(event["transactionHash"], event["data"]) for event in events]
        assert settled == [
            (
                transition["transaction"],
                "0x" + (word(step_of(transition, each)) + word(transition["dossier_root"])).hex(),
            )
            for transition in each.shown["transitions"]
        ]
        assert settled[-1][0] == each.demo["transaction"]
        assert node.ask("eth_getTransactionReceipt", each.demo["transaction"])["status"] == "0x1"


def step_of(transition: dict[str, Any], each: Looked) -> int:
    return int(transition["status"] << 56 | transition["sequence"] << 40 | each.shown["binding"])


def test_dossier__every_leaf_of_every_demo_case__verifies_in_the_npm_package_and_on_chain(
    node: Node, contracts: dict[str, str], cases: list[Looked]
) -> None:
    leaves = [
        {"root": each.dossier["root"], "encoding": each.dossier["leaf_encoding"], **leaf}
        for each in cases
        for leaf in each.dossier["leaves"]
    ]
    verified = merkle_tree(leaves)
    assert len(verified) == len(leaves) > 10 * len(cases)
    assert all(each["verified"] for each in verified)
    for each in cases:
        steps, roots = [int(s["step"]) for s in each.dossier["steps"]], [s["root"] for s in each.dossier["steps"]]
        assert roots[-1] == each.dossier["root"] == each.demo["dossier_root"]
        for leaf in each.dossier["leaves"][:: max(1, len(each.dossier["leaves"]) - 1)]:  # the first and the last
            arguments = contracts["CaseLedger"], each.demo["id"], steps, roots, leaf["value"]
            assert node.verify_dossier(*arguments, leaf["proof"])


def test_dossier__anything_changed__verifies_nowhere(
    node: Node, contracts: dict[str, str], cases: list[Looked]
) -> None:
    one, other = [each for each in cases if each.demo["outcome"] == "approved"][:2]
    leaf, stranger = one.dossier["leaves"][0], other.dossier["leaves"][0]
    kind, salt, content = leaf["value"]
    base = {"root": one.dossier["root"], "encoding": one.dossier["leaf_encoding"], "proof": leaf["proof"]}
    forged = [
        {**base, "value": [kind + "x", salt, content]},
        {**base, "value": [kind, content, salt]},
        {**base, "value": stranger["value"], "proof": stranger["proof"]},
        {**base, "value": leaf["value"], "proof": leaf["proof"][:-1]},
    ]
    said = merkle_tree([{**base, "value": leaf["value"]}, *forged])
    assert [each["verified"] for each in said] == [True, False, False, False, False]

    ledger, case = contracts["CaseLedger"], one.demo["id"]
    steps, roots = [int(s["step"]) for s in one.dossier["steps"]], [s["root"] for s in one.dossier["steps"]]
    good = leaf["value"]
    assert node.verify_dossier(ledger, case, steps, roots, good, leaf["proof"])
    assert not node.verify_dossier(ledger, case, steps, roots, forged[0]["value"], leaf["proof"])
    assert not node.verify_dossier(ledger, case, steps, roots, good, leaf["proof"][:-1])
    assert not node.verify_dossier(ledger, case, [steps[0] ^ 1, *steps[1:]], roots, good, leaf["proof"])
    assert not node.verify_dossier(ledger, other.demo["id"], steps, roots, good, leaf["proof"])
    assert not node.verify_dossier(ledger, case, [], [], good, leaf["proof"])


def test_documents__every_demo_case__are_what_the_dossier_holds_signed_by_the_seats(
    node: Node, contracts: dict[str, str], cases: list[Looked]
) -> None:
    """Mandates, verdicts and answers: each is a leaf, and each is signed by a key that its seat has published on chain."""
    keysets: dict[int, dict[str, Any]] = {}

    def keyset(seat: int) -> dict[str, Any]:
        if seat not in keysets:
            keysets[seat] = node.keyset(contracts["Consortium"], seat)
        return keysets[seat]

    for each in cases:
        held = {(kind, content) for kind, _, content in (leaf["value"] for leaf in each.dossier["leaves"])}
        for kind, use, documents in (
            ("mandate", "identity", each.documents["mandates"]),
            ("verdict", "evidence", each.documents["verdicts"]),
            ("answer", "evidence", [envelope["answer"] for envelope in each.documents["answers"]]),
        ):
            assert documents
            for jws in documents:
                payload = json.loads(unbase64(jws.split(".")[1]))
                # A case with an officer already has papers of its next step, which no dossier holds yet.
                if each.demo["outcome"] != "accepted" or kind == "mandate":
                    assert (kind, "0x" + hashlib.sha256(jws.encode()).hexdigest()) in held, payload
                assert signed(jws, keyset(int(payload["iss"].removeprefix("seat:"))), use) == payload
        # And the other way round: what a leaf stands for can be had, also an answer that a later one has replaced.
        given = {"0x" + hashlib.sha256(e["answer"].encode()).hexdigest() for e in each.documents["answers"]}
        assert {content for kind, content in held if kind == "answer"} <= given
    jws = cases[0].documents["verdicts"][0]
    header, payload, signature = jws.split(".")
    with pytest.raises(InvalidSignature):
        signed(f"{header}.{payload[:-2]}AA.{signature}", keyset(verdict_seat(jws)), "evidence")


def verdict_seat(jws: str) -> int:
    return int(json.loads(unbase64(jws.split(".")[1]))["iss"].removeprefix("seat:"))


# With departments that are up: what needs the applicant, or the providers' logs.


@pytest.mark.anyio
async def test_credential__as_its_holder_shows_it__signed_by_the_seat_and_counting_on_chain(world: World) -> None:
    view = world.runtime.context.view
    node = Node(str(world.cluster.settings.node_url))
    async with world.applied("gallery-passes") as (client, case, _):
        await client.settled(case, timeout=LONGEST)
        jwt, disclosures = await client.credential(case)
        dossier = await client.request("GET", f"/api/v1/cases/{case}/dossier")

    seat = verdict_seat(jwt)
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


@pytest.mark.anyio
async def test_answers__query_log_of_each_provider__holds_them_under_the_anchored_head(world: World) -> None:
    view = world.runtime.context.view
    node = Node(str(world.cluster.settings.node_url))
    async with world.applied("gallery-passes") as (client, case, _):
        await client.settled(case, timeout=LONGEST)
        answers = (await client.request("GET", f"/api/v1/cases/{case}/documents"))["answers"]
    assert len(answers) >= 6
    asked_by: set[int] = set()
    for envelope in answers:
        seat = int(json.loads(unbase64(envelope["answer"].split(".")[1]))["iss"].removeprefix("seat:"))
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
