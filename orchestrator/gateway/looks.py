"""Who looked (谁查过我的数据): a person, signed in at the identity seat, is told every question that this seat logged about them.

Told are asker, case, item, basis, time and what was answered in kind, in a statement that the seat signs, with an inclusion
proof of every entry and the signed batches that it came in. No value leaves. The access is logged, and told from then on, too.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson
from fastapi import APIRouter, Response

from orchestrator.database import Row
from orchestrator.domain.canonical import to_hex
from orchestrator.domain.errors import Invalid, Refused
from orchestrator.domain.suite import hash_of
from orchestrator.gateway import querylog
from orchestrator.gateway.gate import ADMITTED
from orchestrator.gateway.lookindex import day_of, open_kinds, token
from orchestrator.gateway.requests import SignedRequest, asker_of, require_active
from orchestrator.gateway.seat import Chain, CurrentSeat, Seat
from orchestrator.protocol.access import (
    ACCESSED,
    MOST_LOOKS,
    Access,
    AccessRequest,
    LogPath,
    Look,
    Statement,
    Told,
    ToldClaim,
    access_entry,
    open_access,
    read_access,
    sign_statement,
)
from orchestrator.protocol.jose import jws_hash, peek_jws
from orchestrator.protocol.loghead import SignedHead
from orchestrator.protocol.mandate import Mandate, Subject
from orchestrator.protocol.ports import SeatView
from orchestrator.protocol.querylog import LogTree
from orchestrator.protocol.wire import seat_ref

router = APIRouter()

_LOOKS: Final = """
select l.index, l.part, l.role, l.mandate, l.item, l.place, l.purpose, convert_from(e.entry, 'UTF8') as entry, e.at, e.outcome,
  m.jws as mandate_jws, m.case_id, a.envelope, a.kinds, b.jws as batch_jws, b.asker,
  exists (select from recalled r where (r.question, r.attempt) = (a.question, a.attempt)) as recalled
from (
  select distinct on (index) * from look where token = any(%(tokens)s) and index < %(before)s order by index desc, part desc
  limit %(most)s
) l
join log_entry e using (index)
join mandate m on m.hash = l.mandate
join batch b on b.hash = decode(substr(convert_from(e.entry, 'UTF8')::jsonb->>'batch', 3), 'hex')
left join answer a on a.question = decode(substr(convert_from(e.entry, 'UTF8')::jsonb->>'question', 3), 'hex')
  and a.attempt = (convert_from(e.entry, 'UTF8')::jsonb->>'attempt')::int
