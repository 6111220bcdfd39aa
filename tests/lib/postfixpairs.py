"""Pairs of main.cf and master.cf as mail servers have them, for tests of what changes them.

PAIRS: {name: Pair}. main and master are the texts, words those after `abictl postfix enable',
recipient and client what smtpd_recipient_restrictions and the submission services' own client
restrictions then are (ITEM and AUTH for ours)."""
import collections

ITEM = "check_policy_service { unix:private/abichecker, timeout=15s, default_action=DUNNO }"
AUTH = "$abichecker_auth"
USERS = "permit_mynetworks, permit_sasl_authenticated"

Pair = collections.namedtuple("Pair", "main master words recipient client",
                              defaults=[("mx",), f"{USERS}, {ITEM}", {}])

RELAY = "smtpd_relay_restrictions = permit_mynetworks permit_sasl_authenticated " \
        "defer_unauth_destination\n"

DEBIAN_MAIN = f"""\
# See /usr/share/postfix/main.cf.dist for a commented, more complete version

smtpd_banner = $myhostname ESMTP $mail_name (Debian/GNU)
biff = no
append_dot_mydomain = no
readme_directory = no

# See http://www.postfix.org/COMPATIBILITY_README.html -- default to 3.6 on
# fresh installs.
compatibility_level = 3.6


# TLS parameters
smtpd_tls_security_level=may
smtp_tls_session_cache_database = btree:${{data_directory}}/smtp_scache


{RELAY}myhostname = mx.example.org
mydestination = $myhostname, localhost
relayhost =\x20
mynetworks = 127.0.0.0/8 [::ffff:127.0.0.0]/104 [::1]/128
recipient_delimiter = +
inet_interfaces = all
inet_protocols = all
"""

REST = """\
pickup    unix  n       -       {c}       60      1       pickup
cleanup   unix  n       -       {c}       -       0       cleanup
qmgr      unix  n       -       n       300     1       qmgr
rewrite   unix  -       -       {c}       -       -       trivial-rewrite
bounce    unix  -       -       {c}       -       0       bounce
smtp      unix  -       -       {c}       -       -       smtp
# ====================================================================
# maildrop. See the Postfix MAILDROP_README file for details.
#
maildrop  unix  -       n       n       -       -       pipe
  flags=DRXhu user=vmail argv=/usr/bin/maildrop -d ${{recipient}}
"""


def master(*services, chroot="y"):
    """These services, then others."""
    return "# Postfix master process configuration file.\n" + "".join(services) + \
        REST.format(c=chroot)


SMTP = "smtp      inet  n       -       y       -       -       smtpd\n"
SUBMISSION = """\
submission inet n       -       y       -       -       smtpd
  -o syslog_name=postfix/submission
  -o smtpd_tls_security_level=encrypt
  -o smtpd_sasl_auth_enable=yes
  -o smtpd_client_restrictions=permit_sasl_authenticated,reject
  -o milter_macro_daemon_name=ORIGINATING
"""
SUBMISSIONS = """\
submissions     inet  n       -       y       -       -       smtpd
  -o syslog_name=postfix/submissions
  -o smtpd_tls_wrappermode=yes
  -o smtpd_sasl_auth_enable=yes
  -o smtpd_client_restrictions=$mua_client_restrictions
#  -o smtpd_recipient_restrictions=
  -o smtpd_relay_restrictions=permit_sasl_authenticated,reject
#  -o milter_macro_daemon_name=ORIGINATING
"""
PLAIN_USERS = {"submission/inet": f"{AUTH},permit_sasl_authenticated,reject"}

