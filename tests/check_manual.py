#!/usr/bin/python3
"""The manuals, the examples, README.md and docs/ against the programs: every option with its type, range
and default, every command of abictl, every action and variable, and nothing that does not exist.

    python3 tests/check_manual.py [-v] [Class.test ...]

The truth is the option table in config.c (its text is read here, and compared with what
`abictl config` prints), `abictl --help`, and the tables in action.c.
"""
import collections
import glob
import json
import os
import re
import shutil
import subprocess
import tempfile
import unittest

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
ABICTL = os.path.join(os.environ.get("ABICHECKER_BUILD") or TOP, "abictl")

CONF_5, CHECKER_8, CTL_8 = (f"man/{page}" for page in (
    "abichecker.conf.5", "abichecker.8", "abictl.8"))
PAGES = CONF_5, CHECKER_8, CTL_8
DOCUMENTS = sorted(glob.glob("docs/*.md", root_dir=TOP))
PROSE = *PAGES, "README.md", *DOCUMENTS, "master.cf.example", "abichecker.conf.example", "whitelist.txt"

MACROS = {"SYSCONFDIR": "/etc", "LOCALSTATEDIR": "/var"}

# What each type is called in abichecker.conf(5); %s is the choices or the range.
TYPES = {
    "TEXT": "text", "SECRET": "secret", "PATH": "path", "ACTION": "action", "WORDS": "words",
    "TARGET": "syslog, none, stderr or a path", "URL": "http or https URL", "PROXY": "proxy URL",
    "CHOICE": "%s", "BOOL": "yes or no", "NUMBER": "number, %s", "DURATION": "time, %s",
    "BLOCKS": "addresses and blocks", "RATE": "rate", "STORE": "%s URL",
    "ZONES": "zones", "SERVER": "DNS server", "LOGS": "logs", "RULES": "rules", "MAP": "map",
    "DATABASE": "auto or a path",
}

Option = collections.namedtuple("Option", "name type fallback minimum maximum choices help")


def read(path):
    with open(os.path.join(TOP, path), encoding="utf-8") as file:
        return file.read()


def initializer(source, name):
    """The text between the braces of an array in C source."""
    found = re.search(rf"\b{name}\[\] = {{\n?(.*?)}};", read(source), re.DOTALL)
    return re.sub(r"/\*.*?\*/", "", found[1], flags=re.DOTALL)


def literal(text):
    """The value of C string literals and path macros in a row; None for NULL."""
    if text == "NULL":
        return None
    parts = re.findall(r'"((?:[^"\\]|\\.)*)"|(\w+)', text)
    return "".join(string if not macro else MACROS[macro] for string, macro in parts)


def option_table():
    """The rows of config_options[]."""
    day = int(re.search(r"^#define DAY (\d+)L", read("config/options.c"), re.MULTILINE)[1])
    rows = []
    for row in re.findall(r"{(.*?)}", initializer("config/options.c", "config_options"), re.DOTALL):
        # At commas outside of string literals
        cells = [cell.strip() for cell in re.split(r',(?=(?:[^"]*"[^"]*")*[^"]*$)', row)]
        section, key, type_, _, fallback, minimum, maximum, choices, help_ = cells
        numbers = [eval(n, {"DAY": day}) for n in (minimum, maximum)]  # products of constants
        words = () if choices == "NULL" else re.findall(r'"(\w+)"', initializer("config/options.c", choices))
        rows.append(Option(f"{literal(section)}.{literal(key)}", type_.removeprefix("CONFIG_"),
                           literal(fallback), *numbers, words, literal(help_)))
    return rows


def duration(seconds):
    """Seconds in the largest unit that leaves no rest."""
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds and seconds % length == 0:
            return f"{seconds // length}{unit}"
    return f"{seconds}s"


