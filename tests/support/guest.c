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
#include "tests/support/peer.h"
#include "tests/support/script.h"
#include "tests/support/tally.h"

enum play {
	PLAY_PROBE, PLAY_PINGPONG, PLAY_ECHO, PLAY_DOWN, PLAY_UP, PLAY_BOTH,
	PLAY_HALFCLOSE, PLAY_CLOSE, PLAY_EXPECT_RESET, PLAY_RESET,
	PLAY_EXPECT_REFUSED, PLAY_GREET, PLAY_SILENT, PLAY_RAW, PLAY_IDLE,
	PLAY_HOLD
};

static const struct {
	const char *name;
	enum play play;
	enum script_scenario script;
	const char *help;
} plays[] = {
	{ "probe", PLAY_PROBE, SCRIPT_NONE,
	    "nmap's probe; prints the server's name and the round trip" },
	{ "pingpong", PLAY_PINGPONG, SCRIPT_PINGPONG,
	    "--count transactions of --up and --down bytes, one by one" },
	{ "echo", PLAY_ECHO, SCRIPT_ECHO, "--bytes there and back" },
	{ "down", PLAY_DOWN, SCRIPT_DOWN, "--bytes from the server" },
	{ "up", PLAY_UP, SCRIPT_UP, "--bytes to the server" },
	{ "both", PLAY_BOTH, SCRIPT_BOTH, "--bytes each way at once" },
	{ "halfclose", PLAY_HALFCLOSE, SCRIPT_HALFCLOSE,
	    "--up bytes, our half ends, then --down bytes come" },
	{ "close", PLAY_CLOSE, SCRIPT_CLOSE,
	    "the server sends --bytes and closes first" },
	{ "expect-reset", PLAY_EXPECT_RESET, SCRIPT_RESET,
	    "the server sends --bytes and resets after --ms" },
	{ "reset", PLAY_RESET, SCRIPT_PINGPONG,
	    "one transaction, then we reset" },
	{ "expect-refused", PLAY_EXPECT_REFUSED, SCRIPT_PINGPONG,
	    "refused, or reset before the first byte" },
	{ "greet", PLAY_GREET, SCRIPT_PINGPONG,
	    "wait for the server's greeting, then one transaction" },
	{ "silent", PLAY_SILENT, SCRIPT_SILENT,
	    "the server says nothing for --ms; then we end" },
	{ "raw", PLAY_RAW, SCRIPT_NONE,
	    "send --hex, show what comes until an end, a reset or --ms" },
	{ "idle", PLAY_IDLE, SCRIPT_NONE,
	    "open, wait --ms, close; no byte either way" },
	{ "hold", PLAY_HOLD, SCRIPT_PINGPONG,
	    "one transaction, 'held', wait for SIGUSR1, one more" },
};

enum phase { PHASE_CONNECT, PHASE_GREETING, PHASE_MAIN, PHASE_VERDICT,
	PHASE_END, PHASE_HELD, PHASE_DONE };

struct guest {
	uv_loop_t loop;
	uv_timer_t deadline, reporter;
	uv_signal_t go_on;
	size_t play;			/* index into plays */
	struct sockaddr_storage to;
	const char *server, *hex;
	uint64_t connections, count, up, down, bytes, ms, interval_ms;
	uint64_t stall_after, stall_ms, dribble_ms, timeout_s, seed;
	uint64_t progress_ms, reported;
	bool server_stalls, resets_ok, said_held;
	struct call *calls;
	uint64_t left, held, stalled;
	struct tally tally;
};

/* One connection. */
struct call {
	struct guest *g;
	uint64_t index;
	struct peer *peer;
	struct script script;
	enum phase phase;
	uint64_t transactions;
	uint64_t lap_ns;		/* when the transaction began */
	uint64_t up_done, down_done;
	uint8_t packet[SCRIPT_PACKET_MAX];
	size_t packet_len, packet_sent;
	bool stalling, again;
	uv_timer_t timer;
};

static enum play play_of(const struct call *c)
{
	return plays[c->g->play].play;
}

/* ---- the end of a connection, and of all ------------------------------ */

static void all_done(struct guest *g)
{
	g->tally.ended_ns = uv_hrtime();
	uv_close((uv_handle_t *)&g->deadline, NULL);
	uv_close((uv_handle_t *)&g->reporter, NULL);
	uv_close((uv_handle_t *)&g->go_on, NULL);
}

/* Once all are held, but for those that were refused. */
static void say_held(struct guest *g)
{
	if (g->said_held || g->held == 0 || g->held < g->left)
		return;
	g->said_held = true;
	puts("held");
	fflush(stdout);
}

