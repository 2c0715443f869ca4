#include "config.h"

#include "tests/bench/scenario.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/bench/samples.h"
#include "tests/bench/talk.h"

#define EVENTS 256
#define BULK_PIECE (UINT64_C(1) << 20)	/* one request of endless bulk */
#define ENDLESS (UINT64_C(1) << 50)
#define MARK_US 1000000u		/* the steady rate begins here */

enum kind { TRANSACTIONS, BULK_UP, BULK_DOWN };

struct conn {
	struct talk talk;
	struct load *load;
	enum kind kind;
	char name[32];
	uint32_t watched;
	uint64_t begun_us;	/* the request under way */
	uint64_t due_us;	/* the next one, when paced */
	bool waiting;		/* for that */
	bool counts;		/* it is the bulk that is measured */
	uint64_t moved;		/* bytes of bulk, before this request */
	bool last;		/* this request is the last one */
	bool over;
};

struct load {
	const struct scenario *o;
	int ep;
	struct conn *conns;
	unsigned count, over;
	uint64_t start_us, measure_us, end_us;
	uint64_t seed;
	struct samples times;
	uint64_t late_us, mark_bytes;
	uint64_t moved_at_start;
	bool failed;
};

/* ---- connections ------------------------------------------------------ */

static void watch(struct conn *c, bool also_out)
{
	struct epoll_event e = { .events = EPOLLIN, .data.ptr = c };

	if (also_out)
		e.events |= EPOLLOUT;
	if (c->watched == e.events)
		return;
	epoll_ctl(c->load->ep, c->watched != 0 ? EPOLL_CTL_MOD :
	    EPOLL_CTL_ADD, c->talk.fd, &e);
	c->watched = e.events;
}

static void close_conn(struct conn *c)
{
	close(c->talk.fd);
	c->watched = 0;
	c->over = true;
	c->load->over++;
}

static void fail(struct conn *c, const char *why)
{
	if (why != NULL)
		fprintf(stderr, "load: connection %s: %s\n", c->name, why);
	c->load->failed = true;
	close_conn(c);
}

static void open_conn(struct load *l, unsigned i, enum kind kind)
{
	struct conn *c = &l->conns[i];

	memset(c, 0, sizeof(*c));
	c->load = l;
	c->kind = kind;
	snprintf(c->name, sizeof(c->name), "%u", i);
	c->talk.fd = talk_connect(l->o->connect);
	c->talk.name = c->name;
}

static uint64_t moved(const struct conn *c)
{
	return c->kind == BULK_UP ? c->moved + c->talk.out_at :
	    c->moved + c->talk.in_at;
}

/* Ask for what comes next on this connection. */
static void ask(struct conn *c, uint64_t now)
{
	const struct scenario *o = c->load->o;
	uint64_t seed = c->load->seed++ * 7919, size = BULK_PIECE;

	c->begun_us = now;
	c->waiting = false;
	if (o->bytes > 0)
		size = o->bytes;
	switch (c->kind) {
	case TRANSACTIONS:
		talk_ask(&c->talk, o->up, o->down, seed);
		break;
	case BULK_UP:
		c->last = c->counts && (o->bytes > 0 ||
		    now >= c->load->end_us);
		talk_ask(&c->talk, c->last && o->bytes == 0 ? TALK_HEAD :
		    size, c->last ? 1 : 0, seed);
		break;
	case BULK_DOWN:
		c->last = o->bytes > 0;
		talk_ask(&c->talk, TALK_HEAD, o->bytes > 0 && c->counts ?
		    size : ENDLESS, seed);
		break;
	}
}

static void next(struct conn *c, uint64_t now)
{
	const struct scenario *o = c->load->o;

	if (c->kind != TRANSACTIONS) {
		c->moved = moved(c);
		c->talk.in_at = c->talk.out_at = 0;
		if (c->last)
			close_conn(c);
		else
			ask(c, now);
		return;
	}
	if (now >= c->load->measure_us && c->begun_us >= c->load->measure_us)
		samples_add(&c->load->times, now - (o->pace_ms > 0 ?
		    c->due_us : c->begun_us));
	if (o->pace_ms == 0) {
		ask(c, now);
		return;
	}
	c->due_us += (uint64_t)(o->pace_ms * 1000);
	if (c->due_us <= now) {
		c->load->late_us += now - c->due_us;
		ask(c, now);
	} else {
		c->waiting = true;
	}
}

/* Move what can be moved. */
static void attend(struct conn *c, uint64_t now)
{
	struct talk *t = &c->talk;

	while (!c->over && !c->waiting) {
		if ((talk_is_sending(t) && talk_send(t) != 0) ||
		    talk_receive(t) != 0) {
			fail(c, NULL);
			return;
		}
		if (!talk_is_done(t)) {
			if (t->ended)
				fail(c, "ended too early");
			else
				watch(c, talk_is_sending(t));
			return;
		}
		next(c, now);
		if (!c->over)
			watch(c, !c->waiting && talk_is_sending(t));
	}
}

/* ---- time ------------------------------------------------------------- */

