"""Hostile SMTP sessions, for torture.py: a real Postfix logs what clients choose to send, and
`abictl scan` must read from it exactly what these clients were told.

What a client was told is the truth: a reply of Postfix is never cut, and its last words are
Postfix's own, so it says for certain whether a recipient is unknown or relaying was denied. A log
line is cut at LINE_MAX bytes of message. Of one that is, nobody can say for certain whether the
sender was <>, nor what was denied; but 550 5.1.1 in front still tells of an unknown recipient. So
of lines that are cut only this is demanded, and that they count against no other client.
"""
import base64
import binascii
import collections
import contextlib
import ipaddress
import itertools
import json
import os
import random
import re
import shutil
import socket
import socketserver
import string
import threading
import time
import unittest

import testenv
from mailserver import MailServer
from testenv import PATIENCE, Site

RULES = ("unknown-recipient", "unknown-bounce", "relay-denied")
ADDRESSES = 2000
CONNECTIONS = 6  # at a time
LINE_MAX = 2000  # bytes of a message that Postfix logs
REQUEST_MAX = 2040  # bytes of a command that it reads as one, a little less
FAILURES = 20  # that are told

# The client and what it was told, in a line of the log; all before it is Postfix's own.
REFUSAL = re.compile(rb"\S+ +\S+ \S+ \S+ postfix/(?:submission/)?smtpd\[\d+\]: \w+: reject: "
                     rb"((?:RCPT|VRFY) from [^ \[\]]+\[([0-9a-f.:]+)\]: .*)")
UNKNOWN = tuple(b">: Recipient address rejected: User unknown in " + table for table in (
    b"relay recipient table", b"virtual mailbox table", b"virtual alias table"))
DENIED = b">: Relay access denied"

SETTINGS = """
relay_recipient_maps = inline:{user@example.org=ok, real@example.org=ok}
virtual_mailbox_domains = example.com
virtual_mailbox_maps = inline:{user@example.com=ok}
virtual_transport = discard
virtual_alias_domains = example.net
virtual_alias_maps = inline:{{user@example.net=user@example.org}}
recipient_delimiter = +
smtpd_client_restrictions = check_client_access cidr:{{11.0.9.0/24
    REJECT User unknown; x[198.51.100.7]: 550 5.1.1 <x>: Relay access denied; from=<> to=<x>}}
smtpd_helo_restrictions = warn_if_reject reject_invalid_helo_hostname
smtpd_sender_restrictions = warn_if_reject reject_non_fqdn_sender
header_checks = regexp:{{/^/ WARN x[198.51.100.7]: 550 5.1.1 <x>: Relay access denied}}
smtpd_hard_error_limit = 10000
smtpd_soft_error_limit = 10000
smtpd_junk_command_limit = 10000
"""

