/*
 * The gateway's end of a session is written down and made anew in the midst of
 * traffic that loses exchanges; the client's end must not notice.
 */
#include "config.h"

#include "common/session_state.h"

#include <stdlib.h>
#include <string.h>

#include "common/budget.h"
#include "common/buf.h"
#include "common/err.h"
#include "tests/unit/ignore.h"
#include "tests/unit/unit.h"

#define ROOM 65536u
#define STREAMS 5u
#define TOTAL 120000u		/* bytes each way on a stream */
#define LANES 3u
#define SEEDS 60u
#define STEPS_MAX 4000u

/* One end of one stream. */
struct half {
	struct stream *st;
	uint64_t written, read;
	bool finished, at_end, lost;
};

struct end {
	struct session *s;
	bool is_client;
	struct half half[STREAMS];
	uint64_t last_number;		/* that it has sealed */
	bool closed;
};

static struct end client, gateway;
static uint64_t random_state, now_ms, exchange[LANES];
static const uint8_t id[RECORD_ID_LEN] = "sixteen bytes id";
static const uint8_t up[32] = "from the client to the gateway.";
static const uint8_t down[32] = "from the gateway to the client.";
static uint8_t wire[ROOM];
static struct buf state;
static struct budget budget = { .max = UINT64_MAX };

static uint64_t roll(uint64_t sides)
{
	random_state = random_state * 6364136223846793005u +
	    1442695040888963407u;
	return (random_state >> 33) % sides;
}

/* ---- what the streams carry ------------------------------------------- */

static uint8_t byte_at(bool from_client, unsigned stream, uint64_t offset)
{
	return (uint8_t)((offset * 167 >> 3) + offset + stream * 31 +
	    (from_client ? 7 : 0));
}

static void do_read(struct end *e, unsigned i)
{
	struct half *h = &e->half[i];
	const uint8_t *p;
	size_t n;

	while ((n = stream_peek(h->st, &p)) > 0) {
		if (roll(8) == 0)
			return;		/* later */
		if (n > 3000)
			n = 1 + roll(3000);
		for (size_t k = 0; k < n; k++)
			if (p[k] != byte_at(!e->is_client, i, h->read + k))
				CU_FAIL_FATAL("a wrong byte");
		h->read += n;
		stream_consume(h->st, n);
	}
	h->at_end = stream_at_end(h->st);
}

static void do_write(struct end *e, unsigned i)
{
	struct half *h = &e->half[i];
	uint8_t piece[5000];
	size_t len = 1 + roll(sizeof(piece));

	if (len > TOTAL - h->written)
		len = (size_t)(TOTAL - h->written);
	for (size_t k = 0; k < len; k++)
		piece[k] = byte_at(e->is_client, i, h->written + k);
	h->written += stream_write(h->st, piece, len);
	if (h->written == TOTAL && !h->finished) {
		stream_finish(h->st);
		h->finished = true;
	}
}

static void on_event(void *user, struct stream *st)
{
	(void)user;		/* the test looks by itself */
	(void)st;
}

static void on_reset(void *user, struct stream *st, uint64_t code)
{
	struct half *h = user;

	(void)st;
	(void)code;
	h->st = NULL;
	h->lost = true;
}

static const struct stream_ops stream_ops = { on_event, on_event, on_reset };

static void on_open(void *ctx, struct stream *st, const char *name,
    size_t name_len)
{
	struct end *e = ctx;
	unsigned i = (unsigned)stream_id(st) / 2;

	(void)name;
	CU_ASSERT_EQUAL(name_len, 4 * (i % 2));
	e->half[i].st = st;
	stream_attach(st, &stream_ops, &e->half[i]);
}

static void on_close(void *ctx, uint64_t code, const char *text)
{
	struct end *e = ctx;

	(void)code;
	(void)text;
	e->closed = true;
}

static const struct session_ops session_ops = { on_open, ignore_wake,
    on_close };

/* ---- two ends --------------------------------------------------------- */

static void start(struct end *e, bool is_client)
{
	struct session_config c;

	session_defaults(&c, is_client);
	c.initial_window = 8192;
	c.window_pool = 32768;
	c.budget = is_client ? NULL : &budget;
	*e = (struct end){ .is_client = is_client };
	CU_ASSERT_EQUAL_FATAL(session_new(&e->s, id, &c, &session_ops, e), 0);
	CU_ASSERT_EQUAL(session_keys(e->s, 1, is_client ? up : down,
	    is_client ? down : up, true), 0);
	session_peer(e->s, c.initial_window, c.max_streams);
}

