"""Events in JSON: lines of events, an array of them, or an object whose member `events` is one. Pure.

An array is cut where its elements end, without reading them as a whole: so it may be longer than the memory.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import IO

import msgspec

from meters.decoding import EventIn, MalformedBody, Rejection, decode_array, decode_json, decode_lines
from meters.importing.batches import MAX_BATCH, MAX_EVENT, Batch, Cut, Later, Place, Unreadable, finish
from meters.importing.lines import Lines

CHUNK = 1024 * 1024
_STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_PLAIN = rb'[^{}\[\]"]*+'
_FLAT = rb"\{" + _PLAIN + rb"(?:" + _STRING + _PLAIN + rb")*+\}"
# An object whose members hold objects at most, as an event's are, and what follows it.
_OBJECT = rb"\{" + _PLAIN + rb"(?:(?:" + _STRING + rb"|" + _FLAT + rb")" + _PLAIN + rb")*+\}"
_ELEMENT = re.compile(rb"\s*+" + _OBJECT + rb"\s*+([,\]])", re.DOTALL)
# So many of them, or so many bytes, are looked at together.
MANY = 1000
TOGETHER = 64 * 1024
_raw = msgspec.json.Decoder(list[msgspec.Raw])
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

    def cuts(self, start: Place, size: int) -> Iterator[Cut]:
        if start.row:
            self._file.seek(start.offset)
        before = start if start.row else self.header
        lines = Lines(self._file, before)
        while taken := lines.take(size):
            rows = sum(map(bool, map(bytes.strip, taken)))
            end = Place(before.row + rows, lines.line, lines.offset)
            if rows:
                yield Cut(before, end, b"\n".join(taken))
            before = end

    def read(self, cut: Cut) -> Batch:
        first, last = cut.start, cut.end
        batch = Batch(range(first.row + 1, last.row + 1), range(first.line + 1, last.line + 1))
        if len(batch.rows) < len(batch.lines):
            begins = enumerate(cut.text.split(b"\n"), first.line + 1)
            batch.lines = [line for line, text in begins if text.strip()]

        def texts() -> list[bytes]:
            return [line.rstrip(b"\r") for line in cut.text.split(b"\n") if line.strip()]

        events = _read_at_once(cut.text, len(batch.rows))
        return _finish(batch, decode_lines_of(texts()) if events is None else events, texts, self._name)


class JsonArray:
    """The elements of the array that the file is, or has as its member `events`."""

    def __init__(self, file: IO[bytes], name: str, offset: int = 0) -> None:
        self._file, self._name = file, name
        self._buffer, self._at = b"", 0
        self._line, self._offset, self._row = 0, offset, 0
        self._passed: list[bytes] = []
        self._open()
        self.header = Place(0, self._line, self._offset)

    def column_of(self, pointer: str) -> str:
        return ""

    def cuts(self, start: Place, size: int) -> Iterator[Cut]:
        ended = False
        if start.row:
            # The comma behind the last element, or the array's end.
            self._file.seek(start.offset - 1)
            ended = self._file.read(1) == b"]"
            self._buffer, self._at = b"", 0
            self._row, self._line, self._offset = start.row, start.line, start.offset
        while not ended:
            before = Place(self._row, self._line, self._offset)
            last, limit = before.row + size, before.offset + MAX_BATCH
            self._passed.clear()
            while self._row < last and self._offset < limit and not ended:
                ended = self._pass_many(last)
                if self._row < last and not ended:
                    ended = self._pass_one()
            if self._row > before.row:
                yield Cut(before, Place(self._row, self._line, self._offset), b"".join(self._passed))

    def read(self, cut: Cut) -> Batch:
        count = cut.end.row - cut.start.row
        batch = Batch(range(cut.start.row + 1, cut.end.row + 1))
        if b"\n" in cut.text:
            batch.lines = Later(lambda: [line for line, _ in _elements(cut)])
        else:
            batch.lines = [cut.start.line + 1] * count

        def texts() -> list[bytes]:
            return [text for _, text in _elements(cut)]

        # Behind the last element is the comma, or the array's end.
        events = decode_array(b"[" + cut.text[:-1] + b"]")
        if events is None or len(events) != count:
            events = _decode_elements(texts())
        return _finish(batch, events, texts, self._name)

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

    def _pass_together(self, last: int) -> None:
        """Passes elements up to some brace that a comma follows, as long as what is before it is a whole array."""
        while last - self._row >= MANY:
            end = self._buffer.rfind(b"},", self._at, self._at + TOGETHER) + 1
            try:
                count = len(_raw.decode(b"[" + self._buffer[self._at : end] + b"]")) if end else 0
            except (msgspec.DecodeError, RecursionError):
                return
            if not 0 < count <= last - self._row:
                return
            self._row += count
            self._pass_to(end + 1)

    def _pass_many(self, last: int) -> bool:
        """Passes the elements that are whole in what is read and look like events. Whether the array ends behind
        them."""
        self._pass_together(last)
        buffer, at, is_end = self._buffer, self._at, False
        while self._row < last and not is_end and (found := _ELEMENT.match(buffer, at)):
            self._row += 1
            at = found.end()
            is_end = found[1] == b"]"
        self._pass_to(at)
        return is_end

    def _pass_one(self) -> bool:
        """Passes the next element, whatever it is, if there is one. Whether the array ends behind it."""
        while True:
            if found := _ELEMENT.match(self._buffer, self._at):
                self._row += 1
                self._pass_to(found.end())
                return found[1] == b"]"
            if (is_end := self._pass_odd()) is not None:
                return is_end
            if not self._more():
                raise Unreadable(f"Line {self._line + 1:,}: the file ends before the array does.")

    def _pass_odd(self) -> bool | None:
        """The same for an element that is no event, or a nested one. None where more of the file is needed."""
        depth = 0
        for token in _TOKEN.finditer(self._buffer, self._at):
            sign = token[0]
            if sign == b'"':
                break
            if depth == 0 and sign in (b",", b"]"):
                is_end = sign == b"]"
                text = self._buffer[self._at : token.start()]
                if text.strip():
                    self._row += 1
                elif not is_end or self._row:
                    line = self._line + 1 + text.count(b"\n")
                    raise Unreadable(f"Line {line:,}: an element of the array is missing.")
                self._pass_to(token.end())
                return is_end
            if len(sign) == 1:
                depth += (sign in b"[{") - (sign in b"]}")
            if depth < 0:
                raise Unreadable(f"Line {self._line + 1:,}: a bracket is closed that was not opened.")
        if len(self._buffer) - self._at > MAX_EVENT + CHUNK:
            raise Unreadable(f"Line {self._line + 1:,}: an element is longer than {MAX_EVENT:,} bytes.")
        return None

    def _pass_to(self, at: int) -> None:
        passed = self._buffer[self._at : at]
        self._passed.append(passed)
        self._line += passed.count(b"\n")
        self._offset += len(passed)
        self._at = at

    def _more(self) -> bool:
        read = self._file.read(CHUNK)
        self._buffer, self._at = self._buffer[self._at :] + read, 0
        return bool(read)


def decode_lines_of(texts: list[bytes]) -> list[EventIn | Rejection]:
    return list(decode_lines(b"\n".join(texts), max_events=len(texts)))


def _read_at_once(text: bytes, count: int) -> Sequence[EventIn | Rejection] | None:
    """The events of so many lines that are an object each; None where they may be none.

    As an array: a brace behind a comma is only JSON where an element of an array begins, events hold no arrays, and no
    text has an end of a line in it. So each line is at least one element, and all together are as many as lines.
    """
    if b"\r" in text:
        text = text.replace(b"\r\n", b"\n")
    array = text.replace(b"}\n{", b"},\n{")
    if len(array) - len(text) != count - 1 or text.count(b"\n") != count - 1:
        return None
    events = decode_array(b"[" + array + b"]")
    if events is None or len(events) != count or any(isinstance(event, Rejection) for event in events):
        return None
    return events


def _elements(cut: Cut) -> Iterator[tuple[int, bytes]]:
    """The elements of a cut, each with the line that it begins at."""
    text, line, begins, depth = cut.text, cut.start.line + 1, 0, 0
    for token in _TOKEN.finditer(text):
        sign = token[0]
        if depth == 0 and sign in (b",", b"]"):
            element = text[begins : token.start()]
            start = len(element) - len(element.lstrip())
            line += element.count(b"\n", 0, start)
            yield line, element.strip()
            line += element.count(b"\n", start)
            begins = token.end()
        elif len(sign) == 1:
            depth += (sign in b"[{") - (sign in b"]}")


def _decode_elements(texts: list[bytes]) -> Sequence[EventIn | Rejection]:
    try:
        events, _ = decode_json(b"[" + b",".join(texts) + b"]", max_events=len(texts))
    except MalformedBody:
        events = ()
    if len(events) == len(texts):
        return events
    # One of them has brackets that are none together.
    return [decode_lines_of([text.replace(b"\n", b" ")])[0] for text in texts]


def _finish(batch: Batch, events: Sequence[EventIn | Rejection], texts: Callable[[], list[bytes]], name: str) -> Batch:
    return finish(batch, events, lambda: [(text.decode(errors="replace"),) for text in texts()], name)
