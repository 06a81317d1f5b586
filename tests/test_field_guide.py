"""The field guide says of each mechanism what the registry, the docstring, the module and the results say, and no more."""

import re
from collections import Counter
from dataclasses import replace

import formulas
import make_field_guide as tool
import pytest
import torch
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from test_browser import chromium  # noqa: F401  (a fixture)

from course_utils import attention, cost, guide, stats, studies
from course_utils.attention.channel import eca_kernel
from course_utils.guide import cards, counted, results
from course_utils.studies import CATALOGUE

PAGE, PAPER = tool.PAGE.read_text("utf-8"), tool.PAPER.read_text("utf-8")
TEXTS = dict(re.findall(r"(?ms)^### `(\w+)`\n(.*?)(?=^##|\Z)", PAGE))
every_mechanism = pytest.mark.parametrize("name", attention.REGISTRY)
some = pytest.mark.parametrize("name", [pytest.param(n, marks=() if n in ("se", "aff", "patches") else pytest.mark.full)
                                        for n in attention.REGISTRY])


@pytest.fixture(scope="module")
def found():
    return results.recorded()


@pytest.fixture(scope="module")
def made():
    """All cards anew, but for the prices, which take seconds each."""
    return tool.cards(tool.prices_on(PAGE))


# ---- the pages

def test_each_mechanism_has_one_card_and_a_family():
    order = [n for family in tool.FAMILIES for n, cls in attention.REGISTRY.items() if cls.family == family]
    assert re.findall(r"(?m)^### `(\w+)`$", PAGE) == order == re.findall(r'<article id="(\w+)"', PAPER)
    assert sorted(order) == sorted(attention.REGISTRY)


def test_the_page_is_what_the_tool_writes(made):
    assert tool.page(made, tool.drawings()) == PAGE, "run: python tools/make_field_guide.py --keep-prices"


def test_the_page_for_paper_is_what_the_tool_writes(made):
    pngs = {name: tool.png_of(name).read_bytes() for name in tool.drawings()}
    assert tool.paper(made, tool.drawings(), pngs) == PAPER, "run: python tools/make_field_guide.py --keep-prices"