static void setup(uint64_t seed)
{
	random_state = seed * 7919 + 1;
	now_ms = 10000;
	memset(exchange, 0, sizeof(exchange));
	start(&client, true);
	start(&gateway, false);
	for (unsigned i = 0; i < STREAMS; i++) {
		struct half *h = &client.half[i];

		CU_ASSERT_EQUAL(stream_open(client.s, i % 2 ? "name" : NULL,
		    &h->st), 0);
		stream_attach(h->st, &stream_ops, h);
	}
}

static void teardown(void)
{
	session_free(client.s);
	session_free(gateway.s);
	CU_ASSERT_EQUAL(budget.used, 0);
	buf_fini(&state);
}

/* No number of this end was ever sealed before. */
static void check_number(struct end *e, const uint8_t *record)
{
	uint64_t number = record_number(record);

	CU_ASSERT_TRUE(number > e->last_number);
	e->last_number = number;
}

/* Both directions of an exchange, of which either can get lost. */
static void deliver(struct end *from, struct end *to, uint64_t lane,
    bool request)
{
	struct session_fill f = { .lane = lane, .exchange = exchange[lane],
	    .take = TAKE_ALL, .head = request, .ack = true };
	struct session_seen seen;
	bool ended, lost = roll(4) == 0;
	size_t n, len, most = roll(3) == 0 ? 2000 : ROOM;

	len = session_fill(from->s, &f, wire, most, now_ms, &ended);
	for (size_t at = 0; at < len; at += n) {
		CU_ASSERT_EQUAL_FATAL(record_peek(wire + at, len - at, &n), 0);
		check_number(from, wire + at);
		if (lost || roll(10) == 0)
			continue;
		CU_ASSERT_EQUAL_FATAL(session_receive(to->s, wire + at, n,
		    now_ms, &seen), 0);
		if (seen.has_exchange)
			session_lane_begin(to->s, seen.lane, seen.exchange);
	}
}

/* ---- the gateway's end, made anew ------------------------------------- */

static int sink(void *ctx, const void *data, size_t len)
{
	(void)ctx;
	return buf_append(&state, data, len);
}

static void write_state(const struct session *s)
{
	struct state_out o;

	buf_fini(&state);
	buf_init(&state, 8 << 20);
	state_begin(&o, sink, NULL, now_ms);
	state_section(&o, STATE_SESSION);
	session_export(s, &o);
	state_section_end(&o);
	CU_ASSERT_EQUAL_FATAL(state_finish(&o), 0);
}

static int read_state(struct session **out, struct state_in *body)
{
	char why[STATE_WHY_MAX];
	struct state_in in;
	enum state_type type;

	CU_ASSERT_EQUAL_FATAL(state_open(&in, buf_data(&state),
	    buf_len(&state), now_ms, why), 0);
	CU_ASSERT_TRUE_FATAL(state_next(&in, &type, body));
	return session_import(out, body, id, &budget, NULL, &session_ops,
	    &gateway);
}

static void check_same(const struct session *a, const struct session *b)
{
	struct session_stats x, y;

	session_get_stats(a, &x);
	session_get_stats(b, &y);
	CU_ASSERT_EQUAL(memcmp(&x, &y, sizeof(x)), 0);
	CU_ASSERT_EQUAL(session_backlog(a), session_backlog(b));
	CU_ASSERT_EQUAL(session_asking(a), session_asking(b));
	CU_ASSERT_EQUAL(session_overdue_at(a), session_overdue_at(b));
	CU_ASSERT_EQUAL(session_owes_ack(a), session_owes_ack(b));
	CU_ASSERT_EQUAL(session_window(a), session_window(b));
	CU_ASSERT_EQUAL(session_sent_number(a), session_sent_number(b));
	CU_ASSERT_EQUAL(session_is_idle(a), session_is_idle(b));
	for (uint64_t i = 0; i < SESSION_LANES; i++)
		CU_ASSERT_EQUAL(session_lane_flight(a, i),
		    session_lane_flight(b, i));
}

