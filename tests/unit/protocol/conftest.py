"""Fixtures of the protocol tests."""

from __future__ import annotations

import pytest

from tests.unit.protocol.protocol_world import World, make_world


@pytest.fixture(scope="session")
def world() -> World:
    """One small consortium for all of them."""
    return make_world()
