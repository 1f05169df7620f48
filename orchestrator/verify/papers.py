"""Papers: what a file holds that somebody hands over.

A credential as its holder shows it (`.sd-jwt`, or the PDF that carries it), a case's receipt or whole dossier, or an answer
(one envelope of `GET /cases/{id}/documents`).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson

from orchestrator.domain.canonical import from_hex
from orchestrator.domain.case import Status
from orchestrator.domain.dossier import RECEIPT, check_kind
from orchestrator.domain.errors import Invalid, Refused
from orchestrator.domain.merkle import Leaf
from orchestrator.protocol.access import Told, subject_of
from orchestrator.protocol.answer import AnswerEnvelope
from orchestrator.protocol.credential import Presentation
from orchestrator.protocol.jose import jws_hash, peek_jws
from orchestrator.protocol.notice import Acknowledgement
from orchestrator.protocol.sheet import unpack_step
from orchestrator.protocol.verdict import TYP
from orchestrator.verify.certificate import attached
from orchestrator.verify.looks import Looks, SeatLooks, head_of
from orchestrator.verify.withdrawals import Withdrawal

LOOKS: Final = "lianban-looks-1"
WITHDRAWAL: Final = "lianban-withdrawal-1"
MOST_BYTES: Final = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One transition of a case, as a receipt has it."""

    step: int
    status: Status
    sequence: int
    binding: int
    root: bytes
    """32 bytes."""
    transaction: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """A case's receipt (办件回执), or its whole dossier: the transitions and some leaves with their Merkle paths."""

    case: str
    chain_id: int
    ledger: str
    steps: tuple[Step, ...]
    leaves: tuple[tuple[Leaf, tuple[bytes, ...]], ...]
    """Under the root of the last step."""

    @classmethod
    def parse(cls, content: Any) -> Receipt:
        """The receipt in a JSON value. Raises ValueError, KeyError, TypeError or Invalid when it is none."""
        if content.get("format", RECEIPT) != RECEIPT:
            raise ValueError("another format")
        steps = []
        for each in content["steps"]:
            status, sequence, binding = unpack_step(int(each["step"]))
            root, transaction = from_hex(each["root"], 32), each["transaction"]
            from_hex(transaction, 32)
            steps.append(
                Step(
                    step=int(each["step"]),
                    status=status,
                    sequence=sequence,
                    binding=binding,
                    root=root,
                    transaction=transaction,
                )
            )
        leaves = []
        for each in content["leaves"]:
            kind, salt, hashed = each["value"]
            check_kind(kind)
            leaf = Leaf(kind=kind, salt=from_hex(salt), content=from_hex(hashed))
            leaves.append((leaf, tuple(from_hex(node, 32) for node in each["proof"])))
        from_hex(content["case"], 32)
        from_hex(content["chain"]["ledger"], 20)
        if not steps or [each.sequence for each in steps] != list(range(1, len(steps) + 1)):
            raise ValueError("the steps are not numbered from 1")
        return cls(
            case=content["case"],
            chain_id=int(content["chain"]["id"]),
            ledger=content["chain"]["ledger"],
            steps=tuple(steps),
            leaves=tuple(leaves),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedVerdict:
    """A verdict as it was signed: one of `verdicts` of `GET /cases/{id}/documents`."""

    jws: str

    @property
    def hash(self) -> str:
        """By which the dossier names it."""
        return jws_hash(self.jws)


Paper = Presentation | Receipt | SignedVerdict | AnswerEnvelope | Looks | Withdrawal


def read_looks(content: Any) -> Looks:
    """The list of who looked in a JSON value. Raises ValueError, KeyError, TypeError or Invalid when it is none."""
    subject = content["subject"]
    return Looks(
        at=int(content["at"]),
        chain_id=int(content["chain"]["id"]),
        ledger=str(content["chain"]["ledger"]),
        subject=subject_of(str(subject["type"]), str(subject["id"]), str(subject["salt"])),
        seats=tuple(
            SeatLooks(
                seat=int(each["seat"]),
                anchored=head_of(int(each["seat"]), each["anchored"]),
                error=str(each["error"]),
                parts=tuple((str(part["access"]), Told.model_validate(part["told"])) for part in each["parts"]),
            )
            for each in content["seats"]
        ),
    )


def read_withdrawal(content: Any) -> Withdrawal:
    """The withdrawal with its acknowledgements in a JSON value. Raises ValueError, KeyError or TypeError when it is none."""
    return Withdrawal(
        chain_id=int(content["chain"]["id"]),
        ledger=str(content["chain"]["ledger"]),
        mandate=str(content["mandate"]),
        named=tuple(int(each) for each in content["named"]),
        acknowledgements=tuple(Acknowledgement.model_validate(each) for each in content["acknowledgements"]),
    )


def read_paper(file: Path) -> Paper:
    """What a file holds. Raises Invalid when it is none of the papers that can be checked."""
    data = file.read_bytes() if file.stat().st_size <= MOST_BYTES else b""
    try:
        if data.startswith(b"%PDF-"):
            data = attached(data)
        text = data.decode("utf-8").strip()
        if "~" in text and not text.startswith("{"):
            return Presentation.parse(text)
        if text.count(".") == 2 and not text.startswith("{") and peek_jws(text)[0]["typ"] == TYP:
            return SignedVerdict(jws=text)
        content = orjson.loads(text)
        if content.get("format") == LOOKS:
            return read_looks(content)
        if content.get("format") == WITHDRAWAL:
            return read_withdrawal(content)
        if "steps" in content and "leaves" in content:
            return Receipt.parse(content)
        return AnswerEnvelope.parse(content)
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, Invalid, Refused):
        raise Invalid(
            field=file.name,
            detail="不是可查验的文件",
            detail_en="that is nothing that can be checked",
            remedy="证照(.sd-jwt 或其 PDF)、办件回执、核验应答、审批意见、谁查过我的数据或撤回的送达回执 / a credential, a receipt, an answer, "
            "a verdict, who looked at my data, or acknowledgements of a withdrawal",
            code="not-a-paper",
        ) from None
