#!/usr/bin/python3
"""The test runner: one suite that cannot start, or hangs, takes no other with it.

    python3 tests/check_run.py [-v] [Class.test ...]
"""
import os
import subprocess
import tempfile
import unittest

RUN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "run")
PASSES = "echo 1..1; echo ok 1 - one"


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
        slow = "echo 1..1; for i in 1 2 3 4; do sleep 0.6; echo '#'; done; echo ok 1"
        lines = self.run_suites(self.script("unit_good_fake", slow), status=0, SILENCE_LIMIT="1")
        self.assertEqual(lines[-1], "1 passed, 0 failed, 0 skipped")

    def test_patterns_of_names(self):
        scripts = [self.script(f"unit_{name}_fake", PASSES) for name in ("one", "two", "three")]
        lines = self.run_suites(*scripts, only="unit_t*_fake", status=0)
        self.assertEqual(lines[-1], "2 passed, 0 failed, 0 skipped")


if __name__ == "__main__":
    unittest.main()
