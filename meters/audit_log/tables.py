"""Which tables are watched, as each app says of its own (`audited.py`), and why the others are not."""

from dataclasses import dataclass

HIDDEN = "(hidden)"


@dataclass(frozen=True, slots=True)
class Owner:
    """The object at which a change is shown, too: `column` of the row is its id in `table`. With `through`, it is the
    id of a row of that table, whose column `id_there` is the owner's id."""

    column: str
    table: str
    through: str = ""
    id_there: str = ""


@dataclass(frozen=True, slots=True)
class Watched:
    """A table whose changes are written down.

    `label`: the columns that people know a row by. `hidden`: of these it is said that they changed, and never the
    value. `left_out`: these are no change at all. `quiet`: a change of these alone is not written down. `said`: these
    stand beside every change, changed or not. `inserted`: a condition in SQL on NEW, without which a new row is not
    written down. `updated`: one on NEW and OLD, with which a change is, also of what is quiet. `added`: whether new
    rows are written down at all.
    """

    table: str
    pk: str = "id"
    label: tuple[str, ...] = ()
    owner: Owner | None = None
    hidden: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    quiet: tuple[str, ...] = ()
    said: tuple[str, ...] = ()
    inserted: str = ""
    updated: str = ""
    added: bool = True


_watched: dict[str, Watched] = {}
_not_watched: dict[str, str] = {}


def watch(tables: tuple[Watched, ...], not_watched: dict[str, str]) -> None:
    """Called by each app as it gets ready."""
    _watched.update({one.table: one for one in tables})
    _not_watched.update(not_watched)


def watched() -> dict[str, Watched]:
    return dict(_watched)


def not_watched() -> dict[str, str]:
    """The other tables, each with the reason."""
    return dict(_not_watched)
