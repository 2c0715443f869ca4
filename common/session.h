/*
 * A session: what one device and the gateway share. Streams in both
 * directions, sealed records, acknowledgements, and loss recovery by the lane
 * rule (docs/PROTOCOL.md). Both ends use this same code.
 *
 * Does no I/O, reads no clock and pushes nothing: whoever has a request or a
 * response to fill asks for records (session_fill), whoever received some
 * hands them in (session_receive). It does not know HTTP, nor when an
 * exchange is worth starting: that is lanes.h (client) and gate.h (gateway).
 *
 * Callbacks run only from session_receive, session_close_streams and
 * stream_* calls that say so. They may call any stream_* function, and may
 * release the stream they are called for; they must not free the session.
 */
#ifndef COMMON_SESSION_H
#define COMMON_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/record.h"

#define SESSION_LANES 96u		/* lanes are numbered 0..95 */
#define SESSION_BULK_LANE 48u		/* what is held from here on is for bulk */
/*
 * Added to the hold of a request: its response may last, with more records
 * whenever there are some. A gateway that does not know it holds the request as
 * long as it holds any.
 */
#define SESSION_LASTING (UINT64_C(1) << 32)

struct budget;
struct page_pool;
struct session;
struct stream;

/* Codes of RESET: why a stream ended early (docs/PROTOCOL.md). */
enum stream_code {
	STREAM_OK = 0,			/* not reset at all */
	STREAM_PEER_RESET = 1,		/* the TCP connection was reset */
	STREAM_NO_SERVER = 2,		/* name not listed, or no default */
	STREAM_NOT_ALLOWED = 3,		/* this device may not reach it */
	STREAM_NOT_NRPC = 4,		/* first bytes are another protocol */
	STREAM_MALFORMED = 5,		/* first bytes are no protocol we know */
	STREAM_CONNECT_REFUSED = 6,	/* Domino refused the connection */
	STREAM_CONNECT_TIMEOUT = 7,	/* Domino did not answer in time */
	STREAM_CONNECT_FAILED = 8,	/* no route, no such host, ... */
	STREAM_LIMIT = 9,		/* a cap was reached */
	STREAM_SESSION_LOST = 10,	/* the session ended */
	STREAM_SHUTDOWN = 11,		/* gateway or client is going down */
	STREAM_INTERNAL = 12,		/* out of memory and the like */
	STREAM_IDLE = 13		/* nothing was sent within the deadline */
};
/* A sentence's end for people: "the Domino server refused the connection". */
const char *stream_code_text(uint64_t code);

/* Codes of CLOSE: why a session ended. */
enum session_code {
	SESSION_OK = 0,			/* the client is leaving */
	SESSION_PROTOCOL = 1,		/* the other end broke the protocol */
	SESSION_REVOKED = 2,		/* the device was revoked */
	SESSION_SHUTDOWN = 3,		/* the gateway is going down */
	SESSION_REPLACED = 4,		/* too many sessions of this device */
	SESSION_INTERNAL = 5
};

struct stream_ops {
	/* In-order bytes, or the peer's end of stream, can be read. */
	void (*on_readable)(void *user, struct stream *st);
	/* There was too little room before, and now there is some. */
	void (*on_writable)(void *user, struct stream *st);
	/*
	 * The peer reset the stream, or the session ended. The stream is gone
	 * after this returns; the handle must not be used again.
	 */
	void (*on_reset)(void *user, struct stream *st, uint64_t code);
};

struct session_ops {
	/*
	 * The peer opened a stream; name (name_len bytes, no NUL) is the server
	 * asked for, or name_len is 0. To be attached now, or refused with
	 * stream_reset. Bytes may already be readable: on_readable follows.
	 */
	void (*on_open)(void *ctx, struct stream *st, const char *name,
	    size_t name_len);
	/*
	 * There is something to send now. May be called from any stream_*
	 * call; must only take note.
	 */
	void (*on_wake)(void *ctx);
	/*
	 * The peer sent CLOSE, or broke the protocol (then code is
	 * SESSION_PROTOCOL and text says how). Nothing is received after it.
	 * All streams get on_reset first.
	 */
	void (*on_close)(void *ctx, uint64_t code, const char *text);
};

/* Limits; session_defaults fills them in. */
struct session_config {
	bool opens_even;	/* stream ids: true on the client, even ones */
	uint64_t max_streams;	/* the peer may have open at once: 512 */
	uint64_t initial_window;/* bytes per stream before any WINDOW: 64 KiB */
	uint64_t window_max;	/* a stream's window grows up to: 8 MiB */
	uint64_t window_pool;	/* beyond the initial ones, all together: 8 MiB */
	uint64_t send_max;	/* bytes kept for sending, all streams: 12 MiB;
				   beyond it 16 KiB are let through for each */
	struct budget *budget;	/* of the device, for both; NULL: none */
	struct page_pool *pages;/* for the bytes of its streams, shared with
				   other sessions; NULL: one of its own */
};
void session_defaults(struct session_config *c, bool opens_even);

