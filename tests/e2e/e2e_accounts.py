#!/usr/bin/python3
"""Compromised accounts: addresses and recipients on DNS zones that a stub plays, the list of
accounts, and the command, alone and behind a real Postfix. Whatever zone, store or command do,
mail flows, and in time.

    python3 tests/e2e/e2e_accounts.py [-v] [Class.test ...]
"""
import concurrent.futures
import contextlib
import hashlib
import ipaddress
import json
import os
import random
import re
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import dnsstub  # noqa: E402
import mmdb  # noqa: E402
import ports  # noqa: E402
import testenv  # noqa: E402
from dnsstub import DnsStub, a, cname, many, nxdomain, rcode, silence  # noqa: E402
from filter import ATTRIBUTES, DUNNO, Filter, request  # noqa: E402
from mailserver import MailServer  # noqa: E402
from pace import duration  # noqa: E402
from testenv import FILTER_USER, Site, wait_until  # noqa: E402

USER = "user@example.org"
HOUR, DAY = 3600, 86400
ACCEPTED = "250 2.1.5 Ok"
STOPPED = b"action=554 5.7.1 Stopped\n\n"
FAST = 0.5  # seconds that nobody needs who waits for nothing; see pace.py
LATE = 0.6  # seconds that an answer may come after a time-out
# Time limits of which a test is not about, on a machine with other work as well.
ENOUGH = {"authbl.timeout": "8s", "store.timeout": "8s"}
LISTED = "8.8.4.4"
ELSEWHERE = ("9.9.9.9", "1.1.1.1", "2a03:4000::1")  # on no zone
NOBODY = "1.0.0.127"  # is on no zone, or that one lists everybody
HIT, OTHER = "127.0.0.4", "127.0.0.3"  # the configured code, and one that is not
OK, FAILED, USAGE = 0, 1, 64
FIXED_PATH = b"/usr/sbin:/usr/bin:/sbin:/bin"
NEVER_ASKED = ("", "unknown", "10.1.2.3", "192.168.1.1", "172.16.0.1", "127.0.0.1", "127.0.0.2",
               "169.254.1.1", "100.64.0.1", "192.0.2.1", "203.0.113.9", "0.0.0.0", "224.0.0.1",
               "::1", "::", "fe80::1", "fd00::1", "2001:db8::1", "ff02::1", "::ffff:10.0.0.1",
               "8.8.4", "8.8.4.256", "8.8.4.4.", "::g", "fe80::1%eth0", USER)

# Runs what follows where this is /etc/resolv.conf.
WITH_RESOLV_CONF = """mount --bind "$0" /etc/resolv.conf && exec "$@" """


def login_request(address=LISTED, user=USER, **attributes):
    return request(address, sasl_method="PLAIN", sasl_username=user, **attributes)


def item_of(address):
    """What an address is called below a zone."""
    return ipaddress.ip_address(address).reverse_pointer.rsplit(".", 2)[0]


def hash_of(recipient):
    return hashlib.sha1(recipient.encode()).hexdigest()


class AccountSite(Site):
    """A site whose zones, the default ones, are played by a stub; a hit is refused."""

    def __init__(self, dns, options=()):
        self.apikey = f"{random.getrandbits(128):032x}"
        self.dns = dns
        super().__init__(options={
            "authbl.apikey": self.apikey, "authbl.resolver": dns.resolver,
            "accounts.action": "554 5.7.1 Stopped", "reputation.token_file": None,
            "geocount.countries": "0", "geocount.addresses": "0", **ENOUGH,
            **dict(options)})

    def configure(self, **options):
        super().configure(**options)
        os.chown(self.conf, FILTER_USER.pw_uid, FILTER_USER.pw_gid)
        os.chmod(self.conf, 0o600)

    @property
    def zone(self):
        return f"{self.apikey}.authbl.mail.abusix.zone"

    @property
    def recipient_zone(self):
        return f"{self.apikey}.authbl-rcpt.mail.abusix.zone"

    def name_of(self, address):
        return f"{item_of(address)}.{self.zone}"

    def name_of_recipient(self, recipient):
        return f"{hash_of(recipient)}.{self.recipient_zone}"

    def list_address(self, address=LISTED, answer=None):
        """From here on the zone gives this answer for the address; a hit if not told."""
        self.dns.answers[self.name_of(address)] = answer or a(HIT)

    def list_recipient(self, recipient, answer=None):
        self.dns.answers[self.name_of_recipient(recipient)] = answer or a("127.0.0.2")

    def end_rest(self):
        """Everything that rests is tried again now."""
        for name in os.listdir(self.cache):
            if name.startswith(".rest-"):
                os.unlink(os.path.join(self.cache, name))

    def resting_zones(self):
        return [name for name in os.listdir(self.cache) if name.startswith(".rest-zone-")]

    def accounts(self):
        """The accounts on the list, those released not."""
        if not os.path.exists(self.store):
            return []
        return [user for user, in self.query(
            "SELECT sasl_username FROM abichecker_accounts WHERE released = 0 ORDER BY 1")]

    def make_older(self, seconds, column="since", user=USER):
        """The account was put on the list, or released, so much earlier."""
        assert self.query(f"UPDATE abichecker_accounts SET {column} = {column} - ? "
                          f"WHERE sasl_username = ? AND {column} > 0 RETURNING 1", seconds, user)


class Command:
    """A shell script for accounts.command, and what became of it. Every run writes down its
    environment first, as the kernel has it. $D is its directory."""

    def __init__(self, body="", interpreter="/bin/sh", mode=0o755):
        self.directory = testenv.new_directory("command", FILTER_USER)
        self.path = testenv.write_file(
            os.path.join(self.directory, "command"),
            f"#!{interpreter}\nD='{self.directory}'\ncat /proc/$$/environ >$D/new.$$ && "
            f"mv $D/new.$$ $D/run.$$\n{body}\n", mode)

    def file(self, name):
        return os.path.join(self.directory, name)

    def runs(self):
        """The environments of the runs so far, each name: value."""
        found = []
        for name in sorted(os.listdir(self.directory)):
            if name.startswith("run."):
                with open(self.file(name), "rb") as file:
                    items = [item.partition(b"=")[::2] for item in file.read().split(b"\0")[:-1]]
                assert len(dict(items)) == len(items), f"a name is there twice: {items}"
                found.append(dict(items))
        return found


def supervisors():
    """The processes that are abictl at the moment."""
    return testenv.processes_of(testenv.program("abictl"))


