#!/usr/bin/python3
"""See the filter at work: a real Postfix on loopback runs it by spawn(8), a stand-in plays the
AbuseIPDB API, another one a DNS list, and clients of all kinds come to deliver a message, among
them a botnet that has the password of an account, a thief whom the list knows, and one who
guesses recipients, which Postfix's own log tells.

    python3 tests/demo.py [-v]

Prints a table: the client, the verdict, and why. With -v before that, for each client, what Postfix
said to it, what the filter logged, and what abictl tells about it. Exit status 0 when all of it was
as it must be. Nothing leaves this machine and nothing is left behind.
"""
import argparse
import collections
import os
import re
import shutil
import sys
import textwrap
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))

import dnsstub  # noqa: E402
import mmdb  # noqa: E402
import testenv  # noqa: E402
from apistub import ApiStub, score  # noqa: E402
from mailserver import MailServer  # noqa: E402

EX_UNAVAILABLE, EX_NOPERM = 69, 77
WIDTH = 80
LABEL = 14  # the column where the text beside a label begins
TABLE = "{:17} {:8} {}"  # client, verdict, why

WHITELIST = "# big senders\npaypal.com\n"
REFUSED = "521 5.7.1 .*Bad host reputation"
SOFTENED = "450 4.7.1 .*Bad host reputation"
ACCEPTED = "250 2.1.5 Ok"
UNVERIFIED = "[UNAVAILABLE]"

# A client: why it is treated so, its country and score at the API (None: the API is dead), what the
# reply must match, how often the API may be asked, and how it is announced to Postfix by XCLIENT.
Client = collections.namedtuple("Client",
                                "title why text address country score reply calls session")

CLIENTS = (
    Client("A client nobody complains about", "nobody complains about it: score 0", "",
           "8.8.4.4", "US", 0, ACCEPTED, 1, {"name": "mail.example.net"}),
    Client("A client with a bad reputation", "score 100 at AbuseIPDB", "",
           "1.2.3.4", "AU", 100, REFUSED, 1, {"name": UNVERIFIED}),
    Client("The same client again", "the same again: its score is in the cache now",
           "Now its score is in the cache.",
           "1.2.3.4", "AU", 100, REFUSED, 0, {"name": UNVERIFIED}),
    Client("Just over the limit", "score 71, the limit is 70",
           "reputation.score = 70 is the default: 70 and more is refused.",
           "2a02:d540::a", "NO", 71, REFUSED, 1, {"name": "host.example.com"}),
    Client("A big sender", "mx1.slc.paypal.com is whitelisted, score 100 or not",
           "whitelist.txt has paypal.com, and the name is verified: it leads back to the address.",
           "66.211.170.66", "US", 100, ACCEPTED, 0, {"name": "mx1.slc.paypal.com"}),
    Client("One that only looks like it", "mx.notpaypal.com is not: score 100",
           "The name ends in paypal.com, but not at a dot.",
           "1.2.3.5", "BR", 100, REFUSED, 1, {"name": "mx.notpaypal.com"}),
    Client("A whitelisted name that could not be verified",
           "score 100; mx2.slc.paypal.com is not verified",
           "A forgery, or trouble with its DNS: so it may try again.",
           "66.211.170.67", "VN", 100, SOFTENED, 1,
           {"name": UNVERIFIED, "reverse_name": "mx2.slc.paypal.com"}),
    Client("One of our own users, from a bad address",
           "a user who has logged in, score 100 or not",
           "Who has logged in is not judged by whoever had that address yesterday.",
           "1.2.3.4", "AU", 100, ACCEPTED, 0, {"name": UNVERIFIED, "login": "user@example.org"}),
    Client("Anybody, while the API is dead", "the API is dead, and mail flows",
           "Nobody knows the score, so the mail passes, and nobody asks again for 15 s.",
           "8.8.8.8", "US", None, ACCEPTED, 0, {"name": "mail.example.com"}),
)
# Where a botnet logs in from that has the password of one of our users.
VICTIM = "eva@example.org"
BOTNET = (("81.2.69.142", "GB"), ("89.160.20.112", "SE"), ("216.160.83.56", "US"),
          ("67.43.156.0", "BT"), ("111.235.160.1", "CN"), ("2a02:d540::a", "NO"),
          ("202.196.224.9", "PH"))
