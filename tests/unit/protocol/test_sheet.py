"""EIP-712 digests against eth_account, steps, commitments, recovery."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import pytest
from eth_account.messages import encode_typed_data
from eth_keys.datatypes import PrivateKey
from eth_utils.crypto import keccak
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.domain.canonical import from_hex, to_hex
from orchestrator.domain.errors import Refused
from orchestrator.protocol import sheet
from orchestrator.protocol.keyset import SigningAccount
from orchestrator.protocol.sheet import Binding, Domain, Status, Transition

VECTORS = Path(__file__).parents[2] / "vectors/contracts"
EIP712 = json.loads((VECTORS / "eip712.json").read_text())

BYTES32 = st.binary(min_size=32, max_size=32)
ROOTS = BYTES32.filter(any)
ADDRESS = st.binary(min_size=20, max_size=20).map(to_hex)
SEATS = st.integers(0, 255)
UINT64 = st.integers(0, 2**64 - 1)
DOMAINS = st.builds(Domain, chain_id=st.integers(1, 2**255), contract=ADDRESS)
TRANSITIONS = st.builds(
    Transition,
    case_id=BYTES32,
    root=ROOTS,
    status=st.sampled_from([status for status in Status if status]),
    sequence=st.integers(1, 2**16 - 1),
    binding=st.integers(1, 2**40 - 1),
)


def expected(domain: Domain, primary: str, message: dict) -> bytes:
    """The digest that eth_account would sign, by the types that the contract tests use."""
    types = {name: EIP712["types"][name] for name in ([primary, "Transition"] if primary == "Sheet" else [primary])}
    fields = {"name": "Lianban", "version": "1", "chainId": domain.chain_id, "verifyingContract": domain.contract}
    signable = encode_typed_data(fields, types, message)
    return keccak(b"\x19" + signable.version + signable.header + signable.body)


def ours(primary: str, m: dict, domain: Domain) -> bytes:
    """The digest of a vector's message by our functions."""
    raw = {name: from_hex(v) if isinstance(v, str) and len(v) == 66 else v for name, v in m.items()}
    match primary:
        case "Admission":
            return sheet.admission_digest(domain, raw["seat"], raw["signer"], raw["keysetHash"])
        case "Rotation":
            return sheet.rotation_digest(
                domain, raw["seat"], raw["signer"], raw["keysetHash"], raw["fromBlock"], raw["change"]
            )
        case "Recovery":
            return sheet.recovery_digest(domain, raw["seat"], raw["signer"], raw["keysetHash"], raw["change"])
        case "Succession":
            return sheet.succession_digest(domain, raw["seat"], raw["signer"], raw["keysetHash"], raw["change"])
        case "Veto":
            return sheet.veto_digest(domain, raw["seat"], raw["change"])
        case "Publication":
            return sheet.publication_digest(domain, raw["scenario"], raw["version"], raw["texts"], raw["publisher"])
        case "Texts":
            return sheet.texts_digest(domain, raw["version"], raw["texts"], raw["revision"], raw["publisher"])
        case "Binding":
            return sheet.binding_digest(
                domain,
                Binding(
                    version=raw["version"], region=raw["region"], identity=raw["identity"], operator=raw["operator"],
                    approvers=tuple(raw["approvers"]), providers=tuple(raw["providers"]),
                    valid_until=raw["validUntil"],
                ),
            )  # fmt: skip
        case "Retirement":
            return sheet.retirement_digest(domain, raw["binding"], raw["seat"])
        case "Head":
            return sheet.head_digest(domain, raw["seat"], raw["size"], raw["root"])
    assert primary == "Sheet"
    transitions = []
    for row in m["transitions"]:
        status, sequence, binding = sheet.unpack_step(row["step"])
        case_id, root = from_hex(row["caseId"]), from_hex(row["dossierRoot"])
        transitions.append(Transition(case_id=case_id, root=root, status=status, sequence=sequence, binding=binding))
    return sheet.sheet_digest(domain, m["seat"], m["validUntil"], transitions)


@settings(max_examples=30)
@given(DOMAINS, SEATS, UINT64, st.lists(TRANSITIONS, min_size=1, max_size=5))
def test_sheet_digest__any_sheet__as_eth_account(domain: Domain, seat: int, until: int, rows: list) -> None:
    message = {
        "seat": seat,
        "validUntil": until,
        "transitions": [{"caseId": to_hex(t.case_id), "dossierRoot": to_hex(t.root), "step": t.step} for t in rows],
    }
    assert sheet.sheet_digest(domain, seat, until, rows) == expected(domain, "Sheet", message)


