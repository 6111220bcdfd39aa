#!/usr/bin/python3
"""abictl postfix: it changes main.cf and master.cf so that Postfix consults the filter, and takes
that back, byte for byte; or it refuses, and changes nothing.

    python3 tests/e2e/e2e_postfix.py [-v] [Class.test ...]
"""
import fcntl
import os
import random
import re
import shutil
import stat
import subprocess
import sys
import unittest
from concurrent.futures import ThreadPoolExecutor

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import testenv  # noqa: E402
from mailserver import MailServer  # noqa: E402
from postfixpairs import (AUTH, DEBIAN_MAIN, ITEM, PAIRS, REFUSED, RELAY, SMTP,  # noqa: E402
                          SUBMISSION, USERS, master)
from sitetest import SiteTest  # noqa: E402
from testenv import Site, read_file, wait_until, write_file  # noqa: E402

OK, USAGE, UNAVAILABLE, CANNOT_CREATE, NO_PERMISSION, CONFIG = 0, 64, 69, 73, 77, 78
SAVED = "abichecker.saved"
AT_A_TIME = 8
HEAD = """\
queue_directory = {root}/queue
data_directory = {root}/data
alias_maps =
alias_database =
"""


def contents(path):
    with open(path, "rb") as file:
        return file.read()


class Instance:
    """A configuration directory of Postfix with these two files, and abictl for it."""

    root = None  # of queues for all, since `postfix check' makes new ones slowly

    def __init__(self, site, main, master_cf):
        self.site = site
        if self.root is None:
            Instance.root = testenv.new_directory("postfix")
            for name in ("queue", "data"):
                os.mkdir(f"{self.root}/{name}")
            shutil.chown(f"{self.root}/data", "postfix")
        self.directory = testenv.new_directory("instance")
        self.head = HEAD.format(root=self.root)
        self.put("main.cf", self.head + main)
        self.put("master.cf", master_cf)

    def path(self, name):
        return f"{self.directory}/{name}"

    def put(self, name, text):
        write_file(self.path(name), text.encode())
        self.settle()

    def settle(self):
        """Who reads a main.cf waits until it is two seconds old."""
        if os.path.exists(self.path("main.cf")):
            os.utime(self.path("main.cf"), (0, 0))

    def files(self):
        return {name: contents(self.path(name)) for name in sorted(os.listdir(self.directory))}

    def text(self, name):
        return contents(self.path(name)).decode()

    def abictl(self, *words, **keywords):
        self.settle()
        done = subprocess.run(
            [testenv.program("abictl"), "-c", self.site.conf, "postfix", *words, "--instance",
             self.directory], capture_output=True, text=True, timeout=120,
            stdin=subprocess.DEVNULL, **keywords)
        self.settle()
        return done

    def postconf(self, *words):
        done = subprocess.run(["postconf", "-c", self.directory, *words], capture_output=True,
                              text=True, check=True)
        return " ".join(done.stdout.split())


class PostfixTest(SiteTest):

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        if shutil.which("postconf") is None or os.geteuid() != 0:
            raise unittest.SkipTest("needs root and Postfix")

    def setUp(self):
        super().setUp()
        self.good = self.site()

    def instance(self, main=DEBIAN_MAIN, master_cf=master(SMTP, SUBMISSION)):
        return Instance(self.good, main, master_cf)

    def must(self, instance, *words):
        done = instance.abictl(*words)
        self.assertEqual((done.returncode, done.stderr), (OK, ""), done)
        return done.stdout

    def fails(self, instance, status, pattern, *words, **keywords):
        before = instance.files()
        done = instance.abictl(*words, **keywords)
        self.assertEqual(done.returncode, status, done)
        self.assertRegex(done.stderr, pattern)
        self.assertEqual(instance.files(), before)
        return done


