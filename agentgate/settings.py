"""Django's settings, read from the environment (`agentgate/environment.py`). Importing them has no side effects."""

import tomllib
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from django.utils.csp import CSP
from redis.backoff import NoBackoff
from redis.retry import Retry

from agentgate.databases import postgresql, role_database, sqlite, sqlite_path
from agentgate.environment import (
    BASE_DIR,
    ENVIRONMENT,
    read_algorithm,
    read_allow_loopback,
    read_api_port,
    read_api_url,
    read_archive_after,
    read_issuer,
    read_jwt_secret,
    read_log_format,
    read_metrics_token,
    read_retention,
    read_secret_key,
    read_verify_queue,
    read_witnesses,
)
from agentgate.mailers import mailer
from agentgate.schedule import SCHEDULE
from agentgate.storages import archive_storage
from core import timeouts
from core.uris import LOOPBACK_NAMES

VERSION = tomllib.loads((BASE_DIR / "pyproject.toml").read_text())["project"]["version"]

# AgentGate itself

JWT_SECRET = read_jwt_secret(ENVIRONMENT)
JWT_ALGORITHM = read_algorithm(ENVIRONMENT)
API_URL = read_api_url(ENVIRONMENT)
JWT_ISSUER = read_issuer(ENVIRONMENT, API_URL)
TRUSTED_PROXIES = ENVIRONMENT.networks("TRUSTED_PROXIES")
METRICS_TOKEN = read_metrics_token(ENVIRONMENT)
HOST = ENVIRONMENT.text("HOST", "127.0.0.1")
API_PORT = read_api_port(ENVIRONMENT)
# One process without PostgreSQL, because the cache is in its memory.
WEB_CONCURRENCY = max(1, ENVIRONMENT.number("WEB_CONCURRENCY", 2 if ENVIRONMENT.text("DATABASE_URL") else 1))
# The worker touches the file.
HEARTBEAT_PATH = ENVIRONMENT.path("HEARTBEAT_PATH", "var/heartbeat")
VERIFY_REQUIRES_CREDENTIAL = ENVIRONMENT.flag("VERIFY_REQUIRES_CREDENTIAL")
THROTTLE_REGISTRATION = ENVIRONMENT.text("THROTTLE_REGISTRATION", "20/hour")
THROTTLE_SIGN_IN = ENVIRONMENT.text("THROTTLE_SIGN_IN", "10/minute")
THROTTLE_CLIENT_AUTH = ENVIRONMENT.text("THROTTLE_CLIENT_AUTH", "30/minute")
THROTTLE_INITIATE = ENVIRONMENT.text("THROTTLE_INITIATE", "60/minute")
THROTTLE_DELEGATE = ENVIRONMENT.text("THROTTLE_DELEGATE", "600/minute")
THROTTLE_VERIFY = ENVIRONMENT.text("THROTTLE_VERIFY", "600/minute")
# Only the servers of the tests change these: they count what one account or organization does.
THROTTLE_EXPORT = "20/hour"
THROTTLE_AGENTS = "200/hour"
THROTTLE_REPORTS = "10/day"
THROTTLE_POLICIES = "60/minute"
VERIFY_QUEUE = read_verify_queue(ENVIRONMENT)
# Checkpoints of the log are copied here, outside the database.
AUDIT_ANCHOR_DIR = ENVIRONMENT.path("AUDIT_ANCHOR_DIR", "var/anchors")
AUDIT_WITNESSES = read_witnesses(ENVIRONMENT)
# Months of the log that are so old are archived. None: never.
AUDIT_ARCHIVE_AFTER_MONTHS = read_archive_after(ENVIRONMENT)
# For how many months the personal data of entries without a person is kept.
AUDIT_PERSONAL_RETENTION_MONTHS = read_retention(ENVIRONMENT)
# Where `./dev manage doctor` looks for backups, and how old the newest may be.
BACKUP_DIR = ENVIRONMENT.path("BACKUP_DIR", "") if ENVIRONMENT.text("BACKUP_DIR") else None
BACKUP_MAX_AGE_HOURS = ENVIRONMENT.number("BACKUP_MAX_AGE_HOURS", 26)
# Two ways for clients to become known without a developer account. Either can be turned off.
OAUTH_DYNAMIC_REGISTRATION = ENVIRONMENT.flag("OAUTH_DYNAMIC_REGISTRATION", default=True)
OAUTH_CLIENT_METADATA_DOCUMENTS = ENVIRONMENT.flag("OAUTH_CLIENT_METADATA_DOCUMENTS", default=True)
WEBHOOK_ALLOW_LOOPBACK = read_allow_loopback(ENVIRONMENT, API_URL)
# Only shown to developers, for their firewalls.
WEBHOOK_ADDRESSES = ENVIRONMENT.networks("WEBHOOK_ADDRESSES")

