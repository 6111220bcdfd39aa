#!/usr/bin/python3
"""A DNS server on loopback, UDP and TCP on one port, that plays zones and can misbehave on request.

In a test:

    stub = DnsStub().start()
    stub.answers["4.4.8.8.zone.example.net"] = a("127.0.0.4")   # for this name
    stub.answers["*.zone.example.net"] = rcode(REFUSED)         # for all others below this one
    stub.default = silence                                      # for the rest; NXDOMAIN at first
    stub.count("zone.example.net")     # questions so far for this name and those below it
    stub.stop()                        # from here on nobody listens; start() takes the same port

By itself, until it is terminated; then the questions are counted on standard output:

    python3 dnsstub.py --port 5300 --answer 4.4.8.8.zone.example.net=127.0.0.4

Names are compared without regard to case, and given without a dot at the end.
"""
import argparse
import collections
import contextlib
import os
import signal
import socket
import socketserver
import struct
import threading
import time

import ports

A, CNAME, OPT = 1, 5, 41
NOERROR, FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED = range(6)
MEETING = 60  # seconds that questions wait for each other
PLAIN_SIZE = 512  # bytes that an answer over UDP may have when the question allows no more
TO_THE_QUESTION = b"\xc0\x0c"  # a compressed name: that of the question

Question = collections.namedtuple("Question", "name type tcp time")


# Answers: functions of the exchange they answer, as the factories below return them.

def a(*addresses, ttl=60):
    """A record for each address; cut short, and said so, where it is too much for UDP."""
    return records(*((TO_THE_QUESTION, A, socket.inet_aton(address)) for address in addresses),
                   ttl=ttl)


def many(count=300, last="127.0.0.4"):
    """So many records, all 127.0.1.x and 127.0.2.x but the last one."""
    return a(*(f"127.0.{1 + n // 250}.{1 + n % 250}" for n in range(count - 1)), last)


def cname(address, alias="alias.example.com"):
    """An alias, and the alias's address; no address when it is None."""
    chain = [(TO_THE_QUESTION, CNAME, encode_name(alias))]
    if address:
        chain.append((encode_name(alias), A, socket.inet_aton(address)))
    return records(*chain)


def aliases(*names, address="127.0.0.4", owner=None, reverse=False):
    """The question's name is an alias of the first name, that of the next one, and the last one (or
    `owner') has the address. The address comes last, or, reverse, first."""
    owners = [TO_THE_QUESTION, *map(encode_name, names)]
    items = [(one, CNAME, other) for one, other in zip(owners, owners[1:])]
    items.append((encode_name(owner) if owner else owners[-1], A, socket.inet_aton(address)))
    return records(*(items[::-1] if reverse else items))


def cname_loop(exchange):
    """An alias of itself."""
    records((TO_THE_QUESTION, CNAME, TO_THE_QUESTION))(exchange)


def records(*items, ttl=60):
    """Records, each (name, type, data) as they are on the wire."""
    def answer(exchange):
        section = b"".join(_record(*item, ttl) for item in items)
        exchange.send(exchange.message(section, len(items)))
    return answer


def rcode(code):
    """An answer without records and with this code."""
    return lambda exchange: exchange.send(exchange.message(code=code))


nxdomain, no_data = rcode(NXDOMAIN), rcode(NOERROR)


def silence(exchange):
    """No answer at all."""


def slow(seconds, answer):
    """The same answer, so much later."""
    def later(exchange):
        if not exchange.stub.stopping.wait(seconds):
            answer(exchange)
    return later


def first(count, answer, later):
    """So many times one answer, then the other one."""
    left = iter(range(count))
    return lambda exchange: (answer if next(left, None) is not None else later)(exchange)


def together(count, answer):
    """The same answer, but the first so many questions wait until all of them have come."""
    met = threading.Condition()
    come = 0

    def held(exchange):
        nonlocal come
        with met:
            come += 1
            met.notify_all()
            met.wait_for(lambda: come >= count or exchange.stub.stopping.is_set(), MEETING)
        answer(exchange)
    return held


def both(*answers):
    """All of them, to one question."""
    def answer(exchange):
        for each in answers:
            each(exchange)
    return answer


def wrong_id(address="127.0.0.4"):
    """As a(), to a question that was not asked."""
    return changed(a(address), lambda data: bytes([data[0] ^ 0x5a]) + data[1:])


def other_question(address="127.0.0.4", name="other.example.com"):
    """As a(), with another name in the question."""
    def answer(exchange):
        question = encode_name(name) + exchange.question[-4:]
        exchange.send(exchange.message(_record(TO_THE_QUESTION, A, socket.inet_aton(address), 60),
                                       1, question=question))
    return answer


def other_owner(address="127.0.0.4", name="other.example.com"):
    """A record of another name than the one that was asked for."""
    return records((encode_name(name), A, socket.inet_aton(address)))


def truncated(answer):
    """Over UDP only the word that there is more; over TCP the answer."""
    def chosen(exchange):
        if exchange.tcp:
            answer(exchange)
        else:
            exchange.send(exchange.message(flags=0x0200))
    return chosen


def hang_up(exchange):
    """Closes a connection without an answer; over UDP it is silence."""
    exchange.close = True


def name_loop(exchange):
    """Names that are compressed in a circle: the owner is itself, the alias points back to it."""
    at = 12 + len(exchange.question)
    loop = struct.pack(">H", 0xc000 | at)
    exchange.send(exchange.message(_record(loop, A, socket.inet_aton("127.0.0.4"), 60) +
                                   _record(loop, CNAME, struct.pack(">H", 0xc000 | at + 28), 60),
                                   2))


def name_loop_in_question(exchange):
    """The question's own name points to itself."""
    exchange.send(exchange.message(_record(TO_THE_QUESTION, A, socket.inet_aton("127.0.0.4"), 60),
                                   1, question=TO_THE_QUESTION + exchange.question[-4:]))


def lying_count(exchange):
    """Announces 65535 records and has one; its length is 65535 as well."""
    record = TO_THE_QUESTION + struct.pack(">HHIH", A, 1, 60, 65535) + b"\x7f\0\0\4"
    exchange.send(exchange.message(record, 65535))


def short_address(exchange):
    """An address of three bytes, and one of sixteen."""
    records((TO_THE_QUESTION, A, b"\x7f\0\0"), (TO_THE_QUESTION, A, b"\x7f\0\0\4" * 4))(exchange)


def cut(length, answer=None):
    """Of an answer only the first bytes; negative: without so many of the last."""
    return changed(answer or a("127.0.0.4"), lambda data: data[:length])


def garbage(size=400):
    """The question's id, so that it is not passed over, and random bytes."""
    return lambda exchange: exchange.send(exchange.id + os.urandom(size))


def raw(data):
    """Just these bytes."""
    return lambda exchange: exchange.send(data)


def changed(answer, change):
    """The answer, its bytes changed by a function."""
    def other(exchange):
        exchange.change = change
        try:
            answer(exchange)
        finally:
            exchange.change = None
    return other


def _record(name, type_, data, ttl):
    return name + struct.pack(">HHIH", type_, 1, ttl, len(data)) + data


def encode_name(name):
    """A name as it is on the wire, uncompressed."""
    labels = [label.encode("latin-1") for label in name.split(".") if label]
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"


class Exchange:
    """One question, and the way back."""

    def __init__(self, stub, data, send, tcp):
        self.stub, self.tcp, self.change, self.close = stub, tcp, None, False
        self._send = send
        self.id = data[:2]
        at, labels = 12, []
        while data[at]:
            labels.append(data[at + 1:at + 1 + data[at]].decode("latin-1").lower())
            at += 1 + data[at]
        self.name = ".".join(labels)
        self.question = data[12:at + 5]
        self.type, = struct.unpack(">H", data[at + 1:at + 3])
        self.size = self._size_allowed(data, at + 5)

    @staticmethod
    def _size_allowed(data, at):
        """What the question says (EDNS) that an answer over UDP may have."""
        additional, = struct.unpack(">H", data[10:12])
        if additional and data[at:at + 3] == b"\0" + struct.pack(">H", OPT):
            return max(PLAIN_SIZE, *struct.unpack(">H", data[at + 3:at + 5]))
        return PLAIN_SIZE

    def message(self, section=b"", count=0, code=NOERROR, flags=0, question=None):
        """A whole answer; over UDP, when it is too long, its beginning and the flag that says so.
        """
        question = self.question if question is None else question
        size = 12 + len(question) + len(section)
        if not self.tcp and size > self.size and not self.stub.oversized:
            section, count, flags = b"", 0, flags | 0x0200
        return self.id + struct.pack(">HHHHH", 0x8180 | flags | code, 1, count, 0, 0) + \
            question + section

    def send(self, data):
        self._send(self.change(data) if self.change else data)


