"""Deploying on a real EVM: once, again, interrupted anywhere, and beside what does not belong there."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from web3 import Web3

from orchestrator.domain.errors import Diverged, LianbanError, Refused, Unavailable
from orchestrator.ledger import deploy as module
from orchestrator.ledger.artifacts import CONTRACTS, load_artifact
from orchestrator.ledger.deploy import Deployer
from orchestrator.ledger.deployments import Deployment, read_deployment, write_deployment
from orchestrator.ledger.plans import Plan, Terms
from orchestrator.ledger.transactions import KeySigner, next_nonce, open_chain, send, wait_mined
from orchestrator.ledger.wiring import Wiring
from orchestrator.protocol.keyset import SigningAccount
from tests.support.onchain import VETO_BLOCKS, ask, read

COUNCIL = SigningAccount.generate().address
deploy = partial(module.deploy, veto_blocks=VETO_BLOCKS)


@pytest.fixture
def web3(node_url: str) -> Iterator[Web3]:
    with open_chain(node_url) as web3:
        yield web3


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WAIT_SECONDS", 15.0)


@pytest.fixture
def owner() -> SigningAccount:
    return SigningAccount.generate()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "deployment.json"


def deployer(web3: Web3, owner: SigningAccount, file: Path, **terms: Any) -> Deployer:
    return Deployer(web3, KeySigner(owner), file, Terms(**({"veto_blocks": VETO_BLOCKS} | terms)))


def count_of_transactions(node_url: str, owner: SigningAccount) -> int:
    return int(ask(node_url, "eth_getTransactionCount", owner.address, "latest"), 16)


def plan_in(file: Path) -> dict[str, Any]:
    plan: dict[str, Any] = json.loads(file.with_name("deployment-plan.json").read_text())
    return plan


# ── all goes well


def test_deploy__fresh_chain__contracts_know_one_another(node_url: str, owner: SigningAccount, file: Path) -> None:
    made = deploy(node_url, owner, file)
    assert read(node_url, "Consortium", made.consortium, "owner") == (owner.address.lower(),)
    assert read(node_url, "Consortium", made.consortium, "vetoBlocks") == (VETO_BLOCKS,)
    assert read(node_url, "Catalog", made.catalog, "consortium") == (made.consortium.lower(),)
    assert read(node_url, "CaseLedger", made.ledger, "consortium") == (made.consortium.lower(),)
    assert read(node_url, "CaseLedger", made.ledger, "catalog") == (made.catalog.lower(),)
    assert read_deployment(file) == made
    assert [path.name for path in file.parent.iterdir()] == ["deployment.json"]


def test_deploy__again__nothing_is_sent(node_url: str, owner: SigningAccount, file: Path) -> None:
    made = deploy(node_url, owner, file)
    file.with_name("deployment-plan.json").write_text("{}")  # as a kill between writing the one and removing the other
    assert deploy(node_url, owner, file) == made
    assert count_of_transactions(node_url, owner) == len(CONTRACTS)
    assert [path.name for path in file.parent.iterdir()] == ["deployment.json"]


def test_deploy__council_given__it_owns_the_consortium(node_url: str, owner: SigningAccount, file: Path) -> None:
    council = SigningAccount.generate().address
    made = deploy(node_url, owner, file, council=council)
    assert read(node_url, "Consortium", made.consortium, "owner") == (council.lower(),)


def test_deploy__deployed__no_event_is_older_than_its_block(node_url: str, owner: SigningAccount, file: Path) -> None:
    made = deploy(node_url, owner, file)
    before = ask(node_url, "eth_getCode", made.consortium, hex(made.block - 1))
    assert (before, made.block > 0) == ("0x", True)


# ── dry run


def test_outlook__nothing_there__says_all_and_sends_nothing(
    web3: Web3, node_url: str, owner: SigningAccount, file: Path
) -> None:
    seen = deployer(web3, owner, file, council=COUNCIL).outlook()
    assert [each.contract for each in seen.creations] == list(CONTRACTS)
    assert [each.nonce for each in seen.creations] == [0, 1, 2]
    assert (seen.sender, seen.council, seen.council_is_contract) == (owner.address, COUNCIL, False)
    assert all(100_000 < each.gas < 10_000_000 and not each.there for each in seen.creations)
    assert count_of_transactions(node_url, owner) == 0
    assert list(file.parent.iterdir()) == []
    made = deploy(node_url, owner, file, council=COUNCIL)
    assert [each.address for each in seen.creations] == [made.consortium, made.catalog, made.ledger]


def test_outlook__deployed__nothing_to_send(web3: Web3, node_url: str, owner: SigningAccount, file: Path) -> None:
    made = deploy(node_url, owner, file)
    seen = deployer(web3, owner, file).outlook()
    assert (seen.deployment, seen.creations, seen.cost) == (made, (), 0)


def test_outlook__gas_has_a_price__cost_is_gas_times_price(
    web3: Web3, owner: SigningAccount, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "max_fee", lambda web3: 7)
    seen = deployer(web3, owner, file).outlook()
    assert seen.cost == 7 * sum(each.gas for each in seen.creations) > 0


# ── interrupted


class Killed(BaseException):
    """What nothing in the code under test catches."""


def killed_at(web3: Web3, step: int, *, after: bool) -> Web3:
    """Ends the process, as far as the code under test can tell, at the node's `step`-th request: before the node gets it,
    or after it has done it and before we read its answer."""
    provider: Any = web3.provider
    make_request, seen = provider.make_request, count()

    def request(method: Any, params: Any) -> Any:
        number = next(seen)
        if number == step and not after:
            raise Killed
        answer = make_request(method, params)
        if number == step:
            raise Killed
        return answer

    provider.make_request = request
    return web3


@pytest.mark.parametrize("after", [False, True])
def test_deploy__interrupted_at_every_request__same_plan_and_three_transactions(
    node_url: str, tmp_path: Path, after: bool
) -> None:
    planned = 0
    for step in count():
        owner, file = SigningAccount.generate(), tmp_path / str(step) / "deployment.json"
        try:
            with open_chain(node_url) as web3:
                deployer(killed_at(web3, step, after=after), owner, file).deploy()
        except Killed:
            plan = plan_in(file) if file.with_name("deployment-plan.json").exists() else None
            planned += plan is not None
        else:
            break
        assert not file.exists()
        with open_chain(node_url) as another:
            made = deployer(another, owner, file).deploy()
        if plan is not None:
            addresses = Plan(**(plan | {"nonces": tuple(plan["nonces"])})).addresses()
            assert (made.consortium, made.catalog, made.ledger) == addresses
        assert count_of_transactions(node_url, owner) == len(CONTRACTS)
    assert planned > 3 * len(CONTRACTS)


@pytest.mark.parametrize("sent", [1, 2])
def test_deploy__interrupted_while_the_node_mines_nothing__goes_on(
    web3: Web3, node_url: str, owner: SigningAccount, file: Path, sent: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The transactions of before wait in the node's pool and are not doubled."""
    ask(node_url, "evm_setAutomine", False)
    try:
        passed = count(1)

        def some(*args: Any) -> bytes | None:
            if next(passed) > sent:
                raise Killed
            return send(*args)

        with monkeypatch.context() as patch:
            patch.setattr(module, "send", some)
            with pytest.raises(Killed):
                deployer(web3, owner, file).deploy()
        assert count_of_transactions(node_url, owner) == 0
        ask(node_url, "evm_setIntervalMining", 1)
        made = deployer(web3, owner, file).deploy()
    finally:
        ask(node_url, "evm_setAutomine", True)
    assert count_of_transactions(node_url, owner) == len(CONTRACTS)
    assert read(node_url, "CaseLedger", made.ledger, "catalog") == (made.catalog.lower(),)