order by l.index desc
"""
_ACCESSES: Final = """
select index, asker, at, jws from access where token = any(%(tokens)s) and index < %(before)s order by index desc
limit %(most)s
"""


@router.post("/{department}/looks")
async def looks(request: SignedRequest, seat: CurrentSeat, chain: Chain) -> Response:
    """What `protocol.access.Told` says, of the person that an identity seat seals into its signed request.

    Raises Refused: `unknown-asker`, `asker-suspended`, `not-identity-seat`, `replayed`, `cannot-open`, `wrong-subject`, and
    as `read_request`; Invalid for an anchored size that the log never had.
    """
    now = int(time.time())
    asker = await asker_of(request.request, seat, chain)
    asked, jti, expires = read_access(request.request, audience=seat.number, now=now, jwk=_identity_key(asker))
    require_active(asker)
    await _require_known(asker.number, seat)
    subject = open_access(asked, seat=seat.number, key=seat.keys.sealing)
    await _log(request.request, asker.number, (asker.number, jti, expires), subject, seat, now)

    rows, accesses, more = await _found(asked, subject, seat, now)
    secrets = await _secrets(seat)
    statement = Statement(
        iss=seat_ref(seat.number),
        iat=now,
        access=jws_hash(request.request),
        commitment=asked.commitment,
        looks=tuple(_look(row, secrets) for row in rows),
        accesses=tuple(_access(row) for row in accesses),
        more=more,
    )
    tree, paths = await _paths([int(str(row["index"])) for row in (*rows, *accesses)], asked.anchored, seat)
    answer = Told(
        statement=sign_statement(statement, seat.keys.evidence),
        batches=tuple(dict.fromkeys(str(row["batch_jws"]) for row in rows)),
        requests=tuple(dict.fromkeys(str(row["jws"]) for row in accesses)),
        paths=tuple(paths),
        head=SignedHead.parse(querylog.signed_head(seat, chain.domain("CaseLedger"), tree)),
    )
    return Response(answer.model_dump_json(), media_type="application/json")


def _identity_key(asker: SeatView) -> Mapping[str, Any]:
    try:
        return asker.keyset.key("identity")
    except Invalid:
        raise _not_identity() from None


async def _require_known(identity: int, seat: Seat) -> None:
    """Not every seat with an identity key may ask about anybody: only one whose mandates have come here."""
    if not await seat.store.rows("select 1 as known from mandate where issuer = %s limit 1", [identity]):
        raise _not_identity()


def _not_identity() -> Refused:
    return Refused(
        "请求方不是本部门所认的身份认证席位",
        detail_en="the asker is not the identity seat of any mandate that came here",
        code="not-identity-seat",
    )


async def _log(request: str, asker: int, nonce: tuple[int, str, int], subject: Subject, seat: Seat, now: int) -> None:
    """Logs the access, before anything is told."""
    secret = await seat.index.secret(seat.store, seat.keys.sealing, seat.number)
    async with querylog.appending(seat.store, nonce) as log:
        index = await log.add([access_entry(to_hex(hash_of(request.encode("ascii"))), now)], [ACCESSED])
        place = token(secret, day_of(now), subject.type, subject.id)
        await log.cursor.execute(
            "insert into access (token, index, asker, at, jws) values (%s, %s, %s, %s, %s)",
            [place, index, asker, now, request],
        )


async def _secrets(seat: Seat) -> list[bytes]:
    return await seat.index.secrets(seat.store, seat.keys.sealing, seat.number)


async def _found(asked: AccessRequest, subject: Subject, seat: Seat, now: int) -> tuple[list[Row], list[Row], bool]:
    """Questions and accesses about a subject, newest first and of one stretch of the log; whether there is something older."""
    tokens = await seat.index.tokens(
        subject.type, subject.id, store=seat.store, key=seat.keys.sealing, seat=seat.number, now=now
    )
    most = MOST_LOOKS // 2
    given = {"tokens": tokens, "before": 1 << 48 if asked.before is None else asked.before, "most": most}
    rows, accesses = await seat.store.rows(_LOOKS, given), await seat.store.rows(_ACCESSES, given)
    # Where one of the two lists was cut, the other is told no further back, so that the next request goes on from there.
    since = max((int(str(list_[-1]["index"])) for list_ in (rows, accesses) if len(list_) == most), default=0)
    rows = [row for row in rows if int(str(row["index"])) >= since]
    accesses = [row for row in accesses if int(str(row["index"])) >= since]
    return rows, accesses, since > 0


def _look(row: Row, secrets: Sequence[bytes]) -> Look:
    entry, mandate = orjson.loads(str(row["entry"])), Mandate.model_validate(peek_jws(str(row["mandate_jws"]))[1])
    answered, outcome = row["envelope"] is not None, str(row["outcome"])
    answer = None
    told: tuple[ToldClaim, ...] = ()
    if answered:
        answer = jws_hash(str(orjson.loads(_bytes(row["envelope"]))["answer"]))
        told = open_kinds(secrets, entry["question"], entry["attempt"], _bytes(row["kinds"]))
    granted = next((each for each in mandate.evidence if each.item == row["item"]), None)
    return Look(
        index=row["index"],
        batch=entry["batch"],
        question=entry["question"],
        attempt=entry["attempt"],
        mandate=to_hex(_bytes(row["mandate"])),
        item=row["item"],
        place=row["place"],
        purpose=row["purpose"],
        role=row["role"],
        part=row["part"],
        asker=row["asker"],
        case=to_hex(_bytes(row["case_id"])),
        binding=mandate.binding,
        version=mandate.version,
        texts=mandate.texts,
        basis=granted.basis if granted else None,
        at=int(row["at"].timestamp()),
        outcome="answered" if answered else "no-answer" if outcome == ADMITTED else outcome,
        answer=answer,
        recalled=row["recalled"],
        claims=told,
    )


def _access(row: Row) -> Access:
    return Access(index=row["index"], request=jws_hash(str(row["jws"])), asker=row["asker"], at=row["at"])


async def _paths(indices: Sequence[int], anchored: int | None, seat: Seat) -> tuple[LogTree, list[LogPath]]:
    """The log as it is now, and the path of every entry: under the anchored head where it reaches that far."""
    below = {index for index in indices if index < (anchored or 0)}
    now = await querylog.read_tree(seat.store, None, leaves=[index for index in indices if index not in below])
    then = await querylog.read_tree(seat.store, anchored, leaves=below) if below else now
    paths = []
    for index in indices:
        tree = then if index in below else now
        path = tuple(to_hex(node) for node in tree.inclusion_proof(index))
        paths.append(LogPath(index=index, size=tree.size, path=path))
    return now, paths


def _bytes(value: object) -> bytes:
    if not isinstance(value, bytes):
        raise TypeError("expected bytea")
    return value
