"""What SE costs in ResNet-50 as it is, channels last, compiled, in half precision: the sentence of lesson 14.

    python tools/time_compiled.py            some minutes, most of them torch.compile's; on an idle machine
"""

from __future__ import annotations

import torch
import torchvision

from course_utils import cost
from course_utils.runtime import best_device
from course_utils.sockets import plug_in


def main() -> None:
    device = best_device()
    x = torch.randn(4, 3, 96, 96, device=device)
    plain, ours = (torchvision.models.resnet50().to(device) for _ in range(2))
    plug_in(ours, "se", at="post", start="as_made", input_size=96)
    last = torch.channels_last
    print(f"torch {torch.__version__}, {device.type}, {torch.get_num_threads()} threads, batch {tuple(x.shape)}; median of 15")
    for mode in ("as it is", "channels last", "compiled", "bfloat16, channels last"):
        layout = torch.contiguous_format if mode == "as it is" else last
        nets = [net.to(memory_format=layout) for net in (plain, ours)]
        nets = [torch.compile(net) for net in nets] if mode == "compiled" else nets
        with torch.autocast(device.type, torch.bfloat16, enabled="bfloat16" in mode):
            one, other = cost.latencies(nets, x.contiguous(memory_format=layout), repeats=15, warm_up=4)
        print(f"{mode:24s} plain {1e3 * one:6.1f} ms, SE at post {1e3 * other:6.1f} ms, {other / one - 1:+.1%}", flush=True)


if __name__ == "__main__":
    main()
