"""The files of exports: where they are, how they are made in parts, and what is in them.

A part is written beside its place and moved there when it is whole, so a worker that dies leaves none that is cut.
"""

import contextlib
import csv
import io
import json
import os
import re
import shutil
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import IO
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile, ZipInfo

from django.conf import settings

from invoices.exporting.papers import papers_of
from invoices.exporting.rows import CREDIT_NOTE, HEADINGS, INVOICE, VOID, Document, rows_of
from invoices.models import Export

FOLDERS = {INVOICE: "invoices", CREDIT_NOTE: "credit-notes", VOID: "void"}
CSV_NAME = "invoices.csv"
# Names that Windows keeps for itself, whatever comes behind the first dot.
RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\.|$)", re.IGNORECASE | re.ASCII)
COPIED = 1 << 20


# --- Where ---


def folder() -> Path:
    """The folder of finished files, readable by this user only."""
    found: Path = settings.EXPORTS_DIR
    found.mkdir(mode=0o700, parents=True, exist_ok=True)
    return found


def path_of(export: Export) -> Path:
    """Where the finished file is, or is to be: made of the row's id and form, and of nothing that anybody typed."""
    return folder() / f"export-{export.pk}.{Export.Form(export.form).value}"


def work_folder(export: Export) -> Path:
    return folder() / f"work-{export.pk}"


def remove(export: Export) -> None:
    """Removes the file of an export, and what a worker left of it."""
    path_of(export).unlink(missing_ok=True)
    shutil.rmtree(work_folder(export), ignore_errors=True)


def sign_of(worker: str) -> Path:
    """A file by which others see that this worker has the same folder."""
    return settings.EXPORTS_DIR / f".seen-by-{re.sub(r'[^A-Za-z0-9@._-]', '_', worker)[:200]}"


def leave_sign(worker: str) -> None:
    """Who cannot write there leaves none, and is told of by `manage.py doctor`."""
    with contextlib.suppress(OSError):
        folder()
        sign_of(worker).touch(mode=0o600)


# --- At once ---


def write_csv(file: IO[bytes], documents: Sequence[Document], chunk: int, done: Callable[[int], object]) -> None:
    """All rows, so many documents at a time; tells how many are done."""
    write_rows(file, [HEADINGS])
    for first in range(0, len(documents), chunk):
        some = documents[first : first + chunk]
        write_rows(file, rows_of(some))
        done(first + len(some))


def write_zip(file: IO[bytes], documents: Sequence[Document], chunk: int, done: Callable[[int], object]) -> None:
    """The papers, then the rows; `file` need not be one that can be gone back in, such as the standard output."""
    names = names_of(documents)
    with ZipFile(file, "w") as joined:
        for first in range(0, len(documents), chunk):
            some = documents[first : first + chunk]
            for name, paper in zip(names[first : first + chunk], papers_of(some), strict=True):
                joined.writestr(_info(name), paper)
            done(first + len(some))
        with joined.open(_info(CSV_NAME, ZIP_DEFLATED), "w", force_zip64=True) as rows:
            write_csv(rows, documents, chunk, lambda _: None)


# --- In parts ---


class Work:
    """An export's folder of parts, and the list of the documents that it is about, which stays as it was begun."""

    def __init__(self, export: Export) -> None:
        self.export = export
        self.folder = work_folder(export)

    def begin(self, documents: Sequence[Document]) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(mode=0o700)
        listed = [(one.kind, one.pk, one.number) for one in documents]
        _write(self.folder / "documents.json", lambda file: file.write(json.dumps(listed).encode()))

    def documents(self) -> list[Document] | None:
        """None where it is not begun, or begun on another machine."""
        try:
            listed = json.loads((self.folder / "documents.json").read_bytes())
        except FileNotFoundError:
            return None
        return [Document(*one) for one in listed]

    def add(self, first: int, documents: Sequence[Document]) -> None:
        """The part of these documents, of which `first` have been before. Written again it is the same."""
        if self.export.form == Export.Form.ZIP:
            _write(self._part(first, "zip"), lambda file: _pack(file, first, papers_of(documents)))
        _write(self._part(first, "csv"), lambda file: write_rows(file, rows_of(documents)))

    def finish(self, firsts: Iterable[int]) -> None:
        """Puts the parts together and the file in its place. Raises FileNotFoundError where one is gone."""
        firsts = list(firsts)
        if self.export.form == Export.Form.ZIP:
            documents = self.documents() or []
            _write(path_of(self.export), lambda file: self._join(file, firsts, names_of(documents)))
        else:
            _write(path_of(self.export), lambda file: self._copy_csv(file, firsts))
        shutil.rmtree(self.folder, ignore_errors=True)

    def _part(self, first: int, ending: str) -> Path:
        return self.folder / f"part-{first:08}.{ending}"

    def _copy_csv(self, file: IO[bytes], firsts: Sequence[int]) -> None:
        write_rows(file, [HEADINGS])
        for first in firsts:
            with self._part(first, "csv").open("rb") as part:
                shutil.copyfileobj(part, file, COPIED)

    def _join(self, file: IO[bytes], firsts: Sequence[int], names: Sequence[str]) -> None:
        with ZipFile(file, "w") as joined:
            for first in firsts:
                with ZipFile(self._part(first, "zip")) as part:
                    for member in part.namelist():
                        joined.writestr(_info(names[int(member)]), part.read(member))
            with joined.open(_info(CSV_NAME, ZIP_DEFLATED), "w", force_zip64=True) as rows:
                self._copy_csv(rows, firsts)


def _pack(file: IO[bytes], first: int, papers: Iterable[bytes]) -> None:
    """Papers under their places among all documents: their names are made when these are put together."""
    with ZipFile(file, "w") as part:
        for place, paper in enumerate(papers, start=first):
            part.writestr(_info(str(place)), paper)


def _write(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Writes a file whole or not at all, and has it on the disk before it is in its place."""
    new = path.with_name(f"{path.name}.new")
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        write(file)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)


# --- What is in them ---


def write_rows(file: IO[bytes], rows: Iterable[Sequence[str]]) -> None:
    """CSV in UTF-8."""
    for row in rows:
        line = io.StringIO()
        csv.writer(line).writerow(row)
        file.write(line.getvalue().encode())


def names_of(documents: Sequence[Document]) -> list[str]:
    """For each document the name of its PDF: by its number, with signs that any file system takes, and once each."""
    taken: set[str] = set()
    names = []
    for one in documents:
        plain = re.sub(r"[^A-Za-z0-9._-]", "_", one.number).strip("._") or "document"
        plain = f"_{plain}" if RESERVED.match(plain) else plain
        name, again = f"{FOLDERS[one.kind]}/{plain}.pdf", 1
        # Some do not tell capital letters from small ones.
        while name.lower() in taken:
            again += 1
            name = f"{FOLDERS[one.kind]}/{plain}-{again}.pdf"
        taken.add(name.lower())
        names.append(name)
    return names


def _info(name: str, compression: int = ZIP_STORED) -> ZipInfo:
    info = ZipInfo(name)
    info.compress_type = compression
    info.external_attr = 0o644 << 16
    return info
