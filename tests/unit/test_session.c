/* Two sessions with each other's keys; the test itself is the network. */
#include "config.h"

#include "common/session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/budget.h"
#include "common/err.h"
#include "common/frame.h"
#include "common/pages.h"
#include "common/sent.h"
#include "tests/unit/ignore.h"
#include "tests/unit/unit.h"

#define ROOM 262144u

/* What one end's callbacks saw. */
struct end {
	struct session *s;
	struct stream *accepted;
	char name[64];
	unsigned opens, readables, writables, resets, closes;
	uint64_t reset_code, close_code;
};

static struct end client, gateway;
static const uint8_t id[RECORD_ID_LEN] = "sixteen bytes id";
static const uint8_t up[32] = "from the client to the gateway.";
static const uint8_t down[32] = "from the gateway to the client.";
static uint64_t now_ms = 1000, exchanges;
static uint64_t injected;		/* the number of what is injected */
static uint8_t bytes[ROOM];

static void on_readable(void *user, struct stream *st)
{
	(void)st;
	((struct end *)user)->readables++;
}

static void on_writable(void *user, struct stream *st)
{
	(void)st;
	((struct end *)user)->writables++;
}

static void on_reset(void *user, struct stream *st, uint64_t code)
{
	struct end *e = user;

	(void)st;
	e->resets++;
	e->reset_code = code;
}

static const struct stream_ops stream_ops = { on_readable, on_writable,
    on_reset };

static void on_open(void *ctx, struct stream *st, const char *name,
    size_t name_len)
{
	struct end *e = ctx;

	e->opens++;
	e->accepted = st;
	CU_ASSERT_TRUE_FATAL(name_len < sizeof(e->name));
	if (name_len > 0)
		memcpy(e->name, name, name_len);
	e->name[name_len] = '\0';
	stream_attach(st, &stream_ops, e);
}

static void on_close(void *ctx, uint64_t code, const char *text)
{
	struct end *e = ctx;

	(void)text;
	e->closes++;
	e->close_code = code;
}

static const struct session_ops session_ops = { on_open, ignore_wake,
    on_close };

static void start(struct end *e, bool even, const struct session_config *c)
{
	struct session_config cfg;

	*e = (struct end){ 0 };
	if (c != NULL) {
		cfg = *c;
		cfg.opens_even = even;
	} else {
		session_defaults(&cfg, even);
	}
	CU_ASSERT_EQUAL_FATAL(session_new(&e->s, id, &cfg, &session_ops, e),
	    0);
	CU_ASSERT_EQUAL(session_keys(e->s, 1, even ? up : down,
	    even ? down : up, true), 0);
	session_peer(e->s, cfg.initial_window, cfg.max_streams);
}

static void setup(const struct session_config *c)
{
	exchanges = 0;
	injected = 500;
	start(&client, true, c);
	start(&gateway, false, c);
}

static void teardown(void)
{
	session_free(client.s);
	session_free(gateway.s);
}

/* What one end has to say, as an exchange on the lane. */
static size_t fill(struct end *from, uint64_t lane, uint8_t *out)
{
	struct session_fill f = { .lane = lane, .exchange = ++exchanges,
	    .take = TAKE_ALL, .ack = true };
	bool ended;

	session_lane_begin(from->s, lane, f.exchange);
	return session_fill(from->s, &f, out, ROOM, now_ms, &ended);
}

static int deliver(struct end *to, const uint8_t *data, size_t len)
{
	struct session_seen seen;
	size_t n;
	int rc = 0;

	while (len > 0 && rc == 0) {
		CU_ASSERT_EQUAL_FATAL(record_peek(data, len, &n), 0);
		rc = session_receive(to->s, data, n, now_ms, &seen);
		data += n;
		len -= n;
	}
	return rc;
}

static void move(struct end *from, struct end *to)
{
	CU_ASSERT_EQUAL(deliver(to, bytes, fill(from, 0, bytes)), 0);
}

static struct stream *open_stream(const char *name)
{
	struct stream *st = NULL;

	CU_ASSERT_EQUAL_FATAL(stream_open(client.s, name, &st), 0);
	stream_attach(st, &stream_ops, &client);
	return st;
}

static void expect(struct stream *st, const char *text)
{
	char out[64] = { 0 };
	size_t n = stream_copy(st, out, sizeof(out) - 1);

	CU_ASSERT_EQUAL(n, strlen(text));
	CU_ASSERT_STRING_EQUAL(out, text);
	stream_consume(st, n);
}

static void test_sessions_share_their_pages_if_told_to(void)
{
	struct page_pool pages;
	struct session_config c;
	struct stream *st;

	page_pool_init(&pages, 100);
	session_defaults(&c, true);
	c.pages = &pages;
	setup(&c);
	st = open_stream("CN=A");
	CU_ASSERT_EQUAL(stream_write(st, bytes, 20000), 20000);
	CU_ASSERT_EQUAL(pages.used, 5);
	move(&client, &gateway);
	CU_ASSERT_EQUAL(pages.used, 10);
	teardown();
	CU_ASSERT_EQUAL(pages.used, 0);
	CU_ASSERT_EQUAL(pages.free_count, 10);
	page_pool_fini(&pages);
}

static void test_open_and_first_data_travel_in_one_record(void)
{
	struct stream *st;
	struct session_stats stats;

	setup(NULL);
	st = open_stream("CN=Mail1/O=Acme");
	CU_ASSERT_EQUAL(stream_write(st, "hello", 5), 5);
	move(&client, &gateway);
	session_get_stats(client.s, &stats);
	CU_ASSERT_EQUAL(stats.records_out, 1);
	CU_ASSERT_EQUAL(gateway.opens, 1);
	CU_ASSERT_STRING_EQUAL(gateway.name, "CN=Mail1/O=Acme");
	CU_ASSERT_EQUAL(gateway.readables, 1);
	expect(gateway.accepted, "hello");
	CU_ASSERT_EQUAL(stream_write(gateway.accepted, "there", 5), 5);
	move(&gateway, &client);
	expect(st, "there");
	teardown();
}

