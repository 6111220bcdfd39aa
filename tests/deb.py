#!/usr/bin/python3
"""The Debian package: built, looked at and tried on a mail server of this release; started by
tests/systems in a fresh root (tests/in-root) with the packages of setup.sh's mail-host.

Each line is a case. Printed besides: how many commands and how long from nothing to the first
refusal, and what is left after each step. The last line is `N passed, N failed, N skipped`.
"""
import contextlib
import glob
import hashlib
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import time
import traceback

sys.dont_write_bytecode = True
TESTS = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(TESTS, "lib"), TESTS]

import document  # noqa: E402
import mailhost  # noqa: E402
from mailhost import BAD, CONF, HOME, KEY, USER, run  # noqa: E402
from walk import DOCUMENTS  # noqa: E402

BUILDS = "/srv/build"
PREVIOUS = "0.1.9"
ENVIRONMENT = dict(os.environ, DEBIAN_FRONTEND="noninteractive", LC_ALL="C.UTF-8")
APT = ("apt-get", "-q", "-y", "--no-install-recommends")
ENABLE = "sudo abictl postfix enable mx submission\n"
STORE, ACCOUNT = "/var/lib/abichecker/abichecker.db", "carol@example.com"
TRAVELS = ("175.16.199.1", "202.196.224.1", "67.43.156.1", "216.160.83.56", "2.125.160.216")
# What may be left, by the places that matter
PLACES = ("/usr/sbin/abichecker", "/usr/sbin/abictl", "/usr/share/man/man8/abictl.8.gz",
          "/etc/abichecker/abichecker.conf", "/etc/abichecker/whitelist.txt",
          "/etc/cron.d/abichecker", "/etc/logrotate.d/abichecker", "/var/cache/abichecker",
          "/var/lib/abichecker", STORE, "user abichecker", "in main.cf", "in master.cf")


class Failure(Exception):
    pass


class Cases:
    def __init__(self):
        self.passed = self.failed = 0

    @contextlib.contextmanager
    def case(self, name):
        begun = time.monotonic()
        try:
            yield
        except Exception:
            self.failed += 1
            print(f"FAIL  {name}\n{traceback.format_exc()}")
        else:
            self.passed += 1
            print(f"ok    {name} ({time.monotonic() - begun:.1f} s)")
        sys.stdout.flush()


def command(*words, cwd=None, status=0, **keywords):
    """Its output; raises Failure when it ends with another status."""
    done = subprocess.run(words, cwd=cwd, env=ENVIRONMENT, text=True, errors="replace",
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, check=False, **keywords)
    if done.returncode != status:
        raise Failure(f"{' '.join(words)}: status {done.returncode}\n{done.stdout[-4000:]}")
    return done.stdout


def must(condition, text=""):
    if not condition:
        raise Failure(text)


# Building

def tree(name):
    """A copy of the sources, of its own."""
    path = f"{BUILDS}/{name}"
    shutil.copytree("/src", path)
    return path


def packages(path):
    return sorted(glob.glob(f"{path}/build/deb/*.deb"))


def package(path):
    return next(name for name in packages(path) if "dbgsym" not in name)


def hashes(path):
    return {os.path.basename(name): hashlib.sha256(open(name, "rb").read()).hexdigest()
            for name in packages(path)}


def change(path, *pairs):
    text = mailhost.read_all(path)
    for old, new in pairs:
        must(old in text, f"{path}: no {old}")
        text = text.replace(old, new, 1)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def documented():
    """The commands of docs/install.md: packages, what the package needs, make, install."""
    return next(item.text for item in document.read_all(DOCUMENTS)
                if item.section == "As a Debian package" and item.language == "sh").splitlines()


