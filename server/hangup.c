#include "config.h"

#include "server/hangup.h"

#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "common/err.h"

#define BATCH 64

struct hangup {
	uv_poll_t poll;
	int epoll_fd;
	void (*on_hangup)(void *user);
};

static void on_closed(uv_handle_t *handle)
{
	free(handle->data);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
	struct hangup *h = poll->data;
	struct epoll_event list[BATCH];
	int count;

	(void)status;
	(void)events;
	do {
		count = epoll_wait(h->epoll_fd, list, BATCH, 0);
		for (int i = 0; i < count; i++)
			h->on_hangup(list[i].data.ptr);
	} while (count == BATCH);
}

int hangup_new(struct hangup **out, uv_loop_t *loop,
    void (*on_hangup)(void *user))
{
	struct hangup *h = calloc(1, sizeof(*h));

	if (h == NULL)
		return ERR_NOMEM;
	h->on_hangup = on_hangup;
	h->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (h->epoll_fd < 0) {
		free(h);
		return ERR_IO;
	}
	if (uv_poll_init(loop, &h->poll, h->epoll_fd) != 0) {
		close(h->epoll_fd);
		free(h);
		return ERR_IO;
	}
	h->poll.data = h;
	if (uv_poll_start(&h->poll, UV_READABLE, on_poll) != 0) {
		hangup_free(h);
		return ERR_IO;
	}
	*out = h;
	return 0;
}

void hangup_free(struct hangup *h)
{
	if (h == NULL)
		return;
	uv_poll_stop(&h->poll);
	close(h->epoll_fd);
	uv_close((uv_handle_t *)&h->poll, on_closed);
}

int hangup_add(struct hangup *h, int fd, void *user)
{
	/*
	 * Edge-triggered and one-shot: reported once, although the condition
	 * lasts until the descriptor is closed.
	 */
	struct epoll_event event = {
		.events = EPOLLRDHUP | EPOLLET | EPOLLONESHOT,
		.data.ptr = user,
	};

	return epoll_ctl(h->epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0 ? 0 :
	    ERR_IO;
}
