"""`lianban seat`: what a department does about its own seat: agree to hold it, watch it, veto a change of its keys."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from orchestrator.council.acts import KeysKind
from orchestrator.council.agreements import agree, write_agreement
from orchestrator.council.desk import Desk, at_desk, passphrase
from orchestrator.council.effects import STANDINGS
from orchestrator.council.refusals import explained
from orchestrator.council.registry import Registry
from orchestrator.council.telling import announced_words, confirm
from orchestrator.domain.errors import Invalid, Refused
from orchestrator.ledger.abi import ContractAbi
from orchestrator.ledger.artifacts import load_artifact
from orchestrator.ledger.rpc import Reverted
from orchestrator.ledger.sender import Sender
from orchestrator.ledger.transactions import fund
from orchestrator.protocol.keyfolder import keep_past_sealing, load_seat_keys, save_seat_keys
from orchestrator.protocol.keyset import Keyset, SeatKeys, generate_seat_keys
from orchestrator.protocol.sheet import veto_digest
from orchestrator.settings import load_settings

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,
    help="本部门的席位 · a department's own seat",
)
agreements = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,
    help="同意书:交给理事会 · an agreement for the council",
)
app.add_typer(agreements, name="agree")

Seat = Annotated[int, typer.Argument(min=0, max=255, help="席位号 · seat number")]
Keys = Annotated[Path, typer.Option("--keys", file_okay=False, help="新密钥目录,没有则生成 · folder of the new keys")]
Out = Annotated[Path, typer.Option("--out", dir_okay=False, help="同意书写到哪里 · where the agreement goes")]
Description = Annotated[
    Path, typer.Option("--description", dir_okay=False, help="部门说明文件 · the department's description (YAML)")
]
PassphraseFile = Annotated[
    Path | None, typer.Option("--passphrase-file", help="口令文件 · file with the keys' passphrase")
]

_DESCRIBED = {"id", "name", "uscc", "region", "parent", "vertical", "hosted_by", "endpoint"}


@agreements.command("admission")
def admission(
    seat: Seat, description: Description, keys: Keys, out: Out, passphrase_file: PassphraseFile = None
) -> None:
    """同意加入,用于 council propose admit · agree to hold a new seat."""
    _agree("admit", seat, description, keys, out, passphrase_file)


@agreements.command("recovery")
def recovery(
    seat: Seat,
    keys: Keys,
    out: Out,
    description: Annotated[
        Path | None, typer.Option("--description", dir_okay=False, help="默认沿用现文档 · default: as it is now")
    ] = None,
    passphrase_file: PassphraseFile = None,
) -> None:
    """丢失密钥后同意换用新密钥,用于 propose recover · agree to new keys after the old ones were lost."""
    _agree("recover", seat, description, keys, out, passphrase_file)


@agreements.command("succession")
def succession(
    seat: Seat, description: Description, keys: Keys, out: Out, passphrase_file: PassphraseFile = None
) -> None:
    """同意承接另一部门的席位,用于 propose succeed · agree to take over another department's seat."""
    _agree("succeed", seat, description, keys, out, passphrase_file)


@app.command()
def show(seat: Seat) -> None:
    """席位现状、已公告的变更 · the seat as it stands, with what is announced for it."""

    async def look(desk: Desk) -> None:
        registry, there = desk.registry, desk.registry.seat(seat)
        keyset = there.keyset
        typer.echo(f"席位 seat {seat}  {' '.join(STANDINGS[there.standing])}")
        typer.echo(
            f"  部门 department  {keyset.name['zh']} · {keyset.id}" if keyset else "  密钥文档无效 · no valid keyset"
        )
        typer.echo(f"  链上密钥 chain key  {there.signer}")
        if there.announced is None:
            typer.echo("  没有待生效的变更 · no change is announced")
            return
        announced = there.announced
        typer.echo(f"  待生效 announced  {announced_words(there, registry)}")
        for line in _differences(keyset, announced.keyset, there.signer, announced.signer):
            typer.echo(f"    {line}")
        typer.echo(f"  否决 to veto: lianban seat veto {seat} --key …")

    at_desk(look)


