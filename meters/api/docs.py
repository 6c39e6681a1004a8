"""`/v1/docs`: the OpenAPI document as a page, by Swagger UI out of a package: no CDN, no inline script or style."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe


@require_safe
def docs(request: HttpRequest) -> HttpResponse:
    """The page needs no key; the calls that are tried on it do."""
    return render(request, "api_docs.html")
