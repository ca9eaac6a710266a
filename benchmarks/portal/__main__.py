"""One step of a measurement: `python -m benchmarks.portal '{"STEP": ARGUMENT}'` prints its result as JSON."""

from benchmarks.step import print_step

if __name__ == "__main__":
    print_step("benchmarks.portal")
