/*
 * A main() for fuzz targets where there is no libFuzzer: runs the seeds, then
 * mutations of them, and reports as TAP. It sees no coverage; a target makes
 * up for that with seeds that reach far.
 *
 *   fuzz_x [--seconds N] [--runs N] [--seed N] [FILE|DIRECTORY ...]
 *
 * Seeds are the files given and those that the target adds in fuzz_seeds().
 * Ends after N seconds (3, or $FUZZ_SECONDS) or N mutations, whichever is
 * first. The same seed gives the same inputs. An input that crashes, or runs
 * longer than HANG_SECONDS, is kept as crash-<program> in $FUZZ_OUT or
 * the working directory; "fuzz_x --runs 0 crash-fuzz_x" runs it again.
 */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define INPUT_MAX 65536u	/* bytes of an input */
#define SEEDS_MAX 4096u
#define HANG_SECONDS 20u
#define SECONDS_DEFAULT "3"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* Optional: a target's own seeds. */
void fuzz_seeds(void (*add)(const uint8_t *data, size_t len))
    __attribute__((weak));

/* Only there with a sanitizer: what to do before it ends the process. */
void __sanitizer_set_death_callback(void (*fn)(void)) __attribute__((weak));

/*
 * gcc's UBSan is a runtime of its own and does not know that callback: it is
 * to end with SIGABRT.
 */
const char *__ubsan_default_options(void);
const char *__ubsan_default_options(void)
{
	return "abort_on_error=1:print_stacktrace=1";
}

struct input {
	uint8_t *data;
	size_t len;
};

static struct input seeds[SEEDS_MAX];
static size_t seed_count;

/* The input being run, and where it is kept if it is the last. */
static const uint8_t *current;
static size_t current_len;
static char crash_path[4096];

static uint64_t rng_state;

/* xorshift64*, by Sebastiano Vigna. */
static uint64_t rng(void)
{
	rng_state ^= rng_state >> 12;
	rng_state ^= rng_state << 25;
	rng_state ^= rng_state >> 27;
	return rng_state * UINT64_C(2685821657736338717);
}

/* A number below n; n > 0. */
static size_t below(size_t n)
{
	return (size_t)(rng() >> 16) % n;
}

