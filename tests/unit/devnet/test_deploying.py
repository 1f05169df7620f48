"""What a person reads of a deployment beforehand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from orchestrator.devnet.deploying import describe, span
from orchestrator.ledger.artifacts import CONTRACTS
from orchestrator.ledger.deploy import Creation, Outlook
from orchestrator.ledger.deployments import Deployment
from orchestrator.ledger.plans import Terms

TERMS = Terms(veto_blocks=201_600, council="0x" + "c0" * 20, chain_id=7, confirmations=12)
OUTLOOK = Outlook(
    chain_id=7,
    sender="0x" + "aa" * 20,
    balance=5 * 10**17,
    council="0x" + "c0" * 20,
    council_is_contract=True,
    max_fee=2 * 10**9,
    deployment=None,
    creations=tuple(
        Creation(contract=name, address="0x" + f"{index:040x}", nonce=index, there=index == 0, gas=index and 10**6)
        for index, name in enumerate(CONTRACTS)
    ),
    remarks=(),
)


def said(**changes: Any) -> str:
    return "\n".join(describe(replace(OUTLOOK, **changes), TERMS, 6))


def test_describe__one_there_already__counts_and_prices_the_others() -> None:
    text = said()
    assert "2 transactions would be sent" in text
    assert "there already" in text
    assert "0.004 ETH" in text
    assert "14 天 days" in text
    assert "72 秒" not in text
    assert "1.2 分钟 minutes" in text
    assert "too low" not in text


def test_describe__balance_below_the_cost__warned() -> None:
    assert "too low" in said(balance=OUTLOOK.cost - 1)
    assert "too low" not in said(balance=OUTLOOK.cost)


def test_describe__free_gas__said() -> None:
    assert "gas is free" in said(max_fee=0, balance=0)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"council": OUTLOOK.sender}, "decides alone"),
        ({}, "a contract"),
        ({"council_is_contract": False}, "! 此处没有合约"),
    ],
)
def test_describe__council__said_what_it_is(changes: dict[str, Any], words: str) -> None:
    assert words in said(**changes)


def test_describe__deployed__addresses_and_nothing_to_send() -> None:
    there = Deployment(
        chain_id=7, consortium="0x" + "01" * 20, catalog="0x" + "02" * 20, ledger="0x" + "03" * 20, block=1
    )
    text = said(deployment=there, creations=())
    assert "no transaction would be sent" in text
    assert all(address in text for address in (there.consortium, there.catalog, there.ledger))
    assert "gas" not in text


def test_describe__remarks__among_the_lines() -> None:
    assert "· 接着 · going on" in said(remarks=(("接着", "going on"),))


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 秒"),
        (1, "1 秒"),
        (59, "59 秒"),
        (60, "1 分钟"),
        (5400, "1.5 小时"),
        (86_400, "1 天"),
        (1_209_600, "14 天"),
    ],
)
def test_span__seconds__in_the_largest_unit(seconds: float, words: str) -> None:
    assert span(seconds).startswith(words)
