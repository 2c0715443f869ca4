#include "config.h"

#include "common/state.h"

#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/err.h"
#include "tests/unit/unit.h"

#define NOW_MS 5000u

static struct buf out;
static int sink_rc;

static int sink(void *ctx, const void *data, size_t len)
{
	(void)ctx;
	return sink_rc != 0 ? sink_rc : buf_append(&out, data, len);
}

static void begin(struct state_out *o)
{
	buf_fini(&out);
	buf_init(&out, 1 << 20);
	sink_rc = 0;
	state_begin(o, sink, NULL, NOW_MS);
}

/* Two sections with one of everything. */
static void write_all(void)
{
	struct range list[] = { { 3, 5 }, { 7, 8 } };
	struct ranges r = { .r = list, .count = 2 };
	struct state_out o;

	begin(&o);
	state_section(&o, STATE_GATE);
	state_put(&o, WIRE_VARINT_MAX);
	state_put_u64(&o, UINT64_MAX);
	state_put_bool(&o, true);
	state_put_age(&o, NOW_MS - 100);
	state_put_age(&o, NOW_MS + 100);
	state_section_end(&o);
	state_section(&o, STATE_SESSION);
	state_put_raw(&o, "raw", 3);
	state_put_bytes(&o, "bytes", 5);
	state_put_text(&o, "text");
	state_put_text(&o, NULL);
	state_put_ranges(&o, &r);
	state_section_end(&o);
	CU_ASSERT_EQUAL(state_finish(&o), 0);
	CU_ASSERT_EQUAL(o.bytes, buf_len(&out));
}

static int open_all(struct state_in *s, char why[STATE_WHY_MAX])
{
	return state_open(s, buf_data(&out), buf_len(&out), NOW_MS + 1000,
	    why);
}

static void test_what_was_written_is_read(void)
{
	char why[STATE_WHY_MAX], text[8], raw[3];
	struct state_in s, b;
	enum state_type type;
	struct ranges r;
	size_t len;

	write_all();
	CU_ASSERT_EQUAL_FATAL(open_all(&s, why), 0);
	CU_ASSERT_EQUAL(s.version, STATE_VERSION);
	CU_ASSERT_TRUE_FATAL(state_next(&s, &type, &b));
	CU_ASSERT_EQUAL(type, STATE_GATE);
	CU_ASSERT_EQUAL(state_get(&b, WIRE_VARINT_MAX), WIRE_VARINT_MAX);
	CU_ASSERT_EQUAL(state_get_u64(&b), UINT64_MAX);
	CU_ASSERT_TRUE(state_get_bool(&b));
	CU_ASSERT_EQUAL(state_get_at(&b), NOW_MS + 900);
	CU_ASSERT_EQUAL(state_get_at(&b), NOW_MS + 1000);
	CU_ASSERT_EQUAL(state_done(&b), 0);
	CU_ASSERT_TRUE_FATAL(state_next(&s, &type, &b));
	CU_ASSERT_EQUAL(type, STATE_SESSION);
	state_get_raw(&b, raw, 3);
	CU_ASSERT_EQUAL(memcmp(raw, "raw", 3), 0);
	CU_ASSERT_EQUAL(memcmp(state_get_bytes(&b, 5, &len), "bytes", 5), 0);
	state_get_text(&b, text, sizeof(text) - 1);
	CU_ASSERT_STRING_EQUAL(text, "text");
	state_get_text(&b, text, sizeof(text) - 1);
	CU_ASSERT_STRING_EQUAL(text, "");
	ranges_init(&r, 2);
	state_get_ranges(&b, &r, 3, 8);
	CU_ASSERT_EQUAL(r.count, 2);
	CU_ASSERT_TRUE(ranges_cover(&r, 3, 5) && ranges_contain(&r, 7));
	ranges_fini(&r);
	CU_ASSERT_EQUAL(state_done(&b), 0);
	CU_ASSERT_FALSE(state_next(&s, &type, &b));
}

static void test_every_truncation_is_refused(void)
{
	char why[STATE_WHY_MAX];
	struct state_in s;

	write_all();
	for (size_t cut = 0; cut < buf_len(&out); cut++) {
		uint8_t *copy = malloc(cut + 1);

		/* Of its own size, so that a look too far is noticed. */
		copy = realloc(copy, cut > 0 ? cut : 1);
		memcpy(copy, buf_data(&out), cut);
		CU_ASSERT_EQUAL(state_open(&s, copy, cut, 0, why), ERR_PROTO);
		free(copy);
	}
}

static void test_every_changed_byte_is_refused(void)
{
	char why[STATE_WHY_MAX];
	struct state_in s;

	write_all();
	for (size_t i = 0; i < buf_len(&out); i++)
		for (unsigned bit = 0; bit < 8; bit++) {
			out.mem[out.start + i] ^= (uint8_t)(1u << bit);
			CU_ASSERT_EQUAL(open_all(&s, why), ERR_PROTO);
			out.mem[out.start + i] ^= (uint8_t)(1u << bit);
		}
	CU_ASSERT_EQUAL(open_all(&s, why), 0);
}

