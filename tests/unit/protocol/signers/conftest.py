"""Real external signers: a node that holds a key, and SoftHSM where this machine has it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.signing_node import account_of, signing_node
from tests.support.softhsm import HOW, PIN, SoftHsm, find_module


@pytest.fixture(scope="session")
def node() -> Iterator[str]:
    """A node that signs."""
    with signing_node() as url:
        yield url


@pytest.fixture(scope="session")
def account(node: str) -> str:
    """The address of a key that the node holds."""
    return account_of(node)


@pytest.fixture(scope="session")
def hsm(tmp_path_factory: pytest.TempPathFactory) -> SoftHsm:
    """SoftHSM with one key pair of each kind."""
    module = find_module()
    if module is None:
        pytest.skip(HOW)
    made = SoftHsm(module, tmp_path_factory.mktemp("softhsm"))
    for label, kind in (("evidence", "signing"), ("chain", "chain"), ("sealing", "sealing")):
        made.make(label, kind)
    return made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A key folder with the PIN of the token."""
    (tmp_path / "hsm.pin").write_text(PIN)
    (tmp_path / "hsm.pin").chmod(0o600)
    return tmp_path
