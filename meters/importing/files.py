"""Opening what is to be imported: packed or not, from a file or the standard input, and of which format. Pure."""

import fcntl
import gzip
import hashlib
import io
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from meters.importing.batches import Rows, Unreadable
from meters.importing.csv_rows import Columns, CsvRows
from meters.importing.json_rows import JsonArray, JsonLines

FORMATS = ("csv", "ndjson", "json")
ENDINGS = {".csv": "csv", ".tsv": "csv", ".ndjson": "ndjson", ".jsonl": "ndjson", ".json": "json"}
GZIP = b"\x1f\x8b"
BOM = b"\xef\xbb\xbf"
WIDE = (b"\xff\xfe", b"\xfe\xff")
BUFFER = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Input:
    """What to read and how. `path` None: the standard input. `name`: what ids are made of."""

    path: Path | None
    format: str = ""
    columns: Columns = field(default_factory=Columns)
    name: str = ""


@contextmanager
def readable() -> Iterator[None]:
    """Makes what is wrong with a packed file a sentence."""
    try:
        yield
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise Unreadable(f"The file is not whole gzip: {error}") from error


class OpenFile:
    """An open file of events; a context manager. `rows` are its events."""

    def __init__(self, given: Input) -> None:
        self._raw: IO[bytes] = sys.stdin.buffer if given.path is None else given.path.open("rb")
        try:
            with readable():
                self._prepare(given)
        except BaseException:
            self.close()
            raise

    def _prepare(self, given: Input) -> None:
        if given.path is not None:
            try:
                fcntl.flock(self._raw, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise Unreadable(f"Another import of {given.path} is running.") from error
        self.size = given.path.stat().st_size if given.path is not None else 0
        raw = io.BufferedReader(self._raw, BUFFER)  # type: ignore[type-var]
        self.packed = raw.peek(2)[:2] == GZIP
        file = io.BufferedReader(gzip.GzipFile(fileobj=raw), BUFFER) if self.packed else raw
        start = file.peek(4)[:4]
        if not start:
            raise Unreadable("The file is empty.")
        if start.startswith(WIDE) or b"\0" in start:
            raise Unreadable("Line 1 is not UTF-8: the file is UTF-16. Convert it first: iconv -f UTF-16 -t UTF-8.")
        mark = len(BOM) if start.startswith(BOM) else 0
        file.read(mark)
        kind = given.format or _format_of(given.path, file.peek(4096))
        self.rows: Rows
        if kind == "csv":
            self.rows = CsvRows(file, given.columns, given.name, mark)
        elif given.columns != Columns():
            raise Unreadable("--map, --set, --ignore, --utc and --delimiter are about the columns of a CSV file.")
        elif kind == "ndjson":
            self.rows = JsonLines(file, given.name, mark)
        else:
            self.rows = JsonArray(file, given.name, mark)
        self.format = kind

    def read_so_far(self) -> int:
        """How many of `size` bytes are read."""
        return self._raw.tell() if self.size else 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        if self._raw is not sys.stdin.buffer:
            self._raw.close()


def beginning_of(path: Path, size: int | None = None) -> tuple[int, str]:
    """How many bytes the file has, at most `size`, and their hash, by which it is known again."""
    hashed, left = hashlib.blake2b(digest_size=16), path.stat().st_size if size is None else size
    known = 0
    with path.open("rb") as file:
        while read := file.read(min(left - known, BUFFER)):
            hashed.update(read)
            known += len(read)
    return known, hashed.hexdigest()


def _format_of(path: Path | None, beginning: bytes) -> str:
    if path is not None:
        ending = path.with_suffix("").suffix if path.suffix == ".gz" else path.suffix
        if ending in ENDINGS:
            return ENDINGS[ending]
    beginning = beginning.lstrip()
    if beginning[:1] == b"[":
        return "json"
    if beginning[:1] == b"{":
        first, _, rest = beginning.partition(b"\n")
        return "ndjson" if first.rstrip().endswith(b"}") or not rest else "json"
    return "csv"
