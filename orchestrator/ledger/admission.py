"""Admitting seats where one account is the council, as on a devnet; doing it again changes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hexbytes import HexBytes
from web3 import Web3
from web3.exceptions import ContractLogicError

from orchestrator.domain.errors import Diverged, Refused
from orchestrator.ledger.abi import ContractAbi
from orchestrator.ledger.artifacts import load_artifact
from orchestrator.ledger.deployments import Deployment
from orchestrator.ledger.transactions import KeySigner, checksummed, fund, next_nonce, open_chain, send, wait_mined
from orchestrator.protocol.keyset import Keyset, SeatKeys, SigningAccount
from orchestrator.protocol.sheet import Domain, admission_digest


def admit_seats(
    deployment: Deployment,
    node_url: str,
    owner: SigningAccount,
    seats: Sequence[tuple[int, SeatKeys, Keyset]],
    *,
    timeout: float = 10.0,
) -> list[int]:
    """Admits the seats that are not there yet, in one go, and returns their numbers.

    A seat that is there with the same signer and keyset is left alone. Raises Diverged when it is there with others
    (that is a rotation, not an admission), Refused when a contract says no, Unavailable when the node does not answer.
    """
    abi = ContractAbi(load_artifact("Consortium").abi)
    domain = Domain(chain_id=deployment.chain_id, contract=deployment.consortium)
    with open_chain(node_url, timeout) as web3:
        new = [(number, keys, keyset) for number, keys, keyset in seats if _is_new(web3, abi, deployment, keys, keyset)]
        if not new:
            return []
        fund(node_url, owner.address, timeout=timeout)
        nonce = next_nonce(web3, owner.address)
        for offset, (number, keys, keyset) in enumerate(new):
            signature = keys.chain.sign_hash(admission_digest(domain, number, keys.chain.address, keyset.hash))
            data = abi.call("admit", number, keys.chain.address, keyset.document(), signature)
            try:
                send(web3, KeySigner(owner), nonce + offset, deployment.consortium, bytes.fromhex(data[2:]))
            except ContractLogicError as error:
                raise Refused(
                    f"席位 {number} 未获接纳",
                    detail_en=f"seat {number} was not admitted: {abi.error(str(error.data or '0x'))}",
                    code="admission-refused",
                ) from None
        wait_mined(web3, owner.address, nonce + len(new))
        for number, keys, keyset in new:
            if _is_new(web3, abi, deployment, keys, keyset):
                raise Refused(
                    f"席位 {number} 未获接纳", detail_en=f"seat {number} was not admitted", code="admission-refused"
                )
        return [number for number, _, _ in new]


def _is_new(web3: Web3, abi: ContractAbi, deployment: Deployment, keys: SeatKeys, keyset: Keyset) -> bool:
    """Whether nobody has the seat yet. Raises Diverged when somebody has it with another signer or keyset."""
    to = checksummed(deployment.consortium)

    def ask(name: str) -> Any:
        answer = web3.eth.call({"to": to, "data": HexBytes(abi.call(name, keyset.seat))})
        return abi.result(name, "0x" + bytes(answer).hex())[0]

    stored = ask("keysetHashOf")
    if stored == bytes(32):
        return True
    if stored == keyset.hash and checksummed(ask("signerOf")) == keys.chain.address:
        return False
    raise Diverged(
        f"席位 {keyset.seat} 已由其他密钥占用，或已停用",
        detail_en=f"seat {keyset.seat} is there with other keys, or not active",
        code="other-seat",
        remedy="更换密钥请走轮换，不是接纳 / to change keys rotate them, do not admit",
    )
