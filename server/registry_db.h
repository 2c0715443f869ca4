/*
 * What registry.c and registry_open.c share: the connection to SQLite and
 * the few steps that every statement is made of. For these two alone.
 */
#ifndef SERVER_REGISTRY_DB_H
#define SERVER_REGISTRY_DB_H

#include <stdint.h>
#include <sys/types.h>

#include <sqlite3.h>

#include "server/registry.h"

struct registry {
	sqlite3 *db;
	char *path;
	dev_t device;		/* of the file that was opened */
	ino_t inode;
};

/* The complaint of what SQLite refused just now: ERR_IO or ERR_NOMEM. */
int registry_fail(const struct registry *r, char why[REGISTRY_WHY_MAX]);

/* Run text that gives no rows. */
int registry_exec(struct registry *r, const char *sql,
    char why[REGISTRY_WHY_MAX]);

/* A statement, to be finalized; and running one that gives no rows. */
int registry_prepare(struct registry *r, const char *sql, sqlite3_stmt **out,
    char why[REGISTRY_WHY_MAX]);
int registry_run(struct registry *r, sqlite3_stmt *stmt,
    char why[REGISTRY_WHY_MAX]);

/* The one number that this text gives. */
int registry_number(struct registry *r, const char *sql, int64_t *out,
    char why[REGISTRY_WHY_MAX]);

/* End a transaction: commit when rc is 0, else roll back. Returns rc. */
int registry_end(struct registry *r, int rc, char why[REGISTRY_WHY_MAX]);

#endif
