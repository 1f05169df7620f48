"""What Solidity computes and takes, against `tests/vectors`. Their README says who else checks the same files.

Statements are checked twice: all of them, for any chain and contract, by a harness whose type hashes are the contracts' word for
word; and those that the contracts can take, by calling the contracts at the addresses that they were signed for.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ape
import pytest
from ape.api import AccountAPI, ReceiptAPI
from ape.contracts import ContractInstance
from eth_account import Account
from eth_utils import keccak
from world import APPROVED, Move, Outcome, World, container, random_bytes32, reverts, step, vectors

from orchestrator.ledger.compiler import ROOT, compile_files

EIP712, CALLS, CASES = vectors("eip712.json"), vectors("calls.json"), vectors("cases.json")
MERKLE, LOGS = vectors("merkle.json"), vectors("consistency.json")
HASHES: dict[str, list[dict[str, Any]]] = json.loads((ROOT / "tests/vectors/protocol/hashes.json").read_text("utf-8"))
MANY = 40
"""Proofs in one call: as many as a provider's limit of gas lets through."""


@pytest.fixture(scope="module")
def made(accounts: Any, _bound: World) -> dict[str, Any]:
    """The contracts of the harness. All before the first test, and after `_bound`, which lasts longer: ape wants it so."""
    files = {name: f"tests/contracts/harness/{name}.sol" for name in ("Statements", "Proofs", "Harness")}
    return {name: accounts[0].deploy(container(name, compile_files(file))) for name, file in files.items()}


@pytest.fixture
def statements(made: dict[str, Any]) -> Any:
    return made["Statements"]


@pytest.fixture
def proofs(made: dict[str, Any]) -> Any:
    return made["Proofs"]


@pytest.fixture
def harness(made: dict[str, Any]) -> Any:
    return made["Harness"]


def valued(value: Any) -> Any:
    """A message's value as the ABI takes it: numbers that are written as text as numbers, structs as tuples."""
    if isinstance(value, dict):
        return tuple(map(valued, value.values()))
    if isinstance(value, list):
        return [valued(each) for each in value]
    return int(value) if isinstance(value, str) and re.fullmatch(r"[0-9]+", value) else value


def message_of(vector: dict[str, Any]) -> dict[str, Any]:
    """The message in the order of its struct's fields. A scenario's name stays text, be it made of digits."""
    fields = EIP712["types"][vector["struct"]]
    return {
        field["name"]: vector["message"][field["name"]]
        if field["type"] == "string"
        else valued(vector["message"][field["name"]])
        for field in fields
    }


def pieces(rows: Iterable[Any]) -> Iterator[list[Any]]:
    """The rows, so many at a time."""
    everything = list(rows)
    return (everything[start : start + MANY] for start in range(0, len(everything), MANY))


# Typed data, for any chain and contract


def test_statements__any_chain_and_contract__digest_as_stated(statements: Any) -> None:
    for place, vector in enumerate(EIP712["cases"]):
        domain = (int(vector["domain"]["chainId"]), vector["domain"]["verifyingContract"])
        message = tuple(message_of(vector).values())
        arguments = (message,) if vector["struct"] == "Binding" else message
        digest = bytes(getattr(statements, vector["struct"].lower())(domain, *arguments))
        assert "0x" + digest.hex() == vector["digest"], (place, vector["struct"])
        assert statements.isBy(vector["signature"], vector["signer"], digest), place


def test_domains__any_chain_and_contract__separator_as_stated(statements: Any) -> None:
    for vector in EIP712["domains"]:
        found = statements.separator((int(vector["chainId"]), vector["verifyingContract"]))
        assert "0x" + bytes(found).hex() == vector["separator"]


