/*
 * The replies of a Redis server: the reader alone, offenders as they are kept,
 * and each operation with a server that says this to it. Properties: what is
 * read is the same in one piece and byte by byte, lies in what has come, and
 * an operation ends.
 */
#include "fuzz.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "store/redis/redis.h"

extern const struct store_driver store_redis;

/* --- the server: a thread with what it is to say --- */

static struct {
	int listener;
	pthread_mutex_t lock;
	const uint8_t *data;
	size_t size;
	char url[128];
} server;

static bool
hears(int fd)
{
	char heard[65536];

	return read(fd, heard, sizeof(heard)) > 0;
}

static void *
serve(void *arg)
{
	static const char schema[] = "$1\r\n1\r\n";
	int fd;

	(void)arg;
	for (;;) {
		fd = accept(server.listener, NULL, NULL);
		if (fd >= 0 && hears(fd) &&
		    write(fd, schema, sizeof(schema) - 1) > 0 && hears(fd)) {
			pthread_mutex_lock(&server.lock);
			(void)!write(fd, server.data, server.size);
			server.size = 0; /* but once */
			pthread_mutex_unlock(&server.lock);
		}
		close(fd);
	}
	return NULL;
}

static void
socket_remove(void)
{
	unlink(strchr(server.url, '=') + 1);
}

static void
server_start(void)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	pthread_t thread;

	signal(SIGPIPE, SIG_IGN);
	snprintf(sa.sun_path, sizeof(sa.sun_path),
	    "/tmp/abichecker-fuzz-%d.sock", (int)getpid());
	unlink(sa.sun_path);
	snprintf(server.url, sizeof(server.url), "redis:///?socket=%s",
	    sa.sun_path);
	pthread_mutex_init(&server.lock, NULL);
	server.listener = socket(AF_UNIX, SOCK_STREAM, 0);
	HOLDS(bind(server.listener, (struct sockaddr *)&sa, sizeof(sa)) == 0);
	HOLDS(listen(server.listener, 16) == 0);
	atexit(socket_remove);
	HOLDS(pthread_create(&thread, NULL, serve, NULL) == 0);
}

static bool
row_look(void *arg, const struct store_row *row)
{
	(void)arg;
	if (row->kind == STORE_OFFENDER)
		HOLDS(strlen(row->u.offender.rule) < STORE_RULE_MAX);
	return true;
}

/* One of the operations that read more than a number. */
static void
operate(struct store *s, int which)
{
	const struct store_login l = { .user = "a", .block = "192.0.2.1",
		.country = "GB", .now = 1800000000, .since = 1799900000 };
	const struct store_purge p = { .now = 1800000000 };
	struct store_counts c;
	struct store_account a;
	struct store_status status;
	char position[STORE_TEXT_MAX];
	long removed;

	switch (which % 6) {
	case 0:
		s->driver->login(s, &l, &c);
		HOLDS(c.elsewhere_count <= STORE_ELSEWHERE_MAX);
		break;
	case 1:
		s->driver->account_find(s, "a", &a);
		break;
	case 2:
		s->driver->iterate(s, (enum store_kind)(which / 6 %
		    (STORE_HIT + 1)), "", row_look, NULL);
		break;
	case 3:
		s->driver->purge(s, &p, &removed);
		break;
	case 4:
		s->driver->position(s, "s", position, sizeof(position));
		break;
	default:
		s->driver->status(s, &status);
		break;
	}
}

/* --- the reader --- */

/* Reads a reply in pieces of so many bytes. */
static enum redis_progress
read_all(struct redis_reader *r, const uint8_t *data, size_t size, size_t piece)
{
	enum redis_progress found = REDIS_MORE;
	size_t n, room;

	redis_reader_begin(r, REDIS_LITTLE);
	while (size > 0 && found == REDIS_MORE) {
		room = redis_reader_room(r);
		if (room == 0)
			return REDIS_WRONG;
		n = size < piece ? size : piece;
		n = n < room ? n : room;
		found = redis_reader_feed(r, (const char *)data, n);
		data += n;
		size -= n;
	}
	return found;
}

static void
reader_check(const uint8_t *data, size_t size)
{
	struct redis_reader whole = { .parser = NULL };
	struct redis_reader bytes = { .parser = NULL };
	enum redis_progress a = read_all(&whole, data, size, size + 1);
	enum redis_progress b = read_all(&bytes, data, size, 1);
	size_t i;

	HOLDS(a == b);
	HOLDS(whole.size <= 2 * REDIS_LITTLE);
	HOLDS(whole.room * sizeof(whole.items[0]) <= 2 * REDIS_LITTLE);
	if (a == REDIS_WHOLE) {
		HOLDS(whole.count == bytes.count);
		for (i = 0; i < whole.count; i++) {
			HOLDS(whole.items[i].type == bytes.items[i].type);
			if (whole.items[i].type == REDIS_TEXT)
				HOLDS(whole.items[i].at + whole.items[i].len <
				    whole.len);
			HOLDS(strcmp(redis_text(&whole, i),
				  redis_text(&bytes, i)) == 0);
			HOLDS(strlen(redis_text(&whole, i)) <=
			    whole.items[i].len);
			HOLDS(redis_number(&whole, i) ==
			    redis_number(&bytes, i));
		}
	}
	redis_reader_free(&whole);
	redis_reader_free(&bytes);
}

/* An offender that is taken is the same when it is kept again. */
static void
offender_check(const char *text)
{
	struct store_offender o, again;
	char kept[REDIS_OFFENDER_MAX];

	if (!redis_offender_unpack("192.0.2.1/32", text, &o))
		return;
	redis_offender_pack(&o, kept, sizeof(kept));
	HOLDS(redis_offender_unpack("192.0.2.1/32", kept, &again));
	HOLDS(strcmp(o.rule, again.rule) == 0 && o.last == again.last);
	HOLDS(strcmp(o.note, again.note) == 0 && o.listed == again.listed);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct config cfg = { .store.timeout = 5 };
	char *text = fuzz_copy(data, size), error[STORE_ERROR_MAX];
	struct store *s;

	if (server.listener == 0)
		server_start();
	HOLDS(redis_load(error, sizeof(error)));
	reader_check(data, size);
	offender_check(text);
	free(text);
	if (size < 2)
		return 0;
	pthread_mutex_lock(&server.lock);
	server.data = data + 1;
	server.size = size - 1;
	pthread_mutex_unlock(&server.lock);
	s = store_redis.open(&cfg, server.url, 5000, true, error,
	    sizeof(error));
	HOLDS(s != NULL);
	s->wait_ms = 1000;
	operate(s, data[0]);
	store_redis.close(s);
	pthread_mutex_lock(&server.lock);
	server.size = 0; /* it was not asked for it */
	pthread_mutex_unlock(&server.lock);
	return 0;
}
