"""The WSGI application. The caller sets `DJANGO_SETTINGS_MODULE`."""

from django.core.wsgi import get_wsgi_application

application = get_wsgi_application()
