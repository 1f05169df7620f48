"""`lianban gateway try`: an adapter tried on one subject, before any question is asked."""

from __future__ import annotations

import asyncio
import json
import re
import secrets
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any, get_args
from zoneinfo import ZoneInfo

import psycopg
import typer
from psycopg_pool import PoolTimeout
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from orchestrator.domain.catalogue import SubjectType, located, owner_of, parse_document
from orchestrator.domain.errors import Invalid, LianbanError
from orchestrator.domain.identifiers import citizen_number_problem, uscc_problem
from orchestrator.domain.scenario import Scenario
from orchestrator.domain.scenario_file import load_scenario
from orchestrator.gateway.adapter import Adapter, read_adapters
from orchestrator.gateway.connectors.guarded import Connections
from orchestrator.gateway.fetching import require_sources
from orchestrator.gateway.records import Ask, Party, Records, Value
from orchestrator.gateway.sources import SOURCES_FILE
from orchestrator.gateway.trial import Tried, try_evidence
from orchestrator.scenarios import department_files, load_catalogue, scenario_files
from orchestrator.settings import load_settings

RECORDS_FILE = "records.dsn"
DEPARTMENT_FILE = "department.yaml"
_NUMBERS: Mapping[str, Callable[[str], str | None]] = {"citizen": citizen_number_problem, "uscc": uscc_problem}
_DECIMAL = re.compile(r"-?[0-9]+(\.[0-9]+)?")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def try_adapter(
    adapter: Annotated[Path, typer.Option(exists=True, dir_okay=False, help="部门适配文件 · the department's file")],
    subject: Annotated[
        str,
        typer.Option(help="核验对象,如 citizen:…;编号写 - 则另行输入 · about whom; `citizen:-` asks for the number"),
    ],
    evidence: Annotated[str, typer.Option(help="核验数据,默认全部适用者 · evidence; by default all that fit")] = "",
    name: Annotated[str, typer.Option(help="对象姓名或名称 · the subject's name")] = "",
    attribute: Annotated[list[str] | None, typer.Option(help="对象属性 名=值 · attribute of the subject")] = None,
    other: Annotated[list[str] | None, typer.Option(help="相关方 槽=类型:编号[:姓名] · another party by slot")] = None,
    param: Annotated[list[str] | None, typer.Option(help="核验项参数 名=值 · parameter of a claim")] = None,
    scenario: Annotated[
        list[Path] | None, typer.Option(help="场景文件,默认随附场景 · scenarios; by default those that ship")
    ] = None,
    keys: Annotated[Path | None, typer.Option(help="部门密钥目录 · the department's key folder")] = None,
    day: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="日期 YYYY-MM-DD,默认今天 · the day, by default today")
    ] = None,
) -> None:
    """试运行适配:显示记录、核验项与各方所见;不记日志、不签名 · try an adapter on one subject: record, claims, who would see what.

    Logs no question and signs nothing; needs neither chain nor keys. Shows personal data on the terminal: for the
    department's own eyes. Exit code 2: the file, an argument or a claim's value is wrong.
    """
    own = _adapter(adapter, keys)
    folder = keys or load_settings().keys_dir / own.department.id
    _require_sources_file(own, folder)
    about = _party(subject, "--subject", name, _pairs(attribute, "--attribute"))
    others: dict[str, list[Party]] = {}
    for slot, text in _pairs(other, "--other").items():
        others.setdefault(slot, []).append(_party(text, "--other"))
    wanted = _wanted(own, adapter, evidence, about.type)
    today = (day or datetime.now(ZoneInfo("Asia/Shanghai"))).date()
    params = {each: _json(text) for each, text in _pairs(param, "--param").items()}
    with _session(own, folder) as dsn:
        try:
            tried = asyncio.run(
                _try(dsn, own, folder, wanted, about, others, params, _scenarios(scenario, adapter, folder), today)
            )
        except Invalid as error:
            raise located(error, {adapter.name: _text(adapter)}) from error
    _warn_of_number(about)
    wrong = [_show(own, one) for one in tried]
    if any(wrong):
        raise typer.Exit(2)


