#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <uv.h>

#include "common/pump.h"
#include "common/session.h"
#include "tests/unit/ignore.h"
#include "tests/unit/unit.h"

#define CHUNK 65536u
#define BULK (4u << 20)

/*
 * A guest's socket, a pump on a stream of the near session, and the stream's
 * other end in the far session, whose records are carried by hand.
 */
struct rig {
	uv_loop_t loop;
	struct session *near, *far;
	struct stream *stream, *other;	/* near's and far's; NULL: gone */
	struct pump *pump;		/* NULL once done */
	int guest;			/* the guest's end of the connection */
	unsigned done;			/* how often on_done was called */
	unsigned portions;		/* on_portion */
	bool abort_in_portion;
	uint64_t done_code, other_code;
	uint64_t now_ms, exchange;
};

/* ---- sessions --------------------------------------------------------- */

static void on_other_reset(void *user, struct stream *st, uint64_t code)
{
	struct rig *r = user;

	(void)st;
	r->other = NULL;
	r->other_code = code;
}

static void on_far_open(void *ctx, struct stream *st, const char *name,
    size_t name_len)
{
	static const struct stream_ops ops = {
		.on_readable = ignore_stream,
		.on_writable = ignore_stream,
		.on_reset = on_other_reset
	};
	struct rig *r = ctx;

	(void)name;
	(void)name_len;
	r->other = st;
	stream_attach(st, &ops, r);
}

static void on_close(void *ctx, uint64_t code, const char *text)
{
	(void)ctx;
	(void)code;
	(void)text;
	CU_FAIL("the session was closed");
}

static const struct session_ops session_ops = {
	.on_open = on_far_open,
	.on_wake = ignore_wake,
	.on_close = on_close
};

static void carry(struct rig *r, struct session *from, struct session *to)
{
	static uint8_t out[CHUNK];
	struct session_fill fill = {
		.exchange = r->exchange, .take = TAKE_ALL, .ack = true
	};
	struct session_seen seen;
	bool ended;
	size_t len, at = 0, one;

	len = session_fill(from, &fill, out, sizeof(out), r->now_ms, &ended);
	while (at < len) {
		CU_ASSERT_EQUAL_FATAL(record_peek(out + at, len - at, &one),
		    0);
		CU_ASSERT_EQUAL_FATAL(session_receive(to, out + at, one,
		    r->now_ms, &seen), 0);
		at += one;
	}
}

/* Everything that can happen without waiting, and a little waiting. */
static void turn(struct rig *r)
{
	r->now_ms++;
	carry(r, r->near, r->far);
	carry(r, r->far, r->near);
	uv_run(&r->loop, UV_RUN_NOWAIT);
}

static void settle(struct rig *r)
{
	for (int i = 0; i < 40; i++) {
		turn(r);
		usleep(500);
	}
}

/* ---- set-up ----------------------------------------------------------- */

static void on_done(void *ctx, struct pump *p, uint64_t code)
{
	struct rig *r = ctx;

	CU_ASSERT_PTR_EQUAL(p, r->pump);
	r->pump = NULL;
	r->done++;
	r->done_code = code;
}

static void on_portion(void *ctx)
{
	struct rig *r = ctx;

	r->portions++;
	if (r->abort_in_portion)
		pump_abort(r->pump, STREAM_SHUTDOWN);
}

static void connect_pair(int pair[2])
{
	struct sockaddr_in sin = { .sin_family = AF_INET };
	socklen_t len = sizeof(sin);
	int listener = socket(AF_INET, SOCK_STREAM, 0);

	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	CU_ASSERT_EQUAL_FATAL(bind(listener, (void *)&sin, sizeof(sin)), 0);
	CU_ASSERT_EQUAL_FATAL(listen(listener, 1), 0);
	CU_ASSERT_EQUAL_FATAL(getsockname(listener, (void *)&sin, &len), 0);
	pair[0] = socket(AF_INET, SOCK_STREAM, 0);
	CU_ASSERT_EQUAL_FATAL(connect(pair[0], (void *)&sin, sizeof(sin)), 0);
	pair[1] = accept(listener, NULL, NULL);
	CU_ASSERT_FATAL(pair[1] >= 0);
	close(listener);
}

