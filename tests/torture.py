#!/usr/bin/python3
"""Long runs with random faults; `make torture` calls this.

    tests/torture.py [--seconds N] [kill] [full]

kill  filters under load while their processes and every abictl are killed at random, and the old
      cron line deletes what it likes: cache files and markers are always whole, nothing that
      waits stays behind, and afterwards everything works
full  the cache directory on a file system that fills up and empties again
"""
import argparse
import contextlib
import ipaddress
import os
import random
import signal
import subprocess
import sys
import threading
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))

import testenv  # noqa: E402
from apistub import ApiStub, score  # noqa: E402
from filter import DUNNO, REFUSED, Filter  # noqa: E402
from testenv import FILTER_USER, Site, processes_of, wait_until  # noqa: E402

ADDRESSES = [str(ipaddress.ip_address("11.0.0.0") + n) for n in range(2000)]
ENDS_WELL = (b"", DUNNO, REFUSED)


def whole(path):
    """Is this file of the cache directory whole, and of a kind that belongs there?"""
    name = os.path.basename(path)
    try:
        text = testenv.read_file(path)
    except FileNotFoundError:
        return True
    if name.startswith(".tmp-"):
        return True
    if name == ".budget":
        return len(text.split()) == 2
    if name.startswith(".rest-"):
        return text.endswith("\n") and text.split("\n")[0].isdigit()
    ipaddress.ip_address(name)
    return text.endswith("\n") and 0 <= int(text.split("\n")[0]) <= 100


def look(site, failures):
    for name in os.listdir(site.cache):
        path = os.path.join(site.cache, name)
        if name != ".lock" and not whole(path):
            failures.append(f"{name} is torn")


def customer(site, end, failures, counts):
    """One smtpd after another, each asking some times, until the end."""
    while time.monotonic() < end:
        with Filter(site) as filter_:
            for _ in range(random.randrange(1, 40)):
                try:
                    reply = filter_.ask(random.choice(ADDRESSES))
                except OSError:
                    break  # killed
                if reply not in ENDS_WELL:
                    failures.append(f"strange reply {reply!r}")
                counts["replies"] += bool(reply)
                if not reply:
                    break


def killer(end, counts):
    """Kills a process of ours, any, a hundred times a second."""
    mine = testenv.scratch() + "/sbin/"
    while time.monotonic() < end:
        for pid in random.sample(found := processes_of(mine), min(1, len(found))):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, random.choice((signal.SIGKILL, signal.SIGKILL, signal.SIGTERM)))
                counts["killed"] += 1
        time.sleep(random.random() / 50)


def cron(site, end):
    while time.monotonic() < end:
        subprocess.run(["find", site.cache, "-type", "f", "-mmin", "+0.02", "-delete"],
                       stderr=subprocess.DEVNULL, check=False)
        time.sleep(0.5)


def run_threads(*targets):
    threads = [threading.Thread(target=function, args=arguments) for function, *arguments in targets]
    for thread in threads:
        thread.start()
    return threads


def torture_kill(seconds):
    """SIGKILL at random points under load."""
    failures, counts = [], {"replies": 0, "killed": 0}
    stub = ApiStub().start()
    stub.limit = 1 << 30
    for address in ADDRESSES:
        stub.answers[address] = score(random.randrange(101))
    site = Site(stub.url, {"reputation.timeout": "1s", "filter.deadline": "2s",
                           "reputation.daily_limit": "0", "log.level": "error"})
    testenv.program("abichecker")  # copied before there are threads
    end = time.monotonic() + seconds
    threads = run_threads((killer, end, counts), (cron, site, end),
                          *[(customer, site, end, failures, counts)] * 8)
    while time.monotonic() < end:
        look(site, failures)
        time.sleep(0.1)
    for thread in threads:
        thread.join()
    wait_until(lambda: not processes_of(testenv.scratch() + "/sbin/"), "all processes to end")
    look(site, failures)
    site.abictl("cache", "clean")
    for name in os.listdir(site.cache):
        if name.startswith(".rest-"):
            os.unlink(os.path.join(site.cache, name))
    with Filter(site) as filter_:
        stub.answers["9.9.9.9"] = score(71)
        reply = filter_.ask("9.9.9.9")
        if not reply.startswith(b"action=521"):
            failures.append(f"afterwards: {reply!r}; {site.log()[-2000:]}")
    stub.stop()
    print(f"kill: {counts['replies']} replies, {counts['killed']} killed, "
          f"{len(os.listdir(site.cache))} files")
    return failures


def torture_full(seconds):
    """A file system that is full, then not, then full again."""
    failures = []
    stub = ApiStub().start()
    stub.limit = 1 << 30
    for address in ADDRESSES:
        stub.answers[address] = score(100)
    site = Site(stub.url, {"reputation.timeout": "1s", "reputation.daily_limit": "0"})
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size=64k,mode=750,uid={FILTER_USER.pw_uid}",
                    "tmpfs", site.cache], check=True)
    testenv.at_exit(lambda: subprocess.run(["umount", "-l", site.cache],
                                           stderr=subprocess.DEVNULL, check=False))
    end, rounds = time.monotonic() + seconds, 0
    with Filter(site) as filter_:
        while time.monotonic() < end:
            rounds += 1
            for address in random.sample(ADDRESSES, 40):
                reply = filter_.ask(address)
                if not reply.startswith(b"action=521"):
                    failures.append(f"full disk: {reply!r}; {site.log()[-1000:]}")
            look(site, failures)
            for name in os.listdir(site.cache):
                if name != ".lock" and random.random() < 0.7:
                    os.unlink(os.path.join(site.cache, name))
        temporary = [n for n in os.listdir(site.cache) if n.startswith(".tmp-")]
        if temporary:
            failures.append(f"left behind: {temporary}")
    subprocess.run(["umount", site.cache], check=True)
    stub.stop()
    print(f"full: {rounds} rounds")
    return failures


TORTURES = {"kill": torture_kill, "full": torture_full}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("which", nargs="*", default=list(TORTURES))
    options = parser.parse_args()
    failed = 0
    for name in options.which:
        failures = TORTURES[name](options.seconds)
        for failure in sorted(set(failures))[:20]:
            print(f"{name}: {failure}")
        failed += bool(failures)
    print(f"{len(options.which) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
