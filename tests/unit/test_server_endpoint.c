/*
 * The endpoint on real sockets, with a real gate behind it; the client is a
 * socket and a few lines of HTTP in the same loop.
 */
#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include <uv.h>

#include "common/err.h"
#include "common/gate.h"
#include "common/keyfile.h"
#include "common/net.h"
#include "server/endpoint.h"
#include "tests/unit/ignore.h"
#include "tests/unit/unit.h"

#define ID "AAAAAAAAAAAAAAAAAAAAAA"	/* 16 bytes of zero */
#define REQUEST_MAX 100000u
#define IN_MAX (2u << 20)
#define CONNECTIONS_MAX 50u

static struct {
	uv_loop_t loop;
	uv_prepare_t prepare;
	struct gate *gate;
	struct endpoint *endpoint;
	struct noise_keys keys, device;
	struct sources_limits sources;
	struct networks proxies;
	uint64_t request_ms;
	struct sockaddr_in address;
	struct session *client;
	struct stream *stream;		/* the gateway's end */
	uint64_t exchange;
	const char *forwarded;		/* X-Forwarded-For */
	char peer[ENDPOINT_PEER_MAX];	/* of the last session */
	char in[IN_MAX];
	size_t in_len;
} t;

/* ---- the gateway ------------------------------------------------------ */

static enum hello_status authorize(void *ctx, const uint8_t key[32],
    void **device)
{
	(void)ctx;
	*device = NULL;
	return memcmp(key, t.device.pub, 32) == 0 ? HELLO_CREATED :
	    HELLO_UNKNOWN_DEVICE;
}

static void on_session(void *ctx, struct gate_session *gs, void *device)
{
	char out[ENDPOINT_PEER_MAX];

	(void)ctx;
	(void)gs;
	(void)device;
	snprintf(t.peer, sizeof(t.peer), "%s", endpoint_peer(t.endpoint, out));
}

static const struct stream_ops stream_ops = { ignore_stream, ignore_stream,
    ignore_reset };

static void on_open(void *ctx, struct gate_session *gs, struct stream *st,
    const char *name, size_t name_len)
{
	(void)ctx;
	(void)gs;
	(void)name;
	(void)name_len;
	t.stream = st;
	stream_attach(st, &stream_ops, NULL);
}

static bool may_hello(void *ctx)
{
	(void)ctx;
	return endpoint_may_hello(t.endpoint);
}

static const struct gate_ops gate_ops = { authorize, on_session,
    ignore_session_end, on_open, ignore_wake, ignore_note, may_hello, NULL };

static void on_prepare(uv_prepare_t *prepare)
{
	(void)prepare;
	gate_run(t.gate, net_now_ms(&t.loop));
	endpoint_run(t.endpoint);
}

static struct endpoint_limits limits_of(const char *path)
{
	struct endpoint_limits limits = { .path = path,
	    .request_max = REQUEST_MAX, .request_ms = t.request_ms,
	    .sources = t.sources, .proxies = &t.proxies };

	return limits;
}

