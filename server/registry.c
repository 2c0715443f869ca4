#include "config.h"

#include "server/registry.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include <sqlite3.h>

#include "common/err.h"
#include "server/registry_db.h"

static const char load_sql[] =
    "SELECT id, name, key, all_servers, created, revoked, last_seen, server"
    " FROM device LEFT JOIN device_server ON device = id"
    " ORDER BY name, server";
static const char taken_sql[] =
    "SELECT name, revoked IS NOT NULL FROM device"
    " WHERE key = ?1 OR name = ?2 ORDER BY name = ?2 DESC";
static const char insert_sql[] =
    "INSERT INTO device (name, key, all_servers, created)"
    " VALUES (?, ?, ?, ?)";
static const char server_sql[] =
    "INSERT OR IGNORE INTO device_server (device, server) VALUES (?, ?)";
static const char name_sql[] =
    "SELECT id FROM device WHERE name = ?";
static const char all_servers_sql[] =
    "UPDATE device SET all_servers = ?2 WHERE id = ?1";
static const char no_servers_sql[] =
    "DELETE FROM device_server WHERE device = ?1";
static const char revoke_sql[] =
    "UPDATE device SET revoked = coalesce(revoked, ?2) WHERE id = ?1";
static const char seen_sql[] =
    "UPDATE device SET last_seen = ?1"
    " WHERE key = ?2 AND coalesce(last_seen, 0) <= ?1 - ?3";

/* ---- reading ---------------------------------------------------------- */

int registry_version(struct registry *r, uint32_t *out,
    char why[REGISTRY_WHY_MAX])
{
	int64_t version;
	int rc = registry_number(r, "PRAGMA data_version", &version, why);

	if (rc == 0)
		*out = (uint32_t)version;
	return rc;
}

/* A row of the join: a new device begins, or the last one has one more. */
static int load_row(struct devices *d, sqlite3_stmt *stmt, int64_t *last_id)
{
	int64_t id = sqlite3_column_int64(stmt, 0);
	const char *server = (const char *)sqlite3_column_text(stmt, 7);
	const char *name = (const char *)sqlite3_column_text(stmt, 1);
	const void *key = sqlite3_column_blob(stmt, 2);
	struct device device = { 0 };
	int rc;

	if (id != *last_id) {
		if (name == NULL || !devices_name_valid(name) ||
		    sqlite3_column_bytes(stmt, 2) != 32)
			return ERR_STATE;
		snprintf(device.name, sizeof(device.name), "%s", name);
		memcpy(device.key, key, 32);
		device.all_servers = sqlite3_column_int(stmt, 3) != 0;
		device.created = sqlite3_column_int64(stmt, 4);
		device.revoked = sqlite3_column_type(stmt, 5) != SQLITE_NULL;
		device.revoked_at = sqlite3_column_int64(stmt, 5);
		device.last_seen = sqlite3_column_int64(stmt, 6);
		rc = devices_add(d, &device);
		if (rc != 0)
			return rc;
		*last_id = id;
	}
	return server == NULL ? 0 : devices_add_server(d, server);
}

int registry_load(struct registry *r, struct devices **out,
    char why[REGISTRY_WHY_MAX])
{
	struct devices *d = devices_new();
	sqlite3_stmt *stmt = NULL;
	int64_t last_id = -1;
	int rc, step = SQLITE_DONE;

	if (d == NULL) {
		snprintf(why, REGISTRY_WHY_MAX, "%s: no memory", r->path);
		return ERR_NOMEM;
	}
	rc = registry_prepare(r, load_sql, &stmt, why);
	if (rc != 0)
		goto out;
	while (rc == 0 && (step = sqlite3_step(stmt)) == SQLITE_ROW)
		rc = load_row(d, stmt, &last_id);
	if (rc != 0)
		snprintf(why, REGISTRY_WHY_MAX, "%s: a device cannot be read "
		    "(%s); was the file changed by hand?", r->path,
		    err_text(rc));
	else if (step != SQLITE_DONE)
		rc = registry_fail(r, why);
out:
	sqlite3_finalize(stmt);
	if (rc != 0)
		devices_free(d);
	else
		*out = d;
	return rc;
}

/* ---- writing ---------------------------------------------------------- */

static int insert_servers(struct registry *r, int64_t id,
    const struct device *device, char why[REGISTRY_WHY_MAX])
{
	sqlite3_stmt *stmt;
	int rc = registry_prepare(r, server_sql, &stmt, why);

	if (rc != 0)
		return rc;
	for (size_t i = 0; i < device->server_count && rc == 0; i++) {
		sqlite3_bind_int64(stmt, 1, id);
		sqlite3_bind_text(stmt, 2, device->servers[i], -1,
		    SQLITE_STATIC);
		rc = registry_run(r, stmt, why);
	}
	sqlite3_finalize(stmt);
	return rc;
}

