#!/usr/bin/python3
"""Offenders in the mail log: read, counted, published as a snapshot and as an access map, refused;
alone and with a real Postfix that writes the log. Whatever happens, no line counts twice, none is
lost, and nobody innocent is listed.

    python3 tests/e2e/e2e_blacklist.py [-v] [Class.test ...]
"""
import base64
import contextlib
import datetime
import glob
import itertools
import json
import os
import random
import re
import shutil
import signal
import socketserver
import subprocess
import sys
import threading
import time
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import testenv  # noqa: E402
from filter import DUNNO, Filter, request  # noqa: E402
from mailserver import MailServer  # noqa: E402
from testenv import FILTER_USER, SAN, Site, program, wait_until, write_file  # noqa: E402

OK, UNKNOWN, USAGE, DATA, NO_INPUT, UNAVAILABLE, CANNOT_CREATE = 0, 1, 64, 65, 66, 69, 73
MINUTE, HOUR, DAY = 60, 3600, 86400
REFUSED = b"action=REJECT Listed for abuse of this server\n\n"
ACCEPTED = "250 2.1.5 Ok"
MAP_TEXT = "Mail server found in the local blacklist"
REMOTE = "/lib/systemd/systemd-journal-remote"
TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"
GUILTY, OTHER, IPV6 = "8.8.4.4", "9.9.9.9", "2a03:4000:1:2::1"
FOREIGN_LINES = "# mine\n1.1.1.1\tOK\n9.9.9\tREJECT not from there\n\n# the end\n"
KILLS = 30 if SAN else 40

# Runs "$@" where the file $0 stands in postmap's place.
WITH_POSTMAP = f"""mount --bind "$0" '{shutil.which("postmap")}' && exec "$@" """


# Lines as Postfix writes them

def stamp(when):
    return datetime.datetime.fromtimestamp(when, datetime.timezone.utc).isoformat("T",
                                                                                  "microseconds")


def line(text, when=None, service="smtpd"):
    return f"{stamp(time.time() if when is None else when)} mx1 postfix/{service}[811]: {text}\n"


def reject(client, reply, recipient="x@example.org", sender="a@b.example", helo="h", when=None):
    return line(f"NOQUEUE: reject: RCPT from {client}: {reply}; from=<{sender}> to=<{recipient}> "
                f"proto=ESMTP helo=<{helo}>", when)


def guess(address, recipient, when=None, **keywords):
    return reject(f"h.example[{address}]", f"550 5.1.1 <{recipient}>: Recipient address rejected: "
                  "User unknown in virtual mailbox table", recipient, when=when, **keywords)


def guesses(address, count=5, when=None):
    """So many recipients guessed by a client, a second apart."""
    when = time.time() - count if when is None else when
    return "".join(guess(address, f"user{i}@example.org", when + i) for i in range(count))


def relay(address, when=None):
    return reject(f"unknown[{address}]", "554 5.7.1 <b@example.net>: Relay access denied",
                  "b@example.net", when=when)


def auth_failure(address, when=None, reason="UGFzc3dvcmQ6"):
    return line(f"warning: unknown[{address}]: SASL LOGIN authentication failed: {reason}, "
                "sasl_username=bob@example.org", when)


class BlacklistSite(Site):
    """A site with a mail log of its own."""

    def __init__(self, **options):
        super().__init__()
        self.logs = testenv.new_directory("maillog")
        self.maillog = os.path.join(self.logs, "mail.log")
        self.snapshot = os.path.join(os.path.dirname(self.store), "blacklist.cdb")
        self.mail_config = None
        self.configure(**{"blacklist.logs": self.maillog, "blacklist.snapshot": self.snapshot,
                          "reputation.token_file": None, **options})

    def write(self, *parts, path=None):
        with open(path or self.maillog, "a", encoding="utf-8", errors="surrogateescape") as file:
            file.write("".join(parts))

    def environment(self):
        more = {"MAIL_CONFIG": self.mail_config} if self.mail_config else {}
        return {**testenv.SPAWN_ENVIRONMENT, **more}

    def as_user(self, root=False):
        """Keywords for subprocess that start a program as the filter's user, or as root."""
        keywords = {"env": self.environment(), "cwd": "/"}
        return keywords if root else {**Site.as_filter_user(), **keywords}

    def command(self, *arguments, root=False, wrapper=(), **keywords):
        return subprocess.run([*wrapper, program("abictl"), "-c", self.conf, *arguments],
                              **{"capture_output": True, "text": True, "timeout": 120,
                                 **self.as_user(root), **keywords})

    def start(self, *arguments, root=False):
        return subprocess.Popen([program("abictl"), "-c", self.conf, *arguments],
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                start_new_session=True, **self.as_user(root))

    def scan(self, *arguments, **keywords):
        """A scan that goes well; what it counted."""
        done = self.command("scan", "--json", *arguments, **keywords)
        assert done.returncode == OK and not done.stderr, (done, self.log())
        return json.loads(done.stdout)

    def dry_run(self, *arguments):
        """Who would be listed: block -> what is told about it."""
        done = self.command("scan", "--dry-run", "--json", *arguments)
        assert done.returncode == OK and not done.stderr, done
        return {each["block"]: each for each in json.loads(done.stdout)}

    def blacklist(self, *arguments, **keywords):
        done = self.command("blacklist", *arguments, **keywords)
        assert done.returncode == OK and not done.stderr, done
        return done.stdout

    def listed(self):
        """block -> what the list has about it."""
        return {each["block"]: each for each in json.loads(self.blacklist("list", "--json"))}

    def hits(self, block):
        return self.query("SELECT count(*) FROM abichecker_hits WHERE block = ?", block)[0][0]

    def answer(self, address):
        with Filter(self) as filter_:
            return filter_.ask(address)

    def shift(self, seconds):
        """Everything in the list happened so much earlier."""
        self.query("UPDATE abichecker_offenders SET since = since - ?1, last = last - ?1, "
                   "expires = CASE expires WHEN 0 THEN 0 ELSE expires - ?1 END", seconds)
        self.query("UPDATE abichecker_hits SET time = time - ?", seconds)
        # A snapshot knows when the next ban ends: let it be another list's.
        self.query("UPDATE abichecker_meta SET value = value + 1 WHERE name = 'generation'")


class BlacklistTest(testenv.TestCase):
    def site(self, **options):
        return BlacklistSite(**options)

    def assert_refused(self, site, *addresses):
        for address in addresses:
            self.assertEqual(site.answer(address), REFUSED, address)

    def assert_accepted(self, site, *addresses):
        for address in addresses:
            self.assertEqual(site.answer(address), DUNNO, address)

    def assert_fails(self, done, status, *texts):
        """A program ended so, and said so, in one line at most for each text."""
        self.assertEqual(done.returncode, status, done)
        for text in texts:
            self.assertIn(text, done.stderr)
        self.assertNotIn("usage", done.stderr)


# A real Postfix

class RefusingAuthServer(socketserver.StreamRequestHandler):
    """As much of Dovecot's authentication server as refuses every login."""

    def handle(self):
        self.wfile.write(b"VERSION\t1\t1\nMECH\tPLAIN\tplaintext\nSPID\t1\nCUID\t1\n"
                         b"COOKIE\t0123456789abcdef0123456789abcdef\nDONE\n")
        for words in (each.split(b"\t") for each in self.rfile):
            if words[0] == b"AUTH":
                self.wfile.write(b"FAIL\t" + words[1] + b"\tuser=bob@example.org\n")


class PostfixTest(BlacklistTest):
    """Postfix writes the log that is scanned."""

    expected_warning = "\0"

    def start(self, settings="", **options):
        self.maps = testenv.new_directory("maps")
        self.map = os.path.join(self.maps, "access")
        site = self.site(**options)
        self.server = MailServer(site, settings="relay_recipient_maps = "
                                 "inline:{user@example.org=ok}\nsmtpd_hard_error_limit = 100\n"
                                 "smtpd_junk_command_limit = 1000\n" + settings)
        root = os.path.dirname(os.path.dirname(self.server._path("log/mail.log")))
        site.mail_config = os.path.join(root, "etc")
        site.maillog = write_file(os.path.join(root, "log/mail.log"), "")
        site.configure(**{"blacklist.logs": site.maillog})
        trouble = self.server.trouble
        self.server.trouble = lambda: [each for each in trouble()
                                       if self.expected_warning not in each]
        self.server.start()
        self.addCleanup(self.server.stop, self)
        return site

    def start_with_map(self, kind, **options):
        """The filter has no say: only the map refuses."""
        maps = testenv.new_directory("maps")
        self.map = write_file(os.path.join(maps, "access"), FOREIGN_LINES, 0o640)
        os.chown(self.map, 0, 4242)
        if kind != "cidr":
            subprocess.run(["postmap", f"{kind}:{self.map}"], check=True)
        else:
            write_file(self.map, "# mine\n1.1.1.1/32\tOK\n9.9.9.0/24\tREJECT not from there\n\n"
                       "# the end\n", 0o640)
        path = self.map
        site = self.start(f"smtpd_client_restrictions = check_client_access {kind}:{path}\n",
                          **{"blacklist.map": f"{kind}:{path}", "filter.checks": "reputation",
                             **options})
        self.map, self.foreign = path, testenv.read_file(path)
        return site

    def guess(self, address, count=6, **keywords):
        with self.server.session(address, **keywords) as session:
            session.command("MAIL FROM:<a@b.example>", expected="250")
            for i in range(count):
                session.command(f"RCPT TO:<guess{i}@example.org>", expected="550 5.1.1")

    def reply(self, address, **keywords):
        """The reply that a client gets for a recipient that exists."""
        return self.server.deliver(address, **keywords).recipients[0]

    def assert_foreign_lines_stay(self):
        text = testenv.read_file(self.map)
        self.assertTrue(text.endswith(self.foreign), text)
        status = os.stat(self.map)
        self.assertEqual((status.st_uid, status.st_gid, status.st_mode & 0o7777),
                         (0, 4242, 0o640))


