"""Offenders: reading the mail log, against grep(1), and looking clients up in
the list that it makes."""
import ipaddress
import json
import os
import shutil
import statistics
import time

from figure import Figure, rotate
from rig import LOW, OFFENDER_BYTES, OFFENDERS, OFFENDERS_FEW, Failed, note

PHRASES = ("does not resolve to address",
           "User unknown in virtual mailbox table", "authentication failed")
SHARE = 4000		# bytes of the log for each of its offenders
DAYS = 3		# that it began ago: it spans two
CALLS = 15		# of short commands in a round
FAIL2BAN_BYTES = 10 * 1000 * 1000	# of the log: it is slow
MEMORY_KB = 64 * 1024

RULES = "hostname-mismatch=1/1d unknown-recipient=1/1d auth-failure=1/1d"

# What an administrator writes: distinct addresses, in one pass.
AWK = r"""
/ does not resolve to address / {
	sub(/.* does not resolve to address /, ""); sub(/: .*/, "")
	seen[$0]; next
}
/: User unknown in virtual mailbox table/ {
	sub(/.*: reject: RCPT from [^[]*\[/, ""); sub(/\].*/, "")
	seen[$0]; next
}
/ authentication failed/ {
	sub(/.*: warning: [^[]*\[/, ""); sub(/\].*/, ""); seen[$0]
}
END { for (a in seen) n++; print n + 0 }
"""


def block_of(address):
    """As it is counted and listed by default."""
    bits = 64 if ":" in address else 32
    return str(ipaddress.ip_network(f"{address}/{bits}", strict=False))


def block_of_key(key):
    """The block of a key of an access map: a part of an address is a /64."""
    if ":" not in key:
        return block_of(key)
    if "::" not in key:
        groups = key.rstrip(":").split(":")
        key = ":".join(groups + ["0"] * (4 - len(groups))) + "::"
    return block_of(key)


class Log:
    """A mail log, the page cache full of it, and who offends in it."""

    def __init__(self, bench, options):
        self.bench, self.path = bench, f"{bench.top}/maillog"
        self.bytes = options.log_size * 1000 * 1000
        count = self.bytes // SHARE
        note(f"making a mail log of {options.log_size} MB")
        who = f"{bench.top}/who"
        bench.timed([bench.tool["maillog_gen"], "-m", str(options.log_size),
                     "-n", str(count), "-l", who,
                     "-t", str(int(time.time()) - DAYS * 86400)], self.path)
        with open(who, encoding="ascii") as f:
            self.blocks = {block_of(line.split()[0]) for line in f}
        if len(self.blocks) != count:
            raise Failed(f"{len(self.blocks)} offenders, not {count}")
        os.sync()	# writing to the disk would disturb
        self.rate(["cat", self.path])

    def rate(self, command, size=None, expected=None):
        """MB/s and kB of a command that reads it; the one line that it must
        print."""
        output = f"{self.bench.top}/output"
        took = self.bench.timed(command, output)
        if expected is not None:
            with open(output, encoding="utf-8") as f:
                said = f.read().strip()
            if said != expected:
                raise Failed(f"{command[0]} says {said[:99]}, not {expected}")
        return (size or self.bytes) / 1e6 / took["seconds"], took["sum_kb"]


class Scan:
    """A configuration that reads the log, and what comes out."""

    def __init__(self, bench, log, kind):
        self.bench, self.log, self.name = bench, log, "scan"
        self.cache = bench.cache_dir(self.name)
        self.maps = f"{bench.top}/maps"
        os.mkdir(self.maps)
        bench.config(self.name, self.cache, os.path.basename(log.path),
                     f"rules = {RULES}\n" +
                     (f"map = {kind}:{self.maps}/access\n" if kind else ""))

    def forget(self):
        """As before the first scan."""
        for directory in self.cache, self.maps:
            for name in os.listdir(directory):
                os.unlink(f"{directory}/{name}")

    def run(self, *options):
        """MB/s and kB."""
        took = self.bench.scan(self.name, *options)
        return self.log.bytes / 1e6 / took["seconds"], took["sum_kb"]

    def first(self):
        self.forget()
        return self.run()

    def more(self):
        """Microseconds of `abictl --version', and that a scan takes longer
        when there is nothing new to read."""
        took = {"version": [], "scan": []}
        for _ in range(CALLS):
            took["version"].append(self.bench.timed(
                [f"{self.bench.top}/sbin/abictl", "--version"])["seconds"])
            took["scan"].append(self.bench.scan(self.name)["seconds"])
        version, scan = (statistics.median(column) * 1e6
                         for column in took.values())
        return version, scan - version

    def check(self):
        """Exactly those whom the log has must come out, everywhere."""
        output = f"{self.bench.top}/output"
        self.bench.scan(self.name, "--dry-run", output=output)
        with open(output, encoding="utf-8") as f:
            got = {"the dry run": {line.split()[0] for line in f
                                   if "/" in line.split(" ", 1)[0]}}
        self.forget()
        self.bench.scan(self.name, "--json", output=output)
        with open(output, encoding="ascii") as f:
            said = json.load(f)
        if said["listed"] != len(self.log.blocks):
            raise Failed(f"the snapshot has {said['listed']} offenders, not "
                         f"{len(self.log.blocks)}")
        with self.bench.store(self.name) as db:
            got["the store"] = {block for block, in db.execute(
                "SELECT block FROM abichecker_offenders WHERE listed")}
        if os.listdir(self.maps):
            with open(f"{self.maps}/access", encoding="ascii") as f:
                got["the map"] = {block_of_key(line.split()[0])
                                  for line in f if line[0] not in "# \n"}
        for where, blocks in got.items():
            if blocks != self.log.blocks:
                raise Failed(f"{where} has {len(blocks)} offenders, of "
                             f"{len(self.log.blocks)} not "
                             f"{sorted(self.log.blocks - blocks)[:3]}")
        return str(said["hits"])


