"""Where trials run: here, in processes of this machine, or on many machines with Dask."""

from __future__ import annotations

import multiprocessing
import os
import threading
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor
from typing import Any

import torch


def begin_worker() -> None:
    """In a new process: one thread, and an end when the process that made it has gone, also by kill -9."""
    torch.set_num_threads(1)

    def leave() -> None:
        parent.join()
        os._exit(1)
    if parent := multiprocessing.parent_process():
        threading.Thread(target=leave, daemon=True).start()


class Processes(Executor):
    """A pool of processes, one torch thread each, which is made anew when a worker has died.

    What was running or waiting in it ends with BrokenExecutor, as in any pool; `run_study` gives it in again.

    Args:
        workers: number of processes, at least 1.

    Raises:
        ValueError: fewer than one.
    """

    def __init__(self, workers: int = 2):
        if workers < 1:
            raise ValueError(f"workers must be at least 1, got {workers}; the processor has {os.cpu_count()} cores")
        self.workers, self.pool, self.made = workers, None, 0

    def submit(self, fn, /, *args: Any, **kwargs: Any) -> Future:
        for _ in range(2):
            if self.pool is None:
                # Spawned: a forked process inherits torch's threads in a state in which they can wait for ever.
                self.pool = ProcessPoolExecutor(self.workers, multiprocessing.get_context("spawn"), begin_worker)
                self.made += 1
            try:
                return self.pool.submit(fn, *args, **kwargs)
            except BrokenExecutor:
                self.pool.shutdown(wait=False)
                self.pool = None
        raise BrokenExecutor("a new pool of processes broke before it had done anything")

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        if self.pool:
            self.pool.shutdown(wait=wait, cancel_futures=cancel_futures)
            self.pool = None


def dask(address: str, seconds: float = 10) -> Executor:
    """The executor of a Dask cluster; each trial runs on whichever worker is free.

    Args:
        address: of its scheduler, such as "tcp://127.0.0.1:8786".
        seconds: how long to wait for it.

    Raises:
        ImportError: Dask is not installed; the message says how to get it.
        ConnectionError: no scheduler at that address.
    """
    try:
        from distributed import Client
    except ImportError as error:
        raise ImportError('a cluster needs Dask, which is an extra of this course: pip install -e ".[cluster]"') from error
    try:
        client = Client(address, timeout=seconds)
    except (OSError, ValueError) as error:
        raise ConnectionError(f"no Dask scheduler answered at {address!r} within {seconds:g} s ({type(error).__name__}). Start "
                              "one with `dask scheduler --host 127.0.0.1` and a worker for each core or GPU with `dask worker "
                              "ADDRESS --nthreads 1`; the address is the one that the scheduler prints.") from error
    executor = client.get_executor(retries=2, pure=False)
    executor.workers, only = max(1, sum(client.ncores().values())), executor.shutdown

    def shutdown(*args: Any, **kwargs: Any) -> None:
        only(*args, **kwargs)
        client.close()      # a client that stays holds its results, and the cluster warns as it ends that they are lost
    executor.shutdown = shutdown
    return executor
