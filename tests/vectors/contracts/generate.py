"""Writes the vectors of this folder without any of our code. Run by hand when a format changes; see README.md."""

from __future__ import annotations

import hashlib
import json
import random
import subprocess
from pathlib import Path
from typing import Any

from eth_abi import encode
from eth_account import Account
from eth_account.messages import encode_typed_data
from eth_utils import keccak

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
KEY = hashlib.sha256(b"lianban vectors").digest()

TRANSITION = [("bytes32", "caseId"), ("bytes32", "dossierRoot"), ("uint64", "step")]
STRUCTS: dict[str, list[tuple[str, str]]] = {
    "Admission": [("uint8", "seat"), ("address", "signer"), ("bytes32", "keysetHash")],
    "Rotation": [
        ("uint8", "seat"),
        ("address", "signer"),
        ("bytes32", "keysetHash"),
        ("uint64", "fromBlock"),
        ("uint32", "change"),
    ],
    "Recovery": [("uint8", "seat"), ("address", "signer"), ("bytes32", "keysetHash"), ("uint32", "change")],
    "Succession": [("uint8", "seat"), ("address", "signer"), ("bytes32", "keysetHash"), ("uint32", "change")],
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


def write(name: str, document: Any) -> None:
    (HERE / name).write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def eip712() -> None:
    rng = random.Random(712)
    types = {name: [{"name": field, "type": kind} for kind, field in fields] for name, fields in STRUCTS.items()}
    transition = [{"name": field, "type": kind} for kind, field in TRANSITION]

    def value(kind: str) -> Any:
        if kind.endswith("[]"):
            fewest = 1 if kind == "Transition[]" else 0
            return [value(kind[:-2]) for _ in range(rng.choice((fewest, 2, 3)))]
        if kind == "Transition":
            step = rng.randint(1, 6) << 56 | rng.randint(1, 2**16 - 1) << 40 | rng.randint(1, 2**40 - 1)
            return {"caseId": value("bytes32"), "dossierRoot": value("bytes32"), "step": step}
        if kind == "bytes32":
            return "0x" + rng.randbytes(32).hex()
        if kind == "address":
            return Account.from_key(rng.randbytes(32)).address
        if kind == "string":
            return rng.choice(("gallery-opening", "失业保险金", ""))
        bits = int(kind.removeprefix("uint"))
        return rng.choice((0, 1, rng.getrandbits(bits), 2**bits - 1))

    cases = []
    for struct, fields in STRUCTS.items():
        for chain_id in (1, 31337, 2**53 + 1):
            domain = {
                "name": "Lianban",
                "version": "1",
                "chainId": chain_id,
                "verifyingContract": Account.from_key(rng.randbytes(32)).address,
            }
            message = {field: value(kind) for kind, field in fields}
            used = {struct: types[struct]} | ({"Transition": transition} if struct == "Sheet" else {})
            signable = encode_typed_data(domain, used, message)
            digest = keccak(b"\x19" + signable.version + signable.header + signable.body)
            signature = Account.unsafe_sign_hash(digest, KEY).signature
            cases.append(
                {
                    "struct": struct,
                    "domain": domain,
                    "message": message,
                    "digest": "0x" + digest.hex(),
                    "signature": "0x" + bytes(signature).hex(),
                }
            )
    document = {
        "key": "0x" + KEY.hex(),
        "signer": Account.from_key(KEY).address,
        "types": types | {"Transition": transition},
        "cases": cases,
    }
    write("eip712.json", document)


def cases() -> None:
    rng = random.Random(192)
    steps = []
    for status, sequence, binding in [(1, 1, 1), (3, 1, 7), (6, 65535, 2**40 - 1), (2, 2, 12345), (5, 300, 2**39)]:
        word = int.from_bytes(bytes([status]) + sequence.to_bytes(2, "big") + binding.to_bytes(5, "big"), "big")
        steps.append({"status": status, "sequence": sequence, "binding": binding, "step": word})
    commitments = []
    for length in (1, 2, 5):
        commitment, transitions, after = 0, [], []
        for _ in range(length):
            step, root = rng.getrandbits(64), rng.randbytes(32)
            packed = encode(["uint256", "uint256", "bytes32"], [commitment, step, root])
            commitment = int.from_bytes(keccak(packed)[8:], "big")
            transitions.append({"step": step, "root": "0x" + root.hex()})
            after.append(str(commitment))
        commitments.append({"transitions": transitions, "commitments": after})
    write("cases.json", {"steps": steps, "commitments": commitments})


def dossier() -> None:
    rng = random.Random(9999)
    kinds = [
        "mandate",
        "situation",
        "form",
        "material:lease",
        "material:房屋安全鉴定",
        "answer",
        "verdict",
        "credential",
    ]
    dossiers = []
    for size in (1, 2, 3, 7, 20):
        leaves = []
        for i in range(size):
            kind = kinds[i % len(kinds)]
            leaves.append([kind, "0x" + rng.randbytes(32).hex(), "0x" + rng.randbytes(32).hex()])
        dossiers.append(leaves)
    script = """
        const { StandardMerkleTree } = require('@openzeppelin/merkle-tree');
        const input = JSON.parse(require('fs').readFileSync(0, 'utf8'));
        console.log(JSON.stringify(input.map((leaves) => {
          const tree = StandardMerkleTree.of(leaves, ['string', 'bytes32', 'bytes32']);
          return { leaves: leaves.map((leaf, i) => (
            { kind: leaf[0], salt: leaf[1], content: leaf[2], hash: tree.leafHash(leaf), proof: tree.getProof(i) }
          )), root: tree.root };
        })));
    """
    done = subprocess.run(
        ["node", "-e", script], input=json.dumps(dossiers), capture_output=True, text=True, check=True, cwd=ROOT
    )
    write("dossier.json", json.loads(done.stdout))


def consistency() -> None:
    leaves = [i.to_bytes(4, "big") for i in range(70)]

    def root(part: list[bytes]) -> bytes:
        if not part:
            return hashlib.sha256(b"").digest()
        if len(part) == 1:
            return hashlib.sha256(b"\x00" + part[0]).digest()
        k = split(len(part))
        return hashlib.sha256(b"\x01" + root(part[:k]) + root(part[k:])).digest()

    def split(n: int) -> int:
        k = 1
        while k * 2 < n:
            k *= 2
        return k

    def subproof(m: int, part: list[bytes], whole: bool) -> list[bytes]:
        n = len(part)
        if m == n:
            return [] if whole else [root(part)]
        k = split(n)
        if m <= k:
            return [*subproof(m, part[:k], whole), root(part[k:])]
        return [*subproof(m - k, part[k:], False), root(part[:k])]

    def path(m: int, part: list[bytes]) -> list[bytes]:
        if len(part) == 1:
            return []
        k = split(len(part))
        if m < k:
            return [*path(m, part[:k]), root(part[k:])]
        return [*path(m - k, part[k:]), root(part[:k])]

    def hexes(nodes: list[bytes]) -> list[str]:
        return ["0x" + node.hex() for node in nodes]

    sizes = [(old, new) for new in range(2, 20) for old in range(1, new)]
    sizes += [(1, 70), (31, 33), (32, 64), (32, 70), (33, 64), (47, 70), (63, 64), (64, 65), (64, 70), (69, 70)]
    write(
        "consistency.json",
        {
            "roots": hexes([root(leaves[:n]) for n in range(71)]),
            "proofs": [
                {"old": old, "new": new, "proof": hexes(subproof(old, leaves[:new], True))} for old, new in sizes
            ],
            "inclusion": [
                {"index": index, "size": size, "proof": hexes(path(index, leaves[:size]))}
                for size in (1, 2, 3, 7, 8, 13, 70)
                for index in sorted({0, size // 2, size - 1})
            ],
        },
    )


if __name__ == "__main__":
    eip712()
    cases()
    dossier()
    consistency()
