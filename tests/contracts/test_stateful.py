"""Stateful property tests: departments, a council, strangers and an attacker at a real EVM, and the model beside it.

    ape test tests/contracts/test_stateful.py --network ethereum:local:test                        some 2,000 steps, 60 attacks
    LIANBAN_TESTS=nightly ape test tests/contracts/test_stateful.py --network ethereum:local:test   22,000 steps, 2,000 attacks

The node is an Anvil that the tests start themselves, whatever network ape is given. By night the games differ each time; the seed
that a failure names repeats it with `LIANBAN_SEED`.
"""

from __future__ import annotations

import os
import random
import secrets
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing
from typing import Any

import pytest
from eth_account.messages import encode_typed_data
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test
from machine import MUTABLE, NAMES, Compiled, Tally, open_actors
from machine_attack import attack
from machine_chain import CHAIN_ID, Node, open_chain
from machine_keys import TYPES, digest
from machine_steps import MAKE_TEST, NIGHTLY, STEPS, Game, play_game

from orchestrator.domain.canonical import keccak
from orchestrator.ledger.compiler import compile_files

BY_NIGHT = os.environ.get("LIANBAN_TESTS") == "nightly"
PLAN = NIGHTLY if BY_NIGHT else MAKE_TEST
ATTACKS = 2000 if BY_NIGHT else 60
CONTROLS = 200 if BY_NIGHT else 24
SEED = os.environ.get("LIANBAN_SEED", secrets.token_hex(4) if BY_NIGHT else "")
"""Empty by day: the games are then always the same, those of the sabotages' table."""

Stage = tuple[Node, Compiled, list[bytes]]


PLAYS = 40
"""Games and attacks on one node: an Anvil slows down as its chain grows, and is tenfold slower after a night's games."""


class Stages:
    """A node with actors on it, and another one after every `PLAYS` times that it was asked for."""

    def __init__(self, built: Compiled) -> None:
        self._built, self._nodes, self._plays = built, ExitStack(), 0
        self._stage: Stage | None = None

    def __call__(self) -> Stage:
        """Where the next game is played."""
        if self._stage is None or self._plays % PLAYS == 0:
            self.close()
            node = self._nodes.enter_context(open_chain())
            self._stage = node, self._built, open_actors(node, self._built)
        self._plays += 1
        return self._stage

    def close(self) -> None:
        """Ends the node."""
        self._nodes.close()


@pytest.fixture(scope="module")
def stage(compiled: dict[str, Any]) -> Iterator[Stages]:
    """Gives a node with actors on it for each game."""
    with closing(Stages(Compiled.of(compiled, compile_files("tests/contracts/harness/Probe.sol")["Probe"]))) as stages:
        yield stages


def seeds(count: int) -> list[Any]:
    """The games' seeds: plain numbers by day."""
    return [f"{SEED}/{number}" if SEED else number for number in range(count)]


@pytest.mark.timeout(3600)
def test_ledger__long_random_games__as_the_model_says_and_every_invariant_holds(stage: Stages) -> None:
    tally = Tally()
    for seed in seeds(PLAN.games):
        play_game(*stage(), seed, PLAN.steps, tally)
    assert tally.steps >= (20_000 if BY_NIGHT else 1_000)
    missing = [what for what in WANTED if not any(seen.startswith(what) for seen in tally.seen)]
    assert not missing, f"the games never came to this: {missing}"
    print(f"{tally.steps} steps, {tally.acts} calls, {tally.views} views compared")


WANTED = (
    *("CaseSettled", "CaseRefused", "SheetRefused", "HeadAnchored", "HeadConflicted", "HeadRefused", "BindingMade"),
    *(
        "KeysAnnounced",
        "KeysVetoed",
        "KeysCancelled",
        "SeatSuspended",
        "SeatReinstated",
        "SeatRemoved",
        "BindingRetired",
    ),
    *(
        f"{contract}.{function} ok"
        for contract in NAMES
        for function in MUTABLE[contract]
        if function != "renounceOwnership"
    ),
    *(f"{contract}.{function} reverts" for contract in NAMES for function in MUTABLE[contract]),
)
"""What a run must have seen, so that it shows anything."""


