/*
 * What lanes.c (policy), lanes_io.c (exchanges), lanes_answer.c (what comes of
 * them), lanes_hedge.c (those that are repeated), lanes_path.c (silence),
 * lanes_limits.c (sizes and times that are let through), lanes_duplex.c
 * (bodies that stay open) and lanes_hello.c (the handshake)
 * share. Nobody else includes this.
 */
#ifndef COMMON_LANES_IMPL_H
#define COMMON_LANES_IMPL_H

#include "common/backoff.h"
#include "common/hello.h"
#include "common/lanes.h"
#include "common/record.h"

#define LANES_QUICK 2u		/* kept free of bulk, for what is small */
#define PATHS_QUICK 2u		/* the second one only after a hedge */
#define PATHS_BULK 6u
#define PATH_OPEN (PATHS_QUICK + PATHS_BULK)
#define HELLO_AGAIN_MS 2000u	/* not known so soon after a hello: wait */
#define LANES_DOWN_MS 1000u	/* failing for so long, the tunnel is down */
#define LANES_POUR_MS 1000u	/* without bulk for so long, it is over */
#define LANES_BODY_MIN 16384u	/* a body is never halved below this */
#define LANES_BULK_ANSWER STREAM_BULK_BYTES /* a larger response is bulk */

/* One lane, or the place for hellos: at most one exchange at a time. */
struct slot {
	bool busy;
	bool probe;		/* tries a path that has failed */
	bool warming;		/* only opens a connection */
	bool bulk;		/* part of a bulk transfer, or ACKs for one */
	bool answered;		/* the first byte of the response is there */
	bool ended;		/* END for this exchange has arrived */
	bool bad;		/* something in the response did not open */
	bool restart;		/* has to run again: something may be lost */
	unsigned lane;		/* this slot, but for one that was hedged */
	unsigned path;		/* by which it went */
	uint32_t hold_ms;	/* asked to be held so long; 0: not at all */
	bool asked;		/* a question went along */
	bool hedges;		/* the next one repeats another: elsewhere */
	bool open;		/* its body goes on */
	bool streamed;		/* or did at first */
	bool query;		/* it is empty; all is in the URL */
	bool lasting;		/* its response does */
	uint64_t exchange;	/* number of the current or last one */
	uint64_t start_ms;
	uint64_t heard_ms;	/* start, or the last byte that came */
	uint64_t due_ms;	/* held, and to be answered from then on; or 0 */
	uint64_t answer_bytes;
	unsigned records;	/* that opened, in this response */
	uint32_t carried;	/* the largest body of bulk, lately */
	uint64_t carried_ms;	/* when the last one had been answered */
	uint8_t *body;
	size_t body_size, body_len;
	uint8_t *part;		/* a record that has not arrived whole */
	size_t part_len;
};

struct lanes {
	struct lanes_config cfg;
	const struct lanes_ops *ops;
	void *ctx;
	struct session *session;	/* NULL before the first hello */
	bool session_over;		/* it ended: throw it away */
	uint64_t close_code;		/* and why, with session_over */
	struct slot slot[LANES_SLOTS];

	enum lanes_state state;
	char why[256];			/* the reason that was told last */
	bool need_hello;
	struct noise *hello;		/* a handshake under way */
	uint16_t generation;		/* of the last hello */
	uint16_t keyed;			/* of the last that gave keys */
	uint64_t hello_ms;		/* when keys were last made */
	uint64_t alive_ms;		/* the last success, of any exchange */
	uint64_t linger_ms;		/* how long the gateway remembers us */

	/*
	 * Rounds of failure: an exchange that fails counts if it began after
	 * the last one that counted. Then one exchange at a time tries the
	 * path on a fresh connection, at once the first time, with back-off
	 * from the second, until one succeeds.
	 */
	unsigned rounds;
	uint64_t round_ms;
	uint64_t failing_ms;		/* when the first of them was */
	uint64_t retry_ms;		/* not before */
	uint64_t attempt_ms;		/* the last attempt */
	struct backoff backoff;

	uint64_t heard_ms;		/* the last byte of any response */
	uint64_t bulk_ms;		/* when data of bulk came last */
	uint64_t checked_ms;		/* when a pause in bulk was looked into */
	bool doubting;			/* silence began the first round */
	bool guessing;			/* only of a question */
	unsigned doubt_shift;		/* for what was a false alarm */
	unsigned hello_silences;	/* hellos not answered, in a row */

