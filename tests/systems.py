#!/usr/bin/python3
"""Does what README.md and docs/ say, word by word, on mail servers of this release; started by
tests/systems in a fresh root (tests/in-root) with the packages of setup.sh's mail-host.

    tests/systems.py [SCENARIO...]

A scenario is a mail server in a layer of its own over that root, with processes and a network of
its own, on which sections of these are gone through in their order
(tests/systems_steps.py). Each block of shell commands is typed as it stands, by an ordinary user
with sudo. After each the server must take a mail of its user at submission, to the outside, and
one from outside for the user, and its log must be free of trouble. One table there names what is
not done so, and why. Each block is a case; the last line is `N passed, N failed, N skipped`.
"""
import fnmatch
import json
import os
import re
import shutil
import subprocess
import sys
import time
import traceback

sys.dont_write_bytecode = True
TESTS = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(TESTS, "lib"), TESTS]

LAYERS = "/srv"
SOURCE = "/src"
COMPILED = "compiled"  # the layer with compiler and programs, below all others


# Layers

def in_layer(name, below, network):
    """Runs this program for a scenario in a new layer over those below; its exit status. What it
    has to say is in /srv/NAME.json."""
    paths = {part: f"{LAYERS}/{name}.{part}" for part in ("upper", "work", "root")}
    for path in paths.values():
        os.makedirs(path)
    lower = ":".join([*(f"{LAYERS}/{layer}.upper" for layer in reversed(below)), "/"])
    mount = (f"mount -t overlay overlay -o lowerdir={lower},upperdir={paths['upper']},"
             f"workdir={paths['work']} {paths['root']}")
    enter = f"exec sh {SOURCE}/tests/in-root --enter {paths['root']}"
    namespaces = ["--mount", "--uts", "--ipc", "--pid", "--fork", "--kill-child", "--mount-proc"]
    with open(f"{LAYERS}/{name}.json", "w", encoding="utf-8") as answer:
        return subprocess.run(
            ["unshare", *namespaces, *([] if network else ["--net"]), "sh", "-c",
             f"{mount} && {enter} {SOURCE}/tests/systems.py --inside {name} {answer.fileno()}"],
            stdin=subprocess.DEVNULL, pass_fds=[answer.fileno()], check=False).returncode


def prepare():
    """The people of every mail server, into the root itself; the reader has the source."""
    import mailhost
    for user in (mailhost.READER, "ann"):
        subprocess.run(["useradd", "--create-home", "--shell", "/bin/bash", user], check=True)
    mailhost.put("/etc/sudoers.d/reader", f"{mailhost.READER} ALL=(ALL:ALL) NOPASSWD: ALL\n", 0o440)
    shutil.copytree(SOURCE, mailhost.SOURCE)
    mailhost.run("chown", "-R", f"{mailhost.READER}:", mailhost.SOURCE)


# Cases

class Cases:
    """What became of the blocks of one scenario."""

    def __init__(self):
        self.passed, self.failed, self.skipped = 0, [], []

    def passes(self, _name):
        self.passed += 1

    def fails(self, name, text):
        self.failed.append((name, text))

    def skips(self, name, reason):
        self.skipped.append((name, reason))


def compile_program(cases):
    """The first two commands that a reader types, where there is neither compiler nor library; and
    is the table in order?"""
    import mailhost
    import systems_steps
    for text in systems_steps.rows_that_fit_badly():
        cases.fails("the table", text)
    host = mailhost.MailHost("plain")
    for line in systems_steps.first_commands():
        output = host.type(line)
        if output.status != 0:
            return cases.fails(line, output.text)
        cases.passes(line)
    return None


def inside(name, descriptor):
    """One scenario, in its layer."""
    import systems_steps
    cases = Cases()
    try:
        if name == COMPILED:
            compile_program(cases)
        else:
            systems_steps.play(name, cases)
    except Exception:
        cases.fails("the test itself", traceback.format_exc())
    with os.fdopen(int(descriptor), "w", encoding="utf-8") as answer:
        json.dump(vars(cases), answer)


def report(release, name, begun):
    """Prints a scenario's lines; its counts."""
    try:
        with open(f"{LAYERS}/{name}.json", encoding="utf-8") as answer:
            cases = json.load(answer)
    except ValueError:
        cases = {"passed": 0, "failed": [["the test itself", "no answer"]], "skipped": []}
    counts = [cases["passed"], len(cases["failed"]), len(cases["skipped"])]
    print(f"{'FAIL' if counts[1] else 'ok':<5} {f'{release} {name}':<28} "
          f"{'{} passed, {} failed, {} skipped'.format(*counts):<36} "
          f"{time.monotonic() - begun:6.1f} s")
    for case, reason in cases["skipped"]:
        print(f"      skipped: {case}: {reason}")
    for case, text in cases["failed"]:
        print(f"      failed: {case}")
        print("".join(f"        {line}\n" for line in text.rstrip().splitlines()[-60:]), end="")
    sys.stdout.flush()
    return counts


def chosen(patterns, scenarios):
    names = [name for name in scenarios
             if not patterns or any(fnmatch.fnmatch(name, pattern) for pattern in patterns)]
    if not names:
        sys.exit(f"systems.py: no such scenario; there are {', '.join(scenarios)}")
    return names


def main(arguments):
    if arguments[:1] == ["--inside"]:
        inside(*arguments[1:])
        return 0
    with open("/etc/os-release", encoding="utf-8") as file:
        release = re.search(r"^VERSION_CODENAME=(\w+)", file.read(), re.MULTILINE)[1]
    prepare()
    import systems_steps
    total = [0, 0, 0]
    for name in [COMPILED, *chosen(arguments, systems_steps.SCENARIOS)]:
        begun = time.monotonic()
        in_layer(name, [] if name == COMPILED else [COMPILED], name == COMPILED)
        total = [a + b for a, b in zip(total, report(release, name, begun))]
        if name != COMPILED:
            shutil.rmtree(f"{LAYERS}/{name}.upper")
    print("{} passed, {} failed, {} skipped".format(*total))
    return 1 if total[1] or not total[0] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
