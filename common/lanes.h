/*
 * The client's end of a session: greets the gateway (hello), decides when an
 * exchange is started on which lane and with what, gives up those that stay
 * silent, resumes, and begins anew when the gateway has forgotten us.
 *
 * Pure like the session below it: HTTP is whoever implements lanes_ops, time
 * is an argument. Nothing outside a record is believed: an exchange counts as
 * done only when its response ended with our END frame for it.
 */
#ifndef COMMON_LANES_H
#define COMMON_LANES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/noise.h"
#include "common/session.h"

#define LANES_HELLO SESSION_LANES	/* the slot that carries hellos */
#define LANES_GHOSTS 4u			/* exchanges that were hedged */
#define LANES_SLOTS (SESSION_LANES + 1u + LANES_GHOSTS)
#define LANES_PATHS 9u		/* two for what is small, six for bulk, and one
				   for bodies that stay open */

enum lanes_state {
	LANES_DOWN,		/* no session, or the last attempts failed */
	LANES_UP
};

/* How an exchange ended, as far as HTTP can tell. */
enum lanes_result {
	LANES_DONE,		/* status 200, body complete */
	LANES_STATUS,		/* another status */
	LANES_FAILED		/* no response, or cut off */
};

struct lanes_ops {
	/*
	 * POST body[0..len) now, by a path of 0..LANES_PATHS-1: exchanges on
	 * different paths do not share a TCP connection. The body stays valid
	 * until lanes_on_end for this slot, or cancel. fresh: not on a
	 * connection that exists already, nor is any of those used for what is
	 * posted later, on any path.
	 */
	void (*post)(void *ctx, unsigned slot, const uint8_t *body, size_t len,
	    unsigned path, bool fresh);
	/*
	 * As post, but in the URL's query, and with an empty body: at most
	 * CRYPTO_BASE64_MAX bytes, of a request that is to be held. May be
	 * NULL: then all goes by post.
	 */
	void (*query)(void *ctx, unsigned slot, const uint8_t *body, size_t len,
	    unsigned path, bool fresh);
	/* The exchange in slot `from` goes on as that of `to`, which is free. */
	void (*move)(void *ctx, unsigned from, unsigned to);
	/* Give the exchange of this slot up; no more events for it. */
	void (*cancel)(void *ctx, unsigned slot);
	/*
	 * Up or down, and why, in a sentence for people. Also called when only
	 * the reason for being down has changed.
	 */
	void (*on_state)(void *ctx, enum lanes_state state, const char *why);
	/*
	 * Something to do: lanes_run soon. May be called from anywhere; must
	 * only take note.
	 */
	void (*on_wake)(void *ctx);
	/* 32 random bits, for jitter. */
	uint32_t (*random)(void *ctx);
	/*
	 * Nothing has come for so long that the path is tried anew, by a
	 * fresh connection. May be NULL.
	 */
	void (*on_silence)(void *ctx, uint64_t silent_ms);
	/*
	 * As post, but the body goes on with what is appended, until it is
	 * finished; it is copied. unsent: so much of it has not gone out yet.
	 * All four may be NULL: then no body ever goes on.
	 */
	void (*open)(void *ctx, unsigned slot, const uint8_t *body, size_t len,
	    unsigned path, bool fresh);
	void (*append)(void *ctx, unsigned slot, const uint8_t *data,
	    size_t len);
	void (*finish)(void *ctx, unsigned slot);
	size_t (*unsent)(void *ctx, unsigned slot);
	/*
	 * So many milliseconds ago something came by the path of this slot's
	 * exchange, even if it cannot be read yet, being a part of what is to
	 * be decrypted as a whole; UINT64_MAX: not known. May be NULL.
	 */
	uint64_t (*arrived)(void *ctx, unsigned slot);
};

struct lanes_config {
	struct noise_keys device;
	uint8_t gateway[32];
	uint8_t id[RECORD_ID_LEN];	/* the session's id, random */
	struct session_config session;
	uint32_t hold_ms;		/* no request is held for longer: 45 s */
	uint32_t quiet_ms;		/* before an empty request is parked: 5 */
	uint32_t silence_ms;		/* give up after this beyond the hold: 10 s */
	uint32_t retry_min_ms;		/* back-off: 100 */
	uint32_t retry_max_ms;		/* back-off cap: 1500 */
	uint32_t rekey_ms;		/* a fresh handshake at least this often: 1 h */
	uint32_t body_max;		/* request body on HTTP/1.1: 983040 */
	uint32_t body_max_h2;		/* on HTTP/2, if the web server's window
					   has room for it: 983040 */
	uint32_t body_max_open;		/* of one that stays open, if the
					   gateway takes it: 16 MiB */
	unsigned duplex_after;		/* questions in a row, before a duplex
					   lane is tried: 20; 0: never */
	unsigned lanes;			/* at once on HTTP/1.1: 24 */
	unsigned lanes_h2;		/* at once on HTTP/2: 96 */
};
void lanes_defaults(struct lanes_config *c);	/* all but keys and id */

struct lanes;

int lanes_new(struct lanes **out, const struct lanes_config *c,
    const struct lanes_ops *ops, void *ctx);
void lanes_free(struct lanes *l);

/* Open a stream: ERR_STATE while down, ERR_LIMIT. See stream_open. */
int lanes_open(struct lanes *l, const char *server, struct stream **out);

/* Events of the exchange in a slot. on_end frees the slot. */
void lanes_on_body(struct lanes *l, unsigned slot, const uint8_t *data,
    size_t len, uint64_t now_ms);
void lanes_on_end(struct lanes *l, unsigned slot, enum lanes_result result,
    unsigned http_status, const char *detail, uint64_t now_ms);

/* The path speaks HTTP/2, or does not; once known, and when it changes. */
void lanes_set_http2(struct lanes *l, bool http2);

/*
 * The network changed: everything under way is given up and begun again on
 * fresh connections, and nothing learned of the old network counts. Or someone
 * wants to connect: do not wait any longer.
 */
void lanes_network_changed(struct lanes *l, uint64_t now_ms);
void lanes_knock(struct lanes *l, uint64_t now_ms);

/*
 * Start, give up and repeat what is due. To be called after events and when
 * lanes_deadline has come.
 */
void lanes_run(struct lanes *l, uint64_t now_ms);

/* When lanes_run is to be called if nothing happens; UINT64_MAX: never. */
uint64_t lanes_deadline(const struct lanes *l);

enum lanes_state lanes_state(const struct lanes *l);

/*
 * The id of the session that requests belong to, RECORD_ID_LEN bytes: the
 * configured one at first, another for each session after that.
 */
const uint8_t *lanes_id(const struct lanes *l);
struct session *lanes_session(struct lanes *l);	/* NULL before the first */

/* Say goodbye: one exchange with CLOSE. lanes_is_over once it has ended. */
void lanes_close(struct lanes *l, uint64_t now_ms);
bool lanes_is_over(const struct lanes *l);

struct lanes_stats {
	uint64_t exchanges, failed, hellos, sessions;
	uint64_t hedged;		/* exchanges repeated elsewhere */
	uint64_t silences;		/* that made us try the path anew */
	bool duplex;			/* the path carries both bodies open */
	uint64_t streamed;		/* questions sent in an open body */
	unsigned in_flight;
	uint32_t rtt_ms;		/* of the path without queues; 0: unknown */
	uint64_t window;		/* bytes of bulk under way at once */
	bool http2;
	uint32_t body_max;		/* what the path takes, as learned */
	uint32_t hold_ms;
};
void lanes_get_stats(const struct lanes *l, struct lanes_stats *out);

#endif
