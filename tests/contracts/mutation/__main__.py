"""The command: `python -m tests.contracts.mutation [--workers N] [--only WHAT] [--thorough] [--report] [--fresh]`.

Judges every mutant that has no verdict yet, then writes `docs/mutation.md`. Ends with 1 when a mutant survives that nobody
has explained, or an explanation has no survivor. Takes hours on two cores from nothing, so it belongs to the night.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import os
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from orchestrator.ledger import compiler

from .mutants import Mutant, find_mutants
from .report import written
from .results import FOLDER, WORKER, Plan, Results, write_plan

TESTS = Path("tests/contracts")
KILLERS = {
    "contracts/Consortium.sol": ["test_consortium.py", "test_keys.py"],
    "contracts/Catalog.sol": ["test_catalog.py"],
    "contracts/CaseLedger.sol": ["test_settle.py", "test_heads.py", "test_dossier.py"],
    "contracts/types/Cases.sol": ["test_settle.py", "test_dossier.py", "test_libraries.py", "test_vectors.py"],
    "contracts/libraries/ConsistencyProof.sol": ["test_libraries.py::isExtension", "test_heads.py"],
    "contracts/libraries/InclusionProof.sol": ["test_libraries.py::isIncluded", "test_heads.py::verifyLogEntry"],
    "contracts/libraries/Hashing.sol": [
        "test_settle.py",
        "test_dossier.py",
        "test_heads.py",
        "test_libraries.py",
        "test_vectors.py",
    ],
    "contracts/libraries/SeatSet.sol": ["test_catalog.py", "test_settle.py", "test_libraries.py"],
    "contracts/libraries/SeatSignature.sol": ["test_consortium.py", "test_keys.py", "test_settle.py"],
}
"""For each file the tests that speak about it: a file, or those of a file with a word in their names. Gas is left out: it
tells any two programs apart that are not the same."""
FUNCTIONS = {
    "_anchor": ["test_heads.py"],
    "_conflicts": ["test_heads.py"],
    "headOf": ["test_heads.py"],
    "verifyLogEntry": ["test_heads.py"],
    "verifyExtension": ["test_heads.py"],
    "verifyHistory": ["test_dossier.py"],
    "verifyDossier": ["test_dossier.py"],
    "verifySheet": ["test_dossier.py"],
}
"""The same for functions that nothing else runs."""
WITNESSES = ["test_vectors.py", "test_invariants.py"]
"""Tests of the whole, for survivors of those."""
SLOW = [
    "test_history__any_changes__every_past_block_answers",
    "test_verifyLogEntry__anything_changed__does_not_hold",
]
"""Tests that go with the witnesses because of the time that they take."""
PATIENCE = 30.0


def plan_of(mutants: Sequence[Mutant], thorough: bool) -> Plan:
    """The campaign for these mutants, with the sources and tests as they are."""
    files = sorted({mutant.file for mutant in mutants})
    more = WITNESSES if thorough else []
    tests = {name: [*dict.fromkeys(own + more)] for name, own in {**KILLERS, **FUNCTIONS}.items()}
    return Plan(
        mutants=mutants,
        tests=tests,
        slow=SLOW,
        thorough=thorough,
        patience=PATIENCE * (4 if thorough else 1),
        sources={file: _digest(_code(Path(file).read_text(encoding="utf-8"))) for file in files},
        digests=_tests({test.split("::")[0] for each in tests.values() for test in [*each, *WITNESSES]}),
    )


def _tests(files: set[str]) -> dict[str, str]:
    digests = {}
    for name in sorted(files):
        text = (TESTS / name).read_text(encoding="utf-8")
        for node in ast.parse(text).body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                digests[f"{name}::{node.name}"] = _digest(ast.unparse(node))
    return digests


def _code(source: str) -> str:
    return " ".join(re.sub(r"//[^\n]*", "", source).split())


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def judge(plan: Plan, workers: int) -> bool:
    """Runs the workers to their end. Whether all ended well."""
    write_plan(plan)
    files = sorted({str(TESTS / test.split("::")[0]) for test in plan.digests})
    ape = Path(sys.executable).parent / "ape"
    command = [str(ape), "test", *files, "--network", "ethereum:local:test", "-q", "-p", "no:cacheprovider"]
    environment = {
        **os.environ,
        "APE_DATA_FOLDER": str(compiler.ROOT / ".cache" / "ape"),
        "SOLCX_BINARY_PATH": str(compiler.prepare_compiler()),
        "PYTHONPATH": str(compiler.ROOT),
        "PYTEST_PLUGINS": "tests.contracts.mutation.plugin",
    }
    running = []
    for worker in range(1, workers + 1):
        with (FOLDER / f"worker-{worker}.log").open("w", encoding="utf-8") as log:
            share = {**environment, WORKER: f"{worker}/{workers}"}
            running.append(subprocess.Popen(command, env=share, stdout=log, stderr=subprocess.STDOUT))
    return [process.wait() for process in running] == [0] * workers


def main() -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.contracts.mutation", description=__doc__)
    parser.add_argument("--workers", type=int, default=1, help="processes side by side, at low priority")
    parser.add_argument("--only", default="", metavar="WHAT", help="only some: parts of paths or of keys, with commas")
    parser.add_argument(
        "--thorough", action="store_true", help="try survivors on vectors, invariants and slow tests too"
    )
    parser.add_argument("--report", action="store_true", help="judge nothing, only write the page")
    parser.add_argument("--fresh", action="store_true", help="forget every verdict first")
    options = parser.parse_args()
    os.chdir(compiler.ROOT)
    os.nice(10)
    if options.fresh:
        (FOLDER / "results.jsonl").unlink(missing_ok=True)
    began = time.monotonic()
    some = options.only.split(",")
    mutants = [mutant for mutant in find_mutants() if any(one in f"{mutant.file} {mutant.key}" for one in some)]
    plan = plan_of(mutants, options.thorough)
    if not options.report and not judge(plan, options.workers):
        print(f"a worker failed: see {FOLDER}/worker-*.log", file=sys.stderr)
        return 1
    print(f"{len(mutants)} mutants in {time.monotonic() - began:.0f} s")
    return written(plan, Results())


if __name__ == "__main__":
    raise SystemExit(main())
