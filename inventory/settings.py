"""Django's settings, all of them from the environment: see docs/inventory.md."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from inventory import environment

EMBEDDED = environment.embedded()
HTTPS = environment.flag("CAMCENSUS_HTTPS", default=not EMBEDDED)
"""Whether browsers reach this over HTTPS; the embedded inventory is for this machine alone."""

PAGES = Path(__file__).parent / "pages"
"""The folder of the pages, with their templates, styles, scripts."""

DEBUG = environment.flag("CAMCENSUS_DEBUG", default=False)
SECRET_KEY = environment.secret_key()
# Whatever looks after the machine asks it by these names.
ALLOWED_HOSTS = [*environment.words("CAMCENSUS_ALLOWED_HOSTS", ""), "localhost", "127.0.0.1", "[::1]"]
CSRF_TRUSTED_ORIGINS = environment.words("CAMCENSUS_TRUSTED_ORIGINS", "")

OIDC = environment.sign_on()
"""The provider of single sign-on, if there is one."""
AUTHENTICATION_BACKENDS = ["django.contrib.auth.backends.ModelBackend"]
if OIDC is not None:
    if find_spec("mozilla_django_oidc") is None:
        raise environment.EnvironmentMistake(
            "CAMCENSUS_OIDC_ISSUER wants a package more: pip install 'camcensus[oidc]'"
        )
    AUTHENTICATION_BACKENDS.append("inventory.single_sign_on.Backend")

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.humanize",
    "django.contrib.staticfiles",
    "inventory.apps.InventoryConfig",
]
MIDDLEWARE = [
    "inventory.headers.security_headers",
    "inventory.clock.keep_time",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "inventory.urls"
WSGI_APPLICATION = "inventory.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [PAGES / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "builtins": ["inventory.pages.tags"],
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    }
]

DATABASES = {"default": environment.database()}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "CommonPasswordValidator", "NumericPasswordValidator")
] + [
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 12},
    }
]

USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en-gb"
STATIC_URL = "static/"
STATICFILES_DIRS = [PAGES / "static"]
# The files are few and come with the package: they are served from where they are, without a copy.
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = DEBUG
WHITENOISE_MAX_AGE = 24 * 3600
LOGIN_URL = "sign-in"
LOGIN_REDIRECT_URL = "overview"
APPEND_SLASH = False

SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_AGE = 12 * 3600
SESSION_COOKIE_SECURE = HTTPS
CSRF_COOKIE_SECURE = HTTPS
SECURE_SSL_REDIRECT = HTTPS
# A probe of the machine that runs us speaks plain HTTP to us, not to the proxy.
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$", r"^metrics$"]
SECURE_HSTS_SECONDS = 365 * 24 * 3600 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = HTTPS
SECURE_HSTS_PRELOAD = HTTPS
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
if environment.flag("CAMCENSUS_BEHIND_PROXY", default=False):
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

# Reports are read in pieces under a bound of their own; forms stay small.
DATA_UPLOAD_MAX_MEMORY_SIZE = 2 * 1024 * 1024

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"()": "inventory.logs.JsonLines"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": "INFO"},
    "loggers": {"django": {"handlers": [], "level": "INFO", "propagate": True}},
}

CAMCENSUS_MAX_BODY = environment.number("CAMCENSUS_MAX_BODY", 32 * 1024 * 1024)
"""Most bytes of a report as it is sent."""
CAMCENSUS_MAX_REPORT = environment.number("CAMCENSUS_MAX_REPORT", 256 * 1024 * 1024)
"""Most bytes of a report when it is unpacked."""
CAMCENSUS_ABSENCES = environment.number("CAMCENSUS_ABSENCES", 3)
"""How many complete scans have to miss a removed device until it is verified gone."""
CAMCENSUS_SIGHTING_GAP_HOURS = environment.number("CAMCENSUS_SIGHTING_GAP_HOURS", 7 * 24)
"""Longest silence, in hours, that does not end an interval in which a device was seen."""
CAMCENSUS_METRICS_TOKEN = environment.words("CAMCENSUS_METRICS_TOKEN", "")
"""The bearer tokens that may read /metrics; none: whoever reaches it may."""