static void make_sessions(struct rig *r)
{
	static const uint8_t id[RECORD_ID_LEN] = { 1 };
	static const uint8_t up[32] = { 2 }, down[32] = { 3 };
	struct session_config near, far;

	session_defaults(&near, true);
	session_defaults(&far, false);
	CU_ASSERT_EQUAL_FATAL(session_new(&r->near, id, &near, &session_ops,
	    r), 0);
	CU_ASSERT_EQUAL_FATAL(session_new(&r->far, id, &far, &session_ops, r),
	    0);
	CU_ASSERT_EQUAL_FATAL(session_keys(r->near, 1, up, down, true), 0);
	CU_ASSERT_EQUAL_FATAL(session_keys(r->far, 1, down, up, true), 0);
	session_peer(r->near, far.initial_window, far.max_streams);
	session_peer(r->far, near.initial_window, near.max_streams);
	session_lane_begin(r->near, 0, 1);
	session_lane_begin(r->far, 0, 1);
	r->exchange = 1;
	CU_ASSERT_EQUAL_FATAL(stream_open(r->near, "CN=A", &r->stream), 0);
	turn(r);
	CU_ASSERT_PTR_NOT_NULL_FATAL(r->other);
}

static void set_up(struct rig *r)
{
	static const struct pump_ops ops = {
		.on_done = on_done,
		.on_portion = on_portion
	};
	uv_tcp_t *tcp = malloc(sizeof(*tcp));
	int pair[2];

	memset(r, 0, sizeof(*r));
	signal(SIGPIPE, SIG_IGN);
	CU_ASSERT_EQUAL_FATAL(uv_loop_init(&r->loop), 0);
	make_sessions(r);
	connect_pair(pair);
	r->guest = pair[0];
	CU_ASSERT_EQUAL(fcntl(r->guest, F_SETFL, O_NONBLOCK), 0);
	CU_ASSERT_EQUAL_FATAL(uv_tcp_init(&r->loop, tcp), 0);
	CU_ASSERT_EQUAL_FATAL(uv_tcp_open(tcp, pair[1]), 0);
	CU_ASSERT_EQUAL_FATAL(pump_new(&r->pump, tcp, r->stream, &ops, r), 0);
}

static void tear_down(struct rig *r)
{
	if (r->pump != NULL)
		pump_abort(r->pump, STREAM_SHUTDOWN);
	CU_ASSERT_EQUAL(r->done, 1);
	uv_run(&r->loop, UV_RUN_DEFAULT);
	/* Nothing is left: no handle, and so no memory. */
	CU_ASSERT_EQUAL(uv_loop_close(&r->loop), 0);
	if (r->guest >= 0)
		close(r->guest);
	session_free(r->near);
	session_free(r->far);
}

/* ---- what the ends do ------------------------------------------------- */

static void reset_guest(struct rig *r)
{
	struct linger l = { .l_onoff = 1, .l_linger = 0 };

	CU_ASSERT_EQUAL(setsockopt(r->guest, SOL_SOCKET, SO_LINGER, &l,
	    sizeof(l)), 0);
	close(r->guest);
	r->guest = -1;
}

static uint8_t pattern(uint64_t place)
{
	return (uint8_t)(place * 31 + (place >> 8) * 7);
}

static void fill_pattern(uint8_t *out, uint64_t place, size_t len)
{
	for (size_t i = 0; i < len; i++)
		out[i] = pattern(place + i);
}

static bool is_pattern(const uint8_t *data, uint64_t place, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (data[i] != pattern(place + i))
			return false;
	return true;
}

/* What the guest can send and receive now. -1 with errno, as send and recv. */
static ssize_t guest_send(struct rig *r, uint64_t place, size_t most)
{
	static uint8_t out[CHUNK];
	size_t len = most < CHUNK ? most : CHUNK;

	fill_pattern(out, place, len);
	return send(r->guest, out, len, MSG_NOSIGNAL);
}

static ssize_t guest_receive(struct rig *r, uint64_t place)
{
	static uint8_t in[CHUNK];
	ssize_t n = recv(r->guest, in, sizeof(in), 0);

	if (n > 0)
		CU_ASSERT_TRUE(is_pattern(in, place, (size_t)n));
	return n;
}

