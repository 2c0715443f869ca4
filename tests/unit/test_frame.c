#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/frame.h"
#include "tests/unit/unit.h"

static uint8_t mem[20000];	/* what the put functions write to */

/* Decode what lies in mem before out->p. */
static struct wire_in reread(const struct wire_out *out)
{
	return (struct wire_in){ mem, (size_t)(out->p - mem) };
}

static struct wire_out fresh(size_t room)
{
	memset(mem, 0xee, sizeof(mem));
	return (struct wire_out){ mem, room };
}

/* One of each frame, in order; the room needed is returned. */
static size_t put_all(struct wire_out *out)
{
	struct ranges seen;
	size_t before = out->left;
	bool whole;
	int rc = 0;

	ranges_init(&seen, 10);
	ranges_add(&seen, 3, 10);
	ranges_add(&seen, 20, 21);
	rc |= frame_put_exchange(out, 5, 70, 25000, 1);
	rc |= frame_put_end(out, 5, 71, 100000);
	rc |= frame_put_ack(out, &seen, 0, &whole);
	rc |= frame_put_open(out, 4, "CN=Mail1/O=Acme", 15);
	rc |= frame_put_open(out, 6, NULL, 0);
	rc |= frame_put_window(out, 4, 1 << 20);
	rc |= frame_put_reset(out, 4, 6);
	rc |= frame_put_ping(out, UINT64_MAX);
	rc |= frame_put_pong(out, 0);
	rc |= frame_put_close(out, 3, "going down");
	rc |= frame_put_padding(out, 7);
	rc |= frame_put_data_head(out, 4, 1000, 3, true);
	rc |= wire_put_bytes(out, "abc", 3);
	ranges_fini(&seen);
	return rc == 0 ? before - out->left : 0;
}

static void check_control(struct wire_in *in)
{
	struct frame f;

	CU_ASSERT_EQUAL_FATAL(frame_decode(in, &f), 0);
	CU_ASSERT_EQUAL(f.type, FRAME_EXCHANGE);
	CU_ASSERT_EQUAL(f.u.exchange.lane, 5);
	CU_ASSERT_EQUAL(f.u.exchange.exchange, 70);
	CU_ASSERT_EQUAL(f.u.exchange.hold_ms, 25000);
	CU_ASSERT_EQUAL(f.u.exchange.keep, 1);
	CU_ASSERT_EQUAL_FATAL(frame_decode(in, &f), 0);
	CU_ASSERT_EQUAL(f.type, FRAME_END);
	CU_ASSERT_EQUAL(f.u.end.lane, 5);
	CU_ASSERT_EQUAL(f.u.end.exchange, 71);
	CU_ASSERT_EQUAL(f.u.end.backlog, 100000);
	CU_ASSERT_EQUAL_FATAL(frame_decode(in, &f), 0);
	CU_ASSERT_EQUAL(f.type, FRAME_ACK);
	CU_ASSERT_EQUAL(f.u.ack.largest, 20);
	CU_ASSERT_EQUAL(f.u.ack.count, 2);
}

static void check_streams(struct wire_in *in)
{
	struct frame f;

	CU_ASSERT_EQUAL_FATAL(frame_decode(in, &f), 0);
	CU_ASSERT_EQUAL(f.type, FRAME_OPEN);
	CU_ASSERT_EQUAL(f.u.open.stream, 4);
	CU_ASSERT_EQUAL_FATAL(f.u.open.name_len, 15);
	CU_ASSERT_EQUAL(memcmp(f.u.open.name, "CN=Mail1/O=Acme", 15), 0);
	CU_ASSERT_EQUAL_FATAL(frame_decode(in, &f), 0);
	CU_ASSERT_EQUAL(f.u.open.stream, 6);
	CU_ASSERT_EQUAL(f.u.open.name_len, 0);
	CU_ASSERT_PTR_NULL(f.u.open.name);
	CU_ASSERT_EQUAL_FATAL(frame_decode(in, &f), 0);
	CU_ASSERT_EQUAL(f.type, FRAME_WINDOW);
	CU_ASSERT_EQUAL(f.u.window.stream, 4);
	CU_ASSERT_EQUAL(f.u.window.limit, 1 << 20);
	CU_ASSERT_EQUAL_FATAL(frame_decode(in, &f), 0);
	CU_ASSERT_EQUAL(f.type, FRAME_RESET);
	CU_ASSERT_EQUAL(f.u.reset.code, 6);
}