def test_the_page_for_paper_needs_nothing_else():
    reached = re.findall(r'(?:href|src)="([^"]*)"', PAPER) + re.findall(r"url\(([^)]*)\)|@import (\S+)", PAPER)
    assert reached and all(link.startswith(("#", "https://arxiv.org/abs/", "data:image/png;base64,")) for link in reached)
    assert "<script" not in PAPER and all(f'id="{link[1:]}"' in PAPER for link in reached if link[0] == "#")


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1280])
def test_nothing_is_wider_than_the_window(width, scheme, chromium):  # noqa: F811
    page = chromium.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page.goto(tool.PAPER.as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate("[...document.querySelectorAll('article')].filter(a => a.scrollWidth > a.clientWidth).length") == 0
    page.close()


@pytest.mark.browser
def test_on_paper_a_card_fits_on_a_sheet_or_may_break(chromium):  # noqa: F811
    page = chromium.new_page(viewport={"width": 718, "height": 1047})      # A4 within its margins
    page.goto(tool.PAPER.as_uri())
    page.emulate_media(media="print")
    cards = page.evaluate("[...document.querySelectorAll('article')].map(a => [a.id, a.getBoundingClientRect().height, "
                          "getComputedStyle(a).breakInside, a.scrollWidth > a.clientWidth])")
    high = {name for name, height, *_ in cards if height > 1047}
    broken = {name for name, _, rule, _ in cards if rule != "avoid"}
    assert high <= broken and len(broken) <= 4 and "se" in high, "change LONG in tools/make_field_guide.py"
    assert not [name for name, *_, wide in cards if wide], "the browser would print the whole page smaller"
    page.close()


# ---- what is said of a mechanism

@every_mechanism
def test_the_drawing_lights_its_home_and_says_so(name):
    home = attention.REGISTRY[name].home
    fig = guide.drawing(home)
    lit = {(patch.get_gid() or "").split()[1] for ax in fig.axes for patch in ax.patches
           if (patch.get_gid() or "").startswith("socket") and patch.get_gid().endswith(" lit")}
    number = re.fullmatch(rf"The network of the course\. Lit: (\S+) {home} \(.*\)\.", fig.alt)[1]
    assert lit == {number} and f"![{fig.alt}](socket_{home}.png)" in TEXTS[name] and tool.png_of(home).exists()


# What the docstrings leave to the options, as they are when nothing is said. Of C channels, where they are not numbers.
SYMBOLS = {
    "se": {"r": 16}, "eca": {"k": eca_kernel}, "ge_learned": {"e": 8}, "channel_gate": {"r": 16}, "spatial_gate": {"k": 7},
    "attention_gate": {"subsample": 2, "C_g": lambda c: c, "C_i": lambda c: c // 2}, "residual_mask": {"levels": 2},
    "lska": {"a": 5, "b": 7}, "sge": {"G": 64}, "cbam": {"r": 16, "k": 7}, "bam": {"r": 16}, "scse": {"r": 2},
    "coordinate": {"m": lambda c: max(8, c // 32)}, "triplet": {"k": 7}, "ela": {"k": 7}, "ema": {"G": 32}, "shuffle": {"G": 32},
    "aff": {"r": 4}, "iaff": {"r": 4}, "non_local": {"d": lambda c: c // 2}, "gc": {"r": 16},
    "efficient": {"d": lambda c: c // 2}, "criss_cross": {"r": 8}, "double": {"m": lambda c: c // 4, "n": lambda c: c // 4},
    "halo": {"b": 8, "h": 3, "d": 16}, "sk": {"M": 2, "G": 1, "d": 32},
    "split": {"C_out": lambda c: c, "G": 1, "R": 2, "d": lambda c: max(32, c // 2)},
    "condconv": {"E": 8, "k": 3, "C_out": lambda c: c, "G": 1},
    "dynamic_conv": {"K": 4, "k": 3, "C_out": lambda c: c, "G": 1, "reduction": 4},
    "deform_conv": {"k": 3, "C_out": lambda c: c, "G": 1}, "pixel_gate": {"hidden": 8}, "stn": {"hidden": 8},
    "patches": {"hidden": 16}, "attention_pool": {"hidden": lambda c: c // 4},
}


@every_mechanism
def test_formula_and_number_of_parameters_are_those_of_the_module(name):
    module, channels = counted.module(name)
    known = {symbol: given(channels) if callable(given) else given for symbol, given in SYMBOLS.get(name, {}).items()}
    text = re.search(r"\| parameters \| (.*)\. That is ([\d,]+) for (\d+) channels \|", TEXTS[name])
    more = 2 * channels if name == "non_local" else 0      # "with norm 2 C more", and it has one
    assert formulas.value(text[1], {"C": channels, **known}) + more == cost.parameters(module)
    assert text.groups()[1:] == (f"{cost.parameters(module):,}", str(channels))


@some
def test_the_price_is_counted(name):
    number = r"[-+][\d,]+(?:\.\d+)?"
    there, now = tool.prices_on(PAGE)[name], str(guide.price(name))
    assert re.sub(number, "", there) == re.sub(number, "", now)
    values = [[float(n.replace(",", "")) for n in re.findall(number, text)] for text in (there, now)]
    assert values[0][:1] == values[1][:1] and values[0] == pytest.approx(values[1], rel=0.02, abs=0.11)


def test_a_price_is_the_difference_of_two_networks():
    net = counted.host()
    before = cost.parameters(net), cost.traffic(net, counted.pictures())
    from course_utils.sockets import plug_in
    plug_in(net, "eca", at="post", input_size=64)
    price = guide.price("eca")
    assert price.places == 8 and price.parameters == cost.parameters(net) - before[0] == 36
    assert price.share[2] == pytest.approx(cost.traffic(net, counted.pictures()) / before[1] - 1, rel=0.2)


def test_what_cannot_stand_there_says_why():
    assert str(guide.price("patches")).startswith("not on a ResNet-18: patches replaces the picture")


# ---- what was measured

@pytest.fixture(scope="module")
def twice(found):
    """The arms that have run twice or more: (mechanism, host)."""
    runs = Counter(r.trial.arm for of_study in found.values() for r in of_study)
    return {(arm.mechanism, arm.host) for arm, count in runs.items() if count > 1}


@every_mechanism
def test_it_was_measured_or_the_card_says_that_it_was_not(name, twice):
    """Independently of how lines are made."""
    built_around_it = {(None, "zoom"), (None, "zoom_two")} if name == "patches" else set()
    there = bool(built_around_it & twice) or any(mechanism == name for mechanism, _ in twice)
    assert (guide.NONE in TEXTS[name]) == (not there)
    if guide.NONE in TEXTS[name]:
        assert not re.search(r"jsonl|verdict| n = \d", TEXTS[name])


def lines(name):
    """The contrasts on a card, cell by cell."""
    return [re.split(r" *\| *", line) for line in re.findall(r"(?m)^\| (`\w+`.*?) \|$", TEXTS[name])]


def rows(name):
    """(study, compared) -> the other cells."""
    return {(re.search(r"results/(\w+)\.jsonl", line[0])[1], line[1]): line[2:] for line in lines(name)}


@pytest.mark.parametrize("name, study, ours, control", [
    ("eca", "02_channel", "ECA", "plain"), ("se", "10_fashion", "SE, after_add", "plain"),
    ("spatial_gate", "03_spatial", "spatial gate, 7x7", "plain"), ("bot", "05_bot", "BoT", "plain"),
    ("patches", "07_large", "patch selection", "copy, a quarter"), ("attention_pool", "07_pools", "attention", "max"),
    ("aff", "15_find", "AFF, neck", "plain"), ("cbam", "13_norms", "CBAM, as made", "nothing")])
def test_a_line_is_the_difference_that_the_study_itself_finds(name, study, ours, control):
    study = studies.find(study)
    d = study.differences()[ours, control]
    assert rows(name)[study.name, f"{ours} - {control}"][0].removeprefix("AP ") == \
        f"{d.mean:+.3f} ({d.low:+.3f} to {d.high:+.3f}), n = {d.n}"


@pytest.mark.parametrize("name, ours", [("aff", "AFF, neck"), ("attention_gate", "attention gate, neck")])
def test_a_study_on_other_seeds_stands_beside_the_first(name, ours):
    """By its name, NAME_again, where what it is about is worded in its own way."""
    d = studies.find("15_find_again").differences()[ours, "plain"]
    assert f"{d.mean:+.3f} ({d.low:+.3f} to {d.high:+.3f}), n = {d.n}" in rows(name)["15_find", f"{ours} - plain"][-1]
    assert ("15_find_again", f"{ours} - plain") not in rows(name)


def test_every_contrast_of_a_mechanism_with_none_is_on_its_card(made, found):
    shown = {(name, study, *c.runs[:2]) for name, card in made.items() for c in card.measured.contrasts
             for study in (c.study.name, *c.also, *(other for other, _ in c.again))}
    for key, of_study in found.items():
        study = CATALOGUE[key]
        for v in studies.verdict.verdicts(study, of_study):
            if (v.ours, v.control) in study.contrasts:
                trials = study.trial(v.ours, 0), study.trial(v.control, 0)
                kinds = set(map(results.of, trials))
                if len(kinds) == 2 and None in kinds:
                    assert ((kinds - {None}).pop(), key, *trials) in shown
    assert sum(len(lines(name)) for name in TEXTS) == sum(len(card.measured.contrasts) for card in made.values())


def test_every_arm_that_has_run_is_on_a_card(made, found):
    """Of a study whose lines say otherwise what they hold, arms would be lost without a word."""
    for key, of_study in found.items():
        study = CATALOGUE[key]
        for arm, seeds in study.runs(of_study).items():
            name = results.of(study.trial(arm, 0))
            if name and len(seeds) >= 2:
                said = made[name].measured
                in_lines = any(arm in b.arms for b in said.beside if b.study is study)
                compared = any(study.trial(arm, 0) in c.runs for c in said.contrasts
                               if key in (c.study.name, *c.also, *(other for other, _ in c.again)))
                assert in_lines or compared, (key, arm)


def test_an_unfinished_study_has_no_verdict_and_says_how_many_seeds(found):
    """Eight seeds planned: with four of them it is open, whatever they say."""
    name, arm = "02_multiply", "SE"
    few = {name: [r for r in found[name] if r.trial.seed < 404]}
    line, = (c for c in guide.measured("se", few).contrasts if c.verdict.ours == arm)
    assert line.word == "open, 4 of 8 seeds" and line.verdict.difference.n == 4
    card = cards.Card("se", guide.words("se"), "", guide.measured("se", few))
    assert "open, 4 of 8 seeds" in str(card) and "higher" not in str(card) and "1 open" in card.measured.summary
    whole, = guide.measured("se", {name: found[name]}).contrasts
    assert whole.word == "higher" and whole.solved == ("6 of 8", "0 of 8")


def test_the_counts_are_those_of_the_study(found):
    """Take-offs where it has curves; else those that end at 90 % of what the task allows."""
    study = studies.find("09_depth_what")
    beside, = (b for b in guide.measured("eca", {study.name: found[study.name]}).beside)
    arrived = {arm.name: f"{arm.arrived.k} of {arm.arrived.n}" for arm in studies.verdict.arms(study, found[study.name])}
    assert beside.arms == {arm: count for arm, count in arrived.items() if arm.startswith("ECA")}
    assert beside.plain == f"plain {arrived['plain']}" and beside.seeds == "8 seeds"
    study = studies.find("02_channel")
    ends = study.runs(found[study.name])
    line, = (c for c in guide.measured("se", {study.name: found[study.name]}).contrasts if c.verdict.ours == "SE, r=4")
    assert line.solved == tuple(f"{sum(v >= 0.9 * 0.97 for v in ends[arm].values())} of 5" for arm in ("SE, r=4", "plain"))


def test_where_all_or_none_arrive_there_is_no_count():
    assert results.clumps("3 of 5", "0 of 5") and results.clumps("5 of 5", "0 of 5")
    assert not results.clumps("0 of 5", "0 of 5") and not results.clumps("5 of 5", "8 of 8")


def test_a_control_that_is_lower_makes_the_mechanism_higher(made):
    line, = (c for c in made["patches"].measured.contrasts if c.study.name == "07_limits")
    assert not line.ours and line.verdict.word == "higher" and line.word == "lower"


def test_the_same_runs_in_two_studies_are_one_line(made):
    lines = made["spatial_gate"].measured.contrasts
    both, = (c for c in lines if c.study.name == "03_spatial" and c.verdict.ours == "spatial gate, 15x15")
    assert both.also == ("04_combined",)
    assert not [c for c in lines if c.study.name == "04_combined" and c.task == "nearest"]


def test_beside_the_plain_host_stands_its_own_difference(found):
    study = studies.find("15_find")
    runs = study.runs(found[study.name])
    beside, = guide.measured("gc", {study.name: found[study.name]}).beside
    d = stats.difference(runs["GC, head"], runs["plain"])
    assert beside.arms["GC, head"] == f"{d.mean:+.3f} ({d.low:+.3f} to {d.high:+.3f}), n = {d.n}"


# ---- the function for a notebook

def test_a_card_below_a_cell_has_its_drawing_its_words_and_its_text(monkeypatch):
    monkeypatch.setattr(cards, "price", lambda name: "a price")
    InteractiveShell.instance()
    with capture_output() as shown:
        guide.card("grn")._ipython_display_()
    picture, caption, text = shown.outputs
    assert picture.metadata["image/png"]["alt"] == guide.drawing("inner").alt and "grn: Global response" in str(caption.data)
    assert text.data["text/markdown"] == text.data["text/plain"] == str(guide.card("grn"))
    assert "a price" in str(guide.card("grn")) and "3,840" not in str(guide.card("grn"))


def test_a_card_does_not_shift_the_random_numbers_of_the_cells_below(monkeypatch):
    """A price is counted once and kept, so that they would be shifted by the first card alone."""
    monkeypatch.setattr(cards, "price", lambda name: torch.rand(1).item())
    state = torch.random.get_rng_state()
    str(guide.card("se", {}))
    assert torch.equal(torch.random.get_rng_state(), state)


def test_an_unknown_name_lists_the_names_and_the_closest():
    for ask in (guide.card, guide.words, guide.price, guide.measured):
        with pytest.raises(ValueError, match="unknown mechanism 'seb'. Did you mean 'se'"):
            ask("seb")


@pytest.mark.parametrize("part", ["Parameters: 1.", "Args:\n    channels: C.\n\n", "    y = x\n\n", "Taught in lesson 02."])
def test_a_docstring_that_lacks_a_part_is_told(part, monkeypatch):
    whole = ("One.\n\nSomebody, 2020.   Taught in lesson 02.\n\n    y = x\n\nArgs:\n    channels: C.\n\n"
             "Raises:\n    ValueError: x.\n\nParameters: 1.   Authors' socket: `post`.\n")
    monkeypatch.setitem(attention.REGISTRY, "toy", type("Toy", (attention.SE,), {"__doc__": whole}))
    assert guide.words("toy").what == "One." and guide.words("toy").options == {}
    monkeypatch.setitem(attention.REGISTRY, "toy", type("Toy", (attention.SE,), {"__doc__": whole.replace(part, "")}))
    with pytest.raises(ValueError, match="the docstring of 'toy' lacks"):
        guide.words("toy")


def test_words_of_a_docstring_stand_where_they_belong():
    words = guide.words("gct")
    assert words.place == "before every convolution; they exempt beta from weight decay" and words.theirs
    assert words.source == "Yang et al., CVPR 2020, arXiv 1909.11519, and the authors' code." and words.lesson == "02"
    assert words.formula.startswith("e = alpha") and words.formula.count("\n") == 2 and "Not in timm" in words.notes
    assert not guide.words("pixel_gate").theirs and "timm" not in guide.words("pixel_gate").parameters
    assert replace(words, options={}).options == {} and list(guide.words("se").options) == ["reduction", "hidden"]