def begin(web3: Web3, owner: SigningAccount, file: Path, contracts: int, **terms: Any) -> None:
    """Deploys the first `contracts` of three and is interrupted."""
    passed = count()

    def some(*args: Any) -> bytes | None:
        if next(passed) == contracts:
            raise Killed
        return send(*args)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "send", some)
        with pytest.raises(Killed):
            deployer(web3, owner, file, **terms).deploy()


def spend_a_nonce(web3: Web3, owner: SigningAccount) -> None:
    nonce = next_nonce(web3, owner.address, with_pool=True)
    assert send(web3, KeySigner(owner), nonce, owner.address, b"") is not None
    wait_mined(web3, owner.address, nonce + 1)


@pytest.mark.parametrize("there", [0, 1, 2])
def test_deploy__nonce_went_to_something_else__what_is_there_is_kept_and_the_rest_moves(
    web3: Web3, node_url: str, owner: SigningAccount, file: Path, there: int
) -> None:
    begin(web3, owner, file, there)
    planned = plan_in(file)["nonces"]
    wait_mined(web3, owner.address, planned[0] + there)
    spend_a_nonce(web3, owner)
    seen = deployer(web3, owner, file).outlook()
    assert [each.nonce for each in seen.creations] == [*planned[:there], *(nonce + 1 for nonce in planned[there:])]
    assert [each.there for each in seen.creations] == [index < there for index in range(len(CONTRACTS))]
    assert len(seen.remarks) == 2
    made = deployer(web3, owner, file).deploy()
    assert [made.consortium, made.catalog, made.ledger] == [each.address for each in seen.creations]
    assert count_of_transactions(node_url, owner) == len(CONTRACTS) + 1