@app.command()
def veto(
    seat: Seat,
    key: Annotated[Path, typer.Option("--key", file_okay=False, help="现用密钥目录 · folder of the keys in force")],
    passphrase_file: PassphraseFile = None,
    yes: Annotated[bool, typer.Option("--yes", help="不再询问 · do not ask")] = False,
) -> None:
    """否决已公告、尚未生效的密钥变更 · refuse an announced change of the seat's keys, before it is in force."""

    async def refuse(desk: Desk) -> None:
        registry, there = desk.registry, desk.registry.seat(seat)
        if there.announced is None or there.announced.left(registry.block) < 1:
            raise Refused(
                f"席位 {seat} 没有待生效的变更:或从未公告,或已生效、已否决、已撤回",
                detail_en=f"no change of seat {seat} is still to come: too late, dropped already, or never announced",
                code="nothing-announced",
                remedy="若变更已生效且非本部门所愿,请理事会 suspend / if it is in force against your will: have it suspended",
            )
        keys = load_seat_keys(key, passphrase(desk.settings, passphrase_file), {"chain"})
        account = keys.chain_of(there.signer)
        if account is None:
            raise Invalid(
                field="key",
                detail=f"{keys.chain.address} 不是席位 {seat} 现用的密钥",
                detail_en=f"{keys.chain.address} is not the key in force of seat {seat}",
                remedy=f"用 {there.signer} 的密钥目录 / use the key folder of {there.signer}",
                code="not-the-signer",
            )
        change = there.announced.change
        typer.echo(f"{announced_words(there, registry)}")
        confirm("否决? / veto it?", yes)
        signature = account.sign_hash(veto_digest(desk.view.domain("Consortium"), seat, change))
        await _send(desk, "veto", seat, change, signature)
        typer.echo(f"✓ 已否决 / vetoed: {change}")

    at_desk(refuse)


@app.command("keep-sealing")
def keep_sealing(
    old: Annotated[Path, typer.Argument(file_okay=False, help="原密钥目录 · folder of the replaced keys")],
    keys: Annotated[Path, typer.Option("--keys", file_okay=False, help="现用密钥目录 · folder of the keys in force")],
    old_passphrase_file: Annotated[
        Path | None, typer.Option("--old-passphrase-file", help="原密钥的口令文件 · file with the old keys' passphrase")
    ] = None,
    passphrase_file: PassphraseFile = None,
) -> None:
    """接收旧解封密钥:在办件封给它的内容仍可打开 · keep the replaced sealing key, so that open cases still open.

    Only the sealing key passes on; it opens and cannot sign anything.
    """
    settings = load_settings()
    replaced = load_seat_keys(old, passphrase(settings, old_passphrase_file), {"sealing"}).sealing
    kept = keep_past_sealing(replaced, keys, passphrase(settings, passphrase_file))
    typer.echo(f"✓ {keys / 'past'}:{kept} 把旧解封密钥 / replaced sealing keys")


def _agree(
    kind: KeysKind, seat: int, description: Path | None, folder: Path, out: Path, passphrase_file: Path | None
) -> None:
    async def agreeing(desk: Desk) -> None:
        registry = desk.registry
        identity = _needs_identity(registry, seat)
        described = _described(description) if description else _present(registry, seat)
        identity = described.pop("identity", identity)
        opened = _open_or_make(folder, passphrase(desk.settings, passphrase_file), identity)
        keyset = Keyset(seat=seat, **described, keys=tuple(opened.public_jwks()))
        change = 0 if kind == "admit" else registry.seat(seat).changes + 1
        agreement = agree(kind, desk.view.domain("Consortium"), keyset, opened.chain, change)
        write_agreement(out, agreement)
        typer.echo(f"✓ {out}:席位 seat {seat}, {keyset.id}, {opened.chain.address}")
        if kind != "admit":
            typer.echo(
                f"  席位若再公告其他变更,本同意书即失效(第 {change} 次)/ void once another change is announced ({change})"
            )

    at_desk(agreeing)


