"""Feedback on exercises: `check.se(MySE)` prints what is right, what is wrong and the likely cause, and returns a bool.

No check compares with an answer of the learner; each is tested on the wrong answers listed beside it (`.mistakes`).
"""

from .channel import identity_start, se, se_parameters
from .combined import cbam_start, simam, strips
from .ends import look_at, pool_by, zoom_ratio
from .kernel import branch_weights, mix_kernels, mixture_parameters
from .mixing import attend, double_attention, map_memory
from .spatial import channel_summary, spatial_gate, spatial_parameters
from .start import apply_gate, channel_means, comparison, guess_among
from .windows import hit_share, three_layers, window_of

__all__ = ["apply_gate", "attend", "branch_weights", "cbam_start", "channel_means", "channel_summary", "comparison",
           "double_attention", "guess_among", "hit_share", "identity_start", "look_at", "map_memory", "mix_kernels",
           "mixture_parameters", "pool_by", "se", "se_parameters", "simam", "spatial_gate", "spatial_parameters", "strips",
           "three_layers", "window_of", "zoom_ratio"]
