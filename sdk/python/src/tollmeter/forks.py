"""Clients in processes that fork, as web servers do that load an application once and serve it with several workers.

A fork happens while no client is in the middle of anything. The child has the same clients, empty: what waited in
memory is its parent's, which sends it.
"""

from __future__ import annotations

import os
import threading
from typing import Protocol
from weakref import WeakSet

from tollmeter.sender import Queue, Sender


class Forked(Protocol):
    queue: Queue
    sender: Sender

    def after_fork(self) -> None: ...


_clients: WeakSet[Forked] = WeakSet()
_held: list[Forked] = []
# Held while a process forks: two threads may do so at once.
_forking = threading.Lock()


def remember(client: Forked) -> None:
    _clients.add(client)


def _before() -> None:
    _forking.acquire()
    for client in list(_clients):
        client.queue.changed.acquire()
        _held.append(client)


def _after_in_parent() -> None:
    while _held:
        _held.pop().queue.changed.release()
    _forking.release()


def _after_in_child() -> None:
    while _held:
        _held.pop().after_fork()
    _forking.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before, after_in_parent=_after_in_parent, after_in_child=_after_in_child)
