"""Settings, read from environment variables; `make run` and `make test` provide the ones a server needs.

Anything a person may want to change is a variable named in docs/operations.md. There is one settings
module for development, tests and production: they differ in the environment alone. What is long and hangs on
no variable stands beside it: `schedule.py`, `openapi.py`, `logs.py`.
"""

import os
import re
from datetime import timedelta
from pathlib import Path

from csp.constants import NONE, SELF

from config import production, services
from config.database import database
from config.environment import Environment
from config.logs import FORMATTERS, LEVELS, logging_settings
from config.openapi import SPECTACULAR_SETTINGS as SPECTACULAR_SETTINGS
from config.schedule import CELERY_BEAT_SCHEDULE as CELERY_BEAT_SCHEDULE
from meters import clock
from pricing.money import CURRENCIES

BASE_DIR = Path(__file__).resolve().parent.parent

env = Environment(os.environ)

# Set by `make test` and what measures: its servers are its own, and thrown away.
TESTS = env.flag("TOLLMETER_TESTS", False)
# What a server needs to know. The embedded services write theirs into the data folder, so that `manage.py` in a second
# terminal finds the database that `make run` started. Where a database is named that is not theirs, nothing is theirs.
DATABASE_NAMED = env.database_url("DATABASE_URL")
DATA_DIR = env.folder("TOLLMETER_DATA", services.data_dir())
RUNNING = services.read_state(DATA_DIR)
if DATABASE_NAMED and RUNNING.get("DATABASE_URL") != DATABASE_NAMED:
    RUNNING = {}
DATABASE_URL = DATABASE_NAMED or RUNNING.get("DATABASE_URL", "")
REDIS_URL = env.redis_url("REDIS_URL") or RUNNING.get("REDIS_URL", "")
SECRET_KEY = env.text("SECRET_KEY") or RUNNING.get("SECRET_KEY", "")
# Set by `make run`, and known of its database only: lets `manage.py demo` fill this installation.
DEMO = env.flag("DEMO", RUNNING.get("DEMO") == "1")
if DEMO and DATABASE_NAMED and not RUNNING and not TESTS:
    env.faults.append("DEMO is true, but DATABASE_URL is not the one that `make run` works with: take out one of them.")
# All that is missing or unsafe stops the start (config/production.py).
PRODUCTION = bool(env.text("DATABASE_URL")) and not DEMO and not TESTS

DEBUG = env.flag("DEBUG", False)
ALLOWED_HOSTS = env.hosts("ALLOWED_HOSTS", "" if PRODUCTION else "localhost,127.0.0.1,[::1]")
CSRF_TRUSTED_ORIGINS = env.origins("CSRF_TRUSTED_ORIGINS")

# --- Tollmeter's own ---------------------------------------------------------------------------

