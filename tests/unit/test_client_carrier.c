#include "config.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <uv.h>

#include "client/carrier.h"
#include "tests/unit/unit.h"

#define SLOTS 4u
#define CONNECTIONS_MAX 16
#define REQUEST_MAX 65536u
#define DEADLINE_MS 5000u

/* ---- a web server that answers as it is told -------------------------- */

struct connection {
	uv_tcp_t tcp;
	uv_write_t write;
	char request[REQUEST_MAX + 1];
	size_t len;
	bool open;
	unsigned requests;
};

static uv_loop_t loop;
static uv_tcp_t server;
static uv_timer_t deadline;
static struct connection connections[CONNECTIONS_MAX];
static unsigned connection_count;
static const char *scheme = "http";
static const char *response;	/* NULL: no answer; "": the connection is cut */
static const char *awaited;	/* in a request, to go on */
static char last_request[REQUEST_MAX + 1];
static unsigned request_count;

/* ---- what the carrier told -------------------------------------------- */

static struct {
	char body[4096];
	size_t len;
	unsigned ends;
	enum carrier_result result;
	unsigned status;
	char detail[CARRIER_DETAIL_MAX];
} got[SLOTS];
static struct carrier *carrier;
static int version_calls;
static unsigned connects;
static bool version_http2;
static unsigned ends_wanted;
static bool repost_in_body, timed_out;

static void on_connection_closed(uv_handle_t *handle)
{
	struct connection *c = handle->data;

	c->open = false;
}

static void cut(struct connection *c)
{
	if (!uv_is_closing((uv_handle_t *)&c->tcp))
		uv_close((uv_handle_t *)&c->tcp, on_connection_closed);
}

static void answer(struct connection *c)
{
	uv_buf_t buf;

	request_count++;
	c->requests++;
	memcpy(last_request, c->request, c->len);
	last_request[c->len] = '\0';
	c->len = 0;
	if (response == NULL)
		return;
	if (response[0] == '\0') {
		cut(c);
		return;
	}
	buf = uv_buf_init((char *)(uintptr_t)response,
	    (unsigned)strlen(response));
	uv_write(&c->write, (uv_stream_t *)&c->tcp, &buf, 1, NULL);
}

/* Is the request there with its whole body? */
static bool is_whole(struct connection *c)
{
	const char *end, *length;

	c->request[c->len] = '\0';
	end = strstr(c->request, "\r\n\r\n");
	length = strstr(c->request, "Content-Length: ");
	if (end != NULL && strstr(c->request, "Transfer-Encoding: chunked"))
		return strstr(end, "\r\n0\r\n\r\n") != NULL;
	return end != NULL && length != NULL &&
	    c->len - (size_t)(end + 4 - c->request) >=
	    strtoul(length + 16, NULL, 10);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
	struct connection *c = handle->data;

	(void)suggested;
	*buf = uv_buf_init(c->request + c->len,
	    (unsigned)(REQUEST_MAX - c->len));
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	struct connection *c = stream->data;

	(void)buf;
	if (n < 0) {
		cut(c);
		return;
	}
	c->len += (size_t)n;
	c->request[c->len] = '\0';
	if (awaited != NULL && strstr(c->request, awaited) != NULL) {
		awaited = NULL;
		uv_stop(&loop);
	}
	if (is_whole(c))
		answer(c);
}

static void on_connection(uv_stream_t *stream, int status)
{
	struct connection *c = &connections[connection_count++];

	CU_ASSERT_FATAL(status == 0 && connection_count < CONNECTIONS_MAX);
	uv_tcp_init(&loop, &c->tcp);
	c->tcp.data = c;
	c->open = true;
	uv_accept(stream, (uv_stream_t *)&c->tcp);
	uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read);
}

static void on_body(void *ctx, unsigned slot, const uint8_t *data, size_t len)
{
	(void)ctx;
	CU_ASSERT_FATAL(got[slot].len + len < sizeof(got[slot].body));
	memcpy(got[slot].body + got[slot].len, data, len);
	got[slot].len += len;
	if (repost_in_body) {
		repost_in_body = false;
		carrier_cancel(carrier, slot);
		got[slot].len = 0;
		carrier_post(carrier, slot, (const uint8_t *)"again", 5, 0,
		    true);
	}
}

