"""`manage.py demo`: makes the tables, fills the demo once, and prints how to sign in to it."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from meters import keys
from portal import demo

KEY_FILE = "demo-api-key"


class Command(BaseCommand):
    help = "Prepares an installation for the demo, and prints its sign-ins. Refuses outside a demo."
    requires_system_checks = []

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.DEMO:
            raise CommandError("This is not a demo installation (DEMO is not set), so it stays as it is.")
        if demo.is_of_another():
            raise CommandError(
                "DATABASE_URL names a database with customers that are not the demo's: it stays as it is."
            )
        with self._step("Database tables"):
            call_command("migrate", verbosity=0)
        with self._step("Static files"):
            call_command("collectstatic", interactive=False, verbosity=0)
        if not demo.is_filled():
            self.stderr.write(f"  Demo data: {demo.MONTHS} months of usage and invoices ...")
            with self._step("Demo data"):
                demo.fill(timezone.now())
        address = f"http://localhost:{os.environ.get('PORT', '8000')}"
        self.stdout.write(self._sign_ins(address, self._key()))

    @contextmanager
    def _step(self, name: str) -> Iterator[None]:
        began = time.monotonic()
        yield
        self.stderr.write(f"  {name}  ({time.monotonic() - began:.1f} s)")

    def _key(self) -> str:
        """The demo's own API key, kept in the data folder for AwesomeIntegrationApi and the curl line."""
        path = Path(os.environ["TOLLMETER_DATA"]) / KEY_FILE
        if not path.exists() or keys.find(path.read_text().strip()) is None:
            _, text = keys.create_api_key(name="Demo", scopes=["ingest", "read", "write"])
            path.touch(mode=0o600)
            path.write_text(text)
        return path.read_text().strip()

    def _vendor_app(self) -> str:
        """`make run` starts it; without it there is none. By a number, so that no cookie of the portal reaches it."""
        if not (port := os.environ.get("VENDOR_PORT")):
            return ""
        return f"  A pretend app of a vendor, with pieces of the portal in it  http://127.0.0.1:{port}/\n\n"

    def _example_api(self) -> str:
        if not (port := os.environ.get("EXAMPLE_API_PORT")):
            return ""
        job = '{"source": "crm", "target": "shop", "records": [{"name": "Ada"}, {"name": "Grace"}]}'
        return (
            "  Or call AwesomeIntegrationApi as Acme Retail; it is metered by the Python SDK:\n"
            f"    curl http://127.0.0.1:{port}/v1/jobs -H 'Authorization: Bearer awesome-acme' -d '{job}'\n\n"
        )

    def _sign_ins(self, address: str, key: str) -> str:
        people = "\n".join(f"    {customer.person:<26}{customer.name}" for customer in demo.CUSTOMERS)
        event = '{"customer": "acme", "meter": "ApiCalls", "value": 1000}'
        return (
            f"  Portal  {address}/\n{people}\n"
            f"  Admin   {address}/admin/\n    {demo.STAFF}\n"
            f"  Password of all of them:  {demo.PASSWORD}\n\n"
            f"{self._vendor_app()}"
            f"  Send an event, and watch the bill of Acme Retail follow:\n"
            f"    curl {address}/v1/events -H 'X-API-KEY: {key}' -d '{event}'\n\n"
            f"{self._example_api()}"
        )