def alive_in_group(group):
    """The processes of a process group that have not ended."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            fields = testenv.read_file(f"/proc/{pid}/stat").rsplit(")", 1)[1].split()
            if fields[0] not in "ZX" and int(fields[2]) == int(group):
                found.append(pid)
    return found


class AccountTest(testenv.TestCase):

    def setUp(self):
        self.dns = DnsStub().start()
        self.addCleanup(self.dns.stop)

    def site(self, options=(), listed=()):
        site = AccountSite(self.dns, options)
        for address in listed:
            site.list_address(address)
        return site

    def filter(self, site, **keywords):
        return self.enterContext(Filter(site, **keywords))

    def ask(self, filter_, address=LISTED, user=USER, **attributes):
        return filter_.ask(address, sasl_method="PLAIN", sasl_username=user, **attributes)

    def assert_quick(self, expected, filter_, *arguments, seconds=FAST, **attributes):
        reply, taken = duration(lambda: self.ask(filter_, *arguments, **attributes))
        self.assertEqual(reply, expected)
        self.assert_within(seconds, taken)

    def assert_waited(self, delay, seconds):
        """So long, and not much longer."""
        self.assertGreaterEqual(seconds, delay)
        self.assert_within(delay + LATE, seconds)

    def serve(self, site, settings=""):
        mail = MailServer(site, settings=settings).start()
        self.addCleanup(mail.stop, self)
        return mail

    def submit(self, mail, address=LISTED, user=USER, recipients=("friend@example.com",),
               **keywords):
        """The Delivery of a message that a user sends."""
        return mail.deliver(address, recipients, port=mail.submission, login=user, **keywords)

    @staticmethod
    def refusal(address, text="Stopped"):
        return f"554 5.7.1 <client.example.net[{address}]>: Client host rejected: {text}"

    def wait_for_end(self, site, pattern=" command: "):
        """Waits until the log tells how the command ended, and all supervisors are gone; returns
        the lines of the log about it."""
        wait_until(lambda: site.log_lines(f"{pattern}.*(exited|killed|cannot start)"),
                   "the end of the command")
        wait_until(lambda: not supervisors(), "the end of abictl run-command")
        return site.log_lines(pattern)

    def no_part_of(self, secret, text, where):
        pieces = {secret[at:at + 8] for at in range(len(secret) - 7)}
        self.assertEqual([piece for piece in pieces if piece in text], [], f"{where}: {text}")


class Stub(AccountTest):
    """The stub itself, asked without a library: else the tests below could pass for no reason."""

    NAME = "4.4.8.8.zone.example.net"

    def ask_stub(self, answer, tcp=False, edns=False):
        """All that comes for one question, until nothing comes any more."""
        self.dns.answers[self.NAME] = answer
        data = struct.pack(">HHHHHH", 0x1234, 0x100, 1, 0, 0, edns)
        data += dnsstub.encode_name(self.NAME.upper()) + b"\0\1\0\1"
        data += b"\0\0\x29\x10\0\0\0\0\0\0\0" * edns
        if tcp:
            with socket.create_connection(("127.0.0.1", self.dns.port), testenv.PATIENCE) as sock:
                sock.sendall(struct.pack(">H", len(data)) + data)
                with sock.makefile("rb") as file:
                    head = file.read(2)
                    return [file.read(*struct.unpack(">H", head))] if head else []
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            done = self.dns.done
            sock.sendto(data, ("127.0.0.1", self.dns.port))
            wait_until(lambda: self.dns.done > done, "the stub")
            found = []
            with contextlib.suppress(BlockingIOError):
                while True:
                    found.append(sock.recv(65536, socket.MSG_DONTWAIT))
            return found

    @staticmethod
    def head(data):
        """(id, truncated?, code, questions, answers)"""
        number, flags, questions, answers = struct.unpack(">HHHH", data[:8])
        return number, bool(flags & 0x0200), flags & 15, questions, answers

    def test_answers(self):
        for name, answer, head in (
                ("address", a(HIT), (0x1234, False, 0, 1, 1)),
                ("two", a(HIT, OTHER), (0x1234, False, 0, 1, 2)),
                ("alias", cname(HIT), (0x1234, False, 0, 1, 2)),
                ("NXDOMAIN", nxdomain, (0x1234, False, 3, 1, 0)),
                ("SERVFAIL", rcode(dnsstub.SERVFAIL), (0x1234, False, 2, 1, 0)),
                ("REFUSED", rcode(dnsstub.REFUSED), (0x1234, False, 5, 1, 0)),
                ("too long", many(), (0x1234, True, 0, 1, 0)),
                ("wrong id", dnsstub.wrong_id(), (0x4834, False, 0, 1, 1)),
                ("truncated", dnsstub.truncated(a(HIT)), (0x1234, True, 0, 1, 0)),
                ("loop", dnsstub.name_loop, (0x1234, False, 0, 1, 2))):
            with self.subTest(name):
                data, = self.ask_stub(answer)
                self.assertEqual(self.head(data), head)
                self.assertEqual(self.dns.count(self.NAME), 1)
                self.assertEqual(self.dns.count("example.net"), 1)
                self.assertEqual(self.dns.count("other.example.net"), 0)
                self.dns.forget()

    def test_many_records(self):
        data, = self.ask_stub(many(), tcp=True)
        self.assertEqual(self.head(data), (0x1234, False, 0, 1, 300))
        self.assertEqual(data.count(b"\xc0\x0c\0\1\0\1"), 300)
        self.assertTrue(data.endswith(b"\x7f\0\0\4"))
        data, = self.ask_stub(many(200), edns=True)
        self.assertEqual(self.head(data), (0x1234, False, 0, 1, 200))
        self.dns.oversized = True
        data, = self.ask_stub(many())
        self.assertEqual(self.head(data), (0x1234, False, 0, 1, 300))

    def test_none(self):
        self.assertEqual(self.ask_stub(silence), [])
        self.assertEqual(self.ask_stub(dnsstub.hang_up, tcp=True), [])
        self.assertEqual(self.dns.count(), 2)

    def test_two_answers(self):
        wrong, right = self.ask_stub(dnsstub.both(dnsstub.wrong_id(), a(HIT)))
        self.assertEqual(wrong[2:], right[2:])
        self.assertNotEqual(wrong[:2], right[:2])

    def test_cut(self):
        whole, = self.ask_stub(a(HIT))
        for length in (1, 12, 20, -1):
            self.assertEqual(self.ask_stub(dnsstub.cut(length)), [whole[:length]])

    def test_stopped(self):
        self.dns.stop()
        with self.assertRaises(ConnectionRefusedError):
            self.ask_stub(a(HIT), tcp=True)
        self.dns.start()
        self.assertEqual(len(self.ask_stub(a(HIT))), 1)


# What a zone may answer about an address: the answer, what comes of it and what the log says of
# the zone then. clean: nothing, other: it answered, but not so that it means anything; unknown: as
# if it had not been asked; late: the same, and it rests.
ANSWERS = {
    "address": (a(HIT), "hit", ""),
    "among others": (a(OTHER, "127.255.255.254", HIT), "hit", ""),
    "300 records": (many(), "hit", ""),
    "alias": (cname(HIT), "hit", ""),
    "truncated": (dnsstub.truncated(a(HIT)), "hit", ""),
    "delayed": (dnsstub.slow(0.8, a(HIT)), "hit", ""),
    "wrong id, then right": (dnsstub.both(dnsstub.wrong_id(), a(HIT)), "hit", ""),
    "wrong code with wrong id, then right": (
        dnsstub.both(dnsstub.wrong_id(OTHER), a(HIT)), "hit", ""),
    "hit with wrong id, then none": (dnsstub.both(dnsstub.wrong_id(), nxdomain), "clean", ""),
    "other question, then right": (dnsstub.both(dnsstub.other_question(), a(HIT)), "hit", ""),
    "NXDOMAIN": (nxdomain, "clean", ""),
    "no data": (dnsstub.no_data, "clean", ""),
    "alias of nothing": (cname(None), "clean", ""),
    "300 records, none of them": (many(last=OTHER), "other", r"answer 127\.0\."),
    "other code": (a(OTHER), "other", r"answer 127\.0\.0\.3"),
    "alias, other code": (cname(OTHER), "other", r"answer 127\.0\.0\.3"),
    "error code": (a("127.255.255.254"), "unknown", r"answer 127\.255\.255\.254"),
    "127.0.0.1": (a("127.0.0.1"), "unknown", r"answer 127\.0\.0\.1"),
    "public address": (a("192.0.2.1"), "unknown", r"answer 192\.0\.2\.1"),
    "the code elsewhere": (a("4.0.0.127"), "unknown", r"answer 4\.0\.0\.127"),
    "SERVFAIL": (rcode(dnsstub.SERVFAIL), "unknown", "SERVFAIL"),
    "REFUSED": (rcode(dnsstub.REFUSED), "unknown", "REFUSED"),
    "FORMERR": (rcode(dnsstub.FORMERR), "unknown", r"\S"),
    "NOTIMP": (rcode(dnsstub.NOTIMP), "unknown", r"\S"),
    "loop of names": (dnsstub.name_loop, "unknown", r"\S"),
    "count that is not true": (dnsstub.lying_count, "unknown", r"\S"),
    "cut in the answer": (dnsstub.cut(-2), "unknown", r"\S"),
    "silence": (silence, "late", "no answer"),
    "wrong id": (dnsstub.wrong_id(), "late", "no answer"),
    "other question": (dnsstub.other_question(), "late", "no answer"),
    "too late": (dnsstub.slow(1.5, a(HIT)), "late", "no answer"),
    "truncated, silence": (dnsstub.truncated(silence), "late", "no answer"),
}
# Those that nobody needs to understand; only it must not be a hit, or take long.
NONSENSE = {
    "question in a loop": dnsstub.name_loop_in_question,
    "addresses of wrong size": dnsstub.short_address,
    "garbage": dnsstub.garbage(),
    "long garbage": dnsstub.garbage(9000),
    "one byte": dnsstub.cut(1),
    "empty": dnsstub.raw(b""),
    "head only": dnsstub.cut(12),
    "cut in the question": dnsstub.cut(20),
    "record of another name": dnsstub.other_owner(),
    "alias of itself": dnsstub.cname_loop,
    "truncated, hung up": dnsstub.truncated(dnsstub.hang_up),
    "truncated, garbage": dnsstub.truncated(dnsstub.garbage(65000)),
    "echo": lambda exchange: exchange.send(exchange.id + b"\1\0" + b"\0\1" + bytes(6) +
                                           exchange.question),
}


class Answers(AccountTest):
    """Every kind of answer has its verdict, in time, through a real Postfix."""

    ONE_ZONE = {"authbl.recipient_zones": "", "authbl.timeout": "1s"}
    PATIENT = {"authbl.recipient_zones": ""}

    def test_through_postfix(self):
        for name, (answer, verdict, told) in ANSWERS.items():
            with self.subTest(name):
                site = self.site(self.ONE_ZONE if verdict == "late" else self.PATIENT)
                site.list_address(LISTED, answer)
                mail = MailServer(site).start()
                try:
                    self.assert_verdict(site, mail, verdict, told)
                finally:
                    mail.stop(self)

    def assert_verdict(self, site, mail, verdict, told):
        delivery = self.submit(mail)
        hit = verdict == "hit"
        self.assertEqual(delivery.recipients,
                         [self.refusal(LISTED) if hit else ACCEPTED])
        self.assert_within(1 + LATE, delivery.seconds)
        self.assertEqual(site.accounts(), [USER] * hit)
        self.assertEqual(len(site.log_lines(" compromised: check=authbl ")), hit)
        self.assertEqual(len(site.log_lines(" error: check=authbl ")),
                         verdict in ("unknown", "late"), site.log())
        warnings = site.log_lines(r" warning: ")
        self.assertEqual(len(warnings), bool(told), site.log())
        if told:
            self.assertRegex(warnings[0], r"warning: authbl: authbl\.mail\.abusix\.zone: " + told)
        self.assertEqual(len(site.resting_zones()), verdict == "late")
        if verdict == "late":
            self.assert_nobody_waits(site, mail)
        elif not hit:
            # Nothing rests, and what is odd is told once only.
            before = self.dns.count(site.zone)
            self.assertEqual(self.submit(mail).recipients, [ACCEPTED])
            self.assertGreater(self.dns.count(site.zone), before)
            self.assertEqual(site.log_lines(" warning: "), warnings)

    def assert_nobody_waits(self, site, mail):
        """The zone rests for all: for others in the same session, in another one, in another
        process."""
        before = self.dns.count()
        with mail.session(ELSEWHERE[0], port=mail.submission, login=USER) as session:
            for _ in range(2):
                delivery = session.deliver("friend@example.com")
                self.assertEqual(delivery.recipients, [ACCEPTED])
                self.assert_within(FAST, delivery.seconds)
        with Filter(site) as filter_:
            self.assert_quick(DUNNO, filter_, ELSEWHERE[1])
        self.assertEqual(self.dns.count(), before)
        self.assertEqual(len(site.log_lines(" warning: ")), 1)

    def test_nonsense(self):
        sites = {name: self.site(self.ONE_ZONE) for name in NONSENSE}
        for name, site in sites.items():
            site.list_address(LISTED, NONSENSE[name])
        filters = {name: self.filter(site) for name, site in sites.items()}
        with concurrent.futures.ThreadPoolExecutor(len(sites)) as pool:
            running = {name: pool.submit(self.replies_to_nonsense, site, filters[name])
                       for name, site in sites.items()}
        for name, replies in running.items():
            with self.subTest(name):
                first, seconds, accounts, second = replies.result()
                self.assertEqual((first, accounts, second), (DUNNO, [], STOPPED))
                self.assert_within(1 + LATE, seconds)

    def replies_to_nonsense(self, site, filter_):
        """What comes of it, and of a hit after that in the same process."""
        first, seconds = duration(lambda: self.ask(filter_), filter_.process.pid)
        accounts = site.accounts()
        site.end_rest()
        site.list_address()
        return first, seconds, accounts, self.ask(filter_)

    def test_random_bytes(self):
        """A right answer with some bytes changed, again and again: an answer, and the same process
        to the end."""
        site = self.site({"accounts.action": "log", "authbl.recipient_zones": ""})
        filter_ = self.filter(site)
        for seed in range(300):
            random_ = random.Random(seed)

            def change(data, random_=random_):
                data = bytearray(data)
                for _ in range(random_.randrange(1, 6)):
                    data[random_.randrange(2, len(data))] = random_.randrange(256)
                return bytes(data)

            def changed(exchange, change=change):
                # The right one follows, so that nobody waits for it.
                dnsstub.changed(cname(OTHER), change)(exchange)
                nxdomain(exchange)
            address = f"8.8.{seed // 200}.{seed % 200}"
            site.list_address(address, changed)
            with self.subTest(seed):
                self.assertEqual(self.ask(filter_, address), DUNNO)
                site.end_rest()
        self.assertEqual(filter_.finish(), (b"", 0))

    def test_oversized(self):
        self.dns.oversized = True
        site = self.site()
        site.list_address(LISTED, many())
        self.assert_quick(STOPPED, self.filter(site), seconds=3)

    def test_nobody_listens(self):
        """Neither at all, nor for the rest of a truncated answer."""
        for name, listening in (("udp only", True), ("nothing", False)):
            with self.subTest(name):
                dns = DnsStub(tcp=False)
                dns.answers["*.zone"] = dnsstub.truncated(a(HIT))
                dns.start()
                site = AccountSite(dns, {"authbl.timeout": "1s"})
                if not listening:
                    dns.stop()
                filter_ = self.filter(site)
                self.assert_quick(DUNNO, filter_, seconds=1 + LATE)
                self.assertTrue(site.log_lines(" error: check=authbl "), site.log())
                self.assertRegex(site.log(), r"warning: authbl: authbl\.mail\.abusix\.zone: \S")
                dns.stop()

    def test_one_zone_of_two_is_dead(self):
        """The other one's answer counts, without waiting when it is a hit; then nobody waits."""
        for dead, alive in (("one", "two"), ("two", "one")):
            with self.subTest(dead=dead):
                self.dns.answers.clear()
                self.dns.answers[f"*.{dead}.example.net"] = silence
                site = self.site({"authbl.zones": "one.example.net=127.0.0.4 "
                                  "two.example.net=127.0.0.[5..9]",
                                  "authbl.recipient_zones": "", "authbl.timeout": "1s"})
                filter_ = self.filter(site)
                self.assert_quick(DUNNO, filter_, ELSEWHERE[0], seconds=1 + LATE)
                self.assertEqual(site.log_lines(" error: "), [])
                self.assertEqual(len(site.log_lines(f" warning: authbl: {dead}.example.net: ")), 1)
                self.dns.answers[f"{item_of(LISTED)}.{alive}.example.net"] = a(HIT, "127.0.0.7")
                self.assert_quick(STOPPED, filter_)
                self.assertIn(f"is listed on {alive}.example.net", site.log())

    def test_a_zone_rests_for_a_minute(self):
        site = self.site(self.ONE_ZONE)
        self.dns.answers[f"*.{site.zone}"] = silence
        self.assert_quick(DUNNO, self.filter(site), seconds=1 + LATE)
        marker, = site.resting_zones()
        left, _ = site.rest(marker.removeprefix(".rest-"))
        self.assertTrue(50 < left <= 61, left)
        digest = hashlib.sha256(site.zone.encode()).hexdigest()[:16]
        self.assertEqual(marker, f".rest-zone-{digest}")
        self.dns.answers.clear()
        site.list_address()
        self.assert_quick(DUNNO, self.filter(site))
        # The minute is over.
        path = os.path.join(site.cache, marker)
        content = testenv.read_file(path).splitlines(True)
        testenv.write_file(path, f"{int(time.time()) - 1}\n" + "".join(content[1:]),
                           owner=FILTER_USER)
        self.assert_quick(STOPPED, self.filter(site))

    def test_without_a_cache_directory_a_zone_rests_for_the_process(self):
        site = self.site(self.ONE_ZONE)
        os.rmdir(site.cache)
        self.dns.answers[f"*.{site.zone}"] = silence
        filter_ = self.filter(site)
        self.assert_quick(DUNNO, filter_, seconds=1 + LATE)
        for address in ELSEWHERE:
            self.assert_quick(DUNNO, filter_, address)
        self.assertEqual(len(site.log_lines(" warning: authbl: ")), 1)

    def test_all_zones_dead_and_on_error_defer(self):
        site = self.site({"authbl.timeout": "1s", "filter.on_error": "defer"})
        self.dns.default = silence
        defer = b"action=DEFER_IF_PERMIT 4.3.0 Service temporarily unavailable\n\n"
        filter_ = self.filter(site)
        self.assert_quick(defer, filter_, seconds=1 + LATE)
        self.assert_quick(defer, filter_, ELSEWHERE[0])

    def test_on_error_defer_is_for_all_recipients(self):
        """Also where there is nothing more to look up for the next one."""
        defer = b"action=DEFER_IF_PERMIT 4.3.0 Service temporarily unavailable\n\n"
        for zones in (None, ""):
            with self.subTest(recipient_zones=zones):
                site = self.site({"filter.on_error": "defer", "authbl.recipient_zones": zones})
                self.dns.default = rcode(dnsstub.SERVFAIL)
                filter_ = self.filter(site)
                for number in range(3):
                    self.assert_quick(defer, filter_, instance="1.0",
                                      recipient=f"user{number}@example.com")

    def test_zones_are_asked_at_once(self):
        """None of eight zones answers before all of them have been asked."""
        zones = [f"zone{number}.example.net" for number in range(8)]
        answer = dnsstub.together(8, nxdomain)
        for zone in zones:
            self.dns.answers[f"*.{zone}"] = answer
        site = self.site({"authbl.zones": " ".join(f"{zone}=127.0.0.4" for zone in zones)})
        self.assert_quick(DUNNO, self.filter(site))
        self.assertEqual([self.dns.count(zone) for zone in zones], [1] * 8)

    def test_the_deadline_of_the_request(self):
        site = self.site({"filter.deadline": "1s", "authbl.timeout": "5s"})
        self.dns.default = silence
        self.assert_quick(DUNNO, self.filter(site), seconds=1 + LATE)
        self.assert_quick(DUNNO, self.filter(site))  # nobody else waits for that

    def test_codes(self):
        """Single ones, lists and ranges; but never 127.0.0.1 and 127.255.255.x."""
        for codes, hits, others in (
                ("127.0.0.4", ["127.0.0.4"], ["127.0.0.5", "127.0.4.0", "127.1.0.4"]),
                ("127.0.0.4,127.0.0.20", ["127.0.0.4", "127.0.0.20"], ["127.0.0.5"]),
                ("127.0.0.[2..254]", ["127.0.0.2", "127.0.0.254"], ["127.0.0.255", "127.0.0.1"]),
                ("127.0.[0;2..3].[4;8..9]", ["127.0.0.4", "127.0.3.8", "127.0.2.9"],
                 ["127.0.1.4", "127.0.0.5"]),
                ("127.[0..255].[0..255].[0..255]", ["127.0.0.2", "127.9.9.9"],
                 ["127.0.0.1", "127.255.255.252", "127.255.255.255"])):
            site = self.site({"authbl.zones": f"$apikey.zone.example.net={codes}"})
            filter_ = self.filter(site)
            for number, code in enumerate(hits + others):
                with self.subTest(codes, code=code):
                    name = f"{item_of(LISTED)}.{site.apikey}.zone.example.net"
                    self.dns.answers[name] = a(code)
                    self.assert_quick(STOPPED if code in hits else DUNNO, filter_,
                                      user=f"user{number}@example.org")


