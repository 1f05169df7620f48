"""World: a consortium on a test chain whose seats' keys the tests hold.

What a seat signs is typed by `tests/vectors/contracts/eip712.json` and hashed by `eth_account`, never by our own code, so that
contracts and vectors can only agree by both being right.
"""

from __future__ import annotations

import ast
import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ape
from ape import chain
from ape.api import AccountAPI, ReceiptAPI
from ape.contracts import ContractContainer, ContractInstance
from ape.exceptions import CustomError
from eth_abi import decode
from eth_account import Account
from eth_account.messages import encode_typed_data
from eth_account.signers.local import LocalAccount
from eth_utils import keccak, to_checksum_address
from ethpm_types import ContractType

VECTORS = Path(__file__).parents[1] / "vectors" / "contracts"
ARTIFACTS = Path(__file__).parents[2] / "orchestrator" / "ledger" / "artifacts"
ERRORS: list[dict[str, Any]] = [
    entry
    for file in sorted(ARTIFACTS.glob("*.json"))
    for entry in json.loads(file.read_text(encoding="utf-8"))["abi"]
    if entry["type"] == "error"
]
"""The errors that the contracts declare."""
TYPES: dict[str, Any] = json.loads((VECTORS / "eip712.json").read_text(encoding="utf-8"))["types"]

NONE, ACCEPTED, RETURNED, APPROVED, REFUSED, WITHDRAWN, REVOKED, CASE_SUSPENDED = range(8)
"""`Status` of the contracts."""
ABSENT, ACTIVE, SUSPENDED, REMOVED = range(4)
"""`Standing` of the contracts."""
ADMISSION, ROTATION, RECOVERY, SUCCESSION = range(4)
"""`Origin` of the contracts."""
ZERO = "0x" + "0" * 40
FAR = 2**40
"""A validity that no test outlives."""
KEYSET = b'{"seat":0}'
VETO_BLOCKS = 20
"""For how many blocks the council's changes of keys wait in these tests."""


def vectors(name: str) -> Any:
    """A file of `tests/vectors/contracts`."""
    return json.loads((VECTORS / name).read_text(encoding="utf-8"))


def container(name: str, compiled: dict[str, Any]) -> ContractContainer:
    """A compiled contract as ape deploys it."""
    one = compiled[name]
    kind = ContractType(
        abi=one["abi"],
        deploymentBytecode={"bytecode": one["bytecode"]},
        runtimeBytecode={"bytecode": one["deployedBytecode"]},
        contractName=name,
    )
    return ContractContainer(kind)


@contextmanager
def reverts(error: str, **values: Any) -> Iterator[None]:
    """The call inside reverts with this custom error and these values. `ape.reverts` given an error would let every revert
    pass that is no custom error: a panic, or one without data."""
    with ape.reverts() as caught:
        yield
    name, inputs = custom_error(caught.value)
    assert (name, {key: inputs.get(key) for key in values}) == (error, values)


def custom_error(found: BaseException | None) -> tuple[str, dict[str, Any]]:
    """Name and values of the error of ours that a call reverted with; the exception as text when it was none."""
    if isinstance(found, CustomError):
        return found.name, found.inputs
    # Where ape does not know which contract was called, it hands the data on as the text of a bytes literal.
    text = str(found)
    data = ast.literal_eval(text) if text.startswith(("b'", 'b"')) else b""
    for each in ERRORS:
        types = [one["type"] for one in each["inputs"]]
        if data[:4] == keccak(text=f"{each['name']}({','.join(types)})")[:4]:
            names = (one["name"] for one in each["inputs"])
            values = (
                to_checksum_address(v) if t == "address" else v
                for t, v in zip(types, decode(types, data[4:]), strict=True)
            )
            return each["name"], dict(zip(names, values, strict=True))
    return repr(found), {}


def random_bytes32(label: object) -> bytes:
    """32 bytes that look random and are the same each time."""
    return hashlib.sha256(str(label).encode()).digest()


def seat_key(seat: int, generation: int = 0) -> LocalAccount:
    """The chain key of a seat, reproducible; `generation` counts rotations."""
    return Account.from_key(random_bytes32(("seat", seat, generation)))


