"""A mail server as its administrator has it, in a root of its own (tests/in-root): Debian's Postfix
with a submission service, Dovecot's authentication, rsyslog, and a user with sudo.

What it asks of others is played on loopback: DNS on port 53, AbuseIPDB by apistub.py. In its
network every address is this host, so that clients come from where they like, and nothing leaves: mail to
the outside is discarded."""
import collections
import contextlib
import glob
import os
import re
import shutil
import smtplib
import ssl
import subprocess
import tempfile
import time

import apistub
import confedit
import dnsstub
import mmdb

LIB = os.path.dirname(os.path.abspath(__file__))
STANDINS = os.path.join(LIB, "standins")
CONF = "/etc/abichecker/abichecker.conf"
LOG = "/var/log/mail.log"
READER = "reader"  # who types what the document says
SOURCE = f"/home/{READER}/abichecker"
DOMAIN = "example.com"
USER, PASSWORD = f"ann@{DOMAIN}", "secret"
ELSEWHERE = "bob@example.net"
SERVER = "192.0.2.25"
HOME, OUTSIDE = "81.2.69.142", "89.160.20.112"  # of the user, and of somebody with mail for her
BAD = "8.8.8.8"  # AbuseIPDB knows it
PLACES = {"81.2.69.0/24": "GB", "89.160.20.0/24": "SE", "8.8.8.0/24": "US", "175.16.199.0/24": "CN",
          "202.196.224.0/24": "PH", "67.43.156.0/24": "BT", "216.160.83.0/24": "CA",
          "2.125.160.0/24": "FR"}
KEY = "0123456789abcdef0123456789abcdef"  # of AbuseIPDB and of DNS lists
COMMAND_LIMIT = 120  # seconds
SMTP_LIMIT = 30

# The submission service: as Debian's master.cf has it behind comments, whole or only as far as it
# has to be said, and as it was in Postfix before 3.4
SUBMISSION = "submission inet n - y - - smtpd\n"
LOGIN = ("  -o syslog_name=postfix/submission\n  -o smtpd_tls_security_level=encrypt\n"
         "  -o smtpd_sasl_auth_enable=yes\n")
MUA = "".join(f"  -o smtpd_{kind}_restrictions=$mua_{kind}_restrictions\n"
              for kind in ("client", "helo", "sender"))
OLDER = (f"{SUBMISSION}{LOGIN}{MUA}  -o smtpd_recipient_restrictions=\n"
         "  -o smtpd_relay_restrictions=permit_sasl_authenticated,reject\n")

DOVECOT = {
    "2.3": "passdb {\n  driver = static\n  args = password=%s\n}\n",
    "2.4": "dovecot_config_version = 2.4.0\ndovecot_storage_version = 2.4.0\n"
           "passdb static {\n  password = %s\n}\n",
}
DOVECOT_COMMON = """\
protocols =
ssl = no
service auth {
  unix_listener /var/spool/postfix/private/auth {
    mode = 0660
    user = postfix
    group = postfix
  }
}
"""

# Lines that mean that the filter, or the way to it, is broken, though mail flows
TROUBLE = re.compile(r"exit status|killed by signal|problem talking to server|"
                     r"postfix/(\w+/)*(smtpd|spawn|master)\[\d+\]: (warning|fatal|panic|error): ")
NO_TROUBLE = re.compile(r"SASL (PLAIN|LOGIN) authentication failed|"
                        r"hostname \S+ does not resolve to address")

Output = collections.namedtuple("Output", "status text")


class Refused(AssertionError):
    """A mail that had to be accepted, or a line in the log that must not be there."""


def debian_submission():
    """The lines of Debian's own master.cf, without their comment signs."""
    with open("/usr/share/postfix/master.cf.dist", encoding="utf-8") as file:
        lines = iter(file.read().splitlines())
    text = next(line for line in lines if line.startswith("#submission inet"))[1:] + "\n"
    for line in lines:
        if not line.startswith(("#  -o", "#     ")):
            return text
        text += f"{line[1:]}\n" if line.startswith("#  -o") else ""
    raise ValueError("no end of the submission service")