/* Only calls that are allowed in a signal handler. */
static void keep_current(void)
{
	static const char said[] = "# the input is kept in ";
	static volatile sig_atomic_t done;
	int fd;

	if (done || current == NULL)
		return;
	done = 1;
	fd = open(crash_path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	if (fd < 0)
		return;
	/* Nothing can be done about a short write here. */
	if (write(fd, current, current_len) < 0 ||
	    write(STDERR_FILENO, said, sizeof(said) - 1) < 0 ||
	    write(STDERR_FILENO, crash_path, strlen(crash_path)) < 0 ||
	    write(STDERR_FILENO, "\n", 1) < 0)
		return;
	close(fd);
}

static void on_crash(int number)
{
	keep_current();
	/* SA_RESETHAND: now it ends the process. */
	raise(number == SIGALRM ? SIGABRT : number);
}

static void catch_crashes(const char *program)
{
	static const int numbers[] = { SIGABRT, SIGALRM, SIGSEGV, SIGBUS,
		SIGFPE, SIGILL };
	/* A sanitizer reports the last four itself, then calls back. */
	size_t count = __sanitizer_set_death_callback != NULL ? 2 : 6;
	struct sigaction sa = { .sa_handler = on_crash,
		.sa_flags = SA_RESETHAND };
	const char *dir = getenv("FUZZ_OUT");

	snprintf(crash_path, sizeof(crash_path), "%s/crash-%s",
	    dir != NULL ? dir : ".", program);
	for (size_t i = 0; i < count; i++)
		sigaction(numbers[i], &sa, NULL);
	if (__sanitizer_set_death_callback != NULL)
		__sanitizer_set_death_callback(keep_current);
}

static void run_one(const uint8_t *data, size_t len)
{
	/* Exactly as large as it is, so that a byte read behind it is seen. */
	uint8_t *copy = malloc(len > 0 ? len : 1);

	if (copy == NULL)
		abort();
	if (len > 0)
		memcpy(copy, data, len);
	current_len = len;
	current = copy;
	(void)LLVMFuzzerTestOneInput(copy, len);
	current = NULL;
	free(copy);
}

static void add_seed(const uint8_t *data, size_t len)
{
	struct input *in = &seeds[seed_count];

	if (seed_count == SEEDS_MAX || len > INPUT_MAX)
		return;
	in->data = malloc(len > 0 ? len : 1);
	if (in->data == NULL)
		abort();
	if (len > 0)
		memcpy(in->data, data, len);
	in->len = len;
	seed_count++;
}

static bool add_file(const char *path)
{
	static uint8_t data[INPUT_MAX];
	FILE *f = fopen(path, "rb");
	size_t len;
	bool ok;

	if (f == NULL)
		return false;
	len = fread(data, 1, sizeof(data), f);
	ok = ferror(f) == 0;
	fclose(f);
	if (ok)
		add_seed(data, len);
	return ok;
}

/* A file, or all files of a directory. */
static bool add_path(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *e;
	bool ok = true;

	if (dir == NULL)
		return errno == ENOTDIR && add_file(path);
	while (ok && (e = readdir(dir)) != NULL) {
		char file[4096];

		if (e->d_name[0] == '.')
			continue;
		snprintf(file, sizeof(file), "%s/%s", path, e->d_name);
		ok = add_file(file);
	}
	closedir(dir);
	return ok;
}

/* A byte that ends of ranges, lengths and types like to be. */
static uint8_t interesting(void)
{
	static const uint8_t bytes[] = { 0x00, 0x01, 0x02, 0x03, 0x04, 0x08,
		0x10, 0x11, 0x20, 0x3e, 0x3f, 0x40, 0x41, 0x7f, 0x80, 0xbf,
		0xc0, 0xfe, 0xff, '\n', ' ', '/', '=' };

	return bytes[below(sizeof(bytes))];
}

/* Make place for n bytes at `at`, as far as there is any. */
static size_t widen(struct input *in, size_t at, size_t n)
{
	if (n > INPUT_MAX - in->len)
		n = INPUT_MAX - in->len;
	memmove(in->data + at + n, in->data + at, in->len - at);
	in->len += n;
	return n;
}

static void insert(struct input *in)
{
	size_t at = below(in->len + 1);
	size_t n = widen(in, at, 1 + below(below(8) == 0 ? 300 : 8));
	bool same = below(2) == 0;
	uint8_t fill = interesting();

	for (size_t i = 0; i < n; i++)
		in->data[at + i] = same ? fill : (uint8_t)rng();
}

static void cut_out(struct input *in)
{
	size_t at = below(in->len), n = 1 + below(in->len - at);

	if (below(2) == 0 && n > 4)
		n = 1 + below(4);
	memmove(in->data + at, in->data + at + n, in->len - at - n);
	in->len -= n;
}

/* Repeat a part of the input elsewhere in it. */
static void duplicate(struct input *in)
{
	static uint8_t part[INPUT_MAX];
	size_t from = below(in->len), n = 1 + below(in->len - from);
	size_t at = below(in->len + 1);

	memcpy(part, in->data + from, n);
	n = widen(in, at, n);
	memcpy(in->data + at, part, n);
}

/* The end of another seed behind the start of this input. */
static void join(struct input *in)
{
	const struct input *other;
	size_t at = below(in->len + 1), from, n;

	if (seed_count == 0)
		return;
	other = &seeds[below(seed_count)];
	from = below(other->len + 1);
	n = other->len - from;
	if (n > INPUT_MAX - at)
		n = INPUT_MAX - at;
	memcpy(in->data + at, other->data + from, n);
	in->len = at + n;
}

static void mutate(struct input *in)
{
	size_t kind = in->len == 0 ? 6 : below(9);

	switch (kind) {
	case 0:
	case 1:
		in->data[below(in->len)] ^= (uint8_t)(1u << below(8));
		break;
	case 2:
		in->data[below(in->len)] = interesting();
		break;
	case 3:
		in->data[below(in->len)] = (uint8_t)rng();
		break;
	case 4:
		in->len = below(in->len + 1);
		break;
	case 5:
		cut_out(in);
		break;
	case 6:
		insert(in);
		break;
	case 7:
		duplicate(in);
		break;
	default:
		join(in);
		break;
	}
}

/* A seed, changed in a few places; now and then noise. */
static void next_input(struct input *in)
{
	in->len = 0;
	if (seed_count > 0 && below(32) != 0) {
		const struct input *seed = &seeds[below(seed_count)];

		memcpy(in->data, seed->data, seed->len);
		in->len = seed->len;
	}
	for (size_t n = 1 + below(6); n > 0; n--)
		mutate(in);
}

/* A number from the command line or the environment; ends on nonsense. */
static uint64_t number(const char *name, const char *text)
{
	char *end = NULL;
	uint64_t n;

	errno = 0;
	n = text != NULL ? strtoull(text, &end, 10) : 0;
	if (text == NULL || end == text || *end != '\0' || errno != 0) {
		fprintf(stderr, "%s: a number is needed\n", name);
		exit(2);
	}
	return n;
}

static time_t seconds_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec;
}