# What the clients' texts are made of. No client has an address that stands here.
PHRASES = (
    "Client host rejected: ", ">: Client host rejected: Access denied", "; from=<",
    "; from=<> to=<", "> to=<", "; to=<", " proto=ESMTP helo=<", " proto=SMTP", "> helo=<",
    " sasl_method=PLAIN", " helo=<x> sasl_method=PLAIN sasl_username=x",
    "> proto=ESMTP helo=<x> sasl_method=PLAIN",
    " sasl_username=", " sasl_sender=<x>", "Relay access denied", ">: Relay access denied",
    ">: Recipient address rejected: ", "User unknown in relay recipient table",
    ">: Recipient address rejected: User unknown in virtual mailbox table; from=<",
    ">: Sender address rejected: Domain not found", ">: Helo command rejected: Host not found",
    ">: Recipient address rejected: Access denied", "undeliverable address", "<", ">", ">: ", "; ",
    ": ", "[", "]", "]: ", "\\", "\"", "\\\"", ",", ", to=<", "@", "@example.org>", " ", "  ", "\t",
    "'", "Service unavailable; Client host [8.8.8.8] blocked using zen.example; ",
    "Mail server found in the local blacklist", "Mail server has a poor reputation",
    "NOQUEUE: reject: RCPT from x[198.51.100.7]: ", "reject: VRFY from ", "550 5.1.1 ",
    "550 5.1.1 <", "554 5.7.1 <", "454 4.7.1 ", "450 4.1.1 ", "x[198.51.100.7]", "x[8.8.8.8]: ",
    "from x[8.8.8.8]: ", "[2a00:1450::8]", "lost connection after AUTH from x[198.51.100.7]",
    "postfix/smtpd[811]: ", "postfix/submission/smtpd[811]: ", "message repeated 9 times: [ ",
    "warning: x[8.8.8.8]: SASL LOGIN authentication failed: x, sasl_username=y",
    "Nov 20 15:41:07 mx1 postfix/smtpd[811]: NOQUEUE: reject: RCPT from x[198.51.100.7]: 554 5.7.1 "
    "<x@example.net>: Relay access denied; from=<a@b.example> to=<x@example.net> proto=ESMTP "
    "helo=<h.example>",
    "2026-11-20T15:41:07.000000+00:00 mx1 postfix/smtpd[811]: NOQUEUE: reject: RCPT from "
    "x[8.8.8.8]: 550 5.1.1 <x@example.org>: Recipient address rejected: User unknown in relay "
    "recipient table; from=<> to=<x@example.org> proto=ESMTP helo=<x>",
    "m\u00fcller", "\u65e5\u672c", "\u202e", "\u200b", "%n%s", "$(reboot)", "{x}", "#011", "\\n")
NAMES = ("h.example", "mail.example.net", "198.51.100.7.example", "unknown.example", "from.example",
         "a-b.c-d.example", "x" * 60 + ".example", "[UNAVAILABLE]", "[TEMPUNAVAIL]")
DOMAINS = ("example.org",) * 4 + ("example.com", "example.com", "example.net", "elsewhere.example",
                                  "elsewhere.example", "b.c.example", "[198.51.100.7]", "xn--x")
NOBODY = ("<>", "<\"\">", "<(x)>")  # senders that Postfix takes for <>
COMMANDS = ("RSET", "NOOP", "HELP", "EXPN", "ETRN", "GET", "Subject:", "Received:", "From:",
            "XYZZY", "MAIL", "RCPT", "MAIL TO:", "BDAT", "XFORWARD", "STARTTLS", "HELO", "EHLO")

# told: by address, how often the client was refused so: (what is logged of it, rule). sessions: how
# many, by address.
Truth = collections.namedtuple("Truth", "told sessions")


