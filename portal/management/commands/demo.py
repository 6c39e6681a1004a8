"""`manage.py demo`: fills the demo once, and prints how to sign in to it."""

import os
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from meters.keys import create_api_key
from portal import demo

KEY_FILE = "demo-api-key"


class Command(BaseCommand):
    help = "Fills an empty installation with the demo, and prints its sign-ins. Refuses outside a demo."

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.DEMO:
            raise CommandError("This is not a demo installation (DEMO is not set), so it stays as it is.")
        if not demo.is_filled():
            demo.fill(timezone.now())
        address = f"http://localhost:{os.environ.get('PORT', '8000')}"
        self.stdout.write(self._sign_ins(address, self._key()))

    def _key(self) -> str:
        """The demo's own API key, kept in the data folder for the simulated API and the curl line."""
        path = Path(os.environ["TOLLMETER_DATA"]) / KEY_FILE
        if not path.exists():
            _, text = create_api_key(name="Demo", scopes=["ingest", "read", "write"])
            path.touch(mode=0o600)
            path.write_text(text)
        return path.read_text().strip()

    def _sign_ins(self, address: str, key: str) -> str:
        people = "\n".join(f"    {customer.person:<26}{customer.name}" for customer in demo.CUSTOMERS)
        event = '{"customer": "acme", "meter": "ApiCalls", "value": 1000}'
        return (
            f"  Portal  {address}/\n{people}\n"
            f"  Admin   {address}/admin/\n    {demo.STAFF}\n"
            f"  Password of all of them:  {demo.PASSWORD}\n\n"
            f"  Send an event, and watch the bill of Acme Retail follow:\n"
            f"    curl {address}/v1/events -H 'X-API-KEY: {key}' -d '{event}'"
        )
