#!/usr/bin/python3
"""A stand-in for the AbuseIPDB API, version 2, on loopback, that can misbehave on request.

In a test:

    stub = ApiStub().start()
    stub.answers["8.8.4.4"] = score(71)     # for this address
    stub.default = error(503)               # for all others
    stub.count("8.8.4.4")                   # check calls so far
    stub.stop()                             # connection refused; start() takes the same port again

By itself, until it is terminated:

    python3 apistub.py --port 8080 --score 8.8.4.4=71 --score 2a02:d540::a=12 --default 0
"""
import argparse
import collections
import datetime
import email.utils
import http.server
import ipaddress
import json
import os
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time
import urllib.parse

import ports

DAILY_LIMIT = 1000
ABSENT = object()  # as the value of a field: leave the field out

Request = collections.namedtuple("Request", "endpoint path query headers proxied time")


# Answers: functions of the exchange they answer, as the factories below return them.

def score(value, **fields):
    """A regular answer with this abuseConfidenceScore; other fields as given, or ABSENT."""
    def answer(exchange):
        data = dict(check_data(exchange.ip, value), **fields)
        data = {name: item for name, item in data.items() if item is not ABSENT}
        exchange.reply(200, json.dumps({"data": data}))
    return answer


def error(status, retry_after=None, reset=None, parameter=None):
    """An error as documented. retry_after and reset: a number or text as it is sent, or a
    timedelta from the answer on, for the form with a point in time."""
    def answer(exchange):
        details = {"detail": f"Status {status}, as the test wanted.", "status": status}
        if parameter:
            details["source"] = {"parameter": parameter}
        headers = {}
        if retry_after is not None:
            headers["Retry-After"] = _later(retry_after, lambda t: email.utils.formatdate(
                t, usegmt=True))
        if reset is not None:
            headers["X-RateLimit-Reset"] = _later(reset, int)
        if status == 429:
            headers["X-RateLimit-Remaining"] = 0
        exchange.reply(status, json.dumps({"errors": [details]}), headers)
    return answer


def raw(body, status=200, content_type="application/json"):
    """Any body with any status."""
    return lambda exchange: exchange.reply(status, body, {"Content-Type": content_type})


def html_page(status=200):
    return raw("<!DOCTYPE html><html><body>Checking your browser: 71</body></html>", status,
               "text/html; charset=utf-8")


def redirect(status=301):
    """A redirect to the very address that was asked for."""
    def answer(exchange):
        exchange.reply(status, "", {"Location": exchange.stub.origin + exchange.path})
    return answer


def cut_short(value=71):
    """A regular answer of which only a part arrives: as announced, it would be longer."""
    def answer(exchange):
        body = json.dumps({"data": check_data(exchange.ip, value)}).encode()
        exchange.send_head(200, {"Content-Length": len(body)})
        exchange.wfile.write(body[:len(body) // 2])
        exchange.close_connection = True
    return answer


def with_headers(answer, **headers):
    """The same answer with more headers, or others; names in Python's spelling, None for not."""
    def changed(exchange):
        exchange.changed_headers = {name.replace("_", "-"): value
                                    for name, value in headers.items()}
        answer(exchange)
    return changed


def slow(seconds, answer):
    """The same answer, so much later."""
    def later(exchange):
        if not exchange.stub.stopping.wait(seconds):
            answer(exchange)
    return later


def held(gate, answer):
    """The same answer, once this threading.Event is set."""
    def later(exchange):
        while not gate.wait(0.02):
            if exchange.stub.stopping.is_set():
                return
        answer(exchange)
    return later


def drip(interval=0.1, value=71):
    """A regular answer, a byte at a time."""
    def answer(exchange):
        body = json.dumps({"data": check_data(exchange.ip, value)}).encode()
        exchange.send_head(200, {"Content-Length": len(body)})
        for byte in body:
            if exchange.stub.stopping.wait(interval):
                return
            exchange.wfile.write(bytes([byte]))
    return answer


def endless(size=100 << 20):
    """A body without a length that goes on until size."""
    def answer(exchange):
        exchange.send_head(200, {"Connection": "close"})
        exchange.wfile.write(b'{"data":{"abuseConfidenceScore":71,"hostnames":["')
        for _ in range(size >> 16):
            exchange.wfile.write(b"x" * (1 << 16))
            exchange.stub.sent += 1 << 16
        exchange.close_connection = True
    return answer


def no_http(exchange):
    """Bytes that are no answer in HTTP."""
    exchange.wfile.write(b"71\n" * 1000)
    exchange.close_connection = True


def endless_headers(exchange):
    """A head that goes on until the client leaves."""
    exchange.wfile.write(b"HTTP/1.1 200 OK\r\n")
    while not exchange.stub.stopping.is_set():
        exchange.wfile.write(b"X-Odd: " + b"x" * 1000 + b"\r\n")


def silence(exchange):
    """Takes the request and says nothing until the stub stops."""
    exchange.stub.stopping.wait()


def reset(exchange):
    """Closes the connection at once, with a reset instead of an answer."""
    exchange.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    exchange.rfile.close()
    exchange.wfile.close()
    exchange.connection.close()


def check_data(ip, value):
    """The data of a check answer, every documented field."""
    try:
        version = ipaddress.ip_address(ip).version
    except ValueError:
        version = 4
    return {
        "ipAddress": ip, "isPublic": True, "ipVersion": version, "isWhitelisted": False,
        "abuseConfidenceScore": value, "countryCode": "CN", "countryName": "China",
        "usageType": "Data Center/Web Hosting/Transit", "isp": "Example Hosting Ltd",
        "domain": "example.net", "hostnames": [], "isTor": False, "totalReports": 25,
        "numDistinctUsers": 9, "lastReportedAt": "2026-08-20T20:55:14+00:00",
    }


class Exchange(http.server.BaseHTTPRequestHandler):
    """One connection; what the answers above write to."""

    protocol_version = "HTTP/1.1"
    timeout = 60

    def do_GET(self):
        self.stub = self.server.stub
        self.changed_headers = {}
        url = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(url.query, keep_blank_values=True))
        self.ip = query.get("ipAddress", "")
        endpoint = url.path.removeprefix("/api/v2/")
        self.stub.record(Request(endpoint, url.path, query, dict(self.headers.items()),
                                 bool(url.netloc), time.time()))
        self.stub.answer_for(endpoint, self, query)(self)

    def send_head(self, status, headers):
        remaining = max(0, self.stub.limit - len(self.stub.requests))
        head = {"Content-Type": "application/json", "X-RateLimit-Limit": self.stub.limit,
                "X-RateLimit-Remaining": remaining, **headers, **self.changed_headers}
        self.send_response(status)
        for name, value in head.items():
            if value is not None:
                self.send_header(name, str(value))
        self.end_headers()

    def reply(self, status, body, headers=()):
        body = body.encode() if isinstance(body, str) else body
        self.send_head(status, {"Content-Length": len(body), **dict(headers)})
        self.wfile.write(body)

    def log_message(self, format, *args):
        pass


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, stub, port):
        self.stub = stub
        super().__init__(("127.0.0.1", port), Exchange)

    def get_request(self):
        connection, peer = super().get_request()
        if self.stub.tls:  # the handshake happens at the first read, in the connection's thread
            connection = self.stub.tls.wrap_socket(connection, server_side=True,
                                                   do_handshake_on_connect=False)
        return connection, peer

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], (OSError, ValueError)):  # the peer went away
            super().handle_error(request, client_address)


