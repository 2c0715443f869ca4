/* An upgrade, the new program's side; gateway_upgrade.c is the old one's. */
#include "config.h"

#include "server/gateway_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/err.h"
#include "common/gate_state.h"
#include "common/session_state.h"
#include "server/fds.h"
#include "server/handover.h"

/*
 * The old one has deadlines, and when it ends the socket is closed: this is
 * for a machine on which it hangs.
 */
#define WAIT_MS (10u * 60u * 1000u)

struct takeover {
	int socket;
	struct fds fds;
	void *map;			/* the state */
	size_t len;
	struct state_in state;
	struct listen_given given;
};

int gateway_takeover_begin(struct gateway *gw)
{
	const char *fd = getenv(HANDOVER_ENV);
	struct takeover *t;

	if (fd == NULL)
		return 0;
	(void)unsetenv(HANDOVER_ENV);
	t = calloc(1, sizeof(*t));
	if (t == NULL)
		return ERR_NOMEM;
	t->socket = HANDOVER_FD;
	if (fcntl(t->socket, F_SETFD, FD_CLOEXEC) != 0) {
		free(t);
		return ERR_IO;
	}
	/* Whoever asks for another upgrade meanwhile asks the old one. */
	(void)signal(SIGUSR2, SIG_IGN);
	gw->takeover = t;
	return 0;
}

void gateway_takeover_failed(struct gateway *gw, const char *why)
{
	struct handover_message m = handover_text(HANDOVER_FAILED, why);

	if (gw->takeover == NULL)
		return;
	(void)handover_send(gw->takeover->socket, &m, -1, 1000);
	/* Everything here belongs to the old one: touch nothing more of it. */
	_exit(EXIT_FAILURE);
}

/* ---- receiving -------------------------------------------------------- */

static int refused(char why[GATEWAY_WHY_MAX], int rc, const char *what)
{
	snprintf(why, GATEWAY_WHY_MAX, "upgrade: %s: %s", what, err_text(rc));
	return rc;
}

static int map_state(struct takeover *t, int fd, uint64_t len)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return ERR_IO;
	if (len == 0 || (uint64_t)st.st_size != len)
		return ERR_PROTO;
	t->len = (size_t)len;
	t->map = mmap(NULL, t->len, PROT_READ, MAP_PRIVATE, fd, 0);
	if (t->map == MAP_FAILED) {
		t->map = NULL;
		return ERR_NOMEM;
	}
	return 0;
}

/* STATE, and the descriptors that it announces. */
static int receive(struct takeover *t)
{
	struct handover_message m;
	struct fds memory = { 0 };
	uint64_t count, len;
	int fd, rc = handover_receive(t->socket, &m, &memory, WAIT_MS);

	fd = fds_take(&memory, 0);
	if (rc == 0 && (m.type != HANDOVER_STATE || fd < 0))
		rc = ERR_PROTO;
	count = m.b;
	len = m.a;
	while (rc == 0 && t->fds.count < count) {
		rc = handover_receive(t->socket, &m, &t->fds, WAIT_MS);
		if (rc == 0 && m.type != HANDOVER_FDS)
			rc = ERR_PROTO;
	}
	if (rc == 0)
		rc = map_state(t, fd, len);
	if (fd >= 0)
		close(fd);
	fds_fini(&memory, true);
	return rc;
}

static int get_key(struct state_in *body, struct noise_keys *keys)
{
	state_get_raw(body, keys->secret, sizeof(keys->secret));
	state_get_raw(body, keys->pub, sizeof(keys->pub));
	return state_done(body);
}

/* What is needed before the engine is made. */
static int get_key_and_sockets(struct takeover *t, struct noise_keys *keys)
{
	struct state_in all = t->state, body;
	enum state_type type;
	bool has_key = false;
	int rc = 0;

	while (rc == 0 && state_next(&all, &type, &body)) {
		if (type == STATE_KEY) {
			rc = get_key(&body, keys);
			has_key = true;
		} else if (type == STATE_LISTEN) {
			rc = listen_import(&t->given, &body, &t->fds);
		}
	}
	return rc != 0 || has_key ? rc : ERR_PROTO;
}

