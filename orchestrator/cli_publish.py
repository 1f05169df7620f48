"""`lianban scenario diff`, `publish`, `bind`, `retire`: what changes, and putting it on chain with the departments' signatures.

The orchestrator is imported only when one of them runs, so that `check` and `plan` answer at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
import yaml
from rich.console import Console
from rich.markup import escape

from orchestrator.cli_scenario import FileArgument, app, load, show_changes
from orchestrator.domain.catalogue import Catalogue
from orchestrator.domain.difference import compare
from orchestrator.domain.errors import Invalid
from orchestrator.domain.vocabulary import Words
from orchestrator.domain.wording import Seating
from orchestrator.scenarios import FOLDER, load_catalogue
from orchestrator.settings import Settings, load_settings

if TYPE_CHECKING:
    from orchestrator.domain.scenario import Scenario
    from orchestrator.pipeline.publishing import Publisher, Terms

BindingOption = Annotated[
    Path, typer.Option("--binding", exists=True, dir_okay=False, help="落地文件 · which departments play which roles")
]
HAIDIAN = FOLDER / "bindings" / "haidian.yaml"


@app.command("diff")
def diff(
    old: Annotated[str, typer.Argument(help="旧:场景文件或 0x 版本号 · before: a scenario file or a 0x version")],
    new: Annotated[str, typer.Argument(help="新:场景文件或 0x 版本号 · now: a scenario file or a 0x version")],
    binding: BindingOption = HAIDIAN,
    binding_before: Annotated[
        Path | None,
        typer.Option("--binding-before", exists=True, dir_okay=False, help="原落地文件 · the binding file before"),
    ] = None,
) -> None:
    """逐项用文字说明两个版本的差别 · the difference between two versions, in words.

    Versions are known once they were published here. With --binding-before, who plays which role is compared too.
    """
    settings, console = load_settings(), Console(highlight=False)
    catalogue = load_catalogue(*sorted(settings.adapters_dir.glob("*.yaml")))
    then, now = _either(settings, old), _either(settings, new)
    before = _seating(then, read_terms(binding_before or binding), catalogue)
    seated = _seating(now, read_terms(binding), catalogue)
    changes = compare(then, now, catalogue=catalogue, seated_before=before, seated=seated)
    console.print(f"{escape(now.name.zh)} · {escape(now.name.en)}\n{then.version} →\n{now.version}", soft_wrap=True)
    if not changes:
        console.print("没有差别 · no difference")
    show_changes(console, changes)


def _either(settings: Settings, named: str) -> Scenario:
    """The scenario of a file or of a version that was published here. Raises Invalid."""
    if not named.startswith("0x"):
        return read(settings, Path(named))
    from orchestrator.database import open_pool, with_database
    from orchestrator.pipeline.context import Definitions
    from orchestrator.runtime import DATABASE

    async def known() -> Scenario:
        async with open_pool(with_database(settings.require_database_url(), DATABASE), size=1) as pool:
            return await Definitions(pool).get(named)

    return asyncio.run(known())


def _seating(scenario: Scenario, terms: Terms, catalogue: Catalogue) -> Seating:
    """Who plays which role by a binding file, as far as it fills the roles."""

    def named(department: str) -> Words:
        known = catalogue.departments.get(department)
        return Words(known.name.zh, known.name.en) if known else Words(department, department)

    def played(roles: tuple[str, ...]) -> dict[str, Words]:
        return {role: named(terms.roles[role]) for role in roles if role in terms.roles}

    return Seating(
        region=terms.region,
        identity=named(terms.identity),
        operator=named(terms.operator),
        approvers=played(scenario.approvers),
        providers=played(scenario.providers),
    )


@app.command("publish")
def publish(file: FileArgument, binding: BindingOption = HAIDIAN) -> None:
    """发布场景版本,由牵头部门签署 · publish a version, signed by the lead approver's department."""
    settings = load_settings()
    scenario, terms = read(settings, file), read_terms(binding)
    transaction = run(settings, lambda publisher: publisher.publish(scenario, terms))
    typer.echo(f"✓ {scenario.id} {scenario.version}")
    typer.echo(f"  {transaction or '该版本已在链上 / this version is on chain'}")


@app.command("bind")
def bind(file: FileArgument, binding: BindingOption = HAIDIAN) -> None:
    """落地,收集所涉各席位签名 · bind a published version, signed by every seat that it names."""
    settings = load_settings()
    scenario, terms = read(settings, file), read_terms(binding)

    async def bound(publisher: Publisher) -> tuple[int, int]:
        return await publisher.bind(scenario, terms), await publisher.newest(scenario.id, terms.region)

    number, newest = run(settings, bound)
    typer.echo(f"✓ {scenario.id} 落地号 / binding {number}")
    if newest != number:
        typer.echo(
            f"! 新办件仍按较新的落地 {newest} 办理;要按 {number} 办理,先 retire {newest}"
            f" / new cases still go under the newer binding {newest}: retire it first",
            err=True,
        )


@app.command("retire")
def retire(
    number: int, department: Annotated[str, typer.Argument(help="所涉部门之一 · one of its departments")]
) -> None:
    """终止落地的新办件,在办件照常 · end a binding for new cases; running ones go on."""
    transaction = run(load_settings(), lambda publisher: publisher.retire(number, department))
    typer.echo(f"✓ {number} {transaction}")


def read(settings: Settings, file: Path) -> Scenario:
    """The scenario in a file, with the departments' additions of this installation. Ends the command when it has faults."""
    return load(file, sorted(settings.adapters_dir.glob("*.yaml")))


def read_terms(file: Path) -> Terms:
    """A binding file. Raises Invalid when it is none."""
    from orchestrator.pipeline.publishing import Terms

    try:
        return Terms(**yaml.safe_load(file.read_text("utf-8")))
    except (yaml.YAMLError, TypeError) as error:
        raise Invalid(
            field=file.name,
            detail="落地文件无法读取",
            detail_en="the binding file cannot be read",
            remedy="写明 region、identity、operator、roles / give region, identity, operator and roles",
        ) from error


def run(settings: Settings, action: Callable[[Publisher], Awaitable[Any]]) -> Any:
    """Opens the orchestrator and lets the publisher act."""
    from orchestrator.runtime import open_runtime

    async def opened() -> Any:
        async with open_runtime(settings) as runtime:
            return await action(runtime.publisher)

    return asyncio.run(opened())


__all__ = ["app"]
