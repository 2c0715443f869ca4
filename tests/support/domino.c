/*
 * The tests' Domino server: answers a Notes client's first packet as Domino
 * does, with its name, and plays the scenario that the guest's first packet
 * asks for (script.h).
 *
 *   domino --listen 127.0.0.1:0 --name CN=Mail1/O=Acme
 *          [--refuse-after N] [--greet] [--silent]
 *
 * Writes "listen address=..." when it is ready and a line for each event of
 * each connection. SIGUSR1: go on reading where a scenario had stopped.
 * SIGTERM: end, and say how much was served.
 */
#include "config.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <uv.h>

#include "tests/support/address.h"
#include "tests/support/peer.h"
#include "tests/support/script.h"

#define SLOW_TICK_MS 20u

struct domino {
	uv_loop_t loop;
	uv_poll_t listener;
	uv_signal_t term, resume;
	int fd;
	const char *name;
	bool greet, silent;
	uint64_t refuse_after;		/* connections; then nobody listens */
	uint64_t count, commands, failures;
	struct visit *visits;		/* those that are open */
};

struct visit {
	struct domino *d;
	struct visit *next, **link;
	struct peer *peer;
	uint64_t id;
	struct script script;
	bool head_read, body_read, answering, slow, leaving;
	uv_timer_t timer;
	uint64_t stall_end_ms;
	uint64_t up_done, down_done;	/* pattern places */
};

static void on_timer_closed(uv_handle_t *handle)
{
	free(handle->data);
}

static void leave(struct visit *v, const char *how, bool reset)
{
	printf("close id=%" PRIu64 " scenario=%s how=%s in=%" PRIu64
	    " out=%" PRIu64 "\n", v->id, script_name(v->script.scenario),
	    how, peer_received(v->peer), peer_sent(v->peer));
	if (reset)
		peer_reset(v->peer);
	else
		peer_close(v->peer);
	*v->link = v->next;
	if (v->next != NULL)
		v->next->link = v->link;
	uv_close((uv_handle_t *)&v->timer, on_timer_closed);
}

/* Read on at full speed after a stall. */
static void stall_over(struct visit *v)
{
	v->slow = false;
	v->script.stall_after = SCRIPT_NO_STALL;
	uv_timer_stop(&v->timer);
	printf("resume id=%" PRIu64 " in=%" PRIu64 "\n", v->id,
	    peer_received(v->peer));
	peer_allow(v->peer, PEER_UNLIMITED);
}

/* While stalled: a little at a time, or nothing at all. */
static void on_slow_tick(uv_timer_t *timer)
{
	struct visit *v = timer->data;

	if (v->script.stall_ms > 0 && uv_now(&v->d->loop) >= v->stall_end_ms) {
		stall_over(v);
		return;
	}
	if (v->script.stall_rate > 0)
		peer_allow(v->peer,
		    v->script.stall_rate * SLOW_TICK_MS / 1000 + 1);
}

static void start_stall(struct visit *v)
{
	if (v->script.stall_after == SCRIPT_NO_STALL)
		return;
	v->slow = true;
	v->stall_end_ms = uv_now(&v->d->loop) + v->script.stall_ms;
	peer_allow(v->peer, v->script.stall_after);
	printf("stall id=%" PRIu64 "\n", v->id);
	if (v->script.stall_ms > 0 || v->script.stall_rate > 0)
		uv_timer_start(&v->timer, on_slow_tick, SLOW_TICK_MS,
		    SLOW_TICK_MS);
}

static void send_down(struct visit *v, uint64_t len)
{
	peer_send(v->peer, script_seed_down(&v->script), v->down_done, len);
	v->down_done += len;
}

static void expect_up(struct visit *v)
{
	if (v->script.up > 0)
		peer_expect(v->peer, script_seed_up(&v->script), v->up_done,
		    v->script.up);
	else
		peer_expect_end(v->peer);
	v->up_done += v->script.up;
}

static void send_verdict(struct visit *v)
{
	uint8_t verdict[SCRIPT_VERDICT_LEN];

	script_verdict_encode(peer_place(v->peer), verdict);
	peer_send_bytes(v->peer, verdict, sizeof(verdict));
	peer_end(v->peer);
}

static void start_scenario(struct visit *v)
{
	switch (v->script.scenario) {
	case SCRIPT_NONE:
	case SCRIPT_COUNT:
		break;
	case SCRIPT_ECHO:
		peer_take(v->peer, 1, PEER_BYTES_MAX);
		break;
	case SCRIPT_PINGPONG:
	case SCRIPT_UP:
		expect_up(v);
		start_stall(v);
		break;
	case SCRIPT_BOTH:
		expect_up(v);
		start_stall(v);
		send_down(v, v->script.down);
		break;
	case SCRIPT_DOWN:
		send_down(v, v->script.down);
		peer_end(v->peer);
		break;
	case SCRIPT_CLOSE:
	case SCRIPT_RESET:
		send_down(v, v->script.down);
		peer_tell_sent(v->peer);
		break;
	case SCRIPT_HALFCLOSE:
		expect_up(v);
		break;
	case SCRIPT_SILENT:
		peer_expect_end(v->peer);
		break;
	}
}

