#!/usr/bin/python3
"""Who may use whom: the rules of the folders, checked.

    tests/layers.py [TOP [BUILD]]

TOP/…/*.[ch]: a file includes its own folder and those below, and each include says which folder;
a driver's header is its own; a foreign library is used in one folder only. BUILD/…/*.o, if they are
there: no file calls upwards, no files call each other in a circle, and no static function has the
name of a public one. Prints what is against that; the exit status is 1 if anything is.
"""
import glob
import os
import re
import subprocess
import sys

# The filter and its checks are the top level, ".".
BELOW = {"base": "", "config": "base", "store": "config base", "filter": "store config base",
         ".": "filter store config base", "logs": "store config base",
         "scan": "logs filter store config base", "ctl": "scan logs . filter store config base"}
LIBRARIES = {"libpq-fe.h": "store/pgsql/", "mysql.h": "store/mysql/", "sqlite3.h": "store/sqlite/",
             "hiredis.h": "store/redis/", "openssl/": "store/redis/", "curl/": "ctl/",
             "cjson/": "ctl/", "libsmartcols": "ctl/cli/", "zlib.h": "ctl/", "maxminddb.h": "filter/",
             "ares.h": "filter/", "cdb.h": "store/",
             "systemd/": "logs/"}


def folder(path):
    return path.split("/")[0] if "/" in path else "."


def may_use(user, used):
    return user == used or used in BELOW[user].split()


def sources(top):
    for place in BELOW:
        pattern = "*.[ch]" if place == "." else f"{place}/**/*.[ch]"
        for path in sorted(glob.glob(os.path.join(top, pattern), recursive=True)):
            yield os.path.relpath(path, top)


def wrong_include(path, name, own):
    """What is wrong with an include of a file; None when nothing is."""
    for library, place in LIBRARIES.items():
        if name.startswith(library) and not path.startswith(place):
            return f"only {place} uses this library"
    if not own:
        return None
    if not may_use(folder(path), folder(name)):
        return f"{folder(path)}/ may not include {folder(name)}/"
    if re.match(r"store/\w+/", name) and os.path.dirname(name) != os.path.dirname(path) and \
            path != "store/store.c" and \
            not (name.startswith("store/sql/") and re.match("store/(sqlite|pgsql|mysql)/", path)):
        return "a driver's header is its own"
    return None


def includes(top):
    """The complaints about #include lines."""
    for path in sources(top):
        with open(os.path.join(top, path), encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                found = re.match(r'#\s*include (["<])([^">]+)[">]', line)
                if not found:
                    continue
                own = found[1] == '"'
                why = wrong_include(path, found[2], own)
                # Of a .sql or .lua there the Makefile makes the header.
                source = re.sub(r"\.(sql|lua)\.h$", r".\1", found[2])
                if own and not os.path.exists(os.path.join(top, source)):
                    why = "an include says its folder"
                if why:
                    yield f"{path}:{number}: {found[2]}: {why}"


class Symbols:
    """What the objects of a build define and use."""

    def __init__(self, top, build):
        self.public, self.static, self.used = {}, [], []
        for path in sources(top):
            obj = os.path.join(build, path[:-1] + "o")
            if path.endswith(".c") and os.path.exists(obj):
                self.read(path, obj)

    def read(self, path, obj):
        listing = subprocess.run(["nm", "-P", obj], check=True, capture_output=True, text=True)
        for line in listing.stdout.splitlines():
            name, kind = line.split()[:2]
            if kind in "TDBRVW":
                self.public[name] = path
            elif kind == "t":
                self.static.append((name, path))
            elif kind == "U":
                self.used.append((path, name))

    def edges(self):
        """{file: {file: a symbol that it uses there}}"""
        edges = {}
        for path, name in self.used:
            where = self.public.get(name, path)
            if where != path:
                edges.setdefault(path, {})[where] = name
        return edges


def circles(edges):
    """The groups of files that reach each other (Tarjan)."""
    index, low, stack, found = {}, {}, [], []

    def visit(node):
        index[node] = low[node] = len(index)
        stack.append(node)
        for other in edges.get(node, ()):
            if other not in index:
                visit(other)
            if other in stack:
                low[node] = min(low[node], low[other])
        if low[node] == index[node]:
            group = stack[stack.index(node):]
            del stack[stack.index(node):]
            if len(group) > 1:
                found.append(sorted(group))
    sys.setrecursionlimit(10000)
    for node in sorted(edges):
        if node not in index:
            visit(node)
    return found


def links(top, build):
    """The complaints about what is linked."""
    symbols = Symbols(top, build)
    edges = symbols.edges()
    for path in sorted(edges):
        for other, name in sorted(edges[path].items()):
            if not may_use(folder(path), folder(other)):
                yield f"{path}: uses {name} of {other}, which is above it"
    for group in circles(edges):
        calls = "; ".join(f"{a} uses {edges[a][b]} of {b}" for a in group for b in group
                          if b in edges.get(a, {}))
        yield f"a circle: {calls}"
    for name, path in symbols.static:
        if symbols.public.get(name, path) != path:
            yield f"{path}: static {name} has the name of a function of {symbols.public[name]}"


def main():
    top = sys.argv[1] if len(sys.argv) > 1 else "."
    build = sys.argv[2] if len(sys.argv) > 2 else os.path.join(top, "build")
    complaints = [*includes(top), *links(top, build)]
    print(*complaints, sep="\n", end="\n" * bool(complaints))
    return int(bool(complaints))


if __name__ == "__main__":
    sys.exit(main())
