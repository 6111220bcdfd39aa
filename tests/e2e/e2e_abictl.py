#!/usr/bin/python3
"""abictl, command by command: what it prints, its exit status, and what it leaves as it was.

    python3 tests/e2e/e2e_abictl.py [-v] [Class.test ...]
"""
import contextlib
import hashlib
import ipaddress
import json
import os
import re
import subprocess
import sys
import time
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import testenv  # noqa: E402
from apistub import error, html_page, raw, score  # noqa: E402
from filter import DUNNO, REFUSED, answer_to, request  # noqa: E402
from pace import duration  # noqa: E402
from sitetest import CLEAN_EXIT, DAY, SiteTest, listing, lock_of, locked  # noqa: E402
from testenv import FILTER_USER  # noqa: E402

OK, FAILED, USAGE, DATAERR, UNAVAILABLE, TEMPFAIL, NOPERM, CONFIG = 0, 1, 64, 65, 69, 75, 77, 78
ABSENT = 1
HOUR = 3600
AS_ROOT = {"user": 0, "group": 0}
ACCOUNTS_STOP = {"filter.checks": "accounts", "accounts.action": "reject"}


class AbictlTest(SiteTest):
    """Without the checks that have a suite of their own: e2e_geocount.py."""

    def site(self, options=(), whitelist=""):
        return super().site({"filter.checks": "whitelist reputation", **dict(options)}, whitelist)

    def run_abictl(self, site, *arguments, status=OK, **keywords):
        """Its output, or a message when there is none."""
        result = site.abictl(*arguments, **keywords)
        self.assertEqual(result.returncode, status, (arguments, result.stdout, result.stderr))
        self.assertRegex(result.stderr, r"\A(abictl: [ -~]+\n)*\Z")
        if status == OK or result.stdout:
            self.assertEqual(result.stderr, "")
        else:
            self.assertNotEqual(result.stderr, "")
        return result.stdout

    def run_json(self, site, *arguments, status=OK):
        before, after = (self.run_abictl(site, *line, status=status) for line in (
            ("--json", *arguments), (*arguments, "--json")))
        self.assertEqual(type(json.loads(before)), type(json.loads(after)))
        return json.loads(after)

    def on_terminal(self, site, *arguments, **keywords):
        """What it says when its standard output is a terminal, without the last line end."""
        result = site.on_terminal(*arguments, **keywords)
        self.assertEqual((result.returncode, result.stderr), (OK, ""), arguments)
        return result.stdout.removesuffix("\n")

    def fields(self, site, *arguments, status=OK):
        """A table of names and values."""
        output = self.run_abictl(site, *arguments, status=status)
        return dict(line.split(maxsplit=1) for line in output.splitlines())

    def count(self, endpoint):
        return sum(1 for call in self.stub.requests if call.endpoint == endpoint)

    def put_marker(self, site, name, seconds, reason="a test"):
        return testenv.write_file(f"{site.cache}/.rest-{name}",
                                  f"{int(time.time()) + seconds}\n{reason}\n", 0o640, FILTER_USER)


class CacheShow(AbictlTest):

    def test_an_address(self):
        site = self.site()
        content = ("71\ncountry=CN\nisp=Example Ltd\nusage=Hosting\nreporters=9\nreports=25\n"
                   "tor=0\n")
        for name, age, state, status in (("fresh", HOUR, "fresh", OK),
                                         ("stale", 2 * DAY, "stale", OK),
                                         ("old", 8 * DAY, "absent", ABSENT),
                                         ("future", -DAY, "absent", ABSENT)):
            with self.subTest(name):
                site.put_score("8.8.4.4", content, age)
                shown = self.fields(site, "cache", "show", "8.8.4.4", status=status)
                parsed = self.run_json(site, "cache", "show", "8.8.4.4", status=status)
                self.assertEqual((shown["address"], shown["state"]), ("8.8.4.4", state))
                self.assertEqual((parsed["address"], parsed["state"]), ("8.8.4.4", state))
                if status != OK:
                    self.assertNotIn("score", {**shown, **parsed})
                    continue
                self.assertLessEqual(
                    {"score": "71", "country": "CN", "isp": "Example Ltd", "usage": "Hosting",
                     "reporters": "9", "reports": "25", "tor": "0"}.items(), shown.items())
                fetched = parsed.pop("fetched")
                self.assertAlmostEqual(fetched, time.time() - age, delta=10)
                self.assertEqual(parsed, {
                    "address": "8.8.4.4", "state": state, "score": 71, "reporters": 9,
                    "reports": 25, "tor": False, "country": "CN", "isp": "Example Ltd",
                    "usage": "Hosting"})
        self.assertEqual(self.stub.count(), 0)

    def test_absent_torn_and_no_address(self):
        site = self.site()
        site.put_score("9.9.9.9", "71")
        for address in ("8.8.4.4", "9.9.9.9"):
            self.assertEqual(self.fields(site, "cache", "show", address, status=ABSENT),
                             {"address": address, "state": "absent"})
        for text in ("banana", "", "../key", ".rest-api", "9.9.9.0/24"):
            self.run_abictl(site, "cache", "show", text, status=DATAERR)

    def test_an_ipv6_network(self):
        site = self.site()
        site.put_score("2a02:d540:0:1::", "12\naddress=2a02:d540:0:1::a\n")
        site.put_score("2a02:d540:0:1::b", "71\naddress=2a02:d540:0:1::b\n")
        for address, asked, score in (("2a02:d540:0:1::a", None, "12"),
                                      ("2A02:D540:0:1:FFFF:0:0:1", "2a02:d540:0:1::a", "12"),
                                      ("2a02:d540:0:1::b", None, "71")):
            shown = self.fields(site, "cache", "show", address)
            self.assertEqual((shown["address"], shown.get("asked"), shown["score"]),
                             (str(ipaddress.ip_address(address)), asked, score))
            parsed = self.run_json(site, "cache", "show", address)
            self.assertEqual((parsed["address"], parsed.get("asked"), str(parsed["score"])),
                             (str(ipaddress.ip_address(address)), asked, score))
        self.run_abictl(site, "cache", "show", "2a02:d540:0:2::a", status=ABSENT)

    def test_the_score_of_a_neighbour(self):
        site = self.site()
        site.put_score("2a02:d540:0:1::", 71)  # of an earlier release
        shown = self.fields(site, "cache", "show", "2a02:d540:0:1::a", status=ABSENT)
        self.assertEqual((shown["state"], shown["neighbour"]),
                         ("absent", "2a02:d540:0:1:: has score 71, which counts for it alone"))
        self.assertEqual(self.run_json(site, "cache", "show", "2a02:d540:0:1::a",
                                       status=ABSENT),
                         {"address": "2a02:d540:0:1::a", "state": "absent",
                          "neighbour": {"address": "2a02:d540:0:1::", "score": 71}})

    def test_who_rests(self):
        site = self.site()
        self.put_marker(site, "ip-8.8.4.4", 600, "mended later")
        for address, resting in (("8.8.4.4", True), ("9.9.9.9", False)):
            shown = self.fields(site, "cache", "show", address, status=ABSENT)
            self.assertEqual("mended later" in shown.get("resting", ""), resting)
            parsed = self.run_json(site, "cache", "show", address, status=ABSENT)
            self.assertEqual("resting" in parsed, resting)

    def test_all(self):
        site = self.site()
        self.assertEqual(self.run_json(site, "cache", "show"), {
            "directory": site.cache, "calls_today": 0, "daily_limit": 1000, "resting_until": 0,
            "reason": ""})
        self.stub.answers["9.9.9.9"] = error(429, retry_after=600)
        self.run_abictl(site, "fetch", "8.8.4.4")
        self.assertEqual(self.fields(site, "cache", "show"), {
            "directory": site.cache, "calls": "1 of 1000 today (UTC)", "resting": "no"})
        self.run_abictl(site, "fetch", "9.9.9.9", status=UNAVAILABLE)
        parsed = self.run_json(site, "cache", "show")
        self.assertEqual((parsed["calls_today"], parsed["daily_limit"]), (2, 1000))
        self.assertAlmostEqual(parsed["resting_until"], time.time() + 600, delta=10)
        self.assertIn("429", parsed["reason"])
        self.assertRegex(self.fields(site, "cache", "show")["resting"], "^(9|10)m more: .*429")
        site.configure(**{"reputation.daily_limit": "0"})
        self.assertIn("no limit", self.fields(site, "cache", "show")["calls"])

    def test_a_directory_that_cannot_be_used(self):
        site = self.site()
        os.chmod(site.cache, 0o777)
        for verb in (("show",), ("show", "8.8.4.4"), ("drop", "8.8.4.4"), ("clean",),
                     ("prefetch",)):
            self.assertEqual(self.run_abictl(site, "cache", *verb, status=NOPERM), "")
        self.assertEqual(self.stub.requests, [])


