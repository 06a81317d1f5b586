"""Every figure is whole, legible, and says in words what it shows; the numbers in it are right."""

import base64
import io
import itertools

import matplotlib
import numpy as np
import pytest
import torch
from IPython.core.formatters import DisplayFormatter
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch
from matplotlib.text import Text
from PIL import Image
from scipy import stats

from course_utils import plots
from course_utils.plots import flows, hosts, look
from course_utils.stats import t_interval


def rand(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


X, SMALL = rand(3, 3, 20, 24), torch.tensor([[[1.0, 2], [3, 4]], [[0, -8], [0, 0]], [[2, 2], [2, 2.5]]])
MASK = torch.zeros(3, 20, 24, dtype=torch.bool)
MASK[:, :5, :12] = True  # an eighth of the picture, at its border
RESULTS = {
    "plain": [0.30, 0.34, 0.35],
    "SE after every convolution": [0.9, 0.95, 0.4],
    "ECA after every convolution": [0.91, 0.96, 0.95],
}
MANY = {f"configuration {i}": [0.1 * i, 0.1 * i + 0.05] for i in range(9)}
STEPS = torch.arange(0, 100, 10)
RISING = {
    "plain": (STEPS, STEPS / 300),
    "SE": (STEPS, torch.stack([STEPS / 111, STEPS / 99])),
    "ECA": (STEPS, STEPS / 98),
}
LAYERS = [("conv 3x3 stride 2", "24 x 20 x 20"), ("conv 3x3", (48, 10, 10)), ("conv 3x3", "48 x 10 x 10")]
STEPS_OF_SE = [
    ("mean over positions", "N, C, 1, 1"),
    ("linear W1 to fewer channels, relu", "N, C/r, 1, 1"),
    ("sigmoid", "N, C, 1, 1"),
]
BOXES = torch.tensor([[[4, 2, 6, 8, 13.0], [-1, 0, 0, 0, 0]], [[-1, 0, 0, 0, 0]] * 2, [[7, 1, 1, 6, 8.0], [-1, 0, 0, 0, 0]]])
FOUND = torch.tensor([[[4, 3, 6, 8, 12, 0.91]], [[3, 1, 1, 9, 9, 0.29]], [[7, 1, 1, 6, 8, 0.1]]])
PAINT = torch.zeros(3, 20, 24, dtype=torch.long)
PAINT[0, 2:5, 3:7], PAINT[0, 10:12, 3:6] = 1, 10
NAMES = {"00": "Start here", "01": "Blind spots", "02": "Both", "03": "Existing models", "04": "Attention over kernels",
         "05": "Detectors and U-Nets"}
HELPS = {"00": [], "01": ["00"], "02": ["00"], "03": ["01", "02"], "04": ["00", "03"], "05": ["01", "02"]}
TITLE = "A long title that states a finding, in so many words that a narrow figure has to break it into lines"

# name: (what draws it, what its alt text must say)
FIGURES = {
    "pictures": (
        lambda: plots.pictures(X, ["one", "two", "three"], MASK, title=TITLE),
        ["3 pictures", "20 x 24", "two", "12 %"],
    ),
    "one picture": (lambda: plots.pictures(X[:1]), ["1 picture of 20 x 24"]),
    "maps": (lambda: plots.maps(X, rand(3, 5, 6), MASK, title=TITLE), ["3 maps", "5 x 6", "outlined 12 %"]),
    "window": (
        lambda: plots.window(X[0], 7, [(10, 10), (19, 0)], title=TITLE),
        ["7 x 7", "rows 7 to 13", "10 % of it"],
    ),
    "boxes": (
        lambda: plots.boxes(X, BOXES, FOUND, title=TITLE),
        ["3 pictures of 20 x 24", "picture 1: 4 from 2, 6 to 8, 13; found 4 (0.91) from 3, 6 to 8, 12",
         "picture 2: nothing; found nothing", "picture 3: 7 from 1, 1 to 6, 8; found nothing", "a score of 0.3 or more"],
    ),
    "true boxes": (lambda: plots.boxes(X, BOXES, titles=["a", "b", "c"]), ["7 from 1, 1 to 6, 8."]),
    "painted": (
        lambda: plots.painted(X, PAINT, title=TITLE),
        ["picture 1: 0 2.5 %, 9 1.2 %", "picture 2: nothing but ground"],
    ),
    "painted, named": (lambda: plots.painted(X, PAINT.clamp(max=2), ["cat", "dog"]), ["cat 2.5 %, dog 1.2 %"]),
    "gates": (
        lambda: plots.gates({"red": [0.5, 1.5, 1.25], "blue": [0, 1, 2]}, title=TITLE),
        ["0.50, 1.50, 1.25", "to 2"],
    ),
    "many gates": (
        lambda: plots.gates(
            {"a": rand(48), "b": rand(48, seed=1)}, colours={"a": "red"}, reference=None, sort=True
        ),
        ["48 channels", "scale from 0 to 1", f"highest {rand(48).max():.2f} (channel {rand(48).argmax()})"],
    ),
    "gates minus their mean": (
        lambda: plots.gates({"a": [-0.25, 0.5], "b": [0.25, -0.5]}, reference=0, label="gate minus mean", title=TITLE),
        ["-0.25, 0.50", "from -0.50 to 0.50"],
    ),
    "numbers": (lambda: plots.numbers(SMALL, title=TITLE), ["red: 1 2 / 3 4", "green: 0 -8 / 0 0", "2 2.5"]),
    "many numbers": (lambda: plots.numbers(rand(8, 3, 5) - 0.5), ["8 channels of 3 x 5", "channel 7"]),
    "hand_gate": (
        lambda: plots.hand_gate(SMALL, [0.25, 1, 0], title=TITLE),
        ["times 0.25, is 0.25 0.5 / 0.75 1", "times 0, is 0 0"],
    ),
    "hand_gate above 1": (lambda: plots.hand_gate(SMALL[:2], [0.25, 1.6]), ["is 0 -12.8 / 0 0"]),
    "dots": (
        lambda: plots.dots(
            RESULTS, {"chance": 0.1, "guess among three": 0.4, "ceiling": 0.41}, title=TITLE, pairs=True
        ),
        [
            "plain: mean 0.33, 95 % interval 0.26 to 0.40, 3 seeds",
            "guess among three at 0.40",
            "chance at 0.10",
        ],
    ),
    "dots, one seed": (
        lambda: plots.dots({"SE": [0.5]}, 0.1, "chance"),
        ["one number each. SE: 0.50.", "chance at 0.10"],
    ),
    "solved in many rows": (lambda: plots.solved(MANY, 0.5, title=TITLE), ["configuration 8: 2 of 2 solved"]),
    "dots without an interval": (lambda: plots.dots(RESULTS, interval=False), ["plain: mean 0.33, lowest 0.30"]),
    "dots in rows": (
        lambda: plots.dots(MANY, {"chance": 0.1}, title=TITLE),
        ["configuration 8: mean 0.83", "chance at 0.10"],
    ),
    "solved": (
        lambda: plots.solved(RESULTS, 0.87, 1 / 3, "a guess", title=TITLE),
        [
            "plain: 0 of 3 solved (95 % interval 0.00 to 0.71), all from 0.30 to 0.35.",
            "SE after every convolution: 2 of 3 solved (95 % interval 0.09 to 0.99)",
            "from 0.87 on",
            "a guess at 0.33",
        ],
    ),
    "solved, one seed": (lambda: plots.solved({"SE": [0.5]}, 0.9), ["SE: 0 of 1 solved, 0.50."]),
    "growth": (
        lambda: plots.growth(
            {"GC": ([64, 256, 1024], [1, 4, 16]), "non-local": ([64, 256, 1024], [3, 48, 768])}, "places", "milliseconds",
            title=TITLE),
        ["GC: from 1.00 at 64 to 16 at 1024, slope 1.0.", "slope 2.0", "both axes logarithmic"],
    ),
    "curves": (
        lambda: plots.curves(RISING, reference={"chance": 0.1}, title=TITLE),
        [
            "SE: from 0.00 at 0 to 0.86 at 90, mean of 2 seeds",
            "ECA: from 0.00 at 0 to 0.92",
            "chance at 0.10",
        ],
    ),
    "curves, loss": (
        lambda: plots.curves({"SE": ([1, 2, 3], [2.0, 0.2, 0.02])}, "loss", log=True),
        ["2.00 at 1 to 0.02 at 3"],
    ),
    "gains": (
        lambda: plots.gains({"SE at post": [0.01, 0.02, 0.03], "wider": {3: -0.01, 4: 0.0}},
                            {"SE at post": "+4 % weights"}, TITLE),
        ["SE at post: mean +2.0 points, 95 % interval -0.5 to +4.5, 3 seeds; +4 % weights", "wider: mean -0.5 points"],
    ),
    "gains, one seed": (lambda: plots.gains({"SE": [0.5]}), ["SE: mean +50.0 points, 1 seed."]),
    "tradeoff": (
        lambda: plots.tradeoff(
            {"plain": (41.4, [0.9, 0.92, 0.95]), "copy": (2.6, [0.2, 0.22, 0.25]), "patches": (3.5, {200: 0.93, 201: 0.9})},
            reference={"a guess": 0.1}, title=TITLE),
        ["plain: 41.4 million multiply-adds per picture, mean 0.92", "patches: 3.50 million", "2 seeds", "a guess at 0.10"],
    ),
    "tradeoff, one seed": (lambda: plots.tradeoff({"SE": (3, [0.5])}), ["SE: 3.00", "mean 0.50, 1 seed."]),
    "heat": (
        lambda: plots.heat(
            [[0.1, 0.92], [float("nan"), 0.4]],
            ["SE", "a mechanism with a long name"],
            ["what", "where"],
            title=TITLE,
        ),
        ["SE: what 0.10, where 0.92", "what not run, where 0.40"],
    ),
    "heat, differences": (
        lambda: plots.heat(rand(5, 4) - 0.5, "abcde", "wxyz", centre=0, label="difference"),
        ["Table of difference"],
    ),
    "emblem": (lambda: plots.emblem(), ["Nine numbered sockets", "1 input", "9 head", "None is lit"]),
    "emblem, all lit": (
        lambda: plots.emblem(hosts.SOCKETS, title=TITLE),
        ["Lit: 1 input", "9 head (replaces the pooling)"],
    ),
    "emblem, no legend": (
        lambda: plots.emblem("post", labels=False),
        ["Lit: 4 post (end of the branch)."],
    ),
    "mechanism": (
        lambda: plots.mechanism(STEPS_OF_SE, title=TITLE, lit="sigmoid"),
        [
            "mean over positions (N, C, 1, 1), then linear W1 to fewer channels, relu (N, C/r, 1, 1)",
            "multiplies x",
            "Lit: sigmoid",
        ],
    ),
    "mechanism, added": (lambda: plots.mechanism(["a", "b"] * 4, join="+"), ["is added to x"]),
    "parts, dynamic": (lambda: plots.parts("dynamic", title=TITLE), ["one weight for each kernel", "one convolution of x"]),
    "parts, selective": (lambda: plots.parts("selective"), ["softmax over the branches", "two weights for each channel"]),
    "parts, deformable": (lambda: plots.parts("deformable"), ["nine offsets and nine weights", "leave their square grid"]),
    "parts, halo": (lambda: plots.parts("halo", title=TITLE), ["blocks of 4 x 4", "outside the picture, where nobody looks"]),
    "parts, transformer": (lambda: plots.parts("transformer"), ["six numbers, theta"]),
    "parts, patch": (lambda: plots.parts("patch"), ["around the largest value is cut out"]),
    "plain_host": (
        lambda: plots.plain_host(LAYERS, ["both", "input", "head"], title=TITLE),
        ["conv 3x3 stride 2 (24 x 20 x 20)", "48 x 10 x 10", "2 pre, before every convolution"],
    ),
    "plain_host, some": (
        lambda: plots.plain_host(LAYERS * 2, "post", chosen=[0, 2]),
        ["4 post, after convolution 1, 3"],
    ),
    "lesson_map": (
        lambda: plots.lesson_map(NAMES, HELPS, any_of=["05"], lit=["03"], title=TITLE),
        ["The 6 lessons", "00 Start here: nothing", "04 Attention over kernels: 00, 03", "U-Nets: any of 01, 02"],
    ),
}
every_figure = pytest.mark.parametrize("name", FIGURES)


@pytest.fixture(scope="module")
def figures():
    return {}


def figure(figures, name):
    if name not in figures:
        figures[name] = FIGURES[name][0]()
    return figures[name]


@every_figure
def test_alt_says_what_is_drawn(figures, name):
    fig = figure(figures, name)
    assert isinstance(fig, Figure)
    for words in FIGURES[name][1]:
        assert words in fig.alt
    assert "nan" not in fig.alt and not fig.alt.endswith("..")


@every_figure
def test_nothing_is_clipped(figures, name):
    fig = figure(figures, name)
    fig.draw_without_rendering()
    inside, outside = fig.get_tightbbox(), fig.bbox_inches
    slack = 0.02
    assert inside.x0 >= -slack and inside.y0 >= -slack
    assert inside.x1 <= outside.x1 + slack and inside.y1 <= outside.y1 + slack


def drawn_texts(fig, monkeypatch):
    """The texts that a drawing really draws, each with its extent."""
    texts, draw = [], Text.draw
    monkeypatch.setattr(Text, "draw", lambda self, renderer: (texts.append(self), draw(self, renderer))[1])
    fig.draw_without_rendering()
    monkeypatch.undo()
    return [
        (t, t.get_window_extent()) for t in dict.fromkeys(texts) if t.get_visible() and t.get_text().strip()
    ]


@every_figure
def test_no_text_covers_another(figures, name, monkeypatch):
    texts = drawn_texts(figure(figures, name), monkeypatch)
    for (one, a), (other, b) in itertools.combinations(texts, 2):
        wide, tall = min(a.x1, b.x1) - max(a.x0, b.x0), min(a.y1, b.y1) - max(a.y0, b.y0)
        assert wide <= 0.5 or tall <= 2, f"{one.get_text()!r} covers {other.get_text()!r}"  # 2: line spacing


@every_figure
def test_text_stays_in_its_box(figures, name, monkeypatch):
    fig = figure(figures, name)
    boxes = [p.get_window_extent() for p in fig.findobj(FancyBboxPatch) if "box" in (p.get_gid() or "")]
    for text, extent in drawn_texts(fig, monkeypatch):
        for around in boxes:
            if around.contains((extent.x0 + extent.x1) / 2, (extent.y0 + extent.y1) / 2):
                assert around.x0 < extent.x0 and extent.x1 < around.x1, text.get_text()


@every_figure
def test_png_is_small_sharp_and_white(figures, name):
    fig = figure(figures, name)
    png = look.to_png(fig)
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    assert len(png) < 80_000
    assert look.css_width(png) <= 820
    assert abs(picture.width - 2 * 100 * fig.get_figwidth()) < 1.5
    assert picture.getpixel((1, picture.height - 2)) == (255, 255, 255)


def test_flat_colours_survive_the_palette():
    colours = [(1, 2, 3), (200, 30, 40), (0, 114, 178)]
    picture = Image.new("RGB", (300, 20), colours[0])
    picture.paste(colours[1], (100, 0, 200, 20))
    picture.paste(colours[2], (200, 0, 300, 20))
    back = Image.open(io.BytesIO(look.smaller(picture)))
    assert back.mode == "P"
    assert [back.convert("RGB").getpixel((x, 10)) for x in (50, 150, 250)] == colours


def test_photographs_keep_their_colours():
    noise = Image.fromarray((rand(64, 64, 3).numpy() * 255).astype(np.uint8))
    back = np.asarray(Image.open(io.BytesIO(look.smaller(noise))).convert("RGB"))
    assert np.array_equal(back, np.asarray(noise))


def test_a_rare_colour_survives_the_palette():
    """One red digit among many greys could not be read: all of its reds had become one."""
    grey = (rand(300, 300, 1).numpy() * 255 + rand(300, 300, 3).numpy() * 12).clip(0, 255)
    grey[100:112, 100:112] = [[30 + 18 * i, 10, 10] for i in range(12)]
    picture = Image.fromarray(grey.astype(np.uint8))
    back = np.asarray(Image.open(io.BytesIO(look.smaller(picture))).convert("RGB")).astype(int)
    assert len(look.png_bytes(picture)) > 80_000
    assert np.abs(back - np.asarray(picture))[100:112, 100:112].max() <= 16


def test_alt_follows_the_data():
    assert plots.dots({"SE": [0.5, 0.6]}).alt != plots.dots({"SE": [0.5, 0.7]}).alt
    assert plots.hand_gate(SMALL, [1, 1, 1]).alt != plots.hand_gate(SMALL, [1, 1, 0.5]).alt


# showing


@pytest.fixture
def shown(monkeypatch):
    """What was displayed: a list of (data, metadata)."""
    found = []
    monkeypatch.setattr(
        look, "display", lambda data, raw, metadata=None: found.append((data, metadata or {}))
    )
    return found


def test_show_stores_the_alt_text_and_says_it(shown):
    fig = plots.dots(RESULTS)
    assert plots.show(fig) is None
    (picture, metadata), (words, _) = shown
    assert base64.b64decode(picture["image/png"]) == look.to_png(fig)
    assert metadata["image/png"] == {"alt": fig.alt, "width": round(100 * fig.get_figwidth())}
    assert picture["text/plain"] == fig.alt
    assert fig.alt in words["text/html"] and words["text/html"].startswith("<small")


def test_show_prefers_the_caption_and_escapes_it(shown):
    plots.show(plots.emblem(), caption="x < y")
    assert "x &lt; y" in shown[1][0]["text/html"] and "Nine" not in shown[1][0]["text/html"]
    assert "Nine" in shown[0][1]["image/png"]["alt"]


def test_show_refuses_a_figure_without_words(shown):
    for fig in (Figure(), look.Drawing()):
        with pytest.raises(ValueError, match="fig.alt"):
            plots.show(fig)
    assert not shown


def test_a_figure_at_the_end_of_a_cell_is_shown_once(shown):
    data, _ = DisplayFormatter().format(plots.dots(RESULTS))
    assert data == {} and len(shown) == 2


def test_pyplot_keeps_no_figure(shown):
    import matplotlib.pyplot as plt

    plt.close("all")
    plots.show(plots.dots(RESULTS))
    own, ax = plt.subplots()
    own.alt = "An empty chart of the reader's own."
    plots.show(own)
    assert plt.get_fignums() == []


def test_the_readers_own_style_neither_changes_nor_matters():
    def saved():
        fig = plots.dots(RESULTS)
        fig.savefig(file := io.BytesIO(), dpi=100, bbox_inches=fig.bbox_inches)
        return file.getvalue(), look.to_png(plots.dots(RESULTS))

    own = {
        "font.size": 22,
        "ytick.labelsize": 22,
        "ytick.color": "red",
        "savefig.bbox": "tight",
        "axes.grid": True,
    }
    with matplotlib.rc_context(own):
        before = dict(matplotlib.rcParams)
        other = saved()
        assert dict(matplotlib.rcParams) == before
    assert other == saved()


# colours


def as_seen(colour, matrix):
    """A colour as a person sees it who lacks one kind of cone, in CIE Lab."""
    c = np.array(matplotlib.colors.to_rgb(colour))
    c = np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)
    c = (np.array(matrix) @ c).clip(0, 1)
    xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]) @ c
    f = np.cbrt(xyz / [0.9505, 1, 1.089] + 1e-9)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


