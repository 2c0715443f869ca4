#include "config.h"

#include "tests/support/plan.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define CHANCE_MAX 1000u
#define AT_BITS 20u		/* few cuts are behind so many bits of bytes */
#define WAIT_BITS 10u		/* of a wait's milliseconds; few are long */
#define DELAY_MS 120u

struct kind {
	const char *name;
	unsigned chance;	/* of 1000, without options */
};

static const struct kind faults[FAULTS] = {
	[FAULT_CUT_REQUEST] = { "cut-request", 15 },
	[FAULT_CUT_RESPONSE] = { "cut-response", 15 },
	[FAULT_CUT_WAITING] = { "cut-waiting", 10 },
	[FAULT_STALL_REQUEST] = { "stall-request", 4 },
	[FAULT_STALL_RESPONSE] = { "stall-response", 4 },
	[FAULT_502] = { "502", 5 },
	[FAULT_503] = { "503", 5 },
	[FAULT_504] = { "504", 3 },
	[FAULT_PORTAL] = { "portal", 5 },
	[FAULT_TRUNCATE_REQUEST] = { "truncate-request", 8 },
	[FAULT_TRUNCATE_RESPONSE] = { "truncate-response", 8 },
	[FAULT_REPEAT_REQUEST] = { "repeat-request", 15 },
	[FAULT_REPEAT_RESPONSE] = { "repeat-response", 5 },
	[FAULT_413] = { "413", 4 },
	[FAULT_404] = { "404", 4 }
};

static const struct kind quirks[QUIRKS] = {
	[QUIRK_BUFFER_REQUEST] = { "buffer-request", 200 },
	[QUIRK_BUFFER_RESPONSE] = { "buffer-response", 200 },
	[QUIRK_DELAY_REQUEST] = { "delay-request", 50 },
	[QUIRK_DELAY_RESPONSE] = { "delay-response", 50 },
	[QUIRK_STRIP_REQUEST] = { "strip-request", 200 },
	[QUIRK_STRIP_RESPONSE] = { "strip-response", 200 },
	[QUIRK_CLOSE] = { "close", 100 },
	[QUIRK_SOURCE] = { "source", 500 },
	[QUIRK_IDLE] = { "idle", 100 }
};

void plans_init(struct plans *p)
{
	memset(p, 0, sizeof(*p));
	p->seed = 1;
	p->stall_ms = 20000;
	for (unsigned i = 0; i < FAULTS; i++)
		p->fault_chance[i] = faults[i].chance;
	for (unsigned i = 0; i < QUIRKS; i++)
		p->quirk_chance[i] = quirks[i].chance;
}

/* The place of a name's chance, or NULL. */
static unsigned *find_chance(struct plans *p, const char *name, size_t len)
{
	for (unsigned i = 0; i < FAULTS; i++)
		if (strlen(faults[i].name) == len &&
		    memcmp(faults[i].name, name, len) == 0)
			return &p->fault_chance[i];
	for (unsigned i = 0; i < QUIRKS; i++)
		if (strlen(quirks[i].name) == len &&
		    memcmp(quirks[i].name, name, len) == 0)
			return &p->quirk_chance[i];
	return NULL;
}

int plans_set(struct plans *p, const char *text)
{
	size_t len = strcspn(text, "=");
	unsigned *chance = find_chance(p, text, len), sum = 0;
	char *end = NULL;
	unsigned long n = 0;

	if (text[len] == '=')
		n = strtoul(text + len + 1, &end, 10);
	if (chance == NULL || end == NULL || end == text + len + 1 ||
	    *end != '\0' || n > CHANCE_MAX) {
		fprintf(stderr, "mischief: --chance: '%s' is not NAME=N with "
		    "one of the names of --help and N up to %u\n", text,
		    CHANCE_MAX);
		return -1;
	}
	*chance = (unsigned)n;
	for (unsigned i = 0; i < FAULTS; i++)
		sum += p->fault_chance[i];
	if (sum <= CHANCE_MAX)
		return 0;
	fprintf(stderr, "mischief: --chance: with '%s' the faults are %u of "
	    "%u\n", text, sum, CHANCE_MAX);
	return -1;
}

/* ---- drawing ---------------------------------------------------------- */

/* splitmix64: the n-th number of an exchange's own sequence. */
static uint64_t draw(uint64_t *state)
{
	uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

static uint64_t below(uint64_t *state, uint64_t n)
{
	return draw(state) % n;
}

static enum fault draw_fault(const struct plans *p, uint64_t *state)
{
	uint64_t n = below(state, CHANCE_MAX);
	unsigned fault = 0;

	while (fault < FAULTS && n >= p->fault_chance[fault])
		n -= p->fault_chance[fault++];
	return (enum fault)fault;
}

void plans_draw(struct plans *p, struct plan *out)
{
	uint64_t state;

	memset(out, 0, sizeof(*out));
	out->number = ++p->exchanges;
	out->fault = FAULTS;
	if (!p->on)
		return;
	state = p->seed * UINT64_C(0xd1342543de82ef95) + out->number;
	state = draw(&state);
	out->fault = draw_fault(p, &state);
	for (unsigned i = 0; i < QUIRKS; i++)
		out->quirk[i] = below(&state, CHANCE_MAX) <
		    p->quirk_chance[i];
	out->reset_client = below(&state, 2) == 0;
	out->reset_gateway = below(&state, 2) == 0;
	out->seen = below(&state, 2) == 0;
	out->early = below(&state, 2) == 0;
	out->share = (double)below(&state, 1u << 30) / (double)(1u << 30);
	out->at = below(&state, UINT64_C(1) << (4 + below(&state,
	    AT_BITS - 3)));
	out->wait_ms = (uint32_t)below(&state, UINT64_C(1) << (1 +
	    below(&state, WAIT_BITS)));
	out->stall_ms = below(&state, 8) == 0 ? p->stall_ms : out->wait_ms;
	out->delay_ms = (uint32_t)below(&state, DELAY_MS);
	out->source = 2 + (unsigned)below(&state, 250);
}

/* ---- counting --------------------------------------------------------- */

void plans_count(struct plans *p, const struct plan *plan, uint64_t at)
{
	p->fault_count[plan->fault]++;
	p->faults++;
	printf("fault number=%" PRIu64 " kind=%s exchange=%" PRIu64 " at=%"
	    PRIu64 "\n", p->faults, faults[plan->fault].name, plan->number,
	    at);
}

void plans_count_quirk(struct plans *p, enum quirk quirk)
{
	p->quirk_count[quirk]++;
}

void plans_help(const struct plans *p, FILE *to)
{
	for (unsigned i = 0; i < FAULTS; i++)
		fprintf(to, "    %-18s %4u\n", faults[i].name,
		    p->fault_chance[i]);
	for (unsigned i = 0; i < QUIRKS; i++)
		fprintf(to, "    %-18s %4u\n", quirks[i].name,
		    p->quirk_chance[i]);
}

void plans_print(const struct plans *p, FILE *to)
{
	fprintf(to, "\"exchanges\": %" PRIu64 ", \"faults\": %" PRIu64,
	    p->exchanges, p->faults);
	for (unsigned i = 0; i < FAULTS; i++)
		fprintf(to, ", \"%s\": %" PRIu64, faults[i].name,
		    p->fault_count[i]);
	for (unsigned i = 0; i < QUIRKS; i++)
		fprintf(to, ", \"%s\": %" PRIu64, quirks[i].name,
		    p->quirk_count[i]);
}
