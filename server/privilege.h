/*
 * Giving up root.
 */
#ifndef SERVER_PRIVILEGE_H
#define SERVER_PRIVILEGE_H

#include <sys/types.h>

#define PRIVILEGE_WHY_MAX 512u

/*
 * As root: become this user for ever, with its groups; staying root needs
 * user "root". As anybody else nothing happens, user may be NULL.
 * 0; ERR_DENIED when root is given no user; ERR_NOENT: no such user; ERR_IO.
 */
int privilege_drop(const char *user, char why[PRIVILEGE_WHY_MAX]);

/* As root, is the user one that privilege_drop would accept? Same codes. */
int privilege_check(const char *user, char why[PRIVILEGE_WHY_MAX]);

/* Who the process is, or will be once it has given up root. */
uid_t privilege_uid(const char *user);

#endif
