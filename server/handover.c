#include "config.h"

#include "server/handover.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <uv.h>

#include "common/err.h"
#include "common/wire.h"
#include "server/fds.h"

#define FDS_MAX 250u		/* in one message; Linux takes 253 */
#define HEAD_LEN 17u		/* type, a, b */
#define NS_PER_MS 1000000u

union control {
	struct cmsghdr align;
	char room[CMSG_SPACE(FDS_MAX * sizeof(int))];
};

int handover_pair(int *mine, int *theirs)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
		return ERR_IO;
	*mine = pair[0];
	*theirs = pair[1];
	return 0;
}

static uint64_t now_ms(void)
{
	return uv_hrtime() / NS_PER_MS;
}

/* Until the socket is ready for one of events. 0, ERR_TIMEOUT or ERR_IO. */
static int await(int socket, short events, uint64_t until_ms)
{
	struct pollfd p = { .fd = socket, .events = events };
	uint64_t now;
	int n;

	do {
		now = now_ms();
		if (now >= until_ms)
			return ERR_TIMEOUT;
		n = poll(&p, 1, (int)(until_ms - now));
	} while (n == 0 || (n < 0 && errno == EINTR));
	return n < 0 ? ERR_IO : 0;
}

static int send_one(int socket, const void *data, size_t len, const int *list,
    size_t count, uint64_t until_ms)
{
	struct iovec iov = { (void *)(uintptr_t)data, len };
	union control control = { 0 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *c;
	int rc;

	if (count > 0) {
		msg.msg_control = &control;
		msg.msg_controllen = CMSG_SPACE(count * sizeof(*list));
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(count * sizeof(*list));
		memcpy(CMSG_DATA(c), list, count * sizeof(*list));
	}
	for (;;) {
		rc = await(socket, POLLOUT, until_ms);
		if (rc != 0)
			return rc;
		if (sendmsg(socket, &msg, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0)
			return 0;
		/* So many descriptors under way are too many for a moment. */
		if (errno == ETOOMANYREFS)
			(void)poll(NULL, 0, 1);
		else if (errno != EAGAIN && errno != EINTR)
			return errno == EPIPE || errno == ECONNRESET ?
			    ERR_CLOSED : ERR_IO;
	}
}

int handover_send(int socket, const struct handover_message *m, int fd,
    uint64_t wait_ms)
{
	uint8_t data[HEAD_LEN + HANDOVER_TEXT_MAX];
	size_t len = strlen(m->text);

	data[0] = (uint8_t)m->type;
	wire_store_u64(data + 1, m->a);
	wire_store_u64(data + 9, m->b);
	memcpy(data + HEAD_LEN, m->text, len);
	return send_one(socket, data, HEAD_LEN + len, &fd, fd >= 0 ? 1 : 0,
	    now_ms() + wait_ms);
}

int handover_send_fds(int socket, const struct fds *fds, uint64_t wait_ms)
{
	uint64_t until_ms = now_ms() + wait_ms;
	uint8_t head[HEAD_LEN] = { HANDOVER_FDS };
	int rc = 0;

	for (size_t at = 0; at < fds->count && rc == 0; at += FDS_MAX) {
		size_t n = fds->count - at;

		rc = send_one(socket, head, sizeof(head), fds->list + at,
		    n < FDS_MAX ? n : FDS_MAX, until_ms);
	}
	return rc;
}

/* Into the list, or closed. */
static int take_fds(struct msghdr *msg, struct fds *fds)
{
	struct cmsghdr *c;

	for (c = CMSG_FIRSTHDR(msg); c != NULL; c = CMSG_NXTHDR(msg, c)) {
		size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(fd), sizeof(fd));
			if (fds != NULL)
				(void)fds_add(fds, fd);
			if (fds == NULL || fds->rc != 0)
				close(fd);
		}
	}
	if (msg->msg_flags & MSG_CTRUNC)
		return ERR_LIMIT;
	return fds != NULL ? fds->rc : 0;
}

static int decode(struct handover_message *m, const uint8_t *data, size_t len)
{
	if (len < HEAD_LEN || len >= HEAD_LEN + HANDOVER_TEXT_MAX ||
	    data[0] < HANDOVER_HELLO || data[0] > HANDOVER_FAILED)
		return ERR_PROTO;
	m->type = (enum handover_type)data[0];
	m->a = wire_load_u64(data + 1);
	m->b = wire_load_u64(data + 9);
	memcpy(m->text, data + HEAD_LEN, len - HEAD_LEN);
	m->text[len - HEAD_LEN] = '\0';
	return 0;
}

int handover_receive(int socket, struct handover_message *m, struct fds *fds,
    uint64_t wait_ms)
{
	uint8_t data[HEAD_LEN + HANDOVER_TEXT_MAX];
	struct iovec iov = { data, sizeof(data) };
	union control control;
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = &control, .msg_controllen = sizeof(control),
	};
	ssize_t n;
	int rc = await(socket, POLLIN, now_ms() + wait_ms);

	if (rc != 0)
		return rc;
	do {
		n = recvmsg(socket, &msg, MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == EINTR);
	if (n <= 0)
		return n == 0 || errno == ECONNRESET ? ERR_CLOSED : ERR_IO;
	rc = take_fds(&msg, fds);
	return rc != 0 ? rc : decode(m, data, (size_t)n);
}

struct handover_message handover_text(enum handover_type type,
    const char *text)
{
	struct handover_message m = { .type = type };

	snprintf(m.text, sizeof(m.text), "%s", text);
	return m;
}
