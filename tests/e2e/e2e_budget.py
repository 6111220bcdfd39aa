#!/usr/bin/python3
"""The budget of API calls is shared: no stranger can spend it, and who finds it used up is not
taken for an error.

    python3 tests/e2e/e2e_budget.py [-v] [Class.test ...]
"""
import concurrent.futures
import ipaddress
import os
import re
import sys
import time
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import testenv  # noqa: E402
from apistub import error, score, slow, with_headers  # noqa: E402
from filter import DUNNO, REFUSED, Filter, request  # noqa: E402
from sitetest import DAY, SiteTest, seconds_to_midnight  # noqa: E402

NETWORK = "2a02:d540:0:1::"
PROCESSES = 8


def addresses_of(network, count, step=1):
    """So many addresses from this one on."""
    first = ipaddress.ip_address(network)
    return [str(first + number * step) for number in range(1, count + 1)]


class BudgetTest(SiteTest):

    def setUp(self):
        if seconds_to_midnight() < 60:
            self.skipTest("too near to midnight")

    def connections(self, site, addresses):
        """A request from each address, by several filters at once; the replies in any order."""
        def serve(share):
            with Filter(site) as filter_:
                return [filter_.ask(address) for address in share]
        with concurrent.futures.ThreadPoolExecutor(PROCESSES) as pool:
            shares = [addresses[number::PROCESSES] for number in range(PROCESSES)]
            return [reply for replies in pool.map(serve, shares) for reply in replies]

    def put_budget(self, site, used, age=0):
        """So many calls were made today, the last so many seconds ago."""
        site.put_score(".budget", f"{int(time.time()) // DAY} {used}\n", age)


class Networks(BudgetTest):
    """No network gets more than its share."""

    def assert_calls(self, site, calls, addresses, replies):
        self.stub.requests.clear()
        got = self.connections(site, addresses)
        self.assertEqual(self.stub.count(), calls)
        self.assertEqual({reply: got.count(reply) for reply in got}, replies)
        self.assertEqual(site.log_lines(" error: "), [])
        # Somebody else is judged all the same.
        self.stub.default = score(71)
        self.assert_answers(REFUSED * 2, site, request("2a02:d541::1"), request("1.1.1.1"))

    def test_a_thousand_addresses_of_one_64(self):
        for value, prefix, calls, replies in (
                (0, None, 1, {DUNNO: 1000}),
                (71, None, 8, {REFUSED: 8, DUNNO: 992}),
                (0, "128", 8, {DUNNO: 1000}),
                (71, "128", 8, {REFUSED: 8, DUNNO: 992})):
            with self.subTest(score=value, prefix=prefix):
                site = self.site({"filter.on_error": "defer", "reputation.timeout": "5s",
                                  "reputation.ipv6_prefix": prefix})
                self.stub.default = score(value)
                self.assert_calls(site, calls, addresses_of(NETWORK, 1000), replies)

    def test_the_64s_of_one_48(self):
        for limit, calls in (("1000", 20), ("0", 20), ("200", 4), ("40", 1)):
            with self.subTest(limit):
                site = self.site({"reputation.daily_limit": limit, "reputation.timeout": "5s"})
                self.stub.default = score(71)
                self.assert_calls(site, calls, addresses_of("2a02:d540::", 200, 1 << 64),
                                  {REFUSED: calls, DUNNO: 200 - calls})

    def test_the_addresses_of_one_24(self):
        for limit, calls in (("1000", 20), ("0", 20), ("200", 4), ("40", 1)):
            with self.subTest(limit):
                site = self.site({"reputation.daily_limit": limit, "reputation.timeout": "5s"})
                self.stub.default = score(71)
                self.assert_calls(site, calls, addresses_of("8.8.4.0", 255),
                                  {REFUSED: calls, DUNNO: 255 - calls})

    def test_only_calls_that_are_made_leave_a_file(self):
        site = self.site({"reputation.timeout": "5s"})
        self.stub.default = score(71)
        self.connections(site, addresses_of(NETWORK, 1000))
        self.assertEqual(sorted(name for name in os.listdir(site.cache) if name[0] == "."),
                         [".budget", ".budget-2a02:d540:0:1::-64", ".budget-2a02:d540::-48",
                          ".lock"])
        self.assertEqual(len(os.listdir(site.cache)), 4 + 8)
        for name in os.listdir(site.cache):
            if name.startswith(".budget"):
                self.assertEqual(testenv.read_file(f"{site.cache}/{name}"),
                                 f"{int(time.time()) // DAY} 8\n")

    def test_a_share_that_is_used_up_is_told_once_and_explained(self):
        site = self.site({"reputation.timeout": "5s"})
        self.stub.default = score(71)
        self.connections(site, addresses_of(NETWORK, 100))
        line, = site.log_lines("2a02:d540:0:1::/64")
        self.assertRegex(line, r" warning: AbuseIPDB: .*2a02:d540:0:1::/64.* \(8\)")
        client = f"{NETWORK}abcd"
        for command in (("check", client), ("cache", "show", client)):
            self.assertRegex(site.abictl(*command).stdout, "calls for 2a02:d540:0:1::/64 are used")
        self.assertRegex(site.abictl("fetch", client).stderr, "2a02:d540:0:1::/64 are used up")
        self.assertEqual(self.stub.count(), 8)

    def test_the_next_day_they_get_their_calls_again(self):
        site = self.site({"reputation.timeout": "5s"})
        self.stub.default = score(71)
        for name in (".budget-2a02:d540:0:1::-64", ".budget-2a02:d540::-48", ".budget"):
            site.put_score(name, f"{int(time.time()) // DAY - 1} 1000\n", DAY)
        self.assert_answers(REFUSED, site, request(f"{NETWORK}1"))


