#!/usr/bin/python3
"""Real database servers for tests, on loopback, in directories that go with them.

    tests/lib/servers.py [KIND...] -- COMMAND...

Starts servers (pgsql, mysql, redis; all that are installed, if none is named), runs COMMAND with their
URLs in STORE_URLS and as STORE_PGSQL, STORE_MYSQL, STORE_REDIS, and ends them with it.

Each server is a process of this one in a temporary directory, run by an unprivileged user, and is
ended when this process dies, however that comes about.
"""
import contextlib
import ctypes
import glob
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

import ports

START_LIMIT = 60  # seconds
STOP_LIMIT = 30
PR_SET_PDEATHSIG = 1
PASSWORD = "se-cret%/@:x"  # what a URL must encode


def encode(text):
    """For a URL: every byte but letters and digits."""
    return "".join(c if c.isalnum() else f"%{ord(c):02x}" for c in text)


def find_program(*names):
    """The first that is there: in PATH or where Debian hides PostgreSQL's."""
    for name in names:
        found = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
        versions = glob.glob(f"/usr/lib/postgresql/*/bin/{name}")
        if found or versions:
            return found or max(versions, key=lambda path: int(path.split("/")[4]))
    return None


def descendants(pid):
    """The processes below pid."""
    found = []
    with contextlib.suppress(OSError), open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as f:
        for child in f.read().split():
            found += [int(child), *descendants(int(child))]
    return found


def stands(pid):
    """Has each thread of a process stopped, or ended?"""
    for path in glob.glob(f"/proc/{pid}/task/*/stat"):
        with contextlib.suppress(OSError), open(path, encoding="utf-8", errors="replace") as f:
            if f.read().rpartition(")")[2].split()[0] not in "TtZX":
                return False
    return True