static void test_another_version_is_refused_by_name(void)
{
	char why[STATE_WHY_MAX];
	struct state_in s;

	write_all();
	wire_store_u16(out.mem + out.start + 8, STATE_VERSION + 1);
	CU_ASSERT_EQUAL(open_all(&s, why), ERR_PROTO);
	CU_ASSERT_PTR_NOT_NULL(strstr(why, "the state has version 2"));
	wire_store_u16(out.mem + out.start + 8, STATE_VERSION_LEAST - 1);
	CU_ASSERT_EQUAL(open_all(&s, why), ERR_PROTO);
}

static void test_bytes_behind_the_end_are_refused(void)
{
	char why[STATE_WHY_MAX];
	struct state_in s;

	write_all();
	CU_ASSERT_EQUAL(buf_append(&out, "x", 1), 0);
	CU_ASSERT_EQUAL(open_all(&s, why), ERR_PROTO);
}

static void test_an_error_of_the_sink_is_told_at_the_end(void)
{
	struct state_out o;

	begin(&o);
	sink_rc = ERR_IO;
	state_section(&o, STATE_GATE);
	state_put(&o, 1);
	state_section_end(&o);
	sink_rc = 0;
	CU_ASSERT_EQUAL(state_finish(&o), ERR_IO);
}

static void test_a_number_too_large_is_told_at_the_end(void)
{
	struct state_out o;

	begin(&o);
	state_section(&o, STATE_GATE);
	state_put(&o, WIRE_VARINT_MAX + 1);
	CU_ASSERT_EQUAL(state_finish(&o), ERR_LIMIT);
}

/* A body of these bytes; after one read, is it bad? */
static struct state_in body_of(const void *bytes, size_t len)
{
	return (struct state_in){ .in = { bytes, len } };
}

static void test_values_out_of_bounds_are_bad(void)
{
	static const uint8_t eight[] = { 8 }, two[] = { 2 };
	static const uint8_t long_text[] = { 4, 'a', 'b', 'c', 'd' };
	static const uint8_t nul_text[] = { 2, 'a', 0 };
	struct state_in b = body_of(eight, 1);
	char text[4];

	CU_ASSERT_EQUAL(state_get(&b, 7), 0);
	CU_ASSERT_EQUAL(state_done(&b), ERR_PROTO);
	b = body_of(two, 1);
	CU_ASSERT_FALSE(state_get_bool(&b));
	CU_ASSERT_TRUE(b.bad);
	b = body_of(long_text, 5);
	state_get_text(&b, text, 3);
	CU_ASSERT_TRUE(b.bad && text[0] == '\0');
	b = body_of(nul_text, 3);
	state_get_text(&b, text, 3);
	CU_ASSERT_TRUE(b.bad);
	b = body_of(long_text, 5);	/* one is left over */
	(void)state_get_run(&b, 4);
	CU_ASSERT_EQUAL(state_done(&b), ERR_PROTO);
	CU_ASSERT_PTR_NULL(state_get_run(&b, 2));
	CU_ASSERT_TRUE(b.bad);
}

static void test_ranges_that_are_no_set_are_bad(void)
{
	static const uint8_t bad[][5] = {
		{ 2, 3, 2, 4, 1 },	/* overlap */
		{ 2, 3, 2, 5, 1 },	/* touch */
		{ 2, 7, 1, 3, 1 },	/* descend */
		{ 2, 3, 0, 5, 1 },	/* empty */
		{ 2, 1, 1, 5, 1 },	/* below */
		{ 2, 3, 1, 7, 9 },	/* above */
		{ 3, 3, 1, 7, 1 },	/* too many */
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct state_in b = body_of(bad[i], sizeof(bad[i]));
		struct ranges r;

		ranges_init(&r, 2);
		state_get_ranges(&b, &r, 2, 9);
		CU_ASSERT_TRUE(b.bad);
		ranges_fini(&r);
	}
	buf_fini(&out);
}

static const struct unit_test tests[] = {
	{ "what was written is read", test_what_was_written_is_read },
	{ "every truncation is refused", test_every_truncation_is_refused },
	{ "every changed byte is refused",
	    test_every_changed_byte_is_refused },
	{ "another version is refused by name",
	    test_another_version_is_refused_by_name },
	{ "bytes behind the end are refused",
	    test_bytes_behind_the_end_are_refused },
	{ "an error of the sink is told at the end",
	    test_an_error_of_the_sink_is_told_at_the_end },
	{ "a number too large is told at the end",
	    test_a_number_too_large_is_told_at_the_end },
	{ "values out of bounds are bad",
	    test_values_out_of_bounds_are_bad },
	{ "ranges that are no set are bad",
	    test_ranges_that_are_no_set_are_bad },
	{ NULL, NULL },
};

int main(void)
{
	return unit_main(tests);
}