/* The first packet is complete. */
static void on_packet(struct visit *v, const uint8_t *packet, size_t len)
{
	uint8_t answer[SCRIPT_PACKET_MAX];

	script_decode(packet, len, &v->script);
	v->d->commands++;
	printf("command id=%" PRIu64 " scenario=%s up=%" PRIu64 " down=%"
	    PRIu64 "\n", v->id, script_name(v->script.scenario), v->script.up,
	    v->script.down);
	if (v->script.scenario == SCRIPT_NONE) {
		peer_expect_end(v->peer);
		peer_send_bytes(v->peer, answer,
		    script_answer(v->d->name, answer));
		return;
	}
	start_scenario(v);
}

static void on_pause_over(uv_timer_t *timer)
{
	struct visit *v = timer->data;

	if (v->script.scenario == SCRIPT_RESET) {
		leave(v, "reset-by-us", true);
		return;
	}
	send_down(v, v->script.down);
	expect_up(v);
}

static void on_up_done(struct visit *v)
{
	switch (v->script.scenario) {
	case SCRIPT_PINGPONG:
		if (v->slow)
			stall_over(v);
		if (v->script.ms > 0) {
			uv_timer_start(&v->timer, on_pause_over,
			    v->script.ms, 0);
			return;
		}
		send_down(v, v->script.down);
		expect_up(v);
		return;
	case SCRIPT_UP:
	case SCRIPT_BOTH:
		/* A verdict follows the download: peer_send's order. */
		v->answering = true;
		peer_tell_sent(v->peer);
		return;
	case SCRIPT_NONE:
	case SCRIPT_ECHO:
	case SCRIPT_DOWN:
	case SCRIPT_CLOSE:
	case SCRIPT_RESET:
	case SCRIPT_HALFCLOSE:
	case SCRIPT_SILENT:
	case SCRIPT_COUNT:
		return;
	}
}

static void on_received(void *user, struct peer *p)
{
	struct visit *v = user;
	const uint8_t *data;
	size_t len, whole;

	if (v->body_read) {
		if (v->script.scenario != SCRIPT_ECHO) {
			on_up_done(v);
			return;
		}
		data = peer_taken(p, &len);
		peer_send_bytes(p, data, len);
		peer_tell_sent(p);
		peer_allow(p, 0);
		return;
	}
	data = peer_taken(p, &len);
	if (v->head_read) {
		uint8_t packet[SCRIPT_PACKET_MAX];

		v->body_read = true;
		memset(packet, 0, SCRIPT_HEAD);
		memcpy(packet + SCRIPT_HEAD, data, len);
		on_packet(v, packet, SCRIPT_HEAD + len);
		return;
	}
	v->head_read = true;
	whole = script_packet_len(data);
	if (whole == 0) {
		v->d->failures++;
		leave(v, "not-nrpc", true);
		return;
	}
	peer_take(p, whole - SCRIPT_HEAD, whole - SCRIPT_HEAD);
}

static void on_sent(void *user, struct peer *p)
{
	struct visit *v = user;

	if (v->leaving) {
		leave(v, "eof", false);
		return;
	}
	switch (v->script.scenario) {
	case SCRIPT_ECHO:
		peer_take(p, 1, PEER_BYTES_MAX);
		peer_allow(p, PEER_UNLIMITED);
		return;
	case SCRIPT_UP:
	case SCRIPT_BOTH:
		if (v->answering)
			send_verdict(v);
		return;
	case SCRIPT_CLOSE:
		leave(v, "closed-by-us", false);
		return;
	case SCRIPT_RESET:
		uv_timer_start(&v->timer, on_pause_over, v->script.ms, 0);
		return;
	case SCRIPT_NONE:
	case SCRIPT_PINGPONG:
	case SCRIPT_DOWN:
	case SCRIPT_HALFCLOSE:
	case SCRIPT_SILENT:
	case SCRIPT_COUNT:
		return;
	}
}

static void on_eof(void *user, struct peer *p)
{
	struct visit *v = user;

	if (v->script.scenario == SCRIPT_HALFCLOSE &&
	    peer_place(p) == v->script.up) {
		printf("eof id=%" PRIu64 "\n", v->id);
		send_down(v, v->script.down);
	}
	/* What is under way is still sent. */
	v->leaving = true;
	peer_end(p);
	peer_tell_sent(p);
}

static void on_failed(void *user, struct peer *p, int err)
{
	struct visit *v = user;

	if (err == EILSEQ || err == EPROTO) {
		v->d->failures++;
		printf("wrong id=%" PRIu64 " place=%" PRIu64 "\n", v->id,
		    peer_place(p));
		leave(v, "wrong-bytes", true);
		return;
	}
	leave(v, err == ECONNRESET || err == EPIPE ? "reset" : strerror(err),
	    false);
}

static const struct peer_ops visit_ops = {
	.on_sent = on_sent,
	.on_received = on_received,
	.on_eof = on_eof,
	.on_failed = on_failed
};