static void upgrade(void)
{
	struct session *fresh;
	struct state_in body;
	struct buf first;
	uint64_t charged;

	write_state(gateway.s);
	charged = budget.used;
	CU_ASSERT_EQUAL_FATAL(read_state(&fresh, &body), 0);
	CU_ASSERT_EQUAL(budget.used, 2 * charged);
	CU_ASSERT_EQUAL(state_done(&body), 0);
	check_same(gateway.s, fresh);
	for (unsigned i = 0; i < STREAMS; i++) {
		struct half *h = &gateway.half[i];

		if (h->st == NULL)
			continue;
		h->st = session_take_stream(fresh, 2 * i);
		CU_ASSERT_PTR_NOT_NULL_FATAL(h->st);
		stream_attach(h->st, &stream_ops, h);
	}
	CU_ASSERT_TRUE(session_all_taken(fresh));
	session_free(gateway.s);
	gateway.s = fresh;
	/* The order of streams apart, it writes what it has read. */
	first = state;
	buf_init(&state, 0);
	write_state(fresh);
	CU_ASSERT_EQUAL(buf_len(&first), buf_len(&state));
	buf_fini(&first);
}

/* ---- tests ------------------------------------------------------------ */

static bool is_over(const struct end *e)
{
	for (unsigned i = 0; i < STREAMS; i++)
		if (!e->half[i].at_end || e->half[i].read != TOTAL)
			return false;
	return true;
}

static void work(struct end *e)
{
	for (unsigned i = 0; i < STREAMS; i++) {
		if (e->half[i].st == NULL)
			continue;
		do_read(e, i);
		do_write(e, i);
	}
}

/* One exchange on a lane, and what both ends do about it. */
static void step(void)
{
	uint64_t lane = roll(LANES);

	now_ms += roll(30);
	exchange[lane]++;
	session_lane_begin(client.s, lane, exchange[lane]);
	deliver(&client, &gateway, lane, true);
	work(&gateway);
	deliver(&gateway, &client, lane, false);
	work(&client);
	if (roll(40) == 0)
		session_ping(gateway.s);
}

static void test_an_upgrade_in_the_midst_is_not_noticed(void)
{
	for (uint64_t seed = 0; seed < SEEDS; seed++) {
		unsigned steps = 0, upgrades = 0;

		setup(seed);
		while (!(is_over(&client) && is_over(&gateway)) &&
		    ++steps < STEPS_MAX) {
			step();
			if (roll(6) == 0) {
				upgrade();
				upgrades++;
			}
		}
		CU_ASSERT_TRUE(is_over(&client) && is_over(&gateway));
		CU_ASSERT_TRUE(upgrades > 3);
		CU_ASSERT_FALSE(client.closed || gateway.closed);
		teardown();
	}
}

/* A stream of either kind that was reset, and one that is released. */
static void test_streams_without_owner_survive(void)
{
	struct session_stats st;

	setup(1);
	for (unsigned i = 0; i < 40; i++)
		step();
	stream_reset(gateway.half[0].st, STREAM_IDLE);
	gateway.half[0].st = NULL;
	upgrade();
	for (unsigned i = 0; i < STEPS_MAX && !client.half[0].lost; i++)
		step();
	CU_ASSERT_TRUE(client.half[0].lost);
	session_get_stats(gateway.s, &st);
	CU_ASSERT_FALSE(client.closed || gateway.closed);
	teardown();
}

static void test_keys_change_across_an_upgrade(void)
{
	static const uint8_t up2[32] = "up, second", down2[32] = "down, 2nd";

	setup(2);
	for (unsigned i = 0; i < 20; i++)
		step();
	/* Offered before, confirmed after. */
	CU_ASSERT_EQUAL(session_keys(gateway.s, 2, down2, up2, false), 0);
	upgrade();
	CU_ASSERT_FALSE(session_confirmed(gateway.s, 2));
	CU_ASSERT_EQUAL(session_keys(client.s, 2, up2, down2, true), 0);
	while (!session_confirmed(gateway.s, 2))
		step();
	/* A straggler of the generation before opens still. */
	upgrade();
	for (unsigned i = 0; i < 200; i++)
		step();
	CU_ASSERT_FALSE(client.closed || gateway.closed);
	teardown();
}

