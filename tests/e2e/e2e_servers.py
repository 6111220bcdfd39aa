#!/usr/bin/python3
"""A store on a real server, PostgreSQL, MariaDB and Redis: two hosts share it, and whatever happens
to the server, mail flows and nobody waits for long.

    python3 tests/e2e/e2e_servers.py [-v] [Class.test ...]
"""
import contextlib
import os
import select
import socket
import subprocess
import sys
import threading
import unittest

sys.dont_write_bytecode = True
TESTS = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(TESTS, "..", "lib"), TESTS]

import e2e_accounts  # noqa: E402
import e2e_blacklist  # noqa: E402
import servers  # noqa: E402
import testenv  # noqa: E402
from dnsstub import DnsStub  # noqa: E402
from e2e_blacklist import GUILTY, OTHER, guesses  # noqa: E402
from filter import DUNNO, Filter, request  # noqa: E402
from pace import Stopwatch, duration  # noqa: E402
from serversite import ServerSite, built_in  # noqa: E402
from testenv import Site, wait_until  # noqa: E402

FAST = 0.5  # seconds that nobody needs who waits for nothing; see pace.py
TIMEOUT = 2  # store.timeout where the server is silent
ENOUGH = "8s"  # where no test is about it, on a machine with other work as well
AGAIN = 12  # seconds until it is used again: 5 without an attempt, and some that a busy machine needs
USER = "user@example.org"
HOME = ("81.2.69.142", "89.160.20.112", "216.160.83.56")  # one more than allowed
REFUSED = b"action=554 5.7.1 Too many addresses.\n\n"
LIBRARIES = {"pgsql": "libpq.", "mysql": "libmariadb.", "redis": "libhiredis."}


def mapped(pid):
    """The clients of database servers that a process has mapped, and TLS that none of them brings."""
    maps = testenv.read_file(f"/proc/{pid}/maps")
    found = [kind for kind, library in LIBRARIES.items() if f"/{library}" in maps]
    if found in ([], ["redis"]) and "/libssl." in maps:
        found.append("libssl")
    return found


def sockets(pid):
    """How many there are beside the client's own, on descriptors 0, 1 and 2."""
    found = 0
    for number in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            found += int(number) > 2 and "socket:" in os.readlink(f"/proc/{pid}/fd/{number}")
    return found


class OnServer:
    """A server of each kind, and what is asked of a filter that uses it."""

    kind = ""
    server = None

    @classmethod
    def setUpClass(cls):
        missing = servers.KINDS[cls.kind].missing()
        if missing:
            raise unittest.SkipTest(f"{', '.join(missing)} not installed")
        if not built_in(cls.kind):
            raise unittest.SkipTest("not built in")
        cls.server = servers.KINDS[cls.kind]().start()
        testenv.at_exit(cls.server.stop)

    @classmethod
    def tearDownClass(cls):
        if cls.server:
            cls.server.stop()

    def setUp(self):
        super().setUp()
        if self.server.process:
            self.server.resume()
        else:
            self.server.start()
        self.user = f"{self.id().rsplit('.', 1)[-1]}@example.org"

    def site(self, **options):
        """A host with limits of two addresses."""
        return Site(options={
            "store.url": self.server.url(), "store.timeout": ENOUGH, "geocount.addresses": "2",
            "geocount.rate": "0", "geocount.action": "554 5.7.1 Too many addresses.", **options})

    def filter(self, site):
        return self.enterContext(Filter(site))

    def ask(self, filter_, address):
        return filter_.ask(address, sasl_username=self.user)

    def log_in(self, filter_):
        """Up to the limit."""
        for address in HOME[:2]:
            self.assertEqual(self.ask(filter_, address), DUNNO)

    def assert_passes(self, filter_, limit):
        """Mail flows, within so many seconds; returns how long it took."""
        reply, seconds = duration(lambda: self.ask(filter_, HOME[2]))
        self.assertEqual(reply, DUNNO)
        self.assert_within(limit, seconds)
        return seconds

    def assert_outage(self, site, running, wait=0):
        """The first request waits once; then nobody waits, in whatever process."""
        self.assert_passes(running, wait + FAST)
        self.assert_passes(running, FAST)
        self.assert_passes(self.filter(site), FAST)
        self.assertEqual(len(site.log_lines("store: ")), 1, site.log())
        self.assertNotIn(servers.PASSWORD, site.log())

    def assert_no_rest(self, site):
        self.assertEqual([name for name in os.listdir(site.cache) if name.startswith(".rest-store")], [])

    def assert_refuses(self, site, running):
        """It says no at once: nobody waits, nothing rests, and each process tells it once."""
        for filter_ in running, running, self.filter(site):
            self.assert_passes(filter_, FAST)
        self.assertEqual(len(site.log_lines(": error: store: ")), 2, site.log())
        self.assert_no_rest(site)

    def assert_full(self, site, running, late, told):
        """Too many connections: who has one goes on, and the others as soon as they get one."""
        for _ in range(2):
            self.assert_passes(late, FAST)
            self.assertEqual(self.ask(running, HOME[2]), REFUSED)
        self.assertIn(told, site.log())
        self.assert_no_rest(site)

    def assert_recovers(self, site, running, by_itself=False):
        """by_itself: when the rest is over; else it is ended here."""
        for name in os.listdir(site.cache):
            if name.startswith(".rest-store") and not by_itself:
                os.unlink(os.path.join(site.cache, name))
        wait_until(lambda: self.ask(running, HOME[2]) == REFUSED, "the store", AGAIN, interval=0.1)
        self.assertEqual(len(site.log_lines("store: usable again")), 1, site.log())
        self.assertEqual(self.ask(self.filter(site), HOME[2]), REFUSED)


