"""`make check`, `make test`, `make test-anvil`, `make nightly`: runs what proves the tree right, and says what failed.

First the static checks beside the unit tests, a check printing only when it fails; then everything that takes long, as
many at a time as there are cores. What runs beside something else prints its output when it is through.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = ROOT / ".venv" / "bin"
FORGE = next(ROOT.glob("node_modules/@foundry-rs/forge-*/bin/forge"), None)
COMPUTING = ("domain", "protocol", "rules", "scenarios")
"""Folders of `tests/unit` whose tests need no server."""
QUICK_SYMBOLIC = (
    "follows",
    "digest",
    "bind",
    "anything__version",
    "anything__binding",
    "veto",
    "rotate",
    "settle__same",
)
"""The symbolic checks that take seconds; all of them take minutes."""
PYTEST = (str(BIN / "pytest"), "-p", "no:ape_test")


@dataclass(frozen=True, slots=True)
class Run:
    """One command and the environment that it needs beside ours."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run went."""

    run: Run
    passed: bool
    seconds: float
    output: str


def static_checks() -> list[Run]:
    """Formats, linters, types, import directions, compiled artifacts against their sources, findings in the contracts."""
    checks = [
        Run("ruff format", (str(BIN / "ruff"), "format", "--check", ".")),
        Run("ruff check", (str(BIN / "ruff"), "check", ".")),
        Run("mypy", (str(BIN / "mypy"),)),
        Run("import-linter", (str(BIN / "lint-imports"),)),
        Run("artifacts", (str(BIN / "python"), "-m", "orchestrator.ledger.compiler", "--check")),
        Run("slither", (str(BIN / "python"), "scripts/analyse.py")),
    ]
    if FORGE is None:
        print("- forge fmt/lint 跳过：npm 没有本平台的 forge · skipped: npm has no forge for this platform")
        return checks
    return [
        *checks,
        Run("forge fmt", (str(FORGE), "fmt", "--check", "contracts")),
        Run("forge lint", (str(FORGE), "lint", "contracts", "--deny", "notes"), ape()),
    ]


def unit_tests(examples: str) -> tuple[Run, Run]:
    """The unit tests that only compute, and those that wait for servers of their own.

    `examples` says how many the property tests draw: `quick` few, `full` as many as hypothesis would.
    """
    profile = f"--hypothesis-profile={examples}"
    computing = [f"tests/unit/{name}" for name in COMPUTING]
    rest = [f"--ignore={folder}" for folder in computing]
    return (
        Run("unit: computing", (*PYTEST, profile, *computing)),
        Run("unit: servers", (*PYTEST, profile, "tests/unit", *rest)),
    )


def long_tests() -> list[Run]:
    """The rest of `make test`, each a run of a process of its own, the longest first so that the short ones fill the cores."""
    acceptance, demo = "tests/acceptance", "tests/acceptance/demo"
    runs = [
        Run("acceptance", (*PYTEST, acceptance, f"--ignore={demo}")),
        Run("integration", (*PYTEST, "tests/integration")),
        unit_tests("full")[1],
        contract_tests("test"),
        Run("acceptance: demo", (*PYTEST, demo)),
    ]
    if FORGE is None or importlib.util.find_spec("bitwuzla") is None:
        print("- symbolic 跳过：本平台没有 forge 或 bitwuzla · skipped: no forge or no bitwuzla for this platform")
        return runs
    return [*runs, symbolic_checks(*(f"check_{name}" for name in QUICK_SYMBOLIC))]


def contract_tests(provider: str) -> Run:
    """The contracts on a provider of ape: `test`, which is py-evm in its own process, or `foundry`, which is Anvil."""
    command = (str(BIN / "ape"), "test", "tests/contracts", "--network", f"ethereum:local:{provider}")
    return Run(f"contracts on {provider}", command, ape())


def symbolic_checks(*beginnings: str) -> Run:
    """The contracts for all inputs at once, by halmos: all checks, or those whose names begin so."""
    return Run("symbolic", (str(BIN / "python"), "scripts/symbolic.py", *beginnings))