async def _try(
    dsn: str,
    own: Adapter,
    folder: Path,
    wanted: Sequence[str],
    about: Party,
    others: Mapping[str, Sequence[Party]],
    params: Mapping[str, Any],
    scenarios: Sequence[Scenario],
    today: date,
) -> list[Tried]:
    sources = Connections(folder)
    require_sources(own, sources)
    async with Records(dsn, own, sources) as records:
        tried = []
        for each in wanted:
            try:
                tried.append(await try_evidence(records, own.evidence[each], about, others, params, scenarios, today))
            except Invalid as error:
                raise await _blamed(
                    error, records, Ask(evidence=each, claims=(), subject=about, others=others), today
                ) from error
        return tried


async def _blamed(error: Invalid, records: Records, ask: Ask, today: date) -> Invalid:
    """The fault of a claim's SQL, put where it belongs: to the record that all claims build on, when that does not run by
    itself; else with the columns that the claim could have used."""
    place, claim, _ = error.field.partition(".claims.")
    if not claim:
        return error
    try:
        looked = await records.look(ask, today)
    except psycopg.ProgrammingError as fault:
        return Invalid(
            field=f"{place}.record",
            code=error.code,
            detail="记录的 SQL 无法执行",
            detail_en=f"The record's SQL does not run: {fault.diag.message_primary}",
            remedy="核对表名、列名与列的类型 / check the names of tables and columns, and the columns' types",
        )
    except (psycopg.Error, PoolTimeout, LianbanError):
        return error
    columns = ", ".join(looked.rows[0]) if looked.rows else ""
    return Invalid(
        field=error.field,
        code=error.code,
        detail=error.detail,
        detail_en=error.detail_en,
        remedy=f"r 中有 / r has: {columns}" if columns else error.remedy,
    )


def _adapter(file: Path, keys: Path | None) -> Adapter:
    """The department of the file: as it says alone, or as an addition to the department that it extends."""
    texts = {file.name: _text(file)}
    document, owner = _document(file)
    if "extends" in document:
        base = {path.stem: path for path in department_files()}.get(owner)
        own = (keys or load_settings().keys_dir / owner) / DEPARTMENT_FILE
        base = own if own.exists() else base
        if base is not None:
            texts = {base.name: _text(base), **texts}
    try:
        return read_adapters(texts.values())[owner]
    except Invalid as error:
        raise located(error, dict(reversed(texts.items()))) from error


def _text(file: Path) -> str:
    try:
        return file.read_text("utf-8")
    except UnicodeDecodeError:
        raise Invalid(
            field=file.name,
            detail="文件不是 UTF-8 编码",
            detail_en="the file is not UTF-8",
            remedy="另存为 UTF-8 / save it as UTF-8",
        ) from None


def _document(file: Path) -> tuple[dict[str, Any], str]:
    """A department file and the department that it is about. Raises Invalid, with the file's name before the field."""
    try:
        document = parse_document(_text(file))
        return document, owner_of(document)
    except Invalid as error:
        raise _of(file, error) from error


def _of(file: Path, error: Invalid) -> Invalid:
    """The same fault with the file's name before its field."""
    place = f":{error.field[5:]}" if error.field.startswith("line ") else f" {error.field}"
    return Invalid(
        field=file.name + place,
        code=error.code,
        detail=error.detail,
        detail_en=error.detail_en,
        remedy=error.remedy,
    )


def _require_sources_file(own: Adapter, folder: Path) -> None:
    if own.sources() and not (folder / SOURCES_FILE).exists():
        raise Invalid(
            field="--keys",
            detail=f"{folder} 中没有 {SOURCES_FILE}",
            detail_en=f"there is no {SOURCES_FILE} in {folder}",
            remedy=f"以 --keys 指明写有 {SOURCES_FILE} 的目录,见 docs/department.md"
            f" / name the folder that holds {SOURCES_FILE} with --keys, see docs/department.md",
        )