SIGHT = {
    "full": np.eye(3),  # Machado et al. 2009, severity 1
    "no red cones": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "no green cones": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
}


@pytest.mark.parametrize("sight", SIGHT)
def test_families_can_be_told_apart(sight):
    assert set(plots.FAMILY_COLOURS) == set(plots.MARKERS) and len(set(plots.MARKERS.values())) == len(
        plots.MARKERS
    )
    for (a, one), (b, other) in itertools.combinations(plots.FAMILY_COLOURS.items(), 2):
        assert np.linalg.norm(as_seen(one, SIGHT[sight]) - as_seen(other, SIGHT[sight])) > 10, (a, b)


def test_text_and_edges_have_contrast():
    assert look.contrast("black") == pytest.approx(21) and look.contrast("white") == pytest.approx(1)
    for colour in (look.INK, look.GREY, *map(look.darker, plots.FAMILY_COLOURS.values())):
        assert look.contrast(colour) >= 4.5
    assert look.contrast("black", look.ACCENT) >= 4.5  # the number on a lit socket


def test_a_broken_text_leaves_no_single_word_in_its_last_line():
    text = "Split attention reads the asked digits and dynamic convolution not"
    first, last = look.wrap(text, 5.2, 12, "bold").split("\n")
    assert f"{first} {last}" == text and abs(len(first) - len(last)) < 12
    assert look.wrap("spatial gate, post", 0.9, 9) == "spatial gate,\npost", "what belongs together stays together"
    assert look.wrap("", 1) == "" and look.wrap("averylongword", 0.1) == "averylongword"
    assert look.wrap("one two", 9) == "one two" and look.wrap("one two", 0.1) == "one\ntwo"