/* With limits in t. */
static void start(void)
{
	struct endpoint_limits limits = limits_of("/nrpc");
	socklen_t len = sizeof(t.address);
	struct gate_config c;
	int fd;

	noise_keys_generate(&t.keys);
	noise_keys_generate(&t.device);
	CU_ASSERT_EQUAL_FATAL(uv_loop_init(&t.loop), 0);
	gate_defaults(&c);
	c.keys = t.keys;
	c.request_max = REQUEST_MAX;
	CU_ASSERT_EQUAL_FATAL(gate_new(&t.gate, &c, &gate_ops, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(endpoint_new(&t.endpoint, &t.loop, t.gate,
	    &limits), 0);
	t.address.sin_family = AF_INET;
	t.address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	CU_ASSERT_EQUAL_FATAL(net_listen_tcp((void *)&t.address, 10, &fd), 0);
	CU_ASSERT_EQUAL_FATAL(getsockname(fd, (void *)&t.address, &len), 0);
	CU_ASSERT_EQUAL_FATAL(endpoint_listen(t.endpoint, fd,
	    CONNECTIONS_MAX, NULL), 0);
	uv_prepare_init(&t.loop, &t.prepare);
	uv_prepare_start(&t.prepare, on_prepare);
}

static void set_limits(void)
{
	char why[NETWORKS_WHY_MAX];

	memset(&t, 0, sizeof(t));
	t.request_ms = 60000;
	t.forwarded = "10.1.2.3, \"evil";
	sources_defaults(&t.sources);
	CU_ASSERT_EQUAL_FATAL(networks_add(&t.proxies, "127.0.0.1", why), 0);
}

static void set_up(void)
{
	set_limits();
	start();
}

static void tear_down(void)
{
	struct gate_stats stats;

	endpoint_free(t.endpoint);
	gate_get_stats(t.gate, &stats);
	CU_ASSERT_EQUAL(stats.exchanges, 0);
	gate_free(t.gate);
	session_free(t.client);
	uv_close((uv_handle_t *)&t.prepare, NULL);
	uv_run(&t.loop, UV_RUN_DEFAULT);
	CU_ASSERT_EQUAL(uv_loop_close(&t.loop), 0);
}

static void turns(unsigned count)
{
	while (count-- > 0) {
		uv_run(&t.loop, UV_RUN_NOWAIT);
		usleep(500);
	}
}

/* ---- the client: HTTP ------------------------------------------------- */

static int dial(void)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	CU_ASSERT_EQUAL_FATAL(connect(fd, (void *)&t.address,
	    sizeof(t.address)), 0);
	turns(2);
	return fd;
}

static void send_all(int fd, const void *data, size_t len)
{
	const char *p = data;

	while (len > 0) {
		ssize_t n = send(fd, p, len, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n > 0) {
			p += n;
			len -= (size_t)n;
		} else if (errno != EAGAIN) {
			return;		/* refused: the answer tells */
		}
		turns(1);
	}
}

static void send_text(int fd, const char *text)
{
	send_all(fd, text, strlen(text));
}

/* Where the body begins, or NULL while the head is not whole. */
static char *body_of(void)
{
	char *end;

	t.in[t.in_len] = '\0';
	end = strstr(t.in, "\r\n\r\n");
	return end == NULL ? NULL : end + 4;
}

static bool is_whole(bool is_head)
{
	char *body = body_of(), *length;

	if (body == NULL)
		return false;
	if (is_head)
		return true;
	length = strstr(t.in, "Content-Length: ");
	if (length == NULL || length > body)
		return t.in_len >= 5 &&
		    memcmp(t.in + t.in_len - 5, "0\r\n\r\n", 5) == 0;
	return t.in_len - (size_t)(body - t.in) >= strtoul(length + 16, NULL,
	    10);
}

/* Collect one response, at most for a second. False: none, or no whole one. */
static bool receive(int fd, bool is_head)
{
	t.in_len = 0;
	for (int i = 0; i < 1000; i++) {
		ssize_t n = recv(fd, t.in + t.in_len, IN_MAX - 1 - t.in_len,
		    MSG_DONTWAIT);

		if (n == 0)
			return false;
		if (n > 0)
			t.in_len += (size_t)n;
		if (is_whole(is_head))
			return true;
		turns(1);
	}
	return false;
}

/* Overwrite the one line that differs from second to second. */
static void blank_date(void)
{
	char *date = strstr(t.in, "Date: ");

	CU_ASSERT_PTR_NOT_NULL_FATAL(date);
	memset(date, 'x', strcspn(date, "\r"));
}

/* ---- the client: sessions --------------------------------------------- */

static void post(int fd, const void *body, size_t len)
{
	char head[256];

	snprintf(head, sizeof(head), "POST /nrpc/" ID " HTTP/1.1\r\n"
	    "Host: x\r\nX-Forwarded-For: %s\r\n"
	    "Content-Length: %zu\r\n\r\n", t.forwarded, len);
	send_text(fd, head);
	send_all(fd, body, len);
}

/* In the query, and without a body. */
static void post_query(int fd, const void *records, size_t len)
{
	char text[CRYPTO_BASE64URL_LEN(CRYPTO_BASE64_MAX) + 1], head[512];

	CU_ASSERT_TRUE_FATAL(len <= CRYPTO_BASE64_MAX);
	crypto_base64url_encode(text, records, len);
	snprintf(head, sizeof(head), "POST /nrpc/" ID "?r=%s HTTP/1.1\r\n"
	    "Host: x\r\nX-Forwarded-For: %s\r\n"
	    "Content-Length: 0\r\n\r\n", text, t.forwarded);
	send_text(fd, head);
}

/* A device's first hello for another session. */
static void post_hello(int fd)
{
	static const uint8_t id[RECORD_ID_LEN];
	struct hello h = { .generation = 7, .initial_window = 1,
	    .max_streams = 1 };
	struct noise *state;
	uint8_t out[HELLO_MAX];
	size_t len;

	CU_ASSERT_EQUAL_FATAL(hello_start(&state, &t.device, t.keys.pub, id,
	    &h, out, &len), 0);
	noise_free(state);
	post(fd, out, len);
}

static void make_session(int fd)
{
	static const struct session_ops ops = { ignore_open, ignore_wake,
	    ignore_close };
	static const uint8_t id[RECORD_ID_LEN];
	struct hello h = { .generation = 1, .initial_window = 1 << 20,
	    .max_streams = 9, .agent = "test" };
	struct hello_answer a;
	struct hello_keys k;
	struct session_config c;
	struct noise *state;
	uint8_t out[HELLO_MAX];
	size_t len;

	CU_ASSERT_EQUAL_FATAL(hello_start(&state, &t.device, t.keys.pub, id,
	    &h, out, &len), 0);
	post(fd, out, len);
	CU_ASSERT_TRUE_FATAL(receive(fd, false));
	CU_ASSERT_EQUAL_FATAL(hello_finish(state, (uint8_t *)body_of(),
	    t.in_len - (size_t)(body_of() - t.in), &a, &k), 0);
	CU_ASSERT_EQUAL_FATAL(a.status, HELLO_CREATED);
	noise_free(state);
	session_defaults(&c, true);
	c.initial_window = 1 << 20;
	CU_ASSERT_EQUAL_FATAL(session_new(&t.client, id, &c, &ops, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(session_keys(t.client, 1, k.from_client,
	    k.from_gateway, true), 0);
	session_peer(t.client, a.initial_window, a.max_streams);
}

/* The records of an exchange that may be held; how many bytes. */
static size_t make_records(uint64_t lane, uint64_t hold_ms, uint8_t *out,
    size_t room)
{
	struct session_fill f = { .lane = lane, .exchange = ++t.exchange,
	    .take = TAKE_ALL, .head = true, .ack = true,
	    .hold_ms = hold_ms, .keep = 1 };
	bool ended;

	session_lane_begin(t.client, lane, t.exchange);
	return session_fill(t.client, &f, out, room, 1, &ended);
}

static void post_records_on(int fd, uint64_t lane, uint64_t hold_ms)
{
	uint8_t out[4096];

	post(fd, out, make_records(lane, hold_ms, out, sizeof(out)));
}

static void post_records(int fd, uint64_t hold_ms)
{
	post_records_on(fd, 0, hold_ms);
}

/* The gateway's first PING is taken: now it has nothing more to say. */
static void make_idle_session(int fd)
{
	make_session(fd);
	post_records(fd, 0);
	CU_ASSERT_TRUE_FATAL(receive(fd, false));
}

static unsigned held(void)
{
	struct gate_stats stats;

	gate_get_stats(t.gate, &stats);
	return stats.held;
}

/* ---- the one 404 ------------------------------------------------------ */

static const char not_found[] = "HTTP/1.1 404 Not Found\r\n"
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\n"
    "Content-Type: text/html\r\nContent-Length: 86\r\n\r\n"
    "<html><head><title>404 Not Found</title></head>"
    "<body><h1>Not Found</h1></body></html>\n";

static void test_every_stranger_gets_the_same_404(void)
{
	static const char *const requests[] = {
		"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET /nrpc/" ID " HTTP/1.1\r\nHost: x\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
		"POST /nrpc/" ID " HTTP/1.1\r\nHost: x\r\n"
		    "Content-Length: 0\r\n\r\n",
		"POST /nrpc/" ID " HTTP/1.1\r\nHost: x\r\n"
		    "Content-Length: 7\r\n\r\ngarbage",
		"POST /nrpc/" ID " HTTP/1.1\r\nHost: x\r\n"
		    "Content-Length: 4\r\n\r\n\xf1\x01\xff\xff",
		"POST /nrpc/" ID " HTTP/1.1\r\nHost: x\r\n"
		    "Transfer-Encoding: chunked\r\n\r\n"
		    "3\r\nabc\r\n0\r\n\r\n",
		"POST /nrpc/" ID "?r= HTTP/1.1\r\nHost: x\r\n"
		    "Content-Length: 0\r\n\r\n",
		"POST /nrpc/" ID "?r HTTP/1.1\r\nHost: x\r\n"
		    "Content-Length: 0\r\n\r\n",
		"POST /nrpc/" ID "?r=garbage HTTP/1.1\r\nHost: x\r\n"
		    "Content-Length: 0\r\n\r\n",
		"POST /nrpc/" ID "?r=AQEAAAAAAAAA HTTP/1.1\r\nHost: x\r\n"
		    "Content-Length: 0\r\n\r\n",
		"POST /nrpc/" ID "?r=%01%00!&r=AA== HTTP/1.1\r\nHost: x\r\n"
		    "Content-Length: 0\r\n\r\n",
		"GET /nrpc/" ID "?r=AQEAAAAAAAAA HTTP/1.1\r\nHost: x\r\n\r\n",
		"POST /nrpc/" ID "x HTTP/1.1\r\nHost: x\r\n"
		    "Content-Length: 7\r\n\r\ngarbage",
		"POST /nrpc HTTP/1.1\r\nHost: x\r\n"
		    "Content-Length: 7\r\n\r\ngarbage",
		"PUT /nrpc/" ID " HTTP/1.1\r\nHost: x\r\n"
		    "Content-Length: 7\r\n\r\ngarbage",
		"DELETE /nrpc/" ID " HTTP/1.1\r\nHost: x\r\n\r\n",
		"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
		"BREW /pot HTTP/1.1\r\nHost: x\r\n\r\n",
	};
	int fd;

	set_up();
	fd = dial();		/* and the connection lives through all */
	for (size_t i = 0; i < sizeof(requests) / sizeof(*requests); i++) {
		send_text(fd, requests[i]);
		CU_ASSERT_TRUE_FATAL(receive(fd, false));
		blank_date();
		CU_ASSERT_STRING_EQUAL(t.in, not_found);
	}
	send_text(fd, "HEAD /nrpc/" ID " HTTP/1.1\r\nHost: x\r\n\r\n");
	CU_ASSERT_TRUE(receive(fd, true));
	blank_date();
	CU_ASSERT_EQUAL(strncmp(t.in, not_found, t.in_len), 0);
	close(fd);
	tear_down();
}

static void test_another_gateways_hello_gets_the_404_too(void)
{
	static const uint8_t id[RECORD_ID_LEN];
	struct hello h = { .generation = 1, .agent = "test" };
	struct noise_keys other;
	struct noise *state;
	uint8_t out[HELLO_MAX];
	size_t len;
	int fd;

	set_up();
	fd = dial();
	noise_keys_generate(&other);
	CU_ASSERT_EQUAL_FATAL(hello_start(&state, &t.device, other.pub, id, &h,
	    out, &len), 0);
	noise_free(state);
	post(fd, out, len);
	CU_ASSERT_TRUE_FATAL(receive(fd, false));
	blank_date();
	CU_ASSERT_STRING_EQUAL(t.in, not_found);
	close(fd);
	tear_down();
}

static void test_what_is_too_long_is_refused_alike(void)
{
	static const char *const paths[] = { "/nrpc/" ID, "/else" };
	static char first[512];
	char head[256];
	int fd;

	set_up();
	for (size_t i = 0; i < 2; i++) {
		fd = dial();
		snprintf(head, sizeof(head), "POST %s HTTP/1.1\r\n"
		    "Host: x\r\nContent-Length: %u\r\n\r\n", paths[i],
		    REQUEST_MAX + 1);
		send_text(fd, head);
		CU_ASSERT_TRUE_FATAL(receive(fd, false));
		blank_date();
		if (i == 0)
			memcpy(first, t.in, t.in_len);
		CU_ASSERT_EQUAL(memcmp(first, t.in, t.in_len), 0);
		CU_ASSERT_PTR_NOT_NULL(strstr(t.in, "404"));
		close(fd);
	}
	tear_down();
}

static void test_a_body_without_end_is_cut_off(void)
{
	static const char *const paths[] = { "/nrpc/" ID, "/else" };
	static char chunk[10000];
	char head[256];
	int fd;

	set_up();
	for (size_t i = 0; i < 2; i++) {
		fd = dial();
		snprintf(head, sizeof(head), "POST %s HTTP/1.1\r\nHost: x\r\n"
		    "Transfer-Encoding: chunked\r\n\r\n", paths[i]);
		send_text(fd, head);
		for (int n = 0; n < 12; n++) {
			send_text(fd, "2710\r\n");
			send_all(fd, chunk, sizeof(chunk));
			send_text(fd, "\r\n");
		}
		CU_ASSERT_FALSE(receive(fd, false));
		close(fd);
	}
	tear_down();
}

/* ---- strangers -------------------------------------------------------- */

/* A head whose body does not come, as a proxy forwards it for `from`. */
static int begin_from(const char *from)
{
	char head[256];
	int fd = dial();

	snprintf(head, sizeof(head), "POST /nrpc/" ID " HTTP/1.1\r\n"
	    "Host: x\r\nX-Forwarded-For: 192.0.2.99\r\n"
	    "X-Forwarded-For: 192.0.2.98, %s\r\n"
	    "Content-Length: 100\r\n\r\n", from);
	send_text(fd, head);
	turns(3);
	return fd;
}

/* Is it closed, after a 404 or without one? */
static bool is_closed(int fd)
{
	char byte[512];
	ssize_t n;

	while ((n = recv(fd, byte, sizeof(byte), MSG_DONTWAIT)) > 0)
		;
	return n == 0 || errno != EAGAIN;
}

static void test_strangers_of_a_proxy_are_told_apart(void)
{
	int fds[4];

	set_limits();
	t.sources.max_strangers = 2;
	start();
	fds[0] = begin_from("192.0.2.1");
	fds[1] = begin_from("\"[2001:db8::1]:443\"");
	fds[2] = begin_from("192.0.2.1:4711");
	CU_ASSERT_FALSE(is_closed(fds[2]));
	fds[3] = begin_from("192.0.2.1");
	CU_ASSERT_TRUE(receive(fds[3], false));
	CU_ASSERT_PTR_NOT_NULL(strstr(t.in, "404"));
	close(fds[3]);
	fds[3] = begin_from("192.0.2.2");
	turns(10);
	CU_ASSERT_FALSE(is_closed(fds[3]));
	/* A place is free again when its request is over. */
	close(fds[0]);
	turns(20);
	fds[0] = begin_from("192.0.2.1");
	turns(10);
	CU_ASSERT_FALSE(is_closed(fds[0]));
	for (int i = 0; i < 4; i++)
		close(fds[i]);
	tear_down();
}

static void test_without_a_proxy_connections_count(void)
{
	int fds[3];

	set_limits();
	t.sources.max_strangers = 2;
	t.proxies.count = 0;
	start();
	for (int i = 0; i < 3; i++)
		fds[i] = dial();
	turns(20);
	CU_ASSERT_FALSE(is_closed(fds[0]));
	CU_ASSERT_FALSE(is_closed(fds[1]));
	CU_ASSERT_TRUE(is_closed(fds[2]));
	close(fds[2]);
	/* Who is known takes no stranger's place, for the whole connection. */
	make_idle_session(fds[0]);
	CU_ASSERT_STRING_NOT_EQUAL(t.peer, "10.1.2.3,\\x20\\x22evil");
	fds[2] = dial();
	turns(20);
	CU_ASSERT_FALSE(is_closed(fds[2]));
	for (int i = 0; i < 3; i++)
		close(fds[i]);
	tear_down();
}

static void test_one_beyond_the_limit_waits_for_its_turn(void)
{
	int fds[CONNECTIONS_MAX], late;

	set_up();
	for (unsigned i = 0; i < CONNECTIONS_MAX; i++)
		fds[i] = dial();
	late = dial();
	send_text(late, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
	turns(20);
	CU_ASSERT_EQUAL(recv(late, t.in, 1, MSG_DONTWAIT), -1);
	close(fds[0]);
	CU_ASSERT_TRUE(receive(late, false));
	for (unsigned i = 1; i < CONNECTIONS_MAX; i++)
		close(fds[i]);
	close(late);
	tear_down();
}

static void test_a_held_request_is_no_stranger(void)
{
	int fds[2];

	set_limits();
	t.sources.max_strangers = 1;
	t.proxies.count = 0;
	start();
	fds[0] = dial();
	make_idle_session(fds[0]);
	post_records(fds[0], 20000);
	turns(20);
	CU_ASSERT_EQUAL(held(), 1);
	fds[1] = dial();
	turns(20);
	CU_ASSERT_FALSE(is_closed(fds[1]));
	close(fds[0]);
	close(fds[1]);
	tear_down();
}

static void test_hellos_beyond_the_rate_get_the_404(void)
{
	struct gate_stats stats;
	int fd;

	set_limits();
	t.sources.hello_rate = t.sources.hello_burst = 1;
	t.proxies.count = 0;
	start();
	fd = dial();
	make_session(fd);
	post(fd, "\xf1\x01\x00\x60", 4);	/* no whole hello: does not count */
	CU_ASSERT_TRUE_FATAL(receive(fd, false));
	gate_get_stats(t.gate, &stats);
	CU_ASSERT_EQUAL(stats.limited, 0);
	post_hello(fd);
	CU_ASSERT_TRUE_FATAL(receive(fd, false));
	blank_date();
	CU_ASSERT_STRING_EQUAL(t.in, not_found);
	gate_get_stats(t.gate, &stats);
	CU_ASSERT_EQUAL(stats.limited, 1);
	post_records(fd, 0);			/* the session goes on */
	CU_ASSERT_TRUE(receive(fd, false));
	CU_ASSERT_PTR_NOT_NULL(strstr(t.in, "200 OK"));
	close(fd);
	tear_down();
}

/* Until it is closed, for so long; a byte every now and then. */
static bool is_cut_off(int fd, unsigned wait_ms, const char *trickle)
{
	for (unsigned i = 0; i < wait_ms / 20; i++) {
		if (is_closed(fd))
			return true;
		(void)send(fd, trickle, 1, MSG_DONTWAIT | MSG_NOSIGNAL);
		turns(40);
	}
	return is_closed(fd);
}

static void test_what_trickles_in_is_cut_off(void)
{
	int head, body, silent, idle;

	set_limits();
	t.request_ms = 500;
	start();
	silent = dial();
	head = dial();
	send_text(head, "POST /nrpc/" ID " HTTP/1.1\r\nX: ");
	body = begin_from("192.0.2.1");
	idle = dial();
	make_idle_session(idle);
	CU_ASSERT_TRUE(is_cut_off(body, 3000, "x"));
	CU_ASSERT_TRUE(is_cut_off(head, 1000, "x"));
	CU_ASSERT_TRUE(is_closed(silent));
	/* But not who has only nothing to say for a while, or is held. */
	CU_ASSERT_FALSE(is_closed(idle));
	post_records(idle, 20000);
	turns(3000);
	CU_ASSERT_EQUAL(held(), 1);
	close(head);
	close(body);
	close(silent);
	close(idle);
	tear_down();
}

/* ---- what stays open ------------------------------------------------- */

/* The next record of this exchange as a chunk; the first begins the request. */
static void send_record(int fd, uint64_t lane, bool first)
{
	struct session_fill f = { .lane = lane, .exchange = t.exchange,
	    .take = TAKE_QUICK, .head = first, .ack = true };
	uint8_t out[4096];
	char head[32];
	bool ended;
	size_t len;

	if (first)
		send_text(fd, "POST /nrpc/" ID " HTTP/1.1\r\nHost: x\r\n"
		    "X-Forwarded-For: 10.1.2.3\r\n"
		    "Transfer-Encoding: chunked\r\n\r\n");
	session_ping(t.client);
	len = session_fill(t.client, &f, out, sizeof(out), 1, &ended);
	snprintf(head, sizeof(head), "%zx\r\n", len);
	send_text(fd, head);
	send_all(fd, out, len);
	send_text(fd, "\r\n");
}

static void test_a_request_may_go_on_but_not_stand_still(void)
{
	struct stream *st;
	int fd, idle;

	set_limits();
	t.request_ms = 500;
	start();
	idle = dial();
	make_idle_session(idle);
	fd = dial();
	t.exchange++;
	session_lane_begin(t.client, 1, t.exchange);
	send_record(fd, 1, true);
	for (unsigned i = 0; i < 100; i++) {	/* two seconds at least */
		turns(40);
		send_record(fd, 1, false);
	}
	CU_ASSERT_FALSE(is_closed(fd));
	/* What is in it is taken at once. */
	CU_ASSERT_EQUAL(stream_open(t.client, "CN=Mail", &st), 0);
	stream_attach(st, &stream_ops, NULL);
	send_record(fd, 1, false);
	turns(10);
	CU_ASSERT_PTR_NOT_NULL(t.stream);
	for (unsigned i = 0; i < 150 && !is_closed(fd); i++)
		turns(40);
	CU_ASSERT_TRUE(is_closed(fd));
	close(fd);
	close(idle);
	tear_down();
}

/* The client takes so many bytes of records, the last of which *seen tells. */
static unsigned take_records(char *at, size_t left, struct session_seen *seen)
{
	unsigned records = 0;
	size_t len;

	for (; left > 0; at += len, left -= len, records++) {
		CU_ASSERT_EQUAL_FATAL(record_peek((uint8_t *)at, left, &len),
		    0);
		CU_ASSERT_EQUAL(session_receive(t.client, (uint8_t *)at, len,
		    1, seen), 0);
	}
	return records;
}

/*
 * Take what comes next of a chunked response; returns how many records. *over:
 * it was the end.
 */
static unsigned take_chunks(int fd, bool *over)
{
	struct session_seen seen;
	unsigned records = 0;
	size_t left;
	ssize_t n = 0;
	char *at;

	for (unsigned i = 0; i < 1000 && n <= 0; i++) {
		turns(4);
		n = recv(fd, t.in, IN_MAX - 1, MSG_DONTWAIT);
	}
	CU_ASSERT_FATAL(n > 0);
	t.in_len = (size_t)n;
	at = body_of();
	if (at == NULL)
		at = t.in;
	*over = false;
	while (at < t.in + t.in_len && !*over) {
		left = strtoul(at, &at, 16);
		*over = left == 0;
		records += take_records(at + 2, left, &seen);
		at += 2 + left + 2;
	}
	return records;
}

static void test_a_response_may_last(void)
{
	struct stream *st;
	int down, other;
	bool over;

	set_up();
	other = dial();
	make_idle_session(other);
	CU_ASSERT_EQUAL(stream_open(t.client, "CN=Mail", &st), 0);
	stream_attach(st, &stream_ops, NULL);
	post_records(other, 0);
	CU_ASSERT_TRUE(receive(other, false));
	down = dial();
	post_records_on(down, 1, SESSION_LASTING + 20000);
	CU_ASSERT_EQUAL(take_chunks(down, &over), 1);		/* a PING */
	post_records(other, 0);				/* acknowledged */
	CU_ASSERT_TRUE(receive(other, false));
	for (unsigned i = 0; i < 3; i++) {
		CU_ASSERT_EQUAL(stream_write(t.stream, "news", 4), 4);
		CU_ASSERT_EQUAL(take_chunks(down, &over), 1);
	}
	CU_ASSERT_FALSE(over);
	/* It is let go when the gateway goes. */
	gate_let_go(t.gate, true);
	(void)take_chunks(down, &over);
	CU_ASSERT_TRUE(over);
	close(down);
	close(other);
	tear_down();
}

/* ---- exchanges -------------------------------------------------------- */

static void test_a_session_is_admitted_and_knows_its_peer(void)
{
	int fd;

	set_up();
	fd = dial();
	make_session(fd);
	CU_ASSERT_PTR_NOT_NULL(strstr(t.in, "200 OK"));
	CU_ASSERT_PTR_NOT_NULL(strstr(t.in,
	    "Content-Type: application/octet-stream\r\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(t.in, "X-Accel-Buffering: no\r\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(t.in,
	    "Cache-Control: no-store, no-transform\r\n"));
	post_records(fd, 0);
	CU_ASSERT_TRUE(receive(fd, false));
	CU_ASSERT_STRING_EQUAL(t.peer, "10.1.2.3,\\x20\\x22evil");
	close(fd);
	tear_down();
}

/* A request of an idle session's, sent so, opens a stream and is held. */
static void hold_and_answer(void (*send_records)(int fd, const void *records,
    size_t len))
{
	uint8_t records[4096];
	struct stream *st;
	int fd;

	set_up();
	fd = dial();
	make_idle_session(fd);
	CU_ASSERT_EQUAL(stream_open(t.client, "CN=A", &st), 0);
	send_records(fd, records, make_records(0, 20000, records,
	    sizeof(records)));
	turns(50);
	CU_ASSERT_EQUAL(held(), 1);
	CU_ASSERT_EQUAL(recv(fd, t.in, 1, MSG_DONTWAIT), -1);
	CU_ASSERT_PTR_NOT_NULL_FATAL(t.stream);
	CU_ASSERT_EQUAL(stream_write(t.stream, "hello", 5), 5);
	CU_ASSERT_TRUE(receive(fd, false));
	CU_ASSERT_PTR_NOT_NULL(strstr(t.in, "HTTP/1.1 200"));
	CU_ASSERT_PTR_NOT_NULL(strstr(t.in, "Content-Length: "));
	CU_ASSERT_PTR_NULL(strstr(t.in, "Connection: close\r\n"));
	CU_ASSERT_EQUAL(held(), 0);
	close(fd);
	tear_down();
}

static void test_a_request_is_held_until_there_is_something(void)
{
	hold_and_answer(post);
}

static void test_records_come_in_a_query_as_well(void)
{
	hold_and_answer(post_query);
}

static void test_too_long_a_query_gets_the_404(void)
{
	char head[1024];
	int fd;

	set_up();
	fd = dial();
	snprintf(head, sizeof(head), "POST /nrpc/" ID "?r=%0*d HTTP/1.1\r\n"
	    "Host: x\r\nContent-Length: 0\r\n\r\n",
	    (int)CRYPTO_BASE64URL_LEN(CRYPTO_BASE64_MAX) + 1, 0);
	send_text(fd, head);
	CU_ASSERT_TRUE_FATAL(receive(fd, false));
	blank_date();
	CU_ASSERT_STRING_EQUAL(t.in, not_found);
	close(fd);
	tear_down();
}

/* One response after which a web server's next request finds less memory. */
static void test_a_quiet_time_ends_a_web_servers_connection(void)
{
	uint64_t start_ms;
	int fd;

	set_up();
	t.forwarded = "203.0.113.9";
	fd = dial();
	make_idle_session(fd);
	CU_ASSERT_PTR_NULL(strstr(t.in, "Connection: close\r\n"));
	start_ms = uv_now(&t.loop);
	post_records(fd, 5500);
	while (uv_now(&t.loop) - start_ms < 5400)
		turns(10);
	CU_ASSERT_TRUE(receive(fd, false));
	CU_ASSERT_PTR_NOT_NULL(strstr(t.in, "Connection: close\r\n"));
	close(fd);
	tear_down();
}

#define LONG_ANSWER 50000u	/* bytes: as many as go unacknowledged */

/* A new session's exchange is to be answered with so much of a stream. */
static struct stream *begin_long_answer(int fd)
{
	static char data[LONG_ANSWER];
	struct stream *st;

	make_idle_session(fd);
	CU_ASSERT_EQUAL_FATAL(stream_open(t.client, "CN=A", &st), 0);
	stream_attach(st, &stream_ops, NULL);
	post_records(fd, 20000);
	turns(20);
	CU_ASSERT_PTR_NOT_NULL_FATAL(t.stream);
	CU_ASSERT_EQUAL(stream_write(t.stream, data, sizeof(data)),
	    sizeof(data));
	return st;
}

static void test_a_long_answer_streams(void)
{
	int fd;

	set_up();
	fd = dial();
	(void)begin_long_answer(fd);
	CU_ASSERT_TRUE(receive(fd, false));
	CU_ASSERT_PTR_NOT_NULL(strstr(t.in, "Transfer-Encoding: chunked"));
	CU_ASSERT_TRUE(t.in_len > LONG_ANSWER);
	post_records(fd, 0);		/* and the connection goes on */
	CU_ASSERT_TRUE(receive(fd, false));
	close(fd);
	tear_down();
}

/* Collect what comes until the connection ends, at most for a second. */
static bool receive_all(int fd)
{
	ssize_t n = -1;

	t.in_len = 0;
	for (int i = 0; i < 1000 && n != 0; i++) {
		n = recv(fd, t.in + t.in_len, IN_MAX - 1 - t.in_len,
		    MSG_DONTWAIT);
		if (n > 0)
			t.in_len += (size_t)n;
		turns(1);
	}
	return n == 0;
}

static void test_a_web_server_here_gets_no_chunks(void)
{
	static uint8_t data[2 * LONG_ANSWER];
	struct session_seen seen = { .has_end = false };
	struct stream *st;
	char *body;
	int fd;

	set_up();
	t.forwarded = "203.0.113.9";
	fd = dial();
	st = begin_long_answer(fd);
	CU_ASSERT_TRUE(receive_all(fd));
	CU_ASSERT_PTR_NULL(strstr(t.in, "Transfer-Encoding"));
	CU_ASSERT_PTR_NOT_NULL(strstr(t.in, "Connection: close\r\n"));
	body = body_of();
	CU_ASSERT_PTR_NOT_NULL_FATAL(body);
	take_records(body, (size_t)(t.in + t.in_len - body), &seen);
	CU_ASSERT_TRUE(seen.has_end);
	CU_ASSERT_EQUAL(stream_copy(st, data, sizeof(data)), LONG_ANSWER);
	close(fd);
	tear_down();
}

static void test_a_client_that_leaves_is_noticed_at_once(void)
{
	struct gate_stats stats;
	int fd;

	set_up();
	fd = dial();
	make_idle_session(fd);
	post_records(fd, 20000);
	turns(20);
	CU_ASSERT_EQUAL(held(), 1);
	close(fd);
	turns(20);
	CU_ASSERT_EQUAL(held(), 0);
	gate_get_stats(t.gate, &stats);
	CU_ASSERT_EQUAL(stats.exchanges, 0);
	tear_down();
}

/* What the gateway gets all at once; true when it closes in a second. */
static bool is_closed_after(const void *data, size_t len)
{
	int fd = dial();
	bool closed = false;
	char byte;

	CU_ASSERT_EQUAL_FATAL(send(fd, data, len, MSG_NOSIGNAL), len);
	CU_ASSERT_EQUAL(shutdown(fd, SHUT_WR), 0);
	for (int i = 0; i < 1000 && !closed; i++) {
		turns(1);
		closed = recv(fd, &byte, 1, MSG_DONTWAIT) == 0;
	}
	close(fd);
	return closed;
}

static void test_half_a_request_and_an_end_at_once_are_the_end(void)
{
	static char text[60000] = "POST /nrpc/" ID " HTTP/1.1\r\n"
	    "Host: x\r\nContent-Length: 70000\r\n\r\n";
	size_t head = strlen(text);

	set_up();
	CU_ASSERT_TRUE(is_closed_after(text, 10));
	CU_ASSERT_TRUE(is_closed_after(text, head));
	CU_ASSERT_TRUE(is_closed_after(text, head + 1));
	CU_ASSERT_TRUE(is_closed_after(text, sizeof(text)));
	tear_down();
}

static void test_the_end_lets_go_of_what_is_held(void)
{
	int fd;

	set_up();
	fd = dial();
	make_idle_session(fd);
	post_records(fd, 20000);
	turns(20);
	CU_ASSERT_EQUAL(held(), 1);
	tear_down();
	close(fd);
}

static void test_another_path_counts_from_the_next_request(void)
{
	struct endpoint_limits limits = limits_of("/other");
	int fd;

	set_up();
	fd = dial();
	make_session(fd);
	CU_ASSERT_EQUAL(endpoint_reconfigure(t.endpoint, &limits), 0);
	post_records(fd, 0);
	CU_ASSERT_TRUE(receive(fd, false));
	CU_ASSERT_PTR_NOT_NULL(strstr(t.in, "404"));
	close(fd);
	tear_down();
}

static void test_many_clients_are_held_side_by_side(void)
{
	int fds[30];

	set_up();
	for (int i = 0; i < 30; i++)
		fds[i] = dial();
	make_session(fds[0]);
	for (int i = 0; i < 30; i++) {
		post_records(fds[i], 20000);
		turns(2);
	}
	/* Each newer one of the lane lets the one before go. */
	for (int i = 0; i < 29; i++)
		CU_ASSERT_TRUE(receive(fds[i], false));
	CU_ASSERT_EQUAL(held(), 1);
	for (int i = 0; i < 30; i++)
		close(fds[i]);
	tear_down();
}

static struct sockaddr_un listen_unix(unsigned max_connections)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int listener;

	snprintf(sun.sun_path, sizeof(sun.sun_path),
	    "/tmp/test_server_endpoint.%ld", (long)getpid());
	CU_ASSERT_EQUAL_FATAL(net_listen_unix(sun.sun_path, 0600, 5,
	    &listener), 0);
	CU_ASSERT_EQUAL_FATAL(endpoint_listen(t.endpoint, listener,
	    max_connections, NULL), 0);
	return sun;
}

static int dial_unix(const struct sockaddr_un *sun)
{
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	CU_ASSERT_EQUAL_FATAL(connect(fd, (const void *)sun, sizeof(*sun)), 0);
	return fd;
}

static unsigned open_fds(void)
{
	unsigned count = 0;

	for (int fd = 0; fd < 1024; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

/* And they go when nobody needs them. */
static void test_so_many_that_there_are_several_daemons(void)
{
	struct sockaddr_un sun;
	int fds[5 * ENDPOINT_SHARD];
	const int count = 5 * ENDPOINT_SHARD;
	unsigned before;

	set_up();
	sun = listen_unix((unsigned)count);
	before = open_fds();
	for (int i = 0; i < count; i++) {
		fds[i] = dial_unix(&sun);
		turns(2);
	}
	CU_ASSERT_EQUAL(open_fds(), before + 2 * (unsigned)count + 4);
	make_session(fds[0]);
	for (int i = 0; i < count; i += count - 1) {
		post_records(fds[i], 20000);
		turns(2);
	}
	CU_ASSERT_TRUE(receive(fds[0], false));
	CU_ASSERT_EQUAL(held(), 1);
	for (int i = 0; i < count; i++)
		close(fds[i]);
	turns(20);
	CU_ASSERT_EQUAL(held(), 0);
	for (unsigned i = 0; i < 100 && open_fds() > before; i++)
		turns(40);
	CU_ASSERT_EQUAL(open_fds(), before);
	unlink(sun.sun_path);
	tear_down();
}

static void test_a_unix_socket_serves_as_well(void)
{
	struct sockaddr_un sun;
	int fd;

	set_up();
	sun = listen_unix(5);
	fd = dial_unix(&sun);
	make_idle_session(fd);
	post_records(fd, 20000);
	turns(20);
	CU_ASSERT_EQUAL(held(), 1);
	close(fd);
	turns(20);
	CU_ASSERT_EQUAL(held(), 0);
	unlink(sun.sun_path);
	tear_down();
}

int main(void)
{
	static const struct unit_test tests[] = {
		{ "every stranger gets the same 404",
		  test_every_stranger_gets_the_same_404 },
		{ "another gateway's hello gets the 404, too",
		  test_another_gateways_hello_gets_the_404_too },
		{ "what is too long is refused alike",
		  test_what_is_too_long_is_refused_alike },
		{ "a body without end is cut off",
		  test_a_body_without_end_is_cut_off },
		{ "strangers of a proxy are told apart",
		    test_strangers_of_a_proxy_are_told_apart },
		{ "without a proxy connections count",
		    test_without_a_proxy_connections_count },
		{ "one beyond the limit waits for its turn",
		    test_one_beyond_the_limit_waits_for_its_turn },
		{ "a held request is no stranger",
		    test_a_held_request_is_no_stranger },
		{ "hellos beyond the rate get the 404",
		    test_hellos_beyond_the_rate_get_the_404 },
		{ "what trickles in is cut off",
		    test_what_trickles_in_is_cut_off },
		{ "a request may go on, but not stand still",
		    test_a_request_may_go_on_but_not_stand_still },
		{ "a response may last", test_a_response_may_last },
		{ "a session is admitted and knows its peer",
		  test_a_session_is_admitted_and_knows_its_peer },
		{ "a request is held until there is something",
		  test_a_request_is_held_until_there_is_something },
		{ "records come in a query as well",
		    test_records_come_in_a_query_as_well },
		{ "too long a query gets the 404",
		    test_too_long_a_query_gets_the_404 },
		{ "a quiet time ends a web server's connection",
		    test_a_quiet_time_ends_a_web_servers_connection },
		{ "a long answer streams", test_a_long_answer_streams },
		{ "a web server on this machine gets no chunks",
		  test_a_web_server_here_gets_no_chunks },
		{ "a client that leaves is noticed at once",
		  test_a_client_that_leaves_is_noticed_at_once },
		{ "half a request and an end at once are the end",
		  test_half_a_request_and_an_end_at_once_are_the_end },
		{ "the end lets go of what is held",
		  test_the_end_lets_go_of_what_is_held },
		{ "another path counts from the next request",
		  test_another_path_counts_from_the_next_request },
		{ "many clients are held side by side",
		  test_many_clients_are_held_side_by_side },
		{ "so many that there are several daemons",
		  test_so_many_that_there_are_several_daemons },
		{ "a unix socket serves as well",
		  test_a_unix_socket_serves_as_well },
		{ NULL, NULL }
	};

	return unit_main(tests);
}
