"""A small detector without anchors: a backbone, lateral sums, and for each place of a map how likely it is a centre, and a box.

    net = hosts.Detector(10)
    fit(net, tasks.Stream("find", steps=600), loss=hosts.detection_loss, metric=scores.precision)
    hosts.boxes_of(predict(net, x))      (N, 20, 6): class, x1, y1, x2, y2, score
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .residual import ResidualBlock
from .small import ConvLayer, check_sizes

STEP = 4      # pixels from one place of the output to the next


class Laterals(nn.Module):
    """Maps of three sizes to the finest of them: each is brought to `width` channels, and the coarse are added to the fine.

    Lin et al., CVPR 2017, arXiv 1612.03144, figure 3, without the convolutions behind the sums.
    """

    def __init__(self, channels: Sequence[int], width: int):
        super().__init__()
        self.lateral2, self.lateral3, self.lateral4 = (nn.Conv2d(c, width, 1) for c in channels)

    def forward(self, c2: Tensor, c3: Tensor, c4: Tensor) -> Tensor:
        p4 = self.lateral4(c4)                                                               # (N, width, H/16, W/16)
        p3 = self.lateral3(c3) + F.interpolate(p4, size=c3.shape[2:], mode="nearest")        # (N, width, H/8, W/8)
        return self.lateral2(c2) + F.interpolate(p3, size=c2.shape[2:], mode="nearest")      # (N, width, H/4, W/4)


class Detector(nn.Module):
    """Finds objects as the centres of their boxes: what is at each place of a map of a quarter of the size, and how far it goes.

        stem    3x3 convolution, stride 2      (N, 16, H/2, W/2)
        stage2 to stage4, a residual block each: c2 (N, 24, H/4, W/4), c3 (N, 48, H/8, W/8), c4 (N, 64, H/16, W/16)
        neck    lateral sums                   (N, 48, H/4, W/4)
        head    3x3 convolution, then 1x1      (N, classes + 4, H/4, W/4)

    Centres: Zhou, Wang & Krähenbühl, 2019, arXiv 1904.07850. Distances: Tian et al., ICCV 2019, arXiv 1904.01355.

    Args:
        classes: of objects, at least 1.
        widths: channels of the stem and the three stages.
        neck: channels of the sums and of the head.

    Raises:
        ValueError: a size below 1, not four widths. TypeError: classes is no integer.

    Shape: (N, 3, H, W) float -> (N, classes + 4, H/4, W/4), H and W rounded up: for each class the logit of a centre, then the
    logarithms of the distances from the middle of the place to the left, upper, right and lower side of the box, in steps of 4
    pixels. `boxes_of` reads boxes off it, `detection_loss` trains it.
    """

    def __init__(self, classes: int = 10, widths: Sequence[int] = (16, 24, 48, 64), neck: int = 48):
        super().__init__()
        check_sizes(classes, (*widths, neck), 5)
        self.stem = ConvLayer(3, widths[0], 3, 2)
        self.stage2, self.stage3, self.stage4 = (ResidualBlock(c_in, c_out, 2)
                                                 for c_in, c_out in zip(widths, widths[1:], strict=False))
        self.neck = Laterals(widths[1:], neck)
        self.head = ConvLayer(neck, neck, 3, 1)
        self.out = nn.Conv2d(neck, classes + 4, 1)
        nn.init.constant_(self.out.bias[:classes], -4.0)      # hardly any place is a centre: begin with a chance of 2 %

    def forward(self, x: Tensor) -> Tensor:
        c2 = self.stage2(self.stem(x))
        c3 = self.stage3(c2)
        c4 = self.stage4(c3)
        return self.out(self.head(self.neck(c2, c3, c4)))


def places(out: Tensor) -> tuple[Tensor, Tensor]:
    """x and y of the middle of each place of an output (N, C, h, w), in pixels: (1, w) and (h, 1)."""
    h, w = out.shape[2:]
    return (STEP * (torch.arange(w, device=out.device)[None] + 0.5), STEP * (torch.arange(h, device=out.device)[:, None] + 0.5))


def detection_loss(out: Tensor, boxes: Tensor) -> Tensor:
    """How far an output (N, classes + 4, h, w) is from boxes (N, K, 5): class, x1, y1, x2, y2 in pixels; class -1 for none.

    The logits shall be 1 at the place of a centre and fall off around it (the focal loss of Zhou et al. 2019, eq. 1); at the
    places of centres, the box shall overlap the true one (1 - IoU). Both are per object.
    """
    heat, distances = out[:, :-4].float(), out[:, -4:].float().exp() * STEP
    x, y = places(out)                                                                   # (1, w), (h, 1)
    there, (x1, y1, x2, y2) = boxes[..., 0] >= 0, boxes[..., 1:, None, None].unbind(2)   # (N, K), (N, K, 1, 1) each
    column, row = ((a + b).div(2 * STEP).floor().clamp(0, most - 1) for a, b, most in ((x1, x2, x.numel()), (y1, y2, y.numel())))
    far = ((x / STEP - 0.5 - column) ** 2 + (y / STEP - 0.5 - row) ** 2)                 # (N, K, h, w): places from the centre
    spread = ((x2 - x1) * (y2 - y1)).clamp(min=1).sqrt() / STEP / 4                      # in places
    bump = torch.exp(-far / (2 * spread ** 2)) * there[..., None, None]
    wanted = torch.zeros_like(heat)
    i = boxes[..., 0].long().clamp(min=0)[..., None, None].expand_as(bump)
    wanted = wanted.scatter_reduce(1, i, bump, "amax")                                   # (N, classes, h, w)
    p, count = heat.sigmoid(), there.sum().clamp(min=1)
    centre = -(1 - p) ** 2 * F.logsigmoid(heat) * (wanted == 1)
    ground = -(1 - wanted) ** 4 * p ** 2 * F.logsigmoid(-heat) * (wanted < 1)

    # Distances of the true sides from the middle of each centre's place; both boxes hold that point, or nearly.
    at = (far == 0) & there[..., None, None]                                             # (N, K, h, w)
    true = torch.stack(torch.broadcast_tensors(x - x1, y - y1, x2 - x, y2 - y), -1)[at].clamp(min=0.1)      # (M, 4)
    mine = distances[:, :, None].expand(-1, -1, at.shape[1], -1, -1).movedim(1, -1)[at]            # (M, 4)
    both = torch.minimum(true, mine)
    areas = [(d[:, 0] + d[:, 2]) * (d[:, 1] + d[:, 3]) for d in (both, true, mine)]
    iou = areas[0] / (areas[1] + areas[2] - areas[0])
    return (centre + ground).sum() / count + (1 - iou).sum() / count


def boxes_of(out: Tensor, most: int = 20) -> Tensor:
    """The boxes that an output (N, classes + 4, h, w) says: (N, most, 6), class, x1, y1, x2, y2 in pixels, score.

    The likeliest first. A place counts where no neighbour in the 3 x 3 around it is more likely to be a centre of the same class.

    Raises:
        ValueError: most below 1, or above the number of places and classes.
    """
    n, (h, w), count = len(out), out.shape[2:], out[:, :-4].numel() // max(1, len(out))
    if not 1 <= most <= count:
        raise ValueError(f"most must be from 1 to {count}, the places of this output times its classes, got {most}")
    heat, distances = out[:, :-4].float().sigmoid(), out[:, -4:].float().exp() * STEP
    heat = heat * (heat == F.max_pool2d(heat, 3, 1, 1))
    score, index = heat.flatten(1).topk(most)                                            # (N, most)
    place = index % (h * w)
    x, y = (line.expand(h, w).flatten()[place] for line in places(out))
    left, up, right, down = distances.flatten(2).gather(2, place[:, None].expand(n, 4, most)).unbind(1)
    return torch.stack([(index // (h * w)).float(), x - left, y - up, x + right, y + down, score], 2)
