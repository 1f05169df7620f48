"""Asking a gateway: what the orchestrator and approvers use to reach a seat over HTTP.

Whoever asks checks at once that the answers fit the questions, that every question stands in the log whose signed head came
along, and that the seat's chain key signed that head. What an answer says is for `protocol.answer.read_answer`.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from types import TracebackType
from typing import Any, Final, Self

import httpx
import orjson

from orchestrator.domain.canonical import canonical, from_hex, to_hex
from orchestrator.domain.errors import Invalid, LianbanError, Refused, Unavailable
from orchestrator.domain.suite import hash_of
from orchestrator.protocol.answer import AnswerEnvelope
from orchestrator.protocol.contest import Carried
from orchestrator.protocol.jose import SigningKey, jws_hash, peek_jws
from orchestrator.protocol.keyset import SeatKeys
from orchestrator.protocol.loghead import SignedHead
from orchestrator.protocol.ports import ChainView, SeatView, seat_knowing
from orchestrator.protocol.querylog import entry, leaf_hash, verify_inclusion
from orchestrator.protocol.question import Question, sign_batch, sign_request
from orchestrator.protocol.wire import read_model

MOST_BYTES: Final = 6 * 1024 * 1024
"""Bytes of mandates or cases that one request carries; more go in several. Below the gateways' limit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What came back for a batch of questions, in the order of the questions."""

    answers: tuple[AnswerEnvelope, ...]
    """Each with the head that came along."""
    head: SignedHead
    """Head of the log with the batch in it; the last one when the questions went in several requests."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Latest:
    """What a seat said last to questions."""

    answers: tuple[AnswerEnvelope, ...]
    """Each with the head that came along."""
    contests: tuple[Carried, ...]
    """What applicants contest of answers to these questions, as the seat handed it out: not verified."""


class GatewayClient:
    """Asks gateways as one seat. Every method raises Unavailable when a gateway does not answer in time, and Refused or
    Invalid, with the gateway's code, when it says no.
    """

    def __init__(
        self,
        number: int,
        key: SigningKey | SeatKeys,
        chain: ChainView,
        *,
        timeout: float = 10.0,
        connections: int = 64,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """`number` is the asking seat's, `key` its request key, or its keys, of which always the one in force is used; `timeout` in
        seconds for one request."""
        self._number = number
        self._keys = key
        self._chain = chain
        self._http = httpx.AsyncClient(
            timeout=timeout,
            limits=httpx.Limits(max_connections=connections, max_keepalive_connections=connections),
            transport=transport,
            verify=_trusted(),
            trust_env=False,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes every connection."""
        await self._http.aclose()

    async def ask(self, seat: SeatView, questions: Sequence[Question], mandates: Sequence[str]) -> Answers:
        """Asks a seat; `mandates` are those that the questions name and what they follow. Needs at least one question."""
        parts = []
        for some, theirs in _portions(questions, mandates):
            await self._follow()
            parts.append(await self._ask(seat, some, theirs))
        return Answers(answers=tuple(each for part in parts for each in part.answers), head=parts[-1].head)

    async def latest(self, seat: SeatView, questions: Sequence[str]) -> Latest:
        """The newest answer to each question id (`0x…`) that the seat has answered and lets this asker see, each proven to
        stand in its log, with what applicants contest of them."""
        answers: list[AnswerEnvelope] = []
        contests: list[Carried] = []
        for start in range(0, len(questions), 512):
            await self._follow()
            ids = list(questions[start : start + 512])
            value = await self._send(seat, "answers/latest", {"request": self._sign(seat, "request", questions=ids)})
            found = [AnswerEnvelope.parse(each) for each in _listed(value, "answers")]
            head = await self._checked(value.get("head"), seat)
            asked = [each.question for each in found]
            if len(set(asked)) != len(asked) or not set(asked) <= set(ids):
                raise _not_as_specified(seat)
            for each in found:
                _require_logged(each, head)
            answers += [each.with_head(head) for each in found]
            contests += [
                read_model(Carried, each, code="bad-gateway") for each in _listed({"contests": [], **value}, "contests")
            ]
        return Latest(answers=tuple(answers), contests=tuple(contests))

    async def head(self, seat: SeatView) -> SignedHead:
        """The seat's log head now, its signature checked."""
        return await self._checked(await self._get(seat, "log/head"), seat)

    async def consistency(self, seat: SeatView, first: int, second: int) -> tuple[bytes, ...]:
        """The proof that the seat's log of size `second` extends that of size `first`."""
        value = await self._get(seat, "log/consistency", first=first, second=second)
        return tuple(_hash(node) for node in _listed(value, "proof"))

    async def inclusion(self, seat: SeatView, index: int, size: int) -> tuple[bytes, ...]:
        """The path of an entry under the seat's log of `size`."""
        value = await self._get(seat, "log/inclusion", index=index, size=size)
        return tuple(_hash(node) for node in _listed(value, "path"))

    async def verdicts(self, seat: SeatView, cases: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
        """An approver's verdicts on cases: `{verdicts: [{case, verdict}], refused: [{case, code, detail, items}]}`."""
        return await self._merged(seat, "verdicts", cases)

    async def updates(self, seat: SeatView, since: object) -> dict[str, Any]:
        """What an approver's officers decided or revoked since a cursor, and the next cursor."""
        return await self.send(seat, "verdicts/updates", "updates", {"since": since})

    async def credentials(self, seat: SeatView, cases: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
        """The lead's credentials for cases: `{credentials: [{case, credential, sealed}], types: [document…],
        refused: [{case, code, detail}]}`, where `types` are the documents that the credentials hash."""
        return await self._merged(seat, "credentials", cases, also=("types",))

    async def sheets(self, seat: SeatView, cases: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """An approver's sheets, one for each request that the cases take: `{seat, valid_until, signature, signed: [case…],
        refused: [{case, code, detail, items}]}`."""
        return [await self.send(seat, "sheets", "sheets", {"cases": some}) for some in _by_size(cases)]

    async def sign_publication(
        self, seat: SeatView, definition: Mapping[str, Any], texts: Mapping[str, Any], *, revision: int | None = None
    ) -> bytes:
        """The seat's signature as publisher of a version, or of new texts of it with the number of their revision."""
        body = {"definition": definition, "texts": texts, "revision": revision}
        return _signature(await self.send(seat, "publications/signature", "publication", body))

    async def sign_binding(
        self, seat: SeatView, definition: Mapping[str, Any], texts: Mapping[str, Any], terms: Mapping[str, Any]
    ) -> bytes:
        """The seat's signature of a binding; `terms` as in `gateway.definitions.BindingTerms`."""
        body = {"definition": definition, "texts": texts, "binding": terms}
        return _signature(await self.send(seat, "bindings/signature", "binding", body))

    async def sign_retirement(self, seat: SeatView, binding: int) -> bytes:
        """The seat's signature that ends a binding for new cases."""
        return _signature(await self.send(seat, "retirements/signature", "retirement", {"binding": binding}))

    async def _merged(
        self, seat: SeatView, kind: str, cases: Sequence[Mapping[str, Any]], *, also: Sequence[str] = ()
    ) -> dict[str, list[Any]]:
        """What a request of `kind` answers, which may take several requests."""
        merged: dict[str, list[Any]] = {name: [] for name in (kind, *also, "refused")}
        for some in _by_size(cases):
            value = await self.send(seat, kind, kind, {"cases": some})
            for name, found in merged.items():
                found += _listed(value, name)
        return merged

    async def send(self, seat: SeatView, path: str, kind: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """A signed request of `kind` with a body, and what the gateway answers."""
        await self._follow()
        request = self._sign(seat, kind, body=to_hex(hash_of(canonical(body))))
        return await self._send(seat, path, {"request": request, "body": body})

    async def _ask(self, seat: SeatView, questions: Sequence[Question], mandates: Sequence[str]) -> Answers:
        batch, body = self.signed(seat, questions, mandates)
        value = await self._send(seat, "questions", body)
        try:
            found = self.read(seat, batch, questions, value)
        except Refused as error:
            if error.code != "bad-head":
                raise
            await self._chain.look_again()
            found = self.read(await self._chain.seat(seat.number), batch, questions, value)
        await seat_knowing(self._chain, seat, "evidence", [each.answer for each in found.answers])
        return found

    async def _follow(self) -> None:
        """Signs from now on with the request key that the chain has for this seat."""
        if isinstance(self._keys, SeatKeys):
            self._keys.follow(await self._chain.seat(self._number))

    async def _checked(self, value: Any, seat: SeatView) -> SignedHead:
        """A head, once it is known to be the seat's: by the newest block, if its keys have changed just now."""
        try:
            return self._head(value, seat)
        except Refused:
            await self._chain.look_again()
            return self._head(value, await self._chain.seat(seat.number))

    @property
    def _key(self) -> SigningKey:
        return self._keys.request if isinstance(self._keys, SeatKeys) else self._keys

    def signed(
        self, seat: SeatView, questions: Sequence[Question], mandates: Sequence[str], *, ttl: int = 60
    ) -> tuple[str, dict[str, Any]]:
        """A batch signed for a seat, in force for `ttl` seconds, and the body with which it is sent."""
        batch = sign_batch(questions, key=self._key, iss=self._number, aud=seat.number, ttl=ttl)
        asked = [question.payload() for question in questions]
        return batch, {"batch": batch, "questions": asked, "mandates": mandates}

    def read(self, seat: SeatView, batch: str, questions: Sequence[Question], value: Mapping[str, Any]) -> Answers:
        """What a seat answered to a signed batch of these questions, once it is known to fit them and to be in its log."""
        answers = tuple(AnswerEnvelope.parse(each) for each in _listed(value, "answers"))
        head = self._head(value.get("head"), seat)
        if [each.question for each in answers] != [question.id for question in questions]:
            raise _not_as_specified(seat)
        for each in answers:
            _require_logged(each, head, batch=jws_hash(batch))
        return Answers(answers=tuple(each.with_head(head) for each in answers), head=head)

    def _head(self, value: Any, seat: SeatView) -> SignedHead:
        try:
            head = SignedHead.parse(value)
        except Invalid:
            raise _not_as_specified(seat) from None
        signer = head.signer(self._chain.domain("CaseLedger"))
        if head.seat != seat.number or not seat.signed_by(signer, int(time.time())):
            raise Refused(
                "日志头不是该席位签署的", detail_en=f"seat {seat.number} did not sign this log head", code="bad-head"
            )
        return head

    def _sign(self, seat: SeatView, kind: str, **payload: Any) -> str:
        return sign_request(payload, kind, key=self._key, iss=self._number, aud=seat.number)

    async def _send(self, seat: SeatView, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        headers = {"content-type": "application/json"}
        return await self._call("POST", seat, path, content=orjson.dumps(body), headers=headers)

    async def _get(self, seat: SeatView, path: str, **parameters: int) -> dict[str, Any]:
        return await self._call("GET", seat, path, params=parameters)

    async def _call(self, method: str, seat: SeatView, path: str, **options: Any) -> dict[str, Any]:
        try:
            response = await self._http.request(method, f"{seat.keyset.endpoint}/{path}", **options)
        except httpx.HTTPError as error:
            raise Unavailable(
                f"{seat.keyset.name['zh']}的网关没有响应",
                detail_en=f"the gateway of {seat.keyset.id} does not answer ({type(error).__name__})",
                code="gateway-unreachable",
            ) from error
        return understood(response, seat)


def understood(response: httpx.Response, seat: SeatView) -> dict[str, Any]:
    """The JSON of a seat's response. Raises Unavailable, Refused or Invalid, with the gateway's code, when it says no."""
    try:
        value = orjson.loads(response.content)
    except orjson.JSONDecodeError:
        value = None
    if response.is_success and isinstance(value, dict):
        return value
    raise _problem(response.status_code, value if isinstance(value, dict) else {}, seat)


def _require_logged(envelope: AnswerEnvelope, head: SignedHead, *, batch: str | None = None) -> None:
    """Raises Refused("not-logged") unless the head's log holds the question and attempt, asked in `batch` when given."""
    place = envelope.log
    if place is not None and batch in (None, place.batch):
        leaf = leaf_hash(entry(place.batch, envelope.question, envelope.attempt))
        path = [from_hex(node) for node in place.path]
        if verify_inclusion(leaf, place.index, head.size, path, from_hex(head.root)):
            return
    raise Refused(
        "应答未载入该部门的查询日志",
        detail_en=f"seat {head.seat}: an answer is not in its query log",
        code="not-logged",
    )


@cache
def _trusted() -> ssl.SSLContext:
    """The authorities trusted for TLS: read once per process, since a process may hold a client for each of many seats."""
    return httpx.create_ssl_context()


def _problem(status: int, value: Mapping[str, Any], seat: SeatView) -> LianbanError:
    """A gateway's problem document as one of our own errors."""
    detail = str(value.get("detail") or f"{seat.keyset.name['zh']}的网关返回 {status}")
    detail_en = str(value.get("detail_en") or f"the gateway of {seat.keyset.id} answered {status}")
    code = str(value.get("code") or status)
    errors = value.get("errors")
    first = errors[0] if isinstance(errors, list) and errors and isinstance(errors[0], dict) else {}
    remedy = str(first.get("remedy") or "")
    if status >= 500 or status == 429 or status < 400:
        return Unavailable(detail, detail_en=detail_en, code=code, remedy=remedy)
    if status in (400, 413, 422):
        return Invalid(
            field=str(first.get("field") or "request"), detail=detail, detail_en=detail_en, code=code, remedy=remedy
        )
    return Refused(detail, detail_en=detail_en, code=code, remedy=remedy)


def _portions(questions: Sequence[Question], mandates: Sequence[str]) -> list[tuple[Sequence[Question], Sequence[str]]]:
    """The questions with their mandates, halved until each part's mandates fit into one request."""
    if len(questions) == 1 or sum(map(len, mandates)) <= MOST_BYTES:
        return [(questions, mandates)]
    by_hash = {jws_hash(jws): jws for jws in mandates}
    middle = len(questions) // 2
    parts = []
    for half in (questions[:middle], questions[middle:]):
        needed: dict[str, str] = {}
        for question in half:
            following: Any = question.mandate
            while following in by_hash and following not in needed:
                needed[following] = by_hash[following]
                following = peek_jws(by_hash[following])[1].get("previous")
        parts += _portions(half, list(needed.values()))
    return parts


def _by_size(cases: Sequence[Mapping[str, Any]]) -> list[list[Mapping[str, Any]]]:
    """Cases in lists that each fit into one request."""
    parts: list[list[Mapping[str, Any]]] = []
    room = 0
    for case in cases:
        size = len(orjson.dumps(case))
        if not parts or size > room:
            parts.append([])
            room = MOST_BYTES
        parts[-1].append(case)
        room -= size
    return parts


def _listed(value: Mapping[str, Any], name: str) -> list[Any]:
    found = value.get(name)
    if not isinstance(found, list):
        raise Unavailable(
            "网关应答格式不正确", detail_en="the gateway's answer is not as specified", code="bad-gateway"
        )
    return found


def _hash(value: Any) -> bytes:
    try:
        return from_hex(value)
    except (ValueError, AttributeError):
        raise Unavailable(
            "网关应答格式不正确", detail_en="the gateway's answer is not as specified", code="bad-gateway"
        ) from None


def _signature(value: Mapping[str, Any]) -> bytes:
    try:
        return from_hex(str(value.get("signature")), 65)
    except ValueError:
        raise Unavailable(
            "网关应答格式不正确", detail_en="the gateway's answer is not as specified", code="bad-gateway"
        ) from None


def _not_as_specified(seat: SeatView) -> Unavailable:
    return Unavailable(
        f"{seat.keyset.name['zh']}的网关应答格式不正确",
        detail_en=f"the answer of the gateway of {seat.keyset.id} is not as specified",
        code="bad-gateway",
    )
