"""Plays the stateful tests against contracts that lack one check each, and demands that each lack is noticed.

    .venv/bin/python tests/contracts/sabotage_run.py [--only TEXT] [--workers N] [--day] [--list]

writes the table of `docs/ledger-evidence.md` and fails when a sabotage survives that `EXPLAINED` does not explain.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import re
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from machine import Breach, Compiled, Tally, open_actors
from machine_chain import open_chain
from machine_steps import MAKE_TEST, NIGHTLY, Plan, play_game
from sabotage import Sabotage, sabotages

from orchestrator.devnet.lifetime import die_with_parent
from orchestrator.domain.canonical import canonical
from orchestrator.domain.errors import Invalid
from orchestrator.domain.suite import hash_of
from orchestrator.ledger import compiler

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = ROOT / "docs" / "ledger-evidence.md"
BEGIN, END = "<!-- sabotage: begin -->", "<!-- sabotage: end -->"
PROBE = "tests/contracts/harness/Probe.sol"
EXPLAINED: dict[str, str] = {
    "`if (to.binding() != terms.binding)` in `settle` made true": "no check: the terms are only read anew each time",
}
"""By what the sabotage says of itself: why nothing can notice it."""


@dataclass(frozen=True)
class Result:
    """What became of one sabotage."""

    sabotage: Sabotage
    invariant: str
    """Which invariant it was caught by; empty when nothing noticed it."""
    steps: int
    detail: str

    @property
    def verdict(self) -> str:
        if self.invariant:
            return self.invariant
        return "explained" if self.sabotage.what in EXPLAINED else "SURVIVED"


def build(sabotage: Sabotage | None) -> Compiled:
    """The contracts with one check less, or whole. Raises Invalid when that does not compile."""
    whole = compiler.compile_contracts()
    probe = compiler.compile_files(PROBE)["Probe"]
    if sabotage is None:
        return Compiled.of(whole, probe)
    broken = dict(whole)
    for name in whole:
        path = f"contracts/{name}.sol"
        sources = compiler._sources([path])
        if sabotage.file in sources:
            sources[sabotage.file] = {"content": sabotage.broken}
            broken[name] = _compiled(sources, path, name)
    return Compiled.of(broken, probe)


def _compiled(sources: dict[str, dict[str, str]], path: str, name: str) -> dict[str, Any]:
    """One contract, lightly optimised, since a hundred and more are compiled. Kept from one run to the next."""
    settings = {
        **compiler.SETTINGS,
        "optimizer": {"enabled": True, "runs": 1},
        "outputSelection": {path: {name: ["abi", "evm.bytecode.object"]}},
    }
    bare = {file: {"content": _bare(source["content"])} for file, source in sources.items()}
    document = {"language": "Solidity", "sources": bare, "settings": settings}
    kept = ROOT / ".cache" / "sabotage" / f"{hash_of(canonical(document)).hex()}.json"
    if not kept.exists():
        contract = compiler._compile(document)["contracts"][path][name]
        compiler._write(kept, json.dumps({"abi": contract["abi"], "bytecode": contract["evm"]["bytecode"]["object"]}))
    found = json.loads(kept.read_text(encoding="utf-8"))
    return {"abi": found["abi"], "bytecode": "0x" + found["bytecode"]}


def _bare(source: str) -> str:
    """The source without comments and line breaks, so that a changed comment compiles nothing anew."""
    strings_and_comments = r'("[^"\n]*")|//[^\n]*|/\*.*?\*/'
    return " ".join(re.sub(strings_and_comments, lambda match: match.group(1) or " ", source, flags=re.DOTALL).split())


def by_day(sabotage: Sabotage) -> Result:
    """Plays the games of `make test` until one notices."""
    return _attempt(sabotage, (MAKE_TEST,))


def by_night(sabotage: Sabotage) -> Result:
    """Plays the games of `make test` and then those of the night until one notices. Not for one that nothing can notice."""
    return _attempt(sabotage, (MAKE_TEST,) if sabotage.what in EXPLAINED else (MAKE_TEST, NIGHTLY))


def _attempt(sabotage: Sabotage, plans: Sequence[Plan]) -> Result:
    try:
        compiled = build(sabotage)
    except Invalid as problem:
        return Result(sabotage, "", 0, f"does not compile: {problem.detail_en}")
    tally = Tally()
    with open_chain() as node:
        try:
            actors = open_actors(node, compiled)
            for plan in plans:
                for seed in range(plan.games):
                    play_game(node, compiled, actors, seed, plan.steps, tally)
        except Breach as problem:
            return Result(sabotage, problem.invariant, tally.steps, str(problem))
    return Result(sabotage, "", tally.steps, "")


def _end_with_parent() -> None:
    if ask := die_with_parent(signal.SIGTERM):
        ask()


def table(results: list[Result], seconds: float) -> str:
    """The section of the document."""
    caught = [one for one in results if one.invariant]
    early = [one for one in caught if one.steps <= MAKE_TEST.least]
    lines = [
        f"{len(results)} sabotages: {len(caught)} caught, {len(early)} of them within the {MAKE_TEST.least} steps of `make test`, "
        f"{sum(one.verdict == 'explained' for one in results)} explained, "
        f"{sum(one.verdict == 'SURVIVED' for one in results)} survived ({seconds / 60:.0f} minutes).",
        "",
        "| check | what was done | caught by | after steps |",
        "|---|---|---|---|",
    ]
    for one in results:
        place = f"{one.sabotage.file.removeprefix('contracts/')}:{one.sabotage.line}"
        what = one.sabotage.what.replace("|", "\\|")
        after = EXPLAINED[one.sabotage.what] if one.verdict == "explained" else str(one.steps)
        lines.append(f"| {place} | {what} | {one.verdict} | {after} |")
    return "\n".join(lines)


def write(section: str) -> None:
    """Puts the section between its marks in the document."""
    text = DOCUMENT.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    DOCUMENT.write_text(f"{before}{BEGIN}\n\n{section}\n\n{END}{after}", encoding="utf-8")


def main() -> int:
    """The command line. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="sabotage_run.py")
    parser.add_argument("--only", default="", help="只做名称含此文字的 / only those whose place or name contains this")
    parser.add_argument("--workers", type=int, default=2, help="并行数 / how many at once")
    parser.add_argument("--day", action="store_true", help="只到 make test 的步数 / no more steps than make test plays")
    parser.add_argument("--list", action="store_true", help="只列出 / only list them")
    options = parser.parse_args()
    chosen = [one for one in sabotages() if options.only in f"{one.file}:{one.line} {one.what}"]
    if options.list:
        for one in chosen:
            print(f"{one.file}:{one.line} {one.what}")
        return 0
    began = time.monotonic()
    build(None)
    results = []
    with multiprocessing.get_context("spawn").Pool(options.workers, _end_with_parent) as pool:
        for result in pool.imap(by_day if options.day else by_night, chosen):
            results.append(result)
            place = f"{result.sabotage.file}:{result.sabotage.line}"
            print(
                f"{place} {result.sabotage.what}: {result.verdict} after {result.steps} {result.detail[:100]}",
                flush=True,
            )
    if not options.only and not options.day:
        write(table(results, time.monotonic() - began))
    return 1 if any(one.verdict == "SURVIVED" for one in results) else 0


if __name__ == "__main__":
    raise SystemExit(main())
