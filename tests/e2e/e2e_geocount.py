#!/usr/bin/python3
"""Hacked accounts: logins counted by country and address, with databases of countries that the
tests write, alone and behind a real Postfix. Whatever happens to database or store, mail flows.

    python3 tests/e2e/e2e_geocount.py [-v] [Class.test ...]
"""
import concurrent.futures
import contextlib
import fcntl
import os
import random
import re
import shutil
import subprocess
import sys
import threading
import time
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import mmdb  # noqa: E402
import testenv  # noqa: E402
from filter import DUNNO, Filter, answer_to, request  # noqa: E402
from mailserver import MailServer  # noqa: E402
from mmdb import Place  # noqa: E402
from pace import duration  # noqa: E402
from testenv import FILTER_USER, Site, wait_until  # noqa: E402

USER = "user@example.org"
HOUR, DAY = 3600, 86400
ACCEPTED = "250 2.1.5 Ok"
FAST = 0.5  # seconds that nobody needs who waits for nothing
# For many at once, who must all be counted, on a machine with other work as well.
AT_ONCE = {"store.timeout": "60s", "filter.deadline": "90s"}

# An address in each of nine countries; the first seven are those of the plugin's own test.
COUNTRIES = {"GB": "81.2.69.142", "SE": "89.160.20.112", "US": "216.160.83.56",
             "BT": "67.43.156.0", "CN": "111.235.160.1", "PH": "202.196.224.0",
             "GI": "217.65.48.0", "NO": "2a02:d540::a", "KR": "2001:252::252"}
HOME = list(COUNTRIES.values())
BLOCKS = {"81.2.69.0/24": "GB", "89.160.20.0/24": "SE", "216.160.83.0/24": "US",
          "67.43.156.0/24": "BT", "111.235.160.0/22": "CN", "202.196.224.0/20": "PH",
          "217.65.48.0/29": "GI", "2a02:d540::/29": "NO", "2001:252::/32": "KR"}
NOWHERE = ("9.9.9.9", "1.1.1.1", "2a03:4000::1")  # in no database
MALFORMED = ("", "unknown", "81.2.69", "81.2.69.256", "81.2.69.142.", "81.2.69.142/32", "::g",
             "2a02:d540::a%eth0", "user@example.org", "81.2.69.142 ", "0x51.2.69.142")
NOT_PUBLIC = ("10.1.2.3", "192.168.1.1", "172.16.0.1", "127.0.0.1", "169.254.1.1", "100.64.0.1",
              "192.0.2.1", "203.0.113.9", "::1", "fe80::1", "fd00::1", "2001:db8::1",
              "::ffff:10.0.0.1")
BERLIN, SYDNEY = Place("DE", 52.52, 13.40, 20), Place("AU", -33.87, 151.21, 50)
CITIES = {"81.2.69.0/24": BERLIN, "81.2.70.0/24": BERLIN, "89.160.20.0/24": SYDNEY,
          "216.160.83.0/24": Place("DE", 50.11, 8.68, 500),  # Frankfurt, more or less
          "111.235.160.0/24": Place("DE", 50.11, 8.68, 10), "202.196.224.0/24": "PH"}


def refusal(user=USER):
    return (f"action=554 5.7.1 Your mail account ({user}) was compromised. Please change your "
            "password immediately after next login.\n\n").encode()


REFUSED = refusal()


def login_request(address, user=USER, **attributes):
    return request(address, sasl_method="PLAIN", sasl_username=user, **attributes)


class LoginSite(Site):
    """A site with a database of countries, where nothing passes over a limit unless the options say
    so; these are without `geocount.'."""

    def __init__(self, /, layout="nested", places=None, **options):
        super().__init__()
        self.places = os.path.join(testenv.new_directory("places"), "places.mmdb")
        mmdb.write(self.places, places or BLOCKS, layout)
        self.configure(**{"geocount.database": self.places, "geocount.rate": "0",
                          "store.timeout": "8s",  # on a machine with other work as well
                          **{f"geocount.{key}": str(value) for key, value in options.items()}})

    def counts(self, user=USER):
        """What the store knows of a user: (logins, countries, addresses)."""
        return self.query(
            "SELECT coalesce(sum(login_count), 0), count(DISTINCT state_code), "
            "count(DISTINCT ip_address) FROM postfwd_logins WHERE sasl_username = ?", user)[0]

    def put_login(self, address, age, country=None, user=USER):
        """A row for a login so many seconds ago."""
        self.query("INSERT INTO postfwd_logins VALUES (?, ?, ?, 1, datetime('now', ?))",
                   user, address, country, f"-{age} seconds")

    def end_rest(self):
        """Lets the store be tried again now, not some seconds after a failure."""
        for name in os.listdir(self.cache):
            if name.startswith(".rest-store"):
                os.unlink(os.path.join(self.cache, name))


class GeoTest(testenv.TestCase):

    def filter(self, site, **keywords):
        return self.enterContext(Filter(site, **keywords))

    def ask(self, filter_, *addresses, user=USER):
        """The replies to a login from each of the addresses, every one for a message."""
        return [filter_.ask(address, sasl_method="PLAIN", sasl_username=user)
                for address in addresses]

    def assert_passes(self, filter_, *addresses, user=USER):
        self.assertEqual(self.ask(filter_, *addresses, user=user), [DUNNO] * len(addresses))

    def assert_reply(self, expected, filter_, address, user=USER):
        self.assertEqual(self.ask(filter_, address, user=user), [expected])