def test_single_runs_have_no_mean_and_no_bar():
    fig = plots.dots({"pre": [22.2], "post": [22.3]})
    ax = fig.axes[0]
    assert ax.get_title("left") == "one number each" and not [line for line in ax.lines if line.get_gid() in ("mean", "interval")]
    assert [t.get_text() for t in ax.get_xticklabels()] == ["pre\n22.2", "post\n22.3"]


def test_only_learned_steps_of_a_flow_have_the_colour_of_convolutions():
    assert all(flows.LEARNED.search(word) for word in ("conv 7x7", "linear: q, k, v", "W1", "its weights"))
    assert not any(flows.LEARNED.search(word) for word in ("weighted mean of v", "sigmoid", "mean over positions"))


def test_a_mechanism_has_the_colour_of_its_family_wherever_it_is_named():
    fig = plots.dots(
        {"plain": [0.1, 0.2], "SE at post": [0.3, 0.4], "a spatial gate, 7x7": [0.4, 0.5], "my own": [0.5, 0.6]},
        families={"my own": "mixing"},
    )
    seen = [c.get_facecolor()[0] for c in fig.axes[0].collections if c.get_gid() == "seeds"]
    assert [matplotlib.colors.to_hex(c).upper() for c in seen] == [
        plots.FAMILY_COLOURS[f] for f in ("plain", "channel", "spatial", "mixing")
    ]