IREDMAIL_MAIN = """\
# --------------------
# INSTALL-TIME CONFIGURATION INFORMATION
#
compatibility_level = 3.6
mynetworks = 127.0.0.1 [::1]
myhostname = mx.example.org

# HELO restriction
smtpd_helo_required = yes
smtpd_helo_restrictions =
    permit_mynetworks
    permit_sasl_authenticated
    reject_non_fqdn_helo_hostname
    reject_invalid_helo_hostname

# Sender restrictions
smtpd_sender_restrictions =
    reject_non_fqdn_sender
    reject_unlisted_sender
    permit_mynetworks
    permit_sasl_authenticated
    reject_unknown_sender_domain

# Recipient restrictions
smtpd_recipient_restrictions =
    reject_non_fqdn_recipient
    reject_unlisted_recipient
    check_policy_service inet:127.0.0.1:7777
    permit_mynetworks
    permit_sasl_authenticated
    reject_unauth_destination
    check_policy_service inet:127.0.0.1:12340

# END-OF-MESSAGE restrictions
smtpd_end_of_data_restrictions =
    check_policy_service inet:127.0.0.1:7777

smtpd_relay_restrictions =
    permit_mynetworks
    permit_sasl_authenticated
    reject_unauth_destination
"""
IREDMAIL_MASTER = master("smtp      inet  n       -       -       -       1       postscreen\n",
                         "smtpd     pass  -       -       -       -       -       smtpd\n",
                         """\
# Submission, port 587, force TLS connection.
submission inet n       -       n       -       -       smtpd
  -o syslog_name=postfix/submission
  -o smtpd_tls_security_level=encrypt
  -o smtpd_sasl_auth_enable=yes
  -o smtpd_client_restrictions=permit_sasl_authenticated,reject
  -o content_filter=smtp-amavis:[127.0.0.1]:10026

# Amavisd, after it
127.0.0.1:10025 inet n  -       -       -       -  smtpd
    -o content_filter=
    -o smtpd_delay_reject=no
    -o smtpd_client_restrictions=permit_mynetworks,reject
    -o smtpd_recipient_restrictions=permit_mynetworks,reject
    -o mynetworks_style=host
""")

