"""The filter under load: bare, with many cache files, counting logins, with
compromised accounts."""
import os
import shutil

from figure import Figure, rotate
from rig import (DNS_PORT, EACH, FILE_BYTES, HIGH, LOW, MANY, ROW_BYTES,
                 ROWS_FEW, USERS, Failed, note)


def measure_filter(bench, options):
    """Requests a second, start and memory against the bare filter."""
    no_log = None if bench.sink else "skipped: no /dev/log of our own"
    low = Figure("requests/s, cached low score", 0.5)
    high = Figure("requests/s, refusals logged", 0.3, skipped=no_log)
    cold = Figure("start to first reply, us", 2, least=False)
    memory = Figure("memory of 200 idle, PSS kB", 2, least=False)
    busy = ["-c", "50", "-w", "20", "-t", str(options.seconds)]
    starts = ["-c", "100", "-r", "0"]
    idle = ["-c", "200", "-r", "10", "-i", "0.3"]

    def addresses(first):
        return ["-a", f"{first},256"]

    runs = [
        ("bare", lambda: bench.load(busy + addresses(LOW))),
        ("low", lambda: bench.load(busy + addresses(LOW), "small")),
        ("bare starts", lambda: bench.load(starts + addresses(LOW))),
        ("starts", lambda: bench.load(starts + addresses(LOW), "small")),
        ("bare idle", lambda: bench.load(idle + addresses(LOW))),
        ("idle", lambda: bench.load(idle + addresses(LOW), "small")),
    ]
    if not no_log:
        runs.insert(2, ("high", lambda: bench.load(
            busy + addresses(HIGH), "small", "521")))
    refused = 0
    for i in range(options.rounds):
        note(f"round {i + 1} of {options.rounds}")
        got = {name: run() for name, run in rotate(runs, i)}
        rate = got["bare"]["requests_per_s"]
        low.add(rate, got["low"]["requests_per_s"])
        if not no_log:
            high.add(rate, got["high"]["requests_per_s"])
            refused += got["high"]["action_521"]
        cold.add(got["bare starts"]["cold_p50_us"],
                 got["starts"]["cold_p50_us"])
        memory.add(got["bare idle"]["spawned_pss_kb_avg"],
                   got["idle"]["spawned_pss_kb_avg"])
    if not no_log:
        logged = bench.end_syslog()
        if logged != refused:
            raise Failed(f"{refused:.0f} requests were refused, but "
                         f"{logged} lines were logged")
    return [low, high, cold, memory]


def measure_growth(bench, options):
    """Throughput with one and with very many cache files."""
    count = options.files
    head = ("requests/s, by cache files", "few", "many")
    same = Figure(f"1 -> {count:,} files", 0.9, head=head)
    spread = Figure("  the same, all of them asked", None, head=head)
    same.skipped = bench.lacks(count * FILE_BYTES * 1.2, count)
    if same.skipped:
        return [same]
    note(f"making {count:,} cache files")
    bench.config("one", bench.cache_dir("cache-one"))
    bench.fill("cache-one", MANY, 1, 12)
    bench.config("many", bench.cache_dir("cache-many"))
    bench.fill("cache-many", MANY, count, 12)
    os.sync()
    busy = ["-c", "50", "-w", "20", "-t", str(options.seconds)]
    one = busy + ["-a", f"{MANY},1"]
    everyone = busy + ["-a", f"{MANY},{count}"]
    runs = [("one", lambda: bench.load(one, "one")),
            ("many", lambda: bench.load(one, "many")),
            ("all", lambda: bench.load(everyone, "many"))]
    for i in range(options.pairs):
        note(f"pair {i + 1} of {options.pairs}")
        got = {name: run()["requests_per_s"]
               for name, run in rotate(runs, i)}
        same.add(got["one"], got["many"])
        spread.add(got["one"], got["all"])
    return [same, spread]


def measure_logins(bench, options):
    """Authenticated requests: each is a login counted in the store."""
    rate = Figure("logins/s, 1000 users", 0.1)
    slow = Figure("  p99 of them, us", 50000, least=False, absolute=True)
    cold = Figure("start to first login, us", 3, least=False)
    memory = Figure("memory of 200, store open, kB", 3.5, least=False)
    users = ["-u", str(USERS), "-a", f"{LOW},{EACH}"]
    kinds = {"busy": ["-c", "50", "-w", "20", "-t", str(options.seconds)],
             "starts": ["-c", "100", "-r", "0"],
             "idle": ["-c", "200", "-r", "10", "-i", "0.3"]}
    bench.config("logins", bench.cache_dir("logins"))
    runs = [((kind, config), command + users)
            for kind, command in kinds.items()
            for config in (None, "logins")]
    for i in range(options.rounds):
        note(f"logins: round {i + 1} of {options.rounds}")
        got = {key: bench.load_logins(command, key[1]) if key[1] else bench.load(command)
               for key, command in rotate(runs, i)}
        for figure, kind, name in (
                (rate, "busy", "requests_per_s"), (slow, "busy", "lat_p99_us"),
                (cold, "starts", "cold_p50_us"),
                (memory, "idle", "spawned_pss_kb_avg")):
            figure.add(got[kind, None][name], got[kind, "logins"][name])
    return [rate, slow, cold, memory]


