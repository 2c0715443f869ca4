#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/nrpc.h"
#include "tests/unit/unit.h"

#define NAME "CN=Mail1/O=Acme"

/*
 * A first packet whose payload of `payload` bytes holds the text at `at`
 * (counted from the payload's start), behind a length. Returns its size.
 */
static size_t packet(uint8_t *out, size_t payload, size_t at, size_t length,
    const char *text)
{
	size_t size = 12 + payload;

	memset(out, 0, size);
	memcpy(out, nrpc_probe, 12);
	out[0] = (uint8_t)(size - 2);
	out[1] = (uint8_t)((size - 2) >> 8);
	out[4] = (uint8_t)payload;
	out[5] = (uint8_t)(payload >> 8);
	if (text != NULL) {
		out[12 + at] = (uint8_t)length;
		out[12 + at + 1] = (uint8_t)(length >> 8);
		memcpy(out + 12 + at + 2, text, strlen(text));
	}
	return size;
}

/* Look at the first cut bytes, and no byte behind them exists. */
static struct nrpc_peek peek_at(const uint8_t *data, size_t cut)
{
	uint8_t *copy = malloc(cut > 0 ? cut : 1);
	struct nrpc_peek peek;

	memcpy(copy, data, cut);
	peek = nrpc_peek(copy, cut);
	if (peek.name != NULL) {
		CU_ASSERT_TRUE(peek.name >= copy &&
		    peek.name + peek.name_len <= copy + cut);
		peek.name = data + (peek.name - copy);
	}
	free(copy);
	return peek;
}

/*
 * Feed every prefix: MORE up to `decided` bytes, then always the verdict. So
 * it is early, and the same however the bytes are cut.
 */
static void expect(const uint8_t *data, size_t len, enum nrpc_verdict verdict,
    size_t decided)
{
	for (size_t cut = 0; cut <= len; cut++) {
		struct nrpc_peek peek = peek_at(data, cut);

		if (cut < decided) {
			CU_ASSERT_EQUAL(peek.verdict, NRPC_MORE);
		} else {
			CU_ASSERT_EQUAL(peek.verdict, verdict);
		}
		CU_ASSERT_EQUAL(peek.name != NULL,
		    peek.verdict == NRPC_NAMED);
	}
}

static void test_unnamed(void)
{
	uint8_t more[100] = { 0 };

	expect(nrpc_probe, sizeof(nrpc_probe), NRPC_UNNAMED, 60);
	memcpy(more, nrpc_probe, sizeof(nrpc_probe));
	memcpy(more + 60, "\x0f\0CN=Mail1/O=Acme", 17);	/* next packet */
	expect(more, sizeof(more), NRPC_UNNAMED, 60);
}

static void test_named(void)
{
	static const size_t at[] = { 0, 1, 20, 63 };

	for (size_t i = 0; i < sizeof(at) / sizeof(at[0]); i++) {
		uint8_t mem[200];
		size_t len = packet(mem, 80, at[i], 15, NAME);
		struct nrpc_peek peek = nrpc_peek(mem, len);

		CU_ASSERT_EQUAL_FATAL(peek.verdict, NRPC_NAMED);
		CU_ASSERT_EQUAL_FATAL(peek.name_len, 15);
		CU_ASSERT_EQUAL(memcmp(peek.name, NAME, 15), 0);
		/* Decided with the name's last byte, not the packet's. */
		expect(mem, len, NRPC_NAMED, 12 + at[i] + 2 + 15);
	}
}

static void test_first_name(void)
{
	uint8_t mem[200];
	size_t len = packet(mem, 80, 10, 15, NAME);

	memcpy(mem + 60, "\x08\0CN=Other", 10);
	CU_ASSERT_EQUAL(nrpc_peek(mem, len).name_len, 15);
	/* "CN=" without a length before it is not a name. */
	len = packet(mem, 80, 30, 15, NAME);
	memcpy(mem + 12 + 4, "CN=User/O=Acme", 14);
	expect(mem, len, NRPC_NAMED, 12 + 30 + 2 + 15);
	/* Nor are a length of 3, or of 256. */
	len = packet(mem, 80, 30, 3, NAME);
	expect(mem, len, NRPC_UNNAMED, len);
	len = packet(mem, 80, 30, 256, NAME);
	expect(mem, len, NRPC_UNNAMED, len);
}

static void test_no_length(void)
{
	uint8_t mem[200];
	size_t len = packet(mem, 80, 0, 0, NULL);

	memcpy(mem + 12, NAME, 15);		/* only the head before */
	mem[10] = 15;				/* whose flags are no length */
	mem[11] = 0;
	expect(mem, len, NRPC_UNNAMED, len);
	memset(mem + 12, 'C', 80);
	expect(mem, len, NRPC_UNNAMED, len);
}

