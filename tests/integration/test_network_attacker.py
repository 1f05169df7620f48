"""Somebody on the wire between the operator and a department's gateway: reads, alters, replays and holds back what passes."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial
from typing import Any

import httpx
import pytest

from orchestrator.domain.errors import LianbanError
from orchestrator.gateway.client import Answers, GatewayClient
from orchestrator.protocol.answer import read_answer
from tests.support.consortium import GALLERY_SUBJECTS, Consortium
from tests.support.gateway import CULTURE, MARKET, OPERATOR, Gateway
from tests.support.search import Searcher, needles_of

pytestmark = pytest.mark.anyio

ITEMS = ("E05.company", "E06.company")
TRIES = 25


class Wire(httpx.AsyncBaseTransport):
    """The way to the gateway with somebody on it."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = httpx.ASGITransport(app=gateway.app)
        self.seen: list[bytes] = []
        self.there: Callable[[bytes], bytes] = bytes
        """What becomes of a request's body."""
        self.back: Callable[[bytes], bytes] = bytes
        """What becomes of a response's body."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        body = self.there(await request.aread())
        passed = httpx.Request(request.method, request.url, content=body, headers={"content-type": "application/json"})
        response = await self._gateway.handle_async_request(passed)
        content = await response.aread()
        self.seen += [body, content]
        return httpx.Response(
            response.status_code, content=self.back(content), headers={"content-type": response.headers["content-type"]}
        )


@pytest.fixture
def wire(gateway: Gateway) -> Wire:
    return Wire(gateway)


async def ask(consortium: Consortium, wire: Wire, mandate: str) -> Answers:
    key = consortium.keys[OPERATOR].request
    client = GatewayClient(OPERATOR, key, consortium.chain, transport=wire, timeout=30)
    async with client:
        return await client.ask(consortium.seat(MARKET), consortium.questions(mandate, ITEMS), [mandate])


def told(consortium: Consortium, answers: Answers) -> dict[str, Any]:
    """What the approver reads of the answers that are none of a refusal, by item."""
    key = consortium.seat(MARKET).keyset.key("evidence")
    private = consortium.keys[CULTURE].sealing
    read = [read_answer(each, key, private=private, seat=CULTURE) for each in answers.answers]
    return {answer.item: answer.claims for answer in read if answer.result == "answered"}


def flipped(place: float) -> Callable[[bytes], bytes]:
    """One bit changed, so far into a body."""

    def flip(body: bytes) -> bytes:
        changed = bytearray(body)
        changed[int(place * len(body))] ^= 1
        return bytes(changed)

    return flip


def instead(kept: bytes, _body: bytes) -> bytes:
    return kept


@pytest.mark.parametrize("way", ["there", "back"])
async def test_network__any_bit_changed_on_the_way__nothing_else_is_believed(
    consortium: Consortium, wire: Wire, way: str
) -> None:
    chance, noticed = random.Random(way), 0
    truth = told(consortium, await ask(consortium, wire, consortium.mandate()))
    assert truth.keys() == set(ITEMS)
    for _ in range(TRIES):
        setattr(wire, way, flipped(chance.random()))
        try:
            believed = told(consortium, await ask(consortium, wire, consortium.mandate()))
        except LianbanError:
            noticed += 1
            continue
        assert believed.items() <= truth.items()  # at most an answer is missing
        noticed += believed != truth
    assert noticed > TRIES * 3 // 4  # the others change what says nothing, such as the letter case of a salt's hex


async def test_network__everything_read__no_name_number_or_value(consortium: Consortium, wire: Wire) -> None:
    answers = await ask(consortium, wire, consortium.mandate())
    values = [
        text for claims in told(consortium, answers).values() for text in claims.values() if isinstance(text, str)
    ]
    subjects = [text for rows in GALLERY_SUBJECTS.values() for _, number, name, _ in rows for text in (number, name)]
    needles = [needle for text in {*values, *subjects} for needle in needles_of(text)]
    assert len(needles) > 20
    assert Searcher(needles).search("wire", b"\n".join(wire.seen)) == []


async def test_network__request_sent_again__refused(consortium: Consortium, wire: Wire, gateway: Gateway) -> None:
    await ask(consortium, wire, consortium.mandate())
    path = "http://gateway.test/haidian-market-supervision/questions"
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=gateway.app)) as attacker:
        response = await attacker.post(path, content=wire.seen[0], headers={"content-type": "application/json"})
    assert (response.status_code, response.json()["code"]) == (409, "replayed")


async def test_network__answer_of_another_question_or_day_put_in__noticed(consortium: Consortium, wire: Wire) -> None:
    """A genuine response to another batch, and to the same questions asked before."""
    mandate, other = consortium.mandate(), consortium.mandate()
    for earlier in (other, mandate):
        await ask(consortium, wire, earlier)
        kept = wire.seen[-1]
        wire.back = partial(instead, kept)
        with pytest.raises(LianbanError) as error:
            await ask(consortium, wire, mandate)
        assert error.value.code in ("bad-gateway", "not-logged")
        wire.back = bytes
