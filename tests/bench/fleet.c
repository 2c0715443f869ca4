/*
 * A fleet of laptops in one process: many tunnels, each with a session of its
 * own, one Notes connection through each, transactions on all of them.
 *
 *   fleet --config CLIENT.CONF --sessions N [--seconds S] [--warmup S]
 *         [--per-second R] [--up 200] [--down 1024] [--idle] [--active N]
 *
 * The configuration is nrpc-tunnel's, with one listener on port 0 that has a
 * fixed server, which is tests/support/domino. All tunnels have its one device
 * key, so the gateway's max_device_sessions has to allow them. Without
 * --per-second each connection begins the next transaction when one is done;
 * with it, all together make so many, each at its own phase.
 *
 * Writes a line {"ready": N} once each has done one transaction; `begin` and
 * `end` around what is measured, so that whoever reads it can take the CPU
 * time of others; then one line of JSON. With --idle it does nothing more
 * after ready, until SIGTERM.
 *
 * With --active N all connections are closed again after their transaction, so
 * that the sessions are left, without a stream. On SIGUSR1 the first N connect
 * once more, make their transactions, and are measured; then these keep their
 * connections, until SIGTERM.
 */
#include "config.h"

#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <uv.h>

#include "client/options.h"
#include "client/setup.h"
#include "common/err.h"
#include "common/log.h"
#include "tests/bench/fleet_user.h"
#include "tests/support/address.h"

#define TICK_MS 5u
#define PACE_MS 100u		/* each turn of the loop costs something */
#define STARTING_MAX 4u	/* hellos of one device that the gateway keeps */
#define READY_S 120u		/* for all of them to come up */
#define SAMPLES_MAX 20000000u

struct fleet {
	uv_loop_t loop;
	uv_timer_t tick;
	uv_signal_t term, begin;
	struct setup setup;
	struct noise_keys device;
	struct user_load load;
	uint64_t sessions, seconds, warmup, per_second, active;
	bool idle;
	bool rests;			/* no connections while idle */
	struct user **users;
	uint64_t started, ready, failed, stopped;
	bool going, measuring, stopping;
	uint64_t begun_us, ended_us;	/* of what is measured */
	uint64_t next_us;		/* when the phase under way is over */
	uint32_t *us;
	size_t count, size;
	uint64_t missed;
};

/* ---- what is measured ------------------------------------------------- */

static void note(struct fleet *f, uint64_t us)
{
	if (f->count == f->size) {
		size_t size = f->size == 0 ? 65536 : f->size * 2;
		uint32_t *wider;

		if (size > SAMPLES_MAX)
			return;
		wider = realloc(f->us, size * sizeof(*wider));
		if (wider == NULL)
			return;
		f->us = wider;
		f->size = size;
	}
	f->us[f->count++] = us < UINT32_MAX ? (uint32_t)us : UINT32_MAX;
}

static int compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static uint32_t quantile(const struct fleet *f, unsigned per_mille)
{
	if (f->count == 0)
		return 0;
	return f->us[(f->count - 1) * per_mille / 1000];
}

static void print_result(struct fleet *f)
{
	double seconds = (double)(f->ended_us - f->begun_us) / 1e6;

	qsort(f->us, f->count, sizeof(*f->us), compare);
	printf("{\"sessions\": %" PRIu64 ", \"seconds\": %.3f, "
	    "\"count\": %zu, \"per_s\": %.1f, \"p50_us\": %" PRIu32
	    ", \"p90_us\": %" PRIu32 ", \"p99_us\": %" PRIu32
	    ", \"max_us\": %" PRIu32 ", \"missed\": %" PRIu64
	    ", \"errors\": %" PRIu64 "}\n", f->active, seconds, f->count,
	    seconds > 0 ? (double)f->count / seconds : 0, quantile(f, 500),
	    quantile(f, 900), quantile(f, 990), quantile(f, 1000), f->missed,
	    f->failed);
	fflush(stdout);
}

static void say(const char *word)
{
	puts(word);
	fflush(stdout);
}

/* ---- what the users tell ---------------------------------------------- */

static void on_ready(void *ctx, struct user *u)
{
	struct fleet *f = ctx;

	f->ready++;
	if (f->rests)
		user_rest(u);
}

static void on_done(void *ctx, struct user *u, uint64_t us)
{
	struct fleet *f = ctx;

	(void)u;
	if (f->measuring)
		note(f, us);
}

static void on_missed(void *ctx, struct user *u)
{
	struct fleet *f = ctx;

	(void)u;
	if (f->measuring)
		f->missed++;
}

static void on_failed(void *ctx, struct user *u, const char *why)
{
	struct fleet *f = ctx;

	(void)u;
	f->failed++;
	fprintf(stderr, "fleet: a connection failed: %s\n", why);
}

static void on_stopped(void *ctx, struct user *u)
{
	struct fleet *f = ctx;

	user_free(u);
	if (++f->stopped < f->started)
		return;
	uv_close((uv_handle_t *)&f->tick, NULL);
	uv_close((uv_handle_t *)&f->term, NULL);
	uv_close((uv_handle_t *)&f->begin, NULL);
}

static const struct user_ops user_ops = {
	on_ready, on_done, on_missed, on_failed, on_stopped
};

/* ---- the course of it ------------------------------------------------- */

static void stop(struct fleet *f)
{
	if (f->stopping)
		return;
	f->stopping = true;
	uv_timer_stop(&f->tick);
	for (uint64_t i = 0; i < f->started; i++)
		user_stop(f->users[i]);
}

static void start_more(struct fleet *f)
{
	while (f->started < f->sessions &&
	    f->started - f->ready - f->failed < STARTING_MAX) {
		if (user_new(&f->users[f->started], &f->loop, &f->setup,
		    &f->device, &f->load, f->started + 1, &user_ops, f) != 0) {
			f->failed++;
			stop(f);
			return;
		}
		f->started++;
	}
	for (uint64_t i = 0; i < f->started; i++)
		user_poll(f->users[i]);
	if (fleet_now_us() > f->next_us) {
		fprintf(stderr, "fleet: only %" PRIu64 " tunnels came up\n",
		    f->ready);
		f->failed++;
		stop(f);
	}
}

static void go(struct fleet *f)
{
	f->going = true;
	f->next_us = fleet_now_us() + f->warmup * 1000000;
	for (uint64_t i = 0; i < f->active; i++)
		user_go(f->users[i], f->load.pause_us * i / f->active);
}

static void on_all_ready(struct fleet *f)
{
	printf("{\"ready\": %" PRIu64 "}\n", f->ready);
	fflush(stdout);
	if (f->idle || f->rests)
		uv_timer_stop(&f->tick);
	else
		go(f);
}

static void on_tick(uv_timer_t *timer);

static void on_begin(uv_signal_t *handle, int number)
{
	struct fleet *f = handle->data;

	(void)number;
	if (!f->rests || f->going || f->stopping ||
	    uv_is_active((uv_handle_t *)&f->tick))
		return;
	uv_timer_start(&f->tick, on_tick, PACE_MS, PACE_MS);
	go(f);
}

static void on_tick(uv_timer_t *timer)
{
	struct fleet *f = timer->data;
	uint64_t now_us = fleet_now_us();

	if (!f->going) {
		if (f->ready + f->failed < f->sessions)
			start_more(f);
		else
			on_all_ready(f);
	} else if (now_us < f->next_us) {
		return;
	} else if (!f->measuring) {
		f->measuring = true;
		f->begun_us = now_us;
		f->next_us = now_us + f->seconds * 1000000;
		say("begin");
	} else {
		f->measuring = false;
		f->ended_us = now_us;
		say("end");
		print_result(f);
		if (f->rests)
			uv_timer_stop(&f->tick);
		else
			stop(f);
	}
}

static void on_term(uv_signal_t *handle, int number)
{
	(void)number;
	stop(handle->data);
}

/* ---- the start -------------------------------------------------------- */

static void raise_file_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
}

