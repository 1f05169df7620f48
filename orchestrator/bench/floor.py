"""The floor: what the EVM itself asks for writing one slot whose key comes in calldata, with nothing around it.

Measured with bytecode that writes the block's number (anything but zero) under each word of calldata, unrolled, so that no loop
is counted. The difference between a batch of many slots and one of a single slot, shared out, leaves the transaction's
own 21,000 gas aside.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from orchestrator.bench.wallet import Wallet

_NUMBER, _CALLDATALOAD, _SSTORE, _PUSH2 = 0x43, 0x35, 0x55, 0x61


@dataclass(frozen=True, slots=True, kw_only=True)
class Floor:
    """Gas a slot."""

    one_slot: int
    """A new slot."""
    changed_slot: int
    """A slot that is there, given another value in a later transaction."""


def writer(slots: int) -> bytes:
    """Creation code of a contract that writes NUMBER under each of the first `slots` words of calldata.

    Each write is NUMBER PUSH2 CALLDATALOAD SSTORE: 8 gas besides the SSTORE itself.
    """
    runtime = b"".join(
        bytes((_NUMBER, _PUSH2, *(32 * i).to_bytes(2, "big"), _CALLDATALOAD, _SSTORE)) for i in range(slots)
    )
    # PUSH2 length, DUP1, PUSH1 10, PUSH0, CODECOPY, PUSH0, RETURN; the runtime code follows at byte 10.
    prologue = bytes((_PUSH2, *len(runtime).to_bytes(2, "big"), 0x80, 0x60, 10, 0x5F, 0x39, 0x5F, 0xF3))
    return prologue + runtime


async def measure_floor(wallet: Wallet, slots: int) -> Floor:
    """Writes `slots` new slots and then the same again, beside a single one (`slots` > 1)."""
    many, one = await wallet.create(writer(slots)), await wallet.create(writer(1))
    keys, key = secrets.token_bytes(32 * slots), secrets.token_bytes(32)
    new = (await wallet.send(many, keys)).gas - (await wallet.send(one, key)).gas
    changed = (await wallet.send(many, keys)).gas - (await wallet.send(one, key)).gas
    return Floor(one_slot=new // (slots - 1), changed_slot=changed // (slots - 1))
