"""Steps: what happens in one block, drawn at random, and everything compared after it."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import machine_acts as acts
from machine import Act, Breach, Compiled, Machine, Tally
from machine_cases import anchoring, case_views, settlement
from machine_chain import Node
from machine_hands import Hands
from machine_heads import log_views
from machine_invariants import Auditor
from model_consortium import ACTIVE

VETO_BLOCKS = (1, 2, 3, 5, 5, 8, 8, 20)
MOST_REPLAYS = 300
AGAIN = 15
"""So many old acts are sent again in one block."""
SWEEP = 40
"""After so many steps the keys of all blocks are compared, not only of some."""


def _alone(make: Callable[[Hands], Act]) -> Callable[[Hands], list[Act]]:
    return lambda hands: [make(hands)]


def _on_announced(make: Callable[[Hands], Act]) -> Callable[[Hands], list[Act]]:
    """About a change that is announced; mostly announces one first when there is none."""

    def made(hands: Hands) -> list[Act]:
        soon = hands.machine.clock.block + 1
        waiting = any(one.keys[-1].fromBlock > soon for one in hands.machine.consortium.seats.values())
        if not waiting and hands.chance(0.8):
            return [hands.pick([acts.rotation, acts.replacement, acts.replacement])(hands)]
        return [make(hands)]

    return made


def _together(hands: Hands) -> list[Act]:
    """Several senders in one block, with views in between."""
    makers = [acts.standing, acts.standing, settlement, settlement, anchoring, acts.rotation, acts.replacement]
    made: list[Act] = []
    for _ in range(hands.rng.randrange(2, 6)):
        made.append(hands.pick([*makers, acts.veto, acts.cancellation, acts.binding, acts.retirement])(hands))
        if hands.chance(0.5):
            seat, soon = hands.any_seat(), hands.machine.clock.block + 1
            made.append(Act(hands.actor(), "Consortium", "signerOf", (seat,)))
            made.append(Act(hands.actor(), "Consortium", "signerAt", (seat, soon)))
    return made


def _silenced(hands: Hands) -> list[Act]:
    """I6: a seat signs a batch, and the council suspends or removes it in the same block before, or after."""
    batch = settlement(hands)
    seats = [sheet[0] for sheet in batch.arguments[1] if sheet[0] in hands.machine.consortium.seats]
    if not seats:
        return [batch]
    seat, function = hands.pick(seats), hands.pick(["suspend", "suspend", "suspend", "remove", "reinstate"])
    silence = Act(hands.council(False), "Consortium", function, (seat,))
    return hands.pick(
        [
            [silence, batch],
            [batch, silence],
            [silence, batch, Act(silence.by, "Consortium", "reinstate", (seat,)), batch],
        ]
    )


def _outvoted(hands: Hands) -> list[Act]:
    """A seat whose change of keys waits is silenced and refuses the change in the same block: suspended it may, removed not."""
    consortium, soon = hands.machine.consortium, hands.machine.clock.block + 1
    waiting = [seat for seat, one in consortium.seats.items() if one.keys[-1].fromBlock > soon]
    if not waiting:
        return [hands.pick([acts.rotation, acts.replacement, acts.replacement])(hands)]
    seat = hands.pick(waiting)
    [change] = consortium.changeCount(seat)
    signature = hands.sign(hands.signer(seat), "Consortium", "Veto", seat, change)
    return [
        Act(hands.council(False), "Consortium", hands.pick(["suspend", "remove"]), (seat,)),
        Act(hands.actor(), "Consortium", "veto", (seat, change, signature)),
        Act(hands.council(False), "Consortium", "cancel", (seat, change)),
    ]


def _again(hands: Hands) -> list[Act]:
    """I4: what was sent before, by anybody, at times by the council."""
    if not hands.replays:
        return [settlement(hands)]
    old = hands.pick(hands.replays[-20:] if hands.chance(0.5) else hands.replays)
    by = hands.pick([old.by, hands.actor(), hands.council(False)])
    return [Act(by, old.contract, old.function, old.arguments)]


def _dirty(hands: Hands) -> list[Act]:
    """What is no ABI encoding, alone or beside good acts, which go on."""
    bad = hands.dirty(
        hands.pick([settlement, acts.binding, acts.retirement, acts.rotation, acts.veto, acts.standing])(hands)
    )
    return [bad] if hands.chance(0.6) else [bad, settlement(hands)]


STEPS: dict[str, tuple[int, Callable[[Hands], list[Act]]]] = {
    "settle": (34, _alone(settlement)),
    "anchor": (10, _alone(anchoring)),
    "admit": (4, _alone(acts.admission)),
    "rotate": (5, _alone(acts.rotation)),
    "replace": (5, _alone(acts.replacement)),
    "veto": (6, _on_announced(acts.veto)),
    "cancel": (6, _on_announced(acts.cancellation)),
    "stand": (6, _alone(acts.standing)),
    "owner": (3, _alone(acts.ownership)),
    "publish": (3, _alone(acts.publication)),
    "amend": (3, _alone(acts.amendment)),
    "bind": (7, _alone(acts.binding)),
    "retire": (3, _alone(acts.retirement)),
    "together": (5, _together),
    "silenced": (2, _silenced),
    "outvoted": (3, _outvoted),
    "again": (4, _again),
    "dirty": (2, _dirty),
    "mine": (3, lambda hands: []),
    "wait": (1, lambda hands: []),
}
"""Name → (weight, what is played)."""


@dataclass(frozen=True)
class Plan:
    """How long is played."""

    games: int
    steps: int
    """In each game, beside the dozen that begin it."""

    @property
    def least(self) -> int:
        return self.games * self.steps


MAKE_TEST = Plan(8, 200)
NIGHTLY = Plan(100, 220)


class Game:
    """A machine with everybody at it."""

    def __init__(
        self,
        node: Node,
        compiled: Compiled,
        actors: Sequence[bytes],
        seed: object,
        tally: Tally,
        veto_blocks: int | None = None,
        *,
        quiet: bool = False,
    ) -> None:
        rng = random.Random(f"game {seed}")
        self.machine = Machine(node, compiled, actors, seed, veto_blocks or rng.choice(VETO_BLOCKS), tally)
        self.hands = Hands(self.machine, rng)
        self.auditor = Auditor(self.machine, self.hands.logs)
        self.quiet = quiet
        """Whether views are left alone after a step; what a call returned and told is compared all the same."""
        self.steps = 0
        self._begin()

    def _begin(self) -> None:
        """Five seats or more, a version or two, a binding or two: without that most steps would be refused."""
        hands = self.hands
        hands.faults = 0
        for make, times in (
            (acts.admission, hands.rng.randrange(5, 8)),
            (acts.publication, hands.rng.randrange(1, 3)),
            (acts.binding, hands.rng.randrange(1, 4)),
        ):
            for _ in range(times):
                self.play([make(hands)])
        hands.faults = 0.45

    def step(self, name: str, rng: random.Random) -> None:
        """Takes a step that the name and the source of chance determine, and compares everything. Raises Breach."""
        hands, machine = self.hands, self.machine
        hands.rng = rng
        if name == "mine":
            machine.mine(rng.choice([1, 1, 2, 3, machine.consortium.vetoBlocks()[0]]))
            self.look()
        elif name == "wait":
            machine.pass_time(rng.choice([2, 60, 499, 1000, 86_400]))
            self.look()
        elif name == "admit" and len(machine.consortium.seats) >= acts.MOST_SEATS and len(self._active()) > 4:
            # Enough seats: only what is to be refused, or nearly all other steps would meet seats that nobody knows.
            hands.faults, faults = 1, hands.faults
            self.play([acts.admission(hands)])
            hands.faults = faults
        else:
            self.play(STEPS[name][1](hands))

    def any_step(self, rng: random.Random) -> None:
        """A step of a kind that is drawn by weight."""
        names = [*STEPS]
        self.step(rng.choices(names, [STEPS[name][0] for name in names])[0], rng)

    def finish(self) -> None:
        """I4: everything that was ever sent is sent again, by anybody, and the whole past is compared. Raises Breach."""
        hands = self.hands
        waiting = [
            Act(hands.pick([act.by, hands.actor()]), act.contract, act.function, act.arguments) for act in hands.replays
        ]
        for place in range(0, len(waiting), AGAIN):
            self.auditor.observe(self.machine.play(*waiting[place : place + AGAIN]))
        self.machine.look([*self.machine.everything(), *self.machine.past()])

    def _active(self) -> list[int]:
        machine = self.machine
        return [
            one
            for one in machine.consortium.seats
            if machine.consortium.standingAt(one, machine.clock.block)[0] == ACTIVE
        ]

    def play(self, played: list[Act]) -> None:
        """Plays a block and compares everything. Raises Breach."""
        hands = self.hands
        self.auditor.observe(self.machine.play(*played))
        hands.replays += [act for act in played if not act.dirty]
        del hands.replays[:-MOST_REPLAYS]
        if self.quiet:
            self.machine.tally.steps += 1
        else:
            self.look()

    def look(self) -> None:
        """Compares everything. Raises Breach."""
        machine, hands = self.machine, self.hands
        self.steps += 1
        machine.tally.steps += 1
        views = machine.everything() + case_views(hands)
        if self.steps % 3 == 0:
            views += log_views(hands)
        if self.steps % SWEEP == 0:
            views += machine.past()
        machine.look(views)


def play_game(node: Node, compiled: Compiled, actors: Sequence[bytes], seed: object, steps: int, tally: Tally) -> None:
    """A game of so many steps that the seed determines. Raises Breach, told with the seed and the step."""
    began = tally.steps
    try:
        game = Game(node, compiled, actors, seed, tally)
        rng = random.Random(f"steps {seed}")
        for _ in range(steps):
            game.any_step(random.Random(rng.getrandbits(64)))
        game.finish()
    except Breach as problem:
        problem.add_note(f"seed {seed!r}, step {tally.steps - began}")
        raise
