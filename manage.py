#!/usr/bin/env python
"""Run Django's command line with AgentGate's settings."""

import os
import sys

from django.core.management import execute_from_command_line

from agentgate.databases import create_sqlite_folder

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "agentgate.settings")
    create_sqlite_folder()
    execute_from_command_line(sys.argv)
