"""Print settings, as the environment makes them: `python -m tests.server.shown NAME...`."""

import sys

from django.conf import settings

sys.stdout.write(" ".join(repr(getattr(settings, name)) for name in sys.argv[1:]))
