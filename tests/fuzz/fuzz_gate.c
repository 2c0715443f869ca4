/*
 * The gateway's engine under a client that is authenticated and malicious.
 * The input decides which requests it makes, on which lanes and with which
 * frames, how they are cut, repeated and left behind, when it makes new keys,
 * what Domino's side does meanwhile, and how time passes. Afterwards another
 * device must still be served.
 */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/gate.h"
#include "tests/fuzz/choices.h"
#include "tests/fuzz/forge.h"
#include "tests/fuzz/users.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
void fuzz_seeds(void (*add)(const uint8_t *data, size_t len));

/* Only there with the address sanitizer: bytes in use. */
size_t __sanitizer_get_current_allocated_bytes(void) __attribute__((weak));

#define STEPS_MAX 300u
#define EXCHANGES 12u		/* open at once */
#define SESSIONS 2u
#define HELLOS_MAX 8u		/* each costs a millisecond */
#define RECORDED 4u		/* requests that can be repeated */
#define BODY_MAX (3u * RECORD_MAX)
#define ROOM 40000u
#define RUNS_MAX 20u		/* until nothing is due any more */
#define MEMORY_MAX (24u << 20)	/* of two small sessions, and the tables */

struct body {
	uint8_t data[BODY_MAX];
	size_t len;
	unsigned session;
};

struct request {
	struct gate_exchange *x;	/* NULL: none */
	unsigned session;
	struct body body;
	size_t fed;
	bool whole;
	bool woken;
};

/* The attacker's view of one session. */
struct victim {
	struct forge forge;
	uint16_t generation;
	uint64_t exchange[SESSION_LANES];
};

static struct noise_keys gateway, device[2], stranger;
static struct gate *gate;
static struct gate_config cfg;
static struct choices in;
static struct users users;
static struct victim victim[SESSIONS];
static struct request request[EXCHANGES];
static struct body recorded[RECORDED];
static unsigned recorded_next;
static unsigned hellos, live, bystander_opens;
static bool draining, tainted;
static uint64_t now_ms;
static size_t memory_before;

/* ---- the gateway's owner ---------------------------------------------- */

static enum hello_status authorize(void *ctx, const uint8_t key[32],
    void **dev)
{
	(void)ctx;
	*dev = NULL;
	for (size_t i = 0; i < 2; i++)
		if (memcmp(key, device[i].pub, 32) == 0)
			return HELLO_CREATED;
	return HELLO_UNKNOWN_DEVICE;
}

static void on_session(void *ctx, struct gate_session *gs, void *dev)
{
	(void)ctx;
	(void)dev;
	gate_session_set_user(gs, &live);
	live++;
}

static void on_session_end(void *ctx, struct gate_session *gs,
    const char *why)
{
	(void)ctx;
	(void)why;
	forge_must(gate_session_user(gs) == &live && live > 0);
	live--;
}

static void on_open(void *ctx, struct gate_session *gs, struct stream *st,
    const char *name, size_t name_len)
{
	(void)ctx;
	forge_must(name_len == 0 || name != NULL);
	forge_must(gate_session_user(gs) == &live);
	if (memcmp(gate_session_key(gs), device[1].pub, 32) == 0)
		bystander_opens++;
	users_take(&users, st);
}

static void on_wake(void *ctx)
{
	(void)ctx;
}

static void on_note(void *ctx, const char *line)
{
	(void)ctx;
	forge_must(line[0] != '\0');
}

static const struct gate_ops gate_ops = { authorize, on_session,
    on_session_end, on_open, on_wake, on_note, NULL, NULL };

static void on_ready(void *ctx)
{
	((struct request *)ctx)->woken = true;
}

/* ---- what must hold --------------------------------------------------- */

static void check_session(void *ctx, struct gate_session *gs)
{
	unsigned *n = ctx;

	(*n)++;
	users_check(&users, gate_session_session(gs));
}

