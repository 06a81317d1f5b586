"""Answers whose numbers are right and whose gradient is not; and causes that were named for mistakes nobody had made."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils import attention, check
from course_utils.check.report import PARTLY
from course_utils.check.slopes import partly_cut, partly_cut_in


class CutSE(nn.Module):
    """The mean under no_grad: x has a gradient, through the product alone."""

    def __init__(self, channels: int, reduction: int = 16):
        super().__init__()
        hidden = max(1, channels // reduction)
        self.down, self.up = nn.Linear(channels, hidden), nn.Linear(hidden, channels)

    def squeezed(self, x: Tensor) -> Tensor:
        return x.detach().mean((2, 3))

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(self.up(torch.relu(self.down(self.squeezed(x)))))[:, :, None, None]


class CutSpatial(nn.Module):
    def __init__(self, kernel_size: int = 7):
        super().__init__()
        self.conv = nn.Conv2d(2, 1, kernel_size, padding=kernel_size // 2)

    def forward(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            summary = torch.stack([x.mean(1), x.amax(1)], 1)
        return x * torch.sigmoid(self.conv(summary))


class CutMixture(nn.Module):
    def __init__(self, channels: int, kernels: int = 4, temperature: float = 30.0):
        super().__init__()
        self.kernels = nn.Parameter(torch.randn(kernels, channels, channels, 3, 3))
        self.squeeze, self.router = nn.Linear(channels, channels // 4), nn.Linear(channels // 4, kernels)
        self.temperature = temperature

    def forward(self, x: Tensor) -> Tensor:
        z = x.detach().mean((2, 3))
        p = (self.router(torch.relu(self.squeeze(z))) / self.temperature).softmax(1)
        outputs = torch.stack([F.conv2d(x, kernel, padding=1) for kernel in self.kernels], 1)
        return (p[..., None, None, None] * outputs).sum(1)


class Transformer(nn.Module):
    """The localisation reads x cut off, or theta is the identity plus what the last layer says."""

    cut, added = True, False

    def __init__(self, channels: int):
        super().__init__()
        self.localise = nn.Sequential(nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(16 * channels, 16), nn.ReLU())
        self.last = nn.Linear(16, 6)
        nn.init.zeros_(self.last.weight)
        self.last.bias.data = torch.zeros(6) if self.added else torch.eye(3)[:2].flatten()

    def forward(self, x: Tensor) -> Tensor:
        theta = self.last(self.localise(x.detach() if self.cut else x)).view(-1, 2, 3)
        theta = theta + torch.eye(2, 3) if self.added else theta
        return F.grid_sample(x, F.affine_grid(theta, list(x.shape), align_corners=False), align_corners=False)


class CutEased(nn.Module):
    def __init__(self, module: nn.Module):
        super().__init__()
        self.module, self.weight = module, nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.weight * (self.module(x.detach()) - x)


class CutStart(nn.Module):
    def __init__(self, channels: int):
        super().__init__()
        self.squeeze, self.excite = nn.Linear(channels, channels), nn.Linear(channels, channels)
        nn.init.zeros_(self.excite.weight)
        nn.init.zeros_(self.excite.bias)

    def forward(self, x: Tensor) -> Tensor:
        logits = self.excite(torch.relu(self.squeeze(x.detach().mean((2, 3)))))
        return x * 2 * torch.sigmoid(logits)[:, :, None, None]


def cut_coordinate(x, w, w_rows, w_columns):
    down, across = (F.hardswish(w @ strip) for strip in (x.mean(3), x.detach().mean(2)))
    return (w_rows @ down).sigmoid()[..., :, None] * (w_columns @ across).sigmoid()[..., None, :]


@pytest.mark.parametrize("exercise, answer", [
    (check.se, CutSE), (check.spatial_gate, CutSpatial), (check.mended_mixture, CutMixture),
    (check.mended_transformer, Transformer), (check.eased, CutEased), (check.identity_start, CutStart),
    (check.coordinate_gate, cut_coordinate)])
def test_a_gradient_of_which_a_part_is_cut_is_no_whole_one(exercise, answer, capsys):
    assert exercise(answer) is False
    assert f"Likely cause: {PARTLY}" in capsys.readouterr().out


@pytest.mark.parametrize("function, cut", [
    (lambda x, y: x * y.detach() + y, [1]), (lambda x, y: x.detach() * y * x, [0]), (lambda x, y: x * y, []),
    (lambda x, y: torch.relu(x) * y.amax(), []), (lambda x, y: (x * y.detach()).float(), []),      # too coarse to be measured
    (lambda x, y: x.sign() + y, []), (lambda x, y: 1 / 0, [])])
def test_the_slope_is_measured_and_nothing_is_said_where_it_cannot_be(function, cut):
    x, y = torch.linspace(-1, 1, 12).view(3, 4) + 0.03, torch.linspace(2, 3, 4)
    assert partly_cut(function, [x, y]) == cut
    assert torch.get_default_dtype() == torch.float32


@pytest.mark.parametrize("name", ["se", "gct", "spatial_gate", "cbam", "coordinate", "simam", "non_local", "gc", "split"])
def test_whole_gradients_are_called_whole(name):
    torch.manual_seed(0)
    module = attention.build(name, 8)
    for p in module.parameters():
        nn.init.normal_(p, std=0.3)
    assert partly_cut_in(module, torch.randn(3, 8, 5, 6)) == []
    assert all(p.dtype == torch.float32 for p in module.parameters())


class NewEachTime(CutSE):
    """As many weights as an SE, of which the last layer's are not used."""

    def forward(self, x: Tensor) -> Tensor:
        z = torch.relu(self.down(x.mean((2, 3))))
        return x * torch.sigmoid(nn.Linear(z.shape[1], x.shape[1])(z))[:, :, None, None]


