"""Plugin of pytest that judges mutants instead of running the tests once.

The tests are collected once. For each mutant the process forks, and the child deploys the mutant and runs the tests until one
fails. So a mutant costs neither a start of ape nor a copy of the tree, and nothing on disk ever holds a faulty contract.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from ape.api import ReceiptAPI
from hypothesis import Phase, settings

from .building import Artifacts, Builder, DoesNotCompile
from .mutants import Mutant
from .results import FOLDER, Results, Verdict, read_plan

FRONT = 6
"""How many of the tests that have killed most nearby go first."""


def pytest_configure() -> None:
    """Counterexamples need not be small, and nothing is printed."""
    settings.register_profile("mutation", phases=(Phase.explicit, Phase.generate))
    settings.load_profile("mutation")
    # Ape traces every transaction for what it printed, which takes a fifth of the time; our contracts print nothing.
    ReceiptAPI.show_debug_logs = lambda self: None


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Says at once why a test failed: the summary never comes."""
    if report.failed:
        with (FOLDER / "failures.log").open("a", encoding="utf-8") as log:
            log.write(f"── {report.nodeid} {report.when}\n{report.longreprtext}\n")


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool:
    """Judges the mutants of the plan that nobody has judged yet."""
    Judge(session).run()
    return True


class Judge:
    """One worker of a campaign."""

    def __init__(self, session: pytest.Session) -> None:
        self.plan = read_plan()
        self.results = Results()
        self.builder = Builder()
        self.items = {item.nodeid: item for item in session.items}
        self.session = session
        self.trusted: set[str] = set()
        self.kills: dict[str, Counter[str]] = {}

    def run(self) -> None:
        """The worker's share of the plan. Raises AssertionError when a test fails for the contracts as they are."""
        self.builder.contracts({})
        for mutant in self.plan.share():
            if self.results.known(mutant, self.plan) is None:
                began = time.monotonic()
                verdict = self._verdict(mutant)
                self.results.add(mutant, self.plan, verdict, time.monotonic() - began)
        self.builder.close()

    def _verdict(self, mutant: Mutant) -> Verdict:
        source = Path(mutant.file).read_text(encoding="utf-8")
        changed = {mutant.file: mutant.applied(source)}
        try:
            artifacts = self.builder.contracts(changed)
        except DoesNotCompile as problem:
            return Verdict("invalid", str(problem))
        if artifacts == self.builder.contracts({}):
            return Verdict("same code", "")
        failed = self._first_failure(self._ordered(mutant), artifacts, changed)
        if failed:
            self._trust(failed)
            self.kills.setdefault(mutant.function, Counter())[failed] += 1
            return Verdict("killed", failed)
        changed_code, code = (self.builder.contracts(each, shipped=True) for each in (changed, {}))
        return Verdict("same code" if changed_code == code else "survived", "")

    def _trust(self, test: str) -> None:
        """Makes sure, once, that a test that killed passes for the contracts as they are."""
        if test not in self.trusted:
            failed = self._first_failure([self.items[test]], self.builder.contracts({}), {})
            assert not failed, f"{failed} fails without any fault"
            self.trusted.add(test)

    def _ordered(self, mutant: Mutant) -> list[pytest.Item]:
        """The tests for a mutant's file: those that killed its neighbours, those of its function, the rest; slow ones last."""
        mine = [item for item in self.items.values() if self.plan.speaks(f"{item.path.name}::{item.name}", mutant)]
        if not self.plan.thorough:
            mine = [item for item in mine if item.name.split("[")[0] not in self.plan.slow]
        front = [name for name, _ in self.kills.get(mutant.function, Counter()).most_common(FRONT)]

        def rank(item: pytest.Item) -> tuple[Any, ...]:
            slow = item.name.split("[")[0] in self.plan.slow
            named = item.name.startswith(f"test_{mutant.function}__")
            place = front.index(item.nodeid) if item.nodeid in front else FRONT
            return place, slow, not named

        return sorted(mine, key=rank)

    def _first_failure(self, items: Sequence[pytest.Item], artifacts: Artifacts, changed: dict[str, str]) -> str:
        """The first test that fails with the artifacts in place of the real ones, or nothing. In a process of its own."""
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reader)
            try:
                self._run(items, artifacts, changed, writer)
                os._exit(0)
            finally:
                os._exit(1)
        os.close(writer)
        with open(reader, encoding="utf-8") as pipe:
            failed = pipe.read()
        _, status = os.waitpid(child, 0)
        assert status == 0, "the tests did not run to their end"
        return failed

    def _run(self, items: Sequence[pytest.Item], artifacts: Artifacts, changed: dict[str, str], writer: int) -> None:
        for module in [*sys.modules.values()]:
            if hasattr(module, "compile_contracts") and Path(module.__file__ or "").name == "conftest.py":
                module.compile_contracts = lambda: artifacts
            if hasattr(module, "compile_files") and Path(module.__file__ or "").name.startswith("test_"):
                plain = module.compile_files
                module.compile_files = lambda *paths, plain=plain: (
                    self.builder.build(paths, changed) if self.builder.concerns(paths, changed) else plain(*paths)
                )
        for item, following in zip(items, [*items[1:], None], strict=True):

            def fails(*_: object, item: pytest.Item = item) -> None:
                os.write(writer, item.nodeid.encode())
                os._exit(0)

            # A loop without end burns gas until the block's limit, again and again.
            signal.signal(signal.SIGVTALRM, fails)
            signal.setitimer(signal.ITIMER_VIRTUAL, self.plan.patience)
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            if self.session.testsfailed:
                fails()
