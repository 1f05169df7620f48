"""What Python computes, against `tests/vectors`: every hash, typed-data digest, Merkle root and proof.

The same files are checked by the contracts (`tests/contracts/test_vectors.py`) and by packages that are not ours
(`test_vectors_elsewhere.py`).
"""

from __future__ import annotations

import json
import struct
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from orchestrator.domain.canonical import canonical, from_hex, keccak, tagged, to_hex, unb64
from orchestrator.domain.errors import Refused
from orchestrator.domain.merkle import DossierTree, Leaf, leaf_hash, verify
from orchestrator.domain.suite import hash_of
from orchestrator.protocol import querylog as log
from orchestrator.protocol import sdjwt, sheet
from orchestrator.protocol.jose import jws_hash, thumbprint
from orchestrator.protocol.keyset import Keyset, SigningAccount
from orchestrator.protocol.mandate import case_id, salted_hash, subject_commitment
from orchestrator.protocol.question import question_id
from orchestrator.protocol.sheet import Binding, Domain, Transition

VECTORS = Path(__file__).parents[1] / "vectors"


def read(name: str) -> Any:
    return json.loads((VECTORS / name).read_text(encoding="utf-8"))


EIP712 = read("contracts/eip712.json")
CASES = read("contracts/cases.json")
MERKLE = read("contracts/merkle.json")
LOGS = read("contracts/consistency.json")
HASHES = read("protocol/hashes.json")


# Typed data


def valued(kind: str, value: Any) -> Any:
    """A field of a message as our functions take it; numbers that a double does not hold are written as text."""
    if kind.endswith("[]"):
        return tuple(valued(kind[:-2], each) for each in value)
    if kind == "Transition":
        status, sequence, binding = sheet.unpack_step(int(value["step"]))
        case, root = from_hex(value["caseId"]), from_hex(value["dossierRoot"])
        return Transition(case_id=case, root=root, status=status, sequence=sequence, binding=binding)
    if kind == "bytes32":
        return from_hex(value)
    return int(value) if kind.startswith("uint") else value


def ours(vector: dict[str, Any], domain: Domain) -> bytes:
    """The digest of a statement by our function of its name; all but a binding's take the fields in their order."""
    fields = EIP712["types"][vector["struct"]]
    values = {field["name"]: valued(field["type"], vector["message"][field["name"]]) for field in fields}
    if vector["struct"] == "Binding":
        binding = Binding(valid_until=values.pop("validUntil"), **values)
        return sheet.binding_digest(domain, binding)
    digest: bytes = getattr(sheet, f"{vector['struct'].lower()}_digest")(domain, *values.values())
    return digest


def test_statements__digest_signature_and_signer__as_stated() -> None:
    accounts = {address: SigningAccount(from_hex(key)) for address, key in EIP712["keys"].items()}
    assert all(account.address == address for address, account in accounts.items())
    for place, vector in enumerate(EIP712["cases"]):
        domain = Domain(chain_id=int(vector["domain"]["chainId"]), contract=vector["domain"]["verifyingContract"])
        digest = ours(vector, domain)
        assert to_hex(digest) == vector["digest"], (place, vector["struct"])
        assert to_hex(accounts[vector["signer"]].sign_hash(digest)) == vector["signature"], place
        assert sheet.recover(digest, from_hex(vector["signature"], 65)) == vector["signer"], place


def test_domains__separator__as_stated() -> None:
    for vector in EIP712["domains"]:
        domain = Domain(chain_id=int(vector["chainId"]), contract=vector["verifyingContract"])
        assert to_hex(domain.separator) == vector["separator"], vector


def test_type_hashes__of_their_text__as_stated() -> None:
    for vector in EIP712["typeHashes"]:
        assert to_hex(keccak(vector["type"].encode())) == vector["hash"]


def test_signatures__that_are_none__refused_or_somebody_elses() -> None:
    for vector in read("contracts/signatures.json"):
        try:
            found = sheet.recover(from_hex(vector["digest"]), from_hex(vector["signature"], length=None))
        except Refused:
            continue
        assert found != vector["signer"], vector["why"]


# Cases


