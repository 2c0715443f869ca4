#include "config.h"

#include "server/registry_watch.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/err.h"
#include "common/log.h"

struct registry_watch {
	uv_loop_t *loop;
	uv_timer_t timer;
	uv_work_t work;
	const struct registry_watch_ops *ops;
	void *ctx;
	bool busy;			/* work is with the thread pool */
	bool freed;
	char *next_path;		/* to be opened by the next work */
	uint8_t (*seen)[32];		/* noted for the next work */
	size_t seen_count;
	char complaint[REGISTRY_WHY_MAX];	/* logged already */
	char seen_complaint[REGISTRY_WHY_MAX];

	/* The thread's while busy, ours otherwise. */
	struct registry *registry;
	char *path;
	bool loaded;			/* version is that of a snapshot */
	uint32_t version;
	uint8_t (*writing)[32];
	size_t writing_count;
	int64_t writing_at;
	struct devices *result;
	char why[REGISTRY_WHY_MAX];	/* "" when all went well */
	char seen_why[REGISTRY_WHY_MAX];
};

static void on_timer(uv_timer_t *timer);

/* ---- in the thread pool ----------------------------------------------- */

static int reopen(struct registry_watch *w)
{
	struct registry *fresh;
	int rc = registry_open(&fresh, w->path, false, w->why);

	if (rc != 0)
		return rc;
	registry_close(w->registry);
	w->registry = fresh;
	w->loaded = false;
	return 0;
}

/*
 * The version is taken before the load: a change in between is then found by
 * the next look, and not missed.
 */
static void load_if_changed(struct registry_watch *w)
{
	uint32_t version;

	if ((!w->loaded || !registry_is_current(w->registry)) &&
	    reopen(w) != 0)
		return;
	if (registry_version(w->registry, &version, w->why) != 0)
		return;
	if (w->loaded && version == w->version)
		return;
	if (registry_load(w->registry, &w->result, w->why) != 0)
		return;
	w->version = version;
	w->loaded = true;
}

static void on_work(uv_work_t *work)
{
	struct registry_watch *w = work->data;

	w->why[0] = '\0';
	w->seen_why[0] = '\0';
	load_if_changed(w);
	if (w->writing_count > 0 && w->why[0] == '\0')
		(void)registry_seen(w->registry, w->writing,	/* seen_why */
		    w->writing_count, w->writing_at, w->seen_why);
}

/* ---- in the loop ------------------------------------------------------ */

static void on_closed(uv_handle_t *handle)
{
	struct registry_watch *w = handle->data;

	registry_close(w->registry);
	devices_free(w->result);
	free(w->next_path);
	free(w->path);
	free(w->seen);
	free(w->writing);
	free(w);
}

/* One line for as long as the same thing is wrong. */
static void complain(char *logged, const char *why, bool is_error)
{
	if (strcmp(logged, why) == 0)
		return;
	if (why[0] == '\0')
		log_info("registry ok");
	else if (is_error)
		log_error("registry unreadable error=\"%s\"", why);
	else
		log_warn("registry unwritable error=\"%s\"", why);
	memcpy(logged, why, REGISTRY_WHY_MAX);
}

static void after_work(uv_work_t *work, int status)
{
	struct registry_watch *w = work->data;
	struct devices *result = w->result;

	(void)status;		/* never cancelled */
	w->busy = false;
	w->result = NULL;
	if (w->freed) {
		devices_free(result);
		uv_close((uv_handle_t *)&w->timer, on_closed);
		return;
	}
	complain(w->complaint, w->why, true);
	if (w->writing_count > 0 && w->why[0] == '\0')	/* it was tried */
		complain(w->seen_complaint, w->seen_why, false);
	w->writing_count = 0;
	uv_timer_start(&w->timer, on_timer,
	    w->next_path != NULL ? 0 : REGISTRY_WATCH_MS, 0);
	if (result != NULL)
		w->ops->on_devices(w->ctx, result);	/* last */
}

static void on_timer(uv_timer_t *timer)
{
	struct registry_watch *w = timer->data;
	uint8_t (*keys)[32] = w->writing;

	if (w->next_path != NULL) {
		free(w->path);
		w->path = w->next_path;
		w->next_path = NULL;
		w->loaded = false;
	}
	w->writing = w->seen;
	w->writing_count = w->seen_count;
	w->writing_at = time(NULL);
	w->seen = keys;
	w->seen_count = 0;
	w->busy = uv_queue_work(w->loop, &w->work, on_work, after_work) == 0;
	if (!w->busy)
		uv_timer_start(&w->timer, on_timer, REGISTRY_WATCH_MS, 0);
}

int registry_watch_new(struct registry_watch **out, uv_loop_t *loop,
    struct registry *registry, const char *path,
    const struct registry_watch_ops *ops, void *ctx)
{
	struct registry_watch *w = calloc(1, sizeof(*w));

	if (w == NULL)
		return ERR_NOMEM;
	w->loop = loop;
	w->ops = ops;
	w->ctx = ctx;
	w->path = strdup(path);
	w->seen = calloc(REGISTRY_WATCH_SEEN_MAX, sizeof(*w->seen));
	w->writing = calloc(REGISTRY_WATCH_SEEN_MAX, sizeof(*w->writing));
	if (w->path == NULL || w->seen == NULL || w->writing == NULL ||
	    uv_timer_init(loop, &w->timer) != 0) {
		free(w->path);
		free(w->seen);
		free(w->writing);
		free(w);
		return ERR_NOMEM;
	}
	w->registry = registry;
	w->timer.data = w;
	w->work.data = w;
	uv_timer_start(&w->timer, on_timer, 0, 0);
	*out = w;
	return 0;
}

void registry_watch_free(struct registry_watch *w)
{
	if (w == NULL)
		return;
	w->freed = true;
	uv_timer_stop(&w->timer);
	if (!w->busy)
		uv_close((uv_handle_t *)&w->timer, on_closed);
}

void registry_watch_reload(struct registry_watch *w, const char *path)
{
	char *copy = strdup(path);

	if (copy == NULL) {
		log_error("registry reload error=\"no memory\"");
		return;
	}
	free(w->next_path);
	w->next_path = copy;
	if (!w->busy)
		uv_timer_start(&w->timer, on_timer, 0, 0);
}

void registry_watch_seen(struct registry_watch *w, const uint8_t key[32])
{
	if (w->seen_count == REGISTRY_WATCH_SEEN_MAX)
		return;		/* the next minute tells as well */
	memcpy(w->seen[w->seen_count++], key, 32);
}
