"""The trees beside the tests say for each function what is given and what then happens; each leaf is one test.

They are the functions' specification to read; this test keeps them and the tests' names together. `UPDATE_TREES=1` writes
them anew from the names.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

HERE = Path(__file__).parent
TREES = {
    "consortium.tree": ["test_consortium.py", "test_keys.py"],
    "catalog.tree": ["test_catalog.py"],
    "case_ledger.tree": ["test_settle.py", "test_heads.py", "test_dossier.py", "test_invariants.py"],
    "libraries.tree": ["test_libraries.py"],
    "vectors.tree": ["test_vectors.py"],
}
NAME = re.compile(r"^def test_([A-Za-z0-9_]+?)__([A-Za-z0-9_]+?)__([A-Za-z0-9_]+?)\(", re.MULTILINE)


def tree_of(files: list[str]) -> str:
    """Function, condition and result of every test, as a tree."""
    functions: dict[str, dict[str, list[str]]] = {}
    for file in files:
        for function, condition, result in NAME.findall((HERE / file).read_text(encoding="utf-8")):
            functions.setdefault(function, {}).setdefault(condition, []).append(result)
    lines = []
    for function, conditions in functions.items():
        lines.append(function)
        for condition, results in conditions.items():
            last = condition == [*conditions][-1]
            lines.append(f"{'└' if last else '├'}── when {condition.replace('_', ' ')}")
            for result in results:
                corner = "└" if result == results[-1] else "├"
                lines.append(f"{' ' if last else '│'}   {corner}── it: {result.replace('_', ' ')}")
        lines.append("")
    return "\n".join(lines)


@pytest.mark.parametrize("tree", TREES)
def test_trees__against_the_tests__the_same(tree: str) -> None:
    expected = tree_of(TREES[tree])
    if os.environ.get("UPDATE_TREES"):
        (HERE / tree).write_text(expected, encoding="utf-8")
    assert (HERE / tree).read_text(encoding="utf-8") == expected


def test_trees__every_test_in_the_folder__has_a_name_of_three_parts() -> None:
    for file in HERE.glob("test_*.py"):
        text = file.read_text(encoding="utf-8")
        assert len(re.findall(r"^def test_", text, re.MULTILINE)) == len(NAME.findall(text)), file.name


def test_trees__every_function_of_the_contracts__has_a_branch(compiled: dict) -> None:
    """Functions of OpenZeppelin that the contracts only inherit are its own business, but for the hand-over of the council."""
    inherited = {"owner", "pendingOwner", "renounceOwnership", "acceptOwnership", "eip712Domain"}
    branches = "\n".join((HERE / tree).read_text(encoding="utf-8") for tree in TREES)
    tests = "\n".join(file.read_text(encoding="utf-8") for file in HERE.glob("test_*.py"))
    for name, contract in compiled.items():
        for entry in contract["abi"]:
            if entry["type"] == "function" and entry["name"] not in inherited:
                called = re.search(rf"\.{entry['name']}\b|\"{entry['name']}\"", tests)
                assert re.search(rf"^{entry['name']}$", branches, re.MULTILINE) or called, f"{name}.{entry['name']}"
            if entry["type"] == "error" and entry["name"].startswith(name):
                assert entry["name"] in tests, entry["name"]
