"""The contracts' libraries with the vectors changed and against plain Python, through a harness that makes them callable.

That the vectors themselves hold is in test_vectors.py.
"""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from eth_utils import keccak
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from world import container, vectors

from orchestrator.ledger.compiler import compile_files

CALLS = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True
)


@pytest.fixture(scope="module")
def harness(accounts: Any) -> Any:
    return accounts[0].deploy(container("Harness", compile_files("tests/contracts/harness/Harness.sol")))


def leaf_hash(index: int) -> bytes:
    """The leaves of the log in the vectors."""
    return hashlib.sha256(b"\0" + index.to_bytes(4, "big")).digest()


@pytest.fixture(scope="module")
def logs() -> Any:
    return vectors("consistency.json")


@CALLS
@given(data=st.data())
def test_isExtension__anything_changed__does_not_hold(harness: Any, logs: Any, data: st.DataObject) -> None:
    vector = data.draw(st.sampled_from(logs["proofs"]))
    old, new, proof = vector["old"], vector["new"], list(vector["proof"])
    old_root, new_root = logs["roots"][old], logs["roots"][new]
    wrong_root = "0x" + "11" * 32
    match data.draw(st.sampled_from(["old root", "new root", "node", "cut", "longer", "swap sizes", "old", "new"])):
        case "old root":
            old_root = wrong_root
        case "new root":
            new_root = wrong_root
        case "node":
            proof[data.draw(st.integers(0, len(proof) - 1))] = wrong_root
        case "cut":
            proof.pop(data.draw(st.sampled_from([0, -1])))
        case "longer":
            proof.insert(
                data.draw(st.sampled_from([0, len(proof)])), data.draw(st.sampled_from([wrong_root, proof[0]]))
            )
        case "swap sizes":
            old, new, old_root, new_root = new, old, new_root, old_root
        case "old":
            # The same tree under another size: a size that the path does not belong to.
            old += data.draw(st.sampled_from([-1, 1]))
            old_root = wrong_root if old in (0, new) else logs["roots"][old]
        case "new":
            new_root = logs["roots"][new - 1] if new > 2 else wrong_root
    assert not harness.isExtension(old, old_root, new, new_root, proof)


@pytest.mark.parametrize(
    ("old", "new", "proof", "holds"),
    [(0, 1, 0, True), (0, 2**48 - 1, 0, True), (0, 1, 1, False), (0, 0, 0, False), (1, 1, 0, False), (1, 2, 0, False)],
)
def test_isExtension__edges__as_stated(harness: Any, old: int, new: int, proof: int, holds: bool) -> None:
    assert harness.isExtension(old, bytes(32), new, bytes(32), [bytes(32)] * proof) == holds


def test_isExtension__same_root_for_another_size__does_not_hold(harness: Any, logs: Any) -> None:
    for size in (1, 2, 3, 4, 8):
        assert not harness.isExtension(size, logs["roots"][size], size + 1, logs["roots"][size], [logs["roots"][size]])


def test_isExtension__both_roots_raised_by_one_more_node__does_not_hold(harness: Any, logs: Any) -> None:
    """The path is longer than the new tree is high, though both roots come out of it."""
    for vector in logs["proofs"][:40]:
        extra = b"\x22" * 32

        def raised(size: int, extra: bytes = extra) -> bytes:
            return hashlib.sha256(b"\x01" + extra + bytes.fromhex(logs["roots"][size][2:])).digest()

        old, new = vector["old"], vector["new"]
        assert not harness.isExtension(old, raised(old), new, raised(new), [*vector["proof"], extra]), (old, new)


@CALLS
@given(data=st.data())
def test_isIncluded__anything_changed__does_not_hold(harness: Any, logs: Any, data: st.DataObject) -> None:
    vector = data.draw(st.sampled_from(logs["inclusion"]))
    index, size, proof = vector["index"], vector["size"], list(vector["proof"])
    leaf, root = leaf_hash(index), logs["roots"][size]
    assert harness.isIncluded(leaf, index, size, root, proof)
    wrong = "0x" + "11" * 32
    match data.draw(st.sampled_from(["leaf", "root", "node", "cut", "longer", "place", "shorter log", "beyond"])):
        case "leaf":
            leaf = data.draw(st.sampled_from([wrong, root if size > 1 else wrong]))
        case "root":
            root = wrong
        case "node" if proof:
            proof[data.draw(st.integers(0, len(proof) - 1))] = wrong
        case "cut" if proof:
            proof.pop(data.draw(st.sampled_from([0, -1])))
        case "place" if size > 1:
            index = data.draw(st.integers(0, size - 1).filter(lambda other: other != index))
        case "shorter log" if size > 1:
            root, size = logs["roots"][size - 1], size - 1
        case "beyond":
            index += data.draw(st.integers(size - index, 2**256 - 1 - index))
        case _:
            proof.insert(data.draw(st.sampled_from([0, len(proof)])), data.draw(st.sampled_from([wrong, root])))
    assert not harness.isIncluded(leaf, index, size, root, proof)


