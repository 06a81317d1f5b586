"""Rules that every lesson keeps. Each is a small function over the notebook's JSON that yields what is wrong.

That a rule can fail is tested too: BROKEN holds, for each one, notebooks that it must object to.
"""

import copy
import json
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
MOST_BYTES = 1_500_000
WIDEST = 100      # characters of a line of code

# --- Reading ---


def cells(nb, kind):
    return [cell for cell in nb["cells"] if cell["cell_type"] == kind]


def source(cell):
    return "".join(cell["source"])


def outputs(nb):
    return [output for cell in cells(nb, "code") for output in cell["outputs"]]


def prose(nb):
    """The text of the markdown cells without code: a # in a code block is no heading."""
    fenced = re.compile(r"^ {0,3}(```|~~~).*?^ {0,3}\1", re.M | re.S)
    return [re.sub(r"`[^`\n]+`", "", fenced.sub("", source(cell))) for cell in cells(nb, "markdown")]


def html(nb):
    """Output as HTML, as text."""
    return ["".join(output.get("data", {}).get("text/html", "")) for output in outputs(nb)]


def strings(value):
    """Every piece of text in the notebook but its pictures, lines of a list put together."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list) and all(isinstance(item, str) for item in value):
        yield "".join(value)
    elif isinstance(value, list):
        for item in value:
            yield from strings(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            if not key.startswith("image/") or key == "image/svg+xml":
                yield from strings(item)


# --- Rules ---


def valid_format(nb):
    if (nb.get("nbformat"), nb.get("nbformat_minor")) != (4, 5):
        yield f"format {nb.get('nbformat')}.{nb.get('nbformat_minor')}, want 4.5"
    try:
        nbformat.validate(copy.deepcopy(nb))
    except nbformat.ValidationError as error:
        yield str(error).partition("\n")[0]


def unique_ids(nb):
    ids = [cell.get("id") for cell in nb["cells"]]
    yield from (f"id {i!r} occurs twice or is missing" for i in set(ids) if i is None or ids.count(i) > 1)


def usual_kernel(nb):
    """Any other name is a kernel of the author's machine."""
    name = nb["metadata"].get("kernelspec", {}).get("name")
    if name != "python3":
        yield f"kernel {name!r}, want 'python3'"


def no_widget_state(nb):
    """GitHub refuses a whole notebook over it, and static pages show a dead widget instead of the picture."""
    if "widgets" in nb["metadata"]:
        yield "metadata.widgets"


def no_machine_paths(nb):
    path = re.compile(r"(?<![\w./:-])/(home|Users|tmp|root|mnt|var/folders)\b|\b[A-Z]:\\\\?(Users|Temp)\b")
    for text in strings(nb):
        yield from (text[max(0, m.start() - 20) : m.end() + 30] for m in path.finditer(text))


def no_errors_or_warnings(nb):
    for output in outputs(nb):
        if output["output_type"] == "error":
            yield f"error {output['ename']}"
        if output.get("name") == "stderr":
            yield f"stderr: {''.join(output['text'])[:60]}"


def ran_in_order(nb):
    counts = [cell["execution_count"] for cell in cells(nb, "code") if source(cell).strip()]
    if counts != list(range(1, len(counts) + 1)):
        yield f"execution counts {counts}, want 1, 2, 3, ..."


def small_file(nb):
    size = len(json.dumps(nb, indent=1, ensure_ascii=False).encode())
    if size > MOST_BYTES:
        yield f"{size} bytes, at most {MOST_BYTES}"


def pictures_have_alt_text(nb):
    for output in outputs(nb):
        for mime in output.get("data", {}):
            alt = output["metadata"].get(mime, {}).get("alt", "")
            if mime.startswith("image/") and not alt.strip():
                yield f"output {mime} without alt in its metadata"
    for text in prose(nb) + html(nb):
        yield from (f"{m[0]} without alt text" for m in re.finditer(r"!\[\s*\]\([^)]*\)", text))
        for tag in re.findall(r"<img\b[^>]*>", text):
            if not re.search(r"""\balt\s*=\s*(["'])\s*[^\s"'].*?\1""", tag):
                yield f"{tag[:60]} without alt text"


def headings_form_a_tree(nb):
    heading = re.compile(r"^(?:[ >]{0,4})(#{1,6})[ \t]+\S|<h([1-6])\b", re.M)
    levels = [len(m[1]) if m[1] else int(m[2]) for text in prose(nb) for m in heading.finditer(text)]
    if levels.count(1) != 1 or levels[0] != 1:
        yield f"want one first-level heading, and it first: {levels}"
    yield from (f"level {a} is followed by level {b}" for a, b in pairwise(levels) if b > a + 1)


def checked_cells_have_outputs(nb):
    """nbval passes a cell without a stored output, whatever it prints now."""
    for cell in cells(nb, "code"):
        tags = cell["metadata"].get("tags", [])
        comment = re.search(r"^\s*# NBVAL_CHECK_OUTPUT\s*$", source(cell), re.M)
        marked = comment or "nbval-check-output" in tags
        if marked and not (cell["outputs"] and cell["execution_count"]):
            yield f"marked to be compared, but nothing is stored: {source(cell)[:60]!r}"