COMPROMISED = "554 5.7.1 .*Your mail account .eva@example.org. was compromised"

# One with a stolen password, at an address that a DNS list knows, and then elsewhere.
STOLEN = "max@example.org"
THIEF, ELSEWHERE = "89.160.20.112", "81.2.69.142"
ZONE = "authbl.example.net"
LOCKED = "554 5.7.1 Account locked, please call us"
LOCKED_REPLY = f"554 5.7.1 .*{LOCKED[10:]}"

# One who guesses names, and then has a real one; by the default, five are enough.
GUESSER, OURS = "217.65.48.7", "user@example.org"
GUESSES = [f"{name}@example.org" for name in ("anna", "bernd", "carla", "dora", "emil")]
UNKNOWN = "550 5.1.1 .*User unknown in relay recipient table"
LISTED = "554 5.7.1 .*Listed for abuse of this server"
RECIPIENTS = f"relay_recipient_maps = inline:{{ {OURS}=x }}\n"

VERDICTS = {"2": ("accepted", "green"), "4": ("not now", "yellow"), "5": ("refused", "red")}

SHORT = """\
All of it is as it must be. What was said and logged, and what to do next:
sudo python3 tests/demo.py -v
"""
NEXT = """\
That is all there is to it. To have it in front of your own Postfix:

  sudo sh setup.sh install        programs, manuals, a user, a configuration
  /etc/abichecker/abichecker.conf
                                  your AbuseIPDB key (a free one will do), the
                                  key of a DNS list, if you have one, and, to be
                                  careful, dry_run = yes: all mail passes, the
                                  log says what would be refused
  sudo abictl postfix enable mx   has Postfix ask it; README.md tells more
  sudo abictl selftest            is everything in place?
  sudo abictl scan --dry-run      whom would your mail log list? It is read by a
                                  timer once you switch that on
"""


class Screen:
    """Text in 80 columns, in colour on a terminal only."""

    COLOURS = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33"}

    def __init__(self, out):
        self.out = out
        self.coloured = (out.isatty() and "NO_COLOR" not in os.environ
                         and os.environ.get("TERM", "dumb") != "dumb")

    def paint(self, text, colour):
        if not self.coloured or not colour:
            return text
        return f"\x1b[{self.COLOURS[colour]}m{text}\x1b[0m"

    def print(self, text="", colour=None):
        for line in text.split("\n"):
            print(self.paint(line, colour) if line else "", file=self.out)
        self.out.flush()

    def wrap(self, text, indent=3, hanging=None, colour=None):
        """A paragraph, its further lines at column hanging; no word is cut."""
        hanging = indent if hanging is None else hanging
        self.print(textwrap.fill(text, WIDTH, initial_indent=" " * indent,
                                 subsequent_indent=" " * hanging, break_long_words=False,
                                 break_on_hyphens=False), colour)

    def title(self, number, text, verdict, colour):
        """A client's first line, the verdict on it at the right."""
        dots = "." * (WIDTH - len(text) - len(verdict) - 5)
        self.print(f"\n{number:2} {self.paint(text, 'bold')} {self.paint(dots, 'dim')} "
                   f"{self.paint(verdict, colour)}")

    def row(self, label, text, colour=None):
        """A label and its text, which may go on over several lines."""
        for line in textwrap.wrap(text, WIDTH - LABEL, break_long_words=False,
                                  break_on_hyphens=False):
            self.print(f"   {self.paint(label.ljust(LABEL - 3), 'dim')}"
                       f"{self.paint(line, colour)}")
            label = ""


