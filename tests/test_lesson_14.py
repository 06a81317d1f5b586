"""Lesson 14: its own counter is the package's, its patients have the faults that its check expects, and its figures say so."""

import json
import math
from pathlib import Path

import pytest
import torch
from torch import nn

from course_utils import clinic, cost, plots, studies
from course_utils.check.lesson_14 import DIAGNOSES
from course_utils.sockets import doctor

LESSON = Path(__file__).resolve().parents[1] / "notebooks" / "14_keep_it_simple.ipynb"


def source(beginning: str) -> str:
    if not LESSON.exists():
        pytest.skip("this copy of the course has no lesson 14")
    cells = json.loads(LESSON.read_text("utf-8"))["cells"]
    return next(text for c in cells if c["cell_type"] == "code" and (text := "".join(c["source"])).startswith(beginning))


# ---- traffic

def test_traffic_is_what_goes_in_and_comes_out():
    """By hand: a convolution reads its map and its weights and writes its map. Catches a count of outputs alone."""
    conv, x = nn.Conv2d(3, 5, 3, padding=1, bias=False), torch.zeros(2, 3, 8, 6)
    assert cost.traffic(conv, x) == 4 * (2 * 3 * 48 + 135 + 2 * 5 * 48) / 2


def test_a_view_moves_nothing():
    class Turned(nn.Module):
        def forward(self, x):
            return x.flatten(1).unflatten(1, (3, 8, 6)).permute(0, 2, 3, 1)[..., :1]
    assert cost.traffic(Turned(), torch.zeros(2, 3, 8, 6)) == 0


def test_what_is_done_in_place_is_read_and_written():
    class Half(nn.Module):
        def forward(self, x):
            return torch.relu_(x + 1)
    n = 4 * 2 * 3 * 8 * 6
    assert cost.traffic(Half(), torch.zeros(2, 3, 8, 6)) == (2 * n + 2 * n) / 2


def test_the_lesson_writes_what_the_package_has():
    names = {}
    exec("import torch\nfrom torch.utils._python_dispatch import TorchDispatchMode\n"
         "from torch.utils._pytree import tree_leaves\n" + source("class Traffic"), names)
    net, x = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten()).eval(), torch.randn(2, 3, 9, 9)
    with torch.no_grad(), names["Traffic"]() as counted:
        net(x)
    assert counted.bytes / 2 == cost.traffic(net, x) > 0


# ---- the clinic

@pytest.mark.full      # some seconds each
@pytest.mark.parametrize("number", DIAGNOSES)
def test_a_patient_has_what_the_check_expects_and_the_doctor_names_it(number):
    net, x, y = clinic.patient(number)
    assert doctor(net, x[:200], y[:200]).named == (DIAGNOSES[number],)
    assert clinic.CASES[clinic.PATIENTS[number - 1]].fault == DIAGNOSES[number]


def test_the_healthy_one_is_not_accused():
    net, x, y = clinic.healthy()
    checkup = doctor(net, x[:200], y[:200])
    assert checkup.named == () and checkup.lost.whole > 0.9 and checkup.lost.low > 0.3


@pytest.mark.parametrize("number", [0, 7, True, "1", 1.5])
def test_another_patient_is_not_there(number):
    with pytest.raises(ValueError, match="there are patients 1 to 6, got"):
        clinic.patient(number)


def test_a_damaged_file_says_how_to_get_it_back(tmp_path, monkeypatch):
    (tmp_path / "clinic.pt").write_bytes(b"PK\x03\x04 not a network")
    monkeypatch.setattr(clinic, "PATH", tmp_path / "clinic.pt")
    with pytest.raises(ValueError, match="cannot be read.*python -m course_utils.clinic"):
        clinic.patient(1)
    (tmp_path / "clinic.pt").unlink()
    with pytest.raises(FileNotFoundError, match="is missing"):
        clinic.patient(1)


def test_the_file_holds_numbers_only():
    """Catches a pickle that would run code where somebody loads it."""
    states = torch.load(clinic.PATH, weights_only=True)
    assert set(states) == set(clinic.PATIENTS) and all(isinstance(t, torch.Tensor) for s in states.values() for t in s.values())


# ---- gain against price, and curves by seed

def test_the_front_is_that_of_the_definition():
    points = {"a": (1, 0.2), "b": (2, 0.2), "c": (2, 0.5), "d": (2, 0.4), "e": (3, 0.5), "f": (1, 0.2)}
    assert plots.front(points) == ["a", "c", "f"]


def test_pareto_draws_each_point_with_its_interval_and_names_the_front():
    fig = plots.pareto({"se, post": (1.5, [0.4, 0.5, 0.6]), "eca, input": (1.1, [0.5, 0.6, 0.7]), "plain": (1.0, [0.0])},
                       xlabel="bytes", ylabel="gain")
    ax = fig.axes[0]
    assert len([a for a in ax.collections if a.get_gid() == "point"]) == 3
    assert "Beaten by nobody: plain, eca, input." in fig.alt and "se, post: cost 1.50, gain 0.50" in fig.alt
    by_seed = plots.pareto({"se, post": (1.5, {400: 0.4, 401: 0.6})}, xlabel="bytes", ylabel="gain")
    assert "se, post: cost 1.50, gain 0.50" in by_seed.alt, "the seeds were drawn as gains"
    with pytest.raises(ValueError, match="wanted a dict"):
        plots.pareto({}, "a", "b")
    with pytest.raises(ValueError, match="not finite"):
        plots.pareto({"a": (math.inf, [1.0])}, "a", "b")


def test_priced_counts_what_the_arm_moves_and_its_pairs():
    """SE at the picture moves three maps of it more. Catches a price of another arm."""
    arms = studies.priced("what")
    price, gains = arms["eca, input"]
    assert 1 < price < 1.2 and len(gains) >= 20 and all(-1 < g < 1 for g in gains)
    assert all(len(g) >= 3 for _, g in arms.values())
    with pytest.raises(ValueError, match="task"):
        studies.priced("wat")


def test_panels_count_the_seeds_that_solve_it():
    curves = {"plain": ([50, 100], [[0.5, 0.5], [0.5, 0.4]]), "GC": ([50, 100], [[0.5, 0.95], [0.9, 0.6]])}
    fig = plots.panels(curves, solved=0.9, reference={"a guess": 0.5})
    titles = [ax.get_title(loc="left") for ax in fig.axes]
    assert titles[0].startswith("plain: 0 of 2") and titles[1].startswith("GC: 1 of 2 (0.01 to 0.99)")
    assert "GC: 1 of 2 seeds end at 0.90 or above" in fig.alt and "the lowest at 0.60" in fig.alt
    with pytest.raises(ValueError, match="2 steps but 3 values"):
        plots.panels({"a": ([1, 2], [[1, 2, 3]])}, 0.9)


def test_a_checkup_is_drawn_without_what_could_not_be_asked():
    fig = plots.checkup({}, {"all": (0.1, 0.0, 0.2)}, {})
    assert "No gate could be read" in fig.alt and "The cost was not measured" in fig.alt
    assert "all 10.0 % (0.0 to 20.0)" in fig.alt
    with pytest.raises(ValueError, match="nothing to draw"):
        plots.checkup({}, {}, {})
