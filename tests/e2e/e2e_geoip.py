#!/usr/bin/python3
"""abictl geoip: DB-IP Lite from a stand-in for its publisher, which can misbehave. Whatever comes,
the database that is there stays as it is until a better one replaces it.

    python3 tests/e2e/e2e_geoip.py [-v] [Class.test ...]
"""
import gzip
import os
import re
import resource
import signal
import subprocess
import sys
import threading
import time
import unittest
import zlib

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import apistub  # noqa: E402
import mmdb  # noqa: E402
import testenv  # noqa: E402
from apistub import error, held, html_page, raw, redirect  # noqa: E402
from filter import DUNNO, Filter  # noqa: E402
from mmdb import Place  # noqa: E402
from publisher import KNOWN, Publisher, month, packed  # noqa: E402
from testenv import FILTER_USER, Site, wait_until  # noqa: E402

OK, USAGE, UNAVAILABLE, CANTCREAT, TEMPFAIL, CONFIG = 0, 64, 69, 73, 75, 78
COUNTRIES = {**KNOWN, "81.2.69.0/24": "GB"}
MORE = {f"198.51.{number}.0/24": "DE" for number in range(256)}
CITIES = {block: Place("US", 37.4, -122.1, 10) for block in KNOWN}
COUNTRY, CITY = "DBIP-Country-Lite", "DBIP-City-Lite"

# Empty places for databases; then a command with `run', as the filter's user.
IN_EMPTY_PLACES = """
for directory in /var/lib /usr/share /usr/local/share; do
    mount -t tmpfs -o mode=755 tmpfs "$directory" || exit
done
mkdir -m 755 /var/lib/abichecker && chown "$1" /var/lib/abichecker
run() { setpriv --reuid="$1" --regid="$2" --clear-groups "$abictl" -c "$conf" selftest; }
abictl=$3 conf=$4
"""


def country_database(places=None, back=0, kind=COUNTRY, **keywords):
    return mmdb.image(places or COUNTRIES, kind=kind, built=month(back), **keywords)


def city_database(back=0):
    return mmdb.image(CITIES, "city", kind=CITY, built=month(back))


class GeoipTest(testenv.TestCase):

    def setUp(self):
        self.publisher = Publisher().start()
        self.addCleanup(self.publisher.stop)
        self.site, self.places = self.new_site()

    def new_site(self, **options):
        directory = testenv.new_directory("places", FILTER_USER)
        path = os.path.join(directory, "places.mmdb")
        site = Site(options={"geocount.database": path,
                             "geocount.database_url": self.publisher.url + "/", **options})
        return site, path

    def offer(self, data, edition="country", back=0):
        self.publisher.files[edition, back] = packed(data)
        return data

    def install(self, data):
        testenv.write_file(self.places, data, owner=FILTER_USER)
        return data

    def installed(self):
        """The database; beside it nothing is left."""
        directory = os.path.dirname(self.places)
        self.assertLessEqual(set(os.listdir(directory)), {os.path.basename(self.places)})
        if not os.path.exists(self.places):
            return None
        with open(self.places, "rb") as file:
            return file.read()

    def update(self, *options, status=OK, says="", **keywords):
        """Runs it: a message of one line on standard error, or nothing."""
        done = self.site.abictl("geoip", "update", *options, **keywords)
        self.assertEqual((done.returncode, done.stdout), (status, ""), done.stderr)
        self.assertRegex(done.stderr, rf"\Aabictl: [^\n]*{says}[^\n]*\n\Z" if status else r"\A\Z")
        self.assertEqual(self.site.log(), "")


