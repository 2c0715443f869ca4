#include "config.h"

#include "tests/bench/serve.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/bench/talk.h"

#define EVENTS 256

struct peer {
	struct talk talk;
	char name[32];
	uint32_t watched;	/* events asked for */
};

static unsigned serial;

static void accept_all(int ep, int listener)
{
	int fd, on = 1;

	while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK |
	    SOCK_CLOEXEC)) >= 0) {
		struct peer *p = calloc(1, sizeof(*p));
		struct epoll_event e = { .events = EPOLLIN, .data.ptr = p };

		if (p == NULL)
			die("out of memory");
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		snprintf(p->name, sizeof(p->name), "from client %u", ++serial);
		p->talk.fd = fd;
		p->talk.name = p->name;
		p->talk.forgiving = true;
		p->watched = EPOLLIN;
		epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e);
	}
}

/* A connection that ends in the midst of a request is the client's affair. */
static int attend(int ep, struct peer *p)
{
	struct talk *t = &p->talk;
	bool answering;
	struct epoll_event e = { .data.ptr = p };
	int rc = talk_serve(t);
	int wrong = t->wrong ? 1 : 0;

	answering = t->head_at == TALK_HEAD && t->in_at == t->in_end &&
	    t->out_at < t->out_end;
	if (rc != 0 || (t->ended && !answering)) {
		close(t->fd);
		free(p);
		return wrong;
	}
	e.events = answering ? EPOLLOUT : EPOLLIN;
	if (e.events != p->watched)
		epoll_ctl(ep, EPOLL_CTL_MOD, t->fd, &e);
	p->watched = e.events;
	return 0;
}

int serve(const char *address)
{
	struct epoll_event events[EVENTS];
	struct epoll_event e = { .events = EPOLLIN, .data.ptr = NULL };
	unsigned port;
	int listener = talk_listen(address, &port), wrong = 0, n;
	int ep = epoll_create1(EPOLL_CLOEXEC);
	char in;

	if (ep < 0 || epoll_ctl(ep, EPOLL_CTL_ADD, listener, &e) != 0)
		die("cannot poll: %s", strerror(errno));
	e.data.ptr = &in;
	(void)epoll_ctl(ep, EPOLL_CTL_ADD, STDIN_FILENO, &e);
	printf("listening %.*s:%u\n", (int)(strrchr(address, ':') - address),
	    address, port);
	fflush(stdout);
	for (;;) {
		n = epoll_wait(ep, events, EVENTS, -1);
		for (int i = 0; i < n; i++) {
			if (events[i].data.ptr == NULL)
				accept_all(ep, listener);
			else if (events[i].data.ptr != &in)
				wrong |= attend(ep, events[i].data.ptr);
			else if (read(STDIN_FILENO, &in, 1) <= 0)
				return wrong;
		}
	}
}
