"""Helpers of the course "Where do you plug in attention?".

`setup()` is the one call of a lesson's first cell. Everything else is a module of its own, imported where it is used:
`from course_utils import attention, check, hosts, plots, studies, tasks, train`.
"""

from .runtime import setup

__all__ = ["setup"]
__version__ = "0.1.0"
