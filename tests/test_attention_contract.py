"""What every mechanism says of itself: its docstring, its parameters, its place in the registry, and what it is compared with."""

import inspect
import re
from pathlib import Path

import make_index
import make_table
import pytest
from properties import ARGUMENTS, CASES, NAMES, each_name, over
from test_parity_gates import PARITY as GATES
from test_parity_mixing import PARITY as MIXING

from course_utils import attention, guide
from course_utils.attention.base import STARTS
from course_utils.attention.channel import eca_kernel
from course_utils.plots import FAMILY_COLOURS
from course_utils.sockets import SOCKETS

ROOT = Path(__file__).resolve().parents[1]
KINDS = {"gate", "mixing", "kernel", "input", "pool"}
OUTPUT = {"aff": "z", "iaff": "z"}      # the output is y in all other formulas; here y is the second map


def test_every_mechanism_has_a_parity_reference():
    assert not GATES.keys() & MIXING.keys()
    assert GATES.keys() | MIXING.keys() == attention.REGISTRY.keys()
    for name, tests in (GATES | MIXING).items():
        assert isinstance(tests, tuple) and tests, name
        assert all(callable(test) and test.__name__.startswith("test_") for test in tests), name


@each_name
def test_class_attributes_are_words_that_the_course_knows(name):
    cls = attention.REGISTRY[name]
    assert cls.family in FAMILY_COLOURS and cls.family != "plain"
    assert cls.kind in KINDS and cls.home in SOCKETS
    assert cls.starts and set(cls.starts) <= set(STARTS) and cls.starts[0] == "as_made"
    assert issubclass(cls, attention.Mechanism) and cls.__name__ in attention.__all__
    assert cls.kind != "gate" or callable(getattr(cls, "gate", None))


@each_name
def test_docstring_says_what_a_reader_needs(name):
    """A first line, the paper, the lesson, formula, arguments, errors, parameters, what it was compared with."""
    cls = attention.REGISTRY[name]
    assert "__doc__" in vars(cls)
    doc = inspect.getdoc(cls)
    first, second = doc.split("\n")[:2]
    assert first.endswith(".") and not second
    assert cls.paper and cls.paper.lower() in doc.lower()
    assert re.search(r"(Taught|Named) in lesson (0[2-7]|15)\b|In no lesson\.", doc)
    assert "Parameters: " in doc and "Raises:" in doc and "ValueError" in doc
    assert re.search(rf"\b{OUTPUT.get(name, 'y')} += ", doc)
    assert cls.compared and all(word in doc for word in cls.compared.split(", "))
    assert re.search(rf"[Ss]ocket: `{cls.home}`", " ".join(doc.split()))
    assert f'"{cls.starts[-1]}"' in doc or "both starts" in doc


@pytest.fixture(scope="module")
def course():
    return {number: make_index.sections(ROOT / "notebooks" / file) for number, file in make_index.lessons().items()}


@each_name
def test_the_lesson_that_a_docstring_names_is_one_that_names_it(name, course):
    """And "In no lesson" is said of one that no lesson names: catches a sentence that was taken out of a lesson, or put in."""
    count = make_index.mentions(make_index.CALLED.get(name, attention.REGISTRY[name].__name__))
    naming = {number for number, parts in course.items() if any(count(part.heading + " " + part.words) for part in parts)}
    said = guide.words(name).lesson
    if not said:
        assert not naming, f"lesson {min(naming, default='')} names it: say so in the docstring"
    elif said in course:      # it is not, in a copy of which that lesson was taken out
        assert said in naming, f"lesson {said} does not name it; those that do: {sorted(naming)}. If none does: In no lesson."


@each_name
def test_docstring_explains_every_argument(name):
    doc = inspect.getdoc(attention.REGISTRY[name])
    text = doc.split("Args:\n")[1].split("\nRaises:")[0]
    told = {word for line in re.findall(r"^    ([\w, ]+):", text, re.M) for word in line.split(", ")}
    assert told == set(ARGUMENTS[name])
    assert ARGUMENTS[name][0] == "channels" and "start" in ARGUMENTS[name]


def test_table_has_a_row_for_every_mechanism():
    head, rule, *rows = attention.table().splitlines()
    assert head.count("|") == rule.count("|") == 8
    assert [row.split("|")[1].strip(" `") for row in rows] == list(attention.REGISTRY)
    for row, cls in zip(rows, attention.REGISTRY.values(), strict=True):
        cells = [cell.strip() for cell in row.split("|")[1:-1]]
        assert len(cells) == 7 and all(cells)
        assert cells[1] == cls.family and cells[2] == cls.__name__ and cells[5] == f"`{cls.home}`" and cells[6] == cls.compared
        assert cls.paper in cells[3] and ("arxiv.org" in cells[3]) == bool(re.fullmatch(r"\d{4}\.\d{5}", cls.paper))


