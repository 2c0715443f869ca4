#include "config.h"

#include "common/hello.h"

#include <assert.h>
#include <string.h>

#include "common/err.h"
#include "common/wire.h"

#define HEAD_LEN 4u		/* mark, version, length */
#define PAYLOAD_MAX (HELLO_MAX - HEAD_LEN - NOISE_2_OVERHEAD)
#define NAME "nrpc-tunnel"
#define NAME_LEN (sizeof(NAME) - 1)
#define PROLOGUE_LEN (NAME_LEN + 1 + RECORD_ID_LEN)

/* Five numbers and the agent are the most that is ever written. */
static_assert(HEAD_LEN + NOISE_1_OVERHEAD + 6 * WIRE_VARINT_LEN_MAX +
    HELLO_AGENT_MAX <= HELLO_MAX, "a hello fits");

const char *hello_status_text(enum hello_status s)
{
	switch (s) {
	case HELLO_CREATED:
		return "a new session was created";
	case HELLO_RESUMED:
		return "the session was resumed";
	case HELLO_UNKNOWN_DEVICE:
		return "the gateway does not know this device";
	case HELLO_REVOKED_DEVICE:
		return "this device has been revoked";
	case HELLO_BUSY:
		return "the gateway takes no more sessions at the moment";
	}
	return "the gateway gave an answer of an unknown kind";
}

static bool gives_keys(enum hello_status s)
{
	return s == HELLO_CREATED || s == HELLO_RESUMED;
}

static void make_prologue(uint8_t out[PROLOGUE_LEN],
    const uint8_t id[RECORD_ID_LEN])
{
	memcpy(out, NAME, NAME_LEN);
	out[NAME_LEN] = HELLO_VERSION;
	memcpy(out + NAME_LEN + 1, id, RECORD_ID_LEN);
}

/* The peer's text will be logged and shown: nothing but printable ASCII. */
static void copy_agent(char out[HELLO_AGENT_MAX + 1], const uint8_t *text,
    size_t len)
{
	for (size_t i = 0; i < len; i++)
		out[i] = text[i] >= 0x20 && text[i] <= 0x7e ?
		    (char)text[i] : '?';
	out[len] = '\0';
}

static int get_agent(struct wire_in *in, char out[HELLO_AGENT_MAX + 1])
{
	const uint8_t *text;
	uint64_t len;

	if (wire_get_varint(in, &len) != 0 || len > HELLO_AGENT_MAX ||
	    wire_get_bytes(in, (size_t)len, &text) != 0)
		return ERR_PROTO;
	copy_agent(out, text, (size_t)len);
	return 0;
}

static int put_agent(struct wire_out *out, const char *agent)
{
	char clean[HELLO_AGENT_MAX + 1];
	size_t len = strnlen(agent, HELLO_AGENT_MAX);
	int rc;

	copy_agent(clean, (const uint8_t *)agent, len);
	rc = wire_put_varint(out, len);
	return rc != 0 ? rc : wire_put_bytes(out, clean, len);
}

static int get_hello(struct wire_in *in, struct hello *out)
{
	uint64_t generation;

	if (wire_get_varint(in, &generation) != 0 ||
	    generation > HELLO_GENERATION_MAX ||
	    wire_get_varint(in, &out->initial_window) != 0 ||
	    wire_get_varint(in, &out->max_streams) != 0)
		return ERR_PROTO;
	out->generation = (uint16_t)generation;
	return get_agent(in, out->agent);
}

static int put_hello(struct wire_out *out, const struct hello *h)
{
	int rc;

	if ((rc = wire_put_varint(out, h->generation)) != 0 ||
	    (rc = wire_put_varint(out, h->initial_window)) != 0 ||
	    (rc = wire_put_varint(out, h->max_streams)) != 0)
		return rc;
	return put_agent(out, h->agent);
}

static int get_answer(struct wire_in *in, struct hello_answer *out)
{
	uint64_t status;

	if (wire_get_varint(in, &status) != 0 || status > HELLO_BUSY ||
	    wire_get_varint(in, &out->initial_window) != 0 ||
	    wire_get_varint(in, &out->max_streams) != 0 ||
	    wire_get_varint(in, &out->hold_max_ms) != 0 ||
	    wire_get_varint(in, &out->linger_ms) != 0)
		return ERR_PROTO;
	out->status = (enum hello_status)status;
	if (get_agent(in, out->agent) != 0)
		return ERR_PROTO;
	if (wire_get_varint(in, &out->http2_window) != 0)
		out->http2_window = 0;
	if (wire_get_varint(in, &out->open_request_max) != 0)
		out->open_request_max = 0;
	if (wire_get_varint(in, &out->query_max) != 0)
		out->query_max = 0;
	return 0;
}

static int put_answer(struct wire_out *out, const struct hello_answer *a)
{
	bool yes = gives_keys(a->status);	/* else no more is told */
	const uint64_t more[] = {
		a->http2_window, a->open_request_max, a->query_max
	};
	size_t count = yes ? sizeof(more) / sizeof(more[0]) : 0;
	int rc;

	if ((rc = wire_put_varint(out, a->status)) != 0 ||
	    (rc = wire_put_varint(out, yes ? a->initial_window : 0)) != 0 ||
	    (rc = wire_put_varint(out, yes ? a->max_streams : 0)) != 0 ||
	    (rc = wire_put_varint(out, yes ? a->hold_max_ms : 0)) != 0 ||
	    (rc = wire_put_varint(out, yes ? a->linger_ms : 0)) != 0 ||
	    (rc = put_agent(out, a->agent)) != 0)
		return rc;
	while (count > 0 && more[count - 1] == 0)
		count--;
	for (size_t i = 0; i < count && rc == 0; i++)
		rc = wire_put_varint(out, more[i]);
	return rc;
}

