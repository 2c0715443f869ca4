/*
 * What gate.c (sessions), gate_hello.c (admission), gate_exchange.c
 * (requests), gate_due.c and gate_queue.c (those that wait), gate_policy.c
 * (which is answered when), gate_response.c (with what), gate_duplex.c (one
 * that lasts) and gate_state.c (an upgrade) share. Nobody else includes this.
 */
#ifndef COMMON_GATE_IMPL_H
#define COMMON_GATE_IMPL_H

#include "common/budget.h"
#include "common/gate.h"
#include "common/pages.h"
#include "common/record.h"

/* A device, for as long as it has sessions: gate_device.c. */
struct gate_device {
	struct gate_device *bucket_next;
	struct gate *g;
	uint8_t key[32];
	struct gate_session *sessions;		/* the last used first */
	unsigned live, fresh, ended;		/* how many of each kind */
	struct budget budget;
};

struct gate_lane {
	bool used;
	uint64_t exchange;		/* the highest that began */
	struct gate_exchange *x;	/* that one, while it lasts */
};

struct gate_session {
	struct gate *g;
	struct gate_session *bucket_next;
	struct gate_session *prev, *next;	/* by age of last use */
	struct gate_session *device_prev, *device_next;
	struct gate_device *owner;
	struct gate_session *dirty_next;
	bool dirty;
	bool confirmed;		/* a record under its keys has arrived */
	bool ended;		/* closed; kept a little to say so */
	uint8_t id[RECORD_ID_LEN];
	uint8_t key[32];	/* the device's */
	void *device, *user;
	struct session *session;
	char agent[HELLO_AGENT_MAX + 1];
	uint64_t streams_refused;	/* that a line was written for */
	uint64_t used_ms;	/* last request, or when it ended */
	uint64_t keep;		/* how many the client wants held */
	uint64_t response_cap;	/* learned: how long responses may get */
	struct gate_exchange *exchanges;	/* all that know it */
	/* Oldest first: for what is small, and for bulk (its lanes). */
	struct gate_held {
		struct gate_exchange *head, **tail;
		unsigned count;
	} held, bulk;
	struct gate_exchange *lasting;	/* whose response goes on, or NULL */
	unsigned pouring;	/* responses that carry bulk too; of them, */
	unsigned pouring_warm;	/* those on lanes for what is small */
	uint64_t poured_ms;	/* when a lane for bulk first carried some */
	bool stores;		/* the path keeps a response until it ends: */
	uint64_t stores_ms;	/* so it seemed then; */
	uint64_t shown_ms;	/* and then it was seen not to */
	struct gate_lane *lane;	/* so far as they have been used: */
	size_t lanes;		/* few without bulk */
	/* The hello whose keys are not confirmed, and what was answered. */
	uint16_t offered;
	uint8_t hello_hash[32];
	uint8_t reply[HELLO_MAX];
	size_t reply_len;
};

enum exchange_kind {
	KIND_NONE,		/* nothing has arrived */
	KIND_HELLO,
	KIND_RECORDS
};

struct gate_exchange {
	struct gate *g;
	struct gate_session *gs;	/* NULL: not known, or it is gone */
	void (*on_ready)(void *ctx);
	void *ctx;
	uint8_t id[RECORD_ID_LEN];
	enum gate_state state;
	enum exchange_kind kind;
	bool head;		/* EXCHANGE has been seen: */
	bool stale;		/* its lane has left it behind */
	bool is_held;		/* in the session's list */
	bool quick;		/* only what may overtake bulk */
	bool pours;		/* bulk too */
	bool stalled;		/* it waits for an ACK, */
	bool lasting;		/* its response goes on: gate_duplex.c */
	bool streams;		/* and the path was seen to hand it on */
	bool finish;		/* to end with what there is */
	bool begun;		/* part of the response is out */
	uint64_t stalled_ms;	/* since then */
	uint64_t lane, exchange, hold_ms, keep;
	uint64_t received, sent;
	/* How much of it arrived in the last round trip, and until when. */
	uint64_t arrived_round, arrived_mark, mark_ms;
	uint64_t first_number;	/* of the records in the response */
	uint64_t oldest;	/* of a lasting one, when that last changed */
	uint64_t begun_ms, hold_until_ms;
	struct gate_exchange *prev, *next;	/* of the same session */
	struct gate_exchange *held_next;
	/* When something has to happen to it: gate_due.c. */
	bool is_due;
	uint64_t due_ms;
	struct gate_exchange *due_child;	/* the first, and a list of */
	struct gate_exchange *due_next;		/* them; prev of the first */
	struct gate_exchange *due_prev;		/* is their parent */
	uint8_t *part;		/* a hello or record that is not complete */
	size_t part_len;
	uint8_t *reply;		/* an answer to a hello */
	size_t reply_len;
};

#define GATE_BUCKETS 4096u
#define GATE_DEVICE_BUCKETS 1024u

