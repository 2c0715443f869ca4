#include "config.h"

#include "server/registry_db.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/err.h"

#define SCHEMA_VERSION 1
#define APPLICATION_ID "1314013251"	/* "NRPC": tells file(1) what it is */

static const char schema[] =
    "PRAGMA application_id = " APPLICATION_ID ";"
    "CREATE TABLE device ("
    " id INTEGER PRIMARY KEY,"
    " name TEXT NOT NULL UNIQUE,"
    " key BLOB NOT NULL UNIQUE CHECK (length(key) = 32),"
    " all_servers INTEGER NOT NULL DEFAULT 0,"
    " created INTEGER NOT NULL,"
    " revoked INTEGER,"
    " last_seen INTEGER) STRICT;"
    "CREATE TABLE device_server ("
    " device INTEGER NOT NULL REFERENCES device (id) ON DELETE CASCADE,"
    " server TEXT NOT NULL COLLATE NOCASE,"
    " PRIMARY KEY (device, server)) STRICT, WITHOUT ROWID;"
    "PRAGMA user_version = 1;";

int registry_fail(const struct registry *r, char why[REGISTRY_WHY_MAX])
{
	int code = sqlite3_extended_errcode(r->db);
	const char *remedy = "";

	if ((code & 0xff) == SQLITE_READONLY)
		remedy = "; the file and its directory must be writable for "
		    "the gateway's user";
	else if ((code & 0xff) == SQLITE_BUSY)
		remedy = "; another program keeps it locked";
	snprintf(why, REGISTRY_WHY_MAX, "%s: %s%s", r->path,
	    sqlite3_errmsg(r->db), remedy);
	return (code & 0xff) == SQLITE_NOMEM ? ERR_NOMEM : ERR_IO;
}

int registry_exec(struct registry *r, const char *sql,
    char why[REGISTRY_WHY_MAX])
{
	if (sqlite3_exec(r->db, sql, NULL, NULL, NULL) == SQLITE_OK)
		return 0;
	return registry_fail(r, why);
}

int registry_end(struct registry *r, int rc, char why[REGISTRY_WHY_MAX])
{
	if (rc == 0)
		rc = registry_exec(r, "COMMIT", why);
	if (rc != 0)	/* may have been rolled back already: no matter */
		(void)sqlite3_exec(r->db, "ROLLBACK", NULL, NULL, NULL);
	return rc;
}

int registry_prepare(struct registry *r, const char *sql, sqlite3_stmt **out,
    char why[REGISTRY_WHY_MAX])
{
	if (sqlite3_prepare_v2(r->db, sql, -1, out, NULL) == SQLITE_OK)
		return 0;
	return registry_fail(r, why);
}

int registry_run(struct registry *r, sqlite3_stmt *stmt,
    char why[REGISTRY_WHY_MAX])
{
	int rc = sqlite3_step(stmt);

	if (rc != SQLITE_DONE)
		rc = registry_fail(r, why);
	else
		rc = 0;
	sqlite3_reset(stmt);
	return rc;
}

int registry_number(struct registry *r, const char *sql, int64_t *out,
    char why[REGISTRY_WHY_MAX])
{
	sqlite3_stmt *stmt;
	int rc = registry_prepare(r, sql, &stmt, why);

	if (rc != 0)
		return rc;
	if (sqlite3_step(stmt) == SQLITE_ROW)
		*out = sqlite3_column_int64(stmt, 0);
	else
		rc = registry_fail(r, why);
	sqlite3_finalize(stmt);
	return rc;
}

/* ---- opening ---------------------------------------------------------- */

/* The file, made by us so that it is never open to others, not even briefly. */
static int make_file(const char *path, bool create,
    char why[REGISTRY_WHY_MAX])
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | (create ? O_CREAT : 0),
	    0600);

	if (fd >= 0) {
		close(fd);
		return 0;
	}
	if (errno == ENOENT && !create)
		snprintf(why, REGISTRY_WHY_MAX, "%s: there is no registry yet; "
		    "'nrpc-gateway device add' makes it", path);
	else
		snprintf(why, REGISTRY_WHY_MAX, "%s: %s", path,
		    strerror(errno));
	return errno == ENOENT ? ERR_NOENT : ERR_IO;
}

static int check_schema(struct registry *r, bool create,
    char why[REGISTRY_WHY_MAX])
{
	int64_t version, tables;
	int rc = registry_number(r, "PRAGMA user_version", &version, why);

	if (rc != 0 || version == SCHEMA_VERSION)
		return rc;
	if (version > SCHEMA_VERSION) {
		snprintf(why, REGISTRY_WHY_MAX, "%s: has schema version %lld, "
		    "this program knows %d; use the newer nrpc-gateway",
		    r->path, (long long)version, SCHEMA_VERSION);
		return ERR_STATE;
	}
	rc = registry_number(r, "SELECT count(*) FROM sqlite_schema", &tables,
	    why);
	if (rc == 0 && tables > 0) {
		snprintf(why, REGISTRY_WHY_MAX, "%s: is the database of "
		    "another program; set 'registry' to a file of its own",
		    r->path);
		return ERR_STATE;
	}
	if (rc == 0 && !create) {
		snprintf(why, REGISTRY_WHY_MAX, "%s: is empty; "
		    "'nrpc-gateway device add' fills it", r->path);
		return ERR_NOENT;
	}
	return rc == 0 ? registry_exec(r, schema, why) : rc;
}

static int set_up(struct registry *r, bool create,
    char why[REGISTRY_WHY_MAX])
{
	int rc;

	sqlite3_busy_timeout(r->db, REGISTRY_BUSY_MS);
	rc = registry_exec(r, "PRAGMA foreign_keys = ON", why);
	if (rc == 0 && create)	/* two may be making it at the same time */
		rc = registry_exec(r, "BEGIN IMMEDIATE", why);
	if (rc != 0)
		return rc;
	rc = check_schema(r, create, why);
	return create ? registry_end(r, rc, why) : rc;
}

int registry_open(struct registry **out, const char *path, bool create,
    char why[REGISTRY_WHY_MAX])
{
	struct registry *r;
	struct stat st;
	bool fresh = false;
	int rc;

	if (create && stat(path, &st) == 0)
		fresh = st.st_size == 0;
	else if (create)
		fresh = true;
	rc = make_file(path, create, why);
	if (rc != 0)
		return rc;
	r = calloc(1, sizeof(*r));
	if (r == NULL)
		goto no_memory;
	r->path = strdup(path);
	if (r->path == NULL)
		goto no_memory;
	if (sqlite3_open_v2(path, &r->db, SQLITE_OPEN_READWRITE |
	    SQLITE_OPEN_FULLMUTEX, NULL) != SQLITE_OK) {
		rc = registry_fail(r, why);
		goto fail;
	}
	if (stat(path, &st) == 0) {
		r->device = st.st_dev;
		r->inode = st.st_ino;
	}
	rc = set_up(r, fresh, why);
	if (rc != 0)
		goto fail;
	*out = r;
	return 0;

no_memory:
	snprintf(why, REGISTRY_WHY_MAX, "%s: no memory", path);
	rc = ERR_NOMEM;
fail:
	registry_close(r);
	return rc;
}

void registry_close(struct registry *r)
{
	if (r == NULL)
		return;
	(void)sqlite3_close(r->db);	/* no statement outlives its call */
	free(r->path);
	free(r);
}

bool registry_is_current(const struct registry *r)
{
	struct stat st;

	return stat(r->path, &st) == 0 && st.st_dev == r->device &&
	    st.st_ino == r->inode;
}