COMPANY_NAME = env.text("COMPANY_NAME", "AwesomeIntegration")
# The account's time zone and currency: what a customer or a plan has that names none of its own.
ACCOUNT_TIME_ZONE = env.time_zone("ACCOUNT_TIME_ZONE", "UTC")
ACCOUNT_CURRENCY = env.choice("ACCOUNT_CURRENCY", CURRENCIES, "USD", "write a code of ISO 4217, such as EUR")
# How long after a period's end late usage is still counted in its invoice.
GRACE_HOURS = env.number("GRACE_HOURS", 24, most=90 * 24)
# How many days back the audit of each night counts usage again; 0: all of it. Ledgers are always looked at whole.
AUDIT_DAYS = env.number("AUDIT_DAYS", 100, most=36600)
# Limits of one ingest request, and the span of event times that is accepted.
INGEST_MAX_BYTES = env.number("INGEST_MAX_BYTES", 10 * 1024 * 1024, least=1024)
INGEST_MAX_EVENTS = env.number("INGEST_MAX_EVENTS", 10000, least=1)
INGEST_HORIZON_DAYS = env.number("INGEST_HORIZON_DAYS", 400, least=1, most=3660)
INGEST_CREATES_CUSTOMERS = env.flag("INGEST_CREATES_CUSTOMERS", True)
# After so many seconds a web server gives up what it has asked the database; 0: never. Workers and commands wait.
WEB_STATEMENT_SECONDS = env.number("WEB_STATEMENT_SECONDS", 30, most=3600)
# Requests a second of an API key that has no limit of its own; unset: any number.
API_RATE_LIMIT = env.number("API_RATE_LIMIT", 0) or None
# Where clients of others find the APIs that ours stands in for, such as openmeter/; unset: nowhere.
AMBERFLO_PREFIX = env.prefix("AMBERFLO_PREFIX")
OPENMETER_PREFIX = env.prefix("OPENMETER_PREFIX", other=AMBERFLO_PREFIX)
# Where people reach this installation, such as https://billing.example; unset: mails have no links.
PUBLIC_URL: str = env.web_address("PUBLIC_URL")
# How many proxies stand in front: the outermost one's X-Forwarded-For says where a request comes from.
PROXIES = env.number("PROXIES", 0, most=20)
# After so many wrong passwords of one user from one address, neither comes in with a password for so many minutes.
SIGN_IN_ATTEMPTS = env.number("SIGN_IN_ATTEMPTS", 8, least=1, most=1000)
SIGN_IN_LOCK_MINUTES = env.number("SIGN_IN_LOCK_MINUTES", 15, least=1, most=10080)
# Whether staff need a second factor. Who has set one up gives it in any case.
STAFF_SECOND_FACTOR = env.choice(
    "STAFF_SECOND_FACTOR", ("required", "optional"), "optional" if DEMO or TESTS else "required"
)
# Where exports of a month are kept, and for how many days. Web servers and workers need the same folder.
EXPORTS_DIR = env.folder("EXPORTS_DIR", DATA_DIR / "exports")
EXPORT_DAYS = env.number("EXPORT_DAYS", 7, least=1, most=36600)
# A demo's clock can be put forward (`manage.py advance_clock`).
CLOCK_FILE = DATA_DIR / "clock"
if DEMO:
    clock.install(CLOCK_FILE)

# --- Django ------------------------------------------------------------------------------------

