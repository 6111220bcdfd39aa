#!/usr/bin/python3
"""The reputation check end to end: SMTP clients, a real Postfix, spawn(8), the filter, abictl
and a stand-in for the AbuseIPDB API.

    python3 tests/e2e/e2e_reputation.py [-v] [Class.test ...]
"""
import concurrent.futures
import os
import subprocess
import sys
import threading
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import apistub  # noqa: E402
import testenv  # noqa: E402
from apistub import ApiStub, error, held, score, slow  # noqa: E402
from mailserver import MailServer  # noqa: E402
from testenv import Site, wait_until  # noqa: E402

REFUSED = "521 5.7.1 <user@example.org>: Recipient address rejected: Bad host reputation."
SOFTENED = "450 4.7.1 <user@example.org>: Recipient address rejected: Bad host reputation."
ACCEPTED = "250 2.1.5 Ok"
DAY = 86400


class EndToEnd(testenv.TestCase):
    """A stub of the API, and a Postfix with the filter when serve() is called."""

    def setUp(self):
        self.stub = ApiStub().start()
        self.addCleanup(self.stub.stop)

    def serve(self, options=(), whitelist="", **mail_settings):
        self.site = Site(self.stub.url, options, whitelist)
        self.mail = MailServer(self.site, **mail_settings).start()
        self.addCleanup(self.mail.stop, self)

    def assert_reply(self, expected, address="8.8.4.4", **session):
        """One message from this client gets this reply to RCPT, and is taken when it is 250."""
        delivery = self.mail.deliver(address, **session)
        self.assertEqual(delivery.recipients, [expected])
        self.assertEqual(delivery.data is not None, expected == ACCEPTED)
        if delivery.data:
            self.assertRegex(delivery.data, "^250 2.0.0 Ok: queued")
        return delivery


