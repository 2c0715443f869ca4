/*
 * The registry beside the running gateway: looks every REGISTRY_WATCH_MS
 * whether another process has changed it and hands out a new snapshot of the
 * devices, and writes down who was seen. All of it in libuv's thread pool,
 * one piece of work at a time, so that no disk ever stops the loop.
 */
#ifndef SERVER_REGISTRY_WATCH_H
#define SERVER_REGISTRY_WATCH_H

#include <stdint.h>

#include <uv.h>

#include "server/devices.h"
#include "server/registry.h"

#define REGISTRY_WATCH_MS 500u
#define REGISTRY_WATCH_SEEN_MAX 4096u	/* devices noted between two looks */

struct registry_watch;

struct registry_watch_ops {
	/* The registry has changed: devices is the callee's now. */
	void (*on_devices)(void *ctx, struct devices *devices);
};

/*
 * Watch this open registry, which becomes the watch's on success; path is
 * copied. The first snapshot comes even if nothing changes. 0 or ERR_NOMEM.
 * A registry that cannot be read is logged once, as an error, and tried again;
 * what was handed out before stays good.
 */
int registry_watch_new(struct registry_watch **out, uv_loop_t *loop,
    struct registry *registry, const char *path,
    const struct registry_watch_ops *ops, void *ctx);

/* No callback comes afterwards. The loop must run on for a while. */
void registry_watch_free(struct registry_watch *w);

/* Open it anew, perhaps elsewhere, and read it whatever its version. */
void registry_watch_reload(struct registry_watch *w, const char *path);

/* A device was seen just now. To be called at any rate. */
void registry_watch_seen(struct registry_watch *w, const uint8_t key[32]);

#endif
