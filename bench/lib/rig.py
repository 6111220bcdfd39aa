"""What every measurement needs: a scratch directory, the tools in it, and the
user that filters run as."""
import contextlib
import glob
import json
import os
import pwd
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
sys.path.insert(0, f"{TOP}/tests/lib")

import mmdb  # noqa: E402

INSIDE = "ABICHECKER_BENCH_INSIDE"	# set in the private mount namespace
LOW, HIGH = "8.8.4.0", "9.9.9.0"	# 256 addresses each from here on
MANY = "11.0.0.0"			# the many cache files
FILE_BYTES = 4096			# a small file's room on a disk
USERS = 1000				# who log in
EACH = 5				# from so many addresses, from LOW on
ROWS_FEW = 10000			# of a small store
DNS_PORT = 5399				# on loopback
ROW_BYTES = 500				# room for a login, generously
OFFENDERS = "12.0.0.0"			# those of a store, from here on
OFFENDERS_FEW = 10
OFFENDER_BYTES = 500			# room for one in the store and its snapshot
COUNTRIES = {"8.8.4.0/31": "US", "8.8.4.2/31": "DE", "8.8.4.4/32": "GB"}

# Rows as the filter writes them, in the order of the key.
FILL_STORE = """\
WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n
  WHERE i + 1 < ?)
INSERT INTO postfwd_logins SELECT
  printf('user%07d@example.test', i / {each}), '8.8.4.' || (i % {each}),
  'US', 1, datetime('now') FROM n
""".format(each=EACH)

# The users of policyload's -u
FILL_ACCOUNTS = """\
WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n
  WHERE i + 1 < ?)
INSERT INTO abichecker_accounts SELECT printf('user%07d@example.test', i),
  unixepoch('now'), 0, 1, 'manual', '', '' FROM n
"""

# As `abictl scan' writes them
FILL_OFFENDERS = """\
WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n
  WHERE i + 1 < ?)
INSERT INTO abichecker_offenders SELECT '12.' || (i >> 16) || '.' ||
  (i >> 8 & 255) || '.' || (i & 255) || '/32' AS block, 'auth-failure', '', 10,
  1, unixepoch('now') - 60, unixepoch('now'), unixepoch('now') + 604800, 1
  FROM n ORDER BY block
"""
NEW_GENERATION = """\
INSERT INTO abichecker_meta VALUES ('generation', 1)
  ON CONFLICT (name) DO UPDATE SET value = value + 1
"""

CONFIG = """\
[whitelist]
file = {top}/whitelist.txt
[reputation]
token = {token}
url = http://127.0.0.1:9/api/v2
cache_dir = {cache}
[geocount]
database = {top}/places.mmdb
[store]
url = sqlite:{cache}/store.db
[blacklist]
snapshot = {cache}/blacklist.cdb
logs = {top}/{log}
{blacklist}"""



class Failed(Exception):
    """Something without which there is nothing to measure."""


def note(text):
    print("bench: " + text, file=sys.stderr, flush=True)