# numbers


@pytest.mark.parametrize("n", [2, 3, 4, 5, 8, 20, 101])
def test_interval_is_students_t(n):
    values = rand(n, seed=n).double().numpy()
    mean, low, high = t_interval(values)
    want = stats.t.interval(0.95, n - 1, loc=values.mean(), scale=stats.sem(values))
    assert np.allclose([low, high], want, rtol=0, atol=1e-9) and mean == pytest.approx(
        values.mean(), abs=1e-12
    )


@pytest.mark.parametrize("axis, results", [(1, RESULTS), (0, MANY)], ids=["columns", "rows"])
def test_dots_draws_every_seed_and_the_right_interval(axis, results):
    ax = plots.dots(results, 0.1, "chance").axes[0]
    seeds = [c.get_offsets()[:, axis] for c in ax.collections if c.get_gid() == "seeds"]
    bars = [line.get_xydata()[:, axis] for line in ax.lines if line.get_gid() == "interval"]
    assert len(seeds) == len(bars) == len(results)
    for drawn, bar, values in zip(seeds, bars, results.values(), strict=True):
        assert np.allclose(drawn, values)
        assert np.allclose(
            bar,
            stats.t.interval(0.95, len(values) - 1, np.mean(values), stats.sem(values)),
            rtol=0,
            atol=1e-9,
        )
    assert [line.get_xydata()[0][axis] for line in ax.lines if line.get_gid() == "reference"] == [0.1]


