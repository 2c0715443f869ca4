/*
 * Key files: one line of base64 (RFC 4648, 44 characters) holding 32 bytes;
 * lines beginning with '#' and empty lines are skipped. A secret key's file
 * must be a regular file, or a link to one, that belongs to the user running
 * this or to root, and gives nothing to anybody else.
 */
#ifndef COMMON_KEYFILE_H
#define COMMON_KEYFILE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/noise.h"

#define KEYFILE_TEXT_LEN 44u		/* characters of a key in base64 */
#define KEYFILE_FINGERPRINT_LEN 50u	/* characters of a fingerprint */
#define KEYFILE_WHY_MAX 512u

/*
 * Read a secret key and derive the pair. The file has to belong to owner, or
 * to root. 0; on failure ERR_NOENT, ERR_IO or ERR_CONFIG (a wrong mode, owner
 * or content) and, in why, one sentence for people naming the file, the line and the remedy ("device.key: mode 0644 lets
 * others read the key; run: chmod 600 device.key").
 */
int keyfile_read(const char *path, uid_t owner, struct noise_keys *out,
    char why[KEYFILE_WHY_MAX]);

/*
 * Write a fresh pair's secret key, mode 0600, with a comment line that holds
 * the public key. Never overwrites: ERR_EXIST; ERR_IO when it cannot be
 * written, and then leaves no file. why says what happened.
 */
int keyfile_create(const char *path, struct noise_keys *out,
    char why[KEYFILE_WHY_MAX]);

/* Base64 of 32 bytes, and back. decode: 0 or ERR_CONFIG. */
void keyfile_encode(const uint8_t key[32], char out[KEYFILE_TEXT_LEN + 1]);
int keyfile_decode(const char *text, size_t len, uint8_t out[32]);

/*
 * A public key's fingerprint, to be compared by eye: "SHA256:" and base64
 * without padding of the digest, as ssh-keygen shows it.
 */
void keyfile_fingerprint(const uint8_t pub[32],
    char out[KEYFILE_FINGERPRINT_LEN + 1]);

/*
 * A session's id as it stands in the request path: base64url without padding
 * (RFC 4648 section 5), 22 characters. decode: 0 or ERR_PROTO; only the one
 * canonical spelling is taken.
 */
#define KEYFILE_ID_TEXT_LEN 22u
void keyfile_id_encode(const uint8_t id[16], char out[KEYFILE_ID_TEXT_LEN + 1]);
int keyfile_id_decode(const char *text, size_t len, uint8_t id[16]);

#endif
