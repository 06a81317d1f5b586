"""What can be said of an answer that stops, or is of another kind, whatever the exercise."""

from __future__ import annotations

import re
from typing import Any

from torch import Tensor

from .guard import told

# What an error that learners often meet means. None of them names a dimension of its own: which one is the exercise.
OFTEN = {
    r"size of tensor a .* must match": "the two shapes do not fit; print both. They are matched from the right, and dimensions "
                                       "of size 1 are repeated.",
    r"is invalid for input of size": "a shape does not hold as many numbers as there are: is it written out for one size of map?",
    r"shapes cannot be multiplied": "a linear layer reads the last dimension, and a matrix product sums over the last of one and "
                                    "the last but one of the other; print the shapes.",
    r"maximum recursion depth": "it calls itself deeper than Python allows, about a thousand times: does it end? A loop has no "
                               "such limit.",
}
KINDS = {"list": "torch.stack makes one tensor of a list of tensors, torch.tensor one of numbers.",
         "tuple": "several values are returned, or a comma was left at the end.",
         "ndarray": "numpy takes no gradient; stay with torch."}


def often(error: BaseException) -> str:
    """The cause of an error, where its text alone tells; otherwise nothing."""
    return next((cause for pattern, cause in OFTEN.items() if re.search(pattern, told(error))), "")


def no_number(got: Any, integer: bool) -> str:
    """Why it is none, where its kind tells."""
    if isinstance(got, str):
        return "it is in quotation marks: write the number itself."
    if isinstance(got, tuple) and len(got) == 2 and not integer and all(isinstance(part, int) for part in got):
        return "a comma makes a pair: in Python a decimal point is a point."
    if isinstance(got, list | tuple | Tensor) and len(got if isinstance(got, list | tuple) else got.flatten()) == 1:
        return "it is one number in a list or a tensor: take it out, as [0] does."
    return ""
