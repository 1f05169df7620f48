"""A department that wants to read before it signs: asked, shown the difference, heard, and free to leave by itself."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from orchestrator.domain.case import Status
from orchestrator.gateway.policy import POLICY_FILE
from orchestrator.scenarios import FOLDER
from tests.support.commands import Said, lianban
from tests.support.world import LONGEST, World

pytestmark = pytest.mark.anyio

CULTURE, MARKET = "haidian-culture-tourism", "haidian-market-supervision"
GALLERY = (FOLDER / "open-gallery.yaml").read_text("utf-8")


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """An officer at the command line, with key and certificate in files."""

    data_dir: Path
    key: Path
    certificate: Path

    async def types(self, *arguments: Any) -> Said:
        """An officer's command that must succeed."""
        said = await lianban(
            self.data_dir, "officer", *arguments, "--key", self.key, "--certificate", self.certificate,
            LIANBAN_OFFICER_PASSPHRASE="correct horse",
        )  # fmt: skip
        assert said.code == 0, said.text
        return said


async def certified(data_dir: Path, folder: Path, department: str, duty: str) -> Person:
    """Makes an officer's key and has the department certify it for a duty, by the command line alone."""
    key, certificate = folder / "officer.pem", folder / "officer.jwt"
    made = await lianban(data_dir, "officer", "keygen", "--key", key, LIANBAN_OFFICER_PASSPHRASE="correct horse")
    assert made.code == 0, made.text
    jwk = made.text.strip().splitlines()[-1]
    done = await lianban(
        data_dir, "officer", "certify", department, "officer-9", jwk, "--out", certificate, "--duty", duty
    )
    assert done.code == 0, done.text
    return Person(data_dir=data_dir, key=key, certificate=certificate)


async def approved(
    person: Person, wanted: str, reads: Callable[[str], None], command: Callable[[], Awaitable[Said]]
) -> Said:
    """A command that waits for an officer, who reads, approves; the same command again."""
    said = await command()
    assert (said.code, "待该部门经办人审阅" in said.text) == (1, True), said.text
    assert "run the same command again" in said.text
    listed = (await person.types("proposals")).text
    assert wanted in listed
    (proposal,) = re.findall(r"0x[0-9a-f]{64}", listed)
    reads((await person.types("proposal", proposal[:12])).text)
    await person.types("approve", proposal[:12], "与现行规定一致", "--yes")
    said = await command()
    assert said.code == 0, said.text
    return said


async def shown(world: World) -> dict[str, Any]:
    """The gallery as the portal shows it to anybody."""
    response = await world.http.get(f"{world.cluster.portal}/api/v1/scenarios/open-gallery")
    response.raise_for_status()
    found: dict[str, Any] = response.json()
    return found


async def binding_of(world: World) -> int:
    """The binding under which the portal takes new galleries."""
    return int((await shown(world))["binding"])


async def offered(world: World, number: int) -> None:
    for _ in range(100):
        if await binding_of(world) == number:
            return
        await asyncio.sleep(0.1)
    raise AssertionError(f"the gallery is not offered under binding {number}")


async def test_policy_ask__officer_reads_approves_and_another_department_leaves_by_itself(
    world: World, data_dir: Path, tmp_path: Path
) -> None:
    policy = world.cluster.settings.keys_dir / CULTURE / POLICY_FILE
    before, shipped = policy.read_text("utf-8"), await binding_of(world)
    person = await certified(data_dir, tmp_path, CULTURE, "signatures")
    file = tmp_path / "open-gallery.yaml"
    file.write_text(GALLERY.replace("&area_limit 300", "&area_limit 180"), "utf-8")

    def reads(text: str) -> None:
        """What changes, and against what."""
        assert "上次签署" in text, text
        # Against the version that was signed last, which another test may have published.
        assert re.search(r"大于(300|200)", text), text
        assert "大于180" in text
        assert "规则 GAL-09:适用条件" in text
        assert "rule GAL-09: when" in text

    policy.write_text("sign:\n  open-gallery: ask\n", "utf-8")
    try:
        await approved(person, "publication", reads, lambda: lianban(data_dir, "scenario", "publish", file))
        said = await approved(person, "binding", reads, lambda: lianban(data_dir, "scenario", "bind", file))
    finally:
        policy.write_text(before, "utf-8")
    found = re.search(r"binding (\d+)", said.text)
    assert found is not None, said.text
    number = int(found[1])
    await offered(world, number)
    text = await lianban(data_dir, "scenario", "diff", FOLDER / "open-gallery.yaml", (await shown(world))["version"])
    assert (text.code, "大于180" in text.text) == (0, True), text.text

    answers = {**world.demo["gallery-identity-brought"].walk.answers, "decoration_area_m2": "180.00"}
    async with world.applied("gallery-identity-brought", answers=answers) as (client, case, _):
        running = await client.settled(case, timeout=LONGEST)
        assert (running["status"], running["binding"]) == (Status.RETURNED, number)
        # A provider leaves with its own keys: neither the operator nor any gateway is asked.
        left = await lianban(data_dir, "gateway", "retire", number, MARKET)
        assert (left.code, "policy.yaml" in left.text) == (0, False), left.text
        await offered(world, shipped)
        await client.withdraw(case)
        ended = await client.settled(case, after=running["sequence"], timeout=LONGEST)
        assert (ended["status"], ended["binding"]) == (Status.WITHDRAWN, number)
        # The operator cannot have it back by asking again, although the policy says auto.
        again = await lianban(data_dir, "scenario", "bind", file)
        assert (again.code, "海淀区市场监督管理局没有签署" in again.text) == (1, True), again.text
        assert await binding_of(world) == shipped