def map_kind(bench):
    """A type of map that postmap(1) has here, or None."""
    if not shutil.which("postconf") or not shutil.which("postmap"):
        return None
    kinds = bench.call(["postconf", "-m"]).split()
    return next((kind for kind in ("hash", "lmdb") if kind in kinds), None)


def slice_of(log):
    """The beginning of the log, for who is slow."""
    path = f"{log.bench.top}/maillog-slice"
    with open(log.path, "rb") as f, open(path, "wb") as out:
        return path, out.write(f.read(FAIL2BAN_BYTES))


def measure_scan(bench, options):
    """Reading a mail log, against grep that looks for three of its phrases."""
    head = ("MB/s of a mail log", "grep", "ours")
    lacking = bench.lacks(options.log_size * 1e6 * 1.5)
    kind = map_kind(bench)
    dry = Figure("scan --dry-run", 1, skipped=lacking, head=head)
    if lacking:
        return [dry]
    whole = Figure(f"scan: store, snapshot, {kind}" if kind
                   else "scan: store, snapshot", 0.333, head=head)
    awk = Figure("  awk, distinct addresses", None, head=head)
    fail2ban = Figure("  fail2ban-regex, aggressive", None, head=head)
    head = ("", "grep", "ours")
    dry_memory = Figure("memory of a dry run, kB", MEMORY_KB, least=False,
                        absolute=True, head=head)
    memory = Figure("memory of a scan, kB", MEMORY_KB, least=False,
                    absolute=True, head=head)
    more = Figure("nothing new to read, us", 10000, least=False,
                  absolute=True, head=("", "--version", "more"))
    if not kind:
        note("no postmap: scans without a map")
    if not shutil.which("fail2ban-regex"):
        fail2ban.skipped = "skipped: not installed"
    log = Log(bench, options)
    scan = Scan(bench, log, kind)
    hits = scan.check()
    grep = ["env", "LC_ALL=C", "grep", "-c", "-F"]
    for phrase in PHRASES:
        grep += ["-e", phrase]
    part, size = slice_of(log)
    runs = [("grep", lambda: log.rate(grep + [log.path], expected=hits)),
            ("dry", lambda: scan.run("--dry-run")),
            ("whole", scan.first),
            ("awk", lambda: log.rate(["env", "LC_ALL=C", "awk", AWK, log.path],
                                     expected=str(len(log.blocks))))]
    if not fail2ban.skipped:
        runs.append(("fail2ban", lambda: log.rate(
            ["fail2ban-regex", part, "postfix[mode=aggressive]"], size)))
    for i in range(options.rounds):
        note(f"scan: round {i + 1} of {options.rounds}")
        got = {name: run() for name, run in rotate(runs, i)}
        got["more"] = scan.more()
        rate, room = got["grep"]
        for figure, name in ((dry, "dry"), (whole, "whole"), (awk, "awk"),
                             (fail2ban, "fail2ban")):
            if name in got:
                figure.add(rate, got[name][0])
        dry_memory.add(room, got["dry"][1])
        memory.add(room, got["whole"][1])
        more.add(*got["more"])
    return [dry, whole, awk, fail2ban, dry_memory, memory, more]


def measure_offenders(bench, options):
    """The check with few and with very many offenders, and making the snapshot
    of them."""
    many = options.offenders
    head = ("requests/s, by offenders", "few", "many")
    other = Figure(f"{OFFENDERS_FEW} -> {many:,}, not listed", 0.833,
                   head=head)
    same = Figure("  the same, listed", 0.833, head=head)
    spread = Figure("  the same, all of them asked", None, head=head)
    rebuild = Figure("snapshot rebuilt, ms", 2000, least=False,
                     absolute=True, head=("", "few", "many"))
    other.skipped = bench.lacks(many * OFFENDER_BYTES)
    if other.skipped:
        return [other]
    note(f"making {many:,} offenders")
    for name, count in ("listed-few", OFFENDERS_FEW), ("listed-many", many):
        bench.config(name, bench.cache_dir(name))
        bench.fill(name, LOW, 256, 12)
        bench.scan(name)	# makes the tables
        bench.fill_offenders(name, count)
    os.sync()
    busy = ["-c", "50", "-w", "20", "-t", str(options.seconds)]

    def ask(name, first, count, answer):
        return lambda: bench.load(busy + ["-a", f"{first},{count}"], name,
                                  answer)["requests_per_s"]

    def publish(name):
        def run():
            bench.new_generation(name)
            return bench.scan(name)["seconds"] * 1000
        return run
    few, most = "listed-few", "listed-many"
    runs = [("other few", ask(few, LOW, 256, "DUNNO")),
            ("other many", ask(most, LOW, 256, "DUNNO")),
            ("same few", ask(few, OFFENDERS, OFFENDERS_FEW, "REJECT")),
            ("same many", ask(most, OFFENDERS, OFFENDERS_FEW, "REJECT")),
            ("spread", ask(most, OFFENDERS, many, "REJECT")),
            ("made few", publish(few)),
            ("made many", publish(most))]
    for i in range(options.pairs):
        note(f"offenders: pair {i + 1} of {options.pairs}")
        got = {name: run() for name, run in rotate(runs, i)}
        other.add(got["other few"], got["other many"])
        same.add(got["same few"], got["same many"])
        spread.add(got["same few"], got["spread"])
        rebuild.add(got["made few"], got["made many"])
    return [other, same, spread, rebuild]