static void test_halves_end_one_by_one(void)
{
	struct stream *st;

	setup(NULL);
	st = open_stream(NULL);
	CU_ASSERT_EQUAL(stream_write(st, "ask", 3), 3);
	stream_finish(st);
	CU_ASSERT_EQUAL(stream_room(st), 0);
	move(&client, &gateway);
	expect(gateway.accepted, "ask");
	CU_ASSERT_TRUE(stream_at_end(gateway.accepted));
	CU_ASSERT_EQUAL(stream_write(gateway.accepted, "answer", 6), 6);
	stream_finish(gateway.accepted);
	stream_release(gateway.accepted);
	move(&gateway, &client);
	expect(st, "answer");
	CU_ASSERT_TRUE(stream_at_end(st));
	stream_release(st);
	move(&client, &gateway);
	move(&gateway, &client);
	CU_ASSERT_TRUE(session_is_idle(client.s));
	CU_ASSERT_TRUE(session_is_idle(gateway.s));
	CU_ASSERT_EQUAL(client.resets + gateway.resets, 0);
	teardown();
}

static void test_what_a_lane_lost_is_sent_again(void)
{
	struct stream *st;

	setup(NULL);
	st = open_stream("CN=A/O=B");
	CU_ASSERT_EQUAL(stream_write(st, "one", 3), 3);
	stream_finish(st);
	(void)fill(&client, 5, bytes);		/* lost */
	CU_ASSERT_TRUE(session_lane_pending(client.s, 5));
	CU_ASSERT_FALSE(session_has_work(client.s, TAKE_ALL, now_ms));
	CU_ASSERT_EQUAL(deliver(&gateway, bytes, fill(&client, 6, bytes)),
	    0);					/* another lane: not yet */
	CU_ASSERT_EQUAL(gateway.opens, 0);
	CU_ASSERT_EQUAL(deliver(&gateway, bytes, fill(&client, 5, bytes)),
	    0);
	CU_ASSERT_EQUAL_FATAL(gateway.opens, 1);
	expect(gateway.accepted, "one");
	CU_ASSERT_TRUE(stream_at_end(gateway.accepted));
	teardown();
}

/* A question that was lost goes at once, a lot that was lost with the bulk. */
static void test_much_that_was_lost_is_bulk(void)
{
	static const uint8_t much[2 * RECORD_PLAIN_MAX];
	struct stream *st;

	setup(NULL);
	st = open_stream(NULL);
	CU_ASSERT_EQUAL(stream_write(st, much, 1000), 1000);
	(void)fill(&client, 5, bytes);
	CU_ASSERT_FALSE(session_has_work(client.s, TAKE_QUICK, now_ms));
	session_lane_begin(client.s, 5, ++exchanges);
	CU_ASSERT_TRUE(session_has_work(client.s, TAKE_QUICK, now_ms));
	CU_ASSERT_EQUAL(stream_write(st, much, sizeof(much)), sizeof(much));
	(void)fill(&client, 5, bytes);
	now_ms += 10000;
	session_lane_begin(client.s, 5, ++exchanges);
	CU_ASSERT_TRUE(session_has_work(client.s, TAKE_BULK, now_ms));
	move(&client, &gateway);
	CU_ASSERT_FALSE(session_has_work(client.s, TAKE_BULK, now_ms));
	teardown();
}

/* On a slow path that takes longer than any pause between two answers. */
static void test_to_wait_for_a_window_is_no_pause(void)
{
	static const uint8_t much[ROOM / 2];
	struct stream *st;

	setup(NULL);
	session_peer(client.s, 2 * ROOM, 10);
	session_path_silent(client.s, now_ms);
	st = open_stream(NULL);
	CU_ASSERT_EQUAL(stream_write(st, much, sizeof(much)), sizeof(much));
	(void)fill(&client, 5, bytes);
	CU_ASSERT_TRUE(session_backlog(client.s) > 0);
	now_ms += 10000;
	CU_ASSERT_FALSE(session_has_work(client.s, TAKE_QUICK, now_ms));
	CU_ASSERT_FALSE(session_has_work(client.s, TAKE_BULK, now_ms));
	session_path_changed(client.s);		/* it is open again */
	CU_ASSERT_FALSE(session_asks(client.s, now_ms));
	CU_ASSERT_TRUE(session_has_work(client.s, TAKE_BULK, now_ms));
	(void)fill(&client, 6, bytes);
	CU_ASSERT_EQUAL(session_backlog(client.s), 0);
	now_ms += 1000;				/* now it has paused */
	CU_ASSERT_EQUAL(stream_write(st, much, 100), 100);
	CU_ASSERT_TRUE(session_has_work(client.s, TAKE_QUICK, now_ms));
	teardown();
}

