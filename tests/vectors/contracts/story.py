"""The calls in which freshly deployed contracts take statements of all kinds. Part of generate.py; uses none of our code.

A statement counts on one chain and contract alone, so the contracts' addresses have to be known beforehand: an account of its
own deploys them by its first three transactions.
"""

from __future__ import annotations

from typing import Any

from eth_account.signers.local import LocalAccount
from eth_utils.crypto import keccak
from statements import FIRST_STEP, FULL_STEP, Book, Message, account, created, hex32, number
from trees import proof_between, root_of

DEPLOYER = account("deployer")
CONTRACTS = {
    name: created(DEPLOYER.address, nonce) for nonce, name in enumerate(("Consortium", "Catalog", "CaseLedger"))
}
VETO_BLOCKS = 2**32 - 1
"""So long that no test comes to the end of it, however long its chain is."""
KEYSETS = {5: b"\0", 255: '{"name":"区文化和旅游局","seat":255}'.encode()}
FIRST, SECOND = hex32("version 1"), hex32("version 2")


class Story:
    """What is said and called on one chain, in order."""

    def __init__(self, book: Book, chain: int) -> None:
        self.book = book
        self.chain = chain
        self.calls: list[dict[str, Any]] = []

    def state(self, contract: str, struct: str, message: Message, by: LocalAccount) -> int:
        return self.book.state(struct, message, (self.chain, CONTRACTS[contract]), by)

    def call(self, name: str, *statements: int, **given: Any) -> None:
        self.calls.append({"call": name, "statements": [*statements], **given})

    def admit(self, seat: int) -> None:
        keyset = KEYSETS.get(seat, b'{"seat":%d}' % seat)
        message = {"seat": seat, "signer": key(seat).address, "keysetHash": "0x" + keccak(keyset).hex()}
        self.call("admit", self.state("Consortium", "Admission", message, key(seat)), keyset="0x" + keyset.hex())

    def change(self, name: str, seat: int, number: int, **more: Any) -> None:
        """A change of keys: signed by the new key, a rotation by the old one too, before it."""
        new, keyset = key(seat, number), b'{"change":%d}' % number
        message = {"seat": seat, "signer": new.address, "keysetHash": "0x" + keccak(keyset).hex(), "change": number}
        struct, other = {
            "rotate": ("Rotation", "Recovery"),
            "recover": ("Recovery", "Succession"),
            "succeed": ("Succession", "Recovery"),
        }[name]
        signers = [key(seat), new] if name == "rotate" else [new]
        statements = [self.state("Consortium", struct, message | more, by) for by in signers]
        # The same words under the other name are not what the contract asks for.
        wrong = [self.state("Consortium", other, message, by) for by in signers]
        self.call(name, *statements, keyset="0x" + keyset.hex(), wrong=wrong)

    def bind(self, **message: Any) -> None:
        named = {message["identity"], message["operator"], *message["approvers"], *message["providers"]}
        self.call("bind", *[self.state("Catalog", "Binding", message, key(seat)) for seat in sorted(named)])

    def sheet(self, seat: int, transitions: list[Message], valid_until: int = 2**64 - 1) -> int:
        message = {"seat": seat, "validUntil": valid_until, "transitions": transitions}
        return self.state("CaseLedger", "Sheet", message, key(seat))

    def head(self, seat: int, old: int, new: int) -> None:
        """Heads of the log of consistency.json."""
        said = self.state("CaseLedger", "Head", {"seat": seat, "size": new, "root": root_of(new)}, key(seat))
        proof, old_root = (proof_between(old, new), root_of(old)) if old else ([], "0x" + "00" * 32)
        self.call("anchor", said, oldSize=number(old), oldRoot=old_root, proof=proof)


def key(seat: int, change: int = 0) -> LocalAccount:
    return account(("seat", seat, change))


def transition(label: object, status: int, binding: int) -> Message:
    step = status << 56 | 1 << 40 | binding
    return {"caseId": hex32(("case", label)), "dossierRoot": hex32(("root", label)), "step": step}


def told(book: Book, chain: int) -> list[dict[str, Any]]:
    """The calls of one chain."""
    story = Story(book, chain)
    for seat in (0, 1, 2, 3, 4, 5, 255):
        story.admit(seat)
    story.change("rotate", 1, 1, fromBlock=2**32 - 1)
    for name, change in (("recover", 1), ("succeed", 2), ("recover", 3)):
        story.change(name, 2, change)
        if change < 3:
            story.call("veto", story.state("Consortium", "Veto", {"seat": 2, "change": change}, key(2)))

    for scenario, version, publisher in (("gallery-opening", FIRST, 0), ("开办美术馆 🖼️", SECOND, 255)):
        message = {"scenario": scenario, "version": version, "texts": hex32("texts"), "publisher": publisher}
        story.call("publish", story.state("Catalog", "Publication", message, key(publisher)))
    for revision, texts in enumerate(("0x" + "00" * 32, "0x" + "ff" * 32), 1):
        message = {"version": SECOND, "texts": texts, "revision": revision, "publisher": 255}
        story.call("amendTexts", story.state("Catalog", "Texts", message, key(255)))
    one = {"version": FIRST, "region": 0, "identity": 3, "operator": 0, "validUntil": 2**64 - 1}
    story.bind(**one | {"approvers": [4], "providers": []})
    two = {"version": SECOND, "region": 2**32 - 1, "identity": 255, "operator": 0, "validUntil": 2**40}
    story.bind(**two | {"approvers": [4, 255, 5], "providers": [1, 1, 3, 0]})

    single, batch = transition("single", 1, 1), [transition(("batch", i), 3, 1) for i in range(256)]
    # The first sheet of a settlement covers the whole batch.
    story.call("settle", story.sheet(4, [single], valid_until=2**40))
    story.call("settle", story.sheet(4, batch))
    # Approved by all three, accepted by the lead, approved by all, returned by one, withdrawn by the lead.
    some = [transition(("some", i), status, 2) for i, status in enumerate((3, 1, 3, 2, 5))]
    sheets = [story.sheet(4, some), story.sheet(255, [some[0], some[2], some[3]]), story.sheet(5, [some[0], some[2]])]
    story.call("settle", *sheets)
    full = {"caseId": "0x" + "ff" * 32, "dossierRoot": "0x" + "ff" * 32, "step": FULL_STEP}
    least = {"caseId": "0x" + "00" * 32, "dossierRoot": "0x" + f"{1:064x}", "step": FIRST_STEP}
    for valid_until, transitions in ((0, [least]), (2**64 - 1, [full, full]), (1, [least, full, some[0]])):
        story.call("verifySheet", story.sheet(255, transitions, valid_until))

    for seat, old, new in ((4, 0, 1), (4, 1, 33), (4, 33, 70), (255, 0, 32), (255, 32, 64), (0, 0, 2)):
        story.head(seat, old, new)
    story.call("retire", story.state("Catalog", "Retirement", {"binding": 2, "seat": 3}, key(3)))
    story.call("retire", story.state("Catalog", "Retirement", {"binding": 1, "seat": 0}, key(0)))
    return story.calls


def document(book: Book) -> dict[str, Any]:
    return {
        "deployer": {"address": DEPLOYER.address, "key": "0x" + DEPLOYER.key.hex()},
        "contracts": CONTRACTS,
        "vetoBlocks": VETO_BLOCKS,
        "chains": {str(chain): told(book, chain) for chain in (1337, 31337)},
    }
