"""A stand-in for the publisher of DB-IP Lite, on loopback.

    publisher = Publisher().start()
    publisher.files["country", 0] = packed(mmdb.image(KNOWN))    # of this month
    publisher.url                                                # for geocount.database_url
"""
import calendar
import gzip
import re
import time

import apistub

# What a database must know to be taken.
KNOWN = {"8.8.8.0/24": "US", "2001:4860::/32": "US"}


def month(back=0):
    """The first day of this month, or of one before: seconds since the epoch."""
    now = time.gmtime()
    return calendar.timegm((now.tm_year, now.tm_mon - back, 1, 3, 0, 0))


def packed(data):
    """The answer that is this file, compressed."""
    return apistub.raw(gzip.compress(data), content_type="application/gzip")


class Publisher(apistub.ApiStub):
    """files: (edition, months back) -> answer; all others are not there."""

    def __init__(self, **keywords):
        super().__init__(**keywords)
        self.files = {}

    @property
    def url(self):
        return f"{self.origin}/free"

    def answer_for(self, endpoint, exchange, query):
        name = re.fullmatch(r"/free/dbip-(country|city)-lite-(\d{4})-(\d\d)\.mmdb\.gz",
                            exchange.path)
        if not name:
            return apistub.error(400)
        now = time.gmtime()
        back = (now.tm_year - int(name[2])) * 12 + now.tm_mon - int(name[3])
        return self.files.get((name[1], back), apistub.error(404))

    def asked(self):
        """The editions that were asked for: `country', `city'."""
        return [re.search("dbip-([a-z]+)", request.path)[1] for request in self.requests]
