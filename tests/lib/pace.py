"""How long something takes, on a machine that has other work as well.

A test that nobody waits, or waits no longer than a time limit, is about the seconds that our
processes sleep. Those in which they would run but get no processor are the machine's: the kernel
counts them for each thread, and Seconds.net is without them, so the same limit holds at any load.
"""
import contextlib
import os
import time

SAN = os.environ.get("SAN") == "1"


class Seconds(float):
    """Seconds of the clock. net: those of them that are the programs' own doing. Of processes that
    ended meanwhile nothing is known: then all their time is."""

    net = 0.0


class Stopwatch:
    """Measures from when it is made."""

    def __init__(self):
        self._before = _excused()
        self._begun = time.monotonic()

    def seconds(self):
        """The Seconds so far."""
        seconds = Seconds(time.monotonic() - self._begun)
        seconds.net = seconds - sum(max(0, excused - self._before.get(thread, 0))
                                    for thread, excused in _excused().items()) / 1e9
        return seconds


def duration(function):
    """Runs a function; returns its value and the Seconds it took."""
    watch = Stopwatch()
    value = function()
    return value, watch.seconds()


def _excused():
    """Thread -> nanoseconds that it was kept waiting for a processor, for each of the tests' own
    processes. What a program runs for is its own doing, but not if it is sanitized."""
    found, waiting = {}, [os.getppid()]  # tests/run's process of the suite, which adopts orphans
    while waiting:
        pid = waiting.pop()
        with contextlib.suppress(OSError):
            for thread in os.listdir(f"/proc/{pid}/task"):
                with contextlib.suppress(OSError):
                    ran, delayed, _ = _read(f"/proc/{pid}/task/{thread}/schedstat").split()
                    found[pid, thread] = int(delayed) + int(ran) * SAN
                    waiting += map(int, _read(f"/proc/{pid}/task/{thread}/children").split())
    return found


def _read(path):
    with open(path, "rb") as file:
        return file.read()