class Pairs(PostfixTest):
    """The configurations of many servers: there and back; several at a time, since Postfix's
    programs wait for a main.cf that is new."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.pool = ThreadPoolExecutor(AT_A_TIME)
        cls.addClassCleanup(cls.pool.shutdown, cancel_futures=True)
        cls.good = Site()
        cls.done = {name: cls.pool.submit(cls().there_and_back, pair)
                    for name, pair in cls.pairs().items()}

    @staticmethod
    def pairs():
        """With all services of Debian's package, too, and their comments."""
        path = "/usr/share/postfix/master.cf.dist"
        if not os.path.exists(path):
            return PAIRS
        return PAIRS | {"what-debian-has": PAIRS["debian-internet-site"]._replace(
            master=read_file(path))}

    def there_and_back(self, pair):
        instance = self.instance(pair.main, pair.master)
        before = instance.files()
        plan = self.must(instance, "enable", "--dry-run", *pair.words)
        self.assertEqual(instance.files(), before)

        said = self.must(instance, "enable", *pair.words)
        self.assertTrue(said.startswith(plan), (plan, said))
        after = instance.files()
        self.reads_as_wanted(instance, pair)

        self.assertIn("nothing to do", self.must(instance, "enable", *pair.words))
        self.assertEqual(instance.files(), after)

        self.must(instance, "disable")
        self.assertEqual(instance.files(), before)

    def reads_as_wanted(self, instance, pair):
        self.assertEqual(instance.postconf("-h", "smtpd_recipient_restrictions"), pair.recipient)
        for service, value in pair.client.items():
            self.assertEqual(instance.postconf("-P", f"{service}/smtpd_client_restrictions"),
                             f"{service}/smtpd_client_restrictions = {value}")
        self.assertRegex(instance.postconf("-M", "abichecker/unix"),
                         r"abichecker unix - n n - \d spawn user=\w+ argv=/\S+/abichecker")
        self.assertEqual(instance.postconf("-h", "abichecker_time_limit"), "3600")
        if pair.client:
            self.assertEqual(instance.postconf("-h", "abichecker_auth"), ITEM)


class Refused(PostfixTest):
    """What is not guessed."""

    def is_refused(self, main, master_cf, words, pattern):
        instance = self.instance(main.replace(RELAY, "") if main.endswith(
            "smtpd_relay_restrictions =\n") else main, master_cf)
        done = self.fails(instance, CONFIG, re.escape(pattern), "enable", *words)
        self.assertIn("nothing was changed", done.stderr)


class Edited(PostfixTest):
    """What somebody changes after `enable' stays, and only our items are removed."""

    def setUp(self):
        super().setUp()
        self.it = self.instance()
        self.before = self.it.files()

    def enable(self, *words):
        self.must(self.it, "enable", *words or ("mx", "submission"))

    def edit(self, *words):
        self.it.settle()
        subprocess.run(["postconf", "-c", self.it.directory, *words], check=True,
                       capture_output=True)
        self.it.settle()

    def disable(self):
        said = self.must(self.it, "disable")
        self.assertFalse(os.path.exists(self.it.path(SAVED)))
        return said

    def assert_restored(self, *names):
        for name in names or ("main.cf", "master.cf"):
            self.assertEqual(self.it.text(name), self.before[name].decode())

    def test_another_parameter(self):
        pair = PAIRS["comments-between"]
        self.it = self.instance(pair.main, pair.master)
        self.before = self.it.files()
        self.enable()
        for name, line in (("main.cf", "# mine\nbiff = no\n"),
                           ("master.cf", "mine unix - - n - - smtp\n")):
            self.it.put(name, self.it.text(name) + line)
            self.before[name] += line.encode()
        self.assertIn("nothing to do", self.must(self.it, "enable", "mx", "submission"))
        self.disable()
        self.assert_restored()

    def test_the_list_itself(self):
        self.enable("mx")
        self.edit("-e", f"smtpd_recipient_restrictions = {USERS}, {ITEM}, reject_plaintext_session")
        self.assertIn("only our items are removed", self.disable())
        self.assertEqual(self.it.text("main.cf"), self.before["main.cf"].decode() +
                         f"smtpd_recipient_restrictions = {USERS}, reject_plaintext_session\n")
        self.assert_restored("master.cf")

    def test_the_list_of_submission(self):
        self.enable()
        self.edit("-P", "submission/inet/smtpd_client_restrictions=permit_mynetworks,"
                  f"{AUTH},permit_sasl_authenticated,reject")
        self.disable()
        self.assert_restored("main.cf")
        self.assertEqual(self.it.postconf("-P", "submission/inet/smtpd_client_restrictions"),
                         "submission/inet/smtpd_client_restrictions = "
                         "permit_mynetworks,permit_sasl_authenticated,reject")

    def test_the_service(self):
        self.enable()
        self.edit("-F", "abichecker/unix/process_limit=50")
        self.disable()
        self.assertEqual(self.it.postconf("-M", "abichecker/unix"), "")
        self.assert_restored("main.cf")

    def test_all_of_ours_is_gone(self):
        self.enable()
        for name in ("main.cf", "master.cf"):
            self.it.put(name, self.before[name].decode() + "# mine\n")
        self.disable()
        self.assertEqual(self.it.text("main.cf"), self.before["main.cf"].decode() + "# mine\n")

    def test_somebody_else_asks_too(self):
        """Else the service would be missing, and mail deferred."""
        self.enable("mx")
        self.edit("-e", f"smtpd_data_restrictions = {ITEM}")
        self.assertIn("something still asks it", self.disable())
        self.assertIn("abichecker unix", self.it.postconf("-M", "abichecker/unix"))
        self.assertEqual(self.it.postconf("-h", "smtpd_recipient_restrictions"), "")

    def test_one_after_the_other(self):
        self.enable("mx")
        self.enable("submission")
        self.disable()
        self.assert_restored()

    def test_enabled_again_after_an_edit(self):
        self.enable("mx")
        self.edit("-e", "smtpd_recipient_restrictions = reject_plaintext_session")
        self.before["main.cf"] += b"smtpd_recipient_restrictions = reject_plaintext_session\n"
        self.enable("mx")
        self.assertEqual(self.it.postconf("-h", "smtpd_recipient_restrictions"),
                         f"reject_plaintext_session, {ITEM}")
        self.disable()
        self.assert_restored()

    def test_killed_between(self):
        """What `disable' needs is there first, and Postfix finds nothing that is missing."""
        self.enable()
        after = self.it.files()
        for left in (("main.cf", "master.cf"), ("main.cf",)):  # what it had not come to
            for name in left:
                self.it.put(name, self.before[name].decode())
            self.disable()
            self.assert_restored()
            for name, text in after.items():
                self.it.put(name, text.decode())
            os.chmod(self.it.path(SAVED), 0o600)
            for name in left:
                self.it.put(name, self.before[name].decode())
            self.enable()
            self.assertEqual(self.it.files(), after)
        self.disable()
        self.assert_restored()

    def test_disable_without_enable(self):
        self.assertIn("has changed nothing here", self.disable())
        self.assert_restored()

    def test_dry_run_of_disable(self):
        self.enable()
        after = self.it.files()
        self.assertIn("byte for byte", self.must(self.it, "disable", "--dry-run"))
        self.assertEqual(self.it.files(), after)


