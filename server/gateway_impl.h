/*
 * The gateway's insides, for gateway.c (start and end), gateway_sessions.c
 * (what the gate and the registry tell) and gateway_control.c (signals).
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
	uv_signal_t signals[3];
	bool gate_due;			/* gate_run has something to do */
	bool draining;
	uint64_t drain_until_ms;
	struct log_limit notes;
	struct log_limit sessions;
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

/* Write down which devices have sessions; every minute. */
void gateway_start_seen(struct gateway *gw);

/* ---- gateway_control.c ------------------------------------------------ */

/* 0, or ERR_IO. */
int gateway_start_signals(struct gateway *gw);

/* ---- gateway.c -------------------------------------------------------- */

/* Everything is closed and the loop will end. */
void gateway_stop(struct gateway *gw);

#endif