INSTALLED_APPS = [
    "portal",
    "invoices",
    "pricing",
    "meters",
    "config.apps.Config",
    "config.admin.TollmeterAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.humanize",
    "django.contrib.messages",
    "django.contrib.postgres",
    "django.contrib.sessions",
    "django_otp",
    "django_otp.plugins.otp_totp",
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
    "config.watching.requests.watching",
    "meters.audit_log.requests.acting",
    "django.middleware.security.SecurityMiddleware",
    "config.middleware.StaticFiles",
    "config.middleware.ContentSecurityPolicy",
    "config.middleware.no_store",
    "config.middleware.Sessions",
    "django.middleware.common.CommonMiddleware",
    "config.middleware.straight_to_events",
    "config.middleware.Csrf",
    "config.middleware.Users",
    "config.middleware.Verified",
    "config.middleware.Messages",
    "config.middleware.Lockouts",
    "config.middleware.Frames",
    "config.middleware.Htmx",
    "portal.staff.verified.SecondFactor",
    "config.retired.Retired",
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
# What of a form is not kept with a wrong try: a mistyped recovery code is nearly one.
AXES_SENSITIVE_PARAMETERS = ["username", "ip_address", "code"]
# These look for their own names in MIDDLEWARE; ours are Lockouts, Frames and Csrf of config.middleware.
SILENCED_SYSTEM_CHECKS = ["axes.W002", "security.W002", "security.W003"]
# Whether other names of the same domain have TLS, and for ever, is not ours to say.
SILENCED_SYSTEM_CHECKS += ["security.W005", "security.W021"]

LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_I18N = False
USE_TZ = True

STATIC_URL = "/static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
STATIC_ROOT = env.folder("STATIC_DIR", DATA_DIR / "static")
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": env.class_path("STATICFILES_STORAGE", "whitenoise.storage.CompressedManifestStaticFilesStorage")
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
# True behind TLS; the demo on localhost has none. PLAIN_HTTP says that none is wanted, in a private network.
HTTPS = env.flag("HTTPS", False)
PLAIN_HTTP = env.flag("PLAIN_HTTP", False)
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = HTTPS
# Whoever looks after the processes asks them directly.
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^metrics$"]
# Without a proxy anybody could say that a request came by HTTPS.
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if HTTPS and PROXIES else None
HSTS_SECONDS = env.number("HSTS_SECONDS", 31_536_000)
SECURE_HSTS_SECONDS = HSTS_SECONDS if HTTPS else 0
if PLAIN_HTTP:
    # Said once, by config/checks.py.
    SILENCED_SYSTEM_CHECKS += ["security.W004", "security.W008", "security.W010", "security.W012", "security.W016"]
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

# --- Mail --------------------------------------------------------------------------------------

EMAIL_HOST = env.text("EMAIL_HOST")
# Without a mail server mails are printed by the worker, as in the demo.
EMAIL_BACKEND = env.class_path(
    "EMAIL_BACKEND", f"django.core.mail.backends.{'smtp' if EMAIL_HOST else 'console'}.EmailBackend"
)
EMAIL_USE_SSL = env.flag("EMAIL_USE_SSL", False)
EMAIL_USE_TLS = env.flag("EMAIL_USE_TLS", not EMAIL_USE_SSL)
if EMAIL_USE_SSL and EMAIL_USE_TLS:
    env.faults.append(
        "EMAIL_USE_TLS and EMAIL_USE_SSL are both true: take out the one that the mail server does not use."
    )
EMAIL_PORT = env.number("EMAIL_PORT", 465 if EMAIL_USE_SSL else 587, least=1, most=65535)
EMAIL_HOST_USER = env.text("EMAIL_HOST_USER")
EMAIL_HOST_PASSWORD = env.text("EMAIL_HOST_PASSWORD")
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = env.sender("EMAIL_FROM", "billing@localhost")

# --- Celery ------------------------------------------------------------------------------------

CELERY_BROKER_URL = REDIS_URL
CELERY_TASK_IGNORE_RESULT = True
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_TIMEZONE = "UTC"
# A lost broker must cost a sender little: the rows say what is to be done, the message only hurries it.
CELERY_BROKER_TRANSPORT_OPTIONS = {"socket_connect_timeout": 1, "socket_timeout": 5}
CELERY_BEAT_SCHEDULER = "config.beat:SteadyScheduler"

# --- Logging -----------------------------------------------------------------------------------

LOG_LEVEL = env.choice("LOG_LEVEL", LEVELS, "INFO")
LOG_FORMAT = env.choice("LOG_FORMAT", FORMATTERS, "json" if PRODUCTION else "text")
# A line for each request; a proxy may write one, too.
ACCESS_LOG = env.flag("ACCESS_LOG", PRODUCTION)
LOGGING = logging_settings(LOG_LEVEL, LOG_FORMAT, access=ACCESS_LOG)

# --- Figures for Prometheus --------------------------------------------------------------------

# Who may read /metrics; unset: nobody, but for this machine in a demo.
METRICS_TOKEN = env.text("METRICS_TOKEN")
# Where the processes of a machine count together.
METRICS_DIR = env.folder("METRICS_DIR", DATA_DIR / "metrics")
# Address and port where a worker tells its figures, on a machine without a web server.
METRICS_LISTEN = env.text("METRICS_LISTEN")
if METRICS_LISTEN and not re.fullmatch(r"[^:]+:\d{1,5}", METRICS_LISTEN):
    env.faults.append(f"METRICS_LISTEN is {METRICS_LISTEN!r}: write an address and a port, such as 0.0.0.0:9464.")

# --- The processes (config/start.py) ------------------------------------------------------------

WEB_ADDRESS = env.text("WEB_ADDRESS", "127.0.0.1")
PORT = env.number("PORT", 8000, least=1, most=65535)
WEB_PROCESSES = env.number("WEB_PROCESSES", 2, least=1, most=256)
WEB_THREADS = env.number("WEB_THREADS", 16, least=1, most=256)
WORKER_PROCESSES = env.number("WORKER_PROCESSES", 2, least=1, most=256)

# --- What is wrong with all that ----------------------------------------------------------------

if PRODUCTION:
    env.faults += production.faults(env, globals())
env.check()
# Commands that need no database go on without one; a server says what else it lacks in the same breath.
SERVER_FAULTS = [] if DATABASE_URL and REDIS_URL else production.faults(env, globals())
