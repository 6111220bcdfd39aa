#!/usr/bin/python3
"""The sample commands for accounts.command, with what a stranger may have put into a request.

    python3 tests/check_commands.py [-v] [Class.test ...]

Each runs as a copy in which only the paths at its top are others, of programs that write down how
they were called, and which waits for nothing.
"""
import email
import email.policy
import os
import re
import shutil
import subprocess
import tempfile
import unittest

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
COMMANDS = os.path.join(TOP, "contrib", "commands")
SHELLS = [shell for shell in ("dash", "bash", "busybox") if shutil.which(shell) and  # others than sh
          os.path.realpath(shutil.which(shell)) != os.path.realpath("/bin/sh")]

# Writes its arguments, a line each, and its standard input beside itself; ends as it is told.
STUB = """#!/bin/sh
printf '%s\\n' "$#" "$@" >>"$0.arguments"
[ "${0##*/}" = doveadm ] || cat >"$0.input"
status=0
[ ! -e "$0.$1.status" ] || read -r status <"$0.$1.status"
exit "$status"
"""
# As sudo -n PROGRAM
SUDO = """#!/bin/sh
printf '%s\\n' "$#" "$@" >>"$0.arguments"
shift
exec env -i "$@"
"""

HOSTILE = (b"$(id)", b"`id`", b"~!id", b"-f", b"--", b"-oQ/tmp/x", b"../../x", b"/etc/passwd",
           b"a b", b"a\tb", b"a\rb", b"\x01\x1b[2J\x7f", b"a;b", b"a'b\"c", b"a\\nb", b"%s%n", b"*",
           b"?", b"[a]", b"a:b", b"#a", b"ann@example.com:x", b"a<b>", b"a,b@example.com", b".",
           b"..", b"!ls", b"a|b", b"a&b", b"=?utf-8?q?=0aBcc:_x@example.net?=", b"a" * 100000)
GOOD = (b"ann@example.com", b"ann", b"Ann.O-Neil_2+tag=x@example.com",
        "jos\u00e9@ex\u00e4mple.com".encode(), "\u0430\u043d\u043d\u0430".encode())


class Commands(unittest.TestCase):
    """A directory with copies of the samples and stubs of what they start."""

    maxDiff = None

    def setUp(self):
        self.directory = tempfile.mkdtemp(prefix="abichecker-commands.")
        self.addCleanup(shutil.rmtree, self.directory)
        self.locked = self.path("locked-accounts")
        self.put("locked-accounts", b"")
        for name in "sendmail", "doveadm":
            self.put(name, STUB.encode(), 0o755)
        self.put("sudo", SUDO.encode(), 0o755)
        self.samples = sorted(os.listdir(COMMANDS))
        for name in self.samples:
            with open(os.path.join(COMMANDS, name), encoding="ascii") as file:
                text = file.read()
            for variable, path in (("SENDMAIL", "sendmail"), ("DOVEADM", "doveadm"),
                                   ("SUDO", "sudo"), ("LOCK", "lock-account-root"),
                                   ("FILE", "locked-accounts")):
                text = re.sub(rf"(?m)^{variable}=/.*$", f"{variable}={self.path(path)}", text)
            text = re.sub(r"(?m)^WAIT=\S+", "WAIT=0", text)
            self.put(name, text.encode(), 0o755)

    def path(self, name):
        return os.path.join(self.directory, name)

    def put(self, name, data, mode=0o644):
        with open(self.path(name), "wb") as file:
            file.write(data)
        os.chmod(self.path(name), mode)

    def get(self, name):
        try:
            with open(self.path(name), "rb") as file:
                return file.read()
        except FileNotFoundError:
            return None

    def run_sample(self, name, environment, shell=None, data=b"", arguments=()):
        """Runs it as abictl would, or by another shell."""
        command = [self.path(name), *arguments]
        if shell:
            command = [shell, *(["sh"] if shell == "busybox" else []), *command]
        return subprocess.run(
            command, input=data, capture_output=True, cwd="/", timeout=100, check=False,
            env={b"PATH": b"/usr/sbin:/usr/bin:/sbin:/bin", **{
                key.encode(): value for key, value in environment.items()}})

    def calls(self, stub):
        """How a stub was called: a list of arguments each."""
        lines, calls = (self.get(f"{stub}.arguments") or b"").split(b"\n")[:-1], []
        while lines:
            count = int(lines[0])
            calls.append(lines[1:1 + count])
            lines = lines[1 + count:]
        return calls

    def forget(self):
        for name in os.listdir(self.directory):
            if name.endswith((".arguments", ".input")):
                os.unlink(self.path(name))
        self.put("locked-accounts", b"")


