#!/usr/bin/python3
"""abictl selftest beside a real Postfix: a set-up that is right, and then one mistake after
another. Each is told, and the command that is told with it mends it or tells more.

    python3 tests/e2e/e2e_selftest.py [-v] [Class.test ...]
"""
import contextlib
import gzip
import os
import pwd
import random
import re
import shutil
import sqlite3
import subprocess
import sys
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import mmdb  # noqa: E402
import testenv  # noqa: E402
from mailserver import MailServer  # noqa: E402
from sitetest import SiteTest  # noqa: E402
from testenv import FILTER_USER, read_file, wait_until, write_file  # noqa: E402

ASK = "check_policy_service { unix:private/abichecker, timeout=15s, default_action=DUNNO }"
LINE = re.compile(r"(ok|skip|warn|FAIL) +([^:]+): (.+)")
MASTER_CF = """\
{address}:25 inet n - n - - smtpd
{address}:587 inet n - n - - smtpd
    -o syslog_name=postfix/submission
    -o smtpd_sasl_auth_enable=yes -o smtpd_sasl_type=dovecot -o smtpd_sasl_path=private/auth
    -o {{ smtpd_client_restrictions = $abichecker_auth, permit_sasl_authenticated, reject }}
{address}:465 inet n - n - - smtpd
    -o syslog_name=postfix/smtps
    -o smtpd_sasl_auth_enable=yes -o smtpd_sasl_type=dovecot -o smtpd_sasl_path=private/auth
    -o {{ smtpd_client_restrictions = $abichecker_auth, permit_sasl_authenticated, reject }}
abichecker unix - n n - 0 spawn user={user} argv={command}
"""
MAIN_CF = """
abichecker_auth = {ask}
service_throttle_time = 1s
smtpd_recipient_restrictions = permit_mynetworks, permit_sasl_authenticated, {ask}
"""


class Postfix(MailServer):
    """One with the services of a mail server, on their own ports of an address of loopback."""

    def __init__(self, site):
        self.address = f"127.{random.randint(1, 254)}.{random.randint(0, 254)}.{os.getpid() % 250}"
        super().__init__(site, settings=MAIN_CF.format(ask=ASK))
        self.directory = self._path("etc")
        path = self._path("etc/master.cf")
        rest = read_file(path).partition("pickup unix")
        write_file(path, MASTER_CF.format(
            address=self.address, user=FILTER_USER.pw_name,
            command=f"{testenv.program('abichecker')} -c {site.conf}") + "".join(rest[1:]))

    def start(self):
        self.mx = self.submission = None
        return super().start()

    def _listens(self, port):
        return self.running()

    def running(self):
        return self.run("postfix", "status").returncode == 0

    def run(self, *words):
        return subprocess.run(words, env={**os.environ, "MAIL_CONFIG": self.directory},
                              timeout=testenv.PATIENCE, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True)

    def must(self, *words):
        self.settle()
        done = self.run(*words)
        assert done.returncode == 0, (words, done.stdout, done.stderr)
        self.settle()
        return done.stdout.strip()

    def settle(self):
        """Whoever reads a main.cf waits until it is two seconds old."""
        os.utime(f"{self.directory}/main.cf", (0, 0))

    def main(self, *settings):
        self.must("postconf", "-e", *settings)
        self.must("postfix", "reload")

    def column(self, column, value, service="abichecker/unix"):
        self.must("postconf", "-F", f"{service}/{column}={value}")
        self.must("postfix", "reload")

    def override(self, port, setting):
        self.must("postconf", "-P", f"{self.address}:{port}/inet/{setting}")
        self.must("postfix", "reload")

    def restore(self, files):
        for name, text in files.items():
            write_file(f"{self.directory}/{name}", text)
        self.must("postfix", "reload")

    def files(self):
        return {name: read_file(f"{self.directory}/{name}") for name in ("main.cf", "master.cf")}


