"""How tests/systems.py goes through README.md and docs/: which sections on which servers, and the one
table of what is not done as it stands there, with the reason.

A block of shell commands that is in no row is typed as it is. A block without a language that begins
with `[section]` or with an option goes into the configuration; others are there to be looked at. A
block in another language must have a row. A row that fits no block or paragraph, or several, is a
failure."""
import collections
import contextlib
import glob
import gzip
import os
import re
import shutil
import smtplib
import sqlite3
import subprocess
import time

import before
import document
import mailhost
import mmdb
import systems_example
from mailhost import BAD, KEY, LOG, SERVER, USER, run
from publisher import KNOWN, Publisher, packed
from walk import (DOCUMENTS, Row, Walk, both, by_scenario, configured, done, fits, following,
                  logins_are_counted, options, refuses, reload, setting, skipped, typed)

INSTALL, BY_HAND, HACKED, LISTS = ("Install into Postfix", "Postfix by hand", "Hacked accounts",
                                   "Stolen accounts on DNS lists")
OFFENDERS, MAP = "Find offenders", "The filter, a map, or both"
SEVERAL = "Move the store to a server"
LOGS, REFUSED, STOPPED = ("Where the logs go", "Why was this client refused?",
                          "Why was this account stopped?")
DEBUGGING, UNINSTALL = "Debugging the conversation", "Upgrade and uninstall"
SCRIPT, POSTFWD, ABUSIX, AUTOBLACKLISTING = (
    f"Moving over from {name}" for name in (
        "the shell script", "the postfwd plugin", "the Abusix daemon", "the blacklisting script"))
PORT = "The port of an old daemon"
NEW = (INSTALL, HACKED, LISTS, OFFENDERS, MAP, SEVERAL, LOGS, REFUSED, STOPPED, DEBUGGING, UNINSTALL)

# form: of the submission service. predecessor: what runs there before. sections: in this
# order; a function of the walk among them is another document.
Scenario = collections.namedtuple("Scenario", "form predecessor sections")
SCENARIOS = {
    "new-plain": Scenario("plain", None, NEW),
    "new-debian": Scenario("debian", None, NEW),
    "new-older": Scenario("older", None, NEW),
    "new-own-list": Scenario("debian", before.own_list, (INSTALL, HACKED)),
    "new-example": Scenario("debian", None, (systems_example.play,)),
    "from-script": Scenario("debian", before.script, (SCRIPT,)),
    "from-abusix": Scenario("debian", before.abusix, (ABUSIX,)),
    "from-abusix-redis": Scenario("older", before.abusix, (ABUSIX,)),
    "from-abusix-port": Scenario("plain", before.abusix, (ABUSIX,)),
    "from-autoblacklisting": Scenario("plain", before.autoblacklisting, (AUTOBLACKLISTING,)),
    "from-postfwd": Scenario("debian", before.postfwd, (POSTFWD,)),
    "from-postfwd-port": Scenario("plain", before.postfwd, (POSTFWD,)),
}

GUESSER, SECOND = "45.83.64.1", "45.83.65.1"  # whom the mail log tells of
TRAVELS = ("175.16.199.1", "202.196.224.1", "67.43.156.1", "216.160.83.56", "2.125.160.216",
           "89.160.20.200")
STORE = "postgresql://abichecker@db.example.net/abichecker?sslmode=verify-full"


def first_commands():
    """Of the first block of the installation, what needs no Postfix: packages, make."""
    block = next(item.text for item in document.read_all(DOCUMENTS)
                 if item.section == INSTALL and item.language == "sh")
    lines = block.splitlines()
    assert lines[-1] == "sudo make install", block
    return lines[:-1]


# What is done besides, so that there is something to see, and to see whether there is

def bad_client_is_refused(walk):
    walk.host.configure(filter__dry_run=None)
    reload(walk)
    refuses(walk, BAD, "Bad host reputation")


def journeys(walk):
    """The user's account is used in many countries."""
    for address in TRAVELS:
        walk.host.submit(address)


def publisher(walk):
    """It has the database that is here."""
    stand_in = Publisher().start()
    stand_in.files["country", 0] = packed(mmdb.image({**KNOWN, **mailhost.PLACES},
                                                     kind="DBIP-Country-Lite"))
    walk.host.configure(geocount__database_url=stand_in.url)


