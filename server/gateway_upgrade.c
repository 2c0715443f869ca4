/* SIGUSR2, the old program's side; gateway_takeover.c is the new one's. */
#include "config.h"

#include "server/gateway_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/err.h"
#include "common/gate_state.h"
#include "common/net.h"
#include "server/fds.h"
#include "server/handover.h"
#include "server/notify.h"

/* For the exchanges under way to end; those that do not are cut. */
#define LET_GO_MS 100u
/*
 * While it takes over nobody serves: so it has less time than for its start,
 * but more for a large state.
 */
#define TAKE_MS 1000u
#define TAKE_BYTES_PER_MS 50000u
#define NS_PER_US 1000u

struct upgrade {
	struct gateway *gw;
	uv_process_t process;
	uv_poll_t poll;			/* of the socket */
	uv_timer_t timer;
	unsigned open_handles;
	int socket;			/* to the new program */
	bool letting_go;
	bool late;			/* has been let go for long enough */
	bool gone;			/* the new program has ended */
	uint64_t let_go_ns, frozen_ns;	/* when that began */
};

/* ---- its end ---------------------------------------------------------- */

static void on_closed(uv_handle_t *handle)
{
	struct upgrade *u = handle->data;

	if (--u->open_handles > 0)
		return;
	close(u->socket);
	free(u);
}

/*
 * The process's handle is closed when it has ended, so that it is waited for.
 */
static void end(struct upgrade *u)
{
	u->gw->upgrade = NULL;
	uv_close((uv_handle_t *)&u->poll, on_closed);
	uv_close((uv_handle_t *)&u->timer, on_closed);
	if (u->gone)
		uv_close((uv_handle_t *)&u->process, on_closed);
	else
		(void)uv_process_kill(&u->process, SIGKILL);
}

/* Serve again; the listening sockets were never closed. */
static void go_back(struct upgrade *u)
{
	struct gateway *gw = u->gw;

	endpoint_free(gw->endpoint);
	gw->endpoint = NULL;
	gate_let_go(gw->gate, false);
	gate_skip_numbers(gw->gate);
	if (gateway_start_endpoint(gw) == 0)
		return;
	log_error("upgrade failed error=\"cannot listen any more\"");
	gateway_stop(gw);
}

static void fail(struct upgrade *u, const char *why)
{
	struct gateway *gw = u->gw;

	log_error("upgrade failed error=\"%s\" remedy=\"see the new program's "
	    "own lines; this one goes on\"", why);
	end(u);
	if (u->letting_go)
		go_back(u);
	notify_systemd("READY=1");
	gw->gate_due = true;
}

void gateway_upgrade_cancel(struct gateway *gw)
{
	if (gw->upgrade == NULL)
		return;
	log_warn("upgrade cancelled why=\"the gateway is going down\"");
	end(gw->upgrade);
}

/* ---- signals that come in the midst ------------------------------------ */

/*
 * libuv would take note of them for a loop that does not run again: so they
 * are noted here, and given to the one that goes on.
 */
static const int held_numbers[] = { SIGHUP, SIGTERM, SIGINT };
#define HELD_COUNT (sizeof(held_numbers) / sizeof(*held_numbers))
static volatile sig_atomic_t held[HELD_COUNT];

static void on_held(int number)
{
	for (size_t i = 0; i < HELD_COUNT; i++)
		if (held_numbers[i] == number)
			held[i] = 1;
}

static void hold_signals(struct sigaction saved[HELD_COUNT])
{
	struct sigaction sa = { .sa_handler = on_held, .sa_flags = SA_RESTART };

	for (size_t i = 0; i < HELD_COUNT; i++) {
		held[i] = 0;
		(void)sigaction(held_numbers[i], &sa, &saved[i]);
	}
}

static void pass_on_signals(pid_t to)
{
	for (size_t i = 0; i < HELD_COUNT; i++)
		if (held[i])
			(void)kill(to, held_numbers[i]);
}

/* ---- handing over ----------------------------------------------------- */

