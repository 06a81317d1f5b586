"""Figures that answer to sliders, in JupyterLab, in Colab, and as a still picture on a page without a kernel.

One pattern: a plain function draws a figure from values, and a static cell calls it too. Its picture goes
into an Image widget; the output also holds the first picture as a PNG, for GitHub and exported pages.
"""
from __future__ import annotations

import base64
import contextlib
import html
import sys
import traceback

import ipywidgets as widgets
from IPython.display import display

from .plots.look import css_width, sentence, to_png
from .runtime import raises_in_widgets


def explore(draw, alt: str, **controls) -> None:
    """Show draw(**values) below its controls, and draw it again when one of them changes.

    Args:
        draw: returns a matplotlib figure; its `alt`, if any, is the sentence below, and follows the controls.
        alt: what can be seen and tried here, in a sentence.
        controls: one core widget per argument of draw, for instance red=FloatSlider(0.5, min=0, max=1).
    """
    box, png, words = panel(draw, alt, controls)
    if "google.colab" in sys.modules:
        display(box)                     # Colab does not mix a widget with a picture in one output
        return
    view = {"version_major": 2, "version_minor": 0, "model_id": box.model_id}
    display({"application/vnd.jupyter.widget-view+json": view, "image/png": base64.b64encode(png).decode(),
             "text/plain": words}, raw=True, metadata={"image/png": {"alt": words, "width": css_width(png)}})


def panel(draw, alt: str, controls: dict):
    """What explore displays: the box of widgets, and the first picture with its words."""
    if not isinstance(alt, str) or not alt.strip():
        raise ValueError("alt: wanted a sentence that says what can be seen and tried")
    for name, control in controls.items():
        if not isinstance(control, widgets.ValueWidget):
            raise ValueError(f"{name}: wanted a widget with a value, such as FloatSlider, got {control!r}")
        control.description = control.description or name.replace("_", " ")
        if control.has_trait("continuous_update"):
            control.continuous_update = False        # one drawing per move, not one per pixel
    image = widgets.Image(format="png", layout=widgets.Layout(align_self="flex-start", max_width="100%"))
    caption, message = widgets.HTML(), widgets.HTML()

    def redraw():
        fig = draw(**{name: control.value for name, control in controls.items()})
        if not hasattr(fig, "savefig"):
            raise ValueError(f"draw has to return a matplotlib figure, got {type(fig).__name__}")
        png, said = to_png(fig), getattr(fig, "alt", "")
        image.width, image.value = str(css_width(png)), png
        caption.value, message.value = sentence(said or alt), ""
        return png, said

    def on_change(change):
        try:
            with closing_new_figures():
                redraw()
        except Exception:                            # otherwise an error in a callback is seen nowhere
            told = html.escape(traceback.format_exc(limit=-2))
            message.value = f"<pre style='color:#B00020'>{told}</pre>"
            if raises_in_widgets():
                raise

    with closing_new_figures():
        png, said = redraw()                     # if the first drawing fails, the cell fails, as it should
    for control in controls.values():
        control.observe(on_change, names="value")
    about = widgets.HTML(sentence(alt))
    box = widgets.VBox([about, *controls.values(), image, message, caption])
    return box, png, f"{alt} {said}".strip()


@contextlib.contextmanager
def closing_new_figures():
    """Close what a drawing leaves open in pyplot: the notebook would show it below the cell once more."""
    pyplot = sys.modules.get("matplotlib.pyplot")
    before = set(pyplot.get_fignums()) if pyplot else set()
    try:
        yield
    finally:
        pyplot = sys.modules.get("matplotlib.pyplot")
        for num in set(pyplot.get_fignums()) - before if pyplot else ():
            pyplot.close(num)