int gateway_takeover_receive(struct gateway *gw, struct noise_keys *keys,
    char why[GATEWAY_WHY_MAX])
{
	struct takeover *t = gw->takeover;
	struct handover_message hello = handover_text(HANDOVER_HELLO,
	    PACKAGE_VERSION);
	char what[STATE_WHY_MAX];
	int rc;

	hello.a = STATE_VERSION_LEAST;
	hello.b = STATE_VERSION;
	rc = handover_send(t->socket, &hello, -1, WAIT_MS);
	if (rc == 0)
		rc = receive(t);
	if (rc != 0)
		return refused(why, rc, "the old program's state does not "
		    "arrive");
	uv_update_time(&gw->loop);
	rc = state_open(&t->state, t->map, t->len, uv_now(&gw->loop), what);
	if (rc != 0) {
		snprintf(why, GATEWAY_WHY_MAX, "upgrade: %s", what);
		return rc;
	}
	rc = get_key_and_sockets(t, keys);
	if (rc != 0)
		return refused(why, rc, "the state's key or sockets");
	return listen_open(gw->settings, &t->given, &gw->listens,
	    &gw->listen_count, why);
}

/* ---- going on --------------------------------------------------------- */

static int get_route(struct gateway *gw, struct state_in *body)
{
	uint8_t id[RECORD_ID_LEN];
	struct gate_session *gs;
	struct stream *st = NULL;
	uint64_t stream;

	state_get_raw(body, id, sizeof(id));
	stream = state_get(body, WIRE_VARINT_MAX);
	gs = gate_session_find(gw->gate, id);
	if (gs != NULL)
		st = session_take_stream(gate_session_session(gs), stream);
	if (body->bad || st == NULL || gate_session_user(gs) == NULL)
		return ERR_PROTO;
	return router_import(gw->router, gate_session_user(gs), st, body,
	    &gw->takeover->fds);
}

int gateway_takeover_import(struct gateway *gw, char why[GATEWAY_WHY_MAX])
{
	struct state_in all = gw->takeover->state, body;
	enum state_type type;
	int rc = 0;

	while (rc == 0 && state_next(&all, &type, &body)) {
		if (type == STATE_GATE || type == STATE_SESSION)
			rc = gate_import(gw->gate, type, &body);
		else if (type == STATE_ROUTE)
			rc = get_route(gw, &body);
		else if (type != STATE_KEY && type != STATE_LISTEN)
			rc = ERR_PROTO;
	}
	if (rc == 0 && !gate_all_taken(gw->gate))
		rc = ERR_PROTO;
	return rc != 0 ? refused(why, rc, "the state's sessions") : 0;
}

static void release(struct gateway *gw)
{
	struct takeover *t = gw->takeover;

	gw->takeover = NULL;
	listen_drop(&t->given);
	fds_fini(&t->fds, true);
	(void)munmap(t->map, t->len);
	close(t->socket);
	free(t);
}

int gateway_takeover_finish(struct gateway *gw, char why[GATEWAY_WHY_MAX])
{
	struct takeover *t = gw->takeover;
	struct handover_message m = { .type = HANDOVER_TAKEN };
	struct gate_stats stats;
	int rc = handover_send(t->socket, &m, -1, WAIT_MS);

	if (rc == 0)
		rc = handover_receive(t->socket, &m, NULL, WAIT_MS);
	if (rc == 0 && m.type != HANDOVER_GO)
		rc = ERR_PROTO;
	if (rc != 0)
		return refused(why, rc, "the old program does not let go");
	/* From here on it is ours. */
	release(gw);
	uv_update_time(&gw->loop);
	gate_get_stats(gw->gate, &stats);
	log_info("ready upgrade=yes version=" PACKAGE_VERSION
	    " sessions=%u streams=%u", stats.sessions, stats.streams);
	gateway_end_strangers(gw);
	router_start(gw->router);
	return 0;
}
