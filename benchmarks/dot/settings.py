"""A small project whose only purpose is django-oauth-toolkit's introspection. Without middleware, in its favor."""

from agentgate.databases import postgresql, sqlite
from agentgate.environment import ENVIRONMENT

SECRET_KEY = ENVIRONMENT.text("SECRET_KEY")
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "benchmarks.dot.urls"
INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes", "oauth2_provider"]
MIDDLEWARE: list[str] = []
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
DATABASE_URL = ENVIRONMENT.text("DATABASE_URL")
DATABASE = postgresql(DATABASE_URL) if DATABASE_URL else sqlite()
# A health check would cost a query per request.
DATABASES = {"default": {**DATABASE, "CONN_HEALTH_CHECKS": False}}
OAUTH2_PROVIDER = {"SCOPES": {"introspection": "Introspect tokens", "email:read": "Read mail"}}
SILENCED_SYSTEM_CHECKS = [f"oauth2_provider.W{number:03}" for number in range(1, 11)]