def test_type_hashes__of_the_harness__are_the_contracts_word_for_word() -> None:
    def types(files: Iterable[Path]) -> set[str]:
        constant = re.compile(r'_TYPEHASH\s*=\s*keccak256\(\s*"([^"]*)"\s*\)')
        return {text for file in files for text in constant.findall(file.read_text(encoding="utf-8"))}

    ours = types([*(ROOT / "contracts").glob("*.sol"), *(ROOT / "contracts").glob("[!.]*/*.sol")])
    stated = {vector["type"] for vector in EIP712["typeHashes"]}
    assert types([ROOT / "tests/contracts/harness/Statements.sol"]) == stated
    assert {text for text in stated if not text.startswith("EIP712Domain")} == ours


def test_signatures__that_are_none__refused(statements: Any) -> None:
    for vector in vectors("signatures.json"):
        assert not statements.isBy(vector["signature"], vector["signer"], vector["digest"]), vector["why"]


# Calls that the contracts take


@dataclass(slots=True)
class Deployed:
    """The contracts at the addresses that the statements are for."""

    council: AccountAPI
    stranger: AccountAPI
    consortium: ContractInstance
    catalog: ContractInstance
    ledger: ContractInstance

    def take(self, call: dict[str, Any], signatures: list[str]) -> ReceiptAPI | bool:
        """Makes a call of calls.json with these signatures."""
        told = [EIP712["cases"][place] for place in call["statements"]]
        message = message_of(told[0])
        if call["call"] in ("settle", "verifySheet"):
            return getattr(self, f"_{call['call']}")(told, signatures)
        if call["call"] == "anchor":
            head = (message["seat"], int(call["oldSize"]), call["oldRoot"], message["size"], message["root"])
            return self.ledger.settle([], [], [(*head, call["proof"], *signatures)], sender=self.stranger)
        if call["call"] == "bind":
            return self.catalog.bind(tuple(message.values()), signatures, sender=self.stranger)
        if call["call"] == "amendTexts":
            del message["publisher"]  # the contract knows it
        if "keyset" in call:
            assert keccak(hexstr=call["keyset"]).hex() == message.pop("keysetHash")[2:]
            message["keyset"] = call["keyset"]
            order = (
                ("seat", "signer", "keyset", "fromBlock") if call["call"] == "rotate" else ("seat", "signer", "keyset")
            )
            message = {name: message[name] for name in order}
        contract = (
            self.consortium if call["call"] in ("admit", "rotate", "recover", "succeed", "veto") else self.catalog
        )
        sender = self.council if call["call"] in ("admit", "recover", "succeed") else self.stranger
        return getattr(contract, call["call"])(*message.values(), *signatures, sender=sender)

    def _settle(self, told: list[dict[str, Any]], signatures: list[str]) -> ReceiptAPI:
        batch = told[0]["message"]["transitions"]
        sheets = [
            (
                *list(message_of(one).values())[:2],
                sum(1 << batch.index(each) for each in one["message"]["transitions"]),
                by,
            )
            for one, by in zip(told, signatures, strict=True)
        ]
        return self.ledger.settle(valued(batch), sheets, [], sender=self.stranger)

    def _verifySheet(self, told: list[dict[str, Any]], signatures: list[str]) -> bool:
        now = ape.chain.blocks.height
        return bool(self.ledger.verifySheet(*message_of(told[0]).values(), *signatures, now))


@pytest.fixture(scope="module")
def deploy(compiled: dict[str, Any], accounts: Any, chain: Any) -> Callable[[], Deployed]:
    """Deploys from the vectors' own account, whose first three transactions these are."""

    def make() -> Deployed:
        web3, deployer = chain.provider.web3, Account.from_key(CALLS["deployer"]["key"])
        assert web3.eth.get_transaction_count(deployer.address) == 0
        accounts[2].transfer(deployer.address, 10**18)
        consortium, catalog, _ = CALLS["contracts"].values()
        constructors = {
            "Consortium": (accounts[0].address, CALLS["vetoBlocks"]),
            "Catalog": (consortium,),
            "CaseLedger": (consortium, catalog),
        }
        for nonce, (name, arguments) in enumerate(constructors.items()):
            contract = web3.eth.contract(abi=compiled[name]["abi"], bytecode=compiled[name]["bytecode"])
            transaction = contract.constructor(*arguments).build_transaction(
                {"from": deployer.address, "nonce": nonce, "chainId": chain.chain_id, "gas": 8_000_000}
            )
            sent = web3.eth.send_raw_transaction(deployer.sign_transaction(transaction).raw_transaction)
            receipt = web3.eth.wait_for_transaction_receipt(sent)
            assert (receipt["status"], receipt["contractAddress"]) == (1, CALLS["contracts"][name])
        at = [container(name, compiled).at(address) for name, address in CALLS["contracts"].items()]
        return Deployed(accounts[0], accounts[1], *at)

    return make


