"""A command whose reader goes away, as in `... | head`: it ends, and no error is printed, as with the commands of the shell."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")
READER_GONE = 141      # what a shell reports of a command that SIGPIPE ended: 128 + 13


def ends_with_its_reader(main: Callable[P, R]) -> Callable[P, R]:
    """For the `main` of a command: where nobody reads its output any more, SystemExit(141) instead of a BrokenPipeError.

    Only where it is the output whose reader is gone: any other broken pipe, such as one between processes, is an error, and
    goes on as one.
    """
    @functools.wraps(main)
    def command(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            try:
                result = main(*args, **kwargs)
            except SystemExit as end:      # --help ends so; of one with words on what went wrong, these are more important
                if not isinstance(end.code, str):
                    sys.stdout.flush()
                raise
            sys.stdout.flush()      # here, and not at the end of the interpreter, which would print the error all the same
            return result
        except BrokenPipeError:
            try:
                print(flush=True)      # is it the output? If not, an empty line before the error does no harm
            except BrokenPipeError:
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, sys.stdout.fileno())
                os.close(nowhere)
                raise SystemExit(READER_GONE) from None
            raise
    return command
