"""Run one step of a measurement and print its result as JSON: `python -m benchmarks.pages '{"STEP": ARGUMENT}'`."""

import json
import sys

import django

if __name__ == "__main__":
    django.setup()
    from benchmarks.pages.steps import STEPS  # imports models, so Django must be set up

    ((step, argument),) = json.loads(sys.argv[1]).items()
    print(json.dumps(STEPS[step](argument)))  # noqa: T201
