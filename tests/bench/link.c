/*
 * An emulated link between two network namespaces: packets that enter one TUN
 * device leave the other one after a delay, some not at all, and at a limited
 * rate. sch_netem is not in every kernel; this needs only TUN.
 *
 *     link --left NS,DEVICE,ADDRESS/BITS --right NS,DEVICE,ADDRESS/BITS
 *         [--delay-ms 25] [--loss PERCENT] [--rate-mbit R] [--queue-ms Q]
 *         [--seed N] [--mtu 1500]
 *
 * NS is the path of a namespace, such as /proc/123/ns/net. Delay, loss, rate
 * and queue apply to each direction. Prints "ready" when both devices are up,
 * ends when its standard input does or on SIGTERM, and then prints one line
 * of JSON: what went through, what was lost, and how late it sent.
 */
#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define SLOTS 32768u		/* packets under way in one direction */
#define MTU_MAX 9000u
#define BATCH 64u		/* packets read before due ones are sent */
#define LATE_BUCKETS 10000u	/* of 1 us */
#define TX_QUEUE 10000		/* packets, before we read them */

struct packet {
	uint64_t due_ns;
	uint32_t len;
	uint8_t *data;
};

struct options {
	double delay_ms, loss_percent, rate_mbit, queue_ms;
	uint64_t seed;
	unsigned mtu;
};

struct direction {
	const struct options *o;
	int from, to;
	uint64_t rng;
	uint64_t free_ns;	/* the link is busy until then */
	struct packet *ring;
	uint8_t *bytes;
	unsigned head, count;
	uint64_t packets, octets, lost, dropped;
	uint32_t late[LATE_BUCKETS + 1];
	uint64_t late_max_us;
	pthread_t thread;
};

static volatile sig_atomic_t over;
static int wake_pipe[2];

__attribute__((noreturn, format(printf, 1, 2)))
static void die(const char *fmt, ...)
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

/* ---- devices ---------------------------------------------------------- */

static void request(int fd, unsigned long what, struct ifreq *r,
    const char *name)
{
	if (ioctl(fd, what, r) != 0)
		die("cannot set up the device %s: %s", name, strerror(errno));
}

static void set_ipv4(struct sockaddr *to, uint32_t address)
{
	struct sockaddr_in in = { .sin_family = AF_INET };

	in.sin_addr.s_addr = address;
	memcpy(to, &in, sizeof(in));
}

static void configure(const char *name, const char *address, unsigned mtu)
{
	struct ifreq r = { 0 };
	char text[64];
	char *bits;
	struct in_addr in;
	unsigned n;
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	snprintf(text, sizeof(text), "%s", address);
	bits = strchr(text, '/');
	if (fd < 0 || bits == NULL)
		die("%s: an address like 10.0.0.1/24 is needed", address);
	*bits = '\0';
	n = (unsigned)atoi(bits + 1);
	if (inet_pton(AF_INET, text, &in) != 1 || n < 1 || n > 31)
		die("%s: an address like 10.0.0.1/24 is needed", address);
	snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", name);
	set_ipv4(&r.ifr_addr, in.s_addr);
	request(fd, SIOCSIFADDR, &r, name);
	set_ipv4(&r.ifr_netmask, htonl(UINT32_MAX << (32 - n)));
	request(fd, SIOCSIFNETMASK, &r, name);
	r.ifr_mtu = (int)mtu;
	request(fd, SIOCSIFMTU, &r, name);
	r.ifr_qlen = TX_QUEUE;
	request(fd, SIOCSIFTXQLEN, &r, name);
	request(fd, SIOCGIFFLAGS, &r, name);
	r.ifr_flags |= IFF_UP | IFF_RUNNING;
	request(fd, SIOCSIFFLAGS, &r, name);
	close(fd);
}

