#!/usr/bin/python3
"""What tests/systems.py would do: each row of its table fits one place of README.md or docs/, and
these are read as they are meant. The work itself is `make check-systems'.

    python3 tests/check_systems.py [-v] [Class.test ...]
"""
import collections
import os
import sys
import unittest

sys.dont_write_bytecode = True
TESTS = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(TESTS, "lib"), TESTS]

import document  # noqa: E402
import systems_example  # noqa: E402
import systems_steps  # noqa: E402
import walk  # noqa: E402


class Table(unittest.TestCase):

    def test_every_row_fits_one_place(self):
        self.assertEqual(systems_steps.rows_that_fit_badly(), [])

    def test_every_section_is_there(self):
        sections = {item.section for item in document.read_all(walk.DOCUMENTS)}
        for name, scenario in systems_steps.SCENARIOS.items():
            for section in scenario.sections:
                self.assertTrue(callable(section) or section in sections, (name, section))

    def test_a_section_is_in_one_document(self):
        found = collections.Counter()
        for path in walk.DOCUMENTS:
            found.update({item.section for item in document.read(path)} - {""})
        self.assertEqual([section for section, count in found.items() if count > 1], [])

    def test_every_command_is_typed(self):
        """By a scenario, that is, or by a row that leads to its section."""
        played = {section for scenario in systems_steps.SCENARIOS.values()
                  for section in scenario.sections}
        commands = {item.section for item in document.read_all(walk.DOCUMENTS)
                    if item.language == "sh"}
        self.assertEqual(commands - played, {
            "See it, test it", systems_steps.PORT, systems_steps.BY_HAND,
            "As a Debian package"})  # tests/deb.py

    def test_blocks_that_are_no_commands(self):
        """Those that are neither looked at nor options want a row."""
        for item in document.read_all(walk.DOCUMENTS):
            if item.language not in (None, "", "sh"):
                self.assertTrue(any(walk.fits(row, item) for row in systems_steps.STEPS), item)

    def test_the_first_commands(self):
        self.assertEqual(systems_steps.first_commands()[-1], "make")


class Example(unittest.TestCase):

    def test_services_and_settings_are_found(self):
        for name in "abichecker", "submission", "10.0.0.5:10040", "127.0.0.1:9998":
            self.assertRegex(systems_example.service(name), r"\n +\S")
        for name in "abichecker_auth", "smtpd_recipient_restrictions":
            for value in systems_example.settings(name):
                self.assertEqual(value.count("{"), value.count("}"), value)


if __name__ == "__main__":
    unittest.main()