def pip_replaces_nothing(nb):
    for cell in nb["cells"]:
        for command in re.findall(r"\bpip3? install\b([^\n`]*)", source(cell)):
            if re.search(r"(?<!\S)(-\w*U\w*|--upgrade)(?!\S)", command):
                yield f"pip install{command}: an upgrade can break what is loaded"
            if re.search(r"[<>=~!]=|[<>]", re.sub(r"""(["']).*?\1""", "", command)):
                yield f"pip install{command}: the shell takes an unquoted > for a file"


def forms_that_vs_code_draws(nb):
    """What Jupyter, Colab and VS Code all draw. VS Code runs no script of a stored page and knows mathematics in dollars only."""
    known = {"text/plain", "text/html", "text/markdown", "image/png", "application/vnd.jupyter.widget-view+json"}
    for output in outputs(nb):
        data = output.get("data", {})
        yield from (f"output of the form {mime}" for mime in data.keys() - known)
        if data and "text/plain" not in data:
            yield f"no plain text beside {', '.join(data)}"
    folded = ["".join(output.get("data", {}).get("text/markdown", "")) for output in outputs(nb)]
    for text in prose(nb) + html(nb) + folded:
        yield from (m[0] for m in re.finditer(r"<(script|style|link|iframe|object|embed|form)\b|\son\w+\s*=\s*[\"']", text, re.I))
        yield from (m[0] for m in re.finditer(r"(src|href)\s*=\s*[\"']\s*(https?:)?//", text, re.I))
        yield from (f"mathematics in {m[0]}" for m in re.finditer(r"\\[(\[]", text))
        outside = re.sub(r"\$\$.+?\$\$", "", text, flags=re.S)
        yield from (f"{m[0]} outside $$" for m in re.finditer(r"\\begin\{\w+\*?\}", outside))


def narrow_code(nb):
    """A wider line is cut off on a code-hosting page and in a narrow window: the reader scrolls sideways."""
    for cell in cells(nb, "code"):
        yield from (f"{len(line)} characters: {line[:60]}" for line in source(cell).splitlines() if len(line) > WIDEST)


RULES = [
    valid_format,
    unique_ids,
    usual_kernel,
    no_widget_state,
    no_machine_paths,
    no_errors_or_warnings,
    ran_in_order,
    small_file,
    pictures_have_alt_text,
    headings_form_a_tree,
    checked_cells_have_outputs,
    pip_replaces_nothing,
    forms_that_vs_code_draws,
    narrow_code,
]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_lesson_keeps_the_rules(path):
    nb = json.loads(path.read_text("utf-8"))
    objections = [f"{rule.__name__}: {objection}" for rule in RULES for objection in rule(nb)]
    assert not objections, "\n".join(objections)


# --- Is there a rule that cannot fail? ---

PICTURE = {
    "output_type": "display_data",
    "data": {"image/png": "iVBORw0KGgo=/tmp/x", "text/html": "<p>a < b <img src='x' alt='three digits'></p>",
             "text/plain": "three digits"},
    "metadata": {"image/png": {"alt": "three digits in a frame"}},
}


def code(text, count, *found, tags=()):
    metadata = {"tags": list(tags)} if tags else {}
    return {"cell_type": "code", "id": f"c{count}", "metadata": metadata, "execution_count": count,
            "outputs": list(found), "source": text.splitlines(keepends=True)}  # fmt: skip


def markdown(text, i):
    return {"cell_type": "markdown", "id": f"m{i}", "metadata": {}, "source": text.splitlines(keepends=True)}


def printed(text, stream="stdout"):
    return {"output_type": "stream", "name": stream, "text": [text]}


