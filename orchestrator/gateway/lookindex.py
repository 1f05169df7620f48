"""The index of a seat's log by person: whose data a logged question is about, findable only with the identifier and a secret.

A token is a keyed hash of the day and the identifier, so the store says of two questions at most that they were about the same somebody
on the same day. The secret lies in the store sealed to the seat's own key: who has the database alone cannot try out
identifiers. What was answered in kind is encrypted under it, too.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import orjson
from cryptography.exceptions import InvalidTag

from orchestrator.domain.canonical import from_hex
from orchestrator.domain.errors import Refused
from orchestrator.domain.suite import Cipher, cipher_of, mac
from orchestrator.gateway.gate import Admitted, Presented, Reason
from orchestrator.gateway.store import Store, StoredLook
from orchestrator.protocol.access import ToldClaim
from orchestrator.protocol.mandate import Subject, open_subject
from orchestrator.protocol.question import Question
from orchestrator.protocol.sealing import SealingKey, index_info, seal, unseal

_DAY: Final = 86_400
_SECRET_BYTES: Final = 32
_NONCE_BYTES: Final = 12
_TAG: Final = b"lianban.look.v1\0"


def day_of(now: int) -> int:
    """The day of a moment (seconds since 1970), UTC: tokens of two days have nothing in common."""
    return now // _DAY


def token(secret: bytes, day: int, kind: str, identifier: str) -> bytes:
    """What stands for an identifier in the store on a day, 32 bytes."""
    return mac(secret, _TAG + f"{day}\0{kind}\0{identifier}".encode())


def hide_kinds(secret: bytes, question: str, attempt: int, told: Iterable[ToldClaim]) -> bytes:
    """What was answered in kind, readable with the secret alone and only at this question and attempt."""
    nonce = secrets.token_bytes(_NONCE_BYTES)
    plaintext = orjson.dumps([[each.claim, each.kind, each.sealed_to] for each in told])
    return nonce + _cipher(secret).encrypt(nonce, plaintext, _place(question, attempt))


def open_kinds(opened: Iterable[bytes], question: str, attempt: int, hidden: bytes) -> tuple[ToldClaim, ...]:
    """The kinds that were hidden under one of the secrets. Raises Refused("cannot-open")."""
    for secret in opened:
        try:
            plaintext = _cipher(secret).decrypt(hidden[:_NONCE_BYTES], hidden[_NONCE_BYTES:], _place(question, attempt))
        except InvalidTag:
            continue
        rows = orjson.loads(plaintext)
        return tuple(ToldClaim(claim=claim, kind=kind, sealed_to=tuple(seats)) for claim, kind, seats in rows)
    raise Refused("索引密钥已不可用", detail_en="the index's secret does not open any more", code="cannot-open")


@dataclass(slots=True, kw_only=True)
class LookIndex:
    """The secrets of one seat's index, opened once per process."""

    writing: bytes | None = field(default=None, repr=False)

    async def secret(self, store: Store, key: SealingKey, seat: int) -> bytes:
        """The secret that new entries are indexed by; made on first use."""
        if self.writing is None:
            known = await self.secrets(store, key, seat)
            if not known:
                sealed = seal(key.jwk, secrets.token_bytes(_SECRET_BYTES), info=index_info(seat), pad_to=64)
                await store.rows("insert into index_secret (sealed) values (%s)", [sealed])
                known = await self.secrets(store, key, seat)
            self.writing = known[0]
        return self.writing

    async def secrets(self, store: Store, key: SealingKey, seat: int) -> list[bytes]:
        """Every secret that opens, newest first: another process may have made one, or the department before this one."""
        found = []
        for row in await store.rows("select sealed from index_secret order by id desc"):
            try:
                found.append(unseal(key, str(row["sealed"]), info=index_info(seat)))
            except Refused:  # of a department that this one succeeded, whose key it does not hold
                continue
        return found

    async def tokens(
        self, kind: str, identifier: str, *, store: Store, key: SealingKey, seat: int, now: int
    ) -> list[bytes]:
        """Everything that may stand for somebody in this log, of each day since it was begun."""
        begun = await store.rows("select extract(epoch from at)::bigint as at from log_entry order by index limit 1")
        if not begun:
            return []
        days = range(day_of(int(str(begun[0]["at"]))) - 1, day_of(now) + 2)
        secrets = await self.secrets(store, key, seat)
        return [token(secret, day, kind, identifier) for secret in secrets for day in days]


def looks_of(
    questions: Sequence[Question],
    judged: Sequence[Admitted | Reason],
    verdicts: Mapping[str, Presented | Reason],
    *,
    seat: int,
    key: SealingKey,
    secret: bytes,
    now: int,
) -> list[StoredLook]:
    """Whom the questions of a batch are about, the refused ones too, as far as a good mandate tells this seat.

    `verdicts` are the mandates by hash.
    """
    found: list[StoredLook] = []
    for position, (question, verdict) in enumerate(zip(questions, judged, strict=True)):
        if isinstance(verdict, Admitted):
            parts = [("subject", verdict.item.subject, verdict.subject)]
            for slot, subjects in verdict.others.items():
                parts += [("compared", verdict.item.with_[slot], each) for each in subjects]
        else:
            parts = _of_refused(question, verdicts.get(question.mandate), seat, key)
        for part, role, subject in parts:
            found.append(
                StoredLook(
                    token=token(secret, day_of(now), subject.type, subject.id),
                    position=position,
                    part=part,
                    role=role,
                    mandate=from_hex(question.mandate),
                    item=question.item,
                    place=question.index,
                    purpose=question.purpose,
                )
            )
    return found


def kinds_of(admitted: Admitted, values: Mapping[str, Any], readers: Mapping[str, Sequence[int]]) -> list[ToldClaim]:
    """What an answer tells in kind. `readers`: by claim, the seats that it is sealed to."""
    return [
        ToldClaim(
            claim=claim.key,
            kind="unknown" if values[claim.key] in (None, "unknown") else "answered",
            sealed_to=tuple(readers.get(claim.key, ())),
        )
        for claim in admitted.item.claims
    ]


def _of_refused(
    question: Question, presented: Presented | Reason | None, seat: int, key: SealingKey
) -> list[tuple[str, str, Subject]]:
    """The subject that a refused question names: nothing of it was read, and still somebody asked."""
    parts = question.item.split(".")
    if not isinstance(presented, Presented) or len(parts) < 2:
        return []
    try:
        subject = open_subject(presented.mandate, parts[1], question.index, seat=seat, key=key)
    except Refused:
        return []
    return [("subject", parts[1], subject)]


def _cipher(secret: bytes) -> Cipher:
    return cipher_of(mac(secret, b"lianban.kinds.v1"))


def _place(question: str, attempt: int) -> bytes:
    return f"{question}\0{attempt}".encode()