def test_means_that_lie_close_are_told_with_three_decimals():
    """Catches eight arms that all read 0.99."""
    close = plots.dots({"SE": [0.991, 0.993], "ECA": [0.988, 0.99]})
    assert "SE: mean 0.992, " in close.alt and "ECA: mean 0.989, " in close.alt
    assert [t.get_text() for t in close.axes[0].get_xticklabels()] == ["SE\nmean 0.992", "ECA\nmean 0.989"]
    assert "SE: mean 0.99, " in plots.dots({"SE": [0.991, 0.993], "ECA": [0.5, 0.6]}).alt


def test_a_zero_in_a_small_matrix_has_no_sign():
    fig = plots.heat([[-0.001, -0.02]], ["se"], ["pre", "post"])
    assert "pre 0.00, post -0.02" in fig.alt and {"0.00", "\u22120.02"} <= {t.get_text() for t in fig.axes[0].texts}


def test_dots_without_an_interval_have_no_mean_either():
    gids = {line.get_gid() for line in plots.dots(RESULTS, interval=False).axes[0].lines}
    assert not gids & {"mean", "interval"} and "mean" in {line.get_gid() for line in plots.dots(RESULTS).axes[0].lines}


def test_pairs_join_the_same_seed():
    ax = plots.dots(RESULTS, pairs=True).axes[0]
    joined = [list(line.get_ydata()) for line in ax.lines if line.get_gid() == "pair"]
    assert joined == [list(seed) for seed in zip(*RESULTS.values(), strict=True)]