/* When the next paced request is due; they are few enough to look at all. */
static uint64_t start_due(struct load *l, uint64_t now)
{
	uint64_t soonest = now + 100000;

	if (l->o->pace_ms == 0)
		return soonest;
	for (unsigned i = 0; i < l->count; i++) {
		struct conn *c = &l->conns[i];

		if (!c->waiting || c->over)
			continue;
		if (c->due_us <= now) {
			ask(c, now);
			attend(c, now);
		} else if (c->due_us < soonest) {
			soonest = c->due_us;
		}
	}
	return soonest;
}

static uint64_t bulk_moved(const struct load *l)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < l->count; i++)
		if (l->conns[i].kind != TRANSACTIONS)
			n += moved(&l->conns[i]);
	return n;
}

static void turn(struct load *l, uint64_t until)
{
	struct epoll_event events[EVENTS];
	uint64_t now = now_us(), due = start_due(l, now), wait;
	struct timespec t;
	int n;

	if (due > until)
		due = until;
	wait = due > now ? due - now : 0;
	t.tv_sec = (time_t)(wait / 1000000);
	t.tv_nsec = (long)(wait % 1000000 * 1000);
	n = epoll_pwait2(l->ep, events, EVENTS, &t, NULL);
	now = now_us();
	for (int i = 0; i < n; i++) {
		struct conn *c = events[i].data.ptr;

		if (!c->over)
			attend(c, now);
	}
}

/* Until all are over, or it is time; false when a deadline has passed. */
static void run_until(struct load *l, uint64_t until)
{
	while (l->over < l->count && !l->failed && now_us() < until)
		turn(l, until);
}

static void prepare(struct load *l, const struct scenario *o, unsigned count)
{
	memset(l, 0, sizeof(*l));
	l->o = o;
	l->count = count;
	l->seed = (uint64_t)getpid() << 20;
	l->conns = calloc(count, sizeof(*l->conns));
	l->ep = epoll_create1(EPOLL_CLOEXEC);
	if (l->conns == NULL || l->ep < 0)
		die("cannot begin: %s", strerror(errno));
	l->start_us = now_us();
	l->measure_us = l->start_us + (uint64_t)(o->warmup * 1e6);
	l->end_us = l->measure_us + (uint64_t)(o->seconds * 1e6);
}

/* ---- scenarios -------------------------------------------------------- */

static unsigned bulk_kinds(const char *direction, enum kind kinds[2])
{
	unsigned n = 0;

	if (strcmp(direction, "down") == 0 || strcmp(direction, "both") == 0)
		kinds[n++] = BULK_DOWN;
	if (strcmp(direction, "up") == 0 || strcmp(direction, "both") == 0)
		kinds[n++] = BULK_UP;
	if (n == 0)
		die("%s: down, up or both is needed", direction);
	return n;
}

static int transactions(const struct scenario *o)
{
	struct load l;
	enum kind kinds[2];
	unsigned beside = o->beside != NULL ? bulk_kinds(o->beside, kinds) :
	    0;
	uint64_t before, took;

	prepare(&l, o, o->connections + beside);
	for (unsigned i = 0; i < l.count; i++) {
		struct conn *c = &l.conns[i];

		open_conn(&l, i, i < o->connections ? TRANSACTIONS :
		    kinds[i - o->connections]);
		c->due_us = l.start_us + (o->pace_ms > 0 ? (uint64_t)
		    (o->pace_ms * 1000 * i / l.count) : 0);
		c->waiting = o->pace_ms > 0 && c->kind == TRANSACTIONS;
		if (!c->waiting)
			ask(c, l.start_us);
		watch(c, !c->waiting);
	}
	run_until(&l, l.measure_us);
	before = bulk_moved(&l);
	run_until(&l, l.end_us);
	took = now_us() - l.measure_us;
	putchar('{');
	samples_print(&l.times);
	printf(", \"per_s\": %.1f, \"late_ms\": %.3f, \"errors\": %d",
	    (double)l.times.count * 1e6 / (double)took,
	    (double)l.late_us / 1000, l.failed);
	if (beside > 0)
		printf(", \"beside_mb_per_s\": %.3f",
		    (double)(bulk_moved(&l) - before) / (double)took);
	puts("}");
	return l.failed;
}

