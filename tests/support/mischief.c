/*
 * A reverse proxy for HTTP/1.1 that misbehaves: passes requests on to the
 * gateway, and does to them and to the responses what plan.h lists, at random
 * by a seed.
 *
 *   mischief --listen 127.0.0.1:0 --to HOST:PORT [--seed N] [--on]
 *            [--chance NAME=N]... [--idle-ms N] [--stall-ms N]
 *
 * It begins as a faithful proxy. SIGUSR1 turns the trouble on, SIGUSR2 off;
 * SIGHUP cuts all connections, like a proxy that is restarted. SIGTERM ends.
 * A line for each fault; all counts as JSON whenever the trouble ends.
 *
 * Requests need a Content-Length. Each one goes to the gateway on a connection
 * of its own.
 */
#include "config.h"

#include "tests/support/mischief.h"

#include <getopt.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/address.h"
#include "tests/support/repeat.h"
#include "tests/support/visit.h"

#define IDLE_MS 5000u
#define SIGNALS 4

static struct mischief m = { .idle_ms = IDLE_MS };
static uv_tcp_t listener;
static uv_signal_t signals[SIGNALS];

const struct sockaddr *mischief_source(struct mischief *of,
    const struct plan *plan, struct sockaddr_storage *space)
{
	struct sockaddr_in *in = (struct sockaddr_in *)space;

	if (!plan->quirk[QUIRK_SOURCE] || of->gateway.ss_family != AF_INET)
		return NULL;
	plans_count_quirk(&of->plans, QUIRK_SOURCE);
	memset(space, 0, sizeof(*space));
	in->sin_family = AF_INET;
	in->sin_addr.s_addr = htonl(INADDR_LOOPBACK - 1 + plan->source);
	return (const struct sockaddr *)space;
}

static void on_connection(uv_stream_t *stream, int status)
{
	if (status == 0)
		visit_accept(&m, stream);
}

static void report(void)
{
	printf("{");
	plans_print(&m.plans, stdout);
	printf(", \"connections\": %" PRIu64 ", \"refused\": %" PRIu64
	    ", \"gateway-failures\": %" PRIu64 "}\n", m.connections,
	    m.refused, m.gateway_failures);
}

static void finish(void)
{
	report();
	visit_cut_all(&m);
	repeat_end_all(&m);
	uv_close((uv_handle_t *)&listener, NULL);
	for (int i = 0; i < SIGNALS; i++)
		uv_close((uv_handle_t *)&signals[i], NULL);
}

static void set_trouble(bool on)
{
	m.plans.on = on;
	printf("trouble %s\n", on ? "on" : "off");
	if (!on)
		report();
}

static void on_signal(uv_signal_t *handle, int signum)
{
	(void)handle;
	switch (signum) {
	case SIGUSR1:
	case SIGUSR2:
		set_trouble(signum == SIGUSR1);
		break;
	case SIGHUP:
		visit_cut_all(&m);
		repeat_end_all(&m);
		printf("cut\n");
		break;
	default:
		finish();
		break;
	}
}

/* ---- start ------------------------------------------------------------ */

static void usage(FILE *to)
{
	fputs("usage: mischief --listen ADDRESS:PORT --to HOST:PORT "
	    "[options]\n"
	    "  --seed N         of what happens; 1\n"
	    "  --on             with trouble from the beginning\n"
	    "  --idle-ms N      idle connections are closed after this; 5000\n"
	    "  --stall-ms N     one in eight stalls is so long; 20000\n"
	    "  --chance NAME=N  how often, of 1000 exchanges:\n", to);
	plans_help(&m.plans, to);
}

static void take_option(int c)
{
	switch (c) {
	case 's':
		m.plans.seed = address_number("mischief", "seed", optarg);
		break;
	case 'o':
		m.plans.on = true;
		break;
	case 'i':
		m.idle_ms = address_number("mischief", "idle-ms", optarg);
		break;
	case 'p':
		m.plans.stall_ms = (uint32_t)address_number("mischief",
		    "stall-ms", optarg);
		break;
	case 'c':
		if (plans_set(&m.plans, optarg) != 0)
			exit(2);
		break;
	case 'h':
		usage(stdout);
		exit(0);
	default:
		usage(stderr);
		exit(2);
	}
}

static void options(int argc, char **argv, struct sockaddr_storage *at)
{
	static const struct option known[] = {
		{ "listen", required_argument, NULL, 'l' },
		{ "to", required_argument, NULL, 't' },
		{ "seed", required_argument, NULL, 's' },
		{ "on", no_argument, NULL, 'o' },
		{ "idle-ms", required_argument, NULL, 'i' },
		{ "stall-ms", required_argument, NULL, 'p' },
		{ "chance", required_argument, NULL, 'c' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 }
	};
	bool listening = false, target = false;
	int c;

	while ((c = getopt_long(argc, argv, "", known, NULL)) != -1) {
		if (c == 'l')
			listening = address_parse("mischief", optarg, at) == 0;
		else if (c == 't')
			target = address_parse("mischief", optarg,
			    &m.gateway) == 0;
		else
			take_option(c);
	}
	if (!listening || !target || optind != argc) {
		usage(stderr);
		exit(2);
	}
}

static void start_signals(void)
{
	static const int wanted[SIGNALS] = { SIGUSR1, SIGUSR2, SIGHUP,
	    SIGTERM };

	for (int i = 0; i < SIGNALS; i++) {
		uv_signal_init(&m.loop, &signals[i]);
		uv_signal_start(&signals[i], on_signal, wanted[i]);
	}
}

int main(int argc, char **argv)
{
	struct sockaddr_storage at, bound;
	char text[ADDRESS_TEXT_MAX];
	int fd;

	plans_init(&m.plans);
	options(argc, argv, &at);
	setvbuf(stdout, NULL, _IOLBF, 0);
	(void)signal(SIGPIPE, SIG_IGN);	/* libuv writes without asking */
	fd = address_listen("mischief", &at, &bound);
	if (fd < 0 || uv_loop_init(&m.loop) != 0 ||
	    uv_tcp_init(&m.loop, &listener) != 0 ||
	    uv_tcp_open(&listener, fd) != 0 ||
	    uv_listen((uv_stream_t *)&listener, 1024, on_connection) != 0)
		return 1;
	start_signals();
	printf("listen address=%s\n",
	    address_text((struct sockaddr *)&bound, text));
	uv_run(&m.loop, UV_RUN_DEFAULT);
	uv_loop_close(&m.loop);
	return 0;
}