class SelftestTest(SiteTest):

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        if shutil.which("postconf") is None or os.geteuid() != 0:
            raise unittest.SkipTest("needs root and Postfix")

    def setUp(self):
        super().setUp()
        self.good = self.good_site()
        self.postfix = Postfix(self.good)
        self.addCleanup(self.postfix._terminate)
        self.postfix.start()
        self.shims = self.make_shims()
        self.assertEqual(self.findings(), set(), self.selftest())

    def good_site(self):
        site = self.site({}, "example.net\n")
        self.database = f"{site.directory}/country.mmdb"
        self.maillog = f"{site.directory}/mail.log"
        mmdb.write(self.database, {"1.1.1.0/24": "AU"})
        write_file(self.maillog, "", 0o640, FILTER_USER)
        write_file(site.log_file, "", 0o640, FILTER_USER)
        site.configure(**{
            "filter.checks": "accounts authbl geocount whitelist blacklist reputation",
            "geocount.database": self.database, "blacklist.logs": self.maillog,
            "blacklist.snapshot": f"{site.directory}/store/blacklist.cdb"})
        self.move_from_tmp(site)
        os.chown(site.conf, 0, FILTER_USER.pw_gid)
        os.chmod(site.conf, 0o640)
        self.assertEqual(site.abictl("scan").returncode, 0)
        return site

    def make_shims(self):
        """What an administrator has: sudo, an abictl that finds the configuration, an editor."""
        directory = testenv.new_directory("shims")
        abictl = testenv.program("abictl")
        for name, text in (("sudo", 'exec "$@"'),
                           ("abictl", f'exec {abictl} -c {self.good.conf} "$@"'),
                           ("editor", f'cp {self.good.directory}/right.conf "$1"')):
            write_file(f"{directory}/{name}", f"#!/bin/sh\n{text}\n", 0o755)
        shutil.copy(self.good.conf, f"{self.good.directory}/right.conf")
        return directory

    def shell(self, command):
        return subprocess.run(
            ["sh", "-c", command], capture_output=True, text=True, timeout=testenv.PATIENCE,
            stdin=subprocess.DEVNULL, cwd="/",
            env={"PATH": f"{self.shims}:/usr/sbin:/usr/bin:/sbin:/bin", "EDITOR": "editor",
                 "MAIL_CONFIG": self.postfix.directory})

    def selftest(self, status=None):
        """[(result, subject, text, command or None)], with the closing line checked."""
        done = self.shell("sudo abictl selftest")
        self.assertEqual(done.stderr, "")
        *lines, closing = done.stdout.splitlines()
        found = []
        for line in lines:
            if line.startswith("      try: "):
                found[-1][3] = line.removeprefix("      try: ")
            else:
                self.assertRegex(line, LINE)
                found.append([*LINE.fullmatch(line).groups(), None])
        problems, hints = (sum(item[0] == word for item in found) for word in ("FAIL", "warn"))
        self.assertEqual(closing, f"{problems} problem{'s' * (problems != 1)}, "
                         f"{hints} hint{'s' * (hints != 1)}")
        self.assertEqual(done.returncode, int(problems > 0), done.stdout)
        self.assertTrue(all(item[3] for item in found if item[0] == "FAIL"), found)
        return [tuple(item) for item in found]

    def findings(self):
        return {item for item in self.selftest() if item[0] in ("FAIL", "warn")}

    def one(self, result, subject, pattern):
        """The one finding that there is; all others are ok."""
        found = self.findings()
        self.assertEqual([item[:2] for item in found], [(result, subject)], found)
        item = found.pop()
        self.assertRegex(item[2], pattern)
        return item

    def mended_by(self, item):
        """Its command works, and then all is well."""
        done = self.shell(item[3])
        self.assertEqual(done.returncode, 0, (item, done))
        self.postfix.settle()
        wait_until(lambda: not self.findings(), f"the cure of {item}, not {self.findings()}")

    def assert_mended(self, result, subject, pattern):
        self.mended_by(self.one(result, subject, pattern))


def _bytes(path):
    with open(path, "rb") as file:
        return file.read()


