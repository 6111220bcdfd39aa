"""Change a configuration as people do it in an editor: an option that is there as a comment loses
its `#', one that goes becomes a comment again."""
import re

SECTION = re.compile(r"^\[(\w+)\]")


def change(path, options):
    """options: {"section.key": value}; None takes one out."""
    with open(path, encoding="utf-8") as file:
        lines = file.read().splitlines()
    for option, value in options.items():
        lines = _changed(lines, *option.split("."), value)
    with open(path, "w", encoding="utf-8") as file:  # owner and mode stay
        file.write("\n".join(lines) + "\n")


def known(path):
    """{"section.key"} of all options that the file has, as comments or not."""
    options, section = set(), None
    with open(path, encoding="utf-8") as file:
        for line in file:
            head = SECTION.match(line)
            section = head[1] if head else section
            option = re.match(r"#?(\w+) =", line)
            if option:
                options.add(f"{section}.{option[1]}")
    return options


def _changed(lines, section, key, value):
    begin = next((n for n, line in enumerate(lines) if line.startswith(f"[{section}]")), None)
    if begin is None:
        lines = [*lines, "", f"[{section}]"]
        begin = len(lines) - 1
    end = next((n for n in range(begin + 1, len(lines)) if SECTION.match(lines[n])), len(lines))
    at = next((n for n in range(begin + 1, end) if re.match(rf"#?{key} =", lines[n])), None)
    if at is None:
        return lines if value is None else [*lines[:begin + 1], f"{key} = {value}",
                                            *lines[begin + 1:]]
    lines[at] = f"#{lines[at].lstrip('#')}" if value is None else f"{key} = {value}"
    return lines
