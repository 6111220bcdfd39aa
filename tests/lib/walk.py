"""A reader who goes through README.md and docs/ at a mail server, and what a row of
tests/systems_steps.py can say about an item of them."""
import collections
import glob
import os
import re
import time

import confedit
import document
import mailhost
from mailhost import CONF, USER, run

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
DOCUMENTS = [os.path.join(TOP, "README.md"),
             *sorted(glob.glob(os.path.join(TOP, "docs", "*.md")))]

# act: a function of (walk, item, name), in place of what is done with others.
Row = collections.namedtuple("Row", "section fragment act why")


def relevant(text):
    """The text of an item, blanks as one."""
    return " ".join(text.split())


def fits(row, item):
    """^ and $ in a fragment are beginning and end of the item."""
    return row.section == item.section and row.fragment in f"^{relevant(item.text)}$"


class Walk:
    """A reader of some sections, at one server."""

    def __init__(self, name, host, cases, rows):
        self.name, self.host, self.cases, self.rows = name, host, cases, rows
        self.items = document.read_all(DOCUMENTS)
        self.options = confedit.known(os.path.join(TOP, "abichecker.conf.example"))
        self.heading = ""  # the last paragraph that was read

    def follow(self, section, *steps):
        """Goes through a section, or only these steps of it."""
        for item in self.items:
            if item.section == section and (not steps or item.step in steps):
                self.meet(item)

    def meet(self, item):
        """An item is read, and done."""
        rows = [row for row in self.rows if fits(row, item)]
        name = f"{item.section}, {item.step}: {relevant(item.text)[:60]}"
        try:
            if rows:
                rows[0].act(self, item, name)
            elif item.language is None:
                self.heading = item.text
            elif item.language == "sh":
                self.type(item.text, name)
            elif item.language == "":
                self.set(self.options_of(item.text))
            else:
                raise AssertionError(f"a block in {item.language} that has no row")
        except Exception as error:
            self.cases.fails(name, f"{type(error).__name__}: {error}\n\n{item.text}")
        if item.language is None:
            self.heading = item.text

    def type(self, text, name, **keywords):
        """A block of commands, and the mail after it."""
        output = self.host.type(text, **keywords)
        if output.status != 0:
            raise AssertionError(f"status {output.status}\n{output.text}")
        failed = [line for line in output.text.splitlines() if line.startswith("FAIL")]
        if failed:
            raise AssertionError("\n".join(failed))
        self.host.ordinary_mail()
        self.cases.passes(name)
        return output.text

    def options_of(self, text):
        """{"section.key": value}, if the block is a part of the configuration; the section may be
        named before it."""
        lines = [line for line in text.splitlines() if line.strip()]
        section = re.findall(r"section `\[(\w+)\]`", self.heading)[-1:]
        options = {}
        for number, line in enumerate(lines):
            head = re.match(r"\[(\w+)\]$", line)
            key, _, value = line.partition(" =")
            if head:
                section = [head[1]]
            elif section and f"{section[0]}.{key}" in self.options:
                options[f"{section[0]}.{key}"] = value.strip()
            elif number == 0 or not options:
                return {}
            else:
                raise AssertionError(f"not an option: {line}")
        return options

    def set(self, options):
        confedit.change(CONF, options)


# Acts

def typed(fill=(), edit=None, first=None, then=None):
    """Typed, with other words in place of some; first and then are functions of the walk."""
    def act(walk, item, name):
        text = item.text
        for word, value in dict(fill).items():
            assert word in text, word
            text = text.replace(word, value)
        if first:
            first(walk)
        walk.type(text, name, edit=edit(walk) if callable(edit) else edit)
        if then:
            then(walk)
    return act


def skipped(walk, item, name):
    row = next(row for row in walk.rows if fits(row, item))
    walk.cases.skips(name, row.why)


def options(fill=()):
    """Into the configuration, with other words in place of some."""
    def act(walk, item, _name):
        text = item.text
        for word, value in dict(fill).items():
            text = text.replace(word, value)
        found = walk.options_of(text)
        assert found, "no options"
        walk.set(found)
    return act


def setting(**values):
    """What a paragraph says about options, section__key=value; None is the default."""
    return lambda walk, _item, _name: walk.host.configure(**values)


def done(function):
    """What a paragraph says, as a function of the walk; a case."""
    def act(walk, _item, name):
        function(walk)
        walk.host.ordinary_mail()
        walk.cases.passes(name)
    return act


def reload(walk):
    output = walk.host.type("sudo postfix reload")
    assert output.status == 0, output.text


def both(*functions):
    return lambda walk: [function(walk) for function in functions]


def configured(**values):
    return lambda walk: walk.host.configure(**values)


def following(*parts):
    """Other sections, or (section, step...) of them."""
    def act(walk, _item, _name):
        for part in parts:
            walk.follow(*([part] if isinstance(part, str) else part))
    return act


def by_scenario(acts):
    """Another one in each scenario; in those that are not named the item is left out."""
    def act(walk, item, name):
        if walk.name in acts:
            acts[walk.name](walk, item, name)
    return act


# What is looked at

def refuses(walk, address, text):
    """A client is refused so; not always at once, since a reload lets an smtpd(8) finish what it
    has begun."""
    for _ in range(10):
        try:
            walk.host.receive(address)
        except mailhost.Refused as error:
            assert text in str(error), error
            walk.host.look_at_log()
            return
        time.sleep(0.5)
    raise AssertionError(f"{address} was not refused: {text}")


def logins_are_counted(walk):
    walk.host.ordinary_mail()
    text = run("abictl", "logins")
    assert USER in text, text
