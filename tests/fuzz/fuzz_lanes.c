/*
 * The client's engine under a gateway that has the right key and means no
 * good, or a network that does: the input decides what each exchange is
 * answered with, when and in which pieces, how it ends, what Notes does
 * meanwhile, and how time passes.
 */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/lanes.h"
#include "tests/fuzz/choices.h"
#include "tests/fuzz/forge.h"
#include "tests/fuzz/users.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
void fuzz_seeds(void (*add)(const uint8_t *data, size_t len));

/* Only there with the address sanitizer: bytes in use. */
size_t __sanitizer_get_current_allocated_bytes(void) __attribute__((weak));

#define STEPS_MAX 400u
#define HELLOS_MAX 8u		/* each costs a millisecond */
#define RECORDED 4u		/* responses that can be repeated */
#define RUNS_MAX 20u		/* until nothing is due any more */
#define POSTS_MAX 400u		/* in one call of the engine */
#define MEMORY_MAX (24u << 20)	/* bodies on all lanes, and what is queued */

/* An exchange as the network sees it. */
struct call {
	bool open;
	bool goes_on;		/* its body does */
	const uint8_t *body;
	size_t len;
	bool known;		/* which exchange it is: */
	uint64_t lane, exchange;
};

static struct noise_keys gateway, device;
static struct lanes *lanes;
static struct lanes_config cfg;
static struct choices in;
static struct users users;
static struct forge forge;
static struct call call[LANES_SLOTS];
static struct {
	uint8_t data[RECORD_MAX];
	size_t len;
} recorded[RECORDED];
static unsigned recorded_next, hellos, posts;
static uint32_t noise_state;
static bool tainted;
static uint64_t now_ms;
static size_t memory_before;

/* ---- what the engine asks for ----------------------------------------- */

static void on_post(void *ctx, unsigned slot, const uint8_t *body, size_t len,
    unsigned path, bool fresh)
{
	struct call *c = &call[slot];
	struct forge_heard first = { 0 };

	(void)ctx;
	(void)fresh;
	forge_must(slot < LANES_SLOTS && path < LANES_PATHS && !c->open);
	forge_must(len > 0 && ++posts < POSTS_MAX);
	if (slot < LANES_HELLO && forge.open != NULL)
		forge_hear(&forge, body, len, &first);
	*c = (struct call){ .open = true, .body = body, .len = len,
	    .known = first.has_exchange, .lane = first.lane,
	    .exchange = first.exchange };
}

static uint32_t on_random(void *ctx)
{
	(void)ctx;
	noise_state = noise_state * 1664525u + 1013904223u;
	return noise_state;
}

/* The body is copied, as a borrowed one would outlive it. */
static void on_open(void *ctx, unsigned slot, const uint8_t *body, size_t len,
    unsigned path, bool fresh)
{
	forge_must(slot < LANES_HELLO);
	on_post(ctx, slot, body, len, path, fresh);
	call[slot].body = NULL;
	call[slot].goes_on = true;
}

static void on_append(void *ctx, unsigned slot, const uint8_t *data,
    size_t len)
{
	struct forge_heard first = { 0 };

	(void)ctx;
	forge_must(call[slot].open && call[slot].goes_on && len > 0);
	call[slot].len += len;
	forge_must(call[slot].len <= cfg.body_max && ++posts < POSTS_MAX);
	if (forge.open != NULL)
		forge_hear(&forge, data, len, &first);
	forge_must(!first.has_exchange);
}

static void on_finish(void *ctx, unsigned slot)
{
	(void)ctx;
	forge_must(call[slot].open && call[slot].goes_on);
	call[slot].goes_on = false;
}

static size_t on_unsent(void *ctx, unsigned slot)
{
	forge_must(call[slot].open && call[slot].goes_on);
	return on_random(ctx) % 16384;
}

static void on_move(void *ctx, unsigned from, unsigned to)
{
	(void)ctx;
	forge_must(call[from].open && !call[to].open);
	call[to] = call[from];
	call[from].open = false;
}

static void on_cancel(void *ctx, unsigned slot)
{
	(void)ctx;
	forge_must(call[slot].open);
	call[slot].open = false;
}

static void on_state(void *ctx, enum lanes_state state, const char *why)
{
	(void)ctx;
	(void)state;
	forge_must(why[0] != '\0');
}

static void on_wake(void *ctx)
{
	(void)ctx;
}

static const struct lanes_ops lanes_ops = {
	.post = on_post,
	.query = on_post,
	.move = on_move,
	.cancel = on_cancel,
	.on_state = on_state,
	.on_wake = on_wake,
	.random = on_random,
	.open = on_open,
	.append = on_append,
	.finish = on_finish,
	.unsent = on_unsent,
};