static size_t other_send(struct rig *r, uint64_t place, size_t most)
{
	static uint8_t out[CHUNK];
	size_t len = most < CHUNK ? most : CHUNK;

	fill_pattern(out, place, len);
	return stream_write(r->other, out, len);
}

static size_t other_receive(struct rig *r, uint64_t place)
{
	const uint8_t *data;
	size_t len, all = 0;

	while ((len = stream_peek(r->other, &data)) > 0) {
		CU_ASSERT_TRUE(is_pattern(data, place + all, len));
		stream_consume(r->other, len);
		all += len;
	}
	return all;
}

/* ---- tests ------------------------------------------------------------ */

static void test_bytes_pass_both_ways_in_bulk_and_in_order(void)
{
	uint64_t up_in = 0, up_out = 0, down_in = 0, down_out = 0;
	struct rig r;

	set_up(&r);
	for (int i = 0; i < 20000 && (up_out < BULK || down_out < BULK); i++) {
		ssize_t n = 0;

		if (up_in < BULK)
			n = guest_send(&r, up_in, BULK - up_in);
		up_in += n > 0 ? (uint64_t)n : 0;
		down_in += other_send(&r, down_in, BULK - down_in);
		turn(&r);
		up_out += other_receive(&r, up_out);
		n = guest_receive(&r, down_out);
		down_out += n > 0 ? (uint64_t)n : 0;
	}
	CU_ASSERT_EQUAL(up_out, BULK);
	CU_ASSERT_EQUAL(down_out, BULK);
	CU_ASSERT_EQUAL(pump_bytes_in(r.pump), BULK);
	CU_ASSERT_EQUAL(pump_bytes_out(r.pump), BULK);
	CU_ASSERT_EQUAL(r.done, 0);
	tear_down(&r);
}

/* One read after the other, until a portion is complete. */
static unsigned read_a_portion(struct rig *r)
{
	unsigned had = r->portions, reads = 0;
	uint64_t sent = pump_bytes_in(r->pump);

	while (r->portions == had && reads < 4 * PUMP_PORTION) {
		CU_ASSERT_EQUAL(guest_send(r, sent, 1), 1);
		while (r->pump != NULL && pump_bytes_in(r->pump) == sent)
			uv_run(&r->loop, UV_RUN_ONCE);
		sent++;
		reads++;
	}
	return reads;
}

static void test_what_came_is_to_be_sent_after_so_many_reads(void)
{
	struct rig r;

	set_up(&r);
	(void)read_a_portion(&r);	/* others have read before */
	CU_ASSERT_EQUAL(read_a_portion(&r), PUMP_PORTION);
	CU_ASSERT_EQUAL(read_a_portion(&r), PUMP_PORTION);
	r.abort_in_portion = true;
	CU_ASSERT_EQUAL(read_a_portion(&r), PUMP_PORTION);
	CU_ASSERT_EQUAL(r.done, 1);
	tear_down(&r);
}

static void test_a_stream_that_is_not_read_stops_the_guest(void)
{
	uint64_t sent = 0, received = 0;
	struct rig r;

	set_up(&r);
	for (int i = 0; i < 400; i++) {
		ssize_t n = guest_send(&r, sent, CHUNK);

		sent += n > 0 ? (uint64_t)n : 0;
		turn(&r);
	}
	/* The kernel's buffers and the stream's window, and no more. */
	CU_ASSERT(sent < 16u << 20);
	CU_ASSERT(pump_bytes_in(r.pump) < 2u << 20);
	for (int i = 0; i < 20000 && received < sent; i++) {
		received += other_receive(&r, received);
		turn(&r);
	}
	CU_ASSERT_EQUAL(received, sent);
	tear_down(&r);
}

static void test_a_guest_that_does_not_read_stops_the_stream(void)
{
	uint64_t sent = 0, received = 0;
	struct rig r;

	set_up(&r);
	for (int i = 0; i < 400; i++) {
		sent += other_send(&r, sent, CHUNK);
		turn(&r);
	}
	CU_ASSERT(sent < 24u << 20);
	for (int i = 0; i < 20000 && received < sent; i++) {
		ssize_t n = guest_receive(&r, received);

		received += n > 0 ? (uint64_t)n : 0;
		turn(&r);
	}
	CU_ASSERT_EQUAL(received, sent);
	tear_down(&r);
}