class Updates(GeoipTest):
    """What ends well."""

    def test_the_first_one(self):
        data = self.offer(country_database())
        self.update()
        self.assertEqual(self.installed(), data)
        status = os.stat(self.places)
        self.assertEqual((status.st_mode & 0o7777, status.st_uid), (0o644, FILTER_USER.pw_uid))
        (request,) = self.publisher.requests
        self.assertRegex(request.headers["User-Agent"], r"\Aabichecker/[0-9.]+\Z")
        self.assertNotIn("Key", request.headers)

    def test_a_terminal_gets_one_line(self):
        self.offer(country_database())
        day = time.strftime("%Y-%m-%d", time.gmtime(month()))
        for what in ("updated", "up to date"):
            done = self.site.on_terminal("geoip", "update")
            self.assertEqual((done.returncode, done.stdout, done.stderr),
                             (OK, f"{self.places}: {what}, {COUNTRY}, built {day}\n", ""))

    def test_an_old_one_is_replaced(self):
        self.install(country_database(back=2))
        data = self.offer(country_database(MORE | COUNTRIES))
        self.update()
        self.assertEqual(self.installed(), data)

    def test_one_that_is_damaged_is_replaced(self):
        """As far as it still says what it is."""
        whole = country_database(MORE | COUNTRIES)
        self.install(b"\xff" * 5000 + whole[5000:])
        data = self.offer(country_database())
        self.update()
        self.assertEqual(self.installed(), data)

    def test_that_of_the_last_month_where_there_is_no_newer_one(self):
        data = self.offer(country_database(back=1), back=1)
        self.update()
        self.assertEqual(self.installed(), data)
        self.assertEqual(len(self.publisher.requests), 2)
        self.update()  # asks for the new one again, and for nothing else
        self.assertEqual((self.installed(), len(self.publisher.requests)), (data, 3))

    def test_one_of_this_month_needs_no_request(self):
        data = self.install(country_database())
        self.offer(country_database(MORE | COUNTRIES))
        self.update()
        self.assertEqual((self.installed(), self.publisher.requests), (data, []))

    def test_one_that_was_built_a_little_early(self):
        data = self.install(mmdb.image(COUNTRIES, kind=COUNTRY, built=month() - 86400))
        self.update()
        self.assertEqual((self.installed(), self.publisher.requests), (data, []))

    def test_cities_by_option_or_for_journeys(self):
        self.offer(country_database())
        data = self.offer(city_database(), "city")
        self.update()
        self.update("--city")  # of the same month
        self.assertEqual(self.installed(), data)
        for speed in "1000", "0":  # and it stays so
            self.site.configure(**{"geocount.speed": speed})
            self.update()
            self.assertEqual((self.installed(), self.publisher.asked()),
                             (data, ["country", "city"]))
        self.site.configure(**{"geocount.speed": "1000"})
        self.install(country_database())
        self.update()
        self.assertEqual(self.installed(), data)

    def test_https(self):
        self.publisher.stop()
        certificate = apistub.make_certificate(testenv.new_directory("certificate"))
        self.publisher = Publisher(certificate=certificate).start()
        self.addCleanup(self.publisher.stop)
        data = self.offer(country_database())
        self.site.configure(**{"geocount.database_url": self.publisher.url})
        self.update(status=UNAVAILABLE, says="certificate")
        self.assertIsNone(self.installed())
        self.site.configure(**{"reputation.ca_file": certificate[0]})
        self.update()
        self.assertEqual(self.installed(), data)

    def test_root_leaves_it_to_the_filters_user(self):
        data = self.offer(country_database())
        self.update(user=0, group=0)
        self.assertEqual((self.installed(), os.stat(self.places).st_uid),
                         (data, FILTER_USER.pw_uid))

    def test_a_filter_that_runs_reads_the_new_one(self):
        self.install(country_database(KNOWN, back=2))
        self.offer(country_database())
        with Filter(self.site) as filter_:
            for country in (None, "GB"):
                self.assertEqual(filter_.ask("81.2.69.142", sasl_method="PLAIN",
                                             sasl_username="ann@example.org"), DUNNO)
                self.assertEqual(self.site.query("SELECT state_code FROM postfwd_logins"),
                                 [(country,)])
                done = self.site.abictl("geoip", "update")
                self.assertEqual((done.returncode, done.stderr), (OK, ""))


