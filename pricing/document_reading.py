"""What a plan's document says, with every fault named by its path."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from django.core.exceptions import ValidationError

from pricing.drafts import MOST_TEXTS
from pricing.models import Fee, Plan, PlanVersion, ProductItem
from pricing.rate_fields import RateError

NAMES = ("key", "name", "description", "offer", "base", "customer", "follows_base")
TERMS = ("currency", *PlanVersion.TERMS)
RATE_KEYS = ("product_item", "where", "prorated", "parameters")
FEE_KEYS = ("key", "name", "kind", "amount", "percent", "quantity", "unit", "prorated")
MOST_ROWS = 1000


@dataclass(frozen=True, slots=True)
class RateDocument:
    item: ProductItem
    where: Mapping[str, list[str]]
    parameters: Mapping[str, Any]
    prorated: bool


@dataclass(frozen=True, slots=True)
class PlanDocument:
    """A document whose parts are of the right kind; what the services say of them is still to be heard."""

    key: str
    name: str
    description: str
    offer: str
    base: str
    customer: str
    follows_base: bool
    terms: Mapping[str, Any]
    rates: Sequence[RateDocument]
    fees: Sequence[Mapping[str, Any]] = field(default_factory=list)

    @property
    def default_terms(self) -> dict[str, Any]:
        """Terms that the document leaves out are those of a new plan."""
        new = PlanVersion()
        defaults = {name: getattr(new, name) for name in TERMS}
        return {name: value for name, value in defaults.items() if name not in self.terms}


class Faults:
    """What is wrong with a document, collected by path."""

    def __init__(self) -> None:
        self.found: dict[str, list[str]] = {}

    def add(self, path: str, message: str) -> None:
        self.found.setdefault(path, []).append(message)

    @contextmanager
    def collected(self) -> Iterator[None]:
        """Keeps what a service refuses, and goes on with what is left."""
        try:
            yield
        except ValidationError as error:
            for path, messages in error.message_dict.items():
                self.found.setdefault(path, []).extend(messages)

    def raise_if_any(self) -> None:
        if self.found:
            raise ValidationError(self.found)


@contextmanager
def at(path: str, places: Mapping[str, str] | None = None) -> Iterator[None]:
    """Names what a service refuses by its path in the document."""
    try:
        yield
    except RateError as error:
        whole = f"{path}.parameters.{error.path}" if error.path else f"{path}.parameters"
        raise ValidationError({whole: f"This {error.message}."}) from None
    except ValidationError as error:
        moved = {f"{path}.{(places or {}).get(name, name)}": texts for name, texts in error.message_dict.items()}
        raise ValidationError(moved) from None


def read_document(document: object) -> PlanDocument:
    """Raises ValidationError by path for whatever is no document, or of the wrong kind, missing, twice or unknown."""
    faults = Faults()
    if not isinstance(document, Mapping):
        raise ValidationError({"document": "This must be an object."})
    _unknown(document, (*NAMES, *TERMS, "rates", "fees"), "", faults)
    texts = {name: _text(document, name, faults) for name in ("key", "name", "description", "base", "customer")}
    if not texts["key"]:
        faults.add("key", "This is missing.")
    if bool(texts["base"]) != bool(texts["customer"]):
        faults.add("customer" if texts["base"] else "base", "A private plan has a base plan and a customer.")
    follows_base = _flag(document, "follows_base", "", faults, default=True)
    texts["offer"] = _text(document, "offer", faults) or Plan.Offer.NONE.value
    if texts["offer"] not in Plan.Offer.values:
        faults.add("offer", f"This is one of {', '.join(Plan.Offer.values)}.")
    terms = {name: document[name] for name in TERMS if name in document}
    for name in ("trial_days", "interval_count"):
        if name in terms and not _is_whole(terms[name]):
            faults.add(name, "This must be a whole number.")
    rates = [
        rate for index, entry in enumerate(_rows(document, "rates", faults)) if (rate := _rate(entry, index, faults))
    ]
    fees = [fee for index, entry in enumerate(_rows(document, "fees", faults)) if (fee := _fee(entry, index, faults))]
    faults.raise_if_any()
    return PlanDocument(**texts, follows_base=follows_base, terms=terms, rates=_once(rates), fees=_each_once(fees))


def _is_whole(value: object) -> bool:
    """Of digits only: `1_0` and what other scripts count with would be read as a number as well."""
    text = str(value) if isinstance(value, int | str) and not isinstance(value, bool) else ""
    return text.isascii() and text.isdigit()


def _rate(entry: Mapping[str, Any], index: int, faults: Faults) -> RateDocument | None:
    path = f"rates[{index}]"
    _unknown(entry, RATE_KEYS, path, faults)
    key = _text(entry, "product_item", faults, path)
    item = ProductItem.objects.select_related("meter").filter(meter__key=key).first()
    if item is None:
        faults.add(f"{path}.product_item", "There is no product item of a meter with this key.")
    parameters, where = entry.get("parameters"), entry.get("where", {})
    if not isinstance(parameters, Mapping):
        faults.add(f"{path}.parameters", "This must be an object.")
        parameters = {}
    if not isinstance(where, Mapping) or not all(
        isinstance(texts, list) and len(texts) <= MOST_TEXTS and all(isinstance(text, str) for text in texts)
        for texts in where.values()
    ):
        faults.add(f"{path}.where", f"This names dimensions, each with a list of at most {MOST_TEXTS:,} texts.")
        where = {}
    prorated = _flag(entry, "prorated", path, faults, default=False)
    if item is None:
        return None
    return RateDocument(item, {name: sorted(set(texts)) for name, texts in where.items()}, parameters, prorated)


def _fee(entry: Mapping[str, Any], index: int, faults: Faults) -> dict[str, Any]:
    path = f"fees[{index}]"
    _unknown(entry, FEE_KEYS, path, faults)
    fee: dict[str, Any] = {name: entry[name] for name in ("amount", "percent", "quantity") if name in entry}
    for name in ("key", "name", "kind", "unit"):
        if name in entry:
            fee[name] = _text(entry, name, faults, path)
    for name in ("key", "name"):
        if not fee.setdefault(name, ""):
            faults.add(f"{path}.{name}", "This is missing.")
    fee.setdefault("kind", Fee.Kind.RECURRING)
    fee["prorated"] = _flag(entry, "prorated", path, faults, default=True)
    return fee


def _rows(document: Mapping[str, Any], name: str, faults: Faults) -> list[Mapping[str, Any]]:
    rows = document.get(name, [])
    if not isinstance(rows, list) or len(rows) > MOST_ROWS:
        faults.add(name, f"This must be a list of at most {MOST_ROWS:,}.")
        return []
    for index, row in enumerate(rows):
        if not isinstance(row, Mapping):
            faults.add(f"{name}[{index}]", "This must be an object.")
    return [row if isinstance(row, Mapping) else {} for row in rows]


def _once(rates: list[RateDocument]) -> list[RateDocument]:
    seen: list[tuple[int, Mapping[str, list[str]]]] = []
    for index, rate in enumerate(rates):
        if (rate.item.pk, rate.where) in seen:
            raise ValidationError({f"rates[{index}]": f"{rate.item} has a rate for this filter already."})
        seen.append((rate.item.pk, rate.where))
    return rates


def _each_once(fees: list[dict[str, Any]]) -> list[dict[str, Any]]:
    seen: set[str] = set()
    for index, fee in enumerate(fees):
        if fee["key"] in seen:
            raise ValidationError({f"fees[{index}].key": "Another fee has this key."})
        seen.add(fee["key"])
    return fees


def _unknown(entry: Mapping[str, Any], names: Sequence[str], path: str, faults: Faults) -> None:
    if any(name not in names for name in entry):
        # A hostile key belongs neither in a path nor in a message.
        shown = [str(name) for name in entry if name not in names and str(name).isidentifier() and len(str(name)) < 40]
        for name in shown or [""]:
            faults.add(_join(path, name), "This is not known here.")


def _text(entry: Mapping[str, Any], name: str, faults: Faults, path: str = "") -> str:
    value = entry.get(name, "")
    if isinstance(value, str) and "\0" not in value:
        return value
    faults.add(_join(path, name), "This must be text.")
    return ""


def _flag(entry: Mapping[str, Any], name: str, path: str, faults: Faults, *, default: bool) -> bool:
    value = entry.get(name, default)
    if not isinstance(value, bool):
        faults.add(_join(path, name), "This must be true or false.")
        return default
    return value


def _join(path: str, name: str) -> str:
    return ".".join(part for part in (path, name) if part) or "document"