class CacheDrop(AbictlTest):

    def test_score_and_marker(self):
        site = self.site({"reputation.ipv6_prefix": "64"})
        for name in ("8.8.4.4", "9.9.9.9", "2a02:d540:0:1::", "2a02:d540:0:1::abcd",
                     "2a02:d540:0:1::b"):
            site.put_score(name, 71)
        for name in ("ip-8.8.4.4", "ip-1.2.3.4", "ip-9.9.9.9", "api"):
            self.put_marker(site, name, 600)
        for address in ("8.8.4.4", "1.2.3.4", "2a02:d540:0:1::abcd"):  # both, marker, score
            self.assertEqual(self.run_abictl(site, "cache", "drop", address), "")
            self.run_abictl(site, "cache", "drop", address, status=ABSENT)
        self.assertEqual(sorted(os.listdir(site.cache)), [".rest-api", ".rest-ip-9.9.9.9",
                                                          "2a02:d540:0:1::b", "9.9.9.9"])
        self.run_abictl(site, "cache", "drop", "../key", status=DATAERR)


class CacheClean(AbictlTest):

    def filled_site(self, options=()):
        """A site with files of all kinds, whose names say what becomes of them."""
        site = self.site(options)
        for address, age in (("1.0.0.1", HOUR), ("1.0.0.2", 2 * DAY), ("1.0.0.6", 6.9 * DAY),
                             ("1.0.0.8", 7.1 * DAY), ("2a02::8", 30 * DAY), ("1.0.0.9", -DAY)):
            site.put_score(address, 71, age)
        for name, age in ((".tmp-old", 2 * HOUR), (".tmp-new", HOUR / 2), ("README", 99 * DAY),
                          ("1.0.0.8.bak", 99 * DAY), (".budget", 99 * DAY), (".foreign", 99 * DAY),
                          (".budget-8.8.4.0-24", DAY), (".budget-1.1.1.0-24", 0)):
            site.put_score(name, "71\n", age)
        for name, seconds in (("ip-1.0.0.1", 600), ("api", 600), ("ip-1.0.0.2", -1),
                              ("prefetch", -HOUR)):
            self.put_marker(site, name, seconds)
        site.put_score(".rest-ip-1.0.0.3", "garbage\n")
        os.mkdir(f"{site.cache}/1.0.0.7")
        os.symlink("README", f"{site.cache}/1.0.0.5")
        for name in ("1.0.0.7", "1.0.0.5"):
            site.set_age(f"{site.cache}/{name}", 99 * DAY)
        return site

    GONE = {"1.0.0.8", "2a02::8", "1.0.0.9", ".tmp-old", ".rest-ip-1.0.0.2", ".rest-prefetch",
            ".rest-ip-1.0.0.3", ".budget-8.8.4.0-24"}

    def assert_cleaned(self, site, gone, *arguments):
        before = set(os.listdir(site.cache))
        output = self.run_abictl(site, "cache", "clean", *arguments)
        self.assertEqual(before - set(os.listdir(site.cache)), gone)
        return output

    def test_what_goes_and_what_stays(self):
        self.assertEqual(self.assert_cleaned(self.filled_site(), self.GONE), "")
        parsed = json.loads(self.assert_cleaned(self.filled_site(), self.GONE, "--json"))
        self.assertEqual(parsed["removed"], len(self.GONE))
        self.assertEqual(set(parsed), {"kept", "removed"})

    def test_the_longer_time_to_live_counts(self):
        for name in ("reputation.cache_ttl", "reputation.stale_ttl"):
            with self.subTest(name):
                self.assert_cleaned(self.filled_site({name: "40d"}),
                                    self.GONE - {"1.0.0.8", "2a02::8"})
        self.assert_cleaned(self.filled_site({"reputation.stale_ttl": "0"}),
                            self.GONE | {"1.0.0.2", "1.0.0.6"})

    def test_what_is_being_renewed_stays(self):
        site = self.filled_site()
        with locked(site, lock_of("1.0.0.8")):
            self.assert_cleaned(site, self.GONE - {"1.0.0.8"})
        self.assert_cleaned(site, {"1.0.0.8"})

    def test_it_talks_to_a_terminal(self):
        self.assertRegex(self.on_terminal(self.filled_site(), "cache", "clean"),
                         r"\A8 removed, \d+ kept\Z")


class CachePrefetch(AbictlTest):

    def listed(self, *addresses, age=HOUR):
        """The blacklist has these addresses, and was made so long ago."""
        generated = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime(time.time() - age))
        self.stub.answers["blacklist"] = raw(json.dumps({
            "meta": {"generatedAt": generated},
            "data": [{"ipAddress": address, "countryCode": "CN", "abuseConfidenceScore": 100,
                      "lastReportedAt": generated} for address in addresses]}))

    def test_it_fills_the_cache(self):
        site = self.site()
        self.listed("1.2.3.4", "192.168.0.1", "10.1.2.3", "127.0.0.1", "fe80::1", "9.9.9.9",
                    "8.8.4.4", "2a02:d540:0:1::abcd")
        site.put_score("9.9.9.9", 3, HOUR / 2)  # checked after the list was made
        site.put_score("8.8.4.4", 3, 2 * HOUR)
        self.assertEqual(self.run_abictl(site, "cache", "prefetch"), "")
        scores = {name: site.cached_score(name) for name in os.listdir(site.cache)
                  if name[0] != "."}
        self.assertEqual(scores, {"1.2.3.4": "100", "9.9.9.9": "3", "8.8.4.4": "100",
                                  "2a02:d540:0:1::abcd": "100"})
        self.assertAlmostEqual(os.stat(f"{site.cache}/1.2.3.4").st_mtime, time.time() - HOUR,
                               delta=10)
        self.assert_answers(REFUSED * 2, site, request("1.2.3.4"), request("2a02:d540:0:1::abcd"))
        self.assertEqual((self.count("blacklist"), self.stub.count()), (1, 0))
        self.assert_answers(DUNNO, site, request("2a02:d540:0:1::1"))  # not its neighbour
        self.assertEqual(self.stub.count("2a02:d540:0:1::1"), 1)
        self.assertEqual(json.loads(self.run_abictl(site, "--json", "cache", "prefetch")),
                         {"written": 0, "newer": 4})

    def test_an_address_that_is_being_checked_is_left_alone(self):
        site = self.site()
        self.listed("1.2.3.4", "9.9.9.9")
        with locked(site, lock_of("1.2.3.4")):
            self.assertEqual(json.loads(self.run_abictl(site, "--json", "cache", "prefetch")),
                             {"written": 1, "newer": 1})
        self.assertIsNone(site.cached_score("1.2.3.4"))

    def test_limit(self):
        site = self.site()
        self.stub.blacklist = dict.fromkeys(("1.2.3.4", "9.9.9.9", "8.8.4.4"), 100)
        self.run_abictl(site, "cache", "prefetch", "--limit", "2")
        self.run_abictl(site, "cache", "prefetch")
        self.assertEqual([call.query.get("limit") for call in self.stub.requests], ["2", None])

    def test_refused_with_min_reporters_or_without_a_key(self):
        for options in ({"reputation.min_reporters": "1"}, {"reputation.token_file": None},
                        {"reputation.token_file": "/nonexistent"}):
            site = self.site(options)
            self.run_abictl(site, "cache", "prefetch", status=CONFIG)
        self.assertEqual(self.stub.requests, [])

    def test_its_rest(self):
        for answer in (error(429, retry_after=600), html_page()):
            site = self.site()
            calls, checks = self.count("blacklist"), self.stub.count()
            self.stub.answers["blacklist"] = answer
            self.run_abictl(site, "cache", "prefetch", status=UNAVAILABLE)
            for _ in range(2):
                self.run_abictl(site, "cache", "prefetch", status=TEMPFAIL)
            self.assertEqual(self.count("blacklist"), calls + 1)
            self.assertIsNone(site.rest())  # the list has a quota of its own
            self.run_abictl(site, "fetch", "8.8.4.4")
            self.assertEqual(self.stub.count(), checks + 1)

    def test_not_while_the_api_rests(self):
        site = self.site()
        self.put_marker(site, "api", 600)
        self.run_abictl(site, "cache", "prefetch", status=TEMPFAIL)
        self.assertEqual(self.stub.requests, [])


