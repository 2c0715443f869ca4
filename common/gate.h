/*
 * The gateway's end of all sessions: admits hellos, finds a session by its id,
 * and decides which held exchange is answered when and for how long a
 * response goes on. Pure: HTTP is whoever feeds exchanges in, time is an
 * argument, and who may come in is asked through ops.
 *
 * Whatever does not authenticate is refused, all in the same way: state
 * GATE_REFUSED, to be answered with the one 404.
 */
#ifndef COMMON_GATE_H
#define COMMON_GATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/hello.h"
#include "common/session.h"

struct gate;
struct gate_session;
struct gate_exchange;

/* The caps that the gate keeps. */
enum gate_limit {
	GATE_LIMIT_SESSIONS,
	GATE_LIMIT_DEVICE_SESSIONS,
	GATE_LIMIT_STREAMS,		/* of one session */
	GATE_LIMIT_DEVICE_MEMORY,
	GATE_LIMIT_MEMORY,
	GATE_LIMITS
};

/* As the setting is called: "max_sessions". */
const char *gate_limit_name(enum gate_limit limit);

struct gate_ops {
	/*
	 * May the holder of this key come in? HELLO_CREATED for yes, with
	 * *device (passed back in on_session, and compared to tell devices
	 * apart by key, not by pointer); HELLO_UNKNOWN_DEVICE,
	 * HELLO_REVOKED_DEVICE or HELLO_BUSY for no.
	 */
	enum hello_status (*authorize)(void *ctx, const uint8_t key[32],
	    void **device);
	/* A session begins (confirmed by its first record) or has ended. */
	void (*on_session)(void *ctx, struct gate_session *gs, void *device);
	void (*on_session_end)(void *ctx, struct gate_session *gs,
	    const char *why);
	/* A client opened a stream: see session_ops.on_open. */
	void (*on_open)(void *ctx, struct gate_session *gs, struct stream *st,
	    const char *name, size_t name_len);
	/* gate_run has something to do: call it soon. Only take note. */
	void (*on_wake)(void *ctx);
	/* A hello was refused: one line for the log. */
	void (*on_note)(void *ctx, const char *line);
	/*
	 * A whole hello is there: may it cost us the key agreement? False: it is
	 * refused like everything that is none. NULL: always.
	 */
	bool (*may_hello)(void *ctx);
	/*
	 * A cap of this value was reached by the device with this key; id is
	 * the session's, or NULL. Called from within stream_* too: must only
	 * take note. NULL: nobody wants to know.
	 */
	void (*on_limit)(void *ctx, enum gate_limit limit, uint64_t value,
	    const uint8_t key[32], const uint8_t *id);
};

struct gate_config {
	struct noise_keys keys;
	struct session_config session;
	unsigned max_sessions;		/* all together: 10000 */
	unsigned max_device_sessions;	/* of one device: 8 */
	uint64_t max_device_memory;	/* bytes in its sessions: 64 MiB */
	uint64_t max_memory;		/* in all sessions: 512 MiB */
	uint64_t linger_ms;		/* 15 min */
	uint64_t unconfirmed_ms;	/* for the first record: 30 s */
	uint64_t hold_max_ms;		/* 45 s */
	uint64_t http2_window;		/* told to clients; 0: not, as 64 KiB */
	uint64_t response_first;	/* response cap at first: 4 MiB */
	uint64_t response_max;		/* and where the path streams: 256 MiB */
	uint64_t response_ms;		/* a response lasts at most: 30 s */
	uint64_t request_max;		/* bytes of one request: 1 MiB */
	uint64_t open_request_max;	/* and of one that stays open: 16 MiB */
	uint64_t query_max;		/* and of records that may come in its
					   query: CRYPTO_BASE64_MAX */
};
void gate_defaults(struct gate_config *c);	/* all but the keys */

int gate_new(struct gate **out, const struct gate_config *c,
    const struct gate_ops *ops, void *ctx);
void gate_free(struct gate *g);			/* no exchange is left */

/* Replace limits (not keys) for what comes; SIGHUP. */
void gate_reconfigure(struct gate *g, const struct gate_config *c);

/* ---- exchanges -------------------------------------------------------- */

