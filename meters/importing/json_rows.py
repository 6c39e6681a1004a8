"""Events in JSON: lines of events, an array of them, or an object whose member `events` is one. Pure.

An array is cut where its elements end, without reading them as a whole: so it may be longer than the memory.
"""

import re
from collections.abc import Iterator
from typing import IO

from meters.decoding import EventIn, MalformedBody, Rejection, decode_json, decode_lines
from meters.importing.batches import MAX_EVENT, Batch, Place, Unreadable, finish

CHUNK = 1024 * 1024
_STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_PLAIN = rb'[^{}\[\]"]*+'
_FLAT = rb"\{" + _PLAIN + rb"(?:" + _STRING + _PLAIN + rb")*+\}"
# An object whose members hold objects at most, as an event's are, and what follows it.
_OBJECT = rb"\{" + _PLAIN + rb"(?:(?:" + _STRING + rb"|" + _FLAT + rb")" + _PLAIN + rb")*+\}"
_ELEMENT = re.compile(rb"\s*+(" + _OBJECT + rb")\s*+([,\]])", re.DOTALL)
# A quotation mark alone begins a text that goes on behind what was read.
_TOKEN = re.compile(_STRING + rb'|["\[\]{},]', re.DOTALL)
_EVENTS = re.compile(rb"\s*+:\s*+\[")


class JsonLines:
    """Newline-delimited JSON."""

    def __init__(self, file: IO[bytes], name: str, offset: int = 0) -> None:
        self._file, self._name = file, name
        self.header = Place(0, 0, offset)

    def column_of(self, pointer: str) -> str:
        return ""

    def batches(self, start: Place, size: int) -> Iterator[Batch]:
        if start.row:
            self._file.seek(start.offset)
        start = start if start.row else self.header
        row, line, offset = start.row, start.line, start.offset
        while True:
            batch = Batch(Place())
            texts: list[bytes] = []
            while len(texts) < size and (text := self._file.readline(MAX_EVENT + 1)):
                if len(text) > MAX_EVENT:
                    raise Unreadable(f"Line {line + 1:,} is longer than {MAX_EVENT:,} bytes.")
                line += 1
                offset += len(text)
                if text.strip():
                    row += 1
                    texts.append(text.rstrip(b"\r\n"))
                    batch.rows.append(row)
                    batch.lines.append(line)
            if not texts:
                return
            batch.end = Place(row, line, offset)
            yield _finish(batch, decode_lines_of(texts), texts, self._name)