def test_formula_is_the_one_of_the_docstring():
    assert attention.formula("se") == "2 C h + h + C with h = max(1, C // r)"
    assert attention.formula("split").endswith("d R C_out / G + R C_out")      # over two lines, without the sentence after it


def test_unknown_name_lists_the_names_and_the_closest():
    with pytest.raises(ValueError, match=f"unknown mechanism 'seb'. Did you mean 'se'\\? Known: {', '.join(NAMES)}$"):
        attention.build("seb", 8)
    with pytest.raises(ValueError, match="unknown mechanism 'zzzz'. Known"):
        attention.find("zzzz")
    with pytest.raises(ValueError, match="unknown mechanism None"):
        attention.find(None)
    with pytest.raises(TypeError, match="redution"):
        attention.build("se", 8, redution=4)
    assert all(f"{error}:" in attention.build.__doc__ for error in ("ValueError", "TypeError"))


@each_name
def test_printing_a_module_shows_channels_and_start(name):
    assert re.match(rf"{attention.REGISTRY[name].__name__}\(\s*12, ", repr(attention.build(name, 12)))


# ---- the number of parameters, worked out from the docstrings' formulas

ECA_KERNEL = {1: 1, 5: 1, 8: 3, 16: 3, 36: 3, 64: 3, 256: 5}      # |log2(C) / 2 + 1 / 2|, cut, then odd