class Refusals(PostfixTest):
    """By the filter alone."""

    def test_who_guesses_recipients_is_refused_at_the_next_connection(self):
        site = self.start()
        self.guess(GUILTY, 20)
        self.guess(OTHER, 4)
        self.assertEqual(self.reply(GUILTY), ACCEPTED)
        counted = site.scan()
        self.assertEqual((counted["listed"], counted["hits"]), (1, 24))
        self.assertRegex(self.reply(GUILTY), "^554 5.7.1 .*Listed for abuse of this server")
        self.assertEqual(self.reply(OTHER), ACCEPTED)
        self.assertEqual(self.reply("8.8.4.5"), ACCEPTED)
        entry = site.listed()[f"{GUILTY}/32"]
        self.assertEqual((entry["rule"], entry["hits"], entry["times"]),
                         ("unknown-recipient", 20, 1))
        self.assertAlmostEqual(entry["expires"] - entry["last"], 7 * DAY, delta=1)
        self.assertRegex(site.log(), r"reject: check=blacklist .*8\.8\.4\.4/32 is listed for "
                         r"\d+s: unknown-recipient, 20 hits, [67]d left")

    def test_the_same_recipient_again_is_no_guess(self):
        site = self.start()
        for _ in range(10):
            self.guess(GUILTY, 2)
        self.assertEqual(site.scan()["listed"], 0)
        self.assertEqual(self.reply(GUILTY), ACCEPTED)

    def test_a_64_is_one_client(self):
        site = self.start()
        for i in range(6):
            with self.server.session(f"2a03:4000:1:2:{i}::1") as session:
                session.command("MAIL FROM:<a@b.example>", expected="250")
                session.command(f"RCPT TO:<guess{i}@example.org>", expected="550 5.1.1")
        self.assertEqual(site.scan()["listed"], 1)
        self.assertEqual(list(site.listed()), ["2a03:4000:1:2::/64"])
        self.assertRegex(self.reply("2a03:4000:1:2:ffff::7"), "^554 5.7.1")
        self.assertEqual(self.reply("2a03:4000:1:3::1"), ACCEPTED)

    def test_relaying(self):
        site = self.start()
        with self.server.session(GUILTY) as session:
            session.command("MAIL FROM:<a@b.example>", expected="250")
            for _ in range(3):
                session.command("RCPT TO:<x@elsewhere.example>", expected="454 4.7.1")
        self.assertEqual(site.scan()["listed"], 1)
        self.assertEqual(site.listed()[f"{GUILTY}/32"]["rule"], "relay-denied")
        self.assertRegex(self.reply(GUILTY), "^554 5.7.1")

    def test_failed_logins(self):
        site = self.start()
        self.server._auth.RequestHandlerClass = RefusingAuthServer
        self.expected_warning = "SASL PLAIN authentication failed"
        word = base64.b64encode(b"\0bob@example.org\0guess").decode()
        with self.server.session(GUILTY, port=self.server.submission) as session:
            for _ in range(9):
                session.command(f"AUTH PLAIN {word}", expected="535")
        self.assertEqual(site.scan()["listed"], 0)
        with self.server.session(GUILTY, port=self.server.submission) as session:
            session.command(f"AUTH PLAIN {word}", expected="535")
        self.assertEqual(site.scan()["listed"], 1)
        self.assertEqual(site.listed()[f"{GUILTY}/32"]["rule"], "auth-failure")
        self.assertRegex(self.reply(GUILTY), "^554 5.7.1")

    def test_our_own_refusals_are_no_offences(self):
        site = self.start(**{"blacklist.rules": "unknown-recipient=5/1d relay-denied=1/1d "
                             "sender-rejected=1/1d helo-rejected=1/1d protocol-abuse=1/1d"})
        self.guess(GUILTY)
        site.scan()
        before = site.listed()
        for _ in range(30):
            self.assertRegex(self.reply(GUILTY), "^554 5.7.1")
        counted = site.scan()
        self.assertGreater(counted["lines"], 60)
        self.assertEqual(counted["hits"], 0)
        self.assertEqual(site.listed(), before)

    def test_unblocking_one_and_all(self):
        site = self.start()
        for address in (GUILTY, OTHER, IPV6):
            self.guess(address)
        self.assertEqual(site.scan()["listed"], 3)
        site.blacklist("remove", GUILTY)
        self.assertEqual(self.reply(GUILTY), ACCEPTED)
        self.assertRegex(self.reply(OTHER), "^554 5.7.1")
        self.assertEqual(site.hits(f"{GUILTY}/32"), 0)
        self.assertEqual(site.scan()["listed"], 2)  # its old lines count no more
        site.blacklist("remove", "--all")
        for address in (GUILTY, OTHER, IPV6):
            self.assertEqual(self.reply(address), ACCEPTED)
        self.assertEqual(site.scan()["listed"], 0)

    def test_own_networks_are_those_of_postfix(self):
        """However many they are, and whatever postconf has to complain about."""
        many = "".join(f"\n    10.{i}.{i}.0/24" for i in range(100))
        main_cfs = ("mynetworks = 127.0.0.0/8 8.8.4.0/24\n",
                    f"mynetworks = 127.0.0.0/8{many}\n    8.8.4.0/24\n",
                    "mynetworks = 1.2.3.4\nmynetworks = 127.0.0.0/8, 8.8.4.0/24\n",
                    "mine = 8.8.4.0/24\nmynetworks = 127.0.0.0/8 $mine\n")
        for number, main_cf in enumerate(main_cfs):
            with self.subTest(number):
                site = self.site()
                site.mail_config = testenv.new_directory("postfix")
                write_file(os.path.join(site.mail_config, "main.cf"), main_cf)
                write_file(os.path.join(site.mail_config, "master.cf"), "")
                site.write(guesses(GUILTY), guesses(OTHER))
                counted = site.scan()
                self.assertEqual((counted["exempt"], counted["hits"]), (5, 5))
                self.assertEqual(list(site.listed()), [f"{OTHER}/32"])

    def test_somebody_who_is_logged_in_is_not_asked_about(self):
        site = self.start()
        site.blacklist("add", GUILTY)
        self.assertEqual(self.reply(GUILTY, login="user@example.org"), ACCEPTED)
        self.assertRegex(self.reply(GUILTY), "^554 5.7.1")


class Maps(PostfixTest):
    """By an access map, before the filter is asked."""

    def check_indexed(self, kind):
        site = self.start_with_map(kind)
        self.assertEqual(self.reply("1.1.1.1"), ACCEPTED)
        self.guess(GUILTY)
        self.guess(IPV6)
        self.guess("1.1.1.1")  # allowed by the administrator's own line
        self.assertEqual(site.scan(root=True)["listed"], 3)
        for address in (GUILTY, IPV6, "2a03:4000:1:2:9::9"):
            self.assertRegex(self.reply(address), f"^554 5.7.1 .*{MAP_TEXT}")
        for address in ("1.1.1.1", "8.8.4.5", "2a03:4000:1:3::1"):
            self.assertEqual(self.reply(address), ACCEPTED)
        self.assertRegex(self.reply(OTHER), "^554 5.7.1 .*not from there")
        self.assert_foreign_lines_stay()
        self.assertEqual(site.scan(root=True)["hits"], 0)  # our refusals
        site.blacklist("remove", GUILTY, root=True)
        self.assertEqual(self.reply(GUILTY), ACCEPTED)
        self.assertRegex(self.reply(IPV6), f"^554 5.7.1 .*{MAP_TEXT}")
        site.blacklist("remove", "--all", root=True)
        self.assertEqual(self.reply(IPV6), ACCEPTED)
        self.assertRegex(self.reply(OTHER), "^554 5.7.1 .*not from there")
        self.assert_foreign_lines_stay()

    def test_hash(self):
        self.check_indexed("hash")

    def test_cdb(self):
        self.check_indexed("cdb")

    def test_btree(self):
        self.check_indexed("btree")

    def test_an_ok_protects_until_it_is_overridden(self):
        """Also after the release before, whose block stands there; then our line is first."""
        site = self.start_with_map("hash")
        before = ("# BEGIN abichecker blacklist, generation 7, sum 0123456789abcdef\n"
                  f"{GUILTY}\tREJECT {MAP_TEXT}\n# END abichecker blacklist\n")
        write_file(self.map, before + self.foreign, 0o640)
        os.chown(self.map, 0, 4242)
        for address in (GUILTY, "1.1.1.1"):
            site.blacklist("add", address, root=True)
        self.assertEqual(self.reply("1.1.1.1"), ACCEPTED)
        self.assertRegex(self.reply(GUILTY), f"^554 5.7.1 .*{MAP_TEXT}")
        told = site.command("blacklist", "map", root=True)
        self.assertEqual(told.returncode, OK)
        self.assertRegex(told.stdout, r"1 left out.*whitelist\.txt.*--override': 1\.1\.1\.1\n")
        self.assertTrue(site.log_lines(r"warning: .*1 left out.*whitelist\.txt.*: 1\.1\.1\.1"))
        site.blacklist("add", OTHER, root=True)  # another list: it goes on so
        self.assertEqual(self.reply("1.1.1.1"), ACCEPTED)
        told = site.command("blacklist", "map", "--override", root=True)
        self.assertEqual((told.returncode, told.stdout), (OK, ""))
        site.blacklist("remove", OTHER, root=True)
        self.assertRegex(self.reply("1.1.1.1"), f"^554 5.7.1 .*{MAP_TEXT}")
        self.assert_foreign_lines_stay()
        with open(site.whitelist, "a", encoding="utf-8") as file:
            file.write("1.1.1.1\n")
        site.scan(root=True)
        self.assertEqual(self.reply("1.1.1.1"), ACCEPTED)

    def test_a_file_of_our_own_has_the_type_of_main_cf(self):
        """Nothing else is in it; with two types both indexes are kept."""
        maps = testenv.new_directory("maps")
        path = write_file(os.path.join(maps, "abichecker"), "")
        subprocess.run(["postmap", f"lmdb:{path}"], check=True)
        site = self.start(f"smtpd_client_restrictions = check_client_access lmdb:{path}\n",
                          **{"blacklist.map": path, "filter.checks": "reputation"})
        site.blacklist("add", GUILTY, root=True)
        self.assertEqual(sorted(os.listdir(maps)), ["abichecker", "abichecker.lmdb"])
        self.assertRegex(self.reply(GUILTY), f"^554 5.7.1 .*{MAP_TEXT}")
        self.assertEqual(self.reply("8.8.4.5"), ACCEPTED)
        with open(os.path.join(site.mail_config, "master.cf"), "a", encoding="utf-8") as file:
            file.write(f"127.0.0.1:1 inet n - n - 0 smtpd\n -o {{x = hash:{path}}}\n")
        site.blacklist("add", OTHER, root=True)
        self.assertEqual(sorted(os.listdir(maps)),
                         ["abichecker", "abichecker.db", "abichecker.lmdb"])
        for kind in ("hash", "lmdb"):
            self.assertEqual(subprocess.run(
                ["postmap", "-q", OTHER, f"{kind}:{path}"], capture_output=True,
                text=True).stdout.strip(), f"REJECT {MAP_TEXT}")
        site.command("blacklist", "unmap", path, root=True)
        self.assertEqual(self.reply(GUILTY), ACCEPTED)

    def test_lmdb(self):
        self.check_indexed("lmdb")

    def test_cidr_after_its_reload(self):
        site = self.start_with_map("cidr", **{"blacklist.reload": "1s"})
        self.guess(GUILTY)
        self.guess(IPV6)
        self.assertEqual(site.scan(root=True)["listed"], 2)
        self.assert_foreign_lines_stay()
        for address in (GUILTY, IPV6):
            wait_until(lambda: MAP_TEXT in self.reply(address), "the new list to be in force")
        self.assertEqual(self.reply("1.1.1.1"), ACCEPTED)
        self.assertRegex(self.reply(OTHER), "not from there")
        self.assertIn("reload", testenv.read_file(site.maillog))

    def test_a_cidr_map_is_not_reloaded_unasked(self):
        site = self.start_with_map("cidr")
        self.guess(GUILTY)
        site.scan(root=True)
        self.assertIn(f"{GUILTY}\tREJECT", testenv.read_file(self.map))
        self.assertNotIn("reload -- ", testenv.read_file(site.maillog))


# Whose files

