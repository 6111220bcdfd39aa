#!/usr/bin/python3
"""The command line of abictl: lists, the whitelist, imports, completion.

    python3 tests/e2e/e2e_cli.py [-v] [Class.test ...]
"""
import concurrent.futures
import contextlib
import csv
import io
import json
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import time
import unittest

sys.dont_write_bytecode = True
TESTS = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(TESTS, "..", "lib"), TESTS]

import testenv  # noqa: E402
from e2e_abictl import (ABSENT, AS_ROOT, CONFIG, DATAERR, HOUR, NOPERM, OK, USAGE,  # noqa: E402
                        AbictlTest)
from sitetest import DAY  # noqa: E402
from testenv import FILTER_USER, PATIENCE  # noqa: E402

INTERRUPTED = 130
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


class Whitelist(AbictlTest):
    """The file is a person's: whatever is not meant stays, byte for byte."""

    TEXT = ("# ours\n\n  Example.ORG\t# big sender \r\nwrong name\n192.0.2.0/24\n.example.org")
    OWN = {"filter.checks": "whitelist"}

    def run_as_root(self, site, *arguments, status=OK, told=""):
        result = site.abictl("whitelist", *arguments, **AS_ROOT)
        self.assertEqual((result.returncode, result.stderr), (status, told), arguments)
        return result.stdout

    def text(self, site):
        with open(site.whitelist, encoding="utf-8", newline="") as file:
            return file.read()

    def test_list(self):
        site = self.site(self.OWN, self.TEXT)
        warning = f"abictl: warning: {site.whitelist}:4: character not allowed in a host name\n"
        self.assertEqual(self.run_as_root(site, told=warning).splitlines(), [
            "LINE  ENTRY         NOTE", "   3  Example.ORG   big sender", "   5  192.0.2.0/24  -",
            "   6  .example.org  -"])
        self.assertEqual(json.loads(self.run_as_root(site, "list", "--json", told=warning)), [
            {"line": 3, "entry": "Example.ORG", "note": "big sender"},
            {"line": 5, "entry": "192.0.2.0/24", "note": ""},
            {"line": 6, "entry": ".example.org", "note": ""}])

    def test_what_is_added_exempts_at_once_and_what_is_removed_does_not(self):
        site = self.site(self.OWN, "# ours\n")
        known = ("192.0.2.77", "client_name=mx.example.net")
        for entry, removed, words in (
                ("example.net", "Example.NET.", ("client_address=192.0.2.77", known[1])),
                ("192.0.2.77", "192.0.2.77/32", known[:1])):
            for verb, name, outcome in (("add", entry, "exempt"), ("remove", removed, "no opinion")):
                self.run_as_root(site, verb, name)
                checks = self.run_json(site, "check", *words)["checks"]
                self.assertEqual(checks[0]["outcome"], outcome)
        self.assertEqual(self.text(site), "# ours\n")

    def test_the_rest_of_the_file_stays(self):
        site = self.site(self.OWN, self.TEXT)
        os.chmod(site.whitelist, 0o640)
        os.chown(site.whitelist, FILTER_USER.pw_uid, FILTER_USER.pw_gid)
        self.run_as_root(site, "add", "mail.example.com", "our newsletter")
        self.assertEqual(self.text(site),
                         self.TEXT + "\nmail.example.com  # our newsletter\n")
        self.run_as_root(site, "add", "*.Mail.example.com.",
                         told="abictl: *.Mail.example.com.: already in line 7\n")
        self.run_as_root(site, "remove", "example.org")
        self.assertEqual(self.text(site), "# ours\n\nwrong name\n192.0.2.0/24\n"
                         "mail.example.com  # our newsletter\n")
        status = os.stat(site.whitelist)
        self.assertEqual((status.st_mode & 0o7777, status.st_uid, status.st_gid),
                         (0o640, FILTER_USER.pw_uid, FILTER_USER.pw_gid))
        self.assertEqual([name for name in os.listdir(os.path.dirname(site.whitelist))
                          if "abichecker-new" in name], [])

    def test_what_still_covers_it(self):
        site = self.site(self.OWN, "192.0.2.0/24\n192.0.2.7\nexample.org\nmx.example.org\n")
        for entry, told in (("192.0.2.7", "192.0.2.7 is still covered by line 1: 192.0.2.0/24"),
                            ("mx.example.org", "mx.example.org is still covered by line 2: example.org")):
            self.run_as_root(site, "remove", entry, told=f"abictl: warning: {told}\n")

    def test_what_is_exempt(self):
        site = self.site(self.OWN, self.TEXT)
        for name, lines in (("mx.EXAMPLE.org", [3, 6]), ("example.org.", [3, 6]), ("192.0.2.9", [5]),
                            ("::ffff:192.0.2.9", [5])):
            result = json.loads(self.run_as_root(site, "test", "--json", name))
            self.assertEqual((result["name"], [line["line"] for line in result["lines"]]),
                             (name, lines))
            self.assertEqual(len(self.run_as_root(site, "test", name).splitlines()), len(lines))
        self.assertEqual(self.run_as_root(site, "test", "192.0.2.9"),
                         f"192.0.2.9 is exempt: {site.whitelist}:5: 192.0.2.0/24\n")
        for name in ("notexample.org", "org", "192.0.3.1", "wrong.example"):
            self.run_as_root(site, "test", name, status=ABSENT, told=(
                f"abictl: {name}: not exempt: no line of {site.whitelist} covers it\n"))
            self.assertEqual(json.loads(self.run_as_root(site, "test", "--json", name, status=ABSENT)),
                             {"name": name, "lines": []})

    def test_no_entry(self):
        site = self.site(self.OWN, self.TEXT)
        for entry in ("a b", "10.1.2.3/8", "unknown", "", "#x", "x\ny", "-x"):
            for words in (("add", "--", entry), ("remove", "--", entry), ("test", "--", entry)):
                result = site.abictl("whitelist", *words, **AS_ROOT)
                self.assertEqual(result.returncode, DATAERR, (words, result))
        self.assertEqual(site.abictl("whitelist", "test", "192.0.2.0/24").returncode, DATAERR)
        self.run_as_root(site, "remove", "example.com", status=ABSENT,
                         told=f"abictl: example.com: not in {site.whitelist}\n")
        self.assertEqual(self.text(site), self.TEXT)
        self.run_as_root(site, "add", "paypal", told=(
            "abictl: warning: `paypal' is treated as a top-level domain; write a whole domain, such "
            "as paypal.com\n"))
        self.assertTrue(self.text(site).endswith("\npaypal\n"))

    def test_where_others_could_write(self):
        site = self.site(self.OWN, self.TEXT)
        os.chmod(os.path.dirname(site.whitelist), 0o777)
        for words in (("add", "example.com"), ("remove", "example.org")):
            result = site.abictl("whitelist", *words, **AS_ROOT)
            self.assertEqual((result.returncode, result.stdout), (NOPERM, ""))
            self.assertIn("others than root may write there", result.stderr)
        self.assertEqual(self.text(site), self.TEXT)

    def test_without_permission(self):
        site = self.site(self.OWN, self.TEXT)
        os.chown(os.path.dirname(site.whitelist), 0, 0)
        result = site.abictl("whitelist", "add", "example.com")
        self.assertEqual((result.returncode, result.stdout), (NOPERM, ""))
        self.assertRegex(result.stderr, r"Permission denied; try sudo\n\Z")

    def test_links_and_a_file_that_is_not_there(self):
        site = self.site(self.OWN)
        target = f"{testenv.new_directory('lists')}/white"
        os.unlink(site.whitelist)
        self.run_as_root(site, "add", "example.net")
        self.assertEqual(self.text(site), "example.net\n")
        self.assertEqual(os.stat(site.whitelist).st_mode & 0o7777, 0o644)
        os.rename(site.whitelist, target)
        os.symlink(target, site.whitelist)
        self.run_as_root(site, "add", "example.com")
        self.assertTrue(os.path.islink(site.whitelist))
        self.assertEqual(self.text(site), "example.net\nexample.com\n")
        self.run_as_root(self.site({"whitelist.file": ""}), "add", "example.com", status=CONFIG,
                         told="abictl: whitelist.file is not set\n")

    def test_many_at_once_lose_nothing(self):
        site = self.site(self.OWN, "# ours\n")
        names = [f"host{number}.example.com" for number in range(20)]
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            for result in pool.map(lambda name: site.abictl("whitelist", "add", name, **AS_ROOT),
                                   names):
                self.assertEqual((result.returncode, result.stderr), (OK, ""))
        first, *lines = self.text(site).splitlines()
        self.assertEqual((first, sorted(lines)), ("# ours", sorted(names)))

    def test_it_warns_if_nobody_is_exempt(self):
        site = self.site({"filter.checks": "reputation"})
        self.run_as_root(site, "add", "example.com", told=(
            "abictl: warning: this exempts nobody: whitelist is not in filter.checks\n"))


