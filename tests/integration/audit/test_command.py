"""`lianban audit log` as a person types it, against a gateway that listens on a port and cheats in each way there is."""

from __future__ import annotations

import asyncio
import json
import re
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI

from orchestrator.gateway.client import Answers
from orchestrator.ledger.deployments import write_deployment
from tests.support.auditing import DEPARTMENT, Audited
from tests.support.cheater import entries_of, relog, rewrite, shrink
from tests.support.commands import Said, lianban

pytestmark = pytest.mark.anyio

WAYS = {"rewrite": "改写", "shrink": "变短", "fork": "分叉", "promise": "承诺未兑现"}
"""What the command calls each way of cheating."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Auditor:
    """Somebody with a node, the contracts' addresses, a gateway's address and a folder, and nothing else."""

    folder: Path
    """Also the data folder; what is remembered lies under it."""
    chain: tuple[str, ...]
    """Options that name node and contracts."""
    gateway: str

    async def log(self, *more: Any) -> Said:
        """Follows the log."""
        chosen = ("--department", DEPARTMENT, "--gateway", self.gateway)
        return await lianban(self.folder, "audit", "log", *chosen, *self.chain, *more)

    async def content(self) -> None:
        """Follows the log and finds it in order."""
        said = await self.log()
        assert said.code == 0, said.text
        assert "结论:属实 · it holds" in said.text

    async def catches(self, ways: Sequence[str], *more: Any) -> str:
        """Follows the log and finds these lies, whose evidence anybody with a node finds proven; what the command printed."""
        said = await self.log(*more)
        assert (said.code, "✓ 属实" in said.text, "结论:不能采信 · do not rely on it" in said.text) == (1, False, True)
        assert re.findall(r"^✗ (\S+?):", said.text, re.MULTILINE) == [WAYS[way] for way in ways], said.text
        for way, file in zip(ways, re.findall(r"^证据 evidence  (.+)$", said.text, re.MULTILINE), strict=True):
            told = await lianban(self.folder / "reader", "audit", "evidence", file, *self.chain)
            assert (told.code, f"增不改的日志——{WAYS[way]}" in told.text) == (0, True), told.text
        return said.text


@asynccontextmanager
async def listening(app: FastAPI) -> AsyncIterator[str]:
    """The address of a gateway that is already started."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off"))
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        while not server.started:
            await asyncio.sleep(0.01)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/{DEPARTMENT}"
        server.should_exit = True
        await serving


@pytest.fixture
async def auditor(department: Audited, tmp_path: Path) -> AsyncIterator[Auditor]:
    """An auditor of the department, who has been content with six entries, of which four are anchored."""
    file = tmp_path / "consortium.json"
    write_deployment(file, department.chain.deployment)
    chain = ("--node", department.chain.node_url, "--deployment", str(file))
    await department.ask(2)
    await department.anchor()
    await department.ask()
    async with listening(department.gateway.app) as gateway:
        auditor = Auditor(folder=tmp_path, chain=chain, gateway=gateway)
        await auditor.content()
        yield auditor


def kept(folder: Path, answers: Answers) -> Path:
    """What an asker keeps of its answers: each with the head that came along."""
    file = folder / "answers.json"
    placed = [
        each.model_copy(update={"log": each.log.model_copy(update={"head": answers.head})}) for each in answers.answers
    ]
    file.write_text(json.dumps([each.model_dump(mode="json") for each in placed]))
    return file


async def test_audit_log__entry_rewritten__caught_and_proven(department: Audited, auditor: Auditor) -> None:
    rewrite(department.seat, 1)
    await department.ask()
    await auditor.catches(["rewrite", "rewrite"])  # of what is anchored, and of what it has seen itself


async def test_audit_log__entries_forgotten__caught_and_proven(department: Audited, auditor: Auditor) -> None:
    shrink(department.seat, 5)
    await auditor.catches(["shrink"])


async def test_audit_log__another_log_for_the_auditor__caught_by_what_the_asker_was_given(
    both: tuple[Audited, Audited], auditor: Auditor, tmp_path: Path
) -> None:
    department, other = both
    relog(other.seat, entries_of(department.seat))
    answers = await other.ask()
    await department.ask()
    await auditor.content()  # one of the two logs is in order by itself
    said = await auditor.catches(["fork", "promise"], "--promise", kept(tmp_path, answers))
    assert "they make the roots of 3 of the 4 heads that are known" in said


async def test_audit_log__answered_and_not_logged__caught_by_the_answer(
    department: Audited, auditor: Auditor, tmp_path: Path
) -> None:
    before = entries_of(department.seat)
    answers = await department.ask()
    relog(department.seat, before)
    await department.ask(2)
    await department.anchor()
    said = await auditor.catches(["promise"], "--promise", kept(tmp_path, answers))
    assert "they make the roots of 3 of the 4 heads that are known" in said