static void greet(struct visit *v)
{
	char line[SCRIPT_NAME_MAX + 32];
	int n = snprintf(line, sizeof(line), "greetings from %s\r\n",
	    v->d->name);

	peer_send_bytes(v->peer, line, (size_t)n);
}

static void admit(struct domino *d, int fd)
{
	struct visit *v = calloc(1, sizeof(*v));

	if (v == NULL) {
		close(fd);
		return;
	}
	v->d = d;
	v->id = ++d->count;
	v->peer = peer_accept(&d->loop, fd, &visit_ops, v);
	if (v->peer == NULL) {
		free(v);
		return;
	}
	v->next = d->visits;
	v->link = &d->visits;
	if (v->next != NULL)
		v->next->link = &v->next;
	d->visits = v;
	uv_timer_init(&d->loop, &v->timer);
	v->timer.data = v;
	printf("open id=%" PRIu64 "\n", v->id);
	if (d->greet)
		greet(v);
	if (d->silent)
		peer_expect_end(v->peer);
	else
		peer_take(v->peer, SCRIPT_HEAD, SCRIPT_HEAD);
}

static void stop_listening(struct domino *d)
{
	uv_poll_stop(&d->listener);
	close(d->fd);
	d->fd = -1;
	printf("refusing\n");
}

static void on_connection(uv_poll_t *poll, int status, int events)
{
	struct domino *d = poll->data;
	int fd;

	(void)events;
	if (status < 0)
		return;
	for (;;) {
		fd = accept4(d->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd < 0)
			return;
		admit(d, fd);
		if (d->count == d->refuse_after) {
			stop_listening(d);
			return;
		}
	}
}

static void on_resume(uv_signal_t *handle, int signum)
{
	struct domino *d = handle->data;

	(void)signum;
	for (struct visit *v = d->visits; v != NULL; v = v->next)
		if (v->slow)
			stall_over(v);
}

static void on_term(uv_signal_t *handle, int signum)
{
	struct domino *d = handle->data;

	(void)signum;
	while (d->visits != NULL)
		leave(d->visits, "shutdown", true);
	printf("end connections=%" PRIu64 " commands=%" PRIu64 " failures=%"
	    PRIu64 "\n", d->count, d->commands, d->failures);
	uv_close((uv_handle_t *)&d->term, NULL);
	uv_close((uv_handle_t *)&d->resume, NULL);
	uv_close((uv_handle_t *)&d->listener, NULL);
	if (d->fd >= 0)
		close(d->fd);
}

static void usage(FILE *to)
{
	fputs("usage: domino --listen ADDRESS:PORT --name CN=.../O=... "
	    "[options]\n"
	    "  --refuse-after N  stop listening after N connections\n"
	    "  --greet           speak first: a line, before anything else\n"
	    "  --silent          take connections, say and read nothing\n", to);
}

static void options(int argc, char **argv, struct domino *d,
    struct sockaddr_storage *at)
{
	static const struct option known[] = {
		{ "listen", required_argument, NULL, 'l' },
		{ "name", required_argument, NULL, 'n' },
		{ "refuse-after", required_argument, NULL, 'r' },
		{ "greet", no_argument, NULL, 'g' },
		{ "silent", no_argument, NULL, 's' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 }
	};
	bool listening = false;
	int c;

	while ((c = getopt_long(argc, argv, "", known, NULL)) != -1) {
		switch (c) {
		case 'l':
			if (address_parse("domino", optarg, at) != 0)
				exit(2);
			listening = true;
			break;
		case 'n':
			d->name = optarg;
			break;
		case 'r':
			d->refuse_after = address_number("domino",
			    "refuse-after", optarg);
			break;
		case 'g':
			d->greet = true;
			break;
		case 's':
			d->silent = true;
			break;
		case 'h':
			usage(stdout);
			exit(0);
		default:
			usage(stderr);
			exit(2);
		}
	}
	if (!listening || d->name == NULL || optind != argc) {
		usage(stderr);
		exit(2);
	}
}

int main(int argc, char **argv)
{
	static struct domino d;
	struct sockaddr_storage at, bound;
	char text[ADDRESS_TEXT_MAX];

	options(argc, argv, &d, &at);
	setvbuf(stdout, NULL, _IOLBF, 0);
	d.fd = address_listen("domino", &at, &bound);
	if (d.fd < 0 || uv_loop_init(&d.loop) != 0)
		return 1;
	d.listener.data = d.term.data = d.resume.data = &d;
	uv_poll_init(&d.loop, &d.listener, d.fd);
	uv_poll_start(&d.listener, UV_READABLE, on_connection);
	uv_signal_init(&d.loop, &d.term);
	uv_signal_start(&d.term, on_term, SIGTERM);
	uv_signal_init(&d.loop, &d.resume);
	uv_signal_start(&d.resume, on_resume, SIGUSR1);
	printf("listen address=%s name=%s\n",
	    address_text((struct sockaddr *)&bound, text), d.name);
	uv_run(&d.loop, UV_RUN_DEFAULT);
	uv_loop_close(&d.loop);
	return 0;
}
