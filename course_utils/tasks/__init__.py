"""What is looked at: the diagnostic tasks, made from real digits, and real data sets.

    batch = tasks.make("what", 64, split="test", seed=3)      batch.x (64, 3, 56, 56)   batch.y (64,)   batch.mask
    batch = tasks.make("find", 64)                            batch.y (64, 5, 5): boxes; of "paint" (64, 64, 64): pixels
    data = tasks.load("cifar10", split="test")                data.x (10000, 3, 32, 32) uint8   data.y (10000,)   data.classes
    data = tasks.folder("my_pictures", size=64)               the same of any folder of pictures, one sub-folder a class

`digits` holds the scans, `draw` places them, `puzzles`, `clutter` and `scenes` are the tasks, `stream` makes batches of them;
`real` and `real_scenes` read data sets, `pictures` a folder of pictures, and `images` makes batches of what they read. The
pictures of a task are drawn on the device; their pixel noise comes from the device's own generator, so CPU and GPU pictures of
one seed differ in the noise and in nothing else.
"""

from .clutter import CLUTTER
from .digits import SPLITS, digits
from .draw import Batch
from .images import Epochs, Images, Steps, crop_and_flip, to_batch
from .pictures import folder
from .puzzles import TASKS, Task
from .real import DATA_SETS, FOLDER, DataSet, fashion_mnist, load, outline
from .real_scenes import REAL_SCENES, load_scenes
from .scenes import SCENES
from .stream import DRAWN, Stream, find, make

__all__ = ["CLUTTER", "DATA_SETS", "DRAWN", "FOLDER", "REAL_SCENES", "SCENES", "SPLITS", "TASKS", "Batch", "DataSet", "Epochs",
           "Images", "Steps", "Stream", "Task", "crop_and_flip", "digits", "fashion_mnist", "find", "folder", "load",
           "load_scenes", "make", "outline", "to_batch"]