/* The limits that a session was made with. */
const struct session_config *session_limits(const struct session *s);

int session_new(struct session **out, const uint8_t id[RECORD_ID_LEN],
    const struct session_config *c, const struct session_ops *ops, void *ctx);

/* Frees everything. Streams still attached do not get on_reset. */
void session_free(struct session *s);

/*
 * Keys of a new generation, as Noise gave them. With at_once (client) records
 * are sealed with them from now on; without (gateway) only after the first
 * record that opens under them has arrived, and further calls replace those
 * not yet confirmed. Records sealed with the generation before still open.
 * ERR_STATE when the generation is not above the one in use.
 */
int session_keys(struct session *s, uint16_t generation,
    const uint8_t seal[32], const uint8_t open[32], bool at_once);

/* Have the offered keys of this or a later generation been confirmed? */
bool session_confirmed(const struct session *s, uint16_t generation);

/* What the peer's hello said: limits for what we send. */
void session_peer(struct session *s, uint64_t initial_window,
    uint64_t max_streams);

/* What a record brought besides streams. */
struct session_seen {
	bool duplicate;		/* number seen before: no frame was taken */
	bool has_exchange;	/* it began with an EXCHANGE frame (which is
				   also told of a duplicate): */
	uint64_t lane, exchange, hold_ms, keep;
	bool has_end;		/* it held an END frame: */
	uint64_t end_lane, end_exchange, backlog;
};

/*
 * Take one whole record. 0 and *seen; ERR_CRYPTO when it does not open (the
 * session is untouched); ERR_PROTO when an authenticated record breaks the
 * protocol (on_close has been called); ERR_CLOSED after a close (of the
 * frames only EXCHANGE and END still count); ERR_NOMEM.
 */
int session_receive(struct session *s, const uint8_t *record, size_t len,
    uint64_t now_ms, struct session_seen *seen);

/*
 * The lane rule: an exchange with this number begins on the lane (numbers grow
 * per lane). What earlier exchanges of the lane carried from us and was not
 * acknowledged is lost and will be sent again.
 */
void session_lane_begin(struct session *s, uint64_t lane, uint64_t exchange);

/* Does the lane hold records of ours that nobody has acknowledged? */
bool session_lane_pending(const struct session *s, uint64_t lane);

/*
 * A stream that has sent more than this, without a pause and without the peer
 * having said something in between, is in the midst of bulk.
 */
#define STREAM_BULK_BYTES 98304u

enum session_take {
	TAKE_NOTHING,	/* no frame that would need acknowledging */
	TAKE_PING,	/* PING and PONG alone */
	TAKE_QUICK,	/* all but the data of streams in the midst of bulk */
	TAKE_BULK,	/* only those streams, as the window allows */
	TAKE_ALL
};

struct session_fill {
	uint64_t lane, exchange;	/* which exchange carries this */
	enum session_take take;
	bool head;			/* begin with EXCHANGE(hold_ms, keep) */
	uint64_t hold_ms, keep;
	bool ack;			/* begin with an ACK, if there is any */
	bool may_end;			/* add END once nothing else is left */
	bool must_end;			/* add END, whatever is left */
};

/*
 * Write whole records into out, as many as there is content and room for.
 * Returns the bytes written, 0 when there is nothing to say or room is below
 * SESSION_FILL_MIN. With head, ack, may_end or must_end at least one record
 * is written if room allows. *ended: END was written.
 */
#define SESSION_FILL_MIN 1536u
size_t session_fill(struct session *s, const struct session_fill *f,
    uint8_t *out, size_t room, uint64_t now_ms, bool *ended);

/* Would session_fill with this `take` find frames to send? */
bool session_has_work(const struct session *s, enum session_take take,
    uint64_t now_ms);

/* Is a stream to be opened, or data to be sent, that may be a question? */
bool session_asks(const struct session *s, uint64_t now_ms);

/* On how many streams was the last byte sent by us, not by the peer? */
unsigned session_asking(const struct session *s);

/*
 * When the oldest question that has no answer will have waited for clearly
 * longer than the answers before it, or UINT64_MAX. give_patience: those that
 * are open now are not looked at again, nor learned from; returns when the
 * oldest of them was asked.
 */
uint64_t session_overdue_at(const struct session *s);
uint64_t session_give_patience(struct session *s);

/* Stream bytes that are queued and could be sent now (windows permitting). */
uint64_t session_backlog(const struct session *s);

/*
 * The peer keeps a lot, or a stream that is over, only because it has not
 * been told that records have arrived: it should be, within SESSION_ACK_MS.
 */
