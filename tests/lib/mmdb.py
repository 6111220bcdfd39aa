"""Write a small database of places in MaxMind's MMDB format, with nothing but Python.

    places = {"81.2.69.0/24": "GB", "2a02:d540::/32": Place("DE", 52.52, 13.40, 20)}
    write("test.mmdb", places, layout="city")

The format: maxmind.github.io/MaxMind-DB. A tree of addresses, IPv4 below ::/96, and data. That it
is right is tested against MaxMind's own writer, tests/lib/mmdb.pl.
"""
import collections
import ipaddress
import os
import struct
import time

# A country code, and for a city where it is; the radius, in km, says how sure that is.
Place = collections.namedtuple("Place", "country latitude longitude radius",
                               defaults=(None, None, None))

MARK = b"\xab\xcd\xefMaxMind.com"
TEXT, DOUBLE, UINT16, UINT32, MAP, UINT64, ARRAY = 2, 3, 5, 6, 7, 9, 11


def _country(place):
    return {"country": {"iso_code": place.country}}


def _city(place):
    location = {"latitude": place.latitude, "longitude": place.longitude,
                "accuracy_radius": place.radius}
    location = {name: value for name, value in location.items() if value is not None}
    return {**_country(place), **({"location": location} if location else {})}


# How the publishers lay out their data, by the names of tests/lib/mmdb.pl.
LAYOUTS = {"nested": _country, "flat": lambda place: {"country_code": place.country},
           "plain": lambda place: {"country": place.country}, "city": _city}


def write(path, places, layout="nested"):
    """Writes the database under a temporary name, then renames it: {block: Place or code}."""
    temporary = f"{path}.new"
    with open(temporary, "wb") as file:
        file.write(image(places, layout))
    os.rename(temporary, path)
    return path


def image(places, layout="nested", kind=None, built=None):
    """The bytes of the database. kind: what it says it is; built: when."""
    tree, data = [[None, None]], b""
    blocks = [(ipaddress.ip_network(block), place) for block, place in places.items()]
    for block, place in sorted(blocks, key=lambda item: item[0].prefixlen):
        place = place if isinstance(place, Place) else Place(place)
        _insert(tree, block, ("data", len(data)))
        data += _encode(LAYOUTS[layout](place))
    count = len(tree)
    records = b"".join(struct.pack(">I", _record(child, count)) for node in tree for child in node)
    about = {"binary_format_major_version": (UINT16, 2), "binary_format_minor_version": (UINT16, 0),
             "build_epoch": (UINT64, int(built or time.time())),
             "database_type": kind or f"Test-{layout.title()}",
             "description": {"en": "for tests"}, "ip_version": (UINT16, 6), "languages": ["en"],
             "node_count": (UINT32, count), "record_size": (UINT16, 32)}
    return records + bytes(16) + data + MARK + _encode(about)


def _insert(tree, block, leaf):
    """Hangs a leaf into the tree; one for a larger block, there already, is split."""
    bits = f"{int(block.network_address):0128b}"[:block.prefixlen + 128 - block.max_prefixlen]
    node = 0
    for bit in map(int, bits[:-1]):
        child = tree[node][bit]
        if not isinstance(child, int):
            tree.append([child, child])
            child = tree[node][bit] = len(tree) - 1
        node = child
    tree[node][int(bits[-1])] = leaf


def _record(child, count):
    if child is None:
        return count
    return child if isinstance(child, int) else count + 16 + child[1]


def _encode(value):
    """A value with its control bytes. (type, number) chooses the type of a number."""
    if isinstance(value, dict):
        return _control(MAP, len(value)) + b"".join(
            _encode(name) + _encode(item) for name, item in value.items())
    if isinstance(value, list):
        return _control(ARRAY, len(value)) + b"".join(map(_encode, value))
    if isinstance(value, str):
        return _control(TEXT, len(value.encode())) + value.encode()
    if isinstance(value, float):
        return _control(DOUBLE, 8) + struct.pack(">d", value)
    kind, number = value if isinstance(value, tuple) else (UINT16, value)
    digits = number.to_bytes((number.bit_length() + 7) // 8, "big")
    return _control(kind, len(digits)) + digits


def _control(kind, size):
    assert size < 29
    return bytes([kind << 5 | size] if kind < 8 else [size, kind - 7])