FORMS = {
    "plain": lambda: f"{SUBMISSION}{LOGIN}",
    "debian": debian_submission,
    "older": lambda: OLDER,
}


def output_of(command, **keywords):
    """Its Output, when it has ended itself: what it leaves running may keep the output open."""
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as output:
        try:
            status = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=output,
                                    stderr=subprocess.STDOUT, timeout=COMMAND_LIMIT, check=False,
                                    **keywords).returncode
        except subprocess.TimeoutExpired:
            status = "none: it did not end"
        output.seek(0)
        return Output(status, output.read())


def run(*command, **keywords):
    """A command of the test itself, which must not fail; its output."""
    output = output_of(command, **keywords)
    if output.status != 0:
        raise RuntimeError(f"{' '.join(command)}: status {output.status}\n{output.text}")
    return output.text


def put(path, text, mode=0o644):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    os.chmod(path, mode)


class MailHost:
    def __init__(self, form):
        self.form = form
        self.dns = dnsstub.DnsStub(port=53)
        self.api = apistub.ApiStub()
        self.sent = self.seen = 0  # mails for the user; bytes of the log

    # What a system has when it is up

    def start(self):
        self._network()
        self._programs()
        self._dovecot()
        self._postfix()
        self.dns.start()
        self.api.answers[BAD] = apistub.score(100)
        self.api.start()
        for zone in ("authbl.mail.abusix.zone=127.0.0.4", "authbl.dq.spamhaus.net=127.0.0.20"):
            name, _, answer = zone.partition("=")
            self.dns.answers[f"2.0.0.127.{KEY}.{name}"] = dnsstub.a(answer)
        self.dns.answers["2.0.0.127.auth.spamrats.com"] = dnsstub.a("127.0.0.43")
        run("rsyslogd")
        run("postfix", "start")  # makes the directory of Dovecot's socket
        run("dovecot")
        self._wait_for_submission()

    @staticmethod
    def _network():
        run("hostname", f"mx.{DOMAIN}")
        put("/etc/hosts", f"127.0.0.1 localhost\n{SERVER} mx.{DOMAIN} mx\n")
        put("/etc/resolv.conf", "nameserver 127.0.0.1\n")
        run("ip", "link", "set", "lo", "up")
        run("ip", "address", "add", f"{SERVER}/32", "dev", "lo")
        run("ip", "route", "add", "local", "0.0.0.0/0", "dev", "lo")

    @staticmethod
    def _programs():
        """The stand-ins, and what a boot would do."""
        for name in ("systemctl", "journalctl"):
            shutil.copy(os.path.join(STANDINS, name), "/usr/local/bin")
        os.makedirs("/var/lib/systems", exist_ok=True)
        mmdb.write("/var/lib/systems/places.mmdb", PLACES)
        with open("/etc/rsyslog.conf", encoding="utf-8") as file:
            text = file.read()
        put("/etc/rsyslog.conf", text.replace('module(load="imklog")', ""))  # the machine's kernel
        for name, owner in (("postgresql", "postgres"), ("redis", "redis"), ("systemctl", "root")):
            os.makedirs(f"/run/{name}", exist_ok=True)
            shutil.chown(f"/run/{name}", owner, owner)

    @staticmethod
    def _dovecot():
        version = ".".join(run("dovecot", "--version").split()[0].split(".")[:2])
        put("/etc/dovecot/dovecot.conf", DOVECOT[version] % PASSWORD + DOVECOT_COMMON)

    def _postfix(self):
        run("postconf", "-e", "inet_interfaces=all", "inet_protocols=ipv4", f"myhostname=mx.{DOMAIN}",
            f"mydestination={DOMAIN}, localhost", "default_transport=discard:",
            "relay_transport=discard:", "smtpd_sasl_type=dovecot", "smtpd_sasl_path=private/auth",
            "smtpd_error_sleep_time=0", "smtpd_client_connection_rate_limit=0",
            "mailbox_command=", "home_mailbox=")
        run("newaliases")
        for path in ("/etc/hosts", "/etc/resolv.conf"):
            put(f"/var/spool/postfix{path}", read_all(path))
        with open("/etc/postfix/master.cf", "a", encoding="utf-8") as file:
            file.write(FORMS[self.form]())

    @staticmethod
    def _wait_for_submission():
        for _ in range(100):
            with contextlib.suppress(OSError, smtplib.SMTPException):
                smtplib.SMTP(SERVER, 587, timeout=SMTP_LIMIT).quit()
                return
            time.sleep(0.1)
        raise RuntimeError(f"Postfix does not come: {log_text()[-2000:]}")

    def stop(self):
        self.dns.stop()
        self.api.stop()

    # What people do

    def type(self, text, edit=None, path=""):
        """Types a block at the reader's prompt; stops at the first command that fails. edit: what
        an editor changes, path: what is looked up first."""
        if edit is not None:
            put("/run/systems-edit", edit if isinstance(edit, str) else "".join(
                f"{option} = {value}\n" for option, value in edit.items()))
        put("/run/systems-block", text)
        environment = {"HOME": f"/home/{READER}", "USER": READER, "LC_ALL": "C.UTF-8",
                       "PATH": f"{path}/usr/local/bin:/usr/bin:/bin:/usr/local/games:/usr/games",
                       "EDITOR": os.path.join(STANDINS, "editor")}
        return output_of(["bash", "-e", "/run/systems-block"], user=READER, group=READER,
                         extra_groups=[], cwd=SOURCE, env=environment)

    @staticmethod
    def configure(**options):
        """section__key=value, None takes it out."""
        confedit.change(CONF, {name.replace("__", "."): value for name, value in options.items()})

    @staticmethod
    def submit(address=HOME, user=USER):
        """A mail of the user; raises Refused."""
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        try:
            with smtplib.SMTP(SERVER, 587, "laptop.example.net", SMTP_LIMIT, (address, 0)) as smtp:
                smtp.starttls(context=context)
                smtp.login(user, PASSWORD)
                smtp.sendmail(user, [ELSEWHERE], "Subject: out\r\n\r\ntest\r\n")
        except (smtplib.SMTPException, OSError) as error:
            raise Refused(f"submission from {address}: {error}") from None

    def receive(self, address=OUTSIDE, recipient=USER):
        """A mail from outside; raises Refused."""
        try:
            with smtplib.SMTP(SERVER, 25, "mail.example.net", SMTP_LIMIT, (address, 0)) as smtp:
                smtp.sendmail(ELSEWHERE, [recipient], "Subject: in\r\n\r\ntest\r\n")
        except (smtplib.SMTPException, OSError) as error:
            raise Refused(f"port 25 from {address}: {error}") from None
        self.sent += 1

    def ordinary_mail(self):
        """One mail of the user, one for her; and the log has no trouble."""
        self.submit()
        self.receive()
        self.look_at_log()

    def look_at_log(self):
        text = log_text()[self.seen:]
        self.seen += len(text)
        for line in text.splitlines():
            if TROUBLE.search(line) and not NO_TROUBLE.search(line):
                raise Refused(f"in the log: {line}")

    def delivered(self):
        """Has all mail for the user come, and has all other mail gone? Or else why not."""
        for _ in range(100):
            with contextlib.suppress(FileNotFoundError), open("/var/mail/ann", "rb") as file:
                if file.read().count(b"\nSubject: in") == self.sent and not queue():
                    return None
            time.sleep(0.1)
        return f"not all of {self.sent} mails are delivered; queue: {queue()}"


def log_text():
    return "".join(read_all(path) for path in (LOG,) if os.path.exists(path))


def read_all(path):
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()


def queue():
    text = run("postqueue", "-p")
    return "" if "is empty" in text else text


def ours_running():
    """The command lines of what runs of abichecker."""
    found = []
    for path in glob.glob("/proc/[0-9]*/exe"):
        with contextlib.suppress(OSError):
            if os.path.basename(os.readlink(path).split(" ")[0]) in ("abichecker", "abictl"):
                found.append(read_all(path.replace("exe", "cmdline")).replace("\0", " "))
    return found