class Server:
    """One server; start() it, and stop() it in the end."""

    kind = scheme = ""  # of its driver, and of its URLs
    hasty = ()  # options: what is written may be lost when the machine goes down
    users = ("nobody",)  # the first that exists runs it, if we are root
    needs = ()  # programs
    stop_signal = death_signal = signal.SIGTERM

    @classmethod
    def missing(cls):
        """The programs that are not installed."""
        return [name for name in cls.needs if not find_program(name)]

    def __init__(self, *options, durable=False, tls=False):
        """options: more arguments of the server. durable: as it comes, for measuring. tls: with a
        certificate for 127.0.0.1 by an authority of its own, ca_file."""
        self.options = [*(() if durable else self.hasty), *options]
        self.tls = tls
        self.port = ports.take()
        self.process = None
        self.directory = tempfile.mkdtemp(prefix=f"abichecker-{self.kind}.")
        os.chmod(self.directory, 0o755)
        self.socket_directory = os.path.join(self.directory, "run")
        self.data = os.path.join(self.directory, "data")
        self.log_path = os.path.join(self.directory, "log")
        self.databases = 0
        self.user = None
        if os.geteuid() == 0:
            self.user = next(name for name in self.users
                             if any(name == entry.pw_name for entry in pwd.getpwall()))
        for path in self.directory, self.socket_directory, self.data:
            os.makedirs(path, exist_ok=True)
            self.give(path)
        os.chmod(self.data, 0o700)
        self.ca_file = os.path.join(self.directory, "ca.pem")
        self.certificate, self.key = (os.path.join(self.directory, f"server.{kind}")
                                      for kind in ("pem", "key"))
        if tls:
            self.make_certificates()
        self.prepared = False

    def make_certificates(self):
        """An authority, and a certificate by it for 127.0.0.1 and db.example."""
        ca_key = os.path.join(self.directory, "ca.key")
        extensions = os.path.join(self.directory, "extensions")
        with open(extensions, "w", encoding="ascii") as file:
            file.write("subjectAltName = IP:127.0.0.1, DNS:db.example\n")
        new = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
        for command in (
                ("req", "-x509", *new, "-keyout", ca_key, "-out", self.ca_file, "-days", "2",
                 "-subj", "/CN=abichecker test authority"),
                ("req", *new, "-keyout", self.key, "-out", self.certificate + ".req",
                 "-subj", "/CN=db.example"),
                ("x509", "-req", "-in", self.certificate + ".req", "-CA", self.ca_file, "-CAkey",
                 ca_key, "-CAcreateserial", "-days", "2", "-extfile", extensions,
                 "-out", self.certificate)):
            subprocess.run(["openssl", *command], check=True, stdin=subprocess.DEVNULL,
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.chmod(self.key, 0o600)
        os.chmod(self.ca_file, 0o644)
        self.give(self.key)

    # What a kind of server does in its own way

    def prepare(self):
        """Makes the data directory, before the first start."""

    def command(self):
        """The server's program and arguments."""
        raise NotImplementedError

    def answers(self):
        """Is it ready?"""
        raise NotImplementedError

    def populate(self):
        """After the first start: our user and database."""

    def url(self, **parameters):
        """As store.url wants it, by TCP and with its password; database: as add_database() gave."""
        raise NotImplementedError

    def add_database(self):
        """Makes another one, empty; its name."""
        raise NotImplementedError

    def empty(self, database):
        """Takes everything out of a database, the tables too."""
        raise NotImplementedError

    # Running it

    def give(self, path):
        if self.user:
            entry = pwd.getpwnam(self.user)
            os.chown(path, entry.pw_uid, entry.pw_gid)

    def identity(self):
        """For subprocess: who runs the server."""
        if not self.user:
            return {}
        return {"user": self.user, "group": pwd.getpwnam(self.user).pw_gid, "extra_groups": []}

    def run(self, *command, **keywords):
        """Runs a tool as the server's user; what it prints."""
        result = subprocess.run(command, stdin=subprocess.DEVNULL if "input" not in keywords else None,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                check=False, cwd=self.directory, **self.identity(), **keywords)
        if result.returncode != 0:
            raise RuntimeError(f"{command[0]}: {result.returncode}\n{result.stdout}")
        return result.stdout

    def start(self):
        """Starts it and waits until it answers."""
        if not self.prepared:
            self.prepare()
        libc = ctypes.CDLL(None)
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.directory,
                start_new_session=True, **self.identity(),
                preexec_fn=lambda: libc.prctl(PR_SET_PDEATHSIG, int(self.death_signal)))
        end = time.monotonic() + START_LIMIT
        while not self.answers():
            if self.process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"{self.kind} does not start:\n{self.log()}")
            time.sleep(0.05)
        if not self.prepared:
            self.populate()
        self.prepared = True
        return self

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as file:
            return file.read()

    def signal(self, number):
        """To all of its processes; PostgreSQL's are in sessions of their own."""
        for pid in [self.process.pid, *descendants(self.process.pid)]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def pause(self):
        """It answers nothing, and refuses nothing."""
        self.signal(signal.SIGSTOP)
        end = time.monotonic() + STOP_LIMIT
        while not all(stands(pid) for pid in [self.process.pid, *descendants(self.process.pid)]):
            if time.monotonic() > end:
                raise RuntimeError(f"{self.kind} does not stand still")
            time.sleep(0.002)

    def resume(self):
        self.signal(signal.SIGCONT)

    def kill(self):
        """As a crash does."""
        self.signal(signal.SIGKILL)
        self.process.wait(STOP_LIMIT)
        self.process = None

    def halt(self):
        """Ends it in good order; it can be started again."""
        if self.process is None:
            return
        self.resume()
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(self.stop_signal)
        try:
            self.process.wait(STOP_LIMIT)
        except subprocess.TimeoutExpired:
            self.kill()
        self.process = None

    def stop(self):
        """Ends it and removes its directory."""
        self.halt()
        shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            self.stop()
            raise

    def __exit__(self, *_):
        self.stop()


def query_string(parameters):
    """?name=value&..., with - for _ where a name is a keyword."""
    return "".join(f"{'&' if i else '?'}{name}={encode(str(value))}"
                   for i, (name, value) in enumerate(parameters.items()))


