"""The two ends of a network: gate the picture, move it, choose a place in it; pool by choice. Lesson 07."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .base import Gate, Mechanism, Run, in_float32, positive, run_plain, wide, zero
from .export import AnyPool, affine_grid, exporting


class PixelGate(Gate):
    """Pixel gate: two small convolutions decide how much of each pixel the network gets to see.

    No single paper; the spatial gate of the field, moved to the `input` socket.   Taught in lesson 07.

        m = sigmoid(conv 3x3 (relu(conv 3x3 (x))))      (N, 1, H, W)     width `hidden` between the two
        y = m * x                                       (N, C, H, W)

    Args:
        channels: C of the picture, usually 3.
        hidden: width between the two convolutions.
        open: bias of the last one as made: sigmoid(2) = 0.88 lets nearly everything through.
        start: "as_made" or "identity".

    Raises:
        ValueError: hidden below 1; in `forward`, an input that is not a float (N, channels, H, W).

    Parameters: 9 C h + h + 9 h + 1 with h = hidden.   Socket: `input`.   A window of 5 pixels.
    Compared with nested loops written from the formula.
    """

    family = "input"
    kind = "input"
    home = "input"
    paper = "no single paper"

    def __init__(self, channels: int, hidden: int = 8, open: float = 2.0, start: str = "as_made"):
        super().__init__(channels, start)
        hidden = positive(hidden, "hidden", "PixelGate")
        self.look = nn.Conv2d(channels, hidden, 3, padding=1)
        self.decide = nn.Conv2d(hidden, 1, 3, padding=1)
        nn.init.constant_(self.decide.bias, open)
        self.start_from(self.decide)

    def gate(self, x: Tensor) -> Tensor:
        return self.squash(self.decide(F.relu(self.look(x))))                    # (N, 1, H, W)


class SpatialTransformer(Mechanism):
    """Spatial transformer: shift, turn and scale the picture before it is read.

    Jaderberg et al., NeurIPS 2015, arXiv 1506.02025.   Taught in lesson 07.

        theta = W2 relu(W1 [relu(conv) x 2, pooled to 4x4])     (N, 2, 3)        the localisation network
        grid  = theta [column, row, 1]                          (N, H, W, 2)     where each output pixel looks, -1 to 1
        y     = bilinear sampling of x at grid                  (N, C, H, W)     zeros beyond the border

    Args:
        channels: C.
        hidden: width of the localisation network, which is ours: the paper's differ from experiment to experiment.
        start: both starts are the same: W2 = 0 and its bias the identity, as the authors recommend; equal to x to rounding.

    Raises:
        ValueError: hidden below 1; in `forward`, an input that is not a float (N, channels, H, W).

    Parameters: 9 C h + h + 9 h^2 + h + 16 h * 32 + 32 + 6 * 32 + 6 with h = hidden.   Authors' socket: `input`, or before any
    stage. Compared with `torch.rot90` and whole-pixel shifts, where the answer is known, and with nested loops.
    """

    family = "input"
    kind = "input"
    home = "input"
    paper = "1506.02025"

    def __init__(self, channels: int, hidden: int = 8, start: str = "as_made"):
        super().__init__(channels, start)
        hidden = positive(hidden, "hidden", "SpatialTransformer")
        self.localise = nn.Sequential(nn.Conv2d(channels, hidden, 3, 2, 1), nn.ReLU(), nn.Conv2d(hidden, hidden, 3, 2, 1),
                                      nn.ReLU(), AnyPool(4), nn.Flatten(), nn.Linear(16 * hidden, 32), nn.ReLU())
        self.last = nn.Linear(32, 6)
        zero(self.last)
        with torch.no_grad():
            self.last.bias.copy_(torch.tensor([1.0, 0.0, 0.0, 0.0, 1.0, 0.0]))

    def theta(self, x: Tensor, run: Run = run_plain) -> Tensor:
        return run(self.last, run(self.localise, x)).view(-1, 2, 3)

    def forward(self, x: Tensor) -> Tensor:
        self.check(x)
        return in_float32(self.move, x)

    def move(self, x: Tensor, run: Run) -> Tensor:
        theta = self.note("theta", self.theta(x, run))                           # (N, 2, 3)
        if exporting():
            grid = affine_grid(theta, x)
        else:
            grid = F.affine_grid(theta, list(x.shape), align_corners=False)      # (N, H, W, 2)
        return F.grid_sample(x, grid, align_corners=False)


class PatchSelection(Mechanism):
    """Patch selection: look at a small copy of the picture, choose where to zoom, read there.

    Katharopoulos & Fleuret, ICML 2019 (attention sampling), arXiv 1905.03711.   Taught in lesson 07.

        s = scorer(mean-pooled x)                       (N, 1, H/f, W/f)     a small convolutional network, f = factor
        p = softmax over positions of s                 (N, HW/f^2)
        chosen: k places; in training drawn from p without repeating, in evaluation the k most likely
        w = p of the chosen, divided by their sum       (N, k)
        y = sum over the k of w * read(patch)           (N, ...)

    The answer's gradient reaches the scorer through w. For a single patch w is 1 and carries none; training then needs two
    or more, and evaluation may still use one.

    Args:
        channels: C of the picture.
        read: module for the patches (M, C, size, size) -> (M, ...); None hands on the weighted mean of the patches.
        size: side of a patch in pixels of the full picture.
        factor: f, how much smaller the copy is.
        patches: k, in training.
        patches_eval: k in evaluation; None: the same.
        hidden: width of the scorer.
        start: "as_made" only: it changes the size of the picture.

    Raises:
        ValueError: an argument out of range; in `forward`, an input that is not a float (N, channels, H, W), or smaller
            than a patch or than k positions of the copy.

    Parameters: 9 C h + h + 9 h^2 + h + 9 h with h = hidden, and those of `read`.   Socket: `input`.
    The paper draws with repetition and divides by k; drawing without, and dividing by the sum of p, wastes no reading.
    Compared with nested loops written from the formula.
    """

    family = "input"
    kind = "input"
    home = "input"
    paper = "1905.03711"
    starts = ("as_made",)

    def __init__(self, channels: int, read: nn.Module | None = None, size: int = 24, factor: int = 4, patches: int = 4,
                 patches_eval: int | None = None, hidden: int = 16, start: str = "as_made"):
        super().__init__(channels, start)
        name = "PatchSelection"
        self.size, self.factor = positive(size, "size", name), positive(factor, "factor", name)
        self.patches = positive(patches, "patches", name)
        self.patches_eval = patches if patches_eval is None else positive(patches_eval, "patches_eval", name)
        hidden = positive(hidden, "hidden", name)
        self.scorer = nn.Sequential(nn.Conv2d(channels, hidden, 3, padding=1), nn.ReLU(),
                                    nn.Conv2d(hidden, hidden, 3, padding=1), nn.ReLU(),
                                    nn.Conv2d(hidden, 1, 3, padding=1, bias=False))      # softmax ignores a bias
        self.read = nn.Identity() if read is None else read

    def scores(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, 1, h, w): what the small copy says about each place."""
        return self.scorer(F.avg_pool2d(x, self.factor))

    def corners(self, index: Tensor, x: Tensor, width: int) -> tuple[Tensor, Tensor]:
        """Top and left of the patch around a position of the copy, moved inside the picture."""
        middle, half = self.factor // 2, self.size // 2
        top = (index // width * self.factor + middle - half).clamp(0, x.shape[2] - self.size)
        left = (index % width * self.factor + middle - half).clamp(0, x.shape[3] - self.size)
        return top, left

    def cut(self, x: Tensor, top: Tensor, left: Tensor) -> Tensor:
        """Patches (N, k, C, size, size) with the given corners, (N, k) each."""
        steps = torch.arange(self.size, device=x.device)
        rows, columns = top[..., None] + steps, left[..., None] + steps          # (N, k, size)
        n = torch.arange(len(x), device=x.device)[:, None, None, None]
        return x.movedim(1, -1)[n, rows[..., :, None], columns[..., None, :]].movedim(-1, 2)

    def forward(self, x: Tensor) -> Tensor:
        self.check(x)
        k = self.patches if self.training else self.patches_eval
        h, w = x.shape[2] // self.factor, x.shape[3] // self.factor
        if min(x.shape[2:]) < self.size or h * w < k:
            raise ValueError(f"PatchSelection: {k} patches of {self.size}x{self.size}, chosen on a copy {self.factor} times "
                             f"smaller, do not fit a picture of {tuple(x.shape)}. Choose a smaller size, factor or number.")
        p = wide(self.scores(x)).flatten(1).softmax(1)                           # (N, hw)
        p = self.note("map", p.view(-1, 1, h, w)).flatten(1)
        index = torch.multinomial(p, k) if self.training else p.topk(k).indices  # (N, k)
        chosen = p.gather(1, index)
        weights = chosen / chosen.sum(1, keepdim=True)                           # (N, k)
        top, left = self.corners(index, x, w)
        self.note("corners", torch.stack([top, left], 2))
        said = self.read(self.cut(x, top, left).flatten(0, 1)).unflatten(0, (-1, k))     # (N, k, ...)
        return (weights.to(said.dtype).view(*weights.shape, *[1] * (said.ndim - 2)) * said).sum(1)


class AttentionPool(Mechanism):
    """Attention pooling: in place of the plain mean over positions, a mean whose weights are computed from the map.

    Ilse, Tomczak & Welling, ICML 2018, arXiv 1802.04712.   Taught in lesson 07.

        s = w . tanh(V x_i + c) at every position    (N, HW)      V (h, C), w (h)
        a = softmax over positions of s              (N, HW)
        y = sum_i a_i x_i                            (N, C)

    Args:
        channels: C.
        hidden: h; None takes max(1, C // 4).
        start: "as_made", or "identity": w = 0, so that y is the plain mean, the global average pooling that it replaces.

    Raises:
        ValueError: hidden below 1; in `forward`, an input that is not a float (N, channels, H, W).

    Parameters: C h + h + h with h = hidden.   Socket: `head`. The paper pools the instances of a bag; here, positions.
    Not in timm or torchvision (timm's AttentionPool2d is CLIP's, with a query from the mean); compared with nested loops.
    """

    family = "head"
    kind = "pool"
    home = "head"
    paper = "1802.04712"

    def __init__(self, channels: int, hidden: int | None = None, start: str = "as_made"):
        super().__init__(channels, start)
        hidden = max(1, channels // 4) if hidden is None else positive(hidden, "hidden", "AttentionPool")
        self.look = nn.Conv2d(channels, hidden, 1)
        self.score = nn.Conv2d(hidden, 1, 1, bias=False)      # a bias would be the same everywhere, and softmax ignores it
        if start == "identity":
            zero(self.score)

    def forward(self, x: Tensor) -> Tensor:
        self.check(x)
        a = self.note("map", self.score(torch.tanh(self.look(x))).flatten(2).softmax(2))     # (N, 1, HW)
        return (x.flatten(2) @ a.transpose(-2, -1))[..., 0]                      # (N, C)