@pytest.fixture(scope="module")
def calls(chain: Any) -> list[dict[str, Any]]:
    """The calls for this provider's chain."""
    found: list[dict[str, Any]] = CALLS["chains"][str(chain.chain_id)]
    return found


def signatures(places: Iterable[int]) -> list[str]:
    return [EIP712["cases"][place]["signature"] for place in places]


def of_the_other_chain(call: dict[str, Any], calls: list[dict[str, Any]], chain_id: int) -> list[str]:
    """The signatures of the same keys over the same words for the same contract on the other chain."""
    [other] = [calls_ for chain, calls_ in CALLS["chains"].items() if chain != str(chain_id)]
    return signatures(other[calls.index(call)]["statements"])


def taken(call: dict[str, Any], result: ReceiptAPI | bool) -> bool:
    """Whether a call did all that it said."""
    if isinstance(result, bool):
        return result
    if call["call"] in ("settle", "anchor"):
        outcome, told = Outcome.of(result), EIP712["cases"][call["statements"][0]]["message"]
        assert not outcome.conflicts
        done, refused = len(outcome.settled), outcome.refused or outcome.sheets
        if call["call"] == "anchor":
            done, refused = len(outcome.anchored), outcome.heads
        assert done in (0, len(told.get("transitions", [told])))
        assert bool(done) != bool(refused)
        return bool(done)
    return len(result.events) == 1


def test_calls__every_kind_of_statement__taken_in_order_and_never_from_elsewhere(
    deploy: Callable[[], Deployed], calls: list[dict[str, Any]], chain: Any
) -> None:
    """Before each call the same is tried with signatures for the other chain, and with those of another kind of statement."""
    deployed = deploy()
    for call in calls:
        wrong = [of_the_other_chain(call, calls, chain.chain_id)]
        wrong += [signatures(call["wrong"])] if "wrong" in call else []
        for given in wrong:
            if call["call"] in ("settle", "anchor", "verifySheet"):
                assert not taken(call, deployed.take(call, given))
            else:
                name = "Consortium" if "keyset" in call or call["call"] == "veto" else "Catalog"
                with reverts(f"{name}_WrongSignature"):
                    deployed.take(call, given)
        assert taken(call, deployed.take(call, signatures(call["statements"]))), call["call"]


def test_calls__of_the_file__have_every_struct_on_each_chain() -> None:
    for calls in CALLS["chains"].values():
        structs = {EIP712["cases"][place]["struct"] for call in calls for place in call["statements"]}
        assert structs == EIP712["types"].keys() - {"Transition"}


# Steps and commitments


def test_steps__every_vector__unpacked_as_stated(harness: Any) -> None:
    for one in [*CASES["steps"], *CASES["unknown"]]:
        assert tuple(harness.parts(int(one["step"]))) == (one["status"], one["sequence"], one["binding"])


def test_commitments__every_vector__as_stated(harness: Any) -> None:
    for vector in CASES["commitments"]:
        before = 0
        for transition, after in zip(vector["transitions"], vector["commitments"], strict=True):
            # Whatever the step in the slot is, only the commitment goes into the next one.
            slot = (2**64 - 1) << 192 | before
            before = harness.advanced(slot, int(transition["step"]), transition["root"])
            assert before == int(after)


# Dossiers