static void test_bad_name(void)
{
	uint8_t mem[200];
	size_t len;

	len = packet(mem, 80, 10, 15, "CN=Ma\nl1/O=Acme");
	expect(mem, len, NRPC_MALFORMED, 12 + 10 + 2 + 6);
	len = packet(mem, 80, 10, 16, NAME);	/* the NUL behind it */
	expect(mem, len, NRPC_MALFORMED, 12 + 10 + 2 + 16);
	len = packet(mem, 80, 10, 69, NAME);	/* one past the packet */
	expect(mem, len, NRPC_MALFORMED, 12 + 10 + 2 + 3);
	len = packet(mem, 27, 10, 15, NAME);	/* just inside */
	expect(mem, len, NRPC_NAMED, len);
}

static void test_international(void)
{
	uint8_t mem[200];
	size_t len = packet(mem, 80, 10, 12, "CN=M\x81ller/O=");

	expect(mem, len, NRPC_NAMED, 12 + 10 + 2 + 12);
}

static void test_not_a_packet(void)
{
	static const uint8_t zeros[20];
	uint8_t mem[60];

	expect(zeros, sizeof(zeros), NRPC_MALFORMED, 2);
	memcpy(mem, nrpc_probe, sizeof(mem));
	mem[0] = 9;				/* shorter than its head */
	expect(mem, sizeof(mem), NRPC_MALFORMED, 2);
	mem[0] = 10;				/* a head and nothing else */
	expect(mem, sizeof(mem), NRPC_UNNAMED, 12);
	memcpy(mem, nrpc_probe, sizeof(mem));
	mem[2] = 2;
	expect(mem, sizeof(mem), NRPC_MALFORMED, 3);
	mem[2] = 1;				/* tolerated */
	expect(mem, sizeof(mem), NRPC_UNNAMED, 60);
	mem[3] = 1;
	expect(mem, sizeof(mem), NRPC_MALFORMED, 4);
	mem[3] = 0;
	mem[8] = 0;
	expect(mem, sizeof(mem), NRPC_MALFORMED, 9);
	mem[8] = 2;
	mem[9] = 1;
	expect(mem, sizeof(mem), NRPC_MALFORMED, 10);
	expect((const uint8_t *)"EHLO mail.acme.com\r\n", 20, NRPC_MALFORMED,
	    3);
	expect((const uint8_t *)"\xff\xff\xff\xff\xff", 5, NRPC_MALFORMED, 3);
}

static void test_session_call(void)
{
	/* nmap's nrpc.lua: type 1, flags 0x8000, 30 bytes. */
	static const uint8_t call[42] = {
		0x28, 0x00, 0x00, 0x00, 0x1e, 0x00, 0x00, 0x00, 0x01, 0x00,
		0x00, 0x80, 0x00, 0x07, 0x32, 0x00, 0x07, 0x00, 0x10, 0x40,
		0x20, 0x00, 0xfb, 0x2b, 0x2d
	};

	expect(call, sizeof(call), NRPC_UNNAMED, sizeof(call));
}

static void test_long_packet(void)
{
	uint8_t *mem = malloc(70000);
	size_t len = packet(mem, 60000, 4096 - 12 - 17, 15, NAME);
	struct nrpc_peek peek = nrpc_peek(mem, len);

	CU_ASSERT_EQUAL(peek.verdict, NRPC_NAMED);	/* just in reach */
	CU_ASSERT_EQUAL(nrpc_peek(mem, 4095).verdict, NRPC_MORE);
	packet(mem, 60000, 4096 - 12 - 16, 15, NAME);	/* one too far */
	CU_ASSERT_EQUAL(nrpc_peek(mem, len).verdict, NRPC_MALFORMED);
	CU_ASSERT_EQUAL(nrpc_peek(mem, 4096).verdict, NRPC_MALFORMED);
	packet(mem, 60000, 5000, 15, NAME);		/* out of sight */
	CU_ASSERT_EQUAL(nrpc_peek(mem, 4095).verdict, NRPC_MORE);
	CU_ASSERT_EQUAL(nrpc_peek(mem, 4096).verdict, NRPC_UNNAMED);
	CU_ASSERT_EQUAL(nrpc_peek(mem, len).verdict, NRPC_UNNAMED);
	free(mem);
}

static void test_http(void)
{
	static const char *const methods[] = { "GET", "POST", "PUT", "HEAD",
		"OPTIONS", "CONNECT", "DELETE", "PATCH", "TRACE", "PRI" };

	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
		uint8_t mem[40] = { 0 };
		size_t n = strlen(methods[i]);

		memset(mem, '/', sizeof(mem));
		memcpy(mem, methods[i], n);
		expect(mem, sizeof(mem), NRPC_MALFORMED, n + 1);
		mem[n] = ' ';
		expect(mem, sizeof(mem), NRPC_HTTP, n + 1);
	}
}

