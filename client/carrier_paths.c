#include "config.h"

#include "client/carrier_paths.h"

#include <assert.h>
#include <stdlib.h>

#include "common/err.h"

#define IDLE_MS 60000u		/* then a path's connections are closed */

struct path {
	struct carrier_pool *pool;	/* NULL: none */
	bool untouched;			/* it has no connection yet */
	bool used;			/* since on_idle looked */
};

int carrier_paths_init(struct carrier_paths *p, unsigned transfers)
{
	p->old_count = 0;
	p->old_room = transfers + p->count;
	p->path = calloc(p->count, sizeof(p->path[0]));
	p->old = calloc(p->old_room, sizeof(p->old[0]));
	p->idle = calloc(1, sizeof(*p->idle));
	if (p->path == NULL || p->old == NULL || p->idle == NULL) {
		free(p->idle);	/* no handle yet */
		p->idle = NULL;
		return ERR_NOMEM;
	}
	uv_timer_init(p->loop, p->idle);
	p->idle->data = p;
	return 0;
}

static void on_timer_closed(uv_handle_t *handle)
{
	free(handle);
}

void carrier_paths_fini(struct carrier_paths *p)
{
	for (unsigned i = 0; p->path != NULL && i < p->count; i++)
		carrier_pool_free(p->path[i].pool);
	for (unsigned i = 0; i < p->old_count; i++)
		carrier_pool_free(p->old[i]);
	if (p->idle != NULL)
		uv_close((uv_handle_t *)p->idle, on_timer_closed);
	free(p->path);
	free(p->old);
}

/*
 * libcurl does not look after connections that nobody uses. Path 0 is always
 * in use.
 */
static void on_idle(uv_timer_t *timer)
{
	struct carrier_paths *p = timer->data;
	bool any = false;

	for (unsigned i = 1; i < p->count; i++) {
		struct path *path = &p->path[i];

		if (path->pool == NULL)
			continue;
		if (path->used || carrier_pool_transfers(path->pool) > 0) {
			any = true;
		} else {
			carrier_pool_free(path->pool);
			path->pool = NULL;
		}
		path->used = false;
	}
	if (!any)
		uv_timer_stop(timer);
}

int carrier_paths_open(struct carrier_paths *p, unsigned path,
    struct carrier_pool **out)
{
	struct path *it = &p->path[path];
	int rc = 0;

	if (it->pool == NULL) {
		it->untouched = true;
		if (!uv_is_active((uv_handle_t *)p->idle))
			uv_timer_start(p->idle, on_idle, IDLE_MS, IDLE_MS);
		rc = carrier_pool_new(&it->pool, p->loop, p->max_connections,
		    p->ops, p->ctx);
	}
	it->used = true;
	*out = it->pool;
	return rc;
}

bool carrier_paths_is_untouched(const struct carrier_paths *p, unsigned path)
{
	return p->path[path].pool == NULL || p->path[path].untouched;
}

void carrier_paths_touched(struct carrier_paths *p,
    const struct carrier_pool *pool)
{
	for (unsigned i = 0; i < p->count; i++)
		if (p->path[i].pool == pool)
			p->path[i].untouched = false;
}

/*
 * An old one has an exchange still under way, so that there are never more
 * than transfers, and those that have just run dry.
 */
void carrier_paths_retire(struct carrier_paths *p)
{
	for (unsigned i = 0; i < p->count; i++) {
		struct carrier_pool *pool = p->path[i].pool;

		p->path[i].pool = NULL;
		if (pool != NULL && carrier_pool_transfers(pool) == 0 &&
		    !carrier_pool_is_calling(pool))
			carrier_pool_free(pool);
		else if (pool != NULL)
			p->old[p->old_count++] = pool;
		assert(p->old_count <= p->old_room);
	}
}

void carrier_paths_reap(struct carrier_paths *p)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < p->old_count; i++) {
		if (carrier_pool_transfers(p->old[i]) == 0)
			carrier_pool_free(p->old[i]);
		else
			p->old[kept++] = p->old[i];
	}
	p->old_count = kept;
}

bool carrier_paths_are_calling(const struct carrier_paths *p)
{
	for (unsigned i = 0; i < p->count; i++)
		if (p->path[i].pool != NULL &&
		    carrier_pool_is_calling(p->path[i].pool))
			return true;
	for (unsigned i = 0; i < p->old_count; i++)
		if (carrier_pool_is_calling(p->old[i]))
			return true;
	return false;
}

void carrier_paths_run(struct carrier_paths *p)
{
	for (unsigned i = 0; i < p->count; i++)
		if (p->path[i].pool != NULL)
			carrier_pool_run(p->path[i].pool);
}