def measure_rows(bench, options):
    """Logins with few and with very many rows in the store."""
    rows = options.rows
    head = ("logins/s, by rows stored", "few", "many")
    same = Figure(f"{ROWS_FEW:,} -> {rows:,} rows", 0.8, head=head)
    spread = Figure("  the same, all of them asked", None, head=head)
    same.skipped = bench.lacks(rows * ROW_BYTES)
    if same.skipped:
        return [same]
    note(f"making {rows:,} logins")
    bench.fill_store("few", ROWS_FEW)
    bench.fill_store("most", rows)
    os.sync()
    busy = ["-c", "50", "-w", "20", "-t", str(options.seconds),
            "-a", f"{LOW},{EACH}", "-u"]
    some = busy + [str(ROWS_FEW // EACH)]
    runs = [("few", lambda: bench.load(some, "few")),
            ("most", lambda: bench.load(some, "most")),
            ("all", lambda: bench.load(busy + [str(rows // EACH)], "most"))]
    for i in range(options.pairs):
        note(f"rows: pair {i + 1} of {options.pairs}")
        got = {name: run()["requests_per_s"]
               for name, run in rotate(runs, i)}
        same.add(got["few"], got["most"])
        spread.add(got["few"], got["all"])
    return [same, spread]


def measure_accounts(bench, options):
    """A listed account; a clean one that is looked up in two DNS zones."""
    listed = Figure("requests/s, listed account", 0.3)
    clean = Figure("requests/s, two DNS look-ups", 0.12)
    whole = Figure("  and the login counted", None)
    memory = Figure("memory of 200 of them, kB", 450, least=False,
                    absolute=True)
    if not shutil.which("dnsmasq"):
        clean.skipped = whole.skipped = memory.skipped = \
            "skipped: no dnsmasq"
    bench.config("whole", bench.cache_dir("accounts"))
    with open(f"{bench.top}/whole.conf", "a", encoding="ascii") as f:
        f.write("[authbl]\n"
                "zones = list.test=127.0.0.2\n"
                "recipient_zones = hash.list.test=127.0.0.2\n"
                f"resolver = 127.0.0.1:{DNS_PORT}\n"
                "[accounts]\naction = 554 5.7.1 Compromised\n")
    # What the Node daemon does: no logins are counted
    shutil.copy(f"{bench.top}/whole.conf", f"{bench.top}/accounts.conf")
    with open(f"{bench.top}/accounts.conf", "a", encoding="ascii") as f:
        f.write("[filter]\nchecks = accounts authbl\n")
    bench.give(f"{bench.top}/accounts.conf", 0o600)
    one = ["-a", f"{LOW},{EACH}"]
    users = ["-u", str(USERS), *one]
    busy = ["-c", "50", "-w", "20", "-t", str(options.seconds), *users]
    idle = ["-c", "200", "-r", "10", "-i", "0.3", *users]
    with bench.dns():
        bench.load(["-c", "1", "-r", "0", *users], "accounts")
        for i in range(options.rounds):
            note(f"accounts: round {i + 1} of {options.rounds}")
            runs = [("bare", lambda: bench.load(busy)),
                    ("bare idle", lambda: bench.load(idle))]
            if not clean.skipped:
                runs += [("clean", lambda: bench.load(busy, "accounts")),
                         ("whole", lambda: bench.load(busy, "whole")),
                         ("idle", lambda: bench.load(idle, "whole"))]
            got = {name: run() for name, run in rotate(runs, i)}
            bench.list_users("accounts")
            got["listed"] = bench.load(busy, "accounts", "554")
            bench.list_users("accounts", False)
            rate = got["bare"]["requests_per_s"]
            listed.add(rate, got["listed"]["requests_per_s"])
            if not clean.skipped:
                clean.add(rate, got["clean"]["requests_per_s"])
                whole.add(rate, got["whole"]["requests_per_s"])
                memory.add(got["bare idle"]["spawned_pss_kb_avg"],
                           got["idle"]["spawned_pss_kb_avg"])
    return [listed, clean, whole, memory]