/* What came is little, but the peer may have no window for more. */
static void test_a_backlog_is_acknowledged_soon(void)
{
	static const uint8_t some[5000];
	struct session_fill f = { .lane = 0, .exchange = 1,
	    .take = TAKE_ALL, .must_end = true };
	struct stream *st;
	bool ended;
	size_t n;

	setup(NULL);
	st = open_stream(NULL);
	CU_ASSERT_EQUAL(stream_write(st, some, sizeof(some)), sizeof(some));
	n = session_fill(client.s, &f, bytes, 2000, now_ms, &ended);
	CU_ASSERT_TRUE_FATAL(ended && session_backlog(client.s) > 0);
	CU_ASSERT_EQUAL(deliver(&gateway, bytes, n), 0);
	CU_ASSERT_TRUE(session_owes_ack(gateway.s));
	CU_ASSERT_TRUE(session_ack_at(gateway.s) <= now_ms + SESSION_ACK_MS);
	move(&gateway, &client);
	f.exchange = 2;
	n = session_fill(client.s, &f, bytes, ROOM, now_ms, &ended);
	CU_ASSERT_TRUE_FATAL(ended && session_backlog(client.s) == 0);
	CU_ASSERT_EQUAL(deliver(&gateway, bytes, n), 0);
	CU_ASSERT_FALSE(session_owes_ack(gateway.s));
	CU_ASSERT_EQUAL(session_ack_at(gateway.s), UINT64_MAX);
	teardown();
}

static void test_a_broken_lane_rule_loses_bytes(void)
{
	setup(NULL);
	session_break_lane_rule(client.s);
	(void)open_stream("CN=A/O=B");
	(void)fill(&client, 5, bytes);
	CU_ASSERT_EQUAL(deliver(&gateway, bytes, fill(&client, 5, bytes)),
	    0);
	CU_ASSERT_EQUAL(gateway.opens, 0);
	teardown();
}

static void test_repeated_records_are_dropped(void)
{
	struct session_stats stats;
	struct stream *st;
	size_t n;

	setup(NULL);
	st = open_stream(NULL);
	CU_ASSERT_EQUAL(stream_write(st, "x", 1), 1);
	n = fill(&client, 0, bytes);
	CU_ASSERT_EQUAL(deliver(&gateway, bytes, n), 0);
	CU_ASSERT_EQUAL(deliver(&gateway, bytes, n), 0);
	CU_ASSERT_EQUAL(deliver(&gateway, bytes, n), 0);
	session_get_stats(gateway.s, &stats);
	CU_ASSERT_EQUAL(stats.duplicates, 2);
	CU_ASSERT_EQUAL(gateway.opens, 1);
	expect(gateway.accepted, "x");
	teardown();
}

static void test_any_flipped_bit_is_refused(void)
{
	struct session_seen seen;
	size_t n;

	setup(NULL);
	(void)open_stream("CN=A/O=B");
	n = fill(&client, 0, bytes);
	for (size_t i = 0; i < n; i++)
		for (unsigned bit = 0; bit < 8; bit++) {
			bytes[i] ^= (uint8_t)(1u << bit);
			CU_ASSERT_EQUAL(session_receive(gateway.s, bytes, n,
			    now_ms, &seen), ERR_CRYPTO);
			bytes[i] ^= (uint8_t)(1u << bit);
		}
	CU_ASSERT_EQUAL(gateway.opens, 0);
	CU_ASSERT_EQUAL(deliver(&gateway, bytes, n), 0);
	CU_ASSERT_EQUAL(gateway.opens, 1);
	teardown();
}

static void test_data_may_arrive_before_open(void)
{
	static uint8_t first[ROOM];
	struct stream *st;
	size_t n;

	setup(NULL);
	st = open_stream("CN=A/O=B");
	n = fill(&client, 0, first);
	CU_ASSERT_EQUAL(stream_write(st, "late", 4), 4);
	CU_ASSERT_EQUAL(deliver(&gateway, bytes, fill(&client, 1, bytes)),
	    0);
	CU_ASSERT_EQUAL(gateway.opens, 0);
	CU_ASSERT_EQUAL(deliver(&gateway, first, n), 0);
	CU_ASSERT_EQUAL_FATAL(gateway.opens, 1);
	CU_ASSERT_EQUAL(gateway.readables, 1);
	expect(gateway.accepted, "late");
	teardown();
}

static void test_reset_reaches_the_other_end_and_frees_both(void)
{
	struct stream *st;

	setup(NULL);
	st = open_stream(NULL);
	CU_ASSERT_EQUAL(stream_write(st, "gone", 4), 4);
	move(&client, &gateway);
	stream_reset(st, STREAM_PEER_RESET);
	move(&client, &gateway);
	CU_ASSERT_EQUAL(gateway.resets, 1);
	CU_ASSERT_EQUAL(gateway.reset_code, STREAM_PEER_RESET);
	move(&gateway, &client);
	CU_ASSERT_EQUAL(client.resets, 0);
	CU_ASSERT_TRUE(session_is_idle(client.s));
	move(&client, &gateway);
	CU_ASSERT_TRUE(session_is_idle(gateway.s));
	teardown();
}

static void test_a_full_window_stops_the_writer_until_it_is_read(void)
{
	static uint8_t data[200000];
	struct stream *st;
	const uint8_t *p;
	size_t sent, got = 0, n;

	setup(NULL);
	st = open_stream(NULL);
	sent = stream_write(st, data, sizeof(data));
	CU_ASSERT_TRUE(sent < sizeof(data));
	CU_ASSERT_EQUAL(stream_room(st), 0);
	move(&client, &gateway);
	move(&gateway, &client);		/* acknowledged, not read */
	CU_ASSERT_EQUAL(client.writables, 0);
	while ((n = stream_peek(gateway.accepted, &p)) > 0) {
		stream_consume(gateway.accepted, n);
		got += n;
	}
	CU_ASSERT_EQUAL(got, 65536);		/* the initial window */
	move(&gateway, &client);		/* a wider one */
	CU_ASSERT_EQUAL(client.writables, 1);
	CU_ASSERT_TRUE(stream_room(st) > 0);
	teardown();
}