def test_pairs_join_the_same_seed_in_whatever_order_they_stand():
    ax = plots.dots({"a": {1: 0.1, 2: 0.2}, "b": {2: 0.4, 1: 0.3}}, pairs=True).axes[0]
    assert [list(line.get_ydata()) for line in ax.lines if line.get_gid() == "pair"] == [[0.1, 0.3], [0.2, 0.4]]


def test_reference_is_named_outside_the_data(monkeypatch):
    fig = plots.dots(RESULTS, {"chance": 0.1, "ceiling": 0.105})
    texts = {t.get_text(): extent for t, extent in drawn_texts(fig, monkeypatch)}
    for words in ("chance 0.10", "ceiling 0.10"):
        assert texts[words].x0 > fig.axes[0].get_window_extent().x1


def test_mask_is_outlined_along_its_pixels():
    fig = plots.pictures(X[:1], mask=MASK[:1])
    edges = {tuple(map(tuple, s)) for c in fig.axes[0].collections for s in c.get_segments()}
    assert len(edges) == 2 * (5 + 12)
    assert ((-0.5, -0.5), (0.5, -0.5)) in edges  # also where it meets the border


def test_maps_say_how_much_lies_in_the_mask():
    m = torch.zeros(3, 4, 4)
    m[:, 0, 0], m[:, 3, 3] = 3, 1
    assert "75 % of it inside the outlined 12 %" in plots.maps(X, m, MASK).alt


def test_boxes_are_drawn_along_their_pixels_and_weak_ones_left_out():
    ax = plots.boxes(X, BOXES, FOUND).axes[0]
    drawn = {p.get_gid(): (*p.get_xy(), p.get_width(), p.get_height()) for p in ax.patches if p.get_gid() in ("true", "found")}
    assert drawn == {"true": (1.5, 5.5, 6, 7), "found": (2.5, 5.5, 5, 6)}      # pixel 0 is drawn from -0.5 to 0.5
    for least, count in ((0.3, 1), (0.05, 3)):
        kinds = [p.get_gid() for axis in plots.boxes(X, BOXES, FOUND, least).axes for p in axis.patches]
        assert kinds.count("found") == count


def test_the_key_above_solved_does_not_run_into_the_heads_beside_it():
    """Catches two dashed lines explained in one line, over the column with the counts."""
    fig = plots.solved(RESULTS, 0.87, {"a guess": 0.5, "one digit known": 0.75})
    fig.canvas.draw()
    ax = fig.axes[0]
    key = next(text for text in ax.get_children() if isinstance(text, Text) and text.get_text().startswith("one mark"))
    heads = [text for text in ax.texts if text.get_gid() == "head"]
    assert len(heads) == 2 and not [head for head in heads if head.get_window_extent().overlaps(key.get_window_extent())]


def test_of_boxes_at_one_place_the_likelier_is_named_first():
    """Catches labels on top of each other: only the last, the least likely, could be read."""
    twice = torch.tensor([[[8, 2, 6, 8, 13.0, 0.39], [2, 2, 6, 8, 12.6, 0.74], [5, 14, 2, 20, 9, 0.5]]])
    labels = [text.get_text() for text in plots.boxes(X[:1], BOXES[:1], twice).axes[0].texts]
    assert labels == ["4", "2 0.74\n8 0.39", "5 0.50"]
    twice[..., 2:5:2] += 4.5      # two lines no longer fit below
    below, beside = (plots.boxes(X[:1], BOXES[:1], found).axes[0].texts[1] for found in (twice[:, 1:2], twice))
    assert (below.get_va(), beside.get_va()) == ("top", "bottom")


def test_painted_has_each_class_in_the_colour_that_its_key_names():
    fig = plots.painted(X, PAINT)
    shades = [patch.get_facecolor()[:3] for patch in fig.legends[0].get_patches()]
    image = fig.axes[0].images[0].get_array()
    assert [t.get_text() for t in fig.legends[0].get_texts()] == ["0", "9"]
    assert tuple(image[3, 4]) == pytest.approx(shades[0]) and tuple(image[10, 4]) == pytest.approx(shades[1])