#define SESSION_ACK_MS 250u
bool session_owes_ack(const struct session *s);

/*
 * When an ACK should go out even if there is nothing else to say; UINT64_MAX:
 * not needed. Several times in a round trip while bulk comes in, since the
 * peer's congestion window waits for it.
 */
uint64_t session_ack_at(const struct session *s);

/*
 * How many bytes of bulk the congestion window lets through now, and its size
 * (common/cwnd.h).
 */
uint64_t session_bulk_room(const struct session *s);
uint64_t session_window(const struct session *s);

/* The path's round trip without queues, or UINT64_MAX before one is known. */
uint64_t session_rtt_ms(const struct session *s);

/* Bytes that this lane carries and nobody has acknowledged. */
uint64_t session_lane_flight(const struct session *s, uint64_t lane);

/* The lowest of these records' numbers, or UINT64_MAX. */
uint64_t session_lane_oldest(const struct session *s, uint64_t lane);

/* Much was given up for want of an answer: send little for a while. */
void session_path_silent(struct session *s, uint64_t now_ms);

/* Another network: what was learned of the path is forgotten. */
void session_path_changed(struct session *s);

/* Nothing queued, unacknowledged or unread anywhere, no stream open. */
bool session_is_idle(const struct session *s);

/* The highest record number sent; 0 before the first. */
uint64_t session_sent_number(const struct session *s);

/* Put CLOSE into what is sent next; streams are reset locally, on_reset. */
void session_close(struct session *s, uint64_t code, const char *text);
bool session_is_closed(const struct session *s);

/* Reset all streams locally with on_reset; nothing is sent. */
void session_close_streams(struct session *s, uint64_t code);

/*
 * Ask for a PONG; how long it took is ping_rtt_ms in session_stats. is_open:
 * the last one has not been answered (after a restart of ours that is
 * forgotten).
 */
void session_ping(struct session *s);
bool session_ping_is_open(const struct session *s);

struct session_stats {
	uint64_t records_in, records_out, bytes_in, bytes_out;
	uint64_t frames_lost;		/* sent again by the lane rule */
	uint64_t duplicates;		/* records dropped as seen */
	uint64_t streams_opened;
	uint64_t streams_refused;	/* of the peer's, beyond max_streams */
	unsigned streams;		/* open now */
	uint64_t recv_bytes;		/* arrived, not yet consumed */
	uint64_t send_bytes;		/* queued or unacknowledged */
	uint64_t ping_rtt_ms;		/* of the last PING, UINT64_MAX: none */
};
void session_get_stats(const struct session *s, struct session_stats *out);

uint64_t session_streams_refused(const struct session *s);

/* For the test that shows the simulation can fail: disable the lane rule. */
void session_break_lane_rule(struct session *s);

/* ---- streams ---------------------------------------------------------- */

/*
 * Open a stream to the named server; name NULL means that the gateway is to
 * look into the first bytes. ERR_LIMIT: the peer takes no more streams at once.
 * FRAME_NAME_MAX bytes at most.
 */
int stream_open(struct session *s, const char *name, struct stream **out);

/*
 * Whom to call from now on. Bytes may be there already: there is no
 * on_readable for those, so look after attaching.
 */
void stream_attach(struct stream *st, const struct stream_ops *ops, void *user);

uint64_t stream_id(const struct stream *st);
struct session *stream_session(const struct stream *st);
void *stream_user(const struct stream *st);

/* How many bytes stream_write would take now. 0 asks for on_writable. */
size_t stream_room(struct stream *st);

/*
 * Queue a copy; returns how many bytes were taken, at most stream_room. Fewer
 * than len asks for on_writable.
 */
size_t stream_write(struct stream *st, const void *data, size_t len);

/* No more bytes will be written: the peer reads end of stream after them. */
void stream_finish(struct stream *st);

/*
 * In-order bytes: a pointer to those that lie together, and how many; 0 when
 * there are none. Valid, and not moved, until consumed or reset.
 */
size_t stream_peek(const struct stream *st, const uint8_t **out);

/* Copy up to max in-order bytes without consuming; returns the count. */
size_t stream_copy(const struct stream *st, void *out, size_t max);

/* n of the peeked bytes are done with; may widen the peer's window. */
void stream_consume(struct stream *st, size_t n);

/* All bytes are consumed and the peer has ended its half. */
bool stream_at_end(const struct stream *st);

/* Reset both halves; the handle is gone. No on_reset. */
void stream_reset(struct stream *st, uint64_t code);

/*
 * The owner is done. If both halves ended well, what is queued is still
 * delivered; otherwise the same as stream_reset with STREAM_PEER_RESET.
 */
void stream_release(struct stream *st);

#endif