static void on_end(void *ctx, unsigned slot, enum carrier_result result,
    unsigned http_status, const char *detail)
{
	(void)ctx;
	got[slot].ends++;
	got[slot].result = result;
	got[slot].status = http_status;
	snprintf(got[slot].detail, sizeof(got[slot].detail), "%s", detail);
	if (ends_wanted > 0 && --ends_wanted == 0)
		uv_stop(&loop);
}

static void on_http_version(void *ctx, bool http2)
{
	(void)ctx;
	version_calls++;
	version_http2 = http2;
}

static void on_connect(void *ctx, const struct sockaddr *to)
{
	const struct sockaddr_in *in = (const struct sockaddr_in *)to;

	(void)ctx;
	connects++;
	CU_ASSERT_EQUAL(to->sa_family, AF_INET);
	CU_ASSERT_EQUAL(in->sin_addr.s_addr, htonl(INADDR_LOOPBACK));
}

static const struct carrier_ops ops = {
	.on_body = on_body, .on_end = on_end,
	.on_http_version = on_http_version, .on_connect = on_connect
};

static void on_deadline(uv_timer_t *timer)
{
	(void)timer;
	timed_out = true;
	uv_stop(&loop);
}

/* ---- set-up ----------------------------------------------------------- */

static void start(enum carrier_http http)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct carrier_config config = {
		.proxy = "", .http = http, .connect_timeout_ms = 2000,
		.slots = SLOTS, .paths = 2, .max_connections = SLOTS
	};
	int len = sizeof(address);
	char url[80];

	memset(got, 0, sizeof(got));
	memset(connections, 0, sizeof(connections));
	connection_count = request_count = 0;
	version_calls = 0;
	connects = 0;
	timed_out = repost_in_body = false;
	uv_loop_init(&loop);
	uv_tcp_init(&loop, &server);
	uv_timer_init(&loop, &deadline);
	uv_tcp_bind(&server, (const struct sockaddr *)&address, 0);
	uv_listen((uv_stream_t *)&server, 16, on_connection);
	uv_tcp_getsockname(&server, (struct sockaddr *)&address, &len);
	snprintf(url, sizeof(url), "%s://127.0.0.1:%u/nrpc/id", scheme,
	    ntohs(address.sin_port));
	config.url = url;
	CU_ASSERT_EQUAL_FATAL(carrier_new(&carrier, &loop, &config, &ops,
	    NULL), 0);
}

static void finish(void)
{
	carrier_free(carrier);
	uv_close((uv_handle_t *)&server, NULL);
	uv_close((uv_handle_t *)&deadline, NULL);
	/* The server's ends see the carrier's go. */
	CU_ASSERT_EQUAL(uv_run(&loop, UV_RUN_DEFAULT), 0);
	CU_ASSERT_EQUAL(uv_loop_close(&loop), 0);
}

/* Run until so many exchanges have ended, or for so long. */
static void run_for(unsigned ends, uint64_t ms)
{
	ends_wanted = ends;
	timed_out = false;
	uv_timer_start(&deadline, on_deadline, ms, 0);
	uv_run(&loop, UV_RUN_DEFAULT);
	uv_timer_stop(&deadline);
}

static void run_until(unsigned ends)
{
	run_for(ends, DEADLINE_MS);
	CU_ASSERT_FALSE(timed_out);
}

/* Does this connection end, or are there so many in the end? */
static bool closes(unsigned connection)
{
	for (uint64_t ms = 0; connections[connection].open &&
	    ms < DEADLINE_MS; ms += 10)
		run_for(1, 10);
	return !connections[connection].open;
}

static bool are_made(unsigned count)
{
	for (uint64_t ms = 0; connection_count < count && ms < DEADLINE_MS;
	    ms += 10)
		run_for(1, 10);
	return connection_count == count;
}

