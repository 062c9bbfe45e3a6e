"""Work on a Dask cluster: pieces of a stage go to its workers, results come back in order."""

import asyncio
import contextlib
import io
import logging
import os
import pickle
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

from regreveal.errors import InputError

if TYPE_CHECKING:
    from distributed import Client

Item = TypeVar("Item")
Result = TypeVar("Result")

# Seconds to wait for a scheduler that does not answer, and after which a lack of workers is told.
SCHEDULER_TIMEOUT = 10
PATIENCE = 30

# Pieces of work in flight for each of a cluster's threads.
AHEAD = 4

_cluster: ContextVar[str | None] = ContextVar("cluster", default=None)
_on_worker: ContextVar[bool] = ContextVar("on_worker", default=False)


@contextlib.contextmanager
def on_cluster(address: str | None) -> Iterator[None]:
    """Let the workers of a Dask cluster do what stages divide into pieces, within this block.

    Everything else stays in this process, which also puts results in order and writes them. Workers
    need the same versions of RegReveal and its libraries, and must see the same files under the
    same paths.

    Parameters
    ----------
    address : str or None
        Of the scheduler, such as "tcp://head:8786"; with None, this machine does the work.

    Raises
    ------
    InputError
        No scheduler answers at the address.
    """
    if address is not None:
        with connected(address):  # said at once, and not when the first stage comes to use it
            pass
    before = _cluster.set(address)
    try:
        yield
    finally:
        _cluster.reset(before)


def cluster_address() -> str | None:
    """Give the address of the cluster that does the work here; None where this machine does."""
    return _cluster.get()


def is_piece_of_cluster() -> bool:
    """Say whether a worker of a cluster asks: its machine's other cores have workers, too."""
    return _on_worker.get()


def use_cluster(address: str | None) -> None:
    """Let this process, started by another, work where that one does."""
    _cluster.set(address)


def cluster_map(
    function: Callable[[Item], Result], items: Iterable[Item], address: str
) -> Iterator[Result]:
    """Apply `function` to each item on a Dask cluster, in the order of the items.

    Results are drawn as they are taken: at most four items a worker thread are in flight, also for
    workers that come later. Work of a worker that dies is done again by another; without any, new
    ones are waited for. Each piece is computed by one thread: `available_cores` is 1 there, and the
    linear algebra libraries are held to one.

    Parameters
    ----------
    function : callable
        Goes to every worker once, with whatever data it holds. Paths that it or an item holds may
        be relative to this process's working directory.
    items : iterable
    address : str
        Of the scheduler, such as "tcp://head:8786".

    Yields
    ------
    object
        `function(item)`, whose exceptions are raised here.

    Raises
    ------
    InputError
        No scheduler answers at the address, it is lost on the way, or an item has ended several
        workers.
    """
    import dask

    with connected(address) as client:
        _tell_if_nobody_works(client, address)
        # It takes data away from workers that have nothing to do for a moment, who would need to
        # be sent all that the function holds again.
        client.amm.stop()
        # As a task, not scattered: the scheduler can then make it anew if all workers that hold it
        # die. It is large, which is meant.
        with dask.config.set({"distributed.admin.large-graph-warning-threshold": "100 TB"}):
            shared = client.submit(_Shared, _packed(function), pure=False)
        pending = deque()
        for item in items:
            if client.status == "closed":  # the scheduler was lost while the item was made
                raise _lost(address)
            pending.append(client.submit(_apply, shared, _packed(item), pure=False))
            while len(pending) >= AHEAD * max(1, _threads(client, address)):
                yield _result(client, pending.popleft(), address)
        while pending:
            yield _result(client, pending.popleft(), address)


@contextlib.contextmanager
def connected(address: str) -> Iterator["Client"]:
    """Give a client of a scheduler within this block.

    Parameters
    ----------
    address : str
        Of the scheduler, such as "tcp://head:8786".

    Raises
    ------
    InputError
        No scheduler answers at the address.
    """
    from distributed import Client

    # That a scheduler is lost is told in one line; these would add theirs, and tracebacks.
    logging.getLogger("distributed.batched").setLevel(logging.ERROR)
    logging.getLogger("distributed.client").addFilter(_is_of_something_else)
    try:
        _greet(address)
        client = Client(address, timeout=SCHEDULER_TIMEOUT, set_as_default=False)
    # The last two: TLS without certificates, and a greeting that is none of Dask's, such as SSH's.
    except (OSError, ValueError, TypeError, MemoryError) as error:
        why = str(error) or f"nothing is said within {SCHEDULER_TIMEOUT} s"
        raise InputError(f"{address}: no Dask scheduler answers there ({why})") from None
    with client:
        yield client