/*
 * Send until `want` bytes are queued or nothing moves any more, while the
 * other end reads all or nothing. Returns the bytes queued.
 */
static uint64_t pump(struct stream *st, struct stream *to, uint64_t want,
    bool reading)
{
	static uint8_t data[65536];
	uint64_t queued = 0;
	const uint8_t *p;
	size_t n, moved;

	do {
		while ((n = stream_write(st, data, sizeof(data))) > 0)
			queued += n;
		moved = fill(&client, 0, bytes);
		CU_ASSERT_EQUAL(deliver(&gateway, bytes, moved), 0);
		while (reading && (n = stream_peek(to, &p)) > 0)
			stream_consume(to, n);
		move(&gateway, &client);
	} while (queued < want && moved > 1000);
	return queued;
}

static void test_windows_grow_with_use_and_memory_stays_capped(void)
{
	struct session_config c;
	struct session_stats s;
	struct stream *st;

	session_defaults(&c, false);
	setup(&c);
	for (size_t i = 0; i < 4; i++) {
		st = open_stream(NULL);
		move(&client, &gateway);
		/* Used well, then nobody reads any more. */
		(void)pump(st, gateway.accepted, 40u << 20, true);
		(void)pump(st, gateway.accepted, UINT64_MAX, false);
		session_get_stats(client.s, &s);
		CU_ASSERT_TRUE(s.send_bytes <= c.send_max + 65536);
		session_get_stats(gateway.s, &s);
		CU_ASSERT_TRUE(s.recv_bytes >= c.window_pool / 2);
		CU_ASSERT_TRUE(s.recv_bytes <=
		    c.window_pool + 4 * c.initial_window);
	}
	/* And one more is not starved by those that stand still. */
	st = open_stream(NULL);
	move(&client, &gateway);
	CU_ASSERT_TRUE(pump(st, gateway.accepted, 4u << 20, true) >=
	    4u << 20);
	teardown();
}

static void test_streams_take_turns(void)
{
	static uint8_t data[65536];
	struct session_fill f = { .lane = 0, .exchange = 1,
	    .take = TAKE_ALL };
	struct stream *bulk, *small;
	bool ended;
	size_t n;

	setup(NULL);
	bulk = open_stream(NULL);
	move(&client, &gateway);
	CU_ASSERT_EQUAL(stream_write(bulk, data, sizeof(data)),
	    sizeof(data));
	small = open_stream("CN=A/O=B");
	CU_ASSERT_EQUAL(stream_write(small, "quick", 5), 5);
	/* Room for two records: the small one is not behind all the bulk. */
	n = session_fill(client.s, &f, bytes, 2 * RECORD_MAX, now_ms, &ended);
	CU_ASSERT_EQUAL(deliver(&gateway, bytes, n), 0);
	CU_ASSERT_STRING_EQUAL(gateway.name, "CN=A/O=B");
	expect(gateway.accepted, "quick");
	teardown();
}

static void test_only_so_many_streams_at_once(void)
{
	struct session_config c;
	struct stream *st;

	session_defaults(&c, false);
	c.max_streams = 3;
	setup(&c);
	for (int i = 0; i < 3; i++)
		(void)open_stream(NULL);
	CU_ASSERT_EQUAL(stream_open(client.s, NULL, &st), ERR_LIMIT);
	/* A client that does not care is told so, stream by stream ... */
	session_peer(client.s, 65536, 100);
	(void)open_stream(NULL);
	move(&client, &gateway);
	move(&gateway, &client);
	CU_ASSERT_EQUAL(client.resets, 1);
	CU_ASSERT_EQUAL(client.reset_code, STREAM_LIMIT);
	/* ... and thrown out when it goes on. */
	for (int i = 0; i < 80; i++)
		(void)open_stream(NULL);
	CU_ASSERT_NOT_EQUAL(deliver(&gateway, bytes, fill(&client, 0,
	    bytes)), 0);
	CU_ASSERT_EQUAL(gateway.closes, 1);
	CU_ASSERT_EQUAL(gateway.close_code, SESSION_PROTOCOL);
	teardown();
}

static void test_new_keys_count_from_their_first_record(void)
{
	static const uint8_t up2[32] = "from client, second generation.";
	static const uint8_t down2[32] = "from gateway, second generation";
	static uint8_t old[ROOM];
	struct stream *st;
	size_t n;

	setup(NULL);
	st = open_stream(NULL);
	move(&client, &gateway);
	CU_ASSERT_EQUAL(session_keys(gateway.s, 1, down2, up2, false),
	    ERR_STATE);				/* not a new generation */
	CU_ASSERT_EQUAL(session_keys(gateway.s, 2, down2, up2, false), 0);
	CU_ASSERT_FALSE(session_confirmed(gateway.s, 2));
	CU_ASSERT_EQUAL(stream_write(gateway.accepted, "old", 3), 3);
	move(&gateway, &client);		/* still under the old ones */
	expect(st, "old");
	CU_ASSERT_EQUAL(stream_write(st, "before", 6), 6);
	n = fill(&client, 1, old);		/* on its way meanwhile */
	CU_ASSERT_EQUAL(session_keys(client.s, 2, up2, down2, true), 0);
	CU_ASSERT_EQUAL(stream_write(st, " after", 6), 6);
	move(&client, &gateway);
	CU_ASSERT_TRUE(session_confirmed(gateway.s, 2));
	CU_ASSERT_EQUAL(deliver(&gateway, old, n), 0);
	expect(gateway.accepted, "before after");
	CU_ASSERT_EQUAL(stream_write(gateway.accepted, "new", 3), 3);
	move(&gateway, &client);
	expect(st, "new");
	teardown();
}