/* ---- what must hold --------------------------------------------------- */

static void check(void)
{
	struct session *s = lanes_session(lanes);
	struct lanes_stats st;
	unsigned open = 0;

	for (unsigned i = 0; i < LANES_HELLO; i++)
		open += call[i].open;
	lanes_get_stats(lanes, &st);
	forge_must(st.in_flight == open);
	if (s != NULL)
		users_check(&users, s);
	if (__sanitizer_get_current_allocated_bytes != NULL)
		forge_must(__sanitizer_get_current_allocated_bytes() <
		    memory_before + MEMORY_MAX);
}

/* It must come to rest by itself. */
static void run(void)
{
	unsigned runs = 0;

	do {
		posts = 0;
		lanes_run(lanes, now_ms);
		forge_must(++runs < RUNS_MAX);
	} while (lanes_deadline(lanes) <= now_ms);
}

/* ---- answers ---------------------------------------------------------- */

static void end(unsigned slot, enum lanes_result result, unsigned status)
{
	call[slot].open = false;
	posts = 0;
	lanes_on_end(lanes, slot, result, status, "the fuzzer said so", now_ms);
}

/* In one piece or two. */
static void bring(unsigned slot, const uint8_t *data, size_t len)
{
	size_t cut = choose_chance(&in, 60) && len > 0 ?
	    (size_t)choose_below(&in, len) : 0;

	posts = 0;
	lanes_on_body(lanes, slot, data, cut, now_ms);
	if (call[slot].open)
		lanes_on_body(lanes, slot, data + cut, len - cut, now_ms);
}

static void answer_hello(unsigned slot)
{
	struct hello_answer a = { .agent = "fuzz" };
	struct noise *n = NULL;
	uint8_t out[HELLO_MAX];
	struct hello_keys k;
	struct hello h;
	size_t len;

	if (hellos++ >= HELLOS_MAX)
		return;
	a.status = choose_chance(&in, 40) ?
	    (enum hello_status)choose_below(&in, HELLO_BUSY + 1) :
	    lanes_session(lanes) != NULL ? HELLO_RESUMED : HELLO_CREATED;
	a.initial_window = choose_number(&in);
	a.max_streams = choose_number(&in);
	a.hold_max_ms = choose_number(&in);
	a.linger_ms = choose_number(&in);
	memcpy(forge.id, lanes_id(lanes), sizeof(forge.id));
	forge_must(hello_accept(&n, &gateway, forge.id, call[slot].body,
	    call[slot].len, &h) == 0);
	forge_must(hello_reply(n, &a, out, &len, &k) == 0);
	noise_free(n);
	if (a.status <= HELLO_RESUMED)
		forge_keys(&forge, h.generation, k.from_gateway,
		    k.from_client);
	if (a.status == HELLO_CREATED)
		memset(forge.offset, 0, sizeof(forge.offset));
	bring(slot, out, len);
	end(slot, LANES_DONE, 200);
}

static void answer_records(unsigned slot)
{
	static uint8_t out[RECORD_MAX];
	struct call *c = &call[slot];
	struct forge_exchange x = { .lane = c->lane,
	    .exchange = c->exchange };
	size_t len;

	if (forge.seal == NULL)
		return;
	x.end = c->known && choose_chance(&in, 160);
	x.begin = choose_chance(&in, 4);
	len = forge_record(&forge, &in, &x, out);
	tainted |= forge.tainted;
	memcpy(recorded[recorded_next % RECORDED].data, out, len);
	recorded[recorded_next++ % RECORDED].len = len;
	if (len > 0 && choose_chance(&in, 6)) {
		out[choose_below(&in, len)] ^= 0x20;
		tainted = true;
	}
	bring(slot, out, len);
	if (c->open && choose_chance(&in, x.end ? 230 : 30))
		end(slot, LANES_DONE, 200);
}

static void answer_again(unsigned slot)
{
	unsigned i = (unsigned)choose_below(&in, RECORDED);

	bring(slot, recorded[i].data, recorded[i].len);
}

static void answer_nonsense(unsigned slot)
{
	uint8_t out[64];
	size_t len = (size_t)choose_below(&in, sizeof(out));

	for (size_t i = 0; i < len; i++)
		out[i] = choose_byte(&in);
	bring(slot, out, len);
}