# Benchmarks change it, because their tokens must outlive them. Other lifetimes are constants where they are used.
ACCESS_TOKEN_LIFETIME = timedelta(minutes=15)

# Django

IS_HTTPS = API_URL.startswith("https://")
HOSTNAME = urlsplit(API_URL).hostname or "localhost"

DEBUG = ENVIRONMENT.flag("DEBUG")
SECRET_KEY = read_secret_key(ENVIRONMENT, JWT_SECRET)
# Loopback names are always allowed, for health checks on the same host.
ALLOWED_HOSTS = [*(ENVIRONMENT.items("ALLOWED_HOSTS") or [HOSTNAME]), *LOOPBACK_NAMES]
CSRF_TRUSTED_ORIGINS = [API_URL] if IS_HTTPS else []
ROOT_URLCONF = "agentgate.urls"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

INSTALLED_APPS = [
    "core",
    "audit",
    "insights",
    "limits",
    "accounts",
    "developers",
    "resources",
    "agents",
    "policies",
    "consent",
    "approvals",
    "tokens",
    "decisions",
    "events",
    "api",
    "oauth",
    "web",
    "administration.apps.AgentGateAdminConfig",
    "server",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.humanize",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "oauth2_provider",
    "rest_framework",
    "drf_spectacular",
    # Last, because it changes what the apps above register in the admin.
    "administration.apps.AdministrationConfig",
    "agentgate.apps.AgentGateConfig",
]

MIDDLEWARE = [
    "server.metrics.MetricsMiddleware",
    "agentgate.middleware.TrustedProxyMiddleware",
    "agentgate.middleware.RequestIdMiddleware",
    "server.request_log.RequestLogMiddleware",
    "agentgate.middleware.DecisionCookiesMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.middleware.csp.ContentSecurityPolicyMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "agentgate.middleware.SessionUseMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "core.languages.LanguageMiddleware",
    "web.requests.access.PrivatePagesMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "core.local.LocalMiddleware",
    "allauth.account.middleware.AccountMiddleware",
]

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
    },
]

# Database: SQLite, which needs no server, or PostgreSQL for production

DATABASE_URL = ENVIRONMENT.text("DATABASE_URL")
DATABASES = {"default": postgresql(DATABASE_URL) if DATABASE_URL else sqlite()}
# The sequencer may have a role of its own, which may append to the log (docs/operations.md).
AUDIT_SEQUENCER_DATABASE = role_database(
    ENVIRONMENT.text("AUDIT_SEQUENCER_DATABASE_URL"), "AUDIT_SEQUENCER_DATABASE_URL"
)
# So may the archiver, which may drop what is archived.
_archiver = role_database(ENVIRONMENT.text("AUDIT_ARCHIVER_DATABASE_URL"), "AUDIT_ARCHIVER_DATABASE_URL")
AUDIT_ARCHIVER_DATABASE = "archiver" if _archiver else "default"
if _archiver:
    DATABASES["archiver"] = _archiver

# Cache and queue: losing them loses no decision

REDIS_URL = ENVIRONMENT.text("REDIS_URL")
CACHES: dict[str, dict[str, Any]]
if REDIS_URL:
    CACHES = {
        "default": {
            "BACKEND": "django_redis.cache.RedisCache",
            "LOCATION": REDIS_URL,
            "OPTIONS": {
                "SOCKET_CONNECT_TIMEOUT": timeouts.REDIS_SECONDS,
                "SOCKET_TIMEOUT": timeouts.REDIS_SECONDS,
                # By default the driver retries three times, which would delay requests for seconds while Redis is down.
                "CONNECTION_POOL_KWARGS": {"retry": Retry(NoBackoff(), 0)},
            },
        }
    }
    DJANGO_REDIS_IGNORE_EXCEPTIONS = True
    CELERY_BROKER_URL = REDIS_URL
    # Without them, the worker would wait without end for a Redis that accepts connections and answers nothing.
    CELERY_BROKER_TRANSPORT_OPTIONS: dict[str, object] = {
        "socket_timeout": timeouts.QUEUE_SECONDS,
        "socket_connect_timeout": timeouts.QUEUE_SECONDS,
    }