def manual_line(option):
    """What abichecker.conf(5) must say in the line of an option."""
    detail = ""
    if option.choices:
        detail = " or ".join(filter(None, (", ".join(option.choices[:-1]), option.choices[-1])))
    elif option.type == "NUMBER":
        detail = f"{option.minimum} to {option.maximum}"
    elif option.type == "DURATION":
        detail = f"{duration(option.minimum)} to {duration(option.maximum)}"
    kind = TYPES[option.type] % detail if detail else TYPES[option.type]
    default = f"default {option.fallback}" if option.fallback else "not set"
    return f".It Ic {option.name} Pq {kind}, {default}"


def abictl(*arguments, status=0):
    """What abictl prints."""
    result = subprocess.run([ABICTL, *arguments], stdin=subprocess.DEVNULL, capture_output=True,
                            text=True, check=False)
    assert result.returncode == status, f"{arguments}: {result.returncode} {result.stderr}"
    return result.stdout


def settings(text):
    """`key = value` lines in sections, as section.key -> value."""
    values, section = {}, None
    for line in text.splitlines():
        if line.startswith("["):
            section = line.strip("[]")
        elif line and not re.match("#( |$)", line):
            key, _, value = line.partition("=")
            assert f"{section}.{key.strip()}" not in values, f"twice: {line}"
            values[f"{section}.{key.strip()}"] = value.strip()
    return values


def commands():
    """From `abictl help`: "noun verb" -> its options with two dashes."""
    names = re.findall(r"^  ([a-z][a-z-]*(?: [a-z]+)?)(?= |$)", abictl("help"), re.MULTILINE)
    return {name: set(re.findall(r"\[(--[\w-]+)", abictl("help", *name.split()))) for name in names}


