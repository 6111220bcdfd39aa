#!/usr/bin/python3
"""Some of the tests of accounts and of offenders once more, with the store on a server: PostgreSQL,
MariaDB and Redis.

    python3 tests/e2e/e2e_onservers.py [-v] [Class.test ...]
"""
import os
import sys
import unittest

sys.dont_write_bytecode = True
TESTS = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(TESTS, "..", "lib"), TESTS]

import e2e_accounts  # noqa: E402
import e2e_blacklist  # noqa: E402
import servers  # noqa: E402
from serversite import OnServer, ServerSite  # noqa: E402

# What an operation of the store does is the same everywhere by unit_store, which runs on every
# server, and what programs make of it is tested with SQLite. Here is what a connection to a server
# has to do with: many processes and long ones, children, signals, and the way through everything.
ACCOUNTS = {
    e2e_accounts.Listed: ("test_users_of_odd_names",),
    e2e_accounts.Marks: ("test_after_a_release_only_later_logins_count",),
    e2e_accounts.Commands: (
        "test_fifty_detections_at_once_through_postfix",
        "test_many_detections_at_once_of_one_whose_time_was_over"),
    e2e_accounts.Abictl: ("test_accounts",),
}
BLACKLIST = {
    e2e_blacklist.Bans: ("test_a_ban_ends_and_the_next_one_is_longer",),
    e2e_blacklist.ByHand: ("test_add_show_list_export_remove",),
    e2e_blacklist.Positions: ("test_rotation_by_rename", "test_two_scans_at_once"),
    e2e_blacklist.Following: (
        "test_lines_are_counted_as_they_come", "test_what_was_listed_elsewhere_is_published"),
    e2e_blacklist.Signals: ("test_a_scan_that_is_asked_to_end_loses_no_line",),
    e2e_blacklist.DryRun: (
        "test_it_tells_who_why_and_with_which_lines_and_changes_nothing",),
}


class AccountSite(ServerSite, e2e_accounts.AccountSite):
    def accounts(self):
        return [user for user, in self.query(
            "SELECT sasl_username FROM abichecker_accounts WHERE released = 0 ORDER BY 1")]


class BlacklistSite(ServerSite, e2e_blacklist.BlacklistSite):
    pass


class OfAccounts(OnServer):
    def site(self, options=(), listed=()):
        site = AccountSite(self.server, self.dns, options)
        for address in listed:
            site.list_address(address)
        return site


class OfBlacklist(OnServer):
    def site(self, **options):
        return BlacklistSite(self.server, **options)


def on_server(kind, mixin, base, wanted):
    """A class with those tests of base that are wanted."""
    tests = unittest.TestLoader().getTestCaseNames(base)
    missing = set(wanted) - set(tests)
    assert not missing, f"{base.__name__} has no {missing}"
    left_out = {test: None for test in tests if test not in wanted}
    return type(f"{servers.KINDS[kind].__name__}{base.__name__}", (mixin, base), {
        "kind": kind, "__module__": __name__, "__doc__": base.__doc__, **left_out})


for _kind in servers.KINDS:
    for _mixin, _bases in (OfAccounts, ACCOUNTS), (OfBlacklist, BLACKLIST):
        for _base, _wanted in _bases.items():
            _class = on_server(_kind, _mixin, _base, _wanted)
            globals()[_class.__name__] = _class
del _class, _base

if __name__ == "__main__":
    unittest.main()
