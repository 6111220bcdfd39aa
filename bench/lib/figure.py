"""Rows of the table, and the table."""
import json
import os
import platform
import statistics


class Figure:
    """A row of the table: pairs of (bare, ours), one pair a round. The goal is
    one for their ratio, or an absolute one for ours. head: what stands above
    the row, its first word a title, the others what the two are called."""

    def __init__(self, name, goal, least=True, skipped=None, absolute=False,
                 head=("", "bare", "ours")):
        self.name, self.goal, self.least = name, goal, least
        self.skipped, self.absolute, self.head = skipped, absolute, head
        self.pairs = []
        self.failed = None

    def fail(self, why):
        """What was measured is void; said in its place."""
        self.failed = why

    def add(self, bare, ours):
        self.pairs.append((bare, ours))

    def ratios(self):
        return [ours / bare for bare, ours in self.pairs]

    def verdict(self):
        if self.failed:
            return "FAILED"
        if self.skipped:
            return "skipped"
        if self.goal is None:
            return ""
        value = statistics.median(
            [ours for _, ours in self.pairs] if self.absolute
            else self.ratios())
        met = value >= self.goal if self.least else value <= self.goal
        return "ok" if met else "MISSED"

    def row(self):
        if self.failed or self.skipped:
            return f"{self.name:<29} {'FAILED: ' + self.failed if self.failed else self.skipped}"
        ratios = self.ratios()
        bare, ours = (statistics.median(column)
                      for column in zip(*self.pairs))
        goal = "" if self.goal is None else "%s %s" % (
            ">=" if self.least else "<=",
            f"{self.goal:,}" if self.absolute else f"{self.goal:g}")
        return ("%-29s%9s%9s  %.2f (%.2f..%.2f)  %-7s %s" % (
            self.name, f"{bare:,.0f}", f"{ours:,.0f}",
            statistics.median(ratios), min(ratios), max(ratios), goal,
            self.verdict())).rstrip()

    def raw(self):
        return {"name": self.name, "goal": self.goal, "least": self.least,
                "absolute": self.absolute, "verdict": self.verdict(),
                "failed": self.failed, "skipped": self.skipped, "pairs": self.pairs}


def rotate(items, by):
    by %= len(items)
    return items[by:] + items[:by]


def machine():
    model = platform.processor() or platform.machine()
    memory = 0
    with open("/proc/cpuinfo", encoding="ascii", errors="replace") as f:
        for line in f:
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
    with open("/proc/meminfo", encoding="ascii") as f:
        memory = int(f.readline().split()[1]) >> 20
    system = platform.freedesktop_os_release().get("PRETTY_NAME", "?")
    return (f"{system}, Linux {platform.release()}, "
            f"{os.cpu_count()} x {model}, {memory} GiB")


def report(figures, options):
    head = None
    for figure in figures:
        if figure.head != head:
            head = figure.head
            print("%-29s%9s%9s  ratio (min..max)" % head)
        print(figure.row())
    growth = any("many" in figure.head for figure in figures)
    print(f"\n{machine()}; {options.rounds} rounds" +
          (f", {options.pairs} pairs" if growth else "") +
          f", {options.seconds:g} s each")
    missed = [f.name.strip() for f in figures if f.verdict() == "MISSED"]
    skipped = [f.name.strip() for f in figures if f.skipped]
    failed = [f.name.strip() for f in figures if f.failed]
    measured = sum(1 for f in figures if f.verdict() in ("ok", "MISSED"))
    print(f"{measured - len(missed)} of {measured} goals met" +
          (f"; MISSED: {', '.join(missed)}" if missed else "") +
          (f"; skipped: {', '.join(skipped)}" if skipped else "") +
          (f"; FAILED: {', '.join(failed)}" if failed else ""))
    if options.json:
        with open(options.json, "w", encoding="ascii") as f:
            json.dump({"machine": machine(),
                       "figures": [figure.raw() for figure in figures]},
                      f, indent=1)
    return 1 if failed or (missed and options.strict) else 0
