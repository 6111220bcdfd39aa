"""What all end-to-end tests share: a scratch directory that never stays behind, the programs in
it, waiting for conditions, and a Site: one configuration with its cache, store and log."""
import atexit
import contextlib
import faulthandler
import os
import pty
import pwd
import random
import re
import shutil
import signal
import sqlite3
import string
import subprocess
import sys
import tempfile
import termios
import time
import unittest

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SAN = os.environ.get("SAN") == "1"
BUILD = os.environ.get("ABICHECKER_BUILD") or os.path.join(TOP, "build-san" if SAN else ".")
REPORTS = os.path.join(TOP, "build-san", "reports")
PROGRAMS = ("abichecker", "abictl")
FILTER_USER = pwd.getpwnam("nobody")
SPAWN_ENVIRONMENT = {"PATH": "/usr/bin:/bin"}  # all that spawn(8) leaves
PATIENCE = 100  # seconds until a condition that must come true is given up
CASE_LIMIT = float(os.environ.get("CASE_LIMIT") or 600)  # seconds for a case

_scratch = None
_cleanups = []


def need_mounts(test):
    """Skips a test where no bind mount of its own is allowed: in a chroot, or a container."""
    done = subprocess.run(["unshare", "--mount", "mount", "--bind", "/tmp", "/tmp"],
                          capture_output=True, check=False)
    if done.returncode != 0:
        test.skipTest("a mount namespace of its own is not allowed")


def wait_until(condition, what, seconds=PATIENCE, interval=0.005):
    """Waits until condition() is true and returns its value; AssertionError when it stays false."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"waited {seconds} s in vain for {what}")
        time.sleep(interval)


def at_exit(function):
    """Calls function at the end of the process, last one first, also at SIGTERM and SIGINT."""
    _cleanups.append(function)


def scratch():
    """The process's scratch directory, made at the first call and removed at the end."""
    global _scratch
    if not _scratch:
        for signal_number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(signal_number, _die_cleanly)
        atexit.register(_clean_up)
        _scratch = tempfile.mkdtemp(prefix="abichecker-test.")
        os.chmod(_scratch, 0o755)
    return _scratch


def new_directory(name, owner=None, mode=0o755):
    """A new directory in the scratch directory, its name beginning with name."""
    path = tempfile.mkdtemp(prefix=f"{name}.", dir=scratch())
    os.chmod(path, mode)
    if owner:
        os.chown(path, owner.pw_uid, owner.pw_gid)
    return path


def program(name):
    """The path of abichecker or abictl where any user can run it."""
    directory = os.path.join(scratch(), "sbin")
    if not os.path.isdir(directory):
        if SAN:
            os.makedirs(REPORTS, exist_ok=True)
            os.chmod(REPORTS, 0o1777)
        os.mkdir(directory)
        for each in PROGRAMS:
            shutil.copy(os.path.join(BUILD, each), directory)
    return os.path.join(directory, name)


def install_tree(prefix):
    """Builds and installs the program below prefix with the Makefile, from a copy of the sources,
    because other paths mean another build."""
    source = os.path.join(new_directory("source"), "tree")
    shutil.copytree(TOP, source, ignore=shutil.ignore_patterns(".git", "build*", "*.o", *PROGRAMS))
    made = subprocess.run(
        ["make", "-j2", "install", "SAN=", "DESTDIR=", f"PREFIX={prefix}/usr",
         f"SYSCONFDIR={prefix}/etc", f"LOCALSTATEDIR={prefix}/var",
         f"INSTALL_USER={FILTER_USER.pw_name}"], cwd=source, capture_output=True, text=True,
        stdin=subprocess.DEVNULL, env={"PATH": os.environ["PATH"]})
    assert made.returncode == 0, made.stderr