class Imports(AbictlTest):

    ACCOUNTS = {"filter.checks": "accounts", "accounts.action": "reject"}

    def import_users(self, site, text, *arguments, status=OK, told=""):
        result = site.abictl("accounts", "import", *arguments, input=text)
        self.assertEqual((result.returncode, result.stderr), (status, told))
        return result.stdout

    def listed(self, site):
        return {item["user"]: item["reason"] for item in self.run_json(site, "accounts")}

    def test_users(self):
        site = self.site(self.ACCOUNTS)
        self.run_abictl(site, "accounts", "add", "ann@example.org", "by hand")
        text = ("# of the old daemon\n\nAnn@example.org phished\nbob@example.org\tsent spam, twice \r\n"
                "  josé@example.org\n-x\ncarl#1@example.org")
        parsed = json.loads(self.import_users(site, text, "-", "from Redis", "--json"))
        self.assertEqual(parsed, {"added": 4, "known": 1, "bad": 0})
        self.assertEqual(self.listed(site), {
            "ann@example.org": "by hand", "bob@example.org": "sent spam, twice",
            "josé@example.org": "from Redis", "-x": "from Redis", "carl#1@example.org": "from Redis"})
        self.assertEqual(self.import_users(site, text, "-"), "")
        self.assertEqual(self.import_users(site, "", "-"), "")

    def test_bad_lines(self):
        site = self.site(self.ACCOUNTS)
        text = "ann\nb\x1bob\n" + "x" * 5000 + "\ncarl\n\0\ndora"
        told = ("abictl: line 2: contains a control character\nabictl: line 3: too long\n"
                "abictl: line 5: contains a NUL byte\n"
                "abictl: 3 bad lines were left out; 3 accounts were added\n")
        self.import_users(site, text, "-", status=DATAERR, told=told)
        self.assertEqual(set(self.listed(site)), {"ann", "carl", "dora"})

    def test_a_file_that_only_its_owner_can_read(self):
        site = self.site(self.ACCOUNTS)
        path = testenv.write_file(f"{testenv.new_directory('users')}/users", "ann\n", 0o600)
        self.run_abictl(site, "accounts", "import", path, **AS_ROOT)
        self.assertEqual(set(self.listed(site)), {"ann"})
        result = site.abictl("accounts", "import", path)
        self.assertEqual((result.returncode, result.stderr),
                         (66, f"abictl: {path}: Permission denied; try sudo\n"))

    def test_it_tells_a_terminal(self):
        site = self.site(self.ACCOUNTS)
        self.assertEqual(self.on_terminal(site, "accounts", "import", "-", input="ann\nbob\n"),
                         "2 added, 0 already on the list")
        self.assertEqual(self.on_terminal(site, "-q", "accounts", "import", "-", input="ann\n"), "")

    def old_cache(self, **scores):
        """The script's cache: name -> (content, age)."""
        directory = testenv.new_directory("old", FILTER_USER)
        for name, (content, age) in scores.items():
            path = testenv.write_file(f"{directory}/{name}", content, 0o644, FILTER_USER)
            os.utime(path, (time.time() - age,) * 2)
        return directory

    def test_scores(self):
        site = self.site()
        site.put_score("9.9.9.9", 3, HOUR)
        site.put_score("1.1.1.1", 3, 3 * HOUR)
        old = self.old_cache(**{
            "8.8.4.4": ("71\n", 2 * HOUR), "9.9.9.9": ("80\n", 2 * HOUR),
            "1.1.1.1": ("80\n", 2 * HOUR), "8.8.8.8": ("80\n", 8 * DAY),
            "2a02:d540::a": ("12\n", 2 * DAY)})
        for user in ({}, AS_ROOT):
            parsed = json.loads(self.run_abictl(site, "cache", "import", old, "--json", **user))
            self.assertEqual(parsed, {"written": 0 if user else 3, "newer": 4 if user else 1,
                                      "old": 1, "bad": 0})
        for address, score, age in (("8.8.4.4", 71, 2 * HOUR), ("9.9.9.9", 3, HOUR),
                                    ("1.1.1.1", 80, 2 * HOUR), ("2a02:d540::a", 12, 2 * DAY)):
            shown = self.run_json(site, "cache", "show", address)
            self.assertEqual(shown["score"], score)
            self.assertAlmostEqual(shown["fetched"], time.time() - age, delta=PATIENCE)
            self.assertEqual(os.stat(f"{site.cache}/{address}").st_uid, FILTER_USER.pw_uid)
        self.assertFalse(os.path.exists(f"{site.cache}/8.8.8.8"))
        self.assertEqual(len(os.listdir(old)), 5)  # where it was

    def test_what_is_no_score(self):
        site = self.site()
        old = self.old_cache(**{"README": ("71\n", 0), "9.9.9.9": ("banana\n", 0),
                                "8.8.8.8": ("171\n", 0), "8.8.4.4": ("71\n", HOUR)})
        os.symlink("8.8.4.4", f"{old}/1.1.1.1")
        result = site.abictl("cache", "import", old)
        self.assertEqual((result.returncode, result.stdout), (DATAERR, ""))
        *files, last = sorted(result.stderr.splitlines())
        self.assertEqual(
            sorted(line.split(": ")[1] for line in [*files, last] if "files are" not in line),
            ["1.1.1.1", "8.8.8.8", "9.9.9.9", "README"])
        self.assertIn("abictl: 4 files are no scores\n", result.stderr)
        self.assertEqual([name for name in os.listdir(site.cache) if name[0] != "."], ["8.8.4.4"])

    def test_whose_directory_it_is(self):
        site = self.site()
        old = self.old_cache(**{"8.8.4.4": ("71\n", HOUR)})
        os.chmod(old, 0o777)
        self.assertIn("is writable by others", site.abictl("cache", "import", old).stderr)
        os.chmod(old, 0o755)
        os.chown(old, 0, 0)
        result = site.abictl("cache", "import", old)
        self.assertEqual((result.returncode, result.stdout), (66, ""))
        self.assertIn("belongs to another user", result.stderr)
        self.run_abictl(site, "cache", "import", "/nonexistent", status=66)
        self.run_abictl(site, "cache", "import", "relative", status=USAGE)
        self.run_abictl(self.site({"reputation.min_reporters": "2"}), "cache", "import", old,
                        status=CONFIG)
        self.assertEqual([name for name in os.listdir(site.cache) if name[0] != "."], [])