class Counts(GeoTest):
    """Which logins count, and as what."""

    def scenario(self):
        """The plugin's integration test: logins as (user, address), and (logins, countries,
        addresses) for each user, with every IPv6 address an address of its own."""
        many = [f"81.2.69.{number}" for number in range(100, 125)]
        many += [f"2a02:d540::{number:x}" for number in range(1, 6)]
        cases = {"gb@example.org": ([HOME[0]] * 3, (3, 1, 1)),
                 "se@example.org": ([HOME[1]] * 2, (2, 1, 1)),
                 "both@example.org": (HOME[:2] * 2, (4, 2, 2)),
                 "nowhere@example.org": (NOWHERE * 2, (6, 0, 3)),
                 "malformed@example.org": (MALFORMED, (0, 0, 0)),
                 "traveller@example.org": (HOME[:7], (7, 7, 7)),
                 "botnet@example.org": (many, (30, 2, 30))}
        logins = [(user, address) for user, (addresses, _) in cases.items()
                  for address in addresses]
        return logins, {user: counts for user, (_, counts) in cases.items()}

    def play_scenario(self, site, seed):
        """All of it in random order, through three filters at a time."""
        logins, expected = self.scenario()
        site.configure(**AT_ONCE)
        random.Random(seed).shuffle(logins)
        filters = [self.filter(site) for _ in range(3)]
        with concurrent.futures.ThreadPoolExecutor(len(filters)) as pool:
            replies = pool.map(
                lambda part: [self.ask(filters[part], address, user=user)
                              for user, address in logins[part::len(filters)]],
                range(len(filters)))
        self.assertEqual({reply for part in replies for reply, in part}, {DUNNO})
        return {user: site.counts(user) for user in expected}, expected

    def test_the_plugins_scenario(self):
        for seed in range(5):
            with self.subTest(seed):
                site = LoginSite(ipv6_prefix=128, countries=0, addresses=1000)
                self.assertEqual(*self.play_scenario(site, seed))

    def test_five_of_thirty_addresses_share_a_64(self):
        site = LoginSite(countries=0, addresses=1000)
        counts, expected = self.play_scenario(site, 1)
        expected["botnet@example.org"] = (30, 2, 26)
        self.assertEqual(counts, expected)

    def test_ten_that_begin_a_store_at_once_lose_nothing(self):
        for _ in range(20):
            site = LoginSite(countries=0)
            site.configure(**AT_ONCE)
            filters = [self.filter(site) for _ in range(10)]
            with concurrent.futures.ThreadPoolExecutor(len(filters)) as pool:
                replies = list(pool.map(lambda one: self.ask(one, HOME[0]), filters))
            self.assertEqual(replies, [[DUNNO]] * len(filters))
            self.assertEqual((site.counts(), site.log()), ((10, 1, 1), ""))
            for filter_ in filters:
                filter_.finish()

    def test_a_block_is_kept_as_its_base_address(self):
        site = LoginSite(countries=0)
        self.assert_passes(self.filter(site), "2a02:d540::a", "2a02:d540:0:0:1::b",
                           "2a02:d540:0:1::a", "::ffff:81.2.69.142", "81.2.69.142")
        self.assertEqual(
            site.query("SELECT ip_address, state_code, login_count FROM postfwd_logins"),
            [("2a02:d540:0:1::", "NO", 1), ("2a02:d540::", "NO", 2), ("81.2.69.142", "GB", 2)])

    def test_addresses_that_are_nobodys(self):
        site = LoginSite(countries=1, addresses=1)
        filter_ = self.filter(site)
        self.assert_passes(filter_, HOME[0], *NOT_PUBLIC, *MALFORMED)
        self.assertEqual(site.counts(), (1, 1, 1))

    def test_every_layout_of_a_database(self):
        for layout in mmdb.LAYOUTS:
            with self.subTest(layout):
                site = LoginSite(layout)
                self.assert_passes(self.filter(site), *HOME[:5], *NOWHERE)
                self.assertEqual(site.counts(), (8, 5, 8))

    def test_a_database_by_maxminds_own_writer(self):
        writer = os.path.join(testenv.TOP, "tests/lib/mmdb.pl")
        lines = "".join(f"{block} country={code}\n" for block, code in BLOCKS.items())
        for layout in mmdb.LAYOUTS:
            with self.subTest(layout):
                site = LoginSite()
                subprocess.run(["perl", writer, site.places, layout], input=lines, text=True,
                               check=True, capture_output=True, timeout=testenv.PATIENCE)
                self.assert_passes(self.filter(site), *HOME[:5], *NOWHERE)
                self.assertEqual(site.counts(), (8, 5, 8))

    def test_only_a_country_counts_as_one(self):
        """Codes of three letters, in small letters, or none: an address in no known country."""
        for code in ("GBR", "gb", "", "G", "--", "1A"):
            with self.subTest(code):
                site = LoginSite(places={"81.2.69.0/24": code})
                self.assert_passes(self.filter(site), HOME[0])
                self.assertEqual(site.counts(), (1, 0, 1))

    def test_logins_older_than_the_window_do_not_count(self):
        site = LoginSite(countries=2, window="1h")
        filter_ = self.filter(site)
        self.assert_passes(filter_, HOME[0])
        for address, country in ((HOME[1], "SE"), (HOME[2], "US"), (HOME[3], "BT")):
            site.put_login(address, HOUR + 5, country)
        self.assert_passes(filter_, HOME[4])
        self.assert_reply(REFUSED, filter_, HOME[5])
        self.assertEqual(site.counts(), (6, 6, 6))  # nothing was purged
        self.assertIn("countries 3 (limit 2), addresses 3 ", site.log())

    def test_logins_within_the_window_count(self):
        site = LoginSite(countries=2, window="1h")
        filter_ = self.filter(site)
        self.assert_passes(filter_, HOME[0])
        site.put_login(HOME[1], HOUR - 60, "SE")
        self.assert_reply(REFUSED, filter_, HOME[2])

    def test_a_login_makes_its_address_young_again(self):
        site = LoginSite(countries=1, window="1h")
        self.assertEqual(answer_to(site, login_request(HOME[0], "other@example.org"))[0], DUNNO)
        site.put_login(HOME[1], 2 * HOUR, "SE")
        filter_ = self.filter(site)
        self.assert_passes(filter_, HOME[1])
        self.assert_reply(REFUSED, filter_, HOME[0])

    def test_old_logins_go_with_the_cleaning_of_the_cache(self):
        site = LoginSite(window="1h")
        self.assert_passes(self.filter(site), HOME[0])
        site.put_login(HOME[1], 2 * HOUR, "SE")
        self.assert_passes(self.filter(site), HOME[0])
        self.assertEqual(site.counts(), (3, 2, 2))  # not while a client waits
        self.assertEqual(site.abictl("cache", "clean").returncode, 0)
        self.assertEqual(site.counts(), (2, 1, 1))