def step(status: int, sequence: int, binding: int) -> int:
    """The packed step."""
    return status << 56 | sequence << 40 | binding


@dataclass(frozen=True, slots=True)
class Move:
    """A transition as the contracts take it."""

    case: bytes
    root: bytes
    step: int

    @property
    def message(self) -> dict[str, Any]:
        return {"caseId": self.case, "dossierRoot": self.root, "step": self.step}

    @property
    def tuple(self) -> tuple[bytes, bytes, int]:
        return self.case, self.root, self.step


def move(label: object, status: int, sequence: int = 1, binding: int = 1, root: bytes | None = None) -> Move:
    """A transition of the case that `label` names."""
    chosen = random_bytes32(("root", label, status, sequence)) if root is None else root
    return Move(random_bytes32(("case", label)), chosen, step(status, sequence, binding))


@dataclass(slots=True)
class World:
    """The three contracts with everybody's keys."""

    council: AccountAPI
    stranger: AccountAPI
    consortium: ContractInstance
    catalog: ContractInstance
    ledger: ContractInstance
    chain_id: int
    keys: dict[int, LocalAccount] = field(default_factory=dict)
    version: bytes = random_bytes32("version")

    def digest(self, contract: ContractInstance, struct: str, message: dict[str, Any], **domain: Any) -> bytes:
        """The EIP-712 digest of a statement for a contract; `domain` overrides a part of the domain."""
        whole = {"name": "Lianban", "version": "1", "chainId": self.chain_id, "verifyingContract": contract.address}
        types = {struct: TYPES[struct]} | ({"Transition": TYPES["Transition"]} if struct == "Sheet" else {})
        signable = encode_typed_data(whole | domain, types, message)
        return keccak(b"\x19" + signable.version + signable.header + signable.body)

    def sign(
        self, key: LocalAccount, contract: ContractInstance, struct: str, message: dict[str, Any], **domain: Any
    ) -> bytes:
        """The 65-byte signature of a statement."""
        return bytes(Account.unsafe_sign_hash(self.digest(contract, struct, message, **domain), key.key).signature)

    def refused_by_consortium(self, error: str, **values: Any) -> Any:
        """The next call reverts with this error of the Consortium."""
        return reverts(error, **values)

    @property
    def height(self) -> int:
        """Number of the newest block."""
        return int(chain.blocks.height)

    def mine_to(self, block: int) -> None:
        """Makes blocks until there is this one, each with a transaction: ape's own `mine` leaves a half-made block behind."""
        while self.height < block:
            self.stranger.transfer(self.stranger, 0)

    # Consortium

    def admission(self, seat: int, key: LocalAccount, keyset: bytes = KEYSET) -> bytes:
        """A seat's agreement to be admitted."""
        message = {"seat": seat, "signer": key.address, "keysetHash": keccak(keyset)}
        return self.sign(key, self.consortium, "Admission", message)

    def admit(self, *seats: int) -> None:
        """Admits seats, each with its own key."""
        for seat in seats:
            key = seat_key(seat)
            self.consortium.admit(seat, key.address, KEYSET, self.admission(seat, key), sender=self.council)
            self.keys[seat] = key

    def bring(self, seat: int, standing: int) -> None:
        """Suspends (2) or removes (3) a seat."""
        if standing > 1:
            {2: self.consortium.suspend, 3: self.consortium.remove}[standing](seat, sender=self.council)

    def rotation(
        self,
        key: LocalAccount,
        seat: int,
        signer: str,
        from_block: int,
        change: int,
        keyset: bytes = KEYSET,
        **domain: Any,
    ) -> bytes:
        """A key's agreement to a rotation."""
        message = {
            "seat": seat,
            "signer": signer,
            "keysetHash": keccak(keyset),
            "fromBlock": from_block,
            "change": change,
        }
        return self.sign(key, self.consortium, "Rotation", message, **domain)

    def agreement(
        self, struct: str, key: LocalAccount, seat: int, change: int, keyset: bytes = KEYSET, **domain: Any
    ) -> bytes:
        """A new key's agreement to the council's `Recovery` or `Succession`."""
        message = {"seat": seat, "signer": key.address, "keysetHash": keccak(keyset), "change": change}
        return self.sign(key, self.consortium, struct, message, **domain)

    def vetoed(self, key: LocalAccount, seat: int, change: int, **domain: Any) -> bytes:
        """A key's veto."""
        return self.sign(key, self.consortium, "Veto", {"seat": seat, "change": change}, **domain)

    def announce_rotation(self, seat: int, key: LocalAccount, keyset: bytes = KEYSET, blocks: int = 1) -> ReceiptAPI:
        """Announces a seat's own new key for so many blocks after the transaction's."""
        from_block, change = self.height + 1 + blocks, self.consortium.changeCount(seat) + 1
        old = self.rotation(self.keys[seat], seat, key.address, from_block, change, keyset)
        new = self.rotation(key, seat, key.address, from_block, change, keyset)
        return self.consortium.rotate(seat, key.address, keyset, from_block, old, new, sender=self.stranger)

    def rotate(self, seat: int, key: LocalAccount, keyset: bytes = KEYSET) -> ReceiptAPI:
        """Gives a seat a new key, properly, and lets the block come in which it is in force."""
        receipt = self.announce_rotation(seat, key, keyset)
        self.mine_to(self.height + 1)
        self.keys[seat] = key
        return receipt

    def replace(self, how: str, seat: int, key: LocalAccount, keyset: bytes = KEYSET) -> ReceiptAPI:
        """Lets the council announce a new key: `how` is `recover` or `succeed`."""
        struct = {"recover": "Recovery", "succeed": "Succession"}[how]
        signature = self.agreement(struct, key, seat, self.consortium.changeCount(seat) + 1, keyset)
        return getattr(self.consortium, how)(seat, key.address, keyset, signature, sender=self.council)

    def veto(self, seat: int) -> ReceiptAPI:
        """Refuses the last announced change in the seat's name."""
        change = self.consortium.changeCount(seat)
        return self.consortium.veto(seat, change, self.vetoed(self.keys[seat], seat, change), sender=self.stranger)

    # Catalog

    def publication(self, publisher: int, **changes: Any) -> dict[str, Any]:
        """What a publisher states; the version's default is the one that `bind` uses."""
        texts = random_bytes32("texts")
        return {"scenario": "gallery", "version": self.version, "texts": texts, "publisher": publisher} | changes

    def publish(self, publisher: int, **changes: Any) -> ReceiptAPI:
        """Publishes a version, signed by the publisher."""
        message = self.publication(publisher, **changes)
        signature = self.sign(self.keys[publisher], self.catalog, "Publication", message)
        return self.catalog.publish(*message.values(), signature, sender=self.stranger)

    def binding(self, **changes: Any) -> dict[str, Any]:
        """A binding: identity 2, operator 0, approvers 3 (leads) and 4, providers 5 and 6."""
        default = {
            "version": self.version,
            "region": 110108,
            "identity": 2,
            "operator": 0,
            "approvers": [3, 4],
            "providers": [5, 6],
            "validUntil": FAR,
        }
        return default | changes

    def named(self, binding: dict[str, Any]) -> list[int]:
        """The seats that sign a binding, in order."""
        return sorted({binding["identity"], binding["operator"], *binding["approvers"], *binding["providers"]})

    def bind(self, **changes: Any) -> int:
        """Makes a binding, signed by all, and returns its number."""
        message = self.binding(**changes)
        signatures = [self.sign(self.keys[seat], self.catalog, "Binding", message) for seat in self.named(message)]
        self.catalog.bind(tuple(message.values()), signatures, sender=self.stranger)
        return int(self.catalog.bindingCount())

    def retire(self, number: int, seat: int) -> ReceiptAPI:
        """Retires a binding in a seat's name."""
        signature = self.sign(self.keys[seat], self.catalog, "Retirement", {"binding": number, "seat": seat})
        return self.catalog.retire(number, seat, signature, sender=self.stranger)

    # CaseLedger

    def sheet(
        self,
        seat: int,
        batch: Sequence[Move],
        places: Iterable[int] | None = None,
        *,
        valid_until: int = FAR,
        key: LocalAccount | None = None,
        **domain: Any,
    ) -> tuple[int, int, int, bytes]:
        """A seat's sheet over the places of a batch, all by default."""
        covered = sorted(range(len(batch)) if places is None else places)
        message = {"seat": seat, "validUntil": valid_until, "transitions": [batch[i].message for i in covered]}
        signature = self.sign(key or self.keys[seat], self.ledger, "Sheet", message, **domain)
        return seat, valid_until, sum(1 << i for i in covered), signature

    def head(
        self,
        seat: int,
        old: tuple[int, bytes],
        new: tuple[int, bytes],
        proof: Sequence[bytes],
        *,
        key: LocalAccount | None = None,
        **domain: Any,
    ) -> tuple[int, int, bytes, int, bytes, list[bytes], bytes]:
        """A seat's log head with its proof."""
        message = {"seat": seat, "size": new[0], "root": new[1]}
        signature = self.sign(key or self.keys[seat], self.ledger, "Head", message, **domain)
        return seat, *old, *new, list(proof), signature

    def settle(self, batch: Sequence[Move] = (), sheets: Sequence[Any] = (), heads: Sequence[Any] = ()) -> Outcome:
        """Sends a batch and reads what became of it."""
        receipt = self.ledger.settle([one.tuple for one in batch], sheets, heads, sender=self.stranger)
        return Outcome.of(receipt)

    def approve(self, label: object, binding: int = 1, seats: Sequence[int] = (3, 4)) -> Move:
        """Brings a new case to Approved and returns the transition."""
        one = move(label, APPROVED, binding=binding)
        outcome = self.settle([one], [self.sheet(seat, [one]) for seat in seats])
        assert outcome.settled == [one.tuple]
        return one


