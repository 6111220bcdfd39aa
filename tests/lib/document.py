"""Markdown documents as a reader goes through them: paragraphs and code blocks, in order."""
import collections
import re

# section: the heading of the second level, "" above the first one. step: the number of the list
# item, 0 outside of one. language: of a code block, None for a paragraph. line: where it begins.
Item = collections.namedtuple("Item", "section step language text line")


def read_all(paths):
    """The Items of several documents; a section is known by its heading, whatever document it is in."""
    return [item for path in paths for item in read(path)]


def read(path):
    """The Items of the document."""
    with open(path, encoding="utf-8") as file:
        lines = file.read().splitlines()
    items, section, step, at = [], "", 0, 0
    while at < len(lines):
        line = lines[at]
        fence = re.match(r"( *)```(\w*)$", line)
        begin = at
        if line.startswith("#"):
            section, step = (line[3:] if line.startswith("## ") else section), 0
        elif fence:
            at = next(n for n in range(at + 1, len(lines)) if lines[n].strip() == "```")
            text = "".join(f"{one[len(fence[1]):]}\n" for one in lines[begin + 1:at])
            items.append(Item(section, step, fence[2], text, begin + 1))
        elif line.strip():
            while at + 1 < len(lines) and re.match(r"(?! *```|#|\d+\. )\s*\S", lines[at + 1]):
                at += 1
            number = re.match(r"(\d+)\. ", line)
            step = int(number[1]) if number else step if line.startswith(" ") else 0
            text = " ".join(" ".join(lines[begin:at + 1]).split())
            items.append(Item(section, step, None, text, begin + 1))
        at += 1
    return items