/* Head and Noise message with what was written to payload. */
static int write_message(struct noise *state, uint8_t mark,
    const uint8_t *payload, size_t len, uint8_t *out, size_t *out_len)
{
	size_t n;
	int rc;

	rc = noise_write(state, payload, len, out + HEAD_LEN, &n);
	if (rc != 0)
		return rc;
	out[0] = mark;
	out[1] = HELLO_VERSION;
	wire_store_u16(out + 2, (uint16_t)n);
	*out_len = HEAD_LEN + n;
	return 0;
}

/* The payload of a whole message that authenticates, as *in over buffer. */
static int read_message(struct noise *state, uint8_t mark,
    const uint8_t *data, size_t len, uint8_t payload[PAYLOAD_MAX],
    struct wire_in *in)
{
	size_t whole;
	int rc;

	if (hello_peek(mark, data, len, &whole) != 0 || whole != len)
		return ERR_CRYPTO;
	rc = noise_read(state, data + HEAD_LEN, len - HEAD_LEN, payload,
	    &in->left);
	in->p = payload;
	return rc == ERR_LIMIT ? ERR_CRYPTO : rc;
}

static int derive(struct noise *state, struct hello_keys *keys)
{
	uint8_t hash[CRYPTO_KEY_LEN];

	return noise_split(state, keys->from_client, keys->from_gateway, hash);
}

int hello_peek(uint8_t mark, const uint8_t *data, size_t len,
    size_t *whole_len)
{
	size_t length;

	if (len < HEAD_LEN)
		return ERR_MORE;
	length = wire_load_u16(data + 2);
	if (data[0] != mark || data[1] != HELLO_VERSION ||
	    length < NOISE_2_OVERHEAD || length > HELLO_MAX - HEAD_LEN)
		return ERR_PROTO;
	*whole_len = HEAD_LEN + length;
	return 0;
}

int hello_start(struct noise **state, const struct noise_keys *device,
    const uint8_t gateway[32], const uint8_t id[RECORD_ID_LEN],
    const struct hello *h, uint8_t *out, size_t *out_len)
{
	uint8_t prologue[PROLOGUE_LEN], payload[PAYLOAD_MAX];
	struct wire_out w = { payload, sizeof(payload) };
	struct noise *n;
	int rc;

	rc = put_hello(&w, h);
	if (rc != 0)
		return rc;
	make_prologue(prologue, id);
	rc = noise_new_initiator(&n, device, gateway, prologue,
	    sizeof(prologue), NULL);
	if (rc != 0)
		return rc;
	rc = write_message(n, HELLO_MARK, payload, sizeof(payload) - w.left,
	    out, out_len);
	if (rc != 0) {
		noise_free(n);
		return rc;
	}
	*state = n;
	return 0;
}

int hello_finish(struct noise *state, const uint8_t *answer, size_t len,
    struct hello_answer *out, struct hello_keys *keys)
{
	uint8_t payload[PAYLOAD_MAX];
	struct hello_answer a = { 0 };
	struct wire_in in;
	int rc;

	rc = read_message(state, HELLO_ANSWER_MARK, answer, len, payload, &in);
	if (rc == 0)
		rc = get_answer(&in, &a);
	if (rc == 0 && gives_keys(a.status))
		rc = derive(state, keys);
	if (rc == 0)
		*out = a;
	return rc;
}

int hello_accept(struct noise **state, const struct noise_keys *gateway,
    const uint8_t id[RECORD_ID_LEN], const uint8_t *data, size_t len,
    struct hello *out)
{
	uint8_t prologue[PROLOGUE_LEN], payload[PAYLOAD_MAX];
	struct hello h = { 0 };
	struct wire_in in;
	struct noise *n;
	int rc;

	make_prologue(prologue, id);
	rc = noise_new_responder(&n, gateway, prologue, sizeof(prologue),
	    NULL);
	if (rc != 0)
		return rc;
	rc = read_message(n, HELLO_MARK, data, len, payload, &in);
	if (rc == 0)
		rc = get_hello(&in, &h);
	if (rc != 0) {
		noise_free(n);
		return rc;
	}
	*state = n;
	*out = h;
	return 0;
}

int hello_reply(struct noise *state, const struct hello_answer *a,
    uint8_t *out, size_t *out_len, struct hello_keys *keys)
{
	uint8_t payload[PAYLOAD_MAX];
	struct wire_out w = { payload, sizeof(payload) };
	int rc;

	rc = put_answer(&w, a);
	if (rc != 0)
		return rc;
	rc = write_message(state, HELLO_ANSWER_MARK, payload,
	    sizeof(payload) - w.left, out, out_len);
	if (rc == 0 && gives_keys(a->status))
		rc = derive(state, keys);
	return rc;
}