class Names(AccountTest):
    """What is looked up, and what is not."""

    def test_names_of_addresses(self):
        site = self.site()
        filter_ = self.filter(site)
        for address, item in (
                ("8.8.4.4", "4.4.8.8"), ("::ffff:8.8.4.4", "4.4.8.8"),
                ("2a02:d540::a", "a." + "0." * 23 + "0.4.5.d.2.0.a.2"),
                ("2A02:D540:0:0:0:0:0:A", "a." + "0." * 23 + "0.4.5.d.2.0.a.2"),
                ("2001:470:1:2:3:4:5:6789", "9.8.7.6.5.0.0.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0."
                 "0.7.4.0.1.0.0.2")):
            with self.subTest(address):
                self.dns.forget()
                self.assertEqual(self.ask(filter_, address), DUNNO)
                self.assertEqual(sorted(set(self.dns.names())), sorted(
                    [f"{item}.{site.zone}", site.name_of_recipient(ATTRIBUTES["recipient"])]))
                self.assertEqual({question.type for question in self.dns.questions}, {dnsstub.A})

    def test_ipv6_through_postfix(self):
        site = self.site(listed=["2a02:d540::a"])
        mail = self.serve(site)
        self.assertEqual(self.submit(mail, "2a02:d540::a").recipients,
                         [self.refusal("2a02:d540::a")])
        self.assertEqual(self.submit(mail, "2a02:d540::b", "other@example.org").recipients,
                         [ACCEPTED])
        self.assertIn("2a02:d540::a is listed on authbl.mail.abusix.zone (127.0.0.4)", site.log())

    def test_names_of_recipients(self):
        site = self.site()
        filter_ = self.filter(site)
        for recipient, name in (
                ("user@example.com", "user@example.com"), ("User@EXAMPLE.com", "user@example.com"),
                ("josé@example.com", "josé@example.com"), ("JOSé@Example.COM", "josé@example.com"),
                ("JOSÉ@Example.COM", "josé@example.com"),
                ('"a b"@example.com', '"a b"@example.com'), ("user", "user")):
            with self.subTest(recipient):
                self.dns.forget()
                self.assertEqual(self.ask(filter_, recipient=recipient), DUNNO)
                self.assertIn(site.name_of_recipient(name), self.dns.names())

    def test_recipient_through_postfix(self):
        site = self.site()
        site.list_recipient("josé@example.com")
        site.list_recipient("victim@example.com")
        mail = self.serve(site)
        self.assertEqual(self.submit(mail, recipients=["VicTim@Example.com"]).recipients,
                         [self.refusal(LISTED)])
        self.assertIn("recipient is listed on authbl-rcpt.mail.abusix.zone (127.0.0.2)",
                      site.log())
        with mail.session(LISTED, port=mail.submission, login="other@example.org") as session:
            session._smtp.command_encoding = "utf-8"
            session.command("MAIL FROM:<sender@example.net> SMTPUTF8", expected="250")
            session.command("RCPT TO:<jose@example.com>", expected=ACCEPTED)
            self.assertEqual(session.command("RCPT TO:<JOSé@Example.COM>"), self.refusal(LISTED))
        self.assertEqual(site.accounts(), ["other@example.org", USER])

    def test_a_later_recipient(self):
        """The first listed one stops itself and all that come after it in this message."""
        site = self.site()
        site.list_recipient("victim@example.com")
        mail = self.serve(site)
        recipients = ["one@example.com", "two@example.com", "victim@example.com",
                      "three@example.com", "one@example.com"]
        self.assertEqual(self.submit(mail, recipients=recipients).recipients,
                         [ACCEPTED] * 2 + [self.refusal(LISTED)] * 3)
        for name in ("one", "two", "victim"):
            self.assertEqual(
                self.dns.count(site.name_of_recipient(f"{name}@example.com")), 1)
        self.assertEqual(self.dns.count(site.name_of(LISTED)), 1)  # once a message
        self.assertEqual(len(site.log_lines(" compromised: ")), 1)
        self.assertEqual(self.submit(mail, ELSEWHERE[0]).recipients, [self.refusal(ELSEWHERE[0])])

    def test_a_later_recipient_with_action_log(self):
        site = self.site({"accounts.action": "log"})
        site.list_recipient("victim@example.com")
        mail = self.serve(site)
        recipients = ["one@example.com", "victim@example.com", "two@example.com"]
        self.assertEqual(self.submit(mail, recipients=recipients).recipients, [ACCEPTED] * 3)
        self.assertEqual(site.accounts(), [USER])

    def test_what_is_never_looked_up(self):
        site = self.site()
        filter_ = self.filter(site)
        self.assertEqual(filter_.ask(LISTED), DUNNO)
        self.assertEqual(filter_.ask(LISTED, sasl_method="PLAIN", sasl_username=""), DUNNO)
        self.assertEqual(self.dns.names(), [])
        for address in NEVER_ASKED:
            with self.subTest(address):
                self.assertEqual(self.ask(filter_, address, recipient=""), DUNNO)
                self.assertEqual(self.dns.names(), [])
        self.assertEqual(self.ask(filter_, "unknown"), DUNNO)
        self.assertEqual(self.dns.count(site.zone), 0)
        self.assertEqual(self.dns.count(site.recipient_zone), 1)
        self.dns.forget()
        self.assertEqual(self.ask(filter_, recipient=""), DUNNO)
        self.assertEqual((self.dns.count(site.zone), self.dns.count()), (1, 1))
        self.assertEqual(site.log_lines(" (warning|error): "), [])

    def test_nothing_is_looked_up_through_postfix(self):
        """Neither without a user, nor for an address that is nobody's."""
        site = self.site({"authbl.recipient_zones": ""})
        mail = self.serve(site)
        self.assertEqual(mail.deliver(LISTED).recipients, [ACCEPTED])
        for address in ("10.1.2.3", "127.0.0.1", "fd00::1"):
            self.assertEqual(self.submit(mail, address).recipients, [ACCEPTED])
        self.assertEqual(self.dns.names(), [])
        self.assertEqual(self.submit(mail).recipients, [ACCEPTED])
        self.assertEqual(self.dns.count(), 1)

    def test_a_resolver_with_an_ipv6_address(self):
        dns = DnsStub(host="::1")
        try:
            dns.start()
        except OSError as e:
            self.skipTest(f"no IPv6 on loopback: {e}")
        self.addCleanup(dns.stop)
        site = AccountSite(dns)
        self.assertEqual(site.options["authbl.resolver"], f"[::1]:{dns.port}")
        site.list_address(LISTED, many())
        self.assert_quick(STOPPED, self.filter(site))

    def test_the_systems_resolver(self):
        """What resolv.conf names, and no domain of its search list."""
        dns = DnsStub(host=ports.address(77), port=53)
        try:
            dns.start()
        except OSError as e:
            self.skipTest(f"{dns.host}:53: {e}")
        self.addCleanup(dns.stop)
        conf = testenv.write_file(f"{testenv.new_directory('resolver')}/resolv.conf",
                                  f"nameserver {dns.host}\nsearch example.org example.com\n"
                                  "options ndots:9\n")
        site = AccountSite(dns, {"authbl.resolver": None})
        site.list_address()
        wrapper = ("unshare", "--mount", "sh", "-c", WITH_RESOLV_CONF, conf, "setpriv",
                   f"--reuid={FILTER_USER.pw_uid}", f"--regid={FILTER_USER.pw_gid}",
                   "--clear-groups")
        with Filter(site, wrapper=wrapper, user=None, group=None, extra_groups=None,
                    env={"PATH": os.environ["PATH"]}) as filter_:
            try:
                first = self.ask(filter_)
            except OSError:
                first = b""
            if not first.startswith(b"action="):  # nothing, or what unshare(1) says
                self.skipTest("a mount namespace of its own is not allowed")
            self.assertEqual(first, STOPPED)
            self.assertEqual(self.ask(filter_, ELSEWHERE[0], "other@example.org"), DUNNO)
        self.assertEqual(set(dns.names()), {
            site.name_of(LISTED), f"{NOBODY}.{site.zone}", site.name_of(ELSEWHERE[0]),
            site.name_of_recipient(ATTRIBUTES["recipient"])})

    def test_without_a_key(self):
        """The default zones are not asked then, others are."""
        site = self.site({"authbl.apikey": None})
        self.assertEqual(self.ask(self.filter(site)), DUNNO)
        self.assertEqual((self.dns.names(), site.log()), ([], ""))
        site.configure(**{"authbl.zones": "$apikey.zone.example.com=127.0.0.4 "
                          "authbl.example.net=127.0.0.43"})
        self.dns.answers[f"{item_of(LISTED)}.authbl.example.net"] = a("127.0.0.43")
        self.assertEqual(self.ask(self.filter(site)), STOPPED)
        self.assertEqual(self.dns.names(), [f"{item_of(LISTED)}.authbl.example.net",
                                            f"{NOBODY}.authbl.example.net"])
        self.assertIn("8.8.4.4 is listed on authbl.example.net (127.0.0.43)", site.log())