class Scratch(unittest.TestCase):
    """Cases with a directory that every user can read."""

    maxDiff = None

    def setUp(self):
        self.directory = tempfile.mkdtemp(prefix="abichecker-manual.")
        self.addCleanup(shutil.rmtree, self.directory)
        os.chmod(self.directory, 0o755)

    def put(self, name, text):
        path = os.path.join(self.directory, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(path, 0o644)
        return path


class Options(Scratch):
    """abichecker.conf(5) and the option table."""

    def setUp(self):
        super().setUp()
        self.table = option_table()
        self.assertGreater(len(self.table), 20)

    def test_the_table_read_here_is_the_programs(self):
        printed = settings(abictl("-c", self.put("empty", ""), "config"))
        self.assertEqual(list(printed), [option.name for option in self.table])
        for option in self.table:
            value = option.fallback
            for directory in MACROS.values():  # another build may have others
                if value.startswith(directory + "/"):
                    value = value.removeprefix(directory)
            self.assertTrue(printed[option.name].endswith(value), option.name)
            self.assertEqual(bool(printed[option.name]), bool(option.fallback), option.name)

    def test_every_option_has_its_line_and_no_other_has_one(self):
        lines = re.findall(r"^\.It Ic \w+\.\w+ .*$", read(CONF_5), re.MULTILINE)
        self.assertEqual(sorted(lines), sorted(manual_line(option) for option in self.table))

    def test_every_option_is_explained(self):
        items = re.split(r"^(?=\.It |\.El)", read(CONF_5), flags=re.MULTILINE)
        for item in items:
            head, _, body = item.partition("\n")
            if re.match(r"\.It Ic \w+\.\w+ ", head):
                self.assertGreater(len(re.sub(r"(?m)^\.", "", body).split()), 5, head)

    def test_every_option_has_a_help_text(self):
        for option in self.table:
            self.assertRegex(option.help, r"\A\w.{8,}\Z", option.name)

    def test_nothing_names_an_option_that_does_not_exist(self):
        names = {option.name for option in self.table}
        sections = {name.partition(".")[0] for name in names}
        files = r"(?:c|h|conf|txt|py|example|md)"
        for path in PROSE:
            text = re.sub(r"[\w.$-]+\.mail\.abusix\.zone", "", read(path))
            for name in re.findall(rf"(?<![\w./-])(?:{'|'.join(sections)})\.(?!{files}\b)[a-z0-9_]+",
                                   text):
                self.assertIn(name, names, path)


class Actions(unittest.TestCase):
    """abichecker.conf(5) and the tables of action.c."""

    def setUp(self):
        page = read(CONF_5)
        self.section = page[page.index("\n.Sh ACTIONS"):page.index("\n.Sh THE WHITELIST")]

    def test_every_action_is_there_and_no_other(self):
        accepted = self.section[:self.section.index("These are refused")]
        items = " ".join(re.findall(r"^\.It Cm (.*)$", accepted, re.MULTILINE))
        verbs = set(re.findall(r'{ "(\w+)", ARG_', read("config/action.c")))
        self.assertIn("REJECT", verbs)
        self.assertEqual(set(re.findall(r"\b[A-Z][A-Z_]{2,}\b|\blog\b", items)),
                         {verb if verb != "LOG" else "log" for verb in verbs})

    def test_every_variable_is_there_and_no_other(self):
        variables = set(re.findall(r'{ "(\w+)", offsetof', read("config/action.c")))
        self.assertIn("score", variables)
        self.assertEqual(set(re.findall(r"^\.It Ic \$(\w+)$", self.section, re.MULTILINE)),
                         variables)


class Rules(unittest.TestCase):
    """abichecker(8), abichecker.conf(5) and the tables of rules.c and access_map.h."""

    def setUp(self):
        self.rules = set(re.findall(r'= "([a-z-]+)"', read("config/rules.c")))
        self.assertIn("unknown-recipient", self.rules)

    def test_every_rule_is_there_and_no_other(self):
        page = read(CHECKER_8)
        section = page[page.index("\n.Sh OFFENDERS"):page.index("\n.Sh THE STORE")]
        self.assertEqual(set(re.findall(r"^\.It Cm ([a-z-]+)$", section, re.MULTILINE)),
                         self.rules)

    def test_only_rules_that_exist_are_named(self):
        named = 0
        for path in PROSE:
            for rule in re.findall(r"\b([a-z-]+)=\d+/\d+[smhdw]\b", read(path)):
                self.assertIn(rule, self.rules, path)
                named += 1
        self.assertGreater(named, 5)

    def test_the_text_of_a_map_is_the_programs(self):
        text = re.search(r'^#define ACCESS_MAP_TEXT "(.*)"', read("scan/access_map.h"), re.MULTILINE)[1]
        self.assertIn(f"REJECT {text}", read(CONF_5))


class Checks(unittest.TestCase):
    """abichecker(8) and the table of policy.c."""

    def test_every_check_is_there_in_order(self):
        checks = re.findall(r"^\t&(\w+)_check,$", read("policy.c"), re.MULTILINE)
        self.assertIn("geocount", checks)
        page = read(CHECKER_8)
        first = page[:page.index("\n.Sh ", page.index(".It Cm accounts\n"))]
        self.assertEqual(re.findall(r"^\.It Cm ([a-z]+)$", first, re.MULTILINE), checks)
        for name in checks:
            self.assertRegex(name, "^[a-z]{1,11}$")


class Commands(unittest.TestCase):
    """abictl(8) and `abictl --help`."""

    def setUp(self):
        self.page = read(CTL_8)
        self.commands = commands()
        self.assertIn("cache show", self.commands)

    def items(self):
        """noun [verb] -> the rest of the .It line, of the section COMMANDS."""
        section = self.page[self.page.index("\n.Sh COMMANDS"):self.page.index("\n.Sh FILES")]
        found = {}
        for line in re.findall(r"^\.It Ic (.*)$", section, re.MULTILINE):
            name = re.match(r"[a-z-]+(?: [a-z]+)?", line)[0]
            self.assertNotIn(name, found)
            found[name] = line[len(name):]
        return found

    def test_every_command_is_there_and_no_other(self):
        self.assertEqual(set(self.items()), set(self.commands))

    def test_the_options_of_a_command_are_in_its_line(self):
        for name, rest in self.items().items():
            for option in self.commands[name]:
                self.assertIn(f"Fl {option[1:]}", rest, name)

    def test_every_long_option_is_there_and_no_other(self):
        options = set(re.findall(r'{ "([\w-]{2,})", (?:OPTION_|no_argument)', read("ctl/cli/options.c")))
        self.assertIn("json", options)
        self.assertEqual(set(re.findall(r"\bFl -([a-z-]+)", self.page)), options)

    def test_manuals_and_readme_name_only_commands_that_exist(self):
        nouns = {name.split()[0] for name in self.commands}
        verbs = {name for name in self.commands if " " in name}
        # What follows may be an argument.
        open_ = set(re.findall(r'{ "(\w+)",(?:(?!\n\t{).)*?COMMAND_OPEN', read("ctl/cli/commands.c"),
                               re.DOTALL))
        self.assertEqual(open_, {"logins"})
        for path in PROSE:
            # in quotes, or in an example behind a prompt
            for words in re.findall(r"(?:[`\"]|^\.Ql |^# |sudo )abictl ((?:[a-z][a-z-]* ?){1,2})", read(path),
                                    re.MULTILINE):
                noun, *verb = words.split()
                self.assertIn(noun, nouns, path)
                # a noun that is a command by itself may have an argument there
                if any(name.startswith(f"{noun} ") for name in verbs) and verb and noun not in open_:
                    self.assertIn(f"{noun} {verb[0]}", verbs, path)


class Pages(unittest.TestCase):
    """The form of the manuals."""

    def test_mandoc_has_nothing_to_say(self):
        if not shutil.which("mandoc"):
            self.skipTest("mandoc is not installed")
        self.assertEqual(len(glob.glob(os.path.join(TOP, "man", "*"))), len(PAGES))
        for page in PAGES:
            result = subprocess.run(["mandoc", "-T", "lint", page], cwd=TOP, capture_output=True,
                                    text=True, check=False)
            # Whether other manuals are installed here is not our matter.
            said = [line for line in (result.stdout + result.stderr).splitlines()
                    if not re.search("referenced manual not found|outdated mandoc.db", line)]
            self.assertEqual(said, [], page)


class Examples(Scratch):
    """The files that an administrator copies."""

    def test_the_example_configuration_is_the_defaults(self):
        defaults = abictl("-c", self.put("empty", ""), "config")
        example = read("abichecker.conf.example")
        self.assertEqual(abictl("-c", self.put("as_it_is", example), "config"), defaults)

    def test_the_example_configuration_has_every_option_with_its_default(self):
        example = read("abichecker.conf.example")
        uncommented = re.sub(r"^#(?=\w)", "", example, flags=re.MULTILINE)
        self.assertEqual(sorted(settings(uncommented).items()),
                         sorted((option.name, option.fallback) for option in option_table()))
        abictl("-c", self.put("uncommented", uncommented), "config")

    def whitelist_report(self, whitelist):
        path = self.put("whitelist.txt", whitelist)
        report = json.loads(abictl(
            "-c", self.put("empty", ""), "-o", f"whitelist.file={path}", "-o",
            f"reputation.cache_dir={self.directory}/none", "--json", "selftest", status=1))
        return [(entry["result"], entry["text"]) for entry in report
                if entry["subject"] == "whitelist"]

    def test_the_starter_whitelist_has_no_bad_line(self):
        whitelist = read("whitelist.txt")
        entries = re.findall(r"^[^#\s]\S*", whitelist, re.MULTILINE)
        (result, text), = self.whitelist_report(whitelist)
        self.assertEqual(result, "ok", text)
        self.assertRegex(text, rf": {len(entries)} entries$")
        self.assertEqual(sorted(entries), sorted(set(entries)))
        (result, text), _ = self.whitelist_report("a b\n")  # it would have been told
        self.assertEqual(result, "warn", text)

    def test_the_starter_whitelist_has_no_cloud(self):
        whitelist = read("whitelist.txt")
        entries = set(re.findall(r"^[^#\s]\S*", whitelist, re.MULTILINE))
        clouds = re.search(r"Above all not\n#\n((?:#   .*\n)+)", whitelist)[1]
        clouds = re.findall(r"[a-z0-9-]+(?:\.[a-z0-9-]+)+", clouds)
        self.assertIn("amazonaws.com", clouds)
        for cloud in clouds:
            labels = f"machine-1.region.{cloud}".split(".")
            for i in range(len(labels)):
                self.assertNotIn(".".join(labels[i:]), entries)

    def test_master_cf_is_understood_by_postfix(self):
        if not shutil.which("postconf"):
            self.skipTest("Postfix is not installed")
        example = read("master.cf.example")
        self.put("main.cf", "abichecker_auth =\n")
        self.put("master.cf", re.sub(r"^#(?=[\w ]+-o |\S+ +inet |    \S+=| {9})", "", example,
                                     flags=re.MULTILINE))
        result = subprocess.run(["postconf", "-c", self.directory, "-M"], capture_output=True,
                                text=True, check=True)
        services = [line.split() for line in result.stdout.splitlines() if line[0] != " "]
        self.assertEqual([(name, kind, chroot, maximum, command) for
                          name, kind, _, _, chroot, _, maximum, command, *_ in services],
                         [("abichecker", "unix", "n", "0", "spawn"),
                          ("submission", "inet", "y", "-", "smtpd"),
                          ("127.0.0.1:9998", "inet", "n", "0", "spawn"),
                          ("10.0.0.5:10040", "inet", "n", "0", "spawn")])
        self.assertEqual(result.stdout.count("user=abichecker argv=/usr/local/sbin/abichecker"), 3)
        self.assertEqual(result.stderr, "")

    def test_the_cron_lines_run_commands_that_exist(self):
        for pattern, fields in (
                (r"^[\d*].*$", ["abichecker", "test -x /usr/local/sbin/abictl && "
                                "/usr/local/sbin/abictl cache clean"]),
                (r"^#[\d*].*$", ["root", "test -x /usr/local/sbin/abictl && "
                                 "/usr/local/sbin/abictl scan >/dev/null 2>&1"])):
            line, = re.findall(pattern, read("contrib/abichecker.cron"), re.MULTILINE)
            self.assertEqual(line.split(None, 6)[5:], fields)
        self.assertIn("cache clean", commands())
        self.assertIn("scan", commands())


def anchors(text):
    """What GitHub makes of the headings of a document."""
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")
            for heading in re.findall(r"^#+ (.*)", text, re.MULTILINE)}


