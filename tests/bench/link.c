/*
 * An emulated link between two network namespaces: packets that enter one TUN
 * device leave the other one after a delay, some not at all, and at a limited
 * rate. sch_netem is not in every kernel; this needs only TUN.
 *
 *     link --left NS,DEVICE,ADDRESS/BITS --right NS,DEVICE,ADDRESS/BITS
 *         [--delay-ms 25] [--jitter-ms J] [--loss PERCENT] [--rate-mbit R]
 *         [--queue-ms Q] [--seed N] [--mtu 1500]
 *
 * NS is the path of a namespace, such as /proc/123/ns/net. Delay, jitter, loss,
 * rate and queue apply to each direction; the rate counts IP packets, headers
 * included. Up to J is added to the delay, another value every 10 ms, as on a
 * radio link that others use too; no packet overtakes another. Prints "ready" when both devices are up, ends when its standard
 * input does or on SIGTERM or SIGINT, and then prints one line of JSON. In
 * that "left" is the direction from left to right: what it carried, what it
 * lost on purpose ("lost"), what the queue before the rate had no place for
 * ("dropped"), what should have passed and did not ("overflow": too many
 * under way, "unread": we were too slow to take it), and how late it sent.
 */
#include "config.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "tests/bench/tun.h"

#define SLOTS 32768u		/* packets under way in one direction */
#define MTU_MAX 9000u
#define JITTER_LASTS_NS 10000000u
#define BATCH 64u		/* packets read before due ones are sent */
#define LATE_BUCKETS 10000u	/* of 1 us */

struct packet {
	uint64_t due_ns;
	uint32_t len;
	uint8_t *data;
};

struct options {
	double loss_percent, rate_mbit;
	uint64_t delay_ns, jitter_ns, queue_ns, seed;
	unsigned mtu;
};

struct direction {
	const struct options *o;
	const struct tun *from, *to;
	uint64_t rng;
	uint64_t free_ns;	/* the link is busy until then */
	uint64_t added_ns;	/* to the delay, */
	uint64_t added_until_ns;	/* so long */
	uint64_t last_due_ns;
	struct packet *ring;
	uint8_t *bytes;
	unsigned head, count;
	uint64_t packets, octets, lost, dropped, overflow;
	uint64_t late_max_us;
	uint32_t late[LATE_BUCKETS + 1];
	pthread_t thread;
};

static atomic_bool over;
static int wake_pipe[2];	/* at its end when all is over */