static void test_a_guest_that_half_closes_still_receives(void)
{
	uint64_t sent = 0, received = 0;
	struct rig r;
	ssize_t n = -1;

	set_up(&r);
	CU_ASSERT_EQUAL(guest_send(&r, 0, 5), 5);
	shutdown(r.guest, SHUT_WR);
	settle(&r);
	CU_ASSERT_EQUAL(other_receive(&r, 0), 5);
	CU_ASSERT_TRUE(stream_at_end(r.other));
	CU_ASSERT_EQUAL(r.done, 0);
	for (int i = 0; i < 20000 && received < BULK; i++) {
		sent += other_send(&r, sent, BULK - sent);
		turn(&r);
		n = guest_receive(&r, received);
		received += n > 0 ? (uint64_t)n : 0;
	}
	CU_ASSERT_EQUAL(received, BULK);
	CU_ASSERT_EQUAL(r.done, 0);
	stream_finish(r.other);
	settle(&r);
	CU_ASSERT_EQUAL(guest_receive(&r, received), 0);
	CU_ASSERT_EQUAL(r.done, 1);
	CU_ASSERT_EQUAL(r.done_code, STREAM_OK);
	tear_down(&r);
}

static void test_a_stream_that_ends_first_still_takes_bytes(void)
{
	struct rig r;

	set_up(&r);
	CU_ASSERT_EQUAL(other_send(&r, 0, 7), 7);
	stream_finish(r.other);
	settle(&r);
	CU_ASSERT_EQUAL(guest_receive(&r, 0), 7);
	CU_ASSERT_EQUAL(guest_receive(&r, 7), 0);
	CU_ASSERT_EQUAL(guest_send(&r, 0, 9), 9);
	settle(&r);
	CU_ASSERT_EQUAL(other_receive(&r, 0), 9);
	CU_ASSERT_FALSE(stream_at_end(r.other));
	CU_ASSERT_EQUAL(r.done, 0);
	close(r.guest);
	r.guest = -1;
	settle(&r);
	CU_ASSERT_TRUE(stream_at_end(r.other));
	CU_ASSERT_EQUAL(r.done_code, STREAM_OK);
	tear_down(&r);
}

static void test_bytes_that_came_before_the_pump_are_written_at_once(void)
{
	static const struct pump_ops ops = { .on_done = on_done };
	uv_tcp_t *tcp = malloc(sizeof(*tcp));
	struct rig r = { .guest = -1 };
	int pair[2];

	CU_ASSERT_EQUAL_FATAL(uv_loop_init(&r.loop), 0);
	make_sessions(&r);
	CU_ASSERT_EQUAL(other_send(&r, 0, 100), 100);
	turn(&r);
	connect_pair(pair);
	r.guest = pair[0];
	CU_ASSERT_EQUAL_FATAL(uv_tcp_init(&r.loop, tcp), 0);
	CU_ASSERT_EQUAL_FATAL(uv_tcp_open(tcp, pair[1]), 0);
	CU_ASSERT_EQUAL_FATAL(pump_new(&r.pump, tcp, r.stream, &ops, &r), 0);
	CU_ASSERT_EQUAL(guest_receive(&r, 0), 100);
	tear_down(&r);
}

static void test_a_guests_reset_resets_the_stream(void)
{
	struct rig r;

	set_up(&r);
	reset_guest(&r);
	settle(&r);
	CU_ASSERT_EQUAL(r.done, 1);
	CU_ASSERT_EQUAL(r.done_code, STREAM_PEER_RESET);
	CU_ASSERT_PTR_NULL(r.other);
	CU_ASSERT_EQUAL(r.other_code, STREAM_PEER_RESET);
	tear_down(&r);
}

static void test_a_reset_is_noticed_after_the_guest_half_closed(void)
{
	struct rig r;

	set_up(&r);
	shutdown(r.guest, SHUT_WR);
	settle(&r);
	CU_ASSERT_EQUAL(r.done, 0);
	reset_guest(&r);
	settle(&r);
	CU_ASSERT_EQUAL(r.done_code, STREAM_PEER_RESET);
	CU_ASSERT_EQUAL(r.other_code, STREAM_PEER_RESET);
	tear_down(&r);
}