def mask_unit(c):
    n = max(1, c // 4)
    return 2 * c * n + 9 * n * n + 2 * c + 4 * n


def mlp(c, r):
    h = max(1, c // r)
    return 2 * c * h + h + c


def branch(c, r):
    h = max(1, c // r)
    return (c * h + h) + 2 * h + (h * c + c) + 2 * c


def divisor(c, most):
    return max(d for d in range(1, min(c, most) + 1) if c % d == 0)


def ema(c, most):
    k = c // divisor(c, most)
    return 9 * k * k + k + k * k + k + 2 * k


SHUFFLED = {1: 4, 5: 2 * 2 + 4 * 3, 8: 6, 16: 6, 36: 6, 64: 6, 256: 12}      # at 256 channels 64 groups of 4


def split(c, r):
    d = max(c * r // 4, 32)
    return 9 * c * c + 3 * r * c + c * d + 3 * d + r * c * d


PARAMETERS = {
    "se": lambda c: mlp(c, 16),
    "eca": lambda c: ECA_KERNEL[c],
    "gct": lambda c: 3 * c,
    "srm": lambda c: 4 * c,
    "ge": lambda c: 0,
    "ge_learned": lambda c: 33 * c,
    "ge_learned-extent=2-mlp=True-reduction=2": lambda c: 11 * c + mlp(c, 2),
    "channel_gate": lambda c: mlp(c, 16),
    "channel_gate-pool=max-bias=False-reduction=2": lambda c: 2 * c * max(1, c // 2),
    "spatial_gate": lambda c: 99,
    "spatial_gate-norm=True-kernel_size=3": lambda c: 20,
    "sse": lambda c: c + 1,
    "attention_gate": lambda c: 5 * c * max(1, c // 2) + 2 * max(1, c // 2) + 1,
    "attention_gate-subsample=1-hidden=3": lambda c: 2 * c * 3 + 2 * 3 + 1,
    "residual_mask": lambda c: 3 * mask_unit(c) + 2 * c * c + 5 * c,
    "residual_mask-residual=False-levels=1": lambda c: mask_unit(c) + 2 * c * c + 5 * c,
    "lka": lambda c: c * c + 77 * c,
    "cbam": lambda c: mlp(c, 16) + 99,
    "cbam-norm=True-reduction=2": lambda c: mlp(c, 2) + 100,
    "bam": lambda c: (3 * c + 5) * max(1, c // 16) + 18 * max(1, c // 16) ** 2 + 3 * c + 3,
    "scse": lambda c: mlp(c, 2) + c + 1,
    "coordinate": lambda c: (3 * c + 3) * max(8, c // 32) + 2 * c,
    "triplet": lambda c: 3 * 100,
    "simam": lambda c: 0,
    "ese": lambda c: c * c + c,
    "grn": lambda c: 2 * c,
    "sge": lambda c: 2 * divisor(c, 64),
    "sge-groups=2": lambda c: 2 * (2 - c % 2),
    "lska": lambda c: (5 + 5 + 7 + 7 + 4) * c + c * c + c,
    "lska-side=11": lambda c: (3 + 3 + 5 + 5 + 4) * c + c * c + c,
    "ela": lambda c: 9 * c,
    "ela-kernel_size=3-groups=2": lambda c: 5 * c,
    "ema": lambda c: ema(c, 32),
    "ema-factor=2": lambda c: ema(c, 2),
    "shuffle": SHUFFLED.get,
    "iaff": lambda c: 4 * branch(c, 4),
    "iaff-reduction=2": lambda c: 4 * branch(c, 2),
    "aff": lambda c: 2 * branch(c, 4),
    "aff-reduction=2": lambda c: 2 * branch(c, 2),
    "non_local": lambda c: (4 * c + 3) * max(1, c // 2) + 3 * c,
    "non_local-norm=False-scale=0.5": lambda c: (4 * c + 3) * max(1, c // 2) + c,
    "gc": lambda c: 2 * c + 1 + (2 * c + 3) * max(1, c // 16),
    "bot": lambda c: 3 * c * c,
    "bot-size=map": lambda c: 3 * c * c + (2 * 5 + 2 * 9 - 2) * c // next(h for h in (4, 3, 2, 1) if c % h == 0),
    "bot-size=map-heads=2-scale_position=False": lambda c: 3 * c * c + (2 * 5 + 2 * 9 - 2) * c // 2,
    "efficient": lambda c: (2 * c + 2) * max(1, c // 2) + 2 * c * c + 2 * c,
    "criss_cross": lambda c: (2 * c + 2) * max(1, c // 8) + c * c + c + 1,
    "double": lambda c: (4 * c + 2) * max(1, c // 4) + c,
    "double-features=3-bags=4": lambda c: 14 * c + 3 + 4 + c,
    "halo": lambda c: 3 * c * c + 2 * 21 * c // divisor(c, max(1, c // 16)),
    "halo-block=2-halo=1-heads=2": lambda c: 3 * c * c + 2 * 5 * c // 2,
    "halo-block=3-halo=0-scale_position=False": lambda c: 3 * c * c + 2 * 5 * c // divisor(c, max(1, c // 16)),
    "deform_conv": lambda c: 9 * c * c + 27 * (9 * c + 1),
    "deform_conv-kernel_size=5": lambda c: 25 * c * c + 75 * (25 * c + 1),
    "deform_conv-out_channels=6-stride=2-groups=2": lambda c: 9 * c * 3 + 27 * (9 * c + 1),
    "sk": lambda c: 2 * (9 * c * c + 2 * c) + 3 * c * max(c // 16, 32) + 2 * max(c // 16, 32),
    "sk-groups=2-smallest=4": lambda c: 2 * (9 * c * c // 2 + 2 * c) + (3 * c + 2) * max(c // 16, 4),
    "split": lambda c: split(c, 2 - c % 2),
    "split-radix=3-out_channels=6": lambda c: 9 * c * 6 + (6 + 3 * 6 + 3) * max(c * 3 // 4, 32) + 9 * 6,
    "condconv": lambda c: 8 * 9 * c * c + 8 * c + 8,
    "dynamic_conv": lambda c: 4 * 9 * c * c + (c + 4) * max(1, c // 4) + 4,
    "dynamic_conv-groups=2-temperature=1.0": lambda c: 2 * 9 * c * c + (c + 4) * max(1, c // 4) + 4,
    "pixel_gate": lambda c: 72 * c + 8 + 72 + 1,
    "stn": lambda c: 72 * c + 8 + 9 * 64 + 8 + 16 * 8 * 32 + 32 + 192 + 6,
    "patches": lambda c: 144 * c + 16 + 9 * 256 + 16 + 144,
    "attention_pool": lambda c: (c + 2) * max(1, c // 4),
}


def test_eca_kernel_is_the_rule_of_the_paper():
    assert [eca_kernel(c) for c in (1, 4, 8, 64, 128, 256, 1024, 2048)] == [1, 1, 3, 3, 5, 5, 5, 7]


def test_every_mechanism_has_a_formula():
    assert set(NAMES) <= PARAMETERS.keys() <= {case.id for case in CASES}


@pytest.mark.parametrize("channels", [1, 5, 8, 16, 36, 64, 256])
@over([case for case in CASES if case.id in PARAMETERS])
def test_parameter_count_is_the_formula(case, channels):
    shape = case.shape(1, channels, 5, 9)
    assert sum(p.numel() for p in case.build(shape).parameters()) == PARAMETERS[case.id](shape[1])


def test_the_table_in_the_readme_is_that_of_the_registry():
    """python tools/make_table.py writes it."""
    text = make_table.README.read_text(encoding="utf-8")
    assert make_table.with_table(text) == text
    assert all(f"| `{name}` |" in text for name in NAMES)


@pytest.mark.parametrize("text", ["", make_table.END + make_table.BEGIN, make_table.BEGIN * 2 + make_table.END])
def test_a_readme_without_a_place_for_the_table_is_refused(text):
    with pytest.raises(ValueError, match="README.md must hold"):
        make_table.with_table(text)
