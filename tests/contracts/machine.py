"""Machine: the three contracts on a real EVM and their model side by side. Every act is played on both, and then everything is
compared: what the call returned or why it reverted, all events, and every view of everything that is known.

A difference is a `Breach`, which names the invariant (I1 to I8, in docs/architecture.md) that it speaks against.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from machine_chain import Contract, Node
from machine_keys import Ring
from model import CaseLedger
from model_base import AnyOf, Clock, Reverted, Signatures
from model_catalog import Catalog
from model_consortium import Consortium

from orchestrator.domain.canonical import keccak

View = tuple[str, str, tuple[Any, ...]]
"""Contract, function and arguments."""
ACTORS = 4
"""Whoever sends: the first is the council at the beginning."""
NAMES = ("Consortium", "Catalog", "CaseLedger")

_BROKEN = {
    "ZeroRoot": "I5",
    "UnknownStatus": "I2",
    "ForbiddenMove": "I2",
    "UnknownBinding": "I3",
    "OtherBinding": "I3",
    "RetiredBinding": "I3",
    "WrongSequence": "I4",
    "NotSigned": "I1",
    "Expired": "I4",
    "BeyondBatch": "I4",
    "SeatNotActive": "I6",
    "WrongSignature": "I1",
    "SizeTooLarge": "I7",
    "Stale": "I7",
    "NotFromAnchored": "I7",
    "Inconsistent": "I7",
    "BatchTooLarge": "I8",
    "WrongStanding": "I6",
    "OwnableUnauthorizedAccount": "I6",
    "CouncilNeeded": "I6",
    "SeatTaken": "I1",
    "SignerUsed": "I4",
    "EmptyKeyset": "I1",
    "ChangePending": "I1",
    "NoSuchChange": "I4",
    "WrongBlock": "I1",
    "NotTheCouncils": "I1",
    "NoVetoBlocks": "I1",
    "AlreadyBound": "I4",
    "AlreadyPublished": "I3",
    "EmptyScenario": "I3",
    "UnknownVersion": "I3",
    "WrongRevision": "I4",
    "IdentityIsOperator": "I3",
    "NoApprovers": "I1",
    "ApproverTwice": "I1",
    "WrongSignatureCount": "I3",
    "AlreadyRetired": "I3",
    "SeatNotNamed": "I3",
}
"""Which invariant it would break to do what was to be refused for this reason."""
_SHOWN = {
    "statusOf": "I2",
    "caseOf": "I2",
    "headOf": "I7",
    "verifyHistory": "I5",
    "verifyDossier": "I5",
    "verifySheet": "I1",
    "verifyLogEntry": "I7",
    "verifyExtension": "I7",
    "bindingOf": "I3",
    "bindingCount": "I3",
    "versionOf": "I3",
    "termsOf": "I3",
}
"""Which invariant a view is about; those of the consortium are about I1 and I6, keys in force and standing."""


class Breach(AssertionError):
    """The chain did what the model says it must not, or did not what it must."""

    def __init__(self, invariant: str, detail: str) -> None:
        super().__init__(f"{invariant}: {detail}")
        self.invariant = invariant


@dataclass(frozen=True)
class Act:
    """One call by one actor."""

    by: bytes
    contract: str
    function: str
    arguments: tuple[Any, ...]
    dirty: bytes = b""
    """Calldata to send instead, which is no ABI encoding: nothing but a bare revert is right."""


@dataclass
class Outcome:
    """What an act came to on both sides."""

    act: Act
    ok: bool
    returned: bytes
    events: list[tuple[bytes, str, tuple[Any, ...]]]
    """As the model tells them."""


@dataclass
class Compiled:
    """What is deployed: the contracts, whole or sabotaged, and the probe."""

    contracts: dict[str, Contract]
    probe: Contract

    @classmethod
    def of(cls, contracts: dict[str, dict[str, Any]], probe: dict[str, Any]) -> Compiled:
        return cls({name: Contract(contracts[name]) for name in NAMES}, Contract(probe))


def open_actors(node: Node, compiled: Compiled) -> list[bytes]:
    """Probes on the chain, one for each actor."""
    made = [node.deploy(compiled.probe.code) for _ in range(ACTORS)]
    assert all(made)
    return [address for address in made if address is not None]


@dataclass
class Tally:
    """What was done, by function and outcome, so that a run can show that it was not idle."""

    steps: int = 0
    acts: int = 0
    views: int = 0
    seen: dict[str, int] = field(default_factory=dict)

    def count(self, what: str) -> None:
        self.seen[what] = self.seen.get(what, 0) + 1


class Machine:
    """A fresh consortium with its model."""

    def __init__(
        self, node: Node, compiled: Compiled, actors: Sequence[bytes], seed: object, veto_blocks: int, tally: Tally
    ) -> None:
        self.node, self.compiled, self.actors, self.tally = node, compiled, list(actors), tally
        self.rng = random.Random(f"views of {seed}")
        self.signatures = Signatures()
        self.ring = Ring(seed, self.signatures)
        kinds = compiled.contracts
        if node.deploy(kinds["Consortium"].creation(actors[0], 0)) is not None:
            raise Breach("I1", "a council may change keys without a block to veto in")
        addresses = [self._deploy(kinds["Consortium"], actors[0], veto_blocks)]
        addresses.append(self._deploy(kinds["Catalog"], addresses[0]))
        addresses.append(self._deploy(kinds["CaseLedger"], *addresses))
        self.contracts = {name: kinds[name].at(address) for name, address in zip(NAMES, addresses, strict=True)}
        self._names = {address: name for name, address in zip(NAMES, addresses, strict=True)}
        self.clock = Clock(*node.clock())
        self.began = self.clock.block
        self.consortium = Consortium(addresses[0], self.clock, self.signatures, actors[0], veto_blocks)
        self.consortium.events.append((addresses[0], "OwnershipTransferred", (bytes(20), actors[0])))
        self.catalog = Catalog(addresses[1], self.clock, self.signatures, self.consortium)
        self.ledger = CaseLedger(addresses[2], self.clock, self.signatures, self.catalog)
        self.models = {"Consortium": self.consortium, "Catalog": self.catalog, "CaseLedger": self.ledger}
        self._expected: dict[View, tuple[Any, bytes]] = {}
        self._words: dict[View, bytes] = {}
        self._flush()
        self.blocks = [self.clock.block]
        """Blocks in which something happened."""

    def _deploy(self, contract: Contract, *arguments: Any) -> bytes:
        address = self.node.deploy(contract.creation(*arguments))
        if address is None:
            raise Breach("I8", "a contract cannot be deployed")
        return address

    # Acting

    def play(self, *acts: Act) -> list[Outcome]:
        """Plays acts in one block on both sides and compares what each did, not yet the views. Raises Breach."""
        self.tally.acts += len(acts)
        encoded = [(act.by, (self.contracts[act.contract].address, self._calldata(act))) for act in acts]
        probe = self.compiled.probe
        receipt = self.node.send(self.actors[-1], probe.functions["play"].calldata((encoded,)))
        if receipt["status"] != "0x1":
            raise Breach("I8", f"the block is too heavy: {[act.function for act in acts]}")
        self.clock.block, self.clock.time = int(receipt["blockNumber"], 16), int(str(receipt["blockTimestamp"]), 0)
        self.blocks.append(self.clock.block)
        played = probe.events["Played"].hash
        outcomes, logs = [], []
        waiting = iter(acts)
        for log in receipt["logs"]:
            topics = tuple(bytes.fromhex(topic[2:]) for topic in log["topics"])
            data = bytes.fromhex(log["data"][2:])
            if topics[0] != played:
                logs.append((bytes.fromhex(log["address"][2:]), topics, data))
                continue
            length = int.from_bytes(data[64:96], "big")
            outcomes.append(self._compare(next(waiting), data[31] == 1, data[96 : 96 + length], logs))
            logs = []
        return outcomes

    def mine(self, blocks: int) -> None:
        """Lets blocks pass."""
        self.node.mine(blocks)
        self._tick()

    def pass_time(self, seconds: int) -> None:
        """Lets a block come that much later."""
        self.node.pass_time(seconds)
        self._tick()

    def _tick(self) -> None:
        self.clock.block, self.clock.time = self.node.clock()

    def _calldata(self, act: Act) -> bytes:
        return act.dirty or self.contracts[act.contract].functions[act.function].calldata(act.arguments)

    def _flush(self) -> list[tuple[bytes, str, tuple[Any, ...]]]:
        events = [event for model in self.models.values() for event in model.events]
        for model in self.models.values():
            model.events.clear()
        return events

    def _compare(self, act: Act, ok: bool, returned: bytes, logs: list[Any]) -> Outcome:
        """Plays one act on the model and holds the chain's answer and events against it."""
        contract, what = self.contracts[act.contract], f"{act.contract}.{act.function}"
        faults: list[tuple[str, tuple[Any, ...]]] = []
        expected: Any = ()
        try:
            if act.dirty:
                raise Reverted([])
            model = self.models[act.contract]
            function = getattr(model, act.function)
            mutable = act.function in MUTABLE[act.contract]
            expected = (function(act.by, *act.arguments) if mutable else function(*act.arguments)) or ()
        except Reverted as problem:
            faults = problem.faults
            if ok:
                raise Breach(_invariant(faults), f"{what} went through in spite of {faults}: {act.arguments}") from None
            answers = [contract.errors[name].calldata(arguments) for name, arguments in faults] or [b""]
            if returned not in answers:
                raise Breach(
                    _invariant(faults), f"{what} gives another reason, {self._error(returned)}, than {faults}"
                ) from None
            self.tally.count(f"{what} reverts {self._error(returned)}")
            return Outcome(act, False, returned, [])
        events = self._flush()
        if not ok:
            invariant = "I8" if act.function == "settle" else "the good is served"
            raise Breach(invariant, f"{what} reverts with {self._error(returned)}: {act.arguments}")
        if returned != contract.functions[act.function].returned(expected):
            raise Breach(_SHOWN.get(act.function, "I1"), f"{what} returns {returned.hex()} and not {expected}")
        self._compare_events(what, events, logs)
        self.tally.count(f"{what} ok")
        return Outcome(act, True, returned, events)

    def _compare_events(self, what: str, events: list[Any], logs: list[Any]) -> None:
        for place, (address, name, arguments) in enumerate(events):
            log = logs[place] if place < len(logs) else None
            choices = [one for one in arguments if isinstance(one, AnyOf)]
            reasons = choices[0].numbers if choices else {"": 0}
            for reason, number in reasons.items():
                values = [number if isinstance(one, AnyOf) else one for one in arguments]
                topics, data = self.contracts[self._names[address]].events[name].log(values)
                if log == (address, topics, data):
                    self.tally.count(f"{name} {reason}".rstrip())
                    break
            else:
                told = self._named_event(log)
                refused = {"CaseRefused", "SheetRefused", "HeadRefused"}
                if name in refused and told not in refused:
                    invariant = _invariant([(reason, ()) for reason in reasons])
                elif name in refused:
                    invariant = f"{_invariant([(reason, ()) for reason in reasons])}"
                else:
                    invariant = "I7" if name.startswith("Head") else "I8"
                raise Breach(invariant, f"{what} tells {told}, not {name}{arguments}")
        if len(logs) > len(events):
            raise Breach("I8", f"{what} tells more: {self._named_event(logs[len(events)])}")

    def _named_event(self, log: Any) -> str:
        if log is None:
            return "nothing"
        address, topics, data = log
        contract = self.contracts.get(self._names.get(address, ""))
        names = [entry.name for entry in contract.events.values() if entry.hash == topics[0]] if contract else []
        return (
            f"{names[0]}({', '.join(topic.hex() for topic in topics[1:])}; {data.hex()})"
            if names
            else "an unknown event"
        )

    def _error(self, returned: bytes) -> str:
        for contract in self.contracts.values():
            for entry in contract.errors.values():
                if returned[:4] == entry.hash[:4]:
                    return entry.name
        return returned.hex() or "nothing"

    # Looking

    def look(self, views: Iterable[View]) -> None:
        """Compares views (contract, function, arguments) with the model's. Raises Breach."""
        groups: dict[tuple[str, str], list[View]] = {}
        alone: list[View] = []
        for view in views:
            if self.contracts[view[0]].functions[view[1]].by_words:
                groups.setdefault(view[:2], []).append(view)
            else:
                alone.append(view)
        asked = [self._group(contract, function, members) for (contract, function), members in groups.items()]
        views = [*(view for members in groups.values() for view in members), *alone]
        self.tally.views += len(views)
        survey = self.compiled.probe.functions["survey"].calldata((asked, [self._call(view) for view in alone]))
        seen = self.node.call(self.actors[-1], survey)[64:]
        expected = b"".join(self._expect(view) for view in views)
        if seen == expected:
            return
        for place, view in enumerate(views):
            if seen[32 * place : 32 * place + 32] != expected[32 * place : 32 * place + 32]:
                contract, function, arguments = view
                model = getattr(self.models[contract], function)(*arguments)
                raise Breach(
                    _SHOWN.get(function, "I6" if "tanding" in function else "I1"),
                    f"{contract}.{function}{arguments} is not {model} at block {self.clock.block}",
                )

    def _group(self, contract: str, function: str, views: list[View]) -> tuple[bytes, bytes, int, bytes]:
        target = self.contracts[contract]
        entry = target.functions[function]
        known = self._words
        for view in views:
            if view not in known:
                known[view] = entry.calldata(view[2])[4:]
        return target.address, entry.hash[:4], len(entry.inputs), b"".join(known[view] for view in views)

    def _call(self, view: View) -> tuple[bytes, bytes]:
        contract, function, arguments = view
        target = self.contracts[contract]
        return target.address, target.functions[function].calldata(arguments)

    def _expect(self, view: View) -> bytes:
        contract, function, arguments = view
        values = getattr(self.models[contract], function)(*arguments)
        known = self._expected.get(view)
        if known is not None and known[0] == values:
            return known[1]
        seen = keccak(b"\x01" + self.contracts[contract].functions[function].returned(values))
        if not function.startswith("verify"):
            self._expected[view] = (values, seen)
        return seen

    def everything(self, sample: int = 12) -> list[View]:
        """Every view of everything that is known and of some that is not, past blocks by a sample of that many."""
        now, consortium, catalog = self.clock.block, self.consortium, self.catalog
        views: list[View] = [("Consortium", name, ()) for name in ("owner", "pendingOwner", "vetoBlocks")]
        seats = [*consortium.seats, self.rng.randrange(256)]
        for seat in seats:
            views += [("Consortium", name, (seat,)) for name in _OF_SEAT]
            views.append(("CaseLedger", "headOf", (seat,)))
        for _ in range(sample):
            seat = self.rng.choice(seats)
            block = self.rng.choice([self.rng.choice(self.blocks), now, now - 1, now + self.rng.randrange(8), *_EDGES])
            views += [("Consortium", name, (seat, block)) for name in _AT_BLOCK]
        views.append(("Catalog", "bindingCount", ()))
        for number in (*catalog.bindings, 0, len(catalog.bindings) + 1):
            views += [("Catalog", "bindingOf", (number,)), ("Catalog", "termsOf", (number,))]
        views += [("Catalog", "versionOf", (version,)) for version in (*catalog.versions, self.rng.randbytes(32))]
        for case in (*self.ledger.cases, self.rng.randbytes(32)):
            views += [("CaseLedger", "caseOf", (case,)), ("CaseLedger", "statusOf", (case,))]
        return views

    def past(self) -> list[View]:
        """The keys and standings of all seats in all blocks in which something happened, and in those around."""
        blocks = sorted({near for block in self.blocks for near in (block - 1, block, block + 1)})
        return [
            ("Consortium", name, (seat, block))
            for seat in self.consortium.seats
            for block in blocks
            for name in _AT_BLOCK
        ]


MUTABLE = {
    "Consortium": {
        *("admit", "rotate", "recover", "succeed", "veto", "cancel", "suspend", "reinstate", "remove"),
        *("transferOwnership", "acceptOwnership", "renounceOwnership"),
    },
    "Catalog": {"publish", "amendTexts", "bind", "retire"},
    "CaseLedger": {"settle"},
}
"""All functions that change something; a test holds it against the ABI."""
_OF_SEAT = ("seatOf", "signerOf", "keysetHashOf", "announcedOf", "changeCount", "keysOf", "standingsOf")
_AT_BLOCK = ("signerAt", "keysetHashAt", "standingAt")
_EDGES = (0, 2**64, 2**256 - 1)


def _invariant(faults: Sequence[tuple[str, tuple[Any, ...]]]) -> str:
    found = sorted({_BROKEN[name.rpartition("_")[2]] for name, _ in faults}) or ["I8"]
    return "/".join(found)