static void test_a_reset_is_noticed_while_the_stream_is_full(void)
{
	uint64_t sent = 0;
	struct rig r;

	set_up(&r);
	for (int i = 0; i < 200; i++) {
		ssize_t n = guest_send(&r, sent, CHUNK);

		sent += n > 0 ? (uint64_t)n : 0;
		turn(&r);
	}
	CU_ASSERT_EQUAL(r.done, 0);
	reset_guest(&r);
	settle(&r);
	CU_ASSERT_EQUAL(r.done_code, STREAM_PEER_RESET);
	CU_ASSERT_EQUAL(r.other_code, STREAM_PEER_RESET);
	tear_down(&r);
}

static void test_bytes_left_when_both_have_ended_still_arrive(void)
{
	uint64_t sent = 0, received = 0;
	struct rig r;

	set_up(&r);
	/* Until the pump stops reading; the rest waits in its socket. */
	while (pump_bytes_in(r.pump) == sent && sent < 64u << 20) {
		ssize_t n = guest_send(&r, sent, CHUNK);

		sent += n > 0 ? (uint64_t)n : 0;
		settle(&r);
	}
	shutdown(r.guest, SHUT_WR);
	stream_finish(r.other);
	settle(&r);
	CU_ASSERT_EQUAL(guest_receive(&r, 0), 0);
	CU_ASSERT_EQUAL(r.done, 0);
	for (int i = 0; i < 20000 && received < sent; i++) {
		received += other_receive(&r, received);
		turn(&r);
	}
	settle(&r);
	CU_ASSERT_EQUAL(received, sent);
	CU_ASSERT_TRUE(stream_at_end(r.other));
	CU_ASSERT_EQUAL(r.done_code, STREAM_OK);
	tear_down(&r);
}

static void check_guest_was_reset(struct rig *r)
{
	uint8_t byte;
	ssize_t n;

	do
		n = recv(r->guest, &byte, 1, 0);
	while (n > 0);
	CU_ASSERT_EQUAL(n, -1);
	CU_ASSERT_EQUAL(errno, ECONNRESET);
}

static void test_a_streams_reset_resets_the_guest_with_its_code(void)
{
	struct rig r;

	set_up(&r);
	stream_reset(r.other, STREAM_CONNECT_REFUSED);
	settle(&r);
	CU_ASSERT_EQUAL(r.done, 1);
	CU_ASSERT_EQUAL(r.done_code, STREAM_CONNECT_REFUSED);
	check_guest_was_reset(&r);
	tear_down(&r);
}

static void test_a_reset_passes_a_guest_that_does_not_read(void)
{
	uint64_t sent = 0;
	struct rig r;

	set_up(&r);
	for (int i = 0; i < 300; i++) {
		sent += other_send(&r, sent, CHUNK);
		turn(&r);
	}
	/* A write is pending: its bytes go away with the stream. */
	stream_reset(r.other, STREAM_PEER_RESET);
	settle(&r);
	CU_ASSERT_EQUAL(r.done_code, STREAM_PEER_RESET);
	check_guest_was_reset(&r);
	tear_down(&r);
}

static void test_a_reset_passes_while_the_end_is_being_sent(void)
{
	struct rig r;

	set_up(&r);
	stream_finish(r.other);
	turn(&r);
	CU_ASSERT_EQUAL(r.done, 0);
	pump_abort(r.pump, STREAM_IDLE);
	CU_ASSERT_EQUAL(r.done, 1);
	CU_ASSERT_EQUAL(r.done_code, STREAM_IDLE);
	settle(&r);
	CU_ASSERT_EQUAL(r.other_code, STREAM_IDLE);
	tear_down(&r);
}

static void test_a_guest_gone_for_good_ends_a_stream_that_still_sends(void)
{
	uint64_t sent = 0;
	struct rig r;

	set_up(&r);
	close(r.guest);
	r.guest = -1;
	for (int i = 0; i < 20 && r.other != NULL; i++) {
		sent += other_send(&r, sent, CHUNK);
		settle(&r);
	}
	CU_ASSERT_EQUAL(r.done_code, STREAM_PEER_RESET);
	CU_ASSERT_EQUAL(r.other_code, STREAM_PEER_RESET);
	tear_down(&r);
}

