"""Typed data (EIP-712) as `eth_account` hashes and signs it: edge values on several chains, and the calls in which the contracts
take such statements. Part of generate.py; uses none of our code."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterable
from typing import Any

from eth_abi.abi import encode
from eth_account import Account
from eth_account.messages import encode_typed_data
from eth_account.signers.local import LocalAccount
from eth_utils.crypto import keccak

Fields = list[tuple[str, str]]
Message = dict[str, Any]

CHANGE: Fields = [("uint8", "seat"), ("address", "signer"), ("bytes32", "keysetHash"), ("uint32", "change")]
TRANSITION: Fields = [("bytes32", "caseId"), ("bytes32", "dossierRoot"), ("uint64", "step")]
STRUCTS: dict[str, Fields] = {
    "Admission": [("uint8", "seat"), ("address", "signer"), ("bytes32", "keysetHash")],
    "Rotation": [*CHANGE[:3], ("uint64", "fromBlock"), CHANGE[3]],
    "Recovery": CHANGE,
    "Succession": CHANGE,
    "Veto": [("uint8", "seat"), ("uint32", "change")],
    "Publication": [("string", "scenario"), ("bytes32", "version"), ("bytes32", "texts"), ("uint8", "publisher")],
    "Texts": [("bytes32", "version"), ("bytes32", "texts"), ("uint32", "revision"), ("uint8", "publisher")],
    "Binding": [
        ("bytes32", "version"),
        ("uint32", "region"),
        ("uint8", "identity"),
        ("uint8", "operator"),
        ("uint8[]", "approvers"),
        ("uint8[]", "providers"),
        ("uint64", "validUntil"),
    ],
    "Retirement": [("uint40", "binding"), ("uint8", "seat")],
    "Sheet": [("uint8", "seat"), ("uint64", "validUntil"), ("Transition[]", "transitions")],
    "Head": [("uint8", "seat"), ("uint64", "size"), ("bytes32", "root")],
}
DOMAIN = "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
FULL_STEP = 6 << 56 | (2**56 - 1)
FIRST_STEP = 1 << 56 | 1 << 40 | 1
CHAINS = (1, 1337, 31337, 2**53 + 1, 2**63 - 37)
"""The last is the largest of EIP-2294; the second and third are those of ape's and of Anvil's test chains."""
SCENARIOS = ("gallery-opening", "失业保险金申领", "开办美术馆 🖼️ é é", "\0", "a" * 300, "0x" + "ab" * 32)


def hex32(label: object) -> str:
    return "0x" + hashlib.sha256(f"lianban vectors/{label}".encode()).hexdigest()


def account(label: object) -> LocalAccount:
    return Account.from_key(hex32(("key", label)))


def number(value: int) -> int | str:
    """A number as the vectors spell it: beyond what a double holds exactly, as decimal text (RFC 7493)."""
    return value if value < 2**53 else str(value)


def spelled(value: Any) -> Any:
    """A message with its numbers as the vectors spell them."""
    if isinstance(value, int):
        return number(value)
    if isinstance(value, list):
        return [spelled(each) for each in value]
    return {key: spelled(each) for key, each in value.items()} if isinstance(value, dict) else value


class Book:
    """The statements made so far; one is named by its place."""

    def __init__(self) -> None:
        self.cases: list[dict[str, Any]] = []
        self.keys: dict[str, str] = {}
        self.separators: dict[tuple[int, str], str] = {}

    def state(self, struct: str, message: Message, domain: tuple[int, str], by: LocalAccount) -> int:
        chain, contract = domain
        whole = {"name": "Lianban", "version": "1", "chainId": chain, "verifyingContract": contract}
        types = {struct: STRUCTS[struct]} | ({"Transition": TRANSITION} if struct == "Sheet" else {})
        signable = encode_typed_data(whole, {name: named(fields) for name, fields in types.items()}, message)
        digest = keccak(b"\x19" + signable.version + signable.header + signable.body)
        self.keys[by.address] = "0x" + by.key.hex()
        self.separators[domain] = "0x" + signable.header.hex()
        self.cases.append(
            {
                "struct": struct,
                "domain": spelled(whole),
                "message": spelled(message),
                "digest": "0x" + digest.hex(),
                "signature": "0x" + bytes(Account.unsafe_sign_hash(digest, by.key).signature).hex(),
                "signer": by.address,
            }
        )
        return len(self.cases) - 1

    def document(self) -> dict[str, Any]:
        types = {name: named(fields) for name, fields in (STRUCTS | {"Transition": TRANSITION}).items()}
        return {
            "types": types,
            "typeHashes": [{"type": text, "hash": "0x" + keccak(text.encode()).hex()} for text in encoded_types()],
            "domains": [
                {"chainId": number(chain), "verifyingContract": contract, "separator": separator}
                for (chain, contract), separator in self.separators.items()
            ],
            "keys": self.keys,
            "cases": self.cases,
        }


def named(fields: Fields) -> list[dict[str, str]]:
    return [{"name": name, "type": kind} for kind, name in fields]


def encoded_types() -> Iterable[str]:
    """`encodeType` of EIP-712 for the domain, each struct and the part of one."""

    def one(name: str, fields: Fields) -> str:
        return f"{name}({','.join(f'{kind} {field}' for kind, field in fields)})"

    transition = one("Transition", TRANSITION)
    yield DOMAIN
    yield transition
    for name, fields in STRUCTS.items():
        yield one(name, fields) + (transition if name == "Sheet" else "")


def edges(book: Book) -> None:
    """Every struct with the least, the largest and other values, on every chain."""
    rng = random.Random(712)

    def drawn(kind: str) -> Any:
        if kind.endswith("[]"):
            return [drawn(kind[:-2]) for _ in range(rng.randint(1, 4))]
        if kind == "Transition":
            step = rng.randint(1, 6) << 56 | rng.randint(1, 2**16 - 1) << 40 | rng.randint(1, 2**40 - 1)
            return {"caseId": drawn("bytes32"), "dossierRoot": drawn("bytes32"), "step": step}
        if kind == "bytes32":
            return "0x" + rng.randbytes(32).hex()
        if kind == "address":
            return account(rng.random()).address
        return rng.choice(SCENARIOS) if kind == "string" else rng.getrandbits(int(kind.removeprefix("uint")))

    def least(kind: str) -> Any:
        if kind == "Transition[]":  # nobody signs a sheet over nothing, nor a transition to nothing
            return [{"caseId": least("bytes32"), "dossierRoot": "0x" + f"{1:064x}", "step": FIRST_STEP}]
        fixed = {"bytes32": "0x" + "00" * 32, "address": "0x" + "00" * 20, "string": "", "uint8[]": []}
        return fixed.get(kind, 0)

    def largest(kind: str) -> Any:
        if kind == "Transition[]":
            full = {"caseId": largest("bytes32"), "dossierRoot": largest("bytes32"), "step": FULL_STEP}
            return [full, full]
        fixed = {"bytes32": "0x" + "ff" * 32, "address": "0x" + "ff" * 20, "string": "\U0010ffff" * 40}
        fixed["uint8[]"] = [255] * 256
        return fixed[kind] if kind in fixed else 2 ** int(kind.removeprefix("uint")) - 1

    def others(struct: str) -> list[Message]:
        base = {field: drawn(kind) for kind, field in STRUCTS[struct]}
        if struct == "Publication":
            return [base | {"scenario": scenario} for scenario in SCENARIOS]
        if struct == "Binding":
            lists = [([], [0]), ([0], []), ([255, 0, 255], [1, 1]), ([*range(256)], [*range(255, -1, -1)])]
            return [base | {"approvers": some, "providers": more} for some, more in lists]
        return []

    for struct, fields in STRUCTS.items():
        messages = [{field: make(kind) for kind, field in fields} for make in (least, largest)]
        messages += [{field: drawn(kind) for kind, field in fields} for _ in CHAINS]
        messages += others(struct)
        for place, message in enumerate(messages):
            chain = CHAINS[place % len(CHAINS)]
            contract = ("0x" + "00" * 19 + "01", account((struct, place)).address)[place % 3 != 0]
            book.state(struct, message, (chain, contract), account("statements"))
    same = {field: drawn(kind) for kind, field in CHANGE}
    for struct in ("Recovery", "Succession"):  # the same words under another name are another statement
        book.state(struct, same, (1, account("same").address), account("statements"))


def signatures() -> list[dict[str, Any]]:
    """What is no signature of the signer over the digest, though most of it are the right numbers."""
    key, digest = account("statements"), bytes.fromhex(hex32("digest")[2:])
    good = bytes(Account.unsafe_sign_hash(digest, key.key).signature)
    r, s, v = good[:32], int.from_bytes(good[32:64], "big"), good[64]
    high = (ORDER - s).to_bytes(32, "big")
    other = bytes(Account.unsafe_sign_hash(keccak(digest), key.key).signature)
    stranger = bytes(Account.unsafe_sign_hash(digest, account("stranger").key).signature)
    wrong = {
        "the twin with a high s": r + high + bytes([55 - v]),
        "a high s alone": r + high + bytes([v]),
        "the other v": good[:64] + bytes([55 - v]),
        "v from 0": good[:64] + bytes([v - 27]),
        "v of EIP-155": good[:64] + bytes([v + 10]),
        "64 bytes": good[:64],
        "compact, as in EIP-2098": r + (s | (v - 27) << 255).to_bytes(32, "big"),
        "66 bytes": good + b"\0",
        "nothing": b"",
        "zeros": bytes(65),
        "r is zero": bytes(32) + good[32:],
        "s is zero": r + bytes(32) + bytes([v]),
        "r is the order": ORDER.to_bytes(32, "big") + good[32:],
        "r is beyond the field": b"\xff" * 32 + good[32:],
        "of another digest": other,
        "of another key": stranger,
    }
    return [
        {"why": why, "digest": "0x" + digest.hex(), "signer": key.address, "signature": "0x" + signature.hex()}
        for why, signature in wrong.items()
    ]


def created(deployer: str, nonce: int) -> str:
    """The address of the contract that an account makes with its n-th transaction: keccak of the RLP of both."""
    raw = keccak(b"\xd6\x94" + bytes.fromhex(deployer[2:]) + (bytes([nonce]) if nonce else b"\x80"))[12:]
    text, digits = raw.hex(), keccak(raw.hex().encode()).hex()
    return "0x" + "".join(sign.upper() if digit > "7" else sign for sign, digit in zip(text, digits, strict=False))


def commitments() -> dict[str, Any]:
    """Packed steps, and the commitments that roll over a case's transitions."""
    rng = random.Random(192)
    packed = [(status, 1, 1) for status in range(1, 7)]
    packed += [(6, 65535, 2**40 - 1), (1, 65535, 1), (1, 1, 2**40 - 1), (2, 2, 12345), (5, 300, 2**39), (3, 256, 256)]
    unknown = [(7, 1, 1), (8, 65535, 2**40 - 1), (128, 2, 3), (255, 65535, 2**40 - 1)]

    def rows(parts: list[tuple[int, int, int]]) -> list[dict[str, Any]]:
        found = []
        for status, sequence, binding in parts:
            word = bytes([status]) + sequence.to_bytes(2, "big") + binding.to_bytes(5, "big")
            step = int.from_bytes(word, "big")
            found.append({"status": status, "sequence": sequence, "binding": binding, "step": number(step)})
        return found

    drawn = [[(rng.getrandbits(64), rng.randbytes(32)) for _ in range(length)] for length in (1, 2, 5, 40)]
    chains = []
    for moves in [*drawn, [(0, bytes(32))] * 3, [(2**64 - 1, b"\xff" * 32)] * 3, [(FIRST_STEP, bytes(31) + b"\1")]]:
        commitment, after = 0, []
        for step, root in moves:
            joined = encode(["uint256", "uint256", "bytes32"], [commitment, step, root])
            commitment = int.from_bytes(keccak(joined)[8:], "big")
            after.append(str(commitment))
        transitions = [{"step": number(step), "root": "0x" + root.hex()} for step, root in moves]
        chains.append({"transitions": transitions, "commitments": after})
    return {"steps": rows(packed), "unknown": rows(unknown), "commitments": chains}