	bool http2;
	uint32_t http2_window;		/* of the web server, for a body */
	uint32_t body_max;		/* learned for this path */
	uint32_t open_max, open_most;	/* of an open body, learned; allowed;
					   0: body_max */
	uint32_t query_max, query_most;	/* in a URL, learned; allowed */
	unsigned query_failures;	/* in a row */
	uint32_t hold_ms, hold_most;	/* learned for this path; allowed */
	unsigned short_holds;		/* held ones cut early, in a row */
	unsigned good_holds;	/* answered in time, since the last change */
	unsigned hold_patience;	/* so many, before a longer one is tried */
	uint64_t active_ms;		/* something was sent or received */
	unsigned keep;			/* to have held for what is small */
	uint64_t poured;		/* bytes of bulk that came in */
	uint64_t poured_ms;		/* when the last of them did */
	/* Of each path: an answer came by it; one is to show that. */
	struct {
		uint64_t ready_ms, tried_ms;
	} path[LANES_PATHS];
	unsigned hedge_tokens;
	uint64_t hedged_ms;		/* when one was last needed; 0: never */
	uint64_t hedge_ms;		/* not before */
	unsigned opened;		/* connections: so many were busy at once */
	uint64_t opened_ms;		/* when that was */
	bool trim;			/* the last request asked for one more held */
	/*
	 * The two exchanges of a duplex lane, by their lanes: the body of `up`
	 * stays open, and so does the response of `down`. `next` is to take
	 * over from `up`.
	 */
	struct {
		enum { DUPLEX_OFF, DUPLEX_TRIED, DUPLEX_TIMED, DUPLEX_ON } state;
		unsigned up, next, down;
		uint64_t first_number;	/* of the records in the newer of them */
		uint64_t oldest;	/* of these, when that last changed */
		uint64_t since_ms;	/* in this state */
		uint64_t used_ms;
		unsigned questions;	/* so many in a row, not too early */
		uint64_t question_ms;	/* the last of them */
		uint64_t retry_ms;	/* too early before that */
		unsigned carried;	/* pieces of `up`, in this state */
		bool is_timed;		/* it is as quick as exchanges */
		/* The next time it fails, is too slow, or refused. */
		uint64_t pause_ms, slow_ms, refused_ms;
	} duplex;
	bool closing, over;
	struct lanes_stats stats;
};

/* lanes_io.c */

/*
 * Start an exchange on this free lane, with what there is to send. park: to
 * be held in any case.
 */
void lanes_start(struct lanes *l, unsigned lane, enum session_take take,
    bool park, uint64_t now_ms);

/* POST what is in the slot's body. */
void lanes_post(struct lanes *l, unsigned slot, uint64_t now_ms);

/* Room for len bytes in the slot's body: 0 or ERR_NOMEM. */
int lanes_body(struct slot *s, size_t len);

/* A body of bulk that went by this slot has been answered. */
void lanes_note_carried(struct slot *s, uint64_t now_ms);

/* A body of bulk that may be sent now, in bytes; 0: none. */
uint64_t lanes_bulk_body(const struct lanes *l);

/* How many wait at the gateway for what is small. */
unsigned lanes_held(const struct lanes *l);

/* How many exchanges for bulk should be held, or bringing it, right now. */
unsigned lanes_bulk_wanted(const struct lanes *l, uint64_t now_ms);

unsigned lanes_busy(const struct lanes *l);
unsigned lanes_usable(const struct lanes *l);
unsigned lanes_small(const struct lanes *l);	/* of these, not for bulk */

void lanes_set_state(struct lanes *l, enum lanes_state state,
    const char *why);

/* lanes_answer.c */

/* The exchange in this slot came to nothing; why is for people. */
void lanes_failed(struct lanes *l, unsigned slot, const char *why,
    uint64_t now_ms);

/* Give all exchanges up; the lanes run again. */
void lanes_cancel_all(struct lanes *l);

/* lanes_hedge.c */

/* Something was sent that allows for a part of a hedge. */
void lanes_earn_token(struct lanes *l);

/* Repeat the exchange of this lane by another path; hear this one out. */
void lanes_hedge(struct lanes *l, unsigned lane, uint64_t now_ms);

/* When a question has waited for longer than the path and Domino explain. */
uint64_t lanes_hedge_at(const struct lanes *l);