@unittest.skipIf(os.getuid() != 0, "only root can become somebody else")
class Identity(BlacklistTest):
    def setUp(self):
        self.maps = testenv.new_directory("maps")
        self.map = os.path.join(self.maps, "access")
        self.place = self.site(**{"blacklist.map": f"hash:{self.map}"})

    def test_root_writes_the_map_and_somebody_else_the_rest(self):
        site = self.place
        site.write(guesses(GUILTY))
        os.chmod(site.maillog, 0o640)
        shutil.chown(site.maillog, "root", "adm")  # the group that scan takes
        site.scan(root=True)
        for path in (site.snapshot, site.store, site.log_file):
            self.assertEqual(os.stat(path).st_uid, FILTER_USER.pw_uid, path)
        for path in (self.map, f"{self.map}.db"):
            status = os.stat(path)
            self.assertEqual((status.st_uid, status.st_mode & 0o777), (0, 0o644), path)
        self.assertEqual(self.lookup(GUILTY), f"REJECT {MAP_TEXT}")
        self.assert_refused(site, GUILTY)

    def lookup(self, key):
        return subprocess.run(["postmap", "-q", key, f"hash:{self.map}"], capture_output=True,
                              text=True).stdout.strip()

    def test_others_cannot_write_the_map_and_lose_nothing(self):
        site = self.place
        site.write(guesses(GUILTY))
        done = site.command("scan")
        self.assert_fails(done, CANNOT_CREATE, self.maps)
        self.assertEqual(list(site.listed()), [f"{GUILTY}/32"])
        self.assert_refused(site, GUILTY)  # the snapshot was made
        self.assertEqual(os.listdir(self.maps), [])
        site.scan(root=True)
        self.assertEqual(self.lookup(GUILTY), f"REJECT {MAP_TEXT}")

    def test_add_and_remove_write_the_map_too(self):
        site = self.place
        site.blacklist("add", GUILTY, root=True)
        self.assertEqual(self.lookup(GUILTY), f"REJECT {MAP_TEXT}")
        site.blacklist("remove", GUILTY, root=True)
        self.assertEqual(self.lookup(GUILTY), "")

    def test_the_child_sees_nothing_of_the_log(self):
        """Only a snapshot goes between the two: the one that keeps root has no log open."""
        site = self.place
        site.write(guesses(GUILTY))
        with site.start("scan", "--follow", root=True) as process:
            wait_until(lambda: os.path.exists(self.map), "the map")
            children = testenv.children(process.pid)
            self.assertEqual(len(children), 1)
            files = [os.readlink(f"/proc/{children[0]}/fd/{fd}")
                     for fd in os.listdir(f"/proc/{children[0]}/fd")]
            self.assertNotIn(site.maillog, files)
            self.assertNotIn(site.store, files)
            owners = [re.search(r"^Uid:\t(\d+)\t(\d+)\t(\d+)", testenv.read_file(
                f"/proc/{pid}/status"), re.MULTILINE).groups()
                for pid in (process.pid, children[0])]
            self.assertEqual(owners, [(str(FILTER_USER.pw_uid),) * 3, ("0",) * 3])
            process.terminate()
            self.assertEqual(process.wait(testenv.PATIENCE), OK)
        wait_until(lambda: children[0] not in testenv.processes_of(program("abictl")),
                   "the child to end")


# Which lines list whom

class Lines(BlacklistTest):
    def test_each_rule_at_its_number(self):
        site = self.site(**{"blacklist.rules": "relay-denied=3/1d auth-failure=10/1d "
                            "unknown-recipient=5/1h"})
        now = time.time()
        site.write(*[relay("8.8.4.1", now) for _ in range(2)],
                   *[relay("8.8.4.2", now) for _ in range(3)],
                   *[auth_failure("8.8.4.3", now) for _ in range(9)],
                   *[auth_failure("8.8.4.4", now) for _ in range(10)],
                   guesses("8.8.4.5", 4), guesses("8.8.4.6", 5),
                   *[guess("8.8.4.7", f"slow{i}@example.org", now - i * HOUR / 4)
                     for i in range(5)][::-1],
                   *[guess("8.8.4.8", f"slow{i}@example.org", now - i * HOUR / 5)
                     for i in range(5)][::-1])
        would = site.dry_run()
        site.scan()
        self.assertEqual(sorted(site.listed()), [f"8.8.4.{i}/32" for i in (2, 4, 6, 8)])
        self.assertEqual(sorted(would), sorted(site.listed()))
        self.assert_refused(site, "8.8.4.2", "8.8.4.8")
        self.assert_accepted(site, "8.8.4.1", "8.8.4.3", "8.8.4.5", "8.8.4.7")

    def test_attack_lines_list_nobody_else(self):
        """The client of all these is 8.8.4.4; 9.9.9.9 is whom it would like to have listed."""
        site = self.site(**{"blacklist.rules": " ".join(f"{rule}=1/1d" for rule in (
            "unknown-recipient", "auth-failure", "relay-denied", "hostname-mismatch",
            "helo-rejected", "sender-rejected", "blocklisted", "protocol-abuse", "rate-limit",
            "lost-after-auth", "pregreet", "milter-rejected", "no-reverse-name", "unknown-bounce",
            "hangup", "auth-refused", "dnsbl-rank", "policy-rejected"))})
        whole = guess(OTHER, "x@example.org").rstrip("\n")
        phrase = f"h[{OTHER}]: SASL LOGIN authentication failed: y"
        site.write(
            # a PTR name, HELO, sender and recipient that look like an address
            line(f"warning: hostname {OTHER}.evil.example does not resolve to address {GUILTY}: "
                 "Name or service not known"),
            guess(GUILTY, "x@example.org", helo=f"[{OTHER}]"),
            guess(GUILTY, f"x@[{OTHER}]", sender=f"a@[{OTHER}]"),
            guess(GUILTY, f"\"h[{OTHER}]: 550 5.1.1 <y>: Recipient address rejected: User "
                  "unknown in\"@example.org"),
            # the log line of another client inside of names that the client gives
            line(f"warning: h.example[{GUILTY}]: SASL PLAIN authentication failed: (reason "
                 f"unavailable), sasl_username=bad {phrase}"),
            line(f"warning: h.example[{GUILTY}]: SASL LOGIN authentication failed: x, "
                 f"sasl_username={whole}"),
            guess(GUILTY, "x@example.org", helo=f"{whole}>"),
            guess(GUILTY, "x@example.org", sender=f"\"reject: RCPT from h[{OTHER}]: 554 5.7.1 "
                  "<b@c>: Relay access denied\"@b.example"),
            line(f"improper command pipelining after EHLO from h[{GUILTY}]: too many errors after "
                 f"RCPT from h[{OTHER}]\\r\\n"),
            line(f"lost connection after AUTH from h[{OTHER}] from h[{GUILTY}]"),
            line(f"PREGREET 100 after 0.1 from [{GUILTY}]:4: NOQUEUE: reject: RCPT from "
                 f"h[{OTHER}]: 550 5.1.1 <x@y>: Recipient address rejected: User unknown in z",
                 service="postscreen"),
            # lines of other programs, and of nobody
            f"{stamp(time.time())} mx1 sshd[1]: {phrase}\n",
            f"{stamp(time.time())} mx1 postfix/smtp[1]: warning: {phrase}\n",
            f"{stamp(time.time())} mx1 postfix/cleanup[1]: 4F00: warning: header Subject: {phrase}"
            f" from h[{OTHER}]; from=<a> to=<b> proto=ESMTP helo=<h>\n",
            f"warning: {phrase}\n", f"{phrase}\n", f"[{OTHER}]\n",
            line(f"info: warning: {phrase}"),
            # a process number is no address, and neither is a bracket
            f"{stamp(time.time())} mx1 postfix/smtpd[{OTHER}]: too many errors\n",
            line(f"client={OTHER} [{OTHER}]"))
        site.scan()
        self.assertEqual(list(site.listed()), [f"{GUILTY}/32"])
        self.assertEqual(site.query("SELECT DISTINCT block FROM abichecker_hits WHERE block <> ?",
                                    f"{GUILTY}/32"), [])
        self.assert_accepted(site, OTHER)

    def test_forms_of_times_and_names_of_services(self):
        site = self.site(**{"blacklist.rules": "relay-denied=2/1d"})
        old = time.strftime("%b %e %H:%M:%S ")
        tail = f"NOQUEUE: reject: RCPT from unknown[{GUILTY}]: 554 5.7.1 <b@c>: Relay access " \
               "denied; from=<a> to=<b@c> proto=SMTP helo=<h>\n"
        site.write(f"{old}mx1 postfix/smtpd[1]: {tail}",
                   f"{stamp(time.time())} mx1 postfix/192.0.2.25:smtp/smtpd[1]: {tail}")
        self.assertEqual(site.scan()["listed"], 1)
        site.write(f"{old}mx1 postfix-in/smtpd[1]: " + tail.replace(GUILTY, OTHER),
                   f"{old}mx1 postfix/[::]:2525/smtpd[1]: " + tail.replace(GUILTY, OTHER))
        self.assertEqual(site.scan()["listed"], 2)

    def test_the_whitelist_and_private_addresses(self):
        site = self.site()
        write_file(site.whitelist, "8.8.4.0/24\npartner.example\n")
        site.write(guesses(GUILTY), guesses("10.1.2.3"), guesses("192.0.2.1"), guesses("::1"),
                   guesses(OTHER),
                   *[guess("1.1.1.1", f"u{i}@example.org").replace(
                       "h.example[", "mx.partner.example[") for i in range(9)],
                   *[guess("1.1.1.2", f"u{i}@example.org").replace(
                       "h.example[", "notpartner.example[") for i in range(9)])
        counted = site.scan()
        self.assertEqual(sorted(site.listed()), ["1.1.1.2/32", f"{OTHER}/32"])
        self.assertEqual(counted["exempt"], 29)

    def test_prefixes(self):
        site = self.site(**{"blacklist.ipv4_prefix": "24", "blacklist.ipv6_prefix": "48"})
        site.write(*[guess(f"8.8.4.{i}", f"u{i}@example.org") for i in range(5)],
                   *[guess(f"2a03:4000:1:{i}::1", f"u{i}@example.org") for i in range(5)])
        self.assertEqual(site.scan()["listed"], 2)
        self.assertEqual(sorted(site.listed()), ["2a03:4000:1::/48", "8.8.4.0/24"])
        self.assert_refused(site, "8.8.4.250", "2a03:4000:1:ffff::1")
        self.assert_accepted(site, "8.8.5.1", "2a03:4000:2::1")


# Nobody innocent