static void check_rest(struct wire_in *in)
{
	struct frame f;

	CU_ASSERT_EQUAL_FATAL(frame_decode(in, &f), 0);
	CU_ASSERT_EQUAL(f.type, FRAME_PING);
	CU_ASSERT_EQUAL(f.u.ping.token, UINT64_MAX);
	CU_ASSERT_EQUAL_FATAL(frame_decode(in, &f), 0);
	CU_ASSERT_EQUAL(f.type, FRAME_PONG);
	CU_ASSERT_EQUAL(f.u.ping.token, 0);
	CU_ASSERT_EQUAL_FATAL(frame_decode(in, &f), 0);
	CU_ASSERT_EQUAL(f.type, FRAME_CLOSE);
	CU_ASSERT_EQUAL(f.u.close.code, 3);
	CU_ASSERT_EQUAL_FATAL(f.u.close.text_len, 10);
	CU_ASSERT_EQUAL(memcmp(f.u.close.text, "going down", 10), 0);
	CU_ASSERT_EQUAL_FATAL(frame_decode(in, &f), 0);
	CU_ASSERT_EQUAL(f.type, FRAME_PADDING);
	CU_ASSERT_EQUAL_FATAL(frame_decode(in, &f), 0);
	CU_ASSERT_EQUAL(f.type, FRAME_DATA);
	CU_ASSERT_EQUAL(f.u.data.stream, 4);
	CU_ASSERT_EQUAL(f.u.data.offset, 1000);
	CU_ASSERT_TRUE(f.u.data.fin);
	CU_ASSERT_EQUAL_FATAL(f.u.data.len, 3);
	CU_ASSERT_EQUAL(memcmp(f.u.data.data, "abc", 3), 0);
	CU_ASSERT_EQUAL(frame_decode(in, &f), ERR_MORE);
}

static void test_round_trip(void)
{
	struct wire_out out = fresh(sizeof(mem));
	struct wire_in in;

	CU_ASSERT_NOT_EQUAL_FATAL(put_all(&out), 0);
	in = reread(&out);
	check_control(&in);
	check_streams(&in);
	check_rest(&in);
}

/* Decode to the end; 0 when all of it was good. */
static int decode_all(struct wire_in in)
{
	struct frame f;
	int rc;

	while ((rc = frame_decode(&in, &f)) == 0)
		;
	return rc == ERR_MORE ? 0 : rc;
}

static void test_every_cut(void)
{
	struct wire_out out = fresh(sizeof(mem));
	size_t len = put_all(&out), whole = 0;
	bool end[200] = { false };
	struct wire_in in = reread(&out);
	struct frame f;

	while (frame_decode(&in, &f) == 0) {
		/* A run of padding may be cut anywhere. */
		if (f.type == FRAME_PADDING)
			for (size_t i = whole; i < len - in.left; i++)
				end[i] = true;
		whole = len - in.left;
		end[whole] = true;
	}
	for (size_t cut = 1; cut <= len; cut++) {
		uint8_t *copy = malloc(cut);	/* so that ASan sees its end */

		memcpy(copy, mem, cut);
		CU_ASSERT_EQUAL(decode_all((struct wire_in){ copy, cut }),
		    end[cut] ? 0 : ERR_PROTO);
		free(copy);
	}
}

static void test_no_room(void)
{
	struct wire_out out = fresh(sizeof(mem));
	size_t need = put_all(&out);

	for (size_t room = 0; room < need; room++) {
		out = fresh(room);
		CU_ASSERT_EQUAL(put_all(&out), 0);
		CU_ASSERT_EQUAL(mem[room], 0xee);
	}
	out = fresh(3);
	CU_ASSERT_EQUAL(frame_put_end(&out, 1, 2, 3), ERR_LIMIT);
	CU_ASSERT_EQUAL(frame_put_open(&out, 1, "x", 1), ERR_LIMIT);
	CU_ASSERT_EQUAL(frame_put_close(&out, 1, "x"), ERR_LIMIT);
	CU_ASSERT_EQUAL(frame_put_ping(&out, 1), ERR_LIMIT);
	CU_ASSERT_EQUAL(frame_put_padding(&out, 4), ERR_LIMIT);
	CU_ASSERT_EQUAL(mem[0], 0xee);
	CU_ASSERT_EQUAL(out.left, 3);
}

