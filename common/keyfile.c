#include "config.h"

#include "common/keyfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/crypto.h"
#include "common/err.h"

#define FILE_BYTES_MAX 4096u	/* a key and some lines of comment */
#define DIGEST_PREFIX "SHA256:"
#define DIGEST_PREFIX_LEN (sizeof(DIGEST_PREFIX) - 1)

/* Put the sentence into why and hand the error on. */
static int __attribute__((format(printf, 3, 4))) fail(int err,
    char why[KEYFILE_WHY_MAX], const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, KEYFILE_WHY_MAX, fmt, ap);
	va_end(ap);
	return err;
}

void keyfile_encode(const uint8_t key[32], char out[KEYFILE_TEXT_LEN + 1])
{
	crypto_base64_encode(out, key, CRYPTO_KEY_LEN);
}

int keyfile_decode(const char *text, size_t len, uint8_t out[32])
{
	if (crypto_base64_decode(out, CRYPTO_KEY_LEN, text, len) != 0)
		return ERR_CONFIG;
	return 0;
}

void keyfile_fingerprint(const uint8_t pub[32],
    char out[KEYFILE_FINGERPRINT_LEN + 1])
{
	uint8_t digest[CRYPTO_KEY_LEN];
	char text[KEYFILE_TEXT_LEN + 1];

	crypto_sha256(digest, pub, CRYPTO_KEY_LEN, NULL, 0);
	keyfile_encode(digest, text);
	memcpy(out, DIGEST_PREFIX, DIGEST_PREFIX_LEN);
	memcpy(out + DIGEST_PREFIX_LEN, text,
	    KEYFILE_FINGERPRINT_LEN - DIGEST_PREFIX_LEN);
	out[KEYFILE_FINGERPRINT_LEN] = '\0';
}

void keyfile_id_encode(const uint8_t id[16], char out[KEYFILE_ID_TEXT_LEN + 1])
{
	crypto_base64url_encode(out, id, 16);
}

int keyfile_id_decode(const char *text, size_t len, uint8_t id[16])
{
	return crypto_base64url_decode(id, 16, text, len);
}

static int open_error(const char *path, char why[KEYFILE_WHY_MAX])
{
	switch (errno) {
	case ENOENT:
		return fail(ERR_NOENT, why, "%s: no such file; make a key "
		    "with the verb keygen, or correct the path", path);
	case EACCES:
		return fail(ERR_IO, why, "%s: permission denied; the file "
		    "must belong to the user that this program runs as, and "
		    "its folders must let that user pass", path);
	default:
		return fail(ERR_IO, why, "%s: cannot be opened: %s", path,
		    strerror(errno));
	}
}

/* Is the open file one that nobody but its owner can read or write? */
static int check_file(const char *path, int fd, uid_t owner,
    char why[KEYFILE_WHY_MAX])
{
	struct stat st;
	unsigned mode;

	if (fstat(fd, &st) != 0)
		return fail(ERR_IO, why, "%s: cannot be examined: %s", path,
		    strerror(errno));
	if (!S_ISREG(st.st_mode))
		return fail(ERR_CONFIG, why, "%s: not a regular file; give "
		    "the path of the file that holds the secret key", path);
	/* Root reads everything anyway: a file of root's is nobody else's. */
	if (st.st_uid != owner && st.st_uid != 0)
		return fail(ERR_CONFIG, why, "%s: belongs to user %lu, who "
		    "can read the key; run: chown %lu %s", path,
		    (unsigned long)st.st_uid, (unsigned long)owner, path);
	mode = (unsigned)st.st_mode & 07777;
	if ((mode & 077) != 0)
		return fail(ERR_CONFIG, why, "%s: mode %04o lets others %s "
		    "the key; run: chmod 600 %s", path, mode,
		    (mode & 044) != 0 ? "read" : "reach", path);
	return 0;
}

/* All of the file into buf. Not by stdio, whose buffers nobody wipes. */
static int read_all(const char *path, int fd, char buf[FILE_BYTES_MAX],
    size_t *len, char why[KEYFILE_WHY_MAX])
{
	size_t have = 0;
	ssize_t n;

	while (have < FILE_BYTES_MAX) {
		n = read(fd, buf + have, FILE_BYTES_MAX - have);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return fail(ERR_IO, why, "%s: cannot be read: %s",
			    path, strerror(errno));
		if (n == 0) {
			*len = have;
			return 0;
		}
		have += (size_t)n;
	}
	return fail(ERR_CONFIG, why, "%s: too long for a key file, which is "
	    "one line of base64; give the path of the file that holds the "
	    "secret key", path);
}