class Check(AbictlTest):

    def explained(self, site, *arguments):
        """{check: (outcome, reason)} and the answer, of the table and of --json."""
        first, *lines, last = self.run_abictl(site, "check", *arguments).splitlines()
        self.assertEqual(first.split(), ["CHECK", "OUTCOME", "TIME", "REASON"])
        table = {}
        for line in lines:
            name, outcome, reason = re.fullmatch(
                r"(\S+) +(\S+(?: \S+)*) +(?:-|\d+\.\d\d ms)  (.+)", line).groups()
            table[name] = (outcome, reason)
        parsed = self.run_json(site, "check", *arguments)
        self.assertEqual([(step["check"], step["outcome"]) for step in parsed["checks"]],
                         [(name, outcome) for name, (outcome, _) in table.items()])
        self.assertTrue(last.startswith(f"answer: {parsed['answer']}  ("), last)
        return table, parsed

    LOGIN = ("client_address=8.8.4.4", "sasl_username=ann@example.org")

    def test_on_a_new_installation(self):
        """Nobody has logged in yet: what the filter would find in the store that it makes."""
        site = self.cached_site()
        site.configure(**{"filter.on_error": "defer"})
        table, parsed = self.explained(site, *self.LOGIN)
        self.assertEqual(table["accounts"], ("no opinion", "not on the list"))
        self.assertEqual(table["geocount"][0], "no opinion")
        self.assertIn("addresses 1 (limit 20)", table["geocount"][1])
        self.assertEqual(parsed["answer"], "action=DUNNO")
        self.assertFalse(os.path.exists(site.store))
        os.rename(os.path.dirname(site.store), f"{site.directory}/away")
        table, parsed = self.explained(site, *self.LOGIN)
        self.assertEqual([table[name][0] for name in ("accounts", "geocount")], ["error"] * 2)
        self.assertIn("DEFER_IF_PERMIT", parsed["answer"])

    def test_while_the_store_rests(self):
        """What needs no store is shown all the same, and decides."""
        site = self.cached_site()
        site.configure(**{"reputation.authenticated": "yes"})
        name = hashlib.sha256(f"sqlite:{site.store}".encode()).hexdigest()[:16]
        testenv.write_file(f"{site.cache}/.rest-store-{name}",
                           f"{int(time.time()) + 60}\nsilence\n", owner=testenv.FILTER_USER)
        table, parsed = self.explained(site, self.LOGIN[1], "client_address=9.9.9.9")
        for check in "accounts", "geocount":
            self.assertEqual(table[check][0], "error")
            self.assertIn("store rests: silence", table[check][1])
        self.assertEqual(table["reputation"][0], "act")
        self.assertIn("521 5.7.1", parsed["answer"])

    def test_outcomes(self):
        site = self.site({}, "example.net\n")
        site.put_score("9.9.9.9", 71)
        site.put_score("8.8.4.4", 12)
        site.put_score("1.1.1.1", 80, 2 * DAY)
        dunno, refused = "action=DUNNO", REFUSED.decode().strip()
        other = "client_name=mail.example.com"
        for arguments, outcomes, decided_by, answer in (
                (("9.9.9.9",), ("no opinion", "act"), "reputation", refused),
                (("8.8.4.4",), ("no opinion", "no opinion"), "", dunno),
                (("client_address=9.9.9.9", other), ("no opinion", "act"), "reputation", refused),
                (("1.2.3.4",), ("no opinion", "no opinion"), "", dunno),
                (("1.1.1.1",), ("no opinion", "act"), "reputation", refused),
                (("10.0.0.1",), ("no opinion", "no opinion"), "", dunno),
                (("9.9.9.9", "client_name=x.example.net"), ("exempt", "skipped"), "whitelist",
                 dunno),
                (("9.9.9.9", "reverse_client_name=example.net"), ("soften", "act"), "reputation",
                 "action=450 4.7.1 Bad host reputation."),
                (("9.9.9.9", "sasl_username=user"), ("no opinion", "skipped"), "", dunno),
                (("-o", "reputation.score=72", "9.9.9.9"), ("no opinion", "no opinion"), "",
                 dunno),
                (("-o", "reputation.action=log", "9.9.9.9"), ("no opinion", "would act"), "",
                 dunno),
                (("-o", "filter.dry_run=yes", "9.9.9.9"), ("no opinion", "act"), "reputation",
                 dunno),
                (("-o", "whitelist.file=", "9.9.9.9"), ("skipped", "act"), "reputation",
                 refused)):
            with self.subTest(arguments):
                table, parsed = self.explained(site, *arguments)
                self.assertEqual([outcome for outcome, _ in table.values()], list(outcomes))
                self.assertEqual((parsed["decided_by"], parsed["answer"]), (decided_by, answer))
                self.assertEqual(parsed["softened"], outcomes[0] == "soften")
                self.assertEqual(parsed["dry_run"], "filter.dry_run=yes" in arguments)
        table, parsed = self.explained(site, "9.9.9.9")
        self.assertEqual(parsed["checks"][1]["score"], 71)
        self.assertIn("score 71, limit 70", table["reputation"][1])
        self.assertEqual(self.explained(site, "1.2.3.4")[0]["reputation"][1],
                         "not in the cache; AbuseIPDB would be queried")

    def test_it_changes_nothing(self):
        site = self.site()
        site.put_score("9.9.9.9", 71)
        site.put_score("1.1.1.1", 80, 2 * DAY)
        before = listing(site.cache)
        for address in ("9.9.9.9", "1.1.1.1", "1.2.3.4", "10.0.0.1", "2a02:d540::a"):
            self.explained(site, address)
        self.put_marker(site, "api", 600, "a rest")
        self.assertIn("a rest", self.explained(site, "1.2.3.4")[0]["reputation"][1])
        os.unlink(f"{site.cache}/.rest-api")
        self.assertEqual(listing(site.cache), before)
        self.assertEqual((self.stub.requests, site.log()), ([], ""))

    def test_live_asks(self):
        site = self.site()
        self.stub.default = score(71)
        output = self.run_abictl(site, "check", "--live", "8.8.4.4")
        self.assertIn("queried now", output)
        self.assertIn(f"answer: {REFUSED.decode().strip()}  (by reputation)\n", output)
        self.assertEqual((self.stub.count(), site.cached_score("8.8.4.4")), (1, "71"))
        self.assertEqual(len(site.log_lines("reject: check=reputation")), 1)
        site = self.site()
        self.stub.default = error(503)
        output = self.run_abictl(site, "check", "--live", "8.8.4.4")
        self.assertRegex(output, r"reputation +error .*503")
        self.assertIn("answer: action=DUNNO  (filter.on_error)\n", output)
        self.assertIsNotNone(site.rest())

    def test_what_is_no_request(self):
        site = self.site()
        for argument in ("banana", "client_adress=9.9.9.9", "=x", "9.9.9.9/32", ""):
            self.run_abictl(site, "check", argument, status=DATAERR)