@pytest.fixture
def cases(world: World) -> dict[str, tuple[bytes, int, str]]:
    """For every root in merkle.json a case that was approved on a dossier of that root, as case, step and root."""
    roots = [*dict.fromkeys(row["root"] for row in [*MERKLE["trees"], *MERKLE["refused"]])]
    batch = [Move(random_bytes32(root), bytes.fromhex(root[2:]), step(APPROVED, 1, 1)) for root in roots]
    assert len(world.settle(batch, [world.sheet(seat, batch) for seat in (3, 4)]).settled) == len(roots)
    return {root: (one.case, one.step, root) for root, one in zip(roots, batch, strict=True)}


def members(cases: dict[str, tuple[bytes, int, str]]) -> list[tuple[Any, ...]]:
    """Every proof of merkle.json as the harness takes it."""
    entries = [entry_of(entry) for entry in MERKLE["entries"]]
    return [
        (*cases[tree["root"]], entries[row["at"]], row["proof"]) for tree in MERKLE["trees"] for row in tree["proofs"]
    ]


def entry_of(entry: dict[str, str]) -> tuple[str, str, str]:
    return entry["kind"], entry["salt"], entry["content"]


def test_dossiers__every_leaf__hash_as_stated(proofs: Any) -> None:
    for some in pieces([*MERKLE["entries"], *(leaf for one in vectors("dossier.json") for leaf in one["leaves"])]):
        hashes = proofs.leaves([entry_of(leaf) for leaf in some])
        assert ["0x" + bytes(one).hex() for one in hashes] == [leaf["hash"] for leaf in some]


def test_dossiers__every_proof__holds_in_the_library_and_the_ledger(
    proofs: Any, world: World, cases: dict[str, Any]
) -> None:
    for some in pieces(members(cases)):
        assert all(proofs.memberships(some))
        assert all(proofs.membershipsBy(world.ledger, some))


def test_dossiers__what_is_not_in_them__refused_by_the_library_and_the_ledger(
    proofs: Any, world: World, cases: dict[str, Any]
) -> None:
    rows = [(*cases[row["root"]], entry_of(row["entry"]), row["proof"]) for row in MERKLE["refused"]]
    for some in pieces(rows):
        assert not any(proofs.memberships(some))
        assert not any(proofs.membershipsBy(world.ledger, some))


# Logs


def extensions() -> Iterator[tuple[Any, ...]]:
    """Every proof of one log extending another: small and large."""
    for row in LOGS["proofs"]:
        yield row["old"], LOGS["roots"][row["old"]], row["new"], LOGS["roots"][row["new"]], row["proof"]
    for log in LOGS["large"]:
        roots = {row["size"]: row["root"] for row in log["roots"]}
        for row in log["proofs"]:
            yield int(row["old"]), roots[row["old"]], int(row["new"]), roots[row["new"]], row["proof"]


def leaf_hash(statements: Any, index: int, length: int) -> str:
    return "0x" + bytes(statements.logLeaf(index.to_bytes(length, "big"))).hex()


def test_logs__every_extension__holds_in_the_library_and_the_ledger(proofs: Any, world: World) -> None:
    for some in pieces(extensions()):
        assert all(proofs.extensions(some))
        assert all(proofs.extensionsBy(world.ledger, some))


def test_logs__what_is_no_extension__refused_by_the_library_and_the_ledger(proofs: Any, world: World) -> None:
    rows = [(row["old"], row["oldRoot"], row["new"], row["newRoot"], row["proof"]) for row in LOGS["refused"]["proofs"]]
    for some in pieces(rows):
        assert not any(proofs.extensions(some))
        assert not any(proofs.extensionsBy(world.ledger, some))


def test_logs__every_inclusion__holds(statements: Any, proofs: Any) -> None:
    leaves = [leaf_hash(statements, index, 4) for index in range(len(LOGS["roots"]))]
    rows = [
        (leaves[row["index"]], row["index"], row["size"], LOGS["roots"][row["size"]], row["proof"])
        for row in LOGS["inclusion"]
    ]
    for log in LOGS["large"]:
        roots = {row["size"]: row["root"] for row in log["roots"]}
        for row in log["inclusion"]:
            index = int(row["index"])
            rows.append((leaf_hash(statements, index, 8), index, int(row["size"]), roots[row["size"]], row["proof"]))
    for some in pieces(rows):
        assert all(proofs.inclusions(some))