class Demo:
    """The Postfix, the API and what went wrong. scenes: the screen for them, if they are wanted."""

    def __init__(self, screen, scenes):
        self.out = screen
        self.screen = scenes or Screen(open(os.devnull, "w", encoding="utf-8"))
        self.rows = []  # of the table: client, verdict, why
        self.stub = ApiStub().start()
        testenv.at_exit(self.stub.stop)
        places = os.path.join(testenv.new_directory("places"), "countries.mmdb")
        mmdb.write(places, dict(BOTNET))
        self.dns = dnsstub.DnsStub().start()
        testenv.at_exit(self.dns.stop)
        self.site = testenv.Site(self.stub.url, {
            "geocount.database": places, "authbl.zones": f"{ZONE}=127.0.0.4",
            "authbl.resolver": self.dns.resolver, "accounts.action": LOCKED}, WHITELIST)
        self.site.configure(**{"blacklist.snapshot": os.path.join(
            os.path.dirname(self.site.store), "blacklist.cdb")})
        self.mail = MailServer(self.site, settings=RECIPIENTS).start()
        self.site.abictl("scan", "-", input="")  # as if it had been read before: nobody is listed
        self.wrong = []
        self.whole_line_shown = False

    def play(self, number, client):
        """One client delivers one message; show what came of it."""
        if client.score is None:
            self.stub.stop()
        else:
            self.stub.answers[client.address] = score(client.score, countryCode=client.country)
        calls, logged = self.stub.count(), len(self.site.log())
        deliver = self.mail.submit if "login" in client.session else self.mail.deliver
        reply = deliver(client.address, **client.session).recipients[0]
        calls = self.stub.count() - calls
        self.title(number, client.title, (client.address, client.country), reply, client.why)
        self.show(client, reply, calls, self.site.log()[logged:].splitlines())
        if not re.match(client.reply, reply):
            self.fail(f"{client.title}: the reply should have been like {client.reply}")
        if calls != client.calls:
            self.fail(f"{client.title}: {calls} calls to the API, not {client.calls}")

    def title(self, number, title, client, reply, why):
        """Begins a scene, and has it in the table."""
        self.rows.append((" ".join(client), VERDICTS[reply[0]], why))
        self.screen.title(number, title, *VERDICTS[reply[0]])

    def table(self):
        """All of it, a line for each scene."""
        self.out.print(TABLE.format("CLIENT", "VERDICT", "WHY"), "bold")
        for client, (verdict, colour), why in self.rows:
            line = TABLE.format(client, verdict, why)
            before, _, after = line.partition(verdict)
            self.out.print(before + self.out.paint(verdict, colour) + after)

    def show(self, client, reply, calls, log):
        """Who the client is, and what Postfix, the filter and the API said."""
        if client.text:
            self.screen.wrap(client.text)
        name = client.session["name"]
        if "reverse_name" in client.session:
            name = f"{client.session['reverse_name']}, not verified"
        elif name == UNVERIFIED:
            name = "no name"
        login = f", logged in as {client.session['login']}" if "login" in client.session else ""
        self.screen.row("client", f"{client.address} ({name}){login}")
        self.screen.row("AbuseIPDB", "dead" if client.score is None else
                        f"score {client.score}" if calls else
                        f"not asked, it would say {client.score}")
        self.screen.row("Postfix", reply, VERDICTS[reply[0]][1])
        self.show_log(log)

    def show_log(self, log):
        """What the filter logged."""
        for line in log or ["(nothing to tell)"]:
            # Time stamp and process id would only hide what is new
            line = re.sub(r"^\S+ (abichecker\[\d+\]: |(abictl)\[\d+\])", r"\2", line)
            if self.whole_line_shown:
                line = re.sub(r"from=<.*> helo=<\S*>", "...", line)
            elif line.startswith("reject:"):
                self.whole_line_shown = True
            self.screen.row("log", line, "dim")

    def botnet(self, number):
        """One account, and a login from one country after another."""
        expected = [ACCEPTED] * 6 + [COMPROMISED]
        logged, replies = len(self.site.log()), []
        for address, _ in BOTNET:
            replies += self.mail.submit(address, login=VICTIM).recipients
        self.title(number, "A hacked account", BOTNET[-1], replies[-1],
                   f"login of {VICTIM} from a seventh country")
        self.screen.wrap("A botnet has the password of eva@example.org and sends a message from "
                         "each of seven countries. Five are allowed; beyond them one "
                         "message an hour passes, and no more (both are defaults).")
        for count, ((address, country), reply) in enumerate(zip(BOTNET, replies), 1):
            self.screen.row(f"login {count}", f"{address:15} {country}  {reply}",
                            VERDICTS[reply[0]][1])
        self.show_log(self.site.log()[logged:].splitlines())
        for reply, pattern in zip(replies, expected):
            if not re.match(pattern, reply):
                self.fail(f"the reply should have been like {pattern}")
        self.explain("Is she the only one?",
                     ("logins", "--report", "suspects"), VICTIM)

    def stolen(self, number):
        """An account that a DNS list gives away, stopped everywhere, and released."""
        self.dns.answers[f"{'.'.join(reversed(THIEF.split('.')))}.{ZONE}"] = dnsstub.a("127.0.0.4")
        logged = len(self.site.log())
        replies = [*self.mail.submit(THIEF, login=STOLEN).recipients,
                   *self.mail.submit(ELSEWHERE, login=STOLEN).recipients]
        self.title(number, "A stolen account", (THIEF, dict(BOTNET)[THIEF]), replies[0],
                   f"login of {STOLEN} from a thief's address")
        self.screen.wrap(f"Somebody logs in as {STOLEN} from an address that a DNS list has for "
                         "stolen passwords. From then on the account is stopped, from wherever "
                         "it comes.")
        for count, (address, reply) in enumerate(zip((THIEF, ELSEWHERE), replies), 1):
            self.screen.row(f"login {count}", f"{address:15} {reply}", VERDICTS[reply[0]][1])
        self.show_log(self.site.log()[logged:].splitlines())
        self.explain("What is known about it?", ("accounts", "show", STOLEN), THIEF)
        self.explain("Max has a new password, and comes from that address himself:",
                     ("accounts", "release", STOLEN), "")
        logged = len(self.site.log())
        replies += self.mail.submit(THIEF, login=STOLEN).recipients
        self.screen.print()
        self.screen.row("login 3", f"{THIEF:15} {replies[2]}", VERDICTS[replies[2][0]][1])
        self.show_log(self.site.log()[logged:].splitlines())
        for reply, pattern in zip(replies, (LOCKED_REPLY, LOCKED_REPLY, ACCEPTED)):
            if not re.match(pattern, reply):
                self.fail(f"the reply should have been like {pattern}")

    def guesser(self, number):
        """Recipients guessed one after another, found in Postfix's log."""
        self.stub.answers[GUESSER] = score(0, countryCode="GI")
        replies = self.mail.deliver(GUESSER, GUESSES, name=UNVERIFIED).recipients
        testenv.wait_until(lambda: self.mail.log().count("User unknown") == len(GUESSES),
                           "Postfix's log")
        scan = self.site.abictl("scan", "-", input=self.mail.log())
        replies += self.mail.deliver(GUESSER, name=UNVERIFIED).recipients
        self.title(number, "An offender from the log", (GUESSER, "GI"), replies[-1],
                   "guessed five recipients, says the mail log")
        self.screen.wrap("Somebody without a score tries names until one is right. Five that do "
                         "not exist are too many, by the default, once Postfix's log was read.")
        for count, reply in enumerate(replies[:-1], 1):
            self.screen.row(f"guess {count}", reply, VERDICTS[reply[0]][1])
        self.screen.print("\n   $ abictl scan - <mail.log", "bold")
        self.show_log(self.site.log_lines(r"\]: scan:"))
        self.screen.print()
        self.screen.row("guess 6", replies[-1], VERDICTS[replies[-1][0]][1])
        self.show_log(self.site.log_lines("check=blacklist"))
        if scan.returncode != 0:
            self.fail(f"abictl scan: exit status {scan.returncode}: {scan.stderr}")
        for reply, pattern in zip(replies, [UNKNOWN] * len(GUESSES) + [LISTED], strict=True):
            if not re.match(pattern, reply):
                self.fail(f"the reply should have been like {pattern}")
        self.explain("Why was that, and for how long?", ("blacklist", "show", GUESSER),
                     "unknown-recipient")

    def explain(self, question, arguments, answer):
        """A question of the administrator, and how abictl answers it."""
        self.screen.print(f"\n   {question}")
        self.screen.print(f"   $ abictl {' '.join(arguments)}", "bold")
        done = self.site.abictl(*arguments)
        for line in (done.stdout + done.stderr).splitlines():
            self.screen.wrap(line, hanging=3 + max(0, done.stdout.find("REASON")))
        if done.returncode != 0 or answer not in done.stdout:
            self.fail(f"abictl {arguments[0]}: exit status {done.returncode}")

    def fail(self, text):
        self.wrong.append(text)
        self.out.wrap(f"WRONG: {text}", colour="red")

    def end(self):
        """Stop Postfix; its own log must not tell of trouble."""
        try:
            self.mail.stop(unittest.TestCase())
        except AssertionError:
            for line in self.mail.trouble():
                self.fail(f"Postfix logged: {line}")


