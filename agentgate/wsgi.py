"""The WSGI application that the production server runs."""

import os

from django.core.wsgi import get_wsgi_application

from agentgate.draining import drained

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "agentgate.settings")

application = drained(get_wsgi_application())
