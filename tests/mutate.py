"""Does a test notice when a mechanism is wrong? Plants one-line mistakes in the attention files and runs their tests.

usage: python tests/mutate.py [PATTERN]       all mutants, or those whose name contains PATTERN

Prints, for each mutant, the first test that failed, and at the end the share of mutants caught. Exit status 1 if one was
not caught. A mutant whose text is not found in the file is an error: the list below has to follow the code.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CHANNEL, BASE = "course_utils/attention/channel.py", "course_utils/attention/base.py"

# name, file, the line as it stands, the line with the mistake
MUTANTS = [
    ("gate: no sigmoid", BASE, "gate = torch.sigmoid(logits)", "gate = logits"),
    ("gate: softmax for sigmoid", BASE, "gate = torch.sigmoid(logits)", "gate = logits.softmax(1)"),
    ("gate: softmax over the batch", BASE, "gate = torch.sigmoid(logits)", "gate = logits.softmax(0)"),
    ("gate: tanh for sigmoid", BASE, "gate = torch.sigmoid(logits)", "gate = logits.tanh()"),
    ("gate: input added back", BASE, "return x * self.gate(x)", "return x + x * self.gate(x)"),
    ("gate: added, not multiplied", BASE, "return x * self.gate(x)", "return x + self.gate(x)"),
    ("gate: cut from the gradient", BASE, "return x * self.gate(x)", "return x * self.gate(x).detach()"),
    ("gate: identity start not doubled", BASE, "return 2 * gate if", "return gate if"),
    ("gate: paper start doubled", BASE, 'return 2 * gate if self.start == "identity" else gate', "return 2 * gate"),
    ("gate: last layer not zeroed", BASE, "nn.init.zeros_(parameter)", "pass"),
    ("gate: zeroed at the paper start", BASE, 'if self.start == "identity":\n            for', "if True:\n            for"),
    ("SE: max for mean", CHANNEL, "z = x.mean((2, 3), keepdim=True) ", "z = x.amax((2, 3), keepdim=True) "),
    ("SE: sum for mean", CHANNEL, "z = x.mean((2, 3), keepdim=True) ", "z = x.sum((2, 3), keepdim=True) "),
    ("SE: mean over the batch too", CHANNEL, "z = x.mean((2, 3), keepdim=True) ",
     "z = x.mean((0, 2, 3), keepdim=True).expand(len(x), -1, -1, -1) "),
    ("SE: mean over rows only", CHANNEL, "z = x.mean((2, 3), keepdim=True) ", "z = x.mean(2, keepdim=True)[..., :1] "),
    ("SE: no ReLU", CHANNEL, "self.excite(F.relu(self.squeeze(z)))", "self.excite(self.squeeze(z))"),
    ("SE: hidden width may be zero", CHANNEL, "hidden = max(1, channels // positive", "hidden = max(0, channels // positive"),
    ("SE: hidden width rounded up", CHANNEL, 'max(1, channels // positive(reduction, "reduction", "SE"))',
     'max(1, -(-channels // positive(reduction, "reduction", "SE")))'),
    ("SE: hidden width at least 8", CHANNEL, "hidden = max(1, channels // positive", "hidden = max(8, channels // positive"),
    ("SE: reduction 8", CHANNEL, "reduction: int = 16", "reduction: int = 8"),
    ("SE: no bias in the first layer", CHANNEL, "nn.Conv2d(channels, hidden, 1)", "nn.Conv2d(channels, hidden, 1, bias=False)"),
    ("SE: no bias in the second layer", CHANNEL, "nn.Conv2d(hidden, channels, 1)", "nn.Conv2d(hidden, channels, 1, bias=False)"),
    ("SE: first layer zeroed", CHANNEL, "self.start_from(self.excite)", "self.start_from(self.squeeze)"),
    ("SE: both layers zeroed", CHANNEL, "self.start_from(self.excite)", "self.start_from(self)"),
    ("ECA: kernel even", CHANNEL, "return width if width % 2 else width + 1", "return width"),
    ("ECA: kernel made odd downwards", CHANNEL, "return width if width % 2 else width + 1",
     "return width if width % 2 else width - 1"),
    ("ECA: natural logarithm", CHANNEL, "math.log2(channels)", "math.log(channels)"),
    ("ECA: b forgotten", CHANNEL, "(math.log2(channels) + b) / gamma", "math.log2(channels) / gamma"),
    ("ECA: gamma 1", CHANNEL, "gamma: float = 2, b", "gamma: float = 1, b"),
    ("ECA: rounded, not cut", CHANNEL, "width = int(abs(", "width = round(abs("),
    ("ECA: max for mean", CHANNEL, "z = x.mean((2, 3))  ", "z = x.amax((2, 3))  "),
    ("ECA: with bias", CHANNEL, "padding=k // 2, bias=False)", "padding=k // 2)"),
    ("ECA: padding circular", CHANNEL, "padding=k // 2, bias=False)", 'padding=k // 2, bias=False, padding_mode="circular")'),
    ("ECA: convolves over the batch", CHANNEL,
     "self.conv(z.unsqueeze(1)).squeeze(1)", "self.conv(z.T.unsqueeze(1)).squeeze(1).T"),
    ("ECA: start not applied", CHANNEL, "self.start_from(self.conv)", "pass"),
    ("GCT: mean for norm", CHANNEL, "(wide.square().sum((2, 3), keepdim=True) + self.eps).sqrt()",
     "wide.mean((2, 3), keepdim=True)"),
    ("GCT: mean of squares for sum", CHANNEL, "wide.square().sum((2, 3)", "wide.square().mean((2, 3)"),
    ("GCT: root missing", CHANNEL, "(wide.square().sum((2, 3), keepdim=True) + self.eps).sqrt()",
     "(wide.square().sum((2, 3), keepdim=True) + self.eps)"),
    ("GCT: eps missing below the first root", CHANNEL,
     "keepdim=True) + self.eps).sqrt()     # (N", "keepdim=True)).sqrt()     # (N"),
    ("GCT: sum for mean over channels", CHANNEL, "e.square().mean(1, keepdim=True)", "e.square().sum(1, keepdim=True)"),
    ("GCT: normalised over the batch", CHANNEL, "e.square().mean(1, keepdim=True)", "e.square().mean(0, keepdim=True)"),
    ("GCT: second root missing", CHANNEL, "(e.square().mean(1, keepdim=True) + self.eps).sqrt()",
     "(e.square().mean(1, keepdim=True) + self.eps)"),
    ("GCT: alpha after the comparison", CHANNEL, "n = e / (e.square()", "n = self.alpha * e / (e.square()"),
    ("GCT: one plus forgotten", CHANNEL, "return (1 + torch.tanh(", "return (torch.tanh("),
    ("GCT: sigmoid for tanh", CHANNEL, "(1 + torch.tanh(self.gamma", "(1 + torch.sigmoid(self.gamma"),
    ("GCT: beta subtracted", CHANNEL, "self.gamma * n + self.beta", "self.gamma * n - self.beta"),
    ("GCT: alpha zero at the start", CHANNEL, "self.alpha = nn.Parameter(torch.ones(", "self.alpha = nn.Parameter(torch.zeros("),
    ("GCT: gamma one at the start", CHANNEL, "self.gamma = nn.Parameter(torch.zeros(", "self.gamma = nn.Parameter(torch.ones("),
    ("GCT: half precision squares", CHANNEL, "wide = x.float() if x.dtype in (torch.float16, torch.bfloat16) else x", "wide = x"),
]


def first_failure(folder: Path) -> str | None:
    """Run the mechanisms' tests in a copy of the project; the name of the first that fails, or None."""
    run = subprocess.run([sys.executable, "-m", "pytest", "-x", "-q", "-n", "0", "--no-header", "-p", "no:cacheprovider",
                          "tests/test_attention.py"], cwd=folder, capture_output=True, text=True)
    if run.returncode == 0:
        return None
    found = re.search(r"^(?:FAILED|ERROR) \S+?::(\S+)|^ERROR (\S+)", run.stdout, re.M)
    return (found.group(1) or found.group(2)) if found else f"pytest ended with {run.returncode}"


def main(pattern: str = "") -> int:
    chosen = [m for m in MUTANTS if pattern.lower() in m[0].lower()]
    survivors = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "project"
        shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns(".git", ".venv", "notebooks", "build", "__pycache__"))
        for name, file, line, mistake in chosen:
            source = (ROOT / file).read_text(encoding="utf-8")
            if source.count(line) != 1:
                raise SystemExit(f"mutant {name!r}: its line stands {source.count(line)} times in {file}; wanted once")
            (folder / file).write_text(source.replace(line, mistake), encoding="utf-8")
            caught = first_failure(folder)
            (folder / file).write_text(source, encoding="utf-8")
            print(f"{name:40s} {caught or 'NOT CAUGHT'}", flush=True)
            survivors += [] if caught else [name]
    print(f"{len(chosen) - len(survivors)} of {len(chosen)} mutants caught"
          + (f"; not caught: {', '.join(survivors)}" if survivors else ""))
    return 1 if survivors or not chosen else 0


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:2]))