static int load_setup(struct fleet *f, const char *config)
{
	struct options options = { .config_path = config };
	char why[CONF_WHY_MAX] = "";
	int rc = setup_load(&f->setup, &options, why);

	if (rc == 0)
		rc = setup_complete(&f->setup, why);
	if (rc == 0)
		rc = keyfile_read(f->setup.key_file, geteuid(), &f->device,
		    why);
	if (rc == 0 && (f->setup.listen_count != 1 ||
	    f->setup.listens[0].server == NULL)) {
		snprintf(why, sizeof(why), "one [listen] with a fixed server "
		    "is wanted");
		rc = ERR_CONFIG;
	}
	if (rc != 0)
		fprintf(stderr, "fleet: %s\n", why);
	else
		log_set_level(f->setup.log_level);
	return rc;
}

static const char *parse(struct fleet *f, int argc, char **argv)
{
	static const struct option long_options[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "sessions", required_argument, NULL, 'n' },
		{ "seconds", required_argument, NULL, 's' },
		{ "warmup", required_argument, NULL, 'w' },
		{ "per-second", required_argument, NULL, 'r' },
		{ "up", required_argument, NULL, 'u' },
		{ "down", required_argument, NULL, 'd' },
		{ "active", required_argument, NULL, 'a' },
		{ "idle", no_argument, NULL, 'i' },
		{ NULL, 0, NULL, 0 }
	};
	const char *config = NULL;
	int c, at = 0;

	while ((c = getopt_long(argc, argv, "", long_options, &at)) != -1) {
		uint64_t *number = c == 'n' ? &f->sessions :
		    c == 's' ? &f->seconds : c == 'w' ? &f->warmup :
		    c == 'r' ? &f->per_second : c == 'u' ? &f->load.up :
		    c == 'd' ? &f->load.down : c == 'a' ? &f->active : NULL;

		if (c == '?')
			return NULL;
		if (number != NULL)
			*number = address_number("fleet",
			    long_options[at].name, optarg);
		else if (c == 'c')
			config = optarg;
		else
			f->idle = true;
	}
	if (f->load.up == 0 || f->load.up > 32768 || f->load.down == 0 ||
	    f->sessions == 0 || f->active > f->sessions)
		return NULL;
	f->rests = f->active > 0;
	if (!f->rests)
		f->active = f->sessions;
	return config;
}

static int run(struct fleet *f, const char *config)
{
	raise_file_limit();
	signal(SIGPIPE, SIG_IGN);
	if (load_setup(f, config) != 0)
		return 2;
	if (f->per_second > 0)
		f->load.pause_us = f->active * 1000000 / f->per_second;
	f->users = calloc(f->sessions, sizeof(struct user *));
	if (f->users == NULL || uv_loop_init(&f->loop) != 0)
		return EXIT_FAILURE;
	uv_timer_init(&f->loop, &f->tick);
	uv_signal_init(&f->loop, &f->term);
	uv_signal_init(&f->loop, &f->begin);
	f->tick.data = f;
	f->term.data = f;
	f->begin.data = f;
	uv_signal_start(&f->term, on_term, SIGTERM);
	uv_signal_start(&f->begin, on_begin, SIGUSR1);
	f->next_us = fleet_now_us() + READY_S * UINT64_C(1000000);
	uv_timer_start(&f->tick, on_tick, 0, TICK_MS);
	uv_run(&f->loop, UV_RUN_DEFAULT);
	uv_loop_close(&f->loop);
	return f->failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
	static struct fleet f = {
		.sessions = 1, .seconds = 5, .warmup = 1,
		.load = { .up = 200, .down = 1024 }
	};
	const char *config = parse(&f, argc, argv);
	int status;

	if (config == NULL) {
		fprintf(stderr, "usage: fleet --config FILE --sessions N "
		    "[--seconds S] [--warmup S]\n    [--per-second R] "
		    "[--up N] [--down N] [--idle] [--active N]\n");
		return 2;
	}
	status = run(&f, config);
	free(f.us);
	free(f.users);
	setup_free(&f.setup);
	return status;
}