@dataclass(frozen=True, slots=True)
class Outcome:
    """The events of one settlement, without the receipt's wrapping."""

    settled: list[tuple[bytes, bytes, int]]
    """(case, root, step)."""
    refused: list[tuple[bytes, int, str]]
    """(case, step, reason)."""
    sheets: list[tuple[int, int, str]]
    """(index, seat, reason)."""
    anchored: list[tuple[int, int, bytes]]
    """(seat, size, root)."""
    heads: list[tuple[int, int, str]]
    """(seat, size, reason)."""
    conflicts: list[tuple[int, int, bytes]]
    """(seat, size, root)."""
    gas: int

    @classmethod
    def of(cls, receipt: ReceiptAPI) -> Outcome:
        found: dict[str, list[Any]] = {}
        for event in receipt.events:
            found.setdefault(event.event_name, []).append(event)

        def get(name: str) -> list[Any]:
            return found.pop(name, [])

        outcome = cls(
            settled=[(bytes(e.caseId), bytes(e.dossierRoot), e.step) for e in get("CaseSettled")],
            refused=[(bytes(e.caseId), e.step, CASE_REFUSALS[e.reason]) for e in get("CaseRefused")],
            sheets=[(e.index, e.seat, SHEET_REFUSALS[e.reason]) for e in get("SheetRefused")],
            anchored=[(e.seat, e.size, bytes(e.root)) for e in get("HeadAnchored")],
            heads=[(e.seat, e.size, HEAD_REFUSALS[e.reason]) for e in get("HeadRefused")],
            conflicts=[(e.seat, e.size, bytes(e.root)) for e in get("HeadConflicted")],
            gas=receipt.gas_used,
        )
        assert not found, f"events that nobody reads: {list(found)}"
        return outcome

    @property
    def reasons(self) -> list[str]:
        """Why transitions were refused, in batch order."""
        return [reason for _, _, reason in self.refused]


CASE_REFUSALS = (
    "None",
    "ZeroRoot",
    "UnknownStatus",
    "UnknownBinding",
    "OtherBinding",
    "RetiredBinding",
    "WrongSequence",
    "ForbiddenMove",
    "NotSigned",
)
SHEET_REFUSALS = ("None", "Expired", "BeyondBatch", "SeatNotActive", "WrongSignature")
HEAD_REFUSALS = (
    "None",
    "SizeTooLarge",
    "SeatNotActive",
    "WrongSignature",
    "Stale",
    "NotFromAnchored",
    "Inconsistent",
)
