/* The link: what is under way in each direction, and when it is due. */
#include "config.h"

#include "tests/support/relay_impl.h"

#include <stdlib.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define NS_PER_S UINT64_C(1000000000)

void relay_arm(struct relay *r)
{
	struct itimerspec at = { .it_value = { 0, 0 } };
	uint64_t due = UINT64_MAX;

	for (int i = 0; i < 2 && !r->hole; i++)
		if (r->links[i].first != NULL &&
		    r->links[i].first->due_ns < due)
			due = r->links[i].first->due_ns;
	if (due == r->armed_ns)
		return;
	r->armed_ns = due;
	if (due != UINT64_MAX) {
		at.it_value.tv_sec = (time_t)(due / NS_PER_S);
		at.it_value.tv_nsec = (long)(due % NS_PER_S);
	}
	(void)timerfd_settime(r->timer_fd, TFD_TIMER_ABSTIME, &at, NULL);
}

void relay_put_mark(struct pair *p, enum side side, enum mark_kind kind,
    size_t len)
{
	struct relay *r = p->r;
	struct link *l = &r->links[side];
	struct mark *m = calloc(1, sizeof(*m));
	uint64_t now = uv_hrtime();

	if (m == NULL)
		abort();
	if (l->free_ns < now)
		l->free_ns = now;
	if (r->rate > 0)
		l->free_ns += (uint64_t)len * NS_PER_S / r->rate;
	m->pair = p;
	m->kind = kind;
	m->len = len;
	m->due_ns = l->free_ns + r->delay_ns;
	p->refs++;
	*l->last = m;
	l->last = &m->next;
	relay_arm(r);
}

void relay_on_clock(uv_poll_t *poll, int status, int events)
{
	struct relay *r = poll->data;
	uint64_t ticks, now;

	(void)status;
	(void)events;
	(void)!read(r->timer_fd, &ticks, sizeof(ticks));
	r->armed_ns = 0;
	now = uv_hrtime();
	for (int i = 0; i < 2 && !r->hole; i++) {
		struct link *l = &r->links[i];
		struct mark *m;

		while ((m = l->first) != NULL && m->due_ns <= now) {
			l->first = m->next;
			if (l->first == NULL)
				l->last = &l->first;
			relay_deliver(m, (enum side)i);
			relay_unref(m->pair);
			free(m);
		}
	}
	relay_arm(r);
}
