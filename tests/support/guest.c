/*
 * Plays Notes: drives a scenario through one or many connections at once,
 * compares every byte, and prints one line of JSON.
 *
 *   guest SCENARIO ADDRESS:PORT [options]      (guest --help lists them)
 *
 * The exit status is 0 when everything was as the scenario wants it, else 1;
 * what was wrong is on standard error and in the JSON's "error".
 */
#include "config.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <uv.h>

#include "tests/support/address.h"
#include "tests/support/guest_impl.h"
#include "tests/support/peer.h"
#include "tests/support/script.h"
#include "tests/support/tally.h"

/* ---- all connections -------------------------------------------------- */

static void on_deadline(uv_timer_t *timer)
{
	struct guest *g = timer->data;

	for (uint64_t i = 0; i < g->connections; i++) {
		if (g->calls[i].phase == PHASE_DONE)
			continue;
		guest_complain(&g->calls[i], "not done within --timeout");
	}
}

/* How far all connections together have come, for tests that wait for that. */
static void on_progress(uv_timer_t *timer)
{
	struct guest *g = timer->data;
	uint64_t sent = g->tally.bytes_up, received = g->tally.bytes_down;

	for (uint64_t i = 0; i < g->connections; i++) {
		const struct call *c = &g->calls[i];

		if (c->phase == PHASE_DONE || c->peer == NULL)
			continue;
		sent += peer_sent(c->peer);
		received += peer_received(c->peer);
	}
	if (sent + received == g->reported)
		return;
	g->reported = sent + received;
	printf("progress sent=%" PRIu64 " received=%" PRIu64 "\n", sent,
	    received);
	fflush(stdout);
}

static void on_go_on(uv_signal_t *handle, int signum)
{
	struct guest *g = handle->data;

	(void)signum;
	for (uint64_t i = 0; i < g->connections; i++) {
		struct call *c = &g->calls[i];

		if (c->phase == PHASE_DONE)
			continue;
		guest_stall_over(c);
		if (c->phase == PHASE_HELD) {
			c->phase = PHASE_MAIN;
			c->again = true;
			guest_start_transaction(c);
		}
	}
}

/* ---- start ------------------------------------------------------------ */

static void fill_script(const struct guest *g, uint64_t index,
    struct script *s)
{
	memset(s, 0, sizeof(*s));
	s->scenario = guest_plays[g->play].script;
	s->seed = g->seed + index;
	s->ms = g->ms > UINT32_MAX ? UINT32_MAX : (uint32_t)g->ms;
	s->stall_after = SCRIPT_NO_STALL;
	if (g->server_stalls) {
		s->stall_after = g->stall_after;
		s->stall_ms = (uint32_t)g->stall_ms;
	}
	switch (s->scenario) {
	case SCRIPT_PINGPONG:
	case SCRIPT_HALFCLOSE:
		s->up = g->up;
		s->down = g->down;
		break;
	case SCRIPT_NONE:
	case SCRIPT_ECHO:
	case SCRIPT_DOWN:
	case SCRIPT_UP:
	case SCRIPT_BOTH:
	case SCRIPT_CLOSE:
	case SCRIPT_RESET:
	case SCRIPT_SILENT:
	case SCRIPT_COUNT:
		s->up = s->down = g->bytes;
		break;
	}
}

/* "00ff..." to bytes; exits with a message if it is no hex. */
static size_t parse_hex(const char *hex, uint8_t out[SCRIPT_PACKET_MAX])
{
	size_t n = 0;
	unsigned byte;

	for (; hex[0] != '\0'; hex += 2) {
		if (hex[1] == '\0' || n == SCRIPT_PACKET_MAX ||
		    sscanf(hex, "%2x", &byte) != 1) {
			fputs("guest: --hex: not hexadecimal, or too long\n",
			    stderr);
			exit(2);
		}
		out[n++] = (uint8_t)byte;
	}
	return n;
}

static void start_call(struct guest *g, struct call *c, uint64_t index)
{
	c->g = g;
	c->index = index;
	fill_script(g, index, &c->script);
	uv_timer_init(&g->loop, &c->timer);
	c->timer.data = c;
	c->lap_ns = uv_hrtime();
	switch (guest_plays[g->play].play) {
	case PLAY_PROBE:
		c->packet_len = script_encode(NULL, g->server, c->packet);
		break;
	case PLAY_RAW:
		c->packet_len = parse_hex(g->hex != NULL ? g->hex : "",
		    c->packet);
		break;
	case PLAY_IDLE:
		break;
	default:
		c->packet_len = script_encode(&c->script, g->server,
		    c->packet);
		break;
	}
	c->peer = peer_connect(&g->loop, (struct sockaddr *)&g->to,
	    &guest_call_ops, c);
	if (c->peer == NULL)
		guest_complain(c, strerror(errno));
}