def build(cases):
    """Everything that needs neither mail server nor a network of its own."""
    one, two = tree("one"), tree("two/deeper")
    with cases.case("what building needs is what debian/control says"):
        command(*APT, "install", "lintian")
        for line in documented()[:2]:
            command(*line.removeprefix("sudo ").split(), cwd=one)
    with cases.case("two builds in two directories are the same byte for byte"):
        for path in (one, two):
            command(*documented()[2].split(), cwd=path)
        must(len(hashes(one)) == 2 and hashes(one) == hashes(two), f"{hashes(one)} {hashes(two)}")
    with cases.case("lintian has neither errors nor warnings"):
        said = command("lintian", "--allow-root", "--fail-on", "error,warning",
                       *glob.glob(f"{one}/build/deb/*.changes"))
        must(not re.search(r"^[EW]:", said, re.MULTILINE), said)
    previous = tree("previous")
    with cases.case(f"a package of before, {PREVIOUS}"):
        version = re.search(r"\((\S+)\)", mailhost.read_all(f"{one}/debian/changelog"))[1]
        change(f"{previous}/debian/changelog", (f"({version})", f"({PREVIOUS})"))
        change(f"{previous}/Makefile", (version, PREVIOUS))
        change(f"{previous}/abichecker.conf.example", ("\n", "\n# A line of before.\n"))
        command("make", "deb", cwd=previous)
    other_builds(cases, tree("plain"))
    return package(previous), package(one)


