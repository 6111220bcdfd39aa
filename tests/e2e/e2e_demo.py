#!/usr/bin/python3
"""The demonstration: it ends well, and what it prints fits a screen.

    python3 tests/e2e/e2e_demo.py [-v]
"""
import os
import re
import subprocess
import sys
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import testenv  # noqa: E402

ROW = r"[0-9a-f.:]+ [A-Z]{2} +(accepted|refused|not now) +\S.*"


class Demo(testenv.TestCase):

    def test_a_table_that_fits_a_screen(self):
        done = subprocess.run([sys.executable, f"{testenv.TOP}/tests/demo.py"],
                              capture_output=True, text=True, check=False)
        self.assertEqual((done.returncode, done.stderr), (0, ""), done.stdout)
        lines = done.stdout.splitlines()
        self.assertLessEqual(len(lines), 24)
        self.assertLessEqual(max(map(len, lines)), 80)
        rows = [line for line in lines if re.fullmatch(ROW, line)]
        self.assertEqual(len(rows), 12)
        self.assertGreater(len({line.split()[1] for line in rows}), 5)  # countries


def setUpModule():
    if os.getuid() != 0:
        raise unittest.SkipTest("only root can start a Postfix")


if __name__ == "__main__":
    unittest.main()
