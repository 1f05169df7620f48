"""What a department lets its gateway sign: the words of its policy file, and a file that changes while the gateway runs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.domain.errors import Invalid, Unavailable
from orchestrator.gateway.policy import Policy, PolicyFile

HAIDIAN, CHAOYANG = "110108", "110105"
POLICY = """
sign:
  open-gallery: auto
  real-estate-registration: ask
  unemployment-benefit-claim: never
  enterprise-establishment:
    auto: {roles: [provider, identity], regions: ["110108"]}
    otherwise: never
  open-exhibition-hall:
    auto: {roles: [publisher]}
push_days: 10
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "policy.yaml"
    before = path.stat().st_mtime_ns if path.exists() else 0
    path.write_text(text, "utf-8")
    os.utime(path, ns=(before + 1_000_000, before + 1_000_000))  # however coarse the clock
    return path


@pytest.mark.parametrize(
    ("scenario", "roles", "region", "word"),
    [
        ("open-gallery", {"approver", "provider"}, CHAOYANG, "auto"),
        ("open-gallery", {"publisher"}, None, "auto"),
        ("real-estate-registration", {"provider"}, HAIDIAN, "ask"),
        ("unemployment-benefit-claim", {"provider"}, HAIDIAN, "never"),
        ("enterprise-establishment", {"provider"}, HAIDIAN, "auto"),
        ("enterprise-establishment", {"provider", "identity"}, HAIDIAN, "auto"),
        ("enterprise-establishment", {"provider", "approver"}, HAIDIAN, "never"),
        ("enterprise-establishment", {"provider"}, CHAOYANG, "never"),
        ("enterprise-establishment", {"publisher"}, None, "never"),
        ("open-exhibition-hall", {"publisher"}, None, "auto"),
        ("open-exhibition-hall", {"approver"}, HAIDIAN, "ask"),
        ("a-scenario-of-tomorrow", {"provider"}, HAIDIAN, "ask"),
    ],
)
def test_word__by_scenario_role_and_region__as_written(
    tmp_path: Path, scenario: str, roles: Any, region: str | None, word: str
) -> None:
    policy = Policy.load(written(tmp_path, POLICY))
    assert policy.word(scenario, roles, region) == word
    assert policy.push_days == 10


def test_load__example_of_the_docs__reads(tmp_path: Path) -> None:
    text = (Path(__file__).parents[3] / "docs" / "department.md").read_text("utf-8")
    (example,) = [block for block in text.split("```") if block.startswith("yaml\nsign:")]
    policy = Policy.load(written(tmp_path, example.removeprefix("yaml")))
    words = [policy.word(name, {"provider"}, HAIDIAN) for name in ("open-gallery", "real-estate-registration")]
    assert words == ["auto", "ask"]
    assert policy.word("enterprise-establishment", {"approver"}, HAIDIAN) == "ask"


@pytest.mark.parametrize("word", ["auto", "ask", "never"])
def test_word__one_for_all_or_for_the_others__counts(word: Any) -> None:
    assert Policy(sign=word).word("anything", {"approver"}, HAIDIAN) == word
    others = Policy.model_validate({"sign": {"*": word, "open-gallery": "never"}})
    assert others.word("anything", {"approver"}, HAIDIAN) == word
    assert others.word("open-gallery", {"approver"}, HAIDIAN) == "never"


def test_word__nothing_written__an_officer_is_asked(tmp_path: Path) -> None:
    for policy in (Policy(), Policy.load(written(tmp_path, "")), Policy.load(written(tmp_path, "push_days: 5"))):
        assert policy.word("open-gallery", {"provider"}, HAIDIAN) == "ask"


ROLES = st.frozensets(st.sampled_from(["identity", "operator", "approver", "provider", "publisher"]), min_size=1)


@given(played=ROLES, allowed=ROLES, more=ROLES)
def test_word__roles__never_more_by_playing_more(played: Any, allowed: Any, more: Any) -> None:
    policy = Policy.model_validate({"sign": {"s": {"auto": {"roles": sorted(allowed)}, "otherwise": "never"}}})
    if policy.word("s", played | more, HAIDIAN) == "auto":
        assert policy.word("s", played, HAIDIAN) == "auto"
    assert (policy.word("s", played, HAIDIAN) == "auto") == (played <= allowed)


@pytest.mark.parametrize(
    "text",
    [
        "sign: some",
        "sign: all",
        "sign: [open-gallery]",
        "sign: {open-gallery: yes}",
        "sign: {Open Gallery: auto}",
        "sign: {open-gallery: {auto: {roles: [boss]}}}",
        "sign: {open-gallery: {auto: {regions: [110108]}}}",
        "sign: {open-gallery: {auto: {}, otherwise: auto}}",
        "sign: {open-gallery: {otherwise: ask}}",
        "push_days: -1",
        "push_days: 401",
        "more: 1",
        "[",
        "x",
    ],
)
def test_load__faulty_file__invalid(tmp_path: Path, text: str) -> None:
    path = written(tmp_path, text)
    for read in (Policy.load, PolicyFile):
        with pytest.raises(Invalid) as error:
            read(path)
        assert error.value.field == "policy.yaml"
        assert "docs/department.md" in error.value.remedy


def test_policy_file__comes_changes_and_goes__taken_up(tmp_path: Path) -> None:
    file = PolicyFile(tmp_path / "policy.yaml")
    assert file.for_signing().sign == "ask"
    path = written(tmp_path, "sign: auto\npush_days: 3")
    assert (file.for_signing().sign, file.last.push_days) == ("auto", 3)
    written(tmp_path, "sign: never")
    assert (file.last.push_days, file.for_signing().sign) == (90, "never")
    path.unlink()
    assert file.for_signing() == Policy()


def test_policy_file__turns_faulty__nothing_is_signed_and_answers_go_on(tmp_path: Path) -> None:
    path = written(tmp_path, "sign: auto\npush_days: 3")
    file = PolicyFile(path)
    written(tmp_path, "sign: nevr")
    for _ in range(2):
        with pytest.raises(Unavailable) as error:
            file.for_signing()
        assert error.value.code == "policy-faulty"
        assert file.last.push_days == 3
    written(tmp_path, "sign: never")
    assert file.for_signing().sign == "never"
