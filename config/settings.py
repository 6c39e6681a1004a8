"""Settings, read from environment variables; `make run` and `make test` provide the ones a server needs.

Anything a person may want to change is a variable named in docs/operations.md. There is one settings
module for development, tests and production: they differ in the environment alone.
"""

import os
from datetime import timedelta
from pathlib import Path
from typing import Any

from celery.schedules import crontab
from csp.constants import NONE, SELF
from psycopg.conninfo import conninfo_to_dict

from config import services
from meters import clock

BASE_DIR = Path(__file__).resolve().parent.parent


def env_bool(name: str, default: bool) -> bool:
    text = os.environ.get(name, str(default)).strip().lower()
    if text not in {"1", "true", "yes", "on", "0", "false", "no", "off"}:
        raise ValueError(f"{name} must be true or false, not {text!r}")
    return text in {"1", "true", "yes", "on"}


def env_list(name: str, default: str) -> list[str]:
    return [part.strip() for part in os.environ.get(name, default).split(",") if part.strip()]


# What a server needs to know. The embedded services write theirs into the data folder, so that
# `manage.py` in a second terminal finds the database that `make run` started.
RUNNING = services.read_state(services.data_dir())
DATABASE_URL = os.environ.get("DATABASE_URL") or RUNNING.get("DATABASE_URL", "")
REDIS_URL = os.environ.get("REDIS_URL") or RUNNING.get("REDIS_URL", "")
SECRET_KEY = os.environ.get("SECRET_KEY") or RUNNING.get("SECRET_KEY", "")

DEBUG = env_bool("DEBUG", False)
ALLOWED_HOSTS = env_list("ALLOWED_HOSTS", "localhost,127.0.0.1,[::1]")
CSRF_TRUSTED_ORIGINS = env_list("CSRF_TRUSTED_ORIGINS", "")

# --- Tollmeter's own ---------------------------------------------------------------------------

COMPANY_NAME = os.environ.get("COMPANY_NAME", "AwesomeIntegration")
# The account's time zone and currency: what a customer or a plan has that names none of its own.
ACCOUNT_TIME_ZONE = os.environ.get("ACCOUNT_TIME_ZONE", "UTC")
ACCOUNT_CURRENCY = os.environ.get("ACCOUNT_CURRENCY", "USD")
# How long after a period's end late usage is still counted in its invoice.
GRACE_HOURS = int(os.environ.get("GRACE_HOURS", "24"))
# How many days back the audit of each night counts usage again; 0: all of it. Ledgers are always looked at whole.
AUDIT_DAYS = int(os.environ.get("AUDIT_DAYS", "100"))
# Limits of one ingest request, and the span of event times that is accepted.
INGEST_MAX_BYTES = int(os.environ.get("INGEST_MAX_BYTES", str(10 * 1024 * 1024)))
INGEST_MAX_EVENTS = int(os.environ.get("INGEST_MAX_EVENTS", "10000"))
INGEST_HORIZON_DAYS = int(os.environ.get("INGEST_HORIZON_DAYS", "400"))
INGEST_CREATES_CUSTOMERS = env_bool("INGEST_CREATES_CUSTOMERS", True)
# Requests a second of an API key that has no limit of its own; unset: any number.
API_RATE_LIMIT = int(os.environ.get("API_RATE_LIMIT") or 0) or None
# Where people reach this installation, such as https://billing.example; unset: mails have no links.
PUBLIC_URL: str = os.environ.get("PUBLIC_URL", "").rstrip("/")
# How many proxies stand in front: the outermost one's X-Forwarded-For says where a request comes from.
PROXIES = int(os.environ.get("PROXIES", "0"))
# After so many wrong passwords of one user from one address, neither comes in with a password for so many minutes.
SIGN_IN_ATTEMPTS = int(os.environ.get("SIGN_IN_ATTEMPTS", "8"))
SIGN_IN_LOCK_MINUTES = int(os.environ.get("SIGN_IN_LOCK_MINUTES", "15"))
# Where exports of a month are kept, and for how many days. Web servers and workers need the same folder.
EXPORTS_DIR = Path(os.environ.get("EXPORTS_DIR") or services.data_dir() / "exports").expanduser().resolve()
EXPORT_DAYS = int(os.environ.get("EXPORT_DAYS", "7"))
# Set by `make run`, and known of its database only: lets `manage.py demo` fill this installation.
DEMO = env_bool("DEMO", RUNNING.get("DEMO") == "1" and RUNNING.get("DATABASE_URL") == DATABASE_URL)
# A demo's clock can be put forward (`manage.py advance_clock`).
CLOCK_FILE = services.data_dir() / "clock"
if DEMO:
    clock.install(CLOCK_FILE)