class Progress(AbictlTest):
    """What takes long tells a terminal how far it is, and Ctrl-C ends it where nothing is half done."""

    LINE = b"Nov 30 10:00:00 mx postfix/smtpd[1]: connect from unknown[192.0.2.1]\n"
    ROWS = 60000

    @contextlib.contextmanager
    def scan(self, site, stderr):
        """A scan of what is written into its input."""
        with self.begin(site, "scan", "--dry-run", "-", stderr=stderr) as process:
            yield process

    @staticmethod
    def begin(site, *words, stderr):
        return subprocess.Popen([testenv.program("abictl"), "-c", site.conf, *words], bufsize=0,
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr,
                                **site.as_filter_user())

    def feed(self, process, condition):
        """Writes lines until this is so."""
        def fed():
            process.stdin.write(self.LINE)
            return condition()
        testenv.wait_until(fed, "the scan to tell")

    def test_a_terminal_is_told_and_a_signal_is_heard(self):
        terminal, side = pty.openpty()
        os.set_blocking(terminal, False)
        said = b""

        def told():
            nonlocal said
            with contextlib.suppress(BlockingIOError):
                said += os.read(terminal, 1000)
            return b"reading the log: 0." in said
        with self.scan(self.site(), side) as process:
            self.feed(process, told)
            self.assertRegex(said, rb"reading the log: \d\.\d MB, \d\.\d MB/s\x1b\[K")
            process.send_signal(signal.SIGINT)
            self.assertEqual(process.wait(PATIENCE), INTERRUPTED)
        os.close(side)
        with contextlib.suppress(OSError):
            while more := os.read(terminal, 1000):
                said += more
        os.close(terminal)
        self.assertTrue(said.endswith(b"\r\x1b[Kabictl: interrupted: there is more in the log\r\n"),
                        said)

    def test_nobody_else_is(self):
        with self.scan(self.site(), subprocess.PIPE) as process:
            begun = time.monotonic()
            self.feed(process, lambda: time.monotonic() > begun + 3)
            process.send_signal(signal.SIGTERM)
            self.assertEqual(process.wait(PATIENCE), INTERRUPTED)
            self.assertRegex(process.stdout.read(), rb"\n\d+ lines, 0 offences")
            self.assertEqual(process.stderr.read(),
                             b"abictl: interrupted: there is more in the log\n")

    def test_a_copy_goes_on_where_it_was_ended(self):
        site = Lists.logins_site(self, [(f"u{i}", "8.8.4.4", "DE", 1, "2026-11-01 00:00:00")
                                        for i in range(self.ROWS)])
        copy = f"{site.cache}/copy.db"
        words = ("store", "copy", site.options["store.url"], f"sqlite:{copy}")
        with self.begin(site, *words, stderr=subprocess.PIPE) as process:
            testenv.wait_until(lambda: os.path.exists(copy), "the copy to begin")
            process.send_signal(signal.SIGINT)
            said = process.communicate(timeout=PATIENCE)[1].decode()
        # A signal before it listens ends it as well
        self.assertIn(process.returncode, (INTERRUPTED, -signal.SIGINT), said)
        if process.returncode == INTERRUPTED:
            self.assertRegex(said, r"\Aabictl: interrupted after \d+ logins; run it again: ")
        self.assertIn(f"logins     {self.ROWS}\n", self.run_abictl(site, *words))


