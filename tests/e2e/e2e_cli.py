#!/usr/bin/python3
"""The command line of abictl: lists, the whitelist, imports, completion.

    python3 tests/e2e/e2e_cli.py [-v] [Class.test ...]
"""
import csv
import io
import json
import os
import re
import sys
import unittest

sys.dont_write_bytecode = True
TESTS = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(TESTS, "..", "lib"), TESTS]

from e2e_abictl import ABSENT, DATAERR, OK, USAGE, AbictlTest  # noqa: E402

UTC = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"


class Lists(AbictlTest):
    """One description of columns makes a table, JSON and CSV."""

    # user, address, country, logins, last
    LOGINS = (("ann", "8.8.4.4", "DE", 3, "2026-11-01 00:00:00"),
              ("ann", "9.9.9.9", "FR", 1, "2026-11-03 00:00:00"),
              ("bob,\"b\"", "1.1.1.1", None, 20, "2026-11-02 00:00:00"),
              ("josé", "1.0.0.1", "ES", 100, "2026-11-04 00:00:00"))

    def logins_site(self, rows=LOGINS):
        site = self.site()
        self.run_abictl(site, "store", "status")
        with site.sqlite() as database:
            database.execute("BEGIN")
            database.executemany(
                "INSERT INTO postfwd_logins (sasl_username, ip_address, state_code, login_count, "
                "last_login) VALUES (?, ?, ?, ?, ?)", rows)
            database.execute("COMMIT")
        return site

    def users(self, site, *arguments):
        return [row["user"] for row in self.run_json(site, "logins", *arguments)]

    def test_table(self):
        site = self.logins_site()
        self.assertEqual(self.run_abictl(site, "logins").splitlines(), [
            "USER     LOGINS  COUNTRIES  ADDRESSES  LAST",
            "ann           4          2          2  2026-11-03T00:00:00Z",
            'bob,"b"      20          0          1  2026-11-02T00:00:00Z',
            "josé        100          1          1  2026-11-04T00:00:00Z"])
        self.assertEqual(self.run_abictl(site, "logins", "bob,\"b\"").splitlines(), [
            "USER     ADDRESS  COUNTRY  LOGINS  LAST",
            'bob,"b"  1.1.1.1  -            20  2026-11-02T00:00:00Z'])

    def test_csv_and_json_have_the_same(self):
        site = self.logins_site()
        rows = list(csv.DictReader(io.StringIO(
            self.run_abictl(site, "logins", "--csv", "--report", "rows", "--countries", "0"))))
        parsed = self.run_json(site, "logins", "--report", "rows", "--countries", "0")
        self.assertEqual([row["user"] for row in rows], ["ann", "ann", "josé"])
        for row, item in zip(rows, parsed, strict=True):
            self.assertEqual((row["user"], row["address"], row["country"], int(row["logins"])),
                             (item["user"], item["address"], item["country"], item["logins"]))
        parsed, = self.run_json(site, "logins", "bob,\"b\"")
        self.assertIsNone(parsed["country"])
        text = self.run_abictl(site, "logins", "--csv", "bob,\"b\"")
        self.assertEqual(text.splitlines()[1], '"bob,""b""",1.1.1.1,,20,2026-11-02T00:00:00Z')

    def test_order_and_length(self):
        site = self.logins_site()
        for arguments, users in (
                ((), ["ann", "bob,\"b\"", "josé"]), (("--limit", "2"), ["ann", "bob,\"b\""]),
                (("--sort", "logins"), ["ann", "bob,\"b\"", "josé"]),
                (("--sort", "-logins"), ["josé", "bob,\"b\"", "ann"]),
                (("--sort", "-logins", "--limit", "1"), ["josé"]),
                (("--sort", "LAST"), ["bob,\"b\"", "ann", "josé"]),
                (("--sort=-user",), ["josé", "bob,\"b\"", "ann"]),
                (("--sort", "addresses"), ["bob,\"b\"", "josé", "ann"])):
            self.assertEqual(self.users(site, *arguments), users, arguments)
        for name in ("banana", "", "-", "use"):
            self.assertEqual(self.run_abictl(site, "logins", "--sort", name, status=USAGE), "")

    def test_headings(self):
        site = self.site()
        for noun, heading in (("accounts", "USER  SINCE  BY  ADDRESS  COMMAND  REASON\n"),
                              ("blacklist", "BLOCK  RULE  HITS  TIMES  SINCE  UNTIL  NOTE\n"),
                              ("logins", "USER  LOGINS  COUNTRIES  ADDRESSES  LAST\n")):
            self.assertEqual(self.run_abictl(site, noun), heading)
            self.assertEqual(self.run_abictl(site, noun, "--noheadings"), "")
            self.assertEqual(self.run_json(site, noun), [])
        site = self.logins_site()
        self.assertEqual(self.run_abictl(site, "logins", "--noheadings"),
                         self.run_abictl(site, "logins").partition("\n")[2])
        self.assertEqual(self.run_abictl(site, "logins", "--noheadings", "--csv"),
                         self.run_abictl(site, "logins", "--csv").partition("\n")[2])

    def test_more_rows_than_are_kept(self):
        count = 10000
        site = self.logins_site([(f"user{number:05}", "8.8.4.4", "DE", number,
                                  "2026-11-01 00:00:00") for number in range(count)])
        lines = self.run_abictl(site, "logins").splitlines()
        self.assertEqual(len(lines), count + 1)
        self.assertEqual([line.split()[0] for line in lines],
                         ["USER", *(f"user{number:05}" for number in range(count))])
        self.assertEqual(self.users(site), [f"user{number:05}" for number in range(count)])
        self.assertEqual(self.users(site, "--sort=-logins", "--limit", "5000"),
                         [f"user{count - 1 - number:05}" for number in range(5000)])
        self.assertEqual(len(self.users(site, "--limit", "5000")), 5000)

    def test_terminals(self):
        site = self.site()
        self.run_abictl_warned(site, "accounts", "add", "ann", "n" * 100)
        environment = {"PATH": "/usr/bin:/bin", "TERM": "xterm"}
        for variables, bold in (({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)):
            text = self.on_terminal(site, "accounts", width=60, env={**environment, **variables})
            self.assertEqual("\x1b[1m" in text, bold, text)
            head, row = re.sub(r"\x1b\[[\d;]*m", "", text).splitlines()
            self.assertRegex(head.rstrip(), r"\AUSER +SINCE +BY +ADDRESS +COMMAND +REASON\Z")
            self.assertRegex(row, rf"\Aann +{UTC} +manual +- +- +n{{2,20}}\Z")
            self.assertEqual(len(row), 60)
        self.assertIn("n" * 100, self.run_abictl(site, "accounts"))
        self.assertEqual(self.on_terminal(self.site(), "accounts"), "no accounts are listed")

    def run_abictl_warned(self, site, *arguments):
        result = site.abictl(*arguments)
        self.assertEqual((result.returncode, result.stdout), (OK, ""))
        self.assertRegex(result.stderr, r"\Aabictl: warning: ")


if __name__ == "__main__":
    unittest.main()
