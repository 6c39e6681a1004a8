"""A customer's own API keys: they read its usage and bills, and are made, replaced and revoked by its owners."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet

from meters.keys import create_api_key, revoke, rotate, state
from meters.models import ApiKey, Customer
from portal.models import ReadKeyEvent

SCOPES = [ApiKey.Scope.READ.value]
MOST_KEYS = 10
# Beside them, those that another one takes the place of and that work a while longer.
MOST_REPLACED = 10
# Keys that open nothing any more are shown for so long.
SHOWN_AFTER_END = timedelta(days=90)
LONGEST_NAME = 100


@dataclass(frozen=True, slots=True)
class ReadKey:
    """A key with who made it and what it is good for: `in_use`, `expires`, `replaced` (by another one, and works until
    it expires), `expired` or `revoked`."""

    key: ApiKey
    made_by: str
    state: str

    @property
    def opens(self) -> bool:
        return self.state in ("in_use", "expires", "replaced")

    @property
    def can_rotate(self) -> bool:
        return self.state in ("in_use", "expires")


def read_keys(customer: Customer, *, now: datetime) -> list[ReadKey]:
    """The customer's keys: first those that open something, newest first; then those that did until lately."""
    created = ReadKeyEvent.objects.filter(key__in=own_keys(customer)).exclude(what=ReadKeyEvent.What.REVOKED)
    makers = dict(created.values_list("key_id", "actor"))
    found = [_row(key, makers.get(key.pk, ""), now) for key in _with_replaced(own_keys(customer)).order_by("-id")]
    ended = [one for one in found if not one.opens and now - _end(one.key) < SHOWN_AFTER_END]
    return [*(one for one in found if one.opens), *ended]


def own_keys(customer: Customer) -> QuerySet[ApiKey]:
    """The keys that people of the customer have made; those that the vendor made for it are the vendor's."""
    return ApiKey.objects.filter(customer=customer, customer_events__customer=customer).distinct()


def find_own_key(customer: Customer, pk: int, *, now: datetime) -> ReadKey | None:
    key = _with_replaced(own_keys(customer)).filter(pk=pk).first()
    return None if key is None else _row(key, "", now)


@transaction.atomic
def create_read_key(
    customer: Customer, *, name: str, expires_at: datetime | None, actor: str, now: datetime
) -> tuple[ApiKey, str]:
    """A new key and its text, which is shown now and never again. Raises ValidationError by field."""
    _hold(customer)
    name = name.strip()
    open_keys = [one for one in read_keys(customer, now=now) if one.can_rotate]
    if len(open_keys) >= MOST_KEYS:
        raise ValidationError(f"There are {MOST_KEYS} keys, which is as many as there can be: revoke one first.")
    if len(name) > LONGEST_NAME:
        raise ValidationError({"name": f"At most {LONGEST_NAME} characters."})
    # So that a page that is loaded again makes no second key that nobody knows of.
    if any(one.key.name == name for one in open_keys):
        raise ValidationError(
            {"name": "There is a key with this name already: give it another one, or rotate that one."}
        )
    key, text = create_api_key(name=name, scopes=SCOPES, customer=customer, expires_at=expires_at)
    _note(customer, key, ReadKeyEvent.What.CREATED, actor, now)
    return key, text


@transaction.atomic
def rotate_read_key(
    customer: Customer, key: ApiKey, *, overlap: timedelta, actor: str, now: datetime
) -> tuple[ApiKey, str]:
    """A key in place of this one, and its text; the old one works for `overlap` longer. Raises ValidationError."""
    _hold(customer)
    replaced = [one for one in read_keys(customer, now=now) if one.state == "replaced"]
    if overlap and len(replaced) >= MOST_REPLACED:
        raise ValidationError(
            {
                "overlap": f"{MOST_REPLACED} keys work on beside those that take their place. Revoke one of them, or "
                "end this one at once."
            }
        )
    new, text = rotate(key, overlap=overlap)
    _note(customer, new, ReadKeyEvent.What.ROTATED, actor, now)
    return new, text


@transaction.atomic
def revoke_read_key(customer: Customer, key: ApiKey, *, actor: str, now: datetime) -> None:
    """From the next request on it opens nothing. One that is revoked stays as it is."""
    _hold(customer)
    if not ApiKey.objects.filter(pk=key.pk, revoked_at=None).exists():
        return
    revoke(key)
    _note(customer, key, ReadKeyEvent.What.REVOKED, actor, now)


def read_key_log(customer: Customer, *, most: int) -> list[ReadKeyEvent]:
    """What was done with the customer's keys, newest first."""
    return list(ReadKeyEvent.objects.filter(customer=customer).select_related("key").order_by("-id")[:most])


def _with_replaced(keys: QuerySet[ApiKey]) -> QuerySet[ApiKey]:
    successors = ApiKey.objects.filter(rotated_from_id=OuterRef("pk"))
    return keys.annotate(is_replaced=Exists(successors))


def _row(key: ApiKey, made_by: str, now: datetime) -> ReadKey:
    found = state(key, now=now)
    if found in ("in_use", "expires") and getattr(key, "is_replaced", False):
        found = "replaced"
    return ReadKey(key, made_by, found)


def _end(key: ApiKey) -> datetime:
    ends = [end for end in (key.revoked_at, key.expires_at) if end is not None]
    return min(ends)


def _hold(customer: Customer) -> None:
    """So that of two who make the last key at once one is told."""
    Customer.objects.select_for_update(no_key=True).get(pk=customer.pk)


def _note(customer: Customer, key: ApiKey, what: ReadKeyEvent.What, actor: str, now: datetime) -> None:
    ReadKeyEvent.objects.create(customer=customer, key=key, what=what, actor=actor[:200], at=now)