class Completion(AbictlTest):
    """Each shell offers what the table has, by the script that abictl prints for it."""

    BASH = r"""
        source "$1"; shift
        COMP_WORDS=(abictl "$@"); COMP_CWORD=$#
        _abictl
        printf '%s\n' "${COMPREPLY[@]}"
        """
    # What zsh's own functions would show of the arrays they are given.
    ZSH = r"""
        _describe() { for each in "${(@P)argv[-1]}"; do
            [[ ${each%%:*} == $PREFIX* ]] && print -r -- "${each%%:*}"; done; return 0 }
        _files() { }
        complete_it() { local -a words; words=(abictl "${(@)argv[2,-1]}")
            local CURRENT=$#words PREFIX=${words[-1]}
            eval "$(<$1)" }
        complete_it "$@"
        """
    FISH = "source $argv[1]; complete -C \"abictl $(string join ' ' -- $argv[2..])\" | cut -f1"

    def setUp(self):
        super().setUp()
        directory = testenv.new_directory("completion")
        self.environment = {"PATH": "/usr/bin:/bin", "HOME": directory}  # fish writes there
        self.shells = [(name, [name, *options, code],
                        testenv.write_file(f"{directory}/{name}", self.script(name)))
                       for name, options, code in (("bash", ["--norc", "-c"], self.BASH),
                                                   ("zsh", ["-f", "-c"], self.ZSH),
                                                   ("fish", ["--no-config", "-c"], self.FISH))
                       if shutil.which(name)]
        self.assertIn("bash", [name for name, _, _ in self.shells])

    def script(self, shell):
        return self.run_abictl(self.site(), "completion", shell)

    def offered(self, *words):
        """shell -> what it offers for the last of these words."""
        found = {}
        for name, command, path in self.shells:
            result = subprocess.run(
                [*command, *(["sh"] if name != "fish" else []), path, *words], text=True,
                capture_output=True, check=False, env=self.environment)
            self.assertEqual((result.returncode, result.stderr), (0, ""), (name, words))
            found[name] = set(result.stdout.split())
        return found

    def assert_offered(self, words, expected):
        for shell, found in self.offered(*words).items():
            # Those that every command takes apart, and -n.
            found = {word for word in found if not re.fullmatch("-.|--quiet|--help", word)}
            self.assertEqual(found, set(expected), (shell, words))

    def table(self):
        """noun -> verb or "" -> its long options."""
        overview, found = self.run_abictl(self.site(), "help"), {}
        for noun, verb in re.findall(r"^  ([a-z][a-z-]*)((?: [a-z]+)?)(?= |$)", overview, re.MULTILINE):
            text = self.run_abictl(self.site(), "help", noun, *verb.split())
            found.setdefault(noun, {})[verb.strip()] = set(re.findall(r"\[(--[\w-]+)", text))
        return found

    def test_everything_in_the_table(self):
        table = self.table()
        self.assert_offered(("",), table)
        for noun, verbs in table.items():
            if "" in verbs:
                self.assert_offered((noun, "--"), verbs[""])
                continue
            self.assert_offered((noun, ""), verbs)
            for verb, options in verbs.items():
                self.assert_offered((noun, verb, "--"), options)

    def test_words_among_options(self):
        for words, expected in (
                (("acc",), ["accounts"]), (("accounts", "sh"), ["show"]),
                (("-c", "accounts", ""), self.table()), (("-q", "cache", "d"), ["drop"]),
                (("accounts", "delete", "x", "--"), []), (("blacklist", "add", "--b"), ["--ban"]),
                (("--limit", "3", "cache", "pre"), ["prefetch"]),
                (("logins", "--lim"), ["--limit"]), (("accounts", "--no"), ["--noheadings"]),
                (("postfix", "enable", ""), ["mx", "submission", "map"]),
                (("postfix", "enable", "--instance", "/x", "m"), ["mx", "map"]),
                (("completion", ""), ["bash", "zsh", "fish"])):
            self.assert_offered(words, expected)

    def test_what_shells_say_of_it(self):
        for name, _, path in self.shells:
            checked = subprocess.run([name, "-n", path], capture_output=True, text=True, check=False,
                                     env=self.environment)
            self.assertEqual((checked.returncode, checked.stderr), (0, ""))


if __name__ == "__main__":
    unittest.main()
