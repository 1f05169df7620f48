"""Report: `docs/mutation.md`, from the verdicts and from what `explained.json` says about survivors."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from .mutants import Mutant
from .results import Plan, Results, Verdict

PAGE = Path("docs/mutation.md")
EXPLAINED = Path(__file__).with_name("explained.json")

HEAD = """# Mutation testing of the contracts

A test that nothing can fail proves nothing. So small faults are put into `contracts/` one at a time, each of the kind that a
programmer makes, and the tests have to notice every one. This page is written by the command; only the reasons below the survivors
are by hand, in `tests/contracts/mutation/explained.json`.

    python -m tests.contracts.mutation --workers 2      # judges what has no verdict yet, then writes this page
    python -m tests.contracts.mutation --report         # only writes the page
    python -m tests.contracts.mutation --fresh --thorough   # the nightly setting: forgets all verdicts first

It can be stopped at any time and goes on where it was. A verdict is kept in `.cache/mutation/` while the file's code and the test
that killed say the same; a survivor is tried again as soon as any of its tests changes. It runs at low priority, is no part of
`make test`, and ends with 1 when a survivor has no explanation or an explanation no survivor.

## How

- Faults are taken from solc's syntax tree (`operators.py`): relations negated and moved by one at the boundary; `&&` and `||`
  exchanged and either side left out; conditions that never hold; arithmetic, shifts and bit operations exchanged; constants one
  more and one less, texts and type strings changed; statements, events and reverts left out; answers negated; modifiers removed;
  arguments of one type exchanged; another variable, field, constant or enumeration member of the same type; in assembly also
  other instructions and statements left out.
- slither-mutate 0.11.6 was weighed: it works per contract, so that the free functions of `types/`, the file's constants and all
  assembly stay as they are, it writes the faults into the tree, and after a survivor it skips the rest of the line.
- A mutant is up against the unit tests that speak about its file, not against the whole suite; with `--thorough` survivors also
  meet the vectors, the invariants and the slowest unit tests. Gas snapshots, which tell any two programs apart, the comparison
  of artifacts and the stateful machine are left out always.
- The tests are collected once, then the process forks for each mutant: nothing on disk ever holds a faulty contract. A test
  that kills is tried once on the contracts as they are.
- "Same code" is a mutant that solc, with the settings that ship, compiles to the very same bytecode; "no program" one that it
  refuses. Neither counts. **Score** is killed ÷ (killed + survived); *explained* survivors mean the same as the original for every
  input that can reach them, and are left out of the last column.

## Result
"""


def written(plan: Plan, results: Results) -> int:
    """Writes the page. 1 when a survivor is not explained, an explanation has no survivor, or a mutant has no verdict."""
    verdicts = {mutant: verdict for mutant in plan.mutants if (verdict := results.known(mutant, plan))}
    reasons = _reasons()
    survivors = [mutant for mutant, verdict in verdicts.items() if verdict.outcome == "survived"]
    open_ones = [mutant for mutant in survivors if _name(mutant) not in reasons]
    stale = {_name(mutant) for mutant, verdict in verdicts.items() if verdict.outcome != "survived"} & reasons.keys()
    lines = [HEAD, *_table(plan, verdicts, reasons), ""]
    if missing := len(plan.mutants) - len(verdicts):
        lines += [
            f"**Not complete**: {missing} of {len(plan.mutants)} mutants have no verdict yet. The same command goes on.",
            "",
        ]
    seconds = sum(results.seconds(mutant, plan) for mutant in verdicts)
    spent = f"{seconds / 3600:.1f} h of workers' time" if seconds > 3600 else f"{seconds / 60:.0f} min of workers' time"
    lines += [f"Written {datetime.now(UTC):%Y-%m-%d %H:%M} UTC. Judging took {spent}.", ""]
    lines += ["## By operator", "", *_by_operator(verdicts), ""]
    lines += [f"## Survivors without an explanation: {len(open_ones)}", "", *_listed(open_ones), ""]
    lines += [
        f"## Survivors that mean the same: {len(survivors) - len(open_ones)}",
        "",
        *_explained(survivors, reasons),
    ]
    PAGE.write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")
    for name in sorted(stale):
        print(f"explained, but no survivor: {' | '.join(name)}")
    print(f"{PAGE}: {len(open_ones)} survivors without an explanation, {missing} not judged")
    return 1 if open_ones or stale or missing else 0


Name = tuple[str, str, str, str]


def _name(mutant: Mutant) -> Name:
    return mutant.file, mutant.function, mutant.before, mutant.after


def _reasons() -> dict[Name, str]:
    stored = json.loads(EXPLAINED.read_text(encoding="utf-8"))
    return {
        (each["file"], each["function"], each["before"], each["after"]): group["why"]
        for group in stored
        for each in group["mutants"]
    }


def _table(plan: Plan, verdicts: dict[Mutant, Verdict], reasons: dict[Name, str]) -> list[str]:
    by_file: dict[str, list[Mutant]] = defaultdict(list)
    for mutant in plan.mutants:
        by_file[mutant.file].append(mutant)
    lines = [
        "| File | Mutants | No program | Same code | Killed | Survived | explained | Not judged | Score | without explained |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for file, mutants in by_file.items():
        lines.append(_row(f"`{file.removeprefix('contracts/')}`", mutants, verdicts, reasons))
    return [*lines, _row("**all**", plan.mutants, verdicts, reasons)]


def _row(label: str, mutants: Sequence[Mutant], verdicts: dict[Mutant, Verdict], reasons: dict[Name, str]) -> str:
    count = Counter(verdicts[mutant].outcome if mutant in verdicts else "none" for mutant in mutants)
    explained = sum(
        mutant in verdicts and verdicts[mutant].outcome == "survived" and _name(mutant) in reasons for mutant in mutants
    )
    killed, survived = count["killed"], count["survived"]
    cells = [
        label,
        len(mutants),
        count["invalid"],
        count["same code"],
        killed,
        survived,
        explained,
        count["none"],
        _percent(killed, survived),
        _percent(killed, survived - explained),
    ]
    return f"| {' | '.join(map(str, cells))} |"


def _percent(killed: int, survived: int) -> str:
    return f"{100 * killed / (killed + survived):.1f} %" if killed + survived else "–"


def _by_operator(verdicts: dict[Mutant, Verdict]) -> list[str]:
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for mutant, verdict in verdicts.items():
        counts[mutant.operator][verdict.outcome] += 1
    rows = [f"| {name} | {count['killed']} | {count['survived']} |" for name, count in sorted(counts.items())]
    return ["| Operator | Killed | Survived |", "|---|---:|---:|", *rows]


def _listed(mutants: Sequence[Mutant]) -> list[str]:
    if not mutants:
        return ["None."]
    lines = []
    for mutant in mutants:
        lines += [f"`{mutant.file}` line {mutant.line}, {mutant.function} ({mutant.operator})", "```diff"]
        lines += [f"- {mutant.before}", f"+ {mutant.after}", "```"]
    return lines


def _explained(survivors: Sequence[Mutant], reasons: dict[Name, str]) -> list[str]:
    groups: dict[str, list[Mutant]] = defaultdict(list)
    for mutant in survivors:
        if _name(mutant) in reasons:
            groups[reasons[_name(mutant)]].append(mutant)
    lines = []
    for why, mutants in groups.items():
        lines += [why, "", *_listed(mutants), ""]
    return lines or ["None."]
