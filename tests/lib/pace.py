"""How long something takes, on a machine that has other work as well.

A test that nobody waits, or waits no longer than a time limit, is about the seconds that our
processes sleep. Those in which they would run but get no processor are the machine's: the kernel
counts them for each thread, and Seconds.net is without them, so the same limit holds at any load.
"""
import contextlib
import os
import threading
import time

SAN = os.environ.get("SAN") == "1"


class Seconds(float):
    """Seconds of the clock. net: those of them that are the programs' own doing. Of processes that
    ended meanwhile nothing is known: then all their time is."""

    net = 0.0


class Stopwatch:
    """Measures from when it is made. of: the processes that matter, where several are measured at
    the same time; else all of the suite's."""

    def __init__(self, *of):
        self._of = of
        self._before = self._excused()
        self._begun = time.monotonic()

    def seconds(self):
        """The Seconds so far."""
        seconds = Seconds(time.monotonic() - self._begun)
        seconds.net = seconds - sum(max(0, excused - self._before.get(thread, 0))
                                    for thread, excused in self._excused().items()) / 1e9
        return seconds

    def _excused(self):
        """Thread -> nanoseconds that it was kept waiting for a processor. What a program runs for
        is its own doing, but not if it is sanitized."""
        found = {}
        # tests/run has a process for the suite, which adopts orphans.
        waiting = [*self._of, threading.get_native_id()] if self._of else [os.getppid()]
        while waiting:
            pid = waiting.pop()
            with contextlib.suppress(OSError):
                for thread in [pid] if self._of else os.listdir(f"/proc/{pid}/task"):
                    task = f"/proc/{pid}/task/{thread}"
                    with contextlib.suppress(OSError):
                        ran, delayed, _ = _read(f"{task}/schedstat").split()
                        found[thread] = int(delayed) + int(ran) * SAN
                        if not self._of:
                            waiting += map(int, _read(f"{task}/children").split())
        return found


def duration(function, *of):
    """Runs a function; returns its value and the Seconds it took."""
    watch = Stopwatch(*of)
    value = function()
    return value, watch.seconds()


def _read(path):
    with open(path, "rb") as file:
        return file.read()