class Files(PostfixTest):
    """How they are replaced, and when they are not."""

    def test_owner_and_mode_stay(self):
        it = self.instance()
        before = {}
        for name, mode in (("main.cf", 0o640), ("master.cf", 0o600)):
            os.chmod(it.path(name), mode)
            shutil.chown(it.path(name), group="postfix")
            before[name] = os.stat(it.path(name))
        for word in ("enable", "disable"):
            self.must(it, word)
            for name, old in before.items():
                new = os.stat(it.path(name))
                self.assertEqual((new.st_mode, new.st_uid, new.st_gid),
                                 (old.st_mode, old.st_uid, old.st_gid))
            if word == "enable":
                self.assertEqual(stat.S_IMODE(os.stat(it.path(SAVED)).st_mode), 0o600)

    def test_links_are_not_followed(self):
        it = self.instance()
        os.rename(it.path("main.cf"), it.path("real.cf"))
        os.symlink("real.cf", it.path("main.cf"))
        self.fails(it, UNAVAILABLE, "main.cf: a symbolic link", "enable", "mx")

    def test_where_others_may_write(self):
        it = self.instance()
        os.chmod(it.directory, 0o775)
        self.fails(it, UNAVAILABLE, "others than root may write there", "enable", "mx")

    def test_what_is_saved_is_not_believed(self):
        it = self.instance()
        it.put(SAVED, "rubbish\n1\n")
        self.fails(it, UNAVAILABLE, "not written by `abictl postfix enable'", "disable")

    def test_postfix_check_fails(self):
        """Here, since maillog_file wants a service."""
        it = self.instance(DEBIAN_MAIN + "maillog_file = /var/log/never.log\n")
        self.fails(it, CANNOT_CREATE, "nothing was changed: `postfix check' fails", "enable", "mx")

    def test_disk_is_full(self):
        it = self.instance()
        files = it.files()
        self.at_end(testenv.mount_tmpfs(it.directory, "size=64k"))
        shutil.chown(it.directory, "root", "root")
        os.chmod(it.directory, 0o755)
        for name, text in files.items():
            it.put(name, text.decode())
        with open(it.path("fill"), "wb", buffering=0) as file:
            with self.assertRaises(OSError):
                while True:
                    file.write(b"x" * 1024)
        self.fails(it, CANNOT_CREATE, "No space left on device", "enable", "mx")

    def test_two_at_a_time(self):
        it = self.instance()
        lock = os.open(it.directory, os.O_RDONLY | os.O_DIRECTORY)
        self.addCleanup(os.close, lock)
        fcntl.flock(lock, fcntl.LOCK_EX)
        self.fails(it, UNAVAILABLE, "another abictl is changing it", "enable", "mx")

    def test_not_root(self):
        it = self.instance()
        os.chmod(self.good.directory, 0o755)
        self.fails(it, NO_PERMISSION, "only root", "enable", "mx", **self.good.as_filter_user())
        before = it.files()
        done = it.abictl("enable", "mx", "--dry-run", **self.good.as_filter_user())
        self.assertEqual((done.returncode, done.stderr), (OK, ""))
        self.assertIn(ITEM, done.stdout)
        self.assertEqual(it.files(), before)