class Listed(AccountTest):
    """The list: who is on it is stopped wherever he comes from, until he is released."""

    def release(self, site, user=USER):
        done = site.abictl("accounts", "release", user)
        self.assertEqual((done.returncode, done.stderr), (OK, ""))

    def test_stopped_from_any_address_until_released(self):
        site = self.site(listed=[LISTED])
        mail = self.serve(site)
        self.assertEqual(self.submit(mail, ELSEWHERE[0]).recipients, [ACCEPTED])
        self.assertEqual(self.submit(mail).recipients, [self.refusal(LISTED)])
        self.dns.forget()
        for address in (*ELSEWHERE, LISTED, "10.1.2.3"):
            self.assertEqual(self.submit(mail, address, USER.upper()).recipients,
                             [self.refusal(address)])
        self.assertEqual(self.dns.names(), [])  # known, so nobody is asked
        self.assertRegex(site.log_lines("reject: check=accounts")[0],
                         r'reason="compromised since \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ, found by '
                         r'authbl: 8\.8\.4\.4 is listed on authbl\.mail\.abusix\.zone '
                         r'\(127\.0\.0\.4\)"')
        self.assertEqual(self.submit(mail, user="other@example.org",
                                     address=ELSEWHERE[0]).recipients, [ACCEPTED])
        self.release(site)
        for address in (LISTED, ELSEWHERE[0]):  # although it is still on the zone
            self.assertEqual(self.submit(mail, address).recipients, [ACCEPTED])
        self.assertGreater(self.dns.count(site.name_of(LISTED)), 0)
        self.assertEqual(len(site.log_lines(" grace: check=authbl ")), 1)
        self.assertEqual(len(site.log_lines(" compromised: ")), 1)
        self.assertEqual(site.accounts(), [])

    def released_site(self, *options, address=LISTED):
        site = self.site(dict(options), listed=[address])
        filter_ = self.filter(site)
        self.assertEqual(self.ask(filter_, address), STOPPED)
        self.release(site)
        self.assertEqual(self.ask(filter_, address), DUNNO)
        self.assertEqual(len(site.log_lines(" grace: check=authbl ")), 1)
        return site, filter_

    def test_grace_is_for_that_address(self):
        site, filter_ = self.released_site()
        site.list_address(ELSEWHERE[0])
        self.assertEqual(self.ask(filter_, ELSEWHERE[0]), STOPPED)
        self.assertEqual(self.ask(filter_), STOPPED)  # on the list again
        self.assertEqual(len(site.log_lines(" compromised: ")), 2)

    def test_grace_of_ipv6_is_for_the_64(self):
        site, filter_ = self.released_site(address="2a02:d540::a")
        site.list_address("2a02:d540::b")
        self.assertEqual(self.ask(filter_, "2a02:d540::b"), DUNNO)
        site.list_address("2a02:d540:0:1::a")
        self.assertEqual(self.ask(filter_, "2a02:d540:0:1::a"), STOPPED)

    def test_grace_of_ipv4_is_for_one_address(self):
        site, filter_ = self.released_site()
        site.list_address("8.8.4.5")
        self.assertEqual(self.ask(filter_, "8.8.4.5"), STOPPED)

    def test_grace_is_over(self):
        site, filter_ = self.released_site(("accounts.grace", "1h"))
        site.make_older(HOUR - 60, "released")
        self.assertEqual(self.ask(filter_), DUNNO)
        site.make_older(120, "released")
        self.assertEqual(self.ask(filter_), STOPPED)
        self.assertEqual(len(site.log_lines(" compromised: ")), 2)

    def test_without_grace(self):
        site = self.site({"accounts.grace": "0"}, listed=[LISTED])
        filter_ = self.filter(site)
        self.assertEqual(self.ask(filter_), STOPPED)
        self.release(site)
        self.assertEqual(self.ask(filter_), STOPPED)

    def test_grace_of_one_who_was_added_by_hand(self):
        """No address caused it, so none is excused."""
        site = self.site(listed=[LISTED])
        self.assertEqual(site.abictl("accounts", "add", USER, "phished").returncode, OK)
        filter_ = self.filter(site)
        self.assertEqual(self.ask(filter_, ELSEWHERE[0]), STOPPED)
        self.assertRegex(site.log(), 'reason="compromised since .*phished')
        self.release(site)
        self.assertEqual(self.ask(filter_, ELSEWHERE[0]), DUNNO)
        self.assertEqual(self.ask(filter_), STOPPED)

    def test_ttl(self):
        site = self.site({"accounts.ttl": "1h"}, listed=[LISTED])
        filter_ = self.filter(site)
        self.assertEqual(self.ask(filter_), STOPPED)
        site.make_older(HOUR - 60)
        self.assertEqual(self.ask(filter_, ELSEWHERE[0]), STOPPED)
        site.make_older(120)
        self.assertEqual(self.ask(filter_, ELSEWHERE[0]), DUNNO)
        self.assertEqual(self.ask(filter_), STOPPED)  # detected anew
        self.assertEqual(self.ask(filter_, ELSEWHERE[0]), STOPPED)
        self.assertEqual(len(site.log_lines(" compromised: ")), 2)

    def test_without_ttl_it_is_for_ever(self):
        site = self.site(listed=[LISTED])
        filter_ = self.filter(site)
        self.assertEqual(self.ask(filter_), STOPPED)
        site.make_older(3000 * DAY)
        self.assertEqual(self.ask(filter_, ELSEWHERE[0]), STOPPED)

    def test_actions(self):
        for action, reply, kind in (
                (None, DUNNO, "would"), ("log", DUNNO, "would"), ("hold", b"action=hold", "hold"),
                ("reject", b"action=reject", "reject"),
                ("DEFER_IF_PERMIT 4.7.1 Later", b"action=DEFER_IF_PERMIT 4.7.1 Later", "defer"),
                ("REDIRECT abuse@example.org", b"action=REDIRECT abuse@example.org", "redirect"),
                ("554 5.7.1 $sasl_username, $client_address", b"action=554 5.7.1 user@example.org, "
                 b"8.8.4.4", "reject")):
            with self.subTest(action):
                site = self.site({"accounts.action": action}, listed=[LISTED])
                filter_ = self.filter(site)
                for check in ("authbl", "accounts"):  # found, and known
                    found = self.ask(filter_)
                    self.assertTrue(found.startswith(reply), found)
                    self.assertTrue(site.log_lines(f" {kind}.*: check={check} "), site.log())
                self.assertEqual(site.accounts(), [USER])
                self.assertEqual(len(site.log_lines(" compromised: ")), 1)

    def test_hold_and_log_through_postfix(self):
        for action in ("hold", "log"):
            with self.subTest(action):
                site = self.site({"accounts.action": action}, listed=[LISTED])
                mail = self.serve(site)
                for _ in range(2):
                    self.assertEqual(self.submit(mail).recipients, [ACCEPTED])
                mail.stop(self)  # then all of its log is there
                held = re.findall(": hold: RCPT from ", mail.log())
                self.assertEqual(len(held), 2 if action == "hold" else 0)

    def test_dry_run(self):
        command = Command()
        site = self.site({"filter.dry_run": "yes", "accounts.command": command.path},
                         listed=[LISTED])
        filter_ = self.filter(site)
        for _ in range(2):
            self.assertEqual(self.ask(filter_), DUNNO)
        self.assertEqual(len(site.log_lines(" would .*: check=authbl ")), 2)
        self.assertEqual(site.log_lines(" compromised: "), [])
        self.assertEqual(site.accounts(), [])
        self.assertEqual((supervisors(), command.runs()), ([], []))
        self.assertEqual(site.abictl("accounts", "add", USER).returncode, OK)
        self.assertEqual(self.ask(filter_, ELSEWHERE[0]), DUNNO)
        self.assertEqual(len(site.log_lines(" would .*: check=accounts ")), 1)

    def test_users_of_odd_names(self):
        names = ["' OR 1=1 --", "josé@example.org", "%s%n", "$(id)", "x" * 5000, "a b", "-",
                 b"\xff\xfe@example.org", "a\tb", "user=\"x\" action=\"OK\""]
        site = self.site(listed=[LISTED])
        filter_ = self.filter(site)
        for name in names:
            with self.subTest(name):
                self.assertEqual(self.ask(filter_, user=name), STOPPED)
                self.assertEqual(self.ask(filter_, ELSEWHERE[0], user=name), STOPPED)
        self.assertEqual(len(site.accounts()), len(names))
        self.assertEqual(self.ask(filter_, ELSEWHERE[0]), DUNNO)
        for line in site.log().split("\n"):
            self.assertTrue(line.isprintable(), line)


