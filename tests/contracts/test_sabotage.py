"""The sabotages: that they miss no check of the sources, and that the games notice what they do. All of them: sabotage_run.py."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from machine import Breach, Tally, open_actors
from machine_chain import open_chain
from machine_steps import MAKE_TEST, play_game
from sabotage import ROOT, sabotages
from sabotage_run import build

REFUSAL = re.compile(
    r"\brevert \w+\(|\breturn \w+Refusal\.(?!None)|\breturn false\b|\bonlyOwner\b|^ +_require\w+\(", re.MULTILINE
)
"""Where a source says no."""
SOURCES = sorted(
    path
    for path in (ROOT / "contracts").glob("**/*.sol")
    if ".cache" not in path.parts and path.parent.name != "interfaces"
)


@pytest.mark.parametrize("path", SOURCES, ids=[path.stem for path in SOURCES])
def test_sabotages__every_place_where_a_source_refuses__is_taken_out_by_one(path: Path) -> None:
    source = re.sub(r"//[^\n]*", lambda match: " " * len(match.group()), path.read_text(encoding="utf-8"))
    ours = [one for one in sabotages() if ROOT / one.file == path]
    for refusal in REFUSAL.finditer(source):
        place = refusal.end()
        # Either it is taken out itself, or the condition that leads to it with nothing in between.
        assert any(
            one.start <= place <= one.end or (one.end < place and ";" not in source[one.end : place]) for one in ours
        ), f"{path.name}:{source.count(chr(10), 0, place) + 1}"


def test_games__nobody_asks_who_signed__noticed_as_I1() -> None:
    sabotage = next(one for one in sabotages() if "if (!_signedFor(next, terms).has(place))" in one.what)
    compiled = build(sabotage)
    with open_chain() as node:
        actors = open_actors(node, compiled)
        with pytest.raises(Breach, match="I1"):
            play_game(node, compiled, actors, 0, MAKE_TEST.steps, Tally())
