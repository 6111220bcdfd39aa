"""A real Postfix in the scratch directory, on loopback, that runs the filter by spawn(8)."""
import collections
import grp
import os
import pwd
import re
import signal
import smtplib
import socket
import socketserver
import subprocess
import threading

import ports
from pace import duration
from testenv import (FILTER_USER, PATIENCE, at_exit, children, new_directory, process_name,
                     program, read_file, wait_until, write_file)

POLICY = "{{ unix:private/abichecker, timeout={timeout}, {{ default_action = {default} }} }}"

MAIN_CF = """\
compatibility_level = 3.6
queue_directory = {root}/queue
data_directory = {root}/data
mail_owner = postfix
setgid_group = postdrop
myhostname = mx.example.org
mydestination =
mynetworks =
inet_interfaces = 127.0.0.1
inet_protocols = all
alias_maps =
alias_database =
local_recipient_maps =
relay_domains = example.org
relay_transport = discard
default_transport = discard
maillog_file = {root}/log/mail.log
maillog_file_prefixes = {root}
smtpd_authorized_xclient_hosts = 127.0.0.1
smtpd_peername_lookup = no
smtp_dns_support_level = disabled
smtpd_tls_security_level = none
smtpd_error_sleep_time = 0
smtpd_client_connection_count_limit = 0
default_process_limit = 200
abichecker_time_limit = 3600
smtpd_recipient_restrictions = permit_mynetworks, reject_unauth_destination,
    check_policy_service {policy}
"""

MASTER_CF = """\
127.0.0.1:{mx} inet n - n - - smtpd
127.0.0.1:{submission} inet n - n - - smtpd
    -o syslog_name=postfix/submission
    -o {{ smtpd_client_restrictions = check_policy_service {policy},
         permit_sasl_authenticated, reject }}
    -o {{ smtpd_relay_restrictions = permit_sasl_authenticated, reject }}
    -o smtpd_recipient_restrictions=
    -o smtpd_sasl_auth_enable=yes
    -o smtpd_sasl_type=dovecot
    -o smtpd_sasl_path=private/auth
abichecker unix - n n - 0 spawn user={user} argv={command}
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
discard unix - - n - - discard
error unix - - n - - error
retry unix - - n - - error
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
"""

QUEUES = ("active", "bounce", "corrupt", "defer", "deferred", "flush", "hold", "incoming",
          "private", "saved", "trace")

# Log lines that mean that the filter, or the way to it, is broken.
TROUBLE = re.compile(r"exit status|killed by signal|"
                     r"postfix/(\w+/)?(smtpd|spawn|master)\[\d+\]: (warning|fatal|panic|error): ")
END_OF_LOG = "all filters have ended"

Delivery = collections.namedtuple("Delivery", "recipients data seconds")