# --- Django ------------------------------------------------------------------------------------

INSTALLED_APPS = [
    "portal",
    "invoices",
    "pricing",
    "meters",
    "config.admin.TollmeterAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.humanize",
    "django.contrib.messages",
    "django.contrib.postgres",
    "django.contrib.sessions",
    "axes",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "csp",
    "django_htmx",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "rest_framework",
    "template_partials",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "config.middleware.StaticFiles",
    "config.middleware.ContentSecurityPolicy",
    "config.middleware.no_store",
    "config.middleware.Sessions",
    "django.middleware.common.CommonMiddleware",
    "config.middleware.straight_to_events",
    "config.middleware.Csrf",
    "config.middleware.Users",
    "config.middleware.Messages",
    "config.middleware.Lockouts",
    "config.middleware.Frames",
    "config.middleware.Htmx",
    "portal.guests.seeing.OnlyLooking",
    "meters.api.idempotency.idempotency",
]

ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    }
]


def database(url: str) -> dict[str, Any]:
    """Django's settings of a database from a libpq URL; without one, libpq's own defaults."""
    parts = conninfo_to_dict(url)
    named = {"NAME": "dbname", "USER": "user", "PASSWORD": "password", "HOST": "host", "PORT": "port"}
    settings: dict[str, Any] = {key: parts.pop(part, "") or "" for key, part in named.items()}
    settings["NAME"] = settings["NAME"] or "tollmeter"
    return settings | {
        "ENGINE": "django.db.backends.postgresql",
        # Unsaid, Django turns prepared statements off. They are for those that ask (meters/statements.py).
        "OPTIONS": parts | {"connect_timeout": parts.get("connect_timeout") or 5, "prepare_threshold": 5},
        "CONN_MAX_AGE": 600,
        "CONN_HEALTH_CHECKS": True,
    }


DATABASES = {"default": database(DATABASE_URL)}

CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.locmem.LocMemCache",
    }
}

AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "django.contrib.auth.backends.ModelBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
LOGIN_URL = "portal:sign-in"
LOGIN_REDIRECT_URL = "portal:overview"
LOGOUT_REDIRECT_URL = "portal:sign-in"
# Of the link that resets a password.
PASSWORD_RESET_TIMEOUT = 3600

# Wrong passwords are counted in the database, by user and address: nothing else has to be there to sign in.
AXES_FAILURE_LIMIT = SIGN_IN_ATTEMPTS
AXES_COOLOFF_TIME = timedelta(minutes=SIGN_IN_LOCK_MINUTES)
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_CLIENT_IP_CALLABLE = "portal.people.addresses.address_of"
AXES_USERNAME_CALLABLE = "portal.people.lockout.name_of"
AXES_LOCKOUT_CALLABLE = "portal.people.lockout.locked_out"
AXES_RESET_ON_SUCCESS = True
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False
AXES_DISABLE_ACCESS_LOG = True
# Our own page of them has no more than there is to see.
AXES_ENABLE_ADMIN = False
AXES_VERBOSE = False
# It looks for its own name in MIDDLEWARE; ours is config.middleware.Lockouts.
SILENCED_SYSTEM_CHECKS = ["axes.W002"]

LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_I18N = False
USE_TZ = True

STATIC_URL = "/static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
STATIC_ROOT = services.data_dir() / "static"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": os.environ.get("STATICFILES_STORAGE", "whitenoise.storage.CompressedManifestStaticFilesStorage")
    },
}