def _wanted(own: Adapter, file: Path, evidence: str, kind: str) -> list[str]:
    """The evidence types to try: the one named, or those of the file that are about such a subject."""
    document, _ = _document(file)
    there = [name for name in document.get("evidence") or {} if own.evidence[name].source == "record"]
    if evidence:
        if evidence not in own.evidence or own.evidence[evidence].source != "record":
            raise Invalid(
                field="--evidence",
                detail=f"没有核验数据 {evidence}",
                detail_en=f"there is no evidence {evidence}",
                remedy=" / ".join(there),
            )
        return [evidence]
    fitting = [name for name in there if kind in own.evidence[name].subjects]
    if not fitting:
        kinds = sorted({each for name in there for each in own.evidence[name].subjects})
        raise Invalid(
            field="--subject",
            detail=f"没有以 {kind} 为对象的核验数据",
            detail_en=f"no evidence is about a {kind}",
            remedy=" / ".join(f"{each}:…" for each in kinds),
        )
    return fitting


def _party(text: str, option: str, name: str = "", attributes: Mapping[str, Any] | None = None) -> Party:
    kind, _, rest = text.partition(":")
    number, _, called = rest.partition(":")
    if kind not in get_args(SubjectType) or not number:
        raise Invalid(
            field=option,
            detail="写作 类型:编号",
            detail_en="write it as type:number",
            remedy=" / ".join(f"{each}:…" for each in get_args(SubjectType)),
        )
    if number == "-":
        number = typer.prompt(f"{kind} 编号 / number", hide_input=True)
    return Party(type=kind, id=number, name=name or called, attributes=attributes or {})


def _pairs(given: Sequence[str] | None, option: str) -> dict[str, str]:
    pairs = [text.partition("=") for text in given or ()]
    if any(not separator or not key for key, separator, _ in pairs):
        raise Invalid(field=option, detail="写作 名=值", detail_en="write it as name=value", remedy=f"{option} n=3")
    return {key: value for key, _, value in pairs}


def _json(text: str) -> Any:
    """A parameter as JSON where it is some, else as text."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _scenarios(files: Sequence[Path] | None, adapter: Path, folder: Path) -> list[Scenario]:
    """The scenarios to look for readers in, checked against the catalogue with the adapter's evidence in it."""
    document, owner = _document(adapter)
    ships = owner in {path.stem for path in department_files()}
    more = [adapter]
    if "department" in document and ships:
        more = []  # the file ships, or is another version of one that does
    elif "extends" in document and not ships and (folder / DEPARTMENT_FILE).exists():
        more = [folder / DEPARTMENT_FILE, adapter]
    try:
        catalogue = load_catalogue(*more)
    except Invalid as error:
        # Without a line: what is given twice stands in two files.
        raise error if ".yaml:" in error.field else _of(adapter, error) from error
    return [load_scenario(path.read_text("utf-8"), catalogue=catalogue) for path in files or scenario_files()]


@contextmanager
def _session(own: Adapter, folder: Path) -> Iterator[str]:
    """Where claims are computed: the department's PostgreSQL by its `records.dsn`, or a server of our own that ends with us."""
    file = folder / RECORDS_FILE
    if file.exists():
        yield file.read_text().strip()
        return
    if own.tables():
        raise Invalid(
            field=RECORDS_FILE,
            detail=f"{folder} 中没有记录库的连接文件",
            detail_en=f"there is no connection file for the records in {folder}",
            remedy=f"写入 {RECORDS_FILE},或以 --keys 指明目录 / write it, or name the folder with --keys",
        )
    from orchestrator.devnet.postgres import EmbeddedPostgres
    from orchestrator.seeding.databases import create_department_databases, database_of

    role = database_of(own.department.id)
    with tempfile.TemporaryDirectory(prefix="lianban-try-") as temporary:
        server = EmbeddedPostgres(Path(temporary))
        try:
            passwords = {each: secrets.token_urlsafe(24) for each in (role, f"{role}_reader")}
            [database] = create_department_databases(server.start(), [own], passwords)
            yield database.reader
        finally:
            server.stop()


