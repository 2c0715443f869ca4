#include "config.h"

#include "client/run.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <uv.h>

#include "client/setup.h"
#include "client/status.h"
#include "client/tunnel.h"
#include "common/err.h"
#include "common/keyfile.h"
#include "common/log.h"

#define EXIT_BAD_CONFIG 2

struct run {
	uv_loop_t loop;
	uv_signal_t terminate, interrupt;
	struct tunnel *tunnel;
	struct status *status;
	bool stopping;
};

/* Close what is left; the loop then ends by itself. */
static void end(struct run *r)
{
	status_free(r->status);
	tunnel_free(r->tunnel);
	r->status = NULL;
	r->tunnel = NULL;
	uv_close((uv_handle_t *)&r->terminate, NULL);
	uv_close((uv_handle_t *)&r->interrupt, NULL);
}

static void on_stopped(void *ctx)
{
	end(ctx);
}

static const struct tunnel_ops tunnel_ops = { .on_stopped = on_stopped };

/* The first signal ends the tunnel well, the second one at once. */
static void on_signal(uv_signal_t *handle, int number)
{
	struct run *r = handle->data;

	if (r->tunnel == NULL)
		return;
	log_info("stopping signal=%s", number == SIGINT ? "INT" : "TERM");
	if (r->stopping) {
		end(r);
		return;
	}
	r->stopping = true;
	tunnel_stop(r->tunnel);
}

static void start_signals(struct run *r)
{
	signal(SIGPIPE, SIG_IGN);
	uv_signal_init(&r->loop, &r->terminate);
	uv_signal_init(&r->loop, &r->interrupt);
	r->terminate.data = r;
	r->interrupt.data = r;
	uv_signal_start(&r->terminate, on_signal, SIGTERM);
	uv_signal_start(&r->interrupt, on_signal, SIGINT);
}

/*
 * The tunnel works without its status socket; so only a path that was asked
 * for is worth not starting.
 */
static int start_status(struct run *r, const struct setup *setup,
    char why[CONF_WHY_MAX])
{
	int rc;

	if (setup->status_socket == NULL)
		return 0;
	if (!setup->status_socket_given)
		setup_make_folders(setup->status_socket);
	rc = status_new(&r->status, &r->loop, r->tunnel, setup->status_socket,
	    why);
	if (rc == 0 || setup->status_socket_given)
		return rc;
	log_warn("status unavailable why=\"%s\"", why);
	return 0;
}

static int start(struct run *r, const struct setup *setup,
    const struct noise_keys *device)
{
	char why[CONF_WHY_MAX] = "";
	int rc;

	rc = tunnel_new(&r->tunnel, &r->loop, setup, device, &tunnel_ops, r,
	    why);
	if (rc == 0)
		rc = start_status(r, setup, why);
	if (rc != 0)
		fprintf(stderr, "nrpc-tunnel: %s\n", why);
	return rc;
}

int run_tunnel(const struct setup *setup)
{
	struct run r = { .stopping = false };
	struct noise_keys device;
	char why[KEYFILE_WHY_MAX];
	int rc;

	if (keyfile_read(setup->key_file, geteuid(), &device, why) != 0) {
		fprintf(stderr, "nrpc-tunnel: %s\n", why);
		return EXIT_BAD_CONFIG;
	}
	log_set_level(setup->log_level);
	if (uv_loop_init(&r.loop) != 0) {
		fprintf(stderr, "nrpc-tunnel: no event loop: %s\n",
		    strerror(errno));
		return EXIT_FAILURE;
	}
	start_signals(&r);
	rc = start(&r, setup, &device);
	crypto_wipe(&device, sizeof(device));
	if (rc != 0)
		end(&r);
	else
		log_info("ready");
	uv_run(&r.loop, UV_RUN_DEFAULT);
	uv_loop_close(&r.loop);
	if (rc == 0)
		log_info("stopped");
	return rc == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
