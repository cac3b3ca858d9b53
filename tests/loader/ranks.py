"""Real processes of torch.distributed (gloo), each with a loader, that do what a test tells them."""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

from tests.patience import PATIENCE

# What every rank imports, once for all of them.
_PRELOADED = [
    "tests.loader.selections",
    "tests.loader.serving",
    "tsds_stream.loader.loader",
    "torch.distributed",
    "pytest",
]

Task = Callable[..., Any]  # called with the rank and arguments, in each process


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def run_ranks(task: Task, size: int, *arguments: Any) -> list[Any]:
    """What each rank returns, or the sentence of the exception that it raises; None from one that dies."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_PRELOADED)
    port = free_port()
    pipes = [context.Pipe(duplex=False) for _ in range(size)]
    processes = [
        context.Process(target=_rank, args=(task, rank, size, port, pipes[rank][1], arguments)) for rank in range(size)
    ]
    for process in processes:
        process.start()
    for _, theirs in pipes:
        theirs.close()
    try:
        return [_received(mine) for mine, _ in pipes]
    finally:
        for process in processes:
            process.kill()
            process.join()


def die() -> None:
    """As by kill -9."""
    os.kill(os.getpid(), signal.SIGKILL)


def _received(pipe: Connection) -> Any:
    if not pipe.poll(PATIENCE):
        raise AssertionError(f"a rank has not ended within {PATIENCE:g} s")
    try:
        return pipe.recv()
    except EOFError:
        return None


def _rank(task: Task, rank: int, size: int, port: int, pipe: Connection, arguments: tuple[Any, ...]) -> None:
    import torch.distributed as dist

    from tsds_stream.loader.reading import LoaderError

    store = f"tcp://127.0.0.1:{port}"
    dist.init_process_group("gloo", init_method=store, rank=rank, world_size=size)
    try:
        pipe.send(task(rank, *arguments))
    except LoaderError as error:
        pipe.send(str(error))
    except Exception:  # noqa: BLE001 - the test shows it
        pipe.send(traceback.format_exc())
    pipe.close()
    # Without goodbye to ranks that may be dead; the process is ended by who started it.
    signal.pause()
