/*
 * "127.0.0.1:1352", "[::1]:0" and back; names are resolved, blocking.
 */
#ifndef TESTS_SUPPORT_ADDRESS_H
#define TESTS_SUPPORT_ADDRESS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#define ADDRESS_TEXT_MAX 64u

/* 0, or -1 after a message on standard error that names the program. */
int address_parse(const char *program, const char *text,
    struct sockaddr_storage *out);

const char *address_text(const struct sockaddr *sa,
    char out[ADDRESS_TEXT_MAX]);

/*
 * A listening, non-blocking socket; *bound is where. -1 after a message.
 */
int address_listen(const char *program, const struct sockaddr_storage *at,
    struct sockaddr_storage *bound);

/* A decimal number of an option's value; exits with a message otherwise. */
uint64_t address_number(const char *program, const char *option,
    const char *value);

#endif
