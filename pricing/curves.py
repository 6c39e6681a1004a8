"""The price by quantity of a rate, exact: where it bends, where it jumps, and where more usage costs less. Pure.

Between two neighbouring bounds of its structure (included units, tiers, blocks) a rate is a straight line. So each span
between bounds is a line through two charges inside it, and the ends of the line are its limits there: whatever
the model, the figures are those of `charge`. The line's minimum and maximum then cut these lines exactly.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal, localcontext
from itertools import pairwise
from typing import Any

from pricing.money import format_amount, format_quantity
from pricing.rate_models import PRORATE
from pricing.rates import Rate, charge
from pricing.steps import EXACT, ZERO

# Of one curve. Steps that are finer than a picture shows are drawn as one line for several.
MOST_STEPS = 200
# Of so many tiers each is cut out, of more only some. A graduated charge goes through all tiers below, and never falls.
MOST_TIERS, MOST_GRADUATED_TIERS = 250, 60
# Of a curve of single events: each charge goes through all of them.
MOST_EVENTS = 200
# Prorated blocks are priced to 60 digits: what differs by less than this part of it is the same.
NOTHING = Decimal("1E-30")
# Where a price meets a limit is a quotient, kept to as many decimals as a quantity has.
QUOTIENT = Context(prec=100)
PLACES = Decimal("1E-15")
SHOWN_PLACES = Decimal("1E-6")


@dataclass(frozen=True, slots=True)
class Piece:
    """The price from above `start` to below `end`: a line between its limits at both ends, in the major unit."""

    start: Decimal
    end: Decimal
    at_start: Decimal
    at_end: Decimal

    def at(self, quantity: Decimal) -> Decimal:
        """What a quantity on the line costs; to 100 digits, which is more than a picture or a table shows."""
        part = QUOTIENT.divide(QUOTIENT.subtract(quantity, self.start), QUOTIENT.subtract(self.end, self.start))
        return QUOTIENT.fma(part, QUOTIENT.subtract(self.at_end, self.at_start), self.at_start)

    def reaches(self, amount: Decimal) -> Decimal:
        """The quantity at which the line is at `amount`, which lies between its two ends."""
        way = (amount - self.at_start) * (self.end - self.start)
        quantity = QUOTIENT.add(self.start, QUOTIENT.divide(way, self.at_end - self.at_start))
        return min(max(quantity.quantize(PLACES, context=QUOTIENT), self.start), self.end)


@dataclass(frozen=True, slots=True)
class Point:
    """Where the price bends or jumps: its limit from below, what the quantity itself costs, its limit from above."""

    quantity: Decimal
    below: Decimal
    amount: Decimal
    beyond: Decimal

    @property
    def jumps(self) -> bool:
        return not (_same(self.below, self.amount) and _same(self.amount, self.beyond))


@dataclass(frozen=True, slots=True)
class Cliff:
    """A fall of the price: `quantity` costs `before`, and just more than it only `after`.

    Quantities above `worse_from`, up to `quantity`, cost more than `after`. With `made_up_at` the price is back where
    it was before the fall; None: not within the curve.
    """

    quantity: Decimal
    before: Decimal
    after: Decimal
    worse_from: Decimal
    made_up_at: Decimal | None


@dataclass(frozen=True, slots=True)
class Curve:
    """The price of 0 to `up_to` units. Not `exact`: of too many fine steps only some are cut, with lines between."""

    up_to: Decimal
    pieces: tuple[Piece, ...]
    points: tuple[Point, ...]
    cliffs: tuple[Cliff, ...]
    exact: bool

    def at(self, quantity: Decimal) -> Point | None:
        """What a quantity of the curve costs, where it neither bends nor jumps too; None beyond its end."""
        for point in self.points:
            if point.quantity == quantity:
                return point
        for piece in self.pieces:
            if piece.start < quantity < piece.end:
                amount = piece.at(quantity)
                return Point(quantity, amount, amount, amount)
        return None


def price_curve(rate: Rate, up_to: Decimal, *, event_size: Decimal | None = None) -> Curve:
    """The curve from nothing to `up_to` units, which is above zero.

    For a rate that prices single events, `event_size` is the value of each (the last is what is left); such a curve
    goes up to the 200th event, with a line from event to event.
    """
    if event_size is not None:
        up_to = min(up_to, EXACT.multiply(event_size, Decimal(MOST_EVENTS)))
    with localcontext(EXACT):
        limitless = _Pricing(replace(rate, minimum=ZERO, maximum=None), event_size)
        spans = list(_spans(rate, up_to, event_size))
        lines = (_line(limitless, span) for span in spans)
        pieces = tuple(_joined(piece for line in lines for piece in _within_limits(line, rate)))
        points = tuple(_points(_Pricing(rate, event_size), pieces))
        return Curve(up_to, pieces, points, tuple(_cliffs(pieces, points)), all(span.is_line for span in spans))


def telling_span(rate: Rate) -> Decimal:
    """How far a curve goes that shows what there is to see: a quarter beyond the last tier, or else ten blocks, or as
    much again as is free."""
    *_, last = _stretches(rate)
    with localcontext(EXACT):
        if last.lower:
            return rate.included_units + last.lower * Decimal("1.25")
        blocks = last.block_size * 10 if last.block_size else ZERO
        return rate.included_units + (max(blocks, rate.included_units) or Decimal(1000))


def cliff_words(cliff: Cliff, *, unit: str, currency: str) -> str:
    """What a cliff means for who is near it: "Beyond 1,000 calls the price falls from $100.00 to $80.00. More than
    800 and up to 1,000 calls cost more than just over 1,000. It is back at $100.00 with 1,250 calls." """
    noun = unit.strip() or "units"
    quantity, before = _quantity(cliff.quantity), format_amount(cliff.before, currency)
    said = [f"Beyond {quantity} {noun} the price falls from {before} to {format_amount(cliff.after, currency)}."]
    worse = f"More than {_quantity(cliff.worse_from)} and up to {quantity} {noun}"
    if cliff.worse_from == cliff.quantity:
        worse = f"Exactly {quantity} {noun}"
    said.append(f"{worse} cost more than just over {quantity}.")
    if cliff.made_up_at is not None:
        said.append(f"It is back at {before} with {_quantity(cliff.made_up_at)} {noun}.")
    return " ".join(said)


