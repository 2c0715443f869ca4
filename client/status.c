#include "config.h"

#include "client/status.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/err.h"
#include "common/net.h"

#define ASKERS_MAX 8u		/* at once */
#define ASKER_MS 5000u		/* then an asker has to have read */
#define SOCKET_MODE 0600u

struct status {
	struct tunnel *tunnel;
	char *path;
	struct asker *askers[ASKERS_MAX];
	uv_pipe_t pipe;
};

/* One connection to the socket. */
struct asker {
	struct status *status;	/* NULL once it is closing */
	uv_pipe_t pipe;
	uv_timer_t deadline;
	uv_write_t write;
	char *text;
	unsigned open_handles;
};

static void on_asker_closed(uv_handle_t *handle)
{
	struct asker *a = handle->data;

	if (--a->open_handles > 0)
		return;
	free(a->text);
	free(a);
}

static void asker_close(struct asker *a)
{
	struct status *s = a->status;

	if (s == NULL)
		return;
	a->status = NULL;
	for (unsigned i = 0; i < ASKERS_MAX; i++)
		if (s->askers[i] == a)
			s->askers[i] = NULL;
	uv_close((uv_handle_t *)&a->pipe, on_asker_closed);
	uv_close((uv_handle_t *)&a->deadline, on_asker_closed);
}

static void on_written(uv_write_t *req, int status)
{
	if (status != UV_ECANCELED)
		asker_close(req->data);
}

static void on_deadline(uv_timer_t *timer)
{
	asker_close(timer->data);
}

static void answer(struct asker *a)
{
	uv_buf_t buf;

	a->text = status_json(a->status->tunnel);
	if (a->text == NULL) {
		asker_close(a);
		return;
	}
	buf = uv_buf_init(a->text, (unsigned)strlen(a->text));
	a->write.data = a;
	if (uv_write(&a->write, (uv_stream_t *)&a->pipe, &buf, 1,
	    on_written) != 0)
		asker_close(a);
}

/* A place for another asker; the first one's if all are taken. */
static unsigned free_place(struct status *s)
{
	for (unsigned i = 0; i < ASKERS_MAX; i++)
		if (s->askers[i] == NULL)
			return i;
	asker_close(s->askers[0]);
	return 0;
}

static void on_connection(uv_stream_t *stream, int status)
{
	struct status *s = stream->data;
	struct asker *a;

	if (status != 0)
		return;
	a = calloc(1, sizeof(*a));
	if (a == NULL)
		return;
	uv_pipe_init(stream->loop, &a->pipe, 0);
	uv_timer_init(stream->loop, &a->deadline);
	a->pipe.data = a;
	a->deadline.data = a;
	a->open_handles = 2;
	a->status = s;
	s->askers[free_place(s)] = a;
	uv_timer_start(&a->deadline, on_deadline, ASKER_MS, 0);
	if (uv_accept(stream, (uv_stream_t *)&a->pipe) != 0)
		asker_close(a);
	else
		answer(a);
}

static void on_closed(uv_handle_t *handle)
{
	struct status *s = handle->data;

	free(s->path);
	free(s);
}

int status_new(struct status **out, uv_loop_t *loop, struct tunnel *tunnel,
    const char *path, char why[CONF_WHY_MAX])
{
	struct status *s = calloc(1, sizeof(*s));
	int fd, rc;

	if (s == NULL || (s->path = strdup(path)) == NULL) {
		free(s);
		snprintf(why, CONF_WHY_MAX, "%s", err_text(ERR_NOMEM));
		return ERR_NOMEM;
	}
	rc = net_listen_unix(path, SOCKET_MODE, (int)ASKERS_MAX, &fd);
	if (rc != 0) {
		snprintf(why, CONF_WHY_MAX, "cannot make the status socket "
		    "%.200s: %s; name another with --status-socket", path,
		    rc == ERR_EXIST ? "another tunnel uses it" :
		    rc == ERR_IO ? strerror(errno) : err_text(rc));
		free(s->path);
		free(s);
		return rc;
	}
	s->tunnel = tunnel;
	uv_pipe_init(loop, &s->pipe, 0);
	s->pipe.data = s;
	rc = uv_pipe_open(&s->pipe, fd);
	if (rc != 0)
		close(fd);
	else
		rc = uv_listen((uv_stream_t *)&s->pipe, (int)ASKERS_MAX,
		    on_connection);
	if (rc != 0) {
		snprintf(why, CONF_WHY_MAX, "cannot listen on the status "
		    "socket %.200s: %s", path, uv_strerror(rc));
		status_free(s);
		return ERR_IO;
	}
	*out = s;
	return 0;
}

void status_free(struct status *s)
{
	if (s == NULL)
		return;
	for (unsigned i = 0; i < ASKERS_MAX; i++)
		if (s->askers[i] != NULL)
			asker_close(s->askers[i]);
	unlink(s->path);
	uv_close((uv_handle_t *)&s->pipe, on_closed);
}