class Shared(OnServer):
    """What every kind of server must show."""

    # Several hosts

    def test_two_hosts_share_it(self):
        one, other = (self.filter(self.site()) for _ in range(2))
        self.assertEqual(self.ask(one, HOME[0]), DUNNO)
        self.assertEqual(self.ask(other, HOME[1]), DUNNO)
        self.assertEqual(self.ask(one, HOME[2]), REFUSED)
        self.assertEqual(self.ask(other, HOME[2]), REFUSED)

    def test_by_a_unix_socket(self):
        site = self.site(**{"store.url": self.server.socket_url()})
        running = self.filter(site)
        self.log_in(running)
        self.assertEqual(self.ask(running, HOME[2]), REFUSED, site.log())

    def test_the_password_from_a_file(self):
        site = self.site()
        path = f"{site.directory}/password"
        testenv.write_file(path, servers.PASSWORD + "\n", 0o400, testenv.FILTER_USER)
        url = self.server.url().replace(f":{servers.encode(servers.PASSWORD)}@", "@")
        self.assertNotEqual(url, self.server.url())
        site.configure(**{"store.url": url, "store.password_file": path})
        running = self.filter(site)
        self.log_in(running)
        self.assertEqual(self.ask(running, HOME[2]), REFUSED, site.log())

    def test_a_password_is_never_shown(self):
        site = self.site()
        result = site.abictl("config")
        self.assertRegex(result.stdout, r"# url = \(hidden, \d+ characters\)")
        result = site.abictl("-o", f"store.url={self.server.url()}", "config")
        self.assertEqual(result.returncode, 78, result)
        self.assertIn("not allowed on the command line", result.stderr)
        for words in (["store", "status"], ["--json", "store", "status"], ["selftest"]):
            result = site.abictl(*words)
            self.assertNotIn(servers.encode(servers.PASSWORD), result.stdout + result.stderr)
            self.assertNotIn(servers.PASSWORD, result.stdout + result.stderr)

    # What a filter costs

    def test_only_its_own_library_is_loaded(self):
        running = self.filter(Site(options={"geocount.addresses": "2",
                                            "store.timeout": ENOUGH}))  # SQLite
        self.log_in(running)
        self.assertEqual(mapped(running.process.pid), [])
        running = self.filter(self.site())
        self.assertEqual(running.ask("8.8.4.4"), DUNNO)  # no user: no store
        self.assertEqual(mapped(running.process.pid), [])
        self.log_in(running)
        self.assertEqual(mapped(running.process.pid), [self.kind])
        self.assertEqual(sockets(running.process.pid), 1)

    def test_an_idle_connection_is_closed(self):
        site = self.site(**{"store.idle": "1s"})
        running = self.filter(site)
        self.log_in(running)
        self.assertEqual(sockets(running.process.pid), 1)
        wait_until(lambda: sockets(running.process.pid) == 0, "the connection to be closed", 15)
        self.assertEqual(self.ask(running, HOME[2]), REFUSED)
        self.assertEqual(site.log_lines("store: "), [])

    # Faults

    def test_a_restart_between_two_requests_is_not_noticed(self):
        site = self.site()
        running = self.filter(site)
        self.log_in(running)
        self.server.halt()
        self.server.start()
        self.assertEqual(self.ask(running, HOME[2]), REFUSED, site.log())
        self.assertEqual(site.log_lines("store: "), [])

    def test_stopped(self):
        site = self.site()
        running = self.filter(site)
        self.log_in(running)
        self.server.halt()
        self.assert_outage(site, running)
        self.server.start()
        self.assert_recovers(site, running, by_itself=True)

    def test_killed(self):
        site = self.site()
        running = self.filter(site)
        self.log_in(running)
        self.server.kill()
        self.assert_outage(site, running)
        self.server.start()
        self.assert_recovers(site, running)

    def test_silent(self):
        """It takes connections and requests, and answers nothing."""
        site = self.site(**{"store.timeout": f"{TIMEOUT}s"})
        running = self.filter(site)
        self.log_in(running)
        self.server.pause()
        self.addCleanup(self.server.resume)
        self.assert_outage(site, running, wait=TIMEOUT)
        self.server.resume()
        self.assert_recovers(site, running)

    def test_killed_in_the_middle_of_a_request(self):
        site = self.site(**{"store.timeout": "10s"})
        running = self.filter(site)
        self.log_in(running)
        self.server.pause()
        running.send(request(HOME[2], sasl_username=self.user))
        running.wait_until_read()
        self.assertTrue(running.is_silent(0.3))  # it waits for the server
        watch = Stopwatch()
        self.server.kill()
        self.assertEqual(running.receive(), DUNNO)
        self.assert_within(FAST, watch.seconds())
        self.server.start()
        self.assert_recovers(site, running)

    def test_a_wrong_password(self):
        site = self.site(**{"store.url": self.server.url(password="wrong-one")})
        running = self.filter(site)
        self.assert_outage(site, running)
        self.assertNotIn("wrong-one", site.log())
        site.configure(**{"store.url": self.server.url()})
        running = self.filter(site)
        self.log_in(running)
        self.assertEqual(self.ask(running, HOME[2]), REFUSED)


class LogSite(e2e_blacklist.BlacklistSite):
    def __init__(self, options):
        super().__init__(**options)


class EverySite(ServerSite, e2e_accounts.AccountSite, LogSite):
    """Accounts, zones, logins and offenders, all of them configured; a scan knows whom it reads."""

    def __init__(self, server, dns):
        ServerSite.__init__(self, server, dns, {
            "geocount.addresses": "2", "geocount.rate": "0", "geocount.mark": "yes",
            "geocount.action": "554 5.7.1 Too many addresses.", "authbl.recipient_zones": "",
            "store.timeout": ENOUGH})


