"""What stops the start of an installation with a database of its own, because it is missing or not safe.

Each fault is a sentence or two: the variable, what is wrong, what to do. None repeats a value that may be a secret.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from config.environment import Environment

Settings = Mapping[str, Any]
# As Django's own check of a deployment.
KEY_LENGTH, KEY_LETTERS = 50, 5
NEW_KEY = "Make one with  python3 -c 'import secrets; print(secrets.token_urlsafe(50))'  and keep it to yourself."
PRINTED = "django.core.mail.backends.console.EmailBackend"


def faults(env: Environment, settings: Settings) -> list[str]:
    return [fault for rule in RULES for fault in rule(env, settings)]


def _servers(env: Environment, settings: Settings) -> Iterator[str]:
    if not settings["DATABASE_URL"] and not env.text("DATABASE_URL"):
        yield "DATABASE_URL is missing: write postgresql://user:password@host:5432/name of a PostgreSQL of your own."
    if not settings["REDIS_URL"] and not env.text("REDIS_URL"):
        yield "REDIS_URL is missing: write redis://:password@host:6379/0 of a Valkey or Redis of your own."


def _secret_key(env: Environment, settings: Settings) -> Iterator[str]:
    key = settings["SECRET_KEY"]
    if not key:
        yield f"SECRET_KEY is missing: whoever knows it can sign in as anybody. {NEW_KEY}"
    elif len(key) < KEY_LENGTH or len(set(key)) < KEY_LETTERS:
        yield f"SECRET_KEY is too easy to guess: it needs {KEY_LENGTH} random letters or more. {NEW_KEY}"
    elif key.startswith("django-insecure-"):
        yield f"SECRET_KEY is one that was made for development. {NEW_KEY}"


def _debug(env: Environment, settings: Settings) -> Iterator[str]:
    if settings["DEBUG"]:
        yield "DEBUG is true: pages of errors would show settings and data to everybody. Take it out."


def _hosts(env: Environment, settings: Settings) -> Iterator[str]:
    if not env.text("ALLOWED_HOSTS"):
        yield (
            "ALLOWED_HOSTS is missing: write the names under which this installation is reached, with commas between, "
            "such as billing.example.com."
        )
    if "*" in settings["ALLOWED_HOSTS"]:
        yield "ALLOWED_HOSTS has `*`: links could lead to any host that somebody asks for. Write the names themselves."


def _https(env: Environment, settings: Settings) -> Iterator[str]:
    https, plain = settings["HTTPS"], settings["PLAIN_HTTP"]
    if https and plain:
        yield "HTTPS and PLAIN_HTTP are both true: take one of them out."
    if not https and not plain:
        yield (
            "HTTPS is off: passwords, sessions and keys could be read on their way. Put a proxy with TLS in front and "
            "write HTTPS=true; in a private network that nobody else can listen to, write PLAIN_HTTP=true instead."
        )
    if not env.text("PROXIES"):
        yield (
            "PROXIES is missing: write how many proxies stand in front, such as 1 for nginx, or 0 if there is none. "
            "What they say about who asks, and whether by HTTPS, is believed."
        )


def _public_url(env: Environment, settings: Settings) -> Iterator[str]:
    url = settings["PUBLIC_URL"]
    if not env.text("PUBLIC_URL"):
        yield "PUBLIC_URL is missing: write where people reach this installation, such as https://billing.example.com."
    if not url:
        return
    parts = urlsplit(url)
    if settings["HTTPS"] and parts.scheme == "http":
        yield "PUBLIC_URL begins with http://, although HTTPS is true: links would be sent unprotected. Write https://."
    hosts = settings["ALLOWED_HOSTS"]
    name = parts.hostname or ""
    if hosts and not any(name == host.lower() or (host[:1] == "." and f".{name}".endswith(host)) for host in hosts):
        yield f"PUBLIC_URL leads to {name}, which is not among ALLOWED_HOSTS: add it there, or mend the URL."


def _mail(env: Environment, settings: Settings) -> Iterator[str]:
    if not env.text("EMAIL_HOST") and not env.text("EMAIL_BACKEND"):
        yield (
            "EMAIL_HOST is missing: bills and links to sign in would only be printed by the worker. Write the mail "
            f"server's name, or, if that is what you want, EMAIL_BACKEND={PRINTED}."
        )
    if env.text("EMAIL_HOST") and not env.text("EMAIL_FROM"):
        yield "EMAIL_FROM is missing: write the sender of all mails, such as billing@example.com."


RULES: tuple[Callable[[Environment, Settings], Iterator[str]], ...] = (
    _servers,
    _secret_key,
    _debug,
    _hosts,
    _https,
    _public_url,
    _mail,
)
