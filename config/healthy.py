"""`python -m config.healthy web`, `worker` or `beat`: ends with 0 where it is well. For whatever looks after processes.

The web server is asked; of the others the signs of life are read (meters/heartbeats.py), so a worker that nothing
reaches is not well either. It loads little, as it is called every few seconds.
"""

import os
import sys
import urllib.error
import urllib.request
from urllib.parse import urlsplit

import psycopg

SECONDS = 8
# A worker shares the signs of life with its siblings, and is not heard of each time.
SILENT_SECONDS = 300

LAST_SIGN = """
SELECT extract(epoch FROM clock_timestamp() - max(seen_at))::float8 FROM meters_heartbeat
WHERE kind = %(kind)s AND name = ANY(%(names)s)
"""


def web() -> str:
    url = f"http://127.0.0.1:{os.environ.get('PORT') or 8000}/healthz"
    host = urlsplit(os.environ.get("PUBLIC_URL", "")).netloc or "localhost"
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers={"Host": host}), timeout=SECONDS):
            return ""
    except (OSError, ValueError) as error:
        return str(error)


def seen(kind: str) -> str:
    host = os.uname().nodename
    try:
        with psycopg.connect(os.environ.get("DATABASE_URL", ""), connect_timeout=SECONDS) as database:
            row = database.execute(LAST_SIGN, {"kind": kind, "names": [host, f"celery@{host}"]}).fetchone()
    except psycopg.Error as error:
        return str(error)
    if row is None or row[0] is None:
        return "never seen"
    return "" if row[0] < SILENT_SECONDS else f"last seen {row[0]:.0f} seconds ago"


def main(name: str) -> str:
    return web() if name == "web" else seen(name)


if __name__ == "__main__":
    if sys.argv[1:] not in (["web"], ["worker"], ["beat"]):
        sys.exit("usage: python -m config.healthy web|worker|beat")
    sys.exit(main(sys.argv[1]) or 0)