@settings(max_examples=30)
@given(DOMAINS, SEATS, UINT64, BYTES32, ADDRESS, st.integers(0, 2**32 - 1), st.text(), st.lists(SEATS, max_size=5))
def test_other_digests__any_values__as_eth_account(
    domain: Domain, seat: int, long: int, word: bytes, address: str, number: int, text: str, seats: list
) -> None:
    messages = {
        "Admission": {"seat": seat, "signer": address, "keysetHash": to_hex(word)},
        "Rotation": {"seat": seat, "signer": address, "keysetHash": to_hex(word), "fromBlock": long, "change": number},
        "Recovery": {"seat": seat, "signer": address, "keysetHash": to_hex(word), "change": number},
        "Succession": {"seat": seat, "signer": address, "keysetHash": to_hex(word), "change": number},
        "Veto": {"seat": seat, "change": number},
        "Publication": {"scenario": text, "version": to_hex(word), "texts": to_hex(word[::-1]), "publisher": seat},
        "Texts": {"version": to_hex(word), "texts": to_hex(word[::-1]), "revision": number, "publisher": seat},
        "Binding": {"version": to_hex(word), "region": number, "identity": seat, "operator": seat ^ 1,
                    "approvers": seats, "providers": seats[::-1], "validUntil": long},
        "Retirement": {"binding": long >> 24, "seat": seat},
        "Head": {"seat": seat, "size": long, "root": to_hex(word)},
    }  # fmt: skip
    for primary, message in messages.items():
        if primary == "Publication" and len(text) == 66:
            continue
        assert ours(primary, message, domain) == expected(domain, primary, message), primary


@given(TRANSITIONS)
def test_step__any_transition__unpacks_to_the_same(transition: Transition) -> None:
    assert transition.step == int(transition.status) * 2**56 + transition.sequence * 2**40 + transition.binding
    unpacked = sheet.unpack_step(transition.step)
    assert unpacked == (transition.status, transition.sequence, transition.binding)


@pytest.mark.parametrize("step", [-1, 1 << 64, 8 << 56])
def test_unpack_step__too_wide_or_unknown_status__refused(step: int) -> None:
    with pytest.raises(ValueError):
        sheet.unpack_step(step)


GOOD = {"case_id": b"\1" * 32, "root": b"\2" * 32, "status": Status.APPROVED, "sequence": 1, "binding": 1}


@pytest.mark.parametrize(
    "changes",
    [{"case_id": b"\1" * 31}, {"case_id": "0x" + "01" * 32}, {"root": bytes(32)}, {"root": b"\1" * 33},
     {"status": Status.NONE}, {"sequence": 0}, {"sequence": 1 << 16}, {"binding": 0}, {"binding": 1 << 40}],
)  # fmt: skip
def test_transition__part_out_of_range__refused(changes: dict) -> None:
    Transition(**GOOD)
    with pytest.raises(ValueError):
        Transition(**(GOOD | changes))


def test_sheet_digest__none_or_more_than_256__refused() -> None:
    domain, one = Domain(chain_id=1, contract="0x" + "11" * 20), Transition(**GOOD)
    assert len(sheet.sheet_digest(domain, 1, 1, [one] * 256)) == 32
    for rows in ([], [one] * 257):
        with pytest.raises(ValueError):
            sheet.sheet_digest(domain, 1, 1, rows)


def test_digests__number_too_wide_or_word_too_short__refused() -> None:
    domain = Domain(chain_id=1, contract="0x" + "11" * 20)
    with pytest.raises(ValueError):
        sheet.head_digest(domain, 256, 1, bytes(32))
    with pytest.raises(ValueError):
        sheet.head_digest(domain, 1, 1, bytes(31))
    with pytest.raises(ValueError):
        Domain(chain_id=1, contract="0x11")


def test_named__a_binding__every_seat_once_ascending() -> None:
    binding = Binding(
        version=bytes(32), region=1, identity=2, operator=0, approvers=(9, 3), providers=(2, 9, 1), valid_until=1
    )
    assert binding.named == (0, 1, 2, 3, 9)


@given(st.binary(min_size=32, max_size=32), st.integers(1, 2**128))
def test_recover__signed_by_eth_keys__the_same_address(digest: bytes, secret: int) -> None:
    key = PrivateKey(secret.to_bytes(32, "big"))
    raw = key.sign_msg_hash(digest).to_bytes()
    signature = raw[:64] + bytes([27 + raw[64]])
    assert sheet.recover(digest, signature) == key.public_key.to_checksum_address()


def test_recover__what_the_contracts_refuse__refused() -> None:
    account, digest = SigningAccount(b"\1" * 32), b"\7" * 32
    good = account.sign_hash(digest)
    assert sheet.recover(digest, good) == account.address
    order = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
    high = (order - int.from_bytes(good[32:64], "big")).to_bytes(32, "big")
    twin = good[:32] + high + bytes([55 - good[64]])
    bad = [twin, good[:64], good + b"\0", good[:64] + b"\0", good[:64] + b"\1", bytes(65), bytes(64) + b"\x1b",
           b"\xff" * 32 + good[32:], b""]  # fmt: skip
    for signature in bad:
        with pytest.raises(Refused):
            sheet.recover(digest, signature)


@given(st.binary(max_size=70))
def test_recover__any_bytes__an_address_or_refused(signature: bytes) -> None:
    with contextlib.suppress(Refused):
        assert len(sheet.recover(b"\7" * 32, signature)) == 42
