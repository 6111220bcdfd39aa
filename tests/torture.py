#!/usr/bin/python3
"""Long runs with random faults; `make torture` calls this.

    tests/torture.py [--seconds N] [--sessions N] [--seed N] [kill] [full] [store] [scan] [smtp]

kill   filters under load while their processes and every abictl are killed at random, and the old
       cron line deletes what it likes: cache files and markers are always whole, nothing that
       waits stays behind, and afterwards everything works
full   the cache directory on a file system that fills up and empties again
store  filters that count logins are killed at random: the database stays whole, and has every
       login whose reply was given
scan   scans of a log that grows and is rotated are killed at random, also while they write the
       snapshot and the map, on disks that fill up and empty again: each line is counted once,
       snapshot and map are always whole, and one scan afterwards makes good what is missing
smtp   a real Postfix with 10,000 hostile SMTP sessions: a scan of its log counts against each
       client what this client was refused, and nothing against anybody else
"""
import argparse
import collections
import contextlib
import ipaddress
import os
import random
import re
import shutil
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
from torture_smtp import torture_smtp  # noqa: E402

# Each in a network of its own, of which none gets more than 20 calls.
ADDRESSES = [str(ipaddress.ip_address("11.0.0.1") + 256 * n) for n in range(2000)]
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
    if name in (".scan-since", ".scan-names"):
        return text.endswith("\n")
    if name.startswith(".budget"):
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


class GrowingLog:
    """A mail log in which OFFENDERS are listed at their first line and SUSPECTS never. One that
    is cut is copied first, as logrotate does; nothing is written meanwhile."""

    OFFENDERS = [f"11.1.{n // 200}.{n % 200 + 1}" for n in range(600)]
    SUSPECTS = [f"2a02:d540:{n:x}::a" for n in range(1, 300)]
    RULES = "auth-failure=1/1d hostname-mismatch=1000000/1d"

    def __init__(self, site):
        self.directory = testenv.new_directory("mail")
        self.path = os.path.join(self.directory, "mail.log")
        self.written, self.rotations = collections.Counter(), 0
        testenv.write_file(self.path, "")
        site.configure(**{"blacklist.logs": self.path, "blacklist.rules": self.RULES})

    @staticmethod
    def line(address):
        head = time.strftime("%b %e %H:%M:%S") + " mx1 postfix/smtpd[77]: "
        if ":" in address:
            return (f"{head}warning: hostname no.example.net does not resolve to address "
                    f"{address}: Name or service not known\n")
        return f"{head}warning: unknown[{address}]: SASL LOGIN authentication failed: x\n"

    def write(self, end):
        """Lines until the end, some of them in two parts; those that are complete count."""
        log = open(self.path, "ab", buffering=0)
        while time.monotonic() < end:
            for address in random.choices(self.OFFENDERS + self.SUSPECTS,
                                          k=random.randrange(1, 60)):
                line = self.line(address).encode()
                cut = random.randrange(len(line)) if random.random() < 0.1 else 0
                for part in (line[:cut], line[cut:]):
                    log.write(part)
                    if cut:
                        time.sleep(random.random() / 100)
                self.written[address] += 1
            if random.random() < 0.02:
                log = self.rotate(log)
            time.sleep(random.random() / 50)
        log.close()

    def rotate(self, log):
        """By renaming it, and at times somebody goes on writing; or by a copy."""
        self.rotations += 1
        for number in range(self.rotations, 1, -1):
            os.rename(f"{self.path}.{number - 1}", f"{self.path}.{number}")
        if random.random() < 0.3:
            shutil.copy2(self.path, f"{self.path}.1")
            log.truncate(0)
            return log
        os.rename(self.path, f"{self.path}.1")
        if random.random() < 0.5:
            log.write(self.line(self.OFFENDERS[0]).encode())
            self.written[self.OFFENDERS[0]] += 1
        log.close()
        return open(self.path, "ab", buffering=0)


