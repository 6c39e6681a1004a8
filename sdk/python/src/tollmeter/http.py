"""Connections to a Tollmeter server, and the answers to reads."""

from __future__ import annotations

import os
from typing import Any

import httpx

from tollmeter.errors import Unreachable, problem_of
from tollmeter.version import __version__


class Server:
    """Where a server is, and the key that opens it."""

    def __init__(self, api_key: str | None, base_url: str | None, timeout: float) -> None:
        self.api_key = api_key or os.environ.get("TOLLMETER_API_KEY", "")
        self.base_url = base_url or os.environ.get("TOLLMETER_URL", "")
        self.timeout = timeout
        if not self.api_key:
            raise ValueError("Give an api_key, or set TOLLMETER_API_KEY.")
        if not all("!" <= character <= "~" for character in self.api_key):
            raise ValueError("The api_key has characters that no API key has, such as a line's end.")
        if not self.base_url.startswith(("http://", "https://")):
            raise ValueError("Give a base_url such as https://billing.example, or set TOLLMETER_URL.")

    def options(self) -> dict[str, Any]:
        """For httpx.Client and httpx.AsyncClient alike."""
        headers = {"X-API-KEY": self.api_key, "User-Agent": f"tollmeter-python/{__version__}"}
        return {"base_url": self.base_url, "headers": headers, "timeout": self.timeout}

    def connect(self) -> httpx.Client:
        return httpx.Client(**self.options())

    def connect_async(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(**self.options())


def answer_of(response: httpx.Response) -> dict[str, Any]:
    """The document of a success. Raises Problem for a refusal, and Unreachable for what no server of ours says."""
    if not response.is_success:
        raise problem_of(response)
    try:
        document = response.json()
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise Unreachable(f"{response.url} did not answer with JSON; is the address right?")
    return document
