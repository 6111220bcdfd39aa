"""Sites whose store is on a server of servers.py, several hosts on one if they are told so."""
import contextlib
import os
import sqlite3
import subprocess
import unittest

import servers
import testenv
from testenv import FILTER_USER, Site, program

TABLES = ("postfwd_logins", "abichecker_accounts", "abichecker_offenders", "abichecker_rates",
          "abichecker_positions", "abichecker_hits")
_running = {}  # kind -> Server

# Runs "$@" on a host of this name.
ON_HOST = 'hostname "$0" && exec "$@"'
# The same, with the directory $1 in place of $2.
ON_HOST_WITH = 'hostname "$0" && mount --bind "$1" "$2" && shift 2 && exec "$@"'


def on_host(name, directory=None, place=None):
    """A wrapper for a program that runs on a host of its own, with a directory of it."""
    if directory:
        return ("unshare", "--uts", "--mount", "sh", "-c", ON_HOST_WITH, name, directory, place)
    return ("unshare", "--uts", "sh", "-c", ON_HOST, name)


def built_in(kind):
    """Is a driver in this abichecker? Its error message tells."""
    site = Site(options={"store.url": f"{servers.KINDS[kind].scheme}://127.0.0.1:1/x"})
    return "is built without" not in site.abictl("store", "status").stderr


def start(kind):
    """The server of a kind, for all tests of a program; skips the test where there is none."""
    missing = servers.KINDS[kind].missing()
    if missing:
        raise unittest.SkipTest(f"{', '.join(missing)} not installed")
    if not built_in(kind):
        raise unittest.SkipTest("not built in")
    if kind not in _running:
        _running[kind] = servers.KINDS[kind]()
        testenv.at_exit(_running[kind].stop)
    if not _running[kind].process:
        _running[kind].start()
    return _running[kind]


class OnServer:
    """For a TestCase: a server of its kind."""

    kind = ""
    server = None

    def setUp(self):
        self.server = start(self.kind)
        super().setUp()


class ServerSite(Site):
    """Before a class of Site: its store is in a database of its own on this server, or in this one.
    What tests do with the SQLite file is done with a copy, which is then copied back."""

    def __init__(self, server, *arguments, database=None, **keywords):
        self.server = server
        self.database = database or server.add_database()
        super().__init__(*arguments, **keywords)

    def configure(self, **options):
        if self.options["store.url"].startswith("sqlite:"):  # the first time
            options = {"store.url": self.server.url(database=self.database),
                       "store.timeout": "8s", **options}
        super().configure(**options)

    def copy(self, from_, to):
        done = subprocess.run([program("abictl"), "-c", self.conf, "store", "copy", from_, to],
                              capture_output=True, text=True, timeout=120, check=False,
                              **self.as_filter_user())
        assert done.returncode == 0 and not done.stderr, done

    @contextlib.contextmanager
    def sqlite(self):
        path = os.path.join(testenv.new_directory("copy", FILTER_USER), "copy.db")
        self.abictl("store", "status")  # makes it, if nobody has yet
        self.copy(self.conf, f"sqlite:{path}")
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as database:
            before = database.total_changes
            yield database
            changed = database.total_changes != before
        if changed:
            self.server.empty(self.database)
            self.copy(f"sqlite:{path}", self.conf)


def content(path):
    """All that is in a SQLite store: table -> rows."""
    with contextlib.closing(sqlite3.connect(path)) as database:
        return {table: sorted(database.execute(f"SELECT * FROM {table}")) for table in TABLES}
