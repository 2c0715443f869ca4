#include "config.h"

#include "server/listen.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/err.h"
#include "common/state.h"
#include "server/fds.h"

/* Whom a unix socket has no room for is refused at once. */
#define BACKLOG 4096
#define PATH_TEXT_MAX 255u	/* longer than any unix socket's */

struct opening {
	struct listen_socket *list;
	size_t count;
	struct listen_given *given;
	char *why;
};

/* A successor may have put its own socket there while we were draining. */
static void remove_file(const struct listen_socket *l)
{
	struct stat st;

	if (l->unlink_path != NULL && lstat(l->unlink_path, &st) == 0 &&
	    st.st_dev == l->unlink_dev && st.st_ino == l->unlink_ino)
		(void)unlink(l->unlink_path);	/* or it is gone */
}

static void describe(struct listen_socket *l)
{
	struct sockaddr_storage sa = { 0 };
	socklen_t len = sizeof(sa);

	if (getsockname(l->fd, (struct sockaddr *)&sa, &len) != 0)
		sa.ss_family = AF_UNSPEC;
	l->is_tcp = sa.ss_family == AF_INET || sa.ss_family == AF_INET6;
	net_text((struct sockaddr *)&sa, l->address, sizeof(l->address));
}

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
	describe(list);
	return 0;
}

/* ---- what another process has handed over ------------------------------ */

/* Is it bound there? Port 0 fits to whatever the kernel chose before. */
static bool is_at(const struct listen_socket *l, const struct sockaddr *want)
{
	struct sockaddr_storage sa = { 0 };
	socklen_t len = sizeof(sa);
	const struct sockaddr_in6 *a6 = (void *)&sa, *b6 = (const void *)want;
	const struct sockaddr_in *a = (void *)&sa, *b = (const void *)want;

	if (getsockname(l->fd, (struct sockaddr *)&sa, &len) != 0 ||
	    sa.ss_family != want->sa_family)
		return false;
	if (sa.ss_family == AF_INET)
		return a->sin_addr.s_addr == b->sin_addr.s_addr &&
		    (b->sin_port == 0 || a->sin_port == b->sin_port);
	return memcmp(&a6->sin6_addr, &b6->sin6_addr,
	    sizeof(a6->sin6_addr)) == 0 &&
	    a6->sin6_scope_id == b6->sin6_scope_id &&
	    (b6->sin6_port == 0 || a6->sin6_port == b6->sin6_port);
}

static bool fits(const struct listen_socket *l,
    const struct settings_listen *want)
{
	if (l->fd < 0)
		return false;
	switch (want->kind) {
	case LISTEN_TCP:
		return l->is_tcp && !l->is_systemds &&
		    is_at(l, (const struct sockaddr *)&want->address);
	case LISTEN_UNIX:
		return l->unlink_path != NULL &&
		    strcmp(l->unlink_path, want->path) == 0;
	case LISTEN_SYSTEMD:
		return l->is_systemds;
	}
	return false;
}

/* Move all that fit into the list; with systemd that may be several. */
static int use_given(struct opening *o, const struct settings_listen *want,
    size_t *used)
{
	struct listen_socket *list;

	*used = 0;
	for (size_t i = 0; o->given != NULL && i < o->given->count; i++) {
		struct listen_socket *l = &o->given->list[i];

		if (!fits(l, want) ||
		    (*used > 0 && want->kind != LISTEN_SYSTEMD))
			continue;
		list = reallocarray(o->list, o->count + 1, sizeof(*list));
		if (list == NULL)
			return no_memory(o);
		o->list = list;
		list[o->count++] = *l;
		*l = (struct listen_socket){ .fd = -1 };
		(*used)++;
	}
	return 0;
}

void listen_drop(struct listen_given *given)
{
	for (size_t i = 0; i < given->count; i++) {
		struct listen_socket *l = &given->list[i];

		if (l->fd >= 0)
			close(l->fd);
		remove_file(l);
		free(l->unlink_path);
	}
	free(given->list);
	*given = (struct listen_given){ NULL, 0 };
}

void listen_export(const struct listen_socket *list, size_t count,
    struct state_out *o, struct fds *fds)
{
	for (size_t i = 0; i < count; i++) {
		state_section(o, STATE_LISTEN);
		state_put(o, fds_add(fds, list[i].fd));
		state_put_bool(o, list[i].is_systemds);
		state_put_text(o, list[i].unlink_path);
		state_put_u64(o, list[i].unlink_dev);
		state_put_u64(o, list[i].unlink_ino);
		state_section_end(o);
	}
}

int listen_import(struct listen_given *given, struct state_in *in,
    struct fds *fds)
{
	char path[PATH_TEXT_MAX + 1];
	struct listen_socket l = { 0 }, *list;

	l.fd = fds_take(fds, state_get(in, WIRE_VARINT_MAX));
	l.is_systemds = state_get_bool(in);
	state_get_text(in, path, PATH_TEXT_MAX);
	l.unlink_dev = (dev_t)state_get_u64(in);
	l.unlink_ino = (ino_t)state_get_u64(in);
	if (l.fd < 0 || state_done(in) != 0)
		return ERR_PROTO;
	describe(&l);
	list = reallocarray(given->list, given->count + 1, sizeof(*list));
	if (list == NULL)
		return ERR_NOMEM;
	given->list = list;
	if (path[0] != '\0') {
		l.unlink_path = strdup(path);
		if (l.unlink_path == NULL)
			return ERR_NOMEM;
	}
	list[given->count++] = l;
	return 0;
}

/* ---- what is opened anew ---------------------------------------------- */

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
	for (int i = 0; i < count && rc == 0; i++) {
		rc = add(o, first + i, NULL);
		if (rc == 0)
			o->list[o->count - 1].is_systemds = true;
	}
	return rc;
}

static int open_one(struct opening *o, const struct settings *s,
    const struct settings_listen *l)
{
	size_t used;
	int rc = use_given(o, l, &used);

	if (rc != 0 || used > 0)
		return rc;
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

int listen_open(const struct settings *s, struct listen_given *given,
    struct listen_socket **out, size_t *count, char why[LISTEN_WHY_MAX])
{
	struct opening o = { .why = why, .given = given };
	int rc = 0;

	for (size_t i = 0; i < s->listen_count && rc == 0; i++)
		rc = open_one(&o, s, &s->listens[i]);
	if (rc != 0) {
		/* What was given is in use by the process that gave it. */
		if (given == NULL)
			listen_free(o.list, o.count, true);
		return rc;
	}
	*out = o.list;
	*count = o.count;
	return 0;
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