/*
 * If that time has come: the request may be lost, or the response, which goes
 * by the one that has been held for longest. Repeat both on other connections.
 */
void lanes_hedge_run(struct lanes *l, uint64_t now_ms);

/* lanes_path.c */

/* The path's round trip; before one is known, what is safe to wait for. */
uint64_t lanes_rtt_ms(const struct lanes *l);

/* So long is a fresh connection given before another one is tried. */
uint64_t lanes_patience(const struct lanes *l);

/*
 * When to ask for a sign of life: bulk came, and now nothing does. It may be
 * over, or the responses with more of it are lost; held exchanges do not tell.
 */
uint64_t lanes_check_at(const struct lanes *l);

/* When the silence is longer than the path's round trips explain. */
uint64_t lanes_doubt_at(const struct lanes *l);

/* Try a fresh connection if that time has come. */
void lanes_doubt(struct lanes *l, uint64_t now_ms);

/* A fresh connection has brought an answer. */
void lanes_doubt_over(struct lanes *l);

/* Part of a response has come. */
void lanes_heard(struct lanes *l, const struct slot *s, uint64_t now_ms);

/*
 * The gateway was told to have so many held: the oldest of more than that are
 * to be answered.
 */
void lanes_note_overtaken(struct lanes *l, unsigned keep, uint64_t now_ms);

/* lanes_limits.c */

/* Nothing is known of the path; forget: nothing any more. */
void lanes_limits_init(struct lanes *l);
void lanes_limits_forget(struct lanes *l);

/* What the gateway says of the web server's window; 0: nothing. */
void lanes_set_http2_window(struct lanes *l, uint64_t window);

/* And of how much it takes itself in an open body; 0: nothing. */
void lanes_set_open_max(struct lanes *l, uint64_t most);

/* And of how much it takes in a URL's query; 0: nothing. */
void lanes_set_query_max(struct lanes *l, uint64_t most);

/* When a request with this hold is to be replaced, from its start. */
uint32_t lanes_renew_after(uint32_t hold_ms);

/* And for how long it holds a request; 0 is not believed. */
void lanes_set_hold_max(struct lanes *l, uint64_t most_ms);

/* How long this path lets a request wait, as far as this one shows. */
void lanes_learn_hold(struct lanes *l, const struct slot *s, bool good,
    bool certain, uint64_t now_ms);

/*
 * The body may have been too large for something on the way: remember, and
 * halve. True: it was nothing else.
 */
bool lanes_too_large(struct lanes *l, const struct slot *s,
    unsigned status, uint64_t now_ms);

/*
 * A request without a body, all of it in its URL, came to nothing: after a few
 * of them in a row there are no more. True: it was nothing else.
 */
bool lanes_query_refused(struct lanes *l, const struct slot *s,
    enum lanes_result result, unsigned status);

/* lanes_duplex.c */

/* None is in use, and nothing is known of the path. */
void lanes_duplex_init(struct lanes *l);

/* Try it, see what came of that, renew and end it. */
void lanes_duplex_run(struct lanes *l, uint64_t now_ms);
uint64_t lanes_duplex_at(const struct lanes *l);

/* A question goes out by an ordinary exchange. */
void lanes_duplex_asked(struct lanes *l, uint64_t now_ms);

/* Send what is small. False: it needs an ordinary exchange. */
bool lanes_duplex_send(struct lanes *l, uint64_t now_ms);

/* Something is wrong with the path: ordinary exchanges from now on. */
void lanes_duplex_doubt(struct lanes *l, uint64_t now_ms);

/* A body that went on came to nothing: nothing else did, perhaps. */
void lanes_duplex_failed(struct lanes *l, unsigned slot,
    enum lanes_result result, uint64_t now_ms);

/* A question waits for too long: repeat all, in ordinary exchanges. */
void lanes_duplex_hedge(struct lanes *l, uint64_t now_ms);

/* lanes_hello.c */
void lanes_greet(struct lanes *l, uint64_t now_ms);
void lanes_hello_ended(struct lanes *l, enum lanes_result result,
    unsigned status, const char *detail, uint64_t now_ms);

/* Throw the session away; the next hello begins another, under a new id. */
void lanes_discard(struct lanes *l);

/* An attempt failed: wait before the next. */
void lanes_wait(struct lanes *l, uint64_t now_ms);

#endif