static void check(void)
{
	struct gate_stats st;
	unsigned sessions = 0, open = 0;

	for (unsigned i = 0; i < EXCHANGES; i++)
		open += request[i].x != NULL;
	gate_get_stats(gate, &st);
	gate_each(gate, check_session, &sessions);
	forge_must(st.exchanges == open && st.held <= open);
	forge_must(sessions == live && st.sessions == live);
	for (unsigned i = 0; i < EXCHANGES; i++)
		forge_must(request[i].x == NULL || !request[i].woken ||
		    gate_exchange_state(request[i].x) != GATE_READING);
	if (__sanitizer_get_current_allocated_bytes != NULL)
		forge_must(__sanitizer_get_current_allocated_bytes() <
		    memory_before + MEMORY_MAX);
}

/* It must come to rest by itself. */
static void run(void)
{
	unsigned runs = 0;

	do {
		gate_run(gate, now_ms);
		forge_must(++runs < RUNS_MAX);
	} while (gate_deadline(gate) <= now_ms);
}

/* ---- requests --------------------------------------------------------- */

static struct request *choose_request(void)
{
	struct request *r = &request[choose_below(&in, EXCHANGES)];

	return r->x != NULL ? r : NULL;
}

/* Some of the body; in the end all of it. */
static void feed(struct request *r)
{
	size_t left = r->body.len - r->fed, n = left;

	if (r->whole)
		return;
	if (choose_chance(&in, 100) && left > 0)
		n = (size_t)choose_below(&in, left);
	gate_exchange_body(r->x, r->body.data + r->fed, n, now_ms);
	r->fed += n;
	if (r->fed < r->body.len)
		return;
	r->whole = true;
	gate_exchange_body_end(r->x, now_ms);
	forge_must(gate_exchange_state(r->x) != GATE_READING);
}

static void drop(struct request *r)
{
	gate_exchange_free(r->x);
	r->x = NULL;
}

static struct request *begin(unsigned session)
{
	struct request *r = &request[choose_below(&in, EXCHANGES)];

	if (r->x != NULL)
		drop(r);
	r->fed = r->body.len = 0;
	r->whole = r->woken = false;
	r->session = r->body.session = session;
	forge_must(gate_exchange_new(&r->x, gate, victim[session].forge.id,
	    on_ready, r) == 0);
	return r;
}

static void choose_exchange(struct victim *v, struct forge_exchange *x)
{
	x->lane = choose_below(&in, choose_chance(&in, 40) ?
	    SESSION_LANES : 4);
	if (choose_chance(&in, 230))
		v->exchange[x->lane]++;
	x->exchange = choose_chance(&in, 8) ? choose_number(&in) :
	    v->exchange[x->lane];
	x->begin = choose_chance(&in, 240);
}

static void forge_body(struct body *b, struct victim *v)
{
	struct forge_exchange x = { 0 };

	choose_exchange(v, &x);
	for (size_t n = 1 + choose_below(&in, 3); n > 0; n--) {
		b->len += forge_record(&v->forge, &in, &x, b->data + b->len);
		x.begin = false;
	}
	tainted |= v->forge.tainted;
	if (b->len > 0 && choose_chance(&in, 8)) {
		b->data[choose_below(&in, b->len)] ^= 0x10;
		tainted = true;
	}
	if (b->len > 0 && choose_chance(&in, 8))
		b->len = (size_t)choose_below(&in, b->len);
}

static void post(void)
{
	unsigned session = (unsigned)choose_below(&in, SESSIONS);
	struct request *r;

	if (victim[session].forge.seal == NULL)
		return;
	r = begin(session);
	forge_body(&r->body, &victim[session]);
	recorded[recorded_next++ % RECORDED] = r->body;
	feed(r);
}

static void repeat(void)
{
	const struct body *b = &recorded[choose_below(&in, RECORDED)];
	struct request *r;

	if (b->len == 0)
		return;
	r = begin(b->session);
	r->body = *b;
	feed(r);
}

static void post_nonsense(void)
{
	struct request *r = begin((unsigned)choose_below(&in, SESSIONS));

	r->body.len = (size_t)choose_below(&in, 64);
	for (size_t i = 0; i < r->body.len; i++)
		r->body.data[i] = choose_byte(&in);
	feed(r);
}