static void test_no_number_is_used_again_when_nobody_went_on(void)
{
	struct session *other;
	struct state_in body;
	struct session_fill f = { .lane = 0, .exchange = 1000,
	    .take = TAKE_NOTHING, .must_end = true };
	uint64_t highest = 0;
	bool ended;

	setup(3);
	for (unsigned i = 0; i < 20; i++)
		step();
	write_state(gateway.s);
	CU_ASSERT_EQUAL_FATAL(read_state(&other, &body), 0);
	/* It was told not to, but the other one sends. */
	for (unsigned i = 0; i < 1000; i++) {
		CU_ASSERT_TRUE(session_fill(other, &f, wire, ROOM, now_ms,
		    &ended) > 0);
		highest = record_number(wire);
	}
	session_free(other);
	session_skip_numbers(gateway.s);
	gateway.last_number = highest;	/* check_number does the rest */
	for (unsigned i = 0; i < 200; i++)
		step();
	CU_ASSERT_TRUE(gateway.last_number > highest);
	CU_ASSERT_FALSE(client.closed || gateway.closed);
	teardown();
}

/* ---- states that no session was ever in ------------------------------- */

/* Read whatever it is; the checks of the wrapping are passed by. */
static int read_body(const uint8_t *data, size_t len)
{
	struct state_in body = { .version = STATE_VERSION, .now_ms = now_ms,
	    .in = { data, len } };
	uint64_t before = budget.used;
	struct session *s = NULL;
	int rc = session_import(&s, &body, id, &budget, NULL, &session_ops,
	    &gateway);

	if (rc != 0) {
		CU_ASSERT_EQUAL(budget.used, before);
		return rc;
	}
	/* It was taken: then it must be fit for use. */
	session_lane_begin(s, 0, UINT32_MAX);
	for (unsigned i = 0; i < 50; i++) {
		struct session_fill f = { .lane = 0, .exchange = UINT32_MAX,
		    .take = TAKE_ALL, .ack = true };
		bool ended;

		(void)session_fill(s, &f, wire, ROOM, now_ms + i, &ended);
	}
	rc = state_done(&body);
	session_free(s);
	return rc;
}

/* A session with something of everything in it; its section's body. */
static uint8_t *rich_body(size_t *len)
{
	struct state_in in, body;
	enum state_type type;
	char why[STATE_WHY_MAX];
	uint8_t *copy;

	setup(4);
	for (unsigned i = 0; i < 25; i++)
		step();
	stream_reset(gateway.half[1].st, STREAM_IDLE);
	gateway.half[1].st = NULL;
	write_state(gateway.s);
	CU_ASSERT_EQUAL_FATAL(state_open(&in, buf_data(&state),
	    buf_len(&state), now_ms, why), 0);
	CU_ASSERT_TRUE_FATAL(state_next(&in, &type, &body));
	*len = body.in.left;
	copy = malloc(*len);
	memcpy(copy, body.in.p, *len);
	return copy;
}

static void test_every_truncated_session_is_refused(void)
{
	size_t len;
	uint8_t *all = rich_body(&len);

	CU_ASSERT_EQUAL(read_body(all, len), 0);
	/* The end of a long one shows the same as its beginning. */
	for (size_t cut = 0; cut < len; cut += cut < 4096 ? 1 : 97) {
		uint8_t *copy = malloc(cut > 0 ? cut : 1);

		memcpy(copy, all, cut);
		CU_ASSERT_EQUAL(read_body(copy, cut), ERR_PROTO);
		free(copy);
	}
	free(all);
	teardown();
}

static void test_no_garbled_session_does_harm(void)
{
	size_t len;
	uint8_t *all = rich_body(&len);
	unsigned refused = 0;

	for (size_t i = 0; i < len; i += i < 2048 ? 1 : 53) {
		uint8_t was = all[i];

		for (unsigned k = 0; k < 4; k++) {
			all[i] = k == 0 ? 0xff : k == 1 ? 0 :
			    (uint8_t)roll(256);
			refused += read_body(all, len) != 0;
		}
		all[i] = was;
	}
	CU_ASSERT_TRUE(refused > 100);
	CU_ASSERT_EQUAL(read_body(all, len), 0);
	free(all);
	teardown();
}

static const struct unit_test tests[] = {
	{ "an upgrade in the midst is not noticed",
	    test_an_upgrade_in_the_midst_is_not_noticed },
	{ "streams without owner survive",
	    test_streams_without_owner_survive },
	{ "keys change across an upgrade",
	    test_keys_change_across_an_upgrade },
	{ "no number is used again when nobody went on",
	    test_no_number_is_used_again_when_nobody_went_on },
	{ "every truncated session is refused",
	    test_every_truncated_session_is_refused },
	{ "no garbled session does harm",
	    test_no_garbled_session_does_harm },
	{ NULL, NULL },
};

int main(void)
{
	return unit_main(tests);
}
