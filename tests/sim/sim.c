/*
 * The simulation: two engines back to back under a virtual clock and a
 * virtual network that loses, cuts, repeats and delays exchanges, by seed.
 *
 *	sim [--seeds N] [--first SEED] [--jobs N]
 *	    [--break-lane-rule [--expect-failure]]
 *	sim --seed SEED [--verbose]
 *
 * A seed always does the same, in whichever process it runs.
 */
#include "config.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/log.h"
#include "tests/sim/life.h"
#include "tests/sim/scenarios.h"
#include "tests/sim/world.h"

#define JOBS_MAX 64u
#define REPORT_MAX 5u		/* failures that one job tells in full */
#define DUPLEX_SEEDS 100u	/* among so many some use a duplex lane */
#define SEED_SECONDS 120u	/* no seed takes that long, unless it hangs */

struct options {
	uint64_t first, seeds;
	unsigned jobs;
	bool one, verbose, break_lane_rule, expect_failure;
};

/* What a job tells its parent, in memory that they share. */
struct progress {
	uint64_t seed;		/* being run */
	uint64_t done, failed;
	uint64_t duplex;	/* seeds in which a duplex lane was used */
};

static void on_line(void *ctx, enum log_level level, const char *line)
{
	const struct options *o = ctx;

	(void)level;
	if (o->verbose)
		printf("#           log %s\n", line);
}

static bool run_seed(const struct options *o, uint64_t seed, bool report,
    bool *duplex)
{
	static struct world w;
	struct lanes_stats stats;
	bool good;

	world_init(&w, seed, o->verbose);
	w.break_lane_rule = o->break_lane_rule;
	world_choose(&w);
	good = life_run(&w);
	if (!good && report) {
		printf("# seed %" PRIu64 " at %" PRIu64 " ms: %s\n", seed,
		    w.trace.failed_ms, w.trace.why);
		fflush(stdout);
	}
	lanes_get_stats(w.lanes, &stats);
	*duplex = stats.streamed > 0;
	world_fini(&w);
	return good;
}

static void run_job(const struct options *o, unsigned job,
    struct progress *p)
{
	bool duplex;

	for (uint64_t i = job; i < o->seeds; i += o->jobs) {
		p->seed = o->first + i;
		alarm(SEED_SECONDS);
		if (!run_seed(o, p->seed, !o->expect_failure &&
		    p->failed < REPORT_MAX, &duplex))
			p->failed++;
		if (duplex)
			p->duplex++;
		p->done++;
		if (p->failed > 0 && o->expect_failure)
			break;
	}
	alarm(0);
}

/* What all jobs together came to. */
struct outcome {
	uint64_t done, failed, duplex;
	unsigned broken;	/* jobs that ended before their time */
};

/* Each job in a process of its own. */
static void run_jobs(const struct options *o, struct outcome *out)
{
	struct progress *p = mmap(NULL, JOBS_MAX * sizeof(*p),
	    PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pid[JOBS_MAX];
	int status;

	*out = (struct outcome){ .broken = p == MAP_FAILED };
	if (p == MAP_FAILED)
		return;
	fflush(stdout);
	for (unsigned i = 0; i < o->jobs; i++) {
		pid[i] = fork();
		if (pid[i] == 0) {
			run_job(o, i, &p[i]);
			exit(EXIT_SUCCESS);
		}
	}
	for (unsigned i = 0; i < o->jobs; i++) {
		if (pid[i] < 0 || waitpid(pid[i], &status, 0) < 0 ||
		    !WIFEXITED(status) || WEXITSTATUS(status) != 0) {
			printf("# seed %" PRIu64 ": the process ended or "
			    "hung\n", p[i].seed);
			out->broken++;
		}
		out->failed += p[i].failed;
		out->done += p[i].done;
		out->duplex += p[i].duplex;
	}
	munmap(p, JOBS_MAX * sizeof(*p));
}

static uint64_t number(const char *option, const char *text)
{
	uint64_t n;
	char *end;

	errno = 0;
	n = strtoull(text, &end, 10);
	if (errno != 0 || *end != '\0' || end == text) {
		fprintf(stderr, "sim: --%s %s: not a number\n", option, text);
		exit(2);
	}
	return n;
}

static void parse(struct options *o, int argc, char **argv)
{
	static const struct option table[] = {
		{ "seeds", required_argument, NULL, 'n' },
		{ "first", required_argument, NULL, 'f' },
		{ "seed", required_argument, NULL, 's' },
		{ "jobs", required_argument, NULL, 'j' },
		{ "verbose", no_argument, NULL, 'v' },
		{ "break-lane-rule", no_argument, NULL, 'b' },
		{ "expect-failure", no_argument, NULL, 'x' },
		{ NULL, 0, NULL, 0 },
	};
	int c, at;

	while ((c = getopt_long(argc, argv, "", table, &at)) != -1)
		switch (c) {
		case 'n':
			o->seeds = number("seeds", optarg);
			break;
		case 'f':
			o->first = number("first", optarg);
			break;
		case 's':
			o->first = number("seed", optarg);
			o->one = true;
			break;
		case 'j':
			o->jobs = (unsigned)number("jobs", optarg);
			break;
		case 'v':
			o->verbose = true;
			break;
		case 'b':
			o->break_lane_rule = true;
			break;
		case 'x':
			o->expect_failure = true;
			break;
		default:
			exit(2);
		}
}

static int run_all(const struct options *o)
{
	struct outcome all;
	bool good;

	run_jobs(o, &all);
	if (o->expect_failure) {
		good = all.failed > 0 && all.broken == 0;
		printf("1..1\n%sok 1 - a broken lane rule is caught\n",
		    good ? "" : "not ");
		return good ? EXIT_SUCCESS : EXIT_FAILURE;
	}
	printf("# %" PRIu64 " of %" PRIu64 " seeds used a duplex lane\n",
	    all.duplex, all.done);
	good = all.failed == 0 && all.broken == 0 &&
	    (all.duplex > 0 || o->seeds < DUPLEX_SEEDS);
	printf("1..%u\n%sok 1 - in %" PRIu64 " seeds every byte arrives once "
	    "and everything comes to rest\n", 1 + scenarios_count(),
	    good ? "" : "not ", all.done);
	if (scenarios_run(2, o->verbose) > 0)
		good = false;
	return good ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
	struct options o = { .first = 1, .seeds = 1000, .jobs = 2 };
	bool duplex;

	parse(&o, argc, argv);
	if (o.jobs < 1 || o.jobs > JOBS_MAX) {
		fprintf(stderr, "sim: --jobs: 1 to %u\n", JOBS_MAX);
		return 2;
	}
	log_set_sink(on_line, &o);
	log_set_level(o.verbose ? LOG_DEBUG : LOG_ERROR);
	if (o.one)
		return run_seed(&o, o.first, true, &duplex) ? EXIT_SUCCESS :
		    EXIT_FAILURE;
	return run_all(&o);
}
