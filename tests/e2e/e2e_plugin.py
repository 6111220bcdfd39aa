#!/usr/bin/python3
"""Moving over from the postfwd anti-geoip plugin: its database is copied from or used as it is, in
SQLite, PostgreSQL and MariaDB, with the commands of the documents; and the queries that were published
for it, on our tables.

    python3 tests/e2e/e2e_plugin.py [-v] [Class.test ...]
"""
import json
import os
import re
import sqlite3
import sys
import unittest

sys.dont_write_bytecode = True
TESTS = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(TESTS, "..", "lib"))

import serversite  # noqa: E402
import testenv  # noqa: E402
from servers import PASSWORD, encode  # noqa: E402
from serversite import ServerSite  # noqa: E402
from testenv import FILTER_USER, Site  # noqa: E402

OK, UNAVAILABLE = 0, 69

# The plugin's own SQL
TABLE = """
CREATE TABLE IF NOT EXISTS postfwd_logins (sasl_username varchar(100), ip_address varchar(45),
state_code varchar(4), login_count int, last_login timestamp);
CREATE INDEX postfwd_sasl_client_state_index ON postfwd_logins (sasl_username, ip_address, state_code);
CREATE INDEX postfwd_sasl_username ON postfwd_logins (sasl_username);
INSERT INTO postfwd_logins VALUES
('Ann@example.org', '192.0.2.1', 'GB', 3, '2026-10-21 12:00:00'),
('ann@example.org', '192.0.2.1', 'SE', 4, '2026-10-21 12:05:00'),
('ann@example.org', '192.0.2.1', 'GB', 1, '2026-10-21 12:01:00'),
('ann@example.org', '2001:db8::1', NULL, 2, '2026-10-21 12:06:00'),
('BOB@example.org', '192.0.2.2', 'US', NULL, '2026-10-21 12:00:00'),
(NULL, '192.0.2.3', 'US', 1, '2026-10-21 12:00:00');
"""
MERGED = [["ann@example.org", "192.0.2.1", "SE", 8, 1792584300],
          ["ann@example.org", "2001:db8::1", None, 2, 1792584360],
          ["bob@example.org", "192.0.2.2", "US", 1, 1792584000]]

# As they were published. Of which kinds of server they are the SQL; the report that says the same,
# with its columns in the order of the query's; what they give.
QUERIES = [
    ("SELECT sasl_username, SUM(login_count), COUNT(*) AS ip_address_count, "
     "COUNT(DISTINCT state_code) AS country_login_count FROM postfwd_logins "
     "GROUP BY sasl_username HAVING country_login_count > 3;",
     "sqlite mysql", ("suspects", "user logins addresses countries"), [["wide", 7, 6, 4]]),
    ("SELECT sasl_username, COUNT(DISTINCT state_code) AS country_login_count FROM postfwd_logins "
     "GROUP BY sasl_username HAVING country_login_count > 1;",
     "sqlite mysql", ("travellers", "user countries"), [["three", 3], ["wide", 4]]),
    ("SELECT * FROM postfwd_logins JOIN (SELECT sasl_username FROM postfwd_logins "
     "GROUP BY sasl_username HAVING COUNT(DISTINCT state_code) > 1) "
     "AS users_logged_from_multiple_states ON postfwd_logins.sasl_username = "
     "users_logged_from_multiple_states.sasl_username ORDER BY postfwd_logins.sasl_username;",
     "sqlite mysql pgsql", ("rows", "user address country logins last"), [
         [user, f"192.0.2.{n}", country, 1 + (n == 1 and user == "wide"), "2027-01-15 08:00:00", user]
         for user, countries in (("three", ("GB", "SE", "US")),
                                 ("wide", ("GB", "GB", "SE", "US", "CN", None)))
         for n, country in enumerate(countries, 1)]),
    ("SELECT SUM(login_count) FROM postfwd_logins WHERE sasl_username='wide';",
     "sqlite mysql pgsql", ("totals", "logins"), [[7]]),
    ("SELECT COUNT(DISTINCT state_code) FROM postfwd_logins WHERE sasl_username='wide';",
     "sqlite mysql pgsql", ("countries", "countries"), [[4]]),
    ("SELECT COUNT(DISTINCT ip_address) FROM postfwd_logins WHERE sasl_username='wide';",
     "sqlite mysql pgsql", ("addresses", "addresses"), [[6]]),
    # COUNT() of what is not known is 0; the report says how many addresses that are.
    ("SELECT sasl_username, state_code, COUNT(state_code) AS country_login_count FROM postfwd_logins "
     "WHERE sasl_username='wide' GROUP BY state_code ORDER BY country_login_count;",
     "sqlite mysql", ("by-country", "user country addresses"),
     [["wide", None, 0], ["wide", "CN", 1], ["wide", "SE", 1], ["wide", "US", 1], ["wide", "GB", 2]]),
]
LOGINS = [*(("wide", f"192.0.2.{n}", country, 1 + (n == 1)) for n, country in
            enumerate(("GB", "GB", "SE", "US", "CN", None), 1)),
          *(("three", f"192.0.2.{n}", country, 1) for n, country in enumerate(("GB", "SE", "US"), 1)),
          ("home", "192.0.2.1", "GB", 1), ("home", "192.0.2.6", None, 1), ("lost", "192.0.2.6", None, 1)]


