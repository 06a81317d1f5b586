"""Feedback on exercises: `check.se(MySE)` prints what is right, what is wrong and the likely cause, and returns a bool.

No check compares with an answer of the learner; each is tested on the wrong answers listed beside it (`.mistakes`).
"""

from .lesson_00 import apply_gate, channel_means, comparison, guess_among
from .lesson_01 import hit_share, three_layers, window_of
from .lesson_02 import identity_start, one_not_both, se
from .lesson_03 import seen_pixels, spatial_gate
from .lesson_04 import cbam_start, simam, strips
from .lesson_05 import attend, double_attention, map_memory
from .lesson_06 import mended_mixture, mix_places
from .lesson_07 import best_of_one, look_at, mended_transformer
from .lesson_08 import block_sockets, socket_ratio
from .lesson_08_eased import eased
from .lesson_09 import evidence_pixels, identity_mask, inside_outside
from .lesson_10 import confusion, last_stage_share
from .lesson_11 import gated_signal, matched_width
from .lesson_12 import holm_adjusted, paired_gain, seed_factor
from .lesson_13 import squeeze_width, swap

__all__ = ["apply_gate", "attend", "best_of_one", "block_sockets", "cbam_start", "channel_means", "comparison", "confusion",
           "double_attention", "eased", "evidence_pixels", "gated_signal", "guess_among", "hit_share", "holm_adjusted",
           "identity_mask", "identity_start", "inside_outside", "last_stage_share", "look_at", "map_memory", "matched_width",
           "mended_mixture", "mended_transformer", "mix_places", "one_not_both", "paired_gain", "se",
           "seed_factor", "seen_pixels", "simam", "socket_ratio", "spatial_gate", "squeeze_width", "strips", "swap",
           "three_layers", "window_of"]
