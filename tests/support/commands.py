"""The `lianban` command as a person types it: a process of its own on the data folder of a running installation."""

from __future__ import annotations

import asyncio
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.devnet.processes import LIANBAN

WIDE = "200"
"""Columns of the terminal that the command believes to have, so that nothing is broken over lines."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What came of a command."""

    code: int
    text: str
    """Standard output, then standard error."""


def run(data_dir: Path, *arguments: Any, seconds: float = 120, tree: Path | None = None, **environment: str) -> Said:
    """Runs `lianban …` to its end with these settings in its environment and no others of ours.

    `tree` is a folder with a copy of the package `orchestrator`, to be run instead of this one.
    """
    ours = {name: value for name, value in os.environ.items() if not name.startswith("LIANBAN_")}
    done = subprocess.run(
        [*LIANBAN, *map(str, arguments)],
        env={**ours, "COLUMNS": WIDE, "LIANBAN_DATA_DIR": str(data_dir), **environment},
        capture_output=True,
        text=True,
        timeout=seconds,
        cwd=tree,  # `python -m` looks there first, in the services that the command starts, too
    )
    return Said(code=done.returncode, text=done.stdout + done.stderr)


async def lianban(data_dir: Path, *arguments: Any, **environment: str) -> Said:
    """The same beside other coroutines."""
    return await asyncio.to_thread(run, data_dir, *arguments, **environment)
