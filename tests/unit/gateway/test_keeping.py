"""What a seat sealed to itself is sealed anew before a replaced key is destroyed."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator

import pytest

from orchestrator.domain.errors import Refused
from orchestrator.gateway.keeping import reseal
from orchestrator.gateway.lookindex import LookIndex
from orchestrator.gateway.store import Store, prepare_stores
from orchestrator.protocol.sealing import SealingKey, basis_info, seal, unseal

pytestmark = pytest.mark.anyio

SEAT = 3


@pytest.fixture(scope="module")
async def store(pg_admin_dsn: str) -> AsyncIterator[Store]:
    name = f"keeping-{secrets.token_hex(4)}"
    store = Store(prepare_stores(pg_admin_dsn, [name])[name])
    await store.open()
    yield store
    await store.close()


async def test_reseal__after_a_rotation__opens_with_the_key_in_force_alone(store: Store) -> None:
    old, stranger = SealingKey.generate(), SealingKey.generate()
    index = await LookIndex().secret(store, old, SEAT)
    salts = seal(old.jwk, b"salts", info=basis_info(SEAT), pad_to=64)
    foreign = seal(stranger.jwk, b"other", info=basis_info(SEAT), pad_to=64)
    for case, sealed in (("a", salts), ("b", salts), ("c", foreign)):
        await store.rows(
            "insert into basis (case_id, sequence, secret, salted, file, envelopes) values (%s, 1, %s, '{}', '{}', '[]')",
            [case, sealed],
        )
    new = SealingKey(SealingKey.generate().holder, past=(old,))

    assert await reseal(store, new, SEAT) == 2
    assert await reseal(store, new, SEAT) == 0

    alone = SealingKey(new.holder)
    assert await LookIndex().secrets(store, alone, SEAT) == [index]
    found = {str(row["case_id"]): str(row["secret"]) for row in await store.rows("select case_id, secret from basis")}
    assert [unseal(alone, found[case], info=basis_info(SEAT)) for case in "ab"] == [b"salts"] * 2
    assert found["c"] == foreign, "what no key of ours opens stays as it is"
    with pytest.raises(Refused):
        unseal(old, found["a"], info=basis_info(SEAT))
