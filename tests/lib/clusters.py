"""Clusters of database servers on loopback, in directories that go with them: MariaDB with Galera,
and PostgreSQL with a standby. Each member is a Server of servers.py."""
import os
import re

import ports
import servers
from testenv import wait_until

PROVIDER = "/usr/lib/galera/libgalera_smm.so"
# How soon the others go on without one that is silent: before store.timeout is over.
EVS = ("evs.keepalive_period=PT0.5S", "evs.suspect_timeout=PT2S", "evs.inactive_timeout=PT6S")


class GaleraNode(servers.MariaDB):
    """A member of a cluster; the first one to start makes it."""

    needs = (*servers.MariaDB.needs, "rsync", "lsof")

    @classmethod
    def missing(cls):
        return [*super().missing(), *([] if os.path.exists(PROVIDER) else ["galera-4"])]

    def __init__(self, name, members, evs=EVS):
        """members: all nodes that are there already."""
        super().__init__()
        self.name, self.members = name, members
        self.group, self.ist, self.sst = (ports.take() for _ in range(3))
        self.provider = ";".join((f"gmcast.listen_addr=tcp://127.0.0.1:{self.group}",
                                  f"ist.recv_addr=127.0.0.1:{self.ist}", "gcache.size=32M",
                                  "pc.recovery=false", *evs))
        self.first = not members

    def prepare(self):
        if self.first:
            super().prepare()

    def populate(self):
        if self.first:
            super().populate()

    def stand_alone(self):
        """What is left goes on by itself, though it is not the greater part."""
        self.sql("SET GLOBAL wsrep_provider_options = 'pc.bootstrap=YES'", "mysql")
        wait_until(self.answers, "the node to go on alone")

    def position(self):
        """Where a killed one stands, as the service of Debian finds it out: the others need not
        give it everything then, and a giver by rsync stands still."""
        if not self.prepared:
            return []
        log = self.run(*self.member(), "--wsrep-recover")
        return [f"--wsrep-start-position={found}"
                for found in re.findall(r"Recovered position: (\S+)", log)[-1:]]

    def command(self):
        return [*self.member(), *self.position()]

    def member(self):
        others = [node for node in self.members if node is not self and node.process]
        return [*super().command(), "--wsrep-on=ON", f"--wsrep-provider={PROVIDER}",
                "--wsrep-cluster-name=abichecker", f"--wsrep-node-name={self.name}",
                "--wsrep-cluster-address=gcomm://" + ",".join(
                    f"127.0.0.1:{node.group}" for node in others),
                "--wsrep-node-address=127.0.0.1", "--wsrep-sst-method=rsync",
                f"--wsrep-sst-receive-address=127.0.0.1:{self.sst}",
                f"--wsrep-provider-options={self.provider}", "--binlog-format=ROW",
                "--innodb-autoinc-lock-mode=2"]

    def answers(self):
        return super().answers() and self.is_ready()

    def status(self, name):
        return self.sql(f"SHOW STATUS LIKE 'wsrep_{name}'", "mysql").split()[-1]

    def is_ready(self):
        return self.status("ready") == "ON" and self.status("local_state_comment") == "Synced"

    def conflicts(self):
        """How often something was undone because another node was first."""
        return sum(int(self.status(name)) for name in ("local_cert_failures", "local_bf_aborts"))

    def logins(self):
        rows = self.sql("SELECT sasl_username, ip_address, login_count FROM postfwd_logins")
        return {(user, address): int(count)
                for user, address, count in map(str.split, rows.splitlines())}


class Postgres(servers.PostgreSQL):
    """A primary."""

    def both(self, standby):
        """A URL of both; whoever may be written to is the right one."""
        host, port = "127.0.0.1,127.0.0.1", f"{self.port},{standby.port}"
        return (f"postgresql://abichecker:{servers.encode(servers.PASSWORD)}@/abichecker"
                + servers.query_string({"host": host, "port": port,
                                        "target_session_attrs": "read-write"}))

    def wait_for(self, standby, synchronous):
        """Makes it the one that each commit waits for, or none."""
        if synchronous:
            self.sql("ALTER SYSTEM SET synchronous_standby_names = '*'", "postgres")
            self.sql("SELECT pg_reload_conf()", "postgres")
        state = "sync" if synchronous else "async"
        wait_until(lambda: self.sql("SELECT sync_state FROM pg_stat_replication",
                                    "postgres").strip() == state, f"a standby that is {state}")
        return self.both(standby)

    def logins(self):
        rows = self.sql("SELECT sasl_username, ip_address, login_count FROM postfwd_logins")
        return {(user, address): int(count)
                for user, address, count in (row.split("|") for row in rows.splitlines())}


class Standby(Postgres):
    """Follows a primary until it is promoted."""

    needs = (*servers.PostgreSQL.needs, "pg_basebackup")

    def __init__(self, primary):
        super().__init__()
        self.primary = primary

    def prepare(self):
        self.run(servers.find_program("pg_basebackup"), "-R", "-c", "fast", "-D", self.data, "-U",
                 "postgres", "-h", self.primary.socket_directory, "-p", str(self.primary.port))

    def populate(self):
        pass

    def promote(self):
        self.sql("SELECT pg_promote()", "postgres")
