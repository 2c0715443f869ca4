/*
 * The gateway's insides, for gateway.c (start and end), gateway_sessions.c
 * (what the gate and the registry tell), gateway_counters.c (how much there was
 * of everything), gateway_control.c (signals), gateway_upgrade.c and gateway_takeover.c (the two sides of an upgrade).
 */
#ifndef SERVER_GATEWAY_IMPL_H
#define SERVER_GATEWAY_IMPL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <uv.h>

#include "common/gate.h"
#include "common/log.h"
#include "server/devices.h"
#include "server/endpoint.h"
#include "server/endpoint_tls.h"
#include "server/gateway.h"
#include "server/listen.h"
#include "server/registry_watch.h"
#include "server/router.h"
#include "server/settings.h"

#define GATEWAY_WHY_MAX 512u	/* bytes of a sentence, with NUL */
#define GATEWAY_SIGNALS 5u

struct counters;
struct takeover;
struct upgrade;

struct gateway {
	uv_loop_t loop;
	struct gateway_source source;
	struct settings *settings;
	struct devices *devices;	/* the last snapshot, never NULL */
	struct gate *gate;
	struct endpoint *endpoint;
	struct endpoint_tls *tls;	/* NULL: plain HTTP */
	struct router *router;
	struct registry_watch *watch;
	struct listen_socket *listens;
	size_t listen_count;

	uv_prepare_t prepare;
	uv_timer_t gate_timer;		/* gate_deadline */
	uv_timer_t seen_timer;
	uv_timer_t drain_timer;
	uv_signal_t signals[GATEWAY_SIGNALS];
	bool gate_due;			/* gate_run has something to do */
	bool draining;
	uint64_t drain_until_ms;
	struct upgrade *upgrade;	/* to a new program, under way */
	struct takeover *takeover;	/* from an old one, until it is done */
	struct log_limit notes;
	struct log_limit sessions;
	struct log_limit limits[GATE_LIMITS];
	struct counters *counters;
};

/* ---- gateway_sessions.c ----------------------------------------------- */

extern const struct gate_ops gateway_gate_ops;
extern const struct registry_watch_ops gateway_watch_ops;

/* Settings or devices are other ones: tell all who decide by them. */
void gateway_rules_changed(struct gateway *gw);

/* The endpoint's limits, from the settings; for as long as those last. */
struct endpoint_limits gateway_limits(const struct gateway *gw);

/* What the router is to decide by, from the settings and the devices. */
struct router_rules gateway_rules(const struct gateway *gw);

/* End the sessions of devices that are not known, or revoked. */
void gateway_end_strangers(struct gateway *gw);

/* Write down which devices have sessions; every minute. */
void gateway_start_seen(struct gateway *gw);

/* ---- gateway_counters.c ----------------------------------------------- */

/*
 * What is counted is counted from now on, and written to the log each hour.
 * 0 or ERR_NOMEM.
 */
int gateway_start_counters(struct gateway *gw);
void gateway_stop_counters(struct gateway *gw);

/* SIGUSR1: write all of it to the log, now. */
void gateway_log_counters(const struct gateway *gw);

/* ---- gateway_control.c ------------------------------------------------ */

/* 0, or ERR_IO. */
int gateway_start_signals(struct gateway *gw);

/* ---- gateway_upgrade.c ------------------------------------------------ */

/* SIGUSR2: begin. Looks after itself from then on, with two helpers: */
void gateway_upgrade(struct gateway *gw);

/* Once in a turn, after the gate and the endpoint. May not return. */
void gateway_upgrade_turn(struct gateway *gw);

/* The gateway is going down. */
void gateway_upgrade_cancel(struct gateway *gw);

/* ---- gateway_takeover.c ----------------------------------------------- */

/*
 * Were we started to replace a running gateway? Then gw->takeover is set, and
 * the other functions are called in this order. 0, ERR_NOMEM or ERR_IO.
 */
int gateway_takeover_begin(struct gateway *gw);

/* Say that we are ready to; wait for the state; key and sockets out of it. */
int gateway_takeover_receive(struct gateway *gw, struct noise_keys *keys,
    char why[GATEWAY_WHY_MAX]);

/* Its sessions and streams, into gate and router. */
int gateway_takeover_import(struct gateway *gw, char why[GATEWAY_WHY_MAX]);

/* All is there: wait for the old one to let go, then go on. */
int gateway_takeover_finish(struct gateway *gw, char why[GATEWAY_WHY_MAX]);

/*
 * The start failed: if we are to replace a gateway, tell it why, and end the
 * process. Otherwise nothing happens.
 */
void gateway_takeover_failed(struct gateway *gw, const char *why);

/* ---- gateway.c -------------------------------------------------------- */

/* Everything is closed and the loop will end. */
void gateway_stop(struct gateway *gw);

/* An endpoint that listens on gw->listens. 0, ERR_NOMEM or ERR_IO. */
int gateway_start_endpoint(struct gateway *gw);

#endif
