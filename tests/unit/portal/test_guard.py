"""Which requests count as coming from a foreign page."""

from __future__ import annotations

import pytest
from starlette.datastructures import Headers

from orchestrator.portal.guard import foreign

SESSION = "lianban_lang=en; lianban_session=abc"


@pytest.mark.parametrize(
    ("headers", "refused"),
    [
        ({}, False),
        ({"cookie": "lianban_lang=en"}, False),
        ({"cookie": SESSION}, True),
        ({"cookie": SESSION, "authorization": "Bearer x"}, False),
        ({"cookie": SESSION, "origin": "https://portal.example"}, False),
        ({"cookie": SESSION, "origin": "https://PORTAL.example"}, False),
        ({"cookie": SESSION, "origin": "https://portal.example:8443"}, True),
        ({"cookie": SESSION, "origin": "https://identity.portal.example"}, True),
        ({"cookie": SESSION, "origin": "null"}, True),
        ({"origin": "https://evil.example"}, True),
        ({"origin": "https://evil.example", "authorization": "Bearer x"}, True),
        ({"origin": ""}, True),
    ],
)
def test_foreign__origin_cookie_and_token__as_the_rule_says(headers: dict[str, str], refused: bool) -> None:
    assert foreign(Headers({"host": "portal.example", **headers})) is refused