class PostgreSQL(Server):
    """A cluster of PostgreSQL with the role and the database abichecker."""

    kind, scheme = "pgsql", "postgresql"
    users = ("postgres", "nobody")
    needs = ("initdb", "postgres", "psql")
    hasty = ("-c", "fsync=off", "-c", "full_page_writes=off")
    stop_signal = signal.SIGINT  # fast: ends connections
    death_signal = signal.SIGQUIT

    def prepare(self):
        self.run(find_program("initdb"), "-D", self.data, "-U", "postgres", "-E", "UTF8", "--locale=C",
                 "--auth-local=trust", "--auth-host=scram-sha-256", "--no-sync")

    def command(self):
        return [find_program("postgres"), "-D", self.data, "-k", self.socket_directory,
                "-p", str(self.port), "-c", "listen_addresses=127.0.0.1", *self.options,
                *(("-c", "ssl=on", "-c", f"ssl_cert_file={self.certificate}",
                   "-c", f"ssl_key_file={self.key}") if self.tls else ())]

    def psql(self, *arguments, database="abichecker"):
        return [find_program("psql"), "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-U", "postgres",
                "-h", self.socket_directory, "-p", str(self.port), "-d", database, *arguments]

    def sql(self, text, database="abichecker"):
        """Runs SQL as the superuser; what it prints, a row a line."""
        return self.run(*self.psql("-c", text, database=database))

    def answers(self):
        return subprocess.run(self.psql("-c", "SELECT 1", database="postgres"), check=False,
                              stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL).returncode == 0

    def populate(self):
        self.sql(f"CREATE ROLE abichecker LOGIN PASSWORD '{PASSWORD}'", "postgres")
        self.sql("CREATE DATABASE abichecker OWNER abichecker", "postgres")

    def add_database(self):
        self.databases += 1
        self.sql(f"CREATE DATABASE test{self.databases} OWNER abichecker", "postgres")
        return f"test{self.databases}"

    def empty(self, database):
        self.sql("DROP OWNED BY abichecker", database)

    def url(self, password=PASSWORD, database="abichecker", **parameters):
        return (f"postgresql://abichecker:{encode(password)}@127.0.0.1:{self.port}/{database}"
                f"{query_string(parameters)}")

    def socket_url(self, **parameters):
        return (f"postgresql://abichecker@:{self.port}/abichecker"
                f"{query_string({'host': self.socket_directory, **parameters})}")


class PgBouncer(Server):
    """In front of a PostgreSQL: hands its few connections around, a transaction at a time."""

    kind, scheme = "pgbouncer", "postgresql"
    users = ("postgres", "nobody")
    needs = ("pgbouncer",)

    def __init__(self, behind):
        super().__init__()
        self.behind = behind

    def prepare(self):
        for name, text in (
                ("users", f'"abichecker" "{PASSWORD}"\n'),
                ("ini", f"[databases]\nabichecker = host=127.0.0.1 port={self.behind.port}\n"
                        f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {self.port}\n"
                        f"auth_type = plain\nauth_file = {self.directory}/users\n"
                        "pool_mode = transaction\ndefault_pool_size = 2\nunix_socket_dir =\n")):
            with open(os.path.join(self.directory, name), "w", encoding="ascii") as file:
                file.write(text)

    def command(self):
        return [find_program("pgbouncer"), "-q", os.path.join(self.directory, "ini")]

    def answers(self):
        with contextlib.closing(socket.socket()) as s:
            return s.connect_ex(("127.0.0.1", self.port)) == 0

    def populate(self):
        pass

    def url(self, **parameters):
        return self.behind.url(**parameters).replace(f":{self.behind.port}/", f":{self.port}/")


