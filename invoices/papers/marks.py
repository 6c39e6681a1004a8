"""What stands where on the pages of a PDF file, and how it is written (reportlab). Pure: the same marks give the same
bytes, by the same version of Tollmeter. Points, from the top left.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from io import BytesIO
from typing import Any

from reportlab import rl_config
from reportlab.lib.colors import HexColor
from reportlab.lib.pagesizes import A4
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas

from invoices.papers.fonts import REGULAR, Chain, face_of, runs_of, width_of
from invoices.papers.paper import Paper

WIDTH, HEIGHT = (int(side) for side in A4)
BODY = 9
INK, SOFT, FAINT, ALARM = "#1b1f24", "#59626d", "#d5d9de", "#a4261d"

# Streams as they are, not as text of a fourth more.
rl_config.useA85 = 0


@dataclass(frozen=True, slots=True)
class Text:
    x: Any
    y: Any
    text: str
    chain: Chain
    size: int
    colour: str


@dataclass(frozen=True, slots=True)
class Rule:
    x: Any
    y: Any
    end: Any
    colour: str


@dataclass(frozen=True, slots=True)
class Picture:
    """A PNG or JPEG file, drawn from its upper left corner."""

    x: Any
    y: Any
    width: Any
    height: Any
    content: bytes


Mark = Text | Rule | Picture


@dataclass(slots=True)
class Row:
    """Marks that stay together, with `y` from the top of the row, and how high it is."""

    height: Any = 0
    marks: list[Mark] = field(default_factory=list)


def height_of(rows: Sequence[Row]) -> Any:
    return sum(row.height for row in rows)


def moved(mark: Mark, down: Any) -> Mark:
    return replace(mark, y=mark.y + down)


def below(upper: Row, lower: Row) -> Row:
    marks = [*upper.marks, *(moved(mark, upper.height) for mark in lower.marks)]
    return Row(upper.height + lower.height, marks)


def beside(one: Row, other: Row) -> Row:
    return Row(max(one.height, other.height), [*one.marks, *other.marks])


# --- The file ---


class _Moment:
    """When the file says that it was made, as reportlab asks for it."""

    def __init__(self, moment: datetime) -> None:
        utc = moment.astimezone(UTC)
        self.YMDhms = (utc.year, utc.month, utc.day, utc.hour, utc.minute, utc.second)
        self.dhh = self.dmm = 0


def written(paper: Paper, pages: Sequence[Sequence[Mark]]) -> bytes:
    first = REGULAR.files[0]
    face_of(first)
    file = BytesIO()
    canvas = Canvas(
        file,
        pagesize=(WIDTH, HEIGHT),
        pageCompression=1,
        invariant=1,
        initialFontName=first,
        initialFontSize=BODY,
        lang=paper.language,
    )
    canvas._doc._timeStamp = _Moment(paper.made_at)
    canvas.setTitle(f"{paper.title} · {paper.seller.name}")
    canvas.setAuthor(paper.seller.name)
    canvas.setSubject(paper.headline or paper.title)
    canvas.setCreator("Tollmeter")
    canvas.setViewerPreference("DisplayDocTitle", "true")
    for page in pages:
        for mark in page:
            _draw(canvas, mark)
        canvas.showPage()
    canvas.save()
    return file.getvalue()


def _draw(canvas: Any, mark: Mark) -> None:
    y = HEIGHT - mark.y
    if isinstance(mark, Rule):
        canvas.setStrokeColor(HexColor(mark.colour))
        canvas.setLineWidth(1 if mark.colour == INK else 1 / 2)
        canvas.line(mark.x, y, mark.end, y)
        return
    if isinstance(mark, Picture):
        picture = ImageReader(BytesIO(mark.content))
        canvas.drawImage(picture, mark.x, y - mark.height, mark.width, mark.height, mask="auto")
        return
    canvas.setFillColor(HexColor(mark.colour))
    x = mark.x
    for name, piece in runs_of(mark.text, mark.chain):
        canvas.setFont(name, mark.size)
        canvas.drawString(x, y, piece)
        x += width_of(piece, mark.chain, mark.size)