def test_deploy__something_else_sent_meanwhile__rest_moves_within_the_run(
    web3: Web3, owner: SigningAccount, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    passed = count()

    def overtaken(*args: Any) -> bytes | None:
        if next(passed) == 1:
            spend_a_nonce(web3, owner)
        return send(*args)

    monkeypatch.setattr(module, "send", overtaken)
    made = deployer(web3, owner, file).deploy()
    assert next_nonce(web3, owner.address) > len(CONTRACTS)
    monkeypatch.undo()
    assert deployer(web3, owner, file).outlook().deployment == made


# ── another plan


@pytest.mark.parametrize(
    ("terms", "word"),
    [({"veto_blocks": VETO_BLOCKS + 1}, "veto_blocks"), ({"council": COUNCIL}, "council")],
)
def test_deploy__another_plan_begun__explained_and_left_alone(
    web3: Web3, node_url: str, owner: SigningAccount, file: Path, terms: dict[str, Any], word: str
) -> None:
    begin(web3, owner, file, 1)
    before = plan_in(file)
    for act in ("outlook", "deploy"):
        with pytest.raises(Diverged, match=word) as caught:
            getattr(deployer(web3, owner, file, **terms), act)()
        assert caught.value.code == "other-plan"
        assert "deployment-plan.json" in caught.value.remedy
    assert plan_in(file) == before
    assert count_of_transactions(node_url, owner) == 1
    deployer(web3, owner, file).deploy()


def test_deploy__another_account_s_plan_begun__explained(web3: Web3, owner: SigningAccount, file: Path) -> None:
    begin(web3, SigningAccount.generate(), file, 2)
    with pytest.raises(Diverged, match="account"):
        deployer(web3, owner, file).deploy()


def test_deploy__plan_of_another_chain__explained(web3: Web3, owner: SigningAccount, file: Path) -> None:
    begin(web3, owner, file, 0)
    file.with_name("deployment-plan.json").write_text(json.dumps(plan_in(file) | {"chain_id": 1}))
    with pytest.raises(Diverged, match="chain id"):
        deployer(web3, owner, file).deploy()


def test_deploy__another_plan_of_which_nothing_was_sent__dropped(web3: Web3, owner: SigningAccount, file: Path) -> None:
    begin(web3, owner, file, 0)
    seen = deployer(web3, owner, file, veto_blocks=9).outlook()
    assert len(seen.remarks) == 1
    made = deployer(web3, owner, file, veto_blocks=9).deploy()
    assert read_deployment(file) == made


# ── what does not belong there


def test_deploy__unexpected_chain_id__refused_and_nothing_done(
    node_url: str, owner: SigningAccount, file: Path
) -> None:
    with pytest.raises(Refused) as caught:
        deploy(node_url, owner, file, chain_id=1)
    assert caught.value.code == "wrong-chain"
    assert list(file.parent.iterdir()) == []
    assert count_of_transactions(node_url, owner) == 0
    assert int(ask(node_url, "eth_getBalance", owner.address, "latest"), 16) == 0


def test_deploy__file_of_another_chain__diverged(node_url: str, owner: SigningAccount, file: Path) -> None:
    made = deploy(node_url, owner, file)
    write_deployment(file, replace(made, chain_id=made.chain_id + 1))
    with pytest.raises(Diverged) as caught:
        deploy(node_url, owner, file)
    assert caught.value.code == "wrong-chain"


def test_deploy__nothing_at_the_address__diverged(node_url: str, owner: SigningAccount, file: Path) -> None:
    made = deploy(node_url, owner, file)
    write_deployment(file, replace(made, ledger=owner.address))
    with pytest.raises(Diverged) as caught:
        deploy(node_url, owner, file)
    assert caught.value.code == "no-code"


def test_deploy__other_code_at_the_address__diverged(node_url: str, owner: SigningAccount, file: Path) -> None:
    made = deploy(node_url, owner, file)
    write_deployment(file, replace(made, ledger=made.catalog))
    with pytest.raises(Diverged) as caught:
        deploy(node_url, owner, file)
    assert caught.value.code == "other-code"


def mixed(first: Deployment, second: Deployment, *names: str) -> Deployment:
    """The first with some contracts of the second."""
    return replace(first, **{name: asdict(second)[name] for name in names})


@pytest.mark.parametrize(
    ("names", "immutable"),
    [
        (("consortium",), "Catalog.consortium"),
        (("catalog",), "Catalog.consortium"),
        (("consortium", "catalog"), r"CaseLedger\."),
        (("ledger",), r"CaseLedger\."),
    ],
)
def test_deploy__same_code_wired_to_others__diverged_by_name(
    node_url: str, owner: SigningAccount, tmp_path: Path, names: tuple[str, ...], immutable: str
) -> None:
    """Two deployments of this release, both good, and a file that mixes them."""
    first = deploy(node_url, owner, tmp_path / "first.json")
    second = deploy(node_url, owner, tmp_path / "second.json")
    write_deployment(tmp_path / "first.json", mixed(first, second, *names))
    with pytest.raises(Diverged, match=immutable) as caught:
        deploy(node_url, owner, tmp_path / "first.json")
    assert caught.value.code == "other-wiring"


def test_deploy__ledger_on_another_catalog_of_the_same_consortium__diverged(
    web3: Web3, node_url: str, owner: SigningAccount, file: Path
) -> None:
    made = deploy(node_url, owner, file)
    plan = Plan(
        chain_id=made.chain_id,
        sender=owner.address,
        council=owner.address,
        veto_blocks=VETO_BLOCKS,
        release="",
        block=0,
        nonces=(0, 3, 4),  # the same consortium, a second catalog, a second ledger
    )
    for name, nonce in (("Catalog", 3), ("CaseLedger", 4)):
        send(web3, KeySigner(owner), nonce, None, plan.creation_code(name))
    write_deployment(file, replace(made, ledger=plan.wiring().ledger))
    with pytest.raises(Diverged, match=r"CaseLedger\.catalog"):
        deploy(node_url, owner, file)


def test_deploy__other_veto_blocks_than_deployed__diverged_with_both(
    node_url: str, owner: SigningAccount, file: Path
) -> None:
    deploy(node_url, owner, file)
    with pytest.raises(Diverged, match=rf"Consortium.vetoBlocks is {VETO_BLOCKS}, expected 7") as caught:
        module.deploy(node_url, owner, file, veto_blocks=7)
    assert caught.value.code == "other-wiring"


def test_deploy__moved_to_a_chain_of_another_id__diverged(node_url: str, owner: SigningAccount, file: Path) -> None:
    """The same code at the same addresses, made on another chain: EIP-712 would take signatures of there."""
    made = deploy(node_url, owner, file)
    wiring = Wiring(
        **{name: asdict(made)[name] for name in ("consortium", "catalog", "ledger")},
        chain_id=made.chain_id + 1,
        veto_blocks=VETO_BLOCKS,
    )
    code = bytearray(load_artifact("CaseLedger").deployed_bytecode)
    for name, value in wiring.immutables("CaseLedger").items():
        for place in load_artifact("CaseLedger").immutables[name]:
            code[place : place + 32] = value
    ask(node_url, "anvil_setCode", made.ledger, "0x" + code.hex())
    with pytest.raises(Diverged, match=r"EIP712\._cached"):
        deploy(node_url, owner, file)


def test_deploy__another_owner__diverged_with_both(node_url: str, owner: SigningAccount, file: Path) -> None:
    council = SigningAccount.generate().address
    deploy(node_url, owner, file)
    with pytest.raises(Diverged, match=council) as caught:
        deploy(node_url, owner, file, council=council)
    assert caught.value.code == "other-council"
    assert owner.address in str(caught.value)


# ── the node, money, and the chain's forks


def test_deploy__node_down__unavailable(file: Path, owner: SigningAccount) -> None:
    with pytest.raises(Unavailable):
        deploy("http://127.0.0.1:9", owner, file)


def test_deploy__creation_would_revert__refused_with_the_contract_s_error(
    node_url: str, owner: SigningAccount, file: Path
) -> None:
    with pytest.raises(Refused, match="Consortium_NoVetoBlocks"):
        module.deploy(node_url, owner, file, veto_blocks=0)


def test_deploy__cannot_pay_and_nobody_funds__refused_before_a_plan(
    web3: Web3, owner: SigningAccount, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "max_fee", lambda web3: 1)
    with pytest.raises(Refused, match=owner.address) as caught:
        deployer(web3, owner, file).deploy()
    assert caught.value.code == "no-funds"
    assert list(file.parent.iterdir()) == []


def test_deploy__cannot_pay_on_a_devnet__funded(
    web3: Web3, node_url: str, owner: SigningAccount, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "max_fee", lambda web3: 1)
    deploy(node_url, owner, file)
    assert int(ask(node_url, "eth_getBalance", owner.address, "latest"), 16) > 10**18


@pytest.fixture
def making_blocks(node_url: str) -> Iterator[None]:
    """A block every second, whether or not there is anything for it."""
    ask(node_url, "evm_setIntervalMining", 1)
    yield
    ask(node_url, "evm_setAutomine", True)


def once_seen(web3: Web3, act: Callable[[], None]) -> Web3:
    """Acts once, just after the block was read from which confirmations are counted."""
    provider: Any = web3.provider
    make_request, waiting = provider.make_request, [act]

    def request(method: Any, params: Any) -> Any:
        answer = make_request(method, params)
        if method == "eth_getBlockByNumber" and waiting:
            waiting.pop()()
        return answer

    provider.make_request = request
    return web3


def steps_seen() -> tuple[list[str], module.StepOpener]:
    """Steps by their English names, as they are opened."""
    seen: list[str] = []

    def step(zh: str, en: str) -> Any:
        seen.append(en)
        return module.silent(zh, en)

    return seen, step


@pytest.mark.usefixtures("making_blocks")
def test_deploy__confirmations_wanted__written_after_so_many_blocks(
    web3: Web3, node_url: str, owner: SigningAccount, file: Path
) -> None:
    made = deployer(web3, owner, file, confirmations=2).deploy()
    confirmed = web3.eth.block_number - 2
    assert ask(node_url, "eth_getCode", made.ledger, hex(confirmed)) != "0x"


@pytest.mark.usefixtures("making_blocks")
def test_deploy__reorganised_before_the_confirmations__sent_again(
    web3: Web3, node_url: str, owner: SigningAccount, file: Path
) -> None:
    ask(node_url, "anvil_mine", "0x5")
    seen, step = steps_seen()
    terms = Terms(veto_blocks=VETO_BLOCKS, confirmations=2)
    with open_chain(node_url) as watched:
        watched = once_seen(watched, lambda: ask(node_url, "anvil_reorg", 4, []))
        made = Deployer(watched, KeySigner(owner), file, terms, step=step).deploy()
    assert seen.count("sending CaseLedger") == 2
    assert deployer(web3, owner, file).outlook().deployment == made
    assert count_of_transactions(node_url, owner) == len(CONTRACTS)


@pytest.mark.usefixtures("making_blocks")
def test_deploy__reorganised_and_mined_again_later__confirmations_counted_anew(
    web3: Web3, node_url: str, owner: SigningAccount, file: Path
) -> None:
    ask(node_url, "anvil_mine", "0x5")

    def mine_again() -> None:
        head = web3.eth.block_number
        blocks = [ask(node_url, "eth_getBlockByNumber", hex(head - back), True) for back in range(4)]
        hashes = [
            each["hash"] for block in blocks for each in block["transactions"] if each["from"] == owner.address.lower()
        ]
        raws = sorted(
            (
                ask(node_url, "eth_getTransactionByHash", each)["nonce"],
                ask(node_url, "eth_getRawTransactionByHash", each),
            )
            for each in hashes
        )
        ask(node_url, "anvil_reorg", 4, [[raw, 2] for _, raw in raws])

    seen, step = steps_seen()
    terms = Terms(veto_blocks=VETO_BLOCKS, confirmations=2)
    with open_chain(node_url) as watched:
        Deployer(once_seen(watched, mine_again), KeySigner(owner), file, terms, step=step).deploy()
    assert seen.count("sending CaseLedger") == 1
    assert seen.count("waiting for 2 confirmations") == 2


def test_deploy__no_further_block__unavailable_and_later_it_goes_on(
    web3: Web3, owner: SigningAccount, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "WAIT_SECONDS", 0.0)
    with pytest.raises(LianbanError) as caught:
        deployer(web3, owner, file, confirmations=100).deploy()
    assert caught.value.code == "not-mined"
    assert not file.exists()
    monkeypatch.undo()
    deployer(web3, owner, file).deploy()
    assert next_nonce(web3, owner.address) == len(CONTRACTS)