class MapSite:
    """A site with a snapshot and a map, each on a small disk, and how both must always look."""

    FOREIGN = "198.51.100.7"

    def __init__(self):
        self.site = Site(options={"filter.checks": "blacklist", "log.level": "warning"})
        self.state = os.path.dirname(self.site.store)
        self.maps = testenv.new_directory("maps")
        self.unmount = [testenv.mount_tmpfs(self.state, "size=8m"),
                        testenv.mount_tmpfs(self.maps, "size=1m,mode=755,uid=0")]
        self.map = os.path.join(self.maps, "access")
        testenv.write_file(self.map, f"# ours\n{self.FOREIGN}\tREJECT foreign\n")
        subprocess.run(["postmap", f"hash:{self.map}"], check=True)
        self.site.configure(**{
            "blacklist.snapshot": os.path.join(self.state, "blacklist.cdb"),
            "blacklist.map": f"hash:{self.map}", "store.timeout": "20s"})

    def scan(self, *options):
        """Starts one as root, as the timer does."""
        return subprocess.Popen([testenv.program("abictl"), "-c", self.site.conf, "scan",
                                 *options], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                stderr=subprocess.PIPE, text=True, cwd="/")

    def keys(self):
        """What postmap(1) reads in the map's index."""
        read = subprocess.run(["postmap", "-s", f"hash:{self.map}"], capture_output=True,
                              text=True, check=False)
        if read.returncode != 0:
            return {"unreadable": read.stderr}
        return dict(line.split("\t", 1) for line in read.stdout.splitlines())

    def look(self, failures):
        """Are snapshot and map whole, and is the foreign line there?"""
        text = testenv.read_file(self.map)
        if not text.endswith(f"# ours\n{self.FOREIGN}\tREJECT foreign\n") or (
                text.startswith("# BEGIN") and "\n# END" not in text):
            failures.append(f"the map is torn: {text[:80]!r} ... {text[-80:]!r}")
        keys = self.keys()
        if keys.get(self.FOREIGN) != "REJECT foreign":
            failures.append(f"the map's index lacks a line of {len(keys)}: "
                            f"{keys.get('unreadable')}")
        with Filter(self.site) as filter_:
            reply = filter_.ask("192.0.2.1")
            if reply != DUNNO:
                failures.append(f"a stranger: {reply!r}")
        failures += self.site.log_lines(r"blacklist: .*(snapshot|cdb)")

    def fill(self, end, counts):
        """Now and then no room is left on one of the disks, for a while."""
        while time.monotonic() < end:
            path = os.path.join(random.choice((self.state, self.maps)), "ballast")
            with contextlib.suppress(OSError), open(path, "wb", buffering=0) as ballast:
                while ballast.write(b"x" * 4096):
                    pass
            counts["full"] += 1
            time.sleep(random.random() / 2)
            os.unlink(path)
            time.sleep(random.random())