def places_are_known(_walk):
    text = run("abictl", "selftest")
    assert re.search(r"^ok +geocount: /var/lib/abichecker/.*DBIP-Country-Lite", text,
                     re.MULTILINE), text


def rotated_logs(_walk):
    with open(LOG, "rb") as log, open(f"{LOG}.1", "wb") as file:
        file.write(log.read())
    with open(f"{LOG}.1", "rb") as log, gzip.open(f"{LOG}.2.gz", "wb") as file:
        file.write(log.read())


def guess(address):
    """A client tries names out."""
    with smtplib.SMTP(SERVER, 25, "guess.example.net", 30, (address, 0)) as smtp:
        smtp.ehlo()
        smtp.mail("x@example.net")
        for name in range(6):
            smtp.rcpt(f"nobody{name}@{mailhost.DOMAIN}")


def guesses(walk):
    """Such a client is found, and comes again."""
    guess(GUESSER)
    time.sleep(1)
    scan()
    walk.host.receive(GUESSER)


def scan():
    """As the timer does, after its time."""
    run("systemctl", "stop", "abichecker-scan.timer")
    run("systemctl", "start", "abichecker-scan.timer")


def listed(walk):
    refuses(walk, GUESSER, "Listed for abuse")


def found_again(_walk):
    """So that the map has somebody."""
    lines = mailhost.read_all("/etc/abichecker/whitelist.txt").splitlines()
    mailhost.put("/etc/abichecker/whitelist.txt",
                 "".join(f"{line}\n" for line in lines if line != GUESSER))
    run("abictl", "blacklist", "add", GUESSER, "for the map")


def map_refuses(walk):
    """Others than users; her address may be listed."""
    refuses(walk, GUESSER, "Mail server found in the local blacklist")
    walk.host.submit(GUESSER)
    guess(SECOND)  # abichecker-follow.service brings it into the map
    end = time.monotonic() + 20
    while SECOND not in mailhost.read_all("/etc/postfix/abichecker"):
        assert time.monotonic() < end, mailhost.read_all("/etc/postfix/abichecker")
        time.sleep(0.2)
    refuses(walk, SECOND, "Mail server found in the local blacklist")


def reads_log(walk):
    """Does the scan read the log, with the rights that the filter's user has?"""
    del walk
    text = subprocess.run(["abictl", "selftest"], capture_output=True, text=True,
                          check=False).stdout
    return re.search(rf"^ok +mail log: .*{LOG}", text, re.MULTILINE), text


def unreadable_log(walk):
    """As on Red Hat Enterprise Linux; then the scan passes it over."""
    os.chmod(LOG, 0o600)
    shutil.chown(LOG, "root", "root")
    found, text = reads_log(walk)
    assert not found, text


def readable_log(walk):
    """Also after it was rotated; rsyslog as it makes files there."""
    found, text = reads_log(walk)
    assert found, text
    run("logrotate", "--force", "/etc/logrotate.conf")
    run("pkill", "-HUP", "rsyslogd")  # as systemd would have been told
    walk.host.seen = 0
    walk.host.ordinary_mail()
    found, text = reads_log(walk)
    assert found, text
    os.chmod(LOG, 0o640)
    shutil.chown(LOG, "root", "adm")


def database(walk, item, name):
    """Typed at psql's prompt; and the server gets a certificate for its name that this system
    believes, as an administrator has one."""
    directory = before.start_postgresql()
    before.psql(item.text.replace("PASSWORD 'PASSWORD'", "PASSWORD 'se-cret'"))
    run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj",
        "/CN=db.example.net", "-addext", "subjectAltName=DNS:db.example.net", "-keyout",
        f"{directory}/key.pem", "-out", f"{directory}/certificate.pem")
    shutil.chown(f"{directory}/key.pem", "postgres", "postgres")
    shutil.copy(f"{directory}/certificate.pem", "/usr/local/share/ca-certificates/db.crt")
    run("update-ca-certificates")
    with open(f"{directory}/conf.d/network.conf", "w", encoding="utf-8") as file:
        file.write("listen_addresses = '*'\nssl = on\n"
                   f"ssl_cert_file = '{directory}/certificate.pem'\n"
                   f"ssl_key_file = '{directory}/key.pem'\n")
    with open("/etc/hosts", "a", encoding="utf-8") as file:
        file.write(f"{SERVER} db.example.net\n")
    walk.cases.passes(name)