void die(const char *fmt, ...)
{
	va_list ap;

	fputs("link: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(1);
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* ---- one direction ---------------------------------------------------- */

/* Evenly distributed in [0, 1); splitmix64. */
static double random_share(struct direction *d)
{
	uint64_t z = d->rng += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	z ^= z >> 31;
	return (double)(z >> 11) / (double)(UINT64_C(1) << 53);
}

static uint64_t added_delay(struct direction *d, uint64_t now)
{
	if (now >= d->added_until_ns) {
		d->added_ns = (uint64_t)(random_share(d) *
		    (double)d->o->jitter_ns);
		d->added_until_ns = now + JITTER_LASTS_NS;
	}
	return d->added_ns;
}

/*
 * The queue and the rate come first, then the loss, then the delay: so a
 * lost packet takes its time on the link. What is kept stays in its slot.
 */
static void take(struct direction *d, struct packet *p, uint64_t now)
{
	const struct options *o = d->o;
	uint64_t start = d->free_ns > now ? d->free_ns : now;

	if (o->rate_mbit > 0) {
		if (start - now > o->queue_ns) {
			d->dropped++;
			return;
		}
		start += (uint64_t)((double)p->len * 8000 / o->rate_mbit);
		d->free_ns = start;
	}
	if (random_share(d) * 100 < o->loss_percent) {
		d->lost++;
		return;
	}
	p->due_ns = start + o->delay_ns;
	if (o->jitter_ns > 0)
		p->due_ns += added_delay(d, now);
	if (p->due_ns < d->last_due_ns)
		p->due_ns = d->last_due_ns;
	d->last_due_ns = p->due_ns;
	d->count++;
}

/* Returns whether there may be more. */
static bool read_some(struct direction *d)
{
	for (unsigned i = 0; i < BATCH; i++) {
		struct packet *p = &d->ring[(d->head + d->count) % SLOTS];
		uint8_t spare[MTU_MAX];
		bool full = d->count == SLOTS;
		ssize_t n = read(d->from->fd, full ? spare : p->data,
		    d->o->mtu);

		if (n <= 0)
			return false;
		if (full) {
			d->overflow++;
			continue;
		}
		p->len = (uint32_t)n;
		take(d, p, now_ns());
	}
	return true;
}

static void note_late(struct direction *d, uint64_t late_ns)
{
	uint64_t us = late_ns / 1000;

	d->late[us < LATE_BUCKETS ? us : LATE_BUCKETS]++;
	if (us > d->late_max_us)
		d->late_max_us = us;
}

/* The clock is read for each packet: those at a batch's end are later. */
static void send_due(struct direction *d)
{
	while (d->count > 0) {
		struct packet *p = &d->ring[d->head];
		uint64_t now = now_ns();

		if (p->due_ns > now)
			return;
		if (write(d->to->fd, p->data, p->len) >= 0) {
			d->packets++;
			d->octets += p->len;
			note_late(d, now - p->due_ns);
		} else {
			d->overflow++;
		}
		d->head = (d->head + 1) % SLOTS;
		d->count--;
	}
}

/* Wait for a packet, or until one is due; false when all is over. */
static bool wait_for_work(const struct direction *d)
{
	struct pollfd fds[] = {
		{ .fd = d->from->fd, .events = POLLIN },
		{ .fd = wake_pipe[0], .events = POLLIN }
	};
	struct timespec t;

	if (d->count > 0) {
		uint64_t due = d->ring[d->head].due_ns, now = now_ns();
		uint64_t ns = due > now ? due - now : 0;

		t.tv_sec = (time_t)(ns / 1000000000u);
		t.tv_nsec = (long)(ns % 1000000000u);
	}
	return ppoll(fds, 2, d->count > 0 ? &t : NULL, NULL) <= 0 ||
	    fds[1].revents == 0;
}

/*
 * A wire does not wait for the CPU, so this goes before all that it is shared
 * with; where that is not allowed, the report says how late we were.
 */
static void go_first(void)
{
	struct sched_param first = { .sched_priority = 1 };

	(void)pthread_setschedparam(pthread_self(), SCHED_FIFO, &first);
	/* Else the kernel may wake us 50 us later than asked for. */
	(void)prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0);
}

static void *run(void *ctx)
{
	struct direction *d = ctx;
	bool more;

	go_first();
	do {
		more = read_some(d);
		send_due(d);
	} while (!atomic_load_explicit(&over, memory_order_relaxed) &&
	    (more || wait_for_work(d)));
	return NULL;
}

static void start(struct direction *d, const struct options *o,
    const struct tun *from, const struct tun *to, uint64_t seed)
{
	d->o = o;
	d->from = from;
	d->to = to;
	d->rng = seed;
	d->ring = calloc(SLOTS, sizeof(*d->ring));
	d->bytes = malloc((size_t)SLOTS * o->mtu);
	if (d->ring == NULL || d->bytes == NULL)
		die("out of memory");
	for (unsigned i = 0; i < SLOTS; i++)
		d->ring[i].data = d->bytes + (size_t)i * o->mtu;
	if (pthread_create(&d->thread, NULL, run, d) != 0)
		die("cannot start a thread");
}

static void finish(struct direction *d)
{
	pthread_join(d->thread, NULL);
	free(d->ring);
	free(d->bytes);
}

/* ---- the report ------------------------------------------------------- */

static uint64_t late_us(const struct direction *d, double share)
{
	uint64_t seen = 0;

	for (uint64_t us = 0; us < LATE_BUCKETS; us++) {
		seen += d->late[us];
		if ((double)seen >= share * (double)d->packets)
			return us;
	}
	return d->late_max_us;
}

static void report(const char *name, const struct direction *d)
{
	printf("\"%s\": {\"packets\": %" PRIu64 ", \"bytes\": %" PRIu64
	    ", \"lost\": %" PRIu64 ", \"dropped\": %" PRIu64
	    ", \"overflow\": %" PRIu64 ", \"unread\": %" PRIu64
	    ", \"late_p50_us\": %" PRIu64 ", \"late_p99_us\": %" PRIu64
	    ", \"late_max_us\": %" PRIu64 "}", name, d->packets, d->octets,
	    d->lost, d->dropped, d->overflow, tun_unread(d->from),
	    late_us(d, 0.5), late_us(d, 0.99), d->late_max_us);
}

/* ---- options ---------------------------------------------------------- */

static double number(const char *text, double least, double most)
{
	char *end;
	double value = strtod(text, &end);

	if (end == text || *end != '\0' || !(value >= least && value <= most))
		die("%s: a number from %g to %g is needed", text, least, most);
	return value;
}

static void parse(int argc, char **argv, struct options *o,
    const char *ends[2])
{
	static const struct option longs[] = {
		{ "left", required_argument, NULL, 'l' },
		{ "right", required_argument, NULL, 'r' },
		{ "delay-ms", required_argument, NULL, 'd' },
		{ "jitter-ms", required_argument, NULL, 'j' },
		{ "loss", required_argument, NULL, 'p' },
		{ "rate-mbit", required_argument, NULL, 'b' },
		{ "queue-ms", required_argument, NULL, 'q' },
		{ "seed", required_argument, NULL, 's' },
		{ "mtu", required_argument, NULL, 'm' },
		{ NULL, 0, NULL, 0 }
	};
	double delay_ms = 25, jitter_ms = 0, queue_ms = 50, seed = 1;
	double mtu = 1500;
	int c;

	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1)
		switch (c) {
		case 'l': ends[0] = optarg; break;
		case 'r': ends[1] = optarg; break;
		case 'd': delay_ms = number(optarg, 0, 10000); break;
		case 'j': jitter_ms = number(optarg, 0, 10000); break;
		case 'p': o->loss_percent = number(optarg, 0, 100); break;
		case 'b': o->rate_mbit = number(optarg, 0, 1e6); break;
		case 'q': queue_ms = number(optarg, 0, 60000); break;
		case 's': seed = number(optarg, 0, 1e15); break;
		case 'm': mtu = number(optarg, 576, MTU_MAX); break;
		default: exit(2);
		}
	if (ends[0] == NULL || ends[1] == NULL || optind != argc)
		die("usage: link --left NS,DEVICE,ADDRESS/BITS --right ... "
		    "[--delay-ms N] [--jitter-ms N] [--loss PERCENT] "
		    "[--rate-mbit N] [--queue-ms N] [--seed N] [--mtu N]");
	o->delay_ns = (uint64_t)(delay_ms * 1e6);
	o->jitter_ns = (uint64_t)(jitter_ms * 1e6);
	o->queue_ns = (uint64_t)(queue_ms * 1e6);
	o->seed = (uint64_t)seed;
	o->mtu = (unsigned)mtu;
}