class Report(Commands):
    """report-account"""

    def mail(self, environment, shell=None):
        self.forget()
        result = self.run_sample("report-account", environment, shell)
        self.assertEqual((result.returncode, result.stdout, result.stderr), (0, b"", b""))
        self.assertEqual(self.calls("sendmail"),
                         [[b"-i", b"-f", b"postmaster", b"--", b"postmaster"]])
        return self.get("sendmail.input")

    def body(self, mail):
        return mail.split(b"\n\n", 1)[1]

    def test_what_is_known_is_in_the_mail(self):
        mail = self.mail({
            "sasl_username": b"ann@example.com", "check": b"authbl", "client_address": b"192.0.2.1",
            "reason": b"192.0.2.1 is listed on authbl.example (127.0.0.4)", "helo_name": b"pc",
            "client_name": b"unknown", "sender": b"a@example.com", "recipient": b"b@example.net",
            "sasl_sender": b"", "size": b"0"})
        message = email.message_from_bytes(mail, policy=email.policy.default)
        self.assertEqual(message["Subject"], "compromised account ann@example.com")
        self.assertEqual(message["To"], "postmaster")
        self.assertEqual(message["From"], "abichecker <postmaster>")
        self.assertEqual(message["Auto-Submitted"], "auto-generated")
        lines = [line.split(None, 1) for line in message.get_content().splitlines()]
        facts = dict(lines)
        self.assertEqual(facts["account:"], "ann@example.com")
        self.assertEqual(facts["found-by:"], "authbl")
        self.assertEqual(facts["reason:"], "192.0.2.1 is listed on authbl.example (127.0.0.4)")
        self.assertEqual(facts["client-address:"], "192.0.2.1")
        self.assertEqual(facts["helo:"], "pc")
        self.assertEqual(facts["recipient:"], "b@example.net")
        self.assertRegex(facts["time:"], r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC$")
        self.assertNotIn("sasl-sender:", facts)  # there is none

    def test_eight_bit_values_arrive_as_they_are(self):
        name = GOOD[3]
        mail = self.mail({"sasl_username": name, "sender": b"\xff\xfe raw"})
        message = email.message_from_bytes(mail, policy=email.policy.default)
        self.assertEqual(message["Content-Type"], 'text/plain; charset="UTF-8"')
        self.assertEqual(message["Content-Transfer-Encoding"], "8bit")
        self.assertIn(b"account:             " + name + b"\n", mail)
        self.assertIn(b"sender:              \xff\xfe raw\n", mail)
        self.assertTrue(mail.split(b"\n\n")[0].isascii())

    def check(self, mail, value):
        header, body = mail.split(b"\n\n", 1)
        self.assertEqual([line.split(b":")[0] for line in header.split(b"\n")],
                         [b"From", b"To", b"Subject", b"Auto-Submitted", b"MIME-Version",
                          b"Content-Type", b"Content-Transfer-Encoding"], value[:50])
        self.assertNotIn(b"=?", header)
        for line in body.split(b"\n")[:-1]:
            self.assertRegex(line, rb"\A[a-z-]+: +[^\x00-\x1f\x7f]+\Z", value[:50])
            self.assertLess(len(line), 998)
        self.assertTrue(mail.endswith(b"\n"))
        self.assertNotIn(b"uid=", mail)

    def test_hostile_values_are_only_data(self):
        for shell in None, *SHELLS:
            for value in (*HOSTILE, b"a\nBcc: x@example.net", b"\n~!id", b"\n.\n", b"a\n\nb"):
                names = ("sasl_username", "client_name", "helo_name", "sender", "recipient",
                         "reason", "check", "client_address", "instance")
                if len(value) > 50000:
                    names = names[:4]  # an environment has its limits
                mail = self.mail(dict.fromkeys(names, value), shell)
                self.check(mail, value)
                plain = re.sub(rb"[\x00-\x1f\x7f]", b"?", value)[:800]
                self.assertIn(b"\naccount:             " + plain + b"\n", b"\n" + self.body(mail))

    def test_variables_that_are_not_there_do_no_harm(self):
        self.check(self.mail({"sasl_username": b"ann"}), b"")

    def test_without_an_account_nothing_is_sent(self):
        for environment in {}, {"sasl_username": b""}:
            result = self.run_sample("report-account", environment)
            self.assertEqual(result.returncode, 64)
            self.assertIn(b"no account", result.stderr)
        self.assertEqual(self.calls("sendmail"), [])

    def test_the_status_is_that_of_sendmail(self):
        self.put("sendmail.-i.status", b"75\n")
        result = self.run_sample("report-account", {"sasl_username": b"ann"})
        self.assertEqual(result.returncode, 75)


class Lock(Commands):
    """lock-account and lock-account-root"""

    def lock(self, name, shell=None):
        self.forget()
        return self.run_sample("lock-account", {"sasl_username": name}, shell)

    def test_an_account_is_locked_and_disconnected(self):
        for shell in None, *SHELLS:
            for name in GOOD:
                result = self.lock(name, shell)
                self.assertEqual((result.returncode, result.stderr), (0, b""), name)
                self.assertEqual(self.get("locked-accounts"), name + b"\n")
                self.assertEqual(self.calls("doveadm"), [[b"auth", b"cache", b"flush", name],
                                                         [b"kick", name]])
                self.assertEqual(self.calls("sudo"),
                                 [[b"-n", self.path("lock-account-root").encode()]])

    def test_hostile_names_lock_nobody(self):
        for shell in None, *SHELLS:
            for name in (*HOSTILE, b"", b" ", b"a\nann@example.com", b"ann@example.com\na"):
                result = self.lock(name, shell)
                self.assertIn(result.returncode, (64, 65), name[:50])
                self.assertIn(b"lock-account-root: ", result.stderr)
                self.assertEqual(self.get("locked-accounts"), b"", name[:50])
                self.assertEqual(self.calls("doveadm"), [], name[:50])
                self.assertNotIn(b"uid=", result.stdout + result.stderr)

    def test_a_name_of_255_bytes_is_the_longest(self):
        self.assertEqual(self.lock(b"a" * 255).returncode, 0)
        self.assertEqual(self.lock(b"a" * 256).returncode, 65)

    def test_the_file_keeps_what_is_in_it(self):
        self.put("locked-accounts", b"# by hand\nbob@example.com\nann@example.org")
        for name in b"ann@example.com", b"bob@example.com", b"ann@example.com", b"annXexample.com":
            result = self.run_sample("lock-account", {"sasl_username": name})
            self.assertEqual(result.returncode, 0, name)
        self.assertEqual(self.get("locked-accounts"),
                         b"# by hand\nbob@example.com\nann@example.org\nann@example.com\n"
                         b"annXexample.com\n")

    def test_a_dot_in_a_name_is_no_pattern(self):
        self.put("locked-accounts", b"annXexample.com\nann.example.com.net\n")
        self.run_sample("lock-account", {"sasl_username": b"ann.example.com"})
        self.assertTrue(self.get("locked-accounts").endswith(b"\nann.example.com\n"))

    def test_nobody_is_connected(self):
        self.put("doveadm.kick.status", b"68\n")
        self.assertEqual(self.lock(b"ann").returncode, 0)

    def test_doveadm_fails(self):
        for command in "auth", "kick":
            self.put(f"doveadm.{command}.status", b"75\n")
            result = self.lock(b"ann")
            self.assertEqual(result.returncode, 69, command)
            self.assertIn(b"ann is locked, but", result.stderr)
            self.assertEqual(len(self.calls("doveadm")), 2, command)  # the other one is not left out
            os.unlink(self.path(f"doveadm.{command}.status"))

    def test_no_file_is_made_and_no_link_followed(self):
        os.rename(self.locked, self.path("elsewhere"))
        for prepare in (lambda: None, lambda: os.symlink(self.path("elsewhere"), self.locked)):
            prepare()
            result = self.run_sample("lock-account", {"sasl_username": b"ann"})
            self.assertEqual(result.returncode, 72)
            self.assertEqual(self.get("elsewhere"), b"")
        self.assertEqual(self.calls("doveadm"), [])

    def test_root_takes_no_argument(self):
        result = self.run_sample("lock-account-root", {}, data=b"ann\n", arguments=("ann",))
        self.assertEqual(result.returncode, 64)
        self.assertEqual(self.get("locked-accounts"), b"")


class Samples(Commands):
    """What all of them have in common."""

    def test_they_can_be_started_and_read_no_other_variable(self):
        self.assertEqual(self.samples, ["lock-account", "lock-account-root", "report-account"])
        with open(os.path.join(TOP, "filter", "request.h"), encoding="utf-8") as file:
            known = set(re.findall(r"\bX\((\w+)\)", file.read()))
        self.assertIn("sasl_username", known)
        for name in self.samples:
            path = os.path.join(COMMANDS, name)
            self.assertTrue(os.access(path, os.X_OK), name)
            with open(path, encoding="ascii") as file:
                text = file.read()
            self.assertTrue(text.startswith("#!/bin/sh\n"), name)
            self.assertEqual(set(re.findall(r"\$\{(\w+)-\}", text)) - known - {"check", "reason"},
                             set(), name)

    def test_shellcheck_has_nothing_to_say(self):
        if not shutil.which("shellcheck"):
            self.skipTest("shellcheck is not installed")
        result = subprocess.run(["shellcheck", "-s", "sh", *(
            os.path.join(COMMANDS, name) for name in self.samples)], capture_output=True, text=True,
            check=False)
        self.assertEqual(result.stdout + result.stderr, "")


if __name__ == "__main__":
    unittest.main()