static void test_a_lost_session_resets_the_guest(void)
{
	struct rig r;

	set_up(&r);
	session_close_streams(r.near, STREAM_SESSION_LOST);
	CU_ASSERT_EQUAL(r.done, 1);
	CU_ASSERT_EQUAL(r.done_code, STREAM_SESSION_LOST);
	settle(&r);
	check_guest_was_reset(&r);
	tear_down(&r);
}

static void test_a_lone_socket_is_closed_with_a_reset(void)
{
	uv_tcp_t *tcp = malloc(sizeof(*tcp));
	struct rig r = { .guest = -1 };
	uv_loop_t loop;
	int pair[2];

	CU_ASSERT_EQUAL_FATAL(uv_loop_init(&loop), 0);
	connect_pair(pair);
	r.guest = pair[0];
	CU_ASSERT_EQUAL_FATAL(uv_tcp_init(&loop, tcp), 0);
	CU_ASSERT_EQUAL_FATAL(uv_tcp_open(tcp, pair[1]), 0);
	pump_close_reset(tcp);
	uv_run(&loop, UV_RUN_DEFAULT);
	CU_ASSERT_EQUAL(uv_loop_close(&loop), 0);
	check_guest_was_reset(&r);
	close(r.guest);
}

/*
 * While the guest does not read: what is consumed is what the kernel has, to
 * the byte; and the pump goes on as if nothing had been.
 */
static void test_a_settled_pump_has_consumed_what_the_kernel_has(void)
{
	uint64_t in = 0, out = 0;
	struct pump_state st, again;
	struct rig r;
	ssize_t n;

	set_up(&r);
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 300; i++) {
			in += other_send(&r, in, CHUNK);
			turn(&r);
		}
		pump_settle(r.pump, &st);
		CU_ASSERT_FALSE(st.in_ended || st.out_ended);
		CU_ASSERT_EQUAL(st.bytes_out, pump_bytes_out(r.pump));
		CU_ASSERT_TRUE(st.bytes_out < in);
		pump_settle(r.pump, &again);
		CU_ASSERT_EQUAL(again.bytes_out, st.bytes_out);
		/* The loop does not run: so there is no more than that. */
		while ((n = guest_receive(&r, out)) > 0)
			out += (uint64_t)n;
		CU_ASSERT_EQUAL(out, st.bytes_out);
	}
	for (int i = 0; i < 20000 && out < in; i++) {
		turn(&r);
		n = guest_receive(&r, out);
		out += n > 0 ? (uint64_t)n : 0;
	}
	CU_ASSERT_EQUAL(out, in);
	CU_ASSERT_EQUAL(pump_bytes_out(r.pump), in);
	tear_down(&r);
}

static void test_a_resumed_pump_moves_nothing_before_its_start(void)
{
	static const struct pump_ops ops = { .on_done = on_done };
	struct pump_state from = { .bytes_in = 7, .bytes_out = 9 };
	uv_tcp_t *tcp = malloc(sizeof(*tcp));
	struct rig r = { .guest = -1 };
	int pair[2];

	CU_ASSERT_EQUAL_FATAL(uv_loop_init(&r.loop), 0);
	make_sessions(&r);
	connect_pair(pair);
	r.guest = pair[0];
	CU_ASSERT_EQUAL(fcntl(r.guest, F_SETFL, O_NONBLOCK), 0);
	CU_ASSERT_EQUAL_FATAL(uv_tcp_init(&r.loop, tcp), 0);
	CU_ASSERT_EQUAL_FATAL(uv_tcp_open(tcp, pair[1]), 0);
	CU_ASSERT_EQUAL(other_send(&r, 0, 100), 100);
	settle(&r);
	CU_ASSERT_EQUAL_FATAL(pump_resume(&r.pump, tcp, r.stream, &from, &ops,
	    &r), 0);
	CU_ASSERT_EQUAL(guest_send(&r, 0, 50), 50);
	settle(&r);
	CU_ASSERT_EQUAL(guest_receive(&r, 0), -1);
	CU_ASSERT_EQUAL(other_receive(&r, 0), 0);
	pump_start(r.pump);
	settle(&r);
	CU_ASSERT_EQUAL(guest_receive(&r, 0), 100);
	CU_ASSERT_EQUAL(other_receive(&r, 0), 50);
	CU_ASSERT_EQUAL(pump_bytes_in(r.pump), 57);
	CU_ASSERT_EQUAL(pump_bytes_out(r.pump), 109);
	tear_down(&r);
}