class Innocent(BlacklistTest):
    """Lines of days on which nothing is wrong with the clients."""

    everything = {"blacklist.rules": "unknown-recipient=5/1d auth-failure=10/1d "
                  "relay-denied=3/1d protocol-abuse=5/1d pregreet=3/1d rate-limit=5/1d "
                  "lost-after-auth=5/1d no-reverse-name=1/1d hostname-mismatch=1/1d "
                  "helo-rejected=3/1d sender-rejected=3/1d unknown-bounce=50/1d "
                  "policy-rejected=1/1d"}

    def client(self):
        return f"{self.random.choice((62, 81, 93, 151))}.{self.random.randrange(256)}." \
               f"{self.random.randrange(256)}.{self.random.randrange(1, 255)}"

    def setUp(self):
        self.random = random.Random(5)
        self.start = time.time() - DAY

    def assert_nobody(self, site, lines, hits=None):
        counted = site.scan()
        self.assertEqual(counted["lines"], lines)
        self.assertEqual((counted["listed"], site.listed()), (0, {}))
        if hits is not None:
            self.assertEqual(counted["hits"], hits)
        self.assertEqual(site.dry_run(), {})

    def session(self, when, number, client):
        """The lines of one message that arrives."""
        queue_id = f"{0x4F00000 + number:X}"
        name = f"mail{number % 977}.example.net[{client}]"
        return [line(f"connect from {name}", when),
                line(f"{queue_id}: client={name}", when),
                line(f"{queue_id}: message-id=<{number}@example.net>", when, "cleanup"),
                line(f"{queue_id}: from=<a{number}@example.net>, size=4321, nrcpt=1 (queue active)",
                     when, "qmgr"),
                line(f"disconnect from {name} ehlo=1 mail=1 rcpt=1 data=1 quit=1 commands=5", when)]

    def test_an_ordinary_day(self):
        site, lines, typos = self.site(), [], 0
        people = [self.client() for _ in range(3000)]
        for number in range(20000):
            when, client = self.start + number * DAY / 20000, self.random.choice(people)
            lines += self.session(when, number, client)
            luck = self.random.randrange(100)
            if luck < 3:  # somebody's typo, and the retry with the same
                lines += [guess(client, f"typo{number % 3}@example.org", when)] * 2
                typos += 2
            elif luck < 8:  # greylisting
                lines.append(reject(f"h.example[{client}]", "450 4.2.0 <u@example.org>: Recipient "
                                    "address rejected: Greylisted", when=when))
            elif luck < 12:  # a dictionary that cannot be asked, a recipient being verified
                lines.append(reject(f"h.example[{client}]", "451 4.3.0 <u@example.org>: Temporary "
                                    "lookup failure", when=when))
                lines.append(reject(f"h.example[{client}]", "450 4.1.1 <u@example.org>: Recipient "
                                    "address rejected: unverified address: in progress", when=when))
            elif luck < 14:
                lines.append(line(f"lost connection after DATA from h.example[{client}]", when))
            elif luck == 14:
                lines.append(auth_failure(client, when))
                typos += 1
        self.assertGreater(len(lines), 100000)
        site.write(*lines)
        self.assert_nobody(site, len(lines), typos)

    def test_a_resolver_outage(self):
        site, lines = self.site(**self.everything), []
        for i in range(20000):
            client, when = f"62.8.{i % 40}.{i % 50}", self.start + i
            lines += [
                line(f"warning: hostname mx{i % 50}.example.net does not resolve to address "
                     f"{client}: Temporary failure in name resolution", when),
                reject(f"unknown[{client}]", "450 4.7.25 Client host rejected: cannot find your "
                       f"hostname, [{client}]", when=when),
                reject(f"unknown[{client}]", "450 4.1.8 <a@b.example>: Sender address rejected: "
                       "Domain not found", when=when),
                reject(f"unknown[{client}]", "450 4.7.1 <mx.example.net>: Helo command rejected: "
                       "Host not found", when=when)]
        site.write(*lines)
        self.assert_nobody(site, len(lines), 0)

    def test_a_sasl_server_outage(self):
        site, lines = self.site(**self.everything), []
        for i in range(5000):
            client, when = f"62.8.{i % 40}.{i % 50}", self.start + i
            lines += [
                line(f"warning: unknown[{client}]: SASL PLAIN authentication failed: Connection "
                     "lost to authentication server", when, "submission/smtpd"),
                line("warning: SASL: Connect to private/auth failed: No such file or directory",
                     when, "submission/smtpd"),
                line("fatal: no SASL authentication mechanisms", when, "submission/smtpd"),
                line(f"lost connection after AUTH from unknown[{client}]", when,
                     "submission/smtpd")]
        site.write(*lines)
        self.assert_nobody(site, len(lines), 0)

    def test_a_day_of_postscreen_with_health_checks(self):
        """Monitors that hang up, senders told to come again, a partner that talks too early."""
        site, lines = self.site(), []
        write_file(site.whitelist, "partner.example\n")
        lines.append(line("connect from mx.partner.example[62.8.1.1]", self.start))
        for i in range(10000):
            monitor, sender, when = f"62.9.0.{i % 5}", self.client(), self.start + i
            lines += [
                line(f"CONNECT from [{monitor}]:4{i:04} to [192.0.2.25]:25", when, "postscreen"),
                line(f"HANGUP after 0 from [{monitor}]:4{i:04} in tests before SMTP handshake",
                     when, "postscreen"),
                line(f"DISCONNECT [{monitor}]:4{i:04}", when, "postscreen"),
                line(f"CONNECT from [{sender}]:5{i:04} to [192.0.2.25]:25", when, "postscreen"),
                line(f"NOQUEUE: reject: RCPT from [{sender}]:5{i:04}: 450 4.3.2 Service currently "
                     "unavailable; from=<a@b.example>, to=<x@example.org>, proto=ESMTP, "
                     "helo=<mx.b.example>", when, "postscreen"),
                line(f"HANGUP after 1.3 from [{sender}]:5{i:04} in tests after SMTP handshake",
                     when, "postscreen"),
                line(f"PASS NEW [{sender}]:5{i:04}", when, "postscreen")]
            if i % 100 == 0:
                lines += [line(f"connect from mx.partner.example[62.8.1.{i % 3}]", when),
                          line(f"PREGREET 19 after 0.1 from [62.8.1.{i % 3}]:6{i:04}: EHLO "
                               "mx.partner.example", when, "postscreen")]
        site.write(*lines)
        self.assert_nobody(site, len(lines), 0)

    def test_a_name_is_known_from_an_earlier_scan(self):
        site = self.site(**{"blacklist.rules": "pregreet=1/1d"})
        write_file(site.whitelist, "partner.example\n")
        early = [line(f"PREGREET 19 after 0.1 from [{address}]:60000: EHLO mx.partner.example",
                      service="postscreen") for address in (GUILTY, OTHER)]
        site.write(line(f"CONNECT from [{OTHER}]:4000 to [192.0.2.25]:25", service="postscreen"))
        site.scan()
        site.write(line(f"connect from mx.partner.example[{GUILTY}]"),
                   line(f"connect from mx.other.example[{OTHER}]"))
        site.scan()
        names = os.path.join(site.cache, ".scan-names")
        self.assertRegex(testenv.read_file(names), rf"^\d+ {GUILTY} mx\.partner\.example\n$")
        site.write(*early)
        self.assertEqual(site.scan()["exempt"], 1)
        self.assertEqual(list(site.listed()), [f"{OTHER}/32"])
        # What is no name, or no address, or too old, is nothing.
        for text in ("", "x", "1 2 3\n\n\n", f"1 {GUILTY} mx.partner.example\n",
                     f"99999999999999999999 {GUILTY} mx.partner.example\n", "\0" * 70000):
            write_file(names, text)
            site.blacklist("remove", "--all")
            site.write(early[0])
            self.assertEqual(site.scan()["listed"], 1)

    def test_a_list_that_refuses_our_resolver(self):
        site, lines = self.site(**{"blacklist.rules": "blocklisted=3/1d"}), []
        for i in range(5000):
            client = f"62.8.{i % 40}.{i % 50}"
            lines += [reject(f"h.example[{client}]", "554 5.7.1 Service unavailable; " + text,
                             when=self.start + i) for text in (
                f"Client host [{client}] blocked using zen.example; Error: open resolver; "
                "https://check.spamhaus.org/returnc/pub/192.0.2.53/",
                "Sender address [a@b.example] blocked using dbl.example; Error: excessive number "
                "of queries; https://check.spamhaus.org/returnc/vol/")]
        site.write(*lines)
        self.assert_nobody(site, len(lines), 0)

    def test_who_has_logged_in_and_writes_to_old_addresses(self):
        """200 of a newsletter's recipients are gone: Postfix 3.10, and what was before it."""
        site, lines = self.site(**self.everything), []
        for i in range(200):
            old = guess(GUILTY, f"gone{i}@example.org", self.start + i)
            moved = relay(GUILTY, self.start + i)
            lines += [text.replace("helo=<h>", "helo=<h> sasl_method=PLAIN sasl_username=ann")
                      for text in (old, moved)]
            errors = line("too many errors after RCPT from h.example[" + GUILTY + "]",
                          self.start + i)
            for service in ("submission/smtpd", "smtps/smtpd", "[::]:465/smtpd",
                            "192.0.2.25:submission/smtpd", "submission-auth/smtpd"):
                lines.append(errors.replace("postfix/smtpd", f"postfix/{service}"))
                lines += [text.replace("postfix/smtpd", f"postfix/{service}")
                          for text in (old, moved)]
        site.write(*lines)
        self.assert_nobody(site, len(lines), 0)

    def test_bounces_to_forged_senders(self):
        """A wave of spam in our name: each server that has got it sends back some."""
        site, lines = self.site(), []
        for i in range(40000):
            lines.append(guess(f"62.{i % 200}.{i % 7}.{i % 3 + 1}",
                               f"forged{i // 4200 * 1000 + i % 1000}@example.org",
                               self.start + i * 2, sender=""))
        site.write(*lines)
        counted = site.scan()
        self.assertEqual(counted["hits"], len(lines))
        self.assertEqual(site.listed(), {})
        # But who harvests addresses like that is found.
        site.write(*[guess(GUILTY, f"guess{i}@example.org", sender="") for i in range(50)])
        self.assertEqual(site.scan()["listed"], 1)
        self.assertEqual(list(site.listed()), [f"{GUILTY}/32"])

    def test_a_day_of_our_own_refusals(self):
        actions = {"reputation.action": "521 5.7.1 Bad host reputation.",
                   "blacklist.action": "554 5.7.1 Known offender $client_address",
                   "geocount.action": "554 5.7.1 Your account ($sasl_username) is closed",
                   "accounts.action": "REJECT"}
        texts = ["521 5.7.1 {}Bad host reputation.", f"554 5.7.1 {{}}Known offender {GUILTY}",
                 "554 5.7.1 {}Your account (bob) is closed", "554 5.7.1 {}Access denied",
                 f"554 5.7.1 {{}}{MAP_TEXT}"]
        places = [f"<unknown[{GUILTY}]>: Client host rejected: ",
                  "<x@example.org>: Recipient address rejected: ",
                  "<a@b.example>: Sender address rejected: "]
        site = self.site(**self.everything, **actions)
        lines = [reject(f"unknown[{GUILTY}]", text.format(place), when=self.start + i * 20)
                 for i, (text, place) in enumerate(itertools.islice(itertools.cycle(
                     itertools.product(texts, places)), 4000))]
        site.write(*lines)
        self.assert_nobody(site, len(lines), 0)


# How long

class Bans(BlacklistTest):
    def test_a_ban_ends_and_the_next_one_is_longer(self):
        site = self.site(**{"blacklist.ban": "1d", "blacklist.ban_max": "3d"})
        for times, days in ((1, 1), (2, 2), (3, 3), (4, 3)):
            site.write(guesses(GUILTY))
            self.assertEqual(site.scan()["listed"], 1)
            entry = site.listed()[f"{GUILTY}/32"]
            self.assertEqual(entry["times"], times)
            self.assertAlmostEqual(entry["expires"] - entry["last"], days * DAY, delta=1)
            self.assert_refused(site, GUILTY)
            site.shift(days * DAY + 10)
            self.assertEqual(site.scan()["listed"], 0)
            self.assertEqual(site.listed(), {})
            self.assert_accepted(site, GUILTY)

    def test_the_filter_needs_no_scan_to_forget(self):
        site = self.site(**{"blacklist.ban": "60s"})
        site.write(guesses(GUILTY, when=time.time() - 68), guesses(OTHER))
        site.scan()
        self.assert_accepted(site, GUILTY)
        self.assert_refused(site, OTHER)
        site.write(guesses(IPV6, when=time.time() - 62))  # listed for two seconds yet
        with Filter(site) as filter_:
            site.scan()
            wait_until(lambda: filter_.ask(IPV6) == DUNNO, "the ban to end")
            self.assertEqual(filter_.ask(OTHER), REFUSED)

    def test_whoever_goes_on_stays(self):
        site = self.site(**{"blacklist.ban": "1d"})
        now = time.time()
        site.write(guesses(GUILTY, when=now - 20 * HOUR))
        site.scan()
        before = site.listed()[f"{GUILTY}/32"]
        site.write(guess(GUILTY, "user0@example.org", now))
        site.scan()
        after = site.listed()[f"{GUILTY}/32"]
        self.assertEqual(after["times"], 1)
        self.assertEqual(after["hits"], before["hits"] + 1)
        self.assertAlmostEqual(after["expires"], now + DAY, delta=1)

    def test_times_are_those_of_the_log(self):
        """Old offences, read today, are old: their ban is over."""
        site = self.site()
        site.write(guesses(GUILTY, when=time.time() - 8 * DAY),
                   guesses(OTHER, when=time.time() - 6 * DAY))
        self.assertEqual(site.scan()["listed"], 1)
        self.assertEqual(list(site.listed()), [f"{OTHER}/32"])
        self.assertAlmostEqual(site.listed()[f"{OTHER}/32"]["expires"], time.time() + DAY,
                               delta=30)

    def test_a_period_is_that_of_the_log(self):
        site = self.site()
        now = time.time()
        site.write(*[guess(GUILTY, f"u{i}@example.org", now - (4 - i) * 7 * HOUR)
                     for i in range(5)])
        self.assertEqual(site.scan()["listed"], 0)


# By hand

