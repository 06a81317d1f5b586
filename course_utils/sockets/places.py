"""What a place for attention is, and the names of the sockets."""

from __future__ import annotations

from dataclasses import dataclass

from .fuse import Meeting
from .skip import Skip

SOCKETS = ("input", "pre", "inner", "post", "after_add", "identity", "between", "instead", "head", "fuse", "both")
UNITS = ("block", "conv")


@dataclass(frozen=True)
class Place:
    """One place for attention.

    `module` is the module that attention joins, and `side` says how: "before" it, "after" it, on the "skip" of an addition
    in its forward, where two maps "fuse" in it, or "instead" of it. `unit` is the block or convolution that the place belongs
    to, `channels` and `size` (H, W) those of the map there, `stage` the number of the unit's map size, from 1; 0 at the two
    ends. At a fuse `channels` are those of the map that came the longer way; `skip.channels` has both.
    """

    socket: str
    unit: str
    module: str
    side: str
    stage: int
    channels: int
    size: tuple[int, int]
    calls: int = 1
    skip: Skip | Meeting | None = None      # on a skip: which operand of which addition of the module; at a fuse: which line
    relu: bool = False          # at the head, after a module: a relu stands between it and the pooling
    flat: bool = False          # at the head: the pooling gives (N, C), not (N, C, 1, 1)