struct gate {
	struct gate_config cfg;
	const struct gate_ops *ops;
	void *ctx;
	struct gate_session *buckets[GATE_BUCKETS];
	struct gate_device *devices[GATE_DEVICE_BUCKETS];
	struct budget budget;		/* of all devices */
	struct page_pool pages;		/* of all sessions */
	/* Oldest use first; those confirmed, those not yet, those ended. */
	struct gate_list {
		struct gate_session *head, *tail;
	} live, fresh, ended;
	struct gate_session *dirty;
	struct gate_exchange *due_head;	/* the first that is due */
	unsigned session_count;
	uint64_t now_ms;		/* as last heard */
	bool draining;
	bool letting_go;		/* nothing is held */
	struct gate_stats stats;
};

/* gate.c */
struct gate_session *gate_find(struct gate *g,
    const uint8_t id[RECORD_ID_LEN]);
int gate_session_new(struct gate_session **out, struct gate *g,
    const uint8_t id[RECORD_ID_LEN], const uint8_t key[32], void *device,
    uint64_t now_ms);
void gate_session_free(struct gate_session *gs);
void gate_session_used(struct gate_session *gs, uint64_t now_ms);
void gate_session_confirm(struct gate_session *gs);
void gate_session_dirty(struct gate_session *gs);

/* Its lane with this number, below SESSION_LANES; NULL without memory. */
struct gate_lane *gate_session_lane(struct gate_session *gs, uint64_t number);

struct gate_list *gate_list_of(struct gate_session *gs);
const struct session_ops *gate_session_ops(void);
/* It comes from a state: into the list where it belongs. */
void gate_session_restored(struct gate_session *gs, bool confirmed);

__attribute__((format(printf, 2, 3)))
void gate_note(struct gate *g, const char *fmt, ...);

/* A cap was reached: see gate_ops.on_limit. */
void gate_limit(struct gate *g, enum gate_limit limit, uint64_t value,
    const uint8_t key[32], const uint8_t *id);

/* gate_device.c */
struct gate_device *gate_device_find(struct gate *g, const uint8_t key[32]);
int gate_device_join(struct gate_session *gs);	/* 0 or ERR_NOMEM */
void gate_device_leave(struct gate_session *gs);
void gate_device_used(struct gate_session *gs);

/* Budgets' on_full, the gate's and a device's; by is always a device's. */
void gate_device_full(struct budget *b, struct budget *by);

/* How many of gs' kind (live, fresh or ended) its device has. */
unsigned *gate_device_count(const struct gate_session *gs);

/* The one in the list that the device has not used for longest, or NULL. */
struct gate_session *gate_device_oldest(const struct gate_device *d,
    const struct gate_list *l);

/* gate_hello.c: the whole hello is in x->part. Sets x's state and reply. */
void gate_hello(struct gate_exchange *x, uint64_t now_ms);
void gate_hello_confirmed(struct gate_session *gs);

/* gate_exchange.c: the response is over, or nobody is there to read it. */
void gate_exchange_detach(struct gate_exchange *x);
void gate_exchange_orphan(struct gate_exchange *x);

/* gate_due.c */
void gate_due_at(struct gate_exchange *x, uint64_t when);
void gate_due_remove(struct gate_exchange *x);

/* gate_queue.c */
void gate_hold(struct gate_exchange *x);
void gate_unhold(struct gate_exchange *x);
void gate_ready(struct gate_exchange *x);	/* let it be answered now */
void gate_start_pouring(struct gate_exchange *x);
void gate_stop_pouring(struct gate_exchange *x);

/* Is it one of the lanes for bulk? */
bool gate_is_for_bulk(const struct gate_exchange *x);

/* gate_policy.c */
void gate_exchange_policy(struct gate_session *gs, uint64_t now_ms);

/* How much more bulk this response may have under way. */
uint64_t gate_lane_room(const struct gate_exchange *x);

/* Are there lanes for bulk, so that others need not carry it? */
bool gate_has_bulk_lanes(const struct gate_session *gs);

/* Have they taken over? */
bool gate_handed_over(const struct gate_session *gs, uint64_t now_ms);

/* gate_duplex.c */

/* The request is whole, and its response is to last. */
void gate_lasting_begin(struct gate_exchange *x, uint64_t now_ms);

/* As gate_exchange_pull. */
size_t gate_lasting_pull(struct gate_exchange *x, uint8_t *out, size_t room,
    bool *done, uint64_t now_ms);

/* What is small goes by the response that lasts. False: there is none. */
bool gate_lasting_answers(struct gate_session *gs);

/* It is to end, if there is one. */
void gate_lasting_end(struct gate_session *gs);

/* gate_response.c */

/* Its hold, or its grace, is over. */
void gate_exchange_due(struct gate_exchange *x, uint64_t now_ms);

/* Has the client acknowledged what the response began with? */
bool gate_is_shown(const struct gate_exchange *x);

/* session_fill for its response; *done: that was the end. */
size_t gate_fill(struct gate_exchange *x, const struct session_fill *f,
    uint8_t *out, size_t room, bool *done, uint64_t now_ms);

#endif
