"""Feedback on exercises: `check.se(MySE)` prints what is right, what is wrong and the likely cause, and returns a bool.

No check compares with an answer of the learner; each is tested on the wrong answers listed beside it (`.mistakes`).
"""

from .both import gated_signal, matched_width
from .channel import identity_start, se, se_parameters
from .combined import cbam_start, simam, strips
from .eased import eased
from .ends import look_at, pool_by, zoom_ratio
from .kernel import branch_weights, mix_kernels, mixture_parameters
from .mixing import attend, double_attention, map_memory
from .places import confusion, evidence_pixels, identity_mask, inside_outside, last_stage_share
from .sockets import block_sockets, socket_ratio
from .spatial import channel_summary, spatial_gate, spatial_parameters
from .start import apply_gate, channel_means, comparison, guess_among
from .swap import swap
from .widths import squeeze_width
from .windows import hit_share, three_layers, window_of

__all__ = ["apply_gate", "attend", "block_sockets", "branch_weights", "cbam_start", "channel_means", "channel_summary",
           "comparison", "confusion", "double_attention", "eased", "evidence_pixels", "gated_signal", "guess_among", "hit_share",
           "identity_mask", "identity_start", "inside_outside", "last_stage_share", "look_at", "map_memory", "matched_width",
           "mix_kernels", "mixture_parameters", "pool_by", "se", "se_parameters", "simam", "socket_ratio", "spatial_gate",
           "spatial_parameters", "squeeze_width", "strips", "swap", "three_layers", "window_of", "zoom_ratio"]
