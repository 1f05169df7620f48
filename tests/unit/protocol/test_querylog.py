"""Query logs against the recursive definitions of RFC 9162."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.domain.canonical import canonical
from orchestrator.protocol import querylog as log


def split(n: int) -> int:
    k = 1
    while k * 2 < n:
        k *= 2
    return k


def naive_root(leaves: list[bytes]) -> bytes:
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    k = split(len(leaves))
    return hashlib.sha256(b"\1" + naive_root(leaves[:k]) + naive_root(leaves[k:])).digest()


def naive_path(m: int, leaves: list[bytes]) -> list[bytes]:
    if len(leaves) == 1:
        return []
    k = split(len(leaves))
    if m < k:
        return [*naive_path(m, leaves[:k]), naive_root(leaves[k:])]
    return [*naive_path(m - k, leaves[k:]), naive_root(leaves[:k])]


def naive_consistency(m: int, leaves: list[bytes], complete: bool = True) -> list[bytes]:
    if m == len(leaves):
        return [] if complete else [naive_root(leaves)]
    k = split(len(leaves))
    if m <= k:
        return [*naive_consistency(m, leaves[:k], complete), naive_root(leaves[k:])]
    return [*naive_consistency(m - k, leaves[k:], False), naive_root(leaves[:k])]


LEAVES = [log.leaf_hash(f"entry {i}".encode()) for i in range(300)]


class Store:
    """Nodes by place; counts what is read and refuses to change a node."""

    def __init__(self) -> None:
        self.nodes: dict[log.Place, bytes] = {}
        self.size = 0

    def read(self, places: list[log.Place]) -> dict[log.Place, bytes]:
        assert len(set(places)) == len(places)
        return {place: self.nodes[place] for place in places}

    def append(self, leaves: list[bytes]) -> log.LogTree:
        tree = log.LogTree(self.size, self.read(log.nodes_for_append(self.size)))
        new = tree.append(leaves)
        assert not new.keys() & self.nodes.keys()
        self.nodes |= new
        self.size = tree.size
        return tree


def filled(size: int) -> Store:
    store = Store()
    store.append(LEAVES[:size])
    return store


@given(st.lists(st.integers(1, 40), min_size=1, max_size=7))
def test_append__any_batches__root_paths_and_consistency_from_the_frontier_alone(batches: list[int]) -> None:
    store = Store()
    for count in batches:
        before = store.size
        tree = store.append(LEAVES[before : before + count])
        so_far = LEAVES[: tree.size]
        assert tree.root() == naive_root(so_far)
        for index in range(before, tree.size):
            path = tree.inclusion_proof(index)
            assert path == naive_path(index, so_far)
            assert log.verify_inclusion(LEAVES[index], index, tree.size, path, tree.root())
        proof = tree.consistency_proof(before)
        assert proof == (naive_consistency(before, so_far) if before else [])
        assert log.verify_consistency(before, naive_root(LEAVES[:before]), tree.size, tree.root(), proof)


@given(st.integers(1, 280), st.data())
def test_proofs__any_leaf_or_earlier_size__from_the_named_nodes(size: int, data: st.DataObject) -> None:
    store, leaves = filled(size), LEAVES[:size]
    index, old = data.draw(st.integers(0, size - 1)), data.draw(st.integers(0, size))

    inclusion = log.LogTree(size, store.read(log.nodes_for_inclusion(index, size))).inclusion_proof(index)
    assert inclusion == naive_path(index, leaves)
    consistency = log.LogTree(size, store.read(log.nodes_for_consistency(old, size))).consistency_proof(old)
    assert consistency == (naive_consistency(old, leaves) if old else [])
    assert log.LogTree(size, store.read(log.nodes_for_root(size))).root() == naive_root(leaves)


@given(st.integers(1, 2**40), st.data())
def test_nodes_for__huge_logs__few_nodes(size: int, data: st.DataObject) -> None:
    index, old = data.draw(st.integers(0, size - 1)), data.draw(st.integers(0, size))
    assert len(log.nodes_for_append(size)) <= 41
    assert len(log.nodes_for_inclusion(index, size)) <= 82
    assert len(log.nodes_for_consistency(old, size)) <= 82


@pytest.mark.parametrize("size", [1, 2, 3, 6, 7, 8, 20])
def test_verify_inclusion__every_other_claim__false(size: int) -> None:
    store, root = filled(size), naive_root(LEAVES[:size])
    for index in range(size):
        path = log.LogTree(size, store.nodes).inclusion_proof(index)
        assert log.verify_inclusion(LEAVES[index], index, size, path, root)
        assert not log.verify_inclusion(LEAVES[index + 1], index, size, path, root)
        assert not log.verify_inclusion(LEAVES[index], index, size, path, bytes(32))
        assert not log.verify_inclusion(LEAVES[index], index, size, [*path, bytes(32)], root)
        assert not log.verify_inclusion(LEAVES[index], -1, size, path, root)
        assert not log.verify_inclusion(LEAVES[index], size, size, path, root)
        for other in range(size):
            assert log.verify_inclusion(LEAVES[index], other, size, path, root) == (other == index)
        if path:
            assert not log.verify_inclusion(LEAVES[index], index, size, path[:-1], root)
            assert not log.verify_inclusion(LEAVES[index], index, size, [path[0][::-1], *path[1:]], root)


@pytest.mark.parametrize("size", [1, 2, 3, 6, 7, 8, 20])
def test_verify_consistency__every_other_claim__false(size: int) -> None:
    nodes, root = filled(size).nodes, naive_root(LEAVES[:size])
    for old in range(size + 1):
        old_root = naive_root(LEAVES[:old])
        proof = log.LogTree(size, nodes).consistency_proof(old)
        assert log.verify_consistency(old, old_root, size, root, proof)
        assert not log.verify_consistency(old, bytes(32), size, root, proof)
        assert not log.verify_consistency(old, old_root, size, root, [*proof, bytes(32)])
        assert not log.verify_consistency(size + 1, old_root, size, root, proof)
        assert not log.verify_consistency(-1, old_root, size, root, proof)
        if proof:
            assert not log.verify_consistency(old, old_root, size, bytes(32), proof)
            assert not log.verify_consistency(old, old_root, size, root, proof[:-1])
            assert not log.verify_consistency(old, old_root, size, root, [])
            for place in range(len(proof)):
                spoilt = [node[::-1] if i == place else node for i, node in enumerate(proof)]
                assert not log.verify_consistency(old, old_root, size, root, spoilt)


@given(st.integers(2, 60), st.data())
def test_verify_consistency__a_forgotten_entry__no_proof_of_ours_hides_it(size: int, data: st.DataObject) -> None:
    old = data.draw(st.integers(1, size - 1))
    lost = data.draw(st.integers(0, old - 1))
    rewritten = [*LEAVES[:lost], *LEAVES[lost + 1 : size + 1]]
    store = Store()
    tree = store.append(rewritten)
    proof = log.LogTree(size, store.nodes).consistency_proof(old)
    assert not log.verify_consistency(old, naive_root(LEAVES[:old]), size, tree.root(), proof)


def test_verify__path_or_proof_of_another_size__false() -> None:
    two, four = naive_root(LEAVES[:2]), naive_root(LEAVES[:4])
    assert log.verify_inclusion(LEAVES[1], 1, 2, [LEAVES[0]], two)
    assert not log.verify_inclusion(LEAVES[1], 0, 1, [LEAVES[0]], two)
    assert not log.verify_inclusion(LEAVES[0], 0, 4, [LEAVES[1]], two)
    proof = naive_consistency(2, LEAVES[:4])
    assert log.verify_consistency(2, two, 4, four, proof)
    assert not log.verify_consistency(2, two, 8, four, proof)
    longer = naive_consistency(2, LEAVES[:8])
    assert log.verify_consistency(2, two, 8, naive_root(LEAVES[:8]), longer)
    assert not log.verify_consistency(2, two, 4, naive_root(LEAVES[:8]), longer)


def test_empty_log__root_and_consistency__of_the_rfc() -> None:
    assert log.LogTree().root() == log.EMPTY_ROOT == hashlib.sha256().digest()
    assert log.LogTree().append([]) == {}
    assert log.verify_consistency(0, log.EMPTY_ROOT, 0, log.EMPTY_ROOT, [])
    assert not log.verify_inclusion(LEAVES[0], 0, 0, [], LEAVES[0])


def test_tree__node_not_read__lookup_error() -> None:
    with pytest.raises(LookupError):
        log.LogTree(3).root()
    with pytest.raises(LookupError):
        log.LogTree(1).append(LEAVES[:1])


@pytest.mark.parametrize("call", [
    lambda: log.nodes_for_inclusion(3, 3), lambda: log.nodes_for_inclusion(-1, 3), lambda: log.LogTree(-1),
    lambda: log.nodes_for_consistency(4, 3), lambda: log.nodes_for_consistency(-1, 3), lambda: log.LogTree(1 << 48),
    lambda: log.LogTree((1 << 48) - 1).append(LEAVES[:1]),
])  # fmt: skip
def test_places__do_not_exist__refused(call) -> None:
    with pytest.raises(ValueError):
        call()


def test_entry__same_question_another_batch_or_attempt__another_leaf() -> None:
    entries = {
        log.entry("0xa", "0xb", 1),
        log.entry("0xa", "0xb", 2),
        log.entry("0xc", "0xb", 1),
        log.entry("0xb", "0xa", 1),
    }
    assert len(entries) == 4
    assert log.entry("0xa", "0xb", 1) == b'{"attempt":1,"batch":"0xa","question":"0xb"}'


@given(batch=st.text(), question=st.text(), attempt=st.integers(1, 2**32 - 1))
def test_entry__any_members__canonical_json(batch: str, question: str, attempt: int) -> None:
    members = {"batch": batch, "question": question, "attempt": attempt}
    assert log.entry(batch, question, attempt) == canonical(members)


@given(sizes=st.lists(st.integers(1, 20), min_size=2, max_size=6), data=st.data())
def test_tree__asked_between_appends__the_paths_of_a_tree_that_was_not(sizes: list[int], data: st.DataObject) -> None:
    tree, size = log.LogTree(), 0
    for more in sizes:
        tree.append(LEAVES[size : size + more])
        size += more
        index = data.draw(st.integers(0, size - 1))
        assert tree.root() == naive_root(LEAVES[:size])
        assert tree.inclusion_proof(index) == naive_path(index, LEAVES[:size])


# ---- what a proof shows of a log's beginning


@given(old=st.lists(st.binary(max_size=4), min_size=1, max_size=40), more=st.integers(1, 40))
def test_prefix_root__log_that_goes_on__the_root_it_had(old: list[bytes], more: int) -> None:
    tree, before = log.LogTree(), log.LogTree()
    before.append([log.leaf_hash(each) for each in old])
    tree.append([log.leaf_hash(each) for each in [*old, *(b"more" for _ in range(more))]])
    nodes = tree.consistency_proof(len(old))
    if not len(old) & (len(old) - 1):
        first = log.full_tree(log.leaf_hash(old[-1]), len(old) - 1, tree.inclusion_proof(len(old) - 1))
        assert first == before.root()
        nodes = [first, *nodes]
    assert log.prefix_root(len(old), tree.size, tree.root(), nodes) == before.root()


@given(size=st.integers(2, 60), data=st.data())
def test_prefix_root__log_rewritten__another_root_that_nobody_can_deny(size: int, data: st.DataObject) -> None:
    entries = [bytes([each]) for each in range(size)]
    old_size = data.draw(st.integers(1, size - 1))
    changed = data.draw(st.integers(0, old_size - 1))
    signed, now = log.LogTree(), log.LogTree()
    signed.append([log.leaf_hash(each) for each in entries[:old_size]])
    now.append([log.leaf_hash(b"other" if place == changed else each) for place, each in enumerate(entries)])
    proof = now.consistency_proof(old_size)
    assert not log.verify_consistency(old_size, signed.root(), size, now.root(), proof)
    nodes = proof
    if not old_size & (old_size - 1):
        last = b"other" if changed == old_size - 1 else entries[old_size - 1]
        nodes = [log.full_tree(log.leaf_hash(last), old_size - 1, now.inclusion_proof(old_size - 1)), *proof]
    shown = log.prefix_root(old_size, size, now.root(), nodes)
    assert shown not in (None, signed.root())


@given(size=st.integers(2, 60), data=st.data())
def test_prefix_root__nodes_altered__show_nothing(size: int, data: st.DataObject) -> None:
    tree = log.LogTree()
    tree.append([log.leaf_hash(bytes([each])) for each in range(size)])
    old_size = data.draw(st.integers(1, size - 1))
    nodes = tree.consistency_proof(old_size)
    if not old_size & (old_size - 1):
        nodes = [
            log.full_tree(log.leaf_hash(bytes([old_size - 1])), old_size - 1, tree.inclusion_proof(old_size - 1)),
            *nodes,
        ]
    place = data.draw(st.integers(0, len(nodes) - 1))
    altered = [bytes(32) if each == place else node for each, node in enumerate(nodes)]
    for wrong in (altered, nodes[:-1], [*nodes, bytes(32)], []):
        assert log.prefix_root(old_size, size, tree.root(), wrong) is None
    for outside in (0, size, size + 1):
        assert log.prefix_root(outside, size, tree.root(), nodes) is None


@given(sizes=st.lists(st.integers(0, 30), max_size=6))
def test_frontier__appended_to__the_same_log(sizes: list[int]) -> None:
    whole, carried = log.LogTree(), log.LogTree()
    for number, size in enumerate(sizes):
        leaves = [log.leaf_hash(bytes([number, each])) for each in range(size)]
        whole.append(leaves)
        carried = log.LogTree(carried.size, carried.frontier())
        carried.append(leaves)
        assert carried.root() == whole.root()
