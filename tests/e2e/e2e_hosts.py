#!/usr/bin/python3
"""Two mail hosts with one store on a server: what one of them finds out the other one knows, and
nothing happens twice. And a store that moves from one server to another. All of it with PostgreSQL,
and with MariaDB and Redis what many at once do, and a store that moves.

    python3 tests/e2e/e2e_hosts.py [-v] [Class.test ...]
"""
import contextlib
import json
import os
import subprocess
import sys
import time
import unittest

sys.dont_write_bytecode = True
TESTS = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(TESTS, "..", "lib"), TESTS]

import dnsstub  # noqa: E402
import e2e_accounts  # noqa: E402
import e2e_blacklist  # noqa: E402
import servers  # noqa: E402
import serversite  # noqa: E402
import testenv  # noqa: E402
from dnsstub import DnsStub, a  # noqa: E402
from e2e_accounts import ELSEWHERE, HIT, LISTED, STOPPED, USER, Command, login_request  # noqa: E402
from e2e_blacklist import GUILTY, IPV6, MAP_TEXT, OTHER, REFUSED  # noqa: E402
from e2e_blacklist import guess, guesses, relay  # noqa: E402
from filter import DUNNO, Filter  # noqa: E402
from pace import duration  # noqa: E402
from serversite import OnServer, ServerSite, content, on_host  # noqa: E402
from testenv import FILTER_USER, Site, program, wait_until  # noqa: E402

OK, USAGE, DATA, UNAVAILABLE, CONFIG = 0, 64, 65, 69, 78
HOME = ("81.2.69.142", "89.160.20.112", "216.160.83.56")
ROUNDS = 20  # of two hosts that do something at the same moment
LOGINS = 20000  # of a store that moves
COPY_LIMIT = 120  # seconds for it, on a machine with other work as well
SECRET = servers.encode(servers.PASSWORD)


class AccountHost(ServerSite, e2e_accounts.AccountSite):
    """A host whose zones are played by a stub, with the key of all hosts of a site."""

    KEY = "0123456789abcdef0123456789abcdef"

    def __init__(self, server, database, dns, name, options=()):
        self.name = name
        super().__init__(server, dns, {"authbl.apikey": self.KEY, **dict(options)},
                         database=database)
        self.apikey = self.KEY

    def accounts(self):
        return [user for user, in self.query(
            "SELECT sasl_username FROM abichecker_accounts WHERE released = 0 ORDER BY 1")]


