#!/usr/bin/python3
"""DNS lists that are slow, that answer with what belongs to others, or that list everybody, since
nobody runs them any more: nobody is stopped for that. The lists are played by a stub.

    python3 tests/e2e/e2e_zones.py [-v] [Class.test ...]
"""
import concurrent.futures
import os
import sys
import time
import unittest

sys.dont_write_bytecode = True
TESTS = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(TESTS, "..", "lib"), TESTS]

import dnsstub  # noqa: E402
import ports  # noqa: E402
import testenv  # noqa: E402
from dnsstub import DnsStub, a, aliases, first, nxdomain, rcode, silence, slow  # noqa: E402
from filter import DUNNO  # noqa: E402
from pace import duration  # noqa: E402
from testenv import FILTER_USER  # noqa: E402

import e2e_accounts  # noqa: E402
from e2e_accounts import (  # noqa: E402
    ELSEWHERE, HIT, LATE, LISTED, NOBODY, OTHER, STOPPED, USER, WITH_RESOLV_CONF,
    AccountSite, AccountTest, item_of)

NOBODY_IPV6 = item_of("::ffff:7f00:1")
A, CNAME = dnsstub.A, dnsstub.CNAME


def wire(name):
    return dnsstub.encode_name(name)


def address(name, value=HIT):
    return wire(name), A, bytes(map(int, value.split(".")))


def alias(name, other):
    return wire(name), CNAME, wire(other)


def end_marker(site, kind):
    """The markers of this kind are over."""
    for name in os.listdir(site.cache):
        if name.startswith(f".rest-{kind}-"):
            path = os.path.join(site.cache, name)
            _, _, why = testenv.read_file(path).partition("\n")
            testenv.write_file(path, f"{int(time.time()) - 1}\n{why}", owner=FILTER_USER)


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
        self.assert_waited(delay, seconds)
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
        self.assert_waited(1, seconds)

    def test_no_answer_is_kept(self):
        """That is for resolvers: it would outlive what the list says now."""
        site = self.site({"authbl.recipient_zones": ""})
        site.list_address(LISTED, first(1, a(OTHER, ttl=3600), a(HIT)))
        filter_ = self.filter(site)
        self.assert_quick(DUNNO, filter_)
        self.assert_quick(STOPPED, filter_)


class Servers(AccountTest):
    """Those of resolv.conf: another one when one is silent, and new ones when it changes."""

    def server(self, number):
        """On an address that ends so."""
        host = ports.address(number)
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
        silent, good = self.server(77), self.server(78)
        silent.default = silence
        site = AccountSite(good, {"authbl.resolver": None, "authbl.timeout": "2s",
                                  "authbl.recipient_zones": ""})
        site.list_address()
        filter_, _ = self.system_filter(site, silent.host, good.host)
        reply, seconds = duration(lambda: self.ask(filter_, ELSEWHERE[0], "a@example.org"))
        self.assertEqual(reply, DUNNO)
        self.assert_waited(1, seconds)
        asked = silent.count()
        for number in range(3):
            self.assert_quick(STOPPED, filter_, user=f"user{number}@example.org")
        self.assertEqual((silent.count(), site.resting_zones()), (asked, []))

    def test_one_of_three(self):
        """Two silent ones in front take the whole time; the next request begins with another."""
        servers = [self.server(number) for number in (77, 78, 79)]
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
        good = self.server(78)
        site = AccountSite(good, {"authbl.resolver": None, "authbl.timeout": "3s"})
        site.list_address()
        filter_, _ = self.system_filter(site, ports.address(77), good.host)
        # Of two questions by one socket only one is told that nobody is there.
        self.assert_quick(STOPPED, filter_, seconds=1.5 + LATE)
        self.assert_quick(STOPPED, filter_, user="other@example.org")

    def test_changed_while_a_filter_runs(self):
        old, new = self.server(77), self.server(78)
        site = AccountSite(new, {"authbl.resolver": None})
        site.list_address()
        filter_, conf = self.system_filter(site, old.host)
        self.assert_quick(DUNNO, filter_)
        self.name_servers(conf, [new.host])
        asked = old.count()
        self.assert_quick(STOPPED, filter_)
        self.assertEqual(old.count(), asked)


