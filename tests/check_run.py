#!/usr/bin/python3
"""The test runner: one suite that cannot start, or hangs, takes no other with it.

    python3 tests/check_run.py [-v] [Class.test ...]
"""
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
import unittest

TESTS = os.path.dirname(os.path.abspath(__file__))
RUN = os.path.join(TESTS, "run")
PASSES = "echo 1..1; echo ok 1 - one"
LIMIT = 100  # seconds for what must come

# A case that hangs, though it would hear of nothing, and one after it.
HANGS = f"""\
import sys, threading, unittest
sys.path.insert(0, {os.path.join(TESTS, "lib")!r})
import testenv
class Cases(testenv.TestCase):
    def test_1(self):
        try:
            threading.Event().wait(60)
        except Exception:
            pass
    def test_2(self):
        print("the next one")
unittest.main()
"""

# Takes two ports in its turn with others that do the same.
PORTS = f"""\
import sys, time
sys.path.insert(0, {os.path.join(TESTS, "lib")!r})
import ports
print(*(ports.take() for _ in range(300)), ports.address(77), flush=True)
sys.stdin.read()
"""


class Runner(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory(prefix="abichecker-run.")
        self.addCleanup(directory.cleanup)
        self.directory = directory.name
        os.chmod(self.directory, 0o755)  # servers are not run by root

    def script(self, name, text):
        path = os.path.join(self.directory, name)
        with open(path, "w", encoding="ascii") as file:
            file.write(f"#!/bin/sh\n{text}\n")
        os.chmod(path, 0o755)
        return path

    def run_suites(self, *scripts, only="unit_*_fake", status, **variables):
        """Nothing but those; returns the lines that are printed."""
        environment = {name: value for name, value in os.environ.items() if name != "SAN"}
        done = subprocess.run([RUN, *scripts], capture_output=True, text=True, check=False,
                              env={**environment, "ONLY": only, **variables})
        self.assertEqual((done.returncode, done.stderr), (status, ""), done.stdout)
        return done.stdout.splitlines()

    def test_a_server_that_does_not_start_fails_its_own_suite(self):
        self.script("redis-server", "echo no memory; exit 1")
        self.script("redis-cli", "exit 1")
        lines = self.run_suites(self.script("unit_store_redis_fake", PASSES),
                                self.script("unit_good_fake", PASSES), status=1,
                                PATH=f"{self.directory}:{os.environ['PATH']}")
        self.assertEqual(lines[-1], "1 passed, 1 failed, 0 skipped")
        self.assertIn("      failed: unit_store_redis_fake: redis does not start:", lines)
        self.assertIn("  no memory", lines)

    def test_silence_ends_a_suite(self):
        lines = self.run_suites(self.script("unit_silent_fake", "echo 1..1; exec sleep 60"),
                                self.script("unit_good_fake", PASSES), status=1, SILENCE_LIMIT="1")
        self.assertEqual(lines[-1], "1 passed, 1 failed, 0 skipped")
        self.assertIn("      failed: unit_silent_fake: printed nothing for 1 s", lines)

    def test_who_prints_may_take_longer(self):
        slow = "echo 1..1; for i in 1 2 3 4; do sleep 1; echo '#'; done; echo ok 1"
        lines = self.run_suites(self.script("unit_good_fake", slow), status=0, SILENCE_LIMIT="3")
        self.assertEqual(lines[-1], "1 passed, 0 failed, 0 skipped")

    def file(self, name):
        return os.path.join(self.directory, name)

    def wait_for(self, condition, what):
        end = time.monotonic() + LIMIT
        while not condition():
            self.assertLess(time.monotonic(), end, what)
            time.sleep(0.02)

    def meeting(self, name, other):
        """A suite that passes only while another one runs."""
        return self.script(f"unit_{name}_fake", f"""
            echo 1..1; : >{self.file(name)}
            for i in $(seq {LIMIT}0); do [ ! -e {self.file(other)} ] || break; sleep 0.1; done
            [ -e {self.file(other)} ] && echo ok 1""")

    def test_side_by_side(self):
        lines = self.run_suites(self.meeting("one", "two"), self.meeting("two", "one"),
                                status=0, JOBS="2")
        self.assertEqual(lines[-1], "2 passed, 0 failed, 0 skipped")

    def test_one_after_the_other(self):
        note = f"echo 1..1; echo $0 begins >>{self.file('notes')}; sleep 0.2; " \
            f"echo $0 ends >>{self.file('notes')}; echo ok 1"
        scripts = [self.script(f"unit_{name}_fake", note) for name in ("b", "a", "c")]
        self.run_suites(*scripts, status=0, JOBS="1")
        with open(self.file("notes"), encoding="ascii") as file:
            self.assertEqual(file.read().splitlines(), [
                f"{script} {what}" for script in scripts for what in ("begins", "ends")])

    def test_those_alone_run_alone(self):
        """In the end, and one after the other."""
        note = f"echo 1..1; echo begin >>{self.file('notes')}; sleep 0.5; " \
            f"echo end >>{self.file('notes')}; echo ok 1"
        alone = [self.script(name, note) for name in ("unit_lock", "unit_budget")]
        good = [self.script(f"unit_{name}_fake", PASSES) for name in ("one", "two")]
        lines = self.run_suites(*alone, *good, only="unit_*", status=0, JOBS="4")
        self.assertEqual([line.split()[1] for line in lines[2:4]], ["unit_lock", "unit_budget"])
        with open(self.file("notes"), encoding="ascii") as file:
            self.assertEqual(file.read().split(), ["begin", "end"] * 2)

    def test_what_a_suite_leaves_running_is_killed_and_no_other_one(self):
        leaves = self.script("unit_leaves_fake", f"""
            {PASSES}; setsid sh -c 'echo $$ >{self.file('left')}; exec sleep 61' </dev/null &
            until [ -s {self.file('left')} ]; do sleep 0.05; done""")
        stays = self.script("unit_stays_fake", """
            echo 1..1; setsid sleep 62 & sleep 6; kill $! && echo ok 1""")
        lines = self.run_suites(leaves, stays, status=0, JOBS="2")
        self.assertEqual(lines[-1], "2 passed, 0 failed, 0 skipped")
        self.assertIn("      still running at its end, killed: sleep", lines)
        self.assertFalse(os.path.exists(f"/proc/{self.number('left')}"))

    def number(self, name):
        with open(self.file(name), encoding="ascii") as file:
            return int(file.read())

    def test_a_signal_stops_all(self):
        for number in signal.SIGTERM, signal.SIGINT:
            scripts = [self.script(f"unit_{name}_fake", f"""
                setsid sleep 63 & echo $! >{self.file(name)}; sleep 63""")
                       for name in ("one", "two")]
            with self.subTest(number), subprocess.Popen(
                    [RUN, *scripts], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                    # Also where these tests run in the background, which ignores SIGINT.
                    preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
                    env={**os.environ, "JOBS": "2", "ONLY": "unit_*_fake", "SAN": ""}) as process:
                names = ("one", "two")
                self.wait_for(lambda: all(os.path.exists(self.file(name)) and
                                          os.path.getsize(self.file(name)) for name in names),
                              "both suites")
                process.send_signal(number)
                output = process.communicate(timeout=LIMIT)
                self.assertEqual((process.returncode, output), (128 + number, ("", "")))
                for name in names:
                    self.assertFalse(os.path.exists(f"/proc/{self.number(name)}"))
                    os.unlink(self.file(name))

    def test_a_suite_whose_process_is_killed(self):
        """Its own process in the runner, by a number that it finds itself."""
        killed = self.script("unit_killed_fake", f"""
            setsid sleep 64 & echo $! >{self.file('left')}; kill -9 $PPID; sleep 64""")
        lines = self.run_suites(killed, self.script("unit_good_fake", PASSES), status=1, JOBS="2")
        self.assertEqual(lines[-1], "1 passed, 1 failed, 0 skipped")
        self.assertIn("      failed: unit_killed_fake: signal 9", lines)
        self.assertFalse(os.path.exists(f"/proc/{self.number('left')}"))

    def test_a_case_that_does_not_end(self):
        done = subprocess.run([sys.executable, "-c", HANGS], capture_output=True, text=True,
                              check=False, timeout=LIMIT,
                              env={**os.environ, "CASE_LIMIT": "2", "SAN": ""})
        self.assertEqual(done.returncode, 1)
        self.assertEqual(done.stdout, "the next one\n")
        self.assertIn("TooLong: no end within 2 s", done.stderr)
        self.assertIn("FAILED (errors=1)", done.stderr)

    def test_no_two_processes_take_the_same_port(self):
        with contextlib.ExitStack() as stack:
            takers = [stack.enter_context(subprocess.Popen(
                [sys.executable, "-c", PORTS], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                text=True)) for _ in range(4)]
            taken = [set(taker.stdout.readline().split()) for taker in takers]
            for taker in takers:
                taker.stdin.close()
        self.assertEqual(len(set.union(*taken)), sum(map(len, taken)), taken)
        self.assertGreater(min(map(len, taken)), 200)

    def test_patterns_of_names(self):
        scripts = [self.script(f"unit_{name}_fake", PASSES) for name in ("one", "two", "three")]
        lines = self.run_suites(*scripts, only="unit_t*_fake", status=0)
        self.assertEqual(lines[-1], "2 passed, 0 failed, 0 skipped")


if __name__ == "__main__":
    unittest.main()
