"""Faults of shape in words: what pydantic finds in a file that a person wrote, in both languages and with a remedy.

A validator of ours speaks both languages itself: `raise ValueError("没有列 x / there is no column x")`.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping
from typing import Any

MOST_NAMED = 8
"""Names up to which a remedy lists all that there are; of more it names those most like the one given."""

_MESSAGES = {
    "missing": ("缺少字段", "This field is missing", "补充该字段 / add it"),
    "extra_forbidden": ("未知字段", "There is no such field", "删除或更正名称 / remove it or correct its name"),
    "string_type": ("应为文字", "A text is expected", "加引号 / put it in quotes"),
    "string_too_short": ("不能为空", "It cannot be empty", "填写内容 / give a text"),
    "too_short": ("至少一项", "At least one entry is needed", "补充 / add one"),
    "bool_type": ("应为 true 或 false", "true or false is expected", "true / false"),
    "int_type": ("应为整数", "A whole number is expected", "1"),
    "date_from_datetime_parsing": ("应为日期", "A date is expected", "YYYY-MM-DD"),
    "date_type": ("应为日期", "A date is expected", "YYYY-MM-DD"),
    "tuple_type": ("应为列表", "A list is expected", "- …"),
    "model_type": ("应为映射", "A map of fields is expected", "key: value"),
    "model_attributes_type": ("应为映射", "A map of fields is expected", "key: value"),
    "dict_type": ("应为映射", "A map of fields is expected", "key: value"),
    "mapping_type": ("应为映射", "A map of fields is expected", "key: value"),
}
_PATTERNS = {
    r"^[a-z][a-z0-9_]*$": "snake_case: lower_case_1",
    r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$": "kebab-case: lower-case-1",
    r"^[a-z][a-z0-9-]*$": "kebab-case: lower-case-1",
    r"^[a-z_][a-z0-9_]{0,62}$": "snake_case: lower_case_1",
    r"^E[0-9]{2,3}\.[a-z][a-z0-9_]*(\.[a-z][a-z0-9-]*)?$": "<核验数据 type>.<角色 role>[.variant]: E05.company",
    r"^E\d{2,3}$": "E40",
    r"^urn:lianban:credential:[a-z0-9:-]+$": "urn:lianban:credential:my-scenario:1",
    r"^[0-9]{3}$": '"001"',
    r"^((char|varchar)\(\d+\)|numeric\(\d+,\d+\)|integer|bigint|date|text|boolean)$": (
        'char(18) / varchar(60) / "numeric(12,2)" / integer / bigint / date / text / boolean'
    ),
}
"""What a pattern means, by an example."""


def explain(error: Mapping[str, Any], *, guide: str) -> tuple[str, str, str]:
    """One of pydantic's error entries as (zh, en, remedy); `guide` is the document to look into."""
    kind, context = str(error["type"]), error.get("ctx") or {}
    if kind == "literal_error":
        return "不是可选值", "This is none of the possible values", str(context["expected"])
    if kind == "string_pattern_mismatch":
        pattern = str(context["pattern"])
        return "写法不正确", "It is not written as it should be", _PATTERNS.get(pattern, pattern)
    if kind == "model_type" and context.get("class_name") == "Text":
        return "应为中英文文本", "A text in both languages is expected", "{zh: …, en: …}"
    if kind == "value_error":
        message = str(error["msg"]).removeprefix("Value error, ")
        zh, separator, en = message.partition(" / ")
        return (zh, en, guide) if separator else ("内容不正确", message, guide)
    return _MESSAGES.get(kind, ("内容不正确", str(error["msg"]), guide))


def yaml_remedy(problem: str) -> str:
    """What to do about a file that is no YAML, by what the parser says."""
    if "\\t" in problem:
        return "缩进用空格,不用制表符 / indent with spaces, not tabs"
    return "含 , : ? # 的文字加引号;核对缩进 / put texts with , : ? or # in quotes; check the indentation"


def nearest(name: str, known: Collection[str]) -> str:
    """What there is, as a remedy for a name that there is not: all of a few, else what looks most like it."""
    if len(known) <= MOST_NAMED:
        return " / ".join(sorted(known))
    alike = difflib.get_close_matches(name, sorted(known), n=3, cutoff=0.6)
    same_last = [each for each in sorted(known) if each.rpartition(".")[2] == name.rpartition(".")[2]]
    found = list(dict.fromkeys([*same_last, *alike]))[:MOST_NAMED]
    if found:
        return " / ".join(found)
    prefix = name.partition(".")[0]
    beside = sorted(each for each in known if each.partition(".")[0] == prefix) or sorted(known)
    return " / ".join(beside[:MOST_NAMED]) + (" / …" if len(beside) > MOST_NAMED else "")