static void test_close_resets_streams_and_tells_the_peer(void)
{
	setup(NULL);
	(void)open_stream(NULL);
	move(&client, &gateway);
	session_close(gateway.s, SESSION_SHUTDOWN, "going down");
	CU_ASSERT_EQUAL(gateway.resets, 1);
	CU_ASSERT_EQUAL(deliver(&client, bytes, fill(&gateway, 0, bytes)),
	    ERR_CLOSED);
	CU_ASSERT_EQUAL(client.closes, 1);
	CU_ASSERT_EQUAL(client.close_code, SESSION_SHUTDOWN);
	CU_ASSERT_EQUAL(client.resets, 1);
	CU_ASSERT_EQUAL(client.reset_code, STREAM_SESSION_LOST);
	teardown();
}

static void test_close_may_have_nothing_to_say(void)
{
	setup(NULL);
	session_close(gateway.s, SESSION_OK, "");
	CU_ASSERT_EQUAL(deliver(&client, bytes, fill(&gateway, 0, bytes)),
	    ERR_CLOSED);
	CU_ASSERT_EQUAL(client.closes, 1);
	teardown();
}

static void test_ping_is_answered(void)
{
	struct session_stats stats;

	setup(NULL);
	session_ping(client.s);
	move(&client, &gateway);
	now_ms += 42;
	CU_ASSERT_TRUE(session_has_work(gateway.s, TAKE_ALL, now_ms));
	move(&gateway, &client);
	session_get_stats(client.s, &stats);
	CU_ASSERT_EQUAL(stats.ping_rtt_ms, 42);
	teardown();
}

/* A record from the gateway's end of the client's key, with any frames. */
static int inject(void (*put)(struct wire_out *w))
{
	struct record_key *key;
	struct session_seen seen;
	uint8_t plain[256];
	struct wire_out w = { plain, sizeof(plain) };
	uint64_t number;
	size_t len;
	int rc;

	CU_ASSERT_EQUAL_FATAL(record_key_new(&key, up, 1, id), 0);
	record_key_set_next(key, injected);
	put(&w);
	CU_ASSERT_EQUAL_FATAL(record_seal(key, plain,
	    (size_t)(w.p - plain), bytes, &len, &number), 0);
	record_key_free(key);
	rc = session_receive(gateway.s, bytes, len, now_ms, &seen);
	if (rc == ERR_PROTO) {
		CU_ASSERT_EQUAL(gateway.closes, 1);
		CU_ASSERT_EQUAL(gateway.close_code, SESSION_PROTOCOL);
	}
	return rc;
}

static void put_ack_of_nothing_sent(struct wire_out *w)
{
	struct ranges r;
	bool whole;

	ranges_init(&r, 4);
	CU_ASSERT_EQUAL(ranges_add(&r, 7, 8), 0);
	CU_ASSERT_EQUAL(frame_put_ack(w, &r, 0, &whole), 0);
	ranges_fini(&r);
}

static void put_open_of_ours(struct wire_out *w)
{
	CU_ASSERT_EQUAL(frame_put_open(w, 1, "x", 1), 0);
}

static void put_window_for_unknown(struct wire_out *w)
{
	CU_ASSERT_EQUAL(frame_put_window(w, 8, 9), 0);
}

static void put_data_beyond_window(struct wire_out *w)
{
	CU_ASSERT_EQUAL(frame_put_data_head(w, 0, 65536, 1, false), 0);
	*w->p++ = 'x';
	w->left--;
}

static void put_late_exchange(struct wire_out *w)
{
	CU_ASSERT_EQUAL(frame_put_ping(w, 1), 0);
	CU_ASSERT_EQUAL(frame_put_exchange(w, 0, 1, 0, 0), 0);
}

static void put_bad_lane(struct wire_out *w)
{
	CU_ASSERT_EQUAL(frame_put_exchange(w, SESSION_LANES, 1, 0, 0), 0);
}

static void put_window_for_ours_unopened(struct wire_out *w)
{
	CU_ASSERT_EQUAL(frame_put_window(w, 1, 9), 0);
}

static void put_too_many_streams(struct wire_out *w)
{
	for (uint64_t i = 0; i < 67; i++)
		CU_ASSERT_EQUAL(frame_put_open(w, 2 * i, NULL, 0), 0);
}

static void put_garbage(struct wire_out *w)
{
	CU_ASSERT_EQUAL(wire_put_u8(w, 0x3f), 0);
}

static void test_a_peer_that_breaks_the_protocol_ends_the_session(void)
{
	static void (*const put[])(struct wire_out *w) = {
		put_ack_of_nothing_sent, put_open_of_ours,
		put_window_for_unknown, put_data_beyond_window,
		put_late_exchange, put_bad_lane, put_garbage,
		put_window_for_ours_unopened, put_too_many_streams,
	};
	struct session_config c;

	session_defaults(&c, true);
	c.max_streams = 1;	/* and 65 that are refused */
	for (size_t i = 0; i < sizeof(put) / sizeof(put[0]); i++) {
		setup(&c);
		CU_ASSERT_EQUAL(inject(put[i]), ERR_PROTO);
		CU_ASSERT_TRUE(session_is_closed(gateway.s));
		teardown();
	}
}

static void put_reset_before_open(struct wire_out *w)
{
	CU_ASSERT_EQUAL(frame_put_reset(w, 0, STREAM_PEER_RESET), 0);
}

static void test_open_after_its_reset_opens_nothing(void)
{
	setup(NULL);
	CU_ASSERT_EQUAL(inject(put_reset_before_open), 0);
	(void)open_stream("CN=A/O=B");		/* stream 0 */
	move(&client, &gateway);
	CU_ASSERT_EQUAL(gateway.opens, 0);
	CU_ASSERT_TRUE(session_is_idle(gateway.s));
	teardown();
}

