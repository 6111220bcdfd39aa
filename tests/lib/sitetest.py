"""What the tests share that need no mail server: a case with a stub of the API and Sites, and
ways to be in the way of the programs."""
import collections
import contextlib
import fcntl
import ipaddress
import os
import struct
import time

import testenv
from apistub import ApiStub
from filter import Filter, answer_to
from testenv import FILTER_USER, Site, wait_until

CLEAN_EXIT = 0
DAY = 86400
LOCK_BUDGET, LOCK_REST = 1 << 32, (1 << 32) + 1  # bytes of .lock that belong to no address
F_OFD_SETLKW = 38


class SiteTest(testenv.TestCase):
    """A stub of the API, when asked for, and Sites that use it."""

    _stub = None

    @property
    def stub(self):
        if not self._stub:
            self._stub = ApiStub().start()
            self.addCleanup(self._stub.stop)
        return self._stub

    def site(self, options=(), whitelist=""):
        """A site with time enough for an API call, if the test did not say otherwise."""
        return Site(self.stub.url, {"reputation.timeout": "8s", **dict(options)}, whitelist)

    @staticmethod
    def move_from_tmp(site, options=()):
        """Has no path of the configuration lead to where everybody can write."""
        way = f"/run/{os.path.basename(testenv.scratch())}"
        if not os.path.islink(way):
            testenv.at_exit(lambda: os.unlink(way))
            os.symlink(testenv.scratch(), way)
        site.configure(**{**{name: value.replace(testenv.scratch(), way)
                             for name, value in site.options.items()}, **dict(options)})

    def cached_site(self):
        """A site that needs no API: 9.9.9.9 is bad, 8.8.4.4 is not."""
        site = Site()
        site.put_score("9.9.9.9", 71)
        site.put_score("8.8.4.4", 12)
        return site

    def filter(self, *arguments, **keywords):
        return self.enterContext(Filter(*arguments, **keywords))

    def assert_answers(self, expected, site, *requests, **keywords):
        """These requests get just these bytes, and the filter then ends well."""
        self.assertEqual(answer_to(site, *requests, **keywords), (expected, CLEAN_EXIT))

    def full_site(self, limits, options=()):
        """A site whose cache is a file system of its own that is full; 9.9.9.9 is bad."""
        site = self.site(options)
        self.at_end(testenv.mount_tmpfs(site.cache, limits))
        site.put_score("9.9.9.9", 71)
        with contextlib.suppress(OSError):
            for number in range(10):
                testenv.write_file(f"{site.cache}/.fill{number}", b"x" * (1 << 16))
        return site

    def at_end(self, function):
        """Calls function at the end of the test, however it or the whole process ends."""
        testenv.at_exit(function)
        self.addCleanup(function)


@contextlib.contextmanager
def locked(site, *bytes_):
    """Holds these bytes of the cache directory's lock, as another process does."""
    path = f"{site.cache}/.lock"
    if not os.path.exists(path):
        os.mkfifo(path, 0o600)
        os.chown(path, FILTER_USER.pw_uid, FILTER_USER.pw_gid)
    with open(os.open(path, os.O_RDWR | os.O_NONBLOCK), "rb", buffering=0) as lock:
        for byte in bytes_:
            fcntl.fcntl(lock, F_OFD_SETLKW, struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, byte, 1, 0))
        yield


def lock_of(ip):
    """The byte of the lock that belongs to an address: its FNV-1a hash."""
    value = 2166136261
    for byte in ip.encode():
        value = (value ^ byte) * 16777619 & 0xffffffff
    return value


def wait_until_waited_for(site):
    """Waits until a process waits for the lock."""
    inode = f":{os.stat(f'{site.cache}/.lock').st_ino} "
    wait_until(lambda: any("->" in line and inode in line
                           for line in testenv.read_file("/proc/locks").splitlines()),
               "somebody to wait for the lock")


def listing(path):
    """The status of all files in a directory, or of the file, but for the time of last access."""
    if not os.path.isdir(path):
        return testenv.read_file(path)
    fields = ("st_ino", "st_mode", "st_uid", "st_size", "st_mtime_ns")
    status = collections.namedtuple("status", fields)
    return {entry.name: status(*(getattr(entry.stat(follow_symlinks=False), field)
                                 for field in fields)) for entry in os.scandir(path)}


def is_address(name):
    with contextlib.suppress(ValueError):
        return bool(ipaddress.ip_address(name))
    return False


def seconds_to_midnight():
    return DAY - time.time() % DAY
