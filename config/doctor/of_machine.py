"""What is looked at on this machine and around it."""

import os
import shutil
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.staticfiles.storage import ManifestFilesMixin, staticfiles_storage
from django.core import checks
from django.core.mail import get_connection

from config.doctor.findings import Finding, State, failed, in_words, ok, warning, worst
from config.services import BASE_DIR
from invoices.exporting import files
from meters import heartbeats
from meters.models import Heartbeat

SMTP = "django.core.mail.backends.smtp.EmailBackend"
MAIL_SECONDS = 5
LITTLE, TOO_LITTLE = 2 * 2**30, 256 * 2**20
SEEN_LATELY = timedelta(minutes=1)


def settings_say() -> Finding:
    """What `check --deploy` says; in a demo, which is none, only what is wrong anywhere."""
    messages = checks.run_checks(include_deployment_checks=settings.PRODUCTION)
    told = [one for one in messages if not one.is_silenced()]
    wrong = [
        Finding(State.FAILED if one.level >= checks.ERROR else State.WARNING, f"{one.id}: {one.msg}", one.hint or "")
        for one in told
    ]
    return worst(wrong, "a production" if settings.PRODUCTION else "a demo or a test, not a production")


def mail_server() -> Finding:
    if settings.EMAIL_BACKEND != SMTP:
        name = settings.EMAIL_BACKEND.rpartition(".")[0]
        remedy = "Set EMAIL_HOST, so that people get them."
        return warning(f"mails go to {name}", remedy) if settings.PRODUCTION else ok(f"mails go to {name}")
    where = f"{settings.EMAIL_HOST}:{settings.EMAIL_PORT}"
    try:
        server = get_connection(timeout=MAIL_SECONDS)
        server.open()
        server.close()
    except Exception as error:
        return failed(
            f"{where}: {in_words(error)}",
            "See that EMAIL_HOST, EMAIL_PORT, EMAIL_USE_TLS, EMAIL_HOST_USER and EMAIL_HOST_PASSWORD are right, and "
            "that this machine may connect there. Mails wait for three days.",
        )
    return ok(f"{where} lets us in")


def disk() -> Finding:
    found, rooms = [], []
    for name, folder in {"data folder": settings.DATA_DIR, "exports": settings.EXPORTS_DIR}.items():
        try:
            room = shutil.disk_usage(_existing(folder)).free
        except OSError as error:
            found.append(failed(f"{name}: {in_words(error)}", f"See that {folder} can be reached."))
            continue
        saw = f"{name}: {room / 2**30:.1f} GiB free"
        rooms.append(saw)
        remedy = f"Make room where {folder} is."
        if room < TOO_LITTLE:
            found.append(failed(saw, remedy))
        elif room < LITTLE:
            found.append(warning(saw, remedy))
    return worst(found, ", ".join(rooms))


def exports() -> Finding:
    """Whether files can be written there, and whether workers that were seen lately have left their sign there."""
    try:
        folder = files.folder()
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".doctor-") as file:
            file.write(b"room")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        return failed(
            f"{settings.EXPORTS_DIR}: {in_words(error)}",
            "Make the folder, and let web and worker write there.",
        )
    seen = [name for name, ago in heartbeats.heard_of(Heartbeat.Kind.WORKER) if ago < SEEN_LATELY]
    if strangers := [name for name in seen if not files.sign_of(name).exists()]:
        return warning(
            f"{folder} is not the folder of {', '.join(strangers)}",
            "Web servers and workers need the same folder: set EXPORTS_DIR to one that all of them can write to.",
        )
    return ok(f"{folder} can be written to" + (f", as {len(seen)} of the workers did" if seen else ""))


def static_files() -> Finding:
    is_hashed = isinstance(staticfiles_storage, ManifestFilesMixin)
    storage: Any = staticfiles_storage
    if not is_hashed:
        return ok("served as they are")
    remedy = "Run manage.py collectstatic --no-input, and start the web server again."
    manifest, _ = storage.load_manifest()
    if not manifest:
        return failed("not collected", remedy)
    ours = BASE_DIR / "static"
    names = {str(path.relative_to(ours)): path for path in ours.rglob("*") if path.is_file()}
    if lacking := sorted(names.keys() - manifest.keys()):
        return failed(f"{lacking[0]} is not among those that were collected", remedy)
    if gone := sorted(name for name in names if not storage.exists(manifest[name])):
        return failed(f"{gone[0]} is gone from {settings.STATIC_ROOT}", remedy)
    collected = (Path(settings.STATIC_ROOT) / storage.manifest_name).stat().st_mtime
    if newer := sorted(name for name, path in names.items() if path.stat().st_mtime > collected):
        return warning(f"{newer[0]} is newer than what was collected", remedy)
    return ok(f"{len(manifest)} are collected")


def _existing(folder: Path) -> Path:
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder
