"""Ports and addresses of loopback that no other test takes, in this process or another one.

A port that the kernel hands out is free only until somebody binds it, and a stub that is stopped
would lose it. Those here are below the kernel's own. A process holds a block of them as long as it
lives, by a socket whose name says the number; nothing of it can stay behind.
"""
import contextlib
import itertools
import random
import socket

FIRST, SIZE, KERNELS = 12288, 256, 32768  # KERNELS: where its own begin, if nothing is configured
LAST_ADDRESS = 250

_held = {}  # what -> (number, the socket that holds it)
_next = {}  # block -> its ports, for ever


def _hold(what, numbers):
    """The first of these numbers that no other process holds, for this one's life."""
    if what not in _held:
        for number in numbers:
            holder = socket.socket(socket.AF_UNIX)
            try:
                holder.bind(f"\0abichecker-test-{what}-{number}")
            except OSError:
                holder.close()
                continue
            _held[what] = number, holder
            break
        else:
            raise RuntimeError(f"too many tests run at once: no {what} is left")
    return _held[what][0]


def _blocks():
    last = KERNELS
    with contextlib.suppress(OSError, ValueError), \
            open("/proc/sys/net/ipv4/ip_local_port_range", encoding="ascii") as file:
        last = int(file.read().split()[0])
    if last < FIRST + 16 * SIZE:  # the kernel takes them all; so it is only safe from other tests
        last = 1 << 16
    blocks = list(range(FIRST, last - SIZE + 1, SIZE))
    random.shuffle(blocks)
    return blocks


def _is_free(host, port):
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with contextlib.closing(socket.socket(family, kind)) as probe:
            if kind == socket.SOCK_STREAM:  # whose closed connections are in nobody's way
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError:
                return False
    return True


def take(host="127.0.0.1"):
    """A port that nobody has, neither of TCP nor of UDP, and that comes again only after all the
    others of the block. OSError when the host has no such address."""
    with contextlib.closing(socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)) as any_:
        any_.bind((host, 0))
    block = _hold("block", _blocks() if "block" not in _held else ())
    ports = _next.setdefault(block, itertools.cycle(range(block, block + SIZE)))
    for port in itertools.islice(ports, SIZE):
        if _is_free(host, port):
            return port
    raise RuntimeError(f"no port is free on {host} from {block} on")


def address(number):
    """An address of loopback for this process alone, for servers on fixed ports: 127.N.0.number."""
    own = _hold("address", range(1, LAST_ADDRESS) if "address" not in _held else ())
    return f"127.{own}.0.{number}"