class JsonArray:
    """The elements of the array that the file is, or has as its member `events`."""

    def __init__(self, file: IO[bytes], name: str, offset: int = 0) -> None:
        self._file, self._name = file, name
        self._buffer, self._at = b"", 0
        self._line, self._offset, self._row = 0, offset, 0
        self._began = 0
        self._open()
        self.header = Place(0, self._line, self._offset)

    def column_of(self, pointer: str) -> str:
        return ""

    def batches(self, start: Place, size: int) -> Iterator[Batch]:
        ended = False
        if start.row:
            # The comma behind the last element, or the array's end.
            self._file.seek(start.offset - 1)
            ended = self._file.read(1) == b"]"
            self._buffer, self._at = b"", 0
            self._row, self._line, self._offset = start.row, start.line, start.offset
        while not ended:
            batch = Batch(Place())
            texts: list[bytes] = []
            while len(texts) < size and not ended:
                ended = self._take(texts, batch, size)
                if ended or len(texts) == size:
                    break
                element, ended = self._element()
                if element is None:
                    break
                self._row += 1
                texts.append(element)
                batch.rows.append(self._row)
                batch.lines.append(self._began)
            if not texts:
                return
            batch.end = Place(self._row, self._line, self._offset)
            yield _finish(batch, _decode_elements(texts), texts, self._name)

    def _open(self) -> None:
        """Reads up to the first element."""
        self._more()
        start = re.match(rb"\s*\[", self._buffer)
        if start is None:
            depth = 0
            for token in _TOKEN.finditer(self._buffer):
                sign = token[0]
                if sign == b'"':
                    break
                if depth == 1 and sign == b'"events"' and (after := _EVENTS.match(self._buffer, token.end())):
                    start = after
                    break
                depth += (sign in b"[{") - (sign in b"]}") if len(sign) == 1 else 0
        if start is None:
            raise Unreadable("The file is no JSON array of events, and no object that has one as its member events.")
        self._pass_to(start.end())

    def _take(self, texts: list[bytes], batch: Batch, size: int) -> bool:
        """The elements that are whole in what is read and look like events. Whether the array ends behind them."""
        buffer, at, line, row = self._buffer, self._at, self._line + 1, self._row
        several_lines, is_end = buffer.find(b"\n", at) >= 0, False
        match, rows, lines = _ELEMENT.match, batch.rows, batch.lines
        while len(texts) < size and not is_end and (found := match(buffer, at)):
            row += 1
            if several_lines:
                start = found.start(1)
                line += buffer.count(b"\n", at, start)
                lines.append(line)
                line += buffer.count(b"\n", start, found.end())
            else:
                lines.append(line)
            rows.append(row)
            texts.append(found[1])
            at = found.end()
            is_end = found[2] == b"]"
        self._row = row
        self._pass_to(at)
        return is_end

    def _element(self) -> tuple[bytes | None, bool]:
        """The next element, and whether the array ends behind it. None: it ended before."""
        found = _ELEMENT.match(self._buffer, self._at)
        while found is None:
            whole = self._extent()
            if whole is not None:
                return whole
            if not self._more():
                raise Unreadable(f"Line {self._line + 1:,}: the file ends before the array does.")
            found = _ELEMENT.match(self._buffer, self._at)
        self._note_beginning(found.start(1))
        self._pass_to(found.end())
        return found[1], found[2] == b"]"

    def _extent(self) -> tuple[bytes | None, bool] | None:
        """The same for an element that is no event, or a nested one. None where more of the file is needed."""
        depth = 0
        for token in _TOKEN.finditer(self._buffer, self._at):
            sign = token[0]
            if sign == b'"':
                break
            if depth == 0 and sign in (b",", b"]"):
                text = self._buffer[self._at : token.start()]
                self._note_beginning(self._at + len(text) - len(text.lstrip()))
                is_end = sign == b"]"
                if not text.strip():
                    if is_end and not self._row:
                        return None, True
                    raise Unreadable(f"Line {self._began:,}: an element of the array is missing.")
                self._pass_to(token.end())
                return text.strip(), is_end
            if len(sign) == 1:
                depth += (sign in b"[{") - (sign in b"]}")
            if depth < 0:
                raise Unreadable(f"Line {self._line + 1:,}: a bracket is closed that was not opened.")
        if len(self._buffer) - self._at > MAX_EVENT + CHUNK:
            raise Unreadable(f"Line {self._line + 1:,}: an element is longer than {MAX_EVENT:,} bytes.")
        return None

    def _note_beginning(self, at: int) -> None:
        self._began = self._line + 1 + self._buffer.count(b"\n", self._at, at)

    def _pass_to(self, at: int) -> None:
        self._line += self._buffer.count(b"\n", self._at, at)
        self._offset += at - self._at
        self._at = at

    def _more(self) -> bool:
        read = self._file.read(CHUNK)
        self._buffer, self._at = self._buffer[self._at :] + read, 0
        return bool(read)


def decode_lines_of(texts: list[bytes]) -> list[EventIn | Rejection]:
    return list(decode_lines(b"\n".join(texts), max_events=len(texts)))


def _decode_elements(texts: list[bytes]) -> list[EventIn | Rejection]:
    try:
        events, _ = decode_json(b"[" + b",".join(texts) + b"]", max_events=len(texts))
    except MalformedBody:
        events = ()
    if len(events) == len(texts):
        return list(events)
    # One of them has brackets that are none together.
    return [decode_lines_of([text.replace(b"\n", b" ")])[0] for text in texts]


def _finish(batch: Batch, events: list[EventIn | Rejection], texts: list[bytes], name: str) -> Batch:
    parts = [(text.decode(errors="replace"),) for text in texts] if _lacks_ids(events) else ()
    return finish(batch, events, parts, name)


def _lacks_ids(events: list[EventIn | Rejection]) -> bool:
    return any(isinstance(event, EventIn) and not isinstance(event.id, str) for event in events)
