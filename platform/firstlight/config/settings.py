"""Django's settings. Every choice that a deployment makes is an environment variable named FIRSTLIGHT_*."""

import math
import os
from datetime import timedelta
from importlib.util import find_spec

import dj_database_url
from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured

from firstlight.config import celery as celery_app  # noqa: F401  # the app that rings and tasks find
from firstlight.config import places

DEBUG = os.environ.get("FIRSTLIGHT_DEBUG") == "1"
SECRET_KEY = places.secret_key()
ALLOWED_HOSTS = os.environ.get("FIRSTLIGHT_ALLOWED_HOSTS", "127.0.0.1,localhost,[::1]").split(",")
HTTPS = os.environ.get("FIRSTLIGHT_HTTPS") == "1"

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.humanize",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django_htmx",
    "csp",
    "axes",
    "firstlight.teams",
    "firstlight.registry",
    "firstlight.evaluations",
    "firstlight.forecasts",
    "firstlight.api",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "csp.middleware.CSPMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    # before anything reads a body: the check against forged requests does
    "firstlight.pages.limits.BodyLimits",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "axes.middleware.AxesMiddleware",
]
ROOT_URLCONF = "firstlight.config.urls"
WSGI_APPLICATION = "firstlight.config.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [places.templates()],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
            "builtins": [f"firstlight.pages.templatetags.{name}" for name in ("numbers", "words", "layout")],
        },
    }
]

DATABASES = {
    "default": dj_database_url.parse(places.database_url(), conn_max_age=60, conn_health_checks=True)
}
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    # IMMEDIATE: a transaction that will write takes the lock at its start, so none fails in its middle.
    # synchronous=FULL: an acknowledged batch outlives a power cut.
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;",
    }
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "home"
LOGOUT_REDIRECT_URL = "login"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator")
]

# Wrong passwords for one name from one address close signing in with it for a while (django-axes).
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "django.contrib.auth.backends.ModelBackend",
]
AXES_FAILURE_LIMIT = 8
AXES_COOLOFF_TIME = timedelta(minutes=15)
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
#: Of all names from one address, and of one name from all addresses, within the same time.
MOST_FAILURES_AN_ADDRESS, MOST_FAILURES_AN_ACCOUNT = 100, 50
AXES_RESET_ON_SUCCESS = True
AXES_LOCKOUT_CALLABLE = "firstlight.accounts.entry.locked_out"
AXES_DISABLE_ACCESS_LOG = True
AXES_VERBOSE = False
# The address of a person behind a proxy is the proxy's word: believed only where a deployment says how many there are.
AXES_IPWARE_PROXY_COUNT = int(os.environ.get("FIRSTLIGHT_PROXIES", "0")) or None
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if AXES_IPWARE_PROXY_COUNT else None

# --- Single sign-on (the extra `sso`): a provider of OpenID Connect, named by its issuer. ---
SSO_ISSUER = os.environ.get("FIRSTLIGHT_SSO_ISSUER", "")
SSO_CLIENT = os.environ.get("FIRSTLIGHT_SSO_CLIENT", "")
SSO_SECRET = os.environ.get("FIRSTLIGHT_SSO_SECRET", "")
SSO_NAME = os.environ.get("FIRSTLIGHT_SSO_NAME", "single sign-on")
#: People with a verified address of these domains get an account of their own accord.
SSO_DOMAINS = [
    d.strip().lower() for d in os.environ.get("FIRSTLIGHT_SSO_DOMAINS", "").split(",") if d.strip()
]
if SSO_ISSUER and not (SSO_CLIENT and SSO_SECRET and find_spec("authlib")):
    raise ImproperlyConfigured(
        "FIRSTLIGHT_SSO_ISSUER needs FIRSTLIGHT_SSO_CLIENT and FIRSTLIGHT_SSO_SECRET beside it, and the extra: "
        "pip install 'firstlight[sso]'."
    )

# --- Mail: without a server links are shown, to be sent by hand. ---
MAIL_READY = bool(os.environ.get("FIRSTLIGHT_MAIL_HOST"))
EMAIL_HOST = os.environ.get("FIRSTLIGHT_MAIL_HOST", "")
EMAIL_PORT = int(os.environ.get("FIRSTLIGHT_MAIL_PORT", "587"))
EMAIL_HOST_USER = os.environ.get("FIRSTLIGHT_MAIL_USER", "")
EMAIL_HOST_PASSWORD = os.environ.get("FIRSTLIGHT_MAIL_PASSWORD", "")
EMAIL_USE_TLS = os.environ.get("FIRSTLIGHT_MAIL_TLS", "1") == "1"
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = os.environ.get("FIRSTLIGHT_MAIL_FROM", "firstlight@localhost")

USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en-gb"
STATIC_URL = "static/"
STATIC_ROOT = places.home() / "static"
STATICFILES_DIRS = [places.PACKAGE / "static"]
WHITENOISE_USE_FINDERS = True
DATA_UPLOAD_MAX_MEMORY_SIZE = 2 * 2**20
FILE_UPLOAD_MAX_MEMORY_SIZE = 2 * 2**20