class Texts:
    """Hostile texts, from one source of chance."""

    def __init__(self, rng):
        self.rng = rng

    def phrases(self, most=6):
        """Some of the phrases; or of the bytes that Postfix does not like."""
        rng = self.rng
        parts = rng.choices(PHRASES, k=rng.randrange(1, most + 1))
        if rng.random() < 0.05:
            parts.append(rng.choice(("\x01", "\x1b[31m", "\x7f", "\x00")))
        if rng.random() < 0.3:
            parts.append("".join(rng.choices(string.ascii_lowercase, k=rng.randrange(1, 9))))
        rng.shuffle(parts)
        return "".join(parts)

    def local(self, most):
        """A local part of about that many bytes at most, quoted or not."""
        rng = self.rng
        kind = rng.random()
        name = rng.choice(("user", "real", "nobody", "x", "postmaster"))
        if kind < 0.1:
            return name + str(rng.randrange(1000))
        if kind < 0.15:
            return f"{name}+{rng.randrange(1000)}"
        if kind < 0.2:
            return rng.choice((".x", "x.", "a..b", "\"\"", "a\"b", "m\u00fcller", "x\\ y", "-x",
                               "<x", "(x)", "x%elsewhere.example", "elsewhere.example!x",
                               "\"a\".b"))
        text = self.phrases()
        if kind < 0.3:
            text = text * 200 if rng.random() < 0.5 else "x" * 2000 + text
        if kind < 0.45:
            text = f"{name}+{text}"
        if kind > 0.97:
            return text[:most]
        text = text[:most // 2].replace("\\", "\\\\").replace("\"", "\\\"") \
            if kind > 0.6 else text.replace("\\", "/").replace("\"", "'")
        return f"\"{_cut(text, most)}\""

    def address(self, most):
        """local@domain without <>; seldom with a route, or without a domain."""
        rng = self.rng
        local = self.local(most)
        kind = rng.random()
        if kind < 0.02:
            return local
        if kind < 0.04:
            return f"@x[198.51.100.7],@b.example:{local}@example.org"
        if kind < 0.06:
            return f"{local}@\"{self.phrases(2)}\""
        return f"{local}@{rng.choice(DOMAINS)}"

    def path(self, most):
        """<address>, or nearly."""
        kind = self.rng.random()
        address = self.address(most)
        if kind < 0.02:
            return address
        if kind < 0.04:
            return f"<{address}> {self.phrases(2)}"
        return f"<{address}>"


def _cut(text, most):
    """As many whole characters as are so many bytes."""
    return text.encode()[:most].decode(errors="ignore")


class Client:
    """One connection; Postfix takes us for the client that we name."""

    def __init__(self, port):
        self._socket = socket.create_connection(("127.0.0.1", port), PATIENCE)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._file = self._socket.makefile("rb")
        self.reply()

    def close(self):
        self._file.close()
        self._socket.close()

    def reply(self):
        """The last line of a reply; EOFError when Postfix hung up."""
        while True:
            line = self._file.readline()
            if not line:
                raise EOFError
            if line[3:4] != b"-":
                return line.rstrip(b"\r\n")

    def send(self, data):
        self._socket.sendall(data)

    def command(self, line):
        """Sends one line, whatever is in it, and returns the reply."""
        data = line if isinstance(line, bytes) else line.encode("utf-8", "surrogateescape")
        self.send(data.replace(b"\r", b"?").replace(b"\n", b"?")[:REQUEST_MAX] + b"\r\n")
        return self.reply()


class HostileSession:
    """What one client does, and what it is told for it."""

    def __init__(self, server, rng, address, truth):
        self.rng, self.texts, self.truth = rng, Texts(rng), truth
        self.address, self.name = str(address), rng.choice(NAMES)
        self.submission = rng.random() < 0.15
        self.sender, self.queued = None, False
        self.client = Client(server.submission if self.submission else server.mx)

    def run(self):
        try:
            self._greet()
            for _ in range(self.rng.randrange(1, 6)):
                self.rng.choices((self._mail, self._vrfy, self._command, self._login),
                                 (6, 2, 2, 1 + 2 * self.submission))[0]()
            if self.rng.random() < 0.8:
                self.client.command("QUIT")
        except (EOFError, ConnectionError):
            pass  # Postfix hung up
        finally:
            self.client.close()

    def _greet(self):
        self.client.command("EHLO x.example")
        shown = f"IPV6:{self.address}" if ":" in self.address else self.address
        login = "[UNAVAILABLE]"
        if self.submission and self.rng.random() < 0.5:
            login = _xtext(_cut(self.texts.phrases(), 80))
        reply = self.client.command(f"XCLIENT ADDR={shown} NAME={self.name} LOGIN={login}")
        assert reply.startswith(b"220"), reply
        if self.rng.random() < 0.85:
            self._hello()

    def _hello(self):
        helo = self.rng.choice(("h.example", "[198.51.100.7]", self.texts.phrases(3),
                                self.texts.phrases(20), "x" * self.rng.randrange(1, 2000)))
        self.client.command(f"{self.rng.choice(('EHLO', 'HELO'))} {helo}")

    def _size(self):
        """Bytes for a local part."""
        if self.rng.random() < 0.85:
            return self.rng.randrange(1, 400)
        return self.rng.choice((1900, self.rng.randrange(400, REQUEST_MAX)))

    def _sender(self):
        kind = self.rng.random()
        if kind < 0.2:
            return "<>"
        if kind < 0.4:
            return "<a@b.example>"
        more = "" if kind < 0.9 else self.rng.choice((
            " SMTPUTF8", " BODY=8BITMIME", " SIZE=1000", " RET=HDRS ENVID=x+20from=<y>",
            f" AUTH={_xtext(self.texts.phrases(2))[:200]}"))
        return f"<{self.texts.address(self._size())}>{more}"

    def _mail(self):
        sender = self._sender()
        reply = self.client.command(f"MAIL FROM:{sender}")
        if reply.startswith(b"250"):
            self.sender = "<>" if sender.split()[0] in NOBODY else sender
            for _ in range(self.rng.randrange(1, 6)):
                recipient = "<user@example.org>" if self.rng.random() < 0.05 \
                    else self.texts.path(self._size())
                self._judge("RCPT", self.client.command(f"RCPT TO:{recipient}"))
            if self.rng.random() < 0.3:
                self._vrfy()
            if self.queued and self.rng.random() < 0.5:
                self._content()
        self.client.command("RSET")
        self.sender, self.queued = None, False

    def _content(self):
        if not self.client.command("DATA").startswith(b"354"):
            return
        for field in ("Subject", "X-Line", "Message-ID"):
            text = self.texts.phrases(9).encode().replace(b"\n", b"?")
            self.client.send(f"{field}: ".encode() + text + b"\r\n")
        self.client.command(".")
        self.queued = False

    def _vrfy(self):
        self._judge("VRFY", self.client.command(f"VRFY {self.texts.path(self._size())}"))

    def _command(self):
        verb = self.rng.choice(COMMANDS)
        reply = self.client.command(f"{verb} {self.texts.phrases(9)}")
        if verb in ("HELO", "EHLO") and reply.startswith(b"250"):
            self.sender, self.queued = None, False

    def _login(self):
        user = self.texts.phrases(5)
        word = base64.b64encode(f"\0{user}\0secret".encode()).decode()
        self.client.command(f"AUTH {self.rng.choice(('PLAIN', user))} {word}")

    def _judge(self, stage, reply):
        """Keeps a refusal, and which offence it is, if it is one."""
        if stage == "RCPT" and reply.startswith(b"250"):
            self.queued = True
        if self.submission or reply[:1] not in b"45":
            return
        rule = None
        if reply.startswith(b"550 5.1.1 <") and reply.endswith(UNKNOWN):
            rule = "unknown-bounce" if self.sender == "<>" else "unknown-recipient"
        elif reply.startswith((b"454 4.7.1 <", b"554 5.7.1 <")) and reply.endswith(DENIED):
            rule = "relay-denied"
        name = "unknown" if self.name.startswith("[") else self.name
        follows = {"<>": b"; from=<> ", None: b"; "}.get(self.sender, b"; from=<")
        self.truth.told[self.address][
            f"{stage} from {name}[{self.address}]: ".encode() + reply + follows, rule] += 1


def _xtext(text):
    """As XCLIENT and AUTH= want it."""
    return "".join(chr(byte) if 33 <= byte <= 126 and byte not in b"+=<>()" else f"+{byte:02X}"
                   for byte in text.encode())


class RefusingAuthServer(socketserver.StreamRequestHandler):
    """As much of Dovecot's authentication server as refuses every login, and says whose it was."""

    def handle(self):
        self.wfile.write(b"VERSION\t1\t1\nMECH\tPLAIN\tplaintext\nSPID\t1\nCUID\t1\n"
                         b"COOKIE\t0123456789abcdef0123456789abcdef\nDONE\n")
        for words in (line.rstrip(b"\n").split(b"\t") for line in self.rfile):
            if words[0] != b"AUTH":
                continue
            user = b"\0?"
            with contextlib.suppress(binascii.Error):
                user = base64.b64decode(words[-1].partition(b"resp=")[2])
            user = (user.split(b"\0") + [b"?"])[1].replace(b"\t", b" ").replace(b"\n", b" ")
            self.wfile.write(b"FAIL\t" + words[1] + b"\tuser=" + user + b"\n")


class HostileServer(MailServer):
    """A Postfix whose clients cause warnings."""

    def __init__(self, site):
        super().__init__(site, settings=SETTINGS)
        self._auth.RequestHandlerClass = RefusingAuthServer
        self.log_path = testenv.write_file(self._path("log/mail.log"), "")  # anybody may read it

    def trouble(self):
        return [line for line in super().trouble() if "smtpd[" not in line or
                ": warning: " not in line]


def _addresses():
    """Of those that the other parts use; and each tenth of IPv6, all in one network."""
    for number in range(ADDRESSES):
        if number % 10 == 9:
            yield ipaddress.ip_address("2a02:d540::a") + (number << 64)
        else:
            yield ipaddress.ip_address("11.0.0.1") + 256 * (number // 200) + number % 200


def new_truth():
    return Truth(collections.defaultdict(collections.Counter), collections.Counter())


def _block(address):
    return str(ipaddress.ip_network(f"{address}/{64 if ':' in address else 32}", False))


def _serve(server, seed, sessions, truth, failures):
    """So many sessions, some at a time."""
    addresses, numbers, lock = list(_addresses()), itertools.count(), threading.Lock()
    testenv.program("abictl")  # copied before there are threads

    def work():
        while (number := next(numbers)) < sessions and len(failures) < FAILURES:
            rng = random.Random(f"{seed}/{number}")
            mine = new_truth()
            address = rng.choice(addresses)
            try:
                HostileSession(server, rng, address, mine).run()
            except Exception as error:  # pylint: disable=broad-exception-caught
                failures.append(f"session {number}: {error!r}")
            with lock:
                truth.sessions[str(address)] += 1
                truth.told[str(address)].update(mine.told[str(address)])
    threads = [threading.Thread(target=work) for _ in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _scan(site, rules, path):
    """Who would be listed by a scan: block -> what is told about it."""
    site.configure(**{"blacklist.rules": " ".join(f"{rule}=1/1d" for rule in rules)})
    done = site.abictl("scan", "--dry-run", "--json", path)
    assert done.returncode == 0 and not done.stderr, (done.returncode, done.stderr[-500:])
    return {each["block"]: each for each in json.loads(done.stdout)}


def _refusal(line):
    """Of a line that refuses something: (client, what follows "reject: "); None of others."""
    found = REFUSAL.match(line)
    return (found[2].decode(), found[1]) if found else None


def _count(told, rules):
    """What must be counted: block -> offences."""
    counted = collections.Counter()
    for address, refusals in told.items():
        for (_, rule), count in refusals.items():
            if rule in rules:
                counted[_block(address)] += count
    return counted


def _take_cut(log, told, failures):
    """Splits the log: (file with all but the refusals that are cut, file with these). What the
    latter tell of is taken out of what was told."""
    directory = testenv.new_directory("lines")
    whole, cut = os.path.join(directory, "whole.log"), os.path.join(directory, "cut.log")
    with open(log, "rb") as lines, open(whole, "wb") as rest, open(cut, "wb") as out:
        for line in lines:
            refusal = _refusal(line)
            if not refusal or len(line.rstrip(b"\n").partition(b"]: ")[2]) < LINE_MAX:
                rest.write(line)
                continue
            out.write(line)
            if refusal[0] not in told:
                continue  # of the submission service
            fits = [key for key, count in told[refusal[0]].items() if count and
                    refusal[1].startswith(key[0][:len(refusal[1])])]
            if fits:
                told[refusal[0]][max(fits, key=lambda key: len(key[0]))] -= 1
            elif b"/submission/" not in line[:80]:
                failures.append(f"nobody was told so: {line[:300]!r}")
    for path in (whole, cut):
        os.chmod(path, 0o644)
    return whole, cut


def _compare(site, log, rules, told, failures):
    """Does a scan of the log count for each client what it was told? Returns of which not."""
    what = " + ".join(rules)
    counted = {block: each["hits"] for block, each in _scan(site, rules, log).items()}
    expected = _count(told, rules)
    wrong = [block for block in sorted(counted.keys() | expected.keys())
             if counted.get(block, 0) != expected[block]]
    for block in wrong:
        failures.append(f"{what}: {block}: {expected[block]} refused, {counted.get(block, 0)} "
                        "counted")
    return wrong


def _misread(site, log, blocks, told, demanded):
    """The lines of these clients that are read as something else; demanded(rule found, rule)."""
    path = os.path.join(testenv.new_directory("lines"), "mail.log")
    with open(log, "rb") as file:
        lines = [(line, refusal) for line in file if (refusal := _refusal(line)) and
                 _block(refusal[0]) in blocks]
    for line, (client, message) in lines[:FAILURES * 20]:
        fits = [key for key in told[client] if message.startswith(key[0][:len(message)])]
        rule = max(fits, key=lambda key: len(key[0]))[1] if fits else None
        testenv.write_file(path, line, 0o644)
        found = {block: each["rule"] for block, each in _scan(site, RULES, path).items()}
        if not demanded(found.pop(_block(client), None), rule) or found:
            yield f"misread, is {rule}: {line.decode(errors='replace')}"


def _judge_log(site, log, truth, failures):
    """Compares what a scan makes of the log with the truth; returns the lines that are misread."""
    everything = {address: collections.Counter(told) for address, told in truth.told.items()}
    unknown = RULES[:2]
    of_all = set(_compare(site, log, unknown, everything, failures))
    whole, cut = _take_cut(log, truth.told, failures)
    of_whole = set()
    for rule in RULES:
        of_whole.update(_compare(site, whole, [rule], truth.told, failures))
        if not _count(truth.told, [rule]):
            failures.append(f"{rule}: nobody was refused for it")
    strangers = _scan(site, RULES, cut).keys() - set(map(_block, truth.sessions))
    failures += [f"{block} is listed and was no client" for block in strangers]
    return [*_misread(site, whole, of_whole, everything, lambda found, rule: found == rule),
            *_misread(site, cut, of_all, everything,
                      lambda found, rule: (found in unknown) == (rule in unknown))]


def torture_smtp(sessions, seed, keep=None):
    """So many hostile sessions; keep: where the log, and the lines that are misread, are saved."""
    failures, truth = [], new_truth()
    print(f"smtp: seed {seed}", flush=True)
    start = time.monotonic()
    site = Site(options={"filter.checks": "whitelist", "reputation.token_file": None})
    server = HostileServer(site).start()
    _serve(server, seed, sessions, truth, failures)
    try:
        server.stop(unittest.TestCase())
    except AssertionError as error:
        failures.append(f"trouble: {str(error)[:2000]}")
    if keep:
        shutil.copy(server.log_path, keep)
    size = os.path.getsize(server.log_path) >> 20
    print(f"smtp: {sum(truth.sessions.values())} sessions of {len(truth.sessions)} clients in "
          f"{time.monotonic() - start:.0f} s, {size} MiB of log, " +
          ", ".join(f"{sum(_count(truth.told, [rule]).values())} {rule}" for rule in RULES),
          flush=True)
    misread = _judge_log(site, server.log_path, truth, failures)
    if keep:
        testenv.write_file(f"{keep}.misread", "".join(misread))
    return [each[:1000] for each in misread] + failures
