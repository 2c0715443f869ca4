#include "config.h"

#include "common/nrpc.h"

#include <string.h>

#include "common/err.h"

#define HEAD_LEN 12u		/* bytes before the payload */
#define LENGTH_SKIPPED 2u	/* the length does not count its own bytes */
#define NAME_MIN 4u		/* "CN=" and one more */

/* nmap's NotesRPC probe: type 2, flags 0x4000, a buffer of 8000 bytes. */
const uint8_t nrpc_probe[60] = {
	0x3a, 0x00, 0x00, 0x00, 0x2f, 0x00, 0x00, 0x00, 0x02, 0x00,
	0x00, 0x40, 0x02, 0x0f, 0x00, 0x01, 0x00, 0x3d, 0x05, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x2f, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x40, 0x1f, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00
};

/* How other protocols' clients begin. None can be the start of a packet. */
static const struct {
	const char *start;
	enum nrpc_verdict verdict;
} foreign[] = {
	{ "GET ", NRPC_HTTP },
	{ "POST ", NRPC_HTTP },
	{ "PUT ", NRPC_HTTP },
	{ "HEAD ", NRPC_HTTP },
	{ "OPTIONS ", NRPC_HTTP },
	{ "CONNECT ", NRPC_HTTP },
	{ "DELETE ", NRPC_HTTP },
	{ "PATCH ", NRPC_HTTP },
	{ "TRACE ", NRPC_HTTP },
	{ "PRI ", NRPC_HTTP },
	{ "SSH-", NRPC_SSH },
	{ "\x13" "BitTorrent protocol", NRPC_BITTORRENT }
};

static uint16_t load_le16(const uint8_t *p)
{
	return (uint16_t)(p[0] | p[1] << 8);
}

/* Where needle first stands in [p, end), or NULL. */
static const uint8_t *find(const uint8_t *p, const uint8_t *end,
    const void *needle, size_t len)
{
	uint8_t first = *(const uint8_t *)needle;

	while ((size_t)(end - p) >= len) {
		p = memchr(p, first, (size_t)(end - p) - len + 1);
		if (p == NULL || memcmp(p, needle, len) == 0)
			return p;
		p++;
	}
	return NULL;
}

/* Printable in ASCII, or in whatever character set the rest is. */
static bool is_text(uint8_t c)
{
	return c >= 0x20 && c != 0x7f;
}

/*
 * Another protocol? NRPC_MALFORMED when it is surely none of those known,
 * NRPC_MORE while it may become one.
 */
static enum nrpc_verdict look_foreign(const uint8_t *data, size_t len)
{
	enum nrpc_verdict verdict = NRPC_MALFORMED;

	for (size_t i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++) {
		size_t whole = strlen(foreign[i].start);

		if (memcmp(data, foreign[i].start, len < whole ? len : whole))
			continue;
		if (len >= whole)
			return foreign[i].verdict;
		verdict = NRPC_MORE;
	}
	/*
	 * 16 03 is also the length of a packet of 792 bytes, but then two
	 * zero bytes follow, while TLS says its version: SSL 3.0 (00, and then
	 * the higher byte of a length) to TLS 1.3.
	 */
	if (data[0] == 0x16 && len >= 3 && data[1] == 0x03) {
		if (data[2] >= 1 && data[2] <= 4)
			return NRPC_TLS;
		if (data[2] == 0 && len >= 4 && data[3] != 0)
			return NRPC_TLS;
	}
	return verdict;
}

/* Could this be a packet's head, as far as it has arrived? */
static bool is_head(const uint8_t *data, size_t len)
{
	if (len >= 2 && load_le16(data) < HEAD_LEN - LENGTH_SKIPPED)
		return false;
	/* 0 or 1: perhaps the upper half of the length. */
	if ((len >= 3 && data[2] > 1) || (len >= 4 && data[3] != 0))
		return false;
	/* All types that are known are small, and none is 0. */
	if (len >= 9 && data[8] == 0)
		return false;
	return len < 10 || data[9] == 0;
}