static void finish(struct call *c, bool reset)
{
	struct guest *g = c->g;

	if (c->phase == PHASE_DONE)
		return;
	c->phase = PHASE_DONE;
	if (c->peer != NULL) {
		g->tally.bytes_up += peer_sent(c->peer);
		g->tally.bytes_down += peer_received(c->peer);
		if (reset)
			peer_reset(c->peer);
		else
			peer_close(c->peer);
	}
	uv_close((uv_handle_t *)&c->timer, NULL);
	if (--g->left == 0)
		all_done(g);
	say_held(g);
}

static void succeed(struct call *c)
{
	c->g->tally.done++;
	finish(c, false);
}

static void complain(struct call *c, const char *what)
{
	fprintf(stderr, "guest: connection %" PRIu64 ": %s (sent %" PRIu64
	    ", received %" PRIu64 ")\n", c->index, what,
	    c->peer != NULL ? peer_sent(c->peer) : 0,
	    c->peer != NULL ? peer_received(c->peer) : 0);
	tally_error(&c->g->tally, "connection %" PRIu64 ": %s (sent %" PRIu64
	    ", received %" PRIu64 ")", c->index, what,
	    c->peer != NULL ? peer_sent(c->peer) : 0,
	    c->peer != NULL ? peer_received(c->peer) : 0);
	finish(c, true);
}