/* Run until the server has this. */
static void run_until_arrived(const char *text)
{
	awaited = text;
	run_until(0);
}

static void open_body(unsigned slot, const char *body)
{
	carrier_open(carrier, slot, (const uint8_t *)body, strlen(body), 0,
	    false);
}

static void append(unsigned slot, const char *body)
{
	carrier_append(carrier, slot, (const uint8_t *)body, strlen(body));
}

static void post(unsigned slot, const char *body, bool fresh)
{
	carrier_post(carrier, slot, (const uint8_t *)body, strlen(body), 0,
	    fresh);
}

#define OK_HELLO "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"

/* ---- tests ------------------------------------------------------------ */

static void test_a_200_is_handed_on_whole(void)
{
	start(CARRIER_HTTP_AUTO);
	response = OK_HELLO;
	post(0, "question", false);
	CU_ASSERT_EQUAL(got[0].ends, 0);
	run_until(1);
	CU_ASSERT_EQUAL(got[0].result, CARRIER_DONE);
	CU_ASSERT_EQUAL(got[0].status, 200);
	CU_ASSERT_EQUAL(got[0].len, 5);
	CU_ASSERT_EQUAL(memcmp(got[0].body, "hello", 5), 0);
	CU_ASSERT_STRING_EQUAL(got[0].detail, "");
	CU_ASSERT_EQUAL(version_calls, 1);
	CU_ASSERT_FALSE(version_http2);
	CU_ASSERT_STRING_EQUAL(carrier_http_name(carrier), "HTTP/1.1");
	finish();
}