class Map(PostfixTest):

    def setUp(self):
        super().setUp()
        self.it = self.instance()
        self.type = subprocess.run(["postconf", "-h", "default_database_type"], check=True,
                                   capture_output=True, text=True).stdout.strip()

    def test_none_is_configured(self):
        self.fails(self.it, CONFIG, f"add `map = {self.it.directory}/abichecker'.* type will be {self.type}",
                   "enable", "map")

    def test_a_type_that_is_not_there(self):
        self.good.configure(**{"blacklist.map": "cdb:/etc/postfix/access"})
        types = subprocess.run(["postconf", "-m"], check=True, capture_output=True,
                               text=True).stdout.split()
        if "cdb" in types:
            self.skipTest("this Postfix has all types")
        self.fails(self.it, CONFIG, f"set blacklist.map to /etc/postfix/access, .* {self.type}",
                   "enable", "map")

    def test_there_and_back(self):
        where = testenv.new_directory("map")
        value = f"{self.type}:{where}/access"
        self.good.configure(**{"blacklist.map": f"{where}/access"})  # of the usual type
        self.fails(self.it, CONFIG, "run abictl scan first", "enable", "map")
        write_file(f"{where}/access", "")
        subprocess.run(["postmap", value], check=True)
        for main, wanted in (
                ("", f"{USERS}, check_client_access {value}"),
                ("smtpd_client_restrictions = permit_mynetworks,\n\treject_unknown_client_hostname\n",
                 f"permit_mynetworks, check_client_access {value}, reject_unknown_client_hostname"),
                (f"smtpd_client_restrictions = {USERS}, check_client_access hash:/etc/mine, permit\n",
                 f"{USERS}, check_client_access hash:/etc/mine, check_client_access {value}, "
                 "permit"),
                ("smtpd_client_restrictions = reject_unknown_client_hostname, permit\n",
                 f"reject_unknown_client_hostname, {USERS}, check_client_access {value}, permit")):
            self.it = self.instance(DEBIAN_MAIN + main)
            before = self.it.files()
            self.must(self.it, "enable", "map")
            self.assertEqual(self.it.postconf("-h", "smtpd_client_restrictions"), wanted)
            self.assertEqual(self.it.postconf("-M", "abichecker/unix"), "")
            self.assertIn("nothing to do", self.must(self.it, "enable", "map"))
            self.must(self.it, "disable")
            self.assertEqual(self.it.files(), before)

    def test_taken_out_of_a_list_that_has_changed(self):
        where = testenv.new_directory("map")
        value = f"{self.type}:{where}/access"
        self.good.configure(**{"blacklist.map": value})
        write_file(f"{where}/access", "")
        subprocess.run(["postmap", value], check=True)
        self.must(self.it, "enable", "map")
        self.it.put("main.cf", self.it.text("main.cf").replace(
            f"check_client_access {value}",
            f"check_client_access {value}, check_client_access hash:/etc/postfix/mine"))
        self.must(self.it, "disable")
        self.assertEqual(self.it.postconf("-h", "smtpd_client_restrictions"),
                         f"{USERS}, check_client_access hash:/etc/postfix/mine")


