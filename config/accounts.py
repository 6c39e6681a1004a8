"""Under which account PostgreSQL runs, and where it can then find its programs and keep its data.

PostgreSQL refuses to run as root. Started by root it runs as an unprivileged user, who may be unable to enter the
folders of root: a home is closed to others, and stays so. What such a user has to reach is then kept elsewhere.
"""

import hashlib
import os
import pwd
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SYSTEM_FOLDER = Path("/var/lib/tollmeter")


class NoPlace(Exception):
    """PostgreSQL can neither run nor store here; the text says why."""


@dataclass(frozen=True)
class Account:
    uid: int
    gid: int

    def arguments(self) -> dict[str, Any]:
        """For subprocess: run as this user, in none of root's groups."""
        return {"user": self.uid, "group": self.gid, "extra_groups": []}


@dataclass(frozen=True)
class Place:
    """Where PostgreSQL runs. `home` holds its data, password and settings; `account` is None for one's own."""

    home: Path
    binaries: Path
    account: Account | None
    note: str = ""


def find_place(folder: Path, package: Path, version: str) -> Place:
    """The place for a data folder and the installed package of PostgreSQL, made where it does not exist."""
    near = folder / "postgres"
    programs = package / "pginstall" / "bin"
    if os.geteuid() != 0:
        data = near / "data"
        if data.exists() and data.stat().st_uid != os.geteuid():
            raise NoPlace(f"{data} belongs to another user. Start as root, or set TOLLMETER_DATA to another folder.")
        near.mkdir(mode=0o700, exist_ok=True)
        return Place(near, programs, None)
    far = SYSTEM_FOLDER / f"data-{hashlib.sha256(str(folder).encode()).hexdigest()[:12]}"
    home, account = _home(near, far)
    note = ""
    if home == far:
        note = f"PostgreSQL runs as an unprivileged user who cannot enter {folder}: its data is in {far}"
    if not _succeeds(account, str(programs / "postgres"), "--version"):
        programs = _reachable_copy(package, version)
        if not _succeeds(account, str(programs / "postgres"), "--version"):
            raise NoPlace(f"user {account.uid} cannot run {programs / 'postgres'}.")
    return Place(home, programs, account, note)


def _home(near: Path, far: Path) -> tuple[Path, Account]:
    """Data that exists stays where it is, under its owner; new data goes near when its user can get there."""
    nobody = pwd.getpwnam("nobody")
    account = Account(nobody.pw_uid, nobody.pw_gid)
    for home in (near, far):
        if (home / "data").exists():
            owner = (home / "data").stat()
            account = Account(owner.st_uid, owner.st_gid) if owner.st_uid else account
            if not _can_enter(account, home):
                raise NoPlace(f"user {account.uid}, who owns {home / 'data'}, cannot enter {home}.")
            return home, account
    for home in (near, far):
        home.mkdir(parents=True, exist_ok=True)
        home.chmod(0o711)
        if _can_enter(account, home):
            return home, account
        home.rmdir()
    raise NoPlace(f"user {account.uid} can enter neither {near} nor {far}.")


def _can_enter(account: Account, folder: Path) -> bool:
    return _succeeds(account, "/bin/sh", "-c", 'cd "$1"', "sh", str(folder))


def _succeeds(account: Account, *command: str) -> bool:
    """Tried rather than read from mode bits: access lists and mount options have their say too."""
    try:
        return (
            subprocess.run(
                command,
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                **account.arguments(),
            ).returncode
            == 0
        )
    except PermissionError:
        # Either the program is out of the user's reach, or root may not change users here.
        return False


def _reachable_copy(package: Path, version: str) -> Path:
    """A copy of the programs that everybody can run, made once for a version."""
    copy = SYSTEM_FOLDER / f"postgres-{version}"
    if not copy.exists():
        SYSTEM_FOLDER.mkdir(parents=True, exist_ok=True)
        SYSTEM_FOLDER.chmod(0o755)
        new = Path(tempfile.mkdtemp(prefix="new-", dir=SYSTEM_FOLDER))
        try:
            # The programs look for their libraries beside the package.
            for part in (Path(package.name, "pginstall"), Path(f"{package.name}.libs")):
                if (package.parent / part).exists():
                    shutil.copytree(package.parent / part, new / part, symlinks=True)
            for path in (new, *new.rglob("*")):
                if not path.is_symlink():
                    path.chmod(path.stat().st_mode | (0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644))
            try:
                new.rename(copy)
            except OSError:
                if not copy.exists():
                    raise
        finally:
            shutil.rmtree(new, ignore_errors=True)
    return copy / package.name / "pginstall" / "bin"