class Fetch(AbictlTest):

    def test_by_hand(self):
        site = self.site()
        self.stub.default = score(71)
        output = self.run_abictl(site, "fetch", "8.8.4.4")
        self.assertRegex(output, r"\A71\ncountry=CN\nisp=Example Hosting Ltd\n([a-z]+=[ -~]+\n)+\Z")
        self.assertEqual(output, testenv.read_file(f"{site.cache}/8.8.4.4"))
        # A fresh score costs no call, an old one does.
        self.assertEqual(self.run_abictl(site, "fetch", "8.8.4.4"), output)
        self.assertEqual(self.stub.count(), 1)
        site.put_score("8.8.4.4", 12, 2 * DAY)
        self.assertRegex(self.run_abictl(site, "fetch", "8.8.4.4"), r"\A71\n")
        self.assertEqual((self.stub.count(), site.cached_score("8.8.4.4")), (2, "71"))

    def test_json(self):
        site = self.site()
        self.stub.default = score(12)
        self.run_json(site, "fetch", "2A02:D540::A")
        parsed = self.run_json(site, "fetch", "2A02:D540::B")
        self.assertAlmostEqual(parsed.pop("fetched"), time.time(), delta=10)
        self.assertEqual(parsed, {
            "address": "2a02:d540::b", "asked": "2a02:d540::a", "score": 12, "reporters": 9, "reports": 25, "tor": False,
            "country": "CN", "isp": "Example Hosting Ltd",
            "usage": "Data Center/Web Hosting/Transit"})
        self.assertEqual([call.query["ipAddress"] for call in self.stub.requests],
                         ["2a02:d540::a"])

    def test_never_sent(self):
        site = self.site()
        for text in ("10.0.0.1", "192.168.1.1", "172.16.0.1", "127.0.0.1", "169.254.1.1",
                     "192.0.2.1", "100.64.0.1", "224.0.0.1", "0.0.0.0", "255.255.255.255", "::1",
                     "fe80::1", "fd00::1", "2001:db8::1", "ff02::1", "::ffff:10.0.0.1",
                     "banana", "", "8.8.4", "8.8.4.4/32", "8.8.4.4 ", "-1"):
            with self.subTest(text):
                self.assertEqual(self.run_abictl(site, "fetch", "--", text, status=DATAERR), "")
        self.assertEqual((self.stub.requests, os.listdir(site.cache)), ([], []))

    def test_failing_and_resting(self):
        site = self.site()
        self.stub.default = error(503)
        self.assertEqual(self.run_abictl(site, "fetch", "8.8.4.4", status=UNAVAILABLE), "")
        for address in ("8.8.4.4", "9.9.9.9"):
            self.assertEqual(self.run_abictl(site, "fetch", address, status=TEMPFAIL), "")
        self.assertEqual(self.stub.count(), 1)
        os.unlink(f"{site.cache}/.rest-api")
        self.put_marker(site, "ip-9.9.9.9", 600)
        self.stub.default = score(71)
        self.run_abictl(site, "fetch", "9.9.9.9", status=TEMPFAIL)
        self.run_abictl(site, "fetch", "8.8.4.4")
        self.assertEqual(self.stub.count(), 2)

    def test_another_process_asks(self):
        site = self.site({"reputation.timeout": "1s"})
        with locked(site, lock_of("8.8.4.4")):
            _, seconds = duration(lambda: self.run_abictl(site, "fetch", "8.8.4.4",
                                                          status=TEMPFAIL))
            self.assertTrue(0.9 <= seconds < 5, seconds)
            site.configure(**{"reputation.timeout": "8s"})
            self.run_abictl(site, "fetch", "9.9.9.9")
        self.assertEqual((self.stub.count("8.8.4.4"), self.stub.count()), (0, 1))


class Config(AbictlTest):

    def varied_site(self):
        """A site where hardly anything is the default."""
        return self.site({
            "filter.checks": "reputation", "filter.deadline": "3s", "filter.dry_run": "yes",
            "filter.on_error": "defer", "filter.abictl": "/nonexistent/abictl",
            "log.level": "debug", "reputation.score": "50", "reputation.min_reporters": "2",
            "reputation.action": '554 5.7.1 "$client_name"; # = ${score} % 100',
            "reputation.max_age": "2w", "reputation.daily_limit": "0",
            "reputation.proxy": "http://user:geheim@127.0.0.1:1"})

    def test_what_is_printed_can_be_read_again(self):
        for site in (self.site(), self.varied_site()):
            site.configure(**{"reputation.token_file": None, "reputation.token": site.key})
            os.chmod(site.conf, 0o640)
            os.chown(site.conf, -1, FILTER_USER.pw_gid)
            first = self.run_abictl(site, "config")
            for secret in (site.key, "geheim"):
                self.assertNotIn(secret, first + self.run_abictl(site, "config", "--json"))
            self.assertIn(f"\n# token = (hidden, {len(site.key)} characters)\n", first)
            testenv.write_file(site.conf, first)
            without = re.sub(r"# (token|proxy) = \(hidden, \d+ characters\)\n", r"\1 =\n", first)
            self.assertEqual(self.run_abictl(site, "config"), without)
            testenv.write_file(site.conf, without)
            self.assertEqual(self.run_abictl(site, "config"), without)

    def test_what_differs_from_the_defaults(self):
        empty = testenv.write_file(f"{testenv.new_directory('conf')}/conf", "# nothing\n")
        site = self.site()
        self.assertEqual(self.run_abictl(site, "-c", empty, "config", "-n"), "")
        full = self.run_abictl(site, "-c", empty, "config")
        testenv.write_file(empty, full)
        self.assertEqual(self.run_abictl(site, "-c", empty, "config", "-n"), "")
        self.assertEqual(
            self.run_abictl(site, "-c", empty, "-o", "reputation.score=50", "config", "-n",
                            "-o", "log.target=none"),
            "[log]\ntarget = none\n\n[reputation]\nscore = 50\n")
        self.assertEqual(json.loads(self.run_abictl(
            site, "-c", empty, "-o", "reputation.score=50", "config", "-n", "--json")),
                         {"reputation": {"score": "50"}})

    def test_single_values(self):
        site = self.varied_site()
        site.configure(**{"reputation.token_file": None, "reputation.token": site.key})
        os.chmod(site.conf, 0o640)
        os.chown(site.conf, -1, FILTER_USER.pw_gid)
        self.assertEqual(self.run_abictl(
            site, "config", "reputation.score", "filter.deadline", "reputation.token",
            "reputation.proxy", "reputation.ca_file", "reputation.cache_ttl"),
                         "50\n3s\n(hidden)\n(hidden)\n\n24h\n")
        for name in ("reputation.banana", "score", "banana", "reputation.", ".score", ""):
            self.assertEqual(self.run_abictl(site, "config", name, status=DATAERR), "")
        parsed = self.run_json(site, "config")
        self.assertEqual(list(parsed), ["filter", "log", "whitelist", "reputation", "geocount",
                                        "authbl", "accounts", "blacklist", "store"])
        self.assertEqual((parsed["reputation"]["token"], parsed["reputation"]["proxy"],
                          parsed["reputation"]["score"]), (None, None, "50"))

    def test_sections(self):
        site = self.site({"reputation.score": "50", "store.timeout": "2s"})
        sections = self.run_abictl(site, "config").split("\n\n")
        for words in (("reputation",), ("store", "filter"), ("filter", "store")):
            chosen = [text for text in sections if text[1:text.index("]")] in words]
            self.assertEqual(self.run_abictl(site, "config", *words),
                             "\n\n".join(chosen).rstrip() + "\n")
        self.assertEqual(self.run_abictl(site, "config", "-n", "store"),
                         f"[store]\nurl = sqlite:{site.store}\ntimeout = 2s\n")
        self.assertEqual(list(self.run_json(site, "config", "store")), ["store"])
        self.assertEqual(self.run_json(site, "config", "reputation.score", "store.timeout"),
                         {"reputation": {"score": "50"}, "store": {"timeout": "2s"}})
        for words in (("store.url", "filter"), ("filter", "store.url"), ("-n", "store.url")):
            self.run_abictl(site, "config", *words, status=USAGE)

    def test_every_command_names_file_and_line(self):
        site = self.site()
        testenv.write_file(site.conf, "[filter]\n\ndeadline = long\n")
        for command in (("config",), ("config", "-n"), ("--json", "config"), ("selftest",),
                        ("check", "8.8.4.4"), ("fetch", "8.8.4.4"), ("cache", "show"),
                        ("config", "log.level")):
            result = site.abictl(*command)
            self.assertEqual((result.returncode, result.stdout), (CONFIG, ""))
            self.assertRegex(result.stderr,
                             rf"\Aabictl: {re.escape(site.conf)}:3: filter\.deadline: .+\n\Z")
        self.run_abictl(site, "-c", "/nonexistent", "config", status=CONFIG)