class ApiStub:
    """The API on a port of its own. certificate: (certificate, key) files, for https."""

    def __init__(self, port=0, certificate=None, key=None):
        self.port = port
        self.key = key  # when set, any other one gets a 401
        self.tls = None
        if certificate:
            self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.tls.load_cert_chain(*certificate)
        self.answers = {}
        self.limit = DAILY_LIMIT  # calls a day
        self.default = score(0)
        self.blacklist = {}  # address: score
        self.requests = []
        self.sent = 0  # by endless()
        self.stopping = threading.Event()
        self._lock = threading.Lock()
        self._server = None

    @property
    def origin(self):
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    @property
    def url(self):
        return self.origin + "/api/v2"

    def start(self):
        self.stopping.clear()
        self.port = self.port or ports.take()
        self._server = _Server(self, self.port)
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02},
                         daemon=True).start()
        return self

    def stop(self):
        """From here on connections are refused."""
        if self._server:
            self.stopping.set()
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def record(self, request):
        with self._lock:
            self.requests.append(request)

    def count(self, ip=None):
        """How often the check endpoint was asked, for this address if given."""
        with self._lock:
            return sum(1 for request in self.requests if request.endpoint == "check"
                       and ip in (None, request.query.get("ipAddress")))

    def answer_for(self, endpoint, exchange, query):
        sent_key = exchange.headers.get("Key", "")
        if "json" not in exchange.headers.get("Accept", ""):
            return html_page(406)
        if not sent_key or self.key not in (None, sent_key):
            return error(401)
        if endpoint == "blacklist":
            return self.answers.get(endpoint, self._blacklist)
        if endpoint != "check":
            return error(404)
        if exchange.ip in self.answers:
            return self.answers[exchange.ip]
        if not _is_address(exchange.ip):
            return error(422, parameter="ipAddress")
        if not 1 <= int(query.get("maxAgeInDays", "30")) <= 365:
            return error(422, parameter="maxAgeInDays")
        return self.default

    def _blacklist(self, exchange):
        query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(exchange.path).query))
        at_least, limit = int(query.get("confidenceMinimum", 100)), int(query.get("limit", 10000))
        listed = [{"ipAddress": ip, "countryCode": "CN", "abuseConfidenceScore": value,
                   "lastReportedAt": "2026-08-20T20:55:14+00:00"}
                  for ip, value in self.blacklist.items() if value >= at_least][:limit]
        generated = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime())
        exchange.reply(200, json.dumps({"meta": {"generatedAt": generated}, "data": listed}))


def make_certificate(directory):
    """A self-signed certificate for 127.0.0.1; returns the files (certificate, key)."""
    certificate, key = (os.path.join(directory, name) for name in ("stub.crt", "stub.key"))
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30",
         "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1",
         "-out", certificate, "-keyout", key], check=True, capture_output=True)
    return certificate, key


def _later(value, form):
    if isinstance(value, datetime.timedelta):
        return form(time.time() + value.total_seconds())
    return value


def _is_address(text):
    try:
        return bool(ipaddress.ip_address(text))
    except ValueError:
        return False


def main():
    parser = argparse.ArgumentParser(description="a stand-in for the AbuseIPDB API on loopback")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--score", action="append", default=[], metavar="IP=N")
    parser.add_argument("--default", type=int, default=0, metavar="N", help="all other addresses")
    options = parser.parse_args()
    stub = ApiStub(options.port)
    stub.default = score(options.default)
    for ip, value in (item.rsplit("=", 1) for item in options.score):
        stub.answers[ip] = score(int(value))
        stub.blacklist[ip] = int(value)
    stub.start()
    print(stub.url, flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        pass