static void test_other_protocols(void)
{
	static const uint8_t hello[] = { 0x16, 0x03, 0x01, 0x02, 0x00, 0x01,
		0x00, 0x01, 0xfc, 0x03, 0x03 };
	static const uint8_t ssl3[] = { 0x16, 0x03, 0x00, 0x01, 0x00, 0x01 };
	static const char torrent[] = "\x13" "BitTorrent protocol\0\0\0\0";

	expect(hello, sizeof(hello), NRPC_TLS, 3);
	expect(ssl3, sizeof(ssl3), NRPC_TLS, 4);
	expect((const uint8_t *)"SSH-2.0-OpenSSH_9.2\r\n", 21, NRPC_SSH, 4);
	expect((const uint8_t *)torrent, sizeof(torrent), NRPC_BITTORRENT,
	    20);
	expect((const uint8_t *)"\x13" "BitTornado", 11, NRPC_MALFORMED, 8);
}

static void test_length_like_tls(void)
{
	uint8_t mem[800];
	size_t len = packet(mem, 780, 30, 15, NAME);

	/* 792 bytes, so the length is 0x0316: a TLS record's first bytes. */
	CU_ASSERT_EQUAL(mem[0], 0x16);
	CU_ASSERT_EQUAL(mem[1], 0x03);
	expect(mem, len, NRPC_NAMED, 12 + 30 + 2 + 15);
}

static void test_verdict_names(void)
{
	for (int a = NRPC_MORE; a <= NRPC_MALFORMED; a++)
		for (int b = NRPC_MORE; b < a; b++)
			CU_ASSERT_STRING_NOT_EQUAL(
			    nrpc_verdict_name((enum nrpc_verdict)a),
			    nrpc_verdict_name((enum nrpc_verdict)b));
	CU_ASSERT_STRING_EQUAL(nrpc_verdict_name(NRPC_TLS), "tls");
}

static void test_valid_names(void)
{
	static const char *const good[] = { NAME, "CN=a", "cn=a/o=b",
		"CN=Mail 1/OU=East/OU=North/O=Acme Inc./C=DE",
		"CN=M\xc3\xbcller/O=Stra\xc3\x9f x", "CN=a=b/O=c",
		"CN=\xe2\x82\xac/O=\xf0\x9f\x93\xa8" };
	static const char *const bad[] = { "", "CN=", "Mail1/O=Acme", "O=Acme",
		"CN=a/", "/CN=a", "CN=a//O=b", "CN=a/O=", "CN=a/X=b",
		"CN=a/b", "CN=a\n", "CN=a\x7f", "CN=\xc3", "CN=\xc3(",
		"CN=\xc0\xaf", "CN=\xe0\x80\xaf", "CN=\xed\xa0\x80",
		"CN=\xf5\x80\x80\x80", "CN=\xf4\x90\x80\x80", "CN=\xc2\x85",
		"CN=\xf0\x80\x80\xaf", "CN=\x80", "CN=\xe2\x82" };
	char big[300] = "CN=";

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		CU_ASSERT_TRUE(nrpc_name_valid(good[i], strlen(good[i])));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CU_ASSERT_FALSE(nrpc_name_valid(bad[i], strlen(bad[i])));
	CU_ASSERT_FALSE(nrpc_name_valid("CN=a\0b", 6));
	memset(big + 3, 'x', sizeof(big) - 3);
	CU_ASSERT_TRUE(nrpc_name_valid(big, NRPC_NAME_MAX));
	CU_ASSERT_FALSE(nrpc_name_valid(big, NRPC_NAME_MAX + 1));
}

static void test_equal_names(void)
{
	CU_ASSERT_TRUE(nrpc_name_equal(NAME, 15, "cn=MAIL1/o=acme", 15));
	CU_ASSERT_FALSE(nrpc_name_equal(NAME, 15, "CN=Mail2/O=Acme", 15));
	CU_ASSERT_FALSE(nrpc_name_equal(NAME, 15, NAME, 14));
	/* Only letters have a case: '@' and '`' differ by the same bit. */
	CU_ASSERT_FALSE(nrpc_name_equal("CN=@", 4, "CN=`", 4));
	CU_ASSERT_FALSE(nrpc_name_equal("\xc4", 1, "\xe4", 1));
	CU_ASSERT_TRUE(nrpc_name_equal(NULL, 0, NULL, 0));
}

/*
 * Domino's answer, as nmap's match lines describe it, with a name that is
 * followed by `behind`.
 */
