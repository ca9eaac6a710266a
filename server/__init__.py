"""The processes: the HTTP front with its supervisor, the sequencer, the worker, the doctor and the metrics.

Nothing here imports the project. Its processes read the settings as Django does.
"""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "agentgate.settings")