class RightSetups(SelftestTest):
    """Which are not complained of."""

    def oks(self):
        self.assertEqual(self.findings(), set())
        return {item[2] for item in self.selftest() if item[:2] == ("ok", "Postfix")}

    def test_what_is_said(self):
        address = self.postfix.address
        self.assertEqual(self.oks(), {
            f"the spawn service abichecker runs abichecker as user {FILTER_USER.pw_name}",
            f"port 25 ({address}:25) asks private/abichecker: DUNNO",
            f"submission ({address}:587) asks private/abichecker: DUNNO",
            f"smtps ({address}:465) asks private/abichecker: DUNNO"})

    def test_nothing_is_changed(self):
        def contents():
            result = {}
            for top in (self.good.cache, os.path.dirname(self.good.store),
                        os.path.dirname(self.good.log_file)):
                for name in sorted(os.listdir(top)):
                    path = os.path.join(top, name)
                    result[name] = os.path.isfile(path) and _bytes(path)
            return result
        self.good.configure(**{"reputation.token_file": None})  # else one call is counted
        self.good.put_score("192.0.2.1", 100)
        self.good.abictl("accounts", "add", "ann@example.com")
        before = contents()
        self.selftest()
        after = contents()
        self.assertEqual([name for name in after if after[name] != before.get(name)], [],
                         self.good.log())
        self.assertEqual(after.keys(), before.keys())

    def test_restriction_classes(self):
        self.postfix.main("smtpd_restriction_classes=watched, inner", "watched=inner",
                          f"inner={ASK}", "smtpd_recipient_restrictions=watched",
                          "abichecker_auth=watched")
        self.assertEqual(len(self.oks()), 4)

    def test_inet_service(self):
        """As it was with a daemon that was here before."""
        with open(f"{self.postfix.directory}/master.cf", encoding="utf-8") as file:
            text = file.read()
        address = f"{self.postfix.address}:9998"
        write_file(f"{self.postfix.directory}/master.cf", re.sub(
            r"(?m)^abichecker unix - n n - 0 spawn",
            f"{address} inet n n n - 0 spawn -o command_time_limit=3600", text))
        self.postfix.main(
            f"smtpd_recipient_restrictions=check_policy_service inet:{address}",
            f"abichecker_auth=check_policy_service inet:{address}",
            "smtpd_policy_service_default_action=DUNNO")
        self.assertIn(f"submission ({self.postfix.address}:587) asks {address}: DUNNO", self.oks())
        self.postfix.main("smtpd_recipient_restrictions=check_policy_service "
                          f"inet:{self.postfix.address}:9999")
        found = {item[2] for item in self.findings()}
        self.assertRegex(" ".join(found), rf"port 25 .*asks {self.postfix.address}:9999, which "
                         rf"is not in master.cf \(did you mean {address}\?\)")
        self.postfix.main("smtpd_recipient_restrictions=permit_mynetworks")
        self.assertRegex(self.one("warn", "Postfix", "port 25")[2], "does not ask")

    def test_more_services_than_anybody_has(self):
        path = f"{self.postfix.directory}/master.cf"
        text = read_file(path)
        write_file(path, "".join(f"other{n} unix - n n - 0 spawn user=nobody argv=/bin/true\n"
                                 for n in range(300)) + text)
        self.assertEqual(len(self.oks()), 4)

    def test_a_list_longer_than_anybody_has(self):
        self.postfix.main("smtpd_recipient_restrictions=" + ", ".join(
            [f"check_client_access cidr:/nonexistent/{n}" for n in range(1000)] + [ASK]))
        self.assertEqual(len(self.oks()), 4)

    def test_classes_in_a_circle(self):
        """Postfix finds that when a client comes; here it must end."""
        self.postfix.main("smtpd_restriction_classes=circle",
                          f"circle={', '.join(['circle'] * 40)}",
                          f"smtpd_recipient_restrictions={ASK}, circle")
        self.assertEqual(len(self.oks()), 4)

    def test_a_check_that_is_off_needs_nothing(self):
        self.good.configure(**{"filter.checks": "accounts geocount",
                               "reputation.token_file": None, "blacklist.logs": "/nonexistent"})
        self.assertEqual(self.findings(), set())

    def test_another_instance(self):
        """It has no part in it; or it has, and is looked at."""
        other = testenv.new_directory("instance")
        for name in ("main.cf", "master.cf"):
            shutil.copy(f"{self.postfix.directory}/{name}", other)
        text = read_file(f"{other}/master.cf")
        write_file(f"{other}/master.cf", text[text.index("pickup unix"):])
        # The default instance is the one of /etc, so it has to be there
        if not os.path.isdir("/etc/postfix"):
            self.skipTest("no /etc/postfix")
        testenv.need_mounts(self)
        self.postfix.main(f"multi_instance_directories={other}")

        def default_instance():
            return self.shell(f"unshare --mount sh -c 'mount --bind {self.postfix.directory} "
                              "/etc/postfix && unset MAIL_CONFIG && abictl selftest'").stdout
        self.assertNotIn(other, default_instance())
        write_file(f"{other}/master.cf", text.replace(" argv=/", " argv=/nonexistent/"))
        self.assertRegex(default_instance(), f"FAIL  Postfix {other}: .*nonexistent")
        self.assertRegex(default_instance(), f"try: sudo postconf -c {other} -F .* && sudo postfix "
                         f"-c {other} reload")


