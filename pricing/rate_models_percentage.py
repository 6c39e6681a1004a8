"""The rate model that takes a share of a metered amount, as a whole or event by event."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from decimal import ROUND_HALF_UP, Decimal
from typing import ClassVar, Self

from meters.aggregation import plain
from pricing.rate_fields import Fields, RateError
from pricing.rate_model import RateModel
from pricing.steps import EXACT, PER_CENT, ZERO, Step, StepKind

NOT_TOLD = "this rate prices single events and was not told them"


@dataclass(frozen=True, slots=True)
class Percentage(RateModel):
    """rate_percent of the metered amount; with per-event parameters, event by event in order.

    An event is free while `free_events` and `free_amount` both last; one that is not set never runs out. The event
    that crosses `free_amount` pays the rate on the excess and the whole fixed fee. An event that is not wholly free
    pays rate and fixed fee together, at least `per_event_min` and at most `per_event_max`.
    """

    name: ClassVar[str] = "percentage"
    rate_percent: Decimal
    fixed_fee_per_event: Decimal = ZERO
    free_events: int | None = None
    free_amount: Decimal | None = None
    per_event_min: Decimal = ZERO
    per_event_max: Decimal | None = None

    @classmethod
    def read(cls, fields: Fields) -> Self:
        model = cls(
            rate_percent=fields.number("rate_percent"),
            fixed_fee_per_event=fields.number_or_zero("fixed_fee_per_event"),
            free_events=fields.optional_whole("free_events"),
            free_amount=fields.optional_number("free_amount"),
            per_event_min=fields.number_or_zero("per_event_min"),
            per_event_max=fields.optional_number("per_event_max"),
        )
        if model.per_event_max is not None and model.per_event_max < model.per_event_min:
            raise RateError(fields.at("per_event_max"), "must not be below the per_event_min")
        return model

    def parameters(self) -> dict[str, object]:
        result: dict[str, object] = {"rate_percent": plain(self.rate_percent)}
        if self.fixed_fee_per_event:
            result["fixed_fee_per_event"] = plain(self.fixed_fee_per_event)
        if self.free_events is not None:
            result["free_events"] = str(self.free_events)
        if self.free_amount is not None:
            result["free_amount"] = plain(self.free_amount)
        if self.per_event_min:
            result["per_event_min"] = plain(self.per_event_min)
        if self.per_event_max is not None:
            result["per_event_max"] = plain(self.per_event_max)
        return result

    @property
    def needs_events(self) -> bool:
        return bool(self.fixed_fee_per_event or self.per_event_min) or any(
            limit is not None for limit in (self.free_events, self.free_amount, self.per_event_max)
        )

    def price(self, quantity: Decimal) -> Iterator[Step]:
        if replace(self, free_amount=None).needs_events:
            raise ValueError(NOT_TOLD)
        # A free amount alone comes off the sum as it comes off the events.
        base = max(quantity - self.free_amount, ZERO) if self.free_amount is not None else quantity
        yield Step(
            kind=StepKind.PERCENTAGE,
            quantity=quantity,
            percent=self.rate_percent,
            base=base,
            amount=base * self.rate_percent * PER_CENT,
        )

    def price_events(self, quantity: Decimal, events: Iterable[Decimal]) -> Iterator[Step]:
        told = _Told()
        share = self.rate_percent * PER_CENT
        for base in self._paying(events, told):
            told.paying += 1
            told.base += base
            amount = base * share + self.fixed_fee_per_event
            if amount < self.per_event_min:
                told.lifted += 1
                told.added += self.per_event_min - amount
            elif self.per_event_max is not None and amount > self.per_event_max:
                told.cut += 1
                told.taken_off += self.per_event_max - amount
        if told.events:
            yield from self._steps(quantity, told)
        elif quantity:
            # Say, an iterator that has been gone through before: it must not make the usage free.
            raise ValueError(NOT_TOLD)

    def _paying(self, events: Iterable[Decimal], told: "_Told") -> Iterator[Decimal]:
        """What each event that is not wholly free pays the rate on; counts the events and those that are free."""
        limited = self.free_events is not None or self.free_amount is not None
        free_left, amount_left = self.free_events, self.free_amount
        for value in events:
            told.events += 1
            if not limited or free_left == 0 or (amount_left is not None and not amount_left):
                yield value
                continue
            if amount_left is not None and value > amount_left:
                yield value - amount_left
                amount_left = ZERO
                continue
            told.free += 1
            if free_left is not None:
                free_left -= 1
            if amount_left is not None:
                amount_left -= value

    def _steps(self, quantity: Decimal, told: "_Told") -> Iterator[Step]:
        yield Step(
            kind=StepKind.PERCENTAGE,
            quantity=quantity,
            percent=self.rate_percent,
            base=told.base,
            events=told.events,
            free_events=told.free,
            amount=told.base * self.rate_percent * PER_CENT,
        )
        if self.fixed_fee_per_event and told.paying:
            yield Step(
                kind=StepKind.EVENT_FEES,
                events=told.paying,
                unit_price=self.fixed_fee_per_event,
                amount=told.paying * self.fixed_fee_per_event,
            )
        if told.lifted:
            yield Step(kind=StepKind.EVENT_LIMITS, events=told.lifted, of=self.per_event_min, amount=told.added)
        if told.cut:
            yield Step(kind=StepKind.EVENT_LIMITS, events=told.cut, of=self.per_event_max, amount=told.taken_off)

    def scaled(self, share: Callable[[Decimal], Decimal]) -> Self:
        free_events = self.free_events
        if free_events is not None:
            free_events = int(share(Decimal(free_events)).to_integral_value(ROUND_HALF_UP, context=EXACT))
        free_amount = None if self.free_amount is None else share(self.free_amount)
        return replace(self, free_events=free_events, free_amount=free_amount)


class _Told:
    """What is counted of single events on the way."""

    __slots__ = ("added", "base", "cut", "events", "free", "lifted", "paying", "taken_off")

    def __init__(self) -> None:
        self.events = self.free = self.paying = self.lifted = self.cut = 0
        self.base = self.added = self.taken_off = ZERO