class Bench:
    """The scratch directory, the tools and the user that they run as."""

    def __init__(self, options):
        self.filter = options.filter
        self.abictl = os.path.join(os.path.dirname(options.filter), "abictl")
        self.top = tempfile.mkdtemp(prefix="abichecker-bench-",
                                    dir=options.scratch)
        os.chmod(self.top, 0o755)
        self.sink = None
        self.owner = {}
        if os.getuid() == 0:
            user = pwd.getpwnam(options.user)
            self.owner = {"user": user.pw_uid, "group": user.pw_gid,
                          "extra_groups": []}

    def prepare(self):
        """Build the tools; copy what the user may not reach in our tree."""
        if os.environ.get(INSIDE):
            self.own_dev()
        self.tool = {}
        for name in ("policyload", "null_filter", "logsink", "cachefill",
                     "maillog_gen", "peak"):
            self.tool[name] = f"{self.top}/{name}"
            self.call([os.environ.get("CC", "cc"), "-O2", "-D_GNU_SOURCE",
                       "-o", self.tool[name], f"{TOP}/bench/{name}.c"])
        shutil.copy(f"{TOP}/whitelist.txt", self.top)
        mmdb.write(f"{self.top}/places.mmdb", COUNTRIES)
        shutil.copy(self.filter, f"{self.top}/filter")
        os.chmod(f"{self.top}/filter", 0o755)
        os.mkdir(f"{self.top}/sbin")	# not beside the filter, who would use it
        shutil.copy(self.abictl, f"{self.top}/sbin/abictl")
        os.chmod(f"{self.top}/sbin/abictl", 0o755)
        open(f"{self.top}/empty.log", "w", encoding="ascii").close()
        self.config("small", self.cache_dir("small"))
        self.scan("small")
        self.fill_offenders("small", OFFENDERS_FEW)
        self.fill("small", LOW, 256, 12)
        self.fill("small", HIGH, 256, 100)

    def call(self, command, **more):
        done = subprocess.run(command, capture_output=True, text=True, **more)
        if done.returncode:
            raise Failed("%s: exit status %d: %s" % (
                " ".join(command), done.returncode,
                done.stderr.strip()[-500:]))
        return done.stdout

    def give(self, path, mode):
        os.chmod(path, mode)
        if self.owner:
            os.chown(path, self.owner["user"], self.owner["group"])

    def cache_dir(self, name):
        path = f"{self.top}/{name}"
        os.mkdir(path)
        self.give(path, 0o750)
        return path

    def fill(self, name, first, count, score):
        self.call([self.tool["cachefill"], f"{self.top}/{name}", first,
                   str(count), str(score)], **self.owner)

    def config(self, name, cache, log="empty.log", blacklist=""):
        path = f"{self.top}/{name}.conf"
        with open(path, "w", encoding="ascii") as f:
            f.write(CONFIG.format(top=self.top, token="k" * 80, cache=cache,
                                  log=log, blacklist=blacklist))
        self.give(path, 0o600)

    def fill_store(self, name, rows):
        """A configuration whose store has so many logins."""
        cache = self.cache_dir(name)
        self.config(name, cache)
        # The filter makes the tables
        self.load(["-r", "0", "-u", "1", "-a", f"{LOW},1"], name)
        with contextlib.closing(sqlite3.connect(f"{cache}/store.db",
                                                isolation_level=None)) as db:
            db.execute("PRAGMA journal_mode = OFF")
            db.execute("PRAGMA synchronous = OFF")
            db.execute("DELETE FROM postfwd_logins")
            db.execute(FILL_STORE, (rows,))

    def logins(self, name):
        """How many were counted in the store of this configuration, of whatever kind."""
        users = json.loads(self.call([f"{self.top}/sbin/abictl", "-c", f"{self.top}/{name}.conf",
                                      "--json", "logins"], **self.owner))
        return sum(user["logins"] for user in users)

    def load_logins(self, options, name):
        """A run of policyload whose requests are logins: all must be counted, and the store must
        not have rested."""
        before = self.logins(name)
        got = self.load(options, name)
        warm = int(options[options.index("-w") + 1]) if "-w" in options else 0
        # One while a connection starts, those of the warm-up, and the rest
        sent = got["connections"] * (1 + warm) + got["requests"]
        counted = self.logins(name) - before
        if counted != sent:
            raise Failed(f"{name}, {got['connections']:.0f} connections: {sent:.0f} logins were "
                         f"sent, but {counted} were counted")
        if glob.glob(f"{self.top}/{name}/.rest-store-*"):
            raise Failed(f"{name}, {got['connections']:.0f} connections: the store has rested")
        return got

    def scan(self, name, *options, output="/dev/null"):
        """Runs `abictl scan': its seconds and memory."""
        return self.timed([f"{self.top}/sbin/abictl", "-c",
                           f"{self.top}/{name}.conf", "scan", *options],
                          output)

    def timed(self, command, output="/dev/null", **more):
        """Runs a command: what peak(1) says of it. Not through a pipe, whose
        reader would compete with it."""
        said = self.call([self.tool["peak"], output, *command], **more)
        return {name: float(value) for name, value in
                (line.split() for line in said.splitlines())}

    @contextlib.contextmanager
    def store(self, name):
        """The store of a configuration, in one transaction."""
        path = f"{self.top}/{name}/store.db"
        with contextlib.closing(sqlite3.connect(path, timeout=10)) as db, db:
            yield db

    def fill_offenders(self, name, count):
        """Puts so many offenders into a store that is there, and publishes
        them."""
        with self.store(name) as db:
            db.execute("DELETE FROM abichecker_offenders")
            db.execute(FILL_OFFENDERS, (count,))
        self.new_generation(name)
        self.scan(name)

    def new_generation(self, name):
        """Has the next scan publish anew."""
        with self.store(name) as db:
            db.execute(NEW_GENERATION)

    def list_users(self, name, listed=True):
        """Put all users on the list of compromised accounts, or none."""
        with self.store(name) as db:
            db.execute("DELETE FROM abichecker_accounts")
            if listed:
                db.execute(FILL_ACCOUNTS, (USERS,))

    @contextlib.contextmanager
    def dns(self):
        """A resolver that knows of no listing, if there is one to start."""
        if not shutil.which("dnsmasq"):
            yield
            return
        server = subprocess.Popen(
            ["dnsmasq", "--keep-in-foreground", "--no-resolv", "--no-hosts",
             "--conf-file=/dev/null", "--pid-file", "--local=/list.test/",
             f"--port={DNS_PORT}", "--listen-address=127.0.0.1",
             "--bind-interfaces", "--user=", "--log-facility=-"],
            stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        try:
            line = server.stderr.readline()
            if "started" not in line:
                raise Failed("dnsmasq did not start: "
                             f"{line.strip()} {server.wait()}")
            yield
        finally:
            server.terminate()
            server.wait()

    def load(self, options, config=None, answer="DUNNO"):
        """One run of policyload; config None is the bare filter."""
        command = [self.tool["policyload"], *options, "--"]
        if config is None:
            command.append(self.tool["null_filter"])
        else:
            command += [f"{self.top}/filter", "-c",
                        f"{self.top}/{config}.conf"]
        values = {}
        for line in self.call(command, **self.owner).splitlines():
            name, value = line.split(None, 1)
            values[name] = float(value)
        others = [name for name in values if name.startswith("action_")
                  and name != "action_" + answer]
        if others:
            raise Failed(f"{' '.join(command)}: answers {others}, "
                         f"expected only {answer}")
        return values

    def own_dev(self):
        """A /dev without a log. Only in a mount namespace of our own."""
        dev = f"{self.top}/dev"
        os.mkdir(dev)
        self.call(["mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", dev])
        for name in "null", "zero", "full", "random", "urandom", "tty":
            if os.path.exists(f"/dev/{name}"):
                open(f"{dev}/{name}", "w", encoding="ascii").close()
                self.call(["mount", "--bind", f"/dev/{name}",
                           f"{dev}/{name}"])
        self.call(["mount", "--rbind", dev, "/dev"])

    def start_syslog(self):
        """Read /dev/log, if that disturbs nobody."""
        if os.getuid() != 0 or os.path.lexists("/dev/log"):
            return
        self.sink = subprocess.Popen(
            [self.tool["logsink"], "/dev/log", f"{self.top}/syslog"],
            stdout=subprocess.PIPE, text=True)
        while not os.path.exists("/dev/log"):
            if self.sink.poll() is not None:
                raise Failed("the log sink did not start")
            time.sleep(0.01)

    def end_syslog(self):
        """How many messages there were."""
        self.sink.terminate()
        out, _ = self.sink.communicate()
        self.sink = None
        os.unlink("/dev/log")
        return int(out.split()[1])

    def lacks(self, size, files=0):
        """What is not here for so many bytes in so many files, or None."""
        disk = os.statvfs(self.top)
        if disk.f_files and disk.f_favail < files * 1.1:
            return (f"skipped: {self.top} has only {disk.f_favail:,} free "
                    "inodes")
        free = disk.f_bavail * disk.f_frsize
        if free < size:
            return f"skipped: {self.top} has only {free >> 20:,} MiB free"
        return None

    def clean(self):
        if self.sink:
            self.sink.kill()
            self.sink.wait()
            with contextlib.suppress(FileNotFoundError):
                os.unlink("/dev/log")
        if os.path.ismount(f"{self.top}/dev"):
            subprocess.run(["umount", "-R", "-l", "/dev", f"{self.top}/dev"],
                           check=False)
        # Far quicker than shutil.rmtree with a million files
        subprocess.run(["rm", "-rf", self.top], check=True)
