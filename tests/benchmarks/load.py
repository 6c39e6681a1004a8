"""A load generator that costs little beside what it measures: prepared requests over non-blocking sockets."""

import re
import selectors
import socket
import time
from dataclasses import dataclass, field

_HEAD_END = b"\r\n\r\n"
_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_ACCEPTED = re.compile(rb'"accepted":(\d+)')


@dataclass
class Load:
    """What came back. `seconds` is from the first byte sent to the last answer; `waits` are those of the requests."""

    accepted: int = 0
    requests: int = 0
    seconds: float = 0.0
    waits: list[float] = field(default_factory=list)


class _Connection:
    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self.unsent = memoryview(b"")
        self.answer = bytearray()
        self.began = 0.0

    def begin(self, request: bytes) -> None:
        self.unsent = memoryview(request)
        self.answer.clear()
        self.began = time.perf_counter()

    def send(self) -> bool:
        """Sends what fits; whether that was all."""
        while self.unsent:
            try:
                self.unsent = self.unsent[self.socket.send(self.unsent) :]
            except BlockingIOError:
                return False
        return True

    def receive(self) -> bytes | None:
        """The body of the answer once it is whole. Raises RuntimeError where it is none of success."""
        part = self.socket.recv(65536)
        self.answer += part
        end = self.answer.find(_HEAD_END)
        if end >= 0 and (length := _LENGTH.search(self.answer, 0, end)):
            body = end + len(_HEAD_END)
            if len(self.answer) >= body + int(length[1]):
                if not self.answer.startswith((b"HTTP/1.1 200", b"HTTP/1.0 200")):
                    raise RuntimeError(bytes(self.answer[:1000]).decode(errors="replace"))
                return bytes(self.answer[body:])
        if not part:
            raise RuntimeError("The server closed the connection.")
        return None


def post(path: str, key: str, body: bytes) -> bytes:
    head = (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nX-API-KEY: {key}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def run(port: int, requests: list[bytes], *, connections: int, seconds: float) -> Load:
    """Sends the requests, each connection its next one as soon as its last is answered, until the time is over."""
    load, waiting = Load(), list(reversed(requests))
    selector = selectors.DefaultSelector()
    began = time.perf_counter()
    open_ones = [_Connection(port) for _ in range(connections)]
    running = 0
    try:
        for connection in open_ones:
            selector.register(connection.socket, selectors.EVENT_READ, connection)
            if waiting:
                running += 1
                _begin(selector, connection, waiting.pop())
        while running:
            for key, mask in selector.select(timeout=60):
                connection = key.data
                if mask & selectors.EVENT_WRITE:
                    if connection.send():
                        selector.modify(connection.socket, selectors.EVENT_READ, connection)
                    continue
                body = connection.receive()
                if body is None:
                    continue
                now = time.perf_counter()
                accepted = _ACCEPTED.search(body)
                load.accepted += int(accepted[1]) if accepted else 0
                load.requests += 1
                load.waits.append(now - connection.began)
                if waiting and now - began < seconds:
                    _begin(selector, connection, waiting.pop())
                else:
                    running -= 1
        load.seconds = time.perf_counter() - began
    finally:
        for connection in open_ones:
            connection.socket.close()
        selector.close()
    return load


def _begin(selector: selectors.BaseSelector, connection: _Connection, request: bytes) -> None:
    connection.begin(request)
    if not connection.send():
        selector.modify(connection.socket, selectors.EVENT_READ | selectors.EVENT_WRITE, connection)