def test_window_covers_what_it_says():
    for box, (r, c) in [(7, (10, 10)), (4, (0, 23)), (99, (5, 5))]:
        first, last = (-(box // 2), box - box // 2)
        seen = sum(first <= i - r < last and first <= j - c < last for i in range(20) for j in range(24))
        assert f"{100 * seen / 480:.0f} % of it" in plots.window(X[0], box, [(r, c)]).alt


def test_hand_gate_writes_the_products(monkeypatch):
    written = [t.get_text() for t, _ in drawn_texts(plots.hand_gate(SMALL, [0.5, 0.25, 0]), monkeypatch)]
    assert {"1.5", "\u22122", "times 0.25"} <= set(written) and written.count("0") >= 4


# wrong input

WRONG = {
    "pictures without batch and colour": (
        lambda: plots.pictures(rand(20, 24)),
        r"\(N, 3, H, W\), got shape \(20, 24\)",
    ),
    "pictures of bytes": (lambda: plots.pictures((X * 255).byte()), "floats in 0..1, got torch.uint8"),
    "a colour too few": (lambda: plots.gates({"a": [1], "b": [1]}, colours=["red"]), "colours: wanted 2"),
    "grey pictures": (lambda: plots.pictures(rand(2, 1, 8, 8)), r"got shape \(2, 1, 8, 8\)"),
    "too few titles": (lambda: plots.pictures(X, ["one"]), "titles: wanted 3, one per picture, got 1"),
    "H and W of the mask swapped": (lambda: plots.pictures(X, mask=MASK.mT), r"wanted \(3, 20, 24\)"),
    "one map for three": (lambda: plots.maps(X, rand(1, 4, 4)), "one per picture, 3, got 1"),
    "centre outside": (lambda: plots.window(X[0], 5, [(24, 3)]), "inside 20 x 24"),
    "boxes with a score for true ones": (
        lambda: plots.boxes(X, FOUND), r"boxes: wanted \(N, K, 5\): class, x1.*got shape \(3, 1, 6\)",
    ),
    "found boxes of two pictures": (lambda: plots.boxes(X, BOXES, FOUND[:2]), "one for each of the 3 pictures"),
    "classes of other pictures": (lambda: plots.painted(X, PAINT.mT), r"classes: wanted \(3, 20, 24\)"),
    "a class below the ground": (lambda: plots.painted(X, PAINT - 1), "with -1 to 9"),
    "no window": (lambda: plots.window(X[0], 0), "1 or more, got 0"),
    "a map too large for numbers": (lambda: plots.numbers(rand(3, 9, 9)), "at most 16 channels of 8 x 8"),
    "gates of different length": (lambda: plots.gates({"a": rand(3), "b": rand(4)}), "a: 3, b: 4"),
    "negative gates": (lambda: plots.gates({"a": [-0.5, 1]}), "at least 0, got -0.5"),
    "gates as a tensor": (lambda: plots.gates(rand(3)), "wanted a dict"),
    "two gates for three channels": (lambda: plots.hand_gate(SMALL, [1, 1]), "gate: wanted 3"),
    "no results": (lambda: plots.dots({}), "wanted a dict label -> values by seed"),
    "a diverged run": (lambda: plots.dots({"SE": [0.5, float("nan")]}), "1 of 2 values are not finite"),
    "pairs of other seeds": (lambda: plots.dots({"a": {1: .1, 2: .2}, "b": {2: .3, 3: .4}}, pairs=True), r"same seeds.*\[2, 3\]"),
    "pairs of unequal seeds": (lambda: plots.dots({"a": [1, 2], "b": [1]}, pairs=True), "same seeds.*'b': 1"),
    "an unknown family": (
        lambda: plots.dots({"a": [1]}, families={"a": "chanel"}),
        "Did you mean 'channel'.*Known: plain",
    ),
    "more steps than values": (lambda: plots.curves({"a": ([1, 2, 3], [1, 2])}), "3 steps but 2 values"),
    "curves without steps": (lambda: plots.curves({"a": 3}), r"wanted \(steps, values\)"),
    "log of zero": (lambda: plots.curves({"a": ([1, 2], [1, 0])}, log=True), "above 0, got 0"),
    "a row too many": (lambda: plots.heat([[1, 2]], ["a", "b"], ["c", "d"]), "rows: wanted 1, one per row"),
    "nothing was run": (lambda: plots.heat([[float("nan")]], ["a"], ["b"]), "nothing to draw"),
    "no steps": (lambda: plots.mechanism([]), "wanted a list"),
    "a step too far": (lambda: plots.mechanism(STEPS_OF_SE, lit=3), "3 steps, counted from 0; got 3"),
    "an unknown step": (lambda: plots.mechanism(STEPS_OF_SE, lit="sigmoids"), "Did you mean 'sigmoid'"),
    "an unknown joint": (lambda: plots.mechanism(STEPS_OF_SE, join="-"), "wanted 'x' or"),
    "a convolution too far": (
        lambda: plots.plain_host(LAYERS, "post", chosen=[3]),
        r"counted from 0; got \[3\]",
    ),
    "after_add in a plain host": (
        lambda: plots.plain_host(LAYERS, "after_add"),
        "Known: input, pre, post, both, head",
    ),
    "a lesson without a name": (lambda: plots.lesson_map({"00": "Start"}, HELPS), "wanted the lessons 00, got 00, 01"),
    "a lesson that needs a later one": (
        lambda: plots.lesson_map(NAMES, HELPS | {"01": ["04"]}), "'04' helps with '01' and stands behind it",
    ),
    "a lesson that needs an unknown one": (lambda: plots.lesson_map(NAMES, HELPS | {"01": ["17"]}), "unknown lesson '17'"),
    "any of an unknown one": (lambda: plots.lesson_map(NAMES, HELPS, any_of=["06"]), "unknown lesson '06'"),
    "a host too long": (lambda: plots.plain_host(LAYERS * 4), "fit into the row, got 12"),
}


@pytest.mark.parametrize("mistake", WRONG)
def test_wrong_input_is_refused_in_words(mistake):
    draw, words = WRONG[mistake]
    with pytest.raises(ValueError, match=words):
        draw()


# the emblem


def lit_numbers(fig):
    gids = [p.get_gid() for p in fig.axes[0].patches if (p.get_gid() or "").startswith("socket")]
    return {int(gid.split()[1]) for gid in gids if gid.endswith(" lit")}, {
        int(gid.split()[1]) for gid in gids
    }


def test_emblem_refuses_an_unknown_socket_and_lists_the_known():
    with pytest.raises(ValueError, match="unknown socket 'posts'. Did you mean 'post'") as error:
        plots.emblem(["pre", "posts"])
    assert all(name in str(error.value) for name in hosts.SOCKETS)


def test_emblem_lights_what_was_asked_for():
    assert lit_numbers(plots.emblem()) == (set(), set(range(1, 10)))
    for name, (number, _) in hosts.SOCKETS.items():
        assert lit_numbers(plots.emblem(name))[0] == ({2, 4} if name == "both" else {number})
    assert "called both" in plots.emblem(["pre", "post"]).alt
    assert "called both" not in plots.emblem(["pre"]).alt


def test_lit_names_can_be_read_without_colour(monkeypatch):
    bold = [
        t.get_text()
        for t, _ in drawn_texts(plots.emblem("inner"), monkeypatch)
        if t.get_fontweight() == "bold"
    ]
    assert bold.count("inner") == 2 and "pre" not in bold  # at its place, and in the legend


def test_host_lights_only_the_chosen_convolutions():
    def post(fig):
        return [p.get_gid() for p in fig.axes[0].patches if (p.get_gid() or "").startswith("socket 4")]

    assert post(plots.plain_host(LAYERS, "post", chosen=[1])) == [
        "socket 4 unlit",
        "socket 4 lit",
        "socket 4 unlit",
    ]
    assert lit_numbers(plots.plain_host(LAYERS, "both"))[0] == {2, 4}


def arrows(fig):
    return {tuple(line.get_gid().split(" helps with ")) for line in fig.axes[0].lines if "helps with" in (line.get_gid() or "")}


def test_a_map_of_lessons_draws_each_help_once_and_none_that_a_longer_way_says():
    assert arrows(plots.lesson_map(NAMES, HELPS)) == {
        ("00", "01"), ("00", "02"), ("01", "03"), ("02", "03"), ("03", "04"), ("01", "05"), ("02", "05")}
    helps = HELPS | {"05": ["00", "01"]}
    assert ("00", "05") not in arrows(plots.lesson_map(NAMES, helps))
    assert ("00", "05") in arrows(plots.lesson_map(NAMES, helps, any_of=["05"]))


def test_arrows_of_a_map_of_lessons_run_to_the_right_and_through_no_box():
    fig = plots.lesson_map(NAMES, HELPS)
    boxes = [p.get_bbox() for p in fig.axes[0].patches if "box" in (p.get_gid() or "")]
    assert len(boxes) == len(NAMES)
    for line in fig.axes[0].lines:
        x, y = line.get_data()
        assert all(a < b for a, b in itertools.pairwise(x))
        for (x0, x1), (y0, y1) in zip(itertools.pairwise(x), itertools.pairwise(y), strict=True):
            for t in (0.02, 0.25, 0.5, 0.75, 0.98):
                assert not any(b.x0 + 1 < x0 + t * (x1 - x0) < b.x1 - 1 and b.y0 < y0 + t * (y1 - y0) < b.y1 for b in boxes)


def test_what_was_not_run_can_be_left_out_of_a_map_and_its_words():
    """A map of many studies is mostly empty; its words would be too long to listen to."""
    table = [[0.25, float("nan")], [float("nan"), 0.5]]
    said, quiet = (plots.heat(table, ["a", "b"], ["c", "d"], **more).alt for more in ({}, {"missing": ""}))
    assert "a: c 0.25, d not run." in said and "b: c not run, d 0.50." in said
    assert "a: c 0.25." in quiet and "b: d 0.50." in quiet and "not run" not in quiet