/* Numbers with a hole each: the set of those seen stays bounded. */
static void test_holes_in_the_numbers_cost_bounded_memory(void)
{
	struct session_stats stats;
	struct stream *st;

	setup(NULL);
	st = open_stream(NULL);
	move(&client, &gateway);
	for (unsigned i = 0; i < 5000; i++) {
		(void)fill(&client, 1, bytes);	/* lost, for the ACK in it */
		CU_ASSERT_EQUAL(stream_write(st, "x", 1), 1);
		(void)fill(&client, 0, bytes);	/* lost */
		CU_ASSERT_EQUAL_FATAL(deliver(&gateway, bytes, fill(&client,
		    0, bytes)), 0);
		stream_consume(gateway.accepted, 1);
		move(&gateway, &client);
	}
	session_get_stats(gateway.s, &stats);
	CU_ASSERT_EQUAL(stats.recv_bytes, 0);
	move(&client, &gateway);
	session_get_stats(client.s, &stats);
	CU_ASSERT_EQUAL(stats.send_bytes, 0);
	teardown();
}

static unsigned holes_from;

/* Every other byte of a stream. */
static void put_holes(struct wire_out *w)
{
	unsigned at = holes_from;

	for (; at < holes_from + 40; at += 2) {
		CU_ASSERT_EQUAL(frame_put_data_head(w, 0, at + 1, 1, false),
		    0);
		CU_ASSERT_EQUAL(wire_put_u8(w, 'x'), 0);
	}
	holes_from = at;
}

static int inject_at(void (*put)(struct wire_out *w), uint64_t number)
{
	injected = number;
	return inject(put);
}

static void test_a_stream_full_of_holes_is_reset(void)
{
	unsigned records = 0;

	setup(NULL);
	(void)open_stream(NULL);
	move(&client, &gateway);
	for (holes_from = 0; gateway.resets == 0 && records < 100; records++)
		CU_ASSERT_EQUAL_FATAL(inject_at(put_holes, 500 + records), 0);
	CU_ASSERT_EQUAL(gateway.resets, 1);
	CU_ASSERT_EQUAL(gateway.reset_code, STREAM_LIMIT);
	CU_ASSERT_TRUE(records > 50);	/* a thousand are fine */
	CU_ASSERT_FALSE(session_is_closed(gateway.s));
	CU_ASSERT_TRUE(session_has_work(gateway.s, TAKE_QUICK, now_ms));
	teardown();
}

/* Fill without end in one exchange, byte by byte; nobody acknowledges. */
static void test_records_without_acknowledgement_are_bounded(void)
{
	struct session_fill f = { .lane = 3, .exchange = 1,
	    .take = TAKE_ALL };
	unsigned records = 0, written = 0;
	struct stream *st;
	bool ended;

	setup(NULL);
	st = open_stream(NULL);
	do {
		written += (unsigned)stream_write(st, "x", 1);
		records++;
	} while (session_fill(client.s, &f, bytes, ROOM, now_ms, &ended) > 0 &&
	    records < 20000);
	CU_ASSERT_EQUAL(records, SENT_RECORDS_MAX + 1);
	CU_ASSERT_TRUE(session_has_work(client.s, TAKE_ALL, now_ms));
	/* All of them are lost, and nothing is. */
	session_lane_begin(client.s, 3, 2);
	move(&client, &gateway);
	CU_ASSERT_EQUAL_FATAL(gateway.opens, 1);
	CU_ASSERT_EQUAL(stream_copy(gateway.accepted, bytes, ROOM), written);
	teardown();
}

/* The peer hears of each reset, but what it says of that comes to nothing. */
static void test_a_peer_whose_resets_are_repeated_may_go_on(void)
{
	struct session_config c;
	struct stream *st;

	session_defaults(&c, true);
	c.max_streams = 1;
	setup(&c);
	(void)open_stream(NULL);
	move(&client, &gateway);
	session_peer(client.s, c.initial_window, 2);	/* as if */
	for (unsigned i = 0; i < 5; i++) {
		CU_ASSERT_EQUAL_FATAL(stream_open(client.s, NULL, &st), 0);
		stream_attach(st, &stream_ops, &client);
		move(&client, &gateway);
		CU_ASSERT_EQUAL(deliver(&client, bytes, fill(&gateway, 1,
		    bytes)), 0);
		CU_ASSERT_EQUAL(client.resets, i + 1);
		session_lane_begin(gateway.s, 1, ++exchanges);
	}
	CU_ASSERT_FALSE(session_is_closed(gateway.s));
	teardown();
}

static void put_padding(struct wire_out *w)
{
	CU_ASSERT_EQUAL(frame_put_padding(w, 100), 0);
}

static void test_padding_means_nothing(void)
{
	setup(NULL);
	CU_ASSERT_EQUAL(inject(put_padding), 0);
	teardown();
}