class ByHand(BlacklistTest):
    def test_add_show_list_export_remove(self):
        site = self.site()
        site.blacklist("add", GUILTY, "asked \x1b[31mfor\n it")
        site.blacklist("add", "--ban", "2h", "2a03:4000:1:2::5")
        self.assert_refused(site, GUILTY, IPV6)
        listed = site.listed()
        entry = listed[f"{GUILTY}/32"]
        self.assertEqual((entry["rule"], entry["expires"], entry["listed"]),
                         ("manual", 0, True))
        self.assertNotRegex(entry["note"], "[\x00-\x1f]")
        self.assertIn("asked", entry["note"])
        self.assertAlmostEqual(listed["2a03:4000:1:2::/64"]["expires"], time.time() + 2 * HOUR,
                               delta=30)
        self.assertEqual(sorted(site.blacklist("export").split()),
                         ["2a03:4000:1:2::/64", f"{GUILTY}/32"])
        self.assertRegex(site.blacklist("list"), rf"{GUILTY}/32 +manual .*forever .*asked")
        self.assertRegex(site.blacklist("show", GUILTY), "published +yes")
        self.assertRegex(site.blacklist("show", GUILTY),
                         rf"since +{TIME}\nlast +{TIME}\nuntil +forever\n")
        self.assertRegex(site.blacklist("show", IPV6), rf"until +{TIME}\n")
        shown = json.loads(site.blacklist("show", "--json", "2a03:4000:1:2:7::7"))
        self.assertTrue(shown["published"])
        self.assertEqual(shown["offender"]["block"], "2a03:4000:1:2::/64")
        site.blacklist("remove", "2a03:4000:1:2::/64")
        self.assert_accepted(site, IPV6)
        self.assert_refused(site, GUILTY)
        self.assertEqual(site.command("blacklist", "remove", IPV6).returncode, UNKNOWN)
        self.assertEqual(site.command("blacklist", "show", IPV6).returncode, UNKNOWN)
        site.blacklist("remove", "--all")
        self.assertEqual(site.blacklist("list", "--noheadings"), "")
        self.assertEqual(json.loads(site.blacklist("list", "--json")), [])
        self.assertEqual(site.blacklist("export"), "")
        self.assert_accepted(site, GUILTY)

    def test_a_ban_by_hand_ends(self):
        site = self.site()
        site.blacklist("add", "--ban", "1h", GUILTY)
        self.assert_refused(site, GUILTY)
        site.shift(HOUR + 1)
        site.scan("-", stdin=subprocess.DEVNULL)
        self.assertEqual(site.listed(), {})
        self.assert_accepted(site, GUILTY)

    def test_for_ever_stays_whatever_the_log_says(self):
        site = self.site()
        site.blacklist("add", GUILTY)
        site.write(guesses(GUILTY))
        site.scan()
        self.assertEqual(site.listed()[f"{GUILTY}/32"]["expires"], 0)
        self.assertEqual(site.listed()[f"{GUILTY}/32"]["rule"], "manual")

    def test_refused(self):
        site = self.site()
        write_file(site.whitelist, "8.8.4.0/24\n")
        for address in ("10.1.2.3", "127.0.0.1", "192.0.2.1", "::1", "fe80::1", GUILTY,
                        "nonsense", "8.8.4", "9.9.9.9/33", "9.9.9.0/24", "2a03:4000::/32", "",
                        "9.9.9.9 ", "9.9.9.9/", "9.9.9.9/24"):
            done = site.command("blacklist", "add", address)
            self.assert_fails(done, DATA, "abictl: ")
        self.assertEqual(site.listed(), {})
        for arguments in (("add",), ("add", OTHER, "a", "b"), ("remove",), ("show",),
                          ("remove", "--all", OTHER), ("nothing",), ("list", OTHER),
                          ("add", "--ban", "x", OTHER), ("add", "--ban", "-1", OTHER)):
            self.assertEqual(site.command("blacklist", *arguments).returncode, USAGE, arguments)
        self.assertEqual(site.listed(), {})

    def test_whom_it_stops_is_told(self):
        directory = testenv.new_directory("map", testenv.FILTER_USER)
        a_map = write_file(f"{directory}/access", "", owner=testenv.FILTER_USER)
        for options, why in (
                ({}, None), ({"blacklist.action": "log"}, "blacklist.action is log"),
                ({"filter.checks": "accounts whitelist"}, "blacklist is not in filter.checks"),
                ({"filter.dry_run": "yes"}, "filter.dry_run is on"),
                ({"blacklist.action": "log", "blacklist.map": f"cidr:{a_map}"}, None)):
            done = self.site(**options).command("blacklist", "add", GUILTY)
            self.assertEqual((done.returncode, done.stdout, done.stderr), (
                OK, "", f"abictl: warning: this blocks nobody: {why}\n" if why else ""))

    def test_own_networks_are_refused(self):
        site = self.site()
        site.mail_config = testenv.new_directory("postfix")
        write_file(os.path.join(site.mail_config, "main.cf"), "mynetworks = 9.9.9.0/24\n")
        write_file(os.path.join(site.mail_config, "master.cf"), "")
        self.assert_fails(site.command("blacklist", "add", OTHER), DATA, "mynetworks")
        site.blacklist("add", GUILTY)

    def test_blocks_of_another_prefix_can_be_taken_off(self):
        """Listed before blacklist.ipv4_prefix was changed."""
        site = self.site()
        site.write(guesses(GUILTY), guesses(OTHER))
        site.scan()
        site.configure(**{"blacklist.ipv4_prefix": "24"})
        self.assert_refused(site, GUILTY, OTHER)
        self.assertIn(f"{GUILTY}/32", site.blacklist("show", f"{GUILTY}/32"))
        site.blacklist("remove", f"{GUILTY}/32")
        self.assert_accepted(site, GUILTY)
        self.assert_refused(site, OTHER)

    def test_who_has_hits_but_is_not_listed_is_shown(self):
        site = self.site()
        site.write(guesses(GUILTY, 3))
        site.scan()
        text = site.blacklist("show", GUILTY)
        self.assertEqual(text.count("hit "), 3)
        self.assertIn("user1@example.org", text)
        self.assertRegex(text, rf"hit +{TIME}  unknown-recipient ")
        self.assertRegex(text, "published +no")
        self.assertEqual(len(json.loads(site.blacklist("show", "--json", GUILTY))["hits"]), 3)


# How far the log was read

class Positions(BlacklistTest):
    def setUp(self):
        self.place = self.site(**{"blacklist.rules": "relay-denied=3/1d"})
        self.number = 0

    def write(self, address, count, **keywords):
        self.place.write(*[relay(address) for _ in range(count)], **keywords)

    def assert_hits(self, address, count):
        self.assertEqual(self.place.hits(f"{address}/32"), count)

    def test_a_second_scan_counts_nothing_twice(self):
        site = self.place
        self.write(GUILTY, 2)
        self.assertEqual(site.scan()["hits"], 2)
        for _ in range(3):
            self.assertEqual(site.scan()["lines"], 0)
        self.assert_hits(GUILTY, 2)
        self.write(GUILTY, 1)
        counted = site.scan()
        self.assertEqual((counted["lines"], counted["listed"]), (1, 1))

    def test_half_a_line_waits_for_its_end(self):
        site = self.place
        text = relay(GUILTY)
        site.write(text, text, text[:150])
        self.assertEqual(site.scan()["hits"], 2)
        site.write(text[150:])
        self.assertEqual(site.scan()["hits"], 1)
        self.assertEqual(list(site.listed()), [f"{GUILTY}/32"])

    def test_rotation_by_rename(self):
        site = self.place
        self.write(GUILTY, 1)
        site.scan()
        self.write(GUILTY, 1)
        os.rename(site.maillog, f"{site.maillog}.1")
        self.write(GUILTY, 1)
        counted = site.scan()
        self.assertEqual((counted["lines"], counted["listed"]), (2, 1))
        self.assertEqual(site.scan()["lines"], 0)

    def test_rotation_more_than_once(self):
        site = self.place
        self.write(GUILTY, 1)
        site.scan()
        self.write(OTHER, 1)
        os.rename(site.maillog, f"{site.maillog}.2")
        self.write(OTHER, 1, path=f"{site.maillog}.1")
        self.write(OTHER, 1)
        counted = site.scan()
        self.assertEqual((counted["lines"], counted["listed"]), (3, 1))
        self.assertEqual(site.scan()["lines"], 0)
        self.assert_hits(GUILTY, 1)

    def test_rotation_by_copytruncate(self):
        site = self.place
        self.write(GUILTY, 1)
        site.scan()
        self.write(GUILTY, 1)
        shutil.copy(site.maillog, f"{site.maillog}.1")
        os.truncate(site.maillog, 0)
        self.write(GUILTY, 1)
        self.assertEqual(site.scan()["lines"], 2)
        self.assertEqual(site.scan()["lines"], 0)
        self.assertEqual(list(site.listed()), [f"{GUILTY}/32"])

    def test_two_scans_at_once(self):
        site = self.place
        for part in range(5):
            for i in range(200):
                self.write(f"9.{part}.1.{i}", 2)
                self.write(f"9.{part}.2.{i}", 3)
            scans = [site.start("scan", "--json") for _ in range(3)]
            ends = [(scan.communicate(), scan.returncode) for scan in scans]
            self.assertEqual([end[1] for end in ends], [OK] * 3, ends)
        self.assertEqual(site.query("SELECT count(*) FROM abichecker_hits"), [(2000,)])
        self.assertEqual(len(site.listed()), 1000)
        self.assertEqual({each["hits"] for each in site.listed().values()}, {3})

    def test_several_logs(self):
        site = self.place
        other = f"{site.logs}/second.log"
        site.configure(**{"blacklist.logs": f"{site.maillog} {other}"})
        self.write(GUILTY, 2)
        self.write(GUILTY, 1, path=other)
        self.assertEqual(site.scan()["listed"], 1)
        self.assertEqual(site.scan()["lines"], 0)
        self.write(OTHER, 2, path=other)
        self.assertEqual(site.scan(other)["hits"], 2)  # its position is the same by name
        self.assertEqual(site.scan()["lines"], 0)

    def test_a_log_with_two_names(self):
        """/var/log/maillog may well be a link to mail.log."""
        site = self.place
        link = f"{site.logs}/link.log"
        os.symlink(site.maillog, link)
        self.write(GUILTY, 2)
        for logs in (f"{site.maillog} {link}", link, site.maillog, f"{link} {site.maillog}"):
            site.configure(**{"blacklist.logs": logs})
            site.scan()
            site.scan(link)
            site.scan(site.maillog, link)
            self.assert_hits(GUILTY, 2)

    def test_standard_input(self):
        site = self.place
        done = site.command("scan", "--json", "-", input="".join(relay(GUILTY) for _ in range(3)))
        self.assertEqual(json.loads(done.stdout)["hits"], 3)
        self.assert_refused(site, GUILTY)
        self.assertEqual(site.query("SELECT count(*) FROM abichecker_hits"), [(0,)])

    @unittest.skipUnless(os.path.exists(REMOTE), "systemd-journal-remote is not installed")
    def test_the_journal(self):
        site = self.place
        path = os.path.join(site.logs, "x.journal")
        self.export(path, [relay(GUILTY)] * 2)
        counted = site.scan(f"journal:{path}")
        self.assertEqual((counted["hits"], counted["lines"]), (2, 2))
        self.assertEqual(site.scan(f"journal:{path}")["lines"], 0)
        self.export(path, [relay(GUILTY)])
        self.assertEqual(site.scan(f"journal:{path}")["hits"], 1)
        self.assertEqual(list(site.listed()), [f"{GUILTY}/32"])

    def test_the_journal_without_its_library(self):
        testenv.need_mounts(self)
        library = glob.glob("/lib/*/libsystemd.so.0") + glob.glob("/lib*/libsystemd.so.0")
        if not library:
            self.skipTest("libsystemd is not where it is expected")
        done = subprocess.run(
            ["unshare", "--mount", "sh", "-c", 'mount --bind /dev/null "$0" && exec "$@"',
             library[0], testenv.program("abictl"), "-c", self.place.conf, "scan", "journal:/tmp"],
            capture_output=True, text=True, timeout=testenv.PATIENCE)
        self.assertEqual(done.returncode, 66, done)
        self.assertRegex(done.stderr, "^abictl: journal: .*: is the package libsystemd0 installed")

    @unittest.skipUnless(os.path.exists(REMOTE), "systemd-journal-remote is not installed")
    def test_from_a_file_to_the_journal_and_back(self):
        """The same lines are in both: what was counted from the one is not counted again."""
        testenv.need_mounts(self)
        site = self.place
        machine = testenv.read_file("/etc/machine-id").strip() if os.path.exists(
            "/etc/machine-id") else ""
        if not re.fullmatch("[0-9a-f]{32}", machine):
            self.skipTest("no machine-id, so no journal of this machine")
        journal = testenv.new_directory("journal")
        os.makedirs(f"{journal}/{machine}")
        os.makedirs("/var/log/journal", exist_ok=True)
        path = f"{journal}/{machine}/system.journal"

        def scan(what):
            done = subprocess.run(
                ["unshare", "--mount", "sh", "-c",
                 'mount --bind "$0" /var/log/journal && exec "$@"', journal,
                 testenv.program("abictl"), "-c", site.conf, "-o", f"blacklist.logs={what}",
                 "scan", "--json"], capture_output=True, text=True, timeout=testenv.PATIENCE)
            self.assertEqual(done.returncode, 0, done)
            return json.loads(done.stdout)["hits"]
        then, later, last = (int(time.time()) - seconds for seconds in (30, 20, 10))
        site.write(*[relay(GUILTY, then)] * 3)
        self.export(path, [relay(GUILTY)] * 3, then)
        self.assertEqual(scan(site.maillog), 3)
        site.command("blacklist", "remove", GUILTY)
        self.export(path, [relay(OTHER)] * 2, later)
        self.assertEqual(scan("journal"), 2)
        self.assertEqual(list(site.listed()), [])  # not the three again
        site.write(*[relay(OTHER, later)] * 2)
        self.assertEqual(scan(site.maillog), 0)
        site.write(relay(OTHER, last))
        self.assertEqual(scan(site.maillog), 1)
        self.assertEqual(list(site.listed()), [f"{OTHER}/32"])

    def test_the_other_log_was_read_while_the_clock_was_wrong(self):
        """What comes after it has been read once counts, although that time is to come."""
        site = self.place
        site.write(relay(GUILTY))
        site.scan()
        future = f"{int(time.time() + 86400) * 1000000:x}"
        site.query("INSERT INTO abichecker_positions VALUES (?, ?)",
                   f"{os.uname().nodename} journal",
                   f"journal s={'0' * 32};i=1;b={'0' * 32};m=1;t={future};x=1")
        site.write(*[relay(OTHER)] * 3)
        self.assertEqual(site.scan()["hits"], 3)

    def export(self, path, lines, when=None):
        """Appends entries to a journal file."""
        text = b""
        for each in lines:
            self.number += 1
            now = int((when or time.time()) * 1e6) + self.number
            text += (f"__REALTIME_TIMESTAMP={now}\n__MONOTONIC_TIMESTAMP={now}\n"
                     "_BOOT_ID=0123456789abcdef0123456789abcdef\nSYSLOG_FACILITY=2\n"
                     "SYSLOG_IDENTIFIER=postfix/smtpd\nSYSLOG_PID=811\n_HOSTNAME=mx1\n"
                     f"MESSAGE={each.split(': ', 1)[1]}\n").encode()
        subprocess.run([REMOTE, "-o", path, "-"], input=text, check=True, capture_output=True)
        os.chmod(path, 0o644)

    def test_a_new_store_is_published(self):
        """The store was removed: what the snapshot says is of no generation of the new one."""
        site = self.place
        self.write(GUILTY, 3)
        site.scan()
        self.assert_refused(site, GUILTY)
        for suffix in ("", "-wal", "-shm"):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(site.store + suffix)
        os.unlink(site.maillog)
        self.write(OTHER, 3)
        site.scan()
        self.assertEqual(list(site.listed()), [f"{OTHER}/32"])
        self.assert_refused(site, OTHER)
        self.assert_accepted(site, GUILTY)


