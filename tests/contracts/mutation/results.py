"""Plan and results of a campaign, in files, so that it can be interrupted and workers need not talk to each other.

A verdict is kept under the mutant's change and its file's code. One that a test killed stays killed while that test says the
same; one that survived is tried again when any of its tests is another.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from .mutants import Mutant

FOLDER = Path(".cache/mutation")
WORKER = "LIANBAN_MUTATION_WORKER"
"""Environment of a worker: `2/3` is the second of three."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a mutant."""

    outcome: Literal["killed", "survived", "same code", "invalid"]
    by: str
    """The test that failed, or why it is no program."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a campaign judges, by which tests."""

    mutants: Sequence[Mutant]
    tests: dict[str, list[str]]
    """For each source file, and for some functions, what speaks about it: test files, or `file::word` in a test's name."""
    slow: list[str]
    """Tests that go last, and only if the campaign is thorough."""
    thorough: bool
    patience: float
    """Seconds of computing after which a test counts as failed, since it meets a loop without end."""
    sources: dict[str, str]
    """Digest of each source file's code, comments apart."""
    digests: dict[str, str]
    """Digest of each test, `test_settle.py::test_name`, without its parameters."""

    def speaks(self, test: str, mutant: Mutant) -> bool:
        """Whether a test, `file::name`, is one that a mutant is up against."""
        for one in self.tests.get(mutant.function, self.tests[mutant.file]):
            file, _, word = one.partition("::")
            if test.startswith(f"{file}::") and word in test:
                return True
        return False

    def share(self) -> Iterator[Mutant]:
        """This worker's mutants, in an order that does not depend on where they stand, so that a part is a fair sample."""
        worker, workers = map(int, os.environ[WORKER].split("/"))
        ordered = sorted(self.mutants, key=lambda mutant: mutant.key)
        yield from ordered[worker - 1 :: workers]


def write_plan(plan: Plan) -> None:
    """Lays the plan down for the workers."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / "plan.json").write_text(json.dumps(asdict(plan)), encoding="utf-8")


def read_plan() -> Plan:
    """The plan as a worker finds it."""
    stored = json.loads((FOLDER / "plan.json").read_text(encoding="utf-8"))
    return Plan(**stored | {"mutants": [Mutant(**each) for each in stored["mutants"]]})


class Results:
    """The verdicts, one a line."""

    def __init__(self) -> None:
        self.path = FOLDER / "results.jsonl"
        self.path.parent.mkdir(parents=True, exist_ok=True)
        lines = self.path.read_text(encoding="utf-8").splitlines() if self.path.exists() else []
        self._kept: dict[str, dict[str, Any]] = {}
        for line in lines:
            row = json.loads(line)
            self._kept[row["key"]] = row

    def known(self, mutant: Mutant, plan: Plan) -> Verdict | None:
        """The verdict, when it still holds."""
        row = self._kept.get(_key(mutant, plan))
        if row is None:
            return None
        verdict = Verdict(row["outcome"], row["by"])
        if verdict.outcome == "survived" and row["tests"] != tests_digest(mutant, plan):
            return None
        if verdict.outcome == "killed" and row["killer"] != plan.digests.get(_test(verdict.by)):
            return None
        return verdict

    def add(self, mutant: Mutant, plan: Plan, verdict: Verdict, seconds: float) -> None:
        """Keeps a verdict."""
        row = {
            "key": _key(mutant, plan),
            "outcome": verdict.outcome,
            "by": verdict.by,
            "killer": plan.digests.get(_test(verdict.by)),
            "tests": tests_digest(mutant, plan),
            "seconds": round(seconds, 1),
            "where": f"{mutant.file}:{mutant.line}",
            "before": mutant.before,
            "after": mutant.after,
        }
        self._kept[row["key"]] = row
        with self.path.open("a", encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.write(json.dumps(row, ensure_ascii=False) + "\n")

    def seconds(self, mutant: Mutant, plan: Plan) -> float:
        """How long the verdict took."""
        return float(self._kept[_key(mutant, plan)]["seconds"])


def tests_digest(mutant: Mutant, plan: Plan) -> str:
    """Of all tests that a mutant is up against."""
    digests = [digest for test, digest in plan.digests.items() if plan.speaks(test, mutant)]
    return hashlib.sha256("".join([str(plan.thorough), *digests]).encode()).hexdigest()[:16]


def _test(item: str) -> str:
    """`tests/contracts/test_settle.py::test_name[3]` as the plan has it."""
    return item.split("[")[0].rsplit("/", 1)[-1]


def _key(mutant: Mutant, plan: Plan) -> str:
    return f"{mutant.key}:{plan.sources[mutant.file]}"
