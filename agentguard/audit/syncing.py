"""The journal's thread: puts written lines on the disk, many with one fsync."""

from __future__ import annotations

from concurrent.futures import Future
from threading import Condition, Thread

from agentguard.audit.chainfile import ChainFile, unwritable


class Syncing:
    """Syncs files that were written to: at once where somebody waits, else within `group_seconds`."""

    def __init__(self, group_seconds: float) -> None:
        self._group_seconds = group_seconds
        self._wake = Condition()
        self._thread: Thread | None = None
        self._dirty: ChainFile | None = None
        self._waiting: list[tuple[ChainFile, Future[None]]] = []
        self._stopping = False

    def soon(self, file: ChainFile) -> None:
        """Sync `file` within `group_seconds`."""
        # Without the lock: where it is marked already, the sync that clears the mark starts after this line.
        if self._dirty is not file:
            with self._wake:
                self._mark(file)

    def at_once(self, file: ChainFile) -> Future[None]:
        """A future that ends when all lines written to `file` so far are on the disk, or raises GuardUnavailable."""
        future: Future[None] = Future()
        future.set_running_or_notify_cancel()  # nobody who stops waiting may cancel it for the thread
        with self._wake:
            self._waiting.append((file, future))
            self._mark(file)
        return future

    def stop(self) -> None:
        """Sync what is marked and end the thread."""
        with self._wake:
            self._stopping = True
            self._wake.notify()
        if self._thread is not None:
            self._thread.join()

    def _mark(self, file: ChainFile) -> None:
        self._dirty = file
        if self._thread is None:
            self._thread = Thread(target=self._run, name="agentguard-journal", daemon=True)
            self._thread.start()
        self._wake.notify()

    def _run(self) -> None:
        while (batch := self._next()) is not None:
            file, waiting = batch
            _sync(file, [future for of, future in waiting if of is file])
            for of, future in waiting:
                if of is not file:
                    _sync(of, [future])

    def _next(self) -> tuple[ChainFile, list[tuple[ChainFile, Future[None]]]] | None:
        with self._wake:
            self._wake.wait_for(lambda: self._dirty is not None or self._stopping)
            if self._dirty is None:
                return None
            self._wake.wait_for(lambda: bool(self._waiting) or self._stopping, timeout=self._group_seconds)
            file, self._dirty = self._dirty, None
            waiting, self._waiting = self._waiting, []
            return file, waiting


def _sync(file: ChainFile, waiting: list[Future[None]]) -> None:
    try:
        file.sync()
    except OSError as error:
        for future in waiting:
            future.set_exception(unwritable(error))
    else:
        for future in waiting:
            future.set_result(None)