def _greet(address: str) -> None:
    """Exchange greetings with a scheduler, or raise an error.

    A Client would wait without end for who takes a connection and says nothing, as a scheduler that
    is held; and one that cannot make sense of an address takes 20 s and a traceback to be closed.
    """
    from distributed.comm import connect
    from distributed.security import Security

    async def greet() -> None:
        options = Security().get_connection_args("client")
        connection = await connect(address, timeout=SCHEDULER_TIMEOUT, **options)
        connection.abort()

    # A thread of its own: in this one a loop may be running, as in a notebook.
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, asyncio.wait_for(greet(), SCHEDULER_TIMEOUT)).result()


def _is_of_something_else(record: logging.LogRecord) -> bool:
    """Leave out that a client could not reach its scheduler again, or was closed while it tried."""
    cancelled = record.exc_info and isinstance(record.exc_info[1], asyncio.CancelledError)
    return not cancelled and not str(record.msg).startswith("Failed to reconnect to scheduler")


def _threads(client, address: str) -> int:
    """Count the workers' threads; a scheduler that is held, and not lost, is waited for."""
    while client.status == "running":
        try:
            return sum(client.nthreads(callback_timeout=PATIENCE).values())
        except TimeoutError:
            line = f"{address}: the Dask scheduler does not answer; waiting"
            print(line, file=sys.stderr, flush=True)
        except OSError:
            break
    raise _lost(address)


def _tell_if_nobody_works(client, address: str) -> None:
    if not _threads(client, address):
        print(f"{address}: no workers now; waiting for some", file=sys.stderr, flush=True)


def _result(client, future, address: str):
    """Wait for a piece of work, and say so if there is nobody to do it."""
    from distributed import CancelledError, KilledWorker

    try:
        while True:  # also once it is done: its result is lost with the worker that has it
            try:
                return future.result(timeout=PATIENCE)
            except TimeoutError:
                if future.status == "error":  # it is the work's own, not that of the waiting
                    return future.result()
                _tell_if_nobody_works(client, address)
    except CancelledError:
        raise _lost(address) from None
    except KilledWorker as error:
        raise InputError(
            f"{address}: a piece of work has ended {error.allowed_failures + 1} workers one after "
            "another, most often for want of memory; give each worker more, or fewer threads, and "
            "run the same again to go on"
        ) from None


def _lost(address: str) -> InputError:
    return InputError(f"{address}: the Dask scheduler was lost; run the same again to go on")


class Loaded(Generic[Item]):
    """What each process loads for itself when it first needs it, such as a network.

    It goes to other processes as the way in which it is loaded.

    Parameters
    ----------
    load : callable
        A function of a module, or a partial of one.
    """

    def __init__(self, load: Callable[[], Item]):
        self._load, self._lock = load, threading.Lock()
        self._value: Item | None = None

    def __reduce__(self) -> tuple:
        return Loaded, (self._load,)

    def value(self) -> Item:
        """Load it, or give what was loaded."""
        with self._lock:
            if self._value is None:
                self._value = self._load()
            return self._value


class _Packer(pickle.Pickler):
    """Pickles what goes to workers, with absolute paths: they were started in other folders."""

    def reducer_override(self, value):
        """Say how to make a value again."""
        if isinstance(value, Path):
            return Path, (str(value.absolute()),)
        return NotImplemented


def _packed(value: object) -> bytes:
    stream = io.BytesIO()
    _Packer(stream, pickle.HIGHEST_PROTOCOL).dump(value)
    return stream.getvalue()


class _Shared:
    """A function as a worker keeps it; goes on to other workers as it came.

    Dask would send them its arrays apart, which then lie at whatever place of a message, out of
    line: numpy computes with such arrays in a slower way that rounds differently.

    Parameters
    ----------
    packed : bytes
    """

    def __init__(self, packed: bytes):
        self.function = pickle.loads(packed)

    def __reduce__(self) -> tuple:
        return _Shared, (_packed(self.function),)


def compute_with_one_thread() -> None:
    """Hold the libraries of this process to one thread: other cores have processes of their own."""
    from threadpoolctl import threadpool_limits

    threadpool_limits(1)
    os.environ["OPENCV_FOR_THREADS_NUM"] = "1"  # read by OpenCV when it first computes


def _apply(shared: _Shared, item: bytes) -> object:
    compute_with_one_thread()
    before = _on_worker.set(True)
    try:
        return shared.function(pickle.loads(item))
    finally:
        _on_worker.reset(before)
