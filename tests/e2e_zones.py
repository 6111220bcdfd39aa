#!/usr/bin/python3
"""DNS lists that answer with what belongs to others: nobody is stopped for that. The lists are
played by a stub.

    python3 tests/e2e_zones.py [-v] [Class.test ...]
"""
import os
import sys
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))

import dnsstub  # noqa: E402
from dnsstub import aliases  # noqa: E402
from filter import DUNNO  # noqa: E402

import e2e_accounts  # noqa: E402
from e2e_accounts import HIT, LATE, LISTED, OTHER, STOPPED, USER, AccountTest  # noqa: E402

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


def setUpModule():
    e2e_accounts.setUpModule()


if __name__ == "__main__":
    unittest.main()
