"""The filter by itself, started as spawn(8) starts it: a socket on descriptors 0, 1 and 2."""
import array
import contextlib
import fcntl
import itertools
import os
import select
import signal
import socket
import subprocess
import termios

from testenv import PATIENCE, Site, program, wait_until

# All attributes that Postfix sends up to 3.12, in its order.
ATTRIBUTES = {
    "request": "smtpd_access_policy", "protocol_state": "RCPT", "protocol_name": "ESMTP",
    "client_address": "8.8.4.4", "client_name": "mail.example.net", "client_port": "41324",
    "reverse_client_name": "mail.example.net", "server_address": "127.0.0.1",
    "server_port": "25", "helo_name": "mail.example.net", "sender": "sender@example.net",
    "recipient": "user@example.org", "recipient_count": "0", "queue_id": "", "instance": "",
    "size": "1234", "etrn_domain": "", "stress": "", "sasl_method": "", "sasl_username": "",
    "sasl_sender": "", "ccert_subject": "", "ccert_issuer": "", "ccert_fingerprint": "",
    "ccert_pubkey_fingerprint": "", "encryption_protocol": "TLSv1.3",
    "encryption_cipher": "TLS_AES_256_GCM_SHA384", "encryption_keysize": "256",
    "policy_context": "", "compatibility_level": "3.6", "mail_version": "3.12.0",
    "tls_sni": "mx.example.org",
}
DUNNO = b"action=DUNNO\n\n"
REFUSED = b"action=521 5.7.1 Bad host reputation.\n\n"

_message = itertools.count(1)


def request(client_address="8.8.4.4", **attributes):
    """A request as bytes, of a message of its own; None as a value leaves an attribute out."""
    values = {**ATTRIBUTES, "instance": f"{next(_message):x}.0", "client_address": client_address,
              **attributes}
    lines = [name.encode() + b"=" + (value if isinstance(value, bytes) else value.encode())
             for name, value in values.items() if value is not None]
    return b"\n".join(lines) + b"\n\n"


class Filter:
    """A running abichecker; a context manager that makes sure that it ends. wrapper: a command
    that runs it."""

    def __init__(self, site=None, *arguments, pipes=False, wrapper=(), **popen_keywords):
        command = [*wrapper, program("abichecker"), *(("-c", site.conf) if site else ()),
                   *arguments]
        keywords = {**Site.as_filter_user(), "start_new_session": True, **popen_keywords}
        if pipes:
            self.socket = None
            self.process = subprocess.Popen(command, stdin=subprocess.PIPE,
                                            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                            **keywords)
            return
        self.socket, theirs = socket.socketpair()
        self.socket.settimeout(PATIENCE)
        self.process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs,
                                        **keywords)
        theirs.close()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        if self.socket:
            self.socket.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(PATIENCE)
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            if pipe:
                pipe.close()

    def send(self, data):
        self.socket.sendall(data)

    def wait_until_read(self):
        """Waits until the filter has taken all that was sent."""
        left = array.array("i", [0])

        def is_read():
            fcntl.ioctl(self.socket, termios.TIOCOUTQ, left)
            return left[0] == 0 or self.process.poll() is not None
        wait_until(is_read, "the filter to read", interval=0)

    def receive(self, replies=1):
        """Reads until so many replies are complete, or the end; returns all that came."""
        data = b""
        while data.count(b"\n\n") < replies:
            try:
                part = self.socket.recv(1 << 16)
            except ConnectionResetError:
                break
            if not part:
                break
            data += part
        return data

    def ask(self, client_address="8.8.4.4", **attributes):
        """The reply, whole, to one request."""
        self.send(request(client_address, **attributes))
        return self.receive()

    def finish(self):
        """Ends the connection; returns what else the filter wrote on it, and its exit status."""
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_WR)
        rest = self.receive(replies=1 << 30)
        return rest, self.process.wait(PATIENCE)

    def is_silent(self, seconds):
        """True when nothing comes from the filter for so long."""
        return not select.select([self.socket], [], [], seconds)[0]

    def descriptors(self):
        return sorted(os.listdir(f"/proc/{self.process.pid}/fd"), key=int)

    def memory(self):
        """The bytes that this process has for itself."""
        with open(f"/proc/{self.process.pid}/smaps_rollup", encoding="ascii") as file:
            sizes = dict(line.split()[:2] for line in file if line.endswith("kB\n"))
        return int(sizes["Private_Dirty:"]) * 1024

    def send_signals(self, *numbers):
        for number in numbers:
            os.kill(self.process.pid, number)
            if number == signal.SIGSTOP:
                wait_until(lambda: _state(self.process.pid) == "T", "the filter to stop")


def answer_to(site, *requests, arguments=(), **keywords):
    """Runs the filter on these requests; returns all it wrote and its exit status."""
    with Filter(site, *arguments, **keywords) as filter_:
        for data in requests:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                filter_.send(data)
        return filter_.finish()


def _state(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        return file.read().rsplit(")", 1)[1].split()[0]