def documented_sql(word):
    """The statements of the block of SQL with this word, of those who move over from the plugin."""
    path = os.path.join(TESTS, "..", "..", "docs", "moving-from-postfwd-geoip.md")
    with open(path, encoding="utf-8") as file:
        text = file.read()
    found, = (block for block in re.findall(r"```sql\n(.*?)```", text, re.DOTALL) if word in block)
    return " ".join(found.split())


def row_key(row):
    return [str(value) for value in row]


class Plugin:
    """Tests of one kind of database."""

    kind = ""

    # What a kind does in its own way

    def ours(self):
        """A site with a store of this kind."""
        raise NotImplementedError

    def ask(self, site, sql):
        """Rows of texts that SQL gives there; ValueError if it is none."""
        raise NotImplementedError

    def old(self):
        """The plugin's database, filled. The URL by which it can be read, by who may do nothing else."""
        raise NotImplementedError

    def old_rows(self):
        """All that is in it, and what tables there are."""
        raise NotImplementedError

    def hand_over(self):
        """What the document says before it is used. The URL by which it is ours."""
        raise NotImplementedError

    # Tests

    def rows(self, site):
        result = site.abictl("--json", "logins", "--countries", "0", "--report", "summary")
        self.assertEqual((result.returncode, result.stderr), (OK, ""))
        with site.sqlite() as database:
            return [list(row) for row in database.execute(
                "SELECT sasl_username, ip_address, state_code, login_count, unixepoch(last_login) "
                "FROM postfwd_logins ORDER BY 1, 2")]

    def test_the_published_queries(self):
        site = self.ours()
        site.abictl("store", "status")
        with site.sqlite() as database:
            database.executemany("INSERT INTO postfwd_logins VALUES (?, ?, ?, ?, "
                                 "'2027-01-15 08:00:00')", LOGINS)
        for number, (sql, kinds, (report, columns), expected) in enumerate(QUERIES, 1):
            with self.subTest(query=number):
                if self.kind not in kinds.split():
                    self.assertRaises(ValueError, self.ask, site, sql)
                else:
                    rows = self.ask(site, sql)
                    if number == 7:
                        counts = [row[2] for row in rows]
                        self.assertEqual(counts, sorted(counts))
                    self.assertEqual(sorted(map(row_key, rows)), sorted(map(row_key, expected)))
                user = ["wide"] if number >= 4 else []
                result = site.abictl("--json", "logins", "--report", report, *user)
                told = [[line[column] for column in columns.split()]
                        for line in json.loads(result.stdout)]
                if number == 3:  # time as a number
                    expected = [[*row[:4], 1800000000] for row in expected]
                elif number == 7:
                    expected = [["wide", None, 1], *expected[1:]]
                self.assertEqual(sorted(map(row_key, told)), sorted(map(row_key, expected)))

    def test_copying_only_reads(self):
        url = self.old()
        before = self.old_rows()
        from_, site = Site(options={"store.url": url, "store.timeout": "60s"}), Site()
        for _ in range(2):  # and nothing is there twice
            result = site.abictl("store", "copy", from_.conf, site.conf)
            self.assertEqual((result.returncode, result.stderr), (OK, ""))
            self.assertEqual(dict(line.split() for line in result.stdout.splitlines()), {
                "logins": "3", "accounts": "0", "offenders": "0", "positions": "0",
                "hits": "0"})
            self.assertEqual(self.rows(site), MERGED)
        self.assertEqual(self.old_rows(), before)

    def test_used_as_it_is(self):
        self.old()
        url = self.hand_over()
        site = Site(options={"store.url": url})
        result = site.abictl("-o", "store.timeout=60s", "--json", "store", "status")
        self.assertEqual((result.returncode, result.stderr), (OK, ""))
        self.assertEqual(json.loads(result.stdout)["logins"], 3)
        copy = Site()
        result = copy.abictl("store", "copy", site.conf, copy.conf)
        self.assertEqual((result.returncode, result.stderr), (OK, ""))
        self.assertEqual(self.rows(copy), MERGED)
        self.assertEqual(len(site.log_lines("converting postfwd_logins of the postfwd plugin, 6 rows")),
                         self.kind != "pgsql")


