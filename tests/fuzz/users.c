#include "config.h"

#include "tests/fuzz/users.h"

#include <string.h>

#include "tests/fuzz/forge.h"

#define PIECE_MAX 20000u
#define STREAM_LEAST 16384u	/* bytes a stream may queue in any case */

static void forget(struct user *u)
{
	u->st = NULL;
}

/* Read up to so many bytes, and compare. */
static void read_some(struct user *u, uint64_t most)
{
	uint64_t id = stream_id(u->st);
	const uint8_t *p;
	size_t n;

	while (most > 0 && (n = stream_peek(u->st, &p)) > 0) {
		if (n > most)
			n = (size_t)most;
		for (size_t i = 0; i < n && !*u->all->tainted; i++)
			forge_must(p[i] == forge_pattern(id, u->read + i));
		stream_consume(u->st, n);
		u->read += n;
		most -= n;
	}
}

static void write_some(struct user *u, size_t len)
{
	static uint8_t piece[PIECE_MAX];
	size_t room = stream_room(u->st), taken;

	if (u->finished)
		return;
	for (size_t i = 0; i < len; i++)
		piece[i] = forge_pattern(stream_id(u->st), u->written + i);
	taken = stream_write(u->st, piece, len);
	forge_must(taken <= len && taken <= room);
	u->written += taken;
}

static void finish(struct user *u)
{
	if (!u->finished)
		stream_finish(u->st);
	u->finished = true;
}

static void let_go(struct user *u)
{
	struct stream *st = u->st;

	forget(u);
	stream_release(st);
}

static struct user *check_owner(void *user, struct stream *st)
{
	struct user *u = user;

	forge_must(u->st == st && stream_user(st) == u);
	return u;
}

static void on_readable(void *user, struct stream *st)
{
	struct user *u = check_owner(user, st);

	if (!u->eager)
		return;
	read_some(u, UINT64_MAX);
	if (!stream_at_end(st))
		return;
	finish(u);
	let_go(u);
}

static void on_writable(void *user, struct stream *st)
{
	struct user *u = check_owner(user, st);

	if (u->eager)
		write_some(u, 3000);
}

static void on_reset(void *user, struct stream *st, uint64_t code)
{
	(void)code;
	forget(check_owner(user, st));
}

static const struct stream_ops ops = { on_readable, on_writable, on_reset };

void users_take(struct users *u, struct stream *st)
{
	struct user *free = NULL;

	for (unsigned i = 0; i < USERS_MAX && free == NULL; i++)
		if (u->user[i].st == NULL)
			free = &u->user[i];
	if (free == NULL || choose_chance(u->in, 12)) {
		stream_reset(st, STREAM_LIMIT);
		return;
	}
	*free = (struct user){ .all = u, .st = st,
	    .s = stream_session(st), .eager = choose_chance(u->in, 128) };
	stream_attach(st, &ops, free);
	if (free->eager)
		read_some(free, UINT64_MAX);
}

void users_act(struct users *u)
{
	struct user *who = &u->user[choose_below(u->in, 8)];

	if (who->st == NULL)
		return;
	switch (choose_below(u->in, 12)) {
	case 0:
	case 1:
	case 2:
		read_some(who, choose_below(u->in, 70000));
		break;
	case 3:
		finish(who);
		break;
	case 4:
		let_go(who);
		break;
	case 5:
		stream_reset(who->st, choose_number(u->in));
		forget(who);
		break;
	case 6:
		read_some(who, UINT64_MAX);
		if (stream_at_end(who->st))
			finish(who);
		break;
	default:
		write_some(who, (size_t)choose_below(u->in, PIECE_MAX));
		break;
	}
}

void users_check(const struct users *u, struct session *s)
{
	const struct session_config *c = session_limits(s);
	struct session_stats st;
	unsigned owned = 0;

	session_get_stats(s, &st);
	for (unsigned i = 0; i < USERS_MAX; i++)
		if (u->user[i].st != NULL && u->user[i].s == s)
			owned++;
	forge_must(owned <= st.streams);
	forge_must(st.recv_bytes <=
	    st.streams * c->initial_window + c->window_pool);
	forge_must(st.send_bytes <= c->send_max + st.streams * STREAM_LEAST);
	forge_must(!session_is_closed(s) || st.streams == 0);
}

void users_forget(struct users *u)
{
	for (unsigned i = 0; i < USERS_MAX; i++)
		forget(&u->user[i]);
}
