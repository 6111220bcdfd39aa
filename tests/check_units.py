#!/usr/bin/python3
"""The systemd units: systemd takes them, they are closed enough, the Makefile installs them all,
and what they run is a command that exists.

    python3 tests/check_units.py [-v] [Class.test ...]
"""
import glob
import os
import re
import shutil
import subprocess
import tempfile
import unittest

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.environ.get("ABICHECKER_BUILD") or TOP
UNITS = sorted(os.path.basename(path) for path in glob.glob(f"{TOP}/contrib/systemd/abichecker-*"))
SERVICES = [name for name in UNITS if name.endswith(".service")]

# Times ten, as systemd-analyze has it: 0 is closed, 100 is open to everything.
EXPOSURE, EXPOSURE_WITH_MAP = 20, 30


def read(path):
    with open(os.path.join(TOP, path), encoding="utf-8") as file:
        return file.read()


def settings(text):
    """Pairs of name and value, in their order."""
    return re.findall(r"^(\w+)=(.*)$", text, re.MULTILINE)


class Units(unittest.TestCase):
    """What is in the files."""

    def test_the_makefile_has_all_of_them(self):
        listed = re.search(r"^UNITS_SYSTEMD = (.*)$", read("Makefile").replace("\\\n", ""),
                           re.MULTILINE)[1]
        self.assertEqual(sorted(listed.split()), UNITS)
        self.assertEqual(sorted(os.listdir(f"{TOP}/contrib/systemd")),
                         sorted([*UNITS, "map.conf", "sysusers.conf", "tmpfiles.conf"]))

    def test_what_they_run_is_a_command_with_such_options(self):
        for name in SERVICES:
            (command,) = (value for key, value in settings(read(f"contrib/systemd/{name}"))
                          if key == "ExecStart")
            program, *words = command.split()
            self.assertEqual(program, "/usr/local/sbin/abictl")
            names = [word for word in words if word[0] != "-"]
            usage = subprocess.run([os.path.join(BUILD, "abictl"), "help", *names],
                                   capture_output=True, text=True, check=True).stdout
            self.assertTrue(usage.startswith("abictl " + " ".join(names)), usage)
            for option in set(words) - set(names):
                self.assertIn(f"[{option}]", usage)

    def test_both_services_are_closed_alike(self):
        scan, follow = (settings(read(f"contrib/systemd/abichecker-{name}.service"))
                        for name in ("scan", "follow"))
        differ = {"Description", "ExecStart", "Type", "TimeoutStartSec", "Restart", "RestartSec",
                  "StartLimitIntervalSec", "WantedBy"}
        self.assertEqual([pair for pair in scan if pair[0] not in differ],
                         [pair for pair in follow if pair[0] not in differ])
        self.assertIn(("CapabilityBoundingSet", ""), scan)

    def test_a_failed_scan_does_not_end_the_timer(self):
        timer = dict(settings(read("contrib/systemd/abichecker-scan.timer")))
        self.assertEqual(timer["OnUnitInactiveSec"], "90s")
        self.assertIn("OnActiveSec", timer)  # or it never begins


class Systemd(unittest.TestCase):
    """What systemd says to them."""

    def setUp(self):
        if not shutil.which("systemd-analyze"):
            self.skipTest("systemd-analyze is not installed")
        self.directory = tempfile.mkdtemp(prefix="abichecker-units.")
        self.addCleanup(shutil.rmtree, self.directory)
        for name in UNITS:
            self.put(name, read(f"contrib/systemd/{name}"))

    def put(self, name, text):
        path = os.path.join(self.directory, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text.replace("/usr/local/sbin", os.path.abspath(BUILD)))

    def with_map(self):
        for name in SERVICES:
            self.put(f"{name}.d/map.conf", read("contrib/systemd/map.conf"))

    def analyze(self, *arguments):
        """Exit status and output, about the units in our directory."""
        result = subprocess.run(
            ["systemd-analyze", *arguments], cwd=self.directory, stdin=subprocess.DEVNULL,
            env={**os.environ, "SYSTEMD_UNIT_PATH": f"{self.directory}:"},
            capture_output=True, text=True, check=False)
        return result.returncode, result.stdout + result.stderr

    def verify(self):
        return self.analyze("verify", "--man=no", *(f"./{name}" for name in UNITS))

    def exposure(self, name):
        _, text = self.analyze("security", "--offline=yes", f"./{name}")
        found = re.search(r"Overall exposure level for \S+: (\d+)\.(\d)", text)
        if not found:
            self.skipTest(f"systemd-analyze security: {text.strip()[-80:]}")
        return int(found[1] + found[2])

    def test_it_takes_them(self):
        self.assertEqual(self.verify(), (0, ""))

    def test_it_takes_them_with_the_part_for_a_map(self):
        self.with_map()
        self.assertEqual(self.verify(), (0, ""))
        # with the last lines too, which are an example
        for name in SERVICES:
            self.put(f"{name}.d/map.conf", re.sub(r"^#(?=\w+=)", "", read("contrib/systemd/map.conf"),
                                                  flags=re.MULTILINE))
        self.assertEqual(self.verify(), (0, ""))

    def test_it_would_tell(self):
        self.put(SERVICES[0], read(f"contrib/systemd/{SERVICES[0]}").replace("UMask=0027", "UMaks=0027"))
        self.assertIn("UMaks", self.verify()[1])

    def test_they_are_closed_enough(self):
        for name in SERVICES:
            self.assertLessEqual(self.exposure(name), EXPOSURE, name)
        before = self.exposure(SERVICES[0])
        self.with_map()
        for name in SERVICES:
            self.assertLessEqual(self.exposure(name), EXPOSURE_WITH_MAP, name)
        self.assertGreater(self.exposure(SERVICES[0]), before)  # it was read at all


class Install(unittest.TestCase):
    """What `make install` makes of them."""

    def make(self, target, directory):
        # Nothing here is compiled in, so nothing is built anew.
        return subprocess.run(
            ["make", "-s", target, f"DESTDIR={directory}", "PREFIX=/opt/x",
             "INSTALL_USER=nobody", f"SAN={os.environ.get('SAN', '')}"], cwd=TOP,
            stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True).stdout

    def test_they_lead_to_what_was_installed(self):
        directory = tempfile.mkdtemp(prefix="abichecker-install.")
        self.addCleanup(shutil.rmtree, directory)
        os.chmod(directory, 0o755)
        self.make("install", directory)
        place = f"{directory}/opt/x/lib/systemd/system"
        self.assertEqual(sorted(os.listdir(place)), UNITS)
        for name in SERVICES:
            with open(os.path.join(place, name), encoding="utf-8") as file:
                unit = settings(file.read())
            program = dict(unit)["ExecStart"].split()[0]
            self.assertEqual(program, "/opt/x/sbin/abictl")
            self.assertTrue(os.access(directory + program, os.X_OK))
            self.assertIn(("User", "nobody"), unit)
            for path in dict(unit)["ReadWritePaths"].split():
                self.assertTrue(os.path.isdir(directory + path.lstrip("-")), path)
        self.assertTrue(os.path.exists(f"{directory}/opt/x/share/abichecker/map.conf"))
        self.make("uninstall", directory)
        self.assertEqual(os.listdir(place), [])
        self.assertFalse(os.path.exists(f"{directory}/opt/x/share/abichecker"))


if __name__ == "__main__":
    unittest.main()
