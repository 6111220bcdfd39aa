#!/usr/bin/python3
"""DNS lists that are slow, or answer with what belongs to others: nobody is stopped for that, and
nobody gets away. The lists are played by a stub.

    python3 tests/e2e_zones.py [-v] [Class.test ...]
"""
import os
import sys
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))

import dnsstub  # noqa: E402
import testenv  # noqa: E402
from dnsstub import DnsStub, a, aliases, first, nxdomain, silence, slow  # noqa: E402
from filter import DUNNO, duration  # noqa: E402
from testenv import FILTER_USER  # noqa: E402

import e2e_accounts  # noqa: E402
from e2e_accounts import (  # noqa: E402
    ELSEWHERE, HIT, LATE, LISTED, OTHER, STOPPED, USER, WITH_RESOLV_CONF, AccountSite,
    AccountTest, item_of)

A, CNAME = dnsstub.A, dnsstub.CNAME


def wire(name):
    return dnsstub.encode_name(name)


def address(name, value=HIT):
    return wire(name), A, bytes(map(int, value.split(".")))


def alias(name, other):
    return wire(name), CNAME, wire(other)


class Owners(AccountTest):
    """Only records of the name that was asked for count, and of those that it is an alias of."""

    SITE = {"authbl.zones": "zone.example.net=127.0.0.4", "authbl.recipient_zones": ""}
    NAME = "4.4.8.8.zone.example.net"
    CHAIN = [f"a{number}.example.com" for number in range(8)]

    HITS = {
        "itself": dnsstub.records(address(NAME)),
        "itself in upper case": dnsstub.records(address(NAME.upper())),
        "an alias": aliases("alias.example.com"),
        "an alias, the address first": aliases("alias.example.com", reverse=True),
        "an alias in upper case": aliases("ALIAS.example.com", owner="alias.Example.COM"),
        "eight aliases": aliases(*CHAIN),
        "eight aliases, the address first": aliases(*CHAIN, reverse=True),
        "an alias below itself": aliases("x." + NAME),
        "others' records around it": dnsstub.records(
            address("other.example.com", OTHER), address(NAME), address("other.example.com", OTHER)),
    }
    OTHERS = {
        "another name": dnsstub.other_owner(HIT),
        "the zone": dnsstub.other_owner(HIT, "zone.example.net"),
        "a name below": dnsstub.other_owner(HIT, "x." + NAME),
        "a name that begins so": dnsstub.other_owner(HIT, NAME + ".example.com"),
        "another address": dnsstub.other_owner(HIT, "5.4.8.8.zone.example.net"),
        "the root": dnsstub.records((b"\0", A, b"\x7f\0\0\4")),
        "a dot within a label": dnsstub.records(
            (b"\x094.4.8.8.z" + wire("one.example.net"), A, b"\x7f\0\0\4")),
        "a label that begins so": dnsstub.records(
            (wire("4.4.8") + b"\x038\0x" + wire("zone.example.net"), A, b"\x7f\0\0\4")),
        "another name than the alias": aliases("alias.example.com", owner="other.example.com"),
        "that, the address first": aliases("alias.example.com", owner="other.example.com",
                                           reverse=True),
        "another one's alias": dnsstub.records(
            alias("other.example.com", "alias.example.com"), address("alias.example.com")),
        "an alias of the question": dnsstub.records(
            alias("other.example.com", NAME), address("other.example.com")),
        "a circle of aliases": dnsstub.records(
            alias(NAME, "a.example.com"), alias("a.example.com", NAME), address("b.example.com")),
        "another class": lambda exchange: exchange.send(exchange.message(
            b"\xc0\x0c\0\1\0\3\0\0\0\x3c\0\4\x7f\0\0\4", 1)),
        "the code for another name": dnsstub.records(
            address(NAME, OTHER), address("other.example.com")),
    }

    def test_hits(self):
        for name, answer in self.HITS.items():
            with self.subTest(name):
                site = self.site(self.SITE)
                self.dns.answers[self.NAME] = answer
                self.assert_quick(STOPPED, self.filter(site))
                self.assertEqual(site.accounts(), [USER])

    def test_others(self):
        for name, answer in self.OTHERS.items():
            with self.subTest(name):
                site = self.site({**self.SITE, "authbl.timeout": "1s"})
                self.dns.answers[self.NAME] = answer
                self.assert_quick(DUNNO, self.filter(site), seconds=1 + LATE)
                self.assertEqual(site.accounts(), [])
                self.assertEqual(site.log_lines(" compromised: "), [])

    def test_through_postfix(self):
        site = self.site()
        site.list_address(LISTED, dnsstub.other_owner(HIT))
        mail = self.serve(site)
        self.assertEqual(self.submit(mail).recipients, [e2e_accounts.ACCEPTED])
        self.assertEqual(site.accounts(), [])
        site.list_address(LISTED, aliases("alias.example.com", reverse=True))
        self.assertEqual(self.submit(mail).recipients, [self.refusal(LISTED)])