class Sections(AbictlTest):
    """An error in the section of a check stops what relies on it, and nothing else."""

    NAMES = ("whitelist", "reputation", "geocount", "authbl", "accounts", "blacklist", "store")
    ALL = "accounts authbl geocount whitelist blacklist reputation"
    # What is not run, by the section that is in error.
    STOPPED = {
        "whitelist": {"scan", "blacklist", "whitelist"}, "reputation": {"fetch", "cache"},
        "geocount": {"store"}, "authbl": set(), "accounts": {"accounts", "run-command"},
        "blacklist": {"scan", "blacklist"},
        "store": {"scan", "blacklist", "accounts", "logins", "store"}}
    COMMANDS = {
        "scan": ("scan", "LOG"), "blacklist": ("blacklist", "add", "9.9.9.9"),
        "accounts": ("accounts", "add", "user@example.org"), "logins": ("logins",),
        "whitelist": ("whitelist",), "store": ("store", "purge"), "fetch": ("fetch", "8.8.4.4"),
        "cache": ("cache", "clean"), "run-command": ("run-command", "user@example.org")}

    def wrong_site(self, *sections, options=()):
        """A site with a typo in these sections; where the message says it is."""
        site = self.site({
            **ACCOUNTS_STOP, "filter.checks": self.ALL, "accounts.command": "/bin/true",
            "blacklist.snapshot": f"{testenv.new_directory('list')}/blacklist.cdb",
            **dict(options)})
        os.chown(os.path.dirname(site.options["blacklist.snapshot"]), FILTER_USER.pw_uid,
                 FILTER_USER.pw_gid)
        site.put_score("9.9.9.9", 71)
        self.stub.default = score(12)
        with open(site.conf, "a", encoding="ascii") as file:
            for section in sections:
                file.write(f"[{section}]\ntypo = 1\n")
        lines = testenv.read_file(site.conf).splitlines()
        return site, [f"{site.conf}:{number}: {lines[number - 2][1:-1]}.typo: unknown key"
                      for number, line in enumerate(lines, 1) if line.startswith("typo")]

    def test_what_is_stopped(self):
        for section in self.NAMES:
            site, messages = self.wrong_site(section)
            for name, command in {**self.COMMANDS, "config": ("config",)}.items():
                with self.subTest(section, command=name):
                    result = site.abictl(
                        *(site.whitelist if word == "LOG" else word for word in command))
                    stopped = name == "config" or name in self.STOPPED[section]
                    self.assertEqual(result.returncode, CONFIG if stopped else OK, result)
                    self.assertEqual(
                        result.stderr, f"abictl: {'' if stopped else 'warning: '}{messages[0]}\n")
                    if stopped:
                        self.assertEqual(result.stdout, "")

    def test_what_reads_goes_on(self):
        for section in self.NAMES:
            site, messages = self.wrong_site(section)
            for command in (("check", "8.8.4.4"), ("cache", "show"),
                            *((("store", "status"),) if section != "store" else ())):
                with self.subTest(section, command=command):
                    result = site.abictl(*command)
                    self.assertEqual((result.returncode, result.stderr),
                                     (OK, f"abictl: warning: {messages[0]}\n"))
                    self.assertNotEqual(result.stdout, "")
        site, messages = self.wrong_site("store")
        result = site.abictl("store", "status")
        self.assertEqual((result.returncode, result.stdout), (CONFIG, ""))
        self.assertIn(f"abictl: {messages[0]}\n", result.stderr)

    def test_config_tells_all(self):
        site, messages = self.wrong_site(*self.NAMES)
        self.assertEqual(len(messages), len(self.NAMES))
        result = site.abictl("config")
        self.assertEqual((result.returncode, result.stdout), (CONFIG, ""))
        self.assertEqual(result.stderr.splitlines(), [f"abictl: {text}" for text in messages])
        # Also before one that spoils the whole.
        with open(site.conf, "a", encoding="ascii") as file:
            file.write("[banana]\n")
        for command in ("config", "selftest"):
            result = site.abictl(command)
            self.assertEqual((result.returncode, result.stdout), (CONFIG, ""))
            self.assertEqual(result.stderr.splitlines()[:-1],
                             [f"abictl: {text}" for text in messages])
            self.assertRegex(result.stderr, r":\d+: \[banana\]: unknown section\n\Z")

    def test_check_tells_why(self):
        in_error = {"whitelist": ["whitelist", "blacklist", "reputation"],
                    "store": ["accounts", "geocount"], "accounts": ["accounts", "authbl"]}
        for section in self.NAMES:
            with self.subTest(section):
                site, messages = self.wrong_site(section, options={
                    "authbl.zones": "authbl.example.net=127.0.0.4",
                    "authbl.resolver": "127.0.0.1:1", "reputation.authenticated": "yes",
                    "blacklist.authenticated": "yes"})
                result = site.abictl("--json", "check", "192.0.2.1",
                                     "sasl_username=user@example.org")
                checks = json.loads(result.stdout)["checks"]
                self.assertEqual(
                    [check["check"] for check in checks if check["reason"] == messages[0]],
                    in_error.get(section, [section]))
                for check in checks:
                    if check["reason"] == messages[0]:
                        self.assertEqual(check["outcome"], "error")
                self.assertFalse(os.path.exists(site.store) and section == "store")

    def test_selftest_tells_and_goes_on(self):
        left_out = {"reputation": ["cache", "AbuseIPDB"], "accounts": ["accounts.command"]}
        for section in self.NAMES:
            with self.subTest(section):
                site, messages = self.wrong_site(section)
                before = self.stub.count()
                result = site.abictl("selftest")
                self.assertEqual((result.returncode, result.stderr), (FAILED, ""))
                lines = result.stdout.splitlines()
                self.assertIn(f"FAIL  configuration: {messages[0]}", lines)
                self.assertEqual(
                    [line[6:].partition(":")[0] for line in lines if "skipped: see" in line],
                    left_out.get(section, [section]), lines)
                self.assertEqual(self.stub.count() - before, section != "reputation")
                self.assertEqual(os.path.exists(site.store), section != "store")
        results = json.loads(site.abictl("--json", "selftest").stdout)
        self.assertIn({"result": "FAIL", "subject": "configuration", "text": messages[0],
                       "try": f"sudo ${{EDITOR:-vi}} {site.conf}"}, results)

    def test_a_store_that_nobody_meant_is_not_used(self):
        # authbl remembers nothing, and the store that is the default is not put to rest.
        site, messages = self.wrong_site("store")
        for _ in range(2):
            reply, status = answer_to(site, request("192.0.2.1", sasl_method="PLAIN",
                                                    sasl_username="user@example.org"))
            self.assertEqual((reply, status), (b"action=DUNNO\n\n", CLEAN_EXIT))
        self.assertFalse(os.path.exists(site.store))
        self.assertEqual([name for name in os.listdir(site.cache) if "rest" in name], [])
        self.assertEqual(len(site.log_lines(f"error: {re.escape(messages[0])}; checks in error: "
                                            "accounts, geocount; the others still run")), 2)
        good = self.site(ACCOUNTS_STOP)
        self.run_abictl(good, "accounts", "add", "user")
        for words in ((site.conf, f"sqlite:{site.store}"), (f"sqlite:{good.store}", site.conf)):
            result = good.abictl("store", "copy", *words)
            self.assertEqual((result.returncode, result.stderr),
                             (CONFIG, f"abictl: {messages[0]}\n"))

    def test_logins_stay_while_their_window_is_not_known(self):
        site, _ = self.wrong_site("geocount", options={"geocount.addresses": "9"})
        site.abictl("store", "status")
        site.query("INSERT INTO postfwd_logins (sasl_username, ip_address, login_count, last_login)"
                   " VALUES ('user', '8.8.4.4', 1, '2020-01-01 00:00:00')")
        for expected in (1, 0):
            result = site.abictl("scan", site.whitelist)
            self.assertEqual(result.returncode, OK, result)
            self.assertEqual(site.query("SELECT count(*) FROM postfwd_logins"), [(expected,)])
            site.configure()  # without the typo
            for name in os.listdir(site.cache):
                if name.startswith(".rest-"):
                    os.unlink(f"{site.cache}/{name}")


