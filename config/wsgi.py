"""The WSGI application that the web server serves."""

import gc
import os
from collections.abc import Callable, Iterable
from typing import Any

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.utils.http import parse_header_parameters

from config.database import limit
from config.environment import refuse_without_servers

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
refuse_without_servers(settings.SERVER_FAULTS)
limit(settings.DATABASES["default"], settings.WEB_STATEMENT_SECONDS)
_django = get_wsgi_application()
# What is loaded by now stays: the collector need not look through it at every batch of events.
gc.collect()
gc.freeze()
gc.set_threshold(100_000, 20, 50)


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Django, with the parameters of a content type taken away: text is UTF-8 here whatever they say, and Django
    fails, before anything can answer, on those that it cannot read."""
    kind, _, parameters = environ.get("CONTENT_TYPE", "").partition(";")
    if parameters and not _is_form_of_parts(environ["CONTENT_TYPE"]):
        environ["CONTENT_TYPE"] = kind.strip()
    return _django(environ, start_response)


def _is_form_of_parts(content_type: str) -> bool:
    """Whether the parameters are needed and can be read: the boundary between the parts."""
    try:
        kind, parameters = parse_header_parameters(content_type)
    except (LookupError, ValueError):
        return False
    return kind == "multipart/form-data" and "charset" not in parameters
