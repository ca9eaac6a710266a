"""A step of a measurement that runs inside Django, in a process of its own."""

import json
import sys
from importlib import import_module

import django


def print_step(package: str) -> None:
    """Run the step of the package's `STEPS` that the arguments name, `{"STEP": ARGUMENT}`, and print its result.

    Both are JSON.
    """
    django.setup()
    steps = import_module(f"{package}.steps").STEPS  # imports models, so Django must be set up
    ((step, argument),) = json.loads(sys.argv[1]).items()
    print(json.dumps(steps[step](argument)))  # noqa: T201