class MariaDB(Server):
    """A MariaDB server with the user and the database abichecker."""

    kind = scheme = "mysql"
    users = ("mysql", "nobody")
    needs = ("mariadb-install-db", "mariadbd", "mariadb")
    hasty = ("--innodb-flush-log-at-trx-commit=2",)  # a killed one loses nothing

    @property
    def socket(self):
        return os.path.join(self.socket_directory, "mysqld.sock")

    def prepare(self):
        # --force: also where neither localhost nor the host's name has an address
        self.run(find_program("mariadb-install-db"), "--no-defaults", "--force",
                 f"--datadir={self.data}", "--auth-root-authentication-method=normal", "--skip-test-db",
                 f"--tmpdir={self.directory}")

    def command(self):
        return [find_program("mariadbd"), "--no-defaults", f"--datadir={self.data}",
                f"--socket={self.socket}", f"--port={self.port}", "--bind-address=127.0.0.1",
                f"--pid-file={self.directory}/pid", "--skip-name-resolve",
                f"--tmpdir={self.directory}", "--innodb-buffer-pool-size=32M", *self.options,
                *((f"--ssl-cert={self.certificate}", f"--ssl-key={self.key}") if self.tls else ())]

    def client(self, *arguments, database="abichecker"):
        # --skip-ssl: since 11.4 it would verify the server's certificate, on a socket too
        return [find_program("mariadb"), "--no-defaults", "--skip-ssl", "--batch",
                "--skip-column-names", "-u", "root", f"--socket={self.socket}", "-D", database, *arguments]

    def sql(self, text, database="abichecker"):
        """Runs SQL as root; what it prints, a row a line, columns with tabs."""
        return self.run(*self.client("-e", text, database=database))

    def answers(self):
        return subprocess.run(self.client("-e", "SELECT 1", database="mysql"), check=False,
                              stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL).returncode == 0

    def populate(self):
        self.sql("CREATE DATABASE abichecker", "mysql")
        for host in "127.0.0.1", "localhost":
            self.sql(f"CREATE USER abichecker@'{host}' IDENTIFIED BY '{PASSWORD}'", "mysql")
            self.sql(f"GRANT ALL ON abichecker.* TO abichecker@'{host}'", "mysql")
            self.sql(f"GRANT ALL ON `test%`.* TO abichecker@'{host}'", "mysql")

    def add_database(self):
        self.databases += 1
        self.sql(f"CREATE DATABASE test{self.databases}", "mysql")
        return f"test{self.databases}"

    def empty(self, database):
        self.sql(f"DROP DATABASE {database}; CREATE DATABASE {database}", "mysql")

    def url(self, password=PASSWORD, database="abichecker", **parameters):
        return (f"mysql://abichecker:{encode(password)}@127.0.0.1:{self.port}/{database}"
                f"{query_string(parameters)}")

    def socket_url(self, **parameters):
        return (f"mysql://abichecker:{encode(PASSWORD)}@/abichecker"
                f"{query_string({'socket': self.socket, **parameters})}")


class Redis(Server):
    """A Redis (or Valkey) server with a password."""

    kind = scheme = "redis"
    users = ("redis", "valkey", "nobody")
    needs = ("redis-server", "redis-cli")
    hasty = ("--save", "", "--appendonly", "yes", "--appendfsync", "no")

    @property
    def socket(self):
        return os.path.join(self.socket_directory, "redis.sock")

    def command(self):
        return [find_program("redis-server"), "--port", str(self.port), "--bind", "127.0.0.1",
                "--unixsocket", self.socket, "--unixsocketperm", "777", "--dir", self.data,
                "--requirepass", PASSWORD, "--databases", "1000", "--daemonize", "no", *self.options]

    def cli(self, *arguments, database="0"):
        """Runs a command; what it prints."""
        return self.run(find_program("redis-cli"), "-s", self.socket, "-n", database, *arguments,
                        env={**os.environ, "REDISCLI_AUTH": PASSWORD})

    def add_database(self):
        self.databases += 1
        return str(self.databases)

    def empty(self, database):
        self.cli("FLUSHDB", database=database)

    def answers(self):
        try:
            return self.cli("PING").strip() == "PONG"
        except RuntimeError:
            return False

    def url(self, password=PASSWORD, database="0", **parameters):
        return (f"redis://:{encode(password)}@127.0.0.1:{self.port}/{database}"
                f"{query_string(parameters)}")

    def socket_url(self, **parameters):
        return f"redis://:{encode(PASSWORD)}@/0{query_string({'socket': self.socket, **parameters})}"


KINDS = {kind.kind: kind for kind in (PostgreSQL, MariaDB, Redis)}


@contextlib.contextmanager
def running(kinds=KINDS):
    """Starts those of the kinds that are installed; kind -> Server."""
    with contextlib.ExitStack() as stack:
        yield {kind: stack.enter_context(KINDS[kind]()) for kind in kinds if not KINDS[kind].missing()}


def environment(servers):
    """The variables that tell a test about them."""
    return {"STORE_URLS": " ".join(server.url() for server in servers.values()),
            **{f"STORE_{kind.upper()}": server.url() for kind, server in servers.items()}}


def main(arguments):
    if "--" not in arguments or set(arguments[:arguments.index("--")]) - set(KINDS):
        print(__doc__.rstrip())
        return 64
    kinds = arguments[:arguments.index("--")]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with running(kinds or KINDS) as servers:
        return subprocess.run(arguments[arguments.index("--") + 1:], check=False,
                              env={**os.environ, **environment(servers)}).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