class Limits(GeoTest):
    """What is over a limit, for whom, and what comes of it."""

    def test_the_first_login_from_a_sixth_country_is_refused(self):
        site = LoginSite()
        filter_ = self.filter(site)
        self.assert_passes(filter_, *HOME[:5])
        self.assert_reply(REFUSED, filter_, HOME[5])
        self.assert_reply(REFUSED, filter_, HOME[0])  # until the window has passed
        self.assert_passes(filter_, HOME[5], user="other@example.org")
        line = site.log_lines(" reject: ")[0]
        self.assertRegex(line, r"reject: check=geocount client=\S+\[202\.196\.224\.0\] "
                         r"user=<user@example\.org> country=PH from=<\S+> to=<\S+> helo=<\S+> "
                         r'reason="countries 6 \(limit 5\), addresses 6 \(limit 20\), login from '
                         r'202\.196\.224\.0 \(PH\)" action="554 5\.7\.1 Your mail account')

    def test_the_21st_address_is_refused(self):
        site = LoginSite(address_action="450 4.7.1 Too many addresses for $sasl_username")
        filter_ = self.filter(site)
        self.assert_passes(filter_, *(f"81.2.69.{number}" for number in range(20)))
        too_many = f"action=450 4.7.1 Too many addresses for {USER}\n\n".encode()
        self.assert_reply(too_many, filter_, "81.2.69.20")
        self.assert_passes(filter_, "81.2.69.20", user="other@example.org")

    def test_countries_before_addresses(self):
        site = LoginSite(countries=1, addresses=1, address_action="HOLD")
        filter_ = self.filter(site)
        self.assert_passes(filter_, HOME[0])
        self.assert_reply(b"action=HOLD\n\n", filter_, "81.2.69.1")
        self.assert_reply(REFUSED, filter_, HOME[1])

    def test_without_address_action_the_action_is_for_both(self):
        site = LoginSite(addresses=1)
        filter_ = self.filter(site)
        self.assert_passes(filter_, HOME[0])
        self.assert_reply(REFUSED, filter_, "81.2.69.1")

    def test_zero_switches_a_limit_off(self):
        site = LoginSite(countries=0, addresses=0, speed=1000)
        self.assert_passes(self.filter(site), *HOME)
        self.assertEqual(site.counts(), (9, 9, 9))
        site = LoginSite(countries=0, addresses=0)
        self.assert_passes(self.filter(site), *HOME)
        self.assertEqual(site.counts(), (0, 0, 0))  # no limit, no check

    def test_whitelisted_blocks_give_no_count_and_no_verdict(self):
        listed = testenv.write_file(f"{testenv.new_directory('list')}/blocks",
                                    "# offices\n89.160.20.0/24\n2a02:d540::/29\n216.160.83.56\n")
        for options in ({"whitelist": "89.160.20.0/24, 2a02:d540::/29 216.160.83.56"},
                        {"whitelist_file": listed},
                        {"whitelist": "89.160.20.0/24", "whitelist_file": listed}):
            with self.subTest(options):
                site = LoginSite(countries=1, addresses=1, **options)
                filter_ = self.filter(site)
                self.assert_passes(filter_, HOME[0], HOME[1], "89.160.20.1", HOME[2],
                                   "2a02:d540::a", "::ffff:89.160.20.2")
                self.assertEqual(site.counts(), (1, 1, 1))
                self.assert_reply(REFUSED, filter_, HOME[3])
                self.assert_passes(filter_, HOME[1])  # no verdict, although over the limit
                self.assert_reply(REFUSED, filter_, "216.160.83.57")

    def test_a_whitelist_file_is_read_again(self):
        listed = testenv.write_file(f"{testenv.new_directory('list')}/blocks", "1.1.1.1\n")
        site = LoginSite(countries=1, whitelist_file=listed)
        filter_ = self.filter(site)
        self.assert_passes(filter_, HOME[0])
        self.assert_reply(REFUSED, filter_, HOME[1])
        testenv.write_file(listed, "1.1.1.1\n89.160.20.0/24\n")
        self.assert_passes(filter_, HOME[1])
        os.unlink(listed)  # what was read stays
        self.assert_passes(filter_, HOME[1], HOME[1])
        self.assertEqual(len(site.log_lines("keeping the previous")), 1)

    def test_limits_of_users_and_domains(self):
        users = f"{testenv.new_directory('users')}/users"
        testenv.write_file(users, "# user limits\n@example.org countries=2\n"
                                  "User@Example.ORG countries=3 addresses=0\nlocal countries=1\n"
                                  "free@example.com countries=0 addresses=0\n")
        site = LoginSite(countries=1, addresses=4, users_file=users)
        filter_ = self.filter(site)
        for user, countries in ((USER, 3), ("other@example.org", 2), ("OTHERS@example.org", 2),
                                ("local", 1), ("somebody@example.com", 1)):
            with self.subTest(user):
                self.assert_passes(filter_, *HOME[:countries], user=user)
                self.assert_reply(refusal(user), filter_, HOME[countries], user=user)
        self.assert_passes(filter_, *HOME, user="free@example.com")
        # No limit of addresses for the user, everybody's for the rest of the domain
        site.query("DELETE FROM postfwd_logins")
        addresses = [f"81.2.69.{number}" for number in range(9)]
        self.assert_passes(filter_, *addresses, user="USER@example.ORG")
        self.assert_passes(filter_, *addresses[:4], user="x@example.org")
        self.assert_reply(refusal("x@example.org"), filter_, HOME[0], user="x@example.org")

    def test_a_users_file_is_read_again(self):
        users = f"{testenv.new_directory('users')}/users"
        testenv.write_file(users, f"{USER} countries=1\n")
        site = LoginSite(users_file=users)
        filter_ = self.filter(site)
        self.assert_passes(filter_, HOME[0])
        self.assert_reply(REFUSED, filter_, HOME[1])
        testenv.write_file(users, f"{USER} countries=10\nbad line\n@example.org addresses=x\n")
        self.assert_passes(filter_, HOME[1], HOME[2])
        self.assertEqual(len(site.log_lines(f"{users}:[23]: ")), 2)
        os.unlink(users)
        self.assert_passes(filter_, HOME[3], HOME[4])
        self.assertEqual(len(site.log_lines("keeping the previous")), 1)
        testenv.write_file(users, f"{USER} countries=2\n")
        self.assert_reply(REFUSED, filter_, HOME[0])

    def test_only_log(self):
        site = LoginSite(countries=1, action="log")
        self.assert_passes(self.filter(site), *HOME[:3])
        self.assertEqual(len(site.log_lines(" would act: check=geocount ")), 2)

    def test_a_dry_run_learns_but_takes_nothing(self):
        site = LoginSite(countries=1, rate="1/1h")
        site.configure(**{"filter.dry_run": "yes"})
        self.assert_passes(self.filter(site), *HOME[:4])
        self.assertEqual(len(site.log_lines(" would reject: check=geocount ")), 3)
        self.assertEqual(site.counts(), (4, 4, 4))
        self.assertEqual(site.query("SELECT count(*) FROM abichecker_rates"), [(0,)])
        site.configure(**{"filter.dry_run": "no"})
        filter_ = self.filter(site)
        self.assert_passes(filter_, HOME[0])  # by the rate, still whole
        self.assert_reply(REFUSED, filter_, HOME[0])


