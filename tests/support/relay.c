/*
 * A link emulator for TCP in user space: passes connections on and gives each
 * direction a delay, and all connections together a rate.
 *
 *   relay --listen 127.0.0.1:0 --to HOST:PORT [--delay-ms 25]
 *         [--rate BYTES/S] [--queue BYTES]
 *         [--cut-every-ms MIN-MAX [--seed N]]
 *
 * Opening a connection costs a round trip as well. --queue limits what one
 * direction of one connection keeps (the rest stays with its sender).
 * SIGUSR1 cuts all connections with a reset towards both ends; SIGUSR2 makes
 * the link a black hole, and a second one ends that: nothing is passed, and
 * nothing is lost that TCP would have repeated. SIGTERM ends.
 *
 * What was read waits in a ring per direction; what is due when stands in
 * one first-in-first-out list of marks per direction of the link, since a
 * constant delay keeps the order.
 */
#include "config.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <uv.h>

#include "tests/support/address.h"
#include "tests/support/relay_impl.h"

#define NS_PER_MS UINT64_C(1000000)

/* ---- trouble ---------------------------------------------------------- */

static void cut_all(struct relay *r)
{
	unsigned n = 0;

	while (r->pairs != NULL) {
		relay_kill_pair(r->pairs, true);
		n++;
	}
	r->cuts++;
	printf("cut connections=%u\n", n);
}

static void on_cut_due(uv_timer_t *timer);

static void plan_cut(struct relay *r)
{
	uint64_t span = r->cut_max_ms - r->cut_min_ms + 1;

	r->seed = r->seed * UINT64_C(6364136223846793005) +
	    UINT64_C(1442695040888963407);
	uv_timer_start(&r->cutter, on_cut_due,
	    r->cut_min_ms + (r->seed >> 33) % span, 0);
}

static void on_cut_due(uv_timer_t *timer)
{
	cut_all(timer->data);
	plan_cut(timer->data);
}

static void finish(struct relay *r)
{
	while (r->pairs != NULL)
		relay_kill_pair(r->pairs, true);
	printf("end connections=%" PRIu64 " cuts=%" PRIu64 " bytes=%" PRIu64
	    "\n", r->count, r->cuts, r->passed);
	r->hole = false;
	for (int i = 0; i < 2; i++) {
		struct mark *m;

		while ((m = r->links[i].first) != NULL) {
			r->links[i].first = m->next;
			relay_unref(m->pair);
			free(m);
		}
	}
	for (int i = 0; i < 3; i++)
		uv_close((uv_handle_t *)&r->signals[i], NULL);
	uv_close((uv_handle_t *)&r->listener, NULL);
	uv_close((uv_handle_t *)&r->clock, NULL);
	uv_close((uv_handle_t *)&r->cutter, NULL);
	close(r->fd);
	close(r->timer_fd);
}

static void on_signal(uv_signal_t *handle, int signum)
{
	struct relay *r = handle->data;

	if (signum == SIGUSR1) {
		cut_all(r);
	} else if (signum == SIGUSR2) {
		r->hole = !r->hole;
		printf("black-hole %s\n", r->hole ? "on" : "off");
		relay_arm(r);
	} else {
		finish(r);
	}
}

/* ---- start ------------------------------------------------------------ */

static void usage(FILE *to)
{
	fputs("usage: relay --listen ADDRESS:PORT --to HOST:PORT [options]\n"
	    "  --delay-ms N            each direction; 0\n"
	    "  --rate N                bytes/s, each direction; no limit\n"
	    "  --queue N               bytes kept per connection and\n"
	    "                          direction; 4194304\n"
	    "  --cut-every-ms MIN-MAX  reset all connections that often\n"
	    "  --seed N                of the moments of the cuts; 1\n", to);
}

static void parse_cuts(struct relay *r, const char *text)
{
	char end;

	if (sscanf(text, "%" SCNu64 "-%" SCNu64 "%c", &r->cut_min_ms,
	    &r->cut_max_ms, &end) != 2 || r->cut_min_ms == 0 ||
	    r->cut_max_ms < r->cut_min_ms) {
		fprintf(stderr, "relay: --cut-every-ms: '%s' is not "
		    "MIN-MAX\n", text);
		exit(2);
	}
}

static void options(int argc, char **argv, struct relay *r,
    struct sockaddr_storage *at)
{
	static const struct option known[] = {
		{ "listen", required_argument, NULL, 'l' },
		{ "to", required_argument, NULL, 't' },
		{ "delay-ms", required_argument, NULL, 'd' },
		{ "rate", required_argument, NULL, 'r' },
		{ "queue", required_argument, NULL, 'q' },
		{ "cut-every-ms", required_argument, NULL, 'c' },
		{ "seed", required_argument, NULL, 's' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 }
	};
	bool listening = false, target = false;
	int c;

	while ((c = getopt_long(argc, argv, "", known, NULL)) != -1) {
		switch (c) {
		case 'l':
			listening = address_parse("relay", optarg, at) == 0;
			break;
		case 't':
			target = address_parse("relay", optarg, &r->to) == 0;
			break;
		case 'd':
			r->delay_ns = NS_PER_MS *
			    address_number("relay", "delay-ms", optarg);
			break;
		case 'r':
			r->rate = address_number("relay", "rate", optarg);
			break;
		case 'q':
			r->queue = address_number("relay", "queue", optarg);
			break;
		case 'c':
			parse_cuts(r, optarg);
			break;
		case 's':
			r->seed = address_number("relay", "seed", optarg);
			break;
		case 'h':
			usage(stdout);
			exit(0);
		default:
			usage(stderr);
			exit(2);
		}
	}
	if (!listening || !target || r->queue == 0 || optind != argc) {
		usage(stderr);
		exit(2);
	}
}

static void start_signals(struct relay *r)
{
	static const int wanted[3] = { SIGUSR1, SIGUSR2, SIGTERM };

	for (int i = 0; i < 3; i++) {
		uv_signal_init(&r->loop, &r->signals[i]);
		r->signals[i].data = r;
		uv_signal_start(&r->signals[i], on_signal, wanted[i]);
	}
}

int main(int argc, char **argv)
{
	static struct relay r = { .queue = 4194304, .seed = 1 };
	struct sockaddr_storage at, bound;
	char text[ADDRESS_TEXT_MAX];

	options(argc, argv, &r, &at);
	setvbuf(stdout, NULL, _IOLBF, 0);
	r.links[0].last = &r.links[0].first;
	r.links[1].last = &r.links[1].first;
	r.armed_ns = UINT64_MAX;
	r.fd = address_listen("relay", &at, &bound);
	r.timer_fd = timerfd_create(CLOCK_MONOTONIC,
	    TFD_NONBLOCK | TFD_CLOEXEC);
	if (r.fd < 0 || r.timer_fd < 0 || uv_loop_init(&r.loop) != 0)
		return 1;
	r.listener.data = r.clock.data = r.cutter.data = &r;
	uv_poll_init(&r.loop, &r.listener, r.fd);
	uv_poll_start(&r.listener, UV_READABLE, relay_on_connection);
	uv_poll_init(&r.loop, &r.clock, r.timer_fd);
	uv_poll_start(&r.clock, UV_READABLE, relay_on_clock);
	uv_timer_init(&r.loop, &r.cutter);
	start_signals(&r);
	if (r.cut_max_ms > 0)
		plan_cut(&r);
	printf("listen address=%s\n",
	    address_text((struct sockaddr *)&bound, text));
	uv_run(&r.loop, UV_RUN_DEFAULT);
	uv_loop_close(&r.loop);
	return 0;
}