def test_isIncluded__root_raised_by_one_more_node__does_not_hold(harness: Any, logs: Any) -> None:
    """The path is longer than the tree is high, though the root comes out of it."""
    extra = b"\x22" * 32
    for vector in logs["inclusion"][:40]:
        index, size = vector["index"], vector["size"]
        raised = hashlib.sha256(b"\x01" + extra + bytes.fromhex(logs["roots"][size][2:])).digest()
        assert not harness.isIncluded(leaf_hash(index), index, size, raised, [*vector["proof"], extra]), (index, size)


def test_isIncluded__path_begun_at_an_inner_node__does_not_hold(harness: Any, logs: Any) -> None:
    """An inner node stands for no leaf, the root itself with an empty path least of all."""
    for vector in logs["inclusion"]:
        if vector["index"] != 0 or vector["size"] > 20:
            continue
        node, root = leaf_hash(0), logs["roots"][vector["size"]]
        for place, sibling in enumerate(vector["proof"], 1):
            node = hashlib.sha256(b"\x01" + node + bytes.fromhex(sibling[2:])).digest()
            assert not harness.isIncluded(node, 0, vector["size"], root, vector["proof"][place:]), vector["size"]
        assert node.hex() == root[2:]


def test_isIncluded__place_behind_the_only_leaf__does_not_hold(harness: Any) -> None:
    leaf = leaf_hash(0)
    assert harness.isIncluded(leaf, 0, 1, leaf, [])
    assert not harness.isIncluded(leaf, 1, 1, leaf, [])


@CALLS
@given(
    index=st.one_of(st.integers(0, 40), st.integers(0, 2**256 - 1)),
    size=st.one_of(st.integers(0, 40), st.integers(0, 2**256 - 1)),
    leaf=st.binary(min_size=32, max_size=32),
    proof=st.lists(st.binary(min_size=32, max_size=32), max_size=300),
)
def test_isIncluded__any_numbers__never_reverts(
    harness: Any, index: int, size: int, leaf: bytes, proof: list[bytes]
) -> None:
    """A path that nobody made leads to a root that somebody could only have guessed."""
    holds = harness.isIncluded(leaf, index, size, leaf, proof)
    assert holds == (index == 0 and size == 1 and not proof)


@CALLS
@given(
    old=st.one_of(st.integers(0, 40), st.integers(0, 2**256 - 1)),
    new=st.one_of(st.integers(0, 40), st.integers(0, 2**256 - 1)),
    proof=st.lists(st.binary(min_size=32, max_size=32), max_size=300),
)
def test_isExtension__any_numbers__never_reverts(harness: Any, old: int, new: int, proof: list[bytes]) -> None:
    assert harness.isExtension(old, b"\1" * 32, new, b"\2" * 32, proof) == (old == 0 < new and not proof)


@CALLS
@given(data=st.data(), size=st.integers(0, 256))
def test_keccakOf__any_choice__hash_of_the_chosen(harness: Any, data: st.DataObject, size: int) -> None:
    words = [i.to_bytes(32, "big") for i in range(size)]
    chosen = data.draw(st.one_of(st.integers(0, 2**size - 1), st.just(1 << size >> 1), st.just(2**size - 1)))
    expected = keccak(b"".join(word for i, word in enumerate(words) if chosen >> i & 1))
    assert bytes(harness.keccakOf(words, chosen)) == expected


@CALLS
@given(numbers=st.sets(st.integers(0, 255), min_size=1))
def test_seat_set__any_numbers__lowest_and_count(harness: Any, numbers: set[int]) -> None:
    bitmap = sum(1 << number for number in numbers)
    assert harness.lowest(bitmap) == min(numbers)
    assert harness.count(bitmap) == len(numbers)
