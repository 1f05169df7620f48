"""What a verdict rests on, kept by the approver that signed it, so that it can decide once more: `gateway/replay.py`.

The case's file and the answers are kept as they came: what is sealed in them stays sealed. Of the rules' inputs nothing is
kept but a salted hash each, and the verdict signs the hash of these: who reads verdicts or this store cannot try out what a
sealed predicate was. The salts come from a secret of each request, sealed to the seat's own key.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from orchestrator.database import Row
from orchestrator.domain.canonical import to_hex
from orchestrator.domain.errors import Refused
from orchestrator.domain.suite import hash_of, hasher
from orchestrator.gateway.casefile import CaseFile, OpenCase
from orchestrator.gateway.seat import Seat
from orchestrator.protocol.answer import AnswerEnvelope
from orchestrator.protocol.material import SealedForm, SealedMaterial
from orchestrator.protocol.sealing import basis_info, seal, unseal

_SECRET_BYTES: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Basis:
    """What one verdict of this seat rests on."""

    file: CaseFile
    """As the operator handed it over, with what is sealed to this seat alone."""
    answers: tuple[tuple[str, int, AnswerEnvelope], ...]
    """Item, subject index and the answer as the provider handed it out; refused and faulty ones among them."""
    secret: str
    """From which the salts are made, sealed to this seat."""
    inputs: Mapping[str, str]
    """Salted hash of every input of the rules, by name."""


@dataclass(slots=True, kw_only=True)
class Salts:
    """The secrets of one request: a new one, and those of verdicts that were given before."""

    seat: Seat
    opened: dict[str, bytes] = field(default_factory=dict)
    fresh: str = ""

    def new(self) -> str:
        """The sealed secret for what is signed in this request."""
        if not self.fresh:
            secret = secrets.token_bytes(_SECRET_BYTES)
            self.fresh = seal(self.seat.keys.sealing.jwk, secret, info=basis_info(self.seat.number), pad_to=64)
            self.opened[self.fresh] = secret
        return self.fresh

    def commit(self, sealed: str, case: str, sequence: int, inputs: Mapping[str, str]) -> dict[str, str]:
        """The salted hash of every input. Raises Refused("cannot-open") for a secret that was not sealed to this seat."""
        if sealed not in self.opened:
            self.opened[sealed] = unseal(self.seat.keys.sealing, sealed, info=basis_info(self.seat.number))
        start = hasher(b"lianban.inputs.v1\0" + self.opened[sealed] + f"{case}\0{sequence}\0".encode())
        found = {}
        for name, text in inputs.items():
            each = start.copy()
            each.update(f"{name}\0{text}".encode())
            found[name] = "0x" + each.hexdigest()
        return found


def inputs_hash(commitments: Mapping[str, str]) -> str:
    """What a verdict signs of the rules' inputs: SHA-256 of the canonical JSON of their salted hashes by name."""
    # Hashes under ASCII names: here orjson's sorted form is RFC 8785's, at a tenth of its cost.
    return to_hex(hash_of(orjson.dumps(dict(commitments), option=orjson.OPT_SORT_KEYS)))


def trimmed(file: CaseFile, seat: int) -> CaseFile:
    """The file with what is sealed to one seat alone."""

    def own(sealed: Mapping[str, str]) -> dict[str, str]:
        return {holder: blob for holder, blob in sealed.items() if holder == str(seat)}

    form = None if file.form is None else SealedForm(hash=file.form.hash, sealed=own(file.form.sealed))
    materials = [SealedMaterial(id=each.id, hash=each.hash, sealed=own(each.sealed)) for each in file.materials]
    contests = tuple(each.model_copy(update={"sealed": own(each.sealed)}) for each in file.contests)
    return file.model_copy(update={"form": form, "materials": materials, "contests": contests})


def basis_row(case: OpenCase, secret: str, inputs: Mapping[str, str], seat: int) -> dict[str, Any]:
    """What a row of the table `basis` holds besides case and number: secret, salted, file, envelopes."""
    listed = {(each.id, each.hash) for each in case.listed}
    # With the contests that providers handed out: deciding once more has to know them, too.
    known = case.file.model_copy(update={"contests": tuple(each.carried for each in case.contests)})
    file = trimmed(known, seat)
    file = file.model_copy(update={"materials": [each for each in file.materials if (each.id, each.hash) in listed]})
    return {
        "secret": secret,
        "salted": dict(inputs),
        "file": file.model_dump(mode="json"),
        "envelopes": [
            {"item": item, "index": index, "envelope": envelope.payload()}
            for (item, index), envelope in sorted(case.envelopes.items())
        ],
    }


async def basis_of(case: str, sequence: int, seat: Seat) -> Basis:
    """What a verdict rests on. Raises Refused("not-found")."""
    rows = await seat.store.rows("select * from basis where case_id = %s and sequence = %s", [case, sequence])
    if not rows:
        raise Refused("没有该审批意见的依据", detail_en="what this verdict rests on is not here", code="not-found")
    return _read(rows[0])


def _read(row: Row) -> Basis:
    return Basis(
        file=CaseFile.model_validate(row["file"]),
        answers=tuple(
            (str(each["item"]), int(each["index"]), AnswerEnvelope.parse(each["envelope"])) for each in row["envelopes"]
        ),
        secret=str(row["secret"]),
        inputs=dict(row["salted"]),
    )
