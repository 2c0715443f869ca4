/*
 * The first exchange of a session, or of a resumed one: hello and answer
 * (docs/PROTOCOL.md, section "Hello"). Wraps the Noise handshake and knows
 * the payloads; knows no sessions, devices or HTTP.
 *
 * On the wire: mark (1) | version (1) | length (2) | Noise message, numbers
 * big-endian, length counting the Noise message alone. The marks are above
 * 0x80, where no record can begin. The prologue of the handshake is the
 * characters "nrpc-tunnel" (11), the version (1) and the session's id (16).
 *
 * Payload of the hello, the first Noise message; all numbers are
 * variable-length integers (wire.h):
 *
 *	generation		of the keys that this handshake makes, 1..16383
 *	initial window		bytes that the client takes per stream at first
 *	max streams		streams that it lets the gateway open at once
 *	agent length		0..64
 *	agent			program and version, text
 *
 * Payload of the answer, the second Noise message:
 *
 *	status			enum hello_status
 *	initial window		bytes that the gateway takes per stream at first
 *	max streams		streams that it lets the client open at once
 *	hold max		milliseconds: no request is held for longer
 *	linger			milliseconds that a silent session lives
 *	agent length, agent	as above
 *	HTTP/2 window		bytes of a request's body that the web server
 *				takes on HTTP/2 before they are read; may be
 *				missing or 0, and is then 65536
 *	open request max	bytes of a request whose body stays open; may
 *				be missing or 0: no more than of others
 *	query max		bytes of records in a request's query; may be
 *				missing or 0: none
 *
 * The numbers of an answer that refuses are 0, and the last three are missing.
 * Bytes after that, or after the agent of a hello, are for later versions: a
 * receiver ignores them, a sender of this version writes none. Other values of
 * status, a generation above 16383, a longer agent and a payload that ends
 * early are errors. Status 0 and 1 alone give keys.
 */
#ifndef COMMON_HELLO_H
#define COMMON_HELLO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/noise.h"
#include "common/record.h"

#define HELLO_MARK 0xF1u	/* first byte of a client's hello */
#define HELLO_ANSWER_MARK 0xF2u	/* first byte of the gateway's answer */
#define HELLO_VERSION 1u
#define HELLO_GENERATION_MAX 16383u	/* a record number is a varint */
#define HELLO_MAX 512u		/* bytes of a hello or an answer, whole */
#define HELLO_AGENT_MAX 64u	/* bytes of the program's name and version */

/* What a client says of itself. */
struct hello {
	uint16_t generation;		/* of the keys this handshake makes */
	uint64_t initial_window;	/* bytes it takes per stream at first */
	uint64_t max_streams;		/* streams it lets the other end open */
	char agent[HELLO_AGENT_MAX + 1];/* printable ASCII; ? for the rest */
};

enum hello_status {
	HELLO_CREATED = 0,	/* a new session; what was there is gone */
	HELLO_RESUMED = 1,	/* the session goes on under the new keys */
	HELLO_UNKNOWN_DEVICE = 2,
	HELLO_REVOKED_DEVICE = 3,
	HELLO_BUSY = 4		/* a cap is reached, or draining: try later */
};
const char *hello_status_text(enum hello_status s);	/* for people */

/* What the gateway answers; the numbers only count for CREATED and RESUMED. */
struct hello_answer {
	enum hello_status status;
	uint64_t initial_window;
	uint64_t max_streams;
	uint64_t hold_max_ms;		/* it holds no request for longer */
	uint64_t linger_ms;		/* a silent session lives that long */
	char agent[HELLO_AGENT_MAX + 1];
	uint64_t http2_window;		/* see above; 0: missing */
	uint64_t open_request_max;	/* likewise */
	uint64_t query_max;		/* likewise */
};

/* The keys that a handshake gave: wipe after use. */
struct hello_keys {
	uint8_t from_client[32];
	uint8_t from_gateway[32];
};

/*
 * Client: begin. Writes the whole hello to out (room HELLO_MAX), its length
 * to *out_len, and the state to *state, to be freed with noise_free.
 */
int hello_start(struct noise **state, const struct noise_keys *device,
    const uint8_t gateway[32], const uint8_t id[RECORD_ID_LEN],
    const struct hello *h, uint8_t *out, size_t *out_len);

/*
 * Client: the answer's length once 4 bytes are there: 0 and *whole_len,
 * ERR_MORE, or ERR_PROTO (not a hello of the given mark and this version).
 * Serves the gateway too, with HELLO_MARK.
 */
int hello_peek(uint8_t mark, const uint8_t *data, size_t len,
    size_t *whole_len);

/*
 * Client: finish with a whole answer of len bytes. keys are set only with
 * CREATED and RESUMED. ERR_CRYPTO: not from the gateway whose key we have,
 * or not an answer at all. ERR_PROTO: it is, but speaks nonsense. ERR_STATE:
 * this handshake has ended already, well or badly.
 */
int hello_finish(struct noise *state, const uint8_t *answer, size_t len,
    struct hello_answer *out, struct hello_keys *keys);

/*
 * Gateway: read a whole hello of len bytes. 0 with the state (to be freed
 * with noise_free; noise_remote(state) is the device's key) and its content.
 * ERR_CRYPTO: not a hello for this gateway and this session; ERR_PROTO: it is,
 * but speaks nonsense.
 */
int hello_accept(struct noise **state, const struct noise_keys *gateway,
    const uint8_t id[RECORD_ID_LEN], const uint8_t *data, size_t len,
    struct hello *out);

/*
 * Gateway: write the whole answer to out (room HELLO_MAX). keys are set only
 * with CREATED and RESUMED. ERR_LIMIT: a number is above WIRE_VARINT_MAX;
 * ERR_STATE: answered already.
 */
int hello_reply(struct noise *state, const struct hello_answer *a,
    uint8_t *out, size_t *out_len, struct hello_keys *keys);

#endif