class MistakesInPostfix(SelftestTest):

    def test_service_name_mistyped_in_main_cf(self):
        self.postfix.main(f"abichecker_auth={ASK.replace('private/abi', 'private/abe')}")
        found = self.findings()
        self.assertEqual({item[:2] for item in found}, {("FAIL", "Postfix")})
        self.assertEqual(len(found), 2)
        for item in found:
            self.assertRegex(item[2], r"(submission|smtps) .*asks private/abechecker, which "
                             r"is not in master.cf \(did you mean private/abichecker\?\)")
            self.assertIn("abichecker_auth", self.shell(item[3]).stdout)

    def test_submission_that_does_not_ask(self):
        self.postfix.override(587, "smtpd_client_restrictions=permit_sasl_authenticated,reject")
        self.assertRegex(self.one("warn", "Postfix", "submission")[2],
                         "does not ask|before permit_sasl")

    def test_submission_that_asks_too_late(self):
        self.postfix.override(587, "smtpd_client_restrictions=permit_sasl_authenticated,"
                              "$abichecker_auth,reject")
        self.one("warn", "Postfix", "submission.*must come before permit_sasl_authenticated")

    def test_port_25_that_does_not_ask(self):
        self.postfix.main("smtpd_recipient_restrictions=permit_mynetworks")
        self.one("warn", "Postfix", "port 25.*does not ask")

    def test_behind_what_ends_the_list(self):
        self.postfix.main(f"smtpd_recipient_restrictions=permit_mynetworks,reject,{ASK}")
        self.one("warn", "Postfix", "port 25.*never reach check_policy_service")

    def test_wrong_user(self):
        for user, pattern in (("daemon", "belong to another user"), ("nosuchuser", "no such user"),
                              ("root", "refuses"), ("postfix", "refuses")):
            with self.subTest(user):
                command = testenv.program("abichecker")
                self.postfix.column("command", f"spawn user={user} argv={command} -c "
                                    f"{self.good.conf}")
                found = self.findings()
                own = [item for item in found if "runs as user" in item[2]]
                self.assertEqual(len(own), 1, found)
                self.assertRegex(own[0][2], pattern)
                self.mended_by(own[0])

    def test_no_user(self):
        self.postfix.column("command", f"spawn argv={testenv.program('abichecker')} -c "
                            f"{self.good.conf}")
        own = [item for item in self.findings() if "user= is missing" in item[2]]
        self.mended_by(own[0])

    def test_user_behind_the_program(self):
        """There it is an argument of the program."""
        self.postfix.column("command", f"spawn argv={testenv.program('abichecker')} -c "
                            f"{self.good.conf} user={FILTER_USER.pw_name}")
        own = [item for item in self.findings() if "user= is missing" in item[2]]
        self.assertEqual(own[0][0], "FAIL")
        self.assertRegex(own[0][3], "editor|EDITOR.*master.cf")

    def test_nothing_of_a_command_is_lost(self):
        """Quotes in it stay what they are, and a long one is not cut."""
        command = f"{testenv.program('abichecker')} -c {self.good.conf}"
        text = f"spawn -o mail_name=it's user=daemon argv={command} -o log.level=info"
        self.postfix.column("command", text)
        own = [item for item in self.findings() if "runs as user" in item[2]]
        self.assertEqual(self.shell(own[0][3]).returncode, 0, own)
        self.assertEqual(self.postfix.must("postconf", "-hF", "abichecker/unix/command"),
                         text.replace("daemon", FILTER_USER.pw_name))
        self.postfix.column("command", f"{text} {' '.join(['-o log.level=info'] * 80)}")
        own = [item for item in self.findings() if "runs as user" in item[2]]
        self.assertIn("EDITOR", own[0][3])
        self.assertIn(f"{self.postfix.directory}/master.cf", own[0][3])

    def test_the_instance_of_the_environment_is_the_one_that_is_changed(self):
        """sudo does not hand on what names it."""
        self.postfix.column("process_limit", "-")
        item = self.one("warn", "Postfix", "process limit")
        self.assertEqual(item[3].count(f" -c {self.postfix.directory} "), 2, item)

    def test_default_action_of_others_is_theirs(self):
        self.postfix.main("smtpd_recipient_restrictions=check_policy_service "
                          "unix:private/abichecker, check_policy_service unix:private/other")
        for item in self.findings():
            self.assertNotIn("smtpd_policy_service_default_action=", item[3])

    def test_wrong_program(self):
        self.postfix.column("command", f"spawn user={FILTER_USER.pw_name} "
                            f"argv=/nonexistent/abichecker -c {self.good.conf}")
        own = [item for item in self.findings() if "/nonexistent/abichecker" in item[2]]
        self.assertEqual(own[0][:2], ("FAIL", "Postfix"))
        self.mended_by(own[0])

    def test_columns(self):
        for column, value, pattern in (("chroot", "y", "in a chroot"),
                                       ("unprivileged", "y", "unprivileged"),
                                       ("private", "n", "not private")):
            with self.subTest(column):
                self.postfix.column(column, value)
                own = [item for item in self.findings() if re.search(pattern, item[2])]
                self.assertTrue(own, self.selftest())
                self.assertEqual(own[0][:2], ("FAIL", "Postfix"))
                self.mended_by(own[0])

    def test_process_limit(self):
        self.postfix.column("process_limit", "-")
        self.assert_mended("warn", "Postfix", "process limit")

    def test_time_limit_forgotten(self):
        self.postfix.must("postconf", "-X", "abichecker_time_limit")
        self.assert_mended("warn", "Postfix", "killed after 1000 seconds")

    def test_default_action_forgotten(self):
        self.postfix.main("smtpd_recipient_restrictions=check_policy_service "
                          "unix:private/abichecker")
        found = self.findings()
        self.assertEqual(len(found), 3)  # the other services take this list, too
        self.assertTrue(all("451" in item[2] for item in found), found)
        self.mended_by(found.pop())

    def test_user_not_known_yet(self):
        self.postfix.main("smtpd_delay_reject=no",
                          "smtpd_recipient_restrictions=permit_mynetworks,"
                          f"permit_sasl_authenticated,{ASK}")
        found = self.findings()
        self.assertTrue(found)
        self.assertTrue(all("smtpd_delay_reject" in item[2] for item in found), found)
        self.mended_by(found.pop())

    def test_no_service(self):
        self.postfix.must("postconf", "-MX", "abichecker/unix")
        self.postfix.must("postfix", "reload")
        found = self.findings()
        self.assertIn("no spawn service runs abichecker", " ".join(item[2] for item in found))
        self.assertRegex(" ".join(item[2] for item in found if item[0] == "FAIL"),
                         "port 25 .*asks private/abichecker, which is not in master.cf")

    def test_postfix_is_not_running(self):
        self.postfix._terminate()
        self.one("warn", "Postfix", "not running")

    def test_main_cf_is_not_understood(self):
        os.rename(f"{self.postfix.directory}/main.cf", f"{self.postfix.directory}/main.cf.away")
        item = self.one("warn", "Postfix", "postconf: exit status")
        self.assertIn("main.cf", self.shell(item[3]).stderr)

    def test_another_configuration(self):
        other = self.good_site()
        self.postfix.column("command", f"spawn user={FILTER_USER.pw_name} "
                            f"argv={testenv.program('abichecker')} -c {other.conf}")
        item = self.one("warn", "Postfix", f"reads {other.conf}; this test checks {self.good.conf}")
        self.assertIn(other.conf, item[3])


