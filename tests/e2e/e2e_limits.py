#!/usr/bin/python3
"""The filter where something is scarce, held, stopped or gone: disk space, locks, signals, the
reader of the log. It answers in time, and makes no more calls than it may.

    python3 tests/e2e/e2e_limits.py [-v] [Class.test ...]
"""
import contextlib
import itertools
import os
import resource
import signal
import socket
import sys
import threading
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import apistub  # noqa: E402
import testenv  # noqa: E402
from apistub import error, raw, score  # noqa: E402
from filter import DUNNO, REFUSED, request  # noqa: E402
from pace import duration  # noqa: E402
from sitetest import (LOCK_BUDGET, LOCK_REST, SiteTest, is_address, lock_of,  # noqa: E402
                      locked, wait_until_waited_for)
from testenv import FILTER_USER, wait_until  # noqa: E402

NEW_ADDRESSES = tuple(f"8.8.4.{number}" for number in range(1, 7))
LEAST = b"request=smtpd_access_policy\nclient_address=%b\n\n"
LATE = 0.6  # seconds that an answer may come after the deadline; see pace.py

# Runs what follows with a /dev of its own, in which only a null device and this socket are.
WITH_LOG_SOCKET = """
mount -t tmpfs -o mode=755 tmpfs /dev && mknod -m 666 /dev/null c 1 3 && : >/dev/log &&
mount --bind "$0" /dev/log && exec "$@"
"""


class FullDisk(SiteTest):
    """What cannot be written down must not be forgotten, or asked for again and again."""

    def ask_all(self, site):
        filter_ = self.filter(site)
        for address in NEW_ADDRESSES:
            self.assertEqual(filter_.ask(address), DUNNO)
        self.assertEqual(filter_.ask("9.9.9.9"), REFUSED)

    def test_what_is_there_is_used_and_stays_whole(self):
        for name, limits in (("bytes", "size=64k"), ("files", "size=1m,nr_inodes=3")):
            with self.subTest(name):
                site = self.full_site(limits)
                self.stub.default = score(3)
                self.ask_all(site)
                for address in filter(is_address, os.listdir(site.cache)):
                    self.assertRegex(testenv.read_file(f"{site.cache}/{address}"), r"\A71\n\Z")
                self.assertEqual([entry for entry in os.listdir(site.cache) if "tmp" in entry], [])
                self.assertTrue(site.log_lines("error|warning"), site.log())

    def test_a_429_is_remembered_all_the_same(self):
        site = self.full_site("size=64k", {"reputation.daily_limit": "0"})
        self.stub.default = error(429, retry_after=600)
        self.ask_all(site)
        self.assertEqual(self.stub.count(), 1)
        self.assertIsNone(site.rest())

    def test_a_422_is_remembered_all_the_same(self):
        site = self.full_site("size=64k", {"reputation.daily_limit": "0"})
        self.stub.answers["8.8.4.1"] = error(422, parameter="ipAddress")
        filter_ = self.filter(site)
        for _ in range(3):
            self.assertEqual(filter_.ask("8.8.4.1"), DUNNO)
        self.assertEqual(self.stub.count(), 1)

    def test_a_call_that_cannot_be_counted_is_not_made(self):
        site = self.full_site("size=64k", {"reputation.daily_limit": "3"})
        self.ask_all(site)
        self.assertEqual(self.stub.count(), 0)
        line, = site.log_lines("cannot count API calls: .* no calls for")
        self.assertRegex(line, r" no calls for 1[3-5]s$")