static void test_too_large(void)
{
	static const char name[FRAME_NAME_MAX + 2] = { 'C', 'N', '=' };
	struct wire_out out = fresh(sizeof(mem));

	CU_ASSERT_EQUAL(frame_put_window(&out, 0, WIRE_VARINT_MAX + 1),
	    ERR_LIMIT);
	CU_ASSERT_EQUAL(frame_put_open(&out, 0, name, FRAME_NAME_MAX + 1),
	    ERR_LIMIT);
	CU_ASSERT_EQUAL(frame_put_data_head(&out, 0, WIRE_VARINT_MAX, 1,
	    false), ERR_LIMIT);
	CU_ASSERT_EQUAL(frame_put_data_head(&out, 0, UINT64_MAX, 1, false),
	    ERR_LIMIT);
	CU_ASSERT_EQUAL(out.left, sizeof(mem));
	CU_ASSERT_EQUAL(frame_put_open(&out, 0, name, FRAME_NAME_MAX), 0);
	CU_ASSERT_EQUAL(decode_all(reread(&out)), 0);
}

static void test_close_text(void)
{
	char text[400];
	struct wire_out out = fresh(sizeof(mem));
	struct wire_in in;
	struct frame f;

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	CU_ASSERT_EQUAL(frame_put_close(&out, 1, text), 0);
	in = reread(&out);
	CU_ASSERT_EQUAL_FATAL(frame_decode(&in, &f), 0);
	CU_ASSERT_EQUAL(f.u.close.text_len, FRAME_TEXT_MAX);
	out = fresh(sizeof(mem));
	CU_ASSERT_EQUAL(frame_put_close(&out, 1, ""), 0);
	in = reread(&out);
	CU_ASSERT_EQUAL_FATAL(frame_decode(&in, &f), 0);
	CU_ASSERT_EQUAL(f.u.close.text_len, 0);
}

#define BAD(...) \
	CU_ASSERT_EQUAL(decode_all((struct wire_in){ \
	    (const uint8_t[]){ __VA_ARGS__ }, \
	    sizeof((const uint8_t[]){ __VA_ARGS__ }) }), ERR_PROTO)
#define GOOD(...) \
	CU_ASSERT_EQUAL(decode_all((struct wire_in){ \
	    (const uint8_t[]){ __VA_ARGS__ }, \
	    sizeof((const uint8_t[]){ __VA_ARGS__ }) }), 0)

/* OPEN or CLOSE with this much text, all of it there. */
static int decode_text(uint8_t type, size_t len)
{
	struct wire_out out = fresh(sizeof(mem));

	(void)wire_put_u8(&out, type);
	(void)wire_put_varint(&out, 0);
	(void)wire_put_varint(&out, len);
	return decode_all((struct wire_in){ mem,
	    (size_t)(out.p - mem) + len });
}

static void test_long_text(void)
{
	CU_ASSERT_EQUAL(decode_text(FRAME_OPEN, FRAME_NAME_MAX), 0);
	CU_ASSERT_EQUAL(decode_text(FRAME_OPEN, FRAME_NAME_MAX + 1),
	    ERR_PROTO);
	CU_ASSERT_EQUAL(decode_text(FRAME_CLOSE, FRAME_TEXT_MAX), 0);
	CU_ASSERT_EQUAL(decode_text(FRAME_CLOSE, FRAME_TEXT_MAX + 1),
	    ERR_PROTO);
}

static void test_malformed(void)
{
	BAD(0x0a);				/* unknown types */
	BAD(0x12, 0, 0, 0);
	BAD(0x40, 0x05, 0, 0);			/* a type in two bytes */
	BAD(0xff);
	GOOD(FRAME_WINDOW, 0, 0);
	BAD(FRAME_WINDOW, 0, 0, FRAME_WINDOW, 0);
	BAD(FRAME_OPEN, 0, 2, 'C');
	BAD(FRAME_PING, 1, 2, 3, 4, 5, 6, 7);
}

static void test_bad_data(void)
{
	GOOD(FRAME_DATA, 0, 0, 0);		/* empty */
	GOOD(FRAME_DATA, 0, 0, 1, 'x');
	BAD(FRAME_DATA, 0, 0, 2, 'x');
	/* The last byte would be number 2^62 - 1; then one further. */
	GOOD(FRAME_DATA, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe,
	    1, 'x');
	BAD(FRAME_DATA, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
	    1, 'x');
	GOOD(FRAME_DATA_FIN, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
	    0xff, 0);
	/* A length that would overflow when added to the offset. */
	BAD(FRAME_DATA, 0, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
	    'x');
}

