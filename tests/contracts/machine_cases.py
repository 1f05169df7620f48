"""Cases: batches that mix good transitions with bad ones and sheets with what only looks like one, and the views over them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from machine import Act, View
from machine_heads import heads_of
from model import APPROVED, MOVES, REFUSED, RETURNED, dossier_leaf
from model_base import ZERO

from orchestrator.domain.canonical import keccak

if TYPE_CHECKING:
    from machine_hands import Hands

FAR = 2**40
CASE_FAULTS = (
    *("root", "status", "status", "unknown binding", "other binding", "retired", "sequence", "sequence"),
    *("move", "move", "move", "unsigned", "unsigned", "unsigned", "unsigned"),
)
SHEET_FAULTS = (
    "expired",
    "expired",
    "beyond",
    "seat",
    "unknown seat",
    "covers",
    "signature",
    "signature",
    "signature",
    "old",
)


@dataclass
class Ahead:
    """Where a case will stand within the batch."""

    status: int
    sequence: int
    binding: int


def settlement(hands: Hands) -> Act:
    """A batch with sheets and sometimes heads."""
    rng = hands.rng
    size = rng.choices([0, rng.randrange(1, 5), rng.randrange(5, 13), rng.randrange(13, 48)], [1, 24, 10, 2])[0]
    if hands.chance(0.008):
        size = rng.choice([256, 256, 257, 300])
    transitions, wanted = _batch(hands, size)
    sheets = _sheets(hands, transitions, wanted)
    heads: list[Any] = []
    if hands.chance(0.2):
        for _ in range(rng.randrange(1, 3)):
            heads += heads_of(hands, hands.speaker(), rng.choice([1, 1, 2]))
    return Act(hands.actor(), "CaseLedger", "settle", (transitions, sheets, tuple(heads)))


def anchoring(hands: Hands) -> Act:
    """Heads alone."""
    heads = [
        head
        for _ in range(hands.rng.randrange(1, 4))
        for head in heads_of(hands, hands.speaker(), hands.pick([1, 1, 3]))
    ]
    return Act(hands.actor(), "CaseLedger", "settle", ((), (), tuple(heads)))


def _batch(hands: Hands, size: int) -> tuple[tuple[Any, ...], list[set[int]]]:
    """Transitions, and by place the seats that sign it."""
    rng, ledger, bindings = hands.rng, hands.machine.ledger, hands.machine.catalog.bindings
    ahead: dict[bytes, Ahead] = {}
    everybody = set(hands.machine.consortium.seats)
    transitions, wanted = [], []
    cases = [case_id for case_id in ledger.cases if case_id not in hands.reserved]
    open_cases = [case_id for case_id in cases if MOVES[ledger.cases[case_id].status]]
    favourite = hands.pick([number for number, one in bindings.items() if hands.can_sign(one.approvers)] or [0])
    for _ in range(size):
        fault = hands.fault(*CASE_FAULTS) if hands.chance(0.75) else ""
        case_id = (
            rng.choice(open_cases if hands.chance(0.85) else cases)
            if open_cases and hands.chance(0.65)
            else hands.bytes32()
        )
        if case_id not in ahead:
            stored = ledger.cases.get(case_id)
            if stored:
                ahead[case_id] = Ahead(stored.status, len(stored.steps), stored.binding)
            else:
                live = [number for number, one in bindings.items() if one.live]
                number = favourite if favourite in live and hands.chance(0.6) else rng.choice(live or [0])
                ahead[case_id] = Ahead(0, 0, number)
                cases.append(case_id)
                open_cases.append(case_id)
        now = ahead[case_id]
        retired = [number for number, one in bindings.items() if not one.live]
        if fault == "retired" and now.status == 0 and retired:
            now = Ahead(0, 0, rng.choice(retired))
        allowed = MOVES[now.status]
        if not allowed and fault != "status":
            fault = "move"
        status = rng.choice([*allowed] or [1])
        status = APPROVED if APPROVED in allowed and hands.chance(0.25) else status
        status = {
            "move": rng.choice([one for one in range(1, 8) if one not in allowed]),
            "status": rng.choice([0, 8, rng.randrange(8, 64), rng.randrange(8, 64), rng.randrange(256), 8 + status]),
        }.get(fault, status)
        sequence = now.sequence + 1
        if fault == "sequence":
            sequence = rng.choice([now.sequence, now.sequence + 2, 0, 1, 65535, rng.randrange(65536)])
        number = now.binding
        if fault == "other binding":
            number = rng.choice([*bindings, number]) if now.status else number
        elif fault == "unknown binding":
            number = rng.choice([0, len(bindings) + 1, 2**40 - 1, rng.randrange(2**40)])
        root = ZERO if fault == "root" else dossier(hands) if hands.chance(0.3) else hands.bytes32()
        transitions.append((case_id, root, status << 56 | sequence << 40 | number))
        approvers = bindings[number].approvers if number in bindings else tuple(everybody)
        wanted.append(_signers(hands, status, approvers, everybody, fault))
        if not fault:
            ahead[case_id] = Ahead(status, sequence, number)
    return tuple(transitions), wanted


def _signers(hands: Hands, status: int, approvers: tuple[int, ...], everybody: set[int], fault: str) -> set[int]:
    """Who signs a transition: just enough or more, or with a fault nearly enough."""
    rng = hands.rng
    lead, others = approvers[0], approvers[1:]
    if fault == "unsigned":
        if status == APPROVED:
            missing = {rng.choice(approvers)}
        elif status in (RETURNED, REFUSED):
            missing = set(approvers)
        else:
            missing = {lead}
        enough = everybody - missing
        return enough if hands.chance(0.6) else {seat for seat in enough if hands.chance(0.6)}
    if hands.chance(0.35) or fault:
        return {*approvers, *(seat for seat in everybody if hands.chance(0.3))}
    if status == APPROVED:
        return set(approvers)
    if status in (RETURNED, REFUSED):
        return {rng.choice(approvers)}
    return {lead, *(seat for seat in others if hands.chance(0.2))}


def _sheets(hands: Hands, transitions: tuple[Any, ...], wanted: list[set[int]]) -> tuple[Any, ...]:
    rng, machine = hands.rng, hands.machine
    seats = {seat for signers in wanted for seat in signers}
    if hands.chance(0.1):
        seats.add(rng.randrange(256))
    soon = machine.clock.time + 1
    sheets = []
    for seat in rng.sample(sorted(seats), len(seats)):
        fault = hands.fault(*SHEET_FAULTS) if hands.chance(0.35) else ""
        covers = sum(1 << place for place, signers in enumerate(wanted[:256]) if seat in signers)
        until = rng.choice([soon, soon, soon + rng.randrange(1, 1000), FAR, 2**64 - 1])
        if fault == "expired":
            until = rng.choice([soon - 1, soon - 1, 0, rng.randrange(soon)])
        covered = tuple(one for place, one in enumerate(transitions) if covers >> place & 1)
        signer = hands.signer(seat)
        if fault == "signature":
            signature = hands.wrong(signer, "CaseLedger", "Sheet", seat, until, covered)
        elif fault == "old" and hands.stale:
            signature = hands.sign(hands.pick(hands.stale), "CaseLedger", "Sheet", seat, until, covered)
        elif fault == "unknown seat":
            seat = rng.randrange(256)
            signature = hands.sign(signer, "CaseLedger", "Sheet", seat, until, covered)
        else:
            signature = hands.sign(signer, "CaseLedger", "Sheet", seat, until, covered)
            hands.sheets.append((seat, until, covered, signature, machine.clock.block + 1))
        if fault == "beyond" and len(transitions) < 256:
            covers |= 1 << rng.choice([len(transitions), 255, rng.randrange(len(transitions), 256)])
        elif fault == "covers" and transitions:
            covers ^= 1 << rng.randrange(min(len(transitions), 256))
        elif fault == "seat":
            seat = rng.choice([*machine.consortium.seats])
        sheets.append((seat, until, covers, signature))
        if hands.chance(0.03):
            sheets.append(sheets[-1])
    if hands.sheets and hands.chance(0.1):
        seat, until, _, signature, _ = hands.pick(hands.sheets)
        sheets.append((seat, until, rng.getrandbits(min(len(transitions), 256)) if transitions else 0, signature))
    return tuple(sheets)


def case_views(hands: Hands) -> list[View]:
    """Questions about histories, dossiers and old sheets, true and false."""
    rng, machine = hands.rng, hands.machine
    views: list[View] = []
    unknown, stray = hands.bytes32(), hands.bytes32()
    asked: list[tuple[Any, ...]] = [
        (unknown, (), ()),
        (unknown, (1,), ()),
        (unknown, (0,), (ZERO,)),
        (unknown, (), (stray,)),
    ]
    if machine.ledger.cases:
        case_id = rng.choice([*machine.ledger.cases])
        case = machine.ledger.cases[case_id]
        steps, roots = tuple(case.steps), tuple(case.roots)
        place = rng.randrange(len(steps))
        asked += [
            (case_id, steps, roots),
            (rng.choice([*machine.ledger.cases]), steps, roots),
            (case_id, steps, (*roots, stray)),
            (case_id, (*steps, steps[-1]), roots),
            (case_id, steps[:-1], roots[:-1]),
            (case_id, (), ()),
            (case_id, steps, (*roots[:place], stray, *roots[place + 1 :])),
            (case_id, (*steps[:place], steps[place] ^ 1 << rng.randrange(64), *steps[place + 1 :]), roots),
            (case_id, (*steps, steps[-1] + 1), (*roots, stray)),
        ]
        dossiers = [index for index, root in enumerate(roots) if root in hands.dossiers]
        if dossiers:
            at = rng.choice(dossiers)
            entry, proof = hands.dossiers[roots[at]]
            for where, what, path in (
                (at, entry, proof),
                (rng.randrange(len(roots)), entry, proof),
                (len(roots), entry, proof),
                (2**256 - 1, entry, proof),
                (at, hands.altered(entry), proof),
                (at, entry, proof[:-1]),
                (at, entry, (*proof, stray)),
                (at, entry, (*proof[:-1], stray)),
            ):
                views.append(("CaseLedger", "verifyDossier", (case_id, steps, roots, where, what, path)))
            views.append(("CaseLedger", "verifyDossier", (unknown, steps, roots, at, entry, proof)))
            views.append(("CaseLedger", "verifyDossier", (case_id, steps[: at + 1], roots[: at + 1], at, entry, proof)))
            views.append(
                ("CaseLedger", "verifyDossier", (case_id, steps, (*roots, roots[at]), len(roots), entry, proof))
            )
    views += [("CaseLedger", "verifyHistory", one) for one in asked]
    return views + _sheet_views(hands)


def _sheet_views(hands: Hands) -> list[View]:
    rng, machine = hands.rng, hands.machine
    asked: list[tuple[Any, ...]] = [(rng.randrange(256), FAR, (), bytes(65), machine.clock.block)]
    for _ in range(2 if hands.sheets else 0):
        seat, until, covered, signature, block = hands.pick(hands.sheets)
        blocks = {block - 1, block, block + 1, machine.clock.block, rng.choice(machine.blocks), 2**256 - 1}
        asked += [(seat, until, covered, signature, one) for one in blocks]
        asked += [
            (*hands.altered((seat, until, covered)), signature, block),
            (rng.choice([*machine.consortium.seats]), until, covered, signature, block),
        ]
    return [("CaseLedger", "verifySheet", one) for one in asked if 0 <= one[0] < 256 and one[1] < 2**64 and one[4] >= 0]


def dossier(hands: Hands) -> bytes:
    """The root of a small dossier, of which one entry and its proof are kept."""
    rng = hands.rng
    kind = rng.choice(["mandate", "answer", "verdict", "credential", "material:" + "x" * rng.randrange(40), ""])
    entry = (kind, hands.bytes32(), hands.bytes32())
    proof = tuple(hands.bytes32() for _ in range(rng.randrange(4)))
    node = dossier_leaf(*entry)
    for sibling in proof:
        node = keccak(min(node, sibling) + max(node, sibling))
    hands.dossiers[node] = (entry, proof)
    return node
