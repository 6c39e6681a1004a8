"""The lines of a file, in blocks. Pure."""

from typing import IO

from meters.importing.batches import MAX_BATCH, MAX_EVENT, Place, Unreadable

PIECE = 1024 * 1024


class Lines:
    """From a place of the file on. `line` and `offset` say how far they are taken."""

    def __init__(self, file: IO[bytes], start: Place) -> None:
        self._file, self._rest = file, b""
        self.line, self.offset = start.line, start.offset
        # Whether the last line that was taken is the last of the file, and has no end.
        self._is_open = False

    def take(self, count: int) -> list[bytes]:
        """The next ones without their ends, at most so many; fewer where these are many bytes. None: there are no
        more."""
        taken: list[bytes] = []
        read = 0
        self._is_open = False
        while True:
            found = self._rest.split(b"\n", count - len(taken))
            self._rest = found.pop()
            taken += found
            if len(taken) == count or (taken and read > MAX_BATCH):
                break
            if len(self._rest) > MAX_EVENT:
                taken.append(self._rest)
                break
            piece = self._file.read(PIECE)
            read += len(piece)
            if not piece:
                self._is_open = bool(self._rest)
                if self._rest:
                    taken.append(self._rest)
                    self._rest = b""
                break
            self._rest += piece
        self._check(taken)
        self.line += len(taken)
        self.offset += self._size(taken)
        return taken

    def give_back(self, lines: list[bytes]) -> None:
        """Has the last ones that were taken be taken again."""
        if lines:
            self.line -= len(lines)
            self.offset -= self._size(lines)
            self._rest = b"\n".join(lines) + (b"" if self._is_open else b"\n") + self._rest
            self._is_open = False

    def _size(self, lines: list[bytes]) -> int:
        return sum(map(len, lines)) + len(lines) - self._is_open

    def _check(self, taken: list[bytes]) -> None:
        if taken and max(map(len, taken)) > MAX_EVENT:
            index = next(index for index, line in enumerate(taken) if len(line) > MAX_EVENT)
            raise Unreadable(f"Line {self.line + index + 1:,} is longer than {MAX_EVENT:,} bytes.")