# --- Security ----------------------------------------------------------------------------------

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "form-action": [SELF],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
    }
}
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"
SESSION_ENGINE = "portal.people.session_store"
SESSION_COOKIE_SAMESITE = "Lax"
# True behind TLS; the demo on localhost has none.
HTTPS = env_bool("HTTPS", False)
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
SESSION_COOKIE_AGE = 14 * 24 * 3600
# The body limit of the ingest is checked in its view, where the answer can be a problem document.
DATA_UPLOAD_MAX_MEMORY_SIZE = INGEST_MAX_BYTES

# --- API ---------------------------------------------------------------------------------------

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["meters.api.auth.ApiKeyAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["meters.api.auth.HasScope"],
    "DEFAULT_THROTTLE_CLASSES": ["meters.api.auth.KeyRateLimit"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["meters.api.bodies.BoundedJSONParser"],
    "DEFAULT_PAGINATION_CLASS": "meters.api.pagination.CursorPagination",
    "DEFAULT_SCHEMA_CLASS": "meters.api.schema.ApiSchema",
    "EXCEPTION_HANDLER": "meters.api.problems.exception_handler",
    "UNAUTHENTICATED_USER": None,
    "COERCE_DECIMAL_TO_STRING": True,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Tollmeter API",
    "DESCRIPTION": (
        "Send usage events; set prices; read usage, customers, meters and invoices.\n\n"
        "Every call needs an API key, as `Authorization: Bearer KEY` or `X-API-KEY: KEY`. Numbers are decimal text, "
        "times are RFC 3339 with a zone, spans are half-open. Lists come a page at a time; `next` is the address of "
        "the next one. Errors are problem documents (RFC 9457) with a stable `code`."
    ),
    "VERSION": "1",
    "ENUM_NAME_OVERRIDES": {
        "CustomerSource": "meters.models.Customer.Source",
        "AssignmentSource": "pricing.models.Assignment.Source",
        "PlanVersionStatus": "pricing.models.PlanVersion.Status",
        "BacktestStatus": "invoices.models.Backtest.Status",
        "WebhookDeliveryStatus": "invoices.models.WebhookDelivery.Status",
        "EventType": "invoices.models.OutboxEvent.Type",
    },
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SERVE_AUTHENTICATION": [],
    "TAGS": [
        {"name": "events", "description": "Usage as it happens: sent, read, voided."},
        {"name": "usage", "description": "What the events come to."},
        {"name": "customers", "description": "Whose usage it is."},
        {"name": "meters", "description": "What is counted, and how."},
        {"name": "product-items", "description": "What is sold."},
        {"name": "plans", "description": "What it costs: versions, rates, fees."},
        {"name": "assignments", "description": "Who is on which plan, and since when."},
        {"name": "assignment-rules", "description": "Which plan a new customer gets."},
        {"name": "assignment-log", "description": "What was done to assignments, and by whom."},
        {"name": "promotions", "description": "What can be taken off."},
        {"name": "applied-promotions", "description": "Who gets it."},
        {"name": "tax-rates", "description": "What is added."},
        {"name": "billing-profiles", "description": "Whom invoices are written to, and with which taxes."},
        {"name": "invoices", "description": "What is owed, and why."},
        {"name": "credits", "description": "What customers have paid ahead, or were given."},
        {"name": "credit-entries", "description": "The ledger of credits."},
        {"name": "credit-balances", "description": "What is left of them."},
        {"name": "credit-rules", "description": "When they are low."},
        {"name": "statements", "description": "What a customer owes, and how it came about."},
        {"name": "alerts", "description": "Thresholds that are told of."},
        {"name": "alert-firings", "description": "When they were."},
        {"name": "portal-sessions", "description": "Links into the portal, and who came by them."},
        {"name": "webhook-endpoints", "description": "Where events are sent."},
        {"name": "webhook-deliveries", "description": "What came of it."},
        {"name": "billing-policy", "description": "When invoices become final and due, and how they are numbered."},
    ],
}

# --- Mail --------------------------------------------------------------------------------------

EMAIL_HOST = os.environ.get("EMAIL_HOST", "")
# Without a mail server mails are printed by the worker, as in the demo.
EMAIL_BACKEND = os.environ.get("EMAIL_BACKEND") or (
    "django.core.mail.backends.smtp.EmailBackend" if EMAIL_HOST else "django.core.mail.backends.console.EmailBackend"
)
EMAIL_USE_SSL = env_bool("EMAIL_USE_SSL", False)
EMAIL_USE_TLS = env_bool("EMAIL_USE_TLS", not EMAIL_USE_SSL)
EMAIL_PORT = int(os.environ.get("EMAIL_PORT") or (465 if EMAIL_USE_SSL else 587))
EMAIL_HOST_USER = os.environ.get("EMAIL_HOST_USER", "")
EMAIL_HOST_PASSWORD = os.environ.get("EMAIL_HOST_PASSWORD", "")
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = os.environ.get("EMAIL_FROM", "billing@localhost")

# --- Celery ------------------------------------------------------------------------------------

CELERY_BROKER_URL = REDIS_URL
CELERY_TASK_IGNORE_RESULT = True
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_TIMEZONE = "UTC"
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
# A lost broker must cost a sender little: the rows say what is to be done, the message only hurries it.
CELERY_BROKER_TRANSPORT_OPTIONS = {"socket_connect_timeout": 1, "socket_timeout": 5}
CELERY_BEAT_SCHEDULER = "config.beat:SteadyScheduler"
CELERY_BEAT_SCHEDULE = {
    # The sweep finds whatever no message came for. `expires` keeps ticks from piling up without a worker.
    "sweep": {"task": "invoices.tasks.bills.sweep", "schedule": 2.0, "options": {"expires": 4}},
    "close-periods": {"task": "invoices.tasks.bills.close_periods", "schedule": 10.0, "options": {"expires": 20}},
    "continue-backtests": {
        "task": "invoices.tasks.backtests.continue_backtests",
        "schedule": 10.0,
        "options": {"expires": 20},
    },
    # Once a night: the task asks the rows whether it is time.
    "keep-audits": {"task": "invoices.tasks.audits.keep_audits", "schedule": 60.0, "options": {"expires": 120}},
    "continue-exports": {
        "task": "invoices.tasks.exports.continue_exports",
        "schedule": 10.0,
        "options": {"expires": 20},
    },
    "forget-old-exports": {
        "task": "invoices.tasks.exports.forget_old_exports",
        "schedule": crontab(minute=47, hour="3"),
    },
    "follow-credits": {
        "task": "invoices.tasks.prepaid.follow_credits",
        "schedule": 60.0,
        "options": {"expires": 120},
    },
    "send-webhooks": {
        "task": "invoices.tasks.webhooks.send_webhooks",
        "schedule": 2.0,
        "options": {"expires": 4},
    },
    "send-mails": {"task": "invoices.tasks.mails.send_mails", "schedule": 5.0, "options": {"expires": 10}},
    "answer-link-requests": {
        "task": "portal.tasks.answer_link_requests",
        "schedule": 2.0,
        "options": {"expires": 4},
    },
    "forget-old-sign-ins": {"task": "portal.tasks.forget_old_sign_ins", "schedule": crontab(minute=57, hour="3")},
    "forget-old-webhooks": {
        "task": "invoices.tasks.webhooks.forget_old_webhooks",
        "schedule": crontab(minute=37, hour="3"),
    },
    "forget-old-refusals": {"task": "meters.tasks.forget_old_refusals", "schedule": crontab(minute=27, hour="3")},
    "make-partitions": {"task": "meters.tasks.make_partitions", "schedule": crontab(minute=17, hour="*/6")},
    "forget-old-answers": {"task": "meters.tasks.forget_old_answers", "schedule": crontab(minute=27)},
}

# --- Logging -----------------------------------------------------------------------------------

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": os.environ.get("LOG_LEVEL", "INFO")},
    "loggers": {"django.server": {"level": "WARNING"}, "httpx": {"level": "WARNING"}, "axes": {"level": "ERROR"}},
}
