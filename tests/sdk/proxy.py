"""A small TCP proxy that does to connections what networks do."""

import socket
import threading
import time
from collections import Counter
from contextlib import suppress
from types import TracebackType
from typing import Self

UNAVAILABLE = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class Proxy:
    """Passes on to a port, and has faults by its `mode`:

    `pass` none; `refuse` closes every connection at once; `cut request` passes a part of what was sent; `cut answer`
    passes the request, and of its answer the first bytes; `slow` holds every piece for a while; `error` answers with
    500 itself.
    """

    MODES = ("pass", "refuse", "cut request", "cut answer", "slow", "error")

    def __init__(self, port: int) -> None:
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.mode = "pass"
        # How often each fault happened.
        self.seen: Counter[str] = Counter()

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, suppress(OSError):
            if self.mode == "refuse":
                self.seen["refuse"] += 1
                return
            with socket.create_connection(("127.0.0.1", self._target)) as server:
                answers = threading.Thread(target=self._pass_answers, args=(server, client), daemon=True)
                answers.start()
                self._pass_requests(client, server)
                self._end(server)
                answers.join()

    def _pass_requests(self, client: socket.socket, server: socket.socket) -> None:
        while part := client.recv(65536):
            mode = self.mode
            self.seen[mode] += 1
            if mode == "refuse":
                return self._end(client)
            if mode == "error":
                client.sendall(UNAVAILABLE)
                return self._end(client)
            if mode == "cut request":
                server.sendall(part[: len(part) * 2 // 3])
                return self._end(client)
            if mode == "slow":
                time.sleep(0.4)
            server.sendall(part)
        return None

    def _pass_answers(self, server: socket.socket, client: socket.socket) -> None:
        with suppress(OSError):
            while part := server.recv(65536):
                if self.mode == "cut answer":
                    client.sendall(part[:20])
                    break
                client.sendall(part)
        self._end(client)

    @staticmethod
    def _end(side: socket.socket) -> None:
        with suppress(OSError):
            side.shutdown(socket.SHUT_RDWR)