class LogHost(ServerSite, e2e_blacklist.BlacklistSite):
    """A host with a mail log and a map of its own."""

    def __init__(self, server, database, name, **options):
        self.name = name
        self.maps = testenv.new_directory("maps")
        self.map = os.path.join(self.maps, "access")
        super().__init__(server, database=database,
                         **{"blacklist.map": f"hash:{self.map}", **options})
        self.write("")

    def command(self, *arguments, root=True, wrapper=(), **keywords):
        """By root, as a map wants it, on this host."""
        return super().command(*arguments, root=root, wrapper=wrapper or on_host(self.name),
                               **keywords)

    def start(self, *arguments, root=True):
        return subprocess.Popen([*on_host(self.name), program("abictl"), "-c", self.conf,
                                 *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                text=True, start_new_session=True, **self.as_user(root))

    def in_map(self, address):
        """What Postfix finds for a client; of IPv6 it looks for the /64, too."""
        if ":" in address:
            address = ":".join(address.split(":")[:4])
        if not os.path.exists(f"{self.map}.db"):
            return ""
        return subprocess.run(["postmap", "-q", address, f"hash:{self.map}"], check=False,
                              capture_output=True, text=True).stdout.strip()

    def refuses(self, address):
        """By the filter and by the map; both say the same."""
        by_filter = self.answer(address) == REFUSED
        by_map = self.in_map(address) == f"REJECT {MAP_TEXT}"
        assert by_filter == by_map, (self.name, address, by_filter, by_map, self.log())
        return by_filter


class TwoHosts(OnServer):
    """All that there is to show."""

    def setUp(self):
        super().setUp()
        self.dns = DnsStub().start()
        self.addCleanup(self.dns.stop)
        self.database = self.server.add_database()

    def filter(self, site):
        return self.enterContext(Filter(site))

    def ask(self, filter_, address=LISTED, user=USER):
        return filter_.ask(address, sasl_method="PLAIN", sasl_username=user)

    def account_hosts(self, **options):
        """Two hosts, and a command of each."""
        commands = [Command(), Command()]
        return [AccountHost(self.server, self.database, self.dns, name, {
            "accounts.command": command.path, **options})
                for name, command in zip(("mx1", "mx2"), commands)], commands

    def log_hosts(self, **options):
        return [LogHost(self.server, self.database, name, **options) for name in ("mx1", "mx2")]

    # Accounts

    def test_found_by_a_zone_on_one_it_is_refused_on_the_other(self):
        (one, other), commands = self.account_hosts()
        one.list_address()
        first, second = self.filter(one), self.filter(other)
        self.assertEqual(self.ask(second, ELSEWHERE[0]), DUNNO)  # its store is open
        self.assertEqual(self.ask(first), STOPPED)
        self.dns.forget()
        for address in ELSEWHERE:
            self.assertEqual(self.ask(second, address), STOPPED)
        self.assertEqual(self.dns.names(), [])  # known, so nobody is asked
        self.assertTrue(other.log_lines("reject: check=accounts .*found by authbl: 8.8.4.4"))
        shown = json.loads(other.abictl("--json", "accounts", "show", USER).stdout)
        self.assertEqual((shown["check"], shown["address"]), ("authbl", LISTED))
        wait_until(lambda: commands[0].runs(), "the command")
        wait_until(lambda: not e2e_accounts.supervisors(), "its end")
        self.assertEqual([len(command.runs()) for command in commands], [1, 0])

    def test_released_on_one_it_is_free_on_the_other(self):
        (one, other), commands = self.account_hosts()
        one.list_address()
        first, second = self.filter(one), self.filter(other)
        self.assertEqual(self.ask(first, user="Other@Example.ORG"), STOPPED)
        self.assertEqual(self.ask(second, ELSEWHERE[0], "OTHER@example.org"), STOPPED)
        done = other.abictl("accounts", "release", "other@example.org")
        self.assertEqual((done.returncode, done.stderr), (OK, ""))
        for filter_ in first, second:
            self.assertEqual(self.ask(filter_, ELSEWHERE[0], "other@example.org"), DUNNO)
        # The grace is for all hosts as well; without, it is detected anew.
        self.assertEqual(self.ask(second, user="other@example.org"), DUNNO)
        self.assertEqual(len(other.log_lines(" grace: check=authbl ")), 1)
        other.configure(**{"accounts.grace": "0"})
        self.assertEqual(self.ask(self.filter(other), user="other@example.org"), STOPPED)
        self.assertEqual(self.ask(first, ELSEWHERE[0], "other@example.org"), STOPPED)
        wait_until(lambda: len(commands[1].runs()) == 1, "the command of the other one")
        wait_until(lambda: not e2e_accounts.supervisors(), "the end of the commands")
        self.assertEqual([len(command.runs()) for command in commands], [1, 1])

    def test_logins_are_counted_over_both(self):
        """And who is over the limit on one is stopped on the other."""
        (one, other), _ = self.account_hosts(**{
            "geocount.addresses": "2", "geocount.rate": "0", "geocount.mark": "yes"})
        first, second = self.filter(one), self.filter(other)
        self.assertEqual(self.ask(first, HOME[0]), DUNNO)
        self.assertEqual(self.ask(second, HOME[1]), DUNNO)
        for filter_ in first, second:
            self.assertEqual(self.ask(filter_, HOME[0]), DUNNO)
        self.assertRegex(self.ask(first, HOME[2]), b"was compromised")
        for filter_ in second, first:
            self.assertEqual(self.ask(filter_, HOME[0]), STOPPED)
        self.assertTrue(other.log_lines("check=accounts .*found by geocount: "), other.log())
        self.assertEqual(one.query("SELECT ip_address, login_count FROM postfwd_logins "
                                   "ORDER BY 1"), [(HOME[2], 1), (HOME[0], 3), (HOME[1], 1)])

    def assert_once(self, hosts, commands, users):
        """Each account was put on the list once, and the command ran once for it."""
        found = [line for host in hosts for line in host.log_lines(" compromised: ")]
        self.assertEqual(len(found), len(users), found)
        wait_until(lambda: sum(len(command.runs()) for command in commands) >= len(users),
                   "all commands")
        wait_until(lambda: not e2e_accounts.supervisors(), "their end")
        self.assertEqual(sorted(run[b"sasl_username"].decode() for command in commands
                                for run in command.runs()), sorted(users))
        self.assertEqual(hosts[0].accounts(), sorted(users))
        for host in hosts:
            self.assertEqual(host.log_lines("store: "), [])

    def test_both_find_it_at_the_same_moment(self):
        hosts, commands = self.account_hosts(**e2e_accounts.Commands.TIME_TO_MEET)
        users = [f"user{number}@example.org" for number in range(ROUNDS)]
        filters = [self.filter(host) for host in hosts]
        for number, user in enumerate(users):
            address = f"8.8.5.{number}"
            hosts[0].list_address(address, dnsstub.together(2, a(HIT)))
            for filter_ in filters:
                filter_.send(login_request(address, user))
            for filter_ in filters:
                self.assertEqual(filter_.receive(), STOPPED)
        self.assert_once(hosts, commands, users)

    def test_ten_filters_of_each_find_it_at_the_same_moment(self):
        hosts, commands = self.account_hosts(**e2e_accounts.Commands.TIME_TO_MEET)
        filters = [self.filter(hosts[number % 2]) for number in range(20)]
        users = [f"user{number}@example.org" for number in range(5)]
        for number, user in enumerate(users):
            address = f"8.8.5.{number}"
            hosts[0].list_address(address, dnsstub.together(20, a(HIT)))
            for filter_ in filters:
                filter_.send(login_request(address, user))
            for filter_ in filters:
                self.assertEqual(filter_.receive(), STOPPED)
        self.assert_once(hosts, commands, users)

    def test_one_finds_it_by_a_zone_and_the_other_by_its_logins(self):
        hosts, commands = self.account_hosts(**{
            "geocount.addresses": "1", "geocount.rate": "0", "geocount.mark": "yes"})
        hosts[0].configure(**{"filter.checks": "authbl"})
        hosts[1].configure(**{"filter.checks": "geocount"})
        users = [f"user{number}@example.org" for number in range(ROUNDS)]
        authbl, geocount = (self.filter(host) for host in hosts)
        for user in users:
            self.assertEqual(self.ask(geocount, HOME[0], user), DUNNO)
        hosts[0].list_address()
        for user in users:
            authbl.send(login_request(LISTED, user))
            geocount.send(login_request(HOME[1], user))
            self.assertEqual(authbl.receive(), STOPPED)
            self.assertRegex(geocount.receive(), b"was compromised")
        self.assert_once(hosts, commands, users)

    # Offenders

    def test_an_offender_of_one_is_refused_by_the_other(self):
        one, other = self.log_hosts()
        one.write(guesses(GUILTY), guesses(IPV6))
        self.assertEqual(one.scan()["listed"], 2)
        counted = other.scan()
        self.assertEqual((counted["lines"], counted["listed"]), (0, 2))
        for host in one, other:
            for address in GUILTY, IPV6, "2a03:4000:1:2:9::9":
                self.assertTrue(host.refuses(address), (host.name, address))
            self.assertFalse(host.refuses(OTHER))
        self.assertEqual(other.listed(), one.listed())
        # Removed on the one whose log is silent.
        other.blacklist("remove", GUILTY)
        self.assertFalse(other.refuses(GUILTY))
        self.assertEqual(one.scan()["listed"], 1)
        self.assertFalse(one.refuses(GUILTY))
        self.assertTrue(one.refuses(IPV6))
        # Added by hand, and taken off by all.
        one.blacklist("add", OTHER, "asked for")
        self.assertEqual(other.scan()["listed"], 2)
        self.assertTrue(other.refuses(OTHER))
        one.blacklist("remove", "--all")
        self.assertEqual(other.scan()["listed"], 0)
        for host in one, other:
            for address in GUILTY, IPV6, OTHER:
                self.assertFalse(host.refuses(address))

    def test_hits_count_together(self):
        """Three recipients here and two there are five; the same three are three."""
        one, other = self.log_hosts()
        now = time.time()
        one.write(*[guess(GUILTY, f"a{i}@example.org", now - 9 + i) for i in range(3)],
                  *[guess(OTHER, f"a{i}@example.org", now - 9 + i) for i in range(3)])
        other.write(*[guess(GUILTY, f"b{i}@example.org", now - 9 + i) for i in range(2)],
                    *[guess(OTHER, f"a{i}@example.org", now - 9 + i) for i in range(3)])
        self.assertEqual(one.scan()["listed"], 0)
        self.assertEqual(other.scan()["listed"], 1)
        self.assertTrue(other.refuses(GUILTY))
        one.scan()
        self.assertTrue(one.refuses(GUILTY))
        self.assertFalse(one.refuses(OTHER))
        self.assertEqual(one.listed()[f"{GUILTY}/32"]["hits"], 5)
        self.assertEqual(one.hits(f"{OTHER}/32"), 3)

    def test_who_comes_back_to_another_host_is_banned_for_longer(self):
        one, other = self.log_hosts(**{"blacklist.ban": "1d", "blacklist.ban_max": "3d"})
        for times, host in enumerate((one, other, one), 1):
            host.write(guesses(GUILTY))
            host.scan()
            entry = other.listed()[f"{GUILTY}/32"]
            self.assertEqual(entry["times"], times)
            self.assertAlmostEqual(entry["expires"] - entry["last"], times * 86400, delta=1)
            one.scan()
            other.scan()
            self.assertTrue(one.refuses(GUILTY) and other.refuses(GUILTY))
            host.shift(times * 86400 + 10)
            for each in one, other:
                self.assertEqual(each.scan()["listed"], 0)
                self.assertFalse(each.refuses(GUILTY))

    def test_logs_of_one_name_have_two_positions(self):
        testenv.need_mounts(self)
        one, other = self.log_hosts(**{"blacklist.rules": "relay-denied=3/1d"})
        other.configure(**{"blacklist.logs": one.maillog})
        wrapper = on_host("mx2", other.logs, one.logs)
        one.write(relay(GUILTY))
        other.write(relay(OTHER), relay(OTHER))
        for lines in (1, 2), (0, 0):
            self.assertEqual(one.scan()["lines"], lines[0])
            self.assertEqual(other.scan(wrapper=wrapper)["lines"], lines[1])
        other.write(relay(OTHER))
        one.write(relay(GUILTY), relay(GUILTY))
        self.assertEqual(one.scan()["listed"], 1)
        self.assertEqual(other.scan(wrapper=wrapper)["listed"], 2)
        self.assertEqual({source for source, in one.query(
            "SELECT source FROM abichecker_positions")}, {
                f"{name} {one.maillog}" for name in ("mx1", "mx2")})

    def test_both_scan_at_the_same_moment(self):
        hosts = self.log_hosts(**{"blacklist.rules": "relay-denied=4/1d"})
        blocks = 100
        for number in range(ROUNDS):
            for host in hosts:  # two lines of each host: together they are enough
                host.write(*[relay(f"9.{number}.1.{i}") for i in range(blocks) for _ in range(2)])
            scans = [host.start("scan", "--json") for host in hosts for _ in range(2)]
            ends = [(scan.communicate(timeout=120), scan.returncode) for scan in scans]
            self.assertEqual([(err, status) for (_, err), status in ends], [("", OK)] * 4)
        lists = [host.blacklist("export").split() for host in hosts]
        self.assertEqual(len(lists[0]), ROUNDS * blocks)
        self.assertEqual(lists[0], lists[1])
        self.assertEqual({each["hits"] for each in hosts[0].listed().values()}, {4})
        self.assertEqual(hosts[0].query("SELECT count(*) FROM abichecker_hits"), [(0,)])
        for host in hosts:
            self.assertEqual(host.scan()["lines"], 0)
            for number in range(ROUNDS):
                self.assertTrue(host.refuses(f"9.{number}.1.{blocks - 1}"))

    def test_a_store_that_is_emptied_is_published(self):
        """FLUSHALL, or a new database: no generation of it is one of the old list's."""
        one, other = self.log_hosts()
        one.write(guesses(GUILTY))
        one.scan()
        other.scan()
        self.assertTrue(other.refuses(GUILTY))
        self.server.empty(self.database)
        one.blacklist("add", OTHER)
        other.scan()
        for host in one, other:
            self.assertTrue(host.refuses(OTHER))
            self.assertFalse(host.refuses(GUILTY))

    # A store that moves

    def filled(self):
        """The path of a SQLite store with everything in it."""
        path = os.path.join(testenv.new_directory("filled", FILTER_USER), "abichecker.db")
        site = Site(options={"store.url": f"sqlite:{path}"})
        site.store = path
        self.assertEqual(site.abictl("store", "purge").returncode, OK)
        now = int(time.time())
        with site.sqlite() as database:
            database.execute("BEGIN")
            database.executemany(
                "INSERT INTO postfwd_logins VALUES (?, ?, ?, ?, datetime(?, 'unixepoch'))",
                ((f"user{i // 4}@example.org" if i else "jos\xe9' \"\\%_@example.org",
                  f"10.{i >> 16}.{i >> 8 & 255}.{i & 255}" if i % 9 else f"2001:db8:0:{i:x}::",
                  ("GB", "SE", None, "US")[i % 4], 1 + i % 1000, now - i) for i in range(LOGINS)))
            database.executemany("INSERT INTO abichecker_accounts VALUES (?, ?, ?, ?, ?, ?, ?)", (
                ("one@example.org", now - 9000, 0, 1, "authbl", LISTED, "8.8.4.4 is listed"),
                ("two@example.org", now - 8000, now - 700, 1, "geocount", HOME[0], "countries 9"),
                ("three@example.org", now - 7000, 0, 0, "manual", "", "josé ' \" \\ said so"),
                *((f"user{i}@example.org", now - i, now - i + 1 if i % 2 else 0, i % 3 == 0,
                   "authbl", LISTED, "listed") for i in range(1, 1001))))
            database.executemany(
                "INSERT INTO abichecker_offenders VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", (
                    (f"{GUILTY}/32", "manual", "for ever", 0, 1, now - 60, now - 60, 0, 1),
                    (f"{OTHER}/32", "relay-denied", "", 17, 3, now - 99, now - 9, now + 9999, 1),
                    ("1.1.1.1/32", "pregreet", "", 5, 2, now - 9999, now - 9000, now - 10, 0),
                    *((f"2a03:4000:1:{i:x}::/64", "auth-failure", "", i, 1, now - i, now,
                       now + 60000 + i, 1) for i in range(1, 2001))))
            database.executemany("INSERT INTO abichecker_rates VALUES (?, ?, ?)", (
                (f"user{i}@example.org", i, now + 100000 + i) for i in range(1, 100)))
            database.executemany("INSERT INTO abichecker_positions VALUES (?, ?)", (
                ("mx1 /var/log/mail.log", "v1 12 3456 789 0123456789abcdef"),
                ("mx2 /var/log/mail.log", "s=0123;i=4;b=5;m=6;t=7;x=8")))
            database.executemany("INSERT INTO abichecker_hits VALUES (?, ?, ?, ?)", (
                (f"9.9.{i >> 8}.{i & 255}/32", "unknown-recipient", f"a{i}@example.org", now - i)
                for i in range(5000)))
            database.execute("COMMIT")
        return path

    def copy(self, site, from_, to, *options):
        return site.abictl(*options, "store", "copy", from_, to, timeout=4 * COPY_LIMIT)

    def assert_same(self, path, copied):
        """Two SQLite stores; a few rows of those that differ are shown."""
        before, after = content(path), content(copied)
        for table in set(serversite.TABLES) - {"abichecker_rates"}:  # soon over
            missing, new = (list(set(one[table]) - set(other[table]))[:3]
                            for one, other in ((before, after), (after, before)))
            self.assertEqual((missing, new), ([], []), table)
            self.assertEqual(len(after[table]), len(before[table]), table)

    def test_a_store_moves_there_and_back(self):
        path = self.filled()
        site = ServerSite(self.server, database=self.database)
        result, seconds = duration(lambda: self.copy(site, f"sqlite:{path}", site.conf))
        self.assertEqual((result.returncode, result.stderr), (OK, ""))
        self.assertLess(seconds, COPY_LIMIT)
        self.assertEqual(dict(line.split() for line in result.stdout.splitlines()), {
            "logins": f"{LOGINS}", "accounts": "1003", "offenders": "2003",
            "positions": "2", "hits": "5000"})
        back = os.path.join(testenv.new_directory("back", FILTER_USER), "abichecker.db")
        result, again = duration(lambda: self.copy(site, site.conf, f"sqlite:{back}", "--json"))
        self.assertEqual((result.returncode, result.stderr), (OK, ""))
        self.assertEqual(json.loads(result.stdout)["logins"], LOGINS)
        self.assertLess(again, COPY_LIMIT)
        self.assert_same(path, back)
        print(f"{self.kind}: {LOGINS} logins: there {seconds:.1f} s, back {again:.1f} s",
              file=sys.stderr)
        # Once more, and nothing is there twice.
        self.assertEqual(self.copy(site, f"sqlite:{path}", site.conf).returncode, OK)
        status = json.loads(site.abictl("--json", "store", "status").stdout)
        self.assertEqual([status[name] for name in (
            "logins", "accounts", "offenders", "rates", "positions", "hits")],
            [LOGINS, 1003, 2002, 0, 2, 5000])  # of offenders those on the list
        # And it works: who is on the list is refused, and counted on.
        site.configure(**{"accounts.action": "reject", "filter.checks": "accounts"})
        filter_ = self.filter(site)
        for user, reply in (("one@example.org", b"reject"), ("two@example.org", b"DUNNO"),
                            ("THREE@example.org", b"reject"), ("user4@example.org", b"reject"),
                            ("user5@example.org", b"DUNNO")):
            self.assertRegex(self.ask(filter_, user=user), reply, user)

    def test_a_copy_that_is_interrupted(self):
        """The server dies in the middle: it is said, and the next copy completes it."""
        path = self.filled()
        site = ServerSite(self.server, database=self.database)
        process = subprocess.Popen([program("abictl"), "-c", site.conf, "store", "copy",
                                    f"sqlite:{path}", site.conf], stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True, **site.as_filter_user())
        self.addCleanup(lambda: (process.kill(), process.communicate()))

        def rows():
            with contextlib.suppress(ValueError):
                return json.loads(site.abictl("--json", "store", "status").stdout)["logins"]
            return 0
        wait_until(lambda: rows() > 0, "the first rows", interval=0)
        self.server.kill()
        out, err = process.communicate(timeout=testenv.PATIENCE)
        self.server.start()
        self.assertEqual(process.returncode, UNAVAILABLE, (out, err))
        self.assertEqual(len(err.splitlines()), 1, err)
        self.assertNotIn(SECRET, err)
        self.assertEqual(self.copy(site, f"sqlite:{path}", site.conf).returncode, OK)
        back = os.path.join(testenv.new_directory("back", FILTER_USER), "abichecker.db")
        self.assertEqual(self.copy(site, site.conf, f"sqlite:{back}").returncode, OK)
        self.assert_same(path, back)

    def test_a_copy_that_cannot_be(self):
        site = ServerSite(self.server, database=self.database)
        plain = Site()
        sqlite = f"sqlite:{plain.store}"
        self.assertEqual(plain.abictl("store", "status").returncode, OK)  # makes it
        url = site.options["store.url"]
        for words in (url, sqlite), (sqlite, url):
            result = self.copy(plain, *words)
            self.assertEqual((result.returncode, result.stdout), (DATA, ""))
            self.assertIn("passwords are not allowed on the command line", result.stderr)
            self.assertNotIn(SECRET, result.stderr)
        for words, status, text in (
                ((site.conf, site.conf), DATA, "same store"),
                ((sqlite, "/nowhere/x.conf"), CONFIG, "/nowhere/x.conf"),
                (("/nowhere/x.conf", sqlite), CONFIG, "/nowhere/x.conf"),
                ((sqlite, "oracle://x"), UNAVAILABLE, "oracle"),
                (("sqlite:/nowhere/x.db", site.conf), UNAVAILABLE, "/nowhere/x.db"),
                ((sqlite,), USAGE, ""), ((), USAGE, ""), ((sqlite, site.conf, "x"), USAGE, "")):
            result = plain.abictl("store", "copy", *words)
            self.assertEqual((result.returncode, result.stdout), (status, ""), (words, result))
            self.assertIn(text, result.stderr)
            self.assertNotIn(SECRET, result.stderr)

    def test_a_copy_to_a_server_that_is_down(self):
        site = ServerSite(self.server, database=self.database)
        path = self.filled()
        self.server.halt()
        try:
            for words in (f"sqlite:{path}", site.conf), (site.conf, f"sqlite:{path}"):
                result, seconds = duration(lambda: self.copy(site, *words))
                self.assertEqual((result.returncode, result.stdout), (UNAVAILABLE, ""), result)
                self.assertRegex(result.stderr, r"^abictl: .*(refused|connect)")
                self.assertEqual(len(result.stderr.splitlines()), 1, result.stderr)
                self.assertNotIn(SECRET, result.stderr)
                self.assertLess(seconds, 5)
        finally:
            self.server.start()

    def test_a_copy_from_one_server_to_another(self):
        """By configuration files, which say the password."""
        path = self.filled()
        site = ServerSite(self.server, database=self.database)
        self.assertEqual(self.copy(site, f"sqlite:{path}", site.conf).returncode, OK)
        for kind in servers.KINDS:
            if kind == self.kind or servers.KINDS[kind].missing() or not serversite.built_in(kind):
                continue
            with servers.KINDS[kind]() as server:
                testenv.at_exit(server.stop)
                there = ServerSite(server)
                back = os.path.join(testenv.new_directory("back", FILTER_USER), "abichecker.db")
                for words in (site.conf, there.conf), (there.conf, f"sqlite:{back}"):
                    result = self.copy(there, *words)
                    self.assertEqual((result.returncode, result.stderr), (OK, ""))
                self.assert_same(path, back)

    def test_the_status(self):
        site = ServerSite(self.server, database=self.database)
        filter_ = self.filter(site)
        self.assertEqual(site.abictl("accounts", "add", USER).returncode, OK)
        self.assertEqual(self.ask(filter_, user="other@example.org"), DUNNO)
        status = json.loads(site.abictl("--json", "store", "status").stdout)
        self.assertEqual((status["driver"], status["schema"], status["logins"],
                          status["accounts"], status["hits"]),
                         (self.server.scheme, 1, 1, 1, 0))
        self.assertIn(str(self.server.port), status["where"])
        text = site.abictl("store", "status").stdout
        for line in ("driver", self.server.scheme), ("schema", "1"), ("logins", "1"):
            self.assertRegex(text, r"(?m)^{} +{}$".format(*line))
        self.assertNotIn(servers.PASSWORD, text)
        self.assertNotIn(SECRET, text)


class PostgreSQL(TwoHosts, testenv.TestCase):
    kind = "pgsql"


# What every kind of server must show.
EVERYWHERE = ("test_released_on_one_it_is_free_on_the_other",
              "test_ten_filters_of_each_find_it_at_the_same_moment",
              "test_both_scan_at_the_same_moment", "test_a_store_moves_there_and_back")


# None takes a test away.
Fewer = type("Fewer", (TwoHosts,), {name: None for name in dir(TwoHosts)
                                    if name.startswith("test_") and name not in EVERYWHERE})


class MariaDB(Fewer, testenv.TestCase):
    kind = "mysql"


class Redis(Fewer, testenv.TestCase):
    kind = "redis"

    def cli(self, *arguments):
        return self.server.cli(*arguments, database=self.database).split()

    def test_the_set_of_the_abusix_daemon(self):
        (one, other), commands = self.account_hosts()
        one.list_address()
        filters = [self.filter(host) for host in (one, other)]
        for filter_ in filters:
            self.assertEqual(self.ask(filter_, ELSEWHERE[0]), DUNNO)
        self.cli("SADD", "compromised_accts", USER)
        for filter_ in filters:
            self.assertEqual(self.ask(filter_, ELSEWHERE[0]), STOPPED)
            self.assertEqual(self.ask(filter_, ELSEWHERE[0], USER.upper()), STOPPED)
        self.assertEqual(self.cli("SREM", "compromised_accts", USER), ["1"])
        for filter_ in filters:
            self.assertEqual(self.ask(filter_, ELSEWHERE[0]), DUNNO)
        # Ours are in it, and an administrator's SREM sets them free on all hosts.
        self.assertEqual(self.ask(filters[0], user="other@example.org"), STOPPED)
        self.assertEqual(self.ask(filters[1], ELSEWHERE[0], "other@example.org"), STOPPED)
        self.assertEqual(one.abictl("accounts", "add", "hand@example.org").returncode, OK)
        self.assertEqual(sorted(self.cli("SMEMBERS", "compromised_accts")),
                         ["hand@example.org", "other@example.org"])
        self.cli("SREM", "compromised_accts", "other@example.org")
        for filter_ in filters:
            self.assertEqual(self.ask(filter_, ELSEWHERE[0], "other@example.org"), DUNNO)
        # A release by us is one for the daemon.
        self.assertEqual(other.abictl("accounts", "release", "hand@example.org").returncode, OK)
        self.assertEqual(self.cli("SMEMBERS", "compromised_accts"), [])
        self.cli("SADD", "compromised_accts", "theirs@example.org")
        self.assertEqual(other.abictl("accounts", "release", "theirs@example.org").returncode, OK)
        self.assertEqual(self.cli("SMEMBERS", "compromised_accts"), [])
        wait_until(lambda: not e2e_accounts.supervisors(), "the end of the command")
        self.assertEqual([len(command.runs()) for command in commands], [1, 0])

    def test_all_else_is_below_the_prefix(self):
        one = LogHost(self.server, self.database, "mx1", **{"store.prefix": "site-a:"})
        other = LogHost(self.server, self.database, "mx2", **{"store.prefix": "site-b:"})
        one.write(guesses(GUILTY), guesses(OTHER, 3))
        one.scan()
        self.assertEqual(one.abictl("accounts", "add", USER).returncode, OK)
        self.assertEqual(self.ask(self.filter(one), user="other@example.org"), DUNNO)
        self.assertEqual(other.scan()["listed"], 0)
        self.assertFalse(other.refuses(GUILTY))
        keys = set(self.cli("--raw", "KEYS", "*"))
        self.assertIn("compromised_accts", keys)
        self.assertEqual({key.split(":")[0] for key in keys - {"compromised_accts"}},
                         {"site-a", "site-b"})

    def test_a_scan_that_follows_a_silent_log_hears_of_others(self):
        """It looks once a minute."""
        one, other = self.log_hosts()
        process = other.start("scan", "--follow")
        self.addCleanup(lambda: (process.kill(), process.communicate()))
        wait_until(lambda: os.path.exists(other.snapshot), "the first round")
        one.write(guesses(GUILTY))
        one.scan()
        wait_until(lambda: other.in_map(GUILTY), "the other host", 75, interval=0.5)
        self.assertTrue(other.refuses(GUILTY))
        process.terminate()
        self.assertEqual(process.wait(testenv.PATIENCE), OK)


if __name__ == "__main__":
    unittest.main()