class UsedUp(BudgetTest):
    """A budget that is used up is no opinion, whatever filter.on_error says."""

    def assert_no_opinion(self, site, address, reason, calls=0):
        self.stub.requests.clear()
        self.assert_answers(DUNNO, site, request(address))
        self.assertEqual(self.stub.count(), calls)
        self.assertEqual(site.log_lines(" error: "), [])
        checked = site.abictl("check", address)
        self.assertEqual(checked.returncode, 0)
        self.assertRegex(checked.stdout, f"reputation +no opinion .*not in the cache; .*{reason}")

    def deferring_site(self, options=()):
        return self.site({"filter.on_error": "defer", "log.level": "debug", **dict(options)})

    def test_the_own_limit(self):
        site = self.deferring_site()
        self.put_budget(site, 1000, 1000)
        self.assert_no_opinion(site, "8.8.4.4", "today's API budget is used up")

    def test_a_429(self):
        site = self.deferring_site()
        self.stub.default = error(429, retry_after=600)
        self.assert_no_opinion(site, "8.8.4.4", "quota used up.*429", calls=1)
        self.assert_no_opinion(site, "1.1.1.1", "quota used up.*429")
        self.assertEqual(len(site.log_lines(" warning: ")), 1, site.log())
        self.assertIsNone(site.rest())
        self.assertTrue(590 < site.rest("budget")[0] <= 601)

    def test_none_remain(self):
        site = self.deferring_site()
        self.stub.default = with_headers(score(71), X_RateLimit_Remaining=0)
        self.assert_answers(REFUSED, site, request("8.8.4.4"))
        self.assert_no_opinion(site, "1.1.1.1", "quota used up.*X-RateLimit-Remaining")

    def test_those_who_wait_for_a_429(self):
        site = self.deferring_site()
        self.stub.default = slow(0.5, error(429, retry_after=600))
        replies = self.connections(site, ["8.8.4.4"] * 20)
        self.assertEqual(replies, [DUNNO] * 20)
        self.assertEqual(self.stub.count(), 1)

    def test_what_is_broken_is_an_error_as_before(self):
        site = self.deferring_site()
        self.stub.default = error(503)
        reply = self.filter(site).ask("8.8.4.4")
        self.assertRegex(reply, b"^action=DEFER_IF_PERMIT")

    def test_a_stale_score_is_still_used(self):
        site = self.deferring_site()
        self.put_budget(site, 1000, 1000)
        site.put_score("8.8.4.4", 71, 2 * DAY)
        self.assert_answers(REFUSED, site, request("8.8.4.4"))


