"""Networks with attention in them, exported for batches and pictures of any size: traced, and to ONNX where that is installed.

The functions are those that write docs/export.md, so what is tested is what the page says. Each mechanism by itself is traced
in test_attention_export.py.
"""

import importlib.util
import math
import warnings

import make_export_table as tool
import make_socket_table as tables
import pytest
import torch
from sockets_host import Host

from course_utils import attention, hosts

NAMES = [name for name in attention.REGISTRY if name not in tool.NOWHERE]
TEXT = tool.PAGE.read_text(encoding="utf-8")
ROWS = tables.rows_of(TEXT)
NEEDS = ("onnx", "onnxscript", "onnxruntime")


def version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split("+")[0].split(".")[:2])


MISSING = [name for name in NEEDS if not importlib.util.find_spec(name)]
needs_onnx = pytest.mark.skipif(bool(MISSING), reason=f"needs the extra `test`: {', '.join(MISSING)} not installed")
# From 2.9 on it is the exporter that torch.onnx.export takes by itself; before, another stage of it.
needs_exporter = pytest.mark.skipif(version(torch.__version__) < (2, 9), reason="the new exporter was a trial before torch 2.9")


@pytest.mark.parametrize("name, at", [*((name, tool.place(name)) for name in NAMES), ("aff", "fuse"), ("attention_gate", "fuse")])
def test_a_traced_network_takes_other_batches_and_pictures(name, at):
    """Catches a batch, a size or the answer to a question that the trace keeps, as of condconv's groups."""
    torch.manual_seed(0)
    net = tool.plugged(Host(), name, (12, 14), at)
    with warnings.catch_warnings():
        warnings.simplefilter("error", torch.jit.TracerWarning)
        warnings.filterwarnings("ignore", message=".*deprecated")
        run = torch.jit.trace(net, tool.pictures((2, 3, 12, 14)), check_trace=False)
    assert tool.difference(run, net, ((2, 3, 12, 14), (3, 3, 17, 10), (1, 3, 2, 2))) < tool.LIMIT


# One of each kind that had to be mended, and one that had not: a kernel for each picture, a grid, a transposition, a matrix of
# ones, a variance with its divisor, scores, a plain gate, a pool; a variance behind a reshape, places, interleaved channels.
MENDED = ["condconv", "dynamic_conv", "stn", "coordinate", "criss_cross", "srm", "simam", "non_local", "se", "attention_pool",
          "sge", "deform_conv", "shuffle"]


@needs_onnx
@pytest.mark.full
@pytest.mark.parametrize("way", [pytest.param("ONNX", marks=needs_exporter), "older ONNX"])
@pytest.mark.parametrize("name", MENDED)
def test_onnxruntime_gives_the_outputs_of_the_network(name, way):
    """At other sizes than the exported one, the last with maps of one position. Catches .mT put back (older), and a size kept."""
    torch.manual_seed(0)
    net = tool.plugged(hosts.SmallHost(7), name)
    run = tool.WAYS[way](net, tool.pictures(tool.EXPORTED))
    change = tool.difference(run, net, (tool.EXPORTED, *tool.OTHERS, (2, 3, 4, 4)))
    assert tool.agrees(name, tool.rounding(net), str(change))


# ---- the page

def test_the_page_has_a_row_for_every_mechanism_and_no_failure_without_words():
    """Catches a mechanism that was added and never exported, and a difference that is more than rounding."""
    assert list(ROWS) == list(attention.REGISTRY), "run: python tools/make_export_table.py"
    for name, row in ROWS.items():
        assert tuple(row) == tool.HEAD and all(row.values())
        assert row["at"] == (tool.NOWHERE[name] if name in tool.NOWHERE else tool.place(name))
    assert not [(name, cell) for name, rounds, cell in tool.trials(ROWS)
                if not cell.startswith("fails: ") and not tool.agrees(name, rounds, cell)]
    assert len(tool.trials(ROWS)) == len(NAMES) * len(tool.HOSTS) * len(tool.WAYS)


def test_the_page_says_what_its_rows_say():
    """Catches a sentence or a row that was changed by hand."""
    made_with = TEXT[TEXT.index("Made with"):]
    assert tool.finding(ROWS) in TEXT
    assert tool.page(ROWS).split("Made with")[0] + made_with == TEXT


@pytest.fixture
def page(tmp_path, monkeypatch):
    """A page of three mechanisms, each made by a stub that notes its name."""
    made = []

    def row(name):
        made.append(name)
        return [name, "post", *["1e-06", "0", "2e-06", "3e-06"] * len(tool.HOSTS)]
    monkeypatch.setattr(tool, "PAGE", tmp_path / "export.md")
    monkeypatch.setattr(tool.attention, "REGISTRY", {name: attention.REGISTRY[name] for name in ("se", "eca", "stn")})
    monkeypatch.setattr(tool, "row", row)
    monkeypatch.setattr(tool, "versions", lambda: "torch 9")
    return made


@pytest.mark.full
def test_a_stopped_run_goes_on_where_it_was(page, monkeypatch):
    """Catches rows of other versions under these, and rows that are made twice."""
    tool.main([])
    whole = tool.PAGE.read_text(encoding="utf-8")
    tool.PAGE.write_text("".join(line for line in whole.splitlines(True) if not line.startswith("| eca ")), encoding="utf-8")
    tool.main([])
    assert page == ["se", "eca", "stn", "eca"] and tool.PAGE.read_text(encoding="utf-8") == whole
    tool.main(["stn"])
    assert page[4:] == ["stn"]
    monkeypatch.setattr(tool, "versions", lambda: "torch 10")
    tool.main([])
    assert page[5:] == ["se", "eca", "stn"]


def test_the_sentence_counts_what_the_table_says(page):
    tool.main([])
    rows = tables.rows_of(tool.PAGE.read_text(encoding="utf-8"))
    assert "3 mechanisms, 18 exports" in tool.finding(rows) and "18 of 18 give" in tool.finding(rows)
    rows["eca"]["SmallHost: ONNX"] = "fails: ValueError: no"
    rows["stn"] |= {"ResNet-18: rounding": "1e-04", "ResNet-18: ONNX": "2e-04", "ResNet-18: trace": "4e-04"}
    said = tool.finding(rows).replace("\n", " ")
    assert "16 of 18 give" in said and "15 to 1e-05" in said and "1 to 2e-04, at most 2.0 times" in said


@pytest.mark.parametrize("wrong, said", [
    (lambda net, x: net.no_such_name, "fails: AttributeError: "), (lambda net, x: lambda x: net(x) * math.nan, "14 not finite"),
    (lambda net, x: lambda x: net(x)[:1], "fails: RuntimeError: (2, 7)"), (lambda net, x: lambda x: net(x) * 1.01, "1.0e-02")])
def test_a_cell_says_what_went_wrong(wrong, said):
    """Catches numbers that are none, which a maximum passes over, and a reason with the table's own bar in it."""
    cell = tool.attempt(hosts.SmallHost(7).eval(), wrong)
    assert said in cell and "|" not in cell
