/*
 * The bench's traffic.
 *
 *     load serve --listen ADDRESS:PORT
 *     load run SCENARIO --connect ADDRESS:PORT [options]
 *
 * The scenarios: transactions (--connections --up --down --seconds --warmup
 * --pace-ms --beside down|up|both), bulk (--direction --bytes or --seconds,
 * --connections), connect (--count --up --down), idle (--connections, until
 * standard input ends), half-close. Each prints one line of JSON; the exit
 * status is 0 only if every byte was as it should be.
 */
#include "config.h"

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bench/scenario.h"
#include "tests/bench/serve.h"
#include "tests/bench/talk.h"

static double number(const char *name, const char *text, double least)
{
	char *end;
	double value = strtod(text, &end);

	if (end == text || *end != '\0' || !(value >= least))
		die("--%s: %s: a number of at least %g is needed", name, text,
		    least);
	return value;
}

static const struct option longs[] = {
	{ "listen", required_argument, NULL, 'l' },
	{ "connect", required_argument, NULL, 'c' },
	{ "connections", required_argument, NULL, 'n' },
	{ "up", required_argument, NULL, 'u' },
	{ "down", required_argument, NULL, 'd' },
	{ "seconds", required_argument, NULL, 's' },
	{ "warmup", required_argument, NULL, 'w' },
	{ "timeout", required_argument, NULL, 't' },
	{ "pace-ms", required_argument, NULL, 'p' },
	{ "direction", required_argument, NULL, 'r' },
	{ "beside", required_argument, NULL, 'b' },
	{ "bytes", required_argument, NULL, 'y' },
	{ "count", required_argument, NULL, 'k' },
	{ NULL, 0, NULL, 0 }
};

static void parse(int argc, char **argv, struct scenario *o,
    const char **listen_on)
{
	int c, i;

	while ((c = getopt_long(argc, argv, "", longs, &i)) != -1) {
		const char *name = c == '?' ? "" : longs[i].name;

		switch (c) {
		case 'l': *listen_on = optarg; break;
		case 'c': o->connect = optarg; break;
		case 'n': o->connections = (unsigned)number(name, optarg, 1);
			break;
		case 'u': o->up = (uint64_t)number(name, optarg, TALK_HEAD);
			break;
		case 'd': o->down = (uint64_t)number(name, optarg, 1); break;
		case 's': o->seconds = number(name, optarg, 0.01); break;
		case 'w': o->warmup = number(name, optarg, 0); break;
		case 't': o->timeout = number(name, optarg, 0.1); break;
		case 'p': o->pace_ms = number(name, optarg, 0.01); break;
		case 'r': o->direction = optarg; break;
		case 'b': o->beside = optarg; break;
		case 'y': o->bytes = (uint64_t)number(name, optarg, 1000);
			break;
		case 'k': o->count = (unsigned)number(name, optarg, 1); break;
		default: exit(2);
		}
	}
}

int main(int argc, char **argv)
{
	struct scenario o = {
		.connections = 1, .up = 200, .down = 1024, .seconds = 3,
		.timeout = 120, .direction = "down", .count = 20
	};
	const char *listen_on = NULL;

	signal(SIGPIPE, SIG_IGN);
	talk_init();
	if (argc < 2)
		die("'serve' or 'run' is needed");
	if (strcmp(argv[1], "serve") == 0) {
		parse(argc - 1, argv + 1, &o, &listen_on);
		if (listen_on == NULL)
			die("--listen is needed");
		return serve(listen_on);
	}
	if (strcmp(argv[1], "run") != 0 || argc < 3)
		die("'serve' or 'run SCENARIO' is needed");
	o.name = argv[2];
	parse(argc - 2, argv + 2, &o, &listen_on);
	if (o.connect == NULL)
		die("--connect is needed");
	return scenario_run(&o);
}