class Pace(BudgetTest):
    """When half of the day's calls are gone, the others come one by one."""

    def test_the_other_half_is_spread_over_the_hours_left(self):
        left = seconds_to_midnight()
        if left < 3600:
            self.skipTest("too near to midnight")
        site = self.site({"filter.on_error": "defer"})
        self.stub.default = score(71)
        self.put_budget(site, 499, 1)
        self.assert_answers(REFUSED + DUNNO, site, request("8.8.4.4"), request("1.1.1.1"))
        self.assertEqual(self.stub.count(), 1)
        line, = site.log_lines("half of")
        self.assertRegex(line, " warning: AbuseIPDB: ")
        wait = int(left / 501)
        told = re.search(r"next call allowed in (\d+)([sm])\b", site.abictl("check", "1.1.1.1").stdout)
        self.assertIn((int(told[1]), told[2]), [
            (seconds // 60, "m") if seconds >= 120 else (seconds, "s")
            for seconds in (wait, wait - 1, wait - 2)])
        self.put_budget(site, 500, wait + 2)  # so much later
        self.assert_answers(REFUSED + DUNNO, site, request("1.1.1.1"), request("9.9.9.9"))
        self.assertEqual(self.stub.count(), 2)

    def test_the_api_counts_calls_of_others(self):
        left = seconds_to_midnight()
        if not 3600 < left < DAY - 600:
            self.skipTest("too near to midnight")
        site = self.site()
        self.stub.default = with_headers(score(71), X_RateLimit_Remaining=300)
        self.assert_answers(REFUSED + DUNNO, site, request("8.8.4.4"), request("1.1.1.1"))
        self.assertEqual(self.stub.count(), 1)
        self.assertIn("700 of 1000", site.abictl("cache", "show").stdout)

    def test_without_a_limit_there_is_no_pace(self):
        site = self.site({"reputation.daily_limit": "0"})
        self.put_budget(site, 100000)
        self.stub.default = with_headers(score(71), X_RateLimit_Remaining=3)
        self.assert_answers(REFUSED * 2, site, request("8.8.4.4"), request("1.1.1.1"))


class Blocks(BudgetTest):
    """A low score serves the block, one that acts only its own address."""

    def test_a_score_that_acts_holds_for_the_address_alone(self):
        site = self.site()
        self.stub.answers[f"{NETWORK}a"] = score(71)
        self.stub.default = score(12)
        self.assert_answers(REFUSED + DUNNO + REFUSED + DUNNO, site,
                            *(request(f"{NETWORK}{end}") for end in "abac"))
        self.assertEqual([call.query["ipAddress"] for call in self.stub.requests],
                         [f"{NETWORK}a", f"{NETWORK}b"])
        self.assertEqual((site.cached_score(f"{NETWORK}a"), site.cached_score(NETWORK)),
                         ("71", "12"))
        self.assertIn(f"\naddress={NETWORK}b\n", testenv.read_file(f"{site.cache}/{NETWORK}"))
        line = site.abictl("check", f"{NETWORK}c").stdout
        self.assertRegex(line, f"reputation +no opinion .*score 12, .*for {NETWORK}b")

    def test_the_limit_may_be_changed(self):
        site = self.site({"reputation.score": "80"})
        self.stub.default = score(71)
        self.assert_answers(DUNNO * 2, site, request(f"{NETWORK}a"), request(f"{NETWORK}b"))
        site.configure(**{"reputation.score": "70"})
        self.assert_answers(REFUSED, site, request(f"{NETWORK}a"))
        self.assertEqual(self.stub.count(), 1)
        self.assert_answers(REFUSED, site, request(f"{NETWORK}b"))
        self.assertEqual(self.stub.count(), 2)

    def test_files_of_an_earlier_release(self):
        site = self.site({"reputation.token_file": None, "reputation.token": "k" * 80})
        self.stub.default = score(12)
        site.put_score(NETWORK, 71)  # of which address, it does not say
        site.put_score("2a02:d540:0:2::5", 71)  # under ipv6_prefix = 128
        self.assertRegex(site.abictl("check", f"{NETWORK}b").stdout,
                         f"no opinion .*not in the cache.*71 .*{NETWORK}")
        self.assert_answers(DUNNO + REFUSED, site, request(f"{NETWORK}b"),
                            request("2a02:d540:0:2::5"))
        self.assertEqual(self.stub.count(), 1)
        site.put_score("2a02:d540:0:3::", 12)
        self.assert_answers(DUNNO, site, request("2a02:d540:0:3::77"))
        self.assertEqual(self.stub.count(), 1)

    def test_its_own_stale_score_counts_more_than_a_neighbours(self):
        site = self.site()
        site.put_score(f"{NETWORK}a", 71, 2 * DAY)
        site.put_score(NETWORK, f"12\naddress={NETWORK}b\n")
        self.stub.default = error(503)
        self.assert_answers(REFUSED, site, request(f"{NETWORK}a"))
        self.assertEqual(self.stub.count(), 1)
        os.unlink(f"{site.cache}/.rest-api")
        self.stub.default = score(3)  # it is mended: its file goes
        self.assert_answers(DUNNO * 2, site, request(f"{NETWORK}a"), request(f"{NETWORK}c"))
        self.assertEqual((self.stub.count(), site.cached_score(f"{NETWORK}a")), (2, None))

    def test_many_at_once_need_one_call(self):
        site = self.site({"reputation.timeout": "5s"})
        self.stub.default = slow(0.3, score(12))
        self.assertEqual(self.connections(site, addresses_of(NETWORK, 40)), [DUNNO] * 40)
        self.assertEqual(self.stub.count(), 1)


if __name__ == "__main__":
    unittest.main()