class Verdicts(EndToEnd):
    """Who is refused, and how."""

    def test_score_71_and_70_are_refused_and_69_is_not(self):
        self.serve()
        for address, value, reply in (("8.8.4.4", 71, REFUSED), ("9.9.9.9", 70, REFUSED),
                                      ("1.2.3.4", 69, ACCEPTED), ("1.1.1.1", 0, ACCEPTED),
                                      ("2a02:d540::a", 100, REFUSED),
                                      ("2a02:d540::b", 69, ACCEPTED)):
            with self.subTest(address=address, score=value):
                self.stub.answers[address] = score(value)
                self.assert_reply(reply, address)
                self.assertEqual(self.stub.count(address), 1)

    def test_the_log_tells_why(self):
        self.serve()
        self.stub.default = score(71)
        self.assert_reply(REFUSED)
        line, = self.site.log_lines(" reject: ")
        self.assertRegex(line, r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d "
                               r"abichecker\[\d+\]: reject: check=reputation "
                               r"client=client\.example\.net\[8\.8\.4\.4\] score=71 country=CN "
                               r"from=<sender@example\.net> to=<user@example\.org> "
                               r"helo=<client\.example\.net> "
                               r'reason=".+" action="521 5\.7\.1 Bad host reputation\."$')

    def test_the_call_is_the_documented_one(self):
        self.serve({"reputation.max_age": "90d"})
        self.assert_reply(ACCEPTED)
        call, = self.stub.requests
        self.assertEqual((call.path, call.query["ipAddress"], call.query["maxAgeInDays"]),
                         ("/api/v2/check", "8.8.4.4", "90"))
        self.assertEqual((call.headers["Key"], call.headers["Accept"]),
                         (self.site.key, "application/json"))

    def test_a_score_is_asked_for_once(self):
        self.serve()
        for value, reply, addresses in ((71, REFUSED, ("8.8.4.4", "2a02:d540::a")),
                                        (69, ACCEPTED, ("9.9.9.9", "2a02:d540::b"))):
            self.stub.default = score(value)
            for address in addresses:
                # Two sessions at a time have an smtpd each, and so a filter each.
                with self.subTest(address=address), self.mail.session(address) as first, \
                        self.mail.session(address) as second:
                    for session in (first, second):
                        delivery = session.deliver("user@example.org")
                        self.assertEqual(delivery.recipients, [reply])
                self.assert_reply(reply, address)
                self.assertEqual(self.stub.count(address), 1)

    def test_a_whitelisted_name_or_address_makes_no_call(self):
        self.serve(whitelist="# big senders\r\n\n  PayPal.com \r\n198.2.128.0/18\n"
                             "2a00:1450::/32\n9.9.9.9\nlast.example.com")
        self.stub.default = score(100)
        for address, name in (("8.8.4.4", "paypal.com"), ("8.8.4.4", "mx1.slc.PayPal.com"),
                              ("8.8.4.4", "last.example.com"), ("198.2.180.1", "x.example.net"),
                              ("9.9.9.9", "[UNAVAILABLE]"), ("2a00:1450:4::1", "x.example.net")):
            with self.subTest(address=address, name=name):
                self.assert_reply(ACCEPTED, address, name=name)
        self.assertEqual(self.stub.count(), 0)
        for name in ("notpaypal.com", "paypal.com.evil.net", "com", "paypal.comx", "aypal.com",
                     "xlast.example.com"):
            with self.subTest(name=name):
                self.assert_reply(REFUSED, name=name)

    def test_a_whitelisted_unverified_name_only_softens(self):
        self.serve(whitelist="paypal.com\n")
        self.stub.default = score(100)
        unverified = {"name": "[UNAVAILABLE]", "reverse_name": "mx1.paypal.com"}
        self.assert_reply(SOFTENED, **unverified)
        self.assert_reply(REFUSED, name="[UNAVAILABLE]", reverse_name="mx1.example.net")
        self.assert_reply(REFUSED, name="mx1.example.net", reverse_name="mx1.paypal.com")
        self.stub.default = score(12)
        self.assert_reply(ACCEPTED, "1.2.3.4", **unverified)

    def test_an_authenticated_client_makes_no_call(self):
        self.serve()
        self.stub.default = score(100)
        accepted = self.mail.submit("8.8.4.4", login="user@example.org")
        self.assertEqual(accepted.recipients, [ACCEPTED])
        self.assertEqual(self.stub.count(), 0)
        refused = self.mail.submit("8.8.4.4")
        self.assertEqual(refused.recipients, [
            "521 5.7.1 <client.example.net[8.8.4.4]>: Client host rejected: Bad host reputation."])

    def test_a_private_address_makes_no_call(self):
        self.serve()
        self.stub.default = score(100)
        for address in ("10.1.2.3", "192.168.1.1", "172.16.0.1", "127.0.0.2", "169.254.1.1",
                        "100.64.0.1", "192.0.2.1", "fe80::1", "fd00::1", "::1", "2001:db8::1"):
            with self.subTest(address=address):
                self.assert_reply(ACCEPTED, address)
        self.assertEqual(self.stub.count(), 0)

    def test_many_recipients_get_one_look_at_the_client(self):
        self.serve({"reputation.action": "550 5.7.1 Score $score, $country"})
        self.stub.default = score(71)
        recipients = [f"user{number}@example.org" for number in range(10)]
        replies = self.mail.deliver("8.8.4.4", recipients).recipients
        self.assertEqual(replies, [f"550 5.7.1 <{recipient}>: Recipient address rejected: "
                                   "Score 71, CN" for recipient in recipients])
        self.assertEqual(self.stub.count(), 1)
        self.assertEqual(len(self.site.log_lines(" reject: ")), 1)

    def test_a_dry_run_refuses_nobody(self):
        self.serve({"filter.dry_run": "yes"})
        self.stub.default = score(71)
        self.assert_reply(ACCEPTED)
        self.assertEqual(len(self.site.log_lines(" would reject: check=reputation")), 1)