class Patience(AccountTest):
    """authbl.timeout is what is waited, whatever came before."""

    def assert_waits(self, options, delay, zones=1):
        names = [f"zone{number}.example.net" for number in range(zones)]
        site = self.site({"authbl.zones": " ".join(f"{name}=127.0.0.4" for name in names),
                          "authbl.recipient_zones": "", **options})
        for name in names:
            self.dns.answers[f"{item_of(LISTED)}.{name}"] = first(5, nxdomain, nxdomain)
        slow_name = f"{item_of(LISTED)}.{names[-1]}"
        self.dns.answers[slow_name] = first(5, nxdomain, slow(delay, a(HIT)))
        filter_ = self.filter(site)
        for _ in range(5):
            self.assert_quick(DUNNO, filter_)
        reply, seconds = duration(lambda: self.ask(filter_))
        self.assertEqual((reply, site.accounts()), (STOPPED, [USER]), site.log())
        self.assertTrue(delay <= seconds < delay + LATE, seconds)
        self.assertEqual((site.resting_zones(), site.log_lines(" (warning|error): ")), ([], []))

    def test_quick_five_times_then_slow(self):
        self.assert_waits({"authbl.timeout": "3s"}, 1.2)

    def test_quick_five_times_then_in_the_second_half(self):
        """After half of the time it is asked again; the first question's answer still counts."""
        self.assert_waits({"authbl.timeout": "3s"}, 2)

    def test_slow_beside_quick_ones(self):
        self.assert_waits({"authbl.timeout": "3s"}, 2, zones=8)

    def test_a_long_time(self):
        self.assert_waits({"authbl.timeout": "20s", "filter.deadline": "30s"}, 6)

    def test_no_longer(self):
        site = self.site({"authbl.timeout": "1s", "authbl.recipient_zones": ""})
        site.list_address(LISTED, first(5, nxdomain, slow(1.5, a(HIT))))
        filter_ = self.filter(site)
        for _ in range(5):
            self.assert_quick(DUNNO, filter_)
        reply, seconds = duration(lambda: self.ask(filter_))
        self.assertEqual((reply, site.accounts(), len(site.resting_zones())), (DUNNO, [], 1))
        self.assertTrue(1 <= seconds < 1 + LATE, seconds)

    def test_no_answer_is_kept(self):
        """That is for resolvers: it would outlive what the list says now."""
        site = self.site({"authbl.recipient_zones": ""})
        site.list_address(LISTED, first(1, a(OTHER, ttl=3600), a(HIT)))
        filter_ = self.filter(site)
        self.assert_quick(DUNNO, filter_)
        self.assert_quick(STOPPED, filter_)


