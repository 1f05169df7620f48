"""A consortium under one account, and one under a real 2-of-3 Safe, put back as they were before each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.council import Office, Stage, make_office
from tests.support.onchain import automining_node


@pytest.fixture(scope="module")
def alone_stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with automining_node() as url:
        yield Stage(make_office(url, tmp_path_factory.mktemp("alone")))


@pytest.fixture(scope="module")
def safe_stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with automining_node() as url:
        office = make_office(url, tmp_path_factory.mktemp("safe"))
        office.under_safe()
        yield Stage(office)


@pytest.fixture
def alone(alone_stage: Stage, tmp_path: Path) -> Office:
    """A consortium under one account."""
    return alone_stage.again(tmp_path / "alone")


@pytest.fixture
def office(safe_stage: Stage, tmp_path: Path) -> Office:
    """A consortium under a Safe of three members, two of whom must sign."""
    return safe_stage.again(tmp_path / "safe")