static int sink(void *ctx, const void *data, size_t len)
{
	const int *memory = ctx;
	const uint8_t *p = data;

	while (len > 0) {
		ssize_t n = write(*memory, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return ERR_NOMEM;	/* it is a memory file */
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

static void put_key(struct state_out *o, const struct noise_keys *keys)
{
	state_section(o, STATE_KEY);
	state_put_raw(o, keys->secret, sizeof(keys->secret));
	state_put_raw(o, keys->pub, sizeof(keys->pub));
	state_section_end(o);
}

/* The whole state into the file; then nobody can change it. */
static int write_state(struct gateway *gw, int memory, struct fds *fds,
    uint64_t *bytes)
{
	struct state_out o;
	int rc;

	router_settle(gw->router);
	state_begin(&o, sink, &memory, net_now_ms(&gw->loop));
	put_key(&o, gate_keys(gw->gate));
	listen_export(gw->listens, gw->listen_count, &o, fds);
	gate_export(gw->gate, &o);
	router_export(gw->router, &o, fds);
	rc = state_finish(&o);
	*bytes = o.bytes;
	if (rc == 0)
		rc = fds->rc;
	if (rc == 0 && fcntl(memory, F_ADD_SEALS, F_SEAL_SHRINK |
	    F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) != 0)
		rc = ERR_IO;
	return rc;
}

static uint64_t time_to_take(const struct upgrade *u, uint64_t bytes)
{
	uint64_t wait_ms = TAKE_MS + bytes / TAKE_BYTES_PER_MS;

	return wait_ms < u->gw->settings->upgrade_ms ? wait_ms :
	    u->gw->settings->upgrade_ms;
}

/* Send it and wait for the answer, which is TAKEN if all is well. */
static int send_state(struct upgrade *u, int memory, const struct fds *fds,
    uint64_t bytes, struct handover_message *answer)
{
	uint64_t wait_ms = time_to_take(u, bytes);
	struct handover_message state = {
		.type = HANDOVER_STATE, .a = bytes, .b = fds->count,
	};
	int rc = handover_send(u->socket, &state, memory, wait_ms);

	if (rc == 0)
		rc = handover_send_fds(u->socket, fds, wait_ms);
	if (rc == 0)
		rc = handover_receive(u->socket, answer, NULL, wait_ms);
	return rc;
}

/*
 * The moment at which everything changes hands is when GO has been sent. What
 * is wrong before is told in why.
 */
static int give(struct upgrade *u, int memory, struct fds *fds,
    uint64_t *bytes, char why[HANDOVER_TEXT_MAX])
{
	struct handover_message answer = { .type = HANDOVER_FAILED };
	struct handover_message go = { .type = HANDOVER_GO };
	int rc = write_state(u->gw, memory, fds, bytes);

	if (rc != 0) {
		snprintf(why, HANDOVER_TEXT_MAX, "the state cannot be "
		    "written: %s", err_text(rc));
		return rc;
	}
	rc = send_state(u, memory, fds, *bytes, &answer);
	if (rc == 0 && answer.type == HANDOVER_TAKEN)
		rc = handover_send(u->socket, &go, -1, TAKE_MS);
	else if (rc == 0)
		rc = ERR_PROTO;
	if (rc == ERR_TIMEOUT)
		snprintf(why, HANDOVER_TEXT_MAX, "the new program did not take "
		    "over within %" PRIu64 " ms", time_to_take(u, *bytes));
	else if (rc == ERR_CLOSED)
		snprintf(why, HANDOVER_TEXT_MAX, "the new program ended while "
		    "it took over");
	else if (rc != 0)
		snprintf(why, HANDOVER_TEXT_MAX, "the new program could not "
		    "take over: %.400s", answer.text[0] != '\0' ? answer.text :
		    err_text(rc));
	return rc;
}

/* The new program goes on: nothing of ours may speak any more. */
static void finish(struct upgrade *u, const struct gate_stats *stats,
    uint64_t bytes)
{
	char state[64];
	uint64_t now_ns = uv_hrtime();

	snprintf(state, sizeof(state), "MAINPID=%d\nREADY=1", u->process.pid);
	notify_systemd(state);
	log_info("upgrade done pid=%d sessions=%u streams=%u bytes=%" PRIu64
	    " let_go_us=%" PRIu64 " hand_over_us=%" PRIu64, u->process.pid,
	    stats->sessions, stats->streams, bytes,
	    (u->frozen_ns - u->let_go_ns) / NS_PER_US,
	    (now_ns - u->frozen_ns) / NS_PER_US);
	pass_on_signals(u->process.pid);
	_exit(EXIT_SUCCESS);
}

static void hand_over(struct upgrade *u)
{
	struct gateway *gw = u->gw;
	struct sigaction saved[HELD_COUNT];
	struct fds fds = { 0 };
	struct gate_stats stats;
	char why[HANDOVER_TEXT_MAX];
	uint64_t bytes;
	int memory, rc;

	u->frozen_ns = uv_hrtime();
	endpoint_free(gw->endpoint);	/* cuts what has not ended */
	gw->endpoint = NULL;
	gate_get_stats(gw->gate, &stats);
	hold_signals(saved);
	memory = memfd_create("nrpc-gateway", MFD_CLOEXEC |
	    MFD_ALLOW_SEALING);
	if (memory >= 0) {
		rc = give(u, memory, &fds, &bytes, why);
	} else {
		rc = ERR_IO;
		snprintf(why, sizeof(why), "no memory file: %s",
		    strerror(errno));
	}
	if (rc == 0)
		finish(u, &stats, bytes);
	for (size_t i = 0; i < HELD_COUNT; i++)
		(void)sigaction(held_numbers[i], &saved[i], NULL);
	pass_on_signals(getpid());
	if (memory >= 0)
		close(memory);
	fds_fini(&fds, false);
	uv_update_time(&gw->loop);
	fail(u, why);
}

void gateway_upgrade_turn(struct gateway *gw)
{
	struct upgrade *u = gw->upgrade;

	if (u != NULL && u->letting_go &&
	    (u->late || endpoint_is_idle(gw->endpoint)))
		hand_over(u);
}

/* ---- the new program starts -------------------------------------------- */

static void on_late(uv_timer_t *timer)
{
	struct upgrade *u = timer->data;

	u->late = true;		/* gateway_upgrade_turn sees it */
}

/*
 * It is ready to take over: everything that is under way is brought to an end.
 * New connections wait at the sockets for whoever goes on.
 */
static void let_go(struct upgrade *u)
{
	uv_poll_stop(&u->poll);
	u->let_go_ns = uv_hrtime();
	u->letting_go = true;
	gate_let_go(u->gw->gate, true);
	endpoint_quiesce(u->gw->endpoint);
	uv_timer_start(&u->timer, on_late, LET_GO_MS, 0);
	u->gw->gate_due = true;
}

static void on_hello(struct upgrade *u, const struct handover_message *m)
{
	char why[HANDOVER_TEXT_MAX];

	if (STATE_VERSION >= m->a && STATE_VERSION <= m->b) {
		log_info("upgrade ready version=%.100s", m->text);
		let_go(u);
		return;
	}
	snprintf(why, sizeof(why), "the new program (%.100s) reads the state "
	    "in versions %" PRIu64 " to %" PRIu64 ", this one writes %u",
	    m->text, m->a, m->b, STATE_VERSION);
	fail(u, why);
}

static void on_message(uv_poll_t *poll, int status, int events)
{
	struct upgrade *u = poll->data;
	char why[HANDOVER_TEXT_MAX];
	struct handover_message m;
	int rc = handover_receive(u->socket, &m, NULL, 1);

	(void)status;		/* that of the message is what counts */
	(void)events;
	if (rc == 0 && m.type == HANDOVER_HELLO) {
		on_hello(u, &m);
	} else if (rc == 0 && m.type == HANDOVER_FAILED) {
		snprintf(why, sizeof(why), "the new program cannot start: "
		    "%.400s", m.text);
		fail(u, why);
	} else if (rc == ERR_CLOSED) {
		uv_poll_stop(poll);	/* on_exit says more */
	} else if (rc != ERR_TIMEOUT) {
		fail(u, "the new program does not speak as expected");
	}
}

static void on_start_late(uv_timer_t *timer)
{
	struct upgrade *u = timer->data;
	char why[HANDOVER_TEXT_MAX];

	snprintf(why, sizeof(why), "the new program was not ready within "
	    "upgrade_timeout (%" PRIu64 " ms)", u->gw->settings->upgrade_ms);
	fail(u, why);
}

static void on_exit_(uv_process_t *process, int64_t status, int number)
{
	struct upgrade *u = process->data;
	char why[HANDOVER_TEXT_MAX];

	u->gone = true;
	if (u->gw->upgrade != u) {	/* it was over before */
		uv_close((uv_handle_t *)process, on_closed);
		return;
	}
	if (number != 0)
		snprintf(why, sizeof(why), "the new program ended with signal "
		    "%d", number);
	else
		snprintf(why, sizeof(why), "the new program ended with status "
		    "%" PRId64, status);
	fail(u, why);
}

/* Our own environment, and one variable more. NULL without memory. */
static char **new_environment(char *more)
{
	size_t n = 0;
	char **env;

	while (environ[n] != NULL)
		n++;
	env = calloc(n + 2, sizeof(*env));
	if (env == NULL)
		return NULL;
	env[0] = more;
	memcpy(env + 1, environ, n * sizeof(*env));
	return env;
}

static int spawn(struct upgrade *u, int theirs)
{
	char more[64];
	char **env;
	uv_stdio_container_t stdio[HANDOVER_FD + 1];
	uv_process_options_t options = {
		.exit_cb = on_exit_,
		.file = u->gw->source.argv[0],
		.args = u->gw->source.argv,
		.stdio_count = HANDOVER_FD + 1,
		.stdio = stdio,
	};
	int rc;

	snprintf(more, sizeof(more), HANDOVER_ENV "=%d", HANDOVER_FD);
	env = new_environment(more);
	if (env == NULL)
		return UV_ENOMEM;
	options.env = env;
	for (int i = 0; i < HANDOVER_FD; i++)
		stdio[i] = (uv_stdio_container_t){ .flags = UV_INHERIT_FD,
		    .data.fd = i };
	stdio[HANDOVER_FD] = (uv_stdio_container_t){ .flags = UV_INHERIT_FD,
	    .data.fd = theirs };
	rc = uv_spawn(&u->gw->loop, &u->process, &options);
	free(env);
	return rc;
}

static int init(struct upgrade *u, struct gateway *gw)
{
	int rc = uv_poll_init(&gw->loop, &u->poll, u->socket);

	if (rc != 0)
		return rc;
	uv_timer_init(&gw->loop, &u->timer);
	u->gw = gw;
	u->poll.data = u->timer.data = u->process.data = u;
	u->open_handles = 3;
	gw->upgrade = u;
	return 0;
}

/* Why it cannot even begin. */
static void refuse(const struct gateway *gw, const char *what)
{
	log_error("upgrade failed error=\"cannot start %s: %s\" "
	    "remedy=\"this one goes on\"", gw->source.argv[0], what);
	notify_systemd("READY=1");
}

static void begin(struct gateway *gw)
{
	struct upgrade *u = calloc(1, sizeof(*u));
	int theirs, rc;

	if (u == NULL || handover_pair(&u->socket, &theirs) != 0) {
		refuse(gw, u == NULL ? "no memory" : strerror(errno));
		free(u);
		return;
	}
	rc = init(u, gw);
	if (rc != 0) {
		refuse(gw, uv_strerror(rc));
		close(theirs);
		close(u->socket);
		free(u);
		return;
	}
	rc = spawn(u, theirs);
	close(theirs);
	if (rc != 0) {
		/* uv_spawn has made the handle all the same. */
		u->gone = true;
		refuse(gw, uv_strerror(rc));
		end(u);
		return;
	}
	uv_poll_start(&u->poll, UV_READABLE | UV_DISCONNECT, on_message);
	uv_timer_start(&u->timer, on_start_late, gw->settings->upgrade_ms, 0);
}

void gateway_upgrade(struct gateway *gw)
{
	if (gw->draining || gw->upgrade != NULL) {
		log_warn("upgrade ignored why=\"%s\"", gw->draining ?
		    "the gateway is going down" : "one is under way");
		return;
	}
	log_info("upgrade begin program=%s", gw->source.argv[0]);
	notify_systemd("RELOADING=1");
	begin(gw);
}
