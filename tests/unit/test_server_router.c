/*
 * The router, and with it the connecting to Domino, between a client's session
 * whose records are carried by hand and real sockets on loopback.
 */
#include "config.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <uv.h>

#include "common/err.h"
#include "common/log.h"
#include "common/nrpc.h"
#include "server/domino.h"
#include "server/router.h"
#include "tests/unit/ignore.h"
#include "tests/unit/unit.h"

#define MAIL1 "CN=Mail1/O=Acme"
#define MAIL2 "CN=Mail2/O=Acme"

static struct {
	uv_loop_t loop;
	struct router *router;
	struct router_rules rules;
	struct router_owner owner;
	struct servers *servers;
	struct devices *devices;
	struct session *gateway, *client;
	uint64_t now_ms;
	struct stream *stream;		/* the client's; NULL once reset */
	uint64_t code;			/* of that reset */
	int mail1, mail2;		/* listening sockets */
	uint16_t port1, port2;
	char log[4096];
} t;

/* ---- the two sessions ------------------------------------------------- */

static void on_open(void *ctx, struct stream *st, const char *name,
    size_t name_len)
{
	(void)ctx;
	router_open(t.router, &t.owner, st, name, name_len);
}

static void ignore(void *ctx)
{
	(void)ctx;
}

static void on_close(void *ctx, uint64_t code, const char *text)
{
	(void)ctx;
	(void)code;
	(void)text;
}

static void on_stream(void *user, struct stream *st)
{
	(void)user;
	(void)st;
}

static void on_reset(void *user, struct stream *st, uint64_t code)
{
	(void)user;
	(void)st;
	t.stream = NULL;
	t.code = code;
}

static const struct session_ops session_ops = { on_open, ignore, on_close };
static const struct stream_ops stream_ops = { on_stream, on_stream,
    on_reset };

static void carry(struct session *from, struct session *to)
{
	static uint8_t out[65536];
	struct session_fill fill = { .exchange = 1, .take = TAKE_ALL,
	    .ack = true };
	struct session_seen seen;
	bool ended;
	size_t len, one;

	len = session_fill(from, &fill, out, sizeof(out), t.now_ms, &ended);
	for (size_t at = 0; at < len; at += one) {
		CU_ASSERT_EQUAL_FATAL(record_peek(out + at, len - at, &one),
		    0);
		CU_ASSERT_EQUAL_FATAL(session_receive(to, out + at, one,
		    t.now_ms, &seen), 0);
	}
}

static void turn(void)
{
	t.now_ms++;
	carry(t.client, t.gateway);
	carry(t.gateway, t.client);
	uv_run(&t.loop, UV_RUN_NOWAIT);
	usleep(1000);
}

static void turns(unsigned count)
{
	while (count-- > 0)
		turn();
}

