"""The gateway client: what a gateway's answer becomes, and how large requests are cut."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import httpx
import orjson
import pytest

from orchestrator.domain.canonical import to_hex
from orchestrator.domain.errors import Invalid, LianbanError, Refused, Unavailable
from orchestrator.gateway import client as module
from orchestrator.gateway.client import GatewayClient
from orchestrator.protocol.jose import jws_hash, peek_jws
from orchestrator.protocol.querylog import LogTree, entry, leaf_hash
from orchestrator.protocol.question import Question, read_batch
from orchestrator.protocol.sheet import head_digest
from tests.support.consortium import Consortium, make_consortium

pytestmark = pytest.mark.anyio

OPERATOR, MARKET = 0, 1


@pytest.fixture(scope="module")
def consortium() -> Consortium:
    return make_consortium()


def client(consortium: Consortium, answer: Callable[[httpx.Request], httpx.Response]) -> GatewayClient:
    key = consortium.keys[OPERATOR].request
    return GatewayClient(OPERATOR, key, consortium.chain, transport=httpx.MockTransport(answer))


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, Invalid),
        (413, Invalid),
        (422, Invalid),
        (403, Refused),
        (404, Refused),
        (409, Refused),
        (429, Unavailable),
        (500, Unavailable),
        (503, Unavailable),
        (302, Unavailable),
    ],
)
async def test_client__problem__our_own_error_with_its_code(
    consortium: Consortium, status: int, kind: type[LianbanError]
) -> None:
    body = {"detail": "不行", "detail_en": "no", "code": "some-code", "errors": [{"field": "a.b", "remedy": "改"}]}
    with pytest.raises(kind) as error:
        await client(consortium, lambda _: httpx.Response(status, json=body)).head(consortium.seat(MARKET))
    assert (error.value.code, error.value.detail, error.value.remedy) == ("some-code", "不行", "改")
    assert not isinstance(error.value, Invalid) or error.value.field == "a.b"


@pytest.mark.parametrize("content", [b"<html>", b"[]", b"{}", b'{"seat": 1}', b'{"seat": "x", "size": 1}', b"null"])
async def test_client__not_a_gateway__unavailable(consortium: Consortium, content: bytes) -> None:
    with pytest.raises(Unavailable):
        await client(consortium, lambda _: httpx.Response(200, content=content)).head(consortium.seat(MARKET))
    with pytest.raises(Unavailable):
        await client(consortium, lambda _: httpx.Response(200, content=content)).latest(consortium.seat(MARKET), ["0x"])


@pytest.mark.parametrize("failure", [httpx.ConnectError, httpx.ReadTimeout, httpx.RemoteProtocolError])
async def test_client__no_connection__unavailable(consortium: Consortium, failure: type[httpx.HTTPError]) -> None:
    def fail(_: httpx.Request) -> httpx.Response:
        raise failure("down")

    with pytest.raises(Unavailable) as error:
        await client(consortium, fail).head(consortium.seat(MARKET))
    assert error.value.code == "gateway-unreachable"


class FakeLog:
    """Answers batches with refusals that are properly logged, and lets a test lie about one part."""

    def __init__(self, consortium: Consortium) -> None:
        self.consortium = consortium
        self.tree = LogTree()
        self.requests: list[dict[str, Any]] = []
        self.batch = ""
        self.lie: str | None = None

    def __call__(self, request: httpx.Request) -> httpx.Response:
        body = orjson.loads(request.content)
        self.requests.append(body)
        jwk = self.consortium.seat(OPERATOR).keyset.key("request")
        if "request" in body:
            return self.latest(body["request"])
        batch = read_batch(body["batch"], body["questions"], audience=MARKET, now=int(time.time()), jwk=jwk)
        first = self.tree.size
        hashed = jws_hash(body["batch"] if self.lie != "other batch" else body["batch"] + "x")
        self.tree.append([leaf_hash(entry(hashed, question.id, 1)) for question in batch.questions])
        answers = [
            {
                "question": question.id,
                "attempt": 1,
                "answer": "a.b.c",
                "disclosures": [],
                "sealed": {},
                "log": {
                    "index": first + position,
                    "path": [to_hex(node) for node in self.tree.inclusion_proof(first + position)],
                    "batch": jws_hash(body["batch"]),
                },
            }
            for position, question in enumerate(batch.questions)
        ]
        self.batch = jws_hash(body["batch"])
        return self.reply(answers)

    def latest(self, request: str) -> httpx.Response:
        """What was answered before, with its place in the log as it is now."""
        asked = peek_jws(request)[1]["questions"]
        batch = self.batch if self.lie != "other batch" else to_hex(b"\1" * 32)
        attempt = 2 if self.lie == "attempt" else 1
        answers = []
        for index, question in enumerate(asked):
            path = [to_hex(node) for node in self.tree.inclusion_proof(index)]
            log = {"index": index, "path": path, "batch": batch}
            answers.append(
                {"question": question, "attempt": attempt, "answer": "a.b.c", "disclosures": [], "sealed": {}}
            )
            answers[-1]["log"] = log
        if self.lie == "twice":
            answers.append(answers[0])
        if self.lie == "not asked":
            answers[0]["question"] = to_hex(b"\2" * 32)
        return self.reply(answers)

    def reply(self, answers: list[dict[str, Any]]) -> httpx.Response:
        """The answers with the head, but for the lie."""
        if self.lie == "no place":
            answers[0]["log"] = None
        if self.lie == "one missing":
            answers.pop()
        if self.lie == "order":
            answers.reverse()
        root = self.tree.root()
        size = self.tree.size + (self.lie == "size")
        digest = head_digest(self.consortium.chain.domain("CaseLedger"), MARKET, size, root)
        signer = self.consortium.keys[OPERATOR if self.lie == "signer" else MARKET].chain
        head = {"seat": MARKET, "size": size, "root": to_hex(root), "signature": to_hex(signer.sign_hash(digest))}
        return httpx.Response(200, json={"answers": answers, "head": head})


def questions(mandates: list[str]) -> list[Question]:
    return [
        Question(mandate=jws_hash(mandate), item=item, index=0, purpose="decide")
        for mandate in mandates
        for item in ("E05.company", "E06.company")
    ]


async def test_ask__everything_proven__answers_in_order(consortium: Consortium) -> None:
    log = FakeLog(consortium)
    asked = questions(["m1", "m2"])
    result = await client(consortium, log).ask(consortium.seat(MARKET), asked, ["m1", "m2"])
    assert [each.question for each in result.answers] == [question.id for question in asked]
    assert result.head.size == 4


@pytest.mark.parametrize(
    ("lie", "code"),
    [
        ("other batch", "not-logged"),
        ("no place", "not-logged"),
        ("size", "not-logged"),
        ("one missing", "bad-gateway"),
        ("order", "bad-gateway"),
        ("signer", "bad-head"),
    ],
)
async def test_ask__gateway_lies__noticed(consortium: Consortium, lie: str, code: str) -> None:
    log = FakeLog(consortium)
    log.lie = lie
    with pytest.raises(LianbanError) as error:
        await client(consortium, log).ask(consortium.seat(MARKET), questions(["m1", "m2"]), ["m1", "m2"])
    assert error.value.code == code


async def test_latest__everything_proven__answers(consortium: Consortium) -> None:
    log, asked = FakeLog(consortium), questions(["m1", "m2"])
    await client(consortium, log).ask(consortium.seat(MARKET), asked, ["m1", "m2"])
    found = await client(consortium, log).latest(consortium.seat(MARKET), [question.id for question in asked])
    assert [each.question for each in found.answers] == [question.id for question in asked]
    assert found.contests == ()


@pytest.mark.parametrize(
    ("lie", "code"),
    [
        ("other batch", "not-logged"),
        ("attempt", "not-logged"),
        ("no place", "not-logged"),
        ("size", "not-logged"),
        ("twice", "bad-gateway"),
        ("not asked", "bad-gateway"),
        ("signer", "bad-head"),
    ],
)
async def test_latest__gateway_lies__noticed(consortium: Consortium, lie: str, code: str) -> None:
    log, asked = FakeLog(consortium), questions(["m1", "m2"])
    await client(consortium, log).ask(consortium.seat(MARKET), asked, ["m1", "m2"])
    log.lie = lie
    with pytest.raises(LianbanError) as error:
        await client(consortium, log).latest(consortium.seat(MARKET), [question.id for question in asked])
    assert error.value.code == code


async def test_ask__mandates_too_large_for_one_request__several_with_what_each_needs(
    consortium: Consortium, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = consortium.mandate()
    amended = consortium.following(first, "amendment")
    others = [consortium.mandate() for _ in range(3)]
    monkeypatch.setattr(module, "MOST_BYTES", len(first) + len(amended) + 100)
    log = FakeLog(consortium)
    asked = questions([amended, *others])
    result = await client(consortium, log).ask(consortium.seat(MARKET), asked, [first, amended, *others])
    assert [each.question for each in result.answers] == [question.id for question in asked]
    assert result.head.size == len(asked)
    assert len(log.requests) > 1
    assert set(log.requests[0]["mandates"]) == {first, amended}
    for request in log.requests:
        assert sum(map(len, request["mandates"])) <= module.MOST_BYTES


async def test_verdicts__cases_too_large_for_one_request__merged(
    consortium: Consortium, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_BYTES", 300)
    seen: list[int] = []

    def answer(request: httpx.Request) -> httpx.Response:
        cases = orjson.loads(request.content)["body"]["cases"]
        seen.append(len(cases))
        return httpx.Response(200, json={"verdicts": [{"case": each["case"]} for each in cases], "refused": []})

    cases = [{"case": f"0x{number}", "filling": "x" * 80} for number in range(7)]
    merged = await client(consortium, answer).verdicts(consortium.seat(MARKET), cases)
    assert [each["case"] for each in merged["verdicts"]] == [each["case"] for each in cases]
    assert seen == [2, 2, 2, 1]