static void test_bad_ack(void)
{
	GOOD(FRAME_ACK, 5, 0, 5);		/* 0..5 */
	BAD(FRAME_ACK, 5, 0, 6);		/* below zero */
	GOOD(FRAME_ACK, 5, 1, 1, 0, 2);		/* 4..5, 0..2 */
	BAD(FRAME_ACK, 5, 1, 1, 0, 3);
	GOOD(FRAME_ACK, 5, 1, 1, 2, 0);		/* 4..5, 0 */
	BAD(FRAME_ACK, 5, 1, 1, 3, 0);
	BAD(FRAME_ACK, 5, 1, 5, 0, 0);		/* nothing is below 0 */
	BAD(FRAME_ACK, 5, 1, 4, 0, 0);		/* nor two below 1 */
	BAD(FRAME_ACK, 5, 1, 1, 0);		/* cut off */
	BAD(FRAME_ACK, 5, 1, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
	    0xff, 0);
}

/* An ACK of n single numbers, every other one, down from largest. */
static struct wire_in ack_of(uint64_t largest, unsigned n)
{
	struct wire_out out = fresh(sizeof(mem));

	(void)wire_put_u8(&out, FRAME_ACK);
	(void)wire_put_varint(&out, largest);
	(void)wire_put_varint(&out, n - 1);
	(void)wire_put_varint(&out, 0);
	for (unsigned i = 1; i < n; i++) {
		(void)wire_put_varint(&out, 0);
		(void)wire_put_varint(&out, 0);
	}
	return reread(&out);
}

static void test_ack_count(void)
{
	CU_ASSERT_EQUAL(decode_all(ack_of(1000, FRAME_ACK_RANGES_MAX)), 0);
	CU_ASSERT_EQUAL(decode_all(ack_of(1000, FRAME_ACK_RANGES_MAX + 1)),
	    ERR_PROTO);
}

/* Walk a decoded ACK: are its ranges the highest of seen, n of them? */
static bool walks(struct frame *f, const struct ranges *seen, size_t n)
{
	struct range r;
	size_t i = 0;

	while (frame_ack_next(f, &r)) {
		const struct range *want = &seen->r[seen->count - 1 - i];

		if (i == n || r.from != want->from || r.to != want->to)
			return false;
		i++;
	}
	return i == n && f->u.ack.count == n && !frame_ack_next(f, &r);
}

static void test_ack_ranges(void)
{
	struct wire_out out = fresh(sizeof(mem));
	struct wire_in in;
	struct ranges seen;
	struct frame f;
	bool whole = false;

	ranges_init(&seen, 1000);
	CU_ASSERT_EQUAL(frame_put_ack(&out, &seen, 0, &whole), ERR_NOENT);
	ranges_add(&seen, 0, 1);
	ranges_add(&seen, 2, 100);
	ranges_add(&seen, 20000, 20001);
	ranges_add(&seen, 20002, 90000);
	ranges_add(&seen, WIRE_VARINT_MAX, WIRE_VARINT_MAX + 1);
	CU_ASSERT_EQUAL(frame_put_ack(&out, &seen, 0, &whole), 0);
	in = reread(&out);
	CU_ASSERT_EQUAL_FATAL(frame_decode(&in, &f), 0);
	CU_ASSERT_EQUAL(f.u.ack.largest, WIRE_VARINT_MAX);
	CU_ASSERT_TRUE(walks(&f, &seen, 5));
	CU_ASSERT_EQUAL(frame_decode(&in, &f), ERR_MORE);
	ranges_fini(&seen);
}

static void test_ack_floor(void)
{
	static const struct { uint64_t floor; size_t n; } cases[] = {
		{ 0, 3 }, { 9, 3 }, { 10, 2 }, { 29, 2 }, { 30, 1 }, { 49, 1 }
	};
	struct wire_out out;
	struct ranges seen;
	bool whole;

	ranges_init(&seen, 10);
	ranges_add(&seen, 0, 10);
	ranges_add(&seen, 20, 30);
	ranges_add(&seen, 40, 50);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct wire_in in;
		struct frame f;

		out = fresh(100);
		whole = false;
		CU_ASSERT_EQUAL(frame_put_ack(&out, &seen, cases[i].floor,
		    &whole), 0);
		CU_ASSERT_TRUE(whole);
		in = reread(&out);
		CU_ASSERT_EQUAL_FATAL(frame_decode(&in, &f), 0);
		CU_ASSERT_TRUE(walks(&f, &seen, cases[i].n));
	}
	CU_ASSERT_EQUAL(frame_put_ack(&out, &seen, 50, &whole), ERR_NOENT);
	ranges_fini(&seen);
}

