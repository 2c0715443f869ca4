/*
 * The congestion window of one direction of a session: how many bytes may be
 * under way without an acknowledgement, so that a small exchange does not
 * queue behind a bulk transfer, be it in our buffers, a proxy's, or the
 * network's (docs/PROTOCOL.md, section "Congestion").
 *
 * TCP below deals with loss. This one only looks at delay, as TCP Vegas does,
 * and not at the delay of the bulk itself, which says as much about the
 * connection that carries it as about the path: while bulk is under way, a
 * PING goes beside it, with the small exchanges. As long as that is not
 * delayed, the window grows; when it is, the window shrinks in proportion.
 *
 * Knows bytes and times, no records and no lanes.
 */
#ifndef COMMON_CWND_H
#define COMMON_CWND_H

#include <stdbool.h>
#include <stdint.h>

#define CWND_FIRST 1048576u	/* bytes, before anything is known */
#define CWND_MIN 32768u		/* two records */
#define CWND_MAX (64u << 20)	/* beyond what send queues hold */

/* Growth by an eighth at first, then a quarter, then a half, then twofold. */
#define CWND_STEP_FIRST 8u

#define CWND_SAMPLES 2u		/* probes before the last that count with it */
#define CWND_CALM 8u		/* probes that say how even the path is */

struct cwnd {
	uint64_t bytes;		/* may be under way */
	bool limits;		/* it was used up, since the last change */
	bool starting;		/* the path has not been full yet */
	unsigned step;		/* it grows by a part of that many */
	uint64_t changed_ms;	/* when bytes last changed */
	uint64_t acked, rate_ms;/* bytes that arrived since then */
	uint64_t active_ms;	/* when bulk was last under way */
	uint64_t rate;		/* bytes per second that lately arrived */
	uint64_t rtt_ms;	/* without queues; UINT64_MAX: not known */
	uint64_t rtt_at_ms;	/* when that was seen */
	uint64_t before_ms[CWND_SAMPLES];	/* round trips of the last */
	unsigned samples;	/* probes that were answered */
	uint64_t calm_ms[CWND_CALM];	/* round trips with little under way */
	unsigned calm;		/* so many there have been, */
	uint64_t calm_at_ms;	/* the last one then */
	bool probing;		/* a probe is under way: */
	uint64_t probe_ms;	/* when the last one went out */
	unsigned late;		/* probes that stayed away, in a row */
	bool draining;		/* only half is used, to see rtt_ms: */
	uint64_t drain_ms;	/* since then */
};

void cwnd_init(struct cwnd *c);

/* How much more bulk may be sent with so many bytes under way. */
uint64_t cwnd_room(const struct cwnd *c, uint64_t flight);

/* Of the bytes that were under way, so many have arrived. */
void cwnd_on_acked(struct cwnd *c, uint64_t flight, uint64_t bytes);

/*
 * What was under way was given up, for nothing came back: it may still be in a
 * queue. As after a timeout of TCP's (RFC 5681, section 3.1), little may follow
 * it, until the path shows how much it carries.
 */
void cwnd_on_silence(struct cwnd *c, uint64_t now_ms);

/*
 * Should a probe go out, with so many bytes under way? The caller then sends
 * one beside the bulk and says so. One that stays away for long counts as
 * slow, and another is wanted.
 */
bool cwnd_wants_probe(struct cwnd *c, uint64_t flight, uint64_t now_ms);
void cwnd_on_probe_sent(struct cwnd *c, uint64_t now_ms);

/* The answer to the probe sent last has come. */
void cwnd_on_probe(struct cwnd *c, uint64_t now_ms);

#endif