class Held(SiteTest):
    """Locks that another process holds on to, for whatever reason."""

    OPTIONS = {"filter.deadline": "1s", "reputation.timeout": "3s"}

    def assert_in_time(self, filter_, at_least=0.9, address="8.8.4.4"):
        reply, seconds = duration(lambda: filter_.ask(address))
        self.assertEqual(reply, DUNNO)
        self.assertGreaterEqual(seconds, at_least)
        self.assert_within(1 + LATE, seconds)

    def test_the_lock_of_the_address(self):
        site = self.site(self.OPTIONS)
        with locked(site, lock_of("8.8.4.4")):
            self.assert_in_time(self.filter(site))
        self.assertEqual(self.stub.count(), 0)
        self.assertTrue(site.log_lines(r" error: .*\.lock: another process"), site.log())

    def test_the_lock_of_the_address_with_all_signals_blocked(self):
        site = self.site(self.OPTIONS)
        with locked(site, lock_of("8.8.4.4")):
            self.assert_in_time(self.filter(site, preexec_fn=block_all_signals))

    def test_the_locks_of_budget_and_markers(self):
        answers = (apistub.slow(2, score(71)), error(503))
        holds = ((LOCK_BUDGET,), (LOCK_REST,), (LOCK_BUDGET, LOCK_REST))
        for address, (held, answer) in zip(NEW_ADDRESSES, itertools.product(holds, answers)):
            with self.subTest(address, held=held):
                site = self.site(self.OPTIONS)
                self.stub.default = answer
                with locked(site, *held):
                    self.assert_in_time(self.filter(site), at_least=0, address=address)
                    # Without the budget's lock the call could not be counted.
                    calls = int(LOCK_BUDGET not in held)
                    wait_until(lambda: self.stub.count(address) >= calls, "the call")
                    self.assertEqual(self.stub.count(address), calls)

    def test_the_budget_is_held_until_the_call_is_given_up(self):
        site = self.site({"reputation.timeout": "1s"})
        with locked(site, LOCK_BUDGET):
            self.assert_in_time(self.filter(site))
        self.assertEqual(self.stub.count(), 0)
        self.assertRegex(site.rest()[1], "cannot count API calls")

    def test_the_holder_is_stopped_after_it_filled_the_cache(self):
        site = self.site()
        filter_ = self.filter(site)
        with locked(site, lock_of("8.8.4.4")):
            filter_.send(request())
            wait_until_waited_for(site)
            site.put_score("8.8.4.4", 71)
            self.assertEqual(filter_.receive(), REFUSED)
        self.assertEqual(self.stub.count(), 0)

    def test_a_stopped_abictl(self):
        site = self.site({"filter.deadline": "6s", "reputation.timeout": "60s"})
        gate = threading.Event()
        self.stub.default = apistub.held(gate, score(71))
        filter_ = self.filter(site)
        filter_.send(request())
        child, = wait_until(lambda: self.stub.count() == 1 and
                            testenv.children(filter_.process.pid), "the call")
        os.kill(child, signal.SIGSTOP)
        try:
            self.assertEqual(filter_.receive(), DUNNO)
            self.assert_in_time(filter_, at_least=0)
        finally:
            gate.set()
            os.kill(child, signal.SIGCONT)
        wait_until(lambda: site.cached_score("8.8.4.4") == "71", "the score")


