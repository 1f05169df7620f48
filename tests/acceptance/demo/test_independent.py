"""What the portal says of the demo, checked from outside: by a bare JSON-RPC client, OpenZeppelin's npm package, published keys.

Nothing here uses the project's own reading of chain, trees or signatures (`tests/support/outsider.py`).
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from cryptography.exceptions import InvalidSignature

from tests.support.demonstration import PATIENCE, Demonstration
from tests.support.outsider import STATUSES, Node, issuer, merkle_tree, signed, unbase64, word

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
                assert signed(jws, keyset(issuer(jws)), use) == payload
        # And the other way round: what a leaf stands for can be had, also an answer that a later one has replaced.
        given = {"0x" + hashlib.sha256(e["answer"].encode()).hexdigest() for e in each.documents["answers"]}
        assert {content for kind, content in held if kind == "answer"} <= given
    jws = cases[0].documents["verdicts"][0]
    header, payload, signature = jws.split(".")
    with pytest.raises(InvalidSignature):
        signed(f"{header}.{payload[:-2]}AA.{signature}", keyset(issuer(jws)), "evidence")
