"""Django's two applications for `benchmarks/front_servers.py`, without middleware."""

import django
from django.conf import settings
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler

django.setup(set_prefix=False)  # allauth insists on its middleware here
settings.MIDDLEWARE = []
application = WSGIHandler()
asynchronous = ASGIHandler()
