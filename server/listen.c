#include "config.h"

#include "server/listen.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/err.h"

#define BACKLOG 511

struct opening {
	struct listen_socket *list;
	size_t count;
	char *why;
};

static int no_memory(struct opening *o)
{
	snprintf(o->why, LISTEN_WHY_MAX, "no memory");
	return ERR_NOMEM;
}

static int complain(struct opening *o, int rc, const char *address)
{
	const char *what = strerror(errno);
	const char *remedy = "";

	if (rc == ERR_EXIST || errno == EADDRINUSE) {
		what = "in use";
		remedy = "; another program listens there, is the gateway "
		    "running already?";
	} else if (errno == EACCES) {
		remedy = "; start the gateway as root with 'user' set, or by "
		    "systemd with 'listen = systemd'";
	}
	snprintf(o->why, LISTEN_WHY_MAX, "cannot listen on %s: %s%s", address,
	    what, remedy);
	return rc;
}

/* Take a socket into the list; closed when that fails. */
static int add(struct opening *o, int fd, char *unlink_path)
{
	struct listen_socket *list;
	struct sockaddr_storage sa = { 0 };
	socklen_t len = sizeof(sa);
	struct stat st;

	list = reallocarray(o->list, o->count + 1, sizeof(*list));
	if (list == NULL) {
		close(fd);
		free(unlink_path);
		return no_memory(o);
	}
	o->list = list;
	list += o->count++;
	*list = (struct listen_socket){
		.fd = fd, .unlink_path = unlink_path
	};
	if (unlink_path != NULL && lstat(unlink_path, &st) == 0) {
		list->unlink_dev = st.st_dev;
		list->unlink_ino = st.st_ino;
	}
	if (getsockname(fd, (struct sockaddr *)&sa, &len) != 0)
		sa.ss_family = AF_UNSPEC;
	list->is_tcp = sa.ss_family == AF_INET || sa.ss_family == AF_INET6;
	net_text((struct sockaddr *)&sa, list->address,
	    sizeof(list->address));
	return 0;
}

static int open_tcp(struct opening *o, const struct sockaddr *sa)
{
	char text[NET_TEXT_MAX];
	int fd;
	int rc = net_listen_tcp(sa, BACKLOG, &fd);

	if (rc != 0)
		return complain(o, rc, net_text(sa, text, sizeof(text)));
	return add(o, fd, NULL);
}

static int open_unix(struct opening *o, const char *path, unsigned mode)
{
	char *copy;
	int fd;
	int rc = net_listen_unix(path, mode, BACKLOG, &fd);

	if (rc != 0)
		return complain(o, rc, path);
	copy = strdup(path);
	if (copy == NULL) {
		close(fd);
		return no_memory(o);
	}
	return add(o, fd, copy);
}

static int open_systemd(struct opening *o)
{
	int first, count;
	int rc = net_systemd_sockets(&first, &count);

	if (rc == 0 && count == 0)
		rc = ERR_NOENT;
	if (rc != 0) {
		snprintf(o->why, LISTEN_WHY_MAX, "'listen = systemd', but "
		    "systemd passed no socket; enable nrpc-gateway.socket, or "
		    "give an address");
		return rc;
	}
	for (int i = 0; i < count && rc == 0; i++)
		rc = add(o, first + i, NULL);
	return rc;
}

static int open_one(struct opening *o, const struct settings *s,
    const struct settings_listen *l)
{
	switch (l->kind) {
	case LISTEN_TCP:
		return open_tcp(o, (const struct sockaddr *)&l->address);
	case LISTEN_UNIX:
		return open_unix(o, l->path, s->unix_mode);
	case LISTEN_SYSTEMD:
		return open_systemd(o);
	}
	return ERR_STATE;
}

int listen_open(const struct settings *s, struct listen_socket **out,
    size_t *count, char why[LISTEN_WHY_MAX])
{
	struct opening o = { .why = why };
	int rc = 0;

	for (size_t i = 0; i < s->listen_count && rc == 0; i++)
		rc = open_one(&o, s, &s->listens[i]);
	if (rc != 0) {
		listen_free(o.list, o.count, true);
		return rc;
	}
	*out = o.list;
	*count = o.count;
	return 0;
}

/* A successor may have put its own socket there while we were draining. */
static void remove_file(const struct listen_socket *l)
{
	struct stat st;

	if (l->unlink_path != NULL && lstat(l->unlink_path, &st) == 0 &&
	    st.st_dev == l->unlink_dev && st.st_ino == l->unlink_ino)
		(void)unlink(l->unlink_path);	/* or it is gone */
}

void listen_free(struct listen_socket *list, size_t count, bool close_fds)
{
	for (size_t i = 0; i < count; i++) {
		if (close_fds)
			close(list[i].fd);
		remove_file(&list[i]);
		free(list[i].unlink_path);
	}
	free(list);
}
