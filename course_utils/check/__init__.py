"""Feedback on exercises: `check.se(MySE)` prints what is right, what is wrong and the likely cause, and returns a bool.

No check compares with an answer of the learner; each is tested on the wrong answers listed beside it (`.mistakes`).
"""

from .channel import identity_start, se, se_parameters
from .start import apply_gate, channel_means, comparison, guess_among
from .windows import hit_share, three_layers, window_of

__all__ = ["apply_gate", "channel_means", "comparison", "guess_among", "hit_share", "identity_start", "se",
           "se_parameters", "three_layers", "window_of"]
