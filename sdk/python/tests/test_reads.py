"""What is asked, and what is made of the answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

import pytest
from conftest import FakeServer, refuse

from tollmeter import AsyncTollmeter, PortalSession, Problem, Tollmeter, Unreachable

Make = Callable[..., Tollmeter]

SESSION = {
    "id": 12,
    "url": "https://billing.example/enter/abc/",
    "link_expires_at": "2026-11-22T12:05:00Z",
    "expires_at": "2026-11-22T13:00:00Z",
    "role": "read_only",
}


def tells(asked: list[Any]) -> Any:
    """Answers with the session, and notes what was asked for."""

    def answer(handler: Any) -> bool:
        asked.append((handler.path, handler.facts))
        handler.answer(201, SESSION)
        return True

    return answer


def check(session: PortalSession) -> None:
    assert (session.id, session.url, session.document) == (12, SESSION["url"], SESSION)
    assert session.link_expires_at == datetime(2026, 11, 22, 12, 5, tzinfo=timezone.utc)
    assert session.expires_at == datetime(2026, 11, 22, 13, tzinfo=timezone.utc)


class TestPortalSession:
    def test_a_link_is_asked_for_and_told(self, server: FakeServer, client: Make) -> None:
        asked: list[Any] = []
        server.always = tells(asked)
        said = {
            "return_url": "https://app.example/account",
            "page": "invoices",
            "invoice": "2026-0042",
            "expires_in": 600,
            "role": "billing",
            "member": "jane",
        }
        check(client().portal_session("eu/acme 1", **said))
        check(client().portal_session("acme"))
        assert asked == [
            ("/v1/customers/eu%2Facme%201/portal-sessions", said),
            ("/v1/customers/acme/portal-sessions", {}),
        ]

    def test_with_asyncio(self, server: FakeServer) -> None:
        asked: list[Any] = []
        server.always = tells(asked)

        async def main() -> PortalSession:
            async with AsyncTollmeter("key", server.url) as tollmeter:
                return await tollmeter.portal_session("acme", page="usage", member="jane")

        check(asyncio.run(main()))
        assert asked == [("/v1/customers/acme/portal-sessions", {"page": "usage", "member": "jane"})]

    def test_a_refusal(self, server: FakeServer, client: Make) -> None:
        server.always = refuse(403)
        with pytest.raises(Problem) as refused:
            client().portal_session("acme")
        assert (refused.value.status, refused.value.code, len(server.batches)) == (403, "code_403", 1)

    def test_no_answer_of_ours(self, server: FakeServer, client: Make) -> None:
        def page(handler: Any) -> bool:
            handler.answer(200, b"<html>")
            return True

        server.always = page
        with pytest.raises(Unreachable):
            client().portal_session("acme")