/* The stream's half was over before; the guest's still is not. */
static void test_a_resumed_pump_knows_which_half_is_over(void)
{
	static const struct pump_ops ops = { .on_done = on_done };
	struct pump_state from = { .in_ended = true };
	uv_tcp_t *tcp = malloc(sizeof(*tcp));
	struct rig r = { .guest = -1 };
	int pair[2];

	CU_ASSERT_EQUAL_FATAL(uv_loop_init(&r.loop), 0);
	make_sessions(&r);
	connect_pair(pair);
	r.guest = pair[0];
	CU_ASSERT_EQUAL(shutdown(r.guest, SHUT_WR), 0);
	stream_finish(r.stream);
	CU_ASSERT_EQUAL_FATAL(uv_tcp_init(&r.loop, tcp), 0);
	CU_ASSERT_EQUAL_FATAL(uv_tcp_open(tcp, pair[1]), 0);
	CU_ASSERT_EQUAL_FATAL(pump_resume(&r.pump, tcp, r.stream, &from, &ops,
	    &r), 0);
	pump_start(r.pump);
	CU_ASSERT_EQUAL(other_send(&r, 0, 100), 100);
	stream_finish(r.other);
	settle(&r);
	CU_ASSERT_EQUAL(r.done_code, STREAM_OK);
	CU_ASSERT_EQUAL(guest_receive(&r, 0), 100);
	CU_ASSERT_EQUAL(guest_receive(&r, 100), 0);
	tear_down(&r);
}

int main(void)
{
	static const struct unit_test tests[] = {
		{ "bytes pass both ways, in bulk and in order",
		    test_bytes_pass_both_ways_in_bulk_and_in_order },
		{ "what came is to be sent after so many reads",
		    test_what_came_is_to_be_sent_after_so_many_reads },
		{ "a stream that is not read stops the guest",
		    test_a_stream_that_is_not_read_stops_the_guest },
		{ "a guest that does not read stops the stream",
		    test_a_guest_that_does_not_read_stops_the_stream },
		{ "a guest that half-closes still receives",
		    test_a_guest_that_half_closes_still_receives },
		{ "a stream that ends first still takes bytes",
		    test_a_stream_that_ends_first_still_takes_bytes },
		{ "bytes that came before the pump are written at once",
		    test_bytes_that_came_before_the_pump_are_written_at_once },
		{ "a guest's reset resets the stream",
		    test_a_guests_reset_resets_the_stream },
		{ "a reset is noticed after the guest half-closed",
		    test_a_reset_is_noticed_after_the_guest_half_closed },
		{ "a reset is noticed while the stream is full",
		    test_a_reset_is_noticed_while_the_stream_is_full },
		{ "bytes left when both have ended still arrive",
		    test_bytes_left_when_both_have_ended_still_arrive },
		{ "a stream's reset resets the guest, with its code",
		    test_a_streams_reset_resets_the_guest_with_its_code },
		{ "a reset passes a guest that does not read",
		    test_a_reset_passes_a_guest_that_does_not_read },
		{ "a reset passes while the end is being sent",
		    test_a_reset_passes_while_the_end_is_being_sent },
		{ "a guest gone for good ends a stream that still sends",
		    test_a_guest_gone_for_good_ends_a_stream_that_still_sends },
		{ "a lost session resets the guest",
		    test_a_lost_session_resets_the_guest },
		{ "a lone socket is closed with a reset",
		    test_a_lone_socket_is_closed_with_a_reset },
		{ "a settled pump has consumed what the kernel has",
		    test_a_settled_pump_has_consumed_what_the_kernel_has },
		{ "a resumed pump moves nothing before its start",
		    test_a_resumed_pump_moves_nothing_before_its_start },
		{ "a resumed pump knows which half is over",
		    test_a_resumed_pump_knows_which_half_is_over },
		{ NULL, NULL }
	};

	return unit_main(tests);
}
