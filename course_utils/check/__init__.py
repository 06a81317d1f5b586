"""Feedback on exercises: `check.se(MySE)` prints what is right, what is wrong and the likely cause, and returns a bool.

No check compares with an answer of the learner; each is tested on the wrong answers listed beside it (`.mistakes`).
"""

from .lesson_00 import apply_gate, channel_means, comparison, guess_among
from .lesson_01 import can_compare, hit_share, window_of
from .lesson_02 import se
from .lesson_02_start import identity_start
from .lesson_03 import seen_pixels, spatial_gate
from .lesson_04 import coordinate_gate, in_order, whose_gate
from .lesson_05 import attend, double_attention, largest_map
from .lesson_06 import mended_mixture, mix_places
from .lesson_07 import best_of_one, look_at, mended_transformer
from .lesson_08 import block_sockets, socket_ratio
from .lesson_08_eased import eased
from .lesson_09 import evidence_pixels, identity_mask, inside_outside
from .lesson_10 import confusion, last_stage_share
from .lesson_11 import gated_signal, matched_width
from .lesson_12 import holm_adjusted, paired_gain, seed_factor
from .lesson_13 import swap
from .lesson_13_widths import squeeze_width
from .lesson_14 import diagnoses, gate_bytes, pareto_front, settled
from .lesson_15 import gated_skip, precision_recall
from .lesson_16 import balanced, leaks, verdict_word

__all__ = ["apply_gate", "attend", "balanced", "best_of_one", "block_sockets", "can_compare", "channel_means", "comparison",
           "confusion", "coordinate_gate", "diagnoses", "double_attention", "eased", "evidence_pixels", "gate_bytes",
           "gated_signal", "gated_skip", "guess_among", "hit_share", "holm_adjusted", "identity_mask", "identity_start",
           "in_order", "inside_outside", "largest_map", "last_stage_share", "leaks", "look_at", "matched_width", "mended_mixture",
           "mended_transformer", "mix_places", "paired_gain", "pareto_front", "precision_recall", "se", "seed_factor",
           "seen_pixels", "settled", "socket_ratio", "spatial_gate", "squeeze_width", "swap",
           "verdict_word", "whose_gate", "window_of"]