static int bulk(const struct scenario *o)
{
	struct load l;
	enum kind kinds[2];
	unsigned n = bulk_kinds(o->direction, kinds);
	uint64_t deadline, end, mark = 0, mark_us, bytes;

	prepare(&l, o, n * o->connections);
	deadline = l.start_us + (uint64_t)(o->timeout * 1e6);
	mark_us = l.start_us + MARK_US;
	for (unsigned i = 0; i < l.count; i++) {
		open_conn(&l, i, kinds[i % n]);
		l.conns[i].counts = true;
		ask(&l.conns[i], l.start_us);
		watch(&l.conns[i], true);
	}
	end = o->bytes > 0 ? deadline : l.end_us;
	run_until(&l, mark_us < end ? mark_us : end);
	mark = bulk_moved(&l);
	run_until(&l, end);
	/* What goes up without end is over when the server has said so. */
	for (unsigned i = 0; o->bytes == 0 && i < l.count; i++)
		if (l.conns[i].kind == BULK_DOWN && !l.conns[i].over)
			close_conn(&l.conns[i]);
	run_until(&l, deadline);
	end = now_us();
	if (l.over < l.count) {
		fprintf(stderr, "load: bulk is not over after %g s\n",
		    o->timeout);
		l.failed = true;
	}
	bytes = bulk_moved(&l);
	printf("{\"bytes\": %llu, \"seconds\": %.3f, \"mb_per_s\": %.3f, "
	    "\"first_s_mb\": %.3f, \"steady_mb_per_s\": ",
	    (unsigned long long)bytes, (double)(end - l.start_us) / 1e6,
	    (double)bytes / (double)(end - l.start_us), (double)mark / 1e6);
	if (end > mark_us + MARK_US / 2)
		printf("%.3f", (double)(bytes - mark) /
		    (double)(end - mark_us));
	else
		printf("null");
	printf(", \"errors\": %d}\n", l.failed);
	return l.failed;
}

/* One connection after the other; the time to the answer's first byte. */
static int connects(const struct scenario *o)
{
	struct load l;

	prepare(&l, o, 1);
	for (unsigned i = 0; i < o->count && !l.failed; i++) {
		uint64_t begun = now_us(), limit = begun + 20000000;
		struct conn *c = &l.conns[0];
		bool first = true;

		l.over = 0;
		open_conn(&l, 0, TRANSACTIONS);
		ask(c, begun);
		watch(c, true);
		c->load->measure_us = UINT64_MAX;	/* timed here */
		while (!l.failed && !talk_is_done(&c->talk)) {
			struct epoll_event e;

			if (epoll_wait(l.ep, &e, 1, 20000) <= 0 ||
			    now_us() > limit)
				fail(c, "no answer within 20 s");
			else if ((talk_is_sending(&c->talk) &&
			    talk_send(&c->talk) != 0) ||
			    talk_receive(&c->talk) != 0)
				fail(c, NULL);
			else if (c->talk.ended && !talk_is_done(&c->talk))
				fail(c, "ended too early");
			else
				watch(c, talk_is_sending(&c->talk));
			if (first && c->talk.in_at > 0) {
				samples_add(&l.times, now_us() - begun);
				first = false;
			}
		}
		if (!l.failed)
			close_conn(c);
	}
	putchar('{');
	samples_print(&l.times);
	printf(", \"errors\": %d}\n", l.failed);
	return l.failed;
}

/* Many that do nothing, until standard input ends. */
static int idle(const struct scenario *o)
{
	struct load l;
	char c;

	prepare(&l, o, o->connections);
	for (unsigned i = 0; i < l.count; i++) {
		open_conn(&l, i, TRANSACTIONS);
		ask(&l.conns[i], l.start_us);
		l.conns[i].last = true;
		while (!l.failed && !talk_is_done(&l.conns[i].talk)) {
			struct conn *conn = &l.conns[i];
			struct epoll_event e;

			watch(conn, talk_is_sending(&conn->talk));
			if (epoll_wait(l.ep, &e, 1, 20000) <= 0)
				fail(conn, "no answer within 20 s");
			else if ((talk_is_sending(&conn->talk) &&
			    talk_send(&conn->talk) != 0) ||
			    talk_receive(&conn->talk) != 0)
				fail(conn, NULL);
			else if (conn->talk.ended)
				fail(conn, "ended too early");
		}
		if (l.failed)
			return 1;
	}
	printf("{\"ready\": %u}\n", l.count);
	fflush(stdout);
	while (read(STDIN_FILENO, &c, 1) > 0)
		;
	return 0;
}

/* Our end is closed after the request; the answer still has to come. */
static int half_close(const struct scenario *o)
{
	struct load l;
	struct conn *c;
	struct epoll_event e;
	bool shut = false;

	prepare(&l, o, 1);
	c = &l.conns[0];
	open_conn(&l, 0, TRANSACTIONS);
	talk_ask(&c->talk, 200, 1 << 20, 1);
	watch(c, true);
	while (!talk_is_done(&c->talk) && !c->talk.ended &&
	    epoll_wait(l.ep, &e, 1, 5000) > 0) {
		if ((talk_is_sending(&c->talk) && talk_send(&c->talk) != 0) ||
		    talk_receive(&c->talk) != 0)
			break;
		if (!talk_is_sending(&c->talk) && !shut) {
			shutdown(c->talk.fd, SHUT_WR);
			shut = true;
			watch(c, false);
		}
	}
	printf("{\"carried\": %s}\n", talk_is_done(&c->talk) ? "true" :
	    "false");
	return c->talk.wrong;
}

int scenario_run(const struct scenario *o)
{
	static const struct {
		const char *name;
		int (*run)(const struct scenario *o);
	} all[] = {
		{ "transactions", transactions },
		{ "bulk", bulk },
		{ "connect", connects },
		{ "idle", idle },
		{ "half-close", half_close },
	};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (strcmp(o->name, all[i].name) == 0)
			return all[i].run(o);
	die("%s: transactions, bulk, connect, idle or half-close is needed",
	    o->name);
}