static void test_requests_look_as_proxies_like_them(void)
{
	static char big[40000];

	start(CARRIER_HTTP_AUTO);
	memset(big, 'x', sizeof(big) - 1);
	response = OK_HELLO;
	post(0, big, false);
	run_until(1);
	CU_ASSERT_PTR_NOT_NULL(strstr(last_request, "POST /nrpc/id HTTP/1.1"));
	CU_ASSERT_PTR_NOT_NULL(strstr(last_request,
	    "Content-Type: application/octet-stream\r\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(last_request, "User-Agent: nrpc-"));
	CU_ASSERT_PTR_NOT_NULL(strstr(last_request, "Content-Length: 39999"));
	CU_ASSERT_PTR_NULL(strstr(last_request, "Expect"));
	CU_ASSERT_PTR_NULL(strstr(last_request, "Accept-Encoding"));
	CU_ASSERT_PTR_NULL(strstr(last_request, "Transfer-Encoding"));
	finish();
}

static void test_a_query_has_no_body(void)
{
	start(CARRIER_HTTP_AUTO);
	response = OK_HELLO;
	for (unsigned i = 0; i < 2; i++) {	/* and back again */
		carrier_query(carrier, 0, (const uint8_t *)"\0\xff?", 3, 0,
		    false);
		run_until(1);
		CU_ASSERT_EQUAL(got[0].result, CARRIER_DONE);
		CU_ASSERT_PTR_NOT_NULL(strstr(last_request,
		    "POST /nrpc/id?r=AP8_ HTTP/1.1\r\n"));
		CU_ASSERT_PTR_NOT_NULL(strstr(last_request,
		    "Content-Length: 0\r\n"));
		CU_ASSERT_PTR_NULL(strstr(last_request, "Content-Type"));
		CU_ASSERT_PTR_NULL(strstr(last_request, "Accept"));
		post(0, "question", false);
		run_until(1);
		CU_ASSERT_PTR_NOT_NULL(strstr(last_request,
		    "POST /nrpc/id HTTP/1.1\r\n"));
		CU_ASSERT_PTR_NOT_NULL(strstr(last_request,
		    "Content-Length: 8\r\n"));
		CU_ASSERT_PTR_NOT_NULL(strstr(last_request, "\r\n\r\nquestion"));
		carrier_open(carrier, 0, (const uint8_t *)"q", 1, 0, false);
		carrier_finish(carrier, 0);
		run_until(1);
		CU_ASSERT_PTR_NOT_NULL(strstr(last_request,
		    "Transfer-Encoding: chunked"));
	}
	finish();
}

static void test_bodies_with_any_bytes_arrive_as_they_are(void)
{
	start(CARRIER_HTTP_AUTO);
	response = OK_HELLO;
	carrier_post(carrier, 0, (const uint8_t *)"a\0b\xff", 4, 0, false);
	run_until(1);
	CU_ASSERT_PTR_NOT_NULL(memmem(last_request, sizeof(last_request),
	    "\r\n\r\na\0b\xff", 8));
	finish();
}

static void test_other_statuses_are_told_without_their_body(void)
{
	start(CARRIER_HTTP_AUTO);
	response = "HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnope";
	post(0, "q", false);
	run_until(1);
	CU_ASSERT_EQUAL(got[0].result, CARRIER_STATUS);
	CU_ASSERT_EQUAL(got[0].status, 404);
	CU_ASSERT_EQUAL(got[0].len, 0);
	CU_ASSERT_EQUAL(strncmp(got[0].detail, "HTTP 404", 8), 0);
	finish();
}

static void test_redirects_are_not_followed(void)
{
	start(CARRIER_HTTP_AUTO);
	response = "HTTP/1.1 302 Found\r\nLocation: /login\r\n"
	    "Content-Length: 0\r\n\r\n";
	post(0, "q", false);
	run_until(1);
	CU_ASSERT_EQUAL(got[0].result, CARRIER_STATUS);
	CU_ASSERT_EQUAL(got[0].status, 302);
	CU_ASSERT_EQUAL(request_count, 1);
	finish();
}

static void test_a_response_cut_short_is_a_failure(void)
{
	start(CARRIER_HTTP_AUTO);
	response = "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello";
	post(0, "q", false);
	run_for(1, 200);
	CU_ASSERT_EQUAL(got[0].ends, 0);
	cut(&connections[0]);
	run_until(1);
	CU_ASSERT_EQUAL(got[0].result, CARRIER_FAILED);
	CU_ASSERT_EQUAL(got[0].len, 5);
	CU_ASSERT_PTR_NOT_NULL(strstr(got[0].detail, "cut"));
	finish();
}

static void test_no_response_is_a_failure(void)
{
	start(CARRIER_HTTP_AUTO);
	response = "";
	post(0, "q", false);
	run_until(1);
	CU_ASSERT_EQUAL(got[0].result, CARRIER_FAILED);
	CU_ASSERT_PTR_NOT_NULL(strstr(got[0].detail, "without a response"));
	finish();
}

static void test_a_refused_connection_says_so(void)
{
	start(CARRIER_HTTP_AUTO);
	CU_ASSERT_EQUAL(carrier_set_url(carrier, "http://127.0.0.1:1/x"), 0);
	post(0, "q", false);
	run_until(1);
	CU_ASSERT_EQUAL(got[0].result, CARRIER_FAILED);
	CU_ASSERT_STRING_EQUAL(got[0].detail, "could not connect to "
	    "127.0.0.1:1: Connection refused");
	finish();
}

static void test_a_web_server_without_http2_fails_when_it_is_required(void)
{
	start(CARRIER_HTTP_2);
	response = OK_HELLO;
	post(0, "q", false);
	run_until(1);
	CU_ASSERT_EQUAL(got[0].result, CARRIER_FAILED);
	CU_ASSERT_EQUAL(got[0].len, 0);
	finish();
}

static void test_connections_are_used_again(void)
{
	start(CARRIER_HTTP_AUTO);
	response = OK_HELLO;
	for (unsigned i = 0; i < 5; i++) {
		post(i % SLOTS, "q", false);
		run_until(1);
	}
	CU_ASSERT_EQUAL(request_count, 5);
	CU_ASSERT_EQUAL(connection_count, 1);
	CU_ASSERT_EQUAL(connects, 1);	/* each is told where it goes */
	finish();
}

static void test_a_held_request_does_not_hold_up_others(void)
{
	start(CARRIER_HTTP_AUTO);
	response = NULL;
	post(0, "held", false);
	run_for(1, 200);
	response = OK_HELLO;
	post(1, "q", false);
	run_until(1);
	CU_ASSERT_EQUAL(got[1].result, CARRIER_DONE);
	CU_ASSERT_EQUAL(got[0].ends, 0);
	CU_ASSERT_EQUAL(connection_count, 2);
	finish();
}

static void test_fresh_exchanges_take_new_connections_together(void)
{
	start(CARRIER_HTTP_AUTO);
	response = OK_HELLO;
	post(0, "q", false);
	run_until(1);
	post(0, "q", true);
	run_until(1);
	CU_ASSERT_EQUAL(connection_count, 2);
	CU_ASSERT_EQUAL(connects, 2);
	/* Those that follow use the new one, and the old one is closed. */
	post(0, "q", false);
	run_until(1);
	CU_ASSERT_EQUAL(connection_count, 2);
	CU_ASSERT_TRUE(closes(0));
	finish();
}

static void test_a_changed_network_leaves_all_connections_behind(void)
{
	start(CARRIER_HTTP_AUTO);
	response = NULL;
	post(0, "held", false);
	run_for(1, 100);
	response = OK_HELLO;
	carrier_network_changed(carrier);
	post(1, "q", false);
	run_until(1);
	post(1, "q", false);
	run_until(1);
	CU_ASSERT_EQUAL(connection_count, 2);
	CU_ASSERT_EQUAL(connections[1].requests, 2);
	carrier_cancel(carrier, 0);
	CU_ASSERT_TRUE(closes(0));
	finish();
}

static void test_after_cancel_there_are_no_events_and_no_reuse(void)
{
	start(CARRIER_HTTP_AUTO);
	response = NULL;
	post(0, "q", false);
	run_for(1, 100);
	CU_ASSERT_EQUAL(request_count, 1);
	carrier_cancel(carrier, 0);
	carrier_cancel(carrier, 0);
	response = OK_HELLO;
	post(0, "q", false);
	run_until(1);
	CU_ASSERT_EQUAL(got[0].ends, 1);
	CU_ASSERT_EQUAL(connection_count, 2);
	CU_ASSERT_TRUE(closes(0));
	finish();
}

static void test_an_exchange_may_be_replaced_while_its_body_arrives(void)
{
	start(CARRIER_HTTP_AUTO);
	response = OK_HELLO;
	repost_in_body = true;
	post(0, "q", false);
	run_until(1);
	run_for(1, 100);
	CU_ASSERT_EQUAL(got[0].ends, 1);
	CU_ASSERT_EQUAL(got[0].result, CARRIER_DONE);
	CU_ASSERT_EQUAL(got[0].len, 5);
	CU_ASSERT_PTR_NOT_NULL(strstr(last_request, "again"));
	finish();
}

static void test_cookies_of_balancers_are_returned_by_all_slots(void)
{
	start(CARRIER_HTTP_AUTO);
	response = "HTTP/1.1 200 OK\r\nSet-Cookie: route=node7; Path=/\r\n"
	    "Content-Length: 0\r\n\r\n";
	post(0, "q", false);
	run_until(1);
	CU_ASSERT_PTR_NULL(strstr(last_request, "Cookie"));
	post(1, "q", true);
	run_until(1);
	CU_ASSERT_PTR_NOT_NULL(strstr(last_request, "Cookie: route=node7"));
	finish();
}

static void test_a_new_url_holds_from_the_next_exchange_on(void)
{
	char url[80];
	struct sockaddr_in address;
	int len = sizeof(address);

	start(CARRIER_HTTP_AUTO);
	response = OK_HELLO;
	post(0, "q", false);
	run_until(1);
	uv_tcp_getsockname(&server, (struct sockaddr *)&address, &len);
	snprintf(url, sizeof(url), "http://127.0.0.1:%u/nrpc/other",
	    ntohs(address.sin_port));
	CU_ASSERT_EQUAL(carrier_set_url(carrier, url), 0);
	post(0, "q", false);
	run_until(1);
	CU_ASSERT_PTR_NOT_NULL(strstr(last_request, "POST /nrpc/other "));
	finish();
}

static void test_endless_garbage_is_cut(void)
{
	static char page[200000];
	int n;

	start(CARRIER_HTTP_AUTO);
	n = sprintf(page, "HTTP/1.1 503 No\r\nContent-Length: 900000\r\n\r\n");
	memset(page + n, 'x', sizeof(page) - (size_t)n - 1);
	response = page;
	post(0, "q", false);
	run_until(1);
	CU_ASSERT_EQUAL(got[0].result, CARRIER_STATUS);
	CU_ASSERT_EQUAL(got[0].status, 503);
	finish();
}

static void test_everything_may_be_freed_under_way(void)
{
	start(CARRIER_HTTP_AUTO);
	response = NULL;
	for (unsigned i = 0; i < SLOTS; i++)
		post(i, "q", i == 2);
	run_for(1, 100);
	CU_ASSERT_EQUAL(request_count, SLOTS);
	finish();
	CU_ASSERT_EQUAL(got[0].ends, 0);
}

/* libcurl closes sockets of such connections without telling us. */
static void test_a_connection_that_is_not_made_leaves_nothing(void)
{
	scheme = "https";
	start(CARRIER_HTTP_AUTO);
	scheme = "http";
	response = NULL;	/* nor does it answer TLS */
	for (unsigned i = 0; i < 3; i++) {
		post(0, "q", true);
		CU_ASSERT_TRUE(are_made(i + 1));
		carrier_cancel(carrier, 0);
	}
	for (unsigned i = 0; i < connection_count; i++)
		CU_ASSERT_TRUE(closes(i));
	post(0, "q", false);
	run_for(1, 50);
	finish();
}

static void test_an_open_body_goes_on_as_it_is_appended(void)
{
	start(CARRIER_HTTP_AUTO);
	response = OK_HELLO;
	open_body(0, "one");
	run_until_arrived("\r\n\r\n3\r\none\r\n");
	CU_ASSERT_PTR_NULL(strstr(connections[0].request, "Content-Length"));
	CU_ASSERT_PTR_NULL(strstr(connections[0].request, "Expect"));
	append(0, "second");
	CU_ASSERT_EQUAL(carrier_unsent(carrier, 0), 6);
	carrier_run(carrier);	/* at once, without a turn of the loop */
	CU_ASSERT_EQUAL(carrier_unsent(carrier, 0), 0);
	run_until_arrived("\r\n6\r\nsecond\r\n");
	CU_ASSERT_EQUAL(got[0].ends, 0);
	carrier_finish(carrier, 0);
	run_until(1);
	CU_ASSERT_EQUAL(got[0].result, CARRIER_DONE);
	CU_ASSERT_EQUAL(got[0].len, 5);
	finish();
}

static void test_what_is_appended_early_waits_for_the_connection(void)
{
	static char big[100001];

	start(CARRIER_HTTP_AUTO);
	response = OK_HELLO;
	open_body(0, "one");
	append(0, "two");
	carrier_finish(carrier, 0);
	run_until(1);
	CU_ASSERT_EQUAL(got[0].result, CARRIER_DONE);
	CU_ASSERT_PTR_NOT_NULL(strstr(last_request, "\r\n6\r\nonetwo\r\n"));
	/* More than the connection takes: it is told. */
	response = NULL;
	memset(big, 'x', sizeof(big) - 1);
	open_body(1, "one");
	for (unsigned i = 0; i < 100; i++)
		append(1, big);
	CU_ASSERT_TRUE(carrier_unsent(carrier, 1) > 1000000);
	finish();
}

static void test_a_slot_is_free_for_other_bodies_after_an_open_one(void)
{
	start(CARRIER_HTTP_AUTO);
	response = OK_HELLO;
	open_body(0, "one");
	run_until_arrived("one");
	carrier_cancel(carrier, 0);
	post(0, "question", false);
	run_until(1);
	CU_ASSERT_EQUAL(got[0].result, CARRIER_DONE);
	CU_ASSERT_PTR_NOT_NULL(strstr(last_request, "Content-Length: 8"));
	CU_ASSERT_PTR_NULL(strstr(last_request, "Transfer-Encoding"));
	open_body(0, "three");
	carrier_finish(carrier, 0);
	run_until(1);
	CU_ASSERT_PTR_NOT_NULL(strstr(last_request, "\r\n5\r\nthree\r\n"));
	finish();
}

static void refuse_open_body(const char *with)
{
	start(CARRIER_HTTP_AUTO);
	response = NULL;
	open_body(0, "one");
	run_until_arrived("one");
	response = with;
	answer(&connections[0]);
}

/* That is told, and all that comes for it then is too late. */
static void finish_refused(void)
{
	run_until(1);
	CU_ASSERT_EQUAL(got[0].result, CARRIER_STATUS);
	CU_ASSERT_EQUAL(got[0].status, 413);
	append(0, "too late");
	carrier_finish(carrier, 0);
	finish();
}

static void test_an_open_body_may_be_refused(void)
{
	refuse_open_body("HTTP/1.1 413 Too Large\r\nConnection: close\r\n"
	    "Content-Length: 10\r\n\r\n<html>Too ");
	finish_refused();
}

/* libcurl finds out when it wants to go on. */
static void test_an_open_body_may_be_refused_without_a_word(void)
{
	refuse_open_body(
	    "HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n");
	run_for(1, 50);
	append(0, "more");
	finish_refused();
}

int main(void)
{
	static const struct unit_test tests[] = {
		{ "a 200 is handed on whole", test_a_200_is_handed_on_whole },
		{ "requests look as proxies like them",
		    test_requests_look_as_proxies_like_them },
		{ "a query has no body", test_a_query_has_no_body },
		{ "bodies with any bytes arrive as they are",
		    test_bodies_with_any_bytes_arrive_as_they_are },
		{ "other statuses are told without their body",
		    test_other_statuses_are_told_without_their_body },
		{ "redirects are not followed",
		    test_redirects_are_not_followed },
		{ "a response cut short is a failure",
		    test_a_response_cut_short_is_a_failure },
		{ "no response is a failure", test_no_response_is_a_failure },
		{ "a refused connection says so",
		    test_a_refused_connection_says_so },
		{ "a web server without HTTP/2 fails when it is required",
		    test_a_web_server_without_http2_fails_when_it_is_required },
		{ "connections are used again",
		    test_connections_are_used_again },
		{ "a held request does not hold up others",
		    test_a_held_request_does_not_hold_up_others },
		{ "fresh exchanges take new connections together",
		    test_fresh_exchanges_take_new_connections_together },
		{ "a changed network leaves all connections behind",
		    test_a_changed_network_leaves_all_connections_behind },
		{ "after cancel there are no events and no reuse",
		    test_after_cancel_there_are_no_events_and_no_reuse },
		{ "an exchange may be replaced while its body arrives",
		    test_an_exchange_may_be_replaced_while_its_body_arrives },
		{ "cookies of balancers are returned by all slots",
		    test_cookies_of_balancers_are_returned_by_all_slots },
		{ "a new URL holds from the next exchange on",
		    test_a_new_url_holds_from_the_next_exchange_on },
		{ "endless garbage is cut", test_endless_garbage_is_cut },
		{ "a connection that is not made leaves nothing",
		  test_a_connection_that_is_not_made_leaves_nothing },
		{ "an open body goes on as it is appended",
		    test_an_open_body_goes_on_as_it_is_appended },
		{ "what is appended early waits for the connection",
		    test_what_is_appended_early_waits_for_the_connection },
		{ "a slot is free for other bodies after an open one",
		    test_a_slot_is_free_for_other_bodies_after_an_open_one },
		{ "an open body may be refused",
		    test_an_open_body_may_be_refused },
		{ "an open body may be refused without a word",
		    test_an_open_body_may_be_refused_without_a_word },
		{ "everything may be freed under way",
		    test_everything_may_be_freed_under_way },
		{ NULL, NULL }
	};

	return unit_main(tests);
}