def processes_of(executable_prefix):
    """The numbers of the running processes whose program lies below this path."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            if os.readlink(f"/proc/{pid}/exe").startswith(executable_prefix):
                found.append(int(pid))
    return found


def children(pid):
    """The numbers of a process's child processes."""
    with contextlib.suppress(OSError):
        return [int(child) for child in read_file(f"/proc/{pid}/task/{pid}/children").split()]
    return []


def process_name(pid):
    with contextlib.suppress(OSError):
        return read_file(f"/proc/{pid}/comm").strip()
    return None


def mount_tmpfs(directory, options):
    """A small file system of the filter's user there; returns what unmounts it, also done at the
    end of the process. Skips the test where mounting is not allowed."""
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"mode=750,uid={FILTER_USER.pw_uid},{options}", "tmpfs",
         directory], capture_output=True, text=True)
    if mounted.returncode != 0:
        raise unittest.SkipTest(f"mount is not allowed: {mounted.stderr}")

    def unmount():
        subprocess.run(["umount", "-l", directory], capture_output=True)
    at_exit(unmount)
    return unmount


def sanitizer_reports():
    """The text of all sanitizer reports of this run; nothing without SAN=1."""
    texts = []
    if SAN and os.path.isdir(REPORTS):
        for name in sorted(os.listdir(REPORTS)):
            texts.append(read_file(os.path.join(REPORTS, name)))
    return "\n".join(texts)


def read_file(path):
    with open(path, encoding="utf-8", errors="surrogateescape") as file:
        return file.read()


def write_file(path, text, mode=0o644, owner=None):
    data = text if isinstance(text, bytes) else text.encode()
    with open(path, "wb") as file:
        file.write(data)
    os.chmod(path, mode)
    if owner:
        os.chown(path, owner.pw_uid, owner.pw_gid)
    return path


class TooLong(BaseException):
    """A case has had its time. No `except Exception` of it hears of this."""


class TestCase(unittest.TestCase):
    """A test case that fails when a program's sanitizer had something to say, or when it does not
    end: then it goes no further, and the next one begins."""

    maxDiff = None

    def run(self, result=None):
        before = sanitizer_reports()
        self.addCleanup(lambda: self.assertEqual(sanitizer_reports(), before))
        handler = signal.signal(signal.SIGALRM, self._too_long)
        # Again, if what it then waits for does not come either
        signal.setitimer(signal.ITIMER_REAL, CASE_LIMIT, min(CASE_LIMIT, 2 * PATIENCE))
        try:
            return super().run(result)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, handler)

    def assert_within(self, limit, seconds):
        """These Seconds (pace.py) are fewer, those that the machine had no processor not counted."""
        self.assertLess(seconds.net, limit, f"it took {seconds:.2f} s")

    @staticmethod
    def _too_long(*_):
        faulthandler.dump_traceback(file=sys.__stderr__)  # of all threads
        raise TooLong(f"no end within {CASE_LIMIT:g} s")


