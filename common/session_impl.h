/*
 * What session.c (keys and state), receive.c, fill.c (sending), stream.c
 * (the streams' owners), stream_question.c (who waits for an answer),
 * session_state.c and stream_state.c (an upgrade) share. Nobody else includes
 * this.
 */
#ifndef COMMON_SESSION_IMPL_H
#define COMMON_SESSION_IMPL_H

#include "common/cwnd.h"
#include "common/frame.h"
#include "common/recvq.h"
#include "common/sendq.h"
#include "common/sent.h"
#include "common/session.h"
#include "common/state.h"

#define STREAM_BUCKETS 64u
#define PAGES_KEEP 1024u	/* free pages kept for reuse: 4 MiB */

/* A control frame that must arrive: OPEN and RESET. */
enum ctl { CTL_NONE, CTL_QUEUED, CTL_SENT, CTL_ACKED };

struct stream {
	struct session *s;
	uint64_t id;
	struct stream *bucket_next;
	struct stream *prev, *next;		/* all streams */
	struct stream *ready_prev, *ready_next;	/* those with work */
	bool is_ready;
	bool is_local;		/* we opened it */
	bool is_open;		/* OPEN was sent or has arrived */
	bool is_released;	/* nobody holds the handle */
	bool is_blocked;	/* on_writable is awaited */
	struct stream *asking_prev, *asking_next; /* in the order of asked_ms */
	bool is_asking;		/* we sent the last byte, not the peer */
	bool is_excused;	/* this question is not timed */
	uint64_t asked_ms;	/* when it was sent */
	bool window_queued;	/* a WINDOW frame is to be sent */
	uint64_t window_told;	/* the limit in the last one */
	enum ctl open, reset;
	uint64_t reset_code;
	char *name;		/* for OPEN; NULL: none */
	const struct stream_ops *ops;
	void *user;
	struct sendq out;
	struct recvq in;
	uint64_t window;	/* what we would like to grant, bytes */
	uint64_t used;		/* bytes consumed since it last grew */
	uint64_t consumed_at;	/* session's `consumed` when last read from */
	uint64_t reviewed;	/* bytes read when `window` was last looked at */
	uint64_t burst;		/* bytes sent without a pause or a turn */
	uint64_t burst_ms;	/* when the last of them was sent, */
	bool burst_waits;	/* and more was left to be sent */
};

/* Both directions' keys of one generation. */
struct key_pair {
	struct record_key *seal, *open;
};

struct session {
	struct session_config cfg;
	const struct session_ops *ops;
	void *ctx;
	uint8_t id[RECORD_ID_LEN];

	struct key_pair now;	/* in use */
	struct key_pair offered;/* not confirmed yet (gateway) */
	struct record_key *open_before;	/* of the generation before */

	struct ranges seen;	/* record numbers that arrived */
	uint64_t seen_floor;	/* below, everything counts as seen */
	uint64_t report_floor;	/* below, the peer knows what arrived */
	unsigned report_turn;	/* changes when a number arrives late */
	bool owes_ack;
	uint64_t owed;		/* bytes of DATA not acknowledged yet */
	bool owes_end;		/* and among them an end of stream, or a RESET,
				   or before an END with a backlog */
	uint64_t ack_ms;	/* when the last ACK was sent */
	uint64_t last_number;	/* the highest we sealed */
	bool sealed_any;
	struct sent sent;
	struct cwnd cwnd;
	bool lane_rule_broken;	/* for one test */

	struct stream *buckets[STREAM_BUCKETS];
	struct stream *streams;		/* all */
	struct stream *ready;		/* the one whose turn it is; a ring */
	unsigned stream_count;
	unsigned blocked_count;
	struct stream *asking, *asking_last;	/* those with a question */
	unsigned asking_count;
	/* How long answers take, as in RFC 6298; 0: none has come. */
	uint64_t answer_ms, answer_var_ms;
	struct ranges peer_ids;		/* id / 2 of the peer's streams so far */
	uint64_t next_id;		/* of our next stream */
	uint64_t local_count, peer_count;
	uint64_t peer_initial_window, peer_max_streams;
	struct page_pool own_pages, *pages;	/* pages: those in use */
	uint64_t send_kept;		/* bytes in all send queues */
	uint64_t pool_used;		/* credit granted beyond the initial one */
	uint64_t charged;		/* of both, to the budget */
	uint64_t consumed;		/* bytes read from all streams so far */

	bool ping_queued, ping_open, pong_queued;
	uint64_t ping_token, pong_token, ping_ms;
	bool closed;			/* nothing is received any more */
	bool close_queued;
	uint64_t close_code;
	char close_text[FRAME_TEXT_MAX + 1];
	struct session_stats stats;
};

/* Bytes that the peer has to keep for want of an ACK before we hurry. */
#define SESSION_OWED_MAX 65536u

/*
 * Twice the limit may be open: those refused for it still have to be reset.
 * And some more: a RESET whose lane went on without it is sent again, although
 * the peer has it, and has opened another stream meanwhile.
 */
#define SESSION_REFUSED_SPARE 64u

/* session.c: send_kept or pool_used has changed. */
void session_account(struct session *s);

/* session.c: the offered keys become the ones in use. */
void session_adopt(struct session *s);

/* stream.c, for the others: */
struct stream *stream_find(struct session *s, uint64_t id);
int stream_create(struct session *s, uint64_t id, bool local,
    struct stream **out);
void stream_destroy(struct stream *st);

/* It is gone at the other end, or the session is: tell its owner, forget it. */
void stream_drop(struct stream *st, uint64_t code);

/* Free it if both halves are over and nobody holds it. */
void stream_settle(struct stream *st);

/* Put it into or out of the ring of those with work, as it has some. */
void stream_update(struct stream *st);
bool stream_has_work(const struct stream *st);
bool stream_has_control(const struct stream *st);	/* of it, no data */

/* stream_question.c: we have spoken; or the peer has, or the stream is over. */
void stream_asked(struct stream *st, uint64_t now_ms);
void stream_answered(struct stream *st, uint64_t now_ms);
void stream_forget_question(struct stream *st);

/* Whether it waits for on_writable. */
void stream_set_blocked(struct stream *st, bool blocked);

/* Credit that counts against the session's pool. */
uint64_t stream_pool_share(const struct stream *st);

/* on_writable for the streams that wait and have room again. */
void stream_wake_blocked(struct session *s);

/*
 * Has it been sending for so long that others may overtake? Or was so much lost
 * that sending it all again at once would fill a slow path?
 */
bool stream_is_bulk(const struct stream *st, uint64_t now_ms);

/* So many bytes of it are sent now. */
void stream_burst(struct stream *st, size_t len, uint64_t now_ms);

/*
 * stream_state.c: append the stream to a state; add one to the session. On
 * failure of the latter the session is fit only to be freed.
 */
void stream_export(const struct stream *st, struct state_out *o);
int stream_import(struct session *s, struct state_in *in);

/* Ends it, as does a turn; to wait for a window is no pause. */
#define STREAM_BULK_PAUSE_MS 200u

#endif