/* "NS,DEVICE,ADDRESS/BITS": the descriptor works from any namespace. */
static int open_end(const char *spec, unsigned mtu)
{
	char text[256];
	char *device, *address;
	struct ifreq r = { .ifr_flags = IFF_TUN | IFF_NO_PI };
	int ns, fd;

	snprintf(text, sizeof(text), "%s", spec);
	device = strchr(text, ',');
	address = device != NULL ? strchr(device + 1, ',') : NULL;
	if (address == NULL)
		die("%s: NAMESPACE,DEVICE,ADDRESS/BITS is needed", spec);
	*device++ = '\0';
	*address++ = '\0';
	ns = open(text, O_RDONLY | O_CLOEXEC);
	if (ns < 0 || setns(ns, CLONE_NEWNET) != 0)
		die("cannot enter the namespace %s: %s", text,
		    strerror(errno));
	close(ns);
	fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		die("cannot open /dev/net/tun: %s", strerror(errno));
	snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", device);
	request(fd, TUNSETIFF, &r, device);
	configure(device, address, mtu);
	return fd;
}

/* ---- one direction ---------------------------------------------------- */

/* splitmix64 */
static double random_share(struct direction *d)
{
	uint64_t z = d->rng += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	z ^= z >> 31;
	return (double)(z >> 11) / (double)(UINT64_C(1) << 53);
}