class MailServer:
    """start() before use; the test fails at stop(test) when the log tells of trouble.

    site: the filter's configuration (none: the built-in places). command: another filter.
    policy timeout, default: the two settings of check_policy_service."""

    def __init__(self, site=None, command=None, timeout="100s",
                 default="451 4.3.5 filter died", settings=""):
        if command is None:
            command = f"{program('abichecker')} -c {site.conf}"
        policy = POLICY.format(timeout=timeout, default=default)
        self.mx, self.submission = ports.take(), ports.take()
        self._root = new_directory("postfix")
        self._master = None
        self._make_directories()
        self._auth = _AuthServer(self._path("queue/private/auth"))
        main_cf = write_file(self._path("etc/main.cf"),
                             MAIN_CF.format(root=self._root, policy=policy) + settings)
        os.utime(main_cf, (0, 0))  # Postfix waits for a new file to be two seconds old
        write_file(self._path("etc/master.cf"), MASTER_CF.format(
            mx=self.mx, submission=self.submission, policy=policy, command=command,
            user=FILTER_USER.pw_name))

    def _path(self, name):
        return os.path.join(self._root, name)

    def _make_directories(self):
        """What `postfix check` would make; it takes two seconds."""
        for name in ("etc", "queue", "queue/pid", "log"):
            os.mkdir(self._path(name))
        owner = pwd.getpwnam("postfix").pw_uid
        postdrop = grp.getgrnam("postdrop").gr_gid
        for name, group, mode in (
                ("data", -1, 0o700), ("queue/public", postdrop, 0o710),
                ("queue/maildrop", postdrop, 0o1730), *(
                    (f"queue/{name}", -1, 0o700) for name in QUEUES)):
            os.mkdir(self._path(name))
            os.chown(self._path(name), owner, group)
            os.chmod(self._path(name), mode)

    def start(self):
        at_exit(self._terminate)
        daemons = subprocess.run(["postconf", "-h", "daemon_directory"], check=True,
                                 capture_output=True, text=True).stdout.strip()
        self._master = subprocess.Popen(
            [os.path.join(daemons, "master"), "-d", "-c", self._path("etc")],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True)
        for port in (self.mx, self.submission):
            wait_until(lambda: self._listens(port), f"Postfix to listen: {self.log()}")
        return self

    def _listens(self, port):
        assert self._master.poll() is None, f"Postfix is not running: {self.log()}"
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    def stop(self, test):
        """Ends Postfix, after a reload: it ends the filters' clients, and spawn(8) logs how the
        filters end. The test fails when the log tells of trouble."""
        if self._master:
            spawns = [pid for pid in children(self._master.pid) if process_name(pid) == "spawn"]
            self._master.send_signal(signal.SIGHUP)
            wait_until(lambda: not any(process_name(pid) == "spawn" for pid in spawns),
                       "the filters to end")
            subprocess.run(["postlog", "-c", self._path("etc"), END_OF_LOG], check=True,
                           stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            wait_until(lambda: END_OF_LOG in self.log(), "the last line of the log")
        self._terminate()
        test.assertEqual(self.trouble(), [])

    def _terminate(self):
        if self._master:
            self._master.terminate()
            self._master.wait(PATIENCE)
            self._master = None

    def log(self):
        path = self._path("log/mail.log")
        return read_file(path) if os.path.exists(path) else ""

    def trouble(self):
        return [line for line in self.log().splitlines() if TROUBLE.search(line)]

    def session(self, address="8.8.4.4", **keywords):
        return Session(keywords.pop("port", self.mx), address, **keywords)

    def deliver(self, address="8.8.4.4", recipients=("user@example.org",), **keywords):
        """One session with one message; returns its Delivery."""
        with self.session(address, **keywords) as session:
            return session.deliver(*recipients)

    def submit(self, address, **keywords):
        """As deliver, to the port for users."""
        return self.deliver(address, port=self.submission, **keywords)


class Session:
    """An SMTP session in which Postfix takes us for the client we name.

    name: the verified name, [UNAVAILABLE] for none. reverse_name: the unverified one, if other.
    login: the SASL user. host: where Postfix listens."""

    def __init__(self, port, address, name="client.example.net", reverse_name=None, login=None,
                 host="127.0.0.1"):
        self._smtp = smtplib.SMTP(host, port, "client.example.net", PATIENCE)
        attributes = {"ADDR": f"IPV6:{address}" if ":" in address else address, "NAME": name,
                      "REVERSE_NAME": reverse_name or name, "LOGIN": login or "[UNAVAILABLE]"}
        self._smtp.ehlo()
        self.command("XCLIENT " + " ".join(f"{key}={value}" for key, value in attributes.items()),
                     expected="220")
        self.command("EHLO client.example.net", expected="250")

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        try:
            self._smtp.quit()
        except (smtplib.SMTPException, OSError):
            self._smtp.close()

    def command(self, line, expected=""):
        """Sends one line; returns the reply as CODE TEXT."""
        reply = _reply(*self._smtp.docmd(line))
        assert reply.startswith(expected), f"{line}: {reply}"
        return reply

    def deliver(self, *recipients, sender="sender@example.net"):
        """Sends one message; returns the replies to RCPT, to the end of DATA (None when no
        recipient was accepted), and the seconds that the RCPT commands took together."""
        self.command(f"MAIL FROM:<{sender}>", expected="250")
        replies, seconds = duration(
            lambda: [self.command(f"RCPT TO:<{recipient}>") for recipient in recipients])
        if not any(reply.startswith("250") for reply in replies):
            return Delivery(replies, None, seconds)
        self.command("DATA", expected="354")
        self._smtp.send("Subject: test\r\n\r\ntest\r\n.\r\n")
        return Delivery(replies, _reply(*self._smtp.getreply()), seconds)


class _AuthServer(socketserver.ThreadingUnixStreamServer):
    """As much of Dovecot's authentication server as makes Postfix believe that there is one;
    without it permit_sasl_authenticated is never true."""

    daemon_threads = True

    class Greeting(socketserver.StreamRequestHandler):
        def handle(self):
            self.wfile.write(b"VERSION\t1\t1\nMECH\tPLAIN\tplaintext\nSPID\t1\nCUID\t1\n"
                             b"COOKIE\t0123456789abcdef0123456789abcdef\nDONE\n")
            self.rfile.read()

    def __init__(self, path):
        super().__init__(path, self.Greeting)
        os.chmod(path, 0o666)
        threading.Thread(target=self.serve_forever, daemon=True).start()


def _reply(code, text):
    return f"{code} {text.decode(errors='replace')}"