class Marks(AccountTest):
    """geocount.mark: who is over its limits is put on the list as well."""

    HOME = {"GB": "81.2.69.142", "SE": "89.160.20.112", "US": "216.160.83.56"}

    def geo_site(self, options=()):
        places = os.path.join(testenv.new_directory("places"), "places.mmdb")
        mmdb.write(places, {f"{address}/32": code for code, address in self.HOME.items()})
        return self.site({"geocount.database": places, "geocount.countries": "1",
                          "geocount.rate": "0", "geocount.mark": "yes", **dict(options)})

    def test_over_a_limit(self):
        command = Command()
        site = self.geo_site({"accounts.command": command.path})
        mail = self.serve(site)
        home, away, third = self.HOME.values()
        self.assertEqual(self.submit(mail, home).recipients, [ACCEPTED])
        self.assertRegex(self.submit(mail, away).recipients[0], "was compromised")
        self.assertEqual(site.accounts(), [USER])
        for address in (home, third, "10.1.2.3"):
            self.assertEqual(self.submit(mail, address).recipients, [self.refusal(address)])
        self.wait_for_end(site)
        self.assertEqual([run[b"check"] for run in command.runs()], [b"geocount"])
        self.assertEqual(len(site.log_lines(" compromised: check=geocount ")), 1)
        self.assertTrue(site.log_lines("reject: check=accounts .*found by geocount: countries 2"))

    def test_when_it_cannot_be_put_there(self):
        home, away, third = self.HOME.values()
        for rate, reply in (("0", b"was compromised"), ("1/1h", b"DUNNO")):
            with self.subTest(rate=rate):
                site = self.geo_site({"geocount.rate": rate})
                filter_ = self.filter(site)
                self.assertEqual(self.ask(filter_, home), DUNNO)
                site.query("CREATE TRIGGER full BEFORE INSERT ON abichecker_accounts "
                           "BEGIN SELECT raise(ABORT, 'no room'); END")
                self.assertRegex(self.ask(filter_, away), reply)
                # That row cannot be written; the others count, and nothing rests.
                self.assertIn(b"was compromised", self.ask(filter_, third))
                self.assertEqual(len(site.log_lines("not added to the list: .*no room")), 2)
                self.assertEqual(site.log_lines("store rests"), [])

    def test_without_mark(self):
        site = self.geo_site({"geocount.mark": None})
        filter_ = self.filter(site)
        home, away, _ = self.HOME.values()
        self.ask(filter_, home)
        self.assertRegex(self.ask(filter_, away), b"was compromised")
        self.assertEqual(site.accounts(), [])

    def test_after_a_release_only_later_logins_count(self):
        site = self.geo_site()
        filter_ = self.filter(site)
        home, away, third = self.HOME.values()
        self.assertEqual(self.ask(filter_, home), DUNNO)
        self.assertRegex(self.ask(filter_, away), b"was compromised")
        self.assertEqual(self.ask(filter_, home), STOPPED)
        self.assertEqual(site.abictl("accounts", "release", USER).returncode, OK)
        # So that not all is in the same second.
        site.query("UPDATE postfwd_logins SET last_login = datetime(last_login, '-10 seconds')")
        site.make_older(5, "released")
        self.assertEqual(self.ask(filter_, home), DUNNO)
        self.assertRegex(self.ask(filter_, third), b"was compromised")
        self.assertEqual(site.accounts(), [USER])

    def test_two_checks_find_it_at_once(self):
        """One by the zone, the other one by countries, over and over: one row, one command."""
        home, away, _ = self.HOME.values()
        command = Command()
        site = self.geo_site({"accounts.command": command.path, "filter.checks": "geocount"})
        geocount = self.filter(site)
        users = [f"user{number}@example.org" for number in range(20)]
        for user in users:
            self.assertEqual(self.ask(geocount, home, user), DUNNO)
        site.list_address(LISTED)
        with contextlib.ExitStack() as stack:
            authbl = stack.enter_context(Filter(site, "-o", "filter.checks=authbl"))
            for user in users:
                authbl.send(login_request(LISTED, user))
                geocount.send(login_request(away, user))
                self.assertEqual(authbl.receive(), STOPPED)
                self.assertRegex(geocount.receive(), b"was compromised")
        wait_until(lambda: len(command.runs()) >= len(users), "all commands")
        wait_until(lambda: not supervisors(), "the end of the commands")
        self.assertEqual(sorted(run[b"sasl_username"].decode() for run in command.runs()),
                         sorted(users))
        self.assertEqual(len(site.log_lines(" compromised: ")), len(users))
        self.assertEqual(site.accounts(), sorted(users))
        found = {run[b"check"] for run in command.runs()}
        self.assertLessEqual(found, {b"authbl", b"geocount"})

    def test_one_request_that_two_checks_find(self):
        command = Command()
        site = self.geo_site({"accounts.action": "log", "accounts.command": command.path,
                              "geocount.action": "log"})
        home, away, _ = self.HOME.values()
        filter_ = self.filter(site)
        self.assertEqual(self.ask(filter_, home), DUNNO)
        site.list_address(away)
        self.assertEqual(self.ask(filter_, away), DUNNO)
        self.wait_for_end(site)
        self.assertEqual([run[b"check"] for run in command.runs()], [b"authbl"])
        self.assertEqual(len(site.log_lines(" compromised: ")), 1)


class Secret(AccountTest):
    """The key is nowhere but in its file and in the questions."""

    def setUp(self):
        super().setUp()
        self.command = Command("printf '%s\\n' \"$reason\"\nwhile [ ! -e $D/go ]; do sleep 0.05; "
                               "done")
        self.other_key = "abcdefghijklmnopqrstuvwxyz"
        self.main_site = self.site({
            "log.level": "debug", "accounts.command": self.command.path, "authbl.timeout": "1s",
            "accounts.action": "554 5.7.1 $reason",
            "authbl.zones": "$apikey.authbl.mail.abusix.zone=127.0.0.4 "
                            f"{self.other_key}.authbl.dq.spamhaus.net=127.0.0.20"})
        self.addCleanup(testenv.write_file, self.command.file("go"), "")

    def assert_secret(self, text, where):
        if isinstance(text, bytes):
            text = text.decode(errors="replace")
        for key in (self.main_site.apikey, self.other_key):
            self.no_part_of(key, text, where)

    def processes(self):
        """Title, name and environment of all processes."""
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            for name in ("cmdline", "comm", "environ"):
                with contextlib.suppress(OSError), open(f"/proc/{pid}/{name}", "rb") as file:
                    if int(pid) != os.getpid():
                        found.append(file.read())
        return b"\n".join(found)

    def test_of_a_hit(self):
        site = self.main_site
        for zone in (site.zone, f"{self.other_key}.authbl.dq.spamhaus.net"):
            self.dns.answers[f"{item_of(LISTED)}.{zone}"] = a("127.0.0.4", "127.0.0.20")
        mail = self.serve(site)
        reply, = self.submit(mail).recipients
        self.assertIn("8.8.4.4 is listed on ", reply)
        wait_until(self.command.runs, "the command")
        processes = self.processes()
        self.assertIn(b"run-command", processes)  # it is there to be looked at
        self.assertIn(self.command.path.encode(), processes)
        self.assert_secret(processes, "processes")
        testenv.write_file(self.command.file("go"), "")
        self.wait_for_end(site)
        self.submit(mail, ELSEWHERE[0])
        self.assert_secret(reply, "reply")
        self.assert_secret(mail.log(), "Postfix's log")
        self.assert_secret(str(self.command.runs()), "environment")
        self.assert_elsewhere(site)

    def test_of_trouble(self):
        site = self.main_site
        spamhaus = f"*.{self.other_key}.authbl.dq.spamhaus.net"
        filter_ = self.filter(site)
        for number, answer in enumerate((
                rcode(dnsstub.REFUSED), rcode(dnsstub.SERVFAIL), a("127.255.255.254"),
                cname("127.9.9.9"), dnsstub.name_loop, dnsstub.cut(-2), silence)):
            self.dns.answers[f"*.{site.zone}"] = self.dns.answers[spamhaus] = answer
            self.dns.answers[f"*.{site.recipient_zone}"] = answer
            self.assertEqual(self.ask(filter_, f"8.8.8.{number}"), DUNNO)
            site.end_rest()
        self.assertGreaterEqual(len(site.log_lines(" warning: authbl: ")), 14)
        self.assertTrue(site.log_lines(r"authbl: authbl\.mail\.abusix\.zone: REFUSED"))
        self.assertTrue(site.log_lines(r"authbl: \.\.\.\.authbl\.dq\.spamhaus\.net: REFUSED"))
        self.assertTrue(site.log_lines(r"authbl: authbl-rcpt\.mail\.abusix\.zone: SERVFAIL"))
        self.ask(filter_, LISTED)
        self.assertNotEqual(site.resting_zones(), [])
        self.assert_elsewhere(site)

    def assert_elsewhere(self, site):
        self.assert_secret(site.log(), "log")
        for directory in (site.cache, os.path.dirname(site.store)):
            for name in os.listdir(directory):
                self.assert_secret(name, directory)
                if not os.path.isfile(os.path.join(directory, name)):
                    continue
                with open(os.path.join(directory, name), "rb") as file:
                    self.assert_secret(file.read(), name)
        for command in (("config",), ("selftest",), ("accounts", "list"), ("store", "status"),
                        ("check", f"client_address={LISTED}", f"sasl_username={USER}",
                         "recipient=a@example.com")):
            for arguments in (command, ("--json", *command)):
                done = site.abictl(*arguments)
                self.assert_secret(done.stdout + done.stderr, arguments)

    def test_config(self):
        site = self.main_site
        done = site.abictl("config")
        self.assertEqual((done.returncode, done.stderr), (OK, ""))
        self.assertRegex(done.stdout, r"# apikey = \(hidden, \d+ characters\)")
        self.assert_secret(done.stdout, "config")
        done = subprocess.run(
            [testenv.program("abichecker"), "-c", site.conf, "-o", f"authbl.apikey={'k' * 32}"],
            **site.as_filter_user(), input=login_request(), capture_output=True,
            timeout=testenv.PATIENCE)
        self.assertEqual(done.stdout, DUNNO)  # a key has no place in a process title
        self.assertEqual(self.dns.names(), [])
        self.assertIn("authbl.apikey", site.log() + done.stderr.decode())


