"""The examples of docs/api.md, run as they stand there."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.identity.accounts import DEVELOPMENT_PASSCODE
from tests.support.world import World

pytestmark = pytest.mark.anyio

DOCUMENT = Path(__file__).parents[2] / "docs" / "api.md"


def example(world: World, language: str, command: list[str], folder: Path) -> str:
    """What an example prints when a reader runs it against the running portal."""
    found = re.search(rf"^```{language}\n(.*?)^```", DOCUMENT.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    assert found is not None
    applicant = world.demo["gallery-passes"]
    given = {"PORTAL": world.cluster.portal, "NUMBER": applicant.person, "PASSCODE": DEVELOPMENT_PASSCODE}
    ran = subprocess.run(
        [*command, found[1]],
        cwd=folder,
        env={**os.environ, **given, "no_proxy": "*", "PYTHONPATH": "", "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ran.returncode == 0, ran.stderr[-2000:]
    return ran.stdout


async def test_api_doc__python_example__approved_and_credential_opened(world: World, tmp_path: Path) -> None:
    said = await asyncio.to_thread(example, world, "python", [sys.executable, "-c"], tmp_path)

    assert "4 → 2 materials" in said
    assert "'zh': '准予'" in said
    assert "holder_name 海淀墨白画廊有限公司" in said


async def test_api_doc__curl_example__planned_and_signed_in(world: World, tmp_path: Path) -> None:
    said = await asyncio.to_thread(example, world, "sh", ["sh", "-euc"], tmp_path)

    assert '"materials_after":[' in said.replace(" ", "")
    assert '"role":"applicant"' in said.replace(" ", "")