def pg_hba(walk, item, name):
    directory = glob.glob("/etc/postgresql/*/main")[0]
    with open(f"{directory}/pg_hba.conf", "a", encoding="utf-8") as file:
        file.write(item.text)
    run("pg_ctlcluster", directory.split("/")[3], "main", "restart")
    walk.cases.passes(name)


def redis_user(walk, item, name):
    """And abictl as this user."""
    with open("/etc/redis/redis.conf", "a", encoding="utf-8") as file:
        file.write(item.text.replace("PASSWORD", "se-cret"))
    before.start_redis()
    mailhost.put("/run/systems-password", "se-cret\n")
    command = ["abictl", "-o", "store.url=redis://abichecker@127.0.0.1", "-o",
               "store.password_file=/run/systems-password"]
    run(*command, "store", "status")
    run(*command, "accounts", "add", before.FOUND)
    assert before.FOUND in run("redis-cli", "SMEMBERS", "compromised_accts")
    walk.cases.passes(name)


def store_lines(walk, item, _name):
    """One of the lines: that of PostgreSQL."""
    lines = [line for line in item.text.splitlines() if not line.startswith("url = ") or
             line.startswith("url = postgresql:")]
    assert f"url = {STORE}" in lines, lines
    walk.set(walk.options_of("\n".join(lines)))


def users_file(walk, item, _name):
    mailhost.put("/etc/abichecker/users", item.text)
    walk.host.configure(geocount__users_file="/etc/abichecker/users")


def verbose(walk, item, name):
    service = " ".join(item.text.split())
    run("postconf", "-M", f"smtp/inet={service}")
    reload(walk)
    walk.host.ordinary_mail()
    text = mailhost.log_text()
    assert "send attr client_address" in text and "input attribute name: action" in text
    run("postconf", "-M", f"smtp/inet={service.replace(' -v', '')}")
    reload(walk)
    walk.cases.passes(name)


def another_map(walk):
    """The map has gone from the configuration."""
    walk.host.configure(blacklist__map=None)


def the_map_again(walk):
    """The map is in the configuration, and has lines of ours."""
    walk.host.configure(blacklist__map="/etc/postfix/abichecker")
    run("abictl", "scan")
    text = mailhost.read_all("/etc/postfix/abichecker")
    assert GUESSER in text, text


def own_lines_only(_walk):
    text = mailhost.read_all("/etc/postfix/abichecker")
    assert GUESSER not in text, text


def nothing_left(walk):
    """Nothing of ours runs, Postfix knows nothing of it, and its map has no line of ours."""
    deadline = time.monotonic() + 20  # a filter ends when its smtpd does
    while mailhost.ours_running() and time.monotonic() < deadline:
        time.sleep(0.2)
    assert not mailhost.ours_running(), mailhost.ours_running()
    for option in "-n", "-M", "-P":
        text = run("postconf", option)
        assert "abichecker" not in text, text
    active = [name for name in os.listdir("/run/systemctl") if name.startswith("abichecker")]
    assert not active, active
    assert not glob.glob("/usr/local/sbin/abi*"), "programs are left"


def copied_scores(_walk):
    assert os.path.exists("/var/cache/abichecker/8.8.4.4"), os.listdir("/var/cache/abichecker")


def found_account(_walk):
    text = run("abictl", "accounts", "list")
    assert before.FOUND in text, text


def found_account_is_seen(walk):
    """The filter is asked about users, and knows what the daemon knew."""
    walk.host.submit(user=before.FOUND)
    assert "would act: check=accounts" in mailhost.log_text(), mailhost.log_text()[-2000:]


def daemon_stops(_walk):
    run("systemctl", "disable", "--now", "abusix_auth_ppd")


def port_is_ours(_walk):
    """The old daemon does not run; and who looks whether all is well is told so."""
    text = run("abictl", "selftest")
    assert re.search(r"^ok +Postfix: port 25 asks 127\.0\.0\.1:", text, re.MULTILINE), text
    for path in glob.glob("/proc/[0-9]*/cmdline"):
        assert "/daemon.py" not in mailhost.read_all(path), path