static void test_ack_fits(void)
{
	struct ranges seen;
	size_t last = 0;
	bool whole;

	ranges_init(&seen, 1000);
	for (uint64_t i = 0; i < 400; i++)
		ranges_add(&seen, 200 * i, 200 * i + 1 + i % 90);
	for (size_t room = 0; room < 1500; room++) {
		struct wire_out out = fresh(room);
		int rc = frame_put_ack(&out, &seen, 0, &whole);
		struct wire_in in = reread(&out);
		struct frame f;

		CU_ASSERT_EQUAL(mem[room], 0xee);
		if (room < 7) {		/* type, 4 bytes, 0, 1 byte */
			CU_ASSERT_EQUAL(rc, ERR_LIMIT);
			CU_ASSERT_EQUAL(out.left, room);
			continue;
		}
		CU_ASSERT_EQUAL_FATAL(rc, 0);
		CU_ASSERT_EQUAL_FATAL(frame_decode(&in, &f), 0);
		CU_ASSERT_TRUE(f.u.ack.count >= last);
		last = (size_t)f.u.ack.count;
		/* One more takes 4 bytes at most, and 1 for the count. */
		CU_ASSERT_TRUE(last == FRAME_ACK_RANGES_MAX || out.left < 5);
		CU_ASSERT_TRUE(walks(&f, &seen, last));
		CU_ASSERT_FALSE(whole);
	}
	CU_ASSERT_EQUAL(last, FRAME_ACK_RANGES_MAX);
	ranges_fini(&seen);
}

/* The room really is used up, and one byte more would not fit. */
static void test_data_room(void)
{
	static const uint64_t offsets[] = { 0, 100, 20000, UINT64_C(1) << 40 };

	for (size_t left = 0; left < 17000; left += left < 200 ? 1 : 13) {
		uint64_t offset = offsets[left % 4];
		size_t n = frame_data_room(left, 4, offset);
		struct wire_out out = fresh(left);

		if (n == 0) {
			CU_ASSERT_EQUAL(frame_put_data_head(&out, 4, offset,
			    1, false), ERR_LIMIT);
			continue;
		}
		CU_ASSERT_EQUAL(frame_put_data_head(&out, 4, offset, n + 1,
		    false), ERR_LIMIT);
		CU_ASSERT_EQUAL(frame_put_data_head(&out, 4, offset, n, true),
		    0);
		CU_ASSERT_TRUE(out.left >= n);
	}
	/* Where the length field itself becomes longer. */
	CU_ASSERT_EQUAL(frame_data_room(3 + 64, 0, 0), 63);
	CU_ASSERT_EQUAL(frame_data_room(3 + 66, 0, 0), 64);
	CU_ASSERT_EQUAL(frame_data_room(3 + 16385, 0, 0), 16383);
	CU_ASSERT_EQUAL(frame_data_room(1000, 0, WIRE_VARINT_MAX - 5), 5);
	CU_ASSERT_EQUAL(frame_data_room(1000, 0, WIRE_VARINT_MAX), 0);
}

int main(void)
{
	static const struct unit_test tests[] = {
		{ "every frame reads back as it was written",
		    test_round_trip },
		{ "a frame cut anywhere is malformed", test_every_cut },
		{ "without room nothing is written", test_no_room },
		{ "numbers, names and ends too large are not written",
		    test_too_large },
		{ "a long text in CLOSE is cut, an empty one is none",
		    test_close_text },
		{ "unknown types and bad lengths are malformed",
		    test_malformed },
		{ "names and texts over 255 bytes are malformed",
		    test_long_text },
		{ "data beyond the frame or the last offset is malformed",
		    test_bad_data },
		{ "acknowledged ranges below zero are malformed",
		    test_bad_ack },
		{ "256 ranges are taken, 257 are malformed",
		    test_ack_count },
		{ "an ACK gives back the ranges, highest first",
		    test_ack_ranges },
		{ "an ACK leaves out what ends below the floor",
		    test_ack_floor },
		{ "an ACK holds as many ranges as fit", test_ack_fits },
		{ "the room for data is exact", test_data_room },
		{ NULL, NULL }
	};

	return unit_main(tests);
}