def other_builds(cases, path):
    """As packagers elsewhere call make."""
    with cases.case("their CFLAGS and CPPFLAGS count, and nothing warns"):
        flags = dict(ENVIRONMENT, CFLAGS="-O1 -g1", CPPFLAGS="-D_FORTIFY_SOURCE=3", CC="cc")
        done = subprocess.run(["make", "V=1", "WERROR=1"], cwd=path, env=flags, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        must(done.returncode == 0, done.stdout[-3000:])
        must(re.search(r"^cc .*-D_FORTIFY_SOURCE=3 -O1 -g1", done.stdout, re.MULTILINE),
             done.stdout[:1000])
        must("-D_FORTIFY_SOURCE=2" not in done.stdout)
    with cases.case("STATIC=1 needs no library, and refuses a store on a server"):
        said = command("make", "STATIC=1", "WERROR=1", cwd=path)
        must(not [line for line in said.splitlines() if "warning" in line and
                  "in statically linked applications" not in line], said)
        must("statically linked" in command("ldd", "./abichecker", cwd=path))
        answer = subprocess.run(
            ["./abichecker", "-o", f"store.url=sqlite:{path}/x.db"], cwd=path, check=True,
            input="request=smtpd_access_policy\nclient_address=192.0.2.1\n\n", text=True,
            capture_output=True).stdout
        must(answer == "action=DUNNO\n\n", answer)
        said = command("./abictl", "-o", "store.url=postgresql://db/x", "config", "-n", cwd=path,
                       status=78)
        must("is built without that kind of store" in said, said)


# On a mail server

def left():
    """What there is of us, by place."""
    def there(place):
        if place.startswith("user "):
            return subprocess.run(["id", place[5:]], capture_output=True,
                                  check=False).returncode == 0
        if place.startswith("in "):
            return "abichecker" in mailhost.read_all(f"/etc/postfix/{place[3:]}")
        return os.path.lexists(place)
    return {place for place in PLACES if there(place)}


def table(steps):
    width = max(map(len, PLACES))
    print(f"\n{'':<{width}}  " + "  ".join(steps))
    for place in PLACES:
        print(f"{place:<{width}}  " + "  ".join(
            f"{'yes' if place in found else '-':<{len(step)}}" for step, found in steps.items()))
    print()


def refused(host, address, text, user=None):
    """This one is, with such a text."""
    try:
        if user:
            host.submit(address, user)
        else:
            host.receive(address)
    except mailhost.Refused as error:
        must(text in str(error), str(error))
        return
    raise Failure(f"{address} was not refused")


def logins():
    with contextlib.closing(sqlite3.connect(STORE)) as database:
        return database.execute("SELECT sum(login_count) FROM postfwd_logins").fetchone()[0]


def first_refusal(host, cases, begun, commands):
    with cases.case("a bad client is refused by the real Postfix"):
        output = host.type("sudo ${EDITOR:-vi} /etc/abichecker/abichecker.conf\n", edit={
            "reputation.token": KEY})
        must(output.status == 0, output.text)
        host.configure(reputation__url=host.api.url)  # the stand-in
        output = host.type(ENABLE)
        must(output.status == 0, output.text)
        refused(host, BAD, "Bad host reputation")
        host.ordinary_mail()
    print(f"from nothing to the first refusal: {commands + 2} commands, "
          f"{time.monotonic() - begun:.0f} s from the installation on")


def account_is_stopped(host, cases):
    with cases.case("an account with logins from too many countries is stopped"):
        host.configure(geocount__database="/var/lib/systems/places.mmdb")
        run("postfix", "reload")
        for address in (*TRAVELS, HOME):  # the sixth passes: once an hour one does
            host.submit(address)
        refused(host, mailhost.OUTSIDE, "", USER)
        host.submit(user="dave@example.com")


def postfix_files():
    return {name: mailhost.read_all(f"/etc/postfix/{name}") for name in ("main.cf", "master.cf")}


def life(cases, begun, previous, new):
    """On a server with mail: used, upgraded, removed, purged. The package of before is installed."""
    host = mailhost.MailHost("debian")
    host.start()
    try:
        before, steps = postfix_files(), {"install": left()}
        host.ordinary_mail()
        first_refusal(host, cases, begun, len(documented()))
        account_is_stopped(host, cases)
        host.seen = len(mailhost.log_text())
        steps["used"] = left()
        with cases.case("an upgrade keeps configuration, mode, data and mail"):
            run("abictl", "accounts", "add", ACCOUNT)
            counted, text, status = logins(), mailhost.read_all(CONF), os.stat(CONF)
            must(status.st_mode & 0o777 == 0o640 and status.st_gid == os.stat(
                "/var/lib/abichecker").st_gid, oct(status.st_mode))
            said = command("dpkg", "--force-confold", "--install", new)
            must("abichecker" in said)
            must("(0.2" in said or new.split("_")[1] in command("abictl", "--version"), said)
            now = os.stat(CONF)
            must(mailhost.read_all(CONF) == text and
                 (now.st_mode, now.st_gid) == (status.st_mode, status.st_gid), "configuration")
            must(logins() == counted > 0, f"{logins()} {counted}")
            must(ACCOUNT in run("abictl", "accounts", "list"))
            refused(host, BAD, "Bad host reputation")
            host.receive()
            host.look_at_log()
        steps["upgrade"] = left()
        with cases.case("remove: Postfix is as it was, mail flows, data stay"):
            command("dpkg", "--remove", "abichecker")
            must(postfix_files() == before, "main.cf or master.cf differ")
            must(logins() == counted, f"{logins()} {counted}")
            host.receive(BAD)
            host.submit()
            host.look_at_log()
        steps["remove"] = left()
        with cases.case("purge: nothing but the user stays"):
            command("dpkg", "--purge", "abichecker")
            must(left() == {"user abichecker"}, str(left()))
            host.ordinary_mail()
        steps["purge"] = left()
        table(steps)
    finally:
        host.stop()


def main(arguments):
    cases = Cases()
    if arguments[:1] == ["--inside"]:
        life(cases, time.monotonic() - float(arguments[1]), *arguments[2:])
        print(f"inside {cases.passed} {cases.failed}")
        return 0
    import systems
    systems.prepare()
    os.makedirs(f"{BUILDS}/two")
    previous, new = build(cases)
    begun, taken = time.monotonic(), 0
    with cases.case("apt installs it, and its demo runs"):
        must(documented()[3] == "sudo apt install ./build/deb/abichecker_*.deb")
        command(*APT, "install", previous)
        taken = time.monotonic() - begun
        must("abichecker-clean.timer" in os.listdir("/etc/systemd/system/timers.target.wants"))
        must(len(glob.glob("/etc/systemd/system/*.wants/abichecker*")) == 1)
        print(command("debian/tests/demo", cwd=f"{BUILDS}/one")[-2500:])
    done = subprocess.run(["unshare", "--net", "--uts", sys.executable, __file__, "--inside",
                           str(taken), previous, new], stdin=subprocess.DEVNULL, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    inside = re.search(r"^inside (\d+) (\d+)\n\Z", done.stdout, re.MULTILINE)
    print(done.stdout[:inside.start()] if inside else done.stdout)
    passed, failed = map(int, inside.groups() if inside else (0, 1))
    passed, failed = passed + cases.passed, failed + cases.failed
    print(f"{passed} passed, {failed} failed, 0 skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