static void usage(FILE *to)
{
	fputs("usage: guest SCENARIO ADDRESS:PORT [options]\n\nScenarios:\n",
	    to);
	for (size_t i = 0; i < guest_play_count; i++)
		fprintf(to, "  %-15s %s\n", guest_plays[i].name,
		    guest_plays[i].help);
	fputs("\nOptions:\n"
	    "  --connections N   at once; 1\n"
	    "  --server NAME     in the first packet; none\n"
	    "  --bytes N         of a transfer; 1048576\n"
	    "  --count N         transactions of each connection; 1\n"
	    "  --up N, --down N  bytes of a transaction; 200, 1024\n"
	    "  --interval-ms N   between transactions; 0\n"
	    "  --ms N            see the scenarios; for pingpong: how long\n"
	    "                    the server thinks; 0 (raw: 1000)\n"
	    "  --stall-after N   stop reading after N bytes,\n"
	    "  --stall-ms N      for so long, or until SIGUSR1 ('stalled'\n"
	    "                    is printed)\n"
	    "  --server-stalls   it is the server that does so\n"
	    "  --dribble-ms N    send the first packet byte by byte\n"
	    "  --progress-ms N   print bytes sent and received so often\n"
	    "  --resets-ok       a reset is counted, and no failure\n"
	    "  --hex BYTES       for raw\n"
	    "  --seed N          of the patterns; 1\n"
	    "  --timeout N       seconds for everything; 120\n", to);
}

static size_t find_play(const char *name)
{
	for (size_t i = 0; i < guest_play_count; i++)
		if (strcmp(guest_plays[i].name, name) == 0)
			return i;
	fprintf(stderr, "guest: no scenario '%s'; see guest --help\n", name);
	exit(2);
}

static const struct option known[] = {
	{ "connections", required_argument, NULL, 'n' },
	{ "server", required_argument, NULL, 's' },
	{ "bytes", required_argument, NULL, 'b' },
	{ "count", required_argument, NULL, 'c' },
	{ "up", required_argument, NULL, 'u' },
	{ "down", required_argument, NULL, 'd' },
	{ "interval-ms", required_argument, NULL, 'i' },
	{ "ms", required_argument, NULL, 'm' },
	{ "stall-after", required_argument, NULL, 'a' },
	{ "stall-ms", required_argument, NULL, 'l' },
	{ "server-stalls", no_argument, NULL, 'S' },
	{ "dribble-ms", required_argument, NULL, 'D' },
	{ "progress-ms", required_argument, NULL, 'p' },
	{ "resets-ok", no_argument, NULL, 'R' },
	{ "hex", required_argument, NULL, 'x' },
	{ "seed", required_argument, NULL, 'e' },
	{ "timeout", required_argument, NULL, 't' },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 }
};

/* Where a numeric option goes; NULL for the others. */
static uint64_t *number_of(struct guest *g, int c)
{
	switch (c) {
	case 'n': return &g->connections;
	case 'b': return &g->bytes;
	case 'c': return &g->count;
	case 'u': return &g->up;
	case 'd': return &g->down;
	case 'i': return &g->interval_ms;
	case 'm': return &g->ms;
	case 'a': return &g->stall_after;
	case 'l': return &g->stall_ms;
	case 'D': return &g->dribble_ms;
	case 'p': return &g->progress_ms;
	case 'e': return &g->seed;
	case 't': return &g->timeout_s;
	default: return NULL;
	}
}

static void options(int argc, char **argv, struct guest *g)
{
	uint64_t *number;
	int c, index = 0;

	while ((c = getopt_long(argc, argv, "", known, &index)) != -1) {
		number = number_of(g, c);
		if (number != NULL) {
			*number = address_number("guest", known[index].name,
			    optarg);
			continue;
		}
		switch (c) {
		case 's':
			g->server = optarg;
			break;
		case 'x':
			g->hex = optarg;
			break;
		case 'S':
			g->server_stalls = true;
			break;
		case 'R':
			g->resets_ok = true;
			break;
		case 'h':
			usage(stdout);
			exit(0);
		default:
			usage(stderr);
			exit(2);
		}
	}
	if (argc - optind != 2 || g->connections == 0) {
		usage(stderr);
		exit(2);
	}
	g->play = find_play(argv[optind]);
	if (address_parse("guest", argv[optind + 1], &g->to) != 0)
		exit(2);
	if (guest_plays[g->play].play == PLAY_RAW && g->ms == 0)
		g->ms = 1000;
}

int main(int argc, char **argv)
{
	static struct guest g = {
		.connections = 1, .count = 1, .up = 200, .down = 1024,
		.bytes = 1048576, .seed = 1, .timeout_s = 120,
		.stall_after = SCRIPT_NO_STALL
	};
	bool ok;

	options(argc, argv, &g);
	if (uv_loop_init(&g.loop) != 0)
		return 1;
	g.calls = calloc(g.connections, sizeof(*g.calls));
	if (g.calls == NULL)
		return 1;
	g.deadline.data = g.reporter.data = g.go_on.data = &g;
	uv_timer_init(&g.loop, &g.deadline);
	uv_timer_init(&g.loop, &g.reporter);
	if (g.progress_ms > 0)
		uv_timer_start(&g.reporter, on_progress, g.progress_ms,
		    g.progress_ms);
	uv_timer_start(&g.deadline, on_deadline, g.timeout_s * 1000, 0);
	uv_signal_init(&g.loop, &g.go_on);
	uv_signal_start(&g.go_on, on_go_on, SIGUSR1);
	g.left = g.connections;
	g.tally.started_ns = uv_hrtime();
	for (uint64_t i = 0; i < g.connections; i++)
		start_call(&g, &g.calls[i], i);
	uv_run(&g.loop, UV_RUN_DEFAULT);
	uv_loop_close(&g.loop);
	ok = g.tally.failed == 0;
	tally_print(&g.tally, guest_plays[g.play].name, ok, stdout);
	free(g.calls);
	return ok ? 0 : 1;
}