class NewConvolution(CutSpatial):
    def forward(self, x: Tensor) -> Tensor:
        conv = nn.Conv2d(2, 1, self.conv.kernel_size, padding=self.conv.padding)
        return x * torch.sigmoid(conv(torch.stack([x.mean(1), x.amax(1)], 1)))


class Nothing(CutSE):
    def forward(self, x: Tensor) -> Tensor:
        return x * 1


class NothingSpatial(CutSpatial):
    def forward(self, x: Tensor) -> Tensor:
        return x * 1


class InPlace(CutStart):
    def forward(self, x: Tensor) -> Tensor:
        x *= 2 * torch.sigmoid(self.excite(torch.relu(self.squeeze(x.mean((2, 3))))))[:, :, None, None]
        return x


class Still(CutStart):
    def __init__(self, channels: int):
        super().__init__(channels)
        self.excite.weight.requires_grad_(False)


class Bare(nn.Module):
    def __init__(self, module: nn.Module):
        super().__init__()
        self.module = module

    def forward(self, x: Tensor) -> Tensor:
        return self.module(x)


@pytest.mark.parametrize("exercise, answer, cause, never", [
    (check.se, NewEachTime, "layers are made in forward", "the mean runs over the pictures"),
    (check.spatial_gate, NewConvolution, "layers are made in forward", "the maximum is not used"),
    (check.se, Nothing, "there is no gate in it", "a ReLU stands right before"),
    (check.spatial_gate, NothingSpatial, "there is no gate in it", "the maximum is not used"),
    (check.identity_start, InPlace, "an in-place operation", "second time"),
    (check.identity_start, Still, "it was switched off", "everything is zero"),
    (check.eased, Bare, "there is no number of its own", "the weight starts at 1"),
])
def test_no_cause_is_named_that_is_not_there(exercise, answer, cause, never, capsys):
    assert exercise(answer) is False
    said = capsys.readouterr().out
    assert f"Likely cause: {cause}" in said and never not in said


def test_a_theta_that_is_added_to_the_identity_is_a_right_one(capsys):
    """Catches "the picture is not given back (largest difference 0.00)"."""
    assert check.mended_transformer(type("Added", (Transformer,), {"cut": False, "added": True})) is True
    assert check.mended_transformer(type("Added", (Transformer,), {"cut": True, "added": True})) is False
    assert PARTLY in capsys.readouterr().out


def test_capitals_and_blanks_are_no_mistake(capsys):
    assert check.whose_gate({"a": "BAM", "b": "Spatial ", "c": "scSE", "d": "channel", "e": "CBAM"}) is True
    assert check.whose_gate({1: "BAM"}) is False
    assert "got the keys 1" in capsys.readouterr().out


@pytest.mark.parametrize("exercise, answer, cause", [
    (check.guess_among, "0.2", "it is in quotation marks"), (check.guess_among, (0, 2), "a comma makes a pair"),
    (check.guess_among, [0.2], "take it out"), (check.guess_among, torch.tensor([0.2]), "take it out"),
    (check.guess_among, 20, "a share is asked for"), (check.best_of_one, 75, "a share is asked for"),
    (check.hit_share, lambda maps, mask: [m.sum() for m in maps], "torch.stack makes one tensor"),
    (check.hit_share, lambda maps, mask: (maps.sum((1, 2)), mask), "several values are returned"),
    (check.apply_gate, lambda x, gate: x * gate, "dimensions of size 1 are repeated"),
    (check.apply_gate, lambda x, gate: x * gate.view(9, 9, 1, 1), "written out for one size of map"),
    (check.apply_gate, lambda x, gate: gate[:, :, None, None], "is x still to be multiplied by it"),
    (check.se, type("Deaf", (CutSE,), {"squeezed": lambda self, x: x.mean(1).flatten(1)}), "a linear layer reads the last"),
    (check.comparison, lambda: {}, "with brackets"),
])
def test_an_answer_of_another_kind_is_told_what_to_do(exercise, answer, cause, capsys):
    assert exercise(answer) is False
    assert cause in capsys.readouterr().out


def test_a_pair_of_whole_numbers_that_a_function_returns_is_no_decimal_comma(capsys):
    assert check.window_of(lambda layers: (3, 1)) is False
    assert "comma" not in capsys.readouterr().out