class Documents(unittest.TestCase):
    """README.md, docs/ and CONTRIBUTING.md name what there is, and are short."""

    ALL = "README.md", "CONTRIBUTING.md", *DOCUMENTS

    def test_make_targets_exist(self):
        makefile = read("Makefile").replace("\\\n", "")
        targets = set(re.search(r"^\.PHONY: (.*)", makefile, re.MULTILINE)[1].split())
        self.assertIn("check", targets)
        named = {target for path in self.ALL
                 for target in re.findall(r"`(?:sudo )?make ([a-z-]+)", read(path))}
        self.assertEqual(named - targets, set())
        self.assertEqual(targets - named - {"FORCE", "units", "fuzzers", "all"}, set())

    def test_files_exist(self):
        for path in self.ALL:
            for name in re.findall(r"`((?:tests|man|bench|docs)/[\w./-]+)`", read(path)):
                self.assertTrue("NAME" in name or os.path.exists(os.path.join(TOP, name)),
                                f"{path}: {name}")

    def test_links_lead_to_something(self):
        for path in self.ALL:
            links = re.findall(r"\]\(([^)\s]+)\)", read(path))
            self.assertNotEqual(links, [], path)
            for link in links:
                file, _, anchor = link.partition("#")
                target = os.path.normpath(os.path.join(os.path.dirname(path), file)) if file else path
                with self.subTest(path=path, link=link):
                    self.assertTrue(os.path.exists(os.path.join(TOP, target)))
                    if anchor:
                        self.assertIn(anchor, anchors(read(target)))

    def test_the_readme_leads_to_every_document(self):
        readme = read("README.md")
        linked = [path for path in DOCUMENTS if f"({path})" in readme]
        self.assertEqual(sorted(linked), DOCUMENTS)

    def test_they_are_short(self):
        for path, limit in ("README.md", 220), *((path, 249) for path in DOCUMENTS):
            self.assertLessEqual(read(path).count("\n"), limit, path)


if __name__ == "__main__":
    unittest.main()