class Servers(AccountTest):
    """Those of resolv.conf: another one when one is silent, and new ones when it changes."""

    def server(self, host):
        dns = DnsStub(host=host, port=53)
        try:
            dns.start()
        except OSError as e:
            self.skipTest(f"{host}:53: {e}")
        self.addCleanup(dns.stop)
        return dns

    def system_filter(self, site, *hosts):
        """A filter with a resolv.conf of its own, and that."""
        conf = os.path.join(testenv.new_directory("resolver"), "resolv.conf")
        self.name_servers(conf, hosts)
        wrapper = ("unshare", "--mount", "sh", "-c", WITH_RESOLV_CONF, conf, "setpriv",
                   f"--reuid={FILTER_USER.pw_uid}", f"--regid={FILTER_USER.pw_gid}",
                   "--clear-groups")
        filter_ = self.filter(site, wrapper=wrapper, user=None, group=None, extra_groups=None,
                              env={"PATH": os.environ["PATH"]})
        try:
            found = self.ask(filter_, "10.1.2.3", "other@example.org", recipient="")
        except OSError:
            found = b""
        if not found.startswith(b"action="):
            self.skipTest("a mount namespace of its own is not allowed")
        return filter_, conf

    @staticmethod
    def name_servers(conf, hosts):
        """Written in place: the file is mounted."""
        with open(conf, "w", encoding="ascii") as file:
            file.write("".join(f"nameserver {host}\n" for host in hosts))

    def test_a_silent_one(self):
        """Half of the time is for the next one, which is the first one then."""
        silent, good = self.server("127.0.0.77"), self.server("127.0.0.78")
        silent.default = silence
        site = AccountSite(good, {"authbl.resolver": None, "authbl.timeout": "2s",
                                  "authbl.recipient_zones": ""})
        site.list_address()
        filter_, _ = self.system_filter(site, silent.host, good.host)
        reply, seconds = duration(lambda: self.ask(filter_, ELSEWHERE[0], "a@example.org"))
        self.assertEqual(reply, DUNNO)
        self.assertTrue(1 <= seconds < 1 + LATE, seconds)
        asked = silent.count()
        for number in range(3):
            self.assert_quick(STOPPED, filter_, user=f"user{number}@example.org")
        self.assertEqual((silent.count(), site.resting_zones()), (asked, []))

    def test_one_of_three(self):
        """Two silent ones in front take the whole time; the next request begins with another."""
        servers = [self.server(f"127.0.0.{number}") for number in (77, 78, 79)]
        servers[0].default = servers[1].default = silence
        site = AccountSite(servers[2], {"authbl.resolver": None, "authbl.timeout": "2s",
                                        "authbl.recipient_zones": ""})
        site.list_address()
        filter_, _ = self.system_filter(site, *(server.host for server in servers))
        for _ in range(2):
            self.assert_quick(DUNNO, filter_, ELSEWHERE[0], "a@example.org", seconds=2 + LATE)
            if servers[2].count():
                break
            site.end_rest()
        self.assert_quick(STOPPED, filter_)

    def test_one_that_is_not_there(self):
        good = self.server("127.0.0.78")
        site = AccountSite(good, {"authbl.resolver": None})
        site.list_address()
        filter_, _ = self.system_filter(site, "127.0.0.77", good.host)
        # Of two questions by one socket only one is told that nobody is there.
        self.assert_quick(STOPPED, filter_, seconds=1.5 + LATE)
        self.assert_quick(STOPPED, filter_, user="other@example.org")

    def test_changed_while_a_filter_runs(self):
        old, new = self.server("127.0.0.77"), self.server("127.0.0.78")
        site = AccountSite(new, {"authbl.resolver": None})
        site.list_address()
        filter_, conf = self.system_filter(site, old.host)
        self.assert_quick(DUNNO, filter_)
        self.name_servers(conf, [new.host])
        asked = old.count()
        self.assert_quick(STOPPED, filter_)
        self.assertEqual(old.count(), asked)


def setUpModule():
    e2e_accounts.setUpModule()


if __name__ == "__main__":
    unittest.main()