PAIRS = {
    "debian-internet-site": Pair(DEBIAN_MAIN, master(SMTP)),
    "debian-satellite": Pair(
        DEBIAN_MAIN.replace("relayhost =", "relayhost = [smtp.example.net]").replace(
            "inet_interfaces = all", "inet_interfaces = loopback-only"), master(SMTP)),
    "debian-13": Pair(
        DEBIAN_MAIN.replace("smtpd_tls_sec", "smtpd_tls_chain_files =\n"
                            "  /etc/ssl/private/ssl-cert-snakeoil.key,\n"
                            "  /etc/ssl/certs/ssl-cert-snakeoil.pem\nsmtpd_tls_sec"),
        master(SMTP, SUBMISSION, SUBMISSIONS), ("mx", "submission"), client={
            **PLAIN_USERS, "submissions/inet": f"{AUTH},$mua_client_restrictions"}),
    "ubuntu-dovecot": Pair(
        DEBIAN_MAIN + "\nsmtpd_sasl_type = dovecot\nsmtpd_sasl_path = private/auth\n"
        "smtpd_sasl_auth_enable = yes\nsmtpd_recipient_restrictions = permit_sasl_authenticated "
        "permit_mynetworks reject_unauth_destination\n", master(SMTP, SUBMISSION), (),
        f"permit_sasl_authenticated permit_mynetworks reject_unauth_destination, {ITEM}",
        PLAIN_USERS),
    "stock": Pair("compatibility_level = 3.6\nqueue_minfree = 0\nunknown_local_recipient_reject_"
                  "code = 550\n", master(SMTP.replace(" y ", " n "), chroot="n")),
    "iredmail": Pair(
        IREDMAIL_MAIN, IREDMAIL_MASTER, ("mx", "submission"),
        "reject_non_fqdn_recipient reject_unlisted_recipient check_policy_service "
        "inet:127.0.0.1:7777 permit_mynetworks permit_sasl_authenticated "
        f"reject_unauth_destination check_policy_service inet:127.0.0.1:12340, {ITEM}",
        PLAIN_USERS),
    "postscreen": Pair(
        DEBIAN_MAIN + "postscreen_greet_action = enforce\n",
        master("smtp      inet  n       -       y       -       1       postscreen\n"
               "smtpd     pass  -       -       y       -       -       smtpd\n"
               "dnsblog   unix  -       -       y       -       0       dnsblog\n")),
    "chroot-everywhere": Pair(DEBIAN_MAIN, master(SMTP, SUBMISSION, SUBMISSIONS),
                              ("submission",), "",
                              {**PLAIN_USERS,
                               "submissions/inet": f"{AUTH},$mua_client_restrictions"}),
    "no-override": Pair(DEBIAN_MAIN, master(
        SMTP, "587 inet n - n - - smtpd -o smtpd_sasl_auth_enable=yes\n"), ("submission",), "",
        {"587/inet": AUTH}),
    "braces": Pair(DEBIAN_MAIN, master(
        SMTP, "smtps inet n - n - - smtpd\n"
        "  -o { smtpd_client_restrictions = permit_mynetworks,\n"
        "         permit_sasl_authenticated, reject }\n"), ("submission",), "",
        {"smtps/inet": f"permit_mynetworks,{AUTH},permit_sasl_authenticated,reject"}),
    "comments-between": Pair(
        f"{RELAY}# before\nsmtpd_recipient_restrictions =\n# first\n\tpermit_mynetworks,\n\n"
        "   # why\n  permit_sasl_authenticated,\n\treject_unauth_destination,\n"
        "#\treject_rbl_client zen.example.net\n\treject_unknown_recipient_domain\n"
        "# after\nmyhostname = mx.example.org\n",
        master(SMTP, "submission inet n - y - - smtpd\n# one\n  -o smtpd_sasl_auth_enable=yes\n"
               "\n#  -o two=2\n  -o smtpd_client_restrictions=permit_sasl_authenticated,reject\n"
               "# after\n"), ("mx", "submission"),
        f"{USERS}, reject_unauth_destination, reject_unknown_recipient_domain, {ITEM}",
        PLAIN_USERS),
    "white-space": Pair(
        f"{RELAY}  \t\nsmtpd_recipient_restrictions\t=  permit_mynetworks,permit_sasl_authenticated"
        " ,\t reject_unauth_destination ,  \t\n\n\n \nmyhostname=mx.example.org   \n", master(
            "smtp\tinet\tn\t-\ty\t-\t-\tsmtpd  \n")
        .replace("       ", "\t"), ("mx",),
        f"permit_mynetworks,permit_sasl_authenticated , reject_unauth_destination, {ITEM}"),
    "no-end": Pair(f"{RELAY}myhostname = mx.example.org\nsmtpd_banner = hello",
                   master(SMTP) + "last unix - - n - - smtp\n  -o smtp_fallback_relay="),
    "carriage-returns": Pair(
        (RELAY + "smtpd_recipient_restrictions =\n permit_mynetworks,\n reject_unauth_destination\n"
         "myhostname = mx.example.org\n").replace("\n", "\r\n"), master(SMTP), ("mx",),
        f"permit_mynetworks, reject_unauth_destination, {ITEM}"),
    "variables": Pair(
        f"{RELAY}base = {USERS}, reject_unauth_destination\n"
        "smtpd_recipient_restrictions = $base, reject_unknown_recipient_domain\n",
        master(SMTP), ("mx",), f"$base, reject_unknown_recipient_domain, {ITEM}"),
    "closing-reject": Pair(
        f"{RELAY}smtpd_recipient_restrictions = {USERS}, reject_unauth_destination,\n"
        "    reject_rbl_client zen.example.net, permit\n", master(SMTP), ("mx",),
        f"{USERS}, reject_unauth_destination, reject_rbl_client zen.example.net, {ITEM}, permit"),
    "warn-if-reject": Pair(
        f"{RELAY}smtpd_recipient_restrictions = reject_unauth_destination, warn_if_reject reject,\n"
        "  check_policy_service unix:postgrey/socket\n", master(SMTP), ("mx",),
        "reject_unauth_destination, warn_if_reject reject, check_policy_service "
        f"unix:postgrey/socket, {ITEM}"),
    "by-hand": Pair(
        f"{RELAY}abichecker_time_limit = 3600\nabichecker_auth = {ITEM}\n"
        f"smtpd_recipient_restrictions = {USERS}, {ITEM}\n", master(
            SMTP, SUBMISSION.replace("permit_sasl", f"{AUTH},permit_sasl"),
            "abichecker unix - n n - 0 spawn\n  user=nobody argv=/usr/local/sbin/abichecker\n"),
        ("mx", "submission"), client=PLAIN_USERS),
    "service-of-another-user": Pair(
        DEBIAN_MAIN, master(SMTP, "abichecker unix - n n - 5 spawn user=daemon "
                            "argv=/opt/abichecker/abichecker -c /opt/a.conf\n")),
    "empty-list": Pair(f"smtpd_recipient_restrictions =\n{RELAY}", master(SMTP)),
    "several-addresses": Pair(DEBIAN_MAIN, master(
        "192.0.2.1:25 inet n - n - - smtpd\n[2001:db8::1]:smtp inet n - n - - smtpd\n"
        "  -o smtpd_sasl_auth_enable=no\n")),
    "old-level": Pair(f"compatibility_level = 0\n{RELAY}", master(SMTP.replace(" y ", " - "))),
}