def obstacle():
    """Why the demo cannot run here: (exit status, text), or None."""
    if os.getuid() != 0:
        return EX_NOPERM, "only root can start a Postfix. Say: sudo sh setup.sh demo"
    os.environ["PATH"] = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    if not shutil.which("postconf"):
        return EX_UNAVAILABLE, "Postfix is not installed. Say: sudo sh setup.sh demo"
    missing = [name for name in testenv.PROGRAMS
               if not os.access(os.path.join(testenv.BUILD, name), os.X_OK)]
    if missing:
        return EX_UNAVAILABLE, f"{' and '.join(missing)} not built yet. Say: make demo"
    return None


def main():
    parser = argparse.ArgumentParser(description="the filter at work, behind a real Postfix")
    parser.add_argument("-v", "--verbose", action="store_true", help="show each scene")
    verbose = parser.parse_args().verbose
    why = obstacle()
    if why:
        print(f"demo: {why[1]}", file=sys.stderr)
        return why[0]
    screen = Screen(sys.stdout)
    screen.print("abichecker: a demonstration", "bold")
    screen.wrap("A real Postfix on loopback runs the filter by spawn(8), a stand-in plays the "
                "AbuseIPDB API and a DNS list. Nothing leaves this machine, nothing stays on it.",
                0)
    demo = Demo(screen, screen if verbose else None)
    for number, client in enumerate(CLIENTS, 1):
        demo.play(number, client)
        if client.address == "1.2.3.5":
            demo.explain("Why was that? The filter explains it at any time:",
                         ("check", "client_address=1.2.3.5", "client_name=mx.notpaypal.com"),
                         "521 5.7.1")
    demo.botnet(len(CLIENTS) + 1)
    demo.stolen(len(CLIENTS) + 2)
    demo.guesser(len(CLIENTS) + 3)
    demo.end()
    screen.print("\n" + "-" * WIDTH if verbose else "")
    demo.table()
    screen.print()
    if demo.wrong:
        screen.wrap(f"{len(demo.wrong)} of these answers were not as they must be, see WRONG "
                    "above. Please report it with all that `sudo python3 tests/demo.py -v' "
                    "prints.", 0, colour="red")
        return 1
    screen.print((NEXT if verbose else SHORT).rstrip("\n"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