/* All seeds, then mutations; returns how many inputs were run. */
static uint64_t run_all(uint64_t runs, uint64_t seconds)
{
	static uint8_t data[INPUT_MAX];
	struct input in = { data, 0 };
	time_t end = seconds_now() + (time_t)seconds;
	uint64_t done = 0;

	alarm(HANG_SECONDS);
	for (size_t i = 0; i < seed_count; i++)
		run_one(seeds[i].data, seeds[i].len);
	for (; done < runs; done++) {
		if (done % 64 == 0) {
			if (seconds_now() >= end)
				break;
			alarm(HANG_SECONDS);
		}
		next_input(&in);
		run_one(in.data, in.len);
	}
	alarm(0);
	return done + seed_count;
}

int main(int argc, char **argv)
{
	const char *slash = strrchr(argv[0], '/');
	const char *program = slash != NULL ? slash + 1 : argv[0];
	const char *seconds = getenv("FUZZ_SECONDS");
	uint64_t limit = number("FUZZ_SECONDS",
	    seconds != NULL ? seconds : SECONDS_DEFAULT);
	uint64_t runs = UINT64_MAX, seed = 1, done;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--seconds") == 0) {
			limit = number(argv[i], argv[i + 1]);
			i++;
		} else if (strcmp(argv[i], "--runs") == 0) {
			runs = number(argv[i], argv[i + 1]);
			i++;
		} else if (strcmp(argv[i], "--seed") == 0) {
			seed = number(argv[i], argv[i + 1]);
			i++;
		} else if (!add_path(argv[i])) {
			fprintf(stderr, "%s: cannot be read: %s\n", argv[i],
			    strerror(errno));
			return 2;
		}
	}
	/* Spread small seeds; zero is the one state that never moves. */
	rng_state = (seed * UINT64_C(0x9e3779b97f4a7c15)) | 1;
	if (fuzz_seeds != NULL)
		fuzz_seeds(add_seed);
	catch_crashes(program);
	printf("1..1\n");
	fflush(stdout);
	done = run_all(runs, limit);
	for (size_t i = 0; i < seed_count; i++)
		free(seeds[i].data);
	printf("ok 1 - %s: %llu inputs\n", program, (unsigned long long)done);
	return 0;
}