def _described(file: Path) -> dict[str, Any]:
    """A department's description. Raises Invalid naming what lacks or is too much."""
    try:
        found = yaml.safe_load(file.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        found = None
    if not isinstance(found, dict):
        raise _faulty_description("description", "无法读取", "cannot be read")
    faulty = sorted((_DESCRIBED - found.keys()) | (found.keys() - _DESCRIBED - {"identity"}), key=str)
    if faulty:
        raise _faulty_description(str(faulty[0]), "缺少或多余", "is missing, or should not be there")
    if not isinstance(found.get("identity", False), bool):
        raise _faulty_description("identity", "应为 true 或 false", "is true or false")
    return found


def _present(registry: Registry, seat: int) -> dict[str, Any]:
    keyset = registry.seat(seat).keyset
    if keyset is None:
        raise _faulty_description(
            "description", "缺少:席位没有有效文档可沿用", "is missing, and the seat has no document"
        )
    return {field: getattr(keyset, field) for field in _DESCRIBED}


def _needs_identity(registry: Registry, seat: int) -> bool:
    """Whether the seat has identity keys now, and so its next keys have some."""
    there = registry.seats.get(seat)
    return there is not None and there.keyset is not None and any(k["use_for"] == "identity" for k in there.keyset.keys)


def _open_or_make(folder: Path, secret: str, identity: bool) -> SeatKeys:
    """The keys in the folder, made there when it has none."""
    if not (folder / "chain.json").exists():
        save_seat_keys(generate_seat_keys(identity=identity), folder, secret)
    opened = load_seat_keys(folder, secret)
    if opened.has_identity != identity:
        raise Invalid(
            field="keys",
            detail="身份密钥与席位用途不符",
            detail_en="the folder has an identity key and the seat needs none, or the reverse",
            remedy="换一个空目录,或在说明文件中改 identity / take an empty folder, or change identity in the description",
        )
    return opened


def _differences(before: Keyset | None, after: Keyset | None, old: str, new: str) -> list[str]:
    """What would be other than now, line by line."""
    lines = [f"链上密钥 chain key: {old} → {new}"]
    if after is None:
        return [*lines, "新文档不是该席位的有效文档 · the new document is no keyset of this seat"]
    for field in sorted(_DESCRIBED):
        was, is_ = getattr(before, field, None), getattr(after, field)
        if was != is_:
            lines.append(f"{field}: {was} → {is_}")
    uses = sorted({jwk["use_for"] for jwk in after.keys} | {jwk["use_for"] for jwk in (before.keys if before else ())})
    for use in uses:
        was, is_ = _kid(before, use), _kid(after, use)
        if was != is_:
            lines.append(f"{use}: {was} → {is_}")
    return lines


def _kid(keyset: Keyset | None, use: str) -> str | None:
    return next((jwk["kid"] for jwk in (keyset.keys if keyset else ()) if jwk["use_for"] == use), None)


async def _send(desk: Desk, function: str, *arguments: Any) -> None:
    """Sends a signed statement of the seat from this installation's account. Raises Refused in words."""
    payer = desk.payer()
    call = ContractAbi(load_artifact("Consortium").abi).call(function, *arguments)
    try:
        await desk.rpc.call(
            "eth_call", [{"from": payer.address, "to": desk.registry.consortium, "data": call}, "latest"]
        )
    except Reverted as error:
        raise explained(error.data) from None
    fund(desk.settings.require_node_url(), payer.address, timeout=desk.settings.rpc_timeout)
    await Sender(desk.rpc, desk.view, payer).send("Consortium", function, *arguments)


def _faulty_description(field: str, problem: str, problem_en: str) -> Invalid:
    return Invalid(
        field=field,
        detail=f"部门说明文件中 {field} {problem}",
        detail_en=f"{field} of the department's description {problem_en}",
        remedy="见 docs/council.md 的样例 / see the example in docs/council.md",
        code="faulty-description",
    )