class _Udp(socketserver.ThreadingUDPServer):
    daemon_threads = True
    block_on_close = False
    max_packet_size = 65535

    class Handler(socketserver.BaseRequestHandler):
        def handle(self):
            data, sock = self.request
            self.server.stub.answer(data, lambda reply: sock.sendto(reply, self.client_address),
                                    tcp=False)


class _Tcp(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    class Handler(socketserver.StreamRequestHandler):
        timeout = 60

        def handle(self):
            with contextlib.suppress(OSError):
                while True:
                    head = self.rfile.read(2)
                    if len(head) < 2:
                        return
                    data = self.rfile.read(struct.unpack(">H", head)[0])
                    if self.server.stub.answer(data, self.send, tcp=True):
                        return

        def send(self, reply):
            self.wfile.write(struct.pack(">H", len(reply)) + reply)


class DnsStub:
    """A server of all zones. tcp: False, and connections are refused."""

    def __init__(self, port=0, tcp=True, host="127.0.0.1"):
        self.host = host
        self.port = port
        self.tcp = tcp
        self.answers = {}
        self.default = nxdomain
        self.oversized = False  # long answers over UDP as they are, whatever the question allows
        self.questions = []
        self.done = 0  # questions whose answer has been sent, all of it
        self.stopping = threading.Event()
        self._lock = threading.Lock()
        self._servers = []

    @property
    def resolver(self):
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def start(self):
        self.stopping.clear()
        self.port = self.port or ports.take(self.host)
        self._servers = self._listen()
        for server in self._servers:
            server.stub = self
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02},
                             daemon=True).start()
        return self

    def _listen(self):
        """Servers for UDP and TCP on the same port."""
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        _Udp.address_family = _Tcp.address_family = family
        udp = _Udp((self.host, self.port), _Udp.Handler)
        if not self.tcp:
            return [udp]
        try:
            return [udp, _Tcp((self.host, self.port), _Tcp.Handler)]
        except OSError:  # somebody else has this one for TCP
            udp.server_close()
            raise

    def stop(self):
        self.stopping.set()
        for server in self._servers:
            server.shutdown()
            server.server_close()
        self._servers = []

    def answer(self, data, send, tcp):
        """Answers one question; true when the connection is to be closed."""
        try:
            exchange = Exchange(self, data, send, tcp)
        except (IndexError, struct.error):
            with self._lock:
                self.questions.append(Question("(malformed)", 0, tcp, time.time()))
            return True
        with self._lock:
            self.questions.append(Question(exchange.name, exchange.type, tcp, time.time()))
        with contextlib.suppress(OSError):  # the client went away, or we stop
            self._answer_for(exchange)(exchange)
        with self._lock:
            self.done += 1
        return exchange.close

    def _answer_for(self, exchange):
        if exchange.name in self.answers:
            answer = self.answers[exchange.name]
        else:
            zone = exchange.name
            answer = self.default
            while "." in zone:
                zone = zone.split(".", 1)[1]
                if f"*.{zone}" in self.answers:
                    answer = self.answers[f"*.{zone}"]
                    break
        # There are only addresses here; a name that has some has nothing else.
        return answer if exchange.type == A or answer is silence else no_data

    def names(self):
        """The names that were asked for, in order, those asked again as well."""
        with self._lock:
            return [question.name for question in self.questions]

    def count(self, name=None):
        """How often this name and those below it were asked for; all of them without a name."""
        return sum(1 for asked in self.names()
                   if name is None or asked == name or asked.endswith("." + name))

    def forget(self):
        """Counts from zero again."""
        with self._lock:
            self.questions.clear()


def main():
    parser = argparse.ArgumentParser(description="a DNS server for tests, on loopback")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--answer", action="append", default=[], metavar="NAME=ADDRESS[,...]",
                        help="the name may be *.ZONE; no address: no answer at all")
    options = parser.parse_args()
    stub = DnsStub(options.port)
    for name, addresses in (item.split("=", 1) for item in options.answer):
        stub.answers[name.lower()] = a(*addresses.split(",")) if addresses else silence
    stub.start()
    print(stub.resolver, flush=True)
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    for name, count in collections.Counter(stub.names()).most_common():
        print(count, name)


if __name__ == "__main__":
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    main()
