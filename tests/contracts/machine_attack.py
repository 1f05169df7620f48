"""An attacker who holds some keys but not all that a goal requires, and searches for any sequence of calls that reaches it.

Signatures of keys that they do not hold they replay, bend and make up; everything that was ever signed is known to them. They
send with whatever sender they like, as the council too where they hold it; then honest departments watch their seats and veto.
With all the keys that a goal requires the same search reaches it, which shows that it is no idle one.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import machine_acts as acts
from machine import Act, Breach, Compiled, Tally
from machine_cases import FAR, anchoring, settlement
from machine_chain import CHAIN_ID, Node
from machine_hands import Hands
from machine_heads import heads_of
from machine_steps import Game
from model import ACCEPTED, APPROVED, MOVES, REFUSED, RETURNED, REVOKED, SUSPENDED, WITHDRAWN
from model_consortium import REMOVED

from orchestrator.domain.canonical import keccak

LENGTH = (6, 15)
"""Fewest and most calls of an attack."""


class Attacker(Hands):
    """Hands that sign only with the keys that they hold."""

    def __init__(self, game: Game, held: set[bytes], council: bool) -> None:
        honest = game.hands
        super().__init__(game.machine, honest.rng, 0.5)
        self.held = held
        self.holds_council = council
        self.logs, self.sheets, self.dossiers = honest.logs, honest.sheets, honest.dossiers
        self.replays, self.stale = honest.replays, honest.stale

    def actor(self) -> bytes:
        return self._sender(super().actor())

    def council(self, fault: bool) -> bytes:
        return self._sender(super().council(fault))

    def _sender(self, actor: bytes) -> bytes:
        """The actor, unless it is a council that the attacker does not hold."""
        [owner] = self.machine.consortium.owner()
        if actor != owner or self.holds_council:
            return actor
        return self.pick([one for one in self.machine.actors if one != owner])

    def new(self) -> bytes:
        address = super().new()
        self.held.add(address)
        return address

    def sign(self, signer: bytes, contract: str, struct: str, *values: Any, chain_id: int = CHAIN_ID) -> bytes:
        if signer in self.held:
            return super().sign(signer, contract, struct, *values, chain_id=chain_id)
        said = [one for one, (by, *_) in self.machine.signatures.said.items() if by == signer]
        kind = self.pick(["replay", "replay", "mine", "bent", "rubbish", "nothing"])
        if kind == "mine" and self.held:
            return super().sign(self.pick(sorted(self.held)), contract, struct, *values)
        if said and kind in ("replay", "bent"):
            signature = self.pick(said)
            return signature if kind == "replay" else signature[:32] + self.rng.randbytes(32) + signature[64:]
        return b"" if kind == "nothing" else self.rng.randbytes(64) + self.pick([b"\x1b", b"\x1c"])


@dataclass
class Goal:
    """What the attacker is after."""

    name: str
    invariant: str
    required: list[set[bytes]]
    """Keys of which one whole set reaches the goal; none when no keys at all must."""
    press: Callable[[Attacker], list[Act]]
    """A call that reaches it with the keys."""
    reached: Callable[[], bool]
    reserved: bytes = b""
    """A case that honest departments leave alone."""


def attack(
    node: Node, compiled: Compiled, actors: Sequence[bytes], seed: object, tally: Tally, *, whole: bool = False
) -> tuple[str, bool]:
    """One attack that the seed determines; the goal's name and whether it was reached. Raises Breach when that must not be.

    With `whole` the attacker holds all keys that the goal requires, and nothing is raised for reaching it.
    """
    rng = random.Random(f"attack {seed}")
    game = Game(node, compiled, actors, seed, tally, veto_blocks=rng.choice([2, 3, 5]), quiet=True)
    try:
        _past(game, rng)
        game.quiet = False
        goal, held, council = _chosen(game, rng, whole)
        game.auditor.held = held
        thief = Attacker(game, held, council)
        for _ in range(rng.randrange(*LENGTH)):
            thief.rng = game.hands.rng = random.Random(rng.getrandbits(64))
            game.play(_call(thief, goal))
            _answer(game, held, goal)
            if goal.reached():
                break
        game.look()
    except Breach as problem:
        problem.add_note(f"attack {seed!r}")
        raise
    reached = goal.reached()
    if reached and not whole:
        raise Breach(goal.invariant, f"an attacker reached: {goal.name} (attack {seed!r})")
    tally.count(f"attack: {goal.name}{' with all keys' if whole else ''}")
    return goal.name, reached


def _past(game: Game, rng: random.Random) -> None:
    """An honest past: cases, heads, a key that was changed."""
    for make in (settlement, anchoring, settlement, acts.rotation, settlement, acts.binding):
        game.hands.rng = random.Random(rng.getrandbits(64))
        game.hands.faults = 0.1
        game.play([make(game.hands)])
    game.machine.mine(5)


def _chosen(game: Game, rng: random.Random, whole: bool) -> tuple[Goal, set[bytes], bool]:
    """A goal, the keys held, and whether the council is."""
    game.hands.rng = rng
    goal = rng.choice(_goals(game, rng)[: None if not whole else -2])
    consortium = game.machine.consortium
    present = {game.hands.signer(seat) for seat in consortium.seats}
    required = set().union(*goal.required) if goal.required else set()
    outdated = {keys.signer for seat in consortium.seats.values() for keys in seat.keys} - present
    if whole:
        return goal, required, False
    held = set(
        present
        if not goal.required or rng.random() < 0.6
        else rng.sample(sorted(present), rng.randrange(len(present) + 1))
    )
    for keys in goal.required:
        # Of each set that would do at least one key is missing.
        missing = rng.sample(sorted(keys), rng.choice([1, rng.randrange(1, len(keys) + 1)]))
        held -= set(missing)
    return goal, held | outdated, rng.random() < 0.5


def _call(thief: Attacker, goal: Goal) -> list[Act]:
    """Something towards the goal, or anything else."""
    anything = [
        *(
            settlement,
            settlement,
            settlement,
            anchoring,
            acts.admission,
            acts.rotation,
            acts.replacement,
            acts.replacement,
        ),
        *(acts.veto, acts.cancellation, acts.standing, acts.ownership, acts.publication, acts.amendment, acts.binding),
        acts.retirement,
    ]
    kind = thief.rng.random()
    if kind < 0.5:
        return goal.press(thief)
    if kind < 0.6 and thief.replays:
        old = thief.pick(thief.replays)
        return [Act(thief.actor(), old.contract, old.function, old.arguments)]
    return [thief.pick(anything)(thief) for _ in range(thief.pick([1, 1, 2]))]


def _answer(game: Game, held: set[bytes], goal: Goal) -> None:
    """What the honest do: refuse changes of their keys, and go on with their work, whose signatures the attacker sees."""
    hands, consortium = game.hands, game.machine.consortium
    vetoes = []
    for seat in consortium.seats:
        change, keys = consortium.announcedOf(seat)
        signer = hands.signer(seat)
        if (
            change
            and keys[1] in held
            and signer not in held
            and consortium.standingAt(seat, game.machine.clock.block)[0] != REMOVED
        ):
            signature = hands.sign(signer, "Consortium", "Veto", seat, change)
            vetoes.append(Act(hands.actor(), "Consortium", "veto", (seat, change, signature)))
    if vetoes:
        game.play(vetoes)
    if hands.chance(0.15):
        hands.reserved = {goal.reserved}
        game.play([settlement(hands)])


# Goals


def _goals(game: Game, rng: random.Random) -> list[Goal]:
    """The goals that this game offers, the two that need no key last."""
    hands, machine = game.hands, game.machine
    bindings = [number for number, one in machine.catalog.bindings.items() if one.live and hands.can_sign(one.named)]
    number = rng.choice(bindings)
    approvers = machine.catalog.bindings[number].approvers
    named = machine.catalog.bindings[number].named
    key = hands.signer
    everyone, anyone = [{key(seat) for seat in approvers}], [{key(seat)} for seat in approvers]
    seat = rng.choice([one for one in machine.consortium.seats if hands.can_sign([one])])
    return [
        _case(game, number, APPROVED, everyone),
        _case(game, number, APPROVED, everyone),
        _case(game, number, rng.choice([RETURNED, REFUSED]), anyone),
        _case(game, number, rng.choice([ACCEPTED, WITHDRAWN, REVOKED, SUSPENDED]), [{key(approvers[0])}]),
        _binding(game, rng),
        _retirement(game, number, [{key(one)} for one in named]),
        _publication(game, seat),
        _takeover(game, seat),
        _head(game, seat),
        _fork(game, seat),
        _anything(game),
    ]


def _case(game: Game, number: int, status: int, required: list[set[bytes]]) -> Goal:
    """A case comes to a status. It is new, or where the move may start from."""
    ledger, approvers = game.machine.ledger, game.machine.catalog.bindings[number].approvers
    hands, promised = game.hands, _promised(game)
    starts = [
        one
        for one, case in ledger.cases.items()
        if case.binding == number and status in MOVES[case.status] and one not in promised
    ]
    if status in (REVOKED, SUSPENDED) and not starts:
        status = WITHDRAWN
    elif status not in (REVOKED, SUSPENDED) and hands.chance(0.4):
        starts = []
    case_id = hands.pick(starts) if starts else hands.bytes32()
    _, begun, _, _ = ledger.caseOf(case_id)

    def press(thief: Attacker) -> list[Act]:
        _, sequence, bound, _ = ledger.caseOf(case_id)
        step = status << 56 | sequence + 1 << 40 | (bound or number)
        transitions = [(case_id, thief.bytes32(), step)]
        if thief.chance(0.2):
            transitions.insert(0, (thief.bytes32(), thief.bytes32(), step))
        covered, until = tuple(transitions), thief.pick([FAR, game.machine.clock.time + 1])
        sheets = []
        for seat in thief.rng.sample(approvers, len(approvers)):
            signature = thief.sign(thief.signer(seat), "CaseLedger", "Sheet", seat, until, covered)
            sheets.append((seat, until, (1 << len(covered)) - 1, signature))
        if thief.chance(0.15):
            sheets.append((thief.any_seat(), *sheets[0][1:]))
        return [Act(thief.actor(), "CaseLedger", "settle", (covered, tuple(sheets), ()))]

    def reached() -> bool:
        return (
            any(step >> 56 == status for step in ledger.cases[case_id].steps[begun:])
            if case_id in ledger.cases
            else False
        )

    name = f"{'approve' if status == APPROVED else 'answer' if status in (RETURNED, REFUSED) else 'lead'} a case"
    return Goal(name, "I1", required, press, reached, case_id)


def _promised(game: Game) -> set[bytes]:
    """Cases of which somebody honest has signed more than has settled: anybody may send that."""
    cases = game.machine.ledger.cases
    settled = {
        (case_id, root, step)
        for case_id, case in cases.items()
        for step, root in zip(case.steps, case.roots, strict=True)
    }
    sheets = [values for _, _, struct, values in game.machine.signatures.said.values() if struct == "Sheet"]
    return {one[0] for _, _, covered in sheets for one in covered if one not in settled}


def _binding(game: Game, rng: random.Random) -> Goal:
    """A binding comes about that names seats which never agreed."""
    hands, catalog = game.hands, game.machine.catalog
    active = [one for one in game.machine.consortium.seats if hands.can_sign([one])]
    identity, operator, *others = rng.sample(active, min(4, len(active)))
    terms = (rng.choice([*catalog.versions]), rng.getrandbits(32), identity, operator, tuple(others), (), FAR)
    named = sorted({identity, operator, *others})

    def press(thief: Attacker) -> list[Act]:
        signatures = [thief.sign(thief.signer(seat), "Catalog", "Binding", *terms) for seat in named]
        return [Act(thief.actor(), "Catalog", "bind", (terms, tuple(signatures)))]

    required = [{hands.signer(seat) for seat in named}]
    return Goal("bind", "I3", required, press, lambda: any(one.terms == terms for one in catalog.bindings.values()))


def _retirement(game: Game, number: int, required: list[set[bytes]]) -> Goal:
    """A binding is closed by somebody whom it does not name."""
    binding = game.machine.catalog.bindings[number]

    def press(thief: Attacker) -> list[Act]:
        seat = thief.pick(binding.named) if thief.chance(0.8) else thief.any_seat()
        signature = thief.sign(thief.signer(seat), "Catalog", "Retirement", number, seat)
        return [Act(thief.actor(), "Catalog", "retire", (number, seat, signature))]

    return Goal("retire a binding", "I3", required, press, lambda: not binding.live)


def _publication(game: Game, seat: int) -> Goal:
    """A version is published in the name of a seat that never did so."""
    version, catalog = game.hands.bytes32(), game.machine.catalog

    def press(thief: Attacker) -> list[Act]:
        values = ("forged", version, thief.bytes32(), seat)
        signature = thief.sign(thief.signer(seat), "Catalog", "Publication", *values)
        return [Act(thief.actor(), "Catalog", "publish", (*values, signature))]

    required = [{game.hands.signer(seat)}]
    return Goal("publish", "I1", required, press, lambda: catalog.versions.get(version, ("", b"", 0, -1))[3] == seat)


def _takeover(game: Game, seat: int) -> Goal:
    """A seat's key becomes one of the attacker's."""
    consortium = game.machine.consortium
    present = game.hands.signer(seat)

    def press(thief: Attacker) -> list[Act]:
        signer, keyset = thief.new(), b"{}"
        now, change = game.machine.clock.block + 1, consortium.changeCount(seat)[0] + 1
        if thief.chance(0.5):
            statement = ("Consortium", "Rotation", seat, signer, keccak(keyset), now + 1, change)
            old, new = thief.sign(thief.signer(seat), *statement), thief.sign(signer, *statement)
            return [Act(thief.actor(), "Consortium", "rotate", (seat, signer, keyset, now + 1, old, new))]
        function, struct = thief.pick([("recover", "Recovery"), ("succeed", "Succession")])
        signature = thief.sign(signer, "Consortium", struct, seat, signer, keccak(keyset), change)
        replace = Act(thief.council(False), "Consortium", function, (seat, signer, keyset, signature))
        suspend = Act(replace.by, "Consortium", "suspend", (seat,))
        return [suspend, replace] if thief.chance(0.3) else [replace]

    def reached() -> bool:
        [keys] = consortium.keysOf(seat)
        [standing] = consortium.standingAt(seat, game.machine.clock.block)
        # A change that the seat itself once signed may be sent by anybody.
        return standing != REMOVED and keys[-1][1] != present and keys[-1][1] in game.auditor.held

    return Goal("take a seat over", "I1", [{present}], press, reached)


def _head(game: Game, seat: int) -> Goal:
    """A log head is anchored in the name of a seat that never signed it."""
    before = game.machine.ledger.headOf(seat)

    def press(thief: Attacker) -> list[Act]:
        thief.faults, faults = 0.2, thief.faults
        heads = heads_of(thief, seat, 1)
        thief.faults = faults
        return [Act(thief.actor(), "CaseLedger", "settle", ((), (), tuple(heads)))]

    key, where = game.hands.signer(seat), game.machine.ledger.address

    def reached() -> bool:
        head = game.machine.ledger.headOf(seat)
        said = [
            values
            for by, at, struct, values in game.machine.signatures.said.values()
            if (by, at, struct) == (key, where, "Head")
        ]
        signed = any(values[0] == seat and (values[1], values[2][:26]) == head for values in said)
        return head != before and (key in game.auditor.held or not signed)

    return Goal("anchor a head", "I7", [{key}], press, reached)


def _fork(game: Game, seat: int) -> Goal:
    """A log is forked or cut, by its own seat at that: the auditor's I7 tells."""

    def press(thief: Attacker) -> list[Act]:
        thief.faults, faults = 0.9, thief.faults
        heads = heads_of(thief, seat, thief.pick([1, 2]))
        thief.faults = faults
        return [Act(thief.actor(), "CaseLedger", "settle", ((), (), tuple(heads)))]

    return Goal("fork a log with all keys", "I7", [], press, lambda: False)


def _anything(game: Game) -> Goal:
    """A forbidden move, a case elsewhere, a signature twice, a silenced seat heard: the auditor's I2 to I6 and I8 tell."""

    def press(thief: Attacker) -> list[Act]:
        return [settlement(thief), *([thief.pick(thief.replays)] if thief.chance(0.3) and thief.holds_council else [])]

    return Goal("break I2 to I8 with all keys", "I2", [], press, lambda: False)
