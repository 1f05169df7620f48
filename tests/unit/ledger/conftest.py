"""One Anvil for the tests of a module; each test deploys from an account of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.support.onchain import OnChain, automining_node, on_chain


@pytest.fixture(scope="module")
def node_url() -> Iterator[str]:
    """Blocks at once instead of every second: these tests are about what is sent, not about waiting."""
    with automining_node() as url:
        yield url


@pytest.fixture(scope="module")
async def chain(node_url: str) -> AsyncIterator[OnChain]:
    """The gallery's seats admitted, its scenario published and bound."""
    async with on_chain(node_url, "open-gallery") as chain:
        yield chain