static void on_deadline(uv_timer_t *timer)
{
	struct guest *g = timer->data;

	for (uint64_t i = 0; i < g->connections; i++) {
		if (g->calls[i].phase == PHASE_DONE)
			continue;
		complain(&g->calls[i], "not done within --timeout");
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

/* ---- stalls ----------------------------------------------------------- */

static void stall_over(struct call *c)
{
	if (!c->stalling)
		return;
	c->stalling = false;
	peer_allow(c->peer, PEER_UNLIMITED);
}

static void on_stall_over(uv_timer_t *timer)
{
	stall_over(timer->data);
}

/* Leave what comes after --stall-after bytes to the kernel for a while. */
static void start_stall(struct call *c)
{
	struct guest *g = c->g;

	if (g->stall_after == SCRIPT_NO_STALL || g->server_stalls)
		return;
	c->stalling = true;
	peer_allow(c->peer, g->stall_after);
	if (g->stall_ms > 0)
		uv_timer_start(&c->timer, on_stall_over, g->stall_ms, 0);
	if (++g->stalled == g->connections) {
		puts("stalled");
		fflush(stdout);
	}
}

/* ---- transactions ----------------------------------------------------- */

static void send_up(struct call *c, uint64_t len)
{
	peer_send(c->peer, script_seed_up(&c->script), c->up_done, len);
	c->up_done += len;
}

static void expect_down(struct call *c, uint64_t len)
{
	peer_expect(c->peer, script_seed_down(&c->script), c->down_done, len);
	c->down_done += len;
}

static void start_transaction(struct call *c)
{
	c->lap_ns = uv_hrtime();
	expect_down(c, c->script.down);
	send_up(c, c->script.up);
}

static void on_interval(uv_timer_t *timer)
{
	start_transaction(timer->data);
}

static void on_held(struct call *c)
{
	c->phase = PHASE_HELD;
	c->g->held++;
	say_held(c->g);
}

static void on_transaction_done(struct call *c)
{
	struct guest *g = c->g;

	tally_lap(&g->tally, uv_hrtime() - c->lap_ns);
	c->transactions++;
	switch (play_of(c)) {
	case PLAY_RESET:
		g->tally.done++;
		finish(c, true);
		return;
	case PLAY_EXPECT_REFUSED:
		complain(c, "was served, though it should be refused");
		return;
	case PLAY_HOLD:
		if (c->again)
			succeed(c);
		else
			on_held(c);
		return;
	default:
		break;
	}
	if (c->transactions >= g->count)
		succeed(c);
	else if (g->interval_ms > 0)
		uv_timer_start(&c->timer, on_interval, g->interval_ms, 0);
	else
		start_transaction(c);
}

static void on_go_on(uv_signal_t *handle, int signum)
{
	struct guest *g = handle->data;

	(void)signum;
	for (uint64_t i = 0; i < g->connections; i++) {
		struct call *c = &g->calls[i];

		if (c->phase == PHASE_DONE)
			continue;
		stall_over(c);
		if (c->phase == PHASE_HELD) {
			c->phase = PHASE_MAIN;
			c->again = true;
			start_transaction(c);
		}
	}
}

/* ---- scenarios -------------------------------------------------------- */

static void on_wait_over(uv_timer_t *timer)
{
	struct call *c = timer->data;

	switch (play_of(c)) {
	case PLAY_RAW:
		strcpy(c->g->tally.outcome, "timeout");
		break;
	case PLAY_SILENT:
		if (peer_received(c->peer) > 0) {
			complain(c, "bytes came from a silent server");
			return;
		}
		break;
	default:
		break;
	}
	succeed(c);
}

/* The first packet is out: what else goes, and what is to come? */
static void start_main(struct call *c)
{
	struct guest *g = c->g;

	c->phase = PHASE_MAIN;
	if (play_of(c) != PLAY_PROBE)	/* its packet was the question */
		c->lap_ns = uv_hrtime();
	switch (play_of(c)) {
	case PLAY_PROBE:
		peer_take(c->peer, 2, 2);
		break;
	case PLAY_PINGPONG:
	case PLAY_RESET:
	case PLAY_EXPECT_REFUSED:
	case PLAY_GREET:
	case PLAY_HOLD:
		start_transaction(c);
		break;
	case PLAY_ECHO:
		/* The echo comes with the pattern of the way up. */
		peer_expect(c->peer, script_seed_up(&c->script), 0, g->bytes);
		send_up(c, g->bytes);
		break;
	case PLAY_DOWN:
	case PLAY_CLOSE:
	case PLAY_EXPECT_RESET:
		if (g->bytes > 0)
			expect_down(c, g->bytes);
		else
			c->phase = PHASE_END;
		break;
	case PLAY_BOTH:
		expect_down(c, g->bytes);
		send_up(c, g->bytes);
		break;
	case PLAY_UP:
		send_up(c, g->bytes);
		c->phase = PHASE_VERDICT;
		peer_take(c->peer, SCRIPT_VERDICT_LEN, SCRIPT_VERDICT_LEN);
		break;
	case PLAY_HALFCLOSE:
		expect_down(c, g->down);
		send_up(c, g->up);
		peer_end(c->peer);
		break;
	case PLAY_RAW:
		peer_take(c->peer, 1, 1024);
		uv_timer_start(&c->timer, on_wait_over, g->ms, 0);
		return;
	case PLAY_SILENT:
	case PLAY_IDLE:
		uv_timer_start(&c->timer, on_wait_over, g->ms, 0);
		return;
	}
	start_stall(c);
}

static void on_dribble(uv_timer_t *timer)
{
	struct call *c = timer->data;

	peer_send_bytes(c->peer, c->packet + c->packet_sent, 1);
	if (++c->packet_sent < c->packet_len)
		return;
	uv_timer_stop(timer);
	start_main(c);
}

static void send_packet(struct call *c)
{
	c->lap_ns = uv_hrtime();
	if (c->g->dribble_ms > 0 && c->packet_len > 0) {
		uv_timer_start(&c->timer, on_dribble, 0, c->g->dribble_ms);
		return;
	}
	if (c->packet_len > 0)
		peer_send_bytes(c->peer, c->packet, c->packet_len);
	start_main(c);
}

static void on_connected(void *user, struct peer *p)
{
	struct call *c = user;

	if (play_of(c) == PLAY_GREET) {
		c->phase = PHASE_GREETING;
		peer_take(p, 1, 256);
		return;
	}
	send_packet(c);
}

/* First the answer's length, then the rest of it. */
static void on_probe_answer(struct call *c)
{
	const uint8_t *data;
	size_t len, rest;

	data = peer_taken(c->peer, &len);
	if (c->phase == PHASE_MAIN) {
		memcpy(c->packet, data, 2);
		rest = data[0];
		if (data[1] != 0 || rest < SCRIPT_HEAD) {
			complain(c, "the answer is not a Domino server's");
			return;
		}
		c->phase = PHASE_END;
		peer_take(c->peer, rest, rest);
		return;
	}
	memcpy(c->packet + 2, data, len);
	if (script_answer_name(c->packet, len + 2, c->g->tally.name) != 0) {
		complain(c, "the answer is not a Domino server's");
		return;
	}
	tally_lap(&c->g->tally, uv_hrtime() - c->lap_ns);
	succeed(c);
}

static void on_verdict(struct call *c)
{
	const uint8_t *data;
	size_t len;

	data = peer_taken(c->peer, &len);
	if (script_verdict_decode(data) != c->g->bytes) {
		complain(c, "the server's verdict is another byte count");
		return;
	}
	c->phase = PHASE_END;
	peer_expect_end(c->peer);
}

static void on_raw(struct call *c)
{
	struct tally *t = &c->g->tally;
	const uint8_t *data;
	size_t len, at = strlen(t->hex);

	data = peer_taken(c->peer, &len);
	for (size_t i = 0; i < len && at + 2 < sizeof(t->hex); i++, at += 2)
		(void)snprintf(t->hex + at, 3, "%02x", data[i]);
	peer_take(c->peer, 1, 1024);
}

static void on_received(void *user, struct peer *p)
{
	struct call *c = user;

	if (c->phase == PHASE_GREETING) {
		send_packet(c);
		return;
	}
	if (c->phase == PHASE_VERDICT) {
		on_verdict(c);
		return;
	}
	switch (play_of(c)) {
	case PLAY_PROBE:
		on_probe_answer(c);
		break;
	case PLAY_RAW:
		on_raw(c);
		break;
	case PLAY_PINGPONG:
	case PLAY_RESET:
	case PLAY_EXPECT_REFUSED:
	case PLAY_GREET:
	case PLAY_HOLD:
		on_transaction_done(c);
		break;
	case PLAY_BOTH:
		c->phase = PHASE_VERDICT;
		peer_take(p, SCRIPT_VERDICT_LEN, SCRIPT_VERDICT_LEN);
		break;
	case PLAY_ECHO:
		c->phase = PHASE_END;
		peer_end(p);
		break;
	case PLAY_EXPECT_RESET:
		c->lap_ns = uv_hrtime();
		c->phase = PHASE_END;
		break;
	case PLAY_DOWN:
	case PLAY_CLOSE:
	case PLAY_HALFCLOSE:
		c->phase = PHASE_END;
		break;
	case PLAY_UP:
	case PLAY_SILENT:
	case PLAY_IDLE:
		break;
	}
}

static void on_eof(void *user, struct peer *p)
{
	struct call *c = user;

	(void)p;
	if (play_of(c) == PLAY_RAW) {
		strcpy(c->g->tally.outcome, "eof");
		succeed(c);
	} else if (play_of(c) == PLAY_EXPECT_RESET) {
		complain(c, "end of stream instead of a reset");
	} else if (c->phase == PHASE_END && play_of(c) != PLAY_PROBE) {
		succeed(c);
	} else {
		complain(c, "the server ended the connection too early");
	}
}

/* A reset, or a refusal to connect: what does the scenario say of it? */
static void on_reset(struct call *c, int err)
{
	struct tally *t = &c->g->tally;

	tally_reset(t, uv_hrtime() - c->lap_ns);
	switch (play_of(c)) {
	case PLAY_RAW:
		strcpy(t->outcome, "reset");
		succeed(c);
		return;
	case PLAY_EXPECT_RESET:
		if (c->phase == PHASE_END)
			succeed(c);
		else
			complain(c, "reset before all bytes were here");
		return;
	case PLAY_EXPECT_REFUSED:
		if (peer_received(c->peer) == 0)
			succeed(c);
		else
			complain(c, "reset, but bytes came before");
		return;
	default:
		break;
	}
	if (c->g->resets_ok)
		succeed(c);
	else
		complain(c, err == ECONNREFUSED ? "connection refused" :
		    "connection reset");
}

static void on_failed(void *user, struct peer *p, int err)
{
	struct call *c = user;
	char what[128];

	switch (err) {
	case ECONNREFUSED:
	case ECONNRESET:
	case EPIPE:
		on_reset(c, err);
		return;
	case EILSEQ:
		(void)snprintf(what, sizeof(what), "byte %" PRIu64 " of what "
		    "came is wrong", peer_place(p));
		complain(c, what);
		return;
	case EPROTO:
		complain(c, "bytes came though none were expected");
		return;
	default:
		complain(c, strerror(err));
		return;
	}
}

static const struct peer_ops call_ops = {
	.on_connected = on_connected,
	.on_received = on_received,
	.on_eof = on_eof,
	.on_failed = on_failed
};

/* ---- start ------------------------------------------------------------ */

static void fill_script(const struct guest *g, uint64_t index,
    struct script *s)
{
	memset(s, 0, sizeof(*s));
	s->scenario = plays[g->play].script;
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
	switch (plays[g->play].play) {
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
	c->peer = peer_connect(&g->loop, (struct sockaddr *)&g->to, &call_ops,
	    c);
	if (c->peer == NULL)
		complain(c, strerror(errno));
}

static void usage(FILE *to)
{
	fputs("usage: guest SCENARIO ADDRESS:PORT [options]\n\nScenarios:\n",
	    to);
	for (size_t i = 0; i < sizeof(plays) / sizeof(plays[0]); i++)
		fprintf(to, "  %-15s %s\n", plays[i].name, plays[i].help);
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
	for (size_t i = 0; i < sizeof(plays) / sizeof(plays[0]); i++)
		if (strcmp(plays[i].name, name) == 0)
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
	if (plays[g->play].play == PLAY_RAW && g->ms == 0)
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
	tally_print(&g.tally, plays[g.play].name, ok, stdout);
	free(g.calls);
	return ok ? 0 : 1;
}
