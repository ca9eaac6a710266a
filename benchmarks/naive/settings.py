"""The product's models and database, with one view of a plain Django REST framework project."""

from agentgate import settings as product
from benchmarks.settings import *  # noqa: F403 - all other settings stay

ACCOUNTS = {"allauth.account": "benchmarks.naive.apps.Accounts"}
INSTALLED_APPS = [ACCOUNTS.get(name, name) for name in product.INSTALLED_APPS]
# A health check would cost a query per request.
DATABASES = {"default": {**product.DATABASES["default"], "CONN_HEALTH_CHECKS": False}}
ROOT_URLCONF = "benchmarks.naive.views"
MIDDLEWARE = ["django.middleware.security.SecurityMiddleware", "django.middleware.common.CommonMiddleware"]
REST_FRAMEWORK = {
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "UNAUTHENTICATED_USER": None,
}