def _quantity(quantity: Decimal) -> str:
    return format_quantity(quantity.quantize(SHOWN_PLACES, context=QUOTIENT))


# --- The structure of a rate ---


@dataclass(frozen=True, slots=True)
class _Stretch:
    """A part of a rate's model, counted after the included units: above `lower`, up to and with `upper`."""

    lower: Decimal
    upper: Decimal | None
    block_size: Decimal | None


@dataclass(frozen=True, slots=True)
class _Span:
    """Neighbouring bounds; between them the price is a line, or else steps that are too fine to be cut out."""

    start: Decimal
    end: Decimal
    is_line: bool


def _stretches(rate: Rate) -> Iterator[_Stretch]:
    """Read from the JSON form, which is the same for every model that has tiers or blocks."""
    parameters: dict[str, Any] = rate.model.parameters()
    lower = ZERO
    for part in parameters.get("tiers", [parameters | {"up_to": None}]):
        upper = None if part["up_to"] is None else Decimal(part["up_to"])
        in_steps = "block_size" in part and parameters.get("partial_block") != PRORATE
        yield _Stretch(lower, upper, Decimal(part["block_size"]) if in_steps else None)
        lower = lower if upper is None else upper


def _spans(rate: Rate, up_to: Decimal, event_size: Decimal | None) -> Iterator[_Span]:
    if event_size is not None:
        yield from (_Span(span.start, span.end, True) for span in _blocks(ZERO, up_to, event_size, ZERO, MOST_EVENTS))
        return
    free = min(rate.included_units, up_to)
    if free:
        yield _Span(ZERO, free, True)
    # Graduated tiers count their blocks from where they begin, all others from the first unit on.
    from_tier = rate.model.name.startswith("graduated")
    stretches = list(_stretches(rate))
    every = -(-len(stretches) // (MOST_GRADUATED_TIERS if from_tier else MOST_TIERS))
    for some in (stretches[first : first + every] for first in range(0, len(stretches), every)):
        size, upper = some[0].block_size, some[-1].upper
        start = rate.included_units + some[0].lower
        end = up_to if upper is None else min(up_to, rate.included_units + upper)
        if start >= end:
            return
        if size is None or every > 1:
            yield _Span(start, end, every == 1)
        else:
            origin = start if from_tier else rate.included_units
            yield from _blocks(start, end, size, origin, max(2, MOST_STEPS // len(stretches)))


def _blocks(start: Decimal, end: Decimal, size: Decimal, origin: Decimal, most: int) -> Iterator[_Span]:
    """From `start` to `end`, cut at the multiples of `size` from `origin` on, or at every n-th where they are more
    than `most`. The first and the last block are always cut out: a tier may begin or end with a jump."""
    first = int(QUOTIENT.divide(start - origin, size).to_integral_value(ROUND_FLOOR)) + 1
    last = int(QUOTIENT.divide(end - origin, size).to_integral_value(ROUND_CEILING)) - 1
    if last < first:
        yield _Span(start, end, True)
        return
    every = -(-(last - first + 1) // most)
    numbers = [*range(first, last, every), last]
    yield _Span(start, origin + size * first, True)
    for number, following in pairwise(numbers):
        yield _Span(origin + size * number, origin + size * following, following - number == 1)
    yield _Span(origin + size * last, end, True)


# --- Lines ---


@dataclass(frozen=True, slots=True)
class _Pricing:
    """What a quantity costs; for a rate that prices single events, in events of one size."""

    rate: Rate
    event_size: Decimal | None

    def __call__(self, quantity: Decimal) -> Decimal:
        return charge(self.rate, quantity, self._events(quantity)).amount

    def _events(self, quantity: Decimal) -> list[Decimal] | None:
        if self.event_size is None:
            return None
        whole, rest = divmod(quantity, self.event_size)
        return [self.event_size] * int(whole) + ([rest] if rest else [])


def _line(pricing: _Pricing, span: _Span) -> Piece:
    if not span.is_line or pricing.event_size is not None:
        return Piece(span.start, span.end, pricing(span.start), pricing(span.end))
    quarter = (span.end - span.start) * Decimal("0.25")
    low, high = pricing(span.start + quarter), pricing(span.end - quarter)
    # Half of the way between the two goes beyond each of them to the end of the line.
    half = (high - low) * Decimal("0.5")
    return Piece(span.start, span.end, low - half, high + half)


def _within_limits(piece: Piece, rate: Rate) -> Iterator[Piece]:
    """The line cut where it meets the minimum and the maximum, and held to them."""
    limits = [limit for limit in (rate.minimum, rate.maximum) if limit is not None]
    low, high = sorted((piece.at_start, piece.at_end))
    cuts = sorted((piece.reaches(limit), limit) for limit in limits if low < limit < high)
    ends = [(piece.start, piece.at_start), *cuts, (piece.end, piece.at_end)]
    for (start, at_start), (end, at_end) in pairwise(ends):
        if start < end:
            yield Piece(start, end, _held(at_start, rate), _held(at_end, rate))


def _held(amount: Decimal, rate: Rate) -> Decimal:
    amount = max(amount, rate.minimum)
    return amount if rate.maximum is None else min(amount, rate.maximum)


def _joined(pieces: Iterable[Piece]) -> Iterator[Piece]:
    """Neighbours that are one line made one."""
    before: Piece | None = None
    for piece in pieces:
        if before is None:
            before = piece
        elif _same(before.at_end, piece.at_start) and _same(
            (before.at_end - before.at_start) * (piece.end - piece.start),
            (piece.at_end - piece.at_start) * (before.end - before.start),
        ):
            before = Piece(before.start, piece.end, before.at_start, piece.at_end)
        else:
            yield before
            before = piece
    if before is not None:
        yield before


def _points(pricing: _Pricing, pieces: tuple[Piece, ...]) -> Iterator[Point]:
    nothing = pricing(ZERO)
    yield Point(ZERO, nothing, nothing, pieces[0].at_start)
    for before, after in pairwise(pieces):
        goes_on = _same(before.at_end, after.at_start)
        amount = before.at_end if goes_on else pricing(before.end)
        yield Point(before.end, before.at_end, amount, after.at_start)
    last = pieces[-1]
    amount = pricing(last.end)
    yield Point(last.end, last.at_end, amount, amount)


def _cliffs(pieces: tuple[Piece, ...], points: tuple[Point, ...]) -> Iterator[Cliff]:
    for index, point in enumerate(points[1:-1], start=1):
        before = max(point.below, point.amount)
        if point.beyond < before and not _same(point.beyond, before):
            yield Cliff(
                quantity=point.quantity,
                before=before,
                after=point.beyond,
                worse_from=_worse_from(pieces[:index], point.beyond),
                made_up_at=_made_up_at(pieces[index:], before),
            )


def _worse_from(pieces: tuple[Piece, ...], amount: Decimal) -> Decimal:
    for piece in reversed(pieces):
        if piece.at_end <= amount:
            return piece.end
        if piece.at_start < amount:
            return piece.reaches(amount)
    return ZERO


def _made_up_at(pieces: tuple[Piece, ...], amount: Decimal) -> Decimal | None:
    for piece in pieces:
        if piece.at_start >= amount:
            return piece.start
        if piece.at_end >= amount:
            return piece.reaches(amount)
    return None


def _same(one: Decimal, other: Decimal) -> bool:
    return abs(one - other) <= NOTHING * max(abs(one), Decimal(1))
