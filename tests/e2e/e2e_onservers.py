#!/usr/bin/python3
"""The tests of accounts and of offenders once more, with the store on a server: PostgreSQL, MariaDB
and Redis. Left out are those that are about SQLite, or not about the store.

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

ACCOUNTS = {
    e2e_accounts.Listed: (
        "test_stopped_from_any_address_until_released", "test_grace_is_for_that_address",
        "test_grace_of_ipv6_is_for_the_64", "test_grace_is_over", "test_without_grace",
        "test_grace_of_one_who_was_added_by_hand", "test_ttl", "test_without_ttl_it_is_for_ever",
        "test_dry_run", "test_users_of_odd_names"),
    e2e_accounts.Marks: (
        "test_over_a_limit", "test_without_mark", "test_after_a_release_only_later_logins_count",
        "test_two_checks_find_it_at_once", "test_one_request_that_two_checks_find"),
    e2e_accounts.Commands: (
        "test_environment", "test_fifty_detections_at_once_through_postfix",
        "test_fifty_filters_that_are_killed", "test_again_after_a_release",
        "test_many_detections_at_once_of_one_whose_time_was_over", "test_added_by_hand"),
    e2e_accounts.Abictl: (
        "test_accounts", "test_exit_status",
        "test_added_and_released_at_once_seen_by_a_running_filter", "test_odd_names_and_notes",
        "test_check"),
}
BLACKLIST = {
    e2e_blacklist.Refusals: (
        "test_who_guesses_recipients_is_refused_at_the_next_connection",
        "test_unblocking_one_and_all"),
    e2e_blacklist.Identity: ("test_add_and_remove_write_the_map_too",),
    e2e_blacklist.Lines: (
        "test_each_rule_at_its_number", "test_attack_lines_list_nobody_else",
        "test_the_whitelist_and_private_addresses", "test_prefixes"),
    e2e_blacklist.Bans: None,
    e2e_blacklist.ByHand: None,
    e2e_blacklist.Positions: (
        "test_a_second_scan_counts_nothing_twice", "test_half_a_line_waits_for_its_end",
        "test_rotation_by_rename", "test_rotation_more_than_once",
        "test_rotation_by_copytruncate", "test_two_scans_at_once", "test_several_logs",
        "test_a_log_with_two_names", "test_standard_input", "test_the_journal"),
    e2e_blacklist.Following: (
        "test_lines_are_counted_as_they_come", "test_what_was_listed_elsewhere_is_published",
        "test_it_ends_while_it_waits"),
    e2e_blacklist.Signals: ("test_a_scan_that_is_asked_to_end_loses_no_line",),
    e2e_blacklist.DryRun: None,
    e2e_blacklist.Faults: ("test_odd_bytes",),
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
    """A class with those tests of base that are wanted, None = all."""
    tests = unittest.TestLoader().getTestCaseNames(base)
    missing = set(wanted or ()) - set(tests)
    assert not missing, f"{base.__name__} has no {missing}"
    left_out = {test: None for test in tests if wanted and test not in wanted}
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