class Everybody(AccountTest):
    """A zone that lists 127.0.0.1 lists everybody; so its hits are none."""

    ONE_ZONE = {"authbl.recipient_zones": ""}
    TWO_ZONES = {**ONE_ZONE, "authbl.zones": "one.example.net=127.0.0.4 two.example.net=127.0.0.4"}
    # What comes of it when the zone says this of 127.0.0.1: true, a hit is one.
    NEVER = {
        "NXDOMAIN": (nxdomain, True),
        "NXDOMAIN, a while later": (slow(0.4, nxdomain), True),
        "wrong id, then NXDOMAIN": (dnsstub.both(dnsstub.wrong_id(), nxdomain), True),
        "listed": (a(HIT), False),
        "listed, another code": (a(OTHER), False),
        "listed by an alias": (aliases("alias.example.com"), False),
        "error code": (a("127.255.255.254"), False),
        "public address": (a("192.0.2.1"), False),
        "no data": (dnsstub.no_data, False),
        "an alias of nothing": (dnsstub.cname(None), False),
        "another's address": (dnsstub.other_owner(), False),
        "SERVFAIL": (rcode(dnsstub.SERVFAIL), False),
        "REFUSED": (rcode(dnsstub.REFUSED), False),
        "silence": (silence, False),
        "NXDOMAIN too late": (slow(1.5, nxdomain), False),
        "NXDOMAIN with a wrong id": (
            dnsstub.changed(nxdomain, lambda data: bytes([data[0] ^ 1]) + data[1:]), False),
        "truncated, silence": (dnsstub.truncated(silence), False),
        "garbage": (dnsstub.garbage(), False),
    }

    def dead_zone(self, options=None, name=None):
        site = self.site(self.ONE_ZONE if options is None else options)
        self.dns.answers[f"*.{name or site.zone}"] = a(HIT)
        return site

    def sane_markers(self, site):
        return [name for name in os.listdir(site.cache) if name.startswith(".rest-sane-")]

    def test_what_it_says_of_nobody(self):
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            running = {name: pool.submit(self.one_hit, answer, counts)
                       for name, (answer, counts) in self.NEVER.items()}
        for name, (_, counts) in self.NEVER.items():
            with self.subTest(name):
                site, reply, seconds = running[name].result()
                self.assertEqual(reply, STOPPED if counts else DUNNO)
                self.assert_within(1 + LATE, seconds)
                self.assertEqual(site.accounts(), [USER] * counts)
                self.assertEqual((len(site.resting_zones()), len(self.sane_markers(site))),
                                 (not counts, counts))
                self.assertEqual(len(site.log_lines(" error: check=authbl ")), not counts)
                warnings = site.log_lines(" warning: ")
                self.assertEqual(len(warnings), not counts)
                for line in warnings:
                    self.assertRegex(line, r"warning: authbl: authbl\.mail\.abusix\.zone: .*"
                                     r"127\.0\.0\.1.*; a hit was ignored$")
                self.no_part_of(site.apikey, site.log(), "log")

    def one_hit(self, answer, counts):
        site = self.site({**self.ONE_ZONE, **({} if counts else {"authbl.timeout": "1s"})},
                         listed=[LISTED])
        self.dns.answers[f"{NOBODY}.{site.zone}"] = answer
        with e2e_accounts.Filter(site) as filter_:
            reply, seconds = duration(lambda: self.ask(filter_), filter_.process.pid)
        return site, reply, seconds

    def test_nobody_is_stopped_by_a_dead_list(self):
        """At whatever hour it dies, if nobody ever says selftest."""
        site = self.dead_zone()
        mail = self.serve(site)
        for number in range(5):
            delivery = self.submit(mail, f"8.8.4.{number + 1}", f"user{number}@example.org")
            self.assertEqual(delivery.recipients, [e2e_accounts.ACCEPTED])
            end_marker(site, "zone")
        self.assertEqual(site.accounts(), [])
        self.assertEqual(len(site.log_lines(r" warning: authbl: authbl\.mail\.abusix\.zone: lists "
                                            r"127\.0\.0\.1 too \(127\.0\.0\.4\), so it lists everybody")), 1)
        lines = site.log_lines(" error: check=authbl ")
        self.assertEqual(len(lines), 5)
        self.assertIn("authbl.mail.abusix.zone: answer 127.0.0.4 ignored: lists 127.0.0.1 "
                      "too (127.0.0.4), so it lists everybody", lines[0])
        self.dns.answers.clear()
        site.list_address()
        self.assertEqual(self.submit(mail).recipients, [self.refusal(LISTED)])  # it is well again

    def test_it_rests_for_a_minute(self):
        site = self.dead_zone()
        self.assert_quick(DUNNO, self.filter(site))
        marker, = site.resting_zones()
        left, why = site.rest(marker.removeprefix(".rest-"))
        self.assertTrue(50 < left <= 61, left)
        self.assertIn("lists 127.0.0.1 too", why)
        self.dns.forget()
        self.assert_quick(DUNNO, self.filter(site), "8.8.4.5")
        self.assertEqual(self.dns.names(), [])

    def test_the_answer_is_for_all_for_a_minute(self):
        site = self.site(self.ONE_ZONE)
        probe = f"{NOBODY}.{site.zone}"
        for number in range(4):
            site.list_address(f"8.8.4.{number}")
            self.assert_quick(STOPPED, self.filter(site), f"8.8.4.{number}",
                              f"user{number}@example.org")
        self.assertEqual(self.dns.count(probe), 1)
        marker, = self.sane_markers(site)
        left, _ = site.rest(marker.removeprefix(".rest-"))
        self.assertTrue(50 < left <= 61, left)
        end_marker(site, "sane")
        self.dns.answers[f"*.{site.zone}"] = a(HIT)  # it dies
        self.assert_quick(DUNNO, self.filter(site), user="last@example.org")
        self.assertEqual(self.dns.count(probe), 2)
        self.assertNotIn("last@example.org", site.accounts())

    def test_without_a_cache_directory_it_is_for_the_process(self):
        site = self.site(self.ONE_ZONE, listed=[LISTED])
        os.rmdir(site.cache)
        probe = f"{NOBODY}.{site.zone}"
        for count in (1, 2):
            filter_ = self.filter(site)
            for number in range(3):
                self.assert_quick(STOPPED, filter_, user=f"user{number}@{count}.example.org")
            self.assertEqual(self.dns.count(probe), count)

    def test_only_hits_are_a_reason_to_ask(self):
        site = self.site(self.ONE_ZONE)
        filter_ = self.filter(site)
        for answer in (nxdomain, a(OTHER), a("127.255.255.254"), rcode(dnsstub.REFUSED)):
            site.list_address(LISTED, answer)
            self.assert_quick(DUNNO, filter_)
        self.assertEqual(set(self.dns.names()), {site.name_of(LISTED)})

    def test_ipv6(self):
        """It is the part of the zone for IPv6 that has answered."""
        client = "2a02:d540::a"
        for listed, reply in ((False, STOPPED), (True, DUNNO)):
            with self.subTest(listed):
                site = self.site(self.ONE_ZONE, listed=[client, LISTED])
                probe = f"{NOBODY_IPV6}.{site.zone}"
                if listed:
                    self.dns.answers[probe] = a(HIT)
                self.assert_quick(STOPPED, self.filter(site), user="other@example.org")
                self.assertEqual(self.dns.count(probe), 0)
                self.assert_quick(reply, self.filter(site), client)
                self.assertEqual(self.dns.count(probe), 1)
                self.assertEqual(self.dns.count(f"{NOBODY}.{site.zone}"), 1)
        self.assertIn("lists ::FFFF:7F00:1 too (127.0.0.4), so it lists everybody", site.log())

    def test_recipients(self):
        """Nobody has an address under .invalid; it is another one each time."""
        site = self.site({"authbl.zones": ""})
        self.dns.answers[f"*.{site.recipient_zone}"] = a("127.0.0.2")
        for _ in range(3):
            self.assert_quick(DUNNO, self.filter(site), "10.1.2.3", recipient="Ann@example.com")
            end_marker(site, "zone")
        asked = site.name_of_recipient("ann@example.com")
        names = [name for name in self.dns.names() if name != asked]
        self.assertEqual((len(names), len(set(names))), (3, 3))
        self.assertEqual(self.dns.count(asked), 3)
        for name in names:
            self.assertRegex(name, rf"\A[0-9a-f]{{40}}\.{site.recipient_zone}\Z")
        self.assertIn("lists a made-up recipient too (127.0.0.2), so it lists everybody", site.log())
        self.dns.answers.clear()
        site.list_recipient("ann@example.com")
        self.assert_quick(STOPPED, self.filter(site), "10.1.2.3", recipient="Ann@example.com")
        self.assertEqual(site.accounts(), [USER])

    def test_a_later_recipient(self):
        site = self.site({"authbl.zones": ""})
        filter_ = self.filter(site)
        self.assert_quick(DUNNO, filter_, instance="1.0", recipient="one@example.com")
        self.dns.answers[f"*.{site.recipient_zone}"] = a("127.0.0.2")
        self.assert_quick(DUNNO, filter_, instance="1.0", recipient="two@example.com")
        self.assertEqual(site.accounts(), [])

    def test_another_zone_s_hit_counts(self):
        for dead, alive in (("one", "two"), ("two", "one")):
            with self.subTest(dead=dead):
                self.dns.answers.clear()
                site = self.dead_zone(self.TWO_ZONES, f"{dead}.example.net")
                filter_ = self.filter(site)
                self.assert_quick(DUNNO, filter_, ELSEWHERE[0])
                line, = site.log_lines(" doubtful: check=authbl ")
                self.assertIn(f"{dead}.example.net: answer 127.0.0.4 ignored: lists ", line)
                self.assertIn(f"{alive}.example.net: not listed", line)
                self.assertEqual(site.log_lines(" error: "), [])
                end_marker(site, "zone")
                self.dns.answers[f"{item_of(LISTED)}.{alive}.example.net"] = a(HIT)
                self.assert_quick(STOPPED, filter_)
                self.assertIn(f"8.8.4.4 is listed on {alive}.example.net", site.log())

    def test_both_are_dead(self):
        site = self.dead_zone(self.TWO_ZONES, "example.net")
        self.assert_quick(DUNNO, self.filter(site))
        self.assertEqual((site.accounts(), len(site.resting_zones())), ([], 2))

    def test_on_error_defer(self):
        site = self.dead_zone({**self.ONE_ZONE, "filter.on_error": "defer"})
        self.assert_quick(b"action=DEFER_IF_PERMIT 4.3.0 Service temporarily unavailable\n\n",
                          self.filter(site))

    def test_the_time_is_for_both_questions(self):
        """And of a zone that was not asked for lack of time nobody knows anything."""
        site = self.site(self.ONE_ZONE)
        site.configure(**{"authbl.timeout": "2s"})
        site.list_address(LISTED, slow(1.2, a(HIT)))
        self.dns.answers[f"{NOBODY}.{site.zone}"] = silence
        reply, seconds = duration(lambda: self.ask(self.filter(site)))
        self.assertEqual(reply, DUNNO)
        self.assert_waited(2, seconds)
        self.assertEqual(site.accounts(), [])

    def test_the_deadline_of_the_request(self):
        site = self.site({"filter.deadline": "1s", "authbl.timeout": "5s",
                          "authbl.recipient_zones": ""}, listed=[LISTED])
        self.dns.answers[f"{NOBODY}.{site.zone}"] = silence
        self.assert_quick(DUNNO, self.filter(site), seconds=1 + LATE)
        self.assertEqual(site.accounts(), [])

    def test_log_only_and_dry_run(self):
        """Who would be put on the list, or would be one day, is asked about as well."""
        for options in ({"accounts.action": "log"}, {"filter.dry_run": "yes"}):
            with self.subTest(options):
                self.dns.answers.clear()
                site = self.dead_zone({**self.ONE_ZONE, **options})
                filter_ = self.filter(site)
                self.assert_quick(DUNNO, filter_)
                self.assertEqual((site.accounts(), site.log_lines(" (compromised|would)")),
                                 ([], []))
                self.assertEqual(self.dns.count(f"{NOBODY}.{site.zone}"), 1)
                self.dns.answers.clear()
                site.end_rest()
                site.list_address()
                self.assert_quick(DUNNO, filter_)
                self.assertEqual(len(site.log_lines(" would .*: check=authbl ")), 1)

    def test_check(self):
        """It tells what a filter would do, and leaves nothing behind."""
        site = self.dead_zone()
        arguments = ("check", f"client_address={LISTED}", f"sasl_username={USER}")
        done = site.abictl(*arguments)
        self.assertIn("ignored: lists 127.0.0.1 too", done.stdout)
        self.assertRegex(done.stdout, "(?m)^answer: action=DUNNO")
        self.assertEqual((os.listdir(site.cache), site.log()), ([], ""))
        self.dns.answers.clear()
        site.list_address()
        self.assertRegex(site.abictl(*arguments).stdout, r"(?m)^answer: action=554 5\.7\.1 Stopped")
        self.assertEqual(os.listdir(site.cache), [])
        # What a filter has found out holds for it too.
        self.assert_quick(STOPPED, self.filter(site), user="other@example.org")
        self.dns.answers[f"*.{site.zone}"] = a(HIT)
        self.assertRegex(site.abictl(*arguments).stdout, r"(?m)^answer: action=554 5\.7\.1 Stopped")

    def test_selftest_afterwards(self):
        site = self.dead_zone()
        self.assert_quick(DUNNO, self.filter(site))
        self.assertIn("so this list does not work", site.abictl("selftest").stdout)
        self.dns.answers.clear()
        site.abictl("selftest")
        self.assertEqual(site.resting_zones(), [])


def setUpModule():
    e2e_accounts.setUpModule()


if __name__ == "__main__":
    unittest.main()
