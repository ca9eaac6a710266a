"""Django's WSGI application, which the front runs in its threads (`server/front/wsgi.py`)."""

from django.core.wsgi import get_wsgi_application

application = get_wsgi_application()
