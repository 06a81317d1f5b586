"""Sphinx's settings for the book. `python tools/make_book.py` uses them; the folder with the pages is made by `pages.stage`."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
for folder in (ROOT, ROOT / "tools"):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))

import set_repo  # noqa: E402  (the paths come first)

from course_utils import __version__  # noqa: E402

# Sphinx, myst-nb and a theme, and not Jupyter Book: its line 1 holds Sphinx at 7 and brings ten extensions that nothing here
# uses; its line 2 is another program, which fetches its template from the network.
REPO, BRANCH = set_repo.current(ROOT)

project, version = "Where do you plug in attention?", __version__
author, copyright = "", "the authors. Code: MIT. Text and figures: CC BY 4.0"
extensions = ["myst_nb", "book.course"]

nb_execution_mode = "off"      # the outputs are committed
nb_merge_streams = True
# A slider needs a kernel; below it in the output is a picture that says the same. And its program would come from elsewhere.
nb_mime_priority_overrides = [("*", "application/vnd.jupyter.widget-view+json", None)]
nb_ipywidgets_js = {}
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 4
myst_update_mathjax = False
html_math_renderer = "mathml"

html_theme = "sphinx_book_theme"
html_title = project
html_static_path = ["static"]
html_css_files = ["book.css"]
html_use_index = False
html_theme_options = {
    "repository_url": f"https://github.com/{REPO}",
    "repository_branch": BRANCH,
    "use_repository_button": True,
    "launch_buttons": {"colab_url": "https://colab.research.google.com"},
    "show_toc_level": 2,
    "navbar_persistent": [],      # its search stands above the table of contents already
}
