"""Strategies and small worlds for the council's tests."""

from __future__ import annotations

from typing import Any

from eth_utils.address import to_checksum_address
from hypothesis import strategies as st

from orchestrator.council.acts import Act, CancelChange, ChangeStanding, GiveKeys, HandOver, TakeOver
from orchestrator.council.registry import Naming, RegisteredSeat, Registry, Standing
from orchestrator.protocol.keyset import Keyset, SigningAccount, generate_seat_keys
from orchestrator.protocol.ports import BindingView

KEYS = generate_seat_keys()
ACCOUNTS = [SigningAccount.generate() for _ in range(4)]
CONSORTIUM = SigningAccount.generate().address

addresses = st.binary(min_size=20, max_size=20).map(lambda raw: to_checksum_address(raw))
seats = st.integers(0, 255)


def a_keyset(seat: int = 3, **changes: Any) -> Keyset:
    """A department's keyset."""
    fields = {
        "seat": seat,
        "id": f"department-{seat}",
        "name": {"zh": f"部门{seat}", "en": f"Department {seat}"},
        "uscc": "11110108000000000X",
        "region": "110108",
        "parent": None,
        "vertical": False,
        "hosted_by": f"department-{seat}",
        "endpoint": "http://127.0.0.1:9000",
        "keys": tuple(KEYS.public_jwks()),
    }
    return Keyset(**(fields | changes))


def a_seat(number: int, **changes: Any) -> RegisteredSeat:
    """An active seat."""
    fields: dict[str, Any] = {
        "number": number,
        "standing": Standing.ACTIVE,
        "signer": ACCOUNTS[0].address,
        "keyset": a_keyset(number),
        "changes": 0,
        "announced": None,
    }
    return RegisteredSeat(**(fields | changes))


def a_naming(number: int, scenario: str = "open-gallery", **changes: Any) -> Naming:
    """A binding that names seats 0 to 4."""
    fields: dict[str, Any] = {
        "number": number,
        "version": "0x" + "11" * 32,
        "region": "110108",
        "identity": 2,
        "operator": 0,
        "approvers": (3, 4),
        "providers": (1, 3),
        "live": True,
    }
    return Naming(binding=BindingView(**(fields | changes)), scenario=scenario)


def a_registry(**changes: Any) -> Registry:
    """A consortium of five seats, four of which one binding names."""
    fields: dict[str, Any] = {
        "chain_id": 31337,
        "consortium": CONSORTIUM,
        "block": 1000,
        "block_seconds": 2.0,
        "veto_blocks": 1800,
        "owner": ACCOUNTS[0].address,
        "offered_to": None,
        "seats": {number: a_seat(number) for number in (0, 1, 2, 3, 4, 9)},
        "namings": (a_naming(1), a_naming(2, live=False)),
    }
    return Registry(**(fields | changes))


def give_keys(kind: Any = "admit", seat: int = 12, **changes: Any) -> GiveKeys:
    """An act with a good keyset document."""
    keyset = changes.pop("keyset", a_keyset(seat))
    fields: dict[str, Any] = {
        "kind": kind,
        "seat": seat,
        "signer": ACCOUNTS[1].address,
        "document": keyset.document(),
        "signature": bytes(65),
    }
    return GiveKeys(**(fields | changes))


acts: st.SearchStrategy[Act] = st.one_of(
    st.builds(ChangeStanding, kind=st.sampled_from(("suspend", "reinstate", "remove")), seat=seats),
    st.builds(
        GiveKeys,
        kind=st.sampled_from(("admit", "recover", "succeed")),
        seat=seats,
        signer=addresses,
        document=st.one_of(st.binary(max_size=80), seats.map(lambda seat: a_keyset(seat).document())),
        signature=st.binary(max_size=70),
    ),
    st.builds(CancelChange, seat=seats, change=st.integers(0, 2**32 - 1)),
    st.builds(HandOver, to=addresses),
    st.just(TakeOver()),
)