@pytest.mark.timeout(3600)
def test_ledger__steps_that_hypothesis_chooses__as_the_model_says(stage: Stages) -> None:
    """The same steps in orders that hypothesis draws and, on a failure, shortens."""

    class Ledger(RuleBasedStateMachine):
        """One rule for each kind of step."""

        @initialize(seed=st.integers(0, 2**32))
        def begin(self, seed: int) -> None:
            self.game = Game(*stage(), seed, Tally())

    for name in STEPS:

        def step(self: Ledger, seed: int, name: str = name) -> None:
            self.game.step(name, random.Random(seed))

        setattr(Ledger, name, rule(seed=st.integers(0, 2**64 - 1))(step))

    run_state_machine_as_test(
        Ledger,
        settings=settings(
            max_examples=60 if BY_NIGHT else 6,
            stateful_step_count=60 if BY_NIGHT else 40,
            deadline=None,
            derandomize=not BY_NIGHT,
            database=None,
            suppress_health_check=list(HealthCheck),
            phases=(Phase.generate, Phase.shrink),
        ),
    )


@pytest.mark.timeout(7200)
def test_ledger__attacker_without_one_of_the_required_keys__reaches_nothing(stage: Stages) -> None:
    tally = Tally()
    names = Counter(attack(*stage(), seed, tally)[0] for seed in seeds(ATTACKS))
    assert len(names) >= 9, "some goals were never pursued"
    print(f"{ATTACKS} attacks in {tally.steps} steps: {dict(names)}")


@pytest.mark.timeout(3600)
def test_ledger__attacker_with_all_the_required_keys__reaches_it_by_the_same_search(stage: Stages) -> None:
    """Or the test above would show nothing."""
    ends = [attack(*stage(), ("whole", seed), Tally(), whole=True) for seed in seeds(CONTROLS)]
    tried, won = Counter(name for name, _ in ends), Counter(name for name, reached in ends if reached)
    assert len(tried) >= 6
    assert all(won[name] >= tried[name] * 0.5 for name in tried), f"{won} of {tried}"


def test_i5__whatever_the_ledger_stores_or_tells_of_a_case__is_a_number_or_a_hash(compiled: dict[str, Any]) -> None:
    """Nothing that the ledger takes for a case can hold text, but signatures and the entry that a view is asked about."""

    def kinds(parameters: Any) -> set[str]:
        found: set[str] = set()
        for one in parameters:
            inner = one.get("components")
            found |= kinds(inner) if inner else {one["type"].removesuffix("[]")}
        return found

    entries = compiled["CaseLedger"]["abi"]
    [settle] = [one for one in entries if one["type"] == "function" and one["stateMutability"] == "nonpayable"]
    assert settle["name"] == "settle"
    assert kinds(settle["inputs"]) == {"bytes32", "uint64", "uint8", "uint256", "bytes"}
    told = [one for one in entries if one["type"] == "event" and one["name"] != "EIP712DomainChanged"]
    assert kinds(parameter for event in told for parameter in event["inputs"]) <= {
        "bytes32",
        "uint64",
        "uint8",
        "uint256",
    }


def test_machine__every_function_that_changes_something__is_played(compiled: dict[str, Any]) -> None:
    for name in NAMES:
        functions = {one["name"]: one["stateMutability"] for one in compiled[name]["abi"] if one["type"] == "function"}
        assert {one for one, kind in functions.items() if kind not in ("view", "pure")} <= MUTABLE[name] <= {*functions}


def test_digest__every_struct__as_eth_account_has_it() -> None:
    contract = bytes(range(20))
    domain = {"name": "Lianban", "version": "1", "chainId": CHAIN_ID, "verifyingContract": "0x" + contract.hex()}
    for struct in TYPES:
        values = [_sample(member["type"], place) for place, member in enumerate(TYPES[struct])]
        message = {
            member["name"]: _named(member["type"], value) for member, value in zip(TYPES[struct], values, strict=True)
        }
        used = {name: TYPES[name] for name in {struct} | ({"Transition"} if struct == "Sheet" else set())}
        signable = encode_typed_data(domain, used, message)
        assert keccak(b"\x19" + signable.version + signable.header + signable.body) == digest(contract, struct, values)


def _sample(kind: str, place: int) -> Any:
    if kind.endswith("[]"):
        return tuple(_sample(kind[:-2], place + more) for more in (1, 2))
    if kind in TYPES:
        return tuple(_sample(member["type"], place + more) for more, member in enumerate(TYPES[kind]))
    if kind == "string":
        return f"名 {place}"
    return bytes([place + 1] * (20 if kind == "address" else 32)) if kind in ("address", "bytes32") else place + 3


def _named(kind: str, value: Any) -> Any:
    if kind.endswith("[]"):
        return [_named(kind[:-2], one) for one in value]
    if kind in TYPES:
        return {member["name"]: one for member, one in zip(TYPES[kind], value, strict=True)}
    return "0x" + value.hex() if kind == "address" else value
