"""A control redraws its figure, an error is seen, and a page without a kernel shows the first picture."""

import base64
import io
import sys

import ipywidgets
import pytest
from matplotlib.figure import Figure
from PIL import Image

from course_utils import plots, widgets
from course_utils.plots import look

X = [[[1.0, 2], [3, 4]], [[0, 0], [0, 8]], [[2, 2], [2, 2]]]


def draw(red, green=1.0):
    return plots.hand_gate(X, [red, green, 0.5], limit=1.0)


def slider(**options):
    return ipywidgets.FloatSlider(0.5, min=0, max=1, step=0.05, **options)


def parts(box):
    """The picture, the message of an error and the sentence of a box made by panel."""
    image, message, caption = box.children[-3:]
    assert isinstance(image, ipywidgets.Image)
    return image, message, caption


def picky(red):
    if red > 0.9:
        raise ZeroDivisionError("red is <too> high")
    return draw(red)


@pytest.fixture
def shown(monkeypatch):
    """What was displayed: a list of (data, metadata); a displayed widget has no metadata."""
    found = []
    monkeypatch.setattr(
        widgets, "display", lambda data, raw=False, metadata=None: found.append((data, metadata))
    )
    return found


def test_moving_a_slider_changes_the_picture():
    red, green = slider(), slider()
    box, png, _ = widgets.panel(draw, "Three gates.", {"red": red, "green": green})
    image, message, caption = parts(box)
    assert image.value == png and "times 0.5, is 0.5 1" in caption.value
    red.value = 0.25
    assert image.value != png and "times 0.25, is 0.25 0.5" in caption.value
    assert image.value == look.to_png(draw(0.25, 0.5))
    second = image.value
    green.value = 0.0
    assert image.value not in (png, second) and message.value == ""


def test_picture_has_the_width_of_the_page_not_of_the_png():
    box, png, _ = widgets.panel(draw, "A gate.", {"red": slider()})
    assert int(parts(box)[0].width) == round(100 * draw(0.5).get_figwidth())
    assert Image.open(io.BytesIO(png)).width > 1.9 * int(parts(box)[0].width)


def test_controls_wait_for_the_end_of_a_move_and_have_names():
    red_gate, named, choice = slider(), slider(description="mine"), ipywidgets.Dropdown(options=["a", "b"])
    widgets.panel(lambda **_: draw(0.5), "Gates.", {"red_gate": red_gate, "named": named, "choice": choice})
    assert [c.description for c in (red_gate, named, choice)] == ["red gate", "mine", "choice"]
    assert red_gate.continuous_update is False and named.continuous_update is False


def test_an_error_is_shown_below_the_figure_and_goes_away(monkeypatch):
    monkeypatch.setenv("COURSE_PROFILE", "full")
    red = slider()
    box, png, _ = widgets.panel(picky, "A gate.", {"red": red})
    image, message, _ = parts(box)
    red.value = 1.0
    assert image.value == png
    assert "ZeroDivisionError: red is &lt;too&gt; high" in message.value
    red.value = 0.25
    assert message.value == "" and image.value != png


def test_an_error_is_raised_too_where_tests_must_see_it(monkeypatch):
    monkeypatch.setenv("COURSE_PROFILE", "quick")
    red = slider()
    box, _, _ = widgets.panel(picky, "A gate.", {"red": red})
    with pytest.raises(ZeroDivisionError):
        red.value = 1.0
    assert "ZeroDivisionError" in parts(box)[1].value


def test_a_first_drawing_that_fails_fails_the_cell(shown, monkeypatch):
    monkeypatch.setenv("COURSE_PROFILE", "full")
    with pytest.raises(ZeroDivisionError):
        widgets.explore(picky, "A gate.", red=ipywidgets.FloatSlider(1.0, min=0, max=1))
    assert not shown


def test_output_is_live_and_still(shown):
    assert widgets.explore(draw, "Three gates to move.", red=slider()) is None
    ((data, metadata),) = shown
    assert data["application/vnd.jupyter.widget-view+json"]["model_id"]
    png = base64.b64decode(data["image/png"])
    assert png == look.to_png(draw(0.5))
    alt = metadata["image/png"]["alt"]
    assert alt.startswith("Three gates to move.") and "times 0.5, is 0.5 1" in alt
    assert data["text/plain"] == alt
    assert metadata["image/png"]["width"] == round(100 * draw(0.5).get_figwidth())


def test_colab_gets_the_box_alone(shown, monkeypatch):
    monkeypatch.setitem(sys.modules, "google.colab", object())
    widgets.explore(draw, "Three gates.", red=slider())
    ((box, _),) = shown
    assert isinstance(box, ipywidgets.VBox)


def test_no_figure_stays_open_in_pyplot(monkeypatch):
    import matplotlib.pyplot as plt

    monkeypatch.setenv("COURSE_PROFILE", "full")
    plt.close("all")
    kept = plt.figure()

    def with_pyplot(red):
        fig, ax = plt.subplots()
        ax.plot([0, red])
        plt.figure()  # a second one, forgotten
        if red > 0.9:
            raise ZeroDivisionError
        return fig

    red = slider()
    widgets.panel(with_pyplot, "A line.", {"red": red})
    assert plt.get_fignums() == [kept.number]
    red.value = 0.25
    red.value = 1.0
    assert plt.get_fignums() == [kept.number]
    plt.close(kept)


def test_a_figure_without_words_has_those_of_the_widget():
    def silent(red):
        fig = Figure()
        fig.add_subplot().plot([0, red])
        return fig

    box, _, words = widgets.panel(silent, "A line that rises.", {"red": slider()})
    assert words == "A line that rises." and "A line that rises." in parts(box)[2].value


@pytest.mark.parametrize(
    "draw, alt, control, words",
    [
        (draw, " ", slider, "alt: wanted a sentence"),
        (draw, "A gate.", lambda: 0.5, "red: wanted a widget with a value.*got 0.5"),
        (draw, "A gate.", ipywidgets.Button, "red: wanted a widget with a value"),
        (lambda red: None, "A gate.", slider, "return a matplotlib figure, got NoneType"),
    ],
)
def test_wrong_use_is_refused_in_words(draw, alt, control, words):
    with pytest.raises(ValueError, match=words):
        widgets.panel(draw, alt, {"red": control()})
