"""Checking what a department told about who looked: by its signature, the askers' signatures and the paths in its log.

Pure: seats and heads are looked up by the caller. What is not in the statement cannot be found here: a department that answered
somebody without logging it leaves nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from orchestrator.domain.canonical import from_hex
from orchestrator.domain.errors import Refused
from orchestrator.protocol.access import (
    Statement,
    Told,
    access_entry,
    by_place,
    read_past_access,
    read_statement,
)
from orchestrator.protocol.jose import jws_hash
from orchestrator.protocol.ports import SeatView
from orchestrator.protocol.querylog import Head, entry, leaf_hash, verify_inclusion
from orchestrator.protocol.question import issuer_of, question_id, read_asked
from orchestrator.protocol.wire import seat_ref


@dataclass(frozen=True, slots=True, kw_only=True)
class Proven:
    """A statement that holds."""

    statement: Statement
    leaves: Mapping[int, bytes]
    """Leaf hash of each entry, by index."""
    anchored: frozenset[int]
    """Entries that were proven under the anchored head."""


def check_told(
    told: Told, access: str, *, seat: SeatView, seats: Mapping[int, SeatView], anchored: Head | None
) -> Proven:
    """That `seat` signed what it told in answer to `access`, that every entry is in its log and every question was signed by
    the asker named. The signature of the seat's own head is the caller's to check, as is that the chain has `anchored`.

    Raises Refused: "bad-signature", "wrong-statement", "not-logged", and Invalid for what is not as specified.
    """
    statement = read_statement(told.statement, seat.key_of("evidence", told.statement))
    request = read_past_access(access, _key(seats, issuer_of(access), "identity", access))
    if (statement.iss, statement.access, statement.commitment) != (
        seat_ref(seat.number),
        jws_hash(access),
        request.commitment,
    ):
        raise _wrong("the statement answers another request")
    held, paths = told.by_hash(), by_place(told.paths)
    leaves: dict[int, bytes] = {}
    for look in statement.looks:
        if question_id(look.mandate, look.item, look.place, look.purpose) != look.question:
            raise _wrong("a question is not what it is said to be")
        batch = held.get(look.batch)
        if batch is None:
            raise _wrong("a batch is missing")
        asker, asked, ids = read_asked(batch, _key(seats, look.asker, "request", batch))
        if (asker, asked) != (look.asker, seat.number) or look.question not in ids:
            raise _wrong("a batch does not hold the question")
        leaves[look.index] = leaf_hash(entry(look.batch, look.question, look.attempt))
    for one in statement.accesses:
        asked_for = held.get(one.request)
        if asked_for is None:
            raise _wrong("an access request is missing")
        read_past_access(asked_for, _key(seats, one.asker, "identity", asked_for))
        leaves[one.index] = leaf_hash(access_entry(one.request, one.at))
    under = set()
    for index, leaf in leaves.items():
        path = paths.get(index)
        if path is None:
            raise _not_logged(seat)
        root = from_hex(told.head.root)
        if anchored is not None and path.size == anchored.size:
            root = anchored.root
            under.add(index)
        elif path.size != told.head.size:
            raise _not_logged(seat)
        if not verify_inclusion(leaf, index, path.size, [from_hex(node) for node in path.path], root):
            raise _not_logged(seat)
    return Proven(statement=statement, leaves=leaves, anchored=frozenset(under))


def _key(seats: Mapping[int, SeatView], number: int, use_for: str, token: str) -> Mapping[str, object]:
    if number not in seats:
        raise Refused("没有这个席位", detail_en=f"there is no seat {number}", code="bad-signature")
    return seats[number].key_of(use_for, token)


def _wrong(detail_en: str) -> Refused:
    return Refused("部门的说明前后不符", detail_en=detail_en, code="wrong-statement")


def _not_logged(seat: SeatView) -> Refused:
    return Refused(
        "有的查询不在该部门的查询日志中",
        detail_en=f"an entry is not in the query log of seat {seat.number}",
        code="not-logged",
    )
