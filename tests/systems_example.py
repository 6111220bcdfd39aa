"""master.cf.example, taken at its word: its services without their comment signs, and what it says
about main.cf, one set-up after the other."""
import os
import re

from mailhost import BAD, KEY, run
from walk import TOP, logins_are_counted, refuses, reload

INSTALL = "Install into Postfix"


def lines():
    with open(os.path.join(TOP, "master.cf.example"), encoding="utf-8") as file:
        return file.read().splitlines()


def service(name):
    """The lines of a service, a comment or not; a blank line is its end."""
    found, taken = [], False
    for line in lines():
        text = line[1:] if re.match(r"#(\S| {4}-o| {4,}\w+=| {9})", line) else line
        begins = re.match(rf"{re.escape(name)}\s+(unix|inet)\s", text)
        if begins or taken and text.startswith(" "):
            found.append(text)
        taken = bool(begins or taken and text.startswith(" "))
    assert found, name
    return "\n".join(found)


def settings(name):
    """All values of a parameter of main.cf that stand there."""
    found, taken = [], False
    for line in lines():
        begins = re.match(rf"#   {name} = (.*)", line)
        if begins:
            found.append(begins[1])
        elif taken and re.match(r"# {7,}\S", line):
            found[-1] += f" {line[1:].strip()}"
        taken = bool(begins or taken and line.startswith("#       "))
    return found


def add_service(text):
    with open("/etc/postfix/master.cf", "a", encoding="utf-8") as file:
        file.write(f"{text}\n")


def one(name):
    value, = settings(name)
    return f"{name}={value}"


def check(walk, what):
    """Mail flows, a bad client is refused; a case."""
    try:
        reload(walk)
        walk.host.ordinary_mail()
        refuses(walk, BAD, "Bad host reputation")
    except Exception as error:
        walk.cases.fails(f"master.cf.example: {what}", str(error))
    else:
        walk.cases.passes(f"master.cf.example: {what}")


def play(walk):
    walk.follow(INSTALL, 1)
    walk.host.configure(reputation__token=KEY * 2 + KEY[:16], reputation__url=walk.host.api.url)
    behind_users, before_users = settings("smtpd_recipient_restrictions")

    add_service(service("abichecker"))
    run("postconf", "-e", one("abichecker_time_limit"),
        f"smtpd_recipient_restrictions={behind_users}")
    check(walk, "port 25")
    run("postconf", "-e", one("abichecker_auth"))
    run("postconf", "-MX", "submission/inet")
    add_service(service("submission"))
    check(walk, "submission")
    logins_are_counted(walk)
    run("postconf", "-e", f"smtpd_recipient_restrictions={before_users}")
    check(walk, "users on port 25")
    add_service(service("10.0.0.5:10040").replace("10.0.0.5", "127.0.0.1"))
    run("postconf", "-e", "smtpd_recipient_restrictions=" + behind_users.replace(
        "unix:private/abichecker", "inet:127.0.0.1:10040"))
    check(walk, "a filter host")
    add_service(service("127.0.0.1:9998"))
    run("postconf", "-e", one("smtpd_policy_service_default_action"),
        "smtpd_recipient_restrictions=permit_mynetworks, permit_sasl_authenticated, "
        "check_policy_service inet:127.0.0.1:9998")
    check(walk, "the port of an old daemon")