/* Both directions count; no stream is starved by it. */
static void test_a_budget_bounds_both_directions(void)
{
	struct budget shared = { .max = 3u << 20 };
	struct session_config c;
	struct session_stats s;
	struct stream *st[2], *peer[2];

	session_defaults(&c, false);
	start(&client, true, NULL);
	c.budget = &shared;
	start(&gateway, false, &c);
	for (size_t i = 0; i < 2; i++) {
		st[i] = open_stream(NULL);
		move(&client, &gateway);
		peer[i] = gateway.accepted;
		(void)pump(st[i], peer[i], 40u << 20, true);
		(void)pump(st[i], peer[i], UINT64_MAX, false);
		CU_ASSERT_TRUE(shared.used <= shared.max);
	}
	session_get_stats(gateway.s, &s);
	CU_ASSERT_TRUE(s.recv_bytes > shared.max / 2);
	CU_ASSERT_TRUE(s.recv_bytes <= shared.max + 2 * c.initial_window);
	/* Nothing is left for the other direction but what is always there. */
	shared.max = 0;
	CU_ASSERT_EQUAL(stream_room(peer[0]), 16384);
	CU_ASSERT_EQUAL(stream_write(peer[0], bytes, 16384), 16384);
	CU_ASSERT_EQUAL(stream_room(peer[0]), 0);
	move(&gateway, &client);
	move(&client, &gateway);
	CU_ASSERT_EQUAL(gateway.writables, 1);
	CU_ASSERT_EQUAL(stream_room(peer[0]), 16384);
	st[0] = open_stream(NULL);
	move(&client, &gateway);
	CU_ASSERT_TRUE(pump(st[0], gateway.accepted, 4u << 20, true) >=
	    4u << 20);
	session_free(gateway.s);
	CU_ASSERT_EQUAL(shared.used, 0);
	session_free(client.s);
}

/* What somebody on the way has recorded, sent again and again. */
#define REPLAYED 50000u
#define REPLAYS 20u

static void test_a_million_old_records_do_nothing(void)
{
	static uint8_t old[REPLAYED][128];
	static size_t len[REPLAYED];
	struct session_stats before, after;
	struct timespec begin, end;
	struct session_seen seen;
	struct stream *st;
	double took_s;

	setup(NULL);
	st = open_stream(NULL);
	move(&client, &gateway);
	for (size_t i = 0; i < REPLAYED; i++) {
		CU_ASSERT_EQUAL_FATAL(stream_write(st, "x", 1), 1);
		len[i] = fill(&client, 0, bytes);
		CU_ASSERT_TRUE_FATAL(len[i] <= sizeof(old[i]));
		memcpy(old[i], bytes, len[i]);
		CU_ASSERT_EQUAL_FATAL(deliver(&gateway, bytes, len[i]), 0);
		stream_consume(gateway.accepted, 1);
		move(&gateway, &client);
	}
	move(&gateway, &client);
	session_get_stats(gateway.s, &before);
	clock_gettime(CLOCK_MONOTONIC, &begin);
	for (size_t i = 0; i < REPLAYS * REPLAYED; i++) {
		const uint8_t *record = old[i % REPLAYED];

		CU_ASSERT_EQUAL_FATAL(session_receive(gateway.s, record,
		    len[i % REPLAYED], now_ms, &seen), 0);
		CU_ASSERT_TRUE_FATAL(seen.duplicate);
	}
	clock_gettime(CLOCK_MONOTONIC, &end);
	took_s = (double)(end.tv_sec - begin.tv_sec) +
	    (double)(end.tv_nsec - begin.tv_nsec) / 1e9;
	printf("# %.2f us for each of %u records\n",
	    took_s * 1e6 / (REPLAYS * REPLAYED), REPLAYS * REPLAYED);
	session_get_stats(gateway.s, &after);
	CU_ASSERT_EQUAL(after.duplicates - before.duplicates,
	    REPLAYS * REPLAYED);
	CU_ASSERT_EQUAL(after.recv_bytes, 0);
	CU_ASSERT_FALSE(session_has_work(gateway.s, TAKE_ALL, now_ms));
	CU_ASSERT_EQUAL(session_ack_at(gateway.s), UINT64_MAX);
	teardown();
}

static void put_ping(struct wire_out *w)
{
	CU_ASSERT_EQUAL(frame_put_ping(w, 1), 0);
}

/* Beyond so many holes the lowest numbers count as seen. */
static void test_the_oldest_holes_in_the_numbers_are_given_up(void)
{
	struct session_stats stats;

	setup(NULL);
	for (uint64_t i = 0; i < 1100; i++)
		CU_ASSERT_EQUAL(inject_at(put_ping, 500 + 2 * i), 0);
	session_get_stats(gateway.s, &stats);
	CU_ASSERT_EQUAL(stats.duplicates, 0);
	CU_ASSERT_EQUAL(inject_at(put_ping, 500 + 2 * 1099 - 1), 0);
	CU_ASSERT_EQUAL(inject_at(put_ping, 501), 0);	/* so far back: */
	session_get_stats(gateway.s, &stats);
	CU_ASSERT_EQUAL(stats.duplicates, 1);
	teardown();
}

static void test_no_stream_opens_where_none_can(void)
{
	char name[FRAME_NAME_MAX + 2];
	struct stream *st;

	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	setup(NULL);
	CU_ASSERT_EQUAL(stream_open(client.s, name, &st), ERR_LIMIT);
	st = open_stream(name + 1);
	CU_ASSERT_PTR_EQUAL(stream_session(st), client.s);
	CU_ASSERT_PTR_EQUAL(stream_user(st), &client);
	session_close(client.s, SESSION_OK, "leaving");
	CU_ASSERT_EQUAL(stream_open(client.s, NULL, &st), ERR_CLOSED);
	teardown();
}

static void test_every_code_has_a_text_of_its_own(void)
{
	const char *unknown = stream_code_text(STREAM_IDLE + 1);

	for (uint64_t a = 0; a <= STREAM_IDLE; a++) {
		CU_ASSERT_STRING_NOT_EQUAL(stream_code_text(a), unknown);
		for (uint64_t b = 0; b < a; b++)
			CU_ASSERT_STRING_NOT_EQUAL(stream_code_text(a),
			    stream_code_text(b));
	}
	CU_ASSERT_STRING_EQUAL(stream_code_text(UINT64_MAX), unknown);
}

