#!/usr/bin/python3
"""Long runs with random faults; `make torture` calls this.

    tests/torture.py [--seconds N] [kill] [full] [store]

kill   filters under load while their processes and every abictl are killed at random, and the old
       cron line deletes what it likes: cache files and markers are always whole, nothing that
       waits stays behind, and afterwards everything works
full   the cache directory on a file system that fills up and empties again
store  filters that count logins are killed at random: the database stays whole, and has every
       login whose reply was given
"""
import argparse
import collections
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
from testenv import Site, processes_of, wait_until  # noqa: E402

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


def customer(site, end, ask):
    """One smtpd after another, each asking some times, until the end. ask(filter) has the reply."""
    while time.monotonic() < end:
        with Filter(site) as filter_:
            for _ in range(random.randrange(1, 40)):
                try:
                    if not ask(filter_):
                        break
                except OSError:
                    break  # killed


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

    def ask(filter_):
        reply = filter_.ask(random.choice(ADDRESSES))
        if reply not in ENDS_WELL:
            failures.append(f"strange reply {reply!r}")
        counts["replies"] += bool(reply)
        return reply
    threads = run_threads((killer, end, counts), (cron, site, end),
                          *[(customer, site, end, ask)] * 8)
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
    unmount = testenv.mount_tmpfs(site.cache, "size=64k")
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
    unmount()
    stub.stop()
    print(f"full: {rounds} rounds")
    return failures


def count_logins(site, seconds, counts):
    """Users log in for so long while filters are killed: what was asked, what was answered, by
    (user, address)."""
    sent, answered, lock = collections.Counter(), collections.Counter(), threading.Lock()

    def ask(filter_):
        login = f"user{random.randrange(100)}@example.org", f"11.0.0.{random.randrange(30)}"
        with lock:
            sent[login] += 1
        reply = filter_.ask(login[1], sasl_method="PLAIN", sasl_username=login[0])
        if reply:
            with lock:
                answered[login] += 1
                if reply != DUNNO:
                    answered["strange", reply] += 1
        return reply
    end = time.monotonic() + seconds
    for thread in run_threads((killer, end, counts), *[(customer, site, end, ask)] * 16):
        thread.join()
    return sent, answered


def torture_store(seconds):
    """SIGKILL at random points while logins are counted; now and then the store is closed by all,
    looked at, and begun anew."""
    failures, counts, logins = [], {"killed": 0}, 0
    testenv.program("abichecker")
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        site = Site(options={"geocount.countries": "0", "geocount.addresses": "1000000",
                             "store.timeout": "20s", "filter.deadline": "30s",
                             "log.level": "error"})
        sent, answered = count_logins(site, min(10, max(1, end - time.monotonic())), counts)
        checked = site.query("PRAGMA integrity_check")
        if checked != [("ok",)]:
            failures.append(f"the database is broken: {checked[:3]}")
        stored = {(user, address): count for user, address, count in site.query(
            "SELECT sasl_username, ip_address, login_count FROM postfwd_logins")}
        for login in sent | answered | stored:
            if not answered[login] <= stored.get(login, 0) <= sent[login]:
                failures.append(f"{login}: {answered[login]} answered, {stored.get(login, 0)} "
                                f"stored, {sent[login]} asked")
        if site.log():
            failures.append(f"logged: {site.log()[-1000:]}")
        logins += sum(answered.values())
    print(f"store: {logins} logins answered, {counts['killed']} killed")
    return failures


TORTURES = {"kill": torture_kill, "full": torture_full, "store": torture_store}


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