static void make_session(struct session **out, bool is_client)
{
	static const uint8_t id[RECORD_ID_LEN] = { 1 };
	static const uint8_t up[32] = { 2 }, down[32] = { 3 };
	struct session_config c;

	session_defaults(&c, is_client);
	CU_ASSERT_EQUAL_FATAL(session_new(out, id, &c, &session_ops, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(session_keys(*out, 1, is_client ? up : down,
	    is_client ? down : up, true), 0);
	session_peer(*out, c.initial_window, c.max_streams);
	session_lane_begin(*out, 0, 1);
}

/* ---- set-up ----------------------------------------------------------- */

static int listen_on_loopback(int backlog, uint16_t *port)
{
	struct sockaddr_in sin = { .sin_family = AF_INET };
	socklen_t len = sizeof(sin);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	CU_ASSERT_EQUAL_FATAL(bind(fd, (void *)&sin, sizeof(sin)), 0);
	CU_ASSERT_EQUAL_FATAL(listen(fd, backlog), 0);
	CU_ASSERT_EQUAL_FATAL(getsockname(fd, (void *)&sin, &len), 0);
	*port = ntohs(sin.sin_port);
	return fd;
}

/* A port where nobody listens. */
static uint16_t closed_port(void)
{
	uint16_t port;

	close(listen_on_loopback(1, &port));
	return port;
}

static struct server *add_server(const char *name, const char *host,
    uint16_t port)
{
	struct net_host address = { .port = port };
	struct server *server;

	CU_ASSERT_EQUAL_FATAL(servers_add(t.servers, name, &server), 0);
	snprintf(address.host, sizeof(address.host), "%s", host);
	CU_ASSERT_EQUAL_FATAL(servers_add_address(server, &address), 0);
	return server;
}

static void on_line(void *ctx, enum log_level level, const char *line)
{
	size_t used = strlen(t.log);

	(void)ctx;
	(void)level;
	snprintf(t.log + used, sizeof(t.log) - used, "%s\n", line);
}

static void set_up(void)
{
	struct device al = { .name = "al", .key = { 7 } };

	memset(&t, 0, sizeof(t));
	log_set_sink(on_line, NULL);
	CU_ASSERT_EQUAL_FATAL(uv_loop_init(&t.loop), 0);
	t.mail1 = listen_on_loopback(5, &t.port1);
	t.mail2 = listen_on_loopback(5, &t.port2);
	t.servers = servers_new();
	add_server(MAIL1, "127.0.0.1", t.port1);
	add_server(MAIL2, "localhost", t.port2);
	t.devices = devices_new();
	CU_ASSERT_EQUAL_FATAL(devices_add(t.devices, &al), 0);
	CU_ASSERT_EQUAL_FATAL(devices_add_server(t.devices, MAIL1), 0);
	CU_ASSERT_EQUAL_FATAL(devices_add_server(t.devices, MAIL2), 0);
	t.rules = (struct router_rules){ t.servers, t.devices, MAIL1, 60000,
	    1000, 1000 };
	t.owner = (struct router_owner){ "session", "al", { 7 } };
	CU_ASSERT_EQUAL_FATAL(router_new(&t.router, &t.loop, &t.rules,
	    ignore_wake, NULL), 0);
	make_session(&t.gateway, false);
	make_session(&t.client, true);
}

static void tear_down(void)
{
	session_close(t.gateway, SESSION_SHUTDOWN, "the test is over");
	router_free(t.router);
	session_free(t.gateway);
	session_free(t.client);
	uv_run(&t.loop, UV_RUN_DEFAULT);
	CU_ASSERT_EQUAL(uv_loop_close(&t.loop), 0);
	servers_free(t.servers);
	devices_free(t.devices);
	close(t.mail1);
	close(t.mail2);
	log_set_sink(NULL, NULL);
}

/* ---- what the ends do ------------------------------------------------- */

static void open_stream(const char *name)
{
	CU_ASSERT_EQUAL_FATAL(stream_open(t.client, name, &t.stream), 0);
	stream_attach(t.stream, &stream_ops, NULL);
}

static void say(const void *data, size_t len)
{
	CU_ASSERT_EQUAL(stream_write(t.stream, data, len), len);
}

/* nmap's probe with a server's name behind it, as a Notes client adds one. */
static size_t named_packet(const char *name, uint8_t out[256])
{
	size_t len = strlen(name), total = sizeof(nrpc_probe) + 2 + len;

	memset(out, 0, 256);
	memcpy(out, nrpc_probe, sizeof(nrpc_probe));
	out[sizeof(nrpc_probe)] = (uint8_t)len;
	memcpy(out + sizeof(nrpc_probe) + 2, name, len);
	total += total % 2;
	out[0] = (uint8_t)(total - 2);
	out[4] = (uint8_t)(total - 12);
	return total;
}

/* The listening socket's next connection, or -1 after a while. */
static int accepted(int listener)
{
	for (int i = 0; i < 300; i++) {
		int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);

		if (fd >= 0)
			return fd;
		turn();
	}
	return -1;
}

static void expect_connection(int listener, const void *data, size_t len)
{
	int fd = accepted(listener);
	uint8_t in[512];

	CU_ASSERT_TRUE_FATAL(fd >= 0);
	turns(20);
	CU_ASSERT_EQUAL(recv(fd, in, sizeof(in), 0), (ssize_t)len);
	CU_ASSERT_EQUAL(memcmp(in, data, len), 0);
	close(fd);
}

static void expect_reset(uint64_t code, const char *reason)
{
	for (int i = 0; i < 600 && t.stream != NULL; i++)
		turn();
	CU_ASSERT_PTR_NULL(t.stream);
	CU_ASSERT_EQUAL(t.code, code);
	if (strstr(t.log, reason) == NULL)
		printf("# log: %s\n", t.log);
	CU_ASSERT_PTR_NOT_NULL(strstr(t.log, reason));
}

/* ---- routing ---------------------------------------------------------- */

static void test_a_name_leads_to_its_server_at_once(void)
{
	int fd;

	set_up();
	open_stream("cn=mail2/o=acme");
	fd = accepted(t.mail2);
	CU_ASSERT_TRUE(fd >= 0);
	turns(5);
	CU_ASSERT_PTR_NOT_NULL(strstr(t.log,
	    "stream open session=session device=al stream=0 server=\"" MAIL2));
	close(fd);
	tear_down();
}

static void test_the_first_packet_tells_the_server_at_any_cut(void)
{
	uint8_t packet[256];
	size_t len;

	set_up();
	open_stream(NULL);
	len = named_packet(MAIL2, packet);
	for (size_t i = 0; i < len; i++) {
		say(packet + i, 1);
		turn();
	}
	expect_connection(t.mail2, packet, len);
	tear_down();
}

static void test_no_name_leads_to_the_default(void)
{
	set_up();
	open_stream(NULL);
	say(nrpc_probe, sizeof(nrpc_probe));
	expect_connection(t.mail1, nrpc_probe, sizeof(nrpc_probe));
	tear_down();
}

static void test_no_name_and_no_default_is_refused(void)
{
	set_up();
	t.rules.default_server = NULL;
	router_update(t.router, &t.rules);
	open_stream(NULL);
	say(nrpc_probe, sizeof(nrpc_probe));
	expect_reset(STREAM_NO_SERVER, "reason=not-listed");
	tear_down();
}

static void test_an_unlisted_name_is_refused(void)
{
	uint8_t packet[256];

	set_up();
	open_stream(NULL);
	say(packet, named_packet("CN=Mail9/O=Acme", packet));
	expect_reset(STREAM_NO_SERVER,
	    "reason=not-listed name=\"CN=Mail9/O=Acme\"");
	open_stream("CN=\x01\"x");
	expect_reset(STREAM_NO_SERVER, "name=\"CN=\\x01\\x22x\"");
	tear_down();
}

static void test_a_server_not_allowed_is_refused(void)
{
	struct device bo = { .name = "bo", .key = { 8 } };

	set_up();
	CU_ASSERT_EQUAL(devices_add(t.devices, &bo), 0);
	CU_ASSERT_EQUAL(devices_add_server(t.devices, MAIL2), 0);
	t.owner.key[0] = 8;
	open_stream(MAIL1);
	expect_reset(STREAM_NOT_ALLOWED, "reason=not-allowed");
	t.owner.key[0] = 9;		/* a device that has gone */
	open_stream(MAIL1);
	expect_reset(STREAM_NOT_ALLOWED, "reason=not-allowed");
	CU_ASSERT_EQUAL(accept(t.mail1, NULL, NULL), -1);
	tear_down();
}

static void test_other_protocols_are_refused(void)
{
	static const char http[] = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
	static const char nonsense[] = "\xff\xff\xff\xff nonsense \xff\xff\xff";

	set_up();
	open_stream(NULL);
	say(http, strlen(http));
	expect_reset(STREAM_NOT_NRPC, "reason=not-nrpc name=\"http\"");
	open_stream(NULL);
	say("SSH-2.0-x\r\n", 11);
	expect_reset(STREAM_NOT_NRPC, "name=\"ssh\"");
	open_stream(NULL);
	say(nonsense, strlen(nonsense));
	expect_reset(STREAM_MALFORMED, "reason=malformed");
	CU_ASSERT_EQUAL(accept(t.mail1, NULL, NULL), -1);
	tear_down();
}

static void test_a_silent_stream_ends_after_its_deadline(void)
{
	set_up();
	t.rules.first_bytes_ms = 50;
	router_update(t.router, &t.rules);
	open_stream(NULL);
	say(nrpc_probe, 7);
	expect_reset(STREAM_IDLE, "reason=idle");
	tear_down();
}

static void test_a_stream_that_says_nothing_ends_well(void)
{
	set_up();
	open_stream(NULL);
	stream_finish(t.stream);
	turns(10);
	CU_ASSERT_TRUE(stream_at_end(t.stream));
	stream_release(t.stream);
	CU_ASSERT_PTR_NOT_NULL(strstr(t.log, "why=end"));
	turns(5);
	CU_ASSERT_TRUE(session_is_idle(t.gateway));
	tear_down();
}

static void test_refusals_do_not_fill_the_log(void)
{
	unsigned lines = 0;

	set_up();
	for (int i = 0; i < 60; i++) {
		open_stream("CN=Nobody");
		turns(2);
	}
	for (const char *p = t.log; (p = strstr(p, "refused")) != NULL; p++)
		lines++;
	CU_ASSERT_EQUAL(lines, 20);
	tear_down();
}

/* ---- connecting ------------------------------------------------------- */

static void test_a_refusing_server_is_a_reset(void)
{
	set_up();
	add_server("CN=Down", "127.0.0.1", closed_port());
	CU_ASSERT_EQUAL(devices_add_server(t.devices, "CN=Down"), 0);
	open_stream("CN=Down");
	expect_reset(STREAM_CONNECT_REFUSED,
	    "error=\"connection refused\"");
	CU_ASSERT_PTR_NOT_NULL(strstr(t.log,
	    "connect failed server=\"CN=Down\" address=127.0.0.1:"));
	tear_down();
}

static void test_the_next_address_is_tried(void)
{
	struct net_host second = { .host = "127.0.0.1" };
	struct server *server;
	int fd;

	set_up();
	server = add_server("CN=Two", "127.0.0.1", closed_port());
	second.port = t.port2;
	CU_ASSERT_EQUAL(servers_add_address(server, &second), 0);
	CU_ASSERT_EQUAL(devices_add_server(t.devices, "CN=Two"), 0);
	open_stream("CN=Two");
	fd = accepted(t.mail2);
	CU_ASSERT_TRUE(fd >= 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(t.log, "connect failed"));
	close(fd);
	tear_down();
}

/* A listener whose queue is full answers nothing any more. */
static int fill_up(uint16_t *port, int fillers[4])
{
	struct sockaddr_in sin = { .sin_family = AF_INET };
	int fd = listen_on_loopback(0, port);

	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	sin.sin_port = htons(*port);
	for (int i = 0; i < 4; i++) {
		fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		(void)connect(fillers[i], (void *)&sin, sizeof(sin));
	}
	return fd;
}

static void test_a_dead_address_leaves_time_for_the_next(void)
{
	struct net_host second = { .host = "127.0.0.1" };
	struct server *server;
	int fillers[4], full, fd;
	uint16_t port;
	uint64_t began;

	set_up();
	full = fill_up(&port, fillers);
	server = add_server("CN=Two", "127.0.0.1", port);
	server->connect_ms = 400;
	second.port = t.port2;
	CU_ASSERT_EQUAL(servers_add_address(server, &second), 0);
	CU_ASSERT_EQUAL(devices_add_server(t.devices, "CN=Two"), 0);
	began = uv_hrtime() / 1000000;
	open_stream("CN=Two");
	fd = accepted(t.mail2);
	CU_ASSERT_TRUE(fd >= 0);
	CU_ASSERT_TRUE(uv_hrtime() / 1000000 - began >= 190);
	CU_ASSERT_PTR_NOT_NULL(strstr(t.log,
	    "error=\"connection timed out\""));
	close(fd);
	close(full);
	for (int i = 0; i < 4; i++)
		close(fillers[i]);
	tear_down();
}

static void test_a_server_that_does_not_answer_times_out(void)
{
	struct server *server;
	int fillers[4], full;
	uint16_t port;

	set_up();
	full = fill_up(&port, fillers);
	server = add_server("CN=Dead", "127.0.0.1", port);
	server->connect_ms = 150;
	CU_ASSERT_EQUAL(devices_add_server(t.devices, "CN=Dead"), 0);
	open_stream("CN=Dead");
	expect_reset(STREAM_CONNECT_TIMEOUT, "reason=connect-timeout");
	close(full);
	for (int i = 0; i < 4; i++)
		close(fillers[i]);
	tear_down();
}

static void test_a_name_that_does_not_resolve_is_a_reset(void)
{
	set_up();
	add_server("CN=Lost", "no..such..name", 1352);
	CU_ASSERT_EQUAL(devices_add_server(t.devices, "CN=Lost"), 0);
	open_stream("CN=Lost");
	expect_reset(STREAM_CONNECT_FAILED, "address=no..such..name");
	tear_down();
}

static void test_a_stream_may_go_while_connecting(void)
{
	int fillers[4], full;
	uint16_t port;

	set_up();
	full = fill_up(&port, fillers);
	add_server("CN=Dead", "127.0.0.1", port);
	CU_ASSERT_EQUAL(devices_add_server(t.devices, "CN=Dead"), 0);
	open_stream("CN=Dead");
	turns(5);
	stream_reset(t.stream, STREAM_PEER_RESET);
	open_stream(MAIL2);		/* a lookup is under way */
	turn();
	turns(5);
	CU_ASSERT_PTR_NOT_NULL(strstr(t.log, "stream close"));
	close(full);
	for (int i = 0; i < 4; i++)
		close(fillers[i]);
	tear_down();			/* and the session, with a lookup */
}

/* ---- other rules ------------------------------------------------------ */

static void test_a_lost_permission_resets_the_stream(void)
{
	struct device al = { .name = "al", .key = { 7 } };
	struct devices *fewer = devices_new();
	int fd;

	set_up();
	CU_ASSERT_EQUAL(devices_add(fewer, &al), 0);
	CU_ASSERT_EQUAL(devices_add_server(fewer, MAIL2), 0);
	open_stream(MAIL1);
	fd = accepted(t.mail1);
	CU_ASSERT_TRUE(fd >= 0);
	t.rules.devices = t.devices;
	router_update(t.router, &t.rules);
	turns(5);
	CU_ASSERT_PTR_NOT_NULL(t.stream);
	t.rules.devices = fewer;
	router_update(t.router, &t.rules);
	expect_reset(STREAM_NOT_ALLOWED, "reason=not-allowed");
	close(fd);
	open_stream(MAIL2);
	fd = accepted(t.mail2);
	CU_ASSERT_TRUE(fd >= 0);
	close(fd);
	devices_free(t.devices);
	t.devices = fewer;
	tear_down();
}

static void test_a_server_no_longer_listed_resets_the_stream(void)
{
	struct servers *none = servers_new();
	int fd;

	set_up();
	open_stream(MAIL1);
	fd = accepted(t.mail1);
	CU_ASSERT_TRUE(fd >= 0);
	t.rules.servers = none;
	router_update(t.router, &t.rules);
	expect_reset(STREAM_NO_SERVER, "reason=not-listed");
	close(fd);
	tear_down();
	servers_free(none);
}

int main(void)
{
	static const struct unit_test tests[] = {
		{ "a name leads to its server at once",
		  test_a_name_leads_to_its_server_at_once },
		{ "the first packet tells the server, at any cut",
		  test_the_first_packet_tells_the_server_at_any_cut },
		{ "no name leads to the default",
		  test_no_name_leads_to_the_default },
		{ "no name and no default is refused",
		  test_no_name_and_no_default_is_refused },
		{ "an unlisted name is refused",
		  test_an_unlisted_name_is_refused },
		{ "a server not allowed is refused",
		  test_a_server_not_allowed_is_refused },
		{ "other protocols are refused",
		  test_other_protocols_are_refused },
		{ "a silent stream ends after its deadline",
		  test_a_silent_stream_ends_after_its_deadline },
		{ "a stream that says nothing ends well",
		  test_a_stream_that_says_nothing_ends_well },
		{ "refusals do not fill the log",
		  test_refusals_do_not_fill_the_log },
		{ "a refusing server is a reset",
		  test_a_refusing_server_is_a_reset },
		{ "the next address is tried",
		  test_the_next_address_is_tried },
		{ "a dead address leaves time for the next",
		  test_a_dead_address_leaves_time_for_the_next },
		{ "a server that does not answer times out",
		  test_a_server_that_does_not_answer_times_out },
		{ "a name that does not resolve is a reset",
		  test_a_name_that_does_not_resolve_is_a_reset },
		{ "a stream may go while connecting",
		  test_a_stream_may_go_while_connecting },
		{ "a lost permission resets the stream",
		  test_a_lost_permission_resets_the_stream },
		{ "a server no longer listed resets the stream",
		  test_a_server_no_longer_listed_resets_the_stream },
		{ NULL, NULL }
	};

	return unit_main(tests);
}