def good():
    """A notebook that breaks no rule and comes close to several."""
    listing = '```\n# no heading\npip install "timm>=1"\n```'
    return {
        "cells": [
            markdown(f"# Title\n\n![Open](badge.svg)\n\n{listing}\n## Part\n### Box\n## Next", 1),
            code("1 + 1  #" + 92 * "-", 1, PICTURE),
            code("# NBVAL_CHECK_OUTPUT\nprint(2)", 2, printed("2\n")),
            code("print(3)", 3, printed("3\n"), tags=["nbval-check-output"]),
            markdown("See https://example.org/home/index.html and `pip install -q timm`.", 2),
        ],
        "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }


def with_cell(cell):
    return lambda nb: nb["cells"].append(cell)


def with_output(output):
    return lambda nb: nb["cells"][1]["outputs"].append(output)


def with_text(text):
    return with_cell(markdown(text, 9))


BROKEN = {
    valid_format: [
        lambda nb: nb.update(nbformat_minor=4),
        lambda nb: nb["cells"][1].pop("outputs"),
    ],
    unique_ids: [
        lambda nb: nb["cells"][0].update(id="c1"),
        lambda nb: nb["cells"][0].pop("id"),
    ],
    usual_kernel: [
        lambda nb: nb["metadata"].pop("kernelspec"),
        lambda nb: nb["metadata"]["kernelspec"].update(name="attention"),
    ],
    no_widget_state: [lambda nb: nb["metadata"].update(widgets={})],
    no_machine_paths: [
        with_text("Saved as /home/ada/result.json"),
        with_output(printed("saved in '/tmp/run1'\n")),
        with_output(printed("C:\\Users\\ada\n")),
        lambda nb: nb["metadata"].update(papermill={"input_path": "/root/x.ipynb"}),
    ],
    no_errors_or_warnings: [
        with_output({"output_type": "error", "ename": "ValueError", "evalue": "", "traceback": []}),
        with_output(printed("UserWarning: ...", "stderr")),
    ],
    ran_in_order: [
        lambda nb: nb["cells"][2].update(execution_count=7),
        lambda nb: nb["cells"][1].update(execution_count=None),
    ],
    small_file: [with_output(printed("é" * (MOST_BYTES // 2)))],
    pictures_have_alt_text: [
        with_output({**PICTURE, "metadata": {}}),
        with_output({**PICTURE, "metadata": {"image/png": {"alt": " "}}}),
        with_output({**PICTURE, "data": {"text/html": "<img src='x'>"}}),
        with_text("![](figure.png)"),
        with_text('<img src="x" alt="">'),
    ],
    headings_form_a_tree: [
        with_text("# A second title"),
        with_text("#### From level two to four"),
        with_text("> #### In a box"),
        lambda nb: nb["cells"].insert(0, markdown("## Before the title", 9)),
        lambda nb: nb["cells"].pop(0),
    ],
    checked_cells_have_outputs: [
        lambda nb: nb["cells"][2].update(outputs=[]),
        lambda nb: nb["cells"][2].update(execution_count=None),
        lambda nb: nb["cells"][3].update(outputs=[]),
    ],
    pip_replaces_nothing: [
        with_text("`pip install -U torch`"),
        with_cell(code("%pip install -qU timm", 4)),
        with_cell(code("!pip install --upgrade timm", 4)),
        with_cell(code("%pip install timm>=1", 4)),
        with_text("pip install 'timm>=1' torch==2.6"),
    ],
    forms_that_vs_code_draws: [
        with_output({**PICTURE, "data": {"text/plain": "x", "image/svg+xml": "<svg/>"}}),
        with_output({**PICTURE, "data": {"image/png": "eA=="}}),
        *(with_output({**PICTURE, "data": {"text/plain": "x", "text/html": text}})
          for text in ("<script>1</script>", "<b onclick='x()'>", "<style>b{}</style>", "<img alt='a' src='https://x.example/a'>")),
        with_output({**PICTURE, "data": {"text/plain": "x", "text/markdown": r"Here \(x\) is small."}}),
        with_text(r"Here \(x\) is small."),
        with_text("Here:\n\n\\begin{align}x\\end{align}"),
    ],
    narrow_code: [with_cell(code("x = 1\n" + "y" * 101, 4))],
}


def test_a_good_notebook_passes_every_rule():
    assert not [f"{rule.__name__}: {objection}" for rule in RULES for objection in rule(good())]


def test_every_rule_has_been_seen_to_fail():
    assert list(BROKEN) == RULES


@pytest.mark.parametrize(
    "rule, damage",
    [
        pytest.param(rule, damage, id=f"{rule.__name__}-{i}")
        for rule, damages in BROKEN.items()
        for i, damage in enumerate(damages)
    ],
)
def test_rule_objects_to_a_broken_notebook(rule, damage):
    nb = good()
    damage(nb)
    assert list(rule(nb))


RED = """
import nbformat.v4 as v4, run_notebooks
def red(text):
    return v4.new_code_cell("", outputs=[v4.new_output("stream", name="stderr", text=text)])
bar = "  0%|  | 0/3 [00:00<?, ?it/s]" + chr(13) + "100%|##| 3/3 [00:01<00:00, 2.1it/s]"
print(run_notebooks.warned(v4.new_notebook(cells=[red(bar), red("UserWarning: no" + chr(10) + "  more")])))
nb = v4.new_notebook(cells=[red(bar)])
nb.cells[0].outputs = [v4.new_output("stream", text="a"), *nb.cells[0].outputs, v4.new_output("stream", text="b")]
run_notebooks.tidy(nb)
print([out.text for out in nb.cells[0].outputs])
"""


def test_what_a_reader_sees_in_red_is_named_and_a_progress_bar_leaves_nothing():
    """In a process of its own: the tool sets its environment as it is imported."""
    said = subprocess.run([sys.executable, "-c", RED], cwd=ROOT / "tools", capture_output=True, text=True, check=True)
    assert said.stdout.splitlines() == ["['cell 1 warns: UserWarning: no']", "['ab']"]
