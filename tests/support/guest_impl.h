/*
 * What the parts of the guest share: guest.c has the start and what concerns
 * all connections, guest_call.c what every connection does, guest_play.c the
 * scenarios.
 */
#ifndef TESTS_SUPPORT_GUEST_IMPL_H
#define TESTS_SUPPORT_GUEST_IMPL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include <uv.h>

#include "tests/support/peer.h"
#include "tests/support/script.h"
#include "tests/support/tally.h"

enum play {
	PLAY_PROBE, PLAY_PINGPONG, PLAY_ECHO, PLAY_DOWN, PLAY_UP, PLAY_BOTH,
	PLAY_HALFCLOSE, PLAY_CLOSE, PLAY_EXPECT_RESET, PLAY_RESET,
	PLAY_EXPECT_REFUSED, PLAY_GREET, PLAY_SILENT, PLAY_RAW, PLAY_IDLE,
	PLAY_HOLD
};

struct guest_play {
	const char *name;
	enum play play;
	enum script_scenario script;
	const char *help;
};

enum phase { PHASE_CONNECT, PHASE_GREETING, PHASE_MAIN, PHASE_VERDICT,
	PHASE_END, PHASE_HELD, PHASE_DONE };

struct guest {
	uv_loop_t loop;
	uv_timer_t deadline, reporter;
	uv_signal_t go_on;
	size_t play;			/* index into guest_plays */
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

/* ---- guest_call.c ----------------------------------------------------- */

/* The connection has done what the scenario wants: close it. */
void guest_succeed(struct call *c);

/* It has not: say so, and reset it. */
void guest_complain(struct call *c, const char *what);

/* Leave what comes after --stall-after bytes to the kernel for a while. */
void guest_start_stall(struct call *c);
void guest_stall_over(struct call *c);

/* The next len bytes of the pattern of that direction. */
void guest_send_up(struct call *c, uint64_t len);
void guest_expect_down(struct call *c, uint64_t len);

/* One transaction; all of its answer is there. May begin the next one. */
void guest_start_transaction(struct call *c);
void guest_on_transaction_done(struct call *c);

/* ---- guest_play.c ----------------------------------------------------- */

extern const struct guest_play guest_plays[];
extern const size_t guest_play_count;

enum play guest_play_of(const struct call *c);

/* From the connection on, through the scenario. The user is the call. */
extern const struct peer_ops guest_call_ops;

#endif