class Edited(BlacklistTest):
    """Lines are removed from the log, for privacy or by mistake: no line counts twice."""

    def setUp(self):
        self.place = self.site(**{"blacklist.rules": "relay-denied=100/30d"})
        self.begin = time.time() - 80000
        self.written = 0
        self.counted = lambda: self.place.query("SELECT count(*) FROM abichecker_hits")[0][0]

    def write(self, count):
        """So many offences, seconds apart, a line of something else before each."""
        text = []
        for _ in range(count):
            self.written += 1
            when = self.begin + 3 * self.written
            client = f"9.1.{self.written // 250 % 250}.{self.written % 250}"
            text += line(f"connect from h[{OTHER}]", when - 1), relay(client, when)
        self.place.write(*text)

    def sed(self, *arguments):
        subprocess.run(["sed", *arguments, self.place.maillog], check=True)
        os.chmod(self.place.maillog, 0o644)

    def assert_counted(self, hits):
        self.assertEqual(self.place.scan()["hits"], hits)
        self.assertEqual(self.place.scan()["hits"], 0)
        self.assertEqual(self.counted(), self.written)

    def test_at_its_beginning_in_the_middle_and_as_a_copy(self):
        self.write(20)
        self.assert_counted(20)
        for change in (["-i", "1d"], ["-i", "1d"], ["-i", "1,4d"], ["-i", "5,8d"],
                       ["-i.bak", "1d"], ["-i~", "3d"], ["-i", "/connect/d"]):
            self.sed(*change)
            self.assert_counted(0)
            self.sed(*change)
            self.write(2)
            self.assert_counted(2)
        self.assertEqual(self.place.log_lines("warning"), [])
        self.assertTrue(self.place.log_lines("was edited"))

    def test_the_last_line_is_gone(self):
        self.write(20)
        self.assert_counted(20)
        for change in ("$d", "/connect/d", "s/mx1/mx2/", "$d"):
            self.sed("-i", change)
            if change != "/connect/d":  # what was read last is still there
                self.assert_counted(0)
            self.sed("-i", "$d")
            self.write(2)
            self.assert_counted(2)
        self.assertTrue(self.place.log_lines(rf"warning: .*lines up to {TIME} are taken for counted"))

    def test_by_an_editor_that_keeps_the_file(self):
        self.write(20)
        self.assert_counted(20)
        for first in (1, 3, 0):
            with open(self.place.maillog, encoding="utf-8") as file:
                lines = file.readlines()
            with open(self.place.maillog, "w", encoding="utf-8") as file:
                file.writelines(lines[:5] + lines[5 + first:])
            self.assert_counted(0)
            self.write(first)
            self.assert_counted(first)

    def test_while_it_is_followed(self):
        site = self.place
        self.write(20)
        process = site.start("scan", "--follow", "--json")
        self.addCleanup(lambda: (process.kill(), process.communicate()))
        wait_until(lambda: os.path.exists(site.snapshot), "the first round")
        for change in (["-i", "1d"], ["-i", "5,8d"], ["-i.bak", "1d"], ["-i", "$d"]):
            self.sed(*change)
            time.sleep(1.5)
            self.write(2)
            wait_until(lambda: self.counted() == self.written, "the next lines")
        process.terminate()
        out, err = process.communicate(timeout=testenv.PATIENCE)
        self.assertEqual((process.returncode, err), (OK, ""))
        self.assertEqual(sum(json.loads(each)["hits"] for each in out.splitlines()), self.written)
        self.assert_counted(0)

    def test_killed_at_any_moment(self):
        """Of a log of which nothing is left that was read last, and that takes several steps."""
        site = self.place
        self.write(8000)
        self.assertEqual(site.scan()["hits"], 8000)
        random.seed(1)
        for change in ("$d", "1d", "5d;$d"):
            self.sed("-i", change)
            self.write(6000)
            for _ in range(6):
                process = site.start("scan")
                time.sleep(random.uniform(0.005, 0.15))
                process.kill()
                process.communicate()
            site.scan()
            self.assert_counted(0)

    def test_what_is_really_new_all_counts(self):
        """The old file is gone, all lines are later."""
        self.write(20)
        self.assert_counted(20)
        os.unlink(self.place.maillog)
        self.write(5)
        self.assert_counted(5)
        os.truncate(self.place.maillog, 0)
        self.write(7)
        self.assert_counted(7)


class Following(BlacklistTest):
    def follow(self, site, *arguments):
        process = site.start("scan", "--follow", *arguments)
        self.addCleanup(lambda: (process.kill(), process.communicate()))
        return process

    def finish(self, process, number=signal.SIGTERM):
        process.send_signal(number)
        out, err = process.communicate(timeout=testenv.PATIENCE)
        self.assertEqual((process.returncode, err), (OK, ""))
        return out

    def test_lines_are_counted_as_they_come(self):
        site = self.site()
        site.write(guesses(OTHER))
        process = self.follow(site, "--json")
        wait_until(lambda: site.answer(OTHER) == REFUSED, "the lines that were there")
        site.write(guesses(GUILTY))
        wait_until(lambda: site.answer(GUILTY) == REFUSED, "those that came")
        os.rename(site.maillog, f"{site.maillog}.1")
        site.write(guesses("1.1.1.1"))
        wait_until(lambda: site.answer("1.1.1.1") == REFUSED, "those of the next file")
        rounds = [json.loads(each) for each in self.finish(process).splitlines()]
        self.assertEqual(sum(each["hits"] for each in rounds), 15)
        self.assertEqual(site.scan()["lines"], 0)

    def test_what_was_listed_elsewhere_is_published(self):
        """Another host, or a person, changes the list while a scan follows."""
        site = self.site()
        site.write(guesses(OTHER))
        process = self.follow(site)
        wait_until(lambda: site.answer(OTHER) == REFUSED, "the first round")
        site.blacklist("add", GUILTY)
        self.assert_refused(site, GUILTY)
        site.write(guesses("1.1.1.1"))
        wait_until(lambda: site.answer("1.1.1.1") == REFUSED, "the next round")
        self.assert_refused(site, GUILTY)
        self.finish(process, signal.SIGINT)

    def test_a_log_may_come_later_and_go(self):
        """No log at all is said once, and is no end; nor is one that is removed."""
        site = self.site()
        process = site.start("scan", "--follow")
        self.addCleanup(lambda: (process.kill(), process.communicate()))
        wait_until(lambda: site.log_lines("No such file"), "the complaint")
        site.write(guesses(GUILTY, when=time.time() - HOUR))
        wait_until(lambda: site.answer(GUILTY) == REFUSED, "the log to be found")
        os.unlink(site.maillog)
        site.write(guesses(OTHER))
        wait_until(lambda: site.answer(OTHER) == REFUSED, "the new log to be found")
        process.terminate()
        self.assertEqual(process.wait(testenv.PATIENCE), OK)

    def test_it_ends_while_it_waits(self):
        site = self.site()
        site.write("")
        process = self.follow(site)
        wait_until(lambda: os.path.exists(site.snapshot), "the first round")
        start = time.monotonic()
        self.finish(process)
        self.assertLess(time.monotonic() - start, 5)

    def test_a_dry_run_cannot_follow(self):
        site = self.site()
        self.assertEqual(site.command("scan", "--follow", "--dry-run").returncode, USAGE)