def postfwd_goes(walk):
    """The plugin's line goes, the limits count; nothing asks postfwd."""
    run("postconf", "-e", "smtpd_recipient_restrictions=permit_mynetworks, "
        "permit_sasl_authenticated, reject_unauth_destination")
    walk.host.configure(geocount__action=None)
    reload(walk)
    run("systemctl", "disable", "--now", "postfwd")


def old_configuration(_walk, item, _name):
    """The file in which the text says where the plugin's database is, and its password."""
    text = item.text.replace("mysql://USER@HOST/DBNAME", "postgresql://postfwd@127.0.0.1/postfwd")
    assert text != item.text, text
    for path, content in (("old.conf", text), ("old.password", "old\n")):
        mailhost.put(f"/etc/abichecker/{path}", content, 0o640)
        shutil.chown(f"/etc/abichecker/{path}", "root", "abichecker")


def old_logins(_walk):
    """Bob's, that only the plugin has seen."""
    text = run("abictl", "logins", "bob@example.com")
    assert "2.125.160.216" in text, text


def old_file(_walk):
    """What the plugin's own SQL makes of an SQLite file."""
    with contextlib.closing(sqlite3.connect("/root/plugin.db")) as database, database:
        database.execute("CREATE TABLE postfwd_logins (sasl_username varchar(100), ip_address "
                         "varchar(45), state_code varchar(4), login_count int, "
                         "last_login timestamp)")
        database.execute("INSERT INTO postfwd_logins VALUES ('eve@example.com', '81.2.69.142', "
                         "'GB', 3, datetime('now'))")


def old_file_is_copied(_walk):
    text = run("abictl", "logins", "eve@example.com")
    assert "81.2.69.142" in text, text


def grants(_walk, item, _name):
    """At the prompt of psql, as the text says, after the role is made."""
    before.psql("CREATE ROLE abichecker LOGIN PASSWORD 'se-cret'")
    before.psql(item.text.replace("DBNAME", "postfwd"), "postfwd")
    mailhost.put("/etc/abichecker/store.password", "se-cret\n", 0o640)
    shutil.chown("/etc/abichecker/store.password", "root", "abichecker")


def own_lines_stay(_walk):
    text = mailhost.read_all("/etc/postfix/access")
    assert all(line in text for line in before.KEPT) and "1234" not in text, text


def last_item(walk, item, name):
    if walk.name != "new-own-list":
        walk.type(item.text, name)
        return
    ask = " ".join(re.search(r"check_policy_service \{[^}]*\}", item.text)[0].replace(
        "\\\n", " ").split())
    own = run("postconf", "-h", "smtpd_recipient_restrictions").strip()
    run("postconf", "-e", f"smtpd_recipient_restrictions={own}, {ask}")
    walk.host.ordinary_mail()
    walk.cases.passes(name)


def enabled(walk, item, name):
    """What the block says, or what it says to do where it does not guess."""
    if walk.name != "new-own-list":
        walk.type(item.text, name)
        return
    text = run("sh", "-c", "! abictl postfix enable mx 2>&1")
    assert "smtpd_relay_restrictions is empty" in text and "nothing was changed" in text, text
    walk.follow(BY_HAND)


