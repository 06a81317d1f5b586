"""What is looked at: the diagnostic tasks, made from real digits, and real data sets.

    batch = tasks.make("what", 64, split="test", seed=3)      batch.x (64, 3, 56, 56)   batch.y (64,)   batch.mask

`digits` holds the scans, `draw` places them, `puzzles` and `clutter` are the tasks, `stream` makes batches of them; `images`
reads real data sets. The pictures of a task are drawn on the device; their pixel noise comes from the device's own generator, so
CPU and GPU pictures of one seed differ in the noise and in nothing else.
"""

from .clutter import CLUTTER
from .digits import SPLITS, digits
from .draw import Batch
from .images import Epochs, Images, Steps, crop_and_flip, fashion_mnist, to_batch
from .puzzles import TASKS, Task
from .stream import Stream, find, make

__all__ = ["CLUTTER", "SPLITS", "TASKS", "Batch", "Epochs", "Images", "Steps", "Stream", "Task", "crop_and_flip", "digits",
           "fashion_mnist", "find", "make", "to_batch"]