class Site:
    """A configuration, a cache directory, a store, a log and a whitelist for one test."""

    def __init__(self, url=None, options=(), whitelist=""):
        self.directory = new_directory("site")
        self.cache = self._path("cache")
        self.log_file = os.path.join(self._path("log"), "abichecker.log")
        self.conf = self._path("abichecker.conf")
        self.whitelist = self._path("whitelist.txt")
        self.key = "".join(random.choices(string.ascii_lowercase + string.digits, k=80))
        self.store = os.path.join(self._path("store"), "abichecker.db")
        for directory in (self.cache, *map(os.path.dirname, (self.store, self.log_file))):
            os.mkdir(directory, 0o750)
            os.chown(directory, FILTER_USER.pw_uid, FILTER_USER.pw_gid)
        write_file(self.whitelist, whitelist)
        write_file(self._path("key"), self.key + "\n", 0o400, FILTER_USER)
        self.options = {
            "log.target": self.log_file, "whitelist.file": self.whitelist,
            "reputation.token_file": self._path("key"), "reputation.cache_dir": self.cache,
            "reputation.url": url or "http://127.0.0.1:1/api/v2",
            "geocount.database": "", "store.url": f"sqlite:{self.store}",
        }
        self.configure(**dict(options))

    def _path(self, name):
        return os.path.join(self.directory, name)

    def configure(self, **options):
        """Writes the configuration; options: section.key=value, None takes one away."""
        self.options.update(options)
        sections = {}
        for option, value in self.options.items():
            section, _, key = option.partition(".")
            if value is not None:
                sections.setdefault(section, []).append(f"{key} = {value}\n")
        write_file(self.conf, "".join(f"[{section}]\n{''.join(lines)}"
                                      for section, lines in sections.items()))

    def put_score(self, ip, content, age=0):
        """Makes a cache file as old as that, in seconds, with this first line or whole content."""
        path = os.path.join(self.cache, ip)
        write_file(path, f"{content}\n" if isinstance(content, int) else content, 0o640,
                   FILTER_USER)
        self.set_age(path, age)
        return path

    @staticmethod
    def set_age(path, age):
        then = time.time() - age
        os.utime(path, (then, then), follow_symlinks=False)

    def cached_score(self, ip):
        """The first line of the cache file, None when there is none."""
        try:
            return read_file(os.path.join(self.cache, ip)).split("\n", 1)[0]
        except FileNotFoundError:
            return None

    def rest(self, name="api"):
        """What a marker says: (seconds left, reason), None when there is no such marker."""
        try:
            lines = read_file(os.path.join(self.cache, f".rest-{name}")).splitlines()
        except FileNotFoundError:
            return None
        return int(lines[0]) - time.time(), lines[1]

    @contextlib.contextmanager
    def sqlite(self):
        """The store, as somebody with sqlite3(1) has it; every statement is a transaction."""
        with contextlib.closing(sqlite3.connect(self.store, isolation_level=None)) as database:
            yield database

    def query(self, sql, *parameters):
        """The rows that a statement on the store gives."""
        with self.sqlite() as database:
            return database.execute(sql, parameters).fetchall()

    def log(self):
        return read_file(self.log_file) if os.path.exists(self.log_file) else ""

    def log_lines(self, pattern):
        return [line for line in self.log().splitlines() if re.search(pattern, line)]

    def abictl(self, *arguments, **keywords):
        """Runs abictl with this configuration as the filter's user, until it ends."""
        return subprocess.run([program("abictl"), "-c", self.conf, *arguments],
                              **{**self.as_filter_user(), "capture_output": True, "text": True,
                                 "timeout": PATIENCE, **keywords})

    def on_terminal(self, *arguments, width=80, **keywords):
        """The same, its standard output being a terminal; skips the test where there is none."""
        try:
            terminal, side = pty.openpty()
        except OSError as error:
            raise unittest.SkipTest(f"no terminal to be had: {error}") from error
        with open(terminal, "rb", buffering=0) as output:
            termios.tcsetwinsize(side, (24, width))
            result = self.abictl(*arguments, capture_output=False, stdout=side,
                                 stderr=subprocess.PIPE, **keywords)
            os.write(side, b"!")
            os.close(side)
            said = b""
            while not said.endswith(b"!"):
                said += output.read(1000)
        result.stdout = said[:-1].decode().replace("\r\n", "\n")
        return result

    @staticmethod
    def as_filter_user():
        """Keywords for subprocess that start a program as spawn(8) would."""
        return {"user": FILTER_USER.pw_uid, "group": FILTER_USER.pw_gid, "extra_groups": [],
                "env": SPAWN_ENVIRONMENT, "cwd": "/"}


def _clean_up():
    while _cleanups:
        with contextlib.suppress(Exception):
            _cleanups.pop()()
    if _scratch and os.path.isdir(_scratch):
        for pid in processes_of(_scratch + "/"):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        shutil.rmtree(_scratch, ignore_errors=True)


def _die_cleanly(signal_number, _frame):
    _clean_up()
    signal.signal(signal_number, signal.SIG_DFL)
    os.kill(os.getpid(), signal_number)