class Refusals(GeoipTest):
    """What came is not taken, and the old one stays byte for byte."""

    def setUp(self):
        super().setUp()
        self.old = self.install(country_database(COUNTRIES | MORE, back=2))

    def refused(self, says, *options, status=UNAVAILABLE, **keywords):
        self.update(*options, status=status, says=says, **keywords)
        self.assertEqual(self.installed(), self.old)

    def refuses(self, answer, says, *options):
        for edition in ("country", "city"):
            self.publisher.files[edition, 0] = answer
        self.refused(says, *options)

    def test_none_of_two_months(self):
        self.refused("this month and none of the last one")
        self.assertEqual(len(self.publisher.requests), 2)

    def test_an_error_of_the_server(self):
        for status in (400, 403, 500, 503):
            self.refuses(error(status), f"country-lite-.*HTTP status {status}")

    def test_a_redirect(self):
        self.refuses(redirect(), "redirects are not followed")

    def test_a_page(self):
        self.refuses(html_page(), "not a whole gzip file")

    def test_nothing(self):
        self.refuses(raw(b""), "not a whole gzip file")

    def test_damaged_files(self):
        whole = gzip.compress(country_database(MORE | COUNTRIES))
        middle = len(whole) // 2
        for damaged in (whole[:-1], whole[:middle], whole[:5],
                        whole[:middle] + bytes([whole[middle] ^ 255]) + whole[middle + 1:],
                        whole[:-8] + bytes(8), zlib.compress(country_database())):
            self.refuses(raw(damaged), "not a whole gzip file")
        for more in (b"\0", b"more", whole):
            self.refuses(raw(whole + more), "something follows")

    def test_a_transfer_that_ends_early(self):
        whole = gzip.compress(country_database())

        def answer(exchange):
            exchange.send_head(200, {"Content-Length": len(whole)})
            exchange.wfile.write(whole[:100])
            exchange.close_connection = True
        self.refuses(answer, "country-lite-.*transfer closed")

    def test_a_bomb(self):
        """Of what unpacks to 1 GB, not more than 64 MB are ever written."""
        packer = zlib.compressobj(wbits=31)
        bomb = b"".join(packer.compress(bytes(1 << 20)) for _ in range(1 << 10)) + packer.flush()
        self.refuses(raw(bomb), "too large when unpacked")

    def test_data_that_never_become_anything(self):
        """Empty blocks without an end, as stored ones can be."""
        head = gzip.compress(b"")[:10]
        empty = b"\x00\x00\x00\xff\xff" * 20000

        def answer(exchange):
            exchange.send_head(200, {"Connection": "close"})
            exchange.wfile.write(head)
            for _ in range((80 << 20) // len(empty)):
                exchange.wfile.write(empty)
            exchange.close_connection = True
        self.refuses(answer, "too large")

    def test_no_database(self):
        for data in (b"", b"text\n" * 100, country_database()[:-100], bytes(100000)):
            self.refuses(packed(data), "no good database")

    def test_one_that_does_not_know_the_best_known(self):
        places = dict(COUNTRIES)
        del places["2001:4860::/32"]
        self.refuses(packed(country_database(MORE | places)), "no countries for IPv6")
        del places["8.8.8.0/24"]
        self.refuses(packed(country_database(MORE | places)), "no country for 8.8.8.8")

    def test_countries_for_cities(self):
        self.refuses(packed(country_database(MORE | COUNTRIES)), "no coordinates", "--city")

    def test_an_older_one(self):
        self.refuses(packed(country_database(MORE | COUNTRIES, back=3)), "older than")

    def test_a_much_smaller_one(self):
        self.refuses(packed(country_database()), "less than half as large")
        os.unlink(self.places)
        self.update()
        self.assertEqual(self.installed(), country_database())

    def test_somebody_elses(self):
        for kind in ("GeoLite2-Country", "ipinfo country"):
            self.old = self.install(country_database(kind=kind, back=9))
            self.offer(country_database())
            self.refused(re.escape(f"{kind}: not DB-IP Lite, so it is not replaced"),
                         status=CONFIG)
        for data in (b"", b"a store, or whatever is named by mistake\n" * 1000):
            self.old = self.install(data)
            self.refused("not DB-IP Lite, so it is not replaced", status=CONFIG)
        self.assertEqual(self.publisher.requests, [])

    def test_silence(self):
        """It ends by itself: the stand-in says nothing until it is stopped."""
        self.site.configure(**{"reputation.timeout": "1s"})
        self.refuses(apistub.silence, "too slow")

    def test_nobody_there(self):
        self.publisher.stop()
        self.refused("country-lite-.*[Cc]onnect")

    def test_killed_on_the_way(self):
        data = country_database(MORE | COUNTRIES)
        whole, gate = gzip.compress(data), threading.Event()

        def answer(exchange):
            exchange.send_head(200, {"Content-Length": len(whole)})
            exchange.wfile.write(whole[:len(whole) // 2])
            gate.wait(testenv.PATIENCE)
            exchange.close_connection = True
        self.addCleanup(gate.set)
        self.publisher.files["country", 0] = answer
        running = subprocess.Popen(
            [testenv.program("abictl"), "-c", self.site.conf, "geoip", "update"],
            stderr=subprocess.DEVNULL, **Site.as_filter_user())
        temporary = os.path.join(os.path.dirname(self.places), ".places.mmdb.abichecker-new")
        wait_until(lambda: os.path.exists(temporary) and self.publisher.requests, "the download")
        running.send_signal(signal.SIGKILL)
        running.wait()
        self.assertTrue(os.path.exists(temporary))
        with open(self.places, "rb") as file:
            self.assertEqual(file.read(), self.old)
        self.offer(data)
        self.update()
        self.assertEqual(self.installed(), data)

    def test_two_at_once(self):
        data, gate = country_database(MORE | COUNTRIES), threading.Event()
        self.publisher.files["country", 0] = held(gate, packed(data))
        self.addCleanup(gate.set)
        first = subprocess.Popen(
            [testenv.program("abictl"), "-c", self.site.conf, "geoip", "update"],
            stderr=subprocess.PIPE, **Site.as_filter_user())
        wait_until(lambda: self.publisher.requests, "the first one")
        self.update(status=TEMPFAIL, says="another process")
        gate.set()
        self.assertEqual(first.communicate(), (None, b""))
        self.assertEqual((first.returncode, self.installed()), (OK, data))

    def test_a_full_disk(self):
        small = testenv.new_directory("small", FILTER_USER)
        self.addCleanup(testenv.mount_tmpfs(small, "size=128k"))
        self.places = os.path.join(small, "places.mmdb")
        self.site.configure(**{"geocount.database": self.places})
        self.install(self.old)
        many = {f"198.{18 + n // 256}.{n % 256}.0/24": "DE" for n in range(512)}
        self.offer(country_database(COUNTRIES | many) + os.urandom(200000))
        self.refused("No space left on device", status=CANTCREAT)

    def test_a_limit_for_files(self):
        self.offer(country_database() + os.urandom(200000))
        self.refused("File too large", status=CANTCREAT, preexec_fn=lambda:
                     resource.setrlimit(resource.RLIMIT_FSIZE, (100000, 100000)))

    def test_a_directory_of_root(self):
        os.chown(os.path.dirname(self.places), 0, 0)
        self.offer(country_database())
        self.refused("Permission denied; try sudo", status=CANTCREAT)
        self.refused("the filter's user must be able to write there",
                     status=CANTCREAT, user=0, group=0)
        self.assertEqual(self.publisher.requests, [])

    def test_no_database_wanted(self):
        self.site.configure(**{"geocount.database": ""})
        self.refused("geocount.database is empty", status=CONFIG)

    def test_usage(self):
        for words in ((), ("updates",), ("update", "now"), ("update", "--json")):
            self.assertEqual(self.site.abictl("geoip", *words).returncode, USAGE)


class Places(GeoipTest):
    """Where a database is found that the configuration does not name, and where ours goes."""

    PLACES = ("/usr/local/share/GeoIP/GeoLite2-Country.mmdb",
              "/usr/local/share/GeoIP/GeoLite2-City.mmdb",
              "/usr/share/GeoIP/GeoLite2-Country.mmdb", "/usr/share/GeoIP/GeoLite2-City.mmdb",
              "/var/lib/GeoIP/GeoLite2-Country.mmdb", "/var/lib/GeoIP/GeoLite2-City.mmdb")
    OURS = "/var/lib/abichecker/dbip-lite.mmdb"

    def in_empty_places(self, script, *arguments):
        testenv.need_mounts(self)
        self.site.configure(**{"geocount.database": None, "filter.checks": "geocount"})
        done = subprocess.run(
            ["unshare", "--mount", "sh", "-c", IN_EMPTY_PLACES + script, "sh",
             str(FILTER_USER.pw_uid), str(FILTER_USER.pw_gid), testenv.program("abictl"),
             self.site.conf, *arguments], capture_output=True, text=True, check=False)
        self.assertEqual(done.stderr, "")
        return re.findall(r"^(?:\w+ +geocount: |      try: (?=.*geoip))(.*)", done.stdout,
                          re.MULTILINE)

    def test_each_goes_before_the_one_further_away(self):
        self.install(country_database(kind="GeoLite2-Country"))
        self.offer(country_database())
        said = self.in_empty_places(
            'user=$1 group=$2 database=$5; shift 5; run "$user" "$group"\n'
            'for place; do mkdir -p "${place%/*}"; cp "$database" "$place"\n'
            '    run "$user" "$group"; done\n'
            '"$abictl" -c "$conf" geoip update; run "$user" "$group"\n', self.places, *self.PLACES)
        absent, hint, *found, ours = said
        self.assertRegex(absent, rf"\A{self.OURS}: .*No such file or directory")
        self.assertRegex(hint, r"abictl -c \S+ geoip update\Z")
        self.assertEqual([line.split(": ")[0] for line in found], list(self.PLACES))
        self.assertRegex(ours, rf"\A{self.OURS}: {COUNTRY}, built 20\d\d-\d\d-01\Z")


def setUpModule():
    if os.getuid() != 0:
        raise unittest.SkipTest("only root can start abictl as another user")


if __name__ == "__main__":
    unittest.main()
