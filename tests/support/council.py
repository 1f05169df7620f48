"""A consortium under a council for tests: real chain, bound scenario, key folders, and `lianban` run in this process."""

from __future__ import annotations

import asyncio
import io
import json
import os
import secrets
import shutil
import sys
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from unittest import mock

from eth_account import Account

from orchestrator import cli
from orchestrator.council.registry import Registry, read_registry
from orchestrator.ledger.accounts import chain_account
from orchestrator.ledger.deployments import Deployment, write_deployment
from orchestrator.ledger.rpc import Rpc
from orchestrator.ledger.view import LedgerView
from orchestrator.protocol.keyfolder import save_seat_keys
from orchestrator.protocol.keyset import SeatKeys, SigningAccount
from orchestrator.settings import load_settings
from tests.support.commands import WIDE, Said
from tests.support.consortium import Consortium
from tests.support.onchain import ask, on_chain


@dataclass(frozen=True, kw_only=True)
class Office:
    """One installation with a consortium of its own on a node."""

    node_url: str
    data_dir: Path
    deployment: Deployment
    consortium: Consortium
    """Its departments' keys."""
    members: list[Path] = field(default_factory=list)
    """Key folders of the Safe's owners."""

    def run(self, *arguments: Any) -> Said:
        """Runs `lianban …` to its end, as `main` does."""
        code: Any = 0
        out, err = io.StringIO(), io.StringIO()
        with (
            mock.patch.object(sys, "argv", ["lianban", *map(str, arguments)]),
            mock.patch.dict(os.environ, self._environment()),
            redirect_stdout(out),
            redirect_stderr(err),
        ):
            try:
                cli.main()
            except SystemExit as ended:
                code = ended.code or 0
        return Said(code=int(code), text=out.getvalue() + err.getvalue())

    def done(self, *arguments: Any) -> str:
        """What a command said that must succeed."""
        said = self.run(*arguments)
        assert said.code == 0, said.text
        return said.text

    def refused(self, code: int, *arguments: Any) -> str:
        """What a command said that must end with this exit code, in one line and a remedy."""
        said = self.run(*arguments)
        assert said.code == code, said.text
        fault = [line for line in said.text.splitlines() if line.startswith("✗")]
        assert len(fault) == 1, said.text
        assert "  → " in said.text
        return said.text

    def registry(self) -> Registry:
        """The consortium as the chain has it now."""

        async def read() -> Registry:
            async with Rpc(self.node_url) as rpc:
                return await read_registry(rpc, LedgerView(rpc, self.deployment))

        return asyncio.run(read())

    def view_seat(self, number: int) -> Any:
        """A seat as gateways and the orchestrator see it now."""

        async def read() -> Any:
            async with Rpc(self.node_url) as rpc:
                return await LedgerView(rpc, self.deployment).seat(number)

        return asyncio.run(read())

    def mine(self, blocks: int) -> None:
        """Lets blocks pass."""
        ask(self.node_url, "anvil_mine", hex(blocks))

    def copied(self, folder: Path) -> Office:
        """The same installation in another folder, for a test of its own."""
        shutil.copytree(self.data_dir, folder, dirs_exist_ok=True)
        members = [folder / each.relative_to(self.data_dir) for each in self.members]
        return replace(self, data_dir=folder, members=members)

    def _environment(self) -> dict[str, str]:
        return {"COLUMNS": WIDE, "LIANBAN_DATA_DIR": str(self.data_dir), "LIANBAN_NODE_URL": self.node_url}

    def passphrase(self) -> str:
        """The installation's passphrase."""
        return load_settings(data_dir=self.data_dir).passphrase()

    def folder(self, name: str, keys: SeatKeys) -> Path:
        """A folder with a seat's keys."""
        folder = self.data_dir / "keys" / name
        save_seat_keys(keys, folder, self.passphrase())
        return folder

    def account(self, name: str) -> tuple[Path, str]:
        """A folder with a new account's key, and its address."""
        folder = self.data_dir / "keys" / name
        return folder, chain_account(folder, self.passphrase()).address

    def description(self, **changes: Any) -> Path:
        """A department's description, with changes; None leaves a field out."""
        fields = {
            "id": "haidian-new-department",
            "name": {"zh": "海淀区新部门", "en": "New Department of Haidian"},
            "uscc": "11110108000000001X",
            "region": "110108",
            "parent": None,
            "vertical": False,
            "hosted_by": "haidian-new-department",
            "endpoint": "http://127.0.0.1:9/haidian-new-department",
        } | changes
        file = self.data_dir / f"{fields['id']}.yaml"
        file.write_text(json.dumps(fields))  # JSON is YAML
        return file

    def safe(self, threshold: int = 2, owners: int = 3) -> str:
        """A Safe of new members; its address."""
        made = [self.account(f"member-{len(self.members) + number}") for number in range(owners)]
        self.members[:] = [folder for folder, _ in made]
        options = [part for _, address in made for part in ("--owner", address)]
        return self.done("council", "create", *options, "--threshold", threshold).splitlines()[-1]

    def under_safe(self) -> str:
        """Hands the consortium over from its account to a new 2-of-3 Safe; the Safe's address."""
        address = self.safe()
        self.done("council", "propose", "hand-over", address, "--yes")
        file = self.data_dir / "take-over.json"
        self.done("council", "propose", "take-over", "--out", file)
        self.decide(file)
        file.unlink()
        return address

    def decide(self, file: Path, signers: Sequence[int] = (0, 1)) -> str:
        """Has members sign a proposal and executes it; what the execution said."""
        for number in signers:
            self.done("council", "sign", file, "--key", self.members[number], "--yes")
        return self.done("council", "execute", file)

    def proposed(self, *arguments: Any) -> Path:
        """A new proposal's file."""
        file = self.data_dir / f"proposal-{secrets.token_hex(4)}.json"
        self.done("council", "propose", *arguments, "--out", file)
        return file


def make_office(node_url: str, folder: Path) -> Office:
    """The gallery's seats admitted, its scenario published and bound, under a council that is one account."""

    async def build() -> tuple[Deployment, Consortium, SigningAccount]:
        async with on_chain(node_url, "open-gallery") as chain:
            return chain.deployment, chain.consortium, chain.council

    deployment, consortium, council = asyncio.run(build())
    write_deployment(folder / "deployment.json", deployment)
    office = Office(
        node_url=node_url,
        data_dir=folder,
        deployment=deployment,
        consortium=consortium,
    )
    keys = folder / "keys" / "council"
    keys.mkdir(parents=True)
    stored = Account.encrypt(council.secret, office.passphrase(), "scrypt", 2**13)
    (keys / "chain.json").write_text(json.dumps(stored))
    return office


class Stage:
    """An installation and its node, put back as they were before each test."""

    def __init__(self, office: Office) -> None:
        self._office = office
        self._snapshot = ask(office.node_url, "evm_snapshot")

    def again(self, folder: Path) -> Office:
        ask(self._office.node_url, "evm_revert", self._snapshot)
        self._snapshot = ask(self._office.node_url, "evm_snapshot")
        return self._office.copied(folder)


def lead(office: Office) -> int:
    """The seat that leads the gallery's binding."""
    return office.consortium.binding.approvers[0]


def agreement(office: Office, kind: str, seat: int, **changes: Any) -> Path:
    """A department's agreement, with new keys."""
    out, folder = office.data_dir / f"{kind}.json", office.data_dir / "keys" / f"new-{kind}"
    described = ["--description", office.description(**changes)] if kind != "recovery" else []
    office.done("seat", "agree", kind, seat, *described, "--keys", folder, "--out", out)
    return out