# What is refused: (main, master, words, what is said).
REFUSED = {
    "relay-empty": (DEBIAN_MAIN + "smtpd_relay_restrictions =\n", master(SMTP), ("mx",),
                    "smtpd_relay_restrictions is empty"),
    "relay-empty-by-level": ("compatibility_level = 0\n", master(SMTP), ("mx",),
                             "smtpd_relay_restrictions is empty"),
    "relay-empty-in-master": (DEBIAN_MAIN, master(SMTP + " -o smtpd_relay_restrictions=\n"),
                              ("mx",), "smtpd_relay_restrictions is empty"),
    "class": (f"{RELAY}smtpd_restriction_classes = strict\nstrict = reject_unknown_client_hostname"
              "\nsmtpd_recipient_restrictions = reject_unauth_destination, strict\n",
              master(SMTP), ("mx",), "smtpd_recipient_restrictions contains `strict'"),
    "override": (DEBIAN_MAIN, master(SMTP + " -o smtpd_recipient_restrictions=permit_mynetworks\n"),
                 ("mx",), "smtp/inet has its own -o smtpd_recipient_restrictions"),
    "other-name": (f"{RELAY}smtpd_recipient_restrictions = reject_unauth_destination, "
                   "check_policy_service inet:127.0.0.1:9998\n", master(
                       SMTP, "127.0.0.1:9998 inet n n n - 0 spawn\n  user=nobody "
                       "argv=/usr/local/sbin/abichecker\n"), ("mx",),
                   "smtp/inet already asks abichecker, as inet:127.0.0.1:9998"),
    "other-socket": (f"{RELAY}smtpd_client_restrictions = check_policy_service unix:private/abi\n",
                     master(SMTP, "abi unix - n n - 0 spawn user=nobody "
                            "argv=/usr/local/sbin/abichecker\n"), ("mx",),
                     "already asks abichecker, as unix:private/abi"),
    "in-vain": (f"{RELAY}smtpd_recipient_restrictions = {USERS}, reject, {ITEM}\n", master(SMTP),
                ("mx",), "where no client reaches it"),
    "twice": (f"{RELAY}smtpd_recipient_restrictions = permit_mynetworks\n"
              "smtpd_recipient_restrictions = permit_sasl_authenticated\n", master(SMTP), ("mx",),
              "is set more than once"),
    "name-taken": (DEBIAN_MAIN, master(SMTP, "abichecker unix - n n - 0 spawn user=nobody "
                                       "argv=/usr/bin/other\n"), ("mx",),
                   "abichecker/unix: it does not run abichecker"),
    "public": (DEBIAN_MAIN, master(SMTP, "abichecker unix n n n - 0 spawn user=nobody "
                                   "argv=/usr/local/sbin/abichecker\n"), ("mx",),
               "it is not private"),
    "in-chroot": (DEBIAN_MAIN, master(SMTP, "abichecker unix - n y - 0 spawn user=nobody "
                                      "argv=/usr/local/sbin/abichecker\n"), ("mx",),
                  "it runs in a chroot"),
    "no-port-25": (DEBIAN_MAIN, master(SUBMISSION), ("mx",), "no smtpd service on port 25"),
    "no-submission": (DEBIAN_MAIN, master(SMTP), ("submission",), "no submission service"),
    "inherited": (DEBIAN_MAIN + "smtpd_client_restrictions = reject_unknown_client_hostname\n",
                  master(SMTP, "587 inet n - n - - smtpd -o smtpd_sasl_auth_enable=yes\n"),
                  ("submission",), "that of main.cf is not empty"),
    "no-delay": (DEBIAN_MAIN + "smtpd_delay_reject = no\n", master(SMTP, SUBMISSION),
                 ("submission",), "smtpd_delay_reject is not yes"),
    "auth-taken": (DEBIAN_MAIN + "abichecker_auth = permit_mynetworks\n", master(
        SMTP, SUBMISSION), ("submission",), "abichecker_auth already has another value"),
    "hidden-end": (f"{RELAY}base = {USERS}, reject\nsmtpd_recipient_restrictions = $base\n",
                   master(SMTP), ("mx",), "ends inside one of its $parameters"),
    "auth-destination": (f"{RELAY}smtpd_recipient_restrictions = permit_auth_destination, reject\n",
                         master(SMTP), ("mx",), "contains `permit_auth_destination'"),
}