/* The rate's queue comes first, then the loss, then the delay. */
static void take(struct direction *d, struct packet *p, uint64_t now)
{
	const struct options *o = d->o;
	uint64_t start = d->free_ns > now ? d->free_ns : now;

	if (o->rate_mbit > 0) {
		if ((double)(start - now) > o->queue_ms * 1e6) {
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
	p->due_ns = start + (uint64_t)(o->delay_ms * 1e6);
	d->count++;
}

static bool read_some(struct direction *d)
{
	for (unsigned i = 0; i < BATCH; i++) {
		struct packet *p = &d->ring[(d->head + d->count) % SLOTS];
		uint8_t spare[MTU_MAX];
		bool full = d->count == SLOTS;
		ssize_t n = read(d->from, full ? spare : p->data, d->o->mtu);

		if (n <= 0)
			return false;
		if (full) {
			d->dropped++;
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

static void send_due(struct direction *d)
{
	uint64_t now = now_ns();

	while (d->count > 0 && d->ring[d->head].due_ns <= now) {
		struct packet *p = &d->ring[d->head];

		if (write(d->to, p->data, p->len) < 0)
			d->dropped++;
		note_late(d, now - p->due_ns);
		d->packets++;
		d->octets += p->len;
		d->head = (d->head + 1) % SLOTS;
		d->count--;
	}
}

static void *run(void *ctx)
{
	struct direction *d = ctx;
	struct pollfd fds[] = {
		{ .fd = d->from, .events = POLLIN },
		{ .fd = wake_pipe[0], .events = POLLIN }
	};

	prctl(PR_SET_TIMERSLACK, 1000, 0, 0, 0);
	while (!over) {
		struct timespec t = { 0 }, *wait = NULL;
		bool more = read_some(d);
		uint64_t now;

		send_due(d);
		if (more)
			continue;
		now = now_ns();
		if (d->count > 0) {
			uint64_t due = d->ring[d->head].due_ns;
			uint64_t ns = due > now ? due - now : 0;

			t.tv_sec = (time_t)(ns / 1000000000u);
			t.tv_nsec = (long)(ns % 1000000000u);
			wait = &t;
		}
		if (ppoll(fds, 2, wait, NULL) > 0 && fds[1].revents != 0)
			break;
	}
	return NULL;
}

static void start(struct direction *d, const struct options *o, int from,
    int to, uint64_t seed)
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

/* ---- the report ------------------------------------------------------- */

static uint64_t late_us(const struct direction *d, double share)
{
	uint64_t seen = 0;

	for (uint64_t us = 0; us <= LATE_BUCKETS; us++) {
		seen += d->late[us];
		if ((double)seen >= share * (double)d->packets)
			return us;
	}
	return LATE_BUCKETS;
}

static void report(const char *name, const struct direction *d)
{
	printf("\"%s\": {\"packets\": %" PRIu64 ", \"bytes\": %" PRIu64
	    ", \"lost\": %" PRIu64 ", \"dropped\": %" PRIu64
	    ", \"late_p50_us\": %" PRIu64 ", \"late_p99_us\": %" PRIu64
	    ", \"late_max_us\": %" PRIu64 "}", name, d->packets, d->octets,
	    d->lost, d->dropped, late_us(d, 0.5), late_us(d, 0.99),
	    d->late_max_us);
}

/* ---- options ---------------------------------------------------------- */

static double number(const char *text, double most)
{
	char *end;
	double value = strtod(text, &end);

	if (end == text || *end != '\0' || !(value >= 0 && value <= most))
		die("%s: a number from 0 to %g is needed", text, most);
	return value;
}

static void parse(int argc, char **argv, struct options *o,
    const char *ends[2])
{
	static const struct option longs[] = {
		{ "left", required_argument, NULL, 'l' },
		{ "right", required_argument, NULL, 'r' },
		{ "delay-ms", required_argument, NULL, 'd' },
		{ "loss", required_argument, NULL, 'p' },
		{ "rate-mbit", required_argument, NULL, 'b' },
		{ "queue-ms", required_argument, NULL, 'q' },
		{ "seed", required_argument, NULL, 's' },
		{ "mtu", required_argument, NULL, 'm' },
		{ NULL, 0, NULL, 0 }
	};
	int c;

	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1)
		switch (c) {
		case 'l': ends[0] = optarg; break;
		case 'r': ends[1] = optarg; break;
		case 'd': o->delay_ms = number(optarg, 10000); break;
		case 'p': o->loss_percent = number(optarg, 100); break;
		case 'b': o->rate_mbit = number(optarg, 1e6); break;
		case 'q': o->queue_ms = number(optarg, 60000); break;
		case 's': o->seed = (uint64_t)number(optarg, 1e15); break;
		case 'm': o->mtu = (unsigned)number(optarg, MTU_MAX); break;
		default: exit(2);
		}
	if (ends[0] == NULL || ends[1] == NULL || optind != argc ||
	    o->mtu < 576)
		die("usage: link --left NS,DEVICE,ADDRESS/BITS --right ... "
		    "[--delay-ms N] [--loss PERCENT] [--rate-mbit N] "
		    "[--queue-ms N] [--seed N] [--mtu N]");
}

static void on_signal(int number_of)
{
	(void)number_of;
	over = 1;
}

/* Until someone closes our standard input, or says so. */
static void wait_for_end(void)
{
	char c;
	ssize_t n;

	do
		n = read(STDIN_FILENO, &c, 1);
	while (!over && (n > 0 || (n < 0 && errno == EINTR)));
	over = 1;
	close(wake_pipe[1]);
}

int main(int argc, char **argv)
{
	static struct direction d[2];
	struct options o = { .queue_ms = 50, .seed = 1, .mtu = 1500 };
	const char *ends[2] = { NULL, NULL };
	struct sigaction on = { .sa_handler = on_signal };
	int fd[2];

	parse(argc, argv, &o, ends);
	sigaction(SIGTERM, &on, NULL);
	sigaction(SIGINT, &on, NULL);
	for (int i = 0; i < 2; i++)
		fd[i] = open_end(ends[i], o.mtu);
	if (pipe2(wake_pipe, O_CLOEXEC) != 0)
		die("cannot make a pipe");
	start(&d[0], &o, fd[0], fd[1], o.seed * 2);
	start(&d[1], &o, fd[1], fd[0], o.seed * 2 + 1);
	puts("ready");
	fflush(stdout);
	wait_for_end();
	for (int i = 0; i < 2; i++)
		pthread_join(d[i].thread, NULL);
	putchar('{');
	report("left", &d[0]);
	fputs(", ", stdout);
	report("right", &d[1]);
	puts("}");
	return 0;
}
