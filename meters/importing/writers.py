"""Processes that store batches, several at a time, and the order that they keep.

A writer reads its cut, says which marks its batch has, and stores it once it is told to: at once where these are apart
from those of all batches before it that are not stored yet. So what hangs on the order of events is as if they came one
after the other, and of a file that cannot be read on nothing is stored that comes behind the fault.
"""

import gc
import multiprocessing
import signal
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

from django.db import DatabaseError, InterfaceError, OperationalError, connection

from meters.importing.batches import Cut, Unreadable
from meters.importing.work import Done, Marks, Work

# So many batches for each writer may wait for one before them that takes long.
WAITING = 4


class Ended(Exception):
    """A writer ended before its work did. A sentence for a person."""


@dataclass(frozen=True, slots=True)
class _Fault:
    """Why a batch is not stored."""

    message: str
    is_of_file: bool = False


@dataclass(slots=True)
class Writer:
    process: BaseProcess
    pipe: Connection

    def tell(self, message: Cut | bool) -> Exception | None:
        """Sends a cut, or that it may be stored. Answers the error where nobody is there."""
        try:
            self.pipe.send(message)
        except OSError:
            return self._ended()
        return None

    def hear(self) -> Marks | Done | Exception:
        """The marks of its batch, what became of it, or why it is not stored."""
        try:
            message: Marks | Done | _Fault = self.pipe.recv()
        except (EOFError, OSError):
            return self._ended()
        if isinstance(message, _Fault):
            return Unreadable(message.message) if message.is_of_file else OperationalError(message.message)
        return message

    def _ended(self) -> Ended:
        self.process.join(10)
        return Ended(f"A writer, process {self.process.pid}, ended with status {self.process.exitcode}.")


@contextmanager
def writers(count: int, work: Work, close: Callable[[], None]) -> Iterator[list[Writer]]:
    """Starts them, and lets them end. `close` closes what only this process may have open."""
    # No two processes can share a connection.
    connection.close()
    context = multiprocessing.get_context("fork")
    started: list[Writer] = []
    try:
        for _ in range(count):
            ours, theirs = context.Pipe()
            others = [writer.pipe for writer in started]
            process = context.Process(target=_serve, args=(theirs, work, [ours, *others], close))
            process.start()
            theirs.close()
            started.append(Writer(process, ours))
        yield started
    finally:
        for writer in started:
            writer.pipe.close()
        for writer in started:
            writer.process.join()


def _serve(pipe: Connection, work: Work, others: Sequence[Connection], close: Callable[[], None]) -> None:
    """A writer's life. It ends when the other end of the pipe is closed, so nobody else may hold that."""
    # Whoever presses Ctrl-C stops the import, which lets its writers end what they have begun.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.freeze()
    for other in others:
        other.close()
    close()
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):
        while True:
            _work_on(pipe.recv(), pipe, work)
    connection.close()


def _work_on(cut: Cut, pipe: Connection, work: Work) -> None:
    try:
        batch = work.read(cut)
        pipe.send(work.marks(batch))
        pipe.recv()
        pipe.send(work.store(batch))
    except Unreadable as error:
        pipe.send(_Fault(str(error), is_of_file=True))
    except (DatabaseError, InterfaceError) as error:
        pipe.send(_Fault(str(error)))


@dataclass(slots=True)
class _Underway:
    cut: Cut
    writer: Writer
    marks: Marks | None = None
    may_store: bool = False
    done: Done | None = None
    fault: Exception | None = None

    def is_settled(self) -> bool:
        return self.done is not None or self.fault is not None


@dataclass(slots=True)
class _Cuts:
    """Cuts of a file, of which the next one is made while the writers work."""

    source: Iterator[Cut]
    ahead: Cut | None = None
    # Why there are no more.
    fault: Unreadable | None = None

    def look_ahead(self) -> None:
        if self.ahead is None and self.fault is None:
            try:
                self.ahead = next(self.source, None)
            except Unreadable as error:
                self.fault = error

    def take(self) -> Cut | None:
        self.look_ahead()
        cut, self.ahead = self.ahead, None
        return cut


def share_out(
    source: Iterator[Cut], several: Sequence[Writer], begin: Callable[[Cut], None]
) -> Iterator[tuple[Cut, Done]]:
    """Has the writers store the cuts, and answers what became of each in the order of the file. Raises what went wrong
    with one once those before it are answered. `begin` is called before anything of a cut is stored."""
    cuts, free = _Cuts(source), deque(several)
    underway: deque[_Underway] = deque()
    while True:
        while free and len(underway) < WAITING * len(several) and not any(each.fault for each in underway):
            if (cut := cuts.take()) is None:
                break
            begin(cut)
            writer = free.popleft()
            underway.append(_Underway(cut, writer, fault=writer.tell(cut)))
        if not underway:
            break
        cuts.look_ahead()
        _hear(underway, free)
        _let_store(underway)
        while underway and underway[0].is_settled():
            first = underway.popleft()
            if first.done is None:
                raise first.fault or AssertionError
            yield first.cut, first.done
    if cuts.fault:
        raise cuts.fault


def _hear(underway: Sequence[_Underway], free: deque[Writer]) -> None:
    """Waits until one of the writers says something, if there is nothing to do with the first batch yet."""
    speaking = [each for each in underway if not each.is_settled()]
    ready = wait([each.writer.pipe for each in speaking], 0 if underway[0].is_settled() else None)
    for each in speaking:
        if each.writer.pipe not in ready:
            continue
        said = each.writer.hear()
        if isinstance(said, Exception):
            each.fault = said
        elif isinstance(said, Done):
            each.done = said
            free.append(each.writer)
        else:
            each.marks = said


def _let_store(underway: Sequence[_Underway]) -> None:
    before: list[Marks] = []
    for each in underway:
        if each.fault or each.marks is None:
            return
        if each.done is None:
            if not each.may_store and all(each.marks.are_apart(marks) for marks in before):
                each.may_store = True
                each.fault = each.writer.tell(True)
            before.append(each.marks)