class Selftest(AbictlTest):
    """Postfix is the machine's own, and has no part in it, but for the test of it."""

    ALL_OK = [("ok", subject) for subject in ("configuration", "log", "whitelist", "cache",
                                              "store", "abictl", "AbuseIPDB")]

    def good_site(self, options=()):
        """A site whose paths do not lead to where everybody can write."""
        site = self.site({}, "example.net\n192.0.2.0/24\n")
        testenv.write_file(site.log_file, "", 0o640, FILTER_USER)
        self.move_from_tmp(site, options)
        return site

    def results(self, site, status, *arguments, **keywords):
        """[(result, subject, text)], and the exit status is this."""
        output = self.run_abictl(site, *arguments, "selftest", status=status, **keywords)
        *lines, closing = (line for line in output.splitlines() if not line.startswith("      try: "))
        self.assertRegex(closing, r"^\d+ problems?, \d+ hints?$")
        lines = [re.fullmatch(r"(ok|skip|warn|FAIL) +([A-Za-z]+): ([ -~]+)", line).groups()
                 for line in lines]
        self.assertEqual(status == FAILED, any(line[0] == "FAIL" for line in lines), lines)
        return lines

    def assert_found(self, site, result, subject, text):
        """This is said, and all the rest is ok, or cannot be tried because of it."""
        lines = self.results(site, FAILED if result == "FAIL" else OK)
        found = [line for line in lines if line[0] != "ok" and line[1] != "Postfix"
                 and not (subject == "cache" and "cannot count API calls" in line[2])]
        self.assertEqual([line[:2] for line in found], [(result, subject)], lines)
        self.assertRegex(found[0][2], text)

    def assert_all_ok(self, site, **keywords):
        lines = self.results(site, OK, **keywords)
        self.assertEqual([line[:2] for line in lines if line[1] != "Postfix"], self.ALL_OK, lines)

    def test_all_is_well(self):
        site = self.good_site()
        self.assert_all_ok(site)
        self.assertEqual([(item["result"], item["subject"])
                          for item in self.run_json(site, "selftest")
                          if item["subject"] != "Postfix"], self.ALL_OK)
        self.assertEqual({call.query["ipAddress"] for call in self.stub.requests}, {"1.1.1.1"})
        self.assertNotIn(".tmp", " ".join(os.listdir(site.cache)))
        self.assertEqual(site.log(), "")

    def test_options(self):
        for option, value, result, subject, text in (
                ("log.target", "/nonexistent/log", "FAIL", "log", "/nonexistent/log"),
                ("log.target", "/etc/passwd", "FAIL", "log", "Permission denied"),
                ("whitelist.file", "/nonexistent/list", "warn", "whitelist", "/nonexistent/list"),
                ("whitelist.file", "/run", "FAIL", "whitelist", "directory"),
                ("whitelist.file", "", "skip", "whitelist", "not set"),
                ("whitelist.file", "/var/tmp/list", "warn", "configuration", "world-writable"),
                ("reputation.cache_dir", "/nonexistent/cache", "FAIL", "cache", "No such file"),
                ("reputation.cache_dir", "", "warn", "cache", "not set"),
                ("filter.abictl", "/nonexistent/abictl", "FAIL", "abictl", "/nonexistent/abictl"),
                ("filter.abictl", "/etc/passwd", "FAIL", "abictl", "Permission denied"),
                ("reputation.token_file", None, "warn", "AbuseIPDB", "not set"),
                ("reputation.token_file", "/nonexistent", "FAIL", "AbuseIPDB", "/nonexistent"),
                ("reputation.url", "http://127.0.0.1:1", "FAIL", "AbuseIPDB", "127.0.0.1:1: ."),
                ("reputation.stale_ttl", "1h", "warn", "configuration", "stale_ttl")):
            with self.subTest(option, value=value):
                site = self.good_site({option: value})
                if subject == "configuration" and option == "whitelist.file":
                    self.assertIn((result, subject), [line[:2] for line in self.results(site, OK)])
                else:
                    self.assert_found(site, result, subject, text)

    def test_database_and_store(self):
        site = self.good_site({"filter.checks": "geocount",
                               "geocount.database": "/nonexistent/x.mmdb"})
        results = self.results(site, FAILED)
        self.assertIn(("ok", "store"), [result[:2] for result in results])
        self.assertIn(("FAIL", "geocount"), [result[:2] for result in results])
        os.unlink(f"{site.directory}/store/abichecker.db")
        os.mkdir(f"{site.directory}/store/abichecker.db")
        self.assertIn(("FAIL", "store"), [result[:2] for result in self.results(site, 1)])

    def test_files(self):
        def chmod(mode, name):
            return lambda site: os.chmod(f"{site.directory}/{name}", mode)

        def write(name, text):
            return lambda site: testenv.write_file(f"{site.directory}/{name}", text, 0o640,
                                                   FILTER_USER)
        for name, break_it, result, subject, text in (
                ("log", chmod(0o400, "log/abichecker.log"), "FAIL", "log", "Permission"),
                ("whitelist", write("whitelist.txt", "example.net\nno name!\n"), "warn",
                 "whitelist", r"whitelist\.txt:2: "),
                ("cache for all", chmod(0o777, "cache"), "FAIL", "cache", "is writable by others"),
                ("cache read-only", chmod(0o500, "cache"), "FAIL", "cache", "cannot write"),
                ("lock", write("cache/.lock", ""), "FAIL", "cache", r"\.lock"),
                ("key for all", chmod(0o444, "key"), "warn", "AbuseIPDB", "world-readable"),
                ("key secret", lambda site: os.chown(f"{site.directory}/key", 0, 0), "FAIL",
                 "AbuseIPDB", "Permission"),
                ("no key", write("key", "\n"), "FAIL", "AbuseIPDB", "no key"),
                ("configuration for all", chmod(0o646, "abichecker.conf"), "warn",
                 "configuration", "world-writable"),
                ("budget", write("cache/.budget", f"{int(time.time()) // DAY} 1000\n"), "warn",
                 "AbuseIPDB", "used up"),
                ("rest", lambda site: self.put_marker(site, "api", 600, "HTTP status 429"), "warn",
                 "AbuseIPDB", "429")):
            with self.subTest(name):
                site = self.good_site()
                calls = self.stub.count()
                break_it(site)
                self.assert_found(site, result, subject, text)
                if subject == "AbuseIPDB" and name != "key for all":
                    self.assertEqual(self.stub.count(), calls)

    def test_a_wrong_key_and_the_right_one(self):
        site = self.good_site()
        self.stub.key = site.key[::-1]
        self.assert_found(site, "FAIL", "AbuseIPDB", "401")
        self.assertIn("401", site.rest()[1])
        self.stub.key = site.key
        self.assert_all_ok(site)
        self.assertIsNone(site.rest())  # so that the filters ask again

    def test_run_by_root(self):
        site = self.good_site()
        self.assert_all_ok(site, **AS_ROOT)
        site = self.good_site()
        os.chown(site.cache, 0, 0)
        found = [line[1:] for line in self.results(site, OK, **AS_ROOT) if line[0] == "warn"]
        self.assertTrue(any(subject == "cache" and "root" in text for subject, text in found))