def night() -> list[Run]:
    """What takes hours: long games and attacks, symbolic checks, and contracts with faults put in on purpose."""
    python = str(BIN / "python")
    games = (str(BIN / "ape"), "test", "tests/contracts/test_stateful.py", "--network", "ethereum:local:test", "-s")
    return [
        Run("games and attacks", games, {**ape(), "LIANBAN_TESTS": "nightly"}),
        symbolic_checks(),
        Run("symbolic sabotages", (python, "scripts/symbolic_sabotage.py")),
        Run("sabotages", (python, "tests/contracts/sabotage_run.py")),
        Run("mutants", (python, "-m", "tests.contracts.mutation")),
    ]


def ape() -> dict[str, str]:
    """What ape needs to find its data, the compiler and Anvil inside the project folder."""
    compiler = subprocess.run(
        [BIN / "python", "-m", "orchestrator.ledger.compiler", "--prepare"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout.strip()
    programs = [str(program.parent) for program in ROOT.glob("node_modules/@foundry-rs/anvil-*/bin/anvil")]
    return {
        "APE_DATA_FOLDER": str(ROOT / ".cache" / "ape"),
        "SOLCX_BINARY_PATH": compiler,
        "PATH": os.pathsep.join([*programs, os.environ.get("PATH", "")]),
    }


def quiet(run: Run) -> Outcome:
    """Runs a command and keeps its output."""
    began = time.monotonic()
    done = subprocess.run(
        run.command, cwd=ROOT, env={**os.environ, **run.environment}, capture_output=True, text=True, errors="replace"
    )
    return Outcome(run, done.returncode == 0, time.monotonic() - began, done.stdout + done.stderr)


def told(run: Run) -> Outcome:
    """Runs a command and prints its output when it is through."""
    print(f"… {run.name}", flush=True)
    outcome = quiet(run)
    print(f"── {run.name}  {outcome.seconds:.0f} s\n{outcome.output}", flush=True)
    return outcome


def loud(run: Run) -> Outcome:
    """Runs a command with its output on ours."""
    print(f"── {run.name}", flush=True)
    began = time.monotonic()
    done = subprocess.run(run.command, cwd=ROOT, env={**os.environ, **run.environment})
    return Outcome(run, done.returncode == 0, time.monotonic() - began, "")


def main(arguments: Sequence[str]) -> int:
    """Exit code 1 when anything failed, 2 for a wrong argument."""
    alone = {
        "anvil": lambda: [contract_tests("foundry")],
        "symbolic": lambda: [symbolic_checks()],
        "nightly": night,
    }
    if len(arguments) != 1 or arguments[0] not in ("check", "test", *alone):
        print("verify.py check|test|anvil|symbolic|nightly", file=sys.stderr)
        return 2
    if arguments[0] in alone:
        ended = [loud(run) for run in alone[arguments[0]]()]
        return 0 if all(each.passed for each in ended) else 1
    # Ape leaves its copies of libraries there, which are not ours to format or to lint.
    shutil.rmtree(ROOT / "contracts" / ".cache", ignore_errors=True)
    began = time.monotonic()
    print("… 检查与单元测试 · checks and unit tests", flush=True)
    units = unit_tests("quick") if arguments[0] == "check" else unit_tests("full")[:1]
    cores = max(2, os.cpu_count() or 2)
    with ThreadPoolExecutor(max_workers=cores) as pool:
        outcomes = list(pool.map(quiet, [*units, *static_checks()]))
    for outcome in outcomes[len(units) :]:
        print(f"{'✓' if outcome.passed else '✗'} {outcome.run.name}  {outcome.seconds:.1f} s")
        if not outcome.passed:
            print("\n".join(f"    {line}" for line in outcome.output.strip().splitlines()[-60:]))
    for outcome in outcomes[: len(units)]:
        print(f"── {outcome.run.name}  {outcome.seconds:.0f} s\n{outcome.output}", flush=True)
    if arguments[0] == "test":
        with ThreadPoolExecutor(max_workers=cores) as pool:
            outcomes += pool.map(told, long_tests())
    failed = [outcome.run.name for outcome in outcomes if not outcome.passed]
    print(f"{'✗ 未通过 · failed: ' + ', '.join(failed) if failed else '✓ 全部通过 · all passed'}", end="")
    print(f"  {time.monotonic() - began:.0f} s")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
