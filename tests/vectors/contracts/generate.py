"""Writes the vectors of this folder without any of our code. Run by hand when a format changes; see README.md."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import statements
import story
import trees

HERE = Path(__file__).parent


def write(name: str, document: Any) -> None:
    (HERE / name).write_text(text(document) + "\n", encoding="utf-8")


def text(value: Any, indent: str = "", depth: int = 3) -> str:
    """JSON with a line for each row of a list, so that a change of one vector is a change of one line."""
    if depth == 0 or not isinstance(value, dict | list) or not value:
        return json.dumps(value, ensure_ascii=False)
    inside = indent + " "
    if isinstance(value, list):
        rows = [text(each, inside, 0) for each in value]
        return "[\n" + ",\n".join(inside + row for row in rows) + "\n" + indent + "]"
    members = [f"{inside}{json.dumps(key)}: {text(each, inside, depth - 1)}" for key, each in value.items()]
    return "{\n" + ",\n".join(members) + "\n" + indent + "}"


if __name__ == "__main__":
    book = statements.Book()
    statements.edges(book)
    calls = story.document(book)
    write("eip712.json", book.document())
    write("calls.json", calls)
    write("signatures.json", statements.signatures())
    write("cases.json", statements.commitments())
    write("dossier.json", trees.dossiers())
    write("merkle.json", trees.merkle())
    write("consistency.json", trees.consistency())