STEPS = (
    # Installation
    Row(INSTALL, "sudo ${EDITOR:-vi} /etc/abichecker/abichecker.conf",
        typed(edit=lambda walk: {"reputation.token": KEY * 2 + KEY[:16], "filter.dry_run": "yes",
                                 "reputation.url": walk.host.api.url}),
        "the editor does what the text says, and names our API"),
    Row(INSTALL, "sudo abictl check --live 192.0.2.1", typed(then=bad_client_is_refused),
        "then no dry run any more, and a client with a bad score"),

    Row(INSTALL, "sudo abictl postfix enable mx --dry-run", enabled,
        "with a list from before 2.10 it is refused, and done by hand"),
    Row(BY_HAND, 'sudo postconf -e "smtpd_recipient_restrictions = permit_mynetworks', last_item,
        "where there is a list, only the last item of it"),
    Row(BY_HAND, "sudo postconf -n | grep", by_scenario({}), "it goes on"),
    Row(BY_HAND, "sudo postconf -# smtpd_recipient_restrictions", by_scenario({}), "it goes on"),

    # Accounts
    Row(HACKED, "sudo abictl geoip update sudo systemctl",
        typed(first=publisher, then=places_are_known), "the publisher is played"),
    Row(HACKED, "sudo abictl logins --countries 2", typed(first=journeys, then=logins_are_counted),
        "somebody must have come from many countries"),
    Row(HACKED, "ann@example.com countries=12", users_file, "a file of its own"),
    Row(HACKED, "Take `action = log` out again",
        done(both(configured(geocount__action=None), reload)), "a paragraph"),
    Row(LISTS, "apikey = YOUR_KEY", options({"YOUR_KEY": KEY}), "the reader's own key"),
    Row(LISTS, "zones = YOUR_KEY", options({"YOUR_KEY": KEY}), "the reader's own key"),
    Row(LISTS, "brings it into force.", done(reload), "a paragraph"),
    Row(LISTS, "sasl_username=USER", typed({"USER": USER}), "the name of a user"),

    # Offenders
    Row(OFFENDERS, "sudo abictl scan --dry-run sudo abictl", typed(first=rotated_logs),
        "there must be rotated logs"),
    Row(OFFENDERS, "Refuse nobody at first, with `action = log`", setting(blacklist__action="log"),
        "a paragraph"),
    Row(OFFENDERS, "sudo abictl blacklist sudo journalctl", typed(first=guesses),
        "there must be an offender"),
    Row(OFFENDERS, "Take `action = log` out again",
        done(both(configured(blacklist__action=None), reload, listed)), "a paragraph"),
    Row(OFFENDERS, "sudo abictl whitelist add 192.0.2.1", typed({"192.0.2.1": GUESSER}),
        "the address of an offender"),
    Row(OFFENDERS, "sudo setfacl -m u:abichecker:r", typed({"/var/log/maillog": LOG},
                                                          first=unreadable_log, then=readable_log),
        "Debian's name of the log, with the mode that it has elsewhere"),
    Row(MAP, "for unit in scan follow", typed(first=found_again, then=map_refuses),
        "there must be an offender"),
    Row(MAP, "sudo restorecon", skipped, "Debian has no SELinux policy"),

    # Several servers
    Row(SEVERAL, "CREATE ROLE abichecker", database, "typed at another prompt"),
    Row(SEVERAL, "hostssl abichecker", pg_hba, "a line in a file"),
    Row(SEVERAL, "CREATE USER abichecker@", skipped, "two kinds of servers will do"),
    Row(SEVERAL, "user abichecker on >PASSWORD", redis_user, "a line in a file"),
    Row(SEVERAL, "/etc/abichecker/store.password sudo ${EDITOR:-vi}", typed(edit="se-cret\n"),
        "the editor writes the password"),
    Row(SEVERAL, "url = mysql://", store_lines, "one of these lines"),

    # Questions
    Row(STOPPED, "sudo abictl accounts show", typed(
        first=lambda _: run("abictl", "accounts", "add", USER, "for the test")),
        "the account must be on the list"),
    Row(DEBUGGING, "smtp inet n", verbose, "a line in master.cf, and its effect"),
    Row(UNINSTALL, "unmap /etc/postfix/abichecker", typed(first=another_map, then=own_lines_only),
        "the map must have been changed"),
    Row(UNINSTALL, "^sudo abictl blacklist unmap$", typed(first=the_map_again, then=own_lines_only),
        "with lines of ours in it"),
    Row(UNINSTALL, "sudo make uninstall", typed(then=nothing_left), "and a look at what is left"),

    # From the shell script
    Row(SCRIPT, "Follow steps 1 and 2 of", following((INSTALL, 1, 2)), "a paragraph"),
    Row(SCRIPT, "sudo abictl cache import", typed(then=copied_scores), "and a look"),
    Row(SCRIPT, "sudo postconf -F", typed(then=bad_client_is_refused), "and a look"),

    # From postfwd
    Row(POSTFWD, "Follow [Install](../README.md#install-into-postfix), step 1 (you",
        following((INSTALL, 1), HACKED), "a paragraph"),
    Row(POSTFWD, "take postfwd's `check_policy_service` out", by_scenario({
        "from-postfwd": done(postfwd_goes), "from-postfwd-port": following(PORT)}), "a paragraph"),
    Row(POSTFWD, "[store] url = mysql://USER@HOST/DBNAME", old_configuration,
        "a file of its own, of the reader's database"),
    Row(POSTFWD, "sudo abictl store copy /etc/abichecker/old.conf", typed(then=old_logins),
        "and a look"),
    Row(POSTFWD, "/PATH/OF/THE/PLUGINS.db", typed(
        {"/PATH/OF/THE/PLUGINS.db": "/root/plugin.db"}, first=old_file, then=old_file_is_copied),
        "the reader's own file"),
    Row(POSTFWD, "GRANT CONNECT ON DATABASE", grants, "typed at psql's prompt"),
    Row(POSTFWD, "GRANT SELECT, INSERT", skipped, "there is no MySQL here: tests/e2e_plugin.py"),
    Row(POSTFWD, "sudo abictl -o store.timeout=60s store status", typed(first=configured(
        store__url="postgresql://abichecker@127.0.0.1/postfwd",
        store__password_file="/etc/abichecker/store.password")), "the lines that the text names"),

    # From the Abusix daemon
    Row(ABUSIX, "Follow [Install](../README.md#install-into-postfix), step 1 (you",
        following((INSTALL, 1)), "a paragraph"),
    Row(ABUSIX, "redis-cli SMEMBERS compromised_accts |", by_scenario({
        "from-abusix": typed(then=found_account), "from-abusix-port": typed(then=found_account)}),
        "not where Redis is the store"),
    Row(ABUSIX, "With its Redis as the store (several", by_scenario({
        "from-abusix-redis": done(both(configured(store__url="redis://127.0.0.1"), reload,
                                       found_account))}), "a paragraph"),
    Row(ABUSIX, "Call the filter from the submission service, in its client restrictions", by_scenario({
        "from-abusix": following((HACKED, 3)), "from-abusix-redis": following((HACKED, 3)),
        "from-abusix-port": following(PORT)}),
        "a paragraph"),
    Row(ABUSIX, "sudo postconf -# smtpd_sender_restrictions", by_scenario({
        "from-abusix": typed(then=found_account_is_seen),
        "from-abusix-redis": typed(then=found_account_is_seen)}), "not where the port is taken"),
    Row(ABUSIX, "Then stop the daemon;", by_scenario({
        "from-abusix": done(daemon_stops), "from-abusix-redis": done(daemon_stops)}),
        "a paragraph"),
    Row(PORT, "sudo postconf -M \"127.0.0.1:9998/inet", by_scenario({
        "from-abusix-port": typed(then=both(found_account_is_seen, port_is_ours)),
        "from-postfwd-port": typed({"9998": "10040", "abusix_auth_ppd": "postfwd"},
                                   then=both(logins_are_counted, port_is_ours))}),
        "port and unit of the daemon"),

    # From postfix-autoBlacklisting
    Row(AUTOBLACKLISTING, "grep -nE", typed(then=own_lines_stay), "and a look"),
    Row(AUTOBLACKLISTING, "Follow [Install](../README.md#install-into-postfix) (you",
        following(INSTALL, OFFENDERS, MAP), "a paragraph"),
    Row(AUTOBLACKLISTING, "sudo rm -f /etc/systemd/system/Postfix", typed(then=own_lines_stay),
        "and a look"),
)


def rows_that_fit_badly():
    """Rows that fit no item of the documents, or several."""
    items = document.read_all(DOCUMENTS)
    return [f"{row.section}: {row.fragment}: fits {count} places" for row in STEPS
            for count in [sum(fits(row, item) for item in items)] if count != 1]


def play(name, cases):
    """One scenario, on a fresh server."""
    scenario = SCENARIOS[name]
    host = mailhost.MailHost(scenario.form)
    host.start()
    if scenario.predecessor:
        scenario.predecessor(host)
    host.ordinary_mail()
    cases.passes("before anything is done")
    walk = Walk(name, host, cases, STEPS)
    for section in scenario.sections:
        if callable(section):
            section(walk)
        else:
            walk.follow(section)
    why = host.delivered()
    if why:
        cases.fails("delivery", why)
    else:
        cases.passes("delivery")
    host.stop()