CSRF_FAILURE_VIEW = "firstlight.pages.errors.csrf_failure"
X_FRAME_OPTIONS = "DENY"
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = HTTPS
SECURE_HSTS_SECONDS = 31536000 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = HTTPS
CSRF_TRUSTED_ORIGINS = [o for o in os.environ.get("FIRSTLIGHT_ORIGINS", "").split(",") if o]
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "img-src": [SELF, "data:", "blob:"],
        # Of inline styles only three of plotly's: an empty sheet, which it fills by script, and two attributes: the
        # size of an exponent (font-size:70%) and the name of a point (font-weight:bold).
        "style-src": [
            SELF,
            "'unsafe-hashes'",
            "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='",
            "'sha256-S+l+cz1wXqs2B0FcjqqT7NvjwGmhD1UjJswXjlSkj0s='",
            "'sha256-wkY2X5hecQzbhnFCqvTpwrUJ1f4X8LH5WFjYUzv1wmU='",
        ],
        "object-src": [NONE],
        "base-uri": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
    }
}

HOME = places.home()
#: Bytes that stay free on the disk of the home: below them nothing more is drawn.
LEAST_DISK = float(os.environ.get("FIRSTLIGHT_LEAST_DISK_MB", "200")) * 2**20
#: Requests of one token that a web process answers; many times what a training loop sends.
API_RATE = os.environ.get("FIRSTLIGHT_API_RATE", "100/s")
#: Whether people may have checkpoints downloaded from the hub; what is in its cache is found anyhow.
HUB_ONLINE = os.environ.get("FIRSTLIGHT_HUB") == "online"
MODEL_ROOTS = places.model_roots()
TASK_UPLOAD_MAX_BYTES = 100 * 2**20
#: Bytes that somebody who is not signed in may send: a form, or a wrong token's request.
ANONYMOUS_MAX_BYTES = 64 * 2**10


# --- How long things may take, in seconds. ---
def _seconds(name: str, usual: float) -> float:
    """`FIRSTLIGHT_<NAME>`, else `usual`."""
    value = os.environ.get(f"FIRSTLIGHT_{name}", "")
    try:
        seconds = float(value or usual)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise ImproperlyConfigured(f"FIRSTLIGHT_{name} is {value!r}: give a number of seconds above 0.")
    return seconds


#: Work of a worker that was not heard of for so long is free for others.
LEASE_SECONDS = _seconds("LEASE_SECONDS", 60)
HEARTBEAT_SECONDS = LEASE_SECONDS / 4
SWEEP_SECONDS = _seconds("SWEEP_SECONDS", 30)
#: A unit that failed is tried again after so long, and twice as long each time.
BACKOFF_SECONDS = _seconds("BACKOFF_SECONDS", 2)
#: An engine that does not open is tried again after so long, and twice as long each time, up to the second.
HOLD_SECONDS, MOST_HOLD_SECONDS = _seconds("HOLD_SECONDS", 30), _seconds("MOST_HOLD_SECONDS", 900)
#: An engine process that makes no step for so long is killed; to open an engine may take the second.
WATCHDOG_SECONDS, LOAD_SECONDS = _seconds("WATCHDOG_SECONDS", 120), _seconds("LOAD_SECONDS", 900)
#: An open engine serves its checkpoint for so long while another waits; the second where another team waits.
KEEP_SECONDS, KEEP_FOR_OTHERS_SECONDS = (
    _seconds("KEEP_SECONDS", 600),
    _seconds("KEEP_FOR_OTHERS_SECONDS", 120),
)

# --- Celery: the doorbell. The database is the truth; a lost or doubled message costs time, never data. ---
CELERY_BROKER_URL = places.broker_url()
CELERY_BROKER_TRANSPORT_OPTIONS: dict[str, object] = {
    "visibility_timeout": 300,
    "unacked_restore_throttle": 1,
}
if CELERY_BROKER_URL == "filesystem://":
    _folder = places.home() / "broker"
    CELERY_BROKER_TRANSPORT_OPTIONS = {
        "data_folder_in": str(_folder / "messages"),
        "data_folder_out": str(_folder / "messages"),
        "control_folder": str(_folder / "control"),
        "processed_folder": str(_folder / "processed"),
        "store_processed": False,
    }
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
CELERY_BROKER_HEALTH_CHECK_INTERVAL = 25
CELERY_REDIS_BACKEND_HEALTH_CHECK_INTERVAL = 25
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_TASK_TIME_LIMIT = WATCHDOG_SECONDS + LOAD_SECONDS
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_SOFT_SHUTDOWN_TIMEOUT = 30
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_TASK_DEFAULT_QUEUE = "site"
CELERY_IMPORTS = ["workers.tasks"]
CELERY_BEAT_SCHEDULE = {
    "sweep": {"task": "workers.sweep", "schedule": SWEEP_SECONDS},
    "reconcile": {"task": "workers.reconcile", "schedule": 3600.0},
}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "{asctime} {levelname} {name}: {message}", "style": "{"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": os.environ.get("FIRSTLIGHT_LOG_LEVEL", "INFO")},
}