enum gate_state {
	GATE_READING,	/* the request's body is not complete */
	GATE_WAITING,	/* held, or in a response with nothing to say now */
	GATE_READY,	/* gate_exchange_pull has bytes, or the end */
	GATE_REFUSED	/* answer 404; nothing else to do */
};

/*
 * A request for the session with this id began. on_ready is called when the
 * state changes from GATE_WAITING to another: from gate_run, and from calls
 * for other exchanges, when one of the same lane overtakes this one.
 */
int gate_exchange_new(struct gate_exchange **out, struct gate *g,
    const uint8_t id[RECORD_ID_LEN], void (*on_ready)(void *ctx), void *ctx);

/* Bytes that the body may have in all: more once its device is known. */
uint64_t gate_exchange_max(const struct gate_exchange *x);

/* Bytes of the body, and its end. */
void gate_exchange_body(struct gate_exchange *x, const uint8_t *data,
    size_t len, uint64_t now_ms);
void gate_exchange_body_end(struct gate_exchange *x, uint64_t now_ms);

enum gate_state gate_exchange_state(const struct gate_exchange *x);

/*
 * Did something in it open under a device's keys that could not be a
 * repetition, or is there an answer to its hello? Until then it may come from
 * anybody.
 */
bool gate_exchange_is_known(const struct gate_exchange *x);

/*
 * Bytes of the response into out; whole records, so room should be at least
 * 32 KiB for speed, and is at least GATE_PULL_MIN. *done: the response ends
 * with these bytes. 0 bytes without done: state is GATE_WAITING again. Once
 * a response has begun, GATE_REFUSED means that its session has gone: pull
 * then says done.
 */
#define GATE_PULL_MIN 2048u
size_t gate_exchange_pull(struct gate_exchange *x, uint8_t *out, size_t room,
    bool *done, uint64_t now_ms);

/* HTTP is done with it, well or badly, at any time. */
void gate_exchange_free(struct gate_exchange *x);

/* ---- sessions --------------------------------------------------------- */

/*
 * Answer what is due, expire what is old. To be called after events and
 * when gate_deadline has come.
 */
void gate_run(struct gate *g, uint64_t now_ms);
uint64_t gate_deadline(const struct gate *g);

/* A session of these streams; its parts. */
struct session *gate_session_session(struct gate_session *gs);
const uint8_t *gate_session_id(const struct gate_session *gs);
const uint8_t *gate_session_key(const struct gate_session *gs);	/* device */
const char *gate_session_agent(const struct gate_session *gs);	/* client's */
void *gate_session_user(const struct gate_session *gs);
void gate_session_set_user(struct gate_session *gs, void *user);

/*
 * End one session, all of a device, or all: CLOSE with this code goes out in
 * the exchanges that are held. Counts them.
 */
void gate_session_close(struct gate_session *gs, uint64_t code,
    const char *text);
unsigned gate_close_device(struct gate *g, const uint8_t key[32],
    uint64_t code, const char *text);
unsigned gate_close_all(struct gate *g, uint64_t code, const char *text);

/* Draining: hellos that would create a session are answered HELLO_BUSY. */
void gate_drain(struct gate *g);

/*
 * Answer all exchanges that are held, end those that are being answered, and
 * hold no others, until it is called with false: before an upgrade.
 */
void gate_let_go(struct gate *g, bool let_go);

struct gate_stats {
	/* Now: */
	unsigned sessions, streams, exchanges, held;
	uint64_t memory;		/* bytes that count for max_memory */
	/* In all, of the program before an upgrade too: */
	uint64_t hellos, refused, bytes_in, bytes_out;
	uint64_t limited;		/* hellos that may_hello turned away */
	/* In all; what is over only since the upgrade: */
	uint64_t records_in, records_out;
	/* Since the upgrade: */
	uint64_t begun, resumed;	/* sessions: confirmed, on fresh keys */
	uint64_t requests;
};
void gate_get_stats(const struct gate *g, struct gate_stats *out);

/* For each live session; fn must not close it. */
void gate_each(struct gate *g, void (*fn)(void *ctx, struct gate_session *gs),
    void *ctx);

#endif