def test_steps__every_vector__packed_and_unpacked_as_stated() -> None:
    for vector in CASES["steps"]:
        status, sequence, binding = sheet.unpack_step(int(vector["step"]))
        assert (status, sequence, binding) == (vector["status"], vector["sequence"], vector["binding"])
        made = Transition(case_id=bytes(32), root=b"\1" * 32, status=status, sequence=sequence, binding=binding)
        assert made.step == int(vector["step"])


@pytest.mark.parametrize("vector", CASES["unknown"], ids=lambda vector: str(vector["status"]))
def test_steps__status_that_there_is_not__refused(vector: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        sheet.unpack_step(int(vector["step"]))


def test_commitments__after_each_transition__as_stated() -> None:
    for vector in CASES["commitments"]:
        value = 0
        for transition, wanted in zip(vector["transitions"], vector["commitments"], strict=True):
            value = sheet.case_commitment(value, int(transition["step"]), from_hex(transition["root"]))
            assert value == int(wanted)


# Dossiers


def leaf_of(entry: dict[str, str]) -> Leaf:
    return Leaf(kind=entry["kind"], salt=from_hex(entry["salt"]), content=from_hex(entry["content"]))


def test_dossiers__leaves_root_and_proofs__as_stated() -> None:
    for vector in read("contracts/dossier.json"):
        tree = DossierTree([leaf_of(row) for row in vector["leaves"]])
        assert to_hex(tree.root) == vector["root"]
        for row in vector["leaves"]:
            assert to_hex(leaf_hash(leaf_of(row))) == row["hash"]
            assert [to_hex(node) for node in tree.proof(leaf_of(row))] == row["proof"]


def test_trees__of_every_size__root_and_proofs_as_stated() -> None:
    leaves = [leaf_of(entry) for entry in MERKLE["entries"]]
    assert [to_hex(leaf_hash(leaf)) for leaf in leaves] == [entry["hash"] for entry in MERKLE["entries"]]
    for vector in MERKLE["trees"]:
        tree, root = DossierTree(leaves[: vector["size"]]), from_hex(vector["root"])
        assert tree.root == root, vector["size"]
        for row in vector["proofs"]:
            proof = [from_hex(node) for node in row["proof"]]
            assert tree.proof(leaves[row["at"]]) == proof, (vector["size"], row["at"])
            assert verify(root, leaves[row["at"]], proof)


def test_trees__what_is_not_in_them__refused() -> None:
    for vector in MERKLE["refused"]:
        proof = [from_hex(node) for node in vector["proof"]]
        assert not verify(from_hex(vector["root"]), leaf_of(vector["entry"]), proof), (vector["size"], vector["why"])


# Logs


def hashes(nodes: list[str]) -> list[bytes]:
    return [from_hex(node) for node in nodes]


def test_logs__roots_paths_and_proofs__as_stated() -> None:
    roots = hashes(LOGS["roots"])
    trees = [log.LogTree()]
    for size in range(1, len(roots)):
        tree = log.LogTree()
        tree.append([log.leaf_hash(i.to_bytes(4, "big")) for i in range(size)])
        trees.append(tree)
    assert [tree.root() for tree in trees] == roots
    for row in LOGS["proofs"]:
        old, new, proof = row["old"], row["new"], hashes(row["proof"])
        assert trees[new].consistency_proof(old) == proof, (old, new)
        assert log.verify_consistency(old, roots[old], new, roots[new], proof), (old, new)
    for row in LOGS["inclusion"]:
        index, size, proof = row["index"], row["size"], hashes(row["proof"])
        assert trees[size].inclusion_proof(index) == proof, (index, size)
        leaf = log.leaf_hash(index.to_bytes(4, "big"))
        assert log.verify_inclusion(leaf, index, size, proof, roots[size]), (index, size)


@pytest.mark.parametrize("vector", LOGS["large"], ids=lambda vector: str(vector["base"]))
def test_large_logs__roots_paths_and_proofs__as_stated(vector: dict[str, Any]) -> None:
    base = int(vector["base"])
    roots = {int(row["size"]): from_hex(row["root"]) for row in vector["roots"]}
    leaves = [log.leaf_hash(index.to_bytes(8, "big")) for index in range(base, base + 4)]
    for row in vector["proofs"]:
        old, new = int(row["old"]), int(row["new"])
        assert log.verify_consistency(old, roots[old], new, roots[new], hashes(row["proof"])), (old, new)
    for row in vector["inclusion"]:
        index, size = int(row["index"]), int(row["size"])
        assert log.verify_inclusion(leaves[index - base], index, size, hashes(row["proof"]), roots[size])
    if base + 4 >= log.MAX_SIZE:  # such heads can be checked, but no log of ours grows so far
        return
    known = {(row["level"], int(row["index"])): from_hex(row["hash"]) for row in vector["subtrees"]}
    assert [*known] == log.nodes_for_append(base)
    tree = log.LogTree(base, known)
    for leaf, (old, new) in zip(leaves, pairwise(sorted(roots)), strict=True):
        assert tree.root() == roots[old]
        tree.append([leaf])
        assert (tree.size, tree.root()) == (new, roots[new])
        for row in vector["proofs"]:
            if int(row["new"]) == new:
                assert tree.consistency_proof(int(row["old"])) == hashes(row["proof"])
        for row in vector["inclusion"]:
            if int(row["size"]) == new:
                assert tree.inclusion_proof(int(row["index"])) == hashes(row["proof"])


def test_logs__proofs_that_show_no_extension__refused() -> None:
    for row in LOGS["refused"]["proofs"]:
        old, new = (row["old"], from_hex(row["oldRoot"])), (row["new"], from_hex(row["newRoot"]))
        assert not log.verify_consistency(*old, *new, hashes(row["proof"])), row


def test_logs__paths_that_show_no_leaf__refused() -> None:
    for row in LOGS["refused"]["inclusion"]:
        leaf, root, proof = from_hex(row["leaf"]), from_hex(row["root"]), hashes(row["proof"])
        assert not log.verify_inclusion(leaf, row["index"], row["size"], proof, root), row


# Canonical JSON and the hashes of messages


def test_canonical__numbers_and_texts__as_stated() -> None:
    vectors = read("protocol/canonical.json")
    for row in vectors["numbers"]:
        [value] = struct.unpack(">d", bytes.fromhex(row["double"]))
        assert canonical(value).decode() == row["canonical"]
    for row in vectors["texts"]:
        form = canonical(json.loads(row["text"]))
        assert form.decode() == row["canonical"]
        assert to_hex(hash_of(form)) == row["sha256"]


OURS = {
    "tagged": lambda v: (to_hex(tagged(v["tag"], *map(from_hex, v["parts"]))), v["hash"]),
    "mandate": lambda v: (jws_hash(v["token"]), v["hash"]),
    "case": lambda v: (case_id(v["mandate"]), v["id"]),
    "question": lambda v: (question_id(v["mandate"], v["item"], v["index"], v["purpose"]), v["id"]),
    "subject": lambda v: (subject_commitment(from_hex(v["salt"]), v["type"], v["id"]), v["commitment"]),
    "object": lambda v: (salted_hash(from_hex(v["salt"]), json.loads(v["json"])), v["hash"]),
    "version": lambda v: (to_hex(hash_of(canonical(v["document"]))), v["hash"]),
    "texts": lambda v: (to_hex(hash_of(canonical(v["document"]))), v["hash"]),
    "keyset": lambda v: (to_hex(Keyset.parse(v["json"].encode()).hash), v["hash"]),
    "thumbprint": lambda v: (thumbprint(v["jwk"]), v["thumbprint"]),
    "disclosure": lambda v: (sdjwt.digest(v["disclosure"]), v["digest"]),
    "sealed": lambda v: (to_hex(hash_of(unb64(v["blob"]))), v["hash"]),
    "entry": lambda v: (
        (log.entry(v["batch"], v["question"], v["attempt"]).decode(), to_hex(log.leaf_hash(v["entry"].encode()))),
        (v["entry"], v["leaf"]),
    ),
}


def test_hashes__kinds_of_the_file__all_checked() -> None:
    assert HASHES.keys() == OURS.keys()
    assert all(HASHES.values())


@pytest.mark.parametrize("kind", OURS)
def test_hashes__every_vector__as_stated(kind: str) -> None:
    for vector in HASHES[kind]:
        found, stated = OURS[kind](vector)
        assert found == stated, vector
