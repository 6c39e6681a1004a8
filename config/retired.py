"""Pages that are made of events which are in an archive by now say so."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from meters.retention import EventsRetired


class Retired:
    """Answers 410 where a page needs such events. The API says it in a problem document."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        if isinstance(error, EventsRetired):
            return render(request, "410.html", {"before": error.before}, status=410)
        return None