static void answer_badly(unsigned slot)
{
	static const uint16_t status[] = { 404, 413, 500, 502, 503, 504, 200,
		301 };

	switch (choose_below(&in, 3)) {
	case 0:
		end(slot, LANES_DONE, 200);
		break;
	case 1:
		end(slot, LANES_STATUS, status[choose_below(&in, 8)]);
		break;
	default:
		end(slot, LANES_FAILED, 0);
		break;
	}
}

/* The how-manieth of those that are open, or LANES_SLOTS. */
static unsigned choose_call(void)
{
	unsigned n = 0, slot = LANES_SLOTS;

	for (unsigned i = 0; i < LANES_SLOTS; i++)
		n += call[i].open;
	if (n == 0)
		return slot;
	n = (unsigned)choose_below(&in, n);
	for (slot = 0; !call[slot].open || n > 0; slot++)
		n -= call[slot].open;
	return slot;
}

static void answer(void)
{
	unsigned slot = call[LANES_HELLO].open ? LANES_HELLO : choose_call();
	uint8_t how = choose_byte(&in) % 32;

	if (slot == LANES_SLOTS)
		return;
	if (how == 0)
		answer_nonsense(slot);
	else if (how == 1)
		answer_badly(slot);
	else if (how == 2)
		answer_again(slot);
	else if (slot == LANES_HELLO)
		answer_hello(slot);
	else
		answer_records(slot);
}

/* ---- Notes, and the world --------------------------------------------- */

static void open_stream(void)
{
	struct stream *st;

	if (lanes_open(lanes, choose_chance(&in, 128) ? "CN=Mail/O=Acme" :
	    NULL, &st) == 0)
		users_take(&users, st);
}

static void disturb(void)
{
	switch (choose_below(&in, 8)) {
	case 0:
	case 1:
		lanes_network_changed(lanes, now_ms);
		break;
	case 2:
		lanes_set_http2(lanes, choose_chance(&in, 128));
		break;
	case 3:
		if (choose_chance(&in, 40))
			lanes_close(lanes, now_ms);
		break;
	default:
		lanes_knock(lanes, now_ms);
		break;
	}
}

static void pass_time(void)
{
	now_ms = choose_time(&in, 140, now_ms, lanes_deadline(lanes));
	run();
}

static void step(void)
{
	uint8_t what = choose_byte(&in) % 16;

	if (what < 6)
		answer();
	else if (what < 9)
		users_act(&users);
	else if (what < 11)
		open_stream();
	else if (what < 15)
		pass_time();
	else
		disturb();
}

/* ---- a run ------------------------------------------------------------ */

static void set_up(void)
{
	struct session_config *s = &cfg.session;

	if (gateway.pub[0] == 0) {
		noise_keys_generate(&gateway);
		noise_keys_generate(&device);
	}
	if (__sanitizer_get_current_allocated_bytes != NULL)
		memory_before = __sanitizer_get_current_allocated_bytes();
	memset(&users, 0, sizeof(users));
	memset(&forge, 0, sizeof(forge));
	memset(call, 0, sizeof(call));
	for (unsigned i = 0; i < RECORDED; i++)
		recorded[i].len = 0;
	users.in = &in;
	users.tainted = &tainted;
	tainted = false;
	hellos = recorded_next = noise_state = posts = 0;
	now_ms = 1000000;
	lanes_defaults(&cfg);
	cfg.device = device;
	memcpy(cfg.gateway, gateway.pub, sizeof(cfg.gateway));
	memset(cfg.id, 7, sizeof(cfg.id));
	s->max_streams = 1 + choose_below(&in, 40);
	s->initial_window = 1024u << choose_below(&in, 7);
	s->window_max = s->initial_window << choose_below(&in, 6);
	s->window_pool = choose_below(&in, 4) * 65536;
	s->send_max = 65536u << choose_below(&in, 4);
	cfg.duplex_after = (unsigned)choose_below(&in, 3);
	forge_must(lanes_new(&lanes, &cfg, &lanes_ops, NULL) == 0);
	if (choose_chance(&in, 100))
		lanes_set_http2(lanes, true);
	run();
}

/* It says goodbye within its time, whatever the network makes of that. */
static void leave(void)
{
	lanes_close(lanes, now_ms);
	for (unsigned i = 0; i < 4 && !lanes_is_over(lanes); i++) {
		run();
		now_ms += 5000;
	}
	run();
	forge_must(lanes_is_over(lanes));
	for (unsigned i = 0; i < USERS_MAX; i++)
		forge_must(users.user[i].st == NULL);
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
	leave();
	lanes_free(lanes);
	forge_fini(&forge);
	return 0;
}

void fuzz_seeds(void (*add)(const uint8_t *data, size_t len))
{
	choices_seeds(add);
}