class Usage(AbictlTest):

    def test_wrong(self):
        site = self.site()
        for line in ("", "banana", "cache banana", "cache drop", "check", "fetch",
                     "cache drop 8.8.4.4 9.9.9.9", "cache show 8.8.4.4 9.9.9.9",
                     "cache clean all", "cache prefetch all", "cache prefetch --limit",
                     "cache prefetch --limit 0", "cache prefetch --limit lots",
                     "fetch 8.8.4.4 9.9.9.9", "selftest now", "--banana config", "config -x",
                     "-o", "-c", "--live config", "fetch --live 8.8.4.4", "config --limit 5",
                     "-n selftest", "--lock-fd=3 cache show", "fetch --lock-fd=0 8.8.4.4",
                     "accounts add", "accounts --json=1", "blacklist remove",
                     "blacklist remove --all 8.8.4.4", "scan --dry-run --follow",
                     "logins --json --csv", "logins --report banana", "postfix enable mail",
                     "postfix status --instance etc", "store copy x", "help accounts banana",
                     "help banana", "geoip", "geoip fetch"):
            arguments = line.split()
            with self.subTest(arguments):
                result = site.abictl(*arguments)
                self.assertEqual((result.returncode, result.stdout), (USAGE, ""))
                self.assertRegex(result.stderr, r"\A(usage: abictl|abictl: .)")
        self.assertEqual(self.stub.requests, [])

    def assert_told(self, line, status, *messages):
        """So a command line fails, although there is no configuration to be read."""
        result = self.site().abictl("-c", "/nonexistent", *line.split())
        self.assertEqual((result.returncode, result.stdout), (status, ""), line)
        self.assertEqual(result.stderr, "".join(f"abictl: {text}\n" for text in messages))

    def test_what_is_wrong_is_named_before_the_configuration_is_read(self):
        for line, *messages in (
                ("accounts add", "accounts add: USER is missing",
                 "usage: abictl accounts add USER [NOTE]"),
                ("store copy x", "store copy: TO is missing",
                 "usage: abictl store copy [--json] FROM TO"),
                ("cache clean all", "cache clean: `all' is one argument too many",
                 "usage: abictl cache clean [--json]"),
                ("cache clean --limit 3", "--limit is not an option of `cache clean'",
                 "usage: abictl cache clean [--json]"),
                ("cache prefetch --limit lots", "--limit: `lots' is not a number from 1 to 1000000"),
                ("cache prefetch --limit", "--limit: a value is missing"),
                ("blacklist add --ban 1y 8.8.4.4",
                 "--ban: `1y' is not a time such as 12h or 7d, up to 3650d"),
                ("postfix status --instance etc", "--instance: `etc' is not an absolute path"),
                ("config --json=yes", "--json=yes: this option has no value"),
                ("-c", "-c: a value is missing"),
                ("postfix enable mail", "postfix enable: `mail' is not one of [mx] [submission] [map]",
                 "usage: abictl postfix enable [--dry-run] [--instance DIR] [mx] [submission] [map]"),
                ("logins --report sumary", "--report: `sumary' is no report (did you mean summary?)")):
            self.assert_told(line, USAGE, *messages)
        for line, message in (
                ("cache show 8.8", "8.8: not an address"), ("fetch 8.8", "8.8: not an address"),
                ("fetch 10.0.0.1", "10.0.0.1: not a global address: never looked up"),
                ("check 8.8", "8.8: neither an address nor name=value with a policy attribute"),
                ("config reputation.scor",
                 "reputation.scor: unknown section or option (did you mean reputation.score?)")):
            self.assert_told(line, DATAERR, message)

    def test_words_that_are_nearly_right(self):
        for line, message in (
                ("accounts lst", "`lst' is an unknown verb of `accounts' (did you mean list?); "
                 "see abictl help accounts"),
                ("logins forgte ann",
                 "`forgte' is an unknown verb of `logins' (did you mean forget?); "
                 "see abictl help logins"),
                ("accounts --jsonn", "unknown option --jsonn (did you mean --json?)"),
                ("accounts --js", "unknown option --js (did you mean --json?)"),  # no abbreviation
                ("cache prefetch --lim=3", "unknown option --lim (did you mean --limit?)"),
                ("cache prefetch --lim 3", "unknown option --lim (did you mean --limit?)")):
            self.assert_told(line, USAGE, message)

    def test_a_noun_alone_lists(self):
        site = self.site(ACCOUNTS_STOP)
        self.run_abictl(site, "accounts", "add", "ann")
        for noun, verb in (("accounts", "list"), ("blacklist", "list"), ("cache", "show"),
                           ("logins", "list"), ("store", "status")):
            output = self.run_abictl(site, noun)
            self.assertEqual(output, self.run_abictl(site, noun, verb))
            self.assertNotEqual(output, "")

    @staticmethod
    def with_lists():
        """Options of a site whose snapshot can be written."""
        directory = testenv.new_directory("list", FILTER_USER)
        return {**ACCOUNTS_STOP, "blacklist.snapshot": f"{directory}/blacklist.cdb"}

    def test_other_words_for_what_takes_something_away(self):
        site = self.site(self.with_lists())
        for verb in ("remove", "delete", "release", "drop", "forget"):
            self.run_abictl(site, "accounts", "add", "ann")
            site.put_score("8.8.4.4", 71)
            for words in (("accounts", verb, "ann"), ("cache", verb, "8.8.4.4")):
                self.run_abictl(site, *words)
                self.run_abictl(site, *words, status=ABSENT)
            self.run_abictl(site, "logins", verb, "ann", status=ABSENT)
            self.run_abictl(site, "blacklist", verb, "8.8.4.4", status=ABSENT)

    def test_what_is_not_there(self):
        site = self.site(self.with_lists())
        for words in (("accounts", "show", "ann"), ("accounts", "release", "ann"),
                      ("blacklist", "show", "8.8.4.4"), ("blacklist", "remove", "8.8.4.4"),
                      ("cache", "drop", "8.8.4.4"), ("logins", "ann"), ("logins", "forget", "ann")):
            self.assertRegex(site.abictl(*words).stderr, r"\Aabictl: .*\b(not|no)\b.*\n\Z")
            self.assertEqual(site.abictl(*words).returncode, ABSENT, words)

    def test_success_is_told_unless_it_is_not_wanted(self):
        site = self.site({**ACCOUNTS_STOP, "accounts.command": "/bin/true"})
        self.assertEqual(self.on_terminal(site, "run-command", "ann"), "ran /bin/true for ann")
        self.assertEqual(self.on_terminal(site, "accounts", "add", "ann"), "added ann")
        self.assertEqual(self.on_terminal(site, "accounts", "release", "ann"), "released ann")
        self.assertEqual(self.on_terminal(site, "store", "purge"), "0 removed")
        for option in ("-q", "--quiet"):
            for words in (("accounts", "add", "ann"), ("accounts", "release", "ann"),
                          ("store", "purge"), ("cache", "clean")):
                self.assertEqual(self.on_terminal(site, option, *words), "", words)

    def test_help_of_commands(self):
        """For each of the table, how it is called, and an example of it."""
        site = self.site()
        overview = self.run_abictl(site, "help")
        commands = re.findall(r"^  ([a-z][a-z-]*)((?: [a-z]+)?)(?= |$)", overview, re.MULTILINE)
        self.assertGreater(len(commands), 20)
        for noun, verb in commands:
            words = (noun, *verb.split())
            text = self.run_abictl(site, "help", *words)
            self.assertTrue(text.startswith("abictl " + " ".join(words)), text)
            example, = re.findall(r"^    example: abictl (.*)$", text, re.MULTILINE)
            self.assertTrue(example.startswith(noun), example)
            for line in ((*words, "--help"), ("-h", *words), ("-c", "/nonexistent", *words, "-h")):
                self.assertEqual(self.run_abictl(site, *line), text)
            self.assertIn(text.partition("\n")[0][:40], self.run_abictl(site, "help", noun))

    def test_before_anything_is_set_up(self):
        """No configuration file, nor what `make install` makes: not only `No such file'."""
        if os.path.exists("/etc/abichecker/abichecker.conf"):
            self.skipTest("abichecker is set up on this machine")
        for words in (("accounts",), ("cache",), ("logins",), ("cache", "drop", "8.8.4.4")):
            result = subprocess.run(
                [testenv.program("abictl"), "-o", "store.url=sqlite:/nonexistent/store.db", "-o",
                 "reputation.cache_dir=/nonexistent/cache", "-o", "log.target=none", *words],
                capture_output=True, text=True, check=False, **testenv.Site.as_filter_user())
            self.assertEqual((result.returncode, result.stdout), (CONFIG, ""))
            self.assertEqual(result.stderr, "abictl: not set up yet: /etc/abichecker/abichecker.conf "
                             "is missing; see abichecker(8)\n")

    def test_what_begins_with_a_hyphen_goes_behind_two(self):
        site = self.site(ACCOUNTS_STOP)
        for name in ("-name@example.org", "-h", "--json", "--", "-"):
            for arguments in (("accounts", "add", "--", name), ("--", "accounts", "add", name),
                              ("accounts", "--", "show", name), ("accounts", "release", "--", name)):
                result = site.abictl(*arguments)
                self.assertEqual(result.returncode, OK, (arguments, result))
            for words in (("logins", "--", name), ("logins", "forget", "--", name)):
                self.assertIn(f"abictl: {name}: no logins\n", site.abictl(*words).stderr)
            self.assertEqual(site.abictl("run-command", "--", name).returncode, CONFIG)  # none set
        self.assertEqual(len(self.run_json(site, "accounts")), 0)
        self.run_abictl(site, "accounts", "add", "--", "-name@example.org", "- a note")
        account, = self.run_json(site, "accounts")
        self.assertEqual((account["user"], account["reason"]), ("-name@example.org", "- a note"))
        result = site.abictl("accounts", "add", "-name@example.org")
        self.assertEqual((result.returncode, result.stdout), (USAGE, ""))
        self.assertIn("`--' before arguments that begin with `-'", result.stderr)

    def test_an_unknown_command(self):
        site = self.site()
        for word, hint in (("acounts", " (did you mean accounts?)"), ("banana", "")):
            result = site.abictl(word)
            self.assertEqual(result.returncode, USAGE)
            self.assertEqual(result.stderr, f"abictl: `{word}' is an unknown command{hint}; "
                             "see abictl --help\n")

    def test_help_and_version(self):
        site = self.site()
        for option in ("--help", "-h"):
            self.assertIn("cache show [IP]", self.run_abictl(site, option))
        self.assertRegex(self.run_abictl(site, "--version"), r"\Aabictl \d+\.\d+\.\d+\n\Z")

    def test_output_that_cannot_be_written(self):
        with open("/dev/full", "w", encoding="ascii") as full:
            result = self.site().abictl("config", capture_output=False, stdout=full,
                                        stderr=subprocess.DEVNULL)
        self.assertEqual(result.returncode, 74)