class Commands(AccountTest):
    """The command: once, as it should, and nobody waits for it."""

    # So that fifty processes can ask at the same moment on a machine with other work as well, and
    # none finds the store locked for too long.
    TIME_TO_MEET = {"authbl.timeout": "60s", "filter.deadline": "90s", "store.timeout": "60s"}

    def command_site(self, command, options=()):
        path = command.path if isinstance(command, Command) else command
        return self.site({"accounts.command": path, **dict(options)}, listed=[LISTED])

    def detect(self, site, pattern=" command: "):
        """Has the account detected, by a filter that spawn(8) then ends; returns the log's lines
        about the command when it has ended."""
        with Filter(site) as filter_:
            self.assert_quick(STOPPED, filter_)
            self.assert_quick(STOPPED, filter_, ELSEWHERE[0])
            self.assert_quick(DUNNO, filter_, ELSEWHERE[0], "other@example.org")
            with contextlib.suppress(ProcessLookupError):
                os.killpg(filter_.process.pid, signal.SIGKILL)
        return self.wait_for_end(site, pattern)

    def test_environment(self):
        command = Command()
        values = {"sender": "$(id)`id`;id|id@example.net", "helo_name": "~!id",
                  "recipient": b"jos\xe9 \xff@example.org", "ccert_subject": "\"'\\ \t\x01\x7f",
                  "reverse_client_name": "%s%n%999999d", "ccert_issuer": "-f/etc/passwd",
                  "policy_context": "x" * 5000, "tls_sni": "../../etc/passwd"}
        extra = {name: "/tmp/evil" for name in (
            "LD_PRELOAD", "LD_LIBRARY_PATH", "LD_AUDIT", "BASH_ENV", "ENV", "PATH", "IFS", "PS4",
            "SHELLOPTS", "BASH_FUNC_cat%%", "PERL5LIB", "PYTHONPATH", "HOME", "TMPDIR",
            "GCONV_PATH", "TZ", "LC_ALL", "reason", "check", "unknown_attribute")}
        site = self.command_site(command)
        filter_ = self.filter(site)
        filter_.send(login_request(**values, **extra))
        self.assertEqual(filter_.receive(), STOPPED)
        line, = self.wait_for_end(site)
        self.assertRegex(line, rf" command: user=<{USER}> {command.path}: exited with status 0 "
                         r"after \d+\.\d s$")
        environment, = command.runs()
        expected = {name.encode(): (value if isinstance(value, bytes) else value.encode())
                    for name, value in {**ATTRIBUTES, **values, "client_address": LISTED,
                                        "sasl_method": "PLAIN", "sasl_username": USER}.items()}
        instance = environment.pop(b"instance")
        self.assertRegex(instance, rb"\A[0-9a-f]+\.0\Z")
        del expected[b"instance"]
        expected.update({b"PATH": FIXED_PATH, b"check": b"authbl",
                         b"reason": b"8.8.4.4 is listed on authbl.mail.abusix.zone (127.0.0.4)"})
        self.assertEqual(environment, expected)

    def test_environment_of_a_few_attributes(self):
        """Those that Postfix did not send are there, and empty."""
        command = Command()
        site = self.command_site(command)
        filter_ = self.filter(site)
        filter_.send(b"request=smtpd_access_policy\nclient_address=8.8.4.4\nsasl_username=u\n\n")
        self.assertEqual(filter_.receive(), STOPPED)
        self.wait_for_end(site)
        environment, = command.runs()
        self.assertEqual(set(environment), {name.encode() for name in ATTRIBUTES} |
                         {b"PATH", b"reason", b"check"})
        self.assertEqual({name for name, value in environment.items() if value},
                         {b"request", b"client_address", b"sasl_username", b"PATH", b"reason",
                          b"check"})

    def test_a_shell_that_reads_bash_env(self):
        """It would run what the client named; and PATH would find the client's programs."""
        evil = testenv.new_directory("evil", FILTER_USER)
        touch = f"#!/bin/sh\n/bin/touch {evil}/was-here\n"
        for name in ("cat", "id"):
            testenv.write_file(f"{evil}/{name}", touch, 0o755)
        command = Command("id >/dev/null; echo done", interpreter="/bin/bash")
        site = self.command_site(command)
        filter_ = self.filter(site)
        filter_.send(login_request(BASH_ENV=f"{evil}/id", PATH=evil, LD_PRELOAD=f"{evil}/x.so"))
        self.assertEqual(filter_.receive(), STOPPED)
        lines = self.wait_for_end(site)
        self.assertEqual(len(lines), 2)  # no word of ld.so about LD_PRELOAD
        self.assertIn(": done", lines[0])
        self.assertFalse(os.path.exists(f"{evil}/was-here"))

    def test_descriptors_session_and_arguments(self):
        command = Command("echo \"arguments: $#\"; ls -l /proc/$$/fd; cat /proc/$$/stat; id -u")
        site = self.command_site(command)
        with Filter(site) as filter_:
            self.assert_quick(STOPPED, filter_)
            lines = [line.split(f"{command.path}: ", 1)[1] for line in self.wait_for_end(site)]
            session = os.getsid(filter_.process.pid)
        self.assertEqual(lines[0], "arguments: 0")
        open_files = dict(re.findall(r" (\d+) -> (\S+)", "\n".join(lines)))
        self.assertEqual(open_files.pop("0"), "/dev/null")
        self.assertRegex(open_files.pop("1"), r"\Apipe:")
        self.assertRegex(open_files.pop("2"), r"\Apipe:")
        self.assertEqual(list(open_files.values()), [command.path])  # the shell reads it
        stat, = [line for line in lines if "(command)" in line]
        self.assertNotEqual(int(stat.rsplit(")", 1)[1].split()[3]), session)
        self.assertEqual(lines[-2], str(FILTER_USER.pw_uid))

    def test_environment_through_postfix(self):
        command = Command()
        site = self.command_site(command)
        mail = self.serve(site)
        self.assertEqual(self.submit(mail).recipients,
                         [self.refusal(LISTED)])
        self.wait_for_end(site)
        environment, = command.runs()
        self.assertEqual(set(environment), {name.encode() for name in ATTRIBUTES} |
                         {b"PATH", b"reason", b"check"})
        for name, value in (("request", "smtpd_access_policy"), ("protocol_state", "RCPT"),
                            ("client_address", LISTED), ("client_name", "client.example.net"),
                            ("helo_name", "client.example.net"), ("sasl_username", USER),
                            ("sender", "sender@example.net"), ("recipient", "friend@example.com"),
                            ("check", "authbl"), ("queue_id", "")):
            self.assertEqual(environment[name.encode()], value.encode(), name)

    def test_it_completes_although_everybody_leaves(self):
        command = Command("while [ ! -e $D/go ]; do sleep 0.05; done\n: >$D/done")
        site = self.command_site(command)
        with Filter(site) as filter_:
            filter_.send(login_request(LD_PRELOAD="/tmp/evil", PATH="/tmp/evil"))
            self.assertEqual(filter_.receive(), STOPPED)
            wait_until(command.runs, "the command")
            os.killpg(filter_.process.pid, signal.SIGKILL)
        # Nothing of the client's reaches abictl as a name either.
        supervisor, = supervisors()
        with open(f"/proc/{supervisor}/environ", "rb") as file:
            self.assertEqual({item.partition(b"=")[0] for item in file.read().split(b"\0")[:-1]},
                             set(command.runs()[0]))
        self.assertEqual(site.log_lines(" command: "), [])
        testenv.write_file(command.file("go"), "")
        self.wait_for_end(site)
        self.assertTrue(os.path.exists(command.file("done")))

    def test_fifty_detections_at_once_through_postfix(self):
        """Each client leaves at once, without a word."""
        command = Command("sleep 0.3; : >$D/done")
        site = self.command_site(command, self.TIME_TO_MEET)
        site.list_address(LISTED, dnsstub.together(50, a(HIT)))
        mail = self.serve(site)
        ready = threading.Barrier(50, timeout=testenv.PATIENCE)

        def detect(number):
            with contextlib.closing(mail.session(LISTED, port=mail.submission,
                                                 login=USER)._smtp) as smtp:
                smtp.docmd("MAIL FROM:<sender@example.net>")
                ready.wait()
                return smtp.docmd(f"RCPT TO:<user{number}@example.com>")[0]
        with concurrent.futures.ThreadPoolExecutor(50) as pool:
            codes = list(pool.map(detect, range(50)))
        self.assertEqual(codes, [554] * 50)
        self.assertGreaterEqual(self.dns.count(site.name_of(LISTED)), 50)
        lines = self.wait_for_end(site)
        self.assertEqual((len(lines), len(command.runs())), (1, 1), lines)
        self.assertTrue(os.path.exists(command.file("done")))
        self.assertEqual(len(site.log_lines(" compromised: ")), 1)
        self.assertEqual(site.accounts(), [USER])

    def test_fifty_filters_that_are_killed(self):
        for action in ("reject", "log"):
            with self.subTest(action):
                command = Command(": >$D/done")
                site = self.command_site(command, {"accounts.action": action,
                                                   **self.TIME_TO_MEET})
                site.list_address(LISTED, dnsstub.together(50, a(HIT)))
                with contextlib.ExitStack() as stack:
                    filters = [stack.enter_context(Filter(site)) for _ in range(50)]
                    for filter_ in filters:
                        filter_.send(login_request())
                    for filter_ in filters:
                        self.assertRegex(filter_.receive(), b"action=(reject|DUNNO)")
                        os.killpg(filter_.process.pid, signal.SIGKILL)
                self.assertEqual(len(self.wait_for_end(site)), 1)
                self.assertEqual(len(command.runs()), 1)
                self.assertTrue(os.path.exists(command.file("done")))
                self.assertEqual(len(site.log_lines(" compromised: ")), 1)

    def test_again_after_a_release(self):
        command = Command()
        site = self.command_site(command, {"accounts.grace": "0"})
        filter_ = self.filter(site)
        for number in (1, 2):
            for _ in range(3):
                self.assertEqual(self.ask(filter_), STOPPED)
            wait_until(lambda: len(site.log_lines(" command: ")) == number, "the command")
            wait_until(lambda: not supervisors(), "its end")
            self.assertEqual(len(command.runs()), number)
            self.assertEqual(site.abictl("accounts", "release", USER).returncode, OK)

    def test_many_detections_at_once_of_one_whose_time_was_over(self):
        command = Command()
        site = self.command_site(command, {"accounts.ttl": "1h", **self.TIME_TO_MEET})
        for number in (1, 2, 3):
            with contextlib.ExitStack() as stack:
                site.list_address(LISTED, dnsstub.together(20, a(HIT)))
                filters = [stack.enter_context(Filter(site)) for _ in range(20)]
                for filter_ in filters:
                    filter_.send(login_request())
                for filter_ in filters:
                    self.assertEqual(filter_.receive(), STOPPED)
            wait_until(lambda: len(site.log_lines(" command: ")) >= number, "the command")
            wait_until(lambda: not supervisors(), "its end")
            self.assertEqual(len(command.runs()), number)
            self.assertEqual(len(site.log_lines(" compromised: ")), number)
            site.make_older(HOUR + 60)

    def test_one_that_cannot_be_started(self):
        directory = testenv.new_directory("command")
        garbage = testenv.write_file(f"{directory}/garbage", b"\x7fELF\0\0\0", 0o755)
        no_interpreter = testenv.write_file(f"{directory}/no", "#!/nonexistent/sh\n", 0o755)
        for path, why in ((f"{directory}/missing", "No such file or directory"),
                          (Command(mode=0o644).path, "Permission denied"),
                          (directory, "Permission denied"),
                          (f"{garbage}/x", "Not a directory"),
                          (garbage, "Exec format error"),
                          (no_interpreter, "No such file or directory")):
            with self.subTest(path):
                line, = self.detect(self.command_site(path))
                self.assertRegex(line, rf" warning: command: user=<{USER}> {path}: "
                                 rf"cannot start: {why}$")

    def test_ends_of_all_kinds(self):
        for body, end in (("exit 3", "exited with status 3 after 0"),
                          ("kill -9 $$", "killed by signal 9"),
                          ("kill -TERM $$; sleep 9", "killed by signal 15"),
                          ("kill -9 0", "killed by signal 9"),
                          ("kill -SEGV $$; sleep 9", "killed by signal 11")):
            with self.subTest(body):
                command = Command(body)
                site = self.command_site(command)
                line = self.detect(site)[-1]
                self.assertRegex(line, rf" warning: command: user=<{USER}> {command.path}: {end}")

    def test_one_that_hangs(self):
        for body in ("exec sleep 600", "trap '' TERM HUP INT; while :; do sleep 600; done",
                     "sleep 600 & sleep 600 & wait", "exec >&- 2>&-; exec sleep 600",
                     "kill -STOP $$"):
            with self.subTest(body):
                command = Command(f"echo $$ >$D/pid\n{body}")
                site = self.command_site(command, {"accounts.command_timeout": "1s"})
                line, = self.detect(site)
                self.assertIn("killed after 1s (accounts.command_timeout)", line)
                self.assertEqual(alive_in_group(testenv.read_file(command.file("pid"))), [])

    def test_one_that_stands_still_costs_nothing(self):
        site = self.command_site(Command("kill -STOP $$"), {"accounts.command_timeout": "2s"})
        self.assert_quick(STOPPED, self.filter(site))
        ticks = 0

        def is_over():
            nonlocal ticks
            for pid in supervisors():
                with contextlib.suppress(OSError):
                    stat = testenv.read_file(f"/proc/{pid}/stat").rsplit(")", 1)[1].split()
                    ticks = max(ticks, int(stat[11]) + int(stat[12]))
            return site.log_lines("killed after 2s") and not supervisors()
        wait_until(is_over, "the end of the command")
        self.assertLess(ticks / os.sysconf("SC_CLK_TCK"), 0.5)

    def test_one_that_leaves_a_process_behind(self):
        """It keeps the pipe; nobody waits for it for longer than the time limit."""
        command = Command("echo begin; echo $$ >$D/pid; sleep 600 & exit 0")
        site = self.command_site(command, {"accounts.command_timeout": "2s"})
        lines, seconds = duration(lambda: self.detect(site))
        self.assert_within(20, seconds)  # not the 600 of what it left
        self.assertIn(": begin", lines[0])
        self.assertIn("remaining processes killed after 2s", lines[1])
        self.assertIn("exited with status 0 after ", lines[2])
        wait_until(lambda: not alive_in_group(testenv.read_file(command.file("pid"))),
                   "the end of what it left")

    def test_one_that_leaves_a_session_behind(self):
        command = Command("setsid sleep 600 & echo $! >$D/pid; exit 0")
        site = self.command_site(command, {"accounts.command_timeout": "1s"})
        try:
            lines, seconds = duration(lambda: self.detect(site))
            self.assert_within(20, seconds)  # not the 600 of what it left
            self.assertIn("exited with status 0 after ", lines[-1])
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(testenv.read_file(command.file("pid"))), signal.SIGKILL)

    def test_one_that_writes_very_much(self):
        for body in ("yes | head -c 300000000",
                     "head -c 300000000 /dev/zero | tr '\\0' x",
                     "yes | head -c 300000000 >&2"):
            with self.subTest(body):
                command = Command(f"{body}; exit 5")
                site = self.command_site(command, {"accounts.command_timeout": "10m"})
                lines = self.detect(site)
                self.assertLessEqual(len(lines), 52)
                self.assertIn("exited with status 5 after ", lines[-1])
                self.assertLess(len(site.log()), 100000)

    def test_output(self):
        command = Command(
            "printf 'one\\ntwo on stderr\\n' >&2; printf '\\377\\000\\001\\033[31m\\n'\n"
            "printf 'action=OK\\n\\n'; printf 'half a'; printf ' line\\r\\n'\n"
            "echo '%s%n$(id)'\n"
            "head -c 5000 /dev/zero | tr '\\0' y; echo; printf 'without an end'")
        site = self.command_site(command)
        lines = self.detect(site)
        for line in lines:
            self.assertRegex(line, rf"\A\S+ abictl\[\d+\]: (\w+: )?command: user=<{USER}> "
                             rf"{command.path}: [ -~]*\Z")
            self.assertLess(len(line), 1100)
        texts = [line.split(f"{command.path}: ", 1)[1] for line in lines]
        for text in ("one", "two on stderr", "action=OK", "half a line", "%s%n$(id)",
                     "without an end"):
            self.assertIn(text, [found.rstrip("?") for found in texts])
        self.assertIn("exited with status 0", texts[-1])

    def test_many_lines(self):
        site = self.command_site(Command("i=0; while [ $i -lt 200 ]; do echo line $i; i=$((i+1)); "
                                         "done"))
        lines = self.detect(site)
        found = [line for line in lines if re.search(r": line \d+$", line)]
        self.assertEqual(len(found), 50)
        self.assertTrue(found[-1].endswith(": line 49"))
        self.assertIn("exited with status 0", lines[-1])

    def test_through_postfix(self):
        """Whatever it does, spawn(8) has nothing to wait for, and nothing to say."""
        for body in ("exec sleep 600", "sleep 600 & exit 1", "yes", "kill -9 0",
                     "echo action=OK; echo; echo action=OK >&2"):
            with self.subTest(body):
                site = self.command_site(Command(body), {"accounts.command_timeout": "1s"})
                mail = MailServer(site).start()
                try:
                    for address in (LISTED, ELSEWHERE[0]):
                        delivery = self.submit(mail, address)
                        self.assertEqual(delivery.recipients, [self.refusal(address)])
                        self.assert_within(FAST + LATE, delivery.seconds)
                    self.wait_for_end(site)
                finally:
                    mail.stop(self)

    def test_without_abictl(self):
        """The mail's answer is the same, and the log says it."""
        command = Command()
        site = self.command_site(command, {"filter.abictl": "/nonexistent/abictl"})
        self.assert_quick(STOPPED, self.filter(site))
        self.assertRegex(site.log(), r"(warning|error): .*/nonexistent/abictl")
        self.assertEqual(command.runs(), [])

    def test_by_hand(self):
        """Nothing of the environment it is started in but what a request may have."""
        command = Command("echo hello; exit 7")
        site = self.command_site(command)
        done = site.abictl("run-command", "--", USER, env={
            "LD_PRELOAD": "/nonexistent/x.so", "PATH": "/nonexistent", "HOME": "/", "IFS": "x",
            "sender": "a@example.com", "reason": "to see", "sasl_username": "other"})
        self.assertEqual(done.returncode, 75, done)
        self.assertEqual(command.runs(), [{
            b"PATH": FIXED_PATH, b"sender": b"a@example.com", b"reason": b"to see",
            b"sasl_username": b"other"}])
        self.assertRegex(site.log(), rf"command: user=<{USER}> {command.path}: hello\n.*"
                         "exited with status 7")

    def test_added_by_hand(self):
        """Nobody was detected: whoever adds an account knows it."""
        command = Command()
        site = self.command_site(command)
        self.assertEqual(site.abictl("accounts", "add", USER).returncode, OK)
        self.assert_quick(STOPPED, self.filter(site))
        wait_until(lambda: not supervisors(), "the end of abictl")
        self.assertEqual(command.runs(), [])


