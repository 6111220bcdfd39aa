#!/usr/bin/python3
"""What can go wrong, through the real binaries: requests, replies, the API, the cache, the
configuration. Whatever happens, the filter answers or leaves in silence, and mail flows.

    python3 tests/e2e/e2e_faults.py [-v] [Class.test ...]
"""
import collections
import concurrent.futures
import contextlib
import datetime
import os
import random
import re
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import apistub  # noqa: E402
import testenv  # noqa: E402
from apistub import ABSENT, ApiStub, error, raw, score, with_headers  # noqa: E402
from filter import ATTRIBUTES, DUNNO, REFUSED, Filter, answer_to, request  # noqa: E402
from pace import duration  # noqa: E402
from sitetest import (CLEAN_EXIT, DAY, SiteTest, is_address, listing,  # noqa: E402
                      seconds_to_midnight)
from testenv import FILTER_USER, Site, children, process_name, wait_until  # noqa: E402

PRINTABLE = r"\A[^\x00-\x09\x0b-\x1f\x7f-\x9f\ud800-\udfff]*\Z"  # and valid UTF-8


class Requests(SiteTest):
    """Requests as they should be, in any pieces, and as they should not be."""

    def test_split_at_each_byte(self):
        filter_ = self.filter(self.cached_site())
        whole = request("9.9.9.9")
        for cut in range(1, len(whole)):
            filter_.send(whole[:cut])
            filter_.wait_until_read()
            filter_.send(whole[cut:])
            self.assertEqual(filter_.receive(), REFUSED, whole[:cut])
        self.assertEqual(filter_.finish(), (b"", CLEAN_EXIT))

    def test_one_byte_at_a_time(self):
        filter_ = self.filter(self.cached_site())
        for byte in request("9.9.9.9"):
            filter_.send(bytes([byte]))
            filter_.wait_until_read()
        self.assertEqual(filter_.receive(), REFUSED)

    def test_pipelined(self):
        requests = b"".join(request(address) for address in ("9.9.9.9", "8.8.4.4") * 100)
        self.assert_answers((REFUSED + DUNNO) * 100, self.cached_site(), requests)

    def test_any_order_unknown_and_repeated_attributes(self):
        lines = request("9.9.9.9").strip().split(b"\n") + [b"new_in_3.13=x", b"=", b"a=b=c"]
        for number in range(5):
            with self.subTest(number):
                random.Random(number).shuffle(lines)
                self.assert_answers(REFUSED, self.cached_site(), b"\n".join(lines) + b"\n\n")
        self.assert_answers(REFUSED, self.cached_site(),
                            b"client_address=9.9.9.9\n" + request("9.9.9.9"))

    def test_the_least_request(self):
        self.assert_answers(REFUSED, self.cached_site(),
                            b"request=smtpd_access_policy\nclient_address=9.9.9.9\n\n")

    def test_nothing_to_judge(self):
        for name, changes in (("other request", {"request": "junk"}),
                              ("no address", {"client_address": None}),
                              ("unknown address", {"client_address": "unknown"}),
                              ("empty address", {"client_address": ""}),
                              ("path", {"client_address": "../../etc/passwd"}),
                              ("marker", {"client_address": ".rest-api"}),
                              ("name", {"client_address": "localhost"}),
                              ("prefix", {"client_address": "9.9.9.9/32"}),
                              ("short", {"client_address": "9.9.9"}),
                              ("zone", {"client_address": "fe80::1%lo"}),
                              ("long", {"client_address": "9" * 5000})):
            with self.subTest(name):
                site = self.site()
                self.assert_answers(DUNNO, site, request(**changes))
                self.assertEqual(self.stub.count(), 0)

    def test_all_forms_of_an_address_are_one(self):
        site = Site()
        site.put_score("9.9.9.9", 71)
        site.put_score("2a02:d540::a", 71)
        for address in ("9.9.9.9", "::ffff:9.9.9.9", "2a02:d540::a", "2A02:D540:0:0::A",
                        "2a02:d540:0:0:0:0:0:a"):
            with self.subTest(address):
                self.assert_answers(REFUSED, site, request(address))

    def test_up_to_the_limits(self):
        attributes = {f"extra{number}": "x" for number in range(256 - len(ATTRIBUTES))}
        self.assert_answers(REFUSED, self.cached_site(), request("9.9.9.9", **attributes))
        self.assert_answers(REFUSED, self.cached_site(), request("9.9.9.9", extra="x" * 60000))

    def test_malformed_requests_get_no_reply(self):
        whole = request("9.9.9.9")
        too_many = {f"extra{number}": "x" for number in range(257 - len(ATTRIBUTES))}
        for name, data in (("no =", b"request\n" + whole), ("no = later", whole[:-1] + b"x\n\n"),
                           ("NUL", request("9.9.9.9", sender="a\0b")),
                           ("NUL in a name", request("9.9.9.9", **{"a\0b": "c"})),
                           ("only NUL", b"\0" * 1000),
                           ("too many", request("9.9.9.9", **too_many)),
                           ("long request", request("9.9.9.9", sender="x" * 66000)),
                           ("long in lines", request("9.9.9.9", **{
                               f"extra{number}": "x" * 1000 for number in range(100)})),
                           ("1 MiB line", request("9.9.9.9", sender="x" * (1 << 20))),
                           ("1 MiB without an end", b"x" * (1 << 20)),
                           ("CRLF", whole.replace(b"\n", b"\r\n"))):
            with self.subTest(name):
                site = self.cached_site()
                self.assert_answers(b"", site, data)
                self.assertEqual(len(site.log().splitlines()), 1)
                # What was right before it was answered.
                self.assert_answers(REFUSED, site, whole + data)

    def test_end_of_file(self):
        self.assert_answers(b"", self.cached_site())
        whole = request("9.9.9.9")
        for cut in (1, 8, len(whole) // 2, len(whole) - 1):
            with self.subTest(cut):
                site = self.cached_site()
                self.assert_answers(b"", site, whole[:cut])
                self.assertEqual(len(site.log().splitlines()), 1)
        self.assert_answers(REFUSED, self.cached_site(), whole + whole[:8])

    def test_nobody_waits_for_the_reply(self):
        filter_ = self.filter(self.site())
        self.stub.default = apistub.slow(0.2, score(71))
        filter_.send(request())
        wait_until(lambda: self.stub.count() == 1, "the call")
        filter_.socket.close()
        self.assertEqual(filter_.process.wait(testenv.PATIENCE), CLEAN_EXIT)

    def test_the_reader_of_a_pipe_goes_away(self):
        filter_ = self.filter(self.cached_site(), pipes=True)
        filter_.process.stdout.close()
        filter_.process.stdin.write(request("9.9.9.9"))
        filter_.process.stdin.flush()
        self.assertEqual(filter_.process.wait(testenv.PATIENCE), CLEAN_EXIT)
        self.assertEqual(filter_.process.stderr.read(), b"")

    def test_signals_in_the_middle_of_a_request(self):
        filter_ = self.filter(self.site())
        self.stub.default = apistub.slow(0.3, score(71))
        whole = request()
        harmless = (signal.SIGSTOP, signal.SIGCONT, signal.SIGPIPE, signal.SIGCHLD,
                    signal.SIGWINCH)
        filter_.send(whole[:100])
        filter_.wait_until_read()
        filter_.send_signals(*harmless)
        filter_.send(whole[100:])
        wait_until(lambda: self.stub.count() == 1, "the call")
        filter_.send_signals(*harmless)
        self.assertEqual(filter_.receive(), REFUSED)

    def test_a_killed_filter_leaves_the_fetch_alone(self):
        for number in (signal.SIGTERM, signal.SIGKILL):
            with self.subTest(number):
                site, gate = self.site(), threading.Event()
                filter_ = self.filter(site)
                self.stub.default = apistub.held(gate, score(71))
                calls = self.stub.count()
                filter_.send(request())
                wait_until(lambda: self.stub.count() == calls + 1, "the call")
                filter_.send_signals(number)
                self.assertEqual(filter_.receive(), b"")
                gate.set()
                wait_until(lambda: site.cached_score("8.8.4.4") == "71", "the score")

    def test_ten_thousand_requests_leave_memory_and_descriptors_where_they_were(self):
        site = Site(whitelist="paypal.com\n")
        addresses = [f"9.9.{number}.9" for number in range(200)]
        for number, address in enumerate(addresses):
            site.put_score(address, number % 101)
        filter_ = self.filter(site)

        def ask(count):
            for _ in range(count // len(addresses)):
                filter_.send(b"".join(map(request, addresses)))
                replies = filter_.receive(len(addresses))
                self.assertEqual(replies.count(REFUSED), 60)
                self.assertEqual(replies.count(DUNNO), 140)
            return filter_.memory(), filter_.descriptors()
        memory, descriptors = ask(1000)
        memory_after, descriptors_after = ask(9000)
        self.assertEqual(descriptors_after, descriptors)
        if not testenv.SAN:  # whose freed memory is kept for a while
            self.assertLessEqual(memory_after, memory + 8192)


class Attacks(SiteTest):
    """Attributes that want to be something else than text."""

    def canary(self):
        """A file that any user could make."""
        return os.path.join(testenv.new_directory("canary", mode=0o1777), "made")

    def attributes(self, text):
        """The same text as every attribute that the client or the user can choose."""
        fixed = ("request", "client_address", "protocol_state", "instance", "client_name")
        return {name: text for name in ATTRIBUTES if name not in fixed}

    def test_no_text_is_a_command(self):
        canary = self.canary()
        site = self.site({"reputation.authenticated": "yes", "reputation.action":
                          "521 5.7.1 $client_name $sasl_username $client_address $reason"})
        self.stub.default = score(71)
        for number, text in enumerate((
                f"$(touch {canary})", f"`touch {canary}`", f"; touch {canary} #",
                f"| touch {canary}", f"&& touch {canary}", f"'; touch {canary}; '",
                f"a $(touch {canary});`touch {canary}`", f'"$(touch {canary})"', f"() {{ :; }}; "
                f"touch {canary}", "%n%s%n%s%x%99999999d", "%s" * 500, "\x01\x1b[31m\x7f\t\r\v",
                bytes(range(0x80, 0x100)), "é€𝄞", "-c /etc/passwd", "../../etc/passwd")):
            with self.subTest(text=text):
                address = f"9.9.9.{number + 1}"
                reply, status = answer_to(site, request(address, client_name=text,
                                                        **self.attributes(text)))
                self.assertEqual(status, CLEAN_EXIT)
                self.assertRegex(reply, rb"\Aaction=521 5\.7\.1 [ -~]{1,480}\n\n\Z")
                self.assertEqual(site.cached_score(address), "71")
        self.assertFalse(os.path.exists(canary))
        self.assertRegex(site.log(), PRINTABLE)

    def test_no_attribute_is_a_variable(self):
        canary = self.canary()
        names = ("PATH", "LD_PRELOAD", "LD_LIBRARY_PATH", "IFS", "BASH_ENV", "ENV", "HOME", "TOKEN",
                 "ABUSE_SCORE", "http_proxy", "https_proxy", "ALL_PROXY", "SSL_CERT_FILE")
        filter_ = self.filter(self.site(), env={**testenv.SPAWN_ENVIRONMENT, "ODD_VARIABLE": "1"})
        gate = threading.Event()
        self.stub.default = apistub.held(gate, score(71))
        filter_.send(request(**{name: canary for name in names},
                             sender=f"$(touch {canary})@example.net"))
        wait_until(lambda: self.stub.count() == 1, "the call")
        started = children(filter_.process.pid)
        self.assertEqual([process_name(pid) for pid in started], ["abictl"])
        self.assertEqual(children(started[0]), [])
        self.assertNotIn("ODD_VARIABLE", testenv.read_file(f"/proc/{started[0]}/environ"))
        for pid in (filter_.process.pid, started[0]):
            self.assertNotIn(canary, testenv.read_file(f"/proc/{pid}/environ"))
            self.assertNotIn(canary, testenv.read_file(f"/proc/{pid}/cmdline"))
        gate.set()
        self.assertEqual(filter_.receive(), REFUSED)
        self.assertFalse(os.path.exists(canary))

    def test_the_child_has_none_of_the_descriptors(self):
        filter_, gate = self.filter(self.site()), threading.Event()
        self.stub.default = apistub.held(gate, score(71))
        filter_.send(request())
        wait_until(lambda: self.stub.count() == 1, "the call")
        child, = children(filter_.process.pid)
        client = os.stat(f"/proc/{filter_.process.pid}/fd/0").st_ino
        for descriptor in os.listdir(f"/proc/{child}/fd"):
            self.assertNotEqual(os.stat(f"/proc/{child}/fd/{descriptor}").st_ino, client)
        gate.set()
        self.assertEqual(filter_.receive(), REFUSED)

    def test_a_line_that_looks_like_a_log_line(self):
        site = self.cached_site()
        site.configure(**{"reputation.authenticated": "yes"})
        text = 'x> to=<y> helo=<z> reason="no" action="no"\x0b abichecker[1]: reject: check='
        self.assert_answers(REFUSED, site, request("9.9.9.9", sender=text, helo_name=text,
                                                   recipient=text, sasl_username=text))
        line, = site.log().splitlines()
        fields = " ".join(f"{name}=<[^<>\"]+>" for name in ("from", "to", "helo"))
        self.assertRegex(line, r" reject: check=reputation client=mail\.example\.net\[9\.9\.9\.9\]"
                               rf' user=<[^<>"]+> score=71 {fields} reason="[^"]+" action="[^"]+"$')


class Replies(SiteTest):
    """One action and one blank line, and nothing else, anywhere."""

    def broken_site(self):
        """A site where nothing is as it should be."""
        site = Site(options={
            "whitelist.file": "/nonexistent/whitelist", "filter.abictl": "/nonexistent/abictl",
            "log.target": "/nonexistent/log", "reputation.token_file": "/nonexistent/key"})
        os.chmod(site.cache, 0o777)
        return site

    def test_everything_fails(self):
        unreadable = Site()
        os.chmod(unreadable.conf, 0)
        for name, site in (("all broken", self.broken_site()), ("unreadable", unreadable),
                           ("dead API", Site()), ("key unreadable", self.key_unreadable())):
            with self.subTest(name):
                self.assert_answers(DUNNO, site, request())
                with Filter(site, pipes=True) as filter_:
                    output, errors = filter_.process.communicate(request() + request("9.9.9.9"))
                    self.assertEqual((output, errors), (DUNNO * 2, b""))
                    self.assertEqual(filter_.process.returncode, CLEAN_EXIT)

    def key_unreadable(self):
        site = Site()
        os.chown(site.options["reputation.token_file"], 0, 0)
        return site

    def test_abictl_misbehaves(self):
        for name, script in (
                ("fails", "exit 1"), ("dies", "kill -9 $$"), ("silent", "exit 0"),
                ("talks", "echo action=OK; echo; echo action=OK >&2; exit 0"),
                ("rubbish", "echo banana"), ("negative", "echo -1"), ("big", "echo 101"),
                ("torn", "printf 71"), ("endless", "exec cat /dev/zero"),
                ("many lines", "yes 100"), ("writes on 0", "echo action=OK >&0"),
                ("hangs", "exec sleep 4")):
            with self.subTest(name):
                directory = testenv.new_directory("abictl")
                fake = testenv.write_file(f"{directory}/abictl", f"#!/bin/sh\n{script}\n", 0o755)
                site = Site(options={"filter.abictl": fake, "filter.deadline": "2s",
                                     "reputation.timeout": "2s"})
                self.assert_answers(DUNNO, site, request())
                self.assertIsNotNone(site.rest())

    def test_odd_files_in_the_configuration(self):
        odd = f"{testenv.new_directory('odd')}/fifo"
        os.mkfifo(odd)
        os.chmod(odd, 0o666)
        for option in ("log.target", "whitelist.file", "reputation.token_file"):
            for path in (odd, "/", "/dev/full", "/dev/zero", "/nonexistent/file"):
                with self.subTest(option, path=path):
                    (output, status), seconds = duration(
                        lambda: answer_to(Site(options={option: path}), request()))
                    self.assertEqual((output, status), (DUNNO, CLEAN_EXIT))
                    self.assert_within(5, seconds)  # not the 10 s of filter.deadline
        for path in (odd, "/", "/dev/zero"):
            with self.subTest("-c", path=path):
                self.assert_answers(DUNNO, None, request(), arguments=("-c", path))

    def test_a_log_that_was_moved_is_opened_again(self):
        site = self.cached_site()
        filter_ = self.filter(site)
        self.assertEqual(filter_.ask("9.9.9.9"), REFUSED)
        os.rename(site.log_file, f"{site.log_file}.1")
        self.assertEqual(filter_.ask("9.9.9.9"), REFUSED)
        self.assertEqual(len(site.log_lines(" reject: ")), 1)
        self.assertEqual(testenv.read_file(f"{site.log_file}.1").count(" reject: "), 1)

    def test_on_error_defer(self):
        site = Site(options={"filter.on_error": "defer"})
        self.assert_answers(
            b"action=DEFER_IF_PERMIT 4.3.0 Service temporarily unavailable\n\n", site, request())

    def test_it_stays_for_more_after_a_failure(self):
        filter_ = self.filter(self.broken_site())
        for _ in range(10):
            self.assertEqual(filter_.ask(), DUNNO)
        self.assertEqual(filter_.finish(), (b"", CLEAN_EXIT))

    def test_descriptor_2_is_not_the_clients(self):
        filter_ = self.filter(self.cached_site())
        self.assertEqual(filter_.ask("9.9.9.9"), REFUSED)
        inodes = [os.stat(f"/proc/{filter_.process.pid}/fd/{number}").st_ino for number in range(3)]
        self.assertEqual(inodes[0], inodes[1])
        self.assertNotEqual(inodes[0], inodes[2])

    def test_nothing_is_said_outside_a_request(self):
        filter_ = self.filter(self.cached_site())
        self.assertTrue(filter_.is_silent(0.2))
        self.assertEqual(filter_.ask("9.9.9.9"), REFUSED)
        self.assertTrue(filter_.is_silent(0.2))


# What the API does, and what comes of it: the seconds that the API rests.
Failure = collections.namedtuple("Failure", "answer rest")
SHORT, LONG, HOUR = 15, 300, 3600

API_FAILURES = {
    "400": Failure(error(400), None), "401": Failure(error(401), LONG),
    "402": Failure(error(402), LONG), "403": Failure(error(403), LONG),
    "403 page": Failure(apistub.html_page(403), LONG), "404": Failure(error(404), LONG),
    "301": Failure(apistub.redirect(301), LONG), "302": Failure(apistub.redirect(302), LONG),
    "308": Failure(apistub.redirect(308), LONG),
    "429, seconds": Failure(error(429, retry_after=600), 600),
    "429, seconds and reset": Failure(error(429, retry_after=600, reset=1), 600),
    "429, date": Failure(error(429, retry_after=datetime.timedelta(seconds=1800)), 1800),
    "429, reset": Failure(error(429, reset=datetime.timedelta(seconds=900)), 900),
    "429, neither": Failure(error(429), HOUR),
    "429, odd": Failure(error(429, retry_after="soon", reset="later"), HOUR),
    "429, page": Failure(apistub.html_page(429), HOUR),
    "429, negative": Failure(error(429, retry_after=-600), None),
    "429, huge": Failure(error(429, retry_after="9" * 30, reset="9" * 30), None),
    "429, in 2106": Failure(error(429, reset=(1 << 32) - 1), HOUR),
    "429, long ago": Failure(error(429, reset=1), None),
    "500": Failure(error(500), SHORT), "502 page": Failure(apistub.html_page(502), SHORT),
    "503": Failure(error(503), SHORT), "page": Failure(apistub.html_page(), SHORT),
    "cut": Failure(apistub.cut_short(), SHORT), "empty": Failure(raw(""), SHORT),
    "cut, length right": Failure(raw('{"data":{"abuseConfidenceScore":71,'), SHORT),
    "nested": Failure(raw('{"data":' + "[" * 100000 + "]" * 100000 + "}"), SHORT),
    "nested, objects": Failure(raw('{"data":' * 50000), SHORT),
    "array": Failure(raw("[71]"), SHORT), "number": Failure(raw("71"), SHORT),
    "null": Failure(raw("null"), SHORT), "no data": Failure(raw('{"meta":{}}'), SHORT),
    "data null": Failure(raw('{"data":null}'), SHORT),
    "data list": Failure(raw('{"data":[71]}'), SHORT), "NUL": Failure(raw(b"\0" * 100), SHORT),
    "not UTF-8": Failure(raw(b'{"data":"\xff\xfe'), SHORT),
    "score absent": Failure(score(ABSENT), SHORT), "score null": Failure(score(None), SHORT),
    "score text": Failure(score("71"), SHORT), "score float": Failure(score(71.5), SHORT),
    "score true": Failure(score(True), SHORT), "score list": Failure(score([71]), SHORT),
    "score -1": Failure(score(-1), SHORT), "score 101": Failure(score(101), SHORT),
    "score huge": Failure(score(10 ** 40), SHORT),
    "score 2^32+71": Failure(score((1 << 32) + 71), SHORT),
    "score infinite": Failure(raw('{"data":{"ipAddress":"8.8.4.4","abuseConfidenceScore":1e999}}'),
                              SHORT),
    "other address": Failure(score(71, ipAddress="9.9.9.9"), SHORT),
    "endless": Failure(apistub.endless(), SHORT), "reset": Failure(apistub.reset, SHORT),
    "silent": Failure(apistub.silence, SHORT), "drip": Failure(apistub.drip(), SHORT),
    "slow": Failure(apistub.slow(9, score(71)), SHORT), "no HTTP": Failure(apistub.no_http, SHORT),
    "endless head": Failure(apistub.endless_headers, SHORT),
}

LOGGED_ERROR = r" error: check=reputation client=mail\.example\.net\[8\.8\.4\.4\] .*reason=\"."


class Api(SiteTest):
    """Every answer that is none, and some that look odd."""

    def assert_key_is_hidden(self, site):
        self.assertNotIn(site.key, site.log())
        for name in os.listdir(site.cache):
            path = os.path.join(site.cache, name)
            if stat.S_ISREG(os.stat(path).st_mode):
                self.assertNotIn(site.key, testenv.read_file(path))

    def assert_failure(self, failure, out_of_calls):
        """DUNNO, a marker, a line in the log, no cache file, and no second call. A budget that is
        used up is no error."""
        stub = ApiStub().start()
        stub.default = failure.answer
        site = Site(stub.url, {"reputation.timeout": "4s"})
        with Filter(site) as filter_:
            reply, seconds = duration(filter_.ask)
            rested = site.rest("budget" if out_of_calls else "api")
            second_reply = filter_.ask("9.9.9.9")
        stub.stop()
        self.assertEqual((reply, second_reply), (DUNNO, DUNNO))
        self.assert_within(7, seconds)  # not the 10 s of filter.deadline
        self.assertIsNotNone(rested, "no marker")
        self.assertTrue(rested[1])
        if failure.rest is None:
            self.assertTrue(0 < rested[0] < 40 * DAY, rested)
        else:
            self.assertTrue(failure.rest - 4 < rested[0] <= failure.rest + 1, rested)
        self.assertEqual(stub.count(), 1)
        self.assertLess(stub.sent, 20 << 20)
        self.assertIsNone(site.cached_score("8.8.4.4"))
        self.assertEqual(len(site.log_lines(" warning: AbuseIPDB lookup of 8.8.4.4: ")), 1)
        self.assertEqual(len(site.log_lines(LOGGED_ERROR)), not out_of_calls, site.log())
        self.assert_key_is_hidden(site)

    def test_failures(self):
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            results = {name: pool.submit(self.assert_failure, failure, "429" in name)
                       for name, failure in API_FAILURES.items()}
        for name, result in results.items():
            with self.subTest(name):
                result.result()

    def test_422_rests_that_address_only(self):
        site = self.site()
        self.stub.answers["8.8.4.4"] = error(422, parameter="ipAddress")
        self.stub.default = score(71)
        self.assert_answers(DUNNO + REFUSED + DUNNO, site,
                            *map(request, ("8.8.4.4", "9.9.9.9", "8.8.4.4")))
        self.assertEqual((self.stub.count("8.8.4.4"), self.stub.count("9.9.9.9")), (1, 1))
        self.assertIsNone(site.rest())
        seconds, _ = site.rest("ip-8.8.4.4")
        self.assertTrue(HOUR - 4 < seconds <= HOUR, seconds)
        line, = site.log_lines("lookup of 8.8.4.4: ")
        self.assertRegex(line, r"422.*; no lookups of this address for \d+m$")
        self.assertEqual(site.log_lines("no (API )?calls for"), [])
        self.assertRegex(site.abictl("check", "8.8.4.4").stdout,
                         r"no lookups of this address for \d+m more: HTTP status 422")

    def test_connection_refused(self):
        site = self.site()
        self.stub.stop()
        self.assert_answers(DUNNO * 2, site, request(), request("9.9.9.9"))
        seconds, _ = site.rest()
        self.assertTrue(SHORT - 4 < seconds <= SHORT, seconds)
        self.assertEqual(len(site.log_lines(LOGGED_ERROR)), 1, site.log())

    def test_one_failure_is_enough_for_all_who_wait(self):
        for answer in (error(500), error(422, parameter="ipAddress")):
            site = self.site()
            self.stub.default = apistub.slow(0.3, answer)
            calls = self.stub.count()
            with concurrent.futures.ThreadPoolExecutor(20) as pool:
                answers = list(pool.map(lambda _: answer_to(site, request()), range(20)))
            self.assertEqual(answers, [(DUNNO, CLEAN_EXIT)] * 20)
            self.assertEqual(self.stub.count(), calls + 1)

    def test_min_reporters(self):
        site = self.site({"reputation.min_reporters": "5"})
        site.put_score("8.8.4.4", 100)  # by nobody knows how many
        site.put_score("9.9.9.9", "100\nreporters=5\n")
        site.put_score("1.1.1.1", "100\nreporters=4\n")
        for reporters, reply in ((4, DUNNO), (5, REFUSED)):
            self.stub.default = score(100, numDistinctUsers=reporters)
            self.assert_answers(reply, site, request())
            site.put_score("8.8.4.4", 100)
        self.assertEqual(self.stub.count(), 2)
        self.assert_answers(REFUSED + DUNNO, site, request("9.9.9.9"), request("1.1.1.1"))
        self.assertEqual(self.stub.count(), 2)

    def test_min_reporters_and_an_answer_without_their_number(self):
        for missing in (ABSENT, None):
            with self.subTest(missing=missing):
                site = self.site({"reputation.min_reporters": "5"})
                calls = self.stub.count()
                self.stub.default = score(100, numDistinctUsers=missing)
                for _ in range(2):
                    self.assert_answers(DUNNO * 3, site, *(request() for _ in range(3)))
                self.assertEqual(self.stub.count(), calls + 1)
                self.assertTrue(0 < site.rest("ip-8.8.4.4")[0] <= HOUR)
                self.assertIsNone(site.rest())

    def test_one_low_score_for_an_ipv6_network(self):
        site = self.site()
        self.stub.default = score(69)
        self.assert_answers(DUNNO * 3, site, *map(request, (
            "2a02:d540:0:1::a", "2a02:d540:0:1:ffff::b", "2a02:d540:0:2::a")))
        self.assertEqual([call.query["ipAddress"] for call in self.stub.requests],
                         ["2a02:d540:0:1::a", "2a02:d540:0:2::a"])
        self.assertEqual(site.cached_score("2a02:d540:0:1::"), "69")

    def test_it_is_asked_again_after_the_rest(self):
        site = self.site()
        self.stub.default = error(503)
        self.assert_answers(DUNNO, site, request())
        testenv.write_file(f"{site.cache}/.rest-api", f"{int(time.time()) - 1}\nold\n", 0o640,
                           FILTER_USER)
        self.stub.default = score(71)
        self.assert_answers(REFUSED, site, request())

    def test_optional_fields(self):
        optional = ("countryCode", "countryName", "usageType", "isp", "domain", "isTor",
                    "isWhitelisted", "totalReports", "numDistinctUsers", "lastReportedAt",
                    "hostnames", "isPublic", "ipVersion")
        for name, value in (("absent", ABSENT), ("null", None)):
            with self.subTest(name):
                self.stub.default = score(71, **dict.fromkeys(optional, value))
                self.assert_answers(REFUSED, self.site(), request())

    def test_texts_from_the_api_stay_texts(self):
        for text in ("Evil\naction=OK\n\n", "100\n\r\n", "\x1b[31m\x00\x7f", "é€", "%n%s",
                     "x" * 5000, 'a" action="', "$(id)"):
            with self.subTest(text=text):
                site = self.site({"reputation.action": "521 5.7.1 $country $score"})
                self.stub.default = score(71, isp=text, countryCode=text, usageType=text)
                reply, status = answer_to(site, request())
                self.assertEqual(status, CLEAN_EXIT)
                self.assertRegex(reply, rb"\Aaction=521 5\.7\.1 [ -~]{0,480}\n\n\Z")
                cached = testenv.read_file(f"{site.cache}/8.8.4.4")
                self.assertRegex(cached, r"\A71\n([a-z]+=[^\x00-\x1f\x7f]*\n)*\Z")
                self.assertRegex(site.log(), r"\A[ -~]+\n\Z")
                self.assertEqual(answer_to(site, request())[0], reply)

    def test_the_last_call_of_the_day(self):
        for reset in (None, (1 << 32) - 1):
            with self.subTest(reset=reset):
                site = self.site()
                calls = self.stub.count()
                self.stub.default = with_headers(score(71), X_RateLimit_Remaining=0,
                                                 X_RateLimit_Reset=reset)
                earlier = seconds_to_midnight()
                self.assert_answers(REFUSED + DUNNO, site, request(), request("9.9.9.9"))
                self.assertEqual(self.stub.count(), calls + 1)
                self.assertTrue(seconds_to_midnight() - 3 <= site.rest("budget")[0]
                                <= earlier + 3 or earlier < 10, site.rest("budget"))

    def test_odd_rate_limit_headers(self):
        for value in ("lots", "", "9" * 40, "12; drop", "\u00e9", None):
            with self.subTest(value):
                site = self.site()
                self.stub.default = with_headers(score(71), X_RateLimit_Remaining=value,
                                                 X_RateLimit_Limit=value)
                self.assert_answers(REFUSED * 2, site, request(), request("9.9.9.9"))

    def test_the_own_budget(self):
        if seconds_to_midnight() < 60:
            self.skipTest("too near to midnight")
        site = self.site({"reputation.daily_limit": "2"})
        self.stub.default = score(71)
        site.put_score("8.8.4.4", 71)
        site.put_score(".budget", f"{int(time.time()) // DAY} 2\n")
        for address, reply in (("1.2.3.4", DUNNO), ("8.8.4.4", REFUSED), ("1.2.3.5", DUNNO)):
            with self.subTest(address):  # a process each: the budget is everybody's
                self.assert_answers(reply, site, request(address))
        self.assertEqual(self.stub.count(), 0)
        self.assertEqual([name for name in os.listdir(site.cache) if "rest" in name], [])
        # When the limit is raised, it is asked again at once.
        site.configure(**{"reputation.daily_limit": "6"})
        self.assert_answers(REFUSED + DUNNO, site, request("1.2.3.4"), request("1.2.3.5"))
        self.assertEqual(self.stub.count(), 1)

    def test_the_deadline_is_kept(self):
        site, gate = self.site({"filter.deadline": "1s"}), threading.Event()
        self.stub.default = apistub.held(gate, score(71))
        filter_ = self.filter(site)
        reply, seconds = duration(filter_.ask)
        self.assertEqual(reply, DUNNO)
        self.assertGreaterEqual(seconds, 0.9)
        self.assert_within(1.8, seconds)
        gate.set()
        wait_until(lambda: site.cached_score("8.8.4.4") == "71", "the score")
        self.assertEqual(filter_.ask(), REFUSED)
        self.assertEqual(self.stub.count(), 1)

    def test_the_key_is_on_no_command_line_and_in_no_environment(self):
        site, gate = self.site({"log.level": "debug"}), threading.Event()
        self.stub.default = apistub.held(gate, error(401))
        filter_ = self.filter(site)
        filter_.send(request())
        wait_until(lambda: self.stub.count() == 1, "the call")
        self.assertEqual(self.stub.requests[0].headers["Key"], site.key)
        for pid in filter(str.isdigit, os.listdir("/proc")):
            if int(pid) != os.getpid():
                with contextlib.suppress(OSError):
                    self.assertNotIn(site.key, testenv.read_file(f"/proc/{pid}/cmdline"))
                    self.assertNotIn(site.key, testenv.read_file(f"/proc/{pid}/environ"))
        gate.set()
        self.assertEqual(filter_.receive(), DUNNO)
        self.assert_key_is_hidden(site)

    def test_through_a_proxy(self):
        site = Site("http://abuseipdb.example/api/v2",
                    {"reputation.proxy": f"http://127.0.0.1:{self.stub.port}"})
        self.stub.default = score(71)
        self.assert_answers(REFUSED, site, request())
        self.assertTrue(self.stub.requests[0].proxied)

    def test_a_dead_proxy(self):
        site = self.site({"reputation.proxy": "http://127.0.0.1:1"})
        self.assert_answers(DUNNO, site, request())
        self.assertEqual(self.stub.count(), 0)

    def test_certificates(self):
        directory = testenv.new_directory("certificates")
        certificate = apistub.make_certificate(directory)
        stub = ApiStub(certificate=certificate).start()
        self.addCleanup(stub.stop)
        stub.default = score(71)
        trusted = {"reputation.ca_file": certificate[0]}
        by_name = stub.url.replace("127.0.0.1", "localhost")
        for name, url, options, reply in (
                ("self-signed", stub.url, {}, DUNNO), ("wrong host", by_name, trusted, DUNNO),
                ("no such file", stub.url, {"reputation.ca_file": "/nonexistent"}, DUNNO),
                ("not TLS", self.stub.url.replace("http:", "https:"), trusted, DUNNO),
                ("trusted", stub.url, trusted, REFUSED)):
            with self.subTest(name):
                site = Site(url, options)
                self.assert_answers(reply, site, request())
                self.assertEqual(stub.count(), 1 if reply == REFUSED else 0)
                self.assertEqual(site.rest() is None, reply == REFUSED)

    def test_a_tls_server_that_says_nothing(self):
        with socket.create_server(("127.0.0.1", 0)) as silent:
            site = Site(f"https://127.0.0.1:{silent.getsockname()[1]}/api/v2",
                        {"reputation.timeout": "1s"})
            (reply, _), seconds = duration(lambda: answer_to(site, request()))
        self.assertEqual(reply, DUNNO)
        self.assert_within(6, seconds)  # not the 10 s of filter.deadline
        self.assertIsNotNone(site.rest())

    def test_prefetch_with_a_bad_list(self):
        for name, answer in (("page", apistub.html_page()), ("429", error(429, retry_after=600)),
                             ("402", error(402)), ("nested", raw("[" * 100000)),
                             ("no list", raw('{"data":{}}')),
                             ("odd items", raw('{"data":[1,null,{},{"ipAddress":"../x",'
                                               '"abuseConfidenceScore":100},{"ipAddress":5},'
                                               '{"ipAddress":"9.9.9.9","abuseConfidenceScore":101}'
                                               ']}'))):
            with self.subTest(name):
                site = self.site()
                self.stub.answers["blacklist"] = answer
                result = site.abictl("cache", "prefetch")
                self.assertIn(result.returncode, (0, 65, 69, 75), result.stderr)
                self.assertNotIn(site.key, result.stdout + result.stderr)
                self.assertEqual([name for name in os.listdir(site.cache) if name[0] != "."], [])
                self.assertFalse(os.path.exists(f"{site.directory}/x"))


class Cache(SiteTest):
    """A cache directory that is hostile, broken, full or from the shell script."""

    def hostile_site(self):
        """A site whose cache says 100 for all, and whose API says 3."""
        site = self.site()
        site.put_score("8.8.4.4", 100)
        self.stub.default = score(3)
        return site

    def assert_refused(self, site, unchanged):
        """The planted verdict is not believed, the log says why, and nothing is written there."""
        before = listing(unchanged)
        self.assert_answers(DUNNO * 2, site, request(), request("9.9.9.9"))
        self.assertEqual(listing(unchanged), before)
        self.assertTrue(site.log_lines(re.escape(site.cache)), site.log())

    def test_a_directory_that_others_may_write(self):
        for mode in (0o770, 0o707, 0o777, 0o1777):
            with self.subTest(oct(mode)):
                site = self.hostile_site()
                os.chmod(site.cache, mode)
                self.assert_refused(site, site.cache)

    def test_a_directory_of_somebody_else(self):
        site = self.hostile_site()
        os.chown(site.cache, 1, -1)
        os.chmod(site.cache, 0o755)
        self.assert_refused(site, site.cache)

    def test_a_link_instead_of_the_directory(self):
        site = self.hostile_site()
        target = f"{site.directory}/elsewhere"
        os.rename(site.cache, target)
        os.symlink(target, site.cache)
        self.assert_refused(site, target)

    def test_a_file_instead_of_the_directory(self):
        site = self.site()
        os.rmdir(site.cache)
        testenv.write_file(site.cache, "100\n", 0o640, FILTER_USER)
        self.assert_refused(site, site.cache)

    def test_odd_files_are_misses(self):
        for name, content, age in (
                ("empty", "", 0), ("garbage", os.urandom(500), 0), ("torn", "100", 0),
                ("torn in front", "\n100\n", 0), ("future", 100, -DAY), ("null", "null\n", 0),
                ("101", 101, 0), ("-1", -1, 0), ("huge number", "9" * 30 + "\n", 0),
                ("float", "100.0\n", 0), ("exponent", "1e2\n", 0), ("hex", "0x64\n", 0),
                ("plus", "+100\n", 0), ("text behind", "100 percent\n", 0),
                ("NUL", b"100\0\n", 0), ("huge file", "100\n" + "x" * (10 << 20), 0),
                ("huge line", "1" * (10 << 20) + "\n", 0)):
            with self.subTest(name):
                site = self.hostile_site()
                calls = self.stub.count()
                site.put_score("8.8.4.4", content, age)
                self.assert_answers(DUNNO, site, request())
                self.assertEqual(self.stub.count(), calls + 1)
                self.assertEqual(site.cached_score("8.8.4.4"), "3")

    def test_odd_files_are_misses_also_when_the_api_is_down(self):
        for content, age in (("100", 0), ("101\n", 0), ("null\n", 0), (100, -DAY), (100, 8 * DAY)):
            with self.subTest(content=content):
                site = Site()
                site.put_score("8.8.4.4", content, age)
                self.assert_answers(DUNNO, site, request())

    def test_something_else_instead_of_a_file(self):
        def link(path):
            os.symlink(testenv.write_file(f"{os.path.dirname(path)}/../planted", "100\n", 0o666),
                       path)
        for name, make in (("link", link), ("FIFO", os.mkfifo), ("directory", os.mkdir),
                           ("dead link", lambda path: os.symlink("/nonexistent", path))):
            with self.subTest(name):
                site = self.hostile_site()
                path = os.path.join(site.cache, "8.8.4.4")
                os.unlink(path)
                make(path)
                os.chown(path, FILTER_USER.pw_uid, FILTER_USER.pw_gid, follow_symlinks=False)
                (output, status), seconds = duration(lambda: answer_to(site, request()))
                self.assertEqual((output, status), (DUNNO, CLEAN_EXIT))
                self.assert_within(5, seconds)  # not the 10 s of filter.deadline
                if name == "link":
                    self.assertEqual(testenv.read_file(f"{site.directory}/planted"), "100\n")

    def test_a_lock_that_is_no_fifo(self):
        def file(path, _):
            testenv.write_file(path, "precious", 0o600, FILTER_USER)

        def link(path, victim):
            os.symlink(victim, path)
        for make in (file, link, lambda path, _: os.mkdir(path)):
            with self.subTest(make.__name__):
                site = self.hostile_site()
                os.unlink(f"{site.cache}/8.8.4.4")
                site.put_score("9.9.9.9", 71)
                victim = testenv.write_file(f"{site.directory}/victim", "precious", 0o666)
                make(f"{site.cache}/.lock", victim)
                before = os.lstat(f"{site.cache}/.lock")
                self.assert_answers(DUNNO + REFUSED, site, request(), request("9.9.9.9"))
                self.assertEqual(self.stub.count(), 0)  # by how many at once, nobody could tell
                after = os.lstat(f"{site.cache}/.lock")
                self.assertEqual((after.st_ino, after.st_mode), (before.st_ino, before.st_mode))
                self.assertEqual(testenv.read_file(victim), "precious")
                self.assertTrue(site.log_lines(r" error: .*\.lock"), site.log())

    def test_odd_markers(self):
        for name, content in (("empty", ""), ("garbage", os.urandom(100)), ("torn", "9999999999"),
                              ("huge", "9" * 5000), ("huge number", "9" * 30 + "\nx\n"),
                              ("negative", "-1\nx\n"), ("long ago", "1\nx\n")):
            for marker in (".rest-api", ".rest-ip-8.8.4.4", ".budget"):
                with self.subTest(name, marker=marker):
                    site = self.site()
                    self.stub.default = score(71)
                    testenv.write_file(f"{site.cache}/{marker}", content, 0o640, FILTER_USER)
                    output, status = answer_to(site, request())
                    self.assertEqual(status, CLEAN_EXIT)
                    self.assertIn(output, (DUNNO, REFUSED))
                    if name in ("negative", "long ago", "empty", "garbage"):
                        self.assertEqual(output, REFUSED)

    def test_killed_writers_leave_whole_files(self):
        site = self.site()
        self.stub.default = score(71)
        chance = random.Random(1)
        fetch = [testenv.program("abictl"), "-c", site.conf, "fetch"]
        _, usual = duration(lambda: site.abictl("fetch", "1.1.1.1"))
        for number in range(60):
            process = subprocess.Popen([*fetch, f"9.9.9.{number % 4 + 1}"], **site.as_filter_user(),
                                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                       stderr=subprocess.DEVNULL)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(chance.uniform(0, 1.2 * usual))
            process.kill()
            process.wait()
            for address in filter(is_address, os.listdir(site.cache)):
                self.assert_whole(site, address)
        for number in range(4):
            self.assert_answers(REFUSED, site, request(f"9.9.9.{number + 1}"))

    def assert_whole(self, site, address):
        self.assertRegex(testenv.read_file(f"{site.cache}/{address}"),
                         r"\A71\n([a-z]+=[ -~]*\n)+\Z")

    def test_a_directory_that_cannot_be_written(self):
        site = self.hostile_site()
        site.put_score("9.9.9.9", 71)
        os.unlink(f"{site.cache}/8.8.4.4")
        os.chmod(site.cache, 0o500)
        self.assert_answers(DUNNO + REFUSED, site, request(), request("9.9.9.9"))
        self.assertEqual(os.listdir(site.cache), ["9.9.9.9"])
        self.assertTrue(site.log_lines("error|warning"), site.log())

    def test_files_of_the_shell_script(self):
        site = self.site()
        self.stub.default = score(50)
        site.put_score("8.8.4.4", "12\n", age=DAY // 2)
        site.put_score("9.9.9.9", "90\n", age=DAY // 2)
        self.assert_answers(DUNNO + REFUSED, site, request(), request("9.9.9.9"))
        self.assertEqual(self.stub.count(), 0)

    def test_files_and_directories_are_private(self):
        site = self.site()
        self.stub.default = score(71)
        self.assert_answers(REFUSED, site, request())
        for name, status in listing(site.cache).items():
            with self.subTest(name):
                self.assertEqual(status.st_uid, FILTER_USER.pw_uid)
                self.assertEqual(status.st_mode & 0o022, 0)
        lock = os.stat(f"{site.cache}/.lock")
        self.assertTrue(stat.S_ISFIFO(lock.st_mode))
        self.assertEqual(stat.S_IMODE(lock.st_mode), 0o600)


class Configuration(SiteTest):
    """Mistakes of the administrator: named by abictl, survived by the filter."""

    # A configuration, its wrong line, and the option of the message (none: the line is no option).
    MISTAKES = (
        ("[reputation]\nscore = lots\n", 2, "reputation.score"),
        ("[reputation]\nscore = 101\n", 2, "reputation.score"),
        ("[reputation]\nscore = -1\n", 2, "reputation.score"),
        ("[reputation]\n\nscores = 70\n", 3, "reputation.scores"),
        ("[reputation]\nscore = 70\nscore = 71\n", 3, "reputation.score"),
        ("[reputation]\ntimeout = 5 parsecs\n", 2, "reputation.timeout"),
        ("[reputation]\ncache_ttl = -1h\n", 2, "reputation.cache_ttl"),
        ("[reputation]\nipv6_prefix = 129\n", 2, "reputation.ipv6_prefix"),
        ("[reputation]\nurl = ftp://example.net/\n", 2, "reputation.url"),
        ("[filter]\nchecks = whitelist banana\n", 2, "filter.checks"),
        ("[filter]\non_error = panic\n", 2, "filter.on_error"),
        ("[filter]\ndry_run = maybe\n", 2, "filter.dry_run"),
        ("[filter]\nabictl = abictl\n", 2, "filter.abictl"),
        ("[log]\nlevel = loud\n", 2, "log.level"),
        ("[banana]\nscore = 70\n", 1, "[banana]"),
        ("score = 70\n", 1, ""),
        ("[reputation\nscore = 70\n", 1, ""),
        ("[reputation]\nscore\n", 2, ""),
        (f"[reputation]\nurl = http://127.0.0.1/{'x' * 9000}\n", 2, ""),
        *((f"# a comment\n[reputation]\naction ={action}\n", 3, "reputation.action")
          for action in ("", " ", " OK", " ok", " PERMIT", " 521", " 250", " 250 2.0.0 fine",
                         " BANANA", " 52 x", " 621 x", " OK really", " $reason")),
    )

    @staticmethod
    def message(site, line, option):
        return f"{re.escape(site.conf)}:{line}: {f'{re.escape(option)}: ' if option else ''}."

    def test_abictl_names_file_line_and_key(self):
        for text, line, option in self.MISTAKES:
            with self.subTest(text[:60].strip().replace("\n", " | ")):
                site = self.cached_site()
                testenv.write_file(site.conf, text)
                result = site.abictl("config")
                self.assertEqual(result.returncode, 78, result)
                self.assertEqual(result.stdout, "")
                self.assertRegex(result.stderr, self.message(site, line, option))

    def test_nobody_is_judged_by_it(self):
        for text, line, option in self.MISTAKES:
            with self.subTest(text[:60].strip().replace("\n", " | ")):
                site = self.cached_site()
                good = (f"[reputation]\ncache_dir = {site.cache}\n[whitelist]\n"
                        f"[log]\ntarget = {site.log_file}\n")
                testenv.write_file(site.conf, good + "\n" * 5 + text)
                self.assert_answers(DUNNO * 3, site, *(request("9.9.9.9") for _ in range(3)))
                line, = site.log_lines(f"error: {self.message(site, line + 10, option)}")
                # The section of a check is that check's alone.
                self.assertEqual("; checks in error: reputation; the others still run" in line,
                                 text.removeprefix("# a comment\n").startswith("[reputation]\n"))

    def test_unknown_flags(self):
        for arguments in (("--banana",), ("-x",), ("-o",), ("-o", "nonsense"), ("argument",),
                          ("-o", "reputation.score=lots"), ("-o", "reputation.banana=1"),
                          ("-o", f"reputation.token={'x' * 80}"), ("-c", "/nonexistent")):
            with self.subTest(arguments):
                self.assert_answers(DUNNO * 2, self.cached_site(), request("9.9.9.9"),
                                    request("9.9.9.9"), arguments=arguments)

    def test_options_on_the_command_line(self):
        site = self.cached_site()
        self.assert_answers(b"action=554 5.7.1 Go away\n\n", site, request("8.8.4.4"), arguments=(
            "-o", "reputation.score=12", "-o", "reputation.action=554 5.7.1 Go away"))
        for option in ("reputation.score=lots", f"reputation.token={'x' * 80}"):
            result = site.abictl("-o", option, "config")
            self.assertEqual(result.returncode, 78)
            self.assertRegex(result.stderr, rf"-o: {option.split('=')[0]}: .")
            self.assertNotIn("xxx", result.stderr + result.stdout)

    def test_actions(self):
        for action, reply in (
                ("REJECT", "REJECT"), ("reject", "reject"), ("REJECT Go away", "REJECT Go away"),
                ("DEFER_IF_PERMIT 4.7.1 Later", "DEFER_IF_PERMIT 4.7.1 Later"),
                ("HOLD", "HOLD"), ("hold", "hold"), ("log", "DUNNO"), ("DUNNO", "DUNNO"),
                ("450 4.7.1 Later", "450 4.7.1 Later"),
                ("550 $client_address $client_name $score %", "550 9.9.9.9 mail.example.net 71 %"),
                ("PREPEND X-Score: $score", "PREPEND X-Score: 71")):
            with self.subTest(action):
                site = self.cached_site()
                site.configure(**{"reputation.action": action})
                self.assert_answers(f"action={reply}\n\n".encode(), site, request("9.9.9.9"))

    def test_variables_without_a_value_leave_a_good_reply(self):
        # Postfix takes digits alone for permit, or for an unknown restriction: 451.
        for action in ("521 $country", "554 $sasl_username", "450 ${country}$sasl_username",
                       "PREPEND X-Country: $country", "PREPEND $country",
                       "REDIRECT $sasl_username"):
            with self.subTest(action):
                site = self.cached_site()
                site.configure(**{"reputation.action": action})
                if site.abictl("config").returncode == 78:
                    continue  # refusing it is as good
                reply, _ = answer_to(site, request("9.9.9.9"))
                self.assertRegex(reply, rb"\Aaction=(DUNNO|[45]\d\d( [ -~]*)? [^ \d.][ -~]*|"
                                        rb"PREPEND X-Country: [ -~]*)\n\n\Z")

    def test_softened_actions(self):
        for action, reply in (
                ("521 5.7.1 Go away", "450 4.7.1 Go away"), ("554 Go away", "450 4.7.1 Go away"),
                ("REJECT Go away", "450 4.7.1 Go away"), ("450 4.3.2 Later", "450 4.3.2 Later"),
                ("HOLD", "HOLD"), ("log", "DUNNO")):
            with self.subTest(action):
                site = self.cached_site()
                site.configure(**{"reputation.action": action})
                testenv.write_file(site.whitelist, "example.net\n")
                self.assert_answers(f"action={reply}\n\n".encode(), site,
                                    request("9.9.9.9", client_name="unknown"))

    def test_a_changed_whitelist_counts_soon(self):
        site = self.cached_site()
        filter_ = self.filter(site)
        self.assertEqual(filter_.ask("9.9.9.9"), REFUSED)
        for text, reply in (("example.net\n", DUNNO), ("example.com\n", REFUSED),
                            ("9.9.9.0/24\n", DUNNO), (None, REFUSED), ("9.9.9.9\n", DUNNO)):
            if text:
                testenv.write_file(site.whitelist, text)
            else:
                os.unlink(site.whitelist)
            wait_until(lambda: filter_.ask("9.9.9.9") == reply, f"{text} to count", 5)

    def test_a_whitelist_of_rubbish_does_not_flood_the_log(self):
        site = self.cached_site()
        testenv.write_file(site.whitelist, "no host name!\n" * 100000 + "example.net\n")
        filter_ = self.filter(site)
        for _ in range(3):
            self.assertEqual(filter_.ask("9.9.9.9"), DUNNO)
        lines = site.log_lines(re.escape(site.whitelist))
        self.assertTrue(1 < len(lines) <= 12, len(lines))
        self.assertRegex(lines[0], f"{re.escape(site.whitelist)}:1: .")
        self.assertRegex(lines[-1], "99990 more")

    def test_secrets(self):
        site = self.site({"reputation.proxy": "http://user:geheim@127.0.0.1:1"})
        self.assert_answers(DUNNO, site, request())
        shown = site.abictl("config")
        self.assertEqual(shown.returncode, 0)
        self.assertNotIn("geheim", shown.stdout + shown.stderr + site.log())
        self.assertEqual(self.site().abictl("config").stderr, "")
        site.configure(**{"reputation.token": site.key, "reputation.token_file": None})
        os.chmod(site.conf, 0o644)
        shown = site.abictl("config")
        self.assertEqual(shown.returncode, 0)
        self.assertIn(site.conf, shown.stderr)
        self.assertNotIn(site.key, shown.stdout + shown.stderr)

    def test_an_unreadable_file(self):
        site = self.cached_site()
        os.chmod(site.conf, 0o600)
        self.assert_answers(DUNNO, site, request("9.9.9.9"))
        self.assertEqual(site.abictl("config").returncode, 78)

    def test_without_a_configuration_cache_or_network(self):
        minimal = b"request=smtpd_access_policy\nclient_address=192.0.2.1\n\n"
        self.assert_answers(DUNNO, None, minimal)
        self.assert_answers(DUNNO, None, minimal, user=0, group=0)


if __name__ == "__main__":
    unittest.main()
