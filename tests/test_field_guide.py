"""The field guide says of each mechanism what the registry, the docstring, the module and the results say."""

import importlib.util
import re
from pathlib import Path

import pytest

from course_utils import attention, cost, stats
from course_utils.studies import find

ROOT = Path(__file__).resolve().parents[1]
spec = importlib.util.spec_from_file_location("make_field_guide", ROOT / "tools" / "make_field_guide.py")
tool = importlib.util.module_from_spec(spec)
spec.loader.exec_module(tool)
PAGE = tool.PAGE.read_text("utf-8")
CARDS = {re.search(r"### `(\w+)`", card)[1]: card
         for card in re.findall(r'(?s)<div style="break-inside: avoid">.*?</div>\n', PAGE)}
LESSONS = {path.name[:2]: path.name for path in (ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb")}
every_mechanism = pytest.mark.parametrize("name", attention.REGISTRY)


@pytest.fixture(scope="module")
def results():
    return tool.recorded(), tool.ceilings()


def test_each_mechanism_has_one_card_and_a_family():
    assert list(CARDS) == [n for family in tool.FAMILIES for n, cls in attention.REGISTRY.items() if cls.family == family]
    assert set(CARDS) == set(attention.REGISTRY) and PAGE.count("### `") == len(CARDS)


@every_mechanism
def test_a_card_is_what_the_tool_writes(name, results):
    """All but the price, which takes seconds a mechanism."""
    price = re.search(r"\| price \| (.*) \|", CARDS[name])[1]
    wanted = tool.card(name, LESSONS, price, tool.measured(name, *results))
    assert CARDS[name] == wanted, "run: python tools/make_field_guide.py"


@pytest.mark.parametrize("name", [pytest.param(n, marks=() if n in ("se", "aff", "patches") else pytest.mark.full)
                                  for n in attention.REGISTRY])
def test_the_price_is_counted(name):
    assert f"| price | {tool.added(name)} |" in CARDS[name]


@every_mechanism
def test_a_card_says_where_it_was_measured_or_that_it_was_not(name, results):
    lines = tool.measured(name, *results)
    assert ("Not measured in this course." in CARDS[name]) == (lines == [])
    assert all(f"- {line}" in CARDS[name] for line in lines)
    assert f"{cost.parameters(tool.built(name)):,} for " in CARDS[name]
    assert f"places/{attention.REGISTRY[name].home}.png" in CARDS[name]
    assert (tool.PLACES / f"{attention.REGISTRY[name].home}.png").exists()


def test_a_line_is_the_difference_that_the_study_itself_finds():
    study = find("15_find")
    runs = study.runs()
    pairs = [runs["AFF, neck"][seed] - runs["plain"][seed] for seed in runs["AFF, neck"]]
    mean, low, high = stats.t_interval(pairs)
    alone = {arm: seeds for arm, seeds in tool.recorded().items() if arm == study.trial("AFF, neck", 0)}
    seeds = next(iter(alone.values()))
    assert [a - b for seed, (a, b) in sorted(seeds.items()) if seed in runs["AFF, neck"]] == pytest.approx(pairs, abs=1e-4)
    line, = tool.measured("aff", {study.trial("AFF, neck", 0): {s: seeds[s] for s in runs["AFF, neck"]}}, {})
    assert line == (f"`find`, `fuse`, the neck (identity start), detector: {100 * mean:+.1f} points ({100 * low:+.1f} to "
                    f"{100 * high:+.1f}), n = {len(pairs)}, 400 steps")