else:
    CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
    CELERY_BROKER_URL = "filesystem://"
    # Beside the SQLite file, so that each database has its own queue.
    _queue = sqlite_path().with_suffix(".queue")
    CELERY_BROKER_TRANSPORT_OPTIONS = {
        "data_folder_in": str(_queue / "queue"),
        "data_folder_out": str(_queue / "queue"),
        "processed_folder": str(_queue / "processed"),
        "control_folder": str(_queue / "control"),
        "store_processed": False,
    }

CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
# A process of its own sends events (`server/worker.py`).
CELERY_TASK_ROUTES = {"events.tasks.deliver": {"queue": "events"}}
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TIMEZONE = "UTC"
CELERY_BEAT_SCHEDULE = SCHEDULE
# In memory. The default keeps a file, in which SQLite may end beat with "locking protocol".
CELERY_BEAT_SCHEDULER = "celery.beat:Scheduler"

# Users

# Django's sessions, with a column for the user.
SESSION_ENGINE = "accounts.sessions"

# An account is created only after its address is proved. Off by default with http, where there is no mail server.
REQUIRE_VERIFIED_EMAIL = ENVIRONMENT.flag("REQUIRE_VERIFIED_EMAIL", default=IS_HTTPS)
AUTH_USER_MODEL = "accounts.User"
# It only loads the user of a session. Sign-in uses `accounts.services.check_password`.
AUTHENTICATION_BACKENDS = ["django.contrib.auth.backends.ModelBackend"]
PASSWORD_HASHERS = ["accounts.hashers.BoundedArgon2Hasher"]
MIN_PASSWORD_LENGTH = 8
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": MIN_PASSWORD_LENGTH},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/dashboard"
ACCOUNT_LOGOUT_REDIRECT_URL = "/"
ACCOUNT_ADAPTER = "accounts.adapter.AccountAdapter"
ACCOUNT_FORMS = {
    "login": "accounts.forms.LoginForm",
    "reauthenticate": "accounts.forms.ReauthenticateForm",
    "reset_password": "accounts.forms.ResetPasswordForm",
    "reset_password_from_key": "accounts.forms.ResetPasswordKeyForm",
    "change_password": "accounts.forms.ChangePasswordForm",
}
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
# Addresses are proved by our own codes (`accounts/registration.py`, `accounts/verification.py`), never by a link.
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_UNIQUE_EMAIL = True
ACCOUNT_LOGOUT_ON_GET = False
ACCOUNT_PASSWORD_RESET_TOKEN_GENERATOR = "accounts.reset_tokens.ResetTokens"
PASSWORD_RESET_TIMEOUT = 3600
ACCOUNT_SESSION_REMEMBER = True
# allauth counts in the cache. Our own limits count in the database, and the adapter applies them.
ACCOUNT_RATE_LIMITS = {
    "login": False,
    "login_failed": False,
    "reauthenticate": False,
    "reset_password": False,
    "reset_password_from_key": False,
    "change_password": False,
}
# Passkeys, authenticator apps and recovery codes (`accounts/mfa.py`). Our own pages and services replace allauth's.
MFA_ADAPTER = "accounts.mfa.MFAAdapter"
MFA_SUPPORTED_TYPES = ["webauthn", "totp", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_PASSKEY_SIGNUP_ENABLED = False
MAILERS = {"default": mailer(ENVIRONMENT)}
DEFAULT_FROM_EMAIL = ENVIRONMENT.text("DEFAULT_FROM_EMAIL", f"AgentGate <no-reply@{HOSTNAME}>")

# django-oauth-toolkit: its models, swapped for ours (ADR 10)

OAUTH2_PROVIDER_APPLICATION_MODEL = "agents.Agent"
OAUTH2_PROVIDER_GRANT_MODEL = "consent.AuthorizationCode"
OAUTH2_PROVIDER_ACCESS_TOKEN_MODEL = "tokens.AccessToken"
OAUTH2_PROVIDER_REFRESH_TOKEN_MODEL = "tokens.RefreshToken"
OAUTH2_PROVIDER = {
    "APPLICATION_ADMIN_CLASS": "administration.agents.AgentAdmin",
}
# Checks of the toolkit's own views, which have no URL.
SILENCED_SYSTEM_CHECKS = [f"oauth2_provider.W{number:03}" for number in range(1, 11)]

# The JSON API

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "api.authentication.ApiKeyAuthentication",
        "api.authentication.SessionTokenAuthentication",
        "api.authentication.BrowserSessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_PARSER_CLASSES": ["api.parsers.StrictJSONParser"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_SCHEMA_CLASS": "api.schema.AutoSchema",
    "EXCEPTION_HANDLER": "api.problems.exception_handler",
    "UNAUTHENTICATED_USER": "django.contrib.auth.models.AnonymousUser",
    "URL_FORMAT_OVERRIDE": None,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "AgentGate",
    "VERSION": VERSION,
    "OAS_VERSION": "3.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
    "POSTPROCESSING_HOOKS": ["api.documentation.complete_document"],
}
DATA_UPLOAD_MAX_MEMORY_SIZE = 2 * 1024 * 1024
# Of a form. A policy with 400 conditions has more than 1,200, and a connection with 200 scopes can have 2,000.
DATA_UPLOAD_MAX_NUMBER_FIELDS = 3000
FILE_UPLOAD_HANDLERS = ["server.bodies.RefuseFiles"]

# Browser security

_cookie_prefix = "__Host-" if IS_HTTPS else ""
SESSION_COOKIE_NAME = f"{_cookie_prefix}sessionid"
CSRF_COOKIE_NAME = f"{_cookie_prefix}csrftoken"
BROWSER_COOKIE_NAME = f"{_cookie_prefix}browser"
DEVICE_COOKIE_NAME = f"{_cookie_prefix}device"
ORGANIZATION_COOKIE_NAME = f"{_cookie_prefix}organization"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = IS_HTTPS
SESSION_COOKIE_HTTPONLY = CSRF_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
SECURE_SSL_REDIRECT = IS_HTTPS
SECURE_REDIRECT_EXEMPT = [r"^api/v1/health$", r"^metrics$"]
SECURE_HSTS_SECONDS = 63_072_000 if IS_HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = IS_HTTPS
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
SECURE_CSP = {
    "default-src": [CSP.NONE],
    "style-src": [CSP.SELF],
    "script-src": [CSP.SELF],
    "img-src": [CSP.SELF],
    "font-src": [CSP.SELF],
    "connect-src": [CSP.SELF],
    "form-action": [CSP.SELF],
    "frame-ancestors": [CSP.NONE],
    "base-uri": [CSP.NONE],
}

# Language, time, static files

# Of pages and mails for users (`core/languages.py`). Everything else is in English.
LANGUAGE_CODE = "en"
LANGUAGES = [
    ("de", "Deutsch"),
    ("en", "English"),
    ("es", "Español"),
    ("fr", "Français"),
    ("pt-br", "Português (Brasil)"),
    ("ar", "العربية"),
    ("ja", "日本語"),
    ("zh-hans", "简体中文"),
]
LANGUAGE_COOKIE_NAME = f"{_cookie_prefix}language"
LOCALE_PATHS = [BASE_DIR / "locale"]
USE_TZ = True
TIME_ZONE = "UTC"
STATIC_URL = "/static/"
DOCS_PICTURES = BASE_DIR / "docs" / "images"
STATICFILES_DIRS = [BASE_DIR / "static", ("docs", DOCS_PICTURES)]
STATIC_ROOT = ENVIRONMENT.path("STATIC_ROOT", "var/static")
WHITENOISE_USE_FINDERS = True
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "agentgate.static.StaticFiles"},
    "archive": archive_storage(ENVIRONMENT),
}

