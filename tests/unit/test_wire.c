#include "config.h"

#include <string.h>

#include "common/err.h"
#include "common/wire.h"
#include "tests/unit/unit.h"

/* RFC 9000, appendix A.1, and the ends of each length. */
static const struct {
	uint64_t value;
	size_t len;
	uint8_t bytes[8];
} varints[] = {
	{ UINT64_C(151288809941952652), 8,
	    { 0xc2, 0x19, 0x7c, 0x5e, 0xff, 0x14, 0xe8, 0x8c } },
	{ 494878333, 4, { 0x9d, 0x7f, 0x3e, 0x7d } },
	{ 15293, 2, { 0x7b, 0xbd } },
	{ 37, 1, { 0x25 } },
	{ 0, 1, { 0x00 } },
	{ 63, 1, { 0x3f } },
	{ 64, 2, { 0x40, 0x40 } },
	{ 16383, 2, { 0x7f, 0xff } },
	{ 16384, 4, { 0x80, 0x00, 0x40, 0x00 } },
	{ 1073741823, 4, { 0xbf, 0xff, 0xff, 0xff } },
	{ 1073741824, 8,
	    { 0xc0, 0x00, 0x00, 0x00, 0x40, 0x00, 0x00, 0x00 } },
	{ WIRE_VARINT_MAX, 8,
	    { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff } }
};

#define VARINTS (sizeof(varints) / sizeof(varints[0]))

static void test_varint_get(void)
{
	for (size_t i = 0; i < VARINTS; i++) {
		uint64_t v = 7;

		for (size_t cut = 0; cut < varints[i].len; cut++) {
			struct wire_in in = { varints[i].bytes, cut };

			CU_ASSERT_EQUAL(wire_get_varint(&in, &v), ERR_MORE);
			CU_ASSERT_PTR_EQUAL(in.p, varints[i].bytes);
			CU_ASSERT_EQUAL(in.left, cut);
			CU_ASSERT_EQUAL(v, 7);
		}
		struct wire_in in = { varints[i].bytes, 8 };

		CU_ASSERT_EQUAL(wire_get_varint(&in, &v), 0);
		CU_ASSERT_EQUAL(v, varints[i].value);
		CU_ASSERT_EQUAL(in.left, 8 - varints[i].len);
	}
}

static void test_varint_put(void)
{
	for (size_t i = 0; i < VARINTS; i++) {
		uint8_t mem[9];
		size_t len = varints[i].len;

		CU_ASSERT_EQUAL(wire_varint_len(varints[i].value), len);
		memset(mem, 0xee, sizeof(mem));
		for (size_t room = 0; room < len; room++) {
			struct wire_out out = { mem, room };

			CU_ASSERT_EQUAL(wire_put_varint(&out,
			    varints[i].value), ERR_LIMIT);
			CU_ASSERT_EQUAL(out.left, room);
			CU_ASSERT_EQUAL(mem[0], 0xee);
		}
		struct wire_out out = { mem, len };

		CU_ASSERT_EQUAL(wire_put_varint(&out, varints[i].value), 0);
		CU_ASSERT_EQUAL(out.left, 0);
		CU_ASSERT_EQUAL(memcmp(mem, varints[i].bytes, len), 0);
		CU_ASSERT_EQUAL(mem[len], 0xee);
	}
}

static void test_varint_too_large(void)
{
	uint8_t mem[8] = { 0 };
	struct wire_out out = { mem, sizeof(mem) };

	CU_ASSERT_EQUAL(wire_put_varint(&out, WIRE_VARINT_MAX + 1), ERR_LIMIT);
	CU_ASSERT_EQUAL(wire_put_varint(&out, UINT64_MAX), ERR_LIMIT);
	CU_ASSERT_EQUAL(out.left, 8);
}

static void test_varint_long_form(void)
{
	/* RFC 9000 appendix A.1: 37 in two bytes is just as good. */
	static const uint8_t bytes[] = { 0x40, 0x25 };
	struct wire_in in = { bytes, sizeof(bytes) };
	uint64_t v = 0;

	CU_ASSERT_EQUAL(wire_get_varint(&in, &v), 0);
	CU_ASSERT_EQUAL(v, 37);
}