class SQLite(Plugin, testenv.TestCase):
    kind = "sqlite"

    def ours(self):
        return Site()

    def ask(self, site, sql):
        return [list(row) for row in site.query(sql)]

    def old(self):
        directory = testenv.new_directory("old", FILTER_USER)
        self.path = os.path.join(directory, "old.db")
        with sqlite3.connect(self.path) as database:
            database.executescript(TABLE)
        database.close()
        os.chown(self.path, FILTER_USER.pw_uid, FILTER_USER.pw_gid)
        return f"sqlite:{self.path}"

    def old_rows(self):
        with sqlite3.connect(self.path) as database:
            rows = [database.execute(f"SELECT * FROM {table}").fetchall()
                    for table in ("postfwd_logins", "sqlite_schema")]
        database.close()
        return rows

    def hand_over(self):
        return f"sqlite:{self.path}"


class OnServer(Plugin, serversite.OnServer):
    """The plugin's database and its user are called postfwd; ours in it is abichecker."""

    def ours(self):
        return ServerSite(self.server)

    def ask(self, site, sql):
        try:
            text = self.server.sql(sql, site.database)
        except RuntimeError as error:
            raise ValueError(str(error)) from None
        return [[self.NULLS.get(cell, cell) for cell in line.split(self.SEPARATOR)]
                for line in text.splitlines()]

    def url(self, user):
        return (f"{self.server.scheme}://{user}:{encode(PASSWORD)}@127.0.0.1:{self.server.port}"
                "/postfwd")

    def old_rows(self):
        return [self.server.sql(sql, "postfwd") for sql in
                ("SELECT * FROM postfwd_logins", "SELECT table_name FROM information_schema.tables "
                 "WHERE table_schema IN ('public', 'postfwd')")]


class PostgreSQL(OnServer, testenv.TestCase):
    kind = "pgsql"
    SEPARATOR, NULLS = "|", {"": None}

    def old(self):
        sql = self.server.sql
        self.addCleanup(lambda: sql("DROP DATABASE postfwd", "postgres") + sql(
            "DROP ROLE postfwd", "postgres") + sql("DROP ROLE reader", "postgres"))
        for text in (f"CREATE ROLE postfwd LOGIN PASSWORD '{PASSWORD}'",
                     f"CREATE ROLE reader LOGIN PASSWORD '{PASSWORD}'",
                     "CREATE DATABASE postfwd OWNER postfwd"):
            sql(text, "postgres")
        sql(f"SET ROLE postfwd; {TABLE}; GRANT SELECT ON postfwd_logins TO reader", "postfwd")
        return self.url("reader")

    def hand_over(self):
        self.server.sql("REVOKE ALL ON DATABASE postfwd FROM PUBLIC", "postfwd")
        site = Site(options={"store.url": self.url("abichecker"), "store.timeout": "8s"})
        result = site.abictl("store", "status")
        self.assertEqual(result.returncode, UNAVAILABLE, result)
        self.server.sql(documented_sql("OWNER TO").replace("DBNAME", "postfwd"), "postfwd")
        return self.url("abichecker")


class MariaDB(OnServer, testenv.TestCase):
    kind = "mysql"
    SEPARATOR, NULLS = "\t", {"NULL": None}

    def old(self):
        sql = self.server.sql
        self.addCleanup(sql, "DROP USER reader@'127.0.0.1'", "mysql")
        self.addCleanup(sql, "DROP DATABASE postfwd", "mysql")
        sql(f"""CREATE DATABASE postfwd; CREATE USER reader@'127.0.0.1' IDENTIFIED BY '{PASSWORD}';
            GRANT SELECT, CREATE TEMPORARY TABLES ON postfwd.* TO reader@'127.0.0.1';
            """, "mysql")
        sql(f"SET time_zone = '+00:00'; {TABLE}", "postfwd")
        return self.url("reader")

    def hand_over(self):
        self.addCleanup(self.server.sql, "REVOKE ALL ON postfwd.* FROM abichecker@'127.0.0.1'", "mysql")
        self.server.sql(documented_sql("LOCK TABLES")
                        .replace("DBNAME", "postfwd").replace("192.0.2.%", "127.0.0.1"), "mysql")
        return self.url("abichecker")


if __name__ == "__main__":
    unittest.main()
