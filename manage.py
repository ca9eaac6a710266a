#!/usr/bin/env python
"""Run Django's command line with AgentGate's settings."""

import os
import sys

from django.core.management import execute_from_command_line

from agentgate.databases import create_sqlite_folder
from server.doctor.refusal import refusal_of_start


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "agentgate.settings")
    if sys.argv[1:2] != ["doctor"]:
        create_sqlite_folder()
        execute_from_command_line(sys.argv)
        return
    # The doctor creates nothing, and explains also why the settings cannot be read.
    with refusal_of_start(is_json="--json" in sys.argv):
        execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
