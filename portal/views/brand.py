"""What the brand's pages load: its logo and its colours. For everybody, as the sign-in page has them, too."""

from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from invoices.branding import accents_of_version, brand, css_of, image_of

# A version never changes.
FOR_EVER = "public, max-age=31536000, immutable"
NOT_LONG = "public, max-age=60"
LARGEST_ID = 2**63 - 1


@require_safe
def logo(request: HttpRequest) -> HttpResponse:
    """The picture of a version; without one, the logo of now."""
    asked = _version(request)
    image = image_of(asked or brand().logo_version)
    if image is None:
        raise Http404
    return _answer(bytes(image.content), image.media_type, for_ever=bool(asked))


@require_safe
def style(request: HttpRequest) -> HttpResponse:
    """The tokens of a version's accent; those of now where there is no such version."""
    is_there, accents = accents_of_version(_version(request))
    return _answer(css_of(accents if is_there else brand().accents), "text/css; charset=utf-8", for_ever=is_there)


def _answer(content: bytes | str, media_type: str, *, for_ever: bool) -> HttpResponse:
    headers = {
        "Cache-Control": FOR_EVER if for_ever else NOT_LONG,
        "X-Content-Type-Options": "nosniff",
        "Cross-Origin-Resource-Policy": "cross-origin",
    }
    return HttpResponse(content, content_type=media_type, headers=headers)


def _version(request: HttpRequest) -> int:
    """0 for none, or for what is none."""
    text = request.GET.get("v", "")
    number = int(text) if text.isascii() and text.isdecimal() and len(text) < 20 else 0
    return number if number <= LARGEST_ID else 0