/* The name that may stand at p, where there is "CN=". */
static enum nrpc_verdict look_name(const uint8_t *p, const uint8_t *stop,
    const uint8_t *end, size_t name_len)
{
	size_t there = (size_t)(stop - p);

	if (name_len > (size_t)(end - p))
		return NRPC_MALFORMED;
	if (there > name_len)
		there = name_len;
	for (size_t i = 0; i < there; i++)
		if (!is_text(p[i]))
			return NRPC_MALFORMED;
	return there < name_len ? NRPC_MORE : NRPC_NAMED;
}

/* Look through a packet's payload; the head has arrived and is good. */
static struct nrpc_peek look_payload(const uint8_t *data, size_t len)
{
	size_t packet = LENGTH_SKIPPED + (size_t)load_le16(data);
	const uint8_t *end, *stop, *p;
	struct nrpc_peek peek = { 0 };

	if (packet > NRPC_PEEK_MAX)
		packet = NRPC_PEEK_MAX;
	end = data + packet;
	stop = data + (len < packet ? len : packet);
	peek.verdict = stop < end ? NRPC_MORE : NRPC_UNNAMED;
	if (stop - data < (ptrdiff_t)(HEAD_LEN + 2))
		return peek;
	/* The first place where a length stands before it is the name. */
	for (p = data + HEAD_LEN + 2; (p = find(p, stop, "CN=", 3)) != NULL;
	    p++) {
		size_t name_len = load_le16(p - 2);

		if (name_len < NAME_MIN || name_len > NRPC_NAME_MAX)
			continue;
		peek.verdict = look_name(p, stop, end, name_len);
		if (peek.verdict == NRPC_NAMED) {
			peek.name = p;
			peek.name_len = name_len;
		}
		break;
	}
	return peek;
}

struct nrpc_peek nrpc_peek(const uint8_t *data, size_t len)
{
	struct nrpc_peek peek = { .verdict = NRPC_MORE };

	if (len == 0)
		return peek;
	peek.verdict = look_foreign(data, len);
	if (peek.verdict != NRPC_MALFORMED || !is_head(data, len))
		return peek;
	if (len >= HEAD_LEN)
		return look_payload(data, len);
	peek.verdict = NRPC_MORE;
	return peek;
}

const char *nrpc_verdict_name(enum nrpc_verdict v)
{
	static const char *const name[] = {
		[NRPC_MORE] = "more",
		[NRPC_NAMED] = "named",
		[NRPC_UNNAMED] = "unnamed",
		[NRPC_HTTP] = "http",
		[NRPC_TLS] = "tls",
		[NRPC_SSH] = "ssh",
		[NRPC_BITTORRENT] = "bittorrent",
		[NRPC_MALFORMED] = "malformed"
	};

	return name[v];
}

/* ASCII only: the locale has no say in what a name is. */
static uint8_t lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? (uint8_t)(c + ('a' - 'A')) : c;
}

bool nrpc_name_equal(const void *a, size_t a_len, const void *b, size_t b_len)
{
	const uint8_t *p = a, *q = b;

	if (a_len != b_len)
		return false;
	for (size_t i = 0; i < a_len; i++)
		if (lower(p[i]) != lower(q[i]))
			return false;
	return true;
}

/*
 * Bytes of the UTF-8 character at p (RFC 3629 section 4), or 0 when it is
 * none, or a control character.
 */