class AsRoot(AbictlTest):
    """Run by root, both programs take the identity of the cache directory's owner."""

    def assert_owned(self, path):
        status = os.stat(path)
        self.assertEqual((status.st_uid, status.st_gid), (FILTER_USER.pw_uid, FILTER_USER.pw_gid))

    def test_what_they_make_belongs_to_it(self):
        site = self.site()
        self.stub.default = score(71)
        for number, run in enumerate((
                lambda address: self.assertEqual(answer_to(site, request(address), **AS_ROOT),
                                                 (REFUSED, CLEAN_EXIT)),
                lambda address: self.run_abictl(site, "fetch", address, **AS_ROOT))):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(site.log_file)
            run(f"9.9.9.{number}")
            for name in os.listdir(site.cache):
                self.assertEqual(os.stat(f"{site.cache}/{name}").st_uid, FILTER_USER.pw_uid, name)
            self.assert_owned(site.log_file)
        # Its user goes on where root began.
        self.assert_answers(REFUSED * 2, site, request("9.9.9.0"), request("9.9.9.1"))
        self.assertEqual(self.stub.count(), 2)

    def test_an_owner_that_a_wrong_line_names(self):
        # Whose cache it is nobody knows then; the store's directory tells, too.
        for line in ("cache_dir = cache", "cachedir = /cache"):
            with self.subTest(line):
                site = self.site({"filter.checks": "accounts", "reputation.cache_dir": None})
                testenv.write_file(site.conf,
                                   testenv.read_file(site.conf) + f"[reputation]\n{line}\n")
                self.assertEqual(answer_to(site, request("9.9.9.9", sasl_username="user"),
                                           **AS_ROOT), (b"action=DUNNO\n\n", CLEAN_EXIT))
                self.run_abictl_warned(site, "accounts", "add", "user", **AS_ROOT)
                self.assert_owned(site.store)

    def run_abictl_warned(self, site, *arguments, **keywords):
        result = site.abictl(*arguments, **keywords)
        self.assertEqual(result.returncode, OK)
        self.assertRegex(result.stderr, r"\Aabictl: warning: .*: reputation\.")

    def test_a_log_that_was_there_keeps_its_owner(self):
        for content, links in (("a line\n", 1), ("", 2)):
            with self.subTest(content, links=links):
                site = self.site()
                victim = testenv.write_file(f"{os.path.dirname(site.log_file)}/victim", content)
                (os.link if links == 2 else os.rename)(victim, site.log_file)
                self.run_abictl(site, "fetch", "8.8.4.4", **AS_ROOT)
                self.assertEqual(os.stat(site.log_file).st_uid, 0)


if __name__ == "__main__":
    unittest.main()