class Stores(AccountTest):
    """A store in any state: mail flows."""

    def assert_flows(self, site, wait=0):
        filter_ = self.filter(site)
        self.assert_quick(DUNNO, filter_, ELSEWHERE[0], seconds=wait + FAST)
        for _ in range(3):
            self.assert_quick(DUNNO, filter_, ELSEWHERE[0])
        self.assert_quick(DUNNO, self.filter(site), ELSEWHERE[1])
        self.assertRegex(site.log(), "store: .*; mail flows without it")
        self.assertTrue(site.log_lines(" error: check=accounts "), site.log())

    def prepare(self):
        site = self.site(listed=[LISTED])
        with Filter(site) as filter_:
            self.assertEqual(self.ask(filter_), STOPPED)
        return site

    def test_locked(self):
        site = self.prepare()
        site.configure(**{"store.timeout": "1s"})
        with site.sqlite() as other:
            other.execute("BEGIN EXCLUSIVE")
            filter_ = self.filter(site)
            self.assert_quick(STOPPED, filter_, user="other@example.org", seconds=1 + FAST)
            self.assertIn("is listed on authbl.mail.abusix.zone (127.0.0.4); not added to the list: ",
                          site.log())
            self.assert_quick(DUNNO, filter_, ELSEWHERE[0], "third@example.org")
            other.execute("ROLLBACK")
        site.end_rest()
        self.assert_quick(STOPPED, filter_, ELSEWHERE[0])

    def test_when_no_time_is_left_it_is_no_fault_of_the_zones(self):
        site = self.prepare()
        site.configure(**{"filter.deadline": "1s", "store.timeout": "2s"})
        with site.sqlite() as other:
            other.execute("BEGIN EXCLUSIVE")
            self.assert_quick(DUNNO, self.filter(site), ELSEWHERE[0], "other@example.org",
                              seconds=1 + FAST)
            other.execute("ROLLBACK")
        self.assertEqual(site.resting_zones(), [])

    def test_not_writable(self):
        site = self.prepare()
        directory = os.path.dirname(site.store)
        site.query("PRAGMA wal_checkpoint(TRUNCATE)")
        paths = [directory, *(os.path.join(directory, name) for name in os.listdir(directory))]
        for path in paths:
            os.chown(path, 0, 0)
            os.chmod(path, 0o755 if path == directory else 0o600)
        self.assert_flows(site)
        for path in paths:
            os.chown(path, FILTER_USER.pw_uid, FILTER_USER.pw_gid)
        site.end_rest()
        self.assert_quick(STOPPED, self.filter(site), ELSEWHERE[0])

    def test_without_its_directory(self):
        site = self.site(listed=[LISTED])
        os.rmdir(os.path.dirname(site.store))
        self.assert_flows(site)

    def test_not_a_database(self):
        site = self.site(listed=[LISTED])
        testenv.write_file(site.store, "no database\n" * 1000, owner=FILTER_USER)
        self.assert_flows(site)

    def test_through_postfix(self):
        site = self.site()
        testenv.write_file(site.store, "no database\n" * 1000, owner=FILTER_USER)
        mail = self.serve(site)
        for address in ELSEWHERE:
            self.assertEqual(self.submit(mail, address).recipients, [ACCEPTED])

    def test_a_hit_without_a_store(self):
        """Nothing can be remembered, so the command does not run either: it would do so for every
        message."""
        command = Command()
        site = self.site({"accounts.command": command.path}, listed=[LISTED])
        testenv.write_file(site.store, "no database\n" * 1000, owner=FILTER_USER)
        filter_ = self.filter(site)
        for _ in range(3):
            self.assertEqual(self.ask(filter_), STOPPED)
        wait_until(lambda: not supervisors(), "the end of abictl")
        self.assertEqual(command.runs(), [])

    def test_the_store_is_not_opened_for_others(self):
        site = self.site(listed=[LISTED])
        self.assertEqual(self.filter(site).ask(LISTED), DUNNO)
        self.assertEqual(os.listdir(os.path.dirname(site.store)), [])