class Instances(PostfixTest):
    """Which Postfix is meant."""

    def abictl(self, *words, **environment):
        return subprocess.run([testenv.program("abictl"), "-c", self.good.conf, "postfix", *words],
                              capture_output=True, text=True, stdin=subprocess.DEVNULL,
                              env={"PATH": os.environ["PATH"], **environment}, timeout=120)

    def test_by_the_environment(self):
        it, other = self.instance(), self.instance()
        before = it.files(), other.files()
        done = self.abictl("enable", "mx", MAIL_CONFIG=it.directory)
        self.assertEqual(done.returncode, OK, done)
        self.assertIn(ITEM, it.text("main.cf"))
        it.settle()
        self.assertEqual(self.abictl("disable", MAIL_CONFIG=it.directory).returncode, OK)
        self.assertEqual((it.files(), other.files()), before)

    def test_one_of_several(self):
        """In a file system of its own, where this is /etc/postfix."""
        testenv.need_mounts(self)
        out = self.instance()
        it = self.instance(DEBIAN_MAIN + f"multi_instance_directories = {out.directory}\n"
                           "multi_instance_enable = yes\n")
        for name in os.listdir("/etc/postfix"):
            if not os.path.exists(it.path(name)):
                os.symlink(os.path.realpath(f"/etc/postfix/{name}"), it.path(name))
        it.settle()

        def there(*words):
            return subprocess.run(
                ["unshare", "--mount", "sh", "-c",
                 'mount --bind "$0" /etc/postfix && exec "$@"', it.directory,
                 testenv.program("abictl"), "-c", self.good.conf, "postfix", *words],
                capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=120)
        before = it.text("main.cf"), out.files()
        done = there("enable", "mx")
        self.assertEqual(done.returncode, USAGE, done)
        self.assertIn(f"--instance {out.directory}", done.stderr)
        done = there("status")
        self.assertEqual(done.returncode, OK, done)
        self.assertIn(f"\n{out.directory}: ", done.stdout)
        self.assertEqual((it.text("main.cf"), out.files()), before)
        self.must(out, "enable", "mx")
        done = there("disable")  # wherever it was
        self.assertEqual(done.returncode, OK, done)
        self.assertEqual(out.files(), before[1])

    def test_status(self):
        it = self.instance()
        self.assertIn("would do:\n", self.must(it, "status"))
        self.must(it, "enable")
        said = self.must(it, "status")
        for text in ("as `enable' left it", "smtp/inet asks abichecker",
                     "submission/inet asks abichecker about users"):
            self.assertIn(text, said)
        it.put("main.cf", it.text("main.cf") + "biff = no\n")
        self.assertIn("changed since `enable'", self.must(it, "status"))


class Server(MailServer):
    """A Postfix that knows nothing of the filter, on port 25 of an address of its own."""

    def __init__(self, site):
        super().__init__(site)
        self.address = f"127.{random.randint(1, 254)}.{random.randint(0, 254)}.{os.getpid() % 250}"
        self.directory = self._path("etc")
        main = read_file(f"{self.directory}/main.cf").partition("abichecker_time_limit")[0]
        services = read_file(f"{self.directory}/master.cf").partition("pickup unix")
        write_file(f"{self.directory}/main.cf", main + RELAY)
        write_file(f"{self.directory}/master.cf",
                   f"{self.address}:25 inet n - n - - smtpd\n" + "".join(services[1:]))
        self.mx = self.submission = None
        self.settle()

    def settle(self):
        os.utime(f"{self.directory}/main.cf", (0, 0))

    def _listens(self, port):
        return subprocess.run(["postfix", "-c", self.directory, "status"],
                              capture_output=True).returncode == 0

    def reply(self, client):
        return self.deliver(client, port=25, host=self.address).recipients[0]


class Running(PostfixTest):

    def test_a_client_is_refused_and_then_no_more(self):
        site = self.cached_site()
        server = Server(site)
        self.addCleanup(server._terminate)
        server.start()
        before = {name: contents(f"{server.directory}/{name}") for name in ("main.cf", "master.cf")}

        def postfix(word):
            server.settle()
            done = subprocess.run(
                [testenv.program("abictl"), "-c", site.conf, "postfix", word, "--instance",
                 server.directory], capture_output=True, text=True, timeout=120)
            self.assertEqual((done.returncode, done.stderr), (OK, ""), done)
            self.assertIn("reload", done.stdout)
            server.settle()
        self.assertRegex(server.reply("9.9.9.9"), "^250")
        postfix("enable")
        wait_until(lambda: server.reply("9.9.9.9").startswith("521"), "the filter to refuse")
        self.assertRegex(server.reply("8.8.4.4"), "^250")
        postfix("disable")
        wait_until(lambda: server.reply("9.9.9.9").startswith("250"), "nobody to refuse")
        self.assertEqual({name: contents(f"{server.directory}/{name}") for name in before}, before)
        server.stop(self)


def _add_cases():
    """A test for each pair."""
    def pair_test(name):
        return lambda self: self.done[name].result()

    def refused_test(arguments):
        return lambda self: self.is_refused(*arguments)
    for name in Pairs.pairs():
        setattr(Pairs, f"test_{name.replace('-', '_')}", pair_test(name))
    for name, arguments in REFUSED.items():
        setattr(Refused, f"test_{name.replace('-', '_')}", refused_test(arguments))


_add_cases()


if __name__ == "__main__":
    unittest.main()
