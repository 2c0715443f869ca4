#include "config.h"

#include "tests/support/script.h"

#include <endian.h>
#include <stdbool.h>
#include <string.h>

#define PAYLOAD_LEN 47u		/* of nmap's probe, after the head */
#define COMMAND_LEN 64u
#define TYPE_REQUEST 2u
#define TYPE_ANSWER 3u
#define FLAGS_SESSION 0x4000u

static const char magic[8] = "gUeSt1\r\n";

/* The payload of nmap's NotesRPC probe. */
static const uint8_t payload[PAYLOAD_LEN] = {
	0x02, 0x0f, 0x00, 0x01, 0x00, 0x3d, 0x05, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x2f, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x40, 0x1f, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00
};

/* What every answer holds before the name (nmap's match line for 5.0 up). */
static const uint8_t answer_head[] = {
	0x02, 0x0f, 0x00, 0x05, 0x00, 0x39, 0x05, 0x00, 0x00, 0x00, 0x00, 0x00
};
static const uint8_t answer_mark[] = {
	0x03, 0x00, 0x00, 0x00, 0x00, 0x02, 0x00, 0x2f, 0x00
};

static void put_u16(uint8_t *p, uint16_t v)
{
	v = htole16(v);
	memcpy(p, &v, sizeof(v));
}

static void put_u32(uint8_t *p, uint32_t v)
{
	v = htole32(v);
	memcpy(p, &v, sizeof(v));
}

static void put_u64(uint8_t *p, uint64_t v)
{
	v = htole64(v);
	memcpy(p, &v, sizeof(v));
}

static uint16_t get_u16(const uint8_t *p)
{
	uint16_t v;

	memcpy(&v, p, sizeof(v));
	return le16toh(v);
}

static uint32_t get_u32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return le32toh(v);
}

static uint64_t get_u64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return le64toh(v);
}

uint64_t script_seed_up(const struct script *s)
{
	return s->seed * 2;
}

uint64_t script_seed_down(const struct script *s)
{
	return s->seed * 2 + UINT64_C(0x8000000000000001);
}

const char *script_name(enum script_scenario s)
{
	static const char *const names[] = {
		"none", "echo", "pingpong", "down", "up", "both", "close",
		"reset", "halfclose", "silent"
	};

	return s < SCRIPT_COUNT ? names[s] : "unknown";
}

/* Pad to an even length and write the head. Returns the packet's length. */
static size_t finish_packet(uint8_t *out, size_t len, uint16_t type)
{
	size_t payload_len = len - SCRIPT_HEAD;

	if (len % 2 != 0)
		out[len++] = 0;
	memset(out, 0, SCRIPT_HEAD);
	put_u16(out, (uint16_t)(len - 2));
	put_u16(out + 4, (uint16_t)payload_len);
	put_u16(out + 8, type);
	put_u16(out + 10, FLAGS_SESSION);
	return len;
}

static size_t put_command(const struct script *s, uint8_t *p)
{
	memset(p, 0, COMMAND_LEN);
	memcpy(p, magic, sizeof(magic));
	put_u32(p + 8, (uint32_t)s->scenario);
	put_u32(p + 12, s->ms);
	put_u64(p + 16, s->up);
	put_u64(p + 24, s->down);
	put_u64(p + 32, s->seed);
	put_u64(p + 40, s->stall_after);
	put_u64(p + 48, s->stall_rate);
	put_u32(p + 56, s->stall_ms);
	return COMMAND_LEN;
}

size_t script_encode(const struct script *s, const char *name,
    uint8_t out[SCRIPT_PACKET_MAX])
{
	size_t len = SCRIPT_HEAD, name_len;

	memcpy(out + len, payload, sizeof(payload));
	len += sizeof(payload);
	if (name != NULL) {
		name_len = strnlen(name, SCRIPT_NAME_MAX);
		put_u16(out + len, (uint16_t)name_len);
		memcpy(out + len + 2, name, name_len);
		len += 2 + name_len;
	}
	if (s != NULL) {
		/* The command ends the packet: no padding may follow it. */
		if (len % 2 != 0)
			out[len++] = 0;
		len += put_command(s, out + len);
	}
	return finish_packet(out, len, TYPE_REQUEST);
}

size_t script_packet_len(const uint8_t head[SCRIPT_HEAD])
{
	size_t len = 2 + (size_t)get_u16(head);

	if (get_u16(head + 8) != TYPE_REQUEST ||
	    get_u16(head + 10) != FLAGS_SESSION)
		return 0;
	if (len <= SCRIPT_HEAD || len > SCRIPT_PACKET_MAX)
		return 0;
	return len;
}

void script_decode(const uint8_t *packet, size_t len, struct script *out)
{
	const uint8_t *p;
	uint32_t scenario;

	memset(out, 0, sizeof(*out));
	out->stall_after = SCRIPT_NO_STALL;
	if (len < SCRIPT_HEAD + COMMAND_LEN)
		return;
	p = packet + len - COMMAND_LEN;
	scenario = get_u32(p + 8);
	if (memcmp(p, magic, sizeof(magic)) != 0 || scenario >= SCRIPT_COUNT)
		return;
	out->scenario = (enum script_scenario)scenario;
	out->ms = get_u32(p + 12);
	out->up = get_u64(p + 16);
	out->down = get_u64(p + 24);
	out->seed = get_u64(p + 32);
	out->stall_after = get_u64(p + 40);
	out->stall_rate = get_u64(p + 48);
	out->stall_ms = get_u32(p + 56);
}

size_t script_answer(const char *server, uint8_t out[SCRIPT_PACKET_MAX])
{
	size_t len = SCRIPT_HEAD, name_len = strnlen(server, 128);

	memcpy(out + len, answer_head, sizeof(answer_head));
	len += sizeof(answer_head);
	memcpy(out + len, answer_mark, sizeof(answer_mark));
	len += sizeof(answer_mark);
	out[len] = (uint8_t)name_len;
	memset(out + len + 1, 0, 11);
	len += 12;
	memcpy(out + len, server, name_len);
	len += name_len;
	/* nmap's expression wants a byte after the name that is not part of it. */
	memset(out + len, 0, 2);
	len += 2;
	return finish_packet(out, len, TYPE_ANSWER);
}

static bool is_name_byte(uint8_t c)
{
	return c > 0x20 || c == ' ';
}

int script_answer_name(const uint8_t *data, size_t len,
    char name[SCRIPT_NAME_MAX + 1])
{
	const uint8_t *mark, *p, *end;
	size_t n = 0;

	if (len < SCRIPT_HEAD || data[1] != 0 || (size_t)data[0] + 2 > len ||
	    get_u16(data + 8) != TYPE_ANSWER ||
	    get_u16(data + 10) != FLAGS_SESSION)
		return -1;
	end = data + data[0] + 2;
	mark = memmem(data, (size_t)(end - data), answer_mark,
	    sizeof(answer_mark));
	if (mark == NULL)
		return -1;
	p = memmem(mark, (size_t)(end - mark), "CN=", 3);
	if (p == NULL)
		return -1;
	for (; p < end && is_name_byte(*p) && n < SCRIPT_NAME_MAX; p++)
		name[n++] = (char)*p;
	name[n] = '\0';
	return 0;
}

void script_verdict_encode(uint64_t right, uint8_t out[SCRIPT_VERDICT_LEN])
{
	put_u64(out, right);
}

uint64_t script_verdict_decode(const uint8_t in[SCRIPT_VERDICT_LEN])
{
	return get_u64(in);
}