static size_t character(const uint8_t *p, size_t left)
{
	uint8_t low = 0x80, high = 0xbf;
	size_t len;

	if (p[0] < 0x80)
		return is_text(p[0]) ? 1 : 0;
	if (p[0] < 0xc2 || p[0] > 0xf4)
		return 0;
	len = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
	if (len > left)
		return 0;
	if (p[0] == 0xc2 || p[0] == 0xe0)	/* C1 controls; overlong */
		low = 0xa0;
	else if (p[0] == 0xed)			/* surrogates */
		high = 0x9f;
	else if (p[0] == 0xf0)			/* overlong */
		low = 0x90;
	else if (p[0] == 0xf4)			/* above U+10FFFF */
		high = 0x8f;
	if (p[1] < low || p[1] > high)
		return 0;
	for (size_t i = 2; i < len; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	return len;
}

static bool is_printable(const uint8_t *p, size_t len)
{
	while (len > 0) {
		size_t n = character(p, len);

		if (n == 0)
			return false;
		p += n;
		len -= n;
	}
	return true;
}

/* Bytes of the key and the '=' that a component begins with, or 0. */
static size_t key_len(const uint8_t *p, size_t len, bool first)
{
	static const char *const keys[] = { "CN=", "OU=", "O=", "C=" };
	size_t count = first ? 1 : sizeof(keys) / sizeof(keys[0]);

	for (size_t i = 0; i < count; i++) {
		size_t n = strlen(keys[i]);

		if (len >= n && nrpc_name_equal(p, n, keys[i], n))
			return n;
	}
	return 0;
}

bool nrpc_name_valid(const char *name, size_t len)
{
	const uint8_t *p = (const uint8_t *)name, *end = p + len;

	if (len > NRPC_NAME_MAX || !is_printable(p, len))
		return false;
	for (bool first = true;; first = false) {
		const uint8_t *slash = find(p, end, "/", 1);
		size_t part = (size_t)((slash != NULL ? slash : end) - p);
		size_t key = key_len(p, part, first);

		if (key == 0 || key == part)
			return false;
		if (slash == NULL)
			return true;
		p = slash + 1;
	}
}

/* Is this how the answer begins? Bytes 0 and 4 are lengths. */
static bool is_answer_head(const uint8_t *data, size_t len)
{
	static const uint8_t head[] = {
		0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
		0x03, 0x00, 0x00, 0x40, 0x02, 0x0f, 0x00
	};

	for (size_t i = 0; i < sizeof(head) && i < len; i++)
		if (i != 0 && i != 4 && data[i] != head[i])
			return false;
	return true;
}

/* The name's length, when there is one in [p, end), else 0. */
static size_t answer_name(const uint8_t *p, const uint8_t *end, size_t told)
{
	size_t len = 0;

	if (told > 0 && told <= (size_t)(end - p) &&
	    nrpc_name_valid((const char *)p, told))
		len = told;
	else
		while (p + len < end && is_text(p[len]))
			len++;
	if (!nrpc_name_valid((const char *)p, len) ||
	    find(p, p + len, "/O=", 3) == NULL)
		return 0;
	return len;
}

int nrpc_probe_answer(const uint8_t *data, size_t len, const uint8_t **name,
    size_t *name_len)
{
	static const uint8_t mark[] = {
		0x03, 0x00, 0x00, 0x00, 0x00, 0x02, 0x00, 0x2f, 0x00
	};
	static const uint8_t zeros[7];
	const uint8_t *end, *p;
	size_t told;

	if (!is_answer_head(data, len))
		return ERR_PROTO;
	if (len == 0 || len < LENGTH_SKIPPED + (size_t)data[0])
		return ERR_MORE;
	end = data + LENGTH_SKIPPED + data[0];
	p = find(data, end, mark, sizeof(mark));
	if (p == NULL ||
	    (size_t)(end - p) < sizeof(mark) + 1 + sizeof(zeros) ||
	    memcmp(p + sizeof(mark) + 1, zeros, sizeof(zeros)) != 0)
		return ERR_PROTO;
	told = p[sizeof(mark)];
	p += sizeof(mark) + 1 + sizeof(zeros);
	for (; (p = find(p, end, "CN=", 3)) != NULL; p++) {
		size_t n = answer_name(p, end, told);

		if (n == 0)
			continue;
		*name = p;
		*name_len = n;
		return 0;
	}
	return ERR_PROTO;
}
