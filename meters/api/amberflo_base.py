"""What all calls of Amberflo's clients have in common: how they are asked, answered and refused.

Their Python client takes any status but 200 for a fault, and reads JSON from every answer but that of an ingest. Keys,
scopes and rate limits are ours (docs/instrument.md says what corresponds to what).
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, TypeVar

import msgspec
from django.http import HttpResponse
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from meters.amberflo import EPOCH, LAST_MILLISECOND
from meters.api.auth import require_customer
from meters.api.bodies import read_body
from meters.api.events import AnyParser
from meters.api.problems import Problem, exception_handler
from meters.decoding import Rejection
from meters.models import Customer

T = TypeVar("T")
# Amounts and quantities are JSON numbers there; all digits of ours are in them.
_encoder = msgspec.json.Encoder(decimal_format="number")
# All their clients name the same one. Here it means nothing.
PRODUCT = "1"
CUSTOMER = "customerId"
TRUE, FALSE = ("true", "1"), ("false", "0")


class AsTheyAsk(BaseContentNegotiation):
    """Whatever the types in the headers are, it is JSON."""

    def select_parser(self, request: Request, parsers: Any) -> Any:
        return parsers[0]

    def select_renderer(self, request: Request, renderers: Any, format_suffix: str | None = None) -> Any:
        return renderers[0], renderers[0].media_type


class AmberfloView(APIView):
    """A view's `theirs` says what they call the fields that services refuse."""

    schema = None
    content_negotiation_class = AsTheyAsk
    parser_classes = [AnyParser]
    theirs: Mapping[str, str] = {}

    def get_exception_handler(self) -> Any:
        return refusal


def answer(data: Any) -> HttpResponse:
    return HttpResponse(_encoder.encode(data), content_type="application/json")


def refusal(error: Exception, context: dict[str, Any]) -> Response | None:
    """The problem document as they word errors: a `message` in which each fault names its field."""
    response = exception_handler(error, context)
    if response is None:
        return None
    problem, theirs = response.data, getattr(context["view"], "theirs", {})
    faults = [_fault(one, theirs) for one in problem.get("errors", ())]
    message = "; ".join(f"{name}: {detail}" if name else detail for name, detail in faults) or problem["detail"]
    response.data = {"message": message, "code": problem["code"]}
    response.content_type = "application/json"
    return response


def _fault(one: Mapping[str, str], theirs: Mapping[str, str]) -> tuple[str, str]:
    path = (one.get("pointer") or one.get("parameter") or "").strip("/")
    first, slash, rest = path.partition("/")
    return theirs.get(first, first) + slash + rest, one["detail"]


class NothingLikeIt(AmberfloView):
    """Whatever else there is at Amberflo."""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        call = f"{request.method} /{self.kwargs['rest']}"
        raise Problem(
            404, "not_found", f"Tollmeter stands in for some calls of Amberflo's API; {call} is none of them."
        )


def read(request: Request, kind: type[T]) -> T:
    """The body. Raises a Problem that names the member where it is not of this kind."""
    body = read_body(request)
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        fault = Rejection.of(str(error))
        raise Problem(400, "invalid", "The request is not valid.", [_named(fault.pointer, fault.detail)]) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Problem(400, "malformed_json", f"The body is not valid JSON: {error}.") from error
    except ArithmeticError as error:
        raise Problem(400, "invalid", "A number in the body is beyond all limits.") from error


def fault(name: str, detail: str, status: int = 400) -> Problem:
    """One fault of the input, at the member or parameter that they call so."""
    return Problem(status, "invalid", "The request is not valid.", [_named(f"/{name}", detail)])


def _named(pointer: str, detail: str) -> dict[str, str]:
    return {"pointer": pointer, "detail": detail}


def parameters(request: Request, names: Iterable[str]) -> dict[str, str]:
    """What stands in the address, by these names, whose letters their clients write large or small. Raises a Problem
    for anything else: it would change what is meant."""
    known = {name.lower(): name for name in names}
    found: dict[str, str] = {}
    for sent, texts in request.query_params.lists():
        name = known.get(sent.lower())
        if name is None:
            raise fault(sent, "There is no such parameter here.")
        if name in found or len(texts) > 1:
            raise fault(sent, "Give it once.")
        found[name] = texts[0]
    return found


def of_customer(request: Request, names: Iterable[str] = ()) -> dict[str, str]:
    """The parameters of a call about one customer, who is named and whom the key may see; and these others."""
    asked = parameters(request, (CUSTOMER, "productId", *names))
    check_product(asked.get("productId"))
    require_customer(request, needed(asked, CUSTOMER))
    return asked


def needed(asked: Mapping[str, str], name: str) -> str:
    if not asked.get(name):
        raise fault(name, "This is needed.")
    return asked[name]


def truth(asked: Mapping[str, str], name: str, default: bool) -> bool:
    """Python writes True, others true."""
    text = asked.get(name, str(default)).lower()
    if text in (*TRUE, *FALSE):
        return text in TRUE
    raise fault(name, "This is true or false.")


def whole(asked: Mapping[str, str], name: str) -> int:
    text = needed(asked, name)
    if not (text.isascii() and text.isdigit() and len(text) < 16):
        raise fault(name, "This is a whole number.")
    return int(text)


def check_product(product: str | int | None) -> None:
    if product is not None and str(product) != PRODUCT:
        raise fault("productId", f"There is one product here, {PRODUCT!r}.")


def customer_called(key: str) -> Customer:
    """Raises a Problem where there is none."""
    customer = Customer.objects.filter(key=key).first()
    if customer is None:
        raise fault(CUSTOMER, f"There is no customer {key!r}.")
    return customer


def of_seconds(seconds: int, name: str) -> datetime:
    return of_millis(seconds * 1000, name, "seconds")


def of_millis(millis: int, name: str, unit: str = "milliseconds") -> datetime:
    if not 0 < millis <= LAST_MILLISECOND:
        raise fault(name, f"This is a time in {unit} since 1970.")
    return EPOCH + timedelta(milliseconds=millis)


def seconds(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(seconds=1)


def millis(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(milliseconds=1)