static void test_fixed(void)
{
	static const uint8_t expect[] = { 0xab, 0x12, 0x34, 1, 2, 3, 4, 5, 6,
		7, 0xf8, 'x', 'y' };
	uint8_t mem[13];
	struct wire_out out = { mem, sizeof(mem) };
	struct wire_in in = { mem, sizeof(mem) };
	uint8_t u8 = 0;
	uint16_t u16 = 0;
	uint64_t u64 = 0;
	const uint8_t *p = NULL;

	CU_ASSERT_EQUAL(wire_put_u8(&out, 0xab), 0);
	CU_ASSERT_EQUAL(wire_put_u16(&out, 0x1234), 0);
	CU_ASSERT_EQUAL(wire_put_u64(&out, UINT64_C(0x01020304050607f8)), 0);
	CU_ASSERT_EQUAL(wire_put_bytes(&out, "xy", 2), 0);
	CU_ASSERT_EQUAL(out.left, 0);
	CU_ASSERT_EQUAL(memcmp(mem, expect, sizeof(mem)), 0);
	CU_ASSERT_EQUAL(wire_get_u8(&in, &u8), 0);
	CU_ASSERT_EQUAL(wire_get_u16(&in, &u16), 0);
	CU_ASSERT_EQUAL(wire_get_u64(&in, &u64), 0);
	CU_ASSERT_EQUAL(wire_get_bytes(&in, 2, &p), 0);
	CU_ASSERT_EQUAL(u8, 0xab);
	CU_ASSERT_EQUAL(u16, 0x1234);
	CU_ASSERT_EQUAL(u64, UINT64_C(0x01020304050607f8));
	CU_ASSERT_PTR_EQUAL(p, mem + 11);
	CU_ASSERT_EQUAL(in.left, 0);
}

static void test_fixed_ends(void)
{
	uint8_t mem[8] = { 0 };
	struct wire_in in = { mem, 0 };
	struct wire_out out = { mem, 0 };
	uint8_t u8;
	uint16_t u16;
	uint64_t u64;
	const uint8_t *p;

	CU_ASSERT_EQUAL(wire_get_u8(&in, &u8), ERR_MORE);
	CU_ASSERT_EQUAL(wire_put_u8(&out, 1), ERR_LIMIT);
	in.left = out.left = 1;
	CU_ASSERT_EQUAL(wire_get_u16(&in, &u16), ERR_MORE);
	CU_ASSERT_EQUAL(wire_put_u16(&out, 0x0101), ERR_LIMIT);
	in.left = out.left = 7;
	CU_ASSERT_EQUAL(wire_get_u64(&in, &u64), ERR_MORE);
	CU_ASSERT_EQUAL(wire_put_u64(&out, UINT64_MAX), ERR_LIMIT);
	CU_ASSERT_EQUAL(wire_get_bytes(&in, 8, &p), ERR_MORE);
	CU_ASSERT_EQUAL(wire_get_bytes(&in, SIZE_MAX, &p), ERR_MORE);
	CU_ASSERT_EQUAL(wire_put_bytes(&out, "12345678", 8), ERR_LIMIT);
	CU_ASSERT_EQUAL(wire_put_bytes(&out, NULL, 0), 0);
	CU_ASSERT_EQUAL(in.left, 7);
	CU_ASSERT_EQUAL(out.left, 7);
	CU_ASSERT_EQUAL(mem[0], 0);
}

int main(void)
{
	static const struct unit_test tests[] = {
		{ "varints are read, and a cut one is left alone",
		    test_varint_get },
		{ "varints are written in their shortest form, or not at all",
		    test_varint_put },
		{ "numbers of 2^62 and more are refused",
		    test_varint_too_large },
		{ "a varint may be longer than need be",
		    test_varint_long_form },
		{ "fixed numbers are big-endian", test_fixed },
		{ "nothing is read or written past the end",
		    test_fixed_ends },
		{ NULL, NULL }
	};

	return unit_main(tests);
}