class Rates(GeoTest):
    """Over a limit, so many messages may pass."""

    def over(self, **options):
        """A site where the user is over the limit already."""
        site = LoginSite(countries=1, **options)
        self.assert_passes(self.filter(site), HOME[0])
        site.put_login(HOME[1], 10, "SE")
        return site

    def test_one_message_an_hour(self):
        site = self.over(rate="1/1h")
        first, second = self.filter(site), self.filter(site)
        self.assert_passes(first, HOME[0])
        for filter_ in (first, second):
            self.assert_reply(REFUSED, filter_, HOME[1])
        self.assert_reply(REFUSED, first, HOME[0])
        self.assertEqual(len(site.log_lines(r" pass: check=geocount .*allowed by rate 1/1h")), 1)
        site.query("UPDATE abichecker_rates SET until = unixepoch()")  # the hour has passed
        self.assert_passes(second, HOME[1])
        self.assert_reply(REFUSED, first, HOME[0])

    def test_three_of_a_time(self):
        filter_ = self.filter(self.over(rate="3/1h"))
        self.assert_passes(filter_, *[HOME[0]] * 3)
        self.assert_reply(REFUSED, filter_, HOME[0])

    def test_not_one(self):
        self.assert_reply(REFUSED, self.filter(self.over(rate="0")), HOME[0])

    def test_a_whole_message(self):
        site = self.over(rate="1/1h")
        filter_ = self.filter(site)
        for instance, reply in (("a.1", DUNNO), ("a.2", REFUSED)):
            for number in range(5):
                self.assertEqual(filter_.ask(
                    HOME[0], sasl_username=USER, instance=instance,
                    recipient=f"user{number}@example.org"), reply)
        self.assertEqual(site.counts()[0], 4)  # a message is a login

    def test_ten_processes_at_once(self):
        for _ in range(5):
            site = self.over(rate="1/1h")
            site.configure(**AT_ONCE)
            filters = [self.filter(site) for _ in range(10)]
            ready = threading.Barrier(len(filters), timeout=testenv.PATIENCE)

            def ask(filter_):
                ready.wait()
                return self.ask(filter_, HOME[0])[0]
            with concurrent.futures.ThreadPoolExecutor(len(filters)) as pool:
                replies = sorted(pool.map(ask, filters))
            self.assertEqual(replies, [REFUSED] * 9 + [DUNNO])
            self.assertEqual(site.counts()[0], 12)


class Journeys(GeoTest):
    """Two logins farther apart than anybody travels."""

    def site(self, **options):
        return LoginSite("city", CITIES, **{"countries": 0, "addresses": 0, "speed": 1000,
                                            **options})

    def test_berlin_and_sydney_within_a_minute(self):
        site = self.site()
        filter_ = self.filter(site)
        self.assert_passes(filter_, "81.2.69.1")
        self.assert_reply(REFUSED, filter_, "89.160.20.1")
        line, = site.log_lines(" reject: check=geocount ")
        km = int(re.search(r" (\d+) km in \ds from", line)[1])
        self.assertTrue(15900 < km < 16100, line)  # 16,090 km but for the radius of both
        self.assertIn(" from 81.2.69.1 DE (52.52,13.40) to AU (-33.87,151.21) is ", line)
        self.assertIn(" km/h, limit 1000", line)
        self.assert_passes(filter_, "89.160.20.1", user="other@example.org")

    def test_other_addresses_there_have_jumped_as_far(self):
        filter_ = self.filter(self.site())
        self.assert_passes(filter_, "81.2.69.1")
        for last in range(1, 5):
            self.assert_reply(REFUSED, filter_, f"89.160.20.{last}")

    def test_in_a_day_one_can(self):
        site = self.site()
        filter_ = self.filter(site)
        self.assert_passes(filter_, "81.2.69.1")
        for age, reply in ((17 * HOUR, DUNNO), (15 * HOUR, REFUSED)):
            site.query("DELETE FROM postfwd_logins")
            site.put_login("81.2.69.1", age, "DE")
            self.assert_reply(reply, filter_, "89.160.20.1")

    def test_the_accuracy_radius_is_forgiven(self):
        site = self.site()
        filter_ = self.filter(site)
        self.assert_passes(filter_, "81.2.69.1", "216.160.83.1")  # 423 km, give or take 520
        site.query("DELETE FROM postfwd_logins")
        self.assert_passes(filter_, "81.2.69.1")
        self.assert_reply(REFUSED, filter_, "111.235.160.1")  # the same, give or take 30

    def test_within_a_city_and_to_nowhere(self):
        site = self.site()
        self.assert_passes(self.filter(site), "81.2.69.1", "81.2.70.1", "81.2.69.2", "9.9.9.9",
                           "202.196.224.1", "2a02:d540::a", "81.2.69.1", "81.2.69.1")

    def test_without_speed_or_places(self):
        for site in (self.site(countries=5, speed=0), LoginSite("nested", speed=1000),
                     self.site(database="")):
            with self.subTest(site.options):
                self.assert_passes(self.filter(site), "81.2.69.1", "89.160.20.1", "81.2.69.1")

    def test_there_and_back_within_a_second(self):
        for _ in range(3):
            filter_ = self.filter(self.site())
            self.assert_passes(filter_, "81.2.69.1")
            for address in ("89.160.20.1", "81.2.69.1") * 3:
                self.assert_reply(REFUSED, filter_, address)

    def test_the_rate_counts_for_journeys_too(self):
        site = self.site(rate="1/1h")
        filter_ = self.filter(site)
        self.assert_passes(filter_, "81.2.69.1", "89.160.20.1")
        site.query("UPDATE postfwd_logins SET last_login = datetime(last_login, '-9 seconds') "
                   "WHERE ip_address = '81.2.69.1'")
        self.assert_reply(REFUSED, filter_, "81.2.69.1")


class Users(GeoTest):
    """Names of users are bytes; no two users are taken for one."""

    def test_the_case_of_letters_does_not_count(self):
        site = LoginSite(countries=1)
        filter_ = self.filter(site)
        self.assert_passes(filter_, HOME[0], user="User@Example.ORG")
        self.assert_reply(REFUSED, filter_, HOME[1])
        self.assertEqual(site.counts(), (2, 2, 2))

    def test_odd_names(self):
        names = ["' OR 1=1 --", "'; DROP TABLE postfwd_logins; --", '"', "\\", "%", "_", "?1", "a",
                 "a b", "\x01\x1b[31m", "josé@example.org", "jose@example.org",
                 "é".encode("latin-1"), "è".encode("latin-1"), bytes(range(0x80, 0x100)),
                 "x" * 100, "x" * 101, "x" * 300, "x" * 299 + "y", "x" * 10000, "x" * 9999 + "z",
                 "%s%n" * 30, "$(touch /tmp/x)", "x" * 35 + "#", "\N{KELVIN SIGN}", "K"]
        site = LoginSite(countries=1)
        filter_ = self.filter(site)
        for name in names:
            self.assert_passes(filter_, HOME[0], user=name)
        rows = site.query("SELECT sasl_username, login_count FROM postfwd_logins")
        self.assertEqual(len(rows), len(names))
        self.assertEqual({count for _, count in rows}, {1})
        self.assertLessEqual(max(len(name.encode()) for name, _ in rows), 100)
        for name in names:
            with self.subTest(name):
                reply, = self.ask(filter_, HOME[1], user=name)
                self.assertRegex(reply, rb"\Aaction=554 5\.7\.1 [ -~]+\n\n\Z")
        self.assertEqual(site.query("SELECT count(*), sum(login_count) FROM postfwd_logins"),
                         [(2 * len(names), 2 * len(names))])
        for name in "a ", " a":  # the same user as without blanks
            self.assertRegex(self.ask(filter_, HOME[2], user=name)[0], rb"\Aaction=554 5\.7\.1 ")
        self.assertEqual(site.query("SELECT count(*) FROM postfwd_logins"), [(2 * len(names) + 1,)])


