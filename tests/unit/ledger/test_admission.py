"""Admitting seats by the one account that is a devnet's council."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from orchestrator.domain.errors import Diverged, Refused
from orchestrator.ledger import deploy as deploying
from orchestrator.ledger.admission import admit_seats
from orchestrator.protocol.keyset import Keyset, SeatKeys, SigningAccount, generate_seat_keys
from tests.support.onchain import VETO_BLOCKS, read

deploy = partial(deploying.deploy, veto_blocks=VETO_BLOCKS)


def a_seat(number: int, keys: SeatKeys | None = None) -> tuple[int, SeatKeys, Keyset]:
    keys = keys or generate_seat_keys()
    keyset = Keyset(
        seat=number,
        id=f"department-{number}",
        name={"zh": "部门", "en": "department"},
        uscc="11110108000000000X",
        region="110108",
        parent=None,
        vertical=False,
        hosted_by=f"department-{number}",
        endpoint="http://127.0.0.1:9000",
        keys=tuple(keys.public_jwks()),
    )
    return number, keys, keyset


def test_admit_seats__several__all_on_chain_and_again_none(node_url: str, tmp_path: Path) -> None:
    owner = SigningAccount.generate()
    deployment = deploy(node_url, owner, tmp_path / "deployment.json")
    seats = [a_seat(number) for number in (0, 7, 255)]
    assert admit_seats(deployment, node_url, owner, seats) == [0, 7, 255]
    for number, keys, keyset in seats:
        signer = read(node_url, "Consortium", deployment.consortium, "signerOf", number)
        assert signer == (keys.chain.address.lower(),)
        assert read(node_url, "Consortium", deployment.consortium, "keysetHashOf", number) == (keyset.hash,)
    assert admit_seats(deployment, node_url, owner, [*seats, a_seat(8)]) == [8]


def test_admit_seats__seat_held_with_other_keys__diverged(node_url: str, tmp_path: Path) -> None:
    owner = SigningAccount.generate()
    deployment = deploy(node_url, owner, tmp_path / "deployment.json")
    admit_seats(deployment, node_url, owner, [a_seat(3)])
    with pytest.raises(Diverged) as caught:
        admit_seats(deployment, node_url, owner, [a_seat(3)])
    assert caught.value.code == "other-seat"


def test_admit_seats__not_the_council__refused_with_the_contract_error(node_url: str, tmp_path: Path) -> None:
    deployment = deploy(node_url, SigningAccount.generate(), tmp_path / "deployment.json")
    with pytest.raises(Refused, match="OwnableUnauthorizedAccount"):
        admit_seats(deployment, node_url, SigningAccount.generate(), [a_seat(3)])


def test_admit_seats__signer_of_another_seat__refused_with_the_contract_error(node_url: str, tmp_path: Path) -> None:
    owner, keys = SigningAccount.generate(), generate_seat_keys()
    deployment = deploy(node_url, owner, tmp_path / "deployment.json")
    admit_seats(deployment, node_url, owner, [a_seat(1, keys)])
    with pytest.raises(Refused, match="Consortium_SignerUsed"):
        admit_seats(deployment, node_url, owner, [a_seat(2, keys)])