/* Length of a line without the blanks, or the CR, that editors leave there. */
static size_t trimmed(const char *line, size_t len)
{
	while (len > 0 && (line[len - 1] == ' ' || line[len - 1] == '\t' ||
	    line[len - 1] == '\r'))
		len--;
	return len;
}

/* Take the one key out of the file's text. Never shows what a line holds. */
static int parse(const char *path, const char *text, size_t len,
    uint8_t secret[32], char why[KEYFILE_WHY_MAX])
{
	const char *end = text + len, *eol;
	unsigned line = 0;
	bool found = false;
	size_t n;

	for (; text < end; text = eol == end ? end : eol + 1) {
		line++;
		eol = memchr(text, '\n', (size_t)(end - text));
		if (eol == NULL)
			eol = end;
		n = trimmed(text, (size_t)(eol - text));
		if (n == 0 || text[0] == '#')
			continue;
		if (found)
			return fail(ERR_CONFIG, why, "%s:%u: a second key; "
			    "leave only one in the file", path, line);
		if (n != KEYFILE_TEXT_LEN)
			return fail(ERR_CONFIG, why, "%s:%u: %zu characters "
			    "where a key has %u; restore the whole line, or "
			    "move the file away and run the verb keygen",
			    path, line, n, KEYFILE_TEXT_LEN);
		if (keyfile_decode(text, n, secret) != 0)
			return fail(ERR_CONFIG, why, "%s:%u: not a key in "
			    "base64; restore the line, or move the file away "
			    "and run the verb keygen", path, line);
		found = true;
	}
	if (!found)
		return fail(ERR_CONFIG, why, "%s: holds no key; move the file "
		    "away and run the verb keygen", path);
	return 0;
}

int keyfile_read(const char *path, uid_t owner, struct noise_keys *out,
    char why[KEYFILE_WHY_MAX])
{
	char text[FILE_BYTES_MAX];
	struct noise_keys keys;
	size_t len = 0;
	int fd, rc;

	/* Without blocking: a FIFO is to be refused, not waited for. */
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return open_error(path, why);
	rc = check_file(path, fd, owner, why);
	if (rc == 0)
		rc = read_all(path, fd, text, &len, why);
	if (rc == 0)
		rc = parse(path, text, len, keys.secret, why);
	if (rc == 0) {
		crypto_x25519_public(keys.pub, keys.secret);
		*out = keys;
	}
	crypto_wipe(text, sizeof(text));
	crypto_wipe(&keys, sizeof(keys));
	close(fd);
	return rc;
}

static int write_all(int fd, const char *text, size_t len)
{
	ssize_t n;

	while (len > 0) {
		n = write(fd, text, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return ERR_IO;
		text += n;
		len -= (size_t)n;
	}
	return 0;
}

/* Write the text to the new file and see it on disk; errno says what failed. */
static int fill(int fd, const struct noise_keys *keys)
{
	char text[32 + 2 * (KEYFILE_TEXT_LEN + 1)];
	char pub[KEYFILE_TEXT_LEN + 1], secret[KEYFILE_TEXT_LEN + 1];
	int len, rc;

	keyfile_encode(keys->pub, pub);
	keyfile_encode(keys->secret, secret);
	len = snprintf(text, sizeof(text), "# public key: %s\n%s\n", pub,
	    secret);
	/* fchmod: the umask may have taken away the owner's bits too. */
	rc = fchmod(fd, S_IRUSR | S_IWUSR) == 0 ?
	    write_all(fd, text, (size_t)len) : ERR_IO;
	if (rc == 0 && fsync(fd) != 0)
		rc = ERR_IO;
	crypto_wipe(text, sizeof(text));
	crypto_wipe(secret, sizeof(secret));
	return rc;
}

int keyfile_create(const char *path, struct noise_keys *out,
    char why[KEYFILE_WHY_MAX])
{
	struct noise_keys keys;
	int fd, rc;

	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC,
	    S_IRUSR | S_IWUSR);
	if (fd < 0 && errno == EEXIST)
		return fail(ERR_EXIST, why, "%s: is there already and is not "
		    "overwritten; move it away, or give another path", path);
	if (fd < 0)
		return fail(ERR_IO, why, "%s: cannot be created: %s; give a "
		    "path in a folder that you may write to", path,
		    strerror(errno));
	noise_keys_generate(&keys);
	rc = fill(fd, &keys);
	if (close(fd) != 0)
		rc = ERR_IO;
	if (rc != 0) {
		rc = fail(ERR_IO, why, "%s: cannot be written: %s; make room "
		    "on the disk or give another path", path, strerror(errno));
		(void)unlink(path);	/* half a key is of no use */
	} else {
		*out = keys;
	}
	crypto_wipe(&keys, sizeof(keys));
	return rc;
}