def scanner(place, options, end, counts):
    """One scan after another, until the end."""
    while time.monotonic() < end:
        process = place.scan(*options)
        try:
            process.communicate(timeout=max(0.1, end - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.terminate()
            process.communicate()
        counts["scans"] += 1
        counts["good"] += process.returncode == 0


def postmaps(maps):
    """The processes of postmap(1) that build our map, also when their scan was killed."""
    found = []
    for pid in processes_of("/usr/sbin/postmap"):
        with contextlib.suppress(OSError):
            if os.readlink(f"/proc/{pid}/cwd") == maps:
                found.append(pid)
    return found


def scan_killer(maps, end, counts):
    """Kills a scan, its child, or the postmap of our map, whichever, every now and then."""
    mine = testenv.scratch() + "/sbin/abictl"
    while time.monotonic() < end:
        time.sleep(random.random() / 10)
        found = processes_of(mine) + postmaps(maps)
        for pid in random.sample(found, min(1, len(found))):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
                counts["killed"] += 1


def scan_result(place, log, failures):
    """After one undisturbed scan: is all of it as it must be?"""
    process = place.scan()
    _, said = process.communicate(timeout=testenv.PATIENCE)
    if process.returncode != 0:
        failures.append(f"afterwards: exit status {process.returncode}: {said[-500:]}")
    site = place.site
    counted = dict(site.query("SELECT block, hits FROM abichecker_offenders WHERE listed"))
    counted.update(site.query("SELECT block, count(*) FROM abichecker_hits GROUP BY block"))
    written = {str(ipaddress.ip_network(f"{address}/{64 if ':' in address else 32}", False)): lines
               for address, lines in log.written.items()}
    if counted != written:
        wrong = {block: (lines, counted.get(block, 0)) for block, lines in written.items()
                 if lines != counted.get(block, 0)}
        failures.append(f"{sum(written.values())} lines written, {sum(counted.values())} counted, "
                        f"{log.rotations} rotations; such as (written, counted) "
                        f"{list(wrong.items())[:5]}; "
                        f"{site.log_lines('not read|passed over|understood|unknown format')[:5]}")
    listed = {address for address in log.written if ":" not in address}
    keys = set(place.keys()) - {place.FOREIGN}
    if keys != listed:
        failures.append(f"the map has {len(keys)} offenders, not {len(listed)}")
    with Filter(site) as filter_:
        for address in log.OFFENDERS + log.SUSPECTS:
            reply = filter_.ask(address)
            if (reply != DUNNO) != (address in listed):
                failures.append(f"afterwards {address}: {reply!r}")
    if checked := [row for row in site.query("PRAGMA integrity_check") if row != ("ok",)]:
        failures.append(f"the database is broken: {checked[:3]}")
    for directory in (place.state, place.maps):
        for name in os.listdir(directory):
            if re.search(r"\.new|-new", name):
                failures.append(f"left behind: {name}")


def torture_scan(seconds):
    """SIGKILL at random points of scans, and disks that fill up; now and then all is looked at,
    and begun anew."""
    failures, counts = [], collections.Counter()
    testenv.program("abictl")
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        place = MapSite()
        log = GrowingLog(place.site)
        round_end = time.monotonic() + min(20, max(5, end - time.monotonic()))
        threads = run_threads(
            (log.write, round_end), (scanner, place, (), round_end, counts),
            (scanner, place, (), round_end, counts),
            (scanner, place, ("--follow",), round_end, counts),
            (scan_killer, place.maps, round_end, counts), (place.fill, round_end, counts))
        while time.monotonic() < round_end:
            place.look(failures)
            time.sleep(0.2)
        for thread in threads:
            thread.join()
        wait_until(lambda: not processes_of(testenv.scratch() + "/sbin/"), "all scans to end")
        wait_until(lambda: not postmaps(place.maps), "their postmap to end")
        scan_result(place, log, failures)
        counts["lines"] += sum(log.written.values())
        counts["rotated"] += log.rotations
        for unmount in place.unmount:
            unmount()
    print(f"scan: {counts['lines']} lines, {counts['rotated']} rotations, {counts['scans']} scans, "
          f"{counts['good']} of them good, {counts['killed']} kills, {counts['full']} full disks")
    return failures


TORTURES = {"kill": torture_kill, "full": torture_full, "store": torture_store,
            "scan": torture_scan, "smtp": None}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--sessions", type=int, default=10000, help="of smtp")
    parser.add_argument("--seed", default=str(random.randrange(1 << 32)), help="of smtp")
    parser.add_argument("--keep", metavar="FILE", help="where the log of smtp is saved")
    parser.add_argument("which", nargs="*", default=list(TORTURES))
    options = parser.parse_args()
    failed = 0
    for name in options.which:
        if name == "smtp":
            failures = torture_smtp(options.sessions, options.seed, options.keep)
        else:
            failures = TORTURES[name](options.seconds)
        for failure in sorted(set(failures))[:20]:
            print(f"{name}: {failure}")
        failed += bool(failures)
    print(f"{len(options.which) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
