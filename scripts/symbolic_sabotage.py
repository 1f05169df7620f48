"""Plays the symbolic checks against contracts that lack what each of them is about: every check has to find values that break it.

    python scripts/symbolic_sabotage.py [BEGINNING]…     all of tests/symbolic/sabotages.yaml, or those of checks that begin so

A check that nothing can break proves nothing; a solver that calls everything contradictory would pass all of them.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
SABOTAGES = ROOT / "tests" / "symbolic" / "sabotages.yaml"
COPIED = ("contracts", "tests/symbolic", "scripts")
COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def main(arguments: list[str]) -> int:
    """Exit code 1 when a check passed without what it is about, or has no sabotage."""
    sabotages = yaml.safe_load(SABOTAGES.read_text("utf-8"))
    sources = "".join(file.read_text("utf-8") for file in sorted((ROOT / "tests" / "symbolic").glob("*.sol")))
    alone = set(re.findall(r"function (check_\w+)", sources)) - {each["check"] for each in sabotages}
    for name in sorted(alone):
        print(f"✗ {name}: no sabotage")
    passed = []
    with tempfile.TemporaryDirectory(prefix="lianban-symbolic-") as folder:
        place = working_copy(Path(folder))
        for sabotage in sabotages:
            if arguments and not sabotage["check"].startswith(tuple(arguments)):
                continue
            began = time.monotonic()
            noticed, said = play(sabotage, place)
            print(
                f"{'✓' if noticed else '✗'} {sabotage['check']}: {sabotage['what']}  {time.monotonic() - began:.0f} s"
            )
            if not noticed:
                passed.append(sabotage)
                print("\n".join(f"    {line}" for line in said.strip().splitlines()[-20:]))
            sys.stdout.flush()
    return 1 if passed or alone else 0


def working_copy(place: Path) -> Path:
    """The contracts and their checks in a folder of their own, with what they need linked to it."""
    for name in COPIED:
        shutil.copytree(ROOT / name, place / name, ignore=shutil.ignore_patterns(".cache", "__pycache__"))
    shutil.copy(ROOT / "foundry.toml", place)
    (place / ".cache").mkdir()
    (place / ".cache" / "solcx").symlink_to(ROOT / ".cache" / "solcx")
    (place / "node_modules").symlink_to(ROOT / "node_modules")
    return place


def play(sabotage: dict[str, Any], place: Path) -> tuple[bool, str]:
    """Whether the check found values that break it, and what was printed. Raises ValueError for an edit that fits nowhere."""
    before = {each["file"]: (place / each["file"]).read_text("utf-8") for each in sabotage["edits"]}
    try:
        for each in sabotage["edits"]:
            file = place / each["file"]
            text = file.read_text("utf-8")
            if text.count(each["old"]) != 1:
                raise ValueError(
                    f"{sabotage['check']}: {text.count(each['old'])} places in {each['file']}: {each['old']}"
                )
            file.write_text(text.replace(each["old"], each["new"]), "utf-8")
        command = [sys.executable, str(place / "scripts" / "symbolic.py"), sabotage["check"]]
        done = subprocess.run(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
        )
    finally:
        for name, text in before.items():
            (place / name).write_text(text, "utf-8")
    said = COLOUR.sub("", done.stdout)
    return done.returncode == 1 and f"[FAIL] {sabotage['check']}(" in said and "Counterexample" in said, said


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
