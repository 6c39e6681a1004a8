"""`python -m config.start web`, `worker` or `beat`: becomes that process, in the way that the environment says.

Procfile, Dockerfile and the units of systemd start them by this, so that all run the same. Options that are added are
passed on to granian or Celery.
"""

import os
import sys
from pathlib import Path

from config import settings
from config.environment import refuse_without_servers
from config.services import BASE_DIR

# Memory goes back to the system at once: a web process that takes in events at full speed stays at half of it.
ALLOCATORS = {
    "MALLOC_ARENA_MAX": "2",
    "_RJEM_MALLOC_CONF": "narenas:1,dirty_decay_ms:0,muzzy_decay_ms:0",
}
# A request that is being answered has so long when the web server is to end. Proxies and pages wait no longer.
DRAIN_SECONDS = 30


def web() -> list[str]:
    return [
        *("granian", "--interface", "wsgi", "--host", settings.WEB_ADDRESS, "--port", str(settings.PORT)),
        *("--workers", str(settings.WEB_PROCESSES), "--blocking-threads", str(settings.WEB_THREADS)),
        *("--http", "1", "--no-ws", "--log-level", "error", "--workers-kill-timeout", str(DRAIN_SECONDS)),
        "config.wsgi:application",
    ]


def worker() -> list[str]:
    return [
        *("celery", "--quiet", "--app", "config", "worker", "--loglevel", "WARNING"),
        *("--concurrency", str(settings.WORKER_PROCESSES), "--without-gossip", "--without-mingle"),
    ]


def beat() -> list[str]:
    return [
        *("celery", "--quiet", "--app", "config", "beat", "--loglevel", "WARNING", "--pidfile="),
        *("--schedule", str(settings.DATA_DIR / "celerybeat-schedule")),
    ]


COMMANDS = {"web": web, "worker": worker, "beat": beat}


def start(name: str, more: list[str]) -> None:
    refuse_without_servers(settings.SERVER_FAULTS)
    program, *arguments = COMMANDS[name]()
    path = Path(sys.executable).parent / program
    os.chdir(BASE_DIR)
    environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(settings.METRICS_DIR)}
    if name == "web":
        environment = ALLOCATORS | environment
    os.execve(path, [str(path), *arguments, *more], environment)  # noqa: S606 - a shell would be one process more


if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1] not in COMMANDS:
        sys.exit(f"usage: python -m config.start {'|'.join(COMMANDS)} [OPTION ...]")
    start(sys.argv[1], sys.argv[2:])