/* A name or a key is there already: say which, and whose. */
static int complain_taken(struct registry *r, const struct device *device,
    char why[REGISTRY_WHY_MAX])
{
	sqlite3_stmt *stmt;
	int rc = registry_prepare(r, taken_sql, &stmt, why);
	const char *name;

	if (rc != 0)
		return rc;
	sqlite3_bind_blob(stmt, 1, device->key, 32, SQLITE_STATIC);
	sqlite3_bind_text(stmt, 2, device->name, -1, SQLITE_STATIC);
	if (sqlite3_step(stmt) != SQLITE_ROW) {
		sqlite3_finalize(stmt);
		return 0;
	}
	name = (const char *)sqlite3_column_text(stmt, 0);
	if (strcmp(name, device->name) == 0)
		snprintf(why, REGISTRY_WHY_MAX, "%s: there is a%s device '%s' "
		    "already; names are not used twice, choose another",
		    r->path, sqlite3_column_int(stmt, 1) ? " revoked" : "",
		    name);
	else
		snprintf(why, REGISTRY_WHY_MAX, "%s: this key belongs to the%s "
		    "device '%s'; make a new key with 'nrpc-tunnel keygen'",
		    r->path, sqlite3_column_int(stmt, 1) ? " revoked" : "",
		    name);
	sqlite3_finalize(stmt);
	return ERR_EXIST;
}

static int insert_device(struct registry *r, const struct device *device,
    char why[REGISTRY_WHY_MAX])
{
	sqlite3_stmt *stmt;
	int rc = registry_prepare(r, insert_sql, &stmt, why);

	if (rc != 0)
		return rc;
	sqlite3_bind_text(stmt, 1, device->name, -1, SQLITE_STATIC);
	sqlite3_bind_blob(stmt, 2, device->key, 32, SQLITE_STATIC);
	sqlite3_bind_int(stmt, 3, device->all_servers);
	sqlite3_bind_int64(stmt, 4, (int64_t)time(NULL));
	rc = registry_run(r, stmt, why);
	sqlite3_finalize(stmt);
	return rc;
}

int registry_add(struct registry *r, const struct device *device,
    char why[REGISTRY_WHY_MAX])
{
	int rc = registry_exec(r, "BEGIN IMMEDIATE", why);

	if (rc != 0)
		return rc;
	rc = complain_taken(r, device, why);
	if (rc == 0)
		rc = insert_device(r, device, why);
	if (rc == 0)
		rc = insert_servers(r, sqlite3_last_insert_rowid(r->db),
		    device, why);
	return registry_end(r, rc, why);
}

/* The id of the device of this name. 0, ERR_NOENT or ERR_IO. */
static int find_name(struct registry *r, const char *name, int64_t *id,
    char why[REGISTRY_WHY_MAX])
{
	sqlite3_stmt *stmt;
	int rc = registry_prepare(r, name_sql, &stmt, why);
	int step;

	if (rc != 0)
		return rc;
	sqlite3_bind_text(stmt, 1, name, -1, SQLITE_STATIC);
	step = sqlite3_step(stmt);
	if (step == SQLITE_ROW) {
		*id = sqlite3_column_int64(stmt, 0);
	} else if (step == SQLITE_DONE) {
		snprintf(why, REGISTRY_WHY_MAX, "%s: there is no device "
		    "'%.64s'; 'nrpc-gateway device list' shows them", r->path,
		    name);
		rc = ERR_NOENT;
	} else {
		rc = registry_fail(r, why);
	}
	sqlite3_finalize(stmt);
	return rc;
}

/* A statement for the device of this id, ?1; with a value, ?2, or without. */
static int run_for(struct registry *r, const char *sql, int64_t id,
    const int64_t *value, char why[REGISTRY_WHY_MAX])
{
	sqlite3_stmt *stmt;
	int rc = registry_prepare(r, sql, &stmt, why);

	if (rc != 0)
		return rc;
	sqlite3_bind_int64(stmt, 1, id);
	if (value != NULL)
		sqlite3_bind_int64(stmt, 2, *value);
	rc = registry_run(r, stmt, why);
	sqlite3_finalize(stmt);
	return rc;
}

int registry_set_servers(struct registry *r, const struct device *device,
    char why[REGISTRY_WHY_MAX])
{
	int64_t all = device->all_servers, id;
	int rc = registry_exec(r, "BEGIN IMMEDIATE", why);

	if (rc != 0)
		return rc;
	rc = find_name(r, device->name, &id, why);
	if (rc == 0)
		rc = run_for(r, all_servers_sql, id, &all, why);
	if (rc == 0)
		rc = run_for(r, no_servers_sql, id, NULL, why);
	if (rc == 0)
		rc = insert_servers(r, id, device, why);
	return registry_end(r, rc, why);
}

int registry_revoke(struct registry *r, const char *name,
    char why[REGISTRY_WHY_MAX])
{
	int64_t now = time(NULL), id;
	int rc = registry_exec(r, "BEGIN IMMEDIATE", why);

	if (rc != 0)
		return rc;
	rc = find_name(r, name, &id, why);
	if (rc == 0)
		rc = run_for(r, revoke_sql, id, &now, why);
	return registry_end(r, rc, why);
}

int registry_seen(struct registry *r, const uint8_t (*keys)[32], size_t count,
    int64_t at, char why[REGISTRY_WHY_MAX])
{
	sqlite3_stmt *stmt;
	int rc = registry_exec(r, "BEGIN IMMEDIATE", why);

	if (rc != 0)
		return rc;
	rc = registry_prepare(r, seen_sql, &stmt, why);
	if (rc != 0)
		return registry_end(r, rc, why);
	for (size_t i = 0; i < count && rc == 0; i++) {
		sqlite3_bind_int64(stmt, 1, at);
		sqlite3_bind_blob(stmt, 2, keys[i], 32, SQLITE_STATIC);
		sqlite3_bind_int(stmt, 3, REGISTRY_SEEN_S);
		rc = registry_run(r, stmt, why);
	}
	sqlite3_finalize(stmt);
	return registry_end(r, rc, why);
}
