"""What a seat sealed to itself, sealed anew to the key in force, so that a replaced key can be destroyed: the secrets of its index
by person and the salts of its verdicts' inputs. What others sealed to it, it cannot seal anew: their hashes are signed."""

from __future__ import annotations

from typing import Final

from orchestrator.domain.errors import Refused
from orchestrator.gateway.store import Store
from orchestrator.protocol.sealing import SealingKey, basis_info, index_info, seal, unseal

_PADDING: Final = 64


async def reseal(store: Store, key: SealingKey, seat: int) -> int:
    """Seals anew to `key` what opens with one of its past keys; how many texts. What no key opens stays as it is."""
    count = 0
    for table, column, info in (("index_secret", "sealed", index_info(seat)), ("basis", "secret", basis_info(seat))):
        present = SealingKey(key.holder)
        for row in await store.rows(f"select distinct {column} as sealed from {table}"):
            sealed = str(row["sealed"])
            if _opened(present, sealed, info) is not None:
                continue
            plain = _opened(key, sealed, info)
            if plain is not None:
                again = seal(key.jwk, plain, info=info, pad_to=_PADDING)
                await store.rows(f"update {table} set {column} = %s where {column} = %s", [again, sealed])
                count += 1
    return count


def _opened(key: SealingKey, sealed: str, info: bytes) -> bytes | None:
    try:
        return unseal(key, sealed, info=info)
    except Refused:
        return None