static void pull(struct request *r)
{
	static uint8_t out[ROOM];
	size_t room = GATE_PULL_MIN + choose_below(&in, ROOM - GATE_PULL_MIN);
	struct forge_heard first;
	bool done = false;
	size_t n;

	if (gate_exchange_state(r->x) != GATE_READY)
		return;
	n = gate_exchange_pull(r->x, out, room, &done, now_ms);
	forge_must(n <= room);
	forge_must(n > 0 || done ||
	    gate_exchange_state(r->x) == GATE_WAITING);
	if (n > 0 && (out[0] & 0x80) == 0)
		forge_hear(&victim[r->session].forge, out, n, &first);
	if (done)
		drop(r);
}

/* ---- hellos ----------------------------------------------------------- */

/* Post a hello and take its answer; false: there was none. */
static bool greet(const struct noise_keys *who, struct forge *f,
    uint16_t generation, const struct hello *h)
{
	uint8_t out[GATE_PULL_MIN];
	struct gate_exchange *x;
	struct request r = { 0 };
	struct hello_answer a;
	struct hello_keys k;
	struct noise *n = NULL;
	bool done, good = false;
	size_t len;

	forge_must(hello_start(&n, who, gateway.pub, f->id, h, r.body.data,
	    &r.body.len) == 0);
	forge_must(gate_exchange_new(&x, gate, f->id, on_ready, &r) == 0);
	gate_exchange_body(x, r.body.data, r.body.len, now_ms);
	gate_exchange_body_end(x, now_ms);
	if (gate_exchange_state(x) == GATE_READY) {
		len = gate_exchange_pull(x, out, sizeof(out), &done, now_ms);
		forge_must(done);
		forge_must(hello_finish(n, out, len, &a, &k) == 0);
		good = a.status == HELLO_CREATED || a.status == HELLO_RESUMED;
		if (good)
			forge_keys(f, generation, k.from_client,
			    k.from_gateway);
	}
	gate_exchange_free(x);
	noise_free(n);
	return good;
}

static void hello(unsigned session)
{
	struct victim *v = &victim[session];
	struct hello h = { .initial_window = choose_number(&in),
	    .max_streams = choose_number(&in), .agent = "fuzz" };

	if (hellos++ >= HELLOS_MAX)
		return;
	if (choose_chance(&in, 200))
		v->generation++;
	h.generation = choose_chance(&in, 8) ? HELLO_GENERATION_MAX :
	    v->generation;
	if (h.generation == 0)
		h.generation = 1;
	if (choose_chance(&in, 12))
		(void)greet(&stranger, &v->forge, h.generation, &h);
	else
		(void)greet(&device[0], &v->forge, h.generation, &h);
}

/* ---- the operator ----------------------------------------------------- */

static void close_one(void *ctx, struct gate_session *gs)
{
	*(struct gate_session **)ctx = gs;
}

static void operate(void)
{
	struct gate_config c = cfg;
	struct gate_session *gs = NULL;

	switch (choose_below(&in, 16)) {
	case 0:
		(void)gate_close_device(gate, device[0].pub, SESSION_REVOKED,
		    "revoked");
		break;
	case 1:
		gate_each(gate, close_one, &gs);
		if (gs != NULL)
			gate_session_close(gs, SESSION_INTERNAL, "closed");
		break;
	case 2:
		if (choose_chance(&in, 64)) {
			gate_drain(gate);
			draining = true;
		}
		break;
	case 3:
		(void)gate_close_all(gate, SESSION_SHUTDOWN, "down");
		break;
	default:
		c.max_device_sessions = 1 + (unsigned)choose_below(&in, 3);
		c.hold_max_ms = 1000 + choose_below(&in, 30000);
		c.request_max = 4096 + choose_below(&in, 200000);
		c.response_first = 4096 + choose_below(&in, 100000);
		gate_reconfigure(gate, &c);
		break;
	}
}

static void pass_time(void)
{
	now_ms = choose_time(&in, 100, now_ms, gate_deadline(gate));
	run();
}

/* ---- a run ------------------------------------------------------------ */