class Unauthenticated(GeoTest):
    """Who has not logged in has nothing to do with the store."""

    def test_the_store_is_not_opened(self):
        site = LoginSite(countries=1)
        site.put_score("8.8.4.4", 12)
        filter_ = self.filter(site)
        for _ in range(3):
            self.assertEqual(filter_.ask(), DUNNO)
            self.assertEqual(filter_.ask(sasl_method="PLAIN", sasl_username=""), DUNNO)
        self.assertEqual(os.listdir(os.path.dirname(site.store)), [])
        self.assertEqual(self.open_files(filter_, site), [])
        self.assert_passes(filter_, HOME[0])
        self.assertIn("abichecker.db", self.open_files(filter_, site))

    def open_files(self, filter_, site):
        """The names of the store's files and the database that the filter has open or mapped."""
        directory = f"/proc/{filter_.process.pid}"
        targets = [os.readlink(f"{directory}/fd/{name}") for name in filter_.descriptors()]
        targets += re.findall(r"/\S+$", testenv.read_file(f"{directory}/maps"), re.MULTILINE)
        return [os.path.basename(target) for target in targets
                if target.startswith((os.path.dirname(site.store), site.places))]

    def test_ten_thousand_logins_leave_memory_and_descriptors_where_they_were(self):
        site = LoginSite(countries=0, addresses=1000)
        filter_ = self.filter(site)

        def ask(count):
            for number in range(count // 100):
                filter_.send(b"".join(login_request(f"81.2.69.{n % 50}", f"user{number % 10}")
                                      for n in range(100)))
                self.assertEqual(filter_.receive(100), DUNNO * 100)
            return filter_.memory(), filter_.descriptors()
        memory, descriptors = ask(1000)
        memory_after, descriptors_after = ask(9000)
        self.assertEqual(descriptors_after, descriptors)
        if not testenv.SAN:  # whose freed memory is kept for a while
            self.assertLessEqual(memory_after, memory + 65536)


class Postfix(GeoTest):
    """The same through SMTP: users are played by XCLIENT LOGIN."""

    def serve(self, **options):
        site = LoginSite(**options)
        mail = MailServer(site).start()
        self.addCleanup(mail.stop, self)
        return site, mail

    @staticmethod
    def refusal(address, user=USER):
        return (f"554 5.7.1 <client.example.net[{address}]>: Client host rejected: Your mail "
                f"account ({user}) was compromised. Please change your password immediately after "
                "next login.")

    def submit(self, mail, address, user=USER, recipients=3):
        """The replies to RCPT of a message."""
        delivery = mail.deliver(address, [f"user{n}@example.com" for n in range(recipients)],
                                port=mail.submission, login=user)
        self.assertEqual(delivery.data is not None, ACCEPTED in delivery.recipients)
        return delivery.recipients

    def test_the_sixth_country(self):
        site, mail = self.serve()
        for number, address in enumerate(HOME[:5], 1):
            self.assertEqual(self.submit(mail, address), [ACCEPTED] * 3)
            self.assertEqual(site.counts(), (number, number, number))  # 3 recipients: one login
        refused = [self.refusal(HOME[5])] * 3
        self.assertEqual(self.submit(mail, HOME[5]), refused)
        self.assertEqual(site.counts(), (6, 6, 6))
        self.assertEqual(len(site.log_lines(" reject: check=geocount ")), 1)
        self.assertEqual(self.submit(mail, HOME[5], "other@example.org"), [ACCEPTED] * 3)

    def test_one_address_of_one_country_after_another(self):
        site, mail = self.serve(addresses=25)
        many = [f"81.2.69.{number}" for number in range(1, 25)]
        many += [f"2a02:d540::{number:x}" for number in range(1, 7)]
        for address in many:
            self.assertEqual(self.submit(mail, address, recipients=1), [ACCEPTED])
        self.assertEqual(site.counts(), (30, 2, 25))
        self.assertEqual(self.submit(mail, "81.2.69.25", recipients=1),
                         [self.refusal("81.2.69.25")])
        self.assertEqual(site.counts(), (31, 2, 26))

    def test_the_rate_lets_one_whole_message_pass(self):
        site, mail = self.serve(countries=1, rate="1/1h")
        for address, passes in ((HOME[0], True), (HOME[1], True), (HOME[2], False),
                                (HOME[0], False)):
            self.assertEqual(self.submit(mail, address),
                             [ACCEPTED if passes else self.refusal(address)] * 3)
        self.assertEqual(site.counts(), (4, 3, 3))

    def test_the_rate_among_ten_sessions_at_once(self):
        site, mail = self.serve(countries=1, rate="1/1h")
        site.configure(**AT_ONCE)
        self.assertEqual(self.submit(mail, HOME[0]), [ACCEPTED] * 3)
        ready = threading.Barrier(10, timeout=testenv.PATIENCE)

        def submit(_):
            with mail.session(HOME[1], port=mail.submission, login=USER) as session:
                ready.wait()
                return session.deliver(*[f"user{n}@example.com" for n in range(3)]).recipients
        with concurrent.futures.ThreadPoolExecutor(10) as pool:
            replies = sorted(pool.map(submit, range(10)))
        self.assertEqual(replies, [[ACCEPTED] * 3] + [[self.refusal(HOME[1])] * 3] * 9)
        self.assertEqual(site.counts(), (11, 2, 2))

    def test_with_a_broken_store_and_no_database(self):
        site, mail = self.serve()
        os.unlink(site.places)
        testenv.write_file(site.store, "no database\n" * 1000, owner=FILTER_USER)
        for address in HOME[:6]:
            self.assertEqual(self.submit(mail, address), [ACCEPTED] * 3)
        self.assertRegex(site.log(), "file is not a database; mail flows without it")


class Databases(GeoTest):
    """A database of countries in any state: its addresses still count, mail flows."""

    def break_places(self, name, site):
        """Does to the file what the name says."""
        whole = mmdb.image(BLOCKS)
        if name == "missing":
            os.unlink(site.places)
        elif name == "truncated in place":
            os.truncate(site.places, 100)
        elif name == "emptied in place":
            os.truncate(site.places, 0)
        elif name == "directory":
            os.unlink(site.places)
            os.mkdir(site.places)
        elif name == "unreadable":
            os.chmod(site.places, 0)
        else:
            content = {"cut": whole[:len(whole) // 2], "garbage": b"no database\n" * 100,
                       "without its end": whole[:-20], "zeros": bytes(len(whole))}[name]
            testenv.write_file(site.places + ".new", content)
            os.rename(site.places + ".new", site.places)

    def mend(self, site):
        if os.path.isdir(site.places):
            os.rmdir(site.places)
        mmdb.write(site.places, BLOCKS)

    def test_unusable_ones(self):
        for name in ("missing", "cut", "without its end", "garbage", "zeros", "directory",
                     "unreadable", "truncated in place", "emptied in place"):
            with self.subTest(name):
                site = LoginSite()
                running = self.filter(site)
                self.assert_passes(running, HOME[0])
                self.break_places(name, site)
                with Filter(site) as new:
                    self.assert_passes(new, HOME[1], HOME[1])
                    self.assert_passes(running, *HOME[2:5])
                    self.assertEqual(site.counts(), (6, 1, 5))
                    # Each process says so once.
                    self.assertEqual(len(site.log_lines("; countries are unknown")), 2)
                    self.mend(site)
                    self.assert_passes(running, *HOME[2:5])
                    self.assert_passes(new, HOME[1])
                self.assertEqual(site.counts(), (10, 5, 5))

    def test_a_broken_one_loses_no_country_that_was_known(self):
        site = LoginSite()
        filter_ = self.filter(site)
        self.assert_passes(filter_, *HOME[:5])
        os.unlink(site.places)
        self.assert_passes(filter_, *HOME[:5])
        self.assertEqual(site.counts(), (10, 5, 5))

    def test_replaced(self):
        site = LoginSite()
        filter_ = self.filter(site)
        self.assert_passes(filter_, HOME[0])
        mmdb.write(site.places, {"81.2.69.0/24": "IE"})
        self.assert_passes(filter_, HOME[0])
        self.assertEqual(site.query("SELECT state_code FROM postfwd_logins"), [("IE",)])
        self.assertFalse([name for name in map(os.path.realpath, self.descriptors(filter_))
                          if name.endswith("(deleted)")])

    @staticmethod
    def descriptors(filter_):
        return [f"/proc/{filter_.process.pid}/fd/{name}" for name in filter_.descriptors()]

    def test_truncated_again_and_again_while_mapped(self):
        site = LoginSite(places={f"{n}.0.0.0/8": "GB" for n in range(1, 127)}, countries=0)
        filter_ = self.filter(site)
        size = os.path.getsize(site.places)
        for length in range(0, size, max(1, size // 50)):
            mmdb.write(site.places, BLOCKS)
            self.assert_passes(filter_, HOME[0])
            os.truncate(site.places, length)
            self.assert_passes(filter_, HOME[1])

    def test_flipped_bits(self):
        """A random bit or some, in a file of every layout; the filter stays the same."""
        for layout in mmdb.LAYOUTS:
            site = LoginSite(countries=0, addresses=0, speed=1000000)
            filter_ = self.filter(site)
            whole = mmdb.image(CITIES if layout == "city" else BLOCKS, layout)
            for seed in range(100):
                with self.subTest(layout, seed=seed):
                    random_ = random.Random(seed)
                    data = bytearray(whole)
                    for _ in range(1 + seed % 8):
                        data[random_.randrange(len(data))] ^= 1 << random_.randrange(8)
                    testenv.write_file(site.places + ".new", bytes(data))
                    os.rename(site.places + ".new", site.places)
                    for reply in self.ask(filter_, *HOME):
                        self.assertIn(reply, (DUNNO, REFUSED))
            self.assertEqual(site.counts()[0], 100 * len(HOME))


class StoreTest(GeoTest):
    """A store with two logins of the user, and a filter that has it open."""

    def setUp(self):
        self.site = LoginSite(countries=2)
        self.site.configure(**{"store.timeout": "1s"})
        self.directory = os.path.dirname(self.site.store)
        self.prepare()
        self.running = self.filter(self.site)
        self.assert_passes(self.running, HOME[0], HOME[1])

    def prepare(self):
        """What there is to do before the store is made."""

    def assert_trouble(self, pattern, wait=0, rests=True):
        """Now the store is in trouble, of which the log says this: the running filter and a new one
        wait once, for at most so many seconds, and not again. A store that says no at once does
        not rest, so each of the four filters tells it."""
        before = len(self.site.log())
        for filter_ in (self.running, self.filter(self.site)):
            self.site.end_rest()
            (reply,), seconds = duration(lambda: self.ask(filter_, HOME[2]))
            self.assertEqual(reply, DUNNO)
            self.assert_within(wait + FAST, seconds)
            self.assertGreaterEqual(seconds, wait * 0.9)
            for other in (filter_, self.running, self.filter(self.site)):
                replies, seconds = duration(lambda: self.ask(other, *[HOME[2]] * 10))
                self.assertEqual(replies, [DUNNO] * 10)
                self.assert_within(FAST, seconds)
        log = self.site.log()[before:]
        self.assertRegex(log, rf"store: .*{pattern}.*; mail flows without it")
        self.assertEqual(len(re.findall("; mail flows without it", log)), 2 if rests else 4)
        self.assertEqual("store rests: " in log, rests)
        self.assertIn(" error: check=geocount ", log)

    def assert_recovers(self, within=0):
        """It is usable again, at once when the rest is ended, else within these seconds; what was
        counted before is there."""
        if not within:
            self.site.end_rest()
        wait_until(lambda: self.ask(self.running, HOME[2]) == [REFUSED], "the store", within or 4,
                   interval=0.1)
        self.assertIn("store: usable again", self.site.log())
        self.assert_reply(REFUSED, self.filter(self.site), HOME[2])
        self.assertEqual(self.site.counts(), (4, 3, 3))
        self.assertEqual(self.site.query("PRAGMA integrity_check"), [("ok",)])


class Stores(StoreTest):
    """A store in any state: mail flows, nobody waits for long, nothing is lost."""

    def test_locked(self):
        with self.site.sqlite() as other:
            other.execute("BEGIN EXCLUSIVE")
            self.assert_trouble("database is locked", wait=1)
            other.execute("ROLLBACK")
        self.assert_recovers(within=14)

    def test_locked_as_a_whole(self):
        """By somebody who does not even let others read. SQLite needs it for himself to begin."""
        self.running.__exit__()
        with self.site.sqlite() as other:
            other.execute("PRAGMA locking_mode = EXCLUSIVE")
            other.execute("BEGIN EXCLUSIVE")
            self.running = self.filter(self.site)
            self.assert_trouble("database is locked", wait=1)
            other.execute("ROLLBACK")
        self.assert_recovers()

    def test_locked_by_a_filter_that_stands_still(self):
        holder = os.open(f"{self.site.store}-lock", os.O_RDWR)
        self.addCleanup(os.close, holder)
        fcntl.lockf(holder, fcntl.LOCK_EX, 1, 0)
        self.assert_trouble("locked by another process beyond store.timeout", wait=1)
        fcntl.lockf(holder, fcntl.LOCK_UN, 1, 0)
        self.assert_recovers()

    def waits(self, interval, count=20, late=0):
        """The seconds that so many filters wait for a locked store, one asked an interval after the
        other; so many of them when one has given up."""
        filters = [self.filter(self.site) for _ in range(count)]
        for filter_ in filters:
            self.assert_passes(filter_, HOME[0], user="other@example.org")  # has it open

        def ask(number):
            if number >= count - late:
                wait_until(lambda: self.site.log_lines("store rests: "), "the first to give up")
            else:
                time.sleep(interval * number)
            return duration(lambda: self.ask(filters[number], HOME[2]),
                            filters[number].process.pid)
        with self.site.sqlite() as other:
            other.execute("BEGIN EXCLUSIVE")
            with concurrent.futures.ThreadPoolExecutor(count) as pool:
                answers = list(pool.map(ask, range(count)))
            other.execute("ROLLBACK")
        self.assertEqual([reply for (reply,), _ in answers], [DUNNO] * count)
        return [seconds.net for _, seconds in answers]

    def test_who_waits_together_waits_for_one_timeout(self):
        self.assertLess(max(self.waits(0)), 1 + FAST)

    def test_who_comes_while_others_wait_waits_for_one_timeout(self):
        waits = self.waits(0.1, late=8)
        self.assertLess(max(waits), 1 + FAST)
        self.assertLess(max(waits[12:]), FAST)

    def test_the_deadline_of_a_request_is_for_the_store_too(self):
        self.site.configure(**{"filter.deadline": "1s", "store.timeout": "4s"})
        self.assertLess(max(self.waits(0, count=3)), 1 + FAST)

    def test_somebody_who_reads_for_long_is_in_nobodys_way(self):
        with self.site.sqlite() as other:
            other.execute("BEGIN")
            other.execute("SELECT count(*) FROM postfwd_logins").fetchall()
            for number in range(1500):
                self.assert_passes(self.running, HOME[0], user=f"user{number % 300}@example.org")
            self.assert_reply(REFUSED, self.running, HOME[2])
        self.assertEqual(self.site.log_lines("store: "), [])

    def test_a_schema_from_the_future(self):
        self.running.__exit__()
        self.site.query("PRAGMA user_version = 99")
        self.running = self.filter(self.site)
        self.assert_trouble("schema 99 is of a later version")
        self.site.query("PRAGMA user_version = 1")
        self.assert_recovers()

    def test_not_a_database(self):
        self.replaced(lambda: testenv.write_file(self.site.store, "no database\n" * 1000,
                                                 owner=FILTER_USER), "file is not a database")

    def test_a_directory_in_its_place(self):
        self.replaced(lambda: os.mkdir(self.site.store), "not a regular file")

    def test_a_fifo_in_its_place(self):
        for mode in (0o666, 0o644):  # the second one the filter may only read
            with self.subTest(f"{mode:o}"):
                self.replaced(lambda: (os.mkfifo(self.site.store),
                                       os.chmod(self.site.store, mode)),
                              re.escape(self.site.store))
                self.site.query("DELETE FROM postfwd_logins WHERE ip_address = ?", HOME[2])

    def test_a_link_in_its_place(self):
        self.replaced(lambda: os.symlink("/etc/passwd", self.site.store),
                      "not a regular file")

    def replaced(self, replace, pattern):
        """Something else is where the database was when a filter starts."""
        self.running.__exit__()
        away = testenv.new_directory("away", FILTER_USER)
        os.rename(self.directory, f"{away}/store")
        os.mkdir(self.directory)
        os.chown(self.directory, FILTER_USER.pw_uid, FILTER_USER.pw_gid)
        replace()
        self.running = self.filter(self.site)
        self.assert_trouble(pattern)
        shutil.rmtree(self.directory)
        os.rename(f"{away}/store", self.directory)
        self.assert_recovers()

    def test_somebody_elses_file(self):
        self.somebody_elses(self.site.store, 0o644, "attempt to write a readonly database",
                            rests=False)

    def test_somebody_elses_secret_file(self):
        self.somebody_elses(self.site.store, 0o600, "unable to open database file")

    def test_somebody_elses_directory(self):
        self.somebody_elses(self.directory, 0o755, "unable to open database file|readonly",
                            rests=False)

    def somebody_elses(self, path, mode, pattern, rests=True):
        """The file or directory is not the filter's when one starts."""
        self.running.__exit__()
        self.site.query("PRAGMA wal_checkpoint(TRUNCATE)")  # so that all is in one file
        self.assertFalse(os.path.exists(f"{self.site.store}-wal"))
        before = os.stat(path)
        os.chown(path, 0, 0)
        os.chmod(path, mode)
        self.running = self.filter(self.site)
        self.assert_trouble(pattern, rests=rests)
        os.chown(path, before.st_uid, before.st_gid)
        os.chmod(path, before.st_mode & 0o777)
        self.assert_recovers()

    def test_damaged(self):
        """Random bytes in the middle of the file: an error or an answer, and no crash."""
        self.running.__exit__()
        self.site.query("PRAGMA wal_checkpoint(TRUNCATE)")
        with open(self.site.store, "rb") as file:
            whole = file.read()
        for seed in range(40):
            with self.subTest(seed):
                site, random_ = LoginSite(countries=2), random.Random(seed)
                data = bytearray(whole)
                for _ in range(1 + 5 * seed):
                    data[random_.randrange(len(data))] = random_.randrange(256)
                testenv.write_file(site.store, bytes(data), 0o640, FILTER_USER)
                filter_ = self.filter(site)
                for address in HOME:
                    self.assertIn(*self.ask(filter_, address), (DUNNO, REFUSED))
                self.assertEqual(filter_.finish(), (b"", 0))

    def test_an_empty_file_becomes_a_store(self):
        site = LoginSite()
        testenv.write_file(site.store, "", 0o640, FILTER_USER)
        self.assert_passes(self.filter(site), HOME[0])
        self.assertEqual(site.counts(), (1, 1, 1))

    def test_without_its_directory(self):
        site = LoginSite(countries=1)
        os.rmdir(os.path.dirname(site.store))
        filter_ = self.filter(site)
        self.assert_passes(filter_, *HOME)
        self.assertEqual(len(site.log_lines("store: .*No such file or directory; mail flows")), 1)
        os.mkdir(os.path.dirname(site.store))
        os.chown(os.path.dirname(site.store), FILTER_USER.pw_uid, FILTER_USER.pw_gid)
        site.end_rest()
        self.assert_passes(filter_, HOME[0])
        self.assertEqual(site.counts(), (1, 1, 1))

    def test_on_error_defer(self):
        self.site.configure(**{"filter.on_error": "defer"})
        self.running.__exit__()
        os.rename(self.site.store, self.site.store + ".away")
        os.mkdir(self.site.store)
        self.assert_reply(b"action=DEFER_IF_PERMIT 4.3.0 Service temporarily unavailable\n\n",
                          self.filter(self.site), HOME[0])


class FileSystems(StoreTest):
    """The same with a small file system of its own below the store."""

    def prepare(self):
        self.addCleanup(testenv.mount_tmpfs(self.directory, "size=512k"))

    def remount(self, how):
        subprocess.run(["mount", "-o", f"remount,{how}", self.directory], check=True)

    def fill(self, room=0):
        """Leaves so little room; returns the file that takes the rest."""
        ballast = os.path.join(self.directory, "ballast")
        with open(ballast, "wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(bytes(4096))
        os.truncate(ballast, os.path.getsize(ballast) - room)
        return ballast

    def test_read_only(self):
        self.running.__exit__()
        self.remount("ro")
        self.running = self.filter(self.site)
        self.assert_trouble("Read-only file system|readonly database")
        self.remount("rw")
        self.assert_recovers()

    def test_full(self):
        ballast = self.fill(room=100000)
        counted, lost = 0, 0
        while lost < 20:
            self.assert_passes(self.running, HOME[0], user=f"user{counted + lost}@example.org")
            lost = len(self.site.log_lines(" error: check=geocount "))
            counted += not lost
        self.assertGreater(counted, 5)
        self.assertRegex(self.site.log(), "store: .*disk is full; mail flows without it")
        os.unlink(ballast)
        self.site.end_rest()
        self.assert_reply(REFUSED, self.running, HOME[2])
        self.assertIn("store: usable again", self.site.log())
        self.assertEqual(self.site.counts(), (3, 3, 3))
        self.assertEqual(self.site.query("PRAGMA integrity_check"), [("ok",)])
        self.assertEqual(self.site.query("SELECT sum(login_count) FROM postfwd_logins "
                                         "WHERE sasl_username <> ?", USER), [(counted,)])

    def test_full_when_a_filter_starts(self):
        self.running.__exit__()
        ballast = self.fill()
        with Filter(self.site) as filter_:
            for number in range(10):
                self.assert_passes(filter_, HOME[0], user=f"user{number}@example.org")
        os.unlink(ballast)
        self.site.end_rest()
        self.assert_reply(REFUSED, self.filter(self.site), HOME[2])
        self.assertEqual(self.site.query("PRAGMA integrity_check"), [("ok",)])

    def test_full_before_there_is_a_store(self):
        self.running.__exit__()
        for name in os.listdir(self.directory):
            os.unlink(os.path.join(self.directory, name))
        ballast = self.fill()
        filter_ = self.filter(self.site)
        self.assert_passes(filter_, *HOME[:3])
        self.assertRegex(self.site.log(), "store: .*; mail flows without it")
        os.unlink(ballast)
        self.site.end_rest()
        self.assert_passes(filter_, *HOME[:2])
        self.assert_reply(REFUSED, filter_, HOME[2])


class Explained(GeoTest):
    """abictl check tells what the filter would do, and changes nothing."""

    def check(self, site, address, *arguments):
        return site.abictl("check", f"client_address={address}", f"sasl_username={USER}",
                           *arguments)

    def dump(self, site):
        with site.sqlite() as database:
            return list(database.iterdump())

    def test_counts_limits_country_and_answer(self):
        site = LoginSite(countries=2, rate="1/1h")
        self.assert_passes(self.filter(site), *HOME[:2])
        before, log = self.dump(site), site.log()
        for address, text, answer in (
                (HOME[0], "countries 2 (limit 2), addresses 2 (limit 20), login from 81.2.69.142 "
                 "(GB)", "action=DUNNO"),
                (HOME[2], "countries 3 (limit 2), addresses 3 (limit 20), login from "
                 "216.160.83.56 (US)", "action=554 5.7.1 Your mail account (user@example.org)"),
                (NOWHERE[0], "login from 9.9.9.9 (country unknown)", "action=DUNNO"),
                ("10.1.2.3", "not a global address", "action=DUNNO")):
            with self.subTest(address):
                done = self.check(site, address)
                self.assertEqual((done.returncode, done.stderr), (0, ""))
                self.assertIn(text, done.stdout)
                self.assertIn(f"answer: {answer}", done.stdout)
        self.assertEqual((self.dump(site), site.log()), (before, log))

    def test_a_store_that_is_not_there_is_not_made(self):
        site = LoginSite()
        done = self.check(site, HOME[0])
        self.assertEqual(done.returncode, 0)
        self.assertIn("answer: action=DUNNO", done.stdout)
        self.assertEqual(os.listdir(os.path.dirname(site.store)), [])
        self.assertEqual(os.listdir(site.cache), [])

    def test_what_is_wrong_with_the_store_is_no_rest_for_others(self):
        site = LoginSite()
        self.assert_passes(self.filter(site), HOME[0])
        site.query("DROP TABLE postfwd_logins")
        self.assertIn("no such table", self.check(site, HOME[0]).stdout)
        self.assertEqual([name for name in os.listdir(site.cache) if "store" in name], [])

    def test_a_store_that_was_replaced_is_noticed(self):
        site = LoginSite()
        filter_ = self.filter(site)
        self.assert_passes(filter_, HOME[0])
        for name in os.listdir(os.path.dirname(site.store)):
            os.unlink(os.path.join(os.path.dirname(site.store), name))

        def is_counted_again():
            filter_.ask(HOME[0], sasl_username="user@example.org")
            return os.path.exists(site.store)
        wait_until(is_counted_again, "the new store", interval=0.2)

    def test_live(self):
        site = LoginSite()
        self.assert_passes(self.filter(site), HOME[0])
        self.assertEqual(self.check(site, HOME[1], "--live").returncode, 0)
        self.assertEqual(site.counts(), (2, 2, 2))

    def test_without_a_database_or_a_store(self):
        site = LoginSite()
        os.unlink(site.places)
        testenv.write_file(site.store, "no database\n" * 1000, owner=FILTER_USER)
        done = self.check(site, HOME[0])
        self.assertEqual(done.returncode, 0)
        self.assertIn("file is not a database", done.stdout)


def setUpModule():
    if os.getuid() != 0:
        raise unittest.SkipTest("only root can start filters as another user")


if __name__ == "__main__":
    unittest.main()