class Calls(EndToEnd):
    """How often the API is called."""

    # For fifty filters that begin at once, on a machine with other work as well.
    TIME_TO_MEET = {"filter.deadline": "90s", "reputation.timeout": "60s"}

    def sessions_at_once(self, count=50):
        """The replies to so many sessions from one new client that send RCPT at one time."""
        ready = threading.Barrier(count, timeout=testenv.PATIENCE)

        def deliver(_):
            with self.mail.session() as session:
                ready.wait()
                return session.deliver("user@example.org").recipients[0]
        with concurrent.futures.ThreadPoolExecutor(count) as pool:
            return list(pool.map(deliver, range(count)))

    def clean_up_like_cron(self):
        """Runs the old clean-up line again and again until the test ends."""
        line = f"while :; do find {self.site.cache} -type f -mtime +0 -delete; done"
        process = subprocess.Popen(["sh", "-c", line], stdin=subprocess.DEVNULL)
        self.addCleanup(process.wait)
        self.addCleanup(process.terminate)

    def test_fifty_sessions_from_a_new_address_make_one_call(self):
        self.serve(self.TIME_TO_MEET)
        self.stub.default = slow(0.5, score(71))
        self.assertEqual(self.sessions_at_once(), [REFUSED] * 50)
        self.assertEqual(self.stub.count(), 1)

    def test_also_with_the_old_cron_line_beside_them(self):
        self.serve(self.TIME_TO_MEET)
        self.stub.answers["9.9.9.9"] = score(0)
        self.assert_reply(ACCEPTED, "9.9.9.9")  # makes all the files that there can be
        self.site.put_score("8.8.4.4", 12, age=2 * DAY)
        for name in os.listdir(self.site.cache):
            self.site.set_age(os.path.join(self.site.cache, name), 2 * DAY)
        self.clean_up_like_cron()
        self.stub.default = slow(0.5, score(71))
        self.assertEqual(self.sessions_at_once(), [REFUSED] * 50)
        self.assertEqual(self.stub.count("8.8.4.4"), 1)

    def test_after_a_429_nobody_calls_before_retry_after(self):
        self.serve()
        self.stub.default = error(429, retry_after=3600)
        self.assert_reply(ACCEPTED)
        with concurrent.futures.ThreadPoolExecutor(10) as pool:
            replies = pool.map(lambda number: self.mail.deliver(f"9.9.9.{number}").recipients,
                               range(1, 11))
        self.assertEqual(list(replies), [[ACCEPTED]] * 10)
        self.assertEqual(self.stub.count(), 1)
        seconds, reason = self.site.rest("budget")
        self.assertTrue(3500 < seconds <= 3601, seconds)
        self.assertIn("429", reason)

    def test_after_retry_after_they_call_again(self):
        self.serve()
        self.stub.default = error(429, retry_after=2)
        self.assert_reply(ACCEPTED)
        self.stub.default = score(71)
        self.assert_reply(ACCEPTED, "9.9.9.9")
        wait_until(lambda: self.site.rest("budget")[0] < -0.1, "Retry-After to pass")
        self.assert_reply(REFUSED, "9.9.9.9")
        self.assertEqual(self.stub.count(), 2)

    def test_stale_scores_serve_while_the_api_is_down(self):
        self.serve()
        self.stub.stop()
        for age, value, reply in ((2 * DAY, 90, REFUSED), (2 * DAY, 12, ACCEPTED),
                                  (8 * DAY, 90, ACCEPTED), (DAY // 2, 90, REFUSED)):
            with self.subTest(age=age, score=value):
                self.site.put_score("8.8.4.4", value, age)
                self.assert_reply(reply)
        self.stub.start()

    def test_stale_scores_are_renewed_when_the_api_is_there(self):
        self.serve()
        self.stub.default = score(3)
        self.site.put_score("8.8.4.4", 90, age=2 * DAY)
        self.assert_reply(ACCEPTED)
        self.assertEqual((self.stub.count(), self.site.cached_score("8.8.4.4")), (1, "3"))


class MailFlows(EndToEnd):
    """What the API does must never stop the mail."""

    def test_with_a_dead_api(self):
        self.serve()
        self.stub.stop()
        self.assert_reply(ACCEPTED)

    def test_with_an_api_that_fails_or_answers_rubbish(self):
        self.serve({"reputation.timeout": "3s"})
        for name, answer in (("500", error(500)), ("403", error(403)),
                             ("page", apistub.html_page()), ("reset", apistub.reset),
                             ("redirect", apistub.redirect()), ("cut", apistub.cut_short()),
                             ("null", score(None)), ("silent", apistub.silence),
                             ("drip", apistub.drip()), ("endless", apistub.endless())):
            with self.subTest(name):
                self.stub.default = answer
                calls = self.stub.count()
                self.assert_reply(ACCEPTED)
                self.assertEqual(self.stub.count(), calls + 1)
                os.unlink(os.path.join(self.site.cache, ".rest-api"))

    def test_ten_recipients_behind_a_dead_api_wait_at_most_two_deadlines(self):
        self.serve({"filter.deadline": "2s", "reputation.timeout": "10s"})
        recipients = [f"user{number}@example.org" for number in range(10)]
        for name, address, wait in (("silent", "8.8.4.4", 2), ("refused", "9.9.9.9", 0)):
            with self.subTest(name):
                self.stub.default = apistub.silence
                if name == "refused":
                    self.stub.stop()
                delivery = self.mail.deliver(address, recipients)
                self.assertEqual(delivery.recipients, [ACCEPTED] * 10)
                self.assertGreaterEqual(delivery.seconds, wait * 0.9)
                self.assert_within(4, delivery.seconds)

    def test_a_slow_api_still_fills_the_cache(self):
        self.serve({"filter.deadline": "3s", "reputation.timeout": "10s"})
        gate = threading.Event()
        self.stub.default = held(gate, score(71))
        delivery = self.assert_reply(ACCEPTED)
        self.assertGreaterEqual(delivery.seconds, 2.5)
        self.assert_within(4.5, delivery.seconds)
        self.assertIsNone(self.site.cached_score("8.8.4.4"))
        gate.set()
        wait_until(lambda: self.site.cached_score("8.8.4.4") == "71", "the score in the cache")
        self.assert_reply(REFUSED)
        self.assertEqual(self.stub.count(), 1)

    def test_who_waits_for_a_slow_api_waits_for_one_deadline(self):
        self.serve({"filter.deadline": "1s", "reputation.timeout": "60s"})
        gate = threading.Event()
        self.stub.default = held(gate, score(71))
        with concurrent.futures.ThreadPoolExecutor(10) as pool:
            deliveries = list(pool.map(lambda _: self.mail.deliver(), range(10)))
        self.assertEqual([delivery.recipients for delivery in deliveries], [[ACCEPTED]] * 10)
        self.assertLess(max(delivery.seconds.net for delivery in deliveries), 2)
        gate.set()
        wait_until(lambda: self.site.cached_score("8.8.4.4") == "71", "the score in the cache")
        self.assertEqual(self.stub.count(), 1)

    def test_without_a_cache_directory_or_a_whitelist(self):
        self.serve({"whitelist.file": "/nonexistent/whitelist.txt",
                    "reputation.cache_dir": "/nonexistent/cache"})
        self.assert_reply(ACCEPTED)

    def test_with_a_broken_configuration(self):
        self.serve()
        self.site.put_score("8.8.4.4", 100)
        self.site.configure(**{"reputation.score": "a lot"})
        for _ in range(3):
            self.assert_reply(ACCEPTED)


class Installed(EndToEnd):
    """The installed program, with nothing but its built-in places."""

    def test_a_miss_through_spawn_fetches(self):
        prefix = testenv.new_directory("prefix")
        testenv.install_tree(prefix)
        log = testenv.write_file(f"{prefix}/abichecker.log", "", 0o600, testenv.FILTER_USER)
        configuration = f"{prefix}/etc/abichecker/abichecker.conf"
        testenv.write_file(configuration, f"[log]\ntarget = {log}\n[reputation]\n"
                           f"token = {'k' * 80}\nurl = {self.stub.url}\n", 0o640)
        os.chown(configuration, 0, testenv.FILTER_USER.pw_gid)
        self.mail = MailServer(command=f"{prefix}/usr/sbin/abichecker").start()
        self.addCleanup(self.mail.stop, self)
        self.stub.default = score(71)
        for _ in range(2):
            self.assert_reply(REFUSED)
        self.assertEqual(self.stub.count("8.8.4.4"), 1)
        cached = testenv.read_file(f"{prefix}/var/cache/abichecker/8.8.4.4")
        self.assertRegex(cached, "^71\n")
        self.assertEqual(testenv.read_file(log).count(" reject: "), 2)
        for path in ("bash-completion/completions/abictl", "zsh/site-functions/_abictl",
                     "fish/vendor_completions.d/abictl.fish"):
            self.assertIn("accounts", testenv.read_file(f"{prefix}/usr/share/{path}"))


if __name__ == "__main__":
    unittest.main()