static size_t answer(uint8_t *out, const char *name, uint8_t told,
    uint8_t behind)
{
	static const uint8_t head[] = { 0, 0, 0, 0, 0x55, 0, 0, 0, 3, 0, 0,
		0x40, 0x02, 0x0f, 0x00, 0x05, 0x00, 0x39, 0x05, 1, 2, 3, 4,
		5 };
	static const uint8_t mark[] = { 3, 0, 0, 0, 0, 2, 0, 0x2f, 0, 0, 0, 0,
		0, 0, 0, 0, 0 };
	size_t n = strlen(name), len = sizeof(head) + sizeof(mark);

	memcpy(out, head, sizeof(head));
	memcpy(out + sizeof(head), mark, sizeof(mark));
	out[sizeof(head) + 9] = told;
	memcpy(out + len, name, n);
	memset(out + len + n, behind, 5);
	len += n + 5;
	out[0] = (uint8_t)(len - 2);
	return len;
}

static void test_answer(void)
{
	static const char *const names[] = { NAME, "CN=a/OU=b/O=c",
		"CN=a/OU=b/OU=c/O=d" };
	const uint8_t *name;
	size_t name_len;

	for (size_t i = 0; i < 6; i++) {
		const char *want = names[i / 2];
		uint8_t mem[200];
		/* With the length told, text may follow directly. */
		size_t len = answer(mem, want, i % 2 ? (uint8_t)strlen(want) :
		    0, i % 2 ? 'x' : 0);

		CU_ASSERT_EQUAL_FATAL(nrpc_probe_answer(mem, len, &name,
		    &name_len), 0);
		CU_ASSERT_EQUAL_FATAL(name_len, strlen(want));
		CU_ASSERT_EQUAL(memcmp(name, want, name_len), 0);
		for (size_t cut = 0; cut < len; cut++)
			CU_ASSERT_EQUAL(nrpc_probe_answer(mem, cut, &name,
			    &name_len), ERR_MORE);
	}
}

static void test_not_an_answer(void)
{
	static const uint8_t nothing[2];
	const uint8_t *name = NULL;
	size_t len, name_len = 0;
	uint8_t mem[200];

#define REFUSED() \
	CU_ASSERT_EQUAL(nrpc_probe_answer(mem, len, &name, &name_len), \
	    ERR_PROTO)
	len = answer(mem, "Mail1/O=Acme", 0, 0);	/* no name */
	REFUSED();
	len = answer(mem, "CN=Mail1", 0, 0);		/* nmap wants O= */
	REFUSED();
	len = answer(mem, NAME, 0, 0);
	mem[24]++;					/* the mark */
	REFUSED();
	len = answer(mem, NAME, 0, 0);
	mem[24 + 12] = 1;				/* the zeros behind */
	REFUSED();
	len = answer(mem, NAME, 0, 0);
	mem[0] = 35;			/* the packet ends within the mark */
	REFUSED();
	for (size_t i = 1; i < 15; i++) {
		len = answer(mem, NAME, 0, 0);
		mem[i]++;
		if (i != 4)
			REFUSED();
	}
	len = sizeof(nrpc_probe);
	memcpy(mem, nrpc_probe, len);			/* an echo */
	REFUSED();
	CU_ASSERT_EQUAL(nrpc_probe_answer((const uint8_t *)"HTTP/1.1", 8,
	    &name, &name_len), ERR_PROTO);
	CU_ASSERT_EQUAL(nrpc_probe_answer(nothing, 2, &name, &name_len),
	    ERR_PROTO);
	CU_ASSERT_PTR_NULL(name);
#undef REFUSED
}

int main(void)
{
	static const struct unit_test tests[] = {
		{ "a whole first packet without a name is unnamed",
		    test_unnamed },
		{ "a name is found as soon as it is complete", test_named },
		{ "the first text with a fitting length is the name",
		    test_first_name },
		{ "text without a length before it is no name",
		    test_no_length },
		{ "an announced name must be printable and inside",
		    test_bad_name },
		{ "a name may hold letters of other alphabets",
		    test_international },
		{ "what is clearly no packet is malformed at once",
		    test_not_a_packet },
		{ "a session call is let through", test_session_call },
		{ "a long packet is looked through only so far",
		    test_long_packet },
		{ "HTTP is told by its method", test_http },
		{ "TLS, SSH and BitTorrent are told by their first bytes",
		    test_other_protocols },
		{ "a packet as long as TLS's first bytes say is a packet",
		    test_length_like_tls },
		{ "every verdict has a name of its own", test_verdict_names },
		{ "only whole, printable names with known keys are valid",
		    test_valid_names },
		{ "names are compared without regard to case",
		    test_equal_names },
		{ "the name is read out of Domino's answer once it is whole",
		    test_answer },
		{ "what is not Domino's answer is refused",
		    test_not_an_answer },
		{ NULL, NULL }
	};

	return unit_main(tests);
}
