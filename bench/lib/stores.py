"""Authenticated requests with every kind of store, each server as it comes."""
import contextlib

from figure import Figure, rotate
from rig import EACH, LOW, USERS, note

import servers  # of the tests; rig has made it known

PLUGIN = 240  # logins/s of the postfwd plugin on the same kinds of server


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


def measure_stores(bench, options):
    """Logins a second over 50 connections, and their slowest hundredth."""
    command = ["-c", "50", "-w", "20", "-t", str(options.seconds),
               "-u", str(USERS), "-a", f"{LOW},{EACH}"]
    kinds = {"SQLite": None, "PostgreSQL": servers.PostgreSQL,
             "MariaDB": servers.MariaDB, "Redis": servers.Redis}
    rates, slow = {}, {}
    with contextlib.ExitStack() as stack:
        runs = [("bare", lambda: bench.load(command))]
        for kind, maker in kinds.items():
            rates[kind] = Figure(
                f"logins/s, {kind}", 0.1 if maker is None else 10 * PLUGIN,
                absolute=maker is not None)
            slow[kind] = Figure("  p99 of them, us", None, absolute=True)
            if maker is None:
                bench.config(kind, bench.cache_dir(kind))
            elif maker.missing():
                rates[kind].skipped = slow[kind].skipped = \
                    "skipped: not installed"
                continue
            else:
                note(f"starting {kind}")
                server = stack.enter_context(maker(durable=True))
                on_server(bench, kind, server)
            runs.append((kind, lambda kind=kind: bench.load(command, kind)))
        for i in range(options.rounds):
            note(f"stores: round {i + 1} of {options.rounds}")
            got = {name: run() for name, run in rotate(runs, i)}
            for kind in kinds:
                if kind not in got:
                    continue
                for figure, name in ((rates[kind], "requests_per_s"),
                                     (slow[kind], "lat_p99_us")):
                    figure.add(got["bare"][name], got[kind][name])
    return [figure for kind in kinds for figure in (rates[kind], slow[kind])]
