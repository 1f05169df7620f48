"""One finished run of the demo, for all that look at what it left behind."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.demonstration import Demonstration, demonstration


@pytest.fixture(scope="session")
def finished_demo() -> Iterator[Demonstration]:
    """One run of the demo over a server and a node that were started by hand, with a portal started again over them."""
    with demonstration() as found:
        yield found
