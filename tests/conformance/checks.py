"""Checks by name, carried out one after another: PASS, FAIL or SKIP for each, and a last line."""

import contextlib
import sys
import time
import traceback


class Wrong(Exception):
    """What a peer did against the document."""


class Skipped(Exception):
    """Why a check says nothing about this peer."""


def require(holds, message):
    if not holds:
        raise Wrong(message)


def equal(what, got, expected):
    require(got == expected, f"{what} is {got!r:.200}, expected {expected!r:.200}")


def until(holds, message, seconds=10):
    """Waits until `holds()` is true, and returns what it returned."""
    end = time.monotonic() + seconds
    while True:
        if result := holds():
            return result
        require(time.monotonic() < end, f"{message} (waited {seconds} s)")
        time.sleep(0.01)


class Suite:
    """Checks in the order of their definition."""

    def __init__(self):
        self.checks = []

    def check(self, function):
        self.checks.append(function)
        return function

    def run(self, kit, only=None):
        """Calls every check with `kit` and a stack whose contents end with it; the number that failed."""
        counts = {"PASS": 0, "FAIL": 0, "SKIP": 0}
        for function in self.checks:
            name = function.__name__.replace("_", "-")
            if only and only not in name:
                continue
            start, verdict, why = time.monotonic(), "PASS", ""
            try:
                with contextlib.ExitStack() as stack:
                    function(kit, stack)
            except Skipped as skipped:
                verdict, why = "SKIP", str(skipped)
            except Exception as error:
                verdict, why = "FAIL", f"{type(error).__name__}: {error}"
                if not isinstance(error, Wrong):
                    traceback.print_exc(file=sys.stderr)
                kit.start_afresh()
            counts[verdict] += 1
            print(f"{verdict}  {name}  {time.monotonic() - start:.2f} s" + (f"  {why}" if why else ""), flush=True)
        print(f"{counts['PASS']} passed, {counts['FAIL']} failed, {counts['SKIP']} skipped", flush=True)
        return counts["FAIL"] + (sum(counts.values()) == 0)