static void step(void)
{
	uint8_t what = choose_byte(&in) % 32;
	struct request *r;

	if (what < 10) {
		post();
	} else if (what < 16) {
		if ((r = choose_request()) != NULL)
			pull(r);
	} else if (what < 21) {
		users_act(&users);
	} else if (what < 25) {
		pass_time();
	} else if (what == 25) {
		if ((r = choose_request()) != NULL)
			drop(r);
	} else if (what < 28) {
		if ((r = choose_request()) != NULL)
			feed(r);
	} else if (what == 28) {
		repeat();
	} else if (what == 29) {
		hello((unsigned)choose_below(&in, SESSIONS));
	} else if (what == 30) {
		operate();
	} else {
		post_nonsense();
	}
}

/* Another device comes, and nothing of all that has harmed it. */
static void serve_bystander(void)
{
	static const uint8_t open_and_say[] = { 0x01, 0, 1, 0, 1,
	    0x04, 0, 0, 0x10, 0, 0, 1, 1 };	/* EXCHANGE, OPEN, DATA */
	struct hello h = { .generation = 1, .initial_window = 65536,
	    .max_streams = 8, .agent = "bystander" };
	struct forge f = { .id = { 0xbb } };
	uint8_t record[sizeof(open_and_say) + RECORD_OVERHEAD];
	struct gate_exchange *x;
	struct request r = { 0 };
	uint64_t number;
	size_t len;

	forge_must(greet(&device[1], &f, 1, &h) || draining);
	if (f.seal == NULL)
		return;
	forge_must(record_seal(f.seal, open_and_say, sizeof(open_and_say),
	    record, &len, &number) == 0);
	forge_must(gate_exchange_new(&x, gate, f.id, on_ready, &r) == 0);
	gate_exchange_body(x, record, len, now_ms);
	gate_exchange_body_end(x, now_ms);
	forge_must(gate_exchange_state(x) == GATE_READY);
	forge_must(bystander_opens == 1);
	gate_exchange_free(x);
	forge_fini(&f);
}

static void set_up(void)
{
	struct session_config *s = &cfg.session;

	if (gateway.pub[0] == 0) {
		noise_keys_generate(&gateway);
		noise_keys_generate(&device[0]);
		noise_keys_generate(&device[1]);
		noise_keys_generate(&stranger);
	}
	if (__sanitizer_get_current_allocated_bytes != NULL)
		memory_before = __sanitizer_get_current_allocated_bytes();
	memset(victim, 0, sizeof(victim));
	memset(&users, 0, sizeof(users));
	for (unsigned i = 0; i < RECORDED; i++)
		recorded[i].len = 0;
	users.in = &in;
	users.tainted = &tainted;
	tainted = draining = false;
	hellos = live = bystander_opens = recorded_next = 0;
	now_ms = 1000000;
	gate_defaults(&cfg);
	cfg.keys = gateway;
	s->max_streams = 1 + choose_below(&in, 40);
	s->initial_window = 1024u << choose_below(&in, 7);
	s->window_max = s->initial_window << choose_below(&in, 6);
	s->window_pool = choose_below(&in, 4) * 65536;
	s->send_max = 65536u << choose_below(&in, 4);
	forge_must(gate_new(&gate, &cfg, &gate_ops, NULL) == 0);
	for (unsigned i = 0; i < SESSIONS; i++) {
		victim[i].forge.id[0] = (uint8_t)(i + 1);
		hello(i);
	}
}

static void tear_down(void)
{
	for (unsigned i = 0; i < EXCHANGES; i++)
		if (request[i].x != NULL)
			drop(&request[i]);
	gate_free(gate);
	forge_must(live == 0);
	for (unsigned i = 0; i < USERS_MAX; i++)
		forge_must(users.user[i].st == NULL);
	for (unsigned i = 0; i < SESSIONS; i++)
		forge_fini(&victim[i].forge);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	in = (struct choices){ data, len };
	set_up();
	for (unsigned i = 0; i < STEPS_MAX && in.left > 0; i++) {
		step();
		check();
	}
	in.left = 0;
	serve_bystander();
	run();
	check();
	tear_down();
	return 0;
}

void fuzz_seeds(void (*add)(const uint8_t *data, size_t len))
{
	choices_seeds(add);
}