/* ---- life ------------------------------------------------------------- */

static void on_signal(int signal_number)
{
	(void)signal_number;
	atomic_store(&over, true);
}

/* Blocked, for all threads, but while wait_for_end() waits. */
static void hold_signals(sigset_t *before)
{
	struct sigaction on = { .sa_handler = on_signal };
	sigset_t held;

	sigemptyset(&held);
	sigaddset(&held, SIGTERM);
	sigaddset(&held, SIGINT);
	pthread_sigmask(SIG_BLOCK, &held, before);
	sigdelset(before, SIGTERM);
	sigdelset(before, SIGINT);
	sigaction(SIGTERM, &on, NULL);
	sigaction(SIGINT, &on, NULL);
}

/* Until our standard input ends, or a signal says so. */
static void wait_for_end(const sigset_t *signals)
{
	struct pollfd in = { .fd = STDIN_FILENO, .events = POLLIN };
	char text[64];

	while (!atomic_load(&over)) {
		if (ppoll(&in, 1, NULL, signals) > 0 &&
		    read(STDIN_FILENO, text, sizeof(text)) <= 0)
			atomic_store(&over, true);
	}
	close(wake_pipe[1]);
}

int main(int argc, char **argv)
{
	static struct direction d[2];
	struct options o = { 0 };
	const char *ends[2] = { NULL, NULL };
	struct tun tun[2];
	sigset_t signals;

	parse(argc, argv, &o, ends);
	hold_signals(&signals);
	for (int i = 0; i < 2; i++)
		tun_open(&tun[i], ends[i], o.mtu);
	if (pipe(wake_pipe) != 0)
		die("cannot make a pipe: %s", strerror(errno));
	for (int i = 0; i < 2; i++)
		start(&d[i], &o, &tun[i], &tun[1 - i],
		    o.seed * 2 + (unsigned)i);
	puts("ready");
	fflush(stdout);
	wait_for_end(&signals);
	for (int i = 0; i < 2; i++)
		finish(&d[i]);
	putchar('{');
	report("left", &d[0]);
	fputs(", ", stdout);
	report("right", &d[1]);
	puts("}");
	return 0;
}
