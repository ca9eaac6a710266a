"""One step of a measurement: `python -m benchmarks.portal '{"STEP": ARGUMENT}'` prints its result as JSON."""

import json
import sys

import django


def main() -> None:
    django.setup()
    from benchmarks.portal.steps import STEPS  # imports models, so Django must be set up

    ((step, argument),) = json.loads(sys.argv[1]).items()
    print(json.dumps(STEPS[step](argument)))  # noqa: T201


if __name__ == "__main__":
    main()