class Abictl(AccountTest):
    """abictl accounts, selftest and check."""

    def run_abictl(self, site, *arguments, status=OK):
        done = site.abictl(*arguments)
        self.assertEqual(done.returncode, status, (arguments, done.stdout, done.stderr))
        if status == OK:
            self.assertEqual(done.stderr, "")
        return done.stdout

    def run_json(self, site, *arguments, status=OK):
        return json.loads(self.run_abictl(site, "--json", *arguments, status=status))

    def test_accounts(self):
        site = self.site(listed=[LISTED])
        start = int(time.time())
        self.assertEqual(self.run_json(site, "accounts", "list"), [])
        self.assertEqual(self.run_json(site, "accounts"), [])
        self.assertEqual(self.ask(self.filter(site)), STOPPED)
        self.run_abictl(site, "accounts", "add", "Other@Example.org", "phished, says he")
        text = self.run_abictl(site, "accounts", "list")
        self.assertEqual(len(text.splitlines()), 3, text)
        self.assertRegex(text, r"(?m)^user@example\.org +.*\bauthbl\b")
        self.assertRegex(text, r"(?m)^other@example\.org ")
        listed = {item["user"]: item for item in self.run_json(site, "accounts", "list")}
        self.assertEqual(set(listed), {USER, "other@example.org"})
        found = listed[USER]
        self.assertTrue(start <= found["since"] <= time.time(), found)
        self.assertIn("is listed on authbl.mail.abusix.zone (127.0.0.4)", found["reason"])
        self.assertEqual((found["check"], found["address"]), ("authbl", LISTED))
        self.assertIn("phished, says he", listed["other@example.org"]["reason"])

        text = self.run_abictl(site, "accounts", "show", USER.upper())
        for part in (USER, LISTED, "authbl", "is listed on"):
            self.assertIn(part, text)
        shown = self.run_json(site, "accounts", "show", USER)
        self.assertEqual({key: shown[key] for key in ("user", "since", "check", "address")},
                         {key: found[key] for key in ("user", "since", "check", "address")})

        self.run_abictl(site, "accounts", "release", "OTHER@example.org")
        self.assertEqual([item["user"] for item in self.run_json(site, "accounts", "list")], [USER])

    def test_exit_status(self):
        site = self.site()
        for arguments, status in (
                (("show", "nobody@example.org"), FAILED),
                (("release", "nobody@example.org"), FAILED),
                (("show",), USAGE), (("release",), USAGE), (("add",), USAGE), (("",), USAGE),
                (("frget", USER), USAGE), (("list", USER), USAGE),
                (("show", USER, USER), USAGE)):
            with self.subTest(arguments):
                done = site.abictl("accounts", *arguments)
                self.assertEqual(done.returncode, status, done)
                self.assertEqual(done.stdout, "")
                self.assertNotEqual(done.stderr, "")
        self.run_abictl(site, "accounts", "add", USER)
        self.run_abictl(site, "accounts", "release", USER)
        self.run_abictl(site, "accounts", "release", USER, status=FAILED)

    def test_accounts_without_a_store(self):
        site = self.site()
        testenv.write_file(site.store, "no database\n" * 1000, owner=FILTER_USER)
        for arguments in (("list",), ("show", USER), ("add", USER), ("release", USER)):
            with self.subTest(arguments):
                done = site.abictl("accounts", *arguments)
                self.assertNotIn(done.returncode, (OK, USAGE))
                self.assertIn("file is not a database", done.stderr)

    def test_added_and_released_at_once_seen_by_a_running_filter(self):
        site = self.site()
        filter_ = self.filter(site)
        self.assertEqual(self.ask(filter_), DUNNO)
        self.run_abictl(site, "accounts", "add", USER)
        self.assertEqual(self.ask(filter_), STOPPED)
        self.run_abictl(site, "accounts", "release", USER)
        self.assertEqual(self.ask(filter_), DUNNO)

    def test_whom_it_stops_is_told(self):
        for options, why in (
                ({}, None), ({"accounts.action": "hold"}, None),
                ({"accounts.action": "log"}, "accounts.action is log"),
                ({"accounts.action": None}, "accounts.action is log"),
                ({"filter.checks": "whitelist,reputation"}, "accounts is not in filter.checks"),
                ({"filter.checks": "reputation, accounts"}, None),
                ({"filter.dry_run": "yes"}, "filter.dry_run is on")):
            site = self.site(options)
            told = f"abictl: warning: this blocks nobody: {why}\n" if why else ""
            done = site.abictl("accounts", "add", USER)
            self.assertEqual((done.returncode, done.stdout, done.stderr), (OK, "", told), options)
            done = site.abictl("accounts", "add", USER)
            self.assertEqual(done.stderr, f"abictl: {USER}: already on the list\n{told}")

    def test_odd_names_and_notes(self):
        site = self.site()
        for name in ("' OR 1=1 --", "josé@example.org", "x" * 5000, "$(id)", "a\x1b[31mb"):
            self.run_abictl(site, "accounts", "add", name, "\x1b[31m\n" + "n" * 5000)
            self.assertIsInstance(self.run_json(site, "accounts", "show", name), dict)
            for line in self.run_abictl(site, "accounts", "list").split("\n"):
                self.assertTrue(line.isprintable(), line)
            self.run_abictl(site, "accounts", "release", name)

    # selftest

    def selftest(self, site):
        """{subject: (result, text)} of the zones; also looks at the exit status."""
        done = site.abictl("--json", "selftest")
        items = json.loads(done.stdout)
        failed = any(item["result"] == "FAIL" for item in items)
        self.assertEqual(done.returncode, FAILED if failed else OK, done)
        zones = {item["subject"]: (item["result"], item["text"]) for item in items
                 if item["subject"].startswith("zone")}
        text = site.abictl("selftest").stdout
        for subject, (result, _) in zones.items():
            self.assertRegex(text, rf"(?m)^{result} +{re.escape(subject)}: ")
        return zones

    def good_zone(self, site):
        for item in ("2.0.0.127", item_of("::ffff:7f00:2")):
            self.dns.answers[f"{item}.{site.zone}"] = a(HIT)

    ZONE = "zone authbl.mail.abusix.zone"

    def test_selftest_of_a_good_zone(self):
        site = self.site()
        self.good_zone(site)
        self.assertEqual(self.selftest(site)[self.ZONE][0], "ok")
        self.assertGreater(self.dns.count(f"1.0.0.127.{site.zone}"), 0)

    def test_selftest_of_other_zones(self):
        for name, answer, result, text in (
                ("without a test point", nxdomain, "warn", "127.0.0.2"),
                ("no data", dnsstub.no_data, "FAIL", "instead of NXDOMAIN"),
                ("with another code", a(OTHER), "(warn|FAIL)", r"127\.0\.0\.3"),
                ("bad key", rcode(dnsstub.REFUSED), "FAIL", "REFUSED"),
                ("SERVFAIL", rcode(dnsstub.SERVFAIL), "FAIL", "SERVFAIL"),
                ("public resolver", a("127.255.255.254"), "FAIL", r"127\.255\.255\.254"),
                ("dead", silence, "FAIL", "no answer")):
            with self.subTest(name):
                site = self.site({"authbl.timeout": "1s"})
                self.dns.answers[f"*.{site.zone}"] = answer
                found = self.selftest(site)[self.ZONE]
                self.assertRegex(found[0], rf"\A{result}\Z")
                self.assertRegex(found[1], text)

    def test_selftest_of_a_zone_that_lists_everybody(self):
        """It rests for a day for all filters, or until it is found to be well."""
        site = self.site({"authbl.recipient_zones": ""})
        self.dns.answers[f"*.{site.zone}"] = a(HIT)
        result, text = self.selftest(site)[self.ZONE]
        self.assertEqual(result, "FAIL")
        self.assertIn("127.0.0.1", text)
        marker, = site.resting_zones()
        left, _ = site.rest(marker.removeprefix(".rest-"))
        self.assertTrue(DAY - 60 < left <= DAY + 1, left)
        self.dns.forget()
        filter_ = self.filter(site)
        self.assert_quick(DUNNO, filter_)
        self.assertEqual(self.dns.count(), 0)
        self.dns.answers.clear()
        self.good_zone(site)
        self.assertEqual(self.selftest(site)[self.ZONE][0], "ok")
        self.assertEqual(site.resting_zones(), [])
        site.list_address()
        self.assert_quick(STOPPED, self.filter(site))

    def test_that_nobody_is_always_listed_is_no_fault(self):
        """Nothing is judged by 127.0.0.2, so whatever is said of it is a hint."""
        for name, answer, text in (("SERVFAIL", rcode(dnsstub.SERVFAIL), "SERVFAIL"),
                                   ("silence", silence, "no answer"),
                                   ("error code", a("127.255.255.254"), r"127\.255\.255\.254")):
            with self.subTest(name):
                site = self.site({"authbl.timeout": "1s"})
                self.dns.answers[f"2.0.0.127.{site.zone}"] = answer
                found = self.selftest(site)[self.ZONE]
                self.assertEqual(found[0], "warn")
                self.assertRegex(found[1], f"127\\.0\\.0\\.2.*{text}")

    def test_selftest_where_only_ipv6_is_not_to_be_trusted(self):
        site = self.site()
        self.dns.answers[f"{item_of('::ffff:7f00:1')}.{site.zone}"] = dnsstub.no_data
        done = site.abictl("selftest")
        self.assertRegex(done.stdout, rf"(?m)^warn +{self.ZONE}: ::FFFF:7F00:1: not NXDOMAIN, so "
                         "hits on IPv6 clients are ignored")

    def test_selftest_of_recipient_zones(self):
        subject = "zone authbl-rcpt.mail.abusix.zone"
        for answer, result, text in ((nxdomain, "ok", "answers"), (a(HIT), "FAIL", "is listed"),
                                     (dnsstub.no_data, "FAIL", "instead of NXDOMAIN"),
                                     (rcode(dnsstub.REFUSED), "FAIL", "REFUSED")):
            site = self.site()
            self.dns.answers[f"*.{site.recipient_zone}"] = answer
            found = self.selftest(site)[subject]
            self.assertEqual(found[0], result)
            self.assertIn(text, found[1])
            names = [name for name in self.dns.names() if name.endswith(site.recipient_zone)]
            self.assertEqual(len(set(names)), 2)  # another one each time

    def test_selftest_without_a_key(self):
        site = self.site({"authbl.apikey": None})
        for result, _ in self.selftest(site).values():
            self.assertIn(result, ("skip", "warn"))
        self.assertEqual(self.dns.names(), [])

    # check

    def check(self, site, *arguments, status=OK):
        return self.run_abictl(site, "check", f"client_address={LISTED}", f"sasl_username={USER}",
                               "recipient=friend@example.com", *arguments, status=status)

    def test_check(self):
        command = Command()
        site = self.site({"accounts.command": command.path})
        self.assertRegex(self.check(site), "(?m)^answer: action=DUNNO")
        self.assertEqual(set(self.dns.names()), {site.name_of(LISTED),
                                                 site.name_of_recipient("friend@example.com")})
        site.list_address()
        text = self.check(site)
        self.assertIn("8.8.4.4 is listed on authbl.mail.abusix.zone (127.0.0.4)", text)
        self.assertRegex(text, r"(?m)^answer: action=554 5\.7\.1 Stopped")
        self.assertEqual((site.accounts(), site.log()), ([], ""))
        self.assertEqual(os.listdir(os.path.dirname(site.store)), [])
        self.assertEqual(os.listdir(site.cache), [])
        text = self.check(site, "--live")
        self.assertRegex(text, r"(?m)^answer: action=554 5\.7\.1 Stopped")
        self.assertEqual(site.accounts(), [USER])
        self.dns.forget()
        self.assertRegex(self.check(site), "compromised since .*, found by authbl: ")
        self.assertEqual(self.dns.names(), [])

    def test_check_of_a_dead_zone_is_no_rest_for_others(self):
        site = self.site({"authbl.timeout": "1s"})
        self.dns.default = silence
        self.assertRegex(self.check(site), "no answer")
        self.assertEqual((os.listdir(site.cache), site.log()), ([], ""))

    def test_check_adds_nothing_to_a_store_that_is_there(self):
        site = self.site(listed=[LISTED])
        self.assertEqual(self.ask(self.filter(site), user="other@example.org"), STOPPED)
        log = site.log()
        self.assertRegex(self.check(site), r"(?m)^answer: action=554 5\.7\.1 Stopped")
        self.assertEqual((site.accounts(), site.log()), (["other@example.org"], log))


def setUpModule():
    if os.getuid() != 0:
        raise unittest.SkipTest("only root can start filters as another user")


if __name__ == "__main__":
    unittest.main()
