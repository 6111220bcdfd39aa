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

/* Reads a reply in pieces of so many bytes. False: it is none. */
static bool
read_all(struct redis_store *s, const uint8_t *data, size_t size, size_t piece)
{
	size_t n;

	redis_reply_begin(s, REDIS_LITTLE);
	while (size > 0 && s->reply == NULL) {
		n = size < piece ? size : piece;
		if (n > s->limit - s->fed)
			n = s->limit - s->fed;
		if (n == 0 || !redis_reply_feed(s, (const char *)data, n))
			return false;
		data += n;
		size -= n;
	}
	return true;
}

/* Are two replies the same? What they hold is looked at, to its end. */
static bool
same(const redisReply *a, const redisReply *b)
{
	size_t i;

	HOLDS(a->type == b->type);
	HOLDS(redis_number(a, 0) == redis_number(b, 0));
	HOLDS(strcmp(redis_text(a, 0), redis_text(b, 0)) == 0);
	if (a->type != REDIS_REPLY_ARRAY)
		return true;
	HOLDS(a->elements == b->elements);
	HOLDS(a->elements <= REDIS_LITTLE / REDIS_ITEM);
	for (i = 0; i < a->elements; i++)
		HOLDS(same(a->element[i], b->element[i]));
	return true;
}

static void
reader_check(const uint8_t *data, size_t size)
{
	struct redis_store whole = { .fd = -1 }, bytes = { .fd = -1 };
	bool a = read_all(&whole, data, size, size + 1);
	bool b = read_all(&bytes, data, size, 1);

	HOLDS(a == b);
	HOLDS(whole.items <= REDIS_LITTLE / REDIS_ITEM);
	if (a && whole.reply != NULL)
		HOLDS(bytes.reply != NULL && same(whole.reply, bytes.reply));
	redis_reply_drop(&whole);
	redis_reply_drop(&bytes);
	redis_reply_begin(&whole, 0);
	redis_reply_begin(&bytes, 0);
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
	enum store_failure failure;
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
	s = store_open_within(&cfg, server.url, 5000, true, &failure, error,
	    sizeof(error));
	HOLDS(s != NULL);
	s->wait_ms = 1000;
	operate(s, data[0]);
	store_free(s);
	pthread_mutex_lock(&server.lock);
	server.size = 0; /* it was not asked for it */
	pthread_mutex_unlock(&server.lock);
	return 0;
}