class MistakesInFiles(SelftestTest):

    def test_wrong_key(self):
        self.stub.key = "another"
        item = self.one("FAIL", "AbuseIPDB", "401")
        self.assertIn(self.good.options["reputation.token_file"], item[3])

    def test_database_missing(self):
        self.good.configure(**{"geocount.database": "/nonexistent/country.mmdb"})
        self.assert_mended("FAIL", "geocount", "/nonexistent/country.mmdb.*No such file")

    def test_database_unreadable(self):
        os.chmod(self.database, 0o600)
        self.assert_mended("FAIL", "geocount", "country.mmdb.*Permission denied")

    def test_database_compressed(self):
        with open(self.database, "rb") as file:
            packed = gzip.compress(file.read())
        with open(self.database, "wb") as file:
            file.write(packed)
        self.assert_mended("FAIL", "geocount", r"still compressed \(gzip\)")

    def test_log_unreadable(self):
        os.chown(self.maillog, 0, 0)
        os.chmod(self.maillog, 0o600)
        self.assert_mended("FAIL", "mail log", "mail.log.*Permission denied")

    def test_configuration_of_root_only(self):
        os.chmod(self.good.conf, 0o600)
        self.assert_mended("FAIL", "configuration", "cannot read it")

    def test_outdated_logins_that_no_daily_job_removes(self):
        self.assertEqual(self.findings(), set())
        with contextlib.closing(sqlite3.connect(self.good.store)) as db, db:
            db.execute("INSERT INTO postfwd_logins (sasl_username, ip_address, state_code, "
                       "login_count, last_login) VALUES ('old@example.com', '192.0.2.1', 'DE', 1, "
                       "'2020-01-01 00:00:00')")
        # Where that was done within the last week, as by a scan, no row is looked at.
        self.assertEqual(self.findings(), set())
        os.unlink(f"{self.good.cache}/.rest-purged")
        self.assert_mended("warn", "store", "outdated logins")

    def test_directories_of_root(self):
        for directory in (self.good.cache, os.path.dirname(self.good.store)):
            os.chown(directory, 0, 0)
        found = self.findings()
        self.assertLessEqual({("FAIL", "cache"), ("FAIL", "store")}, {item[:2] for item in found})
        for item in found:
            if item[0] == "FAIL" and item[1] in ("cache", "store"):
                self.assertEqual(self.shell(item[3]).returncode, 0, item)
        self.assertEqual(self.findings(), set())

    def test_lock_of_root(self):
        path = f"{self.good.cache}/.lock"
        self.assertTrue(os.path.exists(path))
        os.chown(path, 0, 0)
        os.chmod(path, 0o600)
        before = os.stat(path).st_ino
        self.assertIn(("FAIL", "cache"), {item[:2] for item in self.findings()})
        for item in self.findings():
            if item[1] == "cache":
                self.mended_by(item)
        self.assertEqual(os.stat(path).st_ino, before)  # who holds it still does

    def test_dry_run_left_on(self):
        self.good.configure(**{"filter.dry_run": "yes"})
        self.assert_mended("warn", "configuration", "dry_run is yes: nobody is refused")

    def test_a_log_keeps_its_content(self):
        write_file(self.good.log_file, "what was logged\n", 0o640)
        os.chown(self.good.log_file, 0, 0)
        self.assert_mended("FAIL", "log", "Permission denied")
        self.assertEqual(self.good.log().partition("\n")[0], "what was logged")

    def test_files_and_directories_of_others_stay_theirs(self):
        """Whatever is told, its command changes no owner there."""
        log, top = f"{self.good.directory}/daemon.log", testenv.new_directory("of-daemon")
        daemon = pwd.getpwnam("daemon")
        write_file(log, "", 0o640, daemon)
        os.mkdir(f"{top}/within")
        for path in (top, f"{top}/within"):
            os.chown(path, daemon.pw_uid, daemon.pw_gid)
            os.chmod(path, 0o700)
        self.good.configure(**{"log.target": log, "reputation.cache_dir": "/var/lib",
                               "whitelist.file": f"{top}/within/whitelist.txt"})
        before = [os.lstat(path) for path in (log, top, "/var/lib")]
        found = [item for item in self.findings() if item[0] == "FAIL"]
        self.assertLessEqual({"log", "cache", "whitelist"}, {item[1] for item in found})
        for item in found:
            if item[1] in ("log", "cache", "whitelist"):
                self.shell(item[3])
        after = [os.lstat(path) for path in (log, top, "/var/lib")]
        self.assertEqual([(st.st_uid, st.st_gid, st.st_mode) for st in after],
                         [(st.st_uid, st.st_gid, st.st_mode) for st in before], found)

    def test_names_as_the_shell_reads_them(self):
        directory = self.good.options["whitelist.file"].rpartition("/")[0]
        path = f"{directory}/it's a $(touch list).txt"
        write_file(path, "example.org\n", 0o600)
        self.good.configure(**{"whitelist.file": path})
        self.assert_mended("FAIL", "whitelist", "Permission denied")

    def test_run_by_a_stranger(self):
        """Who is told to use sudo, and nothing that would make the filter's files theirs."""
        os.chmod(self.good.conf, 0o644)
        done = subprocess.run(
            [testenv.program("abictl"), "-c", self.good.conf, "selftest"], user="daemon",
            group="daemon", extra_groups=[], capture_output=True, text=True, cwd="/",
            timeout=testenv.PATIENCE,
            env={"PATH": f"{self.shims}:/usr/sbin:/usr/bin:/sbin:/bin",
                 "MAIL_CONFIG": self.postfix.directory})
        self.assertEqual(done.returncode, 1, done)
        self.assertIn("user daemon is not the filter's", done.stdout)
        self.assertEqual(set(re.findall("try: (.*)", done.stdout)),
                         {f"sudo abictl -c {self.good.conf} selftest"}, done.stdout)

    def test_typos(self):
        """Of each kind; in [filter] and [log] they stop all of it, and so this command too."""
        for option, value, pattern in (
                ("geocount.contries", "5", r"did you mean geocount\.countries"),
                ("blacklist.rules", "unknown-recipent=5/1d", "did you mean unknown-recipient"),
                ("reputation.scor", "70", r"did you mean reputation\.score"),
                ("accounts.action", "rejct", "not an access")):
            with self.subTest(option):
                self.good.configure(**{option: value})
                self.addCleanup(self.good.options.pop, option, None)
                found = self.findings()
                own = [item for item in found if item[:2] == ("FAIL", "configuration")]
                self.assertTrue(own, found)
                self.assertRegex(own[0][2], pattern)
                self.good.configure(**{option: None})
                self.mended_by(own[0])
        for option, value, pattern in (
                ("filter.checks", "whitelst reputation", "did you mean whitelist"),
                ("log.score", "70", "did you mean reputation.score"),
                ("reputaton.score", "70", r"did you mean \[?reputation")):
            with self.subTest(option):
                before = self.good.options.get(option)
                self.good.configure(**{option: value})
                done = self.shell("sudo abictl selftest")
                self.assertEqual(done.returncode, 78)
                self.assertRegex(done.stderr, pattern)
                self.good.configure(**{option: before})

    def test_map_without_root(self):
        """The scan that may not write it is told, and the one of root mends it."""
        directory = testenv.new_directory("map")
        text = f"{directory}/blocked"
        write_file(text, "")
        self.good.configure(**{"blacklist.map": f"cidr:{text}"})
        shutil.copy(self.good.conf, f"{self.good.directory}/right.conf")
        self.good.abictl("blacklist", "add", "8.8.4.4")
        found = {item[2]: item for item in self.findings() if item[1] == "access map"}
        self.assertEqual(len(found), 2, found)
        self.postfix.main("smtpd_client_restrictions=$abichecker_auth")
        for text, item in found.items():
            self.assertRegex(text, "next scan by root|nothing in main.cf or master.cf reads it")
            self.assertEqual(self.shell(item[3]).returncode, 0, item)
        wait_until(lambda: not self.findings(), f"the map to be right: {self.findings()}")
        # What was there is there, in its place, as it was written
        self.assertRegex(self.postfix.must("postconf", "-h", "smtpd_client_restrictions"),
                         r"^\$abichecker_auth, permit_mynetworks, permit_sasl_auth.* cidr:")
        # Another type than main.cf's, or none: then it is that of main.cf
        self.good.configure(**{"blacklist.map": f"lmdb:{directory}/blocked"})
        found = [item for item in self.findings() if item[1] == "access map"]
        self.assertTrue(any("several types: lmdb cidr" in item[2] for item in found), found)
        self.good.configure(**{"blacklist.map": f"{directory}/blocked"})
        self.assertFalse([item for item in self.findings() if item[1] == "access map"])


if __name__ == "__main__":
    unittest.main()
