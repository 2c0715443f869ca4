#include "config.h"

#include "tests/sim/faults.h"

#include <string.h>

#define PICK(r, ...) rng_pick(r, (const uint64_t[]){ __VA_ARGS__ }, \
    sizeof((const uint64_t[]){ __VA_ARGS__ }) / sizeof(uint64_t))

static const char *const kind_name[FAULTS_KINDS] = {
	"none", "lost", "cut-up", "short-up", "flip-up", "late", "lost-down",
	"cut-down", "short-down", "flip-down", "stale-down", "html-down",
	"status-down", "status", "html", "slow",
};

/* In a seed that has it, an event comes that often; 0 stands for never. */
static const struct {
	unsigned per_mille;	/* of seeds that have it */
	uint64_t mean_ms;
} event_odds[FAULTS_EVENTS] = {
	[FAULTS_CUT_ALL] = { 250, 2000 },
	[FAULTS_BLACKHOLE] = { 120, 12000 },
	[FAULTS_OUTAGE] = { 150, 10000 },
	[FAULTS_REPLAY] = { 300, 700 },
	[FAULTS_GARBAGE] = { 100, 1500 },
	[FAULTS_RESTART] = { 100, 8000 },
	[FAULTS_UPGRADE] = { 250, 2500 },
	[FAULTS_HINT] = { 150, 3000 },
	[FAULTS_KNOCK] = { 100, 1500 },
	[FAULTS_KEEP] = { 150, 3000 },
};

const char *faults_kind_name(enum faults_kind k)
{
	return kind_name[k];
}

static void choose_path(struct faults_path *p, struct rng *r)
{
	p->latency_ms = PICK(r, 0, 1, 5, 20, 20, 60, 250);
	p->jitter_ms = rng_chance(r, 400) ? rng_below(r, p->latency_ms + 5) : 0;
	p->up_rate = PICK(r, 0, 0, 0, 2000000, 200000, 60000);
	p->down_rate = PICK(r, 0, 0, 0, 2000000, 200000, 60000);
	p->chunk_max = PICK(r, 700, 1460, 8192, 65536, 65536);
	if (rng_chance(r, 150)) {
		p->body_max = PICK(r, 20000, 65536, 131072);
		p->body_status = rng_chance(r, 300) ? 404 : 413;
	}
	if (rng_chance(r, 200))
		p->silence_ms = PICK(r, 5000, 12000, 60000);
	p->hold_request = rng_chance(r, 400);
	p->hold_response = rng_chance(r, 300);
	p->more_ms = rng_chance(r, 200) ? rng_size(r, 250) : 0;
	p->http2 = rng_chance(r, 400);
	p->blind_per_mille = (unsigned)PICK(r, 0, 0, 500, 1000);
	if (rng_chance(r, 150))
		p->query_status = (unsigned)PICK(r, 1, 403, 404, 411, 502);
}

void faults_choose(struct faults *f, struct rng *r)
{
	memset(f, 0, sizeof(*f));
	choose_path(&f->path, r);
	f->storm_ms = rng_between(r, 500, 12000);
	f->outage_max_ms = rng_chance(r, 150) ? 150000 : 8000;
	if (rng_chance(r, 60))
		return;			/* fair weather must work, too */
	f->stormy = true;
	for (unsigned k = FAULTS_NONE + 1; k < FAULTS_KINDS; k++)
		if (rng_chance(r, 200))
			f->per_mille[k] = (unsigned)PICK(r, 10, 50, 200);
	if (rng_chance(r, 250))
		f->twice_per_mille = (unsigned)PICK(r, 30, 300);
	for (unsigned e = 0; e < FAULTS_EVENTS; e++)
		if (rng_chance(r, event_odds[e].per_mille))
			f->mean_ms[e] = rng_between(r,
			    event_odds[e].mean_ms / 4,
			    event_odds[e].mean_ms * 2);
}

void faults_clean(struct faults *f, uint64_t latency_ms)
{
	memset(f, 0, sizeof(*f));
	f->path.latency_ms = latency_ms;
	f->path.chunk_max = 65536;
}

bool faults_any(const struct faults *f)
{
	return f->stormy || f->path.body_max > 0 || f->path.silence_ms > 0 ||
	    f->path.query_status > 0;
}

static enum faults_kind choose_kind(const struct faults *f, struct rng *r)
{
	unsigned first = (unsigned)rng_below(r, FAULTS_KINDS);

	if (!f->stormy)
		return FAULTS_NONE;
	for (unsigned i = 0; i < FAULTS_KINDS; i++) {
		unsigned k = (first + i) % FAULTS_KINDS;

		if (rng_chance(r, f->per_mille[k]))
			return (enum faults_kind)k;
	}
	return FAULTS_NONE;
}

void faults_plan(const struct faults *f, struct rng *r, size_t body_len,
    struct faults_plan *out)
{
	memset(out, 0, sizeof(*out));
	out->kind = choose_kind(f, r);
	switch (out->kind) {
	case FAULTS_CUT_UP:
	case FAULTS_SHORT_UP:
	case FAULTS_FLIP_UP:
		out->at = rng_below(r, body_len);
		break;
	default:
		out->at = rng_size(r, 200000);
		break;
	}
	out->wait_ms = out->kind == FAULTS_LATE ?
	    rng_between(r, 1, PICK(r, 100, 3000, 60000)) :
	    rng_between(r, 1, 2000);
	out->status = (unsigned)PICK(r, 404, 413, 500, 502, 503, 504);
	out->told = rng_chance(r, 700);
	out->told_ms = rng_size(r, 5000);
	out->twice = f->stormy && rng_chance(r, f->twice_per_mille);
	out->twice_ms = rng_chance(r, 400) ? 0 : rng_size(r, 20000);
	out->second = rng_chance(r, 500);
}
