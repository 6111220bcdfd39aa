"""What abichecker replaces, as it is found on the systems of its users: the shell script, the
postfwd plugin, the Abusix daemon, postfix-autoBlacklisting. Their places, settings, data and units
are theirs; the programs only permit."""
import os
import subprocess
import time

from mailhost import put, run

DAEMON = '''\
import socketserver, sys
class Policy(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile:
            if line == b"\\n":
                self.wfile.write(b"action=DUNNO\\n\\n")
class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address, daemon_threads = True, True
Server(("127.0.0.1", int(sys.argv[1])), Policy).serve_forever()
'''
SCRIPT = """\
#!/bin/bash
while read -r line; do
	[ -n "$line" ] || { printf 'action=DUNNO\\n\\n'; exit 0; }
done
"""
SERVICE = "[Service]\nExecStart=%s\n[Install]\nWantedBy=multi-user.target\n"
ACCESS = """\
# ours
192.0.2.77	OK
spam.example.net	REJECT
198.51.100.7 REJECT
203.0.113.9 REJECT
[2001:db8::1] REJECT
1234 REJECT
"""
KEPT = ("# ours", "192.0.2.77\tOK", "spam.example.net\tREJECT")
FOUND = "eve@example.com"  # the account that the Abusix daemon has found


def _daemon(name, port):
    put(f"/opt/{name}/daemon.py", DAEMON)
    put(f"/etc/systemd/system/{name}.service",
        SERVICE % f"/usr/bin/python3 /opt/{name}/daemon.py {port}")
    run("systemctl", "enable", "--now", f"{name}.service")


def script(_host):
    run("useradd", "--system", "--no-create-home", "--home-dir", "/nonexistent", "--shell",
        "/usr/sbin/nologin", "abichecker")
    put("/opt/abichecker/abichecker.sh", SCRIPT, 0o755)
    put("/opt/abichecker/hostname_domain_whitelist.txt", "google.com\nmail.example.org\n")
    for address, score in (("8.8.4.4", 0), ("1.1.1.1", 12)):
        put(f"/tmp/abichecker/cache/{address}", f"{score}\n")
    run("chown", "-R", "abichecker:", "/tmp/abichecker")
    subprocess.run(["crontab", "-u", "abichecker", "-"], check=True, text=True,
                   input="0 0 * * * find /tmp/abichecker/cache/ -type f -mtime +0 -delete\n")
    run("postconf", "-M", "abichecker/unix=abichecker unix - n n - 0 spawn user=abichecker "
        "argv=/opt/abichecker/abichecker.sh")
    run("postconf", "-e", "smtpd_recipient_restrictions=permit_mynetworks, "
        "permit_sasl_authenticated, reject_unauth_destination, "
        "check_policy_service unix:private/abichecker")
    run("postfix", "reload")


def postfwd(_host):
    put("/etc/postfix/anti-spam.conf", "[database]\ndriver = Pg\ndatabase = postfwd\n"
        "[app]\ngeoip_db_path = /var/lib/systems/places.mmdb\ndb_flush_interval = 86400\n")
    _daemon("postfwd", 10040)
    start_postgresql()
    psql("CREATE ROLE postfwd LOGIN PASSWORD 'old';"
         "CREATE DATABASE postfwd OWNER postfwd ENCODING 'UTF8' TEMPLATE template0;")
    psql("""SET ROLE postfwd; CREATE TABLE postfwd_logins(sasl_username varchar(100),
         ip_address varchar(45), state_code varchar(4), login_count int, last_login timestamp);
         INSERT INTO postfwd_logins VALUES
         ('ann@example.com', '81.2.69.142', 'GB', 3, now() at time zone 'utc'),
         ('ann@example.com', '81.2.69.142', 'GB', 2, now() at time zone 'utc'),
         ('bob@example.com', '2.125.160.216', 'FR', 1, now() at time zone 'utc');""", "postfwd")
    run("postconf", "-e", "smtpd_recipient_restrictions=check_policy_service "
        "inet:127.0.0.1:10040, permit_mynetworks, permit_sasl_authenticated, "
        "reject_unauth_destination")
    run("postfix", "reload")


def abusix(_host):
    put("/etc/abusix_auth_ppd.ini", "apikey = 0123456789abcdef0123456789abcdef\naction = reject\n"
        "[redis]\nhost = 127.0.0.1\n")
    _daemon("abusix_auth_ppd", 9998)
    start_redis()
    run("redis-cli", "SADD", "compromised_accts", FOUND)
    run("postconf", "-e", "smtpd_sender_restrictions=check_policy_service inet:127.0.0.1:9998")
    run("postfix", "reload")


def autoblacklisting(_host):
    put("/etc/postfix/access-autoBlacklisting.sh", "#!/bin/bash\n", 0o755)
    put("/etc/postfix/access-blacklist", "198.51.100.7\n")
    put("/etc/postfix/access", ACCESS)
    run("postmap", "hash:/etc/postfix/access")
    directory = "/etc/systemd/system"
    put(f"{directory}/Postfix-AutoBlacklisting.service",
        "[Service]\nType=oneshot\nExecStart=/etc/postfix/access-autoBlacklisting.sh\n")
    put(f"{directory}/Postfix-AutoBlacklisting.timer", "[Timer]\nOnUnitActiveSec=90\n")
    for wants, kind in (("timers", "timer"), ("multi-user", "service")):
        os.makedirs(f"{directory}/{wants}.target.wants", exist_ok=True)
        os.symlink(f"../Postfix-AutoBlacklisting.{kind}",
                   f"{directory}/{wants}.target.wants/Postfix-AutoBlacklisting.{kind}")
    run("systemctl", "enable", "--now", "Postfix-AutoBlacklisting.timer")
    run("postconf", "-e", "smtpd_client_restrictions=permit_mynetworks, "
        "permit_sasl_authenticated, check_client_access hash:/etc/postfix/access")
    run("postfix", "reload")


def own_list(_host):
    """No predecessor, but a Postfix whose lists are from before 2.10."""
    run("postconf", "-e", "smtpd_relay_restrictions=", "smtpd_recipient_restrictions="
        "permit_mynetworks, permit_sasl_authenticated, reject_unauth_destination, "
        "reject_unlisted_recipient")
    run("postfix", "reload")


def start_redis():
    run("redis-server", "/etc/redis/redis.conf", "--daemonize", "yes", "--supervised", "no",
        "--logfile", "/var/log/redis/redis-server.log", user="redis", group="redis")
    for _ in range(50):
        if subprocess.run(["redis-cli", "PING"], capture_output=True,
                          check=False).stdout == b"PONG\n":
            return
        time.sleep(0.1)
    raise RuntimeError("Redis does not come")


def start_postgresql():
    version = os.listdir("/etc/postgresql")[0]
    run("pg_ctlcluster", version, "main", "start")
    return f"/etc/postgresql/{version}/main"


def psql(statements, database="postgres"):
    """As typed at the prompt of psql, up to the first error."""
    done = subprocess.run(["runuser", "-u", "postgres", "--", "psql", "-v", "ON_ERROR_STOP=1",
                           "-qX", "-d", database], input=statements, text=True, check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd="/")
    if done.returncode != 0:
        raise RuntimeError(f"psql: {done.stdout}")
