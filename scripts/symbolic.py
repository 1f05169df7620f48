"""Symbolic checks of the contracts with halmos: every `check_` function of `tests/symbolic`, for all inputs at once.

    python scripts/symbolic.py [BEGINNING]…     all, or those whose names begin so

A check passes when halmos went through every path and found none that fails. A path that was left because a loop ran
longer than its bound counts as failed, so that each bound stands in the check itself.
"""

from __future__ import annotations

import os
import re
import shlex
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
OUT = ".cache/forge/symbolic/out"
LOOP = "300"
"""Iterations of one loop: the ledger empties 256 words for its seats. Every bound that matters is in the checks."""


def prepare() -> None:
    """Puts forge on the path and the compiler where `foundry.toml` looks for it."""
    from orchestrator.ledger.compiler import prepare_compiler

    prepare_compiler()
    programs = [str(program.parent) for program in ROOT.glob("node_modules/@foundry-rs/forge-*/bin/forge")]
    os.environ["PATH"] = os.pathsep.join([*programs, str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    os.environ["FOUNDRY_PROFILE"] = "symbolic"
    # It makes a folder at home as soon as it is imported.
    os.environ["HOME"] = str(ROOT / ".cache" / "halmos")
    Path(os.environ["HOME"]).mkdir(parents=True, exist_ok=True)


def repair() -> None:
    """Puts right what halmos 0.3.0 does wrong."""
    from halmos import sevm
    from halmos.ui import UI

    # Its spinner takes a call back that rich 14 does not make any more.
    UI.start_status = lambda self: None
    declare = sevm.Function

    def function(name: str, *sorts: Any) -> Any:
        """The message of SHA-256 is so many bytes long, not bits."""
        if name.startswith("f_sha256_"):
            return declare(name, sevm.BitVecSorts[8 * int(name.removeprefix("f_sha256_"))], *sorts[1:])
        return declare(name, *sorts)

    sevm.Function = function


def main(arguments: list[str]) -> int:
    """Exit code 1 when a check failed or did not come to an end."""
    prepare()
    from halmos.__main__ import _main as halmos

    repair()
    began = time.monotonic()
    sources = sorted((ROOT / "tests" / "symbolic").glob("*.sol"))
    # By name, since forge keeps what it made of files that are gone.
    contracts = "|".join(name for file in sources for name in re.findall(r"^contract (\w+)", file.read_text(), re.M))
    names = "|".join(arguments) or "check_"
    # Not yices, the default: its 2.6.4 calls a formula of ours contradictory that z3 has a model for; z3 itself did not get
    # through two of the checks.
    options = ["--root", str(ROOT), "--forge-build-out", OUT, "--loop", LOOP, "--solver-timeout-assertion", "900s"]
    options += ["--early-exit"]
    options += ["--solver-command", shlex.join([sys.executable, str(ROOT / "scripts" / "solver.py")])]
    result = halmos([*options, "--match-contract", f"^({contracts})$", "--match-test", f"^({names})"])
    checks = [check for found in (result.test_results or {}).values() for check in found]
    incomplete = [check.name for check in checks if check.num_bounded_loops]
    for name in incomplete:
        print(f"✗ {name}: a loop ran beyond {LOOP}")
    failed = result.exitcode != 0 or bool(incomplete)
    print(f"{'✗' if failed else '✓'} {len(checks)} symbolic checks  {time.monotonic() - began:.0f} s")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