def test_logs__what_is_no_inclusion__refused(proofs: Any) -> None:
    rows = [(row["leaf"], row["index"], row["size"], row["root"], row["proof"]) for row in LOGS["refused"]["inclusion"]]
    for some in pieces(rows):
        assert not any(proofs.inclusions(some))


def test_logs__entries_under_an_anchored_head__hold_in_the_ledger_and_nowhere_else(
    statements: Any, proofs: Any, world: World
) -> None:
    """Logs of 33 and 64 leaves are anchored by seats 3 and 4."""
    empty = (0, bytes(32))
    heads = [(3, 33), (4, 64)]
    assert len(world.settle(heads=[world.head(s, empty, (n, LOGS["roots"][n]), []) for s, n in heads]).anchored) == 2
    leaves = [leaf_hash(statements, index, 4) for index in range(70)]
    for seat, size in heads:
        rows = [
            (leaves[row["index"]], row["index"], row["size"], LOGS["roots"][row["size"]], row["proof"])
            for row in LOGS["inclusion"]
        ]
        holding = [by for some in pieces(rows) for by in proofs.inclusionsBy(world.ledger, seat, some)]
        assert holding == [row[2] == size for row in rows]
        assert any(holding)
    wrong = [
        (row["leaf"], row["index"], row["size"], row["root"], row["proof"]) for row in LOGS["refused"]["inclusion"]
    ]
    for some in pieces(wrong):
        assert not any(proofs.inclusionsBy(world.ledger, 3, some))


# Hashes of what stays off chain


def compact(value: Any) -> bytes:
    """Canonical JSON of values without fractions and with names in ASCII, which the standard library sorts just so."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unbase64url(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def thumbprint_members(jwk: dict[str, str]) -> dict[str, str]:
    return {name: jwk[name] for name in ("crv", "kty", "x", "y") if name in jwk}


COMPUTED: dict[str, Callable[[Any, dict[str, Any]], tuple[bytes, str]]] = {
    "tagged": lambda s, v: (s.tagged(v["tag"], v["parts"]), v["hash"]),
    "mandate": lambda s, v: (s.sha256Of(v["token"].encode()), v["hash"]),
    "case": lambda s, v: (s.caseId(v["mandate"]), v["id"]),
    "question": lambda s, v: (s.question(v["mandate"], v["item"], v["index"], v["purpose"]), v["id"]),
    "subject": lambda s, v: (s.subject(v["salt"], v["type"], v["id"]), v["commitment"]),
    "object": lambda s, v: (s.object(v["salt"], v["json"].encode()), v["hash"]),
    "version": lambda s, v: (s.sha256Of(compact(v["document"])), v["hash"]),
    "texts": lambda s, v: (s.sha256Of(compact(v["document"])), v["hash"]),
    "keyset": lambda s, v: (s.keccakOf(v["json"].encode()), v["hash"]),
    "thumbprint": lambda s, v: (s.sha256Of(compact(thumbprint_members(v["jwk"]))), v["thumbprint"]),
    "disclosure": lambda s, v: (s.sha256Of(v["disclosure"].encode()), v["digest"]),
    "sealed": lambda s, v: (s.sha256Of(unbase64url(v["blob"])), v["hash"]),
    "entry": lambda s, v: (s.logLeaf(v["entry"].encode()), v["leaf"]),
}


def test_hashes__of_every_kind_in_the_file__as_stated(statements: Any) -> None:
    assert HASHES.keys() == COMPUTED.keys()
    for kind, vectors_ in HASHES.items():
        for vector in vectors_:
            found, stated = COMPUTED[kind](statements, vector)
            assert stated in ("0x" + bytes(found).hex(), base64url(bytes(found))), (kind, vector)