class Signals(BlacklistTest):
    """Ended at random moments: no line counts twice, none is lost, nothing is half written."""

    def setUp(self):
        self.maps = testenv.new_directory("maps")
        self.map = write_file(os.path.join(self.maps, "access"), FOREIGN_LINES)
        self.random = random.Random(time.time_ns())
        self.seconds = 0.2

    def run_and_end(self, site, number, root):
        """A scan that gets the signal at some moment; true if it had ended before."""
        with site.start("scan", root=root) as process:
            try:
                process.communicate(timeout=self.random.uniform(0, self.seconds))
            except subprocess.TimeoutExpired:
                (os.killpg if number == signal.SIGKILL else os.kill)(process.pid, number)
                process.communicate()
                return False
            self.assertEqual(process.returncode, OK)
            return True

    def check(self, number, kind, rounds):
        options = {"blacklist.map": f"{kind}:{self.map}"} if kind else {}
        site = self.site(**{"blacklist.rules": "relay-denied=3/1d"}, **options)
        start = time.monotonic()
        site.write(*[relay("1.1.1.1") for _ in range(3)])
        site.scan(root=bool(kind))
        self.seconds = (time.monotonic() - start) * 1.2
        ended = 0
        noise = line("connect from h.example[62.1.2.3]") * 3000
        for turn in range(rounds):
            for i in range(20):
                site.write(*[relay(f"9.{turn}.1.{i}") for _ in range(3)], noise if i < 3 else "",
                           relay(f"9.{turn}.2.{i}"))
                if turn > 0:
                    site.write(relay(f"9.{turn - 1}.2.{i}"))
            ended += self.run_and_end(site, number, bool(kind))
            # whatever is published is whole
            self.assertEqual(site.answer("1.1.1.1"), REFUSED)
            if kind:
                self.assertTrue(testenv.read_file(self.map).endswith(FOREIGN_LINES))
                self.assertEqual(self.lookup(kind, "9.9.9"), "REJECT not from there")
        self.assertLess(ended, rounds * 0.9)  # else this has shown nothing
        site.scan(root=bool(kind))
        listed = site.listed()
        self.assertEqual(len(listed), 20 * rounds + 1)
        self.assertEqual({each["hits"] for each in listed.values()}, {3})
        self.assertEqual(site.query("SELECT count(*) FROM abichecker_hits"),
                         [(20 * (2 * rounds - 1),)])
        self.assertEqual(self.published(site), sorted(listed))
        with Filter(site) as filter_:
            for address in (f"9.{rounds - 1}.1.19", "9.0.1.0"):
                self.assertEqual(filter_.ask(address), REFUSED)
            self.assertEqual(filter_.ask("9.0.2.0"), DUNNO)
        if kind:
            self.assertEqual(testenv.read_file(self.map).count(MAP_TEXT), len(listed) - 1)
            self.assertEqual(self.lookup(kind, f"9.{rounds - 1}.1.19"), f"REJECT {MAP_TEXT}")
            self.assertEqual([name for name in os.listdir(self.maps)
                              if name.endswith("-new")], [])

    def lookup(self, kind, key):
        return subprocess.run(["postmap", "-q", key, f"{kind}:{self.map}"], capture_output=True,
                              text=True).stdout.strip()

    @staticmethod
    def published(site):
        """The blocks in the snapshot, as a program that knows only the file sees them."""
        with open(site.snapshot, "rb") as file:
            data = file.read()
        blocks, position = [], 2048
        end = min(int.from_bytes(data[i * 8:i * 8 + 4], "little") for i in range(256))
        while position < end:
            klen, dlen = (int.from_bytes(data[position + i:position + i + 4], "little")
                          for i in (0, 4))
            key = data[position + 16:position + 8 + klen]  # behind the mix
            if klen == 14 and key[0] == 4:
                blocks.append(".".join(map(str, key[2:6])) + f"/{key[1]}")
            position += 8 + klen + dlen
        return sorted(blocks)

    def test_killed(self):
        self.check(signal.SIGKILL, None, KILLS)

    def test_killed_with_a_hash_map(self):
        subprocess.run(["postmap", f"hash:{self.map}"], check=True)
        self.check(signal.SIGKILL, "hash", KILLS)

    def test_killed_with_an_lmdb_map(self):
        subprocess.run(["postmap", f"lmdb:{self.map}"], check=True)
        self.check(signal.SIGKILL, "lmdb", KILLS)

    def test_nothing_is_ever_missing(self):
        """Snapshot and map are replaced in one step: who looks at any moment finds one."""
        site = self.site(**{"blacklist.map": f"hash:{self.map}"})
        site.blacklist("add", "1.1.2.1", root=True)
        files, looks, missing, over = [site.snapshot, self.map, f"{self.map}.db"], 0, [], []

        def look():
            nonlocal looks
            while not over:
                looks += 1
                for path in files:
                    try:
                        if os.stat(path).st_size == 0:
                            missing.append(f"{path} is empty")
                    except FileNotFoundError:
                        missing.append(f"{path} is not there")
        thread = threading.Thread(target=look)
        thread.start()
        try:
            for _ in range(30):
                site.blacklist("add", GUILTY, root=True)
                site.blacklist("remove", GUILTY, root=True)
        finally:
            over.append(True)
            thread.join()
        self.assertGreater(looks, 1000)
        self.assertEqual(missing[:5], [])

    def test_asked_to_end(self):
        self.check(signal.SIGTERM, None, KILLS)

    def test_a_scan_that_is_asked_to_end_loses_no_line(self):
        """At every moment of a longer one."""
        site = self.site(**{"blacklist.rules": "relay-denied=999999/1d"})
        lines = 60000
        site.write(*[relay(f"9.1.{i % 250}.{i // 250}") for i in range(lines)])
        for _ in range(60):
            self.seconds = 0.5
            if self.run_and_end(site, signal.SIGTERM, False):
                break
        site.scan()
        self.assertEqual(site.query("SELECT count(*) FROM abichecker_hits"), [(lines,)])


# What would happen

