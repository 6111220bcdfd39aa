#!/usr/bin/python3
"""The rules of the folders (tests/layers.py): the tree keeps them, and each kind of violation is found.

    python3 tests/check_layers.py [-v] [Class.test ...]
"""
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
TESTS = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(TESTS)
LAYERS = os.path.join(TESTS, "layers.py")
BUILD = "build-san" if os.environ.get("SAN") == "1" else "build"

# A tree that keeps all rules.
GOOD = {
    "base/text.h": "int text_add(int a);\n",
    "base/text.c": '#include "base/text.h"\nint text_add(int a) { return a + 1; }\n',
    "store/store.h": "int store_get(void);\n",
    "store/store.c": '#include "base/text.h"\n#include "store/store.h"\n'
                     '#include "store/sqlite/sqlite.h"\n'
                     "int store_get(void) { return text_add(sqlite_get()); }\n",
    "store/sqlite/sqlite.h": "int sqlite_get(void);\n",
    "store/sqlite/sqlite.c": '#include "store/sqlite/sqlite.h"\n'
                             "int sqlite_get(void) { return 1; }\n",
    "filter/place.h": "int place_find(void);\n",
    "filter/place.c": '#include "filter/place.h"\n#include "store/store.h"\n'
                      "static int own(void) { return store_get(); }\n"
                      "int place_find(void) { return own(); }\n",
    "policy.c": '#include "filter/place.h"\nint walk(void) { return place_find(); }\n',
    "ctl/main.c": '#include "store/store.h"\nint main(void) { return store_get(); }\n',
}


class Tree(unittest.TestCase):

    def test_it_keeps_the_rules(self):
        done = subprocess.run([LAYERS, TOP, os.path.join(TOP, BUILD)], capture_output=True,
                              text=True, check=False)
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))


class Violations(unittest.TestCase):

    def complaints(self, files):
        """What is said of the good tree with these files in it, whole; or with lines before."""
        top = tempfile.mkdtemp(prefix="abichecker-layers.")
        self.addCleanup(shutil.rmtree, top)
        for path, text in {**GOOD, **files}.items():
            full = os.path.join(top, path)
            os.makedirs(os.path.dirname(full), exist_ok=True)
            with open(full, "w", encoding="ascii") as file:
                file.write(text)
        for path in {**GOOD, **files}:
            if path.endswith(".c"):
                obj = os.path.join(top, "build", path[:-1] + "o")
                os.makedirs(os.path.dirname(obj), exist_ok=True)
                subprocess.run(["gcc", "-O0", "-w", "-I", top, "-c", "-o", obj,
                                os.path.join(top, path)], check=True)
        done = subprocess.run([LAYERS, top], capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, int(bool(done.stdout)), done.stderr)
        return done.stdout

    def before(self, path, line):
        return {path: f"{line}\n{GOOD[path]}"}

    def test_none(self):
        self.assertEqual(self.complaints({}), "")

    def test_upward_include(self):
        for path, name in (("base/text.c", "store/store.h"), ("store/store.c", "filter/place.h"),
                           ("filter/place.h", "check.h")):
            with self.subTest(path):
                said = self.complaints({"check.h": "", **self.before(path, f'#include "{name}"')})
                self.assertIn(f"{path}:1: {name}: ", said)
                self.assertIn(" may not include ", said)

    def test_include_without_its_folder(self):
        said = self.complaints(self.before("store/sqlite/sqlite.c", '#include "sqlite.h"'))
        self.assertIn("store/sqlite/sqlite.c:1: sqlite.h: an include says its folder", said)

    def test_header_of_a_driver(self):
        said = self.complaints(self.before("filter/place.c", '#include "store/sqlite/sqlite.h"'))
        self.assertIn("a driver's header is its own", said)

    def test_foreign_library(self):
        # Not compiled with the header of a library that may not be here
        said = self.complaints({"filter/net.h": "#include <curl/curl.h>\n"})
        self.assertEqual(said, "filter/net.h:1: curl/curl.h: only ctl/ uses this library\n")

    def test_upward_call(self):
        said = self.complaints({"base/text.c": "int place_find(void);\n"
                                "int text_add(int a) { return place_find(); }\n"})
        self.assertIn("base/text.c: uses place_find of filter/place.c, which is above it", said)

    def test_circle(self):
        said = self.complaints({
            "base/a.c": "int b(void); int a(void) { return b(); }\n",
            "base/b.c": "int c(void); int b(void) { return c(); }\n",
            "base/c.c": "int a(void); int c(void) { return a(); }\n"})
        self.assertEqual(said, "a circle: base/a.c uses b of base/b.c; base/b.c uses c of base/c.c; "
                         "base/c.c uses a of base/a.c\n")

    def test_static_with_a_public_name(self):
        said = self.complaints({"base/b.c": "static int walk(void) { return 1; }\n"
                                            "int b(void) { return walk(); }\n"})
        self.assertEqual(said, "base/b.c: static walk has the name of a function of policy.c\n")


if __name__ == "__main__":
    unittest.main()