LOG_FORMAT = read_log_format(ENVIRONMENT)
# In text, which people read while they develop, a line per request would be in their way.
LOG_REQUESTS = LOG_FORMAT == "json"
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"request_id": {"()": "agentgate.middleware.RequestIdFilter"}},
    "formatters": {
        "text": {"()": "agentgate.logs.TextFormatter"},
        "json": {"()": "agentgate.logs.JsonFormatter"},
    },
    "handlers": {
        "stderr": {"class": "logging.StreamHandler", "formatter": LOG_FORMAT, "filters": ["request_id"]},
        "nowhere": {"class": "logging.NullHandler"},
    },
    # An unknown Host header is answered with 400. Logging a traceback for each would let anyone fill the disk.
    "loggers": {
        "django.security.DisallowedHost": {"handlers": ["nowhere"], "propagate": False},
        # It logs the path of each request that is refused, and the line of the request says the same without the path.
        "django.request": {"level": "ERROR" if LOG_REQUESTS else "WARNING"},
        "fido2": {"level": "WARNING"},  # it logs the id of each passkey
        "httpx": {"level": "WARNING"},  # it logs each request, and each witness gets one per second
    },
    "root": {"handlers": ["stderr"], "level": ENVIRONMENT.text("LOG_LEVEL", "INFO")},
}