class Relay:
    """Stands between a filter and a server, and is slow: it waits so long before each answer, or
    hands it on so many bytes at a time."""

    def __init__(self, server, wait=0, at_once=1 << 16):
        self.server, self.wait, self.at_once = server, wait, at_once
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.ended = threading.Event()
        threading.Thread(target=self.accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.listener.close()

    def url(self, **parameters):
        return self.server.url(**parameters).replace(f":{self.server.port}/", f":{self.port}/")

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                server = socket.create_connection(("127.0.0.1", self.server.port))
                for each in client, server:
                    each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                threading.Thread(target=self.carry, args=(client, server, False),
                                 daemon=True).start()
                threading.Thread(target=self.carry, args=(server, client, True),
                                 daemon=True).start()

    def carry(self, from_, to, slow):
        with contextlib.suppress(OSError), contextlib.closing(from_):
            while data := from_.recv(self.at_once if slow else 1 << 16):
                if slow and self.wait:
                    self.ended.wait(self.wait)
                to.sendall(data)
            to.shutdown(socket.SHUT_RDWR)


class Outages(OnServer):
    """With everything configured that uses the store."""

    LISTED = e2e_accounts.LISTED
    STOPPED = e2e_accounts.STOPPED
    BANNED = e2e_blacklist.REFUSED

    def setUp(self):
        super().setUp()
        self.dns = DnsStub().start()
        self.addCleanup(self.dns.stop)
        self.place = EverySite(self.server, self.dns)
        self.place.list_address(self.LISTED)
        self.place.write(guesses(GUILTY))
        self.assertEqual(self.place.scan()["listed"], 1)
        self.running = self.filter(self.place)
        self.log_in(self.running)
        self.assertEqual(self.say("caught@example.org", self.LISTED), self.STOPPED)
        self.assertEqual(self.place.log_lines(" error: "), [])

    def hurry(self):
        """The running filter, and those that follow, are not that patient any more."""
        self.place.configure(**{"store.timeout": f"{TIMEOUT}s"})
        self.running = self.filter(self.place)
        self.assertEqual(self.say("caught@example.org", HOME[0]), self.STOPPED)

    def say(self, user, address, filter_=None, **attributes):
        return (filter_ or self.running).ask(address, sasl_method="PLAIN" if user else "",
                                             sasl_username=user, **attributes)

    def assert_flows(self, wait=0):
        """What needs the store is let through, what does not is refused as ever, nobody waits but
        the first one, and each thing is logged once."""
        place = self.place
        late = self.filter(place)
        reply, seconds = duration(lambda: self.say("caught@example.org", HOME[0]))
        self.assertEqual(reply, DUNNO)
        self.assert_within(wait + FAST, seconds)
        self.assertGreaterEqual(seconds, wait * 0.8)  # it was as silent as it should be
        watch = Stopwatch()
        for filter_ in self.running, late:
            self.assertEqual(self.say("caught@example.org", HOME[0], filter_), DUNNO)
            self.assertEqual(self.say(self.user, HOME[2], filter_), DUNNO)
            self.assertEqual(self.say("new@example.org", self.LISTED, filter_), self.STOPPED)
            self.assertEqual(self.say("", GUILTY, filter_), self.BANNED)
            self.assertEqual(self.say("", OTHER, filter_), DUNNO)
        self.assert_within(2 * FAST, watch.seconds())
        self.assertEqual(len(place.log_lines(r": (error|warning): store: |store: .*without it")), 1,
                         place.log())
        self.assertNotIn(servers.PASSWORD, place.log())

    def assert_scan_fails(self, limit):
        """It says why, keeps what is published, and loses no line."""
        place = self.place
        before = os.stat(place.snapshot).st_ino
        place.write(guesses(OTHER))
        done, seconds = duration(lambda: place.command("scan"))
        self.assertEqual(done.returncode, 69, done)
        self.assertNotIn(servers.PASSWORD, done.stderr + place.log())
        self.assert_within(limit, seconds)
        self.assertEqual(os.stat(place.snapshot).st_ino, before)
        self.assertEqual(place.answer(GUILTY), self.BANNED)

    def assert_all_works_again(self):
        """Within a few seconds, by itself."""
        place = self.place
        wait_until(lambda: self.say("caught@example.org", HOME[0]) == self.STOPPED, "the store",
                   AGAIN, interval=0.1)
        for filter_ in self.running, self.filter(place):
            self.assertEqual(self.say("caught@example.org", HOME[1], filter_), self.STOPPED)
            self.assertRegex(self.say(self.user, HOME[2], filter_), b"Too many|Stopped")
            self.assertEqual(self.say("new@example.org", self.LISTED, filter_), self.STOPPED)
            self.assertEqual(self.say("new@example.org", HOME[0], filter_), self.STOPPED)
        self.assertEqual(len(place.log_lines("store: usable again")), 1, place.log())
        counted = place.scan()
        if place.log_lines("scan: .*error|error: scan"):
            self.assertEqual(counted["hits"], 5)
            self.assertEqual(place.answer(OTHER), self.BANNED)
        self.assertEqual(place.answer(GUILTY), self.BANNED)

    def test_stopped_with_everything(self):
        self.server.halt()
        self.assert_flows()
        self.assert_scan_fails(5)
        self.server.start()
        self.assert_all_works_again()

    def test_killed_with_everything(self):
        self.server.kill()
        self.assert_flows()
        self.server.start()
        self.assert_all_works_again()

    def test_silent_with_everything(self):
        self.hurry()
        self.server.pause()
        self.addCleanup(self.server.resume)
        self.assert_flows(TIMEOUT)
        self.server.resume()
        self.assert_all_works_again()

    def test_killed_in_the_middle_with_everything(self):
        """Of a request that has a hit to put down: it is refused all the same."""
        self.place.configure(**{"store.timeout": "9s"})
        self.running = running = self.filter(self.place)
        self.assertEqual(self.say("caught@example.org", HOME[0]), self.STOPPED)
        self.server.pause()
        running.send(request(self.LISTED, sasl_method="PLAIN", sasl_username="new@example.org"))
        running.wait_until_read()
        self.assertTrue(running.is_silent(0.3))
        watch = Stopwatch()
        self.server.kill()
        self.assertEqual(running.receive(), self.STOPPED)
        self.assert_within(2 * FAST, watch.seconds())
        self.assert_flows()
        self.server.start()
        self.assert_all_works_again()

    def test_a_scan_that_the_server_does_not_outlive(self):
        """Each of its lines counts once in the end."""
        place = self.place
        place.configure(**{"blacklist.rules": "relay-denied=2/1d"})
        clients = [f"9.{i >> 8}.{i & 255}.9" for i in range(3000)]
        place.write(*(e2e_blacklist.relay(client) for client in clients))
        place.write(*(e2e_blacklist.relay(client) for client in clients))
        process = place.start("scan", "--json")
        wait_until(lambda: sockets(process.pid) or process.poll() is not None, "the connection",
                   interval=0)
        self.server.kill()
        process.communicate(timeout=testenv.PATIENCE)
        self.server.start()
        place.scan()
        listed = place.listed()
        self.assertEqual(set(listed) - {f"{GUILTY}/32"}, {f"{client}/32" for client in clients})
        self.assertEqual({listed[f"{client}/32"]["hits"] for client in clients}, {2})
        self.assertEqual(place.scan()["lines"], 0)

    def test_black_holed(self):
        """Nobody takes the connection, and nobody refuses it."""
        with contextlib.ExitStack() as stack:
            listener = stack.enter_context(socket.socket())
            listener.bind(("127.0.0.1", 0))
            listener.listen(0)
            address = listener.getsockname()
            for _ in range(4):  # fills the queue
                waiting = stack.enter_context(socket.socket())
                waiting.setblocking(False)
                waiting.connect_ex(address)
            self.place.configure(**{"store.timeout": f"{TIMEOUT}s", "store.url": (
                self.server.url().replace(f":{self.server.port}/", f":{address[1]}/"))})
            self.running = self.filter(self.place)
            self.assert_flows(TIMEOUT)

    def test_slow(self):
        """Slower than anybody waits; and slow, but not too slow."""
        with Relay(self.server, 3 * TIMEOUT) as relay:
            self.place.configure(**{"store.url": relay.url(), "store.timeout": f"{TIMEOUT}s"})
            self.running = self.filter(self.place)
            self.assert_flows(TIMEOUT)
        with Relay(self.server, 0.1) as relay:
            site = self.site(**{"store.url": relay.url()})
            running = self.filter(site)
            self.log_in(running)
            self.assertEqual(self.ask(running, HOME[2]), REFUSED)
            self.assertEqual(site.log_lines("store: "), [])

    def test_byte_by_byte(self):
        """Each answer in single bytes; and so slowly that there is no end of it."""
        with Relay(self.server, at_once=1) as relay:
            site = self.site(**{"store.url": relay.url(), "store.timeout": "50s",
                                "filter.deadline": "90s"})
            running = self.filter(site)
            self.log_in(running)
            self.assertEqual(self.ask(running, HOME[2]), REFUSED)
            self.assertEqual(site.log_lines("store: "), [])
        with Relay(self.server, 0.4, 1) as relay:
            self.place.configure(**{"store.url": relay.url(), "store.timeout": f"{TIMEOUT}s"})
            self.running = self.filter(self.place)
            self.assert_flows(TIMEOUT)

    def test_a_wrong_password_with_everything(self):
        url = self.place.options["store.url"]
        self.place.configure(**{"store.url": self.server.url("wrong-one",
                                                             database=self.place.database)})
        self.running = self.filter(self.place)
        self.assert_flows()
        self.assertNotIn("wrong-one", self.place.log())
        self.place.configure(**{"store.url": url})
        self.running = self.filter(self.place)
        wait_until(lambda: self.say("caught@example.org", HOME[0]) == self.STOPPED, "the store",
                   AGAIN, interval=0.1)


class OutagesOfSql(Outages):
    def test_a_column_is_missing(self):
        """Somebody has repaired the tables by hand: what needs it fails, all else goes on."""
        for column in "reason", "released":
            with self.subTest(column):
                self.server.sql(f"ALTER TABLE abichecker_accounts RENAME COLUMN {column} TO other",
                                self.place.database)
                watch = Stopwatch()
                for _ in range(3):
                    self.assertEqual(self.say("caught@example.org", HOME[0]), DUNNO)
                    self.assertEqual(self.say("new@example.org", self.LISTED), self.STOPPED)
                    self.assertEqual(self.say("", GUILTY), self.BANNED)
                self.assert_within(2 * FAST, watch.seconds())
                self.assertEqual(len(self.place.log_lines(": error: store: ")), 1, self.place.log())
                self.assert_no_rest(self.place)
                self.server.sql(f"ALTER TABLE abichecker_accounts RENAME COLUMN other TO {column}",
                                self.place.database)
                self.assert_all_works_again()
                os.unlink(self.place.log_file)
                self.running = self.filter(self.place)

    def test_the_tables_are_gone(self):
        """A new, empty database: they are made again when it is opened again."""
        self.server.empty(self.place.database)
        for _ in range(3):
            self.assertEqual(self.say(self.user, HOME[0]), DUNNO)
        self.assertLessEqual(len(self.place.log_lines(": error: store: ")), 1, self.place.log())
        wait_until(lambda: self.say("new@example.org", self.LISTED) == self.STOPPED and
                   self.say("new@example.org", HOME[0]) == self.STOPPED, "the tables", AGAIN,
                   interval=0.1)
        counted = self.place.scan()  # without a position the log is read anew
        self.assertEqual((counted["hits"], counted["listed"]), (5, 1))
        self.assertEqual(self.place.answer(GUILTY), self.BANNED)


    NARROW = ""
    TOO_LONG = ""
    IPV6 = "2a02:c207:3004:1234::1"

    def test_a_value_that_does_not_fit(self):
        """One user's logins are not counted; all others', and the list of accounts, go on."""
        self.server.sql(self.NARROW, self.place.database)
        watch = Stopwatch()
        for filter_ in self.running, self.filter(self.place):
            for _ in range(2):
                self.assertEqual(self.say("six@example.org", self.IPV6, filter_), DUNNO)
                self.assertEqual(self.say("caught@example.org", HOME[0], filter_), self.STOPPED)
                self.assertRegex(self.say(self.user, HOME[2], filter_), b"Too many|Stopped")
        self.assert_within(2 * FAST, watch.seconds())
        self.assert_no_rest(self.place)
        self.assertEqual(self.place.log_lines("store: "), [])
        self.assertEqual(len(self.place.log_lines(f"user=<six@.*{self.TOO_LONG}")), 4, self.place.log())

    def test_a_row_that_others_hold(self):
        """One user's login is not counted."""
        self.place.configure(**{"store.timeout": "4s"})
        self.running = self.filter(self.place)
        with self.held("UPDATE postfwd_logins SET login_count = 9 WHERE sasl_username = "
                       f"'{self.user}' AND ip_address = '{HOME[0]}'"):
            reply, seconds = duration(lambda: self.say(self.user, HOME[0]))
            self.assertEqual(reply, DUNNO)
            self.assert_within(4, seconds)
            self.assertEqual(self.say("caught@example.org", HOME[0]), self.STOPPED)
            self.assert_no_rest(self.place)
            self.assertEqual(self.place.log_lines("store: "), [])
        self.assertEqual(self.say(self.user, HOME[0]), DUNNO)
        self.assertEqual(len(self.place.log_lines("login not counted")), 1, self.place.log())

    @contextlib.contextmanager
    def held(self, statement):
        """Somebody has done this, and not committed it yet."""
        raise NotImplementedError


class PostgreSQLOutages(OutagesOfSql, testenv.TestCase):
    kind = "pgsql"
    NARROW = ("ALTER TABLE postfwd_logins ALTER ip_address TYPE varchar(16); "
              "ALTER TABLE postfwd_logins OWNER TO postgres; GRANT ALL ON postfwd_logins TO abichecker")
    TOO_LONG = "value too long"

    # As its first version made it
    PLUGIN = ("DROP TABLE postfwd_logins; CREATE TABLE postfwd_logins (sasl_username varchar(100), "
              "ip_address varchar(16), state_code varchar(4), login_count int, last_login timestamp); "
              "INSERT INTO postfwd_logins VALUES ('Old@example.org', '192.0.2.1', 'GB', 3, now()); ")
    OURS = "ALTER TABLE postfwd_logins OWNER TO abichecker; "

    @contextlib.contextmanager
    def held(self, statement):
        with subprocess.Popen(self.server.psql(database=self.place.database), stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, text=True) as locker:
            locker.stdin.write(f"BEGIN; {statement}; SELECT 'held';\n")
            locker.stdin.flush()
            self.assertEqual(locker.stdout.readline(), "held\n")
            yield
            locker.communicate("ROLLBACK;\n")

    def assert_widened(self, logins):
        """A filter that opens the store sees to it, and counts."""
        running = self.filter(self.place)
        for _ in range(2):
            self.assertEqual(self.say("six@example.org", self.IPV6, running), DUNNO)
            self.assertEqual(self.say("caught@example.org", HOME[0], running), self.STOPPED)
        self.assertEqual(self.place.log_lines("store: |error: check"), [])
        self.assert_no_rest(self.place)
        self.assertEqual(self.server.sql("SELECT sum(login_count) FROM postfwd_logins",
                                         self.place.database).strip(), str(logins + 2))
        self.assertEqual(self.server.sql(
            "SELECT character_maximum_length FROM information_schema.columns WHERE table_name = "
            "'postfwd_logins' AND column_name = 'ip_address'", self.place.database).strip(), "45")

    def test_the_plugins_first_table_is_taken_over(self):
        self.server.sql(self.PLUGIN + self.OURS, self.place.database)
        self.assert_widened(3)

    def test_one_that_was_taken_over_before_is_widened(self):
        self.server.sql(self.PLUGIN + self.OURS + "CREATE UNIQUE INDEX ON postfwd_logins "
                        "(sasl_username, ip_address)", self.place.database)
        self.assert_widened(3)


class MariaDBOutages(OutagesOfSql, testenv.TestCase):
    kind = "mysql"
    NARROW = "ALTER TABLE postfwd_logins MODIFY ip_address VARBINARY(16) NOT NULL"
    TOO_LONG = "Data too long"

    @contextlib.contextmanager
    def held(self, statement):
        with subprocess.Popen(self.server.client("--unbuffered", database=self.place.database),
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as locker:
            locker.stdin.write(f"BEGIN; {statement}; SELECT 'held';\n")
            locker.stdin.flush()
            self.assertEqual(locker.stdout.readline(), "held\n")
            yield
            locker.communicate("ROLLBACK;\n")


class PostgreSQL(Shared, testenv.TestCase):
    kind = "pgsql"

    def test_too_many_connections(self):
        site = self.site()
        running = self.filter(site)
        self.log_in(running)
        self.server.sql("ALTER ROLE abichecker CONNECTION LIMIT 0")
        self.addCleanup(self.server.sql, "ALTER ROLE abichecker CONNECTION LIMIT -1")
        late = self.filter(site)
        self.assert_full(site, running, late, "too many connections")
        self.server.sql("ALTER ROLE abichecker CONNECTION LIMIT -1")
        self.assertEqual(self.ask(late, HOME[2]), REFUSED)
        self.assertEqual(site.log_lines("store: "), [])


class PostgreSQLBehindPooler(testenv.TestCase):
    """Many filters share two connections."""

    def test_all_logins_are_counted(self):
        if servers.PostgreSQL.missing() or servers.PgBouncer.missing() or not built_in("pgsql"):
            self.skipTest("no PostgreSQL or no pgbouncer")
        server = self.enterContext(servers.PostgreSQL())
        pooler = self.enterContext(servers.PgBouncer(server))
        for parameters in {}, {"prepare": "no"}:
            site = Site(options={"store.url": pooler.url(**parameters), "store.timeout": ENOUGH})
            filters = [self.enterContext(Filter(site)) for _ in range(10)]
            for number in range(200):
                filters[number % 10].send(request(f"81.2.{number % 7}.9", sasl_username=USER))
                if number % 10 == 9:
                    self.assertEqual([filter_.receive() for filter_ in filters], [DUNNO] * 10)
            self.assertEqual(site.log_lines("store: "), [])
        self.assertEqual(server.sql("SELECT sum(login_count), count(*) FROM postfwd_logins").strip(),
                         "400|7")


class PostgreSQLWithTLS(testenv.TestCase):
    """TLS by what stands in the URL."""

    @classmethod
    def setUpClass(cls):
        if servers.PostgreSQL.missing() or not built_in("pgsql"):
            raise unittest.SkipTest("no PostgreSQL")
        cls.server = servers.PostgreSQL("-c", "listen_addresses=127.0.0.1,127.0.0.2",
                                        tls=True).start()
        testenv.at_exit(cls.server.stop)

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()

    def status(self, host="127.0.0.1", **parameters):
        """abictl store status: "" when it works, else its message."""
        url = self.server.url(**parameters).replace("127.0.0.1", host)
        result = Site(options={"store.url": url, "store.timeout": ENOUGH}).abictl(
            "store", "status")
        self.assertEqual(result.returncode == 0, result.stderr == "", result)
        return result.stderr

    def test_without(self):
        self.server.sql("SELECT 1")
        for parameters in {}, {"sslmode": "disable"}, {"sslmode": "require"}:
            self.assertEqual(self.status(**parameters), "", parameters)

    def test_with_the_right_authority(self):
        for mode in "verify-ca", "verify-full":
            self.assertEqual(self.status(sslmode=mode, sslrootcert=self.server.ca_file), "")

    def test_with_another_authority(self):
        for mode in "verify-ca", "verify-full":
            self.assertIn("certificate verify failed", self.status(sslmode=mode))

    def test_without_an_authority(self):
        self.assertIn("does not exist", self.status(sslmode="verify-full", sslrootcert="/nowhere"))

    def test_by_another_name(self):
        """127.1 is looked up, and libpq takes it for 127.0.0.1, which is in the certificate."""
        for host in "127.1", "127.0.0.2":
            self.assertEqual(self.status(host, sslmode="verify-ca",
                                         sslrootcert=self.server.ca_file), "")
        self.assertIn("does not match", self.status("127.0.0.2", sslmode="verify-full",
                                                    sslrootcert=self.server.ca_file))


class MariaDB(Shared, testenv.TestCase):
    kind = "mysql"

    def limit_connections(self, count):
        for host in "127.0.0.1", "localhost":
            self.server.sql(f"GRANT USAGE ON *.* TO abichecker@'{host}' WITH MAX_USER_CONNECTIONS {count}",
                            "mysql")

    def test_too_many_connections(self):
        site = self.site()
        self.limit_connections(1)
        self.addCleanup(self.limit_connections, 0)
        running = self.filter(site)
        self.log_in(running)
        late = self.filter(site)
        self.assert_full(site, running, late, "max_user_connections")
        self.limit_connections(0)
        self.assertEqual(self.ask(late, HOME[2]), REFUSED)
        self.assertEqual(site.log_lines("store: "), [])

    def test_read_only(self):
        """As a replica is, or a primary that has been one."""
        site = self.site()
        running = self.filter(site)
        self.log_in(running)
        self.server.sql("SET GLOBAL read_only = 1")
        self.addCleanup(self.server.sql, "SET GLOBAL read_only = 0")
        self.assert_refuses(site, running)
        self.assertIn("read-only", site.log())
        self.server.sql("SET GLOBAL read_only = 0")
        self.assert_recovers(site, running)

    def test_locked(self):
        """Somebody has the table for himself: an ALTER TABLE, a backup."""
        site = self.site(**{"store.timeout": f"{TIMEOUT}s"})
        running = self.filter(site)
        self.log_in(running)
        locker = subprocess.Popen(self.server.client(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.addCleanup(locker.wait)
        self.addCleanup(locker.communicate)
        locker.stdin.write("LOCK TABLES postfwd_logins WRITE; SELECT 'locked';\n")
        locker.stdin.flush()
        wait_until(lambda: "postfwd_logins" in self.server.sql("SHOW OPEN TABLES WHERE in_use > 0"),
                   "the lock")
        self.assert_outage(site, running, wait=TIMEOUT)
        locker.communicate()
        self.assert_recovers(site, running)


    def test_nothing_else_says_how_to_connect(self):
        site = self.site()
        testenv.write_file(f"{site.directory}/.my.cnf", "[client]\nport=1\nuser=x\nssl-verify-server-cert\n")
        surroundings = {**testenv.SPAWN_ENVIRONMENT, "HOME": site.directory, "MYSQL_TCP_PORT": "1",
                        "MYSQL_UNIX_PORT": "/nowhere", "MYSQL_HOST": "nowhere.invalid", "MYSQL_PWD": "x",
                        "MARIADB_PLUGIN_DIR": site.directory, "LIBMYSQL_PLUGIN_DIR": site.directory,
                        "LIBMYSQL_PLUGINS": "of_nobody"}
        for url in self.server.url(), self.server.socket_url():
            site.configure(**{"store.url": url})
            result = site.abictl("store", "status", env=surroundings)
            self.assertEqual((result.returncode, result.stderr), (0, ""))

    def test_with_few_privileges(self):
        """Once the tables are there."""
        site = self.site()
        running = self.filter(site)
        self.log_in(running)
        self.server.sql("REVOKE ALL ON abichecker.* FROM abichecker@'127.0.0.1'; GRANT SELECT, INSERT, "
                        "UPDATE, DELETE ON abichecker.* TO abichecker@'127.0.0.1'", "mysql")
        self.addCleanup(self.server.sql, "GRANT ALL ON abichecker.* TO abichecker@'127.0.0.1'", "mysql")
        for words in ("store", "status"), ("store", "purge"), ("logins",):
            result = site.abictl(*words)
            self.assertEqual((result.returncode, result.stderr), (0, ""), words)
        self.assertEqual(self.ask(self.filter(site), HOME[2]), REFUSED)

    PLUGIN = ("DROP TABLE IF EXISTS postfwd_logins, abichecker_meta; CREATE TABLE postfwd_logins "
              "(sasl_username varchar(100), ip_address varchar(45), state_code varchar(4), "
              "login_count int, last_login timestamp) ENGINE={}; INSERT INTO postfwd_logins "
              "SELECT CONCAT('User', seq DIV 20), CONCAT('192.0.2.', (seq DIV 2) MOD 10), 'GB', "
              "1 + seq MOD 3, NOW() FROM seq_0_to_19999; FLUSH TABLES")

    def test_killed_while_it_converts_the_plugins_table(self):
        count = "SELECT SUM(login_count) FROM postfwd_logins"
        rows = "SELECT COUNT(*), COUNT(DISTINCT sasl_username, ip_address) FROM postfwd_logins"
        site = self.site(**{"store.timeout": "20s"})
        self.addCleanup(self.server.sql, "DROP TABLE postfwd_logins, abichecker_meta")
        for part in 0.1, 0.3, 0.5, 0.6, 0.7, 0.8, 0.9:
            with self.subTest(part=part):
                self.server.sql(self.PLUGIN.format("InnoDB"))
                whole = self.server.sql(count)
                seconds = duration(lambda: site.abictl("store", "status"))[1]
                self.assertEqual(self.server.sql(rows), "10000\t10000\n")
                self.server.sql(self.PLUGIN.format("MyISAM" if part == 0.6 else "InnoDB"))
                timer = threading.Timer(part * seconds, self.server.kill)
                timer.start()
                site.abictl("store", "status")
                timer.join()
                self.server.start()
                self.assertEqual(self.server.sql(count), whole)
                result = site.abictl("-o", "store.timeout=60s", "store", "status")
                self.assertEqual(result.returncode, 0, result.stderr)
                self.assertEqual(self.server.sql(count), whole)
                self.assertEqual(self.server.sql(rows), "10000\t10000\n")
                self.assertNotIn("upgrade", self.server.sql("SHOW TABLES"))


class MariaDBWithTLS(testenv.TestCase):
    """TLS by what stands in the URL."""

    @classmethod
    def setUpClass(cls):
        if servers.MariaDB.missing() or not built_in("mysql"):
            raise unittest.SkipTest("no MariaDB")
        cls.server = servers.MariaDB(tls=True).start()
        testenv.at_exit(cls.server.stop)

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()

    def setUp(self):
        super().setUp()
        self.server.resume()
        self.require("NONE")

    def require(self, what):
        self.server.sql(f"ALTER USER abichecker@'127.0.0.1' REQUIRE {what}", "mysql")

    def site(self, host="127.0.0.1", **parameters):
        parameters = {name.replace("_", "-"): value for name, value in parameters.items()}
        url = self.server.url(**parameters).replace("127.0.0.1", host)
        return Site(options={"store.url": url, "store.timeout": ENOUGH})

    def status(self, *arguments, **parameters):
        """abictl store status: "" when it works, else its message."""
        result = self.site(*arguments, **parameters).abictl("store", "status")
        self.assertEqual(result.returncode == 0, result.stderr == "", result)
        return result.stderr

    def test_required(self):
        self.assertEqual(self.status(), "")
        self.require("SSL")
        self.assertIn("Access denied", self.status())
        self.assertEqual(self.status(ssl_mode="REQUIRED"), "")
        self.assertEqual(self.status(ssl_mode="required", ssl_ca=self.server.ca_file), "")

    def test_with_the_right_authority(self):
        self.require("SSL")
        for mode in "VERIFY_CA", "VERIFY_IDENTITY":
            self.assertEqual(self.status(ssl_mode=mode, ssl_ca=self.server.ca_file), "")

    def test_with_another_authority(self):
        for mode in "VERIFY_CA", "VERIFY_IDENTITY":
            self.assertIn("certificate", self.status(ssl_mode=mode))

    def test_without_an_authority(self):
        self.assertNotEqual(self.status(ssl_mode="VERIFY_IDENTITY", ssl_ca="/nowhere"), "")

    def test_by_another_name(self):
        """127.1 is looked up, and no name of the certificate."""
        self.assertEqual(self.status("127.1", ssl_mode="REQUIRED"), "")
        self.assertNotEqual(self.status("127.1", ssl_mode="VERIFY_IDENTITY",
                                        ssl_ca=self.server.ca_file), "")

    def test_of_a_server_without(self):
        with servers.MariaDB("--skip-ssl") as plain:
            for mode in "REQUIRED", "VERIFY_CA", "VERIFY_IDENTITY":
                url = plain.url(**{"ssl-mode": mode})
                result = Site(options={"store.url": url, "store.timeout": ENOUGH}).abictl(
                    "store", "status")
                self.assertNotEqual(result.returncode, 0)
                self.assertIn("SSL", result.stderr)

    def test_silent(self):
        site = self.site(ssl_mode="VERIFY_CA", ssl_ca=self.server.ca_file)
        site.configure(**{"store.timeout": f"{TIMEOUT}s"})
        running = self.enterContext(Filter(site))
        for _ in range(2):
            self.assertEqual(running.ask(HOME[0], sasl_username=USER), DUNNO)
        self.assertEqual(site.log_lines("store: "), [])
        self.server.pause()
        reply, seconds = duration(lambda: running.ask(HOME[1], sasl_username=USER))
        self.assertEqual(reply, DUNNO)
        self.assert_within(TIMEOUT + FAST, seconds)
        fresh = self.site(ssl_mode="VERIFY_CA", ssl_ca=self.server.ca_file)
        fresh.configure(**{"store.timeout": f"{TIMEOUT}s"})
        running = self.enterContext(Filter(fresh))
        reply, seconds = duration(lambda: running.ask(HOME[1], sasl_username=USER))
        self.assertEqual(reply, DUNNO)
        self.assert_within(TIMEOUT + FAST, seconds)
        self.assertIn("store.timeout", fresh.log())

    def pass_on(self, listener, limit):
        """Carries so many bytes from the server to a client, and no more."""
        client, _ = listener.accept()
        server = socket.create_connection(("127.0.0.1", self.server.port))
        with client, server:
            while select.select([client, server] if limit else [client], [], [], 20)[0]:
                if limit and select.select([server], [], [], 0)[0]:
                    data = server.recv(min(limit, 65536))
                    limit -= len(data)
                    client.sendall(data)
                else:
                    data = client.recv(65536)
                    server.sendall(data)
                if not data:
                    return

    def test_silent_within_the_handshake(self):
        for limit in 50, 110, 300, 900, 1100, 1300, 1500:
            with socket.create_server(("127.0.0.1", 0)) as listener:
                thread = threading.Thread(target=self.pass_on, args=(listener, limit), daemon=True)
                thread.start()
                site = self.site(ssl_mode="VERIFY_IDENTITY", ssl_ca=self.server.ca_file)
                site.configure(**{"store.timeout": f"{TIMEOUT}s", "store.url": (
                    site.options["store.url"].replace(f":{self.server.port}/",
                                                      f":{listener.getsockname()[1]}/"))})
                result, seconds = duration(lambda: site.abictl("store", "status"))
                self.assertIn("store.timeout", result.stderr, limit)
                # Of abictl, which is gone, nothing is known; else it would wait for 20 s.
                self.assertLess(seconds, TIMEOUT + 8, limit)
                thread.join()


class Redis(Shared, testenv.TestCase):
    kind = "redis"


class RedisOutages(Outages, testenv.TestCase):
    kind = "redis"

    def test_everything_vanishes(self):
        """FLUSHALL, and the scripts too: nobody notices but those who were on the list."""
        for command in ("SCRIPT", "FLUSH"), ("FLUSHALL",):
            self.server.cli(*command)
            flushed = command == ("FLUSHALL",)
            self.assertEqual(self.say("caught@example.org", HOME[0]),
                             DUNNO if flushed else self.STOPPED)
            self.assertEqual(self.say("new@example.org", self.LISTED), self.STOPPED)
            self.assertEqual(self.say("new@example.org", HOME[0]), self.STOPPED)
            self.assertEqual(self.say("", GUILTY), self.BANNED)
            counted = self.place.scan()  # without a position the log is read anew
            self.assertEqual((counted["hits"], counted["listed"]), (5 if flushed else 0, 1))
        self.assertEqual(self.say("", GUILTY), self.BANNED)
        self.assertEqual(self.place.log_lines("store: "), [])

    def test_a_value_of_somebody_else(self):
        """Under one user's key: all others, and the list of accounts, go on."""
        self.server.cli("SET", "abichecker:{six@example.org}:logins", "x", database=self.place.database)
        for _ in range(2):
            self.assertEqual(self.say("six@example.org", HOME[0]), DUNNO)
            self.assertEqual(self.say("caught@example.org", HOME[0]), self.STOPPED)
            self.assertRegex(self.say(self.user, HOME[2]), b"Too many|Stopped")
        self.assert_no_rest(self.place)
        self.assertEqual(self.place.log_lines("store: "), [])
        self.assertEqual(len(self.place.log_lines("user=<six@.*WRONGTYPE")), 2, self.place.log())

    def test_without_memory(self):
        """What is known is known; nothing can be put down."""
        self.server.cli("CONFIG", "SET", "maxmemory", "1")
        self.addCleanup(self.server.cli, "CONFIG", "SET", "maxmemory", "0")
        self.assertEqual(self.say("new@example.org", self.LISTED), self.STOPPED)
        watch = Stopwatch()
        for _ in range(3):
            self.assertEqual(self.say(self.user, HOME[0]), DUNNO)
            self.assertEqual(self.say("", GUILTY), self.BANNED)
        self.assert_within(FAST, watch.seconds())
        self.assertEqual(len(self.place.log_lines(": error: store: .*OOM")), 1, self.place.log())
        self.server.cli("CONFIG", "SET", "maxmemory", "0")
        self.assert_all_works_again()

    def test_a_replica(self):
        """It may only be read: as after a failover."""
        self.server.cli("CONFIG", "SET", "replica-read-only", "yes")
        self.server.cli("CONFIG", "SET", "replica-serve-stale-data", "yes")
        self.server.cli("REPLICAOF", "127.0.0.1", "1")
        self.addCleanup(self.server.cli, "REPLICAOF", "NO", "ONE")
        self.assertEqual(self.say("new@example.org", self.LISTED), self.STOPPED)
        watch = Stopwatch()
        for _ in range(3):
            self.assertEqual(self.say(self.user, HOME[0]), DUNNO)
        self.assert_within(FAST, watch.seconds())
        self.assertEqual(len(self.place.log_lines(": error: store: .*READONLY")), 1,
                         self.place.log())
        self.server.cli("REPLICAOF", "NO", "ONE")
        self.assert_all_works_again()


if __name__ == "__main__":
    unittest.main()