static void test_less_than_a_head_is_no_record(void)
{
	struct session_seen seen;

	setup(NULL);
	CU_ASSERT_EQUAL(session_receive(gateway.s, bytes, RECORD_HEAD - 1,
	    now_ms, &seen), ERR_CRYPTO);
	teardown();
}

/* A question on a new stream, at this time; its other end. */
static struct stream *ask(uint64_t at_ms)
{
	struct stream *st = open_stream(NULL);

	now_ms = at_ms;
	CU_ASSERT_EQUAL(stream_write(st, "question", 8), 8);
	move(&client, &gateway);
	return gateway.accepted;
}

static void answer(struct stream *st, uint64_t at_ms)
{
	now_ms = at_ms;
	CU_ASSERT_EQUAL(stream_write(st, "answer", 6), 6);
	move(&gateway, &client);
}

/* Answers take 100 ms here: a question is overdue after 300. */
static void test_the_oldest_question_without_an_answer_counts(void)
{
	struct stream *first, *second, *third;
	const uint64_t t = 10000, answers = 100, overdue = 300;

	setup(NULL);
	CU_ASSERT_EQUAL(session_overdue_at(client.s), UINT64_MAX);
	answer(ask(t - answers), t);
	CU_ASSERT_EQUAL(session_overdue_at(client.s), UINT64_MAX);
	first = ask(t + 10);
	second = ask(t + 20);
	third = ask(t + 30);
	CU_ASSERT_EQUAL(session_asking(client.s), 3);
	CU_ASSERT_EQUAL(session_overdue_at(client.s), t + 10 + overdue);
	CU_ASSERT_EQUAL(session_give_patience(client.s), t + 10);
	CU_ASSERT_EQUAL(session_overdue_at(client.s), UINT64_MAX);
	(void)ask(t + 40);
	(void)ask(t + 50);
	answer(second, t + 60);
	answer(third, t + 60);
	answer(first, t + 60);
	CU_ASSERT_EQUAL(session_asking(client.s), 2);
	CU_ASSERT_EQUAL(session_overdue_at(client.s), t + 40 + overdue);
	answer(gateway.accepted, t + 60);
	CU_ASSERT_EQUAL(session_asking(client.s), 1);
	CU_ASSERT_EQUAL(session_give_patience(client.s), t + 40);
	teardown();
}

int main(void)
{
	static const struct unit_test tests[] = {
		{ "sessions share their pages if told to",
		    test_sessions_share_their_pages_if_told_to },
		{ "OPEN and first data travel in one record",
		    test_open_and_first_data_travel_in_one_record },
		{ "halves end one by one", test_halves_end_one_by_one },
		{ "what a lane lost is sent again",
		    test_what_a_lane_lost_is_sent_again },
		{ "much that was lost is bulk",
		    test_much_that_was_lost_is_bulk },
		{ "to wait for a window is no pause",
		    test_to_wait_for_a_window_is_no_pause },
		{ "a backlog is acknowledged soon",
		    test_a_backlog_is_acknowledged_soon },
		{ "a broken lane rule loses bytes",
		    test_a_broken_lane_rule_loses_bytes },
		{ "repeated records are dropped",
		    test_repeated_records_are_dropped },
		{ "any flipped bit is refused",
		    test_any_flipped_bit_is_refused },
		{ "DATA may arrive before OPEN",
		    test_data_may_arrive_before_open },
		{ "a reset reaches the other end and frees both",
		    test_reset_reaches_the_other_end_and_frees_both },
		{ "a full window stops the writer until it is read",
		    test_a_full_window_stops_the_writer_until_it_is_read },
		{ "windows grow with use and memory stays capped",
		    test_windows_grow_with_use_and_memory_stays_capped },
		{ "streams take turns", test_streams_take_turns },
		{ "only so many streams at once",
		    test_only_so_many_streams_at_once },
		{ "new keys count from their first record",
		    test_new_keys_count_from_their_first_record },
		{ "CLOSE resets streams and tells the peer",
		    test_close_resets_streams_and_tells_the_peer },
		{ "CLOSE may have nothing to say",
		    test_close_may_have_nothing_to_say },
		{ "PING is answered", test_ping_is_answered },
		{ "a peer that breaks the protocol ends the session",
		    test_a_peer_that_breaks_the_protocol_ends_the_session },
		{ "OPEN after its RESET opens nothing",
		    test_open_after_its_reset_opens_nothing },
		{ "holes in the numbers cost bounded memory",
		    test_holes_in_the_numbers_cost_bounded_memory },
		{ "a stream full of holes is reset",
		    test_a_stream_full_of_holes_is_reset },
		{ "records without acknowledgement are bounded",
		    test_records_without_acknowledgement_are_bounded },
		{ "a peer whose resets are repeated may go on",
		    test_a_peer_whose_resets_are_repeated_may_go_on },
		{ "padding means nothing", test_padding_means_nothing },
		{ "the oldest holes in the numbers are given up",
		    test_the_oldest_holes_in_the_numbers_are_given_up },
		{ "no stream opens where none can",
		    test_no_stream_opens_where_none_can },
		{ "every code has a text of its own",
		    test_every_code_has_a_text_of_its_own },
		{ "less than a head is no record",
		    test_less_than_a_head_is_no_record },
		{ "a budget bounds both directions",
		    test_a_budget_bounds_both_directions },
		{ "the oldest question without an answer counts",
		    test_the_oldest_question_without_an_answer_counts },
		{ "a million old records do nothing",
		    test_a_million_old_records_do_nothing },
		{ NULL, NULL }
	};

	return unit_main(tests);
}
