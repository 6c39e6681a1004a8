"""How far an import is, in a file beside what is imported, so that the same command goes on from there."""

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from meters.importing.batches import Place, Unreadable
from meters.importing.files import beginning_of

VERSION = 1


@dataclass(slots=True)
class Counts:
    accepted: int = 0
    duplicate: int = 0
    conflict: int = 0
    rejected: int = 0

    def add(self, other: "Counts") -> None:
        self.accepted += other.accepted
        self.duplicate += other.duplicate
        self.conflict += other.conflict
        self.rejected += other.rejected


@dataclass(slots=True)
class State:
    """What is behind us: `done`, so many rows, with their counts. Up to the row `begun` some may be stored already: an
    import that was killed had sent them and not noted what became of them."""

    known: int
    hash: str
    options: dict[str, Any]
    done: Place = field(default_factory=Place)
    begun: int = 0
    rows: int = 0
    counts: Counts = field(default_factory=Counts)
    # How long the file of outcomes is that belongs to what is done.
    outcomes: int = 0
    # Repeats among the rows that a killed import had begun.
    perhaps_own: int = 0


class Notes:
    """The file that a state is kept in."""

    def __init__(self, path: Path, about: Path, options: dict[str, Any]) -> None:
        self.path, self._about, self._options = path, about, options

    def read(self, *, restart: bool) -> State:
        known, hashed = beginning_of(self._about)
        new = State(known, hashed, self._options)
        if restart or not self.path.exists():
            self.write(new)
            return new
        state = self._kept()
        # A file may have grown since, so as much of it is looked at as there was.
        if state.hash != (hashed if state.known == known else beginning_of(self._about, state.known)[1]):
            raise Unreadable(f"{self._about} is another file than the one whose import was begun. Say --restart.")
        if state.options != self._options:
            changed = sorted(name for name in self._options if state.options.get(name) != self._options[name])
            raise Unreadable(
                f"The import was begun with another {', '.join(changed)}. Say the same, or --restart for all rows anew."
            )
        state.known, state.hash = known, hashed
        return state

    def _kept(self) -> State:
        try:
            kept = json.loads(self.path.read_text())
            if kept.pop("version") != VERSION:
                raise ValueError
            done, counts = Place(**kept.pop("done")), Counts(**kept.pop("counts"))
            return State(**kept, done=done, counts=counts)
        except (ValueError, KeyError, TypeError) as error:
            raise Unreadable(f"{self.path} does not say how far the import was. Say --restart.") from error

    def write(self, state: State) -> None:
        """Replaces what was there, in one step."""
        written = self.path.with_name(self.path.name + ".new")
        written.write_text(json.dumps({"version": VERSION, **asdict(state)}))
        os.replace(written, self.path)