def _warn_of_number(about: Party) -> None:
    """Says what is wrong with a number, since nobody could apply with it: the identity seat would not take it."""
    if about.type in _NUMBERS and (problem := _NUMBERS[about.type](about.id)):
        Console(highlight=False).print(f"[yellow]{escape(problem)}[/yellow]")


def _show(own: Adapter, tried: Tried) -> bool:
    """Shows what was found; True when a claim failed or gives what its type does not allow."""
    console = Console(highlight=False)
    evidence = own.evidence[tried.evidence]
    console.print(f"\n[bold]{tried.evidence} {escape(evidence.name.zh)} / {escape(evidence.name.en)}[/bold]")
    for name, rows in tried.looked.fetched.items():
        console.print(f"取得 / fetched {name}:{len(rows)}")
    console.print(_record(tried))
    claims = _table("核验结果 / claims", "核验项 / claim", "值 / value")
    wrong = False
    for claim, value in tried.claims.items():
        misfit = _misfit(evidence.claims[claim].type, value)
        wrong = wrong or bool(misfit) or _failed(value)
        claims.add_row(claim, _value(value) + (f"\n[yellow]{misfit}[/yellow]" if misfit else ""))
    console.print(claims)
    seen = _table(
        "各方所见 / what each party would see",
        "场景 / scenario",
        "核验项 / claim",
        "编排方 / orchestrator",
        "审批方 / approver",
        "值 / value",
    )
    for one in tried.seen:
        reads = "明文 / reads it" if one.orchestrator else "密文 / sealed"
        value = f"— ({one.lacks})" if one.lacks else _value(one.value)
        seen.add_row(one.scenario, f"{one.item} {one.claim}", reads, ", ".join(one.approvers), value)
    if tried.unasked:  # no scenario asks for them
        seen.add_row("无 / none", "\n".join(tried.unasked), "不见 / nothing", "不见 / nothing", "无人可见 / nobody")
    console.print(seen)
    console.print(
        "记录本身不离开本部门;以上未记入日志,未签名 / the record itself leaves for nobody; nothing was logged or signed"
    )
    return wrong


def _table(title: str, *columns: str) -> Table:
    """A table whose cells are folded where the terminal is narrow: names of claims are not to be cut off."""
    table = Table(title=title, title_justify="left")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _record(tried: Tried) -> Table | str:
    rows = tried.looked.rows
    if len(rows) != 1:
        number = "无记录" if not rows else f"{len(rows)} 条记录"
        english = "no record" if not rows else f"{len(rows)} records where one is meant"
        return f"[yellow]{number}:答复一律为未知 / {english}: every answer is unknown[/yellow]"
    table = _table("记录 / record", "列 / column", "值 / value")
    for column, value in rows[0].items():
        table.add_row(column, "[dim]null[/dim]" if value is None else escape(value))
    return table


def _value(value: Any) -> str:
    if isinstance(value, LianbanError):
        return f"[yellow]{escape(str(value))}[/yellow]"
    return escape(json.dumps(value, ensure_ascii=False))


def _failed(value: Value | LianbanError) -> bool:
    """True for a claim that could not be computed; one that only lacks a parameter here is none of the file's faults."""
    return isinstance(value, LianbanError) and not (isinstance(value, Invalid) and value.field.startswith("--param"))


def _misfit(kind: str, value: Value | LianbanError) -> str:
    """What is wrong with a value of a claim of that type; "" when nothing is. Null is a value of every type, and a predicate
    that is no condition is refused before."""
    if value is None or kind == "predicate" or isinstance(value, LianbanError):
        return ""
    fits = {
        "integer": isinstance(value, int) and not isinstance(value, bool),
        "decimal": isinstance(value, str) and _DECIMAL.fullmatch(value) is not None,
        "date": isinstance(value, str) and _DAY.fullmatch(value) is not None,
    }.get(kind, isinstance(value, str))
    return "" if fits else f"类型不符:sql 应得 {kind} / not of the claim's type: its sql is to give a {kind}"