class DryRun(BlacklistTest):
    def test_it_tells_who_why_and_with_which_lines_and_changes_nothing(self):
        maps = testenv.new_directory("maps")
        site = self.site(**{"blacklist.map": f"hash:{maps}/access"})
        lines = [guess(GUILTY, f"u{i}@example.org") for i in range(7)]
        site.write(*lines, relay(OTHER), *[relay(IPV6) for _ in range(3)],
                   auth_failure("10.1.2.3"),
                   reject(f"h[{OTHER}]", "450 4.1.1 <x>: Recipient address rejected: User unknown"))
        before = os.listdir(os.path.dirname(site.store)), os.listdir(site.cache)
        for root in (False, True):
            done = site.command("scan", "--dry-run", root=root)
            self.assertEqual((done.returncode, done.stderr), (OK, ""))
            self.assertRegex(done.stdout, rf"{GUILTY}/32 +unknown-recipient +7  {TIME}\n")
            self.assertRegex(done.stdout, r"2a03:4000:1:2::/64 +relay-denied +3 ")
            for each in lines[:3]:
                self.assertIn(f"    {each}", done.stdout)
            self.assertNotIn(lines[3], done.stdout)
            self.assertIn("2 would be listed, 1 by unknown-recipient, 1 by relay-denied\n",
                          done.stdout)
            self.assertIn("13 lines, 13 offences, 11 hits; not counted: 1 temporary, 0 of our own "
                          "refusals, 1 exempt\n", done.stdout)
        self.assertEqual((os.listdir(os.path.dirname(site.store)), os.listdir(site.cache)),
                         before)
        self.assertEqual(os.listdir(maps), [])
        self.assert_accepted(site, GUILTY)

    def test_it_begins_at_the_beginning(self):
        site = self.site()
        site.write(guesses(GUILTY))
        site.scan()
        self.assertEqual(list(site.dry_run()), [f"{GUILTY}/32"])
        self.assertEqual(list(site.dry_run(site.maillog)), [f"{GUILTY}/32"])
        self.assertEqual(site.scan()["lines"], 0)

    def test_json(self):
        site = self.site()
        text = [guess(GUILTY, f"u{i}@example.org\x01", 1700000000 + i) for i in range(6)]
        other = os.path.join(site.logs, "old.log")
        write_file(other, "".join(text))
        entry = site.dry_run(other)[f"{GUILTY}/32"]
        self.assertEqual((entry["rule"], entry["hits"], entry["since"], entry["last"]),
                         ("unknown-recipient", 6, 1700000004, 1700000005))
        self.assertEqual(len(entry["lines"]), 3)
        self.assertNotIn("\x01", "".join(entry["lines"]))

    def test_nobody(self):
        site = self.site()
        site.write(line(f"connect from h[{GUILTY}]"))
        done = site.command("scan", "--dry-run")
        self.assertEqual(done.stdout.splitlines()[0], "0 would be listed")
        self.assertEqual(json.loads(site.command("scan", "--dry-run", "--json").stdout), [])

    def test_standard_input(self):
        site = self.site()
        done = site.command("scan", "--dry-run", "-", input=guesses(GUILTY))
        self.assertRegex(done.stdout, rf"{GUILTY}/32 +unknown-recipient")

    def test_compressed_logs(self):
        site = self.site()
        site.write(guesses(GUILTY))
        for program_, suffix in (("gzip", "gz"), ("xz", "xz"), ("zstd", "zst"), ("bzip2", "bz2")):
            packed = f"{site.maillog}.1.{suffix}"
            with open(packed, "wb") as file:
                subprocess.run([program_, "-c", site.maillog], stdout=file, check=True)
            self.assertEqual(list(site.dry_run(packed)), [f"{GUILTY}/32"])
            for arguments in ([packed], ["-o", f"blacklist.logs={packed}"]):
                options, logs = (arguments, []) if arguments[0] == "-o" else ([], arguments)
                self.assert_fails(site.command(*options, "scan", *logs), NO_INPUT,
                                  f"{packed}: compressed ({program_}): only `scan --dry-run'")
            done = site.command("-o", f"blacklist.logs={packed}", "selftest")
            self.assertRegex(done.stdout, rf"FAIL +mail log: {packed}: compressed \({program_}\)")
        self.assertEqual(site.query("SELECT count(*) FROM abichecker_hits"), [(0,)])
        self.assertEqual(site.query("SELECT count(*) FROM abichecker_positions"), [(0,)])

    def test_the_year_of_a_compressed_log_is_that_of_the_file(self):
        site = self.site()
        when = datetime.datetime(2021, 5, 4, 12, 0, 0)
        packed = f"{site.maillog}.9.gz"
        text = "".join(guesses(GUILTY)).replace("\n", "\n")
        text = re.sub(r"(?m)^\S+ ", "May  4 12:00:00 ", text)
        write_file(packed[:-3], text)
        os.utime(packed[:-3], (when.timestamp() + DAY,) * 2)
        subprocess.run(["gzip", packed[:-3]], check=True)
        self.assertEqual(site.dry_run(packed)[f"{GUILTY}/32"]["last"], int(when.timestamp()))

    def test_a_compressed_log_that_was_cut(self):
        site = self.site()
        packed = f"{site.maillog}.1.gz"
        site.write(guesses(GUILTY), *[relay(f"9.{random.randrange(99)}.1.{i % 250}")
                                      for i in range(3000)])
        data = subprocess.run(["gzip", "-c", site.maillog], capture_output=True, check=True).stdout
        with open(packed, "wb") as file:
            file.write(data[:len(data) // 2])
        done = site.command("scan", "--dry-run", packed)
        self.assert_fails(done, NO_INPUT, f"{packed}: not all of it could be read, damaged or cut")
        self.assertRegex(done.stdout, rf"{GUILTY}/32 +unknown-recipient")


# What goes wrong

class Faults(BlacklistTest):
    def test_a_log_that_cannot_be_read(self):
        site = self.site()
        good, bad = site.maillog, os.path.join(site.logs, "bad.log")
        site.configure(**{"blacklist.logs": f"{bad} {good}"})
        site.write(guesses(GUILTY))
        site.write(guesses(OTHER), path=bad)
        os.chmod(bad, 0o600)
        self.assert_fails(site.command("scan"), NO_INPUT, bad, "Permission denied")
        self.assert_refused(site, GUILTY)  # the other one was read
        self.assert_accepted(site, OTHER)
        self.assertTrue(site.log_lines(f"error: scan: .*{bad}"))
        os.chmod(bad, 0o644)
        self.assertEqual(site.scan()["hits"], 5)  # nothing is lost
        self.assert_refused(site, OTHER)

    def test_a_log_that_is_not_understood(self):
        """It would look like a quiet one; so scan, the dry run and selftest say so."""
        site = self.site()
        odd = '{"message": "\x1b[31mwarning: ' + GUILTY + '"}\n'
        site.write(odd * 30)
        told = rf"{site.maillog}: 30 of 30 lines have an unknown format, such as: " \
               r"{\"message\": \"\?\[31mwarning"
        for arguments in (["scan", "--dry-run"], ["scan"]):
            done = site.command(*arguments)
            self.assertEqual(done.returncode, OK)
            self.assertRegex(done.stderr, told)
        self.assertEqual(len(site.log_lines(f"warning: scan: {told}")), 1)
        self.assertRegex(site.command("selftest").stdout, rf"FAIL +mail log.*{site.maillog}: .*form")
        site.write(odd * 40)
        self.assertEqual(site.command("scan").stderr, "")  # once an hour
        self.assertEqual(len(site.log_lines("warning: scan: .* unknown format")), 1)
        few = self.site()
        few.write(odd * 19)  # the rest of a longer line, or what somebody has written there
        self.assertEqual(few.command("scan").stderr, "")
        self.assertIn("19 of 19 lines", few.command("scan", "--dry-run").stderr)
        site.write(line("connect from h.example[8.8.4.1]") * 20, odd)
        self.assertEqual(site.command("scan").stderr, "")

    def test_no_log_at_all(self):
        site = self.site()
        self.assert_fails(site.command("scan"), NO_INPUT, site.maillog, "No such file")
        site.write(guesses(GUILTY))
        site.scan()
        os.unlink(site.maillog)  # between the rotation and the new file
        done = site.command("scan")
        self.assertIn(done.returncode, (OK, NO_INPUT))
        self.assert_refused(site, GUILTY)

    def test_one_of_two_named_logs_is_not_there(self):
        site = self.site()
        site.write(guesses(GUILTY))
        done = site.command("scan", f"{site.logs}/none.log", site.maillog)
        self.assert_fails(done, NO_INPUT, "none.log")
        self.assert_refused(site, GUILTY)

    def test_a_log_that_is_a_directory(self):
        site = self.site()
        os.mkdir(site.maillog)
        self.assert_fails(site.command("scan"), NO_INPUT, site.maillog)
        self.assert_fails(site.command("scan", site.logs), NO_INPUT, site.logs)
        self.assert_fails(site.command("scan", "--dry-run", site.logs), NO_INPUT, site.logs)

    def test_a_full_disk(self):
        site = self.site(**{"blacklist.rules": "relay-denied=3/1d"})
        directory = os.path.dirname(site.store)
        unmount = testenv.mount_tmpfs(directory, "size=400k")
        self.addCleanup(unmount)
        site.write(*[relay("1.1.1.1") for _ in range(3)])
        site.scan()
        fill = os.path.join(directory, "fill")
        with contextlib.suppress(OSError), open(fill, "wb", buffering=0) as file:
            for _ in range(1000):
                file.write(b"x" * 4096)
        site.write(*[relay(f"9.{i // 250}.1.{i % 250}") for i in range(2000) for _ in range(3)])
        done = site.command("scan")
        self.assertIn(done.returncode, (UNAVAILABLE, CANNOT_CREATE))
        self.assertRegex(done.stderr, r"abictl: .*(full|No space|I/O error)")
        self.assertTrue(site.log_lines("error: scan: "))
        self.assert_refused(site, "1.1.1.1")  # the old list is whole
        os.unlink(fill)
        subprocess.run(["mount", "-o", "remount,size=20m", directory], check=True)
        site.scan()  # nothing was lost
        self.assertEqual(len(site.listed()), 2001)
        self.assertEqual({each["hits"] for each in site.listed().values()}, {3})
        self.assert_refused(site, "9.7.1.249")

    def test_the_snapshot_cannot_be_written(self):
        site = self.site()
        os.mkdir(site.snapshot)
        site.write(guesses(GUILTY))
        self.assert_fails(site.command("scan"), CANNOT_CREATE, site.snapshot)
        self.assertEqual(list(site.listed()), [f"{GUILTY}/32"])
        self.assert_fails(site.command("blacklist", "add", OTHER), CANNOT_CREATE, site.snapshot)
        os.rmdir(site.snapshot)
        self.assertEqual(site.scan()["listed"], 2)  # nothing new to read, but to publish
        self.assert_refused(site, GUILTY, OTHER)

    def test_the_store_cannot_be_opened(self):
        site = self.site()
        site.write(guesses(GUILTY))
        os.mkdir(site.store)
        self.assert_fails(site.command("scan"), UNAVAILABLE, site.store)
        self.assert_fails(site.command("blacklist", "list"), UNAVAILABLE, site.store)
        os.rmdir(site.store)
        self.assertEqual(site.scan()["listed"], 1)

    def test_a_filter_with_a_damaged_snapshot_lets_mail_through_and_says_so(self):
        site = self.site()
        write_file(site.snapshot, b"rubbish", 0o644, FILTER_USER)
        with Filter(site) as filter_:
            self.assertEqual(filter_.ask(GUILTY), DUNNO)
            self.assertEqual(filter_.ask(GUILTY), DUNNO)
            self.assertEqual(len(site.log_lines("error: blacklist: ")), 1)
            site.write(guesses(GUILTY))
            site.scan()  # makes a new one
            self.assertEqual(filter_.ask(GUILTY), REFUSED)

    def map_site(self):
        self.maps = testenv.new_directory("maps")
        self.map = os.path.join(self.maps, "access")
        site = self.site(**{"blacklist.map": f"hash:{self.map}"})
        site.write(guesses(GUILTY))
        return site

    def lookup(self, key):
        return subprocess.run(["postmap", "-q", key, f"hash:{self.map}"], capture_output=True,
                              text=True).stdout.strip()

    def test_a_map_that_is_a_directory(self):
        site = self.map_site()
        os.mkdir(self.map)
        self.assert_fails(site.command("scan", root=True), CANNOT_CREATE, self.map)
        self.assert_refused(site, GUILTY)
        self.assertEqual(os.listdir(self.map), [])
        os.rmdir(self.map)
        site.scan(root=True)
        self.assertEqual(self.lookup(GUILTY), f"REJECT {MAP_TEXT}")

    def test_a_directory_that_others_may_write(self):
        site = self.map_site()
        os.chmod(self.maps, 0o777)
        self.assert_fails(site.command("scan", root=True), CANNOT_CREATE, self.maps)
        self.assertEqual(os.listdir(self.maps), [])

    def with_postmap(self, site, script, mode):
        path = write_file(os.path.join(testenv.new_directory("tool"), "postmap"), script, mode)
        return site.command("scan", root=True,
                            wrapper=("unshare", "-m", "sh", "-c", WITH_POSTMAP, path))

    def test_postmap_is_missing_or_fails(self):
        testenv.need_mounts(self)
        site = self.map_site()
        write_file(self.map, FOREIGN_LINES, 0o640)
        subprocess.run(["postmap", f"hash:{self.map}"], check=True)
        before = testenv.read_file(self.map)
        for script, mode, text in (
                ("", 0o644, "postmap"),
                ("#!/bin/sh\necho 'fatal: no luck' >&2\nexit 1\n", 0o755, "no luck"),
                ("#!/bin/sh\nkill -9 $$\n", 0o755, "postmap"),
                ("#!/bin/sh\nexit 0\n", 0o755, "")):
            done = self.with_postmap(site, script, mode)
            self.assert_fails(done, CANNOT_CREATE, text)
            self.assertEqual(testenv.read_file(self.map), before)
            self.assertEqual(self.lookup("1.1.1.1"), "OK")
            self.assert_refused(site, GUILTY)
        site.scan(root=True)
        self.assertEqual(self.lookup(GUILTY), f"REJECT {MAP_TEXT}")
        self.assertEqual(self.lookup("1.1.1.1"), "OK")

    def test_without_postfix_a_scan_goes_on(self):
        """postconf fails: own networks are not known, which is said, and everything else works."""
        site = self.site()
        site.mail_config = "/nonexistent"
        site.write(guesses(GUILTY))
        self.assertEqual(site.scan()["listed"], 1)
        self.assertTrue(site.log_lines("warning: cannot read mynetworks"))

    def test_odd_bytes(self):
        site = self.site()
        with open(site.maillog, "wb") as file:
            file.write(b"\0" * 4096 + b"\n" + b"x" * (1 << 20) + b"\n" + b"\xff\xfe\r\n\n\n")
            file.write(guesses(GUILTY).encode())
            file.write(guess(OTHER, "\0").encode()[:-1] + b"y" * (1 << 20) + b"\n")
        self.assertEqual(site.scan()["listed"], 1)
        self.assertEqual(site.scan()["lines"], 0)


class Options(BlacklistTest):
    def test_bad_values(self):
        for name, value in (("rules", "nothing=1/1d"), ("rules", "unknown-recipient=0/1d"),
                            ("rules", "unknown-recipient=5"), ("rules", "pregreet=1/61d"),
                            ("rules", "pregreet=1/1d pregreet=2/1d"), ("ban", "0"),
                            ("ban", "1s"), ("ipv4_prefix", "33"), ("ipv6_prefix", "129"),
                            ("ipv4_prefix", "x"), ("action", "OK"), ("action", "521"),
                            ("map", "access"), ("map", "hash:access"), ("map", "pcre:/etc/x"),
                            ("map", "hash:"), ("snapshot", "here.cdb"), ("logs", "mail.log"),
                            ("authenticated", "maybe"), ("map_max", "-1"), ("reload", "x"),
                            ("nothing", "1")):
            site = self.site(**{f"blacklist.{name}": value})
            for arguments in (("config",), ("scan",), ("blacklist", "list")):
                done = site.command(*arguments)
                self.assertEqual(done.returncode, 78, (name, value, done))
                self.assertRegex(done.stderr, rf"{re.escape(site.conf)}:\d+: blacklist\.{name}: ")
            self.assertEqual(site.answer(GUILTY), DUNNO)

    def test_only_log(self):
        site = self.site(**{"blacklist.action": "log"})
        self.assertEqual(site.command("blacklist", "add", GUILTY).returncode, OK)
        self.assert_accepted(site, GUILTY)
        self.assertTrue(site.log_lines("would .*check=blacklist"))

    def test_authenticated(self):
        login = {"sasl_method": "PLAIN", "sasl_username": "user@example.org"}
        for value, answer in (("no", DUNNO), ("yes", REFUSED)):
            site = self.site(**{"blacklist.authenticated": value, "geocount.countries": "0",
                                "geocount.addresses": "0"})
            site.blacklist("add", GUILTY)
            with Filter(site) as filter_:
                filter_.send(request(GUILTY, **login))
                self.assertEqual(filter_.receive(), answer)

    def test_whitelist_before_the_list(self):
        site = self.site()
        site.blacklist("add", GUILTY)
        write_file(site.whitelist, f"{GUILTY}\n")
        self.assert_accepted(site, GUILTY)

    def test_each_round_is_one_line_of_the_log(self):
        site = self.site()
        site.write(guesses(GUILTY))
        site.command("scan")
        self.assertEqual(len(site.log_lines(
            r"\]: scan: 5 lines, 5 offences, 5 hits; 1 listed, snapshot rebuilt; \d+ ms$")), 1)
        site.command("scan")
        self.assertEqual(len(site.log_lines("scan: ")), 1)  # nothing new


if __name__ == "__main__":
    unittest.main()