class Surroundings(SiteTest):
    """What the process that starts the filter, or the system, does to it."""

    def test_a_limit_for_files(self):
        site = self.cached_site()
        no_files = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))  # noqa: E731
        for existing in (False, True):
            with self.subTest(existing=existing):
                if existing:
                    testenv.write_file(site.log_file, "", 0o640, FILTER_USER)
                filter_ = self.filter(site, preexec_fn=no_files)
                for _ in range(3):
                    self.assertEqual(filter_.ask("9.9.9.9"), REFUSED)
                    self.assertEqual(filter_.ask("1.2.3.4"), DUNNO)
        self.assertEqual(site.log(), "")

    def test_non_blocking_descriptors(self):
        count = 2000  # whose answers are more than a socket takes
        filter_ = self.filter(self.cached_site(), preexec_fn=lambda: os.set_blocking(0, False))
        half = len(request("9.9.9.9")) // 2
        whole = request("9.9.9.9")
        filter_.send(whole[:half])
        filter_.wait_until_read()
        self.assertTrue(filter_.is_silent(0.1))
        filter_.send(whole[half:])
        self.assertEqual(filter_.receive(), REFUSED)
        filter_.send(LEAST % b"8.8.4.4" * count)
        self.assertEqual(filter_.receive(count), DUNNO * count)
        self.assertEqual(filter_.finish(), (b"", 0))

    def test_the_end_of_its_process_group_leaves_the_fetch_alone(self):
        site = self.site()
        gate = threading.Event()
        self.stub.default = apistub.held(gate, score(71))
        filter_ = self.filter(site)
        filter_.send(request())
        wait_until(lambda: self.stub.count() == 1, "the call")
        os.killpg(filter_.process.pid, signal.SIGKILL)
        self.assertEqual(filter_.receive(), b"")
        gate.set()
        wait_until(lambda: site.cached_score("8.8.4.4") == "71", "the score")

    def test_nobody_reads_the_system_log(self):
        path = f"{testenv.new_directory('syslog')}/log"
        site = self.cached_site()
        site.configure(**{"log.target": "syslog"})
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as reader:
            reader.bind(path)
            os.chmod(path, 0o666)
            wrapper = ("unshare", "--mount", "sh", "-c", WITH_LOG_SOCKET, path, "setpriv",
                       f"--reuid={FILTER_USER.pw_uid}", f"--regid={FILTER_USER.pw_gid}",
                       "--clear-groups")
            filter_ = self.filter(site, wrapper=wrapper, user=None, group=None, extra_groups=None,
                                  env={"PATH": os.environ["PATH"]})
            try:
                first = filter_.ask("9.9.9.9")
            except OSError:
                first = b""
            if not first.startswith(b"action="):  # nothing, or what unshare(1) says
                self.skipTest("a mount namespace of its own is not allowed")
            for _ in range(1000):
                self.assertEqual(filter_.ask("9.9.9.9"), REFUSED)
            # facility mail, severity info
            self.assertRegex(reader.recv(4096).decode(),
                             rf"\A<22>[A-Z][a-z]{{2}} [ \d]\d \d\d:\d\d:\d\d "
                             rf"abichecker\[{filter_.process.pid}\]: reject: check=reputation ")


class Secret(SiteTest):
    """The key, also where the API repeats it."""

    def assert_no_part(self, key, text, where):
        pieces = [key[at:at + 8] for at in range(len(key) - 7)]
        self.assertEqual([piece for piece in pieces if piece in text], [], f"{where}: {text}")

    def test_an_error_text_with_the_key_across_the_cut(self):
        for status in (401, 429):
            for before in (0, 15, 60, 95, 130):
                with self.subTest(status, before=before):
                    site = self.site({"log.level": "debug"})
                    detail = f"{'x' * before}{site.key} is not a key of ours, is it?"
                    self.stub.default = raw(f'{{"errors":[{{"detail":"{detail}"}}]}}', status)
                    texts = {}
                    for command in (("fetch", "1.2.3.4"), ("--json", "fetch", "1.2.3.4"),
                                    ("selftest",), ("--json", "selftest"), ("cache", "show"),
                                    ("--json", "cache", "show"),
                                    ("--json", "check", "--live", "1.2.3.5")):
                        result = site.abictl(*command)
                        texts[str(command)] = result.stdout + result.stderr
                    marker = ".rest-budget" if status == 429 else ".rest-api"
                    with contextlib.suppress(FileNotFoundError):
                        os.unlink(f"{site.cache}/{marker}")
                    self.assert_answers(DUNNO * 2, site, request(), request("1.2.3.6"))
                    texts["log"] = site.log()
                    for name in (marker, ".budget"):
                        texts[name] = testenv.read_file(f"{site.cache}/{name}")
                    self.assertIn(f"HTTP status {status}", texts[marker])
                    for where, text in texts.items():
                        self.assert_no_part(site.key, text, where)


def block_all_signals():
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())


if __name__ == "__main__":
    unittest.main()
