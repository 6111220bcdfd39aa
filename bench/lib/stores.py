"""Logins with every kind of store, each server as it comes: how many a second, how long the
slowest waits, over few and very many connections. Every login sent must be counted, in every run."""
import contextlib

from figure import Figure, rotate
from rig import EACH, LOW, USERS, Failed, note

import servers  # of the tests; rig has made it known

PLUGIN = 240  # logins/s of the postfwd plugin on the same kinds of server
KINDS = {"SQLite": None, "PostgreSQL": servers.PostgreSQL, "MariaDB": servers.MariaDB,
         "Redis": servers.Redis}
# How many connections a server takes, as it comes
MOST = {"PostgreSQL": lambda server: int(server.sql("SHOW max_connections")),
        "MariaDB": lambda server: int(server.sql("SELECT @@max_connections")),
        "Redis": lambda server: int(server.cli("CONFIG", "GET", "maxclients").split()[-1])}
SPARE = 20  # connections of a server that are not for filters
SWEEP = {10: 400, 50: 200, 100: 100, 200: 60, 500: 20}  # connections: logins over each
LONGEST = 1000000  # us that a login may wait in the sweep


def on_server(bench, name, server):
    """A configuration like the usual one with this server as its store."""
    bench.config(name, bench.cache_dir(name))
    path = f"{bench.top}/{name}.conf"
    with open(path, encoding="ascii") as f:
        lines = f.read().splitlines()
    with open(path, "w", encoding="ascii") as f:
        for line in lines:
            if line.startswith("url = sqlite:"):
                line = "url = " + server.url()
            elif line == "[store]":
                line = "[store]\ntimeout = 5s"
            f.write(line + "\n")
    bench.give(path, 0o600)


def start(bench, stack, kind, name):
    """Starts a store of this kind, with a configuration of that name; how many filters may be
    connected at once, 0 if it is not installed."""
    maker = KINDS[kind]
    if maker is None:
        bench.config(name, bench.cache_dir(name))
        return max(SWEEP)
    if maker.missing():
        return 0
    note(f"starting {kind}")
    server = stack.enter_context(maker(durable=True))
    on_server(bench, name, server)
    return MOST[kind](server) - SPARE


def measure_stores(bench, options):
    """Logins a second over 50 connections, and their slowest hundredth."""
    command = ["-c", "50", "-w", "20", "-t", str(options.seconds),
               "-u", str(USERS), "-a", f"{LOW},{EACH}"]
    rates, slow = {}, {}
    with contextlib.ExitStack() as stack:
        runs = [("bare", lambda: bench.load(command))]
        for kind in KINDS:
            server = kind != "SQLite"
            rates[kind] = Figure(f"logins/s, {kind}", 10 * PLUGIN if server else 0.1,
                                 absolute=server)
            slow[kind] = Figure("  p99 of them, us", None, absolute=True)
            if not start(bench, stack, kind, kind):
                rates[kind].skipped = slow[kind].skipped = "skipped: not installed"
                continue
            runs.append((kind, lambda kind=kind: bench.load_logins(command, kind)))
        for i in range(options.rounds):
            note(f"stores: round {i + 1} of {options.rounds}")
            got = {name: run() for name, run in rotate(runs, i)}
            for kind in KINDS:
                if kind not in got:
                    continue
                for figure, name in ((rates[kind], "requests_per_s"),
                                     (slow[kind], "lat_p99_us")):
                    figure.add(got["bare"][name], got[kind][name])
    return [figure for kind in KINDS for figure in (rates[kind], slow[kind])]


def sweep(bench, options, kind):
    """One kind of store over ever more connections."""
    figures = []
    name = f"sweep-{kind}"
    with contextlib.ExitStack() as stack:
        most = start(bench, stack, kind, name)
        for connections, requests in SWEEP.items():
            rate = Figure(f"logins/s, {kind}, {connections}", None)
            longest = Figure("  longest wait, us", LONGEST, least=False, absolute=True)
            figures += [rate, longest]
            if connections > most:
                rate.skipped = longest.skipped = (
                    "skipped: not installed" if not most else
                    f"skipped: the server takes {most + SPARE} connections")
                continue
            command = ["-c", str(connections), "-r", str(requests), "-u", str(USERS),
                       "-a", f"{LOW},{EACH}"]
            try:
                for i in range(options.rounds):
                    note(f"sweep: {kind}, {connections} connections, round {i + 1} of "
                         f"{options.rounds}")
                    bare = bench.load(command)
                    ours = bench.load_logins(command, name)
                    rate.add(bare["requests_per_s"], ours["requests_per_s"])
                    longest.add(bare["lat_max_us"], ours["lat_max_us"])
            except Failed as e:
                rate.fail(str(e))
                longest.fail("see above")
    return figures


def measure_sweep(bench, options):
    """Over 10 to 500 connections: that nothing is lost, and nobody waits for long."""
    return [figure for kind in KINDS for figure in sweep(bench, options, kind)]
